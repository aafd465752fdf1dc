"""The journal: append-only, durable, chained, owned by one engine, and honest about a full disk."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.clock import VirtualClock
from labctl.dataset.model import Verdict
from labctl.errors import InputError, InternalError, SafetyRefusal
from labctl.run.decide import decide
from labctl.run.events import (
    Alarmed,
    Event,
    Finished,
    HandedOff,
    Intended,
    Opened,
    Operated,
    Policy,
    Tripped,
    event_from_json,
    event_json,
)
from labctl.run.journal import Journal, JournalUnwritable
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions
from labctl.run.state import initial_state, planned_event
from labctl.run.stored_plan import task_from_json
from tests.run.bench import Bench
from tests.run.campaigns import small_plan
from tests.run.test_decide import dataset_of

CLOCK = VirtualClock(1_700_000_000.0)
PLAN = small_plan()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal of a test stands."""
    return tmp_path / "journal.sqlite"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """A new journal, open for writing."""
    opened = Journal(path, clock=CLOCK)
    yield opened
    opened.close()


def alarm(number: int) -> Alarmed:
    """An event that may occur any number of times."""
    return Alarmed(station="nmr", what=f"alarm {number} é", step_id="")


def intent(attempt: int = 1) -> Intended:
    """An intent of the plan's first ramp."""
    step = PLAN.steps[1]
    return Intended(station="nmr", step_id=step.id, attempt=attempt, key=step.key, task=step.task)


def test_rows_come_back(journal: Journal) -> None:
    """What was appended is read back in order, as it was, with the clock's times."""
    events: list[Event] = [planned_event(PLAN, Policy(on_fault={"nmr": "pause"})), intent(), alarm(1)]
    for event in events:
        journal.append(event, key="k" if isinstance(event, Intended) else "", epoch=3)
    rows = list(journal.rows())
    assert [row.event for row in rows] == events
    assert [row.seq for row in rows] == [1, 2, 3]
    assert {row.wall_s for row in rows} == {CLOCK.now_s()}


@pytest.mark.parametrize("step", PLAN.steps, ids=lambda step: step.id)
def test_every_task_survives_json(step: object) -> None:
    """Every task of a plan comes back from its intent as it was."""
    event = replace(intent(), task=step.task)  # type: ignore[attr-defined]  # a Step
    assert event_from_json(event_json(event)) == event


def test_unknown_event_and_task() -> None:
    """An event or a task of another version is refused by name."""
    with pytest.raises(ValueError, match=r"labctl \d.* does not know an event 'Teleported'"):
        event_from_json('{"event": "Teleported"}')
    with pytest.raises(ValueError, match="Teleport"):
        task_from_json({"task": "Teleport"})


def test_pragmas(journal: Journal) -> None:
    """The journal is in WAL mode and syncs fully."""
    assert journal._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert journal._db.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_one_intent_for_each_attempt(journal: Journal) -> None:
    """The same intent twice is our bug; the next attempt is another row."""
    journal.append(intent(), key="k")
    with pytest.raises(InternalError, match="stands in the journal already"):
        journal.append(intent(), key="k")
    journal.append(intent(2), key="k")
    assert journal.verify_chain() == 2


