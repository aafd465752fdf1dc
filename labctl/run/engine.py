"""The loop: replay, ask the instruments what they have, then poll, write down, decide, perform, wait.

`run_campaign` starts a campaign or takes it up again; there is no other way to resume than to run it. Order of every
side effect: commit the intent, act, read evidence back, commit that it started, wait, verify, commit the outcome
together with the hand-off to analysis. Whoever dies in between leaves an intent without outcome, and the next engine
asks the instrument before it moves (`labctl.run.decide`).

One thread decides. Analysis runs in a worker on a real clock and answers as an event; under a virtual clock it runs
inline, so that a dry run is deterministic. Leaving the loop by an exception touches no instrument that could go on
measuring, except for a bug of ours, which ends in the safe state.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from labctl.clock import Clock, VirtualClock
from labctl.dataset.model import Dataset
from labctl.dataset.store import record_verdict
from labctl.errors import (
    ForeignDataError,
    InputError,
    InstrumentError,
    InternalError,
    LabctlError,
)
from labctl.plan.steps import Plan
from labctl.ports import Instrument, Observation, Standing
from labctl.run.blackout_watch import BlackoutWatch, hold_back
from labctl.run.commands import (
    AskEvidence,
    AwaitBlackout,
    AwaitPerson,
    Begin,
    CheckLoop,
    Collect,
    Command,
    Duty,
    HandOff,
    Intend,
    MakeSafe,
    Reopen,
    Skip,
    Stop,
    Tell,
    Watch,
)
from labctl.run.decide import decide
from labctl.run.desk import OperatorDesk
from labctl.run.events import (
    Alarmed,
    Amended,
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
    PartJudged,
    Planned,
    Progressed,
    SafeAsked,
    SafeSeen,
    Started,
    Tripped,
)
from labctl.run.guard import StationGuard
from labctl.run.handoff import HandOffs, OnDataset
from labctl.run.journal import Journal, JournalUnwritable, Row
from labctl.run.lifecycle import CampaignPhase, StationPhase
from labctl.run.options import Bystander, EngineOptions
from labctl.run.own_thread import in_own_thread
from labctl.run.ownership import StationOwnership, default_state_dir
from labctl.run.perform import Performer
from labctl.run.progress import Pace, ProgressReport
from labctl.run.state import State, initial_state, planned_event

OnProgress = Callable[[ProgressReport], None]

_ANSWERS: Mapping[type, tuple[type, ...]] = {
    Watch: (Finished, Failed, EvidenceSeen),
    AskEvidence: (EvidenceSeen,),
    Collect: (Finished, Failed, EvidenceSeen),
    CheckLoop: (LoopSeen,),
    MakeSafe: (SafeSeen,),
    AwaitPerson: (SafeAsked,),
    AwaitBlackout: (HoldEnded,),
}
_COMMANDS = (
    Intend,
    Reopen,
    Skip,
    Begin,
    HandOff,
    Stop,
    Tell,
    Watch,
    AskEvidence,
    Collect,
    CheckLoop,
    MakeSafe,
    AwaitPerson,
    AwaitBlackout,
)
_RESTING = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED)
_CLOCK_JUMP_S = 2.0
_STANDSTILL_TURNS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOutcome:
    """How a run ended.

    Attributes
    ----------
    exit_code : int
        0 done; 1 a fault stopped it safely; 4 paused or aborted by a person.
    stations : mapping
        Phase of each station.
    reasons : mapping
        Why a station stands, for those that do.
    turns : int
        How often the loop went round.
    """

    campaign: str
    phase: CampaignPhase
    exit_code: int
    stations: Mapping[str, StationPhase]
    reasons: Mapping[str, str]
    turns: int


def run_campaign(
    plan: Plan,
    instruments: Mapping[str, Instrument],
    *,
    clock: Clock,
    run_dir: Path,
    options: EngineOptions | None = None,
    on_dataset: OnDataset | None = None,
    on_progress: OnProgress | None = None,
) -> CampaignOutcome:
    """Run a campaign to its end, or on from wherever an earlier engine left it, and say how it ended.

    Parameters
    ----------
    instruments : mapping
        Station to driver, not yet opened; they are closed when this returns, and go on running.
    run_dir : Path
        Folder of the campaign; ``journal.sqlite``, ``datasets/``, ``readings/`` and raw data are made in it.
    on_dataset : callable
        Called once for each dataset with the path of its manifest; its verdict is journaled. In a worker thread on a
        real clock.
    on_progress : callable
        Called at each look at a station, in this thread; must return at once.

    Raises
    ------
    InputError
        The journal there belongs to another plan, or to a newer labctl.
    SafetyRefusal
        Another engine has the folder or one of the stations.
    ForeignDataError
        Somebody else's data stand in our place; nothing of it was touched, the other stations went to their end.
    InstrumentError
        A station could not be opened at the start of a new campaign; nothing was begun.
    JournalUnwritable
        The journal could not be written for too long; every station was asked to go safe.
    """
    chosen = options or EngineOptions()
    journal = Journal(run_dir / "journal.sqlite", clock=clock)
    try:
        return Engine(
            plan,
            instruments,
            clock=clock,
            run_dir=run_dir,
            journal=journal,
            options=chosen,
            on_dataset=on_dataset,
            on_progress=on_progress,
        ).run()
    finally:
        journal.close()


class Engine:
    """One engine's life over one journal. `run` is called once."""

    def __init__(
        self,
        plan: Plan,
        instruments: Mapping[str, Instrument],
        *,
        clock: Clock,
        run_dir: Path,
        journal: Journal,
        options: EngineOptions,
        on_dataset: OnDataset | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._virtual = isinstance(clock, VirtualClock)
        if not self._virtual:  # a call that blocks must not hold up the other stations' safety
            instruments = {name: in_own_thread(instrument) for name, instrument in instruments.items()}
        self._instruments = instruments
        self._clock = clock
        self._run_dir = run_dir
        self._journal = journal
        self._options = options
        self._on_progress = on_progress
        self._bystanders = tuple(options.bystanders)
        self.state: State = initial_state(plan)
        self._instruments_there()
        self.perform = Performer(
            instruments,
            self.state.by_id,
            clock=clock,
            run_dir=run_dir,
            calibrations={
                name: station.calibration for name, station in options.stations.items() if station.calibration
            },
        )
        self._todo: deque[Event | Command] = deque()
        self._duties: dict[str, Duty] = {}
        self._duty_since_s: dict[str, float] = {}
        self._asked_safe: set[str] = set()
        self._due_s: dict[str, float] = {}
        self._guards: dict[str, StationGuard] = {}
        self._fractions: dict[str, float] = {}
        self._said: set[str] = set()
        self._pace = Pace()
        inline = self._virtual if options.inline_analysis is None else options.inline_analysis
        self._hand_offs = HandOffs(on_dataset, clock=clock, run_dir=run_dir, inline=inline)
        self._desk = OperatorDesk(run_dir, replan=options.replan)
        self._blackouts = BlackoutWatch()
        self._blocked_since_s: float | None = None
        self._blocked: JournalUnwritable | None = None
        self._clock_offset_s: float | None = None
        self._last_wait_s = -1.0
        self._standstill = 0
        self._turns = 0
        self._owned: list[StationOwnership] = []

    # ---------------------------------------------------------------------------------- the life

    def run(self) -> CampaignOutcome:
        """Replay or begin, then go round until every station rests."""
        resumed = self._replay()
        self._instruments_there()
        self.perform.replan(self.state.by_id)
        owned = self._owned
        opened: list[Instrument] = []
        try:
            state_dir = self._options.state_dir or default_state_dir()
            epochs: dict[str, int] = {}
            for name in self.state.stations:
                ownership = StationOwnership(state_dir, name)
                owned.append(ownership)
                epochs[name] = ownership.epoch
            unreachable = self._open_instruments(epochs, opened, resumed=resumed)
            return self._walk(epochs, unreachable, resumed=resumed)
        finally:
            self._desk.close()
            self._hand_offs.close()
            for instrument in opened:
                instrument.close()
            for ownership in owned:
                ownership.release()

    def _instruments_there(self) -> None:
        missing = sorted(self.state.stations.keys() - self._instruments.keys())
        if missing:
            raise InputError(
                f"the plan needs {', '.join(missing)}, which is not among the instruments",
                expected=", ".join(sorted(self._instruments)),
            )

    def _walk(self, epochs: Mapping[str, int], unreachable: Mapping[str, str], *, resumed: bool) -> CampaignOutcome:
        try:
            self._todo.append(Opened(epochs=epochs, resumed=resumed, version=self._options.version))
            self._todo.extend(
                Tripped(station=name, limit="reach", detail=f"it cannot be reached: {what}")
                for name, what in unreachable.items()
            )
            self._drain()
            if self._options.attended and any(s.phase in _RESTING for s in self.state.stations.values()):
                self._todo.append(Operated(verb="continue", reason=self._options.attended))
            while self._turn():
                pass
        except LabctlError as error:
            if isinstance(error, InternalError | JournalUnwritable):
                self._all_safe(f"labctl stops: {error.what}")
            raise
        except Exception as error:
            self._all_safe(f"labctl failed: {error}")
            raise InternalError(
                f"{type(error).__name__}: {error}", next_step="Please report this with the run folder"
            ) from error
        return self._outcome()

    def _replay(self) -> bool:
        """Rebuild the state from the journal; False when there was none."""
        first = True
        last_handed: HandedOff | None = None
        carried_out: set[str] = set()
        datasets: dict[tuple[str, int], Dataset] = {}
        for row in self._journal.rows():
            event = row.event
            if first:
                self._same_plan(event)
                first = False
            self.state, _ = decide(self.state, event)
            self._note_pace(event, row.wall_s)
            if isinstance(event, Finished) and event.dataset is not None:
                datasets[event.step_id, event.attempt] = event.dataset
            elif isinstance(event, HandedOff):
                last_handed = event
            elif isinstance(event, Operated | Amended):
                carried_out.add(event.request)
        self._desk.open(carried_out)
        if first:
            self._journal.campaign = self.state.plan.campaign
            self._commit(planned_event(self.state.plan, self._options.policy))
            return False
        if last_handed is not None:  # the manifest may have missed the verdict by a death in between
            record_verdict(self._run_dir, datasets[last_handed.step_id, last_handed.attempt], last_handed.verdict)
        return True

    def _same_plan(self, event: Event) -> None:
        if not isinstance(event, Planned):
            raise InternalError("the journal does not begin with a plan", next_step="Please report it")
        ours = planned_event(self.state.plan, event.policy)
        if event.campaign != ours.campaign:
            raise InputError(
                f"{self._journal.path} belongs to campaign {event.campaign!r}, not to {ours.campaign!r}",
                next_step="Choose another folder with --dir",
            )
        then = {(step.id, step.key) for step in event.steps}
        now = {(step.id, step.key) for step in ours.steps}
        if then != now:
            changed = sorted({step_id for step_id, _ in then ^ now})
            raise InputError(
                f"the plan is not the one this campaign was begun with; steps that differ: {', '.join(changed[:8])}"
                + (f" and {len(changed) - 8} more" if len(changed) > 8 else ""),
                next_step="Resume with the protocol frozen in the run folder. If labctl was renewed since, go on with "
                "the version that run.json names; the journal is still its own. Or begin a new campaign",
            )

    def _open_instruments(
        self, epochs: Mapping[str, int], opened: list[Instrument], *, resumed: bool
    ) -> dict[str, str]:
        """Open what the plan needs; a new campaign does not begin without all, a resumed one goes on with the rest."""
        unreachable: dict[str, str] = {}
        for name, epoch in epochs.items():
            instrument = self._instruments[name]
            try:
                instrument.open(epoch)
                opened.append(instrument)
            except InstrumentError as error:
                if not resumed:
                    raise
                unreachable[name] = str(error)
            self._guards[name] = StationGuard(
                name, self.perform, clock=self._clock, run_dir=self._run_dir, options=self._options
            )
            self._due_s[name] = self._clock.monotonic_s()
        return unreachable

    # ---------------------------------------------------------------------------------- one turn

    def _turn(self) -> bool:
        """Go round once; False when everything rests."""
        self._turns += 1
        for ownership in self._owned:
            ownership.check()
        self._mind_the_clock()
        self._hear()
        if self._drain():
            self._desk.tell(self.state)
            now_s = self._clock.monotonic_s()
            for name in self.state.stations:
                if self._virtual or now_s >= self._due_s[name]:
                    self._look_at(name)
            if not self._drain():
                return True
            if not self._todo and not self._duties and not self._hand_offs.under_way:
                if self.state.phase is CampaignPhase.RUNNING:
                    phases = {name: station.phase.value for name, station in self.state.stations.items()}
                    raise InternalError(f"nothing is left to do, and yet the campaign is running: {phases}")
                return False
        else:
            self._wait_for_disk()
        self._wait()
        return True

    def _wait(self) -> None:
        now_s = self._clock.monotonic_s()
        deadline_s = min(self._due_s.values(), default=now_s + self._options.poll_s)
        if self._virtual:
            self._standstill = self._standstill + 1 if now_s == self._last_wait_s else 0
            self._last_wait_s = now_s
            if self._standstill > _STANDSTILL_TURNS:
                raise InternalError(
                    f"virtual time stands still at {now_s:.3f} s for {_STANDSTILL_TURNS} turns",
                    expected="a simulator whose next event lies ahead",
                )
        if not self._virtual:
            if deadline_s <= now_s:
                return
            deadline_s = min(deadline_s, now_s + self._options.hear_s)
        self._clock.wait_until(deadline_s)

    def _mind_the_clock(self) -> None:
        offset_s = self._clock.now_s() - self._clock.monotonic_s()
        if self._clock_offset_s is not None and abs(offset_s - self._clock_offset_s) > _CLOCK_JUMP_S:
            self._todo.append(ClockJumped(wall_s=offset_s - self._clock_offset_s))
            for guard in self._guards.values():
                guard.clock_jumped()
        self._clock_offset_s = offset_s

    def _hear(self) -> None:
        """Take in what persons, bystanders and analysis have to say."""
        for bystander in self._bystanders:
            try:
                self._todo.extend(bystander.said())
            except Exception as error:  # noqa: BLE001 - whoever only looks on must not end a campaign
                self._send_away(bystander, error)
        if self._options.operator is not None:
            self._todo.extend(self._options.operator())
        if not self._todo and (wanted := self._desk.hear(self.state)) is not None:
            self._todo.append(wanted)
        self._todo.extend(self._hand_offs.answered())

    # ---------------------------------------------------------------------------------- events and commands

    def _drain(self) -> bool:
        """Commit and decide until nothing is left; False when the journal cannot be written."""
        while self._todo:
            item = self._todo[0]
            try:
                follows: tuple[Event | Command, ...]
                follows = self._execute(item) if isinstance(item, _COMMANDS) else self._commit(item)
            except JournalUnwritable as error:
                if self._blocked_since_s is None:
                    self._blocked_since_s = self._clock.monotonic_s()
                    self._say("", str(error))
                self._blocked = error
                return False
            self._todo.popleft()
            self._todo.extendleft(reversed(follows))
        self._blocked_since_s = self._blocked = None
        return True

    def _commit(self, event: Event) -> tuple[Event | Command, ...]:
        """Write the event down, then decide; the commands that follow come back."""
        if isinstance(event, Started) and self.state.steps[event.step_id].status == "running":
            return ()  # seen before by the engine that died
        step = self.state.by_id.get(event.step_id)
        station = self.state.stations.get(event.station)
        row: Row = self._journal.append(event, key=step.key if step else "", epoch=station.epoch if station else 0)
        before = self.state
        self.state, commands = decide(self.state, event)
        self._note_pace(event, row.wall_s)
        for name, duty in list(self._duties.items()):
            answered = event.station == name and isinstance(event, _ANSWERS[type(duty)])
            paused = self.state.stations[name].phase is StationPhase.PAUSED
            if answered or (isinstance(duty, AwaitPerson) and not paused):
                del self._duties[name]
        match event:
            case HandedOff():
                self._record_verdict(before, event)
            case PartJudged() if event.verdict.message:
                self._say(event.station, event.verdict.message)
            case Alarmed():
                self._say(event.station, event.what)
            case Finished(dataset=Dataset(remarks=remarks), result="done"):
                for remark in remarks:
                    about = "".join(char for char in remark if not char.isdigit())
                    self._say_once(event.station, f"{event.step_id}: {remark}", f"{event.station} {about}")
            case Tripped():
                self._say(event.station, f"SAFETY: {event.words}")
            case Intended():
                for note in event.notes:  # the same for each acquisition of a temperature
                    if (told := f"{event.station} {note}") not in self._said:
                        self._said.add(told)
                        self._say(event.station, f"{event.step_id}: {note}")
            case Amended():
                self.perform.replan(self.state.by_id)
                if self._options.on_amended is not None:
                    self._options.on_amended(event)
            case Held():
                self._say(event.station, f"waits for {event.why}")
            case LoopSeen():
                self._guards[event.station].watched = False  # proves a band once, right after the gap
            case _:
                pass
        for bystander in self._bystanders:
            try:
                bystander.seen(row, event, self.state)
            except Exception as error:  # noqa: BLE001 - as in `_hear`
                self._send_away(bystander, error)
        return commands

    def _send_away(self, bystander: Bystander, error: Exception) -> None:
        """One that fails is told of nothing more; the journal says so, and the campaign goes on without it."""
        self._bystanders = tuple(one for one in self._bystanders if one is not bystander)
        who, what = type(bystander).__name__, type(error).__name__
        what = f"{who} failed and is told of nothing more: {what}; please report it"
        self._todo.append(Alarmed(station="", what=what))

    def _record_verdict(self, before: State, event: HandedOff) -> None:
        """Tell the manifest too; the journal has it already, so a full disk here loses nothing."""
        for dataset in before.steps[event.step_id].pending:
            if dataset.attempt == event.attempt:
                try:
                    record_verdict(self._run_dir, dataset, event.verdict)
                except (InputError, OSError) as error:
                    self._say_once(event.station, f"the verdict is not in the manifest: {error}", event.step_id)

    def _execute(self, command: Command) -> tuple[Event, ...]:
        match command:
            case Intend() | Reopen() | Skip():
                if self.state.stations[command.event.station].phase is not StationPhase.READY:
                    return ()  # stale: a verdict came in between
                if not isinstance(command, Skip) and (
                    held := hold_back(self.state, command.event, self._clock.now_s())
                ):
                    return (held,)
                return (command.event,)
            case Tell():
                return (command.event,)
            case Begin():
                return self.perform.begin(command.order)
            case HandOff():
                return self._hand_offs.submit(command.dataset)
            case Stop():
                what = self.perform.stop(command.order, command.reason)
                station = self.state.by_id[command.order.step_id].station
                return (Alarmed(station=station, what=f"could not be stopped: {what}"),) if what else ()
            case Watch() | AskEvidence() | Collect():
                self._take_up(self.state.by_id[command.order.step_id].station, command)
            case CheckLoop() | MakeSafe() | AwaitPerson() | AwaitBlackout():
                self._take_up(command.station, command)
            case _:
                assert_never(command)
        return ()

    def _take_up(self, name: str, duty: Duty) -> None:
        now_s = self._clock.monotonic_s()
        self._duties[name] = duty
        self._duty_since_s[name] = now_s
        self._asked_safe.discard(name)
        self._due_s[name] = now_s

    # ---------------------------------------------------------------------------------- looking at a station

    def _look_at(self, name: str) -> None:
        """Read, record, judge the interlocks, then see to what the station is at."""
        options = self._options
        guard = self._guards[name]
        self._todo.extend(guard.poll(self.state))
        seen: Observation | None = None
        relaxed_s = min(options.virtual_poll_s, 0.5 * self._instruments[name].attention_s)
        interval_s = guard.interval_s(self.state, relaxed_s if self._virtual else options.poll_s)
        duty = self._duties.get(name)
        events: tuple[Event, ...] = ()
        if duty is not None:
            seen, events, next_s = self._see_to(name, duty)
            interval_s = min(interval_s, next_s)
        began, in_s = self._blackouts.look(self.state, name, self._clock.now_s())
        if began is not None:
            events = (*events, began)
        interval_s = min(interval_s, in_s)
        self._todo.extend(events)
        now_s = self._clock.monotonic_s()
        self._due_s[name] = now_s if events else now_s + interval_s
        self._report(name, seen)

    def _see_to(self, name: str, duty: Duty) -> tuple[Observation | None, tuple[Event, ...], float]:
        """Return what was seen, what follows, and in how many seconds to look again [s]."""
        options = self._options
        since_s = self._clock.monotonic_s() - self._duty_since_s[name]
        match duty:
            case Watch():
                return self._see_to_watch(name, duty)
            case AskEvidence():
                return None, self._see_to_evidence(name, duty, since_s), options.poll_s
            case Collect():
                events = self.perform.collect(
                    duty.order,
                    "partial" if duty.partial else "done",
                    "interrupted, by the instrument's records" if duty.partial else "finished while nobody watched",
                    give_up_s=options.collect_give_up_s,
                )
                return None, events, options.poll_s
            case CheckLoop():
                guard = self._guards[name]
                seen = self.perform.check_loop(
                    duty,
                    guard.readings,
                    limits=guard.told.limits,
                    fresh_s=guard.told.silence.alarm_s,
                    watched=guard.watched,
                )
                settled = seen.alive or since_s >= options.loop_grace_s
                return None, (seen,) if settled else (), options.poll_s
            case MakeSafe():
                return None, self._see_to_safety(name, duty, since_s), min(60.0, max(options.poll_s, since_s / 10.0))
            case AwaitPerson():
                if since_s >= options.pause_cool_s and duty.warm:
                    reason = f"paused for {since_s:.0f} s and nobody came"
                    return None, (SafeAsked(station=name, reason=reason),), 0.0
                if not duty.warm and (not options.may_be_continued or since_s >= options.pause_cool_s):
                    del self._duties[name]  # nothing is warm: it may stand like this
                return None, (), max(0.0, options.pause_cool_s - since_s)
            case AwaitBlackout():
                left_s = duty.until_s - self._clock.now_s()
                return None, (HoldEnded(station=name),) if left_s <= 0.0 else (), max(0.0, left_s)
            case _:
                assert_never(duty)

    def _see_to_evidence(self, name: str, duty: AskEvidence, since_s: float) -> tuple[Event, ...]:
        """Ask; an acquisition that was just halted is given its last scan to end, so that its data come in at once."""
        events = self.perform.ask_evidence(duty.order)
        safe = self.state.stations[name].phase is StationPhase.SAFE
        still = any(isinstance(event, EvidenceSeen) and event.standing is Standing.RUNNING for event in events)
        return () if safe and still and since_s < self._options.halt_wait_s else events

    def _see_to_watch(self, name: str, duty: Watch) -> tuple[Observation | None, tuple[Event, ...], float]:
        order, options = duty.order, self._options
        running = self.state.stations[name].phase is StationPhase.RUNNING
        seen, events = self.perform.watch(
            order,
            started=running,
            collect_give_up_s=options.collect_give_up_s,
            parts=self.state.steps[order.step_id].parts,
        )
        if seen is not None:  # without an answer what was seen last holds: a share that is gone ends no acquisition
            self._guards[name].growing = seen.data_growing
        if seen is not None and seen.fraction is not None:
            before = self._fractions.get(order.step_id, 0.0)
            self._fractions[order.step_id] = seen.fraction
            if not events and int(4.0 * seen.fraction) > int(4.0 * before):
                events = (
                    Progressed(
                        station=name,
                        step_id=order.step_id,
                        attempt=order.attempt,
                        fraction=seen.fraction,
                        detail=seen.detail,
                    ),
                )
        collecting = self.perform.collecting_fails(order)
        if collecting:
            self._say_once(name, f"{order.step_id}: its data cannot be brought in yet; trying on", order.token)
        if trouble := self.perform.part_trouble(order):
            self._say_once(name, f"{order.step_id}: no partial results yet: {trouble}", f"{order.token} parts")
        if seen is not None and seen.needs_person:
            about = "".join(char for char in seen.needs_person if not char.isdigit())  # a number that grows is no news
            self._say_once(name, seen.needs_person, f"{order.token} {about}", person=True)
        soon = not running or collecting or seen is None
        again_s = seen.look_again_s if seen is not None and seen.look_again_s is not None else float("inf")
        return seen, events, min(again_s, options.poll_s) if soon else again_s

    def _see_to_safety(self, name: str, duty: MakeSafe, since_s: float) -> tuple[Event, ...]:
        """Ask once (again while asking fails), then read back until it is reached or the deadline has passed."""
        what = ""
        if name not in self._asked_safe:
            what = self.perform.make_safe(name, duty.reason)
            if not what:
                self._asked_safe.add(name)
        if not what and self.perform.is_safe(name):
            return (SafeSeen(station=name, reached=True, detail=duty.reason),)
        if since_s >= self._guards[name].told.safe_deadline_s:
            detail = what or f"not read back within {since_s:.0f} s of asking ({duty.reason})"
            return (SafeSeen(station=name, reached=False, detail=detail),)
        return ()

    # ---------------------------------------------------------------------------------- saying

    def _report(self, name: str, seen: Observation | None) -> None:
        if self._on_progress is None:
            return
        station = self.state.stations[name]
        now_s = self._clock.now_s()
        fraction, eta_s = self._pace.outlook(self.state, now_s, self._fractions)
        step = self.state.by_id.get(station.open)
        self._on_progress(
            ProgressReport(
                station=name,
                phase=station.phase,
                at_s=now_s,
                step_id=station.open,
                role=step.role if step else "",
                attempt=self.state.steps[step.id].attempt if step else 0,
                fraction=seen.fraction if seen else None,
                campaign_fraction=fraction,
                eta_s=eta_s,
                detail=seen.detail if seen else station.fault or station.hold or self._waits_for(name),
                needs_person=seen.needs_person if seen else station.hold,
                readings=self._guards[name].readings,
            )
        )

    def _waits_for(self, name: str) -> str:
        station = self.state.stations[name]
        return f"waits for {station.waits_for}" if station.phase is StationPhase.HELD else ""

    def _say(self, name: str, what: str) -> None:
        if self._on_progress is not None:
            phase = self.state.stations[name].phase if name in self.state.stations else StationPhase.READY
            self._on_progress(ProgressReport(station=name, phase=phase, at_s=self._clock.now_s(), message=what))

    def _say_once(self, name: str, what: str, about: str, *, person: bool = False) -> None:
        if about not in self._said:
            self._said.add(about)
            self._todo.append(Alarmed(station=name, what=what, person=person))

    def _note_pace(self, event: Event, at_s: float) -> None:
        if isinstance(event, Intended):
            self._pace.begun(event.step_id, at_s)
            self._fractions.pop(event.step_id, None)
        elif isinstance(event, Finished) and event.result == "done":
            step = self.state.by_id[event.step_id]
            self._pace.ended(step.id, step.role, step.estimate_s, at_s)

    # ---------------------------------------------------------------------------------- ends

    def _wait_for_disk(self) -> None:
        """The journal cannot be written: begin nothing, watch the limits, try again; after long, go safe."""
        now_s = self._clock.monotonic_s()
        for name in self.state.stations:
            events = self._guards[name].poll(self.state)
            for trip in (event for event in events if isinstance(event, Tripped)):
                self.perform.make_safe(name, trip.detail)  # safety does not wait for a full disk
            self._todo.extend(events)
            self._due_s[name] = now_s + self._options.poll_s
        since_s = self._blocked_since_s
        if self._blocked is not None and since_s is not None and now_s - since_s > self._options.disk_give_up_s:
            raise self._blocked

    def _all_safe(self, reason: str) -> None:
        for name in self.state.stations:
            self.perform.make_safe(name, reason)

    def _outcome(self) -> CampaignOutcome:
        state = self.state
        reasons = {name: station.fault or station.hold for name, station in state.stations.items()}
        foreign = [name for name, station in state.stations.items() if station.foreign]
        if foreign:
            raise ForeignDataError(
                reasons[foreign[0]],
                instrument=foreign[0],
                next_step="Move or rename those data, then resume; nothing of them was touched",
            )
        codes = {CampaignPhase.DONE: 0, CampaignPhase.STOPPED: 1, CampaignPhase.PAUSED: 4, CampaignPhase.ABORTED: 4}
        return CampaignOutcome(
            campaign=state.plan.campaign,
            phase=state.phase,
            exit_code=codes[state.phase],
            stations={name: station.phase for name, station in state.stations.items()},
            reasons={name: reason for name, reason in reasons.items() if reason},
            turns=self._turns,
        )
