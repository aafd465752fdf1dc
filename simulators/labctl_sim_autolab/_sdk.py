"""The vendor's object model over the simulated instrument: Instrument, Ei, Fra, Sampler, and the FRA switches.

Properties, methods and their spelling are those of SDK 2.1 by reflection on a PGSTAT302N; what is not there is not
there either: no Procedure, Abort or IsMeasuring on Instrument.
"""

from __future__ import annotations

import math
from pathlib import Path

from labctl_sim_autolab._commands import Procedure
from labctl_sim_autolab._device import FLAG_s, Potentiostat
from labctl_sim_autolab._net import EI, FraWaveType, NetObject, SdkError, member, named
from labctl_sim_autolab._ranges import ACCEPTED

SIGNALS = (
    "External(1).External 1",
    "External(1).External 2",
    "WE(1).Potential",
    "WE(1).Current",
    "WE(1).Power",
    "WE(1).Resistance",
    "WE(1).Charge",
)


class AutolabConnection(NetObject):
    """The line to the instrument."""

    def __init__(self, device: Potentiostat) -> None:
        self._device = device
        self._address = 0
        self._embedded = ""

    @property
    def DeviceAddress(self) -> int:
        return self._address

    @DeviceAddress.setter
    def DeviceAddress(self, value: int) -> None:
        self._address = value

    @property
    def EmbeddedExeFileToStart(self) -> str:
        """Adk.x, started on the instrument."""
        return self._embedded

    @EmbeddedExeFileToStart.setter
    def EmbeddedExeFileToStart(self, value: str) -> None:
        self._embedded = value

    @property
    def IsConnected(self) -> bool:
        return self._device.is_connected()


class Signal(NetObject):
    """One signal of the sampler, as its last sample has it."""

    def __init__(self, name: str, value: float) -> None:
        self._name = name
        self._value = value

    @property
    def Name(self) -> str:
        return self._name

    @property
    def Value(self) -> float:
        return self._value


class Sampler(NetObject):
    """Takes samples of 25 ms."""

    def __init__(self, device: Potentiostat) -> None:
        self._device = device

    @property
    def GetSignals(self) -> tuple[str, ...]:
        return SIGNALS

    def Sample(self) -> None:
        """Take a sample; everything that is read of it keeps its value until the next."""
        self._device.sample()

    def Reset(self) -> None:
        """Nothing that can be seen."""
        self._device.touch()

    def Release(self) -> None:
        """Nothing that can be seen."""
        self._device.touch()

    def Contains(self, name: str) -> bool:
        """Whether there is such a signal."""
        return name in SIGNALS

    def GetSignal(self, name: str) -> Signal:
        """Return a signal by name."""
        self._device.touch()
        front = self._device.front
        V, A = front.potential_V, front.current_A
        known = {"WE(1).Potential": V, "WE(1).Current": A, "WE(1).Power": V * A}
        known["WE(1).Resistance"] = V / A if A else math.inf
        if name not in SIGNALS:
            raise SdkError(f"Signal {name} not found")
        return Signal(name, known.get(name, 0.0))


