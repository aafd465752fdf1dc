"""Figures of spectra, from the raw data of a run: 1Ds over temperature, 2Ds at the shortest and longest Tmix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from labctl.analysis.grouping import SAME_TEMPERATURE_K
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import with_lasting_offsets
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.analysis.nmr.spectrum import spectrum_1d, spectrum_2d, without_model
from labctl.analysis.results import DatasetEntry, Results
from labctl.errors import LabctlError
from labctl.formats.bruker_dataset import BrukerDataset, read_dataset
from labctl.report.figure import Figure
from labctl.report.figures import COLOURS, Array, canvas, save, temperature_label
from labctl.units import duration_text

CONTOURS = 14
LEAST_BROADENING_HZ = (5.0, 10.0)
BROADENING = 0.3
"""Exponential apodisation of pictures in F2 and F1: a part of the narrowest width, at least so much; fits use none."""
ABOVE_NOISE = 4.0
"""The lowest contour stands this many standard deviations above the noise."""


Known = Mapping[str, LineSet]
"""Fitted lines by the name of the dataset."""


def reference_spectra(results: Results, run_dir: Path, folder: Path, lines: Known | None = None) -> Figure | None:
    """Draw the last reference 1D of each temperature, stacked, on one scale.

    Lines that the analysis has fitted already need not be fitted again; those that are not given are.
    """
    chosen = [
        entries[-1]
        for entries in _grouped(results, "one_pulse")
        if any("ref" in entry.dataset.rpartition("/")[2] for entry in entries) or entries
    ]
    if not chosen:
        return None
    sites = _sites(results)
    window = _window(sites)
    drawing, axes = canvas(9.0, 1.2 + 0.75 * len(chosen), squeeze=False, left_in=0.25)
    panel = axes.flat[0]
    tallest = 0.0
    curves = []
    for entry in chosen:
        try:
            dataset = read_dataset(run_dir / entry.path)
            mine = (lines or {}).get(entry.dataset) or _lines(dataset, sites)
            spectrum = spectrum_1d(
                dataset, lines=mine, zero_fill=8, broadening_Hz=broadening_Hz(mine)[0], window_ppm=window
            )
        except LabctlError:
            continue  # it stands among the warnings of the analysis already
        curves.append((entry, spectrum))
        tallest = max(tallest, float(spectrum.intensity.max()))
    if not curves:
        return None
    for index, (entry, spectrum) in enumerate(curves):
        height = index * 0.55
        panel.plot(spectrum.ppm, spectrum.intensity / tallest + height, color=COLOURS[index % len(COLOURS)], lw=1)
        panel.text(
            0.99,
            height + 0.14,
            temperature_label(entry.T_K),
            ha="right",
            va="bottom",
            fontsize=8.5,
            color=COLOURS[index % len(COLOURS)],
            transform=panel.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.8},
        )
    for name, shift_ppm in sites.items():
        panel.axvline(shift_ppm, color="#5b6675", lw=0.6, ls=":")
        panel.text(shift_ppm, 1.01, name, ha="center", fontsize=8, transform=panel.get_xaxis_transform())
    panel.set_xlim(max(window), min(window))
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.set_xlabel(f"{_nucleus(curves[0][1].nucleus)} shift [ppm]")
    return Figure(
        path=save(drawing, folder / "spectra_1d.svg"),
        title="1D spectra",
        caption="The last reference 1D of each temperature, all on one scale, broadened by a third of the "
        "narrowest width; dotted: the sites.",
        shows=("spectrum",),
    )


def two_dimensional_spectra(results: Results, run_dir: Path, folder: Path, lines: Known | None = None) -> Figure | None:
    """Draw the 2Ds at the shortest and the longest Tmix of the coldest and the hottest temperature.

    `lines` as for `reference_spectra`.
    """
    groups = [entries for entries in _grouped(results, "exsy") if entries]
    if not groups:
        return None
    sites = _sites(results)
    window = _window(sites)
    rows = [groups[0]] if len(groups) == 1 else [groups[0], groups[-1]]
    drawing, axes = canvas(
        9.0, 4.4 * len(rows), nrows=len(rows), ncols=2, squeeze=False, top_in=0.85, right_in=0.6, between_in=(1.2, 1.4)
    )
    drawn = 0
    for across, entries in zip(axes, rows, strict=True):
        ordered = sorted(entries, key=_tmix_s)
        for panel, entry in zip(across, (ordered[0], ordered[-1]), strict=True):
            drawn += _draw_2d(panel, entry, run_dir, sites, window, (lines or {}).get(entry.dataset))
    if not drawn:
        return None
    return Figure(
        path=save(drawing, folder / "spectra_2d.svg"),
        title="2D exchange spectra",
        caption="Shortest (left) and longest (right) mixing time at the coldest and the hottest temperature. Contours "
        "from 2 % of the tallest peak (or 4 standard deviations of the noise), a factor 1.4 apart, negative ones "
        "orange; beside them the projections (highest points). Boxes mark where exchange between sites appears. "
        "Lines are broadened by a third of the narrowest width "
        f"(at least {LEAST_BROADENING_HZ[0]:g} Hz in F2, {LEAST_BROADENING_HZ[1]:g} Hz in F1); ripples along F1 are "
        "those of few rows.",
        shows=("cross peak",),
    )


def residual_maps(results: Results, run_dir: Path, folder: Path, lines: Known | None = None) -> Figure | None:
    """Draw what lines and amplitudes leave of the shortest and longest Tmix, coldest and hottest, over the noise.

    `lines` as for `reference_spectra`.
    """
    groups = [entries for entries in _grouped(results, "exsy") if entries]
    if not groups:
        return None
    sites = _sites(results)
    window = _window(sites)
    rows = [groups[0]] if len(groups) == 1 else [groups[0], groups[-1]]
    drawing, axes = canvas(
        9.6, 4.0 * len(rows), nrows=len(rows), ncols=2, squeeze=False, top_in=0.55, between_in=(0.9, 1.1)
    )
    image = None
    for across, entries in zip(axes, rows, strict=True):
        ordered = sorted(entries, key=_tmix_s)
        for panel, entry in zip(across, (ordered[0], ordered[-1]), strict=True):
            drawn = _draw_residual(panel, entry, run_dir, sites, window, (lines or {}).get(entry.dataset))
            image = drawn if drawn is not None else image
    if image is None:
        return None
    drawing.colorbar(image, ax=axes, label="(data − model) / noise", shrink=0.7, pad=0.03)
    return Figure(
        path=save(drawing, folder / "residuals_2d.svg"),
        title="What the lines leave",
        caption="Spectrum of the data minus the model (fitted lines and amplitudes), in standard deviations of the "
        "noise. Structure at a peak is a wrong line shape; a lone spot is a site that the list lacks.",
    )


def _draw_residual(
    panel: Axes,
    entry: DatasetEntry,
    run_dir: Path,
    sites: Mapping[str, float],
    window: tuple[float, float],
    known: LineSet | None,
) -> AxesImage | None:
    try:
        dataset = read_dataset(run_dir / entry.path)
        lines = known or with_lasting_offsets([dataset], refine_lines([dataset], sites=sites or None))
        left = without_model(dataset, lines, estimate_amplitudes(dataset, lines))
        spectrum = spectrum_2d(left, lines=lines, broadening_Hz=broadening_Hz(lines), window_ppm=(-1e6, 1e6))
    except LabctlError:
        panel.set_visible(False)
        return None
    shown_1, shown_2 = ((axis >= min(window)) & (axis <= max(window)) for axis in (spectrum.f1_ppm, spectrum.f2_ppm))
    outside = spectrum.intensity[:, ~shown_2]
    noise = 1.4826 * float(np.median(np.abs(outside if outside.size else spectrum.intensity)))
    z = spectrum.intensity[np.ix_(shown_1, shown_2)] / max(noise, 1e-300)
    f1, f2 = spectrum.f1_ppm[shown_1], spectrum.f2_ppm[shown_2]
    image = panel.imshow(
        z,
        extent=(f2[0], f2[-1], f1[0], f1[-1]),
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-6,
        vmax=6,
        interpolation="nearest",
    )
    for name, shift in sites.items():
        panel.axvline(shift, color="#5b6675", lw=0.5, ls=":")
        panel.axhline(shift, color="#5b6675", lw=0.5, ls=":")
        panel.text(shift, 1.01, name, ha="center", fontsize=7, transform=panel.get_xaxis_transform())
    panel.grid(visible=False)
    nucleus = _nucleus(spectrum.nucleus)
    panel.set_xlabel(f"F2: {nucleus} shift [ppm]")
    panel.set_ylabel(f"F1: {nucleus} shift [ppm]")
    panel.set_title(_heading(entry), pad=16)
    return image


def _draw_2d(
    panel: Axes,
    entry: DatasetEntry,
    run_dir: Path,
    sites: Mapping[str, float],
    window: tuple[float, float],
    known: LineSet | None,
) -> int:
    try:
        dataset = read_dataset(run_dir / entry.path)
        lines = known or _lines(dataset, sites)
        spectrum = spectrum_2d(
            dataset,
            lines=lines,
            broadening_Hz=broadening_Hz(lines),
            zero_fill=(4, 8),
            window_ppm=window,
        )
    except LabctlError:
        panel.set_visible(False)
        return 0
    inside = (spectrum.f1_ppm >= min(window)) & (spectrum.f1_ppm <= max(window))
    shown = spectrum.intensity[inside]
    noise = 1.4826 * float(np.median(np.abs(shown)))
    lowest = max(0.02 * float(shown.max()), ABOVE_NOISE * noise)
    levels = lowest * 1.4 ** np.arange(CONTOURS)
    levels = levels[levels < shown.max()]
    if not levels.size:
        levels = np.array([0.5 * float(shown.max())])
    panel.contour(spectrum.f2_ppm, spectrum.f1_ppm[inside], shown, levels=levels, colors=COLOURS[0], linewidths=0.7)
    panel.contour(spectrum.f2_ppm, spectrum.f1_ppm[inside], -shown, levels=levels, colors=COLOURS[1], linewidths=0.5)
    panel.plot(window, window, color="#5b6675", lw=0.5, ls=":")
    apart = np.diff(sorted(sites.values()))
    half = min(0.06 * (max(window) - min(window)), 0.45 * float(apart.min()) if apart.size else np.inf)
    beside = 0.07 * (max(window) - min(window))
    for name, f1 in sites.items():
        panel.text(f1 - beside, f1 + beside, name, fontsize=7, color="#5b6675", ha="left", va="top")
        for f2 in sites.values():
            if f1 != f2:
                panel.add_patch(
                    Rectangle((f2 - half, f1 - half), 2 * half, 2 * half, fill=False, ec="#5b6675", lw=0.6, ls="--")
                )
    panel.set_xlim(max(window), min(window))
    panel.set_ylim(max(window), min(window))
    nucleus = _nucleus(spectrum.nucleus)
    panel.set_xlabel(f"F2: {nucleus} shift [ppm]")
    panel.set_ylabel(f"F1: {nucleus} shift [ppm]")
    above = _projections(panel, spectrum.f2_ppm, shown.max(axis=0), spectrum.f1_ppm[inside], shown.max(axis=1))
    above.set_title(_heading(entry))
    return 1


def _projections(panel: Axes, f2_ppm: Array, onto_f2: Array, f1_ppm: Array, onto_f1: Array) -> Axes:
    """Draw skyline projections above and to the right of a contour plot; return the upper one, for the title."""
    above = panel.inset_axes((0.0, 1.01, 1.0, 0.14), sharex=panel)
    beside = panel.inset_axes((1.01, 0.0, 0.12, 1.0), sharey=panel)
    above.plot(f2_ppm, onto_f2, color=COLOURS[0], lw=0.7)
    beside.plot(onto_f1, f1_ppm, color=COLOURS[0], lw=0.7)
    for small in (above, beside):
        small.axis("off")
    return above


def _grouped(results: Results, kind: str) -> list[list[DatasetEntry]]:
    """Return the datasets of one kind by rising temperature, each group in the order acquired."""
    groups: list[list[DatasetEntry]] = []
    entries = [entry for entry in results.datasets if entry.kind == kind and entry.completeness != "failed"]
    for entry in sorted(entries, key=lambda one: (one.T_K or 0.0, one.started_s or 0.0)):
        if groups and abs((groups[-1][0].T_K or 0.0) - (entry.T_K or 0.0)) < SAME_TEMPERATURE_K:
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return [sorted(group, key=lambda one: one.started_s or 0.0) for group in groups]


def _sites(results: Results) -> dict[str, float]:
    return {site.name: site.ppm for site in results.exsy.sites}


def _window(sites: Mapping[str, float]) -> tuple[float, float]:
    """Return what to show [ppm]: the sites with as much around them as lies between them."""
    if not sites:
        return (-10.0, 10.0)
    low, high = min(sites.values()), max(sites.values())
    margin = max(0.35 * (high - low), 1.0)
    return (low - margin, high + margin)


def _lines(dataset: BrukerDataset, sites: Mapping[str, float]) -> LineSet | None:
    """Return lines whose phase makes the picture absorptive; None where they cannot be fitted."""
    try:
        return refine_lines([dataset], sites=sites or None)
    except LabctlError:
        return None


def broadening_Hz(lines: LineSet | None) -> tuple[float, float]:
    """Return the apodisation of pictures in F2 and F1 [Hz]."""
    narrowest = min((line.fwhm_Hz for line in lines.lines), default=0.0) if lines is not None else 0.0
    at_F2, at_F1 = (max(least, BROADENING * narrowest) for least in LEAST_BROADENING_HZ)
    return at_F2, at_F1


def _heading(entry: DatasetEntry) -> str:
    return f"{temperature_label(entry.T_K)}, Tmix {duration_text(_tmix_s(entry))}"


def _tmix_s(entry: DatasetEntry) -> float:
    return float(entry.parameters.get("mixing_time_s", 0.0))


def _nucleus(text: str) -> str:
    digits = "".join(character for character in text if character.isdigit())
    return f"{digits.translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}{text[len(digits) :]}"
