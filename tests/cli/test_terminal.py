"""What people read on a terminal."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from labctl.cli.planning import fitting
from labctl.cli.progress import News
from labctl.plan.table import COLUMNS, Row
from labctl.run.lifecycle import StationPhase
from labctl.run.progress import ProgressReport

ASKED = ProgressReport(
    station="nmr", phase=StationPhase.RUNNING, at_s=0.0, step_id="nmr/x/T01/tune", attempt=1, needs_person="tune it"
)


def test_a_person_is_asked_once_at_each_step() -> None:
    """The same request is told once while it stands, and again when another step makes it."""
    news = News()
    assert news.lines(ASKED) == ["a person is needed: tune it"]
    assert news.lines(ASKED) == []
    assert news.lines(replace(ASKED, step_id="", needs_person="", message="tune it")) == []
    assert news.lines(replace(ASKED, step_id="nmr/x/T02/tune")) == ["a person is needed: tune it"]
    assert news.lines(replace(ASKED, needs_person="", message="gas is low")) == ["gas is low"]


@given(st.integers(20, 250), st.integers(1, 30))
def test_a_plan_fits_the_terminal(width: int, length: int) -> None:
    """A table is as wide as the terminal at most, or nothing more can be left out; the step is always there."""
    ids = [f"nmr/vt_exsy/T01/{'s' * length}", "nmr/cool"]
    rows = [Row(step_id=one, cells=(one, *("c" * 6 for _ in COLUMNS[1:])), spare=False) for one in ids]
    prefix, kept, left_out = fitting(rows, width)
    assert kept[0] == 0
    assert sorted([*(COLUMNS[at] for at in kept), *left_out]) == sorted(COLUMNS)
    shown = [[row.cells[0].removeprefix(prefix), *row.cells[1:]] for row in rows]
    needed = sum(max(len(COLUMNS[at]), *(len(cells[at]) for cells in shown)) + 2 for at in kept)
    assert needed <= width or len(kept) == len(COLUMNS) - 8
