"""Points of a Bluesky plan, each made durable: how many on each line of stdin, what they took on stdout.

Run by ``tests/benchmarks/test_durable.py``. Bluesky itself makes nothing durable, so it is given what labctl does, with
as many commits: a row in SQLite (WAL, ``synchronous=FULL``) before a point is triggered, and one for each event
document. Nothing is hashed or decided from.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

from bluesky import RunEngine  # type: ignore[import-not-found]  # in the peer's own environment
from bluesky.plans import count  # type: ignore[import-not-found]  # in the peer's own environment
from ophyd.status import Status  # type: ignore[import-not-found]  # in the peer's own environment

FOLDER, PAYLOAD = Path(sys.argv[1]), sys.argv[2]


class Detector:
    """Something that is done as soon as it is triggered."""

    name = "detector"
    parent = None

    def trigger(self) -> Any:
        """Measure."""
        status = Status()
        status.set_finished()
        return status

    def read(self) -> dict[str, Any]:
        """What was measured."""
        return {"detector": {"value": PAYLOAD, "timestamp": time.time()}}

    def describe(self) -> dict[str, Any]:
        """What it is."""
        return {"detector": {"source": "benchmark", "dtype": "string", "shape": []}}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class Rows:
    """What is committed."""

    def __init__(self) -> None:
        self.commits = 0
        self._db = sqlite3.connect(FOLDER / "bluesky.sqlite", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, kind TEXT, body TEXT)")

    def document(self, name: str, body: dict[str, Any]) -> None:
        """Commit an event document."""
        if name == "event":
            self._commit(name, json.dumps(body))

    def message(self, message: Any) -> None:
        """Commit that a point is about to be measured."""
        if message.command == "trigger":
            self._commit("intent", json.dumps({"task": PAYLOAD}))

    def _commit(self, kind: str, body: str) -> None:
        self._db.execute("INSERT INTO log (kind, body) VALUES (?, ?)", (kind, body))
        self.commits += 1


def main() -> None:
    """Answer line by line."""
    engine, rows, detector = RunEngine({}), Rows(), Detector()
    for line in sys.stdin:
        points = int(line)
        told = {}
        for name, durable in (("intent and outcome", True), ("nothing durable", False)):
            engine.msg_hook = rows.message if durable else None
            token = engine.subscribe(rows.document) if durable else None
            commits = rows.commits
            begun, cpu = time.perf_counter(), time.process_time()
            engine(count([detector], num=points))
            wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
            commits = rows.commits - commits
            told[name] = {"wall_s": wall_s / points, "cpu_s": cpu_s / points, "commits": commits / points}
            if token is not None:
                engine.unsubscribe(token)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
