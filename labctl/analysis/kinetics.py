"""Fits of mixing models to one temperature: K-site exchange and layered two-phase diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.analysis import diffusion
from labctl.analysis.buildup import Buildup
from labctl.analysis.exchange import pairs, rates
from labctl.analysis.fit import Fit, Parameter, fit, profile_limit
from labctl.analysis.observation import Observation, Relaxation, State, differenced, exchange_kernel

FloatArray = NDArray[np.float64]

DECISIVE_AICC = 6.0
"""A richer model must be better by this much in AICc to be preferred."""

Contact = Literal["equal D", "two D", "equal D, finite contact"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KineticFit:
    """A fitted mixing model with what it was fitted through."""

    fit: Fit
    observation: Observation
    relaxation: Relaxation

    @property
    def state(self) -> State:
        """Fitted parameters by meaning."""
        return self.observation.state(self.fit.value)

    def populations(self) -> tuple[FloatArray, FloatArray]:
        """Return populations and standard errors, shape (K,)."""
        p, C = self.fit.derived(lambda value: self.observation.state(value).populations)
        return p, np.sqrt(np.diag(C))

    def R1(self) -> tuple[FloatArray, FloatArray]:
        """Return R1 of each site (relative to the first, if only differences were fitted) and standard errors."""
        R1, C = self.fit.derived(lambda value: self.observation.state(value).R1_per_s)
        return R1, np.sqrt(np.diag(C))

    def rates(self) -> tuple[FloatArray, FloatArray]:
        """Return k_ij of a discrete-exchange fit and standard errors, shape (K, K)."""

        def k(value: FloatArray) -> FloatArray:
            state = self.observation.state(value)
            return rates(state.populations, state.kinetic).ravel()

        values, C = self.fit.derived(k)
        count = len(self.observation.data.sites)
        return values.reshape(count, count), np.sqrt(np.clip(np.diag(C), 0, None)).reshape(count, count)


def fit_exchange(data: Buildup, *, bootstrap: int = 0, seed: int = 0) -> KineticFit:
    """Fit full K x K exchange to all mixing times of one temperature.

    Relaxation: with a recovery curve of every site, R1 of each site is fitted to matrices and curves together,
    saturation in the recycle delay included. Without, one common R1 cancels; where the data object
    (asymmetry, drifting populations) the sources' polarisations and then R1 differences are freed, each only if
    AICc falls by `DECISIVE_AICC`.
    """
    p, fluxes = data.guess()
    longest = float(data.tmix_s.max())
    kinetic = tuple(
        Parameter(name=f"F {i}-{j}", guess=float(flux), lower=1e-6 * p[i] * p[j] / longest, upper=1e7 / longest)
        for (i, j), flux in zip(pairs(len(p)), fluxes, strict=True)
    )
    modes: Sequence[Relaxation] = (
        ("recovery",) if data.has_T1 else ("common", "sources", "differences", "sources and differences")
    )
    fits: dict[Relaxation, KineticFit] = {}
    for mode in modes:
        observation = Observation(data, exchange_kernel, kinetic, p, mode)
        if len(observation.parameters) < observation.measured()[1].matrix.shape[0] or not fits:
            fits[mode] = _run(observation, bootstrap=0, seed=seed)
    chosen = fits[_simplest_good(fits)]
    return _run(chosen.observation, bootstrap=bootstrap, seed=seed) if bootstrap else chosen


def _simplest_good(fits: dict[Relaxation, KineticFit]) -> Relaxation:
    """Return the mode that no richer one beats by `DECISIVE_AICC`; misfit common to all counts as noise."""
    scale = max(1.0, min(one.fit.chi2_red for one in fits.values() if one.fit.dof > 0) if len(fits) > 1 else 1.0)
    order = sorted(fits, key=lambda mode: fits[mode].fit.n_parameters)
    best = order[0]
    for mode in order[1:]:
        if scaled_aicc(fits[mode].fit, scale) < scaled_aicc(fits[best].fit, scale) - DECISIVE_AICC:
            best = mode
    return best


def scaled_aicc(one: Fit, scale: float) -> float:
    """Return AICc with chi2 divided by `scale`: a misfit that every model shares must not decide between them."""
    return one.aicc - one.chi2 + one.chi2 / scale


@dataclass(frozen=True, slots=True, kw_only=True)
class LayeredShape:
    """One hypothesis about two phases: `core` is the index of the inner one."""

    core: int
    geometry: diffusion.Geometry = "sphere"
    contact: Contact = "equal D"

    def describe(self, sites: Sequence[str]) -> str:
        """Return the geometry in words."""
        inner, outer = sites[self.core], sites[1 - self.core]
        if self.geometry == "slab":
            return f"alternating slabs of {inner} and {outer}, d = half thickness of {inner}"
        return f"concentric sphere, core {inner} (d = its radius), shell {outer}"


def fit_layered(data: Buildup, shape: LayeredShape, start: KineticFit) -> KineticFit:
    """Fit layered two-phase diffusion; populations, relaxation and data as in `start`, a fit of the same data.

    Kinetic parameters: kD = D/d^2 [1/s] (``equal D``), kD of core and shell (``two D``), or kD and the contact
    rate j0/(c d) (``equal D, finite contact``).
    """
    p, relaxation = start.state.populations, start.relaxation
    R1_matters = relaxation == "recovery" or "differences" in relaxation
    kernel = differenced(partial(_two_phase, shape), R1_matters=R1_matters)
    best: KineticFit | None = None
    for guess in _layered_guesses(data, shape, p):
        observation = Observation(data, kernel, _layered_parameters(data, shape, guess), p, relaxation)
        found = _run(observation)
        if best is None or found.fit.chi2 < best.fit.chi2:
            best = found
    assert best is not None
    return best


def one_sided_bound(found: KineticFit, name: str) -> tuple[float, Literal["lower", "upper"]] | None:
    """Return the 95 % limit [1/s] of a diffusivity that the data bound from one side only, and from which; or None."""
    values, whitener = found.observation.measured()
    observation = found.observation
    sides: tuple[Literal["lower"], Literal["upper"]] = ("lower", "upper")
    for side in sides:
        limit = profile_limit(side, found.fit, name, observation.predict, values, whitener, observation.parameters)
        if limit is not None:
            return limit, side
    return None


def _two_phase(
    shape: LayeredShape, times_s: FloatArray, kinetic: FloatArray, p: FloatArray, R1: FloatArray
) -> FloatArray:
    """`Kernel` of two layers, for many parameter sets at once."""
    order = [shape.core, 1 - shape.core]
    kD = kinetic if shape.contact == "two D" else np.repeat(kinetic[:, :1], 2, axis=1)
    contact = kinetic[:, 1:] if shape.contact == "equal D, finite contact" else np.inf
    A = diffusion.mixing_matrix(
        times_s, p[:, order], kD, R1_per_s=R1[:, order], contact_per_s=contact, geometry=shape.geometry
    )
    return np.asarray(A[:, :, order][:, :, :, order])


def _layered_guesses(data: Buildup, shape: LayeredShape, p: FloatArray) -> list[FloatArray]:
    """Return the best single kD on a grid, extended to the shape's parameters."""
    cross, se = data.cross(0, 1)
    tmix = data.tmix_s
    grid = np.geomspace(1e-5, 1e2, 29) / float(np.median(tmix[tmix > 0]) if (tmix > 0).any() else 1.0)
    equal = LayeredShape(core=shape.core, geometry=shape.geometry)
    many = np.ones((grid.size, 1))
    built = _two_phase(equal, tmix, grid[:, None], many * p, many * np.zeros(2))[:, :, 0, 1]
    kD = float(grid[int(np.argmin((((built - cross) / se) ** 2).sum(axis=1)))])
    match shape.contact:
        case "equal D":
            return [np.array([kD])]
        case "two D":
            return [np.array([0.5 * kD, 5 * kD]), np.array([5 * kD, 0.5 * kD])]
        case "equal D, finite contact":
            return [np.array([3 * kD, 3 * kD])]


def _layered_parameters(data: Buildup, shape: LayeredShape, guess: FloatArray) -> tuple[Parameter, ...]:
    names = {
        "equal D": ("kD",),
        "two D": ("kD core", "kD shell"),
        "equal D, finite contact": ("kD", "contact"),
    }[shape.contact]
    tmix = data.tmix_s[data.tmix_s > 0]
    low, high = 1e-7 / float(tmix.max()), 1e4 / float(tmix.min())
    return tuple(
        Parameter(name=name, guess=float(value), lower=low, upper=high)
        for name, value in zip(names, guess, strict=True)
    )


def _run(observation: Observation, *, bootstrap: int = 0, seed: int = 0) -> KineticFit:
    values, whitener = observation.measured()
    found = fit(observation.predict, values, whitener, observation.parameters, bootstrap=bootstrap, seed=seed)
    return KineticFit(fit=found, observation=observation, relaxation=observation.relaxation)
