"""Lab files: limits, signatures, and the refusal to run without them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from labctl import located_yaml
from labctl.errors import InputError, SafetyRefusal
from labctl.protocol.lab import COMMISSIONING, Lab, refuse_unless_ready
from labctl.protocol.load import load_lab, read


@pytest.fixture
def data(protocols: Path) -> Any:
    """The simulated lab as plain data, to be changed."""
    return copy.deepcopy(load_lab(protocols / "labs" / "simulated.yaml").located.data)


def test_the_simulated_lab_is_ready(data: Any) -> None:
    """The lab that ships carries every limit and every signature."""
    refuse_unless_ready(Lab.model_validate(data), "nmr500")


@pytest.mark.parametrize("limit", ["sensor_max", "gas_min", "heater_max", "duty_max", "lock_and_sweep_off"])
def test_a_missing_limit_refuses_the_run(limit: str, data: Any) -> None:
    """Without one of the limits a real run is refused for safety, and the limit is named."""
    del data["stations"]["nmr500"]["limits"][limit]
    with pytest.raises(SafetyRefusal, match=limit) as caught:
        refuse_unless_ready(Lab.model_validate(data), "nmr500")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("stage", COMMISSIONING["topspin"])
def test_an_unsigned_stage_refuses_the_run(stage: str, data: Any) -> None:
    """Each commissioning stage must be signed."""
    station = data["stations"]["nmr500"]
    station["commissioning"] = [signed for signed in station["commissioning"] if signed["stage"] != stage]
    with pytest.raises(SafetyRefusal, match=stage):
        refuse_unless_ready(Lab.model_validate(data), "nmr500")


def test_cooling_that_is_off_refuses_the_run(data: Any) -> None:
    """A limit answered with `false` is no readiness."""
    data["stations"]["nmr500"]["limits"]["frame_cooling"] = False
    with pytest.raises(SafetyRefusal, match="frame_cooling is false"):
        refuse_unless_ready(Lab.model_validate(data), "nmr500")


def test_a_driver_without_a_list_needs_a_signature_too(data: Any) -> None:
    """A driver labctl has no stages for still needs somebody's signature."""
    data["stations"]["nmr500"] |= {"driver": "homemade", "commissioning": []}
    with pytest.raises(SafetyRefusal, match="any stage"):
        refuse_unless_ready(Lab.model_validate(data), "nmr500")


def test_an_unknown_station_is_the_authors_mistake(data: Any) -> None:
    """A station that is not there is an input error with a suggestion."""
    with pytest.raises(InputError, match="did you mean 'nmr500'"):
        refuse_unless_ready(Lab.model_validate(data), "nmr50")


def test_limits_reach_drivers_as_numbers_in_si(data: Any) -> None:
    """Drivers get a flat mapping with the unit in each name."""
    numbers = Lab.model_validate(data).station("nmr500").limits.numbers()
    assert numbers["sensor_max_K"] == pytest.approx(403.15)
    assert numbers["frame_cooling"] == 1.0
    assert all(isinstance(value, float) for value in numbers.values())


def test_a_simulator_gets_its_block_beside_the_drivers(data: Any) -> None:
    """The simulator is opened with the driver's settings and, below `simulator`, its own."""
    station = Lab.model_validate(data).station("nmr500")
    merged = station.simulator_settings()
    assert merged["simulator"]["layout"] == "4.0.8"
    assert {key: merged[key] for key in station.settings} == dict(station.settings)
    assert "simulator" not in station.settings


@pytest.mark.parametrize(
    ("old", "new", "fragment"),
    [
        ("driver: topspin", "driver: top spin", "is not spelled right"),
        ("sensor_max: 130 degC", "sensor_max: 130", "has no unit"),
        ("duty_max: 1 %", "duty_max: 5 %", "at most 1 %"),
        ("gas_min: 400 L/h", "gas_mim: 400 L/h", "did you mean 'gas_min'?"),
        ("model: frictional", "model: frictionnal", "did you mean 'frictional'?"),
        ("model: frictional, rotor: 4.0 mm", "model: frictional, rotor: 4 mm", "did you mean '4.0 mm'?"),
        ("model: frictional, rotor", "model: frictional, rotr", "did you mean 'rotor'?"),
        ("frame_cooling: true", "frame_cooling: yes please", "must be true or false"),
        ("date: 2026-01-12, initials: SIM}", "date: last week, initials: SIM}", "year-month-day"),
        ("frequency: 73.578 MHz, p90", "frequency: 73.578 T, p90", "not a unit of this kind"),
    ],
)
def test_mistakes_in_lab_files_have_a_line(old: str, new: str, fragment: str, protocols: Path) -> None:
    """A lab file is refused as a protocol is: in its line, with words that help."""
    text = (protocols / "labs" / "simulated.yaml").read_text(encoding="utf-8")
    line = text[: text.index(old)].count("\n") + 1
    with pytest.raises(InputError) as caught:
        read(Lab, located_yaml.loads(text.replace(old, new, 1), file="lab.yaml"))
    assert line in {finding.line for finding in caught.value.findings}
    assert fragment in str(caught.value)


@pytest.mark.parametrize("driver", ["lakeshore", "eurotherm"])
def test_an_oven_needs_its_own_limits_and_a_signed_cut_out(driver: str) -> None:
    """An oven has no gas and no rotor; it does have a cell that bears so much, and an independent cut-out."""
    limits = {"sensor_max": "200 degC", "sample_max": "180 degC", "ramp_max": "5 K/min"}
    signed = [{"stage": stage, "date": "2026-01-12", "initials": "AB"} for stage in COMMISSIONING[driver]]
    calibration = {"model": "offset", "offset": "0 K", "uncertainty": "1 K"}
    written = {"driver": driver, "limits": limits, "commissioning": signed, "calibration": calibration}
    lab = Lab.model_validate({"version": 1, "lab": "L", "stations": {"oven": written}})
    refuse_unless_ready(lab, "oven")
    for part, named in ((("limits", {"sensor_max": "200 degC"}), "sample_max"), (("commissioning", []), "cutout")):
        less = Lab.model_validate({"version": 1, "lab": "L", "stations": {"oven": {**written, part[0]: part[1]}}})
        with pytest.raises(SafetyRefusal, match=named):
            refuse_unless_ready(less, "oven")


@pytest.mark.parametrize("limit", ["voltage_min", "voltage_max", "current_max"])
def test_a_cycler_needs_its_own_limits_and_a_signed_resistor(limit: str, data: Any) -> None:
    """A channel has no gas and no calibrated temperature; it has a span of volts, amperes, and guards seen to trip."""
    station = data["stations"]["maccor"]
    refuse_unless_ready(Lab.model_validate(data), "maccor")
    less = copy.deepcopy(data)
    del less["stations"]["maccor"]["limits"][limit]
    with pytest.raises(SafetyRefusal, match=limit) as caught:
        refuse_unless_ready(Lab.model_validate(less), "maccor")
    assert caught.value.exit_code == 3
    for stage in COMMISSIONING["maccor"]:
        signed = [one for one in station["commissioning"] if one["stage"] != stage]
        unsigned = {**data, "stations": {"maccor": {**station, "commissioning": signed}}}
        with pytest.raises(SafetyRefusal, match=stage):
            refuse_unless_ready(Lab.model_validate(unsigned), "maccor")
    assert set(COMMISSIONING["maccor"]) == {one["stage"] for one in station["commissioning"]}
