"""The amplitude matrices that one procedure has given so far, read as the final analysis reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.gather import Measured, latest_datasets, measured_of
from labctl.analysis.grouping import SAME_TEMPERATURE_K
from labctl.analysis.measured_entries import mixing_point
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import with_lasting_offsets
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.dataset.model import Dataset

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExchangeMatrix:
    """One 2D.

    Attributes
    ----------
    step_id : str
    T_K : float
        Of the sample.
    tmix_s, recycle_delay_s : float
    rows, scans : int
        As acquired.
    A : ndarray, shape (K, K)
        Row source, column detected, in the order of the sites asked for; any unit.
    covariance : ndarray, shape (K*K, K*K)
        Of ``A.ravel()``: noise, and lines shared by the 2Ds of the temperature.
    """

    step_id: str
    T_K: float
    tmix_s: float
    recycle_delay_s: float
    rows: int
    scans: int
    A: FloatArray
    covariance: FloatArray


def exchange_matrices(
    run_dir: Path,
    station: str,
    procedure: str,
    sites: Mapping[str, float],
    order: Sequence[str],
    *,
    also: Dataset | None = None,
) -> tuple[tuple[ExchangeMatrix, ...], tuple[Dataset, ...]]:
    """Return every 2D of a procedure that can be read, and the datasets of the procedure in order of acquisition.

    Parameters
    ----------
    sites : mapping of name to ppm
        Lines that are there.
    order : sequence of str
        All of `sites`, in the order that rows and columns shall have.
    also : Dataset, optional
        Part of a 2D that goes on; its matrix comes last.

    Raises
    ------
    InputError
        Lines cannot be fitted, or a 2D does not tell them apart.
    """
    found, _ = latest_datasets(run_dir)
    own = [one for one in found if one.station == station and one.procedure == procedure]
    measured = [measured_of(run_dir, one) for one in own if one.kind == "exsy" and one.completeness != "failed"]
    part = [] if also is None else [measured_of(run_dir, also)]
    matrices, _ = matrices_of([*measured, *part], sites, order)
    last = [one for one in matrices if also is not None and one.step_id == also.step_id]
    return (*(one for one in matrices if one not in last), *last), tuple(own)


def matrices_of(
    measured: Sequence[Measured], sites: Mapping[str, float], order: Sequence[str]
) -> tuple[tuple[ExchangeMatrix, ...], tuple[tuple[float, LineSet], ...]]:
    """Return the matrices of 2Ds, and the lines that those of each temperature [K] share.

    Raises
    ------
    InputError
        Lines cannot be fitted, or a 2D does not tell them apart.
    """
    groups: list[list[Measured]] = []
    for one in measured:
        near = [g for g in groups if abs((g[0].T_K or 0.0) - (one.T_K or 0.0)) < SAME_TEMPERATURE_K]
        near[0].append(one) if near else groups.append([one])
    matrices: list[ExchangeMatrix] = []
    shared: list[tuple[float, LineSet]] = []
    for group in groups:
        raw = [one.raw for one in group]
        lines = with_lasting_offsets(raw, refine_lines(raw, sites=sites))
        shared.append((float(group[0].T_K or 0.0), lines))
        place = [lines.names.index(one) for one in order]
        flat = (np.array(place)[:, None] * len(order) + np.array(place)).ravel()
        for one in group:
            point = mixing_point(estimate_amplitudes(one.raw, lines, T_K=one.T_K, name=one.name), lines)
            matrices.append(
                ExchangeMatrix(
                    step_id=one.name,
                    T_K=float(one.T_K or 0.0),
                    tmix_s=point.tmix_s,
                    recycle_delay_s=float(point.recycle_delay_s or 0.0),
                    rows=one.raw.rows_acquired,
                    scans=one.raw.scans,
                    A=point.A[np.ix_(place, place)],
                    covariance=point.covariance[np.ix_(flat, flat)],
                )
            )
    return tuple(matrices), tuple(shared)
