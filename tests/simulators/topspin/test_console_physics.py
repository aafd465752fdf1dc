"""VT unit, sample temperature and rotor obey their equations, however often one looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_sim_topspin._physics import (
    Mas,
    Vt,
    after,
    friction_K,
    heater_percent,
    keyed_normal,
    mas_after,
    settled,
)
from labctl_sim_topspin._settings import Friction, Thermal

THERMAL = Thermal()
temperatures = st.floats(250.0, 450.0)
durations = st.floats(0.0, 5000.0)


def units() -> st.SearchStrategy[Vt]:
    """VT units in any condition."""
    return st.builds(
        Vt,
        setpoint_K=temperatures,
        sensor_K=temperatures,
        sample_K=temperatures,
        gas_L_per_h=st.sampled_from([0.0, 400.0, 800.0]),
        gas_target_L_per_h=st.just(800.0),
        heater_on=st.booleans(),
        tripped=st.sampled_from(["", "gas flow"]),
    )


@given(units(), durations, durations)
def test_time_can_be_cut_anywhere(vt: Vt, first_s: float, second_s: float) -> None:
    """Two stretches of time one after the other are the same as both at once."""
    at_once = after(vt, first_s + second_s, lift_K=8.8, thermal=THERMAL)
    cut = after(after(vt, first_s, lift_K=8.8, thermal=THERMAL), second_s, lift_K=8.8, thermal=THERMAL)
    assert cut.sensor_K == pytest.approx(at_once.sensor_K, abs=1e-6)
    assert cut.sample_K == pytest.approx(at_once.sample_K, abs=1e-5)


@given(units(), durations)
def test_heater_power_has_limits_and_the_sensor_does_not_overshoot(vt: Vt, dt_s: float) -> None:
    """Power stays within 0 and 100 %, and a regulated sensor stays between where it was and its set point."""
    later = after(vt, dt_s, lift_K=0.0, thermal=THERMAL)
    assert 0.0 <= heater_percent(later, THERMAL) <= 100.0
    if vt.heating and vt.gas_L_per_h and THERMAL.inlet_K < vt.setpoint_K:
        low, high = sorted((vt.sensor_K, vt.setpoint_K))
        assert low - 1e-6 <= later.sensor_K <= high + 1e-6


@pytest.mark.parametrize("setpoint_K", [265.0, 330.0, 520.0])
def test_closed_form_agrees_with_small_steps(setpoint_K: float) -> None:
    """The exponentials are the solution of heat balance with a limited heater, stepped slowly."""
    vt = Vt(setpoint_K=setpoint_K, sensor_K=300.0, sample_K=300.0, gas_L_per_h=800.0, gas_target_L_per_h=800.0)
    sensor_K, sample_K, step_s = 300.0, 300.0, 0.02
    for _ in range(int(200 / step_s)):
        power = heater_percent(replace(vt, sensor_K=sensor_K), THERMAL)
        passive_K = THERMAL.inlet_K + THERMAL.heater_K_per_percent * power
        sensor_K, sample_K = (
            sensor_K + step_s * (passive_K - sensor_K) / THERMAL.plant_s,
            sample_K + step_s * (sensor_K + 8.8 - sample_K) / THERMAL.sample_s,
        )
    found = after(vt, 200.0, lift_K=8.8, thermal=THERMAL)
    assert found.sensor_K == pytest.approx(sensor_K, abs=0.02)
    assert found.sample_K == pytest.approx(sample_K, abs=0.02)


def test_without_gas_or_heater_it_drifts_to_its_surroundings() -> None:
    """A tripped heater leaves the probe to the gas; without gas it ends at room temperature."""
    hot = Vt(setpoint_K=370.0, sensor_K=370.0, sample_K=379.0, gas_L_per_h=800.0, gas_target_L_per_h=800.0)
    tripped = after(replace(hot, tripped="over temperature"), 1e5, lift_K=0.0, thermal=THERMAL)
    assert tripped.sensor_K == pytest.approx(THERMAL.inlet_K)
    still = after(replace(hot, gas_L_per_h=0.0), 1e6, lift_K=0.0, thermal=THERMAL)
    assert still.sensor_K == pytest.approx(THERMAL.ambient_K)


def test_settled_means_sensor_and_sample() -> None:
    """A sensor at its set point is not enough while the sample still lags."""
    vt = Vt(setpoint_K=330.0, sensor_K=330.0, sample_K=330.0, gas_L_per_h=800.0, gas_target_L_per_h=800.0)
    assert not settled(vt, lift_K=8.8, thermal=THERMAL)
    assert settled(after(vt, 600.0, lift_K=8.8, thermal=THERMAL), lift_K=8.8, thermal=THERMAL)


def test_friction_at_the_papers_rate() -> None:
    """A 4 mm rotor at 10 kHz is 8.8 K warmer, at rest not at all."""
    assert friction_K(10000.0, Friction()) == pytest.approx(8.8, abs=0.05)
    assert friction_K(0.0, Friction()) == 0.0


def test_rotor_goes_to_its_rate_or_runs_down() -> None:
    """A regulated rotor reaches its target and stays; one without drive comes to rest."""
    rotor = Mas(rate_Hz=0.0, target_Hz=10000.0)
    assert mas_after(rotor, 1.0).rate_Hz == pytest.approx(rotor.slew_Hz_per_s)
    assert mas_after(rotor, 1e4).rate_Hz == 10000.0
    lost = replace(rotor, rate_Hz=10000.0, regulated=False)
    assert 0.0 < mas_after(lost, 25.0).rate_Hz < 4000.0
    assert mas_after(lost, 1e4).rate_Hz == 0.0


def test_keyed_noise_is_normal_and_depends_on_its_key_alone() -> None:
    """Draws by unlike keys have mean 0 and deviation 1; a key always gives the same draw."""
    draws = np.array([keyed_normal(1, "x", index) for index in range(4000)])
    assert abs(draws.mean()) < 0.06
    assert draws.std() == pytest.approx(1.0, abs=0.05)
    assert keyed_normal(1, "x", 7) == draws[7]
