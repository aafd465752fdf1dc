"""A verdict on one dataset the moment it is there: numbers that later steps need, and whether to go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labctl.analysis.context import AnalysisContext
from labctl.analysis.gather import Measured, measured_of, role_of
from labctl.analysis.measured_entries import mixing_point
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.line_shift import SiteLine, measure_lines
from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.nutation import fit_nutation
from labctl.analysis.nmr.relaxation import fit_recovery
from labctl.analysis.referee import compare_references, doubts_of_acquisition, doubts_of_matrix
from labctl.analysis.results import ResultWarning
from labctl.dataset.model import Dataset, Verdict

T1_RESOLVED = 0.5
"""A T1 whose standard error is more than this fraction of it decides no recycle delay."""

Earlier = Sequence[tuple[Dataset, Verdict]]


def judge(run_dir: Path, dataset: Dataset, context: AnalysisContext, earlier: Earlier = ()) -> Verdict:
    """Return what one dataset says by itself and against earlier ones of its temperature.

    ``measured`` holds, by kind: ``T1_s/<site>`` and ``T1_se_s/<site>``, or ``T1_unresolved/<site>``;
    ``line_ppm/<site>`` with ``line_ppm_se``, ``area``, ``area_se``, ``fwhm_Hz``, ``fwhm_se_Hz`` alike; ``p90_us``,
    ``p90_se_us``; ``snr``, ``asymmetry_sigma``; of impedance ``R_ohm``, ``R_se_ohm`` or ``G_upper_S``, and
    ``kk_max_residual``; of cycling ``cycles``, ``counted``, ``CE_last``, ``CE_mean``, ``Q_discharge_last_mAh``. Gates:
    ``settled`` when the line has stopped moving, ``stop`` when the pulse is far off. Never raises: a dataset that
    cannot be analysed passes with a warning, because its raw data are safe.

    Parameters
    ----------
    earlier : sequence of (Dataset, Verdict)
        In the order acquired; those of other temperatures are ignored.
    """
    try:
        if dataset.kind == "impedance":
            from labctl.analysis.eis.verdict import judge_impedance  # noqa: PLC0415 - not every campaign has any

            return judge_impedance(run_dir, dataset)
        if dataset.kind == "cycling":
            from labctl.analysis.cycling.verdict import judge_cycling  # noqa: PLC0415 - alike

            return judge_cycling(run_dir, dataset)
        measured = measured_of(run_dir, dataset)
        verdict = _of_kind(measured, dataset, context, earlier)
        doubts = tuple(one.message for one in doubts_of_acquisition(measured))
    except Exception as problem:  # noqa: BLE001 - a fit must never kill a campaign
        text = f"could not be analysed: {type(problem).__name__}: {problem}"
        return Verdict(message=text, warnings=(text,))
    return Verdict(
        gate=verdict.gate,
        measured={name: float(value) for name, value in verdict.measured.items() if np.isfinite(value)},
        message=verdict.message,
        warnings=(*doubts, *verdict.warnings),
    )


def _of_kind(measured: Measured, dataset: Dataset, context: AnalysisContext, earlier: Earlier) -> Verdict:
    same = [
        (other, verdict)
        for other, verdict in earlier
        if other.station == dataset.station
        and other.procedure == dataset.procedure
        and other.temperature_index == dataset.temperature_index
        and other.step_id != dataset.step_id
    ]
    match measured.kind:
        case "saturation_recovery":
            return _recovery(measured, context)
        case "nutation":
            return _nutation(measured, dataset, context)
        case "exsy":
            return _exsy(measured, context)
        case "one_pulse" if measured.role == "line":
            return _line_check(measured, dataset, context, same)
        case "one_pulse":
            return _reference(measured, context, same)
        case _:
            return Verdict(message="nothing is judged of this kind of data")


def _recovery(measured: Measured, context: AnalysisContext) -> Verdict:
    found = fit_recovery(measured.raw, sites=context.sites or None, T_K=measured.T_K, name=measured.name)
    numbers: dict[str, float] = {}
    told = []
    for one in found:
        if one.T1_se_s < T1_RESOLVED * one.T1_s:
            numbers |= {f"T1_s/{one.site}": one.T1_s, f"T1_se_s/{one.site}": one.T1_se_s}
            told.append(f"{one.site} {one.T1_s:.3g} +- {one.T1_se_s:.2g} s")
        else:
            numbers[f"T1_unresolved/{one.site}"] = 1.0
            told.append(f"{one.site} not resolved")
    said = ", ".join(told)
    warnings = tuple(f"{one.site}: {text}" for one in found for text in one.warnings)
    return Verdict(measured=numbers, message=f"T1: {said}", warnings=warnings)


def _nutation(measured: Measured, dataset: Dataset, context: AnalysisContext) -> Verdict:
    found = fit_nutation(measured.raw, sites=context.sites or None, name=measured.name)
    numbers = {"p90_us": 1e6 * found.p90_s, "p90_se_us": 1e6 * found.p90_se_s}
    expected_s = float(dataset.settings.get("pulse_s", measured.raw.pulse_s) or 0.0)
    said = f"90 degree pulse {1e6 * found.p90_s:.2f} +- {1e6 * found.p90_se_s:.2f} us"
    if expected_s > 0:
        off = found.p90_s / expected_s - 1
        said += f", {100 * off:+.1f} % of the expected {1e6 * expected_s:.2f} us"
        if abs(off) > context.thresholds.p90 and abs(off) > 2 * found.p90_se_s / expected_s:
            said += ": look at tuning, amplifier and sample before going on"
            return Verdict(gate="stop", measured=numbers, message=said, warnings=(said, *found.warnings))
    return Verdict(measured=numbers, message=said, warnings=found.warnings)


def _exsy(measured: Measured, context: AnalysisContext) -> Verdict:
    lines = refine_lines([measured.raw], sites=context.sites or None)
    matrix = estimate_amplitudes(measured.raw, lines, T_K=measured.T_K, name=measured.name)
    point = mixing_point(matrix, lines)
    total = float(matrix.A.sum())
    snr = total / float(np.sqrt(matrix.cov.sum())) if matrix.cov.sum() > 0 else 0.0
    sigma, (i, j) = point.asymmetry()
    a, _ = point.normalised()
    said = f"SNR of the sum {snr:.0f}"
    if len(matrix.sites) > 1:
        said += f"; largest asymmetry {abs(sigma):.1f} sigma ({matrix.sites[i]}-{matrix.sites[j]}); " + ", ".join(
            f"{matrix.sites[m]}-{matrix.sites[n]} {50 * (a[m, n] + a[n, m]):.2f} %"
            for m in range(len(a))
            for n in range(m + 1, len(a))
        )
    doubts = tuple(one.message for one in doubts_of_matrix(point, matrix.sites, context.thresholds))
    return Verdict(
        measured={"snr": snr, "asymmetry_sigma": abs(sigma)},
        message=said,
        warnings=(*doubts, *lines.warnings, *matrix.warnings),
    )


def _line_check(measured: Measured, dataset: Dataset, context: AnalysisContext, same: Earlier) -> Verdict:
    """Settled when every line moved slower than the limit since the last check, beyond the error of both."""
    lines = measure_lines(measured.raw, sites=context.sites or None)
    numbers = _numbers(lines)
    limits = context.thresholds
    limit = limits.settle_shift_ppm / limits.settle_per_s
    checks = [(other, verdict) for other, verdict in same if _is_line(other, verdict)]
    if not checks:
        return Verdict(measured=numbers, message="first line check of this temperature")
    before, was = max(checks, key=lambda one: one[0].started_s)
    elapsed = dataset.started_s - before.started_s
    moves = {
        line.site: line.ppm - was.measured[f"line_ppm/{line.site}"]
        for line in lines
        if f"line_ppm/{line.site}" in was.measured
    }
    if elapsed <= 0 or not moves:
        return Verdict(measured=numbers, message="no earlier line check to compare with")
    # A broad line is located worse than the limit asks; it must not keep the campaign from starting.
    errors = {
        line.site: float(np.hypot(line.ppm_se, was.measured.get(f"line_ppm_se/{line.site}", 0.0))) for line in lines
    }
    rates = {site: max(0.0, abs(move) - 2 * errors[site]) / elapsed for site, move in moves.items()}
    worst = max(rates, key=lambda site: (rates[site], abs(moves[site])))
    said = (
        f"{worst} moved {moves[worst]:+.4f} +- {errors[worst]:.4f} ppm in {elapsed / 60:.0f} min "
        f"(limit {limits.settle_shift_ppm:g} ppm per {limits.settle_per_s / 60:g} min)"
    )
    if rates[worst] < limit:
        return Verdict(gate="settled", measured=numbers, message=said)
    return Verdict(measured=numbers, message=f"not settled: {said}")


def _reference(measured: Measured, context: AnalysisContext, same: Earlier) -> Verdict:
    lines = measure_lines(measured.raw, sites=context.sites or None)
    said = ", ".join(f"{line.site} {line.ppm:.3f} ppm, {line.fwhm_Hz:.1f} Hz" for line in lines)
    references = [
        (other, verdict)
        for other, verdict in same
        if not _is_line(other, verdict) and any(name.startswith("line_ppm/") for name in verdict.measured)
    ]
    doubts: list[ResultWarning] = []
    if references:
        first, verdict = min(references, key=lambda one: one[0].started_s)
        was = _lines_of(verdict, [line.site for line in lines])
        doubts = list(compare_references(first.step_id, was, measured.name, lines, context.thresholds))
    return Verdict(measured=_numbers(lines), message=said, warnings=tuple(one.message for one in doubts))


def _numbers(lines: Sequence[SiteLine]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for line in lines:
        numbers |= {
            f"line_ppm/{line.site}": line.ppm,
            f"line_ppm_se/{line.site}": line.ppm_se,
            f"area/{line.site}": line.area,
            f"area_se/{line.site}": line.area_se,
            f"fwhm_Hz/{line.site}": line.fwhm_Hz,
            f"fwhm_se_Hz/{line.site}": line.fwhm_se_Hz,
        }
    return numbers


def _lines_of(verdict: Verdict, sites: Sequence[str]) -> list[SiteLine]:
    """Return the lines an earlier verdict measured."""
    numbers = verdict.measured
    return [
        SiteLine(
            site=site,
            ppm=numbers[f"line_ppm/{site}"],
            ppm_se=numbers.get(f"line_ppm_se/{site}", 0.0),
            area=numbers.get(f"area/{site}", 0.0),
            area_se=numbers.get(f"area_se/{site}", 0.0),
            fwhm_Hz=numbers.get(f"fwhm_Hz/{site}", 0.0),
            fwhm_se_Hz=numbers.get(f"fwhm_se_Hz/{site}", 0.0),
        )
        for site in sites
        if f"line_ppm/{site}" in numbers
    ]


def _is_line(dataset: Dataset, verdict: Verdict) -> bool:
    return role_of(dataset) == "line" and any(name.startswith("line_ppm/") for name in verdict.measured)
