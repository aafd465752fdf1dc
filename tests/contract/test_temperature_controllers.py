"""One suite over both temperature drivers: what any oven station owes the engine and the cell in the oven."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import InputError, InstrumentError, InstrumentSilent, SafetyRefusal
from labctl.ports import FAULT, Acquire, CheckSpinning, Progress, Standing
from labctl.run.interlock import Silence, Vigil, judge
from labctl_sim_oven import Nodes
from tests.contract.oven_bench import (
    KINDS,
    LIMITS,
    MINUTE_S,
    OPEN_DRIVER,
    START_S,
    Bench,
    Kind,
    RAMP_K_per_s,
    cool,
    order,
    ramp,
    soak,
)

pytestmark = pytest.mark.parametrize("kind", KINDS)

WARM_K = 333.15


# ------------------------------------------------------------------------------------- reading, ramps, soaks


def test_readings_are_those_of_the_oven(kind: Kind, tmp_path: Path) -> None:
    """Sensor, set point and heater are told with the time they were read, within the sensor's noise of the truth."""
    bench = Bench(kind, tmp_path)
    oven = bench.lab.device.oven
    readings = {reading.quantity: reading for reading in bench.driver.readings()}
    assert readings.keys() == {"sensor_K", "setpoint_K", "heater_percent"}
    assert readings["sensor_K"].value == pytest.approx(oven.nodes.sensor_K, abs=6 * oven.thermal.noise_K)
    assert readings["setpoint_K"].value == pytest.approx(298.15, abs=0.01)
    assert readings["heater_percent"].value < 1.0
    assert all(START_S <= reading.at_s <= bench.clock.now_s() for reading in readings.values())


def test_opening_moves_nothing(kind: Kind, tmp_path: Path) -> None:
    """To open a station is no reason to heat."""
    bench = Bench(kind, tmp_path)
    before = bench.lab.device.oven.regulator
    bench.new_driver()
    assert bench.lab.device.oven.regulator == before
    assert not bench.controller.loop().heating_allowed


def test_a_ramp_starts_where_the_oven_is_and_keeps_its_rate(kind: Kind, tmp_path: Path) -> None:
    """From parked, the set point leaves the sensor's temperature and never gets ahead of the rate asked for."""
    bench = Bench(kind, tmp_path)
    start_K = bench.values()["sensor_K"]
    asked = order(ramp(WARM_K))
    bench.driver.begin(asked)
    began_s = bench.clock.now_s()
    previous = 0.0
    while (seen := bench.driver.look(asked)).progress is Progress.RUNNING:
        passed_s = bench.clock.now_s() - began_s
        allowed_K = start_K + RAMP_K_per_s * (passed_s + 5.0) + 0.1
        assert bench.values()["setpoint_K"] <= allowed_K
        assert seen.fraction is not None
        assert previous <= seen.fraction < 1.0
        previous = seen.fraction
        bench.wait(20.0)
    assert seen.progress is Progress.DONE
    expected_s = (WARM_K - start_K) / RAMP_K_per_s
    assert expected_s - 5.0 <= bench.clock.now_s() - began_s <= expected_s * 1.05 + 60.0
    assert bench.controller.at_setpoint(WARM_K)


def test_a_soak_lasts_in_the_band_for_as_long_as_asked(kind: Kind, tmp_path: Path) -> None:
    """AwaitStable ends only after the sensor has been within the band for the whole hold, without a break."""
    bench = Bench(kind, tmp_path)
    bench.carry_out(ramp(WARM_K), token="aaaaaaaa-1")
    asked = order(soak(WARM_K), token="bbbbbbbb-1")
    bench.driver.begin(asked)
    inside_s: float | None = None
    while (seen := bench.driver.look(asked)).progress is Progress.RUNNING:
        inside = abs(bench.lab.device.oven.nodes.sensor_K - WARM_K) <= 0.5
        inside_s = (inside_s or bench.clock.now_s()) if inside else None
        bench.wait(15.0)
    assert seen.progress is Progress.DONE
    assert inside_s is not None
    assert bench.clock.now_s() - inside_s >= 1800.0 - 30.0


