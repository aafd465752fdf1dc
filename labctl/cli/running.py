"""``labctl run`` and ``labctl resume``: one campaign from where it stands to where it can go."""

from __future__ import annotations

import contextlib
import datetime as dt
import gc
import math
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl import __version__
from labctl.cli.locating import lab_file
from labctl.cli.planning import Checked, checked, start_time_s
from labctl.cli.run_folder import JOURNAL, SIMULATED_LAB, Start, freeze, thaw, unfreeze
from labctl.errors import InputError, InstrumentError, SafetyRefusal
from labctl.units import QuantityError, parse

if TYPE_CHECKING:
    from labctl.cli.judging import Judging
    from labctl.clock import Clock
    from labctl.run.engine import CampaignOutcome
    from labctl.run.events import Operated
    from labctl.run.options import EngineOptions
    from labctl.run.progress import ProgressReport
    from labctl.station.stations import OpenStations

DRY_RUN_START_S = dt.datetime(2026, 1, 5, 18, 0, tzinfo=dt.UTC).timestamp()
"""Dry runs begin on the same evening unless told otherwise, so that equal seeds leave equal files."""


def run_command(
    protocol: Path,
    lab: Path | None,
    simulate: str | None,
    faults: Path | None,
    directory: Path | None,
    seed: int,
    start: str | None,
    say_notifications: bool = False,
    attended: str = "",
) -> int:
    """Start a campaign and return the exit code.

    `attended` is a person's word that they are present, without which a stage that is not signed is not commissioned.
    """
    lab_path = lab_file(lab)
    simulated = simulate is not None
    start_s = (DRY_RUN_START_S if start is None else start_time_s(start)) if simulated else 0.0
    done = checked(protocol, lab_path, start_s=start_s or time.time())
    for finding in done.findings:
        if finding.severity == "warning":
            print(finding, file=sys.stderr)
    sample: Path | None = None
    samples: dict[str, Path] = {}
    if simulate is not None:
        from labctl.cli.samples import samples_of

        sample, samples = samples_of(simulate, done.protocol.model, done.lab.model, lab_path)
        if faults is not None and not faults.is_file():
            raise InputError(f"no fault script {str(faults)!r}", expected="a YAML file")
    else:
        _refuse_unless_real(done)
        _refuse_unless_attended(done, attended)
        if faults is not None or start is not None:
            raise InputError("--faults and --start belong to a dry run", next_step="Add --simulate, or leave them out")
    run_dir = directory or new_folder(done.protocol.model.campaign)
    freeze(
        run_dir,
        protocol=protocol,
        lab=lab_path,
        simulated=simulated,
        sample=sample,
        faults=faults,
        seed=seed,
        start_s=start_s,
        samples=samples,
        attended=attended,
    )
    print(f"run folder {run_dir}", file=sys.stderr)
    try:
        return go(run_dir, outage_s=0.0, attended=attended, say_notifications=say_notifications)
    except (SafetyRefusal, InstrumentError):
        unfreeze(run_dir)  # unless it has begun; the same command can be given again once the reason is gone
        raise
    except InputError as problem:
        unfreeze(run_dir)
        authors = {f"samples/{name}.yaml": file for name, file in samples.items()}
        raise _by_its_author(problem, run_dir, {"sample.yaml": sample, "faults.yaml": faults, **authors}) from None


def _by_its_author(problem: InputError, run_dir: Path, files: Mapping[str, Path | None]) -> InputError:
    """Return a complaint about the frozen copy of a file as one about the file somebody wrote."""
    names = {str(run_dir / SIMULATED_LAB / name): str(path) for name, path in files.items() if path is not None}
    if not problem.findings:
        return problem
    return InputError(findings=tuple(replace(one, file=names.get(one.file, one.file)) for one in problem.findings))


def resume_command(directory: Path, outage: str | None, attended: str | None) -> int:
    """Take a campaign up again and return the exit code.

    `attended` is a person's word that paused and safe stations may go on; in a dry run nobody can be hurt, and
    whoever resumes is that person.
    """
    outage_s = 0.0
    if outage is not None:
        try:
            outage_s = parse(outage, "s", example="2 h")
        except QuantityError as problem:
            raise InputError(f"--outage: {problem}") from None
        if outage_s < 0:
            raise InputError(f"--outage {outage} is negative", expected="a duration, such as 2 h")
    start = thaw(directory)
    if outage is not None and not start.simulated:
        raise InputError("--outage belongs to dry runs; a real lab knows how long it waited")
    if attended is not None and not attended.strip():
        raise InputError("--attended says nothing", expected="why it is safe to go on, for the journal")
    word = attended or ("resumed by hand in a dry run" if start.simulated else "")
    return go(directory, outage_s=outage_s, attended=word)


def go(run_dir: Path, *, outage_s: float, attended: str = "", say_notifications: bool = False) -> int:
    """Run the campaign of a folder from wherever it stands; leave results and report behind."""
    with contextlib.ExitStack() as ending, rarely_collecting():
        return _go(run_dir, outage_s, attended, say_notifications, ending)


