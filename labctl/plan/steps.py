"""The steps of a campaign: what the engine walks through, one station at a time, each with a stable id and key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from labctl.plan.blackouts import Blackout
from labctl.ports import Acquire, CycleCell, Effect, Experiment, Exsy, SweepImpedance, Task

KEY_VERSION = 1
_ABOUT_A_CELL = (
    "mass_mg",
    "mass_basis",
    "area_cm2",
    "sample",
    "mass_se_mg",
    "theoretical_mAh_per_g",
    "reference",
    "reference_offset_V",
    "equilibrium_V",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecycleRule:
    """Recycle delay from measured T1: ``times_T1`` x T1 of a site (or of the slowest), at most `max_s`.

    `expected_T1_s` is what plan reckons with. If the measured T1 makes the step longer than planned by more
    than `ask_beyond` (a fraction), `fallback` says what happens: ``cap`` keeps the planned delay and warns,
    ``ask`` waits for a person.
    """

    times_T1: float
    of: str
    max_s: float
    expected_T1_s: float
    ask_beyond: float = 0.2
    fallback: Literal["cap", "ask"] = "cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the plan.

    Attributes
    ----------
    id : str
        ``station/procedure/T02/tmix03``; stable, used by journal, titles, file names and report alike.
    procedure : str
        Name of the procedure in the protocol (``vt_exsy``).
    role : str
        What it is for, in one word for tables: ``ramp settle line tune spinning pulse t1 reference exsy sweep
        cycle cool``.
    task : Task
        With *expected* values where a later measurement decides (`recycle`).
    needs : tuple of str
        Steps whose verdict must be in before this one may begin (the T1 for a recycle delay).
    recycle : RecycleRule or None
        How `task.recycle_delay_s` follows from a measured T1.
    skip_when : str
        ``settled``: skipped once an earlier step of the same `series` gave the verdict ``settled``.
    estimate_s : float
        Expected duration [s].
    rf_on_s : float
        Time with radio frequency on [s], for the duty cycle.
    disk_bytes : int
        Raw data left behind.
    person : str
        What a person has to do before this step may begin, empty if nothing; the station waits until they `continue`.
    """

    id: str
    station: str
    procedure: str
    role: str
    task: Task
    effect: Effect
    key: str
    estimate_s: float
    temperature_index: int | None = None
    needs: tuple[str, ...] = ()
    recycle: RecycleRule | None = None
    series: str = ""
    skip_when: Literal["", "settled"] = ""
    rf_on_s: float = 0.0
    disk_bytes: int = 0
    notes: tuple[str, ...] = ()
    person: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All steps of a campaign in order; those of one station run one after another, stations side by side."""

    campaign: str
    steps: tuple[Step, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    blackouts: tuple[Blackout, ...] = ()

    def of_station(self, station: str) -> tuple[Step, ...]:
        """Steps of one station, in order."""
        return tuple(step for step in self.steps if step.station == station)

    def step(self, step_id: str) -> Step:
        """Return the step of that id.

        Raises
        ------
        KeyError
            No such step.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)


def task_json(task: Task) -> dict[str, Any]:
    """Return a task as plain data with its type named, for keys, journal and tables."""
    data = {"task": type(task).__name__, **_plain(task)}
    if isinstance(task, Acquire):
        data["experiment"] = {"kind": type(task.experiment).__name__, **_plain(task.experiment)}
    return data


def _plain(task: Task | Experiment) -> dict[str, Any]:
    # Not `asdict`: its deep copies take most of the time of planning a campaign, and these fields are plain anyway.
    return {name: getattr(task, name) for name in _FIELDS[type(task)]}


_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (*get_args(Task), *get_args(Experiment))}


_KEY_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


def step_key(*, campaign: str, step_id: str, task: Task, recycle: RecycleRule | None) -> str:
    """Return the identity of a step: 32 hex digits over its *unresolved* parameters.

    Expected values (a T1 guess and the duration that follows from it) do not enter, so that a better guess
    or a re-analysis can never change a key and repeat an acquisition.
    """
    data = task_json(task)
    data.pop("duration_s", None)
    if isinstance(task, SweepImpedance):
        for name in ("sample", "thickness_mm", "diameter_mm", "thickness_se_mm", "diameter_se_mm"):
            data.pop(name)  # measured again with a better calliper, the pellet is still the same
    if isinstance(task, CycleCell):
        for name in _ABOUT_A_CELL:
            data.pop(name)  # what the cell is made of; what was done to it stands in amperes and ampere hours
    if recycle is not None:
        data["recycle_delay_s"] = {"times_T1": recycle.times_T1, "of": recycle.of, "max_s": recycle.max_s}
    text = _KEY_JSON.encode([KEY_VERSION, campaign, step_id, data])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def with_recycle_delay(task: Acquire, recycle_delay_s: float) -> Acquire:
    """Return the task with its recycle delay resolved, and its duration moved accordingly."""
    rows = task.experiment.rows if isinstance(task.experiment, Exsy) else 1
    scans = task.scans * rows + task.dummy_scans
    longer_s = (recycle_delay_s - task.recycle_delay_s) * scans
    return replace(task, recycle_delay_s=recycle_delay_s, duration_s=max(0.0, task.duration_s + longer_s))
