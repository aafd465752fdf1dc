"""All K x K peaks of layered diffusion at once: what the global fit of the analysis will be told by a 2D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.diffusion import Geometry, mixing_matrix
from labctl.design.belief import BOLTZMANN_EV_PER_K, Relaxing
from labctl.design.encoding import Encoding
from labctl.design.model import Sensitivity

FloatArray = NDArray[np.float64]

_STEP = 1e-4
"""Of the central differences, in logarithms: their error is its square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layered:
    """Concentric or stacked phases, from the innermost outwards.

    Parameters: ``ln kD <phase>`` at `reference_K` and ``Ea_eV <phase>`` of each phase (or one ``ln kD`` and one
    ``Ea_eV`` where `equal_D`), ``ln contact`` (the part of all Li that takes part), ``ln p <phase>`` (populations
    over the last phase's).

    Each 2D is compared by its amplitudes over their sum: gain, drift and common relaxation cancel, at the price of
    one degree of freedom.
    """

    phases: tuple[str, ...]
    relaxing: Relaxing
    encoding: Encoding
    geometry: Geometry = "sphere"
    equal_D: bool = False
    densities: tuple[float, ...] | None = None
    reference_K: float = 333.15
    free_gain: bool = field(default=True, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters, in the order of the arrays."""
        own = ("",) if self.equal_D else tuple(f" {phase}" for phase in self.phases)
        return (
            *(f"ln kD{one}" for one in own),
            *(f"Ea_eV{one}" for one in own),
            "ln contact",
            *(f"ln p {phase}" for phase in self.phases[:-1]),
        )

    def energies(self, phases: Sequence[str]) -> tuple[str, ...]:
        """Return the names of the activation energies of `phases`; they share one where all have one diffusivity."""
        return ("Ea_eV",) if self.equal_D else tuple(f"Ea_eV {phase}" for phase in phases)

    def T1_s(self, T_K: float) -> float:
        """Return the T1 [s] of the slowest phase."""
        return float(self.relaxing.at(T_K).max())

    def amplitudes(self, theta: FloatArray, T_K: float, tmix_s: FloatArray, recycle_delay_s: FloatArray) -> FloatArray:
        """Return A as it is observed (sum 1 if unmixed and fully relaxed), shape (S, M, D, K, K), row source.

        Magnetisation recovers from saturation during the recycle delay while it exchanges:
        ``M(d1) = (1 - expm(L d1)) M_eq``.
        """
        p, kD, contact = self._meaning(theta, T_K)
        times = np.concatenate([tmix_s, recycle_delay_s])
        R1 = 1 / self.relaxing.at(T_K)
        densities = None if self.densities is None else np.asarray(self.densities)
        G = mixing_matrix(
            times, p, kD, R1_per_s=np.broadcast_to(R1, p.shape), densities=densities, geometry=self.geometry
        )
        alone = p[:, None, :] * np.exp(-R1 * times[:, None])
        K = len(self.phases)
        G = contact[:, None, None, None] * G
        G[..., np.arange(K), np.arange(K)] += (1 - contact)[:, None, None] * alone
        M = tmix_s.size
        source = 1 - G[:, M:].sum(axis=2) / p[:, None, :]
        return np.asarray(source[:, None, :, :, None] * G[:, :M, None])

    def sensitivity(
        self, theta: FloatArray, T_K: float, tmix_s: FloatArray, recycle_delay_s: FloatArray
    ) -> Sensitivity:
        """Return all amplitudes and their derivatives, by central differences (O = K^2).

        An Ea acts through kD at the temperature alone, so its derivative is that of ln kD times a lever.
        """
        S, P = theta.shape
        own = 1 if self.equal_D else len(self.phases)
        moved = [index for index in range(P) if not own <= index < 2 * own]
        steps = np.zeros((1 + 2 * len(moved), P))
        for place, index in enumerate(moved):
            steps[1 + 2 * place, index], steps[2 + 2 * place, index] = _STEP, -_STEP
        A = self.amplitudes((theta[:, None] + steps).reshape(-1, P), T_K, tmix_s, recycle_delay_s)
        A = A.reshape(S, len(steps), tmix_s.size, recycle_delay_s.size, -1)
        J = np.empty((*A.shape[:1], *A.shape[2:], P))
        J[..., moved] = np.moveaxis((A[:, 1::2] - A[:, 2::2]) / (2 * _STEP), 1, -1)
        J[..., own : 2 * own] = J[..., :own] * self._lever(T_K)
        return Sensitivity(values=A[:, 0], jacobian=J)

    def mirrored(self, theta: FloatArray) -> list[FloatArray]:
        """Return `theta` with the diffusivities of two neighbouring phases exchanged, for each pair of neighbours.

        At short mixing times only ``1 / (1/(c1 sqrt(D1)) + 1/(c2 sqrt(D2)))`` counts, whichever is the smaller.
        """
        if self.equal_D:
            return []
        K, found = len(self.phases), []
        for i in range(K - 1):
            other = theta.copy()
            for first in (i, K + i):
                other[[first, first + 1]] = other[[first + 1, first]]
            found.append(other)
        return found

    def covariance(self, rows: int) -> FloatArray:
        """Return the covariance of ``A.ravel()`` after one scan of `rows` rows, shape (K*K, K*K)."""
        return self.encoding.covariance(rows)

    def _lever(self, T_K: float) -> float:
        return -(1 / T_K - 1 / self.reference_K) / BOLTZMANN_EV_PER_K

    def _meaning(self, theta: FloatArray, T_K: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Populations (S, K), kD [1/s] (S, K) and contact fractions (S,) of parameter sets at a temperature."""
        K = len(self.phases)
        own = 1 if self.equal_D else K
        kD = np.broadcast_to(np.exp(theta[:, :own] + theta[:, own : 2 * own] * self._lever(T_K)), (len(theta), K))
        ratio = np.concatenate([np.exp(theta[:, 2 * own + 1 :]), np.ones((len(theta), 1))], axis=1)
        return ratio / ratio.sum(axis=1, keepdims=True), kD, np.exp(theta[:, 2 * own])
