"""A campaign's global fit as entries of ``results.json``: numbers, intervals, bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.arrhenius import KB_EV_PER_K, fit_arrhenius
from labctl.analysis.global_doubts import (
    assumptions,
    comparison,
    contact_fraction,
    doubts,
    energy_ranges,
    limit_words,
    phases_of,
)
from labctl.analysis.global_fit import CampaignFit
from labctl.analysis.global_kernels import Rate
from labctl.analysis.global_search import RESOLVED, Found
from labctl.analysis.layered_results import (
    Contact,
    GeometryFit,
    GlobalFit,
    KDCurve,
    LayeredFit,
    Phase,
    Straightness,
)
from labctl.analysis.results import Arrhenius, BuildUp

FloatArray = NDArray[np.float64]

CURVE_POINTS = 21
WIDEST_LN = 10.0
"""A kD known to no better than four decades either way is not drawn."""
TWO_SIDED = 1.959963984540054
PERCENT_95 = (2.5, 97.5)


def campaign_entry(fitted: CampaignFit) -> LayeredFit:
    """Return the global fit."""
    main, sites = fitted.main, fitted.sites
    solution = main.solution
    return LayeredFit(
        scope="campaign",
        T_K=None,
        geometry=describe(main, sites),
        phases=_phases(fitted, main, full=True),
        chi2_red=solution.fit.chi2_red,
        n_data=solution.fit.n_data,
        n_parameters=solution.fit.n_parameters,
        datasets=[point.dataset for group in fitted.groups for point in group.data.points],
        campaign=_global(fitted),
        assumptions=assumptions(fitted),
        warnings=[message for _, message, _, _ in doubts(fitted)],
    )


def _global(fitted: CampaignFit) -> GlobalFit:
    main = fitted.main
    p, p_se = _populations(main)
    phi, phi_se = contact_fraction(main)
    straight = fitted.straightness()
    return GlobalFit(
        T_ref_K=main.problem.model.T_ref_K,
        T_K=main.problem.model.T_K.tolist(),
        sites=list(fitted.sites),
        population=p.tolist(),
        population_se=p_se.tolist(),
        contact_fraction=phi,
        contact_fraction_se=phi_se,
        contacts=[_contact(main, rate, fitted.sites) for rate in main.rates if rate.kind == "contact"],
        aicc=main.solution.fit.aicc,
        geometries=[_geometry(fitted, one) for one in fitted.others],
        comparison=comparison(fitted),
        straightness=Straightness(chi2_drop=straight[0], parameters=straight[1], p_value=straight[2])
        if straight
        else None,
        Ea_geometry_range_eV=energy_ranges(fitted),
        bootstrap=0 if fitted.samples is None else len(fitted.samples),
    )


def describe(found: Found, sites: tuple[str, ...]) -> str:
    """Return a layered hypothesis in words."""
    names = [sites[index] for index in found.hypothesis.order]
    resists = ", contacts may resist" if found.hypothesis.contact else ", perfect contact"
    if found.hypothesis.geometry == "slab":
        return f"stacked slabs {' | '.join(names)} (d = half thickness of {names[0]}){resists}"
    return f"concentric spheres {' | '.join(names)} (d = radius of {names[0]}){resists}"


# ------------------------------------------------------------------------------------------------------ numbers


def _phases(fitted: CampaignFit, found: Found, *, full: bool) -> list[Phase]:
    """Every phase; those that share a diffusivity have the same numbers."""
    diffusing = [rate for rate in found.rates if rate.kind == "kD"]
    return [_phase(fitted, found, rate, fitted.sites[site], full=full) for rate in diffusing for site in rate.sites]


def _phase(fitted: CampaignFit, found: Found, rate: Rate, name: str, *, full: bool) -> Phase:
    """One phase; `full` adds what only the reported fit has."""
    bound = found.bounds.get(rate.name)
    length_m, length_se_m = fitted.structure.length_m, fitted.structure.length_se_m or 0.0
    if bound is not None:
        value = bound.value_per_s
        return Phase(
            phase=name,
            kD_per_s=value,
            kD_se=None,
            bound=bound.side if value is not None else None,
            Ea_assumed_eV=bound.Ea_held_eV,
            D_m2_per_s=value * length_m**2 if value is not None and length_m is not None else None,
        )
    problem, solution = found.problem, found.solution
    k, se = problem.at(solution, rate.name), problem.error(solution, rate.name)
    if k < RESOLVED * se:
        return Phase(phase=name, kD_per_s=None, kD_se=None)
    Ea, Ea_se = found.Ea(rate.name)
    phase = Phase(phase=name, kD_per_s=k, kD_se=se, Ea_eV=Ea, Ea_se_eV=Ea_se)
    if length_m is not None:
        phase.D_m2_per_s = k * length_m**2
        phase.D_se_m2_per_s = phase.D_m2_per_s * float(np.hypot(se / k, 2 * length_se_m / length_m))
    phase.curve = _curve(found, rate)
    if not full:
        return phase
    interval = fitted.intervals.get(rate.name)
    phase.Ea_ci95_eV = list(interval) if interval else None
    phase.Ea_se_calibration_eV = _calibration(fitted, Ea)
    if fitted.samples is not None:
        drawn = fitted.samples[:, problem.index[f"Ea {rate.name}"]]
        phase.Ea_bootstrap_ci95_eV = [float(one) for one in np.percentile(drawn, PERCENT_95)]
    return phase


def _curve(found: Found, rate: Rate) -> KDCurve | None:
    """Return kD over the temperatures measured, with the band of both its parameters; None if that says nothing."""
    model, problem = found.problem.model, found.problem
    T = np.linspace(model.T_K.min(), model.T_K.max(), CURVE_POINTS)
    x = 1 / (KB_EV_PER_K * T) - 1 / (KB_EV_PER_K * model.T_ref_K)
    k, Ea = problem.at(found.solution, rate.name), problem.at(found.solution, f"Ea {rate.name}")
    places = [problem.index[rate.name], problem.index[f"Ea {rate.name}"]]
    gradient = np.stack([np.full(T.size, 1 / k), -x], axis=1)
    error = np.sqrt(np.einsum("ti,ij,tj->t", gradient, found.solution.covariance[np.ix_(places, places)], gradient))
    ln = np.log(k) - Ea * x
    if error.max() > WIDEST_LN:
        return None
    return KDCurve(
        T_K=T.tolist(),
        kD_per_s=np.exp(ln).tolist(),
        low_per_s=np.exp(ln - TWO_SIDED * error).tolist(),
        high_per_s=np.exp(ln + TWO_SIDED * error).tolist(),
    )


def _calibration(fitted: CampaignFit, Ea_eV: float) -> float | None:
    """By how much Ea moves if all temperatures are wrong by the calibration's uncertainty together."""
    shift_K = max((group.T_se_K or 0.0 for group in fitted.groups), default=0.0)
    if shift_K <= 0:
        return None
    T = fitted.main.problem.model.T_K
    line = np.exp(-Ea_eV / (KB_EV_PER_K * T) + Ea_eV / (KB_EV_PER_K * T.mean()))
    moved = fit_arrhenius((T + shift_K).tolist(), line.tolist(), (0.1 * line).tolist())
    return abs(moved.Ea_eV - Ea_eV) if moved is not None else None


