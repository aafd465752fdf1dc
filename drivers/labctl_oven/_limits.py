"""Hardware limits of an oven, and what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.errors import InstrumentError, SafetyRefusal

SAFE_SETPOINT_K = 298.15
"""Where a parked loop's set point stands."""

NEEDED_LIMITS = ("sensor_max_K", "sample_max_K", "ramp_max_K_per_s")
"""What a real oven is not heated without."""

_REHEARSAL: Mapping[str, float] = {"sensor_max_K": 473.15, "sample_max_K": 473.15, "ramp_max_K_per_s": 10.0 / 60.0}
_COLDEST_K = 173.15


@dataclass(frozen=True, slots=True, kw_only=True)
class OvenLimits:
    """Limits of the oven's sensor and of the cell in it.

    `overshoot_K` is what the oven may overshoot by: a set point is refused if set point plus overshoot is beyond what
    the cell bears.
    """

    sensor_max_K: float
    sample_max_K: float
    ramp_max_K_per_s: float
    sensor_min_K: float = _COLDEST_K
    overshoot_K: float = 5.0

    @property
    def trip_K(self) -> float:
        """Above this the oven is too hot for itself or for what is in it."""
        return min(self.sensor_max_K, self.sample_max_K)

    def refuse(self, setpoint_K: float, ramp_K_per_s: float, *, station: str) -> None:
        """Return if a set point may be sent.

        Raises
        ------
        InstrumentError
            It, or its overshoot, is beyond a limit, or the ramp is too steep.
        """
        what = ""
        if setpoint_K > self.sensor_max_K:
            what = f"set point {setpoint_K:.2f} K is above the limit sensor_max = {self.sensor_max_K:.2f} K"
        elif setpoint_K < self.sensor_min_K:
            what = f"set point {setpoint_K:.2f} K is below the limit sensor_min = {self.sensor_min_K:.2f} K"
        elif setpoint_K > SAFE_SETPOINT_K and setpoint_K + self.overshoot_K > self.sample_max_K:
            what = (
                f"set point {setpoint_K:.2f} K and an overshoot of {self.overshoot_K:g} K are above the limit"
                f" sample_max = {self.sample_max_K:.2f} K"
            )
        elif not 0.0 < ramp_K_per_s <= self.ramp_max_K_per_s * (1.0 + 1e-9):
            steepest = 60.0 * self.ramp_max_K_per_s
            what = f"ramp {60.0 * ramp_K_per_s:.3g} K/min is not within 0 to ramp_max = {steepest:.3g} K/min"
        if what:
            raise InstrumentError(f"refused for safety: {what}", instrument=station)


def read_limits(
    limits: Mapping[str, float] | None, *, station: str, simulated: bool, overshoot_K: float = 5.0
) -> OvenLimits:
    """Return the limits of an oven, with generous ones filled in where nothing can break.

    Raises
    ------
    SafetyRefusal
        A real oven without a limit it needs.
    """
    given = dict(limits or {})
    missing = [name for name in NEEDED_LIMITS if name not in given]
    if missing and not simulated:
        raise SafetyRefusal(
            f"{station}: an oven is not heated without hardware limits; missing: {', '.join(missing)}",
            expected=f"all of them under stations.{station}.limits in the lab file",
        )
    whole = {**_REHEARSAL, **given}
    return OvenLimits(
        sensor_max_K=whole["sensor_max_K"],
        sample_max_K=whole["sample_max_K"],
        ramp_max_K_per_s=whole["ramp_max_K_per_s"],
        sensor_min_K=whole.get("sensor_min_K", _COLDEST_K),
        overshoot_K=overshoot_K,
    )
