"""Layered diffusion by Laplace transform: limits known in closed form, laws, and a slow twin in real time."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.special import erfcx

from labctl.analysis.diffusion import Geometry, _x_coth_x_minus_1, layer_edges, mixing_matrix

FloatArray = NDArray[np.float64]
GEOMETRIES: tuple[Geometry, ...] = get_args(Geometry)


@st.composite
def layerings(draw: st.DrawFn) -> dict[str, object]:
    """Two to four phases with any diffusivity, density, relaxation and contact."""
    count = draw(st.integers(2, 4))

    def numbers(low: float, high: float, size: int) -> FloatArray:
        return np.exp(draw(st.lists(st.floats(np.log(low), np.log(high)), min_size=size, max_size=size)))

    p = numbers(0.05, 1, count)
    return {
        "populations": p / p.sum(),
        "kD_per_s": numbers(1e-3, 10, count),
        "densities": numbers(0.3, 3, count),
        "R1_per_s": numbers(1e-3, 1, count),
        "contact_per_s": draw(st.sampled_from([np.full(count - 1, np.inf), numbers(1e-3, 10, count - 1)])),
        "geometry": draw(st.sampled_from(GEOMETRIES)),
    }


@given(layerings())
def test_is_symmetric_and_conserves(cell: dict[str, object]) -> None:
    """Any layering gives symmetric matrices; without relaxation rows keep the populations and end at p p^T."""
    times_s = np.array([0.0, 0.05, 0.7, 9.0])
    A = mixing_matrix(times_s, **cell)  # type: ignore[arg-type]  # drawn together
    assert pytest.approx(A.transpose(0, 2, 1), abs=1e-10) == A
    p = np.asarray(cell["populations"])
    free = mixing_matrix(np.append(times_s, 1e8), **(cell | {"R1_per_s": 0.0}))  # type: ignore[arg-type]  # drawn together
    assert free.sum(axis=2) == pytest.approx(np.tile(p, (len(free), 1)), abs=1e-10)
    assert free[0] == pytest.approx(np.diag(p))
    assert free[-1] == pytest.approx(np.outer(p, p), abs=1e-7)


@given(layerings(), st.floats(0, 3))
def test_common_relaxation_is_a_factor(cell: dict[str, object], R: float) -> None:
    """One R1 more for all phases multiplies the matrix by exp(-R t)."""
    times_s = np.array([0.05, 0.7, 3.0])
    faster = mixing_matrix(times_s, **(cell | {"R1_per_s": np.asarray(cell["R1_per_s"]) + R}))  # type: ignore[arg-type]  # drawn together
    slower = mixing_matrix(times_s, **cell)  # type: ignore[arg-type]  # drawn together
    assert faster == pytest.approx(slower * np.exp(-R * times_s)[:, None, None], abs=1e-10)


@given(st.floats(0.01, 100), st.floats(0.2, 5), st.sampled_from(GEOMETRIES))
def test_depends_on_kD_t_only(speed: float, ratio: float, geometry: Geometry) -> None:
    """Faster diffusion and contact for a shorter time is the same."""
    p, kD = np.array([0.3, 0.7]), np.array([1.0, ratio])
    times_s = np.array([0.01, 0.1, 1.0])
    slow = mixing_matrix(times_s, p, kD, contact_per_s=2.0, geometry=geometry)
    fast = mixing_matrix(times_s / speed, p, kD * speed, contact_per_s=2.0 * speed, geometry=geometry)
    assert fast == pytest.approx(slow, abs=1e-11)


@pytest.mark.parametrize("ratio", [0.1, 1.0, 30.0])
def test_early_build_up_at_perfect_contact(ratio: float) -> None:
    """The amount that crossed a plane goes as sqrt(t), governed by both c sqrt(D) in series."""
    D1, D2, c2 = 1.0, ratio, 0.6
    t = np.array([1e-4, 4e-4])
    p = np.array([0.5, 0.5])
    crossed = mixing_matrix(t, p, np.array([D1, D2]), densities=np.array([1.0, c2]), geometry="slab")[:, 0, 1]
    total = 1.0 / p[0]  # the inner slab has unit thickness and density
    planar = 2 / np.sqrt(np.pi) * np.sqrt(t) / (1 / np.sqrt(D1) + 1 / (c2 * np.sqrt(D2)))
    assert crossed * total == pytest.approx(planar, rel=1e-9)


@pytest.mark.parametrize("contact", [0.3, 3.0, 300.0])
def test_early_build_up_through_a_resisting_interface(contact: float) -> None:
    """The amount that crossed a plane of finite flux j0 follows the exact error-function law."""
    D1, D2, c2 = 1.0, 0.2, 1.7
    t = np.array([1e-5, 1e-4, 1e-3])
    p = np.array([0.4, 0.6])
    crossed = mixing_matrix(
        t, p, np.array([D1, D2]), densities=np.array([1.0, c2]), contact_per_s=contact, geometry="slab"
    )[:, 0, 1]
    H = contact / np.sqrt(D1) + contact / (c2 * np.sqrt(D2))
    exact = contact / H**2 * (erfcx(H * np.sqrt(t)) - 1 + 2 * H * np.sqrt(t / np.pi))
    assert crossed / p[0] == pytest.approx(exact, rel=2e-7)


@pytest.mark.parametrize(("x", "lost"), [(0.001, 0.104047), (0.01, 0.308514), (0.1, 0.770479), (1.0, 0.999969)])
def test_sphere_in_a_perfect_sink(x: float, lost: float) -> None:
    """A vast and fast shell is Crank's sink: the series, and its tabulated values."""
    n = np.arange(1, 2000)
    series = 1 - 6 / np.pi**2 * np.sum(np.exp(-(n**2) * np.pi**2 * x) / n**2)
    A = mixing_matrix(np.array([x]), np.array([1e-9, 1 - 1e-9]), np.array([1.0, 1e12]))[0]
    assert A[0, 1] / 1e-9 == pytest.approx(series, abs=2e-6)
    assert A[0, 1] / 1e-9 == pytest.approx(lost, abs=3e-6)


