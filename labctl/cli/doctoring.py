"""``labctl doctor`` and the look before every real run: what stands in the way, what is doubtful, what is well."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.locating import lab_file, sample_file
from labctl.cli.planning import Checked, checked
from labctl.cli.run_folder import JOURNAL
from labctl.errors import LabctlError, SafetyRefusal

if TYPE_CHECKING:
    from labctl.clock import Clock
    from labctl.ports import Check, Errand, Instrument
    from labctl.station.preflight import StationChecks

HERE = "this computer"
_SPARE = 1.2
_START_S = 1_767_636_000.0  # 2026-01-05 18:00 UTC: simulated labs begin there


def doctor_command(protocol: Path, lab: Path | None, *, as_json: bool) -> int:
    """Print what a campaign would find; return 0, or 3 when it must not run like this."""
    lab_path = lab_file(lab)
    done = checked(protocol, lab_path, start_s=time.time())
    with tempfile.TemporaryDirectory(prefix="labctl-doctor-") as scratch, contextlib.ExitStack() as closing:
        found = examine(
            done,
            lambda name: _opened(done, name, lab_path, Path(scratch), closing),
            errands=errands_of(done),
            disks=_disks(done, Path.cwd()),
        )
    if as_json:
        json.dump({"stations": [asdict(one) for one in found], "verdict": worst(found)}, sys.stdout, indent=2)
        print()
    else:
        print_findings(found)
        if made_up := [name for name in errands_of(done) if done.lab.model.station(name).simulated]:
            print(of_made_up_stations(made_up))
    return 3 if worst(found) == "refuse" else 0


def of_made_up_stations(names: Sequence[str]) -> str:
    """Return what findings about simulated stations are worth: they tell what a real one will be asked for."""
    return (
        f"{', '.join(names)}: simulated, and made anew for this look. Installing programs, starting the guard and"
        " setting a controller's limit are not asked of you here: `labctl run --simulate` does them by itself"
    )


def examine(
    done: Checked,
    instrument: Callable[[str], Instrument],
    *,
    errands: Mapping[str, Errand],
    disks: Mapping[str, tuple[Path, int]],
) -> tuple[StationChecks, ...]:
    """Return everything that was found: lab file, stations and this computer's disks."""
    from labctl.plan.check_hardware import check_hardware
    from labctl.station.preflight import StationChecks, look_at_station

    lab = done.lab.model
    found = []
    for name, errand in errands.items():
        seen = look_at_station(name, lambda name=name: instrument(name), errand)  # type: ignore[misc]  # mypy 36 bound default
        of_file = check_hardware(lab, name, errand.tasks, done.protocol.model.commissions)
        found.append(StationChecks(station=name, checks=(*of_file, *seen.checks)))
    return (*found, *here(done, disks))


def here(done: Checked, disks: Mapping[str, tuple[Path, int]]) -> tuple[StationChecks, ...]:
    """Return what was found on this computer: disks, and whether people could be told."""
    from labctl.station.preflight import StationChecks

    found = (_disk(what, folder, needed) for what, (folder, needed) in disks.items())
    return (StationChecks(station=HERE, checks=(*found, *_notifications(done))),)


def errands_of(done: Checked) -> dict[str, Errand]:
    """Return what the plan wants of each station."""
    from labctl.ports import Errand

    steps: dict[str, list[Any]] = {step.station: [] for step in done.plan.steps}
    for step in done.plan.steps:
        steps[step.station].append(step)
    return {
        name: Errand(tasks=tuple(step.task for step in mine), disk_bytes=sum(step.disk_bytes for step in mine))
        for name, mine in steps.items()
    }


def refuse_unfit(done: Checked, instruments: Mapping[str, Instrument], run_dir: Path) -> None:
    """Return if a real campaign may begin; warnings are printed.

    One that has begun already is not held up: its stations are in the midst of it, whatever they look like, and the
    engine asks each what it has. Of it only this computer's disks are looked at, and nothing is refused.

    Raises
    ------
    SafetyRefusal
        With everything that stands in the way.
    """
    begun = begun_steps(run_dir / JOURNAL)
    disks = _disks(done, run_dir, begun)
    found = (
        here(done, disks)
        if begun
        else examine(done, lambda name: instruments[name], errands=errands_of(done), disks=disks)
    )
    serious = [f"{one.station}: {line(check)}" for one in found for check in one.checks if check.verdict == "refuse"]
    doubts = [f"{one.station}: {line(check)}" for one in found for check in one.checks if check.verdict == "warning"]
    for doubt in (*doubts, *(serious if begun else ())):
        print(f"warning: {doubt}", file=sys.stderr)
    if serious and not begun:
        raise SafetyRefusal(
            f"{len(serious)} things stand in the way of a real run:\n  " + "\n  ".join(serious),
            next_step="Put them right; `labctl doctor` looks again and touches nothing",
        )


