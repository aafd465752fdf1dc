"""The potentiostat and its oven together, on a virtual clock and on one that runs by itself."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import ScaledClock
from labctl.errors import InputError, InstrumentError
from labctl.formats.impedance_file import read_impedance
from labctl.ports import AwaitStable, CoolDown, Progress, SetTemperature, Standing, Task
from labctl_autolab import open_driver
from tests.drivers.autolab.bench import LIMITS, OVEN, SETTINGS, START_S, Bench, grid_Hz, order_of, sweep_task

RAMP = 5 / 60


def to_K(bench: Bench, setpoint_K: float, number: int, *, hold_s: float = 1800.0) -> None:
    """Bring the oven to a temperature and soak."""
    ramp = SetTemperature(setpoint_K=setpoint_K, sample_K=setpoint_K, ramp_K_per_s=RAMP, give_up_s=7200.0)
    soak = AwaitStable(setpoint_K=setpoint_K, sample_K=setpoint_K, within_K=0.5, hold_s=hold_s, give_up_s=6 * 3600.0)
    tasks: tuple[Task, ...] = (ramp, soak)
    for kind, task in enumerate(tasks):
        seen = bench.carry_out(order_of(task, token=f"{16 * number + kind:08x}-1", step_id=f"autolab/eis/{kind}"))
        assert seen.progress is Progress.DONE, seen


def test_a_hot_spectrum_is_that_of_the_temperature_in_its_sidecar(tmp_path: Path) -> None:
    """After ramp and soak the spectrum is the pellet's at the cell's own temperature, which stands in the sidecar."""
    bench = Bench(tmp_path, **OVEN)
    bench.open()
    to_K(bench, 348.15, 1)
    order = order_of(sweep_task(setpoint_K=348.15))
    assert bench.carry_out(order).progress is Progress.DONE
    collected = bench.driver.collect(order, tmp_path / "run")
    [spectrum] = read_impedance(tmp_path / "run" / collected.files[0])
    assert bench.simulator.oven is not None
    assert spectrum.temperature_K is not None
    assert spectrum.temperature_K == pytest.approx(bench.simulator.oven.sample_K(), abs=0.1)
    assert spectrum.temperature_K == pytest.approx(348.15, abs=0.6)
    assert spectrum.moved is False
    R_ohm = bench.pellet.resistance_ohm(spectrum.temperature_K)
    plateau = min(spectrum.Z_ohm, key=lambda Z: abs(Z.imag))
    assert plateau.real == pytest.approx(R_ohm, rel=0.05)
    assert collected.settings["sensor_K"] == pytest.approx(spectrum.temperature_K)
    cool = CoolDown(setpoint_K=298.15, ramp_K_per_s=RAMP, give_up_s=36000.0)
    assert bench.carry_out(order_of(cool, token="000000ff-1")).progress is Progress.DONE
    assert bench.driver.is_safe()


def test_a_cell_without_a_sensor_is_as_uncertain_as_it_is_behind(tmp_path: Path) -> None:
    """After half an hour at 150 degC the cell is still kelvins behind: the stated error covers that, and says why."""
    bench = Bench(tmp_path, oven={"controller": "lakeshore", "cell_lag": "15 min"})
    bench.open()
    to_K(bench, 423.15, 1)
    order = order_of(sweep_task(setpoint_K=423.15))
    assert bench.carry_out(order).progress is Progress.DONE
    collected = bench.driver.collect(order, tmp_path / "run")
    [spectrum] = read_impedance(tmp_path / "run" / collected.files[0])
    assert bench.simulator.oven is not None
    assert spectrum.temperature_K is not None
    assert spectrum.temperature_se_K is not None
    behind_K = spectrum.temperature_K - bench.simulator.oven.sample_K()
    assert behind_K > 1.0
    assert behind_K < spectrum.temperature_se_K < 1.5 * behind_K
    assert collected.settings["sample_behind_K"] == pytest.approx(spectrum.temperature_se_K, rel=0.05)
    assert any("no sensor of its own" in remark for remark in collected.remarks)


def test_soaking_waits_for_the_cell_s_own_sensor(tmp_path: Path) -> None:
    """With a sensor at the cell the half hour begins when the cell is in its band, and nothing is left to be behind."""
    bench = Bench(tmp_path, **OVEN)
    bench.open()
    to_K(bench, 423.15, 1)
    assert bench.simulator.oven is not None
    assert bench.simulator.oven.sample_K() == pytest.approx(423.15, abs=0.5)
    order = order_of(sweep_task(setpoint_K=423.15))
    assert bench.carry_out(order).progress is Progress.DONE
    collected = bench.driver.collect(order, tmp_path / "run")
    assert "sample_behind_K" not in collected.settings
    assert not collected.remarks


def test_a_spectrum_of_a_moving_oven_is_flagged(tmp_path: Path) -> None:
    """Measured while the set point walks, the spectrum says that its temperature moved, and by how much."""
    bench = Bench(tmp_path, **OVEN)
    bench.open()
    ramp = SetTemperature(setpoint_K=348.15, sample_K=348.15, ramp_K_per_s=RAMP, give_up_s=7200.0)
    bench.driver.begin(order_of(ramp, token="00000001-1", step_id="autolab/eis/ramp"))
    bench.wait(600.0)
    order = order_of(sweep_task())
    bench.carry_out(order)
    data = json.loads((bench.data / "LiI_0a1b2c3d-1.eis.json").read_text(encoding="utf-8"))
    assert data["moved"] is True
    assert any("moved by" in note for note in data["notes"])
    assert any("moved by" in remark for remark in bench.driver.collect(order, tmp_path / "run").remarks)


def test_safe_takes_current_and_heat_away_together(tmp_path: Path) -> None:
    """In the middle of a hot sweep the safe state switches the cell and the heater off, and reads both back."""
    bench = Bench(tmp_path, **OVEN)
    bench.open()
    to_K(bench, 348.15, 1, hold_s=60.0)
    bench.driver.begin(order_of(sweep_task()))
    bench.wait(8.0)
    assert bench.cell_is_on
    assert not bench.driver.is_safe()
    bench.driver.make_safe("a test")
    assert not bench.cell_is_on
    heater = next(one for one in bench.driver.readings() if one.quantity == "heater_percent")
    assert heater.value < 0.1
    assert bench.driver.is_safe()


def test_the_oven_s_faults_pass_through(tmp_path: Path) -> None:
    """A welded relay of the oven in the script of the station shows in the station's readings."""
    faults = "  - {fault: welded_relay, station: autolab.oven, at: 10 min, by: 60 %}\n"
    bench = Bench(tmp_path, faults=faults, **OVEN)
    bench.open()
    bench.wait(3600.0)
    assert "fault/heater_welded" in {one.quantity for one in bench.driver.readings()}


