"""C's operators as small Python functions over compiled operands; no operator keeps state.

An operand may be a plain variable or a constant; the combinations that loops are made of have shorter forms.
"""

# ruff: noqa: ARG001, ARG005 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labctl_sim_topspin._au_values import (
    INT,
    INT_MAX,
    INT_MIN,
    Cells,
    CType,
    Ev,
    Fault,
    float_quotient,
    int_quotient,
    int_remainder,
    narrowed,
    single,
    truncated,
    unsigned,
    wrapped,
)


@dataclass(frozen=True, slots=True)
class Val:
    """A compiled expression: its type, how to evaluate it, and what is known of it.

    ``const`` is its value if it is a constant number, ``cell`` the cell it reads if it is a plain local variable,
    ``boolean`` says that evaluating may give True or False, ``text`` is the text of a literal, ``size`` the number of
    elements if it is the name of an array.
    """

    ctype: CType
    ev: Ev
    const: int | float | None = None
    cell: int = -1
    name: str = ""
    boolean: bool = False
    text: str | None = None
    size: int = 0


NOTHING_LEFT = Val(CType("void"), lambda f, g: None)
"""What a call gives that is done by steps already and has no value."""


def constant(ctype: CType, value: float) -> Val:
    """An operand that is a number."""

    def ev(f: Cells, g: Cells) -> int | float:
        return value

    return Val(ctype, ev, const=value)


def local(ctype: CType, cell: int, name: str) -> Val:
    """An operand that is a plain local variable; Fault while it is unset."""

    def ev(f: Cells, g: Cells) -> Any:
        value = f[cell]
        if value is None:
            raise unset(name)
        return value

    return Val(ctype, ev, cell=cell, name=name)


def unset(name: str) -> Fault:
    """The fault of reading a variable that holds no value yet."""
    return Fault(f"{name or 'a value'} is read before it was set")


def converted(val: Val, to: CType) -> Val:
    """The operand as another arithmetic type, as C's assignment and casts convert it."""
    if val.ctype.kind == to.kind and not val.boolean:
        return val
    change = _conversion(val.ctype, to)
    if val.boolean and change is None:
        change = int
    if change is None:
        return Val(to, val.ev, const=val.const, cell=val.cell, name=val.name)
    if val.const is not None:
        return constant(to, change(val.const))
    inner, apply = val.ev, change

    def ev(f: Cells, g: Cells) -> int | float:
        return apply(inner(f, g))

    return Val(to, ev)


def _signed_char(value: int) -> int:
    return (value + 128) % 256 - 128


def _conversion(source: CType, to: CType) -> Callable[[Any], int | float] | None:
    real = source.kind in {"float", "double"}
    match to.kind:
        case "double":
            return None if real else float
        case "float":
            return None if source.kind == "float" else lambda value: single(float(value))
        case "int":
            return truncated if real else None if source.kind == "char" else narrowed if source.kind != "int" else None
        case "char":
            return (lambda value: _signed_char(truncated(value))) if real else _signed_char
        case "size":
            return (lambda value: unsigned(truncated(value))) if real else unsigned
        case "time":
            return int if real else None
        case kind:
            raise AssertionError(kind)


# binary operators on numbers

_RAW: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
COMPARISONS = frozenset({"<", "<=", ">", ">=", "==", "!="})


def comparison(op: str, a: Val, b: Val) -> Val:
    """``a op b`` for two operands that Python compares as C does; gives True or False."""
    if a.const is not None and b.const is not None:
        return constant(INT, int(_RAW[op](a.const, b.const)))
    ev = _compare_cell(op, a.cell, a.name, b.const) if a.cell >= 0 and b.const is not None else _compare(op, a.ev, b.ev)
    return Val(INT, ev, boolean=True)


def _compare(op: str, x: Ev, y: Ev) -> Ev:
    table: dict[str, Ev] = {
        "<": lambda f, g: x(f, g) < y(f, g),
        "<=": lambda f, g: x(f, g) <= y(f, g),
        ">": lambda f, g: x(f, g) > y(f, g),
        ">=": lambda f, g: x(f, g) >= y(f, g),
        "==": lambda f, g: x(f, g) == y(f, g),
        "!=": lambda f, g: x(f, g) != y(f, g),
    }
    return table[op]


