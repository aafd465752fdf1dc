"""Layered diffusion: the mixing matrix of K concentric phases, by Laplace transform and fixed Talbot.

Each phase i has Li density c_i, tracer diffusivity D_i and relaxation rate R_i; interfaces carry the
equilibrium exchange flux j0 (infinite: perfect contact, tracer fraction continuous)::

    c du/dt = div(c D grad u) - R c u,   flux = j0 (u_i - u_j) at an interface,   no flux at both ends

In the Laplace variable a layer is a two-port: its surface tracer fractions follow from the flows through
its two faces by a symmetric 2 x 2 impedance, an interface is a series resistance 1 / (j0 S), and the flows
through the K - 1 interfaces solve a tridiagonal system. Nothing in it overflows and perfect contact is no
special case. Amounts follow from the flows; the inverse transform is the fixed Talbot rule (Abate & Valko
2004). Accuracy about 1e-11 of the total for mixing times above 1e-3 of the fastest layer's time.

Everything is in units of the reference length d, the size of the innermost phase (its radius; for a slab
its thickness, a half cell by symmetry), because data fix only kD = D / d^2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
Geometry = Literal["sphere", "slab"]

TALBOT_NODES = 20


def _talbot(nodes: int) -> tuple[ComplexArray, ComplexArray]:
    """Nodes p t and weights of f(t) = Re(sum weights F(nodes / t)) / t (Abate & Valko 2004)."""
    angle = np.arange(1, nodes) * np.pi / nodes
    cot = 1 / np.tan(angle)
    path = np.ones(nodes, dtype=np.complex128)
    slope = np.full(nodes, 0.5, dtype=np.complex128)
    path[1:] = angle * (cot + 1j)
    slope[1:] = 1 + 1j * (angle + (angle * cot - 1) * cot)
    path *= 2 * nodes / 5
    return path, np.asarray((2 / 5) * np.exp(path) * slope, dtype=np.complex128)


_PATH, _WEIGHT = _talbot(TALBOT_NODES)


def layer_edges(populations: FloatArray, densities: FloatArray, geometry: Geometry) -> FloatArray:
    """Return the faces of the layers, shape (K + 1,), from 0 outwards, in units of the innermost phase's size."""
    volume = np.concatenate([[0.0], np.cumsum(populations / densities)]) / (populations[0] / densities[0])
    return np.asarray(np.cbrt(volume) if geometry == "sphere" else volume)


def mixing_matrix(
    times_s: FloatArray,
    populations: FloatArray,
    kD_per_s: FloatArray,
    *,
    R1_per_s: FloatArray | float = 0.0,
    contact_per_s: FloatArray | float = np.inf,
    densities: FloatArray | None = None,
    geometry: Geometry = "sphere",
) -> FloatArray:
    """Return A, shape (T, K, K): the part of all Li that was in phase i at 0 and is found in j at t.

    Symmetric for any D, c, R and j0; A(0) = diag(p); without relaxation rows sum to p and A goes to p p^T.

    Parameters
    ----------
    times_s : ndarray, shape (T,)
        Mixing times, >= 0.
    populations : ndarray, shape (K,)
        Li fractions of the phases from the innermost outwards, sum 1.
    kD_per_s : ndarray, shape (K,)
        D_i / d^2, d the size of the innermost phase.
    R1_per_s : float or ndarray, shape (K,)
    contact_per_s : float or ndarray, shape (K - 1,)
        j0 / (c_0 d) of each interface, c_0 the density of the innermost phase; infinite for perfect contact.
    densities : ndarray, shape (K,), optional
        Relative Li densities; equal if not given.
    geometry : str
        ``sphere`` (concentric) or ``slab``.
    """
    p = np.asarray(populations, dtype=np.float64)
    count = p.size
    c = np.ones(count) if densities is None else np.asarray(densities, dtype=np.float64) / densities[0]
    D = np.broadcast_to(np.asarray(kD_per_s, dtype=np.float64), (count,))
    R = np.broadcast_to(np.asarray(R1_per_s, dtype=np.float64), (count,))
    t = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    answer = np.empty((t.size, count, count))
    answer[:] = np.diag(p)
    later = t > 0
    if later.any():
        # Relaxation common to all phases is a factor; taken out, the inversion keeps its relative accuracy.
        common = float(R.min())
        s = (_PATH / t[later, None]).ravel()
        edges = layer_edges(p, c, geometry)
        resistance = _contact_resistance(np.broadcast_to(contact_per_s, (count - 1,)), edges, geometry)
        amounts = _amounts(s, edges, D, c, R - common, resistance, geometry).reshape(t[later].size, -1, count, count)
        inverse = np.real(np.einsum("n,tnij->tij", _WEIGHT, amounts)) / t[later, None, None]
        volume = edges[-1] ** (3 if geometry == "sphere" else 1) * (4 * np.pi / 3 if geometry == "sphere" else 1.0)
        total = volume * (p.sum() / (p / c).sum())
        answer[later] = inverse / total * np.exp(-common * t[later, None, None])
    return answer


