"""Types and initial values that AU programs declare."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pycparser import c_ast

from labctl_sim_topspin._au_scope import Node, Refused
from labctl_sim_topspin._au_values import (
    CHAR,
    DOUBLE,
    FLOAT,
    INT,
    SCALARS,
    SIZE,
    TEXT,
    TIME,
    UNSET_CHAR,
    VOID,
    Cells,
    CType,
    Elem,
)

if TYPE_CHECKING:
    from labctl_sim_topspin._au_expressions import Expressions

_ESCAPES = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11, "\\": 92, '"': 34, "'": 39, "?": 63}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)


def literal_bytes(node: Node, text: str) -> bytes:
    """The bytes of a string or character constant, quotes taken off."""

    def plain(match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPES:
            return chr(_ESCAPES[code])
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8) & 255)
        raise Refused(node, f"escape \\{code} is outside the AU subset")

    try:
        data = _ESCAPE.sub(plain, text[1:-1]).encode("latin-1")
    except UnicodeEncodeError:
        raise Refused(
            node, "text holds characters that consoles do not share", value=text, expected="plain ASCII"
        ) from None
    if b"\0" in data and text.startswith('"'):
        raise Refused(node, "text constant holds a NUL", value=text)
    return data


_TYPES: dict[tuple[str, ...], CType] = {
    ("int",): INT,
    ("char",): CHAR,
    ("double",): DOUBLE,
    ("float",): FLOAT,
    ("void",): VOID,
    ("time_t",): TIME,
    ("size_t",): SIZE,
}


def type_of(expressions: Expressions, node: Node, quals: tuple[str, ...] = ()) -> CType:
    """The type a declaration names, arrays with their size (0 where it is left open)."""
    if isinstance(node, c_ast.PtrDecl):
        target = node.type
        if isinstance(target, c_ast.TypeDecl) and isinstance(target.type, c_ast.IdentifierType):
            if target.type.names == ["FILE"]:
                return CType("file")
            inner = type_of(expressions, target)
            if inner.kind in {"char", "int", "float", "double"}:
                return CType("pointer", inner.kind, readonly="const" in target.quals)
        raise Refused(
            node, "pointer of this kind is outside the AU subset", expected="char *, int *, double * or FILE *"
        )
    if isinstance(node, c_ast.ArrayDecl):
        inner = type_of(expressions, node.type)
        elem: Elem = "text" if inner == TEXT else inner.kind  # type: ignore[assignment]
        if elem not in SCALARS:
            raise Refused(node, f"array of {inner} is outside the AU subset", expected="arrays of one dimension")
        size = 0
        if node.dim is not None:
            size = expressions.constant_int(node.dim, "size of the array")
            if not 1 <= size <= 1 << 20:
                raise Refused(node, "size of the array", value=str(size), expected="1 to 1048576")
        readonly = isinstance(node.type, c_ast.TypeDecl) and "const" in node.type.quals
        return CType("array", elem, size, readonly=readonly)
    if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.IdentifierType):
        names = tuple(node.type.names)
        if names == ("FILE",):
            raise Refused(node, "FILE stands without *", expected="FILE *")
        if names not in _TYPES:
            raise Refused(
                node,
                f"type {' '.join(names)} is outside the AU subset",
                expected="int (32 bit everywhere; long is not) or double",
            )
        base = _TYPES[names]
        return CType(base.kind, readonly="const" in (*node.quals, *quals))
    raise Refused(
        node,
        f"{type(getattr(node, 'type', node)).__name__} is outside the AU subset",
        expected="int, double, float, char[N], char *, FILE *",
    )


def sized(expressions: Expressions, node: Node) -> CType:
    """The type a declaration names, an open array size taken from its initial value."""
    ctype = type_of(expressions, node.type)
    if ctype.kind != "array" or ctype.size:
        return ctype
    if isinstance(node.init, c_ast.InitList):
        size = len(node.init.exprs)
    elif isinstance(node.init, c_ast.Constant) and node.init.type == "string":
        size = len(literal_bytes(node.init, node.init.value)) + 1
    else:
        raise Refused(node, f"array {node.name} has no size", expected=f"{node.name}[...]")
    return CType("array", ctype.elem, size, readonly=ctype.readonly)


def fill_array(expressions: Expressions, node: Node, ctype: CType, cells: Cells) -> None:
    """Put constant initial values into the cells of an array."""
    for place, value in enumerate(_initial_values(expressions, node, ctype)):
        cells[place] = value


def _initial_values(expressions: Expressions, node: Node, ctype: CType) -> list[Any]:
    init = node.init
    if ctype.elem == "char" and isinstance(init, c_ast.Constant) and init.type == "string":
        data = literal_bytes(init, init.value)
        if len(data) + 1 > ctype.size:
            raise Refused(
                init,
                f"text does not fit {node.name}",
                value=init.value,
                expected=f"at most {ctype.size - 1} characters",
            )
        return list(data)
    if not isinstance(init, c_ast.InitList):
        raise Refused(init, f"array {node.name} cannot start as this", expected="{...}, or a text for a char array")
    if len(init.exprs) > ctype.size:
        raise Refused(init, f"{len(init.exprs)} initial values for {node.name}", expected=f"at most {ctype.size}")
    values = []
    for expression in init.exprs:
        if isinstance(expression, c_ast.InitList | c_ast.NamedInitializer):
            raise Refused(expression, "initial values of this kind are outside the AU subset")
        val = expressions.assigned(expression, expressions.value(expression), SCALARS[ctype.elem])
        if val.const is None and val.text is None:
            raise Refused(expression, f"initial values of array {node.name} must be constants")
        value = val.ev([], [])
        values.append(value & 255 if ctype.elem == "char" else value)
    return values


def zero(ctype: CType) -> Any:
    """What C puts into a variable outside all functions."""
    if ctype.kind == "array":
        return [_zero_element(ctype) for _ in range(ctype.size)]
    return 0.0 if ctype.kind in {"float", "double"} else 0


def _zero_element(ctype: CType) -> int | float:
    return 0.0 if ctype.elem in {"float", "double"} else 0


def blank(ctype: CType) -> Cells:
    """The cells of an array nothing has been written to."""
    return [UNSET_CHAR if ctype.elem == "char" else None] * ctype.size
