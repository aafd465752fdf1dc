"""The public MacNet client pymacnet, unchanged, against the simulator served from another process."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymacnet
import pytest

from tests.simulators.maccor.bench import SAMPLE, cycling

_READ_s = 10.0


@dataclass(frozen=True)
class Served:
    """A server's ready line."""

    json_port: int
    bin_port: int
    procedures: Path

    def config(self, channel: int = 1, **more: Any) -> dict[str, Any]:
        """Return a configuration as pymacnet takes it."""
        return {
            "server_ip": "127.0.0.1", "json_msg_port": self.json_port, "bin_msg_port": self.bin_port,
            "msg_buffer_size_bytes": 4096, "channel": channel, "test_name": "", "test_procedure": "FIXED",
            "c_rate_ah": 1.4612e-3, "v_max_safety_limit_v": 4.0, "v_min_safety_limit_v": -0.5,
            "i_max_safety_limit_a": 0.005, "i_min_safety_limit_a": 0.005, "power_safety_limit_chg_w": 0.0,
            "power_safety_limit_dsg_w": 0.0,
            "v_max_v": 3.0, "v_min_v": 0.8,
            "data_record_time_s": 1.0, "data_record_voltage_delta_vbys": 0.0, "data_record_current_delta_abys": 0.0,
            **more,
        }  # fmt: skip


