"""Spectra for the eye: everything where it belongs, upright and in phase."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.spectrum import spectrum_1d, spectrum_2d
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
