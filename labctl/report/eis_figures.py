"""Figures of impedance, drawn from results alone: Nyquist and Bode with fits, residuals, Kramers-Kronig, Arrhenius."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import NullLocator

from labctl.analysis.eis_results import EisArrhenius, EisSpectrum
from labctl.analysis.results import Results
from labctl.report.figure import Figure, procedure_of
from labctl.report.figures import COLOURS, KB_EV_PER_K, MARKERS, canvas, save
from labctl.report.numbers import plus_minus

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

PANELS = 3
"""Panels side by side."""


def eis_figures(results: Results, folder: Path) -> list[Figure]:
    """Return every figure of impedance; none where there is no impedance."""
    figures: list[Figure] = []
    for number, (sample, spectra) in enumerate(_by_sample(results).items()):
        stem = f"eis_{number + 1}_{re.sub(r'[^A-Za-z0-9_-]+', '_', sample)[:40]}"
        figures.append(nyquist(sample, spectra, folder / f"{stem}_nyquist.svg"))
        figures.append(bode(sample, spectra, folder / f"{stem}_bode.svg"))
        figures.append(residuals(sample, spectra, folder / f"{stem}_residuals.svg"))
    if results.eis.arrhenius:
        figures.append(conductivity(results.eis.arrhenius, folder / "eis_arrhenius.svg"))
    return figures


def _by_sample(results: Results) -> dict[str, list[EisSpectrum]]:
    groups: dict[str, list[EisSpectrum]] = defaultdict(list)
    for one in results.eis.spectra:
        groups[one.sample].append(one)
    return groups


def _label(one: EisSpectrum) -> str:
    if one.T_K is None:
        return one.dataset.rsplit("/", 1)[-1][-24:]
    return f"{one.T_K - 273.15:.0f} °C"


def nyquist(sample: str, spectra: Sequence[EisSpectrum], path: Path) -> Figure:
    """Draw every spectrum with its circuit, one panel each, both axes to one scale."""
    columns = min(PANELS, len(spectra))
    rows = -(-len(spectra) // columns)
    drawing, axes = canvas(3.3 * columns + 0.3, 3.2 * rows + 0.1, nrows=rows, ncols=columns, squeeze=False)
    for panel, one in zip(axes.flat, spectra, strict=False):
        real, imaginary = np.array(one.Z_re_ohm), np.array(one.Z_im_ohm)
        factor, unit = _scale(np.hypot(one.fit.Z_re_ohm, one.fit.Z_im_ohm) if one.fit else np.hypot(real, imaginary))
        counted = np.ones(real.size, dtype=bool)
        counted[one.left_out] = False
        panel.plot(real[counted] / factor, -imaginary[counted] / factor, "o", ms=3.2, mfc="none", color=COLOURS[0])
        if one.left_out:
            panel.plot(real[~counted] / factor, -imaginary[~counted] / factor, "x", ms=4, color=COLOURS[6])
        if one.fit is not None:
            fitted = np.array(one.fit.Z_re_ohm) / factor, -np.array(one.fit.Z_im_ohm) / factor
            panel.plot(*fitted, lw=1.2, color=COLOURS[1], label=one.fit.circuit)
            panel.legend(fontsize=7.5)
        least, reach = _window(one, factor)
        panel.set_xlim(least, reach)
        panel.set_ylim(least, reach)
        panel.set_aspect("equal", adjustable="box")
        panel.set_xlabel(f"Z' [{unit}]")
        panel.set_ylabel(f"−Z'' [{unit}]")
        panel.set_title(_label(one) + ("" if one.resolved else ": R not resolved"))
    _hide_rest(axes, len(spectra))
    return Figure(
        path=save(drawing, path),
        title=f"Impedance of {sample}",
        caption="Circles: measured; crosses: overloaded, left out; line: the circuit chosen by AICc among those whose "
        "resistances are resolved.",
    )


def bode(sample: str, spectra: Sequence[EisSpectrum], path: Path) -> Figure:
    """Draw modulus and phase of all spectra over frequency."""
    drawing, axes = canvas(9.0, 3.8, ncols=2)
    for index, one in enumerate(spectra):
        colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
        Z = np.array(one.Z_re_ohm) + 1j * np.array(one.Z_im_ohm)
        axes[0].plot(one.frequency_Hz, np.abs(Z), marker, ms=3, mfc="none", color=colour, label=_label(one))
        axes[1].plot(one.frequency_Hz, -np.degrees(np.angle(Z)), marker, ms=3, mfc="none", color=colour)
        if one.fit is not None:
            fitted = np.array(one.fit.Z_re_ohm) + 1j * np.array(one.fit.Z_im_ohm)
            axes[0].plot(one.fit.frequency_Hz, np.abs(fitted), lw=1, color=colour)
            axes[1].plot(one.fit.frequency_Hz, -np.degrees(np.angle(fitted)), lw=1, color=colour)
    for panel in axes:
        _log_frequency(panel)
        panel.set_xlabel("frequency [Hz]")
    axes[0].set_yscale("log")
    axes[0].set_ylabel("|Z| [Ω]")
    axes[1].set_ylabel("−phase [°]")
    axes[0].legend(fontsize=7.5)
    return Figure(
        path=save(drawing, path),
        title=f"Modulus and phase of {sample}",
        caption="Symbols: measured; lines: fitted circuits.",
    )


def residuals(sample: str, spectra: Sequence[EisSpectrum], path: Path) -> Figure:
    """Draw what circuit and Kramers-Kronig test leave over, as parts of the modulus, one spectrum above another."""
    shown = [one for one in spectra if one.fit is not None and one.kramers_kronig is not None]
    drawing, (circuit, kk) = canvas(
        9.6, 0.62 * max(2, len(shown)) + 1.2, ncols=2, right_in=0.85, left_in=0.35, between_in=(1.3, 0.8)
    )
    largest = [
        np.percentile(np.abs([*one.fit.residual_re, *one.fit.residual_im]), 90) for one in shown if one.fit is not None
    ]
    step = _round_up(4.0 * 100.0 * float(np.median(largest))) if largest else 1.0
    for row, one in enumerate(shown):
        if one.kramers_kronig is None or one.fit is None:
            continue
        f = np.delete(np.array(one.frequency_Hz), one.left_out)
        test = one.kramers_kronig
        _stacked(circuit, f, one.fit.residual_re, one.fit.residual_im, row, step, f"{_label(one)}\n{one.fit.circuit}")
        verdict = "passed" if test.passed else "FAILED"
        _stacked(kk, f, test.residual_re, test.residual_im, row, step, f"M = {test.terms}\n{verdict}")
    for panel, title in ((circuit, "data − circuit"), (kk, "Kramers-Kronig")):
        _log_frequency(panel)
        panel.set_xlabel("frequency [Hz]")
        panel.set_yticks([row * step for row in range(len(shown))], labels=[])
        panel.set_ylim(-0.6 * step, max(1, len(shown)) * step)
        panel.set_title(f"{title}; from line to line {step:g} % of |Z|", fontsize=9)
    if shown:
        circuit.legend(fontsize=7, ncols=2, loc="upper right", borderaxespad=0.1)
    return Figure(
        path=save(drawing, path),
        title=f"Residuals of {sample}",
        caption="Left: data minus circuit; right: data minus a causal, linear, stable system, which no circuit enters. "
        "A pattern on the right is a fault of the measurement, one on the left alone a fault of the circuit. What "
        "leaves its band is cut off.",
    )


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, ..."""
    decade = 10.0 ** np.floor(np.log10(max(value, 1e-9)))
    return float(decade * next(times for times in (1, 2, 5, 10) if times * decade >= value * (1 - 1e-9)))


