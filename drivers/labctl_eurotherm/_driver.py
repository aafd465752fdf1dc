"""A Eurotherm 2400 or 3200 as a `TemperatureController`.

Theory of operation
-------------------
The ramp is the controller's own: a rate limit (register 35) by which the working set point (5) follows the target.
0 in that register is no limit at all, so it is written and read back before any target is. *Heater off* is manual
mode with 0 % output. A parked loop is brought up in this order: rate limit, target to the sensor's temperature, auto,
target; in manual the working set point does not wait, so a target sent before would be where the loop begins.

A write to a register that is not configured looks successful and is discarded, so every write is read back. What is
already there is not written again: registers are kept in memory that wears out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from labctl.clock import Clock
from labctl.errors import InstrumentError
from labctl.ports import LoopState, Reading, StillOurs
from labctl_eurotherm._codec import (
    ACKNOWLEDGE,
    FIRST_STATUS,
    HIGH_LIMIT,
    LOCAL,
    LOOP_BREAK,
    MANUAL,
    OUTPUT,
    POWER_FAILED,
    PV,
    RATE_LIMIT,
    REMOTE_SETPOINT,
    SENSOR_BREAK,
    STATUS_WORDS,
    SUMMARY,
    TARGET,
    ZERO_C_K,
    Garbled,
    float_words,
    floats,
    ieee_address,
    kelvin,
    rate_value,
    summary_faults,
)
from labctl_eurotherm._line import Line
from labctl_eurotherm._settings import Settings
from labctl_oven import SAFE_SETPOINT_K, HeaterWatch, OvenLimits, Survey, pause

if TYPE_CHECKING:
    from labctl_eurotherm._link import Link

Value = TypeVar("Value")

_SAME_K = 0.06  # set points may be kept to the display's tenth
_ARRIVED_K = 0.02
_PARKED_K = 0.5
_OFF_percent = 0.5
_START_K = 5.0
_FRESH_s = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Answers to one poll."""

    at_s: float
    sensor_K: float | None
    target_K: float
    working_K: float
    heater_percent: float
    manual: bool
    local: bool
    power_failed: bool
    sensor_fault: str
    heater_fault: str

    @property
    def heating_allowed(self) -> bool:
        return not self.manual or self.heater_percent > _OFF_percent

    @property
    def parked(self) -> bool:
        return not self.heating_allowed and self.target_K <= SAFE_SETPOINT_K + _PARKED_K

    @property
    def ramping(self) -> bool:
        return not self.manual and abs(self.working_K - self.target_K) > _ARRIVED_K


