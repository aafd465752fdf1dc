"""The pure core: fed with whatever a lab may answer, it replays to the same state and keeps its promises."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labctl.dataset.model import Dataset, Verdict
from labctl.errors import InputError, InternalError
from labctl.plan.steps import RecycleRule
from labctl.ports import Acquire, Effect, Exsy, SetTemperature, Standing
from labctl.run.commands import (
    AskEvidence,
    AwaitPerson,
    Begin,
    CheckLoop,
    Collect,
    Command,
    Duty,
    HandOff,
    Intend,
    MakeSafe,
    Reopen,
    Skip,
    Stop,
    Tell,
    Watch,
)
from labctl.run.decide import decide
from labctl.run.events import (
    Event,
    EvidenceSeen,
    Failed,
    Finished,
    HandedOff,
    Intended,
    LoopSeen,
    OnFault,
    Opened,
    Operated,
    PartJudged,
    Policy,
    SafeAsked,
    SafeSeen,
    Started,
    Tripped,
    Verb,
    event_from_json,
    event_json,
)
from labctl.run.lifecycle import CampaignPhase, StationPhase
from labctl.run.recycle import resolve_recycle
from labctl.run.state import BEHIND, State, initial_state, planned_event
from tests.run.campaigns import RECYCLE, acquire, small_plan

PLAN = replace(
    small_plan(temperatures_K=(313.0,), tmix=2),
    steps=small_plan(temperatures_K=(313.0,), tmix=2).steps + small_plan(temperatures_K=(313.0,), station="b").steps,
)


def dataset_of(step_id: str, attempt: int) -> Dataset:
    """A dataset as small as can be."""
    return Dataset(
        step_id=step_id,
        key="k",
        attempt=attempt,
        station=step_id.split("/", maxsplit=1)[0],
        procedure="p",
        kind="exsy",
        directory="d",
        files=(),
        completeness="complete",
        started_s=0.0,
        ended_s=1.0,
    )


class Lab(RuleBasedStateMachine):
    """Everything a lab can answer, in any order, with the engine dying at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.state = initial_state(PLAN)
        self.log: list[str] = []
        self.states = [self.state]
        self.queue: list[Command] = []
        self.duties: dict[str, Duty] = {}
        self.handoffs: list[Dataset] = []
        self.begun: Counter[str] = Counter()
        self.cleared: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.epoch = 1
        policies: dict[str, OnFault] = {"nmr": "safe", "b": "pause"}
        self.feed(planned_event(PLAN, Policy(on_fault=policies)))
        self.feed(Opened(epochs={"nmr": 1, "b": 1}, resumed=False))

    def feed(self, event: Event) -> None:
        """Commit, decide, and see to the commands that need no instrument."""
        self.log.append(event_json(event))
        assert event_from_json(self.log[-1]) == event
        if isinstance(event, EvidenceSeen) and event.standing in (Standing.NOT_STARTED, Standing.PREPARED):
            self.cleared[f"{event.step_id} {event.attempt}"] += 1
        if isinstance(event, Finished) and event.result == "done" and isinstance(self.task(event.step_id), Acquire):
            self.finished[event.step_id] += 1
        self.state, commands = decide(self.state, event)
        self.states.append(self.state)
        for command in commands:
            self.take(command)

    def task(self, step_id: str) -> object:
        return PLAN.step(step_id).task

    def take(self, command: Command) -> None:
        match command:
            case Intend() | Reopen() | Skip():
                if self.state.stations[command.event.station].phase is StationPhase.READY:
                    self.feed(command.event)
            case Tell():
                self.feed(command.event)
            case Begin(order=order):
                self.begun[f"{order.step_id} {order.attempt}"] += 1
                if isinstance(order.task, SetTemperature):
                    assert self.state.stations[PLAN.step(order.step_id).station].loop_seen, (
                        "heat before the loop was seen"
                    )
            case HandOff(dataset=dataset):
                self.handoffs.append(dataset)
            case Stop():
                pass
            case Watch(order=order) | AskEvidence(order=order) | Collect(order=order):
                self.duties[PLAN.step(order.step_id).station] = command
            case CheckLoop(station=station) | MakeSafe(station=station) | AwaitPerson(station=station):
                self.duties[station] = command

    def duty(self, *kinds: type) -> list[str]:
        return sorted(name for name, duty in self.duties.items() if isinstance(duty, kinds))

    @precondition(lambda self: self.duty(Watch))
    @rule(data=st.data(), end=st.sampled_from(["started", "done", "halted", "failed", "unheard"]))
    def watch(self, data: st.DataObject, end: str) -> None:
        name = data.draw(st.sampled_from(self.duty(Watch)))
        duty = self.duties[name]
        assert isinstance(duty, Watch)
        order = duty.order
        if end == "unheard":
            if self.state.stations[name].phase is StationPhase.INTENDED:
                del self.duties[name]
                self.feed(
                    Failed(station=name, step_id=order.step_id, attempt=order.attempt, stage="begin_unheard", what="?")
                )
            return
        if self.state.steps[order.step_id].status != "running":
            self.feed(Started(station=name, step_id=order.step_id, attempt=order.attempt))
        if end == "started":
            return
        del self.duties[name]
        if end == "failed":
            self.feed(Failed(station=name, step_id=order.step_id, attempt=order.attempt, stage="run", what="broken"))
        else:
            self.end(order.step_id, order.attempt, "done" if end == "done" else "halted")

    def end(self, step_id: str, attempt: int, result: str) -> None:
        name = PLAN.step(step_id).station
        dataset = dataset_of(step_id, attempt) if isinstance(self.task(step_id), Acquire) else None
        self.feed(Finished(station=name, step_id=step_id, attempt=attempt, result=result, dataset=dataset))  # type: ignore[arg-type]  # one of three

    @precondition(lambda self: self.duty(AskEvidence))
    @rule(data=st.data(), standing=st.sampled_from([s for s in Standing if s is not Standing.FOREIGN]))
    def evidence(self, data: st.DataObject, standing: Standing) -> None:
        name = data.draw(st.sampled_from(self.duty(AskEvidence)))
        duty = self.duties.pop(name)
        assert isinstance(duty, AskEvidence)
        step_id, attempt = duty.order.step_id, duty.order.attempt
        self.feed(EvidenceSeen(station=name, step_id=step_id, attempt=attempt, standing=standing))

    @precondition(lambda self: self.duty(Collect))
    @rule(data=st.data())
    def collect(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.duty(Collect)))
        duty = self.duties.pop(name)
        assert isinstance(duty, Collect)
        self.end(duty.order.step_id, duty.order.attempt, "partial" if duty.partial else "done")

    @precondition(lambda self: self.duty(CheckLoop))
    @rule(data=st.data(), alive=st.sampled_from([True, True, True, False]), held=st.booleans())
    def loop(self, data: st.DataObject, alive: bool, held: bool) -> None:
        name = data.draw(st.sampled_from(self.duty(CheckLoop)))
        del self.duties[name]
        self.feed(LoopSeen(station=name, alive=alive, held=held))

    @precondition(lambda self: self.duty(MakeSafe))
    @rule(data=st.data(), reached=st.booleans())
    def safe(self, data: st.DataObject, reached: bool) -> None:
        name = data.draw(st.sampled_from(self.duty(MakeSafe)))
        del self.duties[name]
        self.feed(SafeSeen(station=name, reached=reached))

    @precondition(lambda self: self.duty(AwaitPerson))
    @rule(data=st.data())
    def nobody_comes(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.duty(AwaitPerson)))
        del self.duties[name]
        self.feed(SafeAsked(station=name, reason="nobody came"))

    @precondition(lambda self: self.handoffs)
    @rule(gate=st.sampled_from(["pass", "pass", "settled", "stop"]), T1_s=st.floats(0.1, 400.0))
    def analysed(self, gate: str, T1_s: float) -> None:
        dataset = self.handoffs.pop(0)
        verdict = Verdict(gate=gate, measured={"T1_s/A": T1_s})  # type: ignore[arg-type]  # one of three
        self.feed(HandedOff(station=dataset.station, step_id=dataset.step_id, attempt=dataset.attempt, verdict=verdict))

    @precondition(lambda self: self.duty(Watch))
    @rule(data=st.data(), gate=st.sampled_from(["pass", "enough", "stop"]))
    def part_judged(self, data: st.DataObject, gate: str) -> None:
        """Rows of an acquisition that goes on are judged; what is said of one that has ended means nothing."""
        duty = self.duties[data.draw(st.sampled_from(self.duty(Watch)))]
        assert isinstance(duty, Watch)
        verdict = Verdict(gate=gate, message="nine tenths are in")  # type: ignore[arg-type]  # one of three
        station = PLAN.step(duty.order.step_id).station
        self.feed(
            PartJudged(station=station, step_id=duty.order.step_id, attempt=duty.order.attempt, part=1, verdict=verdict)
        )

    @rule(verb=st.sampled_from(["pause", "continue", "abort"]), station=st.sampled_from(["", "nmr", "b"]))
    def operate(self, verb: Verb, station: str) -> None:
        self.feed(Operated(verb=verb, station=station, reason="wish"))
        self.forget_answered()

    @rule(step=st.sampled_from(PLAN.steps))
    def skip(self, step: object) -> None:
        self.feed(Operated(verb="skip", step_id=step.id, reason="wish"))  # type: ignore[attr-defined]  # a Step

    @rule(station=st.sampled_from(["nmr", "b"]))
    def trip(self, station: str) -> None:
        self.feed(Tripped(station=station, limit="sensor_max_K", detail="hot"))
        self.forget_answered()

    @rule()
    def die(self) -> None:
        """The engine dies with all it had in mind; the next one has the journal."""
        self.duties.clear()
        self.handoffs.clear()
        self.epoch += 1
        self.feed(Opened(epochs={"nmr": self.epoch, "b": self.epoch}, resumed=True))

    def forget_answered(self) -> None:
        for name, duty in list(self.duties.items()):
            if isinstance(duty, AwaitPerson) and self.state.stations[name].phase is not StationPhase.PAUSED:
                del self.duties[name]

    @invariant()
    def begun_once_unless_the_instrument_says_not_started(self) -> None:
        for token, times in self.begun.items():
            assert times <= 1 + self.cleared[token], token

    @invariant()
    def acquired_once(self) -> None:
        assert all(times == 1 for times in self.finished.values())

    @invariant()
    def nothing_is_stuck(self) -> None:
        """A campaign that runs waits for an instrument, for analysis, or for nobody."""
        if self.state.phase is CampaignPhase.RUNNING:
            assert self.duties or self.handoffs, {name: s.phase for name, s in self.state.stations.items()}

    @invariant()
    def finished_means_all_behind(self) -> None:
        for name, station in self.state.stations.items():
            if station.phase is StationPhase.FINISHED:
                assert all(self.state.steps[step.id].status in BEHIND for step in PLAN.of_station(name))

    def teardown(self) -> None:
        """Replaying every prefix of the log gives the state that was live there."""
        state = initial_state(PLAN)
        for text, live in zip(self.log, self.states[1:], strict=True):
            state, _ = decide(state, event_from_json(text))
            assert state == live


