"""Figures of cycling, drawn from results alone: voltage curves, cycle life with efficiency, plateau and overpotential.

Charge is per gram only where the basis was stated, and the axis names it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from labctl.analysis.cycling_results import CyclingCell, CyclingCycle, CyclingHalf
from labctl.analysis.memory import Memory
from labctl.analysis.results import Results
from labctl.report.cycling_tables import names, per_gram, unit
from labctl.report.figure import Figure, procedure_of
from labctl.report.figures import COLOURS, MARKERS, canvas, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT_OUT = COLOURS[6]
Named = tuple[str, CyclingCell]
CURVES = ("voltage curves", "activation plateau", "overpotential")
LIFE = ("cycle life", "coulombic efficiency", "last coulombic efficiency", "discharge capacity")


def cycling_figures(results: Results, folder: Path, memory: Memory | None = None) -> list[Figure]:
    """Return every figure of cycling; none where nothing was cycled. What the memory knows is not drawn again."""
    figures: list[Figure] = []
    cells = [cell for cell in results.cycling.cells if cell.cycles]
    named = list(zip(names(cells), cells, strict=True))
    groups = {label: one for label in _labels(results, CURVES) if len(one := _of_figure(results, named, label)) > 1}
    figures += [first_cycles(one, folder / f"cycling_first_cycles_{label}.svg") for label, one in groups.items()]
    groups = {label: one for label in _labels(results, LIFE) if len(one := _of_figure(results, named, label)) > 1}
    figures += [comparison(one, folder / f"cycling_comparison_{label}.svg") for label, one in groups.items()]
    if len(named) > 1 and not groups:
        figures.append(comparison(named, folder / "cycling_comparison.svg"))
    for of_one in cell_figures(results, folder, memory or Memory()):
        figures += of_one
    lasting = [one for one in named if sum(cycle.plateau_V is not None for cycle in one[1].cycles) > 1]
    if lasting:
        figures.append(plateau_life(lasting, folder / "cycling_plateaus.svg"))
    known = [one for one in named if one[1].summary.overpotential_V is not None]
    if len(known) > 1:
        figures.append(plateaus(known, folder / "cycling_overpotential.svg"))
    return figures


def cell_figures(results: Results, folder: Path, memory: Memory) -> Iterator[list[Figure]]:
    """Draw, cell by cell, what is of one alone."""
    cells = [cell for cell in results.cycling.cells if cell.cycles]
    for name, cell, stem in zip(names(cells), cells, _stems(cells), strict=True):
        draw = partial(_of_one, name, cell, folder, stem)
        known = memory.recall(f"cell {folder} {stem}", (name, cell), draw)
        yield known if all(one.path.is_file() for one in known) else draw()


def _stems(cells: Sequence[CyclingCell]) -> list[str]:
    """Return a file name for each cell, the same however many others there are by now."""
    plain = [re.sub(r"[^A-Za-z0-9_-]+", "_", "_".join(Path(cell.dataset).parts[-3:]))[-60:] for cell in cells]
    often = Counter(plain)
    return [f"cycling_{stem}" if often[stem] == 1 else f"cycling_{n}_{stem}" for n, stem in enumerate(plain, start=1)]


def _of_one(name: str, cell: CyclingCell, folder: Path, stem: str) -> list[Figure]:
    drawn = [voltage_curves(name, cell, folder / f"{stem}_curves.svg")]
    if len(cell.cycles) > 1:
        drawn.append(cycle_life(name, cell, folder / f"{stem}_life.svg"))
    return drawn


def _labels(results: Results, what: Sequence[str]) -> list[str]:
    """Figures of a publication that hold more than one of such quantities or cells."""
    return list(dict.fromkeys(one.figure for one in results.published if one.what in what))


def _of_figure(results: Results, named: Sequence[Named], label: str) -> list[Named]:
    wanted = {one.procedure for one in results.published if one.figure == label}
    cells = [cell for _, cell in named if procedure_of(cell.dataset) in wanted]
    return list(zip(names(cells), cells, strict=True))


def _procedures(named: Sequence[Named]) -> tuple[str, ...]:
    return tuple(procedure_of(cell.dataset) for _, cell in named)


def _divisor(cell: CyclingCell) -> float:
    """Divisor of mAh."""
    return cell.mass_mg / 1000.0 if per_gram(cell) and cell.mass_mg else 1.0


def _volts(cell: CyclingCell, what: str = "voltage") -> str:
    return f"{what} [V vs {cell.summary.reference}]" if cell.summary.reference else f"{what} [V]"


def _beside_lithium(axes: Axes, cell: CyclingCell) -> None:
    """Add an axis of volts against lithium on the right, where the reference's offset was stated."""
    offset_V = cell.summary.reference_offset_V
    if offset_V is None or not cell.summary.reference:
        return
    axes.spines["right"].set_visible(True)
    right = axes.secondary_yaxis("right", functions=_scale(offset_V, 1.0))
    right.set_ylabel("[V vs Li/Li⁺]")


