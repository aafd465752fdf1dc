"""Verbs and Ctrl-C reach an engine that runs in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labctl.analysis import judge
from labctl.cli import finishing, running
from labctl.cli.app import run_app
from labctl.clock import SystemClock
from labctl.dataset.model import Verdict
from labctl.run.events import Amended, Event, Operated
from labctl.run.journal import Journal
from labctl.run.requests import Mailbox
from tests.whole.campaigns import SMALL

posix = pytest.mark.skipif(
    sys.platform == "win32", reason="forks; on Windows Ctrl-C is CTRL_C_EVENT to the same handler"
)

FIRST, SECOND = "nmr500/vt_exsy/T01/tmix01", "nmr500/vt_exsy/T01/tmix02"


class Engine:
    """A campaign in a forked process that waits, once, right after a 2D was seen running."""

    def __init__(self, arguments: list[str]) -> None:
        self._told, tell = os.pipe()
        released, self._release = os.pipe()
        self._said, say = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                os.dup2(say, 2)
                for end in (self._told, self._release, self._said, say):
                    os.close(end)
                with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                    sys.stdout = sys.stderr = nowhere
                    self._wait_once(tell, released)
                    code = run_app(arguments)
            finally:
                os._exit(code)
        for end in (tell, released, say):
            os.close(end)

    @staticmethod
    def _wait_once(tell: int, released: int) -> None:
        commit = Journal.append

        def append(self: Journal, event: Event, **more: Any) -> Any:
            row = commit(self, event, **more)
            if event.kind == "started" and event.step_id == FIRST:
                os.write(tell, b"x")
                while not select.select([released], [], [], 0.05)[0]:
                    pass  # signals that came in the meantime are heard between two of these
            return row

        Journal.append = append  # type: ignore[method-assign]  # in a child

    def await_2d(self) -> None:
        """Return when the 2D runs, and the engine waits."""
        assert os.read(self._told, 1) == b"x"

    def release(self) -> None:
        """Let the engine go on."""
        os.write(self._release, b"x")

    def press_ctrl_c(self) -> None:
        """Press it, and return when the engine has said that it heard."""
        os.kill(self.pid, signal.SIGINT)
        assert b"Ctrl-C again" in os.read(self._said, 10_000)

    def exit_code(self) -> int:
        """Return how it ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        return code

    def close(self) -> None:
        """Leave nothing behind, however the test went."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        for end in (self._told, self._release, self._said):
            os.close(end)


@pytest.fixture(autouse=True)
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports nobody looks at are not drawn."""
    monkeypatch.setattr(finishing, "_write_report", lambda *_: None)


@contextmanager
def engine(folder: Path) -> Iterator[Engine]:
    """An engine at its first 2D, in ``<folder>/run``."""
    protocol = folder / "small.yaml"
    protocol.write_text(SMALL, encoding="utf-8")
    campaign = Engine(["run", str(protocol), "--simulate", "--dir", str(folder / "run")])
    try:
        campaign.await_2d()
        yield campaign
    finally:
        campaign.close()


@contextmanager
def released_by_asking(campaign: Engine) -> Iterator[None]:
    """The engine goes on as soon as a request lies in its folder."""
    wait = Mailbox._await

    def release_and_wait(*arguments: Any) -> Any:
        campaign.release()
        return wait(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mailbox, "_await", release_and_wait)
        yield


def events(run_dir: Path) -> list[Event]:
    """Everything journaled."""
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        return [row.event for row in journal.rows()]
    finally:
        journal.close()


def last_wall_s(run_dir: Path) -> float:
    """When the last row was journaled."""
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        return max(row.wall_s for row in journal.rows())
    finally:
        journal.close()


