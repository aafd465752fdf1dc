"""What follows from what happened: ``decide(state, event) -> (state, commands)``, pure.

Theory of operation
-------------------
Every event has been committed before it comes here, so replaying the journal through `decide` gives the state back
and any command may be lost with the process: `Opened` of the next engine issues them anew, but only after the
instrument was asked what it has.

A station walks through its steps one at a time: choose (`run.choose`), commit the intent, begin, watch, conclude
(`run.order_walk`). It never begins a step blindly: an intent without outcome is *examined* first (`run.examine`), and
the answer is acted upon by the class of the side effect (absolute set, repeatable, expensive, irreversible). No set
point is sent before rate, gas and fresh readings were seen since the engine came. After a gap (a dead engine, a pause,
a safe state) the thermal steps of the current temperature are done again before anything is measured, unless readings
prove that the band was held.

Faults are per station. An interlock goes to safe at once; a failed step goes where the lab says. A person leaves
PAUSED, SAFE and UNCONFIRMED, nobody else does
(`run.by_person`). Steps whose verdict is needed elsewhere hold their users back, and
a verdict ``stop`` lets the running acquisition end and then waits for a person.
"""

from __future__ import annotations

from typing import assert_never

from labctl.ports import FAULT, Measurement
from labctl.run.by_person import amended, operated
from labctl.run.choose import advance
from labctl.run.commands import AskEvidence, AwaitBlackout, AwaitPerson, Command, HandOff, Stop
from labctl.run.events import (
    Alarmed,
    Amended,
    BlackoutBegan,
    ClockJumped,
    Event,
    EvidenceSeen,
    Failed,
    Finished,
    HandedOff,
    Held,
    HoldEnded,
    Intended,
    LoopSeen,
    Opened,
    Operated,
    PartCollected,
    PartJudged,
    Planned,
    Progressed,
    Reopened,
    SafeAsked,
    SafeSeen,
    Skipped,
    Started,
    Tripped,
)
from labctl.run.examine import evidence_seen, examine, loop_seen
from labctl.run.lifecycle import (
    AT_REST,
    BETWEEN_STEPS,
    CampaignPhase,
    CampaignTrigger,
    StationPhase,
    StationTrigger,
    next_campaign_phase,
)
from labctl.run.order_walk import failed, finished, intended, part_collected, part_judged, reopened, skipped, started
from labctl.run.state import State, order_of
from labctl.run.turn import Turn, is_warm


