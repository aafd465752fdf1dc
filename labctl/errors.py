"""Everything labctl raises, drawn as a tree by whose fault it is.

::

    LabctlError                       exit code
    ├── InputError                    2   the author's: protocol, lab file, sample, arguments, data to analyse
    ├── InstrumentError               1   hardware's: carries instrument, command and reply
    │   ├── InstrumentSilent          1   no answer in time
    │   └── ForeignDataError          3   somebody else's data stand in our place; nothing was touched
    ├── SafetyRefusal                 3   labctl declines to go on
    │   └── Superseded                3   another engine has taken the station since; this one touches nothing more
    ├── PausedByPerson                4   a person paused or aborted
    └── InternalError                70   our bug

A message says what, where, the value, what would be right, and what to do next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

Severity = Literal["error", "warning", "advice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong (or doubtful) in a file somebody wrote.

    ``str()`` is the line people see: ``file:line:column: key path: what, value, what would be right``.
    Lines and columns count from 1; 0 means the place is not known (a missing file).
    """

    file: str
    line: int = 0
    column: int = 0
    key_path: str = ""
    what: str
    value: str = ""
    expected: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        place = self.file if not self.line else f"{self.file}:{self.line}:{self.column}"
        parts = [place, self.key_path, self.what if self.severity == "error" else f"{self.severity}: {self.what}"]
        text = ": ".join(part for part in parts if part)
        if self.value:
            text += f", got {self.value}"
        if self.expected:
            text += f"; {self.expected}"
        return text


class LabctlError(Exception):
    """Root of everything labctl raises.

    Parameters
    ----------
    what : str
        What is wrong, with the value.
    expected : str
        What would be right.
    next_step : str
        What a person should do now.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, expected: str = "", next_step: str = "") -> None:
        self.what = what
        self.expected = expected
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        text = self.what
        if self.expected:
            text += f"; expected {self.expected}"
        if self.next_step:
            text += f". {self.next_step}"
        return text


class InputError(LabctlError):
    """Something a person wrote or named cannot be used: exit code 2, one line per finding."""

    exit_code = 2

    def __init__(
        self, what: str = "", *, findings: tuple[Finding, ...] = (), expected: str = "", next_step: str = ""
    ) -> None:
        self.findings = findings
        super().__init__(
            what or "\n".join(str(finding) for finding in findings), expected=expected, next_step=next_step
        )


class InstrumentError(LabctlError):
    """An instrument failed, refused, or answered nonsense.

    Parameters
    ----------
    instrument : str
        Station name of the lab file.
    command, reply : str
        What was asked and what came back, as seen on the wire.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        instrument: str,
        command: str = "",
        reply: str = "",
        expected: str = "",
        next_step: str = "",
    ) -> None:
        self.instrument = instrument
        self.command = command
        self.reply = reply
        super().__init__(what, expected=expected, next_step=next_step)

    def __str__(self) -> str:
        told = {"command": self.command, "reply": self.reply}
        asked = ", ".join(f"{name} {text!r}" for name, text in told.items() if text)
        text = super().__str__() + (f" ({asked})" if asked else "")
        named = (f"{self.instrument}:", f"{self.instrument}/")  # an error within this one, or a step of the station
        return text if text.startswith(named) else f"{self.instrument}: {text}"


class InstrumentSilent(InstrumentError):
    """No answer came within the time allowed; what the instrument does is unknown."""


class ForeignDataError(InstrumentError):
    """Data or a test that is not ours stands where ours should go; nothing was touched."""

    exit_code = 3


class SafetyRefusal(LabctlError):
    """Going on would be unsafe: limits missing, a stage not signed, a rotor not seen spinning."""

    exit_code = 3


class Superseded(SafetyRefusal):
    """A later engine holds a station of ours: this one slept, and stops here without touching anything."""


class PausedByPerson(LabctlError):
    """The campaign stands because a person asked for it."""

    exit_code = 4


class InternalError(LabctlError):
    """labctl contradicts itself; please report it with the run folder."""
