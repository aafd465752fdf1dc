"""What earlier data of a sample say to somebody who plans a campaign: lines, matrices, T1, each with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.analysis.gather import Measured, gather
from labctl.analysis.grouping import SAME_TEMPERATURE_K
from labctl.analysis.matrices import ExchangeMatrix, matrices_of
from labctl.analysis.nmr.lines import Line, LineSet
from labctl.analysis.nmr.relaxation import Recovery, fit_recovery
from labctl.analysis.vetting import unfit
from labctl.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """Finished data that a design rests on.

    Attributes
    ----------
    source : str
        The folder as the user wrote it.
    matrices : tuple of ExchangeMatrix
    lines : tuple of (float, mapping of str to Line)
        Sample temperature [K] and the lines that its 2Ds share.
    recoveries : tuple of Recovery
        T1 of each site where it was measured.
    left_out : tuple of str
        What was not used, and why.
    """

    source: str
    matrices: tuple[ExchangeMatrix, ...]
    lines: tuple[tuple[float, Mapping[str, Line]], ...]
    recoveries: tuple[Recovery, ...]
    left_out: tuple[str, ...] = ()


def read_pilot(folder: Path, sites: Mapping[str, float], order: Sequence[str], nucleus: str) -> Pilot:
    """Return what a run folder, or a folder of EXPNOs, says of the sites named.

    Parameters
    ----------
    sites : mapping of name to ppm
    order : sequence of str
        All of `sites`, in the order that rows and columns of the matrices shall have.
    nucleus : str
        Data of another one are left out.

    Raises
    ------
    InputError
        There is no usable 2D of that nucleus, or its lines cannot be fitted.
    """
    measured, unread = gather([folder])
    left_out = list(unread)
    usable: list[Measured] = []
    for one in measured:
        if one.kind not in {"exsy", "saturation_recovery"}:
            continue
        if reason := _not_usable(one, nucleus):
            left_out.append(f"{one.name}: {reason}")
        else:
            usable.append(one)
    exsy = [one for one in usable if one.kind == "exsy"]
    if not exsy:
        raise InputError(
            f"{folder} holds no 2D-EXSY of {nucleus} to plan by" + "".join(f"\n{one}" for one in left_out[:8]),
            expected="a run folder, or EXPNO folders with a 2D-EXSY each",
        )
    matrices, shared = matrices_of(exsy, sites, order)
    recoveries: list[Recovery] = []
    for one in usable:
        if one.kind != "saturation_recovery":
            continue
        T_K = float(one.T_K or 0.0)
        lines = _nearest(shared, T_K)
        try:
            recoveries += fit_recovery(one.raw, sites=sites, lines=lines, T_K=T_K, name=one.name)
        except InputError as problem:
            left_out.append(str(problem))
    return Pilot(
        source=str(folder),
        matrices=matrices,
        lines=tuple((T_K, {line.name: line for line in lines.lines}) for T_K, lines in shared),
        recoveries=tuple(recoveries),
        left_out=tuple(left_out),
    )


def _not_usable(one: Measured, nucleus: str) -> str:
    if one.raw.nucleus != nucleus:
        return f"it is of {one.raw.nucleus or 'an unknown nucleus'}"
    if one.completeness == "failed":
        return "it failed"
    if one.T_K is None:
        return "its temperature is not known"
    if one.kind == "exsy" and not one.raw.recycle_delay_s:
        return "its recycle delay is not known"
    reason = unfit(one)
    return reason.message if reason is not None else ""


def _nearest(shared: Sequence[tuple[float, LineSet]], T_K: float) -> LineSet | None:
    """The lines of the same temperature, if there are any."""
    near = [(abs(one - T_K), lines) for one, lines in shared]
    distance, lines = min(near, key=lambda pair: pair[0])
    return lines if distance < SAME_TEMPERATURE_K else None
