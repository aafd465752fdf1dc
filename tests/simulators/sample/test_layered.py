"""Diffusion through layers, against closed forms, published-in-house tables and itself on finer grids."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfcx

from labctl_sim_sample._discrete import DiscreteExchange
from labctl_sim_sample._layered import LayeredExchange, finite_volume_modes, populations
from labctl_sim_sample._model import Activated, Discrete, Jump, Layer, Layered
from labctl_sim_sample._modes import FloatArray, Polarisation
from labctl_sim_sample._sequences import equilibrium

T_K = 293.15


def steady(value: float, Ea_eV: float = 0.0) -> Activated:
    """Return what holds at `T_K`."""
    return Activated(value=value, Ea_eV=Ea_eV, reference_K=T_K)


def layered(
    *layers: tuple[float, float, float], geometry: Literal["sphere", "slab"] = "sphere", flux: float | None = None
) -> Layered:
    """Build a truth from (outer, density, kD) of each layer, the same flux through every interface."""
    return Layered(
        geometry=geometry,
        layers=tuple(
            Layer(
                phase=f"phase{index}",
                outer=outer,
                density_per_nm3=density,
                kD_per_s=steady(kD),
                flux_per_s=None if flux is None or index == len(layers) - 1 else steady(flux),
            )
            for index, (outer, density, kD) in enumerate(layers)
        ),
        spin_diffusion_per_s=0.0,
    )


def paper_truth() -> Layered:
    """The paper-like particle: radii, densities, D/R1^2 and activation energies of Li2S | LiI | LPSC."""
    rows = (
        ("Li2S", 1.0, 43.5, 0.0030, 0.142),
        ("LiI", 1.11767, 18.3, 0.010, 0.107),
        ("LPSC", 1.50194, 22.1, 1.0, 0.117),
    )
    return Layered(
        geometry="sphere",
        layers=tuple(
            Layer(phase=phase, outer=outer, density_per_nm3=density, kD_per_s=steady(kD, Ea), flux_per_s=None)
            for phase, outer, density, kD, Ea in rows
        ),
        spin_diffusion_per_s=0.0,
    )


def exchange(truth: Layered, *, T1_s: float | FloatArray = math.inf, cells: int = 100) -> LayeredExchange:
    """Solve a truth with one T1 or one for each layer."""
    rates = np.broadcast_to(1.0 / np.asarray(T1_s), len(truth.layers))
    return LayeredExchange(truth, lambda _T_K: rates, cells=cells)


def mixing(truth: Layered, t_s: float, *, T1_s: float | FloatArray = math.inf, cells: int = 100) -> FloatArray:
    """Return the mixing matrix of recovered spins."""
    return exchange(truth, T1_s=T1_s, cells=cells).transfer(T_K, equilibrium, t_s).amplitudes


REFERENCE_TMIX_S = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
# Reference table: two solvers of another kind, which agreed to 2e-8, rounded to 4 digits.
REFERENCE_TABLE = {
    (293.15, 0, 2): (0.0000, 0.0001, 0.0077, 0.0202, 0.0409, 0.0810, 0.1183, 0.1564),
    (293.15, 0, 1): (0.0037, 0.0117, 0.0191, 0.0193, 0.0189, 0.0202, 0.0233, 0.0276),
    (293.15, 2, 1): (0.0075, 0.0234, 0.0416, 0.0466, 0.0491, 0.0486, 0.0460, 0.0422),
    (373.15, 0, 2): (0.0000, 0.0020, 0.0275, 0.0527, 0.0869, 0.1400, 0.1774, 0.2030),
    (373.15, 0, 1): (0.0062, 0.0179, 0.0205, 0.0204, 0.0218, 0.0263, 0.0305, 0.0338),
    (373.15, 2, 1): (0.0119, 0.0341, 0.0467, 0.0481, 0.0473, 0.0434, 0.0396, 0.0367),
}


@pytest.mark.parametrize("at_K", [293.15, 373.15])
def test_the_paper_like_particle_gives_the_reference_table(at_K: float) -> None:
    """All cross peaks agree with the reference table to its last digit."""
    solver = exchange(paper_truth())
    matrices = [solver.transfer(at_K, equilibrium, t_s).amplitudes for t_s in REFERENCE_TMIX_S]
    for (row_K, i, j), expected in REFERENCE_TABLE.items():
        if row_K == at_K:
            assert [matrix[i, j] for matrix in matrices] == pytest.approx(expected, abs=5.1e-5)


def test_populations_follow_from_radii_and_densities() -> None:
    """The fractions are shell volumes times density, as quoted for a 1:1 mass mixture."""
    assert list(populations(paper_truth()).values()) == pytest.approx([0.459, 0.0765, 0.4645], abs=1e-4)


kDs = st.floats(-3.0, 1.0).map(lambda exponent: 10.0**exponent)
particles = st.builds(
    lambda outers, densities, diffusivities, geometry, flux: layered(
        *zip(np.cumsum([1.0, *outers]), densities, diffusivities, strict=True), geometry=geometry, flux=flux
    ),
    st.tuples(st.floats(0.05, 1.0), st.floats(0.05, 1.0)),
    st.tuples(*[st.floats(5.0, 60.0)] * 3),
    st.tuples(kDs, kDs, kDs),
    st.sampled_from(["sphere", "slab"]),
    st.none() | st.floats(0.05, 10.0),
)


@settings(max_examples=25, deadline=None)
@given(truth=particles, t_s=st.floats(1e-3, 30.0), T1_s=st.floats(0.5, 100.0))
def test_mixing_is_symmetric_conserves_the_label_and_decays_by_a_common_T1(
    truth: Layered, t_s: float, T1_s: float
) -> None:
    """A = A^T and sum_j A_ij = p_i exp(-t/T1), whatever the particle."""
    p = np.array(list(populations(truth).values()))
    amplitudes = mixing(truth, t_s, T1_s=T1_s, cells=20)
    assert amplitudes == pytest.approx(amplitudes.T, abs=1e-11)
    # The decay passes through an eigensolver, good to about 1e-8 of the largest rate here.
    assert amplitudes.sum(axis=1) == pytest.approx(p * math.exp(-t_s / T1_s), abs=1e-8)


@settings(max_examples=15, deadline=None)
@given(truth=particles)
def test_mixing_begins_on_the_diagonal_and_ends_at_the_product_of_populations(truth: Layered) -> None:
    """A(0) = diag(p), and A -> p p^T; what never left is all of it at first and none in the end."""
    p = np.array(list(populations(truth).values()))
    solver = exchange(truth, cells=20)
    first, last = (solver.transfer(T_K, equilibrium, t_s) for t_s in (0.0, 1e5))
    assert first.amplitudes == pytest.approx(np.diag(p), abs=1e-11)
    assert first.stayed == pytest.approx(p, abs=1e-11)
    assert last.amplitudes == pytest.approx(np.outer(p, p), abs=1e-5)
    assert last.stayed == pytest.approx(np.zeros(3), abs=1e-9)


def test_unequal_T1_leave_the_matrix_of_recovered_spins_symmetric() -> None:
    """Cross peaks of a pair are equal for any T1 as long as all phases start recovered."""
    amplitudes = mixing(paper_truth(), 5.0, T1_s=np.array([150.0, 60.0, 5.0]))
    assert amplitudes == pytest.approx(amplitudes.T, abs=1e-12)


def test_cells_converge_with_second_order_and_richardson_beyond() -> None:
    """Twice the cells, a quarter of the error; two grids together leave less than 2e-7."""
    truth, rates = paper_truth(), np.zeros(3)
    finest = exchange(truth, cells=200)
    exact = finest.transfer(T_K, equilibrium, 0.1).amplitudes

    def error(cells: int) -> float:
        modes = finite_volume_modes(truth, T_K, rates, cells=cells)
        return float(np.abs(modes.transfer(equilibrium, 0.1).amplitudes - exact).max())

    assert math.log2(error(50) / error(100)) == pytest.approx(2.0, abs=0.05)
    assert math.log2(error(100) / error(200)) == pytest.approx(2.0, abs=0.05)
    usual = exchange(truth)
    for t_s in (0.001, 0.01, 1.0, 20.0):
        expected = finest.transfer(T_K, equilibrium, t_s).amplitudes
        assert usual.transfer(T_K, equilibrium, t_s).amplitudes == pytest.approx(expected, abs=2e-7)


def lamellar_stay(f: float, x: float) -> float:
    """Label left in its own lamella of a periodic array, x = D t / d^2 (cosine series)."""
    n = np.arange(1, 4000)
    series = np.sin(n * math.pi * f) ** 2 / n**2 * np.exp(-4.0 * (math.pi * n * f) ** 2 * x)
    return float(f + 2.0 / (math.pi**2 * f) * series.sum())


@pytest.mark.parametrize("x", [0.001, 0.01, 0.1, 1.0])
def test_equal_slabs_follow_the_series_of_a_periodic_array(x: float) -> None:
    """A two-layer slab is half a lamella and half a gap."""
    f = 0.3
    amplitudes = mixing(layered((1.0, 20.0, 1.0), (1.0 / f, 20.0, 1.0), geometry="slab"), 4.0 * x)
    assert amplitudes[0, 0] / f == pytest.approx(lamellar_stay(f, x), abs=1e-7)


@pytest.mark.parametrize("t_s", [0.001, 0.01, 0.1, 1.0])
def test_spins_that_never_left_the_core_survive_as_in_a_sphere_with_a_perfect_sink(t_s: float) -> None:
    """The stayed part of the core is Crank's series, whatever lies outside."""
    n = np.arange(1, 2000)
    survived = 6.0 / math.pi**2 * float(np.sum(np.exp(-((n * math.pi) ** 2) * t_s) / n**2))
    truth = layered((1.0, 20.0, 1.0), (1.3, 5.0, 10.0))
    stayed = exchange(truth).transfer(T_K, equilibrium, t_s).stayed
    assert stayed[0] / populations(truth)["phase0"] == pytest.approx(survived, abs=2e-6)


