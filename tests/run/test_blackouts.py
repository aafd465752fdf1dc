"""The engine honours blackouts by its own clock: waits before what would run into one, holds the temperature."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.dataset.store import read_manifests
from labctl.plan.blackouts import Blackout, During
from labctl.ports import Measurement
from labctl.run.events import BlackoutBegan, Held, HoldEnded, Intended, Operated
from labctl.run.lifecycle import StationPhase
from tests.run.bench import START_S, Bench, Killed
from tests.run.campaigns import small_plan
from tests.run.test_killed import dying_hook
from tests.run.test_operator import STEP

LONG_S = 32 * 8 * 50.0
"""Duration of a 2D of the small plan [s]."""


def fill(bench: Bench, from_s: float, to_s: float, during: During = "wait") -> Blackout:
    """A magnet fill at times after the start, put into the bench's plan."""
    blackout = Blackout(station="nmr", from_s=START_S + from_s, to_s=START_S + to_s, why="helium", during=during)
    bench.plan = replace(bench.plan, blackouts=(*bench.plan.blackouts, blackout))
    return blackout


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A spectrometer with two 2Ds of 3.6 h; the first would begin after some 70 min."""
    return Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,)))


def begun_s(bench: Bench, step_id: str) -> float:
    """Wall time at which a step was begun, after the start."""
    return next(e.begun_wall_s for e in bench.nmr.entries.values() if e.order.step_id == step_id) - START_S


def test_a_2d_waits_for_the_end_of_a_fill(bench: Bench) -> None:
    """A 2D that would run into a fill begins after it; temperature is held, the reason is told, nothing is lost."""
    blackout = fill(bench, 10_000.0, 13_600.0)
    assert bench.run().exit_code == 0
    assert begun_s(bench, STEP) == pytest.approx(13_600.0, abs=10.0)
    [held] = [event for event in bench.events() if isinstance(event, Held)]
    assert (held.step_id, held.until_s) == (STEP, blackout.to_s)
    assert f"waits for helium; {STEP} begins after" in bench.messages()
    waiting = [report for report in bench.reports if report.phase is StationPhase.HELD]
    assert {"sensor_K": 313.0}.items() <= {r.quantity: r.value for r in waiting[-1].readings}.items()
    assert waiting[-1].eta_s > blackout.to_s
    assert set(bench.nmr.acquisitions().values()) == {1}
    assert [entry.order.step_id for entry in bench.nmr.entries.values()].count("nmr/vt_exsy/T00/ramp") == 1


def test_short_steps_go_on_before_it(bench: Bench) -> None:
    """Only what cannot be finished before the blackout waits: ramp, lines and T1 are done meanwhile."""
    fill(bench, 10_000.0, 20_000.0)
    assert bench.run().exit_code == 0
    early = {entry.order.step_id for entry in bench.nmr.entries.values() if entry.begun_wall_s < START_S + 10_000.0}
    assert early >= {"nmr/vt_exsy/T00/ramp", "nmr/vt_exsy/T00/settle", "nmr/vt_exsy/T00/t1"}
    assert STEP not in early


def test_a_blackout_for_people_only(bench: Bench) -> None:
    """With `run_on` nothing waits and nothing is halted."""
    fill(bench, 8_000.0, 9_000.0, "run_on")
    assert bench.run().exit_code == 0
    assert not [event for event in bench.events() if isinstance(event, Held | BlackoutBegan)]


def test_what_runs_all_the_same_goes_on(bench: Bench) -> None:
    """A 2D that takes longer than planned runs through a fill that says `wait`."""
    slow = bench.nmr.durations
    bench.nmr.durations = lambda task: slow(task) * (1.5 if isinstance(task, Measurement) else 1.0)
    fill(bench, 5_000.0 + 1.2 * LONG_S, 5_000.0 + 1.4 * LONG_S)
    assert bench.run().exit_code == 0
    assert {d.step_id: d.completeness for d in read_manifests(bench.run_dir)}[STEP] == "complete"


def test_a_blackout_that_halts(bench: Bench) -> None:
    """The same fill with `halt` ends the 2D when it begins, keeps its data, says why, and the next one waits."""
    slow = bench.nmr.durations
    bench.nmr.durations = lambda task: slow(task) * (1.5 if isinstance(task, Measurement) else 1.0)
    from_s = 5_000.0 + 1.2 * LONG_S
    fill(bench, from_s, from_s + 3600.0, "halt")
    assert bench.run().exit_code == 0
    [began] = [event for event in bench.events() if isinstance(event, BlackoutBegan)]
    assert (began.step_id, began.why) == (STEP, "helium")
    [entry] = [entry for entry in bench.nmr.entries.values() if entry.order.step_id == STEP]
    assert entry.ends_s == pytest.approx(START_S + from_s, abs=1.0)
    assert {d.step_id: d.completeness for d in read_manifests(bench.run_dir)}[STEP] == "partial"
    assert begun_s(bench, "nmr/vt_exsy/T00/tmix01") >= from_s + 3600.0


@pytest.mark.parametrize("outage_s", [60.0, 20_000.0])
def test_killed_while_it_waits(bench: Bench, outage_s: float) -> None:
    """An engine that comes back in the middle of a fill waits on; one that comes after it begins."""
    fill(bench, 10_000.0, 13_600.0)
    probe = Bench(folder=bench.folder / "probe", plan=bench.plan)
    probe.run()
    at = next(number for number, event in enumerate(probe.events(), start=1) if isinstance(event, Held))
    with pytest.raises(Killed):
        bench.run(hook=functools.partial(dying_hook, at=at, moment="after"))
    bench.clock._now_s += outage_s
    assert bench.run().exit_code == 0
    assert begun_s(bench, STEP) >= 13_600.0
    assert set(bench.nmr.acquisitions().values()) == {1}


@pytest.mark.parametrize("verb", ["pause", "abort", "skip"])
def test_a_person_comes_while_it_waits(bench: Bench, verb: str) -> None:
    """Pause and abort act at once although the blackout is not over, and skip goes on to the next step."""
    fill(bench, 10_000.0, 13_600.0)

    def operator() -> Sequence[Operated]:
        assert bench.engine is not None
        if bench.engine.state.stations["nmr"].phase is StationPhase.HELD and not asked:
            step_id = STEP if verb == "skip" else ""
            asked.append(Operated(verb=verb, reason="enough", step_id=step_id))  # type: ignore[arg-type]  # of the three
            return asked
        return ()

    asked: list[Operated] = []
    outcome = bench.run(operator=operator, operator_continues=False)
    assert outcome.exit_code == (0 if verb == "skip" else 4)
    ended = [event for event in bench.events() if isinstance(event, HoldEnded)]
    assert len(ended) == (verb == "skip")
    assert STEP not in [event.step_id for event in bench.events() if isinstance(event, Intended)]
    if verb == "pause":
        assert bench.run(attended="back").exit_code == 0
        assert STEP in bench.nmr.acquisitions()


def test_heat_that_is_lost_in_a_blackout_trips(bench: Bench) -> None:
    """While it waits the interlocks watch as ever: a rotor that stops goes to safe."""
    fill(bench, 10_000.0, 13_600.0)

    def operator() -> Sequence[Operated]:
        assert bench.engine is not None
        if bench.engine.state.stations["nmr"].phase is StationPhase.HELD:
            bench.nmr.values["spinning_Hz"] = 0.0
        return ()

    outcome = bench.run(operator=operator)
    assert outcome.stations["nmr"] is StationPhase.SAFE
    assert bench.clock.now_s() < START_S + 13_600.0
