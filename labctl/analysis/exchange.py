"""K-site exchange: the mixing matrix from rates, its derivatives, and rates from one matrix by logarithm.

Detailed balance is built in: the parameters are populations p and symmetric fluxes F_ij = p_i k_ij, so the
generator is similar to a symmetric matrix and one `eigh` serves every mixing time (Jeener, Meier, Bachmann,
Ernst 1979 for the experiment; Perrin & Dwyer 1990 for the full-matrix treatment).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def pairs(sites: int) -> list[tuple[int, int]]:
    """Return the site pairs (i, j), i < j, in the order in which fluxes are listed."""
    return [(i, j) for i in range(sites) for j in range(i + 1, sites)]


def rates(populations: FloatArray, fluxes: FloatArray) -> FloatArray:
    """Return k_per_s, shape (K, K): row from, column to, zero diagonal; k_ij = F_ij / p_i."""
    k = np.zeros((populations.size, populations.size))
    for (i, j), flux in zip(pairs(populations.size), fluxes, strict=True):
        k[i, j] = flux / populations[i]
        k[j, i] = flux / populations[j]
    return k


def mixing_matrix(
    times_s: FloatArray, populations: FloatArray, fluxes: FloatArray, R1_per_s: FloatArray | float = 0.0
) -> FloatArray:
    """Return A, shape (T, K, K), of fully recovered sites: A_ij(t) = P(i -> j, t) p_i, symmetric.

    Parameters
    ----------
    times_s : ndarray, shape (T,)
    populations : ndarray, shape (K,)
        Positive, sum 1.
    fluxes : ndarray, shape (K (K - 1) / 2,)
        Equilibrium fluxes F_ij = p_i k_ij >= 0 [1/s], in the order of `pairs`.
    R1_per_s : float or ndarray, shape (K,)
        Relaxation rate of each site.
    """
    return _Spectrum(populations, fluxes, np.broadcast_to(R1_per_s, populations.shape)).matrix(times_s)


def mixing_matrix_derivatives(
    times_s: FloatArray, populations: FloatArray, fluxes: FloatArray, R1_per_s: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return A, shape (T, K, K), and dA by flux, population (as if independent) and R1, shape (n, T, K, K).

    Exact, by the divided differences of the exponential in the eigenbasis (Daleckii & Krein).
    """
    spectrum = _Spectrum(populations, fluxes, R1_per_s)
    return (spectrum.matrix(times_s), *spectrum.derivatives(times_s))


class _Spectrum:
    """The symmetrised generator S = D^-1/2 (K - R) D^1/2, D = diag(p), in its eigenbasis; A = D^1/2 e^(St) D^1/2."""

    def __init__(self, populations: FloatArray, fluxes: FloatArray, R1_per_s: FloatArray) -> None:
        self.p = populations
        self.root = np.sqrt(populations)
        self.fluxes = fluxes
        self.flux = np.zeros((populations.size, populations.size))
        for (i, j), one in zip(pairs(populations.size), fluxes, strict=True):
            self.flux[i, j] = self.flux[j, i] = one
        generator = self.flux / np.outer(self.root, self.root)
        generator[np.diag_indices_from(generator)] = -self.flux.sum(axis=1) / populations - R1_per_s
        self.weight, self.vectors = np.linalg.eigh(generator)

    def matrix(self, times_s: FloatArray) -> FloatArray:
        decay = np.exp(np.multiply.outer(times_s, self.weight))
        half = self.root[:, None] * self.vectors
        return np.asarray(np.einsum("in,tn,jn->tij", half, decay, half))

    def derivatives(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        count = self.p.size
        by_flux = np.zeros((len(self.fluxes), count, count))
        for index, (i, j) in enumerate(pairs(count)):
            by_flux[index, i, j] = by_flux[index, j, i] = 1 / (self.root[i] * self.root[j])
            by_flux[index, i, i] = -1 / self.p[i]
            by_flux[index, j, j] = -1 / self.p[j]
        by_population = np.zeros((count, count, count))
        by_R1 = np.zeros((count, count, count))
        for i in range(count):
            off = -0.5 * self.flux[i] / (self.root[i] * self.root) / self.p[i]
            by_population[i, i, :] += off
            by_population[i, :, i] += off
            by_population[i, i, i] = self.flux[i].sum() / self.p[i] ** 2
            by_R1[i, i, i] = -1.0
        d_exp = self._frechet(times_s, np.concatenate([by_flux, by_population, by_R1]))
        scaled = self.root[:, None] * d_exp * self.root
        split = len(self.fluxes)
        d_population = scaled[split : split + count]
        A = self.matrix(times_s)
        for i in range(count):  # the outer factors D^1/2
            d_population[i, :, i, :] += 0.5 * A[:, i, :] / self.p[i]
            d_population[i, :, :, i] += 0.5 * A[:, :, i] / self.p[i]
        return scaled[:split], d_population, scaled[split + count :]

    def _frechet(self, times_s: FloatArray, directions: FloatArray) -> FloatArray:
        """Derivative of e^(St) along each direction, shape (n, T, K, K)."""
        w, V = self.weight, self.vectors
        mean = 0.5 * (w[:, None] + w[None, :])
        half_gap = 0.5 * np.abs(w[:, None] - w[None, :])
        t = times_s[:, None, None]
        x = half_gap * t
        # (e^{at} - e^{bt}) / (a - b) = t e^{mt} sinh(x)/x, written so that neither factor overflows.
        ratio = np.where(x > 1e-4, -np.expm1(-2 * x) / np.where(x > 1e-4, 2 * x, 1.0), 1 - x + 2 * x * x / 3)
        divided = t * np.exp((mean + half_gap) * t) * ratio
        inner = V.T @ directions @ V
        return np.asarray(V @ (divided[None] * inner[:, None]) @ V.T)


def rates_by_logarithm(A: FloatArray, initial: FloatArray, tmix_s: float) -> FloatArray | None:
    """Return the generator's off-diagonal rates k_ij [1/s] from one matrix, or None where noise forbids it.

    L = logm(A^T diag(1/M(0))) / t, the inversion of EXSYCalc; a guess and a consistency check (every mixing time
    must give the same rates where exchange is first order), not a fit. It fails where noise makes an
    eigenvalue of A zero or negative.

    Parameters
    ----------
    A : ndarray, shape (K, K)
        Row source, column detected, in any unit.
    initial : ndarray, shape (K,)
        The sources' magnetisation at Tmix = 0, same unit.
    """
    transfer = (A / initial[:, None]).T
    weight, vectors = np.linalg.eig(transfer)
    if np.any(weight.real <= 1e-3) or np.any(np.abs(weight.imag) > 0.2 * np.abs(weight.real)):
        return None
    generator = np.real(vectors @ np.diag(np.log(weight)) @ np.linalg.inv(vectors)) / tmix_s
    k: FloatArray = generator.T.copy()
    np.fill_diagonal(k, 0.0)
    return k
