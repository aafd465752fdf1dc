"""minimalmodbus, which knows nothing of labctl, talks to the simulated Eurotherm over a pty, or a socket."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minimalmodbus
import pytest
import serial

from labctl.clock import Clock
from labctl_sim_eurotherm._wire import crc16
from labctl_sim_oven import Lab
from tests.contract.oven_bench import served

IEEE = 0x8000


@contextmanager
def modbus(
    folder: Path, *, tcp: bool = False, timeout_s: float = 0.5, **options: Any
) -> Iterator[tuple[Any, Lab, Clock]]:
    """A minimalmodbus instrument, as any user's script opens it."""
    with served("eurotherm", folder, tcp=tcp, **options) as (resource, lab, clock):
        port = serial.serial_for_url(resource, baudrate=115200, timeout=timeout_s)
        try:
            yield minimalmodbus.Instrument(port, 1), lab, clock
        finally:
            port.close()


def floats(instrument: Any, register: int, count: int = 1) -> list[float]:
    """Read registers from the IEEE area."""
    words = instrument.read_registers(IEEE + 2 * register, 2 * count)
    return list(struct.unpack(f">{count}f", struct.pack(f">{2 * count}H", *words)))


@pytest.mark.parametrize("tcp", [False, True], ids=["pty", "socket"])
def test_both_views_of_a_register_agree(tmp_path: Path, tcp: bool) -> None:
    """The scaled integer is the float to a tenth, by function 3 and 4 alike."""
    with modbus(tmp_path, tcp=tcp) as (instrument, lab, _):
        truth_C = lab.device.oven.nodes.sensor_K - 273.15
        for function in (3, 4):
            assert instrument.read_register(1, 1, functioncode=function) == pytest.approx(truth_C, abs=0.2)
            assert instrument.read_float(IEEE + 2, functioncode=function) == pytest.approx(truth_C, abs=0.15)
        assert floats(instrument, 1, 5)[1] == pytest.approx(25.0)


def test_the_display_resolution_moves_the_decimal_point(tmp_path: Path) -> None:
    """The trap: 183 means 18.3 °C or 183 °C; the IEEE area is spared."""
    with modbus(tmp_path) as (instrument, lab, _):
        tenths = instrument.read_register(1)
        lab.device.suffer("decimal_shift")
        assert instrument.read_register(12550) == 1
        assert instrument.read_register(1) == pytest.approx(tenths / 10.0, abs=1.0)
        assert floats(instrument, 1)[0] == pytest.approx(tenths / 10.0, abs=0.3)


def test_writes_in_both_areas(tmp_path: Path) -> None:
    """Function 6 writes one scaled word, function 16 floats; function 6 is refused in the IEEE area."""
    with modbus(tmp_path) as (instrument, _, _):
        instrument.write_register(2, 80.5, 1, functioncode=6)
        assert floats(instrument, 2)[0] == pytest.approx(80.5)
        instrument.write_float(IEEE + 4, 90.25)
        assert floats(instrument, 2)[0] == pytest.approx(90.25)
        with pytest.raises(minimalmodbus.IllegalRequestError, match="address"):
            instrument.write_register(IEEE + 4, 100, functioncode=6)


def test_exceptions_and_what_is_discarded_without_a_word(tmp_path: Path) -> None:
    """Beyond a limit and read-only: exception 03; not configured: success, and nothing happened."""
    with modbus(tmp_path) as (instrument, _, _):
        with pytest.raises(minimalmodbus.IllegalRequestError, match="value"):
            instrument.write_float(IEEE + 4, 500.0)
        with pytest.raises(minimalmodbus.IllegalRequestError, match="value"):
            instrument.write_float(IEEE + 2, 20.0)
        before = floats(instrument, 400)
        instrument.write_float(IEEE + 800, 12.5)
        assert floats(instrument, 400) == before != [12.5]
        with pytest.raises(minimalmodbus.IllegalRequestError):
            instrument.read_registers(IEEE + 1, 2)


def test_times_are_milliseconds_in_the_ieee_area(tmp_path: Path) -> None:
    """Integral and derivative time are whole milliseconds there, seconds in the plain area."""
    with modbus(tmp_path) as (instrument, _, _):
        for register in (8, 9):
            assert instrument.read_long(IEEE + 2 * register) == 1000 * instrument.read_register(register)


