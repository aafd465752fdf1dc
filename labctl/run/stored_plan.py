"""Tasks and steps as the journal stores them: plain data, both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, get_args

from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from labctl.plan.steps import RecycleRule, Step, task_json
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    CycleCell,
    Effect,
    Experiment,
    SetTemperature,
    SweepImpedance,
    Task,
    Tune,
)

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
class PlannedStep:
    """A step as the journal remembers it: enough for a history and a certificate without the protocol."""

    id: str
    key: str
    station: str
    role: str
    effect: Effect
    acquires: bool
    estimate_s: float
