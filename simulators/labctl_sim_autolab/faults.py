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

_EXAMPLES = {"A": "20 mA", "V": "50 mV", "ohm": "10 ohm"}


def _kind(
    what: str,
    unit: str,
    reaction: Reaction,
    *,
    says: str = "",
    hazard: str = "",
    otherwise: Mapping[str, Reaction] | None = None,
    rehearsed: Mapping[str, str] | None = None,
) -> FaultKind:
    """Return a fault and the unit of its size, if it has one."""
    by = {"by": Parameter(what="size", unit=unit, example=_EXAMPLES[unit], signed=True)} if unit else {}
    return FaultKind(
        what=what,
        lasts="optional",
        parameters=by,
        reaction=reaction,
        otherwise=otherwise or {},
        message=says,
        hazard=hazard,
        rehearsed=rehearsed or {},
    )


_SWEEPING = ("first point", "mid sweep", "last point")
_AWAY = ("heating", "settling", "soaking", "between steps", "cooling back")
_NOTHING = Reaction.NOTHING
_UNREACHED: Mapping[str, Reaction] = {**dict.fromkeys(_AWAY, _NOTHING), "nobody there": _NOTHING}
_COOLING: Mapping[str, Reaction] = {"cooling back": _NOTHING}
_STAYS_ON = "the cell may still be on: press the cell switch on the front panel"

FAULTS: Mapping[str, FaultKind] = {
    "usb_gone": _kind(
        "the USB cable is pulled: calls fail, and the cell stays as it is; safe if it is not back for the next attempt",
        "",
        Reaction.NEW_ATTEMPT,
        says="attempt 2 follows",
        hazard=_STAYS_ON,
        otherwise={**_UNREACHED, "recovery": Reaction.SAFE},
        rehearsed={"for": "1 min"},
    ),
    "nova_holds": _kind(
        "another program holds the instrument: connecting is refused; what is connected goes on",
        "",
        Reaction.SAFE,
        says="in use by another process",
        hazard="it is not known whether the cell is on",
        otherwise=dict.fromkeys((*_AWAY, *_SWEEPING), _NOTHING),
    ),
    "mains_gone": _kind(
        "the potentiostat loses its mains: the cell relay opens, calls fail until power and USB are back",
        "",
        Reaction.NEW_ATTEMPT,
        says="attempt 2 follows",
        otherwise={**_UNREACHED, "recovery": Reaction.SAFE},
        rehearsed={"for": "1 min"},
    ),
    "open_cell": _kind(
        "a lead falls off: only the holder's stray capacitance is left; safe after the second attempt",
        "",
        Reaction.SAFE,
        says="open cell",
        otherwise=_COOLING,
    ),
    "short_cell": _kind(
        "the pellet's edge is bridged: spectra are flagged, or fail, as the lab file says (`bridged`, `short_below`)",
        "ohm",
        Reaction.ALARM,
        says="bridged?",
        otherwise={**_COOLING, "mid sweep": Reaction.NEW_ATTEMPT, "last point": Reaction.NEW_ATTEMPT},
    ),
    "overload": _kind(
        "a machine next door: a current at the mains frequency that no range up to it can carry; safe after the second"
        " attempt",
        "A",
        Reaction.SAFE,
        says="over the highest range allowed",
        otherwise=_COOLING,
    ),
    "latched": _kind(
        "samples are taken and not stored: potential, current and overload flags stay what they were; safe after the"
        " second attempt",
        "",
        Reaction.SAFE,
        says="the sampler no longer samples",
        otherwise=_COOLING,
    ),
    "bias_jump": _kind(
        "the cell's voltage moves: the spectrum is flagged, none follows, safe after the second attempt",
        "V",
        Reaction.SAFE,
        says="would drive a cell whose open-circuit potential",
        hazard="a bias of 0 V would discharge the cell",
        otherwise=_COOLING,
    ),
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
