"""Fault scripts are read with their places, and strike in their time; the state survives a kill in the middle."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl_sim_oven import FAULTS, Thermal, last_state, load_faults, read_block
from tests.contract.oven_bench import START_S, Bench


def written(folder: Path, text: str) -> Path:
    """A fault script."""
    path = folder / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_fault_can_be_asked_for(tmp_path: Path) -> None:
    """Each kind takes what its table says, and comes back in SI."""
    for name, kind in FAULTS.items():
        entry = f"fault: {name}, at: 2 min"
        if kind.lasts:
            entry += ", for: 5 min"
        entry += "".join(f", {key}: {parameter.example}" for key, parameter in kind.parameters.items())
        path = written(tmp_path, f"version: 1\nfaults:\n  - {{{entry}}}\n")
        (fault,) = load_faults(path, controller=kind.only or "lakeshore", station="oven")
        assert (fault.kind, fault.at_s) == (name, 120.0)
        assert fault.for_s == (300.0 if kind.lasts else None)
        assert fault.place.endswith("faults.yaml:3")


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("fault: welded_rely, at: 1 s", "is not a fault of oven"),
        ("fault: bad_crc, at: 1 s", "is not a fault of oven"),
        ("fault: power_dip", "needs at"),
        ("fault: mute, at: 1 s", "needs for"),
        ("fault: reply_late, at: 1 s", "needs by"),
        ("fault: reply_lost, at: 1 s, replies: 0", "whole number from 1"),
        ("fault: power_dip, at: 3", "has no unit"),
        ("fault: power_dip, at: -3 s", "is negative"),
        ("fault: power_dip, at: 1 s, by: 3 K", "is not a key of power_dip"),
        ("fault: noise, at: 1 s, by: {a: 1}", "is not a quantity"),
    ],
)
def test_a_mistake_is_refused_with_its_line(tmp_path: Path, entry: str, says: str) -> None:
    """What cannot be used is named with file, line and column."""
    path = written(tmp_path, f"version: 1\nfaults:\n  - {{fault: power_dip, at: 1 s}}\n  - {{{entry}}}\n")
    with pytest.raises(InputError) as caught:
        load_faults(path, controller="lakeshore", station="oven")
    text = str(caught.value)
    assert says in text
    assert "faults.yaml:4:" in text


NO_SCRIPTS = ("- a\n", "version: 2\nfaults: []\n", "version: 1\nfaults: 3\n", "version: 1\nfaults: [x]\nmore: 1\n")


@pytest.mark.parametrize("text", NO_SCRIPTS)
def test_what_is_no_script_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever stands in the file, the answer is a finding."""
    with pytest.raises(InputError, match=r"faults\.yaml"):
        load_faults(written(tmp_path, text), controller="lakeshore", station="oven")


def test_faults_of_other_stations_are_passed_over(tmp_path: Path) -> None:
    """One script serves a lab of several stations."""
    path = written(
        tmp_path,
        "version: 1\nfaults:\n  - {fault: gas_loss, station: nmr500, at: 1 s}\n"
        "  - {fault: power_dip, station: oven, at: 2 s}\n",
    )
    assert [fault.at_s for fault in load_faults(path, controller="lakeshore", station="oven")] == [2.0]


def test_a_fault_begins_and_ends_in_its_time(tmp_path: Path) -> None:
    """An open door lets the air drop when the script says, and the heat is held again when it is shut."""
    bench = Bench("lakeshore", tmp_path, faults="  - {fault: door_open, at: 10 min, for: 2 min, by: 8 K}\n")
    oven = bench.lab.device.oven
    oven.nodes = type(oven.nodes).all_at(350.0)
    bench.skip_to(START_S + 599.0)
    before_K = oven.nodes.chamber_K
    bench.skip_to(START_S + 601.0)
    assert oven.nodes.chamber_K == pytest.approx(before_K - 8.0, abs=0.5)
    assert oven.ailments.door_open
    bench.skip_to(START_S + 721.0)
    assert not oven.ailments.door_open


def test_a_simulator_killed_while_writing_is_taken_up_from_the_state_before(tmp_path: Path) -> None:
    """A state file that lacks its last line does not count."""
    bench = Bench("eurotherm", tmp_path)
    bench.skip_to(START_S + 100.0)
    bench.simulator.close()
    serial, state = last_state(tmp_path / "lab")
    assert state is not None
    assert state["now_s"] == START_S + 100.0
    torn = json.dumps({**state, "now_s": 0.0})
    (tmp_path / "lab" / f"state.{serial + 1}.json").write_text(torn, encoding="utf-8")
    bench.restart()
    assert bench.simulator.now_s() == START_S + 100.0


def test_questions_alone_write_no_state(tmp_path: Path) -> None:
    """What follows from the state on disk and the time is not written again; what was ordered is, at once."""
    bench = Bench("lakeshore", tmp_path)
    link = bench.simulator.link()
    link.send("*ESR?;RANGE 1,3")
    serial, _ = last_state(tmp_path / "lab")
    bench.skip_to(START_S + 100.0)
    link.send("*ESE 7;KRDG? A;*ESE?")
    assert last_state(tmp_path / "lab")[0] == serial
    bench.skip_to(START_S + 200.0)
    link.send("SETP 1,330")
    serial_then, state = last_state(tmp_path / "lab")
    assert serial_then > serial
    assert state is not None
    assert (state["now_s"], state["oven"]["regulator"]["target_K"]) == (START_S + 200.0, 330.0)


def test_a_state_of_another_version_is_refused(tmp_path: Path) -> None:
    """Not guessed at: the folder is named."""
    (tmp_path / "state.1.json").write_text('{"version": 99}\nend\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"state\.1\.json"):
        last_state(tmp_path)


def test_simulator_settings_are_checked() -> None:
    """Unknown keys and wrong kinds come back with their path and a suggestion."""
    assert read_block(Thermal, {"power": "1.2 kW", "noise": "10 mK"}, where="x") == Thermal(
        power_W=1200.0, noise_K=0.01
    )
    with pytest.raises(InputError) as caught:
        read_block(Thermal, {"powr": "1 kW", "ambient": 20, "loss": "3 K"}, where="stations.oven.simulator")
    text = str(caught.value)
    for part in ("stations.oven.simulator.powr", "did you mean power", "has no unit", "is not a unit of this kind"):
        assert part in text


def test_wire_faults_are_used_up(tmp_path: Path) -> None:
    """A fault for three replies hits three messages and no more."""
    bench = Bench("lakeshore", tmp_path, faults="  - {fault: reply_lost, at: 60 s, replies: 3}\n")
    bench.skip_to(START_S + 61.0)
    lost = [bench.lab.hit().lost for _ in range(5)]
    assert list(itertools.accumulate(lost)) == [1, 2, 3, 3, 3]
