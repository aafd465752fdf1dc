"""Lines of no Voigt shape: seen to be so, read by their own FIDs without the bias of Voigt lines, which is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.basis import KNOTS, Correction, Shape, f1_with_derivatives, f2_basis
from labctl.analysis.nmr.empirical import fwhm_Hz
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import with_lasting_offsets
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.analysis.nmr.own_shapes import with_empirical_shapes
from labctl.analysis.nmr.row_amplitudes import read_rows

SHORT = 1000.0 * np.array([[0.38, 0.006, 0.002], [0.0055, 0.37, 0.0015], [0.002, 0.0012, 0.05]])
"""A short mixing time: hardly any exchange yet."""
FEET = ((0.60, 0.0, 1.0), (0.25, 18.0, 1.0), (0.15, -9.0, 0.6))
"""What a poor shim makes of each line: shares, offsets [Hz, times the factor of the site] and relative widths."""
FACTOR = np.array([1.0, 0.5, 1.2])


def _decay(sample: Any, t: Any) -> Any:
    later = np.maximum(t, 0.0)
    return sum(
        share * np.exp((2j * offset * FACTOR - width * np.array(sample.lorentz)) * np.pi * later)
        for share, offset, width in FEET
    )


def _lopsided(sample: Any, A: Any, *, seed: int = 0, tmix: float = 0.01, rows: int = 48) -> Any:
    """Return a 2D of lopsided lines, the same in t1 and t2, with the noise of the sample."""
    pair = np.arange(rows) // 2
    t1, t2 = (0.4e-3 + 0.8e-3 * pair)[:, None], (np.arange(sample.points) - sample.delay)[:, None] / sample.width
    turn = 2j * np.pi * np.array(sample.offset)
    f2 = np.where(t2 >= 0, np.exp(turn * t2 + 1j * sample.phase) * _decay(sample, t2), 0)
    f1 = np.exp(turn * t1) * _decay(sample, t1)
    f1 = np.where(np.arange(rows)[:, None] % 2, f1.imag, f1.real) * np.where(pair % 2, -1, 1)[:, None]
    nothing = sample.exsy(0.0 * A, rows=rows, seed=seed, tmix=tmix)
    return replace(nothing, data=nothing.data + sample.scans * (f1 @ A @ f2.T), path=Path(f"2d-{tmix:g}"))


def _whole_error(matrix: Any, lines: LineSet) -> Any:
    return np.sqrt(np.diag(matrix.cov + matrix.line_slope.T @ lines.cov @ matrix.line_slope)).reshape(3, 3)


def test_amplitudes_of_lopsided_lines_are_right_within_their_errors(sample: Any) -> None:
    """Voigt lines miss diagonals by many standard errors; on shapes read from the FIDs the rms deviation is one."""
    z, voigt = [], []
    for seed in range(3):
        dataset = _lopsided(sample, SHORT, seed=seed)
        plain = refine_lines([dataset], sites=sample.ppm)
        lines = with_empirical_shapes([dataset], plain)
        assert lines.shape.correction is not None
        matrix = estimate_amplitudes(dataset, lines)
        assert matrix.chi2_red == pytest.approx(1.0, abs=0.03)
        z.append((matrix.A - SHORT) / _whole_error(matrix, lines))
        before = estimate_amplitudes(dataset, plain)
        voigt.append((before.A - SHORT) / _whole_error(before, plain))
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.4)
    assert np.abs(np.mean(voigt, axis=0)).max() > 5


def test_shapes_of_the_shortest_serve_every_mixing_time(sample: Any, truth: Any) -> None:
    """A long Tmix with strong cross peaks, and a recovery, are read on the shapes of the short one."""
    quiet = replace(sample, noise=4.0)
    short, long = _lopsided(quiet, SHORT), _lopsided(quiet, truth, seed=1, tmix=1.0)
    plain = refine_lines([short, long], sites=sample.ppm)
    lines = with_lasting_offsets([short, long], plain)
    assert lines.shape.correction is not None
    worst = {}
    for name, chosen in (("own", lines), ("Voigt", plain)):
        A = estimate_amplitudes(long, chosen).A
        worst[name] = np.abs(A / A.sum() - truth / truth.sum()).max()
    assert worst["own"] < 0.35 * worst["Voigt"]
    assert worst["own"] < 0.0015

    delays = np.array([0.1, 1.0, 10.0])
    intensities = 1000.0 * np.outer(1 - np.exp(-delays / 2), [0.45, 0.44, 0.1])
    t2 = (np.arange(sample.points) - sample.delay)[:, None] / sample.width
    fid = np.where(t2 >= 0, np.exp(2j * np.pi * np.array(sample.offset) * t2) * _decay(sample, t2), 0)
    nothing = quiet.rows(0.0 * intensities).recovery(tuple(delays))
    recovery = replace(nothing, data=nothing.data + sample.scans * (intensities @ fid.T))
    read = read_rows(recovery, lines=lines)
    np.testing.assert_allclose(read.values, intensities, atol=8.0)


def test_what_voigt_lines_would_have_made_is_told(sample: Any) -> None:
    """The warning carries both chi2, the diagonal's deviations and that of the cross peaks, with advice."""
    dataset = _lopsided(replace(sample, noise=5.0), SHORT)
    plain = refine_lines([dataset], sites=sample.ppm)
    lines = with_empirical_shapes([dataset], plain)
    told = lines.warnings[-1]
    before, after = (estimate_amplitudes(dataset, one).A for one in (plain, lines))
    assert f"Li2S {100 * (before[0, 0] / after[0, 0] - 1):+.1f} %" in told
    assert getattr(told, "advice", "").startswith("shim")
    assert lines.chi2_red < 1.3 < plain.chi2_red
    assert not any("do not describe" in text for text in lines.warnings)


