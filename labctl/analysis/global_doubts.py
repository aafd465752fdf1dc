"""What a global fit assumed and what is doubtful about it: rivals, bounds, geometries, degeneracies, with numbers."""

from __future__ import annotations

import numpy as np

from labctl.analysis.fit import INFLATE_BELOW_P
from labctl.analysis.global_fit import CampaignFit, aicc_scale
from labctl.analysis.global_kernels import Rate
from labctl.analysis.global_model import CONTACT_FRACTION
from labctl.analysis.global_search import RESOLVED, Bound, Found
from labctl.analysis.kinetics import DECISIVE_AICC, scaled_aicc
from labctl.analysis.layered_results import ModelComparison


def contact_fraction(found: Found) -> tuple[float, float | None]:
    """Return the part in contact and its standard error, None where it was assumed."""
    value = found.problem.at(found.solution, CONTACT_FRACTION)
    fitted = CONTACT_FRACTION not in found.solution.held
    return value, found.problem.error(found.solution, CONTACT_FRACTION) if fitted else None


def energy_ranges(fitted: CampaignFit) -> dict[str, list[float]]:
    """Return the lowest and highest Ea of each phase that is resolved in more than one geometry."""
    ranges: dict[str, list[float]] = {}
    for rate in fitted.main.determined():
        energies = [
            one.Ea(rate.name)[0]
            for one in (fitted.main, *fitted.others)
            if rate.name in {other.name for other in one.determined()}
        ]
        if len(energies) > 1:
            ranges |= {fitted.sites[site]: [min(energies), max(energies)] for site in rate.sites}
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


def assumptions(fitted: CampaignFit) -> list[str]:
    """Return what was assumed, sentence by sentence."""
    main, structure = fitted.main, fitted.structure
    recovered = all(group.data.has_T1 for group in fitted.groups)
    stated = set(structure.density_per_nm3) >= set(fitted.sites)
    phi, phi_se = contact_fraction(main)
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
    if main.hypothesis.one_D:
        notes.append("one D and Ea for all phases, as stated")
    if structure.length_m is None:
        notes.append("kD = D/d^2; D needs d from microscopy")
    else:
        error = f"+- {1e6 * structure.length_se_m:.2g} um" if structure.length_se_m else "taken as exact"
        notes.append(f"D = kD d^2 with d = {1e6 * structure.length_m:.3g} um, {error}, as stated")
        notes += _reach(fitted, structure.length_m)
    for name, bound in main.bounds.items():
        notes.append(
            f"{_words(fitted, name)} held at its {limit_words(bound)}; its bound takes Ea {bound.Ea_held_eV:.3f} eV"
        )
    return notes


def _reach(fitted: CampaignFit, length_m: float) -> list[str]:
    """How far Li gets by diffusion in the longest mixing time, for those who know their grains."""
    main = fitted.main
    longest_s = max(float(group.data.tmix_s.max()) for group in fitted.groups)
    reached = [
        f"{phases_of(fitted, rate)} "
        f"{1e9 * length_m * np.sqrt(2 * main.problem.at(main.solution, rate.name) * longest_s):.3g} nm"
        for rate in main.determined()
    ]
    said = f"sqrt(2 D t) in {longest_s:g} s at {main.problem.model.T_ref_K:.1f} K: {', '.join(reached)}"
    return [said] if reached else []


def limit_words(bound: Bound) -> str:
    """Return where a bounded rate is held."""
    return "fast limit" if bound.side == "lower" else "slow limit"


def phases_of(fitted: CampaignFit, rate: Rate) -> str:
    """Return the phases of a rate: one, those that share it, or those it lies between."""
    return "-".join(fitted.sites[site] for site in rate.sites)


def _words(fitted: CampaignFit, name: str) -> str:
    """A rate's name for people."""
    rate = next(one for one in fitted.main.rates if one.name == name)
    between = phases_of(fitted, rate)
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
                    f"Ea of {phases_of(fitted, rate)} is not resolved: {Ea:.3f} +- {Ea_se:.2g} eV",
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
        (f"{_words(fitted, name)} at its bound instead of its {limit_words(main.bounds[name])}", one)
        for name, one in main.at_bound.items()
    ]
    if fitted.partial is not None:
        phi, phi_se = contact_fraction(fitted.partial)
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
            shifts.append(f"{phases_of(fitted, rate)} {Ea:.4f} -> {other:.4f} +- {error:.2g} eV")
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
    for phase, (low, high) in energy_ranges(fitted).items():
        rate = next(one for one in fitted.main.determined() if phase in [fitted.sites[site] for site in one.sites])
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
