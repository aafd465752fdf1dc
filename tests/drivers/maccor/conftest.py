"""A bench with one channel of a tester."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl_maccor import open_driver
from labctl_maccor._driver import MaccorDriver
from tests.drivers.maccor.peer import Peer, PeerLink, TcpPeer

START_S = 1.7e9


@dataclass
class Bench:
    """The tester, what lies before it, and a way to a driver of its channel 2."""

    peer: Peer
    link: PeerLink
    clock: VirtualClock
    folder: Path

    def driver(self, **settings: object) -> MaccorDriver:
        """Return a driver in process, opened."""
        driver = open_driver(
            station="maccor", settings={"channel": 2, **settings}, limits={}, clock=self.clock, link=self.link
        )
        assert isinstance(driver, MaccorDriver)
        driver.open(1)
        return driver

    def over_tcp(self, port: int, **settings: object) -> MaccorDriver:
        """Return a driver over a socket, not opened; its time-outs are a twentieth of the real ones."""
        found = open_driver(
            station="maccor",
            settings={
                "host": "127.0.0.1",
                "port": port,
                "channel": 2,
                "procedures_dir": str(self.link.procedures_dir),
                "export_dir": str(self.link.export_dir),
                "reply_timeout": "100 ms",
                "connect_timeout": "100 ms",
                **settings,
            },
            limits={},
            clock=self.clock,
        )
        assert isinstance(found, MaccorDriver)
        return found

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.wait_until(self.clock.monotonic_s() + seconds)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A tester in process."""
    procedures, exports = tmp_path / "Procedur", tmp_path / "exports"
    procedures.mkdir()
    exports.mkdir()
    peer = Peer(procedures)
    return Bench(peer, PeerLink(peer, procedures, exports), VirtualClock(START_S), tmp_path)


@pytest.fixture
def tcp(bench: Bench) -> Iterator[TcpPeer]:
    """The same tester behind a socket."""
    served = TcpPeer(bench.peer)
    yield served
    served.close()
