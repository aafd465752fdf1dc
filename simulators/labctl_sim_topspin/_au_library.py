"""The functions of the C library that AU programs may call, on the cells of ``_au_values``.

Every write is bounded by its buffer, and every text must be set and end within its own: what on a console overwrites
other variables without a word is a Fault here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labctl_sim_topspin._au_formats import leading_double, leading_int
from labctl_sim_topspin._au_stdio import Files
from labctl_sim_topspin._au_values import (
    DOUBLE,
    FILE,
    INT,
    SIZE,
    TEXT,
    CType,
    Fault,
    put_text,
    text_at,
    unsigned,
    wrapped,
    writable,
)

Pointer = Any


@dataclass(frozen=True, slots=True)
class LibraryFunction:
    """A C function: parameter types, result type, and what it does; ``files`` says it gets the open files first.

    ``writes`` is the number of the parameter it writes through, -1 for none.
    """

    parameters: tuple[CType, ...]
    result: CType
    run: Callable[..., Any]
    files: bool = False
    writes: int = -1


def _apart(target: Pointer, source: Pointer, reach: int) -> None:
    """Fault if a copy of ``reach`` bytes would run over itself."""
    if target != 0 and source != 0 and target[0] is source[0] and abs(target[1] - source[1]) < reach:
        raise Fault("source and target of the copy overlap", expected="two different buffers")


def _strcpy(target: Pointer, source: Pointer) -> Pointer:
    text = text_at(source)
    _apart(target, source, len(text) + 1)
    put_text(target, text)
    return target


def _strncpy(target: Pointer, source: Pointer, count: int) -> Pointer:
    cells, start = writable(target)
    _apart(target, source, count)
    if start + count > len(cells):
        raise Fault("strncpy overflows its buffer", value=str(count), expected=f"at most {len(cells) - start}")
    cells[start : start + count] = text_at(source)[:count].ljust(count, b"\0")
    return target


def _strcat(target: Pointer, source: Pointer) -> Pointer:
    return _append(target, source, text_at(source))


def _strncat(target: Pointer, source: Pointer, count: int) -> Pointer:
    return _append(target, source, text_at(source)[:count])


def _append(target: Pointer, source: Pointer, text: bytes) -> Pointer:
    before = text_at(target)
    _apart(target, source, len(before) + len(text) + 1)
    put_text((target[0], target[1] + len(before)), text)
    return target


def _compare(a: bytes, b: bytes) -> int:
    return (a > b) - (a < b)


def _strcmp(a: Pointer, b: Pointer) -> int:
    return _compare(text_at(a), text_at(b))


def _strncmp(a: Pointer, b: Pointer, count: int) -> int:
    return _compare(text_at(a)[:count], text_at(b)[:count])


def _strlen(text: Pointer) -> int:
    return len(text_at(text))


def _strstr(text: Pointer, wanted: Pointer) -> Pointer:
    return _at(text, text_at(text).find(text_at(wanted)))


def _strchr(text: Pointer, wanted: int) -> Pointer:
    return _at(text, (text_at(text) + b"\0").find(wanted & 255))


def _strrchr(text: Pointer, wanted: int) -> Pointer:
    return _at(text, (text_at(text) + b"\0").rfind(wanted & 255))


def _at(text: Pointer, place: int) -> Pointer:
    return 0 if place < 0 else (text[0], text[1] + place)


def _fopen(files: Files, name: Pointer, mode: Pointer) -> int:
    return files.open(text_at(name), text_at(mode))


def _fgets(files: Files, target: Pointer, room: int, file: int) -> Pointer:
    cells, start = writable(target)
    if room < 1 or start + room > len(cells):
        raise Fault("fgets may overflow its buffer", value=str(room), expected=f"1 to {len(cells) - start}")
    line = files.gets(file, room)
    if line is None:
        return 0
    cells[start : start + len(line) + 1] = line + b"\0"
    return target


def _fputs(files: Files, text: Pointer, file: int) -> int:
    return files.puts(file, text_at(text))


def _fclose(files: Files, file: int) -> int:
    return files.close(file)


def _fflush(files: Files, file: int) -> int:
    return files.flush(file)


def _feof(files: Files, file: int) -> int:
    return files.at_end(file)


def _remove(files: Files, name: Pointer) -> int:
    return files.remove(text_at(name))


def _rename(files: Files, old: Pointer, new: Pointer) -> int:
    return files.rename(text_at(old), text_at(new))


def _real(function: Callable[..., float]) -> Callable[..., float]:
    def run(*values: float) -> float:
        try:
            return function(*values)
        except ValueError:
            return math.nan
        except OverflowError:
            return math.inf

    return run


def _power(base: float, exponent: float) -> float:
    return math.pow(base, exponent)


LIBRARY: dict[str, LibraryFunction] = {
    "strcpy": LibraryFunction((TEXT, TEXT), TEXT, _strcpy, writes=0),
    "strncpy": LibraryFunction((TEXT, TEXT, SIZE), TEXT, _strncpy, writes=0),
    "strcat": LibraryFunction((TEXT, TEXT), TEXT, _strcat, writes=0),
    "strncat": LibraryFunction((TEXT, TEXT, SIZE), TEXT, _strncat, writes=0),
    "strcmp": LibraryFunction((TEXT, TEXT), INT, _strcmp),
    "strncmp": LibraryFunction((TEXT, TEXT, SIZE), INT, _strncmp),
    "strlen": LibraryFunction((TEXT,), SIZE, _strlen),
    "strstr": LibraryFunction((TEXT, TEXT), TEXT, _strstr),
    "strchr": LibraryFunction((TEXT, INT), TEXT, _strchr),
    "strrchr": LibraryFunction((TEXT, INT), TEXT, _strrchr),
    "atoi": LibraryFunction((TEXT,), INT, lambda text: leading_int(text_at(text))),
    "atof": LibraryFunction((TEXT,), DOUBLE, lambda text: leading_double(text_at(text))),
    "abs": LibraryFunction((INT,), INT, lambda value: wrapped(abs(value))),
    "fabs": LibraryFunction((DOUBLE,), DOUBLE, math.fabs),
    "floor": LibraryFunction((DOUBLE,), DOUBLE, lambda x: float(math.floor(x)) if math.isfinite(x) else x),
    "ceil": LibraryFunction((DOUBLE,), DOUBLE, lambda x: float(math.ceil(x)) if math.isfinite(x) else x),
    "sqrt": LibraryFunction((DOUBLE,), DOUBLE, _real(math.sqrt)),
    "exp": LibraryFunction((DOUBLE,), DOUBLE, _real(math.exp)),
    "pow": LibraryFunction((DOUBLE, DOUBLE), DOUBLE, _real(_power)),
    "fopen": LibraryFunction((TEXT, TEXT), FILE, _fopen, files=True),
    "fclose": LibraryFunction((FILE,), INT, _fclose, files=True),
    "fgets": LibraryFunction((TEXT, INT, FILE), TEXT, _fgets, files=True, writes=0),
    "fputs": LibraryFunction((TEXT, FILE), INT, _fputs, files=True),
    "fflush": LibraryFunction((FILE,), INT, _fflush, files=True),
    "feof": LibraryFunction((FILE,), INT, _feof, files=True),
    "remove": LibraryFunction((TEXT,), INT, _remove, files=True),
    "rename": LibraryFunction((TEXT, TEXT), INT, _rename, files=True),
}


def bounded(target: Pointer, room: int, text: bytes) -> int:
    """Write a text as snprintf does: cut to ``room`` bytes with its NUL; the length it would have had."""
    cells, start = writable(target)
    if start + unsigned(room) > len(cells):
        raise Fault("snprintf may overflow its buffer", value=str(room), expected=f"at most {len(cells) - start}")
    if room:
        put_text(target, text[: room - 1])
    return len(text)