def _scale(shift: float, times: float) -> tuple[Callable[[ArrayLike], ArrayLike], Callable[[ArrayLike], ArrayLike]]:
    """Return the way from one axis to another beside it, and back."""

    def there(value: ArrayLike) -> ArrayLike:
        return times * (np.asarray(value, dtype=float) + shift)

    def back(value: ArrayLike) -> ArrayLike:
        return np.asarray(value, dtype=float) / times - shift

    return there, back


def _colours(count: int) -> list[str]:
    """Colours for a sequence: those of the house where they suffice, else from dark to light."""
    if count <= 6:
        return list(COLOURS[:count])
    return [to_hex(mpl.colormaps["viridis"](0.95 * index / (count - 1))) for index in range(count)]


def _whole_numbers(*panels: Axes) -> None:
    for panel in panels:
        panel.set_xlabel("cycle")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))


def _from_zero(panel: Axes) -> None:
    """Show capacities from zero, with room above."""
    panel.set_ylim(0.0, 1.12 * panel.dataLim.y1 if panel.dataLim.y1 > 0 else 1.0)


def voltage_curves(name: str, cell: CyclingCell, path: Path) -> Figure:
    """Draw voltage against charge of the cycles whose curves are kept."""
    divisor = _divisor(cell)
    drawing, axes = canvas(7.0, 4.4, right_in=0.75)
    shown = [one for one in cell.cycles if (one.charge and one.charge.curve) or (one.discharge and one.discharge.curve)]
    for colour, one in zip(_colours(len(shown)), shown, strict=True):
        dash = "-" if one.counts else "--"
        label = f"cycle {one.cycle}" + ("" if one.counts else f", {'under way' if _goes_on(one) else 'left out'}")
        for half in (one.charge, one.discharge):
            if half is not None and half.curve is not None:
                axes.plot(
                    [q / divisor for q in half.curve.Q_mAh], half.curve.V, dash, lw=1.1, color=colour, label=label
                )
                label = "_"
    if cell.summary.equilibrium_V is not None:
        axes.axhline(cell.summary.equilibrium_V, color=LEFT_OUT, lw=0.8, ls=":", label="equilibrium, as stated")
    axes.set_xlabel(f"charge moved [{unit(cell)}]")
    axes.set_ylabel(_volts(cell))
    axes.set_title(name)
    axes.set_xlim(left=0.0)
    _beside_lithium(axes, cell)
    axes.legend(fontsize=7.5, ncols=2 if len(shown) > 6 else 1)
    kept = "" if len(shown) == len(cell.cycles) else f" {len(shown)} of {len(cell.cycles)} cycles are drawn."
    return Figure(
        path=save(drawing, path),
        title=f"Voltage curves of {name}",
        caption=f"Charge rises, discharge falls, each from zero, in {unit(cell)}. "
        f"Dashed: cycles left out of averages, or under way.{kept}",
        shows=CURVES,
        procedures=(procedure_of(cell.dataset),),
    )


def first_cycles(named: Sequence[Named], path: Path) -> Figure:
    """Draw the first cycle of several cells together, which is where they are activated."""
    drawing, axes = canvas(7.0, 4.4, right_in=0.75)
    for index, (name, cell) in enumerate(named):
        colour, label, divisor = COLOURS[index % len(COLOURS)], name, _divisor(cell)
        first = next((one for one in cell.cycles if one.charge is not None and one.charge.curve is not None), None)
        for half in (first.charge, first.discharge) if first is not None else ():
            if half is not None and half.curve is not None:
                axes.plot([q / divisor for q in half.curve.Q_mAh], half.curve.V, lw=1.2, color=colour, label=label)
                label = "_"
    units = {unit(cell) for _, cell in named}
    axes.set_xlabel(f"charge moved [{units.pop()}]" if len(units) == 1 else "charge moved [each per its own gram]")
    axes.set_ylabel(_volts(named[0][1]))
    axes.set_xlim(left=0.0)
    _beside_lithium(axes, named[0][1])
    if axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=7.5)
    return Figure(
        path=save(drawing, path),
        title="First cycles together",
        caption="The first charge and discharge of each cell. Where they are per gram of different substances their "
        "lengths cannot be compared; the voltages can.",
        shows=CURVES,
        procedures=_procedures(named),
    )


