"""The bystander of a campaign that lets people know, from a thread of its own; the engine never waits for it.

The engine hands over what it committed (`seen`, a queue that is never waited for) and asks at every turn whether there
is something for the journal (`said`). That question is also the sign of life: the heartbeat goes out only while the
engine asks, so that a watcher elsewhere notices a hung engine as well as a dead computer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from labctl.notify.carriers import Pulse
from labctl.notify.outbox import Outbox
from labctl.notify.policy import Delivery, Notices, Rules, Severity, acknowledge, due, flush
from labctl.notify.words import Listener, ended, hear
from labctl.run.events import Alarmed, Event
from labctl.run.journal import Row
from labctl.run.state import State

_QUEUE = 10_000
_ENGINE_SILENT_S = 600.0
_FLUSH_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """Where the sign of life goes (`name`: the reference in the lab file), and how often [s]."""

    name: str
    pulse: Pulse
    every_s: float


@dataclass(frozen=True, slots=True)
class _Heard:
    event: Event
    state: State
    at_s: float


class _Acknowledged:
    pass


class Notifier:
    """Messages of one campaign.

    Parameters
    ----------
    outboxes : sequence of Outbox
        One for each target.
    now_s, monotonic_s : callable
        Wall and monotonic time [s].
    """

    def __init__(
        self,
        rules: Rules,
        outboxes: Sequence[Outbox],
        heartbeat: Heartbeat | None = None,
        *,
        now_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outboxes = tuple(outboxes)
        self._heartbeat = heartbeat
        self._now_s, self._monotonic_s = now_s, monotonic_s
        self._listener = Listener(notices=Notices(rules=rules))
        self._in: queue.Queue[_Heard | _Acknowledged | None] = queue.Queue(maxsize=_QUEUE)
        self._news: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._asked_s = monotonic_s()
        self._beat_s = float("-inf")
        self._beat_fails = False
        self._missed = 0
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None

    # -------------------------------------------------------------------------------- the engine's side

    def start(self) -> None:
        """Begin to send."""
        self._worker = threading.Thread(target=self._live, name="labctl-notify", daemon=True)
        self._worker.start()

    def seen(self, row: Row, event: Event, state: State) -> None:
        """Take note of what was committed; returns at once, whatever becomes of it."""
        try:
            self._in.put_nowait(_Heard(event, state, row.wall_s))
        except queue.Full:
            self._missed += 1

    def said(self) -> Sequence[Alarmed]:
        """Return what the journal should know; asking is the engine's sign of life."""
        self._asked_s = self._monotonic_s()
        found = []
        while True:
            try:
                found.append(Alarmed(station="", what=self._news.get_nowait()))
            except queue.Empty:
                return found

    def acknowledge(self) -> None:
        """Somebody has answered: reminders end."""
        self._in.put(_Acknowledged())

    def close(self, *, why: str = "", code: int = 0) -> None:
        """Say why labctl stops, if it was not in good order, and send what is left within some seconds."""
        self._stop.set()
        if self._worker is not None:
            with contextlib.suppress(queue.Full):
                self._in.put_nowait(None)  # so that it does not wait for its second
            self._worker.join(_FLUSH_S)
            if self._worker.is_alive():
                return  # it hangs in a service; nothing of it keeps labctl from ending
            self._worker = None
        self.work()
        self._listener = ended(self._listener, campaign=self._listener.campaign, why=why, code=code, at_s=self._now_s())
        until_s = self._monotonic_s() + _FLUSH_S
        self._post(last=True)
        while not all(outbox.empty for outbox in self._outboxes) and self._monotonic_s() < until_s:
            if not self._post():
                break  # nothing goes through now, and nobody is left to try again

    # -------------------------------------------------------------------------------- the worker's side

    def _live(self) -> None:
        while not self._stop.is_set():
            try:
                item = self._in.get(timeout=1.0)
            except queue.Empty:
                item = None
            try:
                if item is not None:
                    self._take(item)
                self.work()
            except Exception as problem:  # noqa: BLE001 - a bug here must neither stop the engine nor end the pulse
                self._news.put(f"notifications: {type(problem).__name__} in labctl; please report it")

    def work(self) -> None:
        """Do everything that is to be done now: hear, decide, send, and give the sign of life."""
        while True:
            try:
                item = self._in.get_nowait()
            except queue.Empty:
                break
            if item is not None:
                self._take(item)
        self._beat()
        self._post()

    def _take(self, item: _Heard | _Acknowledged) -> None:
        if isinstance(item, _Acknowledged):
            self._listener = replace(self._listener, notices=acknowledge(self._listener.notices))
        else:
            self._listener = hear(self._listener, item.event, item.state, item.at_s)

    def _post(self, *, last: bool = False) -> bool:
        """Hand out what is due (at the `last` time also what quiet hours hold back); whether anything went through."""
        now_s = self._now_s()
        notices, deliveries = due(self._listener.notices, now_s, state_of_things=self._listener.state_of_things)
        if last:
            notices, held = flush(notices)
            deliveries += held
        self._listener = replace(self._listener, notices=notices)
        before = sum(not outbox.empty for outbox in self._outboxes)
        for outbox in self._outboxes:
            for delivery in deliveries:
                outbox.put(delivery, now_s)
            for line in outbox.work(now_s):
                self._news.put(line)
        if self._missed:
            self._news.put(f"notifications: {self._missed} events came too fast to be told")
            self._missed = 0
        return sum(not outbox.empty for outbox in self._outboxes) < before

    def _beat(self) -> None:
        now_s = self._monotonic_s()
        heartbeat = self._heartbeat
        if heartbeat is None or now_s - self._beat_s < heartbeat.every_s or now_s - self._asked_s > _ENGINE_SILENT_S:
            return
        self._beat_s = now_s
        problem = heartbeat.pulse.beat()
        if bool(problem) != self._beat_fails:
            self._beat_fails = bool(problem)
            what = f"does not go through ({problem})" if problem else "goes through again"
            self._news.put(f"the heartbeat to {heartbeat.name} {what}")


