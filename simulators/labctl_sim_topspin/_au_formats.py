"""printf and scanf formats, read once when a program is compiled.

What C leaves open, or what differs between the consoles' C libraries (``%05s``, infinities, ``1e`` ...), is refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from labctl_sim_topspin._au_values import INT_MAX, INT_MIN, Fault

_CONVERSION = re.compile(r"%([-+ #0]*)(\d+|\*)?(?:\.(\d+|\*)?)?(hh|h|ll|l|L|z|j|t)?(.)", re.DOTALL)
_MAX_WIDTH = 4095

Wanted = Literal["int", "unsigned", "double", "text", "byte"]


@dataclass(frozen=True, slots=True)
class PrintFormat:
    """A printf format as Python's ``%`` understands it, and the kinds of the arguments in order."""

    python: str
    wants: tuple[Wanted, ...]

    def fill(self, values: tuple[int | float | str, ...]) -> bytes:
        """The text; ``values`` as ``wants`` says, text as str."""
        for value in values:
            if value.__class__ is float and not math.isfinite(value):
                raise Fault(
                    "number is not finite", value=str(value), expected="consoles print such numbers differently"
                )
        return (self.python % values).encode("latin-1")


def print_format(text: str) -> PrintFormat:
    """Read a printf format; ValueError says what is wrong with it."""
    python, wants, place = [], list[Wanted](), 0
    while (found := text.find("%", place)) >= 0:
        python.append(text[place:found])
        if text.startswith("%%", found):
            python.append("%%")
            place = found + 2
            continue
        match = _CONVERSION.match(text, found)
        if match is None:
            raise ValueError(f"format ends within a conversion: {text[found:]!r}")
        spec, wanted = _print_conversion(match)
        stars: list[Wanted] = ["int"] * ((match[2] == "*") + (match[3] == "*"))
        wants += [*stars, wanted]
        python.append(spec)
        place = match.end()
    python.append(text[place:])
    return PrintFormat("".join(python), tuple(wants))


def _print_conversion(match: re.Match[str]) -> tuple[str, Wanted]:
    flags, width, precision, length, letter = match[1], match[2] or "", match[3], match[4] or "", match[5]
    spec, dot = match.group(), "." in match.group()
    for number in (width, precision or ""):
        if number.isdigit() and int(number) > _MAX_WIDTH:
            raise ValueError(f"{spec!r}: width above {_MAX_WIDTH}")
    size = f"{width}.{precision or '0'}" if dot else width
    if letter in "di" and not length:
        if "#" in flags or (dot and ("0" in flags or precision in {None, "0", "*"})):
            raise ValueError(f"{spec!r}: flags and precision do not go together with %{letter}")
        return f"%{flags}{size}d", "int"
    if letter in "uxXo" and not length:
        if set(flags) & set("+ #") or dot:
            raise ValueError(f"{spec!r}: only -, 0 and a width go with %{letter}")
        return f"%{flags}{size}{'d' if letter == 'u' else letter}", "unsigned"
    if letter in "fFeEgG" and length in {"", "l"}:
        if precision == "*":
            size = f"{width}.*"
        return f"%{flags}{size}{letter}", "double"
    if letter == "s" and not length:
        if set(flags) - {"-"}:
            raise ValueError(f"{spec!r}: only - goes with %s")
        return f"%{flags}{size}s", "text"
    if letter == "c" and not length:
        if set(flags) - {"-"} or dot:
            raise ValueError(f"{spec!r}: only - and a width go with %c")
        return f"%{flags}{size}c", "byte"
    raise ValueError(f"{spec!r} is outside the AU subset; known are %d %i %u %x %o %f %e %g %s %c %%")


ScanKind = Literal["int", "double", "float", "text", "byte", "count", "space", "literal"]


@dataclass(frozen=True, slots=True)
class ScanItem:
    """One directive of a scanf format. ``accept`` holds the characters of ``%[`` (None for ``%s``) or of a literal."""

    kind: ScanKind
    width: int = 0
    stored: bool = False
    accept: frozenset[int] | None = None
    spec: str = ""


_SCAN = re.compile(r"%(\*)?(\d+)?(hh|h|ll|l|L|z|j|t)?(\[\^?\]?[^\]]*\]|.)", re.DOTALL)
_SPACE = frozenset(b" \t\n\r\f\v")


def scan_format(text: str) -> tuple[ScanItem, ...]:
    """Read a scanf format; ValueError says what is wrong with it."""
    items, place = list[ScanItem](), 0
    while place < len(text):
        if ord(text[place]) in _SPACE:
            items.append(ScanItem("space"))
            place += 1
        elif text[place] != "%" or text.startswith("%%", place):
            items.append(ScanItem("literal", accept=frozenset({ord(text[place])})))
            place += 1 + (text[place] == "%")
        else:
            match = _SCAN.match(text, place)
            if match is None:
                raise ValueError(f"format ends within a conversion: {text[place:]!r}")
            items.append(_scan_conversion(match))
            place = match.end()
    return tuple(items)


