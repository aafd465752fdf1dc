"""Proofs of what a Maccor export leaves open: time unit, units of its counters, sign of the current, restarts.

Three witnesses are independent of the header: the capacity column against the integral of |I| over time, the energy
column against that of V |I|, and the wall clock. The sign of the current has two: the state letter of each row, and
the ohmic answer of the voltage where the current changes. A file whose witnesses disagree is refused; one without
witnesses is read only where its header says all, and then says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from labctl.formats.impedance_text import refuse
from labctl.formats.maccor_clock import Clock, unit_by_clock
from labctl.formats.maccor_runs import (
    SECONDS_PER_HOUR,
    FloatArray,
    IntArray,
    Integrals,
    Restarts,
    Runs,
    find_restarts,
    integrate,
    since_begun,
)

TOLERANCE = 0.01
"""Of the whole test, beyond rounding and sampling."""
RUN_TOLERANCE = 0.05
CLOCK_TOLERANCE = 0.03
TIME_UNITS = {1.0: "s", 60.0: "min", 3600.0: "h"}
CURRENTLESS = frozenset({"R", "S", "P", "O", "FRA", ""})
NOISE = 0.01
"""Current of the wrong sign, as part of its step's largest, that passes for noise."""
ANSWER_V = 2e-3
ANSWER_WITHIN_S = 10.0
DRIFT_V = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """One column held against an integral: how far it agrees.

    Attributes
    ----------
    ratio : float or None
        Column over integral; None where no charge moved.
    tolerance : float
        Relative: rounding, sampling and `TOLERANCE` together.
    """

    ratio: float | None
    tolerance: float

    @property
    def tells(self) -> bool:
        """Whether it could tell one unit from another."""
        return self.ratio is not None and self.tolerance < 0.25

    @property
    def agrees(self) -> bool:
        """Whether the column is what was integrated."""
        return self.ratio is not None and abs(self.ratio - 1.0) <= self.tolerance


def directions(
    path: Path, first_line: int, current: FloatArray, step: IntArray, letters: pl.Series | None
) -> tuple[IntArray, bool | None]:
    """Return the direction of every row (1 charge, -1 discharge, 0 none), and whether currents are signed.

    None where nothing in the file shows it: no discharge, or no current at all.

    Raises
    ------
    InputError
        A row's current contradicts its state letter; or letters that are not known carry unsigned current.
    """
    largest = float(np.abs(current).max(initial=0.0))
    floor = 1e-3 * largest
    negative = current < -floor
    if letters is None:
        return np.where(np.abs(current) > floor, np.sign(current), 0).astype(np.int64), True if negative.any() else None
    by_letter = (
        pl.select(
            letters.replace_strict({"C": 1, "D": -1, **dict.fromkeys(CURRENTLESS, 0)}, default=9, return_dtype=pl.Int64)
        )
        .to_series()
        .to_numpy()
    )
    signed = bool(negative.any())
    charging, discharging, unknown = by_letter == 1, by_letter == -1, by_letter == 9
    if signed:
        noise = np.maximum(floor, NOISE * _largest_of_step(np.abs(current), step))
        wrong = (charging & (current < -noise)) | (discharging & (current > noise))
        if wrong.any():
            at = int(np.argmax(wrong))
            everywhere = " (as everywhere in this file)" if wrong.mean() > 0.45 else ""
            raise refuse(
                path, first_line + at,
                f"the current's sign contradicts the state {letters[at]!r}{everywhere}", value=f"{current[at]:g}",
                expected="charge positive and discharge negative, or magnitudes throughout; export the data again",
            )  # fmt: skip
        by_letter = np.where(unknown, np.where(np.abs(current) > floor, np.sign(current), 0), by_letter)
        return by_letter.astype(np.int64), True
    flowing = unknown & (np.abs(current) > floor)
    if flowing.any():
        at = int(np.argmax(flowing))
        raise refuse(
            path, first_line + at, f"the direction of an unsigned current in state {letters[at]!r} cannot be told",
            value=f"{current[at]:g}", expected="states C and D, or signed currents: an option of the export",
        )  # fmt: skip
    moved = bool((discharging & (current > floor)).any())
    return np.where(unknown, 0, by_letter).astype(np.int64), False if moved else None


def _largest_of_step(size: FloatArray, step: IntArray) -> FloatArray:
    """Largest value within each stretch of one step, at every row."""
    first = np.concatenate([[0], np.flatnonzero(np.diff(step)) + 1])
    return np.repeat(np.maximum.reduceat(size, first), np.diff(np.concatenate([first, [size.size]])))


