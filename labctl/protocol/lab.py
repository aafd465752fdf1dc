"""A lab file: stations, drivers, calibrations, hardware limits and signed commissioning stages.

A real run without limits and signatures is refused (`refuse_unless_ready`); a dry run is not.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StringConstraints, model_validator

from labctl.errors import InputError, SafetyRefusal
from labctl.protocol.blackout import Blackout
from labctl.protocol.notify import Notify
from labctl.protocol.quantity import Quantity, Written, fault, key

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}$")]
Kelvin = Annotated[float, Quantity("K", "353 K", above="0 K", at_most="1500 K")]
Difference = Annotated[float, Quantity("K", "2 K", at_least="0 K", at_most="100 K", difference=True)]
Hertz = Annotated[float, Quantity("Hz", "10 kHz", above="0 Hz", at_most="200 kHz")]
Percent = Annotated[float, Quantity("percent", "80 %", above="0 %", at_most="100 %")]
Seconds = Annotated[float, Quantity("s", "1 h", above="0 s", at_most="1000 d")]
GasFlow = Annotated[float, Quantity("L/h", "800 L/h", at_least="0 L/h", at_most="20000 L/h")]
Volts = Annotated[float, Quantity("V", "4 V", at_least="-10 V", at_most="10 V")]
Watts = Annotated[float, Quantity("W", "100 W", above="0 W", at_most="10000 W")]


class Frictional(Written):
    """Set point plus the heat of friction of the rotor: Purusottam et al., J. Magn. Reson. 246 (2014) 69.

    A formula alone is good to about 5 K; a thermometer in a separate rotor (KBr, Pb(NO3)2) is better.
    """

    model: Literal["frictional"] = key("model", "which of the calibrations this is")
    rotor: Literal["4.0 mm", "3.2 mm", "2.5 mm", "1.3 mm"] = key("rotor", "outer diameter")
    offset_K: Annotated[float, Quantity("K", "0 K", at_least="-50 K", at_most="50 K", difference=True)] = key(
        "offset", "added to the formula", default="0 K"
    )
    uncertainty_K: Difference = key("uncertainty", "standard error of the sample temperature", default="5 K")


class CalibrationPoint(Written):
    """One measured pair."""

    setpoint_K: Kelvin = key("setpoint", "set point of the gas")
    sample_K: Kelvin = key("sample", "temperature of the sample")


class Table(Written):
    """Measured pairs, linear in between; nothing is said outside."""

    model: Literal["table"] = key("model", "which of the calibrations this is")
    points: Annotated[tuple[CalibrationPoint, ...], Field(min_length=2, max_length=100)] = key(
        "points", "measured pairs, both columns rising"
    )
    at_spinning_Hz: Hertz = key("at_spinning", "MAS rate at which they were measured")
    uncertainty_K: Difference = key("uncertainty", "standard error of the sample temperature")

    @model_validator(mode="after")
    def _rising(self) -> Table:
        for before, after in itertools.pairwise(self.points):
            if after.setpoint_K <= before.setpoint_K or after.sample_K <= before.sample_K:
                raise fault("has points that do not rise", expected="set points and sample temperatures both rising")
        return self


class Offset(Written):
    """The sample is hotter than the set point by the same amount everywhere."""

    model: Literal["offset"] = key("model", "which of the calibrations this is")
    offset_K: Annotated[float, Quantity("K", "8.8 K", at_least="-100 K", at_most="100 K", difference=True)] = key(
        "offset", "sample minus set point"
    )
    at_spinning_Hz: Hertz | None = key("at_spinning", "MAS rate for which it holds; any if left out", default=None)
    uncertainty_K: Difference = key("uncertainty", "standard error of the sample temperature")


Calibration = Annotated[Frictional | Table | Offset, Field(discriminator="model")]


class Nucleus(Written):
    """What the probe does on one nucleus."""

    frequency_Hz: Annotated[float, Quantity("Hz", "73.578 MHz", above="1 kHz", at_most="3000 MHz")] = key(
        "frequency", "Larmor frequency"
    )
    p90_s: Annotated[float, Quantity("s", "4.9 us", above="0 s", at_most="1 ms")] | None = key(
        "p90", "90° pulse at the power of the templates", default=None
    )
    power_W: Watts | None = key("power", "power of the 90° pulse in the templates", default=None)


class Limits(Written):
    """Hardware limits. Those a driver needs must be there before a real run; the manuals of probe and rotor win."""

    sensor_min_K: Kelvin | None = key("sensor_min", "lowest temperature of the probe's sensor", default=None)
    sensor_max_K: Kelvin | None = key("sensor_max", "highest temperature of the probe, spinning", default=None)
    sample_max_K: Kelvin | None = key(
        "sample_max", "highest temperature the sample and its rotor may see", default=None
    )
    coldest_gas_K: Kelvin | None = key("coldest_gas", "lowest set point the gas supply reaches (chiller)", default=None)
    gas_min_L_per_h: GasFlow | None = key("gas_min", "VT gas flow below which no heat is allowed", default=None)
    gas_max_L_per_h: GasFlow | None = key("gas_max", "highest VT gas flow", default=None)
    gas_reserve_s: Seconds | None = key("gas_reserve", "how long dry gas is assured", default=None)
    heater_max_percent: Percent | None = key("heater_max", "highest heater power", default=None)
    ramp_max_K_per_s: Annotated[float, Quantity("K/s", "5 K/min", above="0 K/min", at_most="60 K/min")] | None = key(
        "ramp_max", "steepest ramp", default=None
    )
    spinning_max_Hz: Hertz | None = key("spinning_max", "highest MAS rate of the rotor", default=None)
    spinning_max_hot_Hz: Hertz | None = key(
        "spinning_max_hot", "highest MAS rate above `hot_above`", default=None, json_schema_extra={"optional": True}
    )
    hot_above_K: Kelvin | None = key(
        "hot_above",
        "sample temperature from which `spinning_max_hot` holds",
        default=None,
        json_schema_extra={"optional": True},
    )
    spinning_tolerance_Hz: Annotated[float, Quantity("Hz", "100 Hz", above="0 Hz", at_most="5 kHz")] | None = key(
        "spinning_tolerance", "deviation at which the guard switches the heater off", default=None
    )
    frame_cooling_above_K: Kelvin | None = key(
        "frame_cooling_above", "set point from which shim and frame cooling must run", default=None
    )
    power_max_W: Watts | None = key("power_max", "highest pulse power", default=None)
    pulse_max_s: Annotated[float, Quantity("s", "100 us", above="0 s", at_most="1 s")] | None = key(
        "pulse_max", "longest pulse", default=None
    )
    acquisition_max_s: Annotated[float, Quantity("s", "500 ms", above="0 s", at_most="1 h")] | None = key(
        "acquisition_max", "longest acquisition time AQ", default=None
    )
    duty_max_percent: Annotated[float, Quantity("percent", "1 %", above="0 %", at_most="1 %")] | None = key(
        "duty_max", "highest share of time with radio frequency on; never above 1 %", default=None
    )
    frame_cooling: StrictBool | None = key("frame_cooling", "shim and frame cooling is running", default=None)
    decoupling_silent: StrictBool | None = key(
        "decoupling_silent", "no power on other channels in the templates", default=None
    )
    lock_and_sweep_off: StrictBool | None = key("lock_and_sweep_off", "lock and field sweep are off", default=None)
    voltage_min_V: Volts | None = key("voltage_min", "lowest voltage a cell may see", default=None)
    voltage_max_V: Volts | None = key("voltage_max", "highest voltage a cell may see", default=None)
    current_max_A: Annotated[float, Quantity("A", "5 mA", above="0 A", at_most="1000 A")] | None = key(
        "current_max", "highest current of a channel, either way", default=None
    )

    def missing(self) -> tuple[str, ...]:
        """Return the keys a real run needs and this file leaves out."""
        return tuple(
            str(field.alias)
            for name, field in type(self).model_fields.items()
            if getattr(self, name) is None
            and not (isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("optional"))
        )

    def numbers(self) -> dict[str, float]:
        """Return the limits that are set, as drivers get them: SI unit in each name, truths as 1 and 0."""
        return {name: float(value) for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class Signature(Written):
    """A commissioning stage that a person has carried out."""

    stage: str = key("stage", "name of the stage")
    date: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] = key("date", "year-month-day")
    initials: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,5}$")] = key("initials", "who")
    note: str = key("note", "remarks", default="")


_OVEN_STAGES = {
    "independent_cutout": "a cut-out apart from the controller is fitted, set below what the cell bears,"
    " and has been made to trip",
    "empty_oven": "an attended ramp of the empty oven to its highest temperature",
}

COMMISSIONING: Mapping[str, Mapping[str, str]] = {
    "topspin": {
        "gas_cut_without_rotor": "VT gas cut without a rotor: the heater goes off",
        "dummy_load": "pulses into a dummy load",
        "kbr_attended": "KBr, attended",
        "console_killed_in_zg": "TopSpin killed in the middle of zg",
        "twelve_hours_40C": "12 h at 40 °C with a sacrificial sample",
        "overnight": "one overnight run",
    },
    "autolab": {
        **_OVEN_STAGES,
        "rc_dummy_cell": "amplitude (rms or peak), sign of the imaginary part and value found on an RC dummy cell",
        "open_holder": "a sweep of the empty holder, its capacitance and leakage written into the lab file",
        "overnight": "one overnight run",
    },
    "maccor": {
        "resistor": "a channel with a resistor in place of a cell: a whole procedure of labctl's, sign of the current"
        " and its value found in the export",
        "guards_tripped": "each guard of a procedure made to trip on the resistor: the channel paused at open circuit",
        "killed_while_running": "labctl killed and resumed while a test ran: found again, not started twice",
    },
    "lakeshore": _OVEN_STAGES,
    "eurotherm": _OVEN_STAGES,
}
"""Stages a station must have signed before a real run, by driver."""

_ELECTRICAL = ("voltage_min", "voltage_max", "current_max")

LIMITS_NEEDED: Mapping[str, tuple[str, ...]] = {
    "topspin": tuple(str(field.alias) for field in Limits.model_fields.values() if field.alias not in _ELECTRICAL),
    "maccor": _ELECTRICAL,
    "autolab": ("sensor_max", "sample_max", "ramp_max"),
    "lakeshore": ("sensor_max", "sample_max", "ramp_max"),
    "eurotherm": ("sensor_max", "sample_max", "ramp_max"),
}
"""Limits without which a station does not run for real, by driver; one that is not named here needs them all."""

SIMULATED_INITIALS = "SIM"
"""Signed on simulators: in a lab file that was made real by taking `simulated` out, such a line counts nothing."""

WITHOUT_TEMPERATURE = frozenset({"maccor"})
"""Drivers that neither set nor read a temperature, and need no calibration of it."""

WORKS_ALONE = frozenset({"maccor"})
"""Drivers whose instrument carries its guards itself: a link that is silent for an hour alarms, and stops nothing."""


class Station(Written):
    """One instrument."""

    driver: Name = key("driver", "which driver speaks to it: `topspin`")
    simulated: StrictBool = key("simulated", "there is no hardware behind it", default=False)
    settings: Mapping[str, Any] = key("settings", "the driver's own settings; it checks them itself", default={})
    simulator: Mapping[str, Any] = key("simulator", "the simulator's own settings", default={})
    sample: str | None = key(
        "sample", "sample file a simulator pretends is inside, unless the campaign names one", default=None
    )
    nuclei: Mapping[str, Nucleus] = key("nuclei", "nuclei the probe is set up for", default={})
    calibration: Calibration | None = key("calibration", "sample temperature from set point", default=None)
    limits: Limits = key("limits", "hardware limits", default={})
    commissioning: tuple[Signature, ...] = key("commissioning", "stages carried out and signed", default=())
    blackouts: tuple[Blackout, ...] = key("blackouts", "magnet fills, bookings", default=())

    def unsigned(self) -> tuple[str, ...]:
        """Return the commissioning stages of this driver that nobody has signed; signed by `SIM` is not, for real."""
        signed = {one.stage for one in self.commissioning if self.simulated or one.initials != SIMULATED_INITIALS}
        stages = COMMISSIONING.get(self.driver)
        if stages is None:
            return () if signed else ("any stage",)
        return tuple(stage for stage in stages if stage not in signed)

    def missing_limits(self) -> tuple[str, ...]:
        """Return the limits a real run of this driver needs and the lab file leaves out."""
        missing = self.limits.missing()
        needed = LIMITS_NEEDED.get(self.driver)
        return missing if needed is None else tuple(name for name in needed if name in missing)

    def simulator_settings(self) -> dict[str, Any]:
        """Return what a simulator of this station is opened with: `settings` and, below ``simulator``, its own."""
        return {**self.settings, "simulator": dict(self.simulator)}


class Lab(Written):
    """The stations of one lab."""

    version: Literal[1] = key("version", "of this format")
    lab: Annotated[str, StringConstraints(min_length=1, max_length=60)] = key("lab", "name of the lab")
    stations: Annotated[Mapping[Name, Station], Field(min_length=1, max_length=32)] = key("stations", "by name")
    notify: Notify | None = key("notify", "who is told of what, and when", default=None)
    second_copy: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = key(
        "second_copy", "folder on another disk to which all raw data of real runs are copied too", default=None
    )

    def station(self, name: str) -> Station:
        """Return a station.

        Raises
        ------
        InputError
            No such station.
        """
        if name not in self.stations:
            close = difflib.get_close_matches(name, list(self.stations), n=1)
            known = f"did you mean {close[0]!r}?" if close else "known: " + ", ".join(self.stations)
            raise InputError(f"station {name!r} does not stand in the lab file of {self.lab}; {known}")
        return self.stations[name]


def still_unsigned(station: Station, commissions: str = "") -> tuple[str, ...]:
    """Return the stages that stand in the way of a real run.

    A campaign that commissions a stage needs those before it, in the order of `COMMISSIONING`; neither that one nor
    what comes after it.
    """
    unsigned = station.unsigned()
    stages = tuple(COMMISSIONING.get(station.driver, ()))
    if not commissions:
        return unsigned
    if commissions not in stages:
        return () if station.driver not in COMMISSIONING else unsigned
    return tuple(stage for stage in unsigned if stages.index(stage) < stages.index(commissions))


def refuse_unless_ready(lab: Lab, station: str, commissions: str = "") -> None:
    """Return if a station may run for real: all limits set and all commissioning stages signed.

    Parameters
    ----------
    commissions : str
        The stage this very run is there for, which then need not be signed, nor those after it.

    Raises
    ------
    InputError
        No such station.
    SafetyRefusal
        Names every limit that is missing and every stage that is not signed.
    """
    here = lab.station(station)
    faults = []
    if missing := here.missing_limits():
        faults.append("hardware limits missing: " + ", ".join(missing))
    for name, said in (
        ("frame_cooling", here.limits.frame_cooling),
        ("decoupling_silent", here.limits.decoupling_silent),
        ("lock_and_sweep_off", here.limits.lock_and_sweep_off),
    ):
        if said is False:
            faults.append(f"{name} is false")
    if unsigned := still_unsigned(here, commissions):
        known = COMMISSIONING.get(here.driver, {})
        faults.append(
            "commissioning not signed: " + ", ".join(f"{s} ({known[s]})" if s in known else s for s in unsigned)
        )
    if here.calibration is None and here.driver not in WITHOUT_TEMPERATURE:
        faults.append("no calibration of the sample temperature")
    if faults:
        raise SafetyRefusal(
            f"station {station} of lab {lab.lab} is not ready for a real run: " + "; ".join(faults),
            expected=f"all limits and signatures under stations.{station} in the lab file",
            next_step="Rehearse with --simulate meanwhile; how to commission: protocols/commissioning/README.md",
        )
