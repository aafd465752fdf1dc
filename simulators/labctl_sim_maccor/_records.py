"""The data file of one test: a record a line, only ever added to, in a format of the simulator's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import NamedTuple


class Record(NamedTuple):
    """One record. Times in ticks of 10 ms; `amps` is positive on charge; `wall_s` is UTC, `state` the letter."""

    number: int
    cycle: int
    half_cycle: int
    step: int
    test_ticks: int
    step_ticks: int
    capacity_Ah: float
    energy_Wh: float
    amps: float
    volts: float
    state: str
    why: int
    wall_s: float
    loops: tuple[int, ...]
    variables: tuple[float, ...]
    range: int


_json = json.JSONEncoder(separators=(",", ":")).encode  # `dumps` makes an encoder for each record


@lru_cache(maxsize=256)
def _tail(loops: tuple[int, ...], variables: tuple[float, ...], current_range: int) -> str:
    """Return the end of a line, the same for most records of a cycle, without its brackets."""
    return _json([loops, variables, current_range])[1:-1]


def _line(record: Record) -> str:
    """Return a record as JSON does; written out, because a test makes hundreds of thousands."""
    number, cycle, half, step, ticks, step_ticks, Ah, Wh, amps, volts, state, why, wall_s, *_ = record
    if not (isfinite(Ah) and isfinite(Wh) and isfinite(amps) and isfinite(volts) and isfinite(wall_s)):
        return _json(record)
    tail = _tail(record.loops, record.variables, record.range)
    return (
        f"[{number},{cycle},{half},{step},{ticks},{step_ticks},{Ah!r},{Wh!r},{amps!r},{volts!r},"
        f'"{state}",{why},{wall_s!r},{tail}]'
    )


def append(path: Path, records: list[Record], at: int) -> int:
    """Write records at byte `at`, over whatever a killed process left there; return where the file ends now."""
    text = "".join(f"{_line(record)}\n" for record in records).encode("utf-8")
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(at)
        file.seek(at)
        file.write(text)
    return at + len(text)


def read(path: Path, upto: int | None = None) -> Iterator[Record]:
    """Return the records of a data file, of its first `upto` bytes."""
    data = path.read_bytes()
    for line in data[:upto].decode("utf-8").splitlines():
        cells = json.loads(line)
        cells[13:15] = map(tuple, cells[13:15])
        yield Record(*cells)
