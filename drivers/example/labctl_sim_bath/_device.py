"""The bath itself: a loop over a heated mass (`labctl_sim_oven`), what its commands do, and how it takes faults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labctl_sim_oven import Gains, Oven, Regulator, Thermal, plain_of

ZERO_C_K = 273.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The `simulator:` block of a simulated bath."""

    thermal: Thermal = field(default_factory=Thermal)
    gains: Gains = field(default_factory=Gains)
    latency_s: float = 0.01


@dataclass(slots=True)
class Flags:
    """What the bath remembers beside its loop."""

    limit_C: float = 200.0
    mains_failed: bool = False
    locked: bool = False
    setpoint_ignored: bool = False


class Bath:
    """One bath."""

    def __init__(self, settings: Settings, *, seed: int, born_s: float) -> None:
        self.settings = settings
        start = Regulator(target_K=298.15, working_K=298.15, mode="off")
        self.oven = Oven(settings.thermal, settings.gains, seed=seed, born_s=born_s, regulator=start)
        self.flags = Flags()

    # --------------------------------------------------------------------------------------- commands

    def status(self) -> str:
        """Return what ``STATUS`` answers."""
        loop, broken = self.oven.regulator, self.oven.ailments.sensor_broken
        sensor_C = self.oven.sensor_K() - ZERO_C_K
        working_C = loop.working_K - ZERO_C_K if self.runs else sensor_C  # standing still it follows the bath
        return (
            f"{'none' if broken else f'{sensor_C:.3f}'} {loop.target_K - ZERO_C_K:.3f} {working_C:.3f}"
            f" {loop.output_percent:.1f} {int(self.runs)} {int(self.flags.mains_failed)}"
        )

    @property
    def runs(self) -> bool:
        """Whether it regulates."""
        return self.oven.regulator.mode == "auto"

    def set(self, name: str, value: float) -> str:
        """Carry out a command that sets something; returns the answer."""
        if self.flags.locked:
            return "NO LOCKED"
        match name:
            case "SP" if value <= self.flags.limit_C:
                if not self.flags.setpoint_ignored:
                    self._aim(value + ZERO_C_K)
            case "RATE" if 0.0 < value <= 20.0:
                self.oven.set(ramp_K_per_s=value / 60.0)
            case "LIMIT":
                self.flags.limit_C = value
            case "RUN" if value in {0.0, 1.0}:
                self._run(on=value == 1.0)
            case _:
                return "NO RANGE"
        return "OK"

    def _aim(self, target_K: float) -> None:
        self.oven.set(target_K=target_K, **({} if self.runs else {"working_K": target_K}))

    def _run(self, *, on: bool) -> None:
        if on and not self.runs:  # the working set point leaves the temperature the bath has
            self.flags.mains_failed = False
            self.oven.set(mode="auto", working_K=self.oven.nodes.sensor_K, sensor_before_K=None)
        elif not on:
            self.oven.set(mode="off", working_K=self.oven.regulator.target_K)

    # ----------------------------------------------------------------------------------------- faults

    def suffer(self, kind: str) -> None:
        """A fault of the bath begins."""
        match kind:
            case "power_dip":
                self.flags.mains_failed = True
                self._run(on=False)
            case "heater_trip":
                self._run(on=False)
            case "local_mode":
                self.flags.locked = True
            case "setpoint_ignored":
                self.flags.setpoint_ignored = True

    def mend(self, kind: str) -> None:
        """A fault of the bath ends."""
        match kind:
            case "local_mode":
                self.flags.locked = False
            case "setpoint_ignored":
                self.flags.setpoint_ignored = False

    # ------------------------------------------------------------------------------------------ state

    def settings_made(self) -> dict[str, Any]:
        """Return what was written to it: when that changes, the state is saved."""
        return self.plain()

    def plain(self) -> dict[str, Any]:
        """Return plain data for the state on disk."""
        return plain_of(self.flags)

    def take_up(self, data: dict[str, Any]) -> None:
        """Go on from plain data."""
        self.flags = Flags(**data)
