"""Which finished acquisitions there are: EXPNO folders of anybody's making, and run folders with their manifests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from labctl.analysis.memory import Memory
from labctl.dataset.model import Completeness, Dataset
from labctl.dataset.sample_offset import offset_in
from labctl.dataset.store import read_manifest
from labctl.errors import Finding, InputError, LabctlError
from labctl.formats.bruker_dataset import BrukerDataset, read_dataset

MeasuredKind = Literal["one_pulse", "nutation", "saturation_recovery", "exsy", "unknown"]
PLAUSIBLE_K = (50.0, 700.0)
PARTS = "parts"
"""Folder of a run folder's station with what was brought in of 2Ds before their ends: no acquisitions of their own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One acquisition as the analysis sees it: raw data, the name results carry, the sample's temperature.

    Attributes
    ----------
    name : str
        Step id for data labctl acquired, otherwise the folder as the user wrote it.
    role : str
        ``line`` or ``reference`` for a 1D of a campaign, otherwise empty.
    T_K, T_se_K : float or None
        Calibrated where a manifest or the title says so, otherwise the console's TE, without error.
    """

    name: str
    path: Path
    raw: BrukerDataset
    kind: MeasuredKind
    completeness: Completeness
    role: str = ""
    T_K: float | None = None
    T_se_K: float | None = None
    setpoint_K: float | None = None
    manifest: Dataset | None = None
    remarks: tuple[str, ...] = ()


def gather(
    paths: Sequence[Path], *, others: bool = False, complaints: Sequence[str] = (), memory: Memory | None = None
) -> tuple[list[Measured], list[str]]:
    """Return every readable NMR acquisition below `paths`, and what could not be read (one line each).

    `others` says that data of another kind were found there, so that none of this kind is no error; `complaints` are
    of data of another kind that could not be read, told where nothing could.

    Raises
    ------
    InputError
        A path does not exist, or nothing below any of them can be read.
    """
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise InputError(findings=tuple(Finding(file=str(path), what="no such file or folder") for path in missing))
    found: list[Measured] = []
    unread: list[str] = []
    for path in paths:
        part, said = gather_run(path, memory) if (path / "datasets").is_dir() else _gather_folders(path)
        found += part
        unread += said
    if not found and not others:
        raise InputError(
            "nothing to analyse below "
            + ", ".join(str(path) for path in paths)
            + "".join(f"\n{one}" for one in [*complaints, *unread]),
            expected="EXPNO folders (acqus with fid or ser), impedance spectra, Maccor exports, or a run folder",
        )
    return found, unread


def latest_datasets(run_dir: Path) -> tuple[list[Dataset], list[str]]:
    """Return of each step of a run folder the last attempt that is not failed, in the order of acquisition."""
    latest: dict[str, Dataset] = {}
    unread: list[str] = []
    for path in sorted((run_dir / "datasets").glob("*.json")):
        try:
            dataset = read_manifest(path)
        except InputError as problem:
            unread.append(str(problem))
            continue
        known = latest.get(dataset.step_id)
        if known is None or _preference(dataset) > _preference(known):
            latest[dataset.step_id] = dataset
    return sorted(latest.values(), key=lambda one: one.started_s), unread


def gather_run(run_dir: Path, memory: Memory | None = None) -> tuple[list[Measured], list[str]]:
    """Return the NMR datasets of a run folder: of each step the last attempt that is not failed.

    With a memory, what was read before is the same object again.
    """
    datasets, unread = latest_datasets(run_dir)
    memory = memory or Memory()
    found = []
    for dataset in datasets:
        if dataset.kind in {"impedance", "cycling"}:  # read by the gather of eis and of cycling
            continue
        try:
            found.append(memory.recall(f"read {dataset.step_id}", dataset, partial(measured_of, run_dir, dataset)))
        except (LabctlError, OSError, ValueError) as problem:
            unread.append(f"{dataset.step_id}: {problem}")
    return found, unread


def measured_of(run_dir: Path, dataset: Dataset) -> Measured:
    """Return one dataset of a run folder with its raw data.

    Raises
    ------
    InputError
        The raw data cannot be read.
    """
    folder = run_dir / dataset.directory
    raw = read_dataset(folder)
    temperature = dataset.temperature
    kind = _KINDS.get(dataset.kind, "unknown")
    return Measured(
        name=dataset.step_id,
        path=folder,
        raw=raw,
        kind=kind,
        completeness=dataset.completeness,
        role=role_of(dataset),
        T_K=temperature.sample_K if temperature else raw.sensor_K,
        T_se_K=temperature.sample_se_K if temperature else None,
        setpoint_K=temperature.setpoint_K if temperature else None,
        manifest=dataset,
        remarks=(*dataset.remarks, *raw.remarks),
    )


def role_of(dataset: Dataset) -> str:
    """Return what a 1D of a campaign is for, ``line`` or ``reference``: by its settings, else by its step id."""
    if dataset.kind != "one_pulse":
        return ""
    purpose = str(dataset.settings.get("purpose", ""))
    if purpose in {"line", "reference"}:
        return purpose
    last = dataset.step_id.rsplit("/", 1)[-1]
    return "line" if last.startswith(("line", "settle")) else "reference"


_KINDS: dict[str, MeasuredKind] = {
    "one_pulse": "one_pulse",
    "nutation": "nutation",
    "saturation_recovery": "saturation_recovery",
    "inversion_recovery": "saturation_recovery",
    "exsy": "exsy",
    "unknown": "unknown",
}


def _preference(dataset: Dataset) -> tuple[int, int]:
    return ({"failed": 0, "partial": 1, "complete": 2}[dataset.completeness], dataset.attempt)


def _gather_folders(path: Path) -> tuple[list[Measured], list[str]]:
    found: list[Measured] = []
    unread: list[str] = []
    for folder in _expnos(path):
        try:
            raw = read_dataset(folder)
        except (LabctlError, OSError, ValueError) as problem:
            unread.append(f"{folder}: {problem}")
            continue
        T_K, T_se_K = _temperature(raw)
        found.append(
            Measured(
                name=str(folder),
                path=folder,
                raw=raw,
                kind=_KINDS[raw.kind],
                completeness="complete" if raw.ending == "complete" else "partial",
                T_K=T_K,
                T_se_K=T_se_K,
                remarks=raw.remarks,
            )
        )
    return found, unread


def _temperature(raw: BrukerDataset) -> tuple[float | None, float | None]:
    """TE, moved by the calibration that the title tells (`labctl export` writes it there)."""
    offset = offset_in(raw.title)
    if raw.sensor_K is None or offset is None:
        return raw.sensor_K, None
    return raw.sensor_K + offset[0], offset[1]


def _expnos(path: Path) -> Iterable[Path]:
    """EXPNO folders at or below a path, in the order of their numbers."""
    if path.is_file():  # one of a dataset's own files stands for its dataset, any other file for nothing
        return [path.parent] if path.name in {"fid", "ser", "acqus"} else []
    folders = {one.parent for one in path.rglob("acqus") if PARTS not in one.relative_to(path).parts}
    return sorted(folders, key=lambda one: [(int(part), "") if part.isdigit() else (-1, part) for part in one.parts])
