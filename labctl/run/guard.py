"""The engine's own watch over one station: readings are fetched, recorded and judged, whatever the station is at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from labctl.clock import Clock
from labctl.ports import Measurement, Reading
from labctl.run import hazards
from labctl.run.events import Alarmed, Event, Tripped
from labctl.run.interlock import SILENCES, Vigil, judge
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.perform import Performer
from labctl.run.state import State
from labctl.run.trace import ReadingsTrace
from labctl.run.turn import expected_spinning, held_temperature, is_warm, measures


class StationGuard:
    """Readings, trace and interlocks of one station, from the moment an engine has opened it.

    Attributes
    ----------
    readings : tuple of Reading
        The latest.
    growing : bool
        Raw data grew at the last look; set by whoever looks.
    watched : bool
        No gap in the recorded readings was longer than two polls when the engine came; used up by the first look
        at the loop.
    unanswered_since_s : float or None
        Since when nothing was heard of the order under way [monotonic s]; set by whoever asks.
    """

    def __init__(
        self, station: str, perform: Performer, *, clock: Clock, run_dir: Path, options: EngineOptions
    ) -> None:
        self._station = station
        self._perform = perform
        self._clock = clock
        self._options = options
        self.told = options.stations.get(station) or StationOptions()
        now_s = clock.now_s()
        self._vigil = Vigil(since_s=now_s)
        self._trace = ReadingsTrace(run_dir, station, record_s=options.record_s)
        last_s = self._trace.last_s
        self.watched = last_s is not None and now_s - last_s <= 2.0 * options.poll_s
        self.readings: tuple[Reading, ...] = ()
        self.growing = False
        self.unanswered_since_s: float | None = None

    def poll(self, state: State) -> tuple[Event, ...]:
        """Read, record, judge; returns alarms and trips."""
        self.readings = self._perform.readings(self._station)
        self._trace.record(self.readings)
        station = state.stations[self._station]
        measuring = station.open != "" and isinstance(state.by_id[station.open].task, Measurement)
        used = station.loop_seen or measuring or is_warm(state, self._station)  # not while a person spins it up
        spinning_Hz, tolerance_Hz = expected_spinning(state, self._station) if used else (0.0, 0.0)
        self._vigil, breaches = judge(
            self._vigil,
            self.readings,
            self.told.limits,
            now_s=self._clock.now_s(),
            grace_s=self._grace_s(state),
            silence=self.told.silence,
            spinning_Hz=spinning_Hz,
            spinning_tolerance_Hz=tolerance_Hz,
            data_growing=self.growing,
            calibration=self.told.calibration,
            held_K=held_temperature(state, self._station),
            measuring=measures(state, self._station),
            unanswered_s=self._unanswered_s(),
        )
        why = self._perform.unread_because(self._station)
        breaches = tuple(
            replace(breach, detail=hazards.because(breach.detail, why)) if breach.limit in SILENCES else breach
            for breach in breaches
        )
        return tuple(
            Tripped(
                station=self._station,
                limit=breach.limit,
                detail=breach.detail,
                value=breach.value if breach.value == breach.value else None,  # JSON has no NaN
                bound=breach.bound,
            )
            if breach.trips
            else Alarmed(station=self._station, what=breach.detail)
            for breach in breaches
        )

    def heard(self, *, answered: bool) -> None:
        """Take note of whether a question about the order under way was answered."""
        if answered:
            self.unanswered_since_s = None
        elif self.unanswered_since_s is None:
            self.unanswered_since_s = self._clock.monotonic_s()

    def _unanswered_s(self) -> float:
        return 0.0 if self.unanswered_since_s is None else self._clock.monotonic_s() - self.unanswered_since_s

    def interval_s(self, state: State, relaxed_s: float) -> float:
        """Return when to look again [s]: after `relaxed_s`, but soon while something is suspicious."""
        now_s = self._clock.now_s()
        stale_s = now_s - 0.5 * self.told.silence.alarm_s
        if self._vigil.suspicious or any(at_s < stale_s for at_s in self._vigil.last_s.values()):
            return min(relaxed_s, self._options.poll_s)
        grace_left_s = self._vigil.since_s + self._grace_s(state) - now_s
        return min(relaxed_s, grace_left_s) if grace_left_s > 0.0 else relaxed_s

    def clock_jumped(self) -> None:
        """Ages of readings are differences of wall times: their grace begins anew."""
        self._vigil = Vigil(since_s=self._clock.now_s(), latched=self._vigil.latched)

    def _grace_s(self, state: State) -> float:
        """Agents get their time to start, until they were once seen alive."""
        return 0.0 if state.stations[self._station].loop_seen else self._options.grace_s
