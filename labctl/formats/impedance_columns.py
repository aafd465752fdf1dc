"""What a column of an impedance file means by its name and unit, and one impedance from all columns that speak of it.

Real, imaginary, modulus and phase say the same thing twice. They must agree: a file whose columns contradict each
other was split or scaled wrongly, by a program or by us, and is refused at the line where it shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from labctl.errors import InputError
from labctl.formats.impedance import ComplexArray, FloatArray
from labctl.formats.impedance_text import Number, refuse, rounding

Quantity = Literal["index", "frequency", "z_re", "z_im", "modulus", "phase", "time"]

AGREE = 1e-3
"""How far modulus and phase [rad] may stand from real and imaginary part, beside their rounding."""

_NAMES: dict[str, Quantity] = {
    "index": "index",
    "frequency": "frequency",
    "freq": "frequency",
    "freq.": "frequency",
    "z'": "z_re",
    "zre": "z_re",
    "z_re": "z_re",
    "re(z)": "z_re",
    "rez": "z_re",
    "zreal": "z_re",
    "z''": "z_im",
    "zim": "z_im",
    "z_im": "z_im",
    "im(z)": "z_im",
    "imz": "z_im",
    "zimag": "z_im",
    "z": "modulus",
    "|z|": "modulus",
    "zmod": "modulus",
    "phase": "phase",
    "phaseangle": "phase",
    "phase(z)": "phase",
    "time": "time",
}
_PRIMES = str.maketrans({"\u2032": "'", "\u2019": "'", "\u2018": "'", "`": "'", "\u00b4": "'", "\u2033": '"'})
_UNIT = re.compile(r"(.*?)\s*[(\[]([^()\[\]]*)[)\]]\s*")
_OHM = frozenset(
    {"\u03a9", "\u2126", "ohm", "Ohm", "ohms", "Ohms", "OHM", "W", "a", "b"}  # W: omega in the Symbol font; a, b: ZView
    | {"?", "\ufffd", "\u00ce\u00a9", "\u00e2\u201e\u00a6"}  # what wrong encodings leave of either omega
)
_PREFIX = {"": 1.0, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "\u00b5": 1e-6, "\u03bc": 1e-6}
_FACTORS: dict[str, dict[str, float]] = {
    "frequency": {"Hz": 1.0, "hz": 1.0, "HZ": 1.0, "kHz": 1e3, "MHz": 1e6, "mHz": 1e-3},
    "phase": {"°": np.pi / 180, "deg": np.pi / 180, "degree": np.pi / 180, "degrees": np.pi / 180, "º": np.pi / 180}
    | {"?": np.pi / 180, "\ufffd": np.pi / 180, "Â°": np.pi / 180, "rad": 1.0},
    "time": {"s": 1.0, "Sec": 1.0, "sec": 1.0, "ms": 1e-3, "min": 60.0, "h": 3600.0},
    "index": {},
}


@dataclass(frozen=True, slots=True)
class ColumnName:
    """What a header cell announces: `quantity`, the sign in front of it, and the factor to SI.

    `factor` is None where the unit is missing, and nan where it is not one of the quantity's.
    """

    text: str
    quantity: Quantity | None
    sign: float = 1.0
    factor: float | None = None
    unit: str = ""


def column_name(text: str) -> ColumnName:
    """Return what a header cell means; `quantity` None for a column nobody asks for."""
    plain = text.strip().strip('"').strip()
    matched = _UNIT.fullmatch(plain)
    body, unit = (matched[1], matched[2].strip()) if matched and matched[1] else (plain, "")
    if matched and body.lower().lstrip("-\u2212 ") in {"re", "im"}:  # Re(Z) without a unit
        body, unit = plain, ""
    name = body.translate(_PRIMES).replace('"', "''").replace("\u2212", "-").replace(" ", "").lower()
    sign = -1.0 if name.startswith("-") else 1.0
    quantity = _NAMES.get(name.lstrip("-"))
    if quantity is None:
        return ColumnName(plain, None)
    return ColumnName(plain, quantity, sign, _factor(quantity, unit) if unit else None, unit)


def _factor(quantity: Quantity, unit: str) -> float:
    if quantity in {"z_re", "z_im", "modulus"}:
        for ohm in _OHM:
            if unit.endswith(ohm) and (prefix := unit[: -len(ohm)].strip()) in _PREFIX:
                return _PREFIX[prefix]
        return float("nan")
    return _FACTORS[quantity].get(unit, float("nan"))


def is_spectrum_header(names: Sequence[ColumnName]) -> bool:
    """Whether a row of names holds a frequency and an impedance, in parts or as modulus and phase."""
    found = {one.quantity for one in names}
    return "frequency" in found and ({"z_re", "z_im"} <= found or {"modulus", "phase"} <= found)


@dataclass(frozen=True, slots=True)
class Column:
    """Numbers of one column in SI units with the sign of its name applied, and how they were rounded."""

    values: FloatArray
    absolute: float = 0.0
    relative: float = 0.0

    @classmethod
    def of(cls, numbers: Sequence[Number | None], name: ColumnName) -> Column:
        """Build from the cells of one column; None becomes nan."""
        factor = name.sign * (1.0 if name.factor is None else name.factor)
        absolute, relative = rounding([one for one in numbers if one is not None])
        values = np.array([np.nan if one is None else one.value for one in numbers])
        return cls(values * factor, absolute * abs(factor), relative)

    @property
    def tolerance(self) -> FloatArray:
        """Largest rounding error of each value."""
        return np.asarray(np.maximum(self.absolute, self.relative * np.abs(self.values)))


def check_names(path: Path, line: int, names: Sequence[ColumnName]) -> None:
    """Refuse a header that names a quantity twice or in a unit that is not one of its own.

    Raises
    ------
    InputError
        Naming the line and the column.
    """
    seen: dict[tuple[Quantity, float], int] = {}
    wanted = {"frequency", "z_re", "z_im", "modulus", "phase"}
    for number, one in enumerate(names, start=1):
        if one.quantity not in wanted:
            continue
        if one.factor is not None and np.isnan(one.factor):
            raise refuse(
                path,
                line,
                f"the unit of column {one.text!r} is not understood",
                column=number,
                value=repr(one.unit),
                expected="ohm (with k, M, G, m), Hz, degrees or rad; an area-normalised impedance is not one",
            )
        if (one.quantity, one.sign) in seen:
            raise refuse(
                path,
                line,
                f"column {one.text!r} stands twice (column {seen[one.quantity, one.sign]} too)",
                column=number,
                expected="one column for each quantity, or it is unclear which one was measured",
            )
        seen[one.quantity, one.sign] = number


def assemble(
    path: Path, lines: Sequence[int], columns: Mapping[tuple[Quantity, float], Column], names: Sequence[ColumnName]
) -> tuple[FloatArray, ComplexArray]:
    """Return frequencies [Hz] and impedances [ohm] of the physicist's sign.

    Parameters
    ----------
    lines : sequence of int, length N
        Line of each point, for messages.
    columns : mapping of (quantity, sign of its name) to Column
        Signs already applied.

    Raises
    ------
    InputError
        A frequency that is not positive, or columns that contradict each other, with the line.
    """
    frequency = columns["frequency", 1.0].values
    for line, value in zip(lines, frequency, strict=True):
        if value <= 0:
            raise refuse(path, line, "a frequency that is not positive", value=f"{value:g} Hz")
    parts = {quantity: column for (quantity, _), column in reversed(list(columns.items()))}
    phase_unit = next((one.factor for one in names if one.quantity == "phase"), 1.0)
    if "z_re" in parts and "z_im" in parts:
        Z = parts["z_re"].values + 1j * parts["z_im"].values
        if {("z_im", 1.0), ("z_im", -1.0)} <= columns.keys():
            both = columns["z_im", 1.0], columns["z_im", -1.0]
            _agree(path, lines, "Z'' and -Z''", both[0].values, both[1].values, both[0].tolerance + both[1].tolerance)
    elif phase_unit is None:
        raise refuse(
            path, lines[0], "modulus and phase without the unit of the phase", expected="Phase (°) or Phase (rad)"
        )
    else:
        Z = parts["modulus"].values * np.exp(1j * parts["phase"].values)
        return frequency, Z
    rounded = parts["z_re"].tolerance + parts["z_im"].tolerance
    if "modulus" in parts:
        modulus = parts["modulus"]
        allowed = AGREE * np.abs(Z) + modulus.tolerance + rounded
        _agree(path, lines, "the modulus and |Z' + jZ''|", modulus.values, np.abs(Z), allowed)
    if "phase" in parts:
        _phase_agrees(path, lines, parts["phase"], Z, rounded, phase_unit)
    return frequency, Z


def _phase_agrees(
    path: Path, lines: Sequence[int], phase: Column, Z: ComplexArray, rounded: FloatArray, unit: float | None
) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        slack = np.where(np.abs(Z) > 0, rounded / np.abs(Z), np.pi)
    for scale in (1.0,) if unit is not None else (np.pi / 180, 1.0):  # without a unit it may be either
        off = np.angle(np.exp(1j * (phase.values * scale - np.angle(Z))))
        allowed = AGREE + phase.tolerance * scale + slack
        if not np.any(np.abs(off) > allowed):
            return
    worst = int(np.argmax(np.abs(off) > allowed))
    raise _contradiction(path, lines[worst], "the phase and atan2(Z'', Z')", phase.values[worst], np.angle(Z[worst]))


def _agree(
    path: Path, lines: Sequence[int], what: str, one: FloatArray, other: FloatArray, allowed: FloatArray
) -> None:
    wrong = np.abs(one - other) > allowed  # a cell without a number (nan) says nothing
    if wrong.any():
        at = int(np.argmax(wrong))
        raise _contradiction(path, lines[at], what, one[at], other[at])


def _contradiction(path: Path, line: int, what: str, one: float, other: float) -> InputError:
    return refuse(
        path,
        line,
        f"the columns contradict each other: {what}",
        value=f"{one:.6g} and {other:.6g}",
        expected="export the file anew; a lost decimal mark, a wrong sign or shifted columns do this",
    )
