"""The `simulator:` block of a simulated Maccor station, checked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from labctl.errors import Finding, InputError
from labctl.units import QuantityError, parse

PROFILES = ("faithful", "pymacnet")
DIALECTS = ("single_line", "two_lines", "three_lines", "mims", "csv")
_UNITS = {"_s": "s", "_V": "V", "_A": "A", "_h": "hour", "_celsius": "degC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What kind of tester it is. What the vendor's reference leaves open is a setting.

    Attributes
    ----------
    capacity_reset : str
        Whether the capacity column begins anew at every ``step`` or when the ``direction`` changes; real installations
        differ.
    current_sign : str
        Current of a discharge in replies: ``signed`` or ``magnitude`` (not stated by the vendor).
    after_reset : str
        What becomes of a data file that was not archived: ``kept`` or ``discarded``.
    export : str
        Dialect of the text exports.
    mims_decimal : str
        Decimal mark of the ``mims`` dialect, as the PC's locale sets it.
    user, password : str
        With a user, MacNet wants a login first.
    """

    profile: str = field(default="faithful", metadata={"choices": PROFILES})
    channels: int = 16
    system_id: str = "SIM4000"
    system_type: int = 0
    service_s: float = 0.034
    starting_s: float = 0.5
    capacity_reset: str = field(default="step", metadata={"choices": ("step", "direction")})
    current_sign: str = field(default="signed", metadata={"choices": ("signed", "magnitude")})
    after_reset: str = field(default="kept", metadata={"choices": ("kept", "discarded")})
    export: str = field(default="single_line", metadata={"choices": DIALECTS})
    mims_decimal: str = field(default=".", metadata={"choices": (".", ",")})
    most_V: float = 10.0
    most_A: float = 5.0
    utc_offset_h: float = 1.0
    user: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.channels <= 128:
            raise InputError(f"a simulated tester has 1 to 128 channels, not {self.channels}")


def read_settings(block: object) -> Settings:
    """Return the checked settings; units may be left out of the keys, quantities are text with a unit or SI numbers.

    Raises
    ------
    InputError
        One finding for each key that is unknown or holds what cannot be used.
    """
    findings: list[Finding] = []
    if not isinstance(block, Mapping):
        raise InputError(findings=(_finding("simulator", "is not a block of keys and values", block, "key: value"),))
    known = {item.name: item for item in fields(Settings)}
    found: dict[str, Any] = {}
    for key, value in block.items():
        name = next((name for name in (key, *(f"{key}{end}" for end in _UNITS)) if name in known), None)
        path = f"simulator.{key}"
        if name is None:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(known)}"
            findings.append(_finding(path, "is not a key of the simulated tester", value, hint))
            continue
        default = known[name].default
        choices = known[name].metadata.get("choices")
        if choices is not None:
            if value not in choices:
                findings.append(_finding(path, "is not a choice here", value, f"one of {', '.join(choices)}"))
            found[name] = value
        elif isinstance(default, float):
            found[name] = _quantity(path, name, value, findings)
        elif type(value) is not type(default):
            findings.append(_finding(path, "is not of the right kind", value, f"such as {default!r}"))
        else:
            found[name] = value
    if findings:
        raise InputError(findings=tuple(findings))
    return Settings(**found)


def _quantity(path: str, name: str, value: object, findings: list[Finding]) -> float:
    if isinstance(value, str):
        try:
            return parse(value, next(unit for end, unit in _UNITS.items() if name.endswith(end)))
        except QuantityError as problem:
            findings.append(_finding(path, problem.what, value, problem.expected))
            return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        findings.append(_finding(path, "is not a number", value, "a number, or text with a unit"))
        return 0.0
    return float(value)


def _finding(path: str, what: str, value: object, expected: str) -> Finding:
    return Finding(file="lab file", key_path=path, what=what, value=repr(value), expected=expected)
