"""Circuit fits against scipy, from poor starts, at gigaohms, in both representations, beside a fixture."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from labctl.analysis.eis.circuits import circuit
from labctl.analysis.eis.fitting import Sweep, fit_circuit
from labctl.analysis.eis.kramers_kronig import Representation
from labctl.analysis.eis.noise import ErrorModel, Fixture
from tests.analysis.eis.pellets import FREQUENCY_HZ, LI2S, LII, MIXTURE, known, measured, sweep_of, textbook

BOTH: tuple[Representation, ...] = ("impedance", "admittance")


@pytest.mark.parametrize("representation", BOTH)
def test_the_minimum_is_scipys(representation: Representation) -> None:
    """The batched walk ends where scipy's trust region ends, to 1e-6 of chi2, and every start finds it."""
    f, Z, _ = textbook()
    one = circuit("R(RQ)(RQ)")
    (fit,) = fit_circuit([Sweep(frequency_Hz=f, Z_ohm=Z)], one, representation=representation, starts=20)
    log_omega = np.log(2 * np.pi * f)[None]
    datum = Z if representation == "impedance" else 1 / Z

    def residual(theta: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        model = one.derivatives(theta[None], log_omega, log_omega.min(axis=1, keepdims=True))[0][0]
        off = ((model if representation == "impedance" else 1 / model) - datum) / np.abs(datum)
        return np.concatenate([off.real, off.imag])

    start = np.array([np.log(30), np.log(1e3), np.log(1e-6), 0.9, np.log(1e4), np.log(1e-3), 0.9])
    slow = least_squares(residual, start, x_scale="jac", xtol=1e-12, ftol=1e-12)
    assert fit.chi2 == pytest.approx(2 * slow.cost, rel=1e-6)
    assert fit.theta == pytest.approx(slow.x, abs=1e-3)
    assert fit.starts_at_best >= 15


def test_errors_are_those_of_the_inverse_hessian() -> None:
    """Relative weights scale the covariance (J^T J)^-1 by chi2 per degree of freedom, J by differences."""
    f, Z, _ = textbook()
    one = circuit("R(RQ)(RQ)")
    (fit,) = fit_circuit([Sweep(frequency_Hz=f, Z_ohm=Z)], one, representation="impedance")
    log_omega = np.log(2 * np.pi * f)[None]

    def predicted(theta: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        model = one.derivatives(theta[None], log_omega, log_omega.min(axis=1, keepdims=True))[0][0] / np.abs(Z)
        return np.concatenate([model.real, model.imag])

    columns = [(predicted(fit.theta + h) - predicted(fit.theta - h)) / 2e-5 for h in 1e-5 * np.eye(one.size)]
    J = np.stack(columns, axis=1)
    covariance = np.linalg.inv(J.T @ J) * fit.chi2_red
    assert fit.se == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-3)
    assert fit.inflated


@pytest.mark.parametrize("representation", BOTH)
def test_gigaohms_and_picofarads_within_a_percent(representation: Representation) -> None:
    """1e9 ohm parallel to 1e-12 F with 0.2 % noise comes out within 1 %, from its own guess."""
    s = 2j * np.pi * FREQUENCY_HZ
    Y = 1e-9 + 1e-12 * s
    Z = measured(Y, 0.0, 1)
    (fit,) = fit_circuit([Sweep(frequency_Hz=FREQUENCY_HZ, Z_ohm=Z)], circuit("(RQ)"), representation=representation)
    R, tau = np.exp(fit.theta[:2])
    assert pytest.approx(1e9, rel=0.01) == R
    assert tau / R == pytest.approx(1e-12, rel=0.01)


def test_arcs_are_ordered_by_frequency() -> None:
    """Labels of arcs cannot be swapped by the start: arc 1 is the fastest."""
    f, Z, _ = textbook()
    (fit,) = fit_circuit([Sweep(frequency_Hz=f, Z_ohm=Z)], circuit("R(RQ)(RQ)"), starts=20, seed=5)
    assert fit.theta[2] < fit.theta[5]
    assert np.exp(fit.theta[[1, 4]]) == pytest.approx([2e3, 8e3], rel=0.02)


def test_many_spectra_fit_as_each_alone() -> None:
    """Spectra of different lengths side by side give what each gives by itself."""
    sweeps = [sweep_of(LII, 298.15, 3e-13, 0), sweep_of(MIXTURE, 323.15, 3e-13, 1)]
    short = sweeps[1]
    sweeps.append(Sweep(frequency_Hz=short.frequency_Hz[5:], Z_ohm=short.Z_ohm[5:], errors=short.errors))
    together = fit_circuit(sweeps, circuit("(RQ)Q"))
    for one, sweep in zip(together, sweeps, strict=True):
        (alone,) = fit_circuit([sweep], circuit("(RQ)Q"))
        assert one.chi2 == pytest.approx(alone.chi2, rel=1e-6)
        assert one.theta[0] == pytest.approx(alone.theta[0], abs=1e-4)
        assert one.n_data == 2 * sweep.frequency_Hz.size


def test_a_known_fixture_is_taken_off() -> None:
    """With the holder's leakage and stray capacitance stated, the sample's own R and C come out."""
    s = 2j * np.pi * FREQUENCY_HZ
    fixture = Fixture(stray_F=20e-12, leakage_S=2e-10)
    Z = measured(1 / (1e9) + 5e-12 * s + 20e-12 * s + 2e-10, 1e-14, 3)
    sweep = Sweep(frequency_Hz=FREQUENCY_HZ, Z_ohm=Z, errors=known(1e-14), fixture=fixture)
    for representation in BOTH:
        (fit,) = fit_circuit([sweep], circuit("(RQ)"), representation=representation)
        R, tau = np.exp(fit.theta[:2])
        assert pytest.approx(1e9, rel=0.01) == R
        assert tau / R == pytest.approx(5e-12, rel=0.01)
        assert np.abs(fit.impedance() / Z - 1).max() < 0.02


def test_noise_biases_impedance_by_modulus_but_not_admittance() -> None:
    """Under 3 pA Li2S at 25 C reads a resistance far too low by modulus weights; the admittance is unbiased."""
    G = LI2S.conductance(298.15)
    by_modulus, by_noise = [], []
    for seed in range(24):
        sweep = sweep_of(LI2S, 298.15, 3e-12, seed)
        plain = Sweep(frequency_Hz=sweep.frequency_Hz, Z_ohm=sweep.Z_ohm)
        (fit,) = fit_circuit([plain], circuit("(RQ)"), representation="impedance", starts=4)
        by_modulus.append(np.exp(-fit.theta[0]) / G)
        (fit,) = fit_circuit([sweep], circuit("(RQ)"), starts=4)
        by_noise.append(np.exp(-fit.theta[0]) / G)
    assert np.median(by_modulus) > 1.3
    assert np.median(by_noise) == pytest.approx(1.0, abs=0.2)


def test_tied_exponents_pull_towards_their_mean() -> None:
    """A tie moves an exponent to the common mean in proportion to its stiffness, and counts as a datum."""
    sweep = sweep_of(LII, 298.15, 3e-13, 0)
    one = circuit("(RQ)Q")
    (free,) = fit_circuit([sweep], one)
    mean, spread = np.zeros(one.size), np.full(one.size, np.inf)
    at = one.exponents[-1]
    mean[at], spread[at] = free.theta[at] - 0.05, 1e-5
    (tied,) = fit_circuit([sweep], one, tie=(mean, spread))
    assert tied.theta[at] == pytest.approx(free.theta[at] - 0.05, abs=1e-3)
    assert tied.n_data == free.n_data + 1
    assert tied.chi2 > free.chi2


def test_ranges_widen_errors_by_quantisation_and_lag() -> None:
    """A coarse range adds its quantisation, a slow one its converter's lag across the datum."""
    Y = np.full(3, 1e-7 + 0j)
    f = np.array([1.0, 10.0, 1e4])
    errors = ErrorModel(amplitude_V_rms=5e-3, current_noise_A=0.0, gain=1e-3)
    fine = errors.deviations(f, Y)
    along, across = errors.deviations(f, Y, np.array([1e-8, 1e-3, 1e-7]))
    assert along[1] > 10 * fine[0][1]
    assert along[0] == pytest.approx(fine[0][0], rel=0.05)
    assert across[2] > 100 * fine[1][2]
