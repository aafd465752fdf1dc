"""Spectra for the eye: everything where it belongs, upright and in phase."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import with_lasting_offsets
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.analysis.nmr.spectrum import spectrum_1d, spectrum_2d, without_model
from labctl.errors import InputError
from labctl.formats.bruker_dataset import read_dataset


@pytest.mark.parametrize("start", [0.4e-3, 6.2e-6])
@pytest.mark.parametrize("quadrature", ["States", "States-TPPI", "echo-antiecho"])
def test_peaks_stand_at_their_shifts(sample: Any, truth: Any, quadrature: str, start: float) -> None:
    """Diagonal peaks are on the diagonal and positive; the strongest cross peak has its source in F1."""
    dataset = replace(sample, noise=0.5).exsy(truth, rows=128, quadrature=quadrature, start=start)
    lines = refine_lines([dataset], sites=sample.ppm)
    spectrum = spectrum_2d(dataset, lines=lines)

    for name in sample.names:
        i = int(np.argmin(np.abs(spectrum.f1_ppm - sample.ppm[name])))
        j = int(np.argmin(np.abs(spectrum.f2_ppm - sample.ppm[name])))
        around = spectrum.intensity[i - 3 : i + 4, j - 6 : j + 7]
        assert around.max() > 0.02 * spectrum.intensity.max()
        assert around.min() > 0
    assert spectrum.intensity.min() > -0.1 * spectrum.intensity.max()
    assert np.all(np.diff(spectrum.f1_ppm) < 0)
    assert np.all(np.diff(spectrum.f2_ppm) < 0)


def test_rows_are_sources_and_columns_are_detected(sample: Any) -> None:
    """A single one-way cross peak appears at F1 = source, F2 = detected, and nowhere mirrored."""
    true = np.zeros((3, 3))
    true[2, 0] = 1000.0
    dataset = replace(sample, noise=0.5).exsy(true, rows=128)
    lines = refine_lines([replace(sample, noise=0.5).exsy(np.diag([400.0, 400.0, 200.0]))], sites=sample.ppm)
    spectrum = spectrum_2d(dataset, lines=lines, broadening_Hz=(5.0, 5.0))
    i, j = np.unravel_index(int(np.argmax(spectrum.intensity)), spectrum.intensity.shape)

    assert spectrum.f1_ppm[i] == pytest.approx(sample.ppm["LiI"], abs=0.1)
    assert spectrum.f2_ppm[j] == pytest.approx(sample.ppm["Li2S"], abs=0.05)


def test_a_1d_is_absorptive_with_its_area(sample: Any) -> None:
    """In phase, and the integral over frequency is the signal at t = 0."""
    single = replace(sample, offset=(169.97,), lorentz=(30.0,), gauss=(0.0,), noise=0.01)
    dataset = single.rows(np.array([[1000.0]])).one_d
    spectrum = spectrum_1d(dataset, lines=refine_lines([dataset], sites={"Li2S": 2.31}))
    step = abs(spectrum.ppm[1] - spectrum.ppm[0]) * 73.578 / single.width

    assert spectrum.ppm[int(np.argmax(spectrum.intensity))] == pytest.approx(2.31, abs=0.05)
    assert float(spectrum.intensity.sum()) * step == pytest.approx(1000, rel=0.01)


def test_windows_and_rows_outside_the_data_are_refused(sample: Any, truth: Any) -> None:
    """Nothing is drawn of what was not acquired."""
    dataset = sample.exsy(truth)

    with pytest.raises(InputError, match="nothing was acquired between"):
        spectrum_2d(dataset, window_ppm=(900.0, 800.0))
    with pytest.raises(InputError, match="row 48 was not acquired"):
        spectrum_1d(dataset, row=48)
    with pytest.raises(InputError, match="no second frequency axis"):
        spectrum_2d(sample.rows(truth).one_d)


@pytest.mark.parametrize("quadrature", ["States", "States-TPPI", "echo-antiecho"])
def test_what_the_lines_leave_is_white(sample: Any, truth: Any, quadrature: str) -> None:
    """Data minus their lines are noise alone where peaks were; a site that the list lacks stays, in its place."""
    dataset = sample.exsy(truth, rows=96, quadrature=quadrature)
    known = refine_lines([dataset], sites=sample.ppm)
    left = without_model(dataset, known, estimate_amplitudes(dataset, known))
    quiet = spectrum_2d(left, lines=known).intensity
    assert np.abs(quiet).max() < 5.5 * quiet.std()

    two = {name: sample.ppm[name] for name in ("Li2S", "LPSC")}
    fewer = refine_lines([dataset], sites=two)
    left = without_model(dataset, fewer, estimate_amplitudes(dataset, fewer))
    spot = spectrum_2d(left, lines=fewer, broadening_Hz=(20.0, 20.0))
    i, j = np.unravel_index(int(np.argmax(spot.intensity)), spot.intensity.shape)
    assert spot.f1_ppm[i] == pytest.approx(sample.ppm["LiI"], abs=0.15)
    assert spot.f2_ppm[j] == pytest.approx(sample.ppm["LiI"], abs=0.15)


def test_residuals_allow_for_lasting_offsets(sample: Any, truth: Any) -> None:
    """Where t1 and t2 share a part of the width, the map takes off what the allowing estimator fits: noise is left."""
    kept, sample = np.diag([300.0, 300.0, 40.0]), replace(sample, points=768)
    dataset = sample.exsy(truth - kept, rows=48)
    data, nodes, weights = dataset.data.copy(), *np.polynomial.hermite_e.hermegauss(31)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        moved = tuple(f + 6.0 * node for f in sample.offset)
        data += weight * replace(sample, offset=moved, noise=0.0).exsy(kept, rows=48).data
    dataset = replace(dataset, data=data)
    separable = refine_lines([dataset], sites=sample.ppm)
    lines = with_lasting_offsets([dataset], separable)
    assert lines.lasting is not None

    def tallest(chosen: LineSet) -> float:
        left = spectrum_2d(without_model(dataset, chosen, estimate_amplitudes(dataset, chosen)), lines=chosen).intensity
        return float(np.abs(left).max() / (1.4826 * np.median(np.abs(left))))

    assert tallest(lines) < 0.6 * tallest(separable)


def test_vendor_order_is_the_same_spectrum(sample: Any, truth: Any) -> None:
    """Sizes are powers of two, the first point lies half a width above the carrier, and intensities are the same."""
    dataset = replace(sample, points=1024).exsy(truth, rows=64)
    lines = refine_lines([dataset], sites=sample.ppm)
    window = (-1e4, 1e4)
    vendor = spectrum_2d(dataset, lines=lines, window_ppm=window, as_vendor=True, zero_fill=(2, 4))
    plain = spectrum_2d(dataset, lines=lines, window_ppm=window, zero_fill=(2, 4))
    assert vendor.intensity.shape == (128, 2048)
    assert vendor.f2_ppm[0] * 73.578 == pytest.approx(sample.width / 2)
    assert vendor.f1_ppm[0] * 73.578 == pytest.approx(0.5 / 0.8e-3)
    np.testing.assert_allclose(vendor.intensity[1:, 1:], plain.intensity[:-1, :-1], atol=1e-4 * plain.intensity.max())


@pytest.mark.real_data
def test_the_diagonal_of_a_real_cosy_is_on_the_diagonal(shared_data: Path) -> None:
    """The strongest points of a homonuclear States 2D lie on the diagonal, and not on its mirror image."""
    dataset = read_dataset(shared_data / "bruker" / "cosy-states")
    spectrum = spectrum_2d(dataset, broadening_Hz=(5.0, 20.0))
    strongest = np.argsort(-np.abs(spectrum.intensity).ravel())[:2000]
    i, j = np.unravel_index(strongest, spectrum.intensity.shape)
    f1, f2 = spectrum.f1_ppm[i], spectrum.f2_ppm[j]

    on, mirrored = np.abs(f1 - f2) < 0.1, np.abs(2 * dataset.carrier_ppm - f1 - f2) < 0.1
    assert on.mean() > 0.25
    assert mirrored.mean() < 0.02
