"""The clocks of the computer that labctl runs on, over the lab's own time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labctl.clock import NextEvent, VirtualClock


class HostClock(VirtualClock):
    """Wall time that somebody sets, and monotonic time that begins anew with every life of the computer.

    Parameters
    ----------
    lab : VirtualClock
        What really passes; instruments live by it.
    boot_s : float
        When this computer was switched on [lab's time].
    jumps : sequence of pairs
        When its wall clock is set [lab's time], and by how much [s].
    """

    def __init__(self, lab: VirtualClock, *, boot_s: float, jumps: Sequence[tuple[float, float]] = ()) -> None:
        super().__init__(lab.now_s())
        self._lab = lab
        self._boot_s = boot_s
        self._jumps = tuple(jumps)

    def ahead_s(self) -> float:
        """How far wall time is ahead of the lab's [s]."""
        now_s = self._lab.now_s()
        return sum(by_s for at_s, by_s in self._jumps if at_s <= now_s)

    def of_lab_s(self, lab_s: float) -> float:
        """Monotonic time of this computer at a time of the lab's [s]."""
        return lab_s - self._boot_s

    def add_source(self, next_event_s: NextEvent, *, of: str = "") -> None:
        self._lab.add_source(next_event_s, of=of)

    def woken(self) -> frozenset[str]:
        return self._lab.woken()

    def now_s(self) -> float:
        return self._lab.now_s() + self.ahead_s()

    def monotonic_s(self) -> float:
        return self._lab.now_s() - self._boot_s

    def wait_until(self, deadline_s: float) -> None:
        lab_s = deadline_s + self._boot_s
        if lab_s - self._boot_s < deadline_s:  # a wait that ends a rounding before its time would never end
            lab_s = math.nextafter(lab_s, math.inf)
        self._lab.wait_until(lab_s)
