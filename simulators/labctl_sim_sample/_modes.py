r"""Exchange and relaxation as decaying modes, for any symmetric network of compartments.

Compartment `a` (a site, or one cell of a finite-volume grid) holds the Li fraction ``w_a`` and the
magnetisation ``m_a``. With symmetric fluxes ``g_ab`` (detailed balance) and relaxation rates ``R_a``,

    dm_a/dt = sum_b g_ab (m_b/w_b - m_a/w_a) - R_a (m_a - w_a)

becomes ``dy/dt = -H (y - sqrt(w))`` for ``y = m / sqrt(w)``, with the symmetric matrix
``H = w^-1/2 G w^-1/2 + R``. One eigendecomposition of H then serves every mixing time, every recycle
delay and every recovery curve: all pulses of the sequences act alike on all compartments, so each mode of
decay rate ``h`` is polarised by a scalar function of ``h`` (see `labctl_sim_sample._sequences`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
Polarisation = Callable[[FloatArray], FloatArray]
"""Decay rates of modes [1/s] to the part of equilibrium each has before the first pulse."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What mixing does with labelled magnetisation, per phase.

    Attributes
    ----------
    amplitudes : (K, K) array
        Labelled in row i, found in column j; in units of the whole equilibrium magnetisation.
    stayed : (K,) array
        The part of the diagonal whose spins never left their phase.
    """

    amplitudes: FloatArray
    stayed: FloatArray


@dataclass(frozen=True, slots=True)
class Modes:
    """Eigenmodes of a network of compartments.

    Attributes
    ----------
    rates_per_s : (m,) array
        Eigenvalues of H.
    vectors : (m, m) array
        Eigenvectors as columns.
    root_weights : (m,) array
        Square roots of the compartments' Li fractions.
    phase : (m,) array
        Index of the phase each compartment belongs to, 0 to `phases` - 1.
    confined : callable
        Gives per phase the modes of spins that vanish when they leave it; what stays is counted by them. Asked when
        that is wanted, which it is for mixing alone.
    """

    rates_per_s: FloatArray
    vectors: FloatArray
    root_weights: FloatArray
    phase: IntArray
    phases: int
    confined: Callable[[], tuple[Modes, ...]] = tuple

    def magnetisation(self, polarisation: Polarisation) -> FloatArray:
        """Return the magnetisation of each phase, shape (K,); the sum is 1 at equilibrium."""
        return self._by_phase(self._polarised(polarisation)) @ self.root_weights

    def transfer(self, polarisation: Polarisation, mixing_s: float) -> Transfer:
        """Return what is found where after `mixing_s`, the label being put on the polarised magnetisation."""
        labelled = self._by_phase(self._polarised(polarisation))
        decayed = (labelled @ self.vectors) * np.exp(-self.rates_per_s * mixing_s)
        amplitudes = decayed @ (self._by_phase(self.root_weights) @ self.vectors).T
        stayed = np.empty(self.phases)
        for index, modes in enumerate(self.confined()):
            start = labelled[index, self.phase == index] @ modes.vectors
            stayed[index] = (start * np.exp(-modes.rates_per_s * mixing_s)) @ (modes.root_weights @ modes.vectors)
        return Transfer(amplitudes=amplitudes, stayed=stayed)

    def _polarised(self, polarisation: Polarisation) -> FloatArray:
        return self.vectors @ (polarisation(self.rates_per_s) * (self.root_weights @ self.vectors))

    def _by_phase(self, y: FloatArray) -> FloatArray:
        return np.where(self.phase == np.arange(self.phases)[:, None], y, 0.0)
