"""Compile the statements of one function of an AU program."""

# ruff: noqa: ARG001, ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pycparser import c_ast

from labctl_sim_topspin._au_code import Label, Return, Step
from labctl_sim_topspin._au_declare import blank, fill_array, sized, zero
from labctl_sim_topspin._au_expressions import Expressions
from labctl_sim_topspin._au_scope import Node, Refused, Scope, Variable, line_of
from labctl_sim_topspin._au_values import Cells, CType


class Outside(Protocol):
    """What stands outside the function being compiled."""

    def prototype(self, expressions: Expressions, node: Node) -> None:
        """Take note of a declared function."""
        ...

    def static(self, expressions: Expressions, node: Node) -> Variable:
        """Make a variable that lives as long as the program."""
        ...


class Body:
    """Compiles the statements of one function."""

    def __init__(self, scope: Scope, outside: Outside) -> None:
        self.scope = scope
        self.outside = outside
        self.expressions = Expressions(scope)

    def statement(self, node: Node) -> None:
        """Compile one statement; what is refused is reported, and the rest is still looked at."""
        try:
            compile_node = getattr(self, f"_{type(node).__name__}", None)
            if compile_node is not None:
                compile_node(node)
            else:
                self.expressions.statement(node)
        except Refused as refused:
            if getattr(refused.node, "coord", None) is None:
                refused.node = node
            self.scope.unit.report(refused)

    def _Compound(self, node: Node) -> None:
        self.scope.blocks.append({})
        for item in node.block_items or []:
            self.statement(item)
        self.scope.blocks.pop()

    def _EmptyStatement(self, node: Node) -> None:
        """Nothing."""

    def _DeclList(self, node: Node) -> None:
        for declaration in node.decls:
            self.statement(declaration)

    def _Decl(self, node: Node) -> None:
        if isinstance(node.type, c_ast.FuncDecl):
            self.outside.prototype(self.expressions, node)
            return
        if "static" in node.storage:
            if node.name in self.scope.unit.system_names:
                raise Refused(
                    node, f"{node.name} hides a variable of TopSpin that the macros use", expected="another name"
                )
            self.scope.blocks[-1][node.name] = self.outside.static(self.expressions, node)
            return
        if node.storage:
            raise Refused(node, f"{' '.join(node.storage)} is outside the AU subset")
        ctype = sized(self.expressions, node)
        if ctype.kind == "void":
            raise Refused(node, f"{node.name} has type void")
        if ctype.kind == "array":
            self._array(node, ctype)
            return
        init = self.expressions.value(node.init) if node.init is not None else None
        variable = self.scope.declare(node, node.name, ctype)
        if variable.boxed:
            self.box(node, variable, fresh=True)
        if init is not None:
            place = self.expressions.place(c_ast.ID(node.name, node.coord))
            self.expressions.assign_step(node, place, self.expressions.assigned(node.init, init, ctype))
        elif not variable.boxed:
            self._set(node, variable.cell, lambda: None)

    def _array(self, node: Node, ctype: CType) -> None:
        start = blank(ctype)
        if node.init is not None:
            start = zero(ctype)
            fill_array(self.expressions, node, ctype, start)
        variable = self.scope.declare(node, node.name, ctype)
        self._set(node, variable.cell, lambda: list(start))

    def box(self, node: Node, variable: Variable, *, fresh: bool = False) -> None:
        """Give a variable whose address is taken a cell of its own."""
        cell = variable.cell

        def make(after: int) -> Step:
            def run(f: Cells, g: Cells) -> int:
                f[cell] = [None if fresh else f[cell]]
                return after

            return run

        self.scope.emitter.step(line_of(node), make)

    def _set(self, node: Node, cell: int, value: Callable[[], object]) -> None:
        def make(after: int) -> Step:
            def run(f: Cells, g: Cells) -> int:
                f[cell] = value()
                return after

            return run

        self.scope.emitter.step(line_of(node), make)

    # control

    def _If(self, node: Node) -> None:
        yes, no, end = Label(), Label(), Label()
        self.expressions.condition(node.cond, yes, no if node.iffalse is not None else end)
        self.scope.emitter.place(yes)
        self.statement(node.iftrue)
        if node.iffalse is not None:
            self.scope.emitter.jump(line_of(node), end)
            self.scope.emitter.place(no)
            self.statement(node.iffalse)
        self.scope.emitter.place(end)

    def _While(self, node: Node) -> None:
        self._loop(node, condition=node.cond, body=node.stmt, turn=None)

    def _For(self, node: Node) -> None:
        self.scope.blocks.append({})
        if node.init is not None:
            self.statement(node.init)
        self._loop(node, condition=node.cond, body=node.stmt, turn=node.next)
        self.scope.blocks.pop()

    def _loop(self, node: Node, *, condition: Node, body: Node, turn: Node) -> None:
        emitter = self.scope.emitter
        test, start, again, end = Label(), Label(), Label(), Label()
        emitter.place(test)
        if condition is not None:
            self.expressions.condition(condition, start, end)
        emitter.place(start)
        self.scope.loops.append((again, end))
        self.statement(body)
        self.scope.loops.pop()
        emitter.place(again)
        if turn is not None:
            self.statement(turn)
        emitter.jump(line_of(node), test)
        emitter.place(end)

    def _DoWhile(self, node: Node) -> None:
        emitter = self.scope.emitter
        start, again, end = Label(), Label(), Label()
        emitter.place(start)
        self.scope.loops.append((again, end))
        self.statement(node.stmt)
        self.scope.loops.pop()
        emitter.place(again)
        self.expressions.condition(node.cond, start, end)
        emitter.place(end)

    def _Break(self, node: Node) -> None:
        self.scope.emitter.jump(line_of(node), self._around(node)[1])

    def _Continue(self, node: Node) -> None:
        self.scope.emitter.jump(line_of(node), self._around(node)[0])

    def _around(self, node: Node) -> tuple[Label, Label]:
        if not self.scope.loops:
            raise Refused(node, f"{type(node).__name__.lower()} stands outside every loop")
        return self.scope.loops[-1]

    def _Return(self, node: Node) -> None:
        ev = None
        if node.expr is not None:
            if self.scope.result.kind == "void":
                raise Refused(node, f"{self.scope.name} is void but returns a value")
            val = self.expressions.value(node.expr)
            if val.size:
                raise Refused(
                    node,
                    f"{val.name} ends with the function: its address is returned",
                    expected="a buffer of the caller",
                )
            ev = self.expressions.assigned(node, val, self.scope.result).ev
        elif self.scope.result.kind != "void":
            raise Refused(node, f"{self.scope.name} returns nothing", expected=str(self.scope.result))
        self.scope.emitter.operation(line_of(node), lambda after: Return(ev))

    def _Goto(self, node: Node) -> None:
        raise Refused(node, "goto is outside the AU subset", expected="a loop, break or continue")

    def _Label(self, node: Node) -> None:
        raise Refused(node, "labels are outside the AU subset")

    def _Switch(self, node: Node) -> None:
        raise Refused(node, "switch is outside the AU subset", expected="if ... else if ...")

    def _FuncDef(self, node: Node) -> None:
        raise Refused(node, "a function within a function", expected="functions stand after QUIT")
