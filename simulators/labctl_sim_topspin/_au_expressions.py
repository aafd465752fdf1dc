"""Compile C expressions.

Most expressions become one Python function each. Whatever may pause the program (a macro, ``sleep``, one of the
program's own functions) becomes a step before it, and what was already worked out is kept in a cell meanwhile, so that
a pause never stands in the middle of Python code.
"""

# ruff: noqa: ARG001, ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

import re
from typing import Any

from pycparser import c_ast

from labctl_sim_topspin._au_calls import Calls, may_pause
from labctl_sim_topspin._au_code import Label, Step
from labctl_sim_topspin._au_declare import literal_bytes, type_of
from labctl_sim_topspin._au_operators import (
    COMPARISONS,
    NOTHING_LEFT,
    Val,
    arithmetic,
    comparison,
    complement,
    constant,
    converted,
    inverted,
    local,
    negated,
)
from labctl_sim_topspin._au_places import Place, element_access, element_place, variable_place
from labctl_sim_topspin._au_scope import Node, Refused, Scope, line_of
from labctl_sim_topspin._au_table import CONSTANTS
from labctl_sim_topspin._au_values import (
    BYTES,
    DOUBLE,
    FLOAT,
    INT,
    INT_MAX,
    SCALARS,
    SIZE,
    TEXT,
    VOID,
    Cells,
    CType,
    Elem,
    Ev,
    Fault,
    common_type,
    moved,
)