def _goes_on(one: CyclingCycle) -> bool:
    return one.flags == ["under way"]


def cycle_life(name: str, cell: CyclingCell, path: Path) -> Figure:
    """Draw discharge capacity and efficiency against cycle; cycles left out are grey."""
    divisor = _divisor(cell)
    drawing, panels = canvas(9.6, 4.2, ncols=2)
    capacity, efficiency = panels
    cycles = [one for one in cell.cycles if one.cycle > 0 and not _goes_on(one)]
    _charges_set(capacity, cycles, divisor)
    for which, (colour, marker, get) in {
        "charge": (COLOURS[1], MARKERS[2], _charge),
        "discharge": (COLOURS[0], MARKERS[0], _discharge),
    }.items():
        for counts in (True, False):
            points = [
                (one.cycle, half.Q_mAh / divisor) for one in cycles if one.counts is counts and (half := get(one))
            ]
            _dots(capacity, points, colour if counts else LEFT_OUT, marker, which if counts else f"{which}, left out")
    for counts in (True, False):
        points = [(one.cycle, 100 * one.CE) for one in cycles if one.counts is counts and one.CE is not None]
        _dots(efficiency, points, COLOURS[2] if counts else LEFT_OUT, MARKERS[1], "counts" if counts else "left out")
    bars = [(one.cycle, 100 * one.CE, 100 * one.CE_se) for one in cycles if one.counts and one.CE and one.CE_se]
    if bars:
        efficiency.errorbar(*zip(*[(n, c) for n, c, _ in bars], strict=True), yerr=[e for *_, e in bars], fmt="none",
                            color=COLOURS[2], lw=0.7, alpha=0.6)  # fmt: skip
    mean = cell.summary.CE_mean
    told = "no cycle counts" if mean is None else f"mean {100 * mean:.2f} % over {cell.summary.counted} cycles"
    if mean is not None:
        efficiency.axhline(100 * mean, color=COLOURS[2], lw=0.8, ls="--", alpha=0.7)
    _whole_numbers(capacity, efficiency)
    capacity.set_ylabel(f"capacity [{unit(cell)}]")
    efficiency.set_ylabel("coulombic efficiency [%]")
    capacity.legend(fontsize=7.5)
    if any(not one.counts and one.CE is not None for one in cycles):
        efficiency.legend(fontsize=7.5)
    _from_zero(capacity)
    efficiency.set_title(told)
    capacity.set_title(name)
    mass = cell.summary.Q_discharge_mean_se_mass_mAh_per_g
    return Figure(
        path=save(drawing, path),
        title=f"Cycle life of {name}",
        caption=f"Realised capacities in {unit(cell)}, and discharge over charge of each cycle: {told}. "
        + ("Grey: left out of averages; the table says why. " if any(not one.counts for one in cycles) else "")
        + (
            "Bars: the current may be off by an offset, which moves all cycles together. "
            if bars
            else "No accuracy of the current was stated: no error bars. "
        )
        + ("" if mass is None else f"The mass may move all capacities together by ± {mass:.2g}; not the efficiency."),
        shows=LIFE,
        procedures=(procedure_of(cell.dataset),),
    )


def _charges_set(panel: Axes, cycles: Sequence[CyclingCycle], divisor: float) -> None:
    """Draw what each charge was meant to reach, as a dotted line under the points."""
    sets = [(one.cycle, one.Q_set_mAh / divisor) for one in cycles if one.Q_set_mAh is not None]
    if not sets:
        return
    turns = [0, *(at + 1 for at, (a, b) in enumerate(pairwise(sets)) if a[1] != b[1]), len(sets)]
    label = "charge as set"
    for begin, end in pairwise(turns):
        run = sets[begin:end]
        panel.plot([run[0][0] - 0.5, run[-1][0] + 0.5], [run[0][1]] * 2, color=LEFT_OUT, lw=0.9, ls=":", label=label)
        label = "_"


