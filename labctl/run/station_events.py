"""What happened to a station whatever it was at: safety, its temperature loop, blackouts, and what people are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl.run.row_kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSeen:
    """Whether the station's temperature loop is alive; `held`: readings prove the band was never left."""

    kind: ClassVar[Kind] = "verified"
    station: str
    alive: bool
    held: bool = False
    detail: str = ""
    step_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tripped:
    """An interlock: a limit broken for two polls, or silence."""

    kind: ClassVar[Kind] = "failed"
    station: str
    limit: str
    detail: str
    value: float | None = None
    bound: float | None = None
    step_id: str = ""
    attempt: int = 0

    @property
    def words(self) -> str:
        """What is told to people: the sentence first, the interlock's name behind it."""
        return f"{self.detail} [{self.limit}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarmed:
    """Something a person should know; nothing follows from it. `person`: the campaign waits until one comes."""

    kind: ClassVar[Kind] = "alarm"
    station: str
    what: str
    step_id: str = ""
    attempt: int = 0
    person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The next step would run into a blackout and is not begun before its end, `until_s` [wall time]."""

    kind: ClassVar[Kind] = "verified"
    station: str
    step_id: str
    until_s: float
    why: str
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded:
    """The blackout that a station waited for is over."""

    kind: ClassVar[Kind] = "verified"
    station: str
    step_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BlackoutBegan:
    """A blackout that halts what runs has begun over an acquisition."""

    kind: ClassVar[Kind] = "verified"
    station: str
    step_id: str
    attempt: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeAsked:
    """The engine takes a station to safety without a fault: a pause lasted too long."""

    kind: ClassVar[Kind] = "safe_state"
    station: str
    reason: str
    step_id: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeSeen:
    """The safe state was read back, or was not in time."""

    kind: ClassVar[Kind] = "safe_state"
    station: str
    reached: bool
    detail: str = ""
    step_id: str = ""
    attempt: int = 0
