"""``.dfr``: data of Autolab's FRA 4.9 for Windows, one number a line.

``VERSION8.0``, the number of points, an integer of unknown meaning, then nine lines a point: frequency, Z', -Z'',
DC potential, DC current, time, and three more; behind them settings and two local dates without a time zone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from labctl.formats.impedance import ImpedanceSpectrum
from labctl.formats.impedance_text import decimal_mark, number, refuse, tidy

SIGNATURE = re.compile(r"\s*VERSION\s*[0-9]", re.IGNORECASE)
PER_POINT = 9
_DATE = re.compile(r"\s*\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\s+\d{1,2}:\d{2}.*")


def parse_dfr(path: Path, lines: Sequence[str]) -> list[ImpedanceSpectrum]:
    """Return the one spectrum of a ``.dfr`` file.

    Raises
    ------
    InputError
        With file and line: no number of points, fewer lines than they need, something that is no number.
    """
    count_text = tidy(lines[1]) if len(lines) > 1 else ""
    if not re.fullmatch(r"[0-9]{1,7}", count_text) or int(count_text) < 1:
        raise refuse(path, 2, "no number of points", value=repr(count_text), expected="a whole number")
    count = int(count_text)
    first = 3
    if len(lines) < first + PER_POINT * count:
        raise refuse(
            path, len(lines), f"{count} points need {PER_POINT * count} lines", value=str(max(0, len(lines) - first)),
            expected="a file that was not cut off",
        )  # fmt: skip
    body = [tidy(line) for line in lines[first : first + PER_POINT * count]]
    mark = decimal_mark(body)
    values = np.empty(len(body))
    for at, text in enumerate(body):
        found = None if mark is None else number(text, mark)
        if found is None:
            raise refuse(path, first + at + 1, "not a number", value=repr(text), expected="one number a line")
        values[at] = found.value
    table = values.reshape(count, PER_POINT)
    if (table[:, 0] <= 0).any():
        bad = int(np.argmax(table[:, 0] <= 0))
        raise refuse(
            path, first + PER_POINT * bad + 1, "a frequency that is not positive", value=f"{table[bad, 0]:g} Hz"
        )
    tail = [line.strip() for line in lines[first + PER_POINT * count :]]
    return [
        ImpedanceSpectrum(
            frequency_Hz=table[:, 0].copy(),
            Z_ohm=table[:, 1] - 1j * table[:, 2],
            path=path,
            dialect="FRA dfr",
            line=first + 1,
            time_s=table[:, 5].copy() if table[:, 5].any() else None,
            extra={"Potential (DC) (V)": table[:, 3].copy(), "Current (DC) (A)": table[:, 4].copy()},
            remarks=tuple(f"local time of the file: {line}" for line in tail if _DATE.fullmatch(line)),
        )
    ]
