"""What the engine tells: how far each station is, at every look, and what people should know, once each."""

from __future__ import annotations

from collections.abc import Callable

from labctl.clock import Clock
from labctl.dataset.model import Dataset
from labctl.ports import Measurement, Observation, Reading
from labctl.run.events import Alarmed, Event, Finished, Held, Intended, Operated, PartJudged, Tripped
from labctl.run.lifecycle import StationPhase
from labctl.run.progress import Pace, ProgressReport
from labctl.run.state import State

OnProgress = Callable[[ProgressReport], None]


class Reporter:
    """Reports progress to whoever follows the campaign, and remembers what was said.

    Parameters
    ----------
    on_progress : callable or None
        Told at each look at a station, in the engine's thread.
    alarm : callable
        Takes an alarm that the journal should know.
    """

    def __init__(self, on_progress: OnProgress | None, *, clock: Clock, alarm: Callable[[Alarmed], object]) -> None:
        self._on_progress = on_progress
        self._clock = clock
        self._alarm = alarm
        self._pace = Pace()
        self._fractions: dict[str, float] = {}
        self._said: set[str] = set()
        self._asked_for: set[str] = set()

    def note(self, event: Event, state: State, at_s: float) -> None:
        """Learn from an event of wall time `at_s` how long steps really take."""
        if isinstance(event, Intended):
            self._pace.begun(event.step_id, at_s)
            self._fractions.pop(event.step_id, None)
        elif isinstance(event, Finished) and event.result == "done":
            step = state.by_id[event.step_id]
            self._pace.ended(step.id, step.role, step.estimate_s, at_s)

    def quarters(self, step_id: str, fraction: float) -> bool:
        """Remember how far a step is; whether it has come another quarter further."""
        before = self._fractions.get(step_id, 0.0)
        self._fractions[step_id] = fraction
        return int(4.0 * fraction) > int(4.0 * before)

    def report(self, state: State, name: str, seen: Observation | None, readings: tuple[Reading, ...]) -> None:
        """Tell what a look at a station gave."""
        if self._on_progress is None:
            return
        station = state.stations[name]
        now_s = self._clock.now_s()
        fraction, eta_s = self._pace.outlook(state, now_s, self._fractions)
        step = state.by_id.get(station.open)
        waits_for = f"waits for {station.waits_for}" if station.phase is StationPhase.HELD else ""
        self._on_progress(
            ProgressReport(
                station=name,
                phase=station.phase,
                at_s=now_s,
                step_id=station.open,
                role=step.role if step else "",
                attempt=state.steps[step.id].attempt if step else 0,
                acquires=step is not None and isinstance(step.task, Measurement),
                fraction=seen.fraction if seen else None,
                campaign_fraction=fraction,
                eta_s=eta_s,
                detail=seen.detail if seen else station.fault or station.hold or waits_for,
                needs_person=seen.needs_person if seen else station.hold,
                readings=readings,
            )
        )

    def say(self, state: State, name: str, what: str) -> None:
        """Tell something about a station; an empty `name` means the campaign."""
        if self._on_progress is not None:
            phase = state.stations[name].phase if name in state.stations else StationPhase.READY
            self._on_progress(ProgressReport(station=name, phase=phase, at_s=self._clock.now_s(), message=what))

    def alarm_once(self, name: str, what: str, about: str, *, person: bool = False) -> None:
        """Have it journaled as an alarm, unless something `about` the same was already.

        Who has said "continue" is asked again, should what asked for a `person` not be over.
        """
        if about not in self._said:
            self._said.add(about)
            if person:
                self._asked_for.add(about)
            self._alarm(Alarmed(station=name, what=what, person=person))

    def announce(self, event: Event, state: State) -> None:
        """Tell people what they should know of an event that was committed."""
        match event:
            case PartJudged() if event.verdict.message:
                self.say(state, event.station, event.verdict.message)
            case Alarmed():
                self.say(state, event.station, event.what)
            case Finished(dataset=Dataset(remarks=remarks), result="done"):
                for remark in remarks:
                    about = f"{event.station} {without_digits(remark)}"
                    self.alarm_once(event.station, f"{event.step_id}: {remark}", about)
            case Tripped():
                self.say(state, event.station, f"SAFETY: {event.words}")
            case Intended():
                for note in event.notes:  # the same for each acquisition of a temperature
                    if (told := f"{event.station} {note}") not in self._said:
                        self._said.add(told)
                        self.say(state, event.station, f"{event.step_id}: {note}")
            case Operated(verb="continue"):
                self._said -= self._asked_for
                self._asked_for.clear()
            case Held():
                self.say(state, event.station, f"waits for {event.why}")
            case _:
                pass


def without_digits(text: str) -> str:
    """Return what a text is about: a number that grows is no news."""
    return "".join(char for char in text if not char.isdigit())
