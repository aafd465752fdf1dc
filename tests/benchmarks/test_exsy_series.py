"""From 2Ds to amplitudes and rates, beside what one would write with scipy's general least squares, in the same run.

``pytest tests/benchmarks/test_exsy_series.py --benchmark-enable`` prints the table; the whole campaign of 35 2Ds needs
``-m slow`` as well.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.optimize import curve_fit, least_squares

from labctl.analysis.campaign import analyze_paths
from labctl.analysis.kinetics import KineticFit, fit_exchange
from labctl.analysis.measured_entries import buildup
from labctl.analysis.nmr.estimator import AmplitudeMatrix, estimate_amplitudes
from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.rows import Rows, prepare
from labctl.formats.bruker_dataset import BrukerDataset
from tests.analysis.console_data import ConsoleData
from tests.analysis.nmr.conftest import Sample

FloatArray = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[2]
TMIX_S = (0.05, 0.5, 2.0)
P = np.array([0.46, 0.46, 0.08])
FLUX = {(0, 1): 0.05, (0, 2): 0.01, (1, 2): 0.02}


def _truth(tmix_s: float) -> FloatArray:
    L = np.zeros((3, 3))
    for (i, j), flux in FLUX.items():
        L[j, i] += flux / P[i]
        L[i, j] += flux / P[j]
    L -= np.diag(L.sum(axis=0))
    return np.asarray((expm(L * tmix_s) @ np.diag(P)).T)


@pytest.fixture(scope="module")
def datasets() -> list[BrukerDataset]:
    """Return three 2Ds of 32 x 320 points, three lines."""
    sample = Sample(points=320, width=5_000.0, noise=20.0)
    made = [sample.exsy(1000.0 * _truth(t), rows=32, seed=7 + n, tmix=t) for n, t in enumerate(TMIX_S)]
    return [replace(one, path=Path(f"made-up {n}")) for n, one in enumerate(made)]


SITES = Sample().ppm


def _ours(datasets: list[BrukerDataset]) -> list[AmplitudeMatrix]:
    lines = refine_lines(datasets, sites=SITES)
    return [estimate_amplitudes(one, lines) for one in datasets]


def _generally(datasets: list[BrukerDataset]) -> FloatArray:
    """Amplitudes, shape (3, 3, 3), by scipy's least squares on all 34 unknowns at once, derivatives by differences."""
    rows = [prepare(one) for one in datasets]
    start = [*(datasets[0].offset_Hz(ppm) for ppm in SITES.values()), 25.0, 25.0, 25.0, 0.3]
    amplitudes = 1000.0 * np.tile(np.diag([0.4, 0.4, 0.1]) + 0.01, (len(rows), 1, 1))

    def residual(x: FloatArray) -> FloatArray:
        A = x[7:].reshape(-1, 3, 3)
        return np.concatenate([_misfit(one, x[:3], x[3:6], x[6], a) for one, a in zip(rows, A, strict=True)])

    found = least_squares(residual, np.concatenate([start, amplitudes.ravel()]), x_scale="jac", method="trf")
    return np.asarray(found.x[7:].reshape(-1, 3, 3))


def _misfit(rows: Rows, offset_Hz: FloatArray, width_Hz: FloatArray, phase: float, A: FloatArray) -> FloatArray:
    assert rows.t1_s is not None
    assert rows.is_sine is not None
    angle = 2 * np.pi * rows.t1_s[:, None] * offset_Hz
    e1 = np.where(rows.is_sine[:, None], np.sin(angle), np.cos(angle)) * np.exp(-np.pi * rows.t1_s[:, None] * width_Hz)
    e2 = np.exp(rows.t2_s[:, None] * (2j * np.pi * offset_Hz - np.pi * width_Hz) + 1j * phase)
    left = (rows.scaled() - e1 @ A @ e2.T) / rows.noise
    return np.concatenate([left.real.ravel(), left.imag.ravel()])


def test_the_general_fit_finds_the_same(datasets: list[BrukerDataset]) -> None:
    """Both give the same amplitudes to a tenth of their errors, so their times may be compared."""
    for ours, theirs in zip(_ours(datasets), _generally(datasets), strict=True):
        np.testing.assert_allclose(ours.A, theirs, atol=0.1 * ours.A_se.max())