def _contact(found: Found, rate: Rate, sites: tuple[str, ...]) -> Contact:
    between = [sites[index] for index in rate.sites]
    if rate.name in found.bounds:
        bound = found.bounds[rate.name]
        side = bound.side if bound.value_per_s is not None else None
        return Contact(phases=between, rate_per_s=bound.value_per_s, rate_se=None, bound=side)
    Ea, Ea_se = found.Ea(rate.name)
    return Contact(
        phases=between,
        rate_per_s=found.problem.at(found.solution, rate.name),
        rate_se=found.problem.error(found.solution, rate.name),
        Ea_eV=Ea,
        Ea_se_eV=Ea_se,
    )


def _geometry(fitted: CampaignFit, found: Found) -> GeometryFit:
    phi, phi_se = contact_fraction(found)
    return GeometryFit(
        geometry=describe(found, fitted.sites),
        phases=_phases(fitted, found, full=False),
        contacts=[_contact(found, rate, fitted.sites) for rate in found.rates if rate.kind == "contact"],
        contact_fraction=phi,
        contact_fraction_se=phi_se,
        chi2_red=found.solution.fit.chi2_red,
        n_parameters=found.solution.fit.n_parameters,
        aicc=found.solution.fit.aicc,
    )


def _populations(found: Found) -> tuple[FloatArray, FloatArray]:
    """Populations and standard errors, shape (K,)."""
    model, solution = found.problem.model, found.solution
    p, gradient = model.populations_with_slopes(solution.value)
    return p, np.sqrt(np.clip(np.einsum("ip,pq,iq->i", gradient, solution.covariance, gradient), 0.0, None))


# ------------------------------------------------------------------------------------- other entries


