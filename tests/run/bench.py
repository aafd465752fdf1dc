"""A bench to run small campaigns on: scripted instruments that outlive engines, and engines that die on command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset, Verdict
from labctl.plan.steps import Plan
from labctl.ports import Instrument
from labctl.run.engine import CampaignOutcome, Engine
from labctl.run.events import Event
from labctl.run.interlock import Silence
from labctl.run.journal import CommitHook, Journal
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.perform import Performer
from labctl.run.progress import ProgressReport
from labctl.testing import ScriptedInstrument

START_S = 1_700_000_000.0
LIMITS = {
    "sensor_max_K": 400.0,
    "sensor_min_K": 270.0,
    "gas_min_L_per_h": 800.0,
    "heater_max_percent": 60.0,
    "spinning_tolerance_Hz": 100.0,
    "spinning_max_Hz": 12_000.0,
}


class Killed(BaseException):
    """The engine's process died here."""


def calibration(sensor_K: float, spinning_Hz: float) -> tuple[float, float, str]:
    """Frictional heating, near enough."""
    return sensor_K + 8.8 * (spinning_Hz / 10_000.0) ** 2, 1.0, "frictional"


def verdict_of(path: Path, dataset: Dataset) -> Verdict:
    """What a plain analysis would say."""
    assert path.is_file()
    if dataset.kind == "saturation_recovery":
        return Verdict(measured={"T1_s/LPSC": 17.0, "T1_s/Li2S": 5.0})
    if dataset.kind == "one_pulse" and dataset.step_id.endswith("line1"):
        return Verdict(gate="settled")
    return Verdict()


class DyingInstrument:
    """Passes every call on and dies before or after the n-th."""

    def __init__(self, inner: ScriptedInstrument, die_at: int, *, after: bool) -> None:
        self._inner = inner
        self._die_at = die_at
        self._after = after
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name in {"station", "close"} or not callable(attribute):
            return attribute

        def call(*arguments: Any) -> Any:
            self.calls += 1
            mine = self.calls == self._die_at
            if mine and not self._after:
                raise Killed
            answer = attribute(*arguments)
            if mine:
                raise Killed
            return answer

        return call


class TalkingEngine(Engine):
    """An engine whose Performer can be swapped by a test."""

    def __init__(self, *arguments: Any, performer: type[Performer] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if performer is not None:
            self.perform.__class__ = performer


@dataclass(kw_only=True)
class Bench:
    """One lab: clock, instruments and run folder outlive every engine."""

    folder: Path
    plan: Plan
    options: EngineOptions = field(default_factory=EngineOptions)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(START_S))
    instruments: dict[str, ScriptedInstrument] = field(default_factory=dict)
    handed: list[tuple[str, int]] = field(default_factory=list)
    reports: list[ProgressReport] = field(default_factory=list)
    analyse: Any = verdict_of
    engine: Engine | None = None

    def __post_init__(self) -> None:
        for name in dict.fromkeys(step.station for step in self.plan.steps):
            self.instruments[name] = ScriptedInstrument(station=name, clock=self.clock)
            self.clock.add_source(self.instruments[name].next_event_s)
        told = {
            name: StationOptions(limits=LIMITS, calibration=calibration, silence=Silence()) for name in self.instruments
        }
        self.options = replace(
            self.options, state_dir=self.folder / "state", stations=told | dict(self.options.stations)
        )

    @property
    def nmr(self) -> ScriptedInstrument:
        return self.instruments["nmr"]

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def on_dataset(self, path: Path, dataset: Dataset) -> Verdict:
        verdict: Verdict = self.analyse(path, dataset)
        self.handed.append((dataset.step_id, dataset.attempt))
        return verdict

    def run(
        self,
        *,
        hook: CommitHook | None = None,
        instruments: Mapping[str, Instrument] | None = None,
        performer: type[Performer] | None = None,
        **changes: Any,
    ) -> CampaignOutcome:
        """Let one engine run until it ends or dies."""
        journal = Journal(self.run_dir / "journal.sqlite", clock=self.clock, hook=hook)
        # whether a crash of the process loses rows does not depend on fsync; power loss is tested with the journal
        journal._db.execute("PRAGMA synchronous=OFF")
        try:
            self.engine = TalkingEngine(
                self.plan,
                instruments or self.instruments,
                clock=self.clock,
                run_dir=self.run_dir,
                journal=journal,
                options=replace(self.options, **changes),
                on_dataset=self.on_dataset,
                on_progress=self.reports.append,
                performer=performer,
            )
            return self.engine.run()
        finally:
            journal.close()

    def journal(self) -> Journal:
        """The journal, to look at."""
        return Journal(self.run_dir / "journal.sqlite", clock=self.clock, read_only=True)

    def events(self) -> list[Event]:
        """Everything that was committed."""
        journal = self.journal()
        try:
            return [row.event for row in journal.rows()]
        finally:
            journal.close()

    def raw(self) -> dict[str, bytes]:
        """Every raw data file of the run folder."""
        return {
            path.relative_to(self.run_dir).as_posix(): path.read_bytes()
            for path in sorted(self.run_dir.rglob("data.txt"))
        }

    def messages(self) -> str:
        """Everything that was said."""
        return "\n".join(report.message for report in self.reports if report.message)