def _stacked(
    panel: Axes, f: Array, real: Sequence[float], imaginary: Sequence[float], row: int, step: float, label: str
) -> None:
    for part, marker, colour, name in ((real, "o-", COLOURS[0], "real"), (imaginary, "s-", COLOURS[1], "imaginary")):
        within = np.clip(100.0 * np.array(part), -0.48 * step, 0.48 * step)
        told = name if row == 0 else "_"
        panel.plot(f, row * step + within, marker, ms=2.2, lw=0.6, color=colour, label=told)
    panel.text(1.02, row * step, label, fontsize=7, va="center", transform=panel.get_yaxis_transform())


def conductivity(lines: Sequence[EisArrhenius], path: Path) -> Figure:
    """Draw conductivities against 1/T, one panel a convention, with limits where nothing was resolved."""
    conventions = list(dict.fromkeys(one.convention for one in lines))
    drawing, axes = canvas(4.6 * len(conventions) + 0.4, 4.2, ncols=len(conventions), squeeze=False)
    for panel, convention in zip(axes.flat, conventions, strict=True):
        mine = [one for one in lines if one.convention == convention]
        for index, one in enumerate(mine):
            _conductivity_line(panel, one, index)
        unit = " or ".join(dict.fromkeys(one.unit for one in mine))
        times = " K" if convention == "ln sigma T" else ""
        panel.set_ylabel(f"{'σT' if times else 'σ'} [{unit}{times}]")
        panel.set_xlabel("1000 / T [1/K]")
        panel.set_yscale("log")
        panel.set_title(f"{convention} against 1/T")
        panel.legend(fontsize=8)
    return Figure(
        path=save(drawing, path),
        title="Conductivity over temperature",
        caption="Errors are those of the spectra; that of the pellet's dimensions is common to all temperatures, "
        "shifts the whole line and leaves Ea alone. Arrows: one-sided 95 % limits where nothing was resolved.",
        shows=("activation energy", "conductivity"),
        procedures=tuple(dict.fromkeys(procedure_of(name) for line in lines for name in line.datasets)),
    )


