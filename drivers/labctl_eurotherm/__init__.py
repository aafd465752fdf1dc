"""Eurotherm 2400 and 3200 on Modbus RTU: an oven on a serial line, or the oven of another instrument's station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.ports import Instrument, TemperatureController

if TYPE_CHECKING:
    from labctl_eurotherm._link import Link


def open_driver(
    *,
    station: str,
    settings: Mapping[str, Any],
    limits: Mapping[str, float],
    clock: Clock,
    link: Link | None = None,
) -> Instrument:
    """Return the driver of one oven (not yet opened); shape: ``labctl.station.shapes.OpenDriver``.

    Raises
    ------
    InputError
        A setting is unknown, missing or unusable; the message names its key.
    SafetyRefusal
        A real oven without the hardware limits it needs.
    """
    from labctl_oven import OvenStation

    controller = open_controller(settings=settings, clock=clock, link=link, station=station, limits=limits)
    return OvenStation(controller, clock=clock)


def open_controller(
    *,
    settings: Mapping[str, Any],
    clock: Clock,
    link: Link | None = None,
    station: str = "oven",
    limits: Mapping[str, float] | None = None,
) -> TemperatureController:
    """Return the controller alone (not yet opened); shape: ``labctl.station.shapes.OpenController``.

    Raises as `open_driver`.
    """
    from labctl_eurotherm._driver import EurothermController
    from labctl_eurotherm._settings import read_settings
    from labctl_oven import read_limits

    simulated = link is not None and link.simulated
    checked = read_settings(settings, station=station, simulated=simulated)
    complete = read_limits(limits, station=station, simulated=simulated, overshoot_K=checked.overshoot_K)
    if link is None:
        from labctl_eurotherm._link import SerialLink

        link = SerialLink(station=station, settings=checked)
    return EurothermController(station=station, settings=checked, limits=complete, clock=clock, link=link)
