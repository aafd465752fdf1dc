"""The `simulator:` block of a simulated temperature controller, checked against a dataclass."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from labctl.errors import Finding, InputError
from labctl.units import QuantityError, parse

_UNITS = {
    "_K_per_s": ("K/s", True, "2 K/min"),
    "_K_per_W": ("K/W", True, "0.3 K/W"),
    "_J_per_K": ("J/K", False, "600 J/K"),
    "_percent_per_K": ("percent/K", False, "10 %/K"),
    "_percent": ("percent", False, "50 %"),
    "_W": ("W", False, "600 W"),
    "_s": ("s", False, "5 s"),
}
_DIFFERENCES = {"noise_K"}

Chosen = TypeVar("Chosen")


def read_block(kind: type[Chosen], block: object, *, where: str) -> Chosen:
    """Return `kind` (a dataclass) with what the block says of its fields; units may be left out of the keys.

    Fields whose default is a text are choices, described by ``metadata={"choices": (...)}``; those whose default is
    a dataclass are blocks of their own.

    Raises
    ------
    InputError
        One finding for each key that is unknown or holds what cannot be used.
    """
    findings: list[Finding] = []
    chosen = _read(kind, block, where, findings)
    if findings:
        raise InputError(findings=tuple(findings))
    return chosen


def _read(kind: type[Chosen], block: object, where: str, findings: list[Finding]) -> Chosen:
    if not isinstance(block, Mapping):
        findings.append(_finding(where, "is not a block of keys and values", repr(block), "key: value"))
        return kind()
    known: dict[str, Field[Any]] = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    found: dict[str, Any] = {}
    for key, value in block.items():
        name = next((name for name in (key, *(f"{key}{end}" for end in (*_UNITS, "_K"))) if name in known), None)
        path = f"{where}.{key}"
        if name is None:
            close = difflib.get_close_matches(str(key), list(known), n=1)
            hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(known)}"
            findings.append(_finding(path, "is not a key of the simulator", repr(value), hint))
            continue
        found[name] = _value(known[name], value, path, findings)
    return kind(**{name: value for name, value in found.items() if value is not None})


def _value(item: Field[Any], value: object, path: str, findings: list[Finding]) -> Any:
    default = item.default_factory() if item.default_factory is not MISSING else item.default
    if "choices" in item.metadata:
        choices = item.metadata["choices"]
        if value in choices:
            return value
        findings.append(_finding(path, "is not a choice here", repr(value), f"one of {', '.join(map(str, choices))}"))
        return None
    if hasattr(default, "__dataclass_fields__"):
        return _read(type(default), value, path, findings)
    if isinstance(default, (bool, int)):
        if type(value) is type(default):
            return value
        findings.append(_finding(path, "is not of the right kind", repr(value), f"such as {default!r}"))
        return None
    end = next((end for end in _UNITS if item.name.endswith(end)), "")
    unit, difference, example = _UNITS.get(end, ("K", item.name in _DIFFERENCES, "298 K"))
    try:
        return parse(value, unit, example=example, difference=difference)
    except QuantityError as problem:
        findings.append(_finding(path, problem.what, "", problem.expected))
        return None


def _finding(path: str, what: str, value: str, expected: str) -> Finding:
    return Finding(file="lab file", key_path=path, what=what, value=value, expected=expected)
