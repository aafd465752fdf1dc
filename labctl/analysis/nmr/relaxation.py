"""T1 by saturation (or inversion) recovery, one value per site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from labctl.analysis.nmr.basis import Real
from labctl.analysis.nmr.lines import LineSet
from labctl.analysis.nmr.row_amplitudes import covariance_of, read_rows
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

MODEL = "M0 (1 - alpha exp(-t/T1))"

_LEAST_DELAYS = 4
_LEAST_FOR_TWO, _CHANCE = 7, 0.05
"""Delays that two exponentials need, and the chance below which what they leave counts as scatter."""
_SEEN = 6.0
"""Standard errors that the strongest row of a site must have: a line free to settle on noise finds about four."""
_GRID = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Recovery of one site, ``M0 (1 - alpha exp(-t/T1))``, by three-parameter least squares.

    Attributes
    ----------
    T1_se_s, M0_se, alpha_se : float
        Standard errors. Where the scatter exceeds the noise, they rest on the scatter (`relative_scatter`). Of a site
        that is not seen `T1_se_s` is no less than `T1_s`.
    M0 : float
        Counts per scan.
    chi2_red : float
        Over the noise alone.
    relative_scatter : float
        Scatter beyond the noise as a fraction of each intensity (gain, spinning, field between rows); 0 if none.
    intensities, intensity_se : tuple of float
        Counts per scan, for fits of all sites: errors include what scatters about two exponentials where there are
        several sites (exchange makes a recovery two of them), about one where there is one.
    """

    site: str
    ppm: float | None
    T_K: float | None
    T1_s: float
    T1_se_s: float
    M0: float
    M0_se: float
    alpha: float
    alpha_se: float
    chi2_red: float
    delays_s: tuple[float, ...]
    intensities: tuple[float, ...]
    intensity_se: tuple[float, ...]
    model: str
    dataset: str
    relative_scatter: float = 0.0
    warnings: tuple[str, ...] = ()


def fit_recovery(
    dataset: BrukerDataset,
    *,
    sites: Mapping[str, float] | None = None,
    lines: LineSet | None = None,
    T_K: float | None = None,
    name: str = "",
) -> tuple[Recovery, ...]:
    """Return one `Recovery` per site; with neither `sites` nor `lines` see `row_amplitudes.read_rows`.

    Rows that were not acquired are left out; four delays are the least.

    Raises
    ------
    InputError
        No delay list with the data, fewer than four rows, or no data.
    """
    label = name or dataset.path.as_posix()
    if dataset.delays_s is None:
        raise InputError(f"{label}: no delay list is stored with the data", expected="vdlist or lists/vd/<VDLIST>")
    rows = read_rows(dataset, sites=sites, lines=lines, name=label)
    count = min(rows.values.shape[0], len(dataset.delays_s))
    delays_s = np.array(dataset.delays_s[:count])
    if count < _LEAST_DELAYS or np.unique(delays_s).size < _LEAST_DELAYS:
        raise InputError(f"{label}: {count} delays are too few for M0, alpha and T1", expected="at least four")
    values = rows.values[:count]
    longest = int(np.argmax(delays_s))
    sign = 1.0 if values[longest].sum() >= 0 else -1.0
    return tuple(
        _recovery(
            delays_s,
            sign * values[:, j],
            float(rows.se[j]),
            site=site,
            ppm=rows.ppm[j],
            T_K=T_K,
            dataset=label,
            method=rows.method,
            warnings=rows.warnings,
            exchanging=len(rows.sites) > 1,
        )
        for j, site in enumerate(rows.sites)
    )


def _recovery(
    delays_s: Real,
    values: Real,
    noise: float,
    *,
    site: str,
    ppm: float | None,
    T_K: float | None,
    dataset: str,
    method: str,
    warnings: tuple[str, ...],
    exchanging: bool,
) -> Recovery:
    se = whole_se = np.full(values.size, noise)
    parameters, cov, chi2_red = fit_three_parameters(delays_s, values, se)
    noise_chi2_red, scatter = chi2_red, 0.0
    if chi2_red > 1.0:
        scatter = _excess_scatter(delays_s, values, se)
        se = whole_se = np.hypot(se, scatter * np.abs(values))
        if exchanging and values.size >= _LEAST_FOR_TWO:
            freedom = values.size - 5
            chance = special.gammaincc(
                freedom / 2, freedom / 2 * _two_exponentials(delays_s, values, np.full_like(se, noise))
            )
            about_two = 0.0
            if chance < _CHANCE:
                about_two = _least_scatter(lambda trial: _two_exponentials(delays_s, values, trial), values, noise)
            whole_se = np.hypot(noise, min(scatter, about_two) * np.abs(values))
        parameters, cov, chi2_red = fit_three_parameters(delays_s, values, se)
        cov = cov * max(1.0, chi2_red)
    M0, alpha, T1_s = parameters
    errors = np.sqrt(np.maximum(np.diag(cov), 0.0))
    doubts = list(warnings)
    strongest = float(np.max(np.abs(values)) / noise)
    if strongest < _SEEN:
        errors[2] = max(errors[2], T1_s)
        doubts.append(f"{site} is not seen (strongest row {strongest:.1f} standard errors): its T1 says nothing")
    elif T1_s > delays_s.max():
        doubts.append(f"the longest delay {delays_s.max():.3g} s is shorter than T1; T1 and M0 are hard to tell apart")
    elif delays_s.max() < 3 * T1_s:
        doubts.append(f"the longest delay {delays_s.max():.3g} s is less than 3 T1: M0 is extrapolated")
    if errors[2] > 0.5 * T1_s:
        doubts.append(f"T1 is not resolved: {T1_s:.3g} +- {errors[2]:.2g} s")
    if noise_chi2_red > 2.0:
        doubts.append(
            f"one exponential leaves {scatter:.1%} beyond the noise (chi2_red {noise_chi2_red:.2g}): scatter, or "
            "exchange during the recovery, which the fit of all sites allows for"
        )
    return Recovery(
        site=site,
        ppm=ppm,
        T_K=T_K,
        T1_s=float(T1_s),
        T1_se_s=float(errors[2]),
        M0=float(M0),
        M0_se=float(errors[0]),
        alpha=float(alpha),
        alpha_se=float(errors[1]),
        chi2_red=float(noise_chi2_red),
        delays_s=tuple(float(delay) for delay in delays_s),
        intensities=tuple(float(value) for value in values),
        intensity_se=tuple(float(error) for error in whole_se),
        model=f"{MODEL}; {method}",
        dataset=dataset,
        relative_scatter=float(scatter),
        warnings=tuple(doubts),
    )


