"""What goes over the line, and what it means. Pure: no clock, no socket.

Each message carries a tag that its answer repeats, so that an answer proves which question it belongs to: after a
time-out the old answer comes first.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

ZERO_C_K = 273.15

_STATUS = re.compile(r"(-?\d+\.\d{3}|none) (-?\d+\.\d{3}) (-?\d+\.\d{3}) (\d+\.\d) ([01]) ([01])")


class Garbled(ValueError):
    """What came is no answer of such a bath."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the bath says of itself; `sensor_K` is None where its sensor is broken.

    `target_K` is where the set point goes, `working_K` where its ramp has come to.
    """

    sensor_K: float | None
    target_K: float
    working_K: float
    heater_percent: float
    runs: bool
    mains_failed: bool


def message(tag: int, words: str) -> bytes:
    """Return one message: ``0042 SP 60.000``."""
    if not re.fullmatch(r"[A-Z]+( -?\d+(\.\d+)?)?", words):
        raise ValueError(f"{words!r} is no command")
    return f"{tag:04d} {words}\r\n".encode("ascii")


def setting(name: str, value: float) -> str:
    """Return a command that sets something: ``SP 60.000``."""
    if not math.isfinite(value):
        raise ValueError(f"{name} {value}")
    return f"{name} {value:.3f}"


def answer(line: bytes) -> tuple[int, str]:
    """Return tag and words of an answer; raises Garbled."""
    found = re.fullmatch(rb"(\d{4}) ([ -~]+)\r\n", line)
    if found is None:
        raise Garbled(f"{line!r} is no answer")
    return int(found[1]), found[2].decode("ascii")


def status(words: str) -> Status:
    """Return what the answer to ``STATUS`` says; raises Garbled."""
    found = _STATUS.fullmatch(words)
    if found is None:
        raise Garbled(f"{words!r} is no status")
    sensor, target, working, heater, runs, failed = found.groups()
    return Status(
        sensor_K=None if sensor == "none" else float(sensor) + ZERO_C_K,
        target_K=float(target) + ZERO_C_K,
        working_K=float(working) + ZERO_C_K,
        heater_percent=float(heater),
        runs=runs == "1",
        mains_failed=failed == "1",
    )
