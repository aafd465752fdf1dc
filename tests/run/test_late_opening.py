"""A campaign is resumed while an instrument is out of reach: its silence is judged like any other, and not at once."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from labctl.errors import InstrumentError
from labctl.ports import DeliversParts, Fenced
from labctl.run.events import Alarmed, Operated, Tripped
from labctl.run.late_opening import opened_late
from tests.run.bench import Bench
from tests.run.test_killed import forgetful, judge, killed_during

STEP = "nmr/vt_exsy/T00/tmix00"


def resumed_out_of_reach(bench: Bench, *, for_s: float) -> int:
    """Resume while the instrument does not answer, which it does again after a time."""
    bench.nmr.silent = True
    until_s = bench.clock.now_s() + for_s

    def operator() -> list[Operated]:
        if bench.clock.now_s() >= until_s:
            bench.nmr.silent = False
        return []

    return bench.run(operator=operator, operator_continues=False, virtual_poll_s=60.0).exit_code


def test_a_share_that_comes_back_costs_nothing(tmp_path: Path) -> None:
    """Out of reach for ten minutes of a 2D, the station is asked until it answers, and the 2D goes on to its end."""
    undisturbed = forgetful(tmp_path / "undisturbed")
    undisturbed.run()
    bench = forgetful(tmp_path / "bench")
    killed_during(bench, STEP)
    assert resumed_out_of_reach(bench, for_s=600.0) == 0
    judge(bench, undisturbed.raw())
    assert not [event for event in bench.events() if isinstance(event, Tripped)]
    assert "cannot be reached" in "\n".join(event.what for event in bench.events() if isinstance(event, Alarmed))
    assert bench.nmr.epoch == 2


def test_silence_that_goes_on_takes_the_station_to_safety(tmp_path: Path) -> None:
    """Out of reach for longer than an acquisition may be silent, the station trips by that, and then only."""
    bench = forgetful(tmp_path / "bench")
    killed_during(bench, STEP)
    began_s = bench.clock.now_s()
    assert resumed_out_of_reach(bench, for_s=3000.0) == 1
    tripped = [row for row in bench.journal().rows(("failed",)) if isinstance(row.event, Tripped)]
    assert [row.event.limit for row in tripped if isinstance(row.event, Tripped)] == ["silence"]
    assert tripped[0].wall_s - began_s >= bench.options.stations["nmr"].silence.growing_s


def test_an_instrument_that_refuses_goes_safe_at_once(tmp_path: Path) -> None:
    """One that answers and does not let itself be opened is no silence."""
    bench = forgetful(tmp_path / "bench")
    killed_during(bench, STEP)
    bench.nmr.epoch = 99
    bench.run()
    assert [event.limit for event in bench.events() if isinstance(event, Tripped)] == ["reach"]


def test_ports_are_those_of_the_instrument(tmp_path: Path) -> None:
    """What is opened late has the instrument's abilities and names, and no others."""
    bench = forgetful(tmp_path / "bench")
    late = opened_late(bench.nmr)
    assert late.station == "nmr"
    bench.nmr.epoch = 5
    with pytest.raises(InstrumentError, match="older"):
        late.open(1)
    assert not isinstance(late, Fenced)
    assert not isinstance(opened_late(SimpleNamespace()), DeliversParts)
    assert isinstance(late, DeliversParts) == isinstance(bench.nmr, DeliversParts)
