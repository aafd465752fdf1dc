"""Fits of one temperature as entries of ``results.json``: numbers, errors, what was assumed, what is doubtful."""

from __future__ import annotations

from typing import Literal

import numpy as np

from labctl.analysis import product
from labctl.analysis.buildup import plateau_reached
from labctl.analysis.exchange import pairs
from labctl.analysis.fit import Fit
from labctl.analysis.kinetics import DECISIVE_AICC, KineticFit, one_sided_bound, scaled_aicc
from labctl.analysis.layered_results import LayeredFit, ModelComparison, Phase
from labctl.analysis.results import BuildUp, ExchangeFit, ProductFit
from labctl.analysis.temperature import TemperatureFits

RESOLVED = 2.0
"""A value below this many standard errors is not resolved from zero."""
ONE_SIDED_95 = 1.645
CURVE_POINTS = 60


def exchange_entry(group: TemperatureFits) -> ExchangeFit:
    """Return the exchange fit of one temperature."""
    found = group.exchange
    assert found is not None
    sites = group.data.sites
    k, k_se = found.rates()
    p, p_se = found.populations()
    relaxation, assumptions = _relaxation(found, group)
    warnings = _common_doubts(found.fit, "exchange", group)
    if len(set(group.data.tmix_s)) < 2:
        warnings.append(
            group.doubt(
                "one_mixing_time",
                f"one mixing time only ({group.data.tmix_s[0]:g} s): rates rest on the model, which nothing tests",
                "add a mixing time a few times shorter and one a few times longer",
                float(group.data.tmix_s[0]),
            )
        )
    upper: list[list[float | None]] = [[None] * len(sites) for _ in sites]
    for i, j in pairs(len(sites)):
        if not all(k[at] >= RESOLVED * k_se[at] for at in ((i, j), (j, i))):
            for at in ((i, j), (j, i)):
                upper[at[0]][at[1]] = float(k[at] + ONE_SIDED_95 * k_se[at])
            warnings.append(
                group.doubt(
                    "not_resolved",
                    f"exchange {sites[i]}-{sites[j]} not resolved: k below {upper[i][j]:.3g} 1/s with 95 %",
                    "longer mixing times, if T1 allows",
                    float(k[i, j]),
                )
            )
    return ExchangeFit(
        T_K=group.data.T_K,
        sites=list(sites),
        k_per_s=k.tolist(),
        k_se=k_se.tolist(),
        k_upper_per_s=upper,
        population=p.tolist(),
        population_se=p_se.tolist(),
        R1_per_s=found.R1()[0].tolist() if found.relaxation == "recovery" else None,
        relaxation=relaxation,
        chi2_red=found.fit.chi2_red,
        n_data=found.fit.n_data,
        n_parameters=found.fit.n_parameters,
        datasets=group.datasets,
        assumptions=["detailed balance: p_i k_ij = p_j k_ji", *assumptions],
        warnings=warnings,
    )


def _relaxation(found: KineticFit, group: TemperatureFits) -> tuple[str, list[str]]:
    """What was assumed of relaxation, in the schema's word and in sentences."""
    if found.relaxation == "recovery":
        saturated = all(point.recycle_delay_s is not None for point in group.data.points)
        d1 = "the recycle delay's saturation included" if saturated else "full recovery between scans"
        return "from T1 data", [f"R1 of each site fitted to matrices and recovery curves together, {d1}"]
    notes = ["matrices divided by their sum: one R1 common to all sites cancels"]
    if "sources" in found.relaxation:
        sources = ", ".join(
            f"{site} {value:.3f}" for site, value in zip(group.data.sites, found.state.sources, strict=True)
        )
        notes.append(f"polarisation of the sources fitted, relative: {sources}")
    if "differences" in found.relaxation:
        R1, R1_se = found.R1()
        relative = ", ".join(
            f"{site} {value:+.3g} +- {error:.2g} 1/s"
            for site, value, error in zip(group.data.sites[1:], R1[1:], R1_se[1:], strict=True)
        )
        notes.append(f"R1 relative to {group.data.sites[0]} fitted: {relative}")
        return "fitted", notes
    return "common, cancels", notes


