"""What happened (events, one journal row each) and what to do about it (commands). Frozen, plain, both ways JSON.

An event is committed before anything follows from it, and the state of a campaign is what replaying its events
gives. Commands are never stored: they follow from the events again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from labctl.dataset.model import Dataset, Verdict
from labctl.errors import InternalError
from labctl.plan.blackouts import Blackout
from labctl.plan.steps import RecycleRule, Step, task_json
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    CycleCell,
    Effect,
    Experiment,
    Order,
    SetTemperature,
    Standing,
    SweepImpedance,
    Task,
    Tune,
)

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
Verb = Literal["pause", "continue", "abort", "skip", "acknowledge"]
OnFault = Literal["safe", "pause"]
Result = Literal["done", "halted", "partial"]

_TASKS: dict[str, TypeAdapter[Any]] = {cls.__name__: TypeAdapter(cls) for cls in get_args(Task)}
_EXPERIMENTS: dict[str, TypeAdapter[Any]] = {cls.__name__: TypeAdapter(cls) for cls in get_args(Experiment)}


def task_from_json(data: object) -> Task:
    """Return the task that `labctl.plan.steps.task_json` wrote down (a task is returned as it is)."""
    if isinstance(
        data, SetTemperature | AwaitStable | CheckSpinning | Tune | Acquire | SweepImpedance | CycleCell | CoolDown
    ):
        return data
    if not isinstance(data, Mapping):
        raise ValueError(f"not a task: {data!r}")  # noqa: TRY004 - pydantic reports ValueError, not TypeError
    fields = dict(data)
    name = fields.pop("task", None)
    if name not in _TASKS:
        raise ValueError(f"unknown task {name!r}")
    if name == Acquire.__name__:
        experiment = dict(fields["experiment"])
        fields["experiment"] = _EXPERIMENTS[experiment.pop("kind")].validate_python(experiment)
    task: Task = _TASKS[name].validate_python(fields)
    return task


TaskField = Annotated[Task, PlainValidator(task_from_json), PlainSerializer(task_json)]


def step_json(step: Step) -> dict[str, Any]:
    """Return a step of a plan as plain data."""
    data = {each.name: getattr(step, each.name) for each in fields(Step)}
    recycle = asdict(step.recycle) if step.recycle is not None else None
    return {**data, "task": task_json(step.task), "effect": step.effect.value, "recycle": recycle}


def step_from_json(data: object) -> Step:
    """Return the step that `step_json` wrote down (a step is returned as it is)."""
    if isinstance(data, Step):
        return data
    if not isinstance(data, Mapping):
        raise ValueError(f"not a step: {data!r}")  # noqa: TRY004 - pydantic reports ValueError, not TypeError
    values = dict(data)
    values["task"] = task_from_json(values["task"])
    values["effect"] = Effect(values["effect"])
    if values.get("recycle") is not None:
        values["recycle"] = RecycleRule(**values["recycle"])
    values["needs"], values["notes"] = tuple(values["needs"]), tuple(values["notes"])
    return Step(**values)


StepField = Annotated[Step, PlainValidator(step_from_json), PlainSerializer(step_json)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What to do when something is not as planned; frozen into the journal with the plan.

    Attributes
    ----------
    on_fault : mapping
        Station to ``safe`` or ``pause``; a station not named goes safe. Interlock trips always go safe.
    max_attempts : int
        Attempts at a measurement before a person is asked.
    interrupted : str
        Expensive acquisition found interrupted: keep the partial data and do it ``again``, or ``ask`` a person.
    halted : str
        Acquisition halted at the console: ``accept`` its data and go on, do it ``again``, or ``ask``.
    """

    on_fault: Mapping[str, OnFault] = field(default_factory=dict)
    max_attempts: int = 2
    interrupted: Literal["again", "ask"] = "again"
    halted: Literal["accept", "again", "ask"] = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A step as the journal remembers it: enough for a history and a certificate without the protocol."""

    id: str
    key: str
    station: str
    role: str
    effect: Effect
    acquires: bool
    estimate_s: float


# --------------------------------------------------------------------------------------------- events


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
    """Analysis has seen the parts up to `part`; for people only, its gate is not acted upon."""

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
class HandedOff:
    """Analysis has seen a dataset; its verdict is kept, so that it is asked once."""

    kind: ClassVar[Kind] = "handed_off"
    station: str
    step_id: str
    attempt: int
    verdict: Verdict


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJumped:
    """Wall time moved against monotonic time by `wall_s`; soaks and deadlines did not."""

    kind: ClassVar[Kind] = "clock_jump"
    wall_s: float
    station: str = ""
    step_id: str = ""
    attempt: int = 0


Event = (
    Planned
    | Opened
    | Intended
    | Reopened
    | Started
    | Progressed
    | PartCollected
    | PartJudged
    | Finished
    | Skipped
    | Failed
    | EvidenceSeen
    | LoopSeen
    | HandedOff
    | Tripped
    | Alarmed
    | Operated
    | Amended
    | Held
    | HoldEnded
    | BlackoutBegan
    | SafeAsked
    | SafeSeen
    | ClockJumped
)
EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
_ADAPTERS: dict[str, TypeAdapter[Any]] = {cls.__name__: TypeAdapter(cls) for cls in EVENT_TYPES}


def event_json(event: Event) -> str:
    """Return the event as one line of JSON that names its type."""
    name = type(event).__name__
    return f'{{"event":"{name}",' + _ADAPTERS[name].dump_json(event).decode("utf-8")[1:]


def event_from_json(text: str) -> Event:
    """Return the event written by `event_json`.

    Raises
    ------
    InternalError
        The text names no event of this version.
    """
    data = json.loads(text)
    name = data.pop("event", None)
    if name not in _ADAPTERS:
        raise InternalError(
            f"the journal holds an event {name!r} that this version does not know",
            expected=", ".join(_ADAPTERS),
            next_step="Go on with the version of labctl that wrote it",
        )
    event: Event = _ADAPTERS[name].validate_python(data, strict=False)
    return event


# --------------------------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True, kw_only=True)
class Intend:
    """Commit an intent."""

    event: Intended


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Commit that an intent is taken up again."""

    event: Reopened


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Commit that a step is left out."""

    event: Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Hand the order to the instrument, once."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Ask how the order goes until it has ended."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class AskEvidence:
    """Ask the instrument what it knows of the order."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Bring in what the order left."""

    order: Order
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLoop:
    """Look for fresh readings, gas and rate before any heat; and whether the band was held."""

    station: str
    spinning_Hz: float
    tolerance_Hz: float
    setpoint_K: float | None
    within_K: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOff:
    """Let analysis see a dataset."""

    dataset: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End an order early, keeping its data."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeSafe:
    """Bring a station to its safe state and wait until it is read back."""

    station: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitPerson:
    """Wait for a person; cool down when none comes and the station is warm."""

    station: str
    warm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitBlackout:
    """Begin nothing until a blackout is over; hold the temperature."""

    station: str
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Let people know."""

    event: Alarmed


Duty = Watch | AskEvidence | Collect | CheckLoop | MakeSafe | AwaitPerson | AwaitBlackout
"""A command that is kept up, poll by poll, until an event answers it."""

Command = Intend | Reopen | Skip | Begin | HandOff | Stop | Tell | Duty
