"""A copy of a journal that goes on being written, on another disk: whole, and never in place of a better one.

It is what a campaign is resumed from should the journal itself be damaged (`labctl.run.journal`): the instruments are
asked what was done since.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from labctl.clock import SystemClock
from labctl.errors import InputError
from labctl.run.journal import Journal


def copy_journal(source: Path, target: Path) -> str:
    """Put the journal as it stands now in place of its earlier copy; return what went wrong, or nothing.

    The earlier copy stays where the journal is damaged, or does not go on from it.
    """
    aside = target.with_name(target.name + ".tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        uri = f"{source.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as ours, closing(sqlite3.connect(aside)) as copy:
            ours.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without company
        if problem := _not_to_be_trusted(aside, target):
            aside.unlink()
            return problem
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    except sqlite3.Error as problem:
        return f"{target}: {problem}"
    except OSError as problem:
        return f"{problem.filename or target}: {problem.strerror or problem}"
    return ""


def _not_to_be_trusted(new: Path, old: Path) -> str:
    try:
        rows = _chain(new)
    except InputError as problem:
        return f"the journal itself is damaged, and its earlier copy {old} was kept: {problem.what}"
    try:
        before = _chain(old) if old.exists() else []
    except InputError:
        return ""  # a copy that is damaged keeps nothing
    if rows[: len(before)] != before:
        return f"{old} is of another course of the campaign; it was not overwritten"
    return ""


def _chain(path: Path) -> list[str]:
    """Return the hashes of all rows, which are as labctl wrote them."""
    journal = Journal(path, clock=SystemClock(), read_only=True)
    try:
        journal.verify_chain()
        return [row.sha for row in journal.rows()]
    finally:
        journal.close()