TestLab = Lab.TestCase
TestLab.__doc__ = "Whatever the lab answers, and whenever the engine dies: replay equals live state, promises hold."
TestLab.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)


@given(T1_s=st.floats(0.01, 1e4), max_s=st.floats(1.0, 500.0), planned_s=st.floats(1.0, 100.0), ask=st.booleans())
def test_recycle_delay_is_never_beyond_its_cap_nor_longer_unasked(
    T1_s: float, max_s: float, planned_s: float, ask: bool
) -> None:
    """A resolved delay obeys its cap, and a step that grew beyond the tolerance is asked about or kept as planned."""
    rule_ = RecycleRule(
        times_T1=3.0, of="slowest", max_s=max_s, expected_T1_s=planned_s / 3, fallback="ask" if ask else "cap"
    )
    task = replace(
        acquire(Exsy(mixing_time_s=0.1, rows=32, increment_s=1e-3), slot=1, duration_s=32 * 8 * planned_s),
        recycle_delay_s=planned_s,
    )
    resolved = resolve_recycle(task, rule_, {"T1_s/A": T1_s, "p90_us": 5.0}, approved=False)
    assert resolved.task.recycle_delay_s in (pytest.approx(min(3.0 * T1_s, max_s)), planned_s)
    if not resolved.ask:
        assert resolved.task.duration_s <= 1.2 * task.duration_s * (1 + 1e-9)
    else:
        assert ask


