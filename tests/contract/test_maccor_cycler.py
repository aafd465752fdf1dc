"""The Maccor driver on the simulated cycler: the shapes fit, and what the driver writes runs there as it was meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl.clock import VirtualClock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.formats.maccor_lint import reckon
from labctl.formats.maccor_procedure import read_procedure
from labctl.plan.cycling import Electrode
from labctl.ports import CycleCell, Instrument, Observation, Order, Progress, Standing
from labctl.station.shapes import OpenDriver, OpenSimulator
from labctl_maccor import open_driver
from labctl_sim_maccor import SimulatedMaccor, open_simulator

if TYPE_CHECKING:
    from labctl_maccor._link import Link, TcpLink
    from labctl_sim_maccor import InstrumentLink

    def both_ends_fit(simulated: InstrumentLink, real: TcpLink) -> tuple[Link, Link]:
        """Checked by mypy: either tester can stand at the other end of the driver."""
        return simulated, real

    def entry_points_fit() -> tuple[OpenDriver, OpenSimulator]:
        """Checked by mypy: what the entry points name has the shapes the station wants."""
        return open_driver, open_simulator


START_S = 1.7e9
PAPER = Electrode(
    mixture_mg=12.0,
    mixture_by_mass={"composite": 4, "LPSC": 4, "carbon": 2},
    composite_by_mole={"Li2S": 3, "LiI": 1},
    diameter_mm=10.0,
)
TASK = CycleCell(
    cell="mLi2S",
    current_A=PAPER.current_A(0.132),
    discharge_current_A=PAPER.current_A(0.132),
    charges_Ah=tuple(PAPER.charge_Ah(target, "Li2S") for target in (200.0, 400.0, 600.0)),
    then_cycles=2,
    then_charge_Ah=PAPER.charge_Ah(600.0, "Li2S"),
    discharge_to_V=0.8,
    charge_above_V=2.1,
    charge_below_V=0.3,
    charge_limit_s=40 * 3600.0,
    discharge_limit_s=40 * 3600.0,
    unreturned_max_Ah=0.5e-3,
    efficiency_min=0.8,
    rest_s=300.0,
    first_rest_s=3600.0,
    record_s=600.0,
    record_V=0.05,
    mass_mg=PAPER.mass_mg("Li2S"),
    mass_basis="Li2S",
    area_cm2=PAPER.area_cm2,
    setpoint_K=297.15,
    sample_K=297.15,
    duration_s=120 * 3600.0,
)


def _order(**changes: Any) -> Order:
    task = replace(TASK, **changes)
    step_id = "maccor/fixed_capacity_cycling/cell"
    return Order(token="0a1b2c3d-1", title="t", step_id=step_id, attempt=1, epoch=1, task=task)


@contextmanager
def _cycler(
    state: Path, sample: Path, clock: VirtualClock, faults: str = "", **simulator: Any
) -> Iterator[tuple[Instrument, SimulatedMaccor]]:
    script = None
    if faults:
        script = state.parent / "faults.yaml"
        script.write_text(faults, encoding="utf-8")
    settings = {"channel": 3, "simulator": simulator}
    simulated = open_simulator(
        station="maccor", state_dir=state, clock=clock, seed=1, sample=sample, settings=settings, faults=script
    )
    clock.add_source(simulated.next_event_s)
    driver = open_driver(station="maccor", settings=settings, limits={}, clock=clock, link=simulated.link())
    yield driver, simulated
    driver.close()
    simulated.close()


def _pass(driver: Instrument, clock: VirtualClock, seconds: float) -> None:
    """Let time pass as an engine does: the clock stops at each event of the tester, and somebody looks."""
    until_s = clock.monotonic_s() + seconds
    while clock.monotonic_s() < until_s:
        clock.wait_until(until_s)
        driver.readings()


def _until_ended(driver: Instrument, order: Order, clock: VirtualClock, *, hours: float = 400.0) -> Observation:
    """Look every hour, and at each event, until the test has ended or a person is asked for."""
    until_s = clock.monotonic_s() + 3600.0 * hours
    while clock.monotonic_s() < until_s:
        try:
            seen = driver.look(order)
        except InstrumentSilent:
            seen = Observation(progress=Progress.SILENT)
        if seen.progress in {Progress.DONE, Progress.HALTED, Progress.FAILED} or seen.needs_person:
            return seen
        _pass(driver, clock, 3600.0)
    raise AssertionError(f"not ended after {hours:g} h")


def _ends_of(export: Path, state: str) -> list[int]:
    """Return the end codes (128 and above) of one state, row by row."""
    lines = [line.split("\t") for line in export.read_text(encoding="cp1252").splitlines()]
    head = next(number for number, line in enumerate(lines) if line[0].startswith("Rec"))
    codes = [(row[lines[head].index("State")], int(row[lines[head].index("ES")])) for row in lines[head + 1 :]]
    return [code for letter, code in codes if letter.strip() == state and code >= 128]


@pytest.fixture
def sample(protocols: Path) -> Path:
    """A cell as the paper has it."""
    return protocols / "samples" / "in_li_lpsc_li2s.yaml"


def test_a_series_runs_to_its_normal_end(tmp_path: Path, sample: Path) -> None:
    """Started once, five cycles, done at the first End in about the time reckoned; export and procedure come back."""
    clock = VirtualClock(START_S)
    order = _order()
    with _cycler(tmp_path / "sim", sample, clock) as (driver, _):
        driver.open(1)
        driver.begin(order)
        seen = _until_ended(driver, order, clock)
        assert seen.progress is Progress.DONE, seen
        collected = driver.collect(order, tmp_path / "run")
        assert collected.completeness == "complete"
        assert collected.settings["cycles_done"] == TASK.cycles
        assert driver.evidence(order).standing is Standing.FINISHED
        copied = [tmp_path / "run" / name for name in collected.files]
        export = next(path for path in copied if ".003" in path.name)
        assert _ends_of(export, "C") == [136] * TASK.cycles, "each charge ended at its capacity"
        assert _ends_of(export, "D") == [133] * TASK.cycles, "each discharge ended at its voltage"
        procedure = read_procedure(next(path for path in copied if path.suffix == ".000"))
        card = json.loads(next(path for path in copied if path.suffix == ".json").read_text(encoding="utf-8"))
        assert card["mass_basis"] == "Li2S"
        reckoned_s = reckon(procedure, crate_Ah=max(TASK.charges_Ah)).nominal_s
        assert clock.monotonic_s() - START_S == pytest.approx(reckoned_s, rel=0.05)


def test_a_tester_that_outlives_labctl_is_found_again(tmp_path: Path, sample: Path) -> None:
    """A new engine finds the running test by its name, adopts it, and starts nothing."""
    clock = VirtualClock(START_S)
    order = _order()
    with _cycler(tmp_path / "sim", sample, clock) as (driver, _):
        driver.open(1)
        driver.begin(order)
        _pass(driver, clock, 3600.0)
    again = VirtualClock(clock.now_s() + 7200.0)
    with _cycler(tmp_path / "sim", sample, again) as (driver, _):
        driver.open(2)
        assert driver.evidence(order).standing is Standing.RUNNING
        driver.begin(order)
        assert _until_ended(driver, order, again).progress is Progress.DONE


def test_safe_is_open_circuit(tmp_path: Path, sample: Path) -> None:
    """The safe state of a charging cell is its test suspended: no current flows, and it stays so."""
    clock = VirtualClock(START_S)
    order = _order(first_rest_s=60.0)
    with _cycler(tmp_path / "sim", sample, clock) as (driver, _):
        driver.open(1)
        driver.begin(order)
        _pass(driver, clock, 1800.0)
        before = {reading.quantity: reading.value for reading in driver.readings()}
        assert before["current_A"] == pytest.approx(TASK.current_A, rel=0.01)
        assert not driver.is_safe()
        driver.make_safe("a test")
        driver.make_safe("a test")
        assert driver.is_safe()
        after = {reading.quantity: reading.value for reading in driver.readings()}
        assert after["current_A"] == 0.0
        assert "a test" in driver.look(order).needs_person


def test_a_procedure_needs_a_channel_that_can(tmp_path: Path, sample: Path) -> None:
    """More current than the simulated channel has is refused before anything is written."""
    clock = VirtualClock(START_S)
    with _cycler(tmp_path / "sim", sample, clock) as (driver, simulated):
        driver.open(1)
        with pytest.raises(InstrumentError):
            driver.begin(_order(current_A=50.0))
        assert list(simulated.tester.procedures_dir.glob("*.000")) == []


def test_a_raised_resistance_ends_a_charge_on_voltage(tmp_path: Path, sample: Path) -> None:
    """A charge that meets its upper voltage first ends with 133 at the guard's Pause, and a person is asked."""
    clock = VirtualClock(START_S)
    order = _order(charges_Ah=TASK.charges_Ah[-1:], then_cycles=0)
    faults = "version: 1\nfaults:\n  - {fault: resistance, at: 3 h, channel: 3, by: 14}\n"
    with _cycler(tmp_path / "sim", sample, clock, faults) as (driver, simulated):
        driver.open(1)
        driver.begin(order)
        seen = _until_ended(driver, order, clock)
        assert "Look at the cell" in seen.needs_person, seen
        assert _ends_of(next(simulated.tester.export_dir.glob("*.003*")), "C") == [133]