def test_the_ramp_is_the_rate_limit(tmp_path: Path) -> None:
    """In auto the working set point follows the target by register 35 from where the oven is."""
    with modbus(tmp_path, speed=1000.0) as (instrument, lab, clock):
        began_s = clock.now_s()
        start_C = lab.device.oven.nodes.sensor_K - 273.15
        instrument.write_float(IEEE + 70, 4.0)
        instrument.write_register(273, 0, functioncode=6)
        instrument.write_float(IEEE + 4, 45.0)
        working_C = start_C
        while working_C < 45.0:
            (working_C,) = floats(instrument, 5)
            assert working_C <= start_C + 4.0 / 60.0 * (clock.now_s() - began_s + 15.0) + 0.5
        assert instrument.read_register(277) == 1


def test_loop_back_and_fast_status(tmp_path: Path) -> None:
    """Function 8 comes back as it went; function 7 gives the status byte."""
    with modbus(tmp_path) as (instrument, lab, _):
        for body, length in ((b"\x01\x08\x00\x00\xa5\x37", 8), (b"\x01\x07", 5)):
            instrument.serial.write(body + crc16(body))
            came = instrument.serial.read(length)
            assert crc16(came[:-2]) == came[-2:]
            assert came[:-2] == body if length == 8 else came[2] == lab.device.summary() & 0xFF  # type: ignore[attr-defined]  # a Eurotherm's


def test_a_mute_controller_and_a_wrong_address_are_silent(tmp_path: Path) -> None:
    """Nobody answers for another address, or while mute; afterwards all is as it was."""
    faults = "  - {fault: mute, at: 0 s, for: 10 min}\n"
    with modbus(tmp_path, timeout_s=0.1, speed=600.0, faults=faults) as (instrument, lab, clock):
        with pytest.raises(minimalmodbus.NoResponseError):
            instrument.write_float(IEEE + 4, 100.0)
        mended_s = lab.device.oven.born_s + 605.0
        while clock.now_s() < mended_s:
            clock.wait_until(mended_s)
        assert floats(instrument, 2)[0] == pytest.approx(25.0)
        instrument.address = 7
        with pytest.raises(minimalmodbus.NoResponseError):
            instrument.read_register(1)


@pytest.mark.parametrize("fault", ["bad_crc", "reply_garbled", "reply_truncated"])
def test_a_spoilt_frame_is_refused(tmp_path: Path, fault: str) -> None:
    """Minimalmodbus does not take a frame with a wrong checksum or length; the next is whole."""
    with modbus(tmp_path, timeout_s=0.1, faults=f"  - {{fault: {fault}, at: 0 s}}\n") as (instrument, _, _):
        with pytest.raises(minimalmodbus.InvalidResponseError):
            floats(instrument, 2)
        assert floats(instrument, 2)[0] == pytest.approx(25.0)


def test_a_late_answer_is_taken_for_the_next_one(tmp_path: Path) -> None:
    """The trap: frames carry no names, so the late answer to one register passes for another's of the same length."""
    faults = "  - {fault: reply_late, at: 0 s, by: 600 ms}\n"
    with modbus(tmp_path, timeout_s=0.1, faults=faults) as (instrument, _, _):
        with pytest.raises(minimalmodbus.NoResponseError):
            floats(instrument, 2)
        instrument.serial.timeout = 1.0
        assert floats(instrument, 1)[0] == pytest.approx(25.0, abs=1e-4), "the set point, taken for the temperature"
        instrument.serial.read(9)
        assert floats(instrument, 1)[0] == pytest.approx(22.0, abs=0.2)


def test_after_a_mains_dip(tmp_path: Path) -> None:
    """Manual at 0 %, rate limit gone, power-fail flag up until it is acknowledged."""
    faults = "  - {fault: power_dip, at: 20 min}\n"
    with modbus(tmp_path, speed=1000.0, faults=faults) as (instrument, _, _):
        instrument.write_float(IEEE + 70, 4.0)
        instrument.write_register(273, 0, functioncode=6)
        instrument.write_float(IEEE + 4, 120.0)
        while instrument.read_register(273) == 0:
            pass
        assert instrument.read_register(259) == 1
        assert floats(instrument, 3)[0] == 0.0
        assert floats(instrument, 35)[0] == 0.0
        instrument.write_register(274, 1, functioncode=6)
        assert instrument.read_register(259) == 0


def test_the_manuals_check_frame() -> None:
    """The check frame of HA026230: `02 03 00 01 00 02` has the checksum 95 F8."""
    assert crc16(bytes.fromhex("020300010002")) == b"\x95\xf8"
