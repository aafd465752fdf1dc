"""A controller without the loop-back test is waited for in silence instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.oven_bench import START_S, Bench


@pytest.mark.parametrize(("late_s", "known"), [(0.9, True), (30.0, False)])
def test_a_late_answer_has_gone_by_after_the_silence(tmp_path: Path, late_s: float, known: bool) -> None:
    """What comes within two time-outs is dropped; what comes later is of the other function, or of another length."""
    faults = f"  - {{fault: reply_late, at: 60 s, by: {late_s} s}}\n"
    bench = Bench("eurotherm", tmp_path, faults=faults, settings={"line_test": "quiet", "reply_timeout": "600 ms"})
    bench.skip_to(START_S + 61.0)
    oven = bench.lab.device.oven
    if not known:
        with pytest.raises(Exception, match="no usable answer"):
            bench.driver.readings()
        bench.skip_to(START_S + 180.0)
    assert bench.values()["sensor_K"] == pytest.approx(oven.sensor_K(), abs=0.002)
