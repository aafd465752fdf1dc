"""A campaign's own number beside each published one: where it stands in the results, and what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from labctl.analysis.cycling_results import CyclingCell
from labctl.analysis.eis_results import EisArrhenius
from labctl.analysis.published_results import Comparison
from labctl.analysis.results import Arrhenius, Exsy, Results
from labctl.analysis.verdict_on_published import Finding, Judged, judge_conventions
from labctl.protocol.published import Published, PublishedConductivity, PublishedCycling, PublishedExchange, is_pair

SAME_T_K = 2.0
"""A published temperature further from any measured one has no counterpart."""


def compare(results: Results, procedure: str, sample: str, published: Iterable[Published]) -> list[Comparison]:
    """Return the verdict on everything published of one procedure (``station/name``), in the author's order."""
    return [_entry(results, procedure, sample, one) for one in published]


def _entry(results: Results, procedure: str, sample: str, one: Published) -> Comparison:
    claim = one.claim()
    of, convention = "", ""
    findings: list[Finding] = []
    hindrance = ""
    match one:
        case PublishedExchange():
            of, convention = one.of, one.convention
            findings, hindrance = _exchange(_exsy_of(results, procedure), one)
        case PublishedConductivity():
            convention = one.convention
            lines = _lines_of(results, procedure, sample)
            if one.what == "conductivity":  # the same number whichever line it is read off, but for a part of its error
                lines = sorted(lines, key=lambda line: line.convention != one.convention)[:1]
            findings = [_conductivity(line, one) for line in lines]
        case PublishedCycling():
            cell = next((cell for cell in results.cycling.cells if _within(cell.dataset, procedure)), None)
            findings = [_cycling(cell, one)] if cell is not None else []
    if claim.relation == "shown":
        findings = [Finding()]
    judged, found = judge_conventions(claim, convention, findings)
    if hindrance and claim.relation != "shown":
        judged = Judged(verdict="not comparable", why=hindrance)
    return Comparison(
        figure=one.figure,
        procedure=procedure,
        sample=sample,
        what=one.what,
        of=of,
        unit="of all intensity" if one.what == "cross peak" else claim.unit,
        relation=claim.relation,
        published=claim.value,
        published_se=claim.error,
        published_step=claim.step if claim.value is not None else None,
        published_convention=convention,
        ours=_finite(found.value),
        ours_se=_finite(found.se),
        bound=found.bound,
        ours_convention=found.convention,
        method=found.method,
        n_sigma=_finite(judged.n_sigma),
        verdict=judged.verdict,
        why="; ".join(part for part in (judged.why, found.note, one.remark) if part),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _within(dataset: str, procedure: str) -> bool:
    return dataset.startswith(f"{procedure}/")


def _together(*errors: float | None) -> float | None:
    """Independent errors in quadrature; None where none of them is known."""
    known = [one for one in errors if one is not None]
    return math.hypot(*known) if known else None


# --------------------------------------------------------------------------------------------------------- exchange


def _exsy_of(results: Results, procedure: str) -> Exsy:
    return next((one.exsy for one in results.other_samples if one.procedure == procedure), results.exsy)


def _exchange(exsy: Exsy, one: PublishedExchange) -> tuple[list[Finding], str]:
    """What was found of it, and what hinders a comparison."""
    if one.what == "cross peak":
        return _cross_peak(exsy, one), ""
    if one.what != "activation energy":
        return [], ""
    match one.by:
        case "pairs":
            return _pairs(exsy, one.of), ""
        case "layers":
            found = [
                _energy(line) for line in exsy.arrhenius if (line.model, line.quantity) == ("global", f"kD {one.of}")
            ]
        case "rates":
            found = [
                _energy(line) for line in exsy.arrhenius if (line.model, line.quantity) == ("exchange", f"k {one.of}")
            ]
        case _:
            return [], "by which model it was found is not stated, and energies of different models are not comparable"
    return found, ""


def _energy(line: Arrhenius) -> Finding:
    return Finding(
        value=line.Ea_eV,
        se=_together(line.Ea_se_eV, line.Ea_se_calibration_eV),
        convention=line.convention,
        method="all temperatures together" if line.model == "global" else f"{line.model} at each temperature",
    )


def _pairs(exsy: Exsy, of: str) -> list[Finding]:
    """The published kind of analysis on the same data: never labctl's own number, which stands in the note."""
    pairs = exsy.paper.pairs if exsy.paper is not None else []
    mine = {pair.intensities: pair for pair in pairs if is_pair(of, pair.pair)}
    boxes, lines = mine.get("boxes"), mine.get("lines")
    if boxes is None or boxes.Ea_eV is None:
        return []
    notes = []
    if lines is not None and lines.Ea_eV is not None and lines.Ea_se_eV is not None:
        notes.append(f"the same model on fitted lines instead of boxes: {lines.Ea_eV:.3f} ± {lines.Ea_se_eV:.3f} eV")
    if boxes.misfits:
        notes.append("the model does not fit these data, so that its errors say little")
    return [
        Finding(
            value=boxes.Ea_eV,
            se=boxes.Ea_se_eV,
            convention="ln D",
            method="as the paper did it: pairs one by one, boxes",
            note="; ".join(notes),
        )
    ]


def _cross_peak(exsy: Exsy, one: PublishedExchange) -> list[Finding]:
    assert one.at_K is not None
    assert one.mixing_time_s is not None
    population = {site.name: site.population for site in exsy.sites}
    found = []
    for entry in exsy.buildup:
        if not is_pair(one.of, entry.pair) or entry.T_K is None or abs(entry.T_K - one.at_K) > SAME_T_K:
            continue
        p = [population.get(name) for name in entry.pair]
        ceiling = p[0] * p[1] if p[0] is not None and p[1] is not None else None
        for tmix_s, cross, se in zip(entry.tmix_s, entry.cross, entry.cross_se, strict=True):
            if math.isclose(tmix_s, one.mixing_time_s, rel_tol=0.01):
                found.append(
                    Finding(value=cross, se=se, ceiling=ceiling, method="amplitudes of the lines, mean of both peaks")
                )
    return found[:1]


# -------------------------------------------------------------------------------------------------------- impedance


def _lines_of(results: Results, procedure: str, sample: str) -> Sequence[EisArrhenius]:
    mine = [line for line in results.eis.arrhenius if any(_within(name, procedure) for name in line.datasets)]
    return mine or [line for line in results.eis.arrhenius if line.sample == sample]


def _conductivity(line: EisArrhenius, one: PublishedConductivity) -> Finding:
    left_out = f"{len(line.not_resolved)} temperature(s) not resolved, left out" if line.not_resolved else ""
    method = f"{len(line.T_K)} spectra, equivalent circuits"
    if one.what == "activation energy":
        se = _together(line.Ea_se_eV, line.Ea_se_calibration_eV)
        return Finding(value=line.Ea_eV, se=se, convention=line.convention, method=method, note=left_out)
    se = _together(
        line.sigma_25C_se_S_per_cm, line.sigma_25C_se_calibration_S_per_cm, line.sigma_25C_geometry_se_S_per_cm
    )
    return Finding(value=line.sigma_25C_S_per_cm, se=se, method=f"{method}, line at 25 °C", note=left_out)


# ---------------------------------------------------------------------------------------------------------- cycling


def _cycling(cell: CyclingCell, one: PublishedCycling) -> Finding:
    told = cell.summary
    half = next((cycle.charge for cycle in cell.cycles if cycle.charge is not None), None)
    density = None if half is None else half.current_density_mA_per_cm2
    at = "" if density is None else f" at {density:.3g} mA/cm²"
    match one.what:
        case "activation plateau" | "overpotential":
            volts = told.activation_plateau_V if one.what == "activation plateau" else told.overpotential_V
            window = (
                "" if not told.plateau_window else "{:.0f} to {:.0f} %".format(*(100 * x for x in told.plateau_window))
            )
            over = (
                "" if told.equilibrium_V is None or one.what != "overpotential" else f", over {told.equilibrium_V:g} V"
            )
            return Finding(value=volts, method=f"mean of the first charge{at}, {window} of its capacity{over}")
        case "coulombic efficiency":
            se = _together(told.CE_mean_se, told.CE_mean_se_current)
            return Finding(value=_percent(told.CE_mean), se=_percent(se), method=f"mean of {told.counted} cycles{at}")
        case "last coulombic efficiency":
            last = next((cycle for cycle in reversed(cell.cycles) if cycle.counts and cycle.CE is not None), None)
            if last is None:
                return Finding()
            return Finding(value=_percent(last.CE), se=_percent(last.CE_se), method=f"cycle {last.cycle}{at}")
        case "discharge capacity":
            grams = (cell.mass_mg or 0.0) / 1000.0
            current = told.Q_discharge_mean_se_current_mAh
            scatter = told.Q_discharge_scatter_mAh
            se = _together(
                told.Q_discharge_mean_se_mass_mAh_per_g,
                current / grams if current is not None and grams > 0.0 else None,
                scatter / grams / math.sqrt(told.alike) if scatter is not None and grams > 0.0 and told.alike else None,
            )
            method = f"mean of {told.alike} cycles{at}, per gram of {cell.mass_basis}"
            return Finding(value=told.Q_discharge_mean_mAh_per_g, se=se, method=method)
        case _:
            return Finding()


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share
