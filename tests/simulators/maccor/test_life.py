"""The life cycle of a channel, faults, and a tester that outlives whoever talks to it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from labctl.errors import InputError, InstrumentSilent
from tests.simulators.maccor.bench import Bench, cycling, document, step


def _bench(folder: Path, faults: str = "", cycles: int = 2, **settings: Any) -> Bench:
    bench = Bench(folder, faults=faults, **settings)
    bench.put("FIXED", cycling(cycles))
    return bench


def test_a_finished_test_holds_its_channel_until_archived(tmp_path: Path) -> None:
    """Completed refuses a start; archived it is Available, its data in Archive, and its name is taken for good."""
    bench = _bench(tmp_path, cycles=1)
    assert bench.start("cell", "FIXED") == "OK"
    assert bench.stat() == 12
    bench.live(1.0)
    assert bench.stat() == 2
    assert bench.start("other", "FIXED") == "Channel in use"
    assert bench.call(6, 6, Chan=0)["Result"] != "OK"
    bench.live_until_over()
    assert bench.stat() == 4
    assert bench.start("other", "FIXED") == "Channel in use"
    assert bench.call(6, 6, Chan=0)["Result"] == "OK"
    assert bench.stat() == 0
    assert bench.call(1, 4, TestName="cell")["TestNameExists"] == "TRUE"
    assert (bench.folder / "Archive" / "cell.001").stat().st_size > 1000
    assert not (bench.folder / "Active" / "cell.001").exists()
    assert bench.call(6, 11, Chan=0, TestName="cell", ProcName="FIXED")["Result"] == "File name exists in Archive"
    assert "not unique" in bench.start("cell", "FIXED")
    assert bench.start("cell", "FIXED", channel=1) == "OK", "the same name on another channel is another file"


def test_suspended_time_stands_and_resumed_it_goes_on(tmp_path: Path) -> None:
    """A suspension leaves a record of 192; test time freezes while the wall clock runs, and the charge is whole."""
    bench = _bench(tmp_path, cycles=1)
    bench.start("cell", "FIXED")
    bench.live(5 * 3600.0)
    assert bench.call(6, 4, Chan=0)["Result"] != "OK"
    assert bench.call(6, 3, Chan=0)["Result"] == "OK"
    before = bench.call(4, 7, Chan=0)
    bench.live(7200.0)
    after = bench.call(4, 7, Chan=0)
    assert (after["Stat"], after["RF2"], after["TestTime"]) == (3, 192, before["TestTime"])
    assert after["Voltage"] < before["Voltage"] + 1e-6
    assert bench.call(6, 4, Chan=0)["Result"] == "OK"
    bench.live_until_over()
    records = bench.records("cell")
    charge = [record for record in records if record.step == 3]
    assert charge[-1].why == 136
    jumps = [b.wall_s - a.wall_s - (b.test_ticks - a.test_ticks) / 100.0 for a, b in itertools.pairwise(records)]
    assert max(jumps) == pytest.approx(7200.0, abs=1.0)


def test_a_reset_ends_a_test_and_what_was_recorded_stays(tmp_path: Path) -> None:
    """Reset makes a running channel available; by default its data file is kept, or discarded where installed so."""
    for after, kept in (("kept", True), ("discarded", False)):
        bench = _bench(tmp_path / after, after_reset=after)
        bench.start("cell", "FIXED")
        bench.live(7200.0)
        assert bench.call(6, 5, Chan=0)["Result"] == "OK"
        assert bench.stat() == 0
        assert (bench.folder / "Active" / "cell.001").exists() == kept


def _untouched(folder: Path) -> tuple[bytes, bytes]:
    bench = _bench(folder)
    bench.start("cell", "FIXED")
    bench.live_until_over()
    return _left(folder)


def _left(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "Active" / "cell.001").read_bytes(), (folder / "Export" / "cell.001.txt").read_bytes()


def test_killed_and_taken_up_it_leaves_the_same_bytes(tmp_path: Path) -> None:
    """Whoever looks, whenever, and however often the tester is killed and opened again: the same records."""
    expected = _untouched(tmp_path / "a")
    folder = tmp_path / "b"
    bench = _bench(folder)
    bench.start("cell", "FIXED")
    for hours in (0.5, 3.21, 11.7, 1.03, 17.9):
        bench.live(hours * 3600.0)
        for path in (folder / "Active" / "cell.001", folder / "Export" / "cell.001.txt"):
            with path.open("ab") as file:
                file.write(b"[half a record of a killed pro")
        serial = max(int(path.name.split(".")[1]) for path in folder.glob("state.*.json"))
        (folder / f"state.{serial + 1}.json").write_bytes(b'{"version": 1, "now')
        bench = Bench(folder, start_s=bench.simulator.now_s())
    bench.live_until_over()
    assert _left(folder) == expected


def test_a_start_that_was_not_saved_left_nothing(tmp_path: Path) -> None:
    """A tester that dies before it has saved a start knows no test of that name, and neither do its folders."""
    bench = _bench(tmp_path)
    someone_elses = tmp_path / "Active" / "other.001"
    someone_elses.write_bytes(b"data")
    with mock.patch.object(bench.simulator.tester, "save"):
        bench.start("cell", "FIXED")
    assert (tmp_path / "Active" / "cell.001").exists()
    bench = Bench(tmp_path, start_s=bench.simulator.now_s())
    assert bench.stat() == 0
    assert bench.start("cell", "FIXED") == "OK"
    assert someone_elses.read_bytes() == b"data"


@pytest.mark.parametrize("kind", ["reply_lost", "reply_half", "request_lost", "reply_late"])
def test_a_start_whose_reply_is_lost_was_made_or_was_not(tmp_path: Path, kind: str) -> None:
    """The link says it is silent; names and status afterwards tell whether the test runs."""
    bench = _bench(tmp_path, f"  - {{fault: {kind}, at: 0 s, function: [6, 2]}}\n")
    with pytest.raises(InstrumentSilent):
        bench.start("cell", "FIXED")
    made = kind != "request_lost"
    assert bench.call(4, 6, Chan=0)["TestName"] == ("cell" if made else "")
    assert (bench.stat() in {2, 12}) == made


def test_a_stale_reply_and_a_constant_id(tmp_path: Path) -> None:
    """The reply before comes first, or every reply carries 1987, for as many requests as the script says."""
    bench = _bench(tmp_path, "  - {fault: id_constant, at: 0 s, requests: 2}\n")
    assert [bench.ask(1, 2)["id"] for _ in range(3)] == [1987, 1987, 3]


@pytest.mark.parametrize(
    ("fault", "stat", "why"),
    [
        ("{fault: safety_trip, at: 2 h, by: 189}", 5, 189),
        ("{fault: hardware_fault, at: 2 h}", 5, 197),
        ("{fault: suspended, at: 2 h}", 3, 192),
        ("{fault: power_failure, at: 2 h}", 9, 128),
        ("{fault: reset_by_operator, at: 2 h}", 0, 0),
        ("{fault: no_controller, at: 2 h}", 10, None),
        ("{fault: shut_down, at: 2 h}", 11, None),
        ("{fault: blocked, at: 2 h}", 13, None),
        ("{fault: remote_maintenance, at: 2 h}", 16, None),
    ],
)
def test_what_befalls_a_channel_is_told_by_its_state(tmp_path: Path, fault: str, stat: int, why: int | None) -> None:
    """Each fault shows as the state and the code that the vendor gives it."""
    bench = _bench(tmp_path, f"  - {fault}\n")
    bench.start("cell", "FIXED")
    bench.live(3 * 3600.0)
    found = bench.call(4, 7, Chan=0)
    assert found["Stat"] == stat
    if why is not None:
        assert found["RF2"] == why


def test_an_operator_goes_to_the_next_step(tmp_path: Path) -> None:
    """A forced step ends with 199."""
    bench = _bench(tmp_path, "  - {fault: forced_step, at: 2 h}\n")
    bench.start("cell", "FIXED")
    bench.live(3 * 3600.0)
    assert [record.why for record in bench.records("cell") if record.step == 3][-1] == 199


def test_starts_are_refused_as_scripted(tmp_path: Path) -> None:
    """An occupied channel, a busy chamber, a clamped limit and a refused start each show as they do on a tester."""
    bench = _bench(
        tmp_path,
        "  - {fault: occupied, at: 0 s, channel: 2}\n  - {fault: chamber_busy, at: 0 s}\n"
        "  - {fault: limits_clamped, at: 0 s, by: 2.5 V}\n",
    )
    bench.live(2.0)
    assert bench.call(6, 11, Chan=1, TestName="x", ProcName="FIXED")["Result"] == "Channel not available or selected"
    assert bench.start("x", "FIXED", channel=1) == "Channel in use"
    assert bench.call(4, 6, Chan=1)["TestName"] not in {"", "x"}
    assert bench.start("x", "FIXED", ChamberNum=1) == "Chamber in use"
    limits = {"VSafeMax": 3.1, "VSafeMin": -0.5, "ISafeChg": 1e-3, "ISafeDis": 1e-3, "PBatSafeChg": 0, "PBatSafeDis": 0}
    echo = bench.call(6, 10, Chan=0, **limits)
    assert echo["VSafeMax"] == 2.5
    assert echo["ISafeChg"] == pytest.approx(1e-3, rel=1e-6)


@pytest.mark.parametrize("limit", [{"VSafeMax": 2.0}, {"ISafeChg": 0.5e-4}, {"PBatSafeChg": 2e-4}])
def test_the_tester_trips_on_its_own_safety_limits(tmp_path: Path, limit: dict[str, float]) -> None:
    """A procedure that would charge beyond the channel's safety voltage, current or power stops as Problem with 190."""
    bench = Bench(tmp_path)
    bench.put(
        "HIGH", document([step("Charge", "1E-4", mode="Current", ends=[("Voltage", ">=", "2.8", 2)]), step("End")])
    )
    wide = {"VSafeMax": 3.0, "VSafeMin": -0.5, "ISafeChg": 1e-3, "ISafeDis": 1e-3, "PBatSafeChg": 0, "PBatSafeDis": 0}
    bench.call(6, 10, Chan=0, **(wide | limit))
    assert bench.start("cell", "HIGH") == "OK"
    bench.live_until_over()
    found = bench.call(4, 7, Chan=0)
    assert (found["Stat"], found["RF2"]) == (5, 190)
    assert found["Current"] == 0.0