def test_three_phases_of_a_coated_electrode() -> None:
    """The tabulated build-up of core, coating and electrolyte comes out, overshoot of the coating included."""
    Ea_eV = np.array([0.142, 0.107, 0.117])
    speed = np.exp(Ea_eV / 8.617333262e-5 * (1 / 293.15 - 1 / 373.15))
    c = np.array([43.5, 18.3, 22.1])
    edges = np.array([0, 1, 1.11767, 1.50194])
    p = c * np.diff(edges**3)
    p /= p.sum()
    t = np.array([0.01, 0.1, 0.5, 1, 2, 5, 10, 20])
    table = {
        (1.0, 0, 1): [0.0037, 0.0117, 0.0191, 0.0193, 0.0189, 0.0202, 0.0233, 0.0276],
        (1.0, 1, 2): [0.0075, 0.0234, 0.0416, 0.0466, 0.0491, 0.0486, 0.0460, 0.0422],
        (1.0, 0, 2): [0.0000, 0.0001, 0.0077, 0.0202, 0.0409, 0.0810, 0.1183, 0.1564],
        (2.0, 0, 2): [0.0000, 0.0020, 0.0275, 0.0527, 0.0869, 0.1400, 0.1774, 0.2030],
    }
    for (hot, i, j), column in table.items():
        kD = np.array([0.003, 0.010, 1.0]) * (speed if hot > 1 else 1.0)
        A = mixing_matrix(t, p, kD, densities=c)
        assert A[:, i, j] == pytest.approx(np.array(column), abs=6e-5)


def _slow_twin(
    times_s: FloatArray, p: FloatArray, kD: FloatArray, c: FloatArray, R: FloatArray, contact: float, geometry: Geometry
) -> FloatArray:
    """Crude cells and a stiff integrator, for a label in the first phase."""
    cells = 60
    edges = layer_edges(p, c, geometry)
    power = 3 if geometry == "sphere" else 1
    faces = np.concatenate([np.linspace(a, b, cells + 1)[:-1] for a, b in pairwise(edges)])
    faces = np.append(faces, edges[-1])
    area = faces**2 * 3 if geometry == "sphere" else np.ones_like(faces)
    volume = np.diff(faces**power)
    phase = np.repeat(np.arange(p.size), cells)
    half = np.diff(faces) / 2 / (kD * c)[phase]
    resistance = half[:-1] + half[1:]
    resistance[cells - 1 :: cells] += 1 / contact
    weight = (c[phase] * volume)[:, None]

    def change(_: float, m: FloatArray) -> FloatArray:
        u = m / weight.ravel()
        flow = area[1:-1] * (u[:-1] - u[1:]) / resistance
        return np.asarray(np.append(0, flow) - np.append(flow, 0) - R[phase] * m)

    start = np.where(phase == 0, weight.ravel(), 0.0) / weight.sum()
    answer = solve_ivp(change, (0, times_s[-1]), start, "BDF", times_s, rtol=1e-7, atol=1e-10)
    return np.array([[m[phase == j].sum() for j in range(p.size)] for m in answer.y.T])


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_agrees_with_a_slow_twin(geometry: Geometry) -> None:
    """Stepping the diffusion equation through crude cells gives the same first row within its own error."""
    p, kD, c, R = (
        np.array([0.5, 0.2, 0.3]),
        np.array([0.5, 0.1, 2.0]),
        np.array([1.0, 0.7, 1.4]),
        np.array([0.3, 0.1, 0]),
    )
    times_s = np.array([0.05, 0.3, 2.0])
    exact = mixing_matrix(times_s, p, kD, densities=c, R1_per_s=R, contact_per_s=1.5, geometry=geometry)[:, 0]
    assert _slow_twin(times_s, p, kD, c, R, 1.5, geometry) == pytest.approx(exact, abs=4e-4)


@given(st.floats(1e-3, 50), st.floats(0.1, 0.9))
@settings(max_examples=30)
def test_fast_diffusion_behind_a_resisting_interface_is_discrete_exchange(t: float, share: float) -> None:
    """With both phases well stirred the flux j0 alone rules, and the matrix is that of two-site exchange."""
    p = np.array([share, 1 - share])
    A = mixing_matrix(np.array([t]), p, np.array([1e7, 1e7]), contact_per_s=0.1, geometry="slab")[0]
    k = 0.1 / 1.0 / p[1]  # j0 S / (c V) of the inner slab is k_12; k_12 + k_21 = k_12 / p_2
    assert A[0, 1] == pytest.approx(p[0] * p[1] * -np.expm1(-k * t), abs=1e-7)


@given(st.floats(0.05, 0.1499), st.floats(-1.5, 1.5))
def test_series_for_small_arguments(radius: float, angle: float) -> None:
    """Where x coth(x) - 1 is summed as a series, it is what the closed form gives where that is still good."""
    x = np.array([radius * np.exp(1j * angle)])
    coth = 1 / np.tanh(x)
    assert _x_coth_x_minus_1(x, coth)[0] == pytest.approx((x * coth - 1)[0], rel=1e-11)
