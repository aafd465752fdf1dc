"""A soak begins at rest in the band, lasts without a break, and is never shorter than asked."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from labctl_oven import Settling

SETPOINT_K = 350.0


def settling(**changes: float) -> Settling:
    """Half a kelvin, half an hour."""
    return Settling(**{"setpoint_K": SETPOINT_K, "within_K": 0.5, "hold_s": 1800.0, **changes})


def fed(subject: Settling, values_K: list[float], *, step_s: float = 30.0, start_s: float = 0.0) -> list[bool]:
    """Feed one value after the other; returns when it was done."""
    done = []
    for number, kelvin in enumerate(values_K):
        subject.update(start_s + number * step_s, kelvin)
        done.append(subject.done)
    return done


def test_the_soak_begins_when_the_slope_is_small() -> None:
    """Five minutes of history in which nothing moves, then the whole hold."""
    done = fed(settling(), [SETPOINT_K] * 100)
    assert done.index(True) == (300.0 + 1800.0) / 30.0


def test_a_band_that_is_crossed_is_not_held() -> None:
    """Inside the band at 0.2 K/min is not at rest."""
    subject = settling(within_K=5.0)
    fed(subject, [SETPOINT_K - 4.0 + 0.1 * number for number in range(80)])
    assert subject.soaked_s == 0.0


def test_leaving_the_band_once_costs_everything() -> None:
    """One reading outside, however late, and the half hour begins anew."""
    values = [SETPOINT_K] * 60 + [SETPOINT_K + 0.6] + [SETPOINT_K] * 59
    subject = settling()
    assert not any(fed(subject, values))
    assert subject.restarts == 1
    assert any(fed(subject, [SETPOINT_K] * 20, start_s=len(values) * 30.0))


def test_a_gap_in_the_readings_costs_everything() -> None:
    """Nobody knows what was while nobody looked."""
    subject = settling()
    fed(subject, [SETPOINT_K] * 60)
    assert subject.soaked_s > 0.0
    subject.update(60 * 30.0 + 1000.0, SETPOINT_K)
    assert subject.soaked_s == 0.0


def test_a_sensor_at_the_cell_must_be_in_its_band_too() -> None:
    """With its own offset and width; a cell that is not read does not count as settled."""
    for sample_K, expected in ((SETPOINT_K - 2.0, True), (SETPOINT_K, False), (None, False)):
        subject = settling(sample_within_K=1.0, sample_offset_K=-2.0)
        for number in range(100):
            subject.update(30.0 * number, SETPOINT_K, sample_K)
        assert subject.done is expected


@given(st.lists(st.tuples(st.floats(1.0, 400.0), st.floats(-1.0, 1.0)), max_size=200))
def test_it_is_never_done_too_early(steps: list[tuple[float, float]]) -> None:
    """Whenever it says done, every reading of the last `hold_s` was in the band, and none was missing."""
    subject = settling(hold_s=900.0)
    seen: list[tuple[float, float]] = []
    at_s = 0.0
    for step_s, off_K in steps:
        at_s += step_s
        subject.update(at_s, SETPOINT_K + off_K)
        seen.append((at_s, off_K))
        if subject.done:
            hold = [(when_s, off) for when_s, off in seen if when_s >= at_s - 900.0]
            assert all(abs(off) <= 0.5 + 1e-9 for _, off in hold)
            assert all(later - earlier <= 300.0 for (earlier, _), (later, _) in itertools.pairwise(hold))
