"""A belief learns from 2Ds as it should, and the next block follows from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.design.adaptive import Decision, decide
from labctl.design.ahead import rest
from labctl.design.belief import BOLTZMANN_EV_PER_K, Belief, Relaxing
from labctl.design.encoding import Lines
from labctl.design.layered import Layered
from labctl.design.learn import Seen, learn, misfit
from labctl.design.model import Block, Model, information_of
from tests.design.test_proposal import BELIEF, CHOICES, COSTS, ENCODING, PAIR, TEMPERATURES_K, TEN_MEV, layered

FloatArray = NDArray[np.float64]

TWO_LINES = Lines(offset_Hz=(75.0, 0.0), fwhm_Hz=(30.0, 15.0))


def measured(model: Model, truth: FloatArray, block: Block, random: np.random.Generator, gain: float = 1.0) -> Seen:
    """One 2D with the noise that the model reckons with."""
    told = model.sensitivity(truth[None], block.T_K, np.array([block.tmix_s]), np.array([block.recycle_delay_s]))
    covariance = model.covariance(block.rows) / block.scans
    noise = np.linalg.cholesky(covariance) @ random.normal(size=len(covariance))
    return Seen(block=block, values=gain * (told.values[0, 0, 0] + noise), covariance=gain**2 * covariance)


def blocks(model: Model, rows: int = 48, scans: int = 64) -> list[Block]:
    """Two mixing times at each end and one between."""
    return [
        Block(T_K=T_K, tmix_s=t, recycle_delay_s=1.5 * model.T1_s(T_K), rows=rows, scans=scans)
        for T_K, times in ((293.15, (1.5, 5.0)), (333.15, (3.0,)), (373.15, (0.7, 2.0)))
        for t in times
    ]


def test_nothing_seen_changes_nothing() -> None:
    """The posterior of no data is the prior."""
    assert learn(PAIR, BELIEF, []) is BELIEF


def test_the_order_of_2ds_does_not_matter() -> None:
    """Replayed in any order, the same data leave the same belief."""
    random = np.random.default_rng(3)
    seen = [measured(PAIR, BELIEF.mean, block, random) for block in blocks(PAIR)]
    forth, back = learn(PAIR, BELIEF, seen), learn(PAIR, BELIEF, seen[::-1])
    assert forth.mean == pytest.approx(back.mean, abs=1e-7)
    assert forth.covariance == pytest.approx(back.covariance, rel=1e-6)


def test_errors_after_learning_are_honest_for_samples_of_the_belief() -> None:
    """Over 60 samples drawn from the belief, Ea lies within its stated error as often as it should."""
    random = np.random.default_rng(11)
    prior = replace(BELIEF, covariance=np.diag([0.05, 0.6, 0.03]) ** 2)
    z = []
    for _ in range(60):
        truth = random.multivariate_normal(prior.mean, prior.covariance)
        found = learn(PAIR, prior, [measured(PAIR, truth, block, random) for block in blocks(PAIR)])
        z.append((found.mean[2] - truth[2]) / np.sqrt(found.covariance[2, 2]))
    rms = float(np.sqrt(np.mean(np.square(z))))
    assert 0.75 < rms < 1.3, rms  # 3 standard errors of an rms over 60


def test_the_posterior_of_much_data_has_the_width_that_was_forecast() -> None:
    """Information predicted at the truth is what learning from data with a gain of their own leaves."""
    model, prior = layered()
    random = np.random.default_rng(5)
    plan = blocks(model, scans=64)
    found = learn(model, prior, [measured(model, prior.mean, block, random, gain=3.0e4) for block in plan])
    told = information_of(model, prior.mean[None], plan)[0] + prior.precision()
    expected = np.sqrt(np.diag(np.linalg.inv(told)))
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(expected, rel=0.35)
    pull = (found.mean - prior.mean) / expected
    assert float(np.abs(pull).max()) < 4


def test_what_might_be_the_other_way_round_is_not_taken_for_known() -> None:
    """Data that do not say which of two phases is the slow one leave both doubtful; the truth lies within."""
    model = Layered(
        phases=("A", "B"), relaxing=Relaxing(T1_s=(16.7, 16.7), Ea_eV=0.09), encoding=replace(ENCODING, lines=TWO_LINES)
    )
    prior = Belief.of(model.names, [-5.0, -4.9, 0.12, 0.12, 0.0, 0.0], [1.2, 1.2, 0.05, 0.05, 1e-3, 0.03])
    random = np.random.default_rng(4)
    z = []
    for _ in range(3):
        truth = random.multivariate_normal(prior.mean, prior.covariance)
        told = [measured(model, truth, block, random) for block in blocks(model, scans=16)]
        found = learn(model, prior, told)
        mirrored = found.mean[[1, 0, 3, 2, 4, 5]]
        assert any(np.allclose(one, mirrored) for one in model.mirrored(found.mean))
        off = (found.mean - truth) / np.sqrt(np.diag(found.covariance))
        z += off[:4].tolist()
    assert float(np.sqrt(np.mean(np.square(z)))) < 1.5
    assert max(map(abs, z)) < 4


def test_data_that_scatter_more_than_their_noise_widen_errors() -> None:
    """With noise said to be half of what it is chi2_red is about 4, and errors stated by the data double."""
    random = np.random.default_rng(8)
    seen = [measured(PAIR, BELIEF.mean, block, random) for block in blocks(PAIR) * 12]
    boasting = [replace(one, covariance=one.covariance / 4) for one in seen]
    found = learn(PAIR, BELIEF, boasting)
    chi2, dof = misfit(PAIR, BELIEF, found, boasting)
    assert dof == len(seen) - 3
    assert 2.5 < chi2 / dof < 5.7
    trusting, wary = (found.without(BELIEF, PAIR.names, scatter=one) for one in (1.0, chi2 / dof))
    assert np.sqrt(np.linalg.inv(wary)[2, 2] / np.linalg.inv(trusting)[2, 2]) == pytest.approx(
        np.sqrt(chi2 / dof), rel=0.05
    )


def next_after(belief: Belief, **kw: object) -> Decision:
    """Return the decision for the usual question."""
    return decide(PAIR, belief, TEN_MEV, CHOICES, COSTS, **kw)  # type: ignore[arg-type]  # keywords pass through


def test_it_stops_at_the_goal_and_at_the_budget_and_says_which() -> None:
    """Reached errors end the campaign; so do too few hours, with the error that is left."""
    sure = replace(BELIEF, covariance=np.diag([0.05, 0.1, 0.009]) ** 2)
    done = next_after(sure)
    assert done.block is None
    assert done.stop == "goal"
    poor = decide(PAIR, BELIEF, TEN_MEV, replace(CHOICES, budget_s=3600 * 100), COSTS, spent_s=99.9 * 3600)
    assert poor.block is None
    assert poor.stop == "budget"
    assert "0.1 h left" in poor.reason
    assert "Ea_eV" in poor.reason


def test_a_visit_elsewhere_is_paid_for() -> None:
    """With dear visits it stays where it is while something can be learnt there, or goes where a visit is free."""
    random = np.random.default_rng(2)
    belief = learn(PAIR, BELIEF, [measured(PAIR, BELIEF.mean, block, random) for block in blocks(PAIR, scans=16)])
    away = {T_K: 1e7 * (TEMPERATURES_K[0] != T_K) for T_K in TEMPERATURES_K}
    for at_K in (TEMPERATURES_K[0], TEMPERATURES_K[-1]):
        dear = replace(COSTS, per_temperature_s=dict.fromkeys(TEMPERATURES_K, 1e7))
        stays = decide(PAIR, belief, TEN_MEV, CHOICES, dear, at_K=at_K)
        assert stays.block is not None
        assert at_K == stays.block.T_K
    drawn = decide(PAIR, belief, TEN_MEV, CHOICES, replace(COSTS, per_temperature_s=away), at_K=TEMPERATURES_K[2])
    assert drawn.block is not None
    assert drawn.block.T_K in (TEMPERATURES_K[0], TEMPERATURES_K[2])


def test_the_goal_is_not_reached_before_the_middle_was_looked_at() -> None:
    """An Ea from two temperatures hides curvature: however small its error, the last 2D lies between them."""
    ends = [
        Block(T_K=T_K, tmix_s=2.0, recycle_delay_s=20.0, rows=48, scans=64)
        for T_K in (TEMPERATURES_K[0], TEMPERATURES_K[-1])
    ]
    sure = replace(BELIEF, covariance=np.diag([0.05, 0.1, 0.009]) ** 2)
    found = next_after(sure, visited=ends, at_K=TEMPERATURES_K[-1])
    assert found.block is not None
    assert TEMPERATURES_K[0] < found.block.T_K < TEMPERATURES_K[-1]
    last = replace(found.block, scans=max(found.block.scans, 32))
    assert next_after(sure, visited=[*ends, last], at_K=last.T_K).stop == "goal"


def test_it_stops_where_all_hours_left_would_tell_nothing() -> None:
    """Of a sample that does not exchange the Ea stays unknown; the campaign says so instead of spending its budget."""
    still = replace(BELIEF, mean=np.array([1.0, np.log(1e-9), 0.12]), covariance=np.diag([0.05, 0.5, 0.05]) ** 2)
    found = decide(PAIR, still, TEN_MEV, replace(CHOICES, budget_s=3600 * 200), COSTS, at_K=TEMPERATURES_K[0])
    assert found.block is None
    assert found.stop == "null"
    assert "would not tell more" in found.reason


def test_visits_are_not_spent_that_are_not_allowed() -> None:
    """With one change of temperature left, what remains is planned for here and one other place."""
    wanted = replace(CHOICES, rows=(32,), recycle_factors=(1.5,), most_visits=1, budget_s=3600 * 200)
    ahead = rest(
        PAIR,
        BELIEF,
        TEN_MEV,
        wanted,
        COSTS,
        spent_s=0.0,
        at_K=TEMPERATURES_K[0],
        visited=blocks(PAIR),
        have=BELIEF.precision(),
        points=4,
    )
    assert len({block.T_K for block in ahead.blocks} - {TEMPERATURES_K[0]}) <= 1


def test_the_same_knowledge_gives_the_same_decision() -> None:
    """Replay must agree: nothing in a decision is random."""
    assert next_after(BELIEF) == next_after(BELIEF)


def test_following_it_beats_the_usual_grid_eighteenfold() -> None:
    """For samples of the belief Ea +- 10 meV takes a median of less than 1/18 of the grid's hours, visits included."""
    random = np.random.default_rng(7)
    lever = -(1 / 333.15 - 1 / 293.15) / BOLTZMANN_EV_PER_K
    covariance = np.array(
        [[0.05**2, 0, 0], [0, 1.2**2 + lever**2 * 0.05**2, lever * 0.05**2], [0, lever * 0.05**2, 0.05**2]]
    )
    prior = Belief(names=PAIR.names, mean=np.array([1.0, np.log(0.003) + 0.12 * lever, 0.12]), covariance=covariance)
    gains = []
    for _ in range(5):
        truth = random.multivariate_normal(prior.mean, prior.covariance)
        belief, spent_s, at_K = prior, 0.0, None
        seen: list[Seen] = []
        while (
            found := decide(
                PAIR,
                belief,
                TEN_MEV,
                replace(CHOICES, rows=(32,), recycle_factors=(1.5,)),
                COSTS,
                spent_s=spent_s,
                at_K=at_K,
                visited=[one.block for one in seen],
            )
        ).block is not None:
            spent_s, at_K = spent_s + found.offers[0].seconds, found.block.T_K
            seen.append(measured(PAIR, truth, found.block, random))
            belief = learn(PAIR, prior, seen)
        grid = [
            Block(T_K=T_K, tmix_s=t, recycle_delay_s=3 * PAIR.T1_s(T_K), rows=320, scans=8)
            for T_K in TEMPERATURES_K
            for t in (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
        ]
        told = information_of(PAIR, truth[None], grid)[0] + prior.precision(without=["Ea_eV"])
        usual = float(np.sqrt(np.linalg.inv(told)[2, 2]))
        gains.append(COSTS.total_s(grid) * (usual / np.sqrt(belief.covariance[2, 2])) ** 2 / spent_s)
    assert float(np.median(gains)) >= 18, gains
