"""What follows from an operator's verb, and from an amendment of the plan. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from labctl.plan.steps import Plan
from labctl.run.choose import advance
from labctl.run.commands import Stop
from labctl.run.events import Amended, Operated
from labctl.run.examine import examine
from labctl.run.lifecycle import BETWEEN_STEPS, LEFT_BY_PERSON, StationPhase, StationTrigger
from labctl.run.state import BEHIND, StationState, StepState, initial_state, order_of
from labctl.run.turn import Turn


def operated(turn: Turn, event: Operated) -> None:
    """Do what a person asked for."""
    names = [event.station] if event.station else list(turn.stations)
    if event.step_id:
        names = [turn.step(event.step_id).station]
    for name in names:
        match event.verb:
            case "pause":
                _pause(turn, name, event.reason)
            case "continue":
                _continue(turn, name)
            case "abort":
                turn.aborted = True
                turn.set(name, hold=f"aborted: {event.reason}")
                if turn.stations[name].phase not in (StationPhase.FINISHED, StationPhase.SAFE):
                    turn.make_safe(name, f"aborted by a person: {event.reason}")
            case "skip":
                _skip(turn, name, event.step_id, event.reason)
            case "acknowledge":
                pass  # somebody has seen it: reminders end, the campaign stands as it stood
            case _:
                assert_never(event.verb)


def _pause(turn: Turn, name: str, reason: str) -> None:
    phase = turn.stations[name].phase
    if phase is StationPhase.FINISHED or phase in LEFT_BY_PERSON:
        return
    turn.set(name, hold=f"paused: {reason}")  # a running order goes on to its end
    if phase in BETWEEN_STEPS:
        turn.pause(name)


def _continue(turn: Turn, name: str) -> None:
    station = turn.stations[name]
    if station.phase is StationPhase.SAFING:  # why it goes there holds until it is there
        turn.tell(name, "it is on its way to its safe state; say continue once it is there")
        return
    turn.aborted = False
    approved = station.approved
    steps = turn.before.of_station[name]
    here = steps[station.index] if station.hold and station.index < len(steps) else None
    if here is not None and here.person in {"", station.hold}:  # going on after a pause does not say a sample is in
        same_need = (step.id for step in steps if step.recycle is not None and step.needs == here.needs)
        approved = approved | {here.id, *same_need}
    turn.set(name, hold="", approved=approved)
    if station.phase not in LEFT_BY_PERSON:
        return
    turn.set(name, fault="", foreign=False, loop_seen=False, unsettled=True)
    if station.open:
        examine(turn, name, failure="")
    else:
        turn.fire(name, StationTrigger.RESUME)
        advance(turn, name)


def _skip(turn: Turn, name: str, step_id: str, reason: str) -> None:
    station = turn.stations[name]
    if not step_id or turn.steps[step_id].status in BEHIND:
        return
    if station.open != step_id:
        turn.set_step(step_id, status="skipped")
        turn.set(name, redo=tuple(other for other in station.redo if other != step_id))
        if station.phase in (StationPhase.WAITING, StationPhase.HELD):
            turn.fire(name, StationTrigger.PROCEED)
            advance(turn, name)
    elif station.phase in LEFT_BY_PERSON:
        turn.set(name, open="", failure="")
        turn.set_step(step_id, status="skipped")
    else:
        turn.set(name, skip_open=True)
        turn.commands.append(Stop(order=order_of(turn.state(), step_id), reason=f"skipped: {reason}"))


def amended(turn: Turn, event: Amended) -> None:
    """Take the new plan; what has begun or lies behind is in it as it was done (`labctl.run.amend`)."""
    old = turn.before
    plan = Plan(campaign=old.plan.campaign, steps=event.steps, settings=old.plan.settings, blackouts=event.blackouts)
    fresh = initial_state(plan)
    none = dict.fromkeys(turn.stations, ())
    of_station, heating_of = {**none, **fresh.of_station}, {**none, **fresh.heating_of}
    kept = {step.id for step in plan.steps if step.id in old.by_id and old.by_id[step.id].key == step.key}
    records = {step.id: turn.steps[step.id] if step.id in kept else StepState() for step in plan.steps}
    turn.before = replace(old, plan=plan, by_id=fresh.by_id, of_station=of_station, heating_of=heating_of)
    turn.take_steps(records)
    for name in fresh.of_station:
        turn.stations.setdefault(name, StationState())
    for name, station in list(turn.stations.items()):
        if station.phase in (StationPhase.WAITING, StationPhase.HELD):
            turn.fire(name, StationTrigger.PROCEED)
        if turn.stations[name].phase is StationPhase.READY:
            advance(turn, name)
