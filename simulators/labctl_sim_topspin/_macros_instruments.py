"""Macros of the VT unit and of the spinning unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl_sim_topspin._au_types import Answer, Value
from labctl_sim_topspin._macros import Macros, Refused

if TYPE_CHECKING:
    from labctl_sim_topspin._au_machine import Machine

_SPIN_UP_GIVE_UP_s = 600.0


class InstrumentMacros(Macros):
    """Temperature, gas, heater and rotor."""

    # temperature

    def _do_TESET(self, machine: Machine) -> Answer:
        return self._teset(float(self._console.datasets.fetch(self.place(machine), "TE")))

    def _teset(self, setpoint_K: float) -> Answer:
        if not 50.0 < setpoint_K < 700.0:
            raise Refused(f"set point {setpoint_K:g} K is out of range")
        if self._console.plant.sensor_fault == "silent":
            raise Refused("the VT unit does not answer")
        self._console.plant.change_vt(setpoint_K=setpoint_K)
        return Answer()

    def _do_TEGET(self, machine: Machine) -> Answer:
        sensor_K = self._console.plant.sensor_K()
        if sensor_K is None:
            raise Refused("the VT unit does not answer")
        self._console.datasets.store(self.place(machine), "TE", sensor_K, status=True)
        return Answer()

    def _do_TEREADY(self, _machine: Machine, seconds: int, accuracy_K: float) -> Answer:
        accuracy_K = round(accuracy_K, 1)  # the macro prints one decimal
        reached_s = self._console.plant.reached_s(accuracy_K, 10.0, 6 * 3600.0) if accuracy_K > 0.0 else None
        if reached_s is None:
            return Answer(wait_for="teready: the set point is not reached")
        return Answer(wait_until_s=reached_s + seconds)

    def _do_VTU_HEATER(self, _machine: Machine, mode: str) -> Answer:
        return self._heater(mode)

    def _heater(self, mode: str) -> Answer:
        plant = self._console.plant
        if mode == "off":
            plant.change_vt(heater_on=False)
        elif mode == "on":
            if plant.vt.gas_L_per_h < self._console.settings.thermal.gas_cutout_L_per_h:
                raise Refused("heater stays off: gas flow too low")
            if self._console.fault_active("heater_trip"):
                raise Refused("heater stays off: over-temperature protection has tripped")
            plant.change_vt(heater_on=True, tripped="")
        else:
            raise Refused(f"heater {mode}: on or off")
        return Answer()

    def _do_VTU_GASFLOW(self, _machine: Machine, flow: float) -> Answer:
        plant = self._console.plant
        if not 0.0 <= flow <= 3000.0:
            raise Refused(f"gas flow {flow:g} L/h is out of range")
        lost = self._console.fault_active("gas_loss")
        plant.change_vt(gas_target_L_per_h=flow, **({} if lost else {"gas_L_per_h": flow}))
        self._console.gas_cutout()
        return Answer()

    def _do_VTU_GASFLOW_STATUS(self, _machine: Machine) -> Answer:
        plant = self._console.plant
        if plant.sensor_fault == "silent":
            raise Refused("the VT unit does not answer")
        return Answer(outs=(plant.vt.gas_target_L_per_h, plant.gas_L_per_h()))

    def _do_VTU_GET_PARAM(self, _machine: Machine, name: str) -> Answer:
        plant = self._console.plant
        if plant.sensor_fault == "silent":
            raise Refused("the VT unit does not answer")
        word = name.lower().replace("_", "").replace("-", "")
        if "heater" in word and ("state" in word or "status" in word):
            return Answer(outs=("on" if plant.vt.heating else "off",))
        if "heater" in word or word == "power":
            return Answer(outs=(f"{plant.heater_percent():.2f}",))
        if "gas" in word or "flow" in word:
            return Answer(outs=(f"{plant.gas_L_per_h():.1f}",))
        if "target" in word or "setpoint" in word:
            return Answer(outs=(f"{plant.vt.setpoint_K:.4f}",))
        if "temp" in word:
            return Answer(outs=(f"{plant.sensor_K():.4f}",))
        raise Refused(f"the VT unit knows no {name}")

    def _do_VTU_PUSH_PARAM(self, _machine: Machine, name: str, _value: str) -> Answer:
        raise Refused(f"{name} is not simulated")

    def _nothing(self, _machine: Machine, *_args: Value) -> Answer:
        return Answer()

    _do_VTU_LOG_DATA = _do_VTU_LOG_STOP = _do_MAS_STATUS_LOG = _do_MAS_STATUS_LOG_STOP = _nothing
    _do_VTU_CHILLER = _do_VTU_SELFTUNE = _do_TEPAR = _nothing

    # spinning

    def _do_MASR(self, machine: Machine) -> Answer:
        rate = int(self._console.datasets.fetch(self.place(machine), "MASR"))
        if not 0 <= rate <= 15000:
            raise Refused(f"MASR = {rate} is beyond this rotor")
        self._console.plant.change_mas(target_Hz=float(rate))
        return Answer()

    def _do_MASRGET(self, machine: Machine) -> Answer:
        rate = round(self._console.plant.rate_Hz())
        self._console.datasets.store(self.place(machine), "MASR", rate, status=True)
        return Answer()

    _do_MASRATE_SET, _do_MASRATE_GET = _do_MASR, _do_MASRGET

    def _do_MASG(self, _machine: Machine, _retries: int) -> Answer:
        return self._spin()

    def _do_MAS_GO(self, _machine: Machine) -> Answer:
        return self._spin()

    def _spin(self) -> Answer:
        console = self._console
        if console.fault_active("spin_loss"):
            return Answer(value=-1, wait_until_s=console.now_s() + _SPIN_UP_GIVE_UP_s)
        mas = console.plant.mas
        console.plant.change_mas(regulated=True, error="")
        return Answer(wait_until_s=console.now_s() + abs(mas.target_Hz - mas.rate_Hz) / mas.slew_Hz_per_s + 5.0)

    def _do_MASH(self, _machine: Machine) -> Answer:
        console = self._console
        rate_Hz = console.plant.mas.rate_Hz
        console.plant.change_mas(regulated=False)
        return Answer(wait_until_s=console.now_s() + (120.0 if rate_Hz > 10.0 else 0.0))

    _do_MAS_HALT = _do_MASH

    def _do_MASE(self, _machine: Machine) -> Answer:
        if self._console.plant.mas.rate_Hz > 10.0:
            raise Refused("the rotor spins")
        return Answer(wait_until_s=self._console.now_s() + 10.0)

    _do_MASI = _do_MAS_EJECT = _do_MAS_INSERT = _do_MASE

    def _do_MMAS_SPINRATE(self, _machine: Machine) -> Answer:
        return Answer(outs=(f"{self._console.plant.rate_Hz():.0f}",))

    def _do_MMAS_IS_ROTATION_ON(self, _machine: Machine) -> Answer:
        return Answer(outs=("true" if self._console.plant.mas.regulated else "false",))

    def _do_MMAS_ROTATION_STATE(self, _machine: Machine) -> Answer:
        mas = self._console.plant.mas
        word = "stopped" if mas.rate_Hz < 1.0 else "regulated" if mas.regulated else "slowing down"
        return Answer(outs=(word,))

    def _do_MMAS_ROTATION_ERROR_CODES(self, _machine: Machine) -> Answer:
        return Answer(outs=(self._console.plant.mas.error,))
