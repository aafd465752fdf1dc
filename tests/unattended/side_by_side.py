"""An EIS ladder in an oven and a cell on a cycler, side by side: two stations, one engine, virtual time.

What goes wrong at one of them must leave the other as if nothing had been: faults are per station.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import labctl_autolab
import labctl_maccor
import labctl_sim_autolab
import labctl_sim_maccor
from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset
from labctl.dataset.store import read_manifests
from labctl.errors import InstrumentError, LabctlError
from labctl.plan.steps import Plan, Step
from labctl.ports import (
    FAULT,
    AwaitStable,
    CoolDown,
    Effect,
    Evidence,
    Instrument,
    Observation,
    Progress,
    SetTemperature,
    Standing,
)
from labctl.run.engine import CampaignOutcome, Engine
from labctl.run.events import Operated
from labctl.run.interlock import Silence
from labctl.run.journal import Journal, Row
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.progress import ProgressReport
from labctl.station.shapes import OpenDriver
from tests.drivers.autolab.bench import SAMPLES, sweep_task
from tests.drivers.autolab.bench import SETTINGS as AUTOLAB_SETTINGS
from tests.drivers.maccor.orders import TASK as CELL
from tests.run.campaigns import CAMPAIGN, step

Controller = Literal["lakeshore", "eurotherm"]

START_S = 1_768_200_000.0
POLL_S = 5.0
LADDER, CYCLER = "autolab", "maccor"
ROOM_K = 298.15
WARM_K = (310.15, 318.15)
RAMP_K_PER_S = 4.0 / 60.0
LIMITS: Mapping[str, dict[str, float]] = {
    LADDER: {"sensor_max_K": 343.15, "sample_max_K": 343.15, "ramp_max_K_per_s": 10.0 / 60.0},
    CYCLER: {"voltage_min_V": 0.0, "voltage_max_V": 4.2, "current_max_A": 5e-3},
}
SILENCE = {LADDER: Silence(), CYCLER: Silence(alarm_s=600.0, trip_s=math.inf, growing_s=math.inf)}
"""As `labctl run` has it: a cycler's guards are in its own procedure."""
POINTS_Hz = (1e5, 1e4, 1e3, 1e2, 10.0, 0.25, 0.1, 0.05)
"""The last ones take long enough to be struck in."""


def ladder_steps(temperatures: int = len(WARM_K)) -> list[Step]:
    """At each temperature ramp, settle, one spectrum; then cool back."""
    base = f"{LADDER}/eis_ladder"
    steps: list[Step] = []
    for number, setpoint_K in enumerate(WARM_K[:temperatures]):
        here, at = f"{base}/T{number:02d}", {"setpoint_K": setpoint_K, "sample_K": setpoint_K}
        ramp = SetTemperature(ramp_K_per_s=RAMP_K_PER_S, give_up_s=3600.0, **at)
        soak = AwaitStable(within_K=1.0, hold_s=300.0, give_up_s=7200.0, **at)
        sweep = sweep_task(name=f"T{number:02d}", frequencies_Hz=POINTS_Hz, duration_s=60.0, moved_K=1.0, **at)
        steps += [
            step(f"{here}/ramp", ramp, Effect.ABSOLUTE_SET, role="ramp"),
            step(f"{here}/settle", soak, Effect.ABSOLUTE_SET, role="settle"),
            step(f"{here}/sweep", sweep, Effect.REPEATABLE, role="sweep"),
        ]
    cool = CoolDown(setpoint_K=ROOM_K, ramp_K_per_s=RAMP_K_PER_S, give_up_s=7200.0)
    return [*steps, step(f"{base}/cool", cool, Effect.ABSOLUTE_SET, role="cool")]


def cell_steps(cycles: int = 2) -> list[Step]:
    """One cell, short cycles."""
    task = replace(
        CELL,
        charges_Ah=(0.05e-3,) * cycles,
        then_cycles=0,
        first_rest_s=300.0,
        rest_s=120.0,
        duration_s=4000.0 * cycles,
        charge_limit_s=4 * 3600.0,
        discharge_limit_s=4 * 3600.0,
        record_s=600.0,
        unreturned_max_Ah=0.04e-3,
    )
    return [step(f"{CYCLER}/cycling/cell", task, Effect.IRREVERSIBLE, role="cycling")]


class Gone(BaseException):
    """The engine's process died here."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that a driver said of its instrument which it does not say of a healthy one."""

    at_s: float
    what: str


