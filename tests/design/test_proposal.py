"""A proposal spends few hours, keeps to what it may choose from, and says what it rests on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.design.belief import Belief, Relaxing
from labctl.design.costs import Costs
from labctl.design.encoding import Encoding, Lines
from labctl.design.layered import Layered
from labctl.design.model import Block, information_of, standard_errors
from labctl.design.pair import Pair
from labctl.design.proposal import Choices, Goal, forecast, propose

TEMPERATURES_K = tuple(float(T_K) for T_K in np.linspace(293.15, 373.15, 5))
ENCODING = Encoding(
    lines=Lines(offset_Hz=tuple(73.578 * ppm for ppm in (2.31, 1.29, -4.56)), fwhm_Hz=(30, 15, 40)),
    increment_s=0.8e-3,
    noise=0.01,
)
PAIR = Pair(relaxing=Relaxing(T1_s=(16.7,), Ea_eV=0.09), noise=0.0166, encoding=ENCODING)
BELIEF = Belief.of(PAIR.names, [1.0, np.log(0.0055), 0.12], [0.05, 1.2, 0.05])
COSTS = Costs(
    increment_s=0.8e-3,
    per_scan_s=0.15,
    dummy_scans=4,
    per_dataset_s=600,
    per_temperature_s=dict.fromkeys(TEMPERATURES_K, 7200.0),
    once_s=3600,
)
CHOICES = Choices(
    temperatures_K=TEMPERATURES_K,
    mixing_times_s=(0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15),
    rows=(32, 48),
)
TEN_MEV = Goal(se={"Ea_eV": 0.010})


def test_a_proposal_reaches_the_goal_in_a_twelfth_of_the_hours_of_the_usual_grid() -> None:
    """At equal standard error, overheads included, five temperatures by seven mixing times cost over 12 times more."""
    found = propose(PAIR, BELIEF, TEN_MEV, CHOICES, COSTS)
    assert found.meets(TEN_MEV)
    grid = [
        Block(T_K=T_K, tmix_s=t, recycle_delay_s=3 * PAIR.T1_s(T_K), rows=320, scans=8)
        for T_K in TEMPERATURES_K
        for t in (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
    ]
    usual = forecast(PAIR, BELIEF, ("Ea_eV",), grid, COSTS)
    equal_s = usual.seconds * (usual.se["Ea_eV"] / found.se["Ea_eV"]) ** 2
    assert equal_s / found.seconds >= 12


def test_what_is_forecast_is_what_the_information_says() -> None:
    """Standard errors of a proposal follow from its own blocks and from what is believed of the other parameters."""
    found = propose(PAIR, BELIEF, TEN_MEV, CHOICES, COSTS)
    told = information_of(PAIR, BELIEF.mean[None], found.blocks)[0]
    told[0, 0] += 1 / 0.05**2
    told[1, 1] += 1 / 1.2**2
    assert found.se["Ea_eV"] == pytest.approx(float(standard_errors(told)[2]), rel=1e-9)
    assert found.seconds == pytest.approx(COSTS.total_s(found.blocks))


def test_what_an_analysis_fits_costs_hours_however_sure_an_author_is() -> None:
    """Where populations, too, are fitted, a proposal reaches the goal by data alone, and takes longer for it."""
    few = replace(CHOICES, temperatures_K=TEMPERATURES_K[::2], rows=(32,))
    sure = propose(PAIR, BELIEF, TEN_MEV, few, COSTS, points=4)
    found = propose(PAIR, BELIEF, TEN_MEV, few, COSTS, fitted=PAIR.names, points=4)
    by_data = information_of(PAIR, BELIEF.mean[None], found.blocks)[0]
    assert found.se["Ea_eV"] == pytest.approx(float(standard_errors(by_data)[2]), rel=0.01)
    assert standard_errors(by_data)[2] <= 1.01 * TEN_MEV.se["Ea_eV"]
    assert found.seconds > sure.seconds
    assert forecast(PAIR, BELIEF, ("Ea_eV",), sure.blocks, COSTS, fitted=PAIR.names).se["Ea_eV"] > sure.se["Ea_eV"]


@settings(max_examples=12, deadline=None)
@given(
    budget_h=st.floats(min_value=20, max_value=80),
    middle=st.floats(min_value=0.05, max_value=0.4),
    longest_h=st.floats(min_value=3, max_value=20),
    most=st.integers(min_value=2, max_value=5),
)
def test_a_proposal_keeps_to_its_choices(budget_h: float, middle: float, longest_h: float, most: int) -> None:
    """Budget, whole phase cycles, longest 2D, reference 2Ds, number of mixing times and the middle's share are kept."""
    choices = replace(
        CHOICES,
        budget_s=3600 * budget_h,
        middle_share=middle,
        longest_dataset_s=3600 * longest_h,
        most_mixing_times=most,
    )
    found = propose(PAIR, BELIEF, Goal(se={"Ea_eV": 0.001}), choices, COSTS, points=4)
    assert found.seconds <= 3600 * budget_h
    visited = {block.T_K for block in found.blocks}
    assert {TEMPERATURES_K[0], TEMPERATURES_K[-1]} < visited
    for T_K in visited:
        times = [block.tmix_s for block in found.blocks if block.T_K == T_K]
        assert choices.reference_tmix_s in times
        assert len(times) == len(set(times)) <= most
    for block in found.blocks:
        assert block.scans % 8 == 0
        assert block.transients * COSTS.scan_s(block) <= 3600 * longest_h or block.scans == 8
    inner = [block for block in found.blocks if TEMPERATURES_K[0] < block.T_K < TEMPERATURES_K[-1]]
    largest = max(COSTS.dataset_s(block) / block.scans * 8 for block in found.blocks)
    spent = sum(map(COSTS.dataset_s, found.blocks))
    full = all(block.transients * COSTS.scan_s(block) * (1 + 8 / block.scans) > 3600 * longest_h for block in inner)
    assert sum(map(COSTS.dataset_s, inner)) >= middle * spent - largest - COSTS.per_dataset_s or full


