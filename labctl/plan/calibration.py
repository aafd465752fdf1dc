"""Set point of the gas to temperature of the sample, and back.

Friction of the spinning rotor heats the sample above the gas; without this correction a 4 mm rotor at 10 kHz is
8.8 K hotter than its set point, almost half a step of a 20 K grid.
"""

from __future__ import annotations

import itertools
from typing import assert_never

from labctl.dataset.model import SampleTemperature
from labctl.errors import InputError
from labctl.protocol.lab import Calibration, Frictional, Offset, Table

FRICTION_K = {
    "4.0 mm": (0.1056, -0.1738),
    "3.2 mm": (0.0853, -0.2337),
    "2.5 mm": (0.0544, -0.0585),
    "1.3 mm": (0.0108, -0.1859),
}
"""Coefficients (a, b) of the heating a f^2 + b f [K], f in kHz, by rotor: Purusottam et al., JMR 246 (2014) 69."""

FASTEST_Hz = {"4.0 mm": 18_000.0, "3.2 mm": 25_000.0, "2.5 mm": 35_000.0, "1.3 mm": 67_000.0}
"""Rates to which such rotors are spun, and the formula was fitted."""

UNKNOWN_SE_K = 20.0
"""Standard error of a sample temperature that rests on no calibration [K]."""

SPINNING_MATCH = 0.02
"""A calibration measured at another MAS rate holds if the rates differ by no more than this fraction."""


class RateNotCalibrated(InputError):
    """The calibration does not hold at this MAS rate."""


def sample_temperature(calibration: Calibration, gas_K: float, spinning_Hz: float) -> tuple[float, float]:
    """Return the temperature of the sample and its standard error [K].

    Parameters
    ----------
    calibration : Calibration
        Of the lab file.
    gas_K : float
        Set point, or the sensor's mean when it was read back [K].
    spinning_Hz : float
        MAS rate [Hz].

    Raises
    ------
    InputError
        Outside what the calibration covers (temperature or MAS rate).
    """
    _require_rate(calibration, spinning_Hz)
    match calibration:
        case Frictional():
            return gas_K + _friction_K(calibration, spinning_Hz), calibration.uncertainty_K
        case Offset():
            return gas_K + calibration.offset_K, calibration.uncertainty_K
        case Table():
            pairs = [(point.setpoint_K, point.sample_K) for point in calibration.points]
            return _between(pairs, gas_K, "set point"), calibration.uncertainty_K
        case _:
            assert_never(calibration)


def setpoint(calibration: Calibration, sample_K: float, spinning_Hz: float) -> tuple[float, float]:
    """Return the set point that brings the sample to `sample_K`, and the standard error of the sample there [K].

    The inverse of `sample_temperature`; raises as it does.
    """
    _require_rate(calibration, spinning_Hz)
    match calibration:
        case Frictional():
            return sample_K - _friction_K(calibration, spinning_Hz), calibration.uncertainty_K
        case Offset():
            return sample_K - calibration.offset_K, calibration.uncertainty_K
        case Table():
            pairs = [(point.sample_K, point.setpoint_K) for point in calibration.points]
            return _between(pairs, sample_K, "sample temperature"), calibration.uncertainty_K
        case _:
            assert_never(calibration)


def as_read(calibration: Calibration | None, sensor_K: float, spinning_Hz: float) -> tuple[float, float, str]:
    """Return sample temperature, its standard error [K] and the model, from what was read back; never refuses.

    What was measured is recorded whatever the rotor did: outside what the calibration covers, or without one, the
    nearest value is given with 20 K of uncertainty, and the model says so.
    """
    if calibration is None:
        return sensor_K, UNKNOWN_SE_K, "none"
    try:
        return (*sample_temperature(calibration, sensor_K, spinning_Hz), calibration.model)
    except InputError:
        return _nearest_K(calibration, sensor_K, spinning_Hz), UNKNOWN_SE_K, f"{calibration.model}, outside its range"


def calibrated(
    calibration: Calibration | None, *, setpoint_K: float, sensor_K: float, spinning_Hz: float
) -> SampleTemperature:
    """Return the sample's temperature during an acquisition from the sensor's mean over it, by `as_read`."""
    sample_K, se_K, model = as_read(calibration, sensor_K, spinning_Hz)
    return SampleTemperature(setpoint_K=setpoint_K, sensor_K=sensor_K, sample_K=sample_K, sample_se_K=se_K, model=model)


def _nearest_K(calibration: Calibration, sensor_K: float, spinning_Hz: float) -> float:
    match calibration:
        case Frictional():
            return sensor_K + _friction_K(calibration, min(spinning_Hz, FASTEST_Hz[calibration.rotor]))
        case Offset():
            return sensor_K + calibration.offset_K
        case Table():
            near = min(calibration.points, key=lambda point: abs(point.setpoint_K - sensor_K))
            return sensor_K + near.sample_K - near.setpoint_K
        case _:
            assert_never(calibration)


def _friction_K(calibration: Frictional, spinning_Hz: float) -> float:
    a, b = FRICTION_K[calibration.rotor]
    f_kHz = spinning_Hz / 1000
    # The polynomial dips below zero for slow rotors; friction does not cool.
    return max(0.0, a * f_kHz**2 + b * f_kHz) + calibration.offset_K


def _require_rate(calibration: Calibration, spinning_Hz: float) -> None:
    if isinstance(calibration, Frictional):
        if spinning_Hz > FASTEST_Hz[calibration.rotor]:
            raise RateNotCalibrated(
                f"the frictional calibration of a {calibration.rotor} rotor does not cover {spinning_Hz:g} Hz",
                expected=f"at most {FASTEST_Hz[calibration.rotor]:g} Hz, or a calibration measured at this rate",
            )
        return
    at_Hz = calibration.at_spinning_Hz
    if at_Hz is not None and abs(spinning_Hz - at_Hz) > SPINNING_MATCH * at_Hz:
        raise RateNotCalibrated(
            f"the calibration ({calibration.model}) was measured at {at_Hz:g} Hz, the rotor is to spin at"
            f" {spinning_Hz:g} Hz",
            expected="a calibration measured at this rate",
        )


def _between(pairs: list[tuple[float, float]], x: float, name: str) -> float:
    """Piecewise linear through rising pairs; ends belong to the range."""
    low, high = pairs[0][0], pairs[-1][0]
    if not low <= x <= high:
        raise InputError(
            f"the calibration table does not cover a {name} of {x:.2f} K", expected=f"{low:.2f} to {high:.2f} K"
        )
    for (x0, y0), (x1, y1) in itertools.pairwise(pairs):
        if x <= x1:
            return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    return pairs[-1][1]
