"""The simulated cycler alone, in real or scaled time, on its two TCP ports, for any client of MacNet."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from labctl.clock import ScaledClock
from labctl.errors import InputError
from labctl_sim_maccor._sessions import Delivery, Request, Session
from labctl_sim_maccor._simulator import SimulatedMaccor, open_simulator
from labctl_sim_maccor._state import last_state

DEFAULT_SAMPLE = "in_li_lpsc_li2s"
"""Name of the sample file to serve where none is named."""

_HOST = "127.0.0.1"  # MacNet carries no token: loopback only
_CHUNK = 65536
_IDLE_s = 0.05  # real time
_SAVE_s = 5.0  # real time between two looks when nobody asks


def kept_time_s(state_dir: Path) -> float | None:
    """Return the time a kept tester has reached; None where there is none yet."""
    _, kept = last_state(state_dir)
    return None if kept is None else float(kept["now_s"])


def serve(
    *,
    station: str,
    state_dir: Path,
    sample: Path | None = None,
    settings: Mapping[str, Any],
    seed: int,
    speed: float = 1.0,
    faults: Path | None = None,
    json_port: int | None = None,
    bin_port: int | None = None,
    profile: str | None = None,
    procedures: Path | None = None,
    clock: ScaledClock | None = None,
    stopped: Callable[[], bool] = lambda: False,
    out: TextIO | None = None,
) -> None:
    """Serve the cycler on loopback until `stopped` or interrupted from the keyboard.

    One JSON line says when it is ready, with both ports and the folders.

    Parameters
    ----------
    speed : float
        Simulated seconds per real second; the service time of a request does not shrink with it.
    json_port, bin_port : int or None
        TCP ports; None or 0: any free one. (A real tester has 57570 and 57560.)
    profile : str or None
        ``faithful`` or ``pymacnet``; None: as the settings say.
    procedures : Path or None
        The tester's ``Procedur`` folder.
    clock : ScaledClock or None
        That of a whole lab, of the same speed; None: one of its own.

    Raises
    ------
    InputError
        Settings, sample or fault script cannot be used, or a port is taken.
    """
    if sample is None:
        raise InputError("no sample to cycle is named", expected=f"such as {DEFAULT_SAMPLE}")
    own = dict(settings.get("simulator", {}))
    if profile is not None:
        own["profile"] = profile
    if clock is None:
        own_s = kept_time_s(state_dir)
        clock = ScaledClock(start_s=time.time() if own_s is None else own_s, speed=speed)
    simulator = open_simulator(
        station=station,
        state_dir=state_dir,
        clock=clock,
        seed=seed,
        sample=sample,
        settings={**settings, "simulator": own},
        faults=faults,
        procedures_dir=procedures,
    )
    server = _Server(simulator, clock, json_port or 0, bin_port or 0)
    ready = {
        "instrument": "maccor",
        "station": station,
        "state_dir": str(state_dir),
        "host": _HOST,
        "json_port": server.json_port,
        "bin_port": server.bin_port,
        "profile": simulator.tester.settings.profile,
        "channels": simulator.tester.settings.channels,
        "procedures_dir": str(simulator.tester.procedures_dir),
        "export_dir": str(simulator.tester.export_dir),
        "speed": speed,
        "now_s": simulator.now_s(),
    }
    print(json.dumps(ready), file=out, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(stopped)
    server.close()
    simulator.advance()
    simulator.close()


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    session: Session
    sending: deque[bytes] = field(default_factory=deque)
    not_before_s: float = 0.0
    closing: bool = False


class _Server:
    """One thread: requests of all connections wait in one line, as on the tester."""

    def __init__(self, simulator: SimulatedMaccor, clock: ScaledClock, json_port: int, bin_port: int) -> None:
        self._simulator = simulator
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._line: deque[tuple[_Client, Request]] = deque()
        self._free_s = 0.0
        self._clients: list[_Client] = []
        self._listeners: list[socket.socket] = []
        self.json_port = self._listen(json_port, binary=False)
        self.bin_port = self._listen(bin_port, binary=True)

    def _listen(self, port: int, *, binary: bool) -> int:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind((_HOST, port))
        except OSError as problem:
            listener.close()
            for other in self._listeners:
                other.close()
            raise InputError(
                f"port {port} cannot be had: {problem.strerror or problem}", expected="a free port, or none named"
            ) from None
        listener.listen()
        listener.setblocking(False)
        self._listeners.append(listener)
        self._selector.register(listener, selectors.EVENT_READ, binary)
        return int(listener.getsockname()[1])

    def run(self, stopped: Callable[[], bool]) -> None:
        """Serve until told to stop."""
        looked_s = time.monotonic()
        while not stopped():
            for key, _ in self._selector.select(self._until_next_s()):
                if isinstance(key.data, bool):
                    self._accept(key.fileobj, binary=key.data)  # type: ignore[arg-type]  # a listener
                else:
                    self._receive(key.data)
            self._serve_next()
            self._send()
            if time.monotonic() - looked_s > _SAVE_s:
                self._simulator.advance()
                looked_s = time.monotonic()

    def close(self) -> None:
        """Let go of all sockets."""
        for client in list(self._clients):
            self._drop(client)
        for listener in self._listeners:
            self._selector.unregister(listener)
            listener.close()
        self._selector.close()

    def _until_next_s(self) -> float:
        now_s = time.monotonic()
        due = [_IDLE_s]
        if self._line:
            due.append(self._free_s - now_s)
        due += [client.not_before_s - now_s for client in self._clients if client.sending]
        return max(0.0, min(due))

    def _accept(self, listener: socket.socket, *, binary: bool) -> None:
        connection, _ = listener.accept()
        self._simulator.tester.advance(self._clock.now_s())
        if self._simulator.tester.active("refuses"):
            connection.close()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(connection, Session(self._simulator.tables, binary=binary))
        self._clients.append(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _receive(self, client: _Client) -> None:
        try:
            data = client.connection.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._drop(client)
            return
        now_s = time.monotonic()
        if not self._line:
            self._free_s = now_s + self._simulator.tester.settings.service_s
        self._line.extend((client, request) for request in client.session.feed(data))

    def _serve_next(self) -> None:
        if not self._line or time.monotonic() < self._free_s:
            return
        client, request = self._line.popleft()
        delivery = client.session.answer(request, self._clock.now_s())
        if client in self._clients:
            self._deliver(client, delivery)
        self._free_s = time.monotonic() + self._simulator.tester.settings.service_s

    @staticmethod
    def _deliver(client: _Client, delivery: Delivery) -> None:
        client.sending.extend(delivery.pieces)
        client.not_before_s = max(client.not_before_s, time.monotonic() + delivery.late_s)
        client.closing = client.closing or delivery.closes

    def _send(self) -> None:
        now_s = time.monotonic()
        for client in list(self._clients):
            if now_s < client.not_before_s:
                continue
            try:
                if client.sending:
                    client.connection.sendall(client.sending.popleft())
            except OSError:
                client.closing = True
                client.sending.clear()
            if client.closing and not client.sending:
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._selector.unregister(client.connection)
        client.connection.close()
        self._clients.remove(client)
        self._line = deque(entry for entry in self._line if entry[0] is not client)