def begun_steps(journal: Path) -> frozenset[str]:
    """Return the steps a campaign has begun; none where there is no journal yet."""
    from labctl.clock import SystemClock
    from labctl.run.journal import Journal

    if not journal.is_file():
        return frozenset()
    opened = Journal(journal, clock=SystemClock(), read_only=True)
    try:
        return frozenset(row.step_id for row in opened.rows(("intent",)))
    finally:
        opened.close()


def worst(found: Sequence[StationChecks]) -> str:
    """Return the gravest verdict: ``ok``, ``warning`` or ``refuse``."""
    verdicts = {check.verdict for one in found for check in one.checks}
    return next((verdict for verdict in ("refuse", "warning") if verdict in verdicts), "ok")


def print_findings(found: Sequence[StationChecks]) -> None:
    """Print one line for each finding, station by station, and what they come to."""
    marks = {"ok": "  ok     ", "warning": "  WARNING", "refuse": "  REFUSE "}
    for one in found:
        print(f"{one.station}:")
        for check in one.checks:
            print(f"{marks[check.verdict]} {line(check)}")
    counts = [
        sum(check.verdict == verdict for one in found for check in one.checks) for verdict in ("refuse", "warning")
    ]
    closing = "the campaign must not run like this" if counts[0] else "nothing stands in the way"
    print(f"{counts[0]} refusals, {counts[1]} warnings: {closing}")


def line(check: Check) -> str:
    """Return a finding as people read it."""
    text = f"{check.what}: {check.value}" if check.value else check.what
    if check.expected:
        text += f"; expected {check.expected}"
    return f"{text}. {check.next_step}" if check.next_step else text


def _disks(done: Checked, run_dir: Path, begun: frozenset[str] = frozenset()) -> dict[str, tuple[Path, int]]:
    needed = sum(step.disk_bytes for step in done.plan.steps if step.id not in begun)
    disks = {"the run folder": (run_dir, needed)}
    if done.lab.model.second_copy is not None:
        disks["the second copy"] = (Path(done.lab.model.second_copy).expanduser(), needed)
    return disks


def _disk(what: str, folder: Path, needed: int) -> Check:
    from labctl.ports import Check

    if what == "the second copy" and not folder.is_dir():
        return Check(
            verdict="refuse",
            what=f"the folder of {what} is not there",
            value=str(folder),
            next_step="Mount the disk, or take second_copy out of the lab file",
        )
    absolute = folder.absolute()
    there = next(one for one in (absolute, *absolute.parents) if one.exists())
    free = shutil.disk_usage(there).free
    enough = free >= _SPARE * needed
    return Check(
        verdict="ok" if enough else "refuse",
        what=f"space for the whole campaign on the disk of {what}",
        value=f"{free / 1e9:.1f} GB free in {there}",
        expected="" if enough else f"{_SPARE * needed / 1e9:.1f} GB",
        next_step="" if enough else "Free space, or choose another disk",
    )


def _notifications(done: Checked) -> Iterator[Check]:
    """Whether people could be told: the addresses are there and understood. Nothing is sent."""
    from labctl.ports import Check

    wanted = done.lab.model.notify
    if wanted is None:
        yield Check(verdict="warning", what="nobody is told of anything", next_step="Add `notify` to the lab file")
        return
    simulated = all(done.lab.model.station(step.station).simulated for step in done.plan.steps)
    try:
        from labctl.cli.bystanding import notifier_of

        notifier_of(wanted)
    except LabctlError as problem:
        yield Check(
            verdict="warning" if simulated else "refuse",
            what=problem.what,
            expected=problem.expected,
            next_step=problem.next_step,
        )
        return
    yield Check(verdict="ok", what="notifications have somewhere to go", value=", ".join(t.url for t in wanted.targets))


def _opened(done: Checked, name: str, lab_path: Path, scratch: Path, closing: contextlib.ExitStack) -> Instrument:
    """Return one station's instrument, on a fresh simulated lab where there is no hardware."""
    from labctl.clock import SystemClock, VirtualClock
    from labctl.station.stations import open_instruments

    station = done.lab.model.station(name)
    clock: Clock = VirtualClock(_START_S) if station.simulated else SystemClock()
    sample = None
    if station.simulated:
        named = done.protocol.model.sample.simulated_as or station.sample or "two_site_demo"
        sample = sample_file(named, beside=lab_path)
    opened = open_instruments(
        {name: station}, clock=clock, simulate=station.simulated, state_dir=scratch, sample=sample
    )
    closing.callback(opened.close)
    instrument = opened.instruments[name]
    closing.callback(instrument.close)
    return instrument
