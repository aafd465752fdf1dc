"""YAML with the line and column of every key and value, loaded safely.

Only plain data come out (dict, list, str, int, float, bool, None); tags that would build objects are
refused, and so are anchors that expand beyond reason. Places are kept beside the data, by key path.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import Finding, InputError

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_NODES = 50_000
MAX_BRACKETS = 100
"""Brackets open at once; the parser's time grows with the square of them, and no protocol nests ten deep."""


@dataclass(frozen=True, slots=True)
class Located:
    """What a YAML file says, and where.

    Attributes
    ----------
    data : Any
        Plain data.
    file : str
        The name the author knows the file by.
    places : dict
        Key path to (line, column), counted from 1: of the key in a mapping, of the item in a list.
    """

    data: Any
    file: str
    places: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    text: str = ""

    def place(self, path: KeyPath) -> tuple[int, int]:
        """Return (line, column) of `path`, or of its nearest ancestor that stands in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return (1, 1)

    def finding(self, path: KeyPath, what: str, *, value: str = "", expected: str = "", **kw: Any) -> Finding:
        """Return a Finding that points at `path`."""
        line, column = self.place(path)
        return Finding(
            file=self.file,
            line=line,
            column=column,
            key_path=dotted(path),
            what=what,
            value=value,
            expected=expected,
            **kw,
        )


def dotted(path: KeyPath) -> str:
    """Return a key path as people write it: ``procedures[0].vt_exsy.mixing_times[2]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def load(path: Path) -> Located:
    """Read a YAML file.

    Raises
    ------
    InputError
        The file is missing, too large, not UTF-8, not YAML, repeats a key, or carries a tag.
    """
    return loads(text_of(path), file=str(path))


def _meant(path: Path) -> str:
    """Name the file beside `path` that somebody may have meant by it, nothing if none comes near."""
    try:
        beside = [one.name for one in path.parent.glob("*.y*ml")] if not path.exists() else []
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean {path.with_name(close[0])}?" if close else ""


def text_of(path: Path) -> str:
    """Return the text of a YAML file.

    Raises
    ------
    InputError
        The file is missing, too large, or not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except OSError as problem:
        what = f"cannot be read ({problem.strerror or problem})"
        raise InputError(findings=(Finding(file=str(path), what=what, expected=_meant(path)),)) from None
    if len(raw) > MAX_BYTES:
        raise InputError(
            findings=(Finding(file=str(path), what=f"is {len(raw)} bytes long", expected=f"at most {MAX_BYTES} bytes"),)
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise InputError(
            findings=(
                Finding(file=str(path), line=line, column=1, what="is not UTF-8 text", expected="save it as UTF-8"),
            )
        ) from None


def loads(text: str, *, file: str) -> Located:
    """Read YAML text; `file` is the name used in messages. Raises as `load` does."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - `labctl --help` must not pay for it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    _refuse_unprintable(text, file)
    _refuse_deep_brackets(text, file)
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        what = str(problem.problem or problem.context or "cannot be read").strip()
        began = problem.context_mark
        if mark and began and began.line < mark.line:  # an open quote or bracket is noticed far below
            what += f" {problem.context} that begins in line {began.line + 1}"
        raise InputError(
            findings=(
                Finding(
                    file=file,
                    line=mark.line + 1 if mark else 1,
                    column=mark.column + 1 if mark else 1,
                    what=f"is not YAML: {what}",
                    expected="check indentation, colons and quotes",
                ),
            )
        ) from None
    except (YAMLError, RecursionError, ValueError) as problem:
        raise InputError(findings=(Finding(file=file, line=1, column=1, what=f"is not YAML: {problem}"),)) from None
    located = Located(data=None, file=file, text=text)
    if root is None:
        return located
    try:
        data = _Plain(file, located.places).build(root, ())
    except RecursionError:
        raise InputError(findings=(Finding(file=file, line=1, column=1, what="is nested too deeply"),)) from None
    return Located(data=data, file=file, places=located.places, text=text)


def _refuse_unprintable(text: str, file: str) -> None:
    """Characters that YAML does not allow, in quotes or not; most often a file that was damaged, or is no text."""
    if found := re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]", text):
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        what = f"holds the character U+{ord(found.group()):04X}, which is no text"
        raise InputError(findings=(Finding(file=file, line=line, column=column, what=what, expected="take it out"),))


def _refuse_deep_brackets(text: str, file: str) -> None:
    depth = 0
    for bracket in re.finditer(r"[\[\]{}]", text):
        depth = depth + 1 if bracket.group() in "[{" else max(0, depth - 1)
        if depth > MAX_BRACKETS:
            line = text.count("\n", 0, bracket.start()) + 1
            raise InputError(findings=(Finding(file=file, line=line, column=1, what="is nested too deeply"),))


_SCALARS = {
    "tag:yaml.org,2002:str",
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null",
    "tag:yaml.org,2002:timestamp",
}


class _Plain:
    """Turns composed nodes into plain data; counts them, so that an anchor bomb ends early."""

    def __init__(self, file: str, places: dict[KeyPath, tuple[int, int]]) -> None:
        self._file = file
        self._places = places
        self._nodes = 0

    def build(self, node: Any, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(node, path, f"expands to more than {MAX_NODES} values", "fewer anchors and aliases")
        self._places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        kind = node.id
        tag = str(node.ctag if hasattr(node, "ctag") else node.tag)
        if kind == "mapping":
            self._plain_tag(node, path, tag, "tag:yaml.org,2002:map")
            return self._mapping(node, path)
        if kind == "sequence":
            self._plain_tag(node, path, tag, "tag:yaml.org,2002:seq")
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path, tag)

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.id != "scalar":
                self._refuse(key_node, path, "a key must be plain text", "name: value")
            key = str(key_node.value)
            here = (*path, key)
            if key == "<<":
                self._refuse(key_node, here, "merge keys are not used here", "write the keys out")
            if key in result:
                first = self._places[here][0]
                self._refuse(key_node, here, f"the key {key!r} is given twice", f"the first stands in line {first}")
            self._places[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            result[key] = self.build(value_node, here)
        return result

    def _scalar(self, node: Any, path: KeyPath, tag: str) -> Any:
        text = str(node.value)
        if tag not in _SCALARS:
            self._refuse(node, path, f"the tag {tag} is not allowed", "plain text, numbers, lists and mappings only")
        if node.style in {"'", '"', "|", ">"}:
            return text
        try:
            if tag.endswith(":null"):
                return None
            if tag.endswith(":bool"):
                return text.lower() in {"true", "yes", "on"}
            if tag.endswith(":int"):
                return int(text.replace("_", ""), 0)
            if tag.endswith(":float"):
                return float(text.replace("_", ""))
        except ValueError:
            return text
        return text

    def _plain_tag(self, node: Any, path: KeyPath, tag: str, wanted: str) -> None:
        if tag != wanted:
            self._refuse(node, path, f"the tag {tag} is not allowed", "plain lists and mappings only")

    def _refuse(self, node: Any, path: KeyPath, what: str, expected: str) -> None:
        mark = node.start_mark
        raise InputError(
            findings=(
                Finding(
                    file=self._file,
                    line=mark.line + 1,
                    column=mark.column + 1,
                    key_path=dotted(path),
                    what=what,
                    expected=expected,
                ),
            )
        )
