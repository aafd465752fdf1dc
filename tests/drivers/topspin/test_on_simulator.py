"""The driver and its AU programs on the simulated console: a campaign's steps, and what may go wrong in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labctl.errors import ForeignDataError, InstrumentError, Superseded
from labctl.formats.bruker_lists import read_delays
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    Exsy,
    Nutation,
    Order,
    Progress,
    SaturationRecovery,
    SetTemperature,
    Standing,
    Task,
    Tune,
)
from tests.drivers.topspin.bench import MINUTE_S, Bench
from tests.drivers.topspin.composed import Composed
from tests.drivers.topspin.conftest import MakeBench
from tests.drivers.topspin.orders import EXSY, LIMITS, ONE_PULSE, acquire, order

SPINNING = CheckSpinning(rate_Hz=10000.0, tolerance_Hz=20.0, give_up_s=300.0)
RAMP_K_PER_S = 2.0 / 60.0


def ramp(setpoint_K: float) -> SetTemperature:
    """A ramp of 2 K/min."""
    return SetTemperature(setpoint_K=setpoint_K, sample_K=setpoint_K + 8.8, ramp_K_per_s=RAMP_K_PER_S, give_up_s=7200.0)


def log_of(bench: Bench) -> list[dict[str, str]]:
    """The guard's log as pairs."""
    lines = (bench.folder / "lab" / "job" / "guard" / "log.txt").read_text(encoding="utf-8").splitlines()
    return [
        {"time": line.split()[0], **dict(word.split("=", 1) for word in line.split() if "=" in word), "line": line}
        for line in lines
    ]


def steps_of(bench: Bench) -> list[Path]:
    """Step files, in order."""
    return sorted((bench.folder / "lab" / "job" / "steps").glob("*.step"))


def raw_of(bench: Bench, expno: int) -> bytes:
    """The raw data of one EXPNO."""
    folder = bench.data / str(expno)
    return next(path.read_bytes() for name in ("ser", "fid") if (path := folder / name).is_file())


# ------------------------------------------------------------------------------------------------ a campaign


def test_the_steps_of_a_campaign(make_bench: MakeBench, tmp_path: Path) -> None:
    """Look at the rotor, ramp, settle, tune, take a saturation recovery and an EXSY, cool down: all of it arrives."""
    bench = make_bench()
    began_K = bench.reading("sensor_K").value
    tasks: list[Task] = [
        SPINNING,
        ramp(308.15),
        AwaitStable(setpoint_K=308.15, sample_K=316.95, within_K=0.5, hold_s=300.0, give_up_s=3600.0),
        Tune(mode="operator", give_up_s=1800.0),
        Tune(mode="atma", give_up_s=1800.0),
    ]
    for number, task in enumerate(tasks, start=1):
        seen = bench.carry_out(order(task, token=f"{number:08x}-1"))
        assert seen.progress is Progress.DONE, seen
    assert bench.reading("sensor_K").value == pytest.approx(308.15, abs=0.5)

    delays_s = (0.05, 0.5, 1.5, 4.0, 20.0)
    recovery = order(acquire(SaturationRecovery(delays_s=delays_s), slot=2020, duration_s=300.0), token="0000000a-1")
    assert bench.carry_out(recovery).progress is Progress.DONE
    found = bench.driver.collect(recovery, tmp_path / "run")
    assert found.completeness == "complete"
    assert read_delays(tmp_path / "run" / "2021" / "vdlist") == pytest.approx(delays_s)
    assert found.settings["rows"] == len(delays_s)

    exsy = order(acquire(setpoint_K=308.15), token="0000000b-1")
    assert bench.carry_out(exsy).progress is Progress.DONE
    found = bench.driver.collect(exsy, tmp_path / "run")
    task = exsy.task
    assert isinstance(task, Acquire)
    assert isinstance(task.experiment, Exsy)
    asked = {
        "scans": task.scans,
        "dummy_scans": task.dummy_scans,
        "points": task.points,
        "rows": task.experiment.rows,
        "rows_acquired": task.experiment.rows,
        "recycle_delay_s": task.recycle_delay_s,
        "mixing_time_s": task.experiment.mixing_time_s,
        "increment_s": task.experiment.increment_s,
        "spectral_width_F1_Hz": 1.0 / task.experiment.increment_s,
        "spectral_width_Hz": task.spectral_width_Hz,
        "carrier_ppm": task.carrier_ppm,
        "pulse_s": task.pulse_s,
        "receiver_gain": task.receiver_gain,
        "spinning_constant_Hz": task.spinning_Hz,
    }
    assert {key: found.settings[key] for key in asked} == pytest.approx(asked)
    assert found.settings["sensor_K"] == pytest.approx(308.15, abs=0.5)
    assert found.settings["spinning_Hz"] == pytest.approx(10000.0, abs=20.0)
    assert exsy.token in (tmp_path / "run" / "2031" / "pdata" / "1" / "title").read_text(encoding="utf-8")
    assert found.ended_s - found.started_s == pytest.approx(task.duration_s, rel=0.3)
    assert (tmp_path / "run" / "2031" / "ser").stat().st_ino == (bench.data / "2031" / "ser").stat().st_ino

    assert (
        bench.carry_out(
            order(CoolDown(setpoint_K=298.15, ramp_K_per_s=RAMP_K_PER_S, give_up_s=7200.0), token="0000000c-1")
        ).progress
        is Progress.DONE
    )
    assert bench.reading("sensor_K").value < began_K + 5.0
    assert bench.reading("heater_percent").value == 0.0
    assert bench.reading("spinning_Hz").value == pytest.approx(10000.0, abs=20.0), "the rotor is left alone"


