"""What is believed of a sample before (more) data: a normal distribution over the parameters of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri
from scipy.stats import qmc

FloatArray = NDArray[np.float64]

VAGUE = 10.0
"""By so much wider than believed is what a stated error rests on."""
BOLTZMANN_EV_PER_K = 8.617333262e-5
"""CODATA 2018, exact."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Belief:
    """Mean and covariance of named parameters.

    Attributes
    ----------
    names : tuple of str
        As the model has them.
    mean : ndarray, shape (P,)
    covariance : ndarray, shape (P, P)
    """

    names: tuple[str, ...]
    mean: FloatArray
    covariance: FloatArray

    @classmethod
    def of(cls, names: Sequence[str], mean: Sequence[float], sd: Sequence[float]) -> Belief:
        """Return a belief in which no parameter hangs together with another."""
        return cls(
            names=tuple(names),
            mean=np.asarray(mean, dtype=np.float64),
            covariance=np.diag(np.square(np.asarray(sd, dtype=np.float64))),
        )

    def precision(self, *, without: Sequence[str] = ()) -> FloatArray:
        """Return the inverse covariance, shape (P, P); of the parameters `without` nothing is known."""
        keep = [index for index, name in enumerate(self.names) if name not in without]
        precision = np.zeros_like(self.covariance)
        precision[np.ix_(keep, keep)] = np.linalg.inv(self.covariance[np.ix_(keep, keep)])
        return precision

    def without(self, prior: Belief, fitted: Sequence[str], *, scatter: float = 1.0) -> FloatArray:
        """Return the precision that data added to `prior`, with hardly any of what it held of `fitted`, shape (P, P).

        A stated error shall be the one that an analysis will find which fits these parameters and knows no prior.
        `scatter` is the chi2_red of data that scatter more than their noise.
        """
        wide = np.array([VAGUE if name in fitted else 1.0 for name in self.names])
        vague = prior.covariance * wide[:, None] * wide
        return np.asarray((self.precision() - prior.precision()) / scatter + np.linalg.inv(vague))

    def points(self, count: int) -> FloatArray:
        """Return `count` points spread as the belief is, shape (count, P): the mean first, then a Sobol sequence.

        A low-discrepancy sequence stands for samples, so that a proposal depends on what is believed and on nothing
        else.
        """
        if count == 1:
            return self.mean[None]
        cube = qmc.Sobol(len(self.names), scramble=False).random(1 << (count - 1).bit_length())[1:count]
        return np.vstack([self.mean, self.mean + ndtri(cube) @ np.linalg.cholesky(self.covariance).T])


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxing:
    """T1 of each site against temperature, thermally activated.

    `T1_s` holds the value of each site at `reference_K`; it falls on heating with `Ea_eV`.
    """

    T1_s: tuple[float, ...]
    reference_K: float = 293.15
    Ea_eV: float = 0.0

    def at(self, T_K: float) -> FloatArray:
        """Return T1 [s] of each site, shape (K,)."""
        lever = 1 / T_K - 1 / self.reference_K
        return np.asarray(self.T1_s) * float(np.exp(self.Ea_eV / BOLTZMANN_EV_PER_K * lever))


def recycle_factor(mixing_over_T1: float) -> float:
    """Return the recycle delay over T1 that gives most information per hour at a mixing time (over T1).

    It maximises ``(1 - exp(-d))^2 / (d + m)``, signal squared over time: 1.26 for m = 0, 1.92 for m = 1.
    """

    def slope(d: float) -> float:
        return float(2 * np.exp(-d) * (d + mixing_over_T1) - (1 - np.exp(-d)))

    return float(brentq(slope, 1e-3, 20.0))
