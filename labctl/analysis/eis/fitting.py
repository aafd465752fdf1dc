"""Least squares of circuits to spectra, many at once, in impedance or admittance, with a known error model.

Residuals are taken along and across each datum, so that noise of gain and of phase keep their own weights. In both
representations the same error model applies (dZ = -dY / Y^2); they differ where the noise is not small against the
datum: the admittance of a current drowned in noise is still normally distributed, its impedance has no variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from labctl.analysis.eis.circuits import Circuit
from labctl.analysis.eis.descent import Descent, IntArray, descend
from labctl.analysis.eis.guess import guess_starts
from labctl.analysis.eis.kramers_kronig import Representation
from labctl.analysis.eis.noise import MODULUS, NO_FIXTURE, ErrorModel, Fixture
from labctl.analysis.fit import INFLATE_BELOW_P

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

SAME_MINIMUM = 5e-3
"""Starts whose chi2 agree to this fraction found the same minimum."""
SCOUT_STEPS = 40
"""Walks of the first round stop early; the best of each spectrum is then walked to its end."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """One spectrum ready to fit.

    Attributes
    ----------
    frequency_Hz : ndarray, shape (N,)
    Z_ohm : ndarray of complex, shape (N,)
    errors : ErrorModel
    range_A : ndarray, shape (N,), or None
    fixture : Fixture
        Stands in parallel to the circuit.
    """

    frequency_Hz: FloatArray
    Z_ohm: ComplexArray
    errors: ErrorModel = MODULUS
    range_A: FloatArray | None = None
    fixture: Fixture = NO_FIXTURE

    def deviations(self, representation: Representation = "admittance") -> tuple[FloatArray, FloatArray]:
        """Return standard deviations along and across each datum, in ohm or S."""
        Y = 1.0 / self.Z_ohm
        along, across = self.errors.deviations(self.frequency_Hz, Y, self.range_A)
        if representation == "impedance":
            return along * np.abs(self.Z_ohm) ** 2, across * np.abs(self.Z_ohm) ** 2
        return along, across


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CircuitFit:
    """One circuit fitted to one spectrum.

    Attributes
    ----------
    theta, covariance : ndarray, shape (P,) and (P, P)
        Walking coordinates (see `circuits`), arcs ordered by falling frequency; errors include any inflation.
    chi2, n_data : float, int
        Of 2 N real numbers (and the pulls of tied exponents).
    inflated : bool
        Errors were scaled by sqrt(chi2_red): always with relative weights, otherwise where chi2 is beyond chance.
    at_bound : tuple of int
        Coordinates that ended on a bound.
    starts, starts_at_best : int
        How many walks there were, and how many ended in this minimum.
    """

    circuit: Circuit
    representation: Representation
    sweep: Sweep
    theta: FloatArray
    covariance: FloatArray
    chi2: float
    n_data: int
    inflated: bool
    at_bound: tuple[int, ...]
    starts: int
    starts_at_best: int

    @property
    def dof(self) -> int:
        """Degrees of freedom."""
        return self.n_data - self.circuit.size

    @property
    def chi2_red(self) -> float:
        """Chi2 per degree of freedom."""
        return self.chi2 / self.dof if self.dof > 0 else 0.0

    @property
    def aicc(self) -> float:
        """Akaike's criterion with the small-sample term; with relative weights the scale is a parameter too."""
        relative = self.sweep.errors.origin == "relative"
        n, k = self.n_data, self.circuit.size + relative
        badness = n * np.log(self.chi2 / n + 1e-300) if relative else self.chi2
        return float(badness + 2 * k + 2 * k * (k + 1) / (n - k - 1)) if n > k + 1 else np.inf

    @property
    def se(self) -> FloatArray:
        """Standard errors of the walking coordinates; of ln R it is the relative error of R."""
        return np.sqrt(np.diag(self.covariance))

    def impedance(self, frequency_Hz: FloatArray | None = None) -> ComplexArray:
        """Return the fitted impedance [ohm], the fixture included, at the data's or other frequencies."""
        f = self.sweep.frequency_Hz if frequency_Hz is None else frequency_Hz
        log_omega = np.log(2 * np.pi * f)[None]
        log_0 = np.log(2 * np.pi * self.sweep.frequency_Hz.min())
        Z, _ = self.circuit.derivatives(self.theta[None], log_omega, np.array([[log_0]]))
        return np.asarray(1.0 / (1.0 / Z[0] + self.sweep.fixture.admittance(2 * np.pi * f)))


