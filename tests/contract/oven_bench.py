"""A driver of a temperature controller, its simulator and a clock on one bench; in process, or over the real wire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import labctl_eurotherm
import labctl_lakeshore
import labctl_sim_eurotherm
import labctl_sim_eurotherm.server
import labctl_sim_lakeshore
from labctl.clock import Clock, ScaledClock, VirtualClock
from labctl.ports import (
    AwaitStable,
    CoolDown,
    Observation,
    Order,
    Progress,
    Reading,
    SetTemperature,
    Task,
    TemperatureController,
)
from labctl.station.shapes import OpenDriver, Simulator
from labctl_oven import OvenStation
from labctl_sim_oven import Lab, Server, has_pty

Kind = Literal["lakeshore", "eurotherm"]
KINDS: tuple[Kind, ...] = ("lakeshore", "eurotherm")

START_S = 1_768_200_000.0
MINUTE_S = 60.0
RAMP_K_per_s = 3.0 / 60.0
LIMITS = {"sensor_max_K": 473.15, "sample_max_K": 453.15, "ramp_max_K_per_s": 10.0 / 60.0}

OPEN_DRIVER: Mapping[Kind, OpenDriver] = {
    "lakeshore": labctl_lakeshore.open_driver,
    "eurotherm": labctl_eurotherm.open_driver,
}


class OvenSimulator(Simulator, Protocol):
    """What both simulators are beside a `Simulator`."""

    @property
    def lab(self) -> Lab: ...

    def sample_K(self) -> float: ...


class OpenOvenSimulator(Protocol):
    """How both are opened."""

    def __call__(
        self,
        *,
        station: str,
        state_dir: Path,
        clock: Clock,
        seed: int,
        settings: Mapping[str, Any],
        faults: Path | None = None,
    ) -> OvenSimulator: ...


OPEN_SIMULATOR: Mapping[Kind, OpenOvenSimulator] = {
    "lakeshore": labctl_sim_lakeshore.open_simulator,
    "eurotherm": labctl_sim_eurotherm.open_simulator,
}


def order(task: Task, *, token: str = "0a1b2c3d-1", step_id: str = "oven/eis/T01/ramp", epoch: int = 1) -> Order:
    """An attempt at a task."""
    return Order(token=token, title=f"test {token}", step_id=step_id, attempt=1, epoch=epoch, task=task)


def ramp(setpoint_K: float, *, ramp_K_per_s: float = RAMP_K_per_s, give_up_s: float = 4 * 3600.0) -> SetTemperature:
    """A ramp to a set point."""
    return SetTemperature(setpoint_K=setpoint_K, sample_K=setpoint_K, ramp_K_per_s=ramp_K_per_s, give_up_s=give_up_s)


def soak(setpoint_K: float, *, hold_s: float = 1800.0, give_up_s: float = 6 * 3600.0) -> AwaitStable:
    """A soak at a set point."""
    return AwaitStable(setpoint_K=setpoint_K, sample_K=setpoint_K, within_K=0.5, hold_s=hold_s, give_up_s=give_up_s)


def cool() -> CoolDown:
    """The end of heat."""
    return CoolDown(setpoint_K=298.15, ramp_K_per_s=RAMP_K_per_s, give_up_s=6 * 3600.0)


class Bench:
    """Driver over simulator in process, in virtual time.

    Parameters
    ----------
    faults : str
        Entries of a fault script, YAML.
    """

    def __init__(
        self,
        kind: Kind,
        folder: Path,
        *,
        faults: str = "",
        settings: Mapping[str, Any] | None = None,
        simulator: Mapping[str, Any] | None = None,
        limits: Mapping[str, float] | None = None,
        seed: int = 1,
    ) -> None:
        self.kind = kind
        self.folder = folder
        self.settings = {**(settings or {}), "simulator": dict(simulator or {})}
        self.limits = LIMITS if limits is None else limits
        self.seed = seed
        self.faults: Path | None = None
        if faults:
            self.faults = folder / "faults.yaml"
            self.faults.write_text("version: 1\nfaults:\n" + faults, encoding="utf-8")
        self.epoch = 0
        self.clock = VirtualClock(START_S)
        self.restart()

    def restart(self) -> None:
        """Open simulator and driver as a fresh process would; nothing of the old ones is told to them."""
        self.clock = VirtualClock(self.clock.now_s())
        self.simulator = OPEN_SIMULATOR[self.kind](
            station="oven",
            state_dir=self.folder / "lab",
            clock=self.clock,
            seed=self.seed,
            settings=self.settings,
            faults=self.faults,
        )
        self.clock.add_source(self.simulator.next_event_s)
        self.new_driver()

    def new_driver(self, *, opened: bool = True) -> None:
        """Make a driver that knows nothing of the one before, and open it."""
        instrument = OPEN_DRIVER[self.kind](
            station="oven",
            settings=self.settings,
            limits=self.limits,
            clock=self.clock,
            link=self.simulator.link(),
        )
        assert isinstance(instrument, OvenStation)
        self.driver = instrument
        self.epoch += 1
        if opened:
            self.driver.open(self.epoch)

    @property
    def lab(self) -> Lab:
        """The simulated controller and its oven."""
        return self.simulator.lab

    @property
    def controller(self) -> TemperatureController:
        """The controller the driver drives."""
        return self.driver.controller

    def wait(self, seconds: float, *, look: Callable[[], object] | None = None, every_s: float = 15.0) -> None:
        """Let time pass, looking as an engine does."""
        until_s = self.clock.now_s() + seconds
        while self.clock.now_s() < until_s:
            self.clock.wait_until(min(until_s, self.clock.now_s() + every_s))
            (look or self.driver.readings)()

    def skip_to(self, at_s: float) -> None:
        """Let time pass and look at nothing."""
        while self.clock.now_s() < at_s:
            self.clock.wait_until(at_s)
        self.lab.advance(at_s)

    def end_of(self, asked: Order) -> Observation:
        """Look until an order ends, and return what was seen last."""
        while True:
            seen = self.driver.look(asked)
            if seen.progress not in {Progress.WAITING, Progress.RUNNING}:
                return seen
            self.clock.wait_until(self.clock.now_s() + 20.0)

    def carry_out(self, task: Task, *, token: str = "0a1b2c3d-1") -> Observation:
        """Begin a task and look until it ends."""
        asked = order(task, token=token)
        self.driver.begin(asked)
        return self.end_of(asked)

    def values(self) -> dict[str, float]:
        """Readings by quantity."""
        return by_quantity(self.driver.readings())

    def fault_names(self) -> set[str]:
        """Names of what is wrong, from a fresh reading."""
        self.driver.readings()
        return {fault.split(":")[0] for fault in self.controller.health()}

    def suffer(self, kind: str) -> None:
        """Let a fault of the controller happen now."""
        self.lab.advance(self.clock.now_s())
        self.lab.device.suffer(kind)


def by_quantity(readings: tuple[Reading, ...]) -> dict[str, float]:
    """Readings by quantity."""
    return {reading.quantity: reading.value for reading in readings}


@contextmanager
def served(
    kind: Kind,
    folder: Path,
    *,
    speed: float = 1.0,
    faults: str = "",
    tcp: bool = False,
    tcp_port: int = 0,
    simulator: Mapping[str, Any] | None = None,
) -> Iterator[tuple[str, Lab, Clock]]:
    """A simulated controller on a real wire: what a client opens, the lab behind it, and its clock."""
    script = None
    if faults:
        script = folder / "faults.yaml"
        script.write_text("version: 1\nfaults:\n" + faults, encoding="utf-8")
    clock = ScaledClock(start_s=START_S, speed=speed)
    settings = {"simulator": dict(simulator or {})}
    common: dict[str, Any] = {"station": "oven", "state_dir": folder / "lab", "clock": clock, "seed": 1}
    if kind == "lakeshore":
        lakeshore = labctl_sim_lakeshore.open_simulator(**common, settings=settings, faults=script)
        server = Server(lakeshore.lab, lambda: lakeshore.new_port(paced=True), clock, speed=speed, port=tcp_port)
        resource, lab = f"TCPIP0::127.0.0.1::{server.tcp_port}::SOCKET", lakeshore.lab
    else:
        eurotherm = labctl_sim_eurotherm.open_simulator(**common, settings=settings, faults=script)
        server = Server(
            eurotherm.lab, eurotherm.new_port, clock, speed=speed, port=tcp_port if tcp or not has_pty() else None
        )
        resource, lab = labctl_sim_eurotherm.server.resource(server), eurotherm.lab
    thread = threading.Thread(target=server.run, name=f"simulated {kind}")
    thread.start()
    try:
        yield resource, lab, clock
    finally:
        server.stop()
        thread.join()


@contextmanager
def wired_driver(
    kind: Kind,
    folder: Path,
    *,
    speed: float = 1.0,
    faults: str = "",
    tcp: bool = False,
    timeout: str = "200 ms",
    simulator: Mapping[str, Any] | None = None,
) -> Iterator[tuple[OvenStation, Lab, Clock]]:
    """A driver whose link is the real one, on the wire of a simulated controller."""
    with served(kind, folder, speed=speed, faults=faults, tcp=tcp, simulator=simulator) as (resource, lab, clock):
        where = "resource" if kind == "lakeshore" else "port"
        settings = {where: resource, "reply_timeout": timeout, **({"baud_rate": 115200} if kind == "eurotherm" else {})}
        driver = OPEN_DRIVER[kind](station="oven", settings=settings, limits=LIMITS, clock=clock)
        assert isinstance(driver, OvenStation)
        try:
            yield driver, lab, clock
        finally:
            driver.close()