def _contact_resistance(contact_per_s: FloatArray, edges: FloatArray, geometry: Geometry) -> FloatArray:
    area = 4 * np.pi * edges[1:-1] ** 2 if geometry == "sphere" else np.ones(edges.size - 2)
    with np.errstate(divide="ignore"):
        return np.asarray(1 / (contact_per_s * area))


def _amounts(
    s: ComplexArray,
    edges: FloatArray,
    D: FloatArray,
    c: FloatArray,
    R: FloatArray,
    resistance: FloatArray,
    geometry: Geometry,
) -> ComplexArray:
    """Transformed amounts, shape (S, K, K): label put into phase i, found in phase j."""
    count = D.size
    decay = s[:, None] + R
    impedance = _sphere_impedance if geometry == "sphere" else _slab_impedance
    left, cross, right = np.empty((3, s.size, count), dtype=np.complex128)
    for i in range(count):
        q = np.sqrt(decay[:, i] / D[i])
        left[:, i], cross[:, i], right[:, i] = impedance(q, edges[i], edges[i + 1], c[i] * D[i])
    flows = _flows(diagonal=resistance + right[:, :-1] + left[:, 1:], off=-cross[:, 1:-1], drive=1 / decay, count=count)
    content = (edges[1:] ** 3 - edges[:-1] ** 3) * 4 * np.pi / 3 if geometry == "sphere" else np.diff(edges)
    amounts = np.zeros((s.size, count, count), dtype=np.complex128)
    amounts[:, np.arange(count), np.arange(count)] = content * c
    amounts[:, :, 1:] += flows
    amounts[:, :, :-1] -= flows
    return amounts / decay[:, None, :]


def _flows(*, diagonal: ComplexArray, off: ComplexArray, drive: ComplexArray, count: int) -> ComplexArray:
    """Outward flows through the interfaces, shape (S, K, K - 1), for a label in each phase in turn (Thomas)."""
    right_side = np.zeros((diagonal.shape[0], count, count - 1), dtype=np.complex128)
    for k in range(count - 1):
        right_side[:, k, k] = drive[:, k]
        right_side[:, k + 1, k] = -drive[:, k + 1]
    pivot = diagonal.copy()
    for k in range(1, count - 1):
        factor = off[:, k - 1] / pivot[:, k - 1]
        pivot[:, k] -= factor * off[:, k - 1]
        right_side[:, :, k] -= factor[:, None] * right_side[:, :, k - 1]
    flows = right_side
    flows[:, :, -1] /= pivot[:, -1, None]
    for k in range(count - 3, -1, -1):
        flows[:, :, k] = (flows[:, :, k] - off[:, k, None] * flows[:, :, k + 1]) / pivot[:, k, None]
    return flows


def _hyperbolic(x: ComplexArray) -> tuple[ComplexArray, ComplexArray]:
    """Coth and csch, both safe for large arguments."""
    small: ComplexArray = np.exp(-x)
    below: ComplexArray = -np.expm1(-2 * x)
    coth: ComplexArray = (1 + small * small) / below
    return coth, np.asarray(2 * small / below, dtype=np.complex128)


def _x_coth_x_minus_1(x: ComplexArray, coth: ComplexArray) -> ComplexArray:
    """X coth(x) - 1, without cancellation for small x."""
    y = x * x
    series = y / 3 * (1 - y / 15 * (1 - 2 * y / 21 * (1 - y / 10 * (1 - 10 * y / 99))))
    return np.where(np.abs(x) < 0.15, series, x * coth - 1)


def _slab_impedance(
    q: ComplexArray, inner: float, outer: float, cD: float
) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Impedance (inner face, across, outer face) of a slab of unit area; flows counted inwards."""
    coth, csch = _hyperbolic(q * (outer - inner))
    scale = 1 / (cD * q)
    return coth * scale, csch * scale, coth * scale


def _sphere_impedance(
    q: ComplexArray, inner: float, outer: float, cD: float
) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Impedance of a spherical shell (of the core where `inner` is 0); flows counted inwards."""
    x = q * (outer - inner)
    coth, csch = _hyperbolic(x)
    bend = _x_coth_x_minus_1(x, coth)
    if inner == 0.0:
        zero = np.zeros_like(q)
        return zero, zero, 1 / (4 * np.pi * cD * outer * bend)
    scale = 1 / (4 * np.pi * cD * inner * outer * (q * q * inner * outer + bend))
    return (
        outer * (outer * q * coth - 1) * scale,
        q * inner * outer * csch * scale,
        inner * (inner * q * coth + 1) * scale,
    )
