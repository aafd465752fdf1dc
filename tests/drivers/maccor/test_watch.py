"""The guards over many cycles: whatever the spacing of looks, they accuse no healthy cell and miss nothing knowable."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.ports import CycleCell
from labctl_maccor._codec import channel_status
from labctl_maccor._watch import CURRENT_ACCURACY, CycleWatch, Span, STEP_s
from tests.drivers.maccor.course import Course
from tests.drivers.maccor.orders import TASK

LIMIT_Ah = TASK.unreturned_max_Ah
SERIES = TASK.charges_Ah[:2]
NEVER = math.inf

_SHARES = st.floats(0.0, 1.05)
_LOOKS = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40).map(sorted)
_OFF = st.floats(-0.9 * CURRENT_ACCURACY, 0.9 * CURRENT_ACCURACY)
_COUNTS = st.sampled_from(["step", "net"])


def _task(cycles: int, **changes: Any) -> CycleCell:
    series = SERIES[:cycles]
    return replace(TASK, charges_Ah=series, then_cycles=cycles - len(series), **changes)


def _told(course: Course, looks_s: list[float], counts: str = "step") -> list[str]:
    watch = CycleWatch(course.task)
    return [watch.update(channel_status(course.status(at_s, counts=counts))) for at_s in looks_s]


def _unreturned_Ah(course: Course, over: int) -> float:
    return sum(charge * (1.0 - share) for charge, share in zip(course.charges_Ah[:over], course.given, strict=False))


def _low_pair(course: Course, over: int, below: float) -> bool:
    return any(one < below and other < below for one, other in itertools.pairwise(course.given[:over]))


@given(
    st.lists(_SHARES, min_size=2, max_size=12), _LOOKS, _OFF, st.floats(0.0, 0.4 * STEP_s), _COUNTS, st.integers(0, 1)
)
def test_no_accusation_is_made_up(
    shares: list[float], at: list[float], off: float, late_s: float, counts: str, first: int
) -> None:
    """At any looks, a complaint of either guard is true of the cycles that were over by then."""
    course = Course(_task(len(shares)), shares, off=off, late_s=late_s, first_cycle=first)
    at = [0.0, *at] if first else at  # a counter that does not begin at 0 has to be seen outside of the loop once
    looks_s = [share * course.lasts_s * (1.0 - 1e-6) for share in at]
    for at_s, why in zip(looks_s, _told(course, looks_s, counts), strict=True):
        over = course.over_by(at_s)
        if "in a row" in why:
            assert _low_pair(course, over, course.task.efficiency_min)
        elif why:
            assert max(_unreturned_Ah(course, number) for number in range(over + 1)) > LIMIT_Ah


@given(st.lists(_SHARES, min_size=1, max_size=12), _LOOKS, _OFF, _COUNTS)
def test_charge_that_never_came_back_is_seen_at_any_look(
    shares: list[float], at: list[float], off: float, counts: str
) -> None:
    """The first look after the sum went over its limit, by more than the currents' accuracy, complains."""
    course = Course(_task(len(shares), efficiency_min=0.0), shares, off=off)
    looks_s = [share * course.lasts_s * (1.0 - 1e-6) for share in at]
    told = _told(course, looks_s, counts)
    for number, at_s in enumerate(looks_s):
        over = course.over_by(at_s)
        passed_Ah = 2.0 * sum(course.charges_Ah[: over + 1])
        doubt_Ah = 3.0 * CURRENT_ACCURACY * passed_Ah + 8 * (over + 1) * STEP_s * TASK.current_A / 3600.0
        if _unreturned_Ah(course, over) > LIMIT_Ah + doubt_Ah:
            assert told[number]


