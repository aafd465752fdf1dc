"""Durable steps by DBOS on SQLite, where it is installed: how many on each line of stdin, what they took on stdout.

Run by ``tests/benchmarks/test_durable.py``. Nothing of DBOS is tuned: its SQLite system database as it makes it. One
workflow goes through all steps of a line. DBOS commits a step's outcome when the step has ended, so an intent is a step
of its own.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from dbos import DBOS  # type: ignore[import-not-found]  # in the peer's own environment
from sqlalchemy import Engine, event  # type: ignore[import-not-found]  # in the peer's own environment

FOLDER, PAYLOAD = Path(sys.argv[1]), sys.argv[2]
COMMITS = 0


@event.listens_for(Engine, "before_cursor_execute")  # type: ignore[untyped-decorator]  # in the peer's own environment
def _writes(connection: Any, _cursor: object, statement: str, *_: object) -> None:
    if statement.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE"}:
        connection.info["wrote"] = True


@event.listens_for(Engine, "commit")  # type: ignore[untyped-decorator]  # in the peer's own environment
def _count(connection: Any) -> None:
    global COMMITS  # noqa: PLW0603 - a listener has no other way to tell
    COMMITS += connection.info.pop("wrote", False)


@DBOS.step()  # type: ignore[untyped-decorator]  # in the peer's own environment
def intend(number: int) -> str:
    """Say what is about to be done."""
    return f"{number} {PAYLOAD}"


@DBOS.step()  # type: ignore[untyped-decorator]  # in the peer's own environment
def act(number: int) -> str:
    """Do it, which takes no time here, and say what came out."""
    return f"{number} {PAYLOAD}"


@DBOS.workflow()  # type: ignore[untyped-decorator]  # in the peer's own environment
def outcomes(steps: int) -> None:
    """Only what came out is written down: one commit for each step."""
    for number in range(steps):
        act(number)


@DBOS.workflow()  # type: ignore[untyped-decorator]  # in the peer's own environment
def intents_and_outcomes(steps: int) -> None:
    """Two commits for each step."""
    for number in range(steps):
        intend(number)
        act(number)


def main() -> None:
    """Answer line by line."""
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": f"sqlite:///{FOLDER / 'dbos.sqlite'}",
            "log_level": "CRITICAL",
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    for line in sys.stdin:
        steps = int(line)
        told = {}
        for name, workflow in (("intent and outcome", intents_and_outcomes), ("outcome only", outcomes)):
            commits = COMMITS
            begun, cpu = time.perf_counter(), time.process_time()
            workflow(steps)
            wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
            told[name] = {"wall_s": wall_s / steps, "cpu_s": cpu_s / steps, "commits": (COMMITS - commits) / steps}
        print(json.dumps(told), flush=True)
    DBOS.destroy()


if __name__ == "__main__":
    main()