def test_a_soak_begins_again_when_the_door_is_opened(kind: Kind, tmp_path: Path) -> None:
    """Leaving the band costs the whole soak so far."""
    undisturbed = Bench(kind, tmp_path)
    undisturbed.carry_out(ramp(WARM_K), token="aaaaaaaa-1")
    undisturbed.carry_out(soak(WARM_K), token="bbbbbbbb-1")
    ended_s = undisturbed.clock.now_s() - START_S
    (tmp_path / "door").mkdir()
    opened_s = ended_s - 300.0
    bench = Bench(kind, tmp_path / "door", faults=f"  - {{fault: door_open, at: {opened_s} s, for: 20 s}}\n")
    bench.carry_out(ramp(WARM_K), token="aaaaaaaa-1")
    seen = bench.carry_out(soak(WARM_K), token="bbbbbbbb-1")
    assert seen.progress is Progress.DONE
    assert bench.clock.now_s() - START_S >= opened_s + 1800.0


def test_what_never_settles_is_given_up(kind: Kind, tmp_path: Path) -> None:
    """A soak that cannot succeed fails at its deadline, and says where the oven is."""
    bench = Bench(kind, tmp_path, simulator={"thermal": {"noise": "0.6 K"}})
    bench.carry_out(ramp(303.15), token="aaaaaaaa-1")
    seen = bench.carry_out(soak(303.15, give_up_s=3600.0), token="bbbbbbbb-1")
    assert seen.progress is Progress.FAILED
    assert "given up after" in seen.detail
    assert " K" in seen.detail


def test_a_whole_ladder_raises_no_alarm(kind: Kind, tmp_path: Path) -> None:
    """From 25 to 150 °C and back, with soaks, nothing contradicts itself, and the cell follows late."""
    bench = Bench(kind, tmp_path)
    for number, setpoint_K in enumerate((323.15, 373.15, 423.15)):
        for step in (ramp(setpoint_K), soak(setpoint_K)):
            asked = order(step, token=f"{number}{type(step).__name__[:7].lower()}-1")
            bench.driver.begin(asked)
            while bench.driver.look(asked).progress is Progress.RUNNING:
                assert not bench.controller.health()
                bench.clock.wait_until(bench.clock.now_s() + 15.0)
            assert bench.driver.look(asked).progress is Progress.DONE
        lag_K = bench.lab.device.oven.nodes.chamber_K - bench.simulator.sample_K()
        assert 0.0 < lag_K < 3.0  # half an hour is two time constants of the cell: the ladder's known weakness
    seen = bench.carry_out(cool(), token="cccccccc-1")
    assert seen.progress is Progress.DONE
    bench.wait(3600.0)
    assert not bench.controller.health()
    assert bench.driver.is_safe()


def test_a_stop_holds_the_set_point_where_it_is(kind: Kind, tmp_path: Path) -> None:
    """A ramp that is stopped goes no further, and the loop goes on regulating."""
    bench = Bench(kind, tmp_path)
    asked = order(ramp(WARM_K))
    bench.driver.begin(asked)
    bench.wait(5 * MINUTE_S)
    bench.driver.stop(asked, "a person asked")
    reached_K = bench.controller.loop().setpoint_K
    bench.wait(10 * MINUTE_S)
    after = bench.controller.loop()
    assert after.heating_allowed
    assert not after.ramping
    assert after.setpoint_K == pytest.approx(reached_K, abs=0.1)
    assert after.setpoint_K < WARM_K - 5.0
    assert not bench.controller.health()


def test_cooling_leads_the_set_point_down_and_ends_with_the_heater_off(kind: Kind, tmp_path: Path) -> None:
    """The set point comes down by the ramp; then the loop is parked."""
    bench = Bench(kind, tmp_path)
    bench.carry_out(ramp(WARM_K), token="aaaaaaaa-1")
    began_s = bench.clock.now_s()
    seen = bench.carry_out(cool(), token="bbbbbbbb-1")
    assert seen.progress is Progress.DONE
    assert bench.clock.now_s() - began_s >= (WARM_K - 298.15) / RAMP_K_per_s - 5.0
    loop = bench.controller.loop()
    assert not loop.heating_allowed
    assert loop.setpoint_K == pytest.approx(298.15, abs=0.1)


