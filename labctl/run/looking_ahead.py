"""When the next look at an order will tell something new, on a real clock.

A spectrometer that waits for labctl is paid for, and a share that is asked without need is slow for others. So looks
are frequent only where something is expected: right after an order was handed over, and when its end is due; the
longer that takes, the seldomer they become, so that waiting costs a few per cent of what it waits for, whatever that
is. Under a virtual clock simulators say when something happens, and none of this is used.
"""

from __future__ import annotations

from labctl.ports import Measurement, Observation, Order, Progress

_SOONEST_S = 0.05
_OF_THE_WAIT_FOR_BEGINNING = 0.1
_OF_THE_WAIT_FOR_THE_END = 0.02
_DUE = 0.999  # drivers say no more before they have seen the end


class LooksAhead:
    """Remembers since when the end of each order is due.

    Parameters
    ----------
    poll_s : float
        The longest time between two looks where something is expected [s].
    """

    def __init__(self, poll_s: float) -> None:
        self._poll_s = poll_s
        self._due_since_s: dict[str, float] = {}

    def next_s(self, order: Order, seen: Observation | None, *, handed_over_s: float, now_s: float) -> float:
        """Return in how many seconds to look again at the latest [s]; infinity: whenever else it is done.

        Parameters
        ----------
        handed_over_s : float
            How long ago the order was handed over, if it was not seen running yet; 0 if it was [s].
        now_s : float
            Monotonic time.
        """
        if handed_over_s > 0.0:
            return self._after(_OF_THE_WAIT_FOR_BEGINNING * handed_over_s)
        if seen is None or seen.progress is not Progress.RUNNING or seen.fraction is None:
            return float("inf")
        if not isinstance(order.task, Measurement):
            return float("inf")
        if seen.fraction < _DUE:
            return self._after((1.0 - seen.fraction) * order.task.duration_s, longest_s=float("inf"))
        due_s = now_s - self._due_since_s.setdefault(order.token, now_s)
        return self._after(_OF_THE_WAIT_FOR_THE_END * due_s)

    def _after(self, wait_s: float, *, longest_s: float | None = None) -> float:
        return min(self._poll_s if longest_s is None else longest_s, max(_SOONEST_S, wait_s))
