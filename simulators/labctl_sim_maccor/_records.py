"""The data file of one test: a record a line, only ever added to, in a format of the simulator's own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
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


_NAMES = tuple(item.name for item in fields(Record))
_line = json.JSONEncoder(separators=(",", ":")).encode  # `dumps` makes an encoder for each record


def append(path: Path, records: list[Record], at: int) -> int:
    """Write records at byte `at`, over whatever a killed process left there; return where the file ends now."""
    rows = ([getattr(record, name) for name in _NAMES] for record in records)
    text = "".join(f"{_line(row)}\n" for row in rows).encode("utf-8")
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
