"""Checkpoints and results in one folder, by token: nothing is ever written over.

::

    <name>_<token>.checkpoint.jsonl     a line at a time, flushed to the disk after each point
    <name>_<token>.eis.json             sidecar, written first
    <name>_<token>.txt                  the spectrum; its presence says that the sweep is complete
    raw/<name>_<token>.nox              what a procedure saved

A result is written under a temporary name and renamed to its own, which must be free.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from labctl.errors import ForeignDataError, InputError, InstrumentError
from labctl.ports import Order, SweepImpedance
from labctl_autolab._record import Sweep, head_line, nova_text, read_checkpoint

CHECKPOINT = ".checkpoint.jsonl"
SIDECAR = ".eis.json"
SPECTRUM = ".txt"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
_TOKEN = re.compile(r"[0-9a-f]{8}-[1-9][0-9]?")
_EPOCH = re.compile(r"epoch\.(\d+)")


def stem(order: Order) -> str:
    """Return the name an order's files have.

    Raises
    ------
    InputError
        Name or token could not be a file's.
    """
    assert isinstance(order.task, SweepImpedance)
    if not _NAME.fullmatch(order.task.name) or not _TOKEN.fullmatch(order.token):
        raise InputError(
            f"{order.task.name!r} with token {order.token!r} cannot name a file",
            expected="letters, digits and _ . - ; 8 hex digits, a dash, the attempt",
        )
    return f"{order.task.name}_{order.token}"


class ResultFolder:
    """The folder on the instrument's computer.

    Parameters
    ----------
    durable : bool
        Lines are flushed down to the disk; a simulated lab does without.
    """

    def __init__(self, folder: Path, station: str, *, durable: bool) -> None:
        self.folder = folder
        self._station = station
        self._durable = durable

    def make(self) -> None:
        """Make sure the folder is there and can be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise self._unwritable(self.folder, problem) from None

    # ---------------------------------------------------------------------------------------- epochs

    def take(self, epoch: int) -> None:
        """Claim the folder for an engine.

        Raises
        ------
        InstrumentError
            A later engine has it.
        """
        found = [int(match[1]) for path in self.folder.glob("epoch.*") if (match := _EPOCH.fullmatch(path.name))]
        if max(found, default=0) > epoch:
            raise InstrumentError(
                f"another engine holds this instrument (epoch {max(found)}, ours is {epoch})",
                instrument=self._station,
                next_step="Stop the other engine, then resume here",
            )
        try:
            (self.folder / f"epoch.{epoch}").touch()
            for old in found:
                if old < epoch:
                    (self.folder / f"epoch.{old}").unlink(missing_ok=True)
        except OSError as problem:
            raise self._unwritable(self.folder, problem) from None

    # ----------------------------------------------------------------------------------- checkpoints

    def begin(self, name: str, sweep: Sweep) -> None:
        """Begin a checkpoint; one that is there already (of this token, without points) goes on below.

        A line that a death cut off there is ended first: the head would be lost with it.
        """
        path = self.folder / (name + CHECKPOINT)
        there = path.read_bytes() if path.is_file() else b""
        torn = there != b"" and not there.endswith(b"\n")
        self.append(name, ("\n" if torn else "") + head_line(sweep))

    def append(self, name: str, line: str) -> None:
        """Add one line, down to the disk."""
        path = self.folder / (name + CHECKPOINT)
        try:
            with path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(line + "\n")
                stream.flush()
                if self._durable:
                    os.fsync(stream.fileno())
        except OSError as problem:
            raise self._unwritable(path, problem) from None

    def checkpoint(self, name: str) -> Sweep | None:
        """Return what a checkpoint holds, None if there is none."""
        path = self.folder / (name + CHECKPOINT)
        try:
            return read_checkpoint(path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return None
        except (OSError, InputError) as problem:
            raise InstrumentError(f"{path} cannot be read: {problem}", instrument=self._station) from None

    def earlier(self, order: Order) -> list[Sweep]:
        """Return the checkpoints of earlier attempts at the same step, first attempt first."""
        assert isinstance(order.task, SweepImpedance)
        key = order.token.split("-")[0]
        found = []
        for attempt in range(1, order.attempt):
            sweep = self.checkpoint(f"{order.task.name}_{key}-{attempt}")
            if sweep is not None:
                found.append(sweep)
        return found

    # --------------------------------------------------------------------------------------- results

    def is_complete(self, name: str) -> bool:
        """Whether the spectrum stands there under its final name."""
        return (self.folder / (name + SPECTRUM)).is_file()

    def title_of(self, name: str) -> str | None:
        """Return the title in a sidecar, None where there is none that can be read."""
        try:
            data = json.loads((self.folder / (name + SIDECAR)).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        title = data.get("title") if isinstance(data, dict) else None
        return title if isinstance(title, str) else None

    def write(self, name: str, sweep: Sweep, sidecar: dict[str, Any]) -> None:
        """Write sidecar, then spectrum, each under its final name.

        Raises
        ------
        ForeignDataError
            Other data stand under one of the names.
        """
        text = json.dumps(sidecar, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        self._place(self.folder / (name + SIDECAR), text.encode("utf-8"))
        self._place(self.folder / (name + SPECTRUM), nova_text(sweep).encode("utf-8"))

    def _place(self, path: Path, data: bytes) -> None:
        temporary = path.with_name(path.name + ".tmp")
        try:
            if path.exists():
                if path.read_bytes() == data:
                    return
                raise ForeignDataError(
                    f"{path} holds other data", instrument=self._station, next_step="Move it; nothing was touched"
                )
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                if self._durable:
                    os.fsync(stream.fileno())
            temporary.rename(path)  # refuses to replace on Windows; elsewhere the name was free a moment ago
        except OSError as problem:
            raise self._unwritable(path, problem) from None

    def raw_path(self, name: str) -> Path:
        """Return where a procedure's own result goes; the folder is made."""
        path = self.folder / "raw" / f"{name}.nox"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def result_files(self, name: str) -> tuple[Path, ...]:
        """Return the files of a finished sweep, relative to the folder."""
        candidates = (Path(name + SPECTRUM), Path(name + SIDECAR), Path("raw") / f"{name}.nox")
        return tuple(path for path in candidates if (self.folder / path).is_file())

    def copy(self, path: Path, into: Path, *, link: bool) -> Path:
        """Bring one file into a folder and return where it is now.

        Raises
        ------
        ForeignDataError
            Another file of that name stands there.
        """
        source, target = self.folder / path, into / path
        try:
            if target.exists():
                if target.read_bytes() != source.read_bytes():
                    raise ForeignDataError(f"{target} holds other data", instrument=self._station)
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            if link:
                try:
                    target.hardlink_to(source)
                except OSError:  # another disk, or one without links
                    pass
                else:
                    return target
            temporary = target.with_name(target.name + ".tmp")
            shutil.copyfile(source, temporary)
            temporary.rename(target)
        except OSError as problem:
            raise InstrumentError(
                f"{source} cannot be brought to {target}: {problem.strerror or problem}", instrument=self._station
            ) from None
        return target

    def _unwritable(self, path: Path, problem: OSError) -> InstrumentError:
        return InstrumentError(
            f"{path} cannot be written ({problem.strerror or problem})",
            instrument=self._station,
            next_step="Free space or give labctl the right to write there",
        )
