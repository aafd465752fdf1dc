"""What happened to an order: one attempt at one step, from its intent to the verdict on its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from labctl.dataset.model import Dataset, Verdict
from labctl.ports import Standing
from labctl.run.row_kinds import Kind
from labctl.run.stored_plan import TaskField

Result = Literal["done", "halted", "partial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """One attempt at one step is about to be begun, with everything resolved that later could change."""

    kind: ClassVar[Kind] = "intent"
    station: str
    step_id: str
    attempt: int
    key: str
    task: TaskField
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """An intent that never reached the instrument (so it says itself) is taken up again, same attempt."""

    kind: ClassVar[Kind] = "verified"
    station: str
    step_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The instrument was seen doing it."""

    kind: ClassVar[Kind] = "started"
    station: str
    step_id: str
    attempt: int
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A quarter or so further; for history only, nothing follows from it."""

    kind: ClassVar[Kind] = "progress"
    station: str
    step_id: str
    attempt: int
    fraction: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCollected:
    """`part` parts (cycles) of an order's data are complete; `dataset` holds those that are new.

    Its number only rises within an attempt. The whole follows with `Finished`, whatever became of the parts.
    """

    kind: ClassVar[Kind] = "progress"
    station: str
    step_id: str
    attempt: int
    part: int
    dataset: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class PartJudged:
    """Analysis has seen the parts up to `part`; of its gates only ``enough`` is acted upon."""

    kind: ClassVar[Kind] = "verified"
    station: str
    step_id: str
    attempt: int
    part: int
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """An order has ended; `dataset` is what it left, verified and checksummed, waiting in the outbox."""

    kind: ClassVar[Kind] = "outcome"
    station: str
    step_id: str
    attempt: int
    result: Result
    dataset: Dataset | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A step was left out: a settled series, or a person's wish."""

    kind: ClassVar[Kind] = "outcome"
    station: str
    step_id: str
    reason: str
    attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An order went wrong at `stage`; ``begin_unheard``: no reply came, so it may have begun or not."""

    kind: ClassVar[Kind] = "failed"
    station: str
    step_id: str
    attempt: int
    stage: Literal["begin", "begin_unheard", "run", "collect"]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSeen:
    """What the instrument itself knows of an order."""

    kind: ClassVar[Kind] = "verified"
    station: str
    step_id: str
    attempt: int
    standing: Standing
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOff:
    """Analysis has seen a dataset; its verdict is kept, so that it is asked once."""

    kind: ClassVar[Kind] = "handed_off"
    station: str
    step_id: str
    attempt: int
    verdict: Verdict
