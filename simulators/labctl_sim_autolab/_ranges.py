"""Current ranges of a PGSTAT302N: what its SDK calls them, their full scale, their converter's bandwidth. Pure.

Names by reflection on SDK 2.1. Of the twenty, an instrument without the low-current module takes those from 10 nA to
20 A and refuses the others. Bandwidths are of the order a 302N shows; a rig's own numbers go into the lab file.
"""

from __future__ import annotations

from collections.abc import Mapping

FULL_SCALE_A: Mapping[str, float] = {
    "CR00_1000A": 1000.0,
    "CR01_100A": 100.0,
    "CR02_80A": 80.0,
    "CR03_50A": 50.0,
    "CR04_40A": 40.0,
    "CR05_20A": 20.0,
    "CR06_10A": 10.0,
    "CR07_1A": 1.0,
    "CR08_100mA": 1e-1,
    "CR09_10mA": 1e-2,
    "CR10_1mA": 1e-3,
    "CR11_100uA": 1e-4,
    "CR12_10uA": 1e-5,
    "CR13_1uA": 1e-6,
    "CR14_100nA": 1e-7,
    "CR15_10nA": 1e-8,
    "CR16_1nA": 1e-9,
    "CR17_100pA": 1e-10,
    "CR18_10pA": 1e-11,
    "CR19_1pA": 1e-12,
}

ACCEPTED = tuple(name for name, full_A in FULL_SCALE_A.items() if 1e-8 <= full_A <= 20.0)
"""Ranges this instrument takes."""

_CORNER_Hz = {1e-6: 1e4, 1e-7: 1e3, 1e-8: 5e2}
_FAST_Hz = 1e6


def corner_Hz(full_A: float) -> float:
    """Return where the current converter of a range rolls off."""
    return next((corner for range_A, corner in _CORNER_Hz.items() if 0.5 < full_A / range_A < 2.0), _FAST_Hz)


def zero_offset_A(full_A: float) -> float:
    """Return what the range reads with no current: a part of full scale, and some picoamperes from the amplifier."""
    return -1.1e-4 * full_A if full_A >= 1e-3 else 2.5e-10 if full_A <= 1e-6 else -1.5e-9
