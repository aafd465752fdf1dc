"""A small tester that answers MacNet's JSON, in process or over TCP, and misbehaves as it is told.

Written from the vendor's description of the functions; what a test does on it is moved by hand (`finish`, `reading`).
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labctl.errors import InstrumentSilent

AVAILABLE, ACTIVE, SUSPENDED, COMPLETED, PROBLEM = 0, 2, 3, 4, 5
_STATUS: dict[str, Any] = {
    "RF1": 0,
    "RF2": 0,
    "Stat": AVAILABLE,
    "LastRecNum": 0,
    "Cycle": 0,
    "Step": 0,
    "TestTime": 0.0,
}
_STATUS |= {"StepTime": 0.0, "Capacity": 0.0, "Energy": 0.0, "Current": 0.0, "Voltage": 1.5}
_STATUS["TesterTime"] = "2026-03-01T22:10:00"
_LIMITS = {"TickSpeed": 0.01, "Vmax": 10.0, "Vmin": 0.0, "VSafeMax": 10.0, "VSafeMin": 0.0}
_LIMITS |= {f"IR{n}{way}": full for way in ("Chg", "Dis") for n, full in enumerate((150e-6, 5e-3, 0.15, 5.0), start=1)}
Reply = dict[str, Any]


class Peer:
    """One tester with four channels."""

    def __init__(self, procedures: Path) -> None:
        self.procedures = procedures
        self.status: list[dict[str, Any]] = [dict(_STATUS) for _ in range(4)]
        self.names = ["", "", "", ""]
        self.proc_names = ["", "", "", ""]
        self.archive: list[str] = []
        self.started: list[tuple[int, str]] = []
        self.asked: list[tuple[int, int]] = []
        self.raw: list[bytes] = []
        self.safety: dict[str, float] = {}
        self.clamp_safety = 1.0
        self.check_says = "OK"
        self.end_number = 1
        self.password = ""
        self.logged_in = False
        self.constant_id = False

    def run(self, channel: int, name: str, stat: int = ACTIVE) -> None:
        """Let a test stand on a channel (from 0)."""
        self.names[channel] = name
        self.status[channel] |= {"Stat": stat, "RF1": 1}

    def answer(self, request: bytes) -> bytes:
        """Carry a request out and return the reply, CR LF behind it."""
        self.raw.append(request)
        asked = json.loads(request)
        params = asked["params"]
        self.asked.append((params["FClass"], params["FNum"]))
        identity = 1987 if self.constant_id else asked["id"]
        if self.password and not self.logged_in and params["FClass"] != 8:
            found: Reply = {"error": {"code": -32000, "message": "MacNet error"}}
        else:
            echo = {name: params[name] for name in ("FClass", "FNum", "Chan") if name in params}
            found = {"result": echo | self._do(params)}
        return json.dumps({"jsonrpc": "2.0", **found, "id": identity}).encode("ascii") + b"\r\n"

    def _do(self, params: dict[str, Any]) -> Reply:
        at = params.get("Chan", 0)
        match params["FClass"], params["FNum"]:
            case 1, 2:
                return {"SystemID": "PEER", "SystemType": 0, "TestChannels": len(self.names)}
            case 1, 3:
                there = (self.procedures / f"{params['ProcName']}.000").is_file()
                return {"ProcedurExists": "TRUE" if there else "FALSE"}
            case 1, 4:
                return {"TestNameExists": "TRUE" if params["TestName"] in self.archive else "FALSE"}
            case 3, 1:
                return dict(_LIMITS)
            case 4, 1:
                keys = ("RF1", "RF2", "Stat")
                return {"Status": [{key: one[key] for key in keys} for one in self.status[at : at + params["Len"]]]}
            case 4, 2:
                return {"Voltage": [one["Voltage"] for one in self.status[at : at + params["Len"]]]}
            case 4, 3:
                return {"Current": [one["Current"] for one in self.status[at : at + params["Len"]]]}
            case 4, 6:
                return {"TestName": self.names[at], "ProcName": self.proc_names[at]}
            case 4, 7:
                return dict(self.status[at])
            case 4, 10:
                return {"NumOfEnds": 5, "EndNum": self.end_number}
            case 6, 2:
                return {"Result": self._start(at, params)}
            case 6, 3:
                return {"Result": self._move(at, ACTIVE, SUSPENDED)}
            case 6, 4:
                return {"Result": self._move(at, SUSPENDED, ACTIVE)}
            case 6, 6:
                self.archive.append(self.names[at])
                return {"Result": self._move(at, COMPLETED, AVAILABLE)}
            case 6, 10:
                self.safety = {key: params[key] * self.clamp_safety for key in params if "Safe" in key}
                return dict(self.safety)
            case 6, 11:
                return {"Result": self.check_says}
            case 8, 1:
                self.logged_in = params["Password"] == self.password
                return {"Result": "PASSED" if self.logged_in else "FAILED"}
        raise AssertionError(f"the driver asked for {params}")

    def _start(self, at: int, params: dict[str, Any]) -> str:
        if self.status[at]["Stat"] != AVAILABLE:
            return "Channel in use"
        if params["TestName"] in (name for _, name in self.started):
            return "Test name is not unique"
        self.started.append((at, params["TestName"]))
        self.proc_names[at] = params["ProcName"]
        self.run(at, params["TestName"])
        return "OK"

    def _move(self, at: int, from_stat: int, to_stat: int) -> str:
        if self.status[at]["Stat"] != from_stat:
            return "Not possible now"
        self.status[at]["Stat"] = to_stat
        return "OK"


class PeerLink:
    """The tester in process; `lose` names functions whose next reply is lost, after (or before) they took effect."""

    simulated = True

    def __init__(self, peer: Peer, procedures: Path, exports: Path) -> None:
        self.peer = peer
        self.procedures_dir = procedures
        self.export_dir = exports
        self.lose: dict[tuple[int, int], str] = {}

    def exchange(self, request: bytes) -> bytes:
        params = json.loads(request)["params"]
        how = self.lose.pop((params["FClass"], params["FNum"]), "")
        if how == "before":
            raise InstrumentSilent("lost on the way there", instrument="peer")
        reply = self.peer.answer(request)
        if how == "after":
            raise InstrumentSilent("lost on the way back", instrument="peer")
        return reply

    def close(self) -> None:
        """Nothing to let go of."""


Mischief = Callable[[socket.socket, tuple[int, int], bytes, Peer], bool]
"""Sends (or does not) the reply to a request that has not been carried out yet; False: hang up then."""


def plainly(connection: socket.socket, function: tuple[int, int], request: bytes, peer: Peer) -> bool:
    """Answer as one should."""
    del function
    connection.sendall(peer.answer(request))
    return True


class TcpPeer:
    """The tester behind a real socket, one connection after another, each on a thread of its own."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.mischief: Mischief = plainly
        self.refusing = False
        self.connections = 0
        self._one_at_a_time = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refusing:
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        decoder = json.JSONDecoder()
        text = ""
        with connection, contextlib.suppress(OSError):
            while chunk := connection.recv(65536):
                text += chunk.decode("ascii")
                while text:
                    try:
                        asked, end = decoder.raw_decode(text)
                    except ValueError:
                        break
                    request, text = text[:end].encode("ascii"), text[end:]
                    function = (asked["params"]["FClass"], asked["params"]["FNum"])
                    with self._one_at_a_time:
                        if not self.mischief(connection, function, request, self.peer):
                            return

    def close(self) -> None:
        """Hang up everywhere."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5.0)
