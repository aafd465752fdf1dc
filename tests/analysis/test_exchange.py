"""K-site exchange against the matrix exponential, and the laws it must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import expm

from labctl.analysis.exchange import mixing_matrix, mixing_matrix_derivatives, pairs, rates, rates_by_logarithm

FloatArray = NDArray[np.float64]
TIMES_S = np.array([0.0, 0.01, 0.3, 2.0, 20.0])


@st.composite
def systems(draw: st.DrawFn) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Populations, fluxes and R1 of 2 to 4 sites."""
    count = draw(st.integers(2, 4))
    weights = np.array(draw(st.lists(st.floats(0.05, 1), min_size=count, max_size=count)))
    some = st.lists(st.floats(1e-4, 3), min_size=len(pairs(count)), max_size=len(pairs(count)))
    R1 = np.array(draw(st.lists(st.floats(0, 1), min_size=count, max_size=count)))
    return weights / weights.sum(), np.array(draw(some)), R1


@given(systems())
def test_equals_the_matrix_exponential(system: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    """The eigenbasis gives what expm gives for the generator written out from the rates."""
    p, fluxes, R1 = system
    k = rates(p, fluxes)
    generator = k.T - np.diag(k.sum(axis=1)) - np.diag(R1)
    slow_twin = np.array([(expm(generator * t) @ np.diag(p)).T for t in TIMES_S])
    assert mixing_matrix(TIMES_S, p, fluxes, R1) == pytest.approx(slow_twin, abs=1e-12)


@given(systems())
def test_obeys_detailed_balance(system: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    """Matrices are symmetric, start at the populations, keep them without relaxation and end at p p^T."""
    p, fluxes, R1 = system
    k = rates(p, fluxes)
    assert p[:, None] * k == pytest.approx((p[:, None] * k).T)
    A = mixing_matrix(TIMES_S, p, fluxes, R1)
    assert pytest.approx(A.transpose(0, 2, 1), abs=1e-14) == A
    free = mixing_matrix(np.append(TIMES_S, 1e6), p, fluxes)
    assert free.sum(axis=2) == pytest.approx(np.tile(p, (len(free), 1)), abs=1e-7)
    assert free[0] == pytest.approx(np.diag(p), abs=1e-14)
    assert free[-1] == pytest.approx(np.outer(p, p), abs=1e-7)


@given(systems(), st.floats(0, 2))
def test_common_relaxation_is_a_factor(system: tuple[FloatArray, FloatArray, FloatArray], R: float) -> None:
    """One R1 more for all sites multiplies every element by exp(-R t)."""
    p, fluxes, R1 = system
    faster = mixing_matrix(TIMES_S, p, fluxes, R1 + R)
    assert faster == pytest.approx(
        mixing_matrix(TIMES_S, p, fluxes, R1) * np.exp(-R * TIMES_S)[:, None, None], abs=1e-12
    )


@given(systems())
@settings(max_examples=30)
def test_derivatives_are_exact(system: tuple[FloatArray, FloatArray, FloatArray]) -> None:
    """Divided differences agree with central differences of the matrix itself."""
    p, fluxes, R1 = system
    A, *derivatives = mixing_matrix_derivatives(TIMES_S, p, fluxes, R1)
    assert pytest.approx(mixing_matrix(TIMES_S, p, fluxes, R1)) == A
    for which, exact in enumerate(derivatives[i] for i in (1, 0, 2)):
        arguments = [p, fluxes, R1]
        for index in range(arguments[which].size):
            step = 1e-5 * max(arguments[which][index], 0.01)
            sides = []
            for sign in (1, -1):
                moved = [one.copy() for one in arguments]
                moved[which][index] += sign * step
                sides.append(mixing_matrix(TIMES_S, *moved))
            slope = (sides[0] - sides[1]) / (2 * step)
            assert exact[index] == pytest.approx(slope, abs=1e-6 * max(1.0, float(np.abs(slope).max())))


@given(systems(), st.floats(0.02, 0.5))
def test_logarithm_inverts_one_matrix(system: tuple[FloatArray, FloatArray, FloatArray], t: float) -> None:
    """Without noise and relaxation one mixing time gives the rates back."""
    p, fluxes, _ = system
    A = mixing_matrix(np.array([t]), p, fluxes)[0]
    k = rates_by_logarithm(A, p, t)
    if k is not None:
        assert k == pytest.approx(rates(p, fluxes), abs=1e-6 * max(1.0, float(rates(p, fluxes).max())))


def test_logarithm_says_when_noise_forbids_it() -> None:
    """A matrix with an eigenvalue below zero has no rates."""
    assert rates_by_logarithm(np.array([[0.2, 0.3], [0.3, 0.2]]), np.array([0.5, 0.5]), 1.0) is None
