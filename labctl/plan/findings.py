"""Collecting findings that point at lines, without knowing of files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Protocol

from labctl.errors import Finding

KeyPath = tuple[str | int, ...]


class Locator(Protocol):
    """Whatever knows where a key path stands (`labctl.located_yaml.Located` does)."""

    def finding(self, path: KeyPath, what: str, *, value: str = "", expected: str = "", **kw: Any) -> Finding:
        """Return a finding that points at `path`."""
        ...


class Nowhere:
    """The locator of a model that was not read from a file: key paths only."""

    def __init__(self, file: str) -> None:
        self._file = file

    def finding(self, path: KeyPath, what: str, *, value: str = "", expected: str = "", **kw: Any) -> Finding:
        """Return a finding without a line."""
        key_path = ".".join(str(part) for part in path)
        return Finding(file=self._file, key_path=key_path, what=what, value=value, expected=expected, **kw)


class Notebook:
    """Findings of one file; `below` makes one that writes its key paths under a prefix."""

    def __init__(self, locator: Locator, prefix: KeyPath = (), found: list[Finding] | None = None) -> None:
        self._locator, self._prefix = locator, prefix
        self.found: list[Finding] = [] if found is None else found

    def below(self, *prefix: str | int) -> Notebook:
        """Return a notebook for the keys under `prefix`; findings go to the same list."""
        return Notebook(self._locator, (*self._prefix, *prefix), self.found)

    def error(self, path: KeyPath, what: str, *, value: str = "", expected: str = "") -> None:
        """Note something that must be put right."""
        self.found.append(self._locator.finding((*self._prefix, *path), what, value=value, expected=expected))

    def warning(self, path: KeyPath, what: str, *, value: str = "", expected: str = "") -> None:
        """Note something a careful referee would object to."""
        place = (*self._prefix, *path)
        self.found.append(self._locator.finding(place, what, value=value, expected=expected, severity="warning"))

    def advice(self, path: KeyPath, what: str, *, value: str = "", expected: str = "") -> None:
        """Note something that could be done better."""
        place = (*self._prefix, *path)
        self.found.append(self._locator.finding(place, what, value=value, expected=expected, severity="advice"))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``did you mean 'x'?``, or what is known."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "known: " + (", ".join(names) or "none")


def nth(number: int) -> str:
    """Return ``1st``, ``2nd``..."""
    return f"{number}{({1: 'st', 2: 'nd', 3: 'rd'}).get(number % 10 if number % 100 not in {11, 12, 13} else 0, 'th')}"


def celsius(kelvin: float) -> str:
    """Return a temperature as spectroscopists say it."""
    return f"{kelvin - 273.15:.1f} °C"
