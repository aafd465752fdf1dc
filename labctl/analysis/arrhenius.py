"""Activation energies: weighted least squares of ln(value) against 1/(kB T), the convention named.

``ln k`` (or ``ln D``, ``ln sigma``) and ``ln(k T)`` give energies that differ by kB T, 28 meV at 333 K, so every
result says which was used. The reference temperature is the weighted mean of 1/T, where value and energy are
uncorrelated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, ndtri, stdtrit

from labctl.analysis.fit import INFLATE_BELOW_P

FloatArray = NDArray[np.float64]

KB_EV_PER_K = 8.617333262e-5

Convention = Literal["ln k", "ln D", "ln D T", "ln sigma", "ln sigma T"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrheniusFit:
    """A straight line through ln(value), or ln(value T), against 1/(kB T).

    Attributes
    ----------
    Ea_eV, Ea_se_eV : float
    Ea_ci95_eV : tuple of float
        By the normal quantile, the errors being those of the data's known noise; by the t quantile of the degrees of
        freedom where they were scaled by the scatter.
    ln_value_at_ref, ln_value_at_ref_se : float
        At `T_ref_K`, uncorrelated with Ea; the value itself, also where the convention takes ln(value T).
    covariance : ndarray, shape (2, 2)
        Of (ln_value_at_ref, Ea), in that order.
    chi2_red : float or None
        None with two temperatures.
    inflated : bool
        Errors were scaled by sqrt(chi2_red), which was beyond chance (1 %).
    """

    convention: Convention
    Ea_eV: float
    Ea_se_eV: float
    Ea_ci95_eV: tuple[float, float]
    ln_value_at_ref: float
    ln_value_at_ref_se: float
    T_ref_K: float
    covariance: FloatArray
    chi2_red: float | None
    inflated: bool
    warnings: tuple[str, ...]


def fit_arrhenius(
    T_K: Sequence[float],
    value: Sequence[float],
    value_se: Sequence[float],
    *,
    T_se_K: Sequence[float] | None = None,
    convention: Convention = "ln k",
) -> ArrheniusFit | None:
    """Return the fit, or None below two distinct temperatures.

    Parameters
    ----------
    T_K, value, value_se : sequence of float, length N
        Sample temperatures; positive values with standard errors.
    T_se_K : sequence of float, length N, optional
        Standard errors of the temperatures, taken as independent; they enter through the slope
        (effective variance). An error common to all temperatures is not in them.
    convention : str
        What the logarithm is taken of.
    """
    T, y0, se = (np.asarray(one, dtype=np.float64) for one in (T_K, value, value_se))
    if len({round(float(one), 2) for one in T}) < 2:
        return None
    times_T = convention.endswith(" T")
    y = np.log(y0 * T) if times_T else np.log(y0)
    x = 1 / (KB_EV_PER_K * T)
    T_error = np.zeros_like(T) if T_se_K is None else np.asarray(T_se_K, dtype=np.float64)
    relative = se / y0
    slope = -float(np.polyfit(x, y, 1, w=1 / relative)[0])
    for _ in range(4):  # the weights depend on the slope they help to find, weakly
        gradient = slope / (KB_EV_PER_K * T**2) + (1 / T if times_T else 0.0)
        weight = 1 / (relative**2 + (gradient * T_error) ** 2)
        centre = float(weight @ x / weight.sum())
        lever = float(weight @ (x - centre) ** 2)
        slope = -float(weight @ ((x - centre) * y)) / lever
    level = float(weight @ y / weight.sum())
    residual = y - level + slope * (x - centre)
    return _finish(residual, weight, centre, lever, level, slope, convention)


def _finish(
    residual: FloatArray,
    weight: FloatArray,
    centre: float,
    lever: float,
    level: float,
    slope: float,
    convention: Convention,
) -> ArrheniusFit:
    dof = residual.size - 2
    chi2 = float(weight @ residual**2)
    covariance = np.diag([1 / weight.sum(), 1 / lever])
    warnings = []
    inflated = dof > 0 and float(gammaincc(dof / 2, chi2 / 2)) < INFLATE_BELOW_P
    if inflated:
        covariance = covariance * (chi2 / dof)
        warnings.append(
            f"chi2_red {chi2 / dof:.2f}: the points scatter more than their errors, or the line is bent (a phase "
            f"change, a second process); errors are scaled by {np.sqrt(chi2 / dof):.2f}"
        )
    if dof == 0:
        warnings.append("two temperatures only: a straight line fits exactly, and its straightness is untested")
    T_ref = 1 / (KB_EV_PER_K * centre)
    Ea_se = float(np.sqrt(covariance[1, 1]))
    half = float(stdtrit(dof, 0.975) if inflated else ndtri(0.975)) * Ea_se
    return ArrheniusFit(
        convention=convention,
        Ea_eV=slope,
        Ea_se_eV=Ea_se,
        Ea_ci95_eV=(slope - half, slope + half),
        ln_value_at_ref=level - (np.log(T_ref) if convention.endswith(" T") else 0.0),
        ln_value_at_ref_se=float(np.sqrt(covariance[0, 0])),
        T_ref_K=T_ref,
        covariance=covariance,
        chi2_red=chi2 / dof if dof > 0 else None,
        inflated=inflated,
        warnings=tuple(warnings),
    )
