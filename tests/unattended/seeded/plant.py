"""Heat, gas and rotor of the spectrometer in memory: what its sensors would read, and what becomes of heat."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.unattended.seeded.sites import ROOM_K

RATE_HZ = 10_000.0
GAS_L_PER_H = 1200.0
_COOLING_TAU_S = 400.0
_RUNAWAY_K_PER_S = 0.2
_RUNAWAY_TO_K = 420.0


@dataclass
class Plant:
    """A heated gas stream and a rotor. Times are the lab's [s].

    Attributes
    ----------
    heating : bool
        The loop is closed.
    setpoint_K, ramp_K_per_s : float
        Where its set point goes, and how fast.
    runs_away : bool
        The loop has lost its set point and heats.
    """

    now_s: float
    sensor_K: float = ROOM_K
    heating: bool = False
    setpoint_K: float = ROOM_K
    ramp_K_per_s: float = 1.0
    runs_away: bool = False
    gas_L_per_h: float = GAS_L_PER_H
    spinning_Hz: float = RATE_HZ

    def advance(self, to_s: float) -> None:
        """Live until then."""
        passed_s = to_s - self.now_s
        if passed_s <= 0.0:
            return
        self.now_s = to_s
        if not self.heating:
            self.sensor_K = ROOM_K + (self.sensor_K - ROOM_K) * math.exp(-passed_s / _COOLING_TAU_S)
            return
        aim_K = _RUNAWAY_TO_K if self.runs_away else self.setpoint_K
        most_K = passed_s * (_RUNAWAY_K_PER_S if self.runs_away else self.ramp_K_per_s)
        self.sensor_K += math.copysign(min(abs(aim_K - self.sensor_K), most_K), aim_K - self.sensor_K)

    def arrives_s(self) -> float:
        """How long until the set point is reached, as far as the loop obeys it [s]."""
        return abs(self.setpoint_K - self.sensor_K) / self.ramp_K_per_s if self.heating else 0.0

    def readings(self) -> dict[str, float]:
        """What the sensors read now."""
        power = 5.0 + 0.4 * (self.sensor_K - ROOM_K) + (20.0 if self.runs_away else 0.0)
        return {
            "sensor_K": self.sensor_K,
            "heater_percent": min(100.0, power) if self.heating else 0.0,
            "gas_L_per_h": self.gas_L_per_h,
            "spinning_Hz": self.spinning_Hz,
        }
