"""The published kind of analysis run on a campaign's 2Ds: boxes and lines side by side, and the bias in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labctl.analysis import product
from labctl.analysis.buildup import Buildup, MixingPoint
from labctl.analysis.kinetics import KineticFit, fit_exchange
from labctl.analysis.nmr.boxes import BoxMatrix, bias_of, box_integrals, cross_fraction, peak_heights
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.paper_mode import Intensities, PairFit, activated, fit_cube, fit_pairs
from labctl.analysis.paper_results import HeightRates, PaperMode, PaperPair
from labctl.analysis.results import Arrhenius
from labctl.formats.bruker_dataset import BrukerDataset

FloatArray = NDArray[np.float64]

NOTHING_YET = 0.05
"""A cross peak below this part of its plateau at the shortest Tmix counts as not there yet."""
RESOLVED = 2.0
"""Rates below this many standard errors are none that heights could be held against."""
OVERSTATED = 1.5
"""Boxes further from the lines than by this factor are told."""
WIDEST_FWHM = 1.5
"""Boxes reach half way to the next line, but no further than so many of the widest line's widths."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Processed:
    """One temperature: its 2Ds by name, its lines, and what least squares and the exchange fit made of them."""

    T_K: float | None
    raw: Mapping[str, BrukerDataset]
    lines: LineSet
    matrices: Sequence[AmplitudeMatrix]
    data: Buildup
    exchange: KineticFit

    @property
    def populations(self) -> FloatArray:
        """Populations of the exchange fit, shape (K,)."""
        return self.exchange.state.populations


def paper_mode(temperatures: Sequence[Processed], energies: Sequence[Arrhenius]) -> PaperMode | None:
    """Return what the published kind of analysis finds; None without two mixing times at a temperature."""
    usable = [one for one in temperatures if len({matrix.mixing_time_s for matrix in one.matrices}) > 1]
    if not usable:
        return None
    sites = usable[0].lines.names
    half_width_Hz = min(_half_width_Hz(one.lines) for one in usable)

    def integrals(raw: BrukerDataset, lines: LineSet, name: str) -> BoxMatrix:
        return box_integrals(raw, lines, half_width_Hz=half_width_Hz, name=name)

    boxes = [_read(one, integrals) for one in usable]
    from_lines = [_of_lines(one) for one in usable]
    by_boxes, baselines = _by_boxes(usable, boxes, from_lines)
    found = [
        *_entries(sites, "boxes", by_boxes, baselines, usable, boxes, energies),
        *_entries(sites, "lines", fit_pairs(from_lines), [False] * len(by_boxes), usable, boxes, energies),
    ]
    return PaperMode(
        half_width_Hz=half_width_Hz,
        pairs=found,
        heights=[one for at in usable if (one := _heights(at)) is not None],
        warnings=_doubts(found, half_width_Hz),
        bias=_bias(usable, boxes, found),
        assumptions=[
            "populations, which fix the plateaus, from labctl's exchange fit",
            "all intensity together is one at every Tmix, so that common relaxation cancels",
            "the published text does not give the equation, the boxes, or the errors: this is a reconstruction",
        ],
    )


def _half_width_Hz(lines: LineSet) -> float:
    offsets = np.sort(lines.shape.offset_Hz)
    gap = float(np.min(np.diff(offsets))) if offsets.size > 1 else np.inf
    return max(0.5, min(0.5 * gap, WIDEST_FWHM * max(line.fwhm_Hz for line in lines.lines)))


def _read(one: Processed, read: Callable[[BrukerDataset, LineSet, str], BoxMatrix]) -> list[BoxMatrix]:
    return [read(one.raw[matrix.dataset], one.lines, matrix.dataset) for matrix in one.matrices]


def _of_lines(one: Processed) -> Intensities:
    points = one.data.points
    return Intensities.of(
        one.T_K,
        [point.tmix_s for point in points],
        [point.A for point in points],
        one.populations,
        [point.covariance for point in points],
    )


