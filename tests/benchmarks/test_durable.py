"""What a durable step costs beside DBOS and Bluesky with as many commits, all in one run, by turns.

``LABCTL_PEERS=<folder> pytest tests/benchmarks/test_durable.py -s``: each peer has a virtual environment of its own
below that folder, made where it is missing, and a process of its own that goes on between its turns. Every round gives
each program as many steps, so that what else goes on in the machine and its disk meets all of them; the table holds
medians over rounds. Processor time is without waiting for the disk, elapsed time with it.

A step of labctl is what its engine does of one, but for talking to an instrument: decide, commit the intent, decide,
commit the outcome, decide; rows chained by hashes in one SQLite file (WAL, ``synchronous=FULL``). What else a whole
engine does for an acquisition (commits that it was seen running and that analysis had it, limits, readings, manifest
with checksums) stands in a line of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from labctl.clock import SystemClock, VirtualClock
from labctl.run.decide import decide
from labctl.run.engine import run_campaign
from labctl.run.events import Event, Finished, Intended, Opened, Policy
from labctl.run.journal import Journal
from labctl.run.options import EngineOptions
from labctl.run.state import initial_state, planned_event
from labctl.testing import ScriptedInstrument
from tests.benchmarks.test_engine import long_plan

HERE = Path(__file__).parent
PEERS = {
    "dbos": ("durable_dbos.py", ["dbos==3.4.0"]),
    "bluesky": ("durable_bluesky.py", ["bluesky==1.15.1", "ophyd==1.11.2"]),
}
STEPS = 50
ROUNDS = 12
PAYLOAD = "x" * 600  # a row of labctl's is about that long

Told = dict[str, dict[str, float]]


def timed(action: Callable[[], object], commits: float) -> dict[str, float]:
    """Return what one step of `STEPS` took."""
    begun, cpu = time.perf_counter(), time.process_time()
    action()
    wall_s, cpu_s = time.perf_counter() - begun, time.process_time() - cpu
    return {"wall_s": wall_s / STEPS, "cpu_s": cpu_s / STEPS, "commits": commits}


@contextmanager
def labctl_rounds(folder: Path) -> Iterator[Iterator[Told]]:
    """Each round: `STEPS` steps of a campaign that goes on from round to round, then a whole engine's."""
    plan = long_plan(STEPS * (ROUNDS + 1))
    journal = Journal(folder / "labctl.sqlite", clock=SystemClock())
    state = initial_state(plan)

    def commit(event: Event, key: str = "") -> None:
        nonlocal state
        journal.append(event, key=key)
        state, _ = decide(state, event)

    commit(planned_event(plan, Policy()))
    commit(Opened(epochs={"nmr": 1}, resumed=False))
    steps = iter(plan.steps)

    def go_on() -> None:
        for _, step in zip(range(STEPS), steps, strict=False):
            commit(Intended(station="nmr", step_id=step.id, attempt=1, key=step.key, task=step.task), step.key)
            commit(Finished(station="nmr", step_id=step.id, attempt=1, result="done"), step.key)

    plain = sqlite3.connect(folder / "plain.sqlite", isolation_level=None)
    plain.execute("PRAGMA journal_mode=WAL")
    plain.execute("PRAGMA synchronous=FULL")
    plain.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, body TEXT)")

    def two_rows_each() -> None:
        for _ in range(2 * STEPS):
            plain.execute("INSERT INTO log (body) VALUES (?)", (PAYLOAD,))

    short = long_plan(STEPS)

    def whole(run_dir: Path) -> None:
        clock = VirtualClock(1_700_000_000.0)  # so that nothing waits
        nmr = ScriptedInstrument(station="nmr", clock=clock)
        clock.add_source(nmr.next_event_s)
        run_campaign(short, {"nmr": nmr}, clock=clock, run_dir=run_dir, options=EngineOptions(state_dir=folder / "s"))

    def rounds() -> Iterator[Told]:
        for number in itertools.count():
            yield {
                "labctl, intent and outcome": timed(go_on, 2),
                "two rows in plain SQLite": timed(two_rows_each, 2),
                "labctl, a whole engine's acquisition": timed(lambda: whole(folder / str(number)), 4),  # noqa: B023 - at once
            }

    try:
        yield rounds()
    finally:
        journal.close()
        plain.close()


@contextmanager
def peer_rounds(name: str, folder: Path) -> Iterator[Iterator[Told]]:
    """Rounds of a peer in its own environment."""
    script, needs = PEERS[name]
    home = Path(os.environ["LABCTL_PEERS"]) / name
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not python.exists():
        venv.create(home, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *needs], check=True)
    command = [str(python), str(HERE / "peers" / script), str(folder), PAYLOAD]
    with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
        peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, encoding="utf-8")
        assert peer.stdin is not None
        assert peer.stdout is not None
        sent, answers = peer.stdin, peer.stdout

        def rounds() -> Iterator[Told]:
            while True:
                sent.write(f"{STEPS}\n")
                sent.flush()
                line = answers.readline()
                assert line, (folder / f"{name}.log").read_text(encoding="utf-8")
                yield {f"{name}, {what}": told for what, told in json.loads(line).items()}

        try:
            yield rounds()
        finally:
            sent.close()
            peer.wait(timeout=60)
            answers.close()


@pytest.mark.skipif("LABCTL_PEERS" not in os.environ, reason="LABCTL_PEERS names no folder for the peers' environments")
def test_against_peers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A durable step of labctl's, and of others with as many commits, stand side by side."""
    taken: dict[str, list[dict[str, float]]] = {}
    with ExitStack() as stack:
        by_turns = [stack.enter_context(labctl_rounds(tmp_path))]
        by_turns += [stack.enter_context(peer_rounds(name, tmp_path)) for name in PEERS]
        for number in range(ROUNDS + 1):
            for turn in by_turns:
                for name, told in next(turn).items():
                    if number:  # the first warms up
                        taken.setdefault(name, []).append(told)
    ours = taken["labctl, intent and outcome"]
    with capsys.disabled():
        print(f"\n{'a step of':40s}{'commits':>9s}{'CPU ms':>9s}{'ms':>9s}{'ours/CPU':>10s}{'ours/ms':>9s}")
        for name, all_told in taken.items():
            medians = {key: statistics.median(told[key] for told in all_told) for key in all_told[0]}
            ratios = [
                statistics.median(mine[key] / theirs[key] for mine, theirs in zip(ours, all_told, strict=True))
                for key in ("cpu_s", "wall_s")
            ]
            print(
                f"{name:40s}{medians['commits']:9.1f}{1e3 * medians['cpu_s']:9.2f}{1e3 * medians['wall_s']:9.2f}"
                f"{ratios[0]:10.2f}{ratios[1]:9.2f}"
            )
    commits = {name: all_told[-1]["commits"] for name, all_told in taken.items()}
    assert commits["bluesky, intent and outcome"] == commits["labctl, intent and outcome"]
    assert commits["dbos, intent and outcome"] >= commits["labctl, intent and outcome"]
