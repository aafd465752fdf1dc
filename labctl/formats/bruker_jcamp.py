"""Bruker's JCAMP-DX parameter files (``acqus``, ``acqu2s``, ``procs``...)."""

from __future__ import annotations

from pathlib import Path

Value = int | float | str | bool | list[int] | list[float] | list[str]


def read_jcamp(path: Path) -> dict[str, Value]:
    """Return the parameters of a file; keys without ``##$``, `TITLE` and other plain labels among them.

    Raises
    ------
    InputError
        The file is missing, or broken at a line that is named.
    """
    raise NotImplementedError(path)
