"""A field that creeps during a 2D: found to its error, taken off without a trace, and not seen where there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from labctl.analysis.nmr.drift import Drift, fit_drift, without_drift
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import with_lasting_offsets
from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.rows import prepare
from labctl.formats.bruker_dataset import BrukerDataset
from tests.analysis.nmr.conftest import Sample

ROWS = 160
SHIFT = Drift(linear_Hz=3.0, bend_Hz=-1.5)


def _creeping(sample: Any, truth: Any, *, seed: int = 0, shift: Drift = SHIFT, rows: int = ROWS) -> BrukerDataset:
    """Write cosine and sine rows down one by one, each at the field it was acquired in."""
    hz = shift.at(rows)
    f = np.array(sample.offset)
    data = np.zeros((rows, sample.points), dtype=np.complex128)
    t2 = (np.arange(sample.points) - sample.delay) / sample.width
    late = np.where(t2 > 0, t2, 0.0)[:, None]
    for r in range(rows):
        t1 = 0.4e-3 + 0.8e-3 * (r // 2)
        angle = 2 * np.pi * (f + hz[r]) * t1
        encoded = (np.sin(angle) if r % 2 else np.cos(angle)) * sample.decay(np.array([[t1]]))[0] * (-1.0) ** (r // 2)
        detected = np.exp(2j * np.pi * (f + hz[r]) * t2[:, None] + 1j * sample.phase) * sample.decay(late)
        data[r] = np.where(t2 >= 0, detected @ (encoded @ truth), 0)
    noisy = sample._noisy(data, seed)
    return cast("BrukerDataset", sample._dataset(noisy).two_d(0.8e-3, 0.4e-3, "States-TPPI", 1.0))


def test_the_drift_is_found(sample: Any, truth: Any) -> None:
    """Both coefficients come back to a twentieth of a hertz, and the lines where their mean was."""
    dataset = _creeping(replace(sample, points=1024), truth)
    lines = refine_lines([dataset], sites=sample.ppm)
    (drift,) = lines.drifts
    assert drift is not None
    assert drift.linear_Hz == pytest.approx(SHIFT.linear_Hz, abs=0.1)
    assert drift.bend_Hz == pytest.approx(SHIFT.bend_Hz, abs=0.4)
    assert drift.chi2_fall > 1000
    assert any("while" in text and "allowed for" in text for text in lines.warnings)
    assert lines.chi2_red == pytest.approx(1, abs=0.03)


def test_amplitudes_do_not_suffer(sample: Any, truth: Any) -> None:
    """Read without regard to the drift amplitudes are off by many errors; read as they are here, within theirs."""
    small = replace(sample, points=1024)
    z, careless = [], []
    for seed in range(6):
        dataset = _creeping(small, truth, seed=seed)
        lines = refine_lines([dataset], sites=sample.ppm)
        matrix = estimate_amplitudes(dataset, lines)
        error = np.sqrt(np.diag(matrix.cov + matrix.line_slope.T @ lines.cov @ matrix.line_slope)).reshape(3, 3)
        z.append((matrix.A - truth) / error)
        careless.append((estimate_amplitudes(dataset, replace(lines, drifts=())).A - truth) / error)
        assert matrix.chi2_red == pytest.approx(1, abs=0.03)
        assert with_lasting_offsets([dataset], lines).lasting is None
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1, abs=0.35)
    assert np.abs(np.mean(careless, axis=0)).max() > 5


def test_taking_a_drift_off_is_exact(sample: Any, truth: Any) -> None:
    """Without noise the corrected rows are those of a still field, to the step between a pair's two rows."""
    quiet = replace(sample, points=600, noise=1e-6)
    still = prepare(_creeping(quiet, truth, shift=Drift(linear_Hz=0.0, bend_Hz=0.0)))
    moved = prepare(_creeping(quiet, truth))
    left = without_drift(moved, SHIFT).scaled() - still.scaled()
    assert np.abs(left).max() < 0.01 * np.abs(still.scaled()).max()
    assert np.abs(moved.scaled() - still.scaled()).max() > 0.05 * np.abs(still.scaled()).max()


def test_noise_stays_what_it_was() -> None:
    """Turning rows back keeps their power, row pair by row pair."""
    drift = Drift(linear_Hz=5.0, bend_Hz=2.0)
    rows = prepare(Sample(points=400).exsy(np.zeros((3, 3)), rows=32))
    turned = without_drift(rows, drift)
    for pair in range(rows.signal.shape[0] // 2):
        before, after = (np.sum(np.abs(one.signal[2 * pair : 2 * pair + 2]) ** 2) for one in (rows, turned))
        assert after == pytest.approx(before, rel=0.02)


def test_a_still_field_has_no_drift(sample: Any, truth: Any) -> None:
    """Over seeds no drift is found where there is none."""
    small = replace(sample, points=1024)
    for seed in range(5):
        dataset = small.exsy(truth, rows=64, seed=seed)
        assert refine_lines([dataset], sites=sample.ppm).drifts == (None,)


def test_few_rows_are_left_alone(sample: Any, truth: Any) -> None:
    """Below sixteen rows nothing is asked of the field."""
    dataset = sample.exsy(truth, rows=12)
    rows = prepare(dataset)
    assert fit_drift(rows, refine_lines([dataset], sites=sample.ppm).shape) is None
    assert without_drift(rows, None) is rows
