"""A plan is changed where nothing has begun: live, at rest, through kills; never where something has."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from labctl.plan.blackouts import Blackout
from labctl.plan.steps import Plan
from labctl.run.amend import difference, fingerprint, merged, touched
from labctl.run.desk import Refused
from labctl.run.events import Amended, Operated, event_from_json, event_json
from labctl.run.history import certificate
from labctl.run.journal import Journal
from labctl.run.options import EngineOptions
from labctl.run.replay import change_at_rest, replayed
from labctl.run.requests import Request, request
from labctl.run.standing import amendments
from labctl.run.state import BEHIND, State, initial_state
from tests.run.bench import START_S, Bench, Killed
from tests.run.campaigns import small_plan
from tests.run.test_killed import dying_hook
from tests.run.test_operator import STEP, Asker, running

OLD = small_plan(temperatures_K=(313.0,))
MORE = small_plan(temperatures_K=(313.0,), tmix=3)
ADDED = "nmr/vt_exsy/T00/tmix02"
WARMER = small_plan(temperatures_K=(333.0,))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A spectrometer with two 2Ds at one temperature."""
    return Bench(folder=tmp_path, plan=OLD, options=EngineOptions(virtual_poll_s=3600.0))


def amend(text: str = "more", *, base: Plan = OLD) -> Request:
    """An amendment to the plan that its text names."""
    return request("amend", "SNR is better than thought", protocol=text, base=fingerprint(base))


def replan(text: str) -> Plan:
    """Stands for reading a protocol: here its text names a plan."""
    return {"more": MORE, "warmer": WARMER}[text]


def test_a_2d_is_added_while_another_runs(bench: Bench) -> None:
    """The added 2D is acquired after the others, once; journal, replay, certificate and history know the new plan."""
    asked = amend()
    asker = Asker(bench, (lambda: running(bench), asked))
    assert bench.run(operator=asker, replan=replan).exit_code == 0
    told = asker.reply(asked)
    assert told is not None
    assert told.done
    assert "1 steps added, 0 dropped, 0 changed" in told.what[0]
    assert bench.nmr.acquisitions()[ADDED] == 1
    assert set(bench.nmr.acquisitions().values()) == {1}
    journal = bench.journal()
    certified = certificate(journal)
    assert certified.acquired == certified.planned
    assert bench.engine is not None
    assert replayed(journal, OLD) == bench.engine.state
    journal.close()
    [one] = amendments(bench.run_dir / "journal.sqlite")
    assert (one["file"], one["by"], one["reason"]) == ("protocol.2.yaml", asked.by, asked.reason)
    assert (bench.run_dir / "protocol.2.yaml").read_text(encoding="utf-8") == "more"
    assert bench.run().exit_code == 0  # and once more, from the plan it was begun with


def test_what_runs_is_not_touched(bench: Bench) -> None:
    """A plan that changes what is done or under way is refused with each such step; nothing is journaled or kept."""
    asked = amend("warmer")
    asker = Asker(bench, (lambda: running(bench), asked))
    assert bench.run(operator=asker, replan=replan).exit_code == 0
    told = asker.reply(asked)
    assert told is not None
    assert not told.done
    words = "\n".join(told.what)
    assert "nmr/vt_exsy/T00/ramp is done and would be another" in words
    assert f"{STEP} has begun (attempt 1, running) and would be another" in words
    assert not [event for event in bench.events() if isinstance(event, Amended)]
    assert not list(bench.run_dir.glob("protocol*"))


def test_a_plan_amended_meanwhile_is_compared_again(bench: Bench) -> None:
    """A request compared with a plan that is no longer in force is refused."""
    asked = amend(base=WARMER)
    asker = Asker(bench, (lambda: running(bench), asked))
    assert bench.run(operator=asker, replan=replan).exit_code == 0
    told = asker.reply(asked)
    assert told is not None
    assert "compare again" in told.what[0]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_the_amendment(tmp_path: Path, moment: str) -> None:
    """Killed before the commit the old plan goes on, after it the new one; the frozen file alone changes nothing."""
    undisturbed = Bench(folder=tmp_path / "undisturbed", plan=OLD)
    undisturbed.run(operator=Asker(undisturbed, (lambda: running(undisturbed), amend())), replan=replan)
    at = next(number for number, event in enumerate(undisturbed.events(), start=1) if isinstance(event, Amended))
    bench = Bench(folder=tmp_path / "killed", plan=OLD)
    with pytest.raises(Killed):
        bench.run(
            operator=Asker(bench, (lambda: running(bench), amend())),
            replan=replan,
            hook=functools.partial(dying_hook, at=at, moment=moment),
        )
    assert bench.run().exit_code == 0
    assert (ADDED in bench.nmr.acquisitions()) is (moment == "after")
    assert set(bench.nmr.acquisitions().values()) == {1}


def at_rest(bench: Bench, asked: Request) -> list[str]:
    """Carry a request out in the journal, with no engine."""
    journal = Journal(bench.run_dir / "journal.sqlite", clock=bench.clock)
    try:
        return change_at_rest(journal, bench.plan, asked, replan)
    finally:
        journal.close()


