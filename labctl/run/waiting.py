"""How the loop waits, and what it notices of the clock meanwhile."""

from __future__ import annotations

from labctl.clock import Clock, VirtualClock
from labctl.errors import InternalError

_CLOCK_JUMP_S = 2.0
_STANDSTILL_TURNS = 1000


class Waiting:
    """Waits for the next look; knows when wall time has jumped and when virtual time stands still.

    Parameters
    ----------
    hear_s : float
        The longest wait on a real clock [s], so that operators are heard.
    """

    def __init__(self, clock: Clock, *, hear_s: float) -> None:
        self._clock = clock
        self._virtual = isinstance(clock, VirtualClock)
        self._hear_s = hear_s
        self._offset_s: float | None = None
        self._last_s = -1.0
        self._standstill = 0

    def until(self, deadline_s: float) -> None:
        """Wait until then (monotonic time [s]), or until there may be something to hear.

        Raises
        ------
        InternalError
            Virtual time no longer moves: a simulator's next event lies in the past.
        """
        now_s = self._clock.monotonic_s()
        if self._virtual:
            self._standstill = self._standstill + 1 if now_s == self._last_s else 0
            self._last_s = now_s
            if self._standstill > _STANDSTILL_TURNS:
                raise InternalError(
                    f"virtual time stands still at {now_s:.3f} s for {_STANDSTILL_TURNS} turns",
                    expected="a simulator whose next event lies ahead",
                )
        elif deadline_s <= now_s:
            return
        else:
            deadline_s = min(deadline_s, now_s + self._hear_s)
        self._clock.wait_until(deadline_s)

    def jump_s(self) -> float:
        """Return by how much wall time moved against monotonic time since the last call [s]; 0 for a breath."""
        offset_s = self._clock.now_s() - self._clock.monotonic_s()
        before_s = offset_s if self._offset_s is None else self._offset_s
        self._offset_s = offset_s
        return offset_s - before_s if abs(offset_s - before_s) > _CLOCK_JUMP_S else 0.0
