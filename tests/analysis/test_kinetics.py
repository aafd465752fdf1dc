"""Fits of one temperature: truths come back with honest errors, and what is not resolved is said to be so."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import expm

from labctl.analysis import diffusion
from labctl.analysis.buildup import Buildup, MixingPoint, RecoveryCurve
from labctl.analysis.entries import buildup_entries, comparison_entry, exchange_entry, layered_entry, product_entry
from labctl.analysis.exchange import pairs
from labctl.analysis.kinetics import LayeredShape, fit_exchange, fit_layered
from labctl.analysis.product import cube_exchanged, fit_pair, upper_limit
from labctl.analysis.temperature import TemperatureFits, fit_temperatures

FloatArray = NDArray[np.float64]
TMIX_S = np.array([0.05, 0.2, 0.6, 1.5, 4.0, 9.0])


class Truth:
    """Discrete exchange with unequal T1 by the matrix exponential, written apart from the code under test."""

    def __init__(self, p: list[float], k: list[list[float]], R1: list[float]) -> None:
        self.p = np.array(p)
        self.k = np.array(k)
        self.L = self.k.T - np.diag(self.k.sum(axis=1)) - np.diag(R1)

    def matrix(self, tmix_s: float, d1_s: float) -> FloatArray:
        """Return A as a spectrometer sees it, row source."""
        start = self.p - expm(self.L * d1_s) @ self.p
        return np.asarray((expm(self.L * tmix_s) @ np.diag(start)).T)

    def recovery(self, delays_s: FloatArray, alpha: FloatArray) -> FloatArray:
        """Return M(delay) of every site, shape (N, K)."""
        return np.array([self.p - expm(self.L * t) @ (alpha * self.p) for t in delays_s])


THREE = Truth([0.5, 0.3, 0.2], [[0, 0.2, 0.02], [1 / 3, 0, 0.15], [0.05, 0.225, 0]], [0.05, 0.2, 0.1])


def _measured(truth: Truth, noise: float, d1_s: float, seed: int, *, recoveries: bool) -> Buildup:
    rng = np.random.default_rng(seed)
    count = truth.p.size
    mixing = rng.standard_normal((count * count, count * count)) * 0.3 + np.eye(count * count)
    covariance = noise**2 * mixing @ mixing.T
    root = np.linalg.cholesky(covariance)
    points = tuple(
        MixingPoint(
            tmix_s=float(t),
            A=1e4 * truth.matrix(t, d1_s) + 1e4 * (root @ rng.standard_normal(count * count)).reshape(count, count),
            covariance=1e8 * covariance,
            recycle_delay_s=d1_s,
            dataset=f"tmix {t:g}",
        )
        for t in TMIX_S
    )
    delays_s = np.geomspace(0.1, 80, 10)
    ideal = truth.recovery(delays_s, np.array([0.97, 1.0, 0.99])[:count])
    curves = tuple(
        RecoveryCurve(
            site=i,
            delays_s=delays_s,
            intensities=5e3 * (ideal[:, i] + noise * rng.standard_normal(delays_s.size)),
            intensity_se=np.full(delays_s.size, 5e3 * noise),
            T1_s=8.0,
        )
        for i in range(count)
    )
    return Buildup(sites=tuple("abc"[:count]), T_K=300.0, points=points, recoveries=curves if recoveries else ())


def test_three_sites_with_unequal_T1_and_saturation_have_honest_errors() -> None:
    """Over many draws every rate, population and R1 scatters by its standard error, without bias."""
    z = []
    for seed in range(25):
        found = fit_exchange(_measured(THREE, 0.002, 6.0, seed, recoveries=True))
        assert found.relaxation == "recovery"
        k, k_se = found.rates()
        p, p_se = found.populations()
        R1, R1_se = found.R1()
        off = ~np.eye(3, dtype=bool)
        z.append(
            np.concatenate(
                [
                    ((k - THREE.k)[off] / k_se[off]),
                    (p - THREE.p) / p_se,
                    (R1 - np.array([0.05, 0.2, 0.1])) / R1_se,
                ]
            )
        )
    rms = np.sqrt(np.mean(np.square(z), axis=0))
    assert rms.mean() == pytest.approx(1.0, abs=0.15)
    assert np.all(rms < 1.6)
    assert np.all(np.abs(np.mean(z, axis=0)) < 0.8)


def test_bootstrap_agrees_with_the_covariance() -> None:
    """Parametric resampling gives the standard errors of the Gauss-Newton covariance."""
    found = fit_exchange(_measured(THREE, 0.001, 60.0, 1, recoveries=True), bootstrap=60, seed=5)
    assert found.fit.samples is not None
    spread = found.fit.samples.std(axis=0)
    assert spread == pytest.approx(found.fit.se, rel=0.4)


def test_scale_of_each_2d_is_irrelevant() -> None:
    """Another number of scans, gain or common relaxation changes nothing."""
    data = _measured(THREE, 0.002, 60.0, 3, recoveries=False)
    scaled = Buildup(
        sites=data.sites,
        T_K=data.T_K,
        points=tuple(
            MixingPoint(tmix_s=one.tmix_s, A=f * one.A, covariance=f * f * one.covariance)
            for f, one in zip((1, 3, 0.1, 40, 7, 0.02), data.points, strict=True)
        ),
    )
    assert fit_exchange(scaled).rates()[0] == pytest.approx(fit_exchange(data).rates()[0], rel=1e-5)


def test_unequal_T1_without_recovery_data_is_noticed() -> None:
    """Saturated sources and different R1 are freed when the data ask for it, and not when they do not."""
    assert fit_exchange(_measured(THREE, 0.0005, 6.0, 2, recoveries=False)).relaxation != "common"
    equal = Truth([0.5, 0.3, 0.2], THREE.k.tolist(), [0.1, 0.1, 0.1])
    assert fit_exchange(_measured(equal, 0.0005, 6.0, 2, recoveries=False)).relaxation == "common"


def test_an_absent_path_is_not_resolved() -> None:
    """A serial chain's missing 1-3 path comes back as zero within its error, with a warning and an upper limit."""
    serial = Truth([0.5, 0.3, 0.2], [[0, 0.2, 0], [1 / 3, 0, 0.15], [0, 0.225, 0]], [0.05, 0.05, 0.05])
    group = TemperatureFits(data=_measured(serial, 0.002, 60.0, 4, recoveries=False))
    group.exchange = fit_exchange(group.data)
    entry = exchange_entry(group)
    assert entry.k_per_s[0][2] < 2 * entry.k_se[0][2]
    assert any("a-c not resolved" in text for text in entry.warnings)
    assert entry.k_upper_per_s is not None
    assert [[one is None for one in row] for row in entry.k_upper_per_s] == [
        [True, True, False],
        [True, True, True],
        [False, True, True],
    ]
    upper = entry.k_upper_per_s[0][2]
    assert upper is not None
    assert upper > entry.k_per_s[0][2]
    assert [one.code for one in group.warnings] == ["not_resolved"]