def test_recycle_delay_of_one_site() -> None:
    """`of: site` takes that site's T1 and no other; a site that was not measured keeps the planned delay."""
    task = acquire(Exsy(mixing_time_s=0.1, rows=32, increment_s=1e-3), slot=1, duration_s=12_800.0)
    measured = {"T1_s/A": 5.0, "T1_s/B": 15.0}
    one = resolve_recycle(task, replace(RECYCLE, of="A"), measured, approved=False)
    assert one.task.recycle_delay_s == pytest.approx(15.0)
    other = resolve_recycle(task, replace(RECYCLE, of="C"), measured, approved=False)
    assert other.task == task
    assert "no T1 of C" in other.notes[0]


def test_capped_recycle_delay_is_said() -> None:
    """A T1 of minutes is capped and the note says that the site is not recovered."""
    task = acquire(Exsy(mixing_time_s=0.1, rows=32, increment_s=1e-3), slot=1, duration_s=12_800.0)
    resolved = resolve_recycle(task, RECYCLE, {"T1_s/Li2S": 150.0}, approved=False)
    assert resolved.task.recycle_delay_s == 60.0
    assert any("not fully recovered" in note for note in resolved.notes)


def test_an_unresolved_T1_never_shortens_the_planned_delay() -> None:
    """Where one site's T1 was not resolved, the others may lengthen the recycle delay but not shorten it."""
    task = acquire(Exsy(mixing_time_s=0.1, rows=32, increment_s=1e-3), slot=1, duration_s=12_800.0)
    faster = {"T1_s/LPSC": 1.0, "T1_unresolved/LiI": 1.0}
    kept = resolve_recycle(task, RECYCLE, faster, approved=False)
    assert kept.task.recycle_delay_s == task.recycle_delay_s
    assert "LiI was not resolved" in kept.notes[0]
    slower = {"T1_s/LPSC": 0.5 * task.recycle_delay_s, "T1_unresolved/LiI": 1.0}
    longer = resolve_recycle(task, RECYCLE, slower, approved=True)
    assert longer.task.recycle_delay_s > task.recycle_delay_s
    other = resolve_recycle(task, replace(RECYCLE, of="LPSC"), faster, approved=False)
    assert other.task.recycle_delay_s < task.recycle_delay_s


