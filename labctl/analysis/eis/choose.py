"""Which circuit a spectrum supports, what of it is resolved, and limits where the sample's resistance is not.

Circuits compete by AICc, but one whose resistances carry more than 30 % standard error describes noise: a simpler one
of nearly the same AICc is taken, and where there is none the arcs are reported as not resolved. The number that
conductivity needs is their sum.

An electrode that blocks is always there, but in a cold sample it may hide under the noise. The circuit without it then
wins by a little, and its arcs take the electrode's share: R comes out a standard error too high, at every temperature
to the same side. Rarely, noise closes the electrode's line to one more arc, and R would be several times too high. So R
is averaged over the circuit chosen and its twins without electrode, with one, and with an arc in its place, weighted by
exp(-AICc/2), and the distance between them goes into its error (Buckland, Burnham and Augustin 1997)::

    R = sum w_m R_m,     se(R) = sum w_m sqrt(se_m^2 + (R_m - R)^2)

Where not even that is resolved the conductance is fitted as what it is in the admittance, a small number that may
come out negative, and a one-sided 95 % limit is reported instead of a value: a resistance fitted to noise is biased
low.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from labctl.analysis.eis.circuits import circuit
from labctl.analysis.eis.fitting import CircuitFit, Sweep, fit_circuit
from labctl.analysis.eis.kramers_kronig import Representation
from labctl.analysis.fit import INFLATE_BELOW_P, Parameter, Whitener, fit

FloatArray = NDArray[np.float64]

CIRCUITS = ("(RQ)", "RQ", "(RQ)Q", "R(RQ)", "R(RQ)Q", "(RQ)(RQ)", "(RQ)(RQ)Q")
"""For a pellet between blocking electrodes, in the order of their complexity."""
RESOLVED_BELOW = 0.30
"""Largest relative standard error of a resistance that counts as measured."""
SURELY_BELOW = RESOLVED_BELOW / (1 + RESOLVED_BELOW)
"""The same for the conductance, still true if it lies one standard error lower: noise that happens to raise a value
makes it look more precise too, and would pass only the values that came out high."""
ONE_SIDED_95 = 1.6449
PLATEAU = 0.7
"""Part of the smallest impedance measured that a resistance before a blocking electrode must reach."""
NEARLY_AS_GOOD = 10.0
"""AICc that a better circuit with unresolved arcs may lead by before it is believed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One circuit that was tried: its fit, and why its resistances are not all resolved (empty: they are)."""

    fit: CircuitFit
    unresolved: tuple[str, ...]

    @property
    def identified(self) -> bool:
        """Whether every resistance is resolved."""
        return not self.unresolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Conductance:
    """Direct-current conductance of the sample between its electrodes.

    Attributes
    ----------
    G_S, G_se_S : float
        Best estimate; it may be negative where `resolved` is False.
    resolved : bool
        Standard error below 30 %, also if the truth lies one standard error lower.
    upper_S, lower_S : float or None
        One-sided 95 % limits where it is not resolved; None: no limit on that side.
    origin : str
        ``resistances``: the sum of the circuit's. ``admittance``: a conductance parallel to a Q.
    weights : mapping of circuit to float
        The circuits it was averaged over; empty where it is of the admittance.
    """

    G_S: float
    G_se_S: float
    resolved: bool
    upper_S: float | None
    lower_S: float | None
    origin: str
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """The circuit taken for a spectrum, all that were tried (best AICc first), and the conductance."""

    best: Candidate
    candidates: tuple[Candidate, ...]
    conductance: Conductance
    warnings: tuple[str, ...]


def choose_circuit(
    sweep: Sweep,
    *,
    circuits: Sequence[str] = CIRCUITS,
    representation: Representation = "admittance",
    starts: int = 8,
    seed: int = 0,
) -> Choice:
    """Fit every circuit to one spectrum and take the best that the data support; see `choose_circuits`."""
    return choose_circuits([sweep], circuits=circuits, representation=representation, starts=starts, seed=seed)[0]


def choose_circuits(
    sweeps: Sequence[Sweep],
    *,
    circuits: Sequence[str] = CIRCUITS,
    representation: Representation = "admittance",
    starts: int = 8,
    seed: int = 0,
) -> list[Choice]:
    """Fit every circuit to every spectrum, all spectra side by side, and choose for each by itself.

    A circuit with as many parameters as a spectrum has numbers is left out for it.

    Raises
    ------
    ValueError
        A spectrum has too few points for any circuit.
    """
    candidates: list[list[Candidate]] = [[] for _ in sweeps]
    for text in circuits:
        one = circuit(text)
        fits = [at for at, sweep in enumerate(sweeps) if 2 * sweep.frequency_Hz.size > one.size + 2]
        if not one.resistances or not fits:
            continue
        found = fit_circuit([sweeps[at] for at in fits], one, representation=representation, starts=starts, seed=seed)
        for at, fitted in zip(fits, found, strict=True):
            candidates[at].append(candidate(fitted))
    for sweep, mine in zip(sweeps, candidates, strict=True):
        if not mine:
            raise ValueError(f"{sweep.frequency_Hz.size} points are too few for any circuit")
    return [chosen(mine) for mine in candidates]


def candidate(fitted: CircuitFit) -> Candidate:
    """Return a fit with what it leaves unresolved."""
    unresolved = []
    se = fitted.se
    for one in fitted.circuit.elements:
        if one.kind in {"R", "RQ"}:
            stuck = {one.at, one.at + 1} if one.kind == "RQ" else {one.at}
            if stuck & set(fitted.at_bound):
                unresolved.append(f"{one.name}: ran to a bound")
            elif se[one.at] > RESOLVED_BELOW:
                unresolved.append(f"{one.name}: R is known to {100 * min(se[one.at], 99.0):.0f} % only")
    smallest = float(np.abs(fitted.sweep.Z_ohm).min())
    total = float(np.exp(fitted.theta[list(fitted.circuit.resistances)]).sum())
    if any(one.kind == "Q" for one in fitted.circuit.elements) and total < PLATEAU * smallest:
        # Before a blocking electrode takes over, |Z| falls to the resistance; a smaller one was never seen.
        unresolved.append(f"the sum of resistances, {total:.3g} ohm, lies below every impedance measured")
    return Candidate(fit=fitted, unresolved=tuple(unresolved))


def chosen(candidates: Sequence[Candidate]) -> Choice:
    """Return the choice among finished fits of one spectrum."""
    ranked = sorted(candidates, key=lambda one: (one.fit.aicc, one.fit.circuit.size))
    best = ranked[0]
    warnings = []
    identified = next((one for one in ranked if one.identified), None)
    if identified is not None and (
        identified.fit.aicc - best.fit.aicc <= NEARLY_AS_GOOD or not _misfit(identified.fit)
    ):
        best = identified
    if not best.identified:
        warnings.append(f"circuit {best.fit.circuit.text}: {'; '.join(best.unresolved)}")
    if best.fit.sweep.errors.origin != "relative" and _misfit(best.fit):
        warnings.append(
            f"circuit {best.fit.circuit.text} misfits: chi2_red {best.fit.chi2_red:.2f} with the noise taken as "
            f"{best.fit.sweep.errors.origin}; errors are scaled by {np.sqrt(best.fit.chi2_red):.2f}"
        )
    value = conductance(best, twins_of(best, ranked))
    return Choice(best=best, candidates=tuple(ranked), conductance=value, warnings=tuple(warnings))


def _misfit(one: CircuitFit) -> bool:
    if one.dof <= 0 or one.sweep.errors.origin == "relative":
        return False
    return float(gammaincc(one.dof / 2, one.chi2 / 2)) < INFLATE_BELOW_P


def total_resistance(fitted: CircuitFit) -> tuple[float, float]:
    """Return the sum of a circuit's resistances [ohm] and its relative standard error, the leakage's included."""
    columns = list(fitted.circuit.resistances)
    R = np.exp(fitted.theta[columns])
    total = float(R.sum())
    share = R / total
    variance = float(share @ fitted.covariance[np.ix_(columns, columns)] @ share)
    return total, float(np.sqrt(variance + (fitted.sweep.fixture.leakage_se_S * total) ** 2))


def twins_of(best: Candidate, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the circuits that differ from one by the electrode alone and resolve the sum of resistances.

    The electrode may be missing in one of them, or be taken for one more arc, which noise may close by chance.
    """
    mine = _kinds(best)
    others = [mine + Counter({"Q": 1}), mine - Counter({"RQ": 1}) + Counter({"Q": 1})]
    if mine["Q"]:
        bare = mine - Counter({"Q": 1})
        others = [bare, bare + Counter({"RQ": 1})]
    return [
        one
        for one in candidates
        if _kinds(one) in others and not _stuck(one) and total_resistance(one.fit)[1] <= SURELY_BELOW
    ]


