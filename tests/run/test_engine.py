"""The engine on scripted instruments: whole campaigns, faults, and persons."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.clock import SystemClock
from labctl.dataset.model import Dataset, Verdict
from labctl.dataset.store import read_manifest, read_verdict
from labctl.errors import ForeignDataError, InputError, InstrumentSilent, SafetyRefusal
from labctl.run.engine import run_campaign
from labctl.run.events import Alarmed, Intended, Operated, Policy, SafeSeen, Skipped, Tripped
from labctl.run.history import certificate, counted, history
from labctl.run.journal import Journal
from labctl.run.lifecycle import CampaignPhase, StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.run.trace import read_trace
from labctl.testing import ScriptedInstrument
from tests.run.bench import LIMITS, START_S, Bench, calibration
from tests.run.campaigns import small_plan


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A lab with one spectrometer and two temperatures to go through."""
    return Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0, 333.0)))


def test_whole_campaign(bench: Bench) -> None:
    """A campaign without trouble acquires each planned dataset once and ends done, with exit code 0."""
    outcome = bench.run()
    assert (outcome.phase, outcome.exit_code) == (CampaignPhase.DONE, 0)
    journal = bench.journal()
    told = certificate(journal)
    journal.close()
    assert (told.acquired, told.repeated, told.lost) == (told.planned, 0, 0)
    assert set(bench.nmr.acquisitions().values()) == {1}
    assert len(bench.handed) == len(set(bench.handed)) == told.acquired
    manifests = [read_manifest(path) for path in (bench.run_dir / "datasets").glob("*.json")]
    assert {(dataset.step_id, dataset.attempt) for dataset in manifests} == set(bench.handed)


def test_sample_temperature(bench: Bench) -> None:
    """A dataset carries set point, mean sensor temperature, and what the calibration makes of it."""
    bench.run()
    dataset = read_manifest(bench.run_dir / "datasets" / "nmr__vt_exsy__T00__t1.json")
    assert dataset.temperature is not None
    assert dataset.temperature.sample_K == calibration(313.0, 10_000.0)[0]
    assert dataset.temperature.setpoint_K == dataset.temperature.sensor_K == 313.0
    assert read_verdict(bench.run_dir / "datasets" / "nmr__vt_exsy__T00__t1.json") == Verdict(
        measured={"T1_s/LPSC": 17.0, "T1_s/Li2S": 5.0}
    )


def test_settled_series(bench: Bench) -> None:
    """The verdict `settled` skips the rest of its series and nothing else."""
    bench.run()
    skipped = [event.step_id for event in bench.events() if isinstance(event, Skipped)]
    assert skipped == ["nmr/vt_exsy/T00/line2", "nmr/vt_exsy/T01/line2"]


def test_recycle_delay_frozen(bench: Bench) -> None:
    """The recycle delay follows from the slowest T1 and is frozen in the intent."""
    bench.run()
    intents = {event.step_id: event for event in bench.events() if isinstance(event, Intended)}
    task = intents["nmr/vt_exsy/T00/tmix00"].task
    assert getattr(task, "recycle_delay_s", None) == pytest.approx(3 * 17.0)


def test_resume_of_done_campaign_does_nothing(bench: Bench) -> None:
    """Running a finished campaign again begins nothing and is done at once."""
    bench.run()
    starts = dict(bench.nmr.starts)
    assert bench.run().exit_code == 0
    assert bench.nmr.starts == starts


def test_analysis_failure_costs_no_time(bench: Bench) -> None:
    """An analysis that raises is a warning; the plan's recycle delay is kept and the campaign ends done."""

    def broken(path: Path, dataset: Dataset) -> Verdict:
        raise ZeroDivisionError("sigma")

    bench.analyse = broken
    assert bench.run().exit_code == 0
    assert "no T1 of slowest was measured" in bench.messages()
    verdict = read_verdict(bench.run_dir / "datasets" / "nmr__vt_exsy__T00__t1.json")
    assert verdict is not None
    assert "ZeroDivisionError" in verdict.warnings[0]


def test_measured_numbers_that_are_none(bench: Bench) -> None:
    """A verdict with NaN is journaled without it, with a warning, and replays."""
    bench.analyse = lambda path, dataset: Verdict(measured={"T1_s/A": float("nan")})
    assert bench.run().exit_code == 0
    assert bench.run().exit_code == 0


