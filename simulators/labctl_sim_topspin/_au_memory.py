"""Write a program's cells down as JSON and read them back, pointers included.

A pointer is written as the place of what it points at: a cell of the globals or of a frame, and an offset; a pointer to
constant text as that text. A pointer to a variable that no longer exists comes back unset.
"""

from __future__ import annotations

import math
from typing import Any

from labctl_sim_topspin._au_code import Cell
from labctl_sim_topspin._au_values import UNSET_CHAR, Cells

Book = dict[int, tuple[int, int]]
"""Where an array stands: from the identity of its list to (frame number, -1 for the globals; cell number)."""

Known = dict[int, tuple[list[int], dict[str, Any]]]
"""What buffers held when they were written last, and how that was written: by the identity of their lists."""
_MOST_KNOWN = 1000  # of calls that have returned, too


def address_book(memory: list[Cells]) -> Book:
    """The places of all arrays; ``memory`` holds the globals first, then the frames."""
    return {
        id(value): (number - 1, place)
        for number, cells in enumerate(memory)
        for place, value in enumerate(cells)
        if type(value) is list
    }


def cells_to(cells: Cells, kinds: tuple[Cell, ...], book: Book, known: Known) -> list[Any]:
    """The cells as JSON-able data; `known` is what was written before, and is added to."""
    return [_written(value, cell, book, known) for value, cell in zip(cells, kinds, strict=True)]


def _written(value: Any, cell: Cell, book: Book, known: Known) -> Any:
    if type(value) is not list:
        return _written_scalar(value, book)
    if cell.ctype.kind == "array" and cell.ctype.elem == "char":
        before = known.get(id(value))
        if before is None or before[0] != value:  # most buffers of a program stay as they are from one save to the next
            if len(known) > _MOST_KNOWN:
                known.clear()
            before = known[id(value)] = list(value), _written_chars(value)
        return before[1]
    return {"array": [_written_scalar(item, book) for item in value]}


def _written_chars(value: list[int]) -> dict[str, Any]:
    set_chars = value.index(UNSET_CHAR) if UNSET_CHAR in value else len(value)
    unset = len(value) - set_chars
    if value.count(UNSET_CHAR) != unset:
        return {"chars": list(value)}
    text = bytes(value[:set_chars]).rstrip(b"\0")  # no loop here: a program has dozens of buffers, saved at every turn
    return {"text": text.decode("latin-1"), "zeros": set_chars - len(text), "unset": unset}


def _written_scalar(value: Any, book: Book) -> Any:
    if isinstance(value, tuple):
        target, offset = value
        if type(target) is bytes:
            return {"constant": target[:-1].decode("latin-1"), "offset": offset}
        return {"to": list(book[id(target)]), "offset": offset} if id(target) in book else None
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def cells_from(written: list[list[Any]], constants: dict[bytes, bytes]) -> list[Cells]:
    """The memory that ``cells_to`` wrote: the globals first, then the frames."""
    memory = [[_array(value) for value in cells] for cells in written]
    for cells in memory:
        for place, value in enumerate(cells):
            if type(value) is list:
                value[:] = [_scalar(item, memory, constants) for item in value]
            else:
                cells[place] = _scalar(value, memory, constants)
    return memory


def _array(value: Any) -> Any:
    if isinstance(value, dict):
        if "array" in value:
            return list(value["array"])
        if "chars" in value:
            return list(value["chars"])
        if "text" in value:
            return [*value["text"].encode("latin-1"), *[0] * value["zeros"], *[UNSET_CHAR] * value["unset"]]
    return value


def _scalar(value: Any, memory: list[Cells], constants: dict[bytes, bytes]) -> Any:
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float(value["float"])
    if "constant" in value:
        text = value["constant"].encode("latin-1")
        return constants.get(text, text + b"\0"), value["offset"]
    frame, cell = value["to"]
    return memory[frame + 1][cell], value["offset"]