def to_intended(plan_changes: dict[str, object]) -> tuple[State, Event]:
    """The state in which the T1 step of a changed plan is open and running."""
    plan = small_plan(temperatures_K=(313.0,), tmix=1)
    steps = tuple(
        replace(step, **plan_changes) if step.role == "t1" else step  # type: ignore[arg-type]  # fields of Step
        for step in plan.steps
        if step.role == "t1"
    )
    state = initial_state(replace(plan, steps=steps))
    state, _ = decide(state, planned_event(state.plan, Policy()))
    state, commands = decide(state, Opened(epochs={"nmr": 1}, resumed=False))
    intents = [command.event for command in commands if isinstance(command, Intend)]
    state, _ = decide(state, intents[0])
    return state, intents[0]


def test_irreversible_is_never_repeated() -> None:
    """An interrupted irreversible step waits for a person, and even a person's continue does not repeat it."""
    state, intent = to_intended({"effect": Effect.IRREVERSIBLE})
    assert isinstance(intent, Intended)
    events: list[Event] = [
        Opened(epochs={"nmr": 2}, resumed=True),
        EvidenceSeen(station="nmr", step_id=intent.step_id, attempt=1, standing=Standing.INTERRUPTED),
        Finished(
            station="nmr", step_id=intent.step_id, attempt=1, result="partial", dataset=dataset_of(intent.step_id, 1)
        ),
        Operated(verb="continue", reason="hm"),
    ]
    said: list[Command] = []
    for event in events:
        state, commands = decide(state, event)
        said += commands
    assert not any(isinstance(command, Begin | Intend | Reopen) for command in said)
    assert state.stations["nmr"].phase is StationPhase.PAUSED


