"""The console's time: acquisitions block their program, idle programs are stretched, and nothing is polled in vain."""

from __future__ import annotations

import re
from pathlib import Path

import nmrglue as ng
import numpy as np
import pytest

from labctl_sim_topspin import _programs
from tests.simulators.topspin.lab import Lab

WATCHER = """
FILE *f; int n;
n = 0;
while (1) {
    TEGET
    n++;
    f = fopen("job/heartbeat", "w"); fprintf(f, "%d %.0f\\n", n, time(0) + 0.0); fclose(f);
    f = fopen("job/control/go", "r");
    if (f != NULL) { fclose(f); remove("job/control/go"); XCMD("halt") }
    sleep(5);
}
"""


def _beat(lab: Lab) -> tuple[int, int]:
    number, at_s = (lab.folder / "lab" / "job" / "heartbeat").read_text(encoding="utf-8").split()
    return int(number), int(at_s)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab with a watcher at work on a scratch dataset."""
    made = Lab(tmp_path)
    (made.link.job_dir / "control").mkdir()
    made.start("watcher", made.dataset(1, 1, name="scratch") + WATCHER)
    made.wait(60.0)
    return made


def test_zg_blocks_for_as_long_as_it_takes(lab: Lab) -> None:
    """ZG returns after NS x rows of recycle delay, mixing, t1 and acquisition, not before."""
    began_s = lab.now_s
    lab.run(lab.exsy(41, rows=48, scans=2, mixing_s=1.0) + "\nZG")
    per_scan_s = 10.0 + 1.0 + 512 / 10000.0
    assert lab.now_s - began_s == pytest.approx(48 * 2 * per_scan_s, rel=0.01)


def test_a_long_acquisition_costs_a_few_turns(lab: Lab) -> None:
    """Forty hours pass in one jump: the watcher runs once at the end, with a fresh heartbeat."""
    lab.start("program", lab.exsy(41, rows=320, scans=40) + "\nZG")
    lab.wait(60.0)
    before, _ = _beat(lab)
    due_s = lab.simulator.next_event_s()
    assert due_s is not None
    assert due_s - lab.clock.now_s() > 39 * 3600.0
    lab.jump(due_s - lab.clock.now_s() - 1.0)
    after, at_s = _beat(lab)
    assert after - before <= 2
    assert at_s == int(lab.clock.now_s())


def test_a_file_that_was_waited_for_is_an_event(lab: Lab) -> None:
    """Once a program's awaited file has come, its next wake-up, at most its own sleep away, counts."""
    lab.start("program", lab.exsy(41, rows=320, scans=40) + "\nZG")
    lab.jump(3600.0)
    (lab.link.job_dir / "control" / "go").write_text("", encoding="utf-8")
    lab.link.refresh()
    due_s = lab.simulator.next_event_s()
    assert due_s is not None
    assert due_s - lab.clock.now_s() <= 5.0


def test_halt_finishes_the_scan_and_keeps_what_was_acquired(lab: Lab) -> None:
    """A halted 2D holds its whole rows, zeros up to its planned size, a reduced TD in acqu2s, and says who ended it."""
    lab.start("program", lab.exsy(41, rows=48, scans=2) + "\nZG")
    began_s = lab.clock.now_s()
    lab.jump(100.0)
    (lab.link.job_dir / "control" / "go").write_text("", encoding="utf-8")
    lab.wait(60.0)
    folder = lab.expno(41)
    dic = ng.bruker.read(str(folder))[0]
    rows = dic["acqu2s"]["TD"]
    assert rows == int((dic["acqus"]["DATE"] - began_s + 1.0) / (2 * 11.06)) < 6
    assert ng.bruker.read_jcamp(str(folder / "acqu2"))["TD"] == 48
    raw = np.fromfile(folder / "ser", "<f8").reshape(48, -1)
    assert np.all(np.abs(raw[:rows]).max(axis=1) > 0)
    assert not raw[rows:].any()
    assert "terminated by command 'halt'" in (folder / "audita.txt").read_text(encoding="utf-8")
    assert "program" not in {item.machine.name for item in lab.console.programs.running.values()}


