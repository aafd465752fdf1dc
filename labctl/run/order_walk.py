"""What follows from each event in the life of an order: begun, seen running, ended, failed. Pure."""

from __future__ import annotations

from labctl.ports import AwaitStable, Measurement, SetTemperature
from labctl.run.choose import advance
from labctl.run.commands import Begin, HandOff, Stop, Watch
from labctl.run.events import Failed, Finished, Intended, PartCollected, PartJudged, Reopened, Skipped, Started
from labctl.run.examine import again_or_ask, examine
from labctl.run.lifecycle import HELD_BY_ORDER, StationPhase, StationTrigger
from labctl.run.state import order_of
from labctl.run.turn import Turn


def intended(turn: Turn, event: Intended) -> None:
    """An attempt is to be begun: hand it over."""
    turn.fire(event.station, StationTrigger.INTEND)
    turn.set_step(
        event.step_id,
        status="intended",
        attempt=event.attempt,
        task=event.task,
        parts=0,
        part_pending=None,
        enough="",
    )
    _handed_over(turn, event.station, event.step_id)


def reopened(turn: Turn, event: Reopened) -> None:
    """An intent that never reached the instrument is handed over again."""
    turn.fire(event.station, StationTrigger.INTEND)
    _handed_over(turn, event.station, event.step_id)


def _handed_over(turn: Turn, name: str, step_id: str) -> None:
    turn.set(name, open=step_id, failure="")
    if isinstance(turn.step(step_id).task, SetTemperature):
        turn.set(name, unsettled=False)
    order = order_of(turn.state(), step_id)
    turn.commands += [Watch(order=order), Begin(order=order)]  # what follows a failed begin outlasts the watch


def started(turn: Turn, event: Started) -> None:
    """The instrument was seen at it."""
    if turn.stations[event.station].phase is StationPhase.INTENDED:
        turn.fire(event.station, StationTrigger.START)
    turn.set_step(event.step_id, status="running", unheard=0)


def part_collected(turn: Turn, event: PartCollected) -> None:
    """Let analysis see what came in early."""
    record = turn.steps[event.step_id]
    if event.attempt == record.attempt and event.part > record.parts:
        turn.set_step(event.step_id, parts=event.part, part_pending=event.dataset)
        turn.commands.append(HandOff(dataset=event.dataset))


def part_judged(turn: Turn, event: PartJudged) -> None:
    """Parts were seen by analysis: where that says so, end the acquisition by the instrument's own safe way."""
    record = turn.steps[event.step_id]
    pending = record.part_pending
    if pending is not None and (pending.attempt, pending.part) == (event.attempt, event.part):
        turn.set_step(event.step_id, part_pending=None)
    goes_on = turn.stations[event.station].open == event.step_id and record.status == "running"
    if event.verdict.gate == "enough" and goes_on and record.attempt == event.attempt and not record.enough:
        turn.set_step(event.step_id, enough=event.verdict.message)
        if turn.stations[event.station].phase is StationPhase.RUNNING:
            order = order_of(turn.state(), event.step_id)
            turn.commands.append(Stop(order=order, reason=f"enough: {event.verdict.message}"))


def finished(turn: Turn, event: Finished) -> None:
    """Take what an order left, accept it or not, and choose what comes next."""
    name, step = event.station, turn.step(event.step_id)
    turn.set_step(step.id, part_pending=None)  # the whole is judged instead
    if event.dataset is not None:
        record = turn.steps[step.id]
        turn.set_step(step.id, pending=(*record.pending, event.dataset))
        turn.commands.append(HandOff(dataset=event.dataset))
    station = turn.stations[name]
    skip = station.skip_open
    turn.set(name, open="", failure="", skip_open=False)
    if station.phase in HELD_BY_ORDER:
        turn.fire(name, StationTrigger.CONCLUDE)
    if event.result == "halted" and not isinstance(step.task, Measurement) and not skip:
        turn.set_step(step.id, status="failed")  # half a 2D is data; half a ramp or wait is no temperature
        _stand(turn, name, f"{step.id} was halted before it was reached: {event.detail}")
        return
    watched = station.phase in (StationPhase.INTENDED, StationPhase.RUNNING)
    on_purpose = bool(turn.steps[step.id].enough)
    accepts_halted = on_purpose or turn.policy.halted == "accept"
    accepted = event.result == "done" or (event.result == "halted" and accepts_halted)
    if skip or accepted:
        turn.set_step(step.id, status="skipped" if skip and event.result != "done" else event.result)
        if step.id in station.redo:
            turn.set(name, redo=tuple(other for other in station.redo if other != step.id))
        if isinstance(step.task, AwaitStable) and watched:  # not one that ended while nobody looked
            turn.set(name, unsettled=False)
        if event.result == "halted" and not on_purpose:
            turn.tell(name, f"{step.id} was halted early; its data are kept and used: {event.detail}", step.id)
    else:
        turn.set_step(step.id, status="partial")
        policy = turn.policy.halted if event.result == "halted" else turn.policy.interrupted
        what = f"{step.id} ended early ({station.failure or event.detail}); what it left is kept"
        again_or_ask(turn, name, step, what, ask=policy == "ask")
    if turn.stations[name].phase is StationPhase.READY:
        advance(turn, name)


def skipped(turn: Turn, event: Skipped) -> None:
    """A step is left out."""
    turn.set_step(event.step_id, status="skipped")
    if turn.stations[event.station].phase is StationPhase.READY:
        advance(turn, event.station)


def failed(turn: Turn, event: Failed) -> None:
    """Look closer at a measurement, which may have left data; anything else failed for good."""
    name, step = event.station, turn.step(event.step_id)
    station = turn.stations[name]
    if station.open != step.id or event.attempt != turn.steps[step.id].attempt:
        return
    if event.stage == "collect":
        _stand(turn, name, f"{step.id}: its data could not be brought in: {event.what}; they stand on the instrument")
    elif station.phase not in HELD_BY_ORDER:  # safe or paused meanwhile: a person, or the safe state, decides
        if not isinstance(step.task, Measurement):
            turn.set(name, open="")
            turn.set_step(step.id, status="failed")
    elif event.stage == "begin_unheard":
        turn.set_step(step.id, unheard=turn.steps[step.id].unheard + 1)
        examine(turn, name, failure="")
    elif isinstance(step.task, Measurement):
        examine(turn, name, failure=event.what)
    else:
        turn.set(name, open="")
        turn.set_step(step.id, status="failed")
        _stand(turn, name, f"{step.id} failed: {event.what}")


def _stand(turn: Turn, name: str, what: str) -> None:
    """Fault, unless the station stands already."""
    if turn.stations[name].phase in (StationPhase.SAFE, StationPhase.SAFING, StationPhase.PAUSED):
        turn.set(name, fault=turn.stations[name].fault or what)
        turn.tell(name, what)
    else:
        turn.fault(name, what)
