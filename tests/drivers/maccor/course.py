"""A test on a channel as a time table: what (4,7) answers at any moment of it, without any physics.

Built from the procedure itself (its steps, targets and loop), so that what labctl remembers of its lay-out is held
against what the tester would run.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from labctl.formats.maccor_procedure import Procedure, amount, seconds
from labctl.ports import CycleCell
from labctl_maccor._procedure import compose

_RF1 = {"Charge": 1, "Dischrge": 2, "Rest": 4}


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay in a step that takes time."""

    step: int
    kind: str
    cycle: int
    begins_s: float
    lasts_s: float
    current_A: float


class Course:
    """One test from begin to end.

    Parameters
    ----------
    given : sequence of float
        What each cycle gives back, as a share of its charge.
    off : float
        Share by which the channel's currents differ from those of the procedure.
    late_s : float
        By which every step ends late.
    """

    def __init__(
        self, task: CycleCell, given: list[float], *, off: float = 0.0, late_s: float = 0.0, first_cycle: int = 0
    ) -> None:
        self.task = task
        self.given = given
        self._first_cycle = first_cycle
        self.charges_Ah = [*task.charges_Ah, *[task.then_charge_Ah] * task.then_cycles]
        procedure = compose(task, form="Ah", charge_range=4, discharge_range=4, margin_V=0.1)
        self.stays = list(self._walk(procedure, off, late_s))
        self._begins_s = [stay.begins_s for stay in self.stays]
        self.lasts_s = self.stays[-1].begins_s + self.stays[-1].lasts_s

    def _walk(self, procedure: Procedure, off: float, late_s: float) -> Any:
        at_s, cycle, passes, number, body = 0.0, 0, 0, 1, 0
        while (step := procedure.step(number)).kind != "End":
            kind = step.kind.split()[0]
            if kind == "AdvCycle":
                cycle += 1
            elif kind == "Loop":
                passes += 1
                count = step.ends[0]
                number = (count.target or 0) if passes == int(count.value) else body
                continue
            elif kind == "Do":
                body = number + 1
            else:
                current_A = (amount(step.value, 1.0) or 0.0) * (1.0 + off)
                if kind == "Rest":
                    lasts_s = seconds(step.ends[0].value) or 0.0
                else:
                    share = 1.0 if kind == "Charge" else self.given[cycle]
                    lasts_s = 3600.0 * self.charges_Ah[cycle] * share / current_A
                yield Stay(number, kind, cycle, at_s, lasts_s + late_s, current_A)
                at_s += lasts_s + late_s
            number += 1

    def over_by(self, at_s: float) -> int:
        """Return how many discharges are over at a moment."""
        return sum(stay.kind == "Dischrge" and stay.begins_s + stay.lasts_s <= at_s for stay in self.stays)

    def status(self, at_s: float, *, counts: str = "step") -> dict[str, Any]:
        """Return the keys of (4,7) at a moment of test time; numbers are singles, as on the wire.

        `counts`: whether Capacity begins anew at each ``step``, or is the ``net`` of all before.
        """
        stay = self.stays[bisect_right(self._begins_s, at_s) - 1]
        step_s = at_s - stay.begins_s
        capacity_Ah = stay.current_A * step_s / 3600.0
        if counts == "net":
            capacity_Ah = sum(self.charges_Ah[: stay.cycle + 1]) + 0.1 * capacity_Ah
        return {
            "Stat": 2,
            "RF1": _RF1[stay.kind],
            "RF2": 1,
            "LastRecNum": 1,
            "Cycle": stay.cycle + self._first_cycle,
            "Step": stay.step,
            "TestTime": _single(at_s),
            "StepTime": _single(step_s),
            "Capacity": _single(0.0 if stay.kind == "Rest" else capacity_Ah),
            "Energy": 0.0,
            "Current": _single(stay.current_A),
            "Voltage": 1.5,
            "TesterTime": "2026-03-01T22:10:00",
        }


def _single(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])
