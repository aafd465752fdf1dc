"""What each station is at: a command kept up, look by look, until an event answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from labctl.clock import Clock, VirtualClock
from labctl.ports import Observation, Progress, Standing
from labctl.run import hazards
from labctl.run.commands import (
    AskEvidence,
    AwaitBlackout,
    AwaitPerson,
    CheckLoop,
    Collect,
    Duty,
    MakeSafe,
    Watch,
)
from labctl.run.events import (
    Event,
    EvidenceSeen,
    Failed,
    Finished,
    HoldEnded,
    LoopSeen,
    Progressed,
    SafeAsked,
    SafeSeen,
)
from labctl.run.guard import StationGuard
from labctl.run.lifecycle import StationPhase
from labctl.run.looking_ahead import LooksAhead
from labctl.run.options import EngineOptions
from labctl.run.perform import Performer
from labctl.run.reporting import Reporter, without_digits
from labctl.run.state import State
from labctl.units import duration_text

_ANSWERS: Mapping[type, tuple[type, ...]] = {
    Watch: (Finished, Failed, EvidenceSeen),
    AskEvidence: (EvidenceSeen,),
    Collect: (Finished, Failed, EvidenceSeen),
    CheckLoop: (LoopSeen,),
    MakeSafe: (SafeSeen,),
    AwaitPerson: (SafeAsked,),
    AwaitBlackout: (HoldEnded,),
}


_DURING: Mapping[type, tuple[StationPhase, ...]] = {
    Watch: (StationPhase.INTENDED, StationPhase.RUNNING),
    AskEvidence: (StationPhase.EXAMINING, StationPhase.SAFE),
    Collect: (StationPhase.COLLECTING, StationPhase.SAFE),
    CheckLoop: (StationPhase.CHECKING,),
    MakeSafe: (StationPhase.SAFING,),
    AwaitPerson: (StationPhase.PAUSED,),
    AwaitBlackout: (StationPhase.HELD,),
}
"""What a station must be at for a duty to make sense: an analysis that answers at once may stop it first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What seeing to a duty gave.

    Attributes
    ----------
    next_s : float
        In how many seconds to look again [s].
    """

    seen: Observation | None = None
    events: tuple[Event, ...] = ()
    next_s: float = float("inf")


class Duties:
    """The duty of each station; a new one takes the place of the one before.

    Parameters
    ----------
    guards : mapping
        Of each station; filled when the instruments are opened.
    """

    def __init__(
        self,
        perform: Performer,
        guards: Mapping[str, StationGuard],
        *,
        clock: Clock,
        options: EngineOptions,
        reporter: Reporter,
    ) -> None:
        self._perform = perform
        self._guards = guards
        self._clock = clock
        self._options = options
        self._reporter = reporter
        self._duties: dict[str, Duty] = {}
        self._since_s: dict[str, float] = {}
        self._asked_safe: set[str] = set()
        self._ahead = None if isinstance(clock, VirtualClock) else LooksAhead(options.poll_s)

    def __bool__(self) -> bool:
        return bool(self._duties)

    def take_up(self, name: str, duty: Duty, state: State) -> bool:
        """From now on the station is at this; False: it has gone on to something else since that was decided."""
        if state.stations[name].phase not in _DURING[type(duty)]:
            return False
        self._duties[name] = duty
        self._since_s[name] = self._clock.monotonic_s()
        self._asked_safe.discard(name)
        self._guards[name].heard(answered=True)
        return True

    def answered(self, event: Event, state: State) -> None:
        """End the duty that an event answers, and waiting for a person where one has come."""
        for name, duty in list(self._duties.items()):
            answered = event.station == name and isinstance(event, _ANSWERS[type(duty)])
            paused = state.stations[name].phase is StationPhase.PAUSED
            if answered or (isinstance(duty, AwaitPerson) and not paused):
                del self._duties[name]
                self._guards[name].heard(answered=True)

    def see_to(self, name: str, state: State) -> Look:
        """Do what the station's duty wants now."""
        duty = self._duties.get(name)
        if duty is None:
            return Look()
        options = self._options
        since_s = self._clock.monotonic_s() - self._since_s[name]
        match duty:
            case Watch():
                return self._watch(name, duty, since_s, state)
            case AskEvidence():
                return Look(events=self._ask_evidence(name, duty, since_s, state), next_s=options.poll_s)
            case Collect():
                events = self._perform.collect(
                    duty.order,
                    "partial" if duty.partial else "done",
                    "interrupted, by the instrument's records" if duty.partial else "finished while nobody watched",
                    give_up_s=options.collect_give_up_s,
                    enough=state.steps[duty.order.step_id].enough,
                )
                return Look(events=events, next_s=options.poll_s)
            case CheckLoop():
                return Look(events=self._check_loop(name, duty, since_s), next_s=options.poll_s)
            case MakeSafe():
                again_s = min(60.0, max(options.poll_s, since_s / 10.0))
                return Look(events=self._make_safe(name, duty, since_s), next_s=again_s)
            case AwaitPerson():
                return self._await_person(name, duty, since_s)
            case AwaitBlackout():
                left_s = duty.until_s - self._clock.now_s()
                return Look(events=(HoldEnded(station=name),) if left_s <= 0.0 else (), next_s=max(0.0, left_s))
            case _:
                assert_never(duty)

    def _watch(self, name: str, duty: Watch, since_s: float, state: State) -> Look:
        order, options = duty.order, self._options
        running = state.stations[name].phase is StationPhase.RUNNING
        seen, events = self._perform.watch(
            order,
            started=running,
            collect_give_up_s=options.collect_give_up_s,
            parts=state.steps[order.step_id].parts,
            enough=state.steps[order.step_id].enough,
        )
        self._guards[name].heard(answered=bool(events) or (seen is not None and seen.progress is not Progress.SILENT))
        if seen is not None:  # without an answer what was seen last holds: a share that is gone ends no acquisition
            self._guards[name].growing = seen.data_growing
        if seen is not None and seen.fraction is not None:
            further = self._reporter.quarters(order.step_id, seen.fraction)
            if further and not events:
                events = (
                    Progressed(
                        station=name,
                        step_id=order.step_id,
                        attempt=order.attempt,
                        fraction=seen.fraction,
                        detail=seen.detail,
                    ),
                )
        alarm_once = self._reporter.alarm_once
        collecting = self._perform.collecting_fails(order)
        if collecting:
            alarm_once(name, f"{order.step_id}: its data cannot be brought in yet; trying on", order.token)
        if trouble := self._perform.part_trouble(order):
            alarm_once(name, f"{order.step_id}: no partial results yet: {trouble}", f"{order.token} parts")
        if seen is not None and seen.needs_person:
            alarm_once(name, seen.needs_person, f"{order.token} {without_digits(seen.needs_person)}", person=True)
        soon = not running or collecting or seen is None
        again_s = seen.look_again_s if seen is not None and seen.look_again_s is not None else float("inf")
        if self._ahead is not None:
            handed_over_s = 0.0 if running else max(since_s, 1e-3)
            now_s = self._clock.monotonic_s()
            again_s = min(again_s, self._ahead.next_s(order, seen, handed_over_s=handed_over_s, now_s=now_s))
        return Look(seen=seen, events=events, next_s=min(again_s, options.poll_s) if soon else again_s)

    def _ask_evidence(self, name: str, duty: AskEvidence, since_s: float, state: State) -> tuple[Event, ...]:
        """Ask; an acquisition that was just halted is given its last scan to end, so that its data come in at once.

        A safe station that does not answer is left safe: its order stays open, and the next engine asks.
        """
        events = self._perform.ask_evidence(duty.order)
        if state.stations[name].phase is not StationPhase.SAFE:
            self._guards[name].heard(answered=bool(events))
            return events
        still = any(isinstance(event, EvidenceSeen) and event.standing is Standing.RUNNING for event in events)
        if since_s < self._options.halt_wait_s:
            return () if still else events
        if not events:
            del self._duties[name]
        return events

    def _check_loop(self, name: str, duty: CheckLoop, since_s: float) -> tuple[Event, ...]:
        guard = self._guards[name]
        seen = self._perform.check_loop(
            duty,
            guard.readings,
            limits=guard.told.limits,
            fresh_s=guard.told.silence.alarm_s,
            watched=guard.watched,
        )
        return (seen,) if seen.alive or since_s >= self._options.loop_grace_s else ()

    def _make_safe(self, name: str, duty: MakeSafe, since_s: float) -> tuple[Event, ...]:
        """Ask once (again while asking fails), then read back until it is reached or the deadline has passed.

        Cooling down takes its time, being heard must not: who does not take the order, or gives no account of it, is
        called out for long before the deadline.
        """
        what, reached = "", False
        if name not in self._asked_safe:
            what = self._perform.make_safe(name, duty.reason)
            if not what:
                self._asked_safe.add(name)
        if not what:
            reached, what = self._perform.is_safe(name)
        if reached:
            return (SafeSeen(station=name, reached=True, detail=duty.reason),)
        if what and since_s >= self._options.unheard_safe_s:
            asked = "asked" if name in self._asked_safe else "not asked"
            about = f"{name} not made safe {asked} {without_digits(duty.reason)}"
            self._reporter.alarm_once(name, hazards.not_made_safe(what, since_s), about, person=True)
        if since_s >= self._guards[name].told.safe_deadline_s:
            detail = what or f"not read back within {duration_text(since_s)} of asking ({duty.reason})"
            return (SafeSeen(station=name, reached=False, detail=detail),)
        return ()

    def _await_person(self, name: str, duty: AwaitPerson, since_s: float) -> Look:
        cool_s = self._options.pause_cool_s
        if since_s >= cool_s and duty.warm:
            reason = f"paused for {duration_text(since_s)} and nobody came"
            return Look(events=(SafeAsked(station=name, reason=reason),), next_s=0.0)
        if not duty.warm and (not self._options.may_be_continued or since_s >= cool_s):
            del self._duties[name]  # nothing is warm: it may stand like this
        return Look(next_s=max(0.0, cool_s - since_s))
