"""All faults of all simulators that are installed, found by the entry points of the simulators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from labctl_sim_faults._kinds import FaultKind, Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """What one simulator declares in its module ``faults``.

    Attributes
    ----------
    instrument : str
        Name of the simulator, as lab files have it.
    station : str
        What it is, for people: ``spectrometer``, ``oven``.
    kinds : mapping
        Its faults by name.
    triggers : mapping
        What `during` may name; empty where there is no `during`.
    parts : callable or None
        From the settings of a station: the instruments that are parts of it and read the same script, by what
        their station name ends in (``.oven``).
    """

    instrument: str
    station: str
    kinds: Mapping[str, FaultKind]
    triggers: Trigger
    parts: Callable[[Mapping[str, Any]], Mapping[str, str]] | None = None


def registry() -> dict[str, Registry]:
    """Return what every installed simulator declares, by instrument; those without a module ``faults`` have none."""
    found: dict[str, Registry] = {}
    for entry in sorted(entry_points(group="labctl.simulators"), key=lambda entry: entry.name):
        name = f"{entry.module.split('.')[0]}.faults"
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            continue
        found[entry.name] = Registry(
            instrument=entry.name,
            station=cast("str", module.STATION),
            kinds=cast("Mapping[str, FaultKind]", module.FAULTS),
            triggers=cast("Trigger", getattr(module, "TRIGGERS", {})),
            parts=getattr(module, "parts_of", None),
        )
    return found
