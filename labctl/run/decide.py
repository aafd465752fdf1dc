"""What follows from what happened: ``decide(state, event) -> (state, commands)``, pure.

Theory of operation
-------------------
Every event has been committed before it comes here, so replaying the journal through `decide` gives the state back
and any command may be lost with the process: `Opened` of the next engine issues them anew, but only after the
instrument was asked what it has.

A station walks through its steps one at a time: choose (`run.choose`), commit the intent, begin, watch, conclude. It
never begins a step blindly: an intent without outcome is *examined* first, and the answer is acted upon by the class
of the side effect (absolute set, repeatable, expensive, irreversible). No set point is sent before rate, gas and
fresh readings were seen since the engine came. After a gap (a dead engine, a pause, a safe state) the thermal steps
of the current temperature are done again before anything is measured, unless readings prove that the band was held.

Faults are per station. An interlock goes to safe at once; a failed step goes where the lab says. A person leaves
PAUSED, SAFE and UNCONFIRMED, nobody else does. Steps whose verdict is needed elsewhere hold their users back, and
a verdict ``stop`` lets the running acquisition end and then waits for a person.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from labctl.plan.steps import Plan, Step
from labctl.ports import FAULT, AwaitStable, Effect, Measurement, SetTemperature, Standing
from labctl.run.choose import advance
from labctl.run.commands import AskEvidence, AwaitBlackout, AwaitPerson, Begin, Collect, Command, HandOff, Stop, Watch
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
from labctl.run.lifecycle import (
    CampaignPhase,
    CampaignTrigger,
    StationPhase,
    StationTrigger,
    next_campaign_phase,
)
from labctl.run.state import BEHIND, State, StationState, StepState, initial_state, order_of
from labctl.run.turn import Turn, is_warm

_HELD_BY_ORDER = (StationPhase.INTENDED, StationPhase.RUNNING, StationPhase.EXAMINING, StationPhase.COLLECTING)
_AT_REST = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED, StationPhase.FINISHED)
_LEFT_BY_PERSON = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED)
_BETWEEN_STEPS = (StationPhase.READY, StationPhase.WAITING, StationPhase.HELD, StationPhase.CHECKING)
_UNHEARD_BEGINS = 3


def decide(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Return the state after `event` and what is to be done now.

    Raises
    ------
    InternalError
        The event is not legal in the phase its station is in.
    """
    turn = _Walk(state)
    match event:
        case Planned():
            turn.policy = event.policy
        case Opened():
            turn.opened(event)
        case Intended():
            turn.intended(event)
        case Reopened():
            turn.reopened(event)
        case Started():
            turn.started(event)
        case PartCollected():
            turn.part_collected(event)
        case PartJudged():
            turn.part_judged(event)
        case Finished():
            turn.finished(event)
        case Skipped():
            turn.skipped(event)
        case Failed():
            turn.failed(event)
        case EvidenceSeen():
            turn.evidence_seen(event)
        case LoopSeen():
            turn.loop_seen(event)
        case HandedOff():
            turn.handed_off(event)
        case Tripped():
            earlier = turn.stations[event.station].fault
            told_better = event.limit.startswith(FAULT) and event.limit.removeprefix(FAULT) in earlier
            turn.set(event.station, fault=event.words if told_better or not earlier else earlier)
            turn.make_safe(event.station, event.words)
        case Operated():
            turn.operated(event)
        case Amended():
            turn.amended(event)
        case Held():
            turn.held(event)
        case HoldEnded():
            turn.hold_ended(event)
        case BlackoutBegan():
            turn.blackout_began(event)
        case SafeAsked():
            if turn.stations[event.station].phase is StationPhase.PAUSED:
                turn.make_safe(event.station, event.reason)
        case SafeSeen():
            turn.safe_seen(event)
        case Progressed() | Alarmed() | ClockJumped():
            pass
        case _:
            assert_never(event)
    turn.settle()
    return turn.state(), tuple(turn.commands)


