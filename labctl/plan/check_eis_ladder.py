"""What is wrong or doubtful in an `eis_ladder` procedure: its own keys, and the station it is to run on."""

from __future__ import annotations

import itertools
import math

from labctl.errors import InputError
from labctl.plan import calibration
from labctl.plan.findings import Notebook, celsius
from labctl.plan.ladder import OVEN_LAG_S, frequencies_Hz, sweep_s
from labctl.protocol.eis_ladder import EisLadder
from labctl.protocol.lab import Station
from labctl.units import duration_text

OVERSHOOT_K = 5.0
"""What an oven may overshoot by; cells must bear it."""

LINEAR_V_RMS = 0.02
"""Above this, transfer through an interface is no longer linear at room temperature (kT/e is 26 mV)."""

FEWEST_TEMPERATURES = 4
LEAST_DENSITY, MOST_DENSITY = 0.8, 8.0
"""[g/cm^3] of anything that is pressed into a pellet here."""

OTHER_DRIVERS = frozenset({"topspin", "maccor", "lakeshore", "eurotherm"})


def check_ladder(note: Notebook, p: EisLadder) -> None:
    """Note what shows without a lab."""
    _check_sweep(note, p)
    if p.settle.give_up_s <= p.hold_s:
        note.error(
            ("settle", "give_up"),
            "is over before the soak can have been",
            value=duration_text(p.settle.give_up_s),
            expected=f"more than `hold`, {duration_text(p.hold_s)}",
        )
    elif p.settle.give_up_s < p.hold_s + 2 * OVEN_LAG_S:
        note.warning(
            ("settle", "give_up"),
            "leaves little time for oven and cell to come to rest",
            value=duration_text(p.settle.give_up_s),
            expected=f"at least {duration_text(p.hold_s + 2 * OVEN_LAG_S)}",
        )
    if p.hold_s < 1800.0:
        note.advice(
            ("hold",),
            "a pressed pellet in its cell lags behind the air by 10 to 40 min",
            value=duration_text(p.hold_s),
            expected="30 min or more, or a sensor at the cell",
        )
    for index, (before, after) in enumerate(itertools.pairwise(p.temperatures_K)):
        if after < before:
            note.warning(
                ("temperatures", index + 1),
                "goes down, and an oven cools by itself for hours",
                value=celsius(after),
                expected="temperatures that rise, and `return_to_first_temperature`",
            )
            break
    if len(set(p.temperatures_K)) < FEWEST_TEMPERATURES:
        note.advice(("temperatures",), "are few for an activation energy with an honest error", expected="six or more")
    _check_pellet(note, p)


def _check_sweep(note: Notebook, p: EisLadder) -> None:
    sweep = p.sweep
    if sweep.from_Hz < sweep.to_Hz:
        note.warning(
            ("sweep", "from"),
            "is below `to`: a sweep that begins slow wastes what the cell has not settled to",
            value=f"{sweep.from_Hz:g} Hz",
            expected=f"from: {sweep.to_Hz:g} Hz, to: {sweep.from_Hz:g} Hz",
        )
    if len(frequencies_Hz(sweep)) < 6:
        note.error(("sweep",), "has fewer than six points", expected="a wider span or more points per decade")
    if sweep.amplitude.V_rms > LINEAR_V_RMS:
        note.warning(
            ("sweep", "amplitude"),
            "is beyond what interfaces answer linearly",
            value=f"{1000 * sweep.amplitude.V_rms:g} mV rms",
            expected=f"at most {1000 * LINEAR_V_RMS:g} mV rms",
        )
    if sweep.bias.potential_V:
        note.warning(
            ("sweep", "bias"),
            "drives a current through a cell that does not have this potential by itself; the driver will refuse it"
            " if the open-circuit potential is further away than 20 mV",
            value=f"{sweep.bias.potential_V:g} V",
            expected="`open circuit`",
        )
    slowest_s = sweep_s(sweep)
    if slowest_s > p.hold_s:
        note.warning(
            ("sweep",),
            f"takes {duration_text(slowest_s)}, longer than the soak before it",
            expected="a higher lowest frequency, or fewer points",
        )


def _check_pellet(note: Notebook, p: EisLadder) -> None:
    pellet = p.pellet
    if pellet.mass_mg is not None:
        volume_cm3 = math.pi / 4.0 * (pellet.diameter_mm / 10.0) ** 2 * pellet.thickness_mm / 10.0
        density = pellet.mass_mg / 1000.0 / volume_cm3
        if not LEAST_DENSITY <= density <= MOST_DENSITY:
            note.warning(
                ("pellet",),
                f"makes a density of {density:.2f} g/cm^3; one of mass, thickness and diameter is wrong",
                expected=f"{LEAST_DENSITY:g} to {MOST_DENSITY:g} g/cm^3",
            )
    if pellet.thickness_uncertainty_mm > 0.2 * pellet.thickness_mm:
        note.warning(
            ("pellet", "thickness_uncertainty"),
            "is more than a fifth of the thickness, and conductivities are no better",
            value=f"{pellet.thickness_uncertainty_mm:g} mm",
        )


def check_potentiostat(note: Notebook, lab_note: Notebook, p: EisLadder, station: Station) -> None:
    """Note what shows against the station: driver, temperatures, ramp, readiness."""
    limits = station.limits
    if station.driver in OTHER_DRIVERS:
        note.error(
            ("station",),
            f"is driven by {station.driver!r}, which measures no impedance",
            value=repr(p.station),
            expected="a station of driver 'autolab'",
        )
        return
    for index, sample_K in enumerate(p.temperatures_K):
        path = ("temperatures", index)
        setpoint_K = sample_K
        if station.calibration is not None:
            try:
                setpoint_K, _ = calibration.setpoint(station.calibration, sample_K, 0.0)
            except InputError as problem:
                note.error(path, problem.what, expected=problem.expected)
                continue
        both = f"sample {celsius(sample_K)}, set point {celsius(setpoint_K)}"
        if limits.sensor_max_K is not None and setpoint_K > limits.sensor_max_K:
            note.error(
                path,
                "is hotter than the oven allows",
                value=both,
                expected=f"set point at most {celsius(limits.sensor_max_K)}",
            )
        if limits.sensor_min_K is not None and setpoint_K < limits.sensor_min_K:
            note.error(
                path,
                "is colder than the oven allows",
                value=both,
                expected=f"set point at least {celsius(limits.sensor_min_K)}",
            )
        hottest_K = max(sample_K, setpoint_K)
        if limits.sample_max_K is not None and hottest_K + OVERSHOOT_K > limits.sample_max_K:
            note.error(
                path,
                f"with an overshoot of {OVERSHOOT_K:g} K is hotter than the cell may get",
                value=both,
                expected=f"at most {celsius(limits.sample_max_K - OVERSHOOT_K)}",
            )
    if limits.ramp_max_K_per_s is not None and p.ramp_K_per_s > limits.ramp_max_K_per_s * (1 + 1e-9):
        note.error(
            ("ramp",),
            "is steeper than the hardware limit",
            value=f"{60 * p.ramp_K_per_s:.3g} K/min",
            expected=f"at most {60 * limits.ramp_max_K_per_s:.3g} K/min",
        )
    if "oven" not in station.settings:
        lab_note.error(("settings",), "names no oven, and the ladder heats", expected="oven: {controller: lakeshore}")
    if station.calibration is None:
        lab_note.warning(("calibration",), "is missing: what the sensor reads is taken for the sample's temperature")
