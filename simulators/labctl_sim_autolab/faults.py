"""Fault scripts: what goes wrong on the simulated potentiostat, when, and for how long.

::

    version: 1
    faults:
      - fault: usb_gone
        at: 3 h                              # after the simulated lab was made
        for: 10 min
      - fault: open_cell
        during: {title: T03, after: 20 s}    # counted from when a sweep of such a title was announced
      - fault: welded_relay
        station: autolab.oven                # the oven of this station; its own simulator reads these lines
        at: 5 h

Lines for other stations are passed over. An unknown key, an unknown fault or a missing value is refused with file,
line and column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import Finding, InputError
from labctl.located_yaml import KeyPath, Located, load
from labctl.units import QuantityError, parse

FAULTS: Mapping[str, tuple[str, str]] = {
    "usb_gone": ("the USB cable is pulled: calls fail, and the cell stays as it is", ""),
    "nova_holds": ("another program holds the instrument: connecting is refused", ""),
    "open_cell": ("a lead falls off: only the holder's stray capacitance is left", ""),
    "short_cell": ("the pellet's edge is bridged", "ohm"),
    "overload": ("a machine next door: a current at the mains frequency that no range up to it can carry", "A"),
    "latched": ("samples are taken and not stored: potential, current and overload flags stay what they were", ""),
    "bias_jump": ("the cell's voltage moves", "V"),
}
"""Every fault: what it does, and the unit of its size, if it has one."""

_EXAMPLES = {"A": "2 mA", "V": "50 mV", "ohm": "10 ohm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One line of a fault script, in SI.

    Attributes
    ----------
    at_s : float or None
        Time after the simulated lab was made; None: it waits for a sweep.
    title : str
        Text that the title of that sweep contains.
    after_s : float
        From when such a sweep was announced.
    for_s : float or None
        How long it lasts; None: until somebody mends it.
    by : float
        Size, in the unit its kind has.
    """

    kind: str
    at_s: float | None = None
    title: str = ""
    after_s: float = 0.0
    for_s: float | None = None
    by: float = 0.0
    place: str = ""


def load_faults(path: Path, *, station: str) -> tuple[Fault, ...]:
    """Return the lines of a script that concern a station.

    Raises
    ------
    InputError
        One finding for each mistake.
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
            self._refuse(("faults",), "is not a list", "- fault: usb_gone, then at: or during:", entries)
            return ()
        ours = [
            self._fault(("faults", index), entry)
            for index, entry in enumerate(entries)
            if not (isinstance(entry, dict) and entry.get("station", self._station) != self._station)
        ]
        return tuple(fault for fault in ours if fault is not None)

    def _fault(self, path: KeyPath, entry: Any) -> Fault | None:
        name = entry.get("fault") if isinstance(entry, dict) else None
        if not isinstance(name, str) or name not in FAULTS:
            known = f"one of {', '.join(FAULTS)}; for its oven: station: {self._station}.oven"
            self._refuse(path, "is not a fault of the potentiostat", known, name)
            return None
        unit = FAULTS[name][1]
        found: dict[str, Any] = {"kind": name}
        allowed = ["fault", "station", "at", "during", "for", *(["by"] if unit else [])]
        for key, value in entry.items():
            here = (*path, key)
            if key not in allowed:
                self._refuse(here, f"is not a key of {name}", f"one of {', '.join(allowed)}")
            elif key == "at":
                found["at_s"] = self._quantity(here, value, "s", "3 h")
            elif key == "for":
                found["for_s"] = self._quantity(here, value, "s", "10 min")
            elif key == "by":
                found["by"] = self._quantity(here, value, unit, _EXAMPLES[unit])
            elif key == "during":
                found |= self._during(here, value)
        if ("at" in entry) is ("during" in entry):
            self._refuse(path, "says not, or twice, when it happens", "at: 3 h, or during: {title: T03, after: 20 s}")
        if unit and "by" not in entry:
            self._refuse(path, f"{name} needs by:", f"by: {_EXAMPLES[unit]}")
        line, _ = self._located.place(path)
        return Fault(**found, place=f"{self._located.file}:{line}")

    def _during(self, path: KeyPath, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not isinstance(value.get("title"), str) or value.keys() - {"title", "after"}:
            self._refuse(path, "does not name a sweep", "{title: T03, after: 20 s}")
            return {}
        after = value.get("after", "0 s")
        return {"title": value["title"], "after_s": self._quantity((*path, "after"), after, "s", "20 s")}

    def _quantity(self, path: KeyPath, value: Any, unit: str, example: str) -> float:
        try:
            found = parse(value, unit, example=example)
        except QuantityError as problem:
            self._refuse(path, problem.what, problem.expected)
            return 0.0
        if found < 0.0 and unit != "V":
            self._refuse(path, "is negative", f"such as {example}", value)
        return found

    def _refuse(self, path: KeyPath, what: str, expected: str, value: object = "") -> None:
        shown = "" if isinstance(value, (dict, list)) or value in {"", None} else repr(value)
        self.findings.append(self._located.finding(path, what, value=shown, expected=expected))
