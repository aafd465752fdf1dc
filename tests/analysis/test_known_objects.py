"""Known things and what measuring them says of an instrument; how stages ask for them stands in ``tests/cli``."""

from __future__ import annotations

import math

import pytest

from labctl.analysis.known_objects import kbr_temperature_K


@pytest.mark.parametrize("T_K", [100.0, 298.15, 373.15, 500.0])
def test_T1_of_bromide_is_a_thermometer(T_K: float) -> None:
    """The temperature of a T1 is the one whose T1 it is; what no temperature has is no number."""
    T1_s = 0.0145 + 5330.0 / T_K**2 + 1.42e7 / T_K**4 + 2.48e9 / T_K**6
    assert kbr_temperature_K(T1_s) == pytest.approx(T_K, abs=1e-6)
    assert math.isnan(kbr_temperature_K(-T1_s))
