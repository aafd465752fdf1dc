"""The driver against a tester in process: one start, nobody else's test touched, nothing resumed by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import ForeignDataError, InputError, InstrumentError, InstrumentSilent
from labctl.formats.maccor_procedure import parse_procedure
from labctl.ports import Instrument, Progress, Standing
from labctl_maccor import open_driver
from labctl_maccor._codec import Channel, Stat
from tests.drivers.maccor.conftest import Bench
from tests.drivers.maccor.course import Course
from tests.drivers.maccor.orders import TASK, TEST, order
from tests.drivers.maccor.peer import ACTIVE, AVAILABLE, COMPLETED, PROBLEM, SUSPENDED

ON_WIRE = 1  # channel 2 of the bench


def test_a_test_is_started_once(bench: Bench) -> None:
    """Beginning twice starts one test, on channel 2 (1 on the wire), checked before it is started."""
    driver: Instrument = bench.driver()
    driver.begin(order())
    driver.begin(order())
    assert bench.peer.started == [(ON_WIRE, TEST)]
    asked = bench.peer.asked
    assert asked.index((6, 10)) < asked.index((6, 11)) < asked.index((6, 2))
    assert (6, 5) not in asked, "a channel is never reset"
    assert driver.look(order()).progress is Progress.RUNNING


def test_the_start_carries_cell_and_procedure(bench: Bench) -> None:
    """The start names our procedure, which lies in the tester's folder, the largest charge, and the mass in grams."""
    bench.driver().begin(order())
    sent = [json.loads(raw)["params"] for raw in bench.peer.raw]
    start = next(params for params in sent if (params["FClass"], params["FNum"]) == (6, 2))
    written = bench.link.procedures_dir / f"{start['ProcName']}.000"
    parse_procedure(written.read_bytes(), file=written.name)
    assert start["Crate"] == pytest.approx(max(TASK.charges_Ah))
    assert start["Mass"] == pytest.approx(TASK.mass_mg / 1000.0)
    assert start["ChamberNum"] == 0


@pytest.mark.parametrize(("lost", "standing"), [("before", Standing.NOT_STARTED), ("after", Standing.RUNNING)])
def test_a_start_without_reply_is_not_sent_blindly(bench: Bench, lost: str, standing: Standing) -> None:
    """After a lost start the channel is asked, for as long as it may take, and only then is anything sent again."""
    driver = bench.driver()
    bench.wait(60.0)
    bench.link.lose[6, 2] = lost
    with pytest.raises(InstrumentSilent):
        driver.begin(order())
    if standing is Standing.NOT_STARTED:
        with pytest.raises(InstrumentSilent, match="on its way"):
            driver.evidence(order())
        with pytest.raises(InstrumentSilent, match="on its way"):
            driver.begin(order())
        bench.wait(10.0)
    assert driver.evidence(order()).standing is standing
    driver.begin(order())
    assert bench.peer.started == [(ON_WIRE, TEST)]


def test_a_new_engine_does_not_believe_an_idle_channel_at_once(bench: Bench) -> None:
    """A start sent by an engine that died may still arrive: evidence of nothing waits."""
    driver = bench.driver()
    with pytest.raises(InstrumentSilent):
        driver.evidence(order())
    bench.peer.run(ON_WIRE, TEST)
    assert driver.evidence(order()).standing is Standing.RUNNING


@pytest.mark.parametrize("function", [(4, 7), (4, 6), (1, 4), (3, 1), (6, 10), (6, 11), (6, 6)])
@pytest.mark.parametrize("lost", ["before", "after"])
def test_any_lost_reply_leaves_one_test(bench: Bench, function: tuple[int, int], lost: str) -> None:
    """Whatever reply is lost while beginning, asking again ends with exactly one test."""
    driver = bench.driver()
    bench.peer.run(ON_WIRE, "mLi2S_00-ffffffff-1", COMPLETED)
    bench.link.lose[function] = lost
    for _ in range(3):
        try:
            driver.begin(order())
        except InstrumentSilent:
            bench.wait(20.0)
    assert bench.peer.started == [(ON_WIRE, TEST)]
    assert bench.peer.archive == ["mLi2S_00-ffffffff-1"]


@pytest.mark.parametrize("stat", [ACTIVE, SUSPENDED, COMPLETED, PROBLEM])
def test_another_test_is_left_alone(bench: Bench, stat: int) -> None:
    """A test that is not ours, in whatever state, is neither stopped nor archived nor started over."""
    driver = bench.driver()
    bench.peer.run(ON_WIRE, "somebody's cell", stat)
    with pytest.raises(ForeignDataError, match="somebody's cell"):
        driver.begin(order())
    driver.make_safe("a test")
    driver.stop(order(), "a test")
    assert bench.peer.started == []
    assert bench.peer.archive == []
    assert bench.peer.status[ON_WIRE]["Stat"] == stat
    assert driver.is_safe()


