"""The one door to least squares: named parameters (logarithmic by default), covariance, chi2, bootstrap.

A fit works on *whitened* data: the covariance of the data is diagonalised once, directions without
variance (a matrix that was divided by its own sum has one) are dropped, and what is left has unit
variance. Standard errors are those of the data's own noise unless chi2 says, at the 1 % level, that model
and noise do not explain the data; then they are scaled by sqrt(chi2_red) and `Fit.inflated` is set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import least_squares
from scipy.special import gammaincc

FloatArray = NDArray[np.float64]
Prediction = Callable[[FloatArray], tuple[FloatArray, FloatArray | None]]
"""Natural parameter values, shape (P,) -> prediction (N,) and its derivatives (N, P), or None to difference."""

INFLATE_BELOW_P = 0.01
"""Chance of a chi2 this large below which standard errors are scaled by sqrt(chi2_red)."""
MOST_STEPS = 80
"""A fit that has not ended by then crawls along a valley that the data do not close."""
_FURTHEST = 6 * float(np.log(10.0))
NO_SLOPE = 1e-100
"""Stands for the slope of what the data do not depend on at all: an enormous error whose square is still a number."""
NO_VARIANCE = 1e-10
"""Directions with less than this part of the largest correlation eigenvalue carry no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One adjustable number: where to start and how far it may go, in natural units.

    `scale` ``log`` walks in ln(value), so the value stays positive.
    """

    name: str
    guess: float
    scale: Literal["log", "linear"] = "log"
    lower: float = -np.inf
    upper: float = np.inf

    def bounds(self) -> tuple[float, float]:
        """Return the bounds in walking coordinates."""
        if self.scale == "linear":
            return self.lower, self.upper
        lower = np.log(self.lower) if self.lower > 0 else -690.0
        return float(lower), float(np.log(self.upper)) if np.isfinite(self.upper) else 690.0

    def start(self) -> float:
        """Return the guess in walking coordinates, just inside the bounds."""
        lower, upper = self.bounds()
        at = np.log(max(self.guess, 1e-290)) if self.scale == "log" else self.guess
        margin = 1e-6 * max(1.0, abs(at))
        return float(np.clip(at, lower + margin, upper - margin))


@dataclass(frozen=True, slots=True)
class Whitener:
    """Turns data of a known covariance into independent numbers of unit variance.

    Attributes
    ----------
    matrix : ndarray, shape (R, N)
        ``matrix @ covariance @ matrix.T`` is the identity of rank R.
    colour : ndarray, shape (N, R)
        The way back: ``colour @ z`` of unit noise z has the data's covariance.
    """

    matrix: FloatArray
    colour: FloatArray

    @classmethod
    def of(cls, covariance: FloatArray) -> Whitener:
        """Build from a covariance, shape (N, N), symmetric and positive semidefinite."""
        sd = np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        sd = np.where(sd > 0, sd, 1.0)
        weight, vectors = np.linalg.eigh(covariance / np.outer(sd, sd))
        keep = weight > NO_VARIANCE * weight[-1]
        root = np.sqrt(weight[keep])
        return cls((vectors[:, keep] / root).T / sd, sd[:, None] * vectors[:, keep] * root)

    @classmethod
    def stacked(cls, parts: Sequence[Whitener]) -> Whitener:
        """Join independent pieces of data, in order."""
        return cls(
            np.asarray(block_diag(*(part.matrix for part in parts))),
            np.asarray(block_diag(*(part.colour for part in parts))),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A finished fit; `value`, `se` and `covariance` are in natural units and include any inflation.

    Attributes
    ----------
    names : tuple of str
    value, se : ndarray, shape (P,)
        A value driven to a bound keeps a finite `se`, taken in the natural unit at that bound.
    covariance : ndarray, shape (P, P)
    at_bound : tuple of str
        Parameters that ended on a bound: the data do not resolve them.
    chi2, n_data, n_parameters
        `n_data` is the rank of the data's covariance.
    inflated : bool
        Whether errors were scaled by sqrt(chi2_red).
    prediction : ndarray, shape (N,)
        The model at the solution, in the data's own units.
    samples : ndarray, shape (B, P), or None
        Parametric bootstrap, if asked for.
    """

    names: tuple[str, ...]
    value: FloatArray
    se: FloatArray
    covariance: FloatArray
    at_bound: tuple[str, ...]
    chi2: float
    n_data: int
    n_parameters: int
    inflated: bool
    prediction: FloatArray
    samples: FloatArray | None = None

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return self.n_data - self.n_parameters

    @property
    def chi2_red(self) -> float:
        """Chi2 per degree of freedom; 0 where there is none to judge by."""
        return self.chi2 / self.dof if self.dof > 0 else 0.0

    @property
    def aicc(self) -> float:
        """Akaike's criterion with the small-sample term; comparable between fits of the same data."""
        k, n = self.n_parameters, self.n_data
        small = 2 * k * (k + 1) / (n - k - 1) if n - k - 1 > 0 else np.inf
        return float(self.chi2 + 2 * k + small)

    def derived(self, function: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Return values, shape (Q,), and covariance, shape (Q, Q), of a function of the natural parameters."""
        at = np.atleast_1d(function(self.value))
        gradient = np.empty((at.size, self.value.size))
        for index, value in enumerate(self.value):
            # An error may be enormous where the data say nothing: no reason to step so far that everything overflows.
            spread = min(1e-3 * float(self.se[index]), 1e6 * max(abs(value), 1e-12))
            step = 1e-5 * max(abs(value), spread, 1e-300)
            high, low = self.value.copy(), self.value.copy()
            high[index] += step
            low[index] -= step
            gradient[:, index] = (np.atleast_1d(function(high)) - np.atleast_1d(function(low))) / (2 * step)
        return at, gradient @ self.covariance @ gradient.T


def fit(
    predict: Prediction,
    data: FloatArray,
    whitener: Whitener,
    parameters: Sequence[Parameter],
    *,
    bootstrap: int = 0,
    seed: int = 0,
    inflate: bool = True,
    tolerance: float = 1e-8,
) -> Fit:
    """Fit by weighted least squares.

    Parameters
    ----------
    predict : callable
        Natural parameter values to prediction and derivatives (see `Prediction`).
    data : ndarray, shape (N,)
    whitener : Whitener
        Of the data's covariance.
    parameters : sequence of Parameter
    bootstrap : int
        Number of parametric resamples, drawn from the full covariance around the fitted prediction.
    seed : int
        Of the bootstrap.
    inflate : bool
        Whether a bad chi2 may scale the errors.
    tolerance : float
        Relative change of chi2 and of the parameters at which the search ends.
    """
    walk = _Walk(predict, whitener.matrix, tuple(parameters), tolerance)
    theta = walk.solve(data, np.array([one.start() for one in parameters]))
    value = walk.natural(theta)
    prediction, _ = predict(value)
    residual = whitener.matrix @ (prediction - data)
    chi2 = float(residual @ residual)
    dof = residual.size - value.size
    covariance = _inverse_information(whitener.matrix @ walk.derivatives(value))
    inflated = inflate and dof > 0 and float(gammaincc(dof / 2, chi2 / 2)) < INFLATE_BELOW_P
    if inflated:
        covariance = covariance * (chi2 / dof)
    samples = None
    if bootstrap:
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((bootstrap, residual.size))
        samples = np.array([walk.natural(walk.solve(prediction + whitener.colour @ z, theta)) for z in noise])
    return Fit(
        names=tuple(one.name for one in parameters),
        value=value,
        se=np.sqrt(np.diag(covariance)),
        covariance=covariance,
        at_bound=walk.at_bound(theta),
        chi2=chi2,
        n_data=residual.size,
        n_parameters=value.size,
        inflated=inflated,
        prediction=prediction,
        samples=samples,
    )


def profile_limit(
    side: Literal["lower", "upper"],
    best: Fit,
    name: str,
    predict: Prediction,
    data: FloatArray,
    whitener: Whitener,
    parameters: Sequence[Parameter],
    *,
    steps: int = 7,
) -> float | None:
    """Return the value of one positive parameter beyond which the profile of chi2 excludes it (95 %, one-sided).

    For parameters that the data bound from one side only, such as the diffusivity of the fastest phase (``lower``) or
    the rate of an exchange that is not seen (``upper``). All others are fitted again at each trial. None if nothing as
    far as a million times from the fitted value (``upper``: as far as the parameter's own bound) is excluded.
    """
    column = best.names.index(name)
    allowed = best.chi2 + 2.706 * (best.chi2_red if best.inflated else 1.0)
    rest = [
        replace(one, guess=float(value))
        for at, (one, value) in enumerate(zip(parameters, best.value, strict=True))
        if at != column
    ]

    def excluded(trial: float) -> bool:
        def fixed(value: FloatArray) -> tuple[FloatArray, FloatArray | None]:
            prediction, gradient = predict(np.insert(value, column, trial))
            return prediction, None if gradient is None else np.delete(gradient, column, axis=1)

        if not rest:
            left = whitener.matrix @ (predict(np.array([trial]))[0] - data)
            return float(left @ left) > allowed
        found = fit(fixed, data, whitener, rest, inflate=False)
        if found.chi2 > allowed:
            return True
        rest[:] = [replace(one, guess=float(value)) for one, value in zip(rest, found.value, strict=True)]
        return False

    inside = float(np.log(best.value[column]))
    end = inside - _FURTHEST if side == "lower" else min(parameters[column].bounds()[1], inside + 3 * _FURTHEST)
    outside = end
    if side == "upper":
        steps += 3  # an estimate driven to nothing lies many decades below its limit
        if not excluded(float(np.exp(end))):
            return None
    for _ in range(steps):
        middle = 0.5 * (outside + inside)
        outside, inside = (middle, inside) if excluded(float(np.exp(middle))) else (outside, middle)
    return float(np.exp(outside)) if side == "upper" or outside > end else None


@dataclass(frozen=True, slots=True)
class _Walk:
    """The fit in walking coordinates: ln(value) where the scale says so."""

    predict: Prediction
    white: FloatArray
    parameters: tuple[Parameter, ...]
    tolerance: float = 1e-8

    def natural(self, theta: FloatArray) -> FloatArray:
        logs = [one.scale == "log" for one in self.parameters]
        return np.where(logs, np.exp(np.where(logs, theta, 0.0)), theta)

    def derivatives(self, value: FloatArray) -> FloatArray:
        """Return d prediction / d natural value, shape (N, P)."""
        _, gradient = self.predict(value)
        if gradient is not None:
            return gradient
        columns = []
        for index, one in enumerate(self.parameters):
            step = 1e-4 * (abs(value[index]) if one.scale == "log" else max(abs(value[index]), 1e-3))
            high, low = value.copy(), value.copy()
            high[index] += step
            low[index] -= step
            columns.append((self.predict(high)[0] - self.predict(low)[0]) / (2 * step))
        return np.stack(columns, axis=1)

    def solve(self, data: FloatArray, start: FloatArray) -> FloatArray:
        lower, upper = np.array([one.bounds() for one in self.parameters]).T
        logs = np.array([one.scale == "log" for one in self.parameters])
        target = self.white @ data

        # A step that is accepted is asked for twice, as residual and as Jacobian: the last answer is kept.
        last: dict[bytes, tuple[FloatArray, FloatArray | None]] = {}

        def predicted(theta: FloatArray) -> tuple[FloatArray, FloatArray | None]:
            key = theta.tobytes()
            if key not in last:
                last.clear()
                last[key] = self.predict(self.natural(theta))
            return last[key]

        def residual(theta: FloatArray) -> FloatArray:
            return np.asarray(self.white @ predicted(theta)[0] - target)

        def jacobian(theta: FloatArray) -> FloatArray:
            value = self.natural(theta)
            gradient = predicted(theta)[1]
            gradient = self.derivatives(value) if gradient is None else gradient
            return np.asarray(self.white @ (gradient * np.where(logs, value, 1.0)))

        start = np.clip(start, lower + 1e-9, upper - 1e-9)
        answer = least_squares(
            residual,
            start,
            jac=jacobian,
            bounds=(lower, upper),
            x_scale="jac",
            xtol=self.tolerance,
            ftol=self.tolerance,
            gtol=self.tolerance,
            max_nfev=MOST_STEPS,
        )
        return np.asarray(answer.x, dtype=np.float64)

    def at_bound(self, theta: FloatArray) -> tuple[str, ...]:
        names = []
        for one, at in zip(self.parameters, theta, strict=True):
            lower, upper = one.bounds()
            if min(at - lower, upper - at) < 1e-3 * max(1.0, upper - lower if np.isfinite(upper - lower) else 1.0):
                names.append(one.name)
        return tuple(names)


def _inverse_information(jacobian: FloatArray) -> FloatArray:
    """(J^T J)^-1, columns scaled first so that units do not decide what counts as singular."""
    scale = np.linalg.norm(jacobian, axis=0)
    scale = np.where(scale > 0, scale, NO_SLOPE)
    _, weight, rows = np.linalg.svd(jacobian / scale, full_matrices=False)
    # A direction the data do not see keeps an enormous error; dropping it would claim it is known.
    inverse = rows.T / np.maximum(weight, 1e-12 * weight[0])
    return np.asarray((inverse @ inverse.T) / np.outer(scale, scale))
