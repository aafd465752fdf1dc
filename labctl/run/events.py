"""What happened: one journal row each. Frozen, plain, both ways JSON.

An event is committed before anything follows from it, and the state of a campaign is what replaying its events
gives. What follows from it are commands (`labctl.run.commands`).
"""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import TypeAdapter

from labctl import __version__
from labctl.run.campaign_events import Amended, ClockJumped, Opened, Operated, Planned, Verb
from labctl.run.order_events import (
    EvidenceSeen,
    Failed,
    Finished,
    HandedOff,
    Intended,
    PartCollected,
    PartJudged,
    Progressed,
    Reopened,
    Result,
    Skipped,
    Started,
)
from labctl.run.policy import OnFault, Policy
from labctl.run.row_kinds import Kind
from labctl.run.station_events import (
    Alarmed,
    BlackoutBegan,
    Held,
    HoldEnded,
    LoopSeen,
    SafeAsked,
    SafeSeen,
    Tripped,
)
from labctl.run.stored_plan import PlannedStep

__all__ = [
    "EVENT_TYPES",
    "Alarmed",
    "Amended",
    "BlackoutBegan",
    "ClockJumped",
    "Event",
    "EvidenceSeen",
    "Failed",
    "Finished",
    "HandedOff",
    "Held",
    "HoldEnded",
    "Intended",
    "Kind",
    "LoopSeen",
    "OnFault",
    "Opened",
    "Operated",
    "PartCollected",
    "PartJudged",
    "Planned",
    "PlannedStep",
    "Policy",
    "Progressed",
    "Reopened",
    "Result",
    "SafeAsked",
    "SafeSeen",
    "Skipped",
    "Started",
    "Tripped",
    "Verb",
    "event_from_json",
    "event_json",
]

Event = (
    Planned
    | Opened
    | Intended
    | Reopened
    | Started
    | Progressed
    | PartCollected
    | PartJudged
    | Finished
    | Skipped
    | Failed
    | EvidenceSeen
    | LoopSeen
    | HandedOff
    | Tripped
    | Alarmed
    | Operated
    | Amended
    | Held
    | HoldEnded
    | BlackoutBegan
    | SafeAsked
    | SafeSeen
    | ClockJumped
)
EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
_ADAPTERS: dict[str, TypeAdapter[Any]] = {cls.__name__: TypeAdapter(cls) for cls in EVENT_TYPES}


def event_json(event: Event) -> str:
    """Return the event as one line of JSON that names its type."""
    name = type(event).__name__
    return f'{{"event":"{name}",' + _ADAPTERS[name].dump_json(event).decode("utf-8")[1:]


def event_from_json(text: str) -> Event:
    """Return the event written by `event_json`.

    Raises
    ------
    ValueError
        The text names no event of this version.
    """
    data = json.loads(text)
    name = data.pop("event", None)
    if name not in _ADAPTERS:
        raise ValueError(f"labctl {__version__} does not know an event {name!r}")
    event: Event = _ADAPTERS[name].validate_python(data, strict=False)
    return event
