"""``labctl export``: a campaign as programs for an instrument's own console, where nothing may be installed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, cast

from labctl.cli.planning import Checked, checked
from labctl.errors import InputError
from labctl.ports import Acquire, Order

if TYPE_CHECKING:
    from labctl.plan.steps import Step
    from labctl.protocol.lab import Station
    from labctl.station.shapes import WritePrograms

PROGRAMS = "labctl.programs"


def export_command(protocol: Path, lab: Path | None, into: Path) -> None:
    """Write what a spectrometer of the campaign can run by itself into a folder that does not exist yet.

    What no program can do (measure a T1 and go by it, watch a line settle, decide what comes next, keep blackouts,
    other stations) is told, here and in the README that is written.
    """
    from labctl.protocol.lab import refuse_unless_ready

    done = checked(protocol, lab, start_s=time.time())
    for finding in done.findings:
        if finding.severity == "warning":
            print(finding, file=sys.stderr)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise InputError(f"{into} holds something", next_step="Name a new folder; nothing is overwritten")
    writers = {entry.name: entry for entry in entry_points(group=PROGRAMS)}
    names = dict.fromkeys(step.station for step in done.plan.steps)
    stations = {name: done.lab.model.station(name) for name in names}
    able = [name for name, station in stations.items() if station.driver in writers]
    if not able:
        raise InputError(
            f"no station of {protocol} can run programs of its own",
            expected=f"a station whose driver is one of {', '.join(sorted(writers)) or 'none that is installed'}",
        )
    for name in able:
        station = stations[name]
        if not station.simulated:
            refuse_unless_ready(done.lab.model, name)
        notes = _notes(done, name)
        write = cast("WritePrograms", writers[station.driver].load())
        folder = into if len(able) == 1 else into / name
        for line in write(
            station=name,
            campaign=done.plan.campaign,
            parts=_parts(done, name, station),
            settings=station.settings,
            limits=station.limits.numbers(),
            simulated=station.simulated,
            notes=notes,
            into=folder,
        ):
            print(f"{name}: {line}")
        for note in notes:
            print(f"{name}: note: {note}")
        print(f"{name}: what to do with it: {folder / 'README.md'}")
    for name in names:
        if name not in able:
            print(f"{name}: left out, its instrument runs no programs of its own", file=sys.stderr)


def _parts(done: Checked, name: str, station: Station) -> list[tuple[str, list[Order]]]:
    """The orders of a station as one part for each sample a person puts in."""
    parts: list[tuple[str, list[Order]]] = [("", [])]
    for step in done.plan.of_station(name):
        if step.person and parts[-1][1]:
            parts.append((step.person, []))
        if not step.skip_when:
            parts[-1][1].append(_order(done.plan.campaign, step, station))
    return parts


def _order(campaign: str, step: Step, station: Station) -> Order:
    """The first attempt at a step; the title of an acquisition says how far the sample is from the sensor."""
    token = f"{step.key[:8]}-1"
    told = ""
    if isinstance(step.task, Acquire) and station.calibration is not None:
        from labctl.dataset.sample_offset import offset_words
        from labctl.plan.calibration import as_read

        sample_K, se_K, _ = as_read(station.calibration, step.task.setpoint_K, step.task.spinning_Hz)
        told = f"{offset_words(sample_K - step.task.setpoint_K, se_K)} "
    title = f"{campaign} {step.id} {told}{token}".encode("ascii", "replace").decode("ascii")
    return Order(token=token, title=title, step_id=step.id, attempt=1, epoch=1, task=step.task)


def _notes(done: Checked, name: str) -> Sequence[str]:
    """What programs without labctl leave undone."""
    steps = done.plan.of_station(name)
    notes = []
    ruled = {step.recycle: step for step in steps if step.recycle is not None}
    for rule, step in ruled.items():
        assert isinstance(step.task, Acquire)
        notes.append(
            f"the recycle delay does not follow the T1 that is measured: it is {step.task.recycle_delay_s:g} s, from "
            f"the expected {rule.expected_T1_s:g} s. Look at the first T1; export again if it is longer"
        )
    if any(step.skip_when for step in steps):
        notes.append(
            "nobody looks whether the line stands still: two 1Ds of each settling are taken, and further waiting is "
            "left out. Where they differ, let the protocol settle for longer"
        )
    if done.plan.settings and any(
        getattr(procedure.wanted, "adapt", None) is not None for procedure in done.protocol.model.procedures
    ):
        notes.append("nothing is adapted to what was measured: the grid is that of the protocol")
    for blackout in done.plan.blackouts:
        if blackout.station == name:
            begins = datetime.fromtimestamp(blackout.from_s, UTC)
            notes.append(f"the blackout from {begins:%Y-%m-%d %H:%M} UTC ({blackout.why}) is not kept")
    return notes
