"""A driver, a simulated console and a virtual clock on one bench."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from labctl.clock import VirtualClock
from labctl.ports import Instrument, Observation, Order, Progress, Reading
from labctl_sim_topspin import SimulatedTopspin, open_simulator
from labctl_topspin import open_driver
from tests.drivers.topspin.orders import GOOD, LIMITS

START_S = 1_768_200_000.0
MINUTE_S = 60.0


class Bench:
    """Everything a test of the driver over the simulator needs; `restart` is a killed and resumed labctl."""

    def __init__(
        self,
        folder: Path,
        sample: Path,
        *,
        faults: str = "",
        simulator: dict[str, Any] | None = None,
        limits: dict[str, float] | None = None,
    ) -> None:
        self.limits = {**LIMITS, **(limits or {})}
        self.folder = folder
        self.sample = sample
        self.settings = {**GOOD, "simulator": simulator or {}}
        self.faults: Path | None = None
        if faults:
            self.faults = folder / "faults.yaml"
            self.faults.write_text("version: 1\nfaults:\n" + faults, encoding="utf-8")
        self.epoch = 0
        self.restart(START_S)

    def restart(self, at_s: float) -> None:
        """Open simulator and driver as a fresh process would, at a moment of simulated time."""
        self.come_back(at_s)
        self.epoch += 1
        self.driver.open(self.epoch)

    def come_back(self, at_s: float) -> None:
        """Let the lab live on with nobody there until `at_s`; the driver is made and not yet opened."""
        self.clock = VirtualClock(at_s)
        self._read_s = at_s - MINUTE_S
        self.simulator: SimulatedTopspin = open_simulator(
            station="nmr",
            state_dir=self.folder / "lab",
            clock=self.clock,
            seed=1,
            sample=self.sample,
            settings=self.settings,
            faults=self.faults,
        )
        self.clock.add_source(self.simulator.next_event_s)
        self.driver: Instrument = open_driver(
            station="nmr", settings=self.settings, limits=self.limits, clock=self.clock, link=self.simulator.link()
        )

    @property
    def data(self) -> Path:
        """Where the console keeps the datasets of the campaign."""
        return self.folder / "lab" / "data" / "labctl"

    def wait(self, seconds: float) -> None:
        """Let time pass, reading (and so renewing the lease) as an engine does."""
        until_s = self.clock.now_s() + seconds
        while (now_s := self.clock.now_s()) < until_s:
            if now_s - self._read_s >= MINUTE_S:
                self.driver.readings()
                self._read_s = now_s
            self.clock.wait_until(min(until_s, self._read_s + MINUTE_S))

    def until(self, met: Callable[[], bool], *, give_up_s: float = 86400.0) -> None:
        """Let time pass until something is true."""
        deadline_s = self.clock.now_s() + give_up_s
        while not met():
            assert self.clock.now_s() < deadline_s, self.simulator.console.messages[-10:]
            self.wait(MINUTE_S)

    def carry_out(self, order: Order, *, give_up_s: float = 86400.0) -> Observation:
        """Begin an order and look until it ends."""
        self.driver.begin(order)
        return self.end_of(order, give_up_s=give_up_s)

    def end_of(self, order: Order, *, give_up_s: float = 86400.0) -> Observation:
        """Look until an order ends, and return what was seen last."""
        seen = self.driver.look(order)
        deadline_s = self.clock.now_s() + give_up_s
        while seen.progress in {Progress.WAITING, Progress.RUNNING, Progress.SILENT}:
            assert self.clock.now_s() < deadline_s, (seen, self.simulator.console.messages[-10:])
            self.wait(30.0)
            seen = self.driver.look(order)
        return seen

    def reading(self, quantity: str) -> Reading:
        """The latest reading of one quantity."""
        return next(reading for reading in self.driver.readings() if reading.quantity == quantity)
