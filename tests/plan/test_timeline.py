"""The plan as a time line: nothing of a station's time is lost, and what is drawn is what is planned."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import pytest

from labctl.cli.app import run_app
from labctl.plan.estimate import Estimate, estimate
from labctl.plan.expand import expand
from labctl.plan.timeline import SYMBOLS, bars, gantt_html, loads, spans
from labctl.protocol.lab import Lab
from labctl.protocol.load import load_protocol

START_S = 1_767_636_000.0


@pytest.fixture
def costs(protocols: Path, lab: Lab) -> Estimate:
    """Of a campaign of three stations."""
    return estimate(expand(load_protocol(protocols / "paper" / "paper.yaml").model, lab), START_S)


def test_a_station_is_at_one_thing_at_a_time(costs: Estimate) -> None:
    """Spans of a station follow each other without overlap and without a gap, from the start to its end."""
    for station, ends_s in costs.station_s.items():
        mine = [span for span in spans(costs) if span.station == station]
        assert mine[0].begin_s == 0.0
        assert mine[-1].end_s == pytest.approx(ends_s)
        assert all(after.begin_s == pytest.approx(before.end_s) for before, after in pairwise(mine))


def test_acquiring_and_waiting_make_up_the_hours(costs: Estimate) -> None:
    """What each station's time goes into sums to its time."""
    for load in loads(costs):
        total_s = load.acquiring_s + load.waiting_s + load.tending_s
        assert total_s == pytest.approx(costs.station_s[load.station])
        assert load.ends_s == costs.station_s[load.station]
    assert sum(load.disk_bytes for load in loads(costs)) == costs.disk_bytes


@pytest.mark.parametrize("width", [20, 61, 100])
def test_bars_are_as_wide_as_asked(costs: Estimate, width: int) -> None:
    """Every station has a bar; the longest fills it; a change of sample is seen however short."""
    drawn = dict(bars(costs, width))
    assert all(len(bar) == width for bar in drawn.values())
    assert " " not in drawn[max(costs.station_s, key=lambda name: costs.station_s[name])]
    assert SYMBOLS["person"] in drawn["nmr500"]
    assert SYMBOLS["person"] in drawn["autolab"]


def test_the_page_needs_nothing_else(costs: Estimate) -> None:
    """One file: no script, nothing fetched; a rectangle for each span; names are escaped."""
    page = gantt_html(costs, campaign="<paper>", start_s=START_S)
    assert "<script" not in page
    assert "http" not in page
    assert "&lt;paper&gt;" in page
    svg = ET.fromstring(page[page.index("<svg") : page.index("</svg>") + 6])
    assert len(svg.findall("rect")) == len(spans(costs))


def test_plan_draws_and_writes_it(protocols: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`labctl plan --html` leaves the page and prints the bars."""
    page = tmp_path / "plan.html"
    assert run_app(["plan", str(protocols / "vt_exsy_demo.yaml"), "--html", str(page)]) == 0
    assert "<svg" in page.read_text(encoding="utf-8")
    assert "nmr500  " in capsys.readouterr().out
