"""What a person sees of a running campaign: the live view, and plain lines where there is no terminal."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from labctl.cli import progress
from labctl.cli.live_view import live_view
from labctl.cli.locating import lab_file
from labctl.cli.run_folder import freeze
from labctl.cli.watching import _draw, watch_command
from labctl.dataset.model import Dataset, Verdict
from labctl.run import noticeboard
from labctl.run.events import Operated
from labctl.run.following import Followed, Follower
from labctl.run.noticeboard import Noticeboard
from labctl.run.progress import ProgressReport
from tests.run.bench import Bench, Killed
from tests.run.campaigns import small_plan

PROTOCOLS = Path(__file__).parents[2] / "protocols"
SECOND_2D = "nmr/vt_exsy/T00/tmix01"


def judged(_path: Path, dataset: Dataset) -> Verdict:
    """An analysis with something to say."""
    measured = {"T1_s/LPSC": 17.0, "T1_s/Li2S": 5.0} if dataset.kind == "saturation_recovery" else {}
    return Verdict(measured=measured, message=f"judged {dataset.kind}", warnings=("look",) if measured else ())


class Heard(list[ProgressReport]):
    """Reports that somebody hears as they come."""

    def __init__(self, hears: Callable[[ProgressReport], None]) -> None:
        super().__init__()
        self._hears = hears

    def append(self, report: ProgressReport) -> None:
        self._hears(report)
        super().append(report)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A lab whose noticeboard is renewed at once."""
    monkeypatch.setattr(noticeboard, "_EVERY_S", 0.0)
    made = Bench(folder=tmp_path, plan=small_plan(), analyse=judged)
    board = Noticeboard(made.run_dir, version="1")
    made.options = replace(made.options, bystanders=(board,))
    made.reports = Heard(board.after(lambda _: None))
    return made


def drawn(followed: Followed, width: int) -> list[str]:
    """The lines of a view."""
    console = Console(width=width, file=io.StringIO(), force_terminal=False, highlight=False)
    with console.capture() as captured:
        console.print(live_view(followed, simulated=True, zone=dt.UTC))
    return captured.get().splitlines()


def run_until(bench: Bench, step_id: str) -> None:
    """Let the engine die when half of a step has gone by."""

    def dies() -> list[Operated]:
        engine = bench.engine
        if engine is not None and engine.state.stations["nmr"].open == step_id:
            entry = list(bench.nmr.entries.values())[-1]
            if entry.order.step_id == step_id and bench.clock.now_s() >= 0.5 * (entry.begun_s + entry.ends_s):
                raise Killed
        return []

    with pytest.raises(Killed):
        bench.run(operator=dies, virtual_poll_s=60.0)


@pytest.mark.parametrize("width", [60, 80, 132])
def test_a_running_campaign_is_seen_at_any_width(bench: Bench, width: int) -> None:
    """Station, phase, step, its share, temperatures, the rest of the time and the last results stand in the width."""
    run_until(bench, SECOND_2D)
    follower = Follower(bench.run_dir)
    follower.look()
    shown = follower.followed.shown
    lines = drawn(follower.followed, width)
    page = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("small (simulated)")
    assert f"{shown['steps_behind']} of {shown['steps']} steps behind" in page
    station = shown["stations"]["nmr"]
    assert 0.4 < station["fraction"] < 0.7
    assert f"{100 * station['fraction']:.0f} %" in page
    assert f"{100 * shown['fraction']:.0f} %" in lines[0]
    assert "running" in page
    assert SECOND_2D.removeprefix("nmr/") in page
    assert f"{station['readings']['sensor_K'] - 273.15:.1f} °C (set {station['setpoint_K'] - 273.15:.1f} for" in page
    assert f"{station['sample_wanted_K'] - 273.15:.1f} in the sample" in page
    assert "10.00 kHz" in page
    assert "left, ends" in page
    assert "judged exsy" in page


