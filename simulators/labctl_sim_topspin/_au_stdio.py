"""C's stdio for AU programs, on files of the simulated console, surviving the death of the process.

Written text waits in a buffer until fflush, fclose or 4096 bytes, as in C: whoever reads the file earlier sees less.
``rename`` does not replace an existing file, and neither ``rename`` nor ``remove`` touches a file the program still has
open: so it is on Windows consoles. Between two runs of the program nothing is held open on the computer, so that a
console that is put away leaves no handle behind and a resumed program reads and writes just as an undisturbed one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from labctl.errors import InputError
from labctl_sim_topspin._au_types import Host
from labctl_sim_topspin._au_undo import UndoLog
from labctl_sim_topspin._au_values import Fault

_BUFFER = 4096
_MAX_OPEN = 32


@dataclass(slots=True)
class _OpenFile:
    name: str
    mode: Literal["r", "w", "a"]
    size: int = 0  # read so far, or written to disk so far
    at_end: bool = False
    waiting: bytearray = field(default_factory=bytearray)
    stream: IO[bytes] | None = None


@dataclass(slots=True)
class Files:
    """The open files of one program; a ``FILE *`` is a number from 1, NULL is 0."""

    host: Host
    undo: UndoLog
    open_files: dict[int, _OpenFile] = field(default_factory=dict)

    def open(self, name: bytes, mode: bytes) -> int:
        """Do what fopen does: 0 if the file cannot be opened."""
        text = name.decode("latin-1")
        kind = mode.decode("latin-1").rstrip("tb")
        if kind not in {"r", "w", "a"}:
            raise Fault("fopen mode is outside the AU subset", value=repr(mode.decode("latin-1")), expected="r, w or a")
        if len(self.open_files) >= _MAX_OPEN:
            raise Fault(f"{_MAX_OPEN} files are open already", value=text, expected="fclose for every fopen")
        path = self._path(text)
        try:
            if kind == "r":
                entry = _OpenFile(text, "r", stream=open(path, "rb"))  # noqa: PTH123, SIM115 - most are not there yet
            elif kind == "w":
                self._note_content(text, path)
                entry = _OpenFile(text, "w", stream=path.open("wb", buffering=0))
            else:
                if not path.exists():
                    self.undo.note("delete", text)
                stream = path.open("ab", buffering=0)
                entry = _OpenFile(text, "a", size=stream.tell(), stream=stream)
        except OSError:
            return 0
        number = next(number for number in range(1, _MAX_OPEN + 1) if number not in self.open_files)
        self.open_files[number] = entry
        return number

    def gets(self, number: int, room: int) -> bytes | None:
        """Do what fgets does: a line of at most ``room - 1`` bytes with its line end, None at the end of the file."""
        entry = self._entry(number, "r")
        stream = self._stream(entry)
        if room < 2:
            return b""
        line = b"" if stream is None else stream.readline(room - 1)
        entry.size += len(line)
        if len(line) < room - 1 and not line.endswith(b"\n"):
            entry.at_end = True
        return line or None

    def puts(self, number: int, text: bytes) -> int:
        """Do what fputs does."""
        entry = self._entry(number, "wa")
        entry.waiting += text
        if len(entry.waiting) >= _BUFFER:
            self._write(entry)
        return len(text)

    def at_end(self, number: int) -> int:
        """Do what feof does: 1 once a read has met the end."""
        return int(self._entry(number, "rwa").at_end)

    def flush(self, number: int) -> int:
        """Do what fflush does."""
        self._write(self._entry(number, "wa"))
        return 0

    def close(self, number: int) -> int:
        """Do what fclose does."""
        entry = self._entry(number, "rwa")
        self._write(entry)
        if entry.stream is not None:
            entry.stream.close()
        del self.open_files[number]
        return 0

    def close_all(self) -> None:
        """Close what the program left open, as its end does."""
        for number in list(self.open_files):
            self.close(number)

    def park(self) -> None:
        """Let go of the computer's file handles; the program's files stay open for it."""
        for entry in self.open_files.values():
            if entry.stream is not None:
                entry.stream.close()
                entry.stream = None

    def abandon(self) -> None:
        """Let go of the files without writing what waits, as killing the program does."""
        self.park()
        self.open_files.clear()

    def remove(self, name: bytes) -> int:
        """Do what remove does: 0, or -1 if there is no such file or the program has it open."""
        text = name.decode("latin-1")
        path = self._path(text)
        if not path.is_file() or self._is_open(path):
            return -1
        try:
            self._note_content(text, path)
            path.unlink()
        except OSError:
            return -1
        return 0

    def rename(self, old: bytes, new: bytes) -> int:
        """Do what rename does on Windows: -1 if the new name exists, the old does not, or the program has it open."""
        source, target = old.decode("latin-1"), new.decode("latin-1")
        here, there = self._path(source), self._path(target)
        if not here.is_file() or there.exists() or self._is_open(here):
            return -1
        try:
            self.undo.note("rename", source, to=target)
            here.rename(there)
        except OSError:
            return -1
        return 0

    def now_s(self) -> int:
        """Do what time(0) does: whole seconds."""
        return int(self.host.wall_s())

    # state

    def snapshot(self) -> list[dict[str, Any]]:
        """The open files as data; text that waits stays waiting."""
        return [
            {
                "number": number,
                "name": entry.name,
                "mode": entry.mode,
                "size": entry.size,
                "at_end": entry.at_end,
                "waiting": entry.waiting.decode("latin-1"),
            }
            for number, entry in self.open_files.items()
        ]

    def restore(self, saved: list[dict[str, Any]]) -> None:
        """Open the files of a snapshot again; those open for writing are cut to their size of then."""
        for data in saved:
            entry = _OpenFile(data["name"], data["mode"], data["size"], data["at_end"])
            entry.waiting = bytearray(data["waiting"].encode("latin-1"))
            path = self._path(entry.name)
            if entry.mode != "r":
                if not path.is_file() or path.stat().st_size < entry.size:
                    raise InputError(
                        f"{path}: the saved state has {entry.size} bytes written to this file, but fewer are there",
                        next_step="The console's files and its saved state do not belong together.",
                    )
                with path.open("r+b") as stream:
                    stream.truncate(entry.size)
            self.open_files[data["number"]] = entry

    # parts

    def _path(self, name: str) -> Path:
        try:
            return self.host.path(name)
        except InputError as error:
            raise Fault(str(error), value=repr(name)) from None

    def _entry(self, number: int, modes: str) -> _OpenFile:
        if number == 0:
            raise Fault("NULL is used as FILE", expected="a look at what fopen gave")
        entry = self.open_files.get(number)
        if entry is None:
            raise Fault("file is used after fclose")
        if entry.mode not in modes:
            raise Fault(f"file opened for {entry.mode!r} is used otherwise", value=entry.name)
        return entry

    def _stream(self, entry: _OpenFile) -> IO[bytes] | None:
        """The open file on the computer; None if somebody has removed a file that was being read."""
        if entry.stream is None:
            path = self._path(entry.name)
            if path.is_file():
                entry.stream = path.open("rb") if entry.mode == "r" else path.open("ab", buffering=0)
                if entry.mode == "r":
                    entry.stream.seek(entry.size)
            elif entry.mode != "r":
                raise Fault("file was removed while the program had it open for writing", value=entry.name)
        return entry.stream

    def _write(self, entry: _OpenFile) -> None:
        if not entry.waiting:
            return
        stream = self._stream(entry)
        if stream is not None:
            self.undo.note("cut", entry.name, size=entry.size)
            stream.write(entry.waiting)
            entry.size += len(entry.waiting)
            entry.waiting.clear()

    def _note_content(self, name: str, path: Path) -> None:
        if path.is_file():
            self.undo.note("content", name, text=path.read_bytes().decode("latin-1"))
        else:
            self.undo.note("delete", name)

    def _is_open(self, path: Path) -> bool:
        return any(self._path(entry.name) == path for entry in self.open_files.values())
