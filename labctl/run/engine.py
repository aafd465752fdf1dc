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

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

from labctl.clock import Clock, VirtualClock
from labctl.dataset.store import record_verdict
from labctl.errors import InputError, InstrumentError, InstrumentSilent, InternalError, LabctlError
from labctl.plan.steps import Plan
from labctl.ports import Instrument
from labctl.run.blackout_watch import BlackoutWatch, hold_back
from labctl.run.bystanders import Bystanders
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
from labctl.run.desk import OperatorDesk, followed
from labctl.run.duties import Duties
from labctl.run.events import (
    Alarmed,
    Amended,
    ClockJumped,
    Event,
    HandedOff,
    LoopSeen,
    Opened,
    Operated,
    Started,
    Tripped,
)
from labctl.run.guard import StationGuard
from labctl.run.handoff import HandOffs, OnDataset
from labctl.run.journal import Journal, JournalUnwritable, Row
from labctl.run.late_opening import opened_late
from labctl.run.lifecycle import LEFT_BY_PERSON, NO_HEAT_TO_COME, CampaignPhase, StationPhase
from labctl.run.options import EngineOptions
from labctl.run.outcome import CampaignOutcome, outcome_of
from labctl.run.own_thread import in_own_thread
from labctl.run.ownership import default_state_dir
from labctl.run.perform import Performer
from labctl.run.reporting import OnProgress, Reporter
from labctl.run.state import State, initial_state, planned_event
from labctl.run.take_stations import TakenStations
from labctl.run.take_up import take_up
from labctl.run.turn import measures
from labctl.run.waiting import Waiting

_FINISHED_STRETCH = 14.0  # other stations may go on for months; simulators wake the engine where something happens

