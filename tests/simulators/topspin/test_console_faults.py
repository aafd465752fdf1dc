"""Fault scripts: each fault does what it says, when it says, for as long as it says; a broken script names its line."""

from __future__ import annotations

from pathlib import Path

import nmrglue as ng
import numpy as np
import pytest

from labctl.errors import InputError, InstrumentSilent
from labctl_sim_topspin.faults import FAULTS, load_faults
from tests.simulators.topspin.lab import START_S, Lab


def _names(lab: Lab) -> set[str]:
    return {item.machine.name for item in lab.console.programs.running.values()}


def test_heater_trip_cools_and_is_mended(tmp_path: Path) -> None:
    """The heater draws nothing and cannot be switched on while tripped; a person re-arms it after its time."""
    lab = Lab(tmp_path, faults="  - {fault: heater_trip, at: 1 h, for: 30 min}\n")
    lab.wait(3600.0 + 600.0)
    assert lab.console.plant.heater_percent() == 0.0
    assert lab.console.plant.vt.sensor_K < 290.0
    with pytest.raises(InputError, match="protection has tripped"):
        lab.link.launch("heater on")
    lab.wait(3600.0)
    assert lab.console.plant.settled


def test_gas_loss_trips_the_heater_for_good(tmp_path: Path) -> None:
    """Without gas the unit's cut-out drops the heater; gas that comes back does not re-arm it, a person does."""
    lab = Lab(tmp_path, faults="  - {fault: gas_loss, at: 10 min, for: 10 min}\n")
    lab.wait(700.0)
    assert lab.console.plant.gas_L_per_h() == 0.0
    with pytest.raises(InputError, match="gas flow too low"):
        lab.link.launch("heater on")
    lab.wait(900.0)
    assert lab.console.plant.gas_L_per_h() > 700.0
    assert lab.console.plant.vt.tripped == "gas flow"
    lab.link.launch("heater on")
    assert lab.console.plant.vt.heating


@pytest.mark.parametrize(("fault", "expected_Hz"), [("spin_loss", 0.0), ("spin_off_rate, by: 200 Hz", 10200.0)])
def test_rotor_faults(tmp_path: Path, fault: str, expected_Hz: float) -> None:
    """A lost rotor runs down, one off its rate stays off, and both come back when mended."""
    lab = Lab(tmp_path, faults=f"  - {{fault: {fault}, at: 1 min, for: 20 min}}\n")
    lab.wait(1200.0)
    assert lab.console.plant.rate_Hz() == pytest.approx(expected_Hz, abs=10.0)
    lab.wait(1000.0)
    assert lab.console.plant.rate_Hz() == pytest.approx(10000.0, abs=10.0)


def test_sensor_faults(tmp_path: Path) -> None:
    """A stuck sensor repeats itself while the temperature moves; a silent one fails TEGET."""
    faults = "  - {fault: sensor_stuck, at: 1 min, for: 10 min}\n  - {fault: sensor_silent, at: 20 min, for: 10 min}\n"
    lab = Lab(tmp_path, faults=faults)
    lab.wait(90.0)
    stuck_K = lab.console.plant.sensor_K()
    lab.link.launch("teset 330")
    lab.wait(500.0)
    assert lab.console.plant.sensor_K() == stuck_K
    assert lab.console.plant.vt.sensor_K > 329.0
    lab.wait(900.0)
    lab.run('{ FILE *f; TEGET f = fopen("job/code", "w"); fprintf(f, "%d", AUERR); fclose(f); }')
    assert (lab.link.job_dir / "code").read_text(encoding="utf-8") == "-1"
    lab.wait(900.0)
    assert lab.console.plant.sensor_K() == pytest.approx(330.0, abs=0.1)


@pytest.mark.parametrize("how", ["halt", "stop"])
def test_somebody_ends_an_acquisition(tmp_path: Path, how: str) -> None:
    """The fault waits for the acquisition it names and ends that one only."""
    lab = Lab(tmp_path, faults=f"  - {{fault: {how}, during: {{title: t 42, after: 100 s}}}}\n")
    first, second = lab.acquire_exsy(41, rows=8), lab.acquire_exsy(42, rows=48)
    assert "terminated" not in (first / "audita.txt").read_text(encoding="utf-8")
    assert f"terminated by command '{how}'" in (second / "audita.txt").read_text(encoding="utf-8")
    assert 4 <= ng.bruker.read_jcamp(str(second / "acqu2s"))["TD"] <= 5


