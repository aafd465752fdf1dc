"""Maccor procedures: real ones come back as the same tree, broken ones are refused by line, and the linter sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from labctl.errors import InputError
from labctl.formats.maccor_lint import ChannelSpan, lint, reckon
from labctl.formats.maccor_procedure import (
    End,
    Procedure,
    ProcedureStep,
    amount,
    centred,
    left,
    parse_procedure,
    procedure_text,
    read_procedure,
    seconds,
    time_text,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

REAL = ("EXP.000", "diagnosticV5.000", "goto_end_example.000")
WIDE = ChannelSpan(voltage_min_V=0.0, voltage_max_V=10.0, ranges_A=(150e-6, 5e-3, 0.15, 5.0))


def _tree(element: Element) -> Any:
    return element.tag, element.attrib, [_tree(child) for child in element] or element.text or ""


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_real_procedures_come_back_the_same(shared_data: Path, name: str) -> None:
    """Read and written again, a real procedure is the same tree, to the last blank of padding."""
    path = shared_data / "maccor" / "procedures" / name
    text = procedure_text(read_procedure(path))
    assert _tree(fromstring(text)) == _tree(fromstring(path.read_bytes()))


@pytest.mark.real_data
def test_a_broken_procedure_is_refused_by_line(shared_data: Path) -> None:
    """A step type that is none is refused with its line and step."""
    path = shared_data / "maccor" / "procedures" / "EXP_missing.000"
    with pytest.raises(InputError) as problem:
        read_procedure(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    for finding, wrong in zip(problem.value.findings, ("Do Test", "Loop Test"), strict=True):
        assert wrong in finding.value
        assert "<TestStep>" in lines[finding.line - 1]
        assert wrong in lines[finding.line]


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL[:2])
def test_real_procedures_have_no_errors(shared_data: Path, name: str) -> None:
    """What ran in a real lab passes the linter, whatever it warns of; and it comes to its end."""
    procedure = read_procedure(shared_data / "maccor" / "procedures" / name)
    found = lint(procedure, file=name, channel=WIDE, crate_Ah=1.1)
    assert [str(finding) for finding in found if finding.severity == "error"] == []
    assert reckon(procedure, crate_Ah=1.1).ends


@pytest.mark.real_data
def test_the_example_that_jumps_to_its_end(shared_data: Path) -> None:
    """A step that is never reached is seen, and so is a charge without an upper voltage."""
    procedure = read_procedure(shared_data / "maccor" / "procedures" / "goto_end_example.000")
    found = [str(finding) for finding in lint(procedure, file="goto_end")]
    assert any("step 2 (Charge)" in text and "never reached" in text for text in found)
    assert any("without an upper voltage" in text for text in found)
    assert reckon(procedure).nominal_s == 3 * 3600.0


# ----------------------------------------------------------------------------------- made-up procedures

_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20) | st.just("two\r\nlines")
_END = st.builds(
    End,
    end_type=st.sampled_from([left("Voltage"), "StepTime", "Amp Hour", left("Current")]),
    oper=st.sampled_from([" = ", ">= ", "<= "]),
    step=st.integers(1, 999).map(lambda number: f"{number:03d}"),
    value=_TEXT,
    safety=st.none() | st.just("True"),
)
_STEP = st.builds(
    ProcedureStep,
    step_type=st.sampled_from(["Rest", "Charge", "Dischrge", "Do 1", "Loop 1", "End"]).map(centred),
    mode=st.sampled_from([left("Current"), left("Voltage"), " " * 8]),
    value=_TEXT,
    limits=st.lists(st.tuples(st.sampled_from(["Voltage", "Current"]), _TEXT), max_size=2).map(tuple),
    ends=st.lists(_END, max_size=3).map(tuple),
    reports=st.lists(st.tuples(_TEXT, _TEXT), max_size=2).map(tuple),
    current_range=st.sampled_from(["", "1", "4", "A"]),
    options=st.sampled_from([("N", "N", "N"), ("", "", ""), ("N", "Y", "N", "N")]),
    note=_TEXT,
)
_PROCEDURE = st.builds(Procedure, steps=st.lists(_STEP, min_size=1, max_size=5).map(tuple), description=_TEXT)


@given(_PROCEDURE)
def test_what_is_written_is_read(procedure: Procedure) -> None:
    """Writing and reading give the same procedure, line breaks and markup in its notes included."""
    assert parse_procedure(procedure_text(procedure).encode("utf-8"), file="x.000") == procedure


@given(_PROCEDURE)
def test_the_linter_takes_anything(procedure: Procedure) -> None:
    """Whatever stands in a procedure, the linter says what is wrong with it, and the reckoning comes to an end."""
    lint(procedure, file="x.000", channel=WIDE, crate_Ah=1e-3)


@given(st.integers(1, 3600 * 3600 * 100))
def test_times_come_back(ticks: int) -> None:
    """A duration of whole ticks is written and read as itself."""
    text = time_text(ticks / 100.0)
    assert seconds(text) == pytest.approx(ticks / 100.0, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "value"), [("::.01", 0.01), ("3600::", 1.296e7), ("00:00:30", 30.0), ("22:00:00", 79200.0)]
)
def test_times_as_real_files_have_them(text: str, value: float) -> None:
    """Parts may be empty; both colons are there."""
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "::", "12", "1:2", "a:b:c", "1:2:3:4"])
def test_what_is_no_time(text: str) -> None:
    """Anything else is no time."""
    assert seconds(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("0.1429", 0.1429), ("2.0C", 2.2), ("1.0E-4", 1e-4), ("N/A", None), ("C", None), ("", None)]
)
def test_amounts(text: str, value: float | None) -> None:
    """Plain amperes and ampere hours, or multiples of the C-rate number."""
    assert amount(text, 1.1) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<a>",
        b"<MaccorTestProcedure><header/><Steps/></MaccorTestProcedure>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><MaccorTestProcedure>&a;</MaccorTestProcedure>',
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_procedure_is_refused(data: bytes) -> None:
    """Other XML, broken XML, entities and no XML at all are refused without a traceback."""
    with pytest.raises(InputError, match=r"bad\.000"):
        parse_procedure(data, file="bad.000")


# -------------------------------------------------------------------------------------------- the linter


def _end(kind: str, oper: str, step: int, value: str) -> End:
    return End(end_type=left(kind), oper=oper, step=f"{step:03d}", value=value)


def _good() -> Procedure:
    """Three cycles of 1 mAh at 0.1 mA."""
    charge = ProcedureStep(
        step_type=centred("Charge"),
        mode=left("Current"),
        value="0.0001",
        ends=(
            _end("Amp Hour", ">= ", 3, "0.001"),
            _end("Voltage", ">= ", 7, "2.1"),
            _end("Voltage", "<= ", 7, "0.3"),
            _end("StepTime", " = ", 7, "20:00:00"),
        ),
        current_range="1",
    )
    discharge = replace(
        charge,
        step_type=centred("Dischrge"),
        ends=(_end("Voltage", "<= ", 4, "0.8"), _end("StepTime", " = ", 7, "20:00:00")),
    )
    return Procedure(
        steps=(
            ProcedureStep(step_type=centred("Do 1")),
            charge,
            discharge,
            ProcedureStep(step_type="AdvCycle"),
            ProcedureStep(step_type=centred("Loop 1"), ends=(_end("Loop Cnt", " = ", 6, "3"),)),
            ProcedureStep(step_type=centred("End")),
            ProcedureStep(step_type=centred("Pause")),
            ProcedureStep(step_type=centred("End")),
        )
    )


def test_cycles_and_hours() -> None:
    """Three times 10 h of charging and as much of discharging; at most 20 h each."""
    reckoning = reckon(_good())
    assert (reckoning.cycles, reckoning.charges_Ah, reckoning.ends) == (3, (0.001, 0.001, 0.001), True)
    assert reckoning.charge_s == pytest.approx(3 * 10 * 3600.0)
    assert reckoning.nominal_s == pytest.approx(6 * 10 * 3600.0)
    assert reckoning.at_most_s == pytest.approx(6 * 20 * 3600.0)
    assert lint(_good(), file="x", channel=WIDE) == ()


def _with(number: int, **changes: Any) -> Callable[[Procedure], Procedure]:
    def change(procedure: Procedure) -> Procedure:
        steps = list(procedure.steps)
        steps[number - 1] = replace(steps[number - 1], **changes)
        return replace(procedure, steps=tuple(steps))

    return change


def _without_end(number: int, kind: str, oper: str = "") -> Callable[[Procedure], Procedure]:
    def change(procedure: Procedure) -> Procedure:
        ends = tuple(e for e in procedure.step(number).ends if not (e.kind == kind and oper in e.oper))
        return _with(number, ends=ends)(procedure)

    return change


def _retarget(number: int, index: int, step: str) -> Callable[[Procedure], Procedure]:
    def change(procedure: Procedure) -> Procedure:
        ends = list(procedure.step(number).ends)
        ends[index] = replace(ends[index], step=step)
        return _with(number, ends=tuple(ends))(procedure)

    return change


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_retarget(2, 0, "009"), "does not exist"),
        (_retarget(2, 1, "003"), "goes on alike"),
        (_retarget(3, 0, "003"), "goes to itself"),
        (_without_end(2, "Voltage", ">="), "without an upper voltage"),
        (_without_end(2, "Voltage", "<="), "shorted"),
        (_without_end(2, "StepTime"), "no time end"),
        (_without_end(3, "Voltage"), "without a lower voltage"),
        (_with(2, ends=()), "never ends"),
        (_with(5, ends=()), "how often"),
        (_with(5, ends=(_end("Loop Cnt", " = ", 6, "65501"),)), "further than the tester"),
        (_with(5, step_type=centred("Loop 2")), "innermost"),
        (_with(1, step_type=centred("Pause")), "innermost"),
        (_with(4, step_type=centred("Pause")), "never advances"),
        (_with(8, step_type=centred("Pause")), "no End"),
        (_with(2, value="0.0002"), "more current"),
        (_with(2, value="0.0001", current_range="3"), "less than 1 %"),
        (_with(2, value="x"), "no usable current"),
        (_with(2, ends=(_end("Voltage", ">= ", 3, "12"),)), "voltage the channel does not have"),
        (_with(3, ends=(_end("StepTime", " = ", 4, "1 h"), _end("Voltage", "<= ", 4, "0.8"))), "no time"),
        (_retarget(3, 0, "006"), "is never reached"),
    ],
)
def test_each_fault_is_seen(damage: Callable[[Procedure], Procedure], says: str) -> None:
    """Each way to spoil a good procedure is named, with its step where it has one."""
    found = [str(finding) for finding in lint(damage(_good()), file="x", channel=WIDE)]
    assert any(says in text for text in found), found