class Rehearsal:
    """The same, told as lines and not sent: what people would get in a dry run.

    Parameters
    ----------
    now_s : callable
        Wall time of the rehearsal [s].
    say : callable
        Gets one line.
    """

    def __init__(self, rules: Rules, *, now_s: Callable[[], float], say: Callable[[float, Delivery], None]) -> None:
        self._listener = Listener(notices=Notices(rules=rules))
        self._now_s, self._say = now_s, say

    def seen(self, row: Row, event: Event, state: State) -> None:
        """Take note of what was committed."""
        self._listener = hear(self._listener, event, state, row.wall_s)

    def said(self) -> Sequence[Alarmed]:
        """Say what would be sent now; the journal learns nothing of it."""
        now_s = self._now_s()
        notices, deliveries = due(self._listener.notices, now_s, state_of_things=self._listener.state_of_things)
        self._listener = replace(self._listener, notices=notices)
        for delivery in deliveries:
            self._say(now_s, delivery)
        return ()

    def close(self, *, why: str = "", code: int = 0) -> None:
        """Say what would be sent at the end."""
        self._listener = ended(self._listener, campaign=self._listener.campaign, why=why, code=code, at_s=self._now_s())
        self.said()
        notices, held = flush(self._listener.notices)
        self._listener = replace(self._listener, notices=notices)
        for delivery in held:
            self._say(self._now_s(), delivery)


def line_of(delivery: Delivery) -> str:
    """Return a delivery as one line."""
    lines = [" ".join(line.split()) for line in delivery.text.splitlines() if line.strip()]
    text = " ".join(line if line[-1] in ".:;!?" else f"{line}." for line in lines[:-1]) + " " * (len(lines) > 1)
    text += lines[-1] if lines else ""
    return f"[{Severity(delivery.severity).name.lower()}] {delivery.title}{f': {text}' if text else ''}"
