"""Times in which a station is not ours to begin anything on: magnet fills, bookings. Pure; wall times are arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from labctl.ports import AwaitStable, CheckSpinning, CoolDown, Task

During = Literal["wait", "run_on", "halt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blackout:
    """One of them; wall times [s since 1970 UTC].

    Attributes
    ----------
    during : str
        ``wait``: nothing is begun that would run into it, what runs all the same goes on; ``halt``: likewise, and what
        runs when it begins is halted, its data kept; ``run_on``: people are told, nothing else.
    """

    station: str
    from_s: float
    to_s: float
    why: str = ""
    during: During = "wait"

    @property
    def name(self) -> str:
        """What people call it."""
        return self.why or "a blackout without a reason given"


def may_wait(task: Task) -> bool:
    """Whether a step waits for the end of a blackout; watching, and the way to room temperature, never do."""
    return not isinstance(task, AwaitStable | CheckSpinning | CoolDown)


def begin_after(
    blackouts: Iterable[Blackout], station: str, at_s: float, duration_s: float
) -> tuple[float, Blackout | None]:
    """Return when a step that could begin at `at_s` begins [s since 1970 UTC], and the last blackout it waits for.

    It begins as soon as it can end before the next blackout does; one that fits between none begins after the last.
    """
    waited: Blackout | None = None
    for blackout in sorted(blackouts, key=lambda one: one.from_s):
        if blackout.station != station or blackout.during == "run_on":
            continue
        if at_s < blackout.to_s and blackout.from_s < at_s + duration_s:
            at_s, waited = blackout.to_s, blackout
    return at_s, waited