def separate_entries(fitted: CampaignFit) -> list[LayeredFit]:
    """Return the unconstrained fit, temperature by temperature: plateau and contact shared, no Arrhenius law."""
    found = fitted.separate
    if found is None:
        return []
    fit = found.solution.fit
    entries = []
    for group in fitted.groups:
        phases, warnings = [], []
        for rate, site in ((one, fitted.sites[at]) for one in found.rates if one.kind == "kD" for at in one.sites):
            bound = found.bounds.get(rate.name)
            if bound is not None:
                phases.append(Phase(phase=site, kD_per_s=None, kD_se=None))
                warnings.append(f"kD of {site} held at its {limit_words(bound)}, as in the campaign's fit")
                continue
            value, error = _at(found, rate, group.data.T_K or 0.0)
            if value < RESOLVED * error:
                warnings.append(f"kD of {site} is not resolved at this temperature alone")
            phases.append(Phase(phase=site, kD_per_s=value, kD_se=error))
        entries.append(
            LayeredFit(
                T_K=group.data.T_K,
                geometry=describe(found, fitted.sites),
                phases=phases,
                chi2_red=fit.chi2_red,
                n_data=fit.n_data,
                n_parameters=fit.n_parameters,
                datasets=group.datasets,
                assumptions=[
                    "kD free at each temperature; populations, contact fraction and limits shared by the campaign",
                    "chi2, data and parameters are those of the whole campaign",
                ],
                warnings=warnings,
            )
        )
    return entries


def _at(found: Found, rate: Rate, T_K: float) -> tuple[float, float]:
    name = f"{rate.name} at {T_K:.3f}"
    return found.problem.at(found.solution, name), found.problem.error(found.solution, name)


def global_arrhenius(fitted: CampaignFit) -> list[Arrhenius]:
    """Return the global fit's laws; their points are the kD of single temperatures, for comparison."""
    main = fitted.main
    lines = []
    for rate in main.determined():
        k, Ea, Ea_se = main.problem.at(main.solution, rate.name), *main.Ea(rate.name)
        points: list[tuple[float, float, float]] = []
        if fitted.separate is not None and rate.name in {one.name for one in fitted.separate.resolved()}:
            points = [(float(T), *_at(fitted.separate, rate, float(T))) for T in main.problem.model.T_K]
            points = [(T, value, error) for T, value, error in points if value >= RESOLVED * error]
        said = "points: every temperature by itself; the line is the fit of all data together"
        if not points:
            points = _by_law(main, rate)
            said = "no temperature resolves it by itself: points and line are the fit of all data together"
        low, high = fitted.intervals.get(rate.name, (None, None))
        straight = fitted.straightness()
        lines.append(
            Arrhenius(
                quantity=f"kD {phases_of(fitted, rate)}",
                model="global",
                convention="ln D",
                Ea_eV=Ea,
                Ea_se_eV=Ea_se,
                Ea_ci95_eV=[
                    Ea - TWO_SIDED * Ea_se if low is None else low,
                    Ea + TWO_SIDED * Ea_se if high is None else high,
                ],
                Ea_se_calibration_eV=_calibration(fitted, Ea),
                ln_value_at_ref=float(np.log(k)),
                ln_value_at_ref_se=main.problem.error(main.solution, rate.name) / k,
                T_ref_K=main.problem.model.T_ref_K,
                T_K=[T for T, _, _ in points],
                value=[value for _, value, _ in points],
                value_se=[error for _, _, error in points],
                chi2_red=straight[0] / straight[1] if straight else None,
                warnings=[said],
            )
        )
    return lines


def _by_law(found: Found, rate: Rate) -> list[tuple[float, float, float]]:
    """Temperature, rate and error of a fitted law at the temperatures measured."""
    model, problem, solution = found.problem.model, found.problem, found.solution
    x = 1 / (KB_EV_PER_K * model.T_K) - 1 / (KB_EV_PER_K * model.T_ref_K)
    value = problem.at(solution, rate.name) * np.exp(-problem.at(solution, f"Ea {rate.name}") * x)
    error = value * np.hypot(
        problem.error(solution, rate.name) / problem.at(solution, rate.name),
        problem.error(solution, f"Ea {rate.name}") * x,
    )
    return [(float(T), float(k), float(se)) for T, k, se in zip(model.T_K, value, error, strict=True)]


def add_curves(fitted: CampaignFit, builds: Sequence[BuildUp]) -> None:
    """Draw the global fit into build-ups that have their other curves."""
    model = fitted.main.problem.model
    for build in builds:
        if build.T_K is not None and build.T_K in model.T_K:
            matrices = model.curve(fitted.main.solution.value, build.T_K, np.array(build.curve_tmix_s))
            i, j = (fitted.sites.index(one) for one in build.pair)
            build.curves["global"] = (0.5 * (matrices[:, i, j] + matrices[:, j, i])).tolist()
