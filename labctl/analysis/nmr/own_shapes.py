"""Where no Voigt line describes the data, shapes read from them, and what Voigt lines would have made of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from labctl.analysis.nmr import empirical
from labctl.analysis.nmr.basis import Shape
from labctl.analysis.nmr.doubt import Doubt
from labctl.analysis.nmr.drift import Drift, fit_drift
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.lines import Line, LineSet
from labctl.analysis.nmr.rows import prepare
from labctl.formats.bruker_dataset import BrukerDataset

_MISFIT = 1.08
_CHI2_FALL = 25.0
_TURNS = 3
_MOST_ROWS, _MOST_2DS = 96, 2
"""Enough for shapes; more costs time."""


def with_empirical_shapes(datasets: Sequence[BrukerDataset], lines: LineSet) -> LineSet:
    """Return lines whose shapes are those of the FIDs of the shortest Tmix, where no Voigt line describes them.

    Tried where chi2 exceeds the noise by 8 %, kept where at least half of that excess goes; a warning says what Voigt
    lines would have made of the shortest Tmix. Otherwise `lines` as they are.
    """
    if lines.lasting is not None or lines.chi2_red < _MISFIT:
        return lines
    given = lines
    chosen = sorted(datasets, key=lambda one: one.mixing_time_s or 0.0)[:_MOST_2DS]
    rows = [lines.rows_of(one).first(_MOST_ROWS) for one in chosen]
    if any(one.t1_s is None for one in rows):
        return lines
    shifts = [lines.shifts_Hz[index] if (index := lines.index_of(one)) is not None else 0.0 for one in chosen]
    voigt = empirical.chi2_of(rows, lines.shape, shifts)
    fit = empirical.fit_empirical(rows, lines.shape, lines.free, shifts)
    if fit.chi2 > _MISFIT * fit.n_data:
        for _ in range(_TURNS):  # each is found the better the better the other is known
            if not any(drifts := _drifts(datasets, lines, fit.shape)):
                break
            lines = replace(lines, drifts=drifts)
            rows = [lines.rows_of(one).first(_MOST_ROWS) for one in chosen]
            fit = empirical.fit_empirical(rows, fit.shape, lines.free, shifts)
    excess = voigt / fit.n_data - 1.0
    chi2_red = fit.chi2 / max(1, fit.n_data - len(fit.names))
    if voigt - fit.chi2 < _CHI2_FALL or excess - (chi2_red - 1.0) < 0.5 * excess:
        return given
    told = {name for name in fit.names if name.startswith("offset_Hz/")}
    shaped = replace(
        lines,
        lines=tuple(
            _shaped(fit, j, line, datasets[0], chi2_red) if f"offset_Hz/{j}" in told else line
            for j, line in enumerate(lines.lines)
        ),
        shape=fit.shape,
        free=fit.names,
        cov=fit.cov * max(1.0, chi2_red),
        chi2_red=chi2_red,
        warnings=tuple(text for text in lines.warnings if "chi2_red" not in text and "inhomogeneous" not in text),
    )
    a, b = (estimate_amplitudes(chosen[0], one).A for one in (lines, shaped))
    off = ", ".join(f"{name} {100 * (a[i, i] / b[i, i] - 1):+.1f} %" for i, name in enumerate(lines.names))
    cross = np.abs(a / a.sum() - b / b.sum())[~np.eye(len(a), dtype=bool)]
    most = float(cross.max()) if cross.size else 0.0
    text = (
        f"these are no Voigt lines (chi2_red {excess + 1:.2f}): shapes were read from the FIDs of the shortest Tmix "
        f"(chi2_red {chi2_red:.2f}). Voigt lines would read the diagonal off by {off}, and cross peaks by up to "
        f"{most:.4f} of the total"
    )
    doubts = [Doubt(text, most, "shim, or name the sub-sites")]
    if lines is not given:
        span_Hz = max(one.span_Hz(each.rows_acquired) for one, each in zip(lines.drifts, datasets, strict=True) if one)
        doubts.append(
            Doubt(
                f"the field moved by up to {span_Hz:.1f} Hz while a 2D was acquired, which lopsided lines had hidden: "
                "allowed for",
                span_Hz,
                "settle longer, or split long 2Ds",
            )
        )
    return replace(shaped, warnings=(*shaped.warnings, *doubts))


def _drifts(datasets: Sequence[BrukerDataset], lines: LineSet, shape: Shape) -> tuple[Drift | None, ...]:
    """Return the drifts of all 2Ds by lines of their own shape: before, lopsided lines may have hidden them."""
    if lines.datasets != tuple(one.path.as_posix() for one in datasets):
        return ()
    shapes = (shape.shifted(shift_Hz) for shift_Hz in lines.shifts_Hz)
    return tuple(fit_drift(prepare(one, t2_end_s=lines.t2_end_s), at) for one, at in zip(datasets, shapes, strict=True))


def _shaped(fit: empirical.EmpiricalFit, j: int, line: Line, dataset: BrukerDataset, chi2_red: float) -> Line:
    def se(name: str) -> float:
        index = fit.names.index(name)
        return math.sqrt(max(1.0, chi2_red) * max(0.0, float(fit.cov[index, index])))

    offset_Hz = float(fit.shape.offset_Hz[j])
    return replace(
        line,
        ppm=dataset.ppm(offset_Hz),
        offset_Hz=offset_Hz,
        offset_se_Hz=se(f"offset_Hz/{j}"),
        lorentz_Hz=float(fit.shape.lorentz_Hz[j]),
        fwhm_Hz=empirical.fwhm_Hz(fit.shape, j),
        fwhm_se_Hz=se(f"lorentz_Hz/{j}"),
        inhomogeneous_Hz=0.0,
        inhomogeneous_se_Hz=0.0,
    )
