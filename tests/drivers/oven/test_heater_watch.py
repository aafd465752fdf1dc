"""What contradicts itself is found, what is only slow, warm or noisy is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl_oven import HeaterWatch, WatchSettings
from labctl_sim_oven import Gains, Oven, Regulator, Thermal

SETTINGS = WatchSettings()


def watch_over(oven: Oven, *, minutes: float, watch: HeaterWatch, step_s: float = 10.0) -> set[str]:
    """Let the watch see an oven as it lives on; returns every fault it named."""
    named: set[str] = set()
    until_s = oven.now_s + 60.0 * minutes
    at_s = oven.now_s
    while at_s < until_s:
        at_s += step_s
        oven.advance(at_s)
        watch.update(
            at_s,
            sensor_K=oven.sensor_K(),
            heater_percent=oven.regulator.output_percent,
            setpoint_K=oven.regulator.working_K,
            heating_allowed=oven.regulator.mode == "auto",
        )
        named |= watch.faults.keys()
    return named


def oven(thermal: Thermal | None = None, gains: Gains | None = None, seed: int = 1, **loop: object) -> Oven:
    """An oven at 60 °C that is told to go there, or elsewhere."""
    start = Regulator(target_K=333.15, working_K=333.15, ramp_K_per_s=0.05, mode="auto")
    made = Oven(
        thermal or Thermal(),
        gains or Gains(),
        seed=seed,
        born_s=0.0,
        regulator=replace(start, **loop),  # type: ignore[arg-type]  # fields of Regulator
    )
    made.nodes = type(made.nodes).all_at(333.15)
    return made


def watch(limit_K: float = 480.0, **changes: float) -> HeaterWatch:
    """A watch with the default settings."""
    return HeaterWatch(replace(SETTINGS, **changes), limit_K=limit_K)


@given(
    seed=st.integers(0, 100),
    gain=st.floats(3.0, 12.0),
    power_W=st.floats(500.0, 1500.0),
    noise_K=st.floats(0.0, 0.1),
    target_K=st.floats(310.0, 440.0),
)
@settings(max_examples=40, deadline=None)
def test_a_healthy_oven_raises_no_alarm(
    seed: int, gain: float, power_W: float, noise_K: float, target_K: float
) -> None:
    """Ramps up and down, overshoot, heat left in the block after switching off: nothing contradicts itself."""
    subject = oven(Thermal(power_W=power_W, noise_K=noise_K), Gains(gain_percent_per_K=gain), seed=seed)
    watching = watch(limit_K=1000.0)
    subject.set(target_K=target_K)
    assert not watch_over(subject, minutes=60.0, watch=watching, step_s=20.0)
    subject.set(mode="off")
    assert not watch_over(subject, minutes=60.0, watch=watching, step_s=20.0)


@pytest.mark.parametrize("percent", [15.0, 40.0, 100.0])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_a_welded_relay_is_found(percent: float, mode: str) -> None:
    """At full power within 5 min and 25 K; at less later, and never later than it takes to rise by 5 K more."""
    subject = oven(mode=mode)
    watching = watch()
    watch_over(subject, minutes=30.0, watch=watching)
    before_K = subject.nodes.sensor_K
    if mode == "off":
        subject.nodes = type(subject.nodes).all_at(300.0)
        watching = watch()
        before_K = 300.0
    subject.ailments.welded_percent = percent
    waited = 0
    needed = subject.thermal.ambient_K + percent / 100.0 * subject.thermal.power_W * subject.thermal.loss_K_per_W
    if needed < before_K + 5.0:
        return  # so little power holds the oven below where it is: no contradiction, and no danger
    while "heater_welded" not in watch_over(subject, minutes=1.0, watch=watching):
        waited += 1
        assert waited < 40
    assert subject.nodes.sensor_K < before_K + 25.0


def test_a_welded_relay_is_not_forgotten_at_the_top() -> None:
    """Where it does not rise any more it is still hot; only cooling down clears it."""
    subject, watching = oven(), watch()
    watch_over(subject, minutes=20.0, watch=watching)
    subject.ailments.welded_percent = 100.0
    watch_over(subject, minutes=240.0, watch=watching)
    assert "heater_welded" in watch_over(subject, minutes=1.0, watch=watching)
    subject.ailments.welded_percent = None
    subject.set(mode="off")
    watch_over(subject, minutes=240.0, watch=watching)
    assert not watch_over(subject, minutes=1.0, watch=watching)


def test_a_room_that_warms_up_is_no_welded_relay() -> None:
    """Five kelvin in five hours is the weather."""
    watching = watch()
    for minute in range(300):
        watching.update(
            60.0 * minute,
            sensor_K=295.15 + minute / 60.0,
            heater_percent=0.0,
            setpoint_K=298.15,
            heating_allowed=False,
        )
        assert not watching.faults


def test_a_shut_door_is_no_welded_relay() -> None:
    """Air that warms up again at the walls, the heater being off, stays below where it was."""
    subject, watching = oven(mode="off"), watch()
    subject.nodes = type(subject.nodes).all_at(400.0)
    watch_over(subject, minutes=10.0, watch=watching)
    subject.nodes = subject.nodes.moved(-40.0)
    assert not watch_over(subject, minutes=30.0, watch=watching)


def test_a_burnt_heater_is_found_in_its_time() -> None:
    """Full power for ten minutes without a rise; not sooner."""
    subject, watching = oven(target_K=430.0), watch()
    watch_over(subject, minutes=10.0, watch=watching)
    subject.ailments.heater_open = True
    assert not watch_over(subject, minutes=8.0, watch=watching)
    assert "heater_not_heating" in watch_over(subject, minutes=20.0, watch=watching)


def test_a_gap_in_the_readings_proves_nothing() -> None:
    """What lies hours apart is not put together to a fault."""
    watching = watch()
    for hour in range(5):
        watching.update(
            3600.0 * hour, sensor_K=350.0, heater_percent=100.0, setpoint_K=400.0 + 6.0 * hour, heating_allowed=True
        )
        assert not watching.faults


def test_too_hot_is_too_hot() -> None:
    """Above the limit, at once."""
    watching = watch(limit_K=400.0)
    watching.update(0.0, sensor_K=400.1, heater_percent=0.0, setpoint_K=300.0, heating_allowed=False)
    assert "over_temperature" in watching.faults
