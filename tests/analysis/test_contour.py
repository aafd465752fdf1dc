"""One contour for many times against the rule for each time by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.analysis.contour import Contour
from labctl.analysis.diffusion import Geometry, mixing_matrix, mixing_transform

P = np.array([0.459, 0.0765, 0.4645])
KD_PER_S = np.array([0.003, 0.010, 1.0])
DENSITY = np.array([43.5, 18.3, 22.1])
R1_PER_S = np.array([0.1, 0.2, 0.05])


@pytest.mark.parametrize("geometry", ["sphere", "slab"])
@pytest.mark.parametrize("longest_s", [0.03, 20.0, 500.0])
def test_agrees_with_fixed_talbot(geometry: Geometry, longest_s: float) -> None:
    """From a narrow span to four decades one set of nodes gives the matrices of fixed Talbot to 1e-8."""
    times_s = np.geomspace(0.01, longest_s, 9)
    contour = Contour.spanning(0.01, longest_s)
    transform = mixing_transform(
        contour.nodes, P[None], KD_PER_S, R1_per_s=R1_PER_S, densities=DENSITY, geometry=geometry
    )[0]
    inverse = np.real(np.einsum("ts,sij->tij", contour.weights(times_s), transform))
    exact = mixing_matrix(times_s, P, KD_PER_S, R1_per_s=R1_PER_S, densities=DENSITY, geometry=geometry)
    assert inverse == pytest.approx(exact, abs=1e-8)


@given(st.floats(0, 50), st.floats(0, 1))
@settings(max_examples=40)
def test_inverts_an_exponential(rate_per_s: float, place: float) -> None:
    """1 / (s + r) comes back as exp(-r t) anywhere in the span, r = 0 included."""
    contour = Contour.spanning(0.01, 30.0)
    t = np.array([0.01 * 3000.0**place])
    found = np.real(contour.weights(t) @ (1 / (contour.nodes + rate_per_s)))
    assert found == pytest.approx(np.exp(-rate_per_s * t), abs=1e-8)


def test_time_zero_has_no_weight() -> None:
    """At t = 0, where no inverse exists, nothing is added to the initial value."""
    contour = Contour.spanning(0.01, 1.0)
    assert not contour.weights(np.array([0.0])).any()
