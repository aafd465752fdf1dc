"""What people read of cycled cells: names that tell them apart, a summary side by side, a line for each cycle.

Numbers are those of `results.json`; here they get units, the basis of each gram, and what their errors are of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.analysis.cycling_results import CyclingCell, CyclingHalf
from labctl.report.numbers import plus_minus

OPEN_TABLE_ROWS = 12
"""Longer tables of cycles are folded away in the page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleTable:
    """Cycles of one cell as text, a row each; `left_out` marks rows that do not count."""

    name: str
    unit: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: tuple[bool, ...]
    folded: bool


def names(cells: Sequence[CyclingCell]) -> list[str]:
    """Return a name for each cell: what is in it, and its current density or dataset where that does not tell."""
    plain = [Path(one.cell).name for one in cells]
    density = [_with_density(name, one) for name, one in zip(plain, cells, strict=True)]
    often, dense = Counter(plain), Counter(density)
    return [
        name if often[name] == 1 else longer if dense[longer] == 1 else f"{longer} ({one.dataset})"
        for name, longer, one in zip(plain, density, cells, strict=True)
    ]


def _with_density(name: str, cell: CyclingCell) -> str:
    first = next((one.charge for one in cell.cycles if one.charge is not None), None)
    if first is None:
        return name
    density = first.current_density_mA_per_cm2
    return f"{name}, {first.current_mA:.3g} mA" if density is None else f"{name}, {density:.3g} mA/cm²"


def per_gram(cell: CyclingCell) -> bool:
    """Whether charge is given per gram, because mass and basis were stated."""
    return cell.mass_mg is not None and bool(cell.mass_basis)


def unit(cell: CyclingCell) -> str:
    """Return the unit of charge with its basis."""
    return f"mAh/g of {cell.mass_basis}" if per_gram(cell) else "mAh"


def _charge(cell: CyclingCell, half: CyclingHalf | None) -> str:
    if half is None:
        return ""
    Q, se = (half.Q_mAh_per_g, half.Q_se_mAh_per_g) if per_gram(cell) else (half.Q_mAh, half.Q_se_mAh)
    return "" if Q is None else f"{Q:.4g}" if se is None else plus_minus(Q, se)


def _percent(share: float | None, places: int = 2) -> str:
    return "" if share is None else f"{100 * share:.{places}f}"


def _milli(value: float | None) -> str:
    return "" if value is None else f"{1000 * value:.0f}"


