"""Mixing models for all temperatures of a campaign at once: G and its derivatives, one call a step of the fit.

Layered diffusion is solved on one contour for every temperature, every time and every forward difference together
(`labctl.analysis.contour`); discrete exchange has exact derivatives and is solved temperature by temperature.
Either may leave a part 1 - phi of each phase out of contact, ``G = phi G_model + (1 - phi) diag(p exp(-R1 t))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.contour import Contour
from labctl.analysis.diffusion import Geometry, mixing_transform
from labctl.analysis.exchange import pairs
from labctl.analysis.observation import exchange_kernel

FloatArray = NDArray[np.float64]
Answer = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""G, shape (T, K, K), and dG by kinetic parameter (phi last), ratio and R1, as `Observation.assemble` asks for them."""

STEP = 1e-5
"""Relative step of forward differences: rounding on the contour and curvature then both stay below 1e-4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One kinetic parameter of a model: its name, what it is, and the sites it belongs to."""

    name: str
    kind: Literal["kD", "contact", "flux"]
    sites: tuple[int, ...]


class Kernels(Protocol):
    """A mixing model, ready for the times of a campaign."""

    @property
    def rates(self) -> tuple[Rate, ...]:
        """Kinetic parameters, all positive and in 1/s."""
        ...

    def __call__(
        self,
        kinetic: Sequence[FloatArray],
        contact_fraction: float,
        p: FloatArray,
        dp: FloatArray,
        R1: Sequence[FloatArray],
    ) -> list[Answer]:
        """Return one `Answer` for each temperature.

        Parameters
        ----------
        kinetic, R1 : sequence of ndarray, shape (n,) and (K,)
            One for each temperature.
        p, dp : ndarray, shape (K,) and (K, K - 1)
            Populations and their derivatives by the ratios fitted, common to all temperatures.
        """
        ...


class LayeredKernels:
    """Concentric or stacked layers, perfect contact or (``contact``) a resisting interface with a rate of its own.

    Parameters
    ----------
    times_s : sequence of ndarray
        Of each temperature.
    order : sequence of int
        Sites from the innermost layer outwards.
    densities : ndarray, shape (K,)
        Relative Li densities in that order.
    one_D : bool
        Whether all layers share one diffusivity.
    R1_matters : bool
        Whether derivatives by R1 are wanted.
    """

    def __init__(
        self,
        times_s: Sequence[FloatArray],
        *,
        order: Sequence[int],
        densities: FloatArray,
        geometry: Geometry,
        contact: bool = False,
        one_D: bool = False,
        R1_matters: bool = True,
    ) -> None:
        self.times_s = times_s
        self.order = list(order)
        self.densities = densities
        self.geometry: Geometry = geometry
        self.contact = contact
        self.one_D = one_D
        self.R1_matters = R1_matters
        later = np.concatenate([t[t > 0] for t in times_s])
        self._contour = Contour.spanning(float(later.min()), float(later.max()))
        self._weights = [self._contour.weights(t) for t in times_s]
        self._back = np.argsort(self.order)

    @property
    def rates(self) -> tuple[Rate, ...]:
        own = [(tuple(self.order), "kD")] if self.one_D else [((i,), f"kD {i}") for i in self.order]
        kD = [Rate(name=name, kind="kD", sites=sites) for sites, name in own]
        faces = [
            Rate(name=f"j0 {i}-{j}", kind="contact", sites=(i, j))
            for i, j in zip(self.order, self.order[1:], strict=False)
        ]
        return (*kD, *(faces if self.contact else []))

    def __call__(
        self,
        kinetic: Sequence[FloatArray],
        contact_fraction: float,
        p: FloatArray,
        dp: FloatArray,
        R1: Sequence[FloatArray],
    ) -> list[Answer]:
        count, n, ratios = p.size, kinetic[0].size, dp.shape[1]
        relaxing = count if self.R1_matters else 0
        sets = 1 + n + ratios + relaxing
        rates, many_p, many_R1, steps = [], [], [], []
        for kin, R in zip(kinetic, R1, strict=True):
            step = np.concatenate(
                [STEP * kin, STEP * p.min() / np.abs(dp).max(axis=0), STEP * np.maximum(np.abs(R[:relaxing]), 1e-3)]
            )
            k, q, r = (np.tile(one, (sets, 1)) for one in (kin, p, R))
            index = np.arange(n)
            k[1 + index, index] += step[:n]
            q[1 + n : 1 + n + ratios] += step[n : n + ratios, None] * dp.T
            index = np.arange(relaxing)
            r[1 + n + ratios + index, index] += step[n + ratios :]
            rates.append(k)
            many_p.append(q)
            many_R1.append(r)
            steps.append(step)
        G = self.solve(np.concatenate(rates), np.concatenate(many_p), np.concatenate(many_R1), sets)
        answers = []
        for one, q, r, t, step in zip(G, many_p, many_R1, self.times_s, steps, strict=True):
            joined = _part_in_contact(one, contact_fraction, q, r, t)
            slopes = (joined[1:] - joined[0]) / step[:, None, None, None]
            by_phi = (one[0] - _alone(q[:1], r[:1], t)[0])[None]
            by_R1 = slopes[n + ratios :] if relaxing else np.zeros((count, *one.shape[1:]))
            answers.append((joined[0], np.concatenate([slopes[:n], by_phi]), slopes[n : n + ratios], by_R1))
        return answers

    def solve(self, kinetic: FloatArray, p: FloatArray, R1: FloatArray, sets: int) -> list[FloatArray]:
        """Return G of each temperature, shape (sets, T, K, K); `sets` parameter sets for each, stacked."""
        order, count = self.order, p.shape[1]
        own = 1 if self.one_D else count
        # Relaxation common to all phases is a factor; taken out, the inversion keeps its relative accuracy.
        common = R1.min(axis=1)
        transform = mixing_transform(
            self._contour.nodes,
            p[:, order],
            np.broadcast_to(kinetic[:, :own], (len(kinetic), count)),
            R1_per_s=(R1 - common[:, None])[:, order],
            contact_per_s=kinetic[:, own:] if self.contact else np.inf,
            densities=self.densities,
            geometry=self.geometry,
        )[:, :, self._back][:, :, :, self._back]
        flat = transform.reshape(len(transform), -1, count * count)
        answers = []
        for index, (t, weights) in enumerate(zip(self.times_s, self._weights, strict=True)):
            here = slice(index * sets, (index + 1) * sets)
            part = flat[here]
            G = (weights.real @ part.real - weights.imag @ part.imag).reshape(sets, t.size, count, count)
            G *= np.exp(-common[here, None] * t)[:, :, None, None]
            if (t <= 0).any():
                G[:, t <= 0] = (p[here, None, :] * np.eye(count))[:, None]
            answers.append(G)
        return answers


