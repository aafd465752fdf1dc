"""One suite over both routes to a spectrum: the FRA object point by point, and a procedure made in NOVA."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.errors import ForeignDataError, InstrumentError
from labctl.formats.impedance_file import read_impedance
from labctl.ports import Evidence, Order, Progress, Standing
from labctl_sim_autolab._commands import impedance_procedure
from labctl_sim_autolab._net import SdkError
from labctl_sim_autolab._nox import write_nox
from tests.drivers.autolab.bench import Bench, grid_Hz, order_of, sweep_task

MakeBench = Callable[..., Bench]


@pytest.fixture(params=["direct", "procedure"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeBench:
    """Makes a bench of each route; the lab's procedure has as many points as the sweep of these tests."""

    def made(*, opened: bool = True, points: int = 11, **settings: Any) -> Bench:
        settings.setdefault("procedure", {"file": "procedures/short.nox"})
        bench = Bench(tmp_path, route=request.param, **settings)
        path = Path(bench.link.path("procedures/short.nox"))
        if not path.exists():
            plain = impedance_procedure(grid_Hz(points))
            write_nox(path, name="short", serial="", at_s=bench.clock.now_s(), note=plain, commands=[])
        if opened:
            bench.open()
        return bench

    return made


def standing(bench: Bench, order: Order) -> Standing:
    """What the instrument's records say of an order."""
    evidence: Evidence = bench.driver.evidence(order)
    return evidence.standing


def test_a_spectrum_is_the_pellet_s(make: MakeBench, tmp_path: Path) -> None:
    """The spectrum that is brought in is the pellet's admittance within gain and current noise, in the order asked."""
    bench = make()
    order = order_of(sweep_task())
    seen = bench.carry_out(order)
    assert seen.progress is Progress.DONE, seen
    assert not bench.cell_is_on
    assert not bench.simulator.device.front.dsg_on, "the generator's relay must not stay closed"
    collected = bench.driver.collect(order, tmp_path / "run")
    assert collected.completeness == "complete"
    [spectrum] = read_impedance(tmp_path / "run" / collected.files[0])
    assert spectrum.frequency_Hz == pytest.approx(sweep_task().frequencies_Hz, rel=1e-8)
    Y = bench.pellet.admittance_S(spectrum.frequency_Hz, 298.15)
    error = np.abs(1.0 / spectrum.Z_ohm - Y) / np.hypot(2e-3 * np.abs(Y), 3e-12 / 5e-3)
    corner = np.abs(np.log10(spectrum.frequency_Hz / 1e4)) < 0.1  # the vendor's own ranging goes up to a corner
    assert (error[~corner] < 6.0).all()


def test_the_sidecar_says_what_nova_s_text_leaves_out(make: MakeBench, tmp_path: Path) -> None:
    """Times, amplitude and its kind, bias, open circuit and pellet stand beside the spectrum, under the final names."""
    bench = make()
    order = order_of(sweep_task())
    bench.carry_out(order)
    collected = bench.driver.collect(order, tmp_path / "run")
    [text, sidecar, *_] = [tmp_path / "run" / name for name in collected.files]
    data = json.loads(sidecar.read_text(encoding="utf-8"))
    assert (data["token"], data["title"], data["complete"]) == (order.token, order.title, True)
    assert data["amplitude_V_rms"] == sweep_task().amplitude_V_rms
    assert data["started_s"] < data["ended_s"] == pytest.approx(collected.ended_s)
    assert abs(data["open_circuit_V"]["before"]) < 1e-3
    assert text.read_bytes().startswith("Index;Frequency (Hz);Z' (Ω);-Z'' (Ω);Z (Ω);-Phase (°);Time (s)\r\n".encode())
    [spectrum] = read_impedance(text)
    assert spectrum.pellet is not None
    assert spectrum.pellet.thickness_mm == sweep_task().thickness_mm
    assert not list(bench.data.glob("*.tmp"))


def test_beginning_twice_is_once(make: MakeBench, tmp_path: Path) -> None:
    """The same token begun again, running or finished, measures nothing more and changes no byte."""
    bench = make()
    order = order_of(sweep_task())
    bench.driver.begin(order)
    bench.driver.begin(order)
    assert bench.end_of(order).progress is Progress.DONE
    before = {path.name: path.read_bytes() for path in bench.data.glob("LiI*")}
    bench.driver.begin(order)
    assert bench.driver.look(order).progress is Progress.DONE
    assert {path.name: path.read_bytes() for path in bench.data.glob("LiI*")} == before