def test_one_lost_answer_of_the_oven_costs_no_spectrum(tmp_path: Path) -> None:
    """The controller keeps silent for half a minute of the sweep: the spectrum is finished all the same."""
    faults = "  - {fault: mute, station: autolab.oven, at: 30 s, for: 20 s}\n"
    bench = Bench(tmp_path, faults=faults, **OVEN)
    bench.open()
    bench.wait(5.0)
    order = order_of(sweep_task(frequencies_Hz=grid_Hz(31)))
    bench.driver.begin(order)
    seen = bench.driver.look(order)
    while seen.progress is Progress.RUNNING:  # nobody asks for readings meanwhile: the oven would not answer
        bench.clock.wait_until(bench.clock.monotonic_s() + (seen.look_again_s or 1.0))
        seen = bench.driver.look(order)
    assert seen.progress is Progress.DONE, seen


def test_without_an_oven_there_are_no_orders_of_temperature(tmp_path: Path) -> None:
    """A station at room temperature says what is missing in its lab file."""
    bench = Bench(tmp_path)
    bench.open()
    ramp = SetTemperature(setpoint_K=348.15, sample_K=348.15, ramp_K_per_s=RAMP, give_up_s=7200.0)
    with pytest.raises(InstrumentError, match=r"no oven.*settings\.oven"):
        bench.driver.begin(order_of(ramp))
    assert bench.driver.readings() == ()


def test_a_controller_that_is_not_installed_is_named(tmp_path: Path) -> None:
    """The lab file names a controller nobody has: the message says which there are."""
    bench = Bench(tmp_path)
    settings = {**SETTINGS, "oven": {"controller": "teapot"}}
    with pytest.raises(InputError, match=r"'teapot'.*eurotherm, lakeshore"):
        open_driver(station="autolab", settings=settings, limits=LIMITS, clock=bench.clock, link=bench.link)


