"""The records of a .NET binary stream (MS-NRBF), walked as data: no type is loaded and nothing is executed.

NOVA keeps procedures and results in such streams. The walker follows Microsoft's open specification
([MS-NRBF] 2.1 to 2.6) and turns every record into plain Python: objects into `NrbfObject`, arrays into lists,
references into `Reference`. What an object *means* is decided elsewhere, by its member names.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 60
"""Objects stand beside each other in a stream; only structures and strings nest. Deeper is not NOVA's writing."""

_FIXED: dict[int, tuple[str, int]] = {
    1: ("<?", 1),
    2: ("<B", 1),
    6: ("<d", 8),
    7: ("<h", 2),
    8: ("<i", 4),
    9: ("<q", 8),
    10: ("<b", 1),
    11: ("<f", 4),
    12: ("<q", 8),  # TimeSpan, 100 ns
    13: ("<Q", 8),  # DateTime, 100 ns since year 1 with two kind bits on top
    14: ("<H", 2),
    15: ("<I", 4),
    16: ("<Q", 8),
}


class NrbfError(ValueError):
    """The bytes are no such stream, or it ends early; `offset` says where."""

    def __init__(self, what: str, offset: int) -> None:
        self.offset = offset
        super().__init__(f"{what} at byte {offset}")


@dataclass(frozen=True, slots=True)
class Reference:
    """A member that points to another object of the stream by its id."""

    id: int


@dataclass(slots=True, eq=False)
class NrbfObject:
    """An object as it was stored: the name of its class and its members by name."""

    type_name: str
    members: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Stream:
    """One stream: objects by id, the id of the root, and where the next stream begins."""

    objects: dict[int, Any]
    root: int
    end: int

    def resolve(self, value: Any) -> Any:
        """Return what a member holds, following references (None where the target is missing)."""
        for _ in range(MAX_DEPTH):
            if not isinstance(value, Reference):
                return value
            value = self.objects.get(value.id)
        return None


@dataclass(frozen=True, slots=True)
class _Layout:
    """Members of a class in stored order: name, how its type is coded, and the type's detail."""

    type_name: str
    members: tuple[tuple[str, int | None, int | None], ...]


@dataclass(frozen=True, slots=True)
class _Nulls:
    count: int


class _End:
    """The end of the stream."""


def read_stream(data: bytes, offset: int = 0) -> Stream:
    """Return the stream that begins at `offset`.

    Raises
    ------
    NrbfError
        A record of an unknown kind, a number of elements that the file cannot hold, or an early end.
    """
    return _Walker(data, offset).walk()


