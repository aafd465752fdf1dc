"""Which cells were cycled: Maccor exports of anybody's making, and run folders with their manifests."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labctl.analysis.cycling.cell import CellDescription, cell_beside, description
from labctl.analysis.gather import latest_datasets
from labctl.analysis.memory import Memory
from labctl.dataset.model import Completeness, Dataset
from labctl.dataset.store import read_parts
from labctl.errors import InputError
from labctl.formats import battery_data as bdf
from labctl.formats.maccor_export import read_maccor_file, read_maccor_pieces
from labctl.formats.maccor_files import begins_anew, join, read_maccor
from labctl.formats.maccor_head import is_maccor
from labctl.formats.maccor_model import MaccorExport

ANY_ZONE_AND_SKEW = dt.timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeasuredCell:
    """One cell's test as the analysis sees it; `name` is the step id, or the file as the user wrote it."""

    name: str
    export: MaccorExport
    cell: CellDescription
    completeness: Completeness = "complete"
    manifest: Dataset | None = None
    remarks: tuple[str, ...] = ()


def gather_cells(paths: Sequence[Path], memory: Memory | None = None) -> tuple[list[MeasuredCell], list[str]]:
    """Return every cell at or below `paths`, and what could not be read (one line each).

    Files are told apart by content. Files of one test (same name and procedure in their heads, each counting from
    its own first record) are joined; in a run folder the manifests decide. With a memory, a whole test of a run folder
    that was read before is the same object again.
    """
    found: list[MeasuredCell] = []
    unread: list[str] = []
    loose: list[Path] = []
    for path in paths:
        if (path / "datasets").is_dir():
            part, said = _of_run(path, memory or Memory())
            found += part
            unread += said
        else:
            loose += [one for one in ([path] if path.is_file() else _files(path)) if is_maccor(one)]
    exports: list[tuple[Path, MaccorExport]] = []
    for one in dict.fromkeys(loose):
        try:
            exports.append((one, read_maccor_file(one)))
        except InputError as problem:
            unread.append(str(problem))
    for group in _by_test(exports):
        try:
            found.append(_joined(group))
        except InputError as problem:
            unread.append(str(problem))
    return found, unread


def _by_test(exports: Sequence[tuple[Path, MaccorExport]]) -> list[list[tuple[Path, MaccorExport]]]:
    """Group the files of one test; without a test name a file stands alone."""
    groups: dict[tuple[str, ...], list[tuple[Path, MaccorExport]]] = {}
    for path, export in exports:
        test, procedure = export.head.values.get("test", ""), export.head.values.get("procedure", "")
        alone = not test or not begins_anew(export)
        key = (str(path),) if alone else (str(path.parent), test, procedure)
        groups.setdefault(key, []).append((path, export))
    return list(groups.values())


def _joined(group: Sequence[tuple[Path, MaccorExport]]) -> MeasuredCell:
    first = group[0][0]
    remarks: tuple[str, ...] = ()
    cell = next((one for one in (cell_beside(path) for path, _ in group) if one is not None), None)
    if len(group) == 1:
        export = group[0][1]
    else:
        dated = all(bdf.CLOCK in one.frame.columns for _, one in group)
        export = join([one for _, one in group]) if dated else read_maccor([path for path, _ in group])
        remarks = ("files of one test, joined: " + ", ".join(path.name for path, _ in group),)
    return MeasuredCell(name=str(first), export=export, cell=cell or CellDescription(), remarks=remarks)


def _files(folder: Path) -> Iterator[Path]:
    """Files below a folder in order; folders of NMR data are passed over."""
    for at, folders, names in os.walk(folder):
        folders.sort()
        if "acqus" in names or "acqu" in names:
            folders.clear()
            continue
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(at) / name


def finished_cells(run_dir: Path, memory: Memory) -> list[MeasuredCell]:
    """Return the cells of a run folder whose tests are over, in the order of `gather_cells`."""
    return sorted(_whole_tests(run_dir, latest_datasets(run_dir)[0], memory)[0], key=lambda one: one.name)


