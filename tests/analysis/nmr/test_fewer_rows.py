"""What fewer t1 rows gain in spectrometer time when line shapes are known: the published table, from our errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.lines import refine_lines

ROWS = (16, 24, 32, 48, 64, 96)
TABLE: dict[tuple[float, ...], list[tuple[float, ...]]] = {
    (10.0, 10.0, 10.0): [(6.2, 6.3, 6.6), (6.0,) * 3, (5.5,) * 3, (4.6, 4.6, 4.7), (4.0,) * 3, (3.0,) * 3],
    (30.0, 15.0, 40.0): [
        (12.6, 8.2, 15.9),
        (11.2, 8.0, 12.1),
        (9.1, 7.0, 9.6),
        (6.4, 5.5, 6.6),
        (5.0, 4.6, 5.0),
        (3.3, 3.3, 3.3),
    ],
    (50.0, 40.0, 50.0): [
        (15.0, 13.9, 17.2),
        (12.7, 12.1, 12.7),
        (9.8, 9.6, 9.8),
        (6.6, 6.6, 6.7),
        (5.0,) * 3,
        (3.3,) * 3,
    ],
}
"""Variance of 320 rows over that of fewer, the scans of all rows together being the same; sources Li2S, LPSC, LiI."""


@pytest.mark.parametrize("widths", list(TABLE))
def test_errors_of_fewer_rows_give_the_table_of_gains(sample: Any, truth: Any, widths: tuple[float, ...]) -> None:
    """With t1 from 0 the estimator's own variances give every gain within one unit of its last digit."""
    known = replace(sample, lorentz=widths, noise=0.01, points=512)
    lines = refine_lines([known.exsy(truth, rows=96, start=0.0)], sites=known.ppm)

    def per_scan(rows: int) -> Any:
        # scans fixed in all: each of fewer rows gets more of them, so its noise counts as its number of rows
        matrix = estimate_amplitudes(known.exsy(truth, rows=rows, start=0.0), lines)
        return rows * np.diag(matrix.cov).reshape(3, 3) / matrix.noise**2

    full = per_scan(320)
    for rows, gains in zip(ROWS, TABLE[widths], strict=True):
        found = full / per_scan(rows)
        np.testing.assert_allclose(found, np.broadcast_to(np.array(gains)[:, None], (3, 3)), atol=0.11)
