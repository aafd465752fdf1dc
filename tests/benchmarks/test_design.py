"""What deciding the next 2D and proposing a whole campaign cost, for two phases and for three."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from labctl.design.adaptive import decide
from labctl.design.belief import Belief, Relaxing
from labctl.design.costs import Costs
from labctl.design.encoding import Encoding, Lines
from labctl.design.layered import Layered
from labctl.design.learn import Seen, learn
from labctl.design.model import Block
from labctl.design.proposal import Choices, Goal, propose

TEMPERATURES_K = (293.15, 313.15, 333.15, 353.15, 373.15)
COSTS = Costs(
    increment_s=0.8e-3,
    dummy_scans=4,
    per_dataset_s=440.0,
    per_temperature_s=dict.fromkeys(TEMPERATURES_K, 5000.0),
    once_s=6500.0,
)
CHOICES = Choices(
    temperatures_K=TEMPERATURES_K,
    mixing_times_s=(0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0),
    budget_s=400 * 3600.0,
)
COATED = (-5.15, -4.1, 0.56, 0.142, 0.107, 0.117, 0.0, np.log(0.459 / 0.4645), np.log(0.0765 / 0.4645))


def case(phases: int) -> tuple[Layered, Belief, Goal]:
    """Two phases of one diffusivity, or Li2S coated with LiI in LPSC; two energies of the latter are wanted."""
    lines = Lines(offset_Hz=(170.0, -336.0, 95.0)[:phases], fwhm_Hz=(30.0, 40.0, 15.0)[:phases])
    model = Layered(
        phases=("Li2S", "LiI", "LPSC")[:phases],
        relaxing=Relaxing(T1_s=(16.7,) * phases, Ea_eV=0.09),
        encoding=Encoding(lines=lines, increment_s=0.8e-3, noise=0.005),
        equal_D=phases == 2,
    )
    mean = COATED if phases == 3 else (-5.2, 0.12, 0.0, 0.0)
    sd = (1.1,) * 3 + (0.05,) * 3 + (1e-4, 0.03, 0.03) if phases == 3 else (1.2, 0.05, 1e-4, 0.03)
    names = ("Ea_eV Li2S", "Ea_eV LiI") if phases == 3 else ("Ea_eV",)
    return model, Belief.of(model.names, mean, sd), Goal(se=dict.fromkeys(names, 0.015))


@pytest.mark.parametrize("phases", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_deciding_the_next_2d(benchmark: Any, phases: int) -> None:
    """Learning from six 2Ds and planning the rest from them."""
    model, prior, goal = case(phases)
    random = np.random.default_rng(1)
    blocks = [
        Block(T_K=T_K, tmix_s=t, recycle_delay_s=1.5 * model.T1_s(T_K), rows=32, scans=16)
        for T_K in (293.15, 373.15)
        for t in (0.01, 1.0, 5.0)
    ]
    seen = []
    for one in blocks:
        told = model.sensitivity(prior.mean[None], one.T_K, np.array([one.tmix_s]), np.array([one.recycle_delay_s]))
        covariance = model.covariance(one.rows) / one.scans
        noise = np.linalg.cholesky(covariance) @ random.normal(size=len(covariance))
        seen.append(Seen(block=one, values=told.values[0, 0, 0] + noise, covariance=covariance))
    fixed = Choices(
        temperatures_K=CHOICES.temperatures_K,
        mixing_times_s=CHOICES.mixing_times_s,
        recycle_factors=(1.5,),
        rows=(32,),
        budget_s=CHOICES.budget_s,
    )

    def next_2d() -> bool:
        belief = learn(model, prior, seen)
        found = decide(model, belief, goal, fixed, COSTS, spent_s=20 * 3600.0, at_K=373.15, visited=blocks)
        return found.block is not None

    assert benchmark.pedantic(next_2d, rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("phases", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_proposing_a_campaign(benchmark: Any, phases: int) -> None:
    """Temperatures, mixing times, recycle delay, rows and scans from a prior."""
    model, prior, goal = case(phases)
    found = benchmark.pedantic(lambda: propose(model, prior, goal, CHOICES, COSTS), rounds=2)
    assert found.blocks
