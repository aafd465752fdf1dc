"""Between engine and driver: where engines die, exchanges get lost, and polls are counted."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.errors import InstrumentSilent
from labctl.ports import Instrument, Measurement, Order, Reading, SetTemperature
from labctl.run.events import Alarmed, Operated
from labctl.run.journal import Journal
from tests.unattended.seeded.host import HostClock
from tests.unattended.seeded.sites import OVER_TEMPERATURE, Site

POLLS = 2
_GRACE_S = 65.0
_UNSEEN_S = 900.0 + _GRACE_S + 120.0
_STUCK_S = 8 * 3600.0
_APART_S = 1.0


class Gone(BaseException):
    """The engine's process died here."""


class Stuck(BaseException):
    """The engine goes round and round, and nothing comes of it."""


@dataclass(frozen=True, kw_only=True)
class Death:
    """Where an engine dies: at its n-th turn, commit, call of an instrument, begin, or call about a measurement."""

    at: str = ""
    number: int = 0
    after: bool = False


@dataclass(frozen=True, kw_only=True)
class Loss:
    """From the n-th call of a station's driver on, so many get lost: the request, or the reply alone.

    `of`: counted and lost are calls of that name only, ``measurement``: begins of measurements.
    """

    call: int
    calls: int
    reply: bool
    of: str = ""


class Life:
    """One engine's life on one computer.

    Attributes
    ----------
    disk_is_full : callable
        Whether nothing can be written now.
    journal : Journal
        The journal of this life.
    """

    def __init__(self, death: Death, host: HostClock, path: Path, disk_is_full: Callable[[], bool]) -> None:
        self._death = death
        self.host = host
        self.disk_is_full = disk_is_full
        self.journal = Journal(path, clock=host, hook=self._commit)
        self.journal._db.execute("PRAGMA synchronous=OFF")  # nothing here pulls the plug of the disk
        self._wrote_s = host.monotonic_s()
        self._counts: dict[str, int] = {}

    def dies(self, at: str, *, after: bool = False, count: bool = True) -> bool:
        """Count a turn, commit or call; true where this life ends."""
        if count:
            self._counts[at] = self._counts.get(at, 0) + 1
        death = self._death
        return death.at == at and death.after is after and self._counts.get(at) == death.number

    def ends(self, kinds: list[str], *, after: bool = False) -> bool:
        """Count a call as all that it is; true where this life ends, before or after it."""
        return True in [self.dies(at, after=after, count=not after) for at in kinds]

    def fill_disk(self) -> None:
        """Let SQLite find as much room as there is now."""
        database = self.journal._db
        pages = database.execute("PRAGMA page_count").fetchone()[0] if self.disk_is_full() else 1_000_000
        database.execute(f"PRAGMA max_page_count={max(1, pages)}")

    def turn(self) -> None:
        """The engine goes round once more.

        Raises
        ------
        Gone
            Not any more.
        Stuck
            Nothing has happened for very long.
        """
        if self.dies("turn"):
            raise Gone
        self.fill_disk()
        if self.host.monotonic_s() > self._wrote_s + _STUCK_S:
            raise Stuck

    def is_intended(self, order: Order) -> bool:
        """Whether the journal holds an order's intent."""
        query = "SELECT 1 FROM journal WHERE kind='intent' AND step_id=? AND attempt=?"
        return self.journal._db.execute(query, (order.step_id, order.attempt)).fetchone() is not None

    def asks_for_person(self) -> bool:
        """Whether a person was asked for, and none has said "continue" since."""
        events = [row.event for row in self.journal.rows(("alarm", "operator"))]
        asked = [at for at, event in enumerate(events) if isinstance(event, Alarmed) and event.person]
        came = [at for at, event in enumerate(events) if isinstance(event, Operated) and event.verb == "continue"]
        return max(asked, default=-1) > max(came, default=-1)

    def _commit(self, when: str, number: int) -> None:
        """The journal's hook."""
        if not self.disk_is_full():
            self._wrote_s = self.host.monotonic_s()
        if self.dies("commit", after=when == "after", count=when == "before"):
            raise Gone


def _about(name: str, arguments: tuple[Any, ...]) -> list[str]:
    """What else a call counts as."""
    order = arguments[0] if arguments else None
    if not isinstance(order, Order) or not isinstance(order.task, Measurement):
        return []
    return ["measuring", "measurement"] if name == "begin" else ["measuring"]


