"""When messages are due: laws that hold for any messages at any times."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.notify.policy import (
    Delivery,
    Message,
    Notices,
    QuietHours,
    Rules,
    Severity,
    acknowledge,
    due,
    flush,
    settle,
    tell,
)

DAY_S = 86_400.0
MIDNIGHT_S = 20_000 * DAY_S
RULES = Rules(remind_s=900.0, quiet=QuietHours(from_s=22 * 3600.0, to_s=7 * 3600.0))


@st.composite
def messages(draw: st.DrawFn, *, severities: tuple[Severity, ...] = tuple(Severity)) -> list[Message]:
    """Up to a dozen different matters within three days, in order."""
    times = draw(st.lists(st.integers(0, 3 * 24 * 60), min_size=1, max_size=12))
    return [
        Message(
            severity=draw(st.sampled_from(severities)),
            title=f"title {number}",
            text=f"text {number}",
            about=f"matter {number}",
            at_s=MIDNIGHT_S + 60.0 * minute,
        )
        for number, minute in enumerate(sorted(times))
    ]


def played(rules: Rules, told: list[Message], *, step_s: float, until_s: float) -> list[tuple[float, Delivery]]:
    """Poll every `step_s`, with the messages told as their times come; returns what was said when."""
    notices, out = Notices(rules=rules), []
    now_s, left = MIDNIGHT_S, list(told)
    while now_s <= until_s:
        while left and left[0].at_s <= now_s:
            notices = tell(notices, left.pop(0))
        notices, deliveries = due(notices, now_s)
        out += [(now_s, delivery) for delivery in deliveries]
        now_s += step_s
    return out


def is_quiet(at_s: float) -> bool:
    """Whether it is between 22 and 7 o'clock."""
    return not 7 * 3600.0 <= at_s % DAY_S < 22 * 3600.0


@settings(max_examples=30)
@given(messages())
def test_nothing_is_dropped_and_nothing_said_twice(told: list[Message]) -> None:
    """Each message is said exactly once in the end, alone or together with others."""
    said = played(RULES, told, step_s=3600.0, until_s=MIDNIGHT_S + 4.5 * DAY_S)
    words = "\n".join(f"{one.title}\n{one.text}" for _, one in said if one.reminder == 0) + "\n"
    assert [words.count(f"text {number}\n") for number in range(len(told))] == [1] * len(told)


@settings(max_examples=30)
@given(messages())
def test_quiet_hours(told: list[Message]) -> None:
    """In quiet hours only alarms come through, and those at once."""
    said = played(RULES, told, step_s=1200.0, until_s=MIDNIGHT_S + 4 * DAY_S)
    for at_s, delivery in said:
        assert not is_quiet(at_s) or delivery.severity is Severity.ALARM
    for message in told:
        if message.severity is Severity.ALARM:
            first = next(at_s for at_s, one in said if one.title == message.title)
            assert first - message.at_s < 1200.0


@settings(max_examples=30)
@given(messages(severities=(Severity.PERSON, Severity.ALARM)), st.integers(0, 3 * 24 * 60))
def test_reminders_go_on_until_somebody_answers(told: list[Message], minute: int) -> None:
    """What needs an answer is repeated, each time one louder, and not once more after it was acknowledged."""
    rules = replace(RULES, quiet=None)
    answer_s = MIDNIGHT_S + 60.0 * minute
    notices, count = Notices(rules=rules), dict.fromkeys((one.title for one in told), 0)
    now_s, left, answered = MIDNIGHT_S, list(told), False
    while now_s <= MIDNIGHT_S + 4 * DAY_S:
        if now_s >= answer_s and not answered:
            notices, answered = acknowledge(notices), True
            before = {title for title, times in count.items() if times}
        while left and left[0].at_s <= now_s:
            notices = tell(notices, left.pop(0))
        notices, deliveries = due(notices, now_s)
        for one in deliveries:
            title = one.title.removeprefix("still: ")
            assert one.reminder == count[title]
            assert not (answered and title in before)
            count[title] += 1
        now_s += 1800.0
    for message in told:
        asked_s = message.at_s + 1800.0
        until_s = answer_s if message.title in before else MIDNIGHT_S + 4 * DAY_S
        assert count[message.title] >= (until_s - asked_s) // (rules.remind_s + 1800.0)


@settings(max_examples=30)
@given(messages(), st.sampled_from([770.0, 1800.0, 7000.0]))
def test_polling_more_often_changes_nothing_but_the_delay(told: list[Message], step_s: float) -> None:
    """How often one asks what is due does not change what is said for the first time outside quiet hours."""
    rules = replace(RULES, quiet=None)

    def first_said(step: float) -> list[str]:
        said = played(rules, told, step_s=step, until_s=MIDNIGHT_S + 4 * DAY_S)
        text = "\n".join(f"{one.title}\n{one.text}" for _, one in said if one.reminder == 0)
        return sorted({line for line in text.splitlines() if line.startswith("title ")})

    assert first_said(step_s) == first_said(3600.0) == sorted(one.title for one in told)


