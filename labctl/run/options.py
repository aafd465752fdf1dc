"""What a campaign is run with beside its plan: intervals, deadlines, and each station's limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from labctl.plan.steps import Plan
from labctl.run.events import Alarmed, Amended, Event, HandedOff, Operated, Policy
from labctl.run.handoff import Promising
from labctl.run.interlock import Calibration, Silence
from labctl.run.journal import Row
from labctl.run.state import State


class Bystander(Protocol):
    """Somebody who looks on without a say in the campaign: notifications, a second copy of the raw data.

    Both methods are called in the engine's thread: they return at once and never raise.
    """

    def seen(self, row: Row, event: Event, state: State) -> None:
        """Take note of an event that was committed as `row`, and of the campaign after it."""
        ...

    def said(self) -> Sequence[Alarmed]:
        """Return what the journal should know; asked at every turn."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StationOptions:
    """What the engine knows of one station.

    Attributes
    ----------
    limits : mapping
        Hardware limits of the lab file, SI unit in each name (``Limits.numbers()``).
    calibration : callable or None
        ``(sensor_K, spinning_Hz) -> (sample_K, standard error, model)``.
    safe_deadline_s : float
        How long the safe state may take to be read back [s]; 373 K to 298 K at 2 K/min are 38 min.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    calibration: Calibration | None = None
    silence: Silence = field(default_factory=Silence)
    safe_deadline_s: float = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How a campaign is run.

    Attributes
    ----------
    poll_s : float
        Between two looks at a station [s].
    virtual_poll_s : float
        The same under a virtual clock while nothing is suspicious, longer where all steps are done; simulators wake
        the engine in between.
    record_s : float
        Between two recorded readings of one quantity [s].
    grace_s : float
        After the engine came, until limits that agents need time for (gas, rate, silence) count [s].
    loop_grace_s : float
        How long rate, gas and fresh readings are looked for before heat is refused [s].
    pause_cool_s : float
        A warm station that nobody continues goes safe after this [s].
    halt_wait_s : float
        How long an acquisition that was halted on the way to safe may take to end, before its data are left for the
        next engine to bring in [s].
    unheard_safe_s : float
        How long an instrument may leave it open whether it goes to its safe state, before somebody is called to switch
        it off by hand [s].
    collect_give_up_s : float
        How long bringing in data is tried again [s].
    disk_give_up_s : float
        How long a journal that cannot be written is tried again before everything goes safe [s].
    policy : Policy
        Frozen into the journal at the start; a resumed campaign keeps its own.
    state_dir : Path or None
        Where stations keep lock and epoch; None: `labctl.run.ownership.default_state_dir`.
    operator : callable or None
        Asked at every turn for what persons want; None: nobody can be asked.
    operator_continues : bool
        `operator` may also let a paused station go on; where it cannot, a cold station that is paused ends the run.
    attended : str
        A person is here and lets paused and safe stations go on; the reason is journaled.
    hear_s : float
        On a real clock, between two times of hearing persons [s].
    replan : callable or None
        Text of an amended protocol to its plan, checked against the lab; None: the plan stays while this engine lives.
    on_amended : callable or None
        Told of each amendment once it is committed.
    follow : callable or None
        Asked, as a verdict comes in and before it is committed, what the dataset means for what is still to come: text
        of an amended protocol and the reason, or None. In this thread; must return at once.
    inline_analysis : bool or None
        Analysis between two turns instead of in a worker; None: under a virtual clock.
    promising : callable or None
        Where analysis is inline: what has a dataset analysed elsewhere and promises its verdict (`labctl.run.handoff`).
    bystanders : sequence of Bystander
        Told of every event as it is committed.
    durable : bool
        Whether rows and manifests are on the disk before anything follows from them. False where all instruments are
        simulated: those do not outlive a loss of power either, and nobody waits for the disk.
    """

    poll_s: float = 5.0
    virtual_poll_s: float = 12 * 3600.0
    record_s: float = 10.0
    grace_s: float = 60.0
    loop_grace_s: float = 120.0
    pause_cool_s: float = 7200.0
    halt_wait_s: float = 600.0
    unheard_safe_s: float = 30.0
    collect_give_up_s: float = 1800.0
    disk_give_up_s: float = 7200.0
    policy: Policy = field(default_factory=Policy)
    stations: Mapping[str, StationOptions] = field(default_factory=dict)
    state_dir: Path | None = None
    operator: Callable[[], Sequence[Operated]] | None = None
    operator_continues: bool = True
    attended: str = ""
    hear_s: float = 1.0
    durable: bool = True
    replan: Callable[[str], Plan] | None = None
    on_amended: Callable[[Amended], None] | None = None
    follow: Callable[[HandedOff], tuple[str, str] | None] | None = None
    inline_analysis: bool | None = None
    promising: Promising | None = None
    bystanders: Sequence[Bystander] = ()

    @property
    def may_be_continued(self) -> bool:
        """Whether anybody can let a paused station go on while this engine lives."""
        return self.operator is not None and self.operator_continues

    version: str = ""
