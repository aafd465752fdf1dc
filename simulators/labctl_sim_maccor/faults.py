"""Fault scripts of the simulated tester: what goes wrong, when, and for how long.

::

    version: 1
    faults:
      - fault: short            # after the simulated tester was made
        at: 30 h
        channel: 1              # counted from 1, as operators do; 1 if left out
        by: 50 ohm
      - fault: reply_lost       # the first start that comes after `at`
        at: 0 s
        function: [6, 2]        # any if left out
        requests: 1
      - fault: system_down
        at: 2 h
        for: 20 min

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

Where = Literal["link", "channel", "tester"]


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault does; `unit` of its size ("" if it has none) and the size where none is given."""

    where: Where
    what: str
    lasts: bool = False
    unit: str | None = None
    default: float | None = None


FAULTS: Mapping[str, FaultKind] = {
    "request_lost": FaultKind("link", "the link closes before the request is acted on"),
    "reply_lost": FaultKind("link", "the request is acted on, and the link closes"),
    "reply_half": FaultKind("link", "half the reply comes, and the link closes"),
    "reply_late": FaultKind("link", "the reply comes late", unit="s", default=3.0),
    "reply_stale": FaultKind("link", "the reply to the request before comes first"),
    "reply_dribbles": FaultKind("link", "the reply comes a byte at a time"),
    "id_constant": FaultKind("link", "replies carry the id 1987, whatever was asked"),
    "refuses": FaultKind("link", "connections are closed as soon as they are made", lasts=True),
    "slow": FaultKind("link", "each request takes longer", lasts=True, unit="s", default=0.5),
    "occupied": FaultKind("channel", "somebody's own test runs there"),
    "suspended": FaultKind("channel", "an operator suspends the test (192)"),
    "forced_step": FaultKind("channel", "an operator goes to the next step (199)"),
    "reset_by_operator": FaultKind("channel", "an operator resets the channel"),
    "safety_trip": FaultKind("channel", "a safety limit trips; `by` is the code: 189 to 191, 253", False, "", 190),
    "hardware_fault": FaultKind("channel", "the channel fails; `by` is the code, 194 to 198, 252 to 255", unit="",
                                default=197),
    "short": FaultKind("channel", "the cell is short-circuited", unit="ohm", default=50.0),
    "resistance": FaultKind("channel", "the cell's resistances grow by a factor", unit="", default=30.0),
    "limits_clamped": FaultKind("channel", "safety limits are taken only up to this voltage", True, "V", 3.0),
    "start_refused": FaultKind("channel", "a start is refused; `by` is the code of (6,2)", True, "", 22),
    "chamber_busy": FaultKind("tester", "an environmental chamber is in use by another", lasts=True),
    "power_failure": FaultKind("tester", "mains fail: channels stop with PWR Fail"),
    "no_controller": FaultKind("tester", "all channels show No Cntllr", lasts=True),
    "shut_down": FaultKind("tester", "all channels show ShutDown", lasts=True),
    "blocked": FaultKind("tester", "all channels show Blocked", lasts=True),
    "remote_maintenance": FaultKind("tester", "all channels show Rem Maint", lasts=True),
    "clock_skew": FaultKind("tester", "the tester's clock is beside the truth", lasts=True, unit="s", default=3600.0),
    "login_needed": FaultKind("tester", "somebody switches authentication on", lasts=True),
}  # fmt: skip
"""Every fault of the simulated tester."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a fault script, in SI. `channel` counts from 0; `requests`: how many a fault of the link hits."""

    kind: str
    at_s: float
    for_s: float | None = None
    by: float = 0.0
    channel: int = 0
    requests: int = 1
    function: tuple[int, int] | None = None
    place: str = ""

    @property
    def where(self) -> Where:
        """What it happens to."""
        return FAULTS[self.kind].where


def load_faults(path: Path, *, station: str) -> tuple[Fault, ...]:
    """Return the faults of a script that belong to this station, in its order.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    reader = _Reader(load(path), station)
    faults = reader.script()
    if reader.findings:
        raise InputError(findings=tuple(reader.findings))
    return faults


class _Reader:
    def __init__(self, located: Located, station: str) -> None:
        self._located = located
        self._station = station
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
            self._refuse(("faults",), "is not a list", "- fault: short, then at:", entries)
            return ()
        found = [self._fault(("faults", index), entry) for index, entry in enumerate(entries)]
        return tuple(fault for fault in found if fault is not None)

    def _fault(self, path: KeyPath, entry: Any) -> Fault | None:
        if not isinstance(entry, dict):
            self._refuse(path, "is not a fault", "fault: short, then at:", entry)
            return None
        if entry.get("station", self._station) != self._station:
            return None
        name = str(entry.get("fault"))
        kind = FAULTS.get(name)
        if kind is None:
            place = (*path, "fault") if "fault" in entry else path
            self._refuse(place, "is not a fault of the tester", f"one of {', '.join(FAULTS)}", entry.get("fault"))
            return None
        allowed = ["fault", "station", "at"]
        allowed += ["for"] if kind.lasts else []
        allowed += ["by"] if kind.unit is not None else []
        allowed += {"channel": ["channel"], "link": ["function"], "tester": []}[kind.where]
        allowed += ["requests"] if kind.where == "link" and not kind.lasts else []
        found: dict[str, Any] = {"kind": name, "at_s": 0.0, "by": kind.default or 0.0}
        for key, value in entry.items():
            here = (*path, key)
            if key not in allowed:
                self._refuse(here, f"is not a key of {name}", f"one of {', '.join(allowed)}")
            elif key in {"at", "for"}:
                found[f"{key}_s"] = self._quantity(here, value, "s", "3 h")
            elif key == "by":
                found["by"] = self._quantity(here, value, kind.unit or "", "50 ohm" if kind.unit == "ohm" else "3 s")
            elif key in {"channel", "requests"}:
                counted = self._count(here, value)
                found[key] = counted - 1 if key == "channel" else counted
            elif key == "function":
                found[key] = self._function(here, value)
        if "at" not in entry:
            self._refuse(path, f"{name} needs at:", "at: 3 h")
        line, _ = self._located.place(path)
        return Fault(**found, place=f"{self._located.file}:{line}")

    def _function(self, path: KeyPath, value: Any) -> tuple[int, int] | None:
        if isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value):
            return (value[0], value[1])
        self._refuse(path, "is not a function of MacNet", "[6, 2]", value)
        return None

    def _count(self, path: KeyPath, value: Any) -> int:
        if type(value) is not int or value < 1:
            self._refuse(path, "is not a whole number from 1", "such as 3", value)
            return 1
        return int(value)

    def _quantity(self, path: KeyPath, value: Any, unit: str, example: str) -> float:
        if not unit and isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        try:
            found = parse(value, unit, example=example)
        except QuantityError as problem:
            self._refuse(path, problem.what, problem.expected)
            return 0.0
        if found < 0.0 and path[-1] != "by":
            self._refuse(path, "is negative", f"such as {example}", value)
        return found

    def _refuse(self, path: KeyPath, what: str, expected: str, value: object = "") -> None:
        shown = "" if isinstance(value, (dict, list)) or value in {"", None} else repr(value)
        self.findings.append(self._located.finding(path, what, value=shown, expected=expected))