def _compare_cell(op: str, cell: int, name: str, const: float) -> Ev:
    raw = _RAW[op]

    def less(f: Cells, g: Cells) -> bool:
        value = f[cell]
        if value is None:
            raise unset(name)
        return bool(value < const)

    def equal(f: Cells, g: Cells) -> bool:
        value = f[cell]
        if value is None:
            raise unset(name)
        return bool(value == const)

    def other(f: Cells, g: Cells) -> bool:
        value = f[cell]
        if value is None:
            raise unset(name)
        return bool(raw(value, const))

    return {"<": less, "==": equal}.get(op, other)


def arithmetic(op: str, a: Val, b: Val, ctype: CType) -> Val:
    """``a op b`` in C type ``ctype``, their common type; both operands are numbers."""
    if ctype.kind in {"float", "double"}:
        ev = _float_op(op, converted(a, ctype).ev, converted(b, ctype).ev, round_single=ctype.kind == "float")
    elif ctype.kind == "size":
        ev = _checked_size(op, converted(a, ctype).ev, converted(b, ctype).ev)
    elif ctype.kind == "int" and a.cell >= 0 and isinstance(b.const, int) and op in "+-":
        ev = _add_const(a.cell, a.name, b.const if op == "+" else -b.const)
    else:
        ev = _int_op(op, a.ev, b.ev, wrap=ctype.kind == "int")
    if a.const is not None and b.const is not None:
        return constant(ctype, ev([], []))
    return Val(ctype, ev)


def _add_const(cell: int, name: str, const: int) -> Ev:
    def ev(f: Cells, g: Cells) -> int:
        value = f[cell]
        if value is None:
            raise unset(name)
        value += const
        return value if INT_MIN <= value <= INT_MAX else wrapped(value)

    return ev


def _int_op(op: str, x: Ev, y: Ev, *, wrap: bool) -> Ev:
    """Integers; ``wrap``: 32 bit, going round at the ends."""
    if op == "/":
        return lambda f, g: int_quotient(x(f, g), y(f, g))
    if op == "%":
        return lambda f, g: int_remainder(x(f, g), y(f, g))
    if op in {"<<", ">>"}:
        return lambda f, g: _shifted(op, x(f, g), y(f, g))
    raw = _RAW[op]

    def plus(f: Cells, g: Cells) -> int:
        value = x(f, g) + y(f, g)
        return value if INT_MIN <= value <= INT_MAX else wrapped(value)

    def other(f: Cells, g: Cells) -> int:
        value = raw(x(f, g), y(f, g))
        return value if INT_MIN <= value <= INT_MAX else wrapped(value)

    if not wrap:
        return lambda f, g: raw(x(f, g), y(f, g))
    return plus if op == "+" else other


def _shifted(op: str, value: int, by: int) -> int:
    if not 0 <= by < 32:
        raise Fault("shift by a number of bits outside 0..31", value=str(by))
    return wrapped(value << by) if op == "<<" else value >> by


def _checked_size(op: str, x: Ev, y: Ev) -> Ev:
    inner = _int_op(op, x, y, wrap=False)

    def ev(f: Cells, g: Cells) -> int:
        value: int = inner(f, g)
        if value < 0:
            raise Fault(
                "difference with an unsigned size_t is negative: in C a huge number",
                value=str(value),
                expected="cast strlen() and sizeof to (int) before subtracting",
            )
        return value

    return ev


def _float_op(op: str, x: Ev, y: Ev, *, round_single: bool) -> Ev:
    table: dict[str, Ev] = {
        "+": lambda f, g: x(f, g) + y(f, g),
        "-": lambda f, g: x(f, g) - y(f, g),
        "*": lambda f, g: x(f, g) * y(f, g),
        "/": lambda f, g: float_quotient(x(f, g), y(f, g)),
    }
    inner = table[op]
    return (lambda f, g: single(inner(f, g))) if round_single else inner


# unary operators


def negated(val: Val, ctype: CType) -> Val:
    """``-val`` in its promoted type."""
    inner = val.ev
    if val.const is not None:
        return constant(ctype, wrapped(-int(val.const)) if ctype.kind == "int" else -val.const)
    if ctype.kind == "int":
        return Val(ctype, lambda f, g: wrapped(-inner(f, g)))
    return Val(ctype, lambda f, g: -inner(f, g))


def complement(val: Val, ctype: CType) -> Val:
    """``~val``."""
    inner = val.ev
    if val.const is not None:
        return constant(ctype, ~int(val.const))
    return Val(ctype, lambda f, g: ~inner(f, g))


def inverted(val: Val, ctype: CType) -> Val:
    """``!val``, for numbers and pointers alike."""
    inner = val.ev
    if val.const is not None:
        return constant(ctype, int(not val.const))
    return Val(ctype, lambda f, g: not inner(f, g), boolean=True)
