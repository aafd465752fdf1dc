"""The Model 335 as a `TemperatureController`.

Theory of operation
-------------------
Everything asked at one moment goes in one chained line under one tag (`_line`), so values belong together. The set
point is in the preferred unit of the control input, which is asked for when the line is opened. `SETP?` is taken for
where the set point is now, moving while it ramps; together with `RAMPST?` that decides whether it has arrived,
whichever of the two a firmware shows.

A ramp starts where the set point is. A parked loop is brought up in this order: ramp off, set point to the sensor's
temperature, heater range, ramp on, set point to the target; so no step of it heats in a jump. Every write is followed
by its query until it reads back, because a read-back that comes too early still shows the old value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from labctl.clock import Clock
from labctl.errors import InstrumentError
from labctl.ports import LoopState, Reading, StillOurs
from labctl_lakeshore._codec import (
    HEATER_STATUS,
    READING_STATUS,
    Garbled,
    bits,
    fields,
    identity,
    number,
    ramp_text,
    temperature_K,
    temperature_text,
    whole,
)
from labctl_lakeshore._line import Line
from labctl_lakeshore._settings import Settings
from labctl_oven import SAFE_SETPOINT_K, HeaterWatch, OvenLimits, Survey, pause

if TYPE_CHECKING:
    from labctl_lakeshore._link import Link

Value = TypeVar("Value")

_MODELS = ("MODEL335", "MODEL336")
_SAME_K = 0.011
_ARRIVED_K = 0.05
_FRESH_s = 0.5
_PARKED_K = 0.5
_CLOSED_LOOP = 1
_INPUTS = {"A": 1, "B": 2}
_KELVIN, _CELSIUS = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """Answers to one poll."""

    at_s: float
    sensor_K: float
    sensor_status: int
    setpoint_K: float
    heater_percent: float
    heater_range: int
    mode: int
    ramping: bool
    heater_error: int
    sample_K: float | None
    sample_status: int

    @property
    def heating_allowed(self) -> bool:
        return self.heater_range > 0 and self.mode != 0

    @property
    def parked(self) -> bool:
        return not self.heating_allowed and self.setpoint_K <= SAFE_SETPOINT_K + _PARKED_K


class LakeShoreController:
    """Output 1 of one Model 335, and the sensor it regulates by."""

    def __init__(self, *, station: str, settings: Settings, limits: OvenLimits, clock: Clock, link: Link) -> None:
        self._station = station
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._link = link
        self._line = Line(link, station=station, settings=settings, clock=clock)
        self._watch = HeaterWatch(settings.watch, limit_K=limits.trip_K)
        self._celsius = False
        self._opened = False
        self._wanted_on: bool | None = None
        self._wanted_K: float | None = None
        self._faults: dict[str, str] = {}
        self._last: _Seen | None = None

    @property
    def station(self) -> str:
        return self._station

    # ------------------------------------------------------------------------------------------ opening

    def fence(self, still_ours: StillOurs) -> None:
        self._line.still_ours = still_ours

    def open(self) -> None:
        self._identify()
        self._read_units()
        self._set_limit()
        self._opened = True
        seen = self._poll()
        if seen.parked:
            self._line.power_was_lost = False  # an old mains dip of a loop that was not in use

    def survey(self) -> Survey:
        """Ask without taking: nothing of loop, limits or set point is written."""
        who = self._identify()
        self._read_units()
        channel = self._settings.sensor_input
        told = self._line.ask(f"TLIMIT? {channel}")[0]
        limit_K = self._parse(lambda: number(told), f"TLIMIT? {channel}", told)
        seen = self._ask()
        self._judge(seen)
        return Survey(
            identity=who,
            limits=self._limits,
            sensor_K=seen.sensor_K if seen.sensor_status == 0 else None,
            sample_K=seen.sample_K if seen.sample_status == 0 else None,
            setpoint_K=seen.setpoint_K,
            heating_allowed=seen.heating_allowed,
            parked=seen.parked,
            own_limit_K=limit_K if limit_K > 0.0 else None,
            faults=dict(self._faults),
        )

    def _identify(self) -> str:
        who = self._line.ask("*IDN?")[0]
        try:
            found = identity(who)
        except Garbled as problem:
            raise self._line.nonsense(problem, "*IDN?", who) from None
        if not found.model.upper().startswith(_MODELS):
            raise InstrumentError(
                f"a {found.maker} {found.model} answers",
                instrument=self._station,
                command="*IDN?",
                reply=who,
                expected="a Lake Shore Model 335 or 336",
            )
        return who

    def _read_units(self) -> None:
        channel = self._settings.sensor_input
        answer = self._line.ask(f"INTYPE? {channel}")[0]
        units = self._parse(lambda: whole(fields(answer, 5)[4], at_most=3), f"INTYPE? {channel}", answer)
        if units not in {_KELVIN, _CELSIUS}:
            raise InstrumentError(
                f"input {channel} shows the sensor's own unit",
                instrument=self._station,
                command=f"INTYPE? {channel}",
                reply=answer,
                expected="kelvin or Celsius as preferred unit: set points are in it",
            )
        self._celsius = units == _CELSIUS

    def _set_limit(self) -> None:
        """Let the controller shut its outputs down by itself above what oven and cell bear."""
        channel, limit = self._settings.sensor_input, self._limits.trip_K
        answer = self._line.ask(f"TLIMIT? {channel}")[0]
        if abs(self._parse(lambda: number(answer), "TLIMIT?", answer) - limit) > 0.1:
            self._confirm(
                f"TLIMIT {channel},{limit:.1f}",
                f"TLIMIT? {channel}",
                lambda told: abs(number(told) - limit) <= 0.1,
                expected=f"{limit:.1f}",
            )

    def close(self) -> None:
        self._link.close()

    # ------------------------------------------------------------------------------------------ reading

    def read(self) -> tuple[Reading, ...]:
        seen = self._poll()
        readings = [
            Reading(quantity="setpoint_K", value=seen.setpoint_K, at_s=seen.at_s),
            Reading(quantity="heater_percent", value=seen.heater_percent, at_s=seen.at_s),
        ]
        if seen.sensor_status == 0:
            readings.append(Reading(quantity="sensor_K", value=seen.sensor_K, at_s=seen.at_s))
        if seen.sample_K is not None and seen.sample_status == 0:
            readings.append(Reading(quantity="sample_K", value=seen.sample_K, at_s=seen.at_s))
        readings += [Reading(quantity=f"fault/{name}", value=1.0, at_s=seen.at_s) for name in self._faults]
        return tuple(readings)

    def loop(self) -> LoopState:
        seen = self._recent()
        return LoopState(heating_allowed=seen.heating_allowed, setpoint_K=seen.setpoint_K, ramping=seen.ramping)

    def at_setpoint(self, setpoint_K: float) -> bool:
        seen = self._recent()
        return seen.heating_allowed and not seen.ramping and abs(seen.setpoint_K - setpoint_K) <= _ARRIVED_K

    def health(self) -> tuple[str, ...]:
        return tuple(f"{name}: {what}" for name, what in self._faults.items())

    def _recent(self) -> _Seen:
        """Return what was asked a moment ago, unless something has been written since."""
        last = self._last
        fresh = last is not None and 0.0 <= self._clock.now_s() - last.at_s <= _FRESH_s
        return last if fresh and last is not None else self._poll()

    def _poll(self) -> _Seen:
        """Ask for everything at once, and judge it."""
        if not self._opened:
            self.open()
        seen = self._ask()
        self._judge(seen)
        self._last = seen
        return seen

    def _ask(self) -> _Seen:
        s = self._settings
        first = (f"KRDG? {s.sensor_input}", f"RDGST? {s.sensor_input}", "SETP? 1", "HTR? 1", "RANGE? 1", "RAMPST? 1")
        second = ["OUTMODE? 1"]
        if s.heater_status:
            second.append("HTRST? 1")
        if s.sample_input != "none":
            second += [f"KRDG? {s.sample_input}", f"RDGST? {s.sample_input}"]
        told = (*self._line.ask(*first), *self._line.ask(*second))
        command = "; ".join((*first, *second))
        return self._parse(lambda: self._understand(told), command, "; ".join(told))

    def _understand(self, told: tuple[str, ...]) -> _Seen:
        rest = list(told[7:])
        heater_error = whole(rest.pop(0), at_most=9) if self._settings.heater_status else 0
        sample = self._settings.sample_input != "none"
        return _Seen(
            at_s=self._clock.now_s(),
            sensor_K=number(told[0]),
            sensor_status=whole(told[1]),
            setpoint_K=temperature_K(told[2], celsius=self._celsius),
            heater_percent=number(told[3]),
            heater_range=whole(told[4], at_most=5),
            ramping=whole(told[5], at_most=1) == 1,
            mode=whole(fields(told[6], 3)[0], at_most=5),
            heater_error=heater_error,
            sample_K=number(rest[0]) if sample else None,
            sample_status=whole(rest[1]) if sample else 0,
        )

    def _judge(self, seen: _Seen) -> None:
        """Say what is wrong: the controller's own health bits, then what contradicts itself."""
        faults: dict[str, str] = {}
        if seen.sensor_status:
            faults["sensor"] = f"input {self._settings.sensor_input}: {bits(seen.sensor_status, READING_STATUS)}"
            self._watch.forget()
        else:
            self._watch.update(
                seen.at_s,
                sensor_K=seen.sensor_K,
                heater_percent=seen.heater_percent,
                setpoint_K=seen.setpoint_K,
                heating_allowed=seen.heating_allowed,
            )
        if seen.sample_status:
            what = f"input {self._settings.sample_input}: {bits(seen.sample_status, READING_STATUS)}"
            faults["sensor"] = f"{faults['sensor']}; {what}" if "sensor" in faults else what
        elif seen.sample_K is not None and seen.sample_K > self._limits.sample_max_K:
            faults["over_temperature"] = f"cell {seen.sample_K:.1f} K, limit {self._limits.sample_max_K:.1f} K"
        if seen.heater_error:
            faults["heater"] = bits(seen.heater_error, HEATER_STATUS)
        if self._line.power_was_lost and not seen.parked:
            faults["power_failed"] = "the controller has been switched on anew"
        if self._wanted_on and not seen.heating_allowed:
            faults["heater_off_unasked"] = (
                f"heater range {seen.heater_range}, output mode {seen.mode}, while the set point reads"
                f" {seen.setpoint_K:.2f} K"
            )
        elif seen.heating_allowed and seen.mode != _CLOSED_LOOP:
            faults["controller"] = f"output mode {seen.mode} instead of closed loop"
        elif self._stands_elsewhere(seen):
            faults["setpoint_changed"] = f"it reads {seen.setpoint_K:.2f} K, {self._wanted_K:.2f} K was set"
        self._faults = faults | {name: what for name, what in self._watch.faults.items() if name not in faults}

    def _stands_elsewhere(self, seen: _Seen) -> bool:
        if not self._wanted_on or self._wanted_K is None or seen.ramping:
            return False
        return abs(seen.setpoint_K - self._wanted_K) > _ARRIVED_K

    # ------------------------------------------------------------------------------------------ changing

    def ramp_to(self, setpoint_K: float, ramp_K_per_s: float) -> None:
        self._limits.refuse(setpoint_K, ramp_K_per_s, station=self._station)
        try:
            rate = ramp_text(ramp_K_per_s)
        except Garbled as problem:
            raise InstrumentError(problem.what, instrument=self._station, command="RAMP") from None
        seen = self._poll()
        self._refuse_unwell(seen)
        if not seen.heating_allowed:
            self._bring_up(seen)
        self._set_ramp(rate)
        self._wanted_on, self._wanted_K = True, None  # what it is on its way to is known once it reads back
        self._send_target(setpoint_K)
        self._wanted_K = setpoint_K

    def _refuse_unwell(self, seen: _Seen) -> None:
        if not seen.heating_allowed and not seen.parked:
            raise InstrumentError(
                f"the heater is off while the set point reads {seen.setpoint_K:.2f} K:"
                " it tripped, lost power, or somebody switched it off",
                instrument=self._station,
                expected="a heater that is on, or a set point of at most 25 °C",
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
        self._wanted_on = None
        start_K = max(self._limits.sensor_min_K, min(seen.sensor_K, self._limits.trip_K))
        sensor = _INPUTS[self._settings.sensor_input]
        self._confirm("RAMP 1,0,0", "RAMP? 1", lambda told: whole(fields(told, 2)[0], at_most=1) == 0, expected="off")
        self._confirm_setpoint(start_K, lambda setpoint_K: abs(setpoint_K - start_K) <= _SAME_K)
        mode = f"{_CLOSED_LOOP},{sensor},0"  # and after a mains dip the heater stays off
        self._confirm(
            f"OUTMODE 1,{mode}",
            "OUTMODE? 1",
            lambda told: fields(told, 3) == (str(_CLOSED_LOOP), str(sensor), "0"),
            expected=mode,
        )
        wanted = self._settings.heater_range
        self._confirm(
            f"RANGE 1,{wanted}", "RANGE? 1", lambda told: whole(told, at_most=5) == wanted, expected=str(wanted)
        )
        self._line.power_was_lost = False

    def _set_ramp(self, rate: str) -> None:
        def reads(told: str) -> bool:
            on, told_rate = fields(told, 2)
            return whole(on, at_most=1) == 1 and abs(number(told_rate) - float(rate)) < 0.05

        if not self._parse_quietly(reads, self._line.ask("RAMP? 1")[0]):
            self._confirm(f"RAMP 1,1,{rate}", "RAMP? 1", reads, expected=f"1,{rate}")

    def _send_target(self, setpoint_K: float) -> None:
        """Send a set point that is ramped to: it has arrived, or is on its way, or was not taken."""
        text = temperature_text(setpoint_K, celsius=self._celsius)
        told: tuple[str, ...] = ()
        self._last = None
        for look in range(self._settings.readback_tries):
            # The question is repeated before the command is: each may only have come too early.
            commands = (f"SETP 1,{text}",) if look % 3 == 0 else ()
            told = self._line.ask(*commands, "SETP? 1", "RAMPST? 1")
            if look % 3 == 0 and self._settings.readback_wait_s > 0.0:
                pause(self._clock, self._settings.readback_wait_s)
                told = self._line.ask("SETP? 1", "RAMPST? 1")
            reads_K = self._kelvin(told[0])
            if abs(reads_K - setpoint_K) <= _SAME_K or told[1] == "1":
                return
            pause(self._clock, self._settings.readback_wait_s)
        self._not_taken(f"SETP 1,{text}", "; ".join(told), text)

    def hold(self) -> None:
        seen = self._poll()
        if not seen.heating_allowed or not seen.ramping:
            return
        self._wanted_K = None
        self._confirm("RAMP 1,0,0", "RAMP? 1", lambda told: whole(fields(told, 2)[0], at_most=1) == 0, expected="off")
        self._confirm_setpoint(seen.setpoint_K, lambda setpoint_K: abs(setpoint_K - seen.setpoint_K) <= _SAME_K)
        self._wanted_K = seen.setpoint_K

    def heater_off(self) -> None:
        self._wanted_on, self._wanted_K = False, None
        self._confirm("RANGE 1,0", "RANGE? 1", lambda told: whole(told, at_most=5) == 0, expected="0")
        if not self._opened:
            self._read_units()
        if abs(self._setpoint_K() - SAFE_SETPOINT_K) > _SAME_K:
            self._confirm(
                "RAMP 1,0,0", "RAMP? 1", lambda told: whole(fields(told, 2)[0], at_most=1) == 0, expected="off"
            )
            self._confirm_setpoint(SAFE_SETPOINT_K, lambda setpoint_K: abs(setpoint_K - SAFE_SETPOINT_K) <= _SAME_K)

    # ------------------------------------------------------------------------------------------ confirming

    def _setpoint_K(self) -> float:
        return self._kelvin(self._line.ask("SETP? 1")[0])

    def _kelvin(self, told: str) -> float:
        return self._parse(lambda: temperature_K(told, celsius=self._celsius), "SETP? 1", told)

    def _confirm_setpoint(self, setpoint_K: float, reads: Callable[[float], bool]) -> None:
        text = temperature_text(setpoint_K, celsius=self._celsius)
        self._confirm(
            f"SETP 1,{text}",
            "SETP? 1",
            lambda told: reads(temperature_K(told, celsius=self._celsius)),
            expected=text,
        )

    def _confirm(self, command: str, query: str, reads: Callable[[str], bool], *, expected: str) -> None:
        """Write until it reads back: asked at once, then again after a while, then written again."""
        told = ""
        self._last = None
        for look in range(self._settings.readback_tries):
            told = self._line.ask(*((command,) if look % 3 == 0 else ()), query)[0]
            if self._parse_quietly(reads, told):
                return
            pause(self._clock, self._settings.readback_wait_s)
        self._not_taken(command, told, expected)

    def _not_taken(self, command: str, reply: str, expected: str) -> NoReturn:
        raise InstrumentError(
            "the controller did not take it",
            instrument=self._station,
            command=command,
            reply=reply,
            expected=f"{expected} to be read back",
            next_step="Is it in local mode or locked at its front panel?",
        )

    def _parse_quietly(self, reads: Callable[[str], bool], told: str) -> bool:
        try:
            return reads(told)
        except (Garbled, IndexError):
            return False

    def _parse(self, how: Callable[[], Value], command: str, reply: str) -> Value:
        try:
            return how()
        except (Garbled, IndexError) as problem:
            garbled = problem if isinstance(problem, Garbled) else Garbled("an answer is missing")
            raise self._line.nonsense(garbled, command, reply) from None