def test_other_tasks_are_not_for_an_oven(kind: Kind, tmp_path: Path) -> None:
    """What an oven cannot do is refused by name."""
    bench = Bench(kind, tmp_path)
    with pytest.raises(InstrumentError, match="CheckSpinning"):
        bench.driver.begin(order(CheckSpinning(rate_Hz=1e4, tolerance_Hz=20.0, give_up_s=60.0)))
    assert Acquire.__name__ not in str(bench.driver.collect(order(ramp(WARM_K)), tmp_path))


# ------------------------------------------------------------------------------------------ limits and refusals


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (ramp(LIMITS["sensor_max_K"] + 1.0), "sensor_max"),
        (ramp(LIMITS["sample_max_K"] - 3.0), "overshoot"),
        (ramp(WARM_K, ramp_K_per_s=LIMITS["ramp_max_K_per_s"] * 1.2), "ramp_max"),
    ],
    ids=["sensor", "cell with overshoot", "ramp"],
)
def test_beyond_a_limit_nothing_is_sent(kind: Kind, tmp_path: Path, task: object, says: str) -> None:
    """A set point or ramp beyond the lab's limits, overshoot included, is refused and the loop stays parked."""
    bench = Bench(kind, tmp_path)
    with pytest.raises(InstrumentError, match=says):
        bench.driver.begin(order(task))  # type: ignore[arg-type]  # tasks of two kinds
    assert not bench.controller.loop().heating_allowed


def test_the_controller_is_given_the_limits_too(kind: Kind, tmp_path: Path) -> None:
    """What guards when labctl is gone: the controller itself never lets a set point or the oven go beyond."""
    bench = Bench(kind, tmp_path, simulator={"thermal": {"power": "2 kW"}})
    if kind == "lakeshore":
        bench.carry_out(ramp(400.0))
        bench.lab.device.oven.ailments.welded_percent = 60.0
        bench.skip_to(bench.clock.now_s() + 3600.0)
        assert bench.lab.device.oven.regulator.mode == "off"
    else:
        link = bench.simulator.link()
        from labctl_eurotherm._codec import HIGH_LIMIT, float_words, floats, ieee_address

        (highest_C,) = floats(link.read(3, ieee_address(HIGH_LIMIT), 2))
        assert highest_C + 273.15 <= LIMITS["sample_max_K"]
        with pytest.raises(PermissionError):
            link.write(ieee_address(2), float_words(highest_C + 1.0))


def test_a_real_oven_needs_limits(kind: Kind) -> None:
    """Without limits in the lab file a real line is not even opened."""
    settings = {"resource": "ASRL9::INSTR"} if kind == "lakeshore" else {"port": "COM9"}
    from labctl.clock import SystemClock

    with pytest.raises(SafetyRefusal, match="sample_max_K"):
        OPEN_DRIVER[kind](
            station="oven", settings=settings, limits={"sensor_max_K": 400.0}, clock=SystemClock(), link=None
        )


def test_every_mistake_in_the_settings_is_named(kind: Kind) -> None:
    """All wrong keys come at once, each by its path, with a suggestion for a typing error."""
    from labctl.clock import SystemClock

    wrong = {
        "reply_timeot": "1 s",
        "readback_tries": 0,
        "overshoot": 5,
        "heater_watch": {"coast": "1 K", "cost": "3 min"},
    }
    with pytest.raises(InputError) as caught:
        OPEN_DRIVER[kind](station="oven", settings=wrong, limits=LIMITS, clock=SystemClock(), link=None)
    text = str(caught.value)
    for key in ("reply_timeot", "readback_tries", "overshoot", "heater_watch.coast", "heater_watch.cost"):
        assert f"stations.oven.settings.{key}" in text
    assert "did you mean reply_timeout?" in text
    assert "did you mean coast?" in text


# ---------------------------------------------------------------------------------------------- restarts


