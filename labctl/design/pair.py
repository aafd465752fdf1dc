"""One cross peak of two phases with one diffusivity: the simplest thing that has an Ea, as in paper mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from labctl.analysis.diffusion import mixing_matrix
from labctl.design.belief import BOLTZMANN_EV_PER_K, Relaxing
from labctl.design.encoding import Encoding
from labctl.design.model import Sensitivity

FloatArray = NDArray[np.float64]

NAMES = ("plateau", "ln kD", "Ea_eV")


@cache
def _build_up() -> CubicSpline:
    """Part of the plateau against ln(kD t): a sphere in a shell of equal volume, equal D and density."""
    log_x = np.linspace(np.log(1e-9), np.log(1e2), 2000)
    p = np.array([0.5, 0.5])
    return CubicSpline(log_x, mixing_matrix(np.exp(log_x), p, np.ones(2))[:, 0, 1] / (p[0] * p[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Cross peak ``P g(kD Tmix)`` of a sphere in a shell of equal volume, P its plateau, kD = D / R^2 activated.

    Attributes
    ----------
    relaxing : Relaxing
        One T1 for both phases.
    noise : float
        Standard error of the cross peak in units of its plateau, in a fully relaxed 2D of `noise_rows` rows and
        `noise_scans` scans at Tmix 0.
    encoding : Encoding, optional
        Gives the gain of fewer rows, the least over the source sites; without it every row tells as much.
    reference_K : float
        Where ``ln kD`` is meant.
    """

    relaxing: Relaxing
    noise: float
    noise_rows: int = 320
    noise_scans: int = 8
    encoding: Encoding | None = None
    reference_K: float = 333.15
    names: tuple[str, ...] = field(default=NAMES, init=False)
    free_gain: bool = field(default=False, init=False)

    def T1_s(self, T_K: float) -> float:
        """Return T1 [s]."""
        return float(self.relaxing.at(T_K).max())

    def sensitivity(
        self, theta: FloatArray, T_K: float, tmix_s: FloatArray, recycle_delay_s: FloatArray
    ) -> Sensitivity:
        """Return the cross peak in units of the plateau believed in, and its derivatives (O = 1, P = 3)."""
        log_x, lever = self._argument(theta, T_K, tmix_s)
        curve = _build_up()
        slope = theta[:, :1] * curve(log_x, 1)
        v = np.stack([curve(log_x), slope, slope * lever], axis=-1)
        T1_s = self.T1_s(T_K)
        left = np.exp(-tmix_s / T1_s)[:, None] * (1 - np.exp(-recycle_delay_s / T1_s))
        value = (theta[:, :1] * curve(log_x))[:, :, None] * left
        return Sensitivity(values=value[..., None], jacobian=(v[:, :, None] * left[:, :, None])[:, :, :, None])

    def mirrored(self, theta: FloatArray) -> list[FloatArray]:
        """Return nothing: one diffusivity has no counterpart."""
        del theta
        return []

    def covariance(self, rows: int) -> FloatArray:
        """Return the variance of the cross peak after one scan of `rows` rows, shape (1, 1)."""
        gain = float(self.encoding.gain(rows, self.noise_rows).min()) if self.encoding is not None else 1.0
        return np.full((1, 1), self.noise**2 * self.noise_rows * self.noise_scans / (rows * gain))

    def _argument(self, theta: FloatArray, T_K: float, tmix_s: FloatArray) -> tuple[FloatArray, float]:
        lever = -(1 / T_K - 1 / self.reference_K) / BOLTZMANN_EV_PER_K
        return np.asarray(theta[:, 1:2] + theta[:, 2:3] * lever + np.log(tmix_s)), lever
