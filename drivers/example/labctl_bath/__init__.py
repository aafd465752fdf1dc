"""A bath thermostat on TCP: the oven of another instrument's station, or a station of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.ports import Instrument, TemperatureController

if TYPE_CHECKING:
    from labctl_bath._link import Link


def open_controller(
    *,
    settings: Mapping[str, Any],
    clock: Clock,
    link: Link | None = None,
    station: str = "oven",
    limits: Mapping[str, float] | None = None,
) -> TemperatureController:
    """Return the controller, not yet opened; shape: ``labctl.station.shapes.OpenController``.

    Raises
    ------
    InputError
        A setting is unknown, missing or unusable; the message names its key.
    SafetyRefusal
        A real bath without the hardware limits it needs.
    """
    from labctl_bath._driver import BathController
    from labctl_bath._link import TcpLink
    from labctl_bath._settings import read_settings
    from labctl_oven import read_limits

    simulated = link is not None and link.simulated
    checked = read_settings(settings, station=station, simulated=simulated)
    complete = read_limits(limits, station=station, simulated=simulated, overshoot_K=checked.overshoot_K)
    return BathController(
        station=station,
        settings=checked,
        limits=complete,
        clock=clock,
        link=TcpLink(station=station, settings=checked) if link is None else link,
    )


def open_driver(
    *,
    station: str,
    settings: Mapping[str, Any],
    limits: Mapping[str, float],
    clock: Clock,
    link: Link | None = None,
) -> Instrument:
    """Return a station that is nothing but this bath; shape: ``labctl.station.shapes.OpenDriver``; raises as above."""
    from labctl_oven import OvenStation

    return OvenStation(
        open_controller(settings=settings, clock=clock, link=link, station=station, limits=limits), clock=clock
    )