def _whole_tests(run_dir: Path, datasets: Sequence[Dataset], memory: Memory) -> tuple[list[MeasuredCell], list[str]]:
    found: list[MeasuredCell] = []
    unread: list[str] = []
    for dataset in datasets:
        if dataset.kind != "cycling":
            continue
        try:
            found.append(memory.recall(f"read {dataset.step_id}", dataset, partial(measured_cell, run_dir, dataset)))
        except InputError as problem:
            unread.append(f"{dataset.step_id}: {problem}")
    return found, unread


def _of_run(run_dir: Path, memory: Memory) -> tuple[list[MeasuredCell], list[str]]:
    datasets, _ = latest_datasets(run_dir)  # broken manifests are told of once, by the gathering of all kinds
    found, unread = _whole_tests(run_dir, datasets, memory)
    whole = {(one.step_id, one.attempt) for one in datasets}
    try:
        parts = [one for one in read_parts(run_dir) if one.kind == "cycling"]
    except InputError as problem:
        return found, [*unread, str(problem)]
    latest = {one.step_id: one for one in parts}  # in the order of attempt and part
    for dataset in latest.values():
        if any(step == dataset.step_id and attempt >= dataset.attempt for step, attempt in whole):
            continue
        try:
            found.append(measured_cell(run_dir, dataset, parts))
        except InputError as problem:
            unread.append(f"{dataset.step_id}: {problem}")
    found.sort(key=lambda one: one.name)  # a cell keeps its place when it is done
    return found, unread


def measured_cell(run_dir: Path, dataset: Dataset, parts: Sequence[Dataset] | None = None) -> MeasuredCell:
    """Return the cell of one dataset of a run folder; of a part, all there is up to it.

    The manifest's settings describe the cell by the keys of `CellDescription`; a ``.cell.json`` beside the export
    wins.

    Parameters
    ----------
    parts : sequence of Dataset, optional
        The parts of the run folder, where they were read already.

    Raises
    ------
    InputError
        No file of it is an export that can be read, or a part before it is missing.
    """
    exports = [run_dir / one.path for one in dataset.files]
    if dataset.part:
        exports = _pieces(run_dir, dataset, read_parts(run_dir) if parts is None else parts)
    else:
        exports = [one for one in exports if is_maccor(one)]
    if not exports or not is_maccor(exports[0]):
        raise InputError(f"{run_dir / dataset.directory}: no Maccor export", expected="the export the driver wrote")
    zone = dataset.settings.get("time_zone")
    time_zone = zone if isinstance(zone, str) else None
    export = _read(exports, dataset, time_zone)
    beside = cell_beside(exports[0])
    told = description(dataset.settings, file=dataset.step_id, strict=False)
    return MeasuredCell(
        name=dataset.step_id,
        export=export,
        cell=beside or told,
        completeness=dataset.completeness,
        manifest=dataset,
        remarks=dataset.remarks,
    )


def _read(exports: Sequence[Path], dataset: Dataset, time_zone: str | None) -> MaccorExport:
    """Read what a manifest names; it knows when the test began, so that 03/04 is no riddle."""
    read = read_maccor_pieces if dataset.part else read_maccor
    export = read(exports, time_zone=time_zone)
    if export.month_first is not None or bdf.CLOCK in export.frame.columns:
        return export
    begun = dt.datetime.fromtimestamp(dataset.started_s, dt.UTC).replace(tzinfo=None)
    for month_first in (True, False):
        known = read(exports, time_zone=time_zone, month_first=month_first)
        if bdf.CLOCK not in known.frame.columns:
            return export  # no clock at all
        if abs(known.frame[bdf.CLOCK][0] - begun) < ANY_ZONE_AND_SKEW:
            return known
    return export


def _pieces(run_dir: Path, last: Dataset, parts: Sequence[Dataset]) -> list[Path]:
    """Return the files from the first part to `last`, in order."""
    mine = {one.part: one for one in parts if (one.step_id, one.attempt) == (last.step_id, last.attempt)}
    mine[last.part] = last
    chain: list[Dataset] = []
    wanted = last.part
    while wanted > 0:
        one = mine.get(wanted)
        if one is None or one.part_from < 1:
            raise InputError(
                f"part {wanted} of {last.step_id} is missing", expected="its manifest in datasets/parts",
                next_step="The whole is brought in when the cell is done",
            )  # fmt: skip
        chain.insert(0, one)
        wanted = one.part_from - 1
    return [run_dir / file.path for one in chain for file in one.files]
