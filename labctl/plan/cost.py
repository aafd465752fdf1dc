"""What one acquisition costs: seconds, seconds with radio frequency on, bytes. Pure arithmetic on its task."""

from __future__ import annotations

from typing import assert_never

from labctl.ports import Acquire, Exsy, Nutation, OnePulse, SaturationRecovery

SCAN_OVERHEAD_S = 0.1
"""Per scan, beside the delays of the pulse program: pre-scan delay, transfer, disk."""

COMB_PULSES = 20
"""90 degree pulses of a saturation comb."""

_BLOCK_BYTES = 1024
_BYTES_PER_POINT = 8
"""Rows of `ser` start on 1024-byte boundaries; a NEO console stores float64."""


def rows(task: Acquire) -> int:
    """Return the number of FIDs."""
    match task.experiment:
        case OnePulse():
            return 1
        case Nutation(pulses_s=pulses_s):
            return len(pulses_s)
        case SaturationRecovery(delays_s=delays_s):
            return len(delays_s)
        case Exsy(rows=number):
            return number
        case _:
            assert_never(task.experiment)


def acquisition_time_s(task: Acquire) -> float:
    """Return AQ = TD / (2 SW) [s]."""
    return task.points / (2 * task.spectral_width_Hz)


def duration_s(task: Acquire, *, overhead_s: float = SCAN_OVERHEAD_S) -> float:
    """Return the time the console is busy [s], `overhead_s` for each scan included.

    For a 2D ``(NS TD1 + DS) (D1 + Tmix + <t1> + AQ + overhead)``: 35.7 h for 320 rows of 8 scans, D1 50 s and
    Tmix 10 ms. For the others the delays of the rows take the place of Tmix and <t1>.
    """
    each_s = acquisition_time_s(task) + overhead_s
    match task.experiment:
        case OnePulse():
            return (task.scans + task.dummy_scans) * (task.recycle_delay_s + each_s)
        case Nutation(pulses_s=pulses_s, recovery_s=recovery_s):
            return (task.scans * len(pulses_s) + task.dummy_scans) * (task.recycle_delay_s + recovery_s + each_s)
        case SaturationRecovery(delays_s=delays_s):
            each_s += task.recycle_delay_s
            recorded_s = task.scans * (sum(delays_s) + len(delays_s) * each_s)
            return recorded_s + task.dummy_scans * (delays_s[0] + each_s)
        case Exsy(mixing_time_s=mixing_s, rows=number, increment_s=increment_s):
            mean_t1_s = increment_s * (number // 2 - 1) / 2
            return (task.scans * number + task.dummy_scans) * (task.recycle_delay_s + mixing_s + mean_t1_s + each_s)
        case _:
            assert_never(task.experiment)


def rf_on_s(task: Acquire) -> float:
    """Return the time with a pulse on [s], saturation combs included."""
    scans = task.scans * rows(task) + task.dummy_scans
    combed = isinstance(task.experiment, (Nutation, SaturationRecovery))
    before_s = (COMB_PULSES if combed else task.presaturation_pulses) * task.pulse_s
    match task.experiment:
        case OnePulse() | SaturationRecovery():
            return scans * (before_s + task.pulse_s)
        case Nutation(pulses_s=pulses_s):
            return task.scans * sum(pulses_s) + task.dummy_scans * pulses_s[0] + scans * before_s
        case Exsy():
            return scans * (before_s + 3 * task.pulse_s)
        case _:
            assert_never(task.experiment)


def disk_bytes(task: Acquire) -> int:
    """Return the size of the raw data: float64 rows padded to 1024 bytes."""
    row = -(-task.points * _BYTES_PER_POINT // _BLOCK_BYTES) * _BLOCK_BYTES
    return rows(task) * row
