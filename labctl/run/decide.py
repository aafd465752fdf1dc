"""What follows from what happened: ``decide(state, event) -> (state, commands)``, pure.

Theory of operation
-------------------
Every event has been committed before it comes here, so replaying the journal through `decide` gives the state back
and any command may be lost with the process: `Opened` of the next engine issues them anew, but only after the
instrument was asked what it has.

A station walks through its steps one at a time: choose (`_advance`), commit the intent, begin, watch, conclude. It
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

from labctl.dataset.model import Verdict
from labctl.plan.steps import Step
from labctl.ports import Acquire, AwaitStable, CheckSpinning, CoolDown, Effect, SetTemperature, Standing, Tune
from labctl.run.events import (
    Alarmed,
    AskEvidence,
    AwaitPerson,
    Begin,
    CheckLoop,
    ClockJumped,
    Collect,
    Command,
    Event,
    EvidenceSeen,
    Failed,
    Finished,
    HandedOff,
    HandOff,
    Intend,
    Intended,
    LoopSeen,
    MakeSafe,
    Opened,
    Operated,
    Planned,
    Progressed,
    Reopen,
    Reopened,
    SafeAsked,
    SafeSeen,
    Skip,
    Skipped,
    Started,
    Stop,
    Tell,
    Tripped,
    Watch,
)
from labctl.run.lifecycle import (
    CampaignPhase,
    CampaignTrigger,
    StationPhase,
    StationTrigger,
    next_campaign_phase,
    next_station_phase,
)
from labctl.run.recycle import resolve_recycle
from labctl.run.state import BEHIND, State, StationState, StepState, order_of

_HELD_BY_ORDER = (StationPhase.INTENDED, StationPhase.RUNNING, StationPhase.EXAMINING, StationPhase.COLLECTING)
_AT_REST = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED, StationPhase.FINISHED)
_LEFT_BY_PERSON = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED)
_UNHEARD_BEGINS = 3
_LAST_ATTEMPT = 9  # the EXPNO map keeps one digit for the attempt


def decide(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Return the state after `event` and what is to be done now.

    Raises
    ------
    InternalError
        The event is not legal in the phase its station is in.
    """
    turn = _Turn(state)
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
            turn.set(event.station, fault=turn.stations[event.station].fault or f"{event.limit}: {event.detail}")
            turn.make_safe(event.station, f"{event.limit}: {event.detail}")
        case Operated():
            turn.operated(event)
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


def is_warm(state: State, station: str) -> bool:
    """Whether a set point has been sent that no cool-down or safe state has taken back yet."""
    warm = False
    at = -1
    for number, step in enumerate(state.of_station[station]):
        record = state.steps[step.id]
        if isinstance(step.task, SetTemperature) and record.attempt > 0:
            warm, at = True, number
        elif isinstance(step.task, CoolDown) and record.status in {"done", "halted"} and number > at:
            warm = False
    return warm and state.stations[station].phase is not StationPhase.SAFE


def expected_spinning(state: State, station: str) -> tuple[float, float]:
    """Return the rate the rotor should have now and its tolerance [Hz]; 0 where nothing spins."""
    steps = state.of_station[station]
    index = min(state.stations[station].index, len(steps) - 1)
    for step in (*steps[index:], *reversed(steps[:index])):
        match step.task:
            case CheckSpinning(rate_Hz=rate_Hz, tolerance_Hz=tolerance_Hz):
                return rate_Hz, tolerance_Hz
            case Acquire(spinning_Hz=rate_Hz, spinning_tolerance_Hz=tolerance_Hz) if rate_Hz > 0.0:
                return rate_Hz, tolerance_Hz
    return 0.0, 0.0


