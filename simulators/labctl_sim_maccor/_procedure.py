"""Test procedures of a Maccor: `MaccorTestProcedure` XML in, steps out, compiled as the tester would before a start.

Field widths are padding and are stripped. A step's number is its position, from 1, counting Do, Loop, AdvCycle and End
(what the vendor's files show). What this tester cannot run is a compile error, never passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import fromstring

from labctl_sim_maccor._codes import Why

Kind = Literal["rest", "charge", "discharge", "do", "loop", "advance", "pause", "end"]
Quantity = Literal["step_time", "test_time", "voltage", "current", "amp_hour", "watt_hour", "loop", "cycle", "celsius"]

TICK_s = 0.01
_KINDS: dict[str, Kind] = {
    "rest": "rest",
    "charge": "charge",
    "chg func": "charge",
    "dischrge": "discharge",
    "dis func": "discharge",
    "advcycle": "advance",
    "pause": "pause",
    "end": "end",
}
_ENDS: dict[str, tuple[Quantity, Why]] = {
    "steptime": ("step_time", Why.STEP_TIME),
    "testtime": ("test_time", Why.TEST_TIME),
    "cycle": ("cycle", Why.CYCLE),
    "current": ("current", Why.CURRENT),
    "voltage": ("voltage", Why.VOLTAGE),
    "amp hour": ("amp_hour", Why.AMP_HOUR),
    "watt hr": ("watt_hour", Why.WATT_HOUR),
    "watthour": ("watt_hour", Why.WATT_HOUR),
    "loop cnt": ("loop", Why.LOOP_COUNT),
    "themocpl": ("celsius", Why.THERMOCOUPLE),  # spelt so in the vendor's files
}
_RANGES_A = {1: 150e-6, 2: 5e-3, 3: 0.15, 4: 5.0}
_SET_VARIABLE = re.compile(r"atEnd:\s*VAR(\d{1,2})\s*=\s*(\S+)", re.IGNORECASE)


class CompileError(Exception):
    """The procedure cannot be run; the text says which step and why."""


@dataclass(frozen=True, slots=True)
class Level:
    """A current, voltage or capacity: a number, a multiple of the test's C-rate number, or a variable."""

    value: float
    of: Literal["", "C", "VAR"] = ""

    def at(self, crate_Ah: float, variables: list[float]) -> float:
        """Return it for a test."""
        match self.of:
            case "C":
                return self.value * crate_Ah
            case "VAR":
                return variables[int(self.value) - 1]
            case _:
                return self.value


@dataclass(frozen=True, slots=True)
class End:
    """A condition that leaves the step, and where it leads (a step's number)."""

    quantity: Quantity
    why: Why
    oper: Literal["<=", ">="]
    level: Level
    target: int