def test_illegal_event_names_trigger_and_phase() -> None:
    """An event that cannot happen in a phase is our bug and says where it stood."""
    state, intent = to_intended({})
    assert isinstance(intent, Intended)
    with pytest.raises(InternalError, match=r"'intend'.*'intended'"):
        decide(state, replace(intent, attempt=2))


def test_need_that_does_not_exist() -> None:
    """A plan whose step needs an unknown one is refused by name."""
    plan = small_plan(temperatures_K=(313.0,))
    broken = replace(plan, steps=(*plan.steps[:-1], replace(plan.steps[-1], needs=("nowhere",))))
    with pytest.raises(InputError, match="nowhere"):
        initial_state(broken)


def test_same_id_twice() -> None:
    """A plan with a step id twice is refused by name."""
    plan = small_plan(temperatures_K=(313.0,))
    with pytest.raises(InputError, match="nmr/vt_exsy/cool"):
        initial_state(replace(plan, steps=(*plan.steps, plan.steps[-1])))


RUNS = "nmr/vt_exsy/T00/tmix00"


def running_2d(policy: Policy, step_id: str = RUNS) -> State:
    """A campaign whose first 2D runs, or another step."""
    plan = small_plan(temperatures_K=(313.0,), tmix=1)
    state, _ = decide(initial_state(plan), planned_event(plan, policy))
    state, commands = decide(state, Opened(epochs={"nmr": 1}, resumed=False))
    todo = list(commands)
    while not (isinstance(todo[0], Watch) and todo[0].order.step_id == step_id):
        if (event := usual_answer(todo.pop(0))) is not None:
            state, commands = decide(state, event)
            todo += commands
    return decide(state, Started(station="nmr", step_id=step_id, attempt=1))[0]


def usual_answer(command: Command) -> Event | None:
    """What happens where nothing goes wrong; a begin is answered by its watch."""
    match command:
        case Intend() | Reopen() | Skip():
            return command.event
        case Watch(order=order):
            dataset = dataset_of(order.step_id, 1) if isinstance(order.task, Acquire) else None
            return Finished(station="nmr", step_id=order.step_id, attempt=1, result="done", dataset=dataset)
        case CheckLoop(station=station):
            return LoopSeen(station=station, alive=True, held=True)
        case HandOff(dataset=dataset):
            return HandedOff(
                station="nmr", step_id=dataset.step_id, attempt=1, verdict=Verdict(measured={"T1_s/A": 5.0})
            )
        case _:
            return None


