"""Fault scripts of simulated temperature controllers: what goes wrong, when, and for how long.

::

    version: 1
    faults:
      - fault: welded_relay
        at: 3 h                 # after the simulated oven was made
        by: 100 %               # power that flows whatever the loop wants
      - fault: reply_late
        at: 10 min
        by: 2 s
        replies: 3              # the next three; 1 if left out
      - fault: power_dip
        station: oven2          # entries for other stations are passed over; the oven of another instrument's
                                # station takes those alone that name it: `autolab.oven`
        at: 90 min

An unknown key, an unknown fault or a missing value is refused with file, line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labctl.errors import Finding, InputError
from labctl.located_yaml import KeyPath, Located, load
from labctl.units import QuantityError, parse

Where = Literal["oven", "controller", "wire"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault does, and which of `for`, `by` and `replies` it takes; `by` names the unit of its size.

    `only`: the one controller that can have it.
    """

    where: Where
    what: str
    lasts: Literal["", "optional", "needed"] = ""
    by: str = ""
    default: float | None = None
    only: str = ""


FAULTS: Mapping[str, FaultKind] = {
    "welded_relay": FaultKind("oven", "the heater's relay stays closed: power flows", "optional", "percent", 100.0),
    "heater_open": FaultKind("oven", "the heater has burnt through: no power flows", "optional"),
    "door_open": FaultKind(
        "oven", "somebody opens the door: the air drops at once and goes on losing", "needed", "K", 15.0
    ),
    "noise": FaultKind("oven", "the sensor picks up noise", "optional", "K"),
    "sensor_break": FaultKind("oven", "the sensor's wire breaks: it reads over range", "optional"),
    "stale_reading": FaultKind("oven", "the controller goes on showing an old reading", "optional"),
    "power_dip": FaultKind("controller", "mains fails for a moment: heater off or in manual, volatile registers gone"),
    "heater_trip": FaultKind("controller", "the heater goes off; the set point still reads fine"),
    "setpoint_ignored": FaultKind("controller", "set points are accepted and not taken", "optional"),
    "local_mode": FaultKind("controller", "somebody takes it to local: writes do nothing", "optional"),
    "decimal_shift": FaultKind(
        "controller", "somebody changes the display resolution: scaled integers mean ten times more", only="eurotherm"
    ),
    "mute": FaultKind("wire", "it neither acts nor answers", "needed"),
    "command_lost": FaultKind("wire", "a message does not arrive"),
    "reply_lost": FaultKind("wire", "it acts, and the answer is lost"),
    "reply_late": FaultKind("wire", "the answer comes late, and with it all that follow", by="s"),
    "reply_garbled": FaultKind("wire", "some characters of the answer are others"),
    "reply_truncated": FaultKind("wire", "the end of the answer is missing"),
    "reply_twice": FaultKind("wire", "the answer comes twice"),
    "bad_crc": FaultKind("wire", "the answer's checksum is wrong", only="eurotherm"),
}
"""Every fault of the simulated controllers."""

_UNITS = {"percent": "100 %", "K": "15 K", "s": "2 s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a fault script, in SI.

    Attributes
    ----------
    at_s : float
        Time after the simulated oven was made.
    for_s : float or None
        How long it lasts; None: until somebody mends it.
    by : float
        Size, in the unit its kind has.
    replies : int
        Of faults on the wire: how many messages it hits.
    place : str
        ``file:line`` for messages.
    """

    kind: str
    at_s: float
    for_s: float | None = None
    by: float = 0.0
    replies: int = 1
    place: str = ""

    @property
    def where(self) -> Where:
        """What it happens to."""
        return FAULTS[self.kind].where


def load_faults(path: Path, *, controller: str, station: str) -> tuple[Fault, ...]:
    """Return the faults of a script that belong to this station, in its order.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    reader = _Reader(load(path), controller, station)
    faults = reader.script()
    if reader.findings:
        raise InputError(findings=tuple(reader.findings))
    return faults


class _Reader:
    def __init__(self, located: Located, controller: str, station: str) -> None:
        self._located = located
        self._station = station
        self._kinds = {name: kind for name, kind in FAULTS.items() if kind.only in {"", controller}}
        self.findings: list[Finding] = []

    def script(self) -> tuple[Fault, ...]:
        data = self._located.data
        if not isinstance(data, dict):
            self._refuse((), "is not a fault script", "version: 1 and a list of faults")
            return ()
        for key in data:
            if key not in {"version", "faults"}:
                self._refuse((key,), "is not a key of a fault script", "version and faults")
        if data.get("version") != 1:
            self._refuse(("version",), "is not a version this labctl reads", "version: 1", data.get("version"))
        entries = data.get("faults")
        if not isinstance(entries, list):
            self._refuse(("faults",), "is not a list", "- fault: power_dip, then at:", entries)
            return ()
        found = [self._fault(("faults", index), entry) for index, entry in enumerate(entries)]
        return tuple(fault for fault in found if fault is not None)

    def _fault(self, path: KeyPath, entry: Any) -> Fault | None:
        if not isinstance(entry, dict):
            self._refuse(path, "is not a fault", "fault: power_dip, then at:", entry)
            return None
        own = "" if "." in self._station else self._station  # the oven of a station: only lines that name it
        if entry.get("station", own) != self._station:
            return None
        name = str(entry.get("fault"))
        kind = self._kinds.get(name)
        if kind is None:
            place = (*path, "fault") if "fault" in entry else path
            self._refuse(
                place, "is not a fault this controller knows", f"one of {', '.join(self._kinds)}", entry.get("fault")
            )
            return None
        found: dict[str, Any] = {"kind": name, "at_s": 0.0}
        if kind.default is not None:
            found["by"] = kind.default
        allowed = ["fault", "station", "at", *(["for"] if kind.lasts else []), *(["by"] if kind.by else [])]
        if kind.where == "wire" and name != "mute":
            allowed.append("replies")
        for key, value in entry.items():
            here = (*path, key)
            if key not in allowed:
                self._refuse(here, f"is not a key of {name}", f"one of {', '.join(allowed)}")
            elif key == "at":
                found["at_s"] = self._quantity(here, value, "s", "3 h")
            elif key == "for":
                found["for_s"] = self._quantity(here, value, "s", "20 min")
            elif key == "by":
                found["by"] = self._quantity(here, value, kind.by, _UNITS[kind.by])
            elif key == "replies":
                found["replies"] = self._count(here, value)
        needed = {"at": True, "for": kind.lasts == "needed", "by": bool(kind.by) and kind.default is None}
        for key, wanted in needed.items():
            if wanted and key not in entry:
                example = {"at": "3 h", "for": "20 min"}.get(key) or _UNITS[kind.by]
                self._refuse(path, f"{name} needs {key}:", f"{key}: {example}")
        line, _ = self._located.place(path)
        return Fault(**found, place=f"{self._located.file}:{line}")

    def _count(self, path: KeyPath, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self._refuse(path, "is not a whole number from 1", "such as 3", value)
            return 1
        return value

    def _quantity(self, path: KeyPath, value: Any, unit: str, example: str) -> float:
        try:
            found = parse(value, unit, example=example, difference=unit == "K")
        except QuantityError as problem:
            self._refuse(path, problem.what, problem.expected)
            return 0.0
        if found < 0.0:
            self._refuse(path, "is negative", f"such as {example}", value)
        return found

    def _refuse(self, path: KeyPath, what: str, expected: str, value: object = "") -> None:
        shown = "" if isinstance(value, (dict, list)) or value in {"", None} else repr(value)
        self.findings.append(self._located.finding(path, what, value=shown, expected=expected))
