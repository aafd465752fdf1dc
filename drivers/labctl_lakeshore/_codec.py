"""The Model 335's language as text, both ways. Pure.

Every question carries a tag: it sets the event-enable mask (`*ESE`, IEEE 488.2), which enables nothing we use, to a
number of its own, and asks it back as the last of the chain. So a late or doubled answer, which is the answer to
another question, is known by its tag however alike the two look.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from labctl.errors import LabctlError

_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
_TAGS = 255
ZERO_C_K = 273.15

COMMAND_ERROR, EXECUTION_ERROR, QUERY_ERROR, POWER_ON = 32, 16, 4, 128
ERRORS = {COMMAND_ERROR: "unknown command", EXECUTION_ERROR: "impossible parameter", QUERY_ERROR: "query error"}

READING_STATUS = {
    1: "invalid reading",
    16: "temperature under range",
    32: "temperature over range",
    64: "sensor reads zero",
    128: "sensor over range",
}
HEATER_STATUS = {1: "open load", 2: "short circuit"}


class Garbled(LabctlError):
    """What came is not what such a question is answered with."""


def next_tag(tag: int) -> int:
    """Return the tag after `tag`: 1 to 255, round and round."""
    return tag % _TAGS + 1


def tagged(commands: tuple[str, ...], tag: int, *, mask: str = "*ESE") -> str:
    """Return the line that carries out `commands` and answers with their queries' answers, then `tag`."""
    return ";".join((f"{mask} {tag}", *commands, f"{mask}?"))


def untag(line: str, queries: int, tag: int) -> tuple[str, ...] | None:
    """Return the answers in a line, or None if it is not the answer to the question with this tag."""
    parts = [part.strip() for part in line.split(";")]
    if len(parts) != queries + 1 or not parts[-1].isascii() or not parts[-1].isdigit() or int(parts[-1]) != tag:
        return None
    return tuple(parts[:-1])


def is_query(command: str) -> bool:
    """Whether a command is answered."""
    return command.split(" ", 1)[0].endswith("?")


# ------------------------------------------------------------------------------------------------ answers


def number(text: str) -> float:
    """Return a number; nothing but plain digits will do.

    Raises
    ------
    Garbled
        It is none.
    """
    if not _NUMBER.fullmatch(text):
        raise Garbled(f"{text!r} is not a number")
    value = float(text)
    if not math.isfinite(value):
        raise Garbled(f"{text!r} is not finite")
    return value


def whole(text: str, *, at_most: int = 255) -> int:
    """Return a whole number from 0 to `at_most`.

    Raises
    ------
    Garbled
        It is none.
    """
    if not (text.isascii() and text.isdigit()) or int(text) > at_most:
        raise Garbled(f"{text!r} is not a whole number from 0 to {at_most}")
    return int(text)


def fields(text: str, count: int) -> tuple[str, ...]:
    """Return the comma-separated fields of an answer.

    Raises
    ------
    Garbled
        There are not `count`.
    """
    parts = tuple(part.strip() for part in text.split(","))
    if len(parts) != count:
        raise Garbled(f"{text!r} has {len(parts)} fields, expected {count}")
    return parts


def bits(word: int, names: dict[int, str]) -> str:
    """Return the names of the bits that are set."""
    known = [name for bit, name in names.items() if word & bit]
    rest = word & ~sum(names)
    return ", ".join(known + ([f"bits {rest}"] if rest else []))


@dataclass(frozen=True, slots=True)
class Identity:
    """Answer to `*IDN?`."""

    maker: str
    model: str
    serial: str
    firmware: str


def identity(text: str) -> Identity:
    """Return who answered.

    Raises
    ------
    Garbled
        Not four fields.
    """
    return Identity(*fields(text, 4))


# ----------------------------------------------------------------------------------------------- commands


def temperature_text(temperature_K: float, *, celsius: bool) -> str:
    """Return a temperature in the unit the controller wants, to its last digit (0.001)."""
    return f"{temperature_K - ZERO_C_K if celsius else temperature_K:.3f}"


def temperature_K(text: str, *, celsius: bool) -> float:
    """Return a temperature the controller told, in kelvin."""
    return number(text) + (ZERO_C_K if celsius else 0.0)


def ramp_text(ramp_K_per_s: float) -> str:
    """Return a ramp rate in K/min to its last digit (0.1), rounded down: never steeper than asked.

    Raises
    ------
    Garbled
        Slower than 0.1 or faster than 100 K/min: 0 would mean infinitely fast.
    """
    tenths = math.floor(600.0 * ramp_K_per_s + 1e-6)
    if not 1 <= tenths <= 1000:
        raise Garbled(f"a ramp of {60.0 * ramp_K_per_s:.4g} K/min cannot be set; 0.1 to 100 K/min can")
    return f"{tenths // 10}.{tenths % 10}"
