"""The linear Kramers-Kronig test, which asks whether any causal, linear, stable system can have a spectrum.

Impedance (Boukamp 1995; Schoenleber, Klotz, Ivers-Tiffee 2014): R_inf + sum R_k/(1 + s tau_k) + s L + 1/(s C), tau_k
log-spaced over the window, linear least squares; terms are added until negative ones appear,
mu = 1 - sum|R_k < 0| / sum(R_k >= 0) < 0.85. Where the noise is known, terms are chosen by AICc instead, because noise
makes negative ones early. Admittance: G_0 + s C_inf + sum G_k s tau_k/(1 + s tau_k), which suits
blocking samples whose current drowns in noise: there an impedance has no finite variance, an admittance has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

Representation = Literal["impedance", "admittance"]

MU_LIMIT = 0.85
RESIDUAL_LIMIT = 0.01
TERMS_PER_DECADE = 2
MAX_TERMS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KramersKronig:
    """Outcome of the test.

    Attributes
    ----------
    representation : str
        In which the linear system was fitted.
    terms : int
        Relaxations used, M.
    mu : float
    residual : ndarray of complex, shape (N,)
        Data minus fit, divided by the modulus of the data.
    smooth : ndarray of complex, shape (N,)
        The fit, in the representation's unit.
    max_residual, rms_residual : float
        Of the real and imaginary parts of `residual`.
    runs_p : float
        Chance of as few sign changes along frequency in residuals that are noise.
    worst_sigma : float or None
        Largest residual over its expected noise, where that is known.
    passed : bool
    coefficients : int
        Free numbers of the linear fit.
    """

    representation: Representation
    terms: int
    mu: float
    residual: ComplexArray
    smooth: ComplexArray
    max_residual: float
    rms_residual: float
    runs_p: float
    worst_sigma: float | None
    passed: bool
    coefficients: int


def kramers_kronig(
    frequency_Hz: FloatArray,
    Z_ohm: ComplexArray,
    *,
    representation: Representation = "impedance",
    deviation: FloatArray | None = None,
    allowance: FloatArray | None = None,
    mu_limit: float = MU_LIMIT,
    capacitor: bool = True,
    second_try: bool = True,
) -> KramersKronig:
    """Test a spectrum.

    Parameters
    ----------
    frequency_Hz : ndarray, shape (N,)
        Distinct enough to span a window.
    Z_ohm : ndarray of complex, shape (N,)
    representation : str
    deviation : ndarray, shape (N,), optional
        Expected standard deviation of each part, in the representation's unit. Then they weight the fit and AICc
        chooses the terms; otherwise weights are by modulus and mu chooses.
    allowance : ndarray, shape (N,), optional
        Noise that a residual may show, in the same unit: beyond the usual 1 % it must exceed four of these to count.
        As `deviation` if not given.
    mu_limit : float
    capacitor : bool
        Whether a capacitor in series (impedance) may be there.
    second_try : bool
        An arc without any spread needs negative terms beside it, and mu stops there too early. A spectrum that would
        fail so is tried again with as many terms as AICc allows; what drifts fails with any number.
    """
    omega = 2 * np.pi * frequency_Hz
    data = Z_ohm if representation == "impedance" else 1.0 / Z_ohm
    weight = 1.0 / (np.abs(data) if deviation is None else deviation)
    system = _System(omega, data, (weight, weight), representation, capacitor=capacitor)
    if deviation is None:
        # With few terms the grid may straddle an arc, and mu falls by accident long before noise is fitted.
        least = min(system.most, int(np.ceil(TERMS_PER_DECADE * np.log10(omega.max() / omega.min()))) + 1)
        fit = system.with_terms(least)
        for terms in range(least + 1, system.most + 1):
            if fit.mu < mu_limit:
                break
            fit = system.with_terms(terms)
        found = _judged(representation, fit, data, None)
        if found.passed or not second_try:
            return found
        again = _judged(representation, system.by_aicc(scale_known=False), data, None)
        return again if again.passed else found
    fit = system.by_aicc(scale_known=True)
    return _judged(representation, fit, data, deviation if allowance is None else allowance)


def smooth_curve(
    frequency_Hz: FloatArray, Y_S: ComplexArray, along: FloatArray, across: FloatArray
) -> tuple[ComplexArray, int]:
    """Return a causal smooth curve through an admittance [S] and how many coefficients it took.

    `along` and `across` are expected deviations in the direction of each datum and at right angles to it. The number of
    relaxations is chosen by AICc without believing their scale: what scatters about the curve is the noise,
    whatever circuit the sample is.
    """
    turn = np.asarray(np.conj(Y_S) / np.abs(Y_S), dtype=np.complex128)
    system = _System(2 * np.pi * frequency_Hz, Y_S, (1.0 / along, 1.0 / across), "admittance", turn=turn)
    fit = system.by_aicc(scale_known=False)
    return fit.smooth, fit.coefficients


@dataclass(frozen=True, slots=True, eq=False)
class _Linear:
    """A linear fit with a given number of relaxations."""

    terms: int
    mu: float
    chi2: float
    smooth: ComplexArray
    coefficients: int


class _System:
    """One spectrum as a linear least-squares problem in the strengths of relaxations."""

    def __init__(
        self,
        omega: FloatArray,
        data: ComplexArray,
        weights: tuple[FloatArray, FloatArray],
        representation: Representation,
        *,
        capacitor: bool = True,
        turn: ComplexArray | None = None,
    ) -> None:
        self.omega = omega
        self.representation = representation
        self.turn = np.ones_like(data) if turn is None else turn
        self.weight = np.concatenate(weights)
        self.target = self._turned(data[:, None])[:, 0]
        self.fixed = _fixed_columns(omega, representation, capacitor=capacitor)
        self.most = max(1, min(MAX_TERMS, 2 * len(omega) - self.fixed.shape[1] - 1))

    def _turned(self, columns: ComplexArray) -> FloatArray:
        """Weighted parts of complex columns along and across the data."""
        turned = columns * self.turn[:, None]
        return np.asarray(np.concatenate([turned.real, turned.imag]) * self.weight[:, None])

    def with_terms(self, terms: int) -> _Linear:
        plain = np.concatenate([self.fixed, _relaxations(self.omega, terms, self.representation)], axis=1)
        columns = self._turned(plain)
        scale = np.linalg.norm(columns, axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        solution = np.linalg.lstsq(columns / scale, self.target, rcond=1e-13)[0] / scale
        residual = columns @ solution - self.target
        strength = solution[self.fixed.shape[1] :]
        above = float(strength[strength >= 0].sum())
        mu = 1.0 - float(-strength[strength < 0].sum()) / above if above > 0 else 0.0
        return _Linear(terms, mu, float(residual @ residual), np.asarray(plain @ solution + 0j), plain.shape[1])

    def by_aicc(self, *, scale_known: bool) -> _Linear:
        """The number of terms of the lowest AICc; the search ends when eight more brought nothing.

        Chi2 does not fall evenly: a sharp arc is hit or missed as the grid of time constants widens.
        """
        n = self.target.size
        best, best_score = None, np.inf
        for terms in range(1, self.most + 1):
            fit = self.with_terms(terms)
            k = fit.coefficients + (0 if scale_known else 1)
            if n - k - 1 <= 0:
                break
            badness = fit.chi2 if scale_known else n * np.log(fit.chi2 / n + 1e-300)
            score = badness + 2 * k + 2 * k * (k + 1) / (n - k - 1)
            if best is None or score < best_score:
                best, best_score = fit, score
            elif terms >= best.terms + 8:
                break
        return best if best is not None else self.with_terms(1)


def _fixed_columns(omega: FloatArray, representation: Representation, *, capacitor: bool) -> ComplexArray:
    s = np.asarray(1j * omega, dtype=np.complex128)
    columns = [np.ones_like(s), s]  # R and L, or G and C
    if representation == "impedance" and capacitor:
        columns.append(1.0 / s)
    return np.stack(columns, axis=1)


def _relaxations(omega: FloatArray, terms: int, representation: Representation) -> ComplexArray:
    ends = 1.0 / omega.max(), 1.0 / omega.min()
    tau = np.geomspace(*ends, terms) if terms > 1 else np.array([ends[0]])
    s_tau = 1j * np.outer(omega, tau)
    return np.asarray(1.0 / (1.0 + s_tau) if representation == "impedance" else s_tau / (1.0 + s_tau))


def _judged(
    representation: Representation, fit: _Linear, data: ComplexArray, allowance: FloatArray | None
) -> KramersKronig:
    residual = (data - fit.smooth) / np.abs(data)
    parts = np.concatenate([residual.real, residual.imag])
    worst_sigma = None
    allowed = np.full(parts.shape, RESIDUAL_LIMIT)
    if allowance is not None:
        sigma = np.concatenate([allowance, allowance]) / np.concatenate([np.abs(data)] * 2)
        worst_sigma = float(np.max(np.abs(parts) / sigma))
        allowed = np.maximum(allowed, 4.0 * sigma)
    runs_p = min(_runs(residual.real), _runs(residual.imag))
    rms = float(np.sqrt(np.mean(parts**2)))
    # Too few terms for an exact spectrum leave waves far below any noise; those are no fault of the data.
    waves = runs_p < 1e-4 and rms > 0.2 * RESIDUAL_LIMIT and allowance is None
    return KramersKronig(
        representation=representation,
        terms=fit.terms,
        mu=fit.mu,
        residual=residual,
        smooth=fit.smooth,
        max_residual=float(np.abs(parts).max()),
        rms_residual=rms,
        runs_p=runs_p,
        worst_sigma=worst_sigma,
        passed=bool(np.all(np.abs(parts) <= allowed)) and not waves,
        coefficients=fit.coefficients,
    )


def _runs(values: FloatArray) -> float:
    """Chance of as few runs of one sign (Wald and Wolfowitz), by the normal approximation."""
    positive = values > 0
    many, few = int(positive.sum()), int((~positive).sum())
    if min(many, few) < 2:
        return 1.0 if values.size < 10 else 1e-6
    total = many + few
    expected = 2.0 * many * few / total + 1.0
    variance = (expected - 1.0) * (expected - 2.0) / (total - 1.0)
    runs = 1 + int(np.count_nonzero(positive[1:] != positive[:-1]))
    return float(ndtr((runs - expected + 0.5) / np.sqrt(max(variance, 1e-12))))
