"""Bruker's JCAMP-DX parameter files (``acqus``, ``acqu2s``, ``procs``...).

A reader of our own because the usual one stops at the first blank line, splits string arrays at blanks inside
a string, and drops what it cannot read without saying so.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from labctl.errors import Finding, InputError

Value = int | float | str | bool | list[int] | list[float] | list[str]

_LABEL = re.compile(r"##(\$?)([^=]*?)\s*=[ \t]?(.*)")
_ARRAY = re.compile(r"\(\s*(\d+)\s*\.\.\s*(\d+)\s*\)(.*)", re.DOTALL)
_STRING = re.compile(r"<([^>]*)>")
_INTEGER = re.compile(r"[+-]?\d+")


def read_text(path: Path) -> str:
    """Return a text that TopSpin wrote: UTF-8, or the western code page of an older console.

    Raises
    ------
    InputError
        The file is missing or cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as problem:
        raise InputError(
            findings=(Finding(file=str(path), what=f"cannot be read ({problem.strerror or problem})"),)
        ) from None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def read_jcamp(path: Path) -> dict[str, Value]:
    """Return the parameters of a file by name, without ``##$`` (``TITLE`` and other plain labels among them).

    Numbers become int or float, ``yes``/``no`` bool, ``<text>`` str, arrays lists. Blank lines, comments and a
    missing ``##END=`` are fine.

    Raises
    ------
    InputError
        The file is missing, or broken at a line that is named: no label at all, a string without ``>``,
        an array with another number of values than it announces.
    """
    found = _parameters(read_text(path), path)
    return {name: list(value) if isinstance(value, list) else value for name, value in found.items()}  # type: ignore[misc]  # a list of one kind stays one


@functools.lru_cache(maxsize=32)
def _parameters(whole: str, path: Path) -> dict[str, Value]:
    """Take a file's text apart; an acquisition is looked at every few seconds, and its parameters stay as they are."""
    parameters: dict[str, Value] = {}
    for line, private, name, text in _records(whole, path):
        parameters[name] = _value(path, line, name, text) if private else _plain(text)
    if not parameters:
        raise InputError(
            findings=(Finding(file=str(path), line=1, column=1, what="no parameters", expected="##NAME= value lines"),)
        )
    return parameters


def _records(whole: str, path: Path) -> list[tuple[int, bool, str, str]]:
    """Split into (line number, is a Bruker parameter, name, text over all its lines)."""
    records: list[tuple[int, bool, str, list[str]]] = []
    inside_string = False
    for number, raw in enumerate(whole.splitlines(), start=1):
        if not inside_string and (not raw.strip() or raw.startswith("$$")):
            continue
        label = _LABEL.match(raw)
        if label is not None and (not inside_string or label[1]):
            if label[2] == "END":
                break
            records.append((number, bool(label[1]), label[2].strip(), [label[3]]))
        elif records:
            records[-1][3].append(raw)
        else:
            raise InputError(
                findings=(
                    Finding(
                        file=str(path),
                        line=number,
                        column=1,
                        what="not a JCAMP-DX parameter file",
                        value=repr(raw[:40]),
                        expected="##NAME= value",
                    ),
                )
            )
        text = records[-1][3]
        inside_string = records[-1][1] and sum(part.count("<") - part.count(">") for part in text) > 0
    return [(number, private, name, "\n".join(text)) for number, private, name, text in records]


def _plain(text: str) -> str:
    return text.split("$$", 1)[0].strip()


def _value(path: Path, line: int, name: str, text: str) -> Value:
    array = _ARRAY.match(text)
    if array is not None:
        return _array(path, line, name, int(array[2]) - int(array[1]) + 1, array[3])
    if text.lstrip().startswith("<"):
        if ">" not in text:
            raise _broken(path, line, name, "a string is not closed", text, "'>'")
        return text[text.index("<") + 1 : text.rindex(">")]
    return _scalar(_plain(text))


def _array(path: Path, line: int, name: str, count: int, text: str) -> Value:
    if "<" in text:
        strings = _STRING.findall(text)
        if text.count("<") != text.count(">"):
            raise _broken(path, line, name, "a string is not closed", text, "'>'")
        found: Value = strings
        size = len(strings)
    else:
        words = text.split()
        size = len(words)
        if all(_INTEGER.fullmatch(word) for word in words):
            found = [int(word) for word in words]
        else:
            try:
                found = [float(word) for word in words]
            except ValueError:
                found = words
    if size != count:
        raise _broken(path, line, name, f"the array holds {size} values", text, f"{count} values")
    return found


def _scalar(word: str) -> int | float | bool | str:
    if word in {"yes", "no"}:
        return word == "yes"
    if _INTEGER.fullmatch(word):
        return int(word)
    try:
        return float(word)
    except ValueError:
        return word


def _broken(path: Path, line: int, name: str, what: str, text: str, expected: str) -> InputError:
    shown = text.strip().replace("\n", " ")
    return InputError(
        findings=(
            Finding(
                file=str(path),
                line=line,
                column=1,
                key_path=name,
                what=what,
                value=repr(shown[:40]),
                expected=f"expected {expected}; the file may have been cut while it was written",
            ),
        )
    )