def test_append_only(journal: Journal) -> None:
    """Neither update nor delete is possible through SQL."""
    journal.append(alarm(1))
    for statement in ("UPDATE journal SET kind='x'", "DELETE FROM journal"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            journal._db.execute(statement)


def test_outbox_follows_outcome_and_hand_off(journal: Journal) -> None:
    """An outcome with data waits in the outbox from its own transaction on until the hand-off's."""
    step_id = PLAN.steps[3].id
    finished = Finished(station="nmr", step_id=step_id, attempt=1, result="done", dataset=dataset_of(step_id, 1))
    journal.append(finished, key="k")
    assert journal.outbox() == (("k", 1),)
    journal.append(HandedOff(station="nmr", step_id=step_id, attempt=1, verdict=Verdict()), key="k")
    assert journal.outbox() == ()


@given(data=st.data(), column=st.sampled_from(["body", "wall_s", "kind", "attempt", "sha", "epoch"]))
def test_any_edit_breaks_the_chain(data: st.DataObject, column: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is changed behind labctl's back, in whichever row, the chain names the row."""
    path = tmp_path_factory.mktemp("chain") / "journal.sqlite"
    journal = Journal(path, clock=CLOCK)
    journal._db.execute("PRAGMA synchronous=OFF")
    for number in range(6):
        journal.append(alarm(number))
    row = data.draw(st.integers(1, 6))
    journal._db.executescript("DROP TRIGGER no_update; DROP TRIGGER no_delete;")
    journal._db.execute(f"UPDATE journal SET {column} = {column} || '1' WHERE seq = ?", (row,))
    with pytest.raises(InputError, match=f"row {row} is not as labctl wrote it") as told:
        journal.verify_chain()
    for wanted in ("no instrument was touched", f"labctl verify {path.parent}", f"{path.name}-wal", "labctl resume"):
        assert wanted in str(told.value)
    journal._db.execute("DELETE FROM journal WHERE seq = ?", (row,))
    if row < 6:
        with pytest.raises(InputError, match=f"row {row} "):
            journal.verify_chain()
    journal.close()


def test_a_damaged_journal_is_told_by_name(journal: Journal, path: Path) -> None:
    """A row that says nothing any more and a file whose pages are gone are bad input, named; never a bug of ours."""
    for number in range(80):
        journal.append(alarm(number))
    journal._db.executescript("DROP TRIGGER no_update;")
    journal._db.execute("UPDATE journal SET body = replace(body, 'what', 'whut') WHERE seq = 7")
    with pytest.raises(InputError, match=r"row 7 of the journal cannot be read \(alarm"):
        [row.event for row in journal.rows()]
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.close()
    pages = path.read_bytes()
    path.write_bytes(pages[:4096] + b"\x13" * (len(pages) - 4096))
    with pytest.raises(InputError, match=f"{path.name} cannot be read"):
        Journal(path, clock=CLOCK, read_only=True)
    with pytest.raises(InputError, match=f"{path.name} cannot be read"):
        Journal(path, clock=CLOCK)


def test_newer_version_is_refused_untouched(journal: Journal, path: Path) -> None:
    """A journal of a newer version is refused with instructions, and not written to."""
    journal.append(alarm(1))
    journal._db.execute("PRAGMA user_version=99")
    journal.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"newer labctl.*Go on with the newer labctl"):
        Journal(path, clock=CLOCK)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""])
def test_other_files(path: Path, content: bytes) -> None:
    """A file of something else is refused; an empty one becomes a journal."""
    path.write_bytes(content)
    if content:
        with pytest.raises(InputError, match="not a journal of labctl"):
            Journal(path, clock=CLOCK)
    else:
        Journal(path, clock=CLOCK).close()


def test_foreign_database_is_refused(path: Path) -> None:
    """A database of another program is not written to."""
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    with pytest.raises(InputError, match="something else"):
        Journal(path, clock=CLOCK)


def test_two_engines_on_one_journal(journal: Journal, path: Path) -> None:
    """A second engine is refused while the first has the folder; looking is allowed; afterwards it may."""
    with pytest.raises(SafetyRefusal, match="another labctl"):
        Journal(path, clock=CLOCK)
    journal.append(alarm(1))
    looking = Journal(path, clock=CLOCK, read_only=True)
    assert [row.event for row in looking.rows()] == [alarm(1)]
    looking.close()
    journal.close()
    Journal(path, clock=CLOCK).close()


def test_missing_journal_to_look_at(path: Path) -> None:
    """Looking at a folder without a journal says so and makes nothing."""
    with pytest.raises(InputError, match="does not exist"):
        Journal(path, clock=CLOCK, read_only=True)
    assert not path.exists()


def test_full_disk(journal: Journal) -> None:
    """A full disk refuses the row and nothing else: what was there is whole, and writing goes on once freed."""
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages + 4}")
    written = 0
    with pytest.raises(JournalUnwritable, match="full"):  # noqa: PT012 - how many fit is what is counted
        for number in range(10_000):
            journal.append(alarm(number))
            written += 1
    assert written > 0
    assert journal.verify_chain() == written
    journal._db.execute("PRAGMA max_page_count=1000000")
    journal.append(alarm(written))
    assert journal.verify_chain() == written + 1


