"""Persons ask a running engine from another process: files in the run folder, answered and journaled."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.dataset.store import read_manifests
from labctl.errors import InputError
from labctl.run.events import Alarmed, Operated
from labctl.run.history import history
from labctl.run.lifecycle import CampaignPhase, StationPhase
from labctl.run.options import EngineOptions
from labctl.run.reporting import Reporter
from labctl.run.requests import Mailbox, Reply, Request, request
from labctl.run.state import initial_state
from tests.run.bench import START_S, Bench, Killed
from tests.run.campaigns import small_plan
from tests.run.test_killed import dying_hook

STEP = "nmr/vt_exsy/T00/tmix00"
NEXT = "nmr/vt_exsy/T00/tmix01"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A spectrometer with two 2Ds at one temperature."""
    options = EngineOptions(virtual_poll_s=3600.0)  # several requests are heard while one step goes on
    return Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,)), options=options)


class Asker:
    """Leaves requests in the run folder, one at a time, each at its moment, as another process would."""

    def __init__(self, bench: Bench, *asked: tuple[Callable[[], bool], Request]) -> None:
        self._bench = bench
        self._asked = list(asked)
        self.mailbox = Mailbox(bench.run_dir)

    def __call__(self) -> list[Operated]:
        """Be called by the engine at each turn; says nothing itself."""
        if self._asked and self._asked[0][0]():
            self.post(self._asked.pop(0)[1])
        return []

    def post(self, asked: Request) -> None:
        self.mailbox.folder.mkdir(parents=True, exist_ok=True)
        self.mailbox._write(self.mailbox.folder / f"{asked.id}.json", asked.model_dump_json())

    def reply(self, asked: Request) -> Reply | None:
        return self.mailbox._reply(asked.id)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.mailbox.folder.iterdir())


def running(bench: Bench, step_id: str = STEP) -> bool:
    """Whether the engine has seen a step running."""
    assert bench.engine is not None
    return bench.engine.state.steps[step_id].status == "running"


def asked_events(bench: Bench) -> list[Operated]:
    """Every verb in the journal."""
    return [event for event in bench.events() if isinstance(event, Operated)]


def test_pause_and_continue(bench: Bench) -> None:
    """Pause lets the running 2D end, continue goes on; both are answered, and journaled with who asked and why."""
    pause, go_on = request("pause", "the lid"), request("continue", "lid closed")
    asker = Asker(
        bench,
        (lambda: running(bench), pause),
        (lambda: bench.engine is not None and bench.engine.state.stations["nmr"].phase is StationPhase.PAUSED, go_on),
    )
    assert bench.run(operator=asker).exit_code == 0
    told, then = asker.reply(pause), asker.reply(go_on)
    assert told is not None
    assert then is not None
    assert (told.done, then.done) == (True, True)
    assert f"{STEP} goes on to its end" in told.what[0]
    assert [(event.verb, event.reason, event.by) for event in asked_events(bench)] == [
        ("pause", "the lid", pause.by),
        ("continue", "lid closed", go_on.by),
    ]
    assert pause.by.count("@") == 1
    journal = bench.journal()
    assert f"pause: the lid ({pause.by})" in [incident.what for incident in history(journal).incidents]
    journal.close()
    assert asker.files() == []
    assert set(bench.nmr.acquisitions().values()) == {1}


def test_abort(bench: Bench) -> None:
    """Abort halts what runs, keeps its data, makes safe and ends with exit code 4; the reply says so."""
    abort = request("abort", "smoke")
    asker = Asker(bench, (lambda: running(bench), abort))
    outcome = bench.run(operator=asker)
    assert (outcome.phase, outcome.exit_code) == (CampaignPhase.ABORTED, 4)
    assert outcome.stations["nmr"] is StationPhase.SAFE
    told = asker.reply(abort)
    assert told is not None
    assert "safe state is asked for" in told.what[0]
    assert STEP in [dataset.step_id for dataset in read_manifests(bench.run_dir)]


def test_skip(bench: Bench) -> None:
    """A step ahead is left out, a running one is halted with its data; what is behind or unknown is refused."""
    ahead, under_way = request("skip", "not needed", step_id=NEXT), request("skip", "too long", step_id=STEP)
    behind, unknown = request("skip", "x", step_id="nmr/vt_exsy/T00/t1"), request("skip", "x", step_id=f"{NEXT}0")
    asker = Asker(bench, *((lambda: running(bench), one) for one in (unknown, behind, ahead, under_way)))
    assert bench.run(operator=asker).exit_code == 0
    replies = [asker.reply(one) for one in (ahead, under_way, behind, unknown)]
    assert [reply.done for reply in replies if reply is not None] == [True, True, False, False]
    words = [reply.what[0] for reply in replies if reply is not None]
    assert words[0] == f"{NEXT} is left out"
    assert "is asked to end now" in words[1]
    assert "is done already" in words[2]
    assert f"did you mean {NEXT}?" in words[3]
    assert NEXT not in bench.nmr.acquisitions()
    assert [event.step_id for event in asked_events(bench)] == [NEXT, STEP]