def test_a_tester_with_users_wants_a_login(tmp_path: Path) -> None:
    """Without a login every call is an error; with the wrong password it stays so; then it serves."""
    bench = _bench(tmp_path, user="lab", password="in-li")
    assert "logged in" in bench.ask(4, 7, Chan=0)["error"]["message"]
    assert bench.call(8, 1, UserID="lab", Password="wrong")["Result"] == "FAILED"
    assert bench.call(8, 1, UserID="lab", Password="in-li")["Result"] == "PASSED"
    assert bench.stat() == 0


def test_the_clock_shows_local_time_and_may_be_wrong(tmp_path: Path) -> None:
    """The tester's time has no zone; a skew moves it and nothing else."""
    bench = _bench(tmp_path, "  - {fault: clock_skew, at: 1 h, by: -2 h}\n", utc_offset="2 hours")
    first = bench.call(4, 7, Chan=0)["TesterTime"]
    assert "+" not in first
    bench.live(3600.0)
    assert bench.call(4, 7, Chan=0)["TesterTime"] < first


def test_requests_take_their_time(tmp_path: Path) -> None:
    """Each request costs the tester 34 ms of the lab's time."""
    bench = Bench(tmp_path)
    before = bench.clock.now_s()
    for _ in range(10):
        bench.call(1, 2)
    assert bench.clock.now_s() - before == pytest.approx(0.34, abs=1e-3)


def test_a_fault_script_that_cannot_be_is_refused_with_its_place(tmp_path: Path) -> None:
    """Unknown faults and keys, and missing times, are named with file and line."""
    with pytest.raises(InputError) as told:
        _bench(tmp_path, "  - {fault: shrot, at: 1 h}\n  - {fault: short, at: 1 h, for: 2 h}\n  - {fault: short}\n")
    assert [finding.line for finding in told.value.findings] == [3, 4, 5]
    with pytest.raises(InputError, match="chanels"):
        Bench(tmp_path / "b", chanels=4)
    with pytest.raises(InputError, match="channel 9"):
        _bench(tmp_path / "c", "  - {fault: short, at: 1 h, channel: 9}\n")


def test_state_is_plain_json(tmp_path: Path) -> None:
    """What is kept is readable text with the channel's test in it."""
    bench = _bench(tmp_path)
    bench.start("cell", "FIXED")
    (file,) = tmp_path.glob("state.*.json")
    state = json.loads(file.read_text(encoding="utf-8").split("\n")[0])
    assert state["channels"][0]["test"]["test_name"] == "cell"
