"""The engine dies at every commit and at every call of an instrument, and the next one goes on: 0 lost, 0 repeated."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.dataset.store import damaged_files, read_manifests
from labctl.plan.steps import Plan
from labctl.ports import Acquire, Order, SetTemperature, Standing
from labctl.run.events import Event, Finished, HandedOff, Intended, Operated
from labctl.run.history import certificate, history
from labctl.run.perform import Performer
from tests.run.bench import Bench, DyingInstrument, Killed
from tests.run.campaigns import small_plan


def short_plan() -> Plan:
    """Spinning, ramp, settle, one line check, T1, one 2D, cool: every class of step that repeats differently."""
    plan = small_plan(temperatures_K=(313.0,), tmix=1)
    return replace(plan, steps=tuple(step for step in plan.steps if not step.id.endswith(("line1", "line2"))))


def forgetful(folder: Path) -> Bench:
    """A bench whose instrument does again whatever it is told again: only the engine prevents a repeat."""
    bench = Bench(folder=folder, plan=short_plan())
    bench.nmr.remembers_tokens = False
    return bench


def killed_during(bench: Bench, step_id: str) -> None:
    """Let the engine die while a step is under way."""

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if bench.engine.state.steps[step_id].status == "running":
            raise Killed
        return []

    with pytest.raises(Killed):
        bench.run(operator=operator)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int, int]:
    """Raw data, number of commits and number of instrument calls of a campaign nobody kills."""
    bench = forgetful(tmp_path_factory.mktemp("undisturbed"))
    commits: list[int] = []
    counted = DyingInstrument(bench.nmr, -1, after=False)
    instruments = {"nmr": counted}
    bench.run(hook=lambda when, number: commits.append(number), instruments=instruments)
    return bench.raw(), max(commits), counted.calls


def dying_hook(when: str, number: int, *, at: int, moment: str) -> None:
    """Die at one moment of one commit."""
    if number == at and when == moment:
        raise Killed


def finish(bench: Bench, *, outage_s: float = 0.0, performer: type[Performer] | None = None) -> None:
    """Let time pass without an engine, then let a fresh one finish."""
    bench.clock._now_s += outage_s
    assert bench.run(performer=performer).exit_code == 0


def judge(bench: Bench, raw: dict[str, bytes]) -> None:
    """Nothing lost, nothing repeated, the same bytes, each dataset handed over once, every manifest true."""
    assert set(bench.nmr.acquisitions().values()) == {1}, bench.nmr.starts
    assert bench.raw() == raw
    journal = bench.journal()
    told = certificate(journal)
    assert journal.outbox() == ()
    journal.verify_chain()
    journal.close()
    assert (told.acquired, told.repeated, told.lost) == (told.planned, 0, 0), told.details
    for dataset in read_manifests(bench.run_dir):
        assert damaged_files(bench.run_dir, dataset) == ()
    verdicts = [(event.step_id, event.attempt) for event in bench.events() if isinstance(event, HandedOff)]
    assert sorted(verdicts) == sorted({(dataset.step_id, dataset.attempt) for dataset in read_manifests(bench.run_dir)})


def settled_anew(events: list[Event]) -> None:
    """After an outage nothing is acquired before the temperature has settled after a ramp of the new engine."""
    settled = False
    for event in events:
        if isinstance(event, Intended) and isinstance(event.task, Acquire):
            assert settled, event.step_id
        elif isinstance(event, Intended) and isinstance(event.task, SetTemperature):
            settled = False
        elif isinstance(event, Finished) and event.step_id.endswith("/settle"):
            settled = True


def points(count: int, *, all_of_them: bool, step: int) -> Iterator[int]:
    """Numbers 1 to `count`, or a sample of them."""
    yield from range(1, count + 1, 1 if all_of_them else step)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("outage_s", [0.0, 1200.0])
def test_killed_at_every_commit(
    tmp_path: Path, undisturbed: tuple[dict[str, bytes], int, int], moment: str, outage_s: float
) -> None:
    """Killed before or after any commit, at once or 20 minutes gone, the campaign ends as if undisturbed."""
    raw, commits, _ = undisturbed
    for at in points(commits, all_of_them=True, step=1):
        bench = forgetful(tmp_path / str(at))
        with pytest.raises(Killed):
            bench.run(hook=functools.partial(dying_hook, at=at, moment=moment))
        before = len(bench.events())
        finish(bench, outage_s=outage_s)
        judge(bench, raw)
        if outage_s > 0.0:
            settled_anew(bench.events()[before:])
        shutil.rmtree(bench.folder)


def killed_at_call(folder: Path, at: int, *, after: bool) -> Bench:
    """A bench whose engine died at the `at`-th call of its instrument."""
    bench = forgetful(folder)
    dying = {"nmr": DyingInstrument(bench.nmr, at, after=after)}
    with pytest.raises(Killed):
        bench.run(instruments=dying)
    return bench


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_calls(tmp_path: Path, undisturbed: tuple[dict[str, bytes], int, int], *, after: bool) -> None:
    """Killed before or after a call of the instrument (every fifth), the campaign ends as if undisturbed."""
    raw, _, calls = undisturbed
    for at in points(calls, all_of_them=False, step=5):
        bench = killed_at_call(tmp_path / str(at), at, after=after)
        finish(bench, outage_s=1200.0)
        judge(bench, raw)
        shutil.rmtree(bench.folder)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("outage_s", [0.0, 30.0, 1200.0, 90_000.0])
def test_killed_at_every_call(
    tmp_path: Path, undisturbed: tuple[dict[str, bytes], int, int], outage_s: float, *, after: bool
) -> None:
    """Killed before or after every call of the instrument, with any outage, the campaign ends as if undisturbed."""
    raw, _, calls = undisturbed
    for at in points(calls, all_of_them=True, step=1):
        bench = killed_at_call(tmp_path / str(at), at, after=after)
        finish(bench, outage_s=outage_s)
        judge(bench, raw)
        shutil.rmtree(bench.folder)


class Careless(Performer):
    """Does not ask the instrument, but takes for granted that nothing was begun."""

    def ask_evidence(self, order: Order) -> tuple[Event, ...]:
        return (self._evidence(order, Standing.NOT_STARTED, "not asked"),)


def test_the_test_bites(tmp_path: Path, undisturbed: tuple[dict[str, bytes], int, int]) -> None:
    """With the question to the instrument switched off, the same kills repeat acquisitions."""
    _, commits, _ = undisturbed
    repeated = 0
    for at in points(commits, all_of_them=False, step=1):
        bench = forgetful(tmp_path / str(at))
        with pytest.raises(Killed):
            bench.run(hook=functools.partial(dying_hook, at=at, moment="after"))
        bench.run(performer=Careless)
        repeated += any(times > 1 for times in bench.nmr.acquisitions().values())
        shutil.rmtree(bench.folder)
    assert repeated > 0


def test_record_lost_by_the_instrument(tmp_path: Path) -> None:
    """What was seen running and is not known any more: an acquisition is a new attempt, said so; a wait is no news."""
    bench = forgetful(tmp_path)
    settle, step_id = "nmr/vt_exsy/T00/settle", "nmr/vt_exsy/T00/tmix00"
    for at in (settle, step_id):
        killed_during(bench, at)
        [token] = [token for token, entry in bench.nmr.entries.items() if entry.order.step_id == at]
        del bench.nmr.entries[token], bench.nmr.starts[token]
    finish(bench)
    [dataset] = [dataset for dataset in read_manifests(bench.run_dir) if dataset.step_id == step_id]
    assert (dataset.attempt, dataset.completeness) == (2, "complete")
    assert f"{step_id} had begun and left nothing" in bench.messages()
    assert f"{settle} had begun" not in bench.messages()
    again = {one.step_id: one.acquires for one in bench.reports if one.attempt == 2}
    assert (again[settle], again[step_id]) == (False, True)
    journal = bench.journal()
    told, certified = history(journal), certificate(journal)
    journal.close()
    ends = {(one.step_id, one.attempt): one.result for one in told.attempts}
    assert ends[settle, 1] == ends[step_id, 1] == "begun again"
    why = [one.detail for one in told.attempts if one.result == "begun again"]
    assert ["nothing is acquired" in one for one in why] == [True, False]
    assert all(one.ended_s is not None for one in told.attempts)
    assert (certified.repeated, certified.lost) == (1, 0)
    [repeat] = certified.details
    assert repeat.startswith(f"{step_id}: attempt 2 after attempt 1 was open: it was begun and left nothing")


def test_power_cut_in_a_2d(tmp_path: Path) -> None:
    """A 2D cut short while the engine was dead is kept as partial data and acquired anew as attempt 2."""
    bench = forgetful(tmp_path)
    step_id = "nmr/vt_exsy/T00/tmix00"
    killed_during(bench, step_id)
    bench.clock._now_s += 3000.0
    bench.nmr.power_cut()
    bench.clock._now_s += 3000.0
    finish(bench)
    first, second = [dataset for dataset in read_manifests(bench.run_dir) if dataset.step_id == step_id]
    assert (first.completeness, second.completeness) == ("partial", "complete")
    journal = bench.journal()
    told = certificate(journal)
    journal.close()
    assert (told.repeated, told.lost) == (1, 0)