@dataclass(frozen=True, slots=True)
class Reports:
    """When a record is taken; None: never for that reason."""

    every_ticks: int | None = None
    volts: float | None = None
    amps: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `level` is a current or a voltage, by `mode`."""

    number: int
    kind: Kind
    mode: Literal["", "current", "voltage"] = ""
    level: Level = Level(0.0)
    limit_V: Level | None = None
    limit_A: Level | None = None
    ends: tuple[End, ...] = ()
    reports: Reports = Reports()
    sets: tuple[tuple[int, float], ...] = ()
    range: int = 4
    loop: int = 0


@dataclass(frozen=True, slots=True)
class Procedure:
    """A compiled procedure. `safety`: the ends declared for the whole test (`ChanSafetyEnd`)."""

    name: str
    description: str
    steps: tuple[Step, ...]
    safety: tuple[End, ...]

    def step(self, number: int) -> Step:
        """Return a step by its number, from 1."""
        return self.steps[number - 1]

    def after_do(self, loop: int, before: int) -> int:
        """Return the number of the step after ``Do <loop>`` that belongs to a Loop step."""
        return (
            next(step.number for step in reversed(self.steps[:before]) if step.kind == "do" and step.loop == loop) + 1
        )


def read_procedure(path: Path) -> Procedure:
    """Return a procedure, compiled.

    Raises
    ------
    CompileError
        It is not a procedure, lacks an element, leads to a step that does not exist, or has what this tester cannot do.
    """
    try:
        root = fromstring(path.read_bytes())
    except (SyntaxError, ValueError) as problem:  # expat's ParseError is a SyntaxError, defusedxml's a ValueError
        raise CompileError(f"not XML: {problem}") from None
    listed = root.find("ProcSteps")
    if root.tag != "MaccorTestProcedure" or listed is None or root.find("header") is None:
        raise CompileError("not a MaccorTestProcedure with header and ProcSteps")
    found = [_step(element, number) for number, element in enumerate(listed, start=1)]
    steps = tuple(step for step, _ in found)
    if not steps:
        raise CompileError("there are no steps")
    procedure = Procedure(
        name=path.stem,
        description=(root.findtext("header/ProcDesc/desc") or "").strip(),
        steps=steps,
        safety=tuple(end for _, safety in found for end in safety),
    )
    _check(procedure)
    return procedure


def _check(procedure: Procedure) -> None:
    count = len(procedure.steps)
    for step in procedure.steps:
        for end in step.ends:
            if not 1 <= end.target <= count:
                raise CompileError(f"step {step.number} leads to step {end.target:03d}, and there are {count}")
        if step.kind == "loop":
            if not any(end.quantity == "loop" for end in step.ends):
                raise CompileError(f"step {step.number} is a Loop without a Loop Cnt end")
            if not any(s.kind == "do" and s.loop == step.loop for s in procedure.steps[: step.number - 1]):
                raise CompileError(f"step {step.number} closes Do {step.loop}, which is not open")
        if step.kind in {"rest", "charge", "discharge"} and not step.ends:
            raise CompileError(f"step {step.number} never ends")
    if procedure.steps[-1].kind not in {"end", "pause"}:
        raise CompileError("the last step is no End")


def _step(element: Element, number: int) -> tuple[Step, tuple[End, ...]]:
    where = f"step {number}"
    for tag in ("StepType", "StepMode", "StepValue", "Limits", "Ends", "Reports", "Range"):
        if element.find(tag) is None:
            raise CompileError(f"{where} has no {tag}")
    name = _text(element, "StepType").lower()
    kind = _KINDS.get(name)
    loop = 0
    if kind is None and (counted := re.fullmatch(r"(do|loop)\s*([1-4])", name)):
        kind, loop = ("do" if counted[1] == "do" else "loop"), int(counted[2])
    if kind is None:
        raise CompileError(f"{where}: this tester does not run step type {_text(element, 'StepType')!r}")
    ends, safety = _ends(element, where)
    step = Step(number=number, kind=kind, ends=ends, loop=loop)
    if kind in {"rest", "charge", "discharge"}:
        step = _electrical(element, where, step)
    return step, safety


def _electrical(element: Element, where: str, step: Step) -> Step:
    reports, sets = _reports(element, where)
    chosen = _text(element, "Range").upper()
    if chosen not in {"1", "2", "3", "4", "A", ""}:
        raise CompileError(f"{where}: range {chosen!r}")
    mode: Literal["", "current", "voltage"] = ""
    level = Level(0.0)
    if step.kind != "rest":
        named = _text(element, "StepMode").lower()
        function = _text(element, "StepType").lower().endswith("func")
        if named not in {"current", "voltage"} and not (function and not named):
            raise CompileError(f"{where}: this tester does not run mode {_text(element, 'StepMode')!r}")
        mode = "voltage" if named == "voltage" else "current"
        level = _level(_text(element, "StepValue").rpartition("|")[2], where)
    return Step(
        number=step.number,
        kind=step.kind,
        mode=mode,
        level=level,
        limit_V=_limit(element, "Voltage", where),
        limit_A=_limit(element, "Current", where),
        ends=step.ends,
        reports=reports,
        sets=sets,
        range=int(chosen) if chosen in {"1", "2", "3", "4"} else 0,
    )


def check_currents(procedure: Procedure, crate_Ah: float, variables: list[float], most_A: float) -> None:
    """Refuse currents above the step's range or the channel.

    Raises
    ------
    CompileError
        Naming the step.
    """
    for step in procedure.steps:
        if step.mode == "current":
            amps = abs(step.level.at(crate_Ah, variables))
            top_A = min(most_A, _RANGES_A.get(step.range, most_A))
            if amps > top_A * (1.0 + 1e-6):
                raise CompileError(f"step {step.number}: {amps:g} A is above its range of {top_A:g} A")


def _ends(element: Element, where: str) -> tuple[tuple[End, ...], tuple[End, ...]]:
    ends: list[End] = []
    safety: list[End] = []
    for entry in element.find("Ends") or ():
        name = _text(entry, "EndType")
        if name.lower() not in _ENDS:
            raise CompileError(f"{where}: this tester does not know the end {name!r}")
        quantity, why = _ENDS[name.lower()]
        target = _text(entry, "Step")
        if not target.isdigit():
            raise CompileError(f"{where}: end {name} leads to {target!r}")
        value = _text(entry, "Value")
        level = Level(float(ticks_of(value, where))) if quantity.endswith("_time") else _level(value, where)
        oper: Literal["<=", ">="] = "<=" if _text(entry, "Oper") == "<=" else ">="
        end = End(quantity, why, oper, level, int(target))
        ends.append(end)
        if _text(entry, "ChanSafetyEnd").lower() == "true":
            safety.append(end)
    return tuple(ends), tuple(safety)


def _reports(element: Element, where: str) -> tuple[Reports, tuple[tuple[int, float], ...]]:
    every: int | None = None
    volts: float | None = None
    amps: float | None = None
    sets: list[tuple[int, float]] = []
    for entry in element.find("Reports") or ():
        value = _text(entry, "Value")
        match _text(entry, "ReportType").lower():
            case "steptime":
                every = max(1, ticks_of(value, where))
            case "voltage":
                volts = _level(value, where).value
            case "current":
                amps = _level(value, where).value
            case "setvar":
                told = _SET_VARIABLE.fullmatch(value)
                if told is None:
                    raise CompileError(f"{where}: SetVar {value!r}")
                sets.append((int(told[1]), float(told[2])))
            case other:
                raise CompileError(f"{where}: this tester does not know the report {other!r}")
    return Reports(every, volts, amps), tuple(sets)


def _limit(element: Element, tag: str, where: str) -> Level | None:
    value = element.findtext(f"Limits/{tag}")
    return None if value is None or not value.strip() else _level(value.rpartition("|")[2].strip(), where)


def _level(text: str, where: str) -> Level:
    variable = re.fullmatch(r"VAR(\d{1,2})", text.strip(), re.IGNORECASE)
    if variable is not None and 1 <= int(variable[1]) <= 15:
        return Level(float(variable[1]), "VAR")
    number, of = (text[:-1], "C") if text[-1:].upper() == "C" else (text, "")
    try:
        return Level(float(number), "C" if of else "")
    except ValueError:
        raise CompileError(f"{where}: {text!r} is no value") from None


def ticks_of(text: str, where: str) -> int:
    """Return a time such as ``00:01:00``, ``3600::`` or ``::.01`` in ticks of 10 ms."""
    parts = text.split(":")
    try:
        hours, minutes, seconds = (float(part or 0) for part in parts)
    except ValueError:
        raise CompileError(f"{where}: {text!r} is no time") from None
    return round((hours * 3600 + minutes * 60 + seconds) / TICK_s)


def _text(element: Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()
