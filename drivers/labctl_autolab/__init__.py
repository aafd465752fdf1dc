"""Metrohm Autolab with a FRA module: impedance of a cell in an oven, through the vendor's SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.ports import Instrument, TemperatureController

if TYPE_CHECKING:
    from labctl_autolab._link import Link


def open_driver(
    *,
    station: str,
    settings: Mapping[str, Any],
    limits: Mapping[str, float],
    clock: Clock,
    link: Link | None = None,
    oven: TemperatureController | None = None,
) -> Instrument:
    """Return the driver of one Autolab and its oven (not yet opened); shape: ``labctl.station.shapes.OpenDriver``.

    The oven's controller is the one that ``settings.oven.controller`` names (entry points ``labctl.controllers``),
    unless one is handed in. Without either, the station measures at the temperature of the room.

    Raises
    ------
    InputError
        A setting is unknown, missing or unusable, or the controller is not installed; the message names the key.
    SafetyRefusal
        A real oven without the hardware limits it needs.
    """
    from labctl_autolab._driver import AutolabDriver
    from labctl_autolab._link import SdkLink, open_oven
    from labctl_autolab._settings import read_settings

    simulated = link is not None and link.simulated
    checked = read_settings(settings, station=station, simulated=simulated)
    wire = SdkLink(station=station, settings=checked, clock=clock) if link is None else link
    if oven is None and checked.controller:
        oven = open_oven(checked, station=station, limits=limits, clock=clock, link=wire)
    return AutolabDriver(station=station, settings=checked, clock=clock, link=wire, controller=oven)
