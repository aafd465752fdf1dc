"""What a person sees of the campaign a terminal runs: the live view there, plain lines elsewhere (standard error)."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.console import on_terminal
from labctl.errors import InputError
from labctl.units import duration_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from labctl.run.progress import ProgressReport

OnProgress = Callable[["ProgressReport"], None]


@contextmanager
def watch_progress(run_dir: Path, *, simulated: bool) -> Iterator[OnProgress]:
    """Yield the function that the engine of a run folder tells its progress."""
    if on_terminal():
        from rich.console import Console

        with _live(run_dir, Console(stderr=True, highlight=False), simulated=simulated) as on_progress:
            yield on_progress
    else:
        yield _Lines(simulated=simulated)


class News:
    """What is worth a line: every message, and what a person is asked once per attempt at a step."""

    def __init__(self) -> None:
        self._asked: dict[str, tuple[str, int, str]] = {}

    def lines(self, report: ProgressReport) -> list[str]:
        """Return what this report says that was not said before."""
        lines = []
        asked = self._asked.get(report.station)
        if report.message and (asked is None or asked[2] != report.message):
            lines.append(report.message)
        now = (report.step_id, report.attempt, report.needs_person)
        if report.needs_person and now != asked:
            self._asked[report.station] = now
            lines.append(f"a person is needed: {report.needs_person}")
        return lines


class _Lines:
    """One line when a step begins, and one for every message; fit for a log file."""

    def __init__(self, *, simulated: bool) -> None:
        self._simulated = simulated
        self._step: dict[str, tuple[str, int]] = {}
        self._news = News()

    def __call__(self, report: ProgressReport) -> None:
        now = dt.datetime.fromtimestamp(report.at_s, dt.UTC)
        if report.step_id and self._step.get(report.station) != (report.step_id, report.attempt):
            self._step[report.station] = (report.step_id, report.attempt)
            again = (
                "" if report.attempt <= 1 else f" (attempt {report.attempt})" if report.acquires else " (begun again)"
            )
            left = duration_text(max(0.0, report.eta_s - report.at_s))
            print(
                f"{now:%Y-%m-%d %H:%M:%S}Z {report.step_id}{again}  {100 * report.campaign_fraction:.0f} %, "
                f"{left} left{' (simulated)' if self._simulated else ''}",
                file=sys.stderr,
            )
        for line in self._news.lines(report):
            print(f"{now:%Y-%m-%d %H:%M:%S}Z {report.station}: {line}", file=sys.stderr)


@contextmanager
def _live(run_dir: Path, console: Console, *, simulated: bool) -> Iterator[OnProgress]:
    """The view that `labctl watch` shows too, renewed in a thread of its own; messages scroll past above it."""
    from rich.live import Live

    from labctl.cli.live_view import live_view
    from labctl.run.following import Follower

    follower = Follower(run_dir)

    def drawn() -> RenderableType:
        with suppress(InputError):  # the engine itself says what is wrong with its journal
            follower.look()
        return live_view(follower.followed, simulated=simulated)

    news = News()
    with Live(get_renderable=drawn, console=console, refresh_per_second=2) as live:

        def on_progress(report: ProgressReport) -> None:
            for line in news.lines(report):
                moment = dt.datetime.fromtimestamp(report.at_s, dt.UTC).astimezone()
                live.console.print(f"{moment:%Y-%m-%d %H:%M} {report.station}: {line}", markup=False)

        yield on_progress
