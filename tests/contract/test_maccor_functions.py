"""MacNet's functions that no campaign leans on, asked of the simulated tester as a person's script would ask them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.errors import InstrumentError
from labctl.ports import Order
from labctl_maccor import open_driver
from labctl_maccor._codec import Channel, Stat
from labctl_maccor._driver import MaccorDriver
from labctl_maccor._tester import FileKind
from labctl_maccor._tester import Tester as Calls
from labctl_sim_maccor import open_simulator
from tests.contract.test_maccor_cycler import START_S, TASK

CHANNEL = Channel(3)
SETTINGS = {"channel": 3, "simulator": {}}


@pytest.fixture
def running(tmp_path: Path, protocols: Path) -> Iterator[tuple[Calls, VirtualClock, str]]:
    """A tester whose channel 3 cycles a cell, the clock, and the test's name."""
    clock = VirtualClock(START_S)
    sample = protocols / "samples" / "in_li_lpsc_li2s.yaml"
    simulated = open_simulator(
        station="maccor", state_dir=tmp_path / "sim", clock=clock, seed=1, sample=sample, settings=SETTINGS
    )
    clock.add_source(simulated.next_event_s)
    driver = open_driver(station="maccor", settings=SETTINGS, limits={}, clock=clock, link=simulated.link())
    assert isinstance(driver, MaccorDriver)
    driver.open(1)
    step_id = "maccor/fixed_capacity_cycling/cell"
    driver.begin(Order(token="0a1b2c3d-1", title="t", step_id=step_id, attempt=1, epoch=1, task=TASK))
    tester = driver._tester
    clock.wait_until(clock.monotonic_s() + 60.0)
    yield tester, clock, tester.test_name(CHANNEL)
    driver.close()
    simulated.close()


def test_it_echoes_and_tells_its_versions(running: tuple[Calls, VirtualClock, str]) -> None:
    """A request of class 0 comes back as it was, and program and library of the tester are of one version."""
    tester, _, _ = running
    assert tester.echoes()
    version = tester.version()
    assert version.program == version.library
    assert len(version.program) == 3


def test_it_lists_its_files(running: tuple[Calls, VirtualClock, str]) -> None:
    """The listing of active tests holds ours, that of procedures the one it runs, and the archive neither."""
    tester, _, name = running
    assert any(name in file for file in tester.files(FileKind.ACTIVE))
    assert any(tester.procedure_name(CHANNEL) in file for file in tester.files(FileKind.PROCEDURE))
    assert not any(name in file for file in tester.files(FileKind.ARCHIVE))


def test_auxiliaries_and_times_have_units(running: tuple[Calls, VirtualClock, str]) -> None:
    """Each auxiliary input comes with its unit, and the time of a test is that of its status."""
    tester, clock, _ = running
    assert {unit for _, unit in tester.auxiliaries(CHANNEL)} == {"C"}
    clock.wait_until(clock.monotonic_s() + 600.0)
    times = tester.test_times_s(Channel(1), 4)
    assert times[CHANNEL.wire] == pytest.approx(tester.status(CHANNEL).test_s, abs=1.0)
    assert times[0] == 0.0


def test_a_variable_reads_back(running: tuple[Calls, VirtualClock, str]) -> None:
    """A variable of a running test is written and read back; a sixteenth is refused."""
    tester, _, _ = running
    tester.set_variable(CHANNEL, 4, 4.3)
    assert tester.variables(CHANNEL)[3] == pytest.approx(4.3, rel=1e-6)
    with pytest.raises(InstrumentError):
        tester.set_variable(CHANNEL, 16, 1.0)


def test_a_running_test_is_never_reset(running: tuple[Calls, VirtualClock, str]) -> None:
    """A reset is refused while the test runs or when another one stands there, and the test goes on."""
    tester, _, name = running
    for asked in (name, "somebody-else"):
        with pytest.raises(InstrumentError, match="is not reset"):
            tester.reset(CHANNEL, asked)
    assert tester.status(CHANNEL).stat is Stat.ACTIVE


def test_only_a_free_channel_is_selected(running: tuple[Calls, VirtualClock, str]) -> None:
    """A free channel can be selected; one that runs a test cannot, and the tester's word for it comes back."""
    tester, _, _ = running
    assert tester.select(Channel(5)) == ""
    assert tester.select(CHANNEL) != ""
