"""Manifests: the description of each dataset on disk, ``datasets/<step id>.json``, later attempts ``.a2.json``.

Parts brought in while an acquisition went on have theirs in ``datasets/parts/``, ``<step id>.p0003.json``.

The journal holds the same facts and is the truth; a manifest is what people, analysis and other programs read.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from labctl.dataset.model import DataFile, Dataset, Verdict
from labctl.errors import InputError

_DATASET: TypeAdapter[Dataset] = TypeAdapter(Dataset)
_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)
MANIFEST_VERSION = 1


def manifest_path(run_dir: Path, step_id: str, attempt: int, part: int = 0) -> Path:
    """Return where the manifest of that attempt, or of a part of it, stands (or will stand)."""
    later = "" if attempt <= 1 else f".a{attempt}"
    name = f"{step_id.replace('/', '__')}{later}"
    if part:
        return run_dir / "datasets" / "parts" / f"{name}.p{part:04d}.json"
    return run_dir / "datasets" / f"{name}.json"


def describe_file(run_dir: Path, path: str) -> DataFile:
    """Return size and sha256 of a file below the run folder (`path` relative, posix)."""
    with (run_dir / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return DataFile(path=path, size=(run_dir / path).stat().st_size, sha256=digest)


def write_manifest(run_dir: Path, dataset: Dataset, *, durable: bool = True) -> Path:
    """Write the manifest of a dataset atomically and return its path; an equal one is left as it is.

    One that cannot be read, or tells another story of the same data (a journal was taken from a backup, and what came
    after it is brought in once more), is kept beside it as ``<name>.1.old``: the journal is the truth.

    Parameters
    ----------
    durable : bool
        Wait until the disk has it.

    Raises
    ------
    InputError
        A manifest of other data stands there; it is never overwritten.
    """
    path = manifest_path(run_dir, dataset.step_id, dataset.attempt, dataset.part)
    if path.exists():
        try:
            there = read_manifest(path)
        except InputError:
            there = None
        if there == dataset:
            return path
        if there is not None and (there.key, there.files) != (dataset.key, dataset.files):
            raise InputError(
                f"{path} describes other data than {dataset.step_id}, attempt {dataset.attempt}, brought in",
                expected="a manifest of the same files or none",
                next_step="Nothing was overwritten. `labctl verify` names the raw files that differ; move this manifest"
                " away once you know why, then resume",
            )
        number = 1
        while (old := path.with_name(f"{path.name}.{number}.old")).exists():
            number += 1
        path.rename(old)
    _write(path, {"version": MANIFEST_VERSION, "dataset": _DATASET.dump_python(dataset, mode="json")}, durable=durable)
    return path


def record_verdict(run_dir: Path, dataset: Dataset, verdict: Verdict, *, durable: bool = True) -> Path:
    """Add what analysis said to the manifest, once, and return its path; `durable` as for `write_manifest`.

    Raises
    ------
    InputError
        The manifest is missing, of another dataset, or holds another verdict.
    """
    path = write_manifest(run_dir, dataset, durable=durable)
    there = read_verdict(path)
    if there is None:
        document = _read(path)
        document["verdict"] = _VERDICT.dump_python(verdict, mode="json")
        _write(path, document, durable=durable)
    elif there != verdict:
        raise InputError(f"{path} holds another verdict already", expected="one verdict for each dataset")
    return path


def read_manifest(path: Path) -> Dataset:
    """Return the dataset a manifest describes.

    Raises
    ------
    InputError
        Missing, not a manifest, or of a newer version.
    """
    document = _read(path)
    try:
        return _DATASET.validate_python(document.get("dataset"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("dataset", *first["loc"]))
        raise InputError(f"{path}: {where}: {first['msg']}", expected="a manifest as labctl writes it") from error


def read_verdict(path: Path) -> Verdict | None:
    """Return what analysis first said, or None when it has not yet.

    Raises
    ------
    InputError
        As `read_manifest`.
    """
    verdict = _read(path).get("verdict")
    try:
        return None if verdict is None else _VERDICT.validate_python(verdict)
    except ValidationError as error:
        raise InputError(f"{path}: verdict: {error.errors()[0]['msg']}") from error


def read_manifests(run_dir: Path) -> tuple[Dataset, ...]:
    """Return all datasets of a run folder in the order of their beginning."""
    found = [read_manifest(path) for path in sorted((run_dir / "datasets").glob("*.json"))]
    return tuple(sorted(found, key=lambda dataset: (dataset.started_s, dataset.step_id, dataset.attempt)))


def read_parts(run_dir: Path) -> tuple[Dataset, ...]:
    """Return what was brought in of acquisitions before their ends, in the order of step, attempt and part."""
    found = [read_manifest(path) for path in sorted((run_dir / "datasets" / "parts").glob("*.json"))]
    return tuple(sorted(found, key=lambda dataset: (dataset.step_id, dataset.attempt, dataset.part)))


def damaged_files(run_dir: Path, dataset: Dataset) -> tuple[str, ...]:
    """Return a line for each file that is missing or no longer what its checksum says."""
    lines = []
    for file in dataset.files:
        if not (run_dir / file.path).is_file():
            lines.append(f"{file.path} is missing")
        elif describe_file(run_dir, file.path) != file:
            lines.append(f"{file.path} has changed since it was acquired")
    return tuple(lines)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist", next_step="Name a dataset of a finished step") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InputError(f"{path} is not a manifest", expected="a JSON object")
    if document.get("version") != MANIFEST_VERSION:
        raise InputError(
            f"{path}: version {document.get('version')!r} of a manifest is not known", expected=str(MANIFEST_VERSION)
        )
    return document


def _write(path: Path, document: dict[str, Any], *, durable: bool) -> None:
    """Write beside it, flush to disk, then put in place: a reader sees all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".tmp")
    with aside.open("w", encoding="utf-8", newline="\n") as file:
        json.dump(document, file, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
        file.write("\n")
        file.flush()
        if durable:
            os.fsync(file.fileno())
    aside.replace(path)
