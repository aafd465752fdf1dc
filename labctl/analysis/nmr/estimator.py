"""The amplitude matrix of one 2D-EXSY by separable linear least squares on known lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.nmr.lines import LineSet
from labctl.formats.bruker_dataset import BrukerDataset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AmplitudeMatrix:
    """Mixing amplitudes of one 2D: row = source (F1), column = detected (F2).

    Attributes
    ----------
    sites : tuple of str
    A : ndarray, shape (K, K)
        Signal at t1 = t2 = 0, counts per scan, real.
    cov : ndarray, shape (K*K, K*K)
        Covariance of ``A.ravel()`` (row-major) from the noise: ``sigma^2 (E1'E1)^-1 kron Re(E2^H E2)^-1``.
    noise : float
        Noise of one real channel of one row, counts per scan.
    chi2_red : float
        Residual over noise where there is signal; above about 1.5 the line shapes do not describe the data.
    rows : int
        Rows used.
    inhomogeneous_Hz : tuple of float
        Hint of correlated (inhomogeneous) width of each diagonal peak, FWHM [Hz]; 0 where not significant.
    """

    sites: tuple[str, ...]
    A: NDArray[np.float64]
    cov: NDArray[np.float64]
    noise: float
    chi2_red: float
    rows: int
    mixing_time_s: float
    recycle_delay_s: float
    T_K: float | None
    dataset: str
    inhomogeneous_Hz: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def A_se(self) -> NDArray[np.float64]:
        """Standard errors of `A`, shape (K, K)."""
        return np.sqrt(np.diag(self.cov)).reshape(self.A.shape)


def estimate_amplitudes(
    dataset: BrukerDataset, lines: LineSet, *, T_K: float | None = None, name: str = ""
) -> AmplitudeMatrix:
    """Return the amplitude matrix of one 2D by eq. (9) on the given lines; partial rows are welcome."""
    raise NotImplementedError
