"""Line shapes read from the data: where no Voigt line describes the shortest Tmix, its own FIDs do.

A site's decay is a Voigt decay times the exponential of a smooth complex function of time (`Correction`): its real part
changes the envelope, its imaginary part makes the line lopsided, as sub-sites, susceptibility or a poor shim do. It is
the same in t1 and t2, as it is for any line whose shape is that of its site, and that is what tells it from exchange:
amplitudes stay free, and are eliminated (variable projection, Golub and Pereyra 1973). A weak prior holds it to the
Voigt form where the data say nothing. Splines, so that noise does not become a part of the shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.nmr.basis import (
    KNOTS,
    Complex,
    Correction,
    Real,
    Shape,
    decay,
    f1_with_derivatives,
    f2_with_derivatives,
    voigt_fwhm_Hz,
)
from labctl.analysis.nmr.rows import Rows

SHAPE = ("shape_re", "shape_im")
_PRIOR = 0.5
"""Standard deviation of the correction before any data: a decay wrong by a factor of 1.6, a phase by half a radian."""
_STEPS = 25
_CONVERGED = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmpiricalFit:
    """Where the fit ended; `cov` is of the parameters `names`, from noise and prior; chi2 without the prior."""

    shape: Shape
    names: tuple[str, ...]
    cov: Real
    chi2: float
    n_data: int


def fit_empirical(rows: Sequence[Rows], start: Shape, free: Sequence[str], shifts_Hz: Sequence[float]) -> EmpiricalFit:
    """Return the lines, corrections included, that fit the given 2Ds best.

    Parameters
    ----------
    rows : sequence of Rows
        2Ds of the shortest mixing times.
    start : Shape
        The best Voigt lines.
    free : sequence of str
        Free parameters of their fit: sites that were held stay held.
    shifts_Hz : sequence of float
        Common shift of each 2D.
    """
    sites = [int(name.partition("/")[2]) for name in free if name.startswith("offset_Hz/")]
    shape = _uncorrected(start, sites)
    names = [f"{key}/{j}" for key in ("offset_Hz", "lorentz_Hz") for j in sites]
    names += [name for name in ("phase_rad", "t1_phase_rad") if name in free]
    names += [f"{key}/{j}/{m}" for key in SHAPE for j in sites for m in range(len(KNOTS))]
    prior = np.array([_PRIOR**-2 if name.startswith(SHAPE) else 0.0 for name in names])
    damping = 0.0
    now = _normal(rows, shape, names, shifts_Hz)
    for _ in range(_STEPS):
        curvature, gradient, chi2 = now
        x = _values(shape, names)
        cost = chi2 + float(prior @ x**2)
        scale = np.maximum(np.diag(curvature) + prior, 1e-300)
        step = np.linalg.solve(curvature + np.diag(prior + damping * scale), gradient - prior * x)
        trial = _with(shape, names, x + step)
        tried = _normal(rows, trial, names, shifts_Hz)
        fall = cost - tried[2] - float(prior @ (x + step) ** 2)
        if fall >= 0:
            shape, now, damping = trial, tried, damping / 10
            if fall < _CONVERGED:
                break
        else:
            damping = max(10 * damping, 1e-3)
            if damping > 1e6:
                break
    return EmpiricalFit(
        shape=shape,
        names=tuple(names),
        cov=np.asarray(np.linalg.pinv(now[0] + np.diag(prior), hermitian=True), dtype=np.float64),
        chi2=now[2],
        n_data=2 * sum(one.signal.size for one in rows),
    )


def chi2_of(rows: Sequence[Rows], shape: Shape, shifts_Hz: Sequence[float]) -> float:
    """Return chi2 of separable lines on the same data."""
    return _normal(rows, _uncorrected(shape, ()), (), shifts_Hz)[2]


def slopes(rows: Rows, shape: Shape, names: Sequence[str]) -> Real:
    """Return how ``A.ravel()`` moves with each line parameter, shape (P, K*K)."""
    model = _Model.of(rows, shape, names)
    count = shape.offset_Hz.size**2
    gram = model.gram()
    moved = -np.linalg.solve(gram[:count, :count], gram[:count, count:]).T
    return np.asarray(moved, dtype=np.float64)


def fwhm_Hz(shape: Shape, site: int) -> float:
    """Return the full width at half maximum of a site's line, corrected or not, read off its spectrum."""
    voigt = voigt_fwhm_Hz(float(shape.lorentz_Hz[site]), float(np.sqrt(shape.gauss2_Hz2[site])))
    if shape.correction is None:
        return voigt
    t_s = np.asarray(np.arange(4096) * (10.0 / voigt / 4096), dtype=np.float64)
    fid = (decay(t_s, shape) * np.exp(1j * shape.correction.at(t_s).imag))[:, site]
    fid[0] *= 0.5
    size = 1 << 17
    line = np.fft.fftshift(np.fft.fft(fid, size).real)
    axis = np.fft.fftshift(np.fft.fftfreq(size, t_s[1]))
    above = np.flatnonzero(line >= 0.5 * line.max())
    return float(axis[above[-1]] - axis[above[0]])


