"""A pellet between two electrodes as a potentiostat sees it: its admittance at any frequency and temperature. Pure.

::

    Y(omega) = 1 / (Z_bulk + Z_gb + Z_el) + j omega C_stray + 1/R_leak,      Z = R_lead + j omega L + 1/Y

The conductivity is the whole one, bulk and grain boundaries in series: R = d / (sigma A), of which the grain boundaries
have a constant share. Each is an arc, R / (1 + (j omega R C)^n); the bulk's C is eps_0 eps_r A / d. Electrodes that
block ions are a constant phase element; electrodes that do not (a real cell) have a voltage of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labctl_sim_sample._model import Activated

VACUUM_F_per_cm = 8.8541878128e-14

Convention = Literal["ln sigma", "ln sigma T"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundaries:
    """Grain boundaries: their share of the resistance, their capacitance [F], the exponent of their arc."""

    share: float
    capacitance_F: float
    exponent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Electrode:
    """Both electrodes together.

    `capacitance_F_per_cm2` has the modulus of their constant phase element at 1 Hz; `exponent` is its n.
    """

    capacitance_F_per_cm2: float
    exponent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """What is there without a pellet: stray capacitance and leakage beside it, resistance and inductance before it."""

    stray_F: float
    leakage_ohm: float
    lead_ohm: float
    lead_H: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PelletTruth:
    """What the `eis:` section of a sample file says.

    Attributes
    ----------
    conductivity_S_per_cm : Activated
        sigma, or sigma T / T_reference where the convention is ``ln sigma T``; its reference is where it was given.
    open_circuit_V : float
        Between the electrodes with no current; 0 for a symmetric, blocking cell.
    """

    thickness_cm: float
    diameter_cm: float
    conductivity_S_per_cm: Activated
    convention: Convention
    permittivity: float
    bulk_exponent: float
    boundaries: Boundaries | None
    electrode: Electrode
    holder: Holder
    open_circuit_V: float = 0.0


class EisSample:
    """A pellet in its holder, as the potentiostat sees it."""

    def __init__(self, truth: PelletTruth) -> None:
        self.truth = truth

    @property
    def area_cm2(self) -> float:
        """Of each electrode."""
        return math.pi * self.truth.diameter_cm**2 / 4.0

    def sigma_S_per_cm(self, T_K: float) -> float:
        """Return the ionic conductivity at `T_K`."""
        given = self.truth.conductivity_S_per_cm
        return given.at(T_K) * (given.reference_K / T_K if self.truth.convention == "ln sigma T" else 1.0)

    def resistance_ohm(self, T_K: float) -> float:
        """Return bulk and grain boundaries together."""
        return self.truth.thickness_cm / (self.sigma_S_per_cm(T_K) * self.area_cm2)

    def admittance_S(self, frequency_Hz: ArrayLike, T_K: float) -> NDArray[np.complex128]:
        """Return pellet, holder and leads together [S]; the shape is that of `frequency_Hz`, all of it positive."""
        s = np.asarray(2j * np.pi * np.asarray(frequency_Hz, dtype=np.float64), dtype=np.complex128)
        truth, R_ohm = self.truth, self.resistance_ohm(T_K)
        share = 0.0 if truth.boundaries is None else truth.boundaries.share
        C_bulk_F = VACUUM_F_per_cm * truth.permittivity * self.area_cm2 / truth.thickness_cm
        Z: NDArray[np.complex128] = _arc(s, (1.0 - share) * R_ohm, C_bulk_F, truth.bulk_exponent)
        if truth.boundaries is not None:
            Z = Z + _arc(s, share * R_ohm, truth.boundaries.capacitance_F, truth.boundaries.exponent)
        C_el_F, n = truth.electrode.capacitance_F_per_cm2 * self.area_cm2, truth.electrode.exponent
        Z = Z + 1.0 / (C_el_F * (2.0 * np.pi) ** (1.0 - n) * s**n)
        return self._in_holder(s, 1.0 / Z)

    def open_S(self, frequency_Hz: ArrayLike) -> NDArray[np.complex128]:
        """Return the admittance without a pellet, or with one that has lost contact [S]."""
        s = np.asarray(2j * np.pi * np.asarray(frequency_Hz, dtype=np.float64), dtype=np.complex128)
        return self._in_holder(s, np.zeros(s.shape, dtype=np.complex128))

    def _in_holder(self, s: NDArray[np.complex128], Y: NDArray[np.complex128]) -> NDArray[np.complex128]:
        holder = self.truth.holder
        beside = Y + s * holder.stray_F + 1.0 / holder.leakage_ohm
        return np.asarray(1.0 / (holder.lead_ohm + s * holder.lead_H + 1.0 / beside))


def _arc(s: NDArray[np.complex128], R_ohm: float, C_F: float, exponent: float) -> NDArray[np.complex128]:
    return np.asarray(R_ohm / (1.0 + (s * R_ohm * C_F) ** exponent))
