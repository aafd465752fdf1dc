"""First-order exchange between well-stirred phases.

Every pair is given one rate; the rate back follows from detailed balance, so the fluxes
``F_ij = p_i k_ij = p_j k_ji`` are symmetric and `Modes` solves it without a matrix exponential.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh

from labctl_sim_sample._model import Discrete
from labctl_sim_sample._modes import FloatArray, Modes, Polarisation, Transfer

_CACHED_TEMPERATURES = 32


class DiscreteExchange:
    """Mixing matrices of a `Discrete` truth.

    Parameters
    ----------
    truth : Discrete
        Populations and jumps; the order of `truth.populations` is the order of the matrices.
    relaxation : callable
        Temperature [K] to the relaxation rates 1/T1 [1/s] of the phases, shape (K,).
    """

    def __init__(self, truth: Discrete, relaxation: Callable[[float], FloatArray]) -> None:
        self._truth = truth
        self._relaxation = relaxation
        self._modes = functools.lru_cache(maxsize=_CACHED_TEMPERATURES)(self._solve)

    def rates_per_s(self, T_K: float) -> FloatArray:
        """Return the jump rates, shape (K, K): row from, column to; zero on the diagonal."""
        names = list(self._truth.populations)
        p = np.array(list(self._truth.populations.values()))
        rates = self._truth.spin_diffusion_per_s * np.tile(p, (len(p), 1))
        for jump in self._truth.jumps:
            i, j = names.index(jump.source), names.index(jump.target)
            forth = jump.rate_per_s.at(T_K)
            rates[i, j] += forth
            rates[j, i] += forth * p[i] / p[j]
        np.fill_diagonal(rates, 0.0)
        return rates

    def magnetisation(self, T_K: float, polarisation: Polarisation) -> FloatArray:
        return self._modes(T_K).magnetisation(polarisation)

    def transfer(self, T_K: float, polarisation: Polarisation, mixing_s: float) -> Transfer:
        return self._modes(T_K).transfer(polarisation, mixing_s)

    def _solve(self, T_K: float) -> Modes:
        root = np.sqrt(list(self._truth.populations.values()))
        rates = self.rates_per_s(T_K)
        losses = rates.sum(axis=1) + self._relaxation(T_K)
        # sqrt(p_i/p_j) k_ij is symmetric by detailed balance.
        network = np.diag(losses) - rates * root[:, None] / root
        decay, vectors = eigh(0.5 * (network + network.T))
        return Modes(
            rates_per_s=decay,
            vectors=vectors,
            root_weights=root,
            phase=np.arange(root.size),
            phases=root.size,
            confined=lambda: tuple(
                Modes(
                    rates_per_s=losses[[index]],
                    vectors=np.ones((1, 1)),
                    root_weights=root[[index]],
                    phase=np.zeros(1, np.intp),
                    phases=1,
                )
                for index in range(root.size)
            ),
        )
