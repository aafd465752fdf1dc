"""What an engine shows of itself to other processes: ``standing.json`` in the run folder, renewed every second or so.

For `labctl status`, and for whoever wants to draw a campaign. The journal is the truth of what happened; this says what
no journal does: how far the acquisition is, the readings, the expected end, what is waited for. It is written under
another name and renamed, so that nobody reads half of it; what an engine that died left is recognised by its age and by
the lock nobody holds.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from labctl.run.events import Alarmed, Event
from labctl.run.journal import Row
from labctl.run.lifecycle import StationPhase
from labctl.run.progress import ProgressReport
from labctl.run.state import BEHIND, State
from labctl.run.turn import is_warm

STANDING = "standing.json"
_EVERY_S = 1.0  # of real time, also in a dry run: it is for people


class Noticeboard:
    """A bystander that keeps ``standing.json`` up to date; also takes the engine's progress reports."""

    def __init__(self, run_dir: Path, *, version: str) -> None:
        self._path = run_dir / STANDING
        self._by = {"labctl": version, "host": socket.gethostname(), "pid": os.getpid()}
        self._reports: dict[str, ProgressReport] = {}
        self._state: State | None = None
        self._seq = 0
        self._at_s = 0.0
        self._posted_s = -_EVERY_S
        self._fresh = False

    def seen(self, row: Row, event: Event, state: State) -> None:
        del event
        self._state, self._seq, self._at_s, self._fresh = state, row.seq, row.wall_s, True
        self._post()

    def said(self) -> Sequence[Alarmed]:
        return ()

    def after(self, tell: Callable[[ProgressReport], None]) -> Callable[[ProgressReport], None]:
        """Return what passes each progress report on, and takes note of it."""

        def told(report: ProgressReport) -> None:
            tell(report)
            self._reported(report)

        return told

    def _reported(self, report: ProgressReport) -> None:
        if not report.message:
            self._reports[report.station] = report
            self._at_s, self._fresh = max(self._at_s, report.at_s), True
            self._post()

    def close(self) -> None:
        """Leave how the engine left the campaign."""
        self._posted_s = -_EVERY_S
        if self._fresh:
            self._post()

    def _post(self) -> None:
        now_s = time.monotonic()
        if self._state is None or now_s < self._posted_s + _EVERY_S:
            return
        half = self._path.with_name(self._path.name + ".half")
        try:
            half.write_text(json.dumps(self._document(self._state), indent=1), encoding="utf-8")
            half.replace(self._path)
        except OSError:
            return  # the disk is full, or somebody on Windows is reading it: the next one will do
        self._posted_s, self._fresh = now_s, False

    def _document(self, state: State) -> dict[str, Any]:
        reports = list(self._reports.values())
        return {
            "engine": self._by,
            "seq": self._seq,
            "at_s": self._at_s,
            "phase": state.phase.value,
            "steps": len(state.plan.steps),
            "steps_behind": sum(state.steps[step.id].status in BEHIND for step in state.plan.steps),
            "fraction": max((report.campaign_fraction for report in reports), default=0.0),
            "eta_s": max((report.eta_s for report in reports), default=None),
            "stations": {name: self._station(state, name) for name in state.stations},
        }

    def _station(self, state: State, name: str) -> dict[str, Any]:
        station, steps = state.stations[name], state.of_station[name]
        report = self._reports.get(name)
        mine = report is not None and report.step_id == station.open
        held = station.phase is StationPhase.HELD
        return {
            "phase": station.phase.value,
            "steps": len(steps),
            "steps_behind": sum(state.steps[step.id].status in BEHIND for step in steps),
            "step": station.open,
            "attempt": state.steps[station.open].attempt if station.open else 0,
            "fraction": report.fraction if report is not None and mine else None,
            "detail": report.detail if report is not None and mine else "",
            "next": next((step.id for step in steps[station.index :] if step.id != station.open), ""),
            "hold": station.hold,
            "fault": station.fault,
            "needs_person": report.needs_person if report is not None and mine else station.hold,
            **_wanted(state, name),
            "waits_until_s": station.waits_until_s if held else None,
            "waits_for": station.waits_for if held else "",
            "readings": {reading.quantity: reading.value for reading in report.readings} if report else {},
            "readings_at_s": max((reading.at_s for reading in report.readings), default=None) if report else None,
        }


def _wanted(state: State, name: str) -> dict[str, float | None]:
    """The set point on its way or reached, and what it means in the sample [K]; None where nothing is heated."""
    station = state.stations[name]
    steps = [state.by_id[station.open]] if station.open else []
    if is_warm(state, name):
        for step in (*steps, *reversed(state.of_station[name][: station.index])):
            if (setpoint_K := getattr(step.task, "setpoint_K", None)) is not None:
                return {"setpoint_K": setpoint_K, "sample_wanted_K": getattr(step.task, "sample_K", None)}
    return {"setpoint_K": None, "sample_wanted_K": None}