def _volts(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def cycle_table(cell: CyclingCell, name: str) -> CycleTable:
    """Return the cycles of a cell as a table."""
    shown = {
        "retention": any(one.retention is not None for one in cell.cycles),
        "over": any(one.overpotential_V is not None for one in cell.cycles),
        "nominal": any(one.CE_nominal is not None for one in cell.cycles),
        "remarks": any(one.flags for one in cell.cycles),
    }
    head = ["cycle", "charge", "ended by", "discharge", "ended by", "CE [%]"]
    head += ["Q out / Q set [%]"] if shown["nominal"] else []
    head += ["mean V up", "mean V down", "polarisation [mV]"]
    head += ["overpotential [mV]"] if shown["over"] else []
    head += ["retention [%]"] if shown["retention"] else []
    head += ["remarks"] if shown["remarks"] else []
    rows = []
    for one in cell.cycles:
        row = [str(one.cycle)]
        for half in (one.charge, one.discharge):
            row += [_charge(cell, half), "" if half is None else half.end]
        row.append(_percent(one.CE))
        row += [_percent(one.CE_nominal)] if shown["nominal"] else []
        row += [_volts(None if half is None else half.mean_V) for half in (one.charge, one.discharge)]
        row.append(_milli(one.polarisation_V))
        row += [_milli(one.overpotential_V)] if shown["over"] else []
        row += [_percent(one.retention, 1)] if shown["retention"] else []
        row += ["; ".join(one.flags)] if shown["remarks"] else []
        rows.append(tuple(row))
    return CycleTable(
        name=name,
        unit=unit(cell),
        head=tuple(head),
        rows=tuple(rows),
        left_out=tuple(not one.counts for one in cell.cycles),
        folded=len(rows) > OPEN_TABLE_ROWS,
    )


def summary_table(cells: Sequence[CyclingCell]) -> list[tuple[str, list[str]]]:
    """Return what holds over all cycles: a quantity, and its text for each cell; quantities nobody has are left out."""
    rows = [(what, [tell(one) for one in cells]) for what, tell in _SUMMARY]
    return [(what, told) for what, told in rows if any(told)]


def headline(cell: CyclingCell) -> str:
    """Return the mean efficiency with what its error is of, or why there is none."""
    told = cell.summary
    if told.CE_mean is None:
        return "no cycle counts"
    if told.CE_mean_se is None or 100 * told.CE_mean_se < 1e-4:
        return f"{100 * told.CE_mean:.2f} %"
    return plus_minus(100 * told.CE_mean, 100 * told.CE_mean_se, "%")


def accuracy(cell: CyclingCell) -> str:
    """Return what the tester's current may be wrong by, as an error of the mean efficiency; empty if not stated."""
    error = cell.summary.CE_mean_se_current
    return "" if error is None else f"± {100 * error:.2g} % of the current, in all cycles together"


def state(cell: CyclingCell) -> str:
    """Return how many cycles there are, how many count, and whether more may come."""
    told = cell.summary
    under_way = sum(one.flags == ["under way"] for one in cell.cycles)
    whole = told.cycles - under_way
    said = f"{whole} cycle{'' if whole == 1 else 's'}"
    said += ", all count" if told.counted == whole else f", {told.counted} count"
    return f"{said}; not complete" if cell.completeness != "complete" else said


def _cycles(cell: CyclingCell) -> str:
    left_out = [one for one in cell.cycles if not one.counts and one.cycle > 0 and one.flags != ["under way"]]
    said = state(cell)
    if left_out:
        numbers = ", ".join(str(one.cycle) for one in left_out[:12])
        said += f"; left out: {numbers}{' ...' if len(left_out) > 12 else ''}"
    return said


def _set(cell: CyclingCell) -> str:
    sets: list[float] = []
    for one in cell.cycles:
        if one.Q_set_mAh is not None and (not sets or sets[-1] != one.Q_set_mAh):
            sets.append(one.Q_set_mAh)
    if not sets:
        return ""
    grams = (cell.mass_mg or 0.0) / 1000.0
    shown = [f"{Q / grams if per_gram(cell) else Q:.4g}" for Q in sets[:12]]
    return f"{', '.join(shown)}{' ...' if len(sets) > 12 else ''} {unit(cell)}"


def _discharge(cell: CyclingCell) -> str:
    told = cell.summary
    if told.Q_discharge_mean_mAh is None:
        return ""
    grams = (cell.mass_mg or 0.0) / 1000.0 if per_gram(cell) else 1.0
    said = f"{told.Q_discharge_mean_mAh / grams:.5g} {unit(cell)}"
    if told.alike > 1 and told.Q_discharge_scatter_mAh is not None:
        said += f", mean of {told.alike} alike (scatter {told.Q_discharge_scatter_mAh / grams:.2g})"
    elif told.counted > 1:
        said += ", in the last cycle that counts"
    errors = []
    if told.Q_discharge_mean_se_current_mAh is not None:
        errors.append(f"± {told.Q_discharge_mean_se_current_mAh / grams:.2g} of the current")
    if told.Q_discharge_mean_se_mass_mAh_per_g is not None:
        errors.append(f"± {told.Q_discharge_mean_se_mass_mAh_per_g:.2g} of the mass")
    return f"{said}; {', '.join(errors)}, in all cycles together" if errors else said


def _efficiency(cell: CyclingCell) -> str:
    told = cell.summary
    if told.CE_mean is None:
        return "no cycle counts"
    said = f"{headline(cell)}, mean of {told.counted}"
    if told.counted > 1 and told.CE_min is not None and told.CE_last is not None:
        said += f" (lowest {100 * told.CE_min:.2f}, last {100 * told.CE_last:.2f})"
    return f"{said}; {accuracy(cell)}" if accuracy(cell) else said


def _retention(cell: CyclingCell) -> str:
    told = cell.summary
    if told.retention_last is None:
        return ""
    return f"{100 * told.retention_last:.1f} % of cycle {told.retention_cycle}, in the last cycle that counts"


def _plateau(cell: CyclingCell) -> str:
    told = cell.summary
    if told.activation_plateau_V is None:
        return ""
    said = f"{told.activation_plateau_V:.3f} V" + (f" vs {told.reference}" if told.reference else "")
    if told.plateau_V_vs_Li is not None:
        said += f" ({told.plateau_V_vs_Li:.3f} V vs Li/Li⁺)"
    low, high = told.plateau_window
    return f"{said}, {100 * low:.0f} to {100 * high:.0f} % of {told.plateau_window_of}"


def _overpotential(cell: CyclingCell) -> str:
    told = cell.summary
    if told.overpotential_V is None:
        return ""
    return f"{1000 * told.overpotential_V:.0f} mV over {told.equilibrium_V:g} V, as stated"


def _polarisation(cell: CyclingCell) -> str:
    mean_V = cell.summary.polarisation_mean_V
    return "" if mean_V is None else f"{1000 * mean_V:.0f} mV, mean"


def _current(cell: CyclingCell) -> str:
    half = next((one.charge for one in cell.cycles if one.charge is not None), None)
    if half is None:
        return ""
    said = [f"{half.current_mA:.4g} mA"]
    if half.current_density_mA_per_cm2 is not None:
        said.append(f"{half.current_density_mA_per_cm2:.3g} mA/cm²")
    if half.rate_of_theory_per_h is not None:
        said.append(f"{half.rate_of_theory_per_h:.2g} C of theory")
    last = next((one.charge for one in reversed(cell.cycles) if one.charge is not None and one.counts), half)
    if last.rate_of_set_per_h is not None:
        said.append(f"{last.rate_of_set_per_h:.2g} C of the charge set")
    return ", ".join(said)


def _mass(cell: CyclingCell) -> str:
    if not per_gram(cell):
        return "not stated: charge in mAh"
    mass = f"{cell.mass_mg:.4g} mg" if cell.mass_se_mg is None else plus_minus(cell.mass_mg, cell.mass_se_mg, "mg")
    said = f"{mass} of {cell.mass_basis}"
    if cell.electrode_area_cm2 is not None and cell.mass_mg is not None:
        said += f", {cell.mass_mg / cell.electrode_area_cm2:.3g} mg/cm²"
    return said


def _excess(cell: CyclingCell) -> str:
    grams = (cell.mass_mg or 0.0) / 1000.0 if per_gram(cell) else 1.0
    return f"{cell.summary.excess_charge_mAh / grams:.4g} {unit(cell)} over all cycles"


def _proof(cell: CyclingCell) -> str:
    said = f"time in {cell.time_unit}, proven by {cell.proven_by}"
    if cell.capacity_over_integral is not None:
        said += f"; counter over ∫|I|dt {cell.capacity_over_integral:.5f}"
    return said


_SUMMARY = (
    ("cycles", _cycles),
    ("charged to", _set),
    ("discharged", _discharge),
    ("coulombic efficiency", _efficiency),
    ("retention", _retention),
    ("activation plateau", _plateau),
    ("overpotential", _overpotential),
    ("polarisation", _polarisation),
    ("charging current", _current),
    ("mass", _mass),
    ("charged, not discharged", _excess),
    ("the record", _proof),
)


def summary_lines(cells: Sequence[CyclingCell]) -> list[str]:
    """Return what a person wants to know first, two lines a cell."""
    lines = []
    for name, cell in zip(names(cells), cells, strict=True):
        parts = [state(cell), f"CE {_efficiency(cell)}", _discharge(cell)]
        lines.append(f"{name}: {'; '.join(part for part in parts if part)}")
        more = {
            "activation plateau": _plateau(cell),
            "overpotential": _overpotential(cell),
            "retention": _retention(cell),
        }
        told = "; ".join(f"{what} {text}" for what, text in more.items() if text)
        if told:
            lines.append(f"  {told}")
    return lines