@pytest.mark.parametrize("layout", ["3.6", "4.2"])
def test_every_layout_is_known_to_be_complete(make_bench: MakeBench, tmp_path: Path, layout: str) -> None:
    """The end of an acquisition is told from the files of older and newer TopSpin alike."""
    bench = make_bench(simulator={"layout": layout})
    small = order(acquire(Nutation(pulses_s=(2e-6, 5e-6), recovery_s=10.0), slot=2040, duration_s=100.0))
    assert bench.carry_out(small).progress is Progress.DONE
    found = bench.driver.collect(small, tmp_path / "run")
    assert found.completeness == "complete"
    assert found.settings["rows_acquired"] == 2
    assert str(found.settings["topspin_version"]).startswith(layout)
    assert found.ended_s > found.started_s > 0.0


def test_ramps_keep_their_rate(make_bench: MakeBench) -> None:
    """The sensor never moves faster than the ramp asked for, and not much slower either."""
    bench = make_bench()
    assert bench.carry_out(order(ramp(310.15), token="00000001-1")).progress is Progress.DONE
    times = np.array([float(line["time"]) for line in log_of(bench)])
    sensor = np.array([float(line["te_K"]) for line in log_of(bench)])
    later = times >= times[0] + MINUTE_S
    K_per_min = sensor[later] - np.interp(times[later] - MINUTE_S, times, sensor)
    assert 1.5 < K_per_min.max() < 2.2


@pytest.mark.parametrize(("fault", "why"), [("spin_loss", "rotor does not spin"), ("gas_loss", "gas flow")])
def test_no_heat_is_begun_without_rotor_and_gas(make_bench: MakeBench, fault: str, why: str) -> None:
    """A cold rotor that stands, or gas that does not flow: the ramp is refused before any set point is sent."""
    bench = make_bench(faults=f"  - {{fault: {fault}, at: 1 min}}\n")
    bench.wait(5 * MINUTE_S)
    before_K = bench.simulator.console.plant.vt.setpoint_K
    seen = bench.carry_out(order(ramp(318.15)))
    assert seen.progress is Progress.FAILED
    assert why in seen.detail
    assert bench.simulator.console.plant.vt.setpoint_K == before_K


# ------------------------------------------------------------------------------------- once, and never over data


def test_an_order_is_carried_out_once(make_bench: MakeBench, tmp_path: Path) -> None:
    """Beginning the same token again, while it runs, when it is done, and after a restart, does it once."""
    bench = make_bench()
    once = order(ONE_PULSE)
    bench.driver.begin(once)
    bench.driver.begin(once)
    bench.wait(20.0)
    bench.driver.begin(once)
    assert bench.driver.evidence(once).standing is Standing.RUNNING
    assert bench.end_of(once).progress is Progress.DONE
    raw = raw_of(bench, 2011)
    bench.driver.begin(once)
    bench.restart(bench.clock.now_s() + 60.0)
    again = replace(once, epoch=bench.epoch)
    bench.driver.begin(again)
    bench.wait(120.0)
    assert len(steps_of(bench)) == 1
    assert raw_of(bench, 2011) == raw
    assert bench.driver.evidence(again).standing is Standing.FINISHED
    assert bench.driver.look(again).progress in {Progress.DONE, Progress.RUNNING}
    bench.wait(30.0)
    assert bench.driver.look(again).progress is Progress.DONE