def fit_circuit(
    sweeps: Sequence[Sweep],
    circuit: Circuit,
    *,
    representation: Representation = "admittance",
    starts: int = 8,
    seed: int = 0,
    guesses: Sequence[FloatArray] = (),
    tie: tuple[FloatArray, FloatArray] | None = None,
) -> list[CircuitFit]:
    """Fit one circuit to each of several spectra, all starts of all spectra side by side.

    Parameters
    ----------
    sweeps : sequence of Sweep, length K
    starts : int
        Walks per spectrum; the first come from the spectrum itself, the rest are scattered about them.
    guesses : sequence of ndarray, shape (P,)
        Walking coordinates tried for every spectrum too, such as a neighbouring temperature's result.
    tie : pair of ndarray, shape (P,) each, optional
        Mean and standard deviation that hold the coordinates (exponents, over a series of temperatures); infinite
        deviation leaves one free.

    Returns
    -------
    list of CircuitFit, length K
    """
    problem = _Problem(sweeps, circuit, representation, tie)
    rng = np.random.default_rng(seed)
    walks, which = [], []
    for number, sweep in enumerate(sweeps):
        own = guess_starts(sweep.frequency_Hz, _bare(sweep), sweep.deviations("impedance")[0], circuit, starts, rng)
        mine = np.concatenate([own, np.reshape(guesses, (-1, circuit.size))])
        walks.append(mine)
        which.append(np.full(len(mine), number))
    index = np.concatenate(which)
    lower, upper = problem.lower[index], problem.upper[index]
    scouted = descend(problem.residuals, np.concatenate(walks), index, lower, upper, steps=SCOUT_STEPS, tolerance=1e-4)
    rows = [np.flatnonzero(index == number) for number in range(len(sweeps))]
    best = np.array([mine[int(np.argmin(scouted.chi2[mine]))] for mine in rows])
    every = np.arange(len(sweeps))
    ended = descend(problem.residuals, scouted.theta[best], every, problem.lower, problem.upper, tolerance=1e-8)
    return [problem.finished(number, ended, scouted.chi2[mine]) for number, mine in enumerate(rows)]


def _bare(sweep: Sweep) -> ComplexArray:
    """Impedance without the fixture."""
    return np.asarray(1.0 / (1.0 / sweep.Z_ohm - sweep.fixture.admittance(2 * np.pi * sweep.frequency_Hz)))


