"""What an interlock says to whoever is woken by it: what was seen, what can come of it, what to do. Pure.

Three short sentences, in this order, without names of programs' variables: at three in the morning nobody looks up
what ``ramp_max_K_per_s`` was. The interlock's own name is for the journal, and stands behind them in brackets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from labctl.ports import FAULT
from labctl.units import duration_text

_WONDERED_AT_K = 288.15
_LOOK = "Look at the heater; if it goes on heating, switch the mains off by hand"
_ROTOR = "Hazard: the rotor may be cracked or touch the stator. Do not eject it hot, do not spin it up again unseen"

_NAMES = {
    "sensor_K": "the temperature sensor",
    "sample_K": "the sample's temperature",
    "gas_L_per_h": "the gas flow",
    "heater_percent": "the heater power",
    "spinning_Hz": "the spinning rate",
    "setpoint_K": "the set point",
    "voltage_V": "the cell's voltage",
    "current_A": "the cell's current",
}

_BEYOND: Mapping[str, str] = {
    "sensor_max_K": f"too hot. {{hot}}. {_LOOK}",
    "sample_max_K": f"too hot for the sample. {{hot}}. {_LOOK}",
    "sensor_min_K": "too cold. Hazard: ice in the gas line, cracked seals. Look at the gas supply and its cooling",
    "gas_max_L_per_h": "too much gas. Hazard: the heater cannot hold the temperature. Look at the gas supply",
    "gas_min_L_per_h": "too little gas. Hazard: without gas the heater burns out, and hot parts are not cooled."
    " Look at the gas supply; no heat before gas flows again",
    "heater_max_percent": "more power than this temperature can need. Hazard: the heat goes somewhere else (no gas, an"
    f" open door, a sensor that fell out). {_LOOK}",
    "spinning_max_Hz": "too fast. Hazard: the rotor can burst. Stay away from the bore, and take the rate down at the"
    " console",
    "spinning_max_hot_Hz": "too fast for a hot rotor. Hazard: the rotor can burst. Stay away from the bore, and take"
    " the rate down at the console",
    "spinning_tolerance_Hz": f"the rotor is off its rate. The heater goes off, the gas stays on. {_ROTOR}",
}

_FAULTS: Mapping[str, str] = {
    "test_suspended": "the cycler's test stands suspended, and nobody came. Hazard: none, the cell is at open circuit."
    " Look at the cell and at why it was suspended, resume or end the test at the tester, then resume the campaign",
    "sensor": "the temperature sensor is broken or not connected. Hazard: nobody knows how hot it is. Look at the"
    " sensor and its cable before any heat",
    "heater": "the controller says that its heater is faulty. Hazard: a short circuit, or no heat. Look at the heater"
    " and its cable",
    "heater_off_unasked": "the heater went off, and nobody asked for that. Hazard: none while it is off; something"
    " tripped it (a cut-out, mains, a person). Find out what before you put the set point to 25 °C and go on",
    "heater_welded": "the heater goes on heating although it is switched off. Hazard: FIRE, and a cell that bursts."
    " Switch the oven's mains off by hand now",
    "heater_not_heating": "the heater is at full power and it gets no warmer. Hazard: burnt-out heater, open door, or a"
    " sensor that fell out while the inside overheats. Look before any heat",
    "sensor_frozen": "the temperature reading no longer changes. Hazard: it may be an old one, and nobody knows how hot"
    " it is. Look at controller and sensor",
    "over_temperature": f"hotter than oven or cell may be. {{hot}}. {_LOOK}",
    "power_failed": "the controller lost its mains and came back. Hazard: none while the heater is off. Look whether"
    " the rest of the lab came back too, before any heat",
    "setpoint_changed": "somebody else changed the set point. Hazard: a temperature that nobody planned. Ask who is at"
    " the controller",
    "controller": "the controller no longer regulates by itself (manual, or another mode). Hazard: power that nothing"
    " regulates. Look at its front panel",
}


def _hot(*, rotor: bool) -> str:
    if rotor:
        return "Hazard: probe and rotor; do not eject a hot rotor"
    return "Hazard: the cell may leak or burst, and sulphides give H2S; do not open it hot"


def shown(quantity: str, value: float) -> str:
    """Return a value as people say it: degrees Celsius, kHz, L/h, percent."""
    if quantity.endswith("_K"):
        return f"{value - 273.15:.1f} °C"
    if quantity.endswith("_Hz"):
        return f"{value / 1000.0:.2f} kHz"
    if quantity.endswith("_L_per_h"):
        return f"{value:.0f} L/h"
    return f"{value:.0f} %" if quantity.endswith("_percent") else f"{value:g}"


def named(quantity: str) -> str:
    """Return what a monitored quantity is called."""
    return _NAMES.get(quantity, quantity)


def beyond(limit: str, quantity: str, value: float, bound: float, *, above: bool, rotor: bool) -> str:
    """Say that a quantity is on the wrong side of a limit.

    Parameters
    ----------
    above : bool
        It is above a highest value; else below a lowest one.
    rotor : bool
        The station has a rotor; else what is in it is a cell.
    """
    side = "at most" if above else "at least"
    if math.isnan(value):
        seen = f"{named(quantity)} reads as no number"
    else:
        seen = f"{named(quantity)} is {shown(quantity, value)}, and {side} {shown(quantity, bound)} is allowed"
    return f"{seen}: {_BEYOND[limit].format(hot=_hot(rotor=rotor))}"


def fault(quantity: str, *, rotor: bool) -> str:
    """Say what an instrument reports against itself (``fault/<name>``)."""
    name = quantity.removeprefix(FAULT)
    known = _FAULTS.get(name)
    if known is None:
        return f"the instrument reports a fault of its own: {name.replace('_', ' ')}. Look at its display"
    return known.format(hot=_hot(rotor=rotor))


def too_steep(slope_K_per_s: float, steepest_K_per_s: float, *, heater_percent: float | None, rotor: bool) -> str:
    """Say that the temperature moves faster than any ramp may."""
    rate, most = 60.0 * abs(slope_K_per_s), 60.0 * steepest_K_per_s
    power = "" if heater_percent is None else f", the heater at {heater_percent:.0f} %"
    if slope_K_per_s > 0.0:
        return (
            f"it heats up by {rate:.1f} K/min{power}; at most {most:.1f} K/min is allowed: the heat is out of control."
            f" {_hot(rotor=rotor)}. {_LOOK}"
        )
    return (
        f"it cools by {rate:.1f} K/min although the heater is on{power}; at most {most:.1f} K/min is allowed."
        " Hazard: a shock of cold cracks rotors and cells (an open door, cold gas). Look what cools it"
    )


def heater_gone(sensor_K: float, wanted_K: float) -> str:
    """Say that a measurement goes on while the heat is gone."""
    return (
        f"the heater is off and the sensor reads {shown('sensor_K', sensor_K)} where {shown('sensor_K', wanted_K)} was"
        " set: the heater tripped, or somebody switched it off. Hazard: none while it is off, but what is measured now"
        " is at the wrong temperature. Find out what tripped it before any heat"
    )


def runaway(sensor_K: float, wanted_K: float, *, rotor: bool) -> str:
    """Say that it is much hotter than a measurement's set point."""
    return (
        f"the sensor reads {shown('sensor_K', sensor_K)} where {shown('sensor_K', wanted_K)} was set: the regulator has"
        f" lost its set point, and what is measured now is at the wrong temperature. {_hot(rotor=rotor)}. {_LOOK}"
    )


