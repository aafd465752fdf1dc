"""One amplitude per site and row of a list experiment (recovery, nutation), or of a 1D."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from labctl.analysis.nmr.basis import Real, f2_basis
from labctl.analysis.nmr.joint_fit import Products, fit_jointly
from labctl.analysis.nmr.lines import LineSet, find_lines, refine_lines
from labctl.analysis.nmr.rows import Rows, prepare
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

_WORST_CHI2 = 3.0
_ENVELOPE_POINTS = 16
_LEAST_POINTS = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RowAmplitudes:
    """Signal of each site in each row, counts per scan.

    Attributes
    ----------
    values, se : ndarray, shape (R, K) and (K,)
        The noise is the same in every row.
    lines : LineSet or None
        The lines used; None where the data's own common FID was used.
    """

    sites: tuple[str, ...]
    ppm: tuple[float | None, ...]
    values: Real
    se: Real
    lines: LineSet | None
    method: str
    warnings: tuple[str, ...] = ()


def read_rows(
    dataset: BrukerDataset, *, sites: Mapping[str, float] | None = None, lines: LineSet | None = None, name: str = ""
) -> RowAmplitudes:
    """Return the amplitudes of every row; which sign is positive is left to the caller.

    With `lines`, offsets and phase are fitted and widths kept; with `sites`, lines are fitted from there. With
    neither, lines are looked for: several well described ones are told apart, otherwise the row amplitudes of the
    common FID (first singular vector) are returned, which needs no line shape at all.

    Raises
    ------
    InputError
        No data.
    """
    if lines is None and sites:
        lines = refine_lines([dataset], sites=sites)
        return _on_lines(dataset, lines, name)
    if lines is not None:
        return _on_lines(dataset, _moved(dataset, lines), name)
    if len(find_lines([dataset])) > 1:
        found = refine_lines([dataset])
        if found.chi2_red < _WORST_CHI2:
            return _on_lines(dataset, found, name)
    return _common_fid(dataset, name)


def covariance_of(jacobian: object) -> Real:
    """Return (J'J)^-1 of a weighted Jacobian, by pseudo-inverse where the data do not tell a parameter."""
    weighted = np.asarray(jacobian, dtype=np.float64)
    return np.asarray(np.linalg.pinv(weighted.T @ weighted), dtype=np.float64)


def _moved(dataset: BrukerDataset, lines: LineSet) -> LineSet:
    """Lines of another experiment, in this one's phase and where they are now; widths are kept."""
    rows = prepare(dataset, t2_end_s=lines.t2_end_s)
    start = replace(lines.shape, phase_rad=0.0, t2_origin_s=0.0)
    amplitudes = np.linalg.lstsq(f2_basis(rows.t2_s, start), rows.scaled().T, rcond=None)[0]
    start = replace(start, phase_rad=0.5 * float(np.angle(np.sum(amplitudes**2))))
    free = [f"offset_Hz/{j}" for j in range(len(lines.lines)) if f"offset_Hz/{j}" in lines.free]
    fit = fit_jointly([rows], start, [*free, "phase_rad"])
    return replace(lines, shape=fit.shape, free=fit.names, cov=fit.cov, chi2_red=fit.chi2_red, lasting=None)


def _on_lines(dataset: BrukerDataset, lines: LineSet, name: str) -> RowAmplitudes:
    rows = prepare(dataset, t2_end_s=lines.t2_end_s, name=name)
    sites = len(lines.lines)
    products = Products.of(rows, lines.shape, slopes_only=True)
    inverse = linalg.inv(products.g2[:sites, :sites].real)
    return RowAmplitudes(
        sites=lines.names,
        ppm=tuple(dataset.ppm(float(offset)) for offset in lines.shape.offset_Hz),
        values=products.amplitudes,
        se=np.asarray(rows.noise * np.sqrt(np.diag(inverse)), dtype=np.float64),
        lines=lines,
        method="least squares on the lines",
        warnings=lines.warnings,
    )


def _common_fid(dataset: BrukerDataset, name: str) -> RowAmplitudes:
    """Amplitudes of the FID that all rows share: the first singular vector, whatever its line shape."""
    rows = prepare(dataset, name=name)
    data = rows.scaled()
    data = data[:, : _signal_until(rows)]
    left, strength, right = np.linalg.svd(data, full_matrices=False)
    amplitudes = left[:, 0] * strength[0]
    amplitudes = amplitudes * np.exp(-0.5j * np.angle(np.sum(amplitudes**2)))
    warnings = []
    edge = np.sqrt(2.0) * rows.noise * (np.sqrt(data.shape[0]) + np.sqrt(data.shape[1]))
    if strength[0] < 1.2 * edge:
        raise InputError(
            f"{rows.dataset}: nothing that the rows share stands out of the noise ({strength[0] / edge:.2f} of what "
            "noise alone may show)",
            next_step="Name the sites in ppm, or add scans",
        )
    if strength.size > 1 and strength[1] > 1.5 * edge:
        warnings.append(
            f"the rows do not share one FID: a second component has {strength[1] / strength[0]:.1%} of the first; "
            "sites that relax differently should be named"
        )
    spectrum = np.abs(np.fft.fft(right[0], 4 * data.shape[1]))
    peak_Hz = float(np.fft.fftfreq(spectrum.size, dataset.dwell_s)[int(np.argmax(spectrum))])
    return RowAmplitudes(
        sites=("site 1",),
        ppm=(dataset.ppm(peak_Hz),),
        values=np.ascontiguousarray(amplitudes.real[:, None]),
        se=np.array([rows.noise]),
        lines=None,
        method="common FID (first singular vector)",
        warnings=tuple(warnings),
    )


def _signal_until(rows: Rows) -> int:
    """Points up to where the summed power falls into the noise."""
    power = np.sum(np.abs(rows.scaled()) ** 2, axis=0)
    smooth = np.convolve(power, np.full(_ENVELOPE_POINTS, 1.0 / _ENVELOPE_POINTS), mode="same")
    floor = 2.0 * rows.noise**2 * rows.signal.shape[0]
    above = np.flatnonzero(smooth > 2.0 * floor)
    last = int(above[-1]) + 1 if above.size else 0
    return int(min(rows.signal.shape[1], max(_LEAST_POINTS, last)))
