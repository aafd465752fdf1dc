"""The state of a campaign as its events left it: frozen, rebuilt by replay, never stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from labctl.dataset.model import Dataset, Verdict
from labctl.errors import InputError
from labctl.plan.steps import Plan, Step
from labctl.ports import CoolDown, Measurement, Order, SetTemperature, Task
from labctl.run.events import Planned, PlannedStep, Policy
from labctl.run.lifecycle import CampaignPhase, StationPhase

StepStatus = Literal["waiting", "intended", "running", "done", "halted", "partial", "failed", "skipped"]
BEHIND: frozenset[StepStatus] = frozenset({"done", "halted", "skipped"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """How one step stands.

    `attempt` is the last one begun (0: none), `task` what it was begun with; `pending` are datasets whose
    verdict is not in yet; `verdict` is that of the accepted dataset; `unheard` counts begins without a reply.
    `parts` of this attempt were brought in before its end; `part_pending` is the last, while nobody has judged it.
    `enough` says why this attempt is ended before its end, by the verdict on a part; empty if it is not.
    """

    status: StepStatus = "waiting"
    attempt: int = 0
    task: Task | None = None
    pending: tuple[Dataset, ...] = ()
    verdict: Verdict | None = None
    unheard: int = 0
    parts: int = 0
    part_pending: Dataset | None = None
    enough: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationState:
    """How one station stands.

    Attributes
    ----------
    index : int
        Steps that lie behind.
    redo : tuple of str
        Thermal steps to be done again before the next one at `index`.
    open : str
        The step whose order the instrument may hold.
    failure : str
        Why that order is being examined, empty after a mere death of the engine.
    hold, fault : str
        Why a person is needed: something to look at, or something that went wrong.
    foreign : bool
        Somebody else's data stand in our place.
    loop_seen, unsettled : bool
        Rate and gas were seen since the engine came; the temperature may have left its band since it settled.
    epoch : int
        Of the engine that holds the station.
    approved : frozenset of str
        Steps whose longer recycle delay a person approved.
    skip_open : bool
        The open order was stopped because a person skips its step.
    waits_until_s, waits_for : float, str
        While held: the end of the blackout that is waited for [wall time], and what it is.
    """

    phase: StationPhase = StationPhase.READY
    index: int = 0
    redo: tuple[str, ...] = ()
    open: str = ""
    failure: str = ""
    hold: str = ""
    fault: str = ""
    foreign: bool = False
    loop_seen: bool = False
    unsettled: bool = False
    epoch: int = 0
    approved: frozenset[str] = frozenset()
    skip_open: bool = False
    waits_until_s: float = 0.0
    waits_for: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A whole campaign. What indexes the plan changes with it, by a person's amendment alone.

    Attributes
    ----------
    by_id, of_station : mapping
        The plan's steps by id, and those of each station in order.
    heating_of : mapping
        Of those, the ones that change the temperature: asked for at every poll, and few among thousands.
    """

    plan: Plan
    by_id: Mapping[str, Step] = field(repr=False, compare=False)
    of_station: Mapping[str, tuple[Step, ...]] = field(repr=False, compare=False)
    heating_of: Mapping[str, tuple[Step, ...]] = field(repr=False, compare=False)
    policy: Policy = field(default_factory=Policy)
    phase: CampaignPhase = CampaignPhase.RUNNING
    stations: Mapping[str, StationState] = field(default_factory=dict)
    steps: Mapping[str, StepState] = field(default_factory=dict)
    aborted: bool = False


def initial_state(plan: Plan) -> State:
    """Return the state before anything happened.

    Raises
    ------
    InputError
        Two steps share an id, or a step needs one that does not exist.
    """
    by_id = {step.id: step for step in plan.steps}
    if len(by_id) != len(plan.steps):
        seen: set[str] = set()
        twice = sorted({step.id for step in plan.steps if step.id in seen or seen.add(step.id)})  # type: ignore[func-returns-value]  # set.add returns None
        raise InputError(f"step ids occur twice in the plan: {', '.join(twice)}", expected="one step for each id")
    for step in plan.steps:
        missing = [need for need in step.needs if need not in by_id]
        if missing:
            raise InputError(f"step {step.id} needs {', '.join(missing)}, which the plan does not have")
    names = dict.fromkeys(step.station for step in plan.steps)
    of_station = {name: plan.of_station(name) for name in names}
    return State(
        plan=plan,
        by_id=by_id,
        of_station=of_station,
        heating_of={
            name: tuple(step for step in steps if isinstance(step.task, SetTemperature | CoolDown))
            for name, steps in of_station.items()
        },
        stations={name: StationState() for name in names},
        steps={step.id: StepState() for step in plan.steps},
    )


def planned_event(plan: Plan, policy: Policy) -> Planned:
    """Return the event that opens a journal."""
    return Planned(
        campaign=plan.campaign,
        policy=policy,
        steps=tuple(planned_step(step) for step in plan.steps),
    )


def planned_step(step: Step) -> PlannedStep:
    """Return what the journal remembers of a step."""
    return PlannedStep(
        id=step.id,
        key=step.key,
        station=step.station,
        role=step.role,
        effect=step.effect,
        acquires=isinstance(step.task, Measurement),
        estimate_s=step.estimate_s,
    )


def order_of(state: State, step_id: str) -> Order:
    """Return the order of the step's current attempt, for the epoch of the engine that holds the station."""
    step, record = state.by_id[step_id], state.steps[step_id]
    token = f"{step.key[:8]}-{record.attempt}"
    title = f"{state.plan.campaign} {step_id} {token}".encode("ascii", "replace").decode("ascii")
    return Order(
        token=token,
        title=title,
        step_id=step_id,
        attempt=record.attempt,
        epoch=state.stations[step.station].epoch,
        task=record.task if record.task is not None else step.task,
    )
