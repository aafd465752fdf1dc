"""The rows of one dataset made ready for fitting: per scan, sign alternation undone, filter build-up left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset
from labctl.formats.bruker_kind import PHASE_SENSITIVE

CONTAMINATED_AFTER_FILTER = 2
"""Points after the group delay that still carry the filter's own response (exsy practice: n >= ceil(GRPDLY) + 2)."""

_NOISE_SAMPLES = 20_000
_CLIPPED = 1e-2
"""Part of the noise bins that is left out together with those that hold signal (and accounted for)."""
_LEAST_ROWS = 4
_LEAST_POINTS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One dataset as the fits see it.

    Attributes
    ----------
    dataset : str
        Where it came from, for messages.
    signal : complex ndarray, shape (R, N)
        As stored, where possible a view. For a 2D, rows are cos and sin modulated in turn whatever the quadrature was.
    factor : ndarray, shape (R,)
        Multiplies each row: one over the scans, with the sign that States-TPPI alternates. Kept apart so that the
        data need not be copied.
    t2_s : ndarray, shape (N,)
        Time of each point after the pulse, ``(n - GRPDLY) dwell``.
    t1_s : ndarray, shape (R,), or None
        Evolution time of each row of a 2D; None where rows are free (1D, list experiments).
    is_sine : bool ndarray, shape (R,), or None
        Whether the row is the sine-modulated one of its pair.
    noise : float
        Standard deviation of one real channel, from the last quarter of t2.
    """

    dataset: str
    group: str
    signal: NDArray[np.complex128]
    factor: NDArray[np.float64]
    t2_s: NDArray[np.float64]
    t1_s: NDArray[np.float64] | None
    is_sine: NDArray[np.bool_] | None
    noise: float
    scans: int

    def until(self, t2_end_s: float) -> Rows:
        """Return the same rows up to `t2_end_s`: what comes later is noise, and costs time."""
        count = max(_LEAST_POINTS, int(np.searchsorted(self.t2_s, t2_end_s)))
        return replace(self, signal=self.signal[:, :count], t2_s=self.t2_s[:count])

    def first(self, count: int) -> Rows:
        """Return the first rows of a 2D; other data, and shorter ones, as they are."""
        if self.t1_s is None or self.is_sine is None or self.signal.shape[0] <= count:
            return self
        return replace(
            self,
            signal=self.signal[:count],
            factor=self.factor[:count],
            t1_s=self.t1_s[:count],
            is_sine=self.is_sine[:count],
        )

    def scaled(self, which: NDArray[np.intp] | None = None) -> NDArray[np.complex128]:
        """Return the rows (or some of them) in counts per scan, sign alternation undone."""
        chosen = np.arange(self.signal.shape[0]) if which is None else which
        scaled: NDArray[np.complex128] = self.signal[chosen] * self.factor[chosen, None]
        return scaled

    @property
    def power(self) -> float:
        """Summed power of all rows, counts per scan squared."""
        return float(self.row_power().sum())

    def row_power(self) -> NDArray[np.float64]:
        """Return the power of each row, counts per scan squared, shape (R,)."""
        channels = self.signal.view(np.float64) if self.signal.strides[-1] == self.signal.itemsize else None
        if channels is None:
            return np.asarray(np.sum(np.abs(self.scaled()) ** 2, axis=1), dtype=np.float64)
        return np.asarray(np.einsum("rn,rn->r", channels, channels) * self.factor**2, dtype=np.float64)


def first_clean_point(group_delay_points: float) -> int:
    """Index of the first point free of the digital filter's build-up."""
    return math.ceil(group_delay_points) + CONTAMINATED_AFTER_FILTER if group_delay_points > 0 else 0


