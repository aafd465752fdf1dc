"""Every fault a script can ask of a simulated oven, seen through the driver: named, got over, or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import FAULT, Progress
from labctl_sim_oven.faults import FAULTS
from tests.contract.oven_bench import KINDS, MINUTE_S, START_S, Bench, Kind, by_quantity, order, ramp, soak

WARM_K = 323.15
AT_MIN = 12
"""When faults strike: the set point has arrived, and the oven still comes to rest."""

Seen = Callable[[Bench], None]


def named(*names: str, while_walking: bool = False) -> Seen:
    """The driver names one of these faults within twenty minutes, and the order fails."""

    def seen(bench: Bench) -> None:
        if while_walking:
            bench.driver.begin(order(ramp(WARM_K + 50.0), token="bbbbbbbb-1"))
        until_s = bench.clock.now_s() + 20 * MINUTE_S
        while not (found := bench.fault_names() & set(names)):
            assert bench.clock.now_s() < until_s, bench.values()
            bench.clock.wait_until(bench.clock.now_s() + 5.0)
        assert {f"{FAULT}{name}" for name in found} <= bench.values().keys()
        assert bench.driver.look(order(soak(WARM_K), token="cccccccc-1")).progress is Progress.FAILED

    return seen


def soak_begins_anew(bench: Bench) -> None:
    """Nothing is wrong, but what was soaked does not count."""
    asked = order(soak(WARM_K, hold_s=600.0), token="bbbbbbbb-1")
    bench.driver.begin(asked)
    seen = bench.end_of(asked)
    assert seen.progress is Progress.DONE
    assert bench.clock.now_s() > START_S + (AT_MIN + 20) * MINUTE_S


def not_taken(bench: Bench) -> None:
    """The next set point does not read back, and the order says so."""
    with pytest.raises(InstrumentError, match="did not take it"):
        bench.driver.begin(order(ramp(WARM_K + 5.0), token="bbbbbbbb-1"))


def got_over(bench: Bench) -> None:
    """Whatever is read is of now and true; silence is the worst, and it ends."""
    oven = bench.lab.device.oven
    told = 0
    while told < 4:
        try:
            values = by_quantity(bench.driver.readings())
        except InstrumentSilent:
            bench.skip_to(bench.clock.now_s() + 5.0)
            continue
        told += 1
        assert values["sensor_K"] == pytest.approx(oven.sensor_K(), abs=0.06)
        assert values["setpoint_K"] == pytest.approx(WARM_K, abs=0.06)
        assert not bench.controller.health()
        bench.skip_to(bench.clock.now_s() + 5.0)
    assert any("fault script" in message for message in bench.lab.messages)


WHAT_COMES_OF_IT: Mapping[str, tuple[str, Seen]] = {
    "welded_relay": ("", named("heater_welded")),
    "heater_open": ("", named("heater", "heater_not_heating")),
    "door_open": (", for: 10 min", soak_begins_anew),
    "noise": (", by: 1 K, for: 20 min", soak_begins_anew),
    "sensor_break": ("", named("sensor")),
    "stale_reading": ("", named("sensor_frozen", while_walking=True)),
    "power_dip": ("", named("power_failed")),
    "heater_trip": ("", named("heater_off_unasked")),
    "setpoint_ignored": ("", not_taken),
    "local_mode": ("", not_taken),
    "decimal_shift": ("", got_over),
    "mute": (", for: 1 min", got_over),
    "line_held": (", for: 1 min", got_over),
    "command_lost": (", replies: 3", got_over),
    "reply_lost": (", replies: 3", got_over),
    "reply_late": (", by: 3 s, replies: 3", got_over),
    "reply_garbled": (", replies: 3", got_over),
    "reply_truncated": (", replies: 3", got_over),
    "reply_twice": (", replies: 3", got_over),
    "bad_crc": (", replies: 3", got_over),
}


def test_no_fault_is_forgotten() -> None:
    """The table below has exactly the faults that scripts may name."""
    assert WHAT_COMES_OF_IT.keys() == FAULTS.keys()


@pytest.mark.parametrize("fault", WHAT_COMES_OF_IT)
@pytest.mark.parametrize("kind", KINDS)
def test_every_fault_of_a_script_is_seen_through_the_driver(kind: Kind, fault: str, tmp_path: Path) -> None:
    """Heat first, then the fault: what the driver makes of it is what the table says."""
    if FAULTS[fault].only not in {"", kind}:
        pytest.skip(f"a {kind} cannot have it")
    takes, seen = WHAT_COMES_OF_IT[fault]
    bench = Bench(kind, tmp_path, faults=f"  - {{fault: {fault}, at: {AT_MIN} min{takes}}}\n")
    assert bench.carry_out(ramp(WARM_K)).progress is Progress.DONE
    assert bench.clock.now_s() < START_S + AT_MIN * MINUTE_S
    bench.skip_to(START_S + AT_MIN * MINUTE_S + 1.0)
    seen(bench)
