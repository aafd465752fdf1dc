"""Takes one key of a `settings:` block after the other and remembers what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from labctl.errors import Finding, InputError
from labctl.units import QuantityError, parse
from labctl_oven._heater_watch import WatchSettings


class SettingsReader:
    """Reader of one block of a lab file.

    Parameters
    ----------
    where : str
        Key path of the block, for messages: ``stations.oven.settings``.
    known : tuple of str
        Keys that are somebody else's.
    """

    def __init__(self, settings: Mapping[str, Any], *, where: str, known: tuple[str, ...] = ("simulator",)) -> None:
        self.findings: list[Finding] = []
        self._settings = settings
        self._where = where
        self._known = set(known)

    def refuse(self, key: str, what: str, value: str, expected: str) -> None:
        """Note one mistake."""
        self.findings.append(
            Finding(file="lab file", key_path=f"{self._where}.{key}", what=what, value=value, expected=expected)
        )

    def get(self, key: str, default: Any = None) -> Any:
        """Return what stands under a key, and remember that the key is one."""
        self._known.add(key)
        return self._settings.get(key, default)

    def text(self, key: str, default: str | None = None, *, expected: str) -> str:
        """Return one line of text; `default` None: it must be there."""
        value = self.get(key, default)
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            what = "is missing" if value is None else "is not a line of text"
            self.refuse(key, what, "" if value is None else repr(value), expected)
            return default or ""
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        """Return one of `choices`."""
        value = self.get(key, default)
        if str(value) not in choices or isinstance(value, bool):
            self.refuse(key, "is not a choice here", repr(value), f"one of {', '.join(choices)}")
            return default
        return str(value)

    def integer(self, key: str, default: int, at_least: int, at_most: int) -> int:
        """Return a whole number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not at_least <= value <= at_most:
            self.refuse(key, "cannot be used", repr(value), f"a whole number from {at_least} to {at_most}")
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.get(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "is neither true nor false", repr(value), str(default).lower())
            return default
        return value

    def quantity(
        self, key: str, unit: str, default: str, at_least: float, at_most: float, *, difference: bool = False
    ) -> float:
        """Return a quantity in `unit`."""
        value = self.get(key, default)
        try:
            found = parse(value, unit, example=default, difference=difference)
        except QuantityError as problem:
            self.refuse(key, problem.what, "", problem.expected)
            return parse(default, unit, difference=difference)
        if not at_least <= found <= at_most:
            self.refuse(key, "is out of range", repr(value), f"from {at_least:g} {unit} to {at_most:g} {unit}")
            return parse(default, unit, difference=difference)
        return found

    def block(self, key: str) -> SettingsReader:
        """Return a reader of the block below a key; its findings are this reader's."""
        value = self.get(key, {})
        if not isinstance(value, Mapping):
            self.refuse(key, "is not a block of keys and values", repr(value), "key: value")
            value = {}
        inner = SettingsReader(value, where=f"{self._where}.{key}", known=())
        inner.findings = self.findings
        return inner

    def refuse_unknown(self) -> None:
        """Note every key that nobody asked for."""
        for key in map(str, self._settings):
            if key not in self._known:
                close = difflib.get_close_matches(key, sorted(self._known), n=1)
                hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(sorted(self._known))
                self.refuse(key, "is not a setting here", "", hint)

    def finish(self) -> None:
        """Return if nothing was wrong.

        Raises
        ------
        InputError
            One finding for each mistake.
        """
        self.refuse_unknown()
        if self.findings:
            raise InputError(findings=tuple(self.findings))


def read_watch(reader: SettingsReader, *, frozen: str) -> WatchSettings:
    """Return the `heater_watch:` block; a reading that stands still for `frozen` is an old one (``never``: none is)."""
    inner = reader.block("heater_watch")
    watch = WatchSettings(
        stuck_s=inner.quantity("stuck", "s", "10 min", 60.0, 7200.0),
        stuck_K=inner.quantity("stuck_rise", "K", "1 K", 0.1, 20.0, difference=True),
        coast_s=inner.quantity("coast", "s", "3 min", 10.0, 3600.0),
        rise_K=inner.quantity("rise", "K", "2 K", 0.2, 20.0, difference=True),
        rise_window_s=inner.quantity("rise_window", "s", "15 min", 60.0, 7200.0),
        frozen_walk_K=inner.quantity("frozen_walk", "K", "5 K", 0.5, 50.0, difference=True),
    )
    if frozen != "never":
        watch = replace(watch, frozen_s=inner.quantity("frozen", "s", frozen, 30.0, 86400.0))
    inner.refuse_unknown()
    return watch