class Watched:
    """Passes every call on to a driver, and counts the polls that a hazard lasts while the heater is on."""

    def __init__(self, inner: Instrument, site: Site, life: Life, losses: list[Loss], calls: Counter[str]) -> None:
        self._inner = inner
        self._site = site
        self._life = life
        self._losses = losses
        self._calls = calls
        self._counts_from_s = life.host.monotonic_s() + _GRACE_S
        self._ahead_s = life.host.ahead_s()
        self._hazard = ""
        self._polls = 0
        self._polled_s = float("-inf")
        self._opened_s = life.host.monotonic_s()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inner, name)
        if name in {"station", "attention_s", "close", "fence"} or not callable(attribute):  # nothing of an instrument
            return attribute
        mine: dict[str, Callable[..., Any]] = {
            "make_safe": self._make_safe,
            "collect": self._collect,
            "begin": self._begin,
        }
        action = mine.get(name, attribute)

        def call(*arguments: Any) -> Any:
            kinds = ["call", name, *_about(name, arguments)]
            if self._life.ends(kinds):
                raise Gone
            for kind in {"", *kinds}:
                self._calls[kind] += 1
            if name == "readings":
                self._unseen()
            elif name == "make_safe":  # asked for: whether it is heard, and can be reached, is the instrument's
                self._counts_from_s, self._polls = float("inf"), 0
            loss = self._lost({"", *kinds})
            if loss is not None and not loss.reply:
                raise self._silent(name)
            answer = action(*arguments)
            if self._life.ends(kinds, after=True):
                raise Gone
            if loss is not None:
                raise self._silent(name)
            if name == "readings":  # that have reached the engine
                self._judge(answer)
            return answer

        return call

    def _lost(self, kinds: set[str]) -> Loss | None:
        for loss in self._losses:
            if loss.of in kinds and 0 <= self._calls[loss.of] - loss.call < loss.calls:
                return loss
        return None

    def _silent(self, command: str) -> InstrumentSilent:
        return InstrumentSilent("no reply", instrument=self._site.name, command=command)

    def _judge(self, found: tuple[Reading, ...]) -> None:
        """Count the polls that a hazard lasts."""
        site, now_s = self._site, self._life.host.monotonic_s()
        if self._life.host.ahead_s() != self._ahead_s:  # ages of readings are of wall time: their grace begins anew
            self._ahead_s = self._life.host.ahead_s()
            self._counts_from_s = max(self._counts_from_s, now_s + _GRACE_S)
        fresh = any(reading.at_s >= self._life.host.now_s() - _APART_S for reading in found)
        hazard = site.hazard() if fresh else ""
        if hazard and hazard != OVER_TEMPERATURE and now_s < self._counts_from_s:
            hazard = ""
        if hazard != self._hazard:
            self._hazard, self._polls = hazard, 0
        if hazard and now_s - self._polled_s >= _APART_S:
            self._polls += 1
            self._polled_s = now_s
            if self._polls > POLLS:
                site.truth.broken.append(f"{site.name}: went on for more than {POLLS} polls with {hazard}")

    def _unseen(self) -> None:
        """Heat that nobody sees is taken away in time, by labctl if not by the station's own guard."""
        site, now_s = self._site, self._life.host.monotonic_s()
        unseen_s = min(site.unseen_s(), now_s - self._opened_s)
        if unseen_s > _UNSEEN_S and site.heats() and self._counts_from_s != float("inf"):
            site.truth.broken.append(f"{site.name}: heat stayed on for {unseen_s:.0f} s that nobody saw")

    def _begin(self, order: Order) -> None:
        if not self._life.is_intended(order):
            self._site.truth.broken.append(f"{self._site.name}: {order.token} was begun without its intent")
        self._inner.begin(order)
        if isinstance(order.task, SetTemperature):
            self._counts_from_s = float("-inf")

    def _make_safe(self, reason: str) -> None:
        self._inner.make_safe(reason)
        self._site.heat_must_stay_off(f"labctl made it safe ({reason})")

    def _collect(self, *arguments: Any) -> Any:
        if self._life.disk_is_full():
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._inner.collect(*arguments)
