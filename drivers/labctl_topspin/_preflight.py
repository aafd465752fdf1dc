"""Looking at a console before a campaign: everything that can be seen in its folders, and nothing written to them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

from labctl.clock import Clock
from labctl.errors import InputError
from labctl.formats.bruker_jcamp import read_jcamp
from labctl.ports import Acquire, Check, CheckSpinning, Errand
from labctl_topspin._agents import GUARD_VERSION, PROGRAMS, Agents
from labctl_topspin._codec import Heartbeat
from labctl_topspin._evidence import look_at
from labctl_topspin._job import JobFolder
from labctl_topspin._link import Link
from labctl_topspin._settings import Settings

_SPARE = 1.2
_CLOCK_WARNING_S = 5.0
_NAMED = 5
_FIRST_ATTEMPT = 1


def preflight(
    errand: Errand,
    *,
    settings: Settings,
    limits: Mapping[str, float],
    clock: Clock,
    link: Link,
    job: JobFolder,
    agents: Agents,
) -> tuple[Check, ...]:
    """Return what speaks for and against a campaign on this console; see `labctl.ports.Preflight`."""
    beat = job.heartbeat()
    now_s = clock.now_s()
    alive = beat is not None and abs(now_s - beat.time_s) <= agents.fresh_s
    return (
        *_folders(link),
        *_programs(link, beat if alive else None),
        *_guard(beat, agents, now_s=now_s, alive=alive),
        *(_readings(beat, errand, settings, limits) if beat is not None and alive else ()),
        *_executor(job, agents),
        *_templates(errand, settings, link.data_dir),
        *_expnos(errand, settings, link.data_dir),
        _disk(errand, link.data_dir),
    )


def _folders(link: Link) -> Iterator[Check]:
    for name, folder in (("tshome", link.au_dir), ("tshome", link.lists_dir), ("data_dir", link.data_dir)):
        there = next(one for one in (folder, *folder.parents) if one.exists())
        if not os.access(there, os.W_OK):
            yield Check(
                verdict="refuse",
                what="a folder of the console cannot be written to",
                value=str(folder),
                next_step=f"Give this user the right to write there, or correct settings.{name}",
            )
            return
    yield Check(verdict="ok", what="the console's folders are there and can be written to", value=str(link.data_dir))


def source_of(program: str) -> str:
    """Return the source of one of our AU programs."""
    return resources.files("labctl_topspin").joinpath("au", f"{program}.c").read_text(encoding="utf-8")


def _programs(link: Link, beat: Heartbeat | None) -> Iterator[Check]:
    for program in PROGRAMS:
        ours = source_of(program)
        path = link.au_dir / program
        wanted = _digest(ours)
        try:
            theirs = _digest(path.read_text(encoding="utf-8")) if path.is_file() else ""
        except (OSError, UnicodeDecodeError):
            theirs = "not readable"
        if theirs == wanted:
            yield Check(verdict="ok", what=f"the AU program {program} is the one of this labctl", value=wanted)
        else:
            yield Check(
                verdict="warning",
                what=f"the AU program {program} is {'another one' if theirs else 'not installed yet'}",
                value=theirs or str(path),
                expected=wanted,
                next_step="labctl installs it when the run starts; compile it there if TopSpin asks",
            )
        fault = link.au_fault(program, ours)
        if fault:
            yield Check(verdict="refuse", what=f"the AU program {program} does not compile", value=fault)
        elif fault is not None:
            yield Check(verdict="ok", what=f"the AU program {program} compiles")
        elif beat is not None and beat.program == GUARD_VERSION:
            yield Check(verdict="ok", what=f"{program}: the programs of this version run on the console")
        else:
            yield Check(
                verdict="warning",
                what=f"whether {program} compiles on this console has not been seen",
                next_step=f"Type `cplbruk` or `edau {program}` and compile it there once",
            )


def _digest(text: str) -> str:
    return hashlib.sha256(text.replace("\r\n", "\n").encode("utf-8")).hexdigest()[:12]


def _guard(beat: Heartbeat | None, agents: Agents, *, now_s: float, alive: bool) -> Iterator[Check]:
    if beat is None:
        yield Check(
            verdict="warning",
            what="the guard has not been started yet",
            next_step=f"Somebody at the console types: xau labctl_guard {agents.folder}",
        )
        return
    offset_s = beat.time_s - now_s
    if not alive:
        old = "ahead" if offset_s > 0.0 else "old"
        yield Check(
            verdict="refuse" if offset_s > 0.0 else "warning",
            what=f"the guard's last heartbeat is {abs(offset_s):.0f} s {old}",
            expected=f"at most {agents.fresh_s:.0f} s",
            next_step="Set both computers' clocks by a time server"
            if offset_s > 0.0
            else f"Somebody at the console types: xau labctl_guard {agents.folder}",
        )
        return
    if beat.program != GUARD_VERSION:
        yield Check(
            verdict="refuse",
            what="the guard on the console is of another labctl",
            value=beat.program,
            expected=GUARD_VERSION,
            next_step="Let it end its campaign, or end both AU programs with the TopSpin command kill",
        )
    if beat.needs_person:
        yield Check(
            verdict="refuse",
            what="the guard has tripped, and only a person re-arms it",
            value=beat.reason,
            next_step=f"Look at rotor, gas and heater, then type: xau labctl_guard {agents.folder} rearm",
        )
    doubtful = abs(offset_s) > _CLOCK_WARNING_S + agents.poll_s
    yield Check(
        verdict="warning" if doubtful else "ok",
        what="clock of the console against this computer's, from the guard's heartbeat",
        value=f"{offset_s:+.0f} s",
        expected=f"within {_CLOCK_WARNING_S:g} s" if doubtful else "",
        next_step="Set both by a time server" if doubtful else "",
    )


def _readings(beat: Heartbeat, errand: Errand, settings: Settings, limits: Mapping[str, float]) -> Iterator[Check]:
    """What the guard reads now, against the limits and the rate that the campaign begins with."""
    for what, value, low, high in (
        ("sensor [K]", beat.te_K, limits.get("sensor_min_K"), limits.get("sensor_max_K")),
        ("gas [L/h]", beat.gas_L_per_h, limits.get("gas_min_L_per_h"), limits.get("gas_max_L_per_h")),
        ("heater [%]", beat.heater_percent, None, limits.get("heater_max_percent")),
    ):
        if value is None:
            verdict: str = "warning" if what.startswith("heater") or settings.gas_readback == "none" else "refuse"
            yield Check(
                verdict="warning" if verdict == "warning" else "refuse",
                what=f"{what} is not read",
                next_step="Look at the VT unit; without it nobody sees a broken limit",
            )
        elif (low is not None and value < low) or (high is not None and value > high):
            yield Check(
                verdict="refuse",
                what=f"{what} is beyond its limit now",
                value=f"{value:g}",
                expected=f"{'' if low is None else f'at least {low:g} '}{'' if high is None else f'at most {high:g}'}",
                next_step="Put that right before any heat",
            )
        else:
            yield Check(verdict="ok", what=what, value=f"{value:g}")
    wanted = next((task for task in errand.tasks if isinstance(task, CheckSpinning)), None)
    if wanted is None:
        return
    rate_Hz = beat.spinning_Hz
    if rate_Hz is None or abs(rate_Hz - wanted.rate_Hz) > wanted.tolerance_Hz:
        yield Check(
            verdict="warning",
            what="the rotor does not spin at the campaign's rate",
            value="not read" if rate_Hz is None else f"{rate_Hz:g} Hz",
            expected=f"{wanted.rate_Hz:g} ± {wanted.tolerance_Hz:g} Hz",
            next_step="A person spins it up before the run; labctl never does",
        )
    else:
        yield Check(verdict="ok", what="the rotor spins at the campaign's rate", value=f"{rate_Hz:g} Hz")


def _executor(job: JobFolder, agents: Agents) -> Iterator[Check]:
    busy = agents.busy_step()
    if busy is not None:
        yield Check(
            verdict="refuse",
            what=f"the executor is at step {busy.seq} of another campaign",
            value=busy.pairs.get("title", busy.token),
            next_step="Resume that campaign, or let it end first",
        )
    else:
        yield Check(verdict="ok", what="no step of another campaign is under way", value=f"epoch {job.highest_epoch()}")


def _templates(errand: Errand, settings: Settings, data_dir: Path) -> Iterator[Check]:
    """Each template is there, runs the program that the lab file says, and is set up for the nucleus."""
    wanted = {
        (task.template if task.template in settings.templates else task.kind, task.kind, task.nucleus)
        for task in errand.tasks
        if isinstance(task, Acquire)
    }
    for template, kind, nucleus in sorted(wanted):
        number = settings.templates.get(template)
        if number is None:
            yield Check(
                verdict="refuse",
                what=f"the lab file names no template for {kind}",
                expected=f"settings.templates.{kind}",
            )
            continue
        path = data_dir / settings.template_dataset / str(number)
        try:
            found = read_jcamp(path / "acqu")
        except InputError as problem:
            yield Check(
                verdict="refuse",
                what=f"the template of {kind} cannot be read",
                value=str(problem),
                next_step=f"Make the dataset {settings.template_dataset}/{number} with this site's solids parameters",
            )
            continue
        program, theirs = str(found.get("PULPROG", "")), str(found.get("NUC1", ""))
        faults = []
        if program != settings.pulse_programs.get(kind):
            faults.append(f"PULPROG {program}, the lab file says {settings.pulse_programs.get(kind)}")
        if theirs and theirs != nucleus:
            faults.append(f"NUC1 {theirs}, the campaign is on {nucleus}")
        yield Check(
            verdict="refuse" if faults else "ok",
            what=f"the template of {kind}: {settings.template_dataset}/{number}",
            value="; ".join(faults) or f"{program}, {theirs or nucleus}",
            next_step="Correct the template or the lab file" if faults else "",
        )


def _expnos(errand: Errand, settings: Settings, data_dir: Path) -> Iterator[Check]:
    """Nothing stands where the campaign's first attempts will go."""
    numbers = [task.expno_slot + _FIRST_ATTEMPT for task in errand.tasks if isinstance(task, Acquire)]
    if not numbers:
        return
    folder = data_dir / settings.dataset
    taken = [number for number in numbers if (folder / str(number)).exists()]
    if not taken:
        what = f"{len(numbers)} EXPNOs are free in {settings.dataset}"
        yield Check(verdict="ok", what=what, value=f"{min(numbers)} to {max(numbers)}")
        return
    titles = [f"{number} ({look_at(folder / str(number)).title.strip() or 'no title'})" for number in taken[:_NAMED]]
    more = f" and {len(taken) - _NAMED} more" if len(taken) > _NAMED else ""
    yield Check(
        verdict="refuse",
        what=f"{len(taken)} EXPNOs of the campaign are taken in {settings.dataset}",
        value=", ".join(titles) + more,
        next_step="Give labctl another dataset name (settings.dataset), or move those data; nothing is overwritten",
    )


def _disk(errand: Errand, folder: Path) -> Check:
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(there).free
    enough = free >= _SPARE * errand.disk_bytes
    return Check(
        verdict="ok" if enough else "refuse",
        what="space on the disk of the data",
        value=f"{free / 1e9:.1f} GB free in {there}",
        expected="" if enough else f"{_SPARE * errand.disk_bytes / 1e9:.1f} GB for the campaign",
        next_step="" if enough else "Free space, or name another data_dir",
    )
