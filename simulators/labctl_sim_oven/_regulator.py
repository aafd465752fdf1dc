"""What the firmware of a temperature controller does in one sampling interval: walk the set point, regulate. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

Mode = Literal["off", "manual", "auto"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gains:
    """PID in the parallel form controllers show: gain [%/K], integral and derivative times [s].

    Without `anti_windup` the integral goes on growing while the heater is at its limit, and the oven overshoots.
    """

    gain_percent_per_K: float = 10.0
    integral_s: float = 480.0
    derivative_s: float = 60.0
    anti_windup: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Regulator:
    """A loop at one moment.

    `target_K` was asked for, `working_K` is where the ramp has come to; `ramp_K_per_s` 0: no ramp, it steps.
    """

    target_K: float
    working_K: float
    ramp_K_per_s: float = 0.0
    mode: Mode = "off"
    manual_percent: float = 0.0
    integral_percent: float = 0.0
    output_percent: float = 0.0
    sensor_before_K: float | None = None

    @property
    def ramping(self) -> bool:
        """Whether the set point is on its way."""
        return self.working_K != self.target_K

    def ramp_ends_in_s(self) -> float:
        """Return how long the set point is still on its way [s]."""
        if not self.ramping:
            return 0.0
        return abs(self.target_K - self.working_K) / self.ramp_K_per_s if self.ramp_K_per_s > 0.0 else 0.0


def walked(regulator: Regulator, dt_s: float) -> Regulator:
    """Return the loop with its set point moved on by `dt_s` of ramp."""
    if not regulator.ramping:
        return regulator
    if regulator.ramp_K_per_s <= 0.0:
        return replace(regulator, working_K=regulator.target_K)
    left_K = regulator.target_K - regulator.working_K
    step_K = regulator.ramp_K_per_s * dt_s
    if abs(left_K) <= step_K * (1.0 + 1e-9):
        return replace(regulator, working_K=regulator.target_K)
    return replace(regulator, working_K=regulator.working_K + math.copysign(step_K, left_K))


def regulated(regulator: Regulator, sensor_K: float, dt_s: float, gains: Gains) -> Regulator:
    """Return the loop after one sampling: its output follows from the sensor, clamped to 0-100 %."""
    if regulator.mode == "off":
        return _driving(regulator, 0.0, 0.0, sensor_K)
    if regulator.mode == "manual":
        output = min(100.0, max(0.0, regulator.manual_percent))
        return _driving(regulator, output, output, sensor_K)
    error_K = regulator.working_K - sensor_K
    before_K = sensor_K if regulator.sensor_before_K is None else regulator.sensor_before_K
    proportional = gains.gain_percent_per_K * error_K
    derivative = -gains.gain_percent_per_K * gains.derivative_s * (sensor_K - before_K) / dt_s
    change = gains.gain_percent_per_K * error_K * dt_s / gains.integral_s
    wanted = proportional + derivative + regulator.integral_percent + change
    saturated = (wanted > 100.0 and change > 0.0) or (wanted < 0.0 and change < 0.0)
    integral = regulator.integral_percent + (0.0 if saturated and gains.anti_windup else change)
    output = min(100.0, max(0.0, proportional + derivative + integral))
    return _driving(regulator, output, integral, sensor_K)


def _driving(regulator: Regulator, output_percent: float, integral_percent: float, sensor_K: float) -> Regulator:
    """Return the loop with another output (`replace` costs more than all of the arithmetic)."""
    return Regulator(
        target_K=regulator.target_K,
        working_K=regulator.working_K,
        ramp_K_per_s=regulator.ramp_K_per_s,
        mode=regulator.mode,
        manual_percent=regulator.manual_percent,
        integral_percent=integral_percent,
        output_percent=output_percent,
        sensor_before_K=sensor_K,
    )