class Ei(NetObject, EI):
    """The potentiostat."""

    def __init__(self, device: Potentiostat) -> None:
        self._device = device
        self._sampler = Sampler(device)

    @property
    def Bandwidth(self) -> EI.EIBandwidth:
        self._device.touch()
        return named(EI.EIBandwidth, self._device.front.bandwidth)

    @Bandwidth.setter
    def Bandwidth(self, value: EI.EIBandwidth) -> None:
        self._device.touch()
        self._device.front.bandwidth = str(member(EI.EIBandwidth, value))

    @property
    def Cell(self) -> bool:
        """The cell relay, read back."""
        self._device.touch()
        return self._device.front.cell_on

    @property
    def CellOnOff(self) -> EI.EICellOnOff:
        return EI.EICellOnOff.On if self.Cell else EI.EICellOnOff.Off

    @CellOnOff.setter
    def CellOnOff(self, value: EI.EICellOnOff) -> None:
        self._device.touch()
        self._device.switch_cell(member(EI.EICellOnOff, value) is EI.EICellOnOff.On)

    @property
    def Current(self) -> float:
        """Of the last sample [A]."""
        self._device.touch()
        return self._device.front.current_A

    @property
    def CurrentOverload(self) -> bool:
        """Of the last sample."""
        self._device.touch()
        self._device.spend(FLAG_s)
        return self._device.front.current_overload

    @property
    def CurrentRange(self) -> EI.EICurrentRange:
        self._device.touch()
        return named(EI.EICurrentRange, self._device.front.range)

    @CurrentRange.setter
    def CurrentRange(self, value: EI.EICurrentRange) -> None:
        self._device.touch()
        name = str(member(EI.EICurrentRange, value))
        if name not in ACCEPTED:
            raise SdkError(f"Invalid argument. SetValue(18,29,{int(value)})")
        self._device.front.range = name

    @property
    def EnableDsgInput(self) -> bool:
        """The relay that lets the generator's signal through."""
        self._device.touch()
        return self._device.front.dsg_on

    @EnableDsgInput.setter
    def EnableDsgInput(self, value: bool) -> None:
        self._device.touch()
        self._device.front.dsg_on = bool(value)
        self._device.save()

    @property
    def EiStatusSupportedFor(self) -> tuple[str, ...]:
        return ("PGSTAT302N",)

    @property
    def IRCompensation(self) -> bool:
        self._device.touch()
        return False

    @property
    def IRCompensationValue(self) -> float:
        self._device.touch()
        return 0.0

    @property
    def ManualCellSwitch(self) -> bool:
        self._device.touch()
        return True

    @property
    def Mode(self) -> EI.EIMode:
        self._device.touch()
        return named(EI.EIMode, self._device.front.mode)

    @Mode.setter
    def Mode(self, value: EI.EIMode) -> None:
        self._device.touch()
        if member(EI.EIMode, value) is not EI.EIMode.Potentiostatic:
            raise SdkError("the simulated instrument is a potentiostat only")
        self._device.front.mode = str(value)

    @property
    def Oscillation(self) -> bool:
        self._device.touch()
        return False

    @property
    def Potential(self) -> float:
        """Of the last sample [V]."""
        self._device.touch()
        return self._device.front.potential_V

    @property
    def PotentialApplied(self) -> float:
        self._device.touch()
        return self._device.front.setpoint_V

    @property
    def PotentialOverload(self) -> bool:
        """Of the last sample."""
        self._device.touch()
        self._device.spend(FLAG_s)
        return self._device.front.potential_overload

    @property
    def Sampler(self) -> Sampler:
        return self._sampler

    @property
    def Setpoint(self) -> float:
        """Potential between WE and RE while the cell is on [V]."""
        self._device.touch()
        return self._device.front.setpoint_V

    @Setpoint.setter
    def Setpoint(self, value: float) -> None:
        self._device.touch()
        if not -10.0 <= value <= 10.0:
            raise SdkError("Invalid argument. Setpoint out of range")
        self._device.front.setpoint_V = float(value)

    @property
    def TemperatureOverload(self) -> bool:
        self._device.touch()
        return False


class FraManualControlCommand(NetObject):
    """The frequency response analyser under manual control."""

    def __init__(self, device: Potentiostat) -> None:
        self._device = device

    @property
    def Amplitude(self) -> float:
        """In volt; rms or peak, nobody says."""
        self._device.touch()
        return self._device.front.amplitude

    @Amplitude.setter
    def Amplitude(self, value: float) -> None:
        self._device.touch()
        if not 0.0 < value <= 0.35:
            raise SdkError("Invalid argument. Amplitude out of range")
        self._device.front.amplitude = float(value)

    @property
    def Frequency(self) -> float:
        self._device.touch()
        return self._device.front.frequency_Hz

    @Frequency.setter
    def Frequency(self, value: float) -> None:
        self._device.touch()
        if not 1e-5 <= value <= 1e6:
            raise SdkError("Invalid argument. Frequency out of range")
        self._device.front.frequency_Hz = float(value)

    @property
    def MinimumIntegrationCycles(self) -> int:
        self._device.touch()
        return self._device.front.cycles

    @MinimumIntegrationCycles.setter
    def MinimumIntegrationCycles(self, value: int) -> None:
        self._device.touch()
        if not isinstance(value, int):
            raise TypeError(f"'{type(value).__name__}' value cannot be converted to System.Int32")
        self._device.front.cycles = value

    @property
    def MinimumIntegrationTime(self) -> float:
        self._device.touch()
        return self._device.front.integration_s

    @MinimumIntegrationTime.setter
    def MinimumIntegrationTime(self, value: float) -> None:
        self._device.touch()
        self._device.front.integration_s = float(value)

    @property
    def WaveType(self) -> FraWaveType:
        self._device.touch()
        return FraWaveType.Sine

    @WaveType.setter
    def WaveType(self, value: FraWaveType) -> None:
        self._device.touch()
        if member(FraWaveType, value) is not FraWaveType.Sine:
            raise SdkError("the simulated generator makes sines only")

    @property
    def Real(self) -> list[float]:
        return [self._point()[0]]

    @property
    def Imaginary(self) -> list[float]:
        """Its sign is the rig's secret."""
        return [self._sign() * self._point()[1]]

    @property
    def Modulus(self) -> list[float]:
        return [math.hypot(*self._point())]

    @property
    def Phase(self) -> list[float]:
        """In degrees, with the sign of Imaginary."""
        real, imaginary = self._point()
        return [math.degrees(math.atan2(self._sign() * imaginary, real))]

    @property
    def TimeData(self) -> list[float]:
        self._device.touch()
        return [self._device.front.point_s - self._device.born_s]

    def Start(self) -> None:
        """Measure one point; returns when that is done."""
        self._device.start_fra()

    def Finalize(self) -> None:
        """Nothing that can be seen."""
        self._device.touch()

    def _sign(self) -> float:
        return -1.0 if self._device.settings.imaginary == "-Z''" else 1.0

    def _point(self) -> tuple[float, float]:
        self._device.touch()
        if self._device.front.point is None:
            raise SdkError("Index was outside the bounds of the array.")
        return self._device.front.point