def test_equal_seeds_leave_equal_spectra(make: MakeBench, tmp_path: Path) -> None:
    """Two labs of one seed measure the same bytes; another attempt has other noise."""
    texts = []
    for name in ("one", "two"):
        bench = make()
        bench.folder = tmp_path / name
        bench.come_back(bench.clock.now_s())
        path = Path(bench.link.path("procedures/short.nox"))
        write_nox(path, name="short", serial="", at_s=0.0, note=impedance_procedure(grid_Hz()), commands=[])
        bench.open()
        for token in ("0a1b2c3d-1", "0a1b2c3d-2"):
            bench.carry_out(order_of(sweep_task(), token=token))
        texts.append([(bench.data / f"LiI_0a1b2c3d-{n}.txt").read_bytes() for n in (1, 2)])
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[0][1]


def test_a_death_in_mid_sweep_is_told_by_the_folder(make: MakeBench, tmp_path: Path) -> None:
    """Killed and taken up again: the cell that stayed on is off, the attempt known as begun, the next one succeeds."""
    bench = make()
    order = order_of(sweep_task())
    bench.driver.begin(order)
    bench.end_of(order, until=lambda seen: bench.cell_is_on)
    bench.wait(6.0)
    assert bench.cell_is_on
    bench.restart()
    assert not bench.cell_is_on
    assert standing(bench, order) in {Standing.INTERRUPTED, Standing.PREPARED}
    again = order_of(sweep_task(), token="0a1b2c3d-2")
    assert bench.carry_out(again).progress is Progress.DONE
    assert standing(bench, again) is Standing.FINISHED


def test_zero_bias_on_a_real_cell_is_refused(make: MakeBench, tmp_path: Path) -> None:
    """With 50 mV at open circuit a bias of 0 V is refused with the cell never on; at open circuit it is measured."""
    faults = "  - {fault: bias_jump, at: 0 s, by: 50 mV}\n"
    bench = make(faults=faults)
    seen = bench.carry_out(order_of(sweep_task()))
    assert seen.progress is Progress.FAILED
    assert "refused" in seen.detail
    assert "open circuit" in seen.detail
    assert not bench.cell_is_on
    order = order_of(sweep_task(bias_V=None), token="0a1b2c3e-1")
    assert bench.carry_out(order).progress is Progress.DONE
    bias_V = bench.driver.collect(order, tmp_path / "run").settings["bias_V"]
    assert bias_V == pytest.approx(0.05, abs=1e-3)


def test_a_cell_that_changed_is_not_measured_again(make: MakeBench, tmp_path: Path) -> None:
    """The next attempt compares the open-circuit potential with the one before, and declines when it has moved."""
    bench = make(faults="  - {fault: bias_jump, at: 100 s, by: 30 mV}\n")
    first = order_of(sweep_task(bias_V=None))
    bench.driver.begin(first)
    bench.wait(8.0)
    bench.driver.stop(first, "a test")
    bench.wait(120.0)
    seen = bench.carry_out(order_of(sweep_task(bias_V=None), token="0a1b2c3d-2"))
    assert seen.progress is Progress.FAILED
    assert "attempt 1" in seen.detail


def test_stopping_keeps_what_was_measured(make: MakeBench, tmp_path: Path) -> None:
    """A stopped sweep is halted, the cell is off, and what its checkpoint holds can be brought in."""
    bench = make()
    order = order_of(sweep_task())
    bench.driver.begin(order)
    bench.end_of(order, until=lambda seen: bench.cell_is_on)
    bench.wait(8.0)
    bench.driver.stop(order, "enough")
    assert not bench.cell_is_on
    assert bench.end_of(order).progress is Progress.HALTED
    points = bench.driver.evidence(order).standing is Standing.INTERRUPTED
    collected = bench.driver.collect(order, tmp_path / "run")
    assert bool(collected.files) is points
    if points:
        assert collected.completeness == "partial"
        [spectrum] = read_impedance(tmp_path / "run" / collected.files[0])
        assert 0 < spectrum.points < len(sweep_task().frequencies_Hz)


def test_safe_is_cell_off_at_any_moment(make: MakeBench, tmp_path: Path) -> None:
    """Asked in the middle of a sweep, the safe state is reached and read back; asked again, nothing changes."""
    bench = make()
    order = order_of(sweep_task())
    bench.driver.begin(order)
    bench.end_of(order, until=lambda seen: bench.cell_is_on)
    for _ in range(2):
        bench.driver.make_safe("a test")
        assert not bench.cell_is_on
        assert bench.driver.is_safe()


