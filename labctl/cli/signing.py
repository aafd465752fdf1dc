"""``labctl sign``: a finished run held against what its stage expects, and a line in the lab file that says so.

Nothing is signed that was not shown, nothing is written that was not shown as a difference first.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.analysis.known_objects import Point
from labctl.cli.evidence import evidence, points
from labctl.cli.lab_entry import with_signature
from labctl.cli.planning import Checked, checked
from labctl.cli.run_folder import JOURNAL, thaw
from labctl.errors import InputError, SafetyRefusal
from labctl.located_yaml import text_of

if TYPE_CHECKING:
    from labctl.protocol.commissioning import Commissioning, StageRule
    from labctl.protocol.lab import Station
    from labctl.protocol.load import LoadedLab

SHADOW = "shadow.json"
_MAY_DIFFER = frozenset({"template_dataset", "templates", "pulse_programs", "dataset", "open_holder"})
"""Settings that are not what a stage is about: KBr has templates of its own, an empty holder is stated afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """A finished run of a stage; `head` names it: of its journal, or of its list of steps."""

    directory: Path
    done: Checked
    wanted: Commissioning
    station: str
    simulated: bool
    attended: str
    head: str


def sign_command(directories: Sequence[Path], lab: Path | None, by: str, initials: str | None, *, yes: bool) -> int:
    """Hold the runs of one stage against what it expects; show, ask for, and write the signature. Return 0, or 4.

    Raises
    ------
    InputError
        No finished run of a stage, runs of several stages, a lab file that is of another lab, no name.
    SafetyRefusal
        The stage was not shown, or was shown on simulators only; nothing was written.
    """
    from labctl.protocol.commissioning import rule_of
    from labctl.protocol.load import load_lab

    name, letters = _signer(by, initials)
    runs = [_opened(directory) for directory in directories]
    first = runs[0]
    stages = {(run.station, run.wanted.stage) for run in runs}
    if len(stages) > 1:
        raise InputError(
            "these runs are of different stages: "
            + ", ".join(f"{run.directory} of {run.wanted.stage}" for run in runs),
            expected="the runs of one stage at one station",
        )
    loaded = first.done.lab if lab is None else load_lab(lab)
    station = _same_station(first, loaded, lab)
    rule = rule_of(station.driver, first.wanted.stage)
    if rule is None:
        raise InputError(f"{first.wanted.stage!r} is no stage of the driver {station.driver}")
    for run in runs:
        if run is not first:
            _same_station(run, loaded, lab)
    failed = [point for run in runs for point in _shown(run, rule, station)]
    missing = [part for part in rule.parts if part not in {run.wanted.part for run in runs}]
    if missing:
        failed.append(Point(well=False, what="runs of this stage", found=f"without {', '.join(missing)}"))
        print(f"  {failed[-1]}")
    if failed:
        raise SafetyRefusal(
            f"the stage {first.wanted.stage} was not shown: {len(failed)} of its points failed; nothing is signed",
            expected="every point above in order",
            next_step="Put right what is wrong, and run the stage again",
        )
    _refuse_simulated(runs, station)
    entry = _entry(runs, name, "SIM" if first.simulated else letters)
    if lab is None:
        print(f"\nfor stations.{first.station}.commissioning of the lab file (or give it with --lab):\n  - {entry}")
        return 0
    return _sign(
        loaded, lab, first, entry, name, yes=yes, by_hand=[line for run in runs for line in run.wanted.by_hand]
    )


