"""``labctl status`` and ``labctl verify``: where a campaign stands, and whether its record is whole."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.run_folder import JOURNAL, thaw
from labctl.clock import SystemClock
from labctl.units import duration_text

if TYPE_CHECKING:
    from labctl.dataset.model import Dataset


def status_command(directory: Path, *, as_json: bool) -> None:
    """Print the state of a campaign from its journal, while it runs or afterwards."""
    from labctl.run.history import certificate, counted, history
    from labctl.run.journal import Journal

    start = thaw(directory)
    journal = Journal(directory / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        told, certified = history(journal), certificate(journal)
    finally:
        journal.close()
    under_way = [attempt for attempt in told.attempts if attempt.result == "open"]
    behind = {attempt.step_id for attempt in told.attempts if attempt.result in {"done", "halted"}} | set(told.skipped)
    document: dict[str, Any] = {
        "campaign": told.campaign,
        "simulated": start.simulated,
        "begun_s": told.begun_s,
        "last_event_s": told.last_s,
        "steps": len(told.planned),
        "steps_behind": len(behind),
        "under_way": [asdict(attempt) for attempt in under_way],
        "last_parts": [asdict(part) for part in told.parts[-5:]],
        "last_incidents": [asdict(incident) for incident in told.incidents[-5:]],
        "certificate": asdict(certified),
    }
    if as_json:
        print(json.dumps(document, indent=2))
        return
    print(
        f"{told.campaign}{' (simulated)' if start.simulated else ''}: {len(behind)} of {len(told.planned)} steps behind"
    )
    print(f"begun {_moment(told.begun_s)}, last event {_moment(told.last_s)}")
    for attempt in under_way:
        since = duration_text(max(0.0, told.last_s - attempt.intended_s))
        print(f"under way: {attempt.step_id}, attempt {attempt.attempt}, for {since} at the last event")
        mine = [one for one in told.parts if (one.step_id, one.attempt) == (attempt.step_id, attempt.attempt)]
        for part in mine[-5:]:
            print(f"  {_moment(part.at_s)} {part.message}")
    print(counted(certified))
    for incident in told.incidents[-5:]:
        print(f"{_moment(incident.at_s)} {incident.station}: {incident.what}")


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
        for version, written_by, after in journal.lineage():
            print(f"journal: brought to version {version} by labctl {written_by} after row {after}")
        certified, datasets = certificate(journal), datasets_told(journal)
        faults += _against_results(directory, {row.sha for row in journal.rows()})
    finally:
        journal.close()
    for dataset in datasets:
        faults += _against_dataset(directory, dataset)
    files = sum(len(dataset.files) for dataset in datasets)
    parts = sum(dataset.part > 0 for dataset in datasets)
    and_parts = f" and {parts} parts brought in before their ends" if parts else ""
    print(f"raw data: {len(datasets) - parts} datasets{and_parts}, {files} files held against their checksums")
    print(f"certificate: {counted(certified)}")
    for line in certified.details:
        print(f"  {line}")
    for fault in faults:
        print(f"DAMAGED {fault}")
    return 1 if faults else 0


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
