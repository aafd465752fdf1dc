"""A campaign's state as its journal left it, and what a person may change of it while no engine runs."""

from __future__ import annotations

from labctl.plan.steps import Plan
from labctl.run.decide import decide
from labctl.run.desk import Refused, Replan, amended_event, operated_event, what_was_done
from labctl.run.journal import Journal
from labctl.run.requests import Request
from labctl.run.state import State, initial_state


def replayed(journal: Journal, plan: Plan) -> State:
    """Return the state after all rows of a journal that began with `plan`."""
    state = initial_state(plan)
    for row in journal.rows():
        state, _ = decide(state, row.event)
    return state


def change_at_rest(journal: Journal, plan: Plan, asked: Request, replan: Replan) -> list[str]:
    """Journal a person's skip, abort or amendment of a campaign that no engine holds, and say what became of it.

    The caller holds the journal's lock, so no engine can come in between; the next one finds the deed by replay. An
    order that an instrument may be at cannot be ended this way: only an engine can ask the instrument.

    Raises
    ------
    Refused
        Not legal now; nothing was written.
    """
    before = replayed(journal, plan)
    if asked.verb == "amend":
        event = amended_event(asked, before, replan, journal.path.parent, live=False)
    else:
        event = operated_event(asked, before)  # type: ignore[assignment]  # one of two events, appended alike
        if asked.verb == "skip" and (names := [n for n, s in before.stations.items() if s.open == asked.step_id]):
            raise Refused(
                f"{names[0]} may be at {asked.step_id}, and only an engine can ask it to stop: resume, then skip"
            )
    step = before.by_id.get(event.step_id)
    journal.append(event, key=step.key if step else "")
    state, _ = decide(before, event)
    if asked.verb == "abort":
        return ["noted: the next engine brings every station to its safe state and begins nothing"]
    return what_was_done(asked, before, state)