def fit_three_parameters(delays_s: Real, values: Real, se: Real) -> tuple[Real, Real, float]:
    """Return (M0, alpha, T1), their covariance from `se`, and chi2_red.

    M0 and M0 alpha enter linearly: a grid of T1 finds the basin, least squares in (M0, M0 alpha, ln T1) the bottom.
    """
    positive = delays_s[delays_s > 0]
    grid = np.geomspace(positive.min() / 5, delays_s.max() * 10, _GRID)
    weight = 1.0 / se**2
    decay = np.exp(-delays_s / grid[:, None])
    s0, s1, s2 = weight.sum(), decay @ weight, decay**2 @ weight
    v0, v1 = values @ weight, decay @ (values * weight)
    determinant = np.maximum(s0 * s2 - s1**2, 1e-12 * s0 * s2)
    plateau, lost = (s2 * v0 - s1 * v1) / determinant, (s1 * v0 - s0 * v1) / determinant
    chi2 = (values - plateau[:, None] + lost[:, None] * decay) ** 2 @ weight
    at = int(np.argmin(chi2))
    start = np.array([plateau[at], lost[at], np.log(grid[at])])

    def residual(x: Real) -> Real:
        return np.asarray((x[0] - x[1] * np.exp(-delays_s / np.exp(x[2])) - values) / se, dtype=np.float64)

    def jacobian(x: Real) -> Real:
        rate = delays_s / np.exp(x[2])
        columns = [np.ones_like(rate), -np.exp(-rate), -x[1] * np.exp(-rate) * rate]
        return np.asarray(np.stack(columns, axis=1) / se[:, None], dtype=np.float64)

    scale = np.array([max(abs(start[0]), 1e-300), max(abs(start[1]), 1e-300), 1.0])
    lower = np.array([-np.inf, -np.inf, np.log(grid[0] / 10)])
    upper = np.array([np.inf, np.inf, np.log(grid[-1] * 10)])
    found = optimize.least_squares(residual, start, jac=jacobian, x_scale=scale, bounds=(lower, upper), method="trf")
    M0, M0_alpha, T1 = found.x[0], found.x[1], float(np.exp(found.x[2]))
    cov = covariance_of(found.jac)
    turn = np.array([[1.0, 0.0, 0.0], [-M0_alpha / M0**2, 1.0 / M0, 0.0], [0.0, 0.0, T1]])
    chi2_red = 2.0 * float(found.cost) / max(1, delays_s.size - 3)
    return np.array([M0, M0_alpha / M0, T1]), np.asarray(turn @ cov @ turn.T, dtype=np.float64), chi2_red


def _excess_scatter(delays_s: Real, values: Real, se: Real) -> float:
    """Relative scatter about one exponential that brings chi2_red to 1."""
    return _least_scatter(lambda trial: fit_three_parameters(delays_s, values, trial)[2], values, float(se[0]))


def _least_scatter(chi2_red: Callable[[Real], float], values: Real, noise: float) -> float:
    """Relative scatter that brings chi2_red to 1: it goes with the signal, as gain and spinning do; 0 if none does."""

    def excess(scatter: float) -> float:
        return chi2_red(np.hypot(noise, scatter * np.abs(values))) - 1.0

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-3)) if excess(1.0) < 0 else 1.0


def _two_exponentials(delays_s: Real, values: Real, se: Real) -> float:
    """Return chi2_red of ``M0 - a exp(-t/T) - b exp(-t/T')``, T and T' from a grid, the rest by least squares."""
    positive = delays_s[delays_s > 0]
    decay = np.exp(-delays_s / np.geomspace(positive.min() / 3, delays_s.max() * 3, 24)[:, None]) / se
    first, second = np.triu_indices(len(decay), 1)
    design = np.stack([np.broadcast_to(1 / se, (first.size, se.size)), decay[first], decay[second]], axis=2)
    q, _ = np.linalg.qr(design)
    data = values / se
    explained = np.sum((np.swapaxes(q, 1, 2) @ data) ** 2, axis=1)
    return float(data @ data - explained.max()) / max(1, values.size - 5)
