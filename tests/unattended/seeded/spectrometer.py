"""The spectrometer of a seeded campaign: plant, console and guard, which outlive engines."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ClassVar

from labctl.clock import VirtualClock
from labctl.errors import InstrumentError
from labctl.plan.steps import Step
from labctl.ports import Acquire, CheckSpinning, CoolDown, Instrument, Order, SetTemperature
from tests.unattended.seeded.console import Console
from tests.unattended.seeded.console_faults import HAPPENS, ConsoleFault
from tests.unattended.seeded.host import HostClock
from tests.unattended.seeded.plant import GAS_L_PER_H, RATE_HZ, Plant
from tests.unattended.seeded.sites import OVER_TEMPERATURE, Site

LIMITS = {
    "sensor_max_K": 345.15,
    "sensor_min_K": 270.0,
    "gas_min_L_per_h": 800.0,
    "gas_max_L_per_h": 2000.0,
    "heater_max_percent": 60.0,
    "spinning_tolerance_Hz": 100.0,
    "spinning_max_Hz": 12_000.0,
    "ramp_max_K_per_s": 10 / 60,
}
LEASE_S = 900.0
_ALONE_S = 60.0
_MOVES_S = 10.0
_OFF_K = 6.0
_WRONG_S = 60.0


class Spectrometer(Site):
    """A magnet with a heated rotor in it, and a console that outlives engines."""

    limits = LIMITS
    KINDS: ClassVar[tuple[str, ...]] = (
        "heater_trip",
        "gas_loss",
        "gas_flood",
        "spin_loss",
        "spin_off_rate",
        "overspeed",
        "overshoot",
        "chill",
        "sensor_frozen",
        "sensor_silent",
        "halt",
        "stop",
        "kill",
        "executor_killed",
        "topspin_restart",
        "dialog",
        "share_gone",
        "power_cut",
        "dataset_taken",
        "begin_late",
    )

    def __init__(self, name: str, clock: VirtualClock, folder: Path, steps: list[Step]) -> None:
        super().__init__(name, clock, folder, steps)
        self.plant = Plant(now_s=clock.now_s())
        self.console = Console(station=name, clock=clock, remembers_tokens=False, cooling_s=600.0, attention_s=LEASE_S)
        self.console.site = self
        self.console.durations = self._duration_s
        self.faults: list[ConsoleFault] = []
        self.active: list[tuple[float | None, ConsoleFault]] = []
        self.coming: list[tuple[float, Order]] = []
        self.ailing: set[str] = set()
        self.guard_alone = False
        self.tripped = False
        self._heard_s = self._seen_s = clock.now_s()
        self._was_cut_off = False
        self._wrong_since_s: float | None = None
        clock.add_source(self.console.next_event_s, of=name)
        clock.add_source(self.next_event_s, of=name)

    def driver(self, host: HostClock) -> Instrument:
        self.console.host = host
        return self.console

    # ------------------------------------------------------------------------------------- what passes by itself

    def live(self) -> None:
        """Live until now: the plant, what comes late, the guard's lease, and faults."""
        now_s = self.clock.now_s()
        self.plant.advance(now_s)
        gas, rotor = self.plant.gas_L_per_h, self.plant.spinning_Hz
        if gas >= LIMITS["gas_min_L_per_h"] and abs(rotor - RATE_HZ) <= 2.0 * LIMITS["spinning_tolerance_Hz"]:
            self._wrong_since_s = None
        elif self._wrong_since_s is None:
            self._wrong_since_s = now_s
        self._guard(now_s)
        for at_s, order in [late for late in self.coming if late[0] <= now_s]:
            self.coming.remove((at_s, order))
            free = order.token not in self.console.entries and not self.measures()
            if free and order.epoch >= self.console.epoch:
                with contextlib.suppress(InstrumentError):
                    self.console.begin(order)
        for fault in [fault for fault in self.faults if fault.at_s <= now_s]:
            self.faults.remove(fault)
            if HAPPENS[fault.kind](self, fault):
                self.active.append((None if fault.for_s is None else fault.at_s + fault.for_s, fault))
        for course in [course for course in self.active if course[0] is not None and course[0] <= now_s]:
            self.active.remove(course)
            self.is_over(course[1].kind)

    def hear(self) -> None:
        """The engine was heard: the guard's lease begins anew."""
        self._heard_s = self.clock.now_s()
        self._was_cut_off = False

    def _guard(self, now_s: float) -> None:
        """The guard acts alone: at once on limits when no engine has been heard for long, and at the lease's end.

        While an engine lives the limits are left to it, so that nothing of it is hidden.
        """
        unheard_s = now_s - self._heard_s
        if not (self.console.silent or self.console.readings_silent):
            self._seen_s = now_s
        self._was_cut_off |= self.console.silent
        if unheard_s > _ALONE_S and not self.engine_lives and self.hazard() and not self.tripped:
            self.tripped = True
            self.heat_must_stay_off(f"the guard saw {self.hazard()}")
            self._acts_alone("the guard saw a limit broken")
        elif unheard_s >= LEASE_S and not self.guard_alone and (self.plant.heating or self.measures()):
            self.guard_alone = True
            self._acts_alone("the guard's lease ran out")
            if self.engine_lives and not self._was_cut_off:
                self.truth.broken.append(f"{self.name}: the guard's lease ran out while an engine was there")

    def _acts_alone(self, why: str) -> None:
        self.plant.heating = False
        self.ends_all("halted", why)

    def next_event_s(self) -> float | None:
        """When something happens here by itself."""
        now_s = self.clock.now_s()
        due = [fault.at_s for fault in self.faults] + [at_s for at_s, _ in self.active if at_s is not None]
        due += [at_s for at_s, _ in self.coming]
        if self.plant.heating and self.plant.runs_away and self.plant.sensor_K < 419.0:
            due.append(now_s + _MOVES_S)
        if self.unseen_s() > 0.0 and self.unseen_s() < 1800.0:
            due.append(now_s + 3.0 * _MOVES_S)
        if self.plant.heating or self.measures():
            due.append(self._heard_s + LEASE_S)
            if not self.engine_lives:
                due.append(self._heard_s + _ALONE_S + 1.0)
        return min((at_s for at_s in due if at_s > now_s), default=None)

    def _duration_s(self, task: Any) -> float:
        match task:
            case Acquire(duration_s=duration_s):
                return float(duration_s)
            case SetTemperature() | CoolDown():
                return max(1.0, abs(task.setpoint_K - self.plant.sensor_K) / task.ramp_K_per_s)
            case CheckSpinning():
                return 5.0
            case _:
                return float(task.hold_s)

    # ----------------------------------------------------------------------------------------- orders

    def refuses(self, order: Order) -> str:
        """Why an order is not carried out; empty if it is."""
        if self.guard_alone and not isinstance(order.task, CoolDown):
            return "the guard has gone safe by itself"
        if self.tripped and isinstance(order.task, SetTemperature):
            return "the heater cut itself off, and only a person re-arms it"
        return ""

    def begun(self, order: Order) -> None:
        """Take note of an order that was really begun."""
        match order.task:
            case SetTemperature(setpoint_K=setpoint_K, ramp_K_per_s=ramp_K_per_s):
                if not self.plant.heating:
                    self.heat_comes()
                if self._wrong_since_s is not None and self.clock.now_s() - self._wrong_since_s > _WRONG_S:
                    self.truth.broken.append(f"{self.name}: heat was asked for though gas or rotor had failed before")
                self.plant.heating = True
                self.plant.setpoint_K, self.plant.ramp_K_per_s = setpoint_K, ramp_K_per_s
            case CoolDown():
                self.plant.heating = False
            case Acquire():
                self.truth.begun.append((order.token, self.clock.now_s()))
                running = [token for token, entry in self.console.entries.items() if entry.ends_s > self.clock.now_s()]
                if others := [token for token in running if token != order.token]:
                    self.truth.broken.append(f"{self.name}: {order.token} was begun while {others[0]} ran")
            case _:
                pass

    def go_safe(self) -> None:
        """Heater off, gas and rotor as they are."""
        self.plant.advance(self.clock.now_s())
        self.plant.heating = False

    def spin_up(self) -> None:
        """The drive is asked for the rate of the campaign."""
        self.plant.spinning_Hz = RATE_HZ
        self.truth.broken.append(f"{self.name}: the rotor was spun up without a person")

    # ----------------------------------------------------------------------------------------- faults

    def heat_is_lost(self, why: str) -> None:
        """The unit cuts its own heater, and only a person re-arms it."""
        if self.plant.heating:
            self.plant.heating = False
            self.tripped = True
            self.heat_must_stay_off(why)

    def ends_all(self, how: Any, why: str) -> None:
        """Whatever runs ends here."""
        for token in list(self.console.entries):
            self.console._end(token, how, why)

    def deaf(self, deaf: bool) -> None:
        """TopSpin carries out no command of AU programs: neither steps nor the guard are heard of."""
        self.console.look_silent = self.console.readings_silent = deaf

    def is_over(self, kind: str) -> None:
        """A fault is over; what only a person puts right stays as it is."""
        plant = self.plant
        match kind:
            case "sensor_silent":
                self.console.readings_silent = False
            case "dialog" | "topspin_restart":
                self.deaf(False)
            case "share_gone":
                self.console.silent = False
            case "gas_loss" | "gas_flood":
                plant.gas_L_per_h = GAS_L_PER_H
            case "power_cut":
                plant.gas_L_per_h = GAS_L_PER_H
                self.deaf(False)
            case "overshoot":
                plant.runs_away = False
            case "spin_off_rate" | "overspeed":
                plant.spinning_Hz = RATE_HZ if plant.spinning_Hz > 0.0 else 0.0
            case "sensor_frozen":
                self.ailing.clear()
            case _:
                pass

    def mend(self) -> None:
        super().mend()
        self.live()
        self.tripped = False
        for _, fault in self.active:
            self.is_over(fault.kind)
        self.active.clear()
        self.ailing.clear()
        self.guard_alone = False
        self.plant.runs_away = False
        self.plant.spinning_Hz, self.plant.gas_L_per_h = RATE_HZ, GAS_L_PER_H
        self.console.silent = self.console.look_silent = self.console.readings_silent = False
        self.console.foreign.clear()

    # ----------------------------------------------------------------------------------------- the truth

    def heats(self) -> bool:
        self.plant.advance(self.clock.now_s())
        return self.plant.heating

    def hazard(self) -> str:
        plant = self.plant
        plant.advance(self.clock.now_s())
        task = self._measured()
        if not plant.heating and task is None:
            return ""
        if plant.heating and plant.sensor_K > LIMITS["sensor_max_K"]:
            return OVER_TEMPERATURE
        if abs(plant.spinning_Hz - RATE_HZ) > 2.0 * LIMITS["spinning_tolerance_Hz"]:
            return "rotor off its rate"
        if not LIMITS["gas_min_L_per_h"] <= plant.gas_L_per_h <= LIMITS["gas_max_L_per_h"]:
            return "gas flow outside its limits"
        if plant.sensor_K < LIMITS["sensor_min_K"]:
            return "cold below its limit"
        if self.ailing:
            return "a sensor that says it is unwell"
        if task is not None and abs(plant.sensor_K - task.setpoint_K) > _OFF_K:
            return "a temperature far from its set point"
        return ""

    def unseen_s(self) -> float:
        blind = self.console.silent or self.console.readings_silent
        return self.clock.now_s() - self._seen_s if blind else 0.0

    def measures(self) -> bool:
        return self._measured() is not None

    def _measured(self) -> Acquire | None:
        now_s = self.clock.now_s()
        for entry in self.console.entries.values():
            if isinstance(entry.order.task, Acquire) and entry.ends_s > now_s:
                return entry.order.task
        return None
