"""An impedance ladder as steps: bench order, frequencies that keep clear of the mains, what it costs."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl import located_yaml
from labctl.plan.check import check
from labctl.plan.expand import expand
from labctl.plan.ladder import frequencies_Hz, sweep_s
from labctl.plan.steps import Plan, Step, step_key
from labctl.ports import AwaitStable, CoolDown, Effect, SetTemperature, SweepImpedance
from labctl.protocol.eis_ladder import Amplitude, Bias, EisLadder, FrequencySweep
from labctl.protocol.lab import Lab
from labctl.protocol.load import load_protocol, read
from labctl.protocol.model import Protocol


@pytest.fixture(scope="module")
def ladder(protocols: Path) -> Protocol:
    """The LiI ladder that ships with labctl."""
    return load_protocol(protocols / "paper" / "eis_lii.yaml").model


def varied(protocols: Path, **keys: Any) -> Protocol:
    """Return the shipped ladder with other keys."""
    located = located_yaml.load(protocols / "paper" / "eis_lii.yaml")
    located.data["procedures"][0]["eis_ladder"] |= keys
    return read(Protocol, located)


def visits(plan: Plan) -> dict[str, list[Step]]:
    """Return the steps of each visit to a temperature."""
    found: dict[str, list[Step]] = {}
    for step in plan.steps:
        if step.id.count("/") == 3:
            found.setdefault(step.id.split("/")[2], []).append(step)
    return found


def test_each_temperature_is_reached_soaked_and_swept(ladder: Protocol, lab: Lab) -> None:
    """Ramp, soak, spectrum at each of the author's temperatures, the first once more, and cooling at the end."""
    plan = expand(ladder, lab)
    wanted = ladder.procedures[0].wanted
    assert isinstance(wanted, EisLadder)
    found = visits(plan)
    assert list(found) == [*(f"T{n:02d}" for n in range(1, len(wanted.temperatures_K) + 1)), "T01.return"]
    for steps, sample_K in zip(found.values(), (*wanted.temperatures_K, wanted.temperatures_K[0]), strict=True):
        ramp, soak, sweep = (step.task for step in steps)
        assert isinstance(ramp, SetTemperature)
        assert isinstance(soak, AwaitStable)
        assert isinstance(sweep, SweepImpedance)
        assert ramp.sample_K == soak.sample_K == sweep.sample_K == pytest.approx(sample_K)
        assert soak.hold_s == wanted.hold_s
        assert steps[2].effect is Effect.REPEATABLE
    assert isinstance(plan.steps[-1].task, CoolDown)


def test_repeats_are_sweeps_of_their_own(protocols: Path, lab: Lab) -> None:
    """Three spectra at a temperature are three steps with names and keys of their own, after one soak."""
    plan = expand(varied(protocols, repeats=3, return_to_first_temperature=False), lab)
    sweeps = [step for step in plan.steps if isinstance(step.task, SweepImpedance)]
    assert len(sweeps) == 3 * 6
    assert len({step.key for step in sweeps}) == len({step.task.name for step in sweeps}) == len(sweeps)  # type: ignore[union-attr]  # all are sweeps


def test_a_better_calliper_changes_no_key(ladder: Protocol, protocols: Path, lab: Lab) -> None:
    """Measured anew, the pellet's thickness goes into the data and not into what is measured; the amplitude does."""
    keys = {step.id: step.key for step in expand(ladder, lab).steps}
    other = {step.id: step.key for step in expand(varied(protocols, pellet={"thickness": "0.8 mm"}), lab).steps}
    assert other == keys
    louder = expand(varied(protocols, sweep={"amplitude": "7 mV rms"}), lab)
    changed = {step.id for step in louder.steps if step.key != keys[step.id]}
    assert changed == {step_id for step_id in keys if "/sweep" in step_id}


def test_procedures_of_two_stations_stand_in_one_plan(protocols: Path, lab: Lab) -> None:
    """A spectrometer and a potentiostat in one protocol each get their steps, and each cools down."""
    located = located_yaml.load(protocols / "vt_exsy_demo.yaml")
    located.data["procedures"].append(located_yaml.load(protocols / "paper" / "eis_lii.yaml").data["procedures"][0])
    protocol = read(Protocol, located)
    assert not [one for one in check(protocol, lab) if one.severity == "error"]
    plan = expand(protocol, lab)
    assert {step.station for step in plan.steps} == {"nmr500", "autolab"}
    assert [step.id for step in plan.steps if isinstance(step.task, CoolDown)] == ["nmr500/cool", "autolab/cool"]
    assert {step.id for step in plan.steps} >= {step.id for step in expand(varied(protocols), lab).steps}


