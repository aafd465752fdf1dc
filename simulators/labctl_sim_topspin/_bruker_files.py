"""The files of one acquisition in the layouts of TopSpin 3.6, 4.0.8 and 4.2: raw data, audit trail, lists.

Observed in public data sets: rows of a ``ser`` begin on 1024-byte boundaries; NEO consoles (4.x) write float64 with
NC 0, older ones int32 with a common exponent NC; the audit trail's wording changes with the version.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np

from labctl_sim_topspin._acquisition import ComplexArray, Sequence
from labctl_sim_topspin._datasets import TITLES, stamp
from labctl_sim_topspin._settings import Layout, Settings

BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RawData:
    """Bytes of a ``fid`` or ``ser`` and the status parameters that tell how to read them."""

    data: memoryview
    md5: str
    nc: int
    dtypa: int
    largest: float
    smallest: float


def raw_data(counts: ComplexArray, *, two_dimensional: bool, layout: Layout) -> RawData:
    """Return the raw data of summed counts, shape (rows, points)."""
    real = np.ascontiguousarray(counts).view(np.float64)
    largest, smallest = (float(real.max()), float(real.min())) if real.size else (0.0, 0.0)
    nc = 0
    if layout == "3.6":
        peak = max(abs(largest), abs(smallest), 1.0)
        nc = math.floor(math.log2(peak)) - 28  # the largest value fills 29 bits
        real = np.rint(real * 2.0**-nc)
        largest, smallest = largest * 2.0**-nc, smallest * 2.0**-nc
    kind = "<i4" if layout == "3.6" else "<f8"
    width = np.dtype(kind).itemsize
    row_values = real.shape[1]
    if two_dimensional:
        row_values = -(-row_values * width // BLOCK) * BLOCK // width
    if row_values == real.shape[1]:
        stored = real.astype(kind, copy=False)
    else:
        stored = np.zeros((real.shape[0], row_values), kind)
        stored[:, : real.shape[1]] = real
    data = memoryview(stored.tobytes()) if not stored.size else np.ascontiguousarray(stored).data.cast("B")
    return RawData(
        data=data,
        md5=hashlib.md5(data, usedforsecurity=False).hexdigest(),
        nc=nc,
        dtypa=0 if layout == "3.6" else 2,
        largest=largest,
        smallest=smallest,
    )


def raw_size(sequence: Sequence, layout: Layout) -> int:
    """Return how many bytes the whole acquisition takes."""
    row = sequence.points * (4 if layout == "3.6" else 8)
    return sequence.rows * (-(-row // BLOCK) * BLOCK if sequence.two_dimensional else row)


# --------------------------------------------------------------------------------------------- audit trail


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One acquisition, as the audit trail tells it; `ended_by` is "" for a normal end."""

    started_s: float
    ended_s: float
    uuid: str
    ended_by: str
    points: int
    rows: int | None
    md5: str
    configuration_md5: str


def audit_trail(blocks: list[str], settings: Settings, path: str) -> str:
    """Return a whole ``audita.txt``."""
    owner = settings.user if settings.layout == "3.6" else "root"
    place = path if settings.layout == "3.6" else f"/root/.topspin-BladeEpu/local_acqu/{'/'.join(path.split('/')[-3:])}"
    text = (
        f"##TITLE= Audit trail, {TITLES[settings.layout]}\n##JCAMPDX= 5.01\n##ORIGIN= Bruker BioSpin GmbH\n"
        f"##OWNER= {owner}\n$$ {place}\n"
        "##AUDIT TRAIL=  $$ (NUMBER, WHEN, WHO, WHERE, PROCESS, VERSION, WHAT)\n" + "".join(blocks) + "##END=\n"
    )
    return f"{text}\n$$ hash MD5\n$$ {_spaced(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())}\n"


def blocks_of(text: str) -> list[str]:
    """Return the blocks of an ``audita.txt`` written by `audit_trail`."""
    _, _, rest = text.partition("VERSION, WHAT)\n")
    body, _, _ = rest.rpartition("##END=")
    blocks: list[str] = []
    for line in body.splitlines(keepends=True):
        if line.startswith("(") or not blocks:
            blocks.append(line)
        else:
            blocks[-1] += line
    return blocks


