"""Maccor test procedures (``MaccorTestProcedure`` XML, ``.000``): read strictly, written as the tester writes them.

Layout as seen in public procedures (BEEP, battetl): a header, then a flat list of steps numbered by their position from
1, with Do, Loop, AdvCycle and End counted too. Texts are padded to eight characters; readers strip and writers pad, so
the model keeps the text exactly as it stands and offers it stripped. What is read and written again is the same tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from labctl.errors import Finding, InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

STEP_TYPES = ("Rest", "Charge", "Dischrge", "AdvCycle", "End", "Pause", "FastWave", "FRA", "Chg Func", "Dis Func")
LOOPS = tuple(f"{word} {number}" for word in ("Do", "Loop") for number in range(1, 5))
END_TYPES = ("StepTime", "Voltage", "Current", "Loop Cnt", "Amp Hour", "Watt Hr", "Themocpl")
OPERATORS = ("=", ">=", "<=")
MAX_BYTES = 5_000_000
_WIDTH = 8
_PLAIN = ("StepType", "StepMode", "StepValue")
_CHILDREN = (*_PLAIN, "Limits", "Ends", "Reports", "Range", "Option1", "Option2", "Option3", "StepNote")
_END_CHILDREN = ("EndType", "SpecialType", "Oper", "Step", "Value")
_TIME = re.compile(r"(\d*):(\d*):(\d*\.?\d*)")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One condition under which a step ends, and the step that follows then. Texts as they stand in the file."""

    end_type: str
    oper: str
    step: str
    value: str
    special: str = " "
    safety: str | None = None

    @property
    def kind(self) -> str:
        """Type of the end without padding."""
        return self.end_type.strip()

    @property
    def target(self) -> int | None:
        """Number of the step that follows; None if the text is no number."""
        text = self.step.strip()
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def is_safety(self) -> bool:
        """A safety end of the whole test, declared in its first step."""
        return (self.safety or "").strip().lower() == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcedureStep:
    """One step; its number is its position. Texts as they stand in the file."""

    step_type: str
    mode: str = " " * _WIDTH
    value: str = ""
    limits: tuple[tuple[str, str], ...] = ()
    ends: tuple[End, ...] = ()
    reports: tuple[tuple[str, str], ...] = ()
    current_range: str = ""
    options: tuple[str, ...] = ("", "", "")
    note: str = ""

    @property
    def kind(self) -> str:
        """Type of the step without padding."""
        return " ".join(self.step_type.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A test procedure."""

    steps: tuple[ProcedureStep, ...]
    build: tuple[str, str, str, str] = ("1", "5", "7006", "32043")
    file_format: str = "11"
    description: str = ""

    def step(self, number: int) -> ProcedureStep:
        """Return a step by its number, from 1."""
        return self.steps[number - 1]


# --------------------------------------------------------------------------------------------- values


def seconds(text: str) -> float | None:
    """Return a duration (``00:00:30``, ``::.01``, ``3600::``) in seconds, None if it is none."""
    match = _TIME.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, rest = (float(part) if part not in {"", "."} else 0.0 for part in match.groups())
    return 3600.0 * hours + 60.0 * minutes + rest


def time_text(duration_s: float) -> str:
    """Return a duration as procedures write it: ``40:00:00``, to the tester's tick of 10 ms."""
    ticks = round(duration_s * 100.0)
    minutes, rest = divmod(ticks, 6000)
    hours, minutes = divmod(minutes, 60)
    tail = f".{rest % 100:02d}" if rest % 100 else ""
    return f"{hours:02d}:{minutes:02d}:{rest // 100:02d}{tail}"


def amount(text: str, crate_Ah: float | None) -> float | None:
    """Return a current or capacity [A, Ah]; ``0.5C`` is a multiple of `crate_Ah`. None if it is none (or needs one)."""
    stripped = text.strip()
    multiple = stripped[-1:] in {"C", "c"}
    digits = stripped[:-1].strip() if multiple else stripped
    if not _NUMBER.fullmatch(digits) or (multiple and crate_Ah is None):
        return None
    return float(digits) * (crate_Ah if multiple and crate_Ah is not None else 1.0)


def is_multiple(text: str) -> bool:
    """Whether a value is a multiple of the C-rate number."""
    stripped = text.strip()
    return stripped[-1:] in {"C", "c"} and _NUMBER.fullmatch(stripped[:-1].strip()) is not None


def centred(text: str) -> str:
    """Return a step type in its field of eight: ``  Rest  ``."""
    return text.center(_WIDTH)


def left(text: str) -> str:
    """Return a mode, end or report type in its field of eight: ``Current ``."""
    return text.ljust(_WIDTH)


# -------------------------------------------------------------------------------------------- reading


def read_procedure(path: Path) -> Procedure:
    """Return the procedure of a file.

    Raises
    ------
    InputError
        It cannot be read, or is not a procedure that labctl understands; file, line and value.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} is larger than {MAX_BYTES} bytes: not a test procedure")
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror or problem}") from None
    return parse_procedure(data, file=str(path))


def parse_procedure(data: bytes, *, file: str) -> Procedure:
    """Return the procedure in `data`; `file` is named in messages.

    Raises
    ------
    InputError
        It is not a procedure that labctl understands; line, step, and value of each mistake.
    """
    return _Reader(data, file).procedure()


class _Reader:
    def __init__(self, data: bytes, file: str) -> None:
        self._file = file
        self._lines = [data.count(b"\n", 0, match.start()) + 1 for match in re.finditer(rb"<TestStep\s*>", data)]
        self._findings: list[Finding] = []
        try:
            self._root: Element = fromstring(data, forbid_dtd=True)
        except ParseError as problem:
            line, column = problem.position
            self._give_up("is not well-formed XML", str(problem), line=line, column=column + 1)
        except (DefusedXmlException, ValueError, LookupError) as problem:
            self._give_up("is not a test procedure", str(problem))

    def _give_up(self, what: str, value: str, *, line: int = 0, column: int = 0) -> None:
        finding = Finding(
            file=self._file, line=line, column=column, what=what, value=value, expected="MaccorTestProcedure XML"
        )
        raise InputError(findings=(finding,))

    def _refuse(self, step: int, key: str, what: str, value: str, expected: str) -> None:
        line = self._lines[step - 1] if 0 < step <= len(self._lines) else 0
        path = f"ProcSteps/TestStep[{step}]/{key}" if step else key
        self._findings.append(
            Finding(
                file=self._file, line=line, column=1 if line else 0, key_path=path, what=what, value=value,
                expected=expected,
            )
        )  # fmt: skip

    def procedure(self) -> Procedure:
        root = self._root
        if root.tag != "MaccorTestProcedure" or [child.tag for child in root] != ["header", "ProcSteps"]:
            self._give_up("has another layout", f"{root.tag} with {', '.join(child.tag for child in root)[:120]}")
        header, listed = root
        steps = tuple(self._step(number, element) for number, element in enumerate(listed, start=1))
        build = tuple(self._header(header, f"BuildTestVersion/{n}") for n in ("major", "minor", "release", "build"))
        found = Procedure(
            steps=steps,
            build=(build[0], build[1], build[2], build[3]),
            file_format=self._header(header, "FileFormatVersion/BTVersion"),
            description=self._header(header, "ProcDesc/desc"),
        )
        if not steps:
            self._refuse(0, "ProcSteps", "has no steps", "", "at least one TestStep")
        if self._findings:
            raise InputError(findings=tuple(self._findings))
        return found

    def _header(self, header: Element, path: str) -> str:
        element = header.find(path)
        if element is None:
            self._refuse(0, f"header/{path}", "is missing", "", "")
            return ""
        return element.text or ""

    def _step(self, number: int, element: Element) -> ProcedureStep:
        tags = tuple(child.tag for child in element)
        extra = (*_CHILDREN[:-1], "Option4", _CHILDREN[-1])
        if element.tag != "TestStep" or tags not in {_CHILDREN, extra}:
            self._refuse(number, "", "has other parts than a step", ", ".join(tags)[:200], ", ".join(_CHILDREN))
            return ProcedureStep(step_type="")
        part = {child.tag: child for child in element}
        step = ProcedureStep(
            step_type=part["StepType"].text or "",
            mode=part["StepMode"].text or "",
            value=part["StepValue"].text or "",
            limits=tuple((child.tag, child.text or "") for child in part["Limits"]),
            ends=tuple(self._end(number, child) for child in part["Ends"]),
            reports=tuple(self._report(number, child) for child in part["Reports"]),
            current_range=part["Range"].text or "",
            options=tuple(part[tag].text or "" for tag in tags if tag.startswith("Option")),
            note=part["StepNote"].text or "",
        )
        if step.kind not in STEP_TYPES + LOOPS:
            self._refuse(
                number, "StepType", "is not a type of step", repr(step.kind), ", ".join((*STEP_TYPES, "Do 1", "Loop 1"))
            )
        for name, _ in step.limits:
            if name not in {"Voltage", "Current"}:
                self._refuse(number, "Limits", "is not a limit", name, "Voltage or Current")
        return step

    def _end(self, number: int, element: Element) -> End:
        tags = tuple(child.tag for child in element)
        if element.tag != "EndEntry" or tags not in {_END_CHILDREN, (*_END_CHILDREN, "ChanSafetyEnd")}:
            self._refuse(number, "Ends", "has other parts than an end", ", ".join(tags)[:200], ", ".join(_END_CHILDREN))
            return End(end_type="", oper="", step="", value="")
        part = {child.tag: child.text or "" for child in element}
        end = End(
            end_type=part["EndType"],
            special=part["SpecialType"],
            oper=part["Oper"],
            step=part["Step"],
            value=part["Value"],
            safety=part.get("ChanSafetyEnd"),
        )
        if end.kind not in END_TYPES:
            self._refuse(number, "Ends", "has an end of unknown type", repr(end.kind), ", ".join(END_TYPES))
        if end.oper.strip() not in OPERATORS:
            self._refuse(number, "Ends", "has an unknown operator", repr(end.oper), ", ".join(OPERATORS))
        if end.target is None:
            self._refuse(number, "Ends", "does not say which step follows", repr(end.step), "three digits, such as 004")
        return end

    def _report(self, number: int, element: Element) -> tuple[str, str]:
        tags = tuple(child.tag for child in element)
        if element.tag != "ReportEntry" or tags != ("ReportType", "Value"):
            self._refuse(number, "Reports", "has other parts than a report", ", ".join(tags)[:200], "ReportType, Value")
            return "", ""
        return element[0].text or "", element[1].text or ""


# -------------------------------------------------------------------------------------------- writing


def procedure_text(procedure: Procedure) -> str:
    """Return the file's text: LF, two blanks of indent, empty containers as ``<Ends/>``, empty texts as a pair."""
    major, minor, release, build = procedure.build
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<?maccor-application progid="Maccor Procedure File"?>',
        "<MaccorTestProcedure>",
        "  <header>",
        "    <BuildTestVersion>",
        *(
            _leaf(6, tag, text)
            for tag, text in (("major", major), ("minor", minor), ("release", release), ("build", build))
        ),
        "    </BuildTestVersion>",
        "    <FileFormatVersion>",
        _leaf(6, "BTVersion", procedure.file_format),
        "    </FileFormatVersion>",
        "    <ProcDesc>",
        _leaf(6, "desc", procedure.description),
        "    </ProcDesc>",
        "  </header>",
        "  <ProcSteps>",
    ]
    for step in procedure.steps:
        lines += _step_lines(step)
    return "\n".join([*lines, "  </ProcSteps>", "</MaccorTestProcedure>", ""])