def _kinds(one: Candidate) -> Counter[str]:
    return Counter(element.kind for element in one.fit.circuit.elements)


def _stuck(one: Candidate) -> bool:
    return any("bound" in text or "below" in text for text in one.unresolved)


def conductance(best: Candidate, twins: Sequence[Candidate] = ()) -> Conductance:
    """Return the direct-current conductance that a chosen circuit and its twins stand for, or limits of it."""
    if total_resistance(best.fit)[1] <= SURELY_BELOW and not _stuck(best):
        averaged = _averaged([best, *twins])
        if averaged.G_se_S <= SURELY_BELOW * averaged.G_S:
            return averaged
    sweep = best.fit.sweep
    G, se, _ = parallel_conductance(sweep)
    se = float(np.hypot(se, sweep.fixture.leakage_se_S))
    lower = G - ONE_SIDED_95 * se
    resolved = G > 0 and se <= SURELY_BELOW * G
    return Conductance(
        G_S=G,
        G_se_S=se,
        resolved=resolved,
        upper_S=None if resolved else max(0.0, G) + ONE_SIDED_95 * se,
        lower_S=None if resolved or lower <= 0 else lower,
        origin="admittance",
    )


def _averaged(circuits: Sequence[Candidate]) -> Conductance:
    R, relative = np.array([total_resistance(one.fit) for one in circuits]).T
    aicc = np.array([one.fit.aicc for one in circuits])
    weight = np.exp(-0.5 * (aicc - aicc.min())) if np.isfinite(aicc).all() else np.eye(len(circuits))[0]
    weight /= weight.sum()
    mean = float(weight @ R)
    se = float(weight @ np.hypot(R * relative, R - mean))
    return Conductance(
        G_S=1 / mean,
        G_se_S=se / mean**2,
        resolved=True,
        upper_S=None,
        lower_S=None,
        origin="resistances",
        weights={one.fit.circuit.text: float(w) for one, w in zip(circuits, weight, strict=True)},
    )


