"""The published kind of analysis as a figure: D / d^2 of each pair over temperature, with the published slope."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from labctl.analysis.paper_results import PaperPair
from labctl.analysis.published_results import Comparison
from labctl.analysis.results import Exsy
from labctl.protocol.published import is_pair
from labctl.report.figure import Figure
from labctl.report.figures import COLOURS, KB_EV_PER_K, MARKERS, Array, canvas, plain_decades, save
from labctl.report.numbers import plain, plus_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def pairs_over_temperature(exsy: Exsy, published: Sequence[Comparison], folder: Path) -> Figure | None:
    """Draw kD of every pair by boxes and by lines; None below two temperatures."""
    pairs = exsy.paper.pairs if exsy.paper is not None else []
    drawn = [one for one in pairs if sum(T_K is not None for T_K in one.T_K) > 1]
    names = list(dict.fromkeys(tuple(one.pair) for one in drawn))
    if not names:
        return None
    drawing, axes = canvas(3.5 * len(names) + 0.5, 3.9, ncols=len(names), squeeze=False, top_in=0.4)
    for panel, name in zip(axes.flat, names, strict=True):
        for index, one in enumerate(pair for pair in drawn if tuple(pair.pair) == name):
            _pair(panel, one, index)
        slope = next((c for c in published if c.published is not None and is_pair(c.of, name)), None)
        if slope is not None and slope.published is not None and slope.what == "activation energy":
            lines = next((one for one in drawn if tuple(one.pair) == name and one.intensities == "lines"), drawn[0])
            _published(panel, lines, slope.published, plain(slope.published, slope.published_step))
        panel.set_yscale("log")
        _open(panel, [one for one in drawn if tuple(one.pair) == name])
        plain_decades(panel)
        panel.set_xlabel("1000 / T [1/K]")
        panel.set_title("–".join(name), fontsize=9.5)
        panel.legend(fontsize=7.5)
    axes.flat[0].set_ylabel("D/d² [1/s]")
    return Figure(
        path=save(drawing, folder / "pairs_over_temperature.svg"),
        title="Diffusivities as the paper found them, pair by pair",
        caption="Cubes in an infinite bath fitted to one pair at a time, from boxes and from fitted lines; dashed: the "
        "published slope, through these points. Its bias is told below; labctl's own numbers are those of all sites "
        "and temperatures together.",
        shows=("activation energy",),
    )


def _points(one: PaperPair) -> tuple[Array, Array, Array]:
    known = [
        (1000.0 / T_K, kD, min(se, 0.999 * kD))
        for T_K, kD, se in zip(one.T_K, one.kD_per_s, one.kD_se_per_s, strict=True)
        if T_K is not None and kD > 0.0
    ]
    x, y, error = (np.array(column, dtype=np.float64) for column in zip(*known, strict=True))
    return x, y, error


def _pair(panel: Axes, one: PaperPair, index: int) -> None:
    x, y, error = _points(one)
    energy = plus_minus(one.Ea_eV, one.Ea_se_eV, "eV")
    panel.errorbar(
        x, y, error, color=COLOURS[index], marker=MARKERS[index], ls="none", ms=4.5, capsize=2,
        mfc="none" if one.intensities == "boxes" else None, label=f"{one.intensities}: {energy}",
    )  # fmt: skip
    if one.Ea_eV is not None:
        slope = -one.Ea_eV / KB_EV_PER_K / 1000.0
        panel.plot(x, np.exp(np.log(y).mean() + slope * (x - x.mean())), color=COLOURS[index], lw=1.1)


def _published(panel: Axes, one: PaperPair, Ea_eV: float, told: str) -> None:
    x, y, _ = _points(one)
    line = np.exp(np.log(y).mean() - Ea_eV / KB_EV_PER_K / 1000.0 * (x - x.mean()))
    panel.plot(x, line, color=COLOURS[6], lw=1.2, ls="--", label=f"published: {told} eV")


def _open(panel: Axes, pairs: Sequence[PaperPair]) -> None:
    """Leave out what is nearly nothing: a rate driven to zero would flatten all others."""
    values = np.concatenate([_points(one)[1] for one in pairs])
    low, high = float(values.min()), float(values.max())
    panel.set_ylim(max(low, high * 1e-4) / 1.6, high * 2.5)
