"""A driver, a simulated Autolab with its oven, and a clock on one bench."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from labctl.clock import Clock, VirtualClock
from labctl.ports import Instrument, Observation, Order, Progress, SweepImpedance, Task
from labctl_autolab import open_driver
from labctl_sim_autolab import SimulatedAutolab, open_simulator
from labctl_sim_sample import EisSample, load_sample

START_S = 1_768_200_000.0
ROOT = Path(__file__).resolve().parents[3]
SAMPLES = ROOT / "protocols" / "samples"
LIMITS = {"sensor_max_K": 473.15, "sample_max_K": 433.15, "ramp_max_K_per_s": 10 / 60}

SETTINGS: dict[str, Any] = {
    "data_dir": "data",
    "noise": {"current": "3 pA", "gain": "0.2 %"},
    "open_holder": {"capacitance": "20 pF", "leakage": "1e12 ohm"},
}
OVEN: dict[str, Any] = {"oven": {"controller": "lakeshore", "sample_input": "B", "sample_within": "0.5 K"}}


def grid_Hz(points: int = 11, high: float = 1e5, low: float = 1.0) -> tuple[float, ...]:
    """Return frequencies from high to low, evenly in their logarithm."""
    return tuple(float(f_Hz) for f_Hz in np.geomspace(high, low, points))


def sweep_task(**changes: Any) -> SweepImpedance:
    """Return a short sweep at room temperature."""
    values: dict[str, Any] = {
        "name": "LiI",
        "frequencies_Hz": grid_Hz(),
        "amplitude_V_rms": 5e-3,
        "bias_V": 0.0,
        "integration_s": 1.0,
        "cycles": 1,
        "settle_s": 0.2,
        "moved_K": 0.2,
        "setpoint_K": 298.15,
        "sample_K": 298.15,
        "duration_s": 60.0,
        "sample": "LiI",
        "thickness_mm": 0.74,
        "diameter_mm": 10.0,
    }
    return SweepImpedance(**{**values, **changes})


def order_of(task: Task, *, token: str = "0a1b2c3d-1", step_id: str = "autolab/eis_ladder/T01/sweep") -> Order:
    """Return an order as an engine gives it."""
    attempt = int(token.rsplit("-", 1)[1])
    title = f"ladder {step_id} {token}"
    return Order(token=token, title=title, step_id=step_id, attempt=attempt, epoch=1, task=task)


class Bench:
    """Everything a test of the driver over the simulator needs; `restart` is a killed and resumed labctl."""

    def __init__(
        self,
        folder: Path,
        *,
        sample: str | Path = "lii_pellet",
        faults: str = "",
        simulator: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.sample_file = SAMPLES / f"{sample}.yaml" if isinstance(sample, str) else sample
        self.settings = {**SETTINGS, **settings, "simulator": dict(simulator or {})}
        self.faults: Path | None = None
        if faults:
            self.faults = folder / "faults.yaml"
            self.faults.write_text("version: 1\nfaults:\n" + faults, encoding="utf-8")
        self.epoch = 0
        self._clock = clock
        self.come_back(START_S)

    def restart(self, at_s: float | None = None) -> None:
        """Open simulator and driver as a fresh process would; the old ones are gone without a word."""
        self.come_back(self.clock.now_s() if at_s is None else at_s)
        self.open()

    def come_back(self, at_s: float) -> None:
        """Make simulator and driver anew; the driver is not opened."""
        self.clock: Clock = self._clock or VirtualClock(at_s)
        self.simulator: SimulatedAutolab = open_simulator(
            station="autolab",
            state_dir=self.folder / "lab",
            clock=self.clock,
            seed=1,
            sample=self.sample_file,
            settings=self.settings,
            faults=self.faults,
        )
        if isinstance(self.clock, VirtualClock):
            self.clock.add_source(self.simulator.next_event_s)
        self.link = self.simulator.link()
        self.driver: Instrument = open_driver(
            station="autolab", settings=self.settings, limits=LIMITS, clock=self.clock, link=self.link
        )

    def open(self) -> None:
        """Open the driver for the next epoch."""
        self.epoch += 1
        self.driver.open(self.epoch)

    @property
    def data(self) -> Path:
        """Where the instrument's computer keeps results."""
        return self.link.data_dir

    @property
    def pellet(self) -> EisSample:
        """What is between the electrodes."""
        return load_sample(self.sample_file).eis

    @property
    def cell_is_on(self) -> bool:
        """The cell relay, as it really is."""
        return self.simulator.device.front.cell_on

    def wait(self, seconds: float) -> None:
        """Let time pass, looking at the driver as an engine does."""
        until_s = self.clock.now_s() + seconds
        while (left_s := until_s - self.clock.now_s()) > 1e-3:
            self.clock.wait_until(self.clock.monotonic_s() + left_s)
            self.driver.readings()

    def carry_out(self, order: Order, *, give_up_s: float = 86400.0) -> Observation:
        """Begin an order and look until it ends."""
        self.driver.begin(order)
        return self.end_of(order, give_up_s=give_up_s)

    def end_of(
        self, order: Order, *, give_up_s: float = 86400.0, until: Callable[[Observation], bool] = lambda _: False
    ) -> Observation:
        """Look until an order ends or `until` is true of what was seen; return that."""
        deadline_s = self.clock.now_s() + give_up_s
        seen = self.driver.look(order)
        while seen.progress in {Progress.WAITING, Progress.RUNNING, Progress.SILENT} and not until(seen):
            assert self.clock.now_s() < deadline_s, seen
            again_s = min(60.0, math.inf if seen.look_again_s is None else seen.look_again_s)
            self.clock.wait_until(self.clock.monotonic_s() + again_s)
            seen = self.driver.look(order)
        return seen
