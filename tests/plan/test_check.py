"""What the check warns of beyond errors, and how it sees lab files."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from labctl.errors import Finding
from labctl.plan.check import check, examine
from labctl.plan.estimate import estimate
from labctl.plan.expand import expand
from labctl.protocol.blackout import Blackout
from labctl.protocol.lab import Lab, Limits
from labctl.protocol.model import Protocol
from tests.plan.conftest import Variant


def texts(found: tuple[Finding, ...], severity: str) -> list[str]:
    """Return the findings of one severity as people read them."""
    return [str(finding) for finding in found if finding.severity == severity]


def changed(lab: Lab, **updates: Any) -> Lab:
    """Return the lab with other fields of its station."""
    station = lab.stations["nmr500"].model_copy(update=updates)
    return lab.model_copy(update={"stations": {"nmr500": station}})


@pytest.mark.parametrize(
    ("keys", "place", "fragment"),
    [
        ({"scans": 12}, "scans", "phase cycles of 8"),
        ({"mixing_times": ["10 ms", "10 ms", "1 s"]}, "mixing_times.1", "repeats the 1st"),
        ({"mixing_times": ["10 ms", "11 s"]}, "mixing_times.1", "more than twice the expected T1"),
        ({"recycle_delay": "2 s"}, "recycle_delay", "recovers to 49 %"),
        ({"recycle_delay": {"times_T1": 3, "max": "5 s"}}, "recycle_delay.max", "saturate unevenly"),
        ({"t1": {"expect": "30 s", "delays": {"from": "50 ms", "to": "40 s"}}}, "t1.delays.to", "less than 3 times"),
        ({"increments": 4}, "increments", "cannot tell A from B"),
        ({"thermometry": "inside_rotor"}, "thermometry", "exchange halide"),
        ({"dummy_scans": 0, "presaturation": "none"}, "dummy_scans", "first row is stronger"),
        ({"temperatures": ["25 degC", "50 degC", "25 degC"]}, "temperatures.2", "visited twice"),
        ({"max_dataset": "10 min"}, "max_dataset", "too few phase cycles"),
        ({"pulse": "6.5 us"}, "pulse", "20 % off"),
    ],
)
def test_doubtful_protocols_are_warned_of(
    keys: dict[str, Any], place: str, fragment: str, variant: Variant, lab: Lab
) -> None:
    """What a referee would object to is a warning at its key, and no error."""
    found = check(variant(**keys), lab)
    assert not texts(found, "error")
    assert any(place in text and fragment in text for text in texts(found, "warning")), texts(found, "warning")


def test_the_demo_draws_no_warning(demo: Protocol, lab: Lab) -> None:
    """The protocol that ships as an example is beyond reproach."""
    assert not texts(check(demo, lab), "error") + texts(check(demo, lab), "warning")


def test_fewer_rows_are_advised_as_a_model_estimate(variant: Variant, lab: Lab) -> None:
    """320 rows draw the advice that 48 would do, labelled as resting on a model."""
    advice = [text for text in texts(check(variant(increments=320), lab), "advice") if "increments" in text]
    assert any("48 rows" in text and "by a model" in text for text in advice)


def test_the_return_leaves_the_temperatures_countable(variant: Variant, lab: Lab) -> None:
    """Without the return, one temperature change less is needed."""
    assert not texts(check(variant(max_temperature_changes=3), lab), "error")
    assert texts(check(variant(max_temperature_changes=2), lab), "error")
    assert not texts(check(variant(max_temperature_changes=2, return_to_first_temperature=False), lab), "error")


def test_a_2d_in_a_blackout_is_named(variant: Variant, lab: Lab) -> None:
    """With a start, the check says which 2D waits for a magnet fill, or would run through it; without, nothing."""
    start = dt.datetime(2026, 3, 2, 8, 0, tzinfo=dt.UTC)
    protocol = variant()
    timing = next(t for t in estimate(expand(protocol, lab)).timings if t.step.role == "exsy")
    middle = start + dt.timedelta(seconds=(timing.begin_s + timing.end_s) / 2)
    fill = {"from": middle.isoformat(), "to": (middle + dt.timedelta(minutes=1)).isoformat(), "why": "helium"}
    protocol = variant(blackouts=[fill])
    warned = texts(check(protocol, lab, start_s=start.timestamp()), "warning")
    assert any(f"{timing.step.id} waits" in text and "helium" in text for text in warned)
    assert not texts(check(protocol, lab), "warning")
    through = variant(blackouts=[{**fill, "during": "run_on"}])
    warned = texts(check(through, lab, start_s=start.timestamp()), "warning")
    assert any(f"{timing.step.id} would be running (helium)" in text for text in warned)
    written = [Blackout.model_validate(fill)]
    booked = changed(lab, blackouts=tuple(written))
    assert any("helium" in text for text in texts(check(variant(), booked, start_s=start.timestamp()), "warning"))


def test_a_lab_without_limits_is_warned_of_before_the_run(demo: Protocol, lab: Lab) -> None:
    """Missing limits, signatures and calibration are warnings at check time, since a dry run may go on."""
    bare = changed(lab, limits=Limits.model_validate({}), commissioning=(), calibration=None)
    warned = texts(check(demo, bare), "warning")
    for fragment in ("limits missing", "not signed", "off by friction"):
        assert any(fragment in text for text in warned)
    assert not texts(check(demo, bare), "error")


@pytest.mark.parametrize(
    ("limits", "fragment"),
    [
        ({"frame_cooling": None}, "needs shim and frame cooling"),
        ({"power_max_W": 50.0}, "above the hardware limit"),
        ({"hot_above_K": 330.0, "spinning_max_hot_Hz": 9000.0}, "than the rotor allows above"),
        ({"acquisition_max_s": 0.01}, "acquisition time of"),
        ({"duty_max_percent": 1e-4}, "radio frequency on"),
    ],
)
def test_the_labs_limits_bind(limits: dict[str, Any], fragment: str, demo: Protocol, lab: Lab) -> None:
    """A protocol beyond a limit of the lab file is an error that names the limit."""
    tighter = changed(lab, limits=lab.stations["nmr500"].limits.model_copy(update=limits))
    assert any(fragment in text for text in texts(check(demo, tighter), "error"))


def test_dry_gas_that_runs_out_is_warned_of(demo: Protocol, lab: Lab) -> None:
    """A campaign longer than the assured dry gas is a warning."""
    short = changed(lab, limits=lab.stations["nmr500"].limits.model_copy(update={"gas_reserve_s": 3600.0}))
    assert any("dry gas" in text for text in texts(check(demo, short), "warning"))


def test_a_missing_pulse_is_an_error(variant: Variant, lab: Lab) -> None:
    """The 90° pulse must come from the protocol or from the lab file."""
    probe = lab.stations["nmr500"].nuclei["6Li"].model_copy(update={"p90_s": None})
    without = changed(lab, nuclei={"6Li": probe})
    assert any("90° pulse" in text for text in texts(check(variant(), without), "error"))
    assert not texts(check(variant(pulse="4.9 us"), without), "error")


def test_the_plan_comes_with_a_sound_check_only(demo: Protocol, variant: Variant, lab: Lab) -> None:
    """Examining gives the very plan `expand` gives, and none where a finding is an error."""
    assert examine(demo, lab).plan == expand(demo, lab)
    assert examine(variant(increments=49), lab).plan is None


def test_two_procedures_do_not_double_the_findings_of_their_lab(demo: Protocol, lab: Lab) -> None:
    """What is doubtful in the lab file is said once, however many procedures use the station."""
    bare = changed(lab, commissioning=())
    twice = demo.model_copy(update={"procedures": demo.procedures * 2})
    assert sum("not signed" in text for text in texts(check(twice, bare), "warning")) == 1