class DiscreteKernels:
    """K-site exchange, exact; `links` are the pairs that exchange directly (all of them, or a chain)."""

    def __init__(
        self, times_s: Sequence[FloatArray], *, sites: int, links: Sequence[tuple[int, int]] | None = None
    ) -> None:
        self.times_s = times_s
        self._all = pairs(sites)
        self.links = self._all if links is None else [(min(pair), max(pair)) for pair in links]
        self._places = [self._all.index(pair) for pair in self.links]

    @property
    def rates(self) -> tuple[Rate, ...]:
        return tuple(Rate(name=f"F {i}-{j}", kind="flux", sites=(i, j)) for i, j in self.links)

    def __call__(
        self,
        kinetic: Sequence[FloatArray],
        contact_fraction: float,
        p: FloatArray,
        dp: FloatArray,
        R1: Sequence[FloatArray],
    ) -> list[Answer]:
        answers = []
        for t, kin, R in zip(self.times_s, kinetic, R1, strict=True):
            fluxes = np.zeros(len(self._all))
            fluxes[self._places] = kin
            G, by_flux, by_ratio, by_R1 = exchange_kernel(t, fluxes, p, dp, R)
            alone = _alone(p[None], R[None], t)[0]
            rest = 1 - contact_fraction
            own = np.eye(p.size) * np.exp(-np.multiply.outer(t, R))[:, None, :]  # dp_i goes to its own diagonal
            by_ratio = contact_fraction * by_ratio + rest * dp.T[:, None, :, None] * own
            late = np.zeros_like(by_R1)
            for i in range(p.size):
                late[i, :, i, i] = -t * alone[:, i, i]
            by_kinetic = np.concatenate([contact_fraction * by_flux[self._places], (G - alone)[None]])
            answers.append(
                (contact_fraction * G + rest * alone, by_kinetic, by_ratio, contact_fraction * by_R1 + rest * late)
            )
        return answers


def _alone(p: FloatArray, R1: FloatArray, t: FloatArray) -> FloatArray:
    """Sites out of contact, shape (B, T, K, K)."""
    decay = p[:, None, :] * np.exp(-t[None, :, None] * R1[:, None, :])
    return np.asarray(decay[..., None] * np.eye(p.shape[1]))


def _part_in_contact(
    G: FloatArray, contact_fraction: float, p: FloatArray, R1: FloatArray, t: FloatArray
) -> FloatArray:
    if contact_fraction == 1.0:
        return G
    return np.asarray(contact_fraction * G + (1 - contact_fraction) * _alone(p, R1, t))