def test_engine_on_a_full_disk(tmp_path: Path) -> None:
    """While the journal cannot be written nothing is begun; the campaign goes on by itself once there is space."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))
    tries: list[int] = []
    starts: set[int] = set()

    def hook(when: str, number: int) -> None:
        assert bench.engine is not None
        database = bench.engine._journal._db
        if number >= 20 and when == "before":
            tries.append(number)
            full = len(tries) < 100
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count={pages if full else 10**6}")
            if 30 < len(tries) < 100:  # the room left in the last pages is used up by then
                starts.add(len(bench.nmr.starts))

    outcome = bench.run(hook=hook)
    assert outcome.exit_code == 0
    assert len(starts) == 1
    assert set(bench.nmr.acquisitions().values()) == {1}
    assert "cannot be written" in bench.messages()


def test_engine_gives_up_a_full_disk_safely(tmp_path: Path) -> None:
    """A disk that stays full ends the run with every station made safe; the next waits for a person, and goes on."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))

    def hook(when: str, number: int) -> None:
        assert bench.engine is not None
        database = bench.engine._journal._db
        if number >= 20:
            pages = database.execute("PRAGMA page_count").fetchone()[0]
            database.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(JournalUnwritable):
        bench.run(hook=hook)
    assert bench.nmr.safe_asked_s is not None
    for _ in range(2):  # what could not be journaled then is journaled now, once
        assert bench.run().stations["nmr"] is StationPhase.SAFE
        assert bench.nmr.values["heater_percent"] == 0.0
    assert [event.limit for event in bench.events() if isinstance(event, Tripped)] == ["stopped"]
    assert bench.run(attended="there is room again").exit_code == 0


def test_torn_tail(tmp_path: Path) -> None:
    """Whatever prefix of the write-ahead log survives a loss of power, the journal opens, whole up to some row."""
    path = tmp_path / "journal.sqlite"
    journal = Journal(path, clock=CLOCK)
    for number in range(12):
        journal.append(alarm(number))
    wal = path.with_name(path.name + "-wal").read_bytes()
    database = path.read_bytes()
    journal.close()
    survivors = set()
    for number, cut in enumerate(range(0, len(wal) + 1, 997)):
        torn = tmp_path / f"torn{number}"
        torn.mkdir()
        (torn / "journal.sqlite").write_bytes(database)
        # the last frame is torn: its end is noise
        (torn / "journal.sqlite-wal").write_bytes(wal[: max(0, cut - 50)] + b"\xa5" * min(50, cut))
        try:
            reopened = Journal(torn / "journal.sqlite", clock=CLOCK)
        except InputError:
            assert not database  # power went before the first checkpoint: there was no journal yet
            continue
        rows = reopened.verify_chain()
        assert [row.event for row in reopened.rows()] == [alarm(index) for index in range(rows)]
        reopened.append(alarm(rows))
        survivors.add(rows)
        reopened.close()
        shutil.rmtree(torn)
    assert {0, 11} <= survivors


def test_replay_of_a_journal_file(tmp_path: Path) -> None:
    """Replaying the file gives the state the engine ended with."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))
    bench.run()
    state = initial_state(bench.plan)
    for event in bench.events():
        state, _ = decide(state, event)
    assert bench.engine is not None
    assert state == bench.engine.state


def test_clock_jump_is_written_down(tmp_path: Path) -> None:
    """A wall clock set back by an hour is journaled and neither trips nor starts anything early."""

    class JumpingClock(VirtualClock):
        offset_s = 0.0

        def now_s(self) -> float:
            return super().now_s() + self.offset_s

    clock = JumpingClock(1_700_000_000.0)
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1), clock=clock)
    bench.nmr.durations = lambda task: 0.0

    def operator() -> list[Operated]:
        clock.offset_s = -3600.0
        return []

    outcome = bench.run(operator=operator)
    assert outcome.exit_code == 0
    jumps = [row for row in bench.events() if not isinstance(row, Opened) and row.kind == "clock_jump"]
    assert len(jumps) == 1


@pytest.mark.parametrize(("durable", "waits"), [(True, 2), (False, 1)])
def test_a_row_waits_for_the_disk_except_in_a_rehearsal(durable: bool, waits: int, path: Path) -> None:
    """Each commit is synced (FULL, 2), unless nothing that is driven outlives the power (NORMAL, 1)."""
    journal = Journal(path, clock=CLOCK, durable=durable)
    assert journal._db.execute("PRAGMA synchronous").fetchone() == (waits,)
    journal.close()
    assert EngineOptions().durable