def test_stop_gate_waits_for_a_person(bench: Bench) -> None:
    """Verdict `stop` pauses before the next step; nobody comes, so the station cools; a person lets it go on."""

    def stop_at_t1(path: Path, dataset: Dataset) -> Verdict:
        return Verdict(gate="stop", message="no signal") if dataset.step_id.endswith("T00/t1") else Verdict()

    bench.analyse = stop_at_t1
    outcome = bench.run()
    assert (outcome.phase, outcome.exit_code) == (CampaignPhase.PAUSED, 4)
    assert outcome.stations["nmr"] is StationPhase.SAFE
    assert "nmr/vt_exsy/T00/tmix00" not in bench.nmr.acquisitions()
    assert bench.run().exit_code == 4  # running it again without a person changes nothing
    bench.analyse = lambda path, dataset: Verdict()
    assert bench.run(attended="looked at it").exit_code == 0
    assert set(bench.nmr.acquisitions().values()) == {1}
    ramps = [
        event.attempt for event in bench.events() if isinstance(event, Intended) and event.step_id.endswith("T00/ramp")
    ]
    assert ramps == [1, 2]  # heated anew before the 2Ds


def test_failed_repeatable_is_attempt_two(bench: Bench) -> None:
    """A T1 that fails live with partial data is kept, and done again as attempt 2 in an EXPNO of its own."""
    step_id = "nmr/vt_exsy/T00/t1"
    bench.nmr.endings[step_id] = ["interrupted"]
    assert bench.run().exit_code == 0
    paths = [bench.run_dir / "datasets" / f"nmr__vt_exsy__T00__t1{later}.json" for later in ("", ".a2")]
    first, second = (read_manifest(path) for path in paths)
    assert (first.completeness, second.completeness) == ("partial", "complete")
    assert first.directory != second.directory
    journal = bench.journal()
    told = certificate(journal)
    journal.close()
    assert (told.repeated, told.lost) == (1, 0)
    assert any("attempt 2" in line for line in told.details)


def test_failing_twice_goes_safe(bench: Bench) -> None:
    """Two failed attempts are a fault: the station goes safe, exit code 1, what was acquired stays."""
    bench.nmr.endings["nmr/vt_exsy/T00/t1"] = ["interrupted", "interrupted"]
    outcome = bench.run()
    assert (outcome.exit_code, outcome.stations["nmr"]) == (1, StationPhase.SAFE)
    assert "2 attempts" in outcome.reasons["nmr"]
    assert bench.nmr.safe_asked_s is not None
    assert bench.run(attended="repaired").exit_code == 0


def test_failed_settling_is_a_fault_per_station(tmp_path: Path) -> None:
    """A station whose settling fails goes safe while the other one goes on to its end."""
    one, other = small_plan(temperatures_K=(313.0,)), small_plan(temperatures_K=(313.0,), station="autolab")
    bench = Bench(folder=tmp_path, plan=replace(one, steps=one.steps + other.steps))
    bench.nmr.endings["nmr/vt_exsy/T00/settle"] = ["failed"]
    outcome = bench.run()
    assert outcome.exit_code == 1
    assert outcome.stations == {"nmr": StationPhase.SAFE, "autolab": StationPhase.FINISHED}


def test_on_fault_pause(bench: Bench) -> None:
    """Where the lab says `pause`, a failed step waits for a person and cools only after the set time."""
    bench.nmr.endings["nmr/vt_exsy/T00/settle"] = ["failed"]
    outcome = bench.run(policy=Policy(on_fault={"nmr": "pause"}))
    assert outcome.exit_code == 1
    assert bench.nmr.safe_asked_s is not None
    failed_s = max(entry.ends_s for entry in bench.nmr.entries.values())
    assert bench.nmr.safe_asked_s - failed_s == pytest.approx(bench.options.pause_cool_s, abs=1.0)


def test_halted_data_are_used(bench: Bench) -> None:
    """An acquisition halted at the console is kept, used, and said to be short; the next step follows."""
    bench.nmr.endings["nmr/vt_exsy/T00/tmix00"] = ["halted"]
    assert bench.run().exit_code == 0
    journal = bench.journal()
    told = certificate(journal)
    journal.close()
    assert (told.acquired, told.partial, told.repeated, told.lost) == (told.planned, 1, 0, 0)
    assert "nmr/vt_exsy/T00/tmix00: ended early, what was acquired is used" in "; ".join(told.details)
    assert "(1 of them partial)" in counted(told)


