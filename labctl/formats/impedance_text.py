"""Text of impedance files: decoding, splitting, and numbers in either decimal convention.

Exports carry no statement of encoding, separator or decimal mark; each is concluded from the content, and refused
where two conclusions stand side by side.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from labctl.errors import Finding, InputError

Mark = Literal[".", ","]

LARGEST_BYTES = 64_000_000
MISSING = frozenset(
    {"", "-", "--", "---", "nan", "n/a", "na", "null", "none", "ovl", "overload", "over", "inf", "infinity", "∞"}
    | {"1.#inf", "1.#ind", "1.#qnan", "1,#inf", "1,#ind", "unendlich", "infini", "infinito"}
)
"""Cells that stand for "no number": an overloaded point, an infinity sign, an empty field."""

_NUMBERISH = re.compile(r"[+-]?[0-9.,]*[0-9][0-9.,]*(?:[eEdD][+-]?[0-9]{1,3})?")
_PLAIN = {
    mark: re.compile(rf"[+-]?(?:[0-9]+(?:[{mark}][0-9]*)?|[{mark}][0-9]+)(?:[eEdD][+-]?[0-9]+)?") for mark in ".,"
}
_GROUPED = {
    mark: re.compile(rf"[+-]?[1-9][0-9]{{0,2}}(?:[{other}][0-9]{{3}})+(?:[{mark}][0-9]*)?(?:[eEdD][+-]?[0-9]+)?")
    for mark, other in ((".", ","), (",", "."))
}


def refuse(
    path: Path, line: int, what: str, *, column: int = 0, value: str = "", expected: str = "", key: str = ""
) -> InputError:
    """Return the error that blames one place of a file."""
    return InputError(
        findings=(
            Finding(
                file=str(path), line=line, column=column, key_path=key, what=what, value=value[:80], expected=expected
            ),
        )
    )


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    InputError
        It cannot be read, or is larger than any spectrum.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise refuse(path, 0, f"larger than {LARGEST_BYTES // 1_000_000} MB, which is no impedance spectrum")
        return path.read_bytes()
    except OSError as problem:
        raise refuse(path, 0, f"cannot be read ({problem.strerror or problem})") from None


def decode(raw: bytes) -> str:
    """Return text of UTF-8 with or without mark, UTF-16 (as Excel saves it), or else the western code page."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    head = raw[:400]
    if len(head) >= 8 and head[1::2].count(0) > 0.4 * len(head[1::2]) and not head[::2].count(0):
        return raw.decode("utf-16-le", errors="replace")
    if len(head) >= 8 and head[::2].count(0) > 0.4 * len(head[::2]) and not head[1::2].count(0):
        return raw.decode("utf-16-be", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def lines_of(text: str) -> list[str]:
    """Return the lines, ended by CR LF, LF or CR alone; no other character ends a line."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def split_fields(line: str, separator: str) -> list[str]:
    """Return the fields of one line, quotes removed and blanks stripped; separator ``" "`` means any blanks."""
    if separator == " ":
        return line.split()
    try:
        (fields,) = csv.reader([line], delimiter=separator)
    except (csv.Error, ValueError):
        return [line]
    return [one.strip() for one in fields]


def tidy(cell: str) -> str:
    """Return a cell without blanks around it and with an ASCII minus."""
    return cell.strip().replace("\u2212", "-").replace("\u2013", "-")


def numberish(cell: str) -> bool:
    """Whether a cell looks like a number in some convention."""
    return _NUMBERISH.fullmatch(tidy(cell)) is not None


def is_missing(cell: str) -> bool:
    """Whether a cell stands for the absence of a number."""
    return tidy(cell).lower().lstrip("+-") in MISSING or tidy(cell) in {"-", "--", "---"}


def decimal_mark(cells: Iterable[str]) -> Mark | None:
    """Return the decimal mark under which all cells are numbers, or None if none is, or two are and disagree.

    One mark holds for a whole file. A reading without thousands groups is preferred, because instrument
    programs write none; a file in which every marked cell could be a group (``1,234``) *and* a decimal
    fraction is left undecided.
    """
    marked = [text for text in map(tidy, cells) if "," in text or "." in text]
    plain: list[Mark] = [mark for mark in (".", ",") if all(_PLAIN[mark].fullmatch(text) for text in marked)]
    if not marked:
        return "."
    if len(plain) == 1:
        other: Mark = "," if plain[0] == "." else "."
        grouped = all(_GROUPED[other].fullmatch(text) for text in marked)
        # "1,234" alone may be either; a point is never a group of a single kind in instrument files
        return None if grouped and plain[0] == "," else plain[0]
    if len(plain) == 2:
        return "."
    fits: list[Mark] = [
        mark
        for mark in (".", ",")
        if all(_PLAIN[mark].fullmatch(one) or _GROUPED[mark].fullmatch(one) for one in marked)
    ]
    return fits[0] if len(fits) == 1 else None


@dataclass(frozen=True, slots=True)
class Number:
    """A number, half a unit of its last place, and how many digits it was written with."""

    value: float
    half_unit: float
    digits: int


def number(cell: str, mark: Mark) -> Number | None:
    """Return what a cell holds, or None if it is no finite number in that convention."""
    text = tidy(cell)
    if _PLAIN[mark].fullmatch(text) is None:
        if _GROUPED[mark].fullmatch(text) is None:
            return None
        text = text.replace("," if mark == "." else ".", "")
    text = text.replace(",", ".").lower().replace("d", "e")
    mantissa, _, exponent = text.partition("e")
    value = float(text)
    if not math.isfinite(value):
        return None
    decimals = len(mantissa.partition(".")[2])
    digits = len(mantissa.lstrip("+-").replace(".", "").lstrip("0"))
    power = int(exponent or 0) - decimals
    return Number(value, 0.5 * 10.0**power if -300 < power < 300 else 0.0, max(1, digits))


def rounding(numbers: Sequence[Number]) -> tuple[float, float]:
    """Return the absolute and relative rounding of a column: the larger of the two holds for a cell.

    A format of fixed decimals rounds absolutely, one of fixed digits relatively; zeros that a program leaves out
    are taken back by looking at the whole column.
    """
    absolute = min((one.half_unit for one in numbers), default=0.0)
    return absolute, 0.5 * 10.0 ** (1 - max((one.digits for one in numbers), default=17))
