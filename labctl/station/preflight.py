"""Looking at the stations of a campaign before it begins, each for itself, so that one that is dead hides no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from labctl.errors import InputError, InstrumentError, SafetyRefusal
from labctl.ports import Check, Errand, Instrument, Preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class StationChecks:
    """What was found at one station."""

    station: str
    checks: tuple[Check, ...]


def look_at_station(station: str, opened: Callable[[], Instrument], errand: Errand) -> StationChecks:
    """Return what a station says of itself; one that cannot be reached is a finding and no exception.

    Parameters
    ----------
    opened : callable
        Returns the instrument, not taken by any engine; may raise as drivers do.
    """
    try:
        instrument = opened()
        if not isinstance(instrument, Preflight):
            found: tuple[Check, ...] = (
                Check(verdict="warning", what="this driver cannot look before it is opened; nothing was checked"),
            )
        else:
            found = instrument.preflight(errand)
    except InstrumentError as problem:
        asked = f"{problem.command}: {problem.reply}" if problem.command or problem.reply else ""
        found = (
            Check(
                verdict="refuse",
                what=f"it cannot be looked at: {problem.what}",
                value=asked,
                expected=problem.expected,
                next_step=problem.next_step,
            ),
        )
    except (InputError, SafetyRefusal) as problem:
        found = (Check(verdict="refuse", what=problem.what, expected=problem.expected, next_step=problem.next_step),)
    return StationChecks(station=station, checks=found)


def look_at_stations(
    instruments: Mapping[str, Callable[[], Instrument]], errands: Mapping[str, Errand]
) -> tuple[StationChecks, ...]:
    """Return the findings of every station, in order."""
    return tuple(
        look_at_station(name, opened, errands.get(name, Errand(tasks=()))) for name, opened in instruments.items()
    )
