"""Lines shared by many datasets, by variable projection: Gauss-Newton steps on everything that is not linear.

The model of dataset d is ``S_d = E1_d A_d E2_d^T`` with A_d real and its own; offsets, widths and phases are
shared; a dataset may be shifted in frequency as a whole, because a field without lock drifts. Every derivative of
the model has the form ``D1 C D2^T`` with D1 and D2 the bases and their derivatives side by side, so all inner
products follow from ``D1' D1``, ``D2^T conj(D2)`` and ``D1' S conj(D2)``: the data are touched once per step and
dataset. Amplitudes are eliminated dataset by dataset (Golub and Pereyra's projection, here as a Schur complement,
which is the full Gauss-Newton step).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from labctl.analysis.nmr.basis import Complex, Real, Shape, f1_with_derivatives, f2_with_derivatives
from labctl.analysis.nmr.rows import Rows
from labctl.errors import InputError

GLOBALS = ("phase_rad", "t2_origin_s", "t1_phase_rad", "t1_origin_s")
SITES = ("offset_Hz", "lorentz_Hz", "gauss2_Hz2")
SHIFT = "shift_Hz"
_NEVER_NEGATIVE = ("lorentz_Hz", "gauss2_Hz2")

_STEPS = 40
_COINCIDE = 1e10
"""Condition of the bases' Gram matrices beyond which lines lie on each other."""
_CONVERGED = 1e-4
"""A step that promises less than this fall of chi2 ends the iteration."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointFit:
    """Where the fit ended.

    Attributes
    ----------
    shape : Shape
    shifts_Hz : ndarray, shape (D,)
        Common shift of each dataset, added to all its offsets.
    amplitudes : tuple of ndarray
        A of each dataset: (K, K) for a 2D, (R, K) for free rows.
    amplitude_se : tuple of ndarray
        Their standard errors from the noise, the lines being taken as known.
    names : tuple of str
        The free parameters, ``offset_Hz/0`` ... ``phase_rad``, in the order of `cov`.
    cov : ndarray
        Covariance of the free parameters from the noise, amplitudes eliminated.
    chi2, n_data, n_free : float, int, int
    inhomogeneous_Hz2, inhomogeneous_se_Hz2 : ndarray, shape (K,)
        Variance of the frequency that t1 and t2 share, to first order; NaN without a 2D.
    """

    shape: Shape
    shifts_Hz: Real
    amplitudes: tuple[Real, ...]
    amplitude_se: tuple[Real, ...]
    names: tuple[str, ...]
    cov: Real
    chi2: float
    n_data: int
    n_free: int
    inhomogeneous_Hz2: Real
    inhomogeneous_se_Hz2: Real

    @property
    def chi2_red(self) -> float:
        """Chi-squared per degree of freedom."""
        return self.chi2 / max(1, self.n_data - self.n_free)

    def se(self, name: str) -> float:
        """Standard error of a free parameter (not scaled by chi2); 0 for one that was held."""
        if name not in self.names:
            return 0.0
        index = self.names.index(name)
        return float(np.sqrt(max(0.0, self.cov[index, index])))


class LinesCoincideError(InputError):
    """Two lines lie on each other (or one has no extent), so that amplitudes have no meaning."""


@dataclass(slots=True, eq=False)
class NormalEquations:
    """Normal equations of one dataset, amplitudes eliminated."""

    hessian: Real
    gradient: Real
    chi2: float
    amplitude_slope: Real
    """How the best amplitudes move with each direction, shape (directions, amplitudes)."""


def fit_jointly(rows: Sequence[Rows], start: Shape, free: Sequence[str], *, shifts_Hz: Real | None = None) -> JointFit:
    """Return the lines that fit all `rows` best.

    Parameters
    ----------
    start : Shape
        Where to start; what is not free stays there. Widths never fall below zero.
    free : sequence of str
        Names of the free parameters: ``offset_Hz/0``, ``lorentz_Hz/0``, ``gauss2_Hz2/0`` by site, ``shift_Hz/1`` by
        dataset, and of `GLOBALS`.
    shifts_Hz : ndarray, shape (D,), optional
        Where the shifts of the datasets start; 0 by default.
    """
    names = tuple(free)
    shape, damping = start, 1e-6
    shifts = np.zeros(len(rows)) if shifts_Hz is None else shifts_Hz
    total = _accumulate(rows, shape, shifts, names)
    for _ in range(_STEPS):
        active = _off_bounds(names, shape, total.gradient)
        while True:
            step = _solve(total, active, damping)
            trial, trial_shifts = _moved(shape, shifts, names, step)
            new = _unless_they_coincide(rows, trial, trial_shifts, names)
            promised = float(step @ total.gradient)
            if (new is not None and new.chi2 <= total.chi2 + 1e-9 * abs(total.chi2)) or damping > 1e6:
                break
            damping = max(10 * damping, 1e-3)
        gained = total.chi2 - new.chi2 if new is not None else -np.inf
        if new is not None and gained >= 0:
            shape, shifts, total = trial, trial_shifts, new
        damping /= 10
        if promised < _CONVERGED or damping > 1e5 or abs(gained) < 1e-10 * total.chi2:
            break
    return _finish(rows, shape, shifts, names, total)


def _unless_they_coincide(
    rows: Sequence[Rows], shape: Shape, shifts: Real, names: Sequence[str]
) -> NormalEquations | None:
    """Return the normal equations at a trial; None where it would lay two lines on each other."""
    try:
        return _accumulate(rows, shape, shifts, names)
    except LinesCoincideError:
        return None


def _moved(shape: Shape, shifts: Real, names: Sequence[str], step: Real) -> tuple[Shape, Real]:
    shifts = shifts.copy()
    values = {key: getattr(shape, key) for key in (*SITES, *GLOBALS)}
    for name, change in zip(names, step, strict=True):
        key, _, index = name.partition("/")
        if key == SHIFT:
            shifts[int(index)] += change
        elif index:
            array = values[key].copy()
            array[int(index)] += change
            values[key] = np.maximum(array, 0.0) if key != "offset_Hz" else array
        else:
            values[key] = values[key] + float(change)
    return replace(shape, **values), shifts


def _off_bounds(names: Sequence[str], shape: Shape, gradient: Real) -> NDArray[np.bool_]:
    """Free parameters that are not held at zero width by a gradient that points below it."""
    free = np.ones(len(names), dtype=bool)
    for position, name in enumerate(names):
        key, _, index = name.partition("/")
        if index and key in _NEVER_NEGATIVE and getattr(shape, key)[int(index)] <= 0 and gradient[position] < 0:
            free[position] = False
    return free


def _solve(total: NormalEquations, active: NDArray[np.bool_], damping: float) -> Real:
    scale = np.sqrt(np.maximum(np.diag(total.hessian), 1e-300))
    hessian = total.hessian / np.outer(scale, scale)
    step = np.zeros(scale.size)
    matrix = hessian[np.ix_(active, active)] + damping * np.eye(int(active.sum()))
    step[active] = linalg.lstsq(matrix, (total.gradient / scale)[active], cond=1e-12)[0]
    moved: Real = step / scale
    return moved


def _accumulate(rows: Sequence[Rows], shape: Shape, shifts: Real, names: Sequence[str]) -> NormalEquations:
    parts = []
    for index, one in enumerate(rows):
        products = Products.of(one, shape.shifted(float(shifts[index])), index=index)
        parts.append(products.eliminate([products.direction(name) for name in names]))
    return NormalEquations(
        hessian=np.sum([part.hessian for part in parts], axis=0),
        gradient=np.sum([part.gradient for part in parts], axis=0),
        chi2=float(sum(part.chi2 for part in parts)),
        amplitude_slope=np.empty((len(names), 0)),
    )


@dataclass(slots=True, eq=False)
class Products:
    """Inner products of one dataset; C matrices stand for model directions ``D1 C D2^T``."""

    shape: Shape
    free_rows: bool
    g1: Real
    g2: Complex
    x: Complex
    power: float
    weight: float
    amplitudes: Real
    index: int

    @classmethod
    def of(cls, rows: Rows, shape: Shape, *, slopes_only: bool = False, index: int = 0) -> Products:
        """Touch the data once; with `slopes_only` without what only a further step of the fit would need."""
        sites = shape.offset_Hz.size
        d2 = f2_with_derivatives(rows.t2_s, shape)
        projectors = d2[:, :sites] if slopes_only else d2
        x = (rows.signal @ projectors.conj()) * rows.factor[:, None]
        g2 = d2.T @ d2.conj()
        if rows.t1_s is None or rows.is_sine is None:
            g1 = np.eye(rows.signal.shape[0])
        else:
            d1 = f1_with_derivatives(rows.t1_s, rows.is_sine, shape)
            g1, x = d1.T @ d1, d1.T @ x
        free_rows = rows.t1_s is None
        m = g1.shape[0] if free_rows else sites
        condition = max(np.linalg.cond(g2[:sites, :sites].real), 1.0 if free_rows else np.linalg.cond(g1[:m, :m]))
        if not condition < _COINCIDE:
            raise LinesCoincideError(
                f"{rows.dataset}: lines at {', '.join(f'{f:.1f}' for f in shape.offset_Hz)} Hz cannot be told apart "
                f"(condition {condition:.1g})",
                next_step="Merge sites that coincide, or check the list of sites",
            )
        right = linalg.solve(g2[:sites, :sites].real, x[:m, :sites].real.T, assume_a="pos").T
        amplitudes = right if free_rows else linalg.solve(g1[:m, :m], right, assume_a="pos")
        return cls(
            shape=shape,
            free_rows=free_rows,
            g1=g1,
            g2=g2,
            x=x,
            power=rows.power,
            weight=1.0 / rows.noise**2,
            amplitudes=amplitudes,
            index=index,
        )

    def direction(self, name: str) -> Complex:
        """C of the derivative of the model with respect to a parameter."""
        sites = self.shape.offset_Hz.size
        c = np.zeros((self.g1.shape[0], self.g2.shape[0]), dtype=np.complex128)
        a = self.amplitudes
        key, _, index = name.partition("/")
        model_rows = slice(None) if self.free_rows else slice(0, sites)
        f = 2 * np.pi * self.shape.offset_Hz
        if key == SHIFT:
            if int(index) == self.index:
                for j in range(sites):
                    c += self.direction(f"offset_Hz/{j}")
        elif index:
            j, block = int(index), 1 + SITES.index(key)
            c[model_rows, block * sites + j] = a[:, j]
            if not self.free_rows:
                c[block * sites + j, :sites] = a[j]
        elif key == "phase_rad":
            c[model_rows, :sites] = 1j * a
        elif key == "t2_origin_s":
            c[model_rows, :sites] = 1j * a * f
        elif not self.free_rows and key == "t1_phase_rad":
            c[4 * sites : 5 * sites, :sites] = a
        elif not self.free_rows and key == "t1_origin_s":
            c[4 * sites : 5 * sites, :sites] = f[:, None] * a
        return c

    def correlated(self, site: int) -> Complex:
        """C of a frequency variance that t1 and t2 share on the diagonal peak of a site."""
        sites = self.shape.offset_Hz.size
        c = np.zeros((self.g1.shape[0], self.g2.shape[0]), dtype=np.complex128)
        if not self.free_rows:
            c[sites + site, sites + site] = self.amplitudes[site, site]
        return c

    def amplitude_se(self) -> Real:
        """Standard errors of the amplitudes from the noise, the lines being taken as known."""
        sites, m = self.shape.offset_Hz.size, self.amplitudes.shape[0]
        first = np.ones(m) if self.free_rows else np.diag(linalg.inv(self.g1[:m, :m]))
        second = np.diag(linalg.inv(self.g2[:sites, :sites].real))
        return np.sqrt(np.outer(first, second) / self.weight)

    def eliminate(self, directions: Sequence[Complex]) -> NormalEquations:
        """Normal equations of the given directions with the amplitudes eliminated."""
        sites = self.shape.offset_Hz.size
        m = self.amplitudes.shape[0]
        c = np.stack(directions)
        through = self.g1 @ c @ self.g2
        own = np.real(through.reshape(len(c), -1) @ c.reshape(len(c), -1).conj().T)
        onto = np.real(through[:, :m, :sites]).reshape(len(c), -1)
        inverse_2 = linalg.inv(self.g2[:sites, :sites].real)
        inverse_1 = self.g1[:m, :m] if self.free_rows else linalg.inv(self.g1[:m, :m])
        solved = (inverse_1 @ onto.reshape(-1, m, sites) @ inverse_2).reshape(len(c), -1)
        model = self.g1[:, :m] @ self.amplitudes @ self.g2[:sites, :]
        known = self.x.shape[1]
        gradient = np.real((c[:, :, :known].conj() * (self.x - model[:, :known])).sum(axis=(1, 2)))
        explained = float(np.sum(self.amplitudes * np.real(self.x[:m, :sites])))
        return NormalEquations(
            hessian=(own - onto @ solved.T) * self.weight,
            gradient=gradient * self.weight,
            chi2=(self.power - explained) * self.weight,
            amplitude_slope=-solved,
        )


def _finish(rows: Sequence[Rows], shape: Shape, shifts: Real, names: Sequence[str], total: NormalEquations) -> JointFit:
    products = [Products.of(one, shape.shifted(float(shifts[index])), index=index) for index, one in enumerate(rows)]
    sites = shape.offset_Hz.size
    variance = np.full(sites, np.nan)
    variance_se = np.full(sites, np.nan)
    if any(not part.free_rows for part in products):
        extra = [
            part.eliminate([part.direction(name) for name in names] + [part.correlated(j) for j in range(sites)])
            for part in products
            if not part.free_rows
        ]
        hessian, gradient = np.sum([e.hessian for e in extra], axis=0), np.sum([e.gradient for e in extra], axis=0)
        inverse = _inverse(hessian)
        variance = (inverse @ gradient)[-sites:]
        variance_se = np.sqrt(np.maximum(np.diag(inverse)[-sites:], 0))
    return JointFit(
        shape=shape,
        shifts_Hz=shifts,
        amplitudes=tuple(part.amplitudes for part in products),
        amplitude_se=tuple(part.amplitude_se() for part in products),
        names=tuple(names),
        cov=_inverse(total.hessian),
        chi2=total.chi2,
        n_data=int(sum(2 * one.signal.size for one in rows)),
        n_free=len(names) + int(sum(part.amplitudes.size for part in products)),
        inhomogeneous_Hz2=variance,
        inhomogeneous_se_Hz2=variance_se,
    )


def _inverse(hessian: Real) -> Real:
    scale = np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    inverse: Real = linalg.pinvh(hessian / np.outer(scale, scale), rtol=1e-12) / np.outer(scale, scale)
    return inverse
