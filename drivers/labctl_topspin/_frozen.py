"""Notices a temperature reading that stands still, by what this very sensor showed before. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_CHANGES = 10
_BEATS = 10
_SECONDS = 60.0
_TIMES_LONGER = 5


@dataclass(slots=True)
class FrozenSensor:
    """A sensor whose reading is the same to the last digit for much longer than it ever was before.

    Read-backs of a VT unit flicker in their last digit, some at every look, coarser ones every few minutes. So no fixed
    time tells a sensor that hangs: its own habit does. Nothing is said before it has changed often enough to have one.
    """

    _value_K: float | None = None
    _beat: int = -1
    _since_s: float = 0.0
    _now_s: float = 0.0
    _run: int = 0
    _longest_run: int = 1
    _changes: int = 0

    def look(self, value_K: float | None, *, beat: int, at_s: float) -> None:
        """Take in the reading of one heartbeat; the same heartbeat again, or none, says nothing."""
        if value_K is None or beat == self._beat:
            return
        self._beat, self._now_s = beat, at_s
        if value_K == self._value_K:
            self._run += 1
            return
        if self._value_K is not None:
            self._changes += 1
            self._longest_run = max(self._longest_run, self._run)
        self._value_K, self._since_s, self._run = value_K, at_s, 1

    def learn(self, values_K: Iterable[float], *, looks: int) -> None:
        """Take a habit over from a log of earlier readings, each of which stands for so many looks."""
        before_K: float | None = None
        run = 0
        for value_K in values_K:
            if value_K == before_K:
                run += looks
                continue
            if before_K is not None:
                self._changes += 1
                self._longest_run = max(self._longest_run, run)
            before_K, run = value_K, looks

    @property
    def stands_still(self) -> bool:
        """Whether the reading hangs: heat must not go on by it."""
        return (
            self._changes >= _CHANGES
            and self._run >= max(_BEATS, _TIMES_LONGER * self._longest_run)
            and self._now_s - self._since_s >= _SECONDS
        )