def _block(number: int, at_s: float, what: str, settings: Settings) -> str:
    if settings.layout == "3.6":
        who = f"<{settings.user}>,<{settings.host}>,<go>,<TOPSPIN 3.6.2>"
        when = stamp(at_s, settings.utc_offset_h)
    else:
        who = f"<root>,<BladeEpu>,<go4>,<{TITLES[settings.layout]}>"
        when = stamp(at_s, 0.0)  # the embedded computer keeps UTC
    return f"({number:4d},<{when}>,{who},\n      <{what}>)\n"


def in_progress_block(number: int, at_s: float, uuid: str, settings: Settings) -> str:
    """Return what TopSpin 4.2 writes when an acquisition starts."""
    what = (
        f"acquisition in progress on '{settings.instrument}' ({settings.host}) by user '{settings.user}'\n"
        f"       on data set with UUID '{uuid}'\n       started at {stamp(at_s, 0.0)}"
    )
    return _block(number, at_s, what, settings)


def deleted_block(number: int, at_s: float, settings: Settings) -> str:
    """Return what TopSpin 4.2 writes when zg replaces raw data."""
    return _block(number, at_s, "raw data deleted by zg", settings)


def closing_block(number: int, entry: AuditEntry, settings: Settings) -> str:
    """Return the block of a finished or terminated acquisition."""
    data = f"data hash MD5: {_shape(entry)}\n       {_spaced(entry.md5)}"
    configuration = f"configuration hash MD5:\n       {_spaced(entry.configuration_md5)}"
    if settings.layout == "3.6":
        terminated = f"\n       terminated by command '{entry.ended_by}'" if entry.ended_by else ""
        what = (
            f"created by zg\n\tstarted at {stamp(entry.started_s, settings.utc_offset_h)},\n"
            f"\tPOWCHK enabled, PULCHK disabled,{terminated}\n       {configuration}\n       {data}"
        )
    else:
        word = f"terminated by command '{entry.ended_by}' at" if entry.ended_by else "completed at"
        what = (
            f"created by zg on '{settings.instrument}' ({settings.host}) by user '{settings.user}'\n"
            f"       on data set with UUID '{entry.uuid}'\n"
            f"       started at {stamp(entry.started_s, 0.0)}, POWCHK enabled, PULCHK disabled,\n"
            f"       {word} {stamp(entry.ended_s, 0.0)}\n       {configuration}\n       double {data}"
        )
    return _block(number, entry.ended_s, what, settings)


def _shape(entry: AuditEntry) -> str:
    points = f"{entry.points // 1024}K" if entry.points % 1024 == 0 else str(entry.points)
    return points if entry.rows is None else f"{points} * {entry.rows}"


def _spaced(digest: str) -> str:
    upper = digest.upper()
    return " ".join(upper[place : place + 2] for place in range(0, len(upper), 2))


# ------------------------------------------------------------------------------------------ pulse programs


def pulse_program_text(sequence: Sequence) -> str:
    """Return the pulse program that is kept with the data, in our own words."""
    lines = {
        "one_pulse": ["1 ze", "2 30m", "  d1", "  p1 ph1", "  go=2 ph31", "  30m mc #0 to 2 F0(zd)", "exit"],
        "nutation": [
            "1 ze", "2 30m", "3 d20", "  p1 ph2", "  lo to 3 times l20", "  d1", "  vp ph1", "  go=2 ph31",
            "  30m wr #0 if #0 zd ivp", "  lo to 1 times td1", "exit",
        ],
        "saturation_recovery": [
            "1 ze", "2 30m", "  d1", "3 d20", "  p1 ph2", "  lo to 3 times l20", "  vd", "  p1 ph1", "  go=2 ph31",
            "  30m mc #0 to 2 F1QF(calclist(vd, 1))", "exit",
        ],
        "exsy": [
            '"in0=inf1"', '"d0=3u"', "1 ze", "2 30m", "3 d20", "  p1 ph4", "  lo to 3 times l20", "  d1",
            "  p1 ph1", "  d0", "  p1 ph2", "  d8", "  p1 ph3", "  go=2 ph31",
            "  d1 mc #0 to 2 F1PH(calph(ph1, +90), caldel(d0, +in0))", "exit",
        ],
    }[sequence.experiment]  # fmt: skip
    return "\n".join([f";{sequence.pulse_program}", ";written by the simulated console", *lines, ""])