def test_a_restarted_labctl_finds_a_ramp_and_goes_on(kind: Kind, tmp_path: Path) -> None:
    """A driver that knows nothing sends the set point again, and the ramp goes on as if nothing had been."""
    bench = Bench(kind, tmp_path)
    asked = order(ramp(WARM_K))
    bench.driver.begin(asked)
    bench.wait(5 * MINUTE_S)
    before_K = bench.controller.loop().setpoint_K
    bench.restart()
    assert bench.driver.evidence(asked).standing in {Standing.NOT_STARTED, Standing.RUNNING}
    bench.driver.begin(asked)
    assert bench.controller.loop().setpoint_K == pytest.approx(before_K, abs=0.5)
    assert bench.controller.loop().ramping
    assert bench.end_of(asked).progress is Progress.DONE
    expected_s = (WARM_K - 295.15) / RAMP_K_per_s
    assert bench.clock.now_s() - START_S <= expected_s * 1.05 + 90.0


def test_a_restarted_labctl_knows_what_was_finished(kind: Kind, tmp_path: Path) -> None:
    """An arrived set point and a parked loop are evidence; a soak is none."""
    bench = Bench(kind, tmp_path)
    asked = order(ramp(WARM_K))
    assert bench.driver.evidence(asked).standing is Standing.NOT_STARTED
    bench.driver.begin(asked)
    bench.end_of(asked)
    bench.restart()
    assert bench.driver.evidence(asked).standing is Standing.FINISHED
    assert bench.driver.look(asked).progress is Progress.DONE
    assert bench.driver.evidence(order(soak(WARM_K), token="bbbbbbbb-1")).standing is Standing.NOT_STARTED
    assert bench.driver.evidence(order(cool(), token="cccccccc-1")).standing is Standing.NOT_STARTED
    bench.carry_out(cool(), token="cccccccc-1")
    bench.restart()
    assert bench.driver.evidence(order(cool(), token="cccccccc-1")).standing is Standing.FINISHED


def test_the_simulated_oven_outlives_the_process(kind: Kind, tmp_path: Path) -> None:
    """An interrupted and an uninterrupted run leave the same oven, digit for digit."""
    ends = []
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
        bench = Bench(kind, tmp_path / name)
        bench.driver.begin(order(ramp(WARM_K)))
        for minute in (5, 10, 15, 20):
            bench.skip_to(START_S + minute * MINUTE_S)
            if name == "cut":
                bench.restart()
        ends.append((bench.lab.device.oven.nodes, bench.lab.device.oven.regulator))
    assert ends[0] == ends[1]


# ------------------------------------------------------------------------------------------ faults of the oven


def heated(kind: Kind, folder: Path, faults: str, *, minutes: float = 30.0) -> Bench:
    """A bench whose oven holds WARM_K, with faults that begin after `minutes`."""
    bench = Bench(kind, folder, faults=faults)
    bench.carry_out(ramp(WARM_K))
    bench.wait(START_S + minutes * MINUTE_S - 5.0 - bench.clock.now_s())
    assert not bench.controller.health()
    return bench


def until_fault(bench: Bench, name: str, *, give_up_s: float = 3600.0) -> float:
    """Read every 5 s until a fault is seen; return how long it took [s]."""
    began_s = bench.clock.now_s()
    while name not in bench.fault_names():
        assert bench.clock.now_s() - began_s < give_up_s, bench.values()
        bench.clock.wait_until(bench.clock.now_s() + 5.0)
    return bench.clock.now_s() - began_s


def test_a_welded_relay_is_seen_and_trips_the_interlock(kind: Kind, tmp_path: Path) -> None:
    """Output 0 % and a rising temperature: seen within 8 min and 25 K, trips the interlocks, and is never safe."""
    bench = heated(kind, tmp_path, "  - {fault: welded_relay, at: 30 min}\n")
    assert until_fault(bench, "heater_welded") < 8 * MINUTE_S
    assert bench.lab.device.oven.nodes.sensor_K < WARM_K + 25.0
    vigil = Vigil(since_s=START_S)
    tripped = []
    for _ in range(2):
        vigil, breaches = judge(
            vigil, bench.driver.readings(), {}, now_s=bench.clock.now_s(), grace_s=0.0, silence=Silence()
        )
        tripped += [breach.limit for breach in breaches if breach.trips]
        bench.clock.wait_until(bench.clock.now_s() + 5.0)
    assert tripped == [f"{FAULT}heater_welded"]
    bench.driver.make_safe("welded")
    assert not bench.driver.is_safe()
    with pytest.raises(InstrumentError, match="welded"):
        bench.driver.begin(order(ramp(WARM_K), token="bbbbbbbb-1"))


