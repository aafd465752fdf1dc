"""Amplitude matrices: the truth within the stated errors, at the stated rate, from any rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.linalg import expm, logm
from scipy.optimize import least_squares

from labctl.analysis.nmr.estimator import AmplitudeMatrix, estimate_amplitudes
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.errors import InputError
from labctl.formats.bruker_dataset import read_dataset

SEEDS = 25


def _known_lines(sample: Any, truth: Any) -> LineSet:
    """Lines as good as known: from data without noise."""
    return refine_lines([replace(sample, noise=0.01).exsy(truth)], sites=sample.ppm)


def test_errors_hold_at_the_stated_rate_on_known_lines(sample: Any, truth: Any) -> None:
    """Over seeds the deviations from the truth, in their own standard errors, have mean 0 and rms 1."""
    lines = _known_lines(sample, truth)
    z: list[Any] = []
    for seed in range(SEEDS):
        matrix = estimate_amplitudes(sample.exsy(truth, seed=seed), lines)
        z.append((matrix.A - truth) / matrix.A_se)
        assert matrix.chi2_red == pytest.approx(1, abs=0.08)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.15)
    assert np.max(np.abs(np.mean(z, axis=0))) < 4 / np.sqrt(SEEDS)


def test_covariance_agrees_with_monte_carlo_when_the_lines_are_fitted_too(sample: Any, truth: Any) -> None:
    """Noise alone is half the story for the diagonal: with the shared lines' part the whole covariance is right."""
    values, stated = [], np.zeros((9, 9))
    seeds = 40
    small = replace(sample, points=1024)
    for seed in range(seeds):
        datasets = [small.exsy(truth, rows=32, seed=100 * seed + mixing) for mixing in range(2)]
        lines = refine_lines(datasets, sites=sample.ppm)
        matrix = estimate_amplitudes(datasets[0], lines)
        values.append(matrix.A.ravel() - truth.ravel())
        stated += (matrix.cov + matrix.line_slope.T @ lines.cov @ matrix.line_slope) / seeds
    root = np.linalg.inv(np.linalg.cholesky(stated))
    whitened = np.array(values) @ root.T

    assert np.mean(whitened**2) == pytest.approx(1, abs=0.15)
    assert np.linalg.eigvalsh(whitened.T @ whitened / len(values)).max() < 2.2


def test_it_is_plain_least_squares(sample: Any, truth: Any) -> None:
    """The separable solution is the brute-force one over all K*K real unknowns, in value and covariance."""
    small = replace(sample, points=256)
    dataset = small.exsy(truth, rows=12, seed=3)
    lines = replace(_known_lines(sample, truth), t2_end_s=1.0)
    matrix = estimate_amplitudes(dataset, lines)

    start = small.delay + 2
    shape = lines.shape
    t2 = (np.arange(start, 256) - small.delay) / small.width
    e2 = np.exp(1j * shape.phase_rad + t2[:, None] * (2j * np.pi * shape.offset_Hz - np.pi * shape.lorentz_Hz))
    columns: list[Any] = []
    pair = np.arange(12) // 2
    t1 = 0.4e-3 + 0.8e-3 * pair
    for i in range(3):
        angle = 2 * np.pi * shape.offset_Hz[i] * t1
        f1 = np.where(np.arange(12) % 2, np.sin(angle), np.cos(angle)) * np.exp(-np.pi * shape.lorentz_Hz[i] * t1)
        columns.extend(np.outer(f1 * (-1.0) ** pair, e2[:, j]).ravel() for j in range(3))
    complex_design = np.array(columns).T
    design = np.vstack([complex_design.real, complex_design.imag])
    data = dataset.data[:, start:].ravel() / small.scans
    slow = np.linalg.lstsq(design, np.concatenate([data.real, data.imag]), rcond=None)[0]

    np.testing.assert_allclose(matrix.A.ravel(), slow, rtol=1e-7, atol=1e-7 * truth.max())
    np.testing.assert_allclose(matrix.cov, matrix.noise**2 * np.linalg.inv(design.T @ design), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("quadrature", ["States", "States-TPPI", "echo-antiecho"])
@pytest.mark.parametrize("start", [0.4e-3, 6.2e-6])
def test_every_quadrature_and_start_of_t1(sample: Any, truth: Any, quadrature: str, start: float) -> None:
    """States, States-TPPI and echo-antiecho, begun at half a dwell or at zero, give the same matrix."""
    quiet = replace(sample, noise=0.01)
    dataset = quiet.exsy(truth, quadrature=quadrature, start=start)
    matrix = estimate_amplitudes(dataset, refine_lines([dataset], sites=sample.ppm))

    np.testing.assert_allclose(matrix.A, truth, atol=0.05)
    assert matrix.chi2_red == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("lorentz", "gauss"), [((0.0,) * 3, (30.0, 15.0, 40.0)), ((12.0, 6.0, 0.0), (20.0, 10.0, 35.0))]
)
def test_gauss_and_voigt_lines_are_read_as_lorentz_lines_are(sample: Any, truth: Any, lorentz: Any, gauss: Any) -> None:
    """Purely Gaussian lines, and Voigt lines, give amplitudes within their errors and leave noise alone."""
    shaped = replace(sample, lorentz=lorentz, gauss=gauss)
    z = []
    for seed in range(3):
        datasets = [shaped.exsy(truth, seed=10 * seed + mixing) for mixing in range(2)]
        lines = refine_lines(datasets, sites=sample.ppm)
        matrix = estimate_amplitudes(datasets[0], lines)
        cov = matrix.cov + matrix.line_slope.T @ lines.cov @ matrix.line_slope
        z.append((matrix.A - truth).ravel() / np.sqrt(np.diag(cov)))
        assert matrix.chi2_red == pytest.approx(1, abs=0.05)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.4)


