"""What 2Ds that were measured have added one by one, and what a fixed grid would have taken for the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.matrices import ExchangeMatrix
from labctl.design.ask import Question
from labctl.design.belief import Belief
from labctl.design.follow import informed
from labctl.design.learn import learn
from labctl.design.model import Block, Model, information_of, standard_errors

FloatArray = NDArray[np.float64]

GRID_TMIX_S = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
GRID_ROWS, GRID_SCANS, GRID_TIMES_T1 = 320, 8, 3.0
GRID_TEMPERATURES = 5
"""The grid of the published studies: five temperatures, seven mixing times, 320 rows of 8 scans, 3 T1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A fixed grid in numbers.

    Attributes
    ----------
    seconds : float
        Measured once, overheads included.
    se : mapping
        Of the wanted, from its data alone.
    seconds_at_equal_se : float or None
        2Ds repeated (or cut) until the worst of the wanted is as good as it became; None where that is not resolved.
    """

    blocks: tuple[Block, ...]
    seconds: float
    se: Mapping[str, float]
    seconds_at_equal_se: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was learnt.

    Attributes
    ----------
    before : mapping
        Standard error of the wanted before any 2D: a prior so vague that errors are those of the data, as decisions
        state them.
    after : tuple of mapping
        The same after each 2D, in the order given.
    without : tuple of mapping
        In the end, had one 2D not been measured.
    se : mapping
        In the end.
    grid : Grid
    """

    before: Mapping[str, float]
    after: tuple[Mapping[str, float], ...]
    without: tuple[Mapping[str, float], ...]
    se: Mapping[str, float]
    grid: Grid


def account(
    asked: Question, matrices: Sequence[ExchangeMatrix], measured_T1: Mapping[float, Mapping[str, float]]
) -> Account:
    """Return what `matrices`, in the order they were measured, told of what was wanted.

    Everything is taken at what is believed in the end, with noise and T1 as measured: so a 2D counts for what it told,
    not for what was expected of it.
    """
    asked, seen = informed(asked, matrices, measured_T1)
    belief = learn(asked.model, asked.belief, seen)
    theta, names = belief.mean[None], tuple(asked.goal.se)
    nothing = asked.belief.without(asked.belief, asked.fitted)
    precision = nothing
    before, after = _se(precision, belief, names), []
    each = [information_of(asked.model, theta, [one.block])[0] for one in seen]
    for told in each:
        precision = precision + told
        after.append(_se(precision, belief, names))
    reached = _se(precision, belief, names)
    return Account(
        before=before,
        after=tuple(after),
        without=tuple(_se(precision - told, belief, names) for told in each),
        se=reached,
        grid=_grid(asked, belief, nothing, reached),
    )


def usual_grid(asked: Question) -> tuple[Block, ...]:
    """Return the 2Ds of a fixed grid over the candidates' range of temperatures."""
    every = np.array(sorted(asked.choices.temperatures_K))
    if every.size > GRID_TEMPERATURES:
        wanted = np.linspace(every[0], every[-1], GRID_TEMPERATURES)
        every = every[np.unique([int(np.argmin(np.abs(every - T_K))) for T_K in wanted])]
    return tuple(
        Block(
            T_K=float(T_K),
            tmix_s=tmix_s,
            recycle_delay_s=GRID_TIMES_T1 * asked.model.T1_s(float(T_K)),
            rows=GRID_ROWS,
            scans=GRID_SCANS,
        )
        for T_K in every
        for tmix_s in GRID_TMIX_S
    )


def _grid(asked: Question, belief: Belief, nothing: FloatArray, reached: Mapping[str, float]) -> Grid:
    model: Model = asked.model
    blocks, names = usual_grid(asked), tuple(reached)
    se = _se(nothing + information_of(model, belief.mean[None], blocks)[0], belief, names)
    whole_s = asked.costs.total_s(blocks)
    acquiring_s = sum(asked.costs.dataset_s(block) for block in blocks)
    equal_s = None
    if all(np.isfinite([*se.values(), *reached.values()])):
        times = max((se[name] / reached[name]) ** 2 for name in names)
        equal_s = whole_s - acquiring_s + times * acquiring_s
    return Grid(blocks=blocks, seconds=whole_s, se=se, seconds_at_equal_se=equal_s)


def _se(precision: FloatArray, belief: Belief, names: Sequence[str]) -> dict[str, float]:
    found = standard_errors(precision)
    return {name: float(found[belief.names.index(name)]) for name in names}
