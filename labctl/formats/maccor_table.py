"""The rows of a Maccor export as columns of numbers: decimal mark, cut last row, and the line of whatever is wrong.

polars parses; only a file that it cannot parse is walked in Python, to name the line and the field.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from labctl.errors import InputError
from labctl.formats.impedance_text import decimal_mark, refuse
from labctl.formats.maccor_columns import COUNTERS, NEEDED, ColumnName, Quantity
from labctl.formats.maccor_head import ExportHead, decoded

LARGEST_BYTES = 4_000_000_000
SAMPLED_ROWS = 400
TEXTS: frozenset[Quantity] = frozenset({"state", "clock", "passed_over", "unknown", "range"})
_DURATION = re.compile(r"\s*(?:(\d+)\s*d\s+)?(\d+):(\d+):(\d+(?:[.,]\d*)?)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows as read, numbers still in the file's own units.

    Attributes
    ----------
    frame : DataFrame
        Columns by quantity (``test_time``, ``current``, ...); loops, temperatures and aux by ``<quantity>:<name>``.
    durations : frozenset of str
        Time columns that were written as ``0d 00:00:00.00``; they are in seconds.
    decimals : dict
        Digits after the mark, of every numeric column: what its rounding is.
    first_line : int
        Line of row 0.
    """

    frame: pl.DataFrame
    durations: frozenset[str]
    decimals: dict[str, int]
    first_line: int
    decimal: str
    warnings: tuple[str, ...]


def read_rows(path: Path, raw: bytes, head: ExportHead) -> Rows:
    """Return the rows of an export.

    Raises
    ------
    InputError
        No rows, a row of another width, an empty or impossible cell, or a decimal mark that cannot be told.
    """
    body, first_line = _body(path, raw, head)
    separator = head.separator.encode()
    end = len(body)
    last = body.rfind(b"\n", 0, end) + 1
    first = body[: _or_end(body.find(b"\n"), end)]
    fields = first.count(separator) + 1
    names = list(head.columns)
    while len(names) > fields and not names[-1].text:
        names.pop()
    if len(names) < fields:
        names += [ColumnName("", "passed_over")] * (fields - len(names))
    extra = decoded(first).rstrip("\r").split(head.separator)[len(head.columns) :]
    if len(names) != fields or any(one.strip() for one in extra):
        raise refuse(
            path, first_line, f"{fields} fields below a header of {len(head.columns)}",
            value=repr(decoded(first)[:60]), expected="one field a column (is the decimal mark the separator too?)",
        )  # fmt: skip
    warnings: list[str] = []
    short = fields - 1 - body.count(separator, last)
    if last and 0 < short <= sum(not one.text for one in names[len(names) - short :]):
        body += separator * short  # only the trailing separator of a nameless column is missing
    elif last and short > 0:
        at = first_line + body.count(b"\n", 0, last)
        warnings.append(f"line {at}: the last row is cut off and was left out")
        body = body[: last - 1]
    sample = _sample(body, head.separator)
    decimal = _decimal(path, first_line, sample, names, head.separator)
    wanted = [at for at, one in enumerate(names) if one.quantity not in {"passed_over", "unknown"}]
    durations = frozenset(
        names[at].quantity
        for at in wanted
        if names[at].quantity in {"test_time", "step_time"} and sample and ":" in sample[0][at]
    )
    labels = {at: _label(names, at) for at in wanted}
    schema = {f"column_{at}": _type(names[at], durations) for at in range(fields)}
    try:
        frame = pl.read_csv(
            body,
            separator=head.separator,
            has_header=False,
            schema=schema,
            columns=wanted,
            quote_char=None,
            encoding="utf8" if body.isascii() else "utf8-lossy",
            decimal_comma=decimal == ",",
        )
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise _blame(path, body, first_line, names, head.separator, decimal, durations) or refuse(
            path, first_line, f"cannot be read as a table ({str(problem).splitlines()[0][:120]})"
        ) from None
    if body.count(separator) != frame.height * (fields - 1):
        raise _blame(path, body, first_line, names, head.separator, decimal, durations) or refuse(
            path, first_line, "rows of several widths"
        )
    frame = frame.rename({f"column_{at}": label for at, label in labels.items()})
    with_days = {one.quantity: "d" in sample[0][at] for at, one in enumerate(names) if one.quantity in durations}
    with ThreadPoolExecutor() as pool:  # polars lets go of the interpreter, and uses one core for one column
        columns = pool.map(lambda name: _seconds(frame[name], decimal, with_days=with_days[name]), with_days)
        frame = frame.with_columns(columns)
    needed = [one for one in (*NEEDED, "step_time", "capacity", "energy", "end_code") if one in frame.columns]
    bad = frame.select(pl.any_horizontal(*(pl.col(one).is_null() | ~pl.col(one).is_finite() for one in needed)).any())
    if bad.item():
        raise _blame(path, body, first_line, names, head.separator, decimal, durations) or refuse(
            path, first_line, "a cell that is no finite number"
        )
    return Rows(
        frame=frame,
        durations=durations,
        decimals={labels[at]: _decimals(sample, at) for at in wanted if names[at].quantity not in TEXTS},
        first_line=first_line,
        decimal=decimal,
        warnings=tuple(warnings),
    )