def _common_doubts(fit: Fit, model: str, group: TemperatureFits) -> list[str]:
    if not fit.inflated:
        return []
    return [
        group.doubt(
            "chi2",
            f"{model} model: chi2_red {fit.chi2_red:.2f}, more than noise; errors are scaled by "
            f"{np.sqrt(fit.chi2_red):.2f}",
            "compare the models, and look at the line shapes and the asymmetry of the matrices",
            fit.chi2_red,
        )
    ]


def layered_entry(group: TemperatureFits) -> LayeredFit:
    """Return the layered two-phase fit of one temperature."""
    found, shape = group.layered, group.shape
    assert found is not None
    assert shape is not None
    sites = group.data.sites
    order = (shape.core, 1 - shape.core)
    value, se = found.fit.value, found.fit.se
    phases = []
    limits: dict[str, tuple[float, Literal["lower", "upper"]] | None] = {}
    warnings = _common_doubts(found.fit, "layered", group)
    for index, site in enumerate(order):
        column = index if shape.contact == "two D" else 0
        name = found.fit.names[column]
        resolved = value[column] > RESOLVED * se[column] and name not in found.fit.at_bound
        if resolved:
            phases.append(Phase(phase=sites[site], kD_per_s=float(value[column]), kD_se=float(se[column])))
            continue
        if name not in limits:
            limits[name] = one_sided_bound(found, name)
        limit = limits[name]
        bound, side = limit if limit is not None else (None, None)
        phases.append(Phase(phase=sites[site], kD_per_s=bound, kD_se=None, bound=side))
        above = "above" if side == "lower" else "below"
        said = "is not resolved" if bound is None else f"is only bounded: {above} {bound:.3g} 1/s with 95 %"
        whose = f"{name} of {sites[site]}" if shape.contact == "two D" else f"{name} of both phases"
        if not any(whose in text for text in warnings):
            warnings.append(
                group.doubt(
                    "not_resolved",
                    f"layered model: {whose} {said}",
                    "longer mixing times, if T1 allows"
                    if side == "upper"
                    else "mixing times further below the bend hold it, if scans allow",
                    bound if bound is not None else float(value[column]),
                )
            )
    assumptions = [
        *(_relaxation(found, group)[1]),
        "equal Li densities; label uniform in each phase when mixing starts",
        f"{shape.contact}, {'perfect contact' if 'finite' not in shape.contact else 'contact resisting'}; chosen for "
        "all temperatures by AICc among core and shell exchanged, two D, finite contact",
        "kD = D/d^2; D itself needs d from microscopy, and geometry alone is worth about +-10 meV in Ea",
    ]
    if "finite" in shape.contact:
        name = f"j0/(c d) = {value[1]:.3g} +- {se[1]:.2g} 1/s"
        assumptions.append(name if value[1] > RESOLVED * se[1] else "contact resistance not resolved")
    return LayeredFit(
        T_K=group.data.T_K,
        geometry=shape.describe(sites),
        phases=phases,
        chi2_red=found.fit.chi2_red,
        n_data=found.fit.n_data,
        n_parameters=found.fit.n_parameters,
        datasets=group.datasets,
        assumptions=assumptions,
        warnings=warnings,
    )


def product_entry(group: TemperatureFits, i: int, j: int) -> ProductFit:
    """Return the paper-mode fit of one pair at one temperature."""
    fit = group.product[i, j]
    assert group.exchange is not None
    sites, (p, p_se) = group.data.sites, group.exchange.populations()
    minor, major = (i, j) if p[i] <= p[j] else (j, i)
    warnings = _common_doubts(fit, f"product ({sites[i]}-{sites[j]})", group)
    limit: float | None = None
    if fit.value[0] < RESOLVED * fit.se[0] or fit.at_bound:
        limit = product.upper_limit(group.data, i, j, p, fit)
        said = "is not resolved" if limit is None else f"is not resolved: below {limit:.3g} 1/s with 95 %"
        warnings.append(
            group.doubt(
                "not_resolved",
                f"product model: kD {sites[i]}-{sites[j]} {said}",
                "quote the fits of all sites",
                float(fit.value[0]),
            )
        )
    plateau = float(p[i] * p[j])
    return ProductFit(
        T_K=group.data.T_K,
        pair=[sites[i], sites[j]],
        kD_per_s=float(fit.value[0]),
        kD_se=float(fit.se[0]),
        kD_upper_per_s=limit,
        geometry=f"periodic cubes of {sites[minor]} (edge d) in {sites[major]}, perfect contact, equal D",
        plateau=plateau,
        plateau_se=plateau * float(np.hypot(p_se[i] / p[i], p_se[j] / p[j])),
        chi2_red=fit.chi2_red,
        datasets=group.datasets,
        assumptions=[
            "plateau fixed at p_i p_j of the exchange fit; common relaxation cancels",
            product.BIAS_SERIAL if len(sites) > 2 else product.BIAS_PAIR,
        ],
        warnings=warnings,
    )


