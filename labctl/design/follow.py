"""From the 2Ds of an adaptive procedure to its next one: the protocol with a block more, or the reason to stop."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from labctl.analysis.matrices import ExchangeMatrix
from labctl.design.adaptive import Decision, decide
from labctl.design.ask import Question
from labctl.design.belief import BOLTZMANN_EV_PER_K, Belief, Relaxing
from labctl.design.learn import Seen, learn, misfit
from labctl.design.model import Block
from labctl.design.written import celsius_text, time_text

SAME_K = 0.01
MOST_IN_A_VISIT = 40
"""2Ds, parts of long ones counted each: EXPNOs of a visit are numbered to a hundred, and each 2D has its 1Ds."""
MISFITS = 0.001
"""Chance of a chi2 from which data are taken to scatter more than their noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What follows: the decision, the belief it rests on, and the new protocol (None: stop)."""

    decision: Decision
    belief: Belief
    document: Mapping[str, Any] | None


def what_follows(
    asked: Question,
    document: Mapping[str, Any],
    place: int,
    matrices: Sequence[ExchangeMatrix],
    measured_T1: Mapping[float, Mapping[str, float]],
    *,
    spent_s: float,
    vetoed: Sequence[tuple[float, float]] = (),
) -> Next:
    """Return the decision after `matrices`, and the protocol that carries it out.

    Parameters
    ----------
    document : mapping
        The protocol as it stands now, plain data; `place` is the procedure's, counted from 0.
    measured_T1 : mapping
        Sample temperature [K] to T1 [s] by phase, where it was resolved.
    spent_s : float
        Since the procedure began [s].
    vetoed : sequence of (float, float)
        Sample temperature [K] and mixing time [s] of 2Ds that a person skipped: they are not chosen again.
    """
    asked, seen = informed(asked, matrices, measured_T1)
    belief = learn(asked.model, asked.belief, seen)
    have, scatter = stated(asked, belief, seen)
    block = document["procedures"][place]["vt_exsy"]
    candidates = np.array(asked.choices.temperatures_K)
    at_K = float(candidates[np.argmin(np.abs(candidates - matrices[-1].T_K))]) if matrices else None
    visits = len(block["temperatures"])
    choices = replace(asked.choices, vetoed=_as_offered(asked, vetoed))
    left = int(block.get("max_temperature_changes", 6)) + 1 - visits
    choices = replace(choices, most_visits=max(0, left))
    if at_K is not None and _in_a_row(matrices) >= MOST_IN_A_VISIT:  # on to somewhere else
        others = tuple(one for one in choices.temperatures_K if one != at_K)
        choices = replace(choices, temperatures_K=others if left > 0 else ())
    elif at_K is not None and left < 1:
        choices = replace(choices, temperatures_K=(at_K,))
    visited = [replace(one.block, T_K=float(candidates[np.argmin(np.abs(candidates - one.block.T_K))])) for one in seen]
    decision = decide(
        asked.model,
        belief,
        asked.goal,
        choices,
        asked.costs,
        spent_s=spent_s,
        at_K=at_K,
        visited=visited,
        have=have,
    )
    if scatter > 1:
        said = (
            f"; the 2Ds misfit the model, chi2_red {scatter:.1f}: all errors are {np.sqrt(scatter):.1f} times as wide"
        )
        decision = replace(decision, reason=decision.reason + said)
    if decision.block is None:
        return Next(decision=decision, belief=belief, document=None)
    new = copy.deepcopy(dict(document))
    known = any(abs(one.T_K - decision.block.T_K) < SAME_K for one in visited)
    moved = at_K != decision.block.T_K
    _append(new["procedures"][place]["vt_exsy"], decision.block, asked, moved=moved, known=known)
    return Next(decision=decision, belief=belief, document=new)


def stated(asked: Question, belief: Belief, seen: Sequence[Seen]) -> tuple[NDArray[np.float64], float]:
    """Return the precision (P, P) by which errors are stated after `seen`, and chi2_red where 2Ds misfit (else 1)."""
    chi2, dof = misfit(asked.model, asked.belief, belief, seen)
    scatter = chi2 / dof if gammaincc(dof / 2, chi2 / 2) < MISFITS else 1.0
    return belief.without(asked.belief, asked.fitted, scatter=scatter), scatter


def informed(
    asked: Question, matrices: Sequence[ExchangeMatrix], measured_T1: Mapping[float, Mapping[str, float]]
) -> tuple[Question, list[Seen]]:
    """Return the question with T1 and noise as measured, and what the 2Ds gave as `learn` takes it."""
    asked = replace(asked, model=replace(asked.model, relaxing=relaxing_as_measured(asked, measured_T1)))
    seen = [
        Seen(
            block=Block(
                T_K=one.T_K, tmix_s=one.tmix_s, recycle_delay_s=one.recycle_delay_s, rows=one.rows, scans=one.scans
            ),
            values=one.A.ravel(),
            covariance=one.covariance,
        )
        for one in matrices
    ]
    return replace(asked, model=replace(asked.model, encoding=as_noisy_as(asked, seen))), seen


def _as_offered(asked: Question, vetoed: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The candidates that were meant: a temperature and a mixing time come back from text not to the last bit."""
    temperatures = np.array(asked.choices.temperatures_K)
    times = np.array([asked.choices.reference_tmix_s, *asked.choices.mixing_times_s])
    return tuple(
        (float(temperatures[np.argmin(np.abs(temperatures - T_K))]), float(times[np.argmin(np.abs(times - tmix_s))]))
        for T_K, tmix_s in vetoed
    )


