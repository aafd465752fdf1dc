"""VT unit, heater, gas, spinning and the temperature of the sample: pure functions of state and time.

A loop that holds its set point is first order, with the heater limited to 0-100 %: while the limit is reached the
probe follows the gas as it can (`plant_s`), within it the sensor approaches the set point (`loop_s`). Both pieces are
exponentials, so any stretch of time costs the same and no step size enters. The sample follows the sensor, lifted by
frictional heating.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

from labctl_sim_topspin._settings import Friction, Thermal


def friction_K(rate_Hz: float, friction: Friction) -> float:
    """Return by how much spinning warms the sample above the sensor."""
    f_kHz = rate_Hz / 1000.0
    return max(0.0, friction.quadratic_K_per_kHz2 * f_kHz**2 + friction.linear_K_per_kHz * f_kHz)


def keyed_normal(*key: object) -> float:
    """Return one draw of a standard normal that depends on nothing but `key`."""
    digest = hashlib.blake2b("\x1f".join(map(str, key)).encode("utf-8"), digest_size=16).digest()
    u = (int.from_bytes(digest[:8], "big") + 1) / (2.0**64 + 1)
    v = int.from_bytes(digest[8:], "big") / 2.0**64
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vt:
    """The VT unit and the sample at one moment.

    `tripped` holds why the unit cut its own heater ("" if it did not). `gas_L_per_h` is what flows,
    `gas_target_L_per_h` what was asked for. `offset_K` is by how much the loop misses its set point.
    """

    setpoint_K: float
    sensor_K: float
    sample_K: float
    gas_L_per_h: float
    gas_target_L_per_h: float
    heater_on: bool = True
    tripped: str = ""
    offset_K: float = 0.0

    @property
    def heating(self) -> bool:
        """Whether the heater may draw power."""
        return self.heater_on and not self.tripped

    @property
    def aim_K(self) -> float:
        """Where the loop leads the sensor to."""
        return self.setpoint_K + self.offset_K


def heater_percent(vt: Vt, thermal: Thermal) -> float:
    """Return the heater power that the loop draws."""
    if not vt.heating or vt.gas_L_per_h < thermal.gas_cutout_L_per_h:
        return 0.0
    pull_K = thermal.plant_s * (vt.aim_K - vt.sensor_K) / thermal.loop_s
    return min(100.0, max(0.0, (vt.sensor_K - thermal.inlet_K + pull_K) / _gain(vt, thermal)))


def after(vt: Vt, dt_s: float, *, lift_K: float, thermal: Thermal) -> Vt:
    """Return the unit and the sample `dt_s` later, nothing having been changed in between.

    Parameters
    ----------
    lift_K : float
        Frictional heating of the sample above the sensor.
    """
    sensor_K, sample_K, left_s = vt.sensor_K, vt.sample_K, dt_s
    while left_s > 0.0:
        aim_K, tau_s, until_s = _piece(vt, sensor_K, thermal)
        step_s = min(left_s, until_s)
        sensor_K, sample_K = _relax(sensor_K, sample_K, aim_K, tau_s, step_s, lift_K, thermal)
        left_s -= step_s
    return replace(vt, sensor_K=sensor_K, sample_K=sample_K)


def settled(vt: Vt, *, lift_K: float, thermal: Thermal) -> bool:
    """Whether sensor and sample are where set point and calibration say."""
    return (
        vt.heating
        and abs(vt.sensor_K - vt.aim_K) < thermal.settled_K
        and abs(vt.sample_K - vt.aim_K - lift_K) < thermal.settled_K
    )


def _gain(vt: Vt, thermal: Thermal) -> float:
    return thermal.heater_K_per_percent * thermal.gas_L_per_h / max(vt.gas_L_per_h, thermal.gas_cutout_L_per_h)


def _piece(vt: Vt, sensor_K: float, thermal: Thermal) -> tuple[float, float, float]:
    """Return (aim, time constant, how long it holds) of the exponential that begins at `sensor_K`."""
    if vt.gas_L_per_h < thermal.gas_cutout_L_per_h:
        return thermal.ambient_K, thermal.still_s, math.inf
    if not vt.heating:
        return thermal.inlet_K, thermal.plant_s, math.inf
    ratio = thermal.plant_s / thermal.loop_s
    top_K = thermal.inlet_K + 100.0 * _gain(vt, thermal)
    for limit_K, beyond in ((top_K, 1.0), (thermal.inlet_K, -1.0)):
        edge_K = (ratio * vt.aim_K - limit_K) / (ratio - 1.0)  # where the loop comes off the heater's limit
        if (edge_K - sensor_K) * beyond > 1e-9:
            share = (edge_K - limit_K) / (sensor_K - limit_K) if sensor_K != limit_K else 1.0
            reached_s = -thermal.plant_s * math.log(share) if 0.0 < share < 1.0 else math.inf
            return limit_K, thermal.plant_s, max(reached_s, 1e-6)
    return vt.aim_K, thermal.loop_s, math.inf


def _relax(
    sensor_K: float, sample_K: float, aim_K: float, tau_s: float, dt_s: float, lift_K: float, thermal: Thermal
) -> tuple[float, float]:
    lag_s = thermal.sample_s if abs(thermal.sample_s / tau_s - 1.0) > 1e-6 else tau_s * (1.0 + 1e-6)
    fast, slow = math.exp(-dt_s / tau_s), math.exp(-dt_s / lag_s)
    off_K = sensor_K - aim_K
    follow_K = off_K * tau_s / (tau_s - lag_s)
    rest_K = aim_K + lift_K
    return aim_K + off_K * fast, rest_K + follow_K * fast + (sample_K - rest_K - follow_K) * slow


@dataclass(frozen=True, slots=True, kw_only=True)
class Mas:
    """The spinning unit at one moment: where the rate is and where it is going.

    `regulated` rotors move to `target_Hz + offset_Hz` at `slew_Hz_per_s`; others lose their rate with `decay_s`.
    """

    rate_Hz: float
    target_Hz: float
    regulated: bool = True
    offset_Hz: float = 0.0
    error: str = ""
    slew_Hz_per_s: float = 50.0
    decay_s: float = 25.0

    @property
    def aim_Hz(self) -> float:
        """Where the rate is going."""
        return max(0.0, self.target_Hz + self.offset_Hz) if self.regulated else 0.0


def mas_after(mas: Mas, dt_s: float) -> Mas:
    """Return the spinning unit `dt_s` later."""
    if mas.regulated:
        change_Hz = mas.aim_Hz - mas.rate_Hz
        step_Hz = math.copysign(min(abs(change_Hz), mas.slew_Hz_per_s * dt_s), change_Hz)
        return replace(mas, rate_Hz=mas.rate_Hz + step_Hz)
    rate_Hz = mas.rate_Hz * math.exp(-dt_s / mas.decay_s)
    return replace(mas, rate_Hz=rate_Hz if rate_Hz > 1.0 else 0.0)