def test_a_welded_relay_is_seen_with_the_heater_switched_off(kind: Kind, tmp_path: Path) -> None:
    """A parked oven that heats by itself is not safe either."""
    bench = Bench(kind, tmp_path, faults="  - {fault: welded_relay, at: 10 min, by: 40 %}\n")
    bench.wait(9 * MINUTE_S)
    assert bench.driver.is_safe()
    until_fault(bench, "heater_welded")
    assert not bench.driver.is_safe()


def test_a_burnt_heater_is_seen(kind: Kind, tmp_path: Path) -> None:
    """Full power and no rise: the order fails and says so."""
    bench = Bench(kind, tmp_path, faults="  - {fault: heater_open, at: 20 min}\n")
    asked = order(ramp(423.15))
    bench.driver.begin(asked)
    bench.wait(20 * MINUTE_S)
    until_fault(bench, "heater" if kind == "lakeshore" else "heater_not_heating")
    assert bench.driver.look(asked).progress is Progress.FAILED


def test_a_broken_sensor_gives_no_temperature(kind: Kind, tmp_path: Path) -> None:
    """What a broken sensor shows is never passed on as a temperature, and the fault is named."""
    bench = heated(kind, tmp_path, "  - {fault: sensor_break, at: 30 min}\n")
    until_fault(bench, "sensor")
    values = bench.values()
    assert "sensor_K" not in values
    assert values[f"{FAULT}sensor"] == 1.0


def test_a_reading_that_stands_while_the_set_point_walks_is_an_old_one(kind: Kind, tmp_path: Path) -> None:
    """A controller that goes on showing an old value is found out before the ramp has ended."""
    bench = Bench(kind, tmp_path, faults="  - {fault: stale_reading, at: 5 min}\n")
    bench.driver.begin(order(ramp(373.15)))
    bench.wait(4 * MINUTE_S)
    until_fault(bench, "sensor_frozen", give_up_s=15 * MINUTE_S)


def test_above_the_limit_the_oven_is_too_hot_whatever_the_reason(kind: Kind, tmp_path: Path) -> None:
    """The cell's limit is compared with what is measured, overshoot and all."""
    bench = Bench(kind, tmp_path, limits={**LIMITS, "sample_max_K": WARM_K + 6.0})
    bench.carry_out(ramp(WARM_K))
    bench.lab.device.oven.nodes = Nodes.all_at(WARM_K + 8.0)
    assert "over_temperature" in bench.fault_names()


@pytest.mark.parametrize("fault", ["heater_trip", "power_dip"])
def test_a_heater_that_went_off_is_seen_and_never_rearmed(kind: Kind, tmp_path: Path, fault: str) -> None:
    """Off with the set point up: named as a fault, and neither this driver nor a fresh one switches it on again."""
    bench = Bench(kind, tmp_path)
    asked = order(ramp(WARM_K))
    bench.driver.begin(asked)
    bench.wait(5 * MINUTE_S)
    bench.suffer(fault)
    if kind == "eurotherm" and fault == "heater_trip":
        assert bench.lab.device.oven.regulator.target_K == pytest.approx(WARM_K, abs=0.01)
    names = bench.fault_names()
    assert "heater_off_unasked" in names
    assert ("power_failed" in names) == (fault == "power_dip")
    assert bench.driver.look(asked).progress is Progress.FAILED
    for fresh in (False, True):
        if fresh:
            bench.restart()
            assert bench.driver.evidence(asked).standing is Standing.NOT_STARTED
        with pytest.raises(InstrumentError) as caught:
            bench.driver.begin(asked)
        assert "person" in str(caught.value)
        assert not bench.controller.loop().heating_allowed
    assert bench.lab.device.oven.regulator.mode != "auto"


