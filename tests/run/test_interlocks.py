"""Interlocks: on values and on silence, in every phase, with hysteresis and grace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.ports import FAULT, Reading
from labctl.run.events import Alarmed, Operated, Policy, Tripped
from labctl.run.interlock import Breach, Silence, Vigil, judge
from labctl.run.lifecycle import StationPhase
from labctl.run.options import StationOptions
from labctl.run.state import StationState
from labctl.testing import ScriptedInstrument
from tests.run.bench import LIMITS, Bench, Killed
from tests.run.campaigns import small_plan

NOW_S = 1_700_000_000.0
CONTROLLER_FAULTS = (
    "sensor",
    "heater",
    "heater_off_unasked",
    "heater_welded",
    "heater_not_heating",
    "sensor_frozen",
    "over_temperature",
    "power_failed",
    "setpoint_changed",
    "controller",
)  # of `labctl.ports.TemperatureController.health`
GOOD = {"sensor_K": 320.0, "heater_percent": 20.0, "gas_L_per_h": 1200.0, "spinning_Hz": 10_000.0}


def polls(
    series: list[dict[str, float]], *, every_s: float = 5.0, age_s: float = 0.0, growing: bool = False
) -> list[tuple[Breach, ...]]:
    """What each of a series of polls finds, after the grace period."""
    vigil = Vigil(since_s=NOW_S - 3600.0)
    found = []
    for number, values in enumerate(series):
        now_s = NOW_S + number * every_s
        readings = tuple(Reading(quantity=name, value=value, at_s=now_s - age_s) for name, value in values.items())
        vigil, breaches = judge(
            vigil,
            readings,
            LIMITS,
            now_s=now_s,
            grace_s=60.0,
            silence=Silence(),
            spinning_Hz=10_000.0,
            data_growing=growing,
        )
        found.append(breaches)
    return found


BROKEN = {
    "sensor_max_K": GOOD | {"sensor_K": 401.0},
    "sensor_min_K": GOOD | {"sensor_K": 260.0},
    "gas_min_L_per_h": GOOD | {"gas_L_per_h": 10.0},
    "heater_max_percent": GOOD | {"heater_percent": 99.0},
    "spinning_tolerance_Hz": GOOD | {"spinning_Hz": 9_000.0},
    "spinning_max_Hz": GOOD | {"spinning_Hz": 12_500.0},
}


@pytest.mark.parametrize("limit", BROKEN)
def test_second_broken_poll_trips(limit: str) -> None:
    """Each limit trips at its second broken poll, by name, once."""
    found = polls([GOOD, BROKEN[limit], BROKEN[limit], BROKEN[limit]], every_s=20.0)
    assert [limit in {breach.limit for breach in each} for each in found] == [False, False, True, False]


@pytest.mark.parametrize("limit", BROKEN)
def test_one_odd_value_does_not_trip(limit: str) -> None:
    """One broken poll between good ones never trips."""
    assert not any(polls([GOOD, BROKEN[limit], GOOD, BROKEN[limit], GOOD]))


def test_a_saturated_heater_trips_only_if_it_lasts() -> None:
    """Full power for less than 20 s is a step of the set point, however often it is looked at; for longer it trips."""
    full = BROKEN["heater_max_percent"]
    assert not any(polls([GOOD, *[full] * 19, GOOD, *[full] * 19, GOOD], every_s=1.0))
    found = polls([GOOD, *[full] * 30], every_s=1.0)
    assert [number for number, each in enumerate(found) if each] == [21]


def test_not_a_number_is_broken() -> None:
    """A sensor that reads no number counts as beyond its limit."""
    assert polls([GOOD | {"sensor_K": float("nan")}] * 2)[1]


@given(st.lists(st.floats(280.0, 399.0), min_size=1, max_size=30))
def test_within_limits_never_trips(temperatures_K: list[float]) -> None:
    """Whatever stays within its limits never trips."""
    assert not any(polls([GOOD | {"sensor_K": value} for value in temperatures_K], every_s=0.1))


def test_silence_alarms_then_trips() -> None:
    """Readings older than a minute alarm; older than two minutes they trip."""
    assert [b.limit for each in polls([GOOD] * 3, age_s=70.0) for b in each] == ["silence_alarm"]
    assert [b.limit for each in polls([GOOD] * 3, age_s=130.0) for b in each] == ["silence"], "says it all"


def test_silence_while_data_grow() -> None:
    """While raw data grow, silence alarms and trips only after a quarter of an hour."""
    assert [b.trips for each in polls([GOOD] * 3, age_s=800.0, growing=True) for b in each] == [False]
    assert [b.limit for each in polls([GOOD] * 3, age_s=910.0, growing=True) for b in each if b.trips] == ["silence"]


def test_readings_that_fail_for_a_moment() -> None:
    """Hours into a run, a few polls without any answer neither alarm nor trip; two minutes of them do."""
    assert not any(polls([GOOD] * 3 + [{}] * 10 + [GOOD], every_s=5.0))
    found = polls([GOOD] * 3 + [{}] * 40, every_s=5.0)
    assert [b.limit for each in found for b in each] == ["silence_alarm", "silence"]


def test_one_quantity_that_is_no_longer_read() -> None:
    """A quantity that disappears from the readings is silence, by name."""
    without_gas = {name: value for name, value in GOOD.items() if name != "gas_L_per_h"}
    found = [b for each in polls([GOOD] * 3 + [without_gas] * 40, every_s=5.0) for b in each]
    assert [b.limit for b in found] == ["silence_alarm", "silence"]
    assert all("the gas flow was last read" in b.detail for b in found)


def test_grace() -> None:
    """Right after the engine came, missing gas waits for its grace period, heat above the limit does not."""
    vigil = Vigil(since_s=NOW_S)
    values = {"gas_L_per_h": 0.0, "sensor_K": 500.0}
    seen: list[str] = []
    for number in range(2):
        readings = tuple(Reading(quantity=name, value=value, at_s=NOW_S) for name, value in values.items())
        vigil, breaches = judge(vigil, readings, LIMITS, now_s=NOW_S + number, grace_s=60.0, silence=Silence())
        seen += [breach.limit for breach in breaches]
    assert seen == ["sensor_max_K"]


STEEPEST = {"ramp_max_K_per_s": 5.0 / 60.0}


def sloping(K_per_min: float, *, heater_percent: float | None, held_K: float | None = None) -> list[Breach]:
    """What 40 polls find of a sensor that moves at that rate, the heater being at that power all the while."""
    vigil = Vigil(since_s=NOW_S)
    seen: list[Breach] = []
    for number in range(40):
        now_s = NOW_S + 5.0 * number
        values = {"sensor_K": 350.0 + K_per_min / 60.0 * 5.0 * number}
        if heater_percent is not None:
            values["heater_percent"] = heater_percent
        readings = tuple(Reading(quantity=name, value=value, at_s=now_s) for name, value in values.items())
        vigil, breaches = judge(vigil, readings, STEEPEST, now_s=now_s, grace_s=0.0, silence=Silence(), held_K=held_K)
        seen += breaches
    return seen


@pytest.mark.parametrize("heater_percent", [0.0, 60.0, None])
def test_heating_too_fast_trips(heater_percent: float | None) -> None:
    """A sensor that rises much faster than the steepest ramp trips, heater on, off (welded) or not known."""
    assert [breach.limit for breach in sloping(5.0, heater_percent=heater_percent)] == []
    (breach,) = sloping(20.0, heater_percent=heater_percent)
    assert breach.limit == "ramp_max_K_per_s"
    assert "heats up by 20.0 K/min" in breach.detail


def test_cooling_by_itself_is_no_fault() -> None:
    """Once the heater is off it cools as fast as it likes; driven cold with the heater on is a fault."""
    assert sloping(-20.0, heater_percent=0.0) == []
    assert sloping(-20.0, heater_percent=None) == []
    (breach,) = sloping(-20.0, heater_percent=40.0)
    assert breach.limit == "ramp_max_K_per_s"
    assert "cools by 20.0 K/min although the heater is on" in breach.detail


def test_a_measurement_without_heat_trips_by_its_own_name() -> None:
    """Heater off and far below the set point while something is measured: a tripped heater, and called so."""
    assert [breach.limit for breach in sloping(-20.0, heater_percent=0.0, held_K=350.0)] == ["heater_off"]
    assert sloping(-20.0, heater_percent=0.0, held_K=None) == []
    assert sloping(0.0, heater_percent=0.0, held_K=353.0) == []


def test_after_a_lost_rotor_cooling_trips_nothing_more(tmp_path: Path) -> None:
    """The rotor stops at 100 degC, its heater goes off, and the probe cools by 15 K/min: one trip, the rotor's."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(373.0,), tmix=1))
    lost_s: list[float] = []

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if not lost_s and bench.engine.state.steps["nmr/vt_exsy/T00/tmix00"].status == "running":
            lost_s.append(bench.clock.now_s())
            bench.nmr.sensor_follows = False
            bench.nmr.cooling_s = 600.0
            bench.nmr.values.update(spinning_Hz=0.0, heater_percent=0.0)
        if lost_s:
            bench.nmr.values["sensor_K"] = max(298.0, 373.0 - 0.25 * (bench.clock.now_s() - lost_s[0]))
        return []

    told = {"nmr": StationOptions(limits=LIMITS | STEEPEST)}
    assert bench.run(operator=operator, virtual_poll_s=5.0, stations=told).exit_code == 1
    (trip,) = (event for event in bench.events() if isinstance(event, Tripped))
    assert trip.limit == "spinning_tolerance_Hz"
    assert bench.nmr.values["sensor_K"] == 298.0


