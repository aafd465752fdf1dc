"""What of the vendor's SDK this driver uses, as types. Names are those of SDK 2.1, read by reflection from a 302N.

Members of .NET enums are `Any`: pythonnet 3 wants members, never numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Sampler(Protocol):
    """Takes one sample of 25 ms, which Current, Potential and the overload flags hold until the next."""

    def Sample(self) -> None: ...


class Ei(Protocol):
    """The potentiostat."""

    Bandwidth: Any
    CellOnOff: Any
    CurrentRange: Any
    EnableDsgInput: Any
    Mode: Any
    Setpoint: Any

    @property
    def Cell(self) -> bool: ...
    @property
    def Current(self) -> float: ...
    @property
    def CurrentOverload(self) -> bool: ...
    @property
    def Potential(self) -> float: ...
    @property
    def PotentialOverload(self) -> bool: ...
    @property
    def Sampler(self) -> Sampler: ...


class Fra(Protocol):
    """The analyser under manual control."""

    Amplitude: Any
    Frequency: Any
    MinimumIntegrationCycles: Any
    MinimumIntegrationTime: Any
    WaveType: Any

    @property
    def Imaginary(self) -> Sequence[float]: ...
    @property
    def Modulus(self) -> Sequence[float]: ...
    @property
    def Real(self) -> Sequence[float]: ...
    def Start(self) -> None: ...


class Connection(Protocol):
    """The line to the instrument."""

    EmbeddedExeFileToStart: Any

    @property
    def IsConnected(self) -> bool: ...


class Parameter(Protocol):
    """A parameter or signal of a command."""

    ValueAsObject: Any


class Named(Protocol):
    """A list of the SDK: by name or id, iterable, not by number."""

    @property
    def IdNames(self) -> Sequence[str]: ...
    @property
    def Names(self) -> Sequence[str]: ...
    def __iter__(self) -> Any: ...
    def __getitem__(self, key: str, /) -> Any: ...


class Procedure(Protocol):
    """A loaded procedure; runs once."""

    @property
    def Commands(self) -> Named: ...
    @property
    def FraCommands(self) -> Named: ...
    @property
    def IsMeasuring(self) -> bool: ...
    def Abort(self) -> None: ...
    def Measure(self) -> None: ...
    def SaveAs(self, path: str, /) -> None: ...


class Instrument(Protocol):
    """One Autolab."""

    @property
    def AutolabConnection(self) -> Connection: ...
    @property
    def Ei(self) -> Ei: ...
    @property
    def Fra(self) -> Fra: ...
    def set_HardwareSetupFile(self, path: str, /) -> None: ...
    def Connect(self) -> None: ...
    def Disconnect(self) -> None: ...
    def LoadProcedure(self, path: str, /) -> Procedure: ...


class Extensions(Protocol):
    """Static helpers of the Extensions assembly."""

    def SwitchFraOn(self, instrument: Any, /) -> None: ...
    def SwitchFraOff(self, instrument: Any, /) -> None: ...


class Sdk(Protocol):
    """What importing the two assemblies gives."""

    @property
    def EI(self) -> Any:
        """Holds the enums EICellOnOff, EIMode, EIBandwidth and EICurrentRange."""
        ...

    @property
    def InstrumentExtensions(self) -> Extensions: ...

    def Instrument(self) -> Instrument:
        """Make an object for an instrument, not yet connected."""
        ...


def first(values: Iterable[Any]) -> float:
    """Return the first number of an array property."""
    return float(next(iter(values)))