def test_somebody_elses_data_are_left_alone(make_bench: MakeBench) -> None:
    """Where an EXPNO holds data without our token nothing is begun and no byte changes."""
    bench = make_bench()
    Composed(title="cholesteryl acetate").write(bench.data / "2031")
    before = {path: path.read_bytes() for path in bench.data.rglob("*") if path.is_file()}
    wanted = order(acquire())
    assert bench.driver.evidence(wanted).standing is Standing.FOREIGN
    with pytest.raises(ForeignDataError, match="cholesteryl"):
        bench.driver.begin(wanted)
    bench.wait(60.0)
    with pytest.raises(ForeignDataError):
        bench.driver.collect(wanted, bench.folder / "run")
    assert {path: path.read_bytes() for path in bench.data.rglob("*") if path.is_file()} == before
    assert not steps_of(bench)


def test_the_executor_itself_refuses_raw_data_in_its_way(make_bench: MakeBench) -> None:
    """Data that appear after the driver looked are still seen by the executor before it prepares anything."""
    bench = make_bench()
    wanted = order(acquire())
    bench.driver.begin(wanted)  # taken up at the executor's next look, which is after this
    Composed(title="cholesteryl acetate").write(bench.data / "2031")
    before = raw_of(bench, 2031)
    seen = bench.end_of(wanted)
    assert seen.progress is Progress.FAILED
    assert "raw data" in seen.detail
    assert raw_of(bench, 2031) == before
    assert (bench.data / "2031" / "pdata" / "1" / "title").read_text(encoding="utf-8") == "cholesteryl acetate\n"


def test_a_template_of_another_kind_is_refused(make_bench: MakeBench) -> None:
    """Nucleus and pulse program of the template are compared before anything is acquired."""
    bench = make_bench()
    seen = bench.carry_out(order(acquire(nucleus="7Li")))
    assert seen.progress is Progress.FAILED
    assert "nucleus" in seen.detail
    assert not (bench.data / "2031" / "ser").exists()


@pytest.mark.parametrize(
    ("task", "limit"),
    [
        (ramp(LIMITS["sensor_max_K"] + 1.0), "sensor_max_K"),
        (replace(ramp(310.0), ramp_K_per_s=LIMITS["ramp_max_K_per_s"] * 1.01), "ramp_max_K_per_s"),
        (acquire(pulse_s=LIMITS["pulse_max_s"] * 1.1), "pulse_max_s"),
        (acquire(points=65536), "acquisition_max_s"),
        (acquire(spinning_Hz=20000.0), "spinning_max_Hz"),
        (acquire(Nutation(pulses_s=(1e-6, 1.0), recovery_s=1.0)), "pulse_max_s"),
    ],
)
def test_what_breaks_a_limit_is_never_sent(task: SetTemperature | Acquire, limit: str, make_bench: MakeBench) -> None:
    """The driver compares once more with the lab's limits, and names the one that would be broken."""
    bench = make_bench()
    with pytest.raises(InstrumentError, match=limit):
        bench.driver.begin(order(task))
    assert not steps_of(bench)


# ------------------------------------------------------------------------------------------ ends that are not


def test_a_halted_acquisition_keeps_its_rows(make_bench: MakeBench, tmp_path: Path) -> None:
    """`stop` ends by halt: the rows so far are kept, counted and called partial; the next order is not hit by it."""
    bench = make_bench()
    exsy = order(acquire())
    bench.driver.begin(exsy)
    bench.wait(5 * MINUTE_S)
    seen = bench.driver.look(exsy)
    assert seen.progress is Progress.RUNNING
    assert seen.fraction == pytest.approx(300.0 / 800.0, rel=0.1)
    bench.driver.stop(exsy, "a person; `rm -rf`\nasked")
    seen = bench.end_of(exsy)
    assert seen.progress is Progress.HALTED
    found = bench.driver.collect(exsy, tmp_path / "run")
    assert found.completeness == "partial"
    assert 0 < int(found.settings["rows_acquired"]) < EXSY.rows
    assert bench.driver.evidence(exsy).standing is Standing.INTERRUPTED
    assert bench.carry_out(order(ONE_PULSE, token="0a1b2c3e-1")).progress is Progress.DONE


