"""State of a Eurotherm controller: what its registers mean over one oven.

Facts: communications manual of the 2000 series (HA026230), EPICS and laboratory drivers of the 2400 and 3200. What
they leave open is a setting: what a mains dip takes away, and what the loop does after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from labctl_sim_oven import Gains, Oven, Regulator, Thermal, keyed_normal, plain_of

ZERO_C_K = 273.15

PV, TARGET, OUTPUT, WORKING_OUTPUT, WORKING_SETPOINT = 1, 2, 3, 4, 5
BAND, INTEGRAL, DERIVATIVE, SETPOINT_1, SETPOINT_2, SELECT = 6, 8, 9, 24, 25, 15
REMOTE_SETPOINT, RATE_LIMIT, FAST_STATUS, SUMMARY = 26, 35, 74, 75
HIGH_LIMIT, LOW_LIMIT, SENSOR_BREAK, POWER_FAILED, LOOP_BREAK = 111, 112, 258, 259, 263
MANUAL, ACKNOWLEDGE, RATE_ACTIVE, LOCAL_REMOTE, RATE_COMPLETE, RESOLUTION = 273, 274, 275, 276, 277, 12550

TEMPERATURES = {PV, TARGET, WORKING_SETPOINT, SETPOINT_1, SETPOINT_2, REMOTE_SETPOINT, HIGH_LIMIT, LOW_LIMIT}
PERCENTAGES = {OUTPUT, WORKING_OUTPUT}
TIMES = {INTEGRAL, DERIVATIVE}
"""In the IEEE area these are whole milliseconds."""

OVER_RANGE_C = 1372.0  # what the sensor linearisation ends at; shown while its wire is broken


class Refused(Exception):
    """The register cannot take this value (exception 03)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The `simulator:` block of a simulated Eurotherm station."""

    thermal: Thermal = field(default_factory=Thermal)
    gains: Gains = field(default_factory=Gains)
    model: Literal["2400", "3200"] = field(default="2400", metadata={"choices": ("2400", "3200")})
    address: int = 1
    resolution: Literal["full", "integer"] = field(default="full", metadata={"choices": ("full", "integer")})
    loop_after_dip: Literal["manual", "auto"] = field(default="manual", metadata={"choices": ("manual", "auto")})
    setpoint_after_dip: Literal["kept", "reset"] = field(default="reset", metadata={"choices": ("kept", "reset")})
    latency_s: float = 0.005


@dataclass(slots=True)
class Registers:
    """What was written and is not the loop's own."""

    manual_percent: float = 0.0
    setpoint_1_C: float = 25.0
    remote_C: float = 25.0
    rate_per_min: float = 0.0
    high_C: float = 200.0
    low_C: float = 0.0
    remote: bool = False
    power_failed: bool = False
    integer: bool = False
    local: bool = False
    setpoint_ignored: bool = False


