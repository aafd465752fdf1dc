"""The event log of one campaign: append-only SQLite, the only truth about what happened.

WAL and ``synchronous=FULL``, one writer, local disk: a row that `append` returned from survives loss of power (in a
rehearsal only the death of the process: a simulated instrument does not survive more either). Each row carries the hash
of the one before it, so that an edit shows; the hash of the last row (`head`) belongs into the results, so that a
removed tail shows too. An outcome and the hand-off of its dataset to analysis are one transaction (the outbox).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shlex
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from labctl.clock import Clock
from labctl.errors import InputError, InternalError, LabctlError, SafetyRefusal
from labctl.run.events import Event, Finished, HandedOff, event_from_json, event_json
from labctl.run.migrations import LINEAGE, SCHEMA_VERSION, migrate, refuse_newer

_APPLICATION_ID = 0x4C414243  # "LABC", so that `file` and a person can tell
_GENESIS = "0" * 64
_MAY_REPEAT = ("opened", "progress", "verified", "failed", "operator", "safe_state", "alarm", "clock_jump")

_SCHEMA = f"""
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY,
    campaign TEXT NOT NULL,
    station TEXT NOT NULL,
    key TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind TEXT NOT NULL,
    step_id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    wall_s REAL NOT NULL,
    monotonic_s REAL NOT NULL,
    body TEXT NOT NULL,
    sha TEXT NOT NULL
);
CREATE UNIQUE INDEX once ON journal (key, kind, attempt)
    WHERE key <> '' AND kind NOT IN ({", ".join(f"'{kind}'" for kind in _MAY_REPEAT)});
CREATE INDEX by_kind ON journal (kind);
CREATE TRIGGER no_update BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER no_delete BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE outbox (key TEXT NOT NULL, attempt INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, attempt));
{"; ".join(LINEAGE)};
"""


class JournalUnwritable(LabctlError):
    """The journal cannot be written (disk full, read-only, stalled); nothing was done that it does not hold."""

    exit_code = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fact: when, by which engine, about which step, and the event itself."""

    seq: int
    kind: str
    station: str
    step_id: str
    key: str
    attempt: int
    epoch: int
    wall_s: float
    monotonic_s: float
    body: str
    sha: str

    @property
    def event(self) -> Event:
        """The event, read from its JSON.

        Raises
        ------
        InputError
            It does not say what an event says: the file was damaged, or changed behind labctl's back.
        """
        try:
            return event_from_json(self.body)
        except (ValueError, TypeError, AttributeError) as problem:
            first = str(problem).splitlines()[0]
            raise InputError(
                f"row {self.seq} of the journal cannot be read ({self.kind} {self.step_id}): {first}",
                next_step=f"{_UNTOUCHED} `labctl verify DIR` says whether the journal is as it was written: if so, a"
                " newer labctl wrote it, and goes on with it; if not, what to do",
            ) from None


CommitHook = Callable[[str, int], None]
"""Called with ``before`` or ``after`` and the number of the commit; tests let the engine die there."""


