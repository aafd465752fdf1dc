"""A campaign as one file to deposit: a zip that is an RO-Crate 1.1, with checksums, protocol and journal.

RO-Crate (Soiland-Reyes and others, Data Science 2022) describes a folder by a JSON-LD graph of schema.org terms in
``ro-crate-metadata.json``: what each file is, which acquisition it came from, by which instrument and when, and what
the analysis made of it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import sqlite3
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from labctl import __version__
from labctl.analysis.results import Results
from labctl.dataset.model import Dataset
from labctl.dataset.store import read_manifest
from labctl.errors import Finding, InputError

Entity = dict[str, Any]

METADATA = "ro-crate-metadata.json"
_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", {"sha256": "https://schema.org/sha256"}]
_PROFILE = "https://w3id.org/ro/crate/1.1"
_JOURNAL = "journal.sqlite"
_LEFT_OUT = {METADATA, "standing.json", "simulated-lab", _JOURNAL}
_LEFT_OUT_ENDINGS = (".lock", ".tmp", ".new", "-wal", "-shm", "-journal")
_FORMATS = {
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".sqlite": "application/vnd.sqlite3",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".xml": "application/xml",
    ".yaml": "application/yaml",
}
_PARAMETERS = {"acqu", "acqu2", "acqus", "acqu2s", "proc", "proc2", "procs", "proc2s"}
_KNOWN = {
    "protocol.yaml": "the protocol as run",
    "lab.yaml": "the lab file as run: stations, calibrations, limits, signatures",
    "run.json": "how the campaign was started",
    "results.json": "every number with its unit, uncertainty, method and warnings",
    "report.html": "the report for people",
    "journal.sqlite": "the journal: what happened, chained by hashes",
    "journal.jsonl": "the journal, one event a line",
}
_CHUNK = 1 << 20


def write_crate(run_dir: Path, results: Results, out: Path, *, license_url: str = "") -> Path:
    """Write a run folder as an RO-Crate and return the file; equal folders give equal files.

    Left out are locks, the state of simulators, and what is being written.

    Parameters
    ----------
    out : Path
        A ``.zip`` that does not exist yet.
    license_url : str
        Address of the licence the data are given under; "not stated" without.

    Raises
    ------
    InputError
        `out` exists, or a raw file is missing or not what its manifest says it was when it was acquired.
    """
    if out.exists():
        raise InputError(f"{out} exists", next_step="Name another file; nothing is overwritten")
    manifests = [read_manifest(path) for path in sorted((run_dir / "datasets").glob("*.json"))]
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".tmp")
    try:
        with tempfile.TemporaryDirectory() as temporary, zipfile.ZipFile(unfinished, "w") as archive:
            journal = _journal(run_dir, Path(temporary))
            stamp = _stamp(results)
            described = [_put(archive, path, name, stamp) for name, path in [*_files(run_dir), *journal]]
            _hold_to(manifests, described)
            graph = _graph(results, manifests, described, license_url)
            text = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=2, ensure_ascii=False)
            archive.writestr(_info(METADATA, stamp), text + "\n")
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    unfinished.replace(out)
    return out


def _files(run_dir: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(run_dir.rglob("*")):
        name = path.relative_to(run_dir).as_posix()
        if path.is_file() and name.split("/")[0] not in _LEFT_OUT and not name.endswith(_LEFT_OUT_ENDINGS):
            yield name, path


def _journal(run_dir: Path, temporary: Path) -> list[tuple[str, Path]]:
    """Copy the journal while it may be in use, and write it out a line an event, for readers without SQLite."""
    if not (run_dir / _JOURNAL).is_file():
        return []
    copy, lines = temporary / _JOURNAL, temporary / "journal.jsonl"
    source = f"{(run_dir / _JOURNAL).resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(source, uri=True)) as live, closing(sqlite3.connect(copy)) as kept:
        live.backup(kept)
        kept.execute("PRAGMA journal_mode=DELETE")
        kept.row_factory = sqlite3.Row
        with lines.open("w", encoding="utf-8", newline="\n") as file:
            for row in kept.execute("SELECT * FROM journal ORDER BY seq"):
                told = dict(row)
                told["body"] = json.loads(told["body"])
                file.write(json.dumps(told, ensure_ascii=False) + "\n")
    return [(_JOURNAL, copy), (lines.name, lines)]


def _put(archive: zipfile.ZipFile, path: Path, name: str, stamp: tuple[int, ...]) -> Entity:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as source, archive.open(_info(name, stamp), "w", force_zip64=True) as target:
        while part := source.read(_CHUNK):
            digest.update(part)
            size += len(part)
            target.write(part)
    last = PurePosixPath(name).name
    entity: Entity = {"@id": quote(name), "@type": "File", "name": name, "contentSize": str(size)}
    entity["encodingFormat"] = (
        "chemical/x-jcamp-dx" if last in _PARAMETERS else _FORMATS.get(path.suffix, "application/octet-stream")
    )
    if name in _KNOWN:
        entity["description"] = _KNOWN[name]
    return entity | {"sha256": digest.hexdigest()}


def _info(name: str, stamp: tuple[int, ...]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=(stamp[0], stamp[1], stamp[2], stamp[3], stamp[4], stamp[5]))
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info


def _hold_to(manifests: Iterable[Dataset], described: Iterable[Entity]) -> None:
    """Refuse raw data that are not what they were when they were acquired."""
    found = {one["name"]: one["sha256"] for one in described}
    in_order = sorted(manifests, key=lambda one: (one.started_s, one.part))
    latest = {one.path: (one.sha256, manifest.step_id) for manifest in in_order for one in manifest.files}
    wrong = tuple(
        Finding(
            file=path,
            what="is missing" if path not in found else "is not what was acquired",
            value=found.get(path, ""),
            expected=f"sha256 {sha256}, as the manifest of {step_id} says",
        )
        for path, (sha256, step_id) in latest.items()
        if found.get(path) != sha256
    )
    if wrong:
        raise InputError(
            findings=wrong, next_step="labctl verify; take these files from the second copy or the console"
        )


def _graph(
    results: Results, manifests: Sequence[Dataset], described: Sequence[Entity], license_url: str
) -> list[Entity]:
    stations = sorted({one.step_id.partition("/")[0] for one in manifests})
    sample = str(results.provenance.get("sample", "")) or results.campaign
    simulated = bool(results.provenance.get("simulated"))
    energies = [_energy(index, one.model_dump()) for index, one in enumerate(results.exsy.arrhenius)]
    folders = Counter(one.directory for one in manifests)
    acquired = [entity for one in manifests for entity in _acquisition(one, shared=folders[one.directory] > 1)]
    made = [one for one in described if one["name"] in {"results.json", "report.html"}]
    made += [one for one in described if one["name"].startswith(("figures/", "tables/"))]
    licensed: Entity = (
        {"@id": license_url, "@type": "CreativeWork", "name": license_url}
        if license_url
        else {
            "@id": "#licence-not-stated",
            "@type": "CreativeWork",
            "name": "not stated",
            "description": "Who deposits these data has not said under which licence.",
        }
    )
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": results.campaign or "campaign",
        "description": f"{'Rehearsed on simulators, no instrument was used: ' if simulated else ''}"
        f"raw data, protocol, journal and results of the campaign {results.campaign}, sample {sample}",
        "datePublished": _iso(results.provenance.get("ended_s")),
        "license": _ref(licensed),
        "hasPart": [_ref(one) for one in [*acquired, *described] if one["@type"] in {"File", "Dataset"}],
        "mentions": [_ref(one) for one in acquired if one["@type"] == "CreateAction"] + [{"@id": "#analysis"}],
        "about": {"@id": "#sample"},
        "variableMeasured": [_ref(one) for one in energies],
    }
    analysis: Entity = {
        "@id": "#analysis",
        "@type": "CreateAction",
        "name": "analysis and report",
        "instrument": {"@id": "#labctl"},
        "object": [
            one for action in acquired if action["@type"] == "CreateAction" for one in _listed(action["result"])
        ],
        "result": [_ref(one) for one in made],
    }
    about = {"@id": METADATA, "@type": "CreativeWork", "conformsTo": {"@id": _PROFILE}, "about": {"@id": "./"}}
    labctl = {"@id": "#labctl", "@type": "SoftwareApplication", "name": "labctl", "softwareVersion": __version__}
    things = [{"@id": "#sample", "@type": "Thing", "name": sample}]
    things += [
        {"@id": f"#{name}", "@type": "Thing", "name": name + (" (simulated)" if simulated else "")} for name in stations
    ]
    return [about, root, licensed, labctl, *things, analysis, *energies, *acquired, *described]


def _acquisition(one: Dataset, *, shared: bool) -> list[Entity]:
    """One acquisition: the folder it left, or its files in one that others share, and the action that left them."""
    folder: Entity = {
        "@id": quote(one.directory) + "/",
        "@type": "Dataset",
        "name": f"{one.step_id}{f', attempt {one.attempt}' if one.attempt > 1 else ''}",
        "description": f"{one.kind}, {one.completeness}",
        "hasPart": [{"@id": quote(file.path)} for file in one.files],
    }
    action: Entity = {
        "@id": f"#{quote(one.step_id)}-{one.attempt}",
        "@type": "CreateAction",
        "name": one.step_id,
        "instrument": {"@id": f"#{one.step_id.partition('/')[0]}"},
        "object": {"@id": "#sample"},
        "result": _ref(folder),
        "startTime": _iso(one.started_s),
        "endTime": _iso(one.ended_s),
        "actionStatus": {
            "@id": f"http://schema.org/{'Failed' if one.completeness == 'failed' else 'Completed'}ActionStatus"
        },
    }
    if one.part:
        action["@id"] += f"-part{one.part}"
    if shared or not one.directory:
        action["result"] = folder["hasPart"]
        return [action]
    return [folder, action]


def _energy(index: int, one: Mapping[str, Any]) -> Entity:
    low, high = one["Ea_ci95_eV"]
    return {
        "@id": f"#Ea-{index + 1}",
        "@type": "PropertyValue",
        "name": f"activation energy of {one['quantity']} ({one['model']}, {one['convention']} against 1/T)",
        "value": one["Ea_eV"],
        "minValue": low,
        "maxValue": high,
        "unitText": "eV",
        "description": f"standard error {one['Ea_se_eV']:.3g} eV; minValue and maxValue are the 95 % interval",
    }


def _listed(one: Entity | list[Entity]) -> list[Entity]:
    return one if isinstance(one, list) else [one]


def _ref(entity: Entity) -> Entity:
    return {"@id": entity["@id"]}


def _iso(seconds: float | None) -> str:
    return dt.datetime.fromtimestamp(seconds or 0.0, dt.UTC).isoformat(timespec="seconds")


def _stamp(results: Results) -> tuple[int, ...]:
    """Return the time of the archive's members: the campaign's last event, in a year that zip files know."""
    ended = dt.datetime.fromtimestamp(float(results.provenance.get("ended_s") or 0.0), dt.UTC)
    return max(ended.timetuple()[:6], (1980, 1, 1, 0, 0, 0))
