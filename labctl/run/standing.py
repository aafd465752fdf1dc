"""Where a campaign stands, read from its journal without an event's types: ten thousand rows in tens of milliseconds.

`labctl.run.history` tells the whole story; this is for looking while a campaign runs, and says the same numbers (a test
holds the two to each other). It loads neither pydantic nor the engine, and takes no lock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labctl.errors import InputError
from labctl.run.migrations import refuse_newer

BEGUN_AGAIN = "begun again"
"""What became of an attempt without outcome, once another has followed."""

_INCIDENTS = ("failed", "operator", "safe_state", "alarm", "handed_off")


@contextmanager
def open_journal(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a journal to read in; no lock is taken.

    Raises
    ------
    InputError
        No journal there, it cannot be read, or a newer labctl wrote it.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist", next_step="Name the folder of a campaign that was begun")
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        refuse_newer(db, path)
        yield db
    except sqlite3.Error as problem:
        raise InputError(f"{path} cannot be read ({problem})", expected="a journal of labctl") from None
    finally:
        db.close()


def amendments(path: Path) -> list[dict[str, Any]]:
    """Return the amendments of a campaign in order: ``file``, ``sha256``, ``reason``, ``by``, ``at_s``.

    Raises
    ------
    InputError
        No journal there, or it cannot be read.
    """
    with open_journal(path) as db:
        rows = db.execute(
            "SELECT json_extract(body, '$.protocol_file'), json_extract(body, '$.protocol_sha256'),"
            " json_extract(body, '$.reason'), json_extract(body, '$.by'), wall_s FROM journal"
            " WHERE kind='operator' AND json_extract(body, '$.event')='Amended' ORDER BY seq"
        ).fetchall()
    return [dict(zip(("file", "sha256", "reason", "by", "at_s"), row, strict=True)) for row in rows]


def standing(path: Path, *, incidents: int = 5) -> dict[str, Any]:
    """Return what a journal tells of where its campaign stands, as plain data.

    ``campaign begun_s last_event_s rows steps steps_behind under_way[] last_parts[] certificate last_incidents[]
    asked[]``; times are wall times [s since 1970 UTC], `asked` are the last verbs of persons.

    Raises
    ------
    InputError
        No journal there, no campaign in it, or it cannot be read.
    """
    with open_journal(path) as db:
        db.execute("BEGIN")  # one moment of a journal that grows
        last = db.execute("SELECT seq, wall_s FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        if last is None:
            raise InputError(f"{path} holds no campaign yet", next_step="Run one first")
        return _told(db, rows=last[0], last_s=last[1], incidents=incidents)


def _told(db: sqlite3.Connection, *, rows: int, last_s: float, incidents: int) -> dict[str, Any]:
    begun_s, campaign, planned = db.execute("SELECT wall_s, campaign, body FROM journal WHERE seq=1").fetchone()
    amended = db.execute(
        "SELECT body FROM journal WHERE kind='operator' AND json_extract(body, '$.event')='Amended'"
        " ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    document = json.loads(amended[0] if amended else planned)
    steps = [(step["id"], step["station"], _acquires(step)) for step in document["steps"]]
    attempts = _attempts(db)
    skipped = {
        step_id
        for (step_id,) in db.execute(
            "SELECT step_id FROM journal WHERE step_id<>'' AND (kind='outcome'"
            " AND json_extract(body, '$.event')='Skipped' OR kind='operator' AND json_extract(body, '$.verb')='skip')"
        )
    }
    results: dict[str, list[dict[str, Any]]] = {}
    for (step_id, _), attempt in attempts.items():
        results.setdefault(step_id, []).append(attempt)
    known = {step_id for step_id, _, _ in steps}
    behind = {step_id for step_id, tries in results.items() if any(t["result"] in {"done", "halted"} for t in tries)}
    return {
        "campaign": campaign,
        "begun_s": begun_s,
        "last_event_s": last_s,
        "rows": rows,
        "steps": len(steps),
        "steps_behind": len((behind | skipped) & known),
        "under_way": [
            {
                "step_id": step_id,
                "station": attempt["station"],
                "attempt": number,
                "intended_s": attempt["intended_s"],
                "started_s": attempt["started_s"],
            }
            for (step_id, number), attempt in attempts.items()
            if attempt["result"] == "open"
        ],
        "last_parts": _last_parts(db),
        "certificate": _certificate(steps, results, skipped),
        "last_incidents": _incidents(db, incidents),
        "asked": [one for one in _incidents(db, incidents, kinds=("operator",)) if one["what"]],
    }


def _last_parts(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """The last parts of running orders that analysis has seen, oldest first."""
    rows = db.execute(
        "SELECT wall_s, station, step_id, attempt, body FROM journal WHERE kind='verified'"
        ' AND body LIKE \'{"event":"PartJudged"%\' ORDER BY seq DESC LIMIT 5'
    ).fetchall()
    found = []
    for at_s, station, step_id, attempt, body in reversed(rows):
        told = json.loads(body)
        part = {"at_s": at_s, "station": station, "step_id": step_id, "attempt": attempt, "part": told["part"]}
        found.append({**part, "message": told["verdict"]["message"]})
    return found


def _acquires(step: dict[str, Any]) -> bool:
    """A planned step says it; one of an amended plan names its task."""
    if "acquires" in step:
        return bool(step["acquires"])
    return step["task"]["task"] in {"Acquire", "SweepImpedance", "CycleCell"}


def _attempts(db: sqlite3.Connection) -> dict[tuple[str, int], dict[str, Any]]:
    """Every attempt, in the order of their intents."""
    found: dict[tuple[str, int], dict[str, Any]] = {
        (step_id, attempt): {"station": station, "intended_s": at_s, "started_s": None, "result": "open"}
        for step_id, attempt, station, at_s in db.execute(
            "SELECT step_id, attempt, station, wall_s FROM journal WHERE kind='intent' ORDER BY seq"
        )
    }
    for step_id, attempt, at_s in db.execute("SELECT step_id, attempt, wall_s FROM journal WHERE kind='started'"):
        if (step_id, attempt) in found:
            found[step_id, attempt]["started_s"] = at_s
    for step_id, attempt, result in db.execute(
        "SELECT step_id, attempt, CASE kind WHEN 'failed' THEN 'failed' ELSE json_extract(body, '$.result') END"
        " FROM journal WHERE kind='outcome' AND attempt>0 OR kind='failed' AND step_id<>'' ORDER BY seq"
    ):
        if (step_id, attempt) in found:
            found[step_id, attempt]["result"] = result
    last = dict(found.keys())  # of each step, for the attempts come in order
    for (step_id, attempt), told in found.items():
        if attempt != last[step_id] and told["result"] == "open":
            told["result"] = BEGUN_AGAIN
    return found


def _certificate(
    steps: list[tuple[str, str, bool]], results: dict[str, list[dict[str, Any]]], skipped: set[str]
) -> dict[str, int]:
    reached = {station: at for at, (step_id, station, _) in enumerate(steps) if step_id in results}
    planned = acquired = partial = repeated = lost = 0
    for at, (step_id, station, acquires) in enumerate(steps):
        if not acquires:
            continue
        mine = results.get(step_id, [])
        planned += 1
        ends = {attempt["result"] for attempt in mine}
        if ends & {"done", "halted"}:
            acquired += 1
            partial += "done" not in ends
        elif step_id in skipped:
            planned -= 1
        elif at < reached.get(station, -1):
            lost += 1
        repeated += max(0, sum(attempt["started_s"] is not None for attempt in mine) - 1)
    return {"planned": planned, "acquired": acquired, "partial": partial, "repeated": repeated, "lost": lost}


def _incidents(db: sqlite3.Connection, wanted: int, *, kinds: tuple[str, ...] = _INCIDENTS) -> list[dict[str, Any]]:
    """The last incidents, oldest first; a long campaign's alarms are not all read for that."""
    found: list[dict[str, Any]] = []
    marks = ",".join("?" * len(kinds))
    query = f"SELECT kind, station, step_id, wall_s, body FROM journal WHERE +kind IN ({marks}) ORDER BY seq DESC"  # noqa: S608 - no value is pasted
    for kind, station, step_id, at_s, body in db.execute(query, kinds):
        what = words(json.loads(body))
        if what:
            found.append({"at_s": at_s, "kind": kind, "station": station, "step_id": step_id, "what": what})
        if len(found) == wanted:
            break
    return found[::-1]


def words(body: dict[str, Any]) -> str:
    """Return what an event's body says to people; empty if it is nothing out of the ordinary."""
    by = f" ({body['by']})" if body.get("by") else ""
    match body["event"]:
        case "Operated":
            return f"{body['verb']}: {body['reason']}{by}"
        case "Amended":
            return f"amend: {body['reason']}{by}"
        case "Failed" | "Alarmed":
            return str(body["what"])
        case "Tripped":
            return f"{body['detail']} [{body['limit']}]"
        case "SafeSeen":
            return f"safe state {'reached' if body['reached'] else 'NOT read back'}: {body['detail']}"
        case "HandedOff" if body["verdict"]["gate"] == "stop" or body["verdict"]["warnings"]:
            return said_once(body["verdict"]["message"], body["verdict"]["warnings"])
        case _:
            return ""


def said_once(message: str, warnings: Sequence[str]) -> str:
    """Return a verdict's message and warnings as one line; a warning that the message already says is no second one."""
    return "; ".join(dict.fromkeys(filter(None, (message, *warnings))))
