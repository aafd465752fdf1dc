"""Carries out a fault script: each fault waits, strikes, and is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from labctl_sim_topspin._record import Acquisition, Mishap
from labctl_sim_topspin.faults import Fault

if TYPE_CHECKING:
    from labctl_sim_topspin._console import Console

Phase = Literal["waiting", "armed", "active", "done"]

_BEFORE_s = 0.5
_MISSED_s = 40.0  # when what fell silent has been silent for longer than any healthy program would be


@dataclass(slots=True)
class _Course:
    """How far one fault has come.

    Attributes
    ----------
    at_s : float or None
        When the next thing happens to it.
    look_s : float or None
        When somebody may want to see the console for its sake: just before it strikes, so that what was read last is
        fresh as it would be in real time, and when its silence shows.
    """

    phase: Phase
    at_s: float | None
    look_s: float | None = None


def _armed(at_s: float) -> _Course:
    return _Course("armed", at_s, at_s - _BEFORE_s)


class Mischief:
    """The faults of one console."""

    def __init__(self, console: Console, faults: tuple[Fault, ...]) -> None:
        self._console = console
        self._faults = faults
        self._courses = [
            _Course("waiting", None) if fault.at_s is None else _armed(console.born_s + fault.at_s) for fault in faults
        ]
        self._upcoming = Mishap()

    def active(self, kind: str) -> bool:
        """Whether a fault of this kind is upon the console."""
        return any(
            fault.kind == kind and course.phase == "active"
            for fault, course in zip(self._faults, self._courses, strict=True)
        )

    def acquisition_begins(self, running: Acquisition) -> None:
        """Arm the faults that waited for this acquisition."""
        running.mishap, self._upcoming = self._upcoming, Mishap()
        for fault, course in zip(self._faults, self._courses, strict=True):
            if course.phase == "waiting" and fault.waits_for(
                title=running.title, expno=running.place.expno, number=running.number
            ):
                self._arm(course, running.start_s + fault.after_s)

    def step_begins(self, title: str) -> None:
        """Arm the faults that waited for this step of the executor."""
        for fault, course in zip(self._faults, self._courses, strict=True):
            if course.phase == "waiting" and fault.step and fault.step in title:
                self._arm(course, self._console.now_s() + fault.after_s)

    def _arm(self, course: _Course, at_s: float) -> None:
        ready = _armed(at_s)
        course.phase, course.at_s, course.look_s = ready.phase, ready.at_s, ready.look_s

    def events(self) -> Iterator[tuple[float, Callable[[], None]]]:
        """Yield when something happens, and what."""
        for index, course in enumerate(self._courses):
            if course.at_s is not None:
                action = self._strike if course.phase == "armed" else self._mend
                yield course.at_s, lambda action=action, index=index: action(index)  # type: ignore[misc]  # bound now
            if course.look_s is not None:
                yield course.look_s, lambda course=course: setattr(course, "look_s", None)  # type: ignore[misc]

    def _strike(self, index: int) -> None:
        fault, course, console = self._faults[index], self._courses[index], self._console
        console.say(f"fault script: {fault.kind} ({fault.place})")
        course.phase, course.at_s = "active", None if fault.for_s is None else console.now_s() + fault.for_s
        course.look_s = console.now_s() + _MISSED_s
        if not self._does(fault):
            course.phase, course.at_s = "done", None
        console.alert()

    def _does(self, fault: Fault) -> bool:
        """Let a fault happen; False if it is over at once."""
        console, plant = self._console, self._console.plant
        match fault.kind:
            case "heater_trip":
                plant.change_vt(tripped="over temperature")
            case "gas_loss":
                plant.change_vt(gas_L_per_h=0.0)
                console.gas_cutout()
            case "spin_loss":
                plant.change_mas(regulated=False, error="drive lost")
            case "spin_off_rate":
                plant.change_mas(offset_Hz=fault.by)
            case "sensor_stuck" | "sensor_silent":
                plant.fail_sensor(fault.kind.removeprefix("sensor_"))
            case "dialog":
                console.dialog_until_s = console.now_s() + (fault.for_s or 0.0)
            case "disk_full":
                console.acquirer.disk_full = True
            case "overshoot":
                plant.change_vt(offset_K=fault.by)
            case "slow_disk":
                console.acquirer.slow_s = fault.by
            case "share_gone":
                console.share_gone = True
            case "power_cut":
                console.lose_mains()
            case "clock_jump":
                console.clock_skew_s += fault.by
                return False
            case "halt" | "stop":
                console.halt(fault.kind)
                return False
            case "kill":
                console.kill("zg")
                return False
            case "executor_killed" | "guard_killed":
                console.kill(f"labctl_{fault.kind.removesuffix('_killed')}")
                return False
            case "wrong_foreground":
                console.type(f"re {console.settings.template_dataset} {min(console.settings.templates.values())}")
                return False
            case "occupied":
                console.occupy(fault.for_s or 0.0)
                return False
            case "topspin_restart":
                console.restart()
                return False
            case "ser_late" | "ser_short" | "overflow":
                running = console.acquirer.running
                mishap = self._upcoming if running is None else running.mishap
                if fault.kind == "ser_late":
                    mishap.late_s = fault.by
                elif fault.kind == "ser_short":
                    mishap.short_rows = int(fault.by)
                else:
                    mishap.overflow = True
                return False
        return True

    def _mend(self, index: int) -> None:
        fault, course, console = self._faults[index], self._courses[index], self._console
        plant = console.plant
        course.phase, course.at_s = "done", None
        match fault.kind:
            case "heater_trip":
                plant.change_vt(tripped="", heater_on=True)
            case "gas_loss":
                plant.change_vt(gas_L_per_h=plant.vt.gas_target_L_per_h)  # the heater stays tripped until re-armed
            case "spin_loss":
                plant.change_mas(regulated=True, error="")
            case "spin_off_rate":
                plant.change_mas(offset_Hz=0.0)
            case "sensor_stuck" | "sensor_silent":
                plant.fail_sensor("")
            case "disk_full":
                console.acquirer.disk_full = False
            case "overshoot":
                plant.change_vt(offset_K=0.0)
            case "slow_disk":
                console.acquirer.slow_s = 0.0
            case "share_gone":
                console.share_gone = False
            case "power_cut":
                console.return_mains()
        console.say(f"fault script: {fault.kind} is mended")
        console.alert()

    # ---------------------------------------------------------------------------------------- state

    def plain(self) -> dict[str, Any]:
        """Return plain data for the console's state."""
        mishap = self._upcoming
        return {
            "courses": [[course.phase, course.at_s, course.look_s] for course in self._courses],
            "upcoming": [mishap.late_s, mishap.short_rows, mishap.overflow],
        }

    def take_up(self, data: dict[str, Any]) -> None:
        """Go on from plain data; faults added to the script since begin now."""
        for course, (phase, at_s, look_s) in zip(self._courses, data["courses"], strict=False):
            course.phase, course.at_s, course.look_s = phase, at_s, look_s
        late_s, short_rows, overflow = data["upcoming"]
        self._upcoming = Mishap(late_s=late_s, short_rows=short_rows, overflow=overflow)
