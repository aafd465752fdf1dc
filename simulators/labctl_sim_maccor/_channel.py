"""One channel of the tester: what is done to it, what it measures, and its state for the disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from labctl_sim_maccor._codes import Doing, Stat, Why
from labctl_sim_maccor._procedure import Procedure
from labctl_sim_maccor._progress import Limits, Moment, Test
from labctl_sim_maccor._runner import DOING, Runner
from labctl_sim_sample import CellState


class Channel(Runner):
    """One channel and its life cycle."""

    # ------------------------------------------------------------------------------------ life cycle

    def start(self, test: Test, procedure: Procedure, at_s: float) -> None:
        """Take up a test; it becomes active when the tester has made it ready."""
        self._rest_until(at_s)
        self.test, self.procedure = test, procedure
        test.base_s = at_s + self._settings.starting_s
        test.base_ticks = 0
        self.stat, self.doing, self.why = Stat.STARTING, Doing.AVAILABLE, Why.STEP_BEGAN

    def suspend(self, at_s: float) -> None:
        """Stop for the time being, as an operator or a Pause step does; the test's time stands."""
        test = self._tested()
        self.advance(at_s)
        if self.stat != Stat.ACTIVE:
            return
        moment = self._at(max(test.anchor, self._ticks_at(at_s)))
        self._halt(moment, Stat.SUSPENDED, Doing.SUSPENDED, Why.SUSPENDED, "S")

    def resume(self, at_s: float) -> None:
        """Go on in the step where it stands, or after a Pause step."""
        test = self._tested()
        self._rest_until(at_s)
        test.base_s, test.base_ticks, test.anchor = at_s, test.anchor, test.anchor
        self.stat = Stat.ACTIVE
        step = self._step()
        if step.kind == "pause":
            self._enter(step.number + 1)
        else:
            self.doing = DOING[step.kind]
            self._drive()

    def clear(self, at_s: float) -> None:
        """Become available, whatever was."""
        self.advance(at_s)
        if self.test is not None and self.stat == Stat.ACTIVE:
            self.cell = self._cell_at(max(self.test.anchor, self._ticks_at(at_s)))
            self.cell_s = at_s
        self.test, self.procedure = None, None
        self.stat, self.doing, self.why = Stat.AVAILABLE, Doing.AVAILABLE, Why.STEP_BEGAN

    def trip(self, at_s: float, why: int, stat: Stat = Stat.PROBLEM) -> None:
        """Stop with a fault: safety, power failure."""
        self.advance(at_s)
        if self.stat == Stat.ACTIVE:
            moment = self._at(max(self._tested().anchor, self._ticks_at(at_s)))
            self._halt(moment, stat, Doing.PROBLEM, why, "P")

    def force(self, at_s: float) -> None:
        """Go to the next step, as an operator does."""
        self.advance(at_s)
        if self.stat == Stat.ACTIVE:
            self._leave(self._at(max(self._tested().anchor, self._ticks_at(at_s))), Why.FORCED, self._step().number + 1)

    # ------------------------------------------------------------------------------------- direct mode

    def drive_directly(self, current_A: float, at_s: float) -> None:
        """Set the output of direct mode (6,8)."""
        test = self._tested()
        self.advance(at_s)
        self._commit(self._at(max(test.anchor, self._ticks_at(at_s))))
        test.direct_at_s = at_s
        test.current_A = current_A
        test.direction = (current_A > 0.0) - (current_A < 0.0)
        self.cell = self._sample.turned(self.cell, current_A)
        self.doing = Doing.CHARGE if current_A > 0 else Doing.DISCHARGE if current_A < 0 else Doing.REST
        test.begun, test.step_began = False, test.anchor

    # --------------------------------------------------------------------------------------- readings

    def reading(self, at_s: float) -> Moment:
        """Return what the channel measures now."""
        test = self.test
        if self.stat == Stat.ACTIVE and test is not None:
            return self._at(max(test.anchor, self._ticks_at(at_s)))
        cell = self._sample.later(self.cell, 0.0, max(0.0, at_s - self.cell_s))
        volts = self._sample.voltage_V(cell, 0.0)
        if test is None:
            return Moment(0, volts, 0.0, 0.0, 0.0)
        return Moment(test.anchor, volts, 0.0, test.capacity_Ah, test.energy_Wh)

    def alter_cell(self, at_s: float, **changes: Any) -> None:
        """Let something happen to the cell in the holder."""
        self.advance(at_s)
        if self.stat == Stat.ACTIVE:
            self._commit(self._at(max(self._tested().anchor, self._ticks_at(at_s))))
        self.cell = replace(self.cell, **changes)
        self._foreseen = None
        if self.stat == Stat.ACTIVE:
            self._drive()

    def variable_changed(self, at_s: float) -> None:
        """Take a new value of VARn into the output that runs."""
        self.advance(at_s)
        if self.stat == Stat.ACTIVE:
            self._commit(self._at(max(self._tested().anchor, self._ticks_at(at_s))))
            self._drive()

    # ------------------------------------------------------------------------------------------ state

    def plain(self) -> dict[str, Any]:
        """Return plain data for the state on disk, to be written at once; the procedure is not among them."""
        return {
            "stat": int(self.stat),
            "doing": int(self.doing),
            "why": int(self.why),
            "cell": _fields_of(self.cell),
            "cell_s": self.cell_s,
            "limits": _fields_of(self.limits),
            "test": None if self.test is None else _fields_of(self.test),
        }

    def take_up(self, data: dict[str, Any], procedure: Procedure | None) -> None:
        """Go on from plain data."""
        self.stat = Stat(data["stat"])
        self.doing, self.why, self.cell_s = data["doing"], data["why"], data["cell_s"]
        self.cell = CellState(**data["cell"])
        self.limits = Limits(**data["limits"])
        self.test = None if data["test"] is None else Test(**data["test"])
        self.procedure = procedure


def _fields_of(part: CellState | Limits | Test) -> dict[str, Any]:
    """Return its fields by name; `dataclasses.asdict` copies what is only written, at each request for weeks."""
    return {name: getattr(part, name) for name in part.__dataclass_fields__}