class Expressions:
    """Compiles the expressions of one function."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.calls = Calls(self)

    # entry points

    def value(self, node: Node) -> Val:
        """An expression with a value, arrays turned into pointers."""
        val = self.any(node)
        if val.ctype.kind == "void":
            raise Refused(node, "a function without a value is used as a value")
        return val

    def number(self, node: Node) -> Val:
        """An expression that is a number."""
        val = self.value(node)
        if not val.ctype.arithmetic:
            raise Refused(node, f"{val.ctype} is used as a number")
        return val

    def any(self, node: Node) -> Val:
        """An expression that may have no value."""
        compile_node = getattr(self, f"_{type(node).__name__}", None)
        if compile_node is None:
            raise Refused(node, f"{type(node).__name__} expression is outside the AU subset")
        val: Val = compile_node(node)
        return val

    def several(self, nodes: list[Node]) -> list[Val]:
        """Expressions worked out from left to right, each kept if a later one may pause."""
        vals = []
        for place, node in enumerate(nodes):
            val = self.value(node)
            later = any(may_pause(self.scope, other) for other in nodes[place + 1 :])
            vals.append(self.scope.keep(node, val) if later else val)
        return vals

    def condition(self, node: Node, if_true: Label, if_false: Label) -> None:
        """Steps that go on at one label or the other."""
        if may_pause(self.scope, node):
            if isinstance(node, c_ast.UnaryOp) and node.op == "!":
                self.condition(node.expr, if_false, if_true)
                return
            if isinstance(node, c_ast.BinaryOp) and node.op in {"&&", "||"}:
                between = Label()
                if node.op == "&&":
                    self.condition(node.left, between, if_false)
                else:
                    self.condition(node.left, if_true, between)
                self.scope.emitter.place(between)
                self.condition(node.right, if_true, if_false)
                return
        val = self.truth(node)
        if val.const is not None:
            self.scope.emitter.jump(line_of(node), if_true if val.const else if_false)
        else:
            self.scope.emitter.branch(line_of(node), val.ev, if_true, if_false)

    def truth(self, node: Node) -> Val:
        """An expression whose truth is asked."""
        return self.value(node)

    def assigned(self, node: Node, val: Val, to: CType) -> Val:
        """The value as C converts it in an assignment, an argument or a return."""
        if to.arithmetic and val.ctype.arithmetic:
            return converted(val, to)
        if to.kind == "pointer" and (val.ctype == to or val.const == 0):
            return val
        if to.kind == "file" and (val.ctype.kind == "file" or val.const == 0):
            return val
        raise Refused(node, f"{val.ctype} is given where {to} is wanted", value=val.name)

    def constant_int(self, node: Node, what: str) -> int:
        """A constant expression of type int, such as the size of an array."""
        if may_pause(self.scope, node):
            raise Refused(node, f"{what} is not a constant")
        val = self.value(node)
        if not isinstance(val.const, int):
            raise Refused(node, f"{what} is not a constant whole number")
        return val.const

    # plain operands

    def _Constant(self, node: Node) -> Val:
        text = node.value
        match node.type:
            case "string":
                data = literal_bytes(node, text)
                cells = self.scope.unit.literal(data)
                return Val(TEXT, lambda f, g: (cells, 0), text=data.decode("latin-1"))
            case "int" if text[0] != "'":
                number = int(text, 8) if re.fullmatch("0[0-7]+", text) else int(text, 0)
                if number > INT_MAX:
                    raise Refused(node, "number does not fit an int", value=text)
                return constant(INT, number)
            case "char" | "int":
                data = literal_bytes(node, text)
                if len(data) != 1:
                    raise Refused(node, "character constant is not one character", value=text)
                return constant(INT, data[0] - 256 if data[0] > 127 else data[0])
            case "double":
                return constant(DOUBLE, float(text))
            case "float":
                return converted(constant(DOUBLE, float(text.rstrip("fF"))), FLOAT)
        raise Refused(
            node, f"constant of type {node.type} is outside the AU subset", value=text, expected="int or double"
        )

    def _ID(self, node: Node) -> Val:
        variable = self.scope.find(node.name)
        if variable is None:
            if node.name in CONSTANTS:
                return constant(INT, CONSTANTS[node.name])
            raise Refused(node, f"{node.name} is not declared", expected=_hint(node.name))
        ctype, cell = variable.ctype, variable.cell
        if ctype.kind == "array":
            ev: Ev = (lambda f, g: (g[cell], 0)) if variable.is_global else (lambda f, g: (f[cell], 0))
            pointer = CType("pointer", ctype.elem, readonly=ctype.readonly)
            return Val(pointer, ev, name=node.name, size=ctype.size)
        if not variable.is_global and not variable.boxed:
            return local(ctype, cell, node.name)
        return Val(ctype, variable_place(variable).load, name=node.name)

    def _ArrayRef(self, node: Node) -> Val:
        place = self.place(node)
        return Val(place.ctype, place.load, name=place.name)

    # places

    def place(self, node: Node) -> Place:
        """Something that can be assigned to."""
        if isinstance(node, c_ast.ID):
            variable = self.scope.find(node.name)
            if variable is None:
                raise Refused(node, f"{node.name} is not declared", expected=_hint(node.name))
            if variable.ctype.kind == "array":
                raise Refused(node, f"array {node.name} cannot be assigned", expected="strcpy for text")
            return variable_place(variable)
        if isinstance(node, c_ast.ArrayRef):
            base, index = self.several([node.name, node.subscript])
            if base.ctype.kind != "pointer":
                raise Refused(node, f"{base.ctype} cannot be indexed")
            if not index.ctype.integral:
                raise Refused(node.subscript, f"index is {index.ctype}", expected="int")
            return element_place(node, base, index, simple=_plain(node.name) and _plain(node.subscript))
        if isinstance(node, c_ast.UnaryOp) and node.op == "*":
            base = self.value(node.expr)
            if base.ctype.kind != "pointer":
                raise Refused(node, f"{base.ctype} is no pointer")
            return element_place(node, base, constant(INT, 0), simple=_plain(node.expr))
        raise Refused(node, "this cannot be assigned to")

    # assignment

    def _Assignment(self, node: Node) -> Val:
        place, val = self._assignment_parts(node)
        store, ev = place.store, val.ev

        def run(f: Cells, g: Cells) -> Any:
            value = ev(f, g)
            store(f, g, value)
            return value

        return Val(place.ctype, run)

    def _assignment_parts(self, node: Node) -> tuple[Place, Val]:
        pauses = may_pause(self.scope, node.rvalue)
        if node.op == "=":
            if pauses:
                value = self.scope.keep(node, self.value(node.rvalue))
                place = self._writable_place(node.lvalue)
            else:
                place = self._writable_place(node.lvalue)
                value = self.value(node.rvalue)
            return place, self.assigned(node, value, place.ctype)
        right = self.value(node.rvalue)
        if pauses:
            right = self.scope.keep(node, right)
        place = self._twice(self._writable_place(node.lvalue))
        old = Val(place.ctype, place.load, cell=place.cell, name=place.name)
        new = self.binary(node, node.op[:-1], old, right)
        return place, self.assigned(node, new, place.ctype)

    def _writable_place(self, node: Node) -> Place:
        place = self.place(node)
        if place.readonly:
            raise Refused(node, f"{place.name} is const")
        return place

    def _twice(self, place: Place) -> Place:
        """The place, its address worked out once for reading and writing."""
        if place.simple or place.pointer is None:
            return place
        cell, address = self.scope.temporary(CType("pointer", "char")), place.pointer
        elem: Elem = next(name for name, ctype in SCALARS.items() if ctype == place.ctype)

        def first(f: Cells, g: Cells) -> Any:
            f[cell] = address(f, g)
            return f[cell]

        load, _ = element_access(elem, first, place.name)
        _, store = element_access(elem, lambda f, g: f[cell], place.name)
        return Place(place.ctype, load, store, place.name, pointer=address, element=True)

    def assign_step(self, node: Node, place: Place, val: Val) -> None:
        """An assignment that stands alone."""
        cell, ev, store, const = place.cell, val.ev, place.store, val.const

        def make(after: int) -> Step:
            def set_const(f: Cells, g: Cells) -> int:
                f[cell] = const
                return after

            def set_local(f: Cells, g: Cells) -> int:
                f[cell] = ev(f, g)
                return after

            def set_place(f: Cells, g: Cells) -> int:
                store(f, g, ev(f, g))
                return after

            if cell < 0:
                return set_place
            return set_local if const is None else set_const

        self.scope.emitter.step(line_of(node), make)

    # operators

    def _UnaryOp(self, node: Node) -> Val:
        match node.op:
            case "sizeof":
                return self._sizeof(node)
            case "&":
                return self._address(node)
            case "*":
                place = self.place(node)
                return Val(place.ctype, place.load, name=place.name)
            case "!":
                return inverted(self.truth(node.expr), INT)
            case "-" | "+" | "~":
                val = self.number(node.expr)
                ctype = INT if val.ctype.kind == "char" else val.ctype
                if ctype.kind == "size":
                    raise Refused(node, f"{node.op} on an unsigned size_t", expected="a cast to (int)")
                if node.op == "+":
                    return Val(ctype, converted(val, ctype).ev, const=val.const)
                if node.op == "~" and ctype.kind != "int":
                    raise Refused(node, f"~ on {ctype}", expected="int")
                return negated(val, ctype) if node.op == "-" else complement(val, ctype)
            case "++" | "--" | "p++" | "p--":
                return self._increment(node)
        raise Refused(node, f"operator {node.op} is outside the AU subset")

    def _increment(self, node: Node) -> Val:
        place = self._twice(self._writable_place(node.expr))
        kept = self.scope.temporary(place.ctype)
        old = local(place.ctype, kept, place.name)
        step = self.assigned(node, self.binary(node, node.op[-1], old, constant(INT, 1)), place.ctype)
        load, store, new = place.load, place.store, step.ev
        after_value = node.op.startswith("p")

        def run(f: Cells, g: Cells) -> Any:
            before = f[kept] = load(f, g)
            after = new(f, g)
            store(f, g, after)
            return before if after_value else after

        return Val(place.ctype, run)

    def _sizeof(self, node: Node) -> Val:
        if isinstance(node.expr, c_ast.Typename):
            ctype = type_of(self, node.expr.type)
        elif isinstance(node.expr, c_ast.ID) and (variable := self.scope.find(node.expr.name)):
            ctype = variable.ctype
        else:
            raise Refused(
                node, "sizeof of an expression is outside the AU subset", expected="sizeof(variable) or sizeof(type)"
            )
        if ctype.kind == "array":
            return constant(SIZE, ctype.size * BYTES[ctype.elem])
        if ctype.kind not in BYTES or ctype.kind == "pointer":
            raise Refused(node, f"sizeof {ctype} is hardly what is meant", expected="sizeof an array")
        return constant(SIZE, BYTES[ctype.kind])

    def _address(self, node: Node) -> Val:
        place = self.place(node.expr)
        elems = [name for name, ctype in SCALARS.items() if ctype == place.ctype]
        if place.pointer is None or not elems:
            raise Refused(node, f"the address of {place.name} cannot be taken here")
        return Val(CType("pointer", elems[0]), place.pointer, name=f"&{place.name}")

    def _BinaryOp(self, node: Node) -> Val:
        if node.op in {"&&", "||"}:
            return self._logical(node)
        left, right = self.several([node.left, node.right])
        return self.binary(node, node.op, left, right)

    def binary(self, node: Node, op: str, left: Val, right: Val) -> Val:
        """``left op right`` with C's conversions."""
        if left.ctype.kind in {"pointer", "file"} or right.ctype.kind in {"pointer", "file"}:
            return self._with_pointers(node, op, left, right)
        if not (left.ctype.arithmetic and right.ctype.arithmetic):
            raise Refused(node, f"{left.ctype} {op} {right.ctype} is not defined")
        common = common_type(left.ctype, right.ctype)
        if op in COMPARISONS:
            if common.kind == "size":
                left, right = converted(left, common), converted(right, common)
            return comparison(op, left, right)
        if op in {"%", "&", "|", "^", "<<", ">>"} and common.kind != "int":
            raise Refused(node, f"{left.ctype} {op} {right.ctype}", expected="int on both sides")
        if op in {"/", "%"} and right.const == 0 and common.integral:
            raise Refused(node, "division by the constant 0")
        if op not in {"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"}:
            raise Refused(node, f"operator {op} is outside the AU subset")
        return arithmetic(op, left, right, common)

    def _with_pointers(self, node: Node, op: str, left: Val, right: Val) -> Val:
        x, y = left.ev, right.ev
        if op in {"==", "!="}:
            both = left.ctype.kind == right.ctype.kind == "pointer"
            if not (both or left.const == 0 or right.const == 0) or (both and left.ctype != right.ctype):
                raise Refused(node, f"{left.ctype} {op} {right.ctype}", expected="NULL or a pointer of the same kind")
            if left.text is not None or right.text is not None:
                raise Refused(node, "text is compared by its address", expected="strcmp")
            if op == "==":
                return Val(INT, lambda f, g: _same_address(x(f, g), y(f, g)), boolean=True)
            return Val(INT, lambda f, g: not _same_address(x(f, g), y(f, g)), boolean=True)
        if left.ctype.kind == "pointer" and right.ctype.kind == "pointer" and op in {"-", *COMPARISONS}:
            distance = Val(INT, lambda f, g: _distance(x(f, g), y(f, g)))
            return distance if op == "-" else comparison(op, distance, constant(INT, 0))
        if op == "+" and right.ctype.kind == "pointer":
            left, right, x, y = right, left, y, x
        if op in {"+", "-"} and left.ctype.kind == "pointer" and right.ctype.integral:
            sign = 1 if op == "+" else -1
            return Val(left.ctype, lambda f, g: moved(x(f, g), sign * y(f, g)), name=left.name)
        raise Refused(node, f"{left.ctype} {op} {right.ctype} is not defined")

    def _logical(self, node: Node) -> Val:
        if may_pause(self.scope, node.right):
            return self._by_steps(node, INT, c_ast.Constant("int", "1"), c_ast.Constant("int", "0"), node)
        x, y = self.truth(node.left), self.truth(node.right)
        a, b = x.ev, y.ev
        if x.const is not None and y.const is not None:
            both = x.const and y.const if node.op == "&&" else x.const or y.const
            return constant(INT, int(bool(both)))
        if node.op == "&&":
            return Val(INT, lambda f, g: bool(a(f, g) and b(f, g)), boolean=True)
        return Val(INT, lambda f, g: bool(a(f, g) or b(f, g)), boolean=True)

    def _TernaryOp(self, node: Node) -> Val:
        branches = [node.iftrue, node.iffalse]
        if any(may_pause(self.scope, branch) for branch in branches):
            return self._by_steps(node, None, node.iftrue, node.iffalse, node.cond)
        condition, yes, no = self.truth(node.cond), self.value(node.iftrue), self.value(node.iffalse)
        ctype = self._either(node, yes, no)
        ask, a, b = condition.ev, self.assigned(node, yes, ctype).ev, self.assigned(node, no, ctype).ev
        return Val(ctype, lambda f, g: a(f, g) if ask(f, g) else b(f, g))

    def _either(self, node: Node, yes: Val, no: Val) -> CType:
        if yes.ctype.arithmetic and no.ctype.arithmetic:
            return common_type(yes.ctype, no.ctype)
        if yes.ctype.kind in {"pointer", "file"}:
            return yes.ctype
        if no.ctype.kind in {"pointer", "file"}:
            return no.ctype
        raise Refused(node, f"{yes.ctype} and {no.ctype} are no alternatives")

    def _by_steps(self, node: Node, ctype: CType | None, if_true: Node, if_false: Node, condition: Node) -> Val:
        """A value that depends on a condition, where working it out may pause."""
        emitter = self.scope.emitter
        yes, no, end = Label(), Label(), Label()
        self.condition(condition, yes, no)
        emitter.place(yes)
        a = self.value(if_true)
        kind = ctype or (a.ctype if not a.ctype.arithmetic else self._number_type(if_true, if_false))
        cell = self.scope.temporary(kind)
        target = Place(kind, lambda f, g: f[cell], lambda f, g, v: f.__setitem__(cell, v), "", cell=cell)
        self.assign_step(node, target, self.assigned(node, a, kind))
        emitter.jump(line_of(node), end)
        emitter.place(no)
        self.assign_step(node, target, self.assigned(node, self.value(if_false), kind))
        emitter.place(end)
        return local(kind, cell, "")

    def _number_type(self, *nodes: Node) -> CType:
        """The common type of numbers that are not compiled yet."""
        probe = Expressions(
            Scope(
                self.scope.unit,
                self.scope.name,
                self.scope.result,
                blocks=self.scope.blocks,
                cells=list(self.scope.cells),
            )
        )
        kinds = [probe.number(node).ctype for node in nodes]
        return common_type(kinds[0], kinds[-1])

    def _Cast(self, node: Node) -> Val:
        to = type_of(self, node.to_type.type)
        val = self.any(node.expr)
        if to.kind == "void":
            return Val(VOID, val.ev)
        if to.kind == "pointer" and val.ctype != to and val.const != 0:
            raise Refused(node, f"cast of {val.ctype} to {to}")
        result = self.assigned(node, val, to)
        return Val(to, result.ev, const=result.const, text=val.text, boolean=result.boolean)

    def _ExprList(self, node: Node) -> Val:
        for expression in node.exprs[:-1]:
            self.statement(expression)
        return self.any(node.exprs[-1])

    def _FuncCall(self, node: Node) -> Val:
        return self.calls.call(node)

    def statement(self, node: Node) -> None:
        """An expression that stands alone."""
        if isinstance(node, c_ast.Assignment):
            place, val = self._assignment_parts(node)
            self.assign_step(node, place, val)
            return
        if (
            isinstance(node, c_ast.UnaryOp)
            and node.op in {"++", "--", "p++", "p--"}
            and isinstance(node.expr, c_ast.ID)
        ):
            place = self._writable_place(node.expr)
            old = Val(place.ctype, place.load, cell=place.cell, name=place.name)
            val = self.assigned(node, self.binary(node, node.op[-1], old, constant(INT, 1)), place.ctype)
            self.assign_step(node, place, val)
            return
        if isinstance(node, c_ast.FuncCall):
            val = self.calls.call(node, alone=True)
        elif isinstance(node, c_ast.Cast | c_ast.UnaryOp | c_ast.TernaryOp | c_ast.ExprList):
            val = self.any(node)
        elif isinstance(node, c_ast.ID) and node.name.isupper():
            raise Refused(node, f"{node.name} is no TopSpin macro that the simulator knows")
        else:
            raise Refused(node, "statement has no effect")
        if val is NOTHING_LEFT or val.cell >= 0:
            return
        ev = val.ev

        def make(after: int) -> Step:
            def run(f: Cells, g: Cells) -> int:
                ev(f, g)
                return after

            return run

        self.scope.emitter.step(line_of(node), make)


def _same_address(a: Any, b: Any) -> bool:
    if a == 0 or b == 0 or isinstance(a, int):
        return bool(a == b)
    return a[0] is b[0] and a[1] == b[1]


def _distance(a: Any, b: Any) -> int:
    if a == 0 or b == 0 or a[0] is not b[0]:
        raise Fault("pointers into different arrays are compared or subtracted")
    return int(a[1] - b[1])


def _hint(name: str) -> str:
    return "a macro the simulator knows" if name.isupper() else "a declaration before this line"


def _plain(node: Node) -> bool:
    """Whether working out an operand twice is as good as once."""
    return isinstance(node, c_ast.ID | c_ast.Constant)
