"""Spectra for the eye: fast transforms with ppm axes. No number of the results comes from here.

The group delay becomes a phase ramp after the transform instead of a shift of the FID before it, single precision
is enough for a picture, and F2 is cropped to the window of interest *before* F1 is transformed, which is where most
of the time goes otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from labctl.analysis.nmr.basis import f1_basis, f2_basis
from labctl.analysis.nmr.drift import without_drift
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lasting import excess, solve
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.nmr.rows import encoded, first_clean_point, prepare
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

Real = NDArray[np.float64]
Single = NDArray[np.float32]

_NEAR_ZERO = 0.1
"""A first t1 below this fraction of the increment is half a point too much for a discrete transform."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum:
    """A 1D spectrum: `ppm` falls, as spectra are drawn; `intensity` is the absorptive part."""

    ppm: Real
    intensity: Single
    nucleus: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spectrum2D:
    """A 2D spectrum, `intensity` of shape (F1, F2); both axes fall, the diagonal runs from corner to corner.

    Counts per scan, as `Spectrum` too.
    """

    f1_ppm: Real
    f2_ppm: Real
    intensity: Single
    nucleus: str


@dataclass(frozen=True, slots=True)
class _Window:
    """Points ``first:last`` of a transform in falling order, with the frequency of each."""

    size: int
    index: NDArray[np.intp]
    offset_Hz: Real
    ppm: Real


def spectrum_1d(
    dataset: BrukerDataset,
    *,
    row: int = 0,
    lines: LineSet | None = None,
    broadening_Hz: float = 0.0,
    zero_fill: int = 2,
    window_ppm: tuple[float, float] | None = None,
) -> Spectrum:
    """Return one row as a spectrum: of a 1D, of a list experiment, or the first t1 of a 2D.

    Parameters
    ----------
    lines : LineSet, optional
        Gives the phase; without it the phase of the first clean point is taken.
    broadening_Hz : float
        Exponential apodisation, FWHM added to each line.
    zero_fill : int
        Factor.
    window_ppm : (float, float), optional
        Limits of what is wanted; all by default.

    Raises
    ------
    InputError
        There is no such row.
    """
    if not 0 <= row < dataset.rows_acquired:
        raise InputError(f"{dataset.path}: row {row} was not acquired", expected=f"0 to {dataset.rows_acquired - 1}")
    data = dataset.data[row : row + 1]
    window = _f2_window(dataset, zero_fill, window_ppm)
    spectrum = _f2(dataset, data, window, lines, broadening_Hz)
    return Spectrum(ppm=window.ppm, intensity=spectrum[0], nucleus=dataset.nucleus)


def spectrum_2d(
    dataset: BrukerDataset,
    *,
    lines: LineSet | None = None,
    broadening_Hz: tuple[float, float] = (0.0, 0.0),
    zero_fill: tuple[int, int] = (2, 4),
    as_vendor: bool = False,
    window_ppm: tuple[float, float] | None = None,
    turn_rad: tuple[float, float] = (0.0, 0.0),
) -> Spectrum2D:
    """Return a phase-sensitive 2D, absorptive in both dimensions.

    Parameters
    ----------
    lines : LineSet, optional
        Gives the phases; without it the phase of the first clean point is taken.
    broadening_Hz, zero_fill : pairs
        (F2, F1).
    as_vendor : bool
        Sizes and order of processed vendor data: powers of two, the first point half a width above the carrier.
    window_ppm : (float, float), optional
        Limits of F2; by default the width of F1 for a homonuclear 2D, where nothing else can be, or all of F2.
    turn_rad : (float, float)
        Phases (F2, F1) taken off beyond those that make it absorptive: pi/2 gives the imaginary part of a dimension.

    Raises
    ------
    InputError
        Not States, States-TPPI or echo-antiecho, or fewer than four rows.
    """
    if dataset.indirect is None:
        raise InputError(f"{dataset.path}: a {dataset.dimension} has no second frequency axis")
    axis = dataset.indirect
    if window_ppm is None and axis.nucleus == dataset.nucleus:
        half = 0.5 * axis.spectral_width_Hz / axis.larmor_MHz
        window_ppm = (axis.carrier_ppm - half, axis.carrier_ppm + half)
    data, factor, t1_s, _ = encoded(dataset, dataset.data, dataset.path.as_posix())
    window = _f2_window(dataset, zero_fill[0], window_ppm, as_vendor=as_vendor)
    real = _f2(dataset, data, window, lines, broadening_Hz[0], turn_rad[0])
    pairs = real.shape[0] // 2
    weight = factor[: 2 * pairs : 2] * np.exp(-np.pi * broadening_Hz[1] * (t1_s[: 2 * pairs : 2] - t1_s[0]))
    if axis.start_s < _NEAR_ZERO * axis.increment_s:
        weight[0] *= 0.5
    size = _size(zero_fill[1] * pairs, as_vendor=as_vendor)
    padded = np.zeros((size, real.shape[1]), dtype=np.complex64)
    scale = weight.astype(np.float32)[:, None]
    np.multiply(real[0 : 2 * pairs : 2], scale, out=padded.real[:pairs])
    np.multiply(real[1 : 2 * pairs : 2], scale, out=padded.imag[:pairs])
    transformed = fft.fft(padded, axis=0, overwrite_x=True)
    order, cycles = _falling(size, as_vendor=as_vendor)
    offset = cycles / axis.increment_s
    start_s, phase = axis.start_s, turn_rad[1]
    if lines is not None:
        start_s += lines.shape.t1_origin_s
        phase += lines.shape.t1_phase_rad
    ramp = np.exp(-1j * (2 * np.pi * offset * start_s + phase)).astype(np.complex64)[:, None]
    chosen = transformed[order]
    return Spectrum2D(
        f1_ppm=axis.carrier_ppm + offset / (axis.larmor_MHz / (1.0 + 1e-6 * axis.carrier_ppm)),
        f2_ppm=window.ppm,
        intensity=chosen.real * ramp.real - chosen.imag * ramp.imag,
        nucleus=dataset.nucleus,
    )