__all__ = ["CampaignOutcome", "Engine", "OnProgress", "run_campaign"]


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
    journal = Journal(run_dir / "journal.sqlite", clock=clock, durable=chosen.durable)
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
        instruments = {name: opened_late(instrument) for name, instrument in instruments.items()}
        if not self._virtual:  # a call that blocks must not hold up the other stations' safety
            instruments = {name: in_own_thread(instrument) for name, instrument in instruments.items()}
        self._instruments = instruments
        self._clock = clock
        self._run_dir = run_dir
        self._journal = journal
        self._options = options
        self._bystanders = Bystanders(options.bystanders)
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
        self._due_s: dict[str, float] = {}
        self._poll_due_s: dict[str, float] = {}
        self._guards: dict[str, StationGuard] = {}
        self._reporter = Reporter(on_progress, clock=clock, alarm=self._todo.append)
        self._duties = Duties(self.perform, self._guards, clock=clock, options=options, reporter=self._reporter)
        inline = self._virtual if options.inline_analysis is None else options.inline_analysis
        self._hand_offs = HandOffs(
            on_dataset,
            clock=clock,
            run_dir=run_dir,
            inline=inline,
            promising=options.promising,
            durable=options.durable,
        )
        self._desk = OperatorDesk(run_dir, replan=options.replan)
        self._blackouts = BlackoutWatch()
        self._blocked_since_s: float | None = None
        self._blocked: JournalUnwritable | None = None
        self._unsafe: dict[str, str] = {}
        self._seen_to: set[str] = set()
        self._waiting = Waiting(clock, hear_s=options.hear_s)
        self._turns = 0
        self._taken = TakenStations(instruments, options.state_dir or default_state_dir(), clock=clock)

    # ---------------------------------------------------------------------------------- the life

    def run(self) -> CampaignOutcome:
        """Replay or begin, then go round until every station rests."""
        found = take_up(self._journal, self.state, run_dir=self._run_dir, reporter=self._reporter)
        self.state, resumed = found.state, found.resumed
        self._desk.open(found.carried_out)
        if not resumed:
            self._journal.campaign = self.state.plan.campaign
            self._commit(planned_event(self.state.plan, self._options.policy))
        self._instruments_there()
        self.perform.replan(self.state.by_id)
        with self._taken:
            try:
                self._taken.own(self.state.stations)
                unreachable = self._taken.open(resumed=resumed)
                for name in self.state.stations:
                    self._guards[name] = StationGuard(
                        name, self.perform, clock=self._clock, run_dir=self._run_dir, options=self._options
                    )
                    self._due_s[name] = self._clock.monotonic_s()
                return self._walk(unreachable, resumed=resumed)
            finally:
                self._desk.close()
                self._hand_offs.close()

    def _instruments_there(self) -> None:
        missing = sorted(self.state.stations.keys() - self._instruments.keys())
        if missing:
            raise InputError(
                f"the plan needs {', '.join(missing)}, which is not among the instruments",
                expected=", ".join(sorted(self._instruments)),
            )

    def _walk(self, unreachable: Mapping[str, InstrumentError], *, resumed: bool) -> CampaignOutcome:
        try:
            self._todo.extend(self._left_safe(resumed=resumed))
            self._todo.append(Opened(epochs=self._taken.epochs, resumed=resumed, version=self._options.version))
            self._todo.extend(self._out_of_reach(name, what) for name, what in unreachable.items())
            self._drain()
            if self._options.attended and any(s.phase in LEFT_BY_PERSON for s in self.state.stations.values()):
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
        return outcome_of(self.state, self._turns)

    def _left_safe(self, *, resumed: bool) -> tuple[Event, ...]:
        """What the engine before did and could not write down comes first: before anything is taken up again."""
        person = not resumed or bool(self._options.attended)
        trips: list[Event] = []
        for name in self._taken.left_safe:
            if person or self.state.stations[name].phase in NO_HEAT_TO_COME:
                self._taken.forget_safe(name)
            else:
                detail = "the labctl before this one had to stop and took the heat off; look why before it goes on"
                trips.append(Tripped(station=name, limit="stopped", detail=detail))
        return tuple(trips)

    def _out_of_reach(self, name: str, error: InstrumentError) -> Event:
        """Leave silence to its interlock, which knows how long is too long; at once only what refuses goes safe."""
        what = f"it cannot be reached: {error}"
        told = self._options.stations.get(name)
        if told is not None and math.isinf(told.silence.trip_s):
            goes_on = "it goes on under guards of its own, and is asked again. Look at its computer and its cables"
            return Alarmed(station=name, what=f"{what}; {goes_on}", person=True)
        if isinstance(error, InstrumentSilent):
            self._guards[name].growing = measures(self.state, name)  # as far as anybody knows
            goes_on = "it is asked again, and made safe if that goes on. Look at its computer and its cables"
            return Alarmed(station=name, what=f"{what}; {goes_on}")
        return Tripped(station=name, limit="reach", detail=what)

    # ---------------------------------------------------------------------------------- one turn

    def _turn(self) -> bool:
        """Go round once; False when everything rests."""
        self._turns += 1
        self._taken.check()
        self._mind_the_clock()
        self._hear()
        if self._drain():
            self._desk.tell(self.state)
            now_s = self._clock.monotonic_s()
            woken = self._clock.woken() if isinstance(self._clock, VirtualClock) else frozenset()
            for name in self.state.stations:
                if now_s >= self._due_s[name] or name in woken or "" in woken:
                    self._look_at(name)
            if not self._drain() or not self._take_promised():
                return True
            if not self._todo and not self._duties and not self._hand_offs.under_way:
                self._hear()  # somebody may have come for whatever stands
            if not self._todo and not self._duties and not self._hand_offs.under_way:
                if self.state.phase is CampaignPhase.RUNNING:
                    phases = {name: station.phase.value for name, station in self.state.stations.items()}
                    raise InternalError(f"nothing is left to do, and yet the campaign is running: {phases}")
                return False
        else:
            self._wait_for_disk()
        self._waiting.until(min(self._due_s.values(), default=self._clock.monotonic_s() + self._options.poll_s))
        return True

    def _take_promised(self) -> bool:
        """Before time goes on, take in the verdicts that it cannot go on without; False as `_drain`."""
        while True:
            waiting = [n for n, station in self.state.stations.items() if station.phase is StationPhase.WAITING]
            owed = self._hand_offs.owed(waiting)
            if not owed and not self._todo and not self._duties:
                owed = self._hand_offs.owed(self.state.stations)
            if not owed:
                return True
            self._todo.extend(owed)
            if not self._drain():
                return False

    def _mind_the_clock(self) -> None:
        if jump_s := self._waiting.jump_s():
            self._todo.append(ClockJumped(wall_s=jump_s))
            for guard in self._guards.values():
                guard.clock_jumped()

    def _hear(self) -> None:
        """Take in what persons, bystanders and analysis have to say."""
        self._todo.extend(self._bystanders.said())
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
                follows = self._execute(item) if isinstance(item, Command) else self._commit(item)
            except JournalUnwritable as error:
                if self._blocked_since_s is None:
                    self._blocked_since_s = self._clock.monotonic_s()
                    self._reporter.say(self.state, "", str(error))
                self._blocked = error
                return False
            self._todo.popleft()
            self._todo.extendleft(reversed(follows))
        self._blocked_since_s = self._blocked = None
        self._unsafe.clear()
        self._seen_to.clear()
        return True

    def _commit(self, event: Event) -> tuple[Event | Command, ...]:
        """Write the event down, then decide; the commands that follow come back."""
        if isinstance(event, Started) and self.state.steps[event.step_id].status == "running":
            return ()  # seen before by the engine that died
        led: tuple[Event | Command, ...] = ()
        if isinstance(event, HandedOff):  # first what follows from the verdict: without it the plan might end here
            for first in self._what_follows(event):
                led += self._commit(first)
        step = self.state.by_id.get(event.step_id)
        station = self.state.stations.get(event.station)
        row: Row = self._journal.append(event, key=step.key if step else "", epoch=station.epoch if station else 0)
        before = self.state
        self.state, commands = decide(self.state, event)
        self._reporter.note(event, self.state, row.wall_s)
        self._duties.answered(event, self.state)
        self._reporter.announce(event, self.state)
        match event:
            case HandedOff():
                self._record_verdict(before, event)
            case Tripped():
                self._taken.forget_safe(event.station)
            case Amended():
                self.perform.replan(self.state.by_id)
                if self._options.on_amended is not None:
                    self._options.on_amended(event)
            case LoopSeen():
                self._guards[event.station].watched = False  # proves a band once, right after the gap
            case _:
                pass
        self._todo.extend(self._bystanders.seen(row, event, self.state))
        return (*led, *commands)

    def _what_follows(self, event: HandedOff) -> tuple[Event, ...]:
        """What a dataset changes of the plan; nothing the second time it is asked, after a death in between."""
        wanted = self._options.follow(event) if self._options.follow is not None else None
        if wanted is None:
            return ()
        assert self._options.replan is not None
        return followed(wanted, event, self.state, self._options.replan, self._run_dir)

    def _record_verdict(self, before: State, event: HandedOff) -> None:
        """Tell the manifest too; the journal has it already, so a full disk here loses nothing."""
        for dataset in before.steps[event.step_id].pending:
            if dataset.attempt == event.attempt:
                try:
                    record_verdict(self._run_dir, dataset, event.verdict, durable=self._options.durable)
                except (InputError, OSError) as error:
                    self._reporter.alarm_once(
                        event.station, f"the verdict is not in the manifest: {error}", event.step_id
                    )

    def _execute(self, command: Command) -> tuple[Event | Command, ...]:
        match command:
            case Intend() | Reopen() | Skip():
                if self.state.stations[command.event.station].phase is not StationPhase.READY:
                    return ()  # stale: a verdict came in between
                if not isinstance(command, Skip) and (
                    held := hold_back(self.state, command.event, self._clock.now_s())
                ):
                    return (held,)
                return self._commit(command.event)  # now or not at all: after a wait for the disk it may be stale
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
        if self._duties.take_up(name, duty, self.state):
            self._due_s[name] = self._clock.monotonic_s()

    # ---------------------------------------------------------------------------------- looking at a station

    def _look_at(self, name: str) -> None:
        """Read, record, judge the interlocks, then see to what the station is at."""
        options = self._options
        guard = self._guards[name]
        if self._virtual or self._clock.monotonic_s() >= self._poll_due_s.get(name, 0.0):
            self._todo.extend(guard.poll(self.state))
            if self.state.stations[name].phase is StationPhase.FINISHED:  # there it is cold, and agents may act
                relaxed_s = _FINISHED_STRETCH * options.virtual_poll_s
            else:
                relaxed_s = min(options.virtual_poll_s, 0.9 * self._instruments[name].attention_s)  # never late
            interval_s = guard.interval_s(self.state, relaxed_s if self._virtual else options.poll_s)
            self._poll_due_s[name] = self._clock.monotonic_s() + interval_s
        else:  # a look at the order in between; limits count polls, so these are not more frequent for it
            interval_s = self._poll_due_s[name] - self._clock.monotonic_s()
        look = self._duties.see_to(name, self.state)
        interval_s, events = min(interval_s, look.next_s), look.events
        began, in_s = self._blackouts.look(self.state, name, self._clock.now_s())
        if began is not None:
            events = (*events, began)
        interval_s = min(interval_s, in_s)
        self._todo.extend(events)
        now_s = self._clock.monotonic_s()
        self._due_s[name] = now_s if events else now_s + interval_s
        if events:
            self._poll_due_s[name] = now_s
        self._reporter.report(self.state, name, look.seen, guard.readings)

    # ---------------------------------------------------------------------------------- ends

    def _wait_for_disk(self) -> None:
        """The journal cannot be written: begin nothing, watch the limits, try again; after long, go safe."""
        now_s = self._clock.monotonic_s()
        for name in self.state.stations:
            events = self._guards[name].poll(self.state)
            self._todo.extendleft(reversed(events))  # before what waits: nothing is begun after a trip
            self._due_s[name] = now_s + self._options.poll_s
        for trip in self._todo:  # of this look, or of the one whose trip was the first that could not be written
            if isinstance(trip, Tripped) and trip.station not in self._seen_to:
                self._seen_to.add(trip.station)
                self._unsafe[trip.station] = trip.detail
                self._taken.leave_safe(trip.station)
        for name, reason in list(self._unsafe.items()):  # safety does not wait for a full disk
            if not self.perform.make_safe(name, reason):
                del self._unsafe[name]
        since_s = self._blocked_since_s
        if self._blocked is not None and since_s is not None and now_s - since_s > self._options.disk_give_up_s:
            raise self._blocked

    def _all_safe(self, reason: str) -> None:
        for name, station in self.state.stations.items():
            if station.phase not in NO_HEAT_TO_COME:
                self._taken.leave_safe(name)
            self.perform.make_safe(name, reason)
