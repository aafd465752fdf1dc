"""One call of `decide` at work: a copy of the state to change, the commands so far, and the ways to safety. Pure."""

from __future__ import annotations

from dataclasses import replace

from labctl.plan.steps import Step
from labctl.ports import Acquire, AwaitStable, CheckSpinning, CoolDown, SetTemperature, SweepImpedance
from labctl.run.commands import AwaitPerson, Command, MakeSafe, Tell
from labctl.run.events import Alarmed
from labctl.run.lifecycle import StationPhase, StationTrigger, next_station_phase
from labctl.run.state import State, StationState, StepState

_NOT_HELD = (StationPhase.SAFING, StationPhase.SAFE, StationPhase.UNCONFIRMED, StationPhase.FINISHED)


def is_warm(state: State, station: str) -> bool:
    """Whether a set point has been sent that no cool-down or safe state has taken back yet."""
    warm = False
    for step in state.heating_of[station]:
        record = state.steps[step.id]
        if isinstance(step.task, SetTemperature) and record.attempt > 0:
            warm = True
        elif isinstance(step.task, CoolDown) and record.status in {"done", "halted"}:
            warm = False
    return warm and state.stations[station].phase is not StationPhase.SAFE


def held_temperature(state: State, station: str) -> float | None:
    """Return what the sensor has to read [K]; None: the set point is on its way, or nothing is heated.

    The ramp has arrived: it settles, a person tunes, something is measured, or the station stands between two steps.
    """
    record = state.stations[station]
    if not is_warm(state, station) or record.phase in _NOT_HELD:
        return None
    task = state.by_id[record.open].task if record.open else None
    if record.phase is StationPhase.RUNNING and isinstance(task, Acquire | SweepImpedance | AwaitStable):
        return task.setpoint_K
    if record.unsettled or record.redo or isinstance(task, SetTemperature | AwaitStable | CoolDown):
        return None
    for step in reversed(state.of_station[station][: record.index]):
        if isinstance(step.task, SetTemperature):
            return None
        if isinstance(step.task, AwaitStable):
            return step.task.setpoint_K if state.steps[step.id].status == "done" else None
    return None


def measures(state: State, station: str) -> bool:
    """Whether something is measured there now at a temperature of its own."""
    record = state.stations[station]
    task = state.by_id[record.open].task if record.open else None
    return record.phase is StationPhase.RUNNING and isinstance(task, Acquire | SweepImpedance)


def expected_spinning(state: State, station: str) -> tuple[float, float]:
    """Return the rate the rotor should have now and its tolerance [Hz]; 0 where nothing spins."""
    steps = state.of_station[station]
    index = min(state.stations[station].index, len(steps) - 1)
    for step in (*steps[index:], *reversed(steps[:index])):
        match step.task:
            case CheckSpinning(rate_Hz=rate_Hz, tolerance_Hz=tolerance_Hz):
                return rate_Hz, tolerance_Hz
            case Acquire(spinning_Hz=rate_Hz, spinning_tolerance_Hz=tolerance_Hz) if rate_Hz > 0.0:
                return rate_Hz, tolerance_Hz
    return 0.0, 0.0


class Turn:
    """One call of `decide`: a working copy of the state, and the commands so far."""

    def __init__(self, state: State) -> None:
        self.before = state
        self.policy = state.policy
        self.phase = state.phase
        self.aborted = state.aborted
        self.stations: dict[str, StationState] = dict(state.stations)
        self.steps = state.steps
        self._steps: dict[str, StepState] | None = None
        self.commands: list[Command] = []

    # ------------------------------------------------------------------------------ the working copy

    def state(self) -> State:
        """The state as it is now."""
        return replace(
            self.before,
            policy=self.policy,
            phase=self.phase,
            aborted=self.aborted,
            stations=self.stations,
            steps=self.steps,
        )

    def set(self, name: str, **changes: object) -> None:
        """Change fields of a station."""
        self.stations[name] = replace(self.stations[name], **changes)  # type: ignore[arg-type]  # field names are ours

    def set_step(self, step_id: str, **changes: object) -> None:
        """Change fields of a step."""
        if self._steps is None:
            self.steps = self._steps = dict(self.steps)
        self._steps[step_id] = replace(self._steps[step_id], **changes)  # type: ignore[arg-type]  # as above

    def take_steps(self, records: dict[str, StepState]) -> None:
        """Take these for the steps of another plan."""
        self.steps = self._steps = records

    def fire(self, name: str, trigger: StationTrigger) -> None:
        """Move a station to the phase its table says."""
        self.set(name, phase=next_station_phase(self.stations[name].phase, trigger))

    def step(self, step_id: str) -> Step:
        """The step of that id."""
        return self.before.by_id[step_id]

    def tell(self, station: str, what: str, step_id: str = "") -> None:
        """Let people know."""
        self.commands.append(Tell(event=Alarmed(station=station, what=what, step_id=step_id)))

    # ------------------------------------------------------------------------------ faults, pauses, safety

    def pause(self, name: str) -> None:
        """Begin nothing more until a person comes."""
        self.fire(name, StationTrigger.PAUSE)
        self.commands.append(AwaitPerson(station=name, warm=is_warm(self.state(), name)))

    def fault(self, name: str, what: str) -> None:
        """A step failed for good: safe or pause, as the lab says."""
        self.set(name, fault=self.stations[name].fault or what)
        self.tell(name, what)
        if self.policy.on_fault.get(name, "safe") == "pause":
            self.pause(name)
        else:
            self.make_safe(name, what)

    def make_safe(self, name: str, reason: str) -> None:
        """Ask for the safe state, from wherever the station is; its temperature is no longer known."""
        if self.stations[name].phase is not StationPhase.SAFING:
            self.fire(name, StationTrigger.MAKE_SAFE)
        self.set(name, redo=(), loop_seen=False, unsettled=True)
        self.commands.append(MakeSafe(station=name, reason=reason))
