"""Figures of cycling, drawn from results alone: voltage curves, cycle life with efficiency, plateau and overpotential.

Charge is per gram only where the basis was stated, and the axis names it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.analysis.cycling_results import CyclingCell, CyclingCycle, CyclingHalf
from labctl.analysis.results import Results
from labctl.report.figures import COLOURS, MARKERS, canvas, save
from labctl.report.page import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT_OUT = COLOURS[6]


def cycling_figures(results: Results, folder: Path) -> list[Figure]:
    """Return every figure of cycling; none where nothing was cycled."""
    figures: list[Figure] = []
    cells = [cell for cell in results.cycling.cells if cell.cycles]
    for number, cell in enumerate(cells, start=1):
        stem = f"cycling_{number}_{re.sub(r'[^A-Za-z0-9_-]+', '_', Path(cell.cell).name)[:40]}"
        figures.append(voltage_curves(cell, folder / f"{stem}_curves.svg"))
        if len(cell.cycles) > 1:
            figures.append(cycle_life(cell, folder / f"{stem}_life.svg"))
    if any(cell.summary.overpotential_V is not None for cell in cells):
        figures.append(plateaus(cells, folder / "cycling_overpotential.svg"))
    return figures


def _per(cell: CyclingCell) -> tuple[float, str]:
    """Divisor of mAh, and the unit with its basis."""
    if cell.mass_mg is not None and cell.mass_basis:
        return cell.mass_mg / 1000.0, f"mAh/g of {cell.mass_basis}"
    return 1.0, "mAh"


def _volts(cell: CyclingCell) -> str:
    return f"voltage [V vs {cell.summary.reference}]" if cell.summary.reference else "voltage [V]"


def _name(cell: CyclingCell) -> str:
    return Path(cell.cell).name


def voltage_curves(cell: CyclingCell, path: Path) -> Figure:
    """Draw voltage against charge of the cycles whose curves are kept."""
    divisor, unit = _per(cell)
    drawing, axes = canvas(6.4, 4.4)
    shown = [one for one in cell.cycles if (one.charge and one.charge.curve) or (one.discharge and one.discharge.curve)]
    for index, one in enumerate(shown):
        colour = COLOURS[index % len(COLOURS)]
        dash = "-" if one.counts else "--"
        label = f"cycle {one.cycle}" + ("" if one.counts else ", left out")
        for half in (one.charge, one.discharge):
            if half is not None and half.curve is not None:
                axes.plot(
                    [q / divisor for q in half.curve.Q_mAh], half.curve.V, dash, lw=1.1, color=colour, label=label
                )
                label = "_"
    if cell.summary.equilibrium_V is not None:
        axes.axhline(cell.summary.equilibrium_V, color=LEFT_OUT, lw=0.8, ls=":", label="equilibrium, as stated")
    axes.set_xlabel(f"charge moved [{unit}]")
    axes.set_ylabel(_volts(cell))
    axes.set_title(_name(cell))
    axes.legend(fontsize=7.5, ncols=2 if len(shown) > 6 else 1)
    return Figure(
        path=save(drawing, path),
        title=f"Voltage curves of {_name(cell)}",
        caption=f"Charge rises, discharge falls, each from zero, in {unit}. Dashed: cycles left out of averages.",
    )


def cycle_life(cell: CyclingCell, path: Path) -> Figure:
    """Draw discharge capacity and efficiency against cycle; cycles left out are open and grey."""
    divisor, unit = _per(cell)
    drawing, panels = canvas(9.0, 4.2, ncols=2)
    capacity, efficiency = panels
    cycles = [one for one in cell.cycles if one.cycle > 0]
    for which, (colour, marker, get) in {
        "charge": (COLOURS[1], MARKERS[2], _charge),
        "discharge": (COLOURS[0], MARKERS[0], _discharge),
    }.items():
        for counts in (True, False):
            points = [
                (one.cycle, half.Q_mAh / divisor) for one in cycles if one.counts is counts and (half := get(one))
            ]
            if points:
                _dots(
                    capacity, points, colour if counts else LEFT_OUT, marker, which if counts else f"{which}, left out"
                )
    set_mAh = cell.summary.Q_set_mAh
    if set_mAh is not None:
        capacity.axhline(set_mAh / divisor, color=LEFT_OUT, lw=0.8, ls=":", label="charge as set")
    for counts in (True, False):
        points = [(one.cycle, 100 * one.CE) for one in cycles if one.counts is counts and one.CE is not None]
        if points:
            _dots(efficiency, points, COLOURS[2] if counts else LEFT_OUT, MARKERS[1], "CE" if counts else "left out")
    bars = [(one.cycle, 100 * one.CE, 100 * one.CE_se) for one in cycles if one.counts and one.CE and one.CE_se]
    if bars:
        efficiency.errorbar(*zip(*[(n, c) for n, c, _ in bars], strict=True), yerr=[e for *_, e in bars], fmt="none",
                            color=COLOURS[2], lw=0.7, alpha=0.6)  # fmt: skip
    for panel, words in ((capacity, f"capacity [{unit}]"), (efficiency, "coulombic efficiency [%]")):
        panel.set_xlabel("cycle")
        panel.set_ylabel(words)
        panel.legend(fontsize=7.5)
    capacity.set_ylim(bottom=0.0)
    mean = cell.summary.CE_mean
    told = "no cycle counts" if mean is None else f"mean {100 * mean:.2f} % over {cell.summary.counted} cycles"
    efficiency.set_title(told)
    capacity.set_title(_name(cell))
    return Figure(
        path=save(drawing, path),
        title=f"Cycle life of {_name(cell)}",
        caption=f"Realised capacities in {unit}, and discharge over charge of each cycle: {told}. Grey: left out of "
        "averages, because the charge did not end as meant, a half is missing, or a guard or person ended it. "
        + ("" if bars else "No accuracy of the current was stated, so there are no error bars."),
    )


def _charge(one: CyclingCycle) -> CyclingHalf | None:
    return one.charge


def _discharge(one: CyclingCycle) -> CyclingHalf | None:
    return one.discharge


def _dots(panel: Axes, points: Sequence[tuple[float, float]], colour: str, marker: str, label: str) -> None:
    panel.plot(
        [x for x, _ in points], [y for _, y in points], marker, ms=3.6, mfc="none", color=colour, ls="none", label=label
    )


def plateaus(cells: Sequence[CyclingCell], path: Path) -> Figure:
    """Draw the overpotential of each first charge against its activation plateau."""
    drawing, axes = canvas(5.6, 4.2)
    drawn = [one for one in cells if one.summary.overpotential_V is not None]
    for index, one in enumerate(drawn):
        plateau_V, over_V = one.summary.activation_plateau_V, one.summary.overpotential_V
        if plateau_V is None or over_V is None:
            continue
        axes.plot(
            plateau_V, 1000 * over_V, MARKERS[index % len(MARKERS)], ms=7, color=COLOURS[index % len(COLOURS)],
            label=f"{_name(one)}: {1000 * over_V:.0f} mV over {one.summary.equilibrium_V:g} V",
        )  # fmt: skip
    references = sorted({one.summary.reference for one in drawn if one.summary.reference})
    axes.set_xlabel("activation plateau [V" + (f" vs {' or '.join(references)}]" if references else "]"))
    axes.set_ylabel("overpotential [mV]")
    axes.margins(0.3)
    axes.legend(fontsize=8)
    low, high = drawn[0].summary.plateau_window
    return Figure(
        path=save(drawing, path),
        title="Activation plateau and overpotential",
        caption=f"Mean voltage of the first charge between {100 * low:.0f} and {100 * high:.0f} % of its capacity, "
        "less the equilibrium potential that was stated: the overpotential is as good as that statement.",
    )
