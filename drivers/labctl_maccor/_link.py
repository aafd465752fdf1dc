"""The one seam between the driver and a tester: a request answered by a reply, and two folders.

Over TCP every wait has a deadline, and a connection on which anything went wrong is closed: no late reply can then be
read as the answer to a later request. A connection is not tried again before a back-off has passed, and never inside
the call that lost it, so a tester that closes on connect costs one short attempt now and then.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import NoReturn, Protocol

from labctl.clock import Clock
from labctl.errors import InstrumentSilent
from labctl_maccor._codec import Framer, Garbled, answers, describe
from labctl_maccor._settings import Settings

_CHUNK_BYTES = 65536
_STALE_REPLIES = 20
_FIRST_BACK_OFF_S = 0.5
_LAST_BACK_OFF_S = 10.0


class Link(Protocol):
    """What the driver needs of a tester; a simulated tester offers the same."""

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        ...

    @property
    def procedures_dir(self) -> Path:
        """The tester's ``Procedur`` folder, as this computer sees it."""
        ...

    @property
    def export_dir(self) -> Path:
        """Where text exports appear, named ``<test name>.<three-digit channel>``, perhaps with a suffix."""
        ...

    def exchange(self, request: bytes) -> bytes:
        """Send one JSON request and return the JSON object that answers it.

        Raises
        ------
        InstrumentSilent
            No reply in time, or the connection was lost; whether the request was carried out is not known.
        """
        ...

    def close(self) -> None:
        """Let go; tests go on running."""
        ...


class TcpLink:
    """The JSON port of a tester (default 57570), one connection, one request at a time."""

    simulated = False

    def __init__(self, *, station: str, settings: Settings, clock: Clock) -> None:
        self._station = station
        self._settings = settings
        self._clock = clock
        self._socket: socket.socket | None = None
        self._back_off_s = 0.0
        self._not_before_s = float("-inf")
        self.procedures_dir = settings.procedures_dir
        self.export_dir = settings.export_dir
        self.dropped = 0
        """Replies to other requests that were read and left."""

    def exchange(self, request: bytes) -> bytes:
        deadline_s = self._clock.monotonic_s() + self._settings.reply_timeout_s
        connection = self._connected(request)
        try:
            connection.settimeout(self._settings.reply_timeout_s)
            connection.sendall(request)
            reply = self._receive(connection, request, deadline_s)
        except (OSError, Garbled) as problem:
            self._lost(request, str(problem) or type(problem).__name__)
        self._back_off_s = 0.0
        return reply

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _receive(self, connection: socket.socket, request: bytes, deadline_s: float) -> bytes:
        framer = Framer()
        for _ in range(_STALE_REPLIES):
            while (reply := framer.next()) is None:
                left_s = deadline_s - self._clock.monotonic_s()
                if left_s <= 0.0:
                    raise TimeoutError(f"no whole reply within {self._settings.reply_timeout_s:g} s")
                connection.settimeout(left_s)
                chunk = connection.recv(_CHUNK_BYTES)
                if not chunk:
                    raise ConnectionError("the tester closed the connection")
                framer.feed(chunk)
            if answers(request, reply):
                return reply
            self.dropped += 1
        raise Garbled(f"{_STALE_REPLIES} replies, none of them to this request")

    def _connected(self, request: bytes) -> socket.socket:
        if self._socket is not None:
            return self._socket
        where = f"{self._settings.host}:{self._settings.port}"
        wait_s = self._not_before_s - self._clock.monotonic_s()
        if wait_s > 0.0:
            raise InstrumentSilent(
                f"no connection to {where}; the next attempt is due in {wait_s:.1f} s",
                instrument=self._station,
                command=describe(request),
            )
        try:
            self._socket = socket.create_connection(
                (self._settings.host, self._settings.port), timeout=self._settings.connect_timeout_s
            )
        except OSError as problem:
            self._lost(request, f"{where} cannot be reached: {problem}")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _lost(self, request: bytes, what: str) -> NoReturn:
        self.close()
        self._not_before_s = self._clock.monotonic_s() + self._back_off_s
        self._back_off_s = min(_LAST_BACK_OFF_S, max(_FIRST_BACK_OFF_S, 2.0 * self._back_off_s))
        raise InstrumentSilent(
            what,
            instrument=self._station,
            command=describe(request),
            next_step="If it stays so: does the tester program run, and does the firewall let its JSON port through?",
        ) from None
