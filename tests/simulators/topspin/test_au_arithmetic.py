"""C arithmetic of AU programs against a plain reference."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_sim_topspin._au_values import (
    INT_MAX,
    INT_MIN,
    float_quotient,
    int_quotient,
    int_remainder,
    single,
    truncated,
    wrapped,
)
from tests.simulators.topspin.au_console import fault, says

INTS = st.one_of(st.integers(-20, 20), st.integers(INT_MIN, INT_MAX), st.sampled_from([INT_MIN, INT_MAX]))


def in_32_bits(value: int) -> int:
    """What is left of a number in 32 bits, by the definition of two's complement."""
    bits = value & 0xFFFFFFFF
    return bits - 0x100000000 if bits & 0x80000000 else bits


@given(INTS, INTS.filter(bool))
def test_int_division_truncates_towards_zero_and_the_remainder_makes_up_the_rest(a: int, b: int) -> None:
    """A == (a / b) * b + a % b, with the quotient rounded towards zero."""
    assert int_quotient(a, b) == in_32_bits(math.trunc(abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1))
    assert int_remainder(a, b) == a - math.trunc(abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) * b


@given(st.integers(-(2**70), 2**70))
def test_int_goes_round_at_32_bits(value: int) -> None:
    """Wrapping is two's complement."""
    assert wrapped(value) == in_32_bits(value)


REFERENCE: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "&&": lambda a, b: bool(a) and bool(b),
    "||": lambda a, b: bool(a) or bool(b),
}

Tree = int | tuple[str, "Tree", "Tree"]
TREES: st.SearchStrategy[Tree] = st.recursive(
    INTS, lambda inner: st.tuples(st.sampled_from(sorted(REFERENCE)), inner, inner), max_leaves=8
)


def reference(tree: Tree) -> int:
    """The value of an expression tree, worked out by Python's own integers."""
    if isinstance(tree, int):
        return tree
    op, left, right = tree
    return in_32_bits(int(REFERENCE[op](reference(left), reference(right))))


def as_c(tree: Tree, variables: list[int] | None) -> str:
    """The tree in C, its numbers as constants or as variables v0, v1 ..."""
    if not isinstance(tree, int):
        return f"({as_c(tree[1], variables)} {tree[0]} {as_c(tree[2], variables)})"
    if variables is None:
        return f"({tree})" if tree > INT_MIN else f"(-{INT_MAX} - 1)"
    variables.append(tree)
    return f"v{len(variables) - 1}"


@given(TREES)
def test_expressions_have_the_value_python_works_out(tree: Tree) -> None:
    """A tree of int operators has the same value folded at compile time, worked out while running, and by Python."""
    values: list[int] = []
    text = as_c(tree, values)
    declared = "".join(f"int v{number} = {as_c(value, None)};\n" for number, value in enumerate(values))
    body = (
        f"{declared}char out[80];\nint folded = {as_c(tree, None)};\nint r = {text};\n"
        'sprintf(out, "%d %d", folded, r); XCMD(out)'
    )
    assert says(body) == [f"{reference(tree)} {reference(tree)}"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 % -3", 1),
        ("-7 % 3", -1),
        ("7 / 2.0 > 3.4", 1),
        ("(int) -2.9", -2),
        ("2147483647 + 1", -2147483648),
        ("1 ? 2 : 3", 2),
        ("0 || !0", 1),
        ("~5", -6),
        ("1 << 4 | 3", 19),
        ("'A' + 1", 66),
        ("sizeof(int) == 4", 1),
        ("010 + 0x10", 24),
        ("(char) 200", -56),
    ],
)
def test_constants_fold_as_in_c(expression: str, value: int) -> None:
    """Constant expressions have C's value."""
    assert says(f'char out[20]; int v; v = {expression}; sprintf(out, "%d", v); XCMD(out)') == [str(value)]


def test_int_and_double_mix_as_in_c() -> None:
    """Division of ints stays whole until a double takes part; assignment to int cuts the fraction."""
    body = """int n = 7, m; double x = n / 2, y = n / 2.0; float f = 0.1; char out[80];
    m = 9.99; m -= 0.5; x *= n; sprintf(out, "%d %.1f %.1f %.9f", m, x, y, f); XCMD(out)"""
    assert says(body) == [f"8 21.0 3.5 {single(0.1):.9f}"]


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(allow_nan=True, allow_infinity=True))
def test_division_of_doubles_follows_ieee(a: float, b: float) -> None:
    """Dividing by zero gives an infinity or no number, never an exception."""
    quotient = float_quotient(a, b)
    if b != 0:
        assert quotient == a / b or math.isnan(quotient)
    else:
        assert math.isnan(quotient) if a == 0 or math.isnan(a) else math.isinf(quotient)


@given(st.floats(INT_MIN, INT_MAX))
def test_double_to_int_truncates(value: float) -> None:
    """A double that fits loses its fraction."""
    assert truncated(value) == math.trunc(value)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("a = a / b;", "division by zero"),
        ("a = a % b;", "remainder"),
        ("a = 1e10 * a;", "does not fit an int"),
        ("a = a << 40;", "shift"),
        ('a = strlen("") - a;', "unsigned"),
        ('a = strlen("abc") > b - 1;', "unsigned"),
    ],
)
def test_undefined_arithmetic_is_a_fault_with_its_line(statement: str, what: str) -> None:
    """What C leaves undefined ends the program, naming file and line."""
    finding = fault(f"int a, b;\na = 5;\nb = 0;\n{statement}")
    assert (finding.file, finding.line) == ("test.c", 4)
    assert what in finding.what
