"""Shapes of lines in the time domain, and spins that keep their offset through the mixing time.

A line of full width W at half height decays as exp(-pi W t) (Lorentz) or exp(-(pi W t)^2 / (4 ln 2)) (Gauss).
A fraction of the width may be *inhomogeneous*: each spin has its own lasting offset, and the line is the
sum of these isochromats. A spin that stays in its phase precesses with the same offset before and after the
mixing, so t1 and t2 are correlated and the 2D line is no product of two 1D lines. For an offset
distribution with characteristic function G the sum over all isochromats is known in closed form,

    <cos((w+d) t1) exp(i (w+d) t2)> = exp(i w t2) [exp(i w t1) G(t2+t1) + exp(-i w t1) G(t2-t1)] / 2,

which is what `correlated_rows` draws: no quadrature, no random number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from labctl_sim_sample._modes import FloatArray

ComplexArray = npt.NDArray[np.complex128]

_ROWS_IN_CACHE = 16
"""Rows worked on at a time, so that their intermediate arrays stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Line:
    """Decay of one line at one temperature.

    Lorentz widths add linearly and Gauss widths in quadrature, so for these two the 1D line does not depend
    on `inhomogeneous`; ``voigt`` is a homogeneous Lorentz line of (1 - f) W over Gauss offsets of f W.
    """

    width_Hz: float
    inhomogeneous: float
    shape: Literal["lorentz", "gauss", "voigt"]

    def homogeneous(self, t_s: FloatArray) -> FloatArray:
        """Return the decay of one isochromat."""
        if self.shape == "gauss":
            return _gauss(self.width_Hz * math.sqrt(1.0 - self.inhomogeneous**2), t_s)
        return _lorentz(self.width_Hz * (1.0 - self.inhomogeneous), t_s)

    def offsets(self, t_s: FloatArray) -> FloatArray:
        """Return the characteristic function G(t) of the offset distribution (real: it is symmetric)."""
        width_Hz = self.width_Hz * self.inhomogeneous
        return _lorentz(width_Hz, t_s) if self.shape == "lorentz" else _gauss(width_Hz, t_s)

    def decay(self, t_s: FloatArray) -> FloatArray:
        """Return the decay of the whole line."""
        return self.homogeneous(t_s) * self.offsets(t_s)


def _lorentz(width_Hz: float, t_s: FloatArray) -> FloatArray:
    return np.exp(-math.pi * width_Hz * np.abs(t_s))


def _gauss(width_Hz: float, t_s: FloatArray) -> FloatArray:
    return np.exp(-((math.pi * width_Hz / (2.0 * math.sqrt(math.log(2.0)))) ** 2) * t_s**2)


def correlated_rows(
    line: Line, label: ComplexArray, precession: ComplexArray, t1_s: FloatArray, t2_s: FloatArray
) -> tuple[ComplexArray, ComplexArray]:
    """Return the cosine and sine rows of spins that keep their offset, each of shape (n, N).

    Parameters
    ----------
    label : (n,) complex array
        exp(i w t1) and all modulations of t1, without any decay.
    precession : (N,) complex array
        exp(i w t2) and all modulations of t2, without any decay.
    """
    encode = label * line.homogeneous(t1_s)
    detect = 0.5 * precession * line.homogeneous(t2_s)
    cosine = np.empty((t1_s.size, t2_s.size), np.complex128)
    sine = np.empty_like(cosine)
    for start in range(0, t1_s.size, _ROWS_IN_CACHE):
        rows = slice(start, start + _ROWS_IN_CACHE)
        later, earlier = line.offsets(t2_s + t1_s[rows, None]), line.offsets(t2_s - t1_s[rows, None])
        even, odd = later + earlier, later - earlier
        real, imaginary = encode.real[rows, None], encode.imag[rows, None]
        cosine[rows].real, cosine[rows].imag = real * even, imaginary * odd
        sine[rows].real, sine[rows].imag = imaginary * even, -real * odd
        cosine[rows] *= detect
        sine[rows] *= detect
    return cosine, sine
