"""What a person sees of a running campaign: a bar with ETA on a terminal, plain lines elsewhere (standard error)."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from labctl.cli.console import on_terminal
from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.plan.steps import Plan
    from labctl.run.progress import ProgressReport

OnProgress = Callable[["ProgressReport"], None]


@contextmanager
def watch_progress(plan: Plan, *, simulated: bool) -> Iterator[OnProgress]:
    """Yield the function that the engine tells its progress."""
    if on_terminal():
        with _bar(plan, simulated=simulated) as on_progress:
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
            again = f" (attempt {report.attempt})" if report.attempt > 1 else ""
            left = duration_text(max(0.0, report.eta_s - report.at_s))
            print(
                f"{now:%Y-%m-%d %H:%M:%S}Z {report.step_id}{again}  {100 * report.campaign_fraction:.0f} %, "
                f"{left} left{' (simulated)' if self._simulated else ''}",
                file=sys.stderr,
            )
        for line in self._news.lines(report):
            print(f"{now:%Y-%m-%d %H:%M:%S}Z {report.station}: {line}", file=sys.stderr)


@contextmanager
def _bar(plan: Plan, *, simulated: bool) -> Iterator[OnProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    progress = Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]} left, ends {task.fields[ends]}"),
        TextColumn("[dim]{task.fields[step]} {task.fields[readings]}"),
        console=Console(stderr=True, highlight=False),
        refresh_per_second=5,
    )
    name = f"{plan.campaign} (simulated)" if simulated else plan.campaign
    with progress:
        task = progress.add_task(name, total=1.0, left="?", ends="?", step="", readings="")
        news = News()

        def on_progress(report: ProgressReport) -> None:
            ends = dt.datetime.fromtimestamp(report.eta_s, dt.UTC).astimezone()
            progress.update(
                task,
                completed=report.campaign_fraction,
                left=duration_text(max(0.0, report.eta_s - report.at_s)),
                ends=f"{ends:%a %H:%M}",
                step=report.step_id.split("/", 2)[-1],
                readings=_readings(report),
            )
            for line in news.lines(report):
                moment = dt.datetime.fromtimestamp(report.at_s, dt.UTC).astimezone()
                progress.console.print(f"{moment:%Y-%m-%d %H:%M} {report.station}: {line}", markup=False)

        yield on_progress


def _readings(report: ProgressReport) -> str:
    values = {reading.quantity: reading.value for reading in report.readings}
    parts = []
    if "sensor_K" in values:
        parts.append(f"{values['sensor_K'] - 273.15:.1f} °C")
    if "spinning_Hz" in values:
        parts.append(f"{values['spinning_Hz'] / 1000:.2f} kHz")
    return " ".join(parts)