def _sign(loaded: LoadedLab, lab: Path, run: _Run, entry: str, name: str, *, yes: bool, by_hand: Sequence[str]) -> int:
    text = loaded.located.text
    signed = with_signature(text, run.station, run.wanted.stage, entry, file=str(lab))
    difference = difflib.unified_diff(
        text.splitlines(), signed.splitlines(), str(lab), f"{lab}, signed", lineterm="", n=1
    )
    print("\n" + "\n".join(difference))
    if by_hand:
        print(f"\n{name} stands by what labctl cannot see:")
        print("\n".join(f"  - {line}" for line in dict.fromkeys(by_hand)))
    if not yes and not _agreed():
        print("nothing was written", file=sys.stderr)
        return 4
    if text_of(lab) != text:
        raise InputError(f"{lab} was changed meanwhile", next_step="Sign again")
    unfinished = lab.with_name(lab.name + ".tmp")
    unfinished.write_text(signed, encoding="utf-8", newline="")
    unfinished.replace(lab)
    print(f"{lab}: {run.wanted.stage} of {run.station} is signed")
    return 0


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise InputError("nobody is here to agree", next_step="Say --yes once you have read all of it")
    import typer

    return bool(typer.confirm("Write this?", default=False))


def _signer(by: str, initials: str | None) -> tuple[str, str]:
    words = by.split()
    letters = initials if initials is not None else "".join(word[0] for word in words if word[0].isalpha())[:5].upper()
    if not words or (len(words) < 2 and initials is None):
        raise InputError(f"--by {by!r} does not say who signs", expected='first name and surname: --by "Anna Berg"')
    if not re.fullmatch(r"[A-Za-z]{2,5}", letters):
        raise InputError(
            f"{letters!r} are no initials", expected="two to five letters, a to z", next_step="--initials AB"
        )
    if letters.upper() == "SIM":
        raise InputError("SIM stands for simulators, and counts nothing on a real station", next_step="--initials ABC")
    return " ".join(words), letters


def _opened(directory: Path) -> _Run:
    """Return a run whose stage can be judged: finished, as it was begun, of a commissioning protocol."""
    from labctl.cli.amending import latest_protocol
    from labctl.cli.operating import engine_runs

    shadow = directory / SHADOW
    if shadow.is_file():
        return _gone_through(directory, shadow)
    start = thaw(directory)
    done = checked(directory / "protocol.yaml", directory / "lab.yaml")
    wanted = _stage_of(done, directory)
    if engine_runs(directory / JOURNAL):
        raise InputError(f"{directory} is still under way", next_step="Sign when it has ended")
    if latest_protocol(directory).name != "protocol.yaml":
        raise InputError(f"{directory} was amended", expected="a stage that was run as written")
    return _Run(
        directory=directory,
        done=done,
        wanted=wanted,
        station=done.plan.steps[0].station,
        simulated=start.simulated,
        attended=start.attended,
        head="",
    )


def _gone_through(directory: Path, shadow: Path) -> _Run:
    import hashlib

    document = json.loads(shadow.read_text(encoding="utf-8"))
    done = checked(directory / "protocol.yaml", directory / "lab.yaml")
    for name in ("protocol", "lab"):
        digest = hashlib.sha256((directory / f"{name}.yaml").read_bytes()).hexdigest()
        if document.get(f"{name}_sha256") != digest:
            raise InputError(
                f"{directory / name}.yaml was changed since", next_step="Go through it again with --shadow"
            )
    return _Run(
        directory=directory,
        done=done,
        wanted=_stage_of(done, directory),
        station=done.plan.steps[0].station,
        simulated=bool(document["simulated"]),
        attended="",
        head=hashlib.sha256(shadow.read_bytes()).hexdigest(),
    )


def _stage_of(done: Checked, directory: Path) -> Commissioning:
    wanted = done.protocol.model.commissioning
    if wanted is None:
        raise InputError(
            f"{directory} commissions no stage", expected="a run of a protocol with a block `commissioning`"
        )
    return wanted


def _same_station(run: _Run, loaded: LoadedLab, lab: Path | None) -> Station:
    """Return the station of the lab file, if it is the one that was run."""
    ran, now = run.done.lab.model.station(run.station), loaded.model.station(run.station)
    where = lab or "the lab file"
    if run.done.lab.model.lab != loaded.model.lab:
        raise InputError(f"{run.directory} ran in lab {run.done.lab.model.lab}, {where} is of {loaded.model.lab}")
    changed = [name for name in ("driver", "limits", "calibration") if getattr(ran, name) != getattr(now, name)]
    keys = (ran.settings.keys() | now.settings.keys()) - _MAY_DIFFER
    changed += [f"settings.{key}" for key in sorted(keys) if ran.settings.get(key) != now.settings.get(key)]
    if changed:
        raise InputError(
            f"station {run.station} is no longer what was run: {', '.join(changed)} differ",
            expected="a run of the stage with the lab file as it is now",
            next_step="Run the stage again",
        )
    return now