def test_stopping_ends_a_step_that_only_waits(make_bench: MakeBench) -> None:
    """A settle that is stopped ends at once as failed, with the reason."""
    bench = make_bench()
    settle = order(AwaitStable(setpoint_K=330.0, sample_K=338.8, within_K=0.5, hold_s=600.0, give_up_s=7200.0))
    bench.driver.begin(settle)
    bench.wait(60.0)
    bench.driver.stop(settle, "skip")
    bench.wait(20.0)
    seen = bench.driver.look(settle)
    assert seen.progress is Progress.FAILED
    assert seen.detail == "stopped by labctl"


def test_a_tune_that_nobody_does_fails_in_time(make_bench: MakeBench) -> None:
    """An operator is asked, in words; without an answer the step fails at its deadline."""
    bench = make_bench(simulator={"operator": "absent"})
    tune = order(Tune(mode="operator", give_up_s=600.0))
    bench.driver.begin(tune)
    bench.wait(60.0)
    seen = bench.driver.look(tune)
    assert seen.progress is Progress.RUNNING
    assert f"xau labctl_executor {(bench.folder / 'lab' / 'job').as_posix()} tuned" in seen.needs_person
    seen = bench.end_of(tune)
    assert seen.progress is Progress.FAILED
    assert "in time" in seen.detail


def test_data_that_come_late_are_waited_for(make_bench: MakeBench, tmp_path: Path) -> None:
    """An end entry alone is not enough: collecting waits until the last rows have come over and are quiet."""
    bench = make_bench(faults="  - {fault: ser_late, during: {acquisition: 1}, by: 120 s}\n")
    exsy = order(acquire(replace(EXSY, rows=4), duration_s=200.0))
    bench.driver.begin(exsy)
    ended_s = 0.0
    while not ended_s:
        bench.wait(10.0)
        text = (
            (bench.data / "2031" / "audita.txt").read_text(encoding="utf-8")
            if (bench.data / "2031" / "audita.txt").exists()
            else ""
        )
        ended_s = bench.clock.now_s() if "completed at" in text else 0.0
    assert bench.driver.look(exsy).progress is Progress.RUNNING
    assert bench.driver.evidence(exsy).standing is Standing.RUNNING
    with pytest.raises(InstrumentError):
        bench.driver.collect(exsy, tmp_path / "run")
    assert bench.end_of(exsy).progress is Progress.DONE
    assert bench.clock.now_s() - ended_s >= 120.0
    assert bench.driver.collect(exsy, tmp_path / "run").completeness == "complete"


def test_data_that_stay_short_are_not_called_complete(make_bench: MakeBench, tmp_path: Path) -> None:
    """Raw data that lack rows for good end as failed, with the sizes, and are kept as partial."""
    bench = make_bench(faults="  - {fault: ser_short, during: {acquisition: 1}, by: 1}\n")
    exsy = order(acquire(replace(EXSY, rows=4), duration_s=200.0))
    seen = bench.carry_out(exsy)
    assert seen.progress is Progress.FAILED
    assert "expected" in seen.detail
    assert bench.driver.evidence(exsy).standing is Standing.INTERRUPTED
    assert bench.driver.collect(exsy, tmp_path / "run").completeness == "partial"


# --------------------------------------------------------------------------------------- deaths and resumption


def test_a_killed_labctl_finds_its_acquisition_again(make_bench: MakeBench, tmp_path: Path) -> None:
    """Evidence of a 2D that went on alone: not started, running, finished; nothing is acquired twice."""
    bench = make_bench()
    exsy = order(acquire())
    assert bench.driver.evidence(exsy).standing is Standing.NOT_STARTED
    bench.driver.begin(exsy)
    assert bench.driver.evidence(exsy).standing in {Standing.PREPARED, Standing.RUNNING}
    bench.wait(60.0)
    bench.restart(bench.clock.now_s() + 120.0)
    resumed = replace(exsy, epoch=bench.epoch)
    assert bench.driver.evidence(resumed).standing is Standing.RUNNING
    bench.driver.begin(resumed)
    bench.wait(60.0)
    bench.restart(bench.clock.now_s() + 480.0)
    resumed = replace(exsy, epoch=bench.epoch)
    bench.until(lambda: bench.driver.evidence(resumed).standing is not Standing.RUNNING, give_up_s=1200.0)
    assert bench.driver.evidence(resumed).standing is Standing.FINISHED
    bench.wait(30.0)
    assert bench.end_of(resumed).progress is Progress.DONE
    assert bench.driver.collect(resumed, tmp_path / "run").completeness == "complete"
    assert len(steps_of(bench)) == 1


