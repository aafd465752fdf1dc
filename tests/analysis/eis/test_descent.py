"""Many walks at once against one at a time by scipy, at bounds and away from them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from labctl.analysis.eis.descent import descend

X = np.linspace(0.0, 3.0, 20)
PROBLEMS = ((2.0, 1.3), (0.5, 3.0), (5.0, 0.2))
"""Amplitude and rate of exponentials that are fitted together."""


def residuals(theta: NDArray[np.float64], which: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a exp(-k x) minus the data of each problem, and derivatives."""
    data = np.array([a * np.exp(-k * X) + 0.02 * np.sin(7 * X) for a, k in PROBLEMS])[which]
    curve = np.exp(-theta[:, 1:] * X)
    return theta[:, :1] * curve - data, np.stack([curve, -theta[:, :1] * X * curve], axis=1)


@pytest.mark.parametrize("upper_rate", [10.0, 1.0, 0.1])
def test_every_walk_ends_where_scipys_ends(upper_rate: float) -> None:
    """Starts of all problems, each with its bounds, find the minimum inside them, on the bound where it is there."""
    rng = np.random.default_rng(0)
    which = np.repeat(np.arange(len(PROBLEMS)), 5)
    start = rng.uniform([0.1, 0.05], [6.0, 0.1 + 0.9 * upper_rate], (which.size, 2))
    lower, upper = np.zeros((which.size, 2)), np.tile([10.0, upper_rate], (which.size, 1))
    ended = descend(residuals, start, which, lower, upper, tolerance=1e-12, steps=200)

    def alone(theta: NDArray[np.float64], problem: int) -> NDArray[np.float64]:
        return np.asarray(residuals(theta[None], np.array([problem]))[0][0])

    for row, problem in enumerate(which):
        slow = least_squares(
            alone,
            [1.0, 0.5 * upper_rate],
            bounds=([0.0, 0.0], [10.0, upper_rate]),
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-14,
            args=(int(problem),),
        )
        assert ended.chi2[row] == pytest.approx(2 * slow.cost, rel=1e-5)
        assert ended.theta[row] == pytest.approx(slow.x, abs=1e-3)
