"""From cells to their entries in ``results.json``, with the doubts a referee would raise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from labctl.analysis.cycling.cell import CellDescription
from labctl.analysis.cycling.cycles import ChargeEnds, Cycle, charge_ends, end_words, flags, pair
from labctl.analysis.cycling.gather import MeasuredCell
from labctl.analysis.cycling.half_cycles import HalfCycle, half_cycles
from labctl.analysis.cycling_results import (
    Cycling,
    CyclingCell,
    CyclingCurve,
    CyclingCycle,
    CyclingHalf,
    CyclingSummary,
)
from labctl.analysis.memory import Memory, same
from labctl.analysis.results import DatasetEntry, ResultWarning

Attempt = Callable[[str, Callable[[], None]], None]

CURVE_POINTS = 160
CURVES_AT_MOST = 14
"""Cycles whose curves are kept: the first, those of round numbers, the last."""


def analyse_cells(
    cells: Sequence[MeasuredCell], *, attempt: Attempt, memory: Memory | None = None
) -> tuple[Cycling, list[ResultWarning]]:
    """Return entries of all cells, and what is to be said of them.

    Parameters
    ----------
    attempt : callable
        Runs one piece by its name and keeps its failure from the others.
    memory : Memory, optional
        Of an earlier pass over the same objects.
    """
    cycling, memory = Cycling(), memory or Memory()
    warnings: list[ResultWarning] = []
    for one in cells:

        def analyse(one: MeasuredCell = one) -> None:
            cycling.cells.append(memory.recall(f"cell {one.name}", same([one]), partial(analyse_cell, one)))

        attempt(f"cycling of {one.name}", analyse)
    for entry in cycling.cells:
        warnings += [ResultWarning(code="cycling", message=text, where=entry.dataset) for text in entry.warnings]
    return cycling, warnings


def analyse_cell(measured: MeasuredCell) -> CyclingCell:
    """Return the entry of one cell."""
    export, cell = measured.export, measured.cell
    cycles = pair(half_cycles(export))
    ends = charge_ends(cycles, cell, has_end_codes=export.has_end_codes)
    shown = _with_curves(cycles, cell)
    goes_on = measured.completeness == "partial"
    entries = []
    for one in cycles:
        counts, said = flags(one, ends, cell, has_end_codes=export.has_end_codes, goes_on=goes_on and one is cycles[-1])
        entries.append(
            _cycle_entry(one, cell, counts, said, has_end_codes=export.has_end_codes, curve=one.number in shown)
        )
    reference = _retention_reference(entries, cell)
    if reference is not None:
        base = next(entry for entry in entries if entry.cycle == reference)
        assert base.discharge is not None
        for entry in entries:
            if entry.discharge is not None and base.discharge.Q_mAh > 0 and entry.counts and _alike(entry, base):
                entry.retention = entry.discharge.Q_mAh / base.discharge.Q_mAh
    summary = _summary(entries, cycles, cell, ends, reference)
    return CyclingCell(
        cell=cell.name or measured.name,
        dataset=measured.name,
        paths=[str(path) for path in export.paths],
        test=export.name,
        procedure=export.head.values.get("procedure", ""),
        completeness=measured.completeness,
        mass_mg=cell.mass_mg,
        mass_se_mg=cell.mass_se_mg,
        mass_basis=cell.mass_basis,
        electrode_area_cm2=cell.electrode_area_cm2,
        current_se_A=cell.current_se_A,
        time_unit=export.proofs.time_unit,
        proven_by=export.proofs.time_proof or "nothing",
        capacity_over_integral=export.proofs.capacity_ratio,
        restarts=export.proofs.restarts,
        cycles=entries,
        summary=summary,
        warnings=[*measured.remarks, *export.warnings, *_doubts(entries, cell, summary)],
    )


def _cycle_entry(
    one: Cycle, cell: CellDescription, counts: bool, said: list[str], *, has_end_codes: bool, curve: bool
) -> CyclingCycle:
    set_mAh = cell.set_mAh(one.number)
    by_capacity = one.charge is not None and one.charge.end_code == 136
    nominal = one.discharge.capacity_mAh / set_mAh if by_capacity and one.discharge is not None and set_mAh else None
    plateau_V = one.plateau_V(cell)
    over_V = None if plateau_V is None or cell.equilibrium_V is None else plateau_V - cell.equilibrium_V
    return CyclingCycle(
        cycle=one.number,
        charge=_half_entry(one.charge, cell, set_mAh, has_end_codes=has_end_codes, curve=curve),
        discharge=_half_entry(one.discharge, cell, set_mAh, has_end_codes=has_end_codes, curve=curve),
        Q_set_mAh=set_mAh,
        CE=one.CE,
        CE_se=one.CE_se(cell.current_se_A),
        CE_nominal=nominal,
        polarisation_V=one.polarisation_V,
        plateau_V=plateau_V,
        overpotential_V=over_V,
        counts=counts,
        flags=said,
    )


def _half_entry(
    half: HalfCycle | None, cell: CellDescription, set_mAh: float | None, *, has_end_codes: bool, curve: bool
) -> CyclingHalf | None:
    if half is None:
        return None
    grams = cell.mass_mg / 1000.0 if cell.specific and cell.mass_mg else None
    theory = cell.theory_mAh_per_g
    current_mA = 1000.0 * half.current_A
    se_mAh = None if cell.current_se_A is None else 1000.0 * cell.current_se_A * half.flowing_s / 3600.0
    share = cell.mass_share_se
    return CyclingHalf(
        Q_mAh=half.capacity_mAh,
        Q_se_mAh=se_mAh,
        Q_integrated_mAh=half.integrated_mAh,
        Q_mAh_per_g=None if grams is None else half.capacity_mAh / grams,
        Q_se_mAh_per_g=None if grams is None or se_mAh is None else se_mAh / grams,
        Q_se_mass_mAh_per_g=None if grams is None or share is None else half.capacity_mAh / grams * share,
        E_mWh=half.energy_mWh,
        mean_V=half.mean_V,
        current_mA=current_mA,
        current_density_mA_per_cm2=None if cell.electrode_area_cm2 is None else current_mA / cell.electrode_area_cm2,
        rate_of_set_per_h=None if not set_mAh else current_mA / set_mAh,
        rate_of_theory_per_h=None if grams is None or theory is None else current_mA / (theory * grams),
        begin_s=half.begin_s,
        duration_s=half.end_s - half.begin_s,
        end_code=half.end_code,
        end=end_words(half, has_end_codes=has_end_codes),
        begun_before=half.begun_before,
        line=half.line,
        counters=half.counters,
        curve=_curve(half) if curve else None,
    )


def _curve(half: HalfCycle) -> CyclingCurve:
    """Thin a curve evenly in charge; first and last row stay."""
    size = half.charge_mAh.size
    if size <= CURVE_POINTS:
        kept = np.arange(size)
    else:
        even = np.linspace(half.charge_mAh[0], half.charge_mAh[-1], CURVE_POINTS)
        kept = np.unique(np.concatenate([[0], np.searchsorted(half.charge_mAh, even[1:-1]), [size - 1]]))
    return CyclingCurve(Q_mAh=half.charge_mAh[kept].tolist(), V=half.voltage_V[kept].tolist())


def _with_curves(cycles: Sequence[Cycle], cell: CellDescription) -> frozenset[int]:
    """Choose cycles whose curves are kept: the first ones, the last of each charge set, round numbers, the end."""
    numbers = [one.number for one in cycles]
    if len(numbers) <= CURVES_AT_MOST:
        return frozenset(numbers)
    turns = [a for a, b in pairwise(numbers) if cell.set_mAh(a) != cell.set_mAh(b)]
    wanted = {*numbers[:6], *turns[:8], 10, 25, 50, 100, 150, 200, 500, numbers[-1], numbers[-2]}
    return frozenset(one for one in numbers if one in wanted)


def _alike(one: CyclingCycle, other: CyclingCycle) -> bool:
    """Whether both were meant to be charged as far; capacities of others are not to be compared."""
    if one.Q_set_mAh is None or other.Q_set_mAh is None:
        return one.Q_set_mAh is other.Q_set_mAh
    return math.isclose(one.Q_set_mAh, other.Q_set_mAh, rel_tol=1e-6)


def _retention_reference(entries: Sequence[CyclingCycle], cell: CellDescription) -> int | None:
    """Return the cycle stated if it counts and is charged as far as the last that counts, else the first after it.

    None where the last one has nothing to be compared with.
    """
    counted = [one for one in entries if one.counts]
    alike = [one.cycle for one in counted if one.cycle >= cell.retention_cycle and _alike(one, counted[-1])]
    return alike[0] if len(alike) > 1 else None


def _summary(
    entries: Sequence[CyclingCycle],
    cycles: Sequence[Cycle],
    cell: CellDescription,
    ends: ChargeEnds,
    reference: int | None,
) -> CyclingSummary:
    counted = [one for one in entries if one.counts]
    alike = [one for one in counted if _alike(one, counted[-1])]
    efficiencies = np.array([one.CE for one in counted if one.CE is not None])
    charged = [one.charge.Q_mAh for one in alike if one.charge]
    discharged = [one.discharge.Q_mAh for one in alike if one.discharge]
    specific = _mean([one.discharge.Q_mAh_per_g for one in alike if one.discharge and one.discharge.Q_mAh_per_g])
    share = cell.mass_share_se
    last = max((one.cycle for one in entries), default=0)
    set_mAh = counted[-1].Q_set_mAh if counted else cell.set_mAh(last)
    first = next((one for one in entries if one.charge is not None), None)
    plateau_V = None if first is None else first.plateau_V
    polar = [one.polarisation_V for one in counted if one.polarisation_V is not None]
    into = sum(one.charge.capacity_mAh for one in cycles if one.charge)
    out = sum(one.discharge.capacity_mAh for one in cycles if one.discharge)
    offset = cell.reference_offset_V
    spread = float(np.std(efficiencies, ddof=1)) if efficiencies.size > 1 else None
    return CyclingSummary(
        cycles=sum(one.cycle > 0 for one in entries),
        counted=len(counted),
        left_out=[one.cycle for one in entries if not one.counts],
        charge_ends=ends,
        Q_set_mAh=set_mAh,
        Q_set_mAh_per_g=None if not set_mAh or not cell.specific else 1000.0 * set_mAh / (cell.mass_mg or 1.0),
        alike=len(alike),
        CE_mean=float(efficiencies.mean()) if efficiencies.size else None,
        CE_mean_se=None if spread is None else spread / math.sqrt(efficiencies.size),
        CE_mean_se_current=_mean([one.CE_se for one in counted if one.CE_se is not None]),
        CE_scatter=spread,
        CE_min=float(efficiencies.min()) if efficiencies.size else None,
        CE_last=float(efficiencies[-1]) if efficiencies.size else None,
        Q_charge_mean_mAh=_mean(charged),
        Q_discharge_mean_mAh=_mean(discharged),
        Q_discharge_scatter_mAh=float(np.std(discharged, ddof=1)) if len(discharged) > 1 else None,
        Q_discharge_mean_se_current_mAh=_mean(
            [one.discharge.Q_se_mAh for one in alike if one.discharge and one.discharge.Q_se_mAh is not None]
        ),
        Q_discharge_mean_mAh_per_g=specific,
        Q_discharge_mean_se_mass_mAh_per_g=None if specific is None or share is None else specific * share,
        retention_cycle=reference,
        retention_last=counted[-1].retention if counted else None,
        activation_plateau_V=plateau_V,
        plateau_window=[cell.plateau_from, cell.plateau_to],
        plateau_window_of="the capacity set" if set_mAh else "the first charge's realised capacity",
        equilibrium_V=cell.equilibrium_V,
        overpotential_V=None if first is None else first.overpotential_V,
        reference=cell.reference,
        reference_offset_V=offset,
        plateau_V_vs_Li=None if plateau_V is None or offset is None else plateau_V + offset,
        polarisation_mean_V=_mean(polar),
        throughput_mAh=into + out,
        excess_charge_mAh=into - out,
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _doubts(entries: Sequence[CyclingCycle], cell: CellDescription, summary: CyclingSummary) -> list[str]:
    said = []
    if not entries:
        return ["no current flows in this file: no cycles"]
    if not cell.specific:
        said.append(
            "capacities in mAh only: state mass_mg and mass_basis in <export>.cell.json "
            "(mAh/g of what, would be the question)"
        )
    if cell.current_se_A is None:
        said.append(
            "no error of capacity or CE is known: state current_full_scale_A and current_accuracy of the range used "
            "in <export>.cell.json"
        )
    if cell.equilibrium_V is None and summary.activation_plateau_V is not None:
        said.append("no overpotential: state equilibrium_V (against the same reference) in <export>.cell.json")
    if cell.specific and cell.mass_se_mg is None:
        said.append("no error of the mass is known: state mass_se_mg; it moves all specific capacities together")
    flagged = [one for one in entries if not one.counts and one.cycle > 0 and one.flags != ["under way"]]
    said += [f"cycle {one.cycle} is left out of averages: {'; '.join(one.flags)}" for one in flagged[:10]]
    if len(flagged) > 10:
        said.append(f"{len(flagged) - 10} more cycles are left out of averages; each says why")
    if summary.charge_ends == "limits":
        said.append(
            "no charge ended by capacity (136): taken for cycling between limits; efficiencies are of realised charge"
        )
    if summary.charge_ends == "unknown":
        said.append("the export has no end codes: a charge that ended by a guard cannot be told from a whole one")
    theory = cell.theory_mAh_per_g
    if cell.specific and theory is not None:
        over = [one.cycle for one in entries if one.charge and (one.charge.Q_mAh_per_g or 0.0) > theory]
        if over:
            said.append(
                f"cycle {over[0]} charged more than the {theory:g} mAh/g that {cell.mass_basis} can hold: wrong basis?"
            )
    if summary.retention_cycle is not None and summary.retention_cycle != cell.retention_cycle:
        said.append(
            f"retention refers to cycle {summary.retention_cycle}, the first from cycle {cell.retention_cycle} on that "
            "counts and was charged as far as the last"
        )
    return said


def dataset_entry(one: MeasuredCell) -> DatasetEntry:
    """Return a cell's data as one of the datasets that were read."""
    frame = one.export.frame
    return DatasetEntry(
        dataset=one.name,
        path=str(one.export.paths[0]),
        kind="cycling",
        completeness=one.completeness,
        shape=[frame.height, frame.width],
        started_s=one.manifest.started_s if one.manifest else None,
        ended_s=one.manifest.ended_s if one.manifest else None,
        parameters={"test": one.export.name, "procedure": one.export.head.values.get("procedure", "")},
        remarks=list(one.export.warnings),
    )
