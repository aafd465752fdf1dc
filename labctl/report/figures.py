"""Figures drawn from results alone: build-up curves, Arrhenius plot, temperature and spinning over the campaign.

Spectra, which need the raw data, are in `labctl.report.spectra`. All figures are SVG with a fixed hash salt, so
that the same results give the same file.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from labctl.analysis.results import Arrhenius, BuildUp, Results
from labctl.report.figure import Figure
from labctl.report.numbers import plus_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

#: Colours that stay apart in print and for colour-blind eyes (Okabe and Ito 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5b6675", "#A6761D")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
PNG_DPI = 200
_DAYS_FROM_S = 96 * 3600.0
_PNG_TOO: ContextVar[bool] = ContextVar("_PNG_TOO", default=False)
_PLAIN = FuncFormatter(lambda value, _: f"{value:.3g}")
KB_EV_PER_K = 8.617333262e-5


def canvas(
    width_in: float = 9.0,
    height_in: float = 4.2,
    *,
    left_in: float = 0.75,
    right_in: float = 0.2,
    top_in: float = 0.35,
    bottom_in: float = 0.5,
    between_in: tuple[float, float] = (0.8, 0.85),
    **subplots: Any,
) -> tuple[Drawing, Any]:
    """Return a figure and its axes in the house style; no display is needed.

    Margins and the room between panels (across, down) are given in inches: to have them worked out from the size of
    every label takes as long as all the drawing.
    """
    mpl.rcParams.update(
        {
            "svg.hashsalt": "labctl",
            "font.size": 9.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.25,
            "axes.titlesize": 10,
            "legend.frameon": False,
            "svg.fonttype": "path",
        }
    )
    drawing = Drawing(figsize=(width_in, height_in))
    across, down = subplots.get("ncols", 1), subplots.get("nrows", 1)
    panel_in = (
        (width_in - left_in - right_in - (across - 1) * between_in[0]) / across,
        (height_in - top_in - bottom_in - (down - 1) * between_in[1]) / down,
    )
    drawing.subplots_adjust(
        left=left_in / width_in,
        right=1.0 - right_in / width_in,
        bottom=bottom_in / height_in,
        top=1.0 - top_in / height_in,
        wspace=between_in[0] / panel_in[0],
        hspace=between_in[1] / panel_in[1],
    )
    return drawing, drawing.subplots(**subplots)


def save(drawing: Drawing, path: Path) -> Path:
    """Write the SVG without a date, so that equal results give equal files; a PNG beside it where asked for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, format="svg", metadata={"Date": None})
    if _PNG_TOO.get():
        drawing.savefig(path.with_suffix(".png"), format="png", dpi=PNG_DPI, metadata={"Software": None})
    return path


@contextmanager
def png_too() -> Iterator[None]:
    """Let every figure saved meanwhile be a PNG (`PNG_DPI`) as well, for slides and programs that read no SVG."""
    token = _PNG_TOO.set(True)
    try:
        yield
    finally:
        _PNG_TOO.reset(token)


def temperature_label(T_K: float | None) -> str:
    """Return ``"333.2 K (60 °C)"``."""
    return "T unknown" if T_K is None else f"{T_K:.1f} K ({T_K - 273.15:.0f} °C)"


def build_up(results: Results, folder: Path) -> Figure | None:
    """Draw every pair's cross peak against Tmix with the fitted models, one panel a temperature."""
    groups: dict[float | None, list[BuildUp]] = defaultdict(list)
    for entry in results.exsy.buildup:
        groups[entry.T_K].append(entry)
    if not groups:
        return None
    ordered = sorted(groups.items(), key=lambda item: item[0] or 0.0)
    columns = min(3, len(ordered))
    rows = -(-len(ordered) // columns)
    drawing, axes = canvas(3.5 * columns + 0.6, 3.1 * rows + 0.2, nrows=rows, ncols=columns, squeeze=False)
    for panel, (T_K, entries) in zip(axes.flat, ordered, strict=False):
        for index, entry in enumerate(entries):
            _build_up_curve(panel, entry, index)
        log_times(panel)
        panel.set_xlabel("mixing time [s]")
        panel.set_ylabel("cross peak / total")
        panel.set_title(temperature_label(T_K))
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))
    for panel in list(axes.flat)[len(ordered) :]:
        panel.set_visible(False)
    axes.flat[0].legend(fontsize=7.5)
    return Figure(
        path=save(drawing, folder / "build_up.svg"),
        title="Build-up of the cross peaks",
        caption="Mean of the two symmetric cross peaks as a fraction of all intensity, with its standard error, "
        "against mixing time; lines are the fitted models.",
        shows=("build-up",),
    )


MODEL_LINES = {"exchange": "-", "layered": "--", "product": ":", "global": "-."}
MODEL_NAMES = {
    "exchange": "exchange",
    "global": "all temperatures together",
    "layered": "layered diffusion",
    "product": "pairs one by one (comparison)",
}


