"""The referee's questions put to a campaign: `quality` and `referee` applied to what was measured and fitted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from labctl.analysis import quality
from labctl.analysis.context import Thresholds
from labctl.analysis.exchange import pairs
from labctl.analysis.gather import Measured
from labctl.analysis.kinetics import KineticFit
from labctl.analysis.nmr.estimator import AmplitudeMatrix
from labctl.analysis.nmr.line_shift import SiteLine
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.referee import compare_references
from labctl.analysis.results import Arrhenius, BuildUp, ResultWarning
from labctl.analysis.temperature import TemperatureFits

FloatArray = NDArray[np.float64]

RESOLVED = 2.0


def doubts_of_series(
    exsy: Sequence[Measured], matrices: Sequence[AmplitudeMatrix], lines: LineSet, *, where: str
) -> Iterable[ResultWarning]:
    """Yield what the 2Ds of one temperature say before any model: drifts, and F1 sidebands that fold astray."""
    narrowest = min(line.fwhm_Hz for line in lines.lines)
    yield from quality.doubts_of_field(lines.shifts_Hz, narrowest, where=where)
    told = set()
    for one in exsy:
        if one.raw.indirect is not None:
            key = (one.raw.indirect.increment_s, one.raw.spinning_Hz)
            if key not in told:
                told.add(key)
                yield from quality.doubts_of_folding(*key, narrowest, where=one.name)
    started = {one.name: one.manifest.started_s if one.manifest else one.raw.started_s for one in exsy}
    gains = {one.raw.receiver_gain for one in exsy}
    if len(gains) == 1 and all(started.get(one.dataset) is not None for one in matrices):
        yield from quality.doubts_of_drift(
            np.array([one.mixing_time_s for one in matrices]),
            np.array([started[one.dataset] for one in matrices], dtype=np.float64),
            np.array([one.A.sum() for one in matrices]),
            np.array([np.sqrt(max(0.0, one.cov.sum())) for one in matrices]),
            where=where,
        )


def doubts_around_2ds(
    exsy: Sequence[tuple[str, float]],
    references: Sequence[tuple[str, float, Sequence[SiteLine]]],
    limits: Thresholds,
) -> Iterable[ResultWarning]:
    """Compare the reference 1Ds before and after each 2D: what changed in between changed during it.

    Parameters
    ----------
    exsy : sequence of (name, start [s])
    references : sequence of (name, start [s], lines)
    """
    ordered = sorted(references, key=lambda one: one[1])
    for name, started_s in exsy:
        before = [one for one in ordered if one[1] <= started_s]
        after = [one for one in ordered if one[1] > started_s]
        if before and after:
            for doubt in compare_references(before[-1][0], before[-1][2], after[0][0], after[0][2], limits):
                yield doubt.model_copy(
                    update={
                        "code": doubt.code.replace("drift", "drift_during", 1),
                        "message": f"{doubt.message}, on both sides of {name}",
                        "where": name,
                    }
                )


def doubts_of_fits(
    group: TemperatureFits, builds: Sequence[BuildUp], favoured: str, limits: Thresholds
) -> Iterable[ResultWarning]:
    """Yield what matrices and fits of one temperature say about each other."""
    sites, points = group.data.sites, group.data.points
    for point in points:
        polarised = _polarised(group.exchange, point.recycle_delay_s)
        yield from quality.doubts_of_asymmetry(point, sites, polarised=polarised, limit_sigma=limits.asymmetry_sigma)
    if len(points) > 1:
        misfit = max(1.0, group.exchange.fit.chi2_red) ** 0.5 if group.exchange is not None else 1.0
        yield from quality.doubts_of_row_sums(points, sites, _row_sums(group), misfit=misfit)
    for build in builds:
        pair = "-".join(build.pair)
        if build.early_slope is not None and build.early_slope_se is not None:
            yield from quality.doubts_of_early_slope(
                pair, build.early_slope, build.early_slope_se, favoured=favoured, where=group.where
            )
        i, j = (sites.index(one) for one in build.pair)
        p = group.exchange.state.populations if group.exchange is not None else group.data.guess()[0]
        yield from quality.doubts_of_lag(
            pair,
            np.array(build.tmix_s),
            np.array(build.cross),
            np.array(build.cross_se),
            float(p[i] * p[j]),
            between=[site for site in sites if site not in build.pair],
            where=group.where,
        )
    yield from _nulls(group)


def doubts_of_energies(
    arrhenius: Sequence[Arrhenius],
    groups: Sequence[TemperatureFits],
    *,
    nucleus: str,
    spinning_Hz: float | None,
) -> Iterable[ResultWarning]:
    """Yield what all temperatures together say: energies that cannot be told apart, calibration, spin diffusion."""
    energies = [
        quality.Energy(
            quantity=one.quantity,
            sites=frozenset(one.quantity.partition(" ")[2].replace("->", "-").split("-")),
            model=one.model,
            convention=one.convention,
            Ea_eV=one.Ea_eV,
            Ea_se_eV=one.Ea_se_eV,
        )
        for one in arrhenius
    ]
    yield from quality.doubts_of_differences(_one_per_pair(energies))
    known = [(T_K, group.T_se_K is not None) for group in groups if (T_K := group.data.T_K) is not None]
    yield from quality.doubts_of_temperature(
        [T_K for T_K, _ in known], [sure for _, sure in known], energies, spinning_Hz=spinning_Hz
    )
    yield from quality.doubts_of_spin_diffusion(
        nucleus, _one_per_pair(energies), temperatures=len(groups), spinning_Hz=spinning_Hz
    )


def _one_per_pair(energies: Sequence[quality.Energy]) -> list[quality.Energy]:
    """Forward and backward rates of a pair hang together by detailed balance: one of them speaks."""
    first: dict[tuple[str, frozenset[str]], quality.Energy] = {}
    for one in energies:
        first.setdefault((one.model, one.sites), one)
    return list(first.values())


def _polarised(found: KineticFit | None, recycle_delay_s: float | None) -> FloatArray | None:
    """What each site had recovered when a scan began; None where T1s were not measured."""
    if found is None or recycle_delay_s is None or found.relaxation != "recovery":
        return None
    state = found.state
    return quality.polarisation(state.populations, state.kinetic, state.R1_per_s, recycle_delay_s)


def _row_sums(group: TemperatureFits) -> FloatArray | None:
    """Row sums of the normalised matrices by the exchange fit, shape (M, K); None without a fit."""
    if group.exchange is None:
        return None
    count, points = len(group.data.sites), len(group.data.points)
    predicted = group.exchange.fit.prediction[: points * count * count]
    return np.asarray(predicted.reshape(points, count, count).sum(axis=2), dtype=np.float64)


def _nulls(group: TemperatureFits) -> Iterable[ResultWarning]:
    """Pairs without resolved exchange: whether their sources could have shown any."""
    found = group.exchange
    if found is None:
        return
    k, k_se = found.rates()
    longest = max(group.data.points, key=lambda point: point.tmix_s)
    sites, error = group.data.sites, np.sqrt(np.diag(longest.covariance))
    seen = {
        site: float(longest.A[i, i] / error[i * len(sites) + i]) if error[i * len(sites) + i] > 0 else 0.0
        for i, site in enumerate(sites)
    }
    recovered = _polarised(found, longest.recycle_delay_s)
    polarised = {} if recovered is None else dict(zip(sites, recovered.tolist(), strict=True))
    for i, j in pairs(len(sites)):
        if k[i, j] < RESOLVED * k_se[i, j]:
            yield from quality.doubts_of_null((sites[i], sites[j]), seen, polarised, where=group.where)
