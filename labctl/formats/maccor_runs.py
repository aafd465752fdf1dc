"""Rows of an export cut into runs of one step, and the charge and energy of each by integration.

What the capacity column claims is compared with the integral of |I| over the test time. Between two rows of steady
programs the current changes one way, so the truth lies between the lower and the upper Riemann sum: an interval that
needs no assumption about sampling, and is narrow wherever the current is constant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs of consecutive rows in one step and state; arrays of shape (R,).

    Attributes
    ----------
    first, last : ndarray of int
        Rows; `last` includes a row of suspension that repeats the step with its final capacity.
    core_last : ndarray of int
        Last row with the run's own state.
    direction : ndarray of int
        1 charge, -1 discharge, 0 no current.
    resumed : ndarray of bool
        Whether it goes on with the step of the active run before it, which a suspension broke off.
    """

    first: IntArray
    last: IntArray
    core_last: IntArray
    direction: IntArray
    resumed: NDArray[np.bool_]

    @property
    def active(self) -> IntArray:
        """Indices of runs that carry current."""
        return np.flatnonzero(self.direction)


def cut_runs(step: IntArray, state: IntArray, direction: IntArray, step_time: FloatArray | None) -> Runs:
    """Cut where step, state or direction changes, or the step time starts again.

    Parameters
    ----------
    step, state, direction : ndarray, shape (N,)
        `state` is any code that differs between state letters.
    """
    cut = (np.diff(step) != 0) | (np.diff(state) != 0) | (np.diff(direction) != 0)
    if step_time is not None:
        cut |= np.diff(step_time) < 0
    first = np.concatenate([[0], np.flatnonzero(cut) + 1]).astype(np.int64)
    last = np.concatenate([first[1:] - 1, [step.size - 1]]).astype(np.int64)
    turned = direction[first]
    return Runs(
        first=first,
        last=last,
        core_last=last.copy(),
        direction=turned,
        resumed=_resumed(step, step_time, first, last, np.flatnonzero(turned), turned),
    )


def _resumed(
    step: IntArray, step_time: FloatArray | None, first: IntArray, last: IntArray, active: IntArray, direction: IntArray
) -> NDArray[np.bool_]:
    """Find runs that go on with a step: the same step and direction, its time running on, no other step between."""
    resumed = np.zeros(first.size, dtype=bool)
    if step_time is None:
        return resumed
    earlier, later = active[:-1], active[1:]
    ended, begun = last[earlier], first[later]
    likely = (direction[earlier] == direction[later]) & (step[ended] == step[begun])
    likely &= (step_time[begun] >= step_time[ended]) & (step_time[ended] > 0)
    for k in np.flatnonzero(likely):  # few; and nothing else may have happened in between
        rows = slice(ended[k], begun[k] + 1)
        resumed[later[k]] = (step[rows] == step[ended[k]]).all() and (np.diff(step_time[rows]) >= 0).all()
    return resumed


def since_begun(runs: Runs, step_time: FloatArray) -> FloatArray:
    """Return how long each active run had lasted at its first row, shape (A,): since its step began, or was resumed."""
    elapsed = step_time[runs.first[runs.active]].copy()
    for k, run in enumerate(runs.active):
        if runs.resumed[run]:
            elapsed[k] -= step_time[runs.last[runs.active[k - 1]]]
    return elapsed


def with_tails(runs: Runs, step: IntArray, capacity: FloatArray, passive: NDArray[np.bool_], reach: FloatArray) -> Runs:
    """Join a single row of suspension, fault or end to the run it ended, if it carries on its capacity.

    Parameters
    ----------
    passive : ndarray of bool, shape (N,)
        Rows whose state says that the test stood (S, P, O).
    reach : ndarray, shape (N,)
        Most that the capacity can have grown since the row before, in the column's unit.
    """
    last = runs.last.copy()
    for run in runs.active:
        nxt = run + 1
        if nxt >= runs.first.size:
            continue
        row = runs.first[nxt]
        grown = capacity[row] - capacity[row - 1]
        if passive[row] and step[row] == step[row - 1] and capacity[row] > 0 and 0 <= grown <= reach[row]:
            last[run] = row
    return replace(runs, last=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integrals:
    """Integrals of a non-negative rate over each active run: best value, and what it must lie between."""

    value: FloatArray
    lower: FloatArray
    upper: FloatArray


def integrate(rate: FloatArray, time: FloatArray, first: IntArray, last: IntArray) -> Integrals:
    """Integrate over runs by the trapezoidal rule, with both Riemann sums [rate x time].

    Parameters
    ----------
    rate, time : ndarray, shape (N,)
    first, last : ndarray of int, shape (R,)
    """
    dt = np.diff(time)
    left, right = rate[:-1], rate[1:]

    def over_runs(pieces: FloatArray) -> FloatArray:
        total = np.concatenate([[0.0], np.cumsum(pieces)])
        return np.asarray(total[last] - total[first])

    return Integrals(
        value=over_runs(0.5 * (left + right) * dt),
        lower=over_runs(np.minimum(left, right) * dt),
        upper=over_runs(np.maximum(left, right) * dt),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """Where a counting column starts again.

    Attributes
    ----------
    base : ndarray, shape (R,)
        What the column held when each active run began; its own charge is the column less this.
    same_restarted, same_continued, turned_restarted, turned_continued : int
        Boundaries between runs of the same and of opposite direction, by what the column did.
    unexplained : ndarray of int
        Active runs whose first value is neither a new count nor a continued one.
    before : bool
        Whether the first active run began before the first row.
    """

    base: FloatArray
    same_restarted: int
    same_continued: int
    turned_restarted: int
    turned_continued: int
    unexplained: IntArray
    before: bool

    @property
    def rule(self) -> str:
        """When the column restarts, in words."""
        if self.turned_continued and not self.turned_restarted:
            return "never" if not self.same_restarted else "irregular"
        if self.same_restarted and self.same_continued:
            return "irregular"
        if self.same_restarted:
            return "every step"
        return "direction change" if self.same_continued else "not told apart"


def find_restarts(column: FloatArray, runs: Runs, begun: FloatArray, rounding: float) -> Restarts:
    """Say of each active run whether the column restarted or went on.

    Parameters
    ----------
    column : ndarray, shape (N,)
    begun : ndarray, shape (A,)
        What each active run must have counted between its begin and its first row.
    rounding : float
        Half a unit of the column's last place.
    """
    active = runs.active
    base = np.zeros(active.size)
    counts = {(same, on): 0 for same in (True, False) for on in (True, False)}
    odd: list[int] = []
    before = False
    for k, run in enumerate(active):
        start, own = float(column[runs.first[run]]), float(begun[k])
        slack = 0.5 * own + 4 * rounding
        if k == 0:
            before = bool(abs(start - own) > slack + 0.05 * start)
            base[k] = start - own if before else 0.0
            continue
        earlier = active[k - 1]
        end = float(column[runs.last[earlier]])
        anew, on = abs(start - own), abs(start - own - end)
        if min(anew, on) > slack + 0.02 * end:
            odd.append(int(run))
        went_on = on < anew
        base[k] = end if went_on else 0.0
        if end > 4 * slack + 4 * rounding and not runs.resumed[run]:  # otherwise both say the same; a step's own middle
            counts[bool(runs.direction[earlier] == runs.direction[run]), went_on] += 1
    return Restarts(
        base=base,
        same_restarted=counts[True, False],
        same_continued=counts[True, True],
        turned_restarted=counts[False, False],
        turned_continued=counts[False, True],
        unexplained=np.array(odd, dtype=np.int64),
        before=before,
    )
