"""Which acquisitions can be read at all: those that cannot are left out one by one, each with the reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.gather import Measured
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.nmr.rows import first_clean_point, whole_rows
from labctl.analysis.results import ResultWarning
from labctl.formats.bruker_kind import PHASE_SENSITIVE, names_exchange

LEAST_ROWS = 4
SPIKE = 5.0
"""A point this many times above all that stands in the first eighth of any row is no signal: FIDs decay."""
SEEN = 5.0
"""Standard errors above which a site's diagonal peak counts as seen."""
SPREAD_K = 1.0


def unfit(measured: Measured) -> ResultWarning | None:
    """Return why an acquisition cannot be used, None where it can."""
    raw = measured.raw
    said = advice = ""
    value: float | None = None
    code = "unusable"
    rows = whole_rows(raw)
    broken = _not_finite(raw.data)
    if broken is not None:
        code, value = "not_finite", float(broken)
        said = f"{broken} points are no numbers (NaN or infinite)"
        advice = "the file is damaged: take it from the console again"
    elif raw.dimension == "2D" and raw.rows_acquired < LEAST_ROWS and measured.kind == "exsy":
        code, value = "too_few_rows", float(raw.rows_acquired)
        said = f"{raw.rows_acquired} of {raw.rows_asked} rows hold data, {LEAST_ROWS} are the least"
        advice = "acquire it again"
    elif _lacks_its_mixing_time(measured):
        code, value = "no_mixing_time", raw.mixing_time_s
        said = "D[8] is missing or 0, so its mixing time is not known"
        advice = "if it is an EXSY, the pulse program keeps its mixing time elsewhere: write it to D8 of a copy"
    elif measured.kind == "unknown":
        encoding = raw.indirect.quadrature if raw.indirect is not None else "none"
        told = "" if encoding in PHASE_SENSITIVE or raw.dimension != "2D" else f", F1 encoded as {encoding}"
        said = f"what it is cannot be told from pulse program {raw.pulse_program or 'unknown'}{told}"
        advice = "an EXSY is phase-sensitive, has its mixing time in D8, and noesy, exsy or exch in its program's name"
        code = "unknown_kind"
    elif (spike := _spike(rows, first_clean_point(raw.group_delay_points))) is not None:
        code, value = "spike", spike[0]
        said = f"a point {spike[0]:.3g} times above all signal stands in row {spike[1] + 1}, point {spike[2] + 1}"
        advice = "an arc or a damaged file: acquire it again"
    if not said:
        return None
    return ResultWarning(code=code, message=f"{said}: left out", advice=advice, where=measured.name, value=value)


def _lacks_its_mixing_time(measured: Measured) -> bool:
    """Whether a 2D is an EXSY, or called one, without D8."""
    raw = measured.raw
    called = measured.kind == "exsy" or (measured.kind == "unknown" and names_exchange(raw.pulse_program))
    return raw.dimension == "2D" and called and not (raw.mixing_time_s or 0.0) > 0


def doubts_of_grouping(T_K: Sequence[float], where: str) -> ResultWarning | None:
    """Return a warning where 2Ds that are fitted together were not at one temperature."""
    spread = float(np.ptp(T_K)) if len(T_K) > 1 else 0.0
    if spread <= SPREAD_K:
        return None
    return ResultWarning(
        code="temperature_spread",
        message=f"2Ds fitted together were at {min(T_K):.1f} to {max(T_K):.1f} K",
        advice="name the temperatures apart, or measure again after settling",
        where=where,
        value=spread,
    )


def strength(matrices: Sequence[AmplitudeMatrix], lines: LineSet) -> NDArray[np.float64]:
    """Return each site's diagonal peak over its standard error, the best of the given 2Ds, shape (K,)."""
    best = np.zeros(len(lines.lines))
    for one in matrices:
        covariance = one.cov + one.line_slope.T @ lines.cov @ one.line_slope
        error = np.sqrt(np.clip(np.diag(covariance), 0.0, None)).reshape(one.A.shape)
        diagonal, noise = np.diag(one.A), np.diag(error)
        best = np.maximum(best, np.where(noise > 0, diagonal / np.where(noise > 0, noise, 1.0), 0.0))
    return best


def _not_finite(data: NDArray[np.complex128]) -> int | None:
    if not data.size or np.isfinite(data.sum()):
        return None
    return int(np.count_nonzero(~np.isfinite(data)))


def _spike(data: NDArray[np.complex128], start: int) -> tuple[float, int, int] | None:
    """Return (times above the signal, row, point) of the highest point where it stands too late and too high."""
    height = np.abs(data[:, start:].view(np.float64)) if data.flags.c_contiguous else np.abs(data[:, start:])
    first = max(16, height.shape[1] // 8)
    if not height.size or height.shape[1] <= first:
        return None
    signal, late = float(height[:, :first].max()), height[:, first:]
    row, point = np.unravel_index(int(np.argmax(late)), late.shape)
    times = float(late[row, point]) / signal if signal > 0 else 0.0
    at = int(point) + first
    return (times, int(row), start + at // (height.shape[1] // (data.shape[1] - start))) if times > SPIKE else None