# ------------------------------------------------------------------------------------ in words


def test_every_interlock_says_hazard_and_what_to_do() -> None:
    """What people are told has no name of a variable in it, says the hazard, and ends with something to do."""
    limits = LIMITS | STEEPEST | {"spinning_max_hot_Hz": 1.0, "hot_above_K": 273.0, "sample_max_K": 300.0}
    limits |= {"gas_max_L_per_h": 2000.0}
    series = [
        BROKEN["sensor_max_K"],
        BROKEN["sensor_min_K"] | {"sample_K": 320.0},
        *(BROKEN[limit] for limit in ("gas_min_L_per_h", "heater_max_percent", "spinning_tolerance_Hz")),
        GOOD | {"gas_L_per_h": 3000.0, "spinning_Hz": 12_500.0, "sensor_K": float("nan")},
        *(GOOD | {f"{FAULT}{name}": 1.0} for name in CONTROLLER_FAULTS),
        {},
    ]
    seen: dict[str, str] = {}
    for values in series:
        vigil = Vigil(since_s=NOW_S - 3600.0)
        for number in range(3):
            now_s = NOW_S + 60.0 * number
            readings = tuple(Reading(quantity=name, value=value, at_s=now_s) for name, value in values.items())
            vigil, breaches = judge(
                vigil,
                readings,
                limits,
                now_s=now_s,
                grace_s=60.0,
                silence=Silence(),
                spinning_Hz=10_000.0,
                held_K=500.0,
            )
            seen |= {breach.limit: breach.detail for breach in breaches if breach.trips}
    assert limits.keys() - seen.keys() == {"ramp_max_K_per_s", "hot_above_K"}  # shown above; no limit of its own
    assert {f"{FAULT}{name}" for name in CONTROLLER_FAULTS} <= seen.keys()
    for limit, words in seen.items():
        assert not set("_{}") & set(words), limit
        assert "Hazard: " in words, limit
        assert any(verb in words.rsplit(". ", 1)[-1] for verb in ("ook", "witch", "ind out", "ake", "sk who", "not "))


