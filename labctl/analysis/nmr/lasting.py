"""Lines whose width comes in part from offsets that last: t1 and t2 are then correlated, and no line shape separates.

A spin that stays in its site over the mixing time precesses with its own offset d before and after. Averaged over a
symmetric distribution of offsets with characteristic function G, the diagonal peak of a site at f is, exactly,

    <cos(2 pi (f+d) t1) exp(2 pi i (f+d) t2)>
        = exp(2 pi i f t2) [exp(2 pi i f t1) G(t2+t1) + exp(-2 pi i f t1) G(t2-t1)] / 2

times the homogeneous decays (Schmidt-Rohr and Spiess, "Multidimensional Solid-State NMR and Polymers", on ridges of
2D exchange spectra). A spin that exchanged, or came back, took a new offset: that part keeps separable shapes. So

    S = sum_ij A_ij E1_i E2_j^T + sum_i c_i (D_i - E1_i E2_i^T)

with the whole decays in E1 and E2, D_i as above, and c_i what kept its offset. A stays what it is for separable lines:
the signal at t1 = t2 = 0. Both A and c are linear; widths, their lasting parts and positions are fitted.

To first order in t1 t2 the data tell the product of c_i and the lasting width alone, and few rows tell no more. But c_i
is no stranger: of a diagonal peak all has kept its offset but what left the site and came back, about as much as is
found elsewhere. So c_i is tied to A_ii within an error that grows with what moved (`KEPT_WITHIN`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from labctl.analysis.nmr.basis import GAUSS, Complex, Real, Shape, f1_basis, f2_basis
from labctl.analysis.nmr.joint_fit import GLOBALS, SITES
from labctl.analysis.nmr.rows import Rows

LASTING = ("lasting_lorentz_Hz", "lasting_gauss2_Hz2")
_WINDOW_FWHM = 8.0
"""F2 is looked at within so many widths of a line; what lies outside says little, and leaving it out biases nothing."""
KEPT_WITHIN = 0.05
"""How far the part of a diagonal peak that kept its offset may lie from what did not move, beside the square of what
moved: so much left and came back. A looser tie lets noise share the product of that part and the lasting width out
between them, and energies then miss by more than they say.
"""
_MOST_EXPONENT = 300.0  # a search may try widths at which nothing is left
_STEPS = {"offset_Hz": 0.05, "lorentz_Hz": 0.1, "gauss2_Hz2": 5.0, "lasting_lorentz_Hz": 0.1, "lasting_gauss2_Hz2": 5.0,
          "phase_rad": 1e-3, "t1_phase_rad": 1e-3, "t2_origin_s": 1e-7, "t1_origin_s": 1e-7}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lasting:
    """Widths that come from lasting offsets, one entry per site; parts of `Shape.lorentz_Hz` and `gauss2_Hz2`."""

    lorentz_Hz: Real
    gauss2_Hz2: Real


class Linear(NamedTuple):
    """Amplitudes on given lines: A (K, K), what kept its offset c (K,), covariance of both, power of the residual.

    `tension` (K,) is how far c lies from what the diagonal makes one expect, over the error of that.
    """

    A: Real
    kept: Real
    cov: Real
    residual: float
    tension: Real


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LastingFit:
    """Where the fit of lines with lasting offsets ended; `cov` is of the parameters `names`, from the noise."""

    shape: Shape
    lasting: Lasting
    names: tuple[str, ...]
    cov: Real
    chi2: float
    n_data: int
    start: Shape


def excess(t1_s: Real, is_sine: NDArray[np.bool_], t2_s: Real, shape: Shape, lasting: Lasting, site: int) -> Complex:
    """Return ``D_i - E1_i E2_i^T`` of one site, shape (R, N): zero at t1 = 0, and without lasting offsets."""
    f = float(shape.offset_Hz[site])
    L, G2 = float(lasting.lorentz_Hz[site]), float(lasting.gauss2_Hz2[site])
    # every row pair has one t1: the two phase factors are worked out once for both
    t1, place = _distinct(t1_s.tobytes())
    cross = np.exp(-np.minimum(2.0 * GAUSS * G2 * np.outer(t1, t2_s), _MOST_EXPONENT))
    later, earlier = cross, 1.0 / cross
    if L > 0:
        # exp(-pi L |t2 - t1|) over exp(-pi L (t1 + t2)), which the whole decays hold
        earlier = earlier * np.exp(np.minimum(2.0 * np.pi * L * np.minimum(t1[:, None], t2_s), _MOST_EXPONENT))
    angle = 2 * np.pi * f * (t1 + shape.t1_origin_s) + shape.t1_phase_rad
    forth, back = np.exp(1j * angle)[:, None], np.exp(-1j * angle)[:, None]
    even = 0.5 * (forth * (later - 1.0) + back * (earlier - 1.0))
    odd = -0.5j * (forth * (later - 1.0) - back * (earlier - 1.0))
    chosen = np.where(is_sine[:, None], odd[place], even[place])
    decay_1 = np.exp(-np.pi * shape.lorentz_Hz[site] * t1_s - GAUSS * shape.gauss2_Hz2[site] * t1_s**2)
    whole: Complex = chosen * decay_1[:, None] * f2_basis(t2_s, _only(shape, site))[:, 0]
    return whole


@functools.lru_cache(maxsize=64)
def _distinct(t1_s: bytes) -> tuple[Real, NDArray[np.intp]]:
    return np.unique(np.frombuffer(t1_s), return_inverse=True)


def solve(rows: Rows, shape: Shape, lasting: Lasting, *, tied: bool = True) -> Linear:
    """Return amplitudes and what kept its offset by linear least squares on given lines.

    What kept its offset is tied to the diagonal, or left to the data alone. `cov`, shape (K*K + K, K*K + K), is that
    of ``A.ravel()`` and then c, from the noise.
    """
    assert rows.t1_s is not None
    assert rows.is_sine is not None
    e1, e2 = f1_basis(rows.t1_s, rows.is_sine, shape), f2_basis(rows.t2_s, shape)
    more = [excess(rows.t1_s, rows.is_sine, rows.t2_s, shape, lasting, i) for i in _sites(lasting)]
    data = rows.scaled()
    return _linear(data, e1, e2, more, len(shape.offset_Hz), _sites(lasting), rows.noise, tied=tied)


def _sites(lasting: Lasting) -> list[int]:
    """Sites that have lasting offsets: for the others c is not defined, and left at 0."""
    return [int(i) for i in np.flatnonzero((lasting.lorentz_Hz > 0) | (lasting.gauss2_Hz2 > 0))]


def _linear(
    data: Complex,
    e1: Real,
    e2: Complex,
    more: Sequence[Complex],
    count: int,
    sites: Sequence[int],
    noise: float,
    *,
    tied: bool = True,
    firm: bool = True,
) -> Linear:
    size = count * count
    normal = np.zeros((size + len(more), size + len(more)))
    onto = np.zeros(size + len(more))
    normal[:size, :size] = np.kron(e1.T @ e1, np.real(e2.T @ e2.conj()))
    onto[:size] = np.real((e1.T @ data) @ e2.conj()).ravel()
    for m, one in enumerate(more):
        normal[:size, size + m] = normal[size + m, :size] = np.real((e1.T @ one) @ e2.conj()).ravel()
        onto[size + m] = np.vdot(one, data).real
        for n in range(m + 1):
            normal[size + m, size + n] = normal[size + n, size + m] = np.vdot(one, more[n]).real
    ties = (
        _ties(normal[:size, :size], onto[:size], count, sites, firm=firm)
        if tied
        else np.zeros((len(more), len(normal)))
    )
    normal += noise**2 * ties.T @ ties
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal), 1e-300))
    inverse = np.linalg.pinv(normal * np.outer(scale, scale), rcond=1e-12, hermitian=True) * np.outer(scale, scale)
    found = inverse @ onto
    kept, tension = np.zeros(count), np.zeros(count)
    kept[list(sites)] = found[size:]
    tension[list(sites)] = ties @ found
    return Linear(
        A=found[:size].reshape(count, count),
        kept=kept,
        cov=noise**2 * inverse,
        residual=float(np.vdot(data, data).real - onto @ found),
        tension=tension,
    )


def _ties(normal: Real, onto: Real, count: int, sites: Sequence[int], *, firm: bool) -> Real:
    """Return what times (A, c) is 0 within one: c_i is A_ii but for what moved, shape (len(sites), K*K + len(sites)).

    Errors are those of amplitudes that separable shapes find; they are good to a tenth, which is all it takes.
    """
    A = np.linalg.lstsq(normal, onto, rcond=1e-12)[0].reshape(count, count)
    total = max(float(A.sum()), 1e-300)
    moved = float(np.clip(1.0 - np.trace(A) / total, 0.0, 0.5))
    ties = np.zeros((len(sites), len(onto) + len(sites)))
    for m, site in enumerate(sites):
        within = (KEPT_WITHIN + (moved**2 if firm else moved)) * max(float(A[site, site]), 0.02 * total)
        ties[m, site * count + site] = -(1.0 - moved) / within
        ties[m, len(onto) + m] = 1.0 / within
    return ties


def fit_lasting(rows: Sequence[Rows], start: Shape, free: Sequence[str], shifts_Hz: Sequence[float]) -> LastingFit:
    """Return the lines, lasting parts included, that fit the given 2Ds best.

    Offsets with a Gauss and with a Lorentz distribution are tried; the first with the whole Gaussian part of the width
    lasting, then with a part of it, which is kept only if chi2 falls by 10. What kept its offset is
    tied to the diagonal; see `less_tied`.

    Parameters
    ----------
    start : Shape
        The best separable lines.
    free : sequence of str
        Free parameters of the separable fit: sites that were held, and phases that were not needed, stay so.
    shifts_Hz : sequence of float
        Common shift of each 2D.
    """
    sites = [int(name.partition("/")[2]) for name in free if name.startswith("offset_Hz/")]
    shared = [name for name in free if name in GLOBALS]
    problem = _Problem(rows, start, shifts_Hz)
    seen = np.isin(np.arange(start.offset_Hz.size), sites)
    half = np.where(seen, 0.5 * start.lorentz_Hz, 0.0)
    # a Gaussian part that separable shapes took for the correlation would stay where nothing can move it
    wider_Hz = start.lorentz_Hz + 0.6 * np.sqrt(start.gauss2_Hz2)
    plain = replace(
        start,
        lorentz_Hz=np.where(seen, wider_Hz, start.lorentz_Hz),
        gauss2_Hz2=np.where(seen, 0.0, start.gauss2_Hz2),
    )
    lorentz = problem.fit(
        plain, Lasting(lorentz_Hz=half, gauss2_Hz2=np.zeros_like(half)),
        [f"{key}/{j}" for key in ("offset_Hz", "lorentz_Hz", "lasting_lorentz_Hz") for j in sites] + shared, tied=False,
    )  # fmt: skip
    spread = np.maximum(start.gauss2_Hz2, half**2)
    gauss = problem.fit(
        replace(start, lorentz_Hz=np.where(half > 0, 0.6 * start.lorentz_Hz, start.lorentz_Hz), gauss2_Hz2=spread),
        Lasting(lorentz_Hz=np.zeros_like(half), gauss2_Hz2=np.where(half > 0, spread, 0.0)),
        [f"{key}/{j}" for key in ("offset_Hz", "lorentz_Hz", "gauss2_Hz2") for j in sites] + shared, tied=True,
    )  # fmt: skip
    if lorentz.chi2 <= gauss.chi2:
        return lorentz
    part = problem.fit(
        gauss.shape, replace(gauss.lasting, gauss2_Hz2=0.8 * gauss.lasting.gauss2_Hz2),
        [f"{key}/{j}" for key in (*SITES, "lasting_gauss2_Hz2") for j in sites] + shared, tied=False,
    )  # fmt: skip
    return part if part.chi2 < gauss.chi2 - 10.0 else gauss


def less_tied(rows: Sequence[Rows], fit: LastingFit, shifts_Hz: Sequence[float]) -> LastingFit:
    """Return the fit with what kept its offset free within all that moved: lines not of this kind show in it."""
    tied = not any(name.startswith("lasting_gauss2") for name in fit.names)
    return _Problem(rows, fit.start, shifts_Hz, firm=False).fit(fit.shape, fit.lasting, fit.names, tied=tied)


def separable_chi2(rows: Sequence[Rows], fit: LastingFit, separable: Shape, shifts_Hz: Sequence[float]) -> float:
    """Return chi2 of separable lines on the very numbers that `fit` was fitted to."""
    none = Lasting(lorentz_Hz=np.zeros_like(separable.offset_Hz), gauss2_Hz2=np.zeros_like(separable.offset_Hz))
    problem = _Problem(rows, fit.start, shifts_Hz)
    return float(np.sum(problem.residual(separable, none) ** 2))


class _Problem:
    """Residuals of several 2Ds as a function of the lines; amplitudes eliminated, F2 cropped to around the lines.

    A discrete transform of t2 is orthonormal: keeping some of its frequencies leaves noise white and biases nothing.
    """

    def __init__(self, rows: Sequence[Rows], start: Shape, shifts_Hz: Sequence[float], *, firm: bool = True) -> None:
        self.start = start
        self.firm = firm
        points = fft.prev_fast_len(rows[0].t2_s.size)
        self.rows = [replace(one, signal=one.signal[:, :points], t2_s=one.t2_s[:points]) for one in rows]
        rows, self.shifts_Hz = self.rows, list(shifts_Hz)
        t2_s = rows[0].t2_s
        axis = np.fft.fftfreq(t2_s.size, float(t2_s[1] - t2_s[0]))
        width = start.lorentz_Hz + np.sqrt(start.gauss2_Hz2)
        near = np.abs(axis[:, None] - start.offset_Hz) < _WINDOW_FWHM * width
        self.bins = np.flatnonzero(near.any(axis=1))
        self.data = [self._cropped(one.scaled()) for one in rows]
        self.known: list[dict[int, tuple[tuple[float, ...], Complex]]] = [{} for _ in rows]

    def _cropped(self, signal: Complex) -> Complex:
        cropped: Complex = fft.fft(signal, axis=-1, norm="ortho")[..., self.bins]
        return cropped

    def fit(self, shape: Shape, lasting: Lasting, names: Sequence[str], *, tied: bool) -> LastingFit:
        """Return the best lines from a start; `tied` keeps all of the Gaussian part lasting."""
        x0 = np.array([_value(shape, lasting, name) for name in names])
        steps = np.array([_STEPS[name.partition("/")[0]] for name in names])
        lower = np.array([0.0 if "orentz" in name or "gauss2" in name else -np.inf for name in names])
        x0 = np.maximum(x0, lower + 1e-6)

        def lines(x: Real) -> tuple[Shape, Lasting]:
            return _with(shape, lasting, names, x, tied=tied)

        last: dict[bytes, Real] = {}

        def jacobian(x: Real) -> Real:
            base = residual(x)  # asked for just before, as a rule
            columns = [
                (self.residual(*lines(x + step * unit)) - base) / step
                for step, unit in zip(steps, np.eye(x.size), strict=True)
            ]
            return np.stack(columns, axis=1)

        def residual(x: Real) -> Real:
            if x.tobytes() not in last:
                last.clear()
                last[x.tobytes()] = self.residual(*lines(x))
            return last[x.tobytes()]

        found = optimize.least_squares(
            residual, x0, jac=jacobian, bounds=(lower, np.inf), x_scale=steps, ftol=1e-6, max_nfev=25
        )
        at_shape, at_lasting = lines(found.x)
        J = np.asarray(found.jac, dtype=np.float64)
        curvature = J.T @ J
        scale = 1.0 / np.sqrt(np.maximum(np.diag(curvature), 1e-300))
        inverse = np.linalg.pinv(curvature * np.outer(scale, scale), rcond=1e-12, hermitian=True)
        return LastingFit(
            shape=at_shape,
            lasting=at_lasting,
            names=tuple(names),
            cov=np.asarray(inverse * np.outer(scale, scale), dtype=np.float64),
            chi2=2.0 * float(found.cost),
            n_data=int(sum(2 * one.size for one in self.data)),
            start=self.start,
        )

    def residual(self, shape: Shape, lasting: Lasting) -> Real:
        """Return the residuals over their noise, real and imaginary parts one after the other."""
        parts = []
        for index, (rows, data) in enumerate(zip(self.rows, self.data, strict=True)):
            found, e1, e2, more = self._solved(index, shape, lasting)
            model = e1 @ found.A @ e2.T
            for i, one in more.items():
                model = model + found.kept[i] * one
            left = (data - model).ravel() / rows.noise
            parts += [left.real, left.imag, found.tension]
        return np.concatenate(parts)

    def amplitudes(self, shape: Shape, lasting: Lasting) -> Real:
        """Return A of the first 2D, shape (K, K)."""
        return self._solved(0, shape, lasting)[0].A

    def _solved(self, index: int, shape: Shape, lasting: Lasting) -> tuple[Linear, Real, Complex, dict[int, Complex]]:
        rows, moved = self.rows[index], shape.shifted(self.shifts_Hz[index])
        assert rows.t1_s is not None
        assert rows.is_sine is not None
        e1, e2 = f1_basis(rows.t1_s, rows.is_sine, moved), self._cropped(f2_basis(rows.t2_s, moved).T).T
        more = {i: self._excess(index, moved, lasting, i) for i in _sites(lasting)}
        found = _linear(
            self.data[index], e1, e2, [*more.values()], shape.offset_Hz.size, [*more], rows.noise, firm=self.firm
        )
        return found, e1, e2, more

    def _excess(self, index: int, shape: Shape, lasting: Lasting, site: int) -> Complex:
        """`excess`, cropped; kept as long as nothing but the common phase changes for this site."""
        rows = self.rows[index]
        assert rows.t1_s is not None
        assert rows.is_sine is not None
        key = (
            *(float(getattr(shape, name)[site]) for name in SITES),
            *(float(getattr(shape, name)) for name in GLOBALS[1:]),
            float(lasting.lorentz_Hz[site]),
            float(lasting.gauss2_Hz2[site]),
        )
        known = self.known[index].get(site)
        if known is None or known[0] != key:
            straight = replace(shape, phase_rad=0.0)
            made = self._cropped(excess(rows.t1_s, rows.is_sine, rows.t2_s, straight, lasting, site))
            known = self.known[index][site] = (key, made)
        turned: Complex = known[1] * np.exp(1j * shape.phase_rad)
        return turned


def slopes(rows: Rows, shape: Shape, lasting: Lasting, names: Sequence[str]) -> Real:
    """Return how ``A.ravel()`` moves with each line parameter, shape (P, K*K).

    A Gaussian part that is all lasting moves with its lasting part.
    """
    tied = not any(name.startswith("lasting_gauss2") for name in names)
    x = np.array([_value(shape, lasting, name) for name in names])
    problem = _Problem([rows], shape, [0.0])
    at = problem.amplitudes(shape, lasting)
    moved = []
    for index, name in enumerate(names):
        step = np.zeros(x.size)
        step[index] = _STEPS[name.partition("/")[0]]
        beside = problem.amplitudes(*_with(shape, lasting, names, x + step, tied=tied))
        moved.append((beside - at).ravel() / step[index])
    return np.array(moved)


def lasting_fwhm_Hz(lasting: Lasting, site: int) -> float:
    """Return the full width of a site's distribution of offsets (one of its two parts is zero)."""
    return float(lasting.lorentz_Hz[site]) + math.sqrt(float(lasting.gauss2_Hz2[site]))


