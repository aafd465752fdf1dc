"""The report of a campaign that goes on is made anew as parts come in, and takes little of the time."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.cli.refreshing import Refreshing


class Desk:
    """A clock that finishing moves on, and what was finished."""

    def __init__(self, cost_s: float, *, broken: bool = False) -> None:
        self.now_s = 1000.0
        self.made: list[float] = []
        self._cost_s = cost_s
        self._broken = broken

    def finish(self, run_dir: Path) -> None:
        self.made.append(self.now_s)
        self.now_s += self._cost_s
        if self._broken:
            raise OSError(f"{run_dir} is full")


def test_it_takes_its_share_and_no_more() -> None:
    """Not in the first minute, then at most a twentieth of the time, however often it is asked."""
    desk = Desk(cost_s=2.0)
    refresh = Refreshing(Path("run"), desk.finish, now_s=lambda: desk.now_s)
    for _ in range(1000):
        refresh()
        desk.now_s += 1.0
    assert desk.made[0] == 1060.0
    spent_s = 2.0 * len(desk.made)
    assert spent_s <= 0.05 * (desk.now_s - 1000.0)
    assert len(desk.made) > 15, "and yet it is made"


def test_each_cycle_of_hours_gets_its_report() -> None:
    """Asked every few hours, it is made every time."""
    desk = Desk(cost_s=20.0)
    refresh = Refreshing(Path("run"), desk.finish, now_s=lambda: desk.now_s)
    for _ in range(10):
        desk.now_s += 4 * 3600.0
        assert refresh()
    assert len(desk.made) == 10


def test_a_report_that_fails_harms_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """What it reports on goes on; that it failed is said."""
    desk = Desk(cost_s=0.0, broken=True)
    refresh = Refreshing(Path("run"), desk.finish, first_s=0.0, now_s=lambda: desk.now_s)
    assert not refresh()
    assert "the report could not be made anew: OSError: run is full" in capsys.readouterr().err