def check_answer(
    path: Path,
    first_line: int,
    *,
    current: FloatArray,
    voltage: FloatArray,
    time_s: FloatArray,
    lettered: bool,
    runs: Runs,
) -> int:
    """Return how many changes of current the voltage answers in their direction, as every cell must.

    Raises
    ------
    InputError
        The voltage answers against the current: the signs are wrong, or were lost. Without state letters, also
        where there is nothing to conclude from although current flows.
    """
    largest = float(np.abs(current).max(initial=0.0))
    if largest == 0.0:
        return 0
    change, answer = np.diff(current), np.diff(voltage)
    telling = (np.abs(change) > 0.1 * largest) & (np.abs(answer) > ANSWER_V) & (np.diff(time_s) < ANSWER_WITHIN_S)
    agree = np.sign(change[telling]) == np.sign(answer[telling])
    good, bad = int(agree.sum()), int((~agree).sum())
    if bad > good or (not lettered and bad):
        at = int(np.flatnonzero(telling)[np.flatnonzero(~agree)[0]]) + 1
        raise refuse(
            path, first_line + at,
            "the voltage answers against the current: its signs are wrong or were lost"
            + ("" if lettered else " (there is no column of states)"),
            value=f"{current[at]:g} A at {voltage[at]:g} V, after {current[at - 1]:g} A at {voltage[at - 1]:g} V",
            expected="charge positive, or a column of states beside unsigned currents",
        )  # fmt: skip
    if not lettered:
        _check_drift(path, first_line, voltage, runs, answered=bool(good))
    return good


def _check_drift(path: Path, first_line: int, voltage: FloatArray, runs: Runs, *, answered: bool) -> None:
    """Refuse where a step's voltage moves against its current: charging raises it, discharging lowers it."""
    active = runs.active
    drift = (voltage[runs.core_last[active]] - voltage[runs.first[active]]) * runs.direction[active]
    against = np.flatnonzero(drift < -DRIFT_V)
    if against.size:
        row = int(runs.first[active[against[0]]])
        raise refuse(
            path, first_line + row, "the voltage moves against the current during this step: signs are wrong or were "
            "lost (there is no column of states)", value=f"{drift[against[0]]:+.3g} V along the current",
            expected="charge positive, or a column of states beside unsigned currents",
        )  # fmt: skip
    if not answered and not (drift > DRIFT_V).any():
        raise refuse(
            path, first_line, "no column of states, and no voltage that would prove the sign of the current",
            expected="an export with the column State (Md)",
        )  # fmt: skip


def witness(
    column: FloatArray,
    integrals: Integrals,
    runs: Runs,
    *,
    column_factor: float,
    integral_factor: float,
    rounding: float,
    time_rounding: float,
    rate: FloatArray,
) -> tuple[Witness, FloatArray, FloatArray]:
    """Hold a counting column against an integral.

    Returns
    -------
    Witness, claimed : ndarray, shape (A,), integrated : ndarray, shape (A,)
        Both in the column's SI unit (Ah, Wh), between first and last row of each active run.
    """  # fmt: skip
    active = runs.active
    claimed = (column[runs.core_last[active]] - column[runs.first[active]]) * column_factor
    integrated = integrals.value[active] * integral_factor
    total = float(integrated.sum())
    if total <= 0.0:
        return Witness(ratio=None, tolerance=np.inf), claimed, integrated
    width = float((integrals.upper[active] - integrals.lower[active]).sum()) * integral_factor / 2.0
    blur = float((2 * rounding * column_factor + 2 * time_rounding * rate[runs.first[active]] * integral_factor).sum())
    tolerance = TOLERANCE + (min(width, 0.1 * total) + blur) / total
    return Witness(ratio=float(claimed.sum()) / total, tolerance=tolerance), claimed, integrated


def check_runs(
    path: Path,
    first_line: int,
    runs: Runs,
    claimed: FloatArray,
    integrated: FloatArray,
    integrals: Integrals,
    factor: float,
    what: str,
    rounding: float,
) -> list[str]:
    """Return remarks on runs whose column is not what was integrated.

    Raises
    ------
    InputError
        With the line of the first run that is off by more than sampling explains, and matters.
    """  # fmt: skip
    active = runs.active
    total = float(integrated.sum())
    slack = RUN_TOLERANCE * integrated + 4 * rounding
    low = integrals.lower[active] * factor - slack
    high = integrals.upper[active] * factor + slack
    off = np.flatnonzero((claimed < low) | (claimed > high))
    remarks = []
    for k in off:
        run = active[k]
        line = first_line + int(runs.first[run])
        text = f"{what} grows by {claimed[k]:.6g}, but {integrated[k]:.6g} was integrated"
        if abs(claimed[k] - integrated[k]) > 2e-3 * total:
            raise refuse(
                path, line, f"lines {line}-{first_line + int(runs.core_last[run])}: {text}",
                expected="a column that is the integral of the current: rows are missing, or belong to another test",
            )  # fmt: skip
        remarks.append(f"line {line}: {text}")
    return remarks


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeUnit:
    """The unit of the test time, and what proves it."""

    factor: float
    proof: str
    restarts: Restarts | None
    capacity: Witness | None