def test_nothing_to_continue(bench: Bench) -> None:
    """Continue where nothing waits for a person is refused with how things stand, and not journaled."""
    go_on = request("continue", "just so")
    asker = Asker(bench, (lambda: running(bench), go_on))
    assert bench.run(operator=asker).exit_code == 0
    told = asker.reply(go_on)
    assert told is not None
    assert not told.done
    assert told.what == ("nothing waits for a person", f"nmr: running {STEP}")
    assert asked_events(bench) == []


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[]", '{"verb": "rm -rf"}', '{"id": "%s", "verb": "pause"}', '{"id": 1e999}', "\x00" * 100],
)
def test_rubbish_in_the_folder(bench: Bench, text: str) -> None:
    """What is no request is answered as such and does nothing, whatever it holds; other files are left alone."""
    name = request("pause", "x").id
    asker = Asker(bench)
    asker.mailbox.folder.mkdir(parents=True)

    def drop() -> list[Operated]:
        if running(bench) and not dropped:
            dropped.append(name)
            (asker.mailbox.folder / f"{name}.json").write_text(text.replace("%s", name), encoding="utf-8")
            (asker.mailbox.folder / "notes.txt").write_text("mine", encoding="utf-8")
        return []

    dropped: list[str] = []
    assert bench.run(operator=drop).exit_code == 0
    told = Mailbox(bench.run_dir)._reply(name)
    assert told is not None
    assert not told.done
    assert "no request of labctl" in told.what[0]
    assert asked_events(bench) == []
    assert asker.files() == ["notes.txt"]


def test_a_request_under_another_name_is_refused(bench: Bench) -> None:
    """A request copied under a second name would be carried out twice, so its name must be its own."""
    pause, other = request("pause", "x"), request("pause", "y")
    asker = Asker(bench)

    def drop() -> list[Operated]:
        if running(bench) and not asker.mailbox.folder.exists():
            asker.mailbox.folder.mkdir()
            (asker.mailbox.folder / f"{other.id}.json").write_text(pause.model_dump_json(), encoding="utf-8")
        return []

    assert bench.run(operator=drop).exit_code == 0
    assert asked_events(bench) == []


def test_nobody_takes_it_up(tmp_path: Path) -> None:
    """A request nobody takes up is withdrawn after the time allowed, and nothing of it is left."""
    mailbox = Mailbox(tmp_path)
    clock = VirtualClock(START_S)
    assert mailbox.ask(request("pause", "hello?"), clock=clock, wait_s=30.0) is None
    assert clock.now_s() >= START_S + 30.0
    assert list(mailbox.folder.iterdir()) == []


def test_taken_up_and_never_answered(tmp_path: Path) -> None:
    """An engine that dies with a request in hand is said to have: it may have been carried out, or not."""
    mailbox = Mailbox(tmp_path)

    class Taking(VirtualClock):
        def wait_until(self, deadline_s: float) -> None:
            mailbox.take()
            super().wait_until(deadline_s)

    with pytest.raises(InputError, match=r"took `abort` up .* labctl status"):
        mailbox.ask(request("abort", "now"), clock=Taking(START_S), wait_s=30.0)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_with_a_request_in_hand(bench: Bench, moment: str) -> None:
    """Killed before the commit, the request is void; after it, it was carried out: never twice, never half."""
    skip = request("skip", "not needed", step_id=NEXT)
    asker = Asker(bench, (lambda: running(bench), skip))
    bench.run(operator=Asker(bench, (lambda: running(bench), skip)))
    at = next(number for number, event in enumerate(bench.events(), start=1) if isinstance(event, Operated))

    other = Bench(folder=bench.folder / "killed", plan=bench.plan)
    asker = Asker(other, (lambda: running(other), skip))
    with pytest.raises(Killed):
        other.run(operator=asker, hook=functools.partial(dying_hook, at=at, moment=moment))
    assert other.run().exit_code == 0
    carried_out = moment == "after"
    assert len(asked_events(other)) == carried_out
    assert (NEXT in other.nmr.acquisitions()) is not carried_out
    told = asker.reply(skip)
    if told is not None:  # whoever asked has gone by then; the answer only must not lie
        assert told.done is carried_out
    assert asker.files() == []


def test_a_reason_is_one_line_of_text() -> None:
    """An empty reason, line breaks and terminal escapes are refused by name."""
    for reason in ("", "   ", "two\nlines", "\x1b[2J", "x" * 501):
        with pytest.raises(InputError, match="--reason"):
            request("pause", reason)


def test_who_says_continue_is_asked_again_where_it_is_not_over() -> None:
    """An alarm comes once; one that asks for a person comes again after "continue", one that only tells does not."""
    alarms: list[Alarmed] = []
    clock = VirtualClock(START_S)
    reporter = Reporter(None, clock=clock, alarm=alarms.append)
    state = initial_state(small_plan(temperatures_K=(313.0,)))

    def looks() -> None:
        reporter.alarm_once("cycler", "the cell stands suspended", "cell", person=True)
        reporter.alarm_once("cycler", "its data cannot be brought in yet", "data")

    looks()
    looks()
    assert [alarm.person for alarm in alarms] == [True, False]
    reporter.announce(Operated(verb="continue", reason="looked at it"), state)
    looks()
    assert [alarm.person for alarm in alarms] == [True, False, True]