def test_an_acquisition_outlives_a_restart_of_topspin(make_bench: MakeBench, tmp_path: Path) -> None:
    """TopSpin restarts under a 2D: the agents are started again, the 2D is waited for and adopted, not repeated."""
    bench = make_bench(faults="  - {fault: topspin_restart, during: {acquisition: 1, after: 3 min}}\n")
    exsy = order(acquire())
    bench.driver.begin(exsy)
    bench.wait(5 * MINUTE_S)
    assert bench.driver.look(exsy).progress is Progress.SILENT
    bench.restart(bench.clock.now_s() + 30.0)
    resumed = replace(exsy, epoch=bench.epoch)
    assert bench.driver.evidence(resumed).standing is Standing.RUNNING
    seen = bench.driver.look(resumed)
    assert seen.progress is Progress.RUNNING
    assert bench.end_of(resumed).progress is Progress.DONE
    assert bench.driver.evidence(resumed).standing is Standing.FINISHED
    assert bench.driver.collect(resumed, tmp_path / "run").completeness == "complete"
    assert bench.carry_out(order(ONE_PULSE, token="0a1b2c3e-1", epoch=bench.epoch)).progress is Progress.DONE


@pytest.mark.parametrize("layout", ["3.6", "4.0.8"])
def test_silent_agents_do_not_make_a_2d_look_dead(make_bench: MakeBench, layout: str) -> None:
    """A dialog holds the agents up under a 2D: at every look it is said to go on, whatever its file shows."""
    fault = "  - {fault: dialog, during: {acquisition: 1, after: 3 min}, for: 8 min}\n"
    bench = make_bench(faults=fault, simulator={"layout": layout})
    exsy = order(acquire())
    bench.driver.begin(exsy)
    bench.wait(5 * MINUTE_S)
    for _ in range(3):
        seen = bench.driver.look(exsy)
        assert (seen.progress, seen.data_growing) == (Progress.SILENT, True)
        bench.wait(5.0)
    assert bench.end_of(exsy).progress is Progress.DONE
    assert not bench.driver.look(exsy).data_growing


def test_a_lost_executor_is_noticed_and_replaced(make_bench: MakeBench) -> None:
    """An executor that dies in a settle is missed, reported, started again; the step is interrupted, not repeated."""
    bench = make_bench()
    settle = order(AwaitStable(setpoint_K=298.15, sample_K=306.95, within_K=0.5, hold_s=1200.0, give_up_s=7200.0))
    bench.driver.begin(settle)
    bench.wait(2 * MINUTE_S)
    assert bench.simulator.console.kill("labctl_executor")
    assert bench.driver.look(settle).progress is Progress.RUNNING
    seen = bench.end_of(settle)
    assert seen.progress is Progress.FAILED
    assert "xau labctl_executor" in seen.detail
    bench.restart(bench.clock.now_s() + 10.0)
    bench.wait(10.0)
    resumed = replace(settle, epoch=bench.epoch)
    assert bench.driver.evidence(resumed).standing is Standing.INTERRUPTED
    assert bench.carry_out(order(SPINNING, token="0a1b2c3e-1", epoch=bench.epoch)).progress is Progress.DONE


def test_an_engine_that_was_superseded_is_not_obeyed(make_bench: MakeBench) -> None:
    """After another engine has opened the console, the first is told so at its next look, and writes nothing more.

    What it writes all the same, between two looks, is refused by executor and guard.
    """
    bench = make_bench()
    first, first_epoch = bench.driver, bench.epoch
    bench.restart(bench.clock.now_s() + 5.0)
    bench.wait(20.0)
    stale: Order = order(ONE_PULSE, epoch=first_epoch)
    first.begin(stale)
    first.make_safe("the first engine is confused")
    bench.wait(60.0)
    written = sorted((bench.folder / "lab" / "job").rglob("*"))
    with pytest.raises(Superseded, match="obeys a later engine"):
        first.readings()
    assert sorted((bench.folder / "lab" / "job").rglob("*")) == written  # no lease, no control
    seen = first.look(stale)
    assert seen.progress is Progress.FAILED
    assert "superseded" in seen.detail
    assert not bench.driver.is_safe()
    assert bench.carry_out(order(SPINNING, token="0a1b2c3e-1", epoch=bench.epoch)).progress is Progress.DONE
    with pytest.raises(InstrumentError, match="another engine"):
        first.open(first_epoch)


