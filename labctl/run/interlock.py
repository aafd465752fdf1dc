"""Interlocks: readings against the limits of the lab file, in every phase, on values and on silence. Pure.

A limit trips at its second broken poll in a row (hysteresis), never on one odd value; it trips once and is armed
again after two good polls. Heater power has to stay too high for longer than a loop saturates after a step of its
set point, however often the engine looks in that time. What an instrument says against itself (``fault/...``) is a
limit too. Limits that agents need time to fulfil (gas, rate, freshness) have a grace period after the engine came; the
upper temperature limits have none. Silence alarms first. While raw data grow it goes to safe only after a long time: a
false trip that kills a 40 h 2D is as bad as a missed one.

What cools by itself with the heater off cools as fast as it likes: after a trip, or a heater switched off because the
rotor was lost, that is no fault of its own. A heater that is off while the sensor is far below a set point that is to
be held is one, by its own name (``heater_off``); so is a sensor far above the set point of a measurement
(``runaway``). What is said to people stands in `labctl.run.hazards`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from labctl.ports import FAULT, Reading
from labctl.run import hazards

T = TypeVar("T")

Calibration = Callable[[float, float], tuple[float, float, str]]
"""``(sensor_K, spinning_Hz) -> (sample_K, standard error, model)``."""

_BOUNDS: tuple[tuple[str, str, int], ...] = (
    ("sensor_max_K", "sensor_K", +1),
    ("sensor_min_K", "sensor_K", -1),
    ("sample_max_K", "sample_K", +1),
    ("gas_max_L_per_h", "gas_L_per_h", +1),
    ("gas_min_L_per_h", "gas_L_per_h", -1),
    ("heater_max_percent", "heater_percent", +1),
    ("spinning_max_Hz", "spinning_Hz", +1),
)
_NO_GRACE = frozenset({"sensor_max_K", "sample_max_K"})
SILENCES = frozenset({"silence", "silence_alarm", "unanswered", "unanswered_alarm"})
_POLLS = 2
_RATE_WINDOW_S = 30.0  # shorter differences of a 0.1 K sensor are noise
_LASTING_S = {"heater_max_percent": 20.0}  # a step of a few kelvins saturates a healthy loop for several seconds
_HEATER_OFF_PERCENT = 1.0
_HEAT_GONE_K = 5.0  # a spectrum is lost by then, and no regulator undershoots so far without heating


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """When missing readings alarm and when they trip [s]; `growing_s` while raw data grow."""

    alarm_s: float = 60.0
    trip_s: float = 120.0
    growing_s: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit broken for long enough, or an alarm that is not one yet (`trips` false)."""

    limit: str
    detail: str
    value: float | None = None
    bound: float | None = None
    trips: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Vigil:
    """What the interlocks of one station remember between polls."""

    since_s: float
    broken: Mapping[str, int] = field(default_factory=dict)
    broken_since_s: Mapping[str, float] = field(default_factory=dict)
    good: Mapping[str, int] = field(default_factory=dict)
    latched: frozenset[str] = frozenset()
    ramp_from: Reading | None = None
    last_s: Mapping[str, float] = field(default_factory=dict)
    """When each quantity was last read; one that is missing from the readings grows old like a stale one."""
    suspicious: bool = False
    """Something is broken but has not tripped: poll soon."""


