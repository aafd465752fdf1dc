"""The one seam between the driver and a controller: Modbus questions, and nothing waited for without end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol, TypeVar

import minimalmodbus
import serial

from labctl.errors import InstrumentSilent
from labctl_eurotherm._codec import loopback_frame
from labctl_eurotherm._settings import Settings

Answer = TypeVar("Answer")

_MOST_JUNK = 4096


class Link(Protocol):
    """What the driver needs of a line to a controller; a simulated controller offers the same.

    Every method raises `TimeoutError` where nothing came in time, `ValueError` where what came is no answer to the
    question (checksum, function, length), and `PermissionError` where the controller refuses (its first argument is
    the Modbus exception code).
    """

    @property
    def simulated(self) -> bool:
        """No hardware behind it."""
        ...

    def read(self, function: int, address: int, words: int) -> tuple[int, ...]:
        """Return words read by function 3 or 4."""
        ...

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write words by function 16."""
        ...

    def echo(self, token: int) -> int:
        """Return `token` as it comes back (function 8), past everything that was under way before it."""
        ...

    def clear(self) -> None:
        """Drop whatever has come."""
        ...

    def close(self) -> None:
        """Let go; the controller goes on."""
        ...


class SerialLink:
    """A serial port, or a socket that leads to one, with minimalmodbus on it."""

    simulated = False

    def __init__(self, *, station: str, settings: Settings) -> None:
        self._station = station
        self._settings = settings
        self._port: serial.Serial | None = None
        self._modbus: minimalmodbus.Instrument | None = None

    def read(self, function: int, address: int, words: int) -> tuple[int, ...]:
        return tuple(self._ask(lambda modbus: modbus.read_registers(address, words, functioncode=function)))

    def write(self, address: int, words: Sequence[int]) -> None:
        self._ask(lambda modbus: modbus.write_registers(address, list(words)))

    def echo(self, token: int) -> int:
        port, _ = self._open()
        frame = loopback_frame(self._settings.address, token)
        came = b""
        try:
            port.reset_input_buffer()
            port.write(frame)
            while frame not in came:
                more = port.read(1)
                came += more
                if not more or len(came) > _MOST_JUNK:
                    raise TimeoutError(f"no echo came, but {came.hex(' ') or 'nothing'}")
        except serial.SerialException as problem:
            self._lost(problem)
        return token

    def clear(self) -> None:
        if self._port is not None:
            with contextlib.suppress(serial.SerialException, OSError):
                self._port.reset_input_buffer()

    def close(self) -> None:
        port, self._port, self._modbus = self._port, None, None
        if port is not None:
            inner = getattr(port, "_socket", None)  # pySerial 3.5 leaves it open where the other end has gone first
            with contextlib.suppress(serial.SerialException, OSError):
                port.close()
            if inner is not None:
                inner.close()

    def _ask(self, question: Callable[[minimalmodbus.Instrument], Answer]) -> Answer:
        _, modbus = self._open()
        try:
            return question(modbus)
        except minimalmodbus.NoResponseError as problem:
            raise TimeoutError(str(problem)) from None
        except minimalmodbus.SlaveReportedException as problem:
            raise PermissionError(_exception_code(problem), str(problem)) from None
        except (minimalmodbus.MasterReportedException, ValueError) as problem:
            raise ValueError(str(problem)) from None
        except OSError as problem:  # SerialException among them: the adapter was pulled out
            self._lost(problem)

    def _open(self) -> tuple[serial.Serial, minimalmodbus.Instrument]:
        if self._port is not None and self._modbus is not None:
            return self._port, self._modbus
        settings = self._settings
        try:
            port = serial.serial_for_url(
                settings.port,
                baudrate=settings.baud_rate,
                bytesize=8,
                parity={"none": "N", "odd": "O", "even": "E"}[settings.parity],
                stopbits=1,
                timeout=settings.reply_timeout_s,
                write_timeout=2.0,
            )
        except (serial.SerialException, OSError, ValueError) as problem:
            raise InstrumentSilent(
                f"{settings.port} cannot be opened: {problem}",
                instrument=self._station,
                expected="settings.port to be a serial port that is there and free",
                next_step="Look at cable and adapter, and whether another program holds the port",
            ) from None
        self._port = port
        self._modbus = minimalmodbus.Instrument(port, settings.address)
        return self._port, self._modbus

    def _lost(self, problem: Exception) -> NoReturn:
        self.close()
        raise InstrumentSilent(
            f"the line broke: {problem}", instrument=self._station, next_step="It is opened anew"
        ) from None


def _exception_code(problem: Exception) -> int:
    if isinstance(problem, minimalmodbus.IllegalRequestError):
        return 3 if "value" in str(problem).lower() else 2
    return 6