def test_halted_rows_are_those_of_the_whole_run(tmp_path: Path) -> None:
    """The first rows of a halted acquisition are, bit for bit, those it would have had."""
    whole = np.fromfile(Lab(tmp_path / "a").acquire_exsy(41, rows=48) / "ser", "<f8").reshape(48, -1)
    lab = Lab(tmp_path / "b")
    lab.start("program", lab.exsy(41, rows=48) + "\nZG")
    lab.jump(300.0)
    lab.link.launch("halt")
    lab.wait(60.0)
    rows = ng.bruker.read_jcamp(str(lab.expno(41) / "acqu2s"))["TD"]
    part = np.fromfile(lab.expno(41) / "ser", "<f8").reshape(48, -1)
    assert 5 < rows < 48
    assert np.array_equal(part[:rows], whole[:rows])


def test_a_halted_1d_counts_its_scans(lab: Lab) -> None:
    """A halted 1D has the scans done in NS of acqus, and the fid to go with them."""
    lab.start("program", lab.dataset(11, 1, 'STOREPAR("NS", 64) STOREPAR("DS", 0) STOREPAR("D 1", 10.0)') + "\nZG")
    lab.jump(105.0)
    lab.link.launch("halt")
    lab.wait(60.0)
    assert ng.bruker.read_jcamp(str(lab.expno(11) / "acqus"))["NS"] == 11
    assert (lab.expno(11) / "fid").exists()


def test_stop_loses_the_current_row_and_kill_leaves_no_end(tmp_path: Path) -> None:
    """A stop ends at once and says so; kill leaves a 4.2 dataset in progress for ever."""
    lab = Lab(tmp_path, layout="4.2")
    lab.start("one", lab.exsy(41) + "\nZG")
    lab.jump(100.0)
    lab.link.launch("stop")
    lab.wait(30.0)
    audit = (lab.expno(41) / "audita.txt").read_text(encoding="utf-8")
    assert "terminated by command 'stop' at" in audit
    assert ng.bruker.read_jcamp(str(lab.expno(41) / "acqu2s"))["TD"] == 4
    lab.start("two", lab.exsy(42) + "\nZG")
    lab.jump(100.0)
    lab.link.launch("kill")
    lab.wait(30.0)
    audit = (lab.expno(42) / "audita.txt").read_text(encoding="utf-8")
    assert "acquisition in progress" in audit
    assert "created by" not in audit


def test_raw_data_come_after_the_audit_trail(tmp_path: Path) -> None:
    """On NEO consoles the trail says completed while the ser is still short; it is whole after the transfer."""
    lab = Lab(tmp_path, transfer_delay="40 s")
    lab.run(lab.exsy(41, rows=8) + "\nZG")
    folder = lab.expno(41)
    assert "completed at" in (folder / "audita.txt").read_text(encoding="utf-8")
    assert (folder / "ser").stat().st_size < 8 * 8192
    due_s = lab.simulator.next_event_s()
    assert due_s is not None
    assert due_s - lab.clock.now_s() == pytest.approx(40.0, abs=1.0)
    lab.wait(41.0)
    assert (folder / "ser").stat().st_size == 8 * 8192


@pytest.mark.parametrize("how", ["preallocated", "growing"])
def test_an_old_console_shows_its_ser_from_the_start(tmp_path: Path, how: str) -> None:
    """TopSpin 3.6 allocates the ser when zg starts, or lets it grow row by row, as the site has it."""
    lab = Lab(tmp_path, layout="3.6", ser_during_acquisition=how)
    lab.start("program", lab.exsy(41, rows=48) + "\nZG")
    lab.jump(300.0)
    size = (lab.expno(41) / "ser").stat().st_size
    assert size == (48 if how == "preallocated" else int(300.0 / 22.12)) * 4096
    assert not (lab.expno(41) / "audita.txt").exists()
    lab.wait(3600.0)
    raw = np.fromfile(lab.expno(41) / "ser", "<i4").reshape(48, -1)
    assert np.all(np.abs(raw).max(axis=1) > 0)


def test_noise_hangs_on_seed_and_title_alone(tmp_path: Path) -> None:
    """The same title at another time into another EXPNO has the same bytes; another title or seed has others."""
    first = Lab(tmp_path / "a")
    first.acquire_exsy(41, rows=4)
    again = Lab(tmp_path / "b")
    again.wait(5000.0)
    again.run(again.exsy(97, rows=4).replace("t 97", "t 41") + "\nZG")
    again.wait(60.0)
    title = (again.expno(97) / "pdata" / "1" / "title").read_text(encoding="utf-8")
    assert title == "t 41\n"
    assert (again.expno(97) / "ser").read_bytes() == (first.expno(41) / "ser").read_bytes()
    again.acquire_exsy(42, rows=4)
    assert (again.expno(42) / "ser").read_bytes() != (first.expno(41) / "ser").read_bytes()
    other = Lab(tmp_path / "c", seed=2).acquire_exsy(41, rows=4)
    assert (other / "ser").read_bytes() != (first.expno(41) / "ser").read_bytes()


