"""Deliveries on their way to one target: a bounded queue, tried again with growing pauses, given up in the end."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from labctl.notify.carriers import Carrier
from labctl.notify.policy import Delivery, Severity

PAUSES_S = (10.0, 30.0, 120.0, 600.0, 1800.0)
"""Between one try and the next [s]; then the last of them, for ever."""
LENGTH = 200
GIVE_UP_S = 86_400.0


@dataclass(slots=True)
class _Letter:
    delivery: Delivery
    since_s: float


@dataclass(slots=True, kw_only=True)
class Outbox:
    """One target's letters.

    Attributes
    ----------
    name : str
        What the target is called in the lab file: the reference, never the address.
    least : Severity
        Less urgent messages do not go here.
    after_reminders : int
        Only messages that were said so many times without an answer go here; 0: every one.
    """

    name: str
    carrier: Carrier
    least: Severity = Severity.INFO
    after_reminders: int = 0
    _letters: deque[_Letter] = field(default_factory=deque)
    _tries: int = 0
    _next_s: float = float("-inf")
    _failing: bool = False
    _dropped: int = 0

    def put(self, delivery: Delivery, now_s: float) -> None:
        """Take a delivery that is meant for this target; when full, the oldest of the least urgent goes."""
        if delivery.severity < self.least or delivery.reminder < self.after_reminders:
            return
        self._letters.append(_Letter(delivery, now_s))
        if len(self._letters) > LENGTH:
            del self._letters[min(range(len(self._letters)), key=lambda at: self._letters[at].delivery.severity)]
            self._dropped += 1
        if delivery.severity is Severity.ALARM:
            self._next_s = float("-inf")  # an alarm does not sit out the pause of a daily summary

    def work(self, now_s: float) -> tuple[str, ...]:
        """Send what can be sent now; return what a person should know, once for each trouble."""
        news: list[str] = []
        while self._letters and now_s >= self._next_s:
            at = max(range(len(self._letters)), key=lambda i: (self._letters[i].delivery.severity, -i))
            letter = self._letters[at]
            problem = self.carrier.carry(letter.delivery)
            if not problem:
                del self._letters[at]
                news += self._went_through()
            elif now_s - letter.since_s > GIVE_UP_S:
                del self._letters[at]
                self._dropped += 1
            else:
                self._next_s = now_s + PAUSES_S[min(self._tries, len(PAUSES_S) - 1)]
                self._tries += 1
                if not self._failing:
                    self._failing = True
                    news.append(f"notifications to {self.name} do not go through ({problem}); tried again from now on")
        return tuple(news)

    def _went_through(self) -> list[str]:
        self._tries, self._next_s = 0, float("-inf")
        news = []
        if self._failing:
            news.append(f"notifications to {self.name} go through again")
        if self._dropped:
            news.append(f"{self._dropped} notifications to {self.name} were lost meanwhile")
        self._failing, self._dropped = False, 0
        return news

    @property
    def empty(self) -> bool:
        """Nothing is left to send."""
        return not self._letters
