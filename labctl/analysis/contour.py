"""One contour for many times: the inverse Laplace transform of a fit, where a rule per time would cost too much.

A hyperbola ``s = mu (1 + sin(i u - alpha))`` around the negative real axis serves every time between t0 and t1 with
one set of nodes, so that a model is solved at about 50 nodes for a whole campaign instead of 20 for each of its
times (Weideman & Trefethen 2007, Math. Comp. 76, 1341). All singularities must lie on the real axis at s <= 0,
which holds for diffusion and exchange. The error falls as exp(-B N); B depends on t1/t0 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

ACCURACY = 1e-10
"""What the nodes are enough for, as a part of the transform's scale."""
LEAST_SPAN = 50.0
"""A contour for a narrower span would run so far right that rounding is amplified."""


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """Nodes for a span of times.

    Attributes
    ----------
    nodes, slopes : ndarray, shape (S,)
        Where to evaluate the transform F [1/s], and the contour's direction there.
    """

    nodes: ComplexArray
    slopes: ComplexArray

    @classmethod
    def spanning(cls, shortest_s: float, longest_s: float) -> Contour:
        """Return a contour for every time from `shortest_s` (> 0) to `longest_s`."""
        span = max(longest_s / shortest_s, LEAST_SPAN)
        alpha, opening, rate = _best_hyperbola(round(float(np.log(span)), 3))
        count = int(np.ceil(-np.log(ACCURACY) / rate))
        mu = (4 * np.pi * alpha - np.pi**2) / opening * count / longest_s
        u = (np.arange(count) + 0.5) * opening / count
        nodes = mu * (1 + np.sin(1j * u - alpha))
        slopes = mu * np.cos(1j * u - alpha) * opening / count / np.pi
        return cls(np.asarray(nodes), np.asarray(slopes))

    def weights(self, times_s: FloatArray) -> ComplexArray:
        """Return w, shape (T, S): f(t) = Re(w @ F(nodes)); zero where t = 0."""
        t = np.asarray(times_s, dtype=np.float64)
        # The sum over the lower half is the conjugate of this one, so only the real part counts.
        w = np.exp(np.multiply.outer(t, self.nodes)) * self.slopes
        return np.asarray(np.where(t[:, None] > 0, w, 0.0), dtype=np.complex128)


@lru_cache(maxsize=64)
def _best_hyperbola(ln_span: float) -> tuple[float, float, float]:
    """Angle, A(alpha) and convergence rate B(alpha) of the best hyperbola for t1/t0 = e^ln_span."""
    span = float(np.exp(ln_span))

    def opening(alpha: float) -> float:
        cosh = ((np.pi - 2 * alpha) * span + 4 * alpha - np.pi) / ((4 * alpha - np.pi) * np.sin(alpha))
        return float(np.arccosh(cosh))

    def rate(alpha: float) -> float:
        return float((np.pi**2 - 2 * np.pi * alpha) / opening(alpha))

    best = minimize_scalar(lambda alpha: -rate(alpha), bounds=(np.pi / 4 + 1e-3, np.pi / 2 - 1e-3), method="bounded")
    alpha = float(best.x)
    return alpha, opening(alpha), rate(alpha)