class Module(NetObject):
    """A part of the instrument that this simulator has no use for."""


class Instrument(NetObject):
    """One Autolab."""

    def __init__(self, device: Potentiostat) -> None:
        self._device = device
        self._connection = AutolabConnection(device)
        self._setup = ""
        self._ei = Ei(device)
        self._fra = FraManualControlCommand(device)

    @property
    def Adc(self) -> Module:
        return Module()

    @property
    def AutolabConnection(self) -> AutolabConnection:
        return self._connection

    @property
    def BAModule(self) -> Module:
        return Module()

    @property
    def Dac(self) -> Module:
        return Module()

    @property
    def Dio(self) -> Module:
        return Module()

    @property
    def Ei(self) -> Ei:
        return self._ei

    @property
    def Fra(self) -> FraManualControlCommand:
        return self._fra

    @property
    def GetSignals(self) -> tuple[str, ...]:
        return SIGNALS

    @property
    def HardwareSetupFile(self) -> str:
        """XML that says which modules are in the instrument."""
        return self._setup

    @HardwareSetupFile.setter
    def HardwareSetupFile(self, value: str) -> None:
        self._setup = value

    @property
    def Mux(self) -> Module:
        return Module()

    def set_HardwareSetupFile(self, value: str) -> None:
        """As the property."""
        self._setup = value

    def Connect(self) -> None:
        """Take the instrument over USB."""
        if not self._connection.EmbeddedExeFileToStart.lower().endswith((".x", ".bin")):
            raise SdkError("EmbeddedExeFileToStart: file not found")
        if not self._setup.lower().endswith(".xml"):
            raise SdkError("HardwareSetupFile: file not found")
        self._device.connect()

    def Disconnect(self) -> None:
        """Let the instrument go; its relays stay as they are."""
        self._device.live()
        self._device.front.connected = False
        self._device.save()

    def Dispose(self) -> None:
        """As Disconnect."""
        self.Disconnect()

    def CreateSampler(self) -> Sampler:
        """Return another sampler."""
        return Sampler(self._device)

    def CreateVirtualInstrument(self) -> Module:
        """Nothing that this simulator has."""
        return Module()

    def Register(self) -> None:
        """Nothing that can be seen."""

    def GetFraModule(self) -> FraManualControlCommand:
        """Return the analyser."""
        return self._fra

    def GetSignal(self, name: str) -> Signal:
        """Return a signal by name."""
        return self._ei.Sampler.GetSignal(name)

    def LoadProcedure(self, path: str) -> Procedure:
        """Return a procedure (an IProcedure); it runs once."""
        return Procedure.load(self._device, Path(path))


class InstrumentExtensions:
    """Static helpers of the Extensions assembly."""

    @staticmethod
    def HasFraModule(instrument: Instrument) -> bool:
        """Whether there is an analyser."""
        instrument._device.touch()  # noqa: SLF001 - one object model in two assemblies
        return True

    @staticmethod
    def GetSerialNumber(instrument: Instrument) -> str:
        """Return the instrument's name."""
        instrument._device.touch()  # noqa: SLF001 - as above
        return "AUT80000"

    @staticmethod
    def SwitchFraOn(instrument: Instrument) -> None:
        """Connect the analyser."""
        instrument._device.touch()  # noqa: SLF001 - as above
        instrument._device.front.fra_on = True  # noqa: SLF001 - as above

    @staticmethod
    def SwitchFraOff(instrument: Instrument) -> None:
        """Disconnect the analyser."""
        instrument._device.touch()  # noqa: SLF001 - as above
        instrument._device.front.fra_on = False  # noqa: SLF001 - as above