def judge(
    vigil: Vigil,
    readings: tuple[Reading, ...],
    limits: Mapping[str, float],
    *,
    now_s: float,
    grace_s: float,
    silence: Silence,
    spinning_Hz: float = 0.0,
    spinning_tolerance_Hz: float = 0.0,
    data_growing: bool = False,
    calibration: Calibration | None = None,
    held_K: float | None = None,
    measuring: bool = False,
    unanswered_s: float = 0.0,
) -> tuple[Vigil, tuple[Breach, ...]]:
    """Return the vigil after one poll, and what it found.

    Parameters
    ----------
    limits : mapping
        Of the lab file, SI unit in each name; those that bound no reading are left to plan and driver.
    now_s : float
        Wall time, as in `Reading.at_s`.
    grace_s : float
        After `Vigil.since_s`, during which only upper temperature limits count.
    spinning_Hz, spinning_tolerance_Hz : float
        What the rotor should do now; 0 Hz: nothing is expected of it.
    data_growing : bool
        Raw data grow, or an acquisition is under way: it lives although its agents may be silent.
    held_K : float or None
        What the sensor should read; None: nothing has to be held now.
    measuring : bool
        Something is measured there: the loop has had its time to overshoot and come back.
    unanswered_s : float
        How long nothing has been heard of the order under way, though it was asked about [s].
    """
    values = {reading.quantity: reading.value for reading in readings}
    if calibration is not None and "sensor_K" in values:
        expected_K = calibration(values["sensor_K"], values.get("spinning_Hz", 0.0))[0]
        values["sample_K"] = max(expected_K, values.get("sample_K", expected_K))  # a sensor at the cell may be hotter
    in_grace = now_s < vigil.since_s + grace_s
    rotor = not {"spinning_Hz", "gas_L_per_h"}.isdisjoint(values.keys() | vigil.last_s.keys())
    found: dict[str, Breach] = {}
    checked: set[str] = set()

    def bound(limit: str, quantity: str, sign: int, at: float) -> None:
        if quantity not in values or (in_grace and limit not in _NO_GRACE):
            return
        checked.add(limit)
        if sign * (values[quantity] - at) > 0.0 or values[quantity] != values[quantity]:
            detail = hazards.beyond(limit, quantity, values[quantity], at, above=sign > 0, rotor=rotor)
            found[limit] = Breach(limit=limit, detail=detail, value=values[quantity], bound=at)

    for limit, quantity, sign in _BOUNDS:
        if limit in limits:
            bound(limit, quantity, sign, limits[limit])
    if "spinning_max_hot_Hz" in limits and values.get("sample_K", values.get("sensor_K", 0.0)) > limits.get(
        "hot_above_K", float("inf")
    ):
        bound("spinning_max_hot_Hz", "spinning_Hz", +1, limits["spinning_max_hot_Hz"])
    if spinning_Hz > 0.0:
        tolerance_Hz = max(spinning_tolerance_Hz, limits.get("spinning_tolerance_Hz", 0.0))
        bound("spinning_tolerance_Hz", "spinning_Hz", -1, spinning_Hz - tolerance_Hz)
        if "spinning_tolerance_Hz" not in found:
            bound("spinning_tolerance_Hz", "spinning_Hz", +1, spinning_Hz + tolerance_Hz)
    _judge_faults(vigil, values, checked, found, rotor=rotor)
    ramp_from = _judge_ramp(vigil, readings, limits, checked, found, rotor=rotor)
    _judge_heat(values, held_K, checked, found, measuring=measuring, rotor=rotor)
    last_s = {**vigil.last_s, **{r.quantity: r.at_s for r in readings if not r.quantity.startswith(FAULT)}}
    if not in_grace:
        _judge_silence(last_s, vigil.since_s, limits, now_s, silence, data_growing, checked, found)
    _judge_answers(unanswered_s, silence, checked, found)
    return _remember(replace(vigil, ramp_from=ramp_from, last_s=last_s), checked, found, now_s)


def _judge_faults(
    vigil: Vigil, values: Mapping[str, float], checked: set[str], found: dict[str, Breach], *, rotor: bool
) -> None:
    """Take an instrument's word that it is unwell; there is no grace for that."""
    checked |= {limit for limit in (*vigil.broken, *vigil.latched) if limit.startswith(FAULT)}
    for quantity in values:
        if quantity.startswith(FAULT):
            checked.add(quantity)
            found[quantity] = Breach(limit=quantity, detail=hazards.fault(quantity, rotor=rotor))


def _judge_ramp(
    vigil: Vigil,
    readings: tuple[Reading, ...],
    limits: Mapping[str, float],
    checked: set[str],
    found: dict[str, Breach],
    *,
    rotor: bool,
) -> Reading | None:
    """Compare the sensor's slope [K/s] over the last half minute or more with ``ramp_max_K_per_s``."""
    sensor = next((reading for reading in readings if reading.quantity == "sensor_K"), None)
    heater_percent = next((reading.value for reading in readings if reading.quantity == "heater_percent"), None)
    before = vigil.ramp_from
    if sensor is None or "ramp_max_K_per_s" not in limits:
        return before
    if before is None:
        return sensor
    passed_s = sensor.at_s - before.at_s
    if passed_s < _RATE_WINDOW_S:
        return before
    checked.add("ramp_max_K_per_s")
    slope = (sensor.value - before.value) / passed_s
    heats = heater_percent is not None and heater_percent > _HEATER_OFF_PERCENT
    # half as much again: the set point obeys the limit, the sensor may lag and catch up
    if abs(slope) > 1.5 * limits["ramp_max_K_per_s"] and (slope > 0.0 or heats):
        found["ramp_max_K_per_s"] = Breach(
            limit="ramp_max_K_per_s",
            detail=hazards.too_steep(slope, limits["ramp_max_K_per_s"], heater_percent=heater_percent, rotor=rotor),
            value=slope,
            bound=limits["ramp_max_K_per_s"],
        )
    return sensor