def _build_up_curve(panel: Axes, entry: BuildUp, index: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    panel.errorbar(
        entry.tmix_s,
        entry.cross,
        entry.cross_se,
        color=colour,
        marker=MARKERS[index % len(MARKERS)],
        linestyle="none",
        ms=4.5,
        capsize=2,
        label="–".join(entry.pair),
    )
    for model, curve in sorted(entry.curves.items()):
        label = MODEL_NAMES.get(model, model) if index == 0 else None
        panel.plot(entry.curve_tmix_s, curve, MODEL_LINES.get(model, "-."), color=colour, lw=1.2, label=label)


def arrhenius_plot(results: Results, folder: Path) -> Figure | None:
    """Draw ln of each rate or diffusivity against 1/T with its line and one-sigma band."""
    entries = [one for one in results.exsy.arrhenius if one.model != "global"]  # that has a figure of its own
    if not entries:
        return None
    models = sorted({entry.model for entry in entries}, key=lambda model: (model == "product", model))
    most = max(sum(entry.model == model for entry in entries) for model in models)
    below_in = 0.75 + 0.19 * most
    drawing, axes = canvas(
        4.4 * len(models) + 0.4, 3.9 + below_in, top_in=0.75, bottom_in=below_in, ncols=len(models), squeeze=False
    )
    for panel, model in zip(axes.flat, models, strict=True):
        for index, entry in enumerate(one for one in entries if one.model == model):
            _arrhenius_line(panel, entry, index)
        panel.set_title(MODEL_NAMES.get(model, model))
        panel.set_xlabel("1000 / T [1/K]")
        panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.17), borderaxespad=0.0)
        plain_decades(panel)
        _celsius_axis(panel)
    axes.flat[0].set_ylabel("rate or D/d² [1/s]")
    return Figure(
        path=save(drawing, folder / "arrhenius.svg"),
        title="Arrhenius plot",
        caption="Weighted least squares of the logarithm (convention named in the table); bands are one standard "
        "error of the line. The temperature is that of the sample, calibrated.",
        shows=("activation energy",),
    )


def _arrhenius_line(panel: Axes, entry: Arrhenius, index: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    T_K, value, error = (np.array(column) for column in (entry.T_K, entry.value, entry.value_se))
    panel.errorbar(
        1000.0 / T_K,
        value,
        np.minimum(error, 0.999 * value),
        color=colour,
        marker=MARKERS[index % len(MARKERS)],
        linestyle="none",
        capsize=2,
        label=f"{entry.quantity.replace('->', '→')}: {plus_minus(entry.Ea_eV, entry.Ea_se_eV, 'eV')}",
    )
    inverse = np.linspace(1 / T_K.max() - 2e-5, 1 / T_K.min() + 2e-5, 60)
    lever = (inverse - 1 / entry.T_ref_K) / KB_EV_PER_K
    line = entry.ln_value_at_ref - entry.Ea_eV * lever
    band = np.hypot(entry.ln_value_at_ref_se, entry.Ea_se_eV * lever)
    panel.plot(1000 * inverse, np.exp(line), color=colour, lw=1.2)
    panel.fill_between(1000 * inverse, np.exp(line - band), np.exp(line + band), color=colour, alpha=0.15, lw=0)
    panel.set_yscale("log")


def log_times(panel: Axes) -> None:
    """Make the abscissa logarithmic, labelled ``0.01  0.1  1``: plainer than powers of ten, and typeset in no time."""
    panel.set_xscale("log")
    panel.xaxis.set_major_formatter(_PLAIN)
    panel.xaxis.set_minor_formatter(NullFormatter())


def plain_decades(panel: Axes) -> None:
    """Label a logarithmic ordinate with plain numbers, more of them the fewer decades it spans."""
    low, high = panel.get_ylim()
    decades = np.log10(high / low)
    subs = range(2, 10) if decades < 0.6 else (2, 5) if decades < 2.5 else ()
    panel.yaxis.set_minor_locator(LogLocator(subs=subs or (1.0,)))
    panel.yaxis.set_major_formatter(_PLAIN)
    panel.yaxis.set_minor_formatter(_PLAIN if subs else NullFormatter())


def _celsius_axis(panel: Axes) -> None:
    def celsius(inverse: Any) -> Any:
        return 1000.0 / np.maximum(inverse, 1e-6) - 273.15

    def inverse(celsius: Any) -> Any:
        return 1000.0 / (celsius + 273.15)

    top = panel.secondary_xaxis("top", functions=(celsius, inverse))
    top.set_xlabel("sample temperature [°C]")
    low, high = sorted(1000.0 / np.array(panel.get_xlim()) - 273.15)
    span = high - low
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 1000) if span / step <= 8)
    top.set_xticks(np.arange(np.ceil(low / step) * step, high, step))