@pytest.mark.parametrize("gone", ["archived", "reset"])
def test_a_test_that_was_ended_is_never_begun_again(bench: Bench, gone: str) -> None:
    """A test found in the archive, or reset on its channel, was carried out in part: it is not started again."""
    driver = bench.driver()
    driver.begin(order())
    bench.peer.status[ON_WIRE]["Stat"] = AVAILABLE
    if gone == "archived":
        bench.peer.names[ON_WIRE] = ""
        bench.peer.archive.append(TEST)
    assert driver.evidence(order()).standing is Standing.INTERRUPTED
    assert driver.look(order()).progress is Progress.FAILED
    driver.begin(order())
    assert len(bench.peer.started) == 1


def test_a_test_that_was_cleared_away_is_known_by_its_name(bench: Bench) -> None:
    """Nothing tells of a test that was cleared while nobody watched but that its name is taken: it was carried out."""
    bench.driver().begin(order())
    bench.peer.status[ON_WIRE]["Stat"], bench.peer.names[ON_WIRE] = AVAILABLE, ""
    driver = bench.driver()
    bench.wait(20.0)
    assert driver.evidence(order()).standing is Standing.NOT_STARTED
    with pytest.raises(InstrumentError, match="not unique"):
        driver.begin(order())
    bench.wait(20.0)
    assert driver.evidence(order()).standing is Standing.INTERRUPTED
    assert len(bench.peer.started) == 1


def test_safety_limits_are_read_back(bench: Bench) -> None:
    """A tester that takes other safety limits than asked for gets no start; they lie outside the guards."""
    driver = bench.driver()
    bench.peer.clamp_safety = 0.99
    with pytest.raises(InstrumentError, match=r"VSafeMax.*reads back"):
        driver.begin(order())
    assert bench.peer.started == []
    bench.peer.clamp_safety = 1.0 + 2e-7  # what a single does to a number
    driver.begin(order())
    assert bench.peer.safety["VSafeMax"] > TASK.charge_above_V
    assert bench.peer.safety["VSafeMin"] < TASK.charge_below_V


def test_a_failed_check_starts_nothing(bench: Bench) -> None:
    """What the tester's own check says against a start is passed on in its words."""
    driver = bench.driver()
    bench.peer.check_says = "Compile error"
    with pytest.raises(InstrumentError, match="Compile error"):
        driver.begin(order())
    assert bench.peer.started == []


@pytest.mark.parametrize("changes", [{"current_A": 6.0}, {"charge_above_V": 11.0}])
def test_what_the_channel_cannot_do_is_refused(bench: Bench, changes: dict[str, Any]) -> None:
    """A current or voltage beyond the channel is refused before a procedure is written."""
    with pytest.raises(InstrumentError):
        bench.driver().begin(order(**changes))
    assert list(bench.link.procedures_dir.iterdir()) == []


def test_the_lab_files_limits_count(bench: Bench) -> None:
    """A limit of the lab file below what the channel could do is kept to."""
    driver = open_driver(
        station="maccor", settings={"channel": 2}, limits={"current_max_A": 5e-5}, clock=bench.clock, link=bench.link
    )
    with pytest.raises(InstrumentError, match="refused for safety"):
        driver.begin(order())


def test_safe_is_a_suspended_test(bench: Bench) -> None:
    """Safe suspends our running test, twice is once, and nothing resumes it but a person's word."""
    driver = bench.driver()
    driver.begin(order())
    assert not driver.is_safe()
    driver.make_safe("an interlock")
    driver.make_safe("an interlock")
    assert driver.is_safe()
    seen = driver.look(order())
    assert seen.progress is Progress.RUNNING
    assert "an interlock" in seen.needs_person
    driver.begin(order())
    assert bench.peer.status[ON_WIRE]["Stat"] == SUSPENDED
    assert (6, 4) not in bench.peer.asked
    driver.resume(order())
    assert bench.peer.status[ON_WIRE]["Stat"] == ACTIVE


def test_stop_keeps_the_test(bench: Bench) -> None:
    """An order that was stopped has halted; its test stands suspended with all its data."""
    driver = bench.driver()
    driver.begin(order())
    driver.stop(order(), "a person asked")
    assert driver.look(order()).progress is Progress.HALTED
    assert bench.peer.names[ON_WIRE] == TEST
    assert (6, 5) not in bench.peer.asked


