"""A bath thermostat as a `labctl.ports.TemperatureController`.

Theory of operation
-------------------
The ramp is the bath's own: the working set point walks towards the target at ``RATE``. ``RUN 1`` begins it at the
sensor's temperature, so nothing ever jumps. Stopped with a target of at most 25 °C is *parked*; stopped with a target
above that means tripped, without mains, or stopped by somebody, and a person looks first. Every write is read back.
"""

from __future__ import annotations

from collections.abc import Callable

from labctl.clock import Clock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import LoopState, Reading, StillOurs
from labctl_bath._codec import ZERO_C_K, Garbled, Status, answer, message, setting, status
from labctl_bath._link import Link
from labctl_bath._settings import Settings
from labctl_oven import SAFE_SETPOINT_K, HeaterWatch, OvenLimits, Survey

_TRIES = 3
_SAME_K = 0.002
_PARKED_K = 0.5


class BathController:
    """One bath."""

    def __init__(self, *, station: str, settings: Settings, limits: OvenLimits, clock: Clock, link: Link) -> None:
        self._station = station
        self._limits = limits
        self._clock = clock
        self._link = link
        self._watch = HeaterWatch(settings.watch, limit_K=limits.trip_K)
        self._still_ours: StillOurs = lambda: None
        self._tag = 0
        self._wanted_K: float | None = None
        self._wanted_on = False
        self._faults: dict[str, str] = {}

    @property
    def station(self) -> str:
        return self._station

    def fence(self, still_ours: StillOurs) -> None:
        self._still_ours = still_ours

    # ------------------------------------------------------------------------------------------ opening

    def survey(self) -> Survey:
        seen = self._status()
        return Survey(
            identity=self._asked("ID"),
            limits=self._limits,
            sensor_K=seen.sensor_K,
            sample_K=None,
            setpoint_K=seen.working_K if seen.runs else seen.target_K,
            heating_allowed=seen.runs,
            parked=_parked(seen),
            own_limit_K=None,
            faults=dict(self._faults),
        )

    def open(self) -> None:
        if not self._asked("ID").startswith("BATH"):
            raise InstrumentError("this is no bath", instrument=self._station, command="ID", expected="BATH ...")
        highest_K = min(self._limits.sensor_max_K, self._limits.sample_max_K)
        self._order(setting("LIMIT", highest_K - ZERO_C_K), lambda _: True)

    def close(self) -> None:
        self._link.close()

    # ------------------------------------------------------------------------------------------ reading

    def read(self) -> tuple[Reading, ...]:
        seen, at_s = self._status(), self._clock.now_s()
        values = {"setpoint_K": seen.working_K if seen.runs else seen.target_K, "heater_percent": seen.heater_percent}
        if seen.sensor_K is not None:
            values["sensor_K"] = seen.sensor_K
        values |= {f"fault/{name}": 1.0 for name in self._faults}
        return tuple(Reading(quantity=name, value=value, at_s=at_s) for name, value in values.items())

    def loop(self) -> LoopState:
        seen = self._status()
        setpoint_K = seen.working_K if seen.runs else seen.target_K
        return LoopState(heating_allowed=seen.runs, setpoint_K=setpoint_K, ramping=_ramping(seen))

    def at_setpoint(self, setpoint_K: float) -> bool:
        seen = self._status()
        return seen.runs and not _ramping(seen) and abs(seen.target_K - setpoint_K) <= _SAME_K

    def health(self) -> tuple[str, ...]:
        return tuple(f"{name}: {what}" for name, what in self._faults.items())

    # ------------------------------------------------------------------------------------------ changing

    def ramp_to(self, setpoint_K: float, ramp_K_per_s: float) -> None:
        self._limits.refuse(setpoint_K, ramp_K_per_s, station=self._station)
        seen = self._status()
        if not seen.runs and not _parked(seen):
            raise InstrumentError(
                f"the bath stands still while its set point reads {seen.target_K:.2f} K:"
                " it tripped, lost power, or somebody stopped it",
                instrument=self._station,
                next_step="A person looks at bath and cell, sets the set point to 25 °C at its panel, and continues",
            )
        if self._faults:
            raise InstrumentError(
                "heat is refused: " + "; ".join(self.health()),
                instrument=self._station,
                next_step="A person puts that right first",
            )
        self._wanted_K = None
        self._order(setting("RATE", 60.0 * ramp_K_per_s), lambda _: True)
        self._set_target(setpoint_K)
        self._order("RUN 1", lambda now: now.runs)
        self._wanted_K, self._wanted_on = setpoint_K, True

    def hold(self) -> None:
        seen = self._status()
        if _ramping(seen):
            self._wanted_K = None
            self._set_target(seen.working_K)
            self._wanted_K = seen.working_K

    def heater_off(self) -> None:
        self._wanted_K, self._wanted_on = None, False
        self._order("RUN 0", lambda now: not now.runs)
        self._set_target(SAFE_SETPOINT_K)

    def _set_target(self, setpoint_K: float) -> None:
        self._order(setting("SP", setpoint_K - ZERO_C_K), lambda now: abs(now.target_K - setpoint_K) <= _SAME_K)

    # ------------------------------------------------------------------------------------------ the line

    def _order(self, words: str, taken: Callable[[Status], bool]) -> None:
        """Write, and see by the status that it was taken."""
        told = self._asked(words)
        if told != "OK" or not taken(self._status()):
            raise InstrumentError(
                "the bath did not take it",
                instrument=self._station,
                command=words,
                reply=told,
                expected="OK, and the value in its status",
                next_step="Is it locked at its panel, or its own limit lower than that?",
            )

    def _status(self) -> Status:
        seen = self._understood()
        self._judge(seen)
        return seen

    def _understood(self) -> Status:
        words = self._asked("STATUS")
        try:
            return status(words)
        except Garbled as problem:
            raise InstrumentError(str(problem), instrument=self._station, command="STATUS", reply=words) from None

    def _asked(self, words: str) -> str:
        """Return the answer that carries the tag of this very question; older ones are let go by."""
        problem = ""
        for _ in range(_TRIES):
            self._still_ours()  # right before each message: another engine may have taken the station
            self._tag = (self._tag + 1) % 10_000
            try:
                self._link.send(message(self._tag, words))
                while True:
                    tag, told = answer(self._link.receive())
                    if tag == self._tag:
                        return told
            except (TimeoutError, Garbled) as why:
                problem = str(why)
        raise InstrumentSilent(
            f"no usable answer in {_TRIES} tries",
            instrument=self._station,
            command=words,
            reply=problem,
            next_step="Look at the bath's display and its cable",
        )

    def _judge(self, seen: Status) -> None:
        """Say what is wrong: what the bath says itself, then what contradicts itself."""
        faults: dict[str, str] = {}
        if seen.sensor_K is None:
            faults["sensor"] = "the bath says that its sensor is broken"
            self._watch.forget()
        else:
            self._watch.update(
                self._clock.now_s(),
                sensor_K=seen.sensor_K,
                heater_percent=seen.heater_percent,
                setpoint_K=seen.working_K,
                heating_allowed=seen.runs,
            )
        if seen.mains_failed and not _parked(seen):
            faults["power_failed"] = "the bath has been without mains"
        if self._wanted_on and not seen.runs:
            faults["heater_off_unasked"] = f"it stands still, and its target reads {seen.target_K:.2f} K"
        elif self._wanted_K is not None and abs(seen.target_K - self._wanted_K) > _SAME_K:
            faults["setpoint_changed"] = f"it reads {seen.target_K:.2f} K, {self._wanted_K:.2f} K was set"
        self._faults = {**self._watch.faults, **faults}


def _parked(seen: Status) -> bool:
    return not seen.runs and seen.target_K <= SAFE_SETPOINT_K + _PARKED_K


def _ramping(seen: Status) -> bool:
    return seen.runs and abs(seen.working_K - seen.target_K) > _SAME_K
