"""From a run folder to results.json, figures and report.html; can be done again at any time."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl import __version__
from labctl.cli.run_folder import JOURNAL, thaw
from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.analysis.context import AnalysisContext
    from labctl.analysis.memory import Memory
    from labctl.analysis.nmr.lines import LineSet
    from labctl.analysis.published_results import StationHours
    from labctl.analysis.results import Results
    from labctl.plan.steps import Plan
    from labctl.protocol.model import Protocol
    from labctl.protocol.published import Published
    from labctl.report.page import Timeline
    from labctl.run.history import History


AFTERWARDS_S = 2 * 3600.0
"""For so long after its last step a station's readings are drawn: it may still cool down."""


def analysis_context(
    plan: Plan, procedure: str | None = None, provenance: Mapping[str, Any] | None = None
) -> AnalysisContext:
    """Return what the analysis is told beside the data: the protocol's sites and thresholds."""
    from labctl.analysis.context import AnalysisContext, Thresholds
    from labctl.analysis.structure import Structure

    settings: Mapping[str, Any] = plan.settings.get(procedure or "") or next(
        (one for one in plan.settings.values() if "sites_ppm" in one), {}
    )
    fallback = Thresholds()
    shift_ppm, per_s = settings.get("settle_shift_ppm"), settings.get("settle_shift_per_s")
    return AnalysisContext(
        campaign=plan.campaign,
        sites=dict(settings.get("sites_ppm", {})),
        nucleus=str(settings.get("nucleus", "")),
        provenance=dict(provenance or {}),
        thresholds=Thresholds(
            settle_shift_ppm=fallback.settle_shift_ppm if shift_ppm is None else float(shift_ppm),
            settle_per_s=fallback.settle_per_s if per_s is None else float(per_s),
            reference_shift_ppm=float(settings.get("reference_shift_ppm", fallback.reference_shift_ppm)),
            reference_area=_share(settings, "reference_area_percent", fallback.reference_area),
            reference_width=_share(settings, "reference_width_percent", fallback.reference_width),
            p90=_share(settings, "p90_abort_beyond_percent", fallback.p90),
        ),
        structure=Structure(**settings["analysis"]) if settings.get("analysis") else Structure(),
    )


def samples_apart(plan: Plan) -> dict[str, tuple[str, AnalysisContext]]:
    """Return the spectrometer procedures that measured another sample than the first, each with name and context."""
    names = {prefix: str(one["sample"]) for prefix, one in plan.settings.items() if "sites_ppm" in one}
    first = next(iter(names.values()), "")
    return {prefix: (name, analysis_context(plan, prefix)) for prefix, name in names.items() if name != first}


def published_of(protocol: Protocol, plan: Plan) -> Iterator[tuple[str, str, Sequence[Published]]]:
    """Yield each ``station/procedure``, its sample and what was published of it; plans keep the order of procedures."""
    for procedure, one in zip(plan.settings, protocol.procedures, strict=True):
        yield procedure, protocol.sample_of(one).name, one.wanted.published


def hours(plan: Plan, told: History) -> list[StationHours]:
    """Return what each station's hours were planned for, and went into by the journal."""
    from labctl.analysis.published_results import StationHours
    from labctl.plan.estimate import estimate
    from labctl.plan.timeline import kind_of, loads

    kinds = {step.id: kind_of(step) for step in plan.steps}
    found = []
    for load in loads(estimate(plan)):
        mine = [one for one in told.attempts if one.station == load.station]
        spent = dict.fromkeys(("acquiring", "waiting", "tending"), 0.0)
        for one in mine:
            ended_s = told.last_s if one.ended_s is None else one.ended_s
            spent[kinds.get(one.step_id, "tending")] += ended_s - one.intended_s
        present_s = max((one.ended_s or told.last_s for one in mine), default=0.0) - min(
            (one.intended_s for one in mine), default=0.0
        )
        found.append(
            StationHours(
                station=load.station,
                planned_acquiring_h=load.acquiring_s / 3600.0,
                planned_waiting_h=load.waiting_s / 3600.0,
                planned_tending_h=load.tending_s / 3600.0,
                acquiring_h=spent["acquiring"] / 3600.0,
                waiting_h=spent["waiting"] / 3600.0,
                tending_h=spent["tending"] / 3600.0,
                idle_h=max(0.0, present_s - sum(spent.values())) / 3600.0,
            )
        )
    return found


def _share(settings: Mapping[str, Any], key: str, fallback: float) -> float:
    value = settings.get(key)
    return fallback if value is None else float(value) / 100.0


