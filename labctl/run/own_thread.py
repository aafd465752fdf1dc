"""An instrument asked in a thread of its own, so that a call that blocks holds up nobody but its station.

Theory of operation
-------------------
A driver may be held up: a point at low frequency, a VISA time-out, a share whose server sleeps. The engine still has
to poll the other stations. So on a real clock every instrument is asked by one thread of its own, which also keeps each
driver in one thread for all its life. The engine stays one thread that decides: it puts a question, waits for a moment,
and takes a question that has no answer yet for a silent instrument (`InstrumentSilent`), which it knows how to live
with. The same question put again later gets the answer that has come meanwhile; while one is open nobody waits at all.

Orders are done in the order given, but what makes safe comes first: `make_safe` drops whatever has not been begun
(heat that was asked for before must not follow it), `stop` overtakes everything else. An order handed over that did
not return in time counts as *perhaps not heard*; the engine then asks for evidence, and that question stands behind it
in the queue, so that the answer is true.

Under a virtual clock none of this is used: calls are made inline, and a rehearsal is the same every time.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from labctl.errors import InstrumentSilent
from labctl.ports import Collected, DeliversParts, Evidence, Fenced, Instrument, Observation, Order, Reading, StillOurs

Answer = TypeVar("Answer")
_Key = tuple[object, ...]

_SAFETY, _STOP, _TURN, _LAST = range(4)
_PATIENCE_S = 0.3
_FAREWELL_S = 30.0


def in_own_thread(instrument: Instrument, *, patience_s: float = _PATIENCE_S) -> Instrument:
    """Return the instrument, asked from now on by a thread of its own.

    Parameters
    ----------
    patience_s : float
        How long an answer is waited for before the instrument counts as silent for now [s]; longer than a healthy
        exchange, shorter than other stations can do without the engine.
    """
    if isinstance(instrument, DeliversParts):
        return _InOwnThreadByParts(instrument, patience_s)
    return _InOwnThread(instrument, patience_s)


class _InOwnThread:
    """An `Instrument` around another."""

    def __init__(self, inner: Instrument, patience_s: float) -> None:
        self._inner = inner
        self._patience_s = patience_s
        self._jobs: queue.PriorityQueue[tuple[int, int, Callable[[], Any], Future[Any]]] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._open: dict[_Key, Future[Any]] = {}
        self._under_way: Future[Any] = Future()
        """A call that nobody waits for any more and that has not returned."""
        self._under_way.cancel()
        self._thread: threading.Thread | None = None

    @property
    def station(self) -> str:
        return self._inner.station

    @property
    def attention_s(self) -> float:
        return self._inner.attention_s

    # --------------------------------------------------------------------------------------- the port

    def fence(self, still_ours: StillOurs) -> None:
        if isinstance(self._inner, Fenced):
            self._inner.fence(still_ours)

    def open(self, epoch: int) -> None:
        """Take the instrument, however long that takes: nothing is under way yet that others would have to watch."""
        opened = self._submit(_TURN, lambda: self._inner.open(epoch))
        while not opened.done():  # in slices: Windows hears Ctrl-C only between waits
            concurrent.futures.wait([opened], timeout=1.0)
        opened.result()

    def begin(self, order: Order) -> None:
        self._forget(lambda key: order.token in key and key[0] != "begin")  # what was said of it before it began
        self._ask(("begin", order.token), lambda: self._inner.begin(order))

    def look(self, order: Order) -> Observation:
        return self._ask(("look", order.token), lambda: self._inner.look(order))

    def evidence(self, order: Order) -> Evidence:
        self._forget(lambda key: key == ("look", order.token))  # evidence is newer
        return self._ask(("evidence", order.token), lambda: self._inner.evidence(order))

    def collect(self, order: Order, into: Path) -> Collected:
        return self._ask(("collect", order.token, into), lambda: self._inner.collect(order, into))

    def readings(self) -> tuple[Reading, ...]:
        return self._ask(("readings",), self._inner.readings)

    def stop(self, order: Order, reason: str) -> None:
        self._forget(lambda key: key == ("begin", order.token))
        self._ask(("stop", order.token), lambda: self._inner.stop(order, reason), rank=_STOP)

    def make_safe(self, reason: str) -> None:
        if ("make_safe",) not in self._open:
            self._forget(lambda key: key[0] != "stop")
        self._ask(("make_safe",), lambda: self._inner.make_safe(reason), rank=_SAFETY)

    def is_safe(self) -> bool:
        return self._ask(("is_safe",), self._inner.is_safe)

    def close(self) -> None:
        """Let go after what makes safe was done; a call that never returns is left to itself."""
        if self._thread is None:
            return
        self._forget(lambda key: key[0] not in {"make_safe", "stop"})
        farewell = self._submit(_LAST, self._inner.close)
        concurrent.futures.wait([farewell], timeout=_FAREWELL_S)
        if farewell.done():
            self._thread.join()
            self._thread = None
            farewell.result()

    # -------------------------------------------------------------------------------- asking, from one thread

    def _ask(self, key: _Key, act: Callable[[], Answer], *, rank: int = _TURN) -> Answer:
        """Return the answer to a question put now or before.

        Raises
        ------
        InstrumentSilent
            There is none yet.
        """
        future = self._open.get(key)
        busy = not self._under_way.done() or any(not other.done() for other in self._open.values())
        if future is None:
            future = self._open[key] = self._submit(rank, act)
        concurrent.futures.wait([future], timeout=0.0 if busy else self._patience_s)
        if not future.done():
            raise InstrumentSilent(
                "an earlier call has not returned yet; this one waits for it" if busy else "no answer yet",
                instrument=self.station,
                command=str(key[0]),
                next_step="Look at the instrument, its computer and its cables if that goes on",
            )
        del self._open[key]
        answer: Answer = future.result()
        return answer

    def _forget(self, which: Callable[[_Key], bool]) -> None:
        """Drop questions: one that has not been begun is never put, of another nobody will hear the answer."""
        for key in [key for key in self._open if which(key)]:
            future = self._open.pop(key)
            if not future.cancel() and not future.done():
                self._under_way = future

    def _submit(self, rank: int, act: Callable[[], Answer]) -> Future[Answer]:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"labctl {self.station}", daemon=True)
            self._thread.start()
        future: Future[Answer] = Future()
        self._jobs.put((rank, next(self._numbers), act, future))
        return future

    # --------------------------------------------------------------------------------------- the thread

    def _work(self) -> None:
        rank = _TURN
        while rank != _LAST:
            rank, _, act, future = self._jobs.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                answer = act()
            except BaseException as problem:  # noqa: BLE001 - it is the asker's
                future.set_exception(problem)
            else:
                future.set_result(answer)


class _InOwnThreadByParts(_InOwnThread):
    """The same of an instrument that delivers parts."""

    def __init__(self, inner: Instrument, patience_s: float) -> None:
        assert isinstance(inner, DeliversParts)
        super().__init__(inner, patience_s)
        self._parts: DeliversParts = inner

    def collect_part(self, order: Order, part: int, after: int, into: Path) -> Collected:
        return self._ask(
            ("part", order.token, part, after, into), lambda: self._parts.collect_part(order, part, after, into)
        )