sweeps = st.builds(
    lambda high, decades, density, mains, integration: FrequencySweep.model_validate(
        {
            "from": f"{high} Hz",
            "to": f"{high / 10**decades} Hz",
            "points_per_decade": density,
            "mains": mains,
            "integration": f"{integration} s",
        }
    ),
    st.floats(10.0, 1e6),
    st.floats(0.5, 6.0),
    st.integers(1, 30),
    st.sampled_from(["50 Hz", "60 Hz", "none"]),
    st.sampled_from([0.125, 0.5, 1.0, 3.0]),
)


@given(sweeps)
def test_a_grid_falls_from_end_to_end_and_keeps_clear_of_the_mains(sweep: FrequencySweep) -> None:
    """Frequencies fall, no point moves by more than a tenth, and those that moved stand whole turns off the mains."""
    grid = frequencies_Hz(sweep)
    plain = frequencies_Hz(sweep.model_copy(update={"mains": "none"}))
    assert len(grid) == len(plain)
    assert plain[0] == pytest.approx(sweep.from_Hz)
    assert plain[-1] == pytest.approx(sweep.to_Hz)
    assert all(before > after for before, after in itertools.pairwise(plain))
    for moved, was in zip(grid, plain, strict=True):
        assert abs(moved - was) <= 0.1 * was * (1 + 1e-9)
        if moved != was:
            mains_Hz = float(sweep.mains.split()[0])
            turns = (moved - round(moved / mains_Hz) * mains_Hz) * sweep.integration_s
            assert abs(turns) == pytest.approx(2.0)


def test_the_usual_sweep_takes_about_a_minute_and_a_half() -> None:
    """51 points of at least a second each, with settling and what stands around them."""
    sweep = FrequencySweep()
    assert len(frequencies_Hz(sweep)) == 51
    assert 51.0 < sweep_s(sweep) < 120.0


@pytest.mark.parametrize(
    ("text", "V_rms"), [("5 mV rms", 5e-3), ("5 mV peak", 5e-3 / math.sqrt(2.0)), ("0.01 V  rms", 0.01)]
)
def test_an_amplitude_says_of_which_kind_it_is(text: str, V_rms: float) -> None:
    """Rms is taken as it is, peak is divided by the square root of two."""
    assert Amplitude.model_validate(text).V_rms == pytest.approx(V_rms)


def test_a_bias_is_a_potential_or_the_cell_s_own() -> None:
    """`open circuit` asks for no potential; text with a unit is one."""
    assert Bias.model_validate("open circuit").potential_V is None
    assert Bias.model_validate("-0.1 V").potential_V == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("keys", "severity", "words"),
    [
        ({"temperatures": ["75 degC", "25 degC"]}, "warning", "cools by itself"),
        ({"temperatures": ["25 degC"]}, "advice", "are few"),
        ({"hold": "5 min"}, "advice", "lags behind"),
        ({"settle": {"give_up": "40 min"}}, "warning", "little time"),
        ({"sweep": {"amplitude": "50 mV rms"}}, "warning", "linearly"),
        ({"sweep": {"bias": "0.3 V"}}, "warning", "drives a current"),
        ({"sweep": {"from": "1 Hz", "to": "100 kHz"}}, "warning", "begins slow"),
        ({"sweep": {"to": "1 mHz"}}, "warning", "longer than the soak"),
        ({"pellet": {"thickness": "7.4 mm", "mass": "200 mg"}}, "warning", "density"),
        ({"pellet": {"thickness": "0.05 mm"}}, "warning", "a fifth of the thickness"),
    ],
)
def test_what_a_careful_electrochemist_would_object_to(
    protocols: Path, lab: Lab, keys: dict[str, Any], severity: str, words: str
) -> None:
    """Doubts are said and do not stop the campaign."""
    found = check(varied(protocols, **keys), lab)
    assert not [one for one in found if one.severity == "error"]
    assert any(words in one.what and one.severity == severity for one in found), [str(one) for one in found]


def test_a_lab_without_an_oven_or_signatures_is_told_so(ladder: Protocol, lab: Lab) -> None:
    """A potentiostat that names no oven is an error; limits and signatures that are missing are warnings."""
    bare = lab.stations["autolab"].model_copy(update={"settings": {}, "commissioning": (), "calibration": None})
    empty = bare.limits.model_copy(update={"sample_max_K": None})
    found = check(ladder, lab.model_copy(update={"stations": {"autolab": bare.model_copy(update={"limits": empty})}}))
    assert [one.key_path for one in found if one.severity == "error"] == ["stations.autolab.settings"]
    warned = " ".join(str(one) for one in found if one.severity == "warning")
    assert "sample_max" in warned
    assert "independent_cutout" in warned
    assert "rc_dummy_cell" in warned


def test_keys_are_of_the_unresolved_task(ladder: Protocol, lab: Lab) -> None:
    """A step's key follows from its task alone, as it was planned."""
    for step in expand(ladder, lab).steps:
        assert step.key == step_key(campaign=ladder.campaign, step_id=step.id, task=step.task, recycle=None)
