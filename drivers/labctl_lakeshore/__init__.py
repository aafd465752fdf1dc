"""Lake Shore Model 335 (and 336): an oven over VISA, or the oven of another instrument's station."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.ports import Instrument, TemperatureController

if TYPE_CHECKING:
    from labctl_lakeshore._link import Link


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
    from labctl_lakeshore._settings import read_settings
    from labctl_oven import OvenStation

    checked = read_settings(settings, station=station, simulated=link is not None and link.simulated)
    return OvenStation(
        open_controller(settings=settings, clock=clock, link=link, station=station, limits=limits),
        clock=clock,
        sample_within_K=checked.sample_within_K,
        sample_offset_K=checked.sample_offset_K,
    )


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
    from labctl_lakeshore._driver import LakeShoreController
    from labctl_lakeshore._settings import read_settings
    from labctl_oven import read_limits

    simulated = link is not None and link.simulated
    checked = read_settings(settings, station=station, simulated=simulated)
    complete = read_limits(limits, station=station, simulated=simulated, overshoot_K=checked.overshoot_K)
    if link is None:
        from labctl_lakeshore._link import VisaLink

        link = VisaLink(station=station, settings=checked, clock=clock)
    return LakeShoreController(station=station, settings=checked, limits=complete, clock=clock, link=link)
