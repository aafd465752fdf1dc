"""Ranges follow current and frequency; an overload is seen by its flag alone, and never goes beyond the cap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.ports import Progress
from labctl_autolab._ranges import CORNER_SHARE, HEADROOM, MEMBERS, DEFAULT_CORNERS_Hz, Ladder, nearest
from labctl_autolab._settings import read_settings
from tests.drivers.autolab.bench import SETTINGS, Bench, grid_Hz, order_of, sweep_task

LADDER = Ladder(lowest_A=1e-8, highest_A=1e-3, corners_Hz=DEFAULT_CORNERS_Hz)


@given(f_Hz=st.floats(1e-3, 1e6), current_A=st.floats(0.0, 1.0))
def test_the_range_chosen_carries_the_current_and_follows_the_frequency(f_Hz: float, current_A: float) -> None:
    """Below the top the chosen range has headroom and speed, and no lower one has both."""
    chosen = LADDER.best_A(f_Hz, current_A)
    able = [
        one
        for one in LADDER.ranges_A()
        if one >= HEADROOM * np.sqrt(2.0) * current_A and f_Hz <= CORNER_SHARE * DEFAULT_CORNERS_Hz.get(one, np.inf)
    ]
    assert chosen == (min(able) if able else 1e-3)


@given(full_A=st.sampled_from(sorted(MEMBERS)))
def test_the_next_range_up_is_ten_times_or_none(full_A: float) -> None:
    """Steps of the ladder are decades; there is nothing above its top."""
    above = LADDER.above_A(full_A)
    if 1e-8 <= full_A < 1e-3:
        assert above == pytest.approx(10.0 * full_A)
    elif full_A >= 1e-3:
        assert above is None


@given(full_A=st.sampled_from(sorted(MEMBERS)), off=st.floats(-1e-9, 1e-9))
def test_a_range_is_found_however_its_number_was_rounded(full_A: float, off: float) -> None:
    """100 nA and 0.1 uA are one range; 3 uA is none."""
    assert nearest(full_A * (1.0 + off)) == full_A
    assert nearest(3.0 * full_A) is None


def sidecar(bench: Bench, token: str = "0a1b2c3d-1") -> dict[str, Any]:
    """Return the sidecar of a finished sweep."""
    data: dict[str, Any] = json.loads((bench.data / f"LiI_{token}.eis.json").read_text(encoding="utf-8"))
    return data


def test_ranges_go_down_with_the_frequency_and_none_is_too_slow(tmp_path: Path) -> None:
    """From 100 kHz to 1 Hz a gigaohm pellet takes all ranges from 10 uA down, each well below its corner."""
    bench = Bench(tmp_path, sample="li2s_pellet")
    bench.open()
    task = sweep_task(frequencies_Hz=grid_Hz(51))
    assert bench.carry_out(order_of(task)).progress is Progress.DONE
    ranges = sidecar(bench)["current_range_A"]
    assert sorted(set(ranges), reverse=True) == [1e-5, 1e-6, 1e-7, 1e-8]
    assert ranges == sorted(ranges, reverse=True)
    assert all(
        f_Hz <= CORNER_SHARE * DEFAULT_CORNERS_Hz.get(one, 1e6)
        for f_Hz, one in zip(task.frequencies_Hz, ranges, strict=True)
    )


@pytest.mark.parametrize("behaviour", ["returns", "raises", "stale"])
def test_an_overloaded_point_is_measured_again_one_range_up(tmp_path: Path, behaviour: str) -> None:
    """Whatever Start does on overload, the flag is seen, the point is repeated, and the spectrum is right."""
    faults = "  - {fault: overload, during: {title: T01, after: 13 s}, for: 8 s, by: 20 uA}\n"
    bench = Bench(tmp_path, faults=faults, simulator={"overload": behaviour})
    bench.open()
    task = sweep_task(frequencies_Hz=grid_Hz(31, 1e3, 30.0))
    assert bench.carry_out(order_of(task)).progress is Progress.DONE
    data = sidecar(bench)
    assert any("measured again" in remark for remark in data["remarks"])
    assert not any(data["overload"])
    assert 1e-5 in data["current_range_A"], "20 uA of mains need the 10 uA range"
    assert data["current_range_A"][-1] < 1e-5, "and the range comes down again afterwards"


def test_ranging_stops_at_the_cap_and_flags_what_is_over_it(tmp_path: Path) -> None:
    """With 20 mA from outside no range up to the cap will do: points are kept, flagged, and the spectrum is none."""
    faults = "  - {fault: overload, at: 0 s, by: 20 mA}\n"
    bench = Bench(tmp_path, faults=faults, range_max="100 uA")
    bench.open()
    order = order_of(sweep_task(frequencies_Hz=grid_Hz(5)))
    assert bench.carry_out(order).progress is Progress.DONE
    data = sidecar(bench)
    assert all(data["overload"])
    assert set(data["current_range_A"]) == {1e-4}
    collected = bench.driver.collect(order, tmp_path / "run")
    assert collected.completeness == "failed"
    assert any("5 of 5 points" in remark for remark in collected.remarks)


def test_a_shorted_cell_stays_within_the_cap(tmp_path: Path) -> None:
    """Ten ohm across the pellet draw half a milliampere at 5 mV; the range never rises above 1 mA."""
    bench = Bench(tmp_path, faults="  - {fault: short_cell, at: 0 s, by: 10 ohm}\n")
    bench.open()
    assert bench.carry_out(order_of(sweep_task(frequencies_Hz=grid_Hz(5)))).progress is Progress.DONE
    assert max(sidecar(bench)["current_range_A"]) <= 1e-3


def test_samples_that_no_longer_change_end_the_sweep(tmp_path: Path) -> None:
    """When the sampler stores nothing, the overload flags are old ones too: the sweep ends and says so."""
    bench = Bench(tmp_path, faults="  - {fault: latched, during: {title: T01, after: 12 s}}\n")
    bench.open()
    seen = bench.carry_out(order_of(sweep_task(frequencies_Hz=grid_Hz(31))))
    assert seen.progress is Progress.FAILED
    assert "no longer samples" in seen.detail
    assert not bench.cell_is_on


def test_a_quiet_cell_on_a_coarse_range_is_not_taken_for_that(tmp_path: Path) -> None:
    """Without noise all samples of a range are equal, and the sweep is finished all the same."""
    bench = Bench(tmp_path, simulator={"noise": {"sample": "0 A"}})
    bench.open()
    assert bench.carry_out(order_of(sweep_task(frequencies_Hz=grid_Hz(31)))).progress is Progress.DONE


@pytest.mark.parametrize(("rig", "factor"), [("rms", 1.0), ("peak", np.sqrt(2.0))])
def test_the_amplitude_is_converted_to_what_the_instrument_takes_it_for(
    tmp_path: Path, rig: str, factor: float
) -> None:
    """Told what the FRA takes its amplitude for, the driver puts 5 mV rms on the cell either way."""
    bench = Bench(tmp_path, simulator={"amplitude_kind": rig}, amplitude_kind=rig)
    bench.open()
    bench.carry_out(order_of(sweep_task(frequencies_Hz=grid_Hz(3))))
    assert bench.simulator.device.front.amplitude == pytest.approx(5e-3 * factor)
    assert sidecar(bench)["amplitude_V_rms"] == 5e-3


@pytest.mark.parametrize("sign", ["Z''", "-Z''"])
def test_the_sign_of_the_imaginary_part_is_the_rig_s(tmp_path: Path, sign: str) -> None:
    """Whichever sign the SDK shows, the capacitive arc comes out with a negative imaginary part."""
    bench = Bench(tmp_path, simulator={"imaginary": sign}, imaginary=sign)
    bench.open()
    bench.carry_out(order_of(sweep_task(frequencies_Hz=grid_Hz(3))))
    rows = (bench.data / "LiI_0a1b2c3d-1.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(float(row.split(";")[3]) > 0.0 for row in rows), "column -Z'' of a capacitor is positive"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"range_max": "10 mA"}, "range_max"),
        ({"range_max": "3 uA"}, "range_max"),
        ({"range_min": "1 mA", "range_max": "1 uA"}, "range_min"),
        ({"range_bandwidth": {"100 nA": "fast"}}, "range_bandwidth.100 nA"),
        ({"range_bandwidth": {"3 nA": "1 kHz"}}, "range_bandwidth.3 nA"),
        ({"bias_away_max": "100 mV"}, "bias_away_max"),
        ({"amplitude_kind": "top"}, "amplitude_kind"),
        ({"imaginary": "+"}, "imaginary"),
        ({"route": "nova"}, "route"),
        ({"noise": {"current": 3e-12}}, "noise.current"),
        ({"open_holder": {"capacity": "20 pF"}}, "open_holder.capacity"),
        ({"procedure": {"bais": "a/b"}}, "procedure.bais"),
        ({"oven": {"resource": "ASRL1::INSTR"}}, "oven.controller"),
        ({"sdk": {"dll": "x"}}, "sdk.dll"),
        ({"data_dir": ""}, "data_dir"),
        ({"first_setle": "5 s"}, "first_setle"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(changes: dict[str, Any], key: str) -> None:
    """Each mistake in the lab file is one finding with the path of its key."""
    with pytest.raises(InputError) as caught:
        read_settings({**SETTINGS, **changes}, station="autolab", simulated=True)
    assert [one.key_path for one in caught.value.findings] == [f"stations.autolab.settings.{key}"]


def test_a_real_station_needs_its_paths() -> None:
    """Without a simulator the paths of the SDK are asked for, each by its key."""
    with pytest.raises(InputError) as caught:
        read_settings({"data_dir": "C:/labctl"}, station="autolab", simulated=False)
    keys = {one.key_path.rsplit(".", 1)[1] for one in caught.value.findings}
    assert keys == {"assembly", "extensions", "embedded", "hardware_setup"}
