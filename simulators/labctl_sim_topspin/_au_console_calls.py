"""Compile the macros that the console carries out, with the types each wants of its arguments."""

# ruff: noqa: ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

from typing import TYPE_CHECKING

from pycparser import c_ast

from labctl_sim_topspin._au_code import HostCall, Operation, Out, SetsAuerr
from labctl_sim_topspin._au_operators import NOTHING_LEFT, Val, converted, local
from labctl_sim_topspin._au_references import number_out, text_out
from labctl_sim_topspin._au_scope import Node, Refused, line_of
from labctl_sim_topspin._au_table import Macro
from labctl_sim_topspin._au_types import ParameterKind
from labctl_sim_topspin._au_values import DOUBLE, FLOAT, INT, TEXT, VOID, CType, Ev

if TYPE_CHECKING:
    from labctl_sim_topspin._au_expressions import Expressions

TEXT_BUFFER = CType("array", "char")
"""Type of an Out that is written as text into a buffer, where TEXT is a pointer that is set."""


class ConsoleCalls:
    """Compiles the macro calls of one function."""

    def __init__(self, expressions: Expressions) -> None:
        self.expressions = expressions
        self.scope = expressions.scope

    def call(self, node: Node, macro: Macro, nodes: list[Node], *, alone: bool) -> Val:
        """A call of a macro with as many arguments as it wants; ``alone``: its value is not used."""
        if macro.kind in {"command", "reading"} and not alone:
            raise Refused(
                node, f"{macro.name} stands within an expression", expected="a statement of its own; then look at AUERR"
            )
        inputs = [argument for argument, kind in zip(nodes, macro.arguments, strict=True) if not kind.startswith("out")]
        vals = iter(self.expressions.several(inputs))
        arguments: list[tuple[CType, Ev]] = []
        outs: list[Out] = []
        parameter: str | None = None
        checked = not any(kind == "parameter" for kind in macro.arguments)
        for argument, kind in zip(nodes, macro.arguments, strict=True):
            if kind == "out text":
                outs.append(self._pointer_out(argument, macro))
            elif kind == "out float":
                outs.append(self._float_out(argument, macro))
            elif kind == "out parameter":
                out, variable_kind = self._parameter_out(argument, macro)
                checked = self._check_parameter(node, macro, parameter, {variable_kind}, f"a {variable_kind} variable")
                outs.append(out)
                arguments.append(_python_text(variable_kind))
            elif kind == "parameter":
                val = next(vals)
                parameter = val.text
                arguments.append((TEXT, self.expressions.assigned(argument, val, TEXT).ev))
            elif kind == "parameter value":
                val = next(vals)
                fits, ctype = self._value_kinds(argument, val)
                checked = self._check_parameter(node, macro, parameter, fits, f"{val.ctype} {val.name}".strip())
                arguments.append((ctype, self.expressions.assigned(argument, val, ctype).ev))
            else:
                arguments.append(self._input(argument, next(vals), kind, macro))
        into = None
        if "expression" in macro.kind:
            into = self.scope.temporary(TEXT if macro.kind == "text expression" else INT)
        sets: SetsAuerr = "always" if macro.kind == "command" else "on failure" if macro.null_is_error else "never"

        def make(after: int) -> Operation:
            return HostCall(macro.name, tuple(arguments), tuple(outs), into, sets, checked, after)

        self.scope.emitter.operation(line_of(node), make)
        if into is None:
            return NOTHING_LEFT
        return local(TEXT if macro.kind == "text expression" else INT, into, f"the value of {macro.name}()")

    def _input(self, node: Node, val: Val, kind: str, macro: Macro) -> tuple[CType, Ev]:
        if kind == "int" and val.ctype.kind in {"int", "char"}:
            return INT, converted(val, INT).ev
        if kind == "double" and val.ctype.kind in {"float", "double"}:
            return DOUBLE, val.ev
        if kind == "text or 0" and val.const == 0:
            return INT, val.ev
        if kind.startswith("text") and val.ctype == TEXT:
            return TEXT, val.ev
        wanted = {"text": "text", "text or 0": "text", "int": "an int", "double": "a double"}[kind]
        raise Refused(
            node,
            f"{macro.name} is given {val.ctype} {val.name}".rstrip(),
            expected=f"{wanted}: the macro prints it into a command without converting it",
        )

    def _value_kinds(self, node: Node, val: Val) -> tuple[set[ParameterKind], CType]:
        if val.ctype.kind in {"int", "char"}:
            return {"int"}, INT
        if val.ctype.kind in {"float", "double"}:
            return {"double", "float"}, DOUBLE
        if val.ctype == TEXT:
            return {"text"}, TEXT
        raise Refused(node, f"{val.ctype} cannot be stored in a parameter", expected="int, double or text")

    def _check_parameter(
        self, node: Node, macro: Macro, name: str | None, fits: set[ParameterKind], given: str
    ) -> bool:
        ask = self.scope.unit.parameter_kind
        if ask is None or name is None:
            return False
        kind = ask(name)
        if kind is None:
            raise Refused(
                node, f"{macro.name}: TopSpin has no parameter {name!r}", expected='a name such as "TE" or "D 8"'
            )
        if kind not in fits:
            raise Refused(
                node,
                f"{macro.name}: parameter {name!r} is {kind}, given {given}",
                expected=f"{kind}: nothing converts it, on a console this corrupts memory",
            )
        return True

    def _pointer_out(self, node: Node, macro: Macro) -> Out:
        place = self.expressions.place(node) if isinstance(node, c_ast.ID) and not self._is_array(node) else None
        if place is None or place.ctype != TEXT:
            raise Refused(node, f"{macro.name} assigns a pointer", expected="a variable `const char *text`, without &")
        return Out(TEXT, place.store)

    def _float_out(self, node: Node, macro: Macro) -> Out:
        place = self.expressions.place(node) if isinstance(node, c_ast.ID) and not self._is_array(node) else None
        if place is None or place.ctype.kind != "float":
            raise Refused(
                node,
                f"{macro.name} takes the address of its argument itself and stores a float",
                expected="a variable of type float, without &",
            )
        return Out(FLOAT, place.store)

    def _is_array(self, node: Node) -> bool:
        variable = self.scope.find(node.name)
        return variable is not None and variable.ctype.kind == "array"

    def _parameter_out(self, node: Node, macro: Macro) -> tuple[Out, ParameterKind]:
        if isinstance(node, c_ast.UnaryOp) and node.op == "&":
            place = self.expressions.place(node.expr)
            kind = place.ctype.kind
            if kind not in {"int", "double", "float"} or place.readonly:
                raise Refused(
                    node,
                    f"{macro.name} stores into {place.ctype} {place.name}",
                    expected="int, double, float or char array",
                )
            if not place.simple:
                raise Refused(
                    node, f"{macro.name} stores into an element that is worked out", expected="a plain variable"
                )
            return Out(place.ctype, place.store), kind
        val = self.expressions.value(node)
        if val.ctype.kind == "pointer" and val.ctype.elem in {"int", "double", "float"} and not val.ctype.readonly:
            store = number_out(self.expressions, node, CType(val.ctype.elem), macro.name)
            return Out(CType(val.ctype.elem), store), val.ctype.elem
        return Out(TEXT_BUFFER, text_out(self.expressions, node, macro.name)), "text"


def _python_text(text: str) -> tuple[CType, Ev]:
    """An argument for the console that is not in the program's memory."""
    return VOID, lambda f, g: text
