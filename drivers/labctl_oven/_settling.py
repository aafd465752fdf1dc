"""When an oven has settled, and for how long it has soaked. Pure."""

from __future__ import annotations

from collections import deque

MAX_SLOPE_K_per_s = 0.1 / 60.0
SLOPE_WINDOW_s = 300.0
MAX_GAP_s = 300.0


class Settling:
    """Ramp, then soak: the temperature must come to rest in the band, and from then on stay in it without a break.

    At rest: inside the band, and the slope of a straight line through the last five minutes at most 0.1 K/min. The
    soak begins there; leaving the band, or a gap in the readings, begins all over.

    Parameters
    ----------
    within_K : float
        Half width of the band about `setpoint_K`.
    hold_s : float
        Length of the soak [s].
    sample_within_K : float or None
        Half width of a band for a second sensor at the cell, about `setpoint_K + sample_offset_K`; None: it does not
        count.
    """

    def __init__(
        self,
        *,
        setpoint_K: float,
        within_K: float,
        hold_s: float,
        sample_within_K: float | None = None,
        sample_offset_K: float = 0.0,
        max_slope_K_per_s: float = MAX_SLOPE_K_per_s,
        window_s: float = SLOPE_WINDOW_s,
        max_gap_s: float = MAX_GAP_s,
    ) -> None:
        self.setpoint_K = setpoint_K
        self.within_K = within_K
        self.hold_s = hold_s
        self._sample_within_K = sample_within_K
        self._sample_K = setpoint_K + sample_offset_K
        self._max_slope_K_per_s = max_slope_K_per_s
        self._window_s = window_s
        self._max_gap_s = max_gap_s
        self._seen: deque[tuple[float, float]] = deque()
        self._since_s: float | None = None
        self._last_s = 0.0
        self.restarts = 0
        """How often a soak was broken off."""

    @property
    def soaked_s(self) -> float:
        """How long the soak has lasted [s]; 0 while it has not begun."""
        return 0.0 if self._since_s is None else self._last_s - self._since_s

    @property
    def done(self) -> bool:
        """Whether the soak was long enough."""
        return self._since_s is not None and self.soaked_s >= self.hold_s

    def update(self, at_s: float, sensor_K: float, sample_K: float | None = None) -> None:
        """Take in one reading; times must rise, others are passed over."""
        if self._seen and at_s <= self._last_s:
            return
        if self._seen and at_s - self._last_s > self._max_gap_s:
            self._begin_again()
            self._seen.clear()
        self._seen.append((at_s, sensor_K))
        self._last_s = at_s
        while len(self._seen) > 2 and self._seen[1][0] <= at_s - self._window_s:
            self._seen.popleft()
        if not self._inside(sensor_K, sample_K):
            self._begin_again()
        elif self._since_s is None and self._at_rest():
            self._since_s = at_s

    def _inside(self, sensor_K: float, sample_K: float | None) -> bool:
        if not abs(sensor_K - self.setpoint_K) <= self.within_K:
            return False
        if self._sample_within_K is None:
            return True
        return sample_K is not None and abs(sample_K - self._sample_K) <= self._sample_within_K

    def _begin_again(self) -> None:
        self.restarts += self._since_s is not None
        self._since_s = None

    def _at_rest(self) -> bool:
        first_s, last_s = self._seen[0][0], self._seen[-1][0]
        if last_s - first_s < self._window_s:
            return False
        count = len(self._seen)
        mean_s = sum(at_s for at_s, _ in self._seen) / count
        mean_K = sum(kelvin for _, kelvin in self._seen) / count
        spread = sum((at_s - mean_s) ** 2 for at_s, _ in self._seen)
        slope = sum((at_s - mean_s) * (kelvin - mean_K) for at_s, kelvin in self._seen) / spread
        return abs(slope) <= self._max_slope_K_per_s
