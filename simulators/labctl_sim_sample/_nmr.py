"""What the coil sees of a sample: noise-free FIDs of one scan, in units of the whole equilibrium magnetisation.

A line above the carrier (higher ppm) is exp(+i 2 pi nu t2). In the 2D the label of a site is
exp(i 2 pi nu t1) times its decay and its sidebands; the cosine row carries the real part, the sine row the
imaginary part, both with the phase-cycled part of the signal alone. Exchange is slow on the scale of the
line splittings, so lines do not broaden or merge by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from labctl_sim_sample import _sequences as sequences
from labctl_sim_sample._discrete import DiscreteExchange
from labctl_sim_sample._layered import LayeredExchange
from labctl_sim_sample._layered import populations as layered_populations
from labctl_sim_sample._lines import ComplexArray, Line, correlated_rows
from labctl_sim_sample._model import CURIE_K, Discrete, Layered, NmrTruth, Pairwise
from labctl_sim_sample._modes import FloatArray, Polarisation, Transfer
from labctl_sim_sample._pairwise import PairwiseExchange

RealArray = npt.NDArray[np.floating[Any]]

_RF_NODES = 9
"""Gauss-Hermite nodes over the RF spread; exact to 1e-9 for any pulse of a nutation."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Receiver:
    """How the console listens.

    Attributes
    ----------
    larmor_MHz : float
        Frequency of the nucleus at 0 ppm; a shift of 1 ppm is `larmor_MHz` hertz.
    carrier_ppm : float
        Shift at the carrier.
    t2_s : (N,) array
        Acquisition times from t = 0 [s], before any group delay.
    spinning_Hz : float
        MAS rate.
    field_drift_Hz_per_h : float or None
        Initial drift of the field; ``None``: what the sample file says.
    """

    larmor_MHz: float
    carrier_ppm: float
    t2_s: RealArray
    spinning_Hz: float
    field_drift_Hz_per_h: float | None = None


class Exchange(Protocol):
    """What every exchange model answers, per phase; `_modes` says in which units."""

    def magnetisation(self, T_K: float, polarisation: Polarisation) -> FloatArray:
        """Magnetisation of each phase, shape (K,)."""
        ...

    def transfer(self, T_K: float, polarisation: Polarisation, mixing_s: float) -> Transfer:
        """What mixing does with the polarised magnetisation."""
        ...


