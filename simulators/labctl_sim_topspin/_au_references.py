"""Arguments that a call writes through: ``&number`` and ``char`` arrays, checked against what will be written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pycparser import c_ast

from labctl_sim_topspin._au_operators import Val
from labctl_sim_topspin._au_places import element_access
from labctl_sim_topspin._au_scope import Node, Refused
from labctl_sim_topspin._au_values import CType, Store, put_text, single

if TYPE_CHECKING:
    from labctl_sim_topspin._au_expressions import Expressions


def check_writable(node: Node, val: Val) -> None:
    """Refuse text that cannot be written to."""
    if val.text is not None:
        raise Refused(node, "constant text cannot be written to")
    if val.ctype.kind == "pointer" and val.ctype.readonly:
        raise Refused(node, f"{val.name or 'this'} points at const text")


def number_out(expressions: Expressions, node: Node, ctype: CType, what: str) -> Store:
    """Where ``&variable`` stores a number of just this type."""
    if not (isinstance(node, c_ast.UnaryOp) and node.op == "&"):
        val = expressions.value(node)
        if val.ctype.kind == "pointer" and val.ctype.elem == ctype.kind and not val.ctype.readonly:
            ev, kind = val.ev, val.ctype.elem

            return element_access(kind, ev, val.name)[1]
        raise Refused(node, f"{what} stores into {val.ctype}", expected=f"&variable of type {ctype}")
    place = expressions.place(node.expr)
    if place.ctype != ctype:
        raise Refused(
            node,
            f"{what} stores {ctype} into {place.name}, which is {place.ctype}",
            expected=f"a variable of type {ctype}; on a console this corrupts memory silently",
        )
    if place.readonly:
        raise Refused(node, f"{place.name} is const")
    if not place.simple:
        raise Refused(node, f"{what} stores into an element that is worked out", expected="a plain variable or index")
    if ctype.kind == "float":
        store = place.store
        return lambda f, g, value: store(f, g, single(value))
    return place.store


def text_out(expressions: Expressions, node: Node, what: str, room: int = 0) -> Store:
    """Where a ``char`` array takes a text; ``room``: bytes it must have, as far as the format tells."""
    if isinstance(node, c_ast.UnaryOp) and node.op == "&":
        raise Refused(node, f"{what} stores text but is given an address", expected="a char array, without &")
    val = expressions.value(node)
    if val.ctype.kind != "pointer" or val.ctype.elem != "char":
        raise Refused(node, f"{what} stores text into {val.ctype}", expected="a char array, without &")
    check_writable(node, val)
    if val.size and room > val.size:
        raise Refused(node, f"{what} may overflow {val.name}", expected=f"a width of at most {val.size - 1}")
    ev = val.ev
    return lambda f, g, value: put_text(ev(f, g), value)
