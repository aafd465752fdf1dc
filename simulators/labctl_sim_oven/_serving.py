"""Simulated controllers on a real wire: TCP sockets on loopback, or a pty, in scaled time and one thread."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from labctl.clock import ScaledClock
from labctl_sim_oven._lab import Lab
from labctl_sim_oven._port import Port

_HOST = "127.0.0.1"  # vendors' wires carry no token: loopback only
_CHUNK = 4096
_IDLE_s = 0.05  # real time; a frame that is not whole by then never will be
_SAVE_s = 5.0  # real time between two saves when nobody asks


class _Stream(Protocol):
    def fileno(self) -> int: ...

    def receive(self) -> bytes | None:
        """Return what has come; None when the other end has gone."""
        ...

    def send(self, data: bytes) -> None: ...

    def close(self) -> None: ...


class _Connection:
    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> bytes | None:
        try:
            return self._socket.recv(_CHUNK) or None
        except OSError:
            return None

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the client has gone; it will be noticed at the next receive
            self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()


class _Pty:
    """The instrument's end of a pseudo-terminal; the client opens `path` as a serial port."""

    def __init__(self) -> None:
        import tty  # noqa: PLC0415 - there are no ptys on Windows

        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)

    def fileno(self) -> int:
        return self._master

    def receive(self) -> bytes | None:
        return os.read(self._master, _CHUNK)

    def send(self, data: bytes) -> None:
        os.write(self._master, data)

    def close(self) -> None:
        os.close(self._master)
        os.close(self._slave)


def has_pty() -> bool:
    """Whether this system has pseudo-terminals."""
    return hasattr(os, "openpty")


@dataclass(slots=True)
class _Client:
    stream: _Stream
    port: Port


class Server:
    """Serves one simulated controller to any client until it is told to stop.

    Parameters
    ----------
    new_port : callable
        Makes the instrument's end of one line.
    port : int or None
        TCP port; 0: any free one; None: a pty instead.
    """

    def __init__(
        self, lab: Lab, new_port: Callable[[], Port], clock: ScaledClock, *, speed: float, port: int | None = 0
    ) -> None:
        self._listener = None if port is None else socket.create_server((_HOST, port))  # before all else: it may fail
        self._lab = lab
        self._new_port = new_port
        self._clock = clock
        self._speed = speed
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._clients: dict[int, _Client] = {}
        self._stopped = False
        self.tcp_port: int | None = None
        self.pty_path: str | None = None
        if self._listener is None:
            pty = _Pty()
            self.pty_path = pty.path
            self._admit(pty)
        else:
            self.tcp_port = int(self._listener.getsockname()[1])
            self._selector.register(self._listener, selectors.EVENT_READ)

    def run(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Serve until `stop`, or until `stopped` says so."""
        saved_s = self._clock.now_s()
        try:
            while not (self._stopped or stopped()):
                events = self._selector.select(self._patience_s())
                now_s = self._clock.now_s()
                for key, _ in events:
                    self._attend(key.fileobj, now_s)
                if not events:
                    self._lab.advance(now_s)
                    for client in self._clients.values():
                        client.port.idle()
                self._send_due()
                if now_s - saved_s > _SAVE_s * self._speed:
                    self._lab.save()
                    saved_s = now_s
        finally:
            self._lab.save()
            self._close()

    def stop(self) -> None:
        """End `run`, from any thread."""
        self._stopped = True
        with contextlib.suppress(OSError):
            self._wake_in.send(b"!")

    def _patience_s(self) -> float:
        """Real time until something has to be sent, or an unfinished frame given up."""
        due = [due_s for client in self._clients.values() if (due_s := client.port.next_s()) is not None]
        left_s = (min(due) - self._clock.now_s()) / self._speed if due else _IDLE_s
        return min(_IDLE_s, max(0.0, left_s))

    def _attend(self, source: object, now_s: float) -> None:
        if source is self._wake_out:
            self._wake_out.recv(16)
        elif source is self._listener:
            assert self._listener is not None
            connected, _ = self._listener.accept()
            self._admit(_Connection(connected))
        elif isinstance(source, (_Connection, _Pty)):
            client = self._clients[source.fileno()]
            data = source.receive()
            if data is None:
                self._dismiss(client)
            else:
                client.port.feed(data, now_s)

    def _admit(self, stream: _Connection | _Pty) -> None:
        self._clients[stream.fileno()] = _Client(stream, self._new_port())
        self._selector.register(stream, selectors.EVENT_READ)

    def _dismiss(self, client: _Client) -> None:
        del self._clients[client.stream.fileno()]
        self._selector.unregister(client.stream)
        client.stream.close()

    def _send_due(self) -> None:
        now_s = self._clock.now_s()
        for client in self._clients.values():
            data = client.port.take(now_s)
            if data:
                client.stream.send(data)

    def _close(self) -> None:
        for client in list(self._clients.values()):
            self._dismiss(client)
        for closing in (self._listener, self._wake_in, self._wake_out):
            if closing is not None:
                closing.close()
        self._selector.close()