class _Turn:
    """One call of `decide`: a working copy of the state, and the commands so far."""

    def __init__(self, state: State) -> None:
        self._before = state
        self.policy = state.policy
        self.phase = state.phase
        self.aborted = state.aborted
        self.stations: dict[str, StationState] = dict(state.stations)
        self.steps = state.steps
        self._steps: dict[str, StepState] | None = None
        self.commands: list[Command] = []

    # ------------------------------------------------------------------------------ the working copy

    def state(self) -> State:
        return replace(
            self._before,
            policy=self.policy,
            phase=self.phase,
            aborted=self.aborted,
            stations=self.stations,
            steps=self.steps,
        )

    def set(self, name: str, **changes: object) -> None:
        self.stations[name] = replace(self.stations[name], **changes)  # type: ignore[arg-type]  # field names are ours

    def set_step(self, step_id: str, **changes: object) -> None:
        if self._steps is None:
            self.steps = self._steps = dict(self.steps)
        self._steps[step_id] = replace(self._steps[step_id], **changes)  # type: ignore[arg-type]  # as above

    def fire(self, name: str, trigger: StationTrigger) -> None:
        self.set(name, phase=next_station_phase(self.stations[name].phase, trigger))

    def step(self, step_id: str) -> Step:
        return self._before.by_id[step_id]

    def tell(self, station: str, what: str, step_id: str = "") -> None:
        self.commands.append(Tell(event=Alarmed(station=station, what=what, step_id=step_id)))

    # ------------------------------------------------------------------------------ choosing what is next

    def advance(self, name: str) -> None:
        """Choose what a READY station does next.

        It stays READY with a command that will commit an event (`Intend`, `Reopen`, `Skip`). Such a command is
        stale, and to be dropped, once its station is no longer READY: a verdict may come in between.
        """
        station = self.stations[name]
        if station.hold:
            self.pause(name)
            return
        steps = self._before.of_station[name]
        while station.index < len(steps) and self.steps[steps[station.index].id].status in BEHIND:
            self.set(name, index=station.index + 1)
            station = self.stations[name]
        if station.redo:
            self._begin(name, self.step(station.redo[0]))
            return
        if station.index == len(steps):
            self._end(name)
            return
        step = steps[station.index]
        if any(self._verdict_is_due(step, need) for need in self._needs(step)):
            self.fire(name, StationTrigger.WAIT)
            return
        if step.skip_when == "settled" and self._series_settled(step):
            reason = f"{step.series or 'the series'} has settled"
            self.commands.append(Skip(event=Skipped(station=name, step_id=step.id, reason=reason)))
            return
        self._begin(name, step)

    def _needs(self, step: Step) -> tuple[str, ...]:
        if step.skip_when != "settled":
            return step.needs
        return step.needs + self._earlier_in_series(step)

    def _earlier_in_series(self, step: Step) -> tuple[str, ...]:
        steps = self._before.of_station[step.station]
        earlier = steps[: next(number for number, other in enumerate(steps) if other.id == step.id)]
        return tuple(other.id for other in earlier if other.series == step.series and step.series)

    def _verdict_is_due(self, step: Step, need: str) -> bool:
        """A needed verdict that may still come: not when its step was skipped, gave up, or left nothing."""
        record = self.steps[need]
        if record.pending:
            return True
        if record.status in {"done", "halted", "skipped", "failed"}:
            return False
        return self.step(need).station != step.station or record.status in {"intended", "running"}

    def _series_settled(self, step: Step) -> bool:
        verdicts = (self.steps[other].verdict for other in self._earlier_in_series(step))
        return any(verdict is not None and verdict.gate == "settled" for verdict in verdicts)

    def _begin(self, name: str, step: Step) -> None:
        """Make sure of the loop and of the temperature, then ask for the intent to be committed."""
        station = self.stations[name]
        record = self.steps[step.id]
        if step.effect is Effect.IRREVERSIBLE and record.status == "partial":
            self.set(name, hold=f"{step.id} has changed the sample in part and is never repeated: skip it")
            self.pause(name)
            return
        thermal = isinstance(step.task, SetTemperature)
        settled_wanted = isinstance(step.task, AwaitStable | Tune | Acquire) and not station.redo
        if (thermal and not station.loop_seen) or (settled_wanted and station.unsettled and not station.loop_seen):
            self._check_loop(name)
            return
        if settled_wanted and station.unsettled:
            redo = self._thermal_steps_before(name)
            self.set(name, unsettled=False, redo=redo)
            if redo:
                self.advance(name)
                return
        if record.status == "intended":
            reopened = Reopened(station=name, step_id=step.id, attempt=record.attempt)
            self.commands.append(Reopen(event=reopened))
            return
        if record.attempt >= _LAST_ATTEMPT and isinstance(step.task, Acquire):
            self.fault(name, f"{step.id} was attempted {record.attempt} times; its EXPNOs have no digit left")
            return
        task = record.task if record.task is not None else step.task  # what was resolved once stays
        notes: tuple[str, ...] = ()
        if record.task is None and step.recycle is not None and isinstance(step.task, Acquire):
            measured = {key: value for need in step.needs for key, value in self._verdict(need).measured.items()}
            resolved = resolve_recycle(step.task, step.recycle, measured, approved=step.id in station.approved)
            if resolved.ask:
                self.set(name, hold=f"{step.id}: {resolved.ask}")
                self.pause(name)
                return
            task, notes = resolved.task, resolved.notes
        self.commands.append(
            Intend(
                event=Intended(
                    station=name, step_id=step.id, attempt=record.attempt + 1, key=step.key, task=task, notes=notes
                )
            )
        )

    def _verdict(self, step_id: str) -> Verdict:
        return self.steps[step_id].verdict or Verdict()

    def _thermal_steps_before(self, name: str) -> tuple[str, ...]:
        """The ramp to the current temperature and the waits and checks after it, as far as they lie behind."""
        behind = self._before.of_station[name][: self.stations[name].index]
        for number in range(len(behind) - 1, -1, -1):
            if isinstance(behind[number].task, CoolDown):
                return ()
            if isinstance(behind[number].task, SetTemperature):
                if self.steps[behind[number].id].status == "skipped":
                    return ()
                after = behind[number + 1 :]
                waits = [step.id for step in after if isinstance(step.task, AwaitStable | CheckSpinning)]
                return (behind[number].id, *(wait for wait in waits if self.steps[wait].status != "skipped"))
        return ()

    def _check_loop(self, name: str) -> None:
        rate_Hz, tolerance_Hz = expected_spinning(self.state(), name)
        last = next(
            (
                step.task
                for step in reversed(self._before.of_station[name][: self.stations[name].index])
                if isinstance(step.task, AwaitStable | SetTemperature | CoolDown)
            ),
            None,
        )
        band = last if isinstance(last, AwaitStable) else None
        self.fire(name, StationTrigger.CHECK_LOOP)
        self.commands.append(
            CheckLoop(
                station=name,
                spinning_Hz=rate_Hz,
                tolerance_Hz=tolerance_Hz,
                setpoint_K=band.setpoint_K if band else None,
                within_K=band.within_K if band else None,
            )
        )

    def _end(self, name: str) -> None:
        """All steps are behind: done, unless heat is still on, which a plan without cool-down would leave."""
        if is_warm(self.state(), name):
            self.make_safe(name, "end of the plan with the set point still up")
        else:
            self.fire(name, StationTrigger.END)

    # ------------------------------------------------------------------------------ faults, pauses, safety

    def pause(self, name: str) -> None:
        self.fire(name, StationTrigger.PAUSE)
        self.commands.append(AwaitPerson(station=name, warm=is_warm(self.state(), name)))

    def fault(self, name: str, what: str) -> None:
        """A step failed for good: safe or pause, as the lab says."""
        self.set(name, fault=self.stations[name].fault or what)
        self.tell(name, what)
        if self.policy.on_fault.get(name, "safe") == "pause":
            self.pause(name)
        else:
            self.make_safe(name, what)

    def make_safe(self, name: str, reason: str) -> None:
        if self.stations[name].phase is not StationPhase.SAFING:
            self.fire(name, StationTrigger.MAKE_SAFE)
        self.set(name, redo=(), loop_seen=False, unsettled=True)
        self.commands.append(MakeSafe(station=name, reason=reason))

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
        if station.open and isinstance(self.step(station.open).task, Acquire):
            self.commands.append(AskEvidence(order=order_of(self.state(), station.open)))  # keep what was acquired
        elif station.index == len(self._before.of_station[name]) and not station.fault and not station.hold:
            self.fire(name, StationTrigger.END)

    # ------------------------------------------------------------------------------ the walk of one order

    def opened(self, event: Opened) -> None:
        for name, epoch in event.epochs.items():
            if name not in self.stations:
                continue
            station = self.stations[name]
            self.set(name, epoch=epoch, loop_seen=False, unsettled=event.resumed, redo=(), skip_open=False)
            match station.phase:
                case StationPhase.INTENDED | StationPhase.RUNNING | StationPhase.EXAMINING | StationPhase.COLLECTING:
                    self.examine(name, failure="")
                case StationPhase.WAITING | StationPhase.CHECKING:
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
        for name in event.epochs:
            if name in self.stations and self.stations[name].phase is StationPhase.READY:
                self.advance(name)

    def intended(self, event: Intended) -> None:
        self.fire(event.station, StationTrigger.INTEND)
        self.set_step(event.step_id, status="intended", attempt=event.attempt, task=event.task)
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

    def finished(self, event: Finished) -> None:
        name, step = event.station, self.step(event.step_id)
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
            self.advance(name)

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
            self.advance(event.station)

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
            if not isinstance(step.task, Acquire):
                self.set(name, open="")
                self.set_step(step.id, status="failed")
        elif event.stage == "begin_unheard":
            self.set_step(step.id, unheard=self.steps[step.id].unheard + 1)
            self.examine(name, failure="")
        elif isinstance(step.task, Acquire):
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
        acquires = isinstance(step.task, Acquire)
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
                what = f"{step.id} failed before it began: {station.failure}"
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
                self.advance(name)
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
            self.advance(name)

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
        self.advance(name)

    def handed_off(self, event: HandedOff) -> None:
        record = self.steps[event.step_id]
        pending = tuple(other for other in record.pending if other.attempt != event.attempt)
        usable = record.attempt == event.attempt and record.status in {"done", "halted"}
        self.set_step(event.step_id, pending=pending, verdict=event.verdict if usable else record.verdict)
        name = event.station
        if usable and event.verdict.gate == "stop":
            self.set(name, hold=f"{event.step_id}: {event.verdict.message or 'analysis asks for a person'}")
            self.tell(name, self.stations[name].hold, event.step_id)
            if self.stations[name].phase in (StationPhase.READY, StationPhase.WAITING, StationPhase.CHECKING):
                self.pause(name)
        for other, station in self.stations.items():
            if station.phase is StationPhase.WAITING:
                self.fire(other, StationTrigger.PROCEED)
                self.advance(other)

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
                case _:
                    assert_never(event.verb)

    def _pause_by_person(self, name: str, reason: str) -> None:
        phase = self.stations[name].phase
        if phase is StationPhase.FINISHED or phase in _LEFT_BY_PERSON:
            return
        self.set(name, hold=f"paused: {reason}")  # a running order goes on to its end
        if phase in (StationPhase.READY, StationPhase.WAITING, StationPhase.CHECKING):
            self.pause(name)

    def _continue_by_person(self, name: str) -> None:
        station = self.stations[name]
        self.aborted = False
        approved = station.approved
        steps = self._before.of_station[name]
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
            self.advance(name)

    def _skip_by_person(self, name: str, step_id: str, reason: str) -> None:
        station = self.stations[name]
        if not step_id or self.steps[step_id].status in BEHIND:
            return
        if station.open != step_id:
            self.set_step(step_id, status="skipped")
            self.set(name, redo=tuple(other for other in station.redo if other != step_id))
            if station.phase is StationPhase.WAITING:
                self.fire(name, StationTrigger.PROCEED)
                self.advance(name)
        elif station.phase in _LEFT_BY_PERSON:
            self.set(name, open="", failure="")
            self.set_step(step_id, status="skipped")
        else:
            self.set(name, skip_open=True)
            self.commands.append(Stop(order=order_of(self.state(), step_id), reason=f"skipped: {reason}"))

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