def test_the_limit_of_an_exchange_that_is_not_seen_excludes_what_lies_above() -> None:
    """Each of twenty null controls has an upper limit, where chi2 has risen by what 95 % allow and little more."""
    p = np.array([0.6, 0.4])
    for seed in range(20):
        data = _layered_data(p, np.repeat(np.diag(p)[None], len(TMIX_S), axis=0), seed)
        found = fit_pair(data, 0, 1, p)
        limit = upper_limit(data, 0, 1, p, found)
        assert limit is not None
        assert limit > found.value[0]
        cross, se = data.cross(0, 1)
        left = (p.prod() * cube_exchanged(limit * np.array(TMIX_S), 0.4) - cross) / se
        assert 2.706 <= float(left @ left) - found.chi2 < 3.3


def _layered_data(p: FloatArray, matrices: FloatArray, seed: int, noise: float = 0.001) -> Buildup:
    rng = np.random.default_rng(seed)
    points = tuple(
        MixingPoint(
            tmix_s=float(t),
            A=A + noise * rng.standard_normal(A.shape),
            covariance=noise**2 * np.eye(A.size),
            dataset=f"tmix {t:g}",
        )
        for t, A in zip(TMIX_S, matrices, strict=True)
    )
    return Buildup(sites=("a", "b"), T_K=300.0, points=points)


def _attempt(what: str, action: object) -> None:
    assert callable(action), what
    action()


