"""Everything measured of exchange at one temperature: amplitude matrices over Tmix, and recovery curves.

Matrices are compared with models after division by their own sum: common relaxation, gain, number of
scans and slow drift of sensitivity cancel exactly, and the covariance is carried along (its rank falls by
one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from labctl.analysis.exchange import pairs, rates_by_logarithm
from labctl.analysis.fit import Whitener

FloatArray = NDArray[np.float64]

EARLY_PART = 0.35
"""A cross peak counts as early below this part of its plateau."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixingPoint:
    """One 2D-EXSY.

    Attributes
    ----------
    A : ndarray, shape (K, K)
        Row source, column detected, any unit.
    covariance : ndarray, shape (K*K, K*K)
        Of ``A.ravel()``, all causes together.
    line_slope : ndarray, shape (P, K*K), optional
        How ``A.ravel()`` moves with the line parameters that all 2Ds of the temperature share.
    recycle_delay_s : float or None
        From the read pulse (all saturated) to the first pulse of the next scan.
    reference : ndarray, shape (K, K), optional
        What the matrix is believed to be, in any unit: noise is propagated there. At the measured matrix itself, the
        default, weights hang on the noise they weigh, which biases rates by the square of the noise.
    """

    tmix_s: float
    A: FloatArray
    covariance: FloatArray
    recycle_delay_s: float | None = None
    dataset: str = ""
    line_slope: FloatArray | None = None
    reference: FloatArray | None = None

    def normalised(self) -> tuple[FloatArray, FloatArray]:
        """Return A / sum(A), shape (K, K), and its covariance, shape (K*K, K*K)."""
        gradient = self.normalising()
        return self.A / self.A.sum(), gradient @ self.covariance @ gradient.T

    def normalising(self) -> FloatArray:
        """Return d (A / sum(A)) / d A, shape (K*K, K*K)."""
        total = float(self.A.sum())
        about = self.A if self.reference is None else self.reference
        return np.asarray((np.eye(self.A.size) - about.ravel()[:, None] / float(about.sum())) / total)

    def asymmetry(self) -> tuple[float, tuple[int, int]]:
        """Return the largest ``(A_ij - A_ji)`` over its standard error (with sign), and the pair."""
        count = len(self.A)
        worst, where = 0.0, (0, min(1, count - 1))
        for i, j in pairs(count):
            forth, back = i * count + j, j * count + i
            C = self.covariance
            variance = C[forth, forth] + C[back, back] - 2 * C[forth, back]
            sigma = float((self.A[i, j] - self.A[j, i]) / np.sqrt(variance)) if variance > 0 else 0.0
            if abs(sigma) > abs(worst):
                worst, where = sigma, (i, j)
        return worst, where


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecoveryCurve:
    """Saturation recovery of one site: `site` is its index, the rest has shape (N,)."""

    site: int
    delays_s: FloatArray
    intensities: FloatArray
    intensity_se: FloatArray
    T1_s: float
    dataset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buildup:
    """All 2Ds of one temperature, with the recovery curves measured there (one for every site, or none used).

    `line_covariance`, shape (P, P), is that of the line parameters the 2Ds share; it makes their errors hang
    together.
    """

    sites: tuple[str, ...]
    T_K: float | None
    points: tuple[MixingPoint, ...]
    recoveries: tuple[RecoveryCurve, ...] = ()
    line_covariance: FloatArray | None = None

    @property
    def tmix_s(self) -> FloatArray:
        """Mixing times, shape (M,)."""
        return np.array([point.tmix_s for point in self.points])

    @property
    def has_T1(self) -> bool:
        """Whether every site has a recovery curve."""
        return {curve.site for curve in self.recoveries} == set(range(len(self.sites)))

    def normalised(self) -> tuple[FloatArray, Whitener]:
        """Return the stacked normalised matrices, shape (M*K*K,), and the whitener of their noise."""
        parts = [point.normalised() for point in self.points]
        values = np.concatenate([a.ravel() for a, _ in parts])
        slopes = [point.line_slope for point in self.points if point.line_slope is not None]
        if self.line_covariance is None or len(slopes) < len(self.points):
            return values, Whitener.stacked([Whitener.of(C) for _, C in parts])
        own = [C for _, C in parts]
        shared = [slope @ point.normalising().T for slope, point in zip(slopes, self.points, strict=True)]
        own = [C - slope.T @ self.line_covariance @ slope for C, slope in zip(own, shared, strict=True)]
        wide = np.concatenate(shared, axis=1)
        return values, Whitener.of(np.asarray(block_diag(*own)) + wide.T @ self.line_covariance @ wide)

    def cross(self, i: int, j: int) -> tuple[FloatArray, FloatArray]:
        """Return the mean of the normalised cross peaks i to j and j to i, and its standard error, shape (M,)."""
        count = len(self.sites)
        half = np.zeros(count * count)
        half[[i * count + j, j * count + i]] = 0.5
        parts = [point.normalised() for point in self.points]
        mean = np.array([half @ a.ravel() for a, _ in parts])
        return mean, np.sqrt([half @ C @ half for _, C in parts])

    def early_slope(self, i: int, j: int, plateau: float) -> tuple[float, float, int] | None:
        """Return d ln A / d ln Tmix before the bend, its standard error and the points used; None below two."""
        cross, se = self.cross(i, j)
        use = (cross > 3 * se) & (cross < EARLY_PART * plateau)
        if len(set(self.tmix_s[use])) < 2:
            return None
        x, y, weight = np.log(self.tmix_s[use]), np.log(cross[use]), (cross[use] / se[use]) ** 2
        centre = (weight @ x) / weight.sum()
        lever = float(weight @ (x - centre) ** 2)
        return float(weight @ ((x - centre) * y) / lever), float(1 / np.sqrt(lever)), int(use.sum())

    def guess(self) -> tuple[FloatArray, FloatArray]:
        """Return first guesses of populations, shape (K,), and fluxes, shape (K (K - 1) / 2,)."""
        points = sorted(self.points, key=lambda point: point.tmix_s)
        shortest = points[0].normalised()[0]
        p = np.clip(0.5 * (shortest.sum(axis=0) + shortest.sum(axis=1)), 1e-4, None)
        p = p / p.sum()
        found: list[list[float]] = [[] for _ in pairs(len(p))]
        for point in points:
            a = point.normalised()[0]
            k = rates_by_logarithm(0.5 * (a + a.T), p, point.tmix_s) if point.tmix_s > 0 else None
            for index, (i, j) in enumerate(pairs(len(p))):
                flux = 0.5 * (p[i] * k[i, j] + p[j] * k[j, i]) if k is not None else -1.0
                if flux > 0:
                    found[index].append(flux)
        longest = points[-1].tmix_s or 1.0
        fallback = [0.3 * p[i] * p[j] / longest for i, j in pairs(len(p))]
        return p, np.array([np.median(one) if one else other for one, other in zip(found, fallback, strict=True)])


def plateau_reached(values: Sequence[float], plateau: float) -> str:
    """Return ``before`` if all points lie well below the bend, ``after`` if all are at the plateau, else ``spans``."""
    part = np.asarray(values) / plateau
    if part.max() < 0.25:
        return "before"
    return "after" if part.min() > 0.9 else "spans"