def test_after_the_safe_state_a_person_can_go_on(kind: Kind, tmp_path: Path) -> None:
    """Once parked, the loop is brought up again: an old mains dip is no obstacle for ever."""
    bench = Bench(kind, tmp_path)
    bench.driver.begin(order(ramp(WARM_K)))
    bench.wait(5 * MINUTE_S)
    bench.suffer("power_dip")
    bench.driver.make_safe("mains dip")
    assert bench.driver.is_safe()
    assert bench.carry_out(ramp(WARM_K), token="bbbbbbbb-2").progress is Progress.DONE
    assert not bench.controller.health()


def test_a_set_point_changed_at_the_panel_is_noticed(kind: Kind, tmp_path: Path) -> None:
    """Somebody else's set point is not taken for ours."""
    bench = Bench(kind, tmp_path)
    bench.carry_out(ramp(WARM_K))
    oven = bench.lab.device.oven
    if kind == "lakeshore":
        oven.set(target_K=310.0, working_K=310.0)
    else:
        bench.lab.device.write(2, 36.85)  # type: ignore[attr-defined]  # a Eurotherm's
        oven.advance(bench.clock.now_s() + 1000.0)
    assert "setpoint_changed" in bench.fault_names()
    assert bench.driver.look(order(soak(WARM_K), token="bbbbbbbb-1")).progress is Progress.FAILED


@pytest.mark.parametrize("fault", ["setpoint_ignored", "local_mode"])
def test_a_write_that_is_not_taken_is_an_error(kind: Kind, tmp_path: Path, fault: str) -> None:
    """A set point that does not read back stops the order, with command and read-back in the message."""
    bench = Bench(kind, tmp_path)
    bench.suffer(fault)
    with pytest.raises(InstrumentError, match="did not take it") as caught:
        bench.driver.begin(order(ramp(WARM_K)))
    assert caught.value.command
    assert caught.value.reply
    bench.lab.device.mend(fault)
    bench.driver.make_safe("it did not take a set point")
    assert bench.driver.is_safe()


# ------------------------------------------------------------------------------------------------ make_safe


SITUATIONS = ("parked", "ramping", "holding", "cooling", "tripped", "dipped", "sensor broken", "never opened")


@pytest.mark.parametrize("situation", SITUATIONS)
def test_safe_is_reached_from_every_state(kind: Kind, tmp_path: Path, situation: str) -> None:
    """Heater off and set point at 25 °C, read back, twice as well as once, whatever was before."""
    bench = Bench(kind, tmp_path)
    if situation not in {"parked", "never opened"}:
        bench.driver.begin(order(ramp(WARM_K)))
        bench.wait((20 if situation in {"holding", "cooling"} else 5) * MINUTE_S)
    if situation == "cooling":
        bench.driver.begin(order(cool(), token="cccccccc-1"))
        bench.wait(2 * MINUTE_S)
    if situation in {"tripped", "dipped"}:
        bench.suffer({"tripped": "heater_trip", "dipped": "power_dip"}[situation])
    if situation == "sensor broken":
        bench.lab.device.oven.ailments.sensor_broken = True
    if situation == "never opened":
        bench.new_driver(opened=False)
    began_s = bench.clock.now_s()
    for _ in range(2):
        bench.driver.make_safe("test")
        assert bench.driver.is_safe()
    assert bench.clock.now_s() - began_s < 10.0
    oven = bench.lab.device.oven
    assert oven.regulator.target_K == pytest.approx(298.15, abs=0.1)
    bench.lab.advance(bench.clock.now_s() + 10.0)
    assert oven.power() == 0.0


def test_safe_is_not_claimed_of_a_silent_controller(kind: Kind, tmp_path: Path) -> None:
    """Who does not answer is not safe; when it answers again it is made safe."""
    bench = Bench(kind, tmp_path, faults="  - {fault: mute, at: 6 min, for: 5 min}\n")
    bench.driver.begin(order(ramp(WARM_K)))
    bench.wait(5.5 * MINUTE_S)
    bench.skip_to(START_S + 7 * MINUTE_S)
    with pytest.raises(InstrumentSilent):
        bench.driver.make_safe("test")
    with pytest.raises(InstrumentSilent):
        bench.driver.is_safe()
    bench.skip_to(START_S + 12 * MINUTE_S)
    bench.driver.make_safe("test")
    assert bench.driver.is_safe()
