"""What integrating boxes, or reading peak heights, makes of a 2D: numbers of the usual kind, with their bias.

The integral of an absorptive spectrum over a box is linear in the data, so it needs no transform: with
``w(t) = exp(-pi b t) 2 sin(2 pi h t) / (pi t)`` (broadening b, half width h) and E1, E2 the bases of the lines::

    B_ij = sum over rows r and points n of  W1_ri S_rn conj(W2_nj),   W = w(t) times the rotation at the box's centre
    B    = C1 A C2^T,   C1 = W1' E1,   C2 = Re(W2^H E2)

C1 and C2 say what tails and overlap do: isolated lines in endless boxes would give the identity. The same holds for
heights, with w(t) = exp(-pi b t). Boxes are there to compare with published work that integrated; the amplitudes to
believe are those of `labctl.analysis.nmr.estimator`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labctl.analysis.nmr.basis import Complex, Real, Shape, f1_basis, f2_basis
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.nmr.rows import encoded, noise_of, whole_rows
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

BROADENING_HZ = (10.0, 10.0)
"""Exponential apodisation (F2, F1) that published processing of such lines applies."""

MISLEADING = 0.10
"""A cross fraction further off than this, relative to the lines', is told."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxMatrix:
    """Integrals over boxes around every (F1 line, F2 line), or peak heights; row = source, column = detected.

    Attributes
    ----------
    sites : tuple of str
    B : ndarray, shape (K, K)
        Counts per scan. Integrals are scaled so that an isolated line in an endless box gives its amplitude; heights
        likewise where a line alone, of the mean width, would stand.
    cov : ndarray, shape (K*K, K*K)
        Covariance of ``B.ravel()`` from the noise.
    response_1, response_2 : ndarray, shape (K, K)
        C1 and C2: ``B = C1 A C2^T`` on the lines.
    half_width_Hz : float
        Half the edge of the boxes; 0 for heights.
    """

    sites: tuple[str, ...]
    B: Real
    cov: Real
    response_1: Real
    response_2: Real
    half_width_Hz: float
    mixing_time_s: float
    dataset: str

    @property
    def B_se(self) -> Real:
        """Standard errors of `B`, shape (K, K)."""
        return np.asarray(np.sqrt(np.diag(self.cov)).reshape(self.B.shape), dtype=np.float64)

    @property
    def captured(self) -> Real:
        """Part of each line's diagonal peak that its own box holds, shape (K,)."""
        return np.asarray(np.diag(self.response_1) * np.diag(self.response_2), dtype=np.float64)

    def of(self, A: Real) -> Real:
        """Return what these boxes would show of a matrix of amplitudes, shape (K, K)."""
        return np.asarray(self.response_1 @ A @ self.response_2.T, dtype=np.float64)

    def unmixed(self) -> Real:
        """Return the amplitudes that give these boxes, shape (K, K): tails and overlap taken out."""
        return np.asarray(np.linalg.solve(self.response_1, np.linalg.solve(self.response_2, self.B.T).T))

    def cross_fraction(self, i: int, j: int) -> float:
        """Return (B_ij + B_ji) / sum(B)."""
        return cross_fraction(self.B, i, j)


def cross_fraction(A: Real, i: int, j: int) -> float:
    """Return (A_ij + A_ji) / sum(A), what papers call the normalised cross-peak intensity."""
    return float((A[i, j] + A[j, i]) / A.sum())


def box_integrals(
    dataset: BrukerDataset,
    lines: LineSet,
    *,
    half_width_Hz: float,
    broadening_Hz: tuple[float, float] = BROADENING_HZ,
    name: str = "",
) -> BoxMatrix:
    """Return the integrals over boxes of ``2 half_width_Hz`` around the lines, in F1 and F2 alike.

    Parameters
    ----------
    lines : LineSet
        Give the centres, the phases, and the shapes from which the bias is reckoned.
    broadening_Hz : (float, float)
        Exponential apodisation of (F2, F1).

    Raises
    ------
    InputError
        Not a phase-sensitive 2D, or a half width that is not positive.
    """
    if not half_width_Hz > 0:
        raise InputError(f"a box of half width {half_width_Hz:g} Hz holds nothing", expected="more than 0 Hz")
    return _weighted(dataset, lines, half_width_Hz, broadening_Hz, name)


def peak_heights(
    dataset: BrukerDataset,
    lines: LineSet,
    *,
    broadening_Hz: tuple[float, float] = BROADENING_HZ,
    name: str = "",
) -> BoxMatrix:
    """Return peak heights, scaled by the line shape of mean width; see `box_integrals`.

    A broad site reads low and a narrow one high, and tails count as signal; `bias_of` has the numbers.

    Raises
    ------
    InputError
        Not a phase-sensitive 2D.
    """
    return _weighted(dataset, lines, 0.0, broadening_Hz, name)