def test_on_linux_the_real_sdk_is_refused_kindly(tmp_path: Path) -> None:
    """Without pythonnet the package installs and opens; taking the instrument says what to install and where."""
    if find_spec("clr") is not None:
        pytest.skip("pythonnet is installed here")
    sdk = {"assembly": "x/EcoChemie.Autolab.Sdk", "extensions": "x/Ext", "embedded": "Adk.x", "hardware_setup": "a.xml"}
    settings = {"data_dir": str(tmp_path / "data"), "sdk": sdk}
    driver = open_driver(station="autolab", settings=settings, limits={}, clock=ScaledClock(start_s=START_S))
    with pytest.raises(InstrumentError, match=r"pythonnet is not installed.*labctl-acquisition\[autolab\]"):
        driver.open(1)
    driver.close()


def test_impossible_sweeps_are_refused_before_the_cell_is_touched(tmp_path: Path) -> None:
    """Frequencies, amplitude and bias beyond the instrument are refused with the cell never on."""
    bench = Bench(tmp_path)
    bench.open()
    changes: list[dict[str, Any]] = [
        {"frequencies_Hz": ()},
        {"frequencies_Hz": (2e6,)},
        {"amplitude_V_rms": 0.0},
        {"amplitude_V_rms": 1.0},
        {"bias_V": 20.0},
        {"cycles": 0},
    ]
    for number, change in enumerate(changes):
        with pytest.raises(InstrumentError, match="cannot measure with"):
            bench.driver.begin(order_of(sweep_task(**change), token=f"{number:08x}-1"))
    assert not list(bench.data.glob("*.jsonl"))


# ------------------------------------------------------------------------------------------- a real clock


@pytest.fixture
def fast(tmp_path: Path) -> Bench:
    """A bench whose clock runs by itself, 20 000 times as fast as ours: calls of the SDK block a worker thread."""
    bench = Bench(tmp_path, clock=ScaledClock(start_s=START_S, speed=20_000.0))
    bench.open()
    return bench


def test_a_thread_of_its_own_measures_the_same_spectrum(fast: Bench, tmp_path: Path) -> None:
    """On a clock that runs by itself the worker thread leaves the very points that a rehearsal leaves."""
    order = order_of(sweep_task())
    try:
        assert fast.carry_out(order).progress is Progress.DONE
        inline = Bench(tmp_path / "inline_lab_of_its_own")
        inline.folder.mkdir(exist_ok=True)
        inline.open()
        inline.carry_out(order)
        texts = [(bench.data / "LiI_0a1b2c3d-1.txt").read_text(encoding="utf-8") for bench in (fast, inline)]
        columns = [[row.split(";")[:6] for row in text.splitlines()] for text in texts]  # all but the times
        assert columns[0] == columns[1]
    finally:
        fast.driver.close()


def test_looking_never_waits_for_a_call_that_blocks(fast: Bench) -> None:
    """While the thread is inside Start for a simulated hour, looks and readings answer at once."""
    order = order_of(sweep_task(frequencies_Hz=(1e3,), integration_s=3600.0))
    try:
        fast.driver.begin(order)
        assert fast.driver.look(order).progress is Progress.RUNNING
        assert fast.driver.readings() == ()
        assert fast.end_of(order).progress is Progress.DONE
    finally:
        fast.driver.close()


def test_safe_is_reached_by_the_thread(fast: Bench) -> None:
    """Asked from another thread in mid-sweep, the worker switches the cell off as soon as its call returns."""
    order = order_of(sweep_task(frequencies_Hz=grid_Hz(51)))
    try:
        fast.driver.begin(order)
        fast.end_of(order, until=lambda seen: fast.cell_is_on)
        fast.driver.make_safe("a test")
        while not fast.driver.is_safe():
            fast.clock.wait_until(fast.clock.monotonic_s() + 1.0)
        assert not fast.cell_is_on
        assert fast.driver.look(order).progress is Progress.HALTED
        assert fast.driver.evidence(order).standing in {Standing.PREPARED, Standing.INTERRUPTED}
    finally:
        fast.driver.close()


def test_closing_in_mid_sweep_leaves_the_cell_off(fast: Bench) -> None:
    """A driver that is let go of takes the current away first."""
    order = order_of(sweep_task(frequencies_Hz=grid_Hz(51)))
    fast.driver.begin(order)
    fast.end_of(order, until=lambda seen: fast.cell_is_on)
    fast.driver.close()
    assert not fast.cell_is_on
