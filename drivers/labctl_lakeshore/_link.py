"""The one seam between the driver and a controller: lines of text, and nothing that is waited for without end."""

from __future__ import annotations

import contextlib
from typing import NoReturn, Protocol

import pyvisa
from pyvisa.constants import Parity, ResourceAttribute, StatusCode, StopBits
from pyvisa.errors import VisaIOError
from pyvisa.resources import MessageBasedResource, SerialInstrument

from labctl.clock import Clock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl_lakeshore._settings import Settings
from labctl_oven import pause

_QUIET_ms = 2
_DRAIN_LINES = 100


class Link(Protocol):
    """What the driver needs of a line to a controller; a simulated controller offers the same."""

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        ...

    def send(self, message: str) -> None:
        """Send one line (the terminator is the link's)."""
        ...

    def receive(self, timeout_s: float) -> str | None:
        """Return the next line without its terminator; None if none came in time."""
        ...

    def clear(self) -> None:
        """Drop whatever has come; bounded in time."""
        ...

    def close(self) -> None:
        """Let go; the controller goes on."""
        ...


class VisaLink:
    """A VISA session: USB virtual serial (ASRL), GPIB, or a TCP socket.

    Messages keep the distance the controller needs. `clear` reads until nothing comes: PyVISA-py's own `clear` of a
    socket never returns once the other end has closed.
    """

    simulated = False

    def __init__(self, *, station: str, settings: Settings, clock: Clock) -> None:
        self._station = station
        self._settings = settings
        self._clock = clock
        self._manager: pyvisa.ResourceManager | None = None
        self._session: MessageBasedResource | None = None
        self._spoke_s = float("-inf")
        self._silences = 0

    def send(self, message: str) -> None:
        session = self._open()
        rest_s = self._spoke_s + self._settings.message_gap_s - self._clock.monotonic_s()
        if rest_s > 0.0:
            pause(self._clock, rest_s)
        try:
            session.write_raw(message.encode("ascii") + b"\r\n")
        except Exception as problem:  # noqa: BLE001 - VISA libraries raise VisaIOError, OSError, and worse
            self._lost(problem, message)
        self._spoke_s = self._clock.monotonic_s()

    def receive(self, timeout_s: float) -> str | None:
        line = self._read(max(1, round(1000.0 * timeout_s)))
        self._silences = 0 if line is not None else self._silences + 1
        if self._silences >= 3:  # a peer that has gone is not told from a silent one: begin a new session
            self._drop()
        return line

    def clear(self) -> None:
        if self._session is None:
            return
        for _ in range(_DRAIN_LINES):
            if self._read(_QUIET_ms) is None:
                return

    def close(self) -> None:
        self._drop()
        if self._manager is not None:
            with contextlib.suppress(Exception):
                self._manager.close()
            self._manager = None

    def _read(self, timeout_ms: int) -> str | None:
        session = self._open()
        session.timeout = timeout_ms
        try:
            raw = session.read_raw()
        except VisaIOError as problem:
            if problem.error_code == StatusCode.error_timeout:
                return None
            self._lost(problem, "")
        except OSError as problem:
            self._lost(problem, "")
        return raw.decode("ascii", errors="replace").strip()

    def _open(self) -> MessageBasedResource:
        if self._session is not None:
            return self._session
        settings = self._settings
        if self._manager is None:
            self._manager = pyvisa.ResourceManager(settings.visa_library)
        try:
            session = self._manager.open_resource(settings.resource, open_timeout=5000)
        except Exception as problem:  # noqa: BLE001 - PyVISA-py raises bare Exception here
            raise InstrumentSilent(
                f"{settings.resource} cannot be opened: {problem}",
                instrument=self._station,
                expected="settings.resource to be a VISA resource that is there and free",
                next_step="Look at cable and power, and whether another program holds the line",
            ) from None
        if not isinstance(session, MessageBasedResource):
            raise InstrumentError(f"{settings.resource} carries no messages", instrument=self._station)
        if isinstance(session, SerialInstrument):
            session.baud_rate, session.data_bits = settings.baud_rate, 7
            session.parity, session.stop_bits = Parity.odd, StopBits.one
        session.set_visa_attribute(ResourceAttribute.termchar, ord("\n"))
        session.set_visa_attribute(ResourceAttribute.termchar_enabled, state=True)
        self._session = session
        return self._session

    def _lost(self, problem: Exception, message: str) -> NoReturn:
        self._drop()
        raise InstrumentSilent(
            f"the line broke: {problem}", instrument=self._station, command=message, next_step="It is opened anew"
        ) from None

    def _drop(self) -> None:
        self._silences = 0
        if self._session is not None:
            with contextlib.suppress(Exception):
                self._session.close()
            self._session = None