@pytest.mark.parametrize("halted", ["accept", "again", "ask"])
def test_a_2d_that_is_ended_on_purpose_is_accepted_whatever_is_done_about_halted_ones(halted: str) -> None:
    """It is halted once, never acquired again, and nobody is called; without the verdict the policy holds."""
    state = running_2d(Policy(on_fault={}, halted=halted))  # type: ignore[arg-type]  # one of three
    ended = Finished(station="nmr", step_id=RUNS, attempt=1, result="halted", dataset=dataset_of(RUNS, 1))
    enough = PartJudged(
        station="nmr", step_id=RUNS, attempt=1, part=2, verdict=Verdict(gate="enough", message="nine tenths are in")
    )
    wanted, commands = decide(state, enough)
    (stop,) = commands
    assert isinstance(stop, Stop)
    assert "nine tenths are in" in stop.reason
    assert decide(wanted, replace(enough, part=3))[1] == ()
    after, commands = decide(wanted, ended)
    assert after.steps[RUNS].status == "halted"
    assert not any(isinstance(one, Tell) for one in commands)
    without, _ = decide(state, ended)
    assert (without.steps[RUNS].status == "halted") == (halted == "accept")


def test_a_station_on_its_way_to_safe_is_not_called_back() -> None:
    """Aborted, and let go on before it is safe: it gets there, stays aborted, and says why it stands."""
    state = running_2d(Policy(on_fault={}), "nmr/vt_exsy/T00/settle")
    for verb in ("abort", "continue"):
        state, commands = decide(state, Operated(verb=verb, station="nmr", reason="a smell"))
    assert [one.event.what for one in commands if isinstance(one, Tell)]
    state, _ = decide(state, SafeSeen(station="nmr", reached=True, detail="cold"))
    assert state.phase is CampaignPhase.ABORTED
    assert state.stations["nmr"].hold == "aborted: a smell"


def test_a_safe_state_that_was_not_seen_is_the_reason_why_a_station_stands() -> None:
    """Whatever it went to safe for, heat that may still be on is what people are told of first."""
    state = running_2d(Policy(on_fault={}), "nmr/vt_exsy/T00/settle")
    state, _ = decide(state, Operated(verb="abort", station="nmr", reason="home time"))
    state, _ = decide(state, SafeSeen(station="nmr", reached=False, detail="40.0 °C, heater 12 %"))
    assert state.stations["nmr"].phase is StationPhase.UNCONFIRMED
    assert "could not be read back: 40.0 °C" in state.stations["nmr"].fault


@pytest.mark.parametrize("step", ["ramp", "settle"])
def test_half_a_ramp_or_wait_is_no_temperature(step: str) -> None:
    """A 2D that somebody halts is kept; where a ramp or a wait is halted nothing is measured, and a person is asked."""
    step_id = f"nmr/vt_exsy/T00/{step}"
    state = running_2d(Policy(on_fault={"nmr": "pause"}), step_id)
    halted = Finished(station="nmr", step_id=step_id, attempt=1, result="halted", detail="somebody typed halt")
    after, commands = decide(state, halted)
    assert after.stations["nmr"].phase is StationPhase.PAUSED
    assert "halted" in after.stations["nmr"].fault
    assert not any(isinstance(one, Intend) for one in commands)


def test_whoever_finds_it_running_after_a_death_halts_it_then() -> None:
    """The decision is in the journal, the word to the instrument may have died with the engine."""
    state = running_2d(Policy(on_fault={}))
    verdict = Verdict(gate="enough", message="nine tenths are in")
    state, _ = decide(state, PartJudged(station="nmr", step_id=RUNS, attempt=1, part=2, verdict=verdict))
    state, _ = decide(state, Opened(epochs={"nmr": 2}, resumed=True))
    assert state.stations["nmr"].phase is StationPhase.EXAMINING
    seen = EvidenceSeen(station="nmr", step_id=RUNS, attempt=1, standing=Standing.RUNNING)
    state, commands = decide(state, seen)
    assert [type(one) for one in commands] == [Watch, Stop]
    other = running_2d(Policy(on_fault={}))
    other, _ = decide(other, Opened(epochs={"nmr": 2}, resumed=True))
    assert [type(one) for one in decide(other, seen)[1]] == [Watch]
