"""Stations with a simulated oven: alone, or an Autolab's. The real drivers over the real simulators, in process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import labctl_autolab
import labctl_eurotherm
import labctl_lakeshore
import labctl_sim_autolab
import labctl_sim_eurotherm
import labctl_sim_lakeshore
from labctl.clock import VirtualClock
from labctl.plan.steps import Step
from labctl.ports import Instrument
from labctl_sim_oven import _lab as oven_lab
from labctl_sim_oven._oven import SAMPLING_s
from tests.drivers.autolab.bench import SETTINGS as AUTOLAB_SETTINGS
from tests.unattended.seeded.host import HostClock
from tests.unattended.seeded.sites import SAMPLES, Site

LIMITS = {"sensor_max_K": 345.15, "sample_max_K": 345.15, "ramp_max_K_per_s": 10 / 60}
DRIVERS: dict[str, Any] = {"lakeshore": labctl_lakeshore, "eurotherm": labctl_eurotherm}
SIMULATORS: dict[str, Any] = {"lakeshore": labctl_sim_lakeshore, "eurotherm": labctl_sim_eurotherm}
_HEATS_S, _HOLDS_S = 20.0, 300.0


class OvenSite(Site):
    """An oven behind its controller; `autolab` has a potentiostat beside it."""

    limits = LIMITS

    def __init__(
        self, name: str, clock: VirtualClock, folder: Path, steps: list[Step], *, controller: str, script: Path | None
    ) -> None:
        super().__init__(name, clock, folder, steps)
        self.potentiostat = name == "autolab"
        self._package = labctl_autolab if self.potentiostat else DRIVERS[controller]
        simulators: Any = labctl_sim_autolab if self.potentiostat else SIMULATORS[controller]
        self._settings: dict[str, Any] = {"simulator": {}}
        if self.potentiostat:
            self._settings = {**AUTOLAB_SETTINGS, "oven": {"controller": controller}, "simulator": {}}
        self.simulator: Any = simulators.open_simulator(
            station=name,
            state_dir=folder / name,
            clock=clock,
            seed=1,
            sample=SAMPLES / "lii_pellet.yaml",
            settings=self._settings,
            faults=script,
        )
        self.lab: oven_lab.Lab = self.simulator.oven.lab if self.potentiostat else self.simulator.lab
        self.lab._state_dir = None  # it lives on in memory, as it lives on on disk elsewhere; writing costs most
        clock.add_source(self.next_event_s, of=name)
        self._drivers = 0
        self._last_begun = ("", 0)
        self._watch_oven()
        if self.potentiostat:
            self._watch_sweeps()

    def driver(self, host: HostClock) -> Instrument:
        link = self.simulator.link()
        self._drivers += 1
        if self.potentiostat:  # its simulator tells when it is free by the lab's time
            free_at_s = link.free_at_s
            link.free_at_s = lambda: host.of_lab_s(free_at_s())
        found: Instrument = self._package.open_driver(
            station=self.name, settings=self._settings, limits=self.limits, clock=host, link=link
        )
        return found

    def next_event_s(self) -> float | None:
        """When something happens here that a guard would want to see."""
        lab, oven = self.lab, self.lab.device.oven
        due = [at_s for at_s, _ in lab._due()]
        if oven.regulator.ramping:
            due.append(lab._now_s + oven.regulator.ramp_ends_in_s() + SAMPLING_s)
        if self.heats() or oven.ailments.welded_percent is not None:
            due.append(lab._now_s + (_HEATS_S if oven.restless() else _HOLDS_S))
        if self.potentiostat and (at_s := self.simulator.device.next_event_s()) is not None:
            due.append(at_s)
        return max(min(due), lab._now_s + 1e-3) if due else None

    def _watch_oven(self) -> None:
        """Write down when heat comes and goes, and whose doing it was."""
        oven, strike = self.lab.device.oven, self.lab._strike
        inner = oven.set

        def set_(**changes: Any) -> None:
            before = self.heats()
            inner(**changes)
            if self.heats() and not before:
                self.heat_comes()

        def strike_(index: int) -> None:
            before = self.heats()
            strike(index)
            if before and not self.heats():
                self.heat_must_stay_off(self.lab._faults[index].kind)

        oven.set = set_  # type: ignore[method-assign]  # a tap on what is there
        self.lab._strike = strike_  # type: ignore[method-assign]  # the same

    def _watch_sweeps(self) -> None:
        """A sweep has begun once its cell is switched on."""
        device = self.simulator.device
        inner = device.switch_cell
        device._file.save = lambda state: None

        def switch_cell(on: bool) -> None:
            begun = (device.front.title.rsplit(" ", 1)[-1], self._drivers)
            if on and begun != self._last_begun:
                self._last_begun = begun
                self.truth.begun.append((begun[0], self.clock.now_s()))
            inner(on)

        device.switch_cell = switch_cell

    def heats(self) -> bool:
        regulator = self.lab.device.oven.regulator
        return regulator.mode == "auto" or (regulator.mode == "manual" and regulator.manual_percent > 0.0)

    def hazard(self) -> str:
        oven = self.lab.device.oven
        hot = oven.nodes.sensor_K > LIMITS["sensor_max_K"] + 0.5
        seen = oven.ailments.sensor_stale_K is None and not oven.ailments.sensor_broken
        return "over temperature" if self.heats() and hot and seen else ""

    def measures(self) -> bool:
        return self.potentiostat and bool(self.simulator.device.front.cell_on)

    def mend(self) -> None:
        super().mend()
        self.lab.advance(self.clock.now_s())
        for index, course in enumerate(self.lab._courses):
            if course.phase == "active":
                self.lab._mend(index)
        if not self.potentiostat:
            return
        device = self.simulator.device
        device.live()
        for fault, course in zip(device._faults, device._courses, strict=True):
            if course.phase == "active":
                course.phase, course.at_s = "done", None
                if fault.kind == "usb_gone":
                    device.front.connected = False
