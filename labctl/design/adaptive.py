"""What to measure next, given all that is known: the beginning of the cheapest rest of the campaign.

What is left to the goal is planned as a whole (`labctl.design.ahead`), so that a temperature is visited only where that
pays; the first 2D of the plan is measured, no larger than all before together, and the plan is made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.design.ahead import Rest, rest, time_at, unchecked
from labctl.design.belief import Belief
from labctl.design.costs import Costs
from labctl.design.model import Block, Model, information_of, standard_errors
from labctl.design.proposal import PHASE_CYCLE, Choices, Goal

FloatArray = NDArray[np.float64]

LEAST_GROWTH, MOST_GROWTH = 0.12, 1.0
"""A block is at least this part of all transients so far - a sliver changes no decision, and EXPNOs are finite - and at
most as many, so that the next decision comes before what is believed now has cost much."""
SAMPLES = 8
NOTHING_GAINED = 0.10
"""If all hours left lower no standard error by this part, even for the most favourable tenth of what is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One block that could be next, its time [s] and by how much it is expected to lower ln(se / goal)."""

    block: Block
    seconds: float
    gain: float

    @property
    def per_hour(self) -> float:
        """Expected gain per hour."""
        return self.gain / (self.seconds / 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What comes next and why.

    Attributes
    ----------
    block : Block or None
        None: stop.
    stop : str
        ``goal``, ``budget``, ``null`` (all hours left would not tell more), or empty.
    reason : str
        In a sentence, with numbers.
    se : mapping-like tuple of (name, float)
        Standard errors of what is wanted, as believed now.
    offers : tuple of Offer
        The best ones, the chosen first.
    """

    block: Block | None
    stop: Literal["", "goal", "budget", "null"]
    reason: str
    se: tuple[tuple[str, float], ...]
    offers: tuple[Offer, ...] = ()


def decide(
    model: Model,
    belief: Belief,
    goal: Goal,
    choices: Choices,
    costs: Costs,
    *,
    spent_s: float = 0.0,
    at_K: float | None = None,
    visited: Sequence[Block] = (),
    have: FloatArray | None = None,
) -> Decision:
    """Return the next block, or the reason to stop.

    Parameters
    ----------
    belief : Belief
        After everything measured so far.
    spent_s : float
        Instrument time so far [s].
    at_K : float, optional
        Temperature the sample is at; another one costs a visit.
    visited : sequence of Block
        What was measured: the share of time at temperatures between the ends is held by it.
    have : ndarray, shape (P, P), optional
        Precision that errors are stated by; that of `belief` if not given.
    """
    have = belief.precision() if have is None else have
    now = standard_errors(have)[[belief.names.index(name) for name in goal.se]]
    errors = tuple(zip(goal.se, (float(one) for one in now), strict=True))
    told = ", ".join(f"{name} ± {se:.3g}" for name, se in errors)
    limits = np.array(list(goal.se.values()))
    reached = bool(np.all(now <= limits))
    done = Decision(block=None, stop="goal", reason=f"every wanted error is reached: {told}", se=errors)
    if reached and (choices.most_visits < 1 or not unchecked(time_at(visited, costs), choices)):
        return done
    left_h = (choices.budget_s - spent_s) / 3600
    if not choices.temperatures_K:
        reason = f"this visit is full, and no other is allowed: {told}"
        return Decision(block=None, stop="budget", reason=reason, se=errors)
    ahead = rest(
        model, belief, goal, choices, costs, spent_s=spent_s, at_K=at_K, visited=visited, have=have, points=SAMPLES
    )
    offers = _offers(model, belief, goal, choices, costs, ahead, at_K=at_K, visited=visited, have=have)
    offers = [one for one in offers if spent_s + one.seconds <= choices.budget_s]
    if not offers:
        reason = f"no 2D fits into the {left_h:.1f} h left: {told}"
        return done if reached else Decision(block=None, stop="budget", reason=reason, se=errors)
    best_se = np.percentile(ahead.se, 10, axis=0)
    if not reached and ahead.missed > 0 and np.all((now <= limits) | (np.log(now / best_se) < NOTHING_GAINED)):
        said = ", ".join(f"{name} ± {se:.3g}" for name, se in zip(goal.se, best_se, strict=True))
        reason = f"the {left_h:.1f} h left would not tell more: {told}, at their end {said} at best"
        return Decision(block=None, stop="null", reason=reason, se=errors)
    best = offers[0]
    reason = (
        f"{told}; {best.block.scans} scans of {best.block.rows} rows with Tmix {best.block.tmix_s:g} s at "
        f"{best.block.T_K:.2f} K lower ln(se) by {best.gain:.3f} in {best.seconds / 3600:.1f} h"
    )
    places = ", ".join(f"{T_K:.2f}" for T_K in sorted({block.T_K for block in ahead.blocks}))
    aim = "to the goal" if ahead.missed <= 0 else "of the budget"
    if reached:
        aim = "to see that the Arrhenius law holds between"
    reason += f" (about {ahead.seconds / 3600:.1f} h {aim}, at {places} K)"
    return Decision(block=best.block, stop="", reason=reason, se=errors, offers=tuple(offers[:8]))


def _offers(
    model: Model,
    belief: Belief,
    goal: Goal,
    choices: Choices,
    costs: Costs,
    ahead: Rest,
    *,
    at_K: float | None,
    visited: Sequence[Block],
    have: FloatArray,
) -> list[Offer]:
    """The 2Ds of the plan, none too long to begin with; those that need no visit first, then by gain per hour."""
    theta = belief.points(SAMPLES)
    wanted = [belief.names.index(name) for name in goal.se]
    limits = np.array(list(goal.se.values()))
    missed_now = _missed(have[None], wanted, limits)[0]
    been = sum(block.transients for block in visited)
    known = {block.T_K for block in visited}
    found: list[Offer] = []
    for planned in ahead.blocks:
        cycle = PHASE_CYCLE * planned.rows
        most = max(1, int(MOST_GROWTH * been / cycle)) if been else planned.scans // PHASE_CYCLE
        most = max(
            1,
            min(
                most,
                int(choices.longest_dataset_s / (cycle * costs.scan_s(planned)))
                if np.isfinite(choices.longest_dataset_s)
                else most,
            ),
        )
        cycles = min(max(planned.scans // PHASE_CYCLE, int(np.ceil(LEAST_GROWTH * been / cycle))), most)
        block = replace(planned, scans=PHASE_CYCLE * cycles)
        seconds = costs.dataset_s(block)
        first = at_K is None or at_K != block.T_K
        if first:
            seconds += costs.per_temperature_s.get(block.T_K, 0.0)
        if first and block.T_K not in known and block.tmix_s != choices.reference_tmix_s:
            reference = replace(block, tmix_s=choices.reference_tmix_s, scans=PHASE_CYCLE)
            seconds += costs.dataset_s(reference)
        left = _missed(have + information_of(model, theta, [block]), wanted, limits).mean()
        found.append(Offer(block=block, seconds=seconds, gain=float(missed_now - left)))
    # the lines of a new temperature are measured with its first 2D anyway
    telling = [one for one in found if one.block.tmix_s != choices.reference_tmix_s] or found
    return sorted(telling, key=lambda one: (at_K != one.block.T_K, -one.per_hour))


def _missed(precision: FloatArray, wanted: Sequence[int], limits: FloatArray) -> FloatArray:
    """By how much the goals are missed, shape (N,): sum of ln(se / goal), not below 0 for each."""
    se = standard_errors(precision)[..., list(wanted)]
    return np.asarray(np.clip(np.log(se / limits), 0, None).sum(axis=-1))