def test_a_field_that_drifts_under_lopsided_lines_is_found_too(sample: Any) -> None:
    """A drift of 3 Hz that Voigt lines cannot tell from their misfit is found with the shapes: amplitudes are right."""
    quiet, rows = replace(sample, noise=5.0, points=1024), 48
    dataset = _lopsided(quiet, SHORT, rows=rows)
    still = replace(quiet, noise=0.0)
    moved = dataset.data - _lopsided(still, SHORT, rows=rows).data
    for row, shift_Hz in enumerate(3.0 * ((np.arange(rows) + 0.5) / rows - 0.5)):
        there = replace(still, offset=tuple(np.array(sample.offset) + shift_Hz))
        moved[row] += _lopsided(there, SHORT, rows=rows).data[row]
    dataset = replace(dataset, data=moved)
    lines = with_empirical_shapes([dataset], refine_lines([dataset], sites=sample.ppm))
    matrix = estimate_amplitudes(dataset, lines)

    assert lines.drifts[0] is not None
    assert lines.drifts[0].span_Hz(rows) == pytest.approx(3.0, abs=0.3)
    assert np.max(np.abs(matrix.A - SHORT) / _whole_error(matrix, lines)) < 4.5
    assert any("lopsided lines had hidden" in text for text in lines.warnings)


def test_voigt_lines_stay_voigt(sample: Any, truth: Any) -> None:
    """Where Voigt lines describe the data, nothing is read into them: the lines are the same object."""
    dataset = replace(sample, gauss=(10.0, 0.0, 5.0)).exsy(truth)
    lines = refine_lines([dataset], sites=sample.ppm)
    assert with_empirical_shapes([dataset], lines) is lines


def test_the_width_is_that_of_the_line(sample: Any) -> None:
    """Widths are read off the corrected spectrum: those of the lines that the data were made of, to a few percent."""
    dataset = _lopsided(replace(sample, noise=2.0), SHORT)
    lines = with_empirical_shapes([dataset], refine_lines([dataset], sites=sample.ppm))
    t = np.arange(200_000) * 1e-5
    for site, line in enumerate(lines.lines):
        fid = _decay(sample, t[:, None])[:, site]
        fid[0] *= 0.5
        spectrum = np.fft.fft(fid).real
        above = np.count_nonzero(spectrum > 0.5 * spectrum.max()) / (t.size * 1e-5)
        assert line.fwhm_Hz == pytest.approx(above, rel=0.06)


def test_corrections_follow_their_sites(sample: Any) -> None:
    """Reordering sites reorders corrections, names and covariance: the matrix read afterwards is the reordered one."""
    dataset = _lopsided(sample, SHORT)
    lines = with_empirical_shapes([dataset], refine_lines([dataset], sites=sample.ppm))
    order, names = (2, 0, 1), ("a", "b", "c")
    turned = lines.reordered(order, names)
    before, after = estimate_amplitudes(dataset, lines).reordered(order, names), estimate_amplitudes(dataset, turned)
    np.testing.assert_allclose(before.A, after.A)
    np.testing.assert_allclose(_whole_error(before, lines), _whole_error(after, turned), rtol=1e-6)


def test_a_correction_is_in_f1_what_it_is_in_f2() -> None:
    """Cosine and sine rows together are the complex decay of F2, correction and its phase included."""
    rng = np.random.default_rng(3)
    log = rng.normal(size=(2, len(KNOTS))) + 1j * rng.normal(size=(2, len(KNOTS)))
    shape = Shape(
        offset_Hz=np.array([95.0, -40.0]),
        lorentz_Hz=np.array([20.0, 30.0]),
        gauss2_Hz2=np.array([0.0, 50.0]),
        correction=Correction(fwhm_Hz=np.array([20.0, 31.0]), log=log),
    )
    t = np.linspace(0.0, 0.2, 77)
    cosine, sine = (f1_with_derivatives(t, np.full(t.size, odd), shape)[:, :2] for odd in (False, True))
    np.testing.assert_allclose(cosine + 1j * sine, f2_basis(t, shape), atol=1e-12)
    assert shape.correction is not None
    np.testing.assert_allclose(shape.correction.at(np.zeros(1)), 0.0, atol=1e-12)
    assert fwhm_Hz(replace(shape, correction=replace(shape.correction, log=0 * log)), 0) == pytest.approx(
        20.0, rel=0.01
    )
