"""The kinds of row that a journal has; each event is of one."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "planned",
    "opened",
    "intent",
    "started",
    "progress",
    "outcome",
    "verified",
    "handed_off",
    "failed",
    "operator",
    "safe_state",
    "alarm",
    "clock_jump",
]
