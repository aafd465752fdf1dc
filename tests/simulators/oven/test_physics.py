"""The oven's heat: exact strides, conserved energy, known end states; and the loop on it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from labctl_sim_oven import Gains, Nodes, Oven, Regulator, SAMPLING_s, Thermal, after, propagator, regulated, walked

temperatures = st.floats(280.0, 470.0)
thermals = st.builds(
    Thermal,
    power_W=st.floats(100.0, 2000.0),
    heater_J_per_K=st.floats(100.0, 3000.0),
    chamber_J_per_K=st.floats(1000.0, 20000.0),
    sample_J_per_K=st.floats(50.0, 3000.0),
    heater_to_chamber_K_per_W=st.floats(0.02, 0.5),
    loss_K_per_W=st.floats(0.05, 1.0),
    sample_to_chamber_K_per_W=st.floats(0.2, 5.0),
    sensor_s=st.floats(1.0, 30.0),
)


@given(
    thermal=thermals,
    start=st.builds(Nodes, temperatures, temperatures, temperatures, temperatures),
    power=st.floats(0.0, 1.0),
    dt_s=st.floats(1.0, 4000.0),
)
def test_a_stride_is_the_solution_of_the_equations(thermal: Thermal, start: Nodes, power: float, dt_s: float) -> None:
    """One stride of any length agrees with a general integrator of the equations as they are written."""

    def rates(_: float, x: np.ndarray) -> list[float]:
        h, a, s, p = x
        between = (h - a) / thermal.heater_to_chamber_K_per_W
        loss = (a - thermal.ambient_K) / thermal.loss_K_per_W
        sample = (a - s) / thermal.sample_to_chamber_K_per_W
        return [
            (thermal.power_W * power - between) / thermal.heater_J_per_K,
            (between - loss - sample) / thermal.chamber_J_per_K,
            sample / thermal.sample_J_per_K,
            (a - p) / thermal.sensor_s,
        ]

    begin = [start.heater_K, start.chamber_K, start.sample_K, start.sensor_K]
    slow = solve_ivp(rates, (0.0, dt_s), begin, method="LSODA", rtol=1e-9, atol=1e-7).y[:, -1]
    fast = after(start, power, propagator(thermal, dt_s))
    assert [fast.heater_K, fast.chamber_K, fast.sample_K, fast.sensor_K] == pytest.approx(list(slow), abs=1e-3)


@given(thermal=thermals, power=st.floats(0.0, 1.0), dt_s=st.floats(0.5, 500.0))
def test_two_strides_are_one(thermal: Thermal, power: float, dt_s: float) -> None:
    """How often somebody looks does not matter: two halves make a whole."""
    start = Nodes(400.0, 350.0, 300.0, 345.0)
    half = propagator(thermal, dt_s / 2.0)
    twice = after(after(start, power, half), power, half)
    once = after(start, power, propagator(thermal, dt_s))
    assert [twice.heater_K, twice.chamber_K, twice.sample_K, twice.sensor_K] == pytest.approx(
        [once.heater_K, once.chamber_K, once.sample_K, once.sensor_K], abs=1e-6
    )


def test_the_default_oven_is_the_one_described() -> None:
    """Full power: 5 K/min at room temperature, about 200 °C in the end; the sample is 15 min behind."""
    thermal = Thermal()
    assert thermal.hottest_K() == pytest.approx(473.15, abs=5.0)
    heated = after(Nodes.all_at(thermal.ambient_K), 1.0, propagator(thermal, 300.0))
    later = after(heated, 1.0, propagator(thermal, 60.0))
    assert later.chamber_K - heated.chamber_K == pytest.approx(5.0, abs=1.0)
    assert thermal.sample_J_per_K * thermal.sample_to_chamber_K_per_W == pytest.approx(900.0)
    end = after(Nodes.all_at(thermal.ambient_K), 1.0, propagator(thermal, 1e6))
    assert end.chamber_K == pytest.approx(thermal.hottest_K(), abs=1e-3)
    assert end.sample_K == pytest.approx(end.chamber_K, abs=1e-3)


@given(st.floats(0.0, 0.5), st.floats(280.0, 450.0), st.floats(280.0, 450.0), st.floats(0.5, 10.0))
def test_a_ramp_arrives_exactly_and_never_passes(rate: float, start_K: float, target_K: float, dt_s: float) -> None:
    """Walking never overshoots the target and moves by no more than the rate allows."""
    regulator = Regulator(target_K=target_K, working_K=start_K, ramp_K_per_s=rate, mode="auto")
    moved = walked(regulator, dt_s)
    if rate == 0.0:
        assert moved.working_K == target_K
    else:
        assert abs(moved.working_K - start_K) <= rate * dt_s * (1.0 + 1e-6) + 1e-12  # the last digit of 280 K
        assert abs(moved.working_K - target_K) <= abs(start_K - target_K)


@given(
    sensor_K=st.floats(250.0, 600.0),
    working_K=st.floats(250.0, 600.0),
    integral=st.floats(-50.0, 150.0),
    mode=st.sampled_from(["off", "manual", "auto"]),
)
def test_the_output_stays_between_0_and_100(sensor_K: float, working_K: float, integral: float, mode: str) -> None:
    """Whatever the loop wants, a heater gives 0 to 100 %; off is 0."""
    regulator = Regulator(
        target_K=working_K,
        working_K=working_K,
        mode=mode,  # type: ignore[arg-type]  # one of the three
        manual_percent=integral,
        integral_percent=integral,
    )
    output = regulated(regulator, sensor_K, SAMPLING_s, Gains()).output_percent
    assert 0.0 <= output <= 100.0
    assert mode != "off" or output == 0.0


def overshoot_K(gains: Gains) -> float:
    """By how much the sensor passes a set point that is stepped to."""
    start = Regulator(target_K=373.15, working_K=373.15, mode="auto")
    oven = Oven(Thermal(), gains, seed=1, born_s=0.0, regulator=start)
    top_K = 0.0
    for minute in range(1, 180):
        oven.advance(60.0 * minute)
        top_K = max(top_K, oven.nodes.sensor_K)
    return top_K - 373.15


def test_without_anti_windup_the_oven_overshoots_more() -> None:
    """A step overshoots by less than a few kelvin, and by far more when the integral winds up."""
    proper = overshoot_K(Gains())
    wound = overshoot_K(replace(Gains(), anti_windup=False))
    assert 0.1 < proper < 6.0
    assert wound > proper + 5.0


def test_looking_changes_nothing() -> None:
    """An oven asked every second and one asked at the end are the same, noise and all."""
    ovens = [
        Oven(
            Thermal(),
            Gains(),
            seed=3,
            born_s=17.25,
            regulator=Regulator(target_K=350.0, working_K=295.15, ramp_K_per_s=0.05, mode="auto"),
        )
        for _ in range(2)
    ]
    for second in range(1000):
        ovens[0].advance(17.25 + second)
        ovens[0].sensor_K()
    for oven in ovens:
        oven.advance(17.25 + 1000.0)
    assert ovens[0].plain() == ovens[1].plain()
    assert ovens[0].sensor_K() == ovens[1].sensor_K()


@pytest.mark.parametrize("mode", ["off", "manual"])
def test_an_oven_left_alone_is_taken_to_its_end_in_one_step(mode: str) -> None:
    """Forty days of an oven at rest cost one, and leave bit by bit what all of its samplings would have."""
    start = Regulator(target_K=305.15, working_K=305.15, mode=mode)  # type: ignore[arg-type]  # one of the three
    oven = Oven(Thermal(), Gains(), seed=2, born_s=0.0, regulator=start)
    oven.nodes = nodes = Nodes.all_at(320.0)
    rows, regulator = propagator(Thermal(), SAMPLING_s), start
    for _ in range(40_000):  # from about 32 000 on it rests
        nodes = after(nodes, regulator.output_percent / 100.0, rows)
        regulator = regulated(walked(regulator, SAMPLING_s), nodes.sensor_K, SAMPLING_s, Gains())
    assert after(nodes, regulator.output_percent / 100.0, rows) == nodes
    oven.advance(40 * 86400.0)
    assert (oven.nodes, oven.regulator) == (nodes, regulator)
    assert oven.now_s == 40 * 86400.0
    assert oven.sensor_K() != nodes.sensor_K  # the sensor's noise goes on


def test_no_look_of_a_controller_at_its_limit_is_left_out() -> None:
    """A controller that watches a limit looks at each sampling, though nothing moves: each look is another reading."""
    looks: list[float] = []

    def looked() -> bool:
        looks.append(oven.sensor_K())
        return True

    idle = Regulator(target_K=295.15, working_K=295.15, sensor_before_K=295.15)
    oven = Oven(Thermal(), Gains(), seed=2, born_s=0.0, regulator=idle, on_sampling=looked)
    while after(oven.nodes, 0.0, rows := propagator(Thermal(), SAMPLING_s)) != oven.nodes:
        oven.nodes = after(oven.nodes, 0.0, rows)
    oven.advance(600.0)
    assert len(set(looks)) == 300
