"""How long a plan takes, when it ends, what it costs. The start is an argument: nothing here knows the time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.plan.blackouts import Blackout, begin_after, may_wait
from labctl.plan.cost import duration_s
from labctl.plan.steps import Plan, Step
from labctl.ports import Acquire, Measurement, SetTemperature


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When one step is expected to run, in seconds after the start of the campaign.

    `waits_s` before its begin it waits for the end of `waits_for`.
    """

    step: Step
    begin_s: float
    end_s: float
    waits_s: float = 0.0
    waits_for: Blackout | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a plan costs.

    Attributes
    ----------
    timings : tuple of Timing
        Of every step; stations run side by side.
    expected_s, at_most_s : float
        Of the whole campaign: settling judged at the first occasion, and with every settling check made.
    end_s : float or None
        Wall time of the expected end [s since 1970 UTC], if the start was given.
    station_s : mapping
        Expected time by station [s].
    role_s : mapping
        Expected time by role [s], longest first.
    rf_on_s, duty : float
        Radio frequency on, and the largest share of it in any one acquisition (0 to 1).
    disk_bytes : int
        Raw data of all steps.
    temperature_changes, acquisitions : int
        Ramps that move the set point, and acquisitions.
    """

    timings: tuple[Timing, ...]
    expected_s: float
    at_most_s: float
    end_s: float | None
    station_s: Mapping[str, float]
    role_s: Mapping[str, float]
    rf_on_s: float
    duty: float
    disk_bytes: int
    temperature_changes: int
    acquisitions: int


def estimate(plan: Plan, start_s: float | None = None) -> Estimate:
    """Return what `plan` costs when it starts at the wall time `start_s` [s since 1970 UTC].

    Without a start nothing is known of blackouts, and nothing waits for them.
    """
    timings: list[Timing] = []
    station_s: dict[str, float] = {}
    worst_s: dict[str, float] = {}
    role_s: dict[str, float] = {}
    for step in plan.steps:
        free_s = station_s.get(step.station, 0.0)
        taken_s = 0.0 if step.skip_when else step.estimate_s
        begin_s, waits_for = _begin(plan, step, start_s, free_s, taken_s)
        timings.append(
            Timing(step=step, begin_s=begin_s, end_s=begin_s + taken_s, waits_s=begin_s - free_s, waits_for=waits_for)
        )
        station_s[step.station] = begin_s + taken_s
        late_s, _ = _begin(plan, step, start_s, worst_s.get(step.station, 0.0), step.estimate_s)
        worst_s[step.station] = late_s + step.estimate_s
        role_s[step.role] = role_s.get(step.role, 0.0) + taken_s
    expected_s = max(station_s.values(), default=0.0)
    return Estimate(
        timings=tuple(timings),
        expected_s=expected_s,
        at_most_s=max(worst_s.values(), default=0.0),
        end_s=None if start_s is None else start_s + expected_s,
        station_s=station_s,
        role_s=dict(sorted(role_s.items(), key=lambda item: -item[1])),
        rf_on_s=sum(step.rf_on_s for step in plan.steps if not step.skip_when),
        duty=max((duty(step) for step in plan.steps), default=0.0),
        disk_bytes=sum(step.disk_bytes for step in plan.steps),
        temperature_changes=temperature_changes(plan),
        acquisitions=sum(isinstance(step.task, Measurement) for step in plan.steps),
    )


def _begin(
    plan: Plan, step: Step, start_s: float | None, free_s: float, taken_s: float
) -> tuple[float, Blackout | None]:
    """When a step begins [s after the start] whose station is free at `free_s`, and the blackout it waits for."""
    if start_s is None or not plan.blackouts or taken_s == 0.0 or not may_wait(step.task):
        return free_s, None
    begin_s, blackout = begin_after(plan.blackouts, step.station, start_s + free_s, taken_s)
    return (begin_s - start_s, blackout) if blackout is not None else (free_s, None)


def duty(step: Step) -> float:
    """Return the share of an acquisition with radio frequency on (0 to 1), idle time between scans not counted."""
    return step.rf_on_s / duration_s(step.task, overhead_s=0.0) if isinstance(step.task, Acquire) else 0.0


def temperature_changes(plan: Plan) -> int:
    """Return how often the set point moves from one temperature to another; the first ramp and cooling not counted."""
    ramps: dict[str, list[float]] = {}
    for step in plan.steps:
        if isinstance(step.task, SetTemperature):
            ramps.setdefault(step.station, []).append(step.task.setpoint_K)
    return sum(before != after for points in ramps.values() for before, after in itertools.pairwise(points))
