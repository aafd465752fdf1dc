"""Registers of the 2400 and 3200 and how their values stand in words. Pure.

Values are read and written in the IEEE area only: 0x8000 + 2 x register, big-endian floats in two words. The plain
area holds integers whose decimal point is implied by the display resolution, so that 183 may mean 18.3 or 183 °C;
only status words are read there. Source: communications manual of the 2000 series, HA026230.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from labctl.errors import LabctlError
from labctl_eurotherm._settings import Model

ZERO_C_K = 273.15

PV, TARGET, OUTPUT, WORKING_OUTPUT, WORKING_SETPOINT = 1, 2, 3, 4, 5
REMOTE_SETPOINT, RATE_LIMIT, SUMMARY = 26, 35, 75
HIGH_LIMIT = 111
SENSOR_BREAK, POWER_FAILED, LOOP_BREAK = 258, 259, 263
MANUAL, ACKNOWLEDGE, LOCAL = 273, 274, 276

IEEE_AREA = 0x8000
FIRST_STATUS, STATUS_WORDS = 258, 20
"""Registers 258 to 277 in one question."""

_COMMON_BITS = {0x20: "sensor break", 0x40: "loop break", 0x80: "heater fail"}
SUMMARY_BITS: dict[Model, dict[int, str]] = {
    "2400": {**_COMMON_BITS, 0x400: "PV out of range", 0x2000: "remote input break"},
    "3200": _COMMON_BITS,  # bits 8 to 14 mean something else there
}
"""Bits of register 75 that forbid heat. Alarms (bits 0-3) are the site's to configure."""
SENSOR_BITS = 0x20 | 0x400 | 0x2000

_PLAUSIBLE_C = (-200.0, 1300.0)


class Garbled(LabctlError):
    """What came cannot be what was asked for."""


def crc16(data: bytes) -> bytes:
    """Return the checksum of an RTU frame (polynomial 0xA001), low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return struct.pack("<H", crc)


def loopback_frame(address: int, token: int) -> bytes:
    """Return the frame of a loop-back test (function 8), which comes back as it is: nothing older follows it."""
    body = struct.pack(">BBHH", address, 8, 0, token)
    return body + crc16(body)


def ieee_address(register: int) -> int:
    """Return where a register stands in the IEEE area."""
    return IEEE_AREA + 2 * register


def float_words(value: float) -> tuple[int, int]:
    """Return the two words of a float, high word first."""
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


def floats(words: Sequence[int]) -> tuple[float, ...]:
    """Return the floats in words of the IEEE area.

    Raises
    ------
    Garbled
        An odd number of words.
    """
    if len(words) % 2:
        raise Garbled(f"{len(words)} words are not floats")
    return struct.unpack(f">{len(words) // 2}f", struct.pack(f">{len(words)}H", *words))


def kelvin(celsius: float) -> float:
    """Return a temperature the controller told, in kelvin.

    Raises
    ------
    Garbled
        No oven has it.
    """
    if not math.isfinite(celsius) or not _PLAUSIBLE_C[0] <= celsius <= _PLAUSIBLE_C[1]:
        raise Garbled(f"{celsius:g} °C is no temperature of an oven")
    return celsius + ZERO_C_K


def rate_value(ramp_K_per_s: float, unit_s: float) -> float:
    """Return the rate limit for a ramp, rounded down to a tenth.

    Raises
    ------
    Garbled
        Slower than a tenth: 0 would switch the limit off, and the set point would jump.
    """
    tenths = math.floor(10.0 * ramp_K_per_s * unit_s + 1e-6)
    if tenths < 1:
        raise Garbled(f"a ramp of {60.0 * ramp_K_per_s:.4g} K/min is too slow for this controller")
    return tenths / 10.0


def summary_faults(word: int, model: Model) -> tuple[str, str]:
    """Return what the summary word says of the sensor and of the heater; empty where all is well."""
    names = SUMMARY_BITS[model]
    sensor = ", ".join(name for bit, name in names.items() if word & bit & SENSOR_BITS)
    heater = ", ".join(name for bit, name in names.items() if word & bit & ~SENSOR_BITS)
    return sensor, heater
