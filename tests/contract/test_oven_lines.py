"""Whatever the line does, a driver tells the truth of this moment or says that it does not know."""

from __future__ import annotations

import itertools
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.errors import InstrumentSilent
from labctl.ports import Progress
from tests.contract.oven_bench import (
    KINDS,
    LIMITS,
    MINUTE_S,
    OPEN_DRIVER,
    START_S,
    Bench,
    Kind,
    by_quantity,
    order,
    ramp,
    served,
    wired_driver,
)

WIRE_FAULTS = ("command_lost", "reply_lost", "reply_late", "reply_garbled", "reply_truncated", "reply_twice")
HOT_K = 423.15

one_fault = st.tuples(
    st.sampled_from((*WIRE_FAULTS, "bad_crc")), st.integers(1, 8), st.sampled_from(["300 ms", "700 ms", "4 s", "70 s"])
)


def script(kind: Kind, faults: list[tuple[str, int, str]], *, first_s: float = 60.0, step_s: float = 60.0) -> str:
    """One fault a minute, as a fault script."""
    lines = ""
    for number, (name, replies, late) in enumerate(faults):
        if name == "bad_crc" and kind != "eurotherm":
            continue
        by = f", by: {late}" if name == "reply_late" else ""
        lines += f"  - {{fault: {name}, at: {first_s + number * step_s} s, replies: {replies}{by}}}\n"
    return lines


@pytest.mark.parametrize("kind", KINDS)
@given(faults=st.lists(one_fault, min_size=1, max_size=6))
@settings(max_examples=12, deadline=None)
def test_no_reading_is_ever_an_old_one(kind: Kind, faults: list[tuple[str, int, str]]) -> None:
    """While the set point walks, each reading is that of now, or `InstrumentSilent`; after the faults all is well."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(kind, Path(folder), faults=script(kind, faults))
        bench.driver.begin(order(ramp(HOT_K)))
        oven = bench.lab.device.oven
        for minute in range(1, len(faults) + 4):
            bench.skip_to(START_S + minute * MINUTE_S + 1.0)
            for _ in range(3):
                try:
                    values = by_quantity(bench.driver.readings())
                except InstrumentSilent:
                    continue
                assert values["setpoint_K"] == pytest.approx(oven.regulator.working_K, abs=0.002)
                assert values["sensor_K"] == pytest.approx(oven.sensor_K(), abs=0.002)
        bench.skip_to(bench.clock.now_s() + 2 * 3600.0)  # eight answers, each 70 s behind the other, have gone by
        assert by_quantity(bench.driver.readings())["setpoint_K"] == pytest.approx(oven.regulator.working_K, abs=0.002)


@pytest.mark.parametrize("kind", KINDS)
@given(faults=st.lists(one_fault, min_size=1, max_size=4), at=st.integers(0, 12))
@settings(max_examples=12, deadline=None)
def test_no_write_is_believed_that_was_not_taken(kind: Kind, faults: list[tuple[str, int, str]], at: int) -> None:
    """When `begin` returns the ramp is on its way at its rate; when it does not, the oven is no hotter than before."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(kind, Path(folder), faults=script(kind, faults, first_s=60.0 + 0.05 * at, step_s=0.3))
        bench.skip_to(START_S + 59.9)
        regulator = bench.lab.device.oven.regulator
        asked = order(ramp(HOT_K))
        bench.skip_to(START_S + 60.0 + 0.05 * at)
        try:
            bench.driver.begin(asked)
        except InstrumentSilent:
            bench.skip_to(bench.clock.now_s() + 300.0)
            regulator = bench.lab.device.oven.regulator
            assert regulator.mode != "auto" or regulator.working_K < 330.0
            return
        regulator = bench.lab.device.oven.regulator
        assert regulator.mode == "auto"
        assert regulator.target_K == pytest.approx(HOT_K, abs=0.01)
        assert regulator.ramp_K_per_s == pytest.approx(ramp(HOT_K).ramp_K_per_s, rel=0.04)
        assert regulator.working_K < 300.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_silence_is_bounded_and_named(kind: Kind, tmp_path: Path) -> None:
    """A mute controller costs three time-outs, and the message says what to look at."""
    bench = Bench(kind, tmp_path, faults="  - {fault: mute, at: 60 s, for: 60 s}\n")
    bench.skip_to(START_S + 61.0)
    with pytest.raises(InstrumentSilent, match="3 tries") as caught:
        bench.driver.readings()
    assert "cable" in caught.value.next_step
    bench.skip_to(START_S + 121.0)
    assert "sensor_K" in bench.values()