def without_model(dataset: BrukerDataset, lines: LineSet, matrix: AmplitudeMatrix) -> BrukerDataset:
    """Return a 2D minus what lines and amplitudes make of it, encoded as States: its spectrum is the residual map.

    Raises
    ------
    InputError
        Not a phase-sensitive 2D.
    """
    rows = without_drift(prepare(dataset), lines.drift_of(dataset))
    if rows.t1_s is None or rows.is_sine is None or dataset.indirect is None:
        raise InputError(f"{dataset.path}: a residual map needs a 2D, not a {dataset.dimension}")
    shape = lines.shape_of(dataset)
    model = f1_basis(rows.t1_s, rows.is_sine, shape) @ matrix.A @ f2_basis(rows.t2_s, shape).T
    if lines.lasting is not None:
        found = solve(rows, shape, lines.lasting)
        for site in np.flatnonzero(found.kept):
            more = excess(rows.t1_s, rows.is_sine, rows.t2_s, shape, lines.lasting, int(site))
            model = model + found.kept[site] * more
    data = np.zeros((rows.signal.shape[0], dataset.points), dtype=np.complex128)
    first = dataset.points - rows.signal.shape[1]
    data[:, first:] = (rows.scaled() - model) * dataset.scans
    return replace(dataset, data=data, rows_acquired=len(data), indirect=replace(dataset.indirect, quadrature="States"))


def _falling(size: int, *, as_vendor: bool) -> tuple[NDArray[np.intp], Real]:
    """Indices of a transform by falling frequency, and the frequencies [cycles per point]; either end may be half."""
    order = np.arange(size // 2 - (not as_vendor), -size // 2 - (not as_vendor), -1, dtype=np.intp)
    return order % size, order / size


def _size(least: int, *, as_vendor: bool) -> int:
    """An even length of a transform that is fast, or a power of two."""
    if as_vendor:
        return 1 << max(1, least - 1).bit_length()
    size = int(fft.next_fast_len(least))
    return size + size % 2


def _f2_window(
    dataset: BrukerDataset, zero_fill: int, window_ppm: tuple[float, float] | None, *, as_vendor: bool = False
) -> _Window:
    size = _size(zero_fill * dataset.points, as_vendor=as_vendor)
    index, cycles = _falling(size, as_vendor=as_vendor)
    offset = cycles / dataset.dwell_s
    ppm = dataset.carrier_ppm + offset / dataset.reference_MHz
    if window_ppm is not None:
        inside = (ppm >= min(window_ppm)) & (ppm <= max(window_ppm))
        if not inside.any():
            raise InputError(
                f"{dataset.path}: nothing was acquired between {window_ppm[0]:.6g} and {window_ppm[1]:.6g} ppm",
                expected=f"a window within {ppm[-1]:.4g} to {ppm[0]:.4g} ppm",
            )
        index, offset, ppm = index[inside], offset[inside], ppm[inside]
    return _Window(size, index, np.asarray(offset, dtype=np.float64), np.asarray(ppm, dtype=np.float64))


def _f2(
    dataset: BrukerDataset,
    data: NDArray[np.complex128],
    window: _Window,
    lines: LineSet | None,
    broadening_Hz: float,
    turn_rad: float = 0.0,
) -> Single:
    """Transform F2 of every row, crop, phase, and keep the real part; shape (rows, points of the window)."""
    delay = dataset.group_delay_points
    t2_s = (np.arange(data.shape[1]) - delay) * dataset.dwell_s
    padded = np.zeros((data.shape[0], window.size), dtype=np.complex64)
    np.multiply(
        data,
        np.exp(-np.pi * broadening_Hz * np.abs(t2_s)) / dataset.scans,
        out=padded[:, : data.shape[1]],
        casting="same_kind",
    )
    spectrum = fft.fft(padded, axis=1, overwrite_x=True)
    if lines is not None:
        phase, origin_s = lines.shape.phase_rad, lines.shape.t2_origin_s
    else:
        first = data[:, min(first_clean_point(delay), data.shape[1] - 1)]
        phase, origin_s = float(np.angle(first[int(np.argmax(np.abs(first)))])), 0.0
    turn = 2 * np.pi * window.offset_Hz * (delay * dataset.dwell_s - origin_s) - phase - turn_rad
    ramp = np.exp(1j * turn).astype(np.complex64)
    chosen = spectrum[:, window.index]
    absorptive: Single = chosen.real * ramp.real - chosen.imag * ramp.imag
    return absorptive
