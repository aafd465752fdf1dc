"""The driver over sockets that misbehave: it never hangs, never spins, and never starts a test twice."""

from __future__ import annotations

import socket
import threading

import pytest

from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import Progress, Standing
from labctl_maccor import _codec as codec
from labctl_maccor._codec import Channel
from labctl_maccor._driver import MaccorDriver
from tests.drivers.maccor.conftest import Bench
from tests.drivers.maccor.orders import TEST, order
from tests.drivers.maccor.peer import Mischief, Peer, TcpPeer, plainly

START, STATUS = (6, 2), (4, 7)


def _until_begun(bench: Bench, driver: MaccorDriver, *, tries: int = 12) -> int:
    """Begin as an engine does: after every silence ask for evidence, and begin again only where there is nothing."""
    for number in range(tries):
        try:
            if driver.evidence(order()).standing is Standing.RUNNING:
                return number
            driver.begin(order())
        except InstrumentSilent:
            pass
        bench.wait(12.0)
    raise AssertionError("never begun")


def test_replies_cut_at_every_byte(bench: Bench, tcp: TcpPeer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Received in pieces of any one size (so cut after any byte, between CR and LF too) a reply is one reply."""
    longest = 0

    def measuring(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        nonlocal longest
        reply = peer.answer(request)
        longest = max(longest, len(reply)) if function == STATUS else longest
        connection.sendall(reply)
        return True

    tcp.mischief = measuring
    driver = bench.over_tcp(tcp.port, reply_timeout="2 s")
    driver.open(1)
    for size in range(1, longest + 2):
        monkeypatch.setattr("labctl_maccor._link._CHUNK_BYTES", size)
        driver.readings()
    assert longest > 200
    assert tcp.connections == 1
    driver.close()


def test_replies_byte_by_byte_and_stale_ones_before(bench: Bench, tcp: TcpPeer) -> None:
    """Stale replies of other requests, and every byte on its own, change nothing."""

    def dripping(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        stale = b'{"jsonrpc":"2.0","result":{"FClass":4,"FNum":7,"Chan":0,"Stat":4},"id":77}\r\n'
        for byte in stale + peer.answer(request):
            connection.sendall(bytes([byte]))
        return True

    tcp.mischief = dripping
    driver = bench.over_tcp(tcp.port, reply_timeout="2 s")
    driver.open(1)
    driver.begin(order())
    assert driver.look(order()).progress is Progress.RUNNING
    assert bench.peer.started == [(1, TEST)]
    driver.close()


def test_a_server_with_one_id_for_all(bench: Bench, tcp: TcpPeer) -> None:
    """A tester that answers every request with the same id is matched by function and channel."""
    bench.peer.constant_id = True
    driver = bench.over_tcp(tcp.port)
    driver.open(1)
    driver.begin(order())
    assert bench.peer.started == [(1, TEST)]
    driver.close()


_NOT_ACTED = b'{"jsonrpc":"2.0","result":{"FClass":6,"FNum":2,"Chan":1'


def _hang_up(connection: socket.socket, request: bytes, peer: Peer, *, acting: bool, bytes_sent: int) -> None:
    reply = peer.answer(request) if acting else _NOT_ACTED
    connection.sendall(reply[: min(bytes_sent, len(reply) - 3)])


@pytest.mark.parametrize("acting", [True, False], ids=["after it took effect", "before it took effect"])
def test_hung_up_after_every_byte_of_the_start_reply(bench: Bench, tcp: TcpPeer, acting: bool) -> None:
    """A start reply of which any number of bytes came, but not its end, is asked about; one test is started."""
    start = codec.request(6, 2, identity=2000, channel=Channel(1), TestName="x", ProcName="y")
    length = len(bench.peer.answer(start) if acting else _NOT_ACTED)
    hung_up = False

    def hanging(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        nonlocal hung_up
        if function != START or hung_up:
            return plainly(connection, function, request, peer)
        hung_up = True
        _hang_up(connection, request, peer, acting=acting, bytes_sent=cut)
        return False

    tcp.mischief = hanging
    for cut in range(length - 2):
        hung_up = False
        tcp.peer = Peer(bench.link.procedures_dir)
        driver = bench.over_tcp(tcp.port, reply_timeout="2 s")
        driver.open(1)
        _until_begun(bench, driver)
        driver.close()
        assert tcp.peer.started == [(1, TEST)], f"cut after {cut} bytes"


@pytest.mark.parametrize("acting", [True, False], ids=["after it took effect", "before it took effect"])
@pytest.mark.parametrize("bytes_sent", [0, 40])
@pytest.mark.parametrize("times", [3])
def test_hung_up_in_the_start_reply(bench: Bench, tcp: TcpPeer, acting: bool, bytes_sent: int, times: int) -> None:
    """However often the tester hangs up within the reply to a start, exactly one test is started."""
    left = times

    def hanging(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        nonlocal left
        if function != START or not left:
            return plainly(connection, function, request, peer)
        left -= 1
        _hang_up(connection, request, peer, acting=acting, bytes_sent=bytes_sent)
        return False

    tcp.mischief = hanging
    driver = bench.over_tcp(tcp.port)
    driver.open(1)
    _until_begun(bench, driver)
    assert bench.peer.started == [(1, TEST)]
    driver.close()


@pytest.mark.parametrize("acting_late", [True, False])
def test_a_late_start_reply(bench: Bench, tcp: TcpPeer, acting_late: bool) -> None:
    """A reply after the deadline is nobody's; a start that takes effect late too is still the only one."""
    release = threading.Event()
    done = threading.Event()

    def late(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        if function != START or done.is_set():
            return plainly(connection, function, request, peer)
        done.set()
        reply = b"" if acting_late else peer.answer(request)
        release.wait(5.0)
        connection.sendall(reply or peer.answer(request))
        return True

    tcp.mischief = late
    driver = bench.over_tcp(tcp.port)
    driver.open(1)
    bench.wait(60.0)
    with pytest.raises(InstrumentSilent, match=r"within|timed out"):
        driver.begin(order())
    release.set()
    _until_begun(bench, driver)
    assert bench.peer.started == [(1, TEST)]
    driver.close()


def test_a_tester_that_closes_on_connect(bench: Bench, tcp: TcpPeer) -> None:
    """While connections are closed for 20 s each look is told so at once; few are tried, and then all goes on."""
    driver = bench.over_tcp(tcp.port)
    driver.open(1)
    driver.begin(order())
    driver.close()
    tcp.refusing = True
    before = tcp.connections
    for _ in range(200):
        with pytest.raises(InstrumentSilent):
            driver.look(order())
        bench.wait(0.1)
    assert 3 <= tcp.connections - before <= 12
    tcp.refusing = False
    bench.wait(10.0)
    assert driver.look(order()).progress is Progress.RUNNING
    assert bench.peer.started == [(1, TEST)]
    driver.close()


def test_a_tester_that_is_not_there(bench: Bench, tcp: TcpPeer) -> None:
    """Nobody listening is silence with the address in it."""
    tcp.close()
    driver = bench.over_tcp(tcp.port)
    with pytest.raises(InstrumentSilent, match=rf"127\.0\.0\.1:{tcp.port}"):
        driver.open(1)


@pytest.mark.parametrize(
    "noise", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\r\n\r\n{}\r\n", b'{"id":1}\r\n', b"[1,2]\r\n", b"{" * 300]
)
def test_nonsense_is_silence(bench: Bench, tcp: TcpPeer, noise: bytes) -> None:
    """What is no reply ends in an instrument's error, and the connection is not used again."""

    def babbling(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        connection.sendall(noise)
        return False

    tcp.mischief = babbling
    driver = bench.over_tcp(tcp.port)
    with pytest.raises(InstrumentError):
        driver.open(1)
    tcp.mischief = plainly
    bench.wait(1.0)
    driver.open(1)
    driver.close()


def test_a_connection_that_spoke_nonsense_is_dropped(bench: Bench, tcp: TcpPeer) -> None:
    """Even if the tester keeps it open: what else may still come on it could answer a later question."""
    driver = bench.over_tcp(tcp.port)
    driver.open(1)
    used = tcp.connections

    def babbling(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
        tcp.mischief = plainly
        connection.sendall(b"[1, 2]\r\n")
        return True

    tcp.mischief = babbling
    driver.readings()  # a read is asked once more, on a new connection
    assert tcp.connections == used + 1
    driver.close()


def test_a_write_after_a_loss_reads_first(bench: Bench, tcp: TcpPeer) -> None:
    """After a connection was lost the channel is read before anything is written to it."""
    lost: Mischief = lambda connection, function, request, peer: False  # noqa: E731 - as short as a hang-up
    driver = bench.over_tcp(tcp.port)
    driver.open(1)
    driver.begin(order())
    tcp.mischief = lost
    with pytest.raises(InstrumentSilent):
        driver.make_safe("a test")
    tcp.mischief = plainly
    bench.wait(1.0)
    seen = len(bench.peer.asked)
    driver.make_safe("a test")
    after = bench.peer.asked[seen:]
    assert after.index(STATUS) < after.index((6, 3))
    assert driver.is_safe()
    driver.close()
