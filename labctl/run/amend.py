"""Changing a campaign's plan where nothing has begun yet: what a new plan touches, adds, drops and changes. Pure.

What has begun or lies behind stays as it was done, so the new plan of a station must begin with the very steps (id
and key) that are behind or under way there. Whoever wants the rest measured otherwise ends the procedure at what is
done and writes another one behind it. Nothing can be put before what is under way: it would be measured at another
temperature than its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from labctl.plan.steps import Plan, Step
from labctl.run.state import BEHIND, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """A step that has begun or is behind, and what the new plan would do to it."""

    step_id: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What a new plan means for what is still to come; hours as estimated."""

    added: tuple[Step, ...]
    dropped: tuple[Step, ...]
    changed: tuple[tuple[Step, Step], ...]
    hours_before: float
    hours_after: float

    @property
    def is_nothing(self) -> bool:
        """Whether no step differs."""
        return not (self.added or self.dropped or self.changed)


def fingerprint(plan: Plan) -> str:
    """Return what two plans of the same steps in the same order share."""
    text = "\n".join(f"{step.id} {step.key}" for step in plan.steps)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def touched(state: State, plan: Plan) -> tuple[Touched, ...]:
    """Return what `plan` would change of what has begun or lies behind; nothing: it may take the old one's place."""
    found: list[Touched] = []
    for name in state.stations:
        new = plan.of_station(name)
        begun = _begun(state, name)
        if len(begun) == len(state.of_station[name]) and len(new) > len(begun):
            what = f"is the last of {name}, where everything is behind or under way; nothing can follow it"
            found.append(Touched(step_id=begun[-1].id, what=what))
        keys = {step.id: step.key for step in new}
        for at, step in enumerate(begun):
            how = _how(state, step)
            if step.id not in keys:
                found.append(Touched(step_id=step.id, what=f"{how} and would be dropped"))
            elif keys[step.id] != step.key:
                found.append(Touched(step_id=step.id, what=f"{how} and would be another"))
            elif new[min(at, len(new) - 1)].id != step.id and not found:
                before = next(other for other in new if other.id not in {one.id for one in begun[:at]})
                found.append(Touched(step_id=step.id, what=f"{how}, and {before.id} would come before it"))
    return tuple(found)


def merged(state: State, plan: Plan) -> Plan:
    """Return `plan` with the steps that have begun or lie behind as they were done."""
    kept = {step.id: step for name in state.stations for step in _begun(state, name)}
    return replace(plan, steps=tuple(kept.get(step.id, step) for step in plan.steps))


def difference(state: State, plan: Plan) -> Difference:
    """Return what `plan` changes of what is still to come."""
    old, new = state.by_id, {step.id: step for step in plan.steps}
    return Difference(
        added=tuple(step for step in plan.steps if step.id not in old),
        dropped=tuple(step for step in state.plan.steps if step.id not in new),
        changed=tuple((old[step.id], step) for step in plan.steps if step.id in old and old[step.id].key != step.key),
        hours_before=_hours(state, state.plan.steps),
        hours_after=_hours(state, plan.steps),
    )


def _begun(state: State, name: str) -> tuple[Step, ...]:
    """Steps of a station from its first to the last one that has begun or lies behind in their order."""
    steps = state.of_station[name]
    index = state.stations[name].index
    while index < len(steps) and (
        state.steps[steps[index].id].attempt > 0 or state.steps[steps[index].id].status in BEHIND
    ):
        index += 1
    return steps[:index]


def _how(state: State, step: Step) -> str:
    record = state.steps[step.id]
    if record.status in BEHIND:
        return f"is {record.status}" if record.attempt < 2 else f"is {record.status} in attempt {record.attempt}"
    if record.attempt:
        return f"has begun (attempt {record.attempt}, {record.status})"
    return "lies before what is under way"


def _hours(state: State, steps: Iterable[Step]) -> float:
    """Estimated time of the slowest station for what is still to come, settling judged at the first occasion [h]."""
    left_s: dict[str, float] = {}
    for step in steps:
        record = state.steps.get(step.id)
        if not step.skip_when and (record is None or record.status not in BEHIND):
            left_s[step.station] = left_s.get(step.station, 0.0) + step.estimate_s
    return max(left_s.values(), default=0.0) / 3600.0
