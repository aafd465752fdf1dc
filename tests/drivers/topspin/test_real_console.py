"""The real link: folders that this computer sees, and a person at the console who is told what to type."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.errors import InstrumentError
from labctl.ports import Instrument
from labctl_topspin import open_driver
from labctl_topspin._codec import encode
from labctl_topspin._job import KEPT_LEASES, JobFolder
from tests.drivers.topspin.bench import START_S
from tests.drivers.topspin.orders import GOOD, LIMITS, ONE_PULSE, order


def console(folder: Path) -> dict[str, object]:
    """Settings of a real console whose folders lie below `folder`."""
    (folder / "tshome" / "exp" / "stan" / "nmr").mkdir(parents=True)
    (folder / "data").mkdir()
    return {**GOOD, **{key: str(folder / key.split("_")[0]) for key in ("tshome", "data_dir", "job_dir")}}


def driver_on(settings: dict[str, object], clock: VirtualClock) -> Instrument:
    """The driver with its real link."""
    return open_driver(station="nmr", settings=settings, limits=LIMITS, clock=clock)


def write_guard(folder: Path, *, number: int, at_s: float, **pairs: str | int) -> None:
    """A heartbeat as the guard writes it."""
    known: dict[str, str | int] = {"seq": number, "program": "labctl_guard 1", "time": round(at_s), "state": "watching"}
    beat = {**known, **pairs}
    (folder / "job" / "guard" / f"{number:08d}.hb").write_text(encode(beat), encoding="utf-8")


def write_executor(folder: Path, *, at_s: float) -> None:
    """The sign of life of an idle executor."""
    beat: dict[str, str | int] = {"seq": 1000001, "program": "labctl_executor 1", "time": round(at_s)}
    (folder / "job" / "executor" / "01000001.hb").write_text(encode(beat), encoding="utf-8")


def test_a_person_is_told_exactly_what_to_type(tmp_path: Path) -> None:
    """Without agents nothing is begun: the message names both commands, and the programs are installed for them."""
    settings = console(tmp_path)
    clock = VirtualClock(START_S)
    driver = driver_on(settings, clock)
    with pytest.raises(InstrumentError) as caught:
        driver.open(1)
    for program in ("labctl_guard", "labctl_executor"):
        assert f"xau {program} {(tmp_path / 'job').as_posix()}" in str(caught.value)
        assert (tmp_path / "tshome" / "exp" / "stan" / "nmr" / "au" / "src" / "user" / program).is_file()
    assert (tmp_path / "job" / "guard.cfg").read_text(encoding="utf-8").endswith("end\n")
    write_guard(tmp_path, number=1000001, at_s=START_S)
    with pytest.raises(InstrumentError) as caught:
        driver.open(2)
    assert "labctl_guard" not in str(caught.value)
    write_executor(tmp_path, at_s=START_S)
    driver.open(3)


def test_only_a_person_re_arms(tmp_path: Path) -> None:
    """A guard that tripped keeps a real console from being opened until somebody has re-armed it there."""
    settings = console(tmp_path)
    driver = driver_on(settings, VirtualClock(START_S))
    with pytest.raises(InstrumentError):
        driver.open(1)
    write_executor(tmp_path, at_s=START_S)
    write_guard(tmp_path, number=1000001, at_s=START_S, state="safe", needs_person=1, reason="spinning")
    with pytest.raises(InstrumentError, match=r"xau labctl_guard \S+ rearm"):
        driver.open(2)
    write_guard(tmp_path, number=1000002, at_s=START_S)
    driver.open(3)


def test_clocks_that_disagree_and_strange_guards_are_refused(tmp_path: Path) -> None:
    """A console whose clock is ahead, or whose guard is of another labctl, is not taken."""
    settings = console(tmp_path)
    driver = driver_on(settings, VirtualClock(START_S))
    with pytest.raises(InstrumentError):
        driver.open(1)
    write_executor(tmp_path, at_s=START_S)
    write_guard(tmp_path, number=1000001, at_s=START_S + 300.0)
    with pytest.raises(InstrumentError, match="clock"):
        driver.open(2)
    write_guard(tmp_path, number=1000002, at_s=START_S, program="labctl_guard 0")
    with pytest.raises(InstrumentError, match="another labctl"):
        driver.open(3)


def test_a_console_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    """A share that is not mounted is named, with the setting it comes from."""
    settings = {**console(tmp_path), "data_dir": str(tmp_path / "elsewhere")}
    with pytest.raises(InstrumentError, match=r"settings\.data_dir"):
        driver_on(settings, VirtualClock(START_S))


def test_nothing_typed_reaches_a_file_unchecked(tmp_path: Path) -> None:
    """A reason with anything in it becomes one plain line of a control file."""
    settings = console(tmp_path)
    driver = driver_on(settings, VirtualClock(START_S))
    with pytest.raises(InstrumentError):
        driver.open(1)
    write_executor(tmp_path, at_s=START_S)
    write_guard(tmp_path, number=1000001, at_s=START_S)
    driver.open(2)
    driver.begin(order(ONE_PULSE, epoch=2))
    driver.stop(order(ONE_PULSE, epoch=2), "x\nverb=quit\n$(rm -rf /) \u00e9\u2603" + "y" * 500)
    driver.make_safe("\nend\nverb=run")
    texts = [path.read_text(encoding="ascii") for path in sorted((tmp_path / "job" / "control").iterdir())]
    for text in texts:
        assert [line.split("=")[0] for line in text.splitlines()] == ["verb", "reason", "epoch", "seq", "end"]
        assert max(map(len, text.splitlines())) < 240
    assert [text.splitlines()[0] for text in texts] == ["verb=run", "verb=run", "verb=halt", "verb=safe"]


def test_two_writers_never_share_a_number(tmp_path: Path) -> None:
    """Numbers are claimed by creating the file: two engines on one folder write different steps and controls."""
    jobs = [JobFolder(tmp_path / "job", "nmr", durable=False) for _ in range(2)]
    jobs[0].make()
    jobs[1].make()
    seqs = [jobs[turn % 2].write_step({"token": f"{turn:08x}-1", "epoch": 1}) for turn in range(6)]
    assert seqs == list(range(1, 7))
    assert [step.token for step in jobs[0].steps()] == [f"{turn:08x}-1" for turn in range(6)]
    for turn in range(6):
        jobs[turn % 2].write_control("run", epoch=1, reason=f"{turn}")
        jobs[turn % 2].write_config({"epoch": turn})
    assert len(list((tmp_path / "job" / "control").iterdir())) == 6
    assert jobs[1].highest_epoch() == 5


def test_a_step_that_was_cut_in_writing_is_passed_over(tmp_path: Path) -> None:
    """A step file without its end keeps its number and is no step."""
    job = JobFolder(tmp_path / "job", "nmr", durable=True)
    job.make()
    (tmp_path / "job" / "steps" / "000001.step").write_text("seq=1\ntoken=00000001-1\nep", encoding="utf-8")
    assert job.write_step({"token": "00000002-1", "epoch": 1}) == 2
    assert [step.seq for step in job.steps()] == [2]


def test_old_renewals_are_cleared_away(tmp_path: Path) -> None:
    """The lease folder stays small over months, and its last renewals are in one row without gaps."""
    job = JobFolder(tmp_path / "job", "nmr", durable=False)
    job.make()
    for turn in range(100):
        job.write_lease(epoch=1, at_s=float(turn))
    names = sorted(path.name for path in (tmp_path / "job" / "lease").iterdir())
    assert names == [f"{number:08d}.lease" for number in range(101 - KEPT_LEASES, 101)]