def _uncorrected(start: Shape, sites: Sequence[int]) -> Shape:
    if start.correction is not None:
        return start
    count = start.offset_Hz.size
    widths = [
        voigt_fwhm_Hz(*pair) if j in sites else 0.0
        for j, pair in enumerate(zip(start.lorentz_Hz, np.sqrt(start.gauss2_Hz2), strict=True))
    ]
    correction = Correction(fwhm_Hz=np.array(widths), log=np.zeros((count, len(KNOTS)), dtype=np.complex128))
    return replace(start, correction=correction)


def _normal(
    rows: Sequence[Rows], shape: Shape, names: Sequence[str], shifts_Hz: Sequence[float]
) -> tuple[NDArray[np.floating], NDArray[np.floating], float]:
    """Return curvature, gradient and chi2 of all 2Ds, amplitudes eliminated (their own slope neglected: Kaufman)."""
    count = len(names)
    curvature: NDArray[np.floating] = np.zeros((count, count))
    gradient: NDArray[np.floating] = np.zeros(count)
    chi2 = 0.0
    linear = shape.offset_Hz.size**2
    for one, shift_Hz in zip(rows, shifts_Hz, strict=True):
        model = _Model.of(one, shape.shifted(shift_Hz), names)
        gram, onto = model.gram(), model.onto()
        across = np.linalg.solve(gram[:linear, :linear], gram[:linear, linear:])
        curvature += (gram[linear:, linear:] - gram[linear:, :linear] @ across) / one.noise**2
        # what is left of the data lies across all amplitudes already
        gradient += (onto[linear:] - gram[linear:, :linear] @ model.A.ravel()) / one.noise**2
        chi2 += (one.power - float(onto[:linear] @ model.A.ravel())) / one.noise**2
    return curvature, gradient, chi2