def _leaf(indent: int, tag: str, text: str) -> str:
    # A carriage return as such would come back as a line feed.
    return f"{' ' * indent}<{tag}>{escape(text, quote=False).replace(chr(13), '&#13;')}</{tag}>"


def _block(tag: str, inside: list[str]) -> list[str]:
    return [f"      <{tag}>", *inside, f"      </{tag}>"] if inside else [f"      <{tag}/>"]


def _step_lines(step: ProcedureStep) -> list[str]:
    ends: list[str] = []
    for end in step.ends:
        parts = zip(_END_CHILDREN, (end.end_type, end.special, end.oper, end.step, end.value), strict=True)
        ends += ["        <EndEntry>", *(_leaf(10, tag, text) for tag, text in parts)]
        ends += [_leaf(10, "ChanSafetyEnd", end.safety)] if end.safety is not None else []
        ends.append("        </EndEntry>")
    reports: list[str] = []
    for kind, value in step.reports:
        reports += ["        <ReportEntry>", _leaf(10, "ReportType", kind), _leaf(10, "Value", value)]
        reports.append("        </ReportEntry>")
    return [
        "    <TestStep>",
        *(_leaf(6, tag, text) for tag, text in zip(_PLAIN, (step.step_type, step.mode, step.value), strict=True)),
        *_block("Limits", [_leaf(8, tag, text) for tag, text in step.limits]),
        *_block("Ends", ends),
        *_block("Reports", reports),
        _leaf(6, "Range", step.current_range),
        *(_leaf(6, f"Option{number}", text) for number, text in enumerate(step.options, start=1)),
        _leaf(6, "StepNote", step.note),
        "    </TestStep>",
    ]
