"""From ``ser`` files of the simulated console to Ea: how often the 95 % interval holds the truth of the sample file.

Console and analysis share no physics (finite differences and matrix exponentials there, eigenvectors here), and lines
are drawn as sums of isochromats where they are inhomogeneous. The folder is written by the console once, without
noise; each seed writes the files anew with noise of its own, and all is read back from the disk.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.analysis.chain import Energy, energy_of
from tests.analysis.console_data import POINTS, TEMPERATURES_K, TMIX_S, ConsoleData, Truth

KB_EV_PER_K = 8.617333262e-5
HALF = Truth(inhomogeneous=0.5)
"""Lines of which half the width comes from offsets that last."""


def _drawn(
    folder: Path,
    truth: Truth,
    temperatures_K: tuple[float, ...],
    seeds: range,
    noise: float,
    tmix_s: tuple[float, ...] = TMIX_S,
    points: int = POINTS,
) -> list[Energy]:
    data = ConsoleData(folder / "quiet", truth, points=points).acquire(temperatures_K, tmix_s)
    return [energy_of(data.drawn(folder / "drawn", noise=noise, seed=seed), truth.sites) for seed in seeds]


def _rms(values: object) -> float:
    return float(np.sqrt(np.mean(np.square(np.asarray(values, dtype=np.float64)))))


def _z(found: list[Energy], truth: Truth) -> list[float]:
    return [(one.Ea_eV - truth.Ea_eV) / one.Ea_se_eV for one in found]


def _z_of_rates(found: list[Energy], truth: Truth, temperatures_K: tuple[float, ...]) -> list[float]:
    true = [
        truth.k_AB_per_s * np.exp(-truth.Ea_eV / KB_EV_PER_K * (1 / T_K - 1 / truth.reference_K))
        for T_K in temperatures_K
    ]
    return [
        (k - expected) / se for one in found for k, se, expected in zip(one.k_per_s, one.k_se_per_s, true, strict=True)
    ]


def _covers(found: list[Energy], truth: Truth) -> float:
    return float(np.mean([one.low_eV < truth.Ea_eV < one.high_eV for one in found]))


def test_homogeneous_lines_have_honest_errors(tmp_path: Path) -> None:
    """Over 40 seeds Ea and the rates miss by their standard errors: rms z 0.75 to 1.3, and no bias."""
    truth = Truth()
    found = _drawn(tmp_path, truth, TEMPERATURES_K, range(40), 0.05)
    assert 0.75 < _rms(_z(found, truth)) < 1.3
    rates = _z_of_rates(found, truth, TEMPERATURES_K)
    assert 0.85 < _rms(rates) < 1.15
    assert abs(np.mean(rates)) < 0.35
    assert not any(one.lasting for one in found)


def test_half_inhomogeneous_lines_have_honest_errors(tmp_path: Path) -> None:
    """Over 40 seeds at two temperatures the same holds, and every seed's lines are allowed for."""
    ends = (TEMPERATURES_K[0], TEMPERATURES_K[-1])
    found = _drawn(tmp_path, HALF, ends, range(40), 0.05, TMIX_S[1:], points=240)
    assert 0.75 < _rms(_z(found, HALF)) < 1.3
    rates = _z_of_rates(found, HALF, ends)
    assert 0.8 < _rms(rates) < 1.2
    assert abs(np.mean(rates)) < 0.4
    assert all(one.lasting for one in found)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_intervals_cover_with_homogeneous_lines(tmp_path: Path, noise: float) -> None:
    """Over 400 seeds the nominal 95 % interval of Ea holds the truth in 92 to 98 % (two minutes for each noise)."""
    truth = Truth()
    found = _drawn(tmp_path, truth, TEMPERATURES_K, range(1000, 1400), noise)
    assert 0.92 <= _covers(found, truth) <= 0.98
    assert 0.9 < _rms(_z(found, truth)) < 1.1


@pytest.mark.slow
def test_intervals_cover_with_half_inhomogeneous_lines(tmp_path: Path) -> None:
    """Over 400 seeds at two temperatures the same holds for lines that are half inhomogeneous (six minutes)."""
    ends = (TEMPERATURES_K[0], TEMPERATURES_K[-1])
    found = _drawn(tmp_path, HALF, ends, range(2000, 2400), 0.1)
    assert 0.92 <= _covers(found, HALF) <= 0.98
    assert 0.9 < _rms(_z(found, HALF)) < 1.12