class EurothermController:
    """Loop 1 of one controller."""

    def __init__(self, *, station: str, settings: Settings, limits: OvenLimits, clock: Clock, link: Link) -> None:
        self._station = station
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._link = link
        self._line = Line(link, station=station, settings=settings, clock=clock)
        self._watch = HeaterWatch(settings.watch, limit_K=limits.trip_K)
        self._target_register = REMOTE_SETPOINT if settings.setpoint_via == "remote" else TARGET
        self._opened = False
        self._wanted_on: bool | None = None
        self._wanted_K: float | None = None
        self._faults: dict[str, str] = {}
        self._last: _Seen | None = None

    @property
    def station(self) -> str:
        return self._station

    # ------------------------------------------------------------------------------------------ opening

    def survey(self) -> Survey:
        """Ask without taking: nothing is written."""
        seen = self._ask()
        self._judge(seen)
        faults = dict(self._faults)
        if seen.sensor_K is None:
            faults.setdefault("sensor", "the process value is no temperature of an oven")
        return Survey(
            identity=f"Eurotherm {self._settings.model}",
            limits=self._limits,
            sensor_K=None if seen.sensor_fault else seen.sensor_K,
            sample_K=None,
            setpoint_K=seen.working_K if seen.ramping else seen.target_K,
            heating_allowed=seen.heating_allowed,
            parked=seen.parked,
            own_limit_K=self._float(HIGH_LIMIT) + ZERO_C_K,
            faults=faults,
        )

    def fence(self, still_ours: StillOurs) -> None:
        self._line.still_ours = still_ours

    def open(self) -> None:
        seen = self._ask()
        if seen.sensor_K is None and not seen.sensor_fault:
            raise InstrumentError(
                "the process value is no temperature of an oven",
                instrument=self._station,
                command="read PV in the IEEE area",
                expected=f"a Eurotherm {self._settings.model} with this address",
            )
        highest_K = min(self._limits.sensor_max_K, self._limits.sample_max_K - self._limits.overshoot_K)
        if self._float(HIGH_LIMIT) + ZERO_C_K > highest_K + _SAME_K:
            self._write_float(HIGH_LIMIT, highest_K - ZERO_C_K, same=_SAME_K)
        self._opened = True

    def close(self) -> None:
        self._link.close()

    # ------------------------------------------------------------------------------------------ reading

    def read(self) -> tuple[Reading, ...]:
        seen = self._poll()
        readings = [
            Reading(quantity="setpoint_K", value=seen.working_K, at_s=seen.at_s),
            Reading(quantity="heater_percent", value=seen.heater_percent, at_s=seen.at_s),
        ]
        if seen.sensor_K is not None and not seen.sensor_fault:
            readings.append(Reading(quantity="sensor_K", value=seen.sensor_K, at_s=seen.at_s))
        readings += [Reading(quantity=f"fault/{name}", value=1.0, at_s=seen.at_s) for name in self._faults]
        return tuple(readings)

    def loop(self) -> LoopState:
        seen = self._recent()
        setpoint_K = seen.working_K if seen.ramping else seen.target_K
        return LoopState(heating_allowed=seen.heating_allowed, setpoint_K=setpoint_K, ramping=seen.ramping)

    def at_setpoint(self, setpoint_K: float) -> bool:
        seen = self._recent()
        return not seen.manual and not seen.ramping and abs(seen.target_K - setpoint_K) <= _SAME_K

    def health(self) -> tuple[str, ...]:
        return tuple(f"{name}: {what}" for name, what in self._faults.items())

    def _recent(self) -> _Seen:
        """Return what was asked a moment ago, unless something has been written since."""
        last = self._last
        fresh = last is not None and 0.0 <= self._clock.now_s() - last.at_s <= _FRESH_s
        return last if fresh and last is not None else self._poll()

    def _poll(self) -> _Seen:
        if not self._opened:
            self.open()
        seen = self._ask()
        self._judge(seen)
        self._last = seen
        return seen

    def _ask(self) -> _Seen:
        loop = self._line.read(ieee_address(PV), 10)
        status = self._line.read(FIRST_STATUS, STATUS_WORDS)
        (summary,) = self._line.read(SUMMARY, 1)
        process_C, target_C, output, working_output, working_C = floats(loop)
        is_2400 = self._settings.model == "2400"
        if self._target_register != TARGET:
            target_C = self._float(self._target_register)

        def flag(register: int) -> bool:
            return status[register - FIRST_STATUS] != 0

        sensor, heater = summary_faults(summary, self._settings.model)
        if flag(SENSOR_BREAK) and "sensor break" not in sensor:
            sensor = "sensor break" + (f", {sensor}" if sensor else "")
        if flag(LOOP_BREAK) and "loop break" not in heater:
            heater = "loop break" + (f", {heater}" if heater else "")
        sensor_K = None
        try:
            sensor_K = kelvin(process_C)
        except Garbled as problem:
            sensor = sensor or problem.what
        return _Seen(
            at_s=self._clock.now_s(),
            sensor_K=sensor_K,
            target_K=self._understood(lambda: kelvin(target_C), "target set point"),
            working_K=self._understood(lambda: kelvin(working_C), "working set point"),
            heater_percent=output if is_2400 else working_output,
            manual=flag(MANUAL),
            local=not is_2400 and flag(LOCAL),
            power_failed=flag(POWER_FAILED),
            sensor_fault=sensor,
            heater_fault=heater,
        )

    def _judge(self, seen: _Seen) -> None:
        """Say what is wrong: the controller's own health bits, then what contradicts itself."""
        faults: dict[str, str] = {}
        if seen.sensor_fault or seen.sensor_K is None:
            faults["sensor"] = seen.sensor_fault
            self._watch.forget()
        else:
            self._watch.update(
                seen.at_s,
                sensor_K=seen.sensor_K,
                heater_percent=seen.heater_percent,
                setpoint_K=seen.working_K,
                heating_allowed=not seen.manual,
            )
        if seen.heater_fault:
            faults["heater"] = seen.heater_fault
        if seen.power_failed and not seen.parked:
            faults["power_failed"] = "the controller has been without mains"
        if seen.manual and seen.heating_allowed:
            faults["controller"] = f"in manual mode at {seen.heater_percent:.1f} %"
        elif self._wanted_on and seen.manual:
            faults["heater_off_unasked"] = f"in manual mode at 0 %, the target reads {seen.target_K:.2f} K"
        elif self._wanted_on and seen.local and self._target_register == REMOTE_SETPOINT:
            faults["controller"] = "its own set point is in use, not the remote one"
        elif self._wanted_on and self._wanted_K is not None and abs(seen.target_K - self._wanted_K) > _SAME_K:
            faults["setpoint_changed"] = f"it reads {seen.target_K:.2f} K, {self._wanted_K:.2f} K was set"
        self._faults = faults | {name: what for name, what in self._watch.faults.items() if name not in faults}

    # ------------------------------------------------------------------------------------------ changing

    def ramp_to(self, setpoint_K: float, ramp_K_per_s: float) -> None:
        self._limits.refuse(setpoint_K, ramp_K_per_s, station=self._station)
        try:
            rate = rate_value(ramp_K_per_s, self._settings.rate_unit_s)
        except Garbled as problem:
            raise InstrumentError(problem.what, instrument=self._station, command="set point rate limit") from None
        seen = self._poll()
        self._refuse_unwell(seen)
        self._wanted_K = None
        self._write_float(RATE_LIMIT, rate, same=0.01)
        if seen.manual:
            self._bring_up(seen)
        elif seen.local and self._target_register == REMOTE_SETPOINT:
            self._write_float(REMOTE_SETPOINT, seen.working_K - ZERO_C_K, same=_SAME_K)
            self._write_flag(LOCAL, on=False)
        self._wanted_on = True
        self._write_float(self._target_register, setpoint_K - ZERO_C_K, same=_SAME_K)
        self._wanted_K = setpoint_K

    def _refuse_unwell(self, seen: _Seen) -> None:
        if not seen.heating_allowed and not seen.parked:
            raise InstrumentError(
                f"the heater is off while the set point reads {seen.target_K:.2f} K:"
                " it tripped, lost power, or somebody switched it off",
                instrument=self._station,
                expected="a loop in auto, or a set point of at most 25 °C",
                next_step="A person looks at oven and cell, sets the set point to 25 °C at its panel, and continues",
            )
        if self._faults:
            raise InstrumentError(
                "heat is refused: " + "; ".join(self.health()),
                instrument=self._station,
                next_step="A person puts that right first",
            )

    def _bring_up(self, seen: _Seen) -> None:
        """Close a parked loop at the temperature it has, so that nothing jumps."""
        assert seen.sensor_K is not None  # a loop without a sensor is unwell
        if seen.power_failed:  # an old mains dip of a loop that was not in use
            self._line.write(ACKNOWLEDGE, (1,))
        start_K = max(self._limits.sensor_min_K, min(seen.sensor_K, self._limits.trip_K - self._limits.overshoot_K))
        self._write_float(self._target_register, start_K - ZERO_C_K, same=_SAME_K)
        if self._target_register == REMOTE_SETPOINT:
            self._write_flag(LOCAL, on=False)
        self._wanted_on = None
        self._write_flag(MANUAL, on=False)
        after = self._poll()
        if abs(after.working_K - start_K) > _START_K:
            self.heater_off()
            raise InstrumentError(
                f"in auto the working set point jumped to {after.working_K:.2f} K; the heater is off again",
                instrument=self._station,
                expected=f"about {start_K:.2f} K, where the oven is",
                next_step="Look at set point tracking and at the remote set point in its configuration",
            )

    def hold(self) -> None:
        seen = self._poll()
        if seen.manual or not seen.ramping:
            return
        self._wanted_K = None
        self._write_float(self._target_register, seen.working_K - ZERO_C_K, same=_SAME_K)
        self._wanted_K = seen.working_K

    def heater_off(self) -> None:
        self._wanted_on, self._wanted_K, self._last = False, None, None
        self._write_flag(MANUAL, on=True)
        self._write_float(OUTPUT, 0.0, same=_OFF_percent)
        self._write_float(self._target_register, SAFE_SETPOINT_K - ZERO_C_K, same=_SAME_K)

    # ------------------------------------------------------------------------------------------ confirming

    def _float(self, register: int) -> float:
        return floats(self._line.read(ieee_address(register), 2))[0]

    def _write_float(self, register: int, value: float, *, same: float) -> None:
        def reads() -> tuple[bool, str]:
            told = self._float(register)
            return abs(told - value) <= same, f"{told:g}"

        self._confirm(reads, ieee_address(register), float_words(value), f"register {register} = {value:g}")

    def _write_flag(self, register: int, *, on: bool) -> None:
        def reads() -> tuple[bool, str]:
            (word,) = self._line.read(register, 1)
            return (word != 0) is on, str(word)

        self._confirm(reads, register, (int(on),), f"register {register} = {int(on)}")

    def _confirm(self, reads: Callable[[], tuple[bool, str]], address: int, words: Sequence[int], command: str) -> None:
        """Write until it reads back; not at all where it already does."""
        self._last = None
        agrees, told = reads()
        for _ in range(self._settings.readback_tries):
            if agrees:
                return
            self._line.write(address, words)
            agrees, told = reads()
            if not agrees:
                pause(self._clock, self._settings.readback_wait_s)
                agrees, told = reads()
        if agrees:
            return
        raise InstrumentError(
            "the controller did not take it",
            instrument=self._station,
            command=command,
            reply=told,
            expected="the value to be read back",
            next_step="Is it locked at its front panel, is the register configured, is the display in whole degrees?",
        )

    def _understood(self, how: Callable[[], Value], what: str) -> Value:
        try:
            return how()
        except Garbled as problem:
            raise InstrumentError(
                f"the {what} makes no sense: {problem.what}",
                instrument=self._station,
                next_step="Is the address right, and does the controller have the IEEE area?",
            ) from None
