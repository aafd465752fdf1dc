"""Choosing what a station that is free does next: which step, and whether it may begin. Pure."""

from __future__ import annotations

from labctl.dataset.model import Verdict
from labctl.plan.steps import Step
from labctl.ports import Acquire, AwaitStable, CheckSpinning, CoolDown, Effect, Measurement, SetTemperature, Tune
from labctl.run.commands import CheckLoop, Intend, Reopen, Skip
from labctl.run.events import Intended, Reopened, Skipped
from labctl.run.lifecycle import StationTrigger
from labctl.run.recycle import resolve_recycle
from labctl.run.state import BEHIND
from labctl.run.turn import Turn, expected_spinning, is_warm

_LAST_ATTEMPT = 9  # the EXPNO map keeps one digit for the attempt


def advance(turn: Turn, name: str) -> None:
    """Choose what a READY station does next.

    It stays READY with a command that will commit an event (`Intend`, `Reopen`, `Skip`). Such a command is
    stale, and to be dropped, once its station is no longer READY: a verdict may come in between.
    """
    station = turn.stations[name]
    if station.hold:
        turn.pause(name)
        return
    steps = turn.before.of_station[name]
    while station.index < len(steps) and turn.steps[steps[station.index].id].status in BEHIND:
        turn.set(name, index=station.index + 1)
        station = turn.stations[name]
    if station.redo:
        _begin(turn, name, turn.step(station.redo[0]))
        return
    ending = station.index == len(steps) or isinstance(steps[station.index].task, CoolDown)
    if ending and (left := _left_open(turn, name)) is not None:
        reason = "an engine died as it was about to be done again; nothing that follows needs it"
        turn.commands.append(Skip(event=Skipped(station=name, step_id=left.id, reason=reason)))
        return
    if station.index == len(steps):
        _end(turn, name)
        return
    step = steps[station.index]
    if any(_verdict_is_due(turn, step, need) for need in _needs(turn, step)):
        turn.fire(name, StationTrigger.WAIT)
        return
    if step.skip_when == "settled" and _series_settled(turn, step):
        reason = f"{step.series or 'the series'} has settled"
        turn.commands.append(Skip(event=Skipped(station=name, step_id=step.id, reason=reason)))
        return
    _begin(turn, name, step)


def _left_open(turn: Turn, name: str) -> Step | None:
    """A step that lies behind and was intended once more without anything coming of it."""
    behind = turn.before.of_station[name][: turn.stations[name].index]
    return next((step for step in behind if turn.steps[step.id].status == "intended"), None)


def _needs(turn: Turn, step: Step) -> tuple[str, ...]:
    if step.skip_when != "settled":
        return step.needs
    return step.needs + _earlier_in_series(turn, step)


def _earlier_in_series(turn: Turn, step: Step) -> tuple[str, ...]:
    steps = turn.before.of_station[step.station]
    earlier = steps[: next(number for number, other in enumerate(steps) if other.id == step.id)]
    return tuple(other.id for other in earlier if other.series == step.series and step.series)


def _verdict_is_due(turn: Turn, step: Step, need: str) -> bool:
    """A needed verdict that may still come: not when its step was skipped, gave up, or left nothing."""
    record = turn.steps[need]
    if record.pending:
        return True
    if record.status in {"done", "halted", "skipped", "failed"}:
        return False
    return turn.step(need).station != step.station or record.status in {"intended", "running"}


def _series_settled(turn: Turn, step: Step) -> bool:
    verdicts = (turn.steps[other].verdict for other in _earlier_in_series(turn, step))
    return any(verdict is not None and verdict.gate == "settled" for verdict in verdicts)


def _begin(turn: Turn, name: str, step: Step) -> None:
    """Make sure of the loop and of the temperature, then ask for the intent to be committed."""
    station = turn.stations[name]
    record = turn.steps[step.id]
    if step.person and record.attempt == 0 and step.id not in station.approved:
        turn.set(name, hold=step.person)
        turn.pause(name)
        return
    if step.effect is Effect.IRREVERSIBLE and record.status == "partial":
        turn.set(name, hold=f"{step.id} has changed the sample in part and is never repeated: skip it")
        turn.pause(name)
        return
    thermal = isinstance(step.task, SetTemperature)
    settled_wanted = isinstance(step.task, AwaitStable | Tune | Measurement) and not station.redo
    if (thermal and not station.loop_seen) or (settled_wanted and station.unsettled and not station.loop_seen):
        _check_loop(turn, name)
        return
    if settled_wanted and station.unsettled:
        redo = _thermal_steps_before(turn, name)
        turn.set(name, unsettled=False, redo=redo)
        if redo:
            advance(turn, name)
            return
    if record.status == "intended":
        reopened = Reopened(station=name, step_id=step.id, attempt=record.attempt)
        turn.commands.append(Reopen(event=reopened))
        return
    if record.attempt >= _LAST_ATTEMPT and isinstance(step.task, Acquire):
        turn.fault(name, f"{step.id} was attempted {record.attempt} times; its EXPNOs have no digit left")
        return
    task = record.task if record.task is not None else step.task  # what was resolved once stays
    notes: tuple[str, ...] = ()
    if record.task is None and step.recycle is not None and isinstance(step.task, Acquire):
        measured = {key: value for need in step.needs for key, value in _verdict(turn, need).measured.items()}
        resolved = resolve_recycle(step.task, step.recycle, measured, approved=step.id in station.approved)
        if resolved.ask:
            turn.set(name, hold=f"{step.id}: {resolved.ask}")
            turn.pause(name)
            return
        task, notes = resolved.task, resolved.notes
    turn.commands.append(
        Intend(
            event=Intended(
                station=name, step_id=step.id, attempt=record.attempt + 1, key=step.key, task=task, notes=notes
            )
        )
    )


def _verdict(turn: Turn, step_id: str) -> Verdict:
    return turn.steps[step_id].verdict or Verdict()


def _thermal_steps_before(turn: Turn, name: str) -> tuple[str, ...]:
    """The ramp to the current temperature and the waits and checks after it, as far as they lie behind."""
    behind = turn.before.of_station[name][: turn.stations[name].index]
    for number in range(len(behind) - 1, -1, -1):
        if isinstance(behind[number].task, CoolDown):
            return ()
        if isinstance(behind[number].task, SetTemperature):
            if turn.steps[behind[number].id].status == "skipped":
                return ()
            after = behind[number + 1 :]
            waits = [step.id for step in after if isinstance(step.task, AwaitStable | CheckSpinning)]
            return (behind[number].id, *(wait for wait in waits if turn.steps[wait].status != "skipped"))
    return ()


def _check_loop(turn: Turn, name: str) -> None:
    rate_Hz, tolerance_Hz = expected_spinning(turn.state(), name)
    last = next(
        (
            step.task
            for step in reversed(turn.before.of_station[name][: turn.stations[name].index])
            if isinstance(step.task, AwaitStable | SetTemperature | CoolDown)
        ),
        None,
    )
    band = last if isinstance(last, AwaitStable) else None
    turn.fire(name, StationTrigger.CHECK_LOOP)
    turn.commands.append(
        CheckLoop(
            station=name,
            spinning_Hz=rate_Hz,
            tolerance_Hz=tolerance_Hz,
            setpoint_K=band.setpoint_K if band else None,
            within_K=band.within_K if band else None,
        )
    )


def _end(turn: Turn, name: str) -> None:
    """All steps are behind: done, unless heat is still on, which a plan without cool-down would leave."""
    if is_warm(turn.state(), name):
        turn.make_safe(name, "end of the plan with the set point still up")
    else:
        turn.fire(name, StationTrigger.END)
