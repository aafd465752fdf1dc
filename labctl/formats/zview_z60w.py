"""Z60W text: what Autolab's FRA writes for ZView.

A quoted first line ``Z60W Data File: Version 1.1``, quoted comments, one line of settings, one with the number of
points, a quoted header, then comma-separated rows. Z'' has its natural sign; the time column is zero throughout.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labctl.formats.impedance import FloatArray, ImpedanceSpectrum
from labctl.formats.impedance_columns import (
    Column,
    ColumnName,
    Quantity,
    assemble,
    check_names,
    column_name,
    is_spectrum_header,
)
from labctl.formats.impedance_text import number, refuse, split_fields, tidy

SIGNATURE = re.compile(r'"?\s*Z60W Data File', re.IGNORECASE)


def parse_z60w(path: Path, lines: Sequence[str]) -> list[ImpedanceSpectrum]:
    """Return the one spectrum of a Z60W file.

    Raises
    ------
    InputError
        With file and line: no header, a cell that is no number, more points than announced.
    """
    at, names = _header(path, lines)
    check_names(path, at, names)
    announced = _announced(lines[: at - 1])
    rows: list[tuple[int, list[str]]] = []
    for number_of_line, line in enumerate(lines[at:], start=at + 1):
        if line.strip():
            rows.append((number_of_line, split_fields(line, ",")))
    remarks = [line.strip().strip('"') for line in lines[1 : at - 1] if line.strip().strip('"')]
    if rows and len(rows[-1][1]) < len(names):
        remarks.append(f"line {rows[-1][0]}: the last row is cut off and was left out")
        rows.pop()
    if not rows:
        raise refuse(path, at, "a header of an impedance spectrum, but no points below it")
    if announced is not None and len(rows) > announced:
        raise refuse(
            path, rows[announced][0], f"more rows than the {announced} points announced", value=str(len(rows)),
            expected="a second spectrum belongs in a file of its own",
        )  # fmt: skip
    if announced is not None and len(rows) < announced:
        remarks.append(f"{len(rows)} of {announced} points announced: the file ends early")
    columns: dict[tuple[Quantity, float], Column] = {}
    extra: dict[str, FloatArray] = {}
    for position, name in enumerate(names):
        numbers = []
        for line_number, row in rows:
            if len(row) != len(names):
                raise refuse(
                    path, line_number, f"{len(row)} fields below a header of {len(names)}", value=repr(",".join(row))
                )
            value = number(row[position], ".")
            if value is None:
                raise refuse(
                    path, line_number, f"not a number in column {name.text!r}", column=position + 1,
                    value=repr(tidy(row[position])),
                )  # fmt: skip
            numbers.append(value)
        if name.quantity is None:
            extra[name.text] = np.array([one.value for one in numbers])
        elif name.quantity != "time":
            columns[name.quantity, name.sign] = Column.of(numbers, name)
    frequency, Z = assemble(path, [line for line, _ in rows], columns, names)
    return [
        ImpedanceSpectrum(
            frequency_Hz=frequency, Z_ohm=Z, path=path, dialect="Z60W", line=rows[0][0], extra=extra,
            remarks=tuple(remarks),
        )
    ]  # fmt: skip


def _header(path: Path, lines: Sequence[str]) -> tuple[int, list[ColumnName]]:
    for at, line in enumerate(lines, start=1):
        if "freq" in line.lower():
            names = [column_name(cell) for cell in re.split(r"\s{2,}", line.strip().strip('"').strip())]
            if is_spectrum_header(names):
                return at, names
            raise refuse(path, at, "a header without frequency, Z' and Z''", value=repr(line.strip()))
    raise refuse(path, len(lines), "no header line with a frequency")


def _announced(above: Sequence[str]) -> int | None:
    """The number of points: the last line above the header that holds one whole number."""
    for line in reversed(above):
        if re.fullmatch(r"\s*[0-9]{1,7}\s*", line):
            return int(line)
    return None
