"""``.nox`` files as NOVA keeps them: two .NET binary streams, a description and a tree of commands.

Written record by record after Microsoft's open specification [MS-NRBF]. The names of classes and members are those
found in files of NOVA 1.10; how that program orders the parameters of a command is not public, so the simulated
instrument keeps its own note of them in the description's remarks and reads that.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_LIBRARY = "EcoChemie.Shared100, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null"
_LIST = (
    "System.Collections.Generic.List`1[[System.Double, mscorlib, Version=2.0.0.0, Culture=neutral, "
    "PublicKeyToken=b77a5c561934e089]]"
)
_NOTE = "labctl-simulator:"
_YEAR_1_s = 62_135_596_800
_UTC = 1 << 62


class _Records:
    """One stream: objects are numbered as they come, strings stand where they are used."""

    def __init__(self, root: int) -> None:
        self._bytes = bytearray(struct.pack("<Biiii", 0, root, -1, 1, 0))
        self._bytes += b"\x0c" + struct.pack("<i", 2) + _text(_LIBRARY)
        self._next = 1000  # ids of strings, far above those of objects

    def begin(self, number: int, name: str, members: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Open a class of the library; `members` are name, coded type and its detail, values follow."""
        self._class(b"\x05", number, name, members)
        self._bytes += struct.pack("<i", 2)

    def begin_system(self, number: int, name: str, members: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Open a class of the runtime; values follow."""
        self._class(b"\x04", number, name, members)

    def _class(self, kind: bytes, number: int, name: str, members: Sequence[tuple[str, bytes, bytes]]) -> None:
        self._bytes += kind + struct.pack("<i", number) + _text(name) + struct.pack("<i", len(members))
        for member, _, _ in members:
            self._bytes += _text(member)
        self._bytes += b"".join(coded for _, coded, _ in members) + b"".join(detail for _, _, detail in members)

    def string(self, value: str) -> None:
        """Write a string where a member wants one."""
        self._bytes += b"\x06" + struct.pack("<i", self._next) + _text(value)
        self._next += 1

    def reference(self, number: int) -> None:
        """Point to an object."""
        self._bytes += b"\x09" + struct.pack("<i", number)

    def raw(self, form: str, value: float) -> None:
        """Write a primitive member."""
        self._bytes += struct.pack(form, value)

    def doubles(self, number: int, values: Sequence[float]) -> None:
        """Write an array of doubles."""
        self._bytes += b"\x0f" + struct.pack("<iiB", number, len(values), 6)
        self._bytes += struct.pack(f"<{len(values)}d", *values)

    def references(self, number: int, targets: Sequence[int]) -> None:
        """Write an array of objects."""
        self._bytes += b"\x10" + struct.pack("<ii", number, len(targets))
        for target in targets:
            self.reference(target)

    def done(self) -> bytes:
        """Return the stream, ended."""
        return bytes(self._bytes) + b"\x0b"


_STRING = (b"\x01", b"")
_OBJECT = (b"\x02", b"")
_INT = (b"\x00", b"\x08")
_TIME = (b"\x00", b"\x0d")


def write_nox(
    path: Path,
    *,
    name: str,
    serial: str,
    at_s: float,
    note: Mapping[str, Any],
    commands: Sequence[tuple[str, Mapping[str, tuple[str, Sequence[float]]]]],
) -> None:
    """Write a procedure with what its commands have recorded.

    Parameters
    ----------
    at_s : float
        Wall time [s since 1970 UTC] for both time stamps.
    note : mapping
        What the simulated instrument wants to find again.
    commands : sequence
        Name of each command, and its signals: name to (unit, values).
    """
    path.write_bytes(_description(name, serial, at_s, note) + _tree(commands))


def read_note(path: Path) -> dict[str, Any]:
    """Return the simulated instrument's own note in a file it wrote.

    Raises
    ------
    ValueError
        There is none.
    """
    data = path.read_bytes()
    at = data.find(_NOTE.encode("ascii"))
    if at < 0:
        raise ValueError("no procedure of this instrument")
    text = data[at + len(_NOTE) :].decode("utf-8", errors="replace")
    note: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return note


def _description(name: str, serial: str, at_s: float, note: Mapping[str, Any]) -> bytes:
    records = _Records(root=1)
    records.begin(
        1,
        "EcoChemie.Shared100.ProcedureDescription",
        [
            ("_text", *_STRING),
            ("_instrument", *_STRING),
            ("_timeStamp", *_TIME),
            ("_modifiedTimeStamp", *_TIME),
            ("_remarks", *_STRING),
        ],
    )
    records.string(name)
    records.string(serial)
    ticks = round((at_s + _YEAR_1_s) * 10_000_000) | _UTC
    records.raw("<Q", ticks)
    records.raw("<Q", ticks)
    records.string(_NOTE + json.dumps(note, separators=(",", ":")))
    return records.done()


def _tree(commands: Sequence[tuple[str, Mapping[str, tuple[str, Sequence[float]]]]]) -> bytes:
    records = _Records(root=1)
    numbers = range(3, 3 + len(commands))
    records.references(1, numbers)
    free = 3 + len(commands)
    for number, (name, signals) in zip(numbers, commands, strict=True):
        records.begin(number, "EcoChemie.Shared100.FunctionHandler", [("FunctionHandler+_name", *_STRING)])
        records.string(name)
        for signal, (unit, values) in signals.items():
            _signal(records, free, number, signal, unit, values)
            free += 3
    return records.done()


def _signal(records: _Records, number: int, owner: int, name: str, unit: str, values: Sequence[float]) -> None:
    records.begin(
        number,
        "EcoChemie.Shared100.CommandParameterDataArray",
        [
            ("CommandParameter+_name", *_STRING),
            ("CommandParameter+_unit", *_STRING),
            ("CommandParameter+_parent", *_OBJECT),
            ("_parameter", *_OBJECT),
        ],
    )
    records.string(name)
    records.string(unit)
    records.reference(owner)
    records.reference(number + 1)
    records.begin_system(number + 1, _LIST, [("_items", b"\x07", b"\x06"), ("_size", *_INT), ("_version", *_INT)])
    records.reference(number + 2)
    records.raw("<i", len(values))
    records.raw("<i", len(values))
    records.doubles(number + 2, values)


def _text(value: str) -> bytes:
    """Return a length-prefixed string: seven bits a byte, lowest first."""
    data = value.encode("utf-8")
    length, prefix = len(data), bytearray()
    while True:
        prefix.append((length & 0x7F) | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(prefix) + data