@pytest.mark.benchmark(group="lines and amplitudes of three 2Ds 32 x 320, three sites")
def test_lines_and_amplitudes(benchmark: Any, datasets: list[BrukerDataset]) -> None:
    """Variable projection on inner products, errors and doubts included."""
    benchmark(_ours, datasets)


@pytest.mark.benchmark(group="lines and amplitudes of three 2Ds 32 x 320, three sites")
def test_lines_and_amplitudes_generally(benchmark: Any, datasets: list[BrukerDataset]) -> None:
    """The peer: scipy.optimize.least_squares on the raw residuals."""
    benchmark.pedantic(_generally, (datasets,), rounds=3)


def _rates(datasets: list[BrukerDataset], matrices: list[AmplitudeMatrix]) -> KineticFit:
    lines = refine_lines(datasets, sites=SITES)
    return fit_exchange(buildup(298.0, lines.names, lines, matrices, ()))


def _rates_generally(matrices: list[AmplitudeMatrix]) -> FloatArray:
    """Fluxes by scipy's curve_fit: matrices by expm, derivatives by differences, errors taken as independent."""
    shares = np.array([one.A / one.A.sum() for one in matrices])
    errors = np.array([one.A_se / one.A.sum() for one in matrices])

    def model(_: object, a: float, b: float, c: float, p: float, q: float) -> FloatArray:
        weights = np.array([p, q, 1 - p - q])
        L = np.zeros((3, 3))
        for (i, j), flux in zip(FLUX, np.exp([a, b, c]), strict=True):
            L[j, i] += flux / weights[i]
            L[i, j] += flux / weights[j]
        L -= np.diag(L.sum(axis=0))
        return np.concatenate([(expm(L * t) @ np.diag(weights)).T.ravel() for t in TMIX_S])

    start = [np.log(0.02), np.log(0.02), np.log(0.02), 0.4, 0.4]
    found, _ = curve_fit(model, np.zeros(shares.size), shares.ravel(), p0=start, sigma=errors.ravel())
    return np.exp(np.asarray(found[:3], dtype=np.float64))


def test_the_general_fit_finds_the_same_rates(datasets: list[BrukerDataset]) -> None:
    """Fluxes agree within a standard error; ours also knows that errors of one 2D hang together."""
    matrices = _ours(datasets)
    found = _rates(datasets, matrices)
    theirs = _rates_generally(matrices)
    assert found.state.kinetic == pytest.approx(theirs, abs=float(found.fit.se[:3].max()))


@pytest.mark.benchmark(group="exchange of three sites from three matrices")
def test_rates(benchmark: Any, datasets: list[BrukerDataset]) -> None:
    """Exact derivatives, full covariance, and up to four hypotheses about T1."""
    lines = refine_lines(datasets, sites=SITES)
    data = buildup(298.0, lines.names, lines, _ours(datasets), ())
    benchmark(fit_exchange, data)


@pytest.mark.benchmark(group="exchange of three sites from three matrices")
def test_rates_generally(benchmark: Any, datasets: list[BrukerDataset]) -> None:
    """The peer: scipy.optimize.curve_fit with expm, one hypothesis."""
    benchmark(_rates_generally, _ours(datasets))


@pytest.mark.slow
def test_a_whole_campaign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Five temperatures, seven mixing times, 320 rows, with T1: raw files to energies of all models, time told."""
    sample = (ROOT / "protocols" / "samples" / "paper_like.yaml").read_text(encoding="utf-8")
    data = ConsoleData(
        tmp_path / "quiet",
        sample_text=sample.replace("noise_per_scan: 0.6", "noise_per_scan: 1e-12"),
        points=1024 + 68,
        width_Hz=10_000.0,
        recycle_s=50.0,
        delays_s=(0.3, 0.8, 2.0, 5.0, 12.0, 25.0, 50.0, 80.0),
    )
    data.acquire((293.15, 313.15, 333.15, 353.15, 373.15), (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0), rows=320)
    folder = data.drawn(tmp_path / "drawn", noise=0.2, seed=1)
    clock, processor = time.perf_counter(), time.process_time()
    results = analyze_paths([folder], sites=SITES)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    with capsys.disabled():
        print(f"\n35 2Ds and 5 recoveries: {processor:.1f} s of processor, {clock:.1f} s by the clock")
    assert len(results.exsy.matrices) == 35
    assert results.exsy.paper is not None
    assert any(one.model != "product" for one in results.exsy.arrhenius)
