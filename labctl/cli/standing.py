"""``labctl status`` and ``labctl verify``: where a campaign stands, and whether its record is whole."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labctl.cli.run_folder import JOURNAL, thaw
from labctl.clock import SystemClock
from labctl.units import duration_text


def status_command(directory: Path, *, as_json: bool) -> None:
    """Print the state of a campaign from its journal, while it runs or afterwards."""
    from labctl.run.history import certificate, history
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
    print(
        f"acquired {certified.acquired} of {certified.planned} planned, "
        f"{certified.repeated} repeated, {certified.lost} lost"
    )
    for incident in told.incidents[-5:]:
        print(f"{_moment(incident.at_s)} {incident.station}: {incident.what}")


def verify_command(directory: Path) -> int:
    """Check journal and raw data; return 0 if whole, 1 if not."""
    from labctl.dataset.store import damaged_files, read_manifests
    from labctl.errors import LabctlError
    from labctl.run.history import certificate
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
        certified = certificate(journal)
    finally:
        journal.close()
    datasets = read_manifests(directory)
    for dataset in datasets:
        faults += [f"{dataset.step_id}: {line}" for line in damaged_files(directory, dataset)]
    files = sum(len(dataset.files) for dataset in datasets)
    print(f"raw data: {len(datasets)} datasets, {files} files held against their checksums")
    print(
        f"certificate: acquired {certified.acquired} of {certified.planned} planned, "
        f"{certified.repeated} repeated, {certified.lost} lost"
    )
    for line in certified.details:
        print(f"  {line}")
    for fault in faults:
        print(f"DAMAGED {fault}")
    return 1 if faults else 0


def _moment(at_s: float) -> str:
    return dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
