"""Procedures run on the simulated cell: how steps end, what is recorded, and that charge is conserved."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from labctl_sim_maccor._codes import Why
from labctl_sim_maccor._procedure import CompileError, read_procedure
from labctl_sim_maccor._records import Record
from tests.simulators.maccor.bench import CURRENT_A, Bench, Q_600_Ah, cycling, document, step

CHARGE, DISCHARGE, GUARD = 3, 5, 9


def _ended(records: list[Record], number: int) -> list[Record]:
    return [record for record in records if record.step == number and record.why >= 128]


def _integral_Ah(records: list[Record]) -> float:
    """Return the charge of one step by the trapezoid rule over its records, from its own first tick."""
    seconds = np.array([0.0, *(record.step_ticks / 100.0 for record in records)])
    amps = np.array([records[0].amps, *(record.amps for record in records)])
    return float(np.trapezoid(amps, seconds)) / 3600.0


def test_every_charge_ends_at_its_capacity(tmp_path: Path) -> None:
    """Five cycles at 0.132 mA/cm^2 to 600 mAh/g: charges end with 136, discharges at 0.8 V, the test at its End."""
    bench = Bench(tmp_path)
    bench.put("FIXED", cycling(5))
    assert bench.start("cell", "FIXED") == "OK"
    bench.live_until_over()
    records = bench.records("cell")
    charges, discharges = _ended(records, CHARGE), _ended(records, DISCHARGE)
    assert [record.why for record in charges] == [136] * 5
    assert [record.why for record in discharges] == [133] * 5
    assert [record.cycle for record in charges] == list(range(5))
    tick_Ah = CURRENT_A * 0.01 / 3600.0
    assert all(0.0 <= record.capacity_Ah - Q_600_Ah <= 1.01 * tick_Ah for record in charges)
    efficiencies = [there.capacity_Ah / back.capacity_Ah for there, back in zip(discharges, charges, strict=True)]
    loss = bench.simulator.tester.sample.truth.coulombic_loss
    assert efficiencies[1:] == pytest.approx([1.0 - loss] * 4, abs=1e-4)
    assert bench.call(4, 7, Chan=0)["Stat"] == 4
    assert bench.call(4, 10, Chan=0) == {"FClass": 4, "FNum": 10, "Chan": 0, "NumOfEnds": 1, "EndNum": 1}
    assert (records[-1].state, records[-1].why) == ("O", 193)


@pytest.mark.parametrize("faults", ["", "  - {fault: resistance, at: 20 h, by: 120}\n"], ids=["healthy", "resistive"])
def test_events_are_found_at_the_same_tick_by_either_way(tmp_path: Path, faults: str) -> None:
    """Where only voltage, time and charge count, events are found by a function of the tick alone: the same ticks.

    A limit of power that is never reached has the whole channel looked at instead.
    """
    charge = [("Amp Hour", ">=", "1.4612E-3", 2), ("Voltage", ">=", "3.0", 4), ("StepTime", "=", "40:00:00", 4)]
    discharge = [("Voltage", "<=", "0.8", 3), ("TestTime", "=", "90:00:00", 4)]
    steps = [
        step("Charge", "1.0367E-4", mode="Current", ends=charge, every="00:30:00", every_V="0.005"),
        step("Dischrge", "1.0367E-4", mode="Current", ends=discharge, every="00:30:00", every_V="0.005"),
        step("Rest", ends=[("StepTime", "=", "02:00:00", 4)], every_V="0.005"),
        step(
            "Charge",
            "1.0367E-4",
            mode="Current",
            limit_V="1.215",
            ends=[("StepTime", "=", "00:20:00", 5)],
            every_V="0.01",
        ),
        step("Pause"),
    ]
    found = []
    for watts in (0.0, 50.0):
        bench = Bench(tmp_path / f"{watts:g}", faults=faults)
        bench.put("FIXED", document(steps))
        limits = {"VSafeMax": 5.0, "VSafeMin": -5.0, "ISafeChg": 1e-3, "ISafeDis": 1e-3}
        bench.call(6, 10, Chan=0, **limits, PBatSafeChg=watts, PBatSafeDis=watts)
        assert bench.start("cell", "FIXED") == "OK"
        bench.live_until_over()
        found.append(bench.records("cell"))
    assert found[0] == found[1]
    assert sum(record.why == Why.VOLTAGE_REPORT for record in found[0]) > 50


def test_a_charge_that_meets_resistance_ends_on_voltage_at_the_guard(tmp_path: Path) -> None:
    """With resistances thirty times higher the voltage comes first: 133, the guard's Pause, and no End is reached."""
    bench = Bench(tmp_path, faults="  - {fault: resistance, at: 20 h, by: 120}\n")
    bench.put("FIXED", cycling(5))
    bench.start("cell", "FIXED")
    bench.live_until_over()
    ended = _ended(bench.records("cell"), CHARGE)
    assert [record.why for record in ended] == [136, 133]
    assert ended[-1].capacity_Ah < Q_600_Ah
    status = bench.call(4, 7, Chan=0)
    assert (status["Stat"], status["RF2"], status["Step"]) == (3, 192, GUARD)
    assert bench.call(4, 10, Chan=0)["EndNum"] == 0


