"""Verdicts that somebody works out meanwhile come in at moments that virtual time alone decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.clock import VirtualClock
from labctl.dataset.model import Dataset, Verdict
from labctl.run.events import HandedOff, PartJudged
from labctl.run.handoff import OWED, HandOffs

Answer = HandedOff | PartJudged


def dataset(station: str, number: int) -> Dataset:
    """A dataset as small as can be."""
    return Dataset(
        step_id=f"{station}/p/T01/tmix{number:02d}",
        key="k",
        attempt=1,
        station=station,
        procedure="p",
        kind="exsy",
        directory="d",
        files=(),
        completeness="complete",
        started_s=0.0,
        ended_s=1.0,
    )


def promising(asked: list[str], at_once: str = "") -> Callable[[Path, Dataset], Callable[[], Verdict] | None]:
    """Promise every verdict but that on one step; `asked` gets the step ids in the order waited for."""

    def promise(_: Path, one: Dataset) -> Callable[[], Verdict] | None:
        def answer() -> Verdict:
            asked.append(one.step_id)
            return Verdict(message="promised")

        return None if one.step_id == at_once else answer

    return promise


def of(events: tuple[Answer, ...]) -> list[tuple[str, str]]:
    """Step and message of answers."""
    return [(event.step_id, event.verdict.message) for event in events]


def hand_offs(tmp_path: Path, asked: list[str], at_once: str = "") -> HandOffs:
    """The way to an analysis that promises."""
    return HandOffs(
        lambda *_: Verdict(message="at once"),
        clock=VirtualClock(0.0),
        run_dir=tmp_path,
        inline=True,
        promising=promising(asked, at_once),
    )


def test_promised_verdicts_come_in_their_turn(tmp_path: Path) -> None:
    """So many may be open for a station, then the oldest is waited for; other stations do not matter; none is lost."""
    asked: list[str] = []
    at_once = f"a/p/T01/tmix{OWED + 1:02d}"
    ways = hand_offs(tmp_path, asked, at_once=at_once)
    for number in range(1, OWED + 1):
        assert ways.submit(dataset("a", number)) == ()
    assert ways.submit(dataset("b", 1)) == ()
    assert not asked
    assert ways.under_way
    assert of(ways.submit(dataset("a", OWED + 1))) == [(at_once, "at once")]
    assert of(ways.submit(dataset("a", OWED + 2))) == [("a/p/T01/tmix01", "promised")]
    rest = [*range(2, OWED + 1), OWED + 2]
    assert of(ways.owed(("a",))) == [(f"a/p/T01/tmix{number:02d}", "promised") for number in rest]
    assert of(ways.owed(("a", "b"))) == [("b/p/T01/tmix01", "promised")]
    assert not ways.under_way


def test_a_promise_that_is_not_kept_is_a_warning(tmp_path: Path) -> None:
    """Whatever comes instead of a verdict costs no dataset."""

    def broken() -> Verdict:
        raise RuntimeError("gone")

    ways = HandOffs(
        lambda *_: Verdict(), clock=VirtualClock(0.0), run_dir=tmp_path, inline=True, promising=lambda *_: broken
    )
    ways.submit(dataset("a", 1))
    (answer,) = ways.owed(("a",))
    assert answer.verdict.warnings == ("analysis failed: RuntimeError: gone",)


@pytest.mark.parametrize("number", [1, 2])
def test_on_a_real_clock_nothing_is_promised(tmp_path: Path, number: int) -> None:
    """There a worker answers when it is ready."""
    ways = HandOffs(
        lambda *_: Verdict(message="worker"),
        clock=VirtualClock(0.0),
        run_dir=tmp_path,
        inline=False,
        promising=promising([]),
    )
    assert ways.submit(dataset("a", number)) == ()
    ways._worker.shutdown(wait=True)  # type: ignore[union-attr]  # it was started just now
    assert of(ways.answered()) == [(f"a/p/T01/tmix{number:02d}", "worker")]
