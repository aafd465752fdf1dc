"""One line more in somebody's lab file: found by the parser, put in as text, so that no other line changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.errors import InputError


def with_signature(text: str, station: str, stage: str, entry: str, *, file: str) -> str:
    """Return the text of a lab file with `entry` among the stages of a station, in place of an older one of `stage`.

    Every other line stays as it is, comments included.

    Raises
    ------
    InputError
        The file is written in a way that no line can be added to (everything in one pair of braces).
    """
    from ruamel.yaml import YAML

    from labctl import located_yaml

    root = YAML(typ="rt").compose(text)
    block = _value(_value(root, "stations"), station)
    lines = text.splitlines(keepends=True)
    ending = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += ending
    signed = None if block is None or block.flow_style else _value(block, "commissioning")
    if block is not None and not block.flow_style:
        if signed is None or not signed.value:
            if signed is not None:  # `commissioning: []`
                del lines[signed.start_mark.line]
            column = block.value[0][0].start_mark.column
            inside = [pair for pair in block.value if pair[1] is not signed]
            at = _last_line(inside[-1][1]) + 1
            if signed is not None and signed.start_mark.line < at:
                at -= 1
            lines[at:at] = [" " * column + "commissioning:" + ending, " " * (column + 2) + f"- {entry}{ending}"]
        elif not signed.flow_style:
            column = signed.start_mark.column
            new = " " * column + f"- {entry}{ending}"
            older = next((item for item in signed.value if _is_of(item, stage)), None)
            if older is None:
                lines.insert(_last_line(signed.value[-1]) + 1, new)
            else:
                lines[older.start_mark.line : _last_line(older) + 1] = [new]
    after = "".join(lines)
    before, now = located_yaml.loads(text, file=file).data, located_yaml.loads(after, file=file).data
    if _without(before, station, stage) != _without(now, station, stage) or not _signed(now, station, stage):
        raise InputError(
            f"{file}: no line can be added to stations.{station} as it is written",
            next_step=f"Add it by hand, below `commissioning`:\n  - {entry}",
        )
    return after


def _value(node: Any, key: str) -> Any:
    if node is None or not isinstance(node.value, list):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _is_of(item: Any, stage: str) -> bool:
    named = _value(item, "stage")
    return named is not None and bool(named.value == stage)


def _last_line(node: Any) -> int:
    """The line on which a node's text ends; the end of a block stands behind the comments that follow it."""
    if isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    return int(end.line if end.column > 0 or end.line == node.start_mark.line else end.line - 1)


def _without(data: Any, station: str, stage: str) -> Any:
    """A lab file's data without the signatures of a stage, to see that nothing else was changed."""
    here = data["stations"][station]
    kept = [one for one in here.get("commissioning") or [] if one.get("stage") != stage]
    return {**data, "stations": {**data["stations"], station: {**here, "commissioning": kept}}}


def _signed(data: Mapping[str, Any], station: str, stage: str) -> bool:
    entries = data["stations"][station].get("commissioning") or []
    return len([one for one in entries if one.get("stage") == stage]) == 1
