"""What a cycling task asks for, as the steps of a Maccor procedure. Pure.

Capacity and voltage ends go on with the cycle; every guard goes to a Pause of its own with an End of its own behind it,
so that the end code, the step, and the number of the End that was reached each tell what happened. The normal End
stands before all others and is number 1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from labctl.errors import InstrumentError
from labctl.formats.maccor_lint import ChannelSpan, lint
from labctl.formats.maccor_procedure import (
    End,
    Procedure,
    ProcedureStep,
    centred,
    left,
    procedure_text,
    time_text,
)
from labctl.ports import CycleCell

SAFETY_CAPACITY = 1.2
"""The tester's own capacity safety, as a multiple of the largest charge."""

GUARDS = ("over-voltage", "low voltage while charging: shorted?", "time", "safety")
"""What the Ends after the normal one stand for, in their order."""

CapacityForm = Literal["C", "Ah"]


class Part(Enum):
    """What a step that takes time is within its cycle."""

    FIRST_REST = "first rest"
    CHARGE = "charge"
    REST_AFTER_CHARGE = "rest after the charge"
    DISCHARGE = "discharge"
    REST_AFTER_DISCHARGE = "rest after the discharge"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test stands when it is in a step; `cycle` counts from 0, None within the loop."""

    part: Part
    cycle: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A procedure ready for the tester.

    Attributes
    ----------
    name : str
        ``labctl-<8 hex of the text>``: the same procedure has the same name, another one another.
    crate_Ah : float
        The C-rate number to start it with [Ah].
    """

    name: str
    text: str
    crate_Ah: float
    procedure: Procedure


def write(
    task: CycleCell,
    span: ChannelSpan,
    *,
    form: CapacityForm,
    current_range: int | None,
    margin_V: float,
    station: str,
) -> Written:
    """Return the procedure of a task for a channel.

    Raises
    ------
    InstrumentError
        The channel cannot do it (a current above its ranges, a voltage outside its span); every reason.
    """
    crate_Ah = max([*task.charges_Ah, task.then_charge_Ah if task.then_cycles else 0.0])
    procedure = compose(
        task,
        form=form,
        charge_range=current_range or finest(task.current_A, span),
        discharge_range=current_range or finest(task.discharge_current_A, span),
        margin_V=margin_V,
    )
    text = procedure_text(procedure)
    name = f"labctl-{hashlib.sha256(text.encode('utf-8')).hexdigest()[:8]}"
    used_Ah = crate_Ah if form == "C" else 1.0
    wrong = lint(procedure, file=f"{name}.000", channel=span, crate_Ah=used_Ah)
    if errors := [str(found) for found in wrong if found.severity == "error"]:
        raise InstrumentError(
            "the channel cannot carry this out: " + "; ".join(errors),
            instrument=station,
            expected="currents and voltages that the channel has",
        )
    return Written(name=name, text=text, crate_Ah=used_Ah, procedure=procedure)


def finest(current_A: float, span: ChannelSpan) -> int:
    """Return the finest range that takes a current; the widest if none does (the linter says so)."""
    able = [number for number, full_A in enumerate(span.ranges_A, start=1) if full_A >= current_A]
    return min(able, key=lambda number: span.ranges_A[number - 1], default=4)


def compose(
    task: CycleCell, *, form: CapacityForm, charge_range: int, discharge_range: int, margin_V: float
) -> Procedure:
    """Return the steps of a task; in the form ``C`` amounts are multiples of the largest charge."""
    return _Writer(task, form, charge_range, discharge_range, margin_V).procedure()


def guard_of(task: CycleCell, step: int) -> str:
    """Return which guard's Pause a step of the task's procedure is; empty if it is none."""
    writer = _Writer(task, "Ah", 4, 4, 0.1)  # as in `places`
    writer.procedure()
    return next((guard for guard in GUARDS if writer.step_of(guard) == step), "")


def places(task: CycleCell) -> Mapping[int, Place]:
    """Return what the steps of a task's procedure are, by step number, as far as they take time."""
    writer = _Writer(task, "Ah", 4, 4, 0.1)  # neither form nor range nor margin moves a step
    writer.procedure()
    return writer.places