# ------------------------------------------------------------------------------------------------ the guard


def test_the_safe_state_is_reached_by_ramp(make_bench: MakeBench) -> None:
    """From 45 °C in mid-acquisition: halted, then down at no more than 2 K/min with gas and rotor left on."""
    bench = make_bench()
    assert bench.carry_out(order(ramp(318.15), token="00000001-1")).progress is Progress.DONE
    exsy = order(acquire(), token="00000002-1")
    bench.driver.begin(exsy)
    bench.wait(3 * MINUTE_S)
    asked_s = bench.clock.now_s()
    bench.driver.make_safe("a test")
    bench.driver.make_safe("a test")
    assert not bench.driver.is_safe()
    bench.until(bench.driver.is_safe, give_up_s=3600.0)
    assert bench.driver.is_safe()
    assert 600.0 - 5.0 * 30.0 < bench.clock.now_s() - asked_s < 1500.0
    assert bench.end_of(exsy).progress is Progress.HALTED
    lines = [line for line in log_of(bench) if float(line["time"]) >= asked_s]
    times = np.array([float(line["time"]) for line in lines])
    sensor = np.array([float(line["te_K"]) for line in lines])
    later = times >= times[0] + 60.0
    assert (np.interp(times[later] - 60.0, times, sensor) - sensor[later]).max() < 2.2
    assert bench.reading("spinning_Hz").value == pytest.approx(10000.0, abs=20.0)
    assert bench.reading("gas_L_per_h").value > 700.0
    assert len(list((bench.folder / "lab" / "job" / "guard").glob("safe.*"))) == 1
    # whoever is asked to begin again has been let to by a person
    assert bench.carry_out(order(ramp(303.15), token="00000003-1")).progress is Progress.DONE


def test_the_lease_runs_out(make_bench: MakeBench) -> None:
    """With nobody there the guard ends the acquisition and takes the heat away alone; `open` sets it free again."""
    bench = make_bench()
    assert bench.carry_out(order(ramp(308.15), token="00000001-1")).progress is Progress.DONE
    exsy = order(acquire(replace(EXSY, rows=64), duration_s=3000.0), token="00000002-1")
    bench.driver.begin(exsy)
    bench.wait(60.0)
    bench.come_back(bench.clock.now_s() + 2400.0)
    assert bench.driver.is_safe()
    ended = [line for line in log_of(bench) if line["line"].endswith("lease")]
    assert float(ended[0]["time"]) - bench.clock.now_s() == pytest.approx(bench.driver.attention_s - 2400.0, abs=200.0)
    safe = (bench.folder / "lab" / "job" / "guard" / "safe.0001").read_text(encoding="utf-8")
    assert "reason=lease" in safe
    assert "needs_person=0" in safe
    bench.restart(bench.clock.now_s() + 60.0)
    assert bench.end_of(replace(exsy, epoch=bench.epoch)).progress is Progress.HALTED
    assert bench.carry_out(order(ramp(303.15), token="00000003-1", epoch=bench.epoch)).progress is Progress.DONE


def test_a_lease_that_ends_with_nothing_on_touches_nothing(make_bench: MakeBench) -> None:
    """After labctl has gone and nothing of it is on, the guard halts nobody and sets nothing."""
    bench = make_bench()
    assert bench.carry_out(order(ONE_PULSE)).progress is Progress.DONE
    bench.come_back(bench.clock.now_s() + 3600.0)
    bench.simulator.link().launch("teset 320")  # somebody else works there now
    bench.come_back(bench.clock.now_s() + 3600.0)
    assert not list((bench.folder / "lab" / "job" / "guard").glob("safe.*"))
    assert log_of(bench)[-1]["state"] == "idle"
    assert bench.simulator.console.plant.vt.setpoint_K == 320.0


