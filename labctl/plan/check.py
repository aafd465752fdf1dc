"""What is wrong, doubtful or wasteful in a protocol for a lab: findings with places, errors first to be put right.

Errors make `labctl check` fail. Warnings are what a careful referee would raise. Advice costs nothing to ignore.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labctl.errors import Finding, InputError
from labctl.plan.check_blackouts import check_blackouts, check_waits
from labctl.plan.check_commissioning import check_commissioning, check_envelope, check_readiness
from labctl.plan.check_cycling import check_cycler, check_cycling
from labctl.plan.check_eis_ladder import check_ladder, check_potentiostat
from labctl.plan.check_station import check_station
from labctl.plan.check_vt_exsy import (
    check_grid,
    check_sample,
    check_site_names,
    check_temperature_changes,
    check_times,
)
from labctl.plan.estimate import duty, estimate
from labctl.plan.expand import expno_faults, unchecked
from labctl.plan.findings import Locator, Notebook, Nowhere, suggestion
from labctl.plan.steps import Plan, Step
from labctl.ports import Acquire
from labctl.protocol.lab import Lab, Station
from labctl.protocol.model import EisLadder, FixedCapacityCycling, Protocol, VtExsy
from labctl.units import duration_text

DUTY_MAX = 0.01
"""Share of time with radio frequency on that no lab file can raise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """Findings, those of the protocol first, each file's by line; and the plan, None if a finding is an error."""

    findings: tuple[Finding, ...]
    plan: Plan | None


def check(
    protocol: Protocol,
    lab: Lab,
    *,
    places: Locator | None = None,
    lab_places: Locator | None = None,
    start_s: float | None = None,
) -> tuple[Finding, ...]:
    """Return the findings of `examine`, for whoever needs no plan."""
    return examine(protocol, lab, places=places, lab_places=lab_places, start_s=start_s).findings


def examine(
    protocol: Protocol,
    lab: Lab,
    *,
    places: Locator | None = None,
    lab_places: Locator | None = None,
    start_s: float | None = None,
) -> Examined:
    """Return all findings and, if none is an error, the plan, so that it is written out once.

    Parameters
    ----------
    places, lab_places : Locator
        What knows the lines: the ``located`` of `load_protocol` and `load_lab`.
    start_s : float
        Wall time at which the campaign would start [s since 1970 UTC]; with it, blackouts are held against the plan.
    """
    note = Notebook(places or Nowhere("protocol"))
    lab_note = Notebook(lab_places or Nowhere("lab"))
    if any(procedure.exsy is not None and procedure.exsy.sample is None for procedure in protocol.procedures):
        check_sample(note.below("sample"), protocol.sample, alone_is_well=protocol.commissioning is not None)
    _check_changes(note, protocol)
    for index, procedure in enumerate(protocol.procedures):
        here = note.below("procedures", index, procedure.name)
        p = procedure.wanted
        station = lab.stations.get(p.station)
        if station is None:
            here.error(
                ("station",),
                "does not stand in the lab file",
                value=repr(p.station),
                expected=suggestion(p.station, lab.stations),
            )
        lab_here = lab_note.below("stations", p.station)
        if station is not None:
            check_blackouts(lab_here, station.blackouts)
            check_readiness(lab_here, station, protocol.commissions)
        if isinstance(p, FixedCapacityCycling):
            check_cycling(here, p)
            if station is not None:
                check_cycler(here, p, station)
            continue
        if isinstance(p, EisLadder):
            check_ladder(here, p)
            if station is not None:
                check_potentiostat(here, lab_here, p, station)
            continue
        if p.sample is not None:
            check_sample(here.below("sample"), p.sample)
        check_times(here, p)
        check_temperature_changes(here, p)
        check_grid(here, p)
        check_site_names(here, p, protocol.sample_of(procedure).sites)
        check_blackouts(here, p.blackouts)
        _check_habits(here, p)
        if station is not None:
            check_station(here, note if p.sample is None else here, lab_here, protocol.sample_of(procedure), p, station)
    _check_on_fault(note, protocol, lab)
    check_commissioning(note, protocol, lab)
    plan = None
    if not _has_error(note, lab_note):
        plan = _check_plan(note, lab_note, protocol, lab, start_s)
    # Two procedures on one station look at the same lines of the lab file. Advice on experiments is none on a stage.
    mine = [one for one in note.found if one.severity != "advice" or protocol.commissioning is None]
    unique = dict.fromkeys([*sorted(mine, key=_by_line), *sorted(lab_note.found, key=_by_line)])
    return Examined(findings=tuple(unique), plan=None if _has_error(note, lab_note) else plan)


def _has_error(*notes: Notebook) -> bool:
    return any(finding.severity == "error" for note in notes for finding in note.found)


def _by_line(finding: Finding) -> tuple[int, int, str, str]:
    return finding.line, finding.column, finding.key_path, finding.what