def test_an_unknown_fault_of_an_instrument_is_told_by_its_name() -> None:
    """A driver may report what nobody here has heard of; its name is passed on."""
    found = polls([GOOD | {f"{FAULT}quench_line_cold": 1.0}] * 2)
    assert [breach.detail for each in found for breach in each] == [
        "the instrument reports a fault of its own: quench line cold. Look at its display"
    ]


# ------------------------------------------------------------------------------------ in every phase of the engine


def overheat(nmr: ScriptedInstrument) -> None:
    """The sensor reads far above its limit, whatever the set point."""
    nmr.sensor_follows = False
    nmr.values["sensor_K"] = 450.0


def lose_gas(nmr: ScriptedInstrument) -> None:
    """The gas has gone."""
    nmr.values["gas_L_per_h"] = 0.0


def stop_rotor(nmr: ScriptedInstrument) -> None:
    """The rotor stands."""
    nmr.values["spinning_Hz"] = 0.0


def go_silent(nmr: ScriptedInstrument) -> None:
    """The agents are dead; what runs goes on."""
    nmr.readings_silent = nmr.look_silent = True


FAULTS: dict[str, Callable[[ScriptedInstrument], None]] = {
    "sensor_max_K": overheat,
    "gas_min_L_per_h": lose_gas,
    "spinning_tolerance_Hz": stop_rotor,
    "silence": go_silent,
}
REACHED: dict[str, Callable[[StationState], bool]] = {
    "ramp": lambda station: station.open.endswith("T00/ramp"),
    "settle": lambda station: station.open.endswith("T00/settle"),
    "t1": lambda station: station.open.endswith("T00/t1"),
    "2d": lambda station: station.open.endswith("T00/tmix00"),
    "paused": lambda station: station.phase is StationPhase.PAUSED,
    "cool": lambda station: station.open.endswith("/cool"),
}


