"""Time-domain basis functions of the lines, and their derivatives.

A site of offset f [Hz] with Lorentzian and Gaussian full widths L and G [Hz] decays as
``exp(-pi L t - pi^2 G^2 t^2 / (4 ln 2))`` (a Voigt line after Fourier transform). The square of G is the
parameter: its derivative does not vanish at G = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

GAUSS = math.pi**2 / (4.0 * math.log(2.0))
"""Exponent of a Gaussian decay per G^2 t^2."""


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

    def shifted(self, shift_Hz: float) -> Shape:
        """Return the same lines, all moved by `shift_Hz`."""
        return self if shift_Hz == 0 else replace(self, offset_Hz=self.offset_Hz + shift_Hz)


def decay(t_s: Real, shape: Shape) -> Real:
    """Return the decay of each site, shape (T, K)."""
    t = t_s[:, None]
    envelope: Real = np.exp(-np.pi * shape.lorentz_Hz * t - GAUSS * shape.gauss2_Hz2 * t * t)
    return envelope


def f2_basis(t2_s: Real, shape: Shape) -> Complex:
    """Return ``exp(i phase + 2 pi i f (t2 + origin)) s(t2)`` of each site, shape (N, K)."""
    angle = 2 * np.pi * (t2_s[:, None] + shape.t2_origin_s) * shape.offset_Hz + shape.phase_rad
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
