"""A power cut leaves a prefix of the write-ahead log, its last frame torn: the journal opens with all it said it had.

With ``synchronous=FULL`` a row is on the disk when `Journal.append` returns, so what a cut can take is the row that was
being written. Every prefix of the log is tried all the same, and holds every row whose commit is in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.run.decide import decide
from labctl.run.journal import Journal
from labctl.run.state import State, initial_state
from tests.run.bench import START_S, Killed
from tests.run.test_killed import finish, forgetful, judge

_HEADER = 32
_FRAME_HEADER = 24


@dataclass(frozen=True)
class Log:
    """A journal all of whose rows are in its log: both files, the log's length and the state after each row."""

    database: bytes
    log: bytes
    lengths: list[int]
    hashes: list[str]
    states: list[State]

    def prefixes(self) -> Iterator[tuple[bytes, int]]:
        """Yield whole frames with what a cut makes of the next one, and how many rows are committed in that."""
        (page,) = struct.unpack(">I", self.log[8:12])
        frame = _FRAME_HEADER + page
        for end in range(_HEADER, len(self.log) + 1, frame):
            committed = sum(length <= end for length in self.lengths)
            torn = self.log[end : end + frame // 2]
            yield self.log[:end], committed
            yield self.log[:end] + torn, committed
            yield (
                self.log[:end] + torn + b"\xa5" * (frame - len(torn)),
                committed,
            )  # as long as it should be, half of it
            yield self.log[:end] + bytes(frame), committed  # its blocks were taken and never written


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """The journal of a whole campaign, written again with nothing taken over from its log."""
    folder = tmp_path_factory.mktemp("told")
    bench = forgetful(folder / "bench")
    bench.run()
    state = initial_state(bench.plan)
    keys = {step.id: step.key for step in bench.plan.steps}
    journal = Journal(folder / "journal.sqlite", clock=VirtualClock(START_S))
    journal._db.execute("PRAGMA wal_autocheckpoint=0")
    lengths, hashes, states = [], [], [state]
    for event in bench.events():
        hashes.append(journal.append(event, key=keys.get(event.step_id, "")).sha)
        lengths.append((folder / "journal.sqlite-wal").stat().st_size)
        state, _ = decide(state, event)
        states.append(state)
    told = Log(
        database=(folder / "journal.sqlite").read_bytes(),
        log=(folder / "journal.sqlite-wal").read_bytes(),
        lengths=lengths,
        hashes=hashes,
        states=states,
    )
    journal.close()
    return told


def put(folder: Path, database: bytes, log: bytes) -> Path:
    """Write a journal as a cut left it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "journal.sqlite"
    path.write_bytes(database)
    path.with_name("journal.sqlite-wal").write_bytes(log)
    path.with_name("journal.sqlite-shm").unlink(missing_ok=True)
    return path


def test_every_prefix_opens_with_all_that_was_committed(told: Log, tmp_path: Path) -> None:
    """Of any prefix, torn in any way, the journal has just the committed rows, and the state and outbox they make."""
    tried = 0
    for log, committed in told.prefixes():
        path = put(tmp_path, told.database, log)
        journal = Journal(path, clock=VirtualClock(START_S))
        journal._db.execute("PRAGMA synchronous=OFF")  # nothing more is cut off here
        rows = list(journal.rows())
        assert [row.sha for row in rows] == told.hashes[:committed]
        assert journal.verify_chain() == committed
        if tried % 4 == 1:  # one of each frame
            state = told.states[0]
            for row in rows:
                state, _ = decide(state, row.event)
            assert state == told.states[committed]
            waiting = {
                (state.by_id[name].key, each.attempt) for name in state.by_id for each in state.steps[name].pending
            }
            assert set(journal.outbox()) == waiting
        journal.close()
        tried += 1
    assert tried > 4 * len(told.hashes)


def test_rows_are_added_to_a_torn_log(told: Log, tmp_path: Path) -> None:
    """What a prefix lost is written again, and the whole is as if there had been no cut."""
    bench = forgetful(tmp_path / "bench")
    bench.run()
    events = bench.events()
    keys = {step.id: step.key for step in bench.plan.steps}
    for log, committed in list(told.prefixes())[1::40]:
        path = put(tmp_path, told.database, log)
        journal = Journal(path, clock=VirtualClock(START_S))
        for event in events[committed:]:
            journal.append(event, key=keys.get(event.step_id, ""))
        assert journal.head == told.hashes[-1]
        assert journal.verify_chain() == len(events)
        journal.close()


@pytest.mark.parametrize("torn", [0.02, 0.5, 0.98])
def test_a_campaign_goes_on_from_a_torn_log(tmp_path: Path, torn: float) -> None:
    """Cut off while a row is written, the campaign goes on as if undisturbed: nothing lost, nothing repeated."""
    undisturbed = forgetful(tmp_path / "undisturbed")
    undisturbed.run()
    for cut in range(2, len(undisturbed.events()), 5):
        bench = forgetful(tmp_path / f"cut{cut}")
        path = bench.run_dir / "journal.sqlite"
        left: list[bytes] = []

        def note(when: str, number: int, *, cut: int = cut, path: Path = path, left: list[bytes] = left) -> None:
            if number == cut:
                left.append(path.with_name("journal.sqlite-wal").read_bytes())
            if number == cut and when == "after":
                left.append(path.read_bytes())
                raise Killed

        with pytest.raises(Killed):
            bench.run(hook=note)
        before, after, database = left
        put(bench.run_dir, database, after[: len(before) + int(torn * (len(after) - len(before)))])
        assert len(bench.events()) == cut - 1
        finish(bench)
        judge(bench, undisturbed.raw())
