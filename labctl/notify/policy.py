"""What is worth a message, when it is due, and whether anybody has answered. Pure: events and times in, messages out.

Four severities. *Info* is for whoever is curious, *warning* for the morning, *person* means that the campaign stands
until somebody comes, *alarm* that something may be dangerous. The last two are repeated until somebody acknowledges
them, each time one step louder (a target chooses from which reminder on it is used). Quiet hours hold back what is not
urgent enough and hand it over in one message when they end, or when labctl does; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

_DAY_S = 86_400.0
_ONE_MOMENT_S = 10.0  # between the events that follow from one fault


class Severity(IntEnum):
    """How urgent a message is."""

    INFO = 0
    WARNING = 1
    PERSON = 2
    ALARM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to be said once.

    `about` names the matter: the same matter is not said again within `Rules.same_again_s`, nor while it waits to be
    acknowledged. `until` names what settles it without an answer: a prompt is over when its step is. `gist` is what a
    message comes down to: an unurgent one is not said where one that goes out with it says that too, and nobody is
    reminded of an urgent one any more once a later one that says it waits for somebody to come.
    """

    severity: Severity
    title: str
    text: str
    about: str
    at_s: float
    until: str = ""
    gist: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message that is due now; `reminder` counts how often it has been said before without an answer."""

    severity: Severity
    title: str
    text: str
    reminder: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """From and to, as seconds of the local day (may pass midnight), and the least severity that comes through."""

    from_s: float
    to_s: float
    let_through: Severity = Severity.ALARM

    def end_s(self, day_s: float) -> float | None:
        """Return in how many seconds the quiet hours end; None when it is not quiet now."""
        length_s = (self.to_s - self.from_s) % _DAY_S
        since_s = (day_s - self.from_s) % _DAY_S
        return length_s - since_s if since_s < length_s else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the lab file says of notifications.

    Attributes
    ----------
    remind_s : float
        Between two reminders of a message that waits to be acknowledged [s].
    summary_s : float or None
        When the daily summary is said, as second of the local day; None: never.
    same_again_s : float
        The same matter is not said again sooner [s].
    utc_offset_s : callable
        Wall time [s] to how far the local clock is ahead of UTC [s].
    """

    remind_s: float = 900.0
    summary_s: float | None = None
    quiet: QuietHours | None = None
    same_again_s: float = 3600.0
    utc_offset_s: Callable[[float], float] = field(default=lambda _at_s: 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A message that nobody has acknowledged yet."""

    message: Message
    reminders: int
    next_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """All that is known of what was said and what is to be said. Frozen; see `tell`, `acknowledge` and `due`.

    Attributes
    ----------
    fresh : tuple of Message
        Not said yet.
    waiting : tuple of Waiting
        Said, and to be acknowledged.
    said_s : mapping
        Matter to when it was last told [wall s].
    tally : mapping
        What happened since the last summary, by kind, for the summary.
    summary_due_s : float or None
        Wall time of the next daily summary.
    """

    rules: Rules
    fresh: tuple[Message, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    said_s: Mapping[str, float] = field(default_factory=dict)
    tally: Mapping[str, int] = field(default_factory=dict)
    summary_due_s: float | None = None


def tell(notices: Notices, message: Message) -> Notices:
    """Return the notices with one message more, unless its matter was told a short while ago or still waits."""
    if any(one.message.about == message.about for one in notices.waiting):
        return notices
    if any(one.about == message.about for one in notices.fresh):
        return notices
    last_s = notices.said_s.get(message.about)
    if last_s is not None and 0.0 <= message.at_s - last_s < notices.rules.same_again_s:
        return notices
    said_s = {about: at_s for about, at_s in notices.said_s.items() if message.at_s - at_s < notices.rules.same_again_s}
    said_s[message.about] = message.at_s
    notices, message = _taken_over(notices, message)
    fresh = tuple(one for one in notices.fresh if not _says(message, one))
    if any(_says(one, message) for one in (*fresh, *(waiting.message for waiting in notices.waiting))):
        return replace(notices, fresh=fresh, said_s=said_s)
    return replace(notices, fresh=(*fresh, message), said_s=said_s)


def _taken_over(notices: Notices, message: Message) -> tuple[Notices, Message]:
    """Let a message that waits for something to be settled take the place, and the urgency, of what it goes on from."""
    over = [one for one in (*notices.fresh, *(one.message for one in notices.waiting)) if _goes_on(message, one)]
    waiting = tuple(one for one in notices.waiting if one.message not in over)
    severity = max([message.severity, *(one.severity for one in over)])
    return replace(notices, waiting=waiting), replace(message, severity=severity)


def _goes_on(later: Message, earlier: Message) -> bool:
    return bool(later.until and earlier.gist) and later is not earlier and earlier.gist in later.text


def _says(one: Message, other: Message) -> bool:
    """Whether a message makes another, unurgent one needless: the same moment, the same matter, no less urgent."""
    told = bool(other.gist) and other.gist in one.text and abs(one.at_s - other.at_s) <= _ONE_MOMENT_S
    return told and other.severity <= min(Severity.WARNING, one.severity)


def count(notices: Notices, kind: str) -> Notices:
    """Return the notices with one more of a kind, for the daily summary."""
    return replace(notices, tally={**notices.tally, kind: notices.tally.get(kind, 0) + 1})


def acknowledge(notices: Notices) -> Notices:
    """Return the notices after somebody has answered: whatever waited is known now, and not said again.

    What quiet hours still hold back is said when they end, but nobody has to answer it any more.
    """
    held = tuple(
        replace(one, severity=Severity.WARNING) if one.severity is Severity.PERSON else one for one in notices.fresh
    )
    return replace(notices, fresh=held, waiting=())


def settle(notices: Notices, what: str) -> Notices:
    """Return the notices after something has come to its end: whoever was asked for it is asked no longer."""
    fresh = tuple(
        replace(one, severity=Severity.INFO, title=f"{one.title} (settled meanwhile)")
        if one.until == what and one.severity is Severity.PERSON
        else one
        for one in notices.fresh
    )
    return replace(notices, fresh=fresh, waiting=tuple(one for one in notices.waiting if one.message.until != what))


def flush(notices: Notices) -> tuple[Notices, tuple[Delivery, ...]]:
    """Return all that is still held back, to be said now: labctl ends and will not be there when quiet hours do."""
    return replace(notices, fresh=()), tuple(_together(list(notices.fresh)))


def due(notices: Notices, now_s: float, *, state_of_things: str = "") -> tuple[Notices, tuple[Delivery, ...]]:
    """Return what is to be said at wall time `now_s`, and the notices after it was.

    Parameters
    ----------
    state_of_things : str
        One line for the daily summary: how far the campaign is and when it will end.
    """
    rules = notices.rules
    quiet_for_s = _quiet_for_s(rules, now_s)
    bar = rules.quiet.let_through if rules.quiet is not None and quiet_for_s is not None else Severity.INFO
    notices, summary = _summary(notices, now_s, state_of_things)
    fresh = (*notices.fresh, *summary)
    out = [one for one in fresh if one.severity >= bar]
    held = tuple(one for one in fresh if one.severity < bar)
    deliveries = _together(out) if quiet_for_s is None else [_as_it_is(one) for one in out]
    waiting: list[Waiting] = []
    for one in notices.waiting:
        if now_s >= one.next_s and one.message.severity >= bar:
            since = _duration(now_s - one.message.at_s)
            deliveries.append(
                Delivery(
                    severity=one.message.severity,
                    title=f"still: {one.message.title}",
                    text=f"{one.message.text}\nNobody has acknowledged this for {since}.",
                    reminder=one.reminders + 1,
                )
            )
            waiting.append(replace(one, reminders=one.reminders + 1, next_s=now_s + rules.remind_s))
        else:
            waiting.append(one)
    waiting += [
        Waiting(message=one, reminders=0, next_s=now_s + rules.remind_s)
        for one in out
        if one.severity >= Severity.PERSON and not any(_goes_on(other, one) for other in out)
    ]
    return replace(notices, fresh=held, waiting=tuple(waiting)), tuple(deliveries)


def _quiet_for_s(rules: Rules, now_s: float) -> float | None:
    if rules.quiet is None:
        return None
    return rules.quiet.end_s((now_s + rules.utc_offset_s(now_s)) % _DAY_S)


def _summary(notices: Notices, now_s: float, state_of_things: str) -> tuple[Notices, tuple[Message, ...]]:
    """Return the daily summary when its time has come; a day that was slept through gives one, not several."""
    at = notices.rules.summary_s
    if at is None:
        return notices, ()
    if notices.summary_due_s is None:
        return replace(notices, summary_due_s=_next_at(notices.rules, at, now_s)), ()
    if now_s < notices.summary_due_s:
        return notices, ()
    happened = ", ".join(f"{number} {kind}" for kind, number in sorted(notices.tally.items())) or "nothing to report"
    parts = [state_of_things, f"Since the last summary: {happened}."]
    if notices.waiting:
        parts.append(f"Not acknowledged: {'; '.join(one.message.title for one in notices.waiting)}.")
    message = Message(
        severity=Severity.INFO,
        title="daily summary",
        text="\n".join(part for part in parts if part),
        about="summary",
        at_s=now_s,
    )
    return replace(notices, tally={}, summary_due_s=_next_at(notices.rules, at, now_s)), (message,)


def _next_at(rules: Rules, day_s: float, now_s: float) -> float:
    """Return the next wall time at which the local clock shows `day_s`."""
    shows_s = (now_s + rules.utc_offset_s(now_s)) % _DAY_S
    ahead_s = (day_s - shows_s) % _DAY_S
    return now_s + (ahead_s if ahead_s > 0.0 else _DAY_S)


def _together(messages: list[Message]) -> list[Delivery]:
    """Return deliveries, with more than a few unurgent ones put together (a night's worth, when quiet hours end)."""
    urgent = [one for one in messages if one.severity >= Severity.PERSON]
    rest = [one for one in messages if one.severity < Severity.PERSON]
    deliveries = [_as_it_is(one) for one in urgent]
    if len(rest) <= 2:
        return deliveries + [_as_it_is(one) for one in rest]
    text = "\n\n".join(f"{one.title}\n{one.text}" for one in rest)
    return [
        *deliveries,
        Delivery(severity=max(one.severity for one in rest), title=f"{len(rest)} messages", text=text),
    ]


def _as_it_is(message: Message) -> Delivery:
    return Delivery(severity=message.severity, title=message.title, text=message.text)


def _duration(seconds: float) -> str:
    minutes = int(max(0.0, seconds) // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
