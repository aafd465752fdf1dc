"""A campaign's global fit as entries of ``results.json``: numbers, intervals, bounds, assumptions, doubts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.arrhenius import KB_EV_PER_K, fit_arrhenius
from labctl.analysis.fit import INFLATE_BELOW_P
from labctl.analysis.global_fit import CampaignFit, aicc_scale
from labctl.analysis.global_kernels import Rate
from labctl.analysis.global_model import CONTACT_FRACTION
from labctl.analysis.global_search import RESOLVED, Bound, Found
from labctl.analysis.kinetics import DECISIVE_AICC, scaled_aicc
from labctl.analysis.layered_results import (
    Contact,
    GeometryFit,
    GlobalFit,
    KDCurve,
    LayeredFit,
    ModelComparison,
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
        phases=[_phase(fitted, main, rate, full=True) for rate in main.rates if rate.kind == "kD"],
        chi2_red=solution.fit.chi2_red,
        n_data=solution.fit.n_data,
        n_parameters=solution.fit.n_parameters,
        datasets=[point.dataset for group in fitted.groups for point in group.data.points],
        campaign=_global(fitted),
        assumptions=_assumptions(fitted),
        warnings=[message for _, message, _, _ in doubts(fitted)],
    )


def _global(fitted: CampaignFit) -> GlobalFit:
    main = fitted.main
    p, p_se = _populations(main)
    phi, phi_se = _contact_fraction(main)
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
        Ea_geometry_range_eV=_ranges(fitted),
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


def _phase(fitted: CampaignFit, found: Found, rate: Rate, *, full: bool) -> Phase:
    """One phase; `full` adds what only the reported fit has."""
    name = fitted.sites[rate.sites[0]]
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
    phi, phi_se = _contact_fraction(found)
    return GeometryFit(
        geometry=describe(found, fitted.sites),
        phases=[_phase(fitted, found, rate, full=False) for rate in found.rates if rate.kind == "kD"],
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


def _contact_fraction(found: Found) -> tuple[float, float | None]:
    value = found.problem.at(found.solution, CONTACT_FRACTION)
    fitted = CONTACT_FRACTION not in found.solution.held
    return value, found.problem.error(found.solution, CONTACT_FRACTION) if fitted else None


def _ranges(fitted: CampaignFit) -> dict[str, list[float]]:
    """Lowest and highest Ea of each phase that is resolved in more than one geometry."""
    ranges = {}
    for rate in fitted.main.determined():
        energies = [
            one.Ea(rate.name)[0]
            for one in (fitted.main, *fitted.others)
            if rate.name in {other.name for other in one.determined()}
        ]
        if len(energies) > 1:
            ranges[fitted.sites[rate.sites[0]]] = [min(energies), max(energies)]
    return ranges


def comparison(fitted: CampaignFit) -> ModelComparison | None:
    """Return which model of all the campaign's data is favoured."""
    scale = aicc_scale(fitted.rivals)
    aicc = {name: scaled_aicc(one.solution.fit, scale) for name, one in fitted.rivals.items()}
    aicc = {name: value for name, value in aicc.items() if np.isfinite(value)}
    if len(aicc) < 2:
        return None
    favoured = min(aicc, key=lambda name: aicc[name])
    # perfect contact is the limit of a resisting one, which can therefore never be much worse
    apart = [value for name, value in aicc.items() if not name.startswith(favoured)]
    remark = "all models with Arrhenius rates, a shared plateau, the same data"
    if scale > 1:
        remark += f"; chi2 divided by {scale:.2f}, the best model's chi2_red"
    decisive = bool(apart) and min(apart) - aicc[favoured] >= DECISIVE_AICC
    return ModelComparison(T_K=None, aicc=aicc, favoured=favoured, decisive=decisive, remark=remark)


# -------------------------------------------------------------------------------------------- words