def prove_time(
    path: Path,
    head_line: int,
    *,
    stated: float | None,
    test_time: FloatArray,
    step_time: FloatArray | None,
    size: FloatArray,
    column: FloatArray | None,
    column_factor: float,
    current_factor: float,
    runs: Runs,
    clock: Clock | None,
    ticking: NDArray[np.bool_],
    roundings: tuple[float, float],
) -> TimeUnit:
    """Return the time unit that charge and clock bear out.

    Parameters
    ----------
    stated : float or None
        Seconds per unit by the header, or None.
    size : ndarray, shape (N,)
        Magnitude of the current in the file's unit; `column` the capacity, None where there is none.
    ticking : ndarray of bool, shape (N,)
        Rows on which test time and clock advance together: not those of impedance.
    roundings : tuple of float
        Half a unit of the last place of capacity and time.

    Raises
    ------
    InputError
        The header is contradicted; or it says nothing, and nothing in the file does.
    """
    candidates: Sequence[float] = (stated,) if stated is not None else tuple(TIME_UNITS)
    found: list[TimeUnit] = []
    seen: dict[float, Witness] = {}
    area = integrate(size, test_time, runs.first, runs.core_last)
    for factor in dict.fromkeys((*candidates, *TIME_UNITS)):
        charge: Witness | None = None
        restarts: Restarts | None = None
        if column is not None:
            per = current_factor * factor / SECONDS_PER_HOUR
            first = runs.first[runs.active]
            begun = size[first] * (0.0 if step_time is None else since_begun(runs, step_time)) * per / column_factor
            restarts = find_restarts(column, runs, begun, roundings[0])
            charge, _, _ = witness(
                column, area, runs, column_factor=column_factor, integral_factor=per, rounding=roundings[0],
                time_rounding=roundings[1], rate=size,
            )  # fmt: skip
            seen[factor] = charge
        ticks = None if clock is None else unit_by_clock(clock.seconds[ticking], test_time[ticking], factor)
        by_clock = ticks is not None and abs(ticks - 1.0) < CLOCK_TOLERANCE
        if charge is not None and charge.tells:
            if charge.agrees:
                proof = "charge and clock" if by_clock else "charge"
                found.append(TimeUnit(factor=factor, proof=proof, restarts=restarts, capacity=charge))
        elif by_clock:
            found.append(TimeUnit(factor=factor, proof="clock", restarts=restarts, capacity=charge))
        elif factor == stated:
            found.append(TimeUnit(factor=factor, proof="", restarts=restarts, capacity=charge))
        if factor == stated and found and found[-1].proof:
            return found[-1]
    if stated is not None:
        mine = [one for one in found if one.factor == stated]
        others = [one for one in found if one.factor != stated and one.proof]
        if mine and (mine[0].proof or not others):
            return mine[0]
        ratio = seen[stated].ratio if stated in seen else None
        told = "" if ratio is None else f"; the capacity column is {ratio:.4g} times the integral of the current"
        hint = f"; {TIME_UNITS[others[0].factor]} would fit" if others else ""
        raise refuse(
            path, head_line, f"the columns contradict each other{told}", value=f"time in {TIME_UNITS[stated]}{hint}",
            expected="capacity = integral of current over time, in the units of the header",
        )  # fmt: skip
    if len(found) == 1:
        return found[0]
    ratios = ", ".join(f"{TIME_UNITS[f]}: {w.ratio:.4g}" for f, w in seen.items() if w.ratio is not None)
    raise refuse(
        path, head_line, "the header names no unit of time, and neither charge nor clock proves one",
        value=f"capacity over integrated current in {ratios}" if ratios else "",
        expected="rows with current and capacity, or a clock column over more than 5 s",
    )  # fmt: skip


def prove_voltage(
    path: Path,
    head_line: int,
    *,
    stated: float | None,
    column: FloatArray | None,
    energy_factor: float,
    area: Integrals,
    per: float,
    runs: Runs,
    rate: FloatArray,
    roundings: tuple[float, float],
    assumed: bool,
) -> tuple[float, Witness | None]:
    """Return volts per unit of the voltage column, and the energy column's witness.

    A column headed ``Volts`` may hold millivolts: the energy column decides.

    Raises
    ------
    InputError
        No unit of voltage makes the energy column the integral of the power.
    """  # fmt: skip
    best = 1.0 if stated is None else stated
    if column is None:
        return best, None
    told: Witness | None = None
    for factor in dict.fromkeys((best, 1.0, 1e-3)):
        one, _, _ = witness(
            column, area, runs, column_factor=energy_factor, integral_factor=per * factor, rounding=roundings[0],
            time_rounding=roundings[1], rate=rate,
        )  # fmt: skip
        told = one if told is None else told
        if not one.tells:
            return best, one
        if one.agrees:
            return factor, one
    if assumed:  # bare names: nothing in the header is contradicted
        return best, told
    ratio = 0.0 if told is None or told.ratio is None else told.ratio
    raise refuse(
        path, head_line, "the energy column is not the integral of voltage and current",
        value=f"{ratio:.4g} times the integral", expected="energy = integral of V I over time",
    )  # fmt: skip


def masks(letters: pl.Series | None, size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are passive (S, P, O), and which are impedance (FRA)."""
    if letters is None:
        return np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    return letters.is_in(["S", "P", "O"]).to_numpy(), (letters == "FRA").to_numpy()
