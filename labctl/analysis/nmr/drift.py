"""A field that drifts while a 2D is acquired: found from the 2D itself, and taken off its rows.

Without a lock the field creeps by some 0.5 Hz/h, which in a 2D of 40 hours is several hertz. All lines move together,
so row r, acquired when the shift was d_r, holds ``cos((w + d_r) t1) exp(i (w + d_r) t2)`` instead of
``cos(w t1) exp(i w t2)``: t1 and t2 bend alike, which separable shapes cannot have and which passes for a width that
both share. With d_r a polynomial of second degree in the row its two coefficients follow by least squares, lines,
phase and amplitudes free beside them. Rows are then turned back: t2 by a phase ramp, and each cosine and sine pair by
the angle ``d_r t1``, a rotation, so that noise stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.nmr.basis import Complex, Real, Shape, f1_with_derivatives, f2_with_derivatives
from labctl.analysis.nmr.rows import Rows

LEAST_ROWS = 16
_STEPS, _BLOCK = 4, 32
_CHI2_FALL, _LEAST_PART = 25.0, 0.5
"""A drift must lower chi2 by so much, and explain this part of what lines in a still field leave unexplained: lopsided
lines bend t1 and t2 alike too, but no drift explains them."""
_NOISE_KNOWN = 0.03
"""How far chi2 may be off because the noise is known to one percent."""
_LEAST_Hz = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Drift of one 2D: `linear_Hz` from its first to its last row, and `bend_Hz` of second degree on top.

    Attributes
    ----------
    chi2_fall : float
        By how much the drift lowers chi2.
    """

    linear_Hz: float
    bend_Hz: float
    chi2_fall: float = 0.0

    def at(self, count: int) -> Real:
        """Return the shift of each of `count` rows [Hz], its mean over all rows being zero."""
        first, second = _polynomials(count)
        return np.asarray(self.linear_Hz * first + self.bend_Hz * second, dtype=np.float64)

    def span_Hz(self, count: int) -> float:
        """Return the largest less the smallest shift."""
        return float(np.ptp(self.at(count)))


def _polynomials(count: int) -> tuple[Real, Real]:
    x = (np.arange(count) + 0.5) / count - 0.5
    return x, x * x - 1.0 / 12.0


def without_drift(rows: Rows, drift: Drift | None) -> Rows:
    """Return the rows as they would be in a field that stays where its mean over the 2D was."""
    if drift is None or rows.t1_s is None:
        return rows
    shift_Hz = drift.at(rows.signal.shape[0])
    signal = rows.signal * _ramps(shift_Hz, rows.t2_s)
    pairs = signal.shape[0] // 2
    cosine, sine = signal[0 : 2 * pairs : 2].copy(), signal[1 : 2 * pairs : 2].copy()
    mean_Hz = 0.5 * (shift_Hz[0 : 2 * pairs : 2] + shift_Hz[1 : 2 * pairs : 2])
    angle = (2 * np.pi * mean_Hz * rows.t1_s[0 : 2 * pairs : 2])[:, None]
    signal[0 : 2 * pairs : 2] = cosine * np.cos(angle) + sine * np.sin(angle)
    signal[1 : 2 * pairs : 2] = sine * np.cos(angle) - cosine * np.sin(angle)
    return replace(rows, signal=signal)


def _ramps(shift_Hz: Real, t2_s: Real) -> Complex:
    """Return ``exp(-2 pi i shift t2)``, shape (R, N), for evenly spaced times: two small sets of exponentials."""
    step_s = float(t2_s[1] - t2_s[0])
    coarse = np.exp(-2j * np.pi * np.outer(shift_Hz, float(t2_s[0]) + step_s * np.arange(0, t2_s.size, _BLOCK)))
    fine = np.exp(-2j * np.pi * np.outer(shift_Hz, step_s * np.arange(_BLOCK)))
    ramps: Complex = (coarse[:, :, None] * fine[:, None, :]).reshape(shift_Hz.size, -1)[:, : t2_s.size]
    return ramps


