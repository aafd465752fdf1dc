"""The head of a Maccor text export: which line is the header, what separates fields, what the test was called.

Heads differ more than tables: one line, two with blanks between, three, or twelve; with tabs, commas or semicolons.
So the head is not matched against known dialects: the header row is looked for by its column names, and whatever
stands above it is read as ``key: value`` pairs.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labctl.formats.impedance_text import refuse
from labctl.formats.maccor_columns import ONCE, ColumnName, column_name, is_cycler_header

HEAD_BYTES = 131_072
LONGEST_HEAD = 60
SEPARATORS = ("\t", ";", ",")

_KEYS = re.compile(
    r"(?P<key>today'{1,2}s date|date of test|filename|test ?name|procedure|description|comment/barcode|comment|name|"
    r"tester channel|channel(?: number)?|tester(?:id)?|started|startdatetime|scap|c rate|"
    r"(?:dis)?ch\. (?:max|min)\. [vi])\s*(?::|(?=[\t,;])|(?= \d))",
    re.IGNORECASE,
)
_RENAMED = {
    "name": "test", "testname": "test", "test name": "test", "filename": "test", "started": "started",
    "startdatetime": "started", "date of test": "started", "today's date": "exported", "today''s date": "exported",
    "comment/barcode": "comment", "tester channel": "channel", "channel number": "channel", "testerid": "tester",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportHead:
    """What stands above the rows.

    Attributes
    ----------
    header_line : int
        Line of the column names, from 1; rows may begin after a blank line.
    columns : tuple of ColumnName
    values : mapping
        What the head says, by lower-case key: ``test``, ``started``, ``procedure``, ``channel``, ``comment``...
    """

    header_line: int
    separator: str
    columns: tuple[ColumnName, ...]
    values: Mapping[str, str] = field(default_factory=dict)


def maccor_head(head: bytes) -> ExportHead | None:
    """Return the head of a Maccor export by the first bytes of a file, or None for any other file."""
    if b"\x00" in head[:4096] and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    lines = decoded(head).split("\n")[:LONGEST_HEAD]
    for at, raw in enumerate(lines, start=1):
        line = raw.rstrip("\r")
        found = _header(line)
        if found is not None:
            separator, names = found
            above = [one.rstrip("\r") for one in lines[: at - 1]]
            return ExportHead(
                header_line=at, separator=separator, columns=tuple(names), values=head_values(above, separator)
            )
    return None


def is_maccor(path: Path) -> bool:
    """Whether a file is a Maccor text export, by content; a file that cannot be read is not."""
    try:
        with path.open("rb") as stream:
            return maccor_head(stream.read(HEAD_BYTES)) is not None
    except OSError:
        return False


def decoded(raw: bytes) -> str:
    """Return text whatever the bytes: descriptions hold control characters and bytes above 127."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _header(line: str) -> tuple[str, list[ColumnName]] | None:
    if "olt" not in line or "tep" not in line:  # every header names a voltage and a step
        return None
    for separator in SEPARATORS:
        names = [column_name(cell) for cell in line.split(separator)]
        if is_cycler_header(names):
            return separator, names
    return None


def check_columns(path: Path, head: ExportHead) -> None:
    """Refuse a header that names one quantity twice, because either column could be meant.

    Raises
    ------
    InputError
        With the header's line.
    """
    for quantity in ONCE:
        named = [at for at, one in enumerate(head.columns, start=1) if one.quantity == quantity]
        if len(named) > 1:
            raise refuse(
                path, head.header_line, f"two columns for the {quantity.replace('_', ' ')}", column=named[1],
                value=" and ".join(repr(head.columns[at - 1].text) for at in named),
            )  # fmt: skip


def head_values(lines: list[str], separator: str) -> dict[str, str]:
    """Return the pairs of a head by normalised key; the first of a key counts."""
    values: dict[str, str] = {}
    for line in lines:
        found = list(_KEYS.finditer(line))
        for at, match in enumerate(found):
            end = found[at + 1].start() if at + 1 < len(found) else len(line)
            key = match["key"].lower()
            key = _RENAMED.get(key, key)
            text = line[match.end() : end].strip(" \t" + separator).strip()
            if text and key not in values:
                values[key] = "".join(one for one in text if one.isprintable()).strip()
    return values


def dates_of(text: str) -> tuple[dt.date | None, dt.date | None]:
    """Return the date a head states, read with the month first and with the day first; None where impossible."""
    match = re.match(r"\s*(\d{1,2})[/.](\d{1,2})[/.](\d{4})", text)
    if match is None:
        for form in ("%d %B %Y", "%d-%b-%y", "%d-%b-%Y"):
            try:
                date = dt.datetime.strptime(re.split(r",|\s+\d{1,2}:", text)[0].strip(), form).date()  # noqa: DTZ007
            except ValueError:
                continue
            return date, date
        return None, None
    first, second, year = (int(one) for one in match.groups())
    return _date(year, first, second), _date(year, second, first)


def _date(year: int, month: int, day: int) -> dt.date | None:
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None