def _in_a_row(matrices: Sequence[ExchangeMatrix]) -> int:
    """How many of the last 2Ds are of one temperature."""
    last = matrices[-1].T_K if matrices else 0.0
    return next((n for n, one in enumerate(reversed(matrices)) if abs(one.T_K - last) > 1.0), len(matrices))


def _append(block: dict[str, Any], chosen: Block, asked: Question, *, moved: bool, known: bool) -> None:
    """Write the chosen 2D behind what the procedure has: at the temperature it is at, or in a new visit.

    `known`: there are 2Ds of that temperature, whose lines hold.
    """
    scans = block.get("scans", 8)
    visits = block.setdefault("visits", [{} for _ in block["temperatures"]])
    for visit in visits:  # what was common is said for each, so that nothing that was measured changes
        visit.setdefault("mixing_times", list(block["mixing_times"]))
        given = visit.get("scans", scans)
        visit["scans"] = list(given) if isinstance(given, list) else [given] * len(visit["mixing_times"])
    times, numbers = [time_text(chosen.tmix_s)], [chosen.scans]
    if moved:
        if block.get("t1", {}).get("expect") is not None:
            slowest = [time_text(float(f"{asked.model.T1_s(chosen.T_K):.3g}"))]
            block["t1"]["expect"] = _with_one_more(block["t1"]["expect"], slowest, len(block["temperatures"]))
        block["temperatures"] = [*block["temperatures"], celsius_text(chosen.T_K)]
        reference = asked.choices.reference_tmix_s
        if chosen.tmix_s != reference and not known:  # its lines are measured where they have not mixed
            times, numbers = [time_text(reference), *times], [scans, *numbers]
        visits.append({"mixing_times": times, "scans": numbers})
    else:
        visits[-1]["mixing_times"] += times
        visits[-1]["scans"] += numbers


def _with_one_more(expected: Any, new: list[Any], count: int) -> Any:
    """The T1 expected at `count` temperatures - one value, a list, or either for each site - and at one more."""
    if isinstance(expected, Mapping):
        return {site: _with_one_more(one, new, count) for site, one in expected.items()}
    listed = list(expected) if isinstance(expected, list) else [expected]
    return [*(listed + listed[-1:] * count)[:count], *new]


def relaxing_as_measured(asked: Question, measured: Mapping[float, Mapping[str, float]]) -> Relaxing:
    """T1 through what was measured: a value for each phase at the mean temperature, one activation for all."""
    model = asked.model
    points = [
        (T_K, place, T1_s)
        for T_K, table in measured.items()
        for place, phase in enumerate(model.phases)
        if (T1_s := table.get(phase)) is not None
    ]
    if not points:
        return model.relaxing
    x = np.array([1 / (BOLTZMANN_EV_PER_K * T_K) for T_K, _, _ in points])
    which, y = np.array([place for _, place, _ in points]), np.log([T1_s for _, _, T1_s in points])
    Ea_eV = model.relaxing.Ea_eV
    if np.ptp(x) > 0:
        own = [which == place for place in set(which.tolist())]
        dx = np.concatenate([x[one] - x[one].mean() for one in own])
        dy = np.concatenate([y[one] - y[one].mean() for one in own])
        if float(dx @ dx) > 0:
            Ea_eV = float(dx @ dy / (dx @ dx))
    reference_x = 1 / (BOLTZMANN_EV_PER_K * model.reference_K)
    expected = np.log(model.relaxing.at(model.reference_K))
    level = [
        float(np.mean(y[which == place] - Ea_eV * (x[which == place] - reference_x)))
        if np.any(which == place)
        else float(expected[place])
        for place in range(len(model.phases))
    ]
    return Relaxing(T1_s=tuple(float(one) for one in np.exp(level)), reference_K=model.reference_K, Ea_eV=Ea_eV)


def as_noisy_as(asked: Question, seen: Sequence[Seen]) -> Any:
    """The encoding with the noise that the data have, not the one that was believed in."""
    encoding, model = asked.model.encoding, asked.model
    ratios = []
    for one in seen:
        at = one.block
        told = model.sensitivity(
            asked.belief.mean[None], at.T_K, np.array([at.tmix_s]), np.array([at.recycle_delay_s])
        ).values[0, 0, 0]
        scale = float(told.sum()) / float(one.values.sum())  # amplitudes come in counts
        expected = np.diag(model.covariance(at.rows)) / at.scans
        ratios.append(float(np.mean(np.diag(one.covariance) * scale**2) / np.mean(expected)))
    return replace(encoding, noise=encoding.noise * float(np.sqrt(np.median(ratios)))) if ratios else encoding
