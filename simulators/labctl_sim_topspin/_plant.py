"""VT unit, sample temperature and rotor on the console's clock.

State is kept as it was at the last change of anything; what it is now follows in one step. So a temperature depends
on when things were changed, never on how often somebody looked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from labctl_sim_topspin._physics import Mas, Vt, after, friction_K, heater_percent, keyed_normal, mas_after, settled
from labctl_sim_topspin._settings import Settings

_MOVING_K = 0.5
_MOVING_Hz = 5.0
_JITTER_Hz = 1.5


class Plant:
    """What the VT unit and the spinning unit do, and what they tell.

    `sensor_fault` is "" or how the temperature reading fails (``stuck``, ``silent``).
    """

    def __init__(self, settings: Settings, seed: int, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._thermal = settings.thermal
        self._seed = seed
        self._now_s = now_s
        self._vt = Vt(
            setpoint_K=settings.setpoint_K,
            sensor_K=settings.setpoint_K,
            sample_K=settings.setpoint_K + friction_K(settings.spinning_Hz, settings.friction),
            gas_L_per_h=settings.thermal.gas_L_per_h,
            gas_target_L_per_h=settings.thermal.gas_L_per_h,
        )
        self._mas = Mas(rate_Hz=settings.spinning_Hz, target_Hz=settings.spinning_Hz)
        self._vt_at_s = self._mas_at_s = now_s()
        self.changes = 0
        """How often anything was changed; tells an acting program from a waiting one."""
        self.sensor_fault = ""
        self._stuck_K = 0.0
        self.history: list[tuple[float, Vt, float]] = []
        """(time, unit, lift of the sample) at each change since `watch`, for the acquisition under way."""

    # ------------------------------------------------------------------------------------------ now

    @property
    def vt(self) -> Vt:
        """The VT unit now."""
        return after(self._vt, self._now_s() - self._vt_at_s, lift_K=self.lift_K, thermal=self._thermal)

    @property
    def mas(self) -> Mas:
        """The spinning unit now."""
        return mas_after(self._mas, self._now_s() - self._mas_at_s)

    @property
    def lift_K(self) -> float:
        """Frictional heating at the rate the rotor is going to."""
        return friction_K(self._mas.aim_Hz, self._settings.friction)

    @property
    def settled(self) -> bool:
        """Whether sensor and sample are where set point and friction say."""
        return settled(self.vt, lift_K=self.lift_K, thermal=self._thermal)

    @property
    def temperature_moving(self) -> bool:
        """Whether the temperature is on its way somewhere."""
        vt = self.vt
        if vt.gas_L_per_h < self._thermal.gas_cutout_L_per_h:
            aim_K = self._thermal.ambient_K
        else:
            aim_K = vt.aim_K if vt.heating else self._thermal.inlet_K
        return abs(vt.sensor_K - aim_K) > _MOVING_K

    @property
    def rotor_moving(self) -> bool:
        """Whether the spinning rate is on its way somewhere."""
        mas = self.mas
        return abs(mas.rate_Hz - mas.aim_Hz) > _MOVING_Hz

    # ------------------------------------------------------------------------------------- readings

    def sensor_K(self) -> float | None:
        """Return the temperature the unit reports, None if it does not answer."""
        if self.sensor_fault == "silent":
            return None
        if self.sensor_fault == "stuck":
            return self._stuck_K
        noise = keyed_normal(self._seed, "sensor", round(self._now_s() * 2)) * self._thermal.sensor_noise_K
        return round(self.vt.sensor_K + noise, 4)

    def heater_percent(self) -> float:
        """Return the heater's power."""
        return heater_percent(self.vt, self._thermal)

    def gas_L_per_h(self) -> float:
        """Return the measured gas flow."""
        gas = self.vt.gas_L_per_h
        return max(0.0, gas + (keyed_normal(self._seed, "gas", round(self._now_s())) * 1.5 if gas > 1.0 else 0.0))

    def rate_Hz(self) -> float:
        """Return the measured spinning rate."""
        rate = self.mas.rate_Hz
        jitter = keyed_normal(self._seed, "rate", round(self._now_s())) * _JITTER_Hz if rate > 100.0 else 0.0
        return max(0.0, rate + jitter)

    # -------------------------------------------------------------------------------------- changes

    def change_vt(self, **changes: Any) -> None:
        """Change the VT unit (fields of `Vt`) from now on."""
        changed = replace(self.vt, **changes)
        if replace(changed, sensor_K=self._vt.sensor_K, sample_K=self._vt.sample_K) == self._vt:
            return
        self._vt, self._vt_at_s = changed, self._now_s()
        self.changes += 1
        self._remember()

    def change_mas(self, **changes: Any) -> None:
        """Change the spinning unit (fields of `Mas`) from now on."""
        vt = self.vt  # at the old frictional heating
        self._mas, self._mas_at_s = replace(self.mas, **changes), self._now_s()
        self._vt, self._vt_at_s = vt, self._now_s()
        self.changes += 1
        self._remember()

    def fail_sensor(self, how: str) -> None:
        """Let the temperature reading fail (``stuck``, ``silent``) or work again ("")."""
        stuck_K = self.sensor_K()
        self.sensor_fault, self._stuck_K = how, stuck_K if stuck_K is not None else self._stuck_K

    def watch(self) -> None:
        """Begin the history of an acquisition."""
        self.history = [(self._now_s(), self.vt, self.lift_K)]

    def sample_at_K(self, at_s: float) -> float:
        """Return the sample's temperature at a time since `watch`."""
        since_s, vt, lift_K = next((item for item in reversed(self.history) if item[0] <= at_s), self.history[0])
        return after(vt, max(0.0, at_s - since_s), lift_K=lift_K, thermal=self._thermal).sample_K

    def reached_s(self, within_K: float, hold_s: float, give_up_s: float) -> float | None:
        """Return when the sensor will have been within `within_K` for `hold_s`, as things stand; None if never."""
        vt, inside_s = self.vt, 0.0
        for step in range(int(give_up_s)):
            inside_s = inside_s + 1.0 if abs(vt.sensor_K - vt.setpoint_K) <= within_K else 0.0
            if inside_s >= hold_s:
                return self._now_s() + step
            vt = after(vt, 1.0, lift_K=self.lift_K, thermal=self._thermal)
        return None

    def _remember(self) -> None:
        if self.history:
            self.history.append((self._now_s(), self._vt, self.lift_K))

    # ---------------------------------------------------------------------------------------- state

    def plain(self) -> dict[str, Any]:
        """Return plain data for the console's state."""
        return {
            "vt": asdict(self._vt),
            "vt_at_s": self._vt_at_s,
            "mas": asdict(self._mas),
            "mas_at_s": self._mas_at_s,
            "sensor_fault": self.sensor_fault,
            "stuck_K": self._stuck_K,
            "history": [[at_s, asdict(vt), lift_K] for at_s, vt, lift_K in self.history],
        }

    def take_up(self, data: dict[str, Any]) -> None:
        """Go on from plain data."""
        self._vt, self._vt_at_s = Vt(**data["vt"]), data["vt_at_s"]
        self._mas, self._mas_at_s = Mas(**data["mas"]), data["mas_at_s"]
        self.sensor_fault, self._stuck_K = data["sensor_fault"], data["stuck_K"]
        self.history = [(at_s, Vt(**vt), lift_K) for at_s, vt, lift_K in data["history"]]
