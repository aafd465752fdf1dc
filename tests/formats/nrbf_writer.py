"""A small writer of .NET binary streams, from the open specification, for tests of the walker."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

HEADER = struct.pack("<Biiii", 0, 1, -1, 1, 0)
END = b"\x0b"
LIBRARY = 2


def text(value: str) -> bytes:
    """Length-prefixed UTF-8."""
    raw = value.encode("utf-8")
    size, prefix = len(raw), b""
    while size > 0x7F:
        prefix += bytes([size & 0x7F | 0x80])
        size >>= 7
    return prefix + bytes([size]) + raw


def library(name: str) -> bytes:
    """A library record, as classes of NOVA name one."""
    return b"\x0c" + struct.pack("<i", LIBRARY) + text(name)


def string(ident: int, value: str) -> bytes:
    """A string record."""
    return b"\x06" + struct.pack("<i", ident) + text(value)


def reference(ident: int) -> bytes:
    """A reference to an object."""
    return b"\x09" + struct.pack("<i", ident)


def doubles(ident: int, values: list[float]) -> bytes:
    """An array of doubles."""
    return b"\x0f" + struct.pack("<ii", ident, len(values)) + b"\x06" + struct.pack(f"<{len(values)}d", *values)


def instance(ident: int, type_name: str, members: Mapping[str, Any]) -> bytes:
    """An object with its class: bytes are records in place, integers are stored in place."""
    names = b"".join(text(name) for name in members)
    kinds = bytes(0 if isinstance(value, int) else 2 for value in members.values())
    details = b"\x08" * sum(isinstance(value, int) for value in members.values())
    values = b"".join(struct.pack("<i", one) if isinstance(one, int) else one for one in members.values())
    head = struct.pack("<i", ident) + text(type_name) + struct.pack("<i", len(members)) + names
    return b"\x05" + head + kinds + details + struct.pack("<i", LIBRARY) + values


def recorded(signals: Mapping[str, tuple[str, list[float]]]) -> bytes:
    """A NOVA-like file: a command that recorded signals (name to unit and values)."""
    command = instance(
        1,
        "EcoChemie.Autolab.Commands.FIAMeasPotentiostatic",
        {"FunctionHandler+_name": string(2, "FIAMeasPotentiostatic")},
    )
    body, ident = command, 10
    for name, (unit, values) in signals.items():
        values_object = {"_items": reference(ident + 2), "_size": len(values), "_version": 1}
        parameter = {"_value": reference(ident + 1)}
        members = {
            "_parameter": reference(ident + 3),
            "CommandParameter+_name": string(ident + 4, name),
            "CommandParameter+_unit": string(ident + 5, unit),
            "CommandParameter+_parent": reference(1),
        }
        body += instance(ident, "EcoChemie.Utils.Sequencer.CommandParameterDataArray", members)
        body += instance(ident + 1, "System.Collections.Generic.List`1[[System.Double]]", values_object)
        body += doubles(ident + 2, [*values, 0.0, 0.0])  # a list keeps room beyond its size
        body += instance(ident + 3, "EcoChemie.Utils.Sequencer.ParameterObject", parameter)
        ident += 10
    return HEADER + library("EcoChemie100, Version=10.0") + body + END
