"""Reads fault scripts: what goes wrong, when, and for how long.

::

    version: 1
    faults:
      - fault: heater_trip
        station: nmr500              # may be left out where one station is simulated
        at: 3 h                      # after the simulated lab was made
      - fault: gas_loss
        during: {title: tmix03, after: 10 min}    # counted from when such an acquisition began
        for: 20 min

Mistakes are findings with file, line and column, all of them at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import Finding, InputError
from labctl.located_yaml import KeyPath, Located, load
from labctl.units import QuantityError, parse
from labctl_sim_faults._kinds import FaultKind, Parameter, Trigger

Value = float | int | tuple[int, int]

_FRAME = ("fault", "station", "at", "during", "for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a fault script, in SI.

    Attributes
    ----------
    at_s : float or None
        Time after the simulated lab was made; None if the fault waits for something.
    trigger : mapping
        What it waits for, by the simulator's keys; `after_s` counts from there.
    for_s : float or None
        How long it lasts; None: until somebody mends it.
    values : mapping
        Of the kind's parameters, those that are given or have a default.
    place : str
        ``file:line`` for messages.
    """

    kind: str
    station: str = ""
    at_s: float | None = None
    trigger: Mapping[str, str | int] = field(default_factory=dict)
    after_s: float = 0.0
    for_s: float | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    place: str = ""

    def number(self, name: str, otherwise: float = 0.0) -> float:
        """Return a parameter as a float."""
        value = self.values.get(name, otherwise)
        assert not isinstance(value, tuple)
        return float(value)

    def pair(self, name: str) -> tuple[int, int] | None:
        """Return a parameter that is a pair of numbers, None if it is not given."""
        value = self.values.get(name)
        return value if isinstance(value, tuple) else None