@dataclass(kw_only=True)
class SideBySide:
    """Both stations, which outlive every engine that `run` lets loose on them.

    `struck`: the station that has all of its work; the other one has less, to save time. `beside`: another campaign
    whose lab this one shares, clock and all.
    """

    folder: Path
    struck: str = LADDER
    controller: Controller = "lakeshore"
    faults: str = ""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    simulator: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stations: ClassVar[tuple[str, ...]] = (LADDER, CYCLER)
    said: list[tuple[float, str, str]] = field(default_factory=list)
    noticed: dict[str, list[Noticed]] = field(default_factory=dict)
    safe_since_s: dict[str, float] = field(default_factory=dict)
    simulators: dict[str, Any] = field(default_factory=dict)
    at_s: float = START_S
    beside: SideBySide | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.faults:
            (self.folder / "faults.yaml").write_text(f"version: 1\nfaults:\n{self.faults}", encoding="utf-8")

    # ------------------------------------------------------------------------------------------ the lab

    @property
    def run_dir(self) -> Path:
        """The campaign's folder."""
        return self.folder / "run"

    @property
    def state_dir(self) -> Path:
        """Where locks and epochs of the stations are kept."""
        return (self.beside or self).folder / "state"

    def settings_of(self, name: str) -> dict[str, Any]:
        """The `settings:` block of a station, and its simulator's."""
        plain: dict[str, Any]
        if name == LADDER:
            plain = {**AUTOLAB_SETTINGS, "oven": {"controller": self.controller, "cell_lag": "0 s"}}
        else:
            plain = {"channel": 1, "capacity_form": "C", "voltage_margin": "100 mV"}
        ours = {"channels": 2} if name == CYCLER else {}
        return {**plain, **self.settings.get(name, {}), "simulator": {**ours, **self.simulator.get(name, {})}}

    def _lab(self) -> tuple[VirtualClock, dict[str, Instrument]]:
        if self.beside is not None:
            clock = self.beside.clock
            self.simulators = self.beside.simulators
        else:
            clock = VirtualClock(self.at_s)
            self._make(clock)
        instruments: dict[str, Instrument] = {}
        self.links: dict[str, Any] = {}
        open_driver: dict[str, OpenDriver] = {LADDER: labctl_autolab.open_driver, CYCLER: labctl_maccor.open_driver}
        for name, simulator in self.simulators.items():
            link = self.links[name] = simulator.link()
            driver = open_driver[name](
                station=name, settings=self.settings_of(name), limits=LIMITS[name], clock=clock, link=link
            )
            instruments[name] = self._overheard(name, driver, clock)
        return clock, instruments

    def _make(self, clock: VirtualClock) -> None:
        """Open both simulators, as they were left."""
        self.simulators = {}
        openers: dict[str, tuple[Any, str]] = {
            LADDER: (labctl_sim_autolab.open_simulator, "lii_pellet"),
            CYCLER: (labctl_sim_maccor.open_simulator, "in_li_lpsc_li2s"),
        }
        for name in self.stations:
            open_simulator, sample = openers[name]
            simulator = self.simulators[name] = open_simulator(
                station=name,
                state_dir=self.folder / "lab" / name,
                clock=clock,
                seed=1,
                sample=SAMPLES / f"{sample}.yaml",
                settings=self.settings_of(name),
                faults=self.folder / "faults.yaml" if self.faults else None,
            )
            clock.wait_until(simulator.now_s())
            if name == LADDER:  # whose state is written at every exchange; when the engine dies is early enough
                for kept in (simulator.device, simulator.oven.lab):
                    kept.save = lambda: None
            clock.add_source(simulator.next_event_s if name == CYCLER else self._next_of_ladder)

    def _next_of_ladder(self) -> float | None:
        """When a point ends or a fault strikes or ends; between those the engine looks often enough by itself."""
        device, lab = self.simulators[LADDER].device, self.simulators[LADDER].oven.lab
        due = [device.next_event_s(), *(at_s for at_s, _ in lab._due() if at_s > lab.now_s())]
        return min((at_s for at_s in due if at_s is not None), default=None)

    def _overheard(self, name: str, driver: Instrument, clock: VirtualClock) -> Instrument:
        """Return the driver; what it says is written down, and what state its station is in then."""
        heard = self.noticed.setdefault(name, [])

        def wrapped(act: Callable[..., Any], ailing: Callable[[Any], str]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                try:
                    answer = act(*arguments)
                except InstrumentError as problem:
                    heard.append(Noticed(clock.now_s(), str(problem)))
                    raise
                finally:
                    self._mind_safety(name, clock.now_s())
                if what := ailing(answer):
                    heard.append(Noticed(clock.now_s(), what))
                return answer

            return call

        limit_K = LIMITS[name].get("sensor_max_K", math.inf)
        ears: dict[str, Callable[[Any], str]] = {
            "readings": lambda found: ", ".join(
                one.quantity
                for one in found
                if one.quantity.startswith(FAULT) or (one.quantity == "sensor_K" and one.value > limit_K)
            ),
            "look": _ailing_look,
            "evidence": _ailing_evidence,
            "open": lambda _: "",
            "begin": lambda _: "",
            "make_safe": lambda _: "",
            "is_safe": lambda _: "",
        }
        for method, ailing in ears.items():
            setattr(driver, method, wrapped(getattr(driver, method), ailing))
        return driver

    def _mind_safety(self, name: str, now_s: float) -> None:
        if not self.is_safe(name):
            self.safe_since_s.pop(name, None)
        else:
            self.safe_since_s.setdefault(name, now_s)

    def is_safe(self, name: str) -> bool:
        """Whether nothing at the station draws heat or current, as it really is, whatever a driver says."""
        simulator = self.simulators[name]
        if name == CYCLER:
            channel = simulator.tester.channels[0]
            return int(channel.stat) != 2 or (channel.test is not None and channel.test.direct)
        return not (simulator.device.front.cell_on or self.heats())

    def heats(self) -> bool:
        """Whether the oven's loop may draw power."""
        regulator = self.simulators[LADDER].oven.lab.device.oven.regulator
        return bool(regulator.mode == "auto" or (regulator.mode == "manual" and regulator.manual_percent > 0.0))

    # ------------------------------------------------------------------------------------------ running

    def plan(self) -> Plan:
        """Both stations' steps."""
        here = self.struck == LADDER
        steps = [*ladder_steps(2 if here else 1), *cell_steps(1 if here else 2)]
        return Plan(campaign=CAMPAIGN, steps=tuple(steps))

    def run(
        self,
        *,
        dies_at_s: float | None = None,
        operator: Callable[[float], list[Operated]] | None = None,
        wakes_s: tuple[float, ...] = (),
        attended: str = "",
    ) -> CampaignOutcome | LabctlError | None:
        """Let one engine run; returns how it ended, the error it raised, or None where it died as `dies_at_s` says."""
        clock, instruments = self._lab()
        self.clock = clock
        journal = Journal(self.run_dir / "journal.sqlite", clock=clock)
        journal._db.execute("PRAGMA synchronous=OFF")  # nothing here pulls the plug of the disk

        def asked() -> list[Operated]:
            if dies_at_s is not None and clock.now_s() >= dies_at_s:
                raise Gone
            return operator(clock.now_s()) if operator is not None else []

        moments = [*wakes_s, *([] if dies_at_s is None else [dies_at_s])]
        clock.add_source(lambda: next((at_s for at_s in sorted(moments) if at_s > clock.now_s()), None))
        try:
            self.engine = Engine(
                self.plan(),
                instruments,
                clock=clock,
                run_dir=self.run_dir,
                journal=journal,
                options=EngineOptions(
                    poll_s=POLL_S,
                    virtual_poll_s=6.0 * POLL_S,
                    record_s=60.0,
                    state_dir=self.state_dir,
                    stations={
                        name: StationOptions(
                            limits=LIMITS[name], calibration=lambda K, _: (K, 0.2, "offset"), silence=SILENCE[name]
                        )
                        for name in self.stations
                    },
                    operator=asked,
                    operator_continues=operator is not None,
                    attended=attended,
                ),
                on_progress=self._hear,
            )
            return self.engine.run()
        except Gone:
            return None
        except LabctlError as error:
            return error
        finally:
            journal.close()
            self.at_s = clock.now_s()
            if self.beside is None:
                self._close()

    def _close(self) -> None:
        for kept in (self.simulators[LADDER].device, self.simulators[LADDER].oven.lab):
            del kept.save
        for simulator in self.simulators.values():
            simulator.close()

    def _hear(self, report: ProgressReport) -> None:
        for text in (report.message, report.needs_person):
            plain = text.replace(str(self.folder), "<folder>")
            if plain and (not self.said or self.said[-1][1:] != (report.station, plain)):
                self.said.append((report.at_s, report.station, plain))

    # ------------------------------------------------------------------------------------------ what it left

    def phase(self, name: str) -> StationPhase:
        """Where a station stands."""
        return self.engine.state.stations[name].phase

    def rows(self, name: str = "") -> list[Row]:
        """What was committed, of one station or of all."""
        journal = Journal(self.run_dir / "journal.sqlite", clock=VirtualClock(self.at_s), read_only=True)
        try:
            return [row for row in journal.rows() if not name or row.event.station == name]
        finally:
            journal.close()

    def datasets(self, name: str) -> list[Dataset]:
        """What was brought in from a station."""
        return [one for one in read_manifests(self.run_dir) if one.station == name]


def _ailing_look(seen: Observation) -> str:
    if seen.progress in {Progress.FAILED, Progress.HALTED, Progress.SILENT}:
        return seen.detail
    return seen.needs_person or ("unusable" if "cannot be used" in seen.detail else "")


def _ailing_evidence(found: Evidence) -> str:
    return found.detail if found.standing in {Standing.FOREIGN, Standing.INTERRUPTED} else ""
