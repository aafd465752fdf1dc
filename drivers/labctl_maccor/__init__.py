"""Maccor 4000-series cyclers over MacNet: fixed-capacity cycling that goes on when labctl does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.ports import Instrument

if TYPE_CHECKING:
    from labctl_maccor._link import Link


def open_driver(
    *,
    station: str,
    settings: Mapping[str, Any],
    limits: Mapping[str, float],
    clock: Clock,
    link: Link | None = None,
) -> Instrument:
    """Return the driver of one channel (not yet opened); shape: ``labctl.station.shapes.OpenDriver``.

    Raises
    ------
    InputError
        A setting is unknown, missing or unusable; the message names its key.
    """
    from labctl_maccor._driver import MaccorDriver
    from labctl_maccor._link import TcpLink
    from labctl_maccor._settings import read_settings

    checked = read_settings(settings, station=station, simulated=link is not None and link.simulated)
    return MaccorDriver(
        station=station,
        settings=checked,
        limits=limits,
        clock=clock,
        link=TcpLink(station=station, settings=checked, clock=clock) if link is None else link,
    )
