"""Every moment at which a kill leaves another disk: writes, syncs, renames, and what goes over a wire.

Nothing in labctl knows of this: what the interpreter offers for files, the journal's connection and the links of the
simulators are put behind a turnstile that counts, and at some of its turns something happens: the process is gone.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import io
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from unittest import mock

from labctl_sim_autolab import _device as autolab
from labctl_sim_lakeshore import _wire as lakeshore
from labctl_sim_maccor import _simulator as maccor
from labctl_sim_topspin import _wire as topspin

DIED = 99
"""Exit code of a process that was ended at its point."""

_ROOT = Path(__file__).resolve().parents[2]
_ROOMS = {f"{_ROOT / room}{os.sep}": room.rstrip("s") for room in ("labctl", "drivers", "simulators")}
_CHANGES_FILES = ("replace", "rename", "unlink", "remove", "link", "truncate", "mkdir", "rmdir")
_WIRES: tuple[tuple[str, type, tuple[str, ...]], ...] = (
    ("cycler", maccor.InstrumentLink, ("exchange",)),
    ("oven", lakeshore.InstrumentLink, ("send", "receive")),
    ("potentiostat", autolab.Potentiostat, ("connect", "switch_cell", "sample", "start_fra", "announce")),
    ("console", topspin.ConsoleLink, ("launch", "refresh")),
)


class Turnstile:
    """Counts points and stops at some of them.

    Parameters
    ----------
    stops : callable
        Told the number of the next point (from 1) and its kind; whether something happens there.
    at_a_stop : callable
        What happens, told the same.
    """

    def __init__(
        self, stops: Callable[[int, str], bool] = lambda *_: True, at_a_stop: Callable[[int, str], None] | None = None
    ) -> None:
        self.passed: Counter[str] = Counter()
        self.open = False
        self._stops = stops
        self._at_a_stop = at_a_stop

    def point(self, kind: str, prepare: Callable[[], object] | None = None) -> bool:
        """Pass, or stop; `prepare` makes the disk what it is here. True after a stop."""
        if self.open:
            return False
        self.passed[kind] += 1
        number = self.passed.total()
        if self._at_a_stop is None or not self._stops(number, kind):
            return False
        self.open = True  # whatever is done at a stop is not counted
        try:
            if prepare is not None:
                prepare()
            self._at_a_stop(number, kind)
        finally:
            self.open = False
        return True


def die(*_: object) -> None:
    """End the process here and now: nothing is flushed, released or tidied up."""
    os._exit(DIED)


def room() -> str:
    """Return whose line of code is being carried out: of labctl, a driver or a simulator; empty for anybody else."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        for start, what in _ROOMS.items():
            if name.startswith(start):
                return what
        if "site-packages" in name:
            return ""
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return ""


class Unsynced(sqlite3.Connection):
    """A connection that does not wait for the disk: what a death of the process leaves does not depend on that."""

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        return super().execute("PRAGMA synchronous=OFF" if sql.startswith("PRAGMA synchronous=") else sql, *more)


class _Written:
    """A file open for writing: what was written so far may be all there ever is of it."""

    def __init__(self, file: Any, turnstile: Turnstile, whose: str) -> None:
        self._file = file
        self._turnstile = turnstile
        self._whose = whose
        self._begun = False

    def write(self, data: Any) -> Any:
        if self._begun:
            return self._file.write(data)
        self._begun = True
        half = len(data) // 2

        def tear() -> None:
            self._file.write(data[:half])
            self._file.flush()

        if self._turnstile.point(f"{self._whose} file torn", tear):
            self._file.write(data[half:])
            return len(data)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __enter__(self) -> Self:
        self._file.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.__exit__(*raised)