def saturation_recovery(results: Results, folder: Path) -> Figure | None:
    """Draw every saturation recovery with its fit, one panel a temperature."""
    if not results.t1:
        return None
    groups: dict[float | None, list[Any]] = defaultdict(list)
    for entry in results.t1:
        groups[entry.T_K].append(entry)
    ordered = sorted(groups.items(), key=lambda item: item[0] or 0.0)
    columns = min(3, len(ordered))
    rows = -(-len(ordered) // columns)
    drawing, axes = canvas(3.5 * columns + 0.6, 2.9 * rows + 0.2, nrows=rows, ncols=columns, squeeze=False)
    for panel, (T_K, entries) in zip(axes.flat, ordered, strict=False):
        for index, entry in enumerate(entries):
            colour = COLOURS[index % len(COLOURS)]
            delays = np.array(entry.delays_s)
            scale = 1.0 / entry.M0 if entry.M0 else 1.0
            panel.errorbar(
                delays,
                np.array(entry.intensities) * scale,
                np.array(entry.intensity_se) * abs(scale),
                color=colour,
                marker=MARKERS[index % len(MARKERS)],
                linestyle="none",
                ms=4,
                label=f"{entry.site}: "
                + (plus_minus(entry.T1_s, entry.T1_se_s, "s") if entry.T1_se_s < entry.T1_s else "not resolved"),
            )
            grid = np.geomspace(delays[delays > 0].min() / 1.5, delays.max() * 1.3, 80)
            panel.plot(grid, 1.0 - entry.alpha * np.exp(-grid / entry.T1_s), color=colour, lw=1.2)
        log_times(panel)
        panel.set_xlabel("recovery delay [s]")
        panel.set_ylabel("M / M0")
        panel.set_title(temperature_label(T_K))
        low, high = panel.get_ylim()
        panel.set_ylim(
            max(low, -1.0), min(high, 2.0) + 0.2 * (1 + len(entries)) * (min(high, 2.0) - max(low, -1.0)) / 2
        )
        panel.legend(fontsize=8, loc="upper left")
    for panel in list(axes.flat)[len(ordered) :]:
        panel.set_visible(False)
    return Figure(
        path=save(drawing, folder / "saturation_recovery.svg"),
        title="Saturation recovery",
        caption="Site-resolved recovery after a saturation comb, with the fit from which the recycle delay follows.",
    )


def trace(
    readings: Sequence[tuple[float, str, float]], begun_s: float, folder: Path, *, station: str = ""
) -> Figure | None:
    """Draw temperature, heater and spinning of one station over the campaign.

    Parameters
    ----------
    readings : sequence of (wall time [s], quantity, value)
        ``sensor_K``, ``heater_percent``, ``gas_L_per_h``, ``spinning_Hz``.
    begun_s : float
        Wall time of the campaign's start; the axis counts hours from it, or days where they are many.
    """
    series: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for at_s, quantity, value in readings:
        series[quantity].append((at_s - begun_s, value))
    labels = {
        "sensor_K": "sensor [K]",
        "setpoint_K": "set point [K]",
        "heater_percent": "heater [%]",
        "gas_L_per_h": "gas [L/h]",
        "spinning_Hz": "MAS [Hz]",
    }
    wanted = [name for name in ("sensor_K", "heater_percent", "spinning_Hz", "gas_L_per_h") if series.get(name)]
    if not wanted:
        return None
    longest_s = max(at_s for name in wanted for at_s, _ in series[name])
    unit, unit_s = ("days", 86400.0) if longest_s > _DAYS_FROM_S else ("hours", 3600.0)
    drawing, axes = canvas(
        9.0,
        1.5 * len(wanted) + 0.6,
        nrows=len(wanted),
        sharex=True,
        squeeze=False,
        left_in=0.95,
        top_in=0.1,
        between_in=(0.8, 0.2),
    )
    for index, (panel, name) in enumerate(zip(axes.flat, wanted, strict=True)):
        at_s, values = np.array(sorted(series[name])).T
        panel.plot(at_s / unit_s, values, color=COLOURS[index], lw=1)
        if name == "sensor_K" and series.get("setpoint_K"):
            set_s, setpoint = np.array(sorted(series["setpoint_K"])).T
            panel.step(set_s / unit_s, setpoint, where="post", color="#5b6675", lw=0.8, ls="--")
        panel.set_ylabel(labels[name])
        panel.ticklabel_format(useOffset=False)
    start = dt.datetime.fromtimestamp(begun_s, dt.UTC)
    axes.flat[-1].set_xlabel(f"{unit} since {start:%Y-%m-%d %H:%M} UTC")
    return Figure(
        path=save(drawing, folder / (f"trace_{station}.svg" if station else "trace.svg")),
        title=f"Temperature{' and spinning' if 'spinning_Hz' in wanted else ''}{f' of {station}' if station else ''} "
        "over the campaign",
        caption="What was read off the instrument, whatever else it was doing. Dashed: the set point.",
    )
