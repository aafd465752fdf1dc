"""The fake SDK has the shape the driver wants, and the names that reflection showed on a real PGSTAT302N."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labctl.clock import VirtualClock
from labctl.station.shapes import OpenDriver, OpenSimulator
from labctl_autolab import open_driver
from labctl_autolab._ranges import MEMBERS
from labctl_sim_autolab import FakeSdk, InstrumentLink
from labctl_sim_autolab._commands import Command, CommandParameter, NamedList, Procedure
from labctl_sim_autolab._net import EI
from labctl_sim_autolab._ranges import FULL_SCALE_A
from labctl_sim_autolab._sdk import AutolabConnection, Ei, FraManualControlCommand, Instrument, Sampler
from tests.drivers.autolab.bench import Bench

if TYPE_CHECKING:
    from labctl_autolab._link import Link, SdkLink
    from labctl_autolab._sdk import Sdk
    from labctl_sim_autolab import SimulatedAutolab, open_simulator

    def both_ends_fit(simulated: InstrumentLink, real: SdkLink, sdk: FakeSdk) -> tuple[Link, Link, Sdk]:
        """Checked by mypy: either instrument can stand at the other end of the driver."""
        return simulated, real, sdk

    def entry_points_fit(simulator: SimulatedAutolab) -> tuple[OpenDriver, OpenSimulator, Link]:
        """Checked by mypy: what the entry points name has the shapes the station wants."""
        return open_driver, open_simulator, simulator.link()


REFLECTED: dict[type, tuple[str, str]] = {
    Instrument: (
        "Adc AutolabConnection BAModule Dac Dio Ei Fra GetSignals HardwareSetupFile Mux",
        "Connect CreateSampler CreateVirtualInstrument Disconnect Dispose GetFraModule GetSignal LoadProcedure"
        " Register",
    ),
    AutolabConnection: ("DeviceAddress EmbeddedExeFileToStart IsConnected", ""),
    Ei: (
        "Bandwidth Cell CellOnOff Current CurrentOverload CurrentRange EnableDsgInput IRCompensation"
        " IRCompensationValue"
        " ManualCellSwitch Mode Oscillation Potential PotentialApplied PotentialOverload Sampler Setpoint"
        " TemperatureOverload",
        "",
    ),
    Sampler: ("GetSignals", "Sample Reset Release GetSignal"),
    FraManualControlCommand: (
        "Amplitude Frequency WaveType MinimumIntegrationTime MinimumIntegrationCycles Real Imaginary Modulus Phase"
        " TimeData",
        "Start",
    ),
    Procedure: (
        "Commands FileName FraCommands IsMeasuring ProcedureDescription",
        "Measure Abort Hold Continue Skip Save SaveAs Clone",
    ),
    NamedList: ("Names IdNames", "Contains ContainsId"),
    Command: ("CommandParameters Signals", ""),
    CommandParameter: ("Value ValueAsObject", ""),
}
ABSENT = {
    Instrument: "Procedure Abort IsMeasuring Stop StopMeasurement",
    Procedure: "Status State Result HasError Aborted MeasureAsync",
}


@pytest.mark.parametrize("kind", REFLECTED, ids=lambda kind: kind.__name__)
def test_objects_have_the_members_reflection_showed(kind: type) -> None:
    """Every property and method listed on hardware is there, under its own name, and is what it was there."""
    properties, methods = (names.split() for names in REFLECTED[kind])
    for name in properties:
        assert isinstance(getattr(kind, name, None), property), name
    for name in methods:
        assert callable(getattr(kind, name, None)), name


@pytest.mark.parametrize("kind", ABSENT, ids=lambda kind: kind.__name__)
def test_what_the_real_objects_lack_is_lacking(kind: type) -> None:
    """There is no status, result or error field, and no procedure or abort on the instrument."""
    assert [name for name in ABSENT[kind].split() if hasattr(kind, name)] == []


def test_enums_have_their_members() -> None:
    """Cell, mode, bandwidth and all twenty current ranges, numbered by the power of ten as older drivers wrote them."""
    assert {str(EI.EICellOnOff.On), str(EI.EICellOnOff.Off)} == {"On", "Off"}
    assert int(EI.EICellOnOff.On) == 1
    assert len(EI.EICurrentRange.MEMBERS) == 20
    assert list(EI.EICurrentRange.MEMBERS) == [
        *("CR00_1000A", "CR01_100A", "CR02_80A", "CR03_50A", "CR04_40A", "CR05_20A", "CR06_10A", "CR07_1A"),
        *("CR08_100mA", "CR09_10mA", "CR10_1mA", "CR11_100uA", "CR12_10uA", "CR13_1uA", "CR14_100nA", "CR15_10nA"),
        *("CR16_1nA", "CR17_100pA", "CR18_10pA", "CR19_1pA"),
    ]
    assert EI.EICurrentRange.MEMBERS["CR10_1mA"] == -7


def test_both_sides_name_the_same_ranges() -> None:
    """Driver and simulator, which know nothing of each other, give the same full scale to each member."""
    assert {name: full_A for full_A, name in MEMBERS.items()}.items() <= dict(FULL_SCALE_A).items()


@pytest.mark.parametrize("value", [1, True, 0, "On", EI.EIMode.Potentiostatic])
def test_enum_properties_refuse_everything_but_members(tmp_path: Path, value: Any) -> None:
    """Numbers, truths, texts and members of another enum are a TypeError, as in pythonnet 3."""
    instrument = connected(tmp_path)
    with pytest.raises(TypeError, match="cannot be converted to EcoChemie"):
        instrument.Ei.CellOnOff = value
    assert not instrument.Ei.Cell


def test_properties_cannot_be_made_up_nor_written_where_they_are_read_only(tmp_path: Path) -> None:
    """A misspelt property is an error, not a new attribute."""
    ei = connected(tmp_path).Ei
    with pytest.raises(AttributeError, match="no attribute"):
        ei.Setpont = 0.0
    with pytest.raises(AttributeError, match="read-only"):
        ei.Cell = True


@pytest.mark.parametrize("name", FULL_SCALE_A)
def test_ranges_are_taken_from_10_nA_to_20_A_and_refused_elsewhere(tmp_path: Path, name: str) -> None:
    """Without the low-current module nothing below 10 nA is taken; 10 A and 20 A oddly are."""
    ei = connected(tmp_path).Ei
    member = getattr(EI.EICurrentRange, name)
    if 1e-8 <= FULL_SCALE_A[name] <= 20.0:
        ei.CurrentRange = member
        assert ei.CurrentRange is member
    else:
        with pytest.raises(Exception, match=r"Invalid argument\. SetValue\(18,29,"):
            ei.CurrentRange = member


def test_command_lists_are_not_indexed_by_number(tmp_path: Path) -> None:
    """Commands are found by name or id, or by walking the list; parameters written read back to 1e-9."""
    bench = Bench(tmp_path)
    procedure = connected(tmp_path, bench).LoadProcedure(bench.link.path("procedures/FRA impedance potentiostatic.nox"))
    commands: Any = procedure.Commands
    with pytest.raises(TypeError, match="get_Item"):
        commands[0]
    assert len(list(commands)) == len(commands.Names) == len(commands.IdNames)
    parameter = commands["FHSetSetpointPotential"].CommandParameters["Setpoint value"]
    parameter.ValueAsObject = 0.123456789012
    again = commands["Set potential"].CommandParameters["Setpoint value"]
    assert again.ValueAsObject == pytest.approx(0.123456789012, abs=1e-9)


def connected(folder: Path, bench: Bench | None = None) -> Any:
    """Return a fresh instrument, connected."""
    bench = bench or Bench(folder)
    assert isinstance(bench.clock, VirtualClock)
    instrument: Any = bench.link.load().Instrument()
    instrument.AutolabConnection.EmbeddedExeFileToStart = "Adk.x"
    instrument.set_HardwareSetupFile("HardwareSetup.FRA32M.xml")
    instrument.Connect()
    return instrument