class Images:
    """Tells a disk that is new from one that was seen: points between which nothing was written end alike.

    Of a simulated instrument's numbered states only the newest whole one counts, which is what its next process reads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[int] = set()
        self._read: dict[tuple[str, int, int], tuple[bytes, bool]] = {}

    def is_new(self) -> bool:
        """Look; True where the disk is as it was at no look before."""
        image = hash(tuple(sorted(self._files(str(self._folder)))))
        new = image not in self._seen
        self._seen.add(image)
        return new

    def _files(self, folder: str) -> Iterator[tuple[str, bytes]]:
        states: list[tuple[int, bytes]] = []
        with os.scandir(folder) if os.path.isdir(folder) else contextlib.nullcontext(()) as entries:  # noqa: PTH112
            for entry in entries:
                number = entry.name.split(".")[1:2] if entry.name.startswith("state.") else []
                if entry.is_dir(follow_symlinks=False):
                    yield entry.path, b""
                    yield from self._files(entry.path)
                elif number and number[0].isdigit():
                    content, whole = self._content(entry)
                    states += [(int(number[0]), content)] if whole else []
                elif not entry.name.endswith(("-shm", ".lock")):
                    yield entry.path, self._content(entry)[0]
        if states:
            yield f"{folder}/state", max(states)[1]

    def _content(self, entry: os.DirEntry[str]) -> tuple[bytes, bool]:
        stat = entry.stat()
        known = (entry.path, stat.st_size, stat.st_mtime_ns)
        if known not in self._read:
            content = _plain_read(entry.path)
            self._read[known] = hashlib.sha256(content).digest(), content.endswith(b"end\n")
        return self._read[known]


def _plain_read(path: str, plain_open: Callable[..., Any] = io.open) -> bytes:
    with plain_open(path, "rb") as file:
        content: bytes = file.read()
    return content


@contextlib.contextmanager
def counted(turnstile: Turnstile) -> Iterator[None]:
    """Let everything that changes a disk or goes over a wire pass the turnstile."""
    with contextlib.ExitStack() as stack:

        def put(owner: Any, name: str, stand_in: Any) -> None:
            stack.enter_context(mock.patch.object(owner, name, stand_in))

        plain_open = io.open

        def opened(file: Any, mode: str = "r", *more: Any, **options: Any) -> Any:
            if not set(mode) & set("wax+") or not (whose := room()):
                return plain_open(file, mode, *more, **options)
            turnstile.point(f"{whose} file opened")
            written = _Written(plain_open(file, mode, *more, **options), turnstile, whose)
            turnstile.point(f"{whose} file empty")
            return written

        put(io, "open", opened)
        put(builtins, "open", opened)

        def before(whose: str, what: str, act: Callable[..., Any]) -> Callable[..., Any]:
            def stand_in(*arguments: Any, **options: Any) -> Any:
                if whose or (found := room()):
                    turnstile.point(f"{whose or found} {what}")
                return act(*arguments, **options)

            return stand_in

        def around(what: str, act: Callable[..., Any]) -> Callable[..., Any]:
            def stand_in(*arguments: Any, **options: Any) -> Any:
                turnstile.point(f"message to {what} sent")
                answer = act(*arguments, **options)
                turnstile.point(f"message from {what} received")
                return answer

            return stand_in

        plain_create = os.open

        def created(path: Any, flags: int, *more: Any, **options: Any) -> int:
            if flags & os.O_CREAT and (whose := room()):
                turnstile.point(f"{whose} touch")
            return plain_create(path, flags, *more, **options)

        put(os, "open", created)
        for name in _CHANGES_FILES:
            put(os, name, before("", name, getattr(os, name)))
        put(os, "fsync", before("", "fsync", os.fsync))
        for what, kind, names in _WIRES:
            for name in names:
                put(kind, name, around(what, getattr(kind, name)))

        class Counted(Unsynced):
            def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
                statement = sql.split(maxsplit=1)[0]
                if statement in {"BEGIN", "COMMIT"}:
                    turnstile.point(f"journal {statement.lower()}")
                cursor = super().execute(sql, *more)
                if statement == "COMMIT":
                    turnstile.point("journal committed")
                return cursor

            def executescript(self, sql: str) -> sqlite3.Cursor:
                turnstile.point("journal to be made")
                cursor = super().executescript(sql)
                turnstile.point("journal made")
                return cursor

        connect = sqlite3.connect

        def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **{**options, "factory": Counted})
            return connection

        put(sqlite3, "connect", connected)
        yield
