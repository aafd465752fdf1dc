"""Checked reading of a located YAML tree: every mistake becomes a finding with its line, and reading goes on."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from labctl import units
from labctl.errors import Finding, InputError
from labctl.located_yaml import KeyPath, Located


class Reading:
    """Collects what is wrong with one file while its values are taken out.

    A value that cannot be used is replaced by a harmless one, so that one run names all mistakes;
    `close` raises when there were any.
    """

    def __init__(self, located: Located) -> None:
        self._located = located
        self._findings: list[Finding] = []

    def root(self) -> Node:
        """Return the whole file as a node."""
        return Node(self, (), self._located.data)

    def complain(self, path: KeyPath, what: str, *, value: object = None, expected: str = "") -> None:
        """Note a mistake at `path`."""
        shown = "" if value is None else repr(value)
        self._findings.append(self._located.finding(path, what, value=shown, expected=expected))

    def close(self) -> None:
        """Raise InputError with all findings, in the order of the file; return when there are none."""
        if self._findings:
            raise InputError(findings=tuple(sorted(self._findings, key=lambda found: (found.line, found.column))))


class Node:
    """One value of the file, with its place."""

    def __init__(self, reading: Reading, path: KeyPath, data: Any) -> None:
        self._reading = reading
        self.path = path
        self.data = data

    def complain(self, what: str, *, value: object = None, expected: str = "") -> None:
        """Note a mistake here."""
        self._reading.complain(self.path, what, value=value, expected=expected)

    # ------------------------------------------------------------------------------------ mappings

    def keys(self, *, required: Collection[str] = (), optional: Collection[str] = ()) -> Node:
        """Check that this is a mapping of exactly these keys; return it."""
        if not isinstance(self.data, dict):
            wanted = ", ".join([*required, *optional])
            self.complain("must be a mapping", value=self.data, expected=f"keys: {wanted}")
            self.data = {}
            return self
        known = [*required, *optional]
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys here: {', '.join(known)}"
                self._reading.complain((*self.path, key), f"unknown key {key!r}", expected=hint)
        for key in required:
            if key not in self.data:
                self.complain(f"the key {key!r} is missing", expected=f"{key}: ...")
        return self

    def has(self, key: str) -> bool:
        """Whether the key stands here."""
        return isinstance(self.data, dict) and key in self.data

    def at(self, key: str) -> Node:
        """Return the value of a key; a node without data where it is missing."""
        return Node(self._reading, (*self.path, key), self.data.get(key) if isinstance(self.data, dict) else None)

    def named(self, what: str) -> Iterator[tuple[str, Node]]:
        """Iterate a mapping from names the author chose; complain when it is none or empty."""
        if not isinstance(self.data, dict) or not self.data:
            self.complain(f"must map names to {what}", value=self.data)
            return
        for key in self.data:
            yield key, self.at(key)

    def items(self, what: str) -> Sequence[Node]:
        """Return the items of a list; complain when it is none."""
        if not isinstance(self.data, list):
            self.complain(f"must be a list of {what}", value=self.data)
            return ()
        return [Node(self._reading, (*self.path, index), item) for index, item in enumerate(self.data)]

    # ------------------------------------------------------------------------------------- scalars

    def quantity(
        self,
        key: str,
        unit: str,
        *,
        example: str,
        default: float = math.nan,
        above: float = -math.inf,
        least: float = -math.inf,
        most: float = math.inf,
    ) -> float:
        """Return a quantity in `unit`; `default` where the key is missing. Bounds are in `unit`."""
        if not self.has(key):
            return default
        node = self.at(key)
        try:
            value = units.parse(node.data, unit, example=example)
        except units.QuantityError as problem:
            node.complain(problem.what, expected=problem.expected)
            return default
        return node.bounded(value, unit, above=above, least=least, most=most)

    def fraction(self, key: str, *, default: float = math.nan, above: float = -math.inf, most: float = 1.0) -> float:
        """Return a number between 0 and `most`, written as ``0.5`` or ``"50 %"``."""
        if not self.has(key):
            return default
        node = self.at(key)
        if isinstance(node.data, str):
            return self.quantity(key, "", example="50 %", above=above, least=0.0, most=most)
        return node.bounded(node.number(default), "", above=above, least=0.0, most=most)

    def number(self, default: float = math.nan) -> float:
        """Return this value as a plain number."""
        if isinstance(self.data, bool) or not isinstance(self.data, (int, float)) or not math.isfinite(self.data):
            self.complain("must be a plain number", value=self.data)
            return default
        return float(self.data)

    def bounded(self, value: float, unit: str, *, above: float, least: float, most: float) -> float:
        """Complain unless above < value, least <= value <= most; return the value."""
        unit = f" {unit}" if unit else ""
        if value <= above:
            self.complain(f"must be more than {above:g}{unit}", value=self.data)
        elif value < least:
            self.complain(f"must be at least {least:g}{unit}", value=self.data)
        elif value > most:
            self.complain(f"must be at most {most:g}{unit}", value=self.data)
        return value

    def text(self, key: str) -> str:
        """Return text that is not empty."""
        node = self.at(key)
        if not isinstance(node.data, str) or not node.data.strip():
            if self.has(key):
                node.complain("must be text", value=node.data)
            return ""
        return node.data.strip()

    def choice(self, key: str, options: Sequence[str], *, default: str) -> str:
        """Return one of the words `options`."""
        if not self.has(key):
            return default
        node = self.at(key)
        if node.data not in options:
            node.complain("is not one of the choices", value=node.data, expected=f"one of {', '.join(options)}")
            return default
        return str(node.data)
