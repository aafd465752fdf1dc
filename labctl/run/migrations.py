"""Versions of the journal's tables, and the way from each to the next.

A campaign takes weeks, and labctl may be renewed in its middle. A newer labctl that opens an older journal for writing
brings its tables forward before it writes its first row: under the journal's lock, after its hash chain was found
whole, in one transaction, so that a death in between leaves the older journal as it was. Rows are never touched: what
was written stays as it was hashed, and events carry defaults for whatever they did not know then. A newer labctl that
would plan the campaign otherwise refuses it before that, so that the older one can still go on. An older labctl refuses
a newer journal.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from labctl import __version__
from labctl.errors import InputError

SCHEMA_VERSION = 2

LINEAGE: Sequence[str] = (
    """CREATE TABLE lineage (
        version INTEGER PRIMARY KEY,
        labctl TEXT NOT NULL,
        after_seq INTEGER NOT NULL,
        head TEXT NOT NULL,
        wall_s REAL NOT NULL
    )""",
    "CREATE TRIGGER lineage_no_update BEFORE UPDATE ON lineage"
    " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
    "CREATE TRIGGER lineage_no_delete BEFORE DELETE ON lineage"
    " BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END",
)
"""Version 2: which labctl brought the tables to which version, after which row, with the hash of that row."""

STEPS: Mapping[int, Sequence[str]] = {1: LINEAGE}
"""Statements that bring the tables from a version to the next one."""


def refuse_newer(db: sqlite3.Connection, path: Path) -> int:
    """Return the version of an open journal's tables; `path` is for the message.

    Raises
    ------
    InputError
        They are of a newer version than this labctl knows; says which labctl to take.
    sqlite3.DatabaseError
        It is no database.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        by = _written_by(db)
        raise InputError(
            f"{path} was written by a newer labctl{by}: its version is {version}, and this labctl {__version__} reads"
            f" no further than {SCHEMA_VERSION}",
            next_step="Nothing was changed, and what runs goes on. Go on with the newer labctl: `labctl --version`"
            f" tells them apart, and standing.json in {path.parent} names the one that ran the campaign last",
        )
    return version


def _written_by(db: sqlite3.Connection) -> str:
    """Return which labctl brought the tables to their version, for a message; empty where they do not tell."""
    try:
        row = db.execute("SELECT labctl FROM lineage ORDER BY version DESC LIMIT 1").fetchone()
    except sqlite3.Error:
        return ""  # tables of a version that is not known here
    return f" ({row[0]})" if row else ""


def migrate(db: sqlite3.Connection, *, version: int, after_seq: int, head: str, wall_s: float) -> None:
    """Bring the tables of an open journal from `version` to `SCHEMA_VERSION`, all of it or nothing.

    The caller holds the journal's lock and has seen its hash chain whole.

    Parameters
    ----------
    after_seq, head : int, str
        Number and hash of the last row.

    Raises
    ------
    sqlite3.Error
        The disk is full, or the tables are not those of `version`; everything is as before.
    """
    db.execute("BEGIN IMMEDIATE")
    try:
        for before in range(version, SCHEMA_VERSION):
            for statement in STEPS[before]:
                db.execute(statement)
            db.execute("INSERT INTO lineage VALUES (?,?,?,?,?)", (before + 1, __version__, after_seq, head, wall_s))
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")  # part of the transaction
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