def _value(shape: Shape, lasting: Lasting, name: str) -> float:
    key, _, index = name.partition("/")
    if not index:
        return float(getattr(shape, key))
    source = lasting if key in LASTING else shape
    return float(getattr(source, key.removeprefix("lasting_"))[int(index)])


def _with(shape: Shape, lasting: Lasting, names: Sequence[str], x: Real, *, tied: bool) -> tuple[Shape, Lasting]:
    """Return lines with parameters replaced; no lasting part exceeds the whole."""
    arrays = {key: np.array(getattr(shape, key), dtype=np.float64) for key in SITES}
    arrays |= {key: np.array(getattr(lasting, key.removeprefix("lasting_")), dtype=np.float64) for key in LASTING}
    shared: dict[str, float] = {}
    for name, value in zip(names, x, strict=True):
        key, _, index = name.partition("/")
        if index:
            arrays[key][int(index)] = value
        else:
            shared[key] = float(value)
    lorentz, gauss2 = np.maximum(arrays["lorentz_Hz"], 0.0), np.maximum(arrays["gauss2_Hz2"], 0.0)
    part = arrays["lasting_gauss2_Hz2"]
    part = np.where(part > 0, gauss2, 0.0) if tied else np.clip(part, 0.0, gauss2)
    whole = Shape(
        offset_Hz=arrays["offset_Hz"],
        lorentz_Hz=lorentz,
        gauss2_Hz2=gauss2,
        phase_rad=shared.get("phase_rad", shape.phase_rad),
        t2_origin_s=shared.get("t2_origin_s", shape.t2_origin_s),
        t1_phase_rad=shared.get("t1_phase_rad", shape.t1_phase_rad),
        t1_origin_s=shared.get("t1_origin_s", shape.t1_origin_s),
    )
    return whole, Lasting(lorentz_Hz=np.clip(arrays["lasting_lorentz_Hz"], 0.0, lorentz), gauss2_Hz2=part)


def _only(shape: Shape, site: int) -> Shape:
    one = slice(site, site + 1)
    return replace(
        shape, offset_Hz=shape.offset_Hz[one], lorentz_Hz=shape.lorentz_Hz[one], gauss2_Hz2=shape.gauss2_Hz2[one]
    )