def test_a_fault_stands_out(bench: Bench) -> None:
    """A station that was made safe says who is needed and why, and the alarm stands among the last ones."""

    def gas_fails() -> list[Operated]:
        engine = bench.engine
        if engine is not None and engine.state.stations["nmr"].open == SECOND_2D:
            bench.nmr.values["gas_L_per_h"] = 100.0
        return []

    assert bench.run(operator=gas_fails, operator_continues=False, virtual_poll_s=60.0).exit_code == 1
    follower = Follower(bench.run_dir)
    follower.look()
    page = "\n".join(drawn(follower.followed, 100))
    assert "safe" in page
    assert "a person is needed: " in page
    alarms = page.split("last alarms")[1]
    assert "gas" in alarms
    assert "nmr: safe state reached\n" in "\n".join(line.rstrip() for line in alarms.splitlines()) + "\n"


def test_following_in_pieces_tells_what_looking_once_does(bench: Bench) -> None:
    """Whoever looks on from the start hears everything once, in order; whoever comes late finds the same last news."""
    follower = Follower(bench.run_dir)
    heard = []

    def looks_on() -> list[Operated]:
        heard.extend(follower.look())
        return []

    assert bench.run(operator=looks_on, operator_continues=False).exit_code == 0
    heard += follower.look()
    late = Follower(bench.run_dir)
    assert late.look() == heard
    assert follower.look() == []
    assert late.followed.results == follower.followed.results
    assert [one.step_id for one in heard if one.what == "begun"] == [
        event.step_id for event in bench.events() if type(event).__name__ == "Intended"
    ]
    assert {one.text for one in heard if one.what == "result"} >= {
        "judged exsy",
        "judged saturation_recovery (1 warning)",
    }


def test_nothing_to_see_yet_is_said(tmp_path: Path) -> None:
    """A folder without a journal is no error: its campaign may be about to begin."""
    follower = Follower(tmp_path)
    assert follower.look() == []
    assert "no engine has shown anything yet" in "\n".join(drawn(follower.followed, 80))


def test_an_engine_that_shows_nothing_is_told(bench: Bench) -> None:
    """A campaign said to be running by something old is not drawn as if all were well."""
    run_until(bench, SECOND_2D)
    follower = Follower(bench.run_dir)
    follower.look()
    follower.followed.shown_age_s = 600.0
    assert "the engine has shown nothing for 10 min" in "\n".join(drawn(follower.followed, 100))


def test_watching_without_a_terminal_prints_lines(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """`labctl watch` in a pipe prints what happened last, a line each, and ends with the engine."""
    freeze(
        bench.run_dir,
        protocol=PROTOCOLS / "vt_exsy_demo.yaml",
        lab=lab_file(None),
        simulated=True,
        sample=None,
        faults=None,
        seed=0,
        start_s=0.0,
    )
    assert bench.run().exit_code == 0
    assert watch_command(bench.run_dir) == 0
    lines = capsys.readouterr().out.splitlines()
    follower = Follower(bench.run_dir)
    assert len(lines) == len(follower.look()[-10:])
    assert lines[-1].endswith(": begun")
    assert all(line[4] == "-" and "Z " in line for line in lines)


def test_the_terminal_that_runs_a_campaign_shows_the_same(bench: Bench) -> None:
    """The view drawn last by `labctl run` is that of the ended campaign; messages stand above it."""
    paper = io.StringIO()
    console = Console(width=90, file=paper, force_terminal=True, color_system=None, highlight=False)
    board = Noticeboard(bench.run_dir, version="1")
    with progress._live(bench.run_dir, console, simulated=True) as on_progress:
        bench.reports = Heard(board.after(on_progress))
        assert bench.run(bystanders=(board,)).exit_code == 0
        board.close()
    follower = Follower(bench.run_dir)
    follower.look()
    last = [line.rstrip() for line in drawn(follower.followed, 90)]
    written = paper.getvalue()
    assert "100 %" in written
    assert all(line in written for line in last if line and ":" not in line)


def test_watching_what_has_ended_draws_it_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the last view stays, and it is said that no engine runs the campaign."""
    assert bench.run().exit_code == 0
    _draw(Follower(bench.run_dir), bench.run_dir, simulated=True)
    page = capsys.readouterr().out
    assert page.count("small (simulated)") == 1
    assert "last results" in page
    assert "no engine runs it now" in page.splitlines()[-1]
