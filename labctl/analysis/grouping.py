"""Which acquisitions are analysed together: usable ones of one nucleus, those of one temperature in one group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from labctl.analysis.gather import Measured
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.nmr.relaxation import Recovery
from labctl.analysis.results import ResultWarning
from labctl.analysis.vetting import unfit

MOVED_K = 2.0
"""A dataset over which the sensor moved further is at no temperature."""

SAME_TEMPERATURE_K = 1.0
"""Datasets closer than this are fitted together; a return to the first temperature joins it."""


@dataclass(slots=True)
class AtTemperature:
    """What was acquired at one temperature, and what the spectra gave."""

    T_K: float | None
    T_se_K: float | None
    members: list[Measured]
    lines: LineSet | None = None
    recoveries: list[Recovery] = field(default_factory=list)
    matrices: list[AmplitudeMatrix] = field(default_factory=list)

    def of_kind(self, kind: str) -> list[Measured]:
        return [one for one in self.members if one.kind == kind]


def fit_for_use(measured: Sequence[Measured]) -> tuple[list[Measured], list[ResultWarning]]:
    """Return what belongs into fits, and for all else why it was left out, so that it takes nothing else with it."""
    reasons = [(one, unfit(one) or _moved(one)) for one in measured]
    kept = [one for one, reason in reasons if reason is None]
    warnings = [reason for _, reason in reasons if reason is not None]
    # 2Ds of several nuclei cannot share sites: the nucleus with most of them is analysed as exchange
    exsy = [one.raw.nucleus for one in kept if one.kind == "exsy"]
    nuclei = sorted(set(exsy), key=exsy.count, reverse=True)
    if len(nuclei) > 1:
        warnings.append(
            ResultWarning(
                code="several_nuclei",
                message=f"2D-EXSY of {', '.join(nuclei)}: only {nuclei[0]} was analysed",
                advice="analyse each nucleus by itself",
                value=float(len(nuclei)),
            )
        )
    return [one for one in kept if not nuclei or one.raw.nucleus == nuclei[0] or one.kind != "exsy"], warnings


def _moved(one: Measured) -> ResultWarning | None:
    """What was acquired while the temperature ran away belongs to no temperature."""
    settings = one.manifest.settings if one.manifest is not None else {}
    before_K, after_K = settings.get("sensor_before_K"), settings.get("sensor_after_K")
    if not (isinstance(before_K, float) and isinstance(after_K, float) and abs(after_K - before_K) > MOVED_K):
        return None
    return ResultWarning(
        code="temperature_moved",
        message=f"the sensor moved from {before_K:.1f} to {after_K:.1f} K during the acquisition",
        advice="it is left out of the fits; look at heater and gas in the trace",
        where=one.name,
        value=after_K - before_K,
    )


def by_temperature(measured: Sequence[Measured]) -> list[AtTemperature]:
    """Group by sample temperature, falling back to the set point's group where only that is known."""
    groups: list[list[Measured]] = []
    for one in sorted(measured, key=lambda one: (one.T_K is None, one.T_K or 0.0)):
        last = groups[-1] if groups else []
        mean = np.mean([member.T_K for member in last if member.T_K is not None]) if last else None
        unknown = one.T_K is None and bool(last) and last[-1].T_K is None
        near = one.T_K is not None and mean is not None and not np.isnan(mean)
        if unknown or (near and mean is not None and abs((one.T_K or 0.0) - float(mean)) < SAME_TEMPERATURE_K):
            last.append(one)
        else:
            groups.append([one])
    return [_temperature(members) for members in groups]


def _temperature(members: list[Measured]) -> AtTemperature:
    counted = [one for one in members if one.kind == "exsy"] or members
    known = [one.T_K for one in counted if one.T_K is not None]
    errors = [one.T_se_K for one in counted if one.T_se_K is not None]
    T_K = round(float(np.mean(known)), 3) if known else None
    return AtTemperature(T_K, float(np.mean(errors)) if errors else None, sorted(members, key=start_s))


def start_s(one: Measured) -> float:
    """Return when an acquisition began, s since 1970; 0 if nobody knows."""
    started = one.manifest.started_s if one.manifest else one.raw.started_s
    return started if started is not None else 0.0
