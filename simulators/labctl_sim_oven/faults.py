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

How such a script is read stands in `labctl_sim_faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from labctl_sim_faults import FaultKind, Parameter, Reaction, read_script

Where = Literal["oven", "controller", "wire"]

STATION = "oven"

_REPLIES = Parameter(what="how many messages it hits", form="count", example="3", default=1)
_EXAMPLES = {"percent": "100 %", "K": "15 K", "s": "2 s"}


_COOLING = ("cooling back",)
_ABSENT = ("nobody there",)
_OFF = "none while it is off"
_SWITCH_OFF = "switch the mains off by hand"


def _kind(
    where: Where,
    what: str,
    reaction: Reaction,
    *,
    lasts: Literal["", "optional", "needed"] = "",
    by: str = "",
    default: float | None = None,
    only: str = "",
    says: str = "",
    hazard: str = "",
    within_s: float = 0.0,
    harmless: tuple[str, ...] = (),
    otherwise: Mapping[str, Reaction] | None = None,
    rehearsed: Mapping[str, str] | None = None,
) -> FaultKind:
    """Return a fault; `by` is the unit of its size, `only` the one controller that can have it.

    `harmless`: phases in which nothing comes of it.
    """
    parameters: dict[str, Parameter] = {}
    if by:
        parameters["by"] = Parameter(what="size", unit=by, example=_EXAMPLES[by], default=default, difference=by == "K")
    if where == "wire" and not lasts:
        parameters["replies"] = _REPLIES
    return FaultKind(
        what=what,
        where=where,
        lasts=lasts,
        parameters=parameters,
        only=only,
        reaction=reaction,
        otherwise={**dict.fromkeys(harmless, Reaction.NOTHING), **(otherwise or {})},
        message=says,
        hazard=hazard,
        within_s=within_s,
        rehearsed=rehearsed or {},
    )


_S, _R, _A = Reaction.SAFE, Reaction.RETRY, Reaction.ALARM
_MEASURED = dict.fromkeys(("first point", "mid sweep", "last point"), _A)

FAULTS: Mapping[str, FaultKind] = {
    "welded_relay": _kind(
        "oven",
        "the heater's relay stays closed: power flows",
        _S,
        lasts="optional",
        by="percent",
        default=100.0,
        says="goes on heating although it is switched off",
        hazard=f"FIRE, and a cell that bursts: {_SWITCH_OFF}",
        within_s=480.0,
    ),
    "heater_open": _kind(
        "oven",
        "the heater has burnt through: no power flows",
        _S,
        lasts="optional",
        says="the controller says that its heater is faulty",
        hazard="a short circuit, or no heat",
        within_s=10.0,
    ),
    "door_open": _kind(
        "oven",
        "somebody opens the door: the air drops at once and goes on losing; the soak begins anew, spectra are flagged",
        _R,
        lasts="needed",
        by="K",
        default=15.0,
        otherwise=_MEASURED,
        rehearsed={"for": "3 min"},
    ),
    "noise": _kind(
        "oven",
        "the sensor picks up noise: the soak begins anew, spectra are flagged",
        _R,
        lasts="optional",
        by="K",
        otherwise={**_MEASURED, "soaking": _A},
        rehearsed={"by": "1 K", "for": "20 min"},
    ),
    "sensor_break": _kind(
        "oven",
        "the sensor's wire breaks: it reads over range",
        _S,
        lasts="optional",
        says="the temperature sensor is broken or not connected",
        hazard="nobody knows how hot it is",
        within_s=10.0,
    ),
    "stale_reading": _kind(
        "oven",
        "the controller goes on showing an old reading",
        _S,
        lasts="optional",
        says="the temperature reading no longer changes",
        hazard="nobody knows how hot it is",
        within_s=330.0,
    ),
    "power_dip": _kind(
        "controller",
        "mains fails for a moment: heater off or in manual, volatile registers gone",
        _S,
        says="mains",
        hazard=_OFF,
        within_s=10.0,
    ),
    "heater_trip": _kind(
        "controller",
        "the heater goes off; the set point still reads fine",
        _S,
        says="tripped",
        hazard=_OFF,
        within_s=10.0,
    ),
    "setpoint_ignored": _kind(
        "controller",
        "set points are accepted and not taken; seen with the next one that is sent",
        _S,
        lasts="optional",
        says="the controller did not take it",
        hazard="it goes on as it was set before",
        harmless=_COOLING,
    ),
    "local_mode": _kind(
        "controller",
        "somebody takes it to local: writes do nothing; seen with the next one that is sent",
        _S,
        lasts="optional",
        says="could not be made safe",
        hazard="heat may be on, and labctl cannot take it away: switch it off by hand",
    ),
    "decimal_shift": _kind(
        "controller",
        "somebody changes the display resolution: scaled integers mean ten times more; labctl reads the IEEE area",
        Reaction.NOTHING,
        only="eurotherm",
    ),
    "mute": _kind(
        "wire",
        "it neither acts nor answers",
        _S,
        lasts="needed",
        says="Look at the controller's display",
        hazard="nobody knows how hot it is",
        within_s=140.0,
        rehearsed={"for": "30 min"},
    ),
    "line_held": _kind(
        "wire",
        "another program holds the line to it",
        _S,
        lasts="needed",
        says="another program holds it",
        hazard="nobody knows how hot it is",
        within_s=140.0,
        rehearsed={"for": "30 min"},
    ),
    "command_lost": _kind("wire", "a message does not arrive", _R),
    "reply_lost": _kind("wire", "it acts, and the answer is lost", _R),
    "reply_late": _kind("wire", "the answer comes late, and with it all that follow", _R, by="s"),
    "reply_garbled": _kind("wire", "some characters of the answer are others", _R),
    "reply_truncated": _kind("wire", "the end of the answer is missing", _R),
    "reply_twice": _kind("wire", "the answer comes twice", _R),
    "bad_crc": _kind("wire", "the answer's checksum is wrong", _R, only="eurotherm"),
}
"""Every fault of the simulated controllers."""

_EUROTHERM: Mapping[str, FaultKind] = {
    "heater_open": replace(FAULTS["heater_open"], otherwise=dict.fromkeys(_COOLING, Reaction.NOTHING)),
    "stale_reading": replace(
        FAULTS["stale_reading"],
        what="the controller goes on showing an old reading; one with a coarse display is believed until the set point"
        " walks, or full power warms nothing",
        message="sensor",
        within_s=0.0,
    ),
}
"""What is otherwise with a Eurotherm: it looks at its load only while there is power, and may show tenths."""


def faults_of(controller: str) -> Mapping[str, FaultKind]:
    """Return those that one kind of controller can have."""
    otherwise = _EUROTHERM if controller == "eurotherm" else {}
    return {name: otherwise.get(name, kind) for name, kind in FAULTS.items() if kind.only in {"", controller}}


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
        return cast("Where", FAULTS[self.kind].where)


def load_faults(path: Path, *, controller: str, station: str) -> tuple[Fault, ...]:
    """Return the faults of a script that belong to this station, in its order.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    part = "." in station  # the oven of a station: only lines that name it
    return tuple(
        Fault(
            kind=entry.kind,
            at_s=entry.at_s or 0.0,
            for_s=entry.for_s,
            by=entry.number("by"),
            replies=int(entry.number("replies", 1)),
            place=entry.place,
        )
        for entry in read_script(path, faults_of(controller), station=station, named=part)
    )
