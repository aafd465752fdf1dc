"""A console for AU programs: answers by script, remembers what it was asked, keeps files in one folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labctl.errors import Finding, InputError
from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._au_types import Answer, ParameterKind, Value

KINDS: dict[str, ParameterKind] = {
    "TE": "double",
    "D 8": "double",
    "MASR": "int",
    "TD": "int",
    "NS": "int",
    "RG": "float",
    "PULPROG": "text",
}
EPOCH_S = 1_790_000_000.0


@dataclass
class Console:
    """What AU programs meet; ``said`` holds the texts a program handed to XCMD, its way to speak in these tests."""

    folder: Path
    answers: dict[str, Callable[[Machine, tuple[Value, ...]], Answer]] = field(default_factory=dict)
    time_s: float = EPOCH_S
    asked: list[tuple[str, tuple[Value, ...]]] = field(default_factory=list)

    def call(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        self.asked.append((name, args))
        return self.answers[name](machine, args) if name in self.answers else Answer()

    def parameter_kind(self, name: str) -> ParameterKind | None:
        return KINDS.get(name)

    def wall_s(self) -> float:
        """Tell the same."""
        return self.now_s()

    def now_s(self) -> float:
        return self.time_s

    def path(self, name: str) -> Path:
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise InputError(f"{name} is outside the console")
        return path

    @property
    def said(self) -> list[str]:
        return [str(args[0]) for name, args in self.asked if name == "XCMD"]


def program(body: str, functions: str = "") -> str:
    """An AU source: a body, QUIT, and functions after it."""
    return f"{body}\nQUIT\n{functions}"


def start(source: str, console: Console, args: Sequence[str] = (), undo_log: Path | None = None) -> Machine:
    """A machine with a program compiled for the console, not yet run."""
    compiled = compile_program(source, file="test.c", parameter_kind=console.parameter_kind)
    return Machine(compiled, name="test", args=args, host=console, undo_log=undo_log)


def run(machine: Machine) -> Machine:
    """Run to the end, letting simulated time pass; whoever blocks is answered with 0."""
    while machine.state != "ended":
        machine.run()
        if machine.state == "sleeping":
            assert isinstance(machine.host, Console)
            assert machine.wake_s is not None
            machine.host.time_s = machine.wake_s
        elif machine.state == "blocked":
            machine.resume(Answer())
    return machine


def says(body: str, functions: str = "", console: Console | None = None) -> list[str]:
    """What a program says through XCMD until it ends."""
    console = console or Console(Path(tempfile.gettempdir()))
    run(start(program(body, functions), console))
    return console.said


def through_json(machine: Machine, undo_log: Path | None = None) -> Machine:
    """The machine after being written down and read back, as after a restart of the console."""
    data = json.loads(json.dumps(machine.snapshot(), allow_nan=False))
    return Machine.restore(machine.program, data, machine.host, undo_log=undo_log)


def refusals(source: str) -> tuple[Finding, ...]:
    """The findings of a program that must not compile."""
    with pytest.raises(InputError) as caught:
        compile_program(source, file="test.c", parameter_kind=KINDS.get)
    return caught.value.findings


def fault(body: str, functions: str = "", console: Console | None = None) -> Finding:
    """The finding of a program that must fail while it runs."""
    with pytest.raises(InputError) as caught:
        says(body, functions, console)
    (finding,) = caught.value.findings
    return finding