def test_which_end_was_reached_is_told(bench: Bench) -> None:
    """The first End is the normal one; any other halted the test, and its guard is named."""
    driver = bench.driver()
    driver.begin(order())
    bench.peer.status[ON_WIRE] |= {"Stat": COMPLETED, "RF1": 31, "RF2": 193}
    assert driver.look(order()).progress is Progress.DONE
    bench.peer.end_number = 2
    seen = driver.look(order())
    assert seen.progress is Progress.HALTED
    assert "over-voltage" in seen.detail


@pytest.mark.parametrize("stat", [Stat.NO_CONTROLLER, Stat.SHUT_DOWN, Stat.BLOCKED, Stat.REMOTE_MAINTENANCE])
def test_a_tester_that_is_down_is_silent(bench: Bench, stat: Stat) -> None:
    """While the tester is down nothing is concluded from it, even if our name stands on the channel."""
    driver = bench.driver()
    driver.begin(order())
    bench.peer.status[ON_WIRE]["Stat"] = int(stat)
    for ask in (driver.look, driver.evidence, driver.begin):
        with pytest.raises(InstrumentSilent):
            ask(order())


def test_power_failure_waits_for_a_person(bench: Bench) -> None:
    """After a power failure the test is ours still, and a person is asked for; nothing is resumed."""
    driver = bench.driver()
    driver.begin(order())
    bench.peer.status[ON_WIRE]["Stat"] = int(Stat.POWER_FAIL)
    seen = driver.look(order())
    assert seen.progress is Progress.RUNNING
    assert "lost power" in seen.needs_person


def _looked_at(bench: Bench, course: Course, every_s: float) -> list[tuple[float, str]]:
    """Look at a course at even spacing, from its begin until a person is asked for; (test time, what is asked)."""
    driver, mine = bench.driver(), order(**{name: getattr(course.task, name) for name in course.task.__slots__})
    driver.begin(mine)
    looks: list[tuple[float, str]] = []
    while not looks or (not looks[-1][1] and looks[-1][0] + every_s < course.lasts_s):
        at_s = looks[-1][0] + every_s if looks else 0.0
        bench.peer.status[ON_WIRE] |= course.status(at_s)
        looks.append((at_s, driver.look(mine).needs_person))
    return looks


@pytest.mark.parametrize("every_h", [0.2, 1.0, 6.0])
def test_low_efficiency_twice_pauses_the_cell(bench: Bench, every_h: float) -> None:
    """Two cycles in a row that give back less than 80 % suspend the test, and a person is told why."""
    course = Course(replace(TASK, then_cycles=1, unreturned_max_Ah=1.0), [0.99, 0.7, 0.95, 0.75, 0.78, 1.0])
    *before, (at_s, told) = _looked_at(bench, course, every_h * 3600.0)
    assert "80 %" in told
    assert bench.peer.status[ON_WIRE]["Stat"] == SUSPENDED
    assert course.over_by(at_s) == 5
    assert course.over_by(before[-1][0]) == 4


@pytest.mark.parametrize("every_h", [0.2, 1.0, 24.0, 200.0])
def test_charge_that_never_comes_back_pauses_the_cell(bench: Bench, every_h: float) -> None:
    """The running sum of charge minus discharge over all cycles is a guard of its own, however rarely one looks."""
    course = Course(replace(TASK, charges_Ah=(1e-3,), then_cycles=20, then_charge_Ah=1e-3), [0.945] * 21)
    *before, (at_s, told) = _looked_at(bench, course, every_h * 3600.0)
    assert f"not discharged again by cycle {course.over_by(at_s)}" in told
    assert 0.055e-3 * course.over_by(at_s) > TASK.unreturned_max_Ah
    assert 0.055e-3 * course.over_by(before[-1][0]) <= TASK.unreturned_max_Ah
    assert bench.peer.status[ON_WIRE]["Stat"] == SUSPENDED


def test_a_healthy_cell_is_never_paused(bench: Bench) -> None:
    """Hourly looks at a cell that gives back 99 % find nothing to pause."""
    course = Course(TASK, [0.995] * TASK.cycles)
    assert not any(told for _, told in _looked_at(bench, course, 3600.0))


def test_a_suspension_that_was_lost_is_tried_again(bench: Bench) -> None:
    """If the request to suspend gets lost, the next look suspends; what was found is not forgotten."""
    course = Course(replace(TASK, then_cycles=0), [0.5] * 5)
    driver = bench.driver()
    driver.begin(order(then_cycles=0))
    bench.peer.status[ON_WIRE] |= course.status(0.99 * course.lasts_s)
    bench.link.lose[6, 3] = "before"
    with pytest.raises(InstrumentSilent):
        driver.look(order(then_cycles=0))
    assert bench.peer.status[ON_WIRE]["Stat"] == ACTIVE
    assert "was paused" in driver.look(order(then_cycles=0)).needs_person
    assert bench.peer.status[ON_WIRE]["Stat"] == SUSPENDED
    driver.resume(order(then_cycles=0))
    assert driver.look(order(then_cycles=0)).needs_person == "", "a person decided to go on"