def noise_of(data: NDArray[np.complex128], first: int = 0) -> float:
    """Return the standard deviation of one real channel from the last quarter of t2.

    It is read from the power spectrum there, summed over rows: what is left of narrow lines fills a few bins, which
    stand out and are left out; noise is white. At most 20 000 samples, from rows evenly spread, are looked at (1 %).
    """
    points = max(_LEAST_POINTS, (data.shape[1] - first) // 4)
    count = max(1, min(data.shape[0], _NOISE_SAMPLES // points))
    chosen = np.unique(np.linspace(0, data.shape[0] - 1, count).astype(np.intp))
    window = 0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, points + 1))[:-1]  # Hann's, periodic
    power = np.sum(np.abs(fft.fft(data[chosen, -points:] * window, axis=1)) ** 2, axis=0)
    rows = chosen.size
    scale = float(np.median(power)) / float(special.gammaincinv(rows, 0.5))
    cut = float(special.gammainccinv(rows, _CLIPPED))
    kept = power[power < cut * scale]
    if kept.size:
        expected = rows * float(special.gammainc(rows + 1, cut) / special.gammainc(rows, cut))
        scale = float(kept.mean()) / expected
    return float(np.sqrt(scale / (2.0 * np.sum(window**2))))


def whole_rows(dataset: BrukerDataset) -> NDArray[np.complex128]:
    """Return the rows that hold all their scans: the last of a halted experiment may hold fewer."""
    if dataset.dimension != "1D" and dataset.ending == "halted" and dataset.rows_acquired < dataset.rows_asked:
        return dataset.data[:-1]
    return dataset.data


def prepare(dataset: BrukerDataset, *, t2_end_s: float = np.inf, name: str = "") -> Rows:
    """Return the rows of a dataset, ready for fitting; a halted 2D loses its last row, which may hold fewer scans.

    Parameters
    ----------
    t2_end_s : float
        Later points hold only noise: leave them out (the noise is still taken from the end of the data).

    Raises
    ------
    InputError
        No row holds data, the rows are too few for a 2D, or F1 was not encoded phase-sensitively.
    """
    label = name or dataset.path.as_posix()
    start = first_clean_point(dataset.group_delay_points)
    data = whole_rows(dataset)
    if data.shape[0] == 0 or data.shape[1] - start < _LEAST_POINTS:
        raise InputError(f"{label}: no data to analyse ({data.shape[0]} rows of {data.shape[1]} points)")
    noise = noise_of(data, start) / dataset.scans
    t2_s: NDArray[np.float64] = (
        np.arange(start, data.shape[1], dtype=np.float64) - dataset.group_delay_points
    ) * dataset.dwell_s
    t2_s = t2_s[: max(_LEAST_POINTS, int(np.searchsorted(t2_s, t2_end_s)))]
    signal = data[:, start : start + t2_s.size]
    factor = np.full(signal.shape[0], 1.0 / dataset.scans)
    t1_s = is_sine = None
    if dataset.dimension == "2D":
        signal, sign, t1_s, is_sine = encoded(dataset, signal, label)
        factor = sign / dataset.scans
        noise *= float(abs(sign[0]))
    if not noise > 0:
        raise InputError(f"{label}: the end of the data is exactly constant, so their noise cannot be told")
    return Rows(
        dataset=label,
        group=dataset.pulse_program,
        signal=signal,
        factor=factor,
        t2_s=t2_s,
        t1_s=t1_s,
        is_sine=is_sine,
        noise=noise,
        scans=dataset.scans,
    )


def encoded(
    dataset: BrukerDataset, signal: NDArray[np.complex128], label: str
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return rows that are cosine and sine modulated in turn, their factors, t1 [s], and which are sine.

    Raises
    ------
    InputError
        F1 was not encoded phase-sensitively, or the rows are fewer than four.
    """
    axis = dataset.indirect
    if axis is None or axis.quadrature not in PHASE_SENSITIVE:
        raise InputError(
            f"{label}: F1 is encoded as {axis.quadrature if axis else 'nothing'}",
            expected="States, States-TPPI or echo-antiecho",
        )
    count = signal.shape[0]
    if axis.quadrature == "echo-antiecho":
        count -= count % 2
        echo, antiecho = signal[0:count:2], signal[1:count:2]
        signal = np.empty((count, signal.shape[1]), dtype=np.complex128)
        signal[0::2] = (echo + antiecho) * np.sqrt(0.5)
        signal[1::2] = (echo - antiecho) * (-1j * np.sqrt(0.5))
    if count < _LEAST_ROWS:
        raise InputError(f"{label}: {count} rows are too few for a 2D", expected=f"at least {_LEAST_ROWS}")
    index = np.arange(count)
    pair = index // 2
    sign = np.ones(count)
    if axis.quadrature == "States-TPPI":
        sign[pair % 2 == 1] = -1.0
    if axis.quadrature == "echo-antiecho":
        sign[:] = np.sqrt(0.5)
    t1_s = np.asarray(axis.start_s + pair * axis.increment_s, dtype=np.float64)
    return signal, sign, t1_s, np.asarray(index % 2 == 1, dtype=np.bool_)