def _judge_heat(
    values: Mapping[str, float],
    held_K: float | None,
    checked: set[str],
    found: dict[str, Breach],
    *,
    measuring: bool,
    rotor: bool,
) -> None:
    """See that a temperature that is to be held is still heated, and that the loop has not left it upwards."""
    checked |= {"heater_off", "runaway"}
    sensor_K, heater_percent = values.get("sensor_K"), values.get("heater_percent")
    if held_K is None or sensor_K is None:
        return
    if measuring and sensor_K > held_K + _HEAT_GONE_K:
        found["runaway"] = Breach(
            limit="runaway", detail=hazards.runaway(sensor_K, held_K, rotor=rotor), value=sensor_K, bound=held_K
        )
    if heater_percent is None:
        return
    if heater_percent <= _HEATER_OFF_PERCENT and sensor_K < held_K - _HEAT_GONE_K:
        found["heater_off"] = Breach(
            limit="heater_off", detail=hazards.heater_gone(sensor_K, held_K), value=sensor_K, bound=held_K
        )


def _judge_silence(
    last_s: Mapping[str, float],
    since_s: float,
    limits: Mapping[str, float],
    now_s: float,
    silence: Silence,
    data_growing: bool,
    checked: set[str],
    found: dict[str, Breach],
) -> None:
    """Judge the age of the quantity read longest ago; a station without limits and readings has nothing to say."""
    if not last_s and not any(limit in limits for limit, _, _ in _BOUNDS):
        return
    checked |= {"silence", "silence_alarm"}
    oldest = min(last_s, key=lambda quantity: last_s[quantity], default="")
    age_s = now_s - last_s.get(oldest, since_s)
    trip_s = silence.growing_s if data_growing else silence.trip_s
    if age_s > trip_s:  # says all that the alarm would
        detail = hazards.unread(oldest, age_s, growing=data_growing, trips=True)
        found["silence"] = Breach(limit="silence", detail=detail, value=age_s, bound=trip_s)
        checked.discard("silence_alarm")
    elif age_s > silence.alarm_s:
        alarm = hazards.unread(oldest, age_s, growing=data_growing, trips=False)
        found["silence_alarm"] = Breach(limit="silence_alarm", detail=alarm, value=age_s, trips=False)


def _judge_answers(unanswered_s: float, silence: Silence, checked: set[str], found: dict[str, Breach]) -> None:
    """Readings may come while nothing is heard of what runs there; the temperature being known, that has more time."""
    checked |= {"unanswered", "unanswered_alarm"}
    if not found.keys().isdisjoint({"silence", "silence_alarm"}) or unanswered_s <= silence.alarm_s:
        return
    alarm = hazards.unanswered(unanswered_s, trips=False)
    found["unanswered_alarm"] = Breach(limit="unanswered_alarm", detail=alarm, value=unanswered_s, trips=False)
    if unanswered_s > silence.growing_s:
        detail = hazards.unanswered(unanswered_s, trips=True)
        found["unanswered"] = Breach(limit="unanswered", detail=detail, value=unanswered_s, bound=silence.growing_s)


def _remember(
    vigil: Vigil, checked: set[str], found: dict[str, Breach], now_s: float
) -> tuple[Vigil, tuple[Breach, ...]]:
    def still(earlier: Mapping[str, T], now: Mapping[str, T]) -> dict[str, T]:
        return {**{limit: value for limit, value in earlier.items() if limit not in checked}, **now}

    broken = {limit: vigil.broken.get(limit, 0) + 1 for limit in found}
    since_s = {limit: vigil.broken_since_s.get(limit, now_s) for limit in found}
    good = {limit: vigil.good.get(limit, 0) + 1 for limit in checked - found.keys()}
    cleared = {limit for limit in vigil.latched if good.get(limit, 0) >= _POLLS}
    lasting = {limit for limit in found if now_s - since_s[limit] >= _LASTING_S.get(limit, 0.0)}
    tripped = {limit for limit in lasting if broken[limit] >= _POLLS} - vigil.latched
    after = replace(
        vigil,
        broken=still(vigil.broken, broken),
        broken_since_s=still(vigil.broken_since_s, since_s),
        good=good,
        latched=(vigil.latched - cleared) | tripped,
        suspicious=any(limit not in vigil.latched | tripped for limit in found),
    )
    return after, tuple(found[limit] for limit in sorted(tripped))
