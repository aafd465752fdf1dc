"""The simulated cycler has the shape the Maccor driver wants, and runs the procedures that the driver writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labctl.clock import VirtualClock
from labctl.ports import CycleCell, Order, Progress
from labctl.station.shapes import OpenDriver, OpenSimulator
from labctl_maccor import open_driver
from labctl_sim_maccor import open_simulator
from labctl_sim_maccor._records import read

if TYPE_CHECKING:
    from labctl_maccor._link import Link, TcpLink
    from labctl_sim_maccor import InstrumentLink, SimulatedMaccor

    def both_ends_fit(simulated: InstrumentLink, real: TcpLink) -> tuple[Link, Link]:
        """Checked by mypy: either tester can stand at the other end of the driver."""
        return simulated, real

    def entry_points_fit(simulator: SimulatedMaccor) -> tuple[OpenDriver, OpenSimulator, Link]:
        """Checked by mypy: what the entry points name has the shapes the station wants."""
        return open_driver, open_simulator, simulator.link()


SAMPLE = Path(__file__).resolve().parents[2] / "protocols" / "samples" / "in_li_lpsc_li2s.yaml"


TASK = CycleCell(
    cell="mLi2S_01",
    current_A=0.20735e-3,
    discharge_current_A=0.20735e-3,
    charges_Ah=(0.4871e-3, 0.9741e-3),
    then_cycles=3,
    then_charge_Ah=1.4612e-3,
    discharge_to_V=0.8,
    charge_above_V=2.3,
    charge_below_V=0.3,
    charge_limit_s=40 * 3600.0,
    discharge_limit_s=40 * 3600.0,
    unreturned_max_Ah=0.1e-3,
    efficiency_min=0.95,
    rest_s=300.0,
    first_rest_s=3600.0,
    record_s=60.0,
    record_V=0.005,
    mass_mg=2.4353,
    mass_basis="Li2S",
    area_cm2=0.7854,
    setpoint_K=297.15,
    sample_K=297.15,
    duration_s=1540 * 3600.0,
)


@pytest.mark.parametrize("form", ["C", "Ah"])
@pytest.mark.parametrize(("worsened", "ends"), [(1, [136] * 5), (120, [136, 133])])
def test_the_driver_cycles_the_simulated_cell(tmp_path: Path, form: str, worsened: int, ends: list[int]) -> None:
    """Charges end at their capacity; with a raised resistance on voltage, and the driver can tell."""
    faults = tmp_path / "faults.yaml"
    fault = f"{{fault: resistance, at: 6 h, by: {worsened}, channel: 2}}"
    faults.write_text(f"version: 1\nfaults: [{fault}]\n", encoding="utf-8")
    clock = VirtualClock(1.7e9)
    simulator = open_simulator(
        station="maccor", state_dir=tmp_path / "lab", clock=clock, seed=3, sample=SAMPLE,
        settings={"simulator": {"channels": 2}}, faults=faults,
    )  # fmt: skip
    clock.add_source(simulator.next_event_s)
    driver = open_driver(
        station="maccor", settings={"channel": 2, "capacity_form": form}, limits={}, clock=clock, link=simulator.link()
    )
    order = Order(
        token="0a1b2c3d-1", title="campaign maccor/cell", step_id="maccor/cell", attempt=1, epoch=1, task=TASK
    )
    driver.open(1)
    clock.wait_until(clock.monotonic_s() + 60.0)
    driver.begin(order)
    seen = driver.look(order)
    for _ in range(2000):
        if seen.progress is not Progress.RUNNING or seen.needs_person:
            break
        clock.wait_until(clock.monotonic_s() + 3600.0)
        seen = driver.look(order)
    assert (seen.progress is Progress.DONE) == (worsened == 1)
    data = simulator.tester.active_dir / "mLi2S_01-0a1b2c3d-1.002"
    charges = [record for record in read(data) if record.state == "C" and record.why >= 128]
    assert [record.why for record in charges] == ends
