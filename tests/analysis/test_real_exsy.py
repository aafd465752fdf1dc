"""Eleven mixing times of a real two-site sample: rates, balance, half of the rows, and what heights make of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm
from scipy.optimize import least_squares

from labctl.analysis.campaign import analyze_paths
from labctl.analysis.kinetics import KineticFit, fit_exchange
from labctl.analysis.measured_entries import buildup
from labctl.analysis.nmr.estimator import AmplitudeMatrix, estimate_amplitudes
from labctl.analysis.nmr.lines import refine_lines
from labctl.formats.bruker_dataset import read_dataset

pytestmark = pytest.mark.real_data
EXPNOS = range(10, 21)
ROW_BYTES = 2048 * 4


def _read(folder: Path) -> tuple[KineticFit, list[AmplitudeMatrix]]:
    datasets = [read_dataset(folder / str(expno)) for expno in EXPNOS]
    lines = refine_lines(datasets)
    matrices = [estimate_amplitudes(one, lines) for one in datasets]
    return fit_exchange(buildup(298.0, lines.names, lines, matrices, ())), matrices


@pytest.fixture(scope="module")
def whole(shared_data: Path) -> tuple[KineticFit, list[AmplitudeMatrix]]:
    """Return the exchange fit of all rows, and the matrices."""
    return _read(shared_data / "bruker" / "exsy-19f")


def test_the_rates_are_those_of_the_sample(whole: tuple[KineticFit, list[AmplitudeMatrix]]) -> None:
    """k12 is 82 +- 3 and k21 166 +- 5 per second, as good estimators agree."""
    k, k_se = whole[0].rates()
    assert k[0, 1] == pytest.approx(82, abs=3)
    assert k[1, 0] == pytest.approx(166, abs=5)
    assert np.all(k_se[k > 0] < 0.03 * k[k > 0])


def test_detailed_balance_holds_without_being_asked(whole: tuple[KineticFit, list[AmplitudeMatrix]]) -> None:
    """With both rates and the population free, k12/k21 is p2/p1 within 3 %."""
    shares = [matrix.A / matrix.A.sum() for matrix in whole[1]]
    times = [matrix.mixing_time_s for matrix in whole[1]]

    def misfit(x: NDArray[np.float64]) -> NDArray[np.float64]:
        k12, k21 = np.exp(x[:2])
        p, L = np.array([x[2], 1 - x[2]]), np.array([[-k12, k21], [k12, -k21]])
        return np.concatenate([((expm(L * t) * p).T - a).ravel() for t, a in zip(times, shares, strict=True)])

    k12, k21, p1 = least_squares(misfit, [4.0, 4.5, 0.6]).x
    assert float(np.exp(k12 - k21)) == pytest.approx((1 - p1) / p1, rel=0.03)


def test_half_of_the_rows_give_the_same_rates(
    whole: tuple[KineticFit, list[AmplitudeMatrix]], shared_data: Path, tmp_path: Path
) -> None:
    """Cut after 16 of 32 rows, as a halt leaves them, the files give rates within 2 %."""
    for expno in EXPNOS:
        source, target = shared_data / "bruker" / "exsy-19f" / str(expno), tmp_path / str(expno)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("ser"), copy_function=shutil.copyfile)
        (target / "ser").write_bytes((source / "ser").read_bytes()[: 16 * ROW_BYTES])
    short, matrices = _read(tmp_path)
    assert {matrix.rows for matrix in matrices} == {16}
    both = [fit.rates()[0][[0, 1], [1, 0]] for fit in (short, whole[0])]
    assert both[0] == pytest.approx(both[1], rel=0.02)


def test_heights_come_with_their_bias_alone(shared_data: Path) -> None:
    """Rates from peak heights are off by more than 5 %, and a sentence says by how much; they make no other number."""
    results = analyze_paths([shared_data / "bruker" / "exsy-19f" / str(expno) for expno in (10, 12, 14, 17)])
    assert results.exsy.paper is not None
    (heights,) = results.exsy.paper.heights
    off = heights.k_per_s[0][1] / heights.k_of_lines_per_s[0][1] - 1
    assert abs(off) > 0.05
    assert f"site 1->site 2 {100 * off:+.0f} %" in heights.bias[0]
    assert not any("height" in (one.quantity + one.model) for one in results.exsy.arrhenius)
