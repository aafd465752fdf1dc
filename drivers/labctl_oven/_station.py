"""An oven as an `Instrument`: the orders of temperature, over any `TemperatureController`.

Theory of operation
-------------------
A controller on a serial line has no job memory: all that outlasts labctl is its loop, its set point and its ramp.
So an order is judged by read-back alone. Sending a set point again is harmless (the ramp goes on from where it is),
so whatever read-back cannot prove is answered with `NOT_STARTED`, and the engine sends it again; a soak cannot be
proved afterwards and begins anew.

The controller's loop goes on when labctl dies, at the last set point. What protects the cell then is the controller's
own limit, which the driver sets when it opens, and the independent cut-out that the lab file has signed for.

A loop is *parked* when the heater is off and the set point stands at 25 °C or below. Only from there is it switched on
by itself. A heater that is off with the set point elsewhere tripped, lost power, or was switched off by somebody, and a
person puts that right.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from labctl.clock import Clock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import (
    AwaitStable,
    Check,
    Collected,
    CoolDown,
    Errand,
    Evidence,
    Fenced,
    LoopState,
    Observation,
    Order,
    Progress,
    Reading,
    SetTemperature,
    Standing,
    StillOurs,
    TemperatureController,
)
from labctl_oven._cell_lag import CellLag
from labctl_oven._limits import SAFE_SETPOINT_K
from labctl_oven._preflight import Surveyed, oven_checks
from labctl_oven._settling import Settling

_LOOK_AGAIN_s = 30.0
_SOAK_AGAIN_s = 60.0  # at rest already: only whether it stays so
_SETPOINT_SAME_K = 0.06
_ThermalTask = SetTemperature | AwaitStable | CoolDown


class OvenStation:
    """One oven.

    Parameters
    ----------
    sample_within_K : float or None
        Half width of the band of a second sensor at the cell while settling; None: only the controller's counts.
    sample_offset_K : float
        By how much the cell's sensor may differ from the set point when all is settled.
    cell_lag_s : float
        Time constant with which a cell that has no sensor follows the oven [s].
    """

    attention_s = float("inf")

    def __init__(
        self,
        controller: TemperatureController,
        *,
        clock: Clock,
        sample_within_K: float | None = None,
        sample_offset_K: float = 0.0,
        cell_lag_s: float = 0.0,
    ) -> None:
        self.controller = controller
        self._lag = CellLag(cell_lag_s)
        self._clock = clock
        self._sample_within_K = sample_within_K
        self._sample_offset_K = sample_offset_K
        self._since_s: dict[str, float] = {}
        self._from_K: dict[str, float] = {}
        self._settling: dict[str, Settling] = {}
        self._ended: dict[str, Observation] = {}

    @property
    def station(self) -> str:
        return self.controller.station

    def fence(self, still_ours: StillOurs) -> None:
        if isinstance(self.controller, Fenced):
            self.controller.fence(still_ours)

    def open(self, epoch: int) -> None:
        del epoch  # no controller has a place for it: `fence` stands in
        self.controller.open()

    def close(self) -> None:
        self.controller.close()

    # ------------------------------------------------------------------------------------------- orders

    def begin(self, order: Order) -> None:
        """Send the set point; sent twice it changes nothing, and a soak that has begun goes on."""
        task = self._task(order)
        match task:
            case SetTemperature():
                self._from_K[order.token] = self.controller.loop().setpoint_K
                self.controller.ramp_to(task.setpoint_K, task.ramp_K_per_s)
            case CoolDown():
                self._from_K[order.token] = self.controller.loop().setpoint_K
                self._begin_to_cool(task)
            case AwaitStable():
                self._settling.setdefault(order.token, self._settling_for(task))
        self._ended.pop(order.token, None)
        self._since_s.setdefault(order.token, self._clock.monotonic_s())

    def _begin_to_cool(self, task: CoolDown) -> None:
        """A loop that regulates and is well is led down; any other is parked, whatever it was."""
        self.controller.read()
        if self.controller.loop().heating_allowed and not self.controller.health():
            self.controller.ramp_to(task.setpoint_K, task.ramp_K_per_s)
        else:
            self.controller.heater_off()

    def _task(self, order: Order) -> _ThermalTask:
        if not isinstance(order.task, _ThermalTask):
            raise InstrumentError(
                f"an oven cannot carry out {type(order.task).__name__}",
                instrument=self.station,
                command=order.step_id,
                expected="SetTemperature, AwaitStable or CoolDown",
            )
        return order.task

    def _settling_for(self, task: AwaitStable) -> Settling:
        return Settling(
            setpoint_K=task.setpoint_K,
            within_K=task.within_K,
            hold_s=task.hold_s,
            sample_within_K=self._sample_within_K,
            sample_offset_K=self._sample_offset_K,
        )

    # ------------------------------------------------------------------------------------------- asking

    def look(self, order: Order) -> Observation:
        task = self._task(order)
        if order.token in self._ended:
            return self._ended[order.token]
        waited_s = self._clock.monotonic_s() - self._since_s.setdefault(order.token, self._clock.monotonic_s())
        readings = self.readings()
        seen = self._look_at(order, task, readings)
        if seen.progress is Progress.RUNNING and waited_s > task.give_up_s:
            seen = Observation(
                progress=Progress.FAILED,
                detail=f"given up after {waited_s:.0f} s: {seen.detail}",
                fraction=seen.fraction,
            )
        if seen.progress in {Progress.DONE, Progress.FAILED}:
            self._ended[order.token] = seen
        return seen

    def _look_at(self, order: Order, task: _ThermalTask, readings: tuple[Reading, ...]) -> Observation:
        if isinstance(task, CoolDown):  # a fault does not keep heat from being taken away
            return self._look_at_cooling(order, task)
        if faults := self.controller.health():
            return Observation(progress=Progress.FAILED, detail="; ".join(faults))
        loop = self.controller.loop()
        if not loop.heating_allowed:
            what = f"the heater is off while the set point reads {loop.setpoint_K:.2f} K"
            return Observation(progress=Progress.FAILED, detail=what)
        if isinstance(task, SetTemperature):
            return self._look_at_ramp(order, task.setpoint_K, loop)
        return self._look_at_soak(order, task, loop, readings)

    def _look_at_ramp(self, order: Order, setpoint_K: float, loop: LoopState) -> Observation:
        if self.controller.at_setpoint(setpoint_K):
            return Observation(
                progress=Progress.DONE, detail=f"the set point reads {loop.setpoint_K:.2f} K", fraction=1.0
            )
        detail = f"the set point is at {loop.setpoint_K:.2f} K on its way to {setpoint_K:.2f} K"
        if not loop.ramping:
            what = f"the set point stands at {loop.setpoint_K:.2f} K instead of {setpoint_K:.2f} K"
            return Observation(progress=Progress.FAILED, detail=what)
        from_K = self._from_K.setdefault(order.token, loop.setpoint_K)
        whole_K = abs(setpoint_K - from_K)
        fraction = 1.0 - abs(setpoint_K - loop.setpoint_K) / whole_K if whole_K > 0.0 else 1.0
        return Observation(
            progress=Progress.RUNNING,
            detail=detail,
            fraction=min(0.999, max(0.0, fraction)),
            look_again_s=_LOOK_AGAIN_s,
        )

    def _look_at_soak(
        self, order: Order, task: AwaitStable, loop: LoopState, readings: tuple[Reading, ...]
    ) -> Observation:
        if not loop.ramping and abs(loop.setpoint_K - task.setpoint_K) > _SETPOINT_SAME_K:
            what = f"the set point reads {loop.setpoint_K:.2f} K instead of {task.setpoint_K:.2f} K"
            return Observation(progress=Progress.FAILED, detail=what)
        settling = self._settling.setdefault(order.token, self._settling_for(task))
        found = {reading.quantity: reading for reading in readings}
        sensor, sample = found.get("sensor_K"), found.get("sample_K")
        if sensor is None:
            return Observation(progress=Progress.RUNNING, detail="no reading of the sensor", look_again_s=_LOOK_AGAIN_s)
        settling.update(sensor.at_s, sensor.value, None if sample is None else sample.value)
        if settling.done:
            detail = f"{sensor.value:.2f} K, {settling.soaked_s / 60.0:.0f} min in the band"
            return Observation(progress=Progress.DONE, detail=detail, fraction=1.0)
        broken = f", broken off {settling.restarts} times" if settling.restarts else ""
        detail = f"{sensor.value:.2f} K, soaked for {settling.soaked_s / 60.0:.0f} min{broken}"
        fraction = settling.soaked_s / task.hold_s if task.hold_s > 0.0 else 0.0
        again_s = _SOAK_AGAIN_s if settling.soaked_s > 0.0 else _LOOK_AGAIN_s
        return Observation(
            progress=Progress.RUNNING, detail=detail, fraction=min(0.999, fraction), look_again_s=again_s
        )

    def _look_at_cooling(self, order: Order, task: CoolDown) -> Observation:
        loop = self.controller.loop()
        if loop.heating_allowed and loop.ramping and not self.controller.at_setpoint(task.setpoint_K):
            return self._look_at_ramp(order, task.setpoint_K, loop)
        if loop.heating_allowed:  # at its end, or standing somewhere else: no heat is better than the wrong heat
            try:
                self.controller.heater_off()
            except InstrumentSilent:
                raise  # asked again at the next look
            except InstrumentError as problem:
                return Observation(progress=Progress.FAILED, detail=f"the heater cannot be switched off: {problem}")
        after = self.controller.loop()
        if after.heating_allowed:
            return Observation(progress=Progress.RUNNING, detail="the heater is not off yet", look_again_s=5.0)
        return Observation(progress=Progress.DONE, detail="the heater is off; the oven cools by itself", fraction=1.0)

    def evidence(self, order: Order) -> Evidence:
        task = self._task(order)
        loop = self.controller.loop()
        where = f"set point {loop.setpoint_K:.2f} K, {'ramping' if loop.ramping else 'standing'}"
        if isinstance(task, CoolDown):
            if not loop.heating_allowed and loop.setpoint_K <= SAFE_SETPOINT_K + _SETPOINT_SAME_K:
                return Evidence(standing=Standing.FINISHED, detail="parked: heater off, set point at 25 °C")
            return Evidence(standing=Standing.NOT_STARTED, detail=where)
        if not loop.heating_allowed:
            return Evidence(standing=Standing.NOT_STARTED, detail=f"the heater is off; {where}")
        if isinstance(task, SetTemperature) and self.controller.at_setpoint(task.setpoint_K):
            return Evidence(standing=Standing.FINISHED, detail=where)
        if isinstance(task, AwaitStable) and order.token in self._since_s:
            return Evidence(standing=Standing.RUNNING, detail=where)
        return Evidence(standing=Standing.NOT_STARTED, detail=f"{where}; it is sent again, which changes nothing")

    def collect(self, order: Order, into: Path) -> Collected:
        del order, into
        return Collected(files=(), completeness="complete", started_s=0.0, ended_s=self._clock.now_s())

    # ------------------------------------------------------------------------------------ looking ahead

    def preflight(self, errand: Errand) -> tuple[Check, ...]:
        if not isinstance(self.controller, Surveyed):
            return (Check(verdict="warning", what="this oven's driver cannot look before it is opened"),)
        return oven_checks(errand, self.controller.survey(), station=self.station)

    def shadow(self, order: Order) -> tuple[str, ...]:
        """Hold an order against limits and what the controller says; the set point stays where it is."""
        task = self._task(order)
        if not isinstance(self.controller, Surveyed):
            raise InstrumentError(
                "this oven's driver cannot look before it is opened", instrument=self.station, command=order.step_id
            )
        seen = self.controller.survey()
        now = "not read" if seen.sensor_K is None else f"{seen.sensor_K:.1f} K"
        if isinstance(task, AwaitStable):
            soak = f"{task.hold_s:.0f} s within {task.within_K:g} K of {task.setpoint_K:.2f} K"
            return (f"would wait for {soak} (now {now})",)
        seen.limits.refuse(task.setpoint_K, task.ramp_K_per_s, station=self.station)
        end = ", then switch the heater off" if isinstance(task, CoolDown) else ""
        way = f"from {seen.setpoint_K:.2f} K to {task.setpoint_K:.2f} K at {60.0 * task.ramp_K_per_s:.3g} K/min"
        return (f"would let the set point go {way}{end} (now {now}, heater {'on' if seen.heating_allowed else 'off'})",)

    # ---------------------------------------------------------------------------------- watching, stopping

    def readings(self) -> tuple[Reading, ...]:
        readings = self.controller.read()
        for reading in readings:
            if reading.quantity == "sensor_K":
                self._lag.update(reading.at_s, reading.value)
        return readings

    @property
    def cell_behind_K(self) -> float:
        """By how much a cell without a sensor is reckoned to be behind the oven's, at the last reading [K]."""
        return self._lag.behind_K

    def stop(self, order: Order, reason: str) -> None:
        del reason
        if isinstance(order.task, SetTemperature) and order.token not in self._ended:
            self.controller.hold()
        self._ended.setdefault(order.token, Observation(progress=Progress.HALTED, detail="stopped"))

    def make_safe(self, reason: str) -> None:
        del reason  # there is no log on a controller to write it into
        self.controller.heater_off()

    def is_safe(self) -> bool:
        loop = self.controller.loop()
        if loop.heating_allowed or loop.setpoint_K > SAFE_SETPOINT_K + _SETPOINT_SAME_K:
            return False
        found: Mapping[str, float] = {reading.quantity: reading.value for reading in self.controller.read()}
        dangerous = {f"fault/{name}" for name in ("heater_welded", "over_temperature")}
        return not dangerous & found.keys()
