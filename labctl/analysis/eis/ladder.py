"""Spectra of one sample over temperature: each by itself, and on request with one circuit and tied exponents.

Exponents of an arc hardly change with temperature, while a small arc lets its own wander and drags R along. With
continuity one circuit is taken for all temperatures (by the sum of AICc), every spectrum is tried from its neighbours'
results too, and exponents are held to their common mean as tightly as they agree. The independent results are
kept beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.eis.choose import CIRCUITS, Choice, candidate, chosen
from labctl.analysis.eis.circuits import circuit
from labctl.analysis.eis.fitting import CircuitFit, fit_circuit
from labctl.analysis.eis.kramers_kronig import Representation
from labctl.analysis.eis.spectrum import SpectrumAnalysis

FloatArray = NDArray[np.float64]

LEAST_SPREAD = 0.01
"""Exponents of one arc are never believed to agree better than this over temperature."""


def with_continuity(
    analyses: Sequence[SpectrumAnalysis],
    *,
    circuits: Sequence[str] = CIRCUITS,
    representation: Representation = "admittance",
    starts: int = 8,
) -> list[SpectrumAnalysis]:
    """Return the same spectra with one circuit for all and exponents tied to their common mean.

    Parameters
    ----------
    analyses : sequence of SpectrumAnalysis
        In the order of temperature, each analysed by itself.
    """
    if len(analyses) < 2:
        return list(analyses)
    sweeps = [one.sweep for one in analyses]
    tried: dict[str, list[CircuitFit]] = {}
    for text in circuits:
        one = circuit(text)
        if one.resistances and 2 * min(sweep.frequency_Hz.size for sweep in sweeps) > one.size + 2:
            tried[text] = fit_circuit(sweeps, one, representation=representation, starts=starts)

    def rank(text: str) -> tuple[int, float]:
        # A spectrum that resolves nothing under a circuit must not vote it out for those that do.
        unresolved = sum(not candidate(fit).identified for fit in tried[text])
        return unresolved, sum(fit.aicc for fit in tried[text])

    best = min(tried, key=rank)
    free = tried[best]
    mean, spread = _common_exponents(free)
    tied = fit_circuit(
        sweeps,
        circuit(best),
        representation=representation,
        starts=starts,
        guesses=[fit.theta for fit in free],
        tie=(mean, spread),
    )
    return [_joined(one, fit) for one, fit in zip(analyses, tied, strict=True)]


def _common_exponents(fits: Sequence[CircuitFit]) -> tuple[FloatArray, FloatArray]:
    """Weighted mean of each exponent over temperature, and how far apart they truly stand."""
    size = fits[0].circuit.size
    mean, spread = np.zeros(size), np.full(size, np.inf)
    for at in fits[0].circuit.exponents:
        n = np.array([fit.theta[at] for fit in fits])
        se = np.array([max(fit.se[at], 1e-4) for fit in fits])
        weight = 1 / (se**2 + LEAST_SPREAD**2)
        mean[at] = float(weight @ n / weight.sum())
        scatter = float(weight @ (n - mean[at]) ** 2 / weight.sum())
        spread[at] = max(LEAST_SPREAD, float(np.sqrt(scatter)))
    return mean, spread


def _joined(one: SpectrumAnalysis, fit: CircuitFit) -> SpectrumAnalysis:
    choice: Choice = chosen([candidate(fit)])
    kept = tuple(text for text in one.warnings if text not in one.choice.warnings)
    return replace(one, choice=choice, warnings=(*kept, *choice.warnings))