@pytest.mark.parametrize("flux", [None, 0.3, 3.0])
def test_early_transfer_through_a_plane_is_known_in_closed_form(flux: float | None) -> None:
    """Before any face is felt, N/S grows as for two half spaces, with and without a contact resistance."""
    c1, c2, D1, D2, t_s = 30.0, 20.0, 0.01, 0.04, 0.3
    truth = layered((1.0, c1, D1), (3.0, c2, D2), geometry="slab", flux=flux)
    if flux is None:
        crossed = 2.0 / math.sqrt(math.pi) * math.sqrt(t_s) / (1.0 / (c1 * math.sqrt(D1)) + 1.0 / (c2 * math.sqrt(D2)))
    else:
        j0 = flux * c1
        H = j0 / (c1 * math.sqrt(D1)) + j0 / (c2 * math.sqrt(D2))
        root = math.sqrt(t_s)
        crossed = j0 / H**2 * (float(erfcx(H * root)) - 1.0 + 2.0 * H * root / math.sqrt(math.pi))
    assert mixing(truth, t_s)[0, 1] == pytest.approx(crossed / (c1 + 2.0 * c2), rel=1e-5)


def test_spin_diffusion_moves_the_label_without_any_ion_moving() -> None:
    """It adds to every kD, also where nothing diffuses otherwise."""
    frozen = layered((1.0, 20.0, 1e-12), (1.3, 20.0, 1e-12))
    spins = Layered(geometry="sphere", layers=frozen.layers, spin_diffusion_per_s=0.02)
    assert mixing(frozen, 1.0)[0, 1] == pytest.approx(0.0, abs=1e-5)
    assert mixing(spins, 1.0) == pytest.approx(mixing(layered((1.0, 20.0, 0.02), (1.3, 20.0, 0.02)), 1.0), abs=1e-9)


