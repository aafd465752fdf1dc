"""Series as they are measured: the order of mixing times, recovery delays, the parts of a long 2D, the carrier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from labctl.protocol.vt_exsy import Delays, VtExsy

PHASE_CYCLE = 8
"""Scans of the shortest complete phase cycle of the 2D: splitting never cuts one."""


def carrier_ppm(wanted: VtExsy, sites_ppm: Sequence[float]) -> float:
    """Return the offset of the 2D: the author's, or the middle of the outermost sites."""
    return wanted.carrier_ppm if wanted.carrier_ppm is not None else (min(sites_ppm) + max(sites_ppm)) / 2


def measuring_order(
    mixing_times_s: Sequence[float], order: Literal["palindrome", "ascending", "as_written"]
) -> tuple[int, ...]:
    """Return the indices of the mixing times in the order they are measured.

    ``palindrome`` goes up through every second one and comes back down through the rest (1 3 5 7 6 4 2 by
    length): each is measured once, yet neighbours in length lie on both sides of the middle of the series, so
    that a drift in time is not a trend in Tmix and cannot pass for exchange.
    """
    if order == "as_written":
        return tuple(range(len(mixing_times_s)))
    rising = sorted(range(len(mixing_times_s)), key=lambda index: (mixing_times_s[index], index))
    return tuple(rising) if order == "ascending" else tuple(rising[0::2] + rising[1::2][::-1])


def spaced(delays: Delays) -> tuple[float, ...]:
    """Return the recovery delays [s], rounded to six digits so that every computer agrees."""
    last = delays.points - 1
    if delays.spacing == "log":
        ratio = delays.to_s / delays.from_s
        values = (delays.from_s * ratio ** (index / last) for index in range(delays.points))
    else:
        values = (delays.from_s + (delays.to_s - delays.from_s) * index / last for index in range(delays.points))
    return tuple(float(f"{value:.6g}") for value in values)


def split_scans(scans: int, longest_s: float, max_dataset_s: float) -> tuple[int, ...]:
    """Return the scans of each of the 2Ds that one is split into, whole phase cycles each.

    `longest_s` is the duration with the longest recycle delay the rule allows, not the expected one: a better
    guess of T1 must not change what is acquired.
    """
    cycles = scans // PHASE_CYCLE
    if scans % PHASE_CYCLE or longest_s <= max_dataset_s:
        return (scans,)
    parts = min(cycles, -int(-longest_s // max_dataset_s))
    return tuple(PHASE_CYCLE * (cycles // parts + (part < cycles % parts)) for part in range(parts))
