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

from labctl_sim_faults import FaultKind, Parameter, Reaction, Trigger, read_script

STATION = "potentiostat"

TRIGGERS: Trigger = {"title": "text"}
"""What `during` may name: part of a sweep's title."""

_EXAMPLES = {"A": "2 mA", "V": "50 mV", "ohm": "10 ohm"}


def _kind(what: str, unit: str = "", reaction: Reaction | None = None, message: str = "") -> FaultKind:
    """Return a fault and the unit of its size, if it has one."""
    by = {"by": Parameter(what="size", unit=unit, example=_EXAMPLES[unit], signed=True)} if unit else {}
    return FaultKind(what=what, lasts="optional", parameters=by, reaction=reaction, message=message)


FAULTS: Mapping[str, FaultKind] = {
    "usb_gone": _kind(
        "the USB cable is pulled: calls fail, and the cell stays as it is", reaction=Reaction.NEW_ATTEMPT
    ),
    "nova_holds": _kind("another program holds the instrument: connecting is refused", ""),
    "open_cell": _kind(
        "a lead falls off: only the holder's stray capacitance is left; safe after the second attempt",
        reaction=Reaction.SAFE,
        message="open cell",
    ),
    "short_cell": _kind("the pellet's edge is bridged", "ohm"),
    "overload": _kind("a machine next door: a current at the mains frequency that no range up to it can carry", "A"),
    "latched": _kind("samples are taken and not stored: potential, current and overload flags stay what they were", ""),
    "bias_jump": _kind("the cell's voltage moves", "V"),
}
"""Every fault of the potentiostat."""


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
    return tuple(
        Fault(
            kind=entry.kind,
            at_s=entry.at_s,
            title=str(entry.trigger.get("title", "")),
            after_s=entry.after_s,
            for_s=entry.for_s,
            by=entry.number("by"),
            place=entry.place,
        )
        for entry in read_script(path, FAULTS, station=station, triggers=TRIGGERS)
    )


def parts_of(settings: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the oven that the settings of a station name, by what its own name in a script ends in."""
    oven = settings.get("oven")
    controller = oven.get("controller") if isinstance(oven, Mapping) else None
    return {".oven": controller} if isinstance(controller, str) else {}
