"""Blackouts by the engine's own clock: what is not begun before one, and what one halts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from labctl.plan.blackouts import begin_after, may_wait
from labctl.ports import Measurement
from labctl.run.events import BlackoutBegan, Held, Intended, Reopened
from labctl.run.state import State


def hold_back(state: State, event: Intended | Reopened, now_s: float) -> Held | None:
    """Return what is committed instead of an intent whose step would run into a blackout; None: it may begin.

    A measurement is reckoned with its resolved duration (a recycle delay that came from a fit), anything else with the
    plan's estimate.
    """
    if not state.plan.blackouts:
        return None
    step, record = state.by_id[event.step_id], state.steps[event.step_id]
    task = event.task if isinstance(event, Intended) else record.task or step.task
    if not may_wait(task):
        return None
    duration_s = task.duration_s if isinstance(task, Measurement) else step.estimate_s
    until_s, blackout = begin_after(state.plan.blackouts, event.station, now_s, duration_s)
    if blackout is None:
        return None
    moment = dt.datetime.fromtimestamp(until_s, dt.UTC).strftime("%Y-%m-%d %H:%M")
    return Held(
        station=event.station,
        step_id=event.step_id,
        until_s=until_s,
        why=f"{blackout.name}; {event.step_id} begins after {moment}Z, the temperature is held until then",
    )


@dataclass(slots=True)
class BlackoutWatch:
    """Notices the begin of blackouts that halt what runs, once for each acquisition."""

    _halted: set[tuple[str, float]] = field(default_factory=set)

    def look(self, state: State, name: str, now_s: float) -> tuple[BlackoutBegan | None, float]:
        """Return what has begun over the open acquisition of a station, and in how many seconds one will."""
        step_id = state.stations[name].open
        in_s = float("inf")
        if not state.plan.blackouts or not step_id or not isinstance(state.by_id[step_id].task, Measurement):
            return None, in_s
        attempt = state.steps[step_id].attempt
        for blackout in state.plan.blackouts:
            if blackout.station != name or blackout.during != "halt":
                continue
            about = (f"{step_id} {attempt}", blackout.from_s)
            if blackout.from_s <= now_s < blackout.to_s and about not in self._halted:
                self._halted.add(about)
                return BlackoutBegan(station=name, step_id=step_id, attempt=attempt, why=blackout.name), in_s
            if blackout.from_s > now_s:
                in_s = min(in_s, blackout.from_s - now_s)
        return None, in_s
