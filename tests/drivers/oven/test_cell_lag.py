"""How far a cell is behind an oven: a first-order lag, held to its equation and to the oven of the simulator."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_oven import CellLag

LAG_S = 900.0


def behind_at_the_end(readings: list[tuple[float, float]], *, lag_s: float = LAG_S) -> float:
    """What is said after the last reading."""
    lag = CellLag(lag_s)
    for at_s, oven_K in readings:
        lag.update(at_s, oven_K)
    return lag.behind_K


@given(
    st.lists(st.tuples(st.floats(1.0, 600.0), st.floats(-20.0, 20.0)), min_size=1, max_size=12),
    st.floats(60.0, 3600.0),
)
def test_it_solves_its_equation(steps: list[tuple[float, float]], lag_s: float) -> None:
    """Between readings the oven goes straight; a fine integration of dT/dt = (oven - T)/lag gives the same."""
    at_s, oven_K, cell_K = 0.0, 300.0, 300.0
    readings = [(at_s, oven_K)]
    for passed_s, moved_K in steps:
        count = 400
        for number in range(count):
            midway_K = oven_K + moved_K * (number + 0.5) / count
            cell_K += (midway_K - cell_K) * passed_s / count / lag_s
        at_s, oven_K = at_s + passed_s, oven_K + moved_K
        readings.append((at_s, oven_K))
    assert behind_at_the_end(readings, lag_s=lag_s) == pytest.approx(oven_K - cell_K, abs=0.15)


@given(st.floats(-100.0, 100.0), st.floats(0.0, 4.0))
def test_it_fades_with_its_time_constant(jump_K: float, lags: float) -> None:
    """After a ramp the rest fades by e in each time constant, whatever the number of readings."""
    after = behind_at_the_end([(0.0, 300.0), (600.0, 300.0 + jump_K)])
    ends_s = 600.0 + lags * LAG_S
    few = behind_at_the_end([(0.0, 300.0), (600.0, 300.0 + jump_K), (ends_s, 300.0 + jump_K)])
    assert few == pytest.approx(after * 2.718281828459045**-lags, abs=1e-9)


def test_old_readings_and_no_lag() -> None:
    """A reading that is no newer changes nothing, and a cell that follows at once is never behind."""
    readings = [(0.0, 300.0), (60.0, 310.0)]
    assert behind_at_the_end([*readings, (60.0, 400.0), (5.0, 200.0)]) == behind_at_the_end(readings)
    assert behind_at_the_end([*readings, (120.0, 400.0)], lag_s=0.0) == 0.0
