"""What a cell's cycles say the moment they are there, also while it goes on: one line for people, numbers beside it."""

from __future__ import annotations

from pathlib import Path

from labctl.analysis.cycling.gather import measured_cell
from labctl.analysis.cycling.series import analyse_cell
from labctl.analysis.cycling_results import CyclingCell, CyclingCycle
from labctl.dataset.model import Dataset, Verdict

MOST_WARNINGS = 5


def judge_cycling(run_dir: Path, dataset: Dataset) -> Verdict:
    """Return what the cycles so far say; it always passes, because a cell's guards stand in the tester.

    ``measured`` holds ``cycles`` and ``counted``, and where there are any, ``CE_last``, ``CE_mean`` and
    ``Q_discharge_last_mAh``, of cycles that count. Warnings are of cycles that are new with this dataset.

    Raises
    ------
    InputError
        No export of it can be read.
    """
    cell = analyse_cell(measured_cell(run_dir, dataset))
    ended = [one for one in cell.cycles if one.cycle > 0 and one.flags != ["under way"]]
    counted = [one for one in ended if one.counts]
    numbers = {"cycles": float(len(ended)), "counted": float(len(counted))}
    summary = cell.summary
    if counted and summary.CE_last is not None and summary.CE_mean is not None and counted[-1].discharge is not None:
        numbers |= {"CE_last": summary.CE_last, "CE_mean": summary.CE_mean}
        numbers["Q_discharge_last_mAh"] = counted[-1].discharge.Q_mAh
    new = [one for one in ended if one.cycle >= dataset.part_from and one.flags]
    doubts = [f"cycle {one.cycle}: {'; '.join(one.flags)}" for one in new[:MOST_WARNINGS]]
    if len(new) > MOST_WARNINGS:
        doubts.append(f"{len(new) - MOST_WARNINGS} more cycles are flagged; results.json tells why")
    if dataset.part:
        said = cycle_line(ended[-1], cell) if ended else "no cycle is whole yet"
    else:
        said = f"{len(ended)} cycles, {len(counted)} count"
        said += "" if summary.CE_mean is None else f", CE {100 * summary.CE_mean:.2f} % (mean)"
    return Verdict(measured=numbers, message=said, warnings=tuple(doubts))


def cycle_line(one: CyclingCycle, cell: CyclingCell) -> str:
    """Return one cycle in a line: charge, discharge, whose gram, efficiency, and why it does not count."""
    per_gram = cell.mass_mg is not None and bool(cell.mass_basis)
    parts = []
    for word, half in (("charge", one.charge), ("discharge", one.discharge)):
        if half is not None:
            Q = half.Q_mAh_per_g if per_gram else half.Q_mAh
            parts.append(f"{word} {Q:.4g}")
    unit = f"mAh/g of {cell.mass_basis}" if per_gram else "mAh"
    told = f"cycle {one.cycle}: {', '.join(parts)} {unit}"
    if one.CE is not None:
        told += f", CE {100 * one.CE:.2f} %"
    return told if one.counts else f"{told}; left out: {'; '.join(one.flags)}"
