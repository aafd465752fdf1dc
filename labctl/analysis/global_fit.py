"""The global fit of a campaign: one likelihood over all temperatures, mixing times, peaks and T1 recoveries.

Layered diffusion in every geometry, interfaces that resist, discrete and interface-limited exchange compete on
the same data; rates follow Arrhenius laws, plateau and contact are shared by all temperatures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from labctl.analysis.diffusion import Geometry
from labctl.analysis.exchange import pairs
from labctl.analysis.fit import Fit
from labctl.analysis.global_problem import ONE_SIDED_95, TWO_SIDED_95
from labctl.analysis.global_search import Found, Hypothesis, Search
from labctl.analysis.kinetics import DECISIVE_AICC, scaled_aicc
from labctl.analysis.observation import Relaxation
from labctl.analysis.structure import Structure
from labctl.analysis.temperature import TemperatureFits

FloatArray = NDArray[np.float64]

GEOMETRIES: tuple[Geometry, ...] = ("sphere", "slab")
MOST_UNORDERED = 3
"""With more sites the layers must be named: too many orders to try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignFit:
    """What was found of a campaign.

    Attributes
    ----------
    main : Found
        The layered fit to report.
    others : tuple of Found
        The same in other geometries.
    rivals : mapping of name to Found
        All models of the same data, `main` included, for comparison.
    separate : Found or None
        Every temperature with its own rates.
    intervals : mapping of rate name to (low, high)
        Profile-likelihood intervals (95 %) of the resolved activation energies.
    partial : Found or None
        `main` with the contact fraction free, where `main` has it fixed.
    order_given : bool
    """

    groups: Sequence[TemperatureFits]
    structure: Structure
    main: Found
    others: tuple[Found, ...]
    rivals: Mapping[str, Found]
    separate: Found | None
    intervals: Mapping[str, tuple[float | None, float | None]]
    partial: Found | None = None
    order_given: bool = True
    samples: FloatArray | None = None

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites."""
        return self.groups[0].data.sites

    def straightness(self) -> tuple[float, int, float] | None:
        """Return the drop of chi2 without Arrhenius laws, the parameters that took, and the chance of such a drop."""
        extra = len(self.main.resolved()) * (len(self.groups) - 2)
        if self.separate is None or extra < 1:
            return None
        drop = max(0.0, self.main.solution.chi2 - self.separate.solution.chi2)
        return drop, extra, float(gammaincc(extra / 2, drop / self.main.solution.scale / 2))


def fit_campaign(groups: Sequence[TemperatureFits], structure: Structure) -> CampaignFit | None:
    """Return the global fit, or None where there is none to make: one temperature, or layers in no known order.

    Parameters
    ----------
    groups : sequence of TemperatureFits
        With their exchange fits, from which guesses come.
    """
    known = [one for one in groups if one.data.T_K is not None and one.exchange is not None]
    if len(known) < 2 or not all((one.data.tmix_s > 0).any() for one in known):
        return None
    sites = known[0].data.sites
    densities = np.array([structure.density_per_nm3.get(site, np.nan) for site in sites])
    densities = np.ones(len(sites)) if np.isnan(densities).any() else densities / densities.mean()
    search = Search(
        known,
        densities=densities,
        relaxation=["recovery" if one.data.has_T1 else "common" for one in known],
        contact_fraction=None if structure.contact_fraction == "free" else 1.0,
    )
    exchange = search.discrete(Hypothesis(family="exchange", order=tuple(range(len(sites)))))
    if exchange.solution.fit.dof < 1:
        return None
    given = set(structure.layers) == set(sites)
    orders = [tuple(sites.index(site) for site in structure.layers)] if given else _orders(exchange, len(sites))
    if not orders:
        return None
    pictures = [
        Hypothesis(family="layered", order=order, one_D=structure.diffusivity == "one", geometry=geometry)
        for order in orders
        for geometry in GEOMETRIES
    ]
    if given:
        order = orders[0]
    else:  # the way round that fits better with its best phase taken as infinitely fast
        geometry = structure.geometry or GEOMETRIES[0]
        order = min((one for one in pictures if one.geometry == geometry), key=search.roughly).order
    hypotheses = [one for one in pictures if one.order == order]
    first = search
    search, layered, partial = _with_relaxation_and_contact(search, hypotheses, structure)
    stated = [one for one in layered if structure.geometry in {None, one.hypothesis.geometry}]
    main = stated[0]
    for one in stated[1:]:  # in the order of GEOMETRIES: what fits no worse does not replace the usual one
        if one.solution.fit.aicc < main.solution.fit.aicc - DECISIVE_AICC * max(1.0, main.solution.scale):
            main = one
    others = tuple(one for one in layered if one is not main)
    rivals = {one.hypothesis.name: one for one in (main, *others)}
    rivals["exchange"] = exchange if search is first else search.discrete(exchange.hypothesis)
    if len(sites) > 2:
        chain = search.discrete(Hypothesis(family="interface", order=main.hypothesis.order))
        rivals[chain.hypothesis.name] = chain
    resisting = search.resisting(main)
    rivals[resisting.hypothesis.name] = resisting
    if _aicc(resisting, rivals) < _aicc(main, rivals) - DECISIVE_AICC:
        main, partial = resisting, None
    intervals = {
        rate.name: _interval(main, rate.name) for rate in [*main.determined("kD"), *main.determined("contact")]
    }
    return CampaignFit(
        groups=known,
        structure=structure,
        main=main,
        others=others,
        rivals=rivals,
        separate=search.unconstrained(main),
        intervals=intervals,
        partial=partial,
        order_given=given,
        samples=_bootstrap(main, structure.bootstrap),
    )


def _orders(exchange: Found, count: int) -> list[tuple[int, ...]]:
    """Orders to try: either way round; of three, the pair that exchanges least is not in contact."""
    if count == 2:
        return [(0, 1), (1, 0)]
    if count > MOST_UNORDERED:
        return []
    p = exchange.problem.model.populations(exchange.solution.value)
    flux = exchange.solution.value[: len(pairs(count))]
    ends = min(range(len(flux)), key=lambda place: flux[place] / np.prod(p[list(pairs(count)[place])]))
    i, j = pairs(count)[ends]
    (middle,) = set(range(count)) - {i, j}
    return [(i, middle, j), (j, middle, i)]


def _with_relaxation_and_contact(
    search: Search, hypotheses: Sequence[Hypothesis], structure: Structure
) -> tuple[Search, list[Found], Found | None]:
    """Fit all; where the data object, free unequal T1 without recovery curves, then the part in contact."""
    layered = [search.layered(one) for one in hypotheses]
    best = min(layered, key=lambda one: one.solution.fit.aicc)
    modes: list[Relaxation] = [one.exchange.relaxation for one in search.groups if one.exchange is not None]
    if best.solution.fit.inflated and modes != list(search.relaxation):
        freer = search.with_relaxation(modes)
        again = [freer.layered(one) for one in hypotheses]
        if min(one.solution.fit.aicc for one in again) < best.solution.fit.aicc - DECISIVE_AICC:
            search, layered = freer, again
            best = min(layered, key=lambda one: one.solution.fit.aicc)
    if structure.contact_fraction != "test":
        return search, layered, None
    partial = search.partly_in_contact(best)
    if partial.solution.fit.aicc < best.solution.fit.aicc - DECISIVE_AICC:
        freer = search.with_contact_fraction(None)
        return freer, [freer.layered(one) for one in hypotheses], None
    return search, layered, partial


def _aicc(found: Found, rivals: Mapping[str, Found]) -> float:
    """AICc with a misfit that all models share taken as noise."""
    return scaled_aicc(found.solution.fit, aicc_scale(rivals))


def aicc_scale(rivals: Mapping[str, Found]) -> float:
    """Return what chi2 is divided by before models are compared."""
    fits: list[Fit] = [one.solution.fit for one in rivals.values()]
    return max(1.0, min(one.chi2_red for one in fits if one.dof > 0))


def _interval(main: Found, name: str) -> tuple[float | None, float | None]:
    """Profile-likelihood interval of an activation energy, widened by what it hangs on bounded rates."""
    name = f"Ea {name}"
    at = main.problem.at(main.solution, name)
    moved = [main.problem.at(one, name) - at for one in main.at_bound.values()]
    wide = TWO_SIDED_95 / ONE_SIDED_95 * float(np.sum(np.square(moved)))
    low, high = main.problem.interval(main.solution, name)
    return (
        None if low is None else at - float(np.hypot(at - low, np.sqrt(wide))),
        None if high is None else at + float(np.hypot(high - at, np.sqrt(wide))),
    )


def _bootstrap(main: Found, count: int) -> FloatArray | None:
    """Resampled parameters, shape (B, P), held ones included."""
    if count < 1:
        return None
    again = main.problem.solve(main.solution.held, main.solution.value, tolerance=1e-6, bootstrap=count)
    assert again.fit.samples is not None
    samples = np.tile(again.value, (count, 1))
    for column, name in enumerate(again.fit.names):
        samples[:, main.problem.index[name]] = again.fit.samples[:, column]
    return samples
