"""``labctl status`` and ``labctl verify``: where a campaign stands, and whether its record is whole."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.run_folder import JOURNAL, thaw
from labctl.clock import SystemClock
from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.dataset.model import Dataset


def status_command(directory: Path, *, as_json: bool) -> None:
    """Print the state of a campaign, while it runs or afterwards."""
    document = status_document(directory)
    if as_json:
        print(json.dumps(document, indent=2))
        return
    print("\n".join(status_lines(document)))


def status_document(directory: Path) -> dict[str, Any]:
    """Return where a campaign stands; what ``labctl status --json`` prints.

    From the journal: ``campaign simulated begun_s last_event_s rows steps steps_behind under_way[] last_parts[]
    certificate last_incidents[] asked[] amendments[]``. `running`: whether an engine holds the folder. From what that
    engine shows of itself, or the last one left (null if none ever did): ``engine {labctl host pid} phase as_of_s
    fraction eta_s stations{name: {phase steps steps_behind step attempt fraction detail next hold fault needs_person
    setpoint_K sample_wanted_K waits_until_s waits_for readings readings_at_s}}``. Times are wall times [s since 1970
    UTC], simulated ones in a dry run.
    """
    from labctl.cli.operating import engine_runs
    from labctl.run.standing import amendments, standing

    start = thaw(directory)
    told = standing(directory / JOURNAL)
    shown = _shown(directory)
    return {
        "version": 1,
        "simulated": start.simulated,
        "running": engine_runs(directory / JOURNAL),
        **told,
        "amendments": amendments(directory / JOURNAL),
        "engine": shown.get("engine"),
        "phase": shown.get("phase"),
        "as_of_s": shown.get("at_s"),
        "fraction": shown.get("fraction"),
        "eta_s": shown.get("eta_s"),
        "stations": shown.get("stations", {}),
    }


def _shown(directory: Path) -> dict[str, Any]:
    """What the engine shows of itself; nothing if it is not there or was damaged."""
    try:
        shown = json.loads((directory / "standing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return shown if isinstance(shown, dict) else {}


def status_lines(document: dict[str, Any]) -> list[str]:
    """Return a status as people read it."""
    simulated = " (simulated)" if document["simulated"] else ""
    share = f", {100 * document['fraction']:.0f} % of its time" if document["fraction"] is not None else ""
    lines = [
        f"{document['campaign']}{simulated}: {document['steps_behind']} of {document['steps']} steps behind{share}",
        f"begun {_moment(document['begun_s'])}, last event {_moment(document['last_event_s'])}",
    ]
    if document["running"]:
        until = f", ends about {_moment(document['eta_s'])}" if document["eta_s"] else ""
        lines.append(f"an engine runs it{until}")
    else:
        left = f"; the last one left it {document['phase']}" if document["phase"] else ""
        lines.append(f"no engine runs it{left}")
    for name, station in document["stations"].items():
        lines += _station_lines(name, station)
    if not document["stations"]:
        for one in document["under_way"]:
            since = duration_text(max(0.0, document["last_event_s"] - one["intended_s"]))
            lines.append(f"under way: {one['step_id']}, attempt {one['attempt']}, for {since} at the last event")
    lines += [f"{_moment(part['at_s'])} {part['step_id']}: {part['message']}" for part in document["last_parts"]]
    numbers = document["certificate"]
    partial = f" ({numbers['partial']} of them partial)" if numbers["partial"] else ""
    lines.append(
        f"acquired {numbers['acquired']} of {numbers['planned']} planned{partial}, "
        f"{numbers['repeated']} repeated, {numbers['lost']} lost"
    )
    for one in document["amendments"]:
        lines.append(f"{_moment(one['at_s'])} the plan was amended: {one['file']}, {one['reason']} ({one['by']})")
    for one in document["last_incidents"]:
        lines.append(f"{_moment(one['at_s'])} {one['station'] or 'all'}: {one['what']}")
    return lines


def _station_lines(name: str, station: dict[str, Any]) -> list[str]:
    from labctl.run.hazards import cooling

    what = station["phase"]
    if station["step"]:
        attempt = f", attempt {station['attempt']}" if station["attempt"] > 1 else ""
        share = f", {100 * station['fraction']:.0f} %" if station["fraction"] is not None else ""
        what += f" {station['step']}{attempt}{share}"
    readings = station["readings"]
    if "sensor_K" in readings:
        what += f", {readings['sensor_K'] - 273.15:.1f} °C"
    if readings.get("spinning_Hz"):
        what += f", {readings['spinning_Hz'] / 1000:.2f} kHz"
    lines = [f"{name}: {what}"]
    if station["phase"] in {"safe", "finished"} and (why_cold := cooling(readings)):
        lines.append(f"{name}: {why_cold}")
    if station["waits_for"]:
        lines.append(f"{name}: waits until {_moment(station['waits_until_s'])} for {station['waits_for']}")
    reasons = dict.fromkeys(filter(None, (station["fault"], station["hold"], station["needs_person"])))
    return lines + [f"{name}: a person is needed: {reason}" for reason in reasons]


def verify_command(directory: Path) -> int:
    """Check journal, results and raw data against each other; return 0 if whole, 1 if not."""
    from labctl.errors import LabctlError
    from labctl.run.history import certificate, counted, datasets_told
    from labctl.run.journal import Journal

    thaw(directory)
    faults: list[str] = []
    journal = Journal(directory / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        try:
            rows = journal.verify_chain()
            print(f"journal: {rows} rows, hash chain whole, head {journal.head[:16]}")
        except LabctlError as problem:
            faults.append(f"journal: {problem}")
        try:
            for version, written_by, after in journal.lineage():
                print(f"journal: brought to version {version} by labctl {written_by} after row {after}")
            certified, datasets = certificate(journal), datasets_told(journal)
            faults += _against_results(directory, {row.sha for row in journal.rows()})
        except LabctlError as problem:
            print("the journal cannot be read to its end: raw data are held against the manifests beside it")
            faults.append(f"journal: {problem}")
            certified, datasets = None, _by_manifests(directory, faults)
    finally:
        journal.close()
    of_data = [fault for dataset in datasets for fault in _against_dataset(directory, dataset)]
    faults += of_data
    files = sum(len(dataset.files) for dataset in datasets)
    parts = sum(dataset.part > 0 for dataset in datasets)
    and_parts = f" and {parts} parts brought in before their ends" if parts else ""
    print(f"raw data: {len(datasets) - parts} datasets{and_parts}, {files} files held against their checksums")
    if certified is not None:
        print(f"certificate: {counted(certified)}")
        for line in certified.details:
            print(f"  {line}")
    for fault in faults:
        print(f"DAMAGED {fault}")
    if of_data:
        print(
            "what is damaged of the data stands in the instrument's own data folder, and in the second copy if the lab"
            " keeps one: put it back from there and verify again. Until then do not trust results made from it"
        )
    return 1 if faults else 0


def _by_manifests(directory: Path, faults: list[str]) -> tuple[Dataset, ...]:
    """Return what the manifests of a run folder tell, without its journal; those that cannot be read are faults."""
    from labctl.dataset.store import read_manifest
    from labctl.errors import LabctlError

    found = []
    for path in sorted((directory / "datasets").rglob("*.json")):
        try:
            found.append(read_manifest(path))
        except LabctlError as problem:
            faults.append(str(problem))
    return tuple(found)


def _against_results(directory: Path, rows: set[str]) -> list[str]:
    """The results keep the hash of the journal's last row: a journal that lost its tail no longer has it."""
    try:
        document = json.loads((directory / "results.json").read_text(encoding="utf-8"))
        head = document.get("provenance", {}).get("journal_head", "")
    except FileNotFoundError:
        return []
    except (ValueError, AttributeError) as problem:
        return [f"results.json cannot be read: {problem}; `labctl report` makes it again"]
    if head and head not in rows:
        return [f"journal: the row {head[:16]}, which results.json was made from, is missing: its end was cut off"]
    return []


def _against_dataset(directory: Path, dataset: Dataset) -> list[str]:
    """Raw files against the checksums of the journal, and the manifest against both."""
    from labctl.dataset.store import damaged_files, manifest_path, read_manifest
    from labctl.errors import LabctlError

    who = f"{dataset.step_id}, attempt {dataset.attempt}" + (f", part {dataset.part}" if dataset.part else "")
    faults = [f"{who}: {line}" for line in damaged_files(directory, dataset)]
    try:
        manifest = read_manifest(manifest_path(directory, dataset.step_id, dataset.attempt, dataset.part))
    except LabctlError as problem:
        return [*faults, f"{who}: {problem}"]
    return faults if manifest == dataset else [*faults, f"{who}: the manifest does not say what the journal says"]


def _moment(at_s: float) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