@pytest.mark.parametrize("at", [2, 20, 38])
def test_amended_between_two_engines(bench: Bench, at: int) -> None:
    """Killed anywhere, amended at rest and resumed: every step of the new plan is acquired once, or it is refused."""
    with pytest.raises(Killed):
        bench.run(hook=functools.partial(dying_hook, at=at, moment="after"))
    assert "1 steps added" in at_rest(bench, amend())[0]
    bench.clock._now_s += 600.0
    assert bench.run().exit_code == 0
    assert bench.nmr.acquisitions().keys() >= {ADDED, STEP}
    assert set(bench.nmr.acquisitions().values()) == {1}
    with pytest.raises(Refused, match=r"would be another"):
        at_rest(bench, amend("warmer", base=MORE))


def test_a_finished_campaign_takes_nothing_more(bench: Bench) -> None:
    """Where everything is behind, heat is off and nothing is put behind it."""
    assert bench.run().exit_code == 0
    with pytest.raises(Refused, match="nothing can follow it"):
        at_rest(bench, amend())


def killed_when(bench: Bench, condition: Callable[[], bool]) -> None:
    """Let an engine die as soon as something is so."""

    def operator() -> Sequence[Operated]:
        if condition():
            raise Killed
        return ()

    with pytest.raises(Killed):
        bench.run(operator=operator)


def test_verbs_at_rest(bench: Bench) -> None:
    """A step ahead is skipped at rest; one that may be under way is not; abort makes the next engine only make safe."""
    killed_when(bench, lambda: running(bench))
    with pytest.raises(Refused, match="resume, then skip"):
        at_rest(bench, request("skip", "no", step_id=STEP))
    assert at_rest(bench, request("skip", "no", step_id="nmr/vt_exsy/T00/tmix01")) == [
        "nmr/vt_exsy/T00/tmix01 is left out"
    ]
    at_rest(bench, request("abort", "the sample leaks"))
    before = bench.nmr.acquisitions()
    assert bench.run().exit_code == 4
    assert bench.nmr.acquisitions() == before
    assert bench.nmr.safe_asked_s is not None
    assert bench.run(attended="mended").exit_code == 0
    assert "nmr/vt_exsy/T00/tmix01" not in bench.nmr.acquisitions()


def test_blackouts_come_and_go_with_an_amendment(bench: Bench) -> None:
    """A 2D that waits for a booking begins at once when the booking is taken out of the protocol."""
    far_s = START_S + 30 * 86_400.0
    booking = Blackout(station="nmr", from_s=START_S + 4000.0, to_s=far_s, why="booking")
    bench.plan = replace(OLD, blackouts=(booking,))
    asked = amend(base=bench.plan)

    def held() -> bool:
        return bench.engine is not None and bench.engine.state.stations["nmr"].phase.value == "held"

    assert bench.run(operator=Asker(bench, (held, asked)), replan=replan).exit_code == 0
    assert bench.clock.now_s() < far_s
    assert bench.nmr.acquisitions()[ADDED] == 1


# ------------------------------------------------------------------------------------------------ laws


def states() -> list[State]:
    """States of a campaign at which it may stand, from the beginning to the end of its first steps."""
    found = []
    for done in range(len(OLD.steps) + 1):
        state = initial_state(OLD)
        steps = dict(state.steps)
        for step in OLD.steps[:done]:
            steps[step.id] = replace(steps[step.id], status="done", attempt=1)
        stations = {"nmr": replace(state.stations["nmr"], index=done)}
        found.append(replace(state, steps=steps, stations=stations))
    return found


STATES = states()


@hypothesis.given(
    state=st.sampled_from(STATES),
    order=st.permutations(range(len(MORE.steps))),
    kept=st.integers(0, len(MORE.steps)),
    straight=st.integers(0, len(MORE.steps)),
)
def test_an_accepted_plan_begins_with_what_is_behind(state: State, order: list[int], kept: int, straight: int) -> None:
    """Whatever is not refused begins, station by station, with the steps that are behind, in their order."""
    numbers = list(range(straight)) + [number for number in order if number >= straight]
    plan = replace(MORE, steps=tuple(MORE.steps[number] for number in numbers[: max(kept, straight)]))
    behind = [step for step in OLD.steps if state.steps[step.id].status in BEHIND]
    same = [(step.id, step.key) for step in plan.steps[: len(behind)]] == [(step.id, step.key) for step in behind]
    finished = len(behind) == len(OLD.steps)
    assert (not touched(state, plan)) is (same and not (finished and len(plan.steps) > len(behind)))
    if same:
        assert merged(state, plan).steps[: len(behind)] == tuple(behind)
    change = difference(state, plan)
    assert {step.id for step in change.added} == {step.id for step in plan.steps} - {step.id for step in OLD.steps}
    assert {step.id for step in change.dropped} == {step.id for step in OLD.steps} - {step.id for step in plan.steps}


def test_an_amendment_survives_json() -> None:
    """Every step of a plan comes back from an amendment as it was."""
    event = Amended(
        reason="r",
        steps=MORE.steps,
        protocol_file="protocol.2.yaml",
        protocol_sha256="0" * 64,
        blackouts=(Blackout(station="nmr", from_s=1.0, to_s=2.0, why="w", during="halt"),),
        by="a@b",
        request="x",
    )
    assert event_from_json(event_json(event)) == event
