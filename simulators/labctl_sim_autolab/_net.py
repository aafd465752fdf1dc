"""What objects of .NET look like from Python: enums that refuse numbers, properties that cannot be made up.

Names and members of the enums are those of SDK 2.1 by reflection.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from labctl_sim_autolab._ranges import FULL_SCALE_A


class SdkError(Exception):
    """What .NET throws through pythonnet: a message, and nothing to tell its kind by."""


class NetEnum:
    """A member of a .NET enum. Members are attributes of the type, and reachable through any member."""

    MEMBERS: ClassVar[dict[str, int]] = {}

    def __init__(self, name: str, value: int) -> None:
        self._name = name
        self._value = value

    def __init_subclass__(cls) -> None:
        for name, value in cls.MEMBERS.items():
            setattr(cls, name, cls(name, value))

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self._name}: {self._value}>"

    def __int__(self) -> int:
        return self._value

    def ToString(self) -> str:
        """As .NET has it."""
        return self._name


EnumType = TypeVar("EnumType", bound=NetEnum)


def member(kind: type[EnumType], value: object) -> EnumType:
    """Return `value`, a member of `kind`.

    Raises
    ------
    TypeError
        It is anything else: a number, a text, a member of another enum. pythonnet 3 no longer converts.
    """
    if isinstance(value, kind):
        return value
    raise TypeError(f"'{type(value).__name__}' value cannot be converted to EcoChemie.Autolab.Sdk.{kind.__qualname__}")


def named(kind: type[EnumType], name: str) -> EnumType:
    """Return the member of that name."""
    found = getattr(kind, name)
    assert isinstance(found, kind)
    return found


class NetObject:
    """An object with the properties its class declares, and no others."""

    def __setattr__(self, name: str, value: Any) -> None:
        declared = getattr(type(self), name, None)
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        elif isinstance(declared, property):
            if declared.fset is None:
                raise AttributeError(f"property {name!r} of {type(self).__name__!r} object is read-only")
            declared.fset(self, value)
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def ToString(self) -> str:
        """As .NET has it."""
        return f"EcoChemie.Autolab.Sdk.{type(self).__name__}"


class EI:
    """Holds the enums of the potentiostat."""

    class EICellOnOff(NetEnum):
        """State of the cell relay."""

        MEMBERS: ClassVar[dict[str, int]] = {"Off": 0, "On": 1}
        On: ClassVar[EI.EICellOnOff]
        Off: ClassVar[EI.EICellOnOff]

    class EIMode(NetEnum):
        """What is held constant."""

        MEMBERS: ClassVar[dict[str, int]] = {"Potentiostatic": 0, "Galvanostatic": 1}
        Potentiostatic: ClassVar[EI.EIMode]
        Galvanostatic: ClassVar[EI.EIMode]

    class EIBandwidth(NetEnum):
        """How fast the control amplifier is."""

        MEMBERS: ClassVar[dict[str, int]] = {"High_Stability": 0, "High_Speed": 1, "UltraHigh_Speed": 2}
        High_Stability: ClassVar[EI.EIBandwidth]
        High_Speed: ClassVar[EI.EIBandwidth]
        UltraHigh_Speed: ClassVar[EI.EIBandwidth]

    class EICurrentRange(NetEnum):
        """Current ranges, from CR00_1000A to CR19_1pA."""

        MEMBERS: ClassVar[dict[str, int]] = {name: 3 - number for number, name in enumerate(FULL_SCALE_A)}


class FraWaveType(NetEnum):
    """Signals of the analyser's generator."""

    MEMBERS: ClassVar[dict[str, int]] = {"Sine": 0, "FiveSines": 1, "FifteenSines": 2}
    Sine: ClassVar[FraWaveType]