def _by_boxes(
    temperatures: Sequence[Processed], boxes: Sequence[Sequence[BoxMatrix]], lines: Sequence[Intensities]
) -> tuple[tuple[PairFit, ...], list[bool]]:
    """Fit boxes; what a pair shows at the shortest Tmix is taken off where the lines show nothing there.

    The published spectra show no cross peak at the shortest Tmix; whether tails were taken off is not said.
    """
    series = [
        Intensities.of(
            one.T_K,
            [box.mixing_time_s for box in read],
            [box.B for box in read],
            one.populations,
            [box.cov for box in read],
        )
        for one, read in zip(temperatures, boxes, strict=True)
    ]
    fits, taken = [], []
    for pair in (one.pair for one in fit_pairs(lines)):
        shown = [one.cross[int(np.argmin(one.tmix_s))][pair] / np.prod(one.populations[list(pair)]) for one in lines]
        baseline = max(shown) < NOTHING_YET
        here = [one.above_first(*pair) if baseline else one for one in series]
        fits.append(activated(pair, tuple(fit_cube(one, *pair) for one in here)))
        taken.append(baseline)
    return tuple(fits), taken


def _entries(
    sites: Sequence[str],
    intensities: str,
    fits: Sequence[PairFit],
    baselines: Sequence[bool],
    temperatures: Sequence[Processed],
    boxes: Sequence[Sequence[BoxMatrix]],
    energies: Sequence[Arrhenius],
) -> list[PaperPair]:
    return [
        PaperPair.model_validate(
            {
                "pair": [sites[i] for i in one.pair],
                "intensities": intensities,
                "T_K": [fit.T_K for fit in one.fits],
                "kD_per_s": [fit.kD_per_s for fit in one.fits],
                "kD_se_per_s": [fit.kD_se_per_s for fit in one.fits],
                "plateau": [fit.plateau for fit in one.fits],
                "Ea_eV": one.Ea_eV,
                "Ea_se_eV": one.Ea_se_eV,
                "reference_Ea_eV": _reference([sites[i] for i in one.pair], energies),
                "rms": one.rms,
                "rms_of_plateau": one.rms_of_plateau,
                "chi2_red": [fit.chi2_red for fit in one.fits],
                "misfits": one.misfits,
                "overstated": _overstated(one.pair, temperatures, boxes) if intensities == "boxes" else None,
                "baseline": baseline,
            }
        )
        for one, baseline in zip(fits, baselines, strict=True)
    ]


def _reference(pair: Sequence[str], energies: Sequence[Arrhenius]) -> str:
    """What labctl's own fits say of a pair: energies that name one or both of its sites."""
    said = []
    for one in energies:
        about = set(one.quantity.partition(" ")[2].replace("->", "-").split("-"))
        if one.model != "product" and about and about <= set(pair):
            said.append(f"{one.quantity} ({one.model}) {one.Ea_eV:.3f} +- {one.Ea_se_eV:.3f} eV")
    return "; ".join(said)


def _overstated(
    pair: tuple[int, int], temperatures: Sequence[Processed], boxes: Sequence[Sequence[BoxMatrix]]
) -> list[float] | None:
    """Least and largest ratio of what boxes show of the lines' amplitudes to these, where they are resolved."""
    i, j = pair
    ratios = []
    for one, read in zip(temperatures, boxes, strict=True):
        for point, box in zip(one.data.points, read, strict=True):
            normalised, covariance = point.normalised()
            count = len(normalised)
            at = [i * count + j, j * count + i]
            error = float(np.sqrt(max(0.0, covariance[np.ix_(at, at)].sum())))
            fraction = cross_fraction(point.A, i, j)
            if fraction > 3 * error:
                ratios.append(cross_fraction(box.of(point.A), i, j) / fraction)
    return [min(ratios), max(ratios)] if ratios else None


