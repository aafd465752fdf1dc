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
    where: Where, what: str, lasts: bool = False, unit: str | None = None, default: float | None = None
) -> FaultKind:
    """Return a fault; `unit` of its size ("" for a plain number), and the size where none is given."""
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
    return FaultKind(
        what=what,
        where=where,
        lasts="optional" if lasts else "",
        parameters=parameters,
        reaction=Reaction.RETRY if where == "link" else None,  # one test in the end, and never a second start
    )


FAULTS: Mapping[str, FaultKind] = {
    "request_lost": _kind("link", "the link closes before the request is acted on"),
    "reply_lost": _kind("link", "the request is acted on, and the link closes"),
    "reply_half": _kind("link", "half the reply comes, and the link closes"),
    "reply_late": _kind("link", "the reply comes late", unit="s", default=3.0),
    "reply_stale": _kind("link", "the reply to the request before comes first"),
    "reply_twice": _kind("link", "the reply comes twice"),
    "reply_garbled": _kind("link", "some bytes of the reply are others"),
    "reply_dribbles": _kind("link", "the reply comes a byte at a time"),
    "reply_split": _kind("link", "the reply's CR and LF come in two segments"),
    "id_constant": _kind("link", "replies carry the id 1987, whatever was asked"),
    "refuses": _kind("link", "connections are closed as soon as they are made", lasts=True),
    "slow": _kind("link", "each request takes longer", lasts=True, unit="s", default=0.5),
    "occupied": _kind("channel", "somebody's own test runs there"),
    "suspended": _kind("channel", "an operator suspends the test (192)"),
    "forced_step": _kind("channel", "an operator goes to the next step (199)"),
    "reset_by_operator": _kind("channel", "an operator resets the channel"),
    "safety_trip": _kind("channel", "a safety limit trips; `by` is the code: 189 to 191, 253", False, "", 190),
    "hardware_fault": _kind("channel", "the channel fails; `by` is the code, 194 to 198, 252 to 255", unit="",
                                default=197),
    "short": _kind("channel", "the cell is short-circuited", unit="ohm", default=50.0),
    "resistance": _kind("channel", "the cell's resistances grow by a factor", unit="", default=30.0),
    "limits_clamped": _kind("channel", "safety limits are taken only up to this voltage", True, "V", 3.0),
    "start_refused": _kind("channel", "a start is refused; `by` is the code of (6,2)", True, "", 22),
    "chamber_busy": _kind("tester", "an environmental chamber is in use by another", lasts=True),
    "power_failure": _kind("tester", "mains fail: channels stop with PWR Fail"),
    "no_controller": _kind("tester", "all channels show No Cntllr", lasts=True),
    "shut_down": _kind("tester", "all channels show ShutDown", lasts=True),
    "blocked": _kind("tester", "all channels show Blocked", lasts=True),
    "remote_maintenance": _kind("tester", "all channels show Rem Maint", lasts=True),
    "clock_skew": _kind("tester", "the tester's clock is beside the truth", lasts=True, unit="s", default=3600.0),
    "login_needed": _kind("tester", "somebody switches authentication on", lasts=True),
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
