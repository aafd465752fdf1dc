"""One night at the simulated spectrometer: engine, driver and console, small enough for a second of real time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset, Verdict
from labctl.errors import LabctlError
from labctl.plan.steps import Plan, Step
from labctl.ports import (
    AwaitStable,
    CheckSpinning,
    CoolDown,
    Effect,
    Exsy,
    Instrument,
    SaturationRecovery,
    SetTemperature,
    Tune,
)
from labctl.run.engine import CampaignOutcome, Engine
from labctl.run.events import Operated
from labctl.run.journal import Journal, Row
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.progress import ProgressReport
from labctl_sim_topspin import SimulatedTopspin, open_simulator
from labctl_topspin import open_driver
from tests.drivers.topspin.orders import GOOD, LIMITS, acquire
from tests.run.bench import calibration
from tests.run.campaigns import CAMPAIGN, step

START_S = 1_768_200_000.0
WARM_K = 323.15
RAMP_K_PER_S = 5.0 / 60.0
POLL_S = 5.0

STATION_LIMITS = {**LIMITS, "sample_max_K": 405.0}

SAMPLE = """\
version: 1
name: one line
nmr:
  nucleus: 6Li
  sites: {A: {shift: 1 ppm, width: 40 Hz}}
  relaxation: {A: {T1: 0.5 s}}
  exchange: {none: {populations: {A: 1}}}
  probe: {p90: 4.9 us}
  noise_per_scan: 0.01
"""


def small_plan() -> Plan:
    """Look at the rotor, heat, settle, tune, T1, two 2Ds, cool."""
    base = "nmr/vt_exsy"
    thermal = {"setpoint_K": WARM_K, "sample_K": WARM_K + 8.8, "give_up_s": 3600.0}
    at: dict[str, Any] = {"points": 256, "scans": 8, "setpoint_K": WARM_K, "sample_K": WARM_K + 8.8}
    exsy = [
        acquire(
            Exsy(mixing_time_s=tmix_s, rows=16, increment_s=0.8e-3),
            slot=120 + 10 * number,
            duration_s=1300.0,
            recycle_delay_s=8.0,
            **at,
        )
        for number, tmix_s in enumerate((0.05, 0.5))
    ]
    t1 = acquire(SaturationRecovery(delays_s=(0.1, 0.5, 2.0, 8.0)), slot=110, duration_s=100.0, **at)
    steps: list[Step] = [
        step(
            f"{base}/spinning",
            CheckSpinning(rate_Hz=10_000.0, tolerance_Hz=20.0, give_up_s=60.0),
            Effect.ABSOLUTE_SET,
            role="spinning",
        ),
        step(
            f"{base}/T00/ramp", SetTemperature(ramp_K_per_s=RAMP_K_PER_S, **thermal), Effect.ABSOLUTE_SET, role="ramp"
        ),
        step(
            f"{base}/T00/settle",
            AwaitStable(within_K=0.5, hold_s=300.0, **thermal),
            Effect.ABSOLUTE_SET,
            role="settle",
        ),
        step(f"{base}/T00/tune", Tune(mode="operator", give_up_s=1800.0), Effect.REPEATABLE, role="tune"),
        step(f"{base}/T00/t1", t1, Effect.REPEATABLE, role="t1", estimate_s=100.0),
    ]
    steps += [
        step(
            f"{base}/T00/tmix{number:02d}",
            task,
            Effect.EXPENSIVE,
            needs=(f"{base}/T00/t1",),
            estimate_s=task.duration_s,
        )
        for number, task in enumerate(exsy)
    ]
    cool = CoolDown(setpoint_K=298.15, ramp_K_per_s=RAMP_K_PER_S, give_up_s=3600.0)
    steps.append(step(f"{base}/cool", cool, Effect.ABSOLUTE_SET, role="cool"))
    return Plan(campaign=CAMPAIGN, steps=tuple(steps))


class Gone(BaseException):
    """The engine's process died here."""