@given(st.lists(st.sampled_from([0.3, 0.75, 0.83, 1.0]), min_size=2, max_size=10), st.data(), _OFF, _COUNTS)
def test_a_look_a_cycle_sees_every_pair_of_low_ones(
    shares: list[float], data: st.DataObject, off: float, counts: str
) -> None:
    """With one look between the ends of any two discharges, a pair of low ones is told by the next look."""
    course = Course(_task(len(shares), unreturned_max_Ah=NEVER), shares, off=off)
    ends_s = [stay.begins_s + stay.lasts_s for stay in course.stays if stay.kind == "Dischrge"]
    looks_s = []
    for low_s, high_s in itertools.pairwise([0.0, *ends_s]):
        looks_s.append(low_s + data.draw(st.floats(0.0, 1.0)) * (high_s - low_s) * (1.0 - 1e-6))
    looks_s.append(course.lasts_s * (1.0 - 1e-6))
    told = _told(course, looks_s, counts)
    for at_s, why in zip(looks_s, told, strict=True):
        assert bool(why) == _low_pair(course, course.over_by(at_s), course.task.efficiency_min)


@given(st.lists(st.tuples(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 12)), max_size=4))
def test_sums_accuse_only_where_no_sharing_out_is_innocent(stretches: list[tuple[list[int], int]]) -> None:
    """The verdict on discharges of which only sums are known is that of trying every pattern of low and high ones."""
    watch = CycleWatch(replace(_task(2), efficiency_min=0.5))
    accused = False
    for number, (charges, most) in enumerate(stretches, start=1):
        accused = watch._low_twice(tuple(map(float, charges)), float(most))
        so_far = stretches[:number]
        assert accused == (not any(_innocent(pattern, so_far) for pattern in _patterns(so_far)))
        if accused:
            return


def _patterns(stretches: list[tuple[list[int], int]]) -> itertools.product[tuple[bool, ...]]:
    return itertools.product([False, True], repeat=sum(len(charges) for charges, _ in stretches))


def _innocent(low: tuple[bool, ...], stretches: list[tuple[list[int], int]]) -> bool:
    if any(one and other for one, other in itertools.pairwise(low)):
        return False
    rest = list(low)
    for charges, most in stretches:
        mine, rest = rest[: len(charges)], rest[len(charges) :]
        if sum(0.5 * charge for charge, is_low in zip(charges, mine, strict=True) if not is_low) > most:
            return False
    return True


@pytest.mark.parametrize("every_h", [1.0, 24.0, 24.0 * 30, 24.0 * 365])
def test_a_healthy_year_is_left_alone(every_h: float) -> None:
    """200 cycles at 99.9 %, looked at hourly to yearly, through a channel 0.05 % off its current, are not paused."""
    course = Course(_task(200, unreturned_max_Ah=0.35e-3), [0.999] * 200, off=5e-4)
    looks_s = [every_h * 3600.0 * number for number in range(int(course.lasts_s / 3600.0 / every_h) + 1)]
    assert not any(_told(course, [*looks_s, course.lasts_s - 1.0]))


def test_the_first_look_of_a_new_engine_knows_the_sum() -> None:
    """Weeks nobody watched are reckoned from one look: 97.8 % over 50 cycles is 1.6 mAh that never came back."""
    course = Course(_task(50), [0.978] * 50)
    watch = CycleWatch(course.task)
    assert "not discharged again by cycle 49" in watch.update(channel_status(course.status(0.99 * course.lasts_s)))
    assert watch.cycles == 49
    assert watch.unreturned_Ah.low < _unreturned_Ah(course, 49) < watch.unreturned_Ah.high


def test_a_forced_step_accuses_nobody() -> None:
    """A charge that somebody cut short leaves less time than there was; the stretch counts as given back."""
    course = Course(_task(4), [0.95] * 4)
    watch = CycleWatch(course.task)
    late = course.status(0.9 * course.lasts_s)
    early = {**late, "TestTime": late["TestTime"] - 0.7 * course.lasts_s}
    assert watch.update(channel_status(early)) == ""
    assert watch.unreturned_Ah.low == pytest.approx(0.0)


def test_what_was_told_is_told_once() -> None:
    """A complaint stays until a person was told; then the sums begin anew."""
    course = Course(_task(6, unreturned_max_Ah=0.2e-3), [0.9] * 6)
    watch = CycleWatch(course.task)
    status = channel_status(course.status(0.7 * course.lasts_s))
    assert watch.update(status) == watch.update(status) != ""
    watch.told()
    assert watch.update(status) == ""
    assert watch.unreturned_Ah == Span(0.0, 0.0)
