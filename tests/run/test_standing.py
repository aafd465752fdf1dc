"""What `status` reads without the engine's types is what the whole history says."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from labctl.clock import SystemClock
from labctl.errors import InputError
from labctl.run.events import Operated
from labctl.run.following import Follower
from labctl.run.history import certificate, history
from labctl.run.journal import Journal
from labctl.run.noticeboard import STANDING, Noticeboard
from labctl.run.standing import amendments, said_once, standing
from tests.run.bench import Bench, Killed
from tests.run.campaigns import small_plan
from tests.run.test_amend import MORE, OLD, amend, replan
from tests.run.test_operator import STEP, Asker, running


def whole(bench: Bench) -> None:
    """Nothing out of the ordinary."""
    bench.run()


def killed(bench: Bench) -> None:
    """Dead in the middle of a 2D."""

    def operator() -> Sequence[Operated]:
        if running(bench):
            raise Killed
        return ()

    with pytest.raises(Killed):
        bench.run(operator=operator)


def troubled(bench: Bench) -> None:
    """A T1 that fails, a 2D that is halted, and another that fails twice, until the station is safe."""
    bench.nmr.endings = {
        "nmr/vt_exsy/T00/t1": ["failed"],
        STEP: ["halted"],
        "nmr/vt_exsy/T00/tmix01": ["failed", "failed"],
    }
    bench.run()


def skipped_and_amended(bench: Bench) -> None:
    """A person skips one 2D and adds another."""
    ahead = Operated(verb="skip", reason="not needed", step_id="nmr/vt_exsy/T00/tmix01", by="ana@nmr")
    asker = Asker(bench, (lambda: running(bench), amend()))
    said: list[Operated] = []

    def operator() -> Sequence[Operated]:
        asker()
        if running(bench) and not said:
            said.append(ahead)
            return said
        return ()

    bench.run(operator=operator, replan=replan)


def aborted(bench: Bench) -> None:
    """A person aborts, and the next engine goes on."""
    said: list[Operated] = []

    def operator() -> Sequence[Operated]:
        if running(bench) and not said:
            said.append(Operated(verb="abort", reason="smoke"))
            return said
        return ()

    bench.run(operator=operator)
    bench.run(attended="aired")


@pytest.mark.parametrize("story", [whole, killed, troubled, skipped_and_amended, aborted])
def test_standing_is_the_history(tmp_path: Path, story: object) -> None:
    """Campaign, times, certificate, attempts under way, steps behind and incidents are those of the history."""
    bench = Bench(folder=tmp_path, plan=OLD)
    assert callable(story)
    story(bench)
    told = standing(bench.run_dir / "journal.sqlite", incidents=1000)
    journal = bench.journal()
    try:
        expected, certified = history(journal), certificate(journal)
        rows = list(journal.rows())
    finally:
        journal.close()
    assert (told["campaign"], told["begun_s"], told["last_event_s"]) == (
        expected.campaign,
        expected.begun_s,
        expected.last_s,
    )
    assert told["rows"] == len(rows)
    names = ("planned", "acquired", "partial", "repeated", "lost")
    assert told["certificate"] == {name: getattr(certified, name) for name in names}
    assert [(one["step_id"], one["attempt"], one["intended_s"], one["started_s"]) for one in told["under_way"]] == [
        (one.step_id, one.attempt, one.intended_s, one.started_s) for one in expected.attempts if one.result == "open"
    ]
    behind = {one.step_id for one in expected.attempts if one.result in {"done", "halted"}} | set(expected.skipped)
    assert told["steps_behind"] == len(behind & {step.id for step in expected.planned})
    assert told["steps"] == len(expected.planned)
    assert [(one["at_s"], one["station"], one["what"]) for one in told["last_incidents"]] == [
        (one.at_s, one.station, one.what) for one in expected.incidents
    ]
    if story is skipped_and_amended:
        assert told["steps"] == len(MORE.steps)
        assert any("(ana@nmr)" in one["what"] for one in told["asked"])


def test_what_an_engine_shows(tmp_path: Path) -> None:
    """The noticeboard says at the end what the engine's state says: phase, steps behind, who is waited for."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,)))
    bench.nmr.endings = {"nmr/vt_exsy/T00/tmix01": ["failed", "failed"]}
    board = Noticeboard(bench.run_dir, version="1")
    outcome = bench.run(bystanders=(board,))
    for report in bench.reports[-3:]:
        board.after(lambda _: None)(report)
    board.close()
    shown = json.loads((bench.run_dir / STANDING).read_text(encoding="utf-8"))
    assert bench.engine is not None
    station = bench.engine.state.stations["nmr"]
    assert shown["phase"] == outcome.phase.value == "stopped"
    assert shown["stations"]["nmr"]["phase"] == "safe"
    assert shown["stations"]["nmr"]["fault"] == station.fault
    assert shown["seq"] == len(bench.events())
    assert shown["stations"]["nmr"]["readings"]["spinning_Hz"] == 10_000.0


def test_a_folder_without_a_campaign(tmp_path: Path) -> None:
    """No journal, another file, or an empty journal are said to be that."""
    with pytest.raises(InputError, match="does not exist"):
        standing(tmp_path / "journal.sqlite")
    (tmp_path / "text").write_text("no database " * 100, encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        standing(tmp_path / "text")
    Journal(tmp_path / "journal.sqlite", clock=SystemClock()).close()
    with pytest.raises(InputError, match="no campaign yet"):
        standing(tmp_path / "journal.sqlite")


def test_a_newer_labctl_is_named(tmp_path: Path) -> None:
    """Who only looks is told that a newer labctl wrote the journal, which, and what to do; the file stays as it was."""
    path = tmp_path / "journal.sqlite"
    Journal(path, clock=SystemClock()).close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO lineage VALUES (99, '7.1.0', 3, '', 0)")
        db.commit()
        db.execute("PRAGMA user_version=99")
    before = path.read_bytes()
    for look in (lambda: standing(path), lambda: amendments(path), lambda: Follower(tmp_path).look()):
        with pytest.raises(InputError, match=r"newer labctl \(7\.1\.0\).*version is 99.*Go on with the newer labctl"):
            look()
    assert path.read_bytes() == before


def test_a_verdict_says_each_thing_once() -> None:
    """What could not be analysed warns with the words of its message: one line, said once."""
    assert said_once("could not be analysed: no", ("could not be analysed: no", "1 row")) == (
        "could not be analysed: no; 1 row"
    )
    assert said_once("", ("1 row",)) == "1 row"