class _Walk(Turn):
    """What each event means for the order a station is at, for its safety, and for the campaign."""

    # ------------------------------------------------------------------------------ the walk of one order
    def safe_seen(self, event: SafeSeen) -> None:
        name = event.station
        if self.stations[name].phase is not StationPhase.SAFING:
            return
        if not event.reached:
            self.fire(name, StationTrigger.SAFE_NOT_SEEN)
            self.tell(name, f"the safe state could not be read back: {event.detail}. Go and look")
            return
        self.fire(name, StationTrigger.SAFE_SEEN)
        station = self.stations[name]
        if station.open and isinstance(self.step(station.open).task, Measurement):
            self.commands.append(AskEvidence(order=order_of(self.state(), station.open)))  # keep what was acquired
        elif station.index == len(self.before.of_station[name]) and not station.fault and not station.hold:
            self.fire(name, StationTrigger.END)

    def opened(self, event: Opened) -> None:
        for name, epoch in event.epochs.items():
            if name not in self.stations:
                continue
            station = self.stations[name]
            self.set(name, epoch=epoch, loop_seen=False, unsettled=event.resumed, redo=(), skip_open=False)
            match station.phase:
                case StationPhase.INTENDED | StationPhase.RUNNING | StationPhase.EXAMINING | StationPhase.COLLECTING:
                    self.examine(name, failure="")
                case StationPhase.WAITING | StationPhase.HELD | StationPhase.CHECKING:
                    self.fire(name, StationTrigger.PROCEED)
                case StationPhase.SAFING | StationPhase.UNCONFIRMED:
                    self.make_safe(name, "the engine was gone before the safe state was seen")
                case StationPhase.PAUSED:
                    self.commands.append(AwaitPerson(station=name, warm=is_warm(self.state(), name)))
                case StationPhase.READY | StationPhase.SAFE | StationPhase.FINISHED:
                    pass
                case _:
                    assert_never(station.phase)
        for record in self.steps.values():
            self.commands.extend(HandOff(dataset=dataset) for dataset in record.pending)
            if record.part_pending is not None:
                self.commands.append(HandOff(dataset=record.part_pending))
        for name in event.epochs:
            if name in self.stations and self.stations[name].phase is StationPhase.READY:
                advance(self, name)

    def intended(self, event: Intended) -> None:
        self.fire(event.station, StationTrigger.INTEND)
        self.set_step(
            event.step_id, status="intended", attempt=event.attempt, task=event.task, parts=0, part_pending=None
        )
        self._handed_over(event.station, event.step_id)

    def reopened(self, event: Reopened) -> None:
        self.fire(event.station, StationTrigger.INTEND)
        self._handed_over(event.station, event.step_id)

    def _handed_over(self, name: str, step_id: str) -> None:
        self.set(name, open=step_id, failure="")
        if isinstance(self.step(step_id).task, SetTemperature):
            self.set(name, unsettled=False)
        order = order_of(self.state(), step_id)
        self.commands += [Watch(order=order), Begin(order=order)]  # what follows a failed begin outlasts the watch

    def started(self, event: Started) -> None:
        if self.stations[event.station].phase is StationPhase.INTENDED:
            self.fire(event.station, StationTrigger.START)
        self.set_step(event.step_id, status="running", unheard=0)

    def part_collected(self, event: PartCollected) -> None:
        record = self.steps[event.step_id]
        if event.attempt == record.attempt and event.part > record.parts:
            self.set_step(event.step_id, parts=event.part, part_pending=event.dataset)
            self.commands.append(HandOff(dataset=event.dataset))

    def part_judged(self, event: PartJudged) -> None:
        pending = self.steps[event.step_id].part_pending
        if pending is not None and (pending.attempt, pending.part) == (event.attempt, event.part):
            self.set_step(event.step_id, part_pending=None)

    def finished(self, event: Finished) -> None:
        name, step = event.station, self.step(event.step_id)
        self.set_step(step.id, part_pending=None)  # the whole is judged instead
        if event.dataset is not None:
            record = self.steps[step.id]
            self.set_step(step.id, pending=(*record.pending, event.dataset))
            self.commands.append(HandOff(dataset=event.dataset))
        station = self.stations[name]
        skip = station.skip_open
        self.set(name, open="", failure="", skip_open=False)
        if station.phase in _HELD_BY_ORDER:
            self.fire(name, StationTrigger.CONCLUDE)
        watched = station.phase in (StationPhase.INTENDED, StationPhase.RUNNING)
        accepted = event.result == "done" or (event.result == "halted" and self.policy.halted == "accept")
        if skip or accepted:
            self.set_step(step.id, status="skipped" if skip and event.result != "done" else event.result)
            if step.id in station.redo:
                self.set(name, redo=tuple(other for other in station.redo if other != step.id))
            if isinstance(step.task, AwaitStable) and watched:  # not one that ended while nobody looked
                self.set(name, unsettled=False)
            if event.result == "halted":
                self.tell(name, f"{step.id} was halted early; its data are kept and used: {event.detail}", step.id)
        else:
            self.set_step(step.id, status="partial")
            policy = self.policy.halted if event.result == "halted" else self.policy.interrupted
            what = f"{step.id} ended early ({event.detail}); what it left is kept"
            self._again_or_ask(name, step, what, ask=policy == "ask")
        if self.stations[name].phase is StationPhase.READY:
            advance(self, name)

    def _again_or_ask(self, name: str, step: Step, what: str, *, ask: bool = False) -> None:
        """Decide, by class of side effect, whether another attempt may follow by itself."""
        if self.stations[name].phase is not StationPhase.READY:
            return  # safe or paused already: the person who leaves it decides
        if step.effect is Effect.IRREVERSIBLE:
            self.set(name, hold=f"{what}. It changes the sample and is never repeated: skip it, or end the campaign")
        elif ask and step.effect is Effect.EXPENSIVE:
            self.set(name, hold=f"{what}. Continue for another attempt, or skip it")
        elif self.steps[step.id].attempt >= self.policy.max_attempts:
            self.fault(name, f"{what}, {self.steps[step.id].attempt} attempts")
        else:
            self.tell(name, f"{what}; attempt {self.steps[step.id].attempt + 1} follows", step.id)

    def skipped(self, event: Skipped) -> None:
        self.set_step(event.step_id, status="skipped")
        if self.stations[event.station].phase is StationPhase.READY:
            advance(self, event.station)

    def failed(self, event: Failed) -> None:
        name, step = event.station, self.step(event.step_id)
        station = self.stations[name]
        if station.open != step.id or event.attempt != self.steps[step.id].attempt:
            return
        if event.stage == "collect":
            self._stand(
                name, f"{step.id}: its data could not be brought in: {event.what}; they stand on the instrument"
            )
        elif station.phase not in _HELD_BY_ORDER:  # safe or paused meanwhile: a person, or the safe state, decides
            if not isinstance(step.task, Measurement):
                self.set(name, open="")
                self.set_step(step.id, status="failed")
        elif event.stage == "begin_unheard":
            self.set_step(step.id, unheard=self.steps[step.id].unheard + 1)
            self.examine(name, failure="")
        elif isinstance(step.task, Measurement):
            self.examine(name, failure=event.what)
        else:
            self.set(name, open="")
            self.set_step(step.id, status="failed")
            self._stand(name, f"{step.id} failed: {event.what}")

    def _stand(self, name: str, what: str) -> None:
        """Fault, unless the station stands already."""
        if self.stations[name].phase in (StationPhase.SAFE, StationPhase.SAFING, StationPhase.PAUSED):
            self.set(name, fault=self.stations[name].fault or what)
            self.tell(name, what)
        else:
            self.fault(name, what)

    def examine(self, name: str, *, failure: str) -> None:
        self.fire(name, StationTrigger.EXAMINE)
        self.set(name, failure=failure)
        self.commands.append(AskEvidence(order=order_of(self.state(), self.stations[name].open)))

    def evidence_seen(self, event: EvidenceSeen) -> None:
        name, step = event.station, self.step(event.step_id)
        station = self.stations[name]
        acquires = isinstance(step.task, Measurement)
        order = order_of(self.state(), step.id)
        if station.phase is StationPhase.SAFE:  # only to keep what was acquired
            if event.standing in (Standing.FINISHED, Standing.INTERRUPTED):
                self.commands.append(Collect(order=order, partial=event.standing is Standing.INTERRUPTED))
            return
        if station.phase is not StationPhase.EXAMINING and (
            event.standing is not Standing.FOREIGN or station.phase not in _HELD_BY_ORDER
        ):
            return  # it stands meanwhile: the order stays open and is asked about again
        match event.standing:
            case Standing.FOREIGN:
                self._foreign(name, step, event.detail)
            case Standing.RUNNING if station.failure:
                self.fault(name, f"{step.id} was said to have failed ({station.failure}) and yet runs: {event.detail}")
            case Standing.RUNNING:
                self.fire(name, StationTrigger.START)
                self.set_step(step.id, status="running", unheard=0)
                self.commands.append(Watch(order=order))
            case Standing.FINISHED:
                self.fire(name, StationTrigger.COLLECT)
                self.commands.append(Collect(order=order, partial=False))
            case Standing.INTERRUPTED if acquires:
                self.fire(name, StationTrigger.COLLECT)
                self.commands.append(Collect(order=order, partial=True))
            case Standing.INTERRUPTED:
                self._begin_anew(name, step, status="partial", what=f"{step.id} was interrupted ({event.detail})")
            case Standing.NOT_STARTED | Standing.PREPARED if station.failure:
                seen = self.steps[step.id].status == "running"
                how = "ended without data" if seen else "failed before it began"
                what = f"{step.id} {how}: {station.failure}"
                self._begin_anew(name, step, status="failed", what=what)
            case Standing.NOT_STARTED | Standing.PREPARED if self.steps[step.id].status == "running":
                # it was seen running, and nothing is left of it: what there was is gone, the number is not reused
                what = f"{step.id} had begun and left nothing ({event.detail})"
                self._begin_anew(name, step, status="partial", what=what)
            case Standing.NOT_STARTED | Standing.PREPARED:
                if self.steps[step.id].unheard >= _UNHEARD_BEGINS:
                    self.fault(name, f"{step.id} was sent {_UNHEARD_BEGINS} times and never taken up: {event.detail}")
                    return
                self.set(name, open="")  # the intent stands; it is taken up again after the loop was seen
                self.set_step(step.id, status="intended")
                self.fire(name, StationTrigger.ABANDON)
                advance(self, name)
            case _:
                assert_never(event.standing)

    def _begin_anew(self, name: str, step: Step, *, status: str, what: str) -> None:
        self.set(name, open="", failure="")
        self.set_step(step.id, status=status)
        self.fire(name, StationTrigger.ABANDON)
        if step.effect is Effect.ABSOLUTE_SET:
            self.tell(name, f"{what}; it is sent again", step.id)
        else:
            self._again_or_ask(name, step, what)
        if self.stations[name].phase is StationPhase.READY:
            advance(self, name)

    def _foreign(self, name: str, step: Step, detail: str) -> None:
        """Never touch it. Our own heat still comes off; a station we have not heated is left exactly as it is."""
        what = f"{step.id}: somebody else's data stand in our place ({detail}); they were not touched"
        self.set(name, foreign=True, fault=what)
        self.tell(name, what, step.id)
        if is_warm(self.state(), name):
            self.make_safe(name, what)
        else:
            self.pause(name)

    def loop_seen(self, event: LoopSeen) -> None:
        name = event.station
        if self.stations[name].phase is not StationPhase.CHECKING:
            return
        if not event.alive:
            what = f"no heat: the temperature loop was not seen alive: {event.detail}"
            self.set(name, fault=what)
            self.tell(name, what)
            self.make_safe(name, what)
            return
        held = event.held and self.stations[name].unsettled
        self.set(name, loop_seen=True, unsettled=self.stations[name].unsettled and not held)
        self.fire(name, StationTrigger.PROCEED)
        advance(self, name)

    def handed_off(self, event: HandedOff) -> None:
        record = self.steps[event.step_id]
        pending = tuple(other for other in record.pending if other.attempt != event.attempt)
        usable = record.attempt == event.attempt and record.status in {"done", "halted"}
        self.set_step(event.step_id, pending=pending, verdict=event.verdict if usable else record.verdict)
        name = event.station
        if usable and event.verdict.gate == "stop":
            self.set(name, hold=f"{event.step_id}: {event.verdict.message or 'analysis asks for a person'}")
            self.tell(name, self.stations[name].hold, event.step_id)
            if self.stations[name].phase in _BETWEEN_STEPS:
                self.pause(name)
        for other, station in self.stations.items():
            if station.phase is StationPhase.WAITING:
                self.fire(other, StationTrigger.PROCEED)
                advance(self, other)

    # ------------------------------------------------------------------------------ persons

    def operated(self, event: Operated) -> None:
        names = [event.station] if event.station else list(self.stations)
        if event.step_id:
            names = [self.step(event.step_id).station]
        for name in names:
            match event.verb:
                case "pause":
                    self._pause_by_person(name, event.reason)
                case "continue":
                    self._continue_by_person(name)
                case "abort":
                    self.aborted = True
                    self.set(name, hold=f"aborted: {event.reason}")
                    if self.stations[name].phase not in (StationPhase.FINISHED, StationPhase.SAFE):
                        self.make_safe(name, f"aborted by a person: {event.reason}")
                case "skip":
                    self._skip_by_person(name, event.step_id, event.reason)
                case "acknowledge":
                    pass  # somebody has seen it: reminders end, the campaign stands as it stood
                case _:
                    assert_never(event.verb)

    def _pause_by_person(self, name: str, reason: str) -> None:
        phase = self.stations[name].phase
        if phase is StationPhase.FINISHED or phase in _LEFT_BY_PERSON:
            return
        self.set(name, hold=f"paused: {reason}")  # a running order goes on to its end
        if phase in _BETWEEN_STEPS:
            self.pause(name)

    def _continue_by_person(self, name: str) -> None:
        station = self.stations[name]
        self.aborted = False
        approved = station.approved
        steps = self.before.of_station[name]
        if station.hold and station.index < len(steps):
            here = steps[station.index]
            same_need = (step.id for step in steps if step.recycle is not None and step.needs == here.needs)
            approved = approved | {here.id, *same_need}
        self.set(name, hold="", approved=approved)
        if station.phase not in _LEFT_BY_PERSON:
            return
        self.set(name, fault="", foreign=False, loop_seen=False, unsettled=True)
        if station.open:
            self.examine(name, failure="")
        else:
            self.fire(name, StationTrigger.RESUME)
            advance(self, name)

    def _skip_by_person(self, name: str, step_id: str, reason: str) -> None:
        station = self.stations[name]
        if not step_id or self.steps[step_id].status in BEHIND:
            return
        if station.open != step_id:
            self.set_step(step_id, status="skipped")
            self.set(name, redo=tuple(other for other in station.redo if other != step_id))
            if station.phase in (StationPhase.WAITING, StationPhase.HELD):
                self.fire(name, StationTrigger.PROCEED)
                advance(self, name)
        elif station.phase in _LEFT_BY_PERSON:
            self.set(name, open="", failure="")
            self.set_step(step_id, status="skipped")
        else:
            self.set(name, skip_open=True)
            self.commands.append(Stop(order=order_of(self.state(), step_id), reason=f"skipped: {reason}"))

    def amended(self, event: Amended) -> None:
        """Take the new plan; what has begun or lies behind is in it as it was done (`labctl.run.amend`)."""
        old = self.before
        plan = Plan(
            campaign=old.plan.campaign, steps=event.steps, settings=old.plan.settings, blackouts=event.blackouts
        )
        fresh = initial_state(plan)
        of_station = {**dict.fromkeys(self.stations, ()), **fresh.of_station}
        kept = {step.id for step in plan.steps if step.id in old.by_id and old.by_id[step.id].key == step.key}
        records = {step.id: self.steps[step.id] if step.id in kept else StepState() for step in plan.steps}
        self.before = replace(old, plan=plan, by_id=fresh.by_id, of_station=of_station)
        self.take_steps(records)
        for name in fresh.of_station:
            self.stations.setdefault(name, StationState())
        for name, station in list(self.stations.items()):
            if station.phase in (StationPhase.WAITING, StationPhase.HELD):
                self.fire(name, StationTrigger.PROCEED)
            if self.stations[name].phase is StationPhase.READY:
                advance(self, name)

    # ------------------------------------------------------------------------------ blackouts

    def held(self, event: Held) -> None:
        name = event.station
        if self.stations[name].phase is not StationPhase.READY:
            return
        self.fire(name, StationTrigger.HOLD)
        self.set(name, waits_until_s=event.until_s, waits_for=event.why)
        self.commands.append(AwaitBlackout(station=name, until_s=event.until_s))

    def hold_ended(self, event: HoldEnded) -> None:
        if self.stations[event.station].phase is StationPhase.HELD:
            self.fire(event.station, StationTrigger.PROCEED)
            advance(self, event.station)

    def blackout_began(self, event: BlackoutBegan) -> None:
        if self.stations[event.station].open == event.step_id:
            self.commands.append(Stop(order=order_of(self.state(), event.step_id), reason=f"blackout: {event.why}"))

    # ------------------------------------------------------------------------------ the campaign

    def settle(self) -> None:
        """Bring the campaign's phase in line with its stations."""
        phases = [station.phase for station in self.stations.values()]
        stuck = [name for name, station in self.stations.items() if station.phase is StationPhase.WAITING]
        if stuck and not any(record.pending for record in self.steps.values()):
            live = [phase for phase in phases if phase not in _AT_REST and phase is not StationPhase.WAITING]
            if not live:
                for name in stuck:
                    self.set(name, hold="it waits for a step of a station that stands")
                    self.pause(name)
                phases = [station.phase for station in self.stations.values()]
        if any(phase not in _AT_REST for phase in phases):
            self._campaign(CampaignPhase.RUNNING, CampaignTrigger.REVIVE)
        elif self.aborted:
            self._campaign(CampaignPhase.ABORTED, CampaignTrigger.ABORT)
        elif any(station.fault for station in self.stations.values()):
            self._campaign(CampaignPhase.STOPPED, CampaignTrigger.STOP)
        elif all(phase is StationPhase.FINISHED for phase in phases):
            self._campaign(CampaignPhase.DONE, CampaignTrigger.FINISH)
        else:
            self._campaign(CampaignPhase.PAUSED, CampaignTrigger.PAUSE)

    def _campaign(self, wanted: CampaignPhase, trigger: CampaignTrigger) -> None:
        if self.phase is not wanted:
            self.phase = next_campaign_phase(self.phase, trigger)
