"""The global fit of a campaign as a figure: kD over temperature in every geometry, with its band."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labctl.analysis.layered_results import Phase
from labctl.analysis.results import Arrhenius, Results
from labctl.report.campaign_tables import campaign_fit
from labctl.report.figure import Figure
from labctl.report.figures import COLOURS, MARKERS, canvas, plain_decades, save
from labctl.report.numbers import plus_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def diffusivities(results: Results, folder: Path) -> Figure | None:
    """Draw kD(T) of every phase with its band of 95 %, a panel a geometry; bounded phases as arrows."""
    fit = campaign_fit(results)
    if fit is None or fit.campaign is None:
        return None
    panels = [(fit.geometry, fit.phases), *((one.geometry, one.phases) for one in fit.campaign.geometries)]
    if not any(phase.curve is not None or phase.bound is not None for _, phases in panels for phase in phases):
        return None
    drawing, axes = canvas(4.6 * len(panels) + 0.3, 4.2, ncols=len(panels), squeeze=False)
    points = {one.quantity.removeprefix("kD "): one for one in results.exsy.arrhenius if one.model == "global"}
    span = (min(fit.campaign.T_K), max(fit.campaign.T_K))
    for number, (panel, (geometry, phases)) in enumerate(zip(axes.flat, panels, strict=True)):
        for index, phase in enumerate(phases):
            single = points.get(phase.phase) if number == 0 else None
            _phase(panel, phase, index, single, fit.campaign.T_ref_K, span)
        panel.set_yscale("log")
        plain_decades(panel)
        panel.set_xlabel("1000 / T [1/K]")
        panel.set_title(geometry.partition(" (")[0], fontsize=9)
        if panel.get_legend_handles_labels()[1]:
            panel.legend(fontsize=8)
        else:
            panel.text(0.5, 0.5, "no kD resolved", ha="center", color="#5b6675", transform=panel.transAxes)
    axes.flat[0].set_ylabel("D/d² [1/s]")
    return Figure(
        path=save(drawing, folder / "kD_of_temperature.svg"),
        title="Diffusivities of the phases, all temperatures fitted together",
        caption="Lines and bands (95 %) are the global fit; points, in the geometry reported, are single temperatures "
        "fitted by themselves with the same plateau. Arrows are bounds. kD depends on the geometry; Ea less so.",
        shows=("activation energy",),
    )


def _phase(
    panel: Axes, phase: Phase, index: int, single: Arrhenius | None, T_ref_K: float, span: tuple[float, float]
) -> None:
    colour = COLOURS[index % len(COLOURS)]
    if phase.curve is not None:
        inverse = 1000.0 / np.array(phase.curve.T_K)
        label = f"{phase.phase}: {plus_minus(phase.Ea_eV, phase.Ea_se_eV, 'eV')}"
        panel.plot(inverse, phase.curve.kD_per_s, color=colour, lw=1.4, label=label)
        panel.fill_between(inverse, phase.curve.low_per_s, phase.curve.high_per_s, color=colour, alpha=0.15, lw=0)
    elif phase.bound is not None and phase.kD_per_s is not None:
        middle, factor = 1000.0 / T_ref_K, 2.0 if phase.bound == "lower" else 0.5
        panel.annotate(
            "",
            xy=(middle, phase.kD_per_s * factor),
            xytext=(middle, phase.kD_per_s),
            arrowprops={"arrowstyle": "->", "color": colour},
        )
        sign = ">" if phase.bound == "lower" else "<"
        label = f"{phase.phase} {sign} {phase.kD_per_s:.2g} 1/s"
        panel.plot(
            [1000.0 / span[1], 1000.0 / span[0]], [phase.kD_per_s] * 2, color=colour, ls="--", lw=1.0, label=label
        )
        panel.plot([middle], [phase.kD_per_s * factor], alpha=0)
    if single is not None and "by itself;" in " ".join(single.warnings):
        value, error = np.array(single.value), np.array(single.value_se)
        panel.errorbar(
            1000.0 / np.array(single.T_K),
            value,
            np.minimum(error, 0.999 * value),
            color=colour,
            marker=MARKERS[index % len(MARKERS)],
            linestyle="none",
            ms=4.5,
            capsize=2,
        )