class _Writer:
    """Writes steps with names for targets, and puts numbers in their place at the end."""

    def __init__(
        self, task: CycleCell, form: CapacityForm, charge_range: int, discharge_range: int, margin_V: float
    ) -> None:
        self._task = task
        self._unit_Ah = (
            max([*task.charges_Ah, task.then_charge_Ah if task.then_cycles else 0.0]) if form == "C" else 0.0
        )
        self._charge_range = str(charge_range)
        self._discharge_range = str(discharge_range)
        self._margin_V = margin_V
        self._steps: list[ProcedureStep] = []
        self._names: dict[str, int] = {}
        self.places: dict[int, Place] = {}

    def step_of(self, name: str) -> int:
        """Number of a step that has a name."""
        return self._names[name]

    def procedure(self) -> Procedure:
        task = self._task
        self._first_rest()
        for number, charge_Ah in enumerate(task.charges_Ah, start=1):
            self._cycle(f"cycle{number}", charge_Ah, number - 1)
        if task.then_cycles:
            self._mark("do")
            self._control("Do 1")
            self._cycle("loop", task.then_charge_Ah, None)
            count = End(end_type="Loop Cnt", oper=" = ", step="end", value=str(task.then_cycles))
            self._add(ProcedureStep(step_type=centred("Loop 1"), ends=(count,)))
        self._mark("end")
        self._control("End")
        for guard in GUARDS:
            self._mark(guard)
            self._add(ProcedureStep(step_type=centred("Pause"), note=f"the cell needs a look: {guard}"))
            self._control("End")
        return Procedure(steps=tuple(self._numbered(step) for step in self._steps))

    # ------------------------------------------------------------------------------------------- steps

    def _first_rest(self) -> None:
        task = self._task
        low_V = min(task.charge_below_V, task.discharge_to_V) - self._margin_V
        high_V = task.charge_above_V + self._margin_V
        largest_Ah = max([*task.charges_Ah, task.then_charge_Ah if task.then_cycles else 0.0])
        ends = (
            End(end_type="StepTime", oper=" = ", step=self._next(), value=time_text(task.first_rest_s)),
            self._safety("Voltage", ">= ", _plain(high_V)),
            self._safety("Voltage", "<= ", _plain(low_V)),
            self._safety("Amp Hour", ">= ", self._amount(SAFETY_CAPACITY * largest_Ah)),
        )
        self.places[len(self._steps) + 1] = Place(Part.FIRST_REST, 0)
        self._rest(ends)

    def _safety(self, kind: str, oper: str, value: str) -> End:
        return End(end_type=left(kind), oper=oper, step="safety", value=value, safety="True")

    def _cycle(self, name: str, charge_Ah: float, cycle: int | None) -> None:
        task = self._task
        self._mark(name)
        parts = (Part.CHARGE, Part.REST_AFTER_CHARGE, Part.DISCHARGE, Part.REST_AFTER_DISCHARGE)
        for number, part in enumerate(parts, start=len(self._steps) + 1):
            self.places[number] = Place(part, cycle)
        ends = (
            End(end_type="Amp Hour", oper=">= ", step=self._next(), value=self._amount(charge_Ah)),
            End(end_type=left("Voltage"), oper=">= ", step="over-voltage", value=_plain(task.charge_above_V)),
            End(end_type=left("Voltage"), oper="<= ", step=GUARDS[1], value=_plain(task.charge_below_V)),
            End(end_type="StepTime", oper=" = ", step="time", value=time_text(task.charge_limit_s)),
        )
        note = f"{1000.0 * charge_Ah:.4f} mAh"
        if task.mass_mg > 0.0:
            note += f", {1e6 * charge_Ah / task.mass_mg:.4g} mAh/g of {task.mass_basis}"
        self._flow("Charge", task.current_A, self._charge_range, ends, note)
        self._rest((End(end_type="StepTime", oper=" = ", step=self._next(), value=time_text(task.rest_s)),))
        down = (
            End(end_type=left("Voltage"), oper="<= ", step=self._next(), value=_plain(task.discharge_to_V)),
            End(end_type="StepTime", oper=" = ", step="time", value=time_text(task.discharge_limit_s)),
        )
        self._flow("Dischrge", task.discharge_current_A, self._discharge_range, down, "")
        self._rest((End(end_type="StepTime", oper=" = ", step=self._next(), value=time_text(task.rest_s)),))
        self._control("AdvCycle")

    def _flow(self, kind: str, current_A: float, current_range: str, ends: tuple[End, ...], note: str) -> None:
        self._add(
            ProcedureStep(
                step_type=centred(kind),
                mode=left("Current"),
                value=self._amount(current_A),
                ends=ends,
                reports=(
                    ("StepTime", time_text(self._task.record_s)),
                    (left("Voltage"), _plain(self._task.record_V)),
                ),
                current_range=current_range,
                options=("N", "N", "N"),
                note=note,
            )
        )

    def _rest(self, ends: tuple[End, ...]) -> None:
        self._add(
            ProcedureStep(
                step_type=centred("Rest"),
                ends=ends,
                reports=(("StepTime", time_text(self._task.record_s)),),
                current_range=self._charge_range,
                options=("N", "N", "N"),
            )
        )

    def _control(self, kind: str) -> None:
        self._add(ProcedureStep(step_type=centred(kind)))

    # ----------------------------------------------------------------------------------------- targets

    def _add(self, step: ProcedureStep) -> None:
        self._steps.append(step)

    def _mark(self, name: str) -> None:
        self._names[name] = len(self._steps) + 1

    def _next(self) -> str:
        return str(len(self._steps) + 2)

    def _numbered(self, step: ProcedureStep) -> ProcedureStep:
        def number(end: End) -> End:
            target = int(end.step) if end.step.isdigit() else self._names[end.step]
            return replace(end, step=f"{target:03d}")

        return replace(step, ends=tuple(number(end) for end in step.ends))

    def _amount(self, value: float) -> str:
        return f"{_plain(value / self._unit_Ah)}C" if self._unit_Ah else _plain(value)


def _plain(value: float) -> str:
    """Return seven digits, without the zeros behind them and without an exponent: real files have plain decimals."""
    text = f"{value:.7g}"
    if "e" in text:
        text = f"{value:.12f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
