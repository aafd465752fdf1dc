"""Fault scripts: what goes wrong on the simulated console, when, and for how long.

::

    version: 1
    faults:
      - fault: heater_trip
        at: 3 h                    # after the simulated lab was made
      - fault: gas_loss
        during: {title: tmix03, after: 10 min}    # counted from the start of the first such acquisition
        for: 20 min
      - fault: ser_late
        during: {acquisition: 4}   # the fourth acquisition of this lab
        by: 90 s

An unknown key, an unknown fault or a missing value is refused with file, line and column.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import Finding, InputError
from labctl.located_yaml import KeyPath, Located, load
from labctl.units import QuantityError, parse


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What a fault does, and which of `for` and `by` it takes; ``!`` marks what must be given."""

    what: str
    lasts: str = ""
    by: str = ""


FAULTS: dict[str, FaultKind] = {
    "heater_trip": FaultKind("the VT unit cuts its own heater; a person re-arms it after `for`", lasts="optional"),
    "gas_loss": FaultKind("VT gas falls to nothing; the unit's cut-out drops the heater", lasts="optional"),
    "spin_loss": FaultKind("the rotor loses its drive and runs down", lasts="optional"),
    "spin_off_rate": FaultKind("the rotor runs off its rate", lasts="optional", by="Hz"),
    "sensor_stuck": FaultKind("the temperature reading stays what it was", lasts="optional"),
    "sensor_silent": FaultKind("the VT unit does not answer: read-backs fail", lasts="optional"),
    "halt": FaultKind("somebody types halt: the scan is finished, what was acquired is kept"),
    "stop": FaultKind("somebody types stop: ends at once, the current row is lost"),
    "topspin_restart": FaultKind("TopSpin is restarted: AU programs and setdef are gone, the acquisition goes on"),
    "dialog": FaultKind("a modal dialog holds up every command of AU programs", lasts="needed"),
    "ser_late": FaultKind("raw data reach the disk late, after the audit trail says completed", by="s"),
    "ser_short": FaultKind("raw data lack their last rows (or part of a fid)", by="rows"),
    "disk_full": FaultKind("nothing more can be written to the data disk", lasts="optional"),
    "overflow": FaultKind("the receiver overflows in the next acquisition"),
}
"""Every fault the console knows."""

_UNITS = {"Hz": ("Hz", "200 Hz"), "s": ("s", "90 s")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a fault script, in SI.

    Attributes
    ----------
    at_s : float or None
        Time after the lab was made; None if the fault waits for an acquisition.
    title, expno, acquisition : str, int, int
        Which acquisition starts the count ("" and 0: any); `after_s` counts from its start.
    for_s : float or None
        How long it lasts; None: until somebody mends it.
    by : float
        Size: hertz, seconds or rows, as the kind of fault has it.
    place : str
        ``file:line`` for messages.
    """

    kind: str
    at_s: float | None = None
    title: str = ""
    expno: int = 0
    acquisition: int = 0
    after_s: float = 0.0
    for_s: float | None = None
    by: float = 0.0
    place: str = ""

    def waits_for(self, *, title: str, expno: int, number: int) -> bool:
        """Whether this acquisition starts the fault's count."""
        return (
            self.at_s is None and self.title in title and self.expno in {0, expno} and self.acquisition in {0, number}
        )


def load_faults(path: Path, *, station: str = "") -> tuple[Fault, ...]:
    """Return the faults of a script, in its order; those of other stations are passed over.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    located = load(path)
    reader = _Reader(located, station)
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
            self._refuse(("faults",), "is not a list", "- fault: heater_trip, then at: or during:", entries)
            return ()
        found = [self._fault(("faults", index), entry) for index, entry in enumerate(entries)]
        return tuple(fault for fault in found if fault is not None)

    def _fault(self, path: KeyPath, entry: Any) -> Fault | None:
        if not isinstance(entry, dict):
            self._refuse(path, "is not a fault", "fault: heater_trip, then at: or during:", entry)
            return None
        if entry.get("station", self._station) != self._station:
            return None
        name = entry.get("fault")
        kind = FAULTS.get(str(name))
        if kind is None:
            self._refuse(
                (*path, "fault") if "fault" in entry else path,
                "is not a fault the console knows",
                f"one of {', '.join(FAULTS)}",
                name,
            )
            return None
        found: dict[str, Any] = {"kind": str(name)}
        for key, value in entry.items():
            here = (*path, key)
            if key in {"fault", "station"}:
                continue
            if key == "at":
                found["at_s"] = self._quantity(here, value, "s", "3 h")
            elif key == "during":
                found |= self._during(here, value)
            elif key == "for" and kind.lasts:
                found["for_s"] = self._quantity(here, value, "s", "20 min")
            elif key == "by" and kind.by:
                found["by"] = self._size(here, value, kind.by)
            else:
                allowed = [
                    "fault",
                    "station",
                    "at",
                    "during",
                    *(["for"] if kind.lasts else []),
                    *(["by"] if kind.by else []),
                ]
                self._refuse(here, f"is not a key of {name}", f"one of {', '.join(allowed)}")
        if ("at" in entry) is ("during" in entry):
            self._refuse(
                path, "says not, or twice, when it happens", "either at: 3 h or during: {title: tmix03, after: 10 min}"
            )
        for key, needed in (("for", kind.lasts == "needed"), ("by", bool(kind.by))):
            if needed and key not in entry:
                self._refuse(path, f"{name} needs {key}:", f"{key}: {_example(kind, key)}")
        line, _ = self._located.place(path)
        return Fault(**found, place=f"{self._located.file}:{line}")

    def _during(self, path: KeyPath, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not value:
            self._refuse(path, "does not name an acquisition", "{title: tmix03, after: 10 min}", value)
            return {}
        found: dict[str, Any] = {}
        for key, item in value.items():
            here = (*path, key)
            if key == "after":
                found["after_s"] = self._quantity(here, item, "s", "10 min")
            elif key == "title":
                found["title"] = str(item)
            elif key in {"expno", "acquisition"}:
                if isinstance(item, bool) or not isinstance(item, int) or item < 1:
                    self._refuse(here, "is not a whole number from 1", "such as 4", item)
                else:
                    found[key] = item
            else:
                self._refuse(here, "is not a key here", "title, expno, acquisition, after")
        return found

    def _size(self, path: KeyPath, value: Any, unit: str) -> float:
        if unit in _UNITS:
            return self._quantity(path, value, *_UNITS[unit])
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self._refuse(path, "is not a number of rows", "such as 12", value)
            return 0.0
        return float(value)

    def _quantity(self, path: KeyPath, value: Any, unit: str, example: str) -> float:
        try:
            found = parse(value, unit, example=example)
        except QuantityError as problem:
            self._refuse(path, problem.what, problem.expected)
            return 0.0
        if unit == "s" and found < 0.0:
            self._refuse(path, "is negative", f"such as {example}", value)
        return found

    def _refuse(self, path: KeyPath, what: str, expected: str, value: object = "") -> None:
        shown = "" if isinstance(value, (dict, list)) or value in {"", None} else repr(value)
        self.findings.append(self._located.finding(path, what, value=shown, expected=expected))


def _example(kind: FaultKind, key: str) -> str:
    if key == "for":
        return "20 min"
    return _UNITS[kind.by][1] if kind.by in _UNITS else "12"
