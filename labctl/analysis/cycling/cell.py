"""What a person must say of a cell before its charge can be given per gram, its plateau per equilibrium.

The cycler knows amperes. Mass, what the mass is of, the capacity a charge was meant to reach, and the potential at
equilibrium stand in ``<export>.cell.json`` beside the data, or in the manifest of a run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from labctl.errors import Finding, InputError

SUFFIX = ".cell.json"
THEORETICAL_mAh_per_g = {"Li2S": 1166.5, "S": 1672.0}
"""2 F / M: two electrons a formula unit, M = 45.95 g/mol (Li2S) and 32.06 g/mol (S)."""
LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDescription:
    """A cell and how its numbers are to be given; nothing is assumed where a field is None.

    Attributes
    ----------
    name : str
    mass_mg, mass_se_mg : float or None
        Of `mass_basis`; without mass *and* basis there are no specific capacities. The standard error moves the
        specific capacities of all cycles together.
    mass_basis : str
        What the gram is of: ``Li2S``, ``S``, ``composite``, ``mixture``.
    charge_to_mAh : float or None
        Capacity at which charges were meant to end; with it, a charge counts only if it ended by capacity.
    charge_to_mAh_per_g : float or None
        The same per gram of `mass_basis`.
    charges_to_mAh : tuple of float
        The same cycle by cycle, where cycles differ; the last one holds for all later cycles. Wins over the two above.
    discharge_to_V : float or None
        Voltage at which discharges were meant to end; with it, a discharge counts only if it ended by voltage.
    theoretical_mAh_per_g : float or None
        Of `mass_basis`; known for Li2S and S.
    electrode_area_cm2 : float or None
    reference : str
        Against which voltages stand, such as ``In-Li``.
    reference_offset_V : float or None
        Added to give volts against Li+/Li: 0.62 V for In-Li in the paper.
    equilibrium_V : float or None
        Against `reference`; the overpotential is the activation plateau less this.
    plateau_from, plateau_to : float
        Window of the activation plateau, as fractions of the charge's capacity.
    retention_cycle : int
        Cycle that retention is referred to.
    current_full_scale_A, current_accuracy : float or None
        Of the range used, and the accuracy as a fraction of it (a limit, evenly distributed).
    fixed_capacity : bool or None
        Whether charges were meant to end by capacity; None: if any did.
    """

    name: str = ""
    mass_mg: float | None = None
    mass_se_mg: float | None = None
    mass_basis: str = ""
    charge_to_mAh: float | None = None
    charge_to_mAh_per_g: float | None = None
    charges_to_mAh: tuple[float, ...] = ()
    discharge_to_V: float | None = None
    theoretical_mAh_per_g: float | None = None
    electrode_area_cm2: float | None = None
    reference: str = ""
    reference_offset_V: float | None = None
    equilibrium_V: float | None = None
    plateau_from: float = 0.1
    plateau_to: float = 0.8
    retention_cycle: int = 1
    current_full_scale_A: float | None = None
    current_accuracy: float | None = None
    fixed_capacity: bool | None = None

    @property
    def specific(self) -> bool:
        """Whether charge can be given per gram, because mass and basis are both stated."""
        return self.mass_mg is not None and bool(self.mass_basis)

    def set_mAh(self, cycle: int) -> float | None:
        """Capacity at which the charge of a cycle (from 1) was meant to end."""
        if self.charges_to_mAh:
            return self.charges_to_mAh[min(max(cycle, 1), len(self.charges_to_mAh)) - 1]
        if self.charge_to_mAh is not None:
            return self.charge_to_mAh
        if self.charge_to_mAh_per_g is not None and self.mass_mg is not None and self.specific:
            return self.charge_to_mAh_per_g * self.mass_mg / 1000.0
        return None

    @property
    def largest_set_mAh(self) -> float | None:
        """The largest capacity at which any charge was meant to end."""
        return max(self.charges_to_mAh) if self.charges_to_mAh else self.set_mAh(1)

    @property
    def mass_share_se(self) -> float | None:
        """Standard error of the mass as a share of it: that of every specific capacity, all together."""
        if self.mass_mg is None or self.mass_se_mg is None:
            return None
        return self.mass_se_mg / self.mass_mg

    @property
    def theory_mAh_per_g(self) -> float | None:
        """Theoretical capacity of the basis, stated or known."""
        return self.theoretical_mAh_per_g or THEORETICAL_mAh_per_g.get(self.mass_basis)

    @property
    def current_se_A(self) -> float | None:
        """Standard error of the current: a limit, evenly distributed, over the square root of three."""
        if self.current_full_scale_A is None or self.current_accuracy is None:
            return None
        return float(self.current_full_scale_A * self.current_accuracy / 3**0.5)


_TEXTS = frozenset({"name", "mass_basis", "reference"})
_POSITIVE = frozenset(
    {"mass_mg", "charge_to_mAh", "charge_to_mAh_per_g", "theoretical_mAh_per_g", "electrode_area_cm2"}
    | {"current_full_scale_A", "current_accuracy", "mass_se_mg"}
)
_KNOWN = frozenset(one.name for one in fields(CellDescription))


def description(values: Mapping[str, Any], *, file: str, strict: bool = True) -> CellDescription:
    """Return a cell from keys and values.

    Parameters
    ----------
    strict : bool
        Refuse unknown keys (a file a person wrote), or pass over them (a manifest's settings).

    Raises
    ------
    InputError
        An unknown key, a value of another kind, a mass without basis, or more charge than the basis can hold.
    """
    findings: list[Finding] = []
    taken: dict[str, Any] = {}

    def wrong(key: str, what: str, expected: str) -> None:
        findings.append(
            Finding(file=file, key_path=key, what=what, value=repr(values.get(key))[:60], expected=expected)
        )

    for key, value in values.items():
        if key not in _KNOWN:
            if strict:
                wrong(key, "unknown key", "one of " + ", ".join(sorted(_KNOWN)))
            continue
        if value is None:
            continue
        if key in _TEXTS:
            if isinstance(value, str):
                taken[key] = value
            else:
                wrong(key, "not a text", "a text")
        elif key == "charges_to_mAh":
            found = _charges(value)
            if found is None:
                wrong(key, "no capacities", "the capacity of each charge in mAh: [0.487, 0.974]")
            else:
                taken[key] = found
        elif key == "fixed_capacity":
            if isinstance(value, bool):
                taken[key] = value
            else:
                wrong(key, "neither true nor false", "true or false")
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e12:
            wrong(key, "not a number", "a number; the unit stands in the key")
        elif key in _POSITIVE and value <= 0:
            wrong(key, "not above zero", "a positive number")
        elif key == "retention_cycle" and (value != int(value) or value < 1):
            wrong(key, "no cycle", "a whole number from 1")
        else:
            taken[key] = int(value) if key == "retention_cycle" else float(value)
    if not findings:
        cell = CellDescription(**taken)
        if (cell.mass_mg is None) != (not cell.mass_basis) and strict:
            wrong("mass_basis", "mass and basis belong together", 'mass_mg and mass_basis, e.g. 2.435 and "Li2S"')
        if not 0 <= cell.plateau_from < cell.plateau_to <= 1:
            wrong("plateau_from", "no window", "0 <= plateau_from < plateau_to <= 1")
        theory = cell.theory_mAh_per_g
        largest_mAh = cell.largest_set_mAh
        if cell.specific and theory and largest_mAh and largest_mAh > theory * (cell.mass_mg or 0.0) / 1000.0:
            wrong(
                next((key for key in ("charges_to_mAh", "charge_to_mAh") if taken.get(key)), "charge_to_mAh_per_g"),
                f"more than {cell.mass_basis} can hold", f"at most {theory:g} mAh/g: is the mass of something else?",
            )  # fmt: skip
        if not findings:
            return cell
    raise InputError(findings=tuple(findings))


def _charges(value: object) -> tuple[float, ...] | None:
    """Return a list of positive numbers, or what a manifest holds of it: the same as one text with blanks between."""
    if isinstance(value, str):
        try:
            value = [float(one) for one in value.split()]
        except ValueError:
            return None
    if not isinstance(value, list) or not value:
        return None
    numbers = [one for one in value if isinstance(one, (int, float)) and not isinstance(one, bool) and 0 < one < 1e12]
    return tuple(float(one) for one in numbers) if len(numbers) == len(value) else None


def cell_beside(path: Path) -> CellDescription | None:
    """Return what ``<export>.cell.json`` (or ``cell.json`` in the folder) says, or None where there is none.

    Raises
    ------
    InputError
        It cannot be read, or says what cannot be.
    """
    for beside in (path.with_name(path.name + SUFFIX), path.with_name("cell.json")):
        if not beside.is_file():
            continue
        try:
            if beside.stat().st_size > LARGEST_BYTES:
                raise InputError(findings=(Finding(file=str(beside), what="larger than any description of a cell"),))
            values = json.loads(beside.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError) as problem:
            raise InputError(
                findings=(Finding(file=str(beside), what=f"no JSON that can be read ({problem})"),)
            ) from None
        if not isinstance(values, dict):
            raise InputError(findings=(Finding(file=str(beside), what="no JSON object", expected='{"mass_mg": ...}'),))
        return description(values, file=str(beside))
    return None