def test_foreign_data(bench: Bench) -> None:
    """Foreign data in our place stop the station with exit code 3; heat comes off, nothing is begun there."""
    bench.nmr.foreign.add("nmr/vt_exsy/T00/tmix00")
    with pytest.raises(ForeignDataError) as error:
        bench.run()
    assert error.value.exit_code == 3
    assert bench.nmr.safe_asked_s is not None
    assert "nmr/vt_exsy/T00/tmix00" not in bench.nmr.acquisitions()
    told = str(error.value)
    assert told.startswith(
        "nmr/vt_exsy/T00/tmix00: somebody else's data stand in our place, and were not touched: data"
    )
    assert told.count("data without our token") == told.count("not touched") == 1
    assert "Move or rename them" in told
    assert "reply" not in told


def test_foreign_data_on_a_cold_station_touch_nothing(tmp_path: Path) -> None:
    """Before any heat of ours, foreign data leave the instrument exactly as it is."""
    plan = small_plan(temperatures_K=(313.0,))
    cold = replace(plan, steps=tuple(step for step in plan.steps if step.role == "t1"))
    bench = Bench(folder=tmp_path, plan=cold)
    bench.nmr.foreign.add(cold.steps[0].id)
    with pytest.raises(ForeignDataError):
        bench.run()
    assert bench.nmr.safe_asked_s is None
    assert not bench.nmr.starts


def test_lost_reply_is_not_a_second_start(bench: Bench) -> None:
    """A begin whose reply was lost is looked up, not sent again, even by an instrument without memory."""
    bench.nmr.remembers_tokens = False
    bench.nmr.unheard = 5
    assert bench.run().exit_code == 0
    assert set(bench.nmr.starts.values()) == {1}


def test_no_heat_before_the_loop_is_seen(bench: Bench) -> None:
    """A rotor that does not spin means no set point is ever sent."""
    bench.nmr.values["spinning_Hz"] = 0.0
    outcome = bench.run()
    assert outcome.exit_code == 1
    assert "the spinning rate is 0.00 kHz, wanted 10.00 kHz" in outcome.reasons["nmr"]
    assert bench.nmr.values["heater_percent"] == 0.0


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"spinning_Hz": 9_000.0}, "the spinning rate is 9.00 kHz"),
        ({"spinning_Hz": None}, "the spinning rate was not read"),
        ({"gas_L_per_h": None}, "the gas flow was not read"),
        ({"gas_L_per_h": 100.0}, "the gas flow is 100 L/h"),
    ],
)
def test_what_heat_asks_for(bench: Bench, values: dict[str, float | None], why: str) -> None:
    """Rate and gas must both be read and right before the first set point; the reason says which was not."""
    for quantity, value in values.items():
        if value is None:
            del bench.nmr.values[quantity]
        else:
            bench.nmr.values[quantity] = value
    outcome = bench.run()
    assert outcome.exit_code == 1
    assert why in outcome.reasons["nmr"]
    assert bench.nmr.values["heater_percent"] == 0.0


def test_plan_without_cool_down_ends_safe(bench: Bench) -> None:
    """A plan that forgets to cool down still ends with the set point taken back."""
    bench.plan = replace(bench.plan, steps=bench.plan.steps[:-1])
    outcome = bench.run()
    assert outcome.exit_code == 0
    assert bench.nmr.safe_asked_s is not None
    assert bench.nmr.values["heater_percent"] == 0.0


def test_operator_pause_and_continue(bench: Bench) -> None:
    """Pause lets the running acquisition end, begins nothing new, and continue goes on, all with reasons."""
    pauses = [Operated(verb="pause", reason="magnet fill")]
    resumes = [Operated(verb="continue", reason="filled")]

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if pauses and bench.engine.state.stations["nmr"].open.endswith("T00/tmix00"):
            return [pauses.pop()]
        if not pauses and resumes and bench.engine.state.stations["nmr"].phase is StationPhase.PAUSED:
            return [resumes.pop()]
        return []

    outcome = bench.run(operator=operator)
    assert outcome.exit_code == 0
    assert not resumes
    assert set(bench.nmr.acquisitions().values()) == {1}
    assert bench.nmr.safe_asked_s is None