def test_topspin_restart_loses_programs_and_not_the_acquisition(tmp_path: Path) -> None:
    """After a restart no AU program runs, and the acquisition ends as if nothing had been."""
    lab = Lab(tmp_path, faults="  - {fault: topspin_restart, during: {expno: 41, after: 60 s}}\n")
    lab.start("one", lab.exsy(41, rows=8) + "\nZG")
    lab.wait(70.0)
    assert _names(lab) == set()
    lab.wait(300.0)
    assert "completed at" in (lab.expno(41) / "audita.txt").read_text(encoding="utf-8")


def test_a_dialog_holds_programs_up(tmp_path: Path) -> None:
    """Commands of AU programs do not return while a modal dialog stands."""
    lab = Lab(tmp_path, faults="  - {fault: dialog, at: 1 min, for: 20 min}\n")
    lab.start("two", 'sleep(100); TEGET XCMD("teset 300")')
    lab.wait(1000.0)
    assert _names(lab) == {"two"}
    lab.wait(400.0)
    assert _names(lab) == set()


def test_late_and_short_raw_data(tmp_path: Path) -> None:
    """A late ser is short until its time has come; a short one lacks its last rows for good."""
    faults = "  - {fault: ser_late, during: {acquisition: 1}, by: 10 min}\n"
    lab = Lab(tmp_path, faults=faults + "  - {fault: ser_short, during: {acquisition: 2}, by: 3}\n")
    folder = lab.acquire_exsy(41, rows=8)
    assert (folder / "ser").stat().st_size < 8 * 8192
    lab.wait(600.0)
    assert (folder / "ser").stat().st_size == 8 * 8192
    assert (lab.acquire_exsy(42, rows=8) / "ser").stat().st_size == 5 * 8192


def test_a_full_disk_loses_the_end_of_the_story(tmp_path: Path) -> None:
    """Nothing of an acquisition that ends on a full disk is written, and zg fails; later ones are fine again."""
    lab = Lab(tmp_path, faults="  - {fault: disk_full, during: {acquisition: 1}, for: 10 min}\n")
    lab.run(lab.exsy(41, rows=8) + '\nZG { FILE *f; f = fopen("job/code", "w"); fprintf(f, "%d", AUERR); fclose(f); }')
    assert (lab.link.job_dir / "code").read_text(encoding="utf-8") == "-1"
    assert not (lab.expno(41) / "ser").exists()
    lab.wait(900.0)
    assert (lab.acquire_exsy(42, rows=8) / "ser").stat().st_size == 8 * 8192


def test_overflow_is_marked_and_clipped(tmp_path: Path) -> None:
    """An overflow is flagged in acqus and adcInfo, and the data are cut off."""
    lab = Lab(tmp_path, faults="  - {fault: overflow, during: {acquisition: 1}}\n")
    folder = lab.acquire_exsy(41, rows=8)
    status = ng.bruker.read_jcamp(str(folder / "acqus"))
    assert status["OVERFLW"] == 1
    assert 'adcOverflow="yes"' in (folder / "adcInfo_TRX1.xml").read_text(encoding="utf-8")
    values = np.fromfile(folder / "ser", "<f8")
    assert np.count_nonzero(np.abs(values) == np.abs(values).max()) > 10


def test_faults_are_events_and_survive_a_restart_of_the_process(tmp_path: Path) -> None:
    """A fault to come is the next event, and one under way is still under way when the lab is opened again."""
    lab = Lab(tmp_path, faults="  - {fault: spin_loss, at: 2 h, for: 1 h}\n")
    assert lab.simulator.next_event_s() == pytest.approx(START_S + 7200.0, abs=1.0)
    lab.wait(7300.0)
    lab.again()
    assert lab.console.fault_active("spin_loss")
    assert lab.simulator.next_event_s() is not None
    lab.wait(3600.0)
    assert not lab.console.fault_active("spin_loss")


def test_a_heater_trip_during_a_2d_shows_in_its_later_rows(tmp_path: Path) -> None:
    """Rows taken while the sample cools are those of a colder sample."""
    plain = np.fromfile(Lab(tmp_path / "a").acquire_exsy(41, rows=48) / "ser", "<f8").reshape(48, -1)
    lab = Lab(tmp_path / "b", faults="  - {fault: heater_trip, during: {acquisition: 1, after: 200 s}}\n")
    broken = np.fromfile(lab.acquire_exsy(41, rows=48) / "ser", "<f8").reshape(48, -1)
    start = np.abs(broken[:, 136:140]).max(axis=1) / np.abs(plain[:, 136:140]).max(axis=1)
    assert start[:8] == pytest.approx(1.0, abs=0.02)
    assert start[-8:].mean() > 1.04


