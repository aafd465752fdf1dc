"""Looks on a real clock: frequent where something is expected, and no more frequent for the limits."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from labctl.plan.steps import Plan
from labctl.ports import Effect, Observation, OnePulse, Order, Progress
from labctl.run.engine import run_campaign
from labctl.run.events import Finished
from labctl.run.journal import Journal
from labctl.run.looking_ahead import LooksAhead
from labctl.run.options import EngineOptions
from labctl.testing import ScriptedInstrument
from tests.run.campaigns import acquire, step

POLL_S = 5.0
LONG = {slot: acquire(OnePulse(purpose="line"), slot=slot, duration_s=61.7) for slot in (10, 20)}


def order(duration_s: float) -> Order:
    """An order for an acquisition of that length."""
    task = acquire(OnePulse(purpose="line"), slot=10, duration_s=duration_s)
    return Order(token="0a1b2c3d-1", title="t", step_id="nmr/long/a", attempt=1, epoch=1, task=task)


def running(fraction: float) -> Observation:
    """What a driver says of an acquisition under way."""
    return Observation(progress=Progress.RUNNING, fraction=fraction)


@given(st.floats(1.0, 2e5), st.floats(0.0, 0.998))
def test_the_look_before_the_end_is_at_the_end(duration_s: float, fraction: float) -> None:
    """Before the end is due, the next look need not come before it."""
    next_s = LooksAhead(POLL_S).next_s(order(duration_s), running(fraction), handed_over_s=0.0, now_s=0.0)
    assert next_s == max(0.05, (1.0 - fraction) * duration_s)


@given(st.floats(0.0, 1e5))
def test_an_end_that_is_late_is_looked_for_ever_more_seldom(late_s: float) -> None:
    """However late the end is, it is noticed within 50 ms, 2 % of the delay or one poll, whichever rules."""
    ahead = LooksAhead(POLL_S)
    ahead.next_s(order(100.0), running(0.999), handed_over_s=0.0, now_s=7.0)
    next_s = ahead.next_s(order(100.0), running(0.999), handed_over_s=0.0, now_s=7.0 + late_s)
    assert 0.05 <= next_s <= POLL_S
    assert next_s <= max(0.05, 0.0201 * late_s)


@given(st.floats(1e-3, 1e5))
def test_an_order_handed_over_is_looked_for_at_once(handed_over_s: float) -> None:
    """An instrument may take its time to begin; looks follow it, never more seldom than polls."""
    next_s = LooksAhead(POLL_S).next_s(order(100.0), None, handed_over_s=handed_over_s, now_s=0.0)
    assert 0.05 <= next_s <= min(POLL_S, max(0.05, 0.1 * handed_over_s))


class HastyClock:
    """Not a virtual clock to the engine, but nobody has to wait for it."""

    def __init__(self) -> None:
        self.at_s = 1_700_000_000.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_s(self) -> float:
        return self.at_s

    def wait_until(self, deadline_s: float) -> None:
        self.at_s = max(self.at_s, deadline_s)

    def wake(self) -> None:
        """Nobody waits."""


def test_ends_are_noticed_at_once_and_limits_are_judged_as_often_as_before(tmp_path: Path) -> None:
    """Two acquisitions of a minute follow each other within 100 ms, with a reading every 5 s and after events."""
    steps = tuple(step(f"nmr/long/S{slot}", task, Effect.REPEATABLE) for slot, task in LONG.items())
    clock = HastyClock()
    nmr = ScriptedInstrument(station="nmr", clock=clock)
    options = EngineOptions(state_dir=tmp_path / "state", poll_s=POLL_S)
    outcome = run_campaign(
        Plan(campaign="small", steps=steps), {"nmr": nmr}, clock=clock, run_dir=tmp_path / "run", options=options
    )
    assert outcome.exit_code == 0
    ends = [entry.ends_s for entry in nmr.entries.values()]
    begins = [entry.begun_s for entry in nmr.entries.values()]
    assert begins[1] - ends[0] <= 0.1
    journal = Journal(tmp_path / "run" / "journal.sqlite", clock=clock, read_only=True)
    rows = list(journal.rows())
    journal.close()
    finished = [row.monotonic_s for row in rows if isinstance(row.event, Finished)]
    assert max(seen_s - end_s for end_s, seen_s in zip(ends, finished, strict=True)) <= 0.1
    assert nmr.log.count("readings") <= (ends[1] - begins[0]) / POLL_S + len(rows)  # and one after each event
