"""How far a cell without a sensor of its own is behind the oven's. Pure.

A pressed pellet in half a kilogram of steel follows the air around it by a time constant of 10 to 40 min, so half an
hour after the air has come to rest the cell may still be kelvins behind. This reckons with one time constant: a
first-order lag behind the oven's sensor, exact for a temperature that goes straight from reading to reading.
"""

from __future__ import annotations

import math


class CellLag:
    """Takes readings of the oven's sensor, and says how far behind it the cell is.

    Parameters
    ----------
    lag_s : float
        Time constant of the cell [s]; 0: it follows at once.

    Notes
    -----
    Where the cell was before the first reading is not known; it is taken to have been with the oven. A campaign that is
    taken up again soaks again first, and by then that has faded.
    """

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._at_s: float | None = None
        self._oven_K = 0.0
        self._behind_K = 0.0

    @property
    def behind_K(self) -> float:
        """Oven minus cell at the last reading [K]; negative while it cools."""
        return self._behind_K

    def update(self, at_s: float, oven_K: float) -> None:
        """Take in one reading; times must rise, others are passed over."""
        if self._at_s is None or self._lag_s <= 0.0:
            self._at_s, self._oven_K = at_s, oven_K
            return
        passed_s = at_s - self._at_s
        if passed_s <= 0.0:
            return
        # d(behind)/dt = slope - behind / lag, with the slope between two readings constant
        steady_K = (oven_K - self._oven_K) / passed_s * self._lag_s
        left = math.exp(-passed_s / self._lag_s)
        self._behind_K = steady_K + (self._behind_K - steady_K) * left
        self._at_s, self._oven_K = at_s, oven_K
