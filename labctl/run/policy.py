"""What a campaign does by itself when something is not as planned; agreed at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

OnFault = Literal["safe", "pause"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What to do when something is not as planned; frozen into the journal with the plan.

    Attributes
    ----------
    on_fault : mapping
        Station to ``safe`` or ``pause``; a station not named goes safe. Interlock trips always go safe.
    max_attempts : int
        Attempts at a measurement before a person is asked.
    interrupted : str
        Expensive acquisition found interrupted: keep the partial data and do it ``again``, or ``ask`` a person.
    halted : str
        Acquisition halted at the console: ``accept`` its data and go on, do it ``again``, or ``ask``.
    """

    on_fault: Mapping[str, OnFault] = field(default_factory=dict)
    max_attempts: int = 2
    interrupted: Literal["again", "ask"] = "again"
    halted: Literal["accept", "again", "ask"] = "accept"
