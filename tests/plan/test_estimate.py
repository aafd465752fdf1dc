"""Hours, end, radio frequency, disk, and the table that shows them."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import hypothesis.strategies as st
import pytest

from labctl.plan.blackouts import Blackout, During, may_wait
from labctl.plan.estimate import estimate, temperature_changes
from labctl.plan.expand import expand
from labctl.plan.steps import Plan
from labctl.plan.table import COLUMNS, plan_rows, summary_rows
from labctl.protocol.lab import Lab
from labctl.protocol.model import Protocol
from tests.plan.conftest import Variant

START_S = 1_772_438_400.0  # 2026-03-02 08:00 UTC


@pytest.fixture(scope="module")
def demo_plan(demo: Protocol, lab: Lab) -> Plan:
    """The demo's steps."""
    return expand(demo, lab)


def test_steps_of_one_station_follow_each_other(demo: Protocol, lab: Lab) -> None:
    """Each step begins where the one before ended; spare settling checks take no expected time."""
    result = estimate(expand(demo, lab), START_S)
    at_s = 0.0
    for timing in result.timings:
        assert timing.begin_s == at_s
        at_s += 0.0 if timing.step.skip_when else timing.step.estimate_s
        assert timing.end_s == at_s
    assert result.expected_s == at_s < result.at_most_s
    assert result.end_s == START_S + at_s
    assert sum(result.role_s.values()) == pytest.approx(at_s)


def test_a_longer_recycle_delay_takes_longer(variant: Variant, lab: Lab) -> None:
    """Hours rise with the recycle delay; radio frequency and disk stay."""
    short, long = (estimate(expand(variant(recycle_delay=delay), lab)) for delay in ("5 s", "20 s"))
    assert long.expected_s > short.expected_s
    assert (long.rf_on_s, long.disk_bytes) == (short.rf_on_s, short.disk_bytes)
    assert long.duty <= short.duty


def test_temperature_changes_include_the_return(variant: Variant, lab: Lab) -> None:
    """Three temperatures and back are three changes."""
    assert temperature_changes(expand(variant(), lab)) == 3
    assert temperature_changes(expand(variant(return_to_first_temperature=False), lab)) == 2


def test_the_table_has_a_cell_for_each_heading(demo: Protocol, lab: Lab) -> None:
    """Every step is one row of text; set point and sample temperature both show, and so does the EXPNO."""
    rows = plan_rows(estimate(expand(demo, lab), START_S), start_s=START_S, utc_offset_s=3600)
    assert {len(row.cells) for row in rows} == {len(COLUMNS)}
    cells = dict(zip(COLUMNS, next(row for row in rows if row.step_id.endswith("T01/tmix01")).cells, strict=True))
    assert (cells["sample"], cells["set point"]) == ("25.0 °C", "16.2 °C")
    assert (cells["Tmix"], cells["scans"], cells["EXPNO"]) == ("20 ms", "48 x 8", "1101")
    assert rows[0].cells[COLUMNS.index("begins")] == "2026-03-02 09:00"
    assert plan_rows(estimate(expand(demo, lab)))[0].cells[COLUMNS.index("begins")] == "+0 d 00:00"


def test_the_summary_tells_hours_end_and_disk(demo: Protocol, lab: Lab) -> None:
    """Totals stand as name and value, the end only when the start is known."""
    names = dict(summary_rows(estimate(expand(demo, lab), START_S)))
    assert {"expected", "at most", "ends", "RF on", "disk", "temperature changes"} <= set(names)
    assert "ends" not in dict(summary_rows(estimate(expand(demo, lab))))


spans = st.lists(
    st.tuples(st.floats(0.0, 4e5), st.floats(60.0, 1e5), st.sampled_from(["wait", "halt", "run_on"])), max_size=6
)


@hypothesis.given(spans=spans)
@hypothesis.settings(max_examples=50)
def test_nothing_is_planned_into_a_blackout(demo_plan: Plan, spans: list[tuple[float, float, During]]) -> None:
    """Whatever the blackouts, no step that may wait overlaps one, none begins before its station is free, or idles."""
    station = demo_plan.steps[0].station
    blackouts = tuple(
        Blackout(station=station, from_s=START_S + from_s, to_s=START_S + from_s + for_s, during=during)
        for from_s, for_s, during in spans
    )
    result = estimate(replace(demo_plan, blackouts=blackouts), START_S)
    free_s = 0.0
    for timing in result.timings:
        assert timing.begin_s == pytest.approx(free_s + timing.waits_s)
        assert (timing.waits_s > 0.0) is (timing.waits_for is not None)
        free_s = timing.end_s
        for blackout in blackouts:
            begin_s, end_s = START_S + timing.begin_s + 1e-3, START_S + timing.end_s - 1e-3  # floats of 1.8e9
            meets = begin_s < blackout.to_s and blackout.from_s < end_s
            assert not (meets and may_wait(timing.step.task) and blackout.during != "run_on")
    assert result.expected_s == pytest.approx(free_s)
    assert result.expected_s >= estimate(demo_plan, START_S).expected_s - 1e-3
    assert result.at_most_s >= result.expected_s
    for timing in result.timings:  # it waits for no longer than it must
        if timing.waits_for is not None:
            assert START_S + timing.begin_s == pytest.approx(timing.waits_for.to_s)


def test_the_summary_says_what_waits(demo_plan: Plan) -> None:
    """A wait is a line of the summary: which step, how long, for what, from when to when."""
    timing = next(timing for timing in estimate(demo_plan).timings if timing.step.role == "exsy")
    fill = Blackout(
        station=timing.step.station,
        from_s=START_S + timing.begin_s + 60.0,
        to_s=START_S + timing.begin_s + 3660.0,
        why="helium",
    )
    cost = estimate(replace(demo_plan, blackouts=(fill,)), START_S)
    [row] = [text for name, text in summary_rows(cost) if name == "blackout"]
    assert row.startswith(f"{timing.step.id} waits 1.0 h for helium (2026-03-0")
