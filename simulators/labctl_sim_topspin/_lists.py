"""Delay and pulse lists as users and programs leave them below ``<tshome>/exp/stan/nmr/lists``.

One value per line; a suffix n, u, m or s may follow; blank lines and blanks at the end of a line occur.
"""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([numsNUMS]?)")
_SCALE_S = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "s": 1.0}


def values_s(text: str, *, bare: str) -> tuple[float, ...]:
    """Return the values of a list in seconds.

    Parameters
    ----------
    bare : str
        What a number without suffix means: ``s`` in delay lists, ``u`` in pulse lists.

    Raises
    ------
    ValueError
        A line is no value; the message says which.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None or float(match[1]) < 0.0:
            raise ValueError(f"line {number}: {line.strip()!r}")
        found.append(float(match[1]) * _SCALE_S[(match[2] or bare).lower()])
    return tuple(found)


def find(lists_dir: Path, kind: str, name: str, folder: Path) -> Path | None:
    """Return the file of a list: TopSpin's lists first, then those kept with the data."""
    if not name or "/" in name or "\\" in name or name in {".", ".."}:
        return None
    candidates = (lists_dir / kind / name, lists_dir / kind / "user" / name, folder / "lists" / kind / name)
    return next((path for path in candidates if path.is_file()), None)
