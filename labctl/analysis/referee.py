"""Doubts about the data themselves, each with its number and advice; doubts about fits stand beside the fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labctl.analysis.buildup import MixingPoint
from labctl.analysis.context import Thresholds
from labctl.analysis.gather import PLAUSIBLE_K, Measured
from labctl.analysis.nmr.line_shift import SiteLine
from labctl.analysis.results import T1, ResultWarning


def doubts_of_acquisition(measured: Measured) -> Iterable[ResultWarning]:
    """Halted or unfinished data, and temperatures that cannot be."""
    raw = measured.raw
    if measured.completeness != "complete":
        part = "fewer scans than asked" if raw.dimension == "1D" else f"{raw.rows_acquired} of {raw.rows_asked} rows"
        yield ResultWarning(
            code="partial",
            message=f"{part} ({raw.ending}); what is there was used",
            advice="errors account for the missing rows; measure again if they are too large",
            where=measured.name,
            value=raw.rows_acquired / max(1, raw.rows_asked),
        )
    sensor = raw.acqus.get("TE")
    if isinstance(sensor, (int, float)) and not PLAUSIBLE_K[0] <= sensor <= PLAUSIBLE_K[1]:
        yield ResultWarning(
            code="temperature",
            message=f"TE = {sensor:g} K cannot be the sample's temperature (outside {PLAUSIBLE_K[0]:g} to "
            f"{PLAUSIBLE_K[1]:g} K)",
            advice="no variable-temperature unit was connected; state the temperature",
            where=measured.name,
            value=float(sensor),
        )


def doubts_of_matrix(point: MixingPoint, sites: Sequence[str], limits: Thresholds) -> Iterable[ResultWarning]:
    """Asymmetry beyond noise: incomplete recovery with unequal T1, or a phase."""
    sigma, (i, j) = point.asymmetry()
    if abs(sigma) > limits.asymmetry_sigma:
        ratio = point.A[i, j] / point.A[j, i] if point.A[j, i] else 0.0
        yield ResultWarning(
            code="asymmetry",
            message=f"cross peaks {sites[i]}-{sites[j]} differ by {abs(sigma):.1f} standard errors "
            f"(ratio {ratio:.3f}) at Tmix {point.tmix_s:g} s",
            advice="unequal T1 with a short recycle delay makes this, and so does a phase error; cross peaks of "
            "fully recovered sites are symmetric for any T1",
            where=point.dataset,
            value=float(sigma),
        )


def doubts_of_T1(entry: T1) -> Iterable[ResultWarning]:
    """Delays that do not cover the recovery."""
    longest, shortest = max(entry.delays_s), min(entry.delays_s)
    if longest < 2.5 * entry.T1_s or shortest > 0.5 * entry.T1_s:
        short = longest < 2.5 * entry.T1_s
        yield ResultWarning(
            code="T1_range",
            message=f"T1 of {entry.site} = {entry.T1_s:.3g} s is not covered by delays {shortest:g} to {longest:g} s",
            advice="add delays up to 5 T1" if short else "add delays below T1/5",
            where=entry.dataset,
            value=entry.T1_s,
        )


def doubts_of_references(
    lines: Sequence[tuple[str, Sequence[SiteLine]]], limits: Thresholds
) -> Iterable[ResultWarning]:
    """Lines of one temperature's reference 1Ds, in time order: shift, area and width against the first."""
    for name, later in lines[1:]:
        yield from compare_references(lines[0][0], lines[0][1], name, later, limits)


def compare_references(
    first_name: str, first: Sequence[SiteLine], name: str, later: Sequence[SiteLine], limits: Thresholds
) -> Iterable[ResultWarning]:
    """Compare two reference 1Ds; a change counts when it exceeds the limit and three standard errors."""
    by_site = {line.site: line for line in first}
    for line in later:
        was = by_site.get(line.site)
        if was is None:
            continue
        area = line.area / was.area - 1 if was.area else 0.0
        width = line.fwhm_Hz / was.fwhm_Hz - 1 if was.fwhm_Hz else 0.0
        shift_se = (line.ppm_se**2 + was.ppm_se**2) ** 0.5
        area_se = ((line.area_se / line.area) ** 2 + (was.area_se / was.area) ** 2) ** 0.5 if line.area else 0.0
        width_se = (line.fwhm_se_Hz**2 + was.fwhm_se_Hz**2) ** 0.5 / was.fwhm_Hz if was.fwhm_Hz else 0.0
        changes = (
            ("drift_shift", line.ppm - was.ppm, shift_se, limits.reference_shift_ppm, "moved by {:+.3f} ppm", 1.0),
            ("drift_area", area, area_se, limits.reference_area, "changed its area by {:+.1f} %", 100.0),
            ("drift_width", width, width_se, limits.reference_width, "changed its width by {:+.1f} %", 100.0),
        )
        for code, value, se, limit, text, factor in changes:
            if abs(value) > limit and abs(value) > 3 * se:
                yield ResultWarning(
                    code=code,
                    message=f"{line.site} {text.format(factor * value)} since {first_name}",
                    advice="look at field, tuning, rotor and sample before trusting what lies between",
                    where=name,
                    value=float(value),
                )
