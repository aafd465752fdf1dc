"""A fixed campaign that reaches a standard error of Ea in few hours, or the smallest one within given hours.

Blocks of one phase cycle are added one by one where they lower the standard errors most per hour, averaged over what
is believed; temperatures, recycle delay and rows are tried in turn. Adding the best next block is within a few percent
of the continuous optimum, because information adds up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.design.belief import Belief
from labctl.design.costs import Costs
from labctl.design.model import Block, Model, Sensitivity, information, information_of, standard_errors

FloatArray = NDArray[np.float64]

PHASE_CYCLE = 8
"""Scans of a whole phase cycle: every row has a multiple of it."""

_HOPELESS = 1e-6
"""A gain in ln(standard error) that ends a search: these data do not tell of what is wanted."""
_PACE = 0.05
"""Part of the blocks so far that is added before all are compared again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Which parameters are wanted, and how well: standard error by name, in the parameter's unit."""

    se: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a proposal may choose from.

    Attributes
    ----------
    temperatures_K : tuple of float
        Of the sample, ascending; the first and the last are always visited.
    mixing_times_s : tuple of float
    recycle_factors : tuple of float
        Recycle delay over the slowest T1.
    rows : tuple of int
    reference_tmix_s : float
        One 2D per temperature with this short mixing time fixes the line shapes.
    middle_share : float
        Least part of the time at a temperature between the ends: an Ea from two temperatures hides curvature.
    most_mixing_times : int
        At one temperature, the reference included.
    most_temperatures : int
    longest_delay_s, longest_dataset_s, budget_s : float
    most_visits : int
        Further changes of temperature (adaptive campaigns).
    vetoed : tuple of (float, float)
        Temperature [K] and mixing time [s] of 2Ds that a person does not want (adaptive campaigns).
    """

    temperatures_K: tuple[float, ...]
    mixing_times_s: tuple[float, ...]
    recycle_factors: tuple[float, ...] = (1.26, 1.5, 2.0)
    rows: tuple[int, ...] = (48,)
    reference_tmix_s: float = 0.01
    middle_share: float = 0.1
    most_mixing_times: int = 4
    most_temperatures: int = 7
    longest_delay_s: float = np.inf
    longest_dataset_s: float = np.inf
    budget_s: float = np.inf
    most_visits: int = 1000
    vetoed: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a campaign is expected to give, were the model true.

    Attributes
    ----------
    blocks : tuple of Block
    seconds : float
        On the instrument, everything included.
    se : mapping
        Expected standard error of each parameter at the mean of the belief, from the data alone as far as parameters
        go that are wanted or fitted.
    se_range : mapping
        10th and 90th percentile over the belief.
    limited_by : mapping
        Of each wanted parameter: the other parameter that, if known, would lower its standard error most, and the
        factor left of it; None when noise alone limits it.
    """

    blocks: tuple[Block, ...]
    seconds: float
    se: Mapping[str, float]
    se_range: Mapping[str, tuple[float, float]]
    limited_by: Mapping[str, tuple[str, float] | None]

    def meets(self, goal: Goal) -> bool:
        """Whether every wanted standard error is reached at the mean of the belief."""
        return all(self.se[name] <= limit * 1.0001 for name, limit in goal.se.items())


def forecast(
    model: Model,
    belief: Belief,
    wanted: Sequence[str],
    blocks: Sequence[Block],
    costs: Costs,
    *,
    fitted: Sequence[str] = (),
    points: int = 16,
) -> Forecast:
    """Return what `blocks` would give an analysis that fits `wanted` and `fitted` and knows no prior of them."""
    theta = belief.points(points)
    vague = replace(belief, covariance=np.asarray(np.linalg.inv(belief.without(belief, fitted))))
    information = information_of(model, theta, blocks) + vague.precision(without=wanted)
    se = standard_errors(information)
    low, high = np.percentile(se, [10, 90], axis=0)
    names = model.names
    return Forecast(
        blocks=tuple(blocks),
        seconds=costs.total_s(blocks),
        se={name: float(se[0, i]) for i, name in enumerate(names)},
        se_range={name: (float(low[i]), float(high[i])) for i, name in enumerate(names)},
        limited_by={name: _limit(information[0], names, name) for name in wanted},
    )