def _check_habits(note: Notebook, p: VtExsy) -> None:
    if p.thermometry == "inside_rotor":
        note.warning(
            ("thermometry",),
            "KBr inside the sample's rotor means retuning between 79Br and the sample, and may exchange halide with it",
            expected="separate_rotor",
        )
    if p.thermometry == "none":
        note.warning(("thermometry",), "the sample's temperature rests on a formula, ± 5 K")
    if p.tune.by == "operator" and len(p.temperatures_K) > 1:
        note.advice(
            ("tune",),
            f"somebody must answer at each of {len(p.temperatures_K)} temperatures within"
            f" {duration_text(p.tune.give_up_s)}, or the sample goes to 25 °C",
            expected="`atma` or `none` for nights alone",
        )


def _check_changes(note: Notebook, protocol: Protocol) -> None:
    """Samples that somebody has to change between two procedures of one station."""
    inside: dict[str, str] = {}
    for index, procedure in enumerate(protocol.procedures):
        station, name = procedure.wanted.station, protocol.sample_of(procedure).name
        if inside.get(station, name) != name:
            note.below("procedures", index, procedure.name).advice(
                ("sample",) if procedure.wanted.sample is not None else (),
                f"{station} waits here, cold, until somebody has changed {inside[station]} for {name}",
                expected="say so with `labctl continue DIR --station " + station + " --reason ...`",
            )
        inside[station] = name


def _check_on_fault(note: Notebook, protocol: Protocol, lab: Lab) -> None:
    used = {procedure.wanted.station for procedure in protocol.procedures}
    for name in protocol.on_fault:
        if name not in lab.stations:
            note.error(
                ("on_fault", name),
                "is no station of the lab file",
                value=repr(name),
                expected=suggestion(name, lab.stations),
            )
        elif name not in used:
            note.warning(("on_fault", name), "no procedure uses this station")


def _check_plan(note: Notebook, lab_note: Notebook, protocol: Protocol, lab: Lab, start_s: float | None) -> Plan | None:
    """What shows only once the steps are written out."""
    first = note.below("procedures", 0, protocol.procedures[0].name)
    try:
        plan = unchecked(protocol, lab)
    except InputError as problem:
        first.error((), problem.what, expected=problem.expected)
        return None
    for fault in expno_faults(plan.steps):
        first.error(("mixing_times",), fault, expected="fewer mixing times or a longer `max_dataset`")
    cost = estimate(plan, start_s)
    check_envelope(note, protocol, lab, plan, max(cost.station_s.values(), default=0.0))
    for name in dict.fromkeys(step.station for step in plan.steps) if start_s is not None else ():
        check_waits(lab_note.below("stations", name), name, lab.station(name).blackouts, cost, start_s or 0.0)
    for index, (prefix, procedure) in enumerate(zip(plan.settings, protocol.procedures, strict=True)):
        here, p = note.below("procedures", index, procedure.name), procedure.wanted
        if isinstance(p, EisLadder | FixedCapacityCycling):
            continue
        steps = [step for step in plan.steps if step.id.startswith(f"{prefix}/")]
        _check_radio(here, steps, lab.station(p.station))
        _check_long_datasets(here, p, steps)
        reserve_s = lab.station(p.station).limits.gas_reserve_s
        if reserve_s is not None and cost.station_s[p.station] > reserve_s:
            here.warning(
                ("station",),
                f"is busy for {duration_text(cost.station_s[p.station])}, longer than dry gas is assured",
                expected=f"at most {duration_text(reserve_s)}, or a refill",
            )
        if start_s is not None:
            check_waits(here, p.station, p.blackouts, cost, start_s)
    return plan


def _check_radio(note: Notebook, steps: Sequence[Step], station: Station) -> None:
    limit_percent = station.limits.duty_max_percent
    limit = DUTY_MAX if limit_percent is None else min(DUTY_MAX, limit_percent / 100)
    worst = max(steps, key=duty)
    if isinstance(worst.task, Acquire) and duty(worst) > limit:
        key = {"nutation": ("p90", "recovery"), "exsy": ("recycle_delay",), "saturation_recovery": ("t1",)}
        note.error(
            key.get(worst.task.kind, ("recycle_delay",)),
            f"{worst.id} has radio frequency on for {100 * duty(worst):.2g} % of the time",
            expected=f"at most {100 * limit:.2g} %",
        )


def _check_long_datasets(note: Notebook, p: VtExsy, steps: Sequence[Step]) -> None:
    tasks = [step.task for step in steps if step.role == "exsy" and isinstance(step.task, Acquire)]
    longest = max(tasks, key=lambda task: task.duration_s)
    if longest.duration_s > p.max_dataset_s:
        note.warning(
            ("max_dataset",),
            f"one 2D takes {duration_text(longest.duration_s)} ({p.increments} rows of {longest.scans} scans)"
            " and holds too few phase cycles to be split",
            value=duration_text(p.max_dataset_s),
            expected="fewer rows, a shorter recycle delay, or a longer `max_dataset`",
        )
