"""What a test leaves: its text export and its procedure, into the run folder. Nothing is ever overwritten."""

from __future__ import annotations

import json
from pathlib import Path

from labctl.errors import ForeignDataError, InstrumentError
from labctl.ports import CycleCell
from labctl_maccor._codec import Channel


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

    Raises
    ------
    ForeignDataError
        A different file has its name; it is left as it is.
    InstrumentError
        The folder does not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("xb") as file:
                file.write(data)
        except FileExistsError:
            if path.read_bytes() != data:
                raise ForeignDataError(
                    f"{path} exists and is different; it was not touched",
                    instrument=station,
                    next_step="Move it away after having looked at it",
                ) from None
    except OSError as problem:
        raise InstrumentError(f"{path} cannot be written: {problem.strerror or problem}", instrument=station) from None


def cell_card(task: CycleCell, *, test: str, channel: Channel) -> bytes:
    """Return what analysis must know of the cell beside the export: JSON, units in the names."""
    card = {
        "test_name": test,
        "channel": channel.number,
        "cell": task.cell,
        "mass_mg": task.mass_mg,
        "mass_basis": task.mass_basis,
        "area_cm2": task.area_cm2,
        "charge_current_A": task.current_A,
        "discharge_current_A": task.discharge_current_A,
        "charges_Ah": list(task.charges_Ah) + [task.then_charge_Ah] * task.then_cycles,
        "discharge_to_V": task.discharge_to_V,
    }
    return (json.dumps(card, indent=2) + "\n").encode("ascii")
