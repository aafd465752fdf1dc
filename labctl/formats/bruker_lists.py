"""Lists beside Bruker data: delays (``vdlist``) and pulse lengths (``vplist``), in seconds.

Real lists mix notations (``1.0``, ``3``, ``20.000m``, ``10s``), carry trailing blanks and blank lines, and may end
without a newline. A comment starts with ``#`` or ``;``.
"""

from __future__ import annotations

import re
from pathlib import Path

from labctl.errors import Finding, InputError
from labctl.formats.bruker_jcamp import read_text

_ENTRY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(s|m|u|n)?(?:s)?")
_UNIT_S = {"s": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def read_delays(path: Path) -> tuple[float, ...]:
    """Return the delays [s] of a ``vd`` list; a bare number is in seconds, suffixes ``s m u n`` are understood.

    Raises
    ------
    InputError
        The file is missing, empty, or has a line (named) that is no delay.
    """
    return _read(path, bare_unit_s=1.0, what="delay", example="3, 20m or 1.5s")


def read_pulses(path: Path) -> tuple[float, ...]:
    """Return the pulse lengths [s] of a ``vp`` list; a bare number is in microseconds.

    Raises
    ------
    InputError
        As `read_delays`.
    """
    return _read(path, bare_unit_s=1e-6, what="pulse length", example="4.9, 100u or 5m")


def _read(path: Path, *, bare_unit_s: float, what: str, example: str) -> tuple[float, ...]:
    values: list[float] = []
    for number, raw in enumerate(read_text(path).splitlines(), start=1):
        text = re.split(r"[#;]", raw, maxsplit=1)[0].strip()
        if not text:
            continue
        entry = _ENTRY.fullmatch(text)
        if entry is None or float(entry[1]) < 0:
            raise InputError(
                findings=(
                    Finding(
                        file=str(path),
                        line=number,
                        column=1,
                        what=f"not a {what}",
                        value=repr(text[:40]),
                        expected=f"expected one per line, such as {example}",
                    ),
                )
            )
        values.append(float(entry[1]) * (_UNIT_S[entry[2]] if entry[2] else bare_unit_s))
    if not values:
        raise InputError(findings=(Finding(file=str(path), what=f"the list holds no {what}"),))
    return tuple(values)
