"""Places of an AU program: variables and elements of arrays, as something to read and to assign to."""

# ruff: noqa: ARG001 - every compiled expression takes both lists of cells, used or not

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labctl_sim_topspin._au_operators import Val, unset
from labctl_sim_topspin._au_scope import Node, Refused, Variable
from labctl_sim_topspin._au_values import SCALARS, UNSET_CHAR, Cells, CType, Elem, Ev, Fault, Store, writable


@dataclass(frozen=True, slots=True)
class Place:
    """Something that can be assigned to. ``cell`` is a plain local's, ``pointer`` gives its address if it has one.

    ``simple``: working out the address changes nothing and costs nothing, so it may be done twice.
    """

    ctype: CType
    load: Ev
    store: Store
    name: str
    cell: int = -1
    pointer: Ev | None = None
    simple: bool = True
    readonly: bool = False
    element: bool = False


def variable_place(variable: Variable) -> Place:
    """A variable as a place."""
    cell, name, ctype = variable.cell, variable.name, variable.ctype
    readonly = ctype.readonly and ctype.kind != "pointer"  # `const char *p`: what p points at is const

    def load_local(f: Cells, g: Cells) -> Any:
        value = f[cell]
        if value is None:
            raise unset(name)
        return value

    def store_local(f: Cells, g: Cells, value: Any) -> None:
        f[cell] = value

    def load_global(f: Cells, g: Cells) -> Any:
        value = g[cell]
        if value is None:
            raise unset(name)
        return value

    def store_global(f: Cells, g: Cells, value: Any) -> None:
        g[cell] = value

    def load_boxed(f: Cells, g: Cells) -> Any:
        value = (g if variable.is_global else f)[cell][0]
        if value is None:
            raise unset(name)
        return value

    def store_boxed(f: Cells, g: Cells, value: Any) -> None:
        (g if variable.is_global else f)[cell][0] = value

    def address(f: Cells, g: Cells) -> tuple[Any, int]:
        return (g if variable.is_global else f)[cell], 0

    if variable.boxed:
        return Place(ctype, load_boxed, store_boxed, name, pointer=address, readonly=readonly)
    if variable.is_global:
        return Place(ctype, load_global, store_global, name, readonly=readonly)
    return Place(ctype, load_local, store_local, name, cell=cell, readonly=readonly)


def element_place(node: Node, base: Val, index: Val, *, simple: bool) -> Place:
    """The place ``base[index]``."""
    name = f"{base.name or 'array'}[{index.name or ('' if index.const is None else index.const)}]"
    if base.size and isinstance(index.const, int) and not 0 <= index.const < base.size:
        raise Refused(node, f"{name} is outside the array", expected=f"0 to {base.size - 1}")
    at, step = base.ev, index.ev
    elem: Elem = base.ctype.elem

    def pointer(f: Cells, g: Cells) -> tuple[Any, int]:
        start = at(f, g)
        by = step(f, g)
        if start == 0:
            raise Fault(f"{name}: NULL is indexed")
        cells, offset = start
        if not 0 <= offset + by < len(cells):
            raise Fault(f"{name}: index outside the array", value=str(by), expected=f"0 to {len(cells) - 1 - offset}")
        return cells, offset + by

    load, store = element_access(elem, pointer, name)
    return Place(
        SCALARS[elem], load, store, name, pointer=pointer, simple=simple, readonly=base.ctype.readonly, element=True
    )


def element_access(elem: Elem, pointer: Ev, name: str) -> tuple[Ev, Store]:
    """How to read and write the element that ``pointer`` gives."""

    def load(f: Cells, g: Cells) -> Any:
        cells, at = pointer(f, g)
        value = cells[at]
        if value is None:
            raise unset(name)
        return value

    def load_char(f: Cells, g: Cells) -> int:
        cells, at = pointer(f, g)
        value: int = cells[at]
        if value == UNSET_CHAR:
            raise unset(name)
        return value if value < 128 else value - 256

    def store(f: Cells, g: Cells, value: Any) -> None:
        cells, at = writable(pointer(f, g))
        cells[at] = value

    def store_char(f: Cells, g: Cells, value: int) -> None:
        cells, at = writable(pointer(f, g))
        cells[at] = value & 255

    return (load_char, store_char) if elem == "char" else (load, store)
