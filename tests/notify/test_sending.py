"""The way out: a real web server on this computer, Apprise, failures, and secrets that stay where they are."""

from __future__ import annotations

import itertools
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from labctl.cli.bystanding import notifier_of
from labctl.errors import InputError, LabctlError
from labctl.notify.carriers import AppriseCarrier, Pulse
from labctl.notify.notifier import Heartbeat, Notifier
from labctl.notify.outbox import GIVE_UP_S, LENGTH, PAUSES_S, Outbox
from labctl.notify.policy import Delivery, Rules, Severity
from labctl.notify.references import resolve
from labctl.protocol.load import load_lab
from labctl.run.events import Alarmed, Tripped
from tests.run.bench import Bench
from tests.run.campaigns import small_plan

SECRET = "hunter2secret"
ALARM = Delivery(severity=Severity.ALARM, title="gas is gone", text="look")
NEWS = Delivery(severity=Severity.INFO, title="done", text="all of it")


@dataclass
class Receiver:
    """A web server that remembers what it was sent, and answers as told."""

    port: int = 0
    status: int = 200
    came: list[tuple[str, Any]] = field(default_factory=list)
    arrived: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver on loopback."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(json.loads(body))

        def do_GET(self) -> None:
            self._answer(None)

        def _answer(self, body: Any) -> None:
            told.came.append((self.path, body))
            self.send_response(told.status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            told.arrived.set()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Flaky:
    """A carrier that fails as long as it is told to."""

    fails: bool = True
    tries: int = 0
    came: list[str] = field(default_factory=list)

    def carry(self, delivery: Delivery) -> str:
        """Take it or not."""
        self.tries += 1
        if self.fails:
            return "no route"
        self.came.append(delivery.title)
        return ""


def test_apprise_delivers(receiver: Receiver) -> None:
    """A delivery reaches a real server with title, text and kind."""
    carrier = AppriseCarrier("env:X", f"json://user:{SECRET}@127.0.0.1:{receiver.port}/lab")
    assert carrier.carry(ALARM) == ""
    path, body = receiver.came[0]
    assert path.rstrip("/") == "/lab"
    assert (body["title"], body["message"], body["type"]) == ("gas is gone", "look", "failure")


def test_a_refusal_says_no_secret(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """A server that refuses, or nobody at all, is said without the address; logs hold nothing of it either."""
    receiver.status = 500
    with caplog.at_level(logging.DEBUG):
        refused = AppriseCarrier("env:X", f"json://user:{SECRET}@127.0.0.1:{receiver.port}/{SECRET}").carry(NEWS)
        nobody = AppriseCarrier("env:X", f"json://user:{SECRET}@127.0.0.1:1/{SECRET}").carry(NEWS)
    assert refused
    assert nobody
    assert SECRET not in refused + nobody + "".join(r.getMessage() for r in caplog.records if r.name == "apprise")


def test_an_address_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that are missing or make no sense are refused before a run, by the name of their place alone."""
    monkeypatch.delenv("LABCTL_TEST_URL", raising=False)
    (tmp_path / "empty").write_text("# nothing\n", encoding="utf-8")
    for reference in ("env:LABCTL_TEST_URL", f"file:{tmp_path / 'missing'}", f"file:{tmp_path / 'empty'}"):
        with pytest.raises(InputError, match=reference.partition(":")[2].replace("\\", "\\\\")):
            resolve(reference)
    for make in (AppriseCarrier, Pulse):
        with pytest.raises(InputError) as refused:
            make("env:LABCTL_TEST_URL", f"nonsense {SECRET}")
        assert SECRET not in str(refused.value)
    (tmp_path / "url").write_text(f"# pager\n\n  json://{SECRET}  \n", encoding="utf-8")
    assert resolve(f"file:{tmp_path / 'url'}") == f"json://{SECRET}"


def test_trouble_is_said_once_and_tried_again() -> None:
    """A target that does not answer is tried with growing pauses, said once, and said to be well again."""
    flaky = Flaky()
    outbox = Outbox(name="env:X", carrier=flaky)
    outbox.put(NEWS, 0.0)
    news: list[str] = []
    now_s, tried = 0.0, []
    while now_s < 3600.0:
        before = flaky.tries
        news += outbox.work(now_s)
        if flaky.tries > before:
            tried.append(now_s)
        now_s += 10.0
    assert [after - before for before, after in itertools.pairwise(tried)] == list(PAUSES_S[: len(tried) - 1])
    flaky.fails = False
    news += outbox.work(now_s + PAUSES_S[-1])
    assert ["do not go through" in one for one in news] == [True, False]
    assert outbox.empty
    assert flaky.came == ["done"]


def test_a_full_queue_keeps_what_matters() -> None:
    """The queue is bounded: the oldest of the least urgent goes first, and that some were lost is said."""
    flaky = Flaky()
    outbox = Outbox(name="env:X", carrier=flaky)
    outbox.put(ALARM, 0.0)
    for number in range(LENGTH + 5):
        outbox.put(Delivery(severity=Severity.INFO, title=f"{number}", text=""), 0.0)
    flaky.fails = False
    news = outbox.work(1.0)
    assert flaky.came == ["gas is gone", *(f"{number}" for number in range(6, LENGTH + 5))]
    assert news == ("6 notifications to env:X were lost meanwhile",)


def test_an_alarm_does_not_wait_for_a_pause() -> None:
    """What is urgent is tried at once, though the last try of something else failed a moment ago."""
    flaky = Flaky()
    outbox = Outbox(name="env:X", carrier=flaky)
    outbox.put(NEWS, 0.0)
    outbox.work(0.0)
    flaky.fails = False
    outbox.put(ALARM, 1.0)
    outbox.work(1.0)
    assert flaky.came == ["gas is gone", "done"]


def test_old_letters_are_given_up() -> None:
    """What could not be sent for a day is dropped, and that is said."""
    flaky = Flaky()
    outbox = Outbox(name="env:X", carrier=flaky)
    outbox.put(NEWS, 0.0)
    outbox.work(0.0)
    outbox.work(GIVE_UP_S + 1.0)
    assert outbox.empty
    flaky.fails = False
    outbox.put(ALARM, GIVE_UP_S + 2.0)
    assert "1 notifications" in "".join(outbox.work(GIVE_UP_S + 2.0))


def test_targets_choose(receiver: Receiver) -> None:
    """A pager gets only what is urgent enough and was not answered."""
    pager = Flaky(fails=False)
    outbox = Outbox(name="env:P", carrier=pager, least=Severity.PERSON, after_reminders=1)
    for delivery in (NEWS, ALARM, Delivery(severity=Severity.ALARM, title="still: gas", text="", reminder=1)):
        outbox.put(delivery, 0.0)
    outbox.work(0.0)
    assert pager.came == ["still: gas"]


def test_the_heartbeat_stops_with_the_engine(receiver: Receiver) -> None:
    """Signs of life come at their interval while the engine asks, and end when it hangs, though the thread lives."""
    now = [0.0]
    pulse = Pulse("env:B", f"http://127.0.0.1:{receiver.port}/{SECRET}")
    heartbeat = Heartbeat(name="env:B", pulse=pulse, every_s=60.0)
    notifier = Notifier(Rules(), (), heartbeat, now_s=lambda: now[0], monotonic_s=lambda: now[0])
    for _ in range(10):  # five minutes of a living engine
        notifier.said()
        notifier.work()
        now[0] += 30.0
    assert len(receiver.came) == 5
    for _ in range(40):  # twenty of a hanging one
        notifier.work()
        now[0] += 30.0
    silent = len(receiver.came)
    notifier.work()
    assert silent == len(receiver.came) <= 5 + 11
    notifier.said()
    receiver.status = 404
    notifier.work()
    alarms = notifier.said()
    assert [alarm.what for alarm in alarms] == ["the heartbeat to env:B does not go through (HTTP 404)"]


def test_a_campaign_tells_its_story(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a lab file to a server: begun, an interlock at once, a person needed; no secret in the run folder."""
    monkeypatch.setenv("LABCTL_TEST_URL", f"json://user:{SECRET}@127.0.0.1:{receiver.port}/lab")
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        "version: 1\nlab: x\nstations: {nmr: {driver: topspin}}\nnotify:\n  targets: [{url: env:LABCTL_TEST_URL}]\n",
        encoding="utf-8",
    )
    wanted = load_lab(lab).model.notify
    assert wanted is not None
    notifier = notifier_of(wanted)
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))

    def breaks(path: Path, dataset: object) -> Any:
        bench.nmr.values["gas_L_per_h"] = 0.0
        return bench_verdict(path, dataset)

    bench_verdict, bench.analyse = bench.analyse, breaks
    notifier.start()
    outcome = bench.run(bystanders=(notifier,))
    notifier.close()
    assert outcome.exit_code == 1
    titles = [body["title"] for _, body in receiver.came]
    assert any("has begun" in title for title in titles)
    tripped = next(event for event in bench.events() if isinstance(event, Tripped))
    assert any(tripped.limit in title for title in titles)
    assert any("a person is needed" in title for title in titles)
    for path in bench.run_dir.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_dead_target_neither_stops_nor_slows_a_campaign(tmp_path: Path) -> None:
    """With nobody at the other end a campaign ends as it would have, and the journal says once what did not go."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))
    notifier = Notifier(Rules(), [Outbox(name="env:X", carrier=Flaky())])

    class Between:
        """Does the worker's work between two turns, so that no thread decides what the test sees."""

        seen = staticmethod(notifier.seen)

        @staticmethod
        def said() -> Any:
            notifier.work()
            return notifier.said()

    assert bench.run(bystanders=(Between(),)).exit_code == 0
    said = [event.what for event in bench.events() if isinstance(event, Alarmed)]
    assert said == ["notifications to env:X do not go through (no route); tried again from now on"]
    notifier.close()