def bias_of(boxes: BoxMatrix, matrix: AmplitudeMatrix) -> tuple[str, ...]:
    """Return what a reader of the boxes has to be told: by how much each cross fraction is off, and what was caught.

    The reference is `matrix`, the least squares of the same 2D on its lines. At least one sentence is returned, for
    a number from boxes must never stand alone.
    """
    what = f"boxes of +-{boxes.half_width_Hz:.3g} Hz" if boxes.half_width_Hz else "peak heights"
    parts = ", ".join(f"{part:.2f} ({site})" for site, part in zip(boxes.sites, boxes.captured, strict=True))
    told = [f"{what} read diagonal peaks as {parts} of their amplitude"]
    noise = float(boxes.B_se.max() / abs(boxes.B.sum()))
    count = len(boxes.sites)
    for i in range(count):
        for j in range(i + 1, count):
            theirs, ours = boxes.cross_fraction(i, j), cross_fraction(matrix.A, i, j)
            off = abs(cross_fraction(boxes.of(matrix.A), i, j) - ours)
            if off > MISLEADING * abs(ours) and off > 3 * noise:
                times = f" ({theirs / ours:.1f} x)" if ours > 0 else ""
                told.append(
                    f"{what} give a cross fraction {boxes.sites[i]}-{boxes.sites[j]} of {theirs:.4f} where least "
                    f"squares on the lines finds {ours:.4f}{times}: tails and overlap of the lines count as exchange"
                )
    return tuple(told)


def _weighted(
    dataset: BrukerDataset, lines: LineSet, half_width_Hz: float, broadening_Hz: tuple[float, float], name: str
) -> BoxMatrix:
    label = name or dataset.path.as_posix()
    first = int(np.ceil(dataset.group_delay_points))
    signal, sign, t1_s, is_sine = encoded(dataset, whole_rows(dataset)[:, first:], label)
    points = np.arange(signal.shape[1], dtype=np.float64) + first - dataset.group_delay_points
    t2_s: Real = np.asarray(points * dataset.dwell_s, dtype=np.float64)
    shape = lines.shape_of(dataset)
    w2: Complex = _rotated(t2_s, shape) * _window(t2_s, dataset.dwell_s, half_width_Hz, broadening_Hz[0])[:, None]
    increment_s = dataset.indirect.increment_s if dataset.indirect is not None else 0.0
    unbroadened = _flat(shape)
    w1 = f1_basis(t1_s, is_sine, unbroadened) * _pairs(t1_s, increment_s, half_width_Hz, broadening_Hz[1])[:, None]
    c1 = w1.T @ f1_basis(t1_s, is_sine, shape)
    c2 = np.real(w2.conj().T @ f2_basis(t2_s, shape))
    if not half_width_Hz:  # a height has no unit of its own: that of a line of mean width is one
        scale_1, scale_2 = float(np.mean(np.diag(c1))), float(np.mean(np.diag(c2)))
        w1, c1, w2, c2 = w1 / scale_1, c1 / scale_1, w2 / scale_2, c2 / scale_2
    noise = noise_of(dataset.data, first) / dataset.scans * float(abs(sign[0]))
    B = np.real((w1 * (sign / dataset.scans)[:, None]).T @ signal @ w2.conj())
    cov = noise**2 * np.kron(w1.T @ w1, np.real(w2.conj().T @ w2))
    return BoxMatrix(
        sites=lines.names,
        B=np.asarray(B, dtype=np.float64),
        cov=np.asarray(cov, dtype=np.float64),
        response_1=np.asarray(c1, dtype=np.float64),
        response_2=np.asarray(c2, dtype=np.float64),
        half_width_Hz=half_width_Hz,
        mixing_time_s=dataset.mixing_time_s or 0.0,
        dataset=label,
    )


def _flat(shape: Shape) -> Shape:
    """The same lines without decay."""
    zero = np.zeros_like(shape.offset_Hz)
    return replace(shape, lorentz_Hz=zero, gauss2_Hz2=zero)


def _rotated(t2_s: Real, shape: Shape) -> Complex:
    return f2_basis(t2_s, _flat(shape))


def _window(t_s: Real, step_s: float, half_width_Hz: float, broadening_Hz: float) -> Real:
    """Weight of each point of an evenly sampled, one-sided signal; the part before the first point goes to it."""
    weight = np.full(t_s.size, step_s)
    weight[0] = min(t_s[0] + 0.5 * step_s, step_s)
    kernel = 4.0 * half_width_Hz * np.sinc(2.0 * half_width_Hz * t_s) if half_width_Hz else np.ones_like(t_s)
    return np.asarray(weight * kernel * np.exp(-np.pi * broadening_Hz * t_s), dtype=np.float64)


def _pairs(t1_s: Real, increment_s: float, half_width_Hz: float, broadening_Hz: float) -> Real:
    """`_window` for rows that come in pairs of one t1."""
    window = _window(t1_s[::2], increment_s, half_width_Hz, broadening_Hz)
    return np.asarray(np.repeat(window, 2)[: t1_s.size], dtype=np.float64)
