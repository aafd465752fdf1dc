"""C types and values: what a cell may hold, how arithmetic behaves, how text stands in a buffer.

A scalar is a Python int or float, or None while unset. An array is a list of cells (None: unset); a ``char`` array is
a list of bytes 0..255 (-1: unset). A pointer is ``(cells, offset)``, NULL is 0; the cells of a literal are ``bytes``,
which nothing can write to. So a program's whole memory is lists and numbers, and can be written down at any pause.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["void", "int", "char", "size", "time", "float", "double", "file", "pointer", "array"]
Elem = Literal["", "char", "int", "float", "double", "text"]

Cells = list[Any]
Ev = Callable[[Cells, Cells], Any]
"""A compiled expression: from the function's own cells and the program's global cells to a value."""
Store = Callable[[Cells, Cells, Any], None]

INT_MIN, INT_MAX = -(2**31), 2**31 - 1
UNSET_CHAR = -1
MAX_CELLS = 1 << 20


class Fault(Exception):
    """The running program did what C leaves undefined; the machine adds file and line."""

    def __init__(self, what: str, *, value: str = "", expected: str = "") -> None:
        self.what = what
        self.value = value
        self.expected = expected
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class CType:
    """A type of the subset; ``elem`` is what a pointer points at or an array holds (``text``: a ``char *``)."""

    kind: Kind
    elem: Elem = ""
    size: int = 0
    readonly: bool = field(default=False, compare=False)

    @property
    def integral(self) -> bool:
        """Whether this is one of C's integer types."""
        return self.kind in {"int", "char", "size", "time"}

    @property
    def arithmetic(self) -> bool:
        """Whether values of this type can be added."""
        return self.kind in {"int", "char", "size", "time", "float", "double"}

    def __str__(self) -> str:
        elem = "char *" if self.elem == "text" else self.elem
        match self.kind:
            case "pointer":
                return f"{elem} *"
            case "array":
                return f"{elem} [{self.size}]"
            case "file":
                return "FILE *"
            case "size" | "time":
                return f"{self.kind}_t"
            case kind:
                return kind


VOID, INT, CHAR, SIZE, TIME = CType("void"), CType("int"), CType("char"), CType("size"), CType("time")
FLOAT, DOUBLE, FILE, TEXT = CType("float"), CType("double"), CType("file"), CType("pointer", "char")
SCALARS: dict[Elem, CType] = {"char": CHAR, "int": INT, "float": FLOAT, "double": DOUBLE, "text": TEXT}
BYTES: dict[str, int] = {"char": 1, "int": 4, "float": 4, "double": 8, "text": 8, "time": 8, "size": 8, "pointer": 8}


def common_type(a: CType, b: CType) -> CType:
    """C's usual arithmetic conversions, for two arithmetic types."""
    for kind in (DOUBLE, FLOAT, TIME, SIZE):
        if kind in (a, b):
            return kind
    return INT


# numbers


def wrapped(value: int) -> int:
    """The value as a 32-bit int, going round at the ends as every console's processor does."""
    return (value + 2**31) % 2**32 - 2**31


def int_quotient(a: int, b: int) -> int:
    """C division of int: towards zero; -2147483648 / -1 goes round."""
    if b == 0:
        raise Fault("division by zero", value=f"{a} / 0")
    quotient = abs(a) // abs(b)
    return wrapped(quotient if (a < 0) == (b < 0) else -quotient)


def int_remainder(a: int, b: int) -> int:
    """C remainder of int: the sign of the dividend."""
    if b == 0:
        raise Fault("remainder of a division by zero", value=f"{a} % 0")
    remainder = abs(a) % abs(b)
    return -remainder if a < 0 else remainder


def float_quotient(a: float, b: float) -> float:
    """IEEE division: by zero gives an infinity or not-a-number."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a) or math.isnan(b):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


_SINGLE = struct.Struct("<f")


def single(value: float) -> float:
    """The nearest C ``float``."""
    try:
        rounded: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded


def truncated(value: float) -> int:
    """A double turned int: towards zero; Fault if it does not fit, which C leaves undefined."""
    if not INT_MIN - 1 < value < INT_MAX + 1:
        raise Fault("number does not fit an int", value=repr(value))
    return int(value)


def narrowed(value: int) -> int:
    """A time or size turned int; Fault if it does not fit."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise Fault("number does not fit an int", value=str(value), expected="a double holds every time exactly")


def unsigned(value: int) -> int:
    """An operand that C would turn unsigned beside a size_t; Fault if that would make a huge number of it."""
    if value < 0:
        raise Fault("negative number beside an unsigned size_t", value=str(value), expected="cast strlen() to (int)")
    return value


# text


def text_at(pointer: Any) -> bytes:
    """The text a pointer points at, without its NUL."""
    if pointer == 0:
        raise Fault("NULL is used as text")
    cells, start = pointer
    try:
        return bytes(cells[start : cells.index(0, start)])
    except ValueError:
        if UNSET_CHAR in cells[start:]:
            raise Fault("text buffer is read before it was set") from None
        raise Fault("text has no NUL within its buffer", value=repr(bytes(cells[start:][:40]))) from None


def put_text(pointer: Any, text: bytes) -> None:
    """Write a text and its NUL; Fault if they do not fit (on a console memory would be overwritten silently)."""
    cells, start = writable(pointer)
    end = start + len(text) + 1
    if end > len(cells):
        raise Fault(
            f"text of {len(text)} characters overflows its buffer",
            value=repr(text.decode("latin-1")),
            expected=f"at most {max(len(cells) - start - 1, 0)} characters fit",
        )
    cells[start:end] = text + b"\0"


def writable(pointer: Any) -> tuple[Cells, int]:
    """The cells and offset of a pointer that may be written through."""
    if pointer == 0:
        raise Fault("write through NULL")
    cells, start = pointer
    if type(cells) is bytes:
        raise Fault("write into constant text", value=repr(cells[start:-1].decode("latin-1")))
    return cells, start


def moved(pointer: Any, step: int) -> tuple[Any, int]:
    """A pointer moved by some elements; Fault if it leaves its array (one past the end is allowed)."""
    if pointer == 0:
        raise Fault("arithmetic with NULL")
    cells, start = pointer
    if not 0 <= start + step <= len(cells):
        raise Fault("pointer leaves its array", value=str(start + step), expected=f"0 to {len(cells)}")
    return cells, start + step
