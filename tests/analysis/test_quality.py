"""Each doubt fires on data made to have its flaw, with the flaw's number, and is silent on clean data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from labctl.analysis import quality
from labctl.analysis.buildup import MixingPoint
from labctl.analysis.quality import Energy
from labctl.analysis.results import ResultWarning

FloatArray = NDArray[np.float64]
SITES = ("a", "b")
P, FLUX = np.array([0.6, 0.4]), np.array([0.012])
R1 = np.array([1 / 5.0, 1 / 50.0])


def _generator(R1_per_s: FloatArray = R1) -> FloatArray:
    k_ab, k_ba = FLUX[0] / P
    return np.array([[-k_ab - R1_per_s[0], k_ba], [k_ab, -k_ba - R1_per_s[1]]])


def _matrix(tmix_s: float, d1_s: float | None = None, R1_per_s: FloatArray = R1) -> FloatArray:
    L = _generator(R1_per_s)
    start = P if d1_s is None else P - expm(L * d1_s) @ P
    return np.asarray((expm(L * tmix_s) @ np.diag(start)).T)


def _point(A: FloatArray, tmix_s: float = 10.0, sd: float = 1e-3, seed: int = 0) -> MixingPoint:
    noise = sd * np.random.default_rng(seed).standard_normal(A.shape)
    return MixingPoint(tmix_s=tmix_s, A=A + noise, covariance=sd**2 * np.eye(A.size), dataset="2d")


def _one(found: Iterable[ResultWarning]) -> ResultWarning:
    (warning,) = found
    assert warning.message
    assert warning.advice
    return warning


def test_polarisation_is_what_the_recycle_delay_leaves() -> None:
    """Recovery in the recycle delay, exchange included, equals the matrix exponential; endless delays recover all."""
    expected = 1 - expm(_generator() * 15.0) @ P / P
    np.testing.assert_allclose(quality.polarisation(P, FLUX, R1, 15.0), expected, rtol=1e-10)
    np.testing.assert_allclose(quality.polarisation(P, FLUX, R1, 5000.0), 1.0, atol=1e-12)


def test_asymmetry_is_held_against_T1_and_recycle_delay() -> None:
    """The ratio of 2.09 that T1s of 5 and 50 s make at d1 = 15 s is told without T1s and explained with them."""
    point = _point(_matrix(10.0, 15.0), sd=5e-4)
    polarised = quality.polarisation(P, FLUX, R1, 15.0)

    assert polarised[0] / polarised[1] == pytest.approx(2.09, abs=0.01)
    warning = _one(quality.doubts_of_asymmetry(point, SITES))
    assert warning.value is not None
    assert warning.value > 3
    assert not list(quality.doubts_of_asymmetry(point, SITES, polarised=polarised))
    symmetric = _point(_matrix(10.0), sd=5e-4)
    assert not list(quality.doubts_of_asymmetry(symmetric, SITES))
    assert "2.09 explain" not in _one(quality.doubts_of_asymmetry(symmetric, SITES, polarised=polarised)).message


def test_row_sums_that_change_with_tmix_are_told() -> None:
    """With one T1 what left a site stays the same part of all; a tenth lost at one Tmix is told with its size."""
    same = np.full(2, 0.1)
    clean = [_point(_matrix(t, None, same), t, 2e-4, seed) for seed, t in enumerate((0.1, 1.0, 5.0, 10.0))]
    lost = _matrix(10.0, None, same) * np.array([[0.9], [1.0]])

    assert not list(quality.doubts_of_row_sums(clean, SITES))
    found = list(quality.doubts_of_row_sums([*clean[:3], _point(lost, 10.0, 2e-4)], SITES))
    assert {one.code for one in found} == {"row_sum"}
    assert any("a is off by -" in one.message for one in found)


def test_row_sums_may_follow_a_model() -> None:
    """With unequal T1s row sums drift as the model says, which is no flaw."""
    times = (0.1, 1.0, 5.0, 10.0)
    points = [_point(_matrix(t), t, 2e-4, seed) for seed, t in enumerate(times)]
    expected = np.array([_matrix(t).sum(axis=1) / _matrix(t).sum() for t in times])

    assert list(quality.doubts_of_row_sums(points, SITES))
    assert not list(quality.doubts_of_row_sums(points, SITES, expected))


@pytest.mark.parametrize(("drift", "told"), [(0.0, False), (-0.10, True), (0.08, True)])
def test_drift_of_sensitivity_is_told_from_relaxation(drift: float, told: bool) -> None:
    """A palindrome of Tmix separates relaxation during Tmix from a drift in time, which is told with its size."""
    tmix = np.array([0.01, 0.5, 2.0, 10.0, 5.0, 1.0, 0.1])
    started = np.arange(0.0, 7.0 * 3600.0, 3600.0)
    rng = np.random.default_rng(3)
    total: FloatArray = np.exp(-tmix / 16.7 + drift * np.arange(7) / 6) * (1 + 0.002 * rng.standard_normal(7))
    found = list(quality.doubts_of_drift(tmix, started, total, np.full(7, 0.002) * total))

    assert bool(found) == told
    for one in found:
        assert one.value == pytest.approx(drift, abs=0.01)


def test_three_2ds_tell_no_drift() -> None:
    """Three totals fit relaxation and drift exactly, so nothing is said."""
    three = np.array([1.0, 2.0, 3.0])
    assert not list(quality.doubts_of_drift(three, three, np.array([1.0, 0.5, 0.2]), np.full(3, 1e-4)))


def test_field_drift_is_told_against_the_narrowest_line() -> None:
    """8 Hz matter for a line of 15 Hz and not for one of 40."""
    assert _one(quality.doubts_of_field((0.0, 3.0, 8.0), 15.0)).value == pytest.approx(8.0)
    assert not list(quality.doubts_of_field((0.0, 3.0, 8.0), 40.0))
    assert not list(quality.doubts_of_field((), 40.0))


@pytest.mark.parametrize(
    ("slope", "favoured", "text"),
    [(0.2, "", "below 1/2"), (1.6, "", "above 1"), (0.5, "exchange", "favoured"), (1.0, "layered", "perfect contact")],
)
def test_early_slopes_that_fit_no_model_are_told(slope: float, favoured: str, text: str) -> None:
    """Slopes below 1/2, above 1, and those of the model that was not favoured, each with the slope."""
    warning = _one(quality.doubts_of_early_slope("a-b", slope, 0.05, favoured=favoured))
    assert text in warning.message
    assert warning.value == slope


@pytest.mark.parametrize(
    ("slope", "favoured"), [(0.5, "layered"), (1.0, "exchange"), (0.75, ""), (0.45, ""), (1.1, "")]
)
def test_early_slopes_of_a_model_are_no_doubt(slope: float, favoured: str) -> None:
    """1/2 of diffusion, 1 of exchange, and what lies between or within the error are fine."""
    assert not list(quality.doubts_of_early_slope("a-b", slope, 0.05, favoured=favoured))


def test_a_bridged_peak_starts_late() -> None:
    """In a chain a-b-c the peak a-c has a lag that is found and told; a-b, and diffusion's square root, have none."""
    tmix, p = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.2, 0.4])
    K = np.array([[-2.0, 4.0, 0.0], [2.0, -8.0, 2.0], [0.0, 4.0, -2.0]])
    chain = np.array([(expm(K * t) @ np.diag(p)).T for t in tmix])
    error = np.full(6, 2e-4)

    late = quality.doubts_of_lag("a-c", tmix, chain[:, 0, 2], error, 0.16, between=("b",))
    warning = _one(late)
    assert "through b" in warning.message
    assert warning.value is not None
    assert 0.02 < warning.value < 1 / 8  # below the time constant of the phase in between
    assert not list(quality.doubts_of_lag("a-b", tmix, chain[:, 0, 1], error, 0.08))
    assert not list(quality.doubts_of_lag("a-c", tmix, 0.05 * np.sqrt(tmix), error, 0.16))