class NmrSample:
    """A rotor full of something, as the spectrometer meets it.

    Every method takes the temperature of the *sample* and returns the noise-free signal of one scan in the
    steady state of its sequence. A recycle delay is all the time from the read pulse to the next first
    pulse, acquisition included.

    Parameters
    ----------
    truth : NmrTruth
        As read from the sample file.
    """

    def __init__(self, truth: NmrTruth) -> None:
        self._truth = truth
        self._exchange, self._populations = self._model(truth)
        self._phase = np.array([truth.phases.index(site.phase) for site in truth.sites])
        self._fraction = np.array([site.fraction for site in truth.sites])

    @property
    def nucleus(self) -> str:
        """The nucleus, as ``6Li``."""
        return self._truth.nucleus

    @property
    def site_names(self) -> tuple[str, ...]:
        """Names of the sites, in the order of every matrix."""
        return tuple(site.name for site in self._truth.sites)

    @property
    def populations(self) -> FloatArray:
        """Li fraction of each site, shape (K,)."""
        populations: FloatArray = self._fraction * self._populations[self._phase]
        return populations

    @property
    def noise_per_scan(self) -> float:
        """Standard deviation per real channel of one scan, in units of the whole magnetisation at 293.15 K."""
        return self._truth.noise_per_scan

    def p90_s(self, T_K: float) -> float:
        """True 90 degree pulse at the reference power."""
        probe = self._truth.probe
        return probe.p90_s * (1.0 + probe.p90_slope_per_K * (T_K - self._truth.reference_K))

    def shifts_ppm(self, T_K: float) -> FloatArray:
        """Chemical shift of each site, shape (K,)."""
        return np.array([site.shift_at_ppm(T_K) for site in self._truth.sites])

    def widths_Hz(self, T_K: float) -> FloatArray:
        """Full width at half height of each site, shape (K,)."""
        return np.array([site.width_Hz.inverse_at(T_K) for site in self._truth.sites])

    def T1_s(self, T_K: float) -> FloatArray:
        """Spin-lattice relaxation time of each site without exchange, shape (K,)."""
        return np.array([self._truth.T1_s[site.phase].inverse_at(T_K) for site in self._truth.sites])

    # ------------------------------------------------------------------------------------- sequences

    def one_pulse(self, *, T_K: float, receiver: Receiver, pulse_s: float, recycle_s: float) -> ComplexArray:
        """FID after a pulse repeated every `recycle_s`, shape (N,)."""
        flip = self._flip_rad(T_K, pulse_s)
        amplitudes = self._magnetisation(T_K, sequences.repeated_pulse(flip, recycle_s)) * math.sin(flip)
        fid: ComplexArray = self._curie(T_K) * amplitudes @ self._precession(T_K, receiver)
        return fid

    def nutation(self, *, T_K: float, receiver: Receiver, pulses_s: RealArray, recovery_s: float) -> ComplexArray:
        """FIDs after comb, `recovery_s` and each of the pulses, shape (n, N); RF spread damps the nutation."""
        recovered = self._magnetisation(T_K, self._after_comb(recovery_s))
        flips = self._flip_rad(T_K, 1.0) * np.asarray(pulses_s, float)
        nodes, weights = np.polynomial.hermite_e.hermegauss(_RF_NODES)
        turned = np.sin(flips[:, None] * (1.0 + self._truth.probe.rf_spread * nodes)) @ (weights / weights.sum())
        fids: ComplexArray = turned[:, None] * (self._curie(T_K) * recovered @ self._precession(T_K, receiver))
        return fids

    def saturation_recovery(
        self, *, T_K: float, receiver: Receiver, pulse_s: float, delays_s: RealArray
    ) -> ComplexArray:
        """FIDs after comb, each of the delays and the read pulse, shape (n, N)."""
        recovered = [self._magnetisation(T_K, self._after_comb(delay_s)) for delay_s in np.asarray(delays_s, float)]
        turned = math.sin(self._flip_rad(T_K, pulse_s))
        fids: ComplexArray = self._curie(T_K) * turned * np.array(recovered) @ self._precession(T_K, receiver)
        return fids

    def exsy(
        self,
        *,
        T_K: float,
        receiver: Receiver,
        pulse_s: float,
        recycle_s: float,
        mixing_s: float,
        t1_s: RealArray,
        elapsed_s: RealArray | None = None,
    ) -> tuple[ComplexArray, ComplexArray]:
        """Cosine and sine modulated rows of a 2D-EXSY, each of shape (n, N).

        Parameters
        ----------
        t1_s : (n,) array
            Effective evolution times.
        elapsed_s : (n,) array, optional
            When the rows of each t1 begin, counted from the start of the acquisition; the field and the gain
            drift with it. Left out: no drift.
        """
        evolution_s, t2_s = np.asarray(t1_s, np.float64), np.asarray(receiver.t2_s, np.float64)
        flip = self._flip_rad(T_K, pulse_s)
        transfer = self._site_transfer(T_K, sequences.repeated_exsy(flip, recycle_s, mixing_s), mixing_s)
        scale = self._curie(T_K) * math.sin(flip) ** 3
        drift_Hz, gain = self._drift(receiver, elapsed_s, evolution_s.size)

        lines = self._lines(T_K)
        frequencies_Hz = self._frequencies_Hz(T_K, receiver)
        label = _rotating(frequencies_Hz, evolution_s) * (
            np.exp(2j * np.pi * drift_Hz * evolution_s) * self._spinning(receiver, evolution_s)
        )
        detect = _rotating(frequencies_Hz, t2_s) * self._spinning(receiver, t2_s)

        lasting = np.where([line.inhomogeneous > 0.0 for line in lines], transfer.stayed, 0.0)
        encoded = (label * self._decays(lines, evolution_s)).T
        detected = scale * (transfer.amplitudes - np.diag(lasting)) @ (detect * self._decays(lines, t2_s))
        cosine, sine = encoded.real @ detected, encoded.imag @ detected
        for index in np.flatnonzero(lasting):
            kept = correlated_rows(
                lines[index], label[index], scale * lasting[index] * detect[index], evolution_s, t2_s
            )
            cosine += kept[0]
            sine += kept[1]
        if elapsed_s is not None:
            by_row = gain[:, None] * _rotating(drift_Hz, t2_s)
            cosine *= by_row
            sine *= by_row
        return cosine, sine

    # ----------------------------------------------------------------------------------------- truth

    def mixing_matrix(self, T_K: float, mixing_s: float) -> FloatArray:
        """Mixing matrix of fully recovered magnetisation, shape (K, K): labelled in row i, found in column j."""
        return self._site_transfer(T_K, sequences.equilibrium, mixing_s).amplitudes

    def recycled_mixing_matrix(self, T_K: float, mixing_s: float, *, pulse_s: float, recycle_s: float) -> FloatArray:
        """Mixing matrix as a 2D with this pulse and recycle delay shows it, without the common flip factor."""
        flip = self._flip_rad(T_K, pulse_s)
        return self._site_transfer(T_K, sequences.repeated_exsy(flip, recycle_s, mixing_s), mixing_s).amplitudes

    # ---------------------------------------------------------------------------------------- within

    @staticmethod
    def _model(truth: NmrTruth) -> tuple[Exchange, FloatArray]:
        def relaxation_per_s(T_K: float) -> FloatArray:
            return np.array([1.0 / truth.T1_s[phase].inverse_at(T_K) for phase in truth.phases])

        model: Exchange
        match truth.exchange:
            case Layered() as layered:
                model, populations = LayeredExchange(layered, relaxation_per_s), layered_populations(layered)
            case Discrete() as discrete:
                model, populations = DiscreteExchange(discrete, relaxation_per_s), discrete.populations
            case Pairwise() as pairwise:
                model, populations = PairwiseExchange(pairwise, relaxation_per_s), pairwise.populations
        return model, np.array([populations[phase] for phase in truth.phases])

    def _magnetisation(self, T_K: float, polarisation: Polarisation) -> FloatArray:
        by_site: FloatArray = self._fraction * self._exchange.magnetisation(T_K, polarisation)[self._phase]
        return by_site

    def _site_transfer(self, T_K: float, polarisation: Polarisation, mixing_s: float) -> Transfer:
        """Spread the phases' transfer over their sites.

        A spin that comes from another phase lands on the sites in proportion. Within its phase it carries its
        site along and forgets it at the rate `within_phase_per_s`, never by default.
        """
        by_phase = self._exchange.transfer(T_K, polarisation, mixing_s)
        remembered = np.array(
            [
                math.exp(-mixing_s * self._truth.within_phase_per_s[phase].at(T_K))
                if phase in self._truth.within_phase_per_s
                else 1.0
                for phase in self._truth.phases
            ]
        )[self._phase]
        mixed = np.outer(self._fraction, self._fraction)
        amplitudes = mixed * by_phase.amplitudes[np.ix_(self._phase, self._phase)]
        unmixed = (np.diag(self._fraction) - mixed) * (self._phase[:, None] == self._phase)
        amplitudes += unmixed * (remembered * np.diag(by_phase.amplitudes)[self._phase])
        return Transfer(amplitudes=amplitudes, stayed=self._fraction * remembered * by_phase.stayed[self._phase])

    def _after_comb(self, recovery_s: float) -> Polarisation:
        return sequences.after_comb(recovery_s, self._truth.probe.comb_leaves)

    def _flip_rad(self, T_K: float, pulse_s: float) -> float:
        return 0.5 * math.pi * pulse_s / self.p90_s(T_K)

    @staticmethod
    def _curie(T_K: float) -> float:
        return CURIE_K / T_K

    def _lines(self, T_K: float) -> list[Line]:
        return [
            Line(width_Hz=site.width_Hz.inverse_at(T_K), inhomogeneous=site.inhomogeneous, shape=site.shape)
            for site in self._truth.sites
        ]

    @staticmethod
    def _decays(lines: list[Line], t_s: FloatArray) -> FloatArray:
        return np.array([line.decay(t_s) for line in lines])

    def _frequencies_Hz(self, T_K: float, receiver: Receiver) -> FloatArray:
        return (self.shifts_ppm(T_K) - receiver.carrier_ppm) * receiver.larmor_MHz

    def _precession(self, T_K: float, receiver: Receiver) -> ComplexArray:
        """Return the FID of each site with amplitude 1, shape (K, N)."""
        t2_s = np.asarray(receiver.t2_s, float)
        rotating = _rotating(self._frequencies_Hz(T_K, receiver), t2_s)
        decaying: FloatArray = self._decays(self._lines(T_K), t2_s) * self._spinning(receiver, t2_s)
        return rotating * decaying

    def _spinning(self, receiver: Receiver, t_s: FloatArray) -> FloatArray:
        """Return the rotor's modulation: first sidebands of the file's height, the whole intensity kept."""
        b = self._truth.sideband
        return 1.0 - 2.0 * b + 2.0 * b * np.cos(2.0 * np.pi * receiver.spinning_Hz * t_s)

    def _drift(self, receiver: Receiver, elapsed_s: RealArray | None, rows: int) -> tuple[FloatArray, FloatArray]:
        """Return how far the field [Hz] and the gain (factor) have gone at the start of each row."""
        if elapsed_s is None:
            return np.zeros(rows), np.ones(rows)
        elapsed = np.asarray(elapsed_s, float)
        drift = self._truth.drift
        rate_per_h = drift.field_Hz_per_h if receiver.field_drift_Hz_per_h is None else receiver.field_drift_Hz_per_h
        effective_s = elapsed if drift.decay_s is None else -drift.decay_s * np.expm1(-elapsed / drift.decay_s)
        return rate_per_h / 3600.0 * effective_s, 1.0 + drift.gain_per_day / 86400.0 * elapsed


def _rotating(frequencies_Hz: FloatArray, t_s: FloatArray) -> ComplexArray:
    """Return exp(i 2 pi nu t), shape (frequencies, times)."""
    angle = 2.0 * np.pi * np.outer(frequencies_Hz, t_s)
    rotating = np.empty(angle.shape, np.complex128)
    rotating.real, rotating.imag = np.cos(angle), np.sin(angle)
    return rotating