def decide(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Return the state after `event` and what is to be done now.

    Raises
    ------
    InternalError
        The event is not legal in the phase its station is in.
    """
    turn = Turn(state)
    match event:
        case Planned():
            turn.policy = event.policy
        case Opened():
            _opened(turn, event)
        case Intended():
            intended(turn, event)
        case Reopened():
            reopened(turn, event)
        case Started():
            started(turn, event)
        case PartCollected():
            part_collected(turn, event)
        case PartJudged():
            part_judged(turn, event)
        case Finished():
            finished(turn, event)
        case Skipped():
            skipped(turn, event)
        case Failed():
            failed(turn, event)
        case EvidenceSeen():
            evidence_seen(turn, event)
        case LoopSeen():
            loop_seen(turn, event)
        case HandedOff():
            _handed_off(turn, event)
        case Tripped():
            _tripped(turn, event)
        case Operated():
            operated(turn, event)
        case Amended():
            amended(turn, event)
        case Held():
            _held(turn, event)
        case HoldEnded():
            _hold_ended(turn, event)
        case BlackoutBegan():
            _blackout_began(turn, event)
        case SafeAsked():
            _safe_asked(turn, event)
        case SafeSeen():
            _safe_seen(turn, event)
        case Progressed() | Alarmed() | ClockJumped():
            pass
        case _:
            assert_never(event)
    _settle(turn)
    return turn.state(), tuple(turn.commands)


def _opened(turn: Turn, event: Opened) -> None:
    for name, epoch in event.epochs.items():
        if name not in turn.stations:
            continue
        station = turn.stations[name]
        turn.set(name, epoch=epoch, loop_seen=False, unsettled=event.resumed, redo=(), skip_open=False)
        match station.phase:
            case StationPhase.INTENDED | StationPhase.RUNNING | StationPhase.EXAMINING | StationPhase.COLLECTING:
                examine(turn, name, failure="")
            case StationPhase.WAITING | StationPhase.HELD | StationPhase.CHECKING:
                turn.fire(name, StationTrigger.PROCEED)
            case StationPhase.SAFING | StationPhase.UNCONFIRMED:
                turn.make_safe(name, "the engine was gone before the safe state was seen")
            case StationPhase.PAUSED:
                turn.commands.append(AwaitPerson(station=name, warm=is_warm(turn.state(), name)))
            case StationPhase.READY | StationPhase.SAFE | StationPhase.FINISHED:
                pass
            case _:
                assert_never(station.phase)
    for record in turn.steps.values():
        turn.commands.extend(HandOff(dataset=dataset) for dataset in record.pending)
        if record.part_pending is not None:
            turn.commands.append(HandOff(dataset=record.part_pending))
    for name in event.epochs:
        if name in turn.stations and turn.stations[name].phase is StationPhase.READY:
            advance(turn, name)


def _handed_off(turn: Turn, event: HandedOff) -> None:
    record = turn.steps[event.step_id]
    pending = tuple(other for other in record.pending if other.attempt != event.attempt)
    usable = record.attempt == event.attempt and record.status in {"done", "halted"}
    turn.set_step(event.step_id, pending=pending, verdict=event.verdict if usable else record.verdict)
    name = event.station
    if usable and event.verdict.gate == "stop":
        turn.set(name, hold=f"{event.step_id}: {event.verdict.message or 'analysis asks for a person'}")
        turn.tell(name, turn.stations[name].hold, event.step_id)
        if turn.stations[name].phase in BETWEEN_STEPS:
            turn.pause(name)
    for other, station in turn.stations.items():
        if station.phase is StationPhase.WAITING:
            turn.fire(other, StationTrigger.PROCEED)
            advance(turn, other)


def _held(turn: Turn, event: Held) -> None:
    name = event.station
    if turn.stations[name].phase is not StationPhase.READY:
        return
    turn.fire(name, StationTrigger.HOLD)
    turn.set(name, waits_until_s=event.until_s, waits_for=event.why)
    turn.commands.append(AwaitBlackout(station=name, until_s=event.until_s))


def _hold_ended(turn: Turn, event: HoldEnded) -> None:
    if turn.stations[event.station].phase is StationPhase.HELD:
        turn.fire(event.station, StationTrigger.PROCEED)
        advance(turn, event.station)


def _blackout_began(turn: Turn, event: BlackoutBegan) -> None:
    if turn.stations[event.station].open == event.step_id:
        turn.commands.append(Stop(order=order_of(turn.state(), event.step_id), reason=f"blackout: {event.why}"))


def _tripped(turn: Turn, event: Tripped) -> None:
    """Go safe at once; an instrument's own words for the same fault tell people more than the interlock's."""
    earlier = turn.stations[event.station].fault
    told_better = event.limit.startswith(FAULT) and event.limit.removeprefix(FAULT) in earlier
    turn.set(event.station, fault=event.words if told_better or not earlier else earlier)
    turn.make_safe(event.station, event.words)


def _safe_asked(turn: Turn, event: SafeAsked) -> None:
    if turn.stations[event.station].phase is StationPhase.PAUSED:
        turn.make_safe(event.station, event.reason)


def _safe_seen(turn: Turn, event: SafeSeen) -> None:
    name = event.station
    if turn.stations[name].phase is not StationPhase.SAFING:
        return
    if not event.reached:
        turn.fire(name, StationTrigger.SAFE_NOT_SEEN)
        what = f"the safe state could not be read back: {event.detail}. Go and look"
        turn.set(name, fault=turn.stations[name].fault or what)
        turn.tell(name, what)
        return
    turn.fire(name, StationTrigger.SAFE_SEEN)
    station = turn.stations[name]
    if station.open and isinstance(turn.step(station.open).task, Measurement):
        turn.commands.append(AskEvidence(order=order_of(turn.state(), station.open)))  # keep what was acquired
    elif station.index == len(turn.before.of_station[name]) and not station.fault and not station.hold:
        turn.fire(name, StationTrigger.END)


def _settle(turn: Turn) -> None:
    """Bring the campaign's phase in line with its stations."""
    phases = [station.phase for station in turn.stations.values()]
    stuck = [name for name, station in turn.stations.items() if station.phase is StationPhase.WAITING]
    if stuck and not any(record.pending for record in turn.steps.values()):
        live = [phase for phase in phases if phase not in AT_REST and phase is not StationPhase.WAITING]
        if not live:
            for name in stuck:
                turn.set(name, hold="it waits for a step of a station that stands")
                turn.pause(name)
            phases = [station.phase for station in turn.stations.values()]
    if any(phase not in AT_REST for phase in phases):
        _move_campaign(turn, CampaignPhase.RUNNING, CampaignTrigger.REVIVE)
    elif turn.aborted:
        _move_campaign(turn, CampaignPhase.ABORTED, CampaignTrigger.ABORT)
    elif any(station.fault for station in turn.stations.values()):
        _move_campaign(turn, CampaignPhase.STOPPED, CampaignTrigger.STOP)
    elif all(phase is StationPhase.FINISHED for phase in phases):
        _move_campaign(turn, CampaignPhase.DONE, CampaignTrigger.FINISH)
    else:
        _move_campaign(turn, CampaignPhase.PAUSED, CampaignTrigger.PAUSE)


def _move_campaign(turn: Turn, wanted: CampaignPhase, trigger: CampaignTrigger) -> None:
    if turn.phase is not wanted:
        turn.phase = next_campaign_phase(turn.phase, trigger)
