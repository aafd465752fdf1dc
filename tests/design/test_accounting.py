"""What the hours of a campaign told is added up as it was learnt, and a fixed grid is reckoned beside it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from labctl.analysis.results import Results
from labctl.analysis.spending_results import BlockSpent, FixedGrid, Spending, Spent
from labctl.design.accounting import GRID_TMIX_S, Account, account, usual_grid
from labctl.design.ask import Question
from labctl.report.design_section import accounts
from labctl.report.page import Timeline, write_report
from tests.design.test_pilot import TYPED, asking, pilot_of

WANTED = "Ea_eV A"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Question, Account]:
    """Six 2Ds at two temperatures, as noisy as believed, and their account."""
    protocols = Path(__file__).parents[2] / "protocols"
    _, asked = asking(tmp_path_factory.mktemp("account"), protocols, TYPED)
    return asked, account(asked, pilot_of(asked).matrices, {})


def test_every_2d_adds_and_the_last_ones_error_is_that_of_all(told: tuple[Question, Account]) -> None:
    """Errors only fall, from a prior that says hardly anything to what all 2Ds told."""
    asked, found = told
    course = [found.before[WANTED], *(one[WANTED] for one in found.after)]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(course))
    prior = asked.belief.covariance[asked.belief.names.index(WANTED), asked.belief.names.index(WANTED)]
    assert found.before[WANTED] > 2 * np.sqrt(prior)
    assert found.se == found.after[-1]
    assert all(one[WANTED] >= found.after[-1][WANTED] for one in found.without)


def test_a_first_temperature_is_credited_by_what_would_be_lost_without_it(told: tuple[Question, Account]) -> None:
    """By itself it hardly tells of Ea; left out in the end, its long mixing times are missed."""
    _, found = told
    gained_first = np.log(found.before[WANTED] / found.after[2][WANTED])
    missed = max(np.log(one[WANTED] / found.after[-1][WANTED]) for one in found.without[:3])
    assert missed > gained_first


def test_the_grid_is_the_published_kind_over_the_same_range(told: tuple[Question, Account]) -> None:
    """Its hours at equal error are its overheads and its 2Ds as often as the errors ask for."""
    asked, found = told
    blocks = usual_grid(asked)
    assert {block.T_K for block in blocks} == set(asked.choices.temperatures_K)
    assert len(blocks) == len(GRID_TMIX_S) * len(asked.choices.temperatures_K)
    assert {(block.rows, block.scans) for block in blocks} == {(320, 8)}
    acquiring_s = sum(map(asked.costs.dataset_s, found.grid.blocks))
    times = (found.grid.se[WANTED] / found.se[WANTED]) ** 2
    expected_s = found.grid.seconds + (times - 1) * acquiring_s
    assert found.grid.seconds_at_equal_se == pytest.approx(expected_s)


def test_the_page_tells_hours_gains_and_that_the_grid_was_not_run(tmp_path: Path) -> None:
    """Numbers stand with units, the comparison with its assumptions; what is not resolved gives no ratio."""
    grid = FixedGrid(
        temperatures_K=[293.15, 333.15], tmix_s=[0.1, 1.0], rows=320, scans=8, hours=162.4, se={WANTED: 0.0278},
        hours_at_equal_se=35.3, ratio=9.97, assumptions=["computed, not run: a model estimate"],
    )  # fmt: skip
    block = BlockSpent(
        dataset="nmr500/vt_exsy/T01/tmix02", T_K=298.15, tmix_s=0.5, rows=48, scans=16, hours=0.5, hours_in_all=1.25,
        se={WANTED: 0.0391}, gain=0.25, loss_without=0.3, gain_per_hour=0.2,
    )  # fmt: skip
    spending = Spending(
        procedure="nmr500/vt_exsy", hours=3.54, spent=[Spent(what="2D", hours=2.5), Spent(what="waiting", hours=1.04)],
        wanted={WANTED: 0.04}, se={WANTED: 0.061}, blocks=[block], grid=grid,
    )  # fmt: skip
    results = Results(campaign="hours", spending=[spending])
    page = write_report(tmp_path / "report.html", results, (), timeline=Timeline(), protocol_text="")
    text = re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))
    for said in (
        "39.1 meV",
        "71 %",
        "162 h",
        "computed, not run",
        "10.0 times as long",
        "48 × 16",
        "25.0 °C",
        "61.0 meV",
    ):
        assert said in text, said
    unresolved = spending.model_copy(
        update={"grid": grid.model_copy(update={"hours_at_equal_se": None, "ratio": None})}
    )
    (one,) = accounts(Results(campaign="hours", spending=[unresolved]))
    assert "No ratio" in one.grid[-1]
    assert accounts(Results(campaign="none")) == []