def test_operator_abort(bench: Bench) -> None:
    """Abort halts what runs, keeps its data, makes safe, and ends with exit code 4."""
    aborts = [Operated(verb="abort", reason="sample change")]

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if aborts and bench.engine.state.stations["nmr"].open.endswith("T00/tmix00"):
            return [aborts.pop()]
        return []

    outcome = bench.run(operator=operator)
    assert (outcome.phase, outcome.exit_code) == (CampaignPhase.ABORTED, 4)
    dataset = read_manifest(bench.run_dir / "datasets" / "nmr__vt_exsy__T00__tmix00.json")
    assert dataset.completeness == "partial"


def test_operator_skips_a_running_step(bench: Bench) -> None:
    """Skipping a running step halts it, keeps its data, and goes on with the next."""
    step_id = "nmr/vt_exsy/T00/tmix00"
    skips = [Operated(verb="skip", step_id=step_id, reason="not needed")]

    def operator() -> list[Operated]:
        assert bench.engine is not None
        if skips and bench.engine.state.stations["nmr"].open == step_id:
            return [skips.pop()]
        return []

    assert bench.run(operator=operator).exit_code == 0
    assert not skips
    assert (bench.run_dir / "datasets" / "nmr__vt_exsy__T00__tmix00.json").is_file()


def test_data_that_cannot_be_brought_in_yet(bench: Bench) -> None:
    """A network share that comes back in time costs nothing but an alarm."""
    bench.nmr.collect_fails = 20
    assert bench.run().exit_code == 0
    assert "cannot be brought in yet" in bench.messages()
    assert set(bench.nmr.acquisitions().values()) == {1}


def test_data_that_never_come(bench: Bench) -> None:
    """A share that stays away is a fault; the data stay on the instrument and are harvested later."""
    bench.nmr.collect_fails = 10**6
    assert bench.run().exit_code == 1
    bench.nmr.collect_fails = 0
    assert bench.run(attended="share is back").exit_code == 0
    assert set(bench.nmr.acquisitions().values()) == {1}


def test_unreachable_at_the_start(bench: Bench) -> None:
    """A station that does not answer at the start raises before anything is begun."""
    bench.nmr.silent = True
    with pytest.raises(InstrumentSilent):
        bench.run()
    assert not bench.nmr.starts


def test_refused_safe_state_is_said(bench: Bench) -> None:
    """A safe state that is never read back ends the station as unconfirmed, with a loud message."""
    bench.nmr.refuse_safe = True
    bench.nmr.endings["nmr/vt_exsy/T00/settle"] = ["failed"]
    outcome = bench.run()
    assert (outcome.exit_code, outcome.stations["nmr"]) == (1, StationPhase.UNCONFIRMED)
    assert "Go and look" in bench.messages()


def test_changed_plan_is_refused(bench: Bench) -> None:
    """A run folder belongs to its plan: another one is refused with the steps that differ."""
    bench.run()
    bench.plan = small_plan(temperatures_K=(313.0, 343.0))
    with pytest.raises(InputError, match="T01/ramp"):
        bench.run()


def test_two_engines_on_one_station(bench: Bench, tmp_path: Path) -> None:
    """A second engine is refused while the first has the station, and the epoch rises with each."""
    seen: list[SafetyRefusal] = []

    def second(path: Path, dataset: Dataset) -> Verdict:
        if not seen:
            other = tmp_path / "other"
            with pytest.raises(SafetyRefusal, match="holds station nmr") as refusal:
                run_campaign(bench.plan, bench.instruments, clock=bench.clock, run_dir=other, options=bench.options)
            seen.append(refusal.value)
        return Verdict()

    bench.analyse = second
    assert bench.run().exit_code == 0
    assert seen[0].exit_code == 3
    before = bench.nmr.epoch
    bench.run()
    assert bench.nmr.epoch == before + 1


def test_thirty_nine_days_in_few_turns(tmp_path: Path) -> None:
    """A campaign of weeks takes a few thousand turns of the engine at most."""
    bench = Bench(folder=tmp_path, plan=small_plan(temperatures_K=(313.0, 333.0, 353.0, 373.0), tmix=3))
    bench.nmr.durations = lambda task: 3.0 * 86_400.0 if hasattr(task, "scans") else 60.0
    outcome = bench.run()
    assert outcome.exit_code == 0
    assert bench.clock.now_s() - 1_700_000_000.0 > 39 * 86_400.0
    assert outcome.turns < 3000


