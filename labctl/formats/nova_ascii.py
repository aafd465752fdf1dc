"""NOVA's text exports of impedance ("Export ASCII data", or the data grid pasted), in every variant that readers met.

What varies: separator (semicolon, comma, tab, colon, blanks), decimal mark, encoding, columns before and after, remark
rows above a block, several blocks in a file, infinity signs in cells. Each is concluded from the content. A file that
allows two readings is refused at its line, because the wrong one would look like data.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from labctl.formats.impedance_text import (
    Mark,
    decimal_mark,
    is_missing,
    number,
    numberish,
    refuse,
    split_fields,
)

SEPARATORS = ("\t", ";", ",", "|", ":", " ")
_HEADER_BLANKS = re.compile(r"(?<=[)\]])\s+|\s{2,}|(?<=Index)\s+|(?<=#)\s+")
_LONGEST_HEADER = 4000


@dataclass(slots=True)
class _Block:
    """One header and what follows it: rows of cells with their line numbers, and remarks."""

    line: int
    separator: str
    names: list[ColumnName]
    rows: list[tuple[int, list[str]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)

    @property
    def needed(self) -> list[int]:
        """Columns without which a row is no point."""
        wanted = {"frequency", "z_re", "z_im", "modulus", "phase"}
        parts = {one.quantity for one in self.names}
        if {"z_re", "z_im"} <= parts:
            wanted = {"frequency", "z_re", "z_im"}
        return [at for at, one in enumerate(self.names) if one.quantity in wanted]


def find_header(line: str) -> tuple[str, list[ColumnName]] | None:
    """Return separator and columns if a line is the header of an impedance spectrum.

    Of several separators the one that gives most known columns is right: names contain blanks and even commas.
    """
    lowered = line.lower()
    if "freq" not in lowered or "z" not in lowered or len(line) > _LONGEST_HEADER:
        return None
    best: tuple[int, str, list[ColumnName]] | None = None
    for separator in SEPARATORS:
        cells = _HEADER_BLANKS.split(line.strip()) if separator == " " else split_fields(line, separator)
        while cells and not cells[-1]:
            cells.pop()
        names = [column_name(cell) for cell in cells]
        known = sum(one.quantity is not None for one in names)
        if is_spectrum_header(names) and (best is None or known > best[0]):
            best = known, separator, names
    return None if best is None else best[1:]


def parse_nova(path: Path, lines: Sequence[str]) -> list[ImpedanceSpectrum]:
    """Return every spectrum of a NOVA export.

    Raises
    ------
    InputError
        With file and line: a cell that is no number, a row of another width, a decimal mark that cannot be
        told, a unit that is not understood, columns that contradict each other, or no spectrum at all.
    """
    blocks = _blocks(path, lines)
    if not blocks:
        raise _no_header(path, lines)
    mark = _mark(path, blocks)
    spectra: list[ImpedanceSpectrum] = []
    for block in blocks:
        spectra += _spectra(path, block, mark, first=len(spectra))
    if not spectra:
        raise refuse(path, blocks[0].line, "a header of an impedance spectrum, but no points below it")
    return spectra


def _no_header(path: Path, lines: Sequence[str]) -> Exception:
    for at, line in enumerate(lines[:200], start=1):
        if "WE(1)." in line or "Potential (V)" in line:
            return refuse(
                path, at, "an export without frequencies (time domain or DC)", value=repr(line.strip()),
                expected="columns Frequency (Hz), Z' (Ω), -Z'' (Ω)",
            )  # fmt: skip
    return refuse(path, 1, "no header of an impedance spectrum", expected="columns Frequency (Hz), Z' (Ω), -Z'' (Ω)")


def _blocks(path: Path, lines: Sequence[str]) -> list[_Block]:
    """Cut the file at headers and at remark rows between rows of numbers."""
    blocks: list[_Block] = []
    pending: list[str] = []
    last = max((at for at, line in enumerate(lines, start=1) if line.strip()), default=0)
    for at, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        header = find_header(line)
        if header is not None:
            check_names(path, at, header[1])
            blocks.append(_Block(at, *header, remarks=pending))
            pending = []
        elif not blocks:
            pending.append(line.strip()[:200])
        else:
            block = blocks[-1]
            kind = _row_kind(path, at, block, line, is_last=at == last)
            if kind == "point":
                if pending:  # a remark row between points begins a block with the same columns
                    block = _Block(block.line, block.separator, block.names, remarks=pending)
                    blocks.append(block)
                    pending = []
                block.rows.append((at, _cells(block, line)))
            elif kind == "cut off":
                block.remarks.append(f"line {at}: the last row is cut off and was left out")
            elif kind == "missing":
                block.missing.append(at)
                block.remarks.append(f"line {at}: a point without finite numbers was left out")
            elif block.rows:
                pending.append(line.strip()[:200])
            else:
                block.remarks.append(line.strip()[:200])
    return [one for one in blocks if one.rows]


def _cells(block: _Block, line: str) -> list[str]:
    cells = split_fields(line, block.separator)
    while len(cells) > len(block.names) and not cells[-1]:
        cells.pop()
    return cells


def _row_kind(path: Path, at: int, block: _Block, line: str, *, is_last: bool) -> str:
    """Tell points from remark rows, and refuse what is neither."""
    cells = _cells(block, line)
    if len(cells) != len(block.names):
        numbers = sum(numberish(cell) for cell in cells)
        if numbers < 2 or numbers < len(cells) / 2:
            return "remark"
        if is_last and len(cells) < len(block.names):
            return "cut off"
        hint = " (is the decimal mark the separator too?)" if len(cells) > len(block.names) else ""
        raise refuse(
            path, at, f"{len(cells)} fields below a header of {len(block.names)}{hint}", value=repr(line.strip()),
            expected=f"{len(block.names)} fields separated by {_words(block.separator)}",
        )  # fmt: skip
    needed = [(index, cells[index]) for index in block.needed]
    if all(numberish(cell) for _, cell in needed):
        return "point"
    if all(numberish(cell) or is_missing(cell) for _, cell in needed):
        return "missing" if any(numberish(cell) for cell in cells) else "remark"
    if not any(numberish(cell) for _, cell in needed):
        return "remark"
    if is_last:
        return "cut off"
    index, cell = next((index, cell) for index, cell in needed if not (numberish(cell) or is_missing(cell)))
    raise refuse(path, at, f"not a number in column {block.names[index].text!r}", column=index + 1, value=repr(cell))


def _words(separator: str) -> str:
    return {"\t": "tabs", " ": "blanks"}.get(separator, repr(separator))


def _mark(path: Path, blocks: Sequence[_Block]) -> Mark:
    """One decimal mark for the whole file."""
    cells = [(at, cell) for block in blocks for at, row in block.rows for cell in row if numberish(cell)]
    mark = decimal_mark(cell for _, cell in cells)
    if mark is None:
        at, cell = next((at, cell) for at, cell in cells if "," in cell or "." in cell)
        raise refuse(
            path, at, "the decimal mark cannot be told: point and comma allow two readings, or none", value=repr(cell),
            expected="numbers without thousands groups, in one convention throughout",
        )  # fmt: skip
    return mark


def _spectra(path: Path, block: _Block, mark: Mark, *, first: int) -> list[ImpedanceSpectrum]:
    lines = [at for at, _ in block.rows]
    columns: dict[tuple[Quantity, float], Column] = {}
    extra: dict[str, FloatArray] = {}
    index: FloatArray | None = None
    time_s: FloatArray | None = None
    for position, name in enumerate(block.names):
        numbers = [number(row[position], mark) for _, row in block.rows]
        if name.quantity is None or name.quantity in {"index", "time"}:
            values = np.array([np.nan if one is None else one.value for one in numbers])
            if name.quantity == "index":
                index = values
            elif name.quantity == "time" and time_s is None:
                time_s = values * (name.factor if name.factor is not None and np.isfinite(name.factor) else 1.0)
            elif np.isfinite(values).any() and name.text:
                extra[name.text] = values
        elif position not in block.needed or all(one is not None for one in numbers):
            columns[name.quantity, name.sign] = Column.of(numbers, name)
            without = sum(one is None for one in numbers)
            if without:
                block.remarks.append(
                    f"column {name.text!r}: {without} cell(s) hold no number and were not cross-checked"
                )
        else:
            bad = next(at for at, one in enumerate(numbers) if one is None)
            raise refuse(
                path, lines[bad], f"not a finite number in column {name.text!r}", column=position + 1,
                value=repr(block.rows[bad][1][position]),
            )  # fmt: skip
    if ("frequency", 1.0) not in columns:
        raise refuse(path, block.line, "a frequency column with a minus sign")
    frequency, Z = assemble(path, lines, columns, block.names)
    made: list[ImpedanceSpectrum] = []
    measured = np.sort(np.array([*lines, *block.missing]))
    for begin, end in _sweeps(frequency, index):
        part = slice(begin, end)
        upper = lines[end] if end < len(lines) else measured[-1] + 1
        whole = measured[(measured >= (lines[begin] if begin else 0)) & (measured < upper)]
        made.append(
            ImpedanceSpectrum(
                frequency_Hz=frequency[part],
                Z_ohm=Z[part],
                path=path,
                dialect="NOVA ASCII",
                block=first + len(made),
                line=lines[begin],
                measured_points=int(whole.size),
                position=np.searchsorted(whole, lines[part]),
                time_s=None if time_s is None or not np.isfinite(time_s[part]).all() else time_s[part],
                extra={name: values[part] for name, values in extra.items()},
                remarks=tuple(block.remarks),
            )
        )
    return made


def _sweeps(frequency: FloatArray, index: FloatArray | None) -> list[tuple[int, int]]:
    """Cut where the index restarts, or where the frequency leaps back over most of the sweep."""
    cuts = [0]
    for at in range(1, frequency.size):
        if index is not None and index[at] <= index[at - 1]:  # never true of a nan
            cuts.append(at)
            continue
        span = np.log(frequency[cuts[-1] : at])
        width = float(span.max() - span.min())
        step = float(np.log(frequency[at] / frequency[at - 1]))
        direction = np.sign(frequency[at - 1] - frequency[cuts[-1]])
        if at - cuts[-1] >= 3 and direction and np.sign(step) == -direction and abs(step) > 0.8 * width:
            cuts.append(at)
    return list(zip(cuts, [*cuts[1:], frequency.size], strict=True))