def test_an_overshoot_leads_the_sensor_away(tmp_path: Path) -> None:
    """The sensor goes above the set point by what the script says, and comes back when it is mended."""
    lab = Lab(tmp_path, faults="  - {fault: overshoot, at: 1 min, for: 20 min, by: 7 K}\n")
    setpoint_K = lab.console.plant.vt.setpoint_K
    lab.wait(1200.0)
    assert lab.console.plant.vt.sensor_K == pytest.approx(setpoint_K + 7.0, abs=0.1)
    assert lab.console.plant.vt.setpoint_K == setpoint_K
    lab.wait(1200.0)
    assert lab.console.plant.vt.sensor_K == pytest.approx(setpoint_K, abs=0.1)


def test_a_killed_acquisition_has_no_end(tmp_path: Path) -> None:
    """After kill the program goes on at once, and the dataset has neither raw data nor an end in its audit trail."""
    lab = Lab(tmp_path, faults="  - {fault: kill, during: {title: t 41, after: 60 s}}\n")
    lab.start("one", lab.exsy(41, rows=8) + "\nZG")
    lab.wait(70.0)
    assert _names(lab) == set()
    assert not (lab.expno(41) / "ser").exists()
    assert not (lab.expno(41) / "audita.txt").exists()


def test_a_fault_waits_for_a_step(tmp_path: Path) -> None:
    """A fault may wait for any step of the job folder that a program says it has begun."""
    lab = Lab(tmp_path, faults="  - {fault: spin_loss, during: {step: T01/settle, after: 5 min}}\n")
    for number, name in ((1, "ramp"), (2, "settle")):
        step = lab.link.job_dir / "steps" / f"00000{number}.step"
        step.parent.mkdir(exist_ok=True)
        step.write_text(f"title=campaign nmr/T01/{name} 0a1b2c3d-1\nend\n", encoding="utf-8")
        (lab.link.job_dir / "status").mkdir(exist_ok=True)
        lab.run(f'{{ FILE *f; f = fopen("job/status/00000{number}.0001.begun", "w"); fclose(f); }}')
        lab.wait(200.0)
    assert not lab.console.fault_active("spin_loss")
    lab.wait(150.0)
    assert lab.console.fault_active("spin_loss")


def test_a_clock_that_is_set_shows_in_stamps_and_not_in_the_course_of_things(tmp_path: Path) -> None:
    """Programs and files tell the new time of day; what was to last a time lasts it."""
    lab = Lab(tmp_path, faults="  - {fault: clock_jump, at: 1 min, by: -2 h}\n")
    lab.wait(100.0)
    began_s = lab.clock.now_s()
    lab.run('{ FILE *f; f = fopen("job/time", "w"); fprintf(f, "%.0f", (double)time(0)); fclose(f); }')
    told_s = float((lab.link.job_dir / "time").read_text(encoding="utf-8"))
    assert told_s == pytest.approx(began_s - 7200.0, abs=5.0)
    folder = lab.acquire_exsy(41, rows=8)
    status = ng.bruker.read_jcamp(str(folder / "acqus"))
    assert status["DATE"] == pytest.approx(lab.clock.now_s() - 7200.0, abs=120.0)


def test_a_power_cut_leaves_a_standing_rotor_and_a_cold_heater(tmp_path: Path) -> None:
    """Nothing is reached without mains; with it gas flows again, and heater, rotor and programs wait for a person."""
    lab = Lab(tmp_path, faults="  - {fault: power_cut, during: {acquisition: 1, after: 60 s}, for: 30 min}\n")
    lab.start("one", lab.exsy(41, rows=48) + "\nZG")
    with pytest.raises(InstrumentSilent, match="cannot be reached"):
        lab.wait(600.0)
    lab.console.advance(lab.clock.now_s() + 1800.0)
    lab.clock.wait_until(lab.console.now_s())
    lab.link.refresh()
    assert _names(lab) == set()
    assert lab.console.acquirer.running is None
    assert (lab.console.plant.rate_Hz(), lab.console.plant.heater_percent()) == (0.0, 0.0)
    assert lab.console.plant.gas_L_per_h() > 700.0
    assert not lab.console.plant.vt.heating


def test_somebody_elses_acquisition_keeps_the_console(tmp_path: Path) -> None:
    """While somebody acquires on a dataset of their own, zg is refused; our dataset is not touched."""
    lab = Lab(tmp_path, faults="  - {fault: occupied, at: 1 min, for: 10 min}\n")
    lab.wait(100.0)
    lab.run(lab.exsy(41, rows=8) + '\nZG { FILE *f; f = fopen("job/code", "w"); fprintf(f, "%d", AUERR); fclose(f); }')
    assert (lab.link.job_dir / "code").read_text(encoding="utf-8") == "-1"
    lab.wait(700.0)
    assert (lab.acquire_exsy(42, rows=8) / "ser").stat().st_size == 8 * 8192


