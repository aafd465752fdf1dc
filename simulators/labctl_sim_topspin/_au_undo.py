"""A log of what an AU program did to files, so that a killed console can go back to its last snapshot exactly.

A program may write a status file, rename it and be killed before its state was saved. On restart the state is older
than the files; running the same steps again would find the new name taken. So each change notes beforehand how to take
it back, and ``restore`` takes back whatever is younger than the snapshot; the program then does it all again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import InputError

_PRUNE_BYTES = 1 << 16
_ACTIONS = frozenset({"delete", "cut", "content", "rename"})


@dataclass(slots=True)
class UndoLog:
    """Numbered changes to files, each with its undoing; without a path changes are only counted."""

    path: Path | None
    count: int = 0
    _before: int = field(default=0, repr=False)  # the count at the last snapshot

    def note(self, action: str, name: str, **details: str | int) -> None:
        """Write down how to take back the change that is about to be made."""
        assert action in _ACTIONS
        if self.path is not None:
            entry = json.dumps({"n": self.count, "undo": action, "name": name, **details})
            with self.path.open("a", encoding="utf-8") as log:
                log.write(entry + "\n")
        self.count += 1

    def at_snapshot(self) -> int:
        """The number a snapshot holds; forgets what is older than the snapshot before."""
        if self.path is not None and self.path.exists() and self.path.stat().st_size > _PRUNE_BYTES:
            kept = [entry for entry in _entries(self.path) if entry["n"] >= self._before]
            _rewrite(self.path, [{"from": self._before}, *kept])
        self._before = self.count
        return self.count

    def back_to(self, count: int, find: Callable[[str], Path]) -> None:
        """Take back every change from number ``count`` on; ``find`` gives the file behind a name."""
        self.count = self._before = count
        if self.path is None or not self.path.exists():
            return
        entries = _entries(self.path)
        oldest = max((entry["from"] for entry in _lines(self.path) if "from" in entry), default=0)
        if oldest > count:
            raise InputError(
                f"{self.path}: the saved state is older (change {count}) than the undo log reaches ({oldest})",
                expected="the state saved last",
            )
        for entry in sorted(entries, key=lambda entry: -int(entry["n"])):
            if entry["n"] >= count:
                _undo(entry, find)
        _rewrite(self.path, [{"from": oldest}, *(entry for entry in entries if entry["n"] < count)])


def _lines(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    # what follows the last line end was cut off while being written: its change was never made
    return [json.loads(line) for line in lines[:-1] if line]


def _entries(path: Path) -> list[dict[str, Any]]:
    return [entry for entry in _lines(path) if "n" in entry]


def _rewrite(path: Path, entries: list[dict[str, Any]]) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    fresh.replace(path)


def _undo(entry: dict[str, Any], find: Callable[[str], Path]) -> None:
    file = find(entry["name"])
    if not file.parent.is_dir():
        return  # the dataset it was changed in was made after the snapshot, and has been taken back with its folders
    match entry["undo"]:
        case "delete":
            file.unlink(missing_ok=True)
        case "cut":
            if file.exists() and file.stat().st_size > entry["size"]:
                with file.open("r+b") as stream:
                    stream.truncate(entry["size"])
        case "content":
            file.write_bytes(entry["text"].encode("latin-1"))
        case "rename":
            target = find(entry["to"])
            if target.exists() and not file.exists():
                target.rename(file)