def test_trace_and_timeline(bench: Bench) -> None:
    """Readings are appended with their own times, and the timeline holds each attempt with begin and end."""
    bench.run()
    trace = read_trace(bench.run_dir, "nmr")
    times_s, sensor_K = trace["sensor_K"]
    assert times_s == sorted(times_s)
    assert max(sensor_K) == 333.0
    journal = bench.journal()
    told = history(journal)
    journal.close()
    assert all(a.started_s is not None and a.ended_s is not None and a.ended_s >= a.started_s for a in told.attempts)


def test_progress_ends_at_one(bench: Bench) -> None:
    """The reported fraction of the campaign never falls by much and ends near one, with the end in sight."""
    bench.run()
    looks = [report for report in bench.reports if not report.message]
    assert looks[-1].campaign_fraction == pytest.approx(1.0, abs=0.02)
    assert looks[-1].eta_s == pytest.approx(bench.clock.now_s(), abs=600.0)


def test_interlock_reaction_is_journaled(bench: Bench) -> None:
    """An over-temperature trips by name with value and bound, and the safe state is read back."""
    bench.options = replace(
        bench.options,
        stations={"nmr": StationOptions(limits=LIMITS | {"sensor_max_K": 320.0}, calibration=calibration)},
    )
    assert bench.run().exit_code == 1
    [trip] = [event for event in bench.events() if isinstance(event, Tripped)]
    assert (trip.limit, trip.value, trip.bound) == ("sensor_max_K", 333.0, 320.0)
    assert any(isinstance(event, SafeSeen) and event.reached for event in bench.events())


def test_real_clock_with_a_worker(tmp_path: Path) -> None:
    """On the clock of this computer analysis runs in a worker, wakes the engine, and each verdict is journaled once."""
    clock = SystemClock()
    threads: set[str] = set()

    def analyse(path: Path, dataset: Dataset) -> Verdict:
        threads.add(threading.current_thread().name)
        return Verdict(measured={"T1_s/A": 17.0})

    nmr = ScriptedInstrument(station="nmr", clock=clock, durations=lambda task: 0.0)
    plan = small_plan(temperatures_K=(313.0,))
    options = EngineOptions(poll_s=0.01, state_dir=tmp_path / "state")
    outcome = run_campaign(
        plan, {"nmr": nmr}, clock=clock, run_dir=tmp_path / "run", options=options, on_dataset=analyse
    )
    assert outcome.exit_code == 0
    assert all(name.startswith("labctl-analysis") for name in threads)
    journal = Journal(tmp_path / "run" / "journal.sqlite", clock=clock, read_only=True)
    verdicts = [row.step_id for row in journal.rows(("handed_off",))]
    told = certificate(journal)
    journal.close()
    assert len(verdicts) == len(set(verdicts)) == told.acquired == told.planned


def test_a_pause_nobody_can_end_ends_the_run_when_cold(bench: Bench) -> None:
    """Where nobody can let it go on, a station that is paused and not warm does not wait for a word."""
    pauses = [Operated(verb="pause", reason="keyboard")]
    outcome = bench.run(operator=lambda: [pauses.pop()] if pauses else [], operator_continues=False)
    assert (outcome.phase, outcome.stations["nmr"]) == (CampaignPhase.PAUSED, StationPhase.PAUSED)
    assert bench.clock.now_s() - START_S < bench.options.pause_cool_s
    assert bench.run(attended="back").exit_code == 0


def test_a_bystander_that_fails_is_sent_away(bench: Bench) -> None:
    """Whoever only looks on cannot end a campaign: it is said once, it is told of nothing more, and all goes on."""

    class Clumsy:
        told = 0

        def seen(self, *_: object) -> None:
            self.told += 1
            if self.told == 5:
                raise ValueError("a bug of its own")

        def said(self) -> tuple[Alarmed, ...]:
            return ()

    clumsy = Clumsy()
    assert bench.run(bystanders=(clumsy,)).exit_code == 0
    assert clumsy.told == 5
    [alarm] = [event.what for event in bench.events() if isinstance(event, Alarmed)]
    assert "Clumsy failed" in alarm
    assert "a bug of its own" not in alarm, "its words might hold what is nobody's business"