def _refuse_simulated(runs: Sequence[_Run], station: Station) -> None:
    unreal = [str(run.directory) for run in runs if run.simulated]
    if unreal and not station.simulated:
        raise SafetyRefusal(
            f"{', '.join(unreal)} ran on simulators, and the station is real",
            expected="a run on the instrument itself",
            next_step="Run the protocol without --simulate",
        )
    if station.simulated and len(unreal) < len(runs):
        raise InputError("the run was real, and the lab file calls the station simulated")


def _shown(run: _Run, rule: StageRule, station: Station) -> list[Point]:
    """Print everything that the stage asks of a run; return what failed."""
    part = f", {run.wanted.part}" if run.wanted.part else ""
    print(f"{run.wanted.stage}{part} of {run.station}, {run.directory}{' (simulated)' if run.simulated else ''}:")
    listed = list(_of_shadow(run, rule) if run.head else _of_run(run, rule, station))
    for point in listed:
        print(f"  {point}")
    return [point for point in listed if not point.well]


def _of_run(run: _Run, rule: StageRule, station: Station) -> list[Point]:
    import contextlib
    import io

    from labctl.analysis.campaign import analyze_campaign
    from labctl.analysis.results import Results
    from labctl.cli.finishing import analysis_context, samples_apart
    from labctl.cli.standing import verify_command

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        damaged = verify_command(run.directory)
    faults = [line for line in said.getvalue().splitlines() if line.startswith("DAMAGED")]
    whole = Point(
        well=not damaged,
        what="journal and raw data",
        found="; ".join(faults) or "held against their checksums",
        wanted="whole",
    )
    missed = not run.simulated and rule.attended and not run.attended
    if rule.shadow or missed:
        how = "by --shadow" if rule.shadow else 'attended, with --attended "WHO"'
        whole = Point(well=False, what="the run", found="was not done so", wanted=how)
    try:
        results = analyze_campaign(run.directory, analysis_context(run.done.plan), samples_apart(run.done.plan))
    except InputError:  # a run that was to be stopped may have acquired nothing
        results = Results()
    return [whole, *points(run.wanted, rule, evidence(run.directory, run.done, station.settings), results)]


def _of_shadow(run: _Run, rule: StageRule) -> list[Point]:
    steps = json.loads((run.directory / SHADOW).read_text(encoding="utf-8"))["steps"]
    faults = [f"{step['step_id']}: {step['fault']}" for step in steps if step["fault"]]
    planned = [step.id for step in run.done.plan.steps]
    listed = [
        Point(well=rule.shadow, what="the run", found="went through with energy off", wanted="with energy on"),
        Point(
            well=[step["step_id"] for step in steps] == planned,
            what="steps gone through",
            found=f"{len(steps)} of {len(planned)}",
            wanted="all",
        ),
        Point(well=not faults, what="steps that could not be", found="; ".join(faults) or "none", wanted="none"),
    ]
    return listed if not rule.shadow else [Point(well=True, what="the run", found="heat and pulses off"), *listed[1:]]


def _entry(runs: Sequence[_Run], name: str, initials: str) -> str:
    """Return a signature as one line of YAML; the run stands in its note."""
    from labctl.clock import SystemClock
    from labctl.run.journal import Journal

    heads = []
    for run in runs:
        head = run.head
        if not head:
            journal = Journal(run.directory / JOURNAL, clock=SystemClock(), read_only=True)
            head = journal.head
            journal.close()
        heads.append(f"{run.directory.resolve().name} {head[:12]}")
    note = json.dumps(f"{name}; run {', '.join(heads)}", ensure_ascii=False)
    today = dt.datetime.now().astimezone().date().isoformat()
    return f"{{stage: {runs[0].wanted.stage}, date: {today}, initials: {initials}, note: {note}}}"
