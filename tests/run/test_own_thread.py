"""A link that blocks holds up its own station and nobody else's; what makes safe comes first. Nobody sleeps here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from labctl.clock import SystemClock
from labctl.errors import ForeignDataError, InstrumentError, InstrumentSilent
from labctl.plan.steps import Plan
from labctl.ports import Acquire, Order, Progress, SetTemperature, Standing
from labctl.run.engine import run_campaign
from labctl.run.events import Alarmed, Operated, SafeSeen, Tripped
from labctl.run.journal import Journal
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.own_thread import in_own_thread
from labctl.testing import ScriptedInstrument
from tests.run.bench import LIMITS
from tests.run.campaigns import small_plan

Answer = TypeVar("Answer")
PLENTY_S = 60.0
"""A deadline that is only reached when the test has failed."""


class Held(ScriptedInstrument):
    """A scripted instrument one of whose calls blocks until the test lets it go."""

    def __init__(self, station: str, clock: SystemClock, held: str) -> None:
        super().__init__(station=station, clock=clock, durations=lambda task: 0.0, cooling_s=0.0)
        self.held = held
        self.inside = threading.Event()
        self.release = threading.Event()
        self.threads: set[str] = set()
        self.done: list[str] = []

    def _answer(self, what: str, order: Order | None = None) -> None:
        self.threads.add(threading.current_thread().name)
        if what == self.held and not self.release.is_set():
            self.inside.set()
            assert self.release.wait(PLENTY_S)
        self.done.append(what)
        super()._answer(what, order)


def an_order(task: object = None, token: str = "0a1b2c3d-1") -> Order:
    """One order; by default of heat."""
    heat = SetTemperature(setpoint_K=373.0, sample_K=373.0, ramp_K_per_s=0.03, give_up_s=1e4)
    return Order(
        token=token,
        title="t",
        step_id="slow/a/b",
        attempt=1,
        epoch=1,
        task=heat if task is None else task,  # type: ignore[arg-type]  # a task
    )


def test_a_blocked_look_delays_no_other_station_s_safety(tmp_path: Path) -> None:
    """While one station's link is inside a call that does not return, the other's interlock trips and is read back."""
    clock = SystemClock()
    slow, oven = Held("slow", clock, "look"), Held("oven", clock, "nothing")
    plan = Plan(
        campaign="small",
        steps=(*small_plan(station="slow").steps, *small_plan(station="oven").steps),
    )
    safe_while_held: list[bool] = []

    def operator() -> list[Operated]:
        if slow.inside.is_set() and not slow.release.is_set():
            oven.sensor_follows = False
            oven.values["sensor_K"] = 450.0
            if "is_safe" in oven.done:
                safe_while_held.append(not slow.release.is_set())
                slow.release.set()
        return []

    outcome = run_campaign(
        plan,
        {"slow": slow, "oven": oven},
        clock=clock,
        run_dir=tmp_path / "run",
        options=EngineOptions(
            poll_s=0.001,
            state_dir=tmp_path / "state",
            stations={name: StationOptions(limits=LIMITS) for name in ("slow", "oven")},
            operator=operator,
        ),
    )
    assert safe_while_held == [True]
    assert outcome.stations == {"slow": StationPhase.FINISHED, "oven": StationPhase.SAFE}
    assert set(slow.acquisitions().values()) == {1}
    journal = Journal(tmp_path / "run" / "journal.sqlite", clock=clock, read_only=True)
    events = [row.event for row in journal.rows()]
    journal.close()
    assert {(event.station, event.limit) for event in events if isinstance(event, Tripped)} == {
        ("oven", "sensor_max_K")
    }
    assert any(isinstance(event, SafeSeen) and event.station == "oven" and event.reached for event in events)
    assert slow.threads == {"labctl slow"}
    assert oven.threads == {"labctl oven"}


def test_a_station_that_cannot_be_made_safe_is_called_out_long_before_the_deadline(tmp_path: Path) -> None:
    """Stuck inside a call it cannot take the order: a person is sent to switch it off, and it goes safe on return."""
    clock = SystemClock()
    slow = Held("slow", clock, "look")
    said: list[str] = []
    asked: list[str] = []

    def operator() -> list[Operated]:
        if any("could not be made safe" in text for text in said):
            slow.release.set()
        if slow.inside.is_set() and not asked:
            asked.append("abort")
            return [Operated(verb="abort", reason="smoke")]
        return []

    outcome = run_campaign(
        small_plan(station="slow"),
        {"slow": slow},
        clock=clock,
        run_dir=tmp_path / "run",
        options=EngineOptions(
            poll_s=0.001, unheard_safe_s=0.01, state_dir=tmp_path / "state", stations={}, operator=operator
        ),
        on_progress=lambda report: said.append(report.message),
    )
    assert outcome.stations == {"slow": StationPhase.SAFE}
    [told] = [text for text in said if "could not be made safe" in text]
    assert "an earlier call has not returned yet" in told or "no answer yet" in told
    assert "Go there now and switch it off by hand" in told
    journal = Journal(tmp_path / "run" / "journal.sqlite", clock=clock, read_only=True)
    alarms = [row.event for row in journal.rows() if isinstance(row.event, Alarmed) and row.event.what == told]
    journal.close()
    assert [alarm.person for alarm in alarms] == [True]


def test_safe_comes_before_whatever_waits_and_heat_never_after_it() -> None:
    """Heat asked for behind a blocked call is dropped by the safe state, which is carried out as soon as it can be."""
    inner = Held("slow", SystemClock(), "readings")
    station = in_own_thread(inner, patience_s=0.0)
    station.open(1)
    with pytest.raises(InstrumentSilent, match="no answer yet"):
        station.readings()
    assert inner.inside.wait(PLENTY_S)
    for call in (lambda: station.begin(an_order()), lambda: station.make_safe("hot"), station.is_safe):
        with pytest.raises(InstrumentSilent, match="has not returned yet"):
            call()
    inner.release.set()
    insist(lambda: station.make_safe("hot"))
    assert insist(station.is_safe)
    assert inner.done == ["open", "readings", "make_safe", "is_safe"]
    assert inner.starts == {}
    station.close()
    assert inner.log[-1] == "close"


def test_stop_overtakes_questions_and_takes_its_order_back() -> None:
    """An order that was never handed over is not handed over any more once it was stopped."""
    inner = Held("slow", SystemClock(), "readings")
    station = in_own_thread(inner, patience_s=0.0)
    station.open(1)
    first, second = an_order(token="first-1"), an_order(token="second-1")
    calls: list[Callable[[], object]] = [
        station.readings,
        lambda: station.begin(first),
        lambda: station.begin(second),
        lambda: station.evidence(first),
    ]
    for call in calls:
        with pytest.raises(InstrumentSilent):
            call()
    inner.release.set()
    inner.entries = {}
    with pytest.raises((InstrumentSilent, KeyError)):  # the scripted instrument never heard of it
        station.stop(first, "skipped")
    assert insist(lambda: station.evidence(first)).standing is Standing.NOT_STARTED
    insist(lambda: station.begin(second))
    assert inner.starts == {"second-1": 1}
    station.close()


def test_a_late_order_is_found_by_evidence_and_given_once() -> None:
    """An order that did not return in time counts as perhaps not heard; asked afterwards, it runs, once."""
    inner = Held("slow", SystemClock(), "begin")
    inner.durations = lambda task: PLENTY_S
    station = in_own_thread(inner, patience_s=0.0)
    station.open(1)
    inner.remembers_tokens = False  # so that only the thread's own care prevents a repeat
    order = an_order()
    for _ in range(2):
        with pytest.raises(InstrumentSilent):
            station.begin(order)
    inner.release.set()
    assert insist(lambda: station.evidence(order)).standing is Standing.RUNNING
    insist(lambda: station.begin(order))
    assert inner.starts == {order.token: 1}
    assert insist(lambda: station.look(order)).progress.value == "running"
    station.close()


def test_safe_comes_before_a_stop_that_waits() -> None:
    """A stop that could not be carried out yet is kept, and what makes safe goes before it."""
    inner = Held("slow", SystemClock(), "readings")
    station = in_own_thread(inner, patience_s=0.0)
    station.open(1)
    for call in (station.readings, lambda: station.stop(an_order(), "skipped"), lambda: station.make_safe("hot")):
        with pytest.raises(InstrumentSilent):
            call()
        assert inner.inside.wait(PLENTY_S)
    inner.release.set()
    insist(lambda: station.make_safe("hot"))
    assert insist(station.is_safe)
    assert inner.done == ["open", "readings", "make_safe", "stop", "is_safe"]
    station.close()


def test_what_was_seen_before_evidence_is_not_told_after_it() -> None:
    """A late look says it runs; then the power goes, and after the evidence a look tells of that."""
    inner = Held("slow", SystemClock(), "look")
    inner.durations = lambda task: PLENTY_S
    station = in_own_thread(inner, patience_s=0.0)
    station.open(1)
    order = an_order()
    insist(lambda: station.begin(order))
    with pytest.raises(InstrumentSilent):
        station.look(order)
    inner.release.set()
    insist(station.readings)  # by now the look has been answered
    inner.power_cut()
    assert insist(lambda: station.evidence(order)).standing is Standing.INTERRUPTED
    assert insist(lambda: station.look(order)).progress is Progress.FAILED
    station.close()


def test_errors_are_the_asker_s() -> None:
    """What a driver raises comes out of the call that asked, of its own kind, early or late."""
    inner = Held("slow", SystemClock(), "collect")
    station = in_own_thread(inner, patience_s=PLENTY_S)
    station.open(7)
    with pytest.raises(InstrumentError, match="older than 7"):
        station.open(6)
    inner.foreign.add("slow/a/b")
    inner.epoch = 1
    with pytest.raises(ForeignDataError):
        station.begin(an_order())
    hasty = in_own_thread(inner, patience_s=0.0)
    inner.collect_fails = 1
    with pytest.raises(InstrumentSilent):
        hasty.collect(an_order(), Path("nowhere"))
    inner.release.set()
    with pytest.raises(InstrumentError, match="the share does not answer"):
        insist(lambda: hasty.collect(an_order(), Path("nowhere")))
    hasty.close()
    station.close()


def test_a_whole_campaign_goes_through_the_threads(tmp_path: Path) -> None:
    """With every call too slow to be waited for, a campaign still acquires each dataset once."""
    clock = SystemClock()
    inner = Held("nmr", clock, "nothing")
    plan = small_plan(temperatures_K=(313.0,))
    hasty = in_own_thread(inner, patience_s=0.0)
    options = EngineOptions(poll_s=0.001, state_dir=tmp_path / "state")
    outcome = run_campaign(plan, {"nmr": hasty}, clock=clock, run_dir=tmp_path / "run", options=options)
    assert outcome.exit_code == 0
    assert set(inner.acquisitions().values()) == {1}
    assert len(inner.acquisitions()) == sum(isinstance(step.task, Acquire) for step in plan.steps)


def insist(ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer."""
    while True:
        try:
            return ask()
        except InstrumentSilent:
            continue
