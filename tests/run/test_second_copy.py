"""The second copy: checked, never in the way of a campaign, never over somebody else's file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labctl.dataset.store import damaged_files, read_manifests
from labctl.run.events import Alarmed, SafeSeen
from labctl.run.history import certificate, datasets_told
from labctl.run.journal import Journal
from labctl.run.journal_copy import copy_journal
from labctl.run.second_copy import AGAIN_S, SecondCopy
from tests.run.bench import Bench
from tests.run.campaigns import small_plan


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A lab with a short campaign."""
    return Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))


class Inline(SecondCopy):
    """Copies between two turns of the engine instead of in a thread."""

    def said(self) -> list[Alarmed]:
        self.work()
        return list(super().said())


def test_the_copy_is_whole(bench: Bench, tmp_path: Path) -> None:
    """Beside a campaign that goes on as ever, each raw file and manifest arrives with its checksum."""
    folder = tmp_path / "other disk"
    folder.mkdir()
    copy = SecondCopy(bench.run_dir, folder)
    copy.start()
    assert bench.run(bystanders=(copy,)).exit_code == 0
    assert copy.close() == 0
    there = folder / bench.run_dir.name
    assert read_manifests(there) == read_manifests(bench.run_dir) != ()
    assert [damaged_files(there, dataset) for dataset in read_manifests(there)] == [()] * len(read_manifests(there))
    assert not list(there.rglob("*.tmp*"))
    assert not any(isinstance(event, Alarmed) for event in bench.events())
    kept = Journal(there / "journal.sqlite", clock=bench.clock, read_only=True)
    assert [row.event for row in kept.rows()] == bench.events()
    kept.close()


def test_a_journal_s_good_copy_is_never_given_up(bench: Bench, tmp_path: Path) -> None:
    """A copy is renewed by a journal that goes on from it; by one that is damaged or took another course it is not."""
    bench.run()
    source, target = bench.run_dir / "journal.sqlite", tmp_path / "copy" / "journal.sqlite"
    assert copy_journal(source, target) == ""
    journal = Journal(source, clock=bench.clock)
    for number in range(2):
        journal.append(Alarmed(station="nmr", what=f"later {number}"))
    rows = journal.verify_chain()
    assert copy_journal(source, target) == ""
    good = target.read_bytes()
    journal._db.executescript("DROP TRIGGER no_update; DROP TRIGGER no_delete;")
    journal._db.execute("UPDATE journal SET wall_s = wall_s + 1 WHERE seq = 5")
    assert "row 5 is not as labctl wrote it" in copy_journal(source, target)
    journal._db.execute("UPDATE journal SET wall_s = wall_s - 1 WHERE seq = 5")
    journal._db.execute("DELETE FROM journal WHERE seq = ?", (rows,))
    assert "of another course" in copy_journal(source, target)
    journal.close()
    assert target.read_bytes() == good
    assert [one.name for one in target.parent.iterdir()] == [target.name]
    target.write_bytes(b"nothing" * 1000)
    assert copy_journal(source, target) == ""


def test_a_campaign_goes_on_from_the_journal_s_copy(bench: Bench, tmp_path: Path) -> None:
    """With the journal of some hours ago in its place, what was done since is brought in: begun once, none lost."""
    path, kept = bench.run_dir / "journal.sqlite", tmp_path / "kept.sqlite"

    def keep(when: str, number: int) -> None:
        if (when, number) == ("after", 12):
            assert copy_journal(path, kept) == ""

    assert bench.run(hook=keep).exit_code == 0
    begun, raw = dict(bench.nmr.starts), bench.raw()
    for one in bench.run_dir.glob("journal.sqlite*"):
        one.unlink()
    shutil.copyfile(kept, path)
    assert bench.run().exit_code == 0
    assert {token: bench.nmr.starts[token] for token in begun} == begun
    assert bench.raw() == raw
    journal = bench.journal()
    told = certificate(journal)
    journal.close()
    assert (told.acquired, told.repeated, told.lost) == (told.planned, 0, 0)


def test_what_comes_back_may_be_another_disk(bench: Bench, tmp_path: Path) -> None:
    """After a time without the disk it holds everything before that is said, though an empty one was put in."""
    bench.run()
    first, *others = read_manifests(bench.run_dir)
    folder, now = tmp_path / "other disk", [0.0]
    folder.mkdir()
    copy = SecondCopy(bench.run_dir, folder, before=(first,), monotonic_s=lambda: now[0])
    copy.work()
    shutil.rmtree(folder)
    for dataset in others:
        copy._todo.append(dataset)
    copy.work()
    folder.mkdir()
    now[0] += AGAIN_S
    copy.work()
    assert [one.what.rpartition(": ")[2] for one in copy.said()][-1] == "complete again"
    assert read_manifests(folder / bench.run_dir.name) == (first, *others)


def test_a_missing_disk_is_an_alarm_and_no_more(bench: Bench, tmp_path: Path) -> None:
    """Without the disk the campaign ends as planned; it is said once, and a resume copies what is missing."""
    folder = tmp_path / "not mounted"
    copy = Inline(bench.run_dir, folder, monotonic_s=bench.clock.monotonic_s)
    assert bench.run(bystanders=(copy,)).exit_code == 0
    said = [event.what for event in bench.events() if isinstance(event, Alarmed)]
    assert len(said) == 1
    assert "is the disk mounted" in said[0]
    assert not any(isinstance(event, SafeSeen) for event in bench.events())
    assert copy.close() == len(read_manifests(bench.run_dir))
    folder.mkdir()
    journal = bench.journal()
    later = SecondCopy(bench.run_dir, folder, before=datasets_told(journal))
    journal.close()
    assert later.close() == 0
    assert read_manifests(folder / bench.run_dir.name) == read_manifests(bench.run_dir)


def test_nothing_is_overwritten(bench: Bench, tmp_path: Path) -> None:
    """Another file in our place stays, is said, and does not keep the other datasets from being copied."""
    bench.run()
    first, *others = read_manifests(bench.run_dir)
    folder = tmp_path / "other disk"
    victim = folder / bench.run_dir.name / first.files[0].path
    victim.parent.mkdir(parents=True)
    victim.write_bytes(b"somebody else's")
    now = [0.0]
    copy = SecondCopy(bench.run_dir, folder, before=(first, *others), monotonic_s=lambda: now[0])
    for _ in range(len(others) + 2):
        copy.work()
        now[0] += AGAIN_S
    assert ["not overwritten" in alarm.what for alarm in copy.said()] == [True]
    assert victim.read_bytes() == b"somebody else's"
    assert all(damaged_files(folder / bench.run_dir.name, dataset) == () for dataset in others)
    victim.unlink()
    assert copy.close() == 0


def test_what_arrives_broken_does_not_count(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that does not keep what it was given is found out by reading back."""
    bench.run()
    folder = tmp_path / "bad disk"
    folder.mkdir()
    copyfile = shutil.copyfile

    def badly(source: Path, target: Path) -> None:
        copyfile(source, target)
        if target.name.endswith("data.txt.tmp"):
            target.write_bytes(target.read_bytes()[:-1] + b"?")

    copy = SecondCopy(bench.run_dir, folder, before=read_manifests(bench.run_dir))
    monkeypatch.setattr(shutil, "copyfile", badly)
    copy.work()
    assert ["did not arrive as it was acquired" in alarm.what for alarm in copy.said()] == [True]
    assert not list(folder.rglob("data.txt"))
    monkeypatch.undo()
    assert copy.close() == 0