def finish(run_dir: Path, memory: Memory | None = None) -> Results:
    """Analyse everything a run folder holds, and write results.json, tables, figures and report.html.

    `memory` is that of an earlier pass over this folder in this process; what is written is the same without.
    """
    from labctl.analysis.campaign import analyze_campaign
    from labctl.analysis.published import compare
    from labctl.analysis.results import Certificate, Results
    from labctl.cli.amending import latest_protocol
    from labctl.cli.planning import checked
    from labctl.cli.spending import spendings
    from labctl.clock import SystemClock
    from labctl.errors import InputError
    from labctl.run.history import certificate, history, is_whole
    from labctl.run.journal import Journal

    run_dir = run_dir.resolve()  # results are searched for it, and a short name might stand in any of their words
    start = thaw(run_dir)
    latest = latest_protocol(run_dir)
    done = checked(latest, run_dir / "lab.yaml")
    plan = done.plan
    journal = Journal(run_dir / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        told = history(journal)
        certified = certificate(journal)
        whole = is_whole(journal)
    finally:
        journal.close()
    provenance: dict[str, Any] = {
        "labctl": __version__,
        "python": platform.python_version(),
        "simulated": start.simulated,
        "sample": done.protocol.model.sample.name,
        "lab": done.lab.model.lab,
        "protocol_sha256": start.protocol_sha256,
        "lab_sha256": start.lab_sha256,
        "begun_s": told.begun_s,
        "ended_s": told.last_s,
        "journal_head": certified.head,
    }
    if done.protocol.model.published_in:
        provenance["published_in"] = done.protocol.model.published_in
    if latest.name != "protocol.yaml":
        provenance["amended_protocol"] = latest.name
    if start.simulated:
        provenance["seed"] = start.seed
    context = analysis_context(plan, provenance=provenance)
    lines: dict[str, LineSet] = {}
    try:
        results = analyze_campaign(run_dir, context, samples_apart(plan), lines=lines, memory=memory)
    except InputError:  # nothing acquired yet: the report says so
        results = Results(campaign=plan.campaign, provenance=provenance)
    _move_into(run_dir, results)
    results.certificate = Certificate(
        planned=certified.planned,
        acquired=certified.acquired,
        partial=certified.partial,
        repeated=certified.repeated,
        lost=certified.lost,
        head=certified.head,
        chain_whole=whole,
        details=list(certified.details),
    )
    for procedure, sample, published in published_of(done.protocol.model, plan):
        results.published += compare(results, procedure, sample, published)
    results.hours = hours(plan, told)
    results.spending = spendings(run_dir, done, told, results)
    write_json(run_dir / "results.json", results.model_dump_json(indent=2))
    _write_report(run_dir, results, told, latest, lines, memory)
    return results


def look_ahead(run_dir: Path, plan: Plan, done: Collection[str], memory: Memory) -> Iterator[None]:
    """Do ahead, in pieces, what `finish` will take from the memory; each `next` is one.

    Parameters
    ----------
    done : collection of str
        Procedures (``station/name``), or temperatures of one (``station/name/T03``), that get no more data.
    """
    from labctl.analysis import ahead
    from labctl.report.drawing import draw_ahead

    run_dir = run_dir.resolve()
    context, apart = analysis_context(plan), samples_apart(plan)
    yield from ahead.look_ahead(run_dir, context, apart, done=done, memory=memory)
    lines: dict[str, LineSet] = {}
    results = ahead.analyze_ahead(run_dir, context, apart, done=done, lines=lines, memory=memory)
    _move_into(run_dir, results)
    yield from draw_ahead(results, run_dir, lines=lines, memory=memory)


def _move_into(run_dir: Path, results: Results) -> None:
    """Let results tell paths as they stand in the run folder, so that the folder can be moved."""
    from pydantic import BaseModel

    prefix = f"{run_dir.as_posix()}/"

    def tell(one: BaseModel) -> None:
        for name, value in one:
            if isinstance(value, BaseModel):
                tell(value)
            elif isinstance(value, str):
                if prefix in value:
                    setattr(one, name, value.replace(prefix, ""))
            elif isinstance(value, list) and value:
                if isinstance(value[0], BaseModel):
                    for each in value:
                        tell(each)
                elif isinstance(value[0], str):
                    value[:] = [each.replace(prefix, "") for each in value]

    tell(results)
    for entry in results.datasets:
        entry.path = _within(run_dir, entry.path)
    for cell in results.cycling.cells:
        cell.paths = [_within(run_dir, path) for path in cell.paths]


def _within(run_dir: Path, path: str) -> str:
    """Return a path as it stands in the run folder, so that the folder can be moved; others stay as they are."""
    try:
        return Path(path).relative_to(run_dir).as_posix()
    except ValueError:
        return path


def write_json(path: Path, text: str) -> None:
    """Replace a file that can be made again, never leaving half of it."""
    json.loads(text)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    temporary.replace(path)


def _write_report(
    run_dir: Path,
    results: Results,
    told: History,
    protocol: Path,
    lines: Mapping[str, LineSet] | None = None,
    memory: Memory | None = None,
) -> None:
    from labctl.report.drawing import draw
    from labctl.report.page import write_report
    from labctl.report.tidy import write_csv
    from labctl.run.trace import read_trace

    write_csv(results, run_dir / "tables")
    ended_s: dict[str, float] = {}  # a station that is done is read on for as long as the others work
    for one in told.attempts:
        ended_s[one.station] = max(ended_s.get(one.station, 0.0), one.ended_s or told.last_s)
    readings = {
        station: [
            (at_s, quantity, value)
            for quantity, (times_s, values) in read_trace(run_dir, station).items()
            for at_s, value in zip(times_s, values, strict=True)
            if at_s <= ended_s.get(station, told.last_s) + AFTERWARDS_S
        ]
        for station in sorted({step.station for step in told.planned})
    }
    write_report(
        run_dir / "report.html",
        results,
        draw(results, run_dir, readings, begun_s=told.begun_s, lines=lines or {}, memory=memory),
        timeline=_timeline(told, results),
        protocol_text=protocol.read_text(encoding="utf-8"),
    )


def _timeline(told: History, results: Results) -> Timeline:
    from labctl.report.page import Timeline

    rows: list[dict[str, Any]] = []
    for attempt in told.attempts:
        duration_s = None if attempt.ended_s is None else attempt.ended_s - attempt.intended_s
        rows.append(
            {
                "step": attempt.step_id,
                "begun_s": attempt.intended_s,
                "duration_s": duration_s,
                "attempt": attempt.attempt,
                "outcome": attempt.result,
                "remark": "; ".join(part for part in (attempt.detail, *attempt.notes) if part),
            }
        )
    rows += [
        {
            "step": incident.step_id or incident.station,
            "begun_s": incident.at_s,
            "duration_s": None,
            "attempt": "",
            "outcome": incident.kind,
            "remark": incident.what,
        }
        for incident in told.incidents
    ]
    rows.sort(key=lambda row: row["begun_s"])
    done = results.certificate is not None and results.certificate.acquired >= results.certificate.planned
    return Timeline(
        begun_s=told.begun_s, ended_s=told.last_s, state="complete" if done else "not complete", rows=tuple(rows)
    )


def print_summary(results: Results, phase: str, reasons: Mapping[str, str], run_dir: Path) -> None:
    """Print what a person wants to know first."""
    from labctl.report.numbers import plus_minus
    from labctl.run.history import counted

    hours = results.provenance.get("ended_s", 0.0) - results.provenance.get("begun_s", 0.0)
    simulated = " simulated" if results.provenance.get("simulated") else ""
    print(f"campaign {results.campaign}: {phase} after {duration_text(hours)} of{simulated} instrument time")
    if (certified := results.certificate) is not None:
        print(counted(certified))
        if certified.chain_whole is False:
            print(f"the journal is NOT as labctl wrote it: `labctl verify {shlex.quote(str(run_dir))}` says where")
        for line in certified.details:
            if ": skipped: " not in line:  # a settling check that was not needed is no news
                print(f"  {line}")
    from labctl.report.overview import summary

    for line in summary(results):
        print(line)
    for entry in results.exsy.arrhenius:
        energy = plus_minus(entry.Ea_eV, entry.Ea_se_eV, "eV")
        print(f"Ea of {entry.quantity} ({entry.model}, {entry.convention} against 1/T): {energy}")
    for conductivity in results.eis.arrhenius:
        energy = plus_minus(conductivity.Ea_eV, conductivity.Ea_se_eV, "eV")
        room = plus_minus(conductivity.sigma_25C_S_per_cm, conductivity.sigma_25C_se_S_per_cm, "S/cm")
        print(f"Ea of {conductivity.sample} ({conductivity.convention} against 1/T): {energy}; at 25 °C {room}")
    if results.cycling.cells:
        from labctl.report.cycling_tables import summary_lines

        for line in summary_lines(results.cycling.cells):
            print(line)
    for station, reason in reasons.items():
        print(f"{station}: {reason}")
    if results.warnings:
        print(f"{len(results.warnings)} warnings; the first: {results.warnings[0].message}")
    print(f"report {run_dir / 'report.html'}")
