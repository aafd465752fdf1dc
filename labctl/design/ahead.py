"""The rest of a campaign, planned from what is known now: which temperatures are still worth a visit, and for what.

One 2D at a time, chosen for what it tells per hour, wastes visits: each costs a ramp, settling, T1 and a short 2D for
the lines. So everything that is left to the goal is planned, with the temperatures dropped that do not pay for
themselves; the campaign then begins that plan, and makes another one after its next 2D.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.design.belief import Belief
from labctl.design.costs import Costs
from labctl.design.model import Block, Model, information, standard_errors
from labctl.design.proposal import PHASE_CYCLE, Choices, Goal, Search

FloatArray = NDArray[np.float64]

COARSE, FINE = 0.25, 0.05
"""Pace of the search while temperatures are compared, and of the plan that is begun."""
NEARLY = 0.8
"""Of the middle's share of the time: the goal may be reached a little before it."""
FEW = 4
"""Parameter sets that stand for the belief while temperatures are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left to do.

    Attributes
    ----------
    blocks : tuple of Block
        Short 2Ds for the lines of new temperatures included.
    seconds : float
        Visits included.
    missed : float
        Sum of ln(se / goal) that is expected to stay, 0 where the goal is reached within the budget.
    se : ndarray, shape (S, W)
        Expected standard errors of what is wanted, over the belief.
    """

    blocks: tuple[Block, ...]
    seconds: float
    missed: float
    se: FloatArray


def rest(
    model: Model,
    belief: Belief,
    goal: Goal,
    choices: Choices,
    costs: Costs,
    *,
    spent_s: float,
    at_K: float | None,
    visited: Sequence[Block],
    have: FloatArray,
    points: int,
) -> Rest:
    """Return the cheapest way found to the goal.

    Parameters
    ----------
    spent_s : float
        Of `choices.budget_s` [s].
    at_K : float, optional
        Where a visit costs nothing.
    visited : sequence of Block
        What was measured.
    have : ndarray, shape (P, P)
        Precision that errors are stated by.
    points : int
        Parameter sets that stand for the belief.
    """
    theta = belief.points(points)
    tmix_s = np.unique([choices.reference_tmix_s, *choices.mixing_times_s])
    offered: dict[float, list[tuple[Block, FloatArray]]] = {}
    for T_K in sorted(choices.temperatures_K):
        delays = np.minimum(np.array(choices.recycle_factors) * model.T1_s(T_K), choices.longest_delay_s)
        seen = model.sensitivity(theta, T_K, tmix_s, delays)
        offered[T_K] = [
            (
                Block(T_K=T_K, tmix_s=float(t), recycle_delay_s=float(delay_s), rows=rows, scans=PHASE_CYCLE),
                PHASE_CYCLE * told[:, m, d],
            )
            for rows in choices.rows
            for told in (information(model, seen, rows),)
            for m, t in enumerate(tmix_s)
            for d, delay_s in enumerate(delays)
            if (T_K, float(t)) not in choices.vetoed
            and (t != choices.reference_tmix_s or (rows, d) == (choices.rows[0], 0))
        ]
    ahead = replace(choices, budget_s=choices.budget_s - spent_s, longest_dataset_s=np.inf)
    here = {} if at_K is None else {at_K: 0.0}
    free = replace(costs, once_s=0.0, per_temperature_s={**costs.per_temperature_s, **here})
    past_s = time_at(visited, costs)

    def planned(
        temperatures: frozenset[float], *, few: bool, within_s: float = np.inf
    ) -> tuple[float, float, list[Block]]:
        some = [(block, told[:FEW] if few else told) for T_K in sorted(temperatures) for block, told in offered[T_K]]
        at_most = replace(ahead, budget_s=min(ahead.budget_s, within_s))
        search = Search(model.names, have, goal, at_most, free, some, past_s=past_s, pace=COARSE if few else FINE)
        missed, seconds, blocks = search.run()
        visits = len({block.T_K for block in blocks} - {at_K})
        spent = time_at([*visited, *blocks], costs)
        return missed + max(0, visits - choices.most_visits) + unchecked(spent, choices), seconds, blocks

    chosen = frozenset(one for one in offered if offered[one])
    found = planned(chosen, few=True)
    while len(chosen) > 1:
        # without one of them it may not take longer, where the goal is reached at all
        within_s = found[1] if found[0] <= 0 else np.inf
        fewer = [(planned(chosen - {one}, few=True, within_s=within_s), chosen - {one}) for one in sorted(chosen)]
        best, without = min(fewer, key=lambda one: one[0][:2])
        if best[:2] > found[:2]:
            break
        found, chosen = best, without
    missed, seconds, blocks = planned(chosen, few=False)
    told = np.broadcast_to(have, (len(theta), *have.shape)).copy()
    for block in blocks:
        one = next(tells for offer, tells in offered[block.T_K] if replace(offer, scans=block.scans) == block)
        told = told + one * (block.scans // PHASE_CYCLE)
    wanted = [belief.names.index(name) for name in goal.se]
    return Rest(blocks=tuple(blocks), seconds=seconds, missed=missed, se=standard_errors(told)[:, wanted])


def time_at(blocks: Sequence[Block], costs: Costs) -> dict[float, float]:
    """Return the time [s] of 2Ds by temperature [K]."""
    spent: dict[float, float] = {}
    for block in blocks:
        spent[block.T_K] = spent.get(block.T_K, 0.0) + costs.dataset_s(block)
    return spent


def unchecked(spent_s: Mapping[float, float], choices: Choices) -> bool:
    """Return whether nothing between the ends shows if the Arrhenius law holds, though something could."""
    if len(spent_s) < 2 or not any(min(spent_s) < T_K < max(spent_s) for T_K in choices.temperatures_K):
        return False
    inner_s = sum(seconds for T_K, seconds in spent_s.items() if min(spent_s) < T_K < max(spent_s))
    return inner_s < NEARLY * choices.middle_share * sum(spent_s.values())