@pytest.mark.parametrize(
    ("increment_s", "spinning_Hz", "value"), [(0.8e-3, 10_100.0, 100.0), (0.82e-3, 10_000.0, 200 / 0.82)]
)
def test_increments_that_are_no_whole_rotor_periods_are_told(
    increment_s: float, spinning_Hz: float, value: float
) -> None:
    """The doubt gives how far from their lines sidebands fold, and a rate that would do."""
    warning = _one(quality.doubts_of_folding(increment_s, spinning_Hz, 15.0))
    assert warning.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("increment_s", "spinning_Hz"), [(0.8e-3, 10_000.0), (0.8e-3, 10_004.0), (0.8e-3, None), (0.8e-3, 4200.0)]
)
def test_synchronous_or_unknown_spinning_is_no_doubt(increment_s: float, spinning_Hz: float | None) -> None:
    """Eight rotor periods, a jitter of 4 Hz, no rate, and the console's default rate say nothing."""
    assert not list(quality.doubts_of_folding(increment_s, spinning_Hz, 15.0))


def _energy(quantity: str, Ea_eV: float, Ea_se_eV: float, sites: str = "ab") -> Energy:
    return Energy(
        quantity=quantity, sites=frozenset(sites), model="exchange", convention="ln k", Ea_eV=Ea_eV, Ea_se_eV=Ea_se_eV
    )


