"""All data of a campaign and what one model predicts for them: the global fit's parameters, prediction, derivatives.

Kinetic rates follow ``k(T) = k(T_ref) exp(-Ea (1/kT - 1/kT_ref))`` or are free at each temperature. Populations (the
plateau) and the part in contact are one for all temperatures; R1, recovery amplitudes and saturation belong to each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.arrhenius import KB_EV_PER_K
from labctl.analysis.buildup import Buildup
from labctl.analysis.fit import Parameter, Whitener
from labctl.analysis.global_kernels import Kernels, Rate
from labctl.analysis.observation import Observation, Relaxation

FloatArray = NDArray[np.float64]

CONTACT_FRACTION = "contact fraction"
LOWEST_EA_EV, HIGHEST_EA_EV = -0.5, 2.0
SLOWEST, FASTEST = 1e-5, 1e2
"""Bounds of a rate, in units of one over the longest and over the shortest mixing time; beyond, nothing changes."""


class GlobalModel:
    """One model of a campaign.

    Parameters
    ----------
    data : sequence of Buildup
        One for each temperature, all of the same sites.
    kernels_of : callable
        Times of each temperature to `Kernels`.
    relaxation : sequence of str
        As in `Observation`, one for each temperature.
    populations : ndarray, shape (K,)
        First guess.
    guess : ndarray, shape (n,) or (n, T)
        First guess of the kinetic rates at `T_ref_K`, or at each temperature.
    Ea_eV : ndarray, shape (n,), optional
        First guess of the activation energies; None leaves rates free at each temperature.
    nuisance : sequence of mapping
        First guesses of other parameters of each temperature, by `Observation`'s names.
    """

    def __init__(
        self,
        data: Sequence[Buildup],
        kernels_of: Callable[[Sequence[FloatArray]], Kernels],
        relaxation: Sequence[Relaxation],
        *,
        populations: FloatArray,
        guess: FloatArray,
        Ea_eV: FloatArray | None,
        T_ref_K: float,
        nuisance: Sequence[Mapping[str, float]],
    ) -> None:
        self.data = tuple(data)
        self.T_K = np.array([one.T_K for one in data], dtype=np.float64)
        self.T_ref_K = T_ref_K
        self._x = 1 / (KB_EV_PER_K * self.T_K) - 1 / (KB_EV_PER_K * T_ref_K)
        # kinetic parameters of an Observation: the rates, then the contact fraction; their guesses play no part
        bare = [_observation(one, (), populations, mode) for one, mode in zip(data, relaxation, strict=True)]
        self._kernels_of = kernels_of
        self.kernels = kernels_of([one.times_s for one in bare])
        self.rates: tuple[Rate, ...] = self.kernels.rates
        names = [*(rate.name for rate in self.rates), CONTACT_FRACTION]
        local = tuple(Parameter(name=name, guess=1.0) for name in names)
        self._observations = [
            _observation(one, local, populations, mode) for one, mode in zip(data, relaxation, strict=True)
        ]
        self.activated = Ea_eV is not None
        self.parameters: list[Parameter] = []
        self._lay_out(guess, Ea_eV, nuisance)

    def _lay_out(self, guess: FloatArray, Ea_eV: FloatArray | None, nuisance: Sequence[Mapping[str, float]]) -> None:
        tmix = np.concatenate([one.tmix_s[one.tmix_s > 0] for one in self.data])
        low, high = SLOWEST / float(tmix.max()), FASTEST / float(tmix.min())
        rates, count = self.rates, len(self.data[0].sites)
        if Ea_eV is not None:
            for rate, value in zip(rates, guess, strict=True):
                self.parameters.append(Parameter(name=rate.name, guess=float(value), lower=low, upper=high))
            for rate, value in zip(rates, Ea_eV, strict=True):
                self.parameters.append(
                    Parameter(
                        name=f"Ea {rate.name}",
                        guess=float(value),
                        scale="linear",
                        lower=LOWEST_EA_EV,
                        upper=HIGHEST_EA_EV,
                    )
                )
        else:
            for rate, values in zip(rates, guess, strict=True):
                for T, value in zip(self.T_K, values, strict=True):
                    self.parameters.append(
                        Parameter(name=f"{rate.name} at {T:.3f}", guess=float(value), lower=low, upper=high)
                    )
        self._phi = len(self.parameters)
        self.parameters.append(Parameter(name=CONTACT_FRACTION, guess=0.95, scale="linear", lower=0.02, upper=1.0))
        first = self._observations[0].parameters[len(rates) + 1 :]
        self._ratio = slice(len(self.parameters), len(self.parameters) + count - 1)
        self.parameters += first[: count - 1]
        self._own: list[slice] = []
        for T, observation, known in zip(self.T_K, self._observations, nuisance, strict=True):
            start = len(self.parameters)
            for one in observation.parameters[len(rates) + count :]:
                self.parameters.append(
                    replace(one, name=f"{one.name} at {T:.3f}", guess=float(known.get(one.name, one.guess)))
                )
            self._own.append(slice(start, len(self.parameters)))

    # ------------------------------------------------------------------------------------------ data

    def measured(self) -> tuple[FloatArray, Whitener]:
        """Return all data as one vector and the whitener of their noise."""
        parts = [one.measured() for one in self._observations]
        return np.concatenate([values for values, _ in parts]), Whitener.stacked([white for _, white in parts])

    # ----------------------------------------------------------------------------------------- model

    def kinetic(self, value: FloatArray) -> FloatArray:
        """Return the rates at every temperature, shape (T, n)."""
        n, T = len(self.rates), self.T_K.size
        if self.activated:
            return np.asarray(value[:n] * np.exp(-np.multiply.outer(self._x, value[n : 2 * n])))
        return value[: n * T].reshape(n, T).T

    def populations(self, value: FloatArray) -> FloatArray:
        """Return the populations, shape (K,)."""
        weights = np.append(value[self._ratio], 1.0)
        return np.asarray(weights / weights.sum())

    def populations_with_slopes(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the populations, shape (K,), and their derivatives by all parameters, shape (K, P)."""
        p = self.populations(value)
        slopes = np.zeros((p.size, value.size))
        weights = np.append(value[self._ratio], 1.0)
        slopes[:, self._ratio] = (np.eye(p.size)[:, :-1] - p[:, None]) / weights.sum()
        return p, slopes

    def predict(self, value: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the prediction of `measured`, shape (N,), and its derivatives, shape (N, P)."""
        n, count = len(self.rates), len(self.data[0].sites)
        kinetic, phi = self.kinetic(value), float(value[self._phi])
        local = [
            np.concatenate([k, [phi], value[self._ratio], value[own]])
            for k, own in zip(kinetic, self._own, strict=True)
        ]
        states = [one.state(v) for one, v in zip(self._observations, local, strict=True)]
        p, dp = self._observations[0].populations(local[0])
        answers = self.kernels(list(kinetic), phi, p, dp, [state.R1_per_s for state in states])
        predictions = []
        sizes = np.cumsum([0, *(one.size for one in self._observations)])
        gradient = np.zeros((int(sizes[-1]), value.size))
        for index, (observation, v, answer) in enumerate(zip(self._observations, local, answers, strict=True)):
            prediction, slopes = observation.assemble(v, *answer)
            predictions.append(prediction)
            rows = slice(sizes[index], sizes[index + 1])
            if self.activated:
                by_ln = slopes[:, :n] * kinetic[index]
                gradient[rows, :n] = by_ln / value[:n]
                gradient[rows, n : 2 * n] = -by_ln * self._x[index]
            else:
                gradient[rows, np.arange(n) * self.T_K.size + index] = slopes[:, :n]
            gradient[rows, self._phi] = slopes[:, n]
            gradient[rows, self._ratio] = slopes[:, n + 1 : n + count]
            gradient[rows, self._own[index]] = slopes[:, n + count :]
        return np.concatenate(predictions), gradient

    def curve(self, value: FloatArray, T_K: float, times_s: FloatArray) -> FloatArray:
        """Return normalised matrices at one of the temperatures, shape (T, K, K), of a fully recovered sample."""
        index = int(np.argmin(np.abs(self.T_K - T_K)))
        kinetic, phi = self.kinetic(value)[index], float(value[self._phi])
        observation = self._observations[index]
        local = np.concatenate([kinetic, [phi], value[self._ratio], value[self._own[index]]])
        p, dp = observation.populations(local)
        G = self._kernels_of([times_s])([kinetic], phi, p, dp, [observation.state(local).R1_per_s])[0][0]
        return np.asarray(G / G.sum(axis=(1, 2), keepdims=True))


def _observation(
    data: Buildup, kinetic: tuple[Parameter, ...], populations: FloatArray, relaxation: Relaxation
) -> Observation:
    def unused(*_: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        raise NotImplementedError("kernels of a campaign are solved for all temperatures at once")

    return Observation(data, unused, kinetic, populations, relaxation)