def test_diffusion_is_told_from_exchange() -> None:
    """Layered truth: kD comes back, core and shell are told apart, AICc favours layers, the early slope is 1/2."""
    p, kD = np.array([0.35, 0.65]), 0.01
    matrices = diffusion.mixing_matrix(TMIX_S, p, np.array([kD, kD]))
    group = TemperatureFits(data=_layered_data(p, matrices, 1))
    fit_temperatures([group], attempt=_attempt)
    entry = layered_entry(group)
    assert [phase.phase for phase in entry.phases] == ["a", "b"]
    for phase in entry.phases:
        assert phase.kD_per_s is not None
        assert phase.kD_se is not None
        assert abs(phase.kD_per_s - kD) < 4 * phase.kD_se
        assert phase.kD_se < 0.05 * kD
    comparison = comparison_entry(group)
    assert comparison is not None
    assert comparison.favoured == "layered"
    assert comparison.decisive
    (built,) = buildup_entries(group)
    assert built.early_slope is not None
    assert built.early_slope_se is not None
    assert built.early_slope == pytest.approx(0.5, abs=0.08 + 3 * built.early_slope_se)
    assert set(built.curves) == {"exchange", "layered", "product"}
    paper = product_entry(group, 0, 1)
    assert any("paper mode" in text for text in paper.assumptions)


def test_exchange_is_told_from_diffusion() -> None:
    """Discrete truth: exchange is favoured over one diffusivity, and a resisting contact only bounds kD from below."""
    truth = Truth([0.35, 0.65], [[0, 0.2], [0.2 * 0.35 / 0.65, 0]], [0.0, 0.0])
    matrices = np.array([(expm(truth.L * t) @ np.diag(truth.p)).T for t in TMIX_S])
    group = TemperatureFits(data=_layered_data(truth.p, matrices, 2))
    fit_temperatures([group], attempt=_attempt)
    comparison = comparison_entry(group)
    assert comparison is not None
    assert comparison.favoured == "exchange"
    assert group.exchange is not None
    one_D = fit_layered(group.data, LayeredShape(core=0), group.exchange)
    assert one_D.fit.inflated
    entry = layered_entry(group)
    assert "finite contact" in " ".join(entry.assumptions)
    fastest = max(group.exchange.state.kinetic / truth.p.prod())
    for phase in entry.phases:
        assert phase.bound == "lower"
        assert phase.kD_per_s is not None
        assert phase.kD_per_s > 0.1 * fastest
        assert phase.kD_se is None


@pytest.mark.parametrize(("window", "code"), [(slice(0, 3), "all_before_bend"), (slice(3, 6), "all_after_bend")])
def test_mixing_times_on_one_side_of_the_bend_are_warned_of(window: slice, code: str) -> None:
    """A warning with its number tells which mixing times are missing."""
    k = 0.3 if code == "all_before_bend" else 6.0
    truth = Truth([0.5, 0.5], [[0, k], [k, 0]], [0.0, 0.0])
    matrices = np.array([(expm(truth.L * t) @ np.diag(truth.p)).T for t in TMIX_S])
    full = _layered_data(truth.p, matrices, 3)
    group = TemperatureFits(data=Buildup(sites=full.sites, T_K=300.0, points=full.points[window]))
    if code == "all_before_bend":
        group.data = Buildup(sites=full.sites, T_K=300.0, points=full.points[:2])
    fit_temperatures([group], attempt=_attempt)
    buildup_entries(group)
    (doubt,) = [one for one in group.warnings if one.code == code]
    assert doubt.value is not None
    assert doubt.advice


def test_shared_lines_make_errors_hang_together() -> None:
    """What a shared line parameter does to all 2Ds alike does not average out over mixing times."""
    here, there = (Truth([p, 1 - p], [[0, 0.3 * (1 - p)], [0.3 * p, 0]], [0.05, 0.05]) for p in (0.6, 0.62))
    data = _measured(here, 0.0005, 60.0, 3, recoveries=False)
    slopes = [1e4 * (there.matrix(t, 60.0) - here.matrix(t, 60.0)).reshape(1, 4) for t in TMIX_S]
    points = tuple(
        MixingPoint(
            tmix_s=one.tmix_s,
            A=one.A,
            covariance=one.covariance + slope.T @ slope,
            line_slope=slope,
            dataset=one.dataset,
        )
        for one, slope in zip(data.points, slopes, strict=True)
    )
    shared = fit_exchange(Buildup(sites=data.sites, T_K=300.0, points=points, line_covariance=np.eye(1)))
    apart = fit_exchange(Buildup(sites=data.sites, T_K=300.0, points=points))
    assert shared.relaxation == apart.relaxation == "common"
    assert shared.populations()[1][0] == pytest.approx(0.02, rel=0.1)
    assert apart.populations()[1][0] < 0.7 * shared.populations()[1][0]


def test_every_pair_is_listed_once() -> None:
    """Fluxes are listed by pairs i < j."""
    assert pairs(3) == [(0, 1), (0, 2), (1, 2)]