def test_saturation_is_drawn_from_the_profile_inside_each_phase() -> None:
    """With a fast-relaxing shell, spins near its face are better polarised and cross sooner than the average one."""
    truth = layered((1.0, 20.0, 0.05), (1.3, 20.0, 0.05))
    solver = exchange(truth, T1_s=np.array([100.0, 1.0]))

    def recycled(rates_per_s: FloatArray) -> FloatArray:
        return 1.0 - np.exp(-3.0 * rates_per_s)

    polarised: Polarisation = recycled
    p = np.array(list(populations(truth).values()))
    scaled = solver.magnetisation(T_K, polarised)[0] / p[0] * solver.transfer(T_K, equilibrium, 0.1).amplitudes[0, 1]
    assert solver.transfer(T_K, polarised, 0.1).amplitudes[0, 1] > 1.2 * scaled


def test_slow_faces_between_fast_layers_make_first_order_exchange() -> None:
    """With stirred layers only the fluxes j0 * area count: rates j0 S / (c V), also for who stayed."""
    flux, radii, densities = 0.2, (1.0, 1.3, 1.7), (30.0, 10.0, 20.0)
    truth = layered(*((radius, density, 1e4) for radius, density in zip(radii, densities, strict=True)), flux=flux)
    amounts = np.array(densities) * np.diff([0.0, *np.power(radii, 3)]) / 3.0
    names = [layer.phase for layer in truth.layers]
    stirred = Discrete(
        populations=dict(zip(names, amounts / amounts.sum(), strict=True)),
        jumps=tuple(
            Jump(
                source=names[index],
                target=names[index + 1],
                rate_per_s=steady(flux * densities[0] * radii[index] ** 2 / amounts[index]),
            )
            for index in (0, 1)
        ),
        spin_diffusion_per_s=0.0,
    )
    twin = DiscreteExchange(stirred, lambda _T_K: np.full(3, 0.1)).transfer(T_K, equilibrium, 2.0)
    drawn = exchange(truth, T1_s=10.0).transfer(T_K, equilibrium, 2.0)
    assert drawn.amplitudes == pytest.approx(twin.amplitudes, abs=1e-5)
    assert drawn.stayed == pytest.approx(twin.stayed, abs=1e-5)
