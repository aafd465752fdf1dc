"""Looking at an oven before a campaign: what its controller says, against limits and the temperatures wanted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from labctl.errors import InstrumentError
from labctl.ports import AwaitStable, Check, CoolDown, Errand, SetTemperature
from labctl_oven._limits import SAFE_SETPOINT_K, OvenLimits

_ROOM_K = 273.15 + 40.0
_SAME_K = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a controller says when it is only asked.

    Attributes
    ----------
    identity : str
        Maker, model and firmware, as far as it tells.
    own_limit_K : float or None
        Above this the controller itself does not heat, or takes no set point; None: no such limit is set.
    parked : bool
        Heater off and set point at 25 °C or below: labctl may begin from there.
    """

    identity: str
    limits: OvenLimits
    sensor_K: float | None
    sample_K: float | None
    setpoint_K: float
    heating_allowed: bool
    parked: bool
    own_limit_K: float | None
    faults: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Surveyed(Protocol):
    """A `TemperatureController` that can be asked without being taken."""

    def survey(self) -> Survey:
        """Ask everything and set nothing; raises `InstrumentError` as the controller's other methods do."""
        ...


def oven_checks(errand: Errand, seen: Survey, *, station: str) -> tuple[Check, ...]:
    """Return what speaks for and against heating this oven as the campaign wants."""
    return (
        Check(verdict="ok", what="the oven's controller answers", value=seen.identity),
        *_sensors(seen),
        *_loop(seen),
        *_limits(seen),
        *_set_points(errand, seen, station),
    )


def _sensors(seen: Survey) -> Iterator[Check]:
    for name, what in seen.faults.items():
        yield Check(
            verdict="refuse", what=f"fault of the oven: {name}", value=what, next_step="A person puts that right first"
        )
    if seen.sensor_K is None:
        yield Check(verdict="refuse", what="the oven's sensor is not read", next_step="Look at sensor and cable")
        return
    hot = seen.sensor_K > seen.limits.trip_K
    yield Check(
        verdict="refuse" if hot else "ok",
        what="temperature of the oven now",
        value=f"{seen.sensor_K:.1f} K" + ("" if seen.sample_K is None else f", of the cell {seen.sample_K:.1f} K"),
        expected=f"at most {seen.limits.trip_K:.1f} K" if hot else "",
        next_step="Let it cool, and find out why it is hot" if hot else "",
    )


def _loop(seen: Survey) -> Iterator[Check]:
    if seen.parked:
        yield Check(verdict="ok", what="the heater is off, and the set point at 25 °C or below")
    elif seen.heating_allowed:
        yield Check(
            verdict="warning",
            what="the oven is regulating already",
            value=f"set point {seen.setpoint_K:.1f} K",
            next_step="Make sure that nobody else uses it; labctl goes on from there",
        )
    else:
        yield Check(
            verdict="refuse",
            what="the heater is off while the set point is up: it tripped, lost power, or somebody switched it off",
            value=f"set point {seen.setpoint_K:.1f} K",
            expected=f"at most {SAFE_SETPOINT_K:.1f} K",
            next_step="A person looks at oven and cell, and sets the set point to 25 °C at its panel",
        )


def _limits(seen: Survey) -> Iterator[Check]:
    """The controller's own limit is set when labctl opens it; one that is wider now is worth a word."""
    own_K = seen.own_limit_K
    if own_K is not None and own_K <= seen.limits.sensor_max_K + _SAME_K:
        yield Check(verdict="ok", what="the controller's own limit", value=f"{own_K:.1f} K")
    else:
        yield Check(
            verdict="warning",
            what="the controller's own limit is wider than the lab file's, or off",
            value="off" if own_K is None else f"{own_K:.1f} K",
            expected=f"at most {seen.limits.sensor_max_K:.1f} K",
            next_step="labctl sets it when the run starts; the independent cut-out is what counts",
        )


def _set_points(errand: Errand, seen: Survey, station: str) -> Iterator[Check]:
    wanted = {
        (task.setpoint_K, task.ramp_K_per_s) for task in errand.tasks if isinstance(task, SetTemperature | CoolDown)
    }
    for setpoint_K, ramp_K_per_s in sorted(wanted):
        try:
            seen.limits.refuse(setpoint_K, ramp_K_per_s, station=station)
        except InstrumentError as problem:
            yield Check(
                verdict="refuse",
                what=problem.what,
                next_step="Lower the temperature, or correct the limits if they err",
            )
    soaks_K = [task.setpoint_K for task in errand.tasks if isinstance(task, AwaitStable)]
    if soaks_K and min(soaks_K) < _ROOM_K and seen.sensor_K is not None and seen.sensor_K > min(soaks_K) + 2.0:
        yield Check(
            verdict="warning",
            what="the oven is warmer than the campaign's coldest temperature, and ovens cool slowly",
            value=f"{seen.sensor_K:.1f} K",
            expected=f"{min(soaks_K):.1f} K",
            next_step="Let it cool before the run, or expect the first step to give up",
        )
    if wanted:
        hottest_K = max(setpoint_K for setpoint_K, _ in wanted)
        yield Check(verdict="ok", what="hottest set point of the campaign", value=f"{hottest_K:.1f} K")
