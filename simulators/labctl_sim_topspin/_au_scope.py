"""What the compiler knows while it works: variables in sight, functions declared, the code of one function so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pycparser import c_ast

from labctl.errors import Finding
from labctl_sim_topspin._au_code import Cell, Emitter, Label
from labctl_sim_topspin._au_macros import Expansion
from labctl_sim_topspin._au_operators import Val, local
from labctl_sim_topspin._au_types import ParameterKind
from labctl_sim_topspin._au_values import Cells, CType

Node = Any
"""A node of pycparser's tree (the library ships no types)."""


class Refused(Exception):
    """Something outside the subset; the compiler turns it into a Finding."""

    def __init__(self, node: Node, what: str, *, value: str = "", expected: str = "") -> None:
        self.node = node
        self.what = what
        self.value = value
        self.expected = expected
        super().__init__(what)


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable in sight: its type and its cell, of the function or of the program."""

    name: str
    ctype: CType
    cell: int
    is_global: bool = False
    boxed: bool = False


@dataclass(slots=True)
class Signature:
    """A function of the program: result, parameters, and whether it is declared before the place being compiled."""

    result: CType
    parameters: tuple[CType, ...]
    defined: bool = False
    declared: bool = False


@dataclass(slots=True)
class Unit:
    """One program while it is compiled."""

    file: str
    expansion: Expansion
    parameter_kind: Callable[[str], ParameterKind | None] | None
    functions: dict[str, Signature] = field(default_factory=dict)
    globals: list[Cell] = field(default_factory=list)
    global_names: dict[str, Variable] = field(default_factory=dict)
    system_names: frozenset[str] = frozenset()
    initial: list[Callable[[], Any]] = field(default_factory=list)
    literals: dict[bytes, bytes] = field(default_factory=dict)
    boxed_names: frozenset[str] = frozenset()
    findings: list[Finding] = field(default_factory=list)

    def literal(self, text: bytes) -> bytes:
        """The one constant that holds a text and its NUL."""
        return self.literals.setdefault(text, text + b"\0")

    def add_global(self, name: str, ctype: CType, initial: Callable[[], Any], *, boxed: bool = False) -> Variable:
        """A new cell of the program, made by ``initial`` for each machine."""
        self.globals.append(Cell(name, ctype, boxed))
        self.initial.append(initial)
        return Variable(name, ctype, len(self.globals) - 1, is_global=True, boxed=boxed)

    def report(self, refused: Refused) -> None:
        """Keep a refusal for the end."""
        coord = getattr(refused.node, "coord", None)
        line = coord.line if coord else 0
        column = self.expansion.column(line, coord.column or 1) if coord else 0
        finding = Finding(
            file=self.file, line=line, column=column, what=refused.what, value=refused.value, expected=refused.expected
        )
        if finding not in self.findings:
            self.findings.append(finding)


@dataclass(slots=True)
class Scope:
    """One function while it is compiled."""

    unit: Unit
    name: str
    result: CType
    emitter: Emitter = field(default_factory=Emitter)
    cells: list[Cell] = field(default_factory=list)
    blocks: list[dict[str, Variable]] = field(default_factory=lambda: [{}])
    loops: list[tuple[Label, Label]] = field(default_factory=list)
    """For each loop around the place being compiled: where ``continue`` and ``break`` go."""

    def find(self, name: str) -> Variable | None:
        """The variable of that name in sight."""
        for block in reversed(self.blocks):
            if name in block:
                return block[name]
        return self.unit.global_names.get(name)

    def declare(self, node: Node, name: str, ctype: CType) -> Variable:
        """A new local variable."""
        if name in self.blocks[-1]:
            raise Refused(node, f"{name} is declared twice")
        if name in self.unit.system_names:
            raise Refused(node, f"{name} hides a variable of TopSpin that the macros use", expected="another name")
        boxed = ctype.kind != "array" and name in self.unit.boxed_names
        variable = Variable(name, ctype, len(self.cells), boxed=boxed)
        self.cells.append(Cell(name, ctype, boxed))
        self.blocks[-1][name] = variable
        return variable

    def temporary(self, ctype: CType) -> int:
        """A new cell without a name."""
        self.cells.append(Cell("", ctype))
        return len(self.cells) - 1

    def keep(self, node: Node, val: Val) -> Val:
        """The value of an expression, worked out by a step of its own and kept."""
        if val.const is not None or val.text is not None:
            return val
        cell, inner = self.temporary(val.ctype), val.ev

        def make(after: int) -> Callable[[Cells, Cells], int]:
            def run(f: Cells, g: Cells) -> int:
                f[cell] = inner(f, g)
                return after

            return run

        self.emitter.step(line_of(node), make)
        return local(val.ctype, cell, val.name)


def line_of(node: Node) -> int:
    """The source line of a node."""
    coord = getattr(node, "coord", None)
    return coord.line if coord else 0


def addresses_taken(tree: Node) -> frozenset[str]:
    """Names of variables whose address some function of the program may keep or write through."""
    names: set[str] = set()

    def visit(node: Node, *, direct: bool) -> None:
        if isinstance(node, c_ast.UnaryOp) and node.op == "&" and isinstance(node.expr, c_ast.ID) and not direct:
            names.add(node.expr.name)
        callee = node.name.name if isinstance(node, c_ast.FuncCall) and isinstance(node.name, c_ast.ID) else ""
        out = callee == "sscanf" or callee.startswith("FETCHPAR")  # these store straight into the variable
        for _, child in node.children():
            if isinstance(child, c_ast.ExprList) and callee:
                for argument in child.exprs:
                    visit(argument, direct=out)
            else:
                visit(child, direct=False)

    visit(tree, direct=False)
    return frozenset(names)
