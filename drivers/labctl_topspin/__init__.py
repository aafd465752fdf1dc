"""Bruker TopSpin: a spectrometer driven by two AU programs of ours and a job folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.ports import Instrument

if TYPE_CHECKING:
    from labctl_topspin._link import Link


def open_driver(
    *,
    station: str,
    settings: Mapping[str, Any],
    limits: Mapping[str, float],
    clock: Clock,
    link: Link | None = None,
) -> Instrument:
    """Return the driver of one TopSpin console (not yet opened); shape: ``labctl.station.shapes.OpenDriver``.

    Raises
    ------
    InputError
        A setting is unknown, missing or unusable; the message names its key.
    SafetyRefusal
        A real console without the hardware limits its guard needs.
    InstrumentError
        The console's folders are not there.
    """
    from labctl_topspin._driver import TopSpinDriver
    from labctl_topspin._link import FolderLink
    from labctl_topspin._settings import complete_limits, read_settings

    checked = read_settings(settings, station=station)
    console = FolderLink(station=station, settings=checked) if link is None else link
    return TopSpinDriver(
        station=station,
        settings=checked,
        limits=complete_limits(limits, station=station, simulated=console.simulated),
        clock=clock,
        link=console,
    )


def write_programs(**wanted: Any) -> tuple[str, ...]:
    """Write a campaign as AU programs for a console where nothing can be installed; see `labctl_topspin._export`."""
    from labctl_topspin import _export

    return _export.write_programs(**wanted)
