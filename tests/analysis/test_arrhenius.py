"""Activation energies: exact lines, conventions, errors, and too few temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labctl.analysis.arrhenius import KB_EV_PER_K, fit_arrhenius

FloatArray = NDArray[np.float64]

T_K = np.array([293.15, 313.15, 333.15, 353.15, 373.15])


@given(st.floats(0.02, 1.0), st.floats(-5, 12), st.lists(st.floats(0.01, 0.2), min_size=5, max_size=5))
def test_an_exact_line_is_returned(Ea_eV: float, level: float, relative: list[float]) -> None:
    """Whatever the weights, points on a line give its slope, and its value at the reference temperature."""
    value = np.exp(level - Ea_eV / KB_EV_PER_K * (1 / T_K - 1 / 333.15))
    fit = fit_arrhenius(T_K.tolist(), value.tolist(), (value * relative).tolist())
    assert fit is not None
    assert fit.Ea_eV == pytest.approx(Ea_eV, abs=1e-9)
    expected = level - Ea_eV / KB_EV_PER_K * (1 / fit.T_ref_K - 1 / 333.15)
    assert fit.ln_value_at_ref == pytest.approx(expected, abs=1e-9)
    assert fit.chi2_red == pytest.approx(0, abs=1e-9)


def test_conventions_differ_by_kT() -> None:
    """ln(D T) against ln D raises Ea by kB T, 28 meV here."""
    value = np.exp(-0.107 / (KB_EV_PER_K * T_K))
    plain, times_T = (
        fit_arrhenius(T_K.tolist(), value.tolist(), (0.05 * value).tolist(), convention=convention)
        for convention in ("ln D", "ln D T")
    )
    assert plain is not None
    assert times_T is not None
    assert times_T.Ea_eV - plain.Ea_eV == pytest.approx(KB_EV_PER_K * 333.15, rel=0.02)
    assert times_T.ln_value_at_ref == pytest.approx(plain.ln_value_at_ref, abs=0.02)


def test_design_constant_of_five_even_temperatures() -> None:
    """Between 20 and 100 degrees sigma(Ea) is 0.149 eV times the error of ln D."""
    fit = fit_arrhenius(T_K.tolist(), [1.0, 1.3, 1.6, 2.0, 2.5], [0.01, 0.013, 0.016, 0.02, 0.025])
    assert fit is not None
    assert fit.inflated or fit.Ea_se_eV == pytest.approx(0.149 * 0.01, rel=0.01)


def test_errors_match_the_scatter() -> None:
    """Over many noisy lines Ea scatters by its standard error, and T errors count through the slope."""
    rng = np.random.default_rng(3)
    z = []
    for _ in range(400):
        true_T = T_K + 1.0 * rng.standard_normal(5)
        value = np.exp(5 - 0.3 / (KB_EV_PER_K * true_T)) * (1 + 0.02 * rng.standard_normal(5))
        fit = fit_arrhenius(T_K.tolist(), value.tolist(), (0.02 * value).tolist(), T_se_K=[1.0] * 5)
        assert fit is not None
        z.append((fit.Ea_eV - 0.3) / fit.Ea_se_eV)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("temperatures", [T_K[[0, 2, 4]], T_K])
def test_the_interval_covers_what_it_says(temperatures: FloatArray) -> None:
    """Over 1000 lines with known errors the 95 % interval holds the truth in 93.5 to 97 %, at 3 or 5 temperatures."""
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(1000):
        value = np.exp(5 - 0.3 / (KB_EV_PER_K * temperatures)) * np.exp(0.02 * rng.standard_normal(temperatures.size))
        fit = fit_arrhenius(temperatures.tolist(), value.tolist(), (0.02 * value).tolist())
        assert fit is not None
        inside += fit.Ea_ci95_eV[0] < 0.3 < fit.Ea_ci95_eV[1]
    assert 0.935 < inside / 1000 < 0.97


def test_a_bent_line_is_inflated_and_said() -> None:
    """Points that scatter beyond chance scale the errors, widen the interval by the t quantile, and warn."""
    fit = fit_arrhenius(T_K.tolist(), [1.0, 2.0, 2.2, 2.3, 2.31], [0.01] * 5)
    assert fit is not None
    assert fit.inflated
    assert fit.Ea_ci95_eV[1] - fit.Ea_eV == pytest.approx(3.182 * fit.Ea_se_eV, rel=1e-3)
    assert any("chi2_red" in text for text in fit.warnings)


def test_two_temperatures_have_no_chi2_and_one_has_no_line() -> None:
    """Two points make a line whose straightness is untested; one makes none."""
    fit = fit_arrhenius([293.0, 373.0], [1.0, 3.0], [0.1, 0.1])
    assert fit is not None
    assert fit.chi2_red is None
    assert fit.Ea_ci95_eV[1] - fit.Ea_eV == pytest.approx(1.96 * fit.Ea_se_eV, rel=1e-3)
    assert any("two temperatures" in text for text in fit.warnings)
    assert fit_arrhenius([293.0], [1.0], [0.1]) is None
    assert fit_arrhenius([293.0, 293.0], [1.0, 1.1], [0.1, 0.1]) is None
