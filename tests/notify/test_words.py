"""What of a campaign becomes a message, from the events of campaigns that really ran."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import ForeignDataError
from labctl.notify.policy import Delivery, Notices, Rules, Severity, due
from labctl.notify.words import Listener, ended, hear
from labctl.run.decide import decide
from labctl.run.desk import operated_event, what_was_done
from labctl.run.events import Alarmed, Event, Failed, Operated
from labctl.run.requests import request
from labctl.run.state import State, initial_state
from tests.run.bench import START_S, Bench
from tests.run.campaigns import small_plan


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A lab with a short campaign."""
    return Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))


def told(bench: Bench) -> tuple[list[Delivery], State, Listener]:
    """Everything people would have been told of a campaign by its journal, without quiet hours."""
    journal = bench.journal()
    listener, state = Listener(notices=Notices(rules=Rules())), initial_state(bench.plan)
    out: list[Delivery] = []
    for row in journal.rows():
        state, _ = decide(state, row.event)
        listener = hear(listener, row.event, state, row.wall_s)
        notices, said = due(listener.notices, row.wall_s, state_of_things=listener.state_of_things)
        listener = Listener(
            notices=notices,
            campaign=listener.campaign,
            stands=listener.stands,
            phase=listener.phase,
            state_of_things=listener.state_of_things,
        )
        out += said
    journal.close()
    return out, state, listener


def test_a_good_night_is_quiet(bench: Bench) -> None:
    """A campaign without trouble says that it has begun and that it is done, and nothing that wants an answer."""
    bench.run()
    said, _, listener = told(bench)
    assert [(one.severity, one.title) for one in said] == [
        (Severity.INFO, "small: has begun"),
        (Severity.INFO, "small: done"),
    ]
    assert listener.notices.waiting == ()
    assert listener.notices.tally["datasets"] == 4


def test_a_fault_says_step_reason_and_what_to_do(bench: Bench) -> None:
    """A step that fails is told with its words, and that a person is needed once the station stands."""
    step = "nmr/vt_exsy/T00/tmix00"
    bench.nmr.endings[step] = ["failed"] * 5
    assert bench.run().exit_code == 1
    said, _, listener = told(bench)
    failed = [event for event in bench.events() if isinstance(event, Failed)]
    assert any(failed[0].what in one.text and step in one.text for one in said if "a step failed" in one.title)
    person = [one for one in said if one.severity is Severity.PERSON]
    assert any("a person is needed" in one.title for one in person)
    assert listener.notices.waiting != ()


def test_foreign_data_wake_people_once(tmp_path: Path) -> None:
    """Of somebody else's data on a cold station one message comes, with what to do; it says nothing of cooling."""
    plan = small_plan(temperatures_K=(313.0,), tmix=1)
    cold = replace(plan, steps=tuple(step for step in plan.steps if step.role == "t1"))
    bench = Bench(folder=tmp_path, plan=cold)
    bench.nmr.foreign.add(cold.steps[0].id)
    with pytest.raises(ForeignDataError):
        bench.run()
    said, _, _ = told(bench)
    [one] = [one for one in said if "stand in our place" in one.text and "stopped by a fault" not in one.title]
    assert one.severity is Severity.PERSON
    assert one.text.count("data without our token") == 1
    assert "Move or rename them" in one.text
    assert "labctl continue" in one.text
    assert not any("cools" in other.text for other in said)


def test_an_acknowledgement_ends_reminders(bench: Bench) -> None:
    """`labctl acknowledge` is legal whenever, changes nothing of the campaign, and nobody is reminded any more."""
    bench.nmr.endings["nmr/vt_exsy/T00/tmix00"] = ["failed"] * 5
    bench.run()
    _, state, listener = told(bench)
    asked = request("acknowledge", "on my way")
    event = operated_event(asked, state)
    after, commands = decide(state, event)
    assert (after, commands) == (state, ())
    assert "nobody is reminded" in what_was_done(asked, state, after)[0]
    at_s = START_S + 1e6
    _, before = due(listener.notices, at_s)
    assert any(one.title.startswith("still:") for one in before)
    _, said = due(hear(listener, event, after, at_s).notices, at_s)
    assert [one.title for one in said] == ["small: somebody said acknowledge"]


def test_a_prompt_is_asked_until_its_step_is_over(bench: Bench) -> None:
    """What a person is asked for during a step is not asked once the step has ended, and is asked anew at the next."""
    state = initial_state(bench.plan)
    prompt = Alarmed(station="nmr", what="tune the probe", person=True)
    listener = hear(Listener(notices=Notices(rules=Rules())), prompt, state, START_S)
    _, said = due(listener.notices, START_S)
    assert [one.severity for one in said] == [Severity.PERSON]
    plain = Alarmed(station="nmr", what="the clock drifts")
    _, said = due(hear(listener, plain, state, START_S).notices, START_S)
    assert Severity.WARNING in {one.severity for one in said}


@pytest.mark.parametrize(("code", "severity"), [(4, Severity.WARNING), (1, Severity.ALARM), (70, Severity.ALARM)])
def test_an_engine_that_stops_leaves_word(code: int, severity: Severity) -> None:
    """An end out of order says that nobody watches any more; one in good order says nothing more."""
    listener = Listener(notices=Notices(rules=Rules()))
    assert ended(listener, campaign="c", why="", code=0, at_s=START_S) == listener
    stopped = ended(listener, campaign="c", why="disk full", code=code, at_s=START_S)
    [one] = due(stopped.notices, START_S)[1]
    assert one.severity is severity
    assert "Nobody watches" in one.text


_VERBS: list[Event] = [Operated(verb="pause", reason="lunch"), Operated(verb="abort", reason="fire drill")]


@pytest.mark.parametrize("event", _VERBS, ids=lambda event: event.verb)
def test_a_person_s_own_verb_asks_for_nobody(bench: Bench, event: Operated) -> None:
    """Whoever pauses or aborts is not asked to come."""
    asked = [event]
    bench.run(operator=lambda: [asked.pop()] if asked and len(bench.reports) > 20 else [], operator_continues=False)
    said, _, _ = told(bench)
    assert Severity.PERSON not in {one.severity for one in said}
    assert any(event.reason in one.text for one in said)
