"""What the journal tells afterwards: the certificate, and the timeline of steps, attempts and faults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Protocol

from labctl.dataset.model import Dataset
from labctl.errors import InputError
from labctl.run.events import (
    Alarmed,
    Amended,
    Failed,
    Finished,
    HandedOff,
    Intended,
    Operated,
    PartCollected,
    PartJudged,
    Planned,
    PlannedStep,
    SafeSeen,
    Skipped,
    Started,
    Tripped,
)
from labctl.run.journal import Journal, Row
from labctl.run.standing import BEGUN_AGAIN, said_once
from labctl.run.state import planned_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What was planned, and what became of it; counts acquisitions, not set points.

    Attributes
    ----------
    planned : int
        Acquisitions of the plan, without those that were skipped for a stated reason.
    acquired : int
        Those with an accepted dataset, the partial ones among them.
    partial : int
        Of those acquired, the ones that ended early: rows or points are missing, and what is there is used.
    repeated : int
        Attempts really started beyond the first of their step; `details` says why each was.
    lost : int
        Those the campaign has left behind without an accepted dataset.
    head : str
        Hash of the journal's last row: whoever keeps it can tell a journal that was shortened.
    """

    planned: int
    acquired: int
    repeated: int
    lost: int
    partial: int = 0
    details: tuple[str, ...] = ()
    head: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt at one step, wall times [s since 1970 UTC]; `ended_s` None while it goes on.

    `result` is that of its outcome, ``failed``, ``open`` while it goes on, or ``begun again``: it left nothing when the
    engine died, and another attempt took its place. A set point or a wait has nothing to lose by that.
    """

    step_id: str
    station: str
    role: str
    attempt: int
    intended_s: float
    started_s: float | None = None
    ended_s: float | None = None
    result: str = "open"
    detail: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something out of the ordinary: fault, interlock, alarm, safe state, a person's verb."""

    at_s: float
    kind: str
    station: str
    step_id: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartNews:
    """What analysis said of a part (a cycle) of an acquisition that went on, at wall time `at_s`."""

    at_s: float
    station: str
    step_id: str
    attempt: int
    part: int
    message: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The timeline of a campaign."""

    campaign: str
    planned: tuple[PlannedStep, ...]
    begun_s: float
    last_s: float
    attempts: tuple[Attempt, ...]
    incidents: tuple[Incident, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    parts: tuple[PartNews, ...] = ()


def history(journal: Journal) -> History:
    """Return the timeline.

    Raises
    ------
    InputError
        The journal is empty.
    """
    attempts: dict[tuple[str, int], Attempt] = {}
    incidents: list[Incident] = []
    skipped: dict[str, str] = {}
    parts: list[PartNews] = []
    planned: Planned | None = None
    begun_s = last_s = 0.0
    roles: dict[str, str] = {}
    acquires: set[str] = set()
    for row in journal.rows():
        event = row.event
        begun_s, last_s = begun_s or row.wall_s, row.wall_s
        match event:
            case Planned():
                planned = event
                roles = {step.id: step.role for step in event.steps}
                acquires = {step.id for step in event.steps if step.acquires}
            case Intended():
                before = attempts.get((event.step_id, event.attempt - 1))
                if before is not None and before.result == "open":
                    left = "it left nothing" if event.step_id in acquires else "nothing is acquired in this step"
                    attempts[event.step_id, before.attempt] = replace(
                        before, result=BEGUN_AGAIN, ended_s=row.wall_s, detail=f"labctl was gone meanwhile; {left}"
                    )
                attempts[event.step_id, event.attempt] = Attempt(
                    step_id=event.step_id,
                    station=event.station,
                    role=roles.get(event.step_id, ""),
                    attempt=event.attempt,
                    intended_s=row.wall_s,
                    notes=event.notes,
                )
            case Started():
                _change(attempts, row, started_s=row.wall_s)
            case PartJudged():
                parts.append(
                    PartNews(
                        at_s=row.wall_s,
                        station=event.station,
                        step_id=event.step_id,
                        attempt=event.attempt,
                        part=event.part,
                        message=event.verdict.message,
                        warnings=tuple(one for one in event.verdict.warnings if one != event.verdict.message),
                    )
                )
            case Finished():
                _change(attempts, row, ended_s=row.wall_s, result=event.result, detail=event.detail)
            case Failed():
                _change(attempts, row, ended_s=row.wall_s, result="failed", detail=event.what)
                incidents.append(_incident(row, event.what))
            case Skipped():
                skipped[event.step_id] = event.reason
            case Operated():
                if event.verb == "skip" and event.step_id:
                    skipped[event.step_id] = event.reason
                incidents.append(_incident(row, _asked(event.verb, event)))
            case Amended() if planned is not None:
                planned = replace(planned, steps=tuple(planned_step(step) for step in event.steps))
                roles |= {step.id: step.role for step in planned.steps}
                acquires |= {step.id for step in planned.steps if step.acquires}
                incidents.append(_incident(row, _asked("amend", event)))
            case Tripped():
                incidents.append(_incident(row, event.words))
            case Alarmed():
                incidents.append(_incident(row, event.what))
            case SafeSeen():
                reached = "safe state reached" if event.reached else "safe state NOT read back"
                incidents.append(_incident(row, f"{reached}: {event.detail}"))
            case HandedOff() if event.verdict.gate == "stop" or event.verdict.warnings:
                incidents.append(_incident(row, said_once(event.verdict.message, event.verdict.warnings)))
            case _:
                pass
    if planned is None:
        raise InputError(f"{journal.path} holds no campaign yet", next_step="Run one first")
    return History(
        campaign=planned.campaign,
        planned=planned.steps,
        begun_s=begun_s,
        last_s=last_s,
        attempts=tuple(attempts.values()),
        incidents=tuple(incidents),
        skipped=skipped,
        parts=tuple(parts),
    )


def certificate(journal: Journal) -> Certificate:
    """Return what the campaign planned, acquired, repeated and lost.

    Raises
    ------
    InputError
        The journal is empty.
    """
    told = history(journal)
    tries: dict[str, list[Attempt]] = {}
    for attempt in told.attempts:
        tries.setdefault(attempt.step_id, []).append(attempt)
    reached: dict[str, int] = {}
    for number, step in enumerate(told.planned):
        if step.id in tries:
            reached[step.station] = number
    acquired = partial = repeated = lost = left_out = 0
    details: list[str] = []
    for number, step in enumerate(told.planned):
        if not step.acquires:
            continue
        mine = tries.get(step.id, [])
        if any(attempt.result in {"done", "halted"} for attempt in mine):
            acquired += 1
            if not any(attempt.result == "done" for attempt in mine):
                partial += 1
                why = next(attempt.detail for attempt in reversed(mine) if attempt.result == "halted")
                details.append(f"{step.id}: ended early, what was acquired is used{f': {why}' if why else ''}")
        elif step.id in told.skipped:
            left_out += 1
            details.append(f"{step.id}: skipped: {told.skipped[step.id]}")
        elif number < reached.get(step.station, -1):
            lost += 1
            details.append(f"{step.id}: left behind without data")
        begun = [attempt for attempt in mine if attempt.started_s is not None]
        for before, attempt in pairwise(begun):
            repeated += 1
            was = (
                "open: it was begun and left nothing"
                if before.result == BEGUN_AGAIN
                else f"{before.result}: {before.detail}"
            )
            details.append(f"{step.id}: attempt {attempt.attempt} after attempt {before.attempt} was {was}")
    planned = sum(step.acquires for step in told.planned) - left_out
    return Certificate(
        planned=planned,
        acquired=acquired,
        partial=partial,
        repeated=repeated,
        lost=lost,
        details=tuple(details),
        head=journal.head,
    )


def is_whole(journal: Journal) -> bool:
    """Whether every row is as it was written and none is missing in between."""
    try:
        journal.verify_chain()
    except InputError:
        return False
    return True


def datasets_told(journal: Journal) -> tuple[Dataset, ...]:
    """Return every dataset the journal says was brought in, and every part of one, in order."""
    events = (row.event for row in journal.rows(("outcome", "progress")))
    return tuple(
        event.dataset for event in events if isinstance(event, Finished | PartCollected) and event.dataset is not None
    )


class Counts(Protocol):
    """The numbers of a certificate, wherever they stand."""

    @property
    def planned(self) -> int: ...

    @property
    def acquired(self) -> int: ...

    @property
    def partial(self) -> int: ...

    @property
    def repeated(self) -> int: ...

    @property
    def lost(self) -> int: ...


def counted(certified: Counts) -> str:
    """Return a certificate in one line."""
    partial = f" ({certified.partial} of them partial)" if certified.partial else ""
    return (
        f"acquired {certified.acquired} of {certified.planned} planned{partial}, "
        f"{certified.repeated} repeated, {certified.lost} lost"
    )


def _change(attempts: dict[tuple[str, int], Attempt], row: Row, **changes: object) -> None:
    known = attempts.get((row.step_id, row.attempt))
    if known is not None:
        attempts[row.step_id, row.attempt] = replace(known, **changes)  # type: ignore[arg-type]  # our own field names


def _asked(verb: str, event: Operated | Amended) -> str:
    return f"{verb}: {event.reason}" + (f" ({event.by})" if event.by else "")


def _incident(row: Row, what: str) -> Incident:
    return Incident(at_s=row.wall_s, kind=row.kind, station=row.station, step_id=row.step_id, what=what)