@pytest.mark.parametrize("limit", FAULTS)
@pytest.mark.parametrize("where", REACHED)
def test_trips_in_every_phase(tmp_path: Path, limit: str, where: str) -> None:
    """Whatever the station is at, a broken limit brings it to safe: values in two polls, silence in its time."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))
    if where == "paused":
        bench.nmr.endings["nmr/vt_exsy/T00/t1"] = ["interrupted", "interrupted"]
        bench.options = replace(bench.options, policy=Policy(on_fault={"nmr": "pause"}))
    since: list[float] = []

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if not since and REACHED[where](bench.engine.state.stations["nmr"]):
            since.append(bench.clock.now_s())
            FAULTS[limit](bench.nmr)
        return []

    # the virtual poll is short here: a scripted instrument has no event that says a limit will break
    outcome = bench.run(operator=operator, virtual_poll_s=5.0 if where != "2d" else 60.0)
    assert since
    trips = [event for event in bench.events() if isinstance(event, Tripped)]
    assert limit in {trip.limit for trip in trips}
    assert outcome.exit_code == 1
    assert bench.nmr.safe_asked_s is not None
    allowed_s = {"silence": Silence().growing_s + 130.0}.get(limit, 130.0 if where == "2d" else 15.0)
    assert bench.nmr.safe_asked_s - since[0] <= allowed_s


@pytest.mark.parametrize("limit", ["sensor_max_K", "gas_min_L_per_h", "spinning_tolerance_Hz", "silence"])
def test_trips_during_recovery(tmp_path: Path, limit: str) -> None:
    """An engine that comes back to a broken limit never sends heat and brings the station to safe."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if bench.engine.state.stations["nmr"].open.endswith("T00/tmix00"):
            raise Killed
        return []

    with pytest.raises(Killed):
        bench.run(operator=operator)
    FAULTS[limit](bench.nmr)
    ramps = sum(token in bench.nmr.starts for token in list(bench.nmr.starts))
    outcome = bench.run()
    assert outcome.exit_code == 1
    assert outcome.stations["nmr"] in (StationPhase.SAFE, StationPhase.UNCONFIRMED)
    assert len(bench.nmr.starts) == ramps
    assert any(isinstance(event, Tripped) or "no heat" in getattr(event, "what", "") for event in bench.events())


def test_silence_alarm_does_not_stop_a_2d(tmp_path: Path) -> None:
    """Silence of ten minutes while data grow is an alarm and nothing else."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0,), tmix=1))
    since: list[float] = []

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if not since and bench.engine.state.steps["nmr/vt_exsy/T00/tmix00"].status == "running":
            since.append(bench.clock.now_s())
        if since:
            bench.nmr.readings_silent = bench.clock.now_s() < since[0] + 600.0
        return []

    assert bench.run(operator=operator, virtual_poll_s=30.0).exit_code == 0
    assert any(isinstance(event, Alarmed) and "the acquisition goes on" in event.what for event in bench.events())
    assert set(bench.nmr.acquisitions().values()) == {1}
