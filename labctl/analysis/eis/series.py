"""All impedance of an analysis: spectra by sample and temperature, fits, Arrhenius lines in both conventions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from labctl.analysis.eis.conductivity import cell_constant
from labctl.analysis.eis.conductivity_line import (
    ConductivityLine,
    SigmaConvention,
    conductivity_line,
    prefactor_check,
)
from labctl.analysis.eis.entries import bare_entry, spectrum_entry
from labctl.analysis.eis.gather import MeasuredSpectrum
from labctl.analysis.eis.ladder import with_continuity
from labctl.analysis.eis.noise import ErrorModel, Fixture
from labctl.analysis.eis.spectrum import Prepared, SpectrumAnalysis, analyse_prepared, prepared
from labctl.analysis.eis_results import Eis, EisArrhenius, EisSpectrum, NotResolved, Prefactor
from labctl.analysis.grouping import SAME_TEMPERATURE_K
from labctl.analysis.results import ResultWarning

Attempt = Callable[[str, Callable[[], None]], None]

IRREVERSIBLE_SIGMA = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EisOptions:
    """How impedance is analysed.

    Attributes
    ----------
    errors : ErrorModel or None
        Of all spectra; None: what each sidecar states, else each spectrum's own scatter.
    fixture : Fixture or None
        What conducts beside the sample; None: what each sidecar states of the open holder.
    continuity : bool
        One circuit for all temperatures of a sample, exponents tied; independent fits are kept beside.
    """

    errors: ErrorModel | None = None
    fixture: Fixture | None = None
    continuity: bool = False


def analyse_series(
    measured: Sequence[MeasuredSpectrum], *, attempt: Attempt, options: EisOptions | None = None
) -> tuple[Eis, list[ResultWarning]]:
    """Return entries of all spectra and lines, and the doubts a referee would raise.

    Parameters
    ----------
    attempt : callable
        Runs one piece by its name and keeps its failure from the others.
    """
    options = options or EisOptions()
    eis = Eis()
    warnings: list[ResultWarning] = []
    doubts: list[ResultWarning] = []
    for sample, members in _by_sample(measured).items():
        analyses: dict[str, SpectrumAnalysis] = {}
        ready: dict[str, Prepared] = {}
        for one in members:

            def prepare(one: MeasuredSpectrum = one, ready: dict[str, Prepared] = ready) -> None:
                ready[one.name] = prepared(one.spectrum, errors=options.errors, fixture=options.fixture)

            attempt(f"impedance of {one.name}", prepare)

        def fit(ready: dict[str, Prepared] = ready, analyses: dict[str, SpectrumAnalysis] = analyses) -> None:
            analyses |= dict(zip(ready, analyse_prepared(list(ready.values())), strict=True))

        if ready:
            attempt(f"circuits of {sample}", fit)
        tied: dict[str, SpectrumAnalysis] = {}
        if options.continuity and len(analyses) > 1:

            def tie(analyses: dict[str, SpectrumAnalysis] = analyses, tied: dict[str, SpectrumAnalysis] = tied) -> None:
                tied |= dict(zip(analyses, with_continuity(list(analyses.values())), strict=True))

            attempt(f"continuity of {sample}", tie)
        entries = [_entry(one, analyses, tied) for one in members]
        eis.spectra += entries
        warnings += [
            ResultWarning(code="impedance", message=text, where=entry.dataset)
            for entry in entries
            for text in entry.warnings
        ]

        def lines(
            sample: str = sample, entries: list[EisSpectrum] = entries, members: list[MeasuredSpectrum] = members
        ) -> None:
            found, said = arrhenius_of(sample, entries, members)
            eis.arrhenius += found
            doubts.extend(said)

        attempt(f"Arrhenius line of {sample}", lines)
    for line in eis.arrhenius:
        line.continuity = options.continuity
    return eis, [*warnings, *doubts]


def _entry(
    one: MeasuredSpectrum, analyses: dict[str, SpectrumAnalysis], tied: dict[str, SpectrumAnalysis]
) -> EisSpectrum:
    if one.name not in analyses:
        return bare_entry(one)
    if one.name in tied:
        return spectrum_entry(one, tied[one.name], independent=analyses[one.name])
    return spectrum_entry(one, analyses[one.name])


def _by_sample(measured: Sequence[MeasuredSpectrum]) -> dict[str, list[MeasuredSpectrum]]:
    groups: dict[str, list[MeasuredSpectrum]] = defaultdict(list)
    for one in measured:
        groups[one.sample].append(one)
    return {
        sample: sorted(members, key=lambda one: (one.T_K is None, one.T_K or 0.0, one.spectrum.started_s or 0.0))
        for sample, members in groups.items()
    }


def arrhenius_of(
    sample: str, entries: Sequence[EisSpectrum], members: Sequence[MeasuredSpectrum]
) -> tuple[list[EisArrhenius], list[ResultWarning]]:
    """Return the lines of one sample in both conventions, and why there are none."""
    pellets = [one.spectrum.pellet for one in members]
    with_sigma = all(pellet is not None for pellet in pellets)
    warnings: list[ResultWarning] = []
    if not with_sigma:
        warnings.append(
            ResultWarning(
                code="no_geometry",
                message=f"{sample}: thickness and diameter of the pellet are not known; conductances only",
                advice='write {"thickness_mm": ..., "diameter_mm": ...} into <file>.eis.json beside the data',
                where=sample,
            )
        )
    points = [one for one in entries if one.resolved and one.T_K is not None]
    absent = [one for one in entries if not one.resolved and one.T_K is not None and one.fit is not None]
    if len({round(one.T_K or 0.0, 2) for one in points}) < 2:
        known = sum(one.T_K is not None for one in entries)
        warnings.append(
            ResultWarning(
                code="no_arrhenius",
                message=f"{sample}: {len(points)} resolved spectra at known temperatures (of {len(entries)}, "
                f"{known} with a temperature): no activation energy",
                advice="state temperature_K in <file>.eis.json; measure at two temperatures at least",
                where=sample,
            )
        )
        return [], warnings
    doubts = _irreversible(sample, points)
    warnings += [ResultWarning(code="irreversible", message=text, where=sample) for text in doubts]
    value, se = _values(points, with_sigma=with_sigma)
    T_K, T_se_K = [one.T_K or 0.0 for one in points], [one.T_moved_se_K or 0.0 for one in points]
    # One calibration for the whole campaign: were it wrong, all temperatures would be wrong together.
    calibration_K = max((one.T_se_K for one in points if one.T_se_K is not None), default=None)
    conventions: tuple[SigmaConvention, ...] = ("ln sigma", "ln sigma T")
    found = [
        conductivity_line(T_K, value, se, T_se_K=T_se_K, calibration_K=calibration_K, convention=one)
        for one in conventions
    ]
    judged = _prefactor(found[1]) if with_sigma and found[1] is not None else None
    if judged is not None and judged.verdict != "usual":
        warnings.append(
            ResultWarning(code="prefactor", message=judged.message, where=sample, value=judged.A_S_K_per_cm)
        )
    lines = []
    for line in found:
        if line is not None:
            entry = _line_entry(sample, line, points, absent, members, value, se, with_sigma=with_sigma)
            entry.prefactor = judged
            entry.warnings += doubts
            lines.append(entry)
    return lines, warnings


def _values(points: Sequence[EisSpectrum], *, with_sigma: bool) -> tuple[list[float], list[float]]:
    if with_sigma:
        return [one.sigma_S_per_cm or 0.0 for one in points], [one.sigma_se_S_per_cm or 0.0 for one in points]
    return [one.G_S or 0.0 for one in points], [one.G_se_S or 0.0 for one in points]


def _prefactor(line: ConductivityLine) -> Prefactor:
    check = prefactor_check(line)
    return Prefactor(
        A_S_K_per_cm=check.A_S_K_per_cm, ln_A_se=check.ln_A_se, verdict=check.verdict, message=check.message
    )


def _irreversible(sample: str, points: Sequence[EisSpectrum]) -> list[str]:
    """Compare spectra taken at one temperature before and after the ladder."""
    said = []
    for at, first in enumerate(points):
        for later in points[at + 1 :]:
            if abs((later.T_K or 0.0) - (first.T_K or 0.0)) > SAME_TEMPERATURE_K:
                continue
            change = (later.G_S or 0.0) / (first.G_S or 1.0) - 1
            error = ((later.G_se_S or 0.0) / (later.G_S or 1.0)) ** 2 + (
                (first.G_se_S or 0.0) / (first.G_S or 1.0)
            ) ** 2
            error = (1 + change) * error**0.5
            if abs(change) > IRREVERSIBLE_SIGMA * error and abs(change) > 0.02:
                before_after = first.started_s is not None and later.started_s is not None
                said.append(
                    f"{sample}: two spectra at {first.T_K:.1f} K differ by {100 * change:+.1f} % in conductance "
                    f"({abs(change) / error:.1f} standard errors): the sample or its contacts changed in between"
                    if not before_after
                    else f"{sample}: back at {first.T_K:.1f} K the conductance changed by {100 * change:+.1f} % "
                    f"({abs(change) / error:.1f} standard errors): the sample or its contacts changed on the way"
                )
    return said


def _line_entry(
    sample: str,
    line: ConductivityLine,
    points: Sequence[EisSpectrum],
    absent: Sequence[EisSpectrum],
    members: Sequence[MeasuredSpectrum],
    value: list[float],
    se: list[float],
    *,
    with_sigma: bool,
) -> EisArrhenius:
    fit = line.fit
    warnings = list(fit.warnings)
    missing = [
        NotResolved(
            dataset=one.dataset,
            T_K=one.T_K or 0.0,
            upper=one.sigma_upper_S_per_cm if with_sigma else one.G_upper_S,
            lower=one.sigma_lower_S_per_cm if with_sigma else one.G_lower_S,
        )
        for one in absent
    ]
    if missing:
        where = ", ".join(f"{one.T_K:.1f} K" for one in missing)
        warnings.append(f"not resolved at {where}: left out of the line, with limits beside it")
    for one in missing:
        expected, error = line.at(one.T_K)
        if one.upper is not None and expected - 2 * error > one.upper:
            warnings.append(
                f"at {one.T_K:.1f} K the line says {expected:.2g}, but the spectrum allows {one.upper:.2g} at most: "
                "the line is bent or another process conducts when warm"
            )
    constants = [cell_constant(one.spectrum.pellet) for one in members if one.spectrum.pellet is not None]
    geometry = max((one.relative_se for one in constants if one.relative_se is not None), default=None)
    if with_sigma and geometry is None:
        warnings.append("the pellet's dimensions were stated without errors: those of sigma are of the spectra alone")
    entry = EisArrhenius(
        sample=sample,
        quantity="conductivity" if with_sigma else "conductance",
        convention=line.convention,
        Ea_eV=fit.Ea_eV,
        Ea_se_eV=fit.Ea_se_eV,
        Ea_ci95_eV=list(fit.Ea_ci95_eV),
        Ea_se_calibration_eV=line.Ea_se_calibration,
        ln_A=line.ln_A,
        ln_A_se=line.ln_A_se,
        ln_A_geometry_se=geometry if with_sigma else None,
        Ea_ln_A_covariance=line.Ea_ln_A_covariance.tolist(),
        ln_value_at_ref=fit.ln_value_at_ref,
        ln_value_at_ref_se=fit.ln_value_at_ref_se,
        T_ref_K=fit.T_ref_K,
        T_K=[one.T_K or 0.0 for one in points],
        value=value,
        value_se=se,
        unit="S/cm" if with_sigma else "S",
        datasets=[one.dataset for one in points],
        not_resolved=missing,
        chi2_red=fit.chi2_red,
        warnings=warnings,
    )
    if with_sigma:
        entry.sigma_25C_S_per_cm, entry.sigma_25C_se_S_per_cm = line.sigma_room, line.sigma_room_se
        entry.sigma_25C_se_calibration_S_per_cm = line.sigma_room_se_calibration
        entry.sigma_25C_geometry_se_S_per_cm = None if geometry is None else geometry * line.sigma_room
    else:
        entry.G_25C_S, entry.G_25C_se_S = line.sigma_room, line.sigma_room_se
        entry.G_25C_se_calibration_S = line.sigma_room_se_calibration
    return entry
