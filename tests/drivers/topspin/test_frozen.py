"""A temperature reading that stands still is told by the sensor's own habit, never by a fixed time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from labctl_topspin._frozen import FrozenSensor

POLL_S = 5.0


def polled(values: list[float | None]) -> list[bool]:
    """Show a sensor one reading per heartbeat; whether it was said to stand still after each."""
    sensor, said = FrozenSensor(), []
    for beat, value in enumerate(values):
        sensor.look(value, beat=beat, at_s=beat * POLL_S)
        said.append(sensor.stands_still)
    return said


def flickering(changes: int, every: int) -> list[float | None]:
    """A healthy sensor whose last digit changes at every so many looks."""
    return [300.0 + 0.1 * (number % 2) for number in range(changes) for _ in range(every)]


@given(st.integers(1, 12))
def test_it_hangs_when_it_stays_five_times_longer_than_ever(every: int) -> None:
    """After it has changed often, the same value for five times its longest habit, and a minute, is an old one."""
    healthy = flickering(30, every)
    said = polled([*healthy, *[305.0] * (5 * max(every, 3))])
    assert not any(said[: len(healthy)])
    assert said.index(True) == len(healthy) + max(13, 5 * every) - 1


@given(st.integers(1, 12), st.integers(1, 4))
def test_a_coarse_sensor_is_no_frozen_one(every: int, longer: int) -> None:
    """Values that last up to four times as long as before, now and then, are nothing."""
    assert not any(polled([*flickering(30, every), *[305.0] * (longer * every), *flickering(10, every)]))


def test_without_a_habit_nothing_is_said() -> None:
    """A reading that never changed, or no reading at all, is somebody else's to judge."""
    assert not any(polled([300.0] * 2000))
    assert not any(polled([*flickering(30, 1), *[None] * 200]))


def test_the_same_heartbeat_counts_once() -> None:
    """Looking again before the next heartbeat says nothing about the sensor."""
    sensor = FrozenSensor()
    for beat, value in enumerate(flickering(30, 1)):
        sensor.look(value, beat=beat, at_s=beat * POLL_S)
    for _ in range(100):
        sensor.look(305.0, beat=1000, at_s=1e6)
    assert not sensor.stands_still
