"""Levenberg and Marquardt for many small problems at once: every start of every spectrum walks in one array.

A spectrum has some 50 to 100 points and 3 to 10 parameters; what costs is not arithmetic but the calls. Walking
20 starts, or 100 spectra, side by side makes them cost little more than one. Bounds hold by projection: a coordinate
at its bound whose gradient points outward stands still for the step. Against MINPACK and scipy's trust region the same
minima are found (the tests hold it to them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

Residuals = Callable[[FloatArray, IntArray], tuple[FloatArray, FloatArray]]
"""Coordinates (S, P) and which problem each row belongs to (S,) -> residuals (S, M), derivatives (S, P, M)."""


@dataclass(frozen=True, slots=True)
class Descent:
    """Where the walks ended.

    Attributes
    ----------
    theta : ndarray, shape (S, P)
    chi2 : ndarray, shape (S,)
    information : ndarray, shape (S, P, P)
        J^T J at `theta`.
    """

    theta: FloatArray
    chi2: FloatArray
    information: FloatArray


def descend(
    residuals: Residuals,
    start: FloatArray,
    which: IntArray,
    lower: FloatArray,
    upper: FloatArray,
    *,
    steps: int = 60,
    tolerance: float = 1e-7,
) -> Descent:
    """Walk every start downhill until chi2 no longer falls by more than `tolerance` of itself.

    Parameters
    ----------
    residuals : callable
        See `Residuals`.
    start : ndarray, shape (S, P)
    which : ndarray of int, shape (S,)
    lower, upper : ndarray, shape (S, P)
    """
    theta = np.clip(start, lower, upper)
    r, J = residuals(theta, which)
    chi2 = np.einsum("sm,sm->s", r, r)
    A = J @ J.transpose(0, 2, 1)
    g = (J @ r[:, :, None])[:, :, 0]
    damping = np.full(len(theta), 1e-2)
    active = np.flatnonzero(np.isfinite(chi2))
    chi2 = np.where(np.isfinite(chi2), chi2, np.inf)
    calm = np.zeros(len(theta), dtype=np.intp)
    for _ in range(steps):
        if not active.size:
            break
        step = _step(A[active], g[active], damping[active], theta[active], lower[active], upper[active])
        trial = np.clip(theta[active] + step, lower[active], upper[active])
        r, J = residuals(trial, which[active])
        new = np.einsum("sm,sm->s", r, r)
        new = np.where(np.isfinite(new), new, np.inf)
        fall = chi2[active] - new
        better = fall > 0
        small = np.abs(fall) <= tolerance * chi2[active]
        good = active[better]
        theta[good], chi2[good] = trial[better], new[better]
        A[good] = J[better] @ J[better].transpose(0, 2, 1)
        g[good] = (J[better] @ r[better][:, :, None])[:, :, 0]
        damping[active] = np.where(better, np.maximum(damping[active] * 0.15, 1e-9), damping[active] * 6.0)
        # Twice in a row, or stuck: one small step may be a damped one on the way through a bend.
        calm[active] = np.where(small, calm[active] + 1, 0)
        done = (calm[active] >= 2) | (damping[active] > 1e8) | (small & better & (damping[active] < 1e-3))
        active = active[~done]
    return Descent(theta, chi2, A)


def _step(
    A: FloatArray, g: FloatArray, damping: FloatArray, theta: FloatArray, lower: FloatArray, upper: FloatArray
) -> FloatArray:
    held = ((theta <= lower) & (g > 0)) | ((theta >= upper) & (g < 0))
    free = (~held).astype(np.float64)
    scale = np.sqrt(np.maximum(np.einsum("spp->sp", A), 1e-300))
    M = A / (scale[:, :, None] * scale[:, None, :])
    M = M * (free[:, :, None] * free[:, None, :])
    diagonal = np.arange(A.shape[1])
    M[:, diagonal, diagonal] = 1.0 + damping[:, None]
    M = np.where(np.isfinite(M), M, 0.0)
    step = np.linalg.solve(M, (-np.where(np.isfinite(g), g, 0.0) * free / scale)[:, :, None])[:, :, 0] / scale
    return np.asarray(np.clip(np.where(free > 0, step, 0.0), -3.0, 3.0))  # no more than a factor e^3 at once