class Journal:
    """The journal of one campaign, open for reading and appending by exactly one engine.

    Parameters
    ----------
    path : Path
        The file; made when missing.
    clock : Clock
        Where the times of the rows come from.
    read_only : bool
        Only look (history, certificate, status of a running campaign); nothing is locked.
    hook : CommitHook or None
        For tests of durability.
    durable : bool
        False: a row survives the death of the process, not the loss of power, and costs no wait for the disk.

    Raises
    ------
    InputError
        Not a journal of labctl, or written by a newer version.
    SafetyRefusal
        Another engine has it.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        read_only: bool = False,
        hook: CommitHook | None = None,
        durable: bool = True,
    ) -> None:
        self.path = path
        self._durable = durable
        self._clock = clock
        self._hook = hook
        self._commits = 0
        self.campaign = ""
        self._lock: FileLock | None = None
        self._version = SCHEMA_VERSION
        if read_only:
            if not path.is_file():
                raise InputError(f"{path} does not exist", next_step="Name the folder of a campaign")
            self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            try:
                self._check_version()
            except BaseException:
                self._db.close()
                raise
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = _take(path.with_name(path.name + ".lock"))
            try:
                if not path.exists():
                    _make(path)
                self._db = sqlite3.connect(path, isolation_level=None)
            except (sqlite3.OperationalError, OSError) as error:
                self._lock.release()
                raise JournalUnwritable(
                    f"the journal {path} cannot be made: {error}",
                    expected="a local disk with free space",
                    next_step="Free some space and give the command again; nothing was begun",
                ) from error
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise
        try:
            last = next(self._read("SELECT seq, sha, campaign FROM journal ORDER BY seq DESC LIMIT 1"), None)
        except InputError:
            self.close()
            raise
        self._seq: int
        self.head: str
        self._seq, self.head, self.campaign = last if last is not None else (0, _GENESIS, "")

    def _prepare(self) -> None:
        try:
            if self._db.execute("PRAGMA application_id").fetchone()[0] == 0:
                _fill(self._db, self.path)  # an empty file of that name
            self._version = self._check_version()
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL" if self._durable else "PRAGMA synchronous=NORMAL")
        except sqlite3.OperationalError as error:
            raise _unwritable(self.path, error) from error
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} is not a journal of labctl ({error})", next_step="Name the folder of a campaign"
            ) from error

    def _bring_forward(self) -> None:
        """Before the first row is written, and not sooner: who only looks, or refuses the plan, changes nothing."""
        self.verify_chain()  # a journal that was tampered with is not made to look new
        try:
            migrate(self._db, version=self._version, after_seq=self._seq, head=self.head, wall_s=self._clock.now_s())
        except sqlite3.OperationalError as error:
            raise _unwritable(self.path, error) from error
        self._version = SCHEMA_VERSION

    def _check_version(self) -> int:
        """Return the version of the tables, which may be an older one."""
        try:
            application = self._db.execute("PRAGMA application_id").fetchone()[0]
            if application != _APPLICATION_ID:
                raise InputError(f"{self.path} is not a journal of labctl", next_step="Name the folder of a campaign")
            version = refuse_newer(self._db, self.path)
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path} is not a journal of labctl ({error})") from error
        if version < 1:
            raise InputError(f"{self.path} is not a journal of labctl (version {version})")
        return version

    # ---------------------------------------------------------------------------------- writing

    def append(self, event: Event, *, key: str = "", epoch: int = 0) -> Row:
        """Commit one event durably and return its row.

        Parameters
        ----------
        key : str
            Of the step it concerns; empty for events of a station or of the campaign.

        Raises
        ------
        JournalUnwritable
            The disk is full or does not answer; the journal is as before and may be tried again.
        InputError
            An older journal is to be brought forward, and is not as it was written.
        InternalError
            The fact is there already (an intent, start or outcome of the same attempt).
        """
        if self._version < SCHEMA_VERSION:
            self._bring_forward()
        self._commits += 1
        if self._hook:
            self._hook("before", self._commits)
        wall_s, monotonic_s = self._clock.now_s(), self._clock.monotonic_s()
        seq = self._seq + 1
        body = event_json(event)
        fields = (seq, self.campaign, event.station, key, event.attempt, event.kind, event.step_id, epoch, wall_s)
        values = (*fields, monotonic_s, body)
        sha = _chain(self.head, values)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT INTO journal VALUES (?,?,?,?,?,?,?,?,?,?,?,?)", (*values, sha))
            if isinstance(event, Finished) and event.dataset is not None:
                self._db.execute("INSERT INTO outbox VALUES (?,?,?)", (key, event.attempt, seq))
            elif isinstance(event, HandedOff):
                self._db.execute("DELETE FROM outbox WHERE key=? AND attempt=?", (key, event.attempt))
            self._db.execute("COMMIT")
        except sqlite3.IntegrityError as error:
            self._roll_back()
            raise InternalError(
                f"{event.kind} of {event.step_id}, attempt {event.attempt}, stands in the journal already ({error})",
                next_step="Please report this with the run folder",
            ) from error
        except sqlite3.OperationalError as error:
            self._roll_back()
            raise _unwritable(self.path, error) from error
        self._seq, self.head = seq, sha
        if self._hook:
            self._hook("after", self._commits)
        return Row(
            seq=seq,
            kind=event.kind,
            station=event.station,
            step_id=event.step_id,
            key=key,
            attempt=event.attempt,
            epoch=epoch,
            wall_s=wall_s,
            monotonic_s=monotonic_s,
            body=body,
            sha=sha,
        )

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def close(self) -> None:
        """Let go of file and lock."""
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    # ---------------------------------------------------------------------------------- reading

    def rows(self, kinds: Sequence[str] = ()) -> Iterator[Row]:
        """Yield the rows in order, all or those of some kinds."""
        where = f"WHERE kind IN ({','.join('?' * len(kinds))})" if kinds else ""
        query = f"SELECT seq, kind, station, step_id, key, attempt, epoch, wall_s, monotonic_s, body, sha FROM journal {where} ORDER BY seq"  # noqa: E501, S608 - no value is pasted
        for seq, kind, station, step_id, key, attempt, epoch, wall_s, monotonic_s, body, sha in self._read(
            query, tuple(kinds)
        ):
            yield Row(
                seq=seq,
                kind=kind,
                station=station,
                step_id=step_id,
                key=key,
                attempt=attempt,
                epoch=epoch,
                wall_s=wall_s,
                monotonic_s=monotonic_s,
                body=body,
                sha=sha,
            )

    def _read(self, query: str, values: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise InputError(
                f"{self.path} cannot be read ({error})",
                next_step=f"{_UNTOUCHED} Look at its disk.\n{_what_to_do(self.path)}",
            ) from error

    def lineage(self) -> tuple[tuple[int, str, int], ...]:
        """Return (version, labctl, last row before) of each time the tables were brought forward; empty if never."""
        if self._check_version() < 2:
            return ()  # an older journal that is only looked at
        return tuple(self._read("SELECT version, labctl, after_seq FROM lineage ORDER BY version"))

    def outbox(self) -> tuple[tuple[str, int], ...]:
        """Return key and attempt of the datasets that analysis has not answered for yet."""
        return tuple(self._read("SELECT key, attempt FROM outbox ORDER BY seq"))

    def verify_chain(self) -> int:
        """Return how many rows there are, each of them as it was written.

        Raises
        ------
        InputError
            A row was changed, or one is missing; names the first.
        """
        before = _GENESIS
        expected = 0
        for values in self._read("SELECT * FROM journal ORDER BY seq"):
            expected += 1
            if values[0] != expected or _chain(before, values[:-1]) != values[-1]:
                raise InputError(
                    f"{self.path}: row {expected} is not as labctl wrote it (of {self._seq}; {_about(values)}):"
                    " the file was edited, or its disk is failing",
                    next_step=f"{_UNTOUCHED}\n{_what_to_do(self.path)}",
                )
            before = values[-1]
        return expected


def _about(values: tuple[object, ...]) -> str:
    """Return what a damaged row seems to say of itself, for a message; it may be anything."""
    kind, step_id, wall_s = values[5], values[6], values[8]
    try:
        moment = dt.datetime.fromtimestamp(float(str(wall_s)), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return f"{kind} {step_id}"
    return f"{kind} {step_id or values[2]}, {moment:%Y-%m-%d %H:%M}Z"


_UNTOUCHED = (
    "Nothing was begun and no instrument was touched: what runs goes on under the instruments' own guards, and raw data"
    " are files of their own."
)


def _what_to_do(path: Path) -> str:
    """Return what somebody does with a journal that cannot be trusted, in the order of doing."""
    run_dir = shlex.quote(str(path.parent))
    return (
        "  1. Look at the instruments: temperature, gas, rotor, cells. If in doubt, take the heat off by hand.\n"
        f"  2. `labctl verify {run_dir}` says whether any raw data are damaged too.\n"
        f"  3. Move {path.name} with {path.name}-wal and {path.name}-shm out of the folder, and keep them. Put the"
        f" copy of your second copy or backup there, and `labctl resume {run_dir}`: it asks the instruments what was"
        " done since, and repeats nothing they have.\n"
        "  4. Without a copy: `labctl analyze` reads the raw data as they are; acquire what is missing in a new folder."
    )


def _make(path: Path) -> None:
    """Make an empty journal under another name and rename it: a file of this name is a journal, whoever dies when."""
    unfinished = path.with_name(path.name + ".new")
    for name in (unfinished, *(path.with_name(f"{unfinished.name}-{of_sqlite}") for of_sqlite in ("wal", "shm"))):
        name.unlink(missing_ok=True)
    db = sqlite3.connect(unfinished, isolation_level=None)
    try:
        _fill(db, path)
    finally:
        db.close()
    unfinished.replace(path)


def _fill(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise InputError(f"{path} is a database of something else", next_step="Choose another folder")
    db.execute("PRAGMA journal_mode=WAL")
    db.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION};"
        f" PRAGMA application_id={_APPLICATION_ID}; COMMIT;"
    )


def _chain(before: str, values: tuple[object, ...]) -> str:
    text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def _take(path: Path) -> FileLock:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise SafetyRefusal(
            f"another labctl has {path.parent} open", next_step="Use `labctl status`, or end the other one first"
        ) from error
    return lock


def _unwritable(path: Path, error: sqlite3.Error) -> JournalUnwritable:
    return JournalUnwritable(
        f"the journal {path} cannot be written: {error}",
        expected="a local disk with free space",
        next_step="Free some space; nothing new is begun until then and labctl goes on by itself",
    )
