"""What is overtaken is not done: duties after a verdict, orders after a trip; and who says nothing is not trusted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from labctl.dataset.model import Dataset, Verdict
from labctl.errors import InstrumentSilent
from labctl.ports import Reading
from labctl.run.events import Intended, Started, Tripped
from labctl.run.journal import JournalUnwritable
from labctl.run.lifecycle import StationPhase
from tests.run.bench import Bench, Killed
from tests.run.campaigns import small_plan


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One spectrometer, one temperature."""
    return Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,)))


def commits_until(tmp_path: Path, kind: type, step: str) -> int:
    """Return the number of the commit that holds such an event of a step, in a campaign that goes well."""
    whole = Bench(folder=tmp_path / "whole", plan=small_plan(temperatures_K=(313.0,)))
    whole.run()
    events = whole.events()
    return next(n for n, e in enumerate(events, start=1) if isinstance(e, kind) and e.step_id.endswith(step))


def test_a_verdict_overtakes_the_look_at_the_loop(bench: Bench, tmp_path: Path) -> None:
    """A resumed engine finds a 2D done, and analysis asks for a person: it stands warm, and cools when nobody comes."""
    usual = bench.analyse

    def stop_at_2d(path: Path, dataset: Dataset) -> Verdict:
        stops = dataset.step_id.endswith("T00/tmix00")
        return Verdict(gate="stop", message="no signal") if stops else usual(path, dataset)

    at = commits_until(tmp_path, Intended, "T00/tmix00")

    def hook(when: str, number: int) -> None:
        if (when, number) == ("after", at + 1):
            raise Killed

    bench.analyse = stop_at_2d
    with pytest.raises(Killed):
        bench.run(hook=hook)
    assert isinstance(bench.events()[-1], Started)
    bench.clock.wait_until(bench.clock.monotonic_s() + 4000.0)
    assert bench.run().stations["nmr"] is StationPhase.SAFE
    assert bench.nmr.values["heater_percent"] == 0.0


def test_a_word_of_a_stop_is_no_trip_where_a_person_is_needed_anyway(bench: Bench) -> None:
    """It is taken back then, so that no later engine trips a station that a person has let go on since."""
    bench.analyse = lambda path, dataset: Verdict(gate="stop", message="no signal")
    assert bench.run().stations["nmr"] is StationPhase.SAFE
    word = bench.folder / "state" / "nmr" / "made-safe.txt"
    word.touch()
    assert bench.run().stations["nmr"] is StationPhase.SAFE
    assert not word.exists()
    assert not any(isinstance(event, Tripped) for event in bench.events())


def test_nothing_is_begun_after_a_trip_on_a_full_disk(bench: Bench, tmp_path: Path) -> None:
    """The intent of a ramp finds no room, gas is lost meanwhile: once there is room the trip comes first, no heat."""
    at = commits_until(tmp_path, Intended, "T00/ramp")
    full: list[float] = []

    def hook(when: str, number: int) -> None:
        if when == "before" and number >= at:
            if not full:
                full.append(bench.clock.monotonic_s() + 60.0)
                bench.nmr.values["gas_L_per_h"] = 0.0
            if bench.clock.monotonic_s() < full[0]:
                raise JournalUnwritable("the disk is full")

    outcome = bench.run(hook=hook)
    assert outcome.stations["nmr"] is StationPhase.SAFE
    assert any(isinstance(event, Tripped) for event in bench.events())
    assert not [event for event in bench.events() if isinstance(event, Intended) and event.step_id.endswith("ramp")]
    assert bench.nmr.values["heater_percent"] == 0.0


def test_a_trip_is_acted_on_though_it_is_the_first_that_a_full_disk_refuses(bench: Bench) -> None:
    """Nothing is to be written while a 2D runs; then gas is lost on a full disk, and the heat goes off all the same."""
    read, lost_s = bench.nmr.readings, [math.inf]

    def hook(when: str, number: int) -> None:
        if when == "before" and lost_s[0] <= bench.clock.monotonic_s() < lost_s[0] + 300.0:
            raise JournalUnwritable("the disk is full")

    def readings() -> tuple[Reading, ...]:
        if lost_s[0] == math.inf and any("tmix00" in entry.order.step_id for entry in bench.nmr.entries.values()):
            lost_s[0] = bench.clock.monotonic_s() + 60.0
        if bench.clock.monotonic_s() >= lost_s[0]:
            bench.nmr.values["gas_L_per_h"] = 0.0
        return read()

    bench.nmr.readings = readings  # type: ignore[method-assign]  # gas fails by the clock, whoever looks
    assert bench.run(hook=hook, virtual_poll_s=10.0).stations["nmr"] is StationPhase.SAFE
    assert bench.nmr.safe_asked_s is not None
    assert bench.nmr.safe_asked_s - lost_s[0] < 30.0


def test_readings_alone_are_not_trusted_for_ever(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings come, and every question about the running 2D stays without answer: alarm, and after 15 min safe."""
    look = bench.nmr.look

    def deaf(order: Any) -> Any:
        if order.step_id.endswith("tmix00") and order.token in bench.nmr.entries:
            raise InstrumentSilent("no answer", instrument="nmr")
        return look(order)

    monkeypatch.setattr(bench.nmr, "look", deaf)
    outcome = bench.run()
    assert outcome.stations["nmr"] is StationPhase.SAFE
    trip = next(event for event in bench.events() if isinstance(event, Tripped))
    assert trip.limit == "unanswered"
    assert trip.value is not None
    assert 900.0 < trip.value < 920.0