@dataclass(frozen=True, slots=True, eq=False)
class _Model:
    """One 2D as ``U C V^T``: functions of t1 and of t2, and how each amplitude and parameter combines them.

    All inner products follow from those of the functions, so that the data are touched once.
    """

    g1: Real
    g2: Complex
    x: Complex
    A: Real
    combined: Complex

    @classmethod
    def of(cls, rows: Rows, shape: Shape, names: Sequence[str]) -> _Model:
        assert rows.t1_s is not None
        assert rows.is_sine is not None
        assert shape.correction is not None
        K, M = shape.offset_Hz.size, len(KNOTS)
        d1, d2 = f1_with_derivatives(rows.t1_s, rows.is_sine, shape), f2_with_derivatives(rows.t2_s, shape)
        turned = d1[:, 4 * K :]
        to_1, to_2 = (shape.correction.splines(t_s) for t_s in (rows.t1_s, rows.t2_s))
        u = np.hstack(
            [d1[:, : 3 * K], turned]
            + [(to_1 * part[:, :, None]).reshape(-1, K * M) for part in (d1[:, :K], turned)]
        )  # fmt: skip
        v = np.hstack([d2[:, : 3 * K], (to_2 * d2[:, :K, None]).reshape(-1, K * M)])
        x = u.T @ (rows.signal * rows.factor[:, None]) @ v.conj()
        g1, g2 = u.T @ u, v.conj().T @ v
        right = np.linalg.solve(g2[:K, :K].real, x[:K, :K].real.T).T
        A = np.linalg.solve(g1[:K, :K], right)
        combined = np.zeros((K * K + len(names), u.shape[1], v.shape[1]), dtype=np.complex128)
        for i in range(K):
            for j in range(K):
                combined[i * K + j, i, j] = 1.0
        for p, name in enumerate(names, start=K * K):
            key, *index = name.split("/")
            j = int(index[0]) if index else 0
            if key == "phase_rad":
                combined[p, :K, :K] = 1j * A
            elif key == "t1_phase_rad":
                combined[p, 3 * K : 4 * K, :K] = A
            elif key in {"offset_Hz", "lorentz_Hz"}:
                at = K if key == "offset_Hz" else 2 * K
                combined[p, at + j, :K] = A[j]
                combined[p, :K, at + j] = A[:, j]
            else:
                at, factor = (4 * K, 1.0) if key == "shape_re" else (4 * K + K * M, 1j)
                knot = j * M + int(index[1])
                combined[p, at + knot, :K] = A[j]
                combined[p, :K, 3 * K + knot] = factor * A[:, j]
        return cls(g1, g2, x, np.asarray(A, dtype=np.float64), combined)

    def gram(self) -> Real:
        """Return inner products of all columns, amplitudes first."""
        flat = self.combined.reshape(len(self.combined), -1)
        through = (self.g1 @ self.combined @ self.g2.T).reshape(flat.shape)
        gram: Real = (flat.conj() @ through.T).real
        return gram

    def onto(self) -> Real:
        """Return inner products of all columns with the data."""
        found: Real = np.einsum("puv,uv->p", self.combined.conj(), self.x).real
        return found


def _values(shape: Shape, names: Sequence[str]) -> Real:
    assert shape.correction is not None
    parts = {"shape_re": shape.correction.log.real, "shape_im": shape.correction.log.imag}

    def value(name: str) -> float:
        key, *index = name.split("/")
        if key in parts:
            return float(parts[key][int(index[0]), int(index[1])])
        held = getattr(shape, key)
        return float(held[int(index[0])] if index else held)

    return np.array([value(name) for name in names])


def _with(shape: Shape, names: Sequence[str], x: Real) -> Shape:
    assert shape.correction is not None
    log = shape.correction.log.copy()
    offset_Hz, lorentz_Hz = shape.offset_Hz.copy(), shape.lorentz_Hz.copy()
    shared = {"phase_rad": shape.phase_rad, "t1_phase_rad": shape.t1_phase_rad}
    for name, value in zip(names, x, strict=True):
        key, *index = name.split("/")
        if key == "shape_re":
            log[int(index[0]), int(index[1])] = value + 1j * log[int(index[0]), int(index[1])].imag
        elif key == "shape_im":
            log[int(index[0]), int(index[1])] = log[int(index[0]), int(index[1])].real + 1j * value
        elif key in shared:
            shared[key] = float(value)
        else:
            (offset_Hz if key == "offset_Hz" else lorentz_Hz)[int(index[0])] = value
    return replace(
        shape,
        offset_Hz=offset_Hz,
        lorentz_Hz=np.maximum(lorentz_Hz, 0.0),
        correction=replace(shape.correction, log=log),
        phase_rad=shared["phase_rad"],
        t1_phase_rad=shared["t1_phase_rad"],
    )
