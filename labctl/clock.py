"""Reading time and waiting for it; the one door through which anything in labctl waits.

Two times exist. *Wall* time (`now_s`, seconds since 1970 UTC) goes into records. *Monotonic* time
(`monotonic_s`) measures durations and deadlines, so that a clock set back by NTP or by hand never
shortens a soak. A virtual clock has one time for both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

NextEvent = Callable[[], "float | None"]


class Clock(Protocol):
    """What the engine, the drivers and the simulators know of time."""

    def now_s(self) -> float:
        """Wall time [s since 1970-01-01 UTC]."""
        ...

    def monotonic_s(self) -> float:
        """Time that never jumps [s], for durations and deadlines."""
        ...

    def wait_until(self, deadline_s: float) -> None:
        """Return at the monotonic time `deadline_s`, or earlier when something may have happened."""
        ...

    def wake(self) -> None:
        """End a wait early, from any thread."""
        ...


class SystemClock:
    """The clock of this computer."""

    def __init__(self) -> None:
        self._woken = threading.Event()

    def now_s(self) -> float:
        return time.time()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wait_until(self, deadline_s: float) -> None:
        self._woken.wait(max(0.0, deadline_s - time.monotonic()))
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()


class ScaledClock:
    """Real time made faster: `speed` simulated seconds pass in each real one (servers of simulators)."""

    def __init__(self, *, start_s: float, speed: float = 1.0) -> None:
        self._start_s = start_s
        self._speed = speed
        self._zero_s = time.monotonic()
        self._woken = threading.Event()

    def now_s(self) -> float:
        return self._start_s + (time.monotonic() - self._zero_s) * self._speed

    def monotonic_s(self) -> float:
        return self.now_s()

    def wait_until(self, deadline_s: float) -> None:
        self._woken.wait(max(0.0, (deadline_s - self.now_s()) / self._speed))
        self._woken.clear()

    def wake(self) -> None:
        self._woken.set()


class VirtualClock:
    """Time that stands still until somebody waits, then jumps to the earliest thing to happen.

    Parameters
    ----------
    start_s : float
        Wall time at the start [s since 1970 UTC].
    """

    def __init__(self, start_s: float) -> None:
        self._now_s = start_s
        self._sources: list[tuple[str, NextEvent]] = []
        self._woken: set[str] = set()

    def add_source(self, next_event_s: NextEvent, *, of: str = "") -> None:
        """Let a simulator say when its next event is due (``None``: nothing is due); `of` names whom it concerns."""
        self._sources.append((of, next_event_s))

    def woken(self) -> frozenset[str]:
        """Return of whom events came due since the last call; an empty name: anybody."""
        woken = frozenset(self._woken)
        self._woken.clear()
        return woken

    def now_s(self) -> float:
        return self._now_s

    def monotonic_s(self) -> float:
        return self._now_s

    def wait_until(self, deadline_s: float) -> None:
        """Jump to `deadline_s` or to the earliest event of a source, whichever comes first; never back."""
        due = [(at_s, of) for of, source in self._sources if (at_s := source()) is not None]
        self._now_s = max(self._now_s, min([deadline_s, *(at_s for at_s, _ in due)]))
        self._woken.update(of for at_s, of in due if at_s <= self._now_s)

    def wake(self) -> None:
        """Nothing to do: whoever waits has already returned."""
