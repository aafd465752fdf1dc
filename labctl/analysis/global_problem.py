"""A global model with its data: fits with some parameters held, and profiles of chi2 over one of them.

Whatever the data bound from one side only (the fastest phase of a chain) is held at its limit, and its bound read from
the profile; intervals of activation energies are profiles too, because near such a limit errors are not symmetric.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.fit import Fit, fit
from labctl.analysis.global_model import GlobalModel

FloatArray = NDArray[np.float64]

ONE_SIDED_95, TWO_SIDED_95 = 2.705543, 3.841459
"""Rise of chi2 at the end of an interval of 95 %, for one end and for two."""
FLAT = 0.03
"""A change of chi2 that nothing can be read from."""
ROUGH = 1e-5
"""Tolerance of fits along a profile: chi2 to a hundredth."""
WALK = 10.0 ** (2.0 / 3.0)
"""Factor between two trial values of a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A fit of a global model, held parameters included.

    Attributes
    ----------
    value : ndarray, shape (P,)
        Of all the model's parameters.
    covariance : ndarray, shape (P, P)
        Zero where a parameter was held.
    held : mapping of parameter to value
    """

    fit: Fit
    value: FloatArray
    covariance: FloatArray
    held: Mapping[str, float]

    @property
    def chi2(self) -> float:
        """Chi2 at the solution."""
        return self.fit.chi2

    @property
    def scale(self) -> float:
        """What a rise of chi2 is measured in: 1, or chi2_red where the model does not explain the data."""
        return self.fit.chi2_red if self.fit.inflated else 1.0


class Problem:
    """One model of one campaign."""

    def __init__(self, model: GlobalModel) -> None:
        self.model = model
        self.data, self.whitener = model.measured()
        self.index = {one.name: place for place, one in enumerate(model.parameters)}

    def solve(
        self,
        held: Mapping[str, float],
        start: FloatArray | None = None,
        *,
        tolerance: float = 1e-8,
        bootstrap: int = 0,
        seed: int = 0,
    ) -> Solution:
        """Fit all but the parameters held, from `start`, shape (P,), or from the model's guesses."""
        parameters = self.model.parameters
        values = np.array([one.guess for one in parameters]) if start is None else start.copy()
        for name, value in held.items():
            values[self.index[name]] = value
        free = np.array([index for index, one in enumerate(parameters) if one.name not in held])

        def predict(some: FloatArray) -> tuple[FloatArray, FloatArray]:
            full = values.copy()
            full[free] = some
            prediction, gradient = self.model.predict(full)
            return prediction, gradient[:, free]

        found = fit(
            predict,
            self.data,
            self.whitener,
            [replace(parameters[index], guess=float(values[index])) for index in free],
            tolerance=tolerance,
            bootstrap=bootstrap,
            seed=seed,
        )
        values[free] = found.value
        covariance = np.zeros((len(parameters), len(parameters)))
        covariance[np.ix_(free, free)] = found.covariance
        return Solution(fit=found, value=values, covariance=covariance, held=dict(held))

    def within(self, value: FloatArray) -> FloatArray:
        """Return parameters, shape (P,), moved inside their bounds; logarithmic ones stay positive."""
        lower, upper = np.array([one.bounds() for one in self.model.parameters]).T
        logs = np.array([one.scale == "log" for one in self.model.parameters])
        walking = np.where(logs, np.log(np.maximum(value, 1e-290)), value)
        walking = np.clip(walking, lower, upper)
        return np.where(logs, np.exp(np.where(logs, walking, 0.0)), walking)

    def chi2(self, value: FloatArray, name: str, trial: float) -> float:
        """Return chi2 with one parameter at another value and all others as they are."""
        full = value.copy()
        full[self.index[name]] = trial
        residual = self.whitener.matrix @ (self.model.predict(full)[0] - self.data)
        return float(residual @ residual)

    def at(self, solution: Solution, name: str) -> float:
        """Return one parameter of a solution."""
        return float(solution.value[self.index[name]])

    def error(self, solution: Solution, name: str) -> float:
        """Return the standard error of one parameter of a solution."""
        place = self.index[name]
        return float(np.sqrt(solution.covariance[place, place]))

    def interval(self, best: Solution, name: str) -> tuple[float | None, float | None]:
        """Return the ends of the profile-likelihood interval (95 %) of a linear parameter; None: open on that side."""
        lower, upper = self.model.parameters[self.index[name]].bounds()
        return self._end(best, name, -1.0, lower), self._end(best, name, 1.0, upper)

    def _end(self, best: Solution, name: str, sign: float, limit: float) -> float | None:
        """Walk by secants of the root of the rise of chi2, which is nearly straight, inside a bracket."""
        want = float(np.sqrt(TWO_SIDED_95 * best.scale))
        at, place = self.at(best, name), self.index[name]
        slope = best.covariance[:, place] / best.covariance[place, place]
        inside: tuple[float, float] = (0.0, 0.0)
        outside: tuple[float, float] | None = None
        reach, most = 1.96 * self.error(best, name), abs(limit - at)
        for _ in range(8):
            reach = min(reach, most)
            start = best.value + sign * reach * slope
            found = self.solve({**best.held, name: at + sign * reach}, self.within(start), tolerance=ROUGH)
            root = float(np.sqrt(max(0.0, found.chi2 - best.chi2)))
            if abs(root / want - 1) < 0.02:
                return at + sign * reach
            if root < want:
                inside = (reach, root)
                if reach >= most:
                    return None
            else:
                outside = (reach, root)
            if outside is None:
                reach *= float(np.clip(want / max(root, 1e-9), 1.1, 4.0))
            else:
                part = (want - inside[1]) / (outside[1] - inside[1])
                reach = inside[0] + float(np.clip(part, 0.1, 0.9)) * (outside[0] - inside[0])
        return at + sign * reach

    def walk(self, best: Solution, name: str, *, down: bool) -> tuple[Solution, float | None]:
        """Move one positive parameter that `best` holds, away from where it is held, until the data object.

        Returns
        -------
        lowest : Solution
            The best fit met on the way, `best` itself included.
        bound : float or None
            Where chi2 has risen by 2.71 above the lowest (one-sided 95 %); None if it never does, or if the lowest is
            itself better than `best` by more than that.
        """
        lower, upper = np.exp(self.model.parameters[self.index[name]].bounds())
        lowest, last, trial = best, best, best.held[name]
        flat = True
        while True:
            trial = trial / WALK if down else trial * WALK
            if not lower <= trial <= upper:
                return lowest, None
            # where nothing changes even with all else as it is, there is nothing to fit again
            flat = flat and abs(self.chi2(best.value, name, trial) - best.chi2) < FLAT * best.scale
            if flat:
                last = replace(best, held={**best.held, name: trial})
                continue
            found = self.solve({**best.held, name: trial}, last.value, tolerance=ROUGH)
            if found.chi2 < lowest.chi2:
                lowest = found
            if found.chi2 > lowest.chi2 + ONE_SIDED_95 * lowest.scale:
                break
            last = found
        if best.chi2 > lowest.chi2 + ONE_SIDED_95 * lowest.scale:
            return lowest, None
        return lowest, self._between(lowest, name, last, found)

    def _between(self, lowest: Solution, name: str, inside: Solution, outside: Solution) -> float:
        """Where chi2 crosses the bound, between a solution inside it and one outside (both hold `name`)."""
        level = lowest.chi2 + ONE_SIDED_95 * lowest.scale
        for _ in range(3):
            a, b = np.log(inside.held[name]), np.log(outside.held[name])
            part = (level - inside.chi2) / (outside.chi2 - inside.chi2)
            middle = float(np.exp(a + np.clip(part, 0.15, 0.85) * (b - a)))
            found = self.solve({**inside.held, name: middle}, inside.value, tolerance=ROUGH)
            inside, outside = (inside, found) if found.chi2 > level else (found, outside)
        # the bound is the value still allowed
        return inside.held[name]
