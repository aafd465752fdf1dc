"""Compile calls: of the program's own functions, of the C library, and of the macros that the console carries out."""

# ruff: noqa: ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pycparser import c_ast

from labctl_sim_topspin._au_code import Call, FormatCall, Operation, Sleep
from labctl_sim_topspin._au_console_calls import ConsoleCalls
from labctl_sim_topspin._au_formats import Wanted, print_format, scan, scan_format
from labctl_sim_topspin._au_library import LIBRARY, LibraryFunction, bounded
from labctl_sim_topspin._au_operators import NOTHING_LEFT, Val, converted, local
from labctl_sim_topspin._au_references import check_writable, number_out, text_out
from labctl_sim_topspin._au_scope import Node, Refused, Scope, line_of
from labctl_sim_topspin._au_table import MACROS
from labctl_sim_topspin._au_values import (
    DOUBLE,
    FILE,
    FLOAT,
    INT,
    SIZE,
    TEXT,
    TIME,
    Cells,
    Ev,
    Fault,
    put_text,
    text_at,
)

if TYPE_CHECKING:
    from labctl_sim_topspin._au_expressions import Expressions

_FORMATTED = {"sprintf", "snprintf", "fprintf", "sscanf", "Proc_err", "sleep", "time"}


def may_pause(scope: Scope, node: Node) -> bool:
    """Whether working out an expression takes steps of its own."""
    if isinstance(node, c_ast.FuncCall) and isinstance(node.name, c_ast.ID):
        name = node.name.name
        if name in scope.unit.functions or name in MACROS or name in {"Proc_err", "sleep"}:
            return True
        return any(may_pause(scope, argument) for argument in _arguments(node))
    if isinstance(node, c_ast.ExprList):
        return True
    return any(may_pause(scope, child) for _, child in node.children())


def _arguments(node: Node) -> list[Node]:
    return list(node.args.exprs) if node.args else []


