"""Campaigns of layered phases as the fits see them: matrices with a covariance, recovery curves, fits of each T."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.buildup import Buildup, MixingPoint, RecoveryCurve
from labctl.analysis.diffusion import Geometry, mixing_matrix
from labctl.analysis.kinetics import fit_exchange
from labctl.analysis.temperature import TemperatureFits

FloatArray = NDArray[np.float64]

KB_EV_PER_K = 8.617333262e-5
T_REF_K = 293.15


@dataclass(frozen=True)
class Layers:
    """Phases from the innermost outwards; by default a Li2S core coated with LiI in Li6PS5Cl."""

    sites: tuple[str, ...] = ("Li2S", "LiI", "LPSC")
    p: tuple[float, ...] = (0.458977, 0.076498, 0.464525)
    kD_per_s: tuple[float, ...] = (0.003, 0.010, 1.0)
    Ea_eV: tuple[float, ...] = (0.142, 0.107, 0.117)
    density: tuple[float, ...] = (43.5, 18.3, 22.1)
    geometry: Geometry = "sphere"
    contact_per_s: float = np.inf
    in_contact: float = 1.0
    T1_s: float = 16.7

    def kD(self, T_K: float) -> FloatArray:
        """Return D/d^2 of each layer [1/s]."""
        return np.array(self.kD_per_s) * np.exp(-np.array(self.Ea_eV) / KB_EV_PER_K * (1 / T_K - 1 / T_REF_K))

    def R1(self, T_K: float) -> float:
        """Return 1/T1 of every phase [1/s]."""
        return float(np.exp(-0.09 / KB_EV_PER_K * (1 / T_K - 1 / T_REF_K)) / self.T1_s)

    def matrices(self, T_K: float, times_s: FloatArray) -> FloatArray:
        """Return the recovered sample's A, shape (T, K, K), relaxation included."""
        p, R1 = np.array(self.p), self.R1(T_K)
        G = mixing_matrix(
            times_s,
            p,
            self.kD(T_K),
            R1_per_s=R1,
            contact_per_s=self.contact_per_s,
            densities=np.array(self.density),
            geometry=self.geometry,
        )
        alone = np.diag(p) * np.exp(-R1 * times_s)[:, None, None]
        return np.asarray(self.in_contact * G + (1 - self.in_contact) * alone)


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    T_K: tuple[float, ...] = (293.15, 313.15, 333.15, 353.15, 373.15)
    tmix_s: tuple[float, ...] = (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
    noise: float = 0.005
    times_T1: float = 3.0
    recoveries: bool = True
    delays_s: FloatArray = field(default_factory=lambda: np.geomspace(0.05, 100.0, 10))


def measure(
    truth: Layers,
    plan: Plan,
    seed: int | None,
    order: tuple[int, ...] | None = None,
    *,
    matrices: Callable[[float, FloatArray], FloatArray] | None = None,
) -> list[TemperatureFits]:
    """Return every temperature with its exchange fit; `seed` None: without noise, errors as if there were any.

    `order` lists the layers in the order of the sites; `matrices` replaces the truth's own.
    """
    rng = np.random.default_rng(seed)
    noise = 0.0 if seed is None else plan.noise
    places = list(order or range(len(truth.sites)))
    p = np.array(truth.p)[places]
    count = p.size
    groups = []
    for T_K in plan.T_K:
        d1_s = plan.times_T1 / truth.R1(T_K)
        times_s = np.concatenate([plan.tmix_s, [d1_s], plan.delays_s])
        G = (matrices or truth.matrices)(T_K, times_s)[:, places][:, :, places]
        tmix = len(plan.tmix_s)
        start = 1 - G[tmix].sum(axis=1) / p
        points = tuple(
            MixingPoint(
                tmix_s=t,
                A=start[:, None] * A + noise * rng.standard_normal((count, count)),
                covariance=plan.noise**2 * np.eye(count * count),
                recycle_delay_s=d1_s,
                dataset=f"{T_K:.0f} K, {t:g} s",
            )
            for t, A in zip(plan.tmix_s, G[:tmix], strict=True)
        )
        curves = tuple(
            RecoveryCurve(
                site=i,
                delays_s=plan.delays_s,
                intensities=p[i] - G[tmix + 1 :, i].sum(axis=1) + noise * rng.standard_normal(plan.delays_s.size),
                intensity_se=np.full(plan.delays_s.size, plan.noise),
                T1_s=1 / truth.R1(T_K),
            )
            for i in range(count)
        )
        data = Buildup(
            sites=tuple(truth.sites[i] for i in places),
            T_K=T_K,
            points=points,
            recoveries=curves if plan.recoveries else (),
        )
        groups.append(TemperatureFits(data=data, T_se_K=0.5, exchange=fit_exchange(data)))
    return groups
