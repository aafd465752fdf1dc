"""What a spectrum says against itself before anybody fits it: an open cell, a short one, too many overloads. Pure.

An open cell succeeds: every point is there, nothing overloads, and only the size of the current betrays it. So a sweep
of the empty holder is measured once and kept in the lab file; a cell that passes no more than the empty holder did, at
every frequency, is open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from labctl.ports import SweepImpedance
from labctl_autolab._record import Point, Rig, current_noise_A

MORE_THAN_OPEN = 1.10
"""A cell must pass so many times what the empty holder does, at some frequency at least."""
NOISES = 4.0
OVERLOADED_SHARE = 0.2
"""From this share of points on, a spectrum with overloads is none."""
NOTHING_A = 1e-13
"""Less than this (rms) at every frequency is no cell, whatever the holder."""


def is_open(points: Sequence[Point], task: SweepImpedance, rig: Rig) -> bool:
    """Whether these points are those of an empty holder or of a lead that fell off."""
    if not points:
        return False
    noise_S = NOISES * (current_noise_A(task, rig) or 0.0) / task.amplitude_V_rms
    if all(1.0 / point.modulus_ohm * task.amplitude_V_rms < NOTHING_A for point in points):
        return True
    if rig.open_capacitance_F is None:
        return False
    leakage_S = 1.0 / rig.open_leakage_ohm if rig.open_leakage_ohm else 0.0
    for point in points:
        empty_S = math.hypot(leakage_S, 2.0 * math.pi * point.frequency_Hz * rig.open_capacitance_F)
        if 1.0 / point.modulus_ohm > MORE_THAN_OPEN * empty_S + noise_S:
            return False
    return True


def overloaded(points: Sequence[Point]) -> int:
    """Return how many points were over the highest range."""
    return sum(point.overload is True for point in points)


def is_overloaded(points: Sequence[Point]) -> bool:
    """Whether so many points were over the highest range that the spectrum is none."""
    return bool(points) and overloaded(points) > OVERLOADED_SHARE * len(points)
