"""Three stations are killed at every write, sync, commit and message, once for each, and go on as if nothing had been.

A death leaves the disk as it is at that moment and nothing else. So the campaign is held at each point, its disk is
copied, and the copy taken up by a process that knows nothing of the first (`three_stations.deaths`).
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from labctl.clock import SystemClock
from labctl.ports import Order, Standing
from labctl.run.events import Event, Intended
from labctl.run.journal import Journal, Row
from labctl.run.perform import Performer
from tests.whole.crash_points import DIED, Images, Turnstile, counted, die
from tests.whole.three_stations import (
    Campaign,
    Unkilled,
    deaths,
    in_a_child,
    problems,
    quick,
    raw_data,
    resumed,
    silently,
    unannounced,
    unkilled,
)

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="runs in forked children"), pytest.mark.pristine]

SAMPLE, SAMPLE_SHARES = 62, 2
SHARES = 8


def spread(kinds: list[str], wanted: int) -> list[int]:
    """Return about `wanted` numbers of points: every kind, rare ones more densely, each spread over the campaign."""
    places: dict[str, list[int]] = {}
    for number, kind in enumerate(kinds, start=1):
        places.setdefault(kind, []).append(number)
    total = sum(math.sqrt(len(numbers)) for numbers in places.values())
    chosen: set[int] = set()
    for at, numbers in enumerate(places.values()):
        count = max(1, round(wanted * math.sqrt(len(numbers)) / total))
        start = (at * 0.618) % 1.0  # where one kind has its first point, another has none
        chosen |= {numbers[int((step + start) * len(numbers) / count)] for step in range(count)}
    return sorted(chosen)


@pytest.mark.parametrize("share", range(SAMPLE_SHARES))
def test_killed_at_points_of_every_kind(share: int, undisturbed: Unkilled, tmp_path: Path) -> None:
    """Killed before, within or after a write, a commit or a message, nothing is lost, repeated or other than it was."""
    every = spread(undisturbed.kinds, SAMPLE)
    assert len(every) >= 60
    assert {undisturbed.kinds[number - 1] for number in every} == set(undisturbed.kinds)
    numbers = set(every[share::SAMPLE_SHARES])
    campaign = Campaign(tmp_path / "campaign", short=True)
    met: Counter[int] = Counter()
    wrong = {}
    for death in deaths(campaign, lambda number, _: number in numbers):
        met[death.number] += 1
        found = [f"{token} was begun before it was intended" for token in unannounced(campaign.run_dir)]
        found += problems(resumed(campaign, results=met.total() % 8 == 0), undisturbed.left)
        if found:
            wrong[death] = found
    assert wrong == {}
    assert met == dict.fromkeys(numbers, 1)


@pytest.mark.slow
@pytest.mark.parametrize("share", range(SHARES))
def test_killed_at_every_point(share: int, tmp_path: Path) -> None:
    """The same at every point of the whole campaign that leaves another disk than those before it.

    Raw data, certificate and the instruments' own books are compared each time; the numbers made from them, which need
    nothing else, at every eighth. ``LABCTL_KILLED=short`` takes the short campaign.
    """
    short = os.environ.get("LABCTL_KILLED") == "short"
    expected = unkilled(tmp_path / "undisturbed", short=short)
    campaign = Campaign(tmp_path / "campaign", short=short)
    images, seen = Images(campaign.run_dir), 0

    def stops(number: int, kind: str) -> bool:
        nonlocal seen
        if not images.is_new():
            return False
        seen += 1
        return seen % SHARES == share

    wrong = {}
    for met, death in enumerate(deaths(campaign, stops)):
        found = [f"{token} was begun before it was intended" for token in unannounced(campaign.run_dir)]
        found += problems(resumed(campaign, results=met % 8 == 0), expected.left)
        if found:
            wrong[death] = found
    assert wrong == {}


def test_a_death_leaves_what_is_copied(undisturbed: Unkilled, tmp_path: Path) -> None:
    """A process that ends itself at a point leaves the bytes that the copy of the held campaign has at that point."""
    number = [at for at, kind in enumerate(undisturbed.kinds, start=1) if kind == "journal committed"][30]
    campaign = Campaign(tmp_path / "campaign", short=True)
    for _ in deaths(campaign, lambda at, _: at == number):
        copied = files(campaign.run_dir)
        break

    def dies() -> int:
        with quick(), counted(Turnstile(lambda at, _: at == number, die)):
            return silently(campaign.begins())[0]

    for path in sorted(campaign.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert in_a_child(dies) == DIED
    assert files(campaign.run_dir) == copied


def files(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder but the noticeboard; of the journal its rows, for SQLite salts its log."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("journal.sqlite-", "standing.json"))
    }
    journal = Journal(folder / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        return found | {"rows": "\n".join(row.sha for row in journal.rows()).encode()}
    finally:
        journal.close()


# ------------------------------------------------------------------------------------------------ the tests bite


@contextlib.contextmanager
def asking_nobody() -> Iterator[None]:
    """Switch the evidence check off: what was begun is taken for not begun."""

    def not_asked(self: Performer, order: Order) -> tuple[Event, ...]:
        return (self._evidence(order, Standing.NOT_STARTED, "not asked"),)

    with mock.patch.object(Performer, "ask_evidence", not_asked):
        yield


@contextlib.contextmanager
def acting_first() -> Iterator[None]:
    """Switch write-ahead off: an intent is written down with whatever is written next, after the deed."""
    append = Journal.append
    late: list[tuple[Intended, dict[str, Any]]] = []

    def appended(self: Journal, event: Event, **more: Any) -> Row:
        if isinstance(event, Intended):
            late.append((event, more))
            [*_, last] = self.rows()
            return last
        while late:
            append(self, late[0][0], **late.pop(0)[1])
        return append(self, event, **more)

    with mock.patch.object(Journal, "append", appended):
        yield


def test_without_evidence_acquisitions_are_repeated(undisturbed: Unkilled, tmp_path: Path) -> None:
    """With the question to the instruments switched off, the same kills repeat acquisitions, and the sweep says so."""
    commits = [at for at, kind in enumerate(undisturbed.kinds, start=1) if kind == "journal committed"]
    campaign = Campaign(tmp_path / "campaign", short=True)
    wrong = [
        line
        for _ in deaths(campaign, lambda number, _: number in commits[len(commits) // 2 :: 7])
        for line in problems(resumed(campaign, results=False, changed=asking_nobody), undisturbed.left)
    ]
    assert [line for line in wrong if line.startswith("certificate/repeated")]
    assert [line for line in wrong if line.startswith("instruments/acquisitions")]


def test_without_write_ahead_things_are_done_unannounced(undisturbed: Unkilled, tmp_path: Path) -> None:
    """With write-ahead switched off, kills find orders on instruments that the journal knows nothing of."""
    campaign = Campaign(tmp_path / "campaign", short=True)
    number = 0

    def stops(_: int, kind: str) -> bool:
        nonlocal number
        number += kind.startswith("driver")
        return kind.startswith("driver") and number % 16 == 0

    found = [unannounced(campaign.run_dir) for _ in deaths(campaign, stops, changed=acting_first)]
    assert len(found) > 10
    assert any(found)
    assert raw_data(campaign.run_dir) == undisturbed.left["raw"]  # nobody killed it: then nothing shows