def _serve(folder: Path, profile: str) -> tuple[subprocess.Popen[str], Served]:
    procedures = folder / "Procedur"
    procedures.mkdir()
    (procedures / "FIXED.000").write_text(cycling(2), encoding="utf-8")
    main = "import sys; from labctl.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "simulate", "maccor", "--json-port", "0", "--bin-port", "0"]
    command += ["--profile", profile, "--dir", str(folder / "state"), "--sample", str(SAMPLE)]
    command += ["--procedures", str(procedures), "--speed", "10"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.communicate(timeout=_READ_s)
        raise AssertionError("the server did not come up")
    ready = json.loads(line)
    return process, Served(ready["json_port"], ready["bin_port"], procedures)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.communicate(timeout=_READ_s)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One faithful server for this module."""
    process, found = _serve(tmp_path_factory.mktemp("maccor"), "faithful")
    yield found
    _end(process)


@pytest.fixture
def wire(served: Served) -> Iterator[socket.socket]:
    """A bare connection to the JSON port."""
    with socket.create_connection(("127.0.0.1", served.json_port), timeout=_READ_s) as connection:
        yield connection


def _line(connection: socket.socket) -> dict[str, Any]:
    text = b""
    while not text.endswith(b"\r\n"):
        piece = connection.recv(1)
        assert piece, "the server closed the connection"
        text += piece
    assert b"\r\n" not in text[:-2]
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def _request(fclass: int, fnum: int, identity: int = 5, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "MacNet", "params": {"FClass": fclass, "FNum": fnum, **params}, "id": identity}


def _close(client: Any) -> None:
    """Close what pymacnet has no method to close."""
    for name in ("json_msg", "bin_msg"):
        getattr(client, f"_CyclerInterface__{name}_socket").close()


def test_pymacnet_runs_a_procedure(served: Served) -> None:
    """Connect, status, start, Active, refused second start, variable read back, reset: as its users do it."""
    client = pymacnet.ChannelInterface(served.config(channel=2))
    try:
        assert client.get_num_channels() == len(client.read_all_channel_statuses()) == 16
        assert client.read_channel_status()["Stat"] == 0
        assert client.read_channel_status()["Chan"] == 2
        assert client.read_aux() == [24.0]
        assert client.start_test_with_procedure()
        stats = [client.read_channel_status()["Stat"] for _ in range(20)]
        assert stats[-1] == 2, f"not Active in the end: {stats}"
        assert client.read_all_channel_statuses()[1]["Stat"] == 2
        assert not client.start_test_with_procedure()
        assert client.set_channel_variable(3, 4.3)
        told = client._send_receive_json_msg(_request(4, 8, Chan=2))
        assert told["result"]["VARs"][2] == pytest.approx(4.3, abs=1e-6)
        assert client.reset_channel()
        assert client.read_channel_status()["Stat"] == 0
    finally:
        _close(client)


def test_pymacnet_drives_directly(served: Served) -> None:
    """Direct mode charges the cell with the current that is asked for."""
    client = pymacnet.ChannelInterface(served.config(channel=5))
    try:
        assert client.start_test_with_direct_control()
        while client.read_channel_status()["Stat"] != 2:
            pass
        assert client.set_direct_mode_output(1e-4)
        status = client.read_channel_status()
        assert status["Current"] == pytest.approx(1e-4)
        assert status["RF1"] == 1
        assert client.reset_channel()
    finally:
        _close(client)


def test_requests_may_come_in_any_pieces(wire: socket.socket) -> None:
    """A request cut at every byte, and two in one segment with and without indentation, are all answered."""
    for byte in json.dumps(_request(4, 7, 11, Chan=0), indent=4).encode("utf-8"):
        wire.sendall(bytes([byte]))
    assert _line(wire)["id"] == 11
    wire.sendall((json.dumps(_request(4, 7, 12, Chan=0), indent=2) + json.dumps(_request(1, 2, 13))).encode("utf-8"))
    assert [_line(wire)["id"], _line(wire)["id"]] == [12, 13]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", -32700),
        ('{"jsonrpc": "2.0", "broken}": }', -32700),
        (json.dumps({"jsonrpc": "1.0", "method": "MacNet", "params": {}, "id": 1}), -32600),
        (json.dumps({"jsonrpc": "2.0", "method": "Mac", "params": {}, "id": 1}), -32601),
        (json.dumps({"jsonrpc": "2.0", "method": "MacNet", "params": {"FNum": 1}, "id": 1}), -32602),
        (json.dumps(_request(99, 1)), -32602),
        (json.dumps(_request(4, 99)), -32602),
        (json.dumps(_request(4, 7)), -32602),
        (json.dumps(_request(4, 7, Chan=9999)), -32602),
    ],
)
def test_a_bad_request_is_answered_and_the_link_stays(wire: socket.socket, text: str, code: int) -> None:
    """Whatever is wrong comes back as an error of JSON-RPC, and the next request on the same link is served."""
    wire.sendall(text.encode("utf-8"))
    found = _line(wire)
    assert found["error"]["code"] == code
    assert "result" not in found
    wire.sendall(json.dumps(_request(1, 2)).encode("utf-8"))
    assert _line(wire)["result"]["TestChannels"] == 16


def test_an_echo_comes_back_as_it_was_sent(wire: socket.socket) -> None:
    """Class 0 returns the request itself, with no result."""
    request = _request(0, 4, 3, Note="still there?")
    wire.sendall(json.dumps(request).encode("utf-8"))
    assert _line(wire) == request


def test_the_binary_status_has_54_bytes_and_says_what_json_says(served: Served, wire: socket.socket) -> None:
    """(4,7) is a header of 8 and data of 46 bytes, little-endian, of the same channel."""
    wire.sendall(json.dumps(_request(4, 7, Chan=3)).encode("utf-8"))
    told = _line(wire)["result"]
    with socket.create_connection(("127.0.0.1", served.bin_port), timeout=_READ_s) as binary:
        binary.sendall(struct.pack("<HHHH", 4, 7, 3, 0))
        data = b""
        while len(data) < 54:
            data += binary.recv(54 - len(data))
        assert struct.unpack_from("<HHHH", data) == (4, 7, 3, 46)
        rf1, rf2, stat, *_ = struct.unpack_from("<BBHIIHffffffQ", data, 8)
        assert (rf1, rf2, stat) == (told["RF1"], told["RF2"], told["Stat"])
        assert struct.unpack_from("<f", data, 8 + 34)[0] == told["Voltage"]
        binary.sendall(struct.pack("<HHHH", 0, 9, 0, 5) + b"hello" + struct.pack("<HHHH", 99, 1, 0, 0))
        echo = b""
        while len(echo) < 23:
            echo += binary.recv(23 - len(echo))
        assert echo[:13] == struct.pack("<HHHH", 0, 9, 0, 5) + b"hello"
        assert echo[13:] == struct.pack("<HHHHH", 99, 1, 0, 2, 0xFFFF)


def test_the_canned_profile_gives_canned_readings(tmp_path: Path) -> None:
    """Profile pymacnet answers with the frozen values that a test-suite of canned replies expects."""
    process, found = _serve(tmp_path, "pymacnet")
    client = None
    try:
        client = pymacnet.ChannelInterface(found.config())
        status = client.read_channel_status()
        assert (status["Voltage"], status["LastRecNum"], status["RF2"]) == (3.85, 4225, 192)
        assert len(client.read_all_channel_statuses()) == 2
        assert client.start_test_with_procedure()
        assert client.read_channel_status()["Stat"] == 2
        assert client.reset_channel()
    finally:
        if client is not None:
            _close(client)
        _end(process)
