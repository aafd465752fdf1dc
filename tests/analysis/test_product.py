"""The paper's product form against its tabulated values, its limits and the layered solver."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.analysis.diffusion import mixing_matrix
from labctl.analysis.product import cube_exchanged, stay_1d

X = np.array([0.001, 0.01, 0.1, 1.0])


def test_tabulated_values() -> None:
    """phi, 1 - phi^3 and the periodic array at f1 = 1/2 are those of the reference table."""
    assert stay_1d(X) == pytest.approx([0.964318, 0.887162, 0.647118, 0.270903], abs=6e-7)
    assert cube_exchanged(X, 0.0) == pytest.approx([0.103273, 0.301753, 0.729012, 0.980119], abs=6e-7)
    periodic = cube_exchanged(X, 0.125) * (1 - 0.125)
    assert periodic == pytest.approx([0.103273, 0.301753, 0.724030, 0.874984], abs=6e-7)


@given(st.floats(-7, 1.5), st.floats(0.15, 0.97))
def test_periodic_lamellae_agree_with_the_laplace_solver(exponent: float, filling: float) -> None:
    """The series is the two-phase slab with equal D: two codes, one answer."""
    x = 10.0**exponent
    p = np.array([filling, 1 - filling])
    # half a lamella is the inner layer of the half cell, so D / (d/2)^2 = 4 D / d^2
    A = mixing_matrix(np.array([x]), p, np.array([4.0, 4.0]), geometry="slab")[0]
    assert stay_1d(np.array([x]), filling)[0] == pytest.approx(A[0, 0] / filling, abs=2e-9)


@given(st.floats(0.05, 0.95))
def test_rises_from_nothing_to_the_plateau(volume: float) -> None:
    """The crossed part is 0 at once, 1 in the end, and never falls."""
    crossed = cube_exchanged(np.concatenate([[0.0], np.geomspace(1e-8, 100, 80)]), volume)
    assert crossed[0] == pytest.approx(0.0, abs=1e-12)
    assert crossed[-1] == pytest.approx(1.0)
    assert np.all(np.diff(crossed) > -1e-9)
