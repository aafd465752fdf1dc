"""The Maccor driver against the server that pymacnet tests itself with, unmodified, in a process of its own.

It goes as far as that server does: it knows (1,1), (1,2), (4,1), (4,4), (4,7), (6,2), (6,5), (6,7) to (6,10), answers
every request with the id 1987, indents its replies, and answers any other function with ``{"err": 1}``, which is no
reply of JSON-RPC. It has no names of tests (4,6), no archive (1,4), no procedures (1,3), no check of a start (6,11), no
suspending and no end status; a start changes no state. So labctl finds channels, reads them, writes safety limits and
has them confirmed, and can be told that a start was taken; an order cannot begin, because nothing tells whose test a
channel holds.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.clock import SystemClock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import Order
from labctl_maccor import open_driver
from labctl_maccor._codec import Channel, Stat
from labctl_maccor._driver import MaccorDriver
from tests.contract.test_maccor_link import TASK

CHANNELS = 8
_SPOOFER = """
import json, sys
from pymacnet.maccorspoofer import MaccorSpoofer
json_port, bin_port, channels = map(int, sys.argv[1:])
config = {"server_ip": "127.0.0.1", "json_port": json_port, "tcp_port": bin_port, "num_channels": channels}
spoofer = MaccorSpoofer(config)
spoofer.start()
for line in sys.stdin:
    channel, status = json.loads(line)
    print(json.dumps(spoofer.update_channel_status(channel, status)), flush=True)
"""


@dataclass
class Spoofer:
    """The server, and how its readings are set: by index, from 0."""

    port: int
    process: subprocess.Popen[str]

    def show(self, index: int, **status: Any) -> None:
        """Let a channel answer so from now on."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([index, status]) + "\n")
        self.process.stdin.flush()
        assert json.loads(self.process.stdout.readline()) is True


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def spoofer() -> Iterator[Spoofer]:
    """One server for this module; it is there when its channels can be set."""
    ports = _free_ports()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _SPOOFER, *map(str, (*ports, CHANNELS))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    served = Spoofer(ports[0], process)
    served.show(0, Stat=0)
    yield served
    process.terminate()
    process.communicate(timeout=10.0)


@pytest.fixture
def driver(spoofer: Spoofer, tmp_path: Path) -> Iterator[MaccorDriver]:
    """Our driver of channel 2, opened on it."""
    found = open_driver(
        station="maccor",
        settings={
            "host": "127.0.0.1",
            "port": spoofer.port,
            "channel": 2,
            "procedures_dir": str(tmp_path),
            "export_dir": str(tmp_path),
        },
        limits={},
        clock=SystemClock(),
    )
    assert isinstance(found, MaccorDriver)
    for attempt in range(50):  # the listening socket may be a moment later than the channels
        try:
            found.open(1)
            break
        except InstrumentSilent:
            if attempt == 49:
                raise
            SystemClock().wait_until(SystemClock().monotonic_s() + 0.1)
    yield found
    found.close()


def test_channels_are_found_and_read(spoofer: Spoofer, driver: MaccorDriver) -> None:
    """What is set on the channel of that index is what our driver reads on the channel one higher, and no neighbour."""
    for index in range(CHANNELS):
        spoofer.show(index, Voltage=1.0 + index, Current=0.1 * index, Capacity=0.0, Stat=0)
    assert driver._tester.channels() == CHANNELS
    readings = {reading.quantity: reading.value for reading in driver.readings()}
    assert (readings["voltage_V"], readings["current_A"]) == (2.0, 0.1)
    assert driver._tester.status(Channel(CHANNELS)).voltage_V == float(CHANNELS)
    spoofer.show(1, Voltage=1.69, RF1=1, Stat=2, Step=3, StepTime=4000.0, Capacity=0.115e-3)
    found = driver._tester.status(Channel(2))
    assert (found.stat, found.step) == (Stat.ACTIVE, 3)
    assert found.capacity_Ah == pytest.approx(0.115e-3)


def test_safety_limits_are_taken_and_confirmed(driver: MaccorDriver) -> None:
    """The echo of (6,10) is what was sent."""
    driver._tester.set_safety(Channel(2), driver._safety(TASK))


def test_a_start_is_said_to_be_taken(driver: MaccorDriver) -> None:
    """(6,2) with all of our keys is answered with OK."""
    keys = {"TestName": "mLi2S_01-0a1b2c3d-1", "ProcName": "labctl-00000000", "Crate": 1e-3, "Mass": 2.4e-3}
    assert driver._tester.start(Channel(2), keys) == ""


@pytest.mark.parametrize("method", ["begin", "look", "evidence"])
def test_an_order_cannot_begin_where_tests_have_no_names(
    spoofer: Spoofer, driver: MaccorDriver, tmp_path: Path, method: str
) -> None:
    """Without (4,6) nobody knows whose test a channel holds: the driver says what came instead, and starts nothing."""
    spoofer.show(1, Stat=0)
    order = Order(token="0a1b2c3d-1", title="t", step_id="s", attempt=1, epoch=1, task=TASK)
    with pytest.raises(InstrumentError, match=r'"err": 1') as told:
        getattr(driver, method)(order)
    assert "MacNet (4,6), channel 2" in str(told.value)
    assert list(tmp_path.iterdir()) == []
