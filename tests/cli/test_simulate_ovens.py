"""`labctl simulate lakeshore|eurotherm` serves any client, with no lab, sample or folder named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minimalmodbus
import pytest
import pyvisa
import serial
from pyvisa.resources import MessageBasedResource

from labctl.cli import simulating
from labctl.errors import InputError
from labctl_sim_lakeshore import server


@contextmanager
def simulated(*arguments: str) -> Iterator[dict[str, Any]]:
    """The command in a process of its own; yields its ready line."""
    command = [sys.executable, "-c", "from labctl.cli import main; main()", "simulate", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def test_lakeshore_by_visa(tmp_path: Path) -> None:
    """The ready line names the VISA resource; the oven has moved on at the speed asked for."""
    with simulated("lakeshore", "--dir", str(tmp_path), "--speed", "50", "--port", "0") as ready:
        assert ready["resource"] == f"TCPIP0::127.0.0.1::{ready['port']}::SOCKET"
        manager = pyvisa.ResourceManager("@py")
        session = manager.open_resource(ready["resource"], read_termination="\r\n", write_termination="\r\n")
        assert isinstance(session, MessageBasedResource)
        assert session.query("*IDN?").startswith("LSCI,MODEL335")
        session.close()
        manager.close()
    assert list(tmp_path.glob("state.*.json"))


def test_eurotherm_by_modbus() -> None:
    """The ready line names what pySerial opens; state goes to a temporary folder."""
    with simulated("eurotherm", "--seed", "3") as ready:
        port = serial.serial_for_url(ready["resource"], timeout=2.0)
        assert minimalmodbus.Instrument(port, 1).read_register(2, 1) == 25.0
        port.close()
        assert Path(ready["state_dir"]).is_dir()


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """No traceback: the port, and what to do."""
    with simulated("lakeshore", "--port", "0") as ready, pytest.raises(InputError, match=str(ready["port"])):
        server.serve(station="oven", state_dir=tmp_path, settings={}, seed=1, port=ready["port"])


@pytest.mark.parametrize(("instrument", "port"), [("lakeshor", None), ("topspin", 5), ("lakeshore", 70000)])
def test_what_cannot_be_served_is_refused(instrument: str, port: int | None) -> None:
    """An unknown instrument, a port for one that has none, an impossible port."""
    with pytest.raises(InputError, match=r"expected"):
        simulating.simulate_command(instrument, None, None, None, 1.0, 1, None, port)