class Eurotherm:
    """The controller: one loop, sensor in the chamber."""

    def __init__(self, settings: Settings, *, seed: int, born_s: float) -> None:
        self.settings = settings
        self.oven = Oven(
            settings.thermal,
            settings.gains,
            seed=seed,
            born_s=born_s,
            regulator=Regulator(target_K=298.15, working_K=298.15, mode="manual"),
        )
        self.registers = Registers(integer=settings.resolution == "integer")

    # ---------------------------------------------------------------------------------------- reading

    def value(self, number: int) -> float:
        """Return what a register holds, in its own unit (°C, %, s); nonsense where it is not configured."""
        registers, regulator = self.registers, self.oven.regulator
        is_2400 = self.settings.model == "2400"
        match number:
            case 1:
                return OVER_RANGE_C if self.oven.ailments.sensor_broken else self.oven.sensor_K() - ZERO_C_K
            case 2:
                return registers.remote_C if registers.remote else registers.setpoint_1_C
            case 3:
                return regulator.output_percent if is_2400 else registers.manual_percent
            case 4 if not is_2400:
                return regulator.output_percent
            case 5:
                return regulator.working_K - ZERO_C_K
            case 6:
                return 100.0 / self.settings.gains.gain_percent_per_K
            case 8:
                return self.settings.gains.integral_s
            case 9:
                return self.settings.gains.derivative_s
            case 15:
                return 0.0
            case 24:
                return registers.setpoint_1_C
            case 26 if not is_2400:
                return registers.remote_C
            case 35:
                return registers.rate_per_min
            case 74:
                return float(self.summary() & 0xFF)
            case 75:
                return float(self.summary())
            case 111:
                return registers.high_C
            case 112:
                return registers.low_C
            case 258:
                return float(self.oven.ailments.sensor_broken)
            case 259:
                return float(registers.power_failed)
            case 263:
                return 0.0
            case 273:
                return float(regulator.mode == "manual")
            case 275:
                return float(regulator.ramping)
            case 276 if not is_2400:
                return float(not registers.remote)
            case 277:
                return float(not regulator.ramping)
            case 12550:
                return float(registers.integer)
            case _:
                return round(1000.0 * keyed_normal("not configured", number), 1)

    def summary(self) -> int:
        """Return the summary word (register 75): the bits in which the models agree, and bit 10 of the 2400."""
        regulator, broken = self.oven.regulator, self.oven.ailments.sensor_broken
        word = (regulator.mode == "manual") << 4 | broken << 5
        word |= (self.oven.ailments.heater_open and regulator.output_percent > 5.0) << 7
        if self.settings.model == "2400":
            word |= broken << 10
        return int(word)

    # ---------------------------------------------------------------------------------------- writing

    def write(self, number: int, value: float) -> None:
        """Write a register in its own unit; what is not configured is discarded without a word.

        Raises
        ------
        Refused
            Read-only, or outside its limits.
        """
        registers = self.registers
        if registers.local:
            return
        match number:
            case 1 | 4 | 5 | 74 | 75 | 258 | 259 | 263 | 275 | 277:
                raise Refused
            case 2 | 24 | 26:
                if number == 26 and self.settings.model == "2400":
                    return
                self._set_setpoint(number, value)
            case 3:
                registers.manual_percent = _within(value, 0.0, 100.0)
                if self.oven.regulator.mode == "manual":
                    self.oven.set(manual_percent=registers.manual_percent, output_percent=registers.manual_percent)
            case 35:
                registers.rate_per_min = _within(value, 0.0, 3000.0)
                self.oven.set(ramp_K_per_s=registers.rate_per_min / 60.0)
                if registers.rate_per_min == 0.0:
                    self.oven.set(working_K=self.oven.regulator.target_K)
            case 111:
                registers.high_C = value
            case 112:
                registers.low_C = value
            case 273:
                self._set_manual(manual=_within(value, 0.0, 1.0) >= 0.5)
            case 274:
                registers.power_failed = False
            case 276 if self.settings.model == "3200":
                registers.remote = value < 0.5
                self._aim(registers.remote_C if registers.remote else registers.setpoint_1_C)
            case 12550:
                registers.integer = value >= 0.5

    def _set_setpoint(self, number: int, value: float) -> None:
        registers = self.registers
        value = _within(value, registers.low_C, registers.high_C)
        if registers.setpoint_ignored:
            return
        if number == 26:
            registers.remote_C = value
        else:
            registers.setpoint_1_C = value
        if registers.remote == (number == 26):
            self._aim(value)

    def _aim(self, target_C: float) -> None:
        regulator, target_K = self.oven.regulator, target_C + ZERO_C_K
        if regulator.mode == "auto" and self.registers.rate_per_min > 0.0:
            self.oven.set(target_K=target_K)
        else:
            self.oven.set(target_K=target_K, working_K=target_K)

    def _set_manual(self, *, manual: bool) -> None:
        regulator = self.oven.regulator
        if manual and regulator.mode == "auto":  # bumpless: the output stays what it was
            self.registers.manual_percent = regulator.output_percent
            self.oven.set(mode="manual", manual_percent=regulator.output_percent)
        elif not manual and regulator.mode == "manual":
            start_K = self.oven.nodes.sensor_K if self.registers.rate_per_min > 0.0 else regulator.target_K
            self.oven.set(mode="auto", working_K=start_K)

    # ----------------------------------------------------------------------------------------- faults

    def suffer(self, kind: str) -> None:
        registers = self.registers
        match kind:
            case "power_dip":
                self._lose_power()
            case "heater_trip":
                self._set_manual(manual=True)
                registers.manual_percent = 0.0
                self.oven.set(manual_percent=0.0, output_percent=0.0)
            case "setpoint_ignored":
                registers.setpoint_ignored = True
            case "local_mode":
                registers.local = True
            case "decimal_shift":
                registers.integer = not registers.integer

    def mend(self, kind: str) -> None:
        match kind:
            case "setpoint_ignored":
                self.registers.setpoint_ignored = False
            case "local_mode":
                self.registers.local = False

    def _lose_power(self) -> None:
        registers = self.registers
        registers.power_failed = True
        if self.settings.setpoint_after_dip == "reset":
            registers.remote_C = 25.0
            registers.rate_per_min = 0.0
            self.oven.set(ramp_K_per_s=0.0)
        if self.settings.loop_after_dip == "manual":
            registers.manual_percent = 0.0
            self.oven.set(mode="manual", manual_percent=0.0, output_percent=0.0)
        aim_C = registers.remote_C if registers.remote else registers.setpoint_1_C
        self.oven.set(target_K=aim_C + ZERO_C_K, working_K=aim_C + ZERO_C_K, sensor_before_K=None)

    # ------------------------------------------------------------------------------------------ state

    def settings_made(self) -> dict[str, Any]:
        return self.plain()

    def plain(self) -> dict[str, Any]:
        return plain_of(self.registers)

    def take_up(self, data: dict[str, Any]) -> None:
        self.registers = Registers(**data)


def _within(value: float, low: float, high: float) -> float:
    if not low <= value <= high:
        raise Refused
    return value
