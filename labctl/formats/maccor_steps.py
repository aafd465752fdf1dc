"""Charge and energy of every pass of a step, by the tester's counters, or by integration where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from labctl.formats.maccor_model import StepRun
from labctl.formats.maccor_proof import check_runs
from labctl.formats.maccor_runs import (
    SECONDS_PER_HOUR,
    FloatArray,
    IntArray,
    Restarts,
    Runs,
    find_restarts,
    integrate,
    since_begun,
)

BEGUN_WITHIN_S = 2.0
"""First rows of a step stand at 0.01-0.07 s; a file that begins later in one was cut from a longer test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Rows in SI units, arrays of shape (N,); counters as exported (None: none, or not to be believed)."""

    time_s: FloatArray
    step_begun_s: FloatArray | None
    size_A: FloatArray
    voltage_V: FloatArray
    capacity_Ah: FloatArray | None
    energy_Wh: FloatArray | None
    rounding_Ah: float
    rounding_Wh: float


def step_runs_of(
    path: Path,
    first_line: int,
    runs: Runs,
    restarts: Restarts | None,
    rows: Counted,
    *,
    step: IntArray,
    letters: pl.Series | None,
    end_code: IntArray | None,
    capacity_factor: float,
) -> tuple[list[StepRun], tuple[FloatArray, FloatArray], list[str]]:
    """Return every pass of a step, charge [Ah] and energy [Wh] of each row since its step began, and remarks.

    Raises
    ------
    InputError
        A step's counter is not what its rows integrate to.
    """
    per = 1 / SECONDS_PER_HOUR
    active = runs.active
    charge = integrate(rows.size_A, rows.time_s, runs.first, runs.core_last)
    energy = integrate(rows.size_A * rows.voltage_V, rows.time_s, runs.first, runs.core_last)
    said: list[str] = []
    before = False
    if rows.capacity_Ah is not None and restarts is not None:
        claimed = rows.capacity_Ah[runs.core_last[active]] - rows.capacity_Ah[runs.first[active]]
        said += check_runs(
            path, first_line, runs, claimed, charge.value[active] * per, charge, per, "the capacity [Ah]",
            rows.rounding_Ah,
        )  # fmt: skip
        if restarts.rule == "irregular":
            said.append("the capacity column restarts at some steps and runs on at others")
        said += [
            f"line {first_line + int(runs.first[run])}: the capacity column neither restarts nor runs on here"
            for run in restarts.unexplained
        ]
        before = restarts.before
        base_Ah = restarts.base * capacity_factor
        for k in np.flatnonzero(runs.resumed[active] & (base_Ah > 0)):
            # what the row of suspension counted belongs to the run before it
            base_Ah[k] = rows.capacity_Ah[runs.last[active[k - 1]]]
        flowed_Ah = _less_base(rows.capacity_Ah, runs, base_Ah)
    else:
        flowed_Ah = _integrated(runs, rows.size_A, rows.time_s)
    if rows.energy_Wh is not None:
        first = runs.first[active]
        begun_s = np.zeros(first.size) if rows.step_begun_s is None else since_begun(runs, rows.step_begun_s)
        begun = rows.size_A[first] * rows.voltage_V[first] * begun_s * per
        found = find_restarts(rows.energy_Wh, runs, begun, rows.rounding_Wh)
        flowed_Wh = _less_base(rows.energy_Wh, runs, found.base)
    else:
        flowed_Wh = _integrated(runs, rows.size_A * rows.voltage_V, rows.time_s)
    within = rows.step_begun_s is not None and float(rows.step_begun_s[0]) > BEGUN_WITHIN_S
    made: list[StepRun] = []
    for run in range(runs.first.size):
        first_row, last_row = int(runs.first[run]), int(runs.last[run])
        if run and int(runs.last[run - 1]) >= first_row:
            continue  # the row of suspension, already joined to the run before
        code = None if end_code is None else int(end_code[last_row])
        flows = bool(runs.direction[run])
        core = int(runs.core_last[run])  # from there to a row of suspension the current still flowed
        tail_As = float(rows.size_A[core] * (rows.time_s[last_row] - rows.time_s[core]))
        made.append(
            StepRun(
                first=first_row,
                last=last_row,
                line=first_line + first_row,
                step=int(step[first_row]),
                state="" if letters is None else str(letters[first_row]),
                direction=int(runs.direction[run]),
                end_code=code if code is not None and code >= 128 else None,
                capacity_Ah=float(flowed_Ah[last_row]),
                energy_Wh=float(flowed_Wh[last_row]),
                integrated_Ah=(float(charge.value[run]) + tail_As) * per if flows else 0.0,
                integrated_Wh=(float(energy.value[run]) + tail_As * float(rows.voltage_V[core])) * per
                if flows
                else 0.0,
                begun_before=flows and ((before and run == active[0]) or (within and run == 0)),
            )
        )
    return made, (flowed_Ah, flowed_Wh), said


def _less_base(column: FloatArray, runs: Runs, base: FloatArray) -> FloatArray:
    flowed = np.zeros(column.size)
    for k, run in enumerate(runs.active):
        part = slice(runs.first[run], runs.last[run] + 1)
        flowed[part] = column[part] - base[k]
    return flowed


def _integrated(runs: Runs, rate: FloatArray, time_s: FloatArray) -> FloatArray:
    pieces = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * np.diff(time_s))]) / SECONDS_PER_HOUR
    flowed = np.zeros(rate.size)
    for run in runs.active:
        part = slice(runs.first[run], runs.last[run] + 1)
        flowed[part] = pieces[part] - pieces[runs.first[run]]
    return flowed
