"""What a frequency response analyser makes of a cell: two sampled signals, one correlation. Pure.

Noise is never added to an impedance. The sine's voltage and the current it drives are sampled, the current through a
converter of limited range and bandwidth, both through 16 bits of +-10 V behind a gain of 1, 10 or 100; noise stands in
the samples; Z is the ratio of the two correlations with the sine, as the instrument reckons it.

    i(t) = Re[ sqrt(2) Y V (1 + g) H(f) e^(j omega t) ] + white noise + mains

with the gain error g of this point (both quadratures), H = 1/(1 + j f/f_c) of the converter. The instrument corrects
for the H it believes in; what its calibration leaves is a phase that grows with f/f_c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labctl_sim_autolab._ranges import corner_Hz

SAMPLES = 2048
ADC_STEP_V = 20.0 / 2**16
ADC_LIMIT_V = 10.0
OVERLOAD = 5.0
"""Peak current over the full scale of a range at which the overload flag comes."""
_SATURATION = 14.38  # ten times full scale are read 5 % low, as a 302N on its 1 uA range showed
_DROOP = 0.97  # an overloaded converter cannot hold the potential either

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Noise of instrument and bench.

    Attributes
    ----------
    current_A : float
        rms of each quadrature of the current phasor after 1 s of integration; falls with its square root.
    gain : float
        Standard deviation of each quadrature of the gain, per point.
    voltage_V : float
        As `current_A`, of the voltage.
    mains_A : float
        rms of the current picked up at `mains_Hz`; half as much at twice, a third at three times.
    sample_A : float
        Of one single sample of 25 ms, which no correlation has cleaned.
    """

    current_A: float = 3e-12
    gain: float = 2e-3
    voltage_V: float = 2e-7
    mains_A: float = 0.0
    mains_Hz: float = 50.0
    sample_A: float = 2.5e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Excitation:
    """A sine on a range: frequency, amplitude (rms), and for how many periods it is integrated."""

    frequency_Hz: float
    amplitude_V_rms: float
    full_A: float
    periods: int

    @property
    def integration_s(self) -> float:
        """How long that takes."""
        return self.periods / self.frequency_Hz


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the analyser found: Z, the two phasors (rms), and whether the converter was over its range."""

    Z_ohm: complex
    current_A: complex
    voltage_V: complex
    overload: bool


def periods_of(frequency_Hz: float, *, at_least_s: float, at_least: int) -> int:
    """Return the whole number of periods that fulfils both; odd where samples lie further apart than a period."""
    periods = max(at_least, math.ceil(at_least_s * frequency_Hz - 1e-9), 1)
    return periods | 1 if periods >= SAMPLES // 2 else periods


def measure(
    Y_S: complex, sine: Excitation, noise: Noise, rng: np.random.Generator, *, calibration_error: float, stray_A: float
) -> Point:
    """Return one point of a spectrum.

    Parameters
    ----------
    Y_S : complex
        Admittance at this frequency.
    calibration_error : float
        By what fraction the instrument is wrong about the corner of this range.
    stray_A : float
        A current from outside (rms, at the mains frequency) beside the noise.
    """
    turns = np.arange(SAMPLES) * sine.periods / SAMPLES
    t_s = turns / sine.frequency_Hz
    carrier = np.exp(2j * np.pi * np.remainder(turns, 1.0))
    root = math.sqrt(SAMPLES / sine.integration_s)
    gain_error = noise.gain * complex(*rng.standard_normal(2))
    lag = sine.frequency_Hz / corner_Hz(sine.full_A)
    through = Y_S * sine.amplitude_V_rms * (1.0 + gain_error) / (1.0 + 1j * lag)
    current_A = math.sqrt(2.0) * (through * carrier).real
    current_A += noise.current_A * root * rng.standard_normal(SAMPLES)
    current_A += _mains_A(t_s, noise, stray_A, rng)
    voltage_V = math.sqrt(2.0) * sine.amplitude_V_rms * carrier.real
    voltage_V += noise.voltage_V * root * rng.standard_normal(SAMPLES)
    overload = bool(np.max(np.abs(current_A)) > OVERLOAD * sine.full_A)
    if overload:
        current_A = current_A / (1.0 + (current_A / (_SATURATION * sine.full_A)) ** 4) ** 0.25
        voltage_V = _DROOP * voltage_V
    read_A = sine.full_A * digitised_V(current_A / sine.full_A)
    phasor_A = _phasor(read_A, carrier) * (1.0 + 1j * lag * (1.0 + calibration_error))
    phasor_V = _phasor(digitised_V(voltage_V), carrier)
    # a current of exactly nothing is one least step to the divider
    Z_ohm = phasor_V / phasor_A if phasor_A else complex(phasor_V.real / (ADC_STEP_V / 100.0 * sine.full_A))
    return Point(Z_ohm=Z_ohm, current_A=phasor_A, voltage_V=phasor_V, overload=overload)


def digitised_V(signal_V: FloatArray) -> FloatArray:
    """Return what 16 bits of +-10 V make of a signal, behind the largest gain of 1, 10, 100 that it fits through."""
    peak_V = float(np.max(np.abs(signal_V), initial=0.0))
    gain = next((gain for gain in (100.0, 10.0) if peak_V * gain <= 0.9 * ADC_LIMIT_V), 1.0)
    step_V = ADC_STEP_V / gain
    return np.asarray(np.clip(np.round(signal_V / step_V), -(2**15), 2**15 - 1) * step_V)


def _phasor(signal: FloatArray, carrier: NDArray[np.complex128]) -> complex:
    """Return the correlation of a signal with the sine, as an rms phasor."""
    return complex(np.vdot(carrier, signal) * math.sqrt(2.0) / SAMPLES)


def _mains_A(t_s: FloatArray, noise: Noise, stray_A: float, rng: np.random.Generator) -> FloatArray:
    """Return the current picked up from the mains; it leaks into a point that is no whole number of its periods."""
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)
    total_A = noise.mains_A + stray_A
    if total_A == 0.0:
        return np.zeros_like(t_s)
    waves = [
        np.cos(2.0 * np.pi * noise.mains_Hz * order * t_s + phase) / order
        for order, phase in zip((1, 2, 3), phases, strict=True)
    ]
    return np.asarray(math.sqrt(2.0) * total_A * np.sum(waves, axis=0))