def test_a_lost_rotor_takes_the_heat_off_at_once(make_bench: MakeBench, tmp_path: Path) -> None:
    """Rate loss under heat: heater off, then halt, within seconds; gas stays on, and only a person re-arms."""
    bench = make_bench(faults="  - {fault: spin_loss, during: {acquisition: 1, after: 3 min}, for: 30 min}\n")
    assert bench.carry_out(order(ramp(308.15), token="00000001-1")).progress is Progress.DONE
    exsy = order(acquire(), token="00000002-1")
    bench.driver.begin(exsy)
    seen = bench.end_of(exsy)
    assert seen.progress is Progress.HALTED
    lines = log_of(bench)
    lost_s = next(float(line["time"]) for line in lines if float(line["spinning_Hz"]) < 9900.0)
    off = next(number for number, line in enumerate(lines) if line["line"].endswith("heater off"))
    halted = next(number for number, line in enumerate(lines) if line["line"].endswith("halt sent"))
    assert off < halted
    assert float(lines[halted]["time"]) - lost_s <= 15.0
    assert bench.reading("heater_percent").value == 0.0
    assert bench.reading("gas_L_per_h").value > 700.0
    assert not any("masg" in message.lower() for message in bench.simulator.console.messages)
    seen = bench.carry_out(order(ramp(308.15), token="00000003-1"))
    assert seen.progress is Progress.FAILED
    assert "re-arm" in seen.detail
    bench.wait(2400.0)
    bench.simulator.link().launch("masg")  # a person spins it up again, and resumes
    bench.wait(600.0)
    bench.restart(bench.clock.now_s() + 5.0)
    assert bench.carry_out(order(SPINNING, token="00000004-1", epoch=bench.epoch)).progress is Progress.DONE
    assert bench.carry_out(order(ramp(308.15), token="00000005-1", epoch=bench.epoch)).progress is Progress.DONE


@pytest.mark.parametrize("fault", ["gas_loss", "sensor_silent"])
def test_no_heat_without_gas_or_without_seeing(make_bench: MakeBench, fault: str) -> None:
    """Gas lost, or the sensor silent for long: heater off and halt; the reason stands in the guard's record."""
    bench = make_bench(faults=f"  - {{fault: {fault}, during: {{acquisition: 1, after: 3 min}}, for: 1 h}}\n")
    assert bench.carry_out(order(ramp(308.15), token="00000001-1")).progress is Progress.DONE
    exsy = order(acquire(replace(EXSY, rows=64), duration_s=3000.0), token="00000002-1")
    bench.driver.begin(exsy)
    assert bench.end_of(exsy).progress is Progress.HALTED
    safe = (bench.folder / "lab" / "job" / "guard" / "safe.0001").read_text(encoding="utf-8")
    assert "needs_person=1" in safe
    assert ("gas" in safe) if fault == "gas_loss" else ("no temperature reading" in safe)


@pytest.mark.parametrize("limit", ["over temperature", "heater power"])
def test_too_much_heat_comes_down_by_ramp(make_bench: MakeBench, limit: str) -> None:
    """Somebody heats beyond a limit at the console: the guard halts, then leads the set point down to 25 °C."""
    bench = make_bench(limits={"heater_max_percent": 100.0} if limit == "over temperature" else {})
    assert bench.carry_out(order(ramp(303.15), token="00000001-1")).progress is Progress.DONE
    bench.simulator.link().launch(f"teset {LIMITS['sensor_max_K'] + 30.0:.1f}")
    bench.until(lambda: any(line["state"] == "safe" for line in log_of(bench)), give_up_s=7200.0)
    if limit == "over temperature":
        above = [line for line in log_of(bench) if float(line["te_K"]) > LIMITS["sensor_max_K"]]
        assert [line["state"] for line in above[:2]] == ["watching", "safe"], "the second reading above trips"
    bench.until(bench.driver.is_safe, give_up_s=4 * 3600.0)
    assert not any(line["line"].endswith("heater off") for line in log_of(bench)), "no shock for a hot rotor"
    safe = (bench.folder / "lab" / "job" / "guard" / "safe.0001").read_text(encoding="utf-8")
    assert f"reason={limit}" in safe
    assert "needs_person=1" in safe


def test_readings_carry_the_guards_own_time(make_bench: MakeBench) -> None:
    """A reading is as old as the guard's look at the instrument, whatever the driver's clock says."""
    bench = make_bench()
    bench.wait(120.0)
    for reading in bench.driver.readings():
        assert bench.clock.now_s() - 60.0 <= reading.at_s <= bench.clock.now_s()
    assert bench.simulator.console.kill("labctl_guard")
    killed_s = bench.clock.now_s()
    bench.wait(300.0)
    assert all(reading.at_s <= killed_s for reading in bench.driver.readings())