def test_a_shorted_cell_charges_happily_unless_guarded(tmp_path: Path) -> None:
    """A short takes its full capacity at no voltage to speak of; an end on low voltage catches it at once."""
    bench = Bench(tmp_path, faults="  - {fault: short, at: 0 s, by: 50 ohm}\n")
    bench.put("FIXED", cycling(1))
    bench.start("cell", "FIXED")
    bench.live_until_over()
    charge = _ended(bench.records("cell"), CHARGE)[0]
    assert charge.why == 136
    assert charge.volts == pytest.approx(50.0 * CURRENT_A, abs=1e-3)
    guarded = [("Amp Hour", ">=", "1.4612E-3", 3), ("Voltage", "<=", "0.5", 2)]
    bench.put(
        "GUARD", document([step("Charge", "1.0367E-4", mode="Current", ends=guarded), step("Pause"), step("End")])
    )
    assert bench.call(6, 6, Chan=0)["Result"] == "OK"
    assert bench.start("cell-2", "GUARD") == "OK"
    bench.live_until_over()
    assert bench.records("cell-2")[-2].why == 133
    assert bench.stat() == 3


@pytest.mark.parametrize("reset", ["step", "direction"])
def test_charge_is_conserved(tmp_path: Path, reset: str) -> None:
    """What the capacity column of each step says is the integral of the recorded current."""
    bench = Bench(tmp_path, capacity_reset=reset)
    bench.put("FIXED", cycling(2))
    bench.start("cell", "FIXED")
    bench.live_until_over()
    records = bench.records("cell")
    for cycle in (0, 1):
        for number, sign in ((CHARGE, 1.0), (DISCHARGE, -1.0)):
            one = [record for record in records if record.step == number and record.cycle == cycle]
            assert sign * _integral_Ah(one) == pytest.approx(one[-1].capacity_Ah, rel=1e-9)
            assert one[-1].energy_Wh == pytest.approx(
                float(np.trapezoid([abs(r.amps) * r.volts for r in one], [r.step_ticks / 360000.0 for r in one])),
                rel=2e-3,
            )


@pytest.mark.parametrize("reset", ["step", "direction"])
def test_a_voltage_is_held_and_the_capacity_goes_on_as_installed(tmp_path: Path, reset: str) -> None:
    """A charge to a limit holds it until the current has fallen; the column restarts at the next step or does not."""
    bench = Bench(tmp_path, capacity_reset=reset)
    ends = [("Current", "<=", "2E-5", 2), ("StepTime", "=", "200::", 3)]
    second = [("StepTime", "=", "00:10:00", 3)]
    bench.put(
        "CCCV",
        document(
            [
                step("Charge", "1E-4", mode="Current", ends=ends, limit_V="1.85"),
                step("Charge", "1E-5", mode="Current", ends=second),
                step("End"),
            ]
        ),
    )
    bench.start("cell", "CCCV")
    bench.live_until_over()
    records = bench.records("cell")
    first = [record for record in records if record.step == 1]
    assert first[-1].why == 132
    assert first[-1].amps <= 2e-5
    assert max(record.volts for record in first) == pytest.approx(1.85, abs=2e-3)
    assert _integral_Ah(first) == pytest.approx(first[-1].capacity_Ah, rel=5e-3)
    then = next(record for record in records if record.step == 2)
    assert (then.capacity_Ah > first[-1].capacity_Ah) == (reset == "direction")


def test_loops_nest_and_count_as_real_procedures_do(tmp_path: Path) -> None:
    """An outer loop of 3 round an inner of 4 and one more cycle gives 3 x (4 + 1) cycles."""
    tiny = [("StepTime", "=", "00:00:10", 0)]

    def rest(target: int) -> str:
        return step("Rest", ends=[(*tiny[0][:3], target)], every="00:00:10")

    bench = Bench(tmp_path)
    bench.put(
        "LOOPS",
        document(
            [
                step("Do 2"),
                step("Do 1"),
                rest(4),
                step("AdvCycle"),
                step("Loop 1", ends=[("Loop Cnt", "=", "4", 6)]),
                rest(7),
                step("AdvCycle"),
                step("Loop 2", ends=[("Loop Cnt", "=", "3", 9)]),
                step("End"),
            ]
        ),
    )
    bench.start("cell", "LOOPS")
    bench.live_until_over()
    assert bench.call(4, 7, Chan=0)["Cycle"] == 15
    rests = [record for record in bench.records("cell") if record.why == 129]
    assert [record.loops[0] for record in rests if record.step == 3] == [0, 1, 2, 3] * 3
    assert [record.loops[1] for record in rests if record.step == 6] == [0, 1, 2]


