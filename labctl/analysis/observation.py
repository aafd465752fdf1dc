"""From a mixing model to what is measured: populations, relaxation, saturation in the recycle delay, recovery.

A model supplies G(t), shape (K, K): the symmetric mixing matrix of a fully recovered sample. All else is
linear in it. After a read pulse nothing is left along z, so a scan starts from
``M(d1)_i = p_i - sum_j G_ij(d1)``, and the same holds for a recovery curve at its delay with a saturation
alpha a little off 1. Exchange during d1 and during the recovery is thus included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.buildup import Buildup
from labctl.analysis.exchange import mixing_matrix_derivatives
from labctl.analysis.fit import Parameter, Whitener

FloatArray = NDArray[np.float64]

Relaxation = Literal["common", "sources", "differences", "sources and differences", "recovery"]
"""``common``: one R1, full recovery or one T1, all cancels. ``sources``: the sources' polarisations are free.
``differences``: R1 differences between sites are free. ``recovery``: R1 of each site, the recovery curves being
data too."""

Kernel = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""(times (T,), kinetic parameters (B, n), populations (B, K), R1 (B, K)) -> G, shape (B, T, K, K)."""
KernelDerivatives = Callable[
    [FloatArray, FloatArray, FloatArray, FloatArray, FloatArray], tuple[FloatArray, FloatArray, FloatArray, FloatArray]
]
"""(times, kinetic, populations, d populations / d ratios (K, K-1), R1) -> G and dG by kinetic, ratio and R1."""


