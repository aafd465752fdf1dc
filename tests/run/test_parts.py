"""Results while it runs: the parts of an order that goes on are brought in once each, also over kills, and judged."""

from __future__ import annotations

import functools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.dataset.model import Dataset, Verdict
from labctl.dataset.store import damaged_files, read_manifests, read_parts
from labctl.plan.steps import Plan
from labctl.ports import Collected, CycleCell, Effect, Order
from labctl.run.decide import decide
from labctl.run.events import Finished, HandedOff, PartCollected, PartJudged, event_from_json, event_json
from labctl.run.state import initial_state
from labctl.testing import ScriptedInstrument
from tests.run.bench import Bench, DyingInstrument, Killed
from tests.run.campaigns import CAMPAIGN, step

STEP = "maccor/fixed_capacity_cycling/cell"
CELL = CycleCell(
    cell="cell",
    current_A=1e-4,
    discharge_current_A=1e-4,
    charges_Ah=(5e-4, 1e-3),
    then_cycles=2,
    then_charge_Ah=1e-3,
    discharge_to_V=0.8,
    charge_above_V=2.1,
    charge_below_V=0.3,
    charge_limit_s=144_000.0,
    discharge_limit_s=144_000.0,
    unreturned_max_Ah=5e-4,
    efficiency_min=0.8,
    rest_s=300.0,
    first_rest_s=3600.0,
    record_s=60.0,
    record_V=0.005,
    mass_mg=2.435,
    mass_basis="Li2S",
    area_cm2=0.7854,
    setpoint_K=297.0,
    sample_K=297.0,
    duration_s=4 * 50_000.0,
)


def told(path: Path, dataset: Dataset) -> Verdict:
    """Say what was seen; a part is never asked to stop anything."""
    assert path.is_file()
    return Verdict(message=f"{dataset.completeness} {dataset.part_from}-{dataset.part}", gate="stop")


def cycling(folder: Path) -> Bench:
    """A cell of four cycles on an instrument that forgets tokens, so that only the engine prevents a repeat."""
    plan = Plan(campaign=CAMPAIGN, steps=(step(STEP, CELL, Effect.IRREVERSIBLE, role="cycle", estimate_s=3e5),))
    bench = Bench(folder=folder, plan=plan, analyse=told)
    bench.instruments["maccor"].remembers_tokens = False
    return bench


def judge(bench: Bench) -> None:
    """Every cycle stands in exactly one part, each part was judged, files and manifests are as written down."""
    assert bench.instruments["maccor"].acquisitions() == {STEP: 1}
    events = bench.events()
    parts = [event for event in events if isinstance(event, PartCollected)]
    held = [number for event in parts for number in range(event.dataset.part_from, event.dataset.part + 1)]
    assert held == list(range(1, parts[-1].part + 1)), "no cycle twice, none left out"
    manifests = read_parts(bench.run_dir)
    assert {one.part for one in manifests} >= {event.part for event in parts[:-1]}
    for dataset in manifests:
        assert dataset in [event.dataset for event in parts]
        assert damaged_files(bench.run_dir, dataset) == ()
    judged = [event.part for event in events if isinstance(event, PartJudged)]
    assert sorted(set(judged)) == judged, "each part is judged once"
    [whole] = read_manifests(bench.run_dir)
    assert (whole.completeness, whole.part) == ("complete", 0)
    assert sum(isinstance(event, HandedOff) for event in events) == 1


def test_each_cycle_comes_in_while_the_cell_goes_on(tmp_path: Path) -> None:
    """Three parts before the end (the fourth ends with the whole), told as they come; their gate stops nothing."""
    bench = cycling(tmp_path)
    bench.run()
    judge(bench)
    events = bench.events()
    parts = [event for event in events if isinstance(event, PartCollected)]
    assert [event.part for event in parts] == [1, 2, 3]
    ended = next(number for number, event in enumerate(events) if isinstance(event, Finished))
    assert max(number for number, event in enumerate(events) if isinstance(event, PartJudged)) < ended
    assert bench.messages().splitlines()[0] == "partial 1-1"
    before = {path: path.stat().st_mtime_ns for path in (bench.run_dir / "maccor").rglob("*.txt")}
    assert len(before) == len(parts) + 1
    assert all(event_from_json(event_json(event)) == event for event in parts)