def test_sub_sites_eleven_hertz_apart_are_told_apart(sample: Any) -> None:
    """A second line 0.15 ppm from the narrow one is a site of its own: unbiased, with errors that know of it."""
    four = replace(
        sample,
        offset=(169.97, 94.92, 105.95, -335.52),
        lorentz=(30.0, 15.0, 15.0, 40.0),
        gauss=(0.0,) * 4,
        ppm={"Li2S": 2.31, "LPSC": 1.29, "LPSC b": 1.44, "LiI": -4.56},
    )
    true = 1000.0 * np.array(
        [[0.38, 0.03, 0.03, 0.02], [0.03, 0.20, 0.01, 0.01], [0.03, 0.01, 0.14, 0.01], [0.02, 0.01, 0.01, 0.05]]
    )
    lines = refine_lines([replace(four, noise=0.01).exsy(true)], sites=four.ppm)
    matrices = [estimate_amplitudes(four.exsy(true, seed=seed), lines) for seed in range(8)]
    z = np.array([(matrix.A - true) / matrix.A_se for matrix in matrices])

    assert np.sqrt(np.mean(z**2)) == pytest.approx(1, abs=0.2)
    to_both = matrices[0].cov[1, 2] / np.sqrt(matrices[0].cov[1, 1] * matrices[0].cov[2, 2])
    assert to_both < -0.4  # what one of the two loses the other gets
    assert not any("told apart" in text for text in lines.warnings)


@pytest.mark.parametrize("rows", [24, 31, 48])
def test_partial_rows_are_welcome(sample: Any, truth: Any, rows: int) -> None:
    """Any number of rows, odd ones too, gives an unbiased matrix; fewer rows than asked are said to be fewer."""
    lines = _known_lines(sample, truth)
    dataset = replace(sample.exsy(truth, rows=rows, seed=1), rows_asked=48)
    matrix = estimate_amplitudes(dataset, lines)

    assert matrix.rows == rows
    assert np.max(np.abs(matrix.A - truth) / matrix.A_se) < 4.5
    assert any("of 48 rows" in warning for warning in matrix.warnings) == (rows < 48)


def test_the_last_row_of_a_halted_2d_is_left_out(sample: Any, truth: Any) -> None:
    """A row that was stopped between scans would pull the matrix; it is not used."""
    lines = _known_lines(sample, truth)
    dataset = sample.exsy(truth, rows=31, seed=1)
    data = dataset.data.copy()
    data[-1] *= 0.25
    halted = replace(dataset, data=data, rows_asked=48, ending="halted")

    matrix = estimate_amplitudes(halted, lines)
    without = estimate_amplitudes(replace(dataset, data=data[:-1]), lines)

    np.testing.assert_array_equal(matrix.A, without.A)
    assert matrix.rows == 30


def test_boxes_fail_where_lines_overlap_and_least_squares_does_not(sample: Any) -> None:
    """Lorentzian tails of lines 75 Hz apart put 15 % of false exchange into boxes; least squares reads the truth."""
    true = 1000.0 * np.array([[0.40, 0.05, 0.0], [0.05, 0.42, 0.0], [0.0, 0.0, 0.08]])
    dataset = sample.exsy(true, rows=320, seed=4)
    matrix = estimate_amplitudes(dataset, refine_lines([dataset], sites=sample.ppm))

    pair = np.arange(320) // 2
    data = dataset.data[:, sample.delay :] * ((-1.0) ** pair)[:, None]
    t2 = np.arange(data.shape[1]) / sample.width
    f = np.arange(-500, 500, 4.0)
    f2 = (data * np.exp(-10 * np.pi * t2)) @ np.exp(-2j * np.pi * np.outer(t2, f) - 1j * sample.phase)
    t1 = 0.4e-3 + 0.8e-3 * np.arange(160)
    z = f2.real[0::2] + 1j * f2.real[1::2]
    spectrum = (np.exp(-2j * np.pi * np.outer(f, t1)) @ (z * np.exp(-10 * np.pi * t1)[:, None])).real
    inside = [np.abs(f - offset) < 37 for offset in sample.offset]
    boxes = np.array([[spectrum[np.ix_(a, b)].sum() for b in inside] for a in inside])

    fraction = (true[0, 1] + true[1, 0]) / true.sum()
    by_boxes = (boxes[0, 1] + boxes[1, 0]) / boxes.sum()
    by_lines = (matrix.A[0, 1] + matrix.A[1, 0]) / matrix.A.sum()
    assert by_boxes > 1.5 * fraction
    assert by_lines == pytest.approx(fraction, rel=0.03)


