"""How wrong each point may be, and what stands in parallel to the sample.

A potentiostat measures current. With I = I0 (1 + g) + i, gain noise g is proportional to the admittance and current
noise i is not, so the variance of Y = I/V is ``(i/V)^2 + (g |Y|)^2`` and that of Z grows as |Z|^4: weights by the
modulus of Z let the noisiest points of a resistive sample rule the fit and bias R downward. Noise of phase acts across
Y, noise of gain along it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.formats.impedance import ImpedanceSpectrum

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

NoiseOrigin = Literal["known", "estimated", "relative"]

USUAL_GAIN = 3e-3
"""Noise of gain of a sweep of whose instrument nothing is known, as a fraction."""
QUANTISATION = 3.05e-6
"""Smallest current step over the range: 16 bit over +-10 V at gain 100, as a PGSTAT302N shows."""
SAMPLES_OF_A_POINT = 16
"""Samples that an analyser correlates for one point at the very least; they average the rounding to steps."""
BANDWIDTH_HZ: Mapping[float, float] = {1e-6: 1e4, 1e-7: 1e3, 1e-8: 5e2}
"""Current range [A] to the corner of its converter [Hz]; of that order, and a rig's own table replaces it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorModel:
    """Standard deviations of one point of a spectrum.

    Attributes
    ----------
    amplitude_V_rms : float
        Of the excitation; turns current noise into admittance.
    current_noise_A : float
        Of each quadrature of the current phasor, rms, at the point that was integrated for the least time.
    integration_s, cycles : float
        Each point was integrated for at least so long and over at least so many periods; its noise falls with the root
        of that time. 0: not known, all points alike.
    gain : float
        Of the gain, as a fraction (along Y).
    phase_rad : float or None
        Of the phase (across Y); None: as large as `gain`.
    bandwidth_left : float
        What part of the phase lag f/f_c of the range's converter is left after the instrument's own correction;
        enters as a standard deviation where ranges are known.
    bandwidth_Hz : mapping of range [A] to corner [Hz]
    origin : str
        ``known``: stated by a person or measured on a dummy. ``estimated``: from the scatter of this very spectrum.
        ``relative``: right up to one common factor, which chi2 then supplies.
    """

    amplitude_V_rms: float = 5e-3
    current_noise_A: float = 0.0
    integration_s: float = 0.0
    cycles: float = 0.0
    gain: float = USUAL_GAIN
    phase_rad: float | None = None
    bandwidth_left: float = 0.02
    bandwidth_Hz: Mapping[float, float] = field(default_factory=lambda: BANDWIDTH_HZ)
    origin: NoiseOrigin = "known"

    def deviations(
        self, frequency_Hz: FloatArray, Y_S: ComplexArray, range_A: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return the standard deviations of Y [S] along and across itself, shape (N,) each."""
        size = np.abs(Y_S)
        time_s = np.maximum(self.integration_s, self.cycles / frequency_Hz)
        shorter = time_s.min() / time_s if time_s.min() > 0 else np.ones(size.shape)
        constant = shorter * (self.current_noise_A / self.amplitude_V_rms) ** 2
        across = np.full(size.shape, self.gain if self.phase_rad is None else self.phase_rad)
        if range_A is not None:
            constant += (QUANTISATION * range_A / self.amplitude_V_rms) ** 2 / 12 / SAMPLES_OF_A_POINT
            corners = np.array([self._corner(one) for one in range_A])
            across = np.hypot(across, self.bandwidth_left * frequency_Hz / corners)
        along = np.sqrt(constant + (self.gain * size) ** 2)
        sideways = np.sqrt(constant + (across * size) ** 2)
        floor = 1e-12 * size + 1e-300
        return np.maximum(along, floor), np.maximum(sideways, floor)

    def _corner(self, range_A: float) -> float:
        near = [corner for one, corner in self.bandwidth_Hz.items() if abs(np.log(range_A / one)) < 0.5]
        lowest = min(self.bandwidth_Hz, default=None)
        if near:
            return near[0]
        return self.bandwidth_Hz[lowest] if lowest is not None and range_A < lowest else np.inf


MODULUS = ErrorModel(current_noise_A=0.0, gain=1.0, origin="relative", bandwidth_left=0.0)
"""Weights by the modulus: every point is wrong by the same unknown fraction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixture:
    """What conducts beside the sample, from a sweep of the open holder: stray capacitance and leakage.

    Both are taken off the admittance before fitting; the leakage's error goes into that of the conductance.
    """

    stray_F: float = 0.0
    leakage_S: float = 0.0
    leakage_se_S: float = 0.0

    def admittance(self, omega: FloatArray) -> ComplexArray:
        """Return its admittance [S]."""
        return np.asarray(self.leakage_S + 1j * omega * self.stray_F)


NO_FIXTURE = Fixture()


def stated_error_model(spectrum: ImpedanceSpectrum) -> ErrorModel | None:
    """Return the error model a sidecar states, or None where it states no noise or no amplitude.

    An amplitude of unknown kind is taken for a peak value: the smaller excitation, and so the larger error.
    """
    if spectrum.current_noise_A is None or not spectrum.amplitude_V:
        return None
    rms = spectrum.amplitude_V if spectrum.amplitude_kind == "rms" else spectrum.amplitude_V / np.sqrt(2)
    gain = USUAL_GAIN if spectrum.gain_noise is None else spectrum.gain_noise
    integration_s, cycles = (_number(spectrum.metadata.get(key)) for key in ("integration_s", "cycles"))
    return ErrorModel(
        amplitude_V_rms=float(rms),
        current_noise_A=spectrum.current_noise_A,
        integration_s=integration_s,
        cycles=cycles,
        gain=gain,
    )


def stated_fixture(spectrum: ImpedanceSpectrum) -> Fixture:
    """Return what a sidecar states of the open holder, if anything (``capacitance_F`` and ``leakage_ohm``)."""
    holder = spectrum.metadata.get("open_holder")
    if not isinstance(holder, dict):
        return NO_FIXTURE
    leakage_ohm = _number(holder.get("leakage_ohm"))
    return Fixture(
        stray_F=_number(holder.get("capacitance_F")), leakage_S=1.0 / leakage_ohm if leakage_ohm > 0 else 0.0
    )


def _number(value: object) -> float:
    """A positive number, or 0 for anything else."""
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if plain and 0 < value < 1e300 else 0.0  # type: ignore[arg-type, operator]  # `plain` says so


def estimate_error_model(Y_S: ComplexArray, residual_S: ComplexArray, lost: int) -> ErrorModel:
    """Return the current, gain and phase noise that best explain residuals from a smooth, model-free curve.

    The likelihood of independent normals of variance a^2 + g^2 |Y|^2 along Y and a^2 + p^2 |Y|^2 across it is
    searched on a grid, refined twice; `lost` is the number of coefficients of the smooth curve.

    Parameters
    ----------
    Y_S, residual_S : ndarray of complex, shape (N,)
    """
    turned = residual_S * np.conj(Y_S) / np.abs(Y_S)
    freedom = 2 * Y_S.size / max(2 * Y_S.size - lost, Y_S.size / 2)
    square = np.stack([turned.real**2, turned.imag**2]) * freedom
    size2 = np.abs(Y_S) ** 2
    a_log = 0.5 * np.log(np.median(square) + 1e-300) + np.linspace(-16, 6, 67)
    typical = 0.5 * np.log(np.median(square / size2, axis=1) + 1e-24)
    share_log = typical[:, None] + np.linspace(-4, 2, 25)
    for width in (0.5, 0.1, 0.0):
        additive = np.exp(2 * a_log)[:, None, None]
        costs, picks = [], []
        for part in (0, 1):
            variance = additive + np.exp(2 * share_log[part])[None, :, None] * size2
            cost = (np.log(variance) + square[part] / variance).sum(axis=-1)
            picks.append(np.argmin(cost, axis=1))
            costs.append(cost.min(axis=1))
        best = int(np.argmin(costs[0] + costs[1]))
        a = a_log[best]
        shares = np.array([share_log[part, picks[part][best]] for part in (0, 1)])
        if width:
            grid = np.linspace(-width, width, 11)
            a_log, share_log = a + grid, shares[:, None] + grid
    gain, phase = (float(max(np.exp(one), 1e-7)) for one in shares)
    return ErrorModel(
        amplitude_V_rms=1.0, current_noise_A=float(np.exp(a)), gain=gain, phase_rad=phase, origin="estimated"
    )