def plateau_life(named: Sequence[Named], path: Path) -> Figure:
    """Draw plateau (over the equilibrium, where that was stated) and polarisation of each cell against cycle."""
    below_in = 0.6 + 0.2 * -(-len(named) // 2)
    drawing, (plateau, gap) = canvas(9.6, 3.4 + below_in, ncols=2, bottom_in=below_in)
    over = all(cell.summary.equilibrium_V is not None for _, cell in named)
    for index, (name, cell) in enumerate(named):
        zero_V = cell.summary.equilibrium_V if over and cell.summary.equilibrium_V is not None else 0.0
        times, marker = (1000.0 if over else 1.0), MARKERS[index % len(MARKERS)]
        for counts in (True, False):
            colour, label = (COLOURS[index % len(COLOURS)], name) if counts else (LEFT_OUT, "_")
            mine = [one for one in cell.cycles if one.cycle > 0 and one.counts is counts]
            levels = [(one.cycle, times * (one.plateau_V - zero_V)) for one in mine if one.plateau_V is not None]
            _dots(plateau, levels, colour, marker, label)
            gaps = [(one.cycle, 1000 * one.polarisation_V) for one in mine if one.polarisation_V is not None]
            _dots(gap, gaps, colour, marker, "_")
    plateau.set_ylabel("plateau over the equilibrium [mV]" if over else _volts(named[0][1], "charging plateau"))
    gap.set_ylabel("polarisation [mV]")
    _whole_numbers(plateau, gap)
    if plateau.get_legend_handles_labels()[1]:
        drawing.legend(*plateau.get_legend_handles_labels(), fontsize=7.5, loc="lower center", ncols=2)
    low, high = named[0][1].summary.plateau_window
    told = "; over the equilibrium that was stated, and as good as that statement" if over else ""
    return Figure(
        path=save(drawing, path),
        title="Plateau and polarisation",
        caption=f"Left: mean voltage of each charge from {100 * low:.0f} to {100 * high:.0f} % of "
        f"{named[0][1].summary.plateau_window_of}{told}. Right: mean voltage of charge less discharge, over the charge "
        "both moved. Grey: left out of averages.",
    )


def comparison(named: Sequence[Named], path: Path) -> Figure:
    """Draw discharge capacity and efficiency of several cells together; only cycles that count."""
    drawing, (capacity, efficiency) = canvas(9.6, 4.2, ncols=2)
    units = {unit(cell) for _, cell in named}
    for index, (name, cell) in enumerate(named):
        divisor = _divisor(cell)
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        counted = [one for one in cell.cycles if one.counts]
        label = name if len(units) == 1 else f"{name} [{unit(cell)}]"
        _dots(capacity, [(one.cycle, one.discharge.Q_mAh / divisor) for one in counted if one.discharge],
              colour, marker, label)  # fmt: skip
        _dots(efficiency, [(one.cycle, 100 * one.CE) for one in counted if one.CE is not None], colour, marker, label)
    _whole_numbers(capacity, efficiency)
    capacity.set_ylabel(f"discharge capacity [{units.pop()}]" if len(units) == 1 else "discharge capacity")
    _from_zero(capacity)
    efficiency.set_ylabel("coulombic efficiency [%]")
    if capacity.get_legend_handles_labels()[0]:
        capacity.legend(fontsize=7.5, loc="lower right")
    return Figure(
        path=save(drawing, path),
        title="Cells together",
        caption="Discharge capacity and coulombic efficiency of the cycles that count.",
        shows=LIFE,
        procedures=_procedures(named),
    )


def _charge(one: CyclingCycle) -> CyclingHalf | None:
    return one.charge


def _discharge(one: CyclingCycle) -> CyclingHalf | None:
    return one.discharge


def _dots(panel: Axes, points: Sequence[tuple[float, float]], colour: str, marker: str, label: str) -> None:
    if points:
        panel.plot(
            [x for x, _ in points],
            [y for _, y in points],
            marker,
            ms=3.8,
            mfc="none",
            color=colour,
            ls="none",
            label=label,
        )


def plateaus(named: Sequence[Named], path: Path) -> Figure:
    """Draw the overpotential of each first charge against its activation plateau."""
    drawing, axes = canvas(5.6, 4.2)
    for index, (name, one) in enumerate(named):
        plateau_V, over_V = one.summary.activation_plateau_V, one.summary.overpotential_V
        if plateau_V is None or over_V is None:
            continue
        axes.plot(
            plateau_V, 1000 * over_V, MARKERS[index % len(MARKERS)], ms=7, color=COLOURS[index % len(COLOURS)],
            ls="none", label=f"{name}: {1000 * over_V:.0f} mV over {one.summary.equilibrium_V:g} V",
        )  # fmt: skip
    references = sorted({one.summary.reference for _, one in named if one.summary.reference})
    axes.set_xlabel("activation plateau [V" + (f" vs {' or '.join(references)}]" if references else "]"))
    axes.set_ylabel("overpotential [mV]")
    axes.margins(0.3)
    axes.legend(fontsize=8)
    low, high = named[0][1].summary.plateau_window
    return Figure(
        path=save(drawing, path),
        title="Activation plateau and overpotential",
        caption=f"Mean voltage of the first charge between {100 * low:.0f} and {100 * high:.0f} % of its capacity, "
        "less the equilibrium potential that was stated: the overpotential is as good as that statement.",
    )
