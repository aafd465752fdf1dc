"""Virtual time jumps to the earliest thing to happen."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from labctl.clock import ScaledClock, SystemClock, VirtualClock

TIMES = st.floats(min_value=0.0, max_value=1e9)


@given(start=TIMES, deadline=TIMES, events=st.lists(TIMES, max_size=5))
def test_a_wait_ends_at_the_earliest_of_deadline_and_events(start: float, deadline: float, events: list[float]) -> None:
    """Waiting jumps to whatever is due first and never goes back."""
    clock = VirtualClock(start)
    for event in events:
        clock.add_source(partial(float, event))
    clock.add_source(lambda: None)
    clock.wait_until(deadline)
    assert clock.now_s() == clock.monotonic_s() == max(start, min([deadline, *events]))


def test_a_woken_wait_ends_at_once() -> None:
    """A clock woken before or while somebody waits lets him go, however far the deadline."""
    for clock in (SystemClock(), ScaledClock(start_s=0.0)):
        clock.wake()
        clock.wait_until(clock.monotonic_s() + 1e6)


def test_a_wait_for_the_past_returns() -> None:
    """A deadline that is over is no wait."""
    for clock in (SystemClock(), ScaledClock(start_s=0.0, speed=1e6), VirtualClock(5.0)):
        before = clock.monotonic_s()
        clock.wait_until(before - 1.0)
        assert clock.monotonic_s() >= before