def _assumptions(fitted: CampaignFit) -> list[str]:
    main, structure = fitted.main, fitted.structure
    recovered = all(group.data.has_T1 for group in fitted.groups)
    stated = set(structure.density_per_nm3) >= set(fitted.sites)
    phi, phi_se = _contact_fraction(main)
    notes = [
        f"one likelihood over {len(fitted.groups)} temperatures, "
        f"{sum(len(group.data.points) for group in fitted.groups)} 2Ds"
        + (f" and {sum(len(group.data.recoveries) for group in fitted.groups)} recovery curves" if recovered else ""),
        f"kD(T) = kD({main.problem.model.T_ref_K:.1f} K) exp(-Ea (1/kT - 1/kT_ref)); populations shared by all "
        "temperatures",
        "Li densities as stated" if stated else "equal Li densities",
        "order of the layers as stated" if fitted.order_given else "order of the layers chosen by the data (AICc)",
        f"contact fraction fitted, {phi:.3f} +- {phi_se:.2g}" if phi_se is not None else f"contact fraction {phi:g}",
    ]
    if structure.length_m is None:
        notes.append("kD = D/d^2; D needs d from microscopy")
    else:
        error = f"+- {1e6 * structure.length_se_m:.2g} um" if structure.length_se_m else "taken as exact"
        notes.append(f"D = kD d^2 with d = {1e6 * structure.length_m:.3g} um, {error}, as stated")
        notes += _reach(fitted, structure.length_m)
    for name, bound in main.bounds.items():
        notes.append(
            f"{_words(fitted, name)} held at its {_limit(bound)}; its bound takes Ea {bound.Ea_held_eV:.3f} eV"
        )
    return notes


def _reach(fitted: CampaignFit, length_m: float) -> list[str]:
    """How far Li gets by diffusion in the longest mixing time, for those who know their grains."""
    main = fitted.main
    longest_s = max(float(group.data.tmix_s.max()) for group in fitted.groups)
    reached = [
        f"{fitted.sites[rate.sites[0]]} "
        f"{1e9 * length_m * np.sqrt(2 * main.problem.at(main.solution, rate.name) * longest_s):.3g} nm"
        for rate in main.determined()
    ]
    said = f"sqrt(2 D t) in {longest_s:g} s at {main.problem.model.T_ref_K:.1f} K: {', '.join(reached)}"
    return [said] if reached else []


def _limit(bound: Bound) -> str:
    return "fast limit" if bound.side == "lower" else "slow limit"


def _words(fitted: CampaignFit, name: str) -> str:
    """A rate's name for people."""
    rate = next(one for one in fitted.main.rates if one.name == name)
    between = "-".join(fitted.sites[index] for index in rate.sites)
    return f"kD of {between}" if rate.kind == "kD" else f"the contact {between}"


Doubt = tuple[str, str, str, float | None]


def doubts(fitted: CampaignFit) -> list[Doubt]:
    """Return what is doubtful about the global fit: code, message, advice, number."""
    return [*_misfits(fitted), *_limits(fitted), *_hanging(fitted), *_geometries(fitted)]


def _misfits(fitted: CampaignFit) -> list[Doubt]:
    found: list[Doubt] = []
    fit = fitted.main.solution.fit
    if fit.inflated:
        found.append(
            (
                "chi2",
                f"global layered fit: chi2_red {fit.chi2_red:.2f}, more than noise; errors are scaled by "
                f"{np.sqrt(fit.chi2_red):.2f}",
                "compare the models and geometries; look at the line shapes and the asymmetry of the matrices",
                fit.chi2_red,
            )
        )
    told = comparison(fitted)
    if told is not None and told.favoured != fitted.main.hypothesis.name and told.decisive:
        gap = told.aicc[fitted.main.hypothesis.name] - told.aicc[told.favoured]
        found.append(
            (
                "model",
                f"the campaign's data favour {told.favoured} over {fitted.main.hypothesis.name} by {gap:.1f} in AICc: "
                "its kD and Ea are those of a model that is not the best",
                "do not quote kD without the comparison; early mixing times tell the models apart",
                gap,
            )
        )
    straight = fitted.straightness()
    if straight is not None and straight[2] < INFLATE_BELOW_P:
        found.append(
            (
                "not_arrhenius",
                f"a kD of its own at each temperature lowers chi2 by {straight[0]:.1f} for {straight[1]} parameters "
                f"(chance {straight[2]:.1e}): the Arrhenius law does not hold over this range",
                "look for a phase change or a second process; quote kD(T) instead of Ea",
                straight[2],
            )
        )
    return found