def test_what_passed_unwatched_is_one_part(tmp_path: Path) -> None:
    """After an outage over two cycles, one part holds both."""
    bench = cycling(tmp_path)

    def die(report: object) -> None:
        if "partial 1-1" in bench.messages():
            raise Killed

    bench.reports = _Watched(die)
    with pytest.raises(Killed):
        bench.run()
    bench.reports = []
    bench.clock._now_s += 2 * 50_000.0
    bench.run()
    judge(bench)
    parts = [event.dataset for event in bench.events() if isinstance(event, PartCollected)]
    assert (parts[1].part_from, parts[1].part) == (2, 3)


class _Watched(list):  # type: ignore[type-arg]  # a list that tells of each report
    def __init__(self, tell: object) -> None:
        super().__init__()
        self._tell = tell

    def append(self, report: object) -> None:
        super().append(report)
        self._tell(report)  # type: ignore[operator]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_commit(tmp_path: Path, moment: str) -> None:
    """Killed before or after any commit, each cycle is in one part, and the whole comes at the end."""
    commits: list[int] = []
    cycling(tmp_path / "undisturbed").run(hook=lambda when, number: commits.append(number))
    for at in range(1, max(commits) + 1):
        bench = cycling(tmp_path / str(at))
        with pytest.raises(Killed):
            bench.run(hook=functools.partial(_die, at=at, moment=moment))
        bench.clock._now_s += 20_000.0
        bench.run()
        judge(bench)
        shutil.rmtree(bench.folder)


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_calls(tmp_path: Path, *, after: bool) -> None:
    """Killed before or after a call of the instrument, between a part's file and its row too, nothing differs."""
    bench = cycling(tmp_path / "undisturbed")
    bench.run()
    for at in _around_parts(bench.instruments["maccor"]):
        bench = cycling(tmp_path / str(at))
        with pytest.raises(Killed):
            bench.run(instruments={"maccor": DyingInstrument(bench.instruments["maccor"], at, after=after)})
        bench.run()
        judge(bench)
        shutil.rmtree(bench.folder)


def _around_parts(instrument: ScriptedInstrument) -> list[int]:
    """Numbers of the calls that bring in a part, and of those right before and after."""
    calls = [line for line in instrument.log if line != "close"]
    at = [number for number, line in enumerate(calls, start=1) if line.startswith("collect_part")]
    return sorted({number + offset for number in at for offset in (-1, 0, 1)})


def _die(when: str, number: int, *, at: int, moment: str) -> None:
    if number == at and when == moment:
        raise Killed


def test_replay_gives_the_live_state(tmp_path: Path) -> None:
    """The rows of a journal lead where the engine was, at the end as at each part."""
    bench = cycling(tmp_path)
    bench.run()
    assert bench.engine is not None
    state = initial_state(bench.plan)
    seen = []
    for event in bench.events():
        state, _ = decide(state, event)
        seen.append(state.steps[STEP].parts)
    assert state == bench.engine.state
    assert seen == sorted(seen)
    assert state.steps[STEP].part_pending is None


def test_a_part_that_cannot_be_had_harms_nothing(tmp_path: Path) -> None:
    """An instrument that fails to deliver parts is told of once; the whole comes at the end."""
    bench = cycling(tmp_path)

    class Stubborn(ScriptedInstrument):
        def collect_part(self, order: Order, part: int, after: int, into: Path) -> Collected:
            raise OSError("the share is gone")

    stubborn = Stubborn(station="maccor", clock=bench.clock)
    bench.clock.add_source(stubborn.next_event_s)
    bench.instruments["maccor"] = stubborn
    bench.run()
    assert bench.messages().count("no partial results yet: the share is gone") == 1
    assert read_parts(bench.run_dir) == ()
    assert read_manifests(bench.run_dir)[0].completeness == "complete"


def test_an_older_part_changes_nothing(tmp_path: Path) -> None:
    """A part that is already there, or of another attempt, is passed over by the pure rule."""
    bench = cycling(tmp_path)
    bench.run()
    state = initial_state(bench.plan)
    for event in bench.events():
        if isinstance(event, Finished):
            break
        state, _ = decide(state, event)
        if isinstance(event, PartCollected):
            assert decide(state, event) == (state, ())
            late = replace(event, attempt=7, part=99)
            assert decide(state, late) == (state, ())
