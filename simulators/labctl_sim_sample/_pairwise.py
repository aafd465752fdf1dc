"""The second truth: each pair of phases exchanges on its own, in the product form of the published analysis.

Along each axis lamellae of width d repeat with period L; the label still in its own lamella after t is
P(t), and a cube keeps P**3 of it. P follows here from a finite-volume slab of the half lamella and half
gap (both closed by symmetry), not from the cosine series with which the analysis fits. Scaled to the
populations, a pair's cross peak is ``p_i p_j (1 - P**3) / (1 - f**3)`` with f = d/L: its plateau is
``p_i p_j`` whatever the filling. The diagonal is what is left. This is no Markov process: relaxation acts
by the mean of the two rates, and recycling ignores exchange.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from labctl_sim_sample._layered import LayeredExchange
from labctl_sim_sample._model import Activated, Layer, Layered, Pairwise
from labctl_sim_sample._modes import FloatArray, Polarisation, Transfer


class PairwiseExchange:
    """Mixing matrices of a `Pairwise` truth; parameters as for `DiscreteExchange`."""

    def __init__(self, truth: Pairwise, relaxation: Callable[[float], FloatArray]) -> None:
        self._truth = truth
        self._relaxation = relaxation
        self._lamella = LayeredExchange(_unit_lamella(truth.filling), lambda _T_K: np.zeros(2))

    def magnetisation(self, T_K: float, polarisation: Polarisation) -> FloatArray:
        p = np.array(list(self._truth.populations.values()))
        return p * polarisation(self._relaxation(T_K))

    def transfer(self, T_K: float, polarisation: Polarisation, mixing_s: float) -> Transfer:
        names = list(self._truth.populations)
        p = np.array(list(self._truth.populations.values()))
        amplitudes = np.diag(p)
        for contact in self._truth.contacts:
            i, j = (names.index(phase) for phase in contact.phases)
            crossed = p[i] * p[j] * self._crossed(contact.kD_per_s.at(T_K) * mixing_s)
            amplitudes[[i, j], [j, i]] += crossed
            amplitudes[[i, j], [i, j]] -= crossed
        relaxation = self._relaxation(T_K)
        amplitudes *= np.exp(-0.5 * mixing_s * (relaxation[:, None] + relaxation))
        amplitudes *= polarisation(relaxation)[:, None]
        return Transfer(amplitudes=amplitudes, stayed=np.diag(amplitudes).copy())

    def _crossed(self, reduced_time: float) -> float:
        """Return 1 - P**3 in units of its plateau, `reduced_time` being D t / d**2."""
        # The slab's unit of length is d/2, so one unit of its time is d**2/4D.
        amplitudes = self._lamella.transfer(1.0, np.ones_like, 4.0 * reduced_time).amplitudes
        filling = self._truth.filling
        return float((1.0 - (amplitudes[0, 0] / filling) ** 3) / (1.0 - filling**3))


def _unit_lamella(filling: float) -> Layered:
    unit = Activated(value=1.0, Ea_eV=0.0, reference_K=1.0)
    return Layered(
        geometry="slab",
        layers=tuple(
            Layer(phase=name, outer=outer, density_per_nm3=1.0, kD_per_s=unit, flux_per_s=None)
            for name, outer in (("lamella", 1.0), ("gap", 1.0 / filling))
        ),
        spin_diffusion_per_s=0.0,
    )