def _go(run_dir: Path, outage_s: float, attended: str, say_notifications: bool, ending: contextlib.ExitStack) -> int:
    from labctl.cli.amending import latest_protocol, replanner
    from labctl.cli.bystanding import bystanders
    from labctl.cli.console import on_terminal
    from labctl.cli.doctoring import refuse_unfit
    from labctl.cli.judging import Judging
    from labctl.cli.keyboard import keyboard, told_again
    from labctl.cli.operating import engine_runs
    from labctl.cli.samples import SimulatedPerson, first_samples, samples_by_procedure
    from labctl.cli.second_process import SecondProcess
    from labctl.clock import SystemClock, VirtualClock
    from labctl.run.engine import run_campaign
    from labctl.run.noticeboard import Noticeboard
    from labctl.run.outcome import StoppedByForeignData
    from labctl.station.stations import open_instruments

    start = thaw(run_dir)
    if (run_dir / JOURNAL).is_file() and engine_runs(run_dir / JOURNAL):
        raise SafetyRefusal(  # before simulators are brought up to date, which belong to the one that runs
            f"another labctl has {run_dir} open", next_step="Use `labctl status`, or end the other one first"
        )
    begun = checked(run_dir / "protocol.yaml", run_dir / "lab.yaml")
    latest = latest_protocol(run_dir)
    done = begun if latest.name == "protocol.yaml" else checked(latest, run_dir / "lab.yaml")
    if not start.simulated:
        _refuse_unless_real(done)
    plan = done.plan
    names = dict.fromkeys(step.station for each in (begun.plan, plan) for step in each.steps)
    stations = {name: done.lab.model.station(name) for name in names}
    clock: Clock = VirtualClock(start.start_s) if start.simulated else SystemClock()
    simulated_lab = run_dir / SIMULATED_LAB
    faults = simulated_lab / "faults.yaml"
    samples = samples_by_procedure(plan, done.protocol.model, done.lab.model, simulated_lab)
    opened = open_instruments(
        stations,
        clock=clock,
        simulate=start.simulated,
        state_dir=simulated_lab,
        sample=simulated_lab / "sample.yaml" if start.simulated else None,
        samples=first_samples(samples),
        seed=start.seed,
        faults=faults if faults.is_file() else None,
    )
    try:
        if start.simulated:
            _catch_up(clock, opened, run_dir, outage_s)
        else:
            refuse_unfit(done, opened.instruments, run_dir)
        looking_on = bystanders(
            done.lab.model, run_dir=run_dir, simulated=start.simulated, clock=clock, aloud=say_notifications
        )
        board = Noticeboard(run_dir, version=__version__)
        person = [SimulatedPerson(opened, samples)] if start.simulated else []
        judging = Judging(run_dir, plan, latest, rehearsal=start.simulated)
        if judging.promises:
            second = SecondProcess(run_dir)
            ending.callback(second.close)
            judging.have_second(second)
        stack = contextlib.ExitStack()
        foreign: StoppedByForeignData | None = None
        with keyboard() as operator, _progress(run_dir, start) as on_progress, looking_on as watching, stack:
            stack.callback(board.close)
            keys = told_again(operator, _said_by_keys(on_progress, clock)) if on_terminal() else operator
            try:
                outcome = run_campaign(
                    begun.plan,
                    opened.instruments,
                    clock=clock,
                    run_dir=run_dir,
                    options=replace(
                        _options(done, tuple(names), start, run_dir, attended, _heard_together(keys, *person)),
                        bystanders=(*watching, board, *person),
                        replan=replanner(run_dir, plan.campaign),
                        on_amended=judging.amended,
                        follow=judging.following,
                        promising=judging.promise if judging.promises else None,
                    ),
                    on_dataset=judging,
                    on_progress=board.after(on_progress),
                )
            except StoppedByForeignData as problem:  # the other stations went to their ends
                told = {name: why for name, why in problem.outcome.reasons.items() if why not in problem.what}
                outcome, foreign = replace(problem.outcome, reasons=told), problem
    finally:
        opened.close()
    code = _finish(run_dir, outcome, start, judging)
    if foreign is not None:
        raise foreign
    return code


