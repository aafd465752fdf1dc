"""Odd habits of the real instrument and its SDK, which a driver must live with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labctl.clock import ScaledClock
from labctl.errors import InputError
from labctl.formats.impedance_file import read_impedance
from labctl.formats.nova_nox import read_nox
from labctl_sim_autolab._net import EI, SdkError
from labctl_sim_autolab._sdk import InstrumentExtensions
from labctl_sim_autolab.faults import FAULTS, load_faults
from tests.drivers.autolab.bench import START_S, Bench

PROCEDURE = "procedures/FRA impedance potentiostatic.nox"


class Hand:
    """Somebody who types at the SDK."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.instrument: Any = bench.link.load().Instrument()
        self.instrument.AutolabConnection.EmbeddedExeFileToStart = "Adk.x"
        self.instrument.set_HardwareSetupFile("HardwareSetup.FRA32M.xml")
        self.instrument.Connect()
        self.ei, self.fra = self.instrument.Ei, self.instrument.Fra

    def switch_on(self, *, range_name: str = "CR13_1uA", bias_V: float = 0.0) -> None:
        """Put a sine on the cell."""
        self.ei.CurrentRange = getattr(EI.EICurrentRange, range_name)
        self.ei.Setpoint = bias_V
        self.fra.Amplitude, self.fra.Frequency, self.fra.MinimumIntegrationTime = 5e-3, 100.0, 0.1
        self.ei.EnableDsgInput = True
        self.ei.CellOnOff = EI.EICellOnOff.On
        InstrumentExtensions.SwitchFraOn(self.instrument)

    def busy_s(self) -> float:
        """How long the calls so far take on a clock that stands still."""
        return self.bench.link.free_at_s() - self.bench.clock.monotonic_s()


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    """The LiI pellet at room temperature, connected."""
    return Hand(Bench(tmp_path))


def test_connecting_needs_both_files(tmp_path: Path) -> None:
    """Without the embedded program or the hardware setup nothing connects."""
    instrument: Any = Bench(tmp_path).link.load().Instrument()
    with pytest.raises(SdkError, match="EmbeddedExeFileToStart"):
        instrument.Connect()
    instrument.AutolabConnection.EmbeddedExeFileToStart = "Adk.x"
    with pytest.raises(SdkError, match="HardwareSetupFile"):
        instrument.Connect()


def test_readings_are_those_of_the_last_sample(hand: Hand) -> None:
    """Current and Potential do not move between samples, whatever happens at the cell."""
    hand.switch_on(bias_V=0.1)
    hand.ei.Sampler.Sample()
    seen = (hand.ei.Current, hand.ei.Potential)
    hand.ei.CellOnOff = EI.EICellOnOff.Off
    assert (hand.ei.Current, hand.ei.Potential) == seen
    hand.ei.Sampler.Sample()
    assert (hand.ei.Current, hand.ei.Potential) != seen
    assert hand.instrument.GetSignal("WE(1).Potential").Value == hand.ei.Potential


def test_calls_take_their_time(hand: Hand) -> None:
    """A sample takes 25 ms, each overload flag 5 ms, a point its integration."""
    before_s = hand.busy_s()
    hand.ei.Sampler.Sample()
    assert hand.busy_s() - before_s == pytest.approx(0.025, abs=1e-5)
    _ = hand.ei.CurrentOverload, hand.ei.PotentialOverload
    assert hand.busy_s() - before_s == pytest.approx(0.035, abs=1e-5)
    hand.switch_on()
    hand.fra.Start()
    assert hand.busy_s() - before_s == pytest.approx(0.135, abs=1e-5)


def test_overload_flags_clear_themselves(hand: Hand) -> None:
    """The flag speaks of the last sample: set while the current is too large, gone with the next good one."""
    hand.switch_on(range_name="CR15_10nA")
    hand.fra.Amplitude = 0.3  # 0.3 uA through a megohm
    hand.ei.Sampler.Sample()
    assert hand.ei.CurrentOverload
    assert 0.0 < abs(hand.ei.Current) < 1e-6, "and what is read looks like a current"
    hand.ei.CurrentRange = EI.EICurrentRange.CR12_10uA  # type: ignore[attr-defined]  # members are set at run time
    hand.ei.Sampler.Sample()
    assert not hand.ei.CurrentOverload


def test_without_the_generator_s_relay_no_sine_reaches_the_cell(hand: Hand) -> None:
    """Cell on and analyser on are not enough: what is read then is noise over noise."""
    hand.switch_on()
    hand.fra.Start()
    Z_true = 1.0 / complex(hand.bench.pellet.admittance_S(100.0, 298.15))
    assert hand.fra.Modulus[0] == pytest.approx(abs(Z_true), rel=0.02)
    hand.ei.EnableDsgInput = False
    hand.fra.Start()
    assert hand.fra.Modulus[0] != pytest.approx(abs(Z_true), rel=0.02)


