"""The amplitude matrix of one 2D-EXSY by separable linear least squares on known lines.

With E1[r, i] = {cos, sin}(w_i t1) s_i(t1) and E2[n, j] = exp(i w_j t2) s_j(t2) the data are ``S = E1 A E2^T`` plus
noise, so that for real A::

    A = (E1'E1)^-1 Re(E1' S conj(E2)) (Re E2^H E2)^-1
    Cov(A) = sigma^2 (E1'E1)^-1 kron (Re E2^H E2)^-1

sigma being the noise of one real channel. Nothing is Fourier transformed, so neither truncation nor overlap
biases A; what does is a wrong line shape, and `chi2_red` shows it. Lines of which t1 and t2 share a part of the width
(`LineSet.lasting`) do not separate; `labctl.analysis.nmr.lasting` has the estimator for them. Where no Voigt line
describes the data, s is read from them (`labctl.analysis.nmr.empirical`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from labctl.analysis.nmr import empirical
from labctl.analysis.nmr.doubt import Doubt
from labctl.analysis.nmr.joint_fit import Products
from labctl.analysis.nmr.lasting import Lasting, slopes, solve
from labctl.analysis.nmr.lines import SHAPE_ADVICE, LineSet
from labctl.analysis.nmr.rows import Rows
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

_WORST_CHI2 = 1.5
_NOISE_TOO_HIGH = 0.9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AmplitudeMatrix:
    """Mixing amplitudes of one 2D: row = source (F1), column = detected (F2).

    Attributes
    ----------
    sites : tuple of str
    A : ndarray, shape (K, K)
        Signal at t1 = t2 = 0, counts per scan, real.
    cov : ndarray, shape (K*K, K*K)
        Covariance of ``A.ravel()`` (row-major) from the noise, the lines being taken as known.
    line_slope : ndarray, shape (P, K*K)
        How ``A.ravel()`` moves with the P free parameters of the `LineSet`. Lines are shared by all datasets of a
        temperature, so ``line_slope_d.T @ lines.cov @ line_slope_e`` is the covariance of datasets d and e that comes
        on top.
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
    line_slope: NDArray[np.float64]
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
        se: NDArray[np.float64] = np.sqrt(np.diag(self.cov)).reshape(self.A.shape)
        return se

    def reordered(self, order: Sequence[int], names: Sequence[str]) -> AmplitudeMatrix:
        """Return the same matrix with its sites in another order under new names (`LineSet.reordered` alike)."""
        at = np.array(order, dtype=np.intp)
        flat = (at[:, None] * len(at) + at).ravel()
        return replace(
            self,
            sites=tuple(names),
            A=self.A[np.ix_(at, at)],
            cov=self.cov[np.ix_(flat, flat)],
            line_slope=self.line_slope[:, flat],
            inhomogeneous_Hz=tuple(self.inhomogeneous_Hz[old] for old in order),
        )


