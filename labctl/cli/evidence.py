"""What a finished run has to show for a commissioning stage, point by point: from journal, readings and results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.analysis.known_objects import Point, known_objects
from labctl.cli.run_folder import JOURNAL
from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.analysis.results import Results
    from labctl.cli.planning import Checked
    from labctl.protocol.commissioning import Commissioning, Expectation, StageRule
    from labctl.run.history import Certificate
    from labctl.run.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the journal and the readings of one run tell.

    Attributes
    ----------
    phase : str
        Where the journal leaves the campaign: ``done``, ``stopped``, ``paused``, ``aborted``, ``running``.
    safe : bool
        The safe state was read back, at the end of it.
    said : tuple of str
        Everything that people were told.
    disturbances : tuple of str
        Faults and alarms, in words.
    resumed_at_work : bool
        labctl was resumed while an order was open at an instrument.
    hottest_K, highest_setpoint_K : float
        Of the sensor's readings, and of the plan's set points [K]; NaN without any.
    """

    certificate: Certificate
    phase: str
    safe: bool
    began_s: float
    ended_s: float
    said: tuple[str, ...] = ()
    disturbances: tuple[str, ...] = ()
    resumed_at_work: bool = False
    hottest_K: float = math.nan
    highest_setpoint_K: float = math.nan
    settings: Mapping[str, Any] = field(default_factory=dict)


def evidence(run_dir: Path, done: Checked, settings: Mapping[str, Any]) -> Evidence:
    """Return what a run folder tells; `settings` are the station's in the lab file that is to be signed."""
    from labctl.clock import SystemClock
    from labctl.ports import SetTemperature
    from labctl.run.history import certificate, history
    from labctl.run.journal import Journal
    from labctl.run.lifecycle import StationPhase
    from labctl.run.replay import replayed
    from labctl.run.trace import read_trace

    station = done.plan.steps[0].station
    journal = Journal(run_dir / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        told, certified, state = history(journal), certificate(journal), replayed(journal, done.plan)
        resumed, said, disturbances = _walked(journal)
    finally:
        journal.close()
    sensor = read_trace(run_dir, station).get("sensor_K", ([], []))[1]
    set_points = [step.task.setpoint_K for step in done.plan.steps if isinstance(step.task, SetTemperature)]
    ends = (told.last_s, *(one.ended_s for one in told.attempts if one.ended_s is not None))
    return Evidence(
        certificate=certified,
        phase=state.phase.value,
        safe=all(one.phase is StationPhase.SAFE for one in state.stations.values()),
        began_s=told.begun_s,
        ended_s=max(ends),
        said=said,
        disturbances=disturbances,
        resumed_at_work=resumed,
        hottest_K=max(sensor, default=math.nan),
        highest_setpoint_K=max(set_points, default=math.nan),
        settings=settings,
    )


def _walked(journal: Journal) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether labctl was resumed while an instrument worked; all that was said; what disturbed."""
    from labctl.run.events import Alarmed, Failed, Finished, HandedOff, Opened, SafeAsked, Started, Tripped

    resumed = False
    at_work: set[tuple[str, int]] = set()
    said: list[str] = []
    disturbances: list[str] = []
    for row in journal.rows():
        event = row.event
        match event:
            case Opened():
                resumed = resumed or (event.resumed and bool(at_work))
            case Started():
                at_work.add((event.step_id, event.attempt))
            case Finished():
                at_work.discard((event.step_id, event.attempt))
                said.append(event.detail)
            case Failed():
                at_work.discard((event.step_id, event.attempt))
                disturbances.append(event.what)
            case Tripped():
                disturbances.append(event.words)
            case Alarmed():
                disturbances.append(event.what)
            case HandedOff():
                said += [event.verdict.message, *event.verdict.warnings]
            case SafeAsked():
                said.append(event.reason)
            case _:
                pass
    return resumed, (*said, *disturbances), tuple(disturbances)


def points(wanted: Commissioning, rule: StageRule, seen: Evidence, results: Results) -> Iterator[Point]:
    """Yield everything the stage asks of the run, in the order people read it."""
    expect = wanted.expect
    yield from _ending(expect, seen)
    for words in (*expect.says, *filter(None, [rule.parts.get(wanted.part)])):
        heard = next((one for one in seen.said if words in one), "")
        yield Point(well=bool(heard), what="labctl said", found=heard or "nothing of the kind", wanted=f"“{words}”")
    if expect.lasted_s is not None:
        took_s = seen.ended_s - seen.began_s
        yield Point(
            well=took_s >= expect.lasted_s,
            what="instrument time",
            found=duration_text(took_s),
            wanted=f"at least {duration_text(expect.lasted_s)}",
        )
    if expect.undisturbed:
        found = [*seen.disturbances, *(["something was repeated"] if seen.certificate.repeated else [])]
        yield Point(well=not found, what="disturbances", found="; ".join(found) or "none", wanted="none")
    if expect.resumed:
        yield Point(
            well=seen.resumed_at_work and not seen.certificate.repeated,
            what="labctl killed and resumed while the instrument worked",
            found=f"{'yes' if seen.resumed_at_work else 'no'}, {seen.certificate.repeated} repeated",
            wanted="yes, 0 repeated",
        )
    yield from _temperatures(expect, seen)
    yield from known_objects(expect, seen.settings, results)


def _ending(expect: Expectation, seen: Evidence) -> Iterator[Point]:
    counted = seen.certificate
    found = seen.phase + (", in its safe state" if seen.safe else "")
    if expect.ended == "done":
        whole = counted.acquired == counted.planned and not counted.partial
        yield Point(well=seen.phase == "done", what="the campaign is", found=found, wanted="done")
        yield Point(
            well=whole and not counted.lost,
            what="acquired",
            found=f"{counted.acquired} of {counted.planned}, {counted.partial} partial, {counted.lost} lost",
            wanted="all of it",
        )
    elif expect.ended == "stopped":
        stopped = seen.phase in {"stopped", "aborted"}
        yield Point(
            well=stopped and seen.safe, what="the campaign is", found=found, wanted="stopped, in its safe state"
        )
    else:
        over = seen.phase != "running"
        yield Point(well=over, what="the campaign is", found=found, wanted="no longer under way")


def _temperatures(expect: Expectation, seen: Evidence) -> Iterator[Point]:
    hottest = f"{seen.hottest_K - 273.15:.2f} °C" if math.isfinite(seen.hottest_K) else "no reading"
    for bound_K, what in (
        (expect.hottest_K, "hottest reading of the sensor"),
        (
            None if expect.overshoot_K is None else seen.highest_setpoint_K + expect.overshoot_K,
            "hottest reading of the sensor, with what it may overshoot",
        ),
    ):
        if bound_K is not None:
            well = seen.hottest_K <= bound_K  # false for NaN
            yield Point(well=well, what=what, found=hottest, wanted=f"at most {bound_K - 273.15:.2f} °C")
