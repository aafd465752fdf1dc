"""A step that a person has to prepare: the station waits, cold, for exactly that word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.plan.steps import Plan
from labctl.ports import Acquire
from labctl.run.events import Operated
from labctl.run.lifecycle import CampaignPhase, StationPhase
from tests.run.bench import Bench
from tests.run.campaigns import small_plan

ASKED = "take the first rotor out of nmr and put the second in, and spin it up to 10 kHz"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Two samples at one temperature each, a change of rotor between them."""
    first = small_plan(temperatures_K=(313.0,))

    def renamed(text: str) -> str:
        return text.replace("vt_exsy", "vt_exsy.2")

    second = tuple(
        replace(
            step,
            id=renamed(step.id),
            key=step.key[::-1],
            series=renamed(step.series),
            needs=tuple(map(renamed, step.needs)),
            procedure="vt_exsy.2",
        )
        for step in small_plan(temperatures_K=(313.0,)).steps
    )
    moved = tuple(
        replace(step, task=replace(step.task, expno_slot=step.task.expno_slot + 5000))
        if isinstance(step.task, Acquire)
        else step
        for step in second
    )
    steps = (*first.steps, replace(moved[0], person=ASKED), *moved[1:])
    return Bench(folder=tmp_path, plan=Plan(campaign=first.campaign, steps=steps))


def test_nothing_of_the_next_sample_begins_before_it_is_in(bench: Bench) -> None:
    """Without a person the campaign ends paused, cold; a resume with somebody there carries out the rest once."""
    outcome = bench.run()
    assert (outcome.phase, outcome.exit_code) == (CampaignPhase.PAUSED, 4)
    assert outcome.stations["nmr"] is StationPhase.PAUSED
    assert outcome.reasons == {"nmr": ASKED}
    assert not any("vt_exsy.2" in title for title in bench.nmr.acquisitions())
    assert bench.run(attended="the second rotor is in").exit_code == 0
    assert set(bench.nmr.acquisitions().values()) == {1}
    assert any("vt_exsy.2" in title for title in bench.nmr.acquisitions())


def test_somebody_who_comes_at_once_is_heard(bench: Bench) -> None:
    """The word that the sample is in counts, though everything else already rests."""

    def there() -> list[Operated]:
        engine = bench.engine
        paused = engine is not None and engine.state.stations["nmr"].hold == ASKED
        return [Operated(verb="continue", station="nmr", reason="it is in")] if paused else []

    assert bench.run(operator=there, operator_continues=False).exit_code == 0
    assert sum(isinstance(event, Operated) for event in bench.events()) == 1


def test_going_on_after_a_pause_does_not_say_that_a_sample_is_in(bench: Bench) -> None:
    """A pause that ends where a sample is to be changed is followed by the question."""
    words = [
        ("vt_exsy/cool", Operated(verb="pause", station="nmr", reason="coffee")),
        ("", Operated(verb="continue", station="nmr", reason="back")),
    ]

    def operator() -> list[Operated]:
        engine = bench.engine
        if engine is None or not words:
            return []
        station = engine.state.stations["nmr"]
        step_id, word = words[0]
        paused = station.phase is StationPhase.PAUSED
        if (step_id and station.open.endswith(step_id)) or (not step_id and paused):
            words.pop(0)
            return [word]
        return []

    outcome = bench.run(operator=operator)
    assert not words
    assert outcome.phase is CampaignPhase.PAUSED
    assert outcome.reasons == {"nmr": ASKED}