def exchange_kernel(
    times_s: FloatArray, kinetic: FloatArray, p: FloatArray, dp: FloatArray, R1: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """`KernelDerivatives` of discrete exchange, exact; the kinetic parameters are the fluxes."""
    G, by_flux, by_p, by_R1 = mixing_matrix_derivatives(times_s, p, kinetic, R1)
    return G, by_flux, np.einsum("ir,itjk->rtjk", dp, by_p), by_R1


def differenced(kernel: Kernel, *, R1_matters: bool) -> KernelDerivatives:
    """Return a kernel with derivatives by forward differences, all parameter sets solved in one call."""

    def derivatives(
        times_s: FloatArray, kinetic: FloatArray, p: FloatArray, dp: FloatArray, R1: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        n, ratios, relaxing = kinetic.size, dp.shape[1], p.size if R1_matters else 0
        sets = 1 + n + ratios + relaxing
        many_kinetic, many_p, many_R1 = (np.tile(one, (sets, 1)) for one in (kinetic, p, R1))
        steps = np.concatenate(
            [
                1e-6 * kinetic,
                1e-6 * p.min() / np.abs(dp).max(axis=0),
                1e-6 * np.maximum(np.abs(R1[:relaxing]), 1e-3),
            ]
        )
        for index in range(n):
            many_kinetic[1 + index, index] += steps[index]
        for index in range(ratios):
            many_p[1 + n + index] += steps[n + index] * dp[:, index]
        for index in range(relaxing):
            many_R1[1 + n + ratios + index, index] += steps[n + ratios + index]
        G = kernel(times_s, many_kinetic, many_p, many_R1)
        slopes = (G[1:] - G[0]) / steps[:, None, None, None]
        by_R1 = slopes[n + ratios :] if relaxing else np.zeros((p.size, *G.shape[1:]))
        return G[0], slopes[:n], slopes[n : n + ratios], by_R1

    return derivatives


@dataclass(frozen=True, slots=True)
class State:
    """Parameter values by meaning: see `Observation.state`."""

    kinetic: FloatArray
    populations: FloatArray
    R1_per_s: FloatArray
    sources: FloatArray


class Observation:
    """The data of one temperature and what a mixing model predicts for them.

    Parameters
    ----------
    data : Buildup
    kernel : KernelDerivatives
    kinetic : tuple of Parameter
        The model's own parameters.
    populations : ndarray, shape (K,)
        First guess.
    relaxation : str
    """

    def __init__(
        self,
        data: Buildup,
        kernel: KernelDerivatives,
        kinetic: tuple[Parameter, ...],
        populations: FloatArray,
        relaxation: Relaxation,
    ) -> None:
        self.data = data
        self.kernel = kernel
        self.relaxation = relaxation
        self._count = count = len(data.sites)
        self._curves = data.recoveries if relaxation == "recovery" else ()
        ratio = populations[:-1] / populations[-1]
        self.parameters: list[Parameter] = [*kinetic]
        self._kinetic = self._take(len(kinetic), added=True)
        self._ratio = self._add([Parameter(name=f"p ratio {i}", guess=float(ratio[i])) for i in range(count - 1)])
        self._R1 = self._add(self._R1_parameters())
        sources = count - 1 if "sources" in relaxation else 0
        self._sources = self._add(
            [Parameter(name=f"source {i}", guess=1.0, lower=0.05, upper=20) for i in range(sources)]
        )
        self._scale, self._alpha = self._add_recoveries()
        self._lay_out_times()

    def _take(self, count: int, *, added: bool = False) -> slice:
        start = len(self.parameters) - (count if added else 0)
        return slice(start, start + count)

    def _add(self, parameters: list[Parameter]) -> slice:
        place = self._take(len(parameters))
        self.parameters += parameters
        return place

    def _R1_parameters(self) -> list[Parameter]:
        if self.relaxation == "recovery":
            T1 = {curve.site: curve.T1_s for curve in self._curves}
            return [
                Parameter(name=f"R1 {i}", guess=1 / T1[i], lower=1e-3 / T1[i], upper=1e3 / T1[i])
                for i in range(self._count)
            ]
        if "differences" in self.relaxation:
            reach = 3.0 / float(np.median(self.data.tmix_s) or 1.0)
            return [
                Parameter(name=f"R1 {i} - R1 0", guess=0.0, scale="linear", lower=-reach, upper=reach)
                for i in range(1, self._count)
            ]
        return []

    def _add_recoveries(self) -> tuple[slice, slice]:
        scale = [
            Parameter(name=f"M0 {n}", guess=float(np.max(curve.intensities))) for n, curve in enumerate(self._curves)
        ]
        alpha = [
            Parameter(name=f"alpha {n}", guess=1.0, scale="linear", lower=0.3, upper=2.2)
            for n, _ in enumerate(self._curves)
        ]
        return self._add(scale), self._add(alpha)

    def _lay_out_times(self) -> None:
        tmix = self.data.tmix_s
        d1 = [point.recycle_delay_s for point in self.data.points]
        self._saturates = self.relaxation == "recovery" and all(one is not None for one in d1)
        parts = [tmix, np.array(d1, dtype=np.float64) if self._saturates else np.empty(0)]
        parts += [curve.delays_s for curve in self._curves]
        self.times_s, place = np.unique(np.concatenate(parts), return_inverse=True)
        ends = np.cumsum([0, *(part.size for part in parts)])
        self._at_tmix, self._at_d1, *self._at_delay = (place[a:b] for a, b in pairwise(ends))

    # ------------------------------------------------------------------------------------------ data

    def measured(self) -> tuple[FloatArray, Whitener]:
        """Return all data as one vector and the whitener of their noise."""
        values, whitener = self.data.normalised()
        parts = [whitener]
        for curve in self._curves:
            values = np.concatenate([values, curve.intensities])
            parts.append(Whitener(np.diag(1 / curve.intensity_se), np.diag(curve.intensity_se)))
        return values, Whitener.stacked(parts)

    @property
    def size(self) -> int:
        """How many numbers `measured` and `predict` return."""
        count = len(self.data.sites)
        return len(self.data.points) * count * count + sum(curve.delays_s.size for curve in self._curves)

    # ----------------------------------------------------------------------------------------- model

    def state(self, value: FloatArray) -> State:
        """Return natural parameter values sorted by meaning."""
        p, _ = self.populations(value)
        R1 = np.zeros(self._count)
        R1[self._count - len(value[self._R1]) :] = value[self._R1]
        sources = np.ones(self._count)
        sources[: len(value[self._sources])] = value[self._sources]
        return State(value[self._kinetic], p, R1, sources)

    def populations(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return populations, shape (K,), and their derivatives by the ratios fitted, shape (K, K - 1)."""
        weights = np.append(value[self._ratio], 1.0)
        total = weights.sum()
        p = weights / total
        return p, (np.eye(self._count)[:, :-1] - p[:, None]) / total

    def predict(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the prediction of `measured`, shape (N,), and its derivatives, shape (N, P)."""
        state = self.state(value)
        p, dp_ratio = self.populations(value)
        return self.assemble(value, *self.kernel(self.times_s, state.kinetic, p, dp_ratio, state.R1_per_s))

    def assemble(
        self, value: FloatArray, G: FloatArray, by_kinetic: FloatArray, by_ratio: FloatArray, by_R1: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return `predict` from a kernel's answer at `times_s`, for those who solve many temperatures at once."""
        state = self.state(value)
        p, dp_ratio = self.populations(value)
        P = value.size
        dG = np.zeros((P, *G.shape))
        dG[self._kinetic], dG[self._ratio] = by_kinetic, by_ratio
        dG[self._R1] = by_R1[self._count - (self._R1.stop - self._R1.start) :]
        dp = np.zeros((P, self._count))
        dp[self._ratio] = dp_ratio.T
        matrices, d_matrices = self._matrices(state, G, dG, p, dp)
        parts, gradients = [matrices.ravel()], [d_matrices.reshape(P, -1)]
        for n in range(len(self._curves)):
            curve, gradient = self._recovery(n, value, G, dG, p, dp)
            parts.append(curve)
            gradients.append(gradient)
        return np.concatenate(parts), np.concatenate(gradients, axis=1).T

    def _matrices(
        self, state: State, G: FloatArray, dG: FloatArray, p: FloatArray, dp: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        mixed, d_mixed = G[self._at_tmix], dG[:, self._at_tmix]
        start = np.broadcast_to(state.sources, (len(self._at_tmix), self._count)).copy()
        d_start = np.zeros((len(dG), *start.shape))
        for i, row in enumerate(range(self._sources.start, self._sources.stop)):
            d_start[row, :, i] = 1.0
        if self._saturates:
            lost = G[self._at_d1].sum(axis=2) / p
            start = start * (1 - lost)
            d_start -= dG[:, self._at_d1].sum(axis=3) / p - lost * (dp / p)[:, None, :]
        raw = start[:, :, None] * mixed
        d_raw = d_start[..., None] * mixed + start[:, :, None] * d_mixed
        total = raw.sum(axis=(1, 2), keepdims=True)
        a = raw / total
        return a, (d_raw - a * d_raw.sum(axis=(2, 3), keepdims=True)) / total

    def _recovery(
        self, n: int, value: FloatArray, G: FloatArray, dG: FloatArray, p: FloatArray, dp: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        curve, at = self._curves[n], self._at_delay[n]
        i, M0 = curve.site, value[self._scale][n]
        # every site was saturated by its own alpha; sites with several curves lend the first
        owner = [next(m for m, one in enumerate(self._curves) if one.site == j) for j in range(self._count)]
        owner[i] = n
        alpha = value[self._alpha][owner]
        lost = G[at, i, :] @ alpha / p[i]
        shape = 1 - lost
        gradient = -(dG[:, at, i, :] @ alpha) / p[i] + lost * (dp[:, i] / p[i])[:, None]
        for j, m in enumerate(owner):
            gradient[self._alpha.start + m] -= G[at, i, j] / p[i]
        gradient *= M0
        gradient[self._scale.start + n] += shape
        return M0 * shape, gradient

    def curve(self, value: FloatArray, times_s: FloatArray) -> FloatArray:
        """Return the model's normalised matrices at other mixing times, shape (T, K, K), symmetric (full recovery)."""
        state = self.state(value)
        p, dp = self.populations(value)
        G = self.kernel(times_s, state.kinetic, p, dp, state.R1_per_s)[0]
        return np.asarray(G / G.sum(axis=(1, 2), keepdims=True))
