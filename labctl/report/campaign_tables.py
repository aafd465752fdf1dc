"""The global fit of a campaign as tables: every geometry, every model, what was assumed and what is doubtful."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.analysis.layered_results import Contact, GlobalFit, LayeredFit, Phase
from labctl.analysis.results import Results
from labctl.report.numbers import plus_minus


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseRow:
    """One phase in one geometry, in words and numbers as people read them."""

    phase: str
    kD: str
    D: str
    Ea: str
    interval: str
    bootstrap: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryTable:
    """One geometry: its phases, how well it fits, how much of the Li takes part."""

    geometry: str
    reported: bool
    rows: tuple[PhaseRow, ...]
    contacts: tuple[str, ...]
    contact_fraction: str
    chi2_red: float
    aicc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignTables:
    """All that the page shows of the global fit."""

    T_ref_K: float
    geometries: tuple[GeometryTable, ...]
    models: tuple[tuple[str, float], ...]
    verdict: str
    straight: str
    assumptions: tuple[str, ...]
    warnings: tuple[str, ...]


def campaign_fit(results: Results) -> LayeredFit | None:
    """Return the campaign's global fit, if there is one."""
    return next((one for one in results.exsy.fits if isinstance(one, LayeredFit) and one.campaign is not None), None)


def campaign_tables(results: Results) -> CampaignTables | None:
    """Return the tables of the global fit; None without one."""
    fit = campaign_fit(results)
    if fit is None or fit.campaign is None:
        return None
    whole = fit.campaign
    tables = [
        GeometryTable(
            geometry=fit.geometry,
            reported=True,
            rows=tuple(_row(one) for one in fit.phases),
            contacts=tuple(_contact(one) for one in whole.contacts),
            contact_fraction=_fraction(whole.contact_fraction, whole.contact_fraction_se),
            chi2_red=fit.chi2_red,
            aicc=whole.aicc,
        )
    ]
    tables += [
        GeometryTable(
            geometry=one.geometry,
            reported=False,
            rows=tuple(_row(phase) for phase in one.phases),
            contacts=tuple(_contact(contact) for contact in one.contacts),
            contact_fraction=_fraction(one.contact_fraction, one.contact_fraction_se),
            chi2_red=one.chi2_red,
            aicc=one.aicc,
        )
        for one in whole.geometries
    ]
    return CampaignTables(
        T_ref_K=whole.T_ref_K,
        geometries=tuple(tables),
        models=_models(whole),
        verdict=_verdict(whole),
        straight=_straight(whole),
        assumptions=tuple(fit.assumptions),
        warnings=tuple(fit.warnings),
    )


def _row(phase: Phase) -> PhaseRow:
    sign = {"lower": "> ", "upper": "< "}.get(phase.bound or "", "")
    if phase.bound is not None:
        kD = f"{sign}{phase.kD_per_s:.3g} 1/s (95 %)"
        D = "" if phase.D_m2_per_s is None else f"{sign}{phase.D_m2_per_s:.2g} m²/s"
    else:
        kD = plus_minus(phase.kD_per_s, phase.kD_se, "1/s")
        D = "" if phase.D_m2_per_s is None else plus_minus(phase.D_m2_per_s, phase.D_se_m2_per_s, "m²/s")
    low, high = phase.Ea_ci95_eV or (None, None)
    ends = [("open" if end is None else f"{end:.3f}") for end in (low, high)]
    return PhaseRow(
        phase=phase.phase,
        kD=kD,
        D=D,
        Ea="none: only bounded" if phase.bound else plus_minus(phase.Ea_eV, phase.Ea_se_eV, "eV"),
        interval=f"{ends[0]} to {ends[1]} eV" if phase.Ea_ci95_eV else "",
        bootstrap="{:.3f} to {:.3f} eV".format(*phase.Ea_bootstrap_ci95_eV) if phase.Ea_bootstrap_ci95_eV else "",
    )


def _contact(contact: Contact) -> str:
    between = "–".join(contact.phases)
    if contact.rate_per_s is None:
        return f"{between}: perfect"
    if contact.bound is not None:
        return f"{between}: j0/(c d) {'>' if contact.bound == 'lower' else '<'} {contact.rate_per_s:.3g} 1/s"
    Ea = f", Ea {plus_minus(contact.Ea_eV, contact.Ea_se_eV, 'eV')}" if contact.Ea_eV is not None else ""
    return f"{between}: j0/(c d) = {plus_minus(contact.rate_per_s, contact.rate_se, '1/s')}{Ea}"


def _fraction(value: float, error: float | None) -> str:
    return f"{value:g}, assumed" if error is None else plus_minus(value, error)


def _models(whole: GlobalFit) -> tuple[tuple[str, float], ...]:
    """Models with how much worse than the best they are in AICc."""
    if whole.comparison is None:
        return ()
    best = min(whole.comparison.aicc.values())
    ordered = sorted(whole.comparison.aicc.items(), key=lambda item: item[1])
    return tuple((name, value - best) for name, value in ordered)


def _verdict(whole: GlobalFit) -> str:
    told = whole.comparison
    if told is None:
        return ""
    return (
        f"{told.favoured} is favoured" + (", decisively" if told.decisive else ", not decisively") + f"; {told.remark}"
    )


def _straight(whole: GlobalFit) -> str:
    one = whole.straightness
    if one is None:
        return "Two temperatures: whether the Arrhenius law holds is untested"
    return (
        f"Fitting kD at each temperature by itself lowers χ² by {one.chi2_drop:.1f} for {one.parameters} parameters "
        f"(chance {one.p_value:.2g})"
    )