def _conductivity_line(panel: Axes, one: EisArrhenius, index: int) -> None:
    colour = COLOURS[index % len(COLOURS)]
    T_K, value, se = np.array(one.T_K), np.array(one.value), np.array(one.value_se)
    times = T_K if one.convention == "ln sigma T" else np.ones_like(T_K)
    panel.errorbar(
        1000 / T_K,
        value * times,
        np.minimum(se, 0.999 * value) * times,
        color=colour,
        marker=MARKERS[index % len(MARKERS)],
        linestyle="none",
        capsize=2,
        label=f"{one.sample}: {plus_minus(one.Ea_eV, one.Ea_se_eV, 'eV')}",
    )
    for missing in one.not_resolved:
        if missing.upper is not None:
            scale = missing.T_K if one.convention == "ln sigma T" else 1.0
            panel.plot(1000 / missing.T_K, missing.upper * scale, marker="$↓$", ms=9, color=colour, ls="none")
    inverse = np.linspace(1 / T_K.max() - 2e-5, 1 / T_K.min() + 2e-5, 60)
    lever = (inverse - 1 / one.T_ref_K) / KB_EV_PER_K
    ln_T = np.log(one.T_ref_K) if one.convention == "ln sigma T" else 0.0
    line = one.ln_value_at_ref + ln_T - one.Ea_eV * lever
    band = np.hypot(one.ln_value_at_ref_se, one.Ea_se_eV * lever)
    panel.plot(1000 * inverse, np.exp(line), color=colour, lw=1.2)
    panel.fill_between(1000 * inverse, np.exp(line - band), np.exp(line + band), color=colour, alpha=0.15, lw=0)


def _log_frequency(panel: Axes) -> None:
    panel.set_xscale("log")
    panel.xaxis.set_minor_locator(NullLocator())  # hundreds of ticks that nobody reads take most of the drawing


def _window(one: EisSpectrum, factor: float) -> tuple[float, float]:
    """Limits common to both axes: of the curve where there is one, because noise may scatter points anywhere."""
    if one.fit is not None:
        real, imaginary = np.array(one.fit.Z_re_ohm), np.array(one.fit.Z_im_ohm)
    else:
        real, imaginary = np.array(one.Z_re_ohm), np.array(one.Z_im_ohm)
    reach = 1.15 * float(max(real.max(), (-imaginary).max(), 1e-300))
    least = min(-0.05 * reach, 1.1 * float(real.min()), 1.1 * float((-imaginary).min()))
    return least / factor, reach / factor


def _scale(size: Array) -> tuple[float, str]:
    largest = float(size.max())
    for factor, unit in ((1e9, "GΩ"), (1e6, "MΩ"), (1e3, "kΩ"), (1.0, "Ω")):
        if largest >= factor:
            return factor, unit
    return 1e-3, "mΩ"


def _hide_rest(axes: Any, shown: int) -> None:
    for panel in list(axes.flat)[shown:]:
        panel.set_visible(False)
