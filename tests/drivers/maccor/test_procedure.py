"""The procedure of a cycling task: its capacities and hours, and guards that never look like a charge that was done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.formats.maccor_lint import ChannelSpan, lint, reckon
from labctl.formats.maccor_procedure import Procedure, amount, parse_procedure
from labctl.ports import CycleCell
from labctl_maccor._procedure import GUARDS, CapacityForm, Written, finest, write
from tests.drivers.maccor.orders import TASK

SPAN = ChannelSpan(voltage_min_V=0.0, voltage_max_V=10.0, ranges_A=(150e-6, 5e-3, 0.15, 5.0))
FORMS: tuple[CapacityForm, ...] = ("C", "Ah")


def _written(task: CycleCell, form: CapacityForm = "C") -> Written:
    return write(task, SPAN, form=form, current_range=None, margin_V=0.1, station="maccor")


def _wanted(task: CycleCell) -> list[float]:
    return [*task.charges_Ah, *[task.then_charge_Ah] * task.then_cycles]


@pytest.mark.parametrize("form", FORMS)
def test_series_and_loop(form: CapacityForm) -> None:
    """200 to 600 mAh/g once each, then 50 times 600: 55 cycles with the capacities asked for, without a finding."""
    written = _written(TASK, form)
    reckoning = reckon(written.procedure, crate_Ah=written.crate_Ah)
    assert reckoning.cycles == TASK.cycles == 55
    assert list(reckoning.charges_Ah) == pytest.approx(_wanted(TASK), rel=1e-6)
    assert reckoning.charge_s == pytest.approx(3600.0 * sum(_wanted(TASK)) / TASK.current_A, rel=1e-6)
    assert lint(written.procedure, file="x", channel=SPAN, crate_Ah=written.crate_Ah) == ()
    assert parse_procedure(written.text.encode("utf-8"), file="x") == written.procedure


_TASKS = st.builds(
    lambda series, cycles, then, current, time: replace(
        TASK,
        charges_Ah=tuple(series),
        then_cycles=cycles,
        then_charge_Ah=then,
        current_A=current,
        discharge_current_A=2.0 * current,
        charge_limit_s=time,
    ),
    st.lists(st.floats(1e-5, 1e-1), min_size=1, max_size=6),
    st.integers(0, 200),
    st.floats(1e-5, 1e-1),
    st.floats(1e-6, 1.0),
    st.floats(60.0, 1e6),
)


@given(_TASKS, st.sampled_from(FORMS))
def test_any_task_is_written_as_asked(task: CycleCell, form: CapacityForm) -> None:
    """Cycles, capacities and currents come out of the text as they went in, and the linter finds no error."""
    written = _written(task, form)
    read = parse_procedure(written.text.encode("utf-8"), file="x")
    assert list(reckon(read, crate_Ah=written.crate_Ah).charges_Ah) == pytest.approx(_wanted(task), rel=1e-5)
    for step in read.steps:
        if step.kind in {"Charge", "Dischrge"}:
            wanted = task.current_A if step.kind == "Charge" else task.discharge_current_A
            assert amount(step.value, written.crate_Ah) == pytest.approx(wanted, rel=1e-5)
            assert SPAN.ranges_A[int(step.current_range) - 1] >= wanted


@pytest.mark.parametrize("form", FORMS)
def test_every_guard_has_a_pause_and_an_end_of_its_own(form: CapacityForm) -> None:
    """Over-voltage, low voltage on charge, time and safety lead to four Pauses, each before an End after the normal."""
    procedure: Procedure = _written(TASK, form).procedure
    ends = [number for number, step in enumerate(procedure.steps, start=1) if step.kind == "End"]
    assert len(ends) == 1 + len(GUARDS)
    for step in procedure.steps:
        if step.kind != "Charge":
            continue
        capacity, *guards = step.ends
        assert procedure.step(capacity.target or 0).kind == "Rest"
        assert len({guard.target for guard in guards}) == 3
        for guard in guards:
            assert procedure.step(guard.target or 0).kind == "Pause"
            assert (guard.target or 0) + 1 in ends[1:]
    safety = [end for end in procedure.steps[0].ends if end.is_safety]
    assert {end.kind for end in safety} == {"Voltage", "Amp Hour"}


def test_the_finest_range_that_takes_the_current() -> None:
    """0.10 mA fits 150 uA, 0.207 mA needs 5 mA."""
    assert (finest(0.10367e-3, SPAN), finest(0.20735e-3, SPAN), finest(1.0, SPAN)) == (1, 2, 4)


def test_the_same_procedure_has_the_same_name() -> None:
    """Its name is a hash of its text: equal for equal tasks, another for any other."""
    assert _written(TASK).name == _written(replace(TASK)).name
    assert _written(TASK).name != _written(replace(TASK, rest_s=301.0)).name
    assert len(_written(TASK).name) <= 25
