"""What the rows of a 2D cost in precision: the covariance of amplitudes read by least squares on known lines.

``cov(A) = sigma^2 (E1^T E1)^-1 (x) Re(E2^H E2)^-1`` with E1, E2 the decays of the lines in t1 and t2
(`labctl.analysis.nmr.basis`): rows in which the lines have decayed cost hours and tell nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.nmr.basis import Shape, f1_basis, f2_basis

FloatArray = NDArray[np.float64]

LEAST_ROWS = 16
"""Fewer rows leave nothing that would show a line shape to be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Where the lines lie and how wide they are: offsets from the carrier and full widths [Hz], one per site."""

    offset_Hz: tuple[float, ...]
    fwhm_Hz: tuple[float, ...]

    def shape(self) -> Shape:
        """Return the lines as the estimator takes them (Lorentzian)."""
        return Shape(
            offset_Hz=np.asarray(self.offset_Hz, dtype=np.float64),
            lorentz_Hz=np.asarray(self.fwhm_Hz, dtype=np.float64),
            gauss2_Hz2=np.zeros(len(self.offset_Hz)),
        )

    def closest_Hz(self) -> float:
        """Return the distance of the closest pair [Hz]."""
        return float(np.diff(np.sort(self.offset_Hz)).min())

    def t1_limits_s(self) -> tuple[float, float]:
        """Return the least useful t1max and the longest: ``1 / (2 gap)`` of the closest pair, T2* of the narrowest."""
        return 1 / (2 * self.closest_Hz()), 1 / (np.pi * min(self.fwhm_Hz))


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How a 2D samples the lines, and how noisy a reference 2D is.

    Attributes
    ----------
    lines : Lines
    increment_s : float
        t1 step of a complex point.
    first_t1_s : float
        Of the first row: 0, or half the increment (half-dwell start).
    points, spectral_width_Hz : int, float
        TD (real and imaginary together) and SW of F2.
    noise : float
        Standard error of an amplitude over the sum of all, fully relaxed and unmixed, root mean square over the K^2
        amplitudes of a 2D of `noise_rows` rows and `noise_scans` scans.
    """

    lines: Lines
    increment_s: float
    noise: float
    noise_rows: int = 320
    noise_scans: int = 8
    first_t1_s: float = 0.0
    points: int = 2048
    spectral_width_Hz: float = 20_000.0

    def source_variance(self, rows: int) -> FloatArray:
        """Return the variance of each source site's amplitudes in units of one row's noise, shape (K,)."""
        return np.asarray(np.diag(self._f1_covariance(rows)))

    def gain(self, rows: int, over_rows: int = 320) -> FloatArray:
        """Return how much more each source site tells in `rows` rows than in `over_rows`, the scans in all being equal.

        Shape (K,). It is a ratio of times at equal variance: 5.5 for 48 rows over 320 at FWHM 30/15/40 Hz.
        """
        few, many = self.source_variance(rows) * rows, self.source_variance(over_rows) * over_rows
        return np.asarray(many / few)

    def covariance(self, rows: int) -> FloatArray:
        """Return the covariance of ``A.ravel()`` (sum of A is 1) after one transient of each of `rows` rows.

        Divided by the scans per row it is that of a 2D. Shape (K*K, K*K).
        """
        reference = self._shape_of_noise(self.noise_rows)
        scale = self.noise**2 * self.noise_scans / float(np.mean(np.diag(reference)))
        return scale * self._shape_of_noise(rows)

    def _shape_of_noise(self, rows: int) -> FloatArray:
        t2_s = np.arange(self.points // 2) / self.spectral_width_Hz
        E2 = f2_basis(t2_s, self.lines.shape())
        return np.kron(self._f1_covariance(rows), np.linalg.inv(np.real(E2.conj().T @ E2)))

    def _f1_covariance(self, rows: int) -> FloatArray:
        pair = np.arange(rows // 2)
        t1_s = np.repeat(self.first_t1_s + pair * self.increment_s, 2)
        E1 = f1_basis(t1_s, np.tile([False, True], rows // 2), self.lines.shape())
        return np.asarray(np.linalg.inv(E1.T @ E1))