@pytest.fixture
def no_analysis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fitted and no results are made; children inherit this."""
    monkeypatch.setattr(judge, "judge", lambda *_: Verdict())
    monkeypatch.setattr(running, "_finish", lambda _run_dir, outcome, *_: outcome.exit_code)


@posix
@pytest.mark.usefixtures("no_analysis")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_a_process(tmp_path: Path, times: int) -> None:
    """SIGINT once: the 2D ends, nothing follows; twice: it is halted. A verb then bears the time of the rehearsal."""
    with engine(tmp_path) as campaign:
        for _ in range(times):
            campaign.press_ctrl_c()
        campaign.release()
        assert campaign.exit_code() == 4
    told = events(tmp_path / "run")
    assert [event.verb for event in told if isinstance(event, Operated)] == ["pause", "abort"][:times]
    ends = {event.step_id: getattr(event, "result", "") for event in told if event.kind == "outcome"}
    assert ends.get(FIRST) == ("done" if times == 1 else None)  # halted before its first scan was over
    assert SECOND not in ends
    assert any(getattr(event, "reached", False) for event in told if event.kind == "safe_state")
    ended_s = last_wall_s(tmp_path / "run")
    assert run_app(["skip", str(tmp_path / "run"), SECOND, "--reason", "enough"]) == 0
    assert last_wall_s(tmp_path / "run") == ended_s  # a rehearsal's; else its lab would live on until today on resume


@posix
@pytest.mark.usefixtures("no_analysis")
def test_verbs_of_another_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status sees the engine; skip is answered by it, carried out and journaled; a second engine is refused."""
    run_dir = str(tmp_path / "run")
    with engine(tmp_path) as campaign:
        assert run_app(["status", run_dir, "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert (shown["version"], shown["running"], shown["simulated"]) == (1, True, True)
        assert [one["step_id"] for one in shown["under_way"]] == [FIRST]
        assert run_app(["resume", run_dir]) == 3
        assert "another labctl" in capsys.readouterr().err
        with released_by_asking(campaign):
            assert run_app(["skip", run_dir, SECOND, "--reason", "one is enough"]) == 0
        assert capsys.readouterr().out == f"{SECOND} is left out\n"
        assert campaign.exit_code() == 0
    [asked] = [event for event in events(tmp_path / "run") if isinstance(event, Operated)]
    assert (asked.verb, asked.step_id, asked.reason) == ("skip", SECOND, "one is enough")
    assert "@" in asked.by
    assert run_app(["status", run_dir]) == 0
    out = capsys.readouterr().out
    assert "no engine runs it; the last one left it done" in out
    assert f"skip: one is enough ({asked.by})" in out


@posix
def test_amend_in_another_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A 2D added behind the running one is shown, agreed to, acquired and reported; lines that touch are named."""
    run_dir = tmp_path / "run"
    more = tmp_path / "more.yaml"
    with engine(tmp_path) as campaign:
        more.write_text(SMALL.replace("scans: 8", "scans: 16"), encoding="utf-8")
        assert run_app(["amend", str(run_dir), str(more), "--reason", "noise", "--yes"]) == 2
        told = capsys.readouterr().err
        line = next(n for n, text in enumerate(more.read_text(encoding="utf-8").split("\n"), 1) if "scans: 16" in text)
        assert told.startswith(f"{more}:{line}:7: procedures[0].vt_exsy.scans: changes what has begun or is behind: ")
        assert f"{FIRST} has begun" in told
        assert run_app(["amend", str(run_dir), str(more), "--reason", "noise"]) == 2  # and it was not asked

        more.write_text(SMALL.replace("[20 ms, 1 s]", "[20 ms, 1 s, 300 ms]"), encoding="utf-8")
        with released_by_asking(campaign):
            assert run_app(["amend", str(run_dir), str(more), "--reason", "a third point", "--yes"]) == 0
        shown = capsys.readouterr().out
        assert "+ nmr500/vt_exsy/T01/tmix03 (exsy, " in shown
        assert "the plan is amended: " in shown
        assert campaign.exit_code() == 0
    [amended] = [event for event in events(run_dir) if isinstance(event, Amended)]
    assert (run_dir / amended.protocol_file).read_text(encoding="utf-8") == more.read_text(encoding="utf-8")
    results = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    assert sorted(entry["tmix_s"] for entry in results["exsy"]["matrices"]) == [0.02, 0.3, 1.0]
    assert results["certificate"]["lost"] == results["certificate"]["repeated"] == 0
    assert run_app(["status", str(run_dir)]) == 0
    assert "the plan was amended: protocol.2.yaml, a third point" in capsys.readouterr().out
    assert run_app(["resume", str(run_dir)]) == 0
    with (run_dir / "protocol.2.yaml").open("a", encoding="utf-8") as file:
        file.write("# later\n")
    assert run_app(["resume", str(run_dir)]) == 2
    assert "was changed since the amendment" in capsys.readouterr().err


@pytest.mark.usefixtures("no_analysis")
def test_verbs_without_an_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine pause and continue say so and what helps; an unknown folder and an empty reason too."""
    protocol = tmp_path / "small.yaml"
    protocol.write_text(SMALL.replace("[20 ms, 1 s]", "[20 ms]"), encoding="utf-8")
    run_dir = str(tmp_path / "run")
    assert run_app(["run", str(protocol), "--simulate", "--dir", run_dir]) == 0
    capsys.readouterr()
    for verb, words in (("pause", "nothing new is begun"), ("continue", "so nothing can continue")):
        assert run_app([verb, run_dir, "--reason", "x"]) == 2
        told = capsys.readouterr().err
        assert "no engine runs" in told
        assert words in told
        assert f"labctl resume {run_dir}" in told
    assert run_app(["skip", run_dir, FIRST, "--reason", "x"]) == 2
    assert "is done already" in capsys.readouterr().err
    assert run_app(["abort", run_dir, "--reason", "x"]) == 2
    assert "nothing is to be aborted\nnmr500: everything is done" in capsys.readouterr().err
    assert run_app(["pause", str(tmp_path), "--reason", "x"]) == 2
    assert "not a run folder" in capsys.readouterr().err
    with contextlib.closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as db:
        [version] = db.execute("PRAGMA user_version").fetchone()
        db.execute("PRAGMA user_version=99")
        for verb, *more in (["status"], ["status", "--json"], ["watch"], ["pause", "--reason", "x"]):
            assert run_app([verb, run_dir, *more]) == 2  # a newer labctl wrote it, and goes on with it
            out, told = capsys.readouterr()
            assert (out, "newer labctl" in told, "labctl resume" in told) == ("", True, False)
        db.execute(f"PRAGMA user_version={version}")
    assert run_app(["pause", run_dir, "--reason", " "]) == 2
    assert "--reason" in capsys.readouterr().err
    assert run_app(["pause", run_dir]) == 2
