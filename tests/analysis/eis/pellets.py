"""Spectra of pellets from plain circuit equations, measured as a potentiostat does: noise enters the current.

No code of the analysis is used here. Samples are those of Liu et al. 2021 (conductivity at 25 C and activation energy
in the convention ln sigma), with the geometry of 200 mg pressed to 10 mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.eis.fitting import Sweep
from labctl.analysis.eis.noise import ErrorModel

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

K_EV_PER_K = 8.617333262e-5
EPSILON_0_F_PER_CM = 8.8541878128e-14
AMPLITUDE_V = 5e-3
GAIN_NOISE = 2e-3
FREQUENCY_HZ = np.geomspace(1e5, 1.0, 51)
LADDER_K = tuple(273.15 + celsius for celsius in (25, 50, 75, 100, 125, 150))


@dataclass(frozen=True)
class Pellet:
    """A sample between blocking electrodes: bulk, its geometric capacitance, electrode, stray capacitance."""

    sigma_25C_S_per_cm: float
    Ea_eV: float
    thickness_cm: float
    permittivity: float
    diameter_cm: float = 1.0
    stray_F: float = 20e-12
    electrode_Q: float = 3e-6
    electrode_n: float = 0.9

    @property
    def area_cm2(self) -> float:
        """Area of an electrode."""
        return float(np.pi * self.diameter_cm**2 / 4)

    def sigma(self, T_K: float) -> float:
        """Conductivity [S/cm]."""
        return float(self.sigma_25C_S_per_cm * np.exp(-self.Ea_eV / K_EV_PER_K * (1 / T_K - 1 / 298.15)))

    def conductance(self, T_K: float) -> float:
        """Conductance of the pellet [S]."""
        return self.sigma(T_K) * self.area_cm2 / self.thickness_cm

    def admittance(self, T_K: float, frequency_Hz: FloatArray = FREQUENCY_HZ) -> ComplexArray:
        """Admittance [S] at the terminals."""
        s = 2j * np.pi * frequency_Hz
        bulk = 1 / (
            self.conductance(T_K) + s * EPSILON_0_F_PER_CM * self.permittivity * self.area_cm2 / self.thickness_cm
        )
        return np.asarray(1 / (bulk + 1 / (self.electrode_Q * s**self.electrode_n)) + s * self.stray_F)


LI2S = Pellet(7.51e-11, 0.235, 0.18, 12)
LII = Pellet(9.7e-8, 0.107, 0.074, 17)
MIXTURE = Pellet(6.72e-9, 0.212, 0.128, 13)


def measured(
    Y_S: NDArray[Any], current_noise_A: float, seed: int, *, gain_noise: float = GAIN_NOISE, V: float = AMPLITUDE_V
) -> ComplexArray:
    """Return Z = V/I of a current with gain noise and additive noise in each quadrature."""
    rng = np.random.default_rng(seed)
    gain = gain_noise * rng.standard_normal(Y_S.size)
    noise = current_noise_A * (rng.standard_normal(Y_S.size) + 1j * rng.standard_normal(Y_S.size))
    return np.asarray(V / (V * Y_S * (1 + gain) + noise))


def known(current_noise_A: float, gain_noise: float = GAIN_NOISE) -> ErrorModel:
    """Return the error model of `measured`: its gain noise turns no phase."""
    return ErrorModel(amplitude_V_rms=AMPLITUDE_V, current_noise_A=current_noise_A, gain=gain_noise, phase_rad=1e-5)


def sweep_of(pellet: Pellet, T_K: float, current_noise_A: float, seed: int) -> Sweep:
    """Return a measured sweep with its noise known."""
    Z = measured(pellet.admittance(T_K), current_noise_A, seed)
    return Sweep(frequency_Hz=FREQUENCY_HZ, Z_ohm=Z, errors=known(current_noise_A))


def textbook(seed: int = 0, noise: float = 0.005) -> tuple[FloatArray, ComplexArray, ComplexArray]:
    """Return frequencies, a noisy and the exact R(RQ)(RQ) spectrum on which circuit fitters are compared."""
    f = np.geomspace(1e6, 1.0, 61)
    s = 2j * np.pi * f
    exact = 50 + 2e3 / (1 + 2e3 * 1e-9 * s**0.92) + 8e3 / (1 + 8e3 * 5e-7 * s**0.85)
    rng = np.random.default_rng(seed)
    part = noise / np.sqrt(2)
    return f, np.asarray(exact * (1 + part * (rng.standard_normal(61) + 1j * rng.standard_normal(61)))), exact
