"""What a durable step costs against plain SQLite in the same run, and how fast a long journal is taken up again.

Run with ``pytest tests/benchmarks/test_engine.py --benchmark-enable``. Compare figures of one run only: fsync varies.
"""

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from labctl.clock import SystemClock, VirtualClock
from labctl.dataset.model import Dataset, Verdict
from labctl.plan.steps import Plan
from labctl.ports import Effect, OnePulse
from labctl.run.decide import decide
from labctl.run.engine import run_campaign
from labctl.run.events import Event, Finished, HandedOff, Intended, Opened, Policy, Started
from labctl.run.journal import Journal
from labctl.run.options import EngineOptions
from labctl.run.state import State, initial_state, planned_event
from labctl.testing import ScriptedInstrument
from tests.run.campaigns import acquire, small_plan, step

PLAN = small_plan()


def test_durable_step(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Intent and outcome of one step, both durable, hashed and as JSON."""
    journal = Journal(tmp_path / "journal.sqlite", clock=SystemClock())
    here = PLAN.steps[1]
    attempts = itertools.count(1)

    def one_step() -> None:
        attempt = next(attempts)
        journal.append(
            Intended(station="nmr", step_id=here.id, attempt=attempt, key=here.key, task=here.task), key=here.key
        )
        journal.append(Finished(station="nmr", step_id=here.id, attempt=attempt, result="done"), key=here.key)

    benchmark.pedantic(one_step, rounds=300, warmup_rounds=10)  # type: ignore[no-untyped-call]  # pytest-benchmark is untyped
    journal.close()


def test_plain_sqlite_two_commits(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The yardstick: two plain 600-byte rows, two commits, the same pragmas."""
    database = sqlite3.connect(tmp_path / "plain.sqlite", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, body TEXT)")

    def two_commits() -> None:
        for _ in range(2):
            database.execute("INSERT INTO log (body) VALUES (?)", ("x" * 600,))

    benchmark.pedantic(two_commits, rounds=300, warmup_rounds=10)  # type: ignore[no-untyped-call]  # pytest-benchmark is untyped
    database.close()


def long_plan(steps: int) -> Plan:
    """A plan of many short acquisitions."""
    made = (
        step(
            f"nmr/long/S{number:05d}",
            acquire(OnePulse(purpose="line"), slot=10 * number, duration_s=60.0),
            Effect.REPEATABLE,
        )
        for number in range(steps)
    )
    return Plan(campaign="small", steps=tuple(made))


def write_long_journal(path: Path, plan: Plan) -> None:
    """Four rows for each step, as a finished campaign leaves them."""
    journal = Journal(path, clock=VirtualClock(1_700_000_000.0))
    journal.campaign = plan.campaign
    journal._db.execute("PRAGMA synchronous=OFF")
    state: State = initial_state(plan)

    def commit(event: Event, key: str = "") -> None:
        nonlocal state
        journal.append(event, key=key)
        state, _ = decide(state, event)

    commit(planned_event(plan, Policy()))
    commit(Opened(epochs={"nmr": 1}, resumed=False))
    for each in plan.steps:
        dataset = Dataset(
            step_id=each.id,
            key=each.key,
            attempt=1,
            station="nmr",
            procedure="long",
            kind="one_pulse",
            directory="nmr/1",
            files=(),
            completeness="complete",
            started_s=0.0,
            ended_s=1.0,
        )
        commit(Intended(station="nmr", step_id=each.id, attempt=1, key=each.key, task=each.task), each.key)
        commit(Started(station="nmr", step_id=each.id, attempt=1), each.key)
        commit(Finished(station="nmr", step_id=each.id, attempt=1, result="done", dataset=dataset), each.key)
        commit(HandedOff(station="nmr", step_id=each.id, attempt=1, verdict=Verdict()), each.key)
    journal.close()


def test_resume_ten_thousand_rows(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Open, replay 10 000 rows, take the station, find that all is done. Target: 1 s."""
    plan = long_plan(2500)
    run_dir = tmp_path / "run"
    write_long_journal(run_dir / "journal.sqlite", plan)
    clock = VirtualClock(1_700_000_000.0)
    nmr = ScriptedInstrument(station="nmr", clock=clock)
    options = EngineOptions(state_dir=tmp_path / "state")

    def resume() -> None:
        outcome = run_campaign(plan, {"nmr": nmr}, clock=clock, run_dir=run_dir, options=options)
        assert outcome.exit_code == 0

    benchmark.pedantic(resume, rounds=3)  # type: ignore[no-untyped-call]  # pytest-benchmark is untyped


def test_virtual_campaign(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A whole campaign of instant steps on the virtual clock: the engine's own cost for each step."""
    numbers = itertools.count()

    def campaign() -> None:
        folder = tmp_path / str(next(numbers))
        clock = VirtualClock(1_700_000_000.0)
        nmr = ScriptedInstrument(station="nmr", clock=clock)
        clock.add_source(nmr.next_event_s)
        options = EngineOptions(state_dir=folder / "state")
        run_campaign(long_plan(100), {"nmr": nmr}, clock=clock, run_dir=folder, options=options)

    benchmark.pedantic(campaign, rounds=3)  # type: ignore[no-untyped-call]  # pytest-benchmark is untyped
