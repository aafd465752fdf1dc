"""The column names of Maccor exports: what a header cell means, in which unit, and whether the unit was written.

Names seen in exports of eight laboratories and in the vendor's own tools; `Amp-hr`, `Cap. [Ah]` and `Capacity` are one
quantity. A unit that stands in the name is *stated*; one that does not is left to be proven.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Quantity = Literal[
    "record",
    "cycle",
    "cycle_p",
    "cycle_c",
    "step",
    "test_time",
    "step_time",
    "capacity",
    "energy",
    "current",
    "voltage",
    "state",
    "end_code",
    "clock",
    "loop",
    "range",
    "ac_resistance",
    "dc_resistance",
    "temperature",
    "aux",
    "passed_over",
    "unknown",
]

NEEDED: tuple[Quantity, ...] = ("step", "test_time", "current", "voltage")
ONCE: tuple[Quantity, ...] = (
    "record", "cycle", "cycle_p", "cycle_c", "step", "test_time", "step_time", "capacity", "energy", "current",
    "voltage", "state", "end_code", "clock",
)  # fmt: skip
COUNTERS: tuple[Quantity, ...] = ("record", "cycle", "cycle_p", "cycle_c", "step", "end_code", "loop")

_UNITS: dict[str, float] = {
    "s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0,
    "min": 60.0, "minute": 60.0, "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "a": 1.0, "ma": 1e-3, "ua": 1e-6, "v": 1.0, "mv": 1e-3,
    "ah": 1.0, "mah": 1e-3, "uah": 1e-6, "wh": 1.0, "mwh": 1e-3, "uwh": 1e-6,
}  # fmt: skip

_FAMILY: dict[Quantity, frozenset[str]] = {
    "test_time": frozenset({"s", "sec", "secs", "second", "seconds", "min", "minute", "minutes"} | {"h", "hr", "hour"}),
    "step_time": frozenset({"s", "sec", "secs", "second", "seconds", "min", "minute", "minutes"} | {"h", "hr", "hour"}),
    "capacity": frozenset({"ah", "mah", "uah"}),
    "energy": frozenset({"wh", "mwh", "uwh"}),
    "current": frozenset({"a", "ma", "ua"}),
    "voltage": frozenset({"v", "mv"}),
}

_BARE: dict[str, tuple[Quantity, str]] = {
    "rec": ("record", ""), "rec#": ("record", ""), "record": ("record", ""), "rec(#)": ("record", ""),
    "cyc#": ("cycle", ""), "cycle": ("cycle", ""), "cycle p": ("cycle_p", ""), "cycle c": ("cycle_c", ""),
    "cyclep": ("cycle_p", ""), "cyclec": ("cycle_c", ""), "step": ("step", ""), "step#": ("step", ""),
    "state": ("state", ""), "md": ("state", ""), "mode": ("state", ""), "es": ("end_code", ""),
    "dpt time": ("clock", ""), "dpttime": ("clock", ""), "range": ("range", ""), "i range": ("range", ""),
    "acimp/ohms": ("ac_resistance", ""), "dcir/ohms": ("dc_resistance", ""),
    "amp-hr": ("capacity", "ah"), "amphr": ("capacity", "ah"), "mamp-hr": ("capacity", "mah"),
    "uamp-hr": ("capacity", "uah"),
    "watt-hr": ("energy", "wh"), "watthr": ("energy", "wh"), "mwatt-hr": ("energy", "mwh"),
    "amps": ("current", "a"), "mamps": ("current", "ma"), "uamps": ("current", "ua"),
    "volts": ("voltage", "v"), "mvolts": ("voltage", "mv"),
}  # fmt: skip

_STEMS: tuple[tuple[re.Pattern[str], Quantity], ...] = (
    (re.compile(r"test ?time|test"), "test_time"),
    (re.compile(r"step ?time|step"), "step_time"),
    (re.compile(r"cap\.?|capacity"), "capacity"),
    (re.compile(r"ener\.?|energy"), "energy"),
    (re.compile(r"current"), "current"),
    (re.compile(r"voltage"), "voltage"),
)
_WITH_UNIT = re.compile(r"(?P<stem>.*?)\s*[(\[]\s*(?P<unit>[^)\]]*?)\s*[)\]]")
_OTHER: tuple[tuple[re.Pattern[str], Quantity], ...] = (
    (re.compile(r"loop ?\d+"), "loop"),
    (re.compile(r"(ev )?temp(erature)? ?\d*"), "temperature"),
    (re.compile(r"aux ?#? ?\d+"), "aux"),
    (re.compile(r"var ?\d+|globflag ?\d+|wf .*|units|unnamed: \d+|s\.capacity.*|power.*|"), "passed_over"),
)


@dataclass(frozen=True, slots=True)
class ColumnName:
    """What one header cell means.

    Attributes
    ----------
    factor : float or None
        To seconds, ampere, volt, ampere hour or watt hour; None where the name states no unit.
    """

    text: str
    quantity: Quantity
    factor: float | None = None


def column_name(cell: str) -> ColumnName:
    """Return what a header cell means; ``unknown`` for a name never seen."""
    text = cell.strip().strip('"').strip()
    key = " ".join(text.lower().replace("μ", "u").replace("µ", "u").split())
    if key in _BARE:
        quantity, unit = _BARE[key]
        return ColumnName(text, quantity, _UNITS[unit] if unit else None)
    match = _WITH_UNIT.fullmatch(key)
    stem, unit = (match["stem"], match["unit"]) if match else (key, "")
    for pattern, quantity in _STEMS:
        if pattern.fullmatch(stem) and not (stem in {"test", "step"} and not unit):
            if not unit:
                return ColumnName(text, quantity)
            if unit in _FAMILY[quantity]:
                return ColumnName(text, quantity, _UNITS[unit])
    for pattern, quantity in _OTHER:
        if pattern.fullmatch(key):
            return ColumnName(text, quantity)
    return ColumnName(text, "unknown")


def is_cycler_header(names: list[ColumnName]) -> bool:
    """Whether the cells of a line are the header of a Maccor test export."""
    quantities = {one.quantity for one in names}
    return {*NEEDED, "clock"} <= quantities or {*NEEDED, "record"} <= quantities or {*NEEDED, "end_code"} <= quantities
