"""Compiled code: steps that run one after another on two lists of cells, and the few that need the whole machine.

A step takes the cells of its function and the global cells and gives the number of the next step; it holds no state of
its own. Steps that may pause the program, or change the stack, are *operations*: their step gives -1 and the machine
carries them out. So between two steps a program is nothing but numbers, texts and lists.
"""

# ruff: noqa: ARG001 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from labctl_sim_topspin._au_values import Cells, CType, Ev, Store

Step = Callable[[Cells, Cells], int]
StepMaker = Callable[[int], Step]
"""From the number of the next step to the step."""


SetsAuerr = Literal["always", "on failure", "never"]


@dataclass(eq=False, slots=True)
class Label:
    """A place in the code that jumps lead to."""

    at: int = -1


@dataclass(frozen=True, slots=True)
class Out:
    """Where a value that the console answers goes: the C type it must have, and how to store it."""

    ctype: CType
    store: Store


@dataclass(frozen=True, slots=True)
class HostCall:
    """Ask the console for a macro; ``into`` takes its value, AUERR its return code.

    ``checked``: the types of parameter and variable were compared when the program was compiled.
    """

    name: str
    arguments: tuple[tuple[CType, Ev], ...]
    outs: tuple[Out, ...]
    into: int | None
    sets_auerr: SetsAuerr
    checked: bool
    after: int


@dataclass(frozen=True, slots=True)
class FormatCall:
    """Ask the console for ``Proc_err``: an option and a text."""

    option: Ev
    text: Ev
    into: int
    after: int


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for a number of seconds."""

    seconds: Ev
    into: int | None
    after: int


@dataclass(frozen=True, slots=True)
class Call:
    """Enter one of the program's own functions."""

    function: str
    arguments: tuple[Ev, ...]
    into: int | None
    after: int


@dataclass(frozen=True, slots=True)
class Return:
    """Leave a function with a value, or with none."""

    value: Ev | None


Operation = HostCall | FormatCall | Sleep | Call | Return


@dataclass(frozen=True, slots=True)
class Cell:
    """A named cell of a frame or of the globals, with the type of what stands in it."""

    name: str
    ctype: CType
    boxed: bool = False  # a scalar whose address is taken: its cell holds an array of one


@dataclass(eq=False, slots=True)
class Function:
    """One function's code. ``lines[i]`` is the source line of step ``i``."""

    name: str
    code: tuple[Step, ...] = ()
    operations: dict[int, Operation] = field(default_factory=dict)
    lines: tuple[int, ...] = ()
    cells: tuple[Cell, ...] = ()


@dataclass(eq=False, slots=True)
class Program:
    """A compiled AU program: free of state, may serve any number of machines."""

    file: str
    source_sha256: str
    functions: dict[str, Function]
    globals: tuple[Cell, ...]
    initial: Callable[[], Cells]
    literals: dict[bytes, bytes]


OperationMaker = Callable[[int], Operation]


@dataclass(slots=True)
class Emitter:
    """Collects the steps of one function; jumps to jumps are shortened when the code is built."""

    _made: list[tuple[int, StepMaker | None, OperationMaker | None, Label | None]] = field(default_factory=list)

    def step(self, line: int, make: StepMaker) -> None:
        """Add an ordinary step."""
        self._made.append((line, make, None, None))

    def operation(self, line: int, make: OperationMaker) -> None:
        """Add a step for the machine; ``make`` gets the number of the step after it."""
        self._made.append((line, None, make, None))

    def jump(self, line: int, label: Label) -> None:
        """Go on at a label."""
        self._made.append((line, None, None, label))

    def branch(self, line: int, condition: Ev, if_true: Label | None, if_false: Label | None) -> None:
        """Go on at one of two labels; None is the step after this one."""

        def make(after: int) -> Step:
            yes = after if if_true is None else self._follow(if_true.at)
            no = after if if_false is None else self._follow(if_false.at)

            def run(f: Cells, g: Cells) -> int:
                return yes if condition(f, g) else no

            return run

        self._made.append((line, make, None, None))

    def place(self, label: Label) -> None:
        """Put a label before the next step."""
        label.at = len(self._made)

    def build(self) -> tuple[tuple[Step, ...], dict[int, Operation], tuple[int, ...]]:
        """The steps, the operations by step number, and the source line of each step."""
        code: list[Step] = []
        operations: dict[int, Operation] = {}
        for number, (_, make, make_operation, label) in enumerate(self._made):
            after = self._follow(number + 1)
            if make is not None:
                code.append(make(after))
            elif make_operation is not None:
                operations[number] = make_operation(after)
                code.append(_machine_step)
            elif label is not None:
                code.append(_jump_step(self._follow(label.at)))
        return tuple(code), operations, tuple(line for line, *_ in self._made)

    def _follow(self, number: int) -> int:
        seen = set()
        while number < len(self._made) and number not in seen:
            seen.add(number)
            label = self._made[number][3]
            if label is None:
                break
            number = label.at
        return number


def _machine_step(f: Cells, g: Cells) -> int:
    return -1


def _jump_step(target: int) -> Step:
    def run(f: Cells, g: Cells) -> int:
        return target

    return run
