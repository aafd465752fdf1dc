"""What follows from an instrument's own account: of an order nobody watched, and of its temperature loop. Pure."""

from __future__ import annotations

from typing import assert_never

from labctl.plan.steps import Step
from labctl.ports import Effect, Measurement, Standing
from labctl.run.choose import advance
from labctl.run.commands import AskEvidence, Collect, Stop, Watch
from labctl.run.events import EvidenceSeen, LoopSeen
from labctl.run.lifecycle import HELD_BY_ORDER, StationPhase, StationTrigger
from labctl.run.state import order_of
from labctl.run.turn import Turn, is_warm

_UNHEARD_BEGINS = 3


def examine(turn: Turn, name: str, *, failure: str) -> None:
    """Ask the instrument what it has before anything else is done with the open order."""
    turn.fire(name, StationTrigger.EXAMINE)
    turn.set(name, failure=failure)
    turn.commands.append(AskEvidence(order=order_of(turn.state(), turn.stations[name].open)))


def evidence_seen(turn: Turn, event: EvidenceSeen) -> None:
    """Act upon what the instrument has, by the class of the order's side effect."""
    name, step = event.station, turn.step(event.step_id)
    station = turn.stations[name]
    acquires = isinstance(step.task, Measurement)
    order = order_of(turn.state(), step.id)
    if station.phase is StationPhase.SAFE:  # only to keep what was acquired
        if event.standing in (Standing.FINISHED, Standing.INTERRUPTED):
            turn.commands.append(Collect(order=order, partial=event.standing is Standing.INTERRUPTED))
        return
    if station.phase is not StationPhase.EXAMINING and (
        event.standing is not Standing.FOREIGN or station.phase not in HELD_BY_ORDER
    ):
        return  # it stands meanwhile: the order stays open and is asked about again
    match event.standing:
        case Standing.FOREIGN:
            _foreign(turn, name, step, event.detail)
        case Standing.RUNNING if station.failure:
            turn.fault(name, f"{step.id} was said to have failed ({station.failure}) and yet runs: {event.detail}")
        case Standing.RUNNING:
            turn.fire(name, StationTrigger.START)
            turn.set_step(step.id, status="running", unheard=0)
            turn.commands.append(Watch(order=order))
            if enough := turn.steps[step.id].enough:  # the engine that decided so may have died before it said so
                turn.commands.append(Stop(order=order, reason=f"enough: {enough}"))
        case Standing.FINISHED:
            turn.fire(name, StationTrigger.COLLECT)
            turn.commands.append(Collect(order=order, partial=False))
        case Standing.INTERRUPTED if acquires:
            turn.set(name, failure=station.failure or event.detail)
            turn.fire(name, StationTrigger.COLLECT)
            turn.commands.append(Collect(order=order, partial=True))
        case Standing.INTERRUPTED:
            _begin_anew(turn, name, step, status="partial", what=f"{step.id} was interrupted ({event.detail})")
        case Standing.NOT_STARTED | Standing.PREPARED if station.failure:
            seen = turn.steps[step.id].status == "running"
            how = "ended without data" if seen else "failed before it began"
            what = f"{step.id} {how}: {station.failure}"
            changed = seen and step.effect is Effect.IRREVERSIBLE
            _begin_anew(turn, name, step, status="partial" if changed else "failed", what=what)
        case Standing.NOT_STARTED | Standing.PREPARED if turn.steps[step.id].status == "running":
            # it was seen running, and nothing is left of it: what there was is gone, the number is not reused
            what = f"{step.id} had begun and left nothing ({event.detail})"
            _begin_anew(turn, name, step, status="partial", what=what, quietly=True)
        case Standing.NOT_STARTED | Standing.PREPARED:
            if turn.steps[step.id].unheard >= _UNHEARD_BEGINS:
                turn.fault(name, f"{step.id} was sent {_UNHEARD_BEGINS} times and never taken up: {event.detail}")
                return
            turn.set(name, open="")  # the intent stands; it is taken up again after the loop was seen
            turn.set_step(step.id, status="intended")
            turn.fire(name, StationTrigger.ABANDON)
            advance(turn, name)
        case _:
            assert_never(event.standing)


def _begin_anew(turn: Turn, name: str, step: Step, *, status: str, what: str, quietly: bool = False) -> None:
    """Let another attempt follow where its class allows it; a set point or a wait `quietly`, as it can lose nothing."""
    turn.set(name, open="", failure="")
    turn.set_step(step.id, status=status)
    turn.fire(name, StationTrigger.ABANDON)
    if step.effect is not Effect.ABSOLUTE_SET:
        again_or_ask(turn, name, step, what)
    elif not quietly:
        turn.tell(name, f"{what}; it is sent again", step.id)
    if turn.stations[name].phase is StationPhase.READY:
        advance(turn, name)


def again_or_ask(turn: Turn, name: str, step: Step, what: str, *, ask: bool = False) -> None:
    """Decide, by class of side effect, whether another attempt may follow by itself."""
    if turn.stations[name].phase is not StationPhase.READY:
        return  # safe or paused already: the person who leaves it decides
    if step.effect is Effect.IRREVERSIBLE and turn.steps[step.id].status == "failed":
        turn.set(name, hold=f"{what}. Nothing was begun: put that right and continue, or skip it")
    elif step.effect is Effect.IRREVERSIBLE:
        turn.set(name, hold=f"{what}. It changes the sample and is never repeated: skip it, or end the campaign")
    elif ask and step.effect is Effect.EXPENSIVE:
        turn.set(name, hold=f"{what}. Continue for another attempt, or skip it")
    elif turn.steps[step.id].attempt >= turn.policy.max_attempts:
        turn.fault(name, f"{what}, {turn.steps[step.id].attempt} attempts")
    else:
        turn.tell(name, f"{what}; attempt {turn.steps[step.id].attempt + 1} follows", step.id)


def _foreign(turn: Turn, name: str, step: Step, detail: str) -> None:
    """Never touch it. Our own heat still comes off; a station we have not heated is left exactly as it is."""
    what = (
        f"{step.id}: somebody else's data stand in our place, and were not touched: {detail}. Move or rename them (end"
        " and archive a test on a tester), or leave this step out, then resume"
    )
    turn.set(name, foreign=True, fault=what)
    turn.tell(name, what, step.id)
    if is_warm(turn.state(), name):
        turn.make_safe(name, what)
    else:
        turn.pause(name)


def loop_seen(turn: Turn, event: LoopSeen) -> None:
    """Go on where the temperature loop is alive; without it, no heat."""
    name = event.station
    if turn.stations[name].phase is not StationPhase.CHECKING:
        return
    if not event.alive:
        what = f"no heat: the temperature loop was not seen alive: {event.detail}"
        turn.set(name, fault=what)
        turn.tell(name, what)
        turn.make_safe(name, what)
        return
    held = event.held and turn.stations[name].unsettled
    turn.set(name, loop_seen=True, unsettled=turn.stations[name].unsettled and not held)
    turn.fire(name, StationTrigger.PROCEED)
    advance(turn, name)
