"""Conductivity, its geometry's error, and Arrhenius lines in both conventions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.analysis.eis.conductivity import cell_constant, thickness_from_mass_mm
from labctl.analysis.eis.conductivity_line import conductivity_line, prefactor_check
from labctl.formats.impedance import PelletGeometry
from tests.analysis.eis.pellets import K_EV_PER_K, LADDER_K, LI2S, LII, MIXTURE

T_K = list(LADDER_K)


def test_cell_constant_and_its_error() -> None:
    """d/A of a pellet, and relative variances of thickness once and diameter twice."""
    found = cell_constant(PelletGeometry(thickness_mm=1.28, diameter_mm=10, thickness_se_mm=0.02, diameter_se_mm=0.05))
    assert found.per_cm == pytest.approx(0.128 / (np.pi / 4))
    assert found.relative_se == pytest.approx(np.hypot(0.02 / 1.28, 2 * 0.05 / 10))
    assert cell_constant(PelletGeometry(thickness_mm=1.28, diameter_mm=10)).relative_se is None


def test_thickness_from_what_was_weighed_in() -> None:
    """200 mg of Li2S, 85 % dense on 10 mm, stand 1.8 mm high."""
    assert thickness_from_mass_mm(200, 10, 1.66, 0.85) == pytest.approx(1.80, abs=0.01)


@given(st.floats(0.05, 0.8), st.floats(-25, -5), st.lists(st.floats(0.005, 0.1), min_size=6, max_size=6))
def test_an_exact_line_is_returned_in_its_own_convention(Ea_eV: float, ln_A: float, relative: list[float]) -> None:
    """Energy, prefactor and value at 25 C of a line are returned whatever the weights, in either convention."""
    T = np.array(T_K)
    for convention, times in (("ln sigma", np.ones(6)), ("ln sigma T", T)):
        sigma = np.exp(ln_A - Ea_eV / (K_EV_PER_K * T)) / times
        line = conductivity_line(T_K, sigma.tolist(), (sigma * relative).tolist(), convention=convention)  # type: ignore[arg-type]  # a literal in a loop
        assert line is not None
        assert line.fit.Ea_eV == pytest.approx(Ea_eV, abs=1e-7)
        assert line.ln_A == pytest.approx(ln_A, abs=1e-5)
        assert line.sigma_room == pytest.approx(np.exp(ln_A - Ea_eV / (K_EV_PER_K * 298.15)) / times[0], rel=1e-5)


def test_covariance_is_that_of_plain_least_squares() -> None:
    """Covariance of (Ea, ln A) is the textbook (X^T W X)^-1."""
    T = np.array(T_K)
    sigma = np.array([MIXTURE.sigma(one) for one in T])
    relative = np.array([0.05, 0.04, 0.03, 0.02, 0.02, 0.01])
    line = conductivity_line(T_K, sigma.tolist(), (sigma * relative).tolist())
    assert line is not None
    X = np.stack([-1 / (K_EV_PER_K * T), np.ones(6)], axis=1)
    expected = np.linalg.inv(X.T @ (X / relative[:, None] ** 2))
    assert pytest.approx(expected, rel=1e-6) == line.Ea_ln_A_covariance


@settings(max_examples=20)
@given(st.floats(0.1, 3.0))
def test_a_common_error_of_the_temperature_stands_apart(calibration_K: float) -> None:
    """It leaves value and error of the noise as they are; Ea moves by 2 Ea dT/T and sigma(25 C) by Ea dT/(k T^2)."""
    sigma = [MIXTURE.sigma(one) for one in T_K]
    se = [0.01 * one for one in sigma]
    plain, line = conductivity_line(T_K, sigma, se), conductivity_line(T_K, sigma, se, calibration_K=calibration_K)
    assert plain is not None
    assert line is not None
    assert plain.Ea_se_calibration is None
    assert (line.fit.Ea_eV, line.fit.Ea_se_eV, line.sigma_room_se) == (
        plain.fit.Ea_eV,
        plain.fit.Ea_se_eV,
        plain.sigma_room_se,
    )
    assert line.Ea_se_calibration == pytest.approx(2 * MIXTURE.Ea_eV * calibration_K / line.fit.T_ref_K, rel=0.05)
    moved = MIXTURE.Ea_eV * calibration_K / (K_EV_PER_K * 298.15**2)
    assert line.sigma_room_se_calibration == pytest.approx(line.sigma_room * moved, rel=0.1)


def test_the_conventions_differ_by_kT() -> None:
    """Over 25 to 150 C ln(sigma T) gives 0.030 eV more; both are named."""
    sigma = [LII.sigma(one) for one in T_K]
    plain = conductivity_line(T_K, sigma, [0.01 * one for one in sigma])
    times_T = conductivity_line(T_K, sigma, [0.01 * one for one in sigma], convention="ln sigma T")
    assert plain is not None
    assert times_T is not None
    assert times_T.fit.Ea_eV - plain.fit.Ea_eV == pytest.approx(0.030, abs=0.001)
    assert (plain.convention, times_T.convention) == ("ln sigma", "ln sigma T")


def test_a_value_that_came_out_high_does_not_pull() -> None:
    """Points weigh by the error the line predicts: with errors constant in sigma the mean energy is unbiased."""
    truth = np.array([LI2S.sigma(one) for one in T_K])
    error = 0.25 * truth[0]
    energies = []
    for seed in range(300):
        noisy = truth + error * np.random.default_rng(seed).standard_normal(6)
        if noisy[0] < 0.25 * truth[0]:
            continue
        line = conductivity_line(T_K, noisy.tolist(), [error] * 6)
        assert line is not None
        energies.append((line.fit.Ea_eV - LI2S.Ea_eV) / line.fit.Ea_se_eV)
    assert abs(np.mean(energies)) < 0.25
    assert np.std(energies) == pytest.approx(1.0, abs=0.15)


def test_prefactors_are_judged_never_corrected() -> None:
    """The published energies imply prefactors far below ionic hopping's, and that is said; a usual one passes."""
    for pellet, A in ((LI2S, 2e-4), (LII, 2e-3), (MIXTURE, 8e-3)):
        sigma = [pellet.sigma(one) for one in T_K]
        line = conductivity_line(T_K, sigma, [0.01 * one for one in sigma], convention="ln sigma T")
        assert line is not None
        check = prefactor_check(line)
        assert check.verdict == "low"
        assert check.A_S_K_per_cm == pytest.approx(A, rel=3)
        assert "nothing was corrected" in check.message
    usual = [1e3 / one * np.exp(-0.4 / (K_EV_PER_K * one)) for one in T_K]
    line = conductivity_line(T_K, usual, [0.01 * one for one in usual], convention="ln sigma T")
    assert line is not None
    assert prefactor_check(line).verdict == "usual"
    steep = [1e12 / one * np.exp(-0.9 / (K_EV_PER_K * one)) for one in T_K]
    line = conductivity_line(T_K, steep, [0.01 * one for one in steep], convention="ln sigma T")
    assert line is not None
    assert prefactor_check(line).verdict == "high"


def test_one_temperature_has_no_line() -> None:
    """Below two distinct temperatures there is nothing to fit."""
    assert conductivity_line([298.15, 298.15], [1e-9, 1.1e-9], [1e-11, 1e-11]) is None