def _heights(one: Processed) -> HeightRates | None:
    """Rates of the exchange model fitted to peak heights, with what that does to them; None where nothing fits."""
    read = _read(one, lambda raw, lines, name: peak_heights(raw, lines, name=name))
    if any(float(heights.B.sum()) <= 0 for heights in read):
        return None
    data = Buildup(
        sites=one.lines.names,
        T_K=one.T_K,
        points=tuple(
            MixingPoint(tmix_s=heights.mixing_time_s, A=heights.B, covariance=heights.cov, dataset=heights.dataset)
            for heights in read
        ),
    )
    k = fit_exchange(data).rates()[0]
    of_lines, error = one.exchange.rates()
    sites = one.lines.names
    off = [
        f"{sites[i]}->{sites[j]} {100 * (k[i, j] / of_lines[i, j] - 1):+.0f} %"
        for i in range(len(sites))
        for j in range(len(sites))
        if i != j and of_lines[i, j] > RESOLVED * error[i, j]
    ]
    moved = (
        f"peak heights move the rates by {', '.join(off)} against amplitudes of the lines: a broad line reads low, and "
        "tails count as exchange"
        if off
        else "no rate is resolved that those of peak heights could be held against: what they show here is tails"
    )
    longest = int(np.argmax([heights.mixing_time_s for heights in read]))
    return HeightRates(
        T_K=one.T_K,
        sites=list(sites),
        k_per_s=k.tolist(),
        k_of_lines_per_s=of_lines.tolist(),
        bias=[
            moved,
            *bias_of(read[longest], one.matrices[longest]),
        ],
    )


def _bias(
    temperatures: Sequence[Processed], boxes: Sequence[Sequence[BoxMatrix]], found: Sequence[PaperPair]
) -> list[str]:
    coldest = min(range(len(temperatures)), key=lambda index: temperatures[index].T_K or 0.0)
    read, one = boxes[coldest], temperatures[coldest]
    longest = int(np.argmax([box.mixing_time_s for box in read]))
    told = [*bias_of(read[longest], one.matrices[longest])]
    told += [
        f"cross fraction {'-'.join(pair.pair)}: boxes show {pair.overstated[0]:.2f} to {pair.overstated[1]:.2f} times "
        "that of the lines"
        for pair in found
        if pair.overstated is not None
    ]
    by_lines = {tuple(pair.pair): pair.Ea_eV for pair in found if pair.intensities == "lines"}
    for pair in found:
        other = by_lines[tuple(pair.pair)]
        if pair.intensities == "boxes" and pair.Ea_eV is not None and other is not None:
            told.append(
                f"Ea {'-'.join(pair.pair)}: boxes alone move it by {1e3 * (pair.Ea_eV - other):+.0f} meV (same model "
                f"on the lines' amplitudes: {other:.3f} eV)"
            )
    told.append(product.BIAS_SERIAL if len(one.lines.names) > 2 else product.BIAS_BATH)
    return told


def _doubts(found: Sequence[PaperPair], half_width_Hz: float) -> list[str]:
    doubts = []
    wrong = [
        f"{'-'.join(one.pair)} on {one.intensities}: rms {one.rms:.4f} of all intensity, "
        f"{100 * one.rms_of_plateau:.1f} % of its plateau"
        for one in found
        if one.misfits
    ]
    if wrong:
        doubts.append(
            f"the model misfits: {'; '.join(wrong)}. Its kD and Ea are for comparison with published ones; quote those "
            "of the fits of all sites"
        )
    off = [
        f"{'-'.join(one.pair)} up to {one.overstated[1]:.1f} x"
        for one in found
        if one.overstated is not None and one.overstated[1] > OVERSTATED
    ]
    if off:
        doubts.append(
            f"boxes of +-{half_width_Hz:.3g} Hz overstate cross fractions ({', '.join(off)}): tails and overlap of the "
            "lines count as exchange"
        )
    return doubts