def estimate_amplitudes(
    dataset: BrukerDataset, lines: LineSet, *, T_K: float | None = None, name: str = ""
) -> AmplitudeMatrix:
    """Return the amplitude matrix of one 2D on the given lines; any number of rows from four on will do.

    Parameters
    ----------
    dataset : BrukerDataset
        States, States-TPPI or echo-antiecho.
    lines : LineSet
        From all 2Ds of the same temperature (`refine_lines`).
    T_K : float, optional
        Sample temperature; copied to the answer.
    name : str
        Step id for the answer and for messages; the folder by default.

    Raises
    ------
    InputError
        Not a phase-sensitive 2D, too few rows, or F1 too short to tell the lines apart.
    """
    rows = lines.rows_of(dataset, name=name)
    if rows.t1_s is None:
        raise InputError(f"{rows.dataset}: an amplitude matrix needs a 2D, not a {dataset.dimension}")
    if lines.lasting is not None:
        return _allowing_for_lasting(dataset, rows, lines, lines.lasting, T_K)
    sites = len(lines.lines)
    products = Products.of(rows, lines.shape_of(dataset), slopes_only=True, index=lines.index_of(dataset) or 0)
    voigt = [parameter for parameter in lines.free if not parameter.startswith(empirical.SHAPE)]
    normal = products.eliminate([products.direction(parameter) for parameter in voigt])
    g1, g2 = products.g1[:sites, :sites], products.g2[:sites, :sites].real
    if np.linalg.cond(g1) > 1e10:
        raise InputError(
            f"{rows.dataset}: {rows.signal.shape[0]} rows (t1 up to {rows.t1_s[-1] * 1e3:.3g} ms) cannot tell the "
            f"{sites} sites apart",
            next_step="Acquire more rows, or merge sites",
        )
    n_data = 2 * rows.signal.size
    noise, chi2_red, warnings = _noise(dataset, rows, normal.chi2 / (n_data - sites * sites))
    cov = np.asarray(noise**2 * np.kron(linalg.inv(g1), linalg.inv(g2)), dtype=np.float64)
    slope = normal.amplitude_slope
    if lines.shape.correction is not None:
        slope = empirical.slopes(rows, lines.shape_of(dataset), lines.free)
    return _matrix(dataset, rows, lines, T_K, (products.amplitudes, cov, slope), noise, chi2_red, warnings)


def _allowing_for_lasting(
    dataset: BrukerDataset, rows: Rows, lines: LineSet, lasting: Lasting, T_K: float | None
) -> AmplitudeMatrix:
    shape, sites = lines.shape_of(dataset), len(lines.lines)
    found = solve(rows, shape, lasting)
    degrees = 2 * rows.signal.size - found.cov.shape[0]
    noise, chi2_red, warnings = _noise(dataset, rows, found.residual / rows.noise**2 / degrees)
    cov = found.cov[: sites * sites, : sites * sites] * (noise / rows.noise) ** 2
    numbers = (found.A, cov, slopes(rows, shape, lasting, lines.free))
    return _matrix(dataset, rows, lines, T_K, numbers, noise, chi2_red, warnings)


def _noise(dataset: BrukerDataset, rows: Rows, chi2_red: float) -> tuple[float, float, list[Doubt]]:
    noise, warnings = rows.noise, []
    if chi2_red < _NOISE_TOO_HIGH:
        warnings.append(
            Doubt(
                "signal is left at the end of t2; the noise is taken from the residual",
                chi2_red,
                "acquire until the narrowest line has decayed",
            )
        )
        noise, chi2_red = noise * float(np.sqrt(chi2_red)), 1.0
    if chi2_red > _WORST_CHI2:
        warnings.append(
            Doubt(f"the line shapes do not describe this 2D: chi2_red {chi2_red:.2f}", chi2_red, SHAPE_ADVICE)
        )
    if dataset.rows_acquired < dataset.rows_asked:
        warnings.append(
            Doubt(
                f"{dataset.rows_acquired} of {dataset.rows_asked} rows were acquired",
                dataset.rows_acquired / max(1, dataset.rows_asked),
                "errors account for the missing rows",
            )
        )
    return noise, chi2_red, warnings


def _matrix(
    dataset: BrukerDataset,
    rows: Rows,
    lines: LineSet,
    T_K: float | None,
    numbers: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    noise: float,
    chi2_red: float,
    warnings: Sequence[str],
) -> AmplitudeMatrix:
    A, cov, line_slope = numbers
    return AmplitudeMatrix(
        sites=lines.names,
        A=A,
        cov=cov,
        line_slope=line_slope,
        noise=noise,
        chi2_red=float(chi2_red),
        rows=rows.signal.shape[0],
        mixing_time_s=dataset.mixing_time_s or 0.0,
        recycle_delay_s=dataset.recycle_delay_s or 0.0,
        T_K=T_K,
        dataset=rows.dataset,
        inhomogeneous_Hz=tuple(line.inhomogeneous_Hz for line in lines.lines),
        warnings=tuple(warnings),
    )
