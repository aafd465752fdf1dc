"""Words, floats, checksums and status bits of the Eurotherm."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_eurotherm._codec import (
    Garbled,
    crc16,
    float_words,
    floats,
    ieee_address,
    kelvin,
    loopback_frame,
    rate_value,
    summary_faults,
)
from labctl_sim_eurotherm._wire import crc16 as crc16_of_simulator


def test_the_manuals_check_frame() -> None:
    """`02 03 00 01 00 02` has the checksum 95 F8 (HA026230)."""
    assert crc16(bytes.fromhex("020300010002")) == bytes.fromhex("95F8")


@given(st.binary(max_size=64))
def test_both_ends_agree_on_the_checksum(data: bytes) -> None:
    """Driver and simulator reckon it each in its own way, bit by bit and by table."""
    assert crc16(data) == crc16_of_simulator(data)


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=10))
def test_floats_go_there_and_back(values: list[float]) -> None:
    """Two words each, high word first."""
    words = [word for value in values for word in float_words(value)]
    assert list(floats(words)) == values
    assert all(0 <= word <= 0xFFFF for word in words)


def test_words_that_are_no_floats() -> None:
    """An odd number of words is refused."""
    with pytest.raises(Garbled, match="3 words"):
        floats((1, 2, 3))


def test_the_ieee_area() -> None:
    """0x8000 + 2 x register; a float is big-endian: 25.0 is 41C8 0000."""
    assert ieee_address(1) == 0x8002
    assert float_words(25.0) == (0x41C8, 0x0000)


@given(st.floats())
def test_a_temperature_is_one_of_an_oven(celsius: float) -> None:
    """Not a number, infinity and over-range are refused, never passed on."""
    if math.isfinite(celsius) and -200.0 <= celsius <= 1300.0:
        assert kelvin(celsius) == celsius + 273.15
    else:
        with pytest.raises(Garbled, match="°C"):
            kelvin(celsius)


@given(st.floats(1e-5, 1.0), st.sampled_from([1.0, 60.0, 3600.0]))
def test_a_rate_is_never_steeper_than_asked_and_never_0(ramp_K_per_s: float, unit_s: float) -> None:
    """0 would switch the limit off: refused instead."""
    try:
        rate = rate_value(ramp_K_per_s, unit_s)
    except Garbled:
        assert ramp_K_per_s * unit_s < 0.1
    else:
        assert 0.1 <= rate <= ramp_K_per_s * unit_s + 1e-6


def test_a_loop_back_frame_is_its_own_answer() -> None:
    """Function 8, sub-function 0, the token, the checksum."""
    frame = loopback_frame(1, 0xA537)
    assert frame[:6] == bytes.fromhex("01080000A537")
    assert crc16(frame[:-2]) == frame[-2:]


def test_summary_bits_differ_by_model() -> None:
    """Bit 10 is PV out of range on a 2400 and something else on a 3200."""
    assert summary_faults(0x20 | 0x400, "2400") == ("sensor break, PV out of range", "")
    assert summary_faults(0x400, "3200") == ("", "")
    assert summary_faults(0x40 | 0x80, "3200") == ("", "loop break, heater fail")
    assert summary_faults(0x0F | 0x10, "2400") == ("", ""), "alarms and manual are judged elsewhere"
