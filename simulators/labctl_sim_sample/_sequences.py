"""What a pulse sequence leaves of equilibrium, mode by mode, once it runs in its steady state.

Pulses turn all spins alike and transverse magnetisation is gone before the next scan, so a mode that decays
with rate h is multiplied by cos(flip) at every pulse and recovers by 1 - exp(-h t) in between. The
functions return the part of its equilibrium value that a mode has just before the first pulse; sites that
relax at unlike rates, and exchange during the recycle delay, are thereby included.
"""

from __future__ import annotations

import math

import numpy as np

from labctl_sim_sample._modes import FloatArray, Polarisation


def equilibrium(rates_per_s: FloatArray) -> FloatArray:
    """Full recovery."""
    return np.ones_like(rates_per_s)


def after_comb(recovery_s: float, comb_leaves: float) -> Polarisation:
    """Saturation comb that leaves the part `comb_leaves`, then `recovery_s`."""

    def polarisation(rates_per_s: FloatArray) -> FloatArray:
        recovered: FloatArray = 1.0 - (1.0 - comb_leaves) * np.exp(-rates_per_s * recovery_s)
        return recovered

    return polarisation


def repeated_pulse(flip_rad: float, recycle_s: float) -> Polarisation:
    """One pulse every `recycle_s`: (1 - e) / (1 - c e) with e = exp(-h recycle), c = cos(flip)."""

    def polarisation(rates_per_s: FloatArray) -> FloatArray:
        lost = -np.expm1(-rates_per_s * recycle_s)
        recovered: FloatArray = lost / (lost + (1.0 - math.cos(flip_rad)) * (1.0 - lost))
        return recovered

    return polarisation


def repeated_exsy(flip_rad: float, recycle_s: float, mixing_s: float) -> Polarisation:
    """Pulse, t1, pulse, mixing, pulse, detection, recycle; averaged over the phase cycle.

    With 90 degree pulses this is 1 - exp(-h recycle). Otherwise, with c = cos(flip), what z magnetisation
    there is before the mixing is c**2 of it, recovers during the mixing, is turned once more and recovers
    during the recycle delay; the labelled part changes sign through the phase cycle and averages out.
    """
    c = math.cos(flip_rad)

    def polarisation(rates_per_s: FloatArray) -> FloatArray:
        lost_recycle = -np.expm1(-rates_per_s * recycle_s)
        lost_mixing = -np.expm1(-rates_per_s * mixing_s)
        kept = (1.0 - lost_recycle) * (1.0 - lost_mixing)
        gained = lost_recycle + c * (1.0 - lost_recycle) * lost_mixing
        # The denominator 1 - c**3 kept, written without the cancellation at c = 1.
        recovered: FloatArray = gained / (lost_recycle + (1.0 - lost_recycle) * lost_mixing + (1.0 - c**3) * kept)
        return recovered

    return polarisation