def test_more_hours_never_hurt() -> None:
    """The expected standard error falls with the budget."""
    goal = Goal(se={"Ea_eV": 1e-4})
    errors = [
        propose(PAIR, BELIEF, goal, replace(CHOICES, budget_s=3600 * hours), COSTS, points=4).se["Ea_eV"]
        for hours in (20, 40, 80)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_a_parameter_the_model_lacks_is_refused() -> None:
    """The message names what the model has."""
    with pytest.raises(ValueError, match="it has plateau, ln kD, Ea_eV"):
        propose(PAIR, BELIEF, Goal(se={"Ea": 0.01}), CHOICES, COSTS)


def layered() -> tuple[Layered, Belief]:
    """Li2S in LiI in LPSC, as fast as the model experiment's."""
    model = Layered(
        phases=("Li2S", "LiI", "LPSC"),
        relaxing=Relaxing(T1_s=(16.7, 16.7, 16.7), Ea_eV=0.09),
        encoding=ENCODING,
        densities=(43.5, 18.3, 22.1),
    )
    mean = [-5.15, -4.1, 0.56, 0.142, 0.107, 0.117, np.log(0.95), np.log(0.459 / 0.4645), np.log(0.0765 / 0.4645)]
    return model, Belief.of(model.names, mean, [0.5, 0.5, 1.0, 0.05, 0.05, 0.05, 0.05, 0.05, 0.1])


def test_unmixed_and_fully_relaxed_phases_show_their_populations() -> None:
    """A is diag(p) at a mixing time of 0 after a long recycle delay, and saturated phases recover as 1 - exp(-d/T1)."""
    model, belief = layered()
    slow = belief.mean[None].copy()
    slow[0, :3] = -40.0
    A = model.amplitudes(slow, 293.15, np.array([0.0, 4.0]), np.array([1000.0, 10.0]))[0]
    p = np.array([0.459, 0.0765, 0.4645])
    assert A[0, 0] == pytest.approx(np.diag(p), abs=1e-9)
    recovered = (1 - np.exp(-10 / 16.7)) * np.exp(-4 / 16.7)
    assert A[1, 1] == pytest.approx(np.diag(p) * recovered, abs=1e-9)


def test_derivatives_of_the_layered_model_hold() -> None:
    """A small step along every parameter changes the amplitudes by the Jacobian times the step."""
    model, belief = layered()
    theta = belief.mean[None]
    times, delays = np.array([0.5, 5.0]), np.array([10.0, 30.0])
    seen = model.sensitivity(theta, 313.15, times, delays)
    for index, name in enumerate(model.names):
        step = np.zeros_like(theta)
        step[0, index] = 1e-3
        ahead = model.amplitudes(theta + step, 313.15, times, delays).reshape(seen.values.shape)
        behind = model.amplitudes(theta - step, 313.15, times, delays).reshape(seen.values.shape)
        assert seen.jacobian[..., index] == pytest.approx((ahead - behind) / 2e-3, rel=1e-3, abs=1e-7), name


def test_an_unidentifiable_phase_is_not_promised() -> None:
    """The fastest phase's Ea stays as unknown as it was, whatever is spent, and the forecast shows it."""
    model, belief = layered()
    few = replace(CHOICES, mixing_times_s=(0.5, 2, 7), rows=(48,), recycle_factors=(1.5,), budget_s=3600 * 200)
    found = propose(model, belief, Goal(se={"Ea_eV LPSC": 0.010}), few, COSTS, points=2)
    assert not found.meets(Goal(se={"Ea_eV LPSC": 0.010}))
    assert found.se["Ea_eV LPSC"] > 0.1