def test_a_share_that_is_gone_comes_back(tmp_path: Path) -> None:
    """The console goes on while its folders cannot be reached."""
    lab = Lab(tmp_path, faults="  - {fault: share_gone, during: {acquisition: 1, after: 60 s}, for: 2 h}\n")
    lab.start("one", lab.exsy(41, rows=8) + "\nZG")
    with pytest.raises(InstrumentSilent, match="share"):
        lab.wait(100.0)
    lab.console.advance(lab.clock.now_s() + 7200.0)
    lab.clock.wait_until(lab.console.now_s())
    lab.link.refresh()
    assert "completed at" in (lab.expno(41) / "audita.txt").read_text(encoding="utf-8")


def test_a_slow_disk_delays_looks_and_data(tmp_path: Path) -> None:
    """A read-back of the temperature takes as much longer as the script says, and raw data come as much later."""
    lab = Lab(tmp_path, faults="  - {fault: slow_disk, at: 1 min, by: 30 s}\n")
    lab.start("two", "sleep(100); TEGET")
    lab.wait(120.0)
    assert _names(lab) == {"two"}
    lab.wait(20.0)
    assert _names(lab) == set()
    began_s = lab.clock.now_s()
    lab.start("three", lab.exsy(41, rows=8) + "\nZG")
    lab.clock.wait_until(lab.console.acquirer.running.end_s if lab.console.acquirer.running else began_s)
    lab.link.refresh()
    lab.wait(20.0)
    assert (lab.expno(41) / "ser").stat().st_size < 8 * 8192
    lab.wait(20.0)
    assert (lab.expno(41) / "ser").stat().st_size == 8 * 8192


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_every_fault_can_be_written(tmp_path: Path, kind: str) -> None:
    """Each fault of the table is read with what it needs, and strikes without breaking the console."""
    needs = ", for: 10 min" if FAULTS[kind].lasts == "needed" else ""
    takes = "".join(f", {name}: {parameter.example}" for name, parameter in FAULTS[kind].parameters.items())
    lab = Lab(tmp_path, faults=f"  - {{fault: {kind}, at: 30 s{needs}{takes}}}\n")
    lab.console.advance(lab.clock.now_s() + 60.0)
    assert any(f"fault script: {kind} (" in message for message in lab.console.messages)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("- {fault: heater_tripped, at: 3 h}", "is not a fault"),
        ("- {fault: heater_trip, at: 3}", "has no unit"),
        ("- {fault: heater_trip, at: -3 h}", "is negative"),
        ("- {fault: heater_trip}", "says not, or twice, when it happens"),
        ("- {fault: heater_trip, at: 1 h, during: {expno: 3}}", "says not, or twice, when it happens"),
        ("- {fault: heater_trip, at: 1 h, until: 2 h}", "is not a key of heater_trip"),
        ("- {fault: halt, at: 1 h, for: 2 h}", "is not a key of halt"),
        ("- {fault: dialog, at: 1 h}", "dialog needs for:"),
        ("- {fault: ser_late, at: 1 h}", "ser_late needs by:"),
        ("- {fault: ser_short, at: 1 h, by: 2 s}", "is not a whole number from 1"),
        ("- {fault: spin_off_rate, at: 1 h, by: 200 K}", "is not a unit of this kind"),
        ("- {fault: halt, during: {acquisition: 0}}", "is not a whole number from 1"),
        ("- {fault: halt, during: {name: x}}", "is not a key here"),
        ("- {fault: halt, during: tmix03}", "does not name what it waits for"),
        ("- heater_trip", "is not a fault"),
    ],
)
def test_a_broken_script_names_the_line(tmp_path: Path, line: str, says: str) -> None:
    """Whatever is wrong, the finding points at the line it stands in."""
    path = tmp_path / "faults.yaml"
    path.write_text(f"version: 1\nfaults:\n  - {{fault: halt, at: 1 h}}\n  # a comment\n  {line}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_faults(path)
    (finding,) = caught.value.findings
    assert (finding.file, finding.line) == (str(path), 5)
    assert says in finding.what


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("faults: []\n", 1),
        ("version: 2\nfaults: []\n", 1),
        ("version: 1\nfaults: 3\n", 2),
        ("version: 1\nfaults: []\nextra: 1\n", 3),
        ("- 1\n", 1),
    ],
)
def test_the_frame_of_a_script_is_checked(tmp_path: Path, text: str, line: int) -> None:
    """Version and list must be there, and nothing else."""
    path = tmp_path / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_faults(path)
    assert caught.value.findings[0].line == line