def test_readings_carry_units(bench: Bench) -> None:
    """The monitored values are the channel's own, in volts, amperes and ampere hours."""
    driver = bench.driver()
    bench.peer.status[ON_WIRE] |= {"Voltage": 1.69, "Current": 1.0367e-4, "Capacity": 1.15e-4}
    found = {reading.quantity: reading.value for reading in driver.readings()}
    assert (found["voltage_V"], found["current_A"], found["capacity_Ah"]) == (1.69, 1.0367e-4, 1.15e-4)


def test_export_procedure_and_cell_come_into_the_run_folder(bench: Bench, tmp_path: Path) -> None:
    """Finished data are copied with the procedure that ran; a different file of that name is never overwritten."""
    driver = bench.driver()
    driver.begin(order())
    bench.peer.status[ON_WIRE] |= {"Stat": COMPLETED, "RF2": 193, "Cycle": 55}
    with pytest.raises(InstrumentSilent, match="no export"):
        driver.collect(order(), tmp_path / "run")
    (bench.link.export_dir / f"{TEST}.002").write_bytes(b"Rec#\tCyc#\r\n")
    (bench.link.export_dir / f"{TEST}.003").write_bytes(b"the neighbour's")
    collected = driver.collect(order(), tmp_path / "run")
    assert collected.completeness == "complete"
    assert sorted(Path(name).suffix for name in collected.files) == [".000", ".002", ".json"]
    assert driver.collect(order(), tmp_path / "run").files == collected.files
    (bench.link.export_dir / f"{TEST}.002").write_bytes(b"other data")
    with pytest.raises(ForeignDataError):
        driver.collect(order(), tmp_path / "run")


def test_login_and_its_secret(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tester that wants a login gets it, and the password stands in no message."""
    bench.peer.password = "s3cret-word"
    monkeypatch.setenv("LABCTL_MACCOR_PASSWORD", "s3cret-word")
    bench.driver(user="labctl").begin(order())
    assert bench.peer.started
    bench.peer.logged_in = False
    monkeypatch.setenv("LABCTL_MACCOR_PASSWORD", "wr0ng-word")
    with pytest.raises(InstrumentError) as problem:
        bench.driver(user="labctl")
    assert "wr0ng-word" not in str(problem.value)


def test_many_channels_in_few_questions(bench: Bench) -> None:
    """State, voltage and current of all channels take three exchanges."""
    driver = bench.driver()
    before = len(bench.peer.asked)
    found = driver._tester.overview(Channel(1), 4)
    assert len(found) == 4
    assert len(bench.peer.asked) - before == 3


def test_wrong_settings_are_named() -> None:
    """Each wrong key of the settings block is named with what would be right."""
    from labctl.clock import SystemClock

    with pytest.raises(InputError) as problem:
        open_driver(station="maccor", settings={"chanel": 3, "port": "x"}, limits={}, clock=SystemClock())
    text = str(problem.value)
    assert "did you mean channel?" in text
    for key in ("host", "port", "channel", "procedures_dir", "export_dir"):
        assert f"stations.maccor.settings.{key}" in text


def test_a_channel_that_is_not_there_is_refused(bench: Bench) -> None:
    """The channel is compared with what the tester has."""
    with pytest.raises(InstrumentError, match="4 channels"):
        bench.driver(channel=5)


def test_after_a_loss_no_write_goes_out_unread(bench: Bench) -> None:
    """The layer that speaks MacNet reads the channel by itself before the first write after a lost reply."""
    tester = bench.driver()._tester
    bench.link.lose[6, 3] = "after"
    with pytest.raises(InstrumentSilent):
        tester.suspend(Channel(2))
    seen = len(bench.peer.asked)
    tester.suspend(Channel(2))
    assert bench.peer.asked[seen:] == [(4, 7), (6, 3)]


@pytest.mark.parametrize("stat", [Stat.NO_CONTROLLER, Stat.SHUT_DOWN, Stat.BLOCKED, Stat.REMOTE_MAINTENANCE])
def test_what_the_tester_hides_is_not_safe(bench: Bench, stat: Stat) -> None:
    """A tester that shows one word for all channels says nothing of ours: that is silence, and never safe."""
    driver = bench.driver()
    driver.begin(order())
    bench.peer.status[ON_WIRE]["Stat"] = int(stat)
    with pytest.raises(InstrumentSilent, match="the tester is down"):
        driver.make_safe("an interlock")
    with pytest.raises(InstrumentSilent, match="the tester is down"):
        driver.is_safe()
    bench.peer.status[ON_WIRE]["Stat"] = ACTIVE
    driver.make_safe("an interlock")
    assert driver.is_safe()
