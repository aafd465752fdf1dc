"""The `settings:` block of a TopSpin station."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError, SafetyRefusal
from labctl.located_yaml import load
from labctl.units import parse
from labctl_topspin._settings import NEEDED_LIMITS, complete_limits, read_settings
from tests.drivers.topspin.orders import GOOD


def paths_of(error: InputError) -> list[str]:
    """Key paths of the findings, without the part all of them share."""
    return [finding.key_path.removeprefix("stations.nmr.settings.") for finding in error.findings]


def test_the_shipped_lab_file_is_accepted(protocols: Path) -> None:
    """The lab that ships with labctl holds settings the driver takes."""
    stations = load(protocols / "labs" / "simulated.yaml").data["stations"]
    for name, station in stations.items():
        if station["driver"] == "topspin":
            settings = read_settings(station["settings"], station=name)
            assert settings.templates == station["settings"]["templates"]
            assert settings.lease_s == parse(station["settings"]["lease"], "s")
            assert settings.quiet_period_s == parse(station["settings"]["quiet_period"], "s")


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"quiet_period": 10}, "quiet_period"),
        ({"quiet_period": "10 K"}, "quiet_period"),
        ({"guard_poll": "0 s"}, "guard_poll"),
        ({"guard_poll": "30 s", "lease": "60 s"}, "lease"),
        ({"silence": {"alarm": "1 ms"}}, "silence.alarm"),
        ({"silence": {"alarms": "60 s"}}, "silence.alarms"),
        ({"silence": 60}, "silence"),
        ({"dataset": "lab ctl"}, "dataset"),
        ({"dataset": "../labctl"}, "dataset"),
        ({"halt_command": "halt; stop"}, "halt_command"),
        ({"templates": {"exsy": "four"}}, "templates.exsy"),
        ({"templates": {"hsqc": 4}}, "templates.hsqc"),
        ({"pulse_programs": {"exsy": "noesyph\nzg"}}, "pulse_programs.exsy"),
        ({"pulse_programs": None}, "pulse_programs"),
        ({"gas_readback": "maybe"}, "gas_readback"),
        ({"tshome": 3}, "tshome"),
        ({"data_dir": ""}, "data_dir"),
        ({"nutation_recovery_delay": True}, "nutation_recovery_delay"),
        ({"datasets": "labctl"}, "datasets"),
    ],
)
def test_a_wrong_setting_is_named(changed: dict[str, Any], path: str) -> None:
    """Whatever cannot be used is refused by its key path."""
    with pytest.raises(InputError) as caught:
        read_settings({**GOOD, **changed}, station="nmr")
    assert path in paths_of(caught.value)


@pytest.mark.parametrize("key", ["tshome", "data_dir", "job_dir", "templates", "pulse_programs"])
def test_a_missing_setting_is_named(key: str) -> None:
    """What has no default must be there."""
    with pytest.raises(InputError) as caught:
        read_settings({name: value for name, value in GOOD.items() if name != key}, station="nmr")
    assert paths_of(caught.value) == [key]


@given(key=st.from_regex(r"x[a-z_]{2,12}", fullmatch=True), value=st.none() | st.integers() | st.text())
def test_an_unknown_key_is_refused(key: str, value: object) -> None:
    """A misspelt setting never passes in silence."""
    with pytest.raises(InputError) as caught:
        read_settings({**GOOD, key: value}, station="nmr")
    assert paths_of(caught.value) == [key]


@given(
    key=st.sampled_from([*GOOD, "lease", "silence", "dataset", "halt_command", "spinning_min"]),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_whatever_stands_under_a_key_is_an_input_error_or_a_setting(key: str, value: object) -> None:
    """No value, however odd, ends in anything but a setting or a message for its author."""
    with contextlib.suppress(InputError):
        read_settings({**GOOD, key: value}, station="nmr")


def test_a_real_console_needs_limits() -> None:
    """Without each limit that the guard needs, a real station is refused and the limit named; a rehearsal is not."""
    all_limits = dict.fromkeys(NEEDED_LIMITS, 1.0)
    assert complete_limits(all_limits, station="nmr", simulated=False) == all_limits
    for name in NEEDED_LIMITS:
        fewer = {other: value for other, value in all_limits.items() if other != name}
        with pytest.raises(SafetyRefusal, match=name):
            complete_limits(fewer, station="nmr", simulated=False)
        assert name in complete_limits(fewer, station="nmr", simulated=True)
