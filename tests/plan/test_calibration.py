"""Set point to sample temperature and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from labctl.errors import InputError
from labctl.plan.calibration import as_read, calibrated, sample_temperature, setpoint
from labctl.protocol.lab import Calibration

READ: TypeAdapter[Any] = TypeAdapter(Calibration)

FRICTIONAL = {"model": "frictional", "rotor": "4.0 mm"}
TABLE = {
    "model": "table",
    "points": [
        {"setpoint": "270 K", "sample": "278 K"},
        {"setpoint": "300 K", "sample": "309.5 K"},
        {"setpoint": "400 K", "sample": "413 K"},
    ],
    "at_spinning": "10 kHz",
    "uncertainty": "1 K",
}
OFFSET = {"model": "offset", "offset": "8.8 K", "uncertainty": "3 K"}


def test_the_papers_rotor_is_nearly_nine_kelvin_hotter() -> None:
    """A 4 mm rotor at 10 kHz is 8.8 K above its set point."""
    sample_K, se_K = sample_temperature(READ.validate_python(FRICTIONAL), 290.0, 10_000.0)
    assert sample_K - 290.0 == pytest.approx(8.8, abs=0.05)
    assert se_K == 5.0


@pytest.mark.parametrize("written", [FRICTIONAL, TABLE, OFFSET], ids=lambda written: str(written["model"]))
@given(sample_K=st.floats(280.0, 410.0))
def test_back_and_forth_is_the_same(written: dict[str, Any], sample_K: float) -> None:
    """The set point for a sample temperature gives that sample temperature again."""
    calibration = READ.validate_python(written)
    there_K, se_K = setpoint(calibration, sample_K, 10_000.0)
    back_K, back_se_K = sample_temperature(calibration, there_K, 10_000.0)
    assert back_K == pytest.approx(sample_K, abs=1e-9)
    assert se_K == back_se_K


@given(gas_K=st.floats(200.0, 450.0), rate_Hz=st.floats(0.0, 18_000.0))
def test_friction_never_cools(gas_K: float, rate_Hz: float) -> None:
    """The formula's dip below zero for slow rotors does not make a sample colder than its gas."""
    sample_K, _ = sample_temperature(READ.validate_python(FRICTIONAL), gas_K, rate_Hz)
    assert sample_K >= gas_K


@pytest.mark.parametrize(
    ("written", "gas_K", "rate_Hz", "fragment"),
    [
        (TABLE, 269.0, 10_000.0, "does not cover"),
        (TABLE, 401.0, 10_000.0, "does not cover"),
        (TABLE, 300.0, 12_000.0, "measured at 10000 Hz"),
        ({**OFFSET, "at_spinning": "8 kHz"}, 300.0, 10_000.0, "measured at 8000 Hz"),
        (FRICTIONAL, 300.0, 25_000.0, "does not cover 25000 Hz"),
    ],
)
def test_nothing_is_said_outside_what_was_measured(
    written: dict[str, Any], gas_K: float, rate_Hz: float, fragment: str
) -> None:
    """A calibration refuses temperatures and MAS rates it was not made for."""
    with pytest.raises(InputError, match=fragment):
        sample_temperature(READ.validate_python(written), gas_K, rate_Hz)


def test_a_table_must_rise() -> None:
    """A table whose sample temperatures fall could not be inverted and is refused."""
    points = [{"setpoint": "270 K", "sample": "278 K"}, {"setpoint": "300 K", "sample": "270 K"}]
    with pytest.raises(ValidationError, match="do not rise"):
        READ.validate_python({**TABLE, "points": points})


def test_the_sensor_decides_not_the_wish() -> None:
    """During an acquisition the sample's temperature follows from the sensor's mean; both are kept."""
    temperature = calibrated(READ.validate_python(OFFSET), setpoint_K=300.0, sensor_K=300.4, spinning_Hz=10_000.0)
    assert temperature.sample_K == pytest.approx(309.2)
    assert (temperature.setpoint_K, temperature.sensor_K, temperature.model) == (300.0, 300.4, "offset")
    assert calibrated(None, setpoint_K=300.0, sensor_K=300.4, spinning_Hz=0.0).model == "none"


@pytest.mark.parametrize("written", [FRICTIONAL, TABLE, OFFSET, None], ids=str)
@given(sensor_K=st.floats(50.0, 700.0), rate_Hz=st.floats(0.0, 70_000.0))
def test_a_reading_is_never_refused(written: dict[str, Any] | None, sensor_K: float, rate_Hz: float) -> None:
    """Whatever rotor and sensor did, what was measured gets a temperature; outside the calibration a vague one."""
    calibration = None if written is None else READ.validate_python(written)
    sample_K, se_K, model = as_read(calibration, sensor_K, rate_Hz)
    assert abs(sample_K - sensor_K) < 40.0
    assert (se_K == 20.0) == (model == "none" or model.endswith("outside its range"))
