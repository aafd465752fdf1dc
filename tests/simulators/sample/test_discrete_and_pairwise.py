"""First-order exchange and the pairwise truth, against their textbook solutions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from labctl_sim_sample._discrete import DiscreteExchange
from labctl_sim_sample._model import Activated, Contact, Discrete, Jump, Pairwise
from labctl_sim_sample._modes import FloatArray
from labctl_sim_sample._pairwise import PairwiseExchange
from labctl_sim_sample._sequences import equilibrium, repeated_exsy

T_K = 293.15


def discrete(p: tuple[float, ...], k: dict[tuple[int, int], float], Ea_eV: float = 0.0) -> Discrete:
    """Build a truth from populations and the rates of some pairs."""
    names = [f"s{index}" for index in range(len(p))]
    return Discrete(
        populations=dict(zip(names, p, strict=True)),
        jumps=tuple(
            Jump(
                source=names[i],
                target=names[j],
                rate_per_s=Activated(value=rate, Ea_eV=Ea_eV, reference_K=T_K),
            )
            for (i, j), rate in k.items()
        ),
        spin_diffusion_per_s=0.0,
    )


def model(truth: Discrete, *T1_s: float) -> DiscreteExchange:
    """Solve a truth with the T1 of each site."""
    rates = 1.0 / np.array(T1_s)
    return DiscreteExchange(truth, lambda _T_K: rates)


def test_saturation_makes_the_cross_peaks_of_unlike_T1_unequal() -> None:
    """For T1 5/50 s and d1 15 s the reference table has 0.0319 and 0.0153, and 0.0353 for both when recovered."""
    exchange = model(discrete((0.6, 0.4), {(0, 1): 0.02}), 5.0, 50.0)
    assert exchange.rates_per_s(T_K)[1, 0] == pytest.approx(0.03)
    saturated = exchange.transfer(T_K, repeated_exsy(math.pi / 2, 15.0, 10.0), 10.0).amplitudes
    assert saturated[0, 1] == pytest.approx(0.0319, abs=5e-5)
    assert saturated[1, 0] == pytest.approx(0.0153, abs=5e-5)
    stayed = exchange.transfer(T_K, repeated_exsy(math.pi / 2, 15.0, 10.0), 10.0).stayed
    leaving = np.array([0.02 + 1 / 5.0, 0.03 + 1 / 50.0])
    polarised = exchange.magnetisation(T_K, repeated_exsy(math.pi / 2, 15.0, 10.0))
    assert stayed == pytest.approx(polarised * np.exp(-leaving * 10.0))
    recovered = exchange.transfer(T_K, equilibrium, 10.0).amplitudes
    assert recovered[0, 1] == pytest.approx(0.0353, abs=5e-5)
    assert recovered[1, 0] == pytest.approx(recovered[0, 1], abs=1e-14)


rates = st.floats(1e-3, 20.0)
times = st.floats(0.2, 200.0)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.tuples(*[st.floats(0.05, 1.0)] * 3),
    k=st.tuples(rates, rates),
    T1_s=st.tuples(times, times, times),
    t_s=st.floats(0.0, 20.0),
    recycle_s=st.floats(0.1, 100.0),
)
def test_eigenmodes_do_what_the_matrix_exponential_does(
    weights: tuple[float, ...], k: tuple[float, float], T1_s: tuple[float, ...], t_s: float, recycle_s: float
) -> None:
    """A = diag(M(d1)) P^T with P = expm(L t), and M(d1) = (1 - expm(L d1)) M_eq: the slow twin."""
    p = np.array(weights) / sum(weights)
    exchange = model(discrete(tuple(p), {(0, 1): k[0], (2, 1): k[1]}), *T1_s)
    jumps = exchange.rates_per_s(T_K)
    assert p[:, None] * jumps == pytest.approx((p[:, None] * jumps).T, rel=1e-12)  # detailed balance
    L = jumps.T - np.diag(jumps.sum(axis=1)) - np.diag(1.0 / np.array(T1_s))
    start = p - expm(L * recycle_s) @ p
    twin = start[:, None] * expm(L * t_s).T
    polarised = repeated_exsy(math.pi / 2, recycle_s, t_s)
    assert exchange.magnetisation(T_K, polarised) == pytest.approx(start, abs=1e-10)
    assert exchange.transfer(T_K, polarised, t_s).amplitudes == pytest.approx(twin, abs=1e-10)


def test_two_sites_with_one_T1_follow_the_closed_form() -> None:
    """A_AA = p_A (p_A + p_B e^-kt) e^-t/T1, A_AB = p_A p_B (1 - e^-kt) e^-t/T1; who stayed decays by its own rate."""
    p, k12, T1_s, t_s = (0.7, 0.3), 1.5, 4.0, 0.8
    k = k12 + k12 * p[0] / p[1]
    transfer = model(discrete(p, {(0, 1): k12}), T1_s, T1_s).transfer(T_K, equilibrium, t_s)
    left = math.exp(-t_s / T1_s)
    assert transfer.amplitudes[0, 0] == pytest.approx(p[0] * (p[0] + p[1] * math.exp(-k * t_s)) * left)
    assert transfer.amplitudes[0, 1] == pytest.approx(p[0] * p[1] * (1.0 - math.exp(-k * t_s)) * left)
    assert transfer.stayed[0] == pytest.approx(p[0] * math.exp(-k12 * t_s) * left)


def test_rates_follow_arrhenius_and_spin_diffusion_does_not() -> None:
    """Doubling by temperature is exp(Ea/k (1/T1 - 1/T2)); spin diffusion is the same at any temperature."""
    hops = discrete((0.6, 0.4), {(0, 1): 0.8}, Ea_eV=0.15)
    ratio = model(hops, 1, 1).rates_per_s(333.15)[0, 1] / model(hops, 1, 1).rates_per_s(T_K)[0, 1]
    assert math.log(ratio) == pytest.approx(0.15 / 8.617333262e-5 * (1 / T_K - 1 / 333.15))
    spins = Discrete(populations=hops.populations, jumps=(), spin_diffusion_per_s=0.5)
    for at_K in (T_K, 373.15):
        assert model(spins, 1, 1).rates_per_s(at_K) == pytest.approx(np.array([[0.0, 0.2], [0.3, 0.0]]))


# ---------------------------------------------------------------------------------------------- pairwise


def pairwise(filling: float, *, kD: float = 1.0) -> PairwiseExchange:
    """Solve three phases, of which a-b and b-c touch, all with a relaxation rate of 0.05 1/s."""
    truth = Pairwise(
        populations={"a": 0.5, "b": 0.3, "c": 0.2},
        contacts=(
            Contact(phases=("a", "b"), kD_per_s=Activated(value=kD, Ea_eV=0.1, reference_K=T_K)),
            Contact(phases=("b", "c"), kD_per_s=Activated(value=10 * kD, Ea_eV=0.1, reference_K=T_K)),
        ),
        filling=filling,
    )
    return PairwiseExchange(truth, lambda _T_K: np.full(3, 0.05))


@pytest.mark.parametrize(("x", "crossed"), [(0.001, 0.103273), (0.01, 0.301753), (0.1, 0.724030), (1.0, 0.874984)])
def test_a_pair_follows_the_product_form(x: float, crossed: float) -> None:
    """Reference table of 1 - P1^3 for cubes that fill half of each axis, scaled to the plateau p_i p_j."""
    amplitudes = pairwise(0.5).transfer(T_K, equilibrium, x).amplitudes
    assert amplitudes[0, 1] * math.exp(0.05 * x) == pytest.approx(0.5 * 0.3 * crossed / (1 - 0.5**3), rel=2e-6)


def test_pairs_keep_symmetry_the_label_and_their_plateau() -> None:
    """Rows sum to p e^-Rt, unlinked pairs never exchange, linked ones end at p_i p_j."""
    p = np.array([0.5, 0.3, 0.2])
    for x in (0.0, 0.02, 50.0):
        amplitudes: FloatArray = pairwise(0.4).transfer(T_K, equilibrium, x).amplitudes * math.exp(0.05 * x)
        assert amplitudes == pytest.approx(amplitudes.T, abs=1e-12)
        assert amplitudes.sum(axis=1) == pytest.approx(p, abs=1e-9)
        assert amplitudes[0, 2] == 0.0
    assert amplitudes[0, 1] == pytest.approx(0.15, rel=1e-6)
    assert amplitudes[1, 2] == pytest.approx(0.06, rel=1e-6)
