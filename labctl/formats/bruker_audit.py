"""The audit trail of a Bruker dataset: what the spectrometer itself says of how an acquisition went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    started_s, completed_s : float or None
        Wall time [s since 1970 UTC]; `completed_s` is None where the version writes no end or has not ended.
    ended : str
        ``completed``; ``halt``/``stop`` (the command that ended it); ``unknown`` while in progress or without
        an acquisition entry. TopSpin <= 3.6 writes no end: an entry that was not terminated counts as completed,
        because it is written when the acquisition is over.
    in_progress : bool
        The last block opens an acquisition and nothing closes it.
    raw_deleted : bool
        Earlier raw data in this EXPNO were deleted by ``zg``.
    acquired : bool
        There is an acquisition block at all (not so for split, converted or copied data).
    uuid : str
        UUID of the data set; empty before 4.0.8.
    hash_points, hash_rows : int or None
        Acquired shape by the data hash line: TD of F2 (real + imaginary) and rows (1 for a 1D).
    hash_float64 : bool
        The hash is of double data.
    user, host : str
        Who acquired, and on which computer.
    """

    path: Path
    version: str = ""
    started_s: float | None = None
    completed_s: float | None = None
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


def read_audit(path: Path) -> AuditTrail:
    """Return what ``audita.txt`` says of the last acquisition.

    Raises
    ------
    InputError
        The file cannot be read or holds no audit trail.
    """
    raise NotImplementedError(path)