def test_multiples_of_the_c_rate_number_and_the_plain_form_are_the_same_test(tmp_path: Path) -> None:
    """`1C` with the capacity given at the start runs as the capacity written out."""
    bench = Bench(tmp_path)
    bench.put("PLAIN", cycling(1))
    bench.put("CRATE", cycling(1, capacity="1.0C", current=f"{CURRENT_A / Q_600_Ah:.12f}C"))
    assert bench.start("a", "PLAIN", channel=0) == "OK"
    assert bench.start("a", "CRATE", channel=1, Crate=Q_600_Ah) == "OK"
    bench.live_until_over(0)
    bench.live(60.0)
    plain, multiple = (_ended(bench.records("a", channel), CHARGE)[0] for channel in (0, 1))
    assert (plain.step_ticks, plain.why) == (multiple.step_ticks, multiple.why)


def test_fifty_cycles_of_a_month_take_events_not_ticks(tmp_path: Path) -> None:
    """The simulator touches the cell about twice a record, so weeks of cycling are a matter of seconds."""
    bench = Bench(tmp_path)
    bench.put("FIXED", cycling(3, current="2.0735E-4").replace("<Range>1<", "<Range>2<"))
    bench.start("cell", "FIXED")
    sample = bench.simulator.tester.sample
    counted = 0
    later = sample.later

    def counting(*arguments: object) -> object:
        nonlocal counted
        counted += 1
        return later(*arguments)  # type: ignore[arg-type]  # passed through

    sample.later = counting  # type: ignore[method-assign, assignment]  # counts the calls, changes nothing
    bench.live_until_over()
    records = bench.records("cell")
    assert records[-1].test_ticks > 100 * 86400
    assert counted < 4 * len(records)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (("<Step>004</Step>", "<Step>044</Step>"), "044"),
        (("Dischrge", "FastWave"), "FastWave"),
        (("Amp Hour", "Amp Whim"), "Amp Whim"),
        (("<Range>1</Range>", ""), "Range"),
        (("01:00:00", "1h"), "1h"),
        ((" Loop 1 ", " Loop 2 "), "Do 2"),
        (("</MaccorTestProcedure>", ""), "XML"),
    ],
)
def test_what_the_tester_cannot_run_is_a_compile_error(tmp_path: Path, spoil: tuple[str, str], why: str) -> None:
    """The start check says what is wrong with a procedure, and a start of it is refused."""
    bench = Bench(tmp_path)
    bench.put("BAD", cycling(1).replace(*spoil))
    checked = bench.call(6, 11, Chan=0, TestName="x", ProcName="BAD")
    assert "Compile error" in checked["Result"]
    assert why in checked["Result"]
    assert bench.start("x", "BAD") != "OK"
    assert bench.stat() == 0


def test_a_current_above_its_range_is_a_compile_error(tmp_path: Path) -> None:
    """0.207 mA does not go into the range of 150 uA."""
    bench = Bench(tmp_path)
    bench.put("RANGE", cycling(1, current="2.07E-4"))
    assert "range" in bench.call(6, 11, Chan=0, TestName="x", ProcName="RANGE")["Result"]


@pytest.mark.real_data
def test_real_procedures_compile_or_say_what_is_missing(shared_data: Path) -> None:
    """Procedures of real testers are read; the one that is broken on purpose is refused, and waveforms are named."""
    folder = shared_data / "maccor" / "procedures"
    assert len(read_procedure(folder / "diagnosticV5.000").safety) == 2
    assert [one.kind for one in read_procedure(folder / "goto_end_example.000").steps] == ["rest", "charge", "end"]
    with pytest.raises(CompileError, match="Do Test"):
        read_procedure(folder / "EXP_missing.000")
    with pytest.raises(CompileError, match="STIME"):  # a function of the step's time
        read_procedure(folder / "EXP.000")


def test_an_xml_bomb_is_no_procedure(tmp_path: Path) -> None:
    """Entities are refused, not expanded."""
    bomb = re.sub(r"<MaccorTest", '<!DOCTYPE x [<!ENTITY a "aaaa">]><MaccorTest', cycling(1), count=1)
    (tmp_path / "BOMB.000").write_text(bomb, encoding="utf-8")
    with pytest.raises(CompileError, match="not XML"):
        read_procedure(tmp_path / "BOMB.000")
