"""What a test leaves: its text export and its procedure, into the run folder. Nothing is ever overwritten.

While a test goes on, its export is brought in piece by piece: each piece is a file of its own with the rows that came
since the piece before, so that the pieces in order are the beginning of the export. A tester's export program may write
its file anew instead of adding to it (a new date in its head is enough); then the next piece is a whole one.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from labctl.errors import ForeignDataError, InputError, InstrumentError
from labctl.formats.maccor_head import is_maccor
from labctl.ports import CycleCell
from labctl_maccor._codec import Channel

PARTS = "parts"
FORCED = 199


def exports(export_dir: Path, test: str, channel: Channel) -> tuple[Path, ...]:
    """Return the text exports of a test on a channel: ``<test>.005``, ``<test>.005.txt``, ``<test>.005.csv``..."""
    stem = f"{test}{channel.suffix}"
    if not export_dir.is_dir():
        return ()
    found = [
        path
        for path in export_dir.iterdir()
        if path.is_file() and (path.name.lower() == stem.lower() or path.name.lower().startswith(f"{stem}.".lower()))
    ]
    return tuple(sorted(found))


def put(path: Path, data: bytes, *, station: str) -> None:
    """Write a file that is not there yet; an equal one is kept.

    It is written beside its name and moved there whole, so that whoever dies in between leaves nothing in the way.

    Raises
    ------
    ForeignDataError
        A different file has its name; it is left as it is.
    InstrumentError
        The folder does not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            if path.read_bytes() != data:
                raise ForeignDataError(
                    f"{path} exists and is different; it was not touched",
                    instrument=station,
                    next_step="Move it away after having looked at it",
                )
            return
        beside = path.with_name(f"{path.name}.tmp")
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as problem:
        raise InstrumentError(f"{path} cannot be written: {problem.strerror or problem}", instrument=station) from None


def by_hand(files: Iterable[Path]) -> tuple[str, ...]:
    """Return remarks on what an operator did to a test, by the codes in its export: steps forced on (199)."""
    from labctl.formats.maccor_export import read_maccor_file  # noqa: PLC0415 - loads polars

    for path in files:
        try:
            runs = read_maccor_file(path).runs
        except InputError:
            continue  # no text export; analysis says more where it cannot read one
        forced = [run for run in runs if run.end_code == FORCED]
        if forced:
            where = ", ".join(f"step {run.step} ({run.state})" for run in forced[:5])
            return (f"somebody forced the test on at the tester ({FORCED}): {where}; those cycles do not count",)
    return ()


def put_piece(
    source: Path,
    folder: Path,
    *,
    part: int,
    after: int,
    station: str,
    remembered: dict[Path, bytes] | None = None,
) -> tuple[Path, int]:
    """Bring in what an export holds beyond the pieces up to part `after`, as the piece that ends with `part`.

    A piece that is there already is returned as it is: the export has grown since, but what was brought in stays.

    Parameters
    ----------
    remembered : dict, optional
        What pieces hold that were read or written before; they never change, and a month of cycling has hundreds.

    Returns
    -------
    path, first : Path, int
        The piece, and the first part it holds: `after` + 1, or 1 where the export was written anew.

    Raises
    ------
    InstrumentError
        The export cannot be read, or holds no new row yet.
    """
    remembered = {} if remembered is None else remembered
    pieces = _pieces(folder, source.name)
    if part in pieces:
        return pieces[part]
    try:
        data = source.read_bytes()
    except OSError as problem:
        raise InstrumentError(f"{source} cannot be read: {problem.strerror or problem}", instrument=station) from None
    data = data[: data.rfind(b"\n") + 1]  # a row that is being written belongs to the next piece
    known = _known(data, pieces, after, remembered)
    piece, first = (data[known:], after + 1) if known else (data, 1)
    if not piece:
        raise InstrumentError(
            f"{source} has no row after part {after}",
            instrument=station,
            next_step="Let the tester export while the test goes on; it is looked at again",
        )
    path = folder / f"{source.name}.c{first:04d}-{part:04d}"
    put(path, piece, station=station)
    remembered[path] = piece
    return path, first


def _pieces(folder: Path, name: str) -> dict[int, tuple[Path, int]]:
    """Return what was brought in of an export: by the part that a piece ends with, the piece and its first part."""
    found: dict[int, tuple[Path, int]] = {}
    for path in sorted(folder.glob(f"{glob.escape(name)}.c*-*")):
        first, _, last = path.name.removeprefix(f"{name}.c").partition("-")
        if first.isdigit() and last.isdigit() and path.name == f"{name}.c{first}-{int(last):04d}":
            found.setdefault(int(last), (path, int(first)))
    return found


def _known(data: bytes, pieces: Mapping[int, tuple[Path, int]], after: int, remembered: dict[Path, bytes]) -> int:
    """Return how many bytes of an export the pieces up to a part hold; 0 where they are not its beginning."""
    chain: list[Path] = []
    while after > 0:
        if after not in pieces:
            return 0
        path, first = pieces[after]
        chain.append(path)
        after = first - 1
    known = 0
    for path in reversed(chain):
        if path not in remembered:
            remembered[path] = path.read_bytes()
        piece = remembered[path]
        if not data.startswith(piece, known):
            return 0
        known += len(piece)
    return known


def the_text_export(sources: tuple[Path, ...]) -> Path | None:
    """Return the export that analysis reads: the first whose head is that of one."""
    return next((one for one in sources if is_maccor(one)), None)


def about_cell(task: CycleCell, *, full_scale_A: float | None, accuracy: float | None) -> dict[str, float | int | str]:
    """Return what analysis must know of the cell, by the keys it knows; nothing stands for what nobody stated.

    `charges_to_mAh` is the charge of each cycle in order; the last one holds for all later cycles.
    """
    charges_Ah = [*task.charges_Ah, *([task.then_charge_Ah] if task.then_cycles else [])]
    told: Mapping[str, float | str | None] = {
        "name": task.sample or task.cell,
        "mass_mg": task.mass_mg if task.mass_mg > 0.0 else None,
        "mass_se_mg": task.mass_se_mg,
        "mass_basis": task.mass_basis or None,
        "theoretical_mAh_per_g": task.theoretical_mAh_per_g,
        "electrode_area_cm2": task.area_cm2,
        "discharge_to_V": task.discharge_to_V,
        "charges_to_mAh": " ".join(f"{1000.0 * one:.9g}" for one in charges_Ah),
        "reference": task.reference or None,
        "reference_offset_V": task.reference_offset_V,
        "equilibrium_V": task.equilibrium_V,
        "current_full_scale_A": full_scale_A if accuracy is not None else None,
        "current_accuracy": accuracy,
    }
    return {key: value for key, value in told.items() if value is not None}


def cell_card(about: Mapping[str, float | int | str]) -> bytes:
    """Return the same to lie beside the export, for whoever has the files and not the run folder: JSON."""
    card: dict[str, object] = dict(about)
    card["charges_to_mAh"] = [float(one) for one in str(about["charges_to_mAh"]).split()]
    return (json.dumps(card, indent=2) + "\n").encode("ascii")