def test_energies_within_their_errors_are_not_called_different() -> None:
    """0.107 and 0.117 eV, 6 meV each, differ by 1.2 standard errors; 0.107 and 0.142 differ; rates of one pair do."""
    low, near, far = _energy("x", 0.107, 0.006), _energy("y", 0.117, 0.006, "bc"), _energy("z", 0.142, 0.006, "ac")

    assert _one(quality.doubts_of_differences([low, near])).value == pytest.approx(1.18, abs=0.01)
    assert not list(quality.doubts_of_differences([low, far]))
    assert not list(quality.doubts_of_differences([low, replace(near, sites=low.sites)]))


def test_temperatures_of_the_sensor_are_doubted_with_their_effect() -> None:
    """10 K of friction on the console's own temperatures move 0.1008 eV to 0.107; calibrated ones are no doubt."""
    T_K = [293.15, 313.15, 333.15, 353.15, 373.15]
    warning = _one(quality.doubts_of_temperature(T_K, [False] * 5, [_energy("x", 0.1008, 0.005)], spinning_Hz=10_000.0))

    assert warning.value == pytest.approx(0.107 - 0.1008, abs=5e-4)
    assert not list(quality.doubts_of_temperature(T_K, [True] * 5, []))
    assert not list(quality.doubts_of_temperature(T_K[:1], [False], []))


def test_rates_that_ignore_temperature_may_be_spin_diffusion() -> None:
    """No activation within two errors is told; 0.107 +- 0.006 eV is not; abundant nuclei need a second temperature."""
    flat, active = _energy("k a->b", 0.004, 0.006), _energy("k a->b", 0.107, 0.006)

    assert "hardly depends" in _one(quality.doubts_of_spin_diffusion("6Li", [flat], temperatures=5)).message
    assert not list(quality.doubts_of_spin_diffusion("6Li", [active], temperatures=5))
    spun: Callable[[str, int], list[ResultWarning]] = lambda nucleus, count: list(  # noqa: E731
        quality.doubts_of_spin_diffusion(nucleus, [], temperatures=count, spinning_Hz=10_000.0)
    )
    assert spun("7Li", 1)
    assert not spun("7Li", 2)
    assert not spun("6Li", 1)


@pytest.mark.parametrize(
    ("sigma", "polarised", "text"),
    [
        ({"a": 4.0, "b": 90.0}, {"a": 1.0, "b": 1.0}, "4.0 standard errors"),
        ({"a": 80.0, "b": 90.0}, {"a": 0.1, "b": 1.0}, "10 %"),
        ({"a": 80.0, "b": 90.0}, {"b": 1.0}, "not known"),
    ],
)
def test_no_null_result_without_a_source(sigma: dict[str, float], polarised: dict[str, float], text: str) -> None:
    """A source that was not seen, not polarised or of unknown T1 makes the absence of a cross peak mean nothing."""
    assert text in _one(quality.doubts_of_null(SITES, sigma, polarised)).message


def test_a_null_result_of_polarised_and_detected_sources_stands() -> None:
    """With both sources there, absence is a result."""
    assert not list(quality.doubts_of_null(SITES, {"a": 80.0, "b": 90.0}, {"a": 0.9, "b": 0.5}))