def read_script(
    path: Path, kinds: Mapping[str, FaultKind], *, station: str, triggers: Trigger | None = None, named: bool = False
) -> tuple[Entry, ...]:
    """Return the entries of a script that concern a station, in its order.

    Parameters
    ----------
    kinds : mapping
        Faults that the station's simulator knows.
    station : str
        Entries that name another are passed over; an empty name takes all.
    triggers : mapping
        What `during` may name; None: the simulator knows no `during`.
    named : bool
        Only entries that name the station are its own.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    script = ScriptReader(load(path))
    found = [
        script.entry(place, entry, kinds, triggers or {}, station)
        for place, entry in script.entries()
        if not isinstance(entry, dict) or not station or entry.get("station", "" if named else station) == station
    ]
    if script.findings:
        raise InputError(findings=tuple(script.findings))
    return tuple(entry for entry in found if entry is not None)


class ScriptReader:
    """Takes a script apart and remembers what is wrong with it."""

    def __init__(self, located: Located) -> None:
        self._located = located
        self.findings: list[Finding] = []

    def entries(self) -> Iterable[tuple[KeyPath, Any]]:
        """Return the entries and where they stand; the frame around them is checked."""
        data = self._located.data
        if not isinstance(data, dict):
            self.refuse((), "is not a fault script", "version: 1 and a list of faults")
            return []
        for key in data:
            if key not in {"version", "faults"}:
                self.refuse((key,), "is not a key of a fault script", "version and faults")
        if data.get("version") != 1:
            self.refuse(("version",), "is not a version this labctl reads", "version: 1", data.get("version"))
        entries = data.get("faults")
        if not isinstance(entries, list):
            self.refuse(("faults",), "is not a list", "- {fault: ..., at: 3 h}", entries)
            return []
        return [(("faults", index), entry) for index, entry in enumerate(entries)]

    def entry(
        self, path: KeyPath, entry: Any, kinds: Mapping[str, FaultKind], triggers: Trigger, station: str
    ) -> Entry | None:
        """Return one entry, or None where it cannot be used; what is wrong with it is in `findings`."""
        if not isinstance(entry, dict):
            self.refuse(path, "is not a fault", "{fault: ..., at: 3 h}", entry)
            return None
        name = entry.get("fault")
        kind = kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            here = (*path, "fault") if "fault" in entry else path
            whose = f"is not a fault of {station}" if station else "is not a fault"
            self.refuse(here, whose, suggestion(name, kinds), name)
            return None
        allowed = [key for key in _FRAME if (key != "for" or kind.lasts) and (key != "during" or triggers)]
        allowed += kind.parameters
        found: dict[str, Any] = {}
        values: dict[str, Value] = {
            key: parameter.default for key, parameter in kind.parameters.items() if parameter.default is not None
        }
        for key, value in entry.items():
            here = (*path, key)
            if key not in allowed:
                self.refuse(here, f"is not a key of {name}", suggestion(key, allowed))
            elif key in {"at", "for"}:
                found[f"{key}_s"] = self._quantity(here, value, _DURATION[key])
            elif key == "during":
                found |= self._during(here, value, triggers)
            elif key in kind.parameters:
                values[key] = self._value(here, value, kind.parameters[key])
        self._complete(path, str(name), entry, kind, triggers)
        line, _ = self._located.place(path)
        return Entry(
            kind=str(name),
            station=str(entry.get("station", "")),
            values=values,
            place=f"{self._located.file}:{line}",
            **found,
        )

    def _complete(self, path: KeyPath, name: str, entry: dict[str, Any], kind: FaultKind, triggers: Trigger) -> None:
        when = "at: 3 h"
        if triggers:
            when = f"either at: 3 h or during: {_trigger_example(triggers)}"
        if ("at" in entry) is ("during" in entry) and ("during" not in entry or triggers):
            what = "says not, or twice, when it happens" if triggers else f"{name} needs at:"
            self.refuse(path, what, when)
        if kind.lasts == "needed" and "for" not in entry:
            self.refuse(path, f"{name} needs for:", "for: 20 min")
        for key, parameter in kind.parameters.items():
            if parameter.default is None and not parameter.optional and key not in entry:
                self.refuse(path, f"{name} needs {key}:", f"{key}: {parameter.example}")

    def _during(self, path: KeyPath, value: Any, triggers: Trigger) -> dict[str, Any]:
        example = _trigger_example(triggers)
        if not isinstance(value, dict) or not value.keys() - {"after"}:
            self.refuse(path, "does not name what it waits for", example, value)
            return {}
        trigger: dict[str, str | int] = {}
        after_s = 0.0
        for key, item in value.items():
            here = (*path, key)
            if key == "after":
                after_s = self._quantity(here, item, _DURATION["after"])
            elif key not in triggers:
                self.refuse(here, "is not a key here", suggestion(key, [*triggers, "after"]))
            elif triggers[key] == "count":
                trigger[key] = self._count(here, item)
            elif isinstance(item, str) and item:
                trigger[key] = item
            else:
                self.refuse(here, "is not text", example, item)
        return {"trigger": trigger, "after_s": after_s}

    def _value(self, path: KeyPath, value: Any, parameter: Parameter) -> Value:
        match parameter.form:
            case "count":
                return self._count(path, value)
            case "function":
                if isinstance(value, list) and len(value) == 2 and all(type(part) is int for part in value):
                    return (value[0], value[1])
                self.refuse(path, f"is not {parameter.what}", f"such as {parameter.example}", value)
                return (0, 0)
            case "number":
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    return float(value)
                self.refuse(path, "is not a number", f"such as {parameter.example}", value)
                return 0.0
            case _:
                return self._quantity(path, value, parameter)

    def _count(self, path: KeyPath, value: Any) -> int:
        if type(value) is not int or value < 1:
            self.refuse(path, "is not a whole number from 1", "such as 3", value)
            return 1
        return int(value)

    def _quantity(self, path: KeyPath, value: Any, parameter: Parameter) -> float:
        try:
            found = parse(value, parameter.unit, example=parameter.example, difference=parameter.difference)
        except QuantityError as problem:
            self.refuse(path, problem.what, problem.expected)
            return 0.0
        if found < 0.0 and not parameter.signed:
            self.refuse(path, "is negative", f"such as {parameter.example}", value)
        return found

    def refuse(self, path: KeyPath, what: str, expected: str, value: object = "") -> None:
        """Remember a mistake and where it stands."""
        shown = "" if isinstance(value, (dict, list)) or value in {"", None} else repr(value)
        self.findings.append(self._located.finding(path, what, value=shown, expected=expected))


_DURATION = {
    "at": Parameter(what="when", example="3 h", unit="s"),
    "for": Parameter(what="how long", example="20 min", unit="s"),
    "after": Parameter(what="how long after", example="10 min", unit="s"),
}


def suggestion(word: object, known: Iterable[str]) -> str:
    """Return what somebody may have meant, before all there is."""
    names = list(known)
    near = difflib.get_close_matches(str(word), names, n=1)
    everything = f"one of {', '.join(names)}"
    return f"did you mean {near[0]}? Else {everything}" if near else everything


def _trigger_example(triggers: Trigger) -> str:
    texts = [key for key, form in triggers.items() if form == "text"]
    return f"{{{texts[0] if texts else next(iter(triggers), 'title')}: tmix03, after: 10 min}}"
