"""Ways to break labctl, so that the campaigns show that they notice: each a context in which labctl is broken."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from labctl.errors import InternalError
from labctl.ports import FAULT, Order, Standing
from labctl.run import guard, interlock
from labctl.run.commands import Command, Duty, Intend
from labctl.run.duties import Duties
from labctl.run.engine import Engine
from labctl.run.events import Event, Failed
from labctl.run.interlock import Breach, Vigil
from labctl.run.perform import Performer
from labctl.run.state import State
from labctl.run.station_events import LoopSeen
from tests.unattended.seeded.campaign import SeededCampaign
from tests.unattended.seeded.console import Console
from tests.unattended.seeded.spectrometer import Spectrometer

INTERLOCKS: dict[str, tuple[str, ...]] = {
    "sensor_max_K": ("overshoot",),
    "sensor_min_K": ("chill",),
    "gas_min_L_per_h": ("gas_loss",),
    "gas_max_L_per_h": ("gas_flood",),
    "spinning_tolerance_Hz": ("spin_loss", "spin_off_rate"),
    "heater_off": ("heater_trip",),
    "runaway": ("overshoot",),
    "silence": ("sensor_silent", "dialog"),
    FAULT: ("sensor_frozen",),
}
"""Interlocks whose loss the campaigns notice, each by itself, and the faults they are there for."""


@contextlib.contextmanager
def interlock_off(limit: str) -> Iterator[None]:
    """An interlock that never trips."""
    judge = interlock.judge

    def deaf(*arguments: Any, **more: Any) -> tuple[Vigil, tuple[Breach, ...]]:
        vigil, found = judge(*arguments, **more)
        return vigil, tuple(breach for breach in found if not breach.limit.startswith(limit))

    with patch.object(guard, "judge", deaf):
        yield


@contextlib.contextmanager
def _no_evidence() -> Iterator[None]:
    """Nobody asks the instrument what it has: nothing was begun, so they say."""

    def blind(self: Performer, order: Order) -> tuple[Event, ...]:
        return (self._evidence(order, Standing.NOT_STARTED, "not asked"),)

    with patch.object(Performer, "ask_evidence", blind):
        yield


@contextlib.contextmanager
def _no_write_ahead() -> Iterator[None]:
    """The order goes out before its intent is committed."""
    execute = Engine._execute

    def hasty(self: Engine, command: Command) -> tuple[Event | Command, ...]:
        if isinstance(command, Intend):
            event, step = command.event, self.state.by_id[command.event.step_id]
            token = f"{step.key[:8]}-{event.attempt}"
            order = Order(
                token=token,
                title=f"{step.id} {token}",
                step_id=step.id,
                attempt=event.attempt,
                epoch=self._taken.epochs[step.station],
                task=event.task,
            )
            self.perform.begin(order)
        return execute(self, command)

    with patch.object(Engine, "_execute", hasty):
        yield


@contextlib.contextmanager
def _begun_again() -> Iterator[None]:
    """What was not heard is said once more."""
    begin = Performer.begin

    def insist(self: Performer, order: Order) -> tuple[Event, ...]:
        found = begin(self, order)
        unheard = any(isinstance(event, Failed) and event.stage == "begin_unheard" for event in found)
        return begin(self, order) if unheard else found

    with patch.object(Performer, "begin", insist):
        yield


@contextlib.contextmanager
def _lease_forgotten() -> Iterator[None]:
    """The engine does not mind how long the instrument may be left alone."""
    with patch.object(Console, "__getattribute__", _endless):
        yield


def _endless(self: Console, name: str) -> Any:
    return float("inf") if name == "attention_s" else object.__getattribute__(self, name)


@contextlib.contextmanager
def _heats_unseen() -> Iterator[None]:
    """Heat goes on whatever rate, gas and readings are."""

    def check_loop(self: Performer, command: Any, *arguments: Any, **more: Any) -> LoopSeen:
        return LoopSeen(station=command.station, alive=True, held=True)

    with patch.object(Performer, "check_loop", check_loop):
        yield


@contextlib.contextmanager
def _spins_up() -> Iterator[None]:
    """A rotor that stands is spun up as the loop is looked at."""
    check_loop = Performer.check_loop

    def spin(self: Performer, command: Any, *arguments: Any, **more: Any) -> LoopSeen:
        site = getattr(self._instruments[command.station], "_site", None)
        if isinstance(site, Spectrometer) and site.plant.spinning_Hz == 0.0:
            site.spin_up()
        return check_loop(self, command, *arguments, **more)

    with patch.object(Performer, "check_loop", spin):
        yield


@contextlib.contextmanager
def _goes_on_alone() -> Iterator[None]:
    """Whoever resumes counts as a person who has looked after everything."""
    init = Engine.__init__

    def attended(self: Engine, *arguments: Any, **more: Any) -> None:
        init(self, *arguments, **more)
        object.__setattr__(self._options, "attended", "surely somebody looked")

    with patch.object(Engine, "__init__", attended):
        yield


@contextlib.contextmanager
def _heater_rearmed() -> Iterator[None]:
    """A heater that cut itself off is switched on again when heat is wanted."""
    with patch.object(Spectrometer, "refuses", lambda self, order: ""):
        yield


@contextlib.contextmanager
def _stale_duties() -> Iterator[None]:
    """A duty is taken up though the station has gone on to something else meanwhile."""
    from labctl.run import duties
    from labctl.run.lifecycle import StationPhase

    with patch.object(duties, "_DURING", {duty: tuple(StationPhase) for duty in duties._DURING}):
        yield


@contextlib.contextmanager
def _never_cools() -> Iterator[None]:
    """A warm station that is paused stays warm until somebody comes."""
    take_up = Duties.take_up

    def forget(self: Duties, name: str, duty: Duty, state: State) -> bool:
        return type(duty).__name__ != "AwaitPerson" and take_up(self, name, duty, state)

    with patch.object(Duties, "take_up", forget):
        yield


WAYS: dict[str, Callable[[], contextlib.AbstractContextManager[None]]] = {
    "": contextlib.nullcontext,
    "no evidence": _no_evidence,
    "no write-ahead": _no_write_ahead,
    "begun again": _begun_again,
    "lease forgotten": _lease_forgotten,
    "heats unseen": _heats_unseen,
    "spins up": _spins_up,
    "goes on alone": _goes_on_alone,
    "heater re-armed": _heater_rearmed,
    "stale duties": _stale_duties,
    "never cools": _never_cools,
    **{f"without {limit}": functools.partial(interlock_off, limit) for limit in INTERLOCKS},
}
"""Every way to break labctl; the empty one leaves it whole."""


def run_broken(
    seed: int, folder: Path, way: str = "", *, kinds: tuple[str, ...] = ()
) -> tuple[SeededCampaign, list[str]]:
    """Run the campaign of a seed with labctl broken that way; return it, and what was noticed."""
    campaign = SeededCampaign(seed, folder, kinds=kinds)
    with WAYS[way]():
        try:
            return campaign, campaign.run()
        except InternalError as error:  # labctl noticed it by itself
            return campaign, [str(error)]
