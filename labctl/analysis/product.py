"""Paper mode: pairwise diffusion in product form, three equal one-dimensional solutions multiplied.

The reconstruction of the "3D diffusion model derived from Fick's law" of the literature on exchange in
battery composites: a periodic array of cubes, edge d, of one phase in the other, equal D and density,
perfect contact. It is kept to reproduce published analyses; `BIAS` says what it costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from labctl.analysis.buildup import Buildup
from labctl.analysis.fit import Fit, Parameter, Prediction, Whitener, fit, profile_limit

FloatArray = NDArray[np.float64]

BIAS_PAIR = (
    "paper mode: for a sphere of equal volume the periodic cube returns kD too high by 1.04-1.5 and Ea off by "
    "+3 to +8 meV even without noise"
)
BIAS_SERIAL = (
    "paper mode: pairs are fitted one by one; for phases in series this is structurally wrong (a noise-free "
    "truth of 0.142/0.107/0.117 eV comes back as 0.155/0.111/0.105 eV)"
)
BIAS_BATH = (
    "paper mode: for a sphere of equal volume cubes in an infinite bath return kD too high by 4-8 and Ea off by +4 to "
    "+13 meV even without noise, the plateau being fixed"
)
_MOST_TERMS = 2000


def stay_1d(x: FloatArray, filling: float = 0.0) -> FloatArray:
    """Return the part of a label still in its own lamella at x = D t / d^2, shape (N,).

    Parameters
    ----------
    x : ndarray, shape (N,)
        D t / d^2 >= 0, d the thickness of the lamella.
    filling : float
        d / L of a periodic array of period L, 0 for an infinite bath.
    """
    x = np.asarray(x, dtype=np.float64)
    if filling <= 0:
        return _infinite_bath(x)
    # Terms fall as exp(-(2 pi n f)^2 x); at very short times the neighbours are not yet felt.
    reach = np.sqrt(38.0 / np.maximum(x, 1e-300)) / (2 * np.pi * filling)
    few = reach < _MOST_TERMS
    stay = _infinite_bath(x)
    if few.any():
        n = np.arange(1, int(reach[few].max()) + 2)
        angle = np.pi * filling * n
        weight = 2 * np.sin(angle) ** 2 / (np.pi**2 * filling * n**2)
        stay[few] = filling + np.exp(np.multiply.outer(x[few], -4 * angle**2)) @ weight
    return stay


def _infinite_bath(x: FloatArray) -> FloatArray:
    z = 0.5 / np.sqrt(np.maximum(x, 1e-300))
    stay = 1 - erfc(z) - (-np.expm1(-z * z)) / (z * np.sqrt(np.pi))
    return np.asarray(np.where(x > 0, stay, 1.0))


def cube_exchanged(x: FloatArray, filling: float) -> FloatArray:
    """Return the part of the plateau that has crossed at x = D t / d^2: ``(1 - P1^3) / (1 - f)``.

    `filling` is the volume fraction f of the cubes; 0 is the infinite bath, ``1 - phi^3``.
    """
    return np.asarray((1 - stay_1d(x, float(np.cbrt(filling))) ** 3) / (1 - filling))


def fit_pair(data: Buildup, i: int, j: int, populations: FloatArray) -> Fit:
    """Fit kD = D/d^2 [1/s] of one pair, the plateau fixed at p_i p_j; d is the edge of the minor phase's cubes."""
    return fit(*_problem(data, i, j, populations))


def upper_limit(data: Buildup, i: int, j: int, populations: FloatArray, found: Fit) -> float | None:
    """Return the 95 % upper limit [1/s] of kD of one pair whose exchange is not seen; None if there is none."""
    return profile_limit("upper", found, "kD", *_problem(data, i, j, populations))


def _problem(
    data: Buildup, i: int, j: int, populations: FloatArray
) -> tuple[Prediction, FloatArray, Whitener, Sequence[Parameter]]:
    cross, se = data.cross(i, j)
    tmix, plateau = data.tmix_s, float(populations[i] * populations[j])
    minor = float(min(populations[i], populations[j]) / (populations[i] + populations[j]))

    def predict(value: FloatArray) -> tuple[FloatArray, None]:
        return plateau * cube_exchanged(value[0] * tmix, minor), None

    grid = np.geomspace(1e-5, 10, 61) / float(np.median(tmix[tmix > 0]) if (tmix > 0).any() else 1.0)
    misfit = [float(np.sum(((predict(np.array([kD]))[0] - cross) / se) ** 2)) for kD in grid]
    start = Parameter(
        name="kD", guess=float(grid[int(np.argmin(misfit))]), lower=float(grid[0]) * 1e-3, upper=float(grid[-1]) * 1e2
    )
    return predict, cross, Whitener(np.diag(1 / se), np.diag(se)), (start,)