@given(st.integers(0, 86_399), st.integers(0, 86_399), st.integers(-14, 14))
def test_summary_once_a_day_at_its_time(at_s: int, start_s: int, zone_h: int) -> None:
    """The summary comes once a day when the local clock shows its time; a day slept through gives one, not two."""
    rules = Rules(summary_s=float(at_s), utc_offset_s=lambda _: 3600.0 * zone_h)
    notices, _ = due(Notices(rules=rules), MIDNIGHT_S + start_s)
    first_s = notices.summary_due_s
    assert first_s is not None
    assert 0.0 < first_s - (MIDNIGHT_S + start_s) <= DAY_S
    assert (first_s + 3600.0 * zone_h) % DAY_S == at_s
    notices, nothing = due(notices, first_s - 1.0)
    assert nothing == ()
    notices, said = due(notices, first_s + 2.5 * DAY_S, state_of_things="all is well")
    assert [one.title for one in said] == ["daily summary"]
    assert "all is well" in said[0].text
    assert due(notices, first_s + 2.9 * DAY_S)[1] == ()


@settings(max_examples=30)
@given(messages())
def test_the_end_of_labctl_holds_nothing_back(told: list[Message]) -> None:
    """What quiet hours held back is said when labctl ends: nobody would be there later."""
    notices = Notices(rules=RULES)
    for message in told:
        notices = tell(notices, message)
    notices, said = due(notices, MIDNIGHT_S + 3600.0)
    notices, rest = flush(notices)
    words = "".join(one.text for one in (*said, *rest))
    assert all(one.text in words for one in told)
    assert notices.fresh == ()


def test_the_same_matter_is_said_once_an_hour() -> None:
    """A flapping alarm is not said at each flap, nor while it waits for an answer."""
    rules = Rules(remind_s=DAY_S)
    notices, said = Notices(rules=rules), 0
    for minute in range(0, 600, 5):
        at_s = MIDNIGHT_S + 60.0 * minute
        notices = tell(notices, Message(severity=Severity.WARNING, title="t", text="", about="a", at_s=at_s))
        notices, deliveries = due(notices, at_s)
        said += len(deliveries)
    assert said == 10


def test_what_settles_itself_is_not_asked_again() -> None:
    """A prompt is over when its step is: no reminder, and no demand in the morning."""
    asked = Message(severity=Severity.PERSON, title="tune", text="", about="a", at_s=MIDNIGHT_S, until="step x")
    notices = settle(tell(Notices(rules=RULES), asked), "step x")
    _, said = due(notices, MIDNIGHT_S + 8 * 3600.0)
    assert [(one.severity, one.title) for one in said] == [(Severity.INFO, "tune (settled meanwhile)")]
    notices, _ = due(tell(Notices(rules=Rules()), asked), MIDNIGHT_S)
    assert due(settle(notices, "step x"), MIDNIGHT_S + DAY_S)[1] == ()
    assert due(settle(notices, "step y"), MIDNIGHT_S + DAY_S)[1] != ()


def test_one_matter_of_one_moment_is_said_once() -> None:
    """A warning is left out where what goes out with it, no less urgent, says it too; an urgent one never is."""
    step = Message(severity=Severity.WARNING, title="step", text="T1: no lock", about="a", at_s=0.0, gist="no lock")
    rest = Message(severity=Severity.PERSON, title="rest", text="it stands: no lock", about="b", at_s=0.0)
    urgent = replace(step, severity=Severity.PERSON)
    later = replace(rest, at_s=60.0)
    for told, said in (([step, rest], ["rest"]), ([rest, step], ["rest"]), ([urgent, rest], ["step", "rest"])):
        notices = Notices(rules=Rules())
        for one in told:
            notices = tell(notices, one)
        assert [one.title for one in due(notices, 0.0)[1]] == said
    assert len(tell(tell(Notices(rules=Rules()), step), later).fresh) == 2


def test_people_are_reminded_of_one_matter_once() -> None:
    """Once a station rests after an interlock, the message that says so is as urgent, and the only one repeated."""
    trip = Message(severity=Severity.ALARM, title="trip", text="no gas. Going safe", about="a", at_s=0.0, gist="no gas")
    rest = Message(severity=Severity.PERSON, title="rest", text="safe: no gas", about="b", at_s=600.0, until="rest")
    notices, _ = due(tell(Notices(rules=RULES), trip), 0.0)
    notices, said = due(tell(notices, rest), 600.0)
    assert [(one.severity, one.title) for one in said] == [(Severity.ALARM, "rest")]
    assert [one.title for one in due(notices, 3600.0)[1]] == ["still: rest"]