def test_a_wrong_line_shape_shows_in_chi2(sample: Any, truth: Any) -> None:
    """Widths 30 % off are seen, so that a matrix on wrong lines cannot pass for a good one."""
    lines = _known_lines(sample, truth)
    wrong = replace(lines, shape=replace(lines.shape, lorentz_Hz=1.3 * lines.shape.lorentz_Hz))

    matrix = estimate_amplitudes(sample.exsy(truth), wrong)

    assert matrix.chi2_red > 1.5
    assert any("do not describe" in warning for warning in matrix.warnings)


def test_reordering_sites_reorders_everything(sample: Any, truth: Any) -> None:
    """Sites under new names carry their amplitudes, errors and slopes with them."""
    dataset = sample.exsy(truth)
    order, names = (2, 0, 1), ("a", "b", "c")
    lines = refine_lines([dataset], sites=sample.ppm)
    before = estimate_amplitudes(dataset, lines).reordered(order, names)
    after = estimate_amplitudes(dataset, lines.reordered(order, names))

    assert before.sites == after.sites == names
    np.testing.assert_allclose(before.A, after.A)
    np.testing.assert_allclose(before.cov, after.cov, atol=1e-12)
    both = [
        m.line_slope.T @ at.cov @ m.line_slope for m, at in ((before, lines), (after, lines.reordered(order, names)))
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)


def test_what_cannot_be_estimated_is_refused(sample: Any, truth: Any) -> None:
    """A 1D, a magnitude 2D, and three rows are input errors that say what would do."""
    dataset = sample.exsy(truth)
    lines = _known_lines(sample, truth)
    assert dataset.indirect is not None
    magnitude = replace(dataset, indirect=replace(dataset.indirect, quadrature="QF"))

    with pytest.raises(InputError, match="needs a 2D"):
        estimate_amplitudes(replace(dataset, dimension="1D"), lines)
    with pytest.raises(InputError, match="States-TPPI"):
        estimate_amplitudes(magnitude, lines)
    with pytest.raises(InputError, match="too few"):
        estimate_amplitudes(replace(dataset, data=dataset.data[:3]), lines)


@pytest.mark.real_data
def test_real_exsy_gives_the_rates_of_its_sample(shared_data: Path) -> None:
    """Eleven 19F mixing times: k12 and k21 of the full matrix, and of single mixing times by matrix logarithm."""
    datasets = [read_dataset(shared_data / "bruker" / "exsy-19f" / str(expno)) for expno in range(10, 21)]
    lines = refine_lines(datasets)
    matrices = [estimate_amplitudes(dataset, lines) for dataset in datasets]
    shares = [matrix.A / matrix.A.sum() for matrix in matrices]
    times = [matrix.mixing_time_s for matrix in matrices]

    def misfit(x: Any) -> Any:
        k12, k21 = np.exp(x[:2])
        p = np.array([x[2], 1 - x[2]])
        rates = np.array([[-k12, k21], [k12, -k21]])
        return np.concatenate([((expm(rates * t) * p).T - a).ravel() for t, a in zip(times, shares, strict=True)])

    fit = least_squares(misfit, [4.0, 4.5, 0.6])
    k12, k21 = np.exp(fit.x[:2])
    assert k12 == pytest.approx(82, abs=4)
    assert k21 == pytest.approx(166, abs=8)
    assert np.sqrt(np.mean(fit.fun**2)) < 0.004
    p = np.array([fit.x[2], 1 - fit.x[2]])
    for share, t in zip(shares[:4], times[:4], strict=True):
        assert logm(share.T / p)[1, 0].real / t == pytest.approx(82, rel=0.08)
    assert all(matrix.chi2_red < 1.2 for matrix in matrices)
    _symmetric(matrices[1:])


def _symmetric(matrices: list[AmplitudeMatrix]) -> None:
    for matrix in matrices:
        assert matrix.A[0, 1] == pytest.approx(matrix.A[1, 0], rel=0.05)