class _Problem:
    """Data of all spectra side by side, padded to one length with weights of zero."""

    def __init__(
        self,
        sweeps: Sequence[Sweep],
        circuit: Circuit,
        representation: Representation,
        tie: tuple[FloatArray, FloatArray] | None,
    ) -> None:
        self.sweeps = sweeps
        self.circuit = circuit
        self.representation = representation
        count, longest = len(sweeps), max(one.frequency_Hz.size for one in sweeps)
        self.log_omega = np.zeros((count, longest))
        self.data = np.ones((count, longest), dtype=np.complex128)
        self.fixture = np.zeros((count, longest), dtype=np.complex128)
        self.turn = np.zeros((count, longest), dtype=np.complex128)
        self.weights = np.zeros((count, 2, longest))
        self.lower, self.upper = np.empty((count, circuit.size)), np.empty((count, circuit.size))
        for row, one in enumerate(sweeps):
            n = one.frequency_Hz.size
            log_omega = np.log(2 * np.pi * one.frequency_Hz)
            self.log_omega[row] = log_omega[0]
            self.log_omega[row, :n] = log_omega
            datum = one.Z_ohm if representation == "impedance" else 1.0 / one.Z_ohm
            self.data[row, :n] = datum
            self.fixture[row, :n] = one.fixture.admittance(np.exp(log_omega))
            self.turn[row, :n] = np.conj(datum) / np.abs(datum)
            self.weights[row, :, :n] = 1.0 / np.stack(one.deviations(representation))
            self.lower[row], self.upper[row] = circuit.bounds(log_omega.min(), log_omega.max())
        self.log_omega_0 = np.array([[np.log(2 * np.pi * one.frequency_Hz.min())] for one in sweeps])
        self.bare = not self.fixture.any()
        self.tie = None
        if tie is not None:
            held = np.flatnonzero(np.isfinite(tie[1]))
            self.tie = held, tie[0][held], 1.0 / tie[1][held]

    def residuals(self, theta: FloatArray, which: IntArray) -> tuple[FloatArray, FloatArray]:
        Z, dZ = self.circuit.derivatives(theta, self.log_omega[which], self.log_omega_0[which])
        if self.representation == "admittance" or not self.bare:
            Y = 1.0 / Z
            dZ *= (-Y * Y)[:, None]
            Z = Y if self.bare else Y + self.fixture[which]
            if self.representation == "impedance":
                Z = 1.0 / Z
                dZ *= (-Z * Z)[:, None]
        turn = self.turn[which]
        off = (Z - self.data[which]) * turn
        dZ *= turn[:, None]
        along, across = self.weights[which, 0], self.weights[which, 1]
        r = np.concatenate([off.real * along, off.imag * across], axis=1)
        J = np.concatenate([dZ.real * along[:, None], dZ.imag * across[:, None]], axis=2)
        if self.tie is not None:
            held, mean, stiff = self.tie
            pull = np.zeros((len(theta), self.circuit.size, held.size))
            pull[:, held, np.arange(held.size)] = stiff
            r = np.concatenate([r, (theta[:, held] - mean) * stiff], axis=1)
            J = np.concatenate([J, pull], axis=2)
        return r, J

    def finished(self, number: int, ended: Descent, scouted_chi2: FloatArray) -> CircuitFit:
        """Return the fit of one spectrum, arcs in order."""
        chi2 = float(ended.chi2[number])
        sweep = self.sweeps[number]
        n_data = 2 * sweep.frequency_Hz.size + (0 if self.tie is None else self.tie[0].size)
        order = _by_frequency(self.circuit, ended.theta[number])
        theta = ended.theta[number][order]
        covariance = _covariance(ended.information[number])[np.ix_(order, order)]
        dof = n_data - self.circuit.size
        inflated = dof > 0 and (
            sweep.errors.origin == "relative" or float(gammaincc(dof / 2, chi2 / 2)) < INFLATE_BELOW_P
        )
        if inflated:
            covariance = covariance * (chi2 / dof)
        lower, upper = self.lower[number][order], self.upper[number][order]
        near = np.minimum(theta - lower, upper - theta) < 1e-6
        return CircuitFit(
            circuit=self.circuit,
            representation=self.representation,
            sweep=sweep,
            theta=theta,
            covariance=covariance,
            chi2=chi2,
            n_data=n_data,
            inflated=inflated,
            at_bound=tuple(int(at) for at in np.flatnonzero(near)),
            starts=scouted_chi2.size,
            starts_at_best=int(np.count_nonzero(scouted_chi2 <= chi2 * (1 + SAME_MINIMUM) + 1e-9)),
        )


def _by_frequency(circuit: Circuit, theta: FloatArray) -> IntArray:
    """Order of coordinates that puts arcs by rising time constant: swapped labels are the same circuit."""
    order = np.arange(circuit.size)
    arcs = circuit.arcs
    ranked = sorted(arcs, key=lambda one: float(theta[one.at + 1]))
    for place, source in zip(arcs, ranked, strict=True):
        order[place.at : place.at + 3] = np.arange(source.at, source.at + 3)
    return order


def _covariance(information: FloatArray) -> FloatArray:
    """Inverse of J^T J, scaled first; a direction the data do not see keeps an enormous variance."""
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    weight, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    inverse = (vectors / np.maximum(weight, 1e-13)) @ vectors.T
    return np.asarray(inverse / np.outer(scale, scale))
