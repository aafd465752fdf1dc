"""The `settings:` block of a Maccor station, checked."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labctl.errors import Finding, InputError
from labctl.units import QuantityError, parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one channel of a tester is reached, and how its procedures are written.

    Attributes
    ----------
    host, port : str, int
        The tester's computer and its MacNet JSON port.
    channel : int
        As on the tester's front: from 1.
    procedures_dir, export_dir : Path
        The tester's ``Procedur`` folder and where its text exports appear, as this computer sees them.
    reply_timeout_s, connect_timeout_s : float
        Before a connection is given up.
    start_settle_s : float
        How long after a start without a reply (or after labctl came back) an idle channel is not believed.
    user, password_variable : str
        For a tester that wants a login: the password is read from this environment variable, never from a file.
    capacity_form : str
        ``C`` writes currents and capacities as multiples of the C-rate number given at the start; ``Ah`` plainly.
    current_range : int or None
        1 (finest) to 4; None: the finest that takes the current.
    voltage_margin_V : float
        By which the tester's own safety limits lie outside the guards of the procedure.
    current_accuracy : float or None
        Of the tester, as a share of the range's full scale; from its data sheet or calibration. None: nobody stated it.
    suspended_give_up_s : float
        How long a suspended test waits for a person before the campaign ends there; the test stays as it is.
    """

    host: str
    port: int
    channel: int
    procedures_dir: Path
    export_dir: Path
    reply_timeout_s: float = 2.0
    connect_timeout_s: float = 2.0
    start_settle_s: float = 10.0
    user: str = ""
    password_variable: str = "LABCTL_MACCOR_PASSWORD"  # noqa: S105 - the name of a variable
    capacity_form: Literal["C", "Ah"] = "C"
    current_range: int | None = None
    voltage_margin_V: float = 0.1
    current_accuracy: float | None = None
    suspended_give_up_s: float = 7200.0

    def password(self) -> str:
        """Return the password, empty if the variable is not set."""
        return os.environ.get(self.password_variable, "")


def read_settings(settings: Mapping[str, Any], *, station: str, simulated: bool) -> Settings:
    """Return the settings of a station.

    Raises
    ------
    InputError
        One finding for each key that is unknown, missing, or holds what cannot be used.
    """
    reader = _Reader(settings, f"stations.{station}.settings")
    chosen = Settings(
        host=reader.text("host", "in process" if simulated else None, "name or address of the tester's computer"),
        port=reader.integer("port", 57570, 1, 65535),
        channel=reader.integer("channel", 1 if simulated else None, 1, 999),
        procedures_dir=reader.folder("procedures_dir", simulated=simulated),
        export_dir=reader.folder("export_dir", simulated=simulated),
        reply_timeout_s=reader.duration("reply_timeout", "2 s", 0.01, 30.0),
        connect_timeout_s=reader.duration("connect_timeout", "2 s", 0.01, 30.0),
        start_settle_s=reader.duration("start_settle", "10 s", 0.0, 600.0),
        user=reader.text("user", "", "name of a tester account", empty=True),
        password_variable=reader.text("password_variable", "LABCTL_MACCOR_PASSWORD", "name of an environment variable"),
        capacity_form="Ah" if reader.choice("capacity_form", ("C", "Ah"), "C") == "Ah" else "C",
        current_range=reader.range("current_range"),
        voltage_margin_V=reader.quantity("voltage_margin", "V", "100 mV", 0.005, 1.0),
        current_accuracy=reader.share("current_accuracy"),
        suspended_give_up_s=reader.duration("suspended_give_up", "2 h", 60.0, 30 * 86400.0),
    )
    reader.finish()
    return chosen


class _Reader:
    def __init__(self, settings: Mapping[str, Any], where: str) -> None:
        self._settings = settings
        self._where = where
        self._known = {"simulator"}
        self._findings: list[Finding] = []

    def get(self, key: str, default: Any) -> Any:
        self._known.add(key)
        return self._settings.get(key, default)

    def refuse(self, key: str, what: str, value: object, expected: str) -> None:
        shown = "" if value is None else repr(value)
        self._findings.append(
            Finding(file="lab file", key_path=f"{self._where}.{key}", what=what, value=shown, expected=expected)
        )

    def text(self, key: str, default: str | None, expected: str, *, empty: bool = False) -> str:
        value = self.get(key, default)
        if value is None:
            self.refuse(key, "is missing", None, expected)
            return ""
        if not isinstance(value, str) or not (empty or value.strip()) or not (value == "" or value.isprintable()):
            self.refuse(key, "is not a line of text", value, expected)
            return ""
        return value

    def integer(self, key: str, default: int | None, low: int, high: int) -> int:
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            what = "is missing" if value is None else "cannot be used"
            self.refuse(key, what, value, f"a whole number from {low} to {high}")
            return low
        return value

    def range(self, key: str) -> int | None:
        value = self.get(key, "auto")
        if value == "auto":
            return None
        if isinstance(value, bool) or value not in (1, 2, 3, 4):
            self.refuse(key, "is not a current range", value, "1 (finest) to 4, or auto")
            return None
        return int(value)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.get(key, default)
        if value not in choices:
            self.refuse(key, "is not a choice here", value, f"one of {', '.join(choices)}")
            return default
        return str(value)

    def folder(self, key: str, *, simulated: bool) -> Path:
        expected = "a folder of the tester's computer, as this computer sees it"
        return Path(self.text(key, "." if simulated else None, expected)).expanduser().absolute()

    def duration(self, key: str, default: str, low: float, high: float) -> float:
        return self.quantity(key, "s", default, low, high)

    def share(self, key: str) -> float | None:
        if self.get(key, None) is None:
            return None
        return self.quantity(key, "percent", "0.02 %", 1e-4, 5.0) / 100.0

    def quantity(self, key: str, unit: str, default: str, low: float, high: float) -> float:
        value = self.get(key, default)
        try:
            found = parse(value, unit, example=default)
        except QuantityError as problem:
            self.refuse(key, problem.what, None, problem.expected)
            return parse(default, unit)
        if not low <= found <= high:
            self.refuse(key, "is out of range", value, f"from {low:g} {unit} to {high:g} {unit}")
        return found

    def finish(self) -> None:
        for key in map(str, self._settings):
            if key not in self._known:
                close = difflib.get_close_matches(key, sorted(self._known), n=1)
                hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(sorted(self._known))
                self.refuse(key, "is not a setting of a Maccor station", None, hint)
        if self._findings:
            raise InputError(findings=tuple(self._findings))
