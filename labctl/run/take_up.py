"""Taking a campaign up where its journal leaves it, or opening the journal of a new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labctl.dataset.model import Dataset
from labctl.dataset.store import record_verdict
from labctl.errors import InputError, InternalError
from labctl.run.decide import decide
from labctl.run.events import Amended, Event, Finished, HandedOff, Operated, Planned
from labctl.run.journal import Journal
from labctl.run.reporting import Reporter
from labctl.run.state import State, planned_event


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenUp:
    """A campaign as earlier engines left it.

    Attributes
    ----------
    resumed : bool
        Whether there was a journal; if not, it has to be opened with the plan.
    carried_out : frozenset of str
        Requests from other processes that need not be carried out again.
    """

    state: State
    resumed: bool
    carried_out: frozenset[str]


def take_up(journal: Journal, state: State, *, run_dir: Path, reporter: Reporter) -> TakenUp:
    """Rebuild the state from the journal.

    Raises
    ------
    InputError
        The journal belongs to another plan or to a newer labctl, or is not as labctl wrote it.
    """
    journal.verify_chain()  # what follows from it may be heat
    resumed = False
    last_handed: HandedOff | None = None
    carried_out: set[str] = set()
    datasets: dict[tuple[str, int], Dataset] = {}
    for row in journal.rows():
        event = row.event
        if not resumed:
            _same_plan(journal, state, event)
            resumed = True
        state, _ = decide(state, event)
        reporter.note(event, state, row.wall_s)
        if isinstance(event, Finished) and event.dataset is not None:
            datasets[event.step_id, event.attempt] = event.dataset
        elif isinstance(event, HandedOff):
            last_handed = event
        elif isinstance(event, Operated | Amended):
            carried_out.add(event.request)
    if last_handed is not None:  # the manifest may have missed the verdict by a death in between
        try:
            record_verdict(run_dir, datasets[last_handed.step_id, last_handed.attempt], last_handed.verdict)
        except (InputError, OSError) as error:  # a manifest is not worth a campaign that cannot be taken up
            reporter.alarm_once(
                last_handed.station, f"the verdict is not in the manifest: {error}", last_handed.step_id
            )
    return TakenUp(state=state, resumed=resumed, carried_out=frozenset(carried_out))


def _same_plan(journal: Journal, state: State, event: Event) -> None:
    if not isinstance(event, Planned):
        raise InternalError("the journal does not begin with a plan", next_step="Please report it")
    ours = planned_event(state.plan, event.policy)
    if event.campaign != ours.campaign:
        raise InputError(
            f"{journal.path} belongs to campaign {event.campaign!r}, not to {ours.campaign!r}",
            next_step="Choose another folder with --dir",
        )
    then = {(step.id, step.key) for step in event.steps}
    now = {(step.id, step.key) for step in ours.steps}
    if then != now:
        changed = sorted({step_id for step_id, _ in then ^ now})
        raise InputError(
            f"the plan is not the one this campaign was begun with; steps that differ: {', '.join(changed[:8])}"
            + (f" and {len(changed) - 8} more" if len(changed) > 8 else ""),
            next_step="Resume with the protocol frozen in the run folder. If labctl was renewed since, go on with "
            "the version that run.json names; the journal is still its own. Or begin a new campaign",
        )
