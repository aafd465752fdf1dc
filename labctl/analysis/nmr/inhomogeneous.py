"""From Voigt lines that do not describe the data to ones that do, and what the simpler ones would have made of them.

Two things go wrong with separable Voigt lines: t1 and t2 share a part of the width (offsets that outlast the mixing
time), or the line is none (lopsided, with feet). The first is tried where the data hint at it, then the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labctl.analysis.nmr.basis import voigt_fwhm_Hz
from labctl.analysis.nmr.doubt import Doubt
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lasting import LastingFit, fit_lasting, lasting_fwhm_Hz, less_tied, separable_chi2, solve
from labctl.analysis.nmr.lines import SHAPE_ADVICE, Line, LineSet
from labctl.analysis.nmr.own_shapes import with_empirical_shapes
from labctl.analysis.nmr.rows import Rows
from labctl.formats.bruker_dataset import BrukerDataset

LOOK_ADVICE = "look at the residual map: what is left beside the lines is what the list lacks"
SHARE = 0.15
"""Part of a width that must seem to be shared before the slower estimator is tried."""
_CHI2_FALL = 12.0
_LEAST_KEPT, _MOST_KEPT, _SURE = 0.7, 1.1, 2.0
"""What has kept its offset of the diagonal of the shortest Tmix, if lasting offsets are what is there: at least so much
of what did not move, at most so much of all; by the data alone, and by so many standard errors."""
_MOST_ROWS, _MOST_IN_ALL = 96, 192
"""Rows of a 2D and of all that are fitted: enough to find widths to 2 %; more costs time."""


def with_lasting_offsets(datasets: Sequence[BrukerDataset], lines: LineSet) -> LineSet:
    """Return lines that allow for offsets lasting over the mixing time, where the data ask for them.

    The 2Ds of the shortest Tmix are fitted, where most of the signal has kept its offset: two, or more that have few
    rows. Without a hint (`Line.inhomogeneous_Hz`), or where chi2 falls by less than 12, the shapes stay separable:
    `lines` as they are, or with shapes read from the data where Voigt lines do not describe them
    (`with_empirical_shapes`).
    """
    if not any(line.inhomogeneous_Hz > SHARE * line.fwhm_Hz for line in lines.lines):
        return with_empirical_shapes(datasets, lines)
    chosen = _shortest(datasets)
    rows = [lines.rows_of(one).first(_MOST_ROWS) for one in chosen]
    shifts = [lines.shifts_Hz[index] if (index := lines.index_of(one)) is not None else 0.0 for one in chosen]
    fit = fit_lasting(rows, lines.shape, lines.free, shifts)
    if separable_chi2(rows, fit, lines.shape, shifts) - fit.chi2 < _CHI2_FALL:
        return with_empirical_shapes(datasets, lines)
    chi2_red = fit.chi2 / max(1, fit.n_data - len(fit.names))
    kept, kept_se, moved = _kept(less_tied(rows, fit, shifts), rows[0], shifts[0])
    if kept + _SURE * kept_se < _LEAST_KEPT * (1.0 - moved) or kept - _SURE * kept_se > _MOST_KEPT:
        text = (
            "t1 and t2 seem to share a part of the width, but not as offsets would that outlast the mixing time "
            f"(the diagonal at {1e3 * (chosen[0].mixing_time_s or 0.0):.3g} ms has not kept them): separable shapes "
            "were used. A site missing from the list does this, exchange during t1 and t2, or a phase: look at "
            "what the lines leave"
        )
        return replace(lines, warnings=(*lines.warnings, Doubt(text, kept, LOOK_ADVICE)))
    warnings = [text for text in lines.warnings if "inhomogeneous" not in text and "chi2_red" not in text]
    if chi2_red > 1.5:
        warnings.append(
            Doubt(f"lasting offsets do not describe the data either: chi2_red {chi2_red:.2f}", chi2_red, SHAPE_ADVICE)
        )
    return replace(
        lines,
        lines=tuple(_line(fit, j, line, datasets[0], chi2_red) for j, line in enumerate(lines.lines)),
        shape=fit.shape,
        free=fit.names,
        cov=fit.cov * max(1.0, chi2_red),
        chi2_red=chi2_red,
        lasting=fit.lasting,
        warnings=tuple(warnings),
    )


def separable_bias(separable: AmplitudeMatrix, allowed: AmplitudeMatrix, lines: LineSet) -> str:
    """Return, in words, what separable shapes would have made of a 2D whose lines keep offsets."""
    a, b = separable.A / separable.A.sum(), allowed.A / allowed.A.sum()
    widths = ", ".join(
        f"{line.name} {line.inhomogeneous_Hz:.3g} of {line.fwhm_Hz:.3g} Hz"
        for line in lines.lines
        if line.inhomogeneous_Hz > line.inhomogeneous_se_Hz
    )
    off = ", ".join(
        f"{site} {100 * (separable.A[i, i] / allowed.A[i, i] - 1):+.1f} %" for i, site in enumerate(allowed.sites)
    )
    cross = np.abs(a - b)[~np.eye(len(a), dtype=bool)]
    return (
        f"t1 and t2 share a part of the width ({widths}): allowed for. Separable shapes would read the diagonal of "
        f"this 2D off by {off}, and cross peaks by up to {float(cross.max()) if cross.size else 0.0:.4f} of the total"
    )


def _shortest(datasets: Sequence[BrukerDataset]) -> list[BrukerDataset]:
    """The 2Ds of the shortest Tmix, so many that their rows tell the widths."""
    ordered = sorted(datasets, key=lambda one: one.mixing_time_s or 0.0)
    rows = np.cumsum([min(one.rows_acquired, _MOST_ROWS) for one in ordered])
    return ordered[: max(2, int(np.searchsorted(rows, _MOST_IN_ALL, side="right")))]


def _kept(fit: LastingFit, rows: Rows, shift_Hz: float) -> tuple[float, float, float]:
    """Return what part of the diagonal of a 2D has kept its offset, by the data alone, its error, and what moved."""
    found = solve(rows, fit.shape.shifted(shift_Hz), fit.lasting, tied=False)
    whole = np.maximum(np.diag(found.A), 1e-300)
    sites = np.flatnonzero((fit.lasting.lorentz_Hz > 0) | (fit.lasting.gauss2_Hz2 > 0))
    if not sites.size:
        return 0.0, 0.0, 0.0
    variance = np.diag(found.cov)[whole.size**2 :] / whole[sites] ** 2
    told = variance > 0  # a lasting width of nothing says nothing of what kept it
    if not told.any():
        return 1.0, math.inf, 0.0
    weight = np.where(told, 1.0 / np.where(told, variance, 1.0), 0.0)
    kept = float(weight @ (found.kept / whole)[sites] / weight.sum())
    moved = float(np.clip(1.0 - whole.sum() / found.A.sum(), 0.0, 0.5))
    return kept, float(weight.sum() ** -0.5), moved


def _line(fit: LastingFit, j: int, line: Line, dataset: BrukerDataset, chi2_red: float) -> Line:
    lorentz, gauss = float(fit.shape.lorentz_Hz[j]), math.sqrt(float(fit.shape.gauss2_Hz2[j]))
    scale = math.sqrt(max(1.0, chi2_red))

    def se(name: str) -> float:
        if f"{name}/{j}" not in fit.names:
            return 0.0
        index = fit.names.index(f"{name}/{j}")
        return scale * math.sqrt(max(0.0, float(fit.cov[index, index])))

    kept = lasting_fwhm_Hz(fit.lasting, j)
    gauss_se = se("gauss2_Hz2") / (2 * gauss) if gauss > 0 else 0.0
    return replace(
        line,
        ppm=dataset.ppm(float(fit.shape.offset_Hz[j])),
        offset_Hz=float(fit.shape.offset_Hz[j]),
        offset_se_Hz=se("offset_Hz"),
        lorentz_Hz=lorentz,
        gauss_Hz=gauss,
        fwhm_Hz=voigt_fwhm_Hz(lorentz, gauss),
        fwhm_se_Hz=math.hypot(0.53 * se("lorentz_Hz"), gauss_se),
        inhomogeneous_Hz=kept,
        inhomogeneous_se_Hz=gauss_se if fit.lasting.gauss2_Hz2[j] > 0 else se("lasting_lorentz_Hz"),
    )