def _decimals(sample: list[list[str]], at: int) -> int:
    return max((len(row[at].strip().replace(",", ".").partition(".")[2]) for row in sample if at < len(row)), default=0)


def _body(path: Path, raw: bytes, head: ExportHead) -> tuple[bytes, int]:
    """Bytes from the first row to the last, without blank lines around, and the line of the first."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raw = decoded(raw).encode()
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")
    at = 0
    for _ in range(head.header_line):
        at = _or_end(raw.find(b"\n", at), len(raw) - 1) + 1
    line = head.header_line + 1
    while at < len(raw):
        end = _or_end(raw.find(b"\n", at), len(raw))
        if raw[at:end].strip(b"\r \t,;"):
            break
        at, line = end + 1, line + 1
    tail = len(raw)
    while tail > at and raw[tail - 1 : tail] in b"\r\n \x00\x1a":
        tail -= 1
    if at >= tail:
        raise refuse(path, head.header_line, "a header, but no rows below it")
    return raw[at:tail], line


def _or_end(at: int, end: int) -> int:
    return end if at < 0 else at


def _sample(body: bytes, separator: str) -> list[list[str]]:
    """First rows, and some from the end, as text."""
    begin = body[:400_000].split(b"\n")[:SAMPLED_ROWS]
    end = body[-100_000:].split(b"\n")[-50:] if len(body) > 400_000 else []
    return [decoded(one).rstrip("\r").split(separator) for one in [*begin, *end[1:]]]


def _decimal(path: Path, line: int, sample: list[list[str]], names: list[ColumnName], separator: str) -> str:
    numeric = [at for at, one in enumerate(names) if one.quantity in {"capacity", "energy", "current", "voltage"}]
    cells = [row[at] for row in sample for at in numeric if at < len(row) and ("," in row[at] or "." in row[at])]
    mark = decimal_mark(cells)
    if mark == "," and separator == ",":
        mark = None
    if mark is None or (mark == "." and any("," in cell for cell in cells)):
        cell = next((one for one in cells if "," in one), cells[0] if cells else "")
        raise refuse(
            path, line, "the decimal mark cannot be told, or thousands are grouped", value=repr(cell),
            expected="numbers without thousands groups, with one decimal mark throughout",
        )  # fmt: skip
    return mark


def _label(names: list[ColumnName], at: int) -> str:
    one = names[at]
    if one.quantity in {"loop", "temperature", "aux"}:
        return f"{one.quantity}:{at}:{one.text}"
    before = [other.quantity for other in names[:at]]
    return one.quantity if one.quantity not in before else f"{one.quantity}:{at}"


def _type(name: ColumnName, durations: frozenset[str]) -> type[pl.DataType]:
    if name.quantity in TEXTS or name.quantity in durations or name.quantity in {"temperature", "aux"}:
        return pl.String
    return pl.Int64 if name.quantity in COUNTERS else pl.Float64


def _seconds(cells: pl.Series, decimal: str, *, with_days: bool) -> pl.Series:
    """``  2d 02:52:51.5699`` in seconds; seconds are not zero padded in some exports. Other texts become null."""
    text = cells.str.strip_chars_start()
    if decimal == ",":
        text = text.str.replace(",", ".", literal=True)
    if with_days:
        text = text.str.replace("d ", ":", literal=True)
    parts = text.str.split_exact(":", 3 if with_days else 2).struct.unnest()
    factors = (86400, 3600, 60, 1) if with_days else (3600, 60, 1)
    numbers = [factor * parts[f"field_{at}"].cast(pl.Float64, strict=False) for at, factor in enumerate(factors)]
    return sum(numbers[1:], start=numbers[0]).alias(cells.name)


def _blame(
    path: Path, body: bytes, line: int, names: list[ColumnName], separator: str, decimal: str, durations: frozenset[str]
) -> InputError | None:
    """Walk the rows for the first that cannot be read."""
    for at, raw in enumerate(body.split(b"\n"), start=line):
        cells = decoded(raw).rstrip("\r").split(separator)
        if not any(cell.strip() for cell in cells):
            return refuse(path, at, "an empty line between rows")
        if len(cells) != len(names):
            return refuse(
                path, at, f"{len(cells)} fields in a table of {len(names)}", value=repr(decoded(raw)[:60]),
                expected="the same number of fields in every row (is the file cut or joined?)",
            )  # fmt: skip
        for column, (cell, name) in enumerate(zip(cells, names, strict=True), start=1):
            if name.quantity in TEXTS or name.quantity in {"temperature", "aux"}:
                continue
            optional = name.quantity not in {*NEEDED, "step_time", "capacity", "energy", "end_code"}
            if optional and not cell.strip():
                continue
            if not _readable(cell, name, decimal, durations):
                return refuse(path, at, f"not a number in column {name.text!r}", column=column, value=repr(cell[:40]))
    return None


def _readable(cell: str, name: ColumnName, decimal: str, durations: frozenset[str]) -> bool:
    if name.quantity in durations:
        return _DURATION.fullmatch(cell) is not None
    text = cell if decimal == "." else cell.replace(",", ".")
    pattern = r"[+-]?\d+" if name.quantity in COUNTERS else r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
    return re.fullmatch(pattern, text) is not None
