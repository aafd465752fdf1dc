"""Starting values from the spectrum itself: arcs on a grid of time constants, their strengths by linear least squares.

Given every tau and n, all resistances and 1/Q are linear. The products of all basis curves are formed once; each
combination of one to three taus then costs one small solve, and all are solved together.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.eis.circuits import Circuit

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]
IntArray = NDArray[np.intp]

ARC_EXPONENT = 0.9
ELECTRODE_EXPONENTS = (0.55, 0.9)
GRID = 13


@lru_cache(maxsize=32)
def _combinations(taus: int, arcs: int, electrodes: int, head: int) -> IntArray:
    """Columns of every combination: fixed ones, `arcs` different taus, one of the electrode's curves."""
    fixed = tuple(range(head))
    chosen = [fixed + tuple(head + one for one in pick) for pick in combinations(range(taus), arcs)]
    if electrodes:
        chosen = [(*one, head + taus + which) for one in chosen for which in range(electrodes)]
    return np.array(chosen, dtype=np.intp)


def guess_starts(
    frequency_Hz: FloatArray,
    Z_ohm: ComplexArray,
    deviation_ohm: FloatArray,
    circuit: Circuit,
    starts: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Return walking coordinates to start from, shape (`starts`, P), the most promising first.

    Parameters
    ----------
    frequency_Hz : ndarray, shape (N,)
    Z_ohm : ndarray of complex, shape (N,)
    deviation_ohm : ndarray, shape (N,)
        Weights the linear fits.
    starts : int
        Beyond the best combinations of the grid, they are scattered about the best.
    """
    omega = 2 * np.pi * frequency_Hz
    log_0 = float(np.log(omega.min()))
    arcs = len(circuit.arcs)
    taus = GRID if arcs < 3 else 9
    log_tau = np.linspace(-np.log(omega.max()) - 1.5, -log_0 + 2.0, taus)
    kinds = [one.kind for one in circuit.elements]
    columns: list[ComplexArray] = []
    if "R" in kinds:
        columns.append(np.ones(Z_ohm.size, dtype=np.complex128))
    if "L" in kinds:
        columns.append(np.asarray(1j * omega))
    head = len(columns)
    log_s = np.log(omega) + 0.5j * np.pi
    if arcs:
        columns += list(1.0 / (1.0 + np.exp(ARC_EXPONENT * (log_s + log_tau[:, None]))))
    electrode = ELECTRODE_EXPONENTS if "Q" in kinds else ()
    columns += [np.exp(-n * (log_s - log_0)) for n in electrode]
    picks = _combinations(taus if arcs else 0, arcs, len(electrode), head)
    strengths, chi2 = _solve(np.array(columns), Z_ohm, deviation_ohm, picks)
    best = np.argsort(chi2, kind="stable")[: max(1, (starts + 1) // 2)]
    guesses = [_coordinates(circuit, picks[at], strengths[at], log_tau, electrode, head, Z_ohm) for at in best]
    while len(guesses) < starts:
        guesses.append(guesses[0] + rng.normal(0.0, 1.0, circuit.size) * _spread(circuit))
    return np.array(guesses[:starts])


def _solve(
    basis: ComplexArray, Z_ohm: ComplexArray, deviation_ohm: FloatArray, picks: IntArray
) -> tuple[FloatArray, FloatArray]:
    weighted = basis / deviation_ohm
    stacked = np.concatenate([weighted.real, weighted.imag], axis=1)
    target = np.concatenate([Z_ohm.real / deviation_ohm, Z_ohm.imag / deviation_ohm])
    scale = np.linalg.norm(stacked, axis=1)
    stacked = stacked / scale[:, None]
    gram, moment = stacked @ stacked.T, stacked @ target
    small = gram[picks[:, :, None], picks[:, None, :]]
    diagonal = np.arange(picks.shape[1])
    small[:, diagonal, diagonal] += 1e-9
    right = moment[picks]
    found = np.linalg.solve(small, right[:, :, None])[:, :, 0]
    # Strengths are resistances: what came out negative is worth nothing, and the combination pays for it.
    found = np.maximum(found, 0.0)
    fitted = np.einsum("ci,cij,cj->c", found, small, found)
    chi2 = float(target @ target) - 2 * np.einsum("ci,ci->c", found, right) + fitted
    return found / scale[picks], chi2


def _coordinates(
    circuit: Circuit,
    pick: IntArray,
    strength: FloatArray,
    log_tau: FloatArray,
    electrode: tuple[float, ...],
    head: int,
    Z_ohm: ComplexArray,
) -> FloatArray:
    theta = np.empty(circuit.size)
    least = 1e-2 * float(np.abs(Z_ohm).min()), 1e-3 * float(np.abs(Z_ohm).max())
    order = {"R": 0, "L": 1 if any(one.kind == "R" for one in circuit.elements) else 0}
    arc = 0
    for one in circuit.elements:
        if one.kind in {"R", "L"}:
            theta[one.at] = np.log(max(strength[order[one.kind]], least[0] if one.kind == "R" else 1e-9))
        elif one.kind == "Q":
            theta[one.at] = np.log(max(strength[-1], least[1]))
            theta[one.at + 1] = (
                electrode[int(pick[-1]) - head - log_tau.size] if circuit.arcs else electrode[int(pick[-1]) - head]
            )
        else:
            theta[one.at] = np.log(max(strength[head + arc], least[1]))
            theta[one.at + 1] = log_tau[int(pick[head + arc]) - head]
            theta[one.at + 2] = ARC_EXPONENT
            arc += 1
    return theta


def _spread(circuit: Circuit) -> FloatArray:
    """How far scattered starts may stand: a factor of about 3 in R and tau, 0.1 in n."""
    spread = np.full(circuit.size, 1.2)
    spread[list(circuit.exponents)] = 0.1
    return spread
