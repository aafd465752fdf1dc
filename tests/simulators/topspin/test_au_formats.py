"""printf and sscanf of AU programs against the C library of the computer that runs the tests."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from labctl_sim_topspin._au_formats import leading_double, leading_int, print_format, scan, scan_format
from labctl_sim_topspin._au_values import INT_MAX, INT_MIN, Fault

needs_libc = pytest.mark.skipif(sys.platform == "win32", reason="the C library is loaded as POSIX systems offer it")


def libc() -> Any:
    """The C library of this computer."""
    return ctypes.CDLL(None)


FLAGS = st.sampled_from(["", "-", "0", "+", " ", "-+"])
WIDTH = st.sampled_from(["", "1", "6", "12"])


@needs_libc
@given(FLAGS, WIDTH, st.sampled_from("di"), st.integers(INT_MIN, INT_MAX))
def test_ints_print_as_in_c(flags: str, width: str, letter: str, value: int) -> None:
    """%d and %i give what this computer's snprintf gives."""
    form = f"<%{flags}{width}{letter}>"
    buffer = ctypes.create_string_buffer(200)
    libc().snprintf(buffer, 200, form.encode(), ctypes.c_int(value))
    assert print_format(form).fill((value,)) == buffer.value


@needs_libc
@given(
    FLAGS,
    WIDTH,
    st.sampled_from(["", ".0", ".3", ".9"]),
    st.sampled_from(["f", "lf", "e", "g", "E", "G"]),
    st.floats(allow_nan=False, allow_infinity=False, width=64),
)
def test_doubles_print_as_in_c(flags: str, width: str, precision: str, letter: str, value: float) -> None:
    """%f, %e and %g give what this computer's snprintf gives."""
    form = f"<%{flags}{width}{precision}{letter}>"
    buffer = ctypes.create_string_buffer(1000)
    libc().snprintf(buffer, 1000, form.encode(), ctypes.c_double(value))
    assert print_format(form).fill((value,)) == buffer.value


@needs_libc
@given(st.sampled_from(["", "-", "-8", "8", ".2", "5.3"]), st.text("abc =", max_size=10))
def test_text_prints_as_in_c(size: str, value: str) -> None:
    """%s gives what this computer's snprintf gives."""
    form = f"<%{size}s>"
    buffer = ctypes.create_string_buffer(200)
    libc().snprintf(buffer, 200, form.encode(), ctypes.c_char_p(value.encode()))
    assert print_format(form).fill((value,)) == buffer.value


SCAN_TEXT = st.text(alphabet="0123456789+-. =abx\nkey", max_size=16)


@needs_libc
@given(SCAN_TEXT, st.sampled_from(["%d", " %d", "key=%d", "%2d", "x %d", "%d%%"]))
def test_ints_scan_as_in_c(text: str, form: str) -> None:
    """%d finds the ints that this computer's sscanf finds."""
    found = ctypes.c_int(-77)
    count = libc().sscanf(text.encode(), form.encode(), ctypes.byref(found))
    try:
        values, returned = scan(scan_format(form), text.encode())
    except Fault:
        assume(False)
    assert returned == count
    assert values == ([found.value] if count == 1 else [])


@needs_libc
@given(SCAN_TEXT, st.sampled_from(["%lf", "key=%lf", "%5lf"]))
def test_doubles_scan_as_in_c(text: str, form: str) -> None:
    """%lf finds the numbers that this computer's sscanf finds."""
    found = ctypes.c_double(-77.0)
    count = libc().sscanf(text.encode(), form.encode(), ctypes.byref(found))
    try:
        values, returned = scan(scan_format(form), text.encode())
    except Fault:
        assume(False)
    assert returned == count
    assert values == ([found.value] if count == 1 else [])


@needs_libc
@given(SCAN_TEXT, st.sampled_from(["%s", "%3s", "%[^\n]", "key=%[^\n]", "%*s %s", "%[a-c]", "%[^=]=%*d", "%[]x]"]))
def test_text_scans_as_in_c(text: str, form: str) -> None:
    """%s and %[...] take the characters that this computer's sscanf takes."""
    found = ctypes.create_string_buffer(b"unset", 64)
    count = libc().sscanf(text.encode(), form.encode(), found)
    try:
        values, returned = scan(scan_format(form), text.encode())
    except Fault:
        assume(False)
    assert returned == count
    assert values == ([found.value] if found.value != b"unset" else [])


@needs_libc
@given(SCAN_TEXT)
def test_atoi_and_atof_read_as_in_c(text: str) -> None:
    """Atoi and atof take the number at the start of a text."""
    library = libc()
    library.atof.restype = ctypes.c_double
    try:
        assert leading_int(text.encode()) == library.atoi(text.encode())
        assert leading_double(text.encode()) == library.atof(text.encode())
    except Fault:
        assume(False)


@pytest.mark.parametrize("form", ["%q", "%ld", "%05s", "%+x", "%#o", "%", "%.3q", "%05.3d", "%99999d", "%p", "%n"])
def test_printf_formats_that_consoles_do_not_share_are_refused(form: str) -> None:
    """A conversion outside the subset is no format."""
    with pytest.raises(ValueError, match="%"):
        print_format(form)


@pytest.mark.parametrize("form", ["%i", "%ld", "%x", "%0d", "%5c", "%p", "%", "%*n"])
def test_scanf_formats_outside_the_subset_are_refused(form: str) -> None:
    """A conversion outside the subset is no format."""
    with pytest.raises(ValueError, match="%"):
        scan_format(form)


@pytest.mark.parametrize("text", ["inf", "-nan", "0x1F", "1e", "2.5e+"])
def test_numbers_that_only_some_consoles_read_are_a_fault(text: str) -> None:
    """Infinities, hexadecimal and half an exponent read differently from one C library to the next."""
    with pytest.raises(Fault, match="some consoles"):
        leading_double(text.encode())


def test_numbers_that_consoles_print_differently_are_a_fault() -> None:
    """Infinity is not printed."""
    with pytest.raises(Fault, match="not finite"):
        print_format("%f").fill((float("inf"),))


def test_numbers_too_large_for_an_int_are_a_fault() -> None:
    """C leaves %d of a number beyond 32 bits undefined."""
    with pytest.raises(Fault, match="does not fit an int"):
        scan(scan_format("%d"), b"99999999999")