def _scan_conversion(match: re.Match[str]) -> ScanItem:
    spec, stored, width, length, letter = match.group(), match[1] is None, int(match[2] or 0), match[3] or "", match[4]
    if match[2] is not None and width == 0:
        raise ValueError(f"{spec!r}: a width of 0 reads nothing")
    if letter == "d" and not length:
        return ScanItem("int", width, stored, spec=spec)
    if letter in "feg" and length in {"", "l"}:
        return ScanItem("double" if length else "float", width, stored, spec=spec)
    if letter == "s" and not length:
        return ScanItem("text", width, stored, spec=spec)
    if letter == "c" and not length and width in {0, 1}:
        return ScanItem("byte", 1, stored, spec=spec)
    if letter == "n" and not length and stored and not width:
        return ScanItem("count", stored=True, spec=spec)
    if letter.startswith("[") and len(letter) > 1 and not length:
        return ScanItem("text", width, stored, _scan_set(letter[1:-1]), spec)
    raise ValueError(f"{spec!r} is outside the AU subset; known are %d %f %lf %s %c %n %[...]")


def _scan_set(inside: str) -> frozenset[int]:
    invert = inside.startswith("^")
    inside = inside[1:] if invert else inside
    codes, place = set[int](), 0
    while place < len(inside):
        if place + 2 < len(inside) and inside[place + 1] == "-":
            codes.update(range(ord(inside[place]), ord(inside[place + 2]) + 1))
            place += 3
        else:
            codes.add(ord(inside[place]))
            place += 1
    return frozenset(range(1, 256)) - codes if invert else frozenset(codes)


_INT = re.compile(rb"[+-]?\d+")
_NUMBER = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DOUBTFUL = re.compile(rb"(?i)[+-]?(?:inf|nan|0x|(?:\d+(?:\.\d*)?|\.\d+)e(?:[+-]?(?!\d)))")
_BLANK = re.compile(rb"[ \t\n\r\f\v]*")


def scan(items: tuple[ScanItem, ...], text: bytes) -> tuple[list[int | float | bytes], int]:
    """Read a text by a scanf format: the values for the stored conversions that succeeded, and what sscanf returns."""
    values: list[int | float | bytes] = []
    place = returned = 0
    for item in items:
        if item.kind == "space" or item.kind in {"int", "double", "float"} or (item.kind == "text" and not item.accept):
            place = _skip_blank(text, place)
        if item.kind == "space":
            continue
        if item.kind == "count":
            values.append(place)
            continue
        if place >= len(text):
            return values, returned or -1  # C libraries agree: what is skipped by * does not count
        value, end = _scan_one(item, text, place)
        if end == place:
            return values, returned
        place = end
        if item.stored:
            values.append(value)
            returned += 1
    return values, returned


def _skip_blank(text: bytes, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _scan_one(item: ScanItem, text: bytes, place: int) -> tuple[int | float | bytes, int]:
    """The value at a place and the place after it (the same place if it does not match)."""
    limit = min(len(text), place + item.width) if item.width else len(text)
    match item.kind:
        case "int":
            found = _INT.match(text, place, limit)
            return (in_int_range(int(found.group())), found.end()) if found else (0, place)
        case "double" | "float":
            found = _number(text, place, limit)
            return (float(found.group()), found.end()) if found else (0.0, place)
        case "byte":
            return text[place], place + 1
        case "literal":
            return 0, place + (item.accept is not None and text[place] in item.accept)
        case _:
            end = place
            while end < limit and (text[end] in item.accept if item.accept else text[end] not in _SPACE):
                end += 1
            return text[place:end], end


def _number(text: bytes, place: int, limit: int) -> re.Match[bytes] | None:
    doubtful = _DOUBTFUL.match(text, place, limit)
    if doubtful:
        raise Fault("text is a number on some consoles only", value=repr(text[place : place + 20].decode("latin-1")))
    return _NUMBER.match(text, place, limit)


def in_int_range(value: int) -> int:
    """A number read from text; Fault if it does not fit an int."""
    if not INT_MIN <= value <= INT_MAX:
        raise Fault("number in the text does not fit an int", value=str(value))
    return value


def leading_int(text: bytes) -> int:
    """What atoi gives: the int at the start of a text, 0 if there is none."""
    found = _INT.match(text, _skip_blank(text, 0))
    return in_int_range(int(found.group())) if found else 0


def leading_double(text: bytes) -> float:
    """What atof gives: the number at the start of a text, 0.0 if there is none."""
    found = _number(text, _skip_blank(text, 0), len(text))
    return float(found.group()) if found else 0.0
