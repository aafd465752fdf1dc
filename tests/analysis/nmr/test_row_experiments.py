"""Recovery, nutation and 1Ds: one amplitude per row, honest errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import curve_fit

from labctl.analysis.nmr.line_shift import measure_lines
from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.nutation import fit_nutation
from labctl.analysis.nmr.relaxation import fit_recovery, fit_three_parameters
from labctl.errors import InputError
from labctl.formats.bruker_dataset import read_dataset

M0 = np.array([460.0, 465.0, 77.0])
T1 = np.array([30.0, 5.0, 20.0])
DELAYS = np.geomspace(0.05, 120.0, 10)


def _recovering(alpha: float = 0.97) -> Any:
    return M0 * (1 - alpha * np.exp(-DELAYS[:, None] / T1))


def test_T1_of_overlapping_sites_within_errors(sample: Any) -> None:
    """Sites 75 Hz apart relax each by itself; deviations from the truth over seeds have rms at most 1."""
    z: list[Any] = []
    for seed in range(14):
        found = fit_recovery(sample.rows(_recovering(), seed=seed).recovery(DELAYS), sites=sample.ppm)
        z.extend((one.T1_s - t) / one.T1_se_s for one, t in zip(found, T1, strict=True))
        assert [one.site for one in found] == list(sample.names)
    assert 0.6 < np.sqrt(np.mean(np.square(z))) < 1.15


def test_lines_of_the_2d_serve_the_recovery(sample: Any, truth: Any) -> None:
    """Widths from the 2Ds of the same temperature give the same T1; phase and position are the recovery's own."""
    lines = refine_lines([sample.exsy(truth)], sites=sample.ppm)
    elsewhere = replace(sample, phase=2.9, offset=tuple(f + 3 for f in sample.offset))
    found = fit_recovery(elsewhere.rows(_recovering()).recovery(DELAYS), lines=lines, T_K=293.0)

    for one, t in zip(found, T1, strict=True):
        assert abs(one.T1_s - t) < 4.5 * one.T1_se_s
        assert one.T_K == 293.0


def test_inversion_recovery_is_the_same_fit(sample: Any) -> None:
    """With alpha near 2 the first rows are negative, and T1 comes out all the same."""
    found = fit_recovery(sample.rows(_recovering(1.9)).recovery(DELAYS), sites=sample.ppm)

    assert [one.alpha for one in found] == pytest.approx([1.9] * 3, abs=0.1)
    assert found[0].T1_s == pytest.approx(30, rel=0.05)


def test_rows_not_acquired_are_left_out(sample: Any) -> None:
    """A recovery halted after six delays is fitted to six delays."""
    dataset = sample.rows(_recovering()[:7]).recovery(DELAYS)
    halted = replace(dataset, rows_asked=10, ending="halted")

    assert len(fit_recovery(halted, sites=sample.ppm)[0].delays_s) == 6


def test_scatter_beyond_noise_widens_the_errors(sample: Any) -> None:
    """A gain that wanders by 2 % from row to row shows as such, and the error of T1 covers it over seeds."""
    z: list[Any] = []
    scatter: list[float] = []
    for seed in range(14):
        gain = 1 + 0.02 * np.random.default_rng(seed).normal(size=(10, 1))
        found = fit_recovery(sample.rows(gain * _recovering(), seed=seed).recovery(DELAYS), sites=sample.ppm)
        z.append((found[1].T1_s - T1[1]) / found[1].T1_se_s)
        scatter.append(found[1].relative_scatter)
        assert any("beyond the noise" in warning for warning in found[1].warnings)
    assert np.median(scatter) == pytest.approx(0.02, rel=0.25)
    assert 0.6 < np.sqrt(np.mean(np.square(z))) < 1.4


