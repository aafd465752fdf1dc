"""The rows of one dataset made ready for fitting: per scan, sign alternation undone, filter build-up left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset
from labctl.formats.bruker_kind import PHASE_SENSITIVE

CONTAMINATED_AFTER_FILTER = 2
"""Points after the group delay that still carry the filter's own response (exsy practice: n >= ceil(GRPDLY) + 2)."""

_MAD_TO_SD = 1.482602218505602
_NOISE_SAMPLES = 20_000
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
        Counts per scan. For a 2D, rows are cos and sin modulated in turn whatever the quadrature was.
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
    t2_s: NDArray[np.float64]
    t1_s: NDArray[np.float64] | None
    is_sine: NDArray[np.bool_] | None
    noise: float
    scans: int

    def until(self, t2_end_s: float) -> Rows:
        """Return the same rows up to `t2_end_s`: what comes later is noise, and costs time."""
        count = max(_LEAST_POINTS, int(np.searchsorted(self.t2_s, t2_end_s)))
        return replace(self, signal=np.ascontiguousarray(self.signal[:, :count]), t2_s=self.t2_s[:count])


def first_clean_point(group_delay_points: float) -> int:
    """Index of the first point free of the digital filter's build-up."""
    return math.ceil(group_delay_points) + CONTAMINATED_AFTER_FILTER if group_delay_points > 0 else 0


def noise_of(data: NDArray[np.complex128], first: int = 0) -> float:
    """Return the standard deviation of one real channel from the last quarter of t2, by the median absolute deviation.

    At most 20 000 samples, evenly spread, are looked at: 0.8 % precision for any size.
    """
    tail = data[:, -max(4, (data.shape[1] - first) // 4) :]
    tail = tail[:, :: max(1, 2 * tail.size // _NOISE_SAMPLES) | 1]
    channels = np.concatenate([tail.real.ravel(), tail.imag.ravel()])
    return float(_MAD_TO_SD * np.median(np.abs(channels - np.median(channels))))


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
    data = dataset.data
    if dataset.dimension != "1D" and dataset.ending == "halted" and dataset.rows_acquired < dataset.rows_asked:
        data = data[:-1]
    if data.shape[0] == 0 or data.shape[1] - start < _LEAST_POINTS:
        raise InputError(f"{label}: no data to analyse ({data.shape[0]} rows of {data.shape[1]} points)")
    noise = noise_of(data, start) / dataset.scans
    t2_s: NDArray[np.float64] = (
        np.arange(start, data.shape[1], dtype=np.float64) - dataset.group_delay_points
    ) * dataset.dwell_s
    t2_s = t2_s[: max(_LEAST_POINTS, int(np.searchsorted(t2_s, t2_end_s)))]
    signal = data[:, start : start + t2_s.size] / dataset.scans
    t1_s = is_sine = None
    if dataset.dimension == "2D":
        signal, t1_s, is_sine, scale = _encoded(dataset, signal, label)
        noise *= scale
    if not noise > 0:
        raise InputError(f"{label}: the end of the data is exactly constant, so their noise cannot be told")
    return Rows(
        dataset=label,
        group=dataset.pulse_program,
        signal=signal,
        t2_s=t2_s,
        t1_s=t1_s,
        is_sine=is_sine,
        noise=noise,
        scans=dataset.scans,
    )


def _encoded(
    dataset: BrukerDataset, signal: NDArray[np.complex128], label: str
) -> tuple[NDArray[np.complex128], NDArray[np.float64], NDArray[np.bool_], float]:
    """Undo the sign alternation of States-TPPI, or make cosine and sine of echo and antiecho (scaling the noise)."""
    axis = dataset.indirect
    if axis is None or axis.quadrature not in PHASE_SENSITIVE:
        raise InputError(
            f"{label}: F1 is encoded as {axis.quadrature if axis else 'nothing'}",
            expected="States, States-TPPI or echo-antiecho",
        )
    scale = 1.0
    if axis.quadrature == "echo-antiecho":
        pairs = signal.shape[0] // 2
        echo, antiecho = signal[0 : 2 * pairs : 2], signal[1 : 2 * pairs : 2]
        signal = np.empty((2 * pairs, signal.shape[1]), dtype=np.complex128)
        signal[0::2] = (echo + antiecho) / 2
        signal[1::2] = (echo - antiecho) / 2j
        scale = np.sqrt(0.5)
    index = np.arange(signal.shape[0])
    if index.size < _LEAST_ROWS:
        raise InputError(f"{label}: {index.size} rows are too few for a 2D", expected=f"at least {_LEAST_ROWS}")
    pair = index // 2
    if axis.quadrature == "States-TPPI":
        signal[pair % 2 == 1] *= -1
    t1_s = np.asarray(axis.start_s + pair * axis.increment_s, dtype=np.float64)
    return signal, t1_s, np.asarray(index % 2 == 1, dtype=np.bool_), scale