class Calls:
    """Compiles the calls of one function."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.scope = expressions.scope
        self.console = ConsoleCalls(expressions)

    def call(self, node: Node, *, alone: bool = False) -> Val:
        """A call; ``alone``: its value is not used."""
        if not isinstance(node.name, c_ast.ID):
            raise Refused(node, "call through a pointer is outside the AU subset")
        name, nodes = node.name.name, _arguments(node)
        if name in self.scope.unit.functions:
            return self._own(node, name, nodes, alone=alone)
        if name in MACROS:
            self._count(node, nodes, len(MACROS[name].arguments))
            return self.console.call(node, MACROS[name], nodes, alone=alone)
        if name in LIBRARY:
            return self._library(node, name, LIBRARY[name], nodes)
        if name in _FORMATTED:
            val: Val = getattr(self, f"_{name}")(node, nodes)
            return val
        raise Refused(
            node, f"{name} is no function of the AU subset", expected="a function defined after QUIT, or one listed"
        )

    def _count(self, node: Node, nodes: list[Node], wanted: int, *, at_least: bool = False) -> None:
        if len(nodes) < wanted or (len(nodes) > wanted and not at_least):
            more = " or more" if at_least else ""
            raise Refused(node, f"{node.name.name} is given {len(nodes)} argument(s)", expected=f"{wanted}{more}")

    # own functions

    def _own(self, node: Node, name: str, nodes: list[Node], *, alone: bool) -> Val:
        signature = self.scope.unit.functions[name]
        self._count(node, nodes, len(signature.parameters))
        if not signature.defined:
            raise Refused(node, f"{name} is declared but never defined")
        vals = self.expressions.several(nodes)
        if not signature.declared:  # C takes an undeclared function to give int and sends what it is given
            if signature.result.kind != "int":
                raise Refused(
                    node,
                    f"{name} gives {signature.result} but is not declared before this line",
                    expected=f"a declaration of {name} above, so that C knows its type",
                )
            for argument, val, wanted in zip(nodes, vals, signature.parameters, strict=True):
                sent = DOUBLE if val.ctype.kind == "float" else INT if val.ctype.kind == "char" else val.ctype
                if sent.kind != ("int" if wanted.kind == "char" else wanted.kind):
                    raise Refused(
                        argument,
                        f"{val.ctype} is sent where {name}, not declared yet, takes {wanted}",
                        expected=f"a declaration of {name} above",
                    )
        assigned = [
            self.expressions.assigned(argument, val, wanted)
            for argument, val, wanted in zip(nodes, vals, signature.parameters, strict=True)
        ]
        arguments = tuple(val.ev for val in assigned)
        into = None if alone or signature.result.kind == "void" else self.scope.temporary(signature.result)

        def make(after: int) -> Operation:
            return Call(name, arguments, into, after)

        self.scope.emitter.operation(line_of(node), make)
        if into is None:
            return NOTHING_LEFT
        return local(signature.result, into, f"the value of {name}()")

    # C library

    def _library(self, node: Node, name: str, function: LibraryFunction, nodes: list[Node]) -> Val:
        self._count(node, nodes, len(function.parameters))
        vals = self.expressions.several(nodes)
        evs = []
        for number, (argument, val, wanted) in enumerate(zip(nodes, vals, function.parameters, strict=True)):
            if number == function.writes:
                check_writable(argument, val)
            evs.append(self.expressions.assigned(argument, val, wanted).ev)
        if name == "fgets" and vals[0].size and isinstance(vals[1].const, int) and vals[1].const > vals[0].size:
            raise Refused(
                nodes[1], f"fgets may overflow {vals[0].name}", value=str(vals[1].const), expected=f"{vals[0].size}"
            )
        if name == "strcpy" and vals[0].size and vals[1].text is not None and len(vals[1].text) >= vals[0].size:
            raise Refused(
                node,
                f"text does not fit {vals[0].name}",
                value=repr(vals[1].text),
                expected=f"{vals[0].size - 1} characters",
            )
        return Val(function.result, _applied(function, evs))

    def _time(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 1)
        if self.expressions.value(nodes[0]).const != 0:
            raise Refused(nodes[0], "time is given an address", expected="time(0)")
        return Val(TIME, lambda f, g: g[0].now_s())

    def _sleep(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 1)
        seconds = self.expressions.number(nodes[0])
        if not seconds.ctype.integral:
            raise Refused(nodes[0], f"sleep takes whole seconds, not {seconds.ctype}", expected="an int")
        into, ev = self.scope.temporary(INT), seconds.ev
        self.scope.emitter.operation(line_of(node), lambda after: Sleep(ev, into, after))
        return local(INT, into, "the value of sleep()")

    # formats

    def _text_constant(self, node: Node, what: str) -> str:
        val = self.expressions.value(node)
        if val.text is None:
            raise Refused(node, f"{what} is not constant text", expected='a literal, such as "%s"')
        return val.text

    def _formatted(self, node: Node, format_node: Node, nodes: list[Node], target: int | None = None) -> Ev:
        """What a printf format and its arguments give, as bytes; ``target``: a cell with the buffer written to."""
        text = self._text_constant(format_node, "the format")
        try:
            form = print_format(text)
        except ValueError as error:
            raise Refused(format_node, str(error)) from None
        if len(form.wants) != len(nodes):
            raise Refused(node, f"format wants {len(form.wants)} value(s), given {len(nodes)}", value=repr(text))
        vals = self.expressions.several(nodes)
        evs = [
            self._format_argument(argument, val, wanted, target)
            for argument, val, wanted in zip(nodes, vals, form.wants, strict=True)
        ]
        fill = form.fill
        if not evs:
            data = fill(())
            return lambda f, g: data
        return lambda f, g: fill(tuple([ev(f, g) for ev in evs]))

    def _format_argument(self, node: Node, val: Val, wanted: Wanted, target: int | None) -> Ev:
        ev = converted(val, INT).ev if val.boolean else val.ev
        kind = val.ctype.kind
        if wanted in {"int", "unsigned", "byte"} and kind in {"int", "char"}:
            if wanted == "int":
                return ev
            mask = 0xFFFFFFFF if wanted == "unsigned" else 0xFF
            return lambda f, g: ev(f, g) & mask
        if wanted == "double" and kind in {"float", "double"}:
            return ev
        if wanted == "text" and kind == "pointer" and val.ctype.elem == "char":
            return lambda f, g: _text_argument(ev(f, g), f, target)
        asked = {"int": "an int", "unsigned": "an int", "byte": "an int", "double": "a double", "text": "text"}[wanted]
        hint = " (cast to int)" if kind in {"size", "time"} else ""
        raise Refused(node, f"format wants {asked} but is given {val.ctype}", value=val.name, expected=f"{asked}{hint}")

    def _buffer(self, node: Node) -> tuple[Val, int]:
        val = self.expressions.assigned(node, self.expressions.value(node), TEXT)
        check_writable(node, val)
        return val, self.scope.temporary(TEXT)

    def _sprintf(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 2, at_least=True)
        target, cell = self._buffer(nodes[0])
        text, ev = self._formatted(node, nodes[1], nodes[2:], cell), target.ev

        def run(f: Cells, g: Cells) -> int:
            pointer = f[cell] = ev(f, g)
            data: bytes = text(f, g)
            put_text(pointer, data)
            return len(data)

        return Val(INT, run)

    def _snprintf(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 3, at_least=True)
        target, cell = self._buffer(nodes[0])
        room = self.expressions.assigned(nodes[1], self.expressions.value(nodes[1]), SIZE).ev
        text, ev = self._formatted(node, nodes[2], nodes[3:], cell), target.ev

        def run(f: Cells, g: Cells) -> int:
            pointer = f[cell] = ev(f, g)
            return bounded(pointer, room(f, g), text(f, g))

        return Val(INT, run)

    def _fprintf(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 2, at_least=True)
        file = self.expressions.assigned(nodes[0], self.expressions.value(nodes[0]), FILE).ev
        text = self._formatted(node, nodes[1], nodes[2:])
        return Val(INT, lambda f, g: g[0].puts(file(f, g), text(f, g)))

    def _Proc_err(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 2, at_least=True)
        option = self.expressions.assigned(nodes[0], self.expressions.value(nodes[0]), INT).ev
        text, into = self._formatted(node, nodes[1], nodes[2:]), self.scope.temporary(INT)
        self.scope.emitter.operation(line_of(node), lambda after: FormatCall(option, text, into, after))
        return local(INT, into, "the value of Proc_err()")

    def _sscanf(self, node: Node, nodes: list[Node]) -> Val:
        self._count(node, nodes, 2, at_least=True)
        source = self.expressions.assigned(nodes[0], self.expressions.value(nodes[0]), TEXT).ev
        text = self._text_constant(nodes[1], "the format")
        try:
            items = scan_format(text)
        except ValueError as error:
            raise Refused(nodes[1], str(error)) from None
        stored = [item for item in items if item.stored]
        if len(stored) != len(nodes) - 2:
            raise Refused(node, f"format stores {len(stored)} value(s), given {len(nodes) - 2}", value=repr(text))
        kinds = {"int": INT, "count": INT, "double": DOUBLE, "float": FLOAT}
        stores = []
        for argument, item in zip(nodes[2:], stored, strict=True):
            if item.kind == "text":
                stores.append(text_out(self.expressions, argument, item.spec, item.width + 1))
            elif item.kind == "byte":
                raise Refused(argument, "%c into a variable is outside the AU subset", expected="%s or an index")
            else:
                stores.append(number_out(self.expressions, argument, kinds[item.kind], item.spec))

        def run(f: Cells, g: Cells) -> int:
            values, returned = scan(items, text_at(source(f, g)))
            for value, store in zip(values, stores, strict=False):
                store(f, g, value)
            return returned

        return Val(INT, run)


def _applied(function: LibraryFunction, evs: list[Ev]) -> Ev:
    run = function.run
    if function.files:
        if len(evs) == 1:
            a = evs[0]
            return lambda f, g: run(g[0], a(f, g))
        if len(evs) == 2:
            a, b = evs
            return lambda f, g: run(g[0], a(f, g), b(f, g))
        return lambda f, g: run(g[0], *[ev(f, g) for ev in evs])
    if len(evs) == 1:
        a = evs[0]
        return lambda f, g: run(a(f, g))
    if len(evs) == 2:
        a, b = evs
        return lambda f, g: run(a(f, g), b(f, g))
    return lambda f, g: run(*[ev(f, g) for ev in evs])


def _text_argument(pointer: Any, f: Cells, target: int | None) -> str:
    if target is not None and pointer != 0 and f[target] != 0 and pointer[0] is f[target][0]:
        raise Fault("text is printed into its own buffer", expected="another buffer, or strcat")
    return text_at(pointer).decode("latin-1")