def test_three_parameters_agree_with_a_general_fit() -> None:
    """The grid and least squares in (M0, M0 alpha, ln T1) end where scipy's curve_fit ends, covariance too."""
    rng = np.random.default_rng(2)
    se = np.full(10, 3.0)
    values = 100 * (1 - 0.95 * np.exp(-DELAYS / 7)) + se * rng.normal(size=10)
    ours, cov, chi2_red = fit_three_parameters(DELAYS, values, se)

    def model(t: Any, m: float, alpha: float, t1: float) -> Any:
        return m * (1 - alpha * np.exp(-t / t1))

    slow, slow_cov = curve_fit(model, DELAYS, values, p0=[90, 1, 5], sigma=se, absolute_sigma=True)
    np.testing.assert_allclose(ours, slow, rtol=1e-4)
    np.testing.assert_allclose(cov, slow_cov, rtol=0.02, atol=1e-4)
    assert chi2_red == pytest.approx(np.sum(((values - model(DELAYS, *slow)) / se) ** 2) / 7, rel=1e-6)


def test_delays_too_short_or_too_few_are_said(sample: Any) -> None:
    """T1 beyond the longest delay is doubted; three delays, or no list, are refused."""
    short = np.geomspace(0.05, 12.0, 10)
    slow = sample.rows(M0 * (1 - np.exp(-short[:, None] / T1))).recovery(short)
    dataset = sample.rows(_recovering()).recovery(DELAYS)

    assert any("shorter than T1" in warning for warning in fit_recovery(slow, sites=sample.ppm)[0].warnings)
    with pytest.raises(InputError, match="too few"):
        fit_recovery(replace(dataset, data=dataset.data[:3]), sites=sample.ppm)
    with pytest.raises(InputError, match="no delay list"):
        fit_recovery(replace(dataset, delays_s=None), sites=sample.ppm)


def test_p90_within_its_error(sample: Any) -> None:
    """Over seeds the 90 degree pulse deviates by its stated error, damping or not."""
    pulses = np.arange(1, 13) * 1.2e-6
    z: list[Any] = []
    for seed in range(14):
        damped = np.exp(-pulses / 40e-6) if seed % 2 else np.ones(12)
        rows = M0 * (np.sin(np.pi * pulses / (2 * 4.9e-6)) * damped)[:, None]
        found = fit_nutation(sample.rows(rows, seed=seed).nutation(pulses), sites=sample.ppm)
        z.append((found.p90_s - 4.9e-6) / found.p90_se_s)
        assert found.p90_se_s < 0.01 * found.p90_s
        assert (found.decay_s is not None) == bool(seed % 2)
        assert found.intensities[0] > 0
    assert 0.6 < np.sqrt(np.mean(np.square(z))) < 1.3


def test_a_nutation_series_needs_its_list(sample: Any) -> None:
    """Without a pulse list there is nothing to fit."""
    dataset = sample.rows(_recovering()).recovery(DELAYS)

    with pytest.raises(InputError, match="no pulse list"):
        fit_nutation(dataset)


def test_lines_of_a_1d_within_errors(sample: Any) -> None:
    """Position, width and area of each site deviate over seeds by their stated errors."""
    z: list[Any] = []
    for seed in range(14):
        lines = measure_lines(sample.rows(M0[None], seed=seed).one_d, sites=sample.ppm)
        for line, f, w, m in zip(lines, sample.offset, sample.lorentz, M0, strict=True):
            z.append([(73.578 * line.ppm - f) / (73.578 * line.ppm_se), (line.fwhm_Hz - w) / line.fwhm_se_Hz])
            z[-1].append((line.area - m) / line.area_se)
    assert np.sqrt(np.mean(np.square(z), axis=0)) == pytest.approx([1, 1, 1], abs=0.25)


@pytest.mark.real_data
def test_real_saturation_recovery(shared_data: Path) -> None:
    """T1 of a broad 29Si line agrees with a fit to the vendor's own integrals, without being told any line."""
    (found,) = fit_recovery(read_dataset(shared_data / "bruker" / "satrec-29si"))

    assert found.T1_s == pytest.approx(2.32, abs=0.15)
    assert found.T1_se_s <= 0.1
    assert len(found.delays_s) == 9