def _limit(information: FloatArray, names: tuple[str, ...], wanted: str) -> tuple[str, float] | None:
    """The other parameter whose knowledge would help `wanted` most, if it helps by more than a tenth."""
    whole = standard_errors(information)[names.index(wanted)]
    best: tuple[str, float] | None = None
    for index, name in enumerate(names):
        if name == wanted:
            continue
        keep = [i for i in range(len(names)) if i != index]
        part = standard_errors(information[np.ix_(keep, keep)])[keep.index(names.index(wanted))] / whole
        if part < 0.9 and (best is None or part < best[1]):
            best = (name, float(part))
    return best


def propose(
    model: Model,
    belief: Belief,
    goal: Goal,
    choices: Choices,
    costs: Costs,
    *,
    fitted: Sequence[str] = (),
    points: int = 8,
) -> Forecast:
    """Return the campaign with the fewest hours that meets `goal`, or comes nearest to it within the budget.

    Parameters
    ----------
    fitted : sequence of str
        Parameters that the analysis of the campaign fits, knowing no prior: what is believed of them says where to
        measure, and counts for hardly anything in the errors.
    points : int
        Parameter sets that stand for the belief.

    Raises
    ------
    ValueError
        A wanted parameter is not one of the model's.
    """
    if unknown := [name for name in goal.se if name not in model.names]:
        raise ValueError(f"not a parameter of the model: {', '.join(unknown)}; it has {', '.join(model.names)}")
    theta = belief.points(points)
    have = belief.without(belief, fitted)
    tmix_s = np.unique([choices.reference_tmix_s, *choices.mixing_times_s])
    seen: dict[float, tuple[FloatArray, Sensitivity]] = {}
    for T_K in choices.temperatures_K:
        delays = np.minimum(np.array(choices.recycle_factors) * model.T1_s(T_K), choices.longest_delay_s)
        seen[T_K] = delays, model.sensitivity(theta, T_K, tmix_s, delays)
    found: list[tuple[float, float, list[Block]]] = []
    for rows in choices.rows:
        told = {T_K: information(model, one, rows) for T_K, (_, one) in seen.items()}
        for which in range(len(choices.recycle_factors)):
            tried: set[tuple[float, ...]] = set()
            waiting = _supports(choices)
            while waiting:
                temperatures = waiting.pop()
                if temperatures in tried:
                    continue
                tried.add(temperatures)
                offered = []
                for T_K in temperatures:
                    delay_s = float(seen[T_K][0][which])
                    offered += [
                        (
                            Block(T_K=T_K, tmix_s=float(t), recycle_delay_s=delay_s, rows=rows, scans=PHASE_CYCLE),
                            PHASE_CYCLE * told[T_K][:, m, which],
                        )
                        for m, t in enumerate(tmix_s)
                    ]
                found.append(Search(model.names, have, goal, choices, costs, offered).run())
                waiting.append(_worth_a_visit(found[-1][2], temperatures, choices))
    best = min(found, key=lambda one: one[:2])
    return forecast(model, belief, tuple(goal.se), best[2], costs, fitted=fitted, points=max(points, 16))


def _worth_a_visit(blocks: Sequence[Block], temperatures: tuple[float, ...], choices: Choices) -> tuple[float, ...]:
    """The temperatures at which more than the reference was worth measuring, with the ends and one between."""
    told = {one.T_K for one in blocks if one.tmix_s > choices.reference_tmix_s} | {temperatures[0], temperatures[-1]}
    kept = tuple(T_K for T_K in temperatures if T_K in told)
    return kept if len(kept) > 2 else temperatures