def buildup_entries(group: TemperatureFits) -> list[BuildUp]:
    """Return every cross peak's build-up with the fitted curves, and warn where Tmix misses the bend."""
    data = group.data
    tmix = data.tmix_s[data.tmix_s > 0]
    grid = np.geomspace(tmix.min() / 1.5, tmix.max() * 1.5, CURVE_POINTS)
    p = group.exchange.state.populations if group.exchange else data.guess()[0]
    models = {"exchange": group.exchange, "layered": group.layered}
    curves = {name: one.observation.curve(one.fit.value, grid) for name, one in models.items() if one is not None}
    entries = []
    for i, j in pairs(len(data.sites)):
        cross, se = data.cross(i, j)
        plateau = float(p[i] * p[j])
        slope = data.early_slope(i, j, plateau)
        entry = BuildUp(
            T_K=data.T_K,
            pair=[data.sites[i], data.sites[j]],
            tmix_s=data.tmix_s.tolist(),
            cross=cross.tolist(),
            cross_se=se.tolist(),
            datasets=group.datasets,
            early_slope=slope[0] if slope else None,
            early_slope_se=slope[1] if slope else None,
            early_points=slope[2] if slope else 0,
            curve_tmix_s=grid.tolist(),
            curves={name: (0.5 * (curve[:, i, j] + curve[:, j, i])).tolist() for name, curve in curves.items()},
        )
        if (i, j) in group.product:
            minor = float(min(p[i], p[j]) / (p[i] + p[j]))
            built = plateau * product.cube_exchanged(group.product[i, j].value[0] * grid, minor)
            entry.curves["product"] = built.tolist()
        entries.append(entry)
        _doubt_bend(group, entry, plateau)
    return entries


def _doubt_bend(group: TemperatureFits, entry: BuildUp, plateau: float) -> None:
    pair = "-".join(entry.pair)
    if not any(cross > 3 * se for cross, se in zip(entry.cross, entry.cross_se, strict=True)):
        return  # nothing has been seen of this peak: that is told, and where its bend lies is not known
    match plateau_reached(entry.cross, plateau):
        case "before":
            top = max(entry.cross) / plateau
            group.doubt(
                "all_before_bend",
                f"{pair}: the longest Tmix reaches {100 * top:.0f} % of the plateau p_i p_j: rate and plateau are "
                "told apart by the populations alone",
                "add a longer mixing time, as far as T1 allows",
                top,
            )
        case "after":
            low = min(entry.cross) / plateau
            group.doubt(
                "all_after_bend",
                f"{pair}: the shortest Tmix is already at {100 * low:.0f} % of the plateau: the rate is hardly seen",
                "add a mixing time several times shorter",
                low,
            )


def comparison_entry(group: TemperatureFits) -> ModelComparison | None:
    """Return which of exchange and layered diffusion the same data favour; None without both."""
    if group.exchange is None or group.layered is None:
        return None
    fits = {"exchange": group.exchange.fit, "layered": group.layered.fit}
    scale = max(1.0, min(one.chi2_red for one in fits.values()))
    aicc = {name: scaled_aicc(one, scale) for name, one in fits.items()}
    if not all(np.isfinite(list(aicc.values()))):
        return None
    favoured = min(aicc, key=lambda name: aicc[name])
    gap = max(aicc.values()) - min(aicc.values())
    remark = "the product form is fitted to the mean cross peaks alone, so it is not in this comparison"
    if group.shape is not None and "finite" in group.shape.contact:
        remark = f"layers with a resisting contact have discrete exchange as their limit of fast diffusion; {remark}"
    if scale > 1:
        remark = f"chi2 divided by {scale:.2f}, the best model's chi2_red; {remark}"
    return ModelComparison(
        T_K=group.data.T_K, aicc=aicc, favoured=favoured, decisive=gap >= DECISIVE_AICC, remark=remark
    )
