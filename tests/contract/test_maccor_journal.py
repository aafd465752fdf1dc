"""A start whose fate the wire hides, through the engine: one test runs, and the journal says what was known when."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.plan.steps import Plan, Step, step_key
from labctl.ports import Effect, Standing
from labctl.run.engine import run_campaign
from labctl.run.events import Event, EvidenceSeen, Failed, Finished, Intended, Started
from labctl.run.journal import Journal
from labctl.run.options import EngineOptions
from labctl_maccor import open_driver
from tests.drivers.maccor.orders import TASK
from tests.drivers.maccor.peer import COMPLETED, Peer, TcpPeer, plainly

START_S = 1.7e9
STEP_ID = "maccor/fixed_capacity_cycling/cell"
START, STATUS = (6, 2), (4, 7)
CELL = replace(TASK, charges_Ah=TASK.charges_Ah[:1], then_cycles=0)
Spoilt = Callable[[socket.socket, bytes, Peer], bool]
"""What becomes of the first start; False: the connection is closed."""


def _before(connection: socket.socket, request: bytes, peer: Peer) -> bool:
    del request, peer
    connection.sendall(b'{"jsonrpc":"2.0","result":{"FCl')
    return False


def _after(connection: socket.socket, request: bytes, peer: Peer) -> bool:
    reply = peer.answer(request)
    connection.sendall(reply[: len(reply) // 2])
    return False


def _unanswered(connection: socket.socket, request: bytes, peer: Peer) -> bool:
    del connection
    peer.answer(request)
    return True


@pytest.mark.parametrize(
    ("spoilt", "acted"), [(_before, False), (_after, True), (_unanswered, True)], ids=["before", "after", "too late"]
)
def test_the_journal_says_what_is_known_of_a_start(tmp_path: Path, spoilt: Spoilt, acted: bool) -> None:
    """Intent; that it was not heard; evidence from the channel; and a second start only where that found nothing."""
    procedures, exports = tmp_path / "Procedur", tmp_path / "exports"
    procedures.mkdir()
    exports.mkdir()
    peer, clock = Peer(procedures), VirtualClock(START_S)
    starts, looks = 0, 0

    def hostile(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        nonlocal starts, looks
        if function == START:
            starts += 1
            if starts == 1:
                return spoilt(connection, request, peer)
        if function == STATUS and peer.started:
            looks += 1
            if looks == 12:  # the test has come to its normal end
                peer.status[1] |= {"Stat": COMPLETED, "RF1": 31, "RF2": 193, "Cycle": 1}
                (exports / f"{peer.names[1]}.002.txt").write_bytes(b"Rec#\tCyc#\r\n")
        return plainly(connection, function, request, peer)

    served = TcpPeer(peer)
    served.mischief = hostile
    settings = {
        "host": "127.0.0.1",
        "port": served.port,
        "channel": 2,
        "procedures_dir": str(procedures),
        "export_dir": str(exports),
        "reply_timeout": "150 ms",
    }
    driver = open_driver(station="maccor", settings=settings, limits={}, clock=clock)
    step = Step(
        id=STEP_ID,
        station="maccor",
        procedure="fixed_capacity_cycling",
        role="cycle",
        task=CELL,
        effect=Effect.IRREVERSIBLE,
        key=step_key(campaign="wire", step_id=STEP_ID, task=CELL, recycle=None),
        estimate_s=CELL.duration_s,
    )
    try:
        outcome = run_campaign(
            Plan(campaign="wire", steps=(step,)),
            {"maccor": driver},
            clock=clock,
            run_dir=tmp_path / "run",
            options=EngineOptions(state_dir=tmp_path / "state"),
        )
    finally:
        driver.close()
        served.close()
    assert outcome.exit_code == 0
    assert [at for at, _ in peer.started] == [1], "one test, on channel 2"
    assert starts == (1 if acted else 2)
    told = _journal(tmp_path / "run" / "journal.sqlite", clock)
    (intent,) = [event for event in told if isinstance(event, Intended)]
    assert peer.started[0][1].endswith(f"{intent.key[:8]}-{intent.attempt}")
    (unheard,) = [event for event in told if isinstance(event, Failed)]
    assert unheard.stage == "begin_unheard"
    assert "(6,2)" in unheard.what
    seen = [event for event in told if isinstance(event, EvidenceSeen)]
    assert [event.standing for event in seen] == [Standing.RUNNING if acted else Standing.NOT_STARTED]
    assert "channel 2 (1 on the wire)" in seen[0].detail
    assert told.index(intent) < told.index(unheard) < told.index(seen[0])
    assert any(isinstance(event, Started) for event in told) is not acted, "one that was found running is not begun"
    assert [event.attempt for event in told if isinstance(event, Finished)] == [intent.attempt]


def _journal(path: Path, clock: VirtualClock) -> list[Event]:
    journal = Journal(path, clock=clock, read_only=True)
    try:
        return [row.event for row in journal.rows()]
    finally:
        journal.close()
