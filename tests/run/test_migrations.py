"""A newer labctl takes an older campaign up again, or says what to do; in no case is a journal half of each."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import VirtualClock
from labctl.errors import InputError
from labctl.run import migrations
from labctl.run.events import Alarmed
from labctl.run.history import certificate
from labctl.run.journal import Journal, JournalUnwritable
from labctl.run.lifecycle import CampaignPhase
from labctl.run.migrations import SCHEMA_VERSION
from tests.run.bench import Bench
from tests.run.campaigns import small_plan

CLOCK = VirtualClock(1_700_010_000.0)
ALARM = Alarmed(station="nmr", what="written by today's labctl")
FROZEN = Path(__file__).parent / "journals" / "version1.jsonl"
_VERSION_1 = """
PRAGMA journal_mode=WAL;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, campaign TEXT NOT NULL, station TEXT NOT NULL, key TEXT NOT NULL,
    attempt INTEGER NOT NULL, kind TEXT NOT NULL, step_id TEXT NOT NULL, epoch INTEGER NOT NULL,
    wall_s REAL NOT NULL, monotonic_s REAL NOT NULL, body TEXT NOT NULL, sha TEXT NOT NULL
);
CREATE UNIQUE INDEX once ON journal (key, kind, attempt) WHERE key <> '' AND kind NOT IN
    ('opened', 'progress', 'verified', 'failed', 'operator', 'safe_state', 'alarm', 'clock_jump');
CREATE INDEX by_kind ON journal (kind);
CREATE TRIGGER no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE outbox (key TEXT NOT NULL, attempt INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, attempt));
PRAGMA application_id=0x4C414243;
PRAGMA user_version=1;
"""


def write_version_1(path: Path) -> list[Any]:
    """Write a campaign that died after its T1, as labctl wrote journals of version 1; returns its last row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(_VERSION_1)
    sha, row = "0" * 64, []
    for line in FROZEN.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = json.dumps(row, separators=(",", ":"), ensure_ascii=False)
        sha = hashlib.sha256(f"{sha}\n{text}".encode()).hexdigest()
        db.execute(f"INSERT INTO journal VALUES ({','.join('?' * 12)})", (*row, sha))
    db.close()
    return [*row, sha]


def tables(path: Path) -> tuple[int, dict[str, str]]:
    """Return version and tables of a journal."""
    db = sqlite3.connect(path)
    found = dict(db.execute("SELECT name, sql FROM sqlite_master WHERE sql <> ''").fetchall())
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    db.close()
    return version, found


def test_an_older_campaign_goes_on(tmp_path: Path) -> None:
    """A campaign of version 1 is resumed to its end: nothing repeated or lost, old rows and chain as they were."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))
    path = bench.run_dir / "journal.sqlite"
    last = write_version_1(path)
    bench.clock.wait_until(last[8] + 600.0)
    assert bench.run().phase is CampaignPhase.DONE
    journal = bench.journal()
    told, rows = certificate(journal), list(journal.rows())
    assert journal.verify_chain() == len(rows) > last[0]
    assert rows[last[0] - 1].sha == last[-1]
    assert [one[::2] for one in journal.lineage()] == [(SCHEMA_VERSION, last[0])]
    journal.close()
    assert (told.acquired, told.repeated, told.lost) == (told.planned, 0, 0)
    begun = set(bench.nmr.acquisitions())
    assert begun == {"nmr/vt_exsy/T00/tmix00"}, "only what was missing was acquired"


def test_looking_changes_nothing(tmp_path: Path) -> None:
    """Status and certificate read an older journal as it is; only an engine brings it forward."""
    path = tmp_path / "journal.sqlite"
    last = write_version_1(path)
    before = path.read_bytes()
    journal = Journal(path, clock=CLOCK, read_only=True)
    assert (journal.verify_chain(), journal.lineage()) == (last[0], ())
    assert certificate(journal).planned == 4
    journal.close()
    assert path.read_bytes() == before


def test_old_and_new_tables_are_the_same(tmp_path: Path) -> None:
    """A journal brought forward has the tables of one that was begun today."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    write_version_1(old)
    for path in (old, new):
        journal = Journal(path, clock=CLOCK)
        journal.append(ALARM)
        journal.close()
    (_, one), (_, other) = tables(old), tables(new)
    assert tables(old)[0] == tables(new)[0] == SCHEMA_VERSION
    assert {name: " ".join(sql.split()) for name, sql in one.items() if name != "journal"} == {
        name: " ".join(sql.split()) for name, sql in other.items() if name != "journal"
    }


def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails, as on a full disk, leaves the older journal as it was, to be tried again."""
    path = tmp_path / "journal.sqlite"
    write_version_1(path)
    before = tables(path)
    monkeypatch.setattr(migrations, "STEPS", {1: (*migrations.LINEAGE, "CREATE TABLE journal (seq INTEGER)")})
    journal = Journal(path, clock=CLOCK)
    with pytest.raises(JournalUnwritable):
        journal.append(ALARM)
    assert tables(path) == before
    monkeypatch.undo()
    journal.append(ALARM)
    journal.close()
    assert tables(path)[0] == SCHEMA_VERSION


def test_a_plan_that_is_another_leaves_the_older_labctl_its_campaign(tmp_path: Path) -> None:
    """A labctl that would plan otherwise refuses and says what to do; the journal stays of its version."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(323.0,), tmix=1))
    path = bench.run_dir / "journal.sqlite"
    write_version_1(path)
    before = tables(path)
    with pytest.raises(InputError, match=r"steps that differ.*run\.json"):
        bench.run()
    assert tables(path) == before


def test_a_changed_journal_is_not_brought_forward(tmp_path: Path) -> None:
    """A row that is not as labctl wrote it stops the upgrade, and the journal stays what it was."""
    path = tmp_path / "journal.sqlite"
    write_version_1(path)
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER no_update")
    db.execute("UPDATE journal SET body=body || ' ' WHERE seq=9")
    db.commit()
    db.close()
    before = tables(path)
    journal = Journal(path, clock=CLOCK)
    with pytest.raises(InputError, match="row 9 is not as labctl wrote it"):
        journal.append(ALARM)
    journal.close()
    assert tables(path) == before


def test_history_of_versions_is_append_only(tmp_path: Path) -> None:
    """What was brought forward, and when, cannot be edited either."""
    path = tmp_path / "journal.sqlite"
    write_version_1(path)
    journal = Journal(path, clock=CLOCK)
    journal.append(ALARM)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        journal._db.execute("DELETE FROM lineage")
    journal.close()