def test_an_open_cell_succeeds(tmp_path: Path) -> None:
    """Without a cell every call succeeds, no flag comes, and only the size of the current tells."""
    hand = Hand(Bench(tmp_path, faults="  - {fault: open_cell, at: 0 s}\n"))
    hand.switch_on(bias_V=0.1)
    hand.fra.Start()
    hand.ei.Sampler.Sample()
    assert hand.instrument.AutolabConnection.IsConnected
    assert not hand.ei.CurrentOverload
    assert abs(hand.ei.Current) < 22e-9
    assert 5e-3 / hand.fra.Modulus[0] < 1e-10


def test_results_before_the_first_point_raise(hand: Hand) -> None:
    """The arrays of the analyser are empty until something was measured."""
    with pytest.raises(SdkError, match="outside the bounds"):
        _ = hand.fra.Real


def test_an_open_circuit_reads_an_offset_and_steps(hand: Hand) -> None:
    """At rest a symmetric cell reads 0.12 mV, in steps of 30.5 uV."""
    values = []
    for _ in range(40):
        hand.ei.Sampler.Sample()
        values.append(hand.ei.Potential)
    assert np.mean(values) == pytest.approx(1.2e-4, abs=2e-5)
    assert np.allclose(np.array(values) / 3.05e-5, np.round(np.array(values) / 3.05e-5))


# ------------------------------------------------------------------------------------------- procedures


def run_of(hand: Hand) -> Any:
    """Run the shipped procedure to its end and return it."""
    procedure = hand.instrument.LoadProcedure(hand.bench.link.path(PROCEDURE))
    procedure.Measure()
    while procedure.IsMeasuring:
        hand.bench.wait(10.0)
    return procedure


def test_measuring_returns_at_once_and_a_finished_procedure_is_inert(hand: Hand) -> None:
    """Measure takes a fraction of a second; asked again after the end, nothing happens and nothing says so."""
    procedure = hand.instrument.LoadProcedure(hand.bench.link.path(PROCEDURE))
    before_s = hand.busy_s()
    procedure.Measure()
    assert hand.busy_s() - before_s < 0.3
    assert procedure.IsMeasuring
    assert hand.bench.cell_is_on
    while procedure.IsMeasuring:
        hand.bench.wait(10.0)
    points = len(procedure.Commands["FIAMeasPotentiostatic"].Signals["Frequency"].ValueAsObject)
    assert points == 51
    procedure.Measure()
    assert not procedure.IsMeasuring
    assert not hand.bench.cell_is_on
    assert len(procedure.Commands["FIAMeasPotentiostatic"].Signals["Frequency"].ValueAsObject) == points


def test_an_aborted_procedure_leaves_the_cell_on(hand: Hand) -> None:
    """Abort ends the measuring and nothing else: the cell must be switched off by whoever aborts."""
    procedure = hand.instrument.LoadProcedure(hand.bench.link.path(PROCEDURE))
    procedure.Measure()
    hand.bench.wait(20.0)
    procedure.Abort()
    assert not procedure.IsMeasuring
    assert hand.bench.cell_is_on
    recorded = procedure.Commands["FIAMeasPotentiostatic"].Signals["Frequency"].ValueAsObject
    assert 0 < len(recorded) < 51


def test_the_last_point_can_be_followed_and_raises_before_the_first(hand: Hand) -> None:
    """FraCommands shows the point a scan has come to; before there is one it raises."""
    procedure = hand.instrument.LoadProcedure(hand.bench.link.path(PROCEDURE))
    procedure.Measure()
    with pytest.raises(SdkError):
        procedure.FraCommands["FIAScan"].get_FIAMeasurement()
    hand.bench.wait(20.0)
    assert procedure.IsMeasuring
    measured = procedure.FraCommands["FIAScan"].get_FIAMeasurement()
    assert measured.Frequency[0] < 1e5
    assert measured.H_Modulus[0] == pytest.approx(np.hypot(measured.H_Real[0], measured.H_Imaginary[0]))


def test_what_is_saved_is_a_nox_file(hand: Hand, tmp_path: Path) -> None:
    """A saved procedure is two .NET streams that a walker of records reads, with the spectrum it recorded."""
    path = tmp_path / "saved.nox"
    run_of(hand).SaveAs(str(path))
    nox = read_nox(path)
    assert nox.instrument == "AUT80000"
    assert nox.created_s == pytest.approx(hand.bench.clock.now_s(), abs=60.0)
    assert {"FHSetSetpointPotential", "FIAScan", "FIAMeasPotentiostatic"} <= set(nox.commands)
    [spectrum] = read_impedance(path)
    Y = hand.bench.pellet.admittance_S(spectrum.frequency_Hz, 298.15)
    assert np.abs(spectrum.Z_ohm * Y - 1.0).max() < 0.03


def test_a_file_that_is_no_procedure_is_refused(hand: Hand, tmp_path: Path) -> None:
    """Nothing and nonsense are named with their path."""
    (tmp_path / "x.nox").write_bytes(b"\x00\x01nonsense")
    for name in ("x.nox", "y.nox"):
        with pytest.raises(SdkError, match="Could not load"):
            hand.instrument.LoadProcedure(str(tmp_path / name))