def _supports(choices: Choices) -> list[tuple[float, ...]]:
    """Sets of temperatures to try: the ends with one between, and everything that is allowed."""
    every = tuple(sorted(choices.temperatures_K))
    if len(every) <= 3:
        return [every]
    sets: list[tuple[float, ...]] = [(every[0], every[len(every) // 2], every[-1])]
    if len(every) <= choices.most_temperatures:
        sets.append(every)
    return sets


class Search:
    """One greedy run over the blocks of one phase cycle that are on offer, each with what it tells (S, P, P).

    `past_s` holds the time that was spent at temperatures already: their lines are known, and it counts for the share
    of the middle. `pace` is the part of the blocks so far that is added before all are compared again.
    """

    def __init__(
        self,
        names: Sequence[str],
        have: FloatArray,
        goal: Goal,
        choices: Choices,
        costs: Costs,
        offered: Sequence[tuple[Block, FloatArray]],
        *,
        past_s: Mapping[float, float] | None = None,
        pace: float = _PACE,
    ) -> None:
        self._choices, self._costs, self._pace = choices, costs, pace
        self._past_s = dict(past_s or {})
        self._wanted = [names.index(name) for name in goal.se]
        self._limits = np.array(list(goal.se.values()))
        self._blocks = [block for block, _ in offered]
        self._told = np.stack([told for _, told in offered], axis=1)
        self._T_K = np.array([block.T_K for block in self._blocks])
        self._cycles = np.zeros(len(self._blocks), dtype=int)
        every = [*self._T_K, *self._past_s]
        self._low_K, self._high_K = min(every), max(every)
        self._middle = (self._low_K < self._T_K) & (self._high_K > self._T_K)
        self._have = np.broadcast_to(have, self._told[:, 0].shape).copy()
        self._step_s = np.array([block.transients * costs.scan_s(block) for block in self._blocks])
        self._open_s = np.array(
            [costs.dummy_scans * costs.scan_s(block) + costs.per_dataset_s for block in self._blocks]
        )

    def run(self) -> tuple[float, float, list[Block]]:
        """Return how far the goal is missed (0: met), the time [s] and the blocks."""
        for place, block in enumerate(self._blocks):
            if block.tmix_s == self._choices.reference_tmix_s and block.T_K not in self._past_s:
                self._add(place)
        missed = self._now()
        while missed > 0 or (self._past_s and self._lacks_middle()):
            index = self._next(missed)
            if index is None:
                break
            for _ in range(max(1, int(self._pace * self._cycles.sum()))):
                self._add(index)
                missed = self._now()
                if (missed <= 0 and not self._lacks_middle()) or not self._allowed()[index]:
                    break
        blocks = [
            replace(block, scans=PHASE_CYCLE * int(count))
            for block, count in zip(self._blocks, self._cycles, strict=True)
            if count
        ]
        return max(missed, 0.0), self._costs.total_s(blocks), blocks

    def _add(self, index: int) -> None:
        self._cycles[index] += 1
        self._have = self._have + self._told[:, index]

    def _now(self) -> float:
        return float(self._missed(self._have[:, None])[0])

    def _missed(self, information: FloatArray) -> FloatArray:
        """By how much the goals are missed, shape (C,): mean over the belief of ln(se / goal), not below 0 for each."""
        errors = self._errors(information)
        return np.asarray(np.clip(np.log(errors / self._limits).mean(axis=0), 0, None).sum(axis=-1))

    def _errors(self, information: FloatArray) -> FloatArray:
        return standard_errors(information)[..., self._wanted]

    def _next(self, missed: float) -> int | None:
        allowed = self._allowed()
        if not allowed.any():
            return None
        index = np.flatnonzero(allowed)
        ahead = self._have[:, None] + self._told[:, index]
        gained = missed - self._missed(ahead) if missed > 0 else -np.log(self._errors(ahead)).mean(axis=0).sum(axis=-1)
        if missed <= 0:
            gained += float(np.log(self._errors(self._have[:, None])).mean(axis=0).sum())
        seconds = self._step_s[index] + np.where(self._cycles[index] == 0, self._open_s[index], 0.0)
        best = int(np.argmax(gained / seconds))
        return int(index[best]) if gained[best] > _HOPELESS else None

    def _lacks_middle(self) -> bool:
        """Whether temperatures between the ends can have and have not had their share of the time."""
        past_s = self._past_s
        spent = np.where(self._cycles > 0, self._cycles * self._step_s + self._open_s, 0.0)
        inner_s = spent[self._middle].sum() + sum(past_s[T_K] for T_K in past_s if self._low_K < T_K < self._high_K)
        whole_s = spent.sum() + sum(past_s.values())
        return bool(self._middle.any() and inner_s < self._choices.middle_share * whole_s)

    def _allowed(self) -> NDArray[np.bool_]:
        """Which blocks may be added: within the budget, the longest 2D and the number of mixing times, middle first."""
        choices = self._choices
        spent = np.where(self._cycles > 0, self._cycles * self._step_s + self._open_s, 0.0)
        total = self._costs.once_s + spent.sum()
        total += sum(self._costs.per_temperature_s.get(one, 0.0) for one in set(self._T_K))
        fits = total + self._step_s + np.where(self._cycles == 0, self._open_s, 0.0) <= choices.budget_s
        fits &= (self._cycles + 1) * self._step_s <= np.maximum(choices.longest_dataset_s, self._step_s)
        for one in np.unique(self._T_K):
            here = one == self._T_K
            if np.count_nonzero(self._cycles[here]) >= choices.most_mixing_times:
                fits &= ~here | (self._cycles > 0)
        if (fits & self._middle).any() and self._lacks_middle():
            fits &= self._middle
        return np.asarray(fits)
