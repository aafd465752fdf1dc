"""Lines drawn as isochromats: found to be so, and read without the bias of separable shapes, which is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.basis import Shape, f1_basis, f2_basis
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import separable_bias, with_lasting_offsets
from labctl.analysis.nmr.lasting import Lasting, excess
from labctl.analysis.nmr.lines import refine_lines
from labctl.formats.bruker_dataset import read_dataset
from tests.analysis.console_data import ConsoleData, Truth

KEPT = 1000.0 * np.array([0.36, 0.35, 0.045])
"""Of the diagonal peaks, what kept its offset over the mixing time."""


def _drawn(sample: Any, truth: Any, *, share: float = 0.5, seed: int = 0, rows: int = 48) -> Any:
    """A 2D of lines of which a Gaussian part lasts: the kept part of each diagonal is a sum of 31 isochromats."""
    width = np.array(sample.lorentz)
    whole = replace(sample, lorentz=tuple((1 - share) * width), gauss=tuple(share * width))
    dataset = whole.exsy(truth - np.diag(KEPT), rows=rows, seed=seed)
    data = dataset.data.copy()
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        offset = tuple(np.array(sample.offset) + node * share * width / np.sqrt(8 * np.log(2)))
        one = replace(whole, gauss=(0.0,) * 3, offset=offset, noise=0.0)
        data += weight * one.exsy(np.diag(KEPT), rows=rows).data
    return replace(dataset, data=data)


@pytest.mark.parametrize(("lorentz", "gauss"), [(0.0, 12.0), (12.0, 0.0)])
def test_the_closed_form_is_the_sum_of_isochromats(lorentz: float, gauss: float) -> None:
    """For Gauss and Lorentz distributions of offsets the diagonal equals an average over 20 001 of their quantiles."""
    t1 = np.repeat([0.4e-3, 6e-3, 19e-3], 2)
    is_sine, t2 = np.arange(6) % 2 == 1, np.array([0.0, 3e-3, 18e-3, 40e-3])
    shape = Shape(
        offset_Hz=np.array([95.0]), lorentz_Hz=np.array([8.0 + lorentz]), gauss2_Hz2=np.array([gauss**2]), phase_rad=0.3
    )
    lasting = Lasting(lorentz_Hz=np.array([lorentz]), gauss2_Hz2=np.array([gauss**2]))
    ours = excess(t1, is_sine, t2, shape, lasting, 0) + f1_basis(t1, is_sine, shape) @ f2_basis(t2, shape).T

    from scipy.special import ndtri

    part = (np.arange(20_001) + 0.5) / 20_001
    offsets = gauss / np.sqrt(8 * np.log(2)) * ndtri(part) if gauss else 0.5 * lorentz * np.tan(np.pi * (part - 0.5))
    angle = 2 * np.pi * (95.0 + offsets) * t1[:, None]
    f1 = np.where(is_sine[:, None], np.sin(angle), np.cos(angle)) * np.exp(-8 * np.pi * t1)[:, None]
    f2 = np.exp(2j * np.pi * (95.0 + offsets) * t2[:, None] + 0.3j) * np.exp(-8 * np.pi * t2)[:, None]
    np.testing.assert_allclose(ours, f1 @ f2.T / part.size, atol=5e-4)


def test_half_inhomogeneous_lines_are_read_without_bias(sample: Any, truth: Any) -> None:
    """Where separable shapes are off by many standard errors the allowing ones are right within theirs, rms 1."""
    z, biased = [], []
    for seed in range(3):
        dataset = _drawn(replace(sample, points=1024), truth, seed=seed)
        separable = refine_lines([dataset], sites=sample.ppm)
        lines = with_lasting_offsets([dataset], separable)
        matrix = estimate_amplitudes(dataset, lines)
        error = np.sqrt(np.diag(matrix.cov + matrix.line_slope.T @ lines.cov @ matrix.line_slope)).reshape(3, 3)
        z.append((matrix.A - truth) / error)
        biased.append((estimate_amplitudes(dataset, separable).A - truth) / matrix.A_se)
        assert lines.lasting is not None
        assert matrix.chi2_red == pytest.approx(1, abs=0.05)
        assert separable.chi2_red > 1.2
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.45)
    assert np.abs(np.mean(biased, axis=0)).max() > 5


def test_few_rows_tell_lorentzian_offsets_of_overlapping_lines(tmp_path: Path) -> None:
    """Where separable shapes take the correlation for a Gaussian part, 32 rows give widths back to a twentieth."""
    truth = Truth(ppm=(0.51, -0.51), width_Hz=(30.0, 15.0), inhomogeneous=0.5, shape="lorentz")
    quiet = ConsoleData(tmp_path / "quiet", truth, points=240).acquire((298.15,), (0.02, 0.2), recoveries=False)
    drawn = quiet.drawn(tmp_path / "drawn", noise=0.01, seed=0)
    datasets = [read_dataset(drawn / str(expno)) for expno in quiet.expnos]
    separable = refine_lines(datasets, sites=truth.sites)
    lines = with_lasting_offsets(datasets, separable)

    assert separable.shape.gauss2_Hz2.min() > 0
    assert lines.lasting is not None
    assert lines.lasting.lorentz_Hz == pytest.approx(0.5 * np.array(truth.width_Hz), rel=0.05)
    assert lines.shape.lorentz_Hz == pytest.approx(np.array(truth.width_Hz), rel=0.01)
    assert lines.chi2_red == pytest.approx(1, abs=0.05)


def test_the_bias_of_separable_shapes_is_told(sample: Any, truth: Any) -> None:
    """Lasting widths are found to a tenth, and a sentence gives what separable shapes make of each diagonal."""
    dataset = _drawn(replace(sample, noise=5.0), truth)
    separable = refine_lines([dataset], sites=sample.ppm)
    lines = with_lasting_offsets([dataset], separable)
    told = separable_bias(estimate_amplitudes(dataset, separable), estimate_amplitudes(dataset, lines), lines)

    assert [line.inhomogeneous_Hz for line in lines.lines] == pytest.approx([15.0, 7.5, 20.0], rel=0.1)
    assert "allowed for" in told
    assert told.count(" %") == 3
    assert not any("separable" in text for text in lines.warnings)


def test_homogeneous_lines_stay_separable(sample: Any, truth: Any) -> None:
    """Without a hint in the data nothing slower is tried, and the lines are the same object."""
    dataset = sample.exsy(truth)
    lines = refine_lines([dataset], sites=sample.ppm)
    assert with_lasting_offsets([dataset], lines) is lines


def test_lasting_parts_follow_their_sites(sample: Any, truth: Any) -> None:
    """Reordering sites reorders what is lasting, so a matrix read afterwards is the reordered one."""
    dataset = _drawn(replace(sample, points=1024), truth)
    lines = with_lasting_offsets([dataset], refine_lines([dataset], sites=sample.ppm))
    order, names = (2, 0, 1), ("x", "y", "z")
    before = estimate_amplitudes(dataset, lines).reordered(order, names)
    after = estimate_amplitudes(dataset, lines.reordered(order, names))

    np.testing.assert_allclose(before.A, after.A, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(before.cov, after.cov, rtol=1e-5, atol=1e-6)


@pytest.mark.real_data
def test_real_lines_that_are_not_so_are_left_alone(shared_data: Path) -> None:
    """The 19F pair exchanges during t1 and t2 too, which looks alike, but its diagonal keeps no offsets: said so."""
    datasets = [read_dataset(shared_data / "bruker" / "exsy-19f" / str(expno)) for expno in (10, 11, 12, 13)]
    lines = with_lasting_offsets(datasets, refine_lines(datasets))

    assert lines.lasting is None
    assert any("separable shapes were used" in text for text in lines.warnings)