def fit_drift(rows: Rows, shape: Shape) -> Drift | None:
    """Return the drift of a 2D whose lines are nearly known, None where the data ask for none.

    Parameters
    ----------
    shape : Shape
        The lines; positions, Lorentzian widths and the phase are free beside the drift, and forgotten.
    """
    if rows.t1_s is None or rows.signal.shape[0] < LEAST_ROWS:
        return None
    drift = Drift(linear_Hz=0.0, bend_Hz=0.0)
    step, still, promised = _step(rows, shape)
    if promised < 0.5 * _CHI2_FALL:
        return None
    chi2 = still
    for _ in range(_STEPS):
        drift = Drift(linear_Hz=drift.linear_Hz + step[0], bend_Hz=drift.bend_Hz + step[1])
        step, chi2, _ = _step(without_drift(rows, drift), shape)
        if float(np.abs(step).max()) < 0.01:
            break
    fall, count = still - chi2, 2 * rows.signal.size
    unexplained = still - count * (1 + _NOISE_KNOWN) - 2 * np.sqrt(2.0 * count)
    if fall < max(_CHI2_FALL, _LEAST_PART * unexplained) or drift.span_Hz(rows.signal.shape[0]) < _LEAST_Hz:
        return None
    return replace(drift, chi2_fall=fall)


def _step(rows: Rows, shape: Shape) -> tuple[Real, float, float]:
    """One Gauss-Newton step of both coefficients, chi2 where all but they have made theirs, and what they promise."""
    assert rows.t1_s is not None
    assert rows.is_sine is not None
    sites = shape.offset_Hz.size
    e1 = f1_with_derivatives(rows.t1_s, rows.is_sine, shape)[:, : 3 * sites]
    d1 = np.hstack([e1, *(one[:, None] * e1[:, : 2 * sites] for one in _polynomials(rows.signal.shape[0]))])
    d2 = f2_with_derivatives(rows.t2_s, shape)[:, : 3 * sites]
    x = d1.T @ ((rows.signal @ d2.conj()) * rows.factor[:, None])
    g1, g2 = d1.T @ d1, d2.T @ d2.conj()
    A = np.linalg.solve(g1[:sites, :sites], np.linalg.solve(g2[:sites, :sites].real, x[:sites, :sites].real.T).T)
    directions = np.array(_directions(A, d1.shape[1], d2.shape[1]))
    model = g1[:, :sites] @ A @ g2[:sites]
    through = g1 @ directions @ g2
    flat = directions.reshape(len(directions), -1)
    hessian = np.real(through.reshape(len(directions), -1) @ flat.conj().T)
    gradient = np.real(flat.conj() @ (x - model).ravel())
    scale = 1.0 / np.sqrt(np.maximum(np.diag(hessian), 1e-300))
    hessian, gradient = hessian * np.outer(scale, scale), gradient * scale
    whole = np.linalg.pinv(hessian, rcond=1e-12, hermitian=True) @ gradient
    step = (whole * scale)[-2:]
    others = np.linalg.pinv(hessian[:-2, :-2], rcond=1e-12, hermitian=True)
    by_others = float(gradient[:-2] @ others @ gradient[:-2])
    left = rows.power - float(np.sum(A * np.real(x[:sites, :sites]))) - by_others
    weight = 1.0 / rows.noise**2
    return np.asarray(step, dtype=np.float64), left * weight, (float(gradient @ whole) - by_others) * weight


def _directions(A: Real, height: int, width: int) -> list[NDArray[np.complex128]]:
    """Model directions ``D1 C D2^T``: amplitudes, positions, widths, the phase; last the two of the drift."""
    sites = len(A)

    def empty() -> Complex:
        return np.zeros((height, width), dtype=np.complex128)

    found = []
    for i in range(sites):
        for j in range(sites):
            c = empty()
            c[i, j] = 1.0
            found.append(c)
    for j in range(sites):
        for block in (1, 2):
            c = empty()
            c[:sites, block * sites + j] = A[:, j]
            c[block * sites + j, :sites] = A[j]
            found.append(c)
    c = empty()
    c[:sites, :sites] = 1j * A
    found.append(c)
    for k in range(2):
        c, first = empty(), (3 + 2 * k) * sites
        c[first : first + sites, sites : 2 * sites] = A
        c[first + sites : first + 2 * sites, :sites] = A
        found.append(c)
    return found
