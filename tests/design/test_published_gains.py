"""The Fisher information gives the figures that were computed for this design problem by independent code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from labctl.design.belief import Relaxing, recycle_factor
from labctl.design.encoding import Encoding, Lines
from labctl.design.model import Block, information, information_of, standard_errors
from labctl.design.pair import Pair

FloatArray = NDArray[np.float64]

RELAXING = Relaxing(T1_s=(16.7,), reference_K=293.15, Ea_eV=0.09)
FIVE_K = np.linspace(293.15, 373.15, 5)
THREE_K = np.array([293.15, 333.15, 373.15])
GRID_S = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
OVERHEAD_S = 0.19
"""t1, AQ and 0.1 s of pre-scan delay: 35.7 h for 320 x 8 transients of 50.01 s."""

X10 = (0.003, 0.01, 0.03, 0.1, 0.3)
"""kD at 293 K times 10 s."""

_OFFSETS_HZ = tuple(73.578 * ppm for ppm in (2.31, 1.29, -4.56))


def encoding(*fwhm_Hz: float) -> Encoding:
    """Li2S, LPSC and LiI at 11.7 T, t1 starting at 0."""
    return Encoding(lines=Lines(offset_Hz=_OFFSETS_HZ, fwhm_Hz=fwhm_Hz), increment_s=0.8e-3, noise=0.01)


def model(*, fewer_rows: bool = False) -> Pair:
    """The cross peak that the figures are for."""
    return Pair(
        relaxing=RELAXING, noise=0.0166, encoding=encoding(30, 15, 40) if fewer_rows else None, reference_K=333.15
    )


def truth(x10: float) -> FloatArray:
    """Parameters with plateau 1 and Ea 0.107 eV."""
    lever = -(1 / 333.15 - 1 / 293.15) / 8.617333262e-5
    return np.array([[1.0, np.log(x10 / 10) + 0.107 * lever, 0.107]])


def T1(T_K: float) -> float:
    """T1 at a temperature."""
    return float(RELAXING.at(T_K)[0])


def seconds(block: Block) -> float:
    """Instrument time of a 2D."""
    return block.transients * (block.recycle_delay_s + block.tmix_s + OVERHEAD_S)


def grid(times_T1: float, mixing_s: tuple[float, ...] = GRID_S) -> list[Block]:
    """Five temperatures by seven mixing times, 320 rows of 8 scans."""
    return [
        Block(T_K=float(T_K), tmix_s=t, recycle_delay_s=times_T1 * T1(T_K), rows=320, scans=8)
        for T_K in FIVE_K
        for t in mixing_s
    ]


def price(blocks: list[Block], x10: float, *, plateau_known: bool = False) -> float:
    """Hours times variance of Ea: what a unit of precision costs."""
    told = information_of(model(), truth(x10), blocks)
    keep = slice(1, None) if plateau_known else slice(None)
    return sum(map(seconds, blocks)) * float(standard_errors(told[:, keep, keep])[0, -1]) ** 2


def best_tmix(T_K: float, x10: float, *, optimal_delay: bool) -> tuple[float, float]:
    """Mixing time and recycle delay with most information on kD per hour at one temperature."""
    tmix_s = np.geomspace(0.01, 60, 300)
    delays = T1(T_K) * (np.linspace(0.3, 4, 100) if optimal_delay else np.array([3.0]))
    seen = model().sensitivity(truth(x10), T_K, tmix_s, delays)
    tells = information(model(), seen, 320)[0, :, :, 1, 1]
    m, d = np.unravel_index(int(np.argmax(tells / (tmix_s[:, None] + delays + OVERHEAD_S))), (tmix_s.size, delays.size))
    return float(tmix_s[m]), float(delays[d])


def one_tmix_each(temperatures: FloatArray, shares: list[float], x10: float, *, optimal_delay: bool) -> list[Block]:
    """At each temperature its best mixing time, for a share of the time (scans stand for time)."""
    blocks = []
    for T_K, share in zip(temperatures, shares, strict=True):
        tmix_s, delay_s = best_tmix(float(T_K), x10, optimal_delay=optimal_delay)
        scans = round(1e7 * share / (tmix_s + delay_s + OVERHEAD_S))
        blocks.append(Block(T_K=float(T_K), tmix_s=tmix_s, recycle_delay_s=delay_s, rows=320, scans=scans))
    return blocks


def test_the_paper_like_grid_takes_933_hours_and_gives_10_meV() -> None:
    """Hours per temperature and the standard error of Ea are those of the published budget."""
    hours = np.array([seconds(block) for block in grid(3.0)]).reshape(5, 7).sum(axis=1) / 3600
    assert np.abs(np.round(hours) - [263, 213, 177, 150, 130]).max() <= 1
    assert round(hours.sum()) == pytest.approx(933, abs=1)
    se = standard_errors(information_of(model(), truth(0.03), grid(3.0)))[0, 2]
    assert round(1e3 * se, 1) == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "gains"),
    [
        ("delay 1.5 T1", (1.24, 1.24, 1.24, 1.24, 1.24)),
        ("best Tmix, 5 T", (2.2, 2.2, 2.3, 2.4, 2.7)),
        ("best Tmix, 3 T", (3.9, 4.0, 4.1, 4.3, 4.9)),
        ("3 T, best delay", (4.6, 4.7, 4.9, 5.4, 6.4)),
        ("2 T, best delay", (5.1, 5.2, 5.4, 6.0, 7.0)),
        ("robust", (3.5, 3.5, 3.4, 3.4, 2.8)),
    ],
)
def test_gains_over_the_paper_like_grid_are_reproduced(name: str, gains: tuple[float, ...]) -> None:
    """Time ratios at equal standard error of Ea agree to a unit of their last printed digit."""
    digits = 2 if name == "delay 1.5 T1" else 1
    for x10, expected in zip(X10, gains, strict=True):
        found = price(grid(3.0), x10) / _price_of(name, x10)
        assert abs(round(found, digits) - expected) <= 1.001 * 10**-digits, (x10, found)


def _price_of(name: str, x10: float) -> float:
    match name:
        case "delay 1.5 T1":
            return price(grid(1.5), x10)
        case "best Tmix, 5 T":
            return price(one_tmix_each(FIVE_K, [0.2] * 5, x10, optimal_delay=False), x10, plateau_known=True)
        case "best Tmix, 3 T" | "3 T, best delay":
            plan = one_tmix_each(THREE_K, [0.5, 0.1, 0.4], x10, optimal_delay=name.endswith("delay"))
            return price(plan, x10, plateau_known=True)
        case "2 T, best delay":
            return min(
                price(one_tmix_each(THREE_K[::2], [a, 1 - a], x10, optimal_delay=True), x10, plateau_known=True)
                for a in np.linspace(0.4, 0.7, 13)
            )
        case _:
            blocks = []
            for T_K, share, pair in zip(THREE_K, (0.48, 0.08, 0.44), ((2, 8), (1.5, 5), (0.7, 4)), strict=True):
                delay_s = 1.5 * T1(float(T_K))
                for tmix_s in pair:
                    scans = round(1e7 * share / 2 / (tmix_s + delay_s + OVERHEAD_S))
                    blocks.append(Block(T_K=float(T_K), tmix_s=tmix_s, recycle_delay_s=delay_s, rows=320, scans=scans))
            return price(blocks, x10)


def test_a_logarithmic_grid_from_10_ms_is_worse_than_the_papers() -> None:
    """Short mixing times hardly tell of D: 0.74 times the speed."""
    spread = tuple(float(t) for t in np.geomspace(0.01, 10, 7))
    found = price(grid(3.0), 0.03) / price(grid(3.0, spread), 0.03)
    assert abs(round(found, 2) - 0.74) <= 0.01001


def test_the_best_recycle_delay_is_known() -> None:
    """Recycle delay over T1 for mixing times of 0, 0.1, 0.3, 0.6 and 1 T1, and what it gains over 3 T1."""
    expected = {0.0: (1.26, 1.35), 0.1: (1.37, 1.30), 0.3: (1.55, 1.23), 0.6: (1.73, 1.16), 1.0: (1.92, 1.10)}
    for mixing, (delay, gain) in expected.items():
        best = recycle_factor(mixing)
        assert abs(round(best, 2) - delay) <= 0.01001
        ratio = ((1 - np.exp(-best)) / (1 - np.exp(-3))) ** 2 * (3 + mixing) / (best + mixing)
        assert abs(round(float(ratio), 2) - gain) <= 0.01001


@pytest.mark.parametrize(
    ("fwhm_Hz", "table"),
    [
        (
            (10, 10, 10),
            {16: (6.2, 6.3, 6.6), 24: (6.0,) * 3, 32: (5.5,) * 3, 48: (4.6, 4.6, 4.7), 64: (4.0,) * 3, 96: (3.0,) * 3},
        ),
        (
            (30, 15, 40),
            {
                16: (12.6, 8.2, 15.9),
                24: (11.2, 8.0, 12.1),
                32: (9.1, 7.0, 9.6),
                48: (6.4, 5.5, 6.6),
                64: (5.0, 4.6, 5.0),
                96: (3.3, 3.3, 3.3),
            },
        ),
        (
            (50, 40, 50),
            {
                16: (15.0, 13.9, 17.2),
                24: (12.7, 12.1, 12.7),
                32: (9.8, 9.6, 9.8),
                48: (6.6, 6.6, 6.7),
                64: (5.0,) * 3,
                96: (3.3,) * 3,
            },
        ),
    ],
)
def test_fewer_rows_gain_what_the_table_says(
    fwhm_Hz: tuple[float, float, float], table: dict[int, tuple[float, float, float]]
) -> None:
    """Gain in time over 320 rows by source site (Li2S, LPSC, LiI), to a unit of the last digit."""
    for rows, expected in table.items():
        found = np.round(encoding(*fwhm_Hz).gain(rows), 1)
        assert np.abs(found - expected).max() <= 0.1001, rows


def test_totals_of_the_fixed_plans_are_reproduced() -> None:
    """Hours and standard error of Ea [meV] of the plans that start from the paper's 933 h."""
    mixing = {293.15: (2.0, 8.0), 333.15: (1.5, 5.0), 373.15: (0.7, 4.0)}

    def plan(rows: int, scans: int, ends: int) -> list[Block]:
        blocks = []
        for T_K, times in mixing.items():
            middle = T_K == 333.15
            for tmix_s in (2.0,) if middle and ends > 1 else times:
                for _ in range(1 if middle else ends):
                    delay_s = 1.5 * T1(T_K)
                    blocks.append(Block(T_K=T_K, tmix_s=tmix_s, recycle_delay_s=delay_s, rows=rows, scans=scans))
        return blocks

    for (rows, scans, ends), (hours, meV) in {
        (48, 8, 1): (13.7, 21.9),
        (48, 16, 2): (41.9, 11.0),
        (32, 16, 2): (28.0, 12.0),
        (48, 24, 2): (62.9, 9.0),
    }.items():
        blocks = plan(rows, scans, ends)
        assert round(sum(map(seconds, blocks)) / 3600, 1) == pytest.approx(hours, abs=0.1001)
        se = standard_errors(information_of(model(fewer_rows=True), truth(0.03), blocks))[0, 2]
        assert round(1e3 * float(se), 1) == pytest.approx(meV, abs=0.1001), (rows, scans, ends)