@contextlib.contextmanager
def rarely_collecting() -> Iterator[None]:
    """Let Python look for cycles of garbage less often: plans and fits leave few, and the looks cost a tenth."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _finish(run_dir: Path, outcome: CampaignOutcome, start: Start, judging: Judging) -> int:
    from labctl.cli.finishing import print_summary

    results = judging.finish()
    print_summary(results, outcome.phase.value, outcome.reasons, run_dir)
    for line in how_it_stands(outcome, run_dir, simulated=start.simulated):
        print(line)
    return outcome.exit_code


def how_it_stands(outcome: CampaignOutcome, run_dir: Path, *, simulated: bool) -> list[str]:
    """Return what somebody who comes to a campaign that is not done has to know: heat on or off, and how to go on."""
    from labctl.run.lifecycle import CampaignPhase, StationPhase

    if outcome.phase is CampaignPhase.DONE:
        return []
    lines = []
    for name, phase in outcome.stations.items():
        if phase is StationPhase.UNCONFIRMED:
            lines.append(f"{name}: the safe state could NOT be read back: HEAT MAY STILL BE ON, go and look")
        elif phase is StationPhase.SAFE:
            lines.append(f"{name}: the safe state was read back; nothing acquired is lost")
    word = "" if simulated else ' --attended "why it is safe to go on"'
    lines.append(f"to go on, after a look at the cause: labctl resume {shlex.quote(str(run_dir))}{word}")
    return lines


def _options(
    done: Checked,
    names: Sequence[str],
    start: Start,
    run_dir: Path,
    attended: str,
    operator: Callable[[], Sequence[Operated]],
) -> EngineOptions:
    from labctl.plan.calibration import as_read
    from labctl.protocol.lab import WORKS_ALONE
    from labctl.run.events import Policy
    from labctl.run.interlock import Silence
    from labctl.run.options import EngineOptions, StationOptions

    stations = {}
    for name in names:
        station = done.lab.model.station(name)
        alone = station.driver in WORKS_ALONE
        stations[name] = StationOptions(
            limits=station.limits.numbers(),
            calibration=partial(as_read, station.calibration),
            silence=Silence(alarm_s=600.0, trip_s=math.inf, growing_s=math.inf) if alone else Silence(),
        )
    return EngineOptions(
        policy=Policy(on_fault=dict(done.protocol.model.on_fault)),
        stations=stations,
        state_dir=run_dir / SIMULATED_LAB if start.simulated else None,
        operator=operator,
        operator_continues=not start.simulated,  # in virtual time nobody is quick enough
        durable=not start.simulated,
        attended=attended,
        version=__version__,
    )


def _catch_up(clock: Clock, opened: OpenStations, run_dir: Path, outage_s: float) -> None:
    """Let the simulated lab live on for as long as nobody was there."""
    from labctl.run.journal import Journal

    reached_s = max(clock.now_s(), opened.simulated_now_s() or 0.0)
    if (run_dir / JOURNAL).is_file():
        journal = Journal(run_dir / JOURNAL, clock=clock, read_only=True)
        try:
            reached_s = max([reached_s, *(row.wall_s for row in journal.rows())])
        finally:
            journal.close()
    until_s = reached_s + outage_s
    while clock.now_s() < until_s:
        clock.wait_until(until_s)
        for simulator in opened.simulators.values():
            simulator.link().refresh()


def _heard_together(*operators: Callable[[], Sequence[Operated]]) -> Callable[[], Sequence[Operated]]:
    def heard() -> Sequence[Operated]:
        return [word for operator in operators for word in operator()]

    return heard


def _refuse_unless_real(done: Checked) -> None:
    from labctl.protocol.lab import refuse_unless_ready

    lab = done.lab.model
    names = sorted({procedure.wanted.station for procedure in done.protocol.model.procedures})
    unreal = [name for name in names if lab.station(name).simulated]
    if unreal:
        raise SafetyRefusal(
            f"station {', '.join(unreal)} of lab {lab.lab} exists only in simulators",
            next_step="Rehearse with --simulate, or name the lab file of real hardware with --lab",
        )
    for name in names:
        refuse_unless_ready(lab, name, done.protocol.model.commissions)


def _refuse_unless_attended(done: Checked, attended: str) -> None:
    """A stage that is not signed is run with somebody beside it, or not at all."""
    from labctl.protocol.commissioning import rule_of

    model = done.protocol.model
    if model.commissioning is None:
        return
    station = done.lab.model.station(model.procedures[0].wanted.station)
    rule = rule_of(station.driver, model.commissioning.stage)
    if rule is None or model.commissioning.stage not in station.unsigned():
        return
    if rule.shadow:
        raise SafetyRefusal(
            f"the stage {model.commissioning.stage} is gone through with heat and pulses off",
            next_step="Add --shadow; what is to be done by hand stands in the protocol",
        )
    if rule.attended and not attended.strip():
        raise SafetyRefusal(
            f"the stage {model.commissioning.stage} is not signed yet, and is run only with a person present",
            next_step='Stay there, and say so: --attended "Anna Berg, at the console"',
        )


def new_folder(campaign: str) -> Path:
    """Return the folder a run gets when none was named."""
    stamp = dt.datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{campaign}-{stamp}"


def _said_by_keys(on_progress: Callable[[ProgressReport], None], clock: Clock) -> Callable[[str], None]:
    from labctl.run.lifecycle import StationPhase
    from labctl.run.progress import ProgressReport

    def say(text: str) -> None:
        on_progress(ProgressReport(station="Ctrl-C", phase=StationPhase.READY, at_s=clock.now_s(), message=text))

    return say


def _progress(run_dir: Path, start: Start) -> Any:
    from labctl.cli.progress import watch_progress

    return watch_progress(run_dir, simulated=start.simulated)
