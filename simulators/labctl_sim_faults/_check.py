"""A fault script held against a whole lab, before any simulator is opened: nothing in it may be passed over by all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.errors import InputError
from labctl.located_yaml import load
from labctl_sim_faults._registry import Registry, registry
from labctl_sim_faults._script import Entry, ScriptReader, suggestion


def check_script(path: Path, stations: Mapping[str, tuple[str, Mapping[str, Any]]]) -> tuple[Entry, ...]:
    """Return all entries of a script; each is one that some station of the lab will carry out.

    Parameters
    ----------
    stations : mapping
        Name to (instrument, settings) of the stations that are simulated.

    Raises
    ------
    InputError
        One finding per mistake: among them a station that is not simulated, and, where several are, an entry that
        does not say which it means.
    """
    known = registry()
    parts = _parts(stations, known)
    script = ScriptReader(load(path))
    found: list[Entry] = []
    for place, entry in script.entries():
        named = isinstance(entry, dict) and "station" in entry
        name = entry["station"] if named else next(iter(stations), "")
        if named and name not in parts:
            script.refuse((*place, "station"), "is no station that is simulated", suggestion(name, parts), name)
            continue
        if isinstance(entry, dict) and not named:
            able = [part for part, instrument in parts.items() if entry.get("fault") in _kinds(known, instrument)]
            if len(stations) > 1 or (able and name not in able):
                which = " or ".join(f"station: {part}" for part in able or parts)
                script.refuse(place, "does not say whose fault it is", which)
                continue
        declared = known.get(parts[str(name)])
        kinds, triggers = (declared.kinds, declared.triggers) if declared else ({}, {})
        if (one := script.entry(place, entry, kinds, triggers, str(name))) is not None:
            found.append(one)
    if script.findings:
        raise InputError(findings=tuple(script.findings))
    return tuple(found)


def _parts(stations: Mapping[str, tuple[str, Mapping[str, Any]]], known: Mapping[str, Registry]) -> dict[str, str]:
    """Return the instrument behind every name that an entry may give."""
    names: dict[str, str] = {}
    for station, (instrument, settings) in stations.items():
        names[station] = instrument
        declared = known.get(instrument)
        if declared is not None and declared.parts is not None:
            names |= {f"{station}{suffix}": part for suffix, part in declared.parts(settings).items()}
    return names


def _kinds(known: Mapping[str, Registry], instrument: str) -> Mapping[str, object]:
    declared = known.get(instrument)
    return declared.kinds if declared else {}