def unread(oldest: str, age_s: float, *, growing: bool, trips: bool) -> str:
    """Say that a quantity, or the whole station, has not been read for long."""
    if oldest:
        what = f"{named(oldest)} was last read {duration_text(age_s)} ago"
    else:
        what = f"there have been no readings at all for {duration_text(age_s)}"
    goes_on = ", while the acquisition goes on" if growing else ""
    if trips:
        return f"{what}{goes_on}. Hazard: nobody knows how hot it is. Look at instrument, computer and cables"
    return f"{what}{goes_on}. Look at the instrument's computer and its cables"


def because(what: str, why: str) -> str:
    """Add what the instrument, or its line, had to say for itself."""
    return f"{what}. It says: {why}" if why else what


def cooling(readings: Mapping[str, float]) -> str:
    """Say why a station that nothing heats any more is so cold; empty where there is nothing to wonder about.

    Bench practice: where the rotor is lost, and at the end of a plan, the heater goes off and the gas stays on. Gas
    from a chiller then takes the probe to its own temperature, and no further.
    """
    sensor_K, heater_percent = readings.get("sensor_K", math.nan), readings.get("heater_percent", math.nan)
    if not (sensor_K < _WONDERED_AT_K and heater_percent <= 1.0 and readings.get("gas_L_per_h", 0.0) > 0.0):
        return ""
    return (
        "the heater is off and the gas stays on, as it must: it cools to the temperature of the gas and no further."
        " Take the chiller off if probe or sample may not be so cold"
    )


def unanswered(age_s: float, *, trips: bool) -> str:
    """Say that readings come, and nothing is heard of what runs there."""
    what = f"nothing was heard of what runs there for {duration_text(age_s)}"
    if trips:
        return f"{what}. Hazard: nobody knows whether it goes on. Look at the instrument and what its screen says"
    return f"{what}. Look at the instrument and what its screen says"


def not_made_safe(why: str, since_s: float) -> str:
    """Say that an instrument does not go to its safe state, or gives no account of it; `why` is its last answer."""
    return (
        f"it could not be made safe for {duration_text(since_s)}: {why.rstrip('.')}. Hazard: heat, pulses or current"
        " may be on, and labctl cannot take them away. Go there now and switch it off by hand (heater or mains, cell"
        " switch, channel); labctl keeps trying"
    )
