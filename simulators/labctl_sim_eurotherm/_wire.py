"""The controller's end of the wire: Modbus RTU frames in and out; and the simulator a station opens.

Two views of the same registers: 16-bit integers whose decimal point is implied by the display resolution (register
12550), and the IEEE area at 0x8000 + 2 x register: big-endian floats in two words, both in one transfer, function 16
only. A frame with a wrong CRC, or for another address, is met with silence.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labctl.clock import Clock
from labctl_sim_eurotherm._device import (
    PERCENTAGES,
    TEMPERATURES,
    TIMES,
    Eurotherm,
    Refused,
    Settings,
)
from labctl_sim_oven import Lab, Port, load_faults, read_block

IEEE_AREA = 0x8000
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
_LONGEST = {"2400": 125, "3200": 32}


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


_CRC = tuple(map(_crc_of, range(256)))


def crc16(data: bytes) -> bytes:
    """Return the checksum of a frame (polynomial 0xA001), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return struct.pack("<H", crc)


class _Exception(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Grammar:
    """Reads and answers Modbus RTU."""

    def __init__(self, device: Eurotherm) -> None:
        self._device = device
        self.latency_s = device.settings.latency_s

    # --------------------------------------------------------------------------------------- framing

    def split(self, received: bytes) -> tuple[list[bytes], bytes]:
        """Frames have no delimiter but silence: their length follows from the function code."""
        frames = []
        while received:
            length = _frame_length(received)
            if length is None or len(received) < length:
                break
            frames.append(received[:length])
            received = received[length:]
        return frames, received

    def spoil(self, answer: bytes, how: str) -> bytes:
        if how == "truncated":
            return answer[: max(1, len(answer) // 2)]
        if how == "crc":
            return answer[:-1] + bytes([answer[-1] ^ 0xFF])
        return bytes(byte ^ 0x55 if index % 3 == 1 else byte for index, byte in enumerate(answer))

    def answer(self, message: bytes, now_s: float) -> bytes:
        del now_s
        body, address = message[:-2], message[0]
        if crc16(body) != message[-2:] or address not in {0, self._device.settings.address}:
            return b""
        try:
            reply = self._carry_out(body)
        except _Exception as problem:
            reply = bytes([address, body[1] | 0x80, problem.code])
        return b"" if address == 0 else reply + crc16(reply)  # a broadcast is obeyed without a word

    def _carry_out(self, body: bytes) -> bytes:
        address, function = body[0], body[1]
        match function:
            case 3 | 4:
                start, words = struct.unpack(">HH", body[2:6])
                data = self._read(start, words)
                return bytes([address, function, len(data)]) + data
            case 6:
                register, value = struct.unpack(">Hh", body[2:6])
                if register >= IEEE_AREA:
                    raise _Exception(ILLEGAL_ADDRESS)
                self._write_scaled(register, value)
                return body
            case 7:
                return bytes([address, function, self._device.summary() & 0xFF])
            case 8:
                if body[2:4] != b"\x00\x00":
                    raise _Exception(ILLEGAL_VALUE)
                return body
            case 16:
                start, words = struct.unpack(">HH", body[2:6])
                self._write(start, words, body[7:])
                return body[:6]
            case _:
                raise _Exception(ILLEGAL_FUNCTION)

    # --------------------------------------------------------------------------------------- reading

    def _read(self, start: int, words: int) -> bytes:
        if not 1 <= words <= _LONGEST[self._device.settings.model]:
            raise _Exception(ILLEGAL_VALUE)
        if start < IEEE_AREA:
            return b"".join(struct.pack(">h", self._scaled(start + index)) for index in range(words))
        if start % 2 or words % 2 or start + words > 0x10000:
            raise _Exception(ILLEGAL_ADDRESS)
        first = (start - IEEE_AREA) // 2
        return b"".join(self._whole(first + index) for index in range(words // 2))

    def _scaled(self, register: int) -> int:
        value = self._device.value(register) * self._scale(register)
        return max(-32768, min(32767, round(value)))

    def _scale(self, register: int) -> float:
        if register in TEMPERATURES | {35}:
            return 1.0 if self._device.registers.integer else 10.0
        return 10.0 if register in PERCENTAGES else 1.0

    def _whole(self, register: int) -> bytes:
        value = self._device.value(register)
        return struct.pack(">i", round(1000.0 * value)) if register in TIMES else struct.pack(">f", value)

    # --------------------------------------------------------------------------------------- writing

    def _write_scaled(self, register: int, value: int) -> None:
        self._set(register, value / self._scale(register))

    def _write(self, start: int, words: int, data: bytes) -> None:
        if len(data) != 2 * words:
            raise _Exception(ILLEGAL_VALUE)
        if start < IEEE_AREA:
            for index in range(words):
                self._write_scaled(start + index, struct.unpack(">h", data[2 * index : 2 * index + 2])[0])
            return
        if start % 2 or words % 2:
            raise _Exception(ILLEGAL_ADDRESS)
        for index in range(words // 2):
            register = (start - IEEE_AREA) // 2 + index
            piece = data[4 * index : 4 * index + 4]
            if register in TIMES:
                self._set(register, struct.unpack(">i", piece)[0] / 1000.0)
            else:
                self._set(register, struct.unpack(">f", piece)[0])

    def _set(self, register: int, value: float) -> None:
        if not math.isfinite(value):
            raise _Exception(ILLEGAL_VALUE)
        try:
            self._device.write(register, value)
        except Refused:
            raise _Exception(ILLEGAL_VALUE) from None


def _frame_length(received: bytes) -> int | None:
    if len(received) < 2:
        return None
    if received[1] == 16:
        return 9 + received[6] if len(received) > 6 else None
    return 4 if received[1] == 7 else 8


# ---------------------------------------------------------------------------------------------- simulator


class InstrumentLink:
    """What the driver of a rehearsal has in place of a serial port: the same frames, without the wire."""

    simulated = True

    def __init__(self, port: Port, clock: Clock, *, address: int) -> None:
        self._port = port
        self._clock = clock
        self._address = address
        self._come = b""
        self.timeout_s = 1.0

    def read(self, function: int, address: int, words: int) -> tuple[int, ...]:
        """Read words (function 3 or 4)."""
        reply = self._exchange(struct.pack(">BHH", function, address, words), 3 + 2 * words)
        if reply[2] != 2 * words:
            raise ValueError(f"{reply.hex(' ')}: not as many words as were asked for")
        return struct.unpack(f">{words}H", reply[3:])

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write words (function 16)."""
        data = struct.pack(f">{len(words)}H", *words)
        reply = self._exchange(struct.pack(">BHHB", 16, address, len(words), len(data)) + data, 6)
        if reply[2:] != struct.pack(">HH", address, len(words)):
            raise ValueError(f"{reply.hex(' ')}: another write is acknowledged")

    def echo(self, token: int) -> int:
        """Return what comes back for `token` (function 8), past everything that came before."""
        sent = struct.pack(">BHH", 8, 0, token)
        self._send(sent)
        self._collect()
        whole = bytes([self._address]) + sent
        whole += crc16(whole)
        at = self._come.find(whole)
        if at < 0:
            raise TimeoutError("no echo came")
        self._come = self._come[at + len(whole) :]
        return token

    def clear(self) -> None:
        """Drop what has come."""
        self._port.take(self._clock.now_s())
        self._come = b""

    def close(self) -> None:
        """Let go; the controller goes on."""

    def _send(self, pdu: bytes) -> None:
        self._port.refuse(self._clock.now_s())
        frame = bytes([self._address]) + pdu
        self._port.feed(frame + crc16(frame), self._clock.now_s())
        self._port.idle()

    def _collect(self) -> None:
        self._come += self._port.take(self._clock.now_s() + self.timeout_s)

    def _exchange(self, pdu: bytes, length: int) -> bytes:
        """Send, and take what comes next for the answer, as any master on a line without frames must."""
        self.clear()
        self._send(pdu)
        self._collect()
        if not self._come:
            raise TimeoutError("no answer came")
        refused = len(self._come) >= 5 and self._come[1] & 0x80 != 0
        size = 5 if refused else length + 2
        frame, self._come = self._come[:size], self._come[size:]
        if len(frame) < size or crc16(frame[:-2]) != frame[-2:]:
            raise ValueError(f"{frame.hex(' ')}: wrong length or checksum")
        if frame[0] != self._address or frame[1] & 0x7F != pdu[0]:
            raise ValueError(f"{frame.hex(' ')}: the answer to another question")
        if refused:
            raise PermissionError(frame[2], f"exception {frame[2]:02d}")
        return frame[:-2]


class SimulatedEurotherm:
    """A simulated controller and its oven whose state and time live in a folder and outlast the process."""

    def __init__(self, lab: Lab, device: Eurotherm, clock: Clock) -> None:
        self.lab = lab
        self.device = device
        self._clock = clock

    def next_event_s(self) -> float | None:
        """Wall time of the next thing somebody who watches would want to see; None if all rests."""
        self.lab.advance(self._clock.now_s())
        return self.lab.next_event_s()

    def now_s(self) -> float:
        """The oven's own time."""
        return self.lab.now_s()

    def sample_K(self) -> float:
        """The temperature of what is in the oven, now: for simulators of what is measured on it."""
        self.lab.advance(self._clock.now_s())
        return self.device.oven.sample_K()

    def new_port(self) -> Port:
        """Return the instrument's end of one line."""
        return Port(self.lab, Grammar(self.device))

    def link(self) -> InstrumentLink:
        """The object that stands in for the driver's link."""
        return InstrumentLink(self.new_port(), self._clock, address=self.device.settings.address)

    def close(self) -> None:
        """Save and let go."""
        self.lab.save()


def open_simulator(
    *,
    station: str,
    state_dir: Path,
    clock: Clock,
    seed: int,
    sample: Path | None = None,
    settings: Mapping[str, Any],
    faults: Path | None = None,
) -> SimulatedEurotherm:
    """Return the simulated controller kept in `state_dir`: made if there is none, taken up again if there is.

    `sample` is of no consequence: what is in an oven here is heat capacity. Model and address are the driver's, so
    that one lab file cannot contradict itself.

    Raises
    ------
    InputError
        Settings or fault script cannot be used; the finding says where.
    """
    del sample
    block = settings.get("simulator", {})
    shared = {key: settings[key] for key in ("model", "address") if key in settings}
    if isinstance(block, Mapping):
        block = {**shared, **block}
    checked = read_block(Settings, block, where=f"stations.{station}.simulator")
    script = () if faults is None else load_faults(faults, controller="eurotherm", station=station)
    state_dir.mkdir(parents=True, exist_ok=True)
    device = Eurotherm(checked, seed=seed, born_s=clock.now_s())
    lab = Lab(device, script, state_dir=state_dir, start_s=clock.now_s())
    lab.advance(clock.now_s())
    return SimulatedEurotherm(lab, device, clock)
