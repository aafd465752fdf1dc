"""What the simulated analyser makes of a cell: noise in the samples, resolution, ranges, bandwidth, mains."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl_sim_autolab._ranges import corner_Hz
from labctl_sim_autolab._signals import (
    ADC_STEP_V,
    OVERLOAD,
    SAMPLES,
    Excitation,
    Noise,
    Point,
    digitised_V,
    measure,
    periods_of,
)

QUIET = Noise(current_A=0.0, gain=0.0, voltage_V=0.0)


def point(
    Y_S: complex, *, noise: Noise = QUIET, f_Hz: float = 100.0, full_A: float = 1e-6, seed: int = 0, **more: float
) -> Point:
    """Return one point at 5 mV."""
    periods = periods_of(f_Hz, at_least_s=more.pop("integration_s", 1.0), at_least=1)
    sine = Excitation(frequency_Hz=f_Hz, amplitude_V_rms=5e-3, full_A=full_A, periods=periods)
    left, stray_A = more.pop("calibration_error", 0.0), more.pop("stray_A", 0.0)
    return measure(Y_S, sine, noise, np.random.default_rng(seed), calibration_error=left, stray_A=stray_A)


@given(f_Hz=st.floats(1e-2, 1e6), at_least_s=st.floats(0.0, 10.0), at_least=st.integers(1, 10))
def test_an_integration_is_whole_periods_and_long_enough(f_Hz: float, at_least_s: float, at_least: int) -> None:
    """Both minima hold, no more than two periods are added, and samples never fall on one phase only."""
    periods = periods_of(f_Hz, at_least_s=at_least_s, at_least=at_least)
    assert periods >= at_least
    assert periods / f_Hz >= at_least_s * (1.0 - 1e-6)
    assert periods <= max(at_least, at_least_s * f_Hz) + 2.0
    assert len({k * periods % SAMPLES for k in range(SAMPLES)}) > SAMPLES // 4 or periods < SAMPLES // 2


@given(modulus=st.floats(1e-9, 1e-4), angle=st.floats(-1.5, 1.5), f_Hz=st.sampled_from([1.0, 50.12, 1e3, 1e5]))
def test_without_noise_the_admittance_comes_back(modulus: float, angle: float, f_Hz: float) -> None:
    """On a range that fits, only the last bits of both converters are missing."""
    full_A = 10.0 ** math.ceil(math.log10(modulus * 5e-3 * 2.0))
    full_A = max(full_A, 1e-5 if f_Hz > 1e4 else 1e-8)
    found = point(cmath.rect(modulus, angle), f_Hz=f_Hz, full_A=full_A)
    step_A = full_A * ADC_STEP_V / 100.0
    tolerance = 1e-4 + step_A / (modulus * 5e-3)
    assert 1.0 / found.Z_ohm == pytest.approx(cmath.rect(modulus, angle), rel=tolerance)
    assert not found.overload


@pytest.mark.parametrize("integration_s", [1.0, 4.0])
def test_current_noise_is_what_the_settings_say(integration_s: float) -> None:
    """Each quadrature of Y scatters by the current noise over the voltage, less with longer integration."""
    noise = Noise(current_A=3e-12, gain=0.0, voltage_V=0.0)
    Y = np.array(
        [
            1.0 / point(1e-9j, noise=noise, full_A=1e-8, seed=seed, integration_s=integration_s).Z_ohm
            for seed in range(400)
        ]
    )
    expected_S = 3e-12 / math.sqrt(integration_s) / 5e-3
    for part in (Y.real, Y.imag):
        assert part.std(ddof=1) == pytest.approx(expected_S, rel=0.12)
    assert Y.mean() == pytest.approx(1e-9j, abs=4 * expected_S / 20)


def test_gain_noise_scales_with_the_admittance() -> None:
    """Gain and phase errors of one point are a fraction of Y, whatever its size."""
    noise = Noise(current_A=0.0, gain=2e-3, voltage_V=0.0)
    for Y_S, full_A in ((1e-6 + 1e-6j, 1e-7), (1e-4 - 1e-4j, 1e-5)):
        ratio = np.array([1.0 / point(Y_S, noise=noise, full_A=full_A, seed=seed).Z_ohm / Y_S for seed in range(400)])
        assert ratio.real.std(ddof=1) == pytest.approx(2e-3, rel=0.12)
        assert ratio.imag.std(ddof=1) == pytest.approx(2e-3, rel=0.12)


def test_impedance_of_a_current_drowned_in_noise_is_biased_and_its_admittance_is_not() -> None:
    """Noise enters the current: the mean of Y stays true where the median of Re Z falls short of 1/Y by far."""
    noise = Noise(current_A=30e-12, gain=0.0, voltage_V=0.0)
    Y_S = 1.0 / 3e9  # 1.7 pA at 5 mV
    points = [point(Y_S, noise=noise, full_A=1e-8, seed=seed) for seed in range(500)]
    Y = np.array([1.0 / one.Z_ohm for one in points])
    assert Y.mean().real == pytest.approx(Y_S, abs=3 * 30e-12 / 5e-3 / math.sqrt(500))
    assert np.median([abs(one.Z_ohm) for one in points]) < 0.2 / Y_S


def test_a_coarse_range_sees_nothing_of_a_small_current() -> None:
    """One picoampere on the 1 mA range is far below a step of the converter: the current reads as nothing."""
    found = point(2e-10, full_A=1e-3)
    assert abs(found.current_A) < 1e-15
    assert math.isfinite(abs(found.Z_ohm))


@given(
    st.lists(st.floats(-12.0, 12.0), min_size=1, max_size=50),
)
def test_sixteen_bits_behind_the_best_gain(values: list[float]) -> None:
    """Errors are half a step of the gain that fits; beyond 10 V the converter stands at its end."""
    signal = np.array(values)
    read = digitised_V(signal)
    peak = np.abs(signal).max()
    gain = 100.0 if peak <= 0.09 else 10.0 if peak <= 0.9 else 1.0
    inside = np.abs(signal) < 9.99
    assert (np.abs(read - signal)[inside] <= 0.5 * ADC_STEP_V / gain * (1 + 1e-9)).all()
    assert (np.abs(read) <= 10.0).all()


@pytest.mark.parametrize("full_A", [1e-8, 1e-7, 1e-6])
def test_a_slow_range_turns_the_phase_by_what_its_calibration_leaves(full_A: float) -> None:
    """At the corner the instrument's correction leaves half of its error as phase, and nothing at low frequency."""
    f_c = corner_Hz(full_A)
    Y_S = 1e-3 * full_A / 5e-3 * 1j * 100
    at_corner = point(Y_S, f_Hz=f_c, full_A=full_A, calibration_error=0.02)
    turned = cmath.phase(1.0 / at_corner.Z_ohm / Y_S)
    assert turned == pytest.approx(math.atan(1.02) - math.atan(1.0), rel=0.05)
    slow = point(Y_S, f_Hz=f_c / 100.0, full_A=full_A, calibration_error=0.02)
    assert abs(cmath.phase(1.0 / slow.Z_ohm / Y_S)) < 1e-3


def test_an_overload_shows_a_plausible_number() -> None:
    """Ten times full scale sets the flag; what is read is a little low, and not pinned to anything."""
    full_A = 1e-6
    true_A = 10.0 * full_A / math.sqrt(2.0)
    found = point(true_A / 5e-3, full_A=full_A)
    assert found.overload
    assert abs(found.current_A) / true_A == pytest.approx(0.95, abs=0.03)
    assert not point(0.9 * OVERLOAD / math.sqrt(2.0) * full_A / 5e-3, full_A=full_A).overload


def test_mains_leak_into_what_is_no_whole_number_of_their_periods() -> None:
    """Integrated for whole mains periods a point is clean; at 50.12 Hz the same pick-up stands beside the signal."""
    noise = Noise(current_A=0.0, gain=0.0, voltage_V=0.0, mains_A=10e-12)
    clean = point(1e-9, noise=noise, f_Hz=70.0, full_A=1e-8)
    spoilt = point(1e-9, noise=noise, f_Hz=50.12, full_A=1e-8)
    assert abs(1.0 / clean.Z_ohm - 1e-9) * 5e-3 < 0.1e-12
    assert abs(1.0 / spoilt.Z_ohm - 1e-9) * 5e-3 > 5e-12