# --------------------------------------------------------------------------------------- state and faults


def test_relays_outlast_the_process(tmp_path: Path) -> None:
    """A computer that dies leaves the cell on; whoever comes next finds it so."""
    bench = Bench(tmp_path)
    Hand(bench).switch_on()
    bench.come_back(bench.clock.now_s() + 3600.0)
    assert bench.cell_is_on
    assert bench.simulator.now_s() >= START_S + 3600.0
    assert Hand(bench).ei.Cell


def test_a_state_that_was_cut_short_is_passed_over(tmp_path: Path) -> None:
    """A file without its last line is not believed; the one before it is."""
    bench = Bench(tmp_path)
    Hand(bench).switch_on()
    [state] = (bench.folder / "lab").glob("state.*.json")
    serial = int(state.name.split(".")[1])
    (state.parent / f"state.{serial + 1}.json").write_text('{"version":1,', encoding="utf-8")
    bench.come_back(bench.clock.now_s())
    assert bench.cell_is_on


def test_a_pulled_cable_fails_every_call_and_needs_a_new_connection(tmp_path: Path) -> None:
    """While the cable is out every call raises; afterwards too, until somebody connects."""
    hand = Hand(Bench(tmp_path, faults="  - {fault: usb_gone, at: 10 s, for: 60 s}\n"))
    hand.switch_on()
    hand.bench.wait(11.0)
    for call in (lambda: hand.ei.Cell, hand.fra.Start, hand.ei.Sampler.Sample):
        with pytest.raises(SdkError, match="USB"):
            call()
    assert hand.instrument.AutolabConnection.IsConnected, "which is not known of the real one, and a setting"
    hand.bench.wait(69.0)
    with pytest.raises(SdkError, match="no instrument is connected"):
        _ = hand.ei.Cell
    hand.instrument.Connect()
    assert hand.ei.Cell


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{fault: usb_gon, at: 1 h}", "not a fault"),
        ("{fault: usb_gone}", "says not, or twice"),
        ("{fault: usb_gone, at: 1 h, during: {title: x}}", "says not, or twice"),
        ("{fault: usb_gone, at: 1}", "no unit"),
        ("{fault: usb_gone, at: 1 h, by: 2 A}", "not a key"),
        ("{fault: overload, at: 1 h}", "needs by"),
        ("{fault: overload, at: 1 h, by: 2 V}", "not a unit of this kind"),
        ("{fault: usb_gone, at: -1 h}", "negative"),
        ("{fault: usb_gone, during: {after: 1 s}}", "does not name what it waits for"),
        ("{fault: welded_relay, at: 1 h}", "not a fault of autolab"),
        ("nonsense", "not a fault"),
    ],
)
def test_a_mistake_in_a_fault_script_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    """What cannot be is refused with its line; lines of other stations are passed over."""
    path = tmp_path / "faults.yaml"
    other = "  - {fault: anything, station: nmr500}\n"
    path.write_text(f"version: 1\nfaults:\n{other}  - {line}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_faults(path, station="autolab")
    assert any(complaint in str(one) and one.line == 4 for one in caught.value.findings), caught.value


def test_every_fault_can_be_written(tmp_path: Path) -> None:
    """Each fault of the table is read from a line that gives its size in its unit."""
    path = tmp_path / "faults.yaml"
    lines = [
        f"  - {{fault: {name}, at: 1 h{''.join(f', {key}: {one.example}' for key, one in kind.parameters.items())}}}\n"
        for name, kind in FAULTS.items()
    ]
    path.write_text("version: 1\nfaults:\n" + "".join(lines), encoding="utf-8")
    assert [fault.kind for fault in load_faults(path, station="autolab")] == list(FAULTS)


@pytest.mark.parametrize(
    ("own", "key"),
    [
        ({"noise": {"curent": "3 pA"}}, "simulator.noise.curent"),
        ({"noise": {"current": "3 K"}}, "simulator.noise.current"),
        ({"amplitude_kind": "top"}, "simulator.amplitude_kind"),
        ({"notices_unplugging": "yes"}, "simulator.notices_unplugging"),
        ({"bandwidth_left": "x"}, "simulator.bandwidth_left"),
        ({"temperature": 298}, "simulator.temperature"),
    ],
)
def test_a_setting_of_the_simulator_that_cannot_be_used_is_named(tmp_path: Path, own: dict[str, Any], key: str) -> None:
    """Each mistake below `simulator:` is one finding with its key."""
    with pytest.raises(InputError) as caught:
        Bench(tmp_path, simulator=own)
    assert [one.key_path for one in caught.value.findings] == [key]


def test_on_a_clock_that_runs_calls_block(tmp_path: Path) -> None:
    """The same call that leaves a standing clock alone takes its time where time passes by itself."""
    clock = ScaledClock(start_s=START_S, speed=5000.0)
    hand = Hand(Bench(tmp_path, clock=clock))
    hand.switch_on()
    hand.fra.MinimumIntegrationTime = 100.0
    before_s = clock.now_s()
    hand.fra.Start()
    assert clock.now_s() - before_s >= 100.0
