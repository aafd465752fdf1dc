"""The legal phases of a station and of a campaign: one table each, and nothing but the tables.

Theory of operation: the table says *which* trigger is legal in which phase; it never does the work. `run.decide`
fires a trigger when an event has been committed, `run.engine` performs the commands that come out. So a callback
with side effects cannot exist here, and a phase can always be rebuilt by replaying the journal.

This is the only module that knows `transitions`.
"""

from __future__ import annotations

import functools
from enum import Enum

from transitions import Machine, MachineError

from labctl.errors import InternalError


class StationPhase(Enum):
    """Where one station stands."""

    READY = "ready"
    """Free; the next step is about to be chosen."""
    WAITING = "waiting"
    """The next step needs the verdict of an earlier one."""
    HELD = "held"
    """The next step would run into a blackout; its end is waited for, the temperature is held."""
    CHECKING = "checking"
    """Rate, gas and fresh readings are looked for before any heat."""
    INTENDED = "intended"
    """An intent is committed; the order may or may not have reached the instrument."""
    RUNNING = "running"
    """The instrument has been seen doing the order."""
    EXAMINING = "examining"
    """The instrument is asked what it knows of an order (after a death of the engine, or a failure)."""
    COLLECTING = "collecting"
    """Data found by examining are brought in."""
    PAUSED = "paused"
    """A person is needed; nothing new is begun."""
    SAFING = "safing"
    """The safe state has been asked for and is waited for."""
    SAFE = "safe"
    """The safe state was read back; only a person leaves it."""
    UNCONFIRMED = "unconfirmed"
    """The safe state was asked for and could not be read back in time."""
    FINISHED = "finished"
    """All steps are behind and heat is off."""


HELD_BY_ORDER = (StationPhase.INTENDED, StationPhase.RUNNING, StationPhase.EXAMINING, StationPhase.COLLECTING)
"""The instrument may hold an order."""
BETWEEN_STEPS = (StationPhase.READY, StationPhase.WAITING, StationPhase.HELD, StationPhase.CHECKING)
"""It holds none, and the next step is on its way."""
LEFT_BY_PERSON = (StationPhase.PAUSED, StationPhase.SAFE, StationPhase.UNCONFIRMED)
"""Nobody but a person takes a station out of these."""
AT_REST = (*LEFT_BY_PERSON, StationPhase.FINISHED)
"""Nothing more happens there by itself."""
NO_HEAT_TO_COME = (*AT_REST, StationPhase.SAFING)
"""No engine brings heat there before a person has come."""


class StationTrigger(Enum):
    """What moves a station from phase to phase."""

    WAIT = "wait"
    PROCEED = "proceed"
    HOLD = "hold"
    CHECK_LOOP = "check_loop"
    INTEND = "intend"
    START = "start"
    EXAMINE = "examine"
    COLLECT = "collect"
    ABANDON = "abandon"
    CONCLUDE = "conclude"
    PAUSE = "pause"
    RESUME = "resume"
    MAKE_SAFE = "make_safe"
    SAFE_SEEN = "safe_seen"
    SAFE_NOT_SEEN = "safe_not_seen"
    END = "end"


class CampaignPhase(Enum):
    """Where the campaign stands, as it follows from its stations."""

    RUNNING = "running"
    PAUSED = "paused"
    """Every station rests, and one of them waits for a person."""
    STOPPED = "stopped"
    """Every station rests, and a fault stopped one of them."""
    ABORTED = "aborted"
    DONE = "done"


class CampaignTrigger(Enum):
    """What moves a campaign from phase to phase."""

    PAUSE = "pause"
    STOP = "stop"
    ABORT = "abort"
    FINISH = "finish"
    REVIVE = "revive"


S, T, C, K = StationPhase, StationTrigger, CampaignPhase, CampaignTrigger

