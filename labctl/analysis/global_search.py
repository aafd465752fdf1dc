"""Layered diffusion for a whole campaign: where to start, and which diffusivities the data bound from one side only.

Three phases in a chain leave the fastest unidentifiable: beyond some kD it mixes at once, and a free fit crawls along
a flat valley. So the search begins where each phase in turn is that fast, takes the best, and walks its kD down; only
if chi2 then falls by more than a one-sided 95 % does the phase get a diffusivity of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.buildup import Buildup
from labctl.analysis.diffusion import Geometry
from labctl.analysis.exchange import pairs
from labctl.analysis.global_kernels import DiscreteKernels, Kernels, LayeredKernels, Rate
from labctl.analysis.global_model import CONTACT_FRACTION, GlobalModel
from labctl.analysis.global_problem import ONE_SIDED_95, Problem, Solution
from labctl.analysis.observation import Relaxation
from labctl.analysis.temperature import TemperatureFits

FloatArray = NDArray[np.float64]

Family = Literal["layered", "interface", "exchange"]
"""``layered``: diffusion; ``interface``: neighbours exchange, phases mixed within; ``exchange``: all pairs do."""

TYPICAL_EA_EV = 0.12
GRID_POINTS = 9
RESOLVED = 2.0
"""A value below this many standard errors is not resolved from zero."""
DETERMINED = 0.5
"""A rate whose standard error is a larger part of it might be at a limit."""
CLEARLY_MISFITS = 3.0
"""Chi2_red with the best phase infinitely fast from which no phase is taken to be that fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """One picture of the sample: sites from the innermost layer outwards, their geometry, contacts."""

    family: Family
    order: tuple[int, ...]
    geometry: Geometry = "sphere"
    contact: bool = False
    one_D: bool = False

    @property
    def diffusivities(self) -> int:
        """How many there are."""
        return 1 if self.one_D else len(self.order)

    def kernels(self, densities: FloatArray, times_s: Sequence[FloatArray], *, R1_matters: bool = True) -> Kernels:
        """Return the model for the times of each temperature; `densities` by site."""
        if self.family == "layered":
            return LayeredKernels(
                times_s,
                order=self.order,
                densities=densities[list(self.order)],
                geometry=self.geometry,
                contact=self.contact,
                one_D=self.one_D,
                R1_matters=R1_matters,
            )
        chain = list(zip(self.order, self.order[1:], strict=False)) if self.family == "interface" else None
        return DiscreteKernels(times_s, sites=len(self.order), links=chain)

    @property
    def name(self) -> str:
        """A few words for tables."""
        if self.family == "layered":
            return f"layered {self.geometry}{', resisting contact' if self.contact else ''}"
        return "interface-limited" if self.family == "interface" else "exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A rate that the data bound from one side: the bound at the reference temperature [1/s], 95 %."""

    side: Literal["lower", "upper"]
    value_per_s: float | None
    Ea_held_eV: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A fitted hypothesis.

    Attributes
    ----------
    bounds : mapping of rate name to Bound
        Rates held at a limit in `solution`.
    as_fast : tuple of str
        Other rates that could be the fast one instead, at no significant cost.
    at_bound : mapping of rate name to Solution
        `solution` with one of these at its bound instead of its limit. The covariance of `solution` holds these
        excursions, taken as one-sided 95 %, beside the noise: what is held must not make the others look certain.
    """

    hypothesis: Hypothesis
    problem: Problem
    solution: Solution
    bounds: Mapping[str, Bound] = field(default_factory=dict)
    as_fast: tuple[str, ...] = ()
    at_bound: Mapping[str, Solution] = field(default_factory=dict)

    @property
    def rates(self) -> tuple[Rate, ...]:
        """Kinetic rates of the model."""
        return self.problem.model.rates

    def resolved(self, kind: str = "kD") -> list[Rate]:
        """Return the rates of a kind that are fitted and not held at a limit."""
        return [rate for rate in self.rates if rate.kind == kind and rate.name not in self.bounds]

    def determined(self, kind: str = "kD") -> list[Rate]:
        """Return those of `resolved` that differ from zero by more than `RESOLVED` standard errors."""
        return [
            rate
            for rate in self.resolved(kind)
            if self.problem.at(self.solution, rate.name) >= RESOLVED * self.problem.error(self.solution, rate.name)
        ]

    def Ea(self, name: str) -> tuple[float, float]:
        """Return the activation energy of a rate and its standard error [eV]."""
        return self.problem.at(self.solution, f"Ea {name}"), self.problem.error(self.solution, f"Ea {name}")


class Search:
    """Fits of hypotheses to the temperatures of a campaign.

    Parameters
    ----------
    groups : sequence of TemperatureFits
        With known temperatures and exchange fits, from which guesses are taken.
    densities : ndarray, shape (K,)
        Relative, by site.
    relaxation : sequence of str
        For each temperature.
    contact_fraction : float or None
        Held at this value; None: fitted.
    """

    def __init__(
        self,
        groups: Sequence[TemperatureFits],
        *,
        densities: FloatArray,
        relaxation: Sequence[Relaxation],
        contact_fraction: float | None = 1.0,
    ) -> None:
        self.groups = groups
        self.densities = densities
        self.relaxation = relaxation
        self.contact_fraction = contact_fraction
        self.data = [_smoothly_weighted(group) for group in groups]
        self.T_K = np.array([group.data.T_K for group in groups], dtype=np.float64)
        self.T_ref_K = float(1 / np.mean(1 / self.T_K))
        states = [group.exchange.state for group in groups if group.exchange is not None]
        self.states = states
        self.populations = np.mean([state.populations for state in states], axis=0)
        self.populations /= self.populations.sum()
        tmix = np.concatenate([group.data.tmix_s for group in groups])
        self.tmix_s = tmix[tmix > 0]

    @property
    def always_held(self) -> dict[str, float]:
        """What every fit holds."""
        return {} if self.contact_fraction is None else {CONTACT_FRACTION: self.contact_fraction}

    def partly_in_contact(self, found: Found) -> Found:
        """Return the same hypothesis with the contact fraction free, bounds kept."""
        held = {name: value for name, value in found.solution.held.items() if name != CONTACT_FRACTION}
        start = found.solution.value.copy()
        start[found.problem.index[CONTACT_FRACTION]] = 0.95
        return replace(found, solution=found.problem.solve(held, start, tolerance=1e-6))

    def with_relaxation(self, modes: Sequence[Relaxation]) -> Search:
        """Return the same search with another treatment of relaxation."""
        return Search(self.groups, densities=self.densities, relaxation=modes, contact_fraction=self.contact_fraction)

    def with_contact_fraction(self, value: float | None) -> Search:
        """Return the same search with another treatment of the part in contact."""
        return Search(self.groups, densities=self.densities, relaxation=self.relaxation, contact_fraction=value)

    def problem(self, hypothesis: Hypothesis, guess: FloatArray, Ea_eV: FloatArray | None) -> Problem:
        """Return a hypothesis with the data; `Ea_eV` None leaves rates free at each temperature."""
        nuisance = [
            dict(zip(group.exchange.fit.names, group.exchange.fit.value.tolist(), strict=True))
            if group.exchange is not None and group.exchange.relaxation == mode
            else {}
            for group, mode in zip(self.groups, self.relaxation, strict=True)
        ]
        return Problem(
            GlobalModel(
                self.data,
                partial(hypothesis.kernels, self.densities, R1_matters=not {*self.relaxation} <= {"common", "sources"}),
                self.relaxation,
                populations=self.populations,
                guess=guess,
                Ea_eV=Ea_eV,
                T_ref_K=self.T_ref_K,
                nuisance=nuisance,
            )
        )

    # ------------------------------------------------------------------------------------------ discrete

    def discrete(self, hypothesis: Hypothesis) -> Found:
        """Fit discrete exchange, with guesses from the fits of each temperature."""
        kernels = hypothesis.kernels(self.densities, [np.array([1.0])])
        every = pairs(self.populations.size)
        where = [every.index((rate.sites[0], rate.sites[1])) for rate in kernels.rates]
        floor = 1e-3 * np.outer(self.populations, self.populations)[tuple(zip(*every, strict=True))]
        logs = np.log([np.maximum(state.kinetic, floor / self.tmix_s.max())[where] for state in self.states])
        guess = np.exp(logs.mean(axis=0))
        problem = self.problem(hypothesis, guess, np.full(guess.size, TYPICAL_EA_EV))
        return Found(hypothesis=hypothesis, problem=problem, solution=problem.solve(self.always_held, tolerance=1e-6))

    # ------------------------------------------------------------------------------------------- layered

    def layered(self, hypothesis: Hypothesis) -> Found:
        """Fit perfect contact: the fastest phase found and bounded, or resolved."""
        count = hypothesis.diffusivities
        problem = self.problem(hypothesis, np.ones(count), np.full(count, TYPICAL_EA_EV))
        anywhere, starts = self._starts(hypothesis)
        if hypothesis.one_D:
            alone = np.array([one.guess for one in problem.model.parameters])
            alone[:count] = anywhere
            only = problem.solve(self.always_held, alone, tolerance=1e-6)
            return self._widened(self.ends(Found(hypothesis=hypothesis, problem=problem, solution=only)))
        fast = [self._with_one_fast(problem, place, kD) for place, kD in enumerate(starts)]
        place = min(range(count), key=lambda place: fast[place].chi2)
        best = fast[place] = problem.solve(fast[place].held, fast[place].value, tolerance=1e-7)
        if best.fit.chi2_red > CLEARLY_MISFITS:
            start = best.value.copy()
            start[:count] = anywhere
            start[count : 2 * count] = TYPICAL_EA_EV
            free = problem.solve(self.always_held, start, tolerance=1e-6)
            if free.chi2 < best.chi2 - 10 * ONE_SIDED_95 * free.scale:
                return self._widened(self.ends(Found(hypothesis=hypothesis, problem=problem, solution=free)))
        name = problem.model.rates[place].name
        reach = best.chi2 + ONE_SIDED_95 * best.scale
        as_fast = tuple(
            rate.name
            for rate, one in zip(problem.model.rates, fast, strict=True)
            if rate.name != name and one.chi2 < reach
        )
        found = self._bounded(hypothesis, problem, best, name)
        return self._widened(self.ends(replace(found, as_fast=as_fast if found.bounds else ())))

    def roughly(self, hypothesis: Hypothesis) -> float:
        """Return about the least chi2 of a hypothesis, for choosing between many."""
        count = hypothesis.diffusivities
        problem = self.problem(hypothesis, np.ones(count), np.full(count, TYPICAL_EA_EV))
        start = np.array([one.guess for one in problem.model.parameters])
        start[:count] = self._starts(hypothesis)[0]
        return problem.solve(self.always_held, start, tolerance=1e-3).chi2

    def _bounded(self, hypothesis: Hypothesis, problem: Problem, best: Solution, name: str) -> Found:
        """Walk the fast rate down: a bound if that costs before it pays, else a fit with this rate free."""
        others = [rate.name for rate in problem.model.rates if rate.name != name and rate.name not in best.held]
        Ea = float(np.mean([problem.at(best, f"Ea {other}") for other in others])) if others else TYPICAL_EA_EV
        value = best.value.copy()
        value[problem.index[f"Ea {name}"]] = Ea
        best = replace(best, value=value, held={**best.held, f"Ea {name}": Ea})
        lowest, bound = problem.walk(best, name, down=True)
        if best.chi2 <= lowest.chi2 + ONE_SIDED_95 * lowest.scale:
            bounds = {name: Bound(side="lower", value_per_s=bound, Ea_held_eV=Ea)}
            return Found(hypothesis=hypothesis, problem=problem, solution=best, bounds=bounds)
        held = {key: value for key, value in best.held.items() if key not in {name, f"Ea {name}"}}
        return Found(hypothesis=hypothesis, problem=problem, solution=problem.solve(held, lowest.value))

    def ends(self, found: Found) -> Found:
        """Hold what might as well be infinitely fast, or stand still, and read its bound.

        With perfect contact at least one diffusivity limits the exchange; where contacts resist, none need do so.
        """
        for rate in found.resolved():
            k, se = found.problem.at(found.solution, rate.name), found.problem.error(found.solution, rate.name)
            se /= np.sqrt(found.solution.scale)
            alone = len(found.resolved()) == 1 and not (found.hypothesis.contact or found.hypothesis.one_D)
            if se >= DETERMINED * k and not alone:
                found = self._at_end(self._at_end(found, rate.name, "lower"), rate.name, "upper")
        if found.determined() or found.determined("contact"):
            return found
        # With no exchange at all one phase that stands still leaves the others any diffusivity.
        still = {
            name: replace(bound, value_per_s=None) if bound.side == "upper" else bound
            for name, bound in found.bounds.items()
        }
        return replace(found, bounds=still)

    def _widened(self, found: Found) -> Found:
        """Add to the covariance how far everything moves when a bounded rate goes to its bound."""
        solution, at_bound = found.solution, {}
        covariance = solution.covariance.copy()
        for name, bound in found.bounds.items():
            if bound.value_per_s is None:
                continue
            held = {**solution.held, name: bound.value_per_s}
            at_bound[name] = found.problem.solve(held, solution.value, tolerance=1e-6)
            moved = at_bound[name].value - solution.value
            moved[[found.problem.index[one] for one in solution.held]] = 0.0
            covariance += np.outer(moved, moved) / ONE_SIDED_95
        return replace(found, solution=replace(solution, covariance=covariance), at_bound=at_bound)

    def _at_end(self, found: Found, name: str, side: Literal["lower", "upper"]) -> Found:
        """Hold one rate at its fast end (a lower bound follows) or its slow one, if that costs nothing significant."""
        if name in found.bounds:
            return found
        problem, best = found.problem, found.solution
        slow, fast = np.exp(problem.model.parameters[problem.index[name]].bounds())
        Ea = float(np.clip(problem.at(best, f"Ea {name}"), 0.0, 2 * TYPICAL_EA_EV))
        held = {**best.held, name: float(fast if side == "lower" else slow), f"Ea {name}": Ea}
        there = problem.solve(held, best.value)
        if there.chi2 > best.chi2 + ONE_SIDED_95 * best.scale:
            return found
        lowest, bound = problem.walk(there, name, down=side == "lower")
        if there.chi2 > lowest.chi2 + ONE_SIDED_95 * lowest.scale:
            return found
        bounds = {**found.bounds, name: Bound(side=side, value_per_s=bound, Ea_held_eV=Ea)}
        return replace(found, solution=there, bounds=bounds)

    def _with_one_fast(self, problem: Problem, place: int, kD: FloatArray) -> Solution:
        name = problem.model.rates[place].name
        start = np.array([one.guess for one in problem.model.parameters])
        start[: kD.size] = kD
        fastest = float(np.exp(problem.model.parameters[problem.index[name]].bounds()[1]))
        return problem.solve({**self.always_held, name: fastest, f"Ea {name}": 0.0}, start, tolerance=1e-3)

    def _starts(self, hypothesis: Hypothesis) -> tuple[FloatArray, list[FloatArray]]:
        """Return the best kD on a grid at the middle temperature: of all, and with each layer in turn the fast one."""
        middle = int(np.argmin(np.abs(1 / self.T_K - 1 / self.T_ref_K)))
        data, state = self.groups[middle].data, self.states[middle]
        count, own = len(hypothesis.order), hypothesis.diffusivities
        tmix = data.tmix_s
        grid = np.geomspace(1e-4 / float(self.tmix_s.max()), 10 / float(self.tmix_s.min()), GRID_POINTS)
        kD = np.stack(np.meshgrid(*[grid] * own, indexing="ij"), axis=-1).reshape(-1, own)
        kernels = hypothesis.kernels(self.densities, [tmix])
        assert isinstance(kernels, LayeredKernels)
        sets = len(kD)
        R1 = state.R1_per_s - state.R1_per_s.min()
        G = kernels.solve(kD, np.tile(self.populations, (sets, 1)), np.tile(R1, (sets, 1)), sets)[0]
        G = G / G.sum(axis=(2, 3), keepdims=True)
        chi2 = np.zeros(sets)
        for i, j in pairs(count):
            cross, se = data.cross(i, j)
            chi2 += (((G[:, :, i, j] - cross) / se) ** 2).sum(axis=1)
        starts = []
        for place in range(own):
            fast = kD[:, place] == grid[-1]
            starts.append(kD[fast][int(np.argmin(chi2[fast]))])
        return kD[int(np.argmin(chi2))], starts

    # --------------------------------------------------------------------------------- resisting contact

    def resisting(self, perfect: Found) -> Found:
        """Fit interfaces that resist, beginning with the one that matters most; others stay perfect if they can."""
        hypothesis = replace(perfect.hypothesis, contact=True)
        old = perfect.problem.model.parameters
        count = len(hypothesis.order)
        rates = hypothesis.diffusivities + count - 1
        top = 1e2 / float(self.tmix_s.min())
        moderate = float(np.clip(3 / np.median(self.tmix_s), 1e-3, top / 10))
        problem = self.problem(hypothesis, np.full(rates, moderate), np.full(rates, TYPICAL_EA_EV))
        start = np.array([one.guess for one in problem.model.parameters])
        for place, one in enumerate(old):
            start[problem.index[one.name]] = perfect.solution.value[place]
        names = [rate.name for rate in problem.model.rates if rate.kind == "contact"]
        perfect_faces = {key: value for name in names for key, value in ((name, top), (f"Ea {name}", 0.0))}
        held = {**perfect.solution.held, **perfect_faces}
        best: Solution | None = None
        for name in names:
            free = {key: value for key, value in held.items() if key not in {name, f"Ea {name}"}}
            found = problem.solve(free, start, tolerance=1e-6)
            if best is None or found.chi2 < best.chi2:
                best = found
        assert best is not None
        bounds = dict(perfect.bounds)
        bounds |= {name: Bound(side="lower", value_per_s=None, Ea_held_eV=0.0) for name in names if name in best.held}
        found_at = Found(hypothesis=hypothesis, problem=problem, solution=best, bounds=bounds)
        return self._widened(self.ends(found_at))

    # ------------------------------------------------------------------------------------- unconstrained

    def unconstrained(self, found: Found) -> Found:
        """Free every resolved rate at each temperature; plateau, contact fraction and bounds stay shared."""
        model = found.problem.model
        kinetic = model.kinetic(found.solution.value)
        problem = self.problem(found.hypothesis, kinetic.T, None)
        start = np.array([one.guess for one in problem.model.parameters])
        for place, one in enumerate(model.parameters):
            if one.name in problem.index:
                start[problem.index[one.name]] = found.solution.value[place]
        held = dict(self.always_held)
        for place, rate in enumerate(model.rates):
            if rate.name in found.solution.held:
                held |= {f"{rate.name} at {T:.3f}": float(k) for T, k in zip(self.T_K, kinetic[:, place], strict=True)}
        return Found(
            hypothesis=found.hypothesis,
            problem=problem,
            solution=problem.solve(held, start, tolerance=1e-6),
            bounds=found.bounds,
        )


def _smoothly_weighted(group: TemperatureFits) -> Buildup:
    """The data of one temperature, weighted by what the exchange fit says where that fits, not by their own noise."""
    found, data = group.exchange, group.data
    if found is None or found.fit.inflated:
        return data
    count = len(data.sites)
    smooth = found.fit.prediction[: len(data.points) * count * count].reshape(-1, count, count)
    points = tuple(replace(point, reference=A) for point, A in zip(data.points, smooth, strict=True))
    return replace(data, points=points)
