"""Boxes and heights: what they show of overlapping lines, and that the stated bias is the real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.boxes import bias_of, box_integrals, cross_fraction, peak_heights
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.spectrum import spectrum_2d
from labctl.errors import InputError
from labctl.formats.bruker_dataset import read_dataset

PAIR = 1000.0 * np.array([[0.40, 0.05, 0.0], [0.05, 0.42, 0.0], [0.0, 0.0, 0.08]])
"""A tenth of the signal in the cross peaks of the two lines that are 75 Hz apart."""


def test_boxes_double_the_cross_peaks_of_lines_75_Hz_apart(sample: Any) -> None:
    """With 10 Hz apodisation boxes of +-37 Hz show a cross fraction of 0.23 for 0.10, say so, and lines show 0.10."""
    dataset = sample.exsy(PAIR, rows=320, seed=4)
    lines = refine_lines([dataset], sites=sample.ppm)
    matrix = estimate_amplitudes(dataset, lines)
    boxes = box_integrals(dataset, lines, half_width_Hz=37.0)
    told = bias_of(boxes, matrix)

    assert cross_fraction(PAIR, 0, 1) == pytest.approx(0.10, abs=1e-9)
    assert boxes.cross_fraction(0, 1) == pytest.approx(0.232, abs=0.004)
    assert cross_fraction(matrix.A, 0, 1) == pytest.approx(0.10, rel=0.03)
    assert boxes.captured[0] == pytest.approx(0.48, abs=0.02)
    assert any("0.23" in one and "2.3 x" in one for one in told)
    np.testing.assert_allclose(boxes.unmixed(), PAIR, atol=6 * boxes.B_se.max())


def test_boxes_are_sums_over_the_spectrum(sample: Any) -> None:
    """The weighted sum in time is the integral of the absorptive spectrum over the box, to a few percent of a cell."""
    dataset = replace(sample, noise=0.01).exsy(PAIR, rows=320)
    lines = refine_lines([dataset], sites=sample.ppm)
    boxes = box_integrals(dataset, lines, half_width_Hz=37.0, broadening_Hz=(10.0, 10.0))
    spectrum = spectrum_2d(dataset, lines=lines, broadening_Hz=(10.0, 10.0), zero_fill=(8, 8), window_ppm=(-20, 20))

    inside = [
        np.abs(axis[:, None] - list(sample.ppm.values())) < 37 / 73.578 for axis in (spectrum.f1_ppm, spectrum.f2_ppm)
    ]
    summed = inside[0].T.astype(float) @ spectrum.intensity @ inside[1].astype(float)
    np.testing.assert_allclose(summed / summed.sum(), boxes.B / boxes.B.sum(), atol=0.006)


def test_errors_of_boxes_hold(sample: Any) -> None:
    """Over seeds box integrals scatter around what the lines say they show, by their stated errors."""
    small = replace(sample, points=512)
    lines = refine_lines([replace(small, noise=0.01).exsy(PAIR)], sites=sample.ppm)
    found = [box_integrals(small.exsy(PAIR, seed=seed), lines, half_width_Hz=37.0) for seed in range(24)]
    z = np.array([(one.B - one.of(PAIR)) / one.B_se for one in found])

    assert np.sqrt(np.mean(z**2)) == pytest.approx(1, abs=0.15)


def test_wide_boxes_around_isolated_lines_read_the_amplitude(sample: Any) -> None:
    """Without overlap and with endless boxes integrals are the amplitudes: then there is no bias to tell."""
    apart = replace(
        sample, offset=(1500.0, -1500.0, 200.0), lorentz=(8.0, 8.0, 8.0), ppm={"a": 20.39, "b": -20.39, "c": 2.718}
    )
    true = 1000.0 * np.array([[0.4, 0.05, 0.01], [0.05, 0.35, 0.01], [0.01, 0.01, 0.11]])
    dataset = replace(apart, noise=0.1).exsy(true, rows=640, increment=0.2e-3, start=0.1e-3)
    lines = refine_lines([dataset], sites=apart.ppm)
    boxes = box_integrals(dataset, lines, half_width_Hz=500.0, broadening_Hz=(0.0, 0.0))

    np.testing.assert_allclose(boxes.B / boxes.B.sum(), true / true.sum(), atol=0.01)
    assert len(bias_of(boxes, estimate_amplitudes(dataset, lines))) == 1


def test_a_box_without_extent_is_refused(sample: Any) -> None:
    """A half width of 0 Hz is a mistake, not a height."""
    dataset = sample.exsy(PAIR)
    with pytest.raises(InputError, match="holds nothing"):
        box_integrals(dataset, refine_lines([dataset], sites=sample.ppm), half_width_Hz=0.0)


@pytest.mark.real_data
def test_heights_of_real_lines_are_biased_and_said_to_be(shared_data: Path) -> None:
    """Heights of the real 19F pair never come without the sentence that says by how much they are off."""
    dataset = read_dataset(shared_data / "bruker" / "exsy-19f" / "12")
    lines = refine_lines([dataset])
    matrix = estimate_amplitudes(dataset, lines)
    heights = peak_heights(dataset, lines)

    assert bias_of(heights, matrix)
    np.testing.assert_allclose(heights.B, heights.of(matrix.A), atol=0.03 * heights.B.max())