def test_a_stopped_labctl_says_so(receiver: Receiver) -> None:
    """An engine that ends by an error leaves word that nobody watches any more."""
    carrier = AppriseCarrier("env:X", f"json://127.0.0.1:{receiver.port}/")
    notifier = Notifier(Rules(), [Outbox(name="env:X", carrier=carrier)])
    notifier.close(why="the journal cannot be written", code=1)
    [(_, body)] = receiver.came
    assert "labctl has stopped" in body["title"]
    assert "Nobody watches" in body["message"]


def test_secrets_are_refused_by_place(tmp_path: Path) -> None:
    """An address written into the lab file is refused with file, line and column, and not repeated."""
    lab = tmp_path / "lab.yaml"
    for block in (
        f"notify: {{targets: [{{url: 'json://{SECRET}@h'}}]}}",
        f"notify: {{targets: ['json://{SECRET}@h']}}",
        f"notify: {{heartbeat: 'https://h/{SECRET}'}}",
        f"notify: {{heartbeat: {{url: 'https://h/{SECRET}'}}}}",
        f"notify: 'json://{SECRET}@h'",
        f"notify: {{targets: [{{url: env:X, from: '{SECRET}'}}]}}",
        f"notify: {{targets: [{{url: 'file:json://{SECRET}'}}]}}",
    ):
        lab.write_text(f"version: 1\nlab: x\nstations: {{nmr: {{driver: topspin}}}}\n{block}\n", encoding="utf-8")
        with pytest.raises(LabctlError) as refused:
            load_lab(lab)
        assert f"{lab}:4:" in str(refused.value)
        assert SECRET not in str(refused.value)
