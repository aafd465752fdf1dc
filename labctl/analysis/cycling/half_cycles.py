"""Half-cycles by the direction of the current, whatever the tester's own counters say.

A procedure that forgets to advance its cycle counter records fifty cycles as cycle 0, so counters decide nothing.
A half-cycle is every run of one direction until the current turns: CC and CV steps together, rests between them
included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from labctl.formats import battery_data as bdf
from labctl.formats.maccor_model import MaccorExport, StepRun

FloatArray = NDArray[np.float64]

CAPACITY_END = 136
VOLTAGE_END = 133
END_WORDS: dict[int, str] = {
    129: "step time", 130: "test time", 131: "cycle number", 132: "current", 133: "voltage", 134: "power",
    135: "resistance", 136: "capacity", 137: "energy", 138: "half-cycle capacity", 139: "half-cycle energy",
    147: "loop count", 152: "half-cycle capacity", 153: "half-cycle time", 154: "current change",
    155: "voltage change", 189: "safety: capacity", 190: "safety: voltage", 191: "safety: overcharge",
    192: "suspended", 193: "end of test", 194: "timeout fault", 195: "timeout fault", 196: "overcharge fault",
    197: "voltage fault", 198: "slave error", 199: "step forced by operator", 252: "current control fault",
    253: "absolute voltage safety", 254: "lost current control", 255: "buffer full",
}  # fmt: skip
NORMAL_ENDS = frozenset({129, 132, 133, 134, 135, 136, 137, 138, 139, 152, 153, 154, 155})
"""Ends that a procedure asks for; the others are guards, faults and people."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HalfCycle:
    """Charge or discharge.

    Attributes
    ----------
    direction : int
        1 charge, -1 discharge.
    capacity_mAh, energy_mWh : float
        By the tester's counters; `integrated_mAh` by the trapezoidal rule between rows.
    end_code : int or None
        Why its last step ended; None while it runs, or without a column of codes.
    begun_before : bool
        Whether it began before the data do.
    charge_mAh, voltage_V : ndarray, shape (N,)
        Its curve: rows with current, charge from 0.
    current_A : float
        Charge over time under current.
    """

    direction: int
    begin_s: float
    end_s: float
    capacity_mAh: float
    energy_mWh: float
    integrated_mAh: float
    flowing_s: float
    end_code: int | None
    begun_before: bool
    line: int
    counters: dict[str, int]
    charge_mAh: FloatArray
    voltage_V: FloatArray

    @property
    def current_A(self) -> float:
        """Mean current under load [A], positive."""
        return self.capacity_mAh * 3.6 / self.flowing_s if self.flowing_s > 0 else 0.0

    @property
    def mean_V(self) -> float | None:
        """Energy over charge: the mean voltage against charge [V]."""
        return self.energy_mWh / self.capacity_mAh if self.capacity_mAh > 0 else None

    def mean_between_V(self, from_mAh: float, to_mAh: float) -> float | None:
        """Mean voltage against charge over a window of charge [V]; None where the curve does not cover it."""
        q, V = self.charge_mAh, self.voltage_V
        if q.size < 2 or to_mAh <= from_mAh or q[-1] < to_mAh * (1 - 1e-9) or q[0] > max(from_mAh, 0.05 * to_mAh):
            return None
        inside = (q > from_mAh) & (q < to_mAh)
        grid = np.concatenate([[from_mAh], q[inside], [to_mAh]])
        return float(np.trapezoid(np.interp(grid, q, V), grid) / (to_mAh - from_mAh))


def half_cycles(export: MaccorExport) -> list[HalfCycle]:
    """Return the half-cycles of a test in order; runs that moved no charge are passed over."""
    frame = export.frame
    time_s = frame[bdf.TIME].to_numpy()
    voltage_V = frame[bdf.VOLTAGE].to_numpy()
    step_Ah = frame[bdf.STEP_CAPACITY].to_numpy()
    counters = {name: frame[name] for name in frame.columns if name.startswith("Maccor Cycle")}
    groups: list[list[StepRun]] = []
    for run in export.runs:
        if not run.direction:
            continue
        if groups and groups[-1][0].direction == run.direction:
            groups[-1].append(run)
        else:
            groups.append([run])
    return [_half(group, time_s, voltage_V, step_Ah, counters) for group in groups]


def _half(
    group: Sequence[StepRun],
    time_s: FloatArray,
    voltage_V: FloatArray,
    step_Ah: FloatArray,
    counters: dict[str, pl.Series],
) -> HalfCycle:
    charge, volts = [], []
    done_mAh = 0.0
    for run in group:
        rows = slice(run.first, run.last + 1)
        charge.append(done_mAh + 1000.0 * step_Ah[rows])
        volts.append(voltage_V[rows])
        done_mAh += 1000.0 * run.capacity_Ah
    q, V = np.concatenate(charge), np.concatenate(volts)
    first, last = group[0], group[-1]
    return HalfCycle(
        direction=first.direction,
        begin_s=float(time_s[first.first]),
        end_s=float(time_s[last.last]),
        capacity_mAh=done_mAh,
        energy_mWh=1000.0 * sum(run.energy_Wh for run in group),
        integrated_mAh=1000.0 * sum(run.integrated_Ah for run in group),
        flowing_s=float(sum(time_s[run.last] - time_s[run.first] for run in group)),
        end_code=last.end_code,
        begun_before=first.begun_before,
        line=first.line,
        counters={name: int(column[last.last]) for name, column in counters.items()},
        charge_mAh=np.maximum.accumulate(q),
        voltage_V=V,
    )
