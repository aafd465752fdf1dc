"""Changes to files that can be taken back until the console's state is saved.

The console's state is one file, replaced as a whole. Everything the console does to datasets between two saves is
noted before it is done; a console that was killed in between takes it back when it is opened again, so that state
and datasets never tell different stories.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from pathlib import Path
from typing import Any


class ConsoleFiles:
    """Writes and removes files, with an undo log for the killed process.

    Parameters
    ----------
    keep : Path
        Folder for the log and for what was removed or overwritten since the last save.
    serial : int
        Number of the last saved state; what was noted after it is undone here and now.
    """

    def __init__(self, keep: Path, serial: int) -> None:
        self._keep = keep
        self._log = keep / "undo.jsonl"
        self._serial = serial
        self._touched: set[Path] = set()
        self._kept = 0
        self._discard: list[Path] = []
        keep.mkdir(parents=True, exist_ok=True)
        self._undo()

    def write(self, path: Path, *pieces: bytes | memoryview) -> None:
        """Replace or create a file; whoever has the old one by another name (a hard link) keeps it whole."""
        self._clear(path)
        with path.open("wb") as file:
            for piece in pieces:
                file.write(piece)

    def write_text(self, path: Path, text: str) -> None:
        """Replace or create a text file (UTF-8, line ends as given)."""
        self.write(path, text.encode("utf-8"))

    def append(self, path: Path, text: str) -> None:
        """Add to a text file."""
        self._note(path, in_place=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(text.encode("utf-8"))

    def allocate(self, path: Path, size: int) -> None:
        """Grow a file to `size` bytes by zeros, or create it so."""
        self._note(path, in_place=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.truncate(size)

    def copy(self, source: Path, target: Path) -> None:
        """Copy one file."""
        self._clear(target)
        shutil.copyfile(source, target)

    def publish(self, source: Path, target: Path) -> None:
        """Let `target` be the file `source`, which goes once the state is saved."""
        self._clear(target)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
        self._discard.append(source)

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        if path.exists():
            self._note(path)
            path.unlink()

    def saved(self, serial: int) -> None:
        """Forget what was noted: the state that goes with it is on disk."""
        self._serial = serial
        if self._touched:
            self._touched.clear()
            self._log.unlink(missing_ok=True)
            for number in range(self._kept):
                (self._keep / str(number)).unlink(missing_ok=True)
            self._kept = 0
        for path in self._discard:
            path.unlink(missing_ok=True)
        self._discard.clear()

    def _clear(self, path: Path) -> None:
        self._note(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)

    def _note(self, path: Path, *, in_place: bool = False) -> None:
        """Note what `path` is now, once between two saves; bytes about to be lost are put aside."""
        if path in self._touched:
            return
        self._touched.add(path)
        entry: dict[str, Any] = {"serial": self._serial + 1, "path": str(path)}
        if path.exists():
            if in_place:
                entry["size"] = path.stat().st_size
            else:
                entry["kept"] = self._kept
                self._set_aside(path, self._keep / str(self._kept))
                self._kept += 1
        else:
            missing = itertools.takewhile(lambda parent: not parent.exists(), path.parents)
            entry["folders"] = len(list(missing))  # made for it, right after this
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    @staticmethod
    def _set_aside(path: Path, kept: Path) -> None:
        kept.unlink(missing_ok=True)
        try:
            os.link(path, kept)  # a second name costs nothing, and the first is unlinked before it is written again
        except OSError:
            shutil.copyfile(path, kept)

    def _undo(self) -> None:
        if self._log.exists():
            for line in reversed(self._log.read_text(encoding="utf-8").splitlines()):
                with contextlib.suppress(ValueError):  # a line cut short by the kill: its change was not begun
                    entry = json.loads(line)
                    if entry["serial"] > self._serial:
                        self._take_back(entry)
            self._log.unlink()
        for number in self._keep.glob("[0-9]*"):
            number.unlink()

    def _take_back(self, entry: dict[str, Any]) -> None:
        path = Path(entry["path"])
        if "kept" in entry:
            kept = self._keep / str(entry["kept"])
            if kept.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(kept, path)  # noqa: PTH105 - replaces on every system
        elif "size" in entry:
            with contextlib.suppress(OSError):
                os.truncate(path, entry["size"])
        else:
            path.unlink(missing_ok=True)
            for parent in path.parents[: entry.get("folders", 0)]:
                with contextlib.suppress(OSError):  # not made yet, or of others by now
                    parent.rmdir()  # an EXPNO that is there and empty would count as somebody's