def _limits(fitted: CampaignFit) -> list[Doubt]:
    found: list[Doubt] = []
    main = fitted.main
    for name, bound in main.bounds.items():
        if name.startswith("j0"):
            continue
        words = _words(fitted, name)
        if bound.value_per_s is None:
            said = f"{words} is not resolved, from neither side"
        else:
            than = "above" if bound.side == "lower" else "below"
            T = main.problem.model.T_ref_K
            said = f"{words} is only bounded: {than} {bound.value_per_s:.3g} 1/s at {T:.1f} K with 95 %; it has no Ea"
        found.append(("not_resolved", said, "a shorter Tmix would see a fast phase", bound.value_per_s))
    sure = main.determined()
    for rate in main.resolved():
        if rate not in sure:
            k, se = main.problem.at(main.solution, rate.name), main.problem.error(main.solution, rate.name)
            said = f"{_words(fitted, rate.name)} is not resolved: {k:.2g} +- {se:.2g} 1/s, and it has no Ea"
            found.append(("not_resolved", said, "longer mixing times, if T1 allows, or more scans", k))
    if others := [name for name in main.as_fast if name not in main.bounds]:
        other = " or ".join(_words(fitted, name) for name in others)
        held = " and ".join(_words(fitted, name) for name, bound in main.bounds.items() if bound.side == "lower")
        found.append(
            (
                "which_phase",
                f"the data do not say whether {held} or {other} is the fast one: the other one's kD and Ea "
                "stand on that choice",
                "state which phase conducts better, or measure shorter mixing times",
                None,
            )
        )
    for rate in main.determined():
        Ea, Ea_se = main.Ea(rate.name)
        if Ea_se > 0 and abs(Ea) < RESOLVED * Ea_se:
            found.append(
                (
                    "not_resolved",
                    f"Ea of {fitted.sites[rate.sites[0]]} is not resolved: {Ea:.3f} +- {Ea_se:.2g} eV",
                    "more time at the ends of the temperature range",
                    Ea,
                )
            )
    return found


def _hanging(fitted: CampaignFit) -> list[Doubt]:
    """How the energies hang on what is not identified: bounded phases, the contact fraction."""
    found: list[Doubt] = []
    main = fitted.main
    moved = [
        (f"{_words(fitted, name)} at its bound instead of its {_limit(main.bounds[name])}", one)
        for name, one in main.at_bound.items()
    ]
    if fitted.partial is not None:
        phi, phi_se = _contact_fraction(fitted.partial)
        moved.append((f"the contact fraction free ({phi:.3f} +- {phi_se or 0.0:.2g})", fitted.partial.solution))
    for words, solution in moved:
        shifts = []
        worst = 0.0
        for rate in main.determined():
            if rate.name in solution.held:
                continue
            Ea, Ea_se = main.Ea(rate.name)
            other = main.problem.at(solution, f"Ea {rate.name}")
            error = main.problem.error(solution, f"Ea {rate.name}")
            shifts.append(f"{fitted.sites[rate.sites[0]]} {Ea:.4f} -> {other:.4f} +- {error:.2g} eV")
            worst = max(worst, abs(other - Ea) / Ea_se if Ea_se > 0 else 0.0)
        if shifts:
            found.append(
                (
                    "degeneracy",
                    f"with {words}, Ea: {', '.join(shifts)}",
                    "count such a shift as a systematic error",
                    worst,
                )
            )
    return found


def _geometries(fitted: CampaignFit) -> list[Doubt]:
    found: list[Doubt] = []
    for phase, (low, high) in _ranges(fitted).items():
        rate = next(one for one in fitted.main.determined() if fitted.sites[one.sites[0]] == phase)
        Ea, Ea_se = fitted.main.Ea(rate.name)
        if high - low > max(0.5 * Ea_se, 0.002):
            found.append(
                (
                    "geometry",
                    f"Ea of {phase} is {low:.3f} to {high:.3f} eV over the geometries tried "
                    f"({Ea:.3f} +- {Ea_se:.2g} eV in the one reported): this is beside the standard error",
                    "quote the range; microscopy decides the geometry",
                    high - low,
                )
            )
    return found


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
        for rate in (one for one in found.rates if one.kind == "kD"):
            site = fitted.sites[rate.sites[0]]
            bound = found.bounds.get(rate.name)
            if bound is not None:
                phases.append(Phase(phase=site, kD_per_s=None, kD_se=None))
                warnings.append(f"kD of {site} held at its {_limit(bound)}, as in the campaign's fit")
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
                quantity=f"kD {fitted.sites[rate.sites[0]]}",
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
