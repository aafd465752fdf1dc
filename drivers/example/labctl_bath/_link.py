"""The one seam to the outside: lines out, lines in. The simulator offers the same."""

from __future__ import annotations

import socket
from typing import Protocol

from labctl.errors import InstrumentSilent
from labctl_bath._settings import Settings

_LONGEST = 200


class Link(Protocol):
    """What the driver needs of a line to a bath."""

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        ...

    def send(self, data: bytes) -> None:
        """Send one message."""
        ...

    def receive(self) -> bytes:
        """Return the next line that comes; raises `TimeoutError` where none comes in time."""
        ...

    def close(self) -> None:
        """Let go; the bath goes on."""
        ...


class TcpLink:
    """A socket to a real bath, opened when it is needed and anew after anything went wrong."""

    simulated = False

    def __init__(self, *, station: str, settings: Settings) -> None:
        self._station = station
        self._settings = settings
        self._socket: socket.socket | None = None
        self._come = b""

    def send(self, data: bytes) -> None:
        try:
            if self._socket is None:
                address = (self._settings.host, self._settings.port)
                self._socket = socket.create_connection(address, timeout=self._settings.reply_timeout_s)
            self._socket.sendall(data)
        except OSError as problem:
            self.close()
            raise InstrumentSilent(
                f"{self._settings.host}:{self._settings.port} cannot be reached: {problem.strerror or problem}",
                instrument=self._station,
                next_step="Is the bath on, is its cable in, does another program hold it?",
            ) from None

    def receive(self) -> bytes:
        if self._socket is None:
            raise TimeoutError("the line is closed")
        while b"\n" not in self._come:
            try:
                more = self._socket.recv(_LONGEST)
            except OSError as problem:
                self.close()
                raise TimeoutError(str(problem)) from None
            if not more or len(self._come) > _LONGEST:
                self.close()
                raise TimeoutError("the bath closed the line")
            self._come += more
        line, _, self._come = self._come.partition(b"\n")
        return line + b"\n"

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._come = None, b""