@dataclass(kw_only=True)
class Night:
    """A lab with its console, which outlives every engine that `run` lets loose on it."""

    folder: Path
    faults: str = ""
    simulator_settings: dict[str, Any] = field(default_factory=dict)
    driver_settings: dict[str, Any] = field(default_factory=dict)
    plan: Plan = field(default_factory=small_plan)
    options: dict[str, Any] = field(default_factory=dict)
    said: list[tuple[float, str]] = field(default_factory=list)
    at_s: float = START_S

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
        if self.faults:
            (self.folder / "faults.yaml").write_text(f"version: 1\nfaults:\n{self.faults}", encoding="utf-8")

    @property
    def phase(self) -> StationPhase:
        """Where the station stands."""
        return self.engine.state.stations["nmr"].phase

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def _lab(self) -> tuple[VirtualClock, SimulatedTopspin, Instrument]:
        clock = VirtualClock(self.at_s)
        settings = {**GOOD, "ramp_poll": "30 s", **self.driver_settings, "simulator": self.simulator_settings}
        simulator = open_simulator(
            station="nmr",
            state_dir=self.folder / "lab",
            clock=clock,
            seed=1,
            sample=self.folder / "sample.yaml",
            settings=settings,
            faults=self.folder / "faults.yaml" if self.faults else None,
        )
        clock.wait_until(simulator.now_s())
        clock.add_source(simulator.next_event_s)
        driver = open_driver(
            station="nmr", settings=settings, limits=STATION_LIMITS, clock=clock, link=simulator.link()
        )
        return clock, simulator, driver

    def run(
        self,
        *,
        dies_at_s: float | None = None,
        operator: Callable[[float], list[Operated]] | None = None,
        wakes_s: tuple[float, ...] = (),
        attended: str = "",
    ) -> CampaignOutcome | LabctlError | None:
        """Let one engine run; returns how it ended, the error it raised, or None where it died as `dies_at_s` says."""
        clock, self.simulator, driver = self._lab()
        self.clock = clock
        journal = Journal(self.run_dir / "journal.sqlite", clock=clock)
        journal._db.execute("PRAGMA synchronous=OFF")  # nothing here pulls the plug of the disk

        def asked() -> list[Operated]:
            if dies_at_s is not None and clock.now_s() >= dies_at_s:
                raise Gone
            return operator(clock.now_s()) if operator is not None else []

        told = StationOptions(limits=STATION_LIMITS, calibration=calibration)
        moments = [*wakes_s, *([] if dies_at_s is None else [dies_at_s])]
        clock.add_source(lambda: next((at_s for at_s in sorted(moments) if at_s > clock.now_s()), None))
        try:
            self.engine = Engine(
                self.plan,
                {"nmr": driver},
                clock=clock,
                run_dir=self.run_dir,
                journal=journal,
                options=EngineOptions(
                    state_dir=self.folder / "state",
                    stations={"nmr": told},
                    operator=asked,
                    operator_continues=operator is not None,
                    attended=attended,
                    **self.options,
                ),
                on_dataset=self._on_dataset,
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
            self.simulator.close()

    def _on_dataset(self, path: Path, dataset: Dataset) -> Verdict:
        return (
            Verdict(measured={"T1_s/LPSC": 0.5, "T1_s/Li2S": 0.5})
            if dataset.kind == "saturation_recovery"
            else Verdict()
        )

    def _hear(self, report: ProgressReport) -> None:
        for text in (report.message, report.needs_person):
            plain = text.replace(str(self.folder), "<folder>")
            if plain and (not self.said or self.said[-1][1] != plain):
                self.said.append((report.at_s, plain))

    def rows(self) -> list[Row]:
        """Everything that was committed."""
        journal = Journal(self.run_dir / "journal.sqlite", clock=VirtualClock(self.at_s), read_only=True)
        try:
            return list(journal.rows())
        finally:
            journal.close()

    def manifests(self) -> list[Path]:
        """Manifests of all datasets that were brought in."""
        return sorted((self.run_dir / "datasets").glob("*.json"))
