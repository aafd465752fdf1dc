"""Guards over many cycles, which a procedure cannot state with the words public procedures use. Pure.

What was charged and never came back (97.8 % efficiency at a fixed charge passes theory by cycle 43), and an
efficiency that is low twice in a row (a soft short, a dying cell), are reckoned from the polled capacity. A half-cycle
that no poll fell into is not made up: its cycle counts neither way.
"""

from __future__ import annotations

from labctl.ports import CycleCell
from labctl_maccor._codec import ChannelStatus

_CHARGE, _DISCHARGE = 1, 2
_LOW_IN_A_ROW = 2


class CycleWatch:
    """What one engine has seen of one test; it begins anew with a new engine.

    Attributes
    ----------
    unreturned_Ah : float
        Sum of charge minus discharge over the cycles that were seen whole.
    cycles : int
        How many those were.
    """

    def __init__(self, task: CycleCell) -> None:
        self._task = task
        self._direction = 0
        self._cycle = -1
        self._capacity_Ah = 0.0
        self._charged_Ah: float | None = None
        self._low = 0
        self.unreturned_Ah = 0.0
        self.cycles = 0

    def update(self, status: ChannelStatus) -> str:
        """Take one poll; returns why the cell should be paused, empty if it need not."""
        direction = status.rf1 if status.rf1 in (_CHARGE, _DISCHARGE) else 0
        if direction == self._direction and status.cycle == self._cycle:
            self._capacity_Ah = max(self._capacity_Ah, abs(status.capacity_Ah)) if direction else 0.0
            return ""
        why = self._close(status.cycle)
        self._direction, self._cycle = direction, status.cycle
        self._capacity_Ah = abs(status.capacity_Ah) if direction else 0.0
        return why

    def _close(self, cycle: int) -> str:
        if cycle > self._cycle + 1:  # cycles passed unseen
            self._charged_Ah = None
            self._low = 0
        if self._direction == _CHARGE:
            self._charged_Ah = self._capacity_Ah
        if self._direction != _DISCHARGE or not self._charged_Ah:
            return ""
        charged_Ah, self._charged_Ah = self._charged_Ah, None
        self.cycles += 1
        self.unreturned_Ah += charged_Ah - self._capacity_Ah
        efficiency = self._capacity_Ah / charged_Ah
        self._low = self._low + 1 if efficiency < self._task.efficiency_min else 0
        if self._low >= _LOW_IN_A_ROW:
            self._low = 0
            return (
                f"{_LOW_IN_A_ROW} cycles in a row gave back less than {100 * self._task.efficiency_min:g} % "
                f"(the last one {100 * efficiency:.1f} %)"
            )
        if self.unreturned_Ah > self._task.unreturned_max_Ah:
            return (
                f"{1000 * self.unreturned_Ah:.4g} mAh were charged and not discharged again over {self.cycles} cycles, "
                f"more than {1000 * self._task.unreturned_max_Ah:.4g} mAh"
            )
        return ""
