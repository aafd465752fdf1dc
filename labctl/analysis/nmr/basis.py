"""Time-domain basis functions of the lines, and their derivatives.

A site of offset f [Hz] with Lorentzian and Gaussian full widths L and G [Hz] decays as
``exp(-pi L t - pi^2 G^2 t^2 / (4 ln 2))`` (a Voigt line after Fourier transform). The square of G is the
parameter: its derivative does not vanish at G = 0. Where no Voigt line will do, a smooth complex factor read from the
data themselves corrects the decay (`Correction`), in F1 and F2 alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

GAUSS = math.pi**2 / (4.0 * math.log(2.0))
"""Exponent of a Gaussian decay per G^2 t^2."""


KNOTS = (0.1, 0.22, 0.4, 0.6, 0.85, 1.15, 1.6, 2.5)
"""Times times FWHM at which a correction is told; it is 0 at t = 0, and stays what it is after the last."""

_CARDINAL = CubicSpline((0.0, *KNOTS), np.eye(len(KNOTS) + 1)[:, 1:], bc_type="natural")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correction:
    """What decays differ by from the Voigt form: logarithm of the ratio, whose imaginary part is a phase.

    Attributes
    ----------
    fwhm_Hz : ndarray, shape (K,)
        Scales time to `KNOTS`; 0 leaves the site as it is.
    log : complex ndarray, shape (K, M)
        At the M knots; cubic splines in between.
    """

    fwhm_Hz: Real
    log: Complex

    def at(self, t_s: Real) -> Complex:
        """Return the logarithm at the given times, shape (T, K)."""
        factor: Complex = np.einsum("tkm,km->tk", self.splines(t_s), self.log)
        return factor

    def splines(self, t_s: Real) -> Real:
        """Return how much each knot counts at the given times, shape (T, K, M)."""
        weight: Real = _CARDINAL(np.clip(t_s[:, None] * self.fwhm_Hz, 0.0, KNOTS[-1]))
        return weight


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What determines the bases: one entry per site, and what all sites share.

    `t2_origin_s` and `t1_origin_s` add ``2 pi f origin`` to the phase of each site (a first-order phase, such as
    pulses of finite length and the receiver's dead time leave); they do not move the decay.
    """

    offset_Hz: Real
    lorentz_Hz: Real
    gauss2_Hz2: Real
    phase_rad: float = 0.0
    t2_origin_s: float = 0.0
    t1_phase_rad: float = 0.0
    t1_origin_s: float = 0.0
    correction: Correction | None = None

    def shifted(self, shift_Hz: float) -> Shape:
        """Return the same lines, all moved by `shift_Hz`."""
        return self if shift_Hz == 0 else replace(self, offset_Hz=self.offset_Hz + shift_Hz)

    def ordered(self, at: NDArray[np.intp]) -> Shape:
        """Return the same lines in another order."""
        correction = self.correction
        if correction is not None:
            correction = Correction(fwhm_Hz=correction.fwhm_Hz[at], log=correction.log[at])
        return replace(
            self,
            offset_Hz=self.offset_Hz[at],
            lorentz_Hz=self.lorentz_Hz[at],
            gauss2_Hz2=self.gauss2_Hz2[at],
            correction=correction,
        )


def decay(t_s: Real, shape: Shape) -> Real:
    """Return the decay of each site, shape (T, K)."""
    t = t_s[:, None]
    exponent = -np.pi * shape.lorentz_Hz * t - GAUSS * shape.gauss2_Hz2 * t * t
    if shape.correction is not None:
        exponent = exponent + shape.correction.at(t_s).real
    envelope: Real = np.exp(exponent)
    return envelope


def _turn(t_s: Real, shape: Shape) -> Real | float:
    """Return the phase that a correction adds, shape (T, K)."""
    return 0.0 if shape.correction is None else shape.correction.at(t_s).imag


def f2_basis(t2_s: Real, shape: Shape) -> Complex:
    """Return ``exp(i phase + 2 pi i f (t2 + origin)) s(t2)`` of each site, shape (N, K)."""
    angle = 2 * np.pi * (t2_s[:, None] + shape.t2_origin_s) * shape.offset_Hz + shape.phase_rad + _turn(t2_s, shape)
    basis: Complex = np.exp(1j * angle) * decay(t2_s, shape)
    return basis


def f1_basis(t1_s: Real, is_sine: NDArray[np.bool_], shape: Shape) -> Real:
    """Return ``cos(2 pi f (t1 + origin) + phase1) s(t1)`` for cosine rows, ``sin`` for sine rows; shape (R, K)."""
    basis: Real = np.cos(_f1_angle(t1_s, is_sine, shape)) * decay(t1_s, shape)
    return basis


def _f1_angle(t1_s: Real, is_sine: NDArray[np.bool_], shape: Shape) -> Real:
    angle: Real = (
        2 * np.pi * (t1_s[:, None] + shape.t1_origin_s) * shape.offset_Hz
        + shape.t1_phase_rad
        + _turn(t1_s, shape)
        - np.where(is_sine, np.pi / 2, 0.0)[:, None]
    )
    return angle


def f2_with_derivatives(t2_s: Real, shape: Shape) -> Complex:
    """Return [E2, dE2/df, dE2/dL, dE2/dG2] side by side, shape (N, 4 K)."""
    t = t2_s[:, None]
    basis = f2_basis(t2_s, shape)
    return np.hstack([basis, 2j * np.pi * (t + shape.t2_origin_s) * basis, -np.pi * t * basis, -GAUSS * t * t * basis])


def f1_with_derivatives(t1_s: Real, is_sine: NDArray[np.bool_], shape: Shape) -> Real:
    """Return [E1, dE1/df, dE1/dL, dE1/dG2, dE1/dphase1] side by side, shape (R, 5 K)."""
    t = t1_s[:, None]
    angle, envelope = _f1_angle(t1_s, is_sine, shape), decay(t1_s, shape)
    basis, turned = np.cos(angle) * envelope, -np.sin(angle) * envelope
    along_f = 2 * np.pi * (t + shape.t1_origin_s) * turned
    return np.hstack([basis, along_f, -np.pi * t * basis, -GAUSS * t * t * basis, turned])


def voigt_fwhm_Hz(lorentz_Hz: float, gauss_Hz: float) -> float:
    """Return the full width at half maximum of a Voigt line (Olivero and Longbothum 1977, good to 0.02 %)."""
    return 0.5346 * lorentz_Hz + math.sqrt(0.2166 * lorentz_Hz**2 + gauss_Hz**2)