STATION_TABLE: tuple[tuple[StationTrigger, tuple[StationPhase, ...], StationPhase], ...] = (
    (T.WAIT, (S.READY,), S.WAITING),
    (T.PROCEED, (S.WAITING, S.HELD, S.CHECKING), S.READY),
    (T.HOLD, (S.READY,), S.HELD),
    (T.CHECK_LOOP, (S.READY,), S.CHECKING),
    (T.INTEND, (S.READY,), S.INTENDED),
    (T.START, (S.INTENDED, S.EXAMINING), S.RUNNING),
    (T.EXAMINE, (S.INTENDED, S.RUNNING, S.EXAMINING, S.COLLECTING, S.PAUSED, S.SAFE, S.UNCONFIRMED), S.EXAMINING),
    (T.COLLECT, (S.EXAMINING,), S.COLLECTING),
    (T.ABANDON, (S.EXAMINING,), S.READY),
    (T.CONCLUDE, (S.INTENDED, S.RUNNING, S.COLLECTING), S.READY),
    (T.PAUSE, (S.READY, S.WAITING, S.HELD, S.CHECKING, S.INTENDED, S.RUNNING, S.EXAMINING, S.COLLECTING), S.PAUSED),
    (T.RESUME, (S.PAUSED, S.SAFE, S.UNCONFIRMED), S.READY),
    (T.MAKE_SAFE, tuple(phase for phase in S if phase is not S.SAFING), S.SAFING),
    (T.SAFE_SEEN, (S.SAFING, S.UNCONFIRMED), S.SAFE),
    (T.SAFE_NOT_SEEN, (S.SAFING,), S.UNCONFIRMED),
    (T.END, (S.READY, S.SAFE), S.FINISHED),
)

CAMPAIGN_TABLE: tuple[tuple[CampaignTrigger, tuple[CampaignPhase, ...], CampaignPhase], ...] = (
    (K.PAUSE, (C.RUNNING, C.STOPPED, C.ABORTED, C.DONE), C.PAUSED),
    (K.STOP, (C.RUNNING, C.PAUSED, C.ABORTED, C.DONE), C.STOPPED),
    (K.ABORT, (C.RUNNING, C.PAUSED, C.STOPPED, C.DONE), C.ABORTED),
    (K.FINISH, (C.RUNNING, C.PAUSED, C.STOPPED, C.ABORTED), C.DONE),
    (K.REVIVE, (C.PAUSED, C.STOPPED, C.ABORTED, C.DONE), C.RUNNING),
)

_Rows = tuple[tuple[Enum, tuple[Enum, ...], Enum], ...]


class _Standing:
    """What `transitions` moves: nothing but the phase it stands in."""

    phase: Enum


def _fire(rows: _Rows, phase: Enum, trigger: Enum) -> Enum:
    model = _Standing()
    machine = Machine(
        model=model,
        states=type(phase),
        transitions=[{"trigger": row[0].value, "source": list(row[1]), "dest": row[2]} for row in rows],
        initial=phase,
        auto_transitions=False,
        model_attribute="phase",
    )
    try:
        machine.dispatch(trigger.value)
    except MachineError as error:
        raise InternalError(
            f"trigger {trigger.value!r} is not legal for a {type(phase).__name__} that is {phase.value!r}",
            expected=f"one of {sorted(str(row[0].value) for row in rows if phase in row[1])}",
            next_step="Please report this with the run folder; its journal tells how it came about",
        ) from error
    return model.phase


@functools.cache  # a pure function of two enums: each pair is fired once per process
def next_station_phase(phase: StationPhase, trigger: StationTrigger) -> StationPhase:
    """Return the phase that `trigger` leads to.

    Raises
    ------
    InternalError
        The table does not allow it; the message names trigger and phase.
    """
    after = _fire(STATION_TABLE, phase, trigger)
    assert isinstance(after, StationPhase)
    return after


@functools.cache
def next_campaign_phase(phase: CampaignPhase, trigger: CampaignTrigger) -> CampaignPhase:
    """Return the phase that `trigger` leads to.

    Raises
    ------
    InternalError
        The table does not allow it; the message names trigger and phase.
    """
    after = _fire(CAMPAIGN_TABLE, phase, trigger)
    assert isinstance(after, CampaignPhase)
    return after


def lifecycle_diagram(of: str = "station") -> str:
    """Return the table of a ``station`` or of a ``campaign`` as a mermaid state diagram."""
    rows: _Rows = {"station": STATION_TABLE, "campaign": CAMPAIGN_TABLE}[of]
    first = {"station": S.READY, "campaign": C.RUNNING}[of]
    lines = ["stateDiagram-v2", f"    [*] --> {first.value}"]
    lines += [
        f"    {source.value} --> {dest.value}: {trigger.value}" for trigger, sources, dest in rows for source in sources
    ]
    return "\n".join(lines) + "\n"
