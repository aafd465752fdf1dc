"""As the paper did it: pairs of phases fitted one by one to cross peaks, by cubes in an infinite bath, unweighted.

Li, Liu et al. (Nat. Commun. 2021) integrate cross peaks of 2D-EXSY, normalise them, and fit each pair of phases alone
to a diffusion model; of the model they say no more than that it is three-dimensional and from Fick's law. The
reconstruction is the product of three solutions for a lamella, a cube of edge d in an endless bath,

    A_ij(Tmix) = p_i p_j (1 - phi(kD Tmix)^3),   kD = D / d^2,   phi as in `labctl.analysis.product`,

with the plateau fixed by the populations, every point counted alike, and ln kD against 1/T unweighted. It is kept to
compare with published numbers. Its errors are those of the scatter, and its bias stands beside it: the same fit on
least-squares amplitudes of the lines tells what the model does, the one on boxes what boxes do on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaincc

from labctl.analysis.arrhenius import KB_EV_PER_K
from labctl.analysis.exchange import pairs
from labctl.analysis.fit import INFLATE_BELOW_P
from labctl.analysis.product import cube_exchanged

FloatArray = NDArray[np.float64]

MISFIT = 0.02
"""Root mean square of the residuals, as a part of the plateau, above which a curve without errors is told to misfit."""
_REACH = (1e-8, 1e3)
"""kD times the longest Tmix is looked for between these."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intensities:
    """Normalised cross peaks of one temperature, however they were read.

    Attributes
    ----------
    tmix_s : ndarray, shape (M,)
    cross : ndarray, shape (M, K, K)
        Symmetrised and divided by the sum of all peaks.
    cross_se : ndarray, shape (M, K, K), or None
        From the noise alone.
    populations : ndarray, shape (K,)
        Fix the plateaus p_i p_j.
    """

    T_K: float | None
    tmix_s: FloatArray
    cross: FloatArray
    cross_se: FloatArray | None
    populations: FloatArray

    @classmethod
    def of(
        cls,
        T_K: float | None,
        tmix_s: Sequence[float],
        matrices: Sequence[FloatArray],
        populations: FloatArray,
        covariances: Sequence[FloatArray] | None = None,
    ) -> Intensities:
        """Return the intensities of matrices in any unit, shape (K, K) each; covariances are (K*K, K*K)."""
        cross, errors = [], []
        for index, A in enumerate(matrices):
            total, count = float(A.sum()), len(A)
            a = A / total
            cross.append(0.5 * (a + a.T))
            if covariances is not None:
                normalising = (np.eye(A.size) - a.ravel()[:, None]) / total
                swap = np.arange(A.size).reshape(count, count).T.ravel()
                mean = 0.5 * (normalising + normalising[swap])
                variance = np.einsum("ij,jk,ik->i", mean, covariances[index], mean)
                errors.append(np.sqrt(np.clip(variance, 0.0, None)).reshape(count, count))
        return cls(
            T_K=T_K,
            tmix_s=np.asarray(tmix_s, dtype=np.float64),
            cross=np.array(cross),
            cross_se=np.array(errors) if errors else None,
            populations=np.asarray(populations, dtype=np.float64),
        )

    def above_first(self, i: int, j: int) -> Intensities:
        """Return the same with what pair (i, j) shows at the shortest Tmix taken off all of its points."""
        first = int(np.argmin(self.tmix_s))
        cross = self.cross.copy()
        cross[:, [i, j], [j, i]] -= self.cross[first, i, j]
        return Intensities(
            T_K=self.T_K, tmix_s=self.tmix_s, cross=cross, cross_se=self.cross_se, populations=self.populations
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CubeFit:
    """One pair at one temperature.

    Attributes
    ----------
    kD_per_s, kD_se_per_s : float
        D / d^2, d the edge of the cube; the error is that of the scatter around the curve.
    rms : float
        Of the residuals, as a part of all intensity.
    chi2_red : float or None
        Against the noise of the data, where that is known.
    misfits : bool
        Whether the curve is not the data's: beyond chance by the noise, else by `MISFIT` of the plateau.
    at_bound : bool
        The data do not hold kD from both sides.
    """

    T_K: float | None
    kD_per_s: float
    kD_se_per_s: float
    plateau: float
    rms: float
    chi2_red: float | None
    misfits: bool
    at_bound: bool


def fit_cube(data: Intensities, i: int, j: int) -> CubeFit:
    """Return the least-squares kD of one pair at one temperature, every point counted alike."""
    cross, tmix = data.cross[:, i, j], data.tmix_s
    plateau = float(data.populations[i] * data.populations[j])
    longest = float(tmix.max())

    def residual(ln_kD: float) -> FloatArray:
        return np.asarray(plateau * cube_exchanged(np.exp(ln_kD) * tmix, 0.0) - cross)

    def misfit(ln_kD: float) -> float:
        return float(np.sum(residual(ln_kD) ** 2))

    grid = np.log(np.geomspace(*_REACH, 221) / longest)
    at = int(np.argmin([misfit(one) for one in grid]))
    low, high = grid[max(0, at - 1)], grid[min(grid.size - 1, at + 1)]
    best = float(minimize_scalar(misfit, bounds=(low, high), method="bounded", options={"xatol": 1e-9}).x)
    left = residual(best)
    slope = (residual(best + 1e-4) - residual(best - 1e-4)) / 2e-4
    rms, freedom = float(np.sqrt(np.mean(left**2))), tmix.size - 1
    lever = float(np.sqrt(np.sum(slope**2)))
    scatter = float(np.sqrt(np.sum(left**2) / freedom)) if freedom > 0 else 0.0
    chi2_red = None
    misfits = rms > MISFIT * plateau
    if data.cross_se is not None and freedom > 0 and np.all(data.cross_se[:, i, j] > 0):
        chi2 = float(np.sum((left / data.cross_se[:, i, j]) ** 2))
        chi2_red = chi2 / freedom
        misfits = float(gammaincc(freedom / 2, chi2 / 2)) < INFLATE_BELOW_P
    return CubeFit(
        T_K=data.T_K,
        kD_per_s=float(np.exp(best)),
        kD_se_per_s=float(np.exp(best)) * scatter / lever if lever > 0 else np.inf,
        plateau=plateau,
        rms=rms,
        chi2_red=chi2_red,
        misfits=misfits,
        at_bound=at in (0, grid.size - 1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFit:
    """One pair over all temperatures: `Ea_eV` is None below two, its error (of the scatter) below three."""

    pair: tuple[int, int]
    fits: tuple[CubeFit, ...]
    Ea_eV: float | None
    Ea_se_eV: float | None

    @property
    def rms(self) -> float:
        """Root mean square of all residuals, as a part of all intensity."""
        return float(np.sqrt(np.mean([one.rms**2 for one in self.fits])))

    @property
    def rms_of_plateau(self) -> float:
        """The same as a part of the plateau."""
        return self.rms / float(np.mean([one.plateau for one in self.fits]))

    @property
    def misfits(self) -> bool:
        """Whether any temperature's curve is not the data's."""
        return any(one.misfits for one in self.fits)


def fit_pairs(series: Sequence[Intensities]) -> tuple[PairFit, ...]:
    """Return every pair's fits and activation energy, ln kD against 1/T by unweighted least squares."""
    found = []
    for i, j in pairs(series[0].populations.size):
        fits = tuple(fit_cube(one, i, j) for one in series)
        found.append(activated((i, j), fits))
    return tuple(found)


def activated(pair: tuple[int, int], fits: tuple[CubeFit, ...]) -> PairFit:
    """Return one pair's fits with the activation energy they make; fits at a bound are left out of it."""
    line = [(one.T_K, one.kD_per_s) for one in fits if one.T_K is not None and not one.at_bound]
    x = np.array([1 / (KB_EV_PER_K * T_K) for T_K, _ in line])
    y = np.log([kD for _, kD in line])
    if len({round(float(T_K), 2) for T_K, _ in line}) < 2:
        return PairFit(pair=pair, fits=fits, Ea_eV=None, Ea_se_eV=None)
    slope, level = np.polyfit(x, y, 1)
    error = None
    if x.size > 2:
        scatter = float(np.sum((y - level - slope * x) ** 2)) / (x.size - 2)
        error = float(np.sqrt(scatter / np.sum((x - x.mean()) ** 2)))
    return PairFit(pair=pair, fits=fits, Ea_eV=-float(slope), Ea_se_eV=error)
