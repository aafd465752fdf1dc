"""What to measure next, given all that is known: the block that is expected to tell most per hour.

One step ahead is enough: a block's worth hardly depends on those that follow, except that a visit to another
temperature is paid once, which is why its hours count in full against the first block there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.design.belief import Belief
from labctl.design.costs import Costs
from labctl.design.model import Block, Model, information, standard_errors
from labctl.design.proposal import PHASE_CYCLE, Choices, Goal

FloatArray = NDArray[np.float64]

SIZES = (1, 2, 4, 8, 16, 32)
"""Phase cycles of the blocks on offer: long ones spare the overhead of each 2D, short ones are decided about sooner."""
LEAST_GROWTH = 0.12
"""A block is at least this part of all transients so far: a sliver changes no decision, and EXPNOs are finite."""
SAMPLES = 24


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
        ``goal``, ``budget``, or empty.
    reason : str
        In a sentence, with numbers.
    se : mapping-like tuple of (name, float)
        Standard errors of what is wanted, as believed now.
    offers : tuple of Offer
        The best ones, the chosen first.
    """

    block: Block | None
    stop: Literal["", "goal", "budget"]
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
    """
    now = _wanted(belief.covariance, belief.names, goal)
    errors = tuple(zip(goal.se, (float(one) for one in now), strict=True))
    told = ", ".join(f"{name} ± {se:.3g}" for name, se in errors)
    limits = np.array(list(goal.se.values()))
    if np.all(now <= limits):
        return Decision(block=None, stop="goal", reason=f"every wanted error is reached: {told}", se=errors)
    offers = _offers(model, belief, goal, choices, costs, at_K=at_K, visited=visited)
    offers = [one for one in offers if spent_s + one.seconds <= choices.budget_s]
    if not offers:
        left_h = (choices.budget_s - spent_s) / 3600
        return Decision(block=None, stop="budget", reason=f"no 2D fits into the {left_h:.1f} h left: {told}", se=errors)
    offers.sort(key=lambda one: -one.per_hour)
    best = offers[0]
    reason = (
        f"{told}; {best.block.scans} scans of {best.block.rows} rows with Tmix {best.block.tmix_s:g} s at "
        f"{best.block.T_K:.2f} K lower ln(se) by {best.gain:.3f} in {best.seconds / 3600:.1f} h"
    )
    if other := next((one for one in offers if one.block.T_K != best.block.T_K), None):
        reason += f" ({best.per_hour:.4f} per h; at {other.block.T_K:.2f} K {other.per_hour:.4f})"
    return Decision(block=best.block, stop="", reason=reason, se=errors, offers=tuple(offers[:8]))


def _wanted(covariance: FloatArray, names: Sequence[str], goal: Goal) -> FloatArray:
    return np.sqrt([covariance[names.index(name), names.index(name)] for name in goal.se])


def _offers(
    model: Model,
    belief: Belief,
    goal: Goal,
    choices: Choices,
    costs: Costs,
    *,
    at_K: float | None,
    visited: Sequence[Block],
) -> list[Offer]:
    theta = belief.points(SAMPLES)
    have = belief.precision()
    wanted = [belief.names.index(name) for name in goal.se]
    limits = np.array(list(goal.se.values()))
    missed_now = _missed(have[None], wanted, limits)[0]
    tmix_s = np.unique([choices.reference_tmix_s, *choices.mixing_times_s])
    found: list[Offer] = []
    temperatures = _temperatures(choices, visited)
    least = LEAST_GROWTH * sum(block.transients for block in visited)
    for T_K in temperatures:
        delays = np.minimum(np.array(choices.recycle_factors) * model.T1_s(T_K), choices.longest_delay_s)
        seen = model.sensitivity(theta, T_K, tmix_s, delays)
        for rows in choices.rows:
            told = information(model, seen, rows)
            for size in SIZES:
                ahead = have + PHASE_CYCLE * size * told
                # mean over the belief of what each outcome would leave; goals met already are worth nothing
                left = _missed(ahead.reshape(-1, *have.shape), wanted, limits).reshape(ahead.shape[:3]).mean(axis=0)
                for m, d in np.ndindex(tmix_s.size, delays.size):
                    if (T_K, float(tmix_s[m])) in choices.vetoed:
                        continue
                    block = Block(
                        T_K=T_K,
                        tmix_s=float(tmix_s[m]),
                        recycle_delay_s=float(delays[d]),
                        rows=rows,
                        scans=PHASE_CYCLE * size,
                    )
                    if size > 1 and block.transients * costs.scan_s(block) > choices.longest_dataset_s:
                        continue
                    if block.transients < least and block.scans < PHASE_CYCLE * SIZES[-1]:
                        larger = replace(block, scans=2 * block.scans)
                        if larger.transients * costs.scan_s(larger) <= choices.longest_dataset_s:
                            continue
                    seconds = costs.dataset_s(block)
                    if at_K is None or at_K != T_K:
                        seconds += costs.per_temperature_s.get(T_K, 0.0)
                    found.append(Offer(block=block, seconds=seconds, gain=float(missed_now - left[m, d])))
    return found


def _temperatures(choices: Choices, visited: Sequence[Block]) -> tuple[float, ...]:
    """All, or only those between the ends while they have had too little of the time since all ends were visited."""
    every = tuple(sorted(choices.temperatures_K))
    inner = every[1:-1]
    been = {block.T_K for block in visited}
    if not inner or not {every[0], every[-1]} <= been:
        return every
    scans = {
        T_K: sum(block.transients * (block.recycle_delay_s + block.tmix_s) for block in visited if block.T_K == T_K)
        for T_K in every
    }
    if sum(scans[T_K] for T_K in inner) < choices.middle_share * sum(scans.values()):
        return inner
    return every


def _missed(precision: FloatArray, wanted: Sequence[int], limits: FloatArray) -> FloatArray:
    """By how much the goals are missed, shape (N,): sum of ln(se / goal), not below 0 for each."""
    se = standard_errors(precision)[..., list(wanted)]
    return np.asarray(np.clip(np.log(se / limits), 0, None).sum(axis=-1))
