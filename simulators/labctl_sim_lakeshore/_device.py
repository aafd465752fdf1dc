"""State of a Model 335: what its commands set and its queries tell, over one oven.

Facts: command set of the 33x family (vendor manuals; PyMeasure and QCoDeS drivers). What they leave open is a setting:
what `SETP?` says while the set point ramps, how soon a read-back is right, and what a mains dip takes away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from labctl_sim_oven import Gains, Oven, Regulator, Thermal, plain_of

ZERO_C_K = 273.15
COMMAND_ERROR, EXECUTION_ERROR, QUERY_ERROR, POWER_ON = 32, 16, 4, 128
RANGES = {0: 0.0, 1: 0.01, 2: 0.1, 3: 1.0}
"""Heater range to share of the full power: each is a decade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The `simulator:` block of a simulated Lake Shore station."""

    thermal: Thermal = field(default_factory=Thermal)
    gains: Gains = field(default_factory=Gains)
    units: Literal["K", "C"] = field(default="K", metadata={"choices": ("K", "C")})
    """Preferred unit of the control input: set points are in it."""
    setpoint_while_ramping: Literal["moving", "target"] = field(
        default="moving", metadata={"choices": ("moving", "target")}
    )
    setpoint_after_dip: Literal["kept", "reset"] = field(default="kept", metadata={"choices": ("kept", "reset")})
    readback_lag_s: float = 0.3
    message_gap_s: float = 0.05
    latency_s: float = 0.01


@dataclass(slots=True)
class Registers:
    """What the front panel and the interface set."""

    units: int = 1  # 1 kelvin, 2 Celsius
    mode: int = 0  # of output 1: 0 off, 1 closed loop, 2 zone, 3 open loop
    input: int = 1  # 1 A, 2 B
    powerup: int = 0  # 0: the heater stays off after mains came back
    heater_range: int = 0
    ramp_on: bool = False
    ramp_K_per_min: float = 0.0
    limit_K: float = 0.0  # 0: none
    manual_percent: float = 0.0
    events: int = POWER_ON
    events_enabled: int = 0
    service_enabled: int = 0
    local: bool = False
    setpoint_ignored: bool = False
    tripped: bool = False
    setpoint_before: float = 25.0
    setpoint_at_s: float = -1e18


class LakeShore335:
    """The controller: one heater output, input A in the chamber, input B at the cell."""

    def __init__(self, settings: Settings, *, seed: int, born_s: float) -> None:
        self.settings = settings
        self.oven = Oven(
            settings.thermal,
            settings.gains,
            seed=seed,
            born_s=born_s,
            regulator=Regulator(target_K=298.15, working_K=298.15),
            on_sampling=self._sample,
        )
        self.now_s = born_s
        """When it last heard something."""
        self.registers = Registers(units=1 if settings.units == "K" else 2)

    # ---------------------------------------------------------------------------------------- units

    def shown(self, temperature_K: float) -> float:
        """Return a temperature in the preferred unit."""
        return temperature_K if self.registers.units == 1 else temperature_K - ZERO_C_K

    def kelvin(self, shown: float) -> float:
        """Return a temperature given in the preferred unit."""
        return shown if self.registers.units == 1 else shown + ZERO_C_K

    # --------------------------------------------------------------------------------------- queries

    def temperature_K(self, channel: str) -> float | None:
        """Return what an input reads; None if its sensor is broken."""
        if channel == "B":
            return self.oven.sample_sensor_K()
        return None if self.oven.ailments.sensor_broken else self.oven.sensor_K()

    def reading_status(self, channel: str) -> int:
        """Return the sum of 1 invalid, 16 T under, 32 T over, 64 units zero, 128 units over range."""
        return 128 + 32 if channel == "A" and self.oven.ailments.sensor_broken else 0

    def setpoint(self) -> float:
        """Return what `SETP?` says now: asked too early, still the old value."""
        registers, regulator = self.registers, self.oven.regulator
        if self.now_s < registers.setpoint_at_s + self.settings.readback_lag_s:
            return registers.setpoint_before
        moving = self.settings.setpoint_while_ramping == "moving"
        return self.shown(regulator.working_K if moving else regulator.target_K)

    def heater_error(self) -> int:
        """Return 0 none, 1 open load, 2 short."""
        return 1 if self.oven.ailments.heater_open and self.registers.heater_range else 0

    # -------------------------------------------------------------------------------------- commands

    def set_setpoint(self, shown: float) -> None:
        """Let the set point go there, by the ramp if it is on."""
        registers = self.registers
        if registers.setpoint_ignored:
            return
        registers.setpoint_before, registers.setpoint_at_s = self.setpoint(), self.now_s
        if registers.ramp_on and registers.ramp_K_per_min > 0.0:
            self.oven.set(target_K=self.kelvin(shown))
        else:
            self.oven.set(target_K=self.kelvin(shown), working_K=self.kelvin(shown))

    def set_ramp(self, on: bool, rate_K_per_min: float) -> None:
        """Switch the ramp; 0 K/min is infinitely fast."""
        self.registers.ramp_on, self.registers.ramp_K_per_min = on, rate_K_per_min
        rate = rate_K_per_min / 60.0 if on else 0.0
        self.oven.set(ramp_K_per_s=rate)
        if rate <= 0.0:
            self.oven.set(working_K=self.oven.regulator.target_K)

    def set_range(self, heater_range: int) -> None:
        """Choose the heater's range; 0 is off."""
        self.registers.heater_range = heater_range
        self._drive()

    def set_mode(self, mode: int, sensor: int, powerup: int) -> None:
        """Choose what drives the output."""
        self.registers.mode, self.registers.input, self.registers.powerup = mode, sensor, powerup
        self._drive()

    def set_manual(self, percent: float) -> None:
        """Choose the output of the open loop."""
        self.registers.manual_percent = percent
        self._drive()

    def _drive(self) -> None:
        registers = self.registers
        self.oven.heater_range = RANGES[registers.heater_range]
        heating = registers.heater_range > 0 and not registers.tripped
        if heating and registers.mode == 1:
            self.oven.set(mode="auto")
        elif heating and registers.mode == 3:
            self.oven.set(mode="manual", manual_percent=registers.manual_percent)
        else:
            self.oven.set(mode="off", output_percent=0.0, integral_percent=0.0)

    def _sample(self) -> bool:
        """The controller's own guard: above the limit every output shuts down. Returns whether it is on."""
        registers = self.registers
        if not (registers.limit_K > 0.0 and registers.heater_range):
            return False
        if self.oven.sensor_K() > registers.limit_K:
            self.set_range(0)
        return True

    # ---------------------------------------------------------------------------------------- faults

    def suffer(self, kind: str) -> None:
        match kind:
            case "power_dip":
                self._lose_power()
            case "heater_trip":
                self.set_range(0)
            case "setpoint_ignored":
                self.registers.setpoint_ignored = True
            case "local_mode":
                self.registers.local = True

    def mend(self, kind: str) -> None:
        match kind:
            case "setpoint_ignored":
                self.registers.setpoint_ignored = False
            case "local_mode":
                self.registers.local = False

    def _lose_power(self) -> None:
        registers = self.registers
        registers.events |= POWER_ON
        registers.events_enabled = registers.service_enabled = 0
        registers.setpoint_at_s = -1e18
        if registers.powerup == 0:
            registers.heater_range = 0
        self.oven.set(sensor_before_K=None)
        if self.settings.setpoint_after_dip == "reset":
            self.oven.set(target_K=298.15)
            registers.ramp_on, registers.ramp_K_per_min = False, 0.0
            self.oven.set(ramp_K_per_s=0.0)
        self.oven.set(working_K=self.oven.regulator.target_K)  # a ramp under way is not taken up again
        self._drive()

    # ----------------------------------------------------------------------------------------- state

    def settings_made(self) -> dict[str, Any]:
        """Return the registers but the mask of events, by which some drivers tell answers apart."""
        return plain_of(self.registers) | {"events_enabled": 0}

    def plain(self) -> dict[str, Any]:
        return plain_of(self.registers)

    def take_up(self, data: dict[str, Any]) -> None:
        self.registers = Registers(**data)