def test_data_taken_before_the_sample_settled_show_another_temperature(tmp_path: Path) -> None:
    """Right after a jump of the set point the signal is that of a colder sample than an hour later (Curie)."""
    lab = Lab(tmp_path)
    lab.console.plant.change_vt(setpoint_K=370.0)
    zg = 'STOREPAR("NS", 1) STOREPAR("DS", 0)'
    lab.run(lab.dataset(11, 1, zg) + "\nZG")
    lab.wait(3600.0)
    lab.run(lab.dataset(12, 1, zg) + "\nZG")
    lab.wait(60.0)
    early, late = (abs(ng.bruker.read(str(lab.expno(expno)))[1][68]) for expno in (11, 12))
    te = ng.bruker.read_jcamp(str(lab.expno(12) / "acqus"))["TE"]
    assert te == pytest.approx(370.0, abs=0.05)
    assert late / early < 0.97
    assert late == pytest.approx(4e5 * 293.15 / (370.0 + 8.8), rel=0.02)


def test_the_operator_answers_a_prompt(tmp_path: Path) -> None:
    """Somebody who is there types the answer some minutes after a program began to wait for it; nobody else does."""
    waiting = """
    FILE *f; int done;
    f = fopen("job/status/000001.0001.begun", "w"); fprintf(f, "end\\n"); fclose(f);
    done = 0;
    while (!done) {
        f = fopen("job/operator/000001.answer", "r");
        if (f != NULL) { fclose(f); done = 1; }
        sleep(5);
    }
    """
    answering = """
    FILE *f;
    if (i_argc > 2) {
        f = fopen("job/operator/000001.answer", "w"); fprintf(f, "%s\\n", i_argv[2]); fclose(f);
        ABORT
    }
    """
    for name, operator in (("a", "present"), ("b", "absent")):
        lab = Lab(tmp_path / name, operator=operator)
        for folder in ("status", "operator"):
            (lab.link.job_dir / folder).mkdir()
        lab.start(
            "tuner",
            answering.replace("FILE *f;", "", 1).join(
                ["FILE *f; int done;", waiting.replace("FILE *f; int done;", "")]
            ),
        )
        lab.wait(1000.0)
        assert (lab.link.job_dir / "operator" / "000001.answer").exists() is (operator == "present")


def test_every_beat_has_its_own_time(lab: Lab) -> None:
    """Looking again at the same moment runs nothing twice."""
    first = _beat(lab)
    lab.link.refresh()
    lab.link.refresh()
    assert _beat(lab) == first


def test_a_program_that_never_sleeps_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop without a pause is stopped, and the console lives on."""
    monkeypatch.setattr(_programs, "STEPS_PER_TURN", 20_000)
    lab = Lab(tmp_path)
    lab.start("hog", "int i; i = 0; while (1) { i = 1 - i; }")
    assert re.search("hog broke: .*without a pause", lab.console.messages[-1])
    assert not lab.console.programs.running


def test_a_ramp_keeps_its_pace(tmp_path: Path) -> None:
    """A busy program that moves the set point is never stretched, even where the heater does not follow."""
    lab = Lab(tmp_path)
    (lab.link.job_dir / "status").mkdir()
    lab.link.launch("heater off")
    lab.wait(3600.0)
    began_s = lab.now_s
    lab.run(
        lab.dataset(
            5,
            1,
            "int n; double te;",
            'f = fopen("job/status/000001.0001.begun", "w"); fclose(f);',
            'for (n = 0; n < 40; n++) { te = 264.0 + 0.3 * n; STOREPAR("TE", te) TESET sleep(10); }',
        )
    )
    assert lab.now_s - began_s == pytest.approx(400.0, abs=1.0)


def test_a_program_that_sleeps_no_time_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that sleeps zero seconds for ever cannot hold time up."""
    monkeypatch.setattr(_programs, "STEPS_PER_TURN", 20_000)
    lab = Lab(tmp_path)
    lab.start("hog", "while (1) { sleep(0); }")
    assert "hog" in lab.console.messages[-1]
    assert not lab.console.programs.running
