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
    """Return the faces of the layers, shape (..., K + 1), from 0 outwards, in units of the innermost phase's size."""
    volume = np.cumsum(populations / densities, axis=-1)
    volume = np.concatenate([np.zeros_like(volume[..., :1]), volume / volume[..., :1]], axis=-1)
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
    Many parameter sets are solved at once, for little more than one, when `populations` is (B, K) and the others
    have (or lack) that leading axis; the answer is then (B, T, K, K).

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
    given = np.asarray(populations, dtype=np.float64)
    p = np.atleast_2d(given)
    sets, count = p.shape
    c = np.ones(count) if densities is None else np.asarray(densities, dtype=np.float64) / densities[0]
    D = np.broadcast_to(np.asarray(kD_per_s, dtype=np.float64), (sets, count))
    R = np.broadcast_to(np.asarray(R1_per_s, dtype=np.float64), (sets, count))
    t = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    answer = np.empty((sets, t.size, count, count))
    answer[:] = np.apply_along_axis(np.diag, 1, p)[:, None]
    later = t > 0
    if later.any():
        # Relaxation common to all phases is a factor; taken out, the inversion keeps its relative accuracy.
        common = R.min(axis=1, keepdims=True)
        s = (_PATH / t[later, None]).ravel()
        transform = mixing_transform(
            s, p, D, R1_per_s=R - common, contact_per_s=contact_per_s, densities=c, geometry=geometry
        ).reshape(sets, -1, TALBOT_NODES, count, count)
        inverse = np.real(np.einsum("n,btnij->btij", _WEIGHT, transform)) / t[later, None, None]
        answer[:, later] = inverse * np.exp(-common * t[later])[:, :, None, None]
    return answer if given.ndim > 1 else answer[0]


def mixing_transform(
    s_per_s: ComplexArray,
    populations: FloatArray,
    kD_per_s: FloatArray,
    *,
    R1_per_s: FloatArray | float = 0.0,
    contact_per_s: FloatArray | float = np.inf,
    densities: FloatArray | None = None,
    geometry: Geometry = "sphere",
) -> ComplexArray:
    """Return the Laplace transform of `mixing_matrix` at the nodes `s_per_s`, shape (B, S, K, K).

    `populations` is (B, K); all else as there. For a fit, which needs many parameter sets at many times
    (`labctl.analysis.contour`).
    """
    sets, count = populations.shape
    c = np.ones(count) if densities is None else np.asarray(densities, dtype=np.float64) / densities[0]
    D = np.broadcast_to(np.asarray(kD_per_s, dtype=np.float64), (sets, count))
    R = np.broadcast_to(np.asarray(R1_per_s, dtype=np.float64), (sets, count))
    edges = layer_edges(populations, c, geometry)
    resistance = _contact_resistance(np.broadcast_to(contact_per_s, (sets, count - 1)), edges, geometry)
    total = (_content(edges, geometry) * c).sum(axis=1)
    return np.asarray(_amounts(s_per_s, edges, D, c, R, resistance, geometry) / total[:, None, None, None])


def _content(edges: FloatArray, geometry: Geometry) -> FloatArray:
    """Volume of each layer, shape (B, K)."""
    return np.asarray(np.diff(edges**3) * (4 * np.pi / 3) if geometry == "sphere" else np.diff(edges))


def _contact_resistance(contact_per_s: FloatArray, edges: FloatArray, geometry: Geometry) -> FloatArray:
    area = 4 * np.pi * edges[:, 1:-1] ** 2 if geometry == "sphere" else np.ones_like(edges[:, 1:-1])
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
    """Transformed amounts, shape (B, S, K, K): label put into phase i, found in phase j."""
    sets, count = D.shape
    decay = s[:, None] + R[:, None, :]
    left, cross, right = np.zeros((3, sets, s.size, count), dtype=np.complex128)
    for i in range(count):
        q = np.sqrt(decay[:, :, i] / D[:, i, None])
        faces, cD = edges[:, i : i + 2, None], c[i] * D[:, i, None]
        if geometry == "slab":
            left[:, :, i], cross[:, :, i] = _slab_impedance(q, faces[:, 1] - faces[:, 0], cD)
            right[:, :, i] = left[:, :, i]
        elif i == 0:
            right[:, :, i] = _core_impedance(q, faces[:, 1], cD)
        else:
            left[:, :, i], cross[:, :, i], right[:, :, i] = _shell_impedance(q, faces[:, 0], faces[:, 1], cD)
    flows = _flows(
        diagonal=resistance[:, None] + right[:, :, :-1] + left[:, :, 1:], off=-cross[:, :, 1:-1], drive=1 / decay
    )
    amounts = np.zeros((sets, s.size, count, count), dtype=np.complex128)
    amounts[:, :, np.arange(count), np.arange(count)] = (_content(edges, geometry) * c)[:, None]
    amounts[:, :, :, 1:] += flows
    amounts[:, :, :, :-1] -= flows
    return amounts / decay[:, :, None, :]


def _flows(*, diagonal: ComplexArray, off: ComplexArray, drive: ComplexArray) -> ComplexArray:
    """Outward flows through the interfaces, shape (B, S, K, K - 1), for a label in each phase in turn (Thomas)."""
    count = drive.shape[-1]
    flows = np.zeros((*drive.shape, count - 1), dtype=np.complex128)
    for k in range(count - 1):
        flows[..., k, k] = drive[..., k]
        flows[..., k + 1, k] = -drive[..., k + 1]
    pivot = diagonal.copy()
    for k in range(1, count - 1):
        factor = off[..., k - 1] / pivot[..., k - 1]
        pivot[..., k] -= factor * off[..., k - 1]
        flows[..., k] -= factor[..., None] * flows[..., k - 1]
    flows[..., -1] /= pivot[..., -1, None]
    for k in range(count - 3, -1, -1):
        flows[..., k] = (flows[..., k] - off[..., k, None] * flows[..., k + 1]) / pivot[..., k, None]
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


def _slab_impedance(q: ComplexArray, thickness: FloatArray, cD: FloatArray) -> tuple[ComplexArray, ComplexArray]:
    """Impedance at either face and across a slab of unit area; flows counted inwards."""
    coth, csch = _hyperbolic(q * thickness)
    scale = 1 / (cD * q)
    return coth * scale, csch * scale


def _core_impedance(q: ComplexArray, radius: FloatArray, cD: FloatArray) -> ComplexArray:
    """Impedance of a full sphere at its surface."""
    x = q * radius
    return np.asarray(1 / (4 * np.pi * cD * radius * _x_coth_x_minus_1(x, _hyperbolic(x)[0])))


def _shell_impedance(
    q: ComplexArray, inner: FloatArray, outer: FloatArray, cD: FloatArray
) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Impedance (inner face, across, outer face) of a spherical shell; flows counted inwards."""
    x = q * (outer - inner)
    coth, csch = _hyperbolic(x)
    area = q * q * inner * outer + _x_coth_x_minus_1(x, coth)
    scale = 1 / (4 * np.pi * cD * inner * outer * area)
    turned = q * coth
    return outer * (outer * turned - 1) * scale, q * inner * outer * csch * scale, inner * (inner * turned + 1) * scale