def parallel_conductance(sweep: Sweep) -> tuple[float, float, float]:
    """Return G [S], its standard error and chi2_red of Y = G + Q (j omega)^n, G free to be negative.

    Linear in G, so current noise moves the estimate to either side alike, however small G is.
    """
    omega = 2 * np.pi * sweep.frequency_Hz
    middle = float(np.exp(np.mean(np.log(omega))))
    Y = 1.0 / sweep.Z_ohm - sweep.fixture.admittance(omega)
    turn = np.abs(Y) / Y
    along, across = sweep.deviations("admittance")
    log_s = np.log(omega / middle) + 0.5j * np.pi
    unit = float(np.abs(Y[np.argmin(np.abs(np.log(omega / middle)))]))
    units = np.array([unit, unit, 1.0])

    def predict(value: FloatArray) -> tuple[FloatArray, FloatArray]:
        G, strength, n = value * units  # a typical admittance, so that steps of the search are of ordinary size
        term = np.exp(n * log_s)
        rows = np.array([np.ones_like(term), term, strength * log_s * term]) * turn
        curve = (G + strength * term) * turn
        return np.concatenate([curve.real, curve.imag]), np.concatenate([rows.real, rows.imag], axis=1).T * units

    data = np.concatenate([(Y * turn).real, (Y * turn).imag])
    whitener = Whitener.of(np.diag(np.concatenate([along, across]) ** 2))
    lowest = float(np.median(Y.real[np.argsort(omega)][:5]))
    found = fit(
        predict,
        data,
        whitener,
        [
            Parameter(name="G", guess=lowest / unit, scale="linear"),
            Parameter(name="Q", guess=1.0),
            Parameter(name="n", guess=0.95, scale="linear", lower=0.2, upper=1.0),
        ],
        inflate=sweep.errors.origin != "relative",
    )
    scale = np.sqrt(found.chi2_red) if sweep.errors.origin == "relative" else 1.0
    return float(found.value[0] * unit), float(found.se[0] * unit * scale), found.chi2_red
