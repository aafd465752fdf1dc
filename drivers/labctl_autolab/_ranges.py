"""Current ranges, and which of them a point of a spectrum is measured on. Pure.

An excitation of 5 mV drives 80 nA through 25 pF at 100 kHz and 2 pA through a gigaohm pellet at 1 Hz, so the range
follows the current; but a low range is slow, so it follows the frequency too: no range is used near the corner of its
current converter. Each change costs settling and may leave a step in the data, so a range that carries the current
well enough is kept.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

MEMBERS: Mapping[float, str] = {
    1.0: "CR07_1A",
    1e-1: "CR08_100mA",
    1e-2: "CR09_10mA",
    1e-3: "CR10_1mA",
    1e-4: "CR11_100uA",
    1e-5: "CR12_10uA",
    1e-6: "CR13_1uA",
    1e-7: "CR14_100nA",
    1e-8: "CR15_10nA",
    1e-9: "CR16_1nA",
    1e-10: "CR17_100pA",
}
"""Full scale [A] to the member of the SDK's enum; the lowest two need the low-current module."""

DEFAULT_CORNERS_Hz: Mapping[float, float] = {1e-6: 1e4, 1e-7: 1e3, 1e-8: 5e2, 1e-9: 50.0, 1e-10: 5.0}
"""Corner of the current converter of the slow ranges, of the order a PGSTAT302N has; the others are fast enough."""

CORNER_SHARE = 0.2
"""Up to this share of its corner a range is used: what calibration leaves of the lag there is small against its gain's
error, and unlike noise it is the same at every point, so no error bar tells of it."""

HEADROOM = 2.0
"""A range is chosen whose full scale is so many times the expected peak."""
TOO_COARSE = 50.0
"""A point measured on a range so many times larger than would be chosen is measured again on the better one."""


def nearest(full_A: float) -> float | None:
    """Return the range of this full scale exactly as `MEMBERS` has it; None if there is none."""
    return next((one for one in MEMBERS if abs(math.log(full_A / one)) < 1e-6), None) if full_A > 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The ranges that may be used, and how fast each is."""

    lowest_A: float
    highest_A: float
    corners_Hz: Mapping[float, float]

    def ranges_A(self) -> list[float]:
        """Return them, lowest first."""
        within = (one for one in MEMBERS if self.lowest_A * 0.99 <= one <= self.highest_A * 1.01)
        return sorted(within)

    def fast_enough(self, range_A: float, frequency_Hz: float) -> bool:
        """Whether a range's converter follows a frequency without lagging."""
        return frequency_Hz <= CORNER_SHARE * self.corners_Hz.get(range_A, math.inf)

    def best_A(self, frequency_Hz: float, current_A_rms: float) -> float:
        """Return the lowest range that carries a current and is fast enough; the highest where none does."""
        wanted_A = HEADROOM * math.sqrt(2.0) * current_A_rms
        for one in self.ranges_A():
            if one >= wanted_A and self.fast_enough(one, frequency_Hz):
                return one
        return self.ranges_A()[-1]

    def above_A(self, range_A: float) -> float | None:
        """Return the next higher range; None at the top."""
        return next((one for one in self.ranges_A() if one > range_A * 1.01), None)
