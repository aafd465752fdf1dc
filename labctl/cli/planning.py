"""``labctl check``, ``plan`` and ``schema``: everything that can be said before an instrument is touched."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import itertools
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.locating import lab_file
from labctl.errors import Finding, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from labctl.plan.estimate import Estimate
    from labctl.plan.steps import Plan
    from labctl.plan.table import Row
    from labctl.protocol.load import LoadedLab, LoadedProtocol


@dataclass(frozen=True, slots=True)
class Checked:
    """A protocol and a lab that fit each other, the plan they make, and what was noticed on the way."""

    protocol: LoadedProtocol
    lab: LoadedLab
    plan: Plan
    findings: tuple[Finding, ...]


def checked(protocol_path: Path, lab_path: Path | None, *, start_s: float | None = None) -> Checked:
    """Read and check a protocol against a lab.

    Without a start, two files that have not changed are not checked again: a campaign asks after each of its datasets.

    Raises
    ------
    InputError
        With every finding, when at least one of them is an error.
    """
    from labctl.located_yaml import text_of
    from labctl.protocol.load import load_protocol

    if start_s is None:
        lab = lab_file(lab_path)
        with contextlib.suppress(InputError):  # to be told below, with what else is wrong
            return _checked_before(text_of(protocol_path), str(protocol_path), text_of(lab), str(lab))
    return _checked(lambda: load_protocol(protocol_path), lab_path, start_s)


@functools.lru_cache(maxsize=4)
def _checked_before(text: str, name: str, _lab_text: str, lab: str) -> Checked:
    return checked_text(text, name, Path(lab))


def checked_text(text: str, name: str, lab_path: Path) -> Checked:
    """Read and check the text of a protocol, called `name` in messages, against a lab; raises as `checked`."""
    from labctl import located_yaml
    from labctl.protocol.load import Loaded, read
    from labctl.protocol.model import Protocol

    def load() -> LoadedProtocol:
        located = located_yaml.loads(text, file=name)
        return Loaded(read(Protocol, located), located)

    return _checked(load, lab_path, None)


def _checked(load: Callable[[], LoadedProtocol], lab_path: Path | None, start_s: float | None) -> Checked:
    from labctl.plan.check import examine
    from labctl.protocol.load import load_lab

    findings: list[Finding] = []
    protocol = lab = None
    try:
        protocol = load()
    except InputError as problem:
        findings += problem.findings
    try:
        lab = load_lab(lab_file(lab_path))
    except InputError as problem:
        findings += problem.findings
    if protocol is None or lab is None:
        raise InputError(findings=tuple(findings))
    found = examine(protocol.model, lab.model, places=protocol.located, lab_places=lab.located, start_s=start_s)
    if found.plan is None:
        raise InputError(findings=found.findings)
    return Checked(protocol, lab, found.plan, found.findings)


def check_command(protocol_path: Path, lab_path: Path | None) -> None:
    """Print what is wrong, doubtful or wasteful; exit code 2 if anything is wrong."""
    done = checked(protocol_path, lab_path, start_s=time.time())
    for finding in done.findings:
        print(finding)
    doubts = sum(finding.severity == "warning" for finding in done.findings)
    advice = len(done.findings) - doubts
    print(f"{protocol_path}: no errors, {_counted(doubts, 'warning')}, {_counted(advice, 'piece')} of advice")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def plan_command(
    protocol_path: Path,
    lab_path: Path | None,
    *,
    start: str | None,
    every_step: bool,
    as_json: bool,
    html: Path | None = None,
) -> None:
    """Print the step table, the totals and a time line of all stations; with `html` draw that as a page too."""
    from labctl.plan.estimate import estimate

    start_s = start_time_s(start)
    done = checked(protocol_path, lab_path, start_s=start_s)
    plan = done.plan
    costs = estimate(plan, start_s)
    if html is not None:
        from labctl.plan.timeline import gantt_html

        page = gantt_html(costs, campaign=plan.campaign, start_s=start_s, utc_offset_s=utc_offset_s(start_s))
        html.write_text(page, encoding="utf-8")
    if as_json:
        json.dump(plan_document(plan, costs), sys.stdout, indent=2)
        print()
        return
    from rich.table import Table

    from labctl.cli.console import console
    from labctl.plan.table import COLUMNS, plan_rows, summary_rows

    offset_s = utc_offset_s(start_s)
    out = console(wide=True)
    listed = plan_rows(costs, start_s=start_s, utc_offset_s=offset_s)
    prefix, kept, left_out = fitting(listed, out.width)
    table = Table(
        title=f"{plan.campaign}{f', {prefix}' if prefix else ''}",
        box=None,
        pad_edge=False,
        header_style="bold",
        title_justify="left",
    )
    for index in kept:
        table.add_column(COLUMNS[index], no_wrap=True)
    for spare, group in itertools.groupby(listed, key=lambda row: row.spare):
        rows = list(group)
        if spare and not every_step:  # settling checks that are skipped once the line stands still
            checks = sum(row.step_id.rsplit("/", 1)[-1].startswith("line") for row in rows)
            table.add_row("…", f"up to {checks} more checks", style="dim")
            continue
        for row in rows:
            cells = (row.cells[0].removeprefix(prefix), *row.cells[1:])
            table.add_row(*(cells[index] for index in kept), style="dim" if row.spare else "")
    out.print(table)
    if left_out:
        out.print(f"(this terminal is too narrow for: {', '.join(left_out)})", style="dim")
    out.print()
    for name, value in summary_rows(costs, utc_offset_s=offset_s):
        out.print(f"{name:>24}  {value}", highlight=False)
    print_time_line(out, costs)
    for finding in done.findings:
        print(finding, file=sys.stderr)
    if html is not None:
        print(f"time line {html}", file=sys.stderr)


def print_time_line(out: Console, costs: Estimate) -> None:
    """Print a bar for each station, and what its time goes into."""
    from labctl.plan.timeline import SYMBOLS, WORDS, bars, loads
    from labctl.units import duration_text

    widest = max(len(name) for name in costs.station_s)
    out.print()
    for name, bar in bars(costs, max(20, min(100, out.width - widest - 4))):
        out.print(f"{name:>{widest}}  {bar}", highlight=False, markup=False, no_wrap=True)
    key = "  ".join(f"{SYMBOLS[kind]} {kind}: {words}" for kind, words in WORDS.items())
    out.print(key, style="dim", highlight=False, markup=False)
    for one in loads(costs):
        told = f"acquiring {duration_text(one.acquiring_s)}, waiting {duration_text(one.waiting_s)}"
        told += f", tending {duration_text(one.tending_s)}" if one.tending_s else ""
        out.print(f"{one.station:>24}  {told}; {one.disk_bytes / 1e6:.3g} MB", highlight=False)


_LEFT_OUT_FIRST = ("duty", "RF on", "disk", "scans", "D1", "begins", "Tmix", "set point")


def fitting(rows: Sequence[Row], width: int) -> tuple[str, list[int], list[str]]:
    """Return what a terminal of so many characters can show.

    The prefix of step ids that most rows share (empty if whole ids fit), the columns to show, and the headings of
    those left out.
    """
    from labctl.plan.table import COLUMNS

    def needed(prefix: str, kept: list[int]) -> int:
        cells = [[row.cells[0].removeprefix(prefix), *row.cells[1:]] for row in rows]
        return sum(max(len(COLUMNS[at]), *(len(row[at]) for row in cells)) for at in kept) + 2 * len(kept)

    kept = list(range(len(COLUMNS)))
    if not rows or needed("", kept) <= width:
        return "", kept, []
    prefix = rows[0].step_id.rpartition("/")[0].rpartition("/")[0]
    prefix += "/" if prefix else ""
    left_out = []
    for heading in _LEFT_OUT_FIRST:
        if needed(prefix, kept) <= width:
            break
        kept.remove(COLUMNS.index(heading))
        left_out.append(heading)
    return prefix, kept, left_out


def plan_document(plan: Plan, costs: Any) -> dict[str, Any]:
    """Return the plan as plain data for ``--json``."""
    from labctl.plan.steps import task_json

    return {
        "campaign": plan.campaign,
        "expected_s": costs.expected_s,
        "at_most_s": costs.at_most_s,
        "end_s": costs.end_s,
        "rf_on_s": costs.rf_on_s,
        "duty": costs.duty,
        "disk_bytes": costs.disk_bytes,
        "steps": [
            {
                "id": timing.step.id,
                "key": timing.step.key,
                "role": timing.step.role,
                "begin_s": timing.begin_s,
                "end_s": timing.end_s,
                "needs": list(timing.step.needs),
                **task_json(timing.step.task),
            }
            for timing in costs.timings
        ],
    }


def schema_command(what: str) -> None:
    """Print the JSON Schema of one kind of file."""
    if what == "results":
        from labctl.analysis.results import Results

        document = Results.model_json_schema()
    elif what == "sample":  # only the simulators know what a sample is
        document = _schema_of_samples()
    elif what in {"protocol", "lab"}:
        from labctl.protocol.schema import json_schema

        document = json_schema(what)
    else:
        raise InputError(f"no schema for {what!r}", expected="protocol, lab, sample or results")
    json.dump(document, sys.stdout, indent=2)
    print()


def _schema_of_samples() -> dict[str, Any]:
    from importlib.metadata import entry_points

    for entry in entry_points(group="labctl.schemas", name="sample"):
        document: dict[str, Any] = entry.load()()
        return document
    raise InputError(
        "no simulator that knows sample files is installed", next_step="Install labctl with its simulators"
    )


def start_time_s(text: str | None) -> float:
    """Return a start as wall time [s since 1970 UTC]; now if none was given."""
    if text is None:
        return time.time()
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise InputError(
            f"--start {text!r} is not a time", expected="ISO 8601 such as 2026-01-05T18:00:00+01:00"
        ) from None
    if moment.tzinfo is None:
        raise InputError(f"--start {text!r} has no zone", expected=f"{text}Z or {text}+01:00")
    if not 1971 <= moment.year <= 2999:  # campaigns take weeks, and calendars end
        raise InputError(f"--start {text!r} is out of reach", expected="a year from 1971 to 2999")
    return moment.timestamp()


def utc_offset_s(at_s: float) -> float:
    """Return how far east of Greenwich this computer's zone is at a moment [s]."""
    offset = dt.datetime.fromtimestamp(at_s, dt.UTC).astimezone().utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
