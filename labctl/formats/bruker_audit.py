"""The audit trail of a Bruker dataset: what the spectrometer itself says of how an acquisition went.

The wording differs by TopSpin version (measured on about 90 public datasets): up to 3.6 an acquisition that was
not terminated is simply ``created by zg``; 3.7 and 4.0.8 add ``completed at``, 4.0.5 ``finished successfully at``;
4.2 opens with ``acquisition in progress`` and keeps the blocks of earlier runs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from labctl.errors import Finding, InputError
from labctl.formats.bruker_jcamp import read_text

Ended = Literal["completed", "halt", "stop", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTrail:
    """What the *last* acquisition block of ``audita.txt`` says; earlier failed runs may precede it.

    Attributes
    ----------
    path : Path
        The file.
    version : str
        TopSpin that acquired, ``"4.0.8"``; empty if unknown.
    started_s : float or None
        Wall time [s since 1970 UTC]; stamps carry their own offset (NEO consoles write UTC).
    completed_s : float or None
        When it completed; None where it has not, or was terminated.
    ended_s : float or None
        When it ended, whether completed or terminated.
    ended : str
        ``completed``; ``halt`` or ``stop``, the command that ended it; ``unknown`` while in progress or without
        an acquisition entry. TopSpin <= 3.6 writes no end: its entry appears when the acquisition is over, so
        one that was not terminated counts as completed, at the time of the entry.
    in_progress : bool
        The last block opens an acquisition and nothing closes it.
    raw_deleted : bool
        Earlier raw data in this EXPNO were deleted by ``zg``.
    acquired : bool
        There is an acquisition block at all (not so for split, converted or copied data).
    uuid : str
        UUID of the dataset; empty before 4.0.8.
    hash_points, hash_rows : int or None
        Shape by the data hash line: TD of F2 (real + imaginary) and rows (1 for a 1D).
    hash_float64 : bool
        The hash is of double data.
    user, host : str
        Who acquired, and on which computer.
    """

    path: Path
    version: str = ""
    started_s: float | None = None
    completed_s: float | None = None
    ended_s: float | None = None
    ended: Ended = "unknown"
    in_progress: bool = False
    raw_deleted: bool = False
    acquired: bool = False
    uuid: str = ""
    hash_points: int | None = None
    hash_rows: int | None = None
    hash_float64: bool = False
    user: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    when: str
    user: str
    host: str
    version: str
    what: str


_BLOCK = re.compile(
    r"\(\s*\d+\s*,\s*<([^>]*)>\s*,\s*<([^>]*)>\s*,\s*<([^>]*)>\s*,\s*<[^>]*>\s*,\s*<([^>]*)>\s*,\s*<(.*?)>\s*\)",
    re.DOTALL,
)
_ACQUISITION = re.compile(r"acquisition in progress|(created|continued) by (zg|go|gs)\b|\bstarted at\b")
_STAMP = r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: ?[+-]\d{4})?)"
_STARTED = re.compile(r"started at\s+" + _STAMP)
_COMPLETED = re.compile(r"(?:completed|finished successfully) at\s+" + _STAMP)
_TERMINATED = re.compile(r"terminated by command\s+'(\w+)'(?:\s+at\s+" + _STAMP + ")?")
_UUID = re.compile(r"UUID '([^']*)'")
_HASH = re.compile(r"(double )?data hash MD5:\s*(\d+)(K?)(?:\s*\*\s*(\d+)(K?))?")
_VERSION = re.compile(r"(\d+(?:\.\d+)+)")
_FIRST_VERSION_WITH_END = (3, 7)


def read_audit(path: Path) -> AuditTrail:
    """Return what ``audita.txt`` says of the last acquisition.

    Raises
    ------
    InputError
        The file cannot be read or is no audit trail. (An audit trail without acquisition is not an error.)
    """
    text = read_text(path)
    if "##AUDIT TRAIL=" not in text.replace("##AUDIT_TRAIL=", "##AUDIT TRAIL="):
        raise InputError(
            findings=(
                Finding(
                    file=str(path),
                    line=1,
                    column=1,
                    what="not an audit trail",
                    value=repr(text[:40]),
                    expected="a line ##AUDIT TRAIL=",
                ),
            )
        )
    blocks = [_Block(*found.groups()) for found in _BLOCK.finditer(text)]
    last = next((block for block in reversed(blocks) if _ACQUISITION.search(block.what)), None)
    points, rows, float64 = _shape(last or (blocks[-1] if blocks else None))
    raw_deleted = "raw data deleted" in text
    if last is None:
        return AuditTrail(path=path, raw_deleted=raw_deleted, hash_points=points, hash_rows=rows, hash_float64=float64)
    ended, ended_s = _end(last)
    started = _STARTED.search(last.what)
    uuid = _UUID.search(last.what)
    version = _VERSION.search(last.version)
    return AuditTrail(
        path=path,
        version=version[1] if version else "",
        started_s=_seconds(started[1]) if started else None,
        completed_s=ended_s if ended == "completed" else None,
        ended_s=ended_s,
        ended=ended,
        in_progress=ended == "unknown" and "acquisition in progress" in last.what,
        raw_deleted=raw_deleted,
        acquired=True,
        uuid=uuid[1] if uuid else "",
        hash_points=points,
        hash_rows=rows,
        hash_float64=float64,
        user=last.user,
        host=last.host,
    )


def _end(block: _Block) -> tuple[Ended, float | None]:
    terminated = _TERMINATED.search(block.what)
    if terminated is not None:
        ended: Ended = "stop" if terminated[1] == "stop" else "halt"
        return ended, _seconds(terminated[2] or block.when)
    completed = _COMPLETED.search(block.what)
    if completed is not None:
        return "completed", _seconds(completed[1])
    version = (
        tuple(int(part) for part in block.version.split()[-1].split(".")[:2] if part.isdigit())
        if block.version.split()
        else ()
    )
    if "created by" in block.what and version and version < _FIRST_VERSION_WITH_END:
        return "completed", _seconds(block.when)
    return "unknown", None


def _shape(block: _Block | None) -> tuple[int | None, int | None, bool]:
    found = _HASH.search(block.what) if block else None
    if found is None:
        return None, None, False
    double, points, points_K, rows, rows_K = found.groups()
    return (
        int(points) * (1024 if points_K else 1),
        int(rows) * (1024 if rows_K else 1) if rows else 1,
        bool(double),
    )


def _seconds(stamp: str) -> float | None:
    """Epoch seconds of a stamp; None without an offset, because its time zone would be a guess."""
    try:
        moment = datetime.fromisoformat(stamp.strip().replace(" ", "T", 1).replace(" ", ""))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None