# ------------------------------------------------------------------------------------------------- real wires


WIRES = [("lakeshore", False), ("eurotherm", False), ("eurotherm", True)]


@pytest.mark.parametrize(("kind", "tcp"), WIRES, ids=["lakeshore tcp", "eurotherm pty", "eurotherm socket"])
def test_a_ramp_over_the_real_wire(kind: Kind, tcp: bool, tmp_path: Path) -> None:
    """The driver's real link drives the simulator over a socket or pty: ramp, safe state, read back."""
    with wired_driver(kind, tmp_path, speed=2000.0, tcp=tcp) as (driver, lab, _):
        driver.open(1)
        asked = order(ramp(308.15, give_up_s=1e6))
        driver.begin(asked)
        while (seen := driver.look(asked)).progress is Progress.RUNNING:
            pass
        assert seen.progress is Progress.DONE
        assert lab.device.oven.regulator.target_K == pytest.approx(308.15, abs=0.01)
        driver.make_safe("test")
        assert driver.is_safe()


@pytest.mark.parametrize(("kind", "fault"), [*itertools.product(KINDS, WIRE_FAULTS), ("eurotherm", "bad_crc")])
def test_line_faults_over_the_real_wire(kind: Kind, fault: str, tmp_path: Path) -> None:
    """Each fault of the line is got over, and the values that follow are this controller's values of now."""
    late = ", by: 120 ms" if fault == "reply_late" else ""
    faults = f"  - {{fault: {fault}, at: 0 s, replies: 2{late}}}\n"
    with wired_driver(kind, tmp_path, faults=faults, timeout="60 ms") as (driver, lab, _):
        told = 0
        while told < 3:
            try:
                values = by_quantity(driver.readings())
            except InstrumentSilent:
                continue
            told += 1
            assert values["setpoint_K"] == pytest.approx(298.15, abs=0.01)
            assert values["sensor_K"] == pytest.approx(295.15, abs=0.2)
        assert any(fault in message for message in lab.messages)


@pytest.mark.parametrize("kind", KINDS)
def test_a_power_dip_over_the_real_wire(kind: Kind, tmp_path: Path) -> None:
    """Mains fails in the middle of a ramp: the driver sees the heater off and says so."""
    faults = "  - {fault: power_dip, at: 20 min}\n"
    with wired_driver(kind, tmp_path, speed=1000.0, faults=faults) as (driver, _, clock):
        asked = order(ramp(423.15, give_up_s=1e6))
        driver.begin(asked)
        while (seen := driver.look(asked)).progress is Progress.RUNNING:
            assert clock.now_s() < START_S + 36000.0
        assert seen.progress is Progress.FAILED
        assert "power_failed" in seen.detail


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_that_is_cut_is_opened_anew(kind: Kind, tmp_path: Path) -> None:
    """A controller that vanishes is silent, not for ever; when it is back at the same address, so is the driver."""
    with served(kind, tmp_path, tcp=True) as (resource, _, clock):
        port = int(re.findall(r"\d{4,5}", resource)[0])
        where = "resource" if kind == "lakeshore" else "port"
        own = {where: resource, "reply_timeout": "50 ms"}
        driver = OPEN_DRIVER[kind](station="oven", settings=own, limits=LIMITS, clock=clock)
        assert "sensor_K" in by_quantity(driver.readings())
    try:
        for _ in range(2):
            with pytest.raises(InstrumentSilent):
                driver.readings()
        with served(kind, tmp_path, tcp=True, tcp_port=port):
            assert "sensor_K" in by_quantity(driver.readings())
            driver.close()
    finally:
        driver.close()
