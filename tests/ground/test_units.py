"""Quantities as authors write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl import units


@pytest.mark.parametrize("text", [10, 10.0, "10", " 10 ", True, None, [], "ten ms", "10 ms of mercury ;", "", "ms"])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    """A bare number, a word or a list never passes where a unit belongs, and the message shows a right one."""
    with pytest.raises(units.QuantityError, match="10 ms"):
        units.parse(text, "s")


@pytest.mark.parametrize("text", ["10 K", "3 furlongs", "1 V", "5 ppm"])
def test_a_unit_of_another_kind_is_refused(text: str) -> None:
    """A temperature is no time, and an unknown unit is said to be unknown."""
    with pytest.raises(units.QuantityError, match="unit"):
        units.parse(text, "s")


@pytest.mark.parametrize("text", ["1e999 s", "-1e999 s"])
def test_infinity_is_refused(text: str) -> None:
    """A number too large to be one is refused."""
    with pytest.raises(units.QuantityError, match="not finite"):
        units.parse(text, "s")


@given(st.floats(min_value=-200.0, max_value=400.0))
def test_celsius_and_kelvin_agree(celsius: float) -> None:
    """A temperature in degrees Celsius is 273.15 more in kelvin; a difference is the same in both."""
    assert math.isclose(units.parse(f"{celsius:.6f} degC", "K"), round(celsius, 6) + 273.15, abs_tol=1e-9)
    assert math.isclose(units.parse(f"{celsius:.6f} degC", "K", difference=True), round(celsius, 6), abs_tol=1e-9)


@given(st.floats(min_value=1e-6, max_value=1e7))
def test_a_printed_duration_reads_back(seconds: float) -> None:
    """What `duration_text` prints is a quantity of its own, good to its three digits."""
    assert math.isclose(units.parse(units.duration_text(seconds), "s"), seconds, rel_tol=6e-3)


def test_compound_units_are_understood() -> None:
    """The units of a cycling protocol are pint's business and come out right."""
    assert math.isclose(units.parse("0.132 mA/cm^2", "A/m**2"), 1.32)
    assert math.isclose(units.parse("600 mAh/g", "A*s/kg"), 600e-3 * 3600 / 1e-3)