def test_an_open_cell_succeeds_and_is_recognised(make: MakeBench, tmp_path: Path) -> None:
    """Every point is there and nothing overloads; the spectrum is flagged and does not count as one."""
    bench = make(faults="  - {fault: open_cell, at: 0 s}\n")
    order = order_of(sweep_task())
    assert bench.carry_out(order).progress is Progress.DONE
    collected = bench.driver.collect(order, tmp_path / "run")
    assert collected.completeness == "failed"
    assert any("open cell" in remark for remark in collected.remarks)
    data = json.loads((tmp_path / "run" / collected.files[1]).read_text(encoding="utf-8"))
    assert data["open_cell"] is True
    assert not any(data.get("overload", []))


def test_foreign_data_are_never_touched(make: MakeBench, tmp_path: Path) -> None:
    """Where somebody else's spectrum stands under our name, nothing is begun and no byte changes."""
    bench = make()
    order = order_of(sweep_task())
    path = bench.data / "LiI_0a1b2c3d-1.txt"
    path.write_text("mine", encoding="utf-8")
    assert standing(bench, order) is Standing.FOREIGN
    with pytest.raises(ForeignDataError):
        bench.driver.begin(order)
    assert path.read_text(encoding="utf-8") == "mine"


def test_collecting_never_writes_over(make: MakeBench, tmp_path: Path) -> None:
    """Brought in twice, equal files are kept; a different file in the way raises."""
    bench = make()
    order = order_of(sweep_task())
    bench.carry_out(order)
    first = bench.driver.collect(order, tmp_path / "run")
    assert bench.driver.collect(order, tmp_path / "run") == first
    taken = tmp_path / "other" / first.files[0]
    taken.parent.mkdir(parents=True)
    taken.write_text("something else", encoding="utf-8")
    with pytest.raises(ForeignDataError):
        bench.driver.collect(order, tmp_path / "other")


class Breaking:
    """Counts calls of the SDK, and breaks one of them (and as many after it as wanted)."""

    def __init__(self, bench: Bench) -> None:
        self.calls = 0
        self.at = -1
        self.times = 1
        self._device = bench.simulator.device
        self._touch = self._device.touch
        self._device.touch = self.touch  # type: ignore[method-assign]  # every call of the SDK passes here

    def touch(self) -> None:
        """Stand in for the device's own."""
        self.calls += 1
        if 0 <= self.calls - self.at < self.times:
            raise SdkError("broken by a test")
        self._touch()


def test_the_cell_is_off_whichever_call_fails(make: MakeBench, tmp_path: Path) -> None:
    """Any call of the SDK may fail during a sweep, alone or with the next: cell and generator are off at its end."""
    bench = make(points=2, open_circuit_samples=2)
    breaking = Breaking(bench)
    bench.carry_out(order_of(sweep_task(frequencies_Hz=grid_Hz(2))))
    whole = breaking.calls
    assert whole > 40
    for at in range(1, whole + 1):
        breaking.at, breaking.calls, breaking.times = at, 0, 1 + at % 2
        order = order_of(sweep_task(frequencies_Hz=grid_Hz(2)), token=f"{at:08x}-1")
        seen = bench.carry_out(order)
        breaking.at = -1
        assert seen.progress in {Progress.FAILED, Progress.DONE}, (at, seen)
        assert not bench.cell_is_on, (at, seen)
        assert not bench.simulator.device.front.dsg_on, (at, seen)


def test_a_lost_line_is_named_and_the_cell_goes_off_when_it_is_back(make: MakeBench, tmp_path: Path) -> None:
    """With the cable out the cell cannot be switched off, and that is said; plugged in again, it goes off."""
    bench = make(faults="  - {fault: usb_gone, during: {title: T01, after: 12 s}, for: 10 min}\n")
    order = order_of(sweep_task())
    seen = bench.carry_out(order)
    assert seen.progress is Progress.FAILED
    assert bench.cell_is_on
    assert "front panel" in seen.needs_person
    bench.driver.make_safe("the line is gone")
    with pytest.raises(InstrumentError, match=r"could not be switched off.*Press the cell switch"):
        bench.driver.is_safe()
    bench.wait(700.0)
    assert bench.driver.is_safe()
    assert not bench.cell_is_on


def test_another_program_that_holds_the_instrument_is_named(make: MakeBench) -> None:
    """Connecting is refused with what to do about it; when the other program is closed, it goes."""
    bench = make(faults="  - {fault: nova_holds, at: 0 s, for: 1 h}\n", opened=False)
    with pytest.raises(InstrumentError, match=r"in use by another process.*Close NOVA"):
        bench.open()
    bench.wait(3601.0)
    bench.open()
    assert bench.carry_out(order_of(sweep_task())).progress is Progress.DONE


def test_a_lower_epoch_is_refused(make: MakeBench) -> None:
    """An engine of the past cannot take the instrument from a later one."""
    bench = make()
    bench.restart()
    bench.come_back(bench.clock.now_s())
    with pytest.raises(InstrumentError, match="another engine"):
        bench.driver.open(1)
