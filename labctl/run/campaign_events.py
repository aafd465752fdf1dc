"""What happened to the whole campaign: its plan, its engines, its operators, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from labctl.plan.blackouts import Blackout
from labctl.run.policy import Policy
from labctl.run.row_kinds import Kind
from labctl.run.stored_plan import PlannedStep, StepField

Verb = Literal["pause", "continue", "abort", "skip", "acknowledge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The campaign as agreed at its start."""

    kind: ClassVar[Kind] = "planned"
    campaign: str
    steps: tuple[PlannedStep, ...]
    policy: Policy = field(default_factory=Policy)
    station: str = ""
    step_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An engine has taken the stations; `resumed` when an earlier one had them."""

    kind: ClassVar[Kind] = "opened"
    epochs: Mapping[str, int]
    resumed: bool
    version: str = ""
    station: str = ""
    step_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Operated:
    """A person's verb, with the reason given; an empty station means all.

    `by` is ``user@host`` as far as known; `request` names what was asked from another process, so that it is
    carried out once.
    """

    kind: ClassVar[Kind] = "operator"
    verb: Verb
    reason: str
    station: str = ""
    step_id: str = ""
    attempt: int = 0
    by: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """The plan as a person changed it where nothing had begun; from here on it is the campaign's plan.

    `protocol_file` of the run folder holds the protocol it comes from, with that hash.
    """

    kind: ClassVar[Kind] = "operator"
    reason: str
    steps: tuple[StepField, ...]
    protocol_file: str
    protocol_sha256: str
    blackouts: tuple[Blackout, ...] = ()
    by: str = ""
    request: str = ""
    station: str = ""
    step_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped:
    """Wall time moved against monotonic time by `wall_s`; soaks and deadlines did not."""

    kind: ClassVar[Kind] = "clock_jump"
    wall_s: float
    station: str = ""
    step_id: str = ""
    attempt: int = 0
