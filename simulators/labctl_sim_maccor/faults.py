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

How such a script is read stands in `labctl_sim_faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from labctl_sim_faults import FaultKind, Parameter, Reaction, read_script

Where = Literal["link", "channel", "tester"]

STATION = "cycler"


_CHANNEL = Parameter(what="channel, counted from 1 as operators do", form="count", example="3", default=1)
_REQUESTS = Parameter(what="how many requests it hits", form="count", example="3", default=1)
_FUNCTION = Parameter(what="a function of MacNet", form="function", example="[6, 2]", optional=True)
_EXAMPLES = {"s": "3 s", "ohm": "50 ohm", "V": "3 V"}


def _kind(
    where: Where,
    what: str,
    reaction: Reaction,
    *,
    lasts: bool = False,
    unit: str | None = None,
    default: float | None = None,
    says: str = "",
    hazard: str = "",
    within_s: float = 0.0,
    only_in: tuple[str, ...] = (),
    not_in: tuple[str, ...] = (),
    otherwise: Mapping[str, Reaction] | None = None,
    rehearsed: Mapping[str, str] | None = None,
) -> FaultKind:
    """Return a fault; `unit` of its size ("" for a plain number), and the size where none is given.

    `only_in`, `not_in`: phases in which something comes of it, or nothing.
    """
    parameters: dict[str, Parameter] = {}
    if unit:
        parameters["by"] = Parameter(what="size", unit=unit, example=_EXAMPLES[unit], default=default, signed=True)
    elif unit is not None:
        parameters["by"] = Parameter(what="size", form="number", example="30", default=default)
    if where == "channel":
        parameters["channel"] = _CHANNEL
    if where == "link":
        parameters["function"] = _FUNCTION
        if not lasts:
            parameters["requests"] = _REQUESTS
    harmless = tuple(phase for phase in _PHASES if phase not in only_in) if only_in else not_in
    return FaultKind(
        what=what,
        where=where,
        lasts="optional" if lasts else "",
        parameters=parameters,
        reaction=reaction,
        otherwise={**dict.fromkeys(harmless, Reaction.NOTHING), **(otherwise or {})},
        message=says,
        hazard=hazard,
        within_s=within_s,
        rehearsed=rehearsed or {},
    )


_PHASES = ("start", "resting", "charging", "between polls", "discharging", "end", "recovery", "nobody there")
_START = ("start",)
_R, _P, _A, _N = Reaction.RETRY, Reaction.PAUSE, Reaction.ALARM, Reaction.NOTHING
_AILING = "a shorted, swollen or leaking cell, and sulphides give H2S: do not open it"
_RESTING = "none known, no current flows"
_FOREIGN = "somebody else's data stand in our place"
_AGAIN = "never repeated"

FAULTS: Mapping[str, FaultKind] = {
    # one test in the end, and never a second start
    "request_lost": _kind("link", "the link closes before the request is acted on", _R),
    "reply_lost": _kind("link", "the request is acted on, and the link closes", _R),
    "reply_half": _kind("link", "half the reply comes, and the link closes", _R),
    "reply_late": _kind("link", "the reply comes late", _R, unit="s", default=3.0),
    "reply_stale": _kind("link", "the reply to the request before comes first", _R),
    "reply_twice": _kind("link", "the reply comes twice", _R),
    "reply_garbled": _kind("link", "some bytes of the reply are others", _R),
    "reply_dribbles": _kind("link", "the reply comes a byte at a time", _R),
    "reply_split": _kind("link", "the reply's CR and LF come in two segments", _R),
    "id_constant": _kind("link", "replies carry the id 1987, whatever was asked", _R),
    "refuses": _kind(
        "link", "connections are closed as soon as they are made; the test goes on under its own guards", _A,
        lasts=True, says="closes connections", rehearsed={"for": "20 min"},
    ),
    "slow": _kind("link", "each request takes longer", _R, lasts=True, unit="s", default=0.5),
    "occupied": _kind(
        "channel", "somebody's own test runs there, if the channel is free", _P, says=_FOREIGN, hazard="it is theirs",
        only_in=_START,
    ),
    "channel_stolen": _kind(
        "channel", "an operator resets the channel and starts a test of their own", _P, says=_FOREIGN,
        hazard="it is theirs",
    ),
    "suspended": _kind(
        "channel", "an operator suspends the test (192); the campaign ends there when nobody comes", _P,
        says="stands suspended", hazard=_RESTING, not_in=_START,
    ),
    "forced_step": _kind(
        "channel", "an operator goes to the next step (199); the cycles do not count", _A,
        says="somebody forced the test on", not_in=_START, otherwise={"discharging": _P},
    ),
    "reset_by_operator": _kind(
        "channel", "an operator resets the channel; an idle one is believed after `start_settle`", _P, says=_AGAIN,
        hazard=_RESTING, within_s=20.0, not_in=_START,
    ),
    "safety_trip": _kind(
        "channel", "a safety limit trips; `by` is the code: 189 to 191, 253", _P, unit="", default=190,
        says="safety: voltage", hazard=_AILING, not_in=_START,
    ),
    "hardware_fault": _kind(
        "channel", "the channel fails; `by` is the code, 194 to 198, 252 to 255", _P, unit="", default=197,
        says=_AGAIN, hazard=_AILING, not_in=_START,
    ),
    "short": _kind(
        "channel", "the cell is short-circuited", _P, unit="ohm", default=50.0, says="stands suspended", hazard=_AILING,
    ),
    "resistance": _kind(
        "channel", "the cell's resistances grow by a factor", _P, unit="", default=30.0, says="guard: over-voltage",
        hazard=_AILING, not_in=("end",),
    ),
    "limits_clamped": _kind(
        "channel", "safety limits are taken only up to this voltage", _P, lasts=True, unit="V", default=2.0,
        says="nothing was started", only_in=_START,
    ),
    "start_refused": _kind(
        "channel", "a start is refused; `by` is the code of (6,2)", _P, lasts=True, unit="", default=22,
        says="Nothing was begun", only_in=_START,
    ),
    "chamber_busy": _kind(
        "tester", "an environmental chamber is in use by another; labctl asks for none", _N, lasts=True,
    ),
    "power_failure": _kind(
        "tester", "mains fail: channels stop with PWR Fail, which a person resumes", _P, says="lost power",
        hazard=_RESTING, not_in=_START,
    ),
    **{
        name: _kind(
            "tester", f"all channels show {shown}; looked at again until that is over", _A, lasts=True,
            says="nothing was heard", rehearsed={"for": "20 min"}, otherwise={"start": _P},
        )
        for name, shown in (
            ("no_controller", "No Cntllr"), ("shut_down", "ShutDown"), ("blocked", "Blocked"),
            ("remote_maintenance", "Rem Maint"),
        )
    },
    "clock_skew": _kind("tester", "the tester's clock is beside the truth", _N, lasts=True, unit="s", default=3600.0),
    "login_needed": _kind(
        "tester", "somebody switches authentication on; the test goes on under its own guards", _A, lasts=True,
        says="Is a login needed", otherwise={"start": _P}, rehearsed={"for": "20 min"},
    ),
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
        return cast("Where", FAULTS[self.kind].where)


def load_faults(path: Path, *, station: str) -> tuple[Fault, ...]:
    """Return the faults of a script that belong to this station, in its order.

    Raises
    ------
    InputError
        One finding per mistake, with file, line and column.
    """
    return tuple(
        Fault(
            kind=entry.kind,
            at_s=entry.at_s or 0.0,
            for_s=entry.for_s,
            by=entry.number("by"),
            channel=int(entry.number("channel", 1)) - 1,
            requests=int(entry.number("requests", 1)),
            function=entry.pair("function"),
            place=entry.place,
        )
        for entry in read_script(path, FAULTS, station=station)
    )