class _Walker:
    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.at = offset
        self.objects: dict[int, Any] = {}
        self.layouts: dict[int, _Layout] = {}

    def walk(self) -> Stream:
        if self.take("<B", 1) != 0:
            raise NrbfError("no stream header", self.at - 1)
        root = int(self.take("<i", 4))
        self.at += 4  # header id, unused here
        if (self.take("<i", 4), self.take("<i", 4)) != (1, 0):
            raise NrbfError("not version 1.0 of the format", self.at - 8)
        while not isinstance(self.record(0), _End):
            pass
        return Stream(self.objects, root, self.at)

    # ------------------------------------------------------------------------------------------------ primitives

    def take(self, form: str, size: int) -> Any:
        if self.at + size > len(self.data):
            raise NrbfError("the stream ends early", len(self.data))
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += size
        return value

    def text(self) -> str:
        size, shift = 0, 0
        while True:
            part = self.take("<B", 1)
            size |= (part & 0x7F) << shift
            if not part & 0x80:
                break
            shift += 7
            if shift > 28:
                raise NrbfError("a string of impossible length", self.at)
        if self.at + size > len(self.data):
            raise NrbfError("a string longer than the file", self.at)
        raw = self.data[self.at : self.at + size]
        self.at += size
        return raw.decode("utf-8", errors="replace")

    def count(self, element_bytes: int = 1) -> int:
        """Read a length; one that the rest of the file cannot hold is refused before anything is allocated."""
        value = int(self.take("<i", 4))
        if value < 0 or value * element_bytes > len(self.data) - self.at:
            raise NrbfError(f"{value} elements cannot follow", self.at - 4)
        return value

    def primitive(self, code: int) -> Any:
        if code in _FIXED:
            return self.take(*_FIXED[code])
        if code == 3:  # Char: one UTF-8 character
            first = self.data[self.at] if self.at < len(self.data) else 0
            size = 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)
            raw = self.data[self.at : self.at + size]
            self.at += size
            return raw.decode("utf-8", errors="replace")
        if code in {5, 18}:  # Decimal is stored as text
            return self.text()
        raise NrbfError(f"unknown primitive type {code}", self.at)

    def primitives(self, code: int, count: int) -> list[Any]:
        if code in _FIXED:
            form, size = _FIXED[code]
            if count * size > len(self.data) - self.at:
                raise NrbfError(f"{count} elements cannot follow", self.at)
            values = struct.unpack_from(f"<{count}{form[1]}", self.data, self.at)
            self.at += count * size
            return list(values)
        return [self.primitive(code) for _ in range(count)]

    # --------------------------------------------------------------------------------------------------- records

    def record(self, depth: int) -> Any:
        """Read one record and return its value (libraries are skipped on the way)."""
        if depth > MAX_DEPTH:
            raise NrbfError("records nested too deep", self.at)
        kind = self.take("<B", 1)
        while kind == 12:  # BinaryLibrary: id and name
            self.at += 4
            self.text()
            kind = self.take("<B", 1)
        reader = self._READERS.get(kind)
        if reader is None:
            raise NrbfError(f"unknown record type {kind}", self.at - 1)
        return reader(self, depth)

    def by_metadata_id(self, depth: int) -> NrbfObject:
        ident, known = int(self.take("<i", 4)), int(self.take("<i", 4))
        layout = self.layouts.get(known)
        if layout is None:
            raise NrbfError(f"class {known} was never described", self.at - 4)
        return self.filled(ident, layout, depth)

    def class_record(self, depth: int, *, typed: bool, library: bool) -> NrbfObject:
        ident = int(self.take("<i", 4))
        type_name = self.text()
        names = [self.text() for _ in range(self.count())]
        codes: list[tuple[int | None, int | None]] = [(None, None)] * len(names)
        if typed:
            kinds = [int(self.take("<B", 1)) for _ in names]
            codes = [(kind, self.detail(kind)) for kind in kinds]
        if library:
            self.at += 4
        members = tuple((name, kind, detail) for name, (kind, detail) in zip(names, codes, strict=True))
        layout = _Layout(type_name, members)
        self.layouts[ident] = layout
        return self.filled(ident, layout, depth)

    def detail(self, kind: int) -> int | None:
        """Read what stands behind a member's type code: the primitive's code; names of classes are dropped."""
        if kind in {0, 7}:
            return int(self.take("<B", 1))
        if kind == 3:
            self.text()
        elif kind == 4:
            self.text()
            self.at += 4
        elif kind not in {1, 2, 5, 6}:
            raise NrbfError(f"unknown member type {kind}", self.at)
        return None

    def filled(self, ident: int, layout: _Layout, depth: int) -> NrbfObject:
        made = NrbfObject(layout.type_name)
        self.objects[ident] = made
        for name, kind, detail in layout.members:
            made.members[name] = self.primitive(detail) if kind == 0 and detail is not None else self.value(depth)
        return made

    def value(self, depth: int) -> Any:
        found = self.record(depth + 1)
        if isinstance(found, _End):
            raise NrbfError("the stream ends inside an object", self.at)
        return None if isinstance(found, _Nulls) else found

    def string(self, _depth: int) -> str:
        ident = int(self.take("<i", 4))
        self.objects[ident] = text = self.text()
        return text

    def primitive_array(self, _depth: int) -> list[Any]:
        ident = int(self.take("<i", 4))
        count = self.count()
        self.objects[ident] = values = self.primitives(int(self.take("<B", 1)), count)
        return values

    def object_array(self, depth: int) -> list[Any]:
        ident = int(self.take("<i", 4))
        return self.elements(ident, self.element_count(), depth)

    def binary_array(self, depth: int) -> list[Any]:
        ident = int(self.take("<i", 4))
        shape = int(self.take("<B", 1))
        rank = self.count(4)
        count = 1
        for _ in range(rank):
            count *= self.element_count()
            if count > len(self.data) * 256:
                raise NrbfError("an array larger than the file", self.at)
        if shape in {3, 4, 5}:  # with lower bounds
            self.at += 4 * rank
        kind = int(self.take("<B", 1))
        detail = self.detail(kind)
        if kind == 0 and detail is not None:
            self.objects[ident] = values = self.primitives(detail, count)
            return values
        return self.elements(ident, count, depth)

    def element_count(self) -> int:
        """Read a number of elements that may be nulls, of which one byte can stand for 255 or more."""
        value = int(self.take("<i", 4))
        if value < 0 or value > 64 * len(self.data):
            raise NrbfError(f"{value} elements cannot follow", self.at - 4)
        return value

    def elements(self, ident: int, count: int, depth: int) -> list[Any]:
        values: list[Any] = []
        self.objects[ident] = values
        while len(values) < count:
            found = self.record(depth + 1)
            if isinstance(found, _End):
                raise NrbfError("the stream ends inside an array", self.at)
            if isinstance(found, _Nulls):
                values.extend([None] * min(found.count, count - len(values)))
            else:
                values.append(found)
        return values

    def boxed(self, _depth: int) -> Any:
        return self.primitive(int(self.take("<B", 1)))

    def reference(self, _depth: int) -> Reference:
        return Reference(int(self.take("<i", 4)))

    def nulls(self, form: str, size: int) -> _Nulls:
        count = int(self.take(form, size))
        if count < 1:
            raise NrbfError("a run of no nulls", self.at)
        return _Nulls(count)

    _READERS: dict[int, Callable[[_Walker, int], Any]] = {  # noqa: RUF012 - a table, never changed
        1: by_metadata_id,
        2: lambda self, depth: self.class_record(depth, typed=False, library=False),
        3: lambda self, depth: self.class_record(depth, typed=False, library=True),
        4: lambda self, depth: self.class_record(depth, typed=True, library=False),
        5: lambda self, depth: self.class_record(depth, typed=True, library=True),
        6: string,
        7: binary_array,
        8: boxed,
        9: reference,
        10: lambda _self, _depth: _Nulls(1),
        11: lambda _self, _depth: _End(),
        13: lambda self, _depth: self.nulls("<B", 1),
        14: lambda self, _depth: self.nulls("<i", 4),
        15: primitive_array,
        16: object_array,
        17: object_array,
    }
