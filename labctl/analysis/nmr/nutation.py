"""The 90 degree pulse from a series of pulse lengths.

``I(p) = A sin(pi p / (2 p90)) exp(-p/tau)``: the damping is what the inhomogeneity of the coil's field leaves; it
is fitted only where three or more pulses beyond the first maximum can tell it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from labctl.analysis.nmr.basis import Real
from labctl.analysis.nmr.row_amplitudes import covariance_of, read_rows
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

_LEAST_PULSES = 4
_GRID = 200
_SIGNIFICANT = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseLength:
    """The 90 degree pulse [s]; errors are scaled by sqrt(chi2_red) where that exceeds 1.

    Attributes
    ----------
    decay_s : float or None
        Time constant of the damping; None where none is seen.
    intensities, intensity_se : tuple of float
        Summed over sites, counts per scan.
    """

    p90_s: float
    p90_se_s: float
    decay_s: float | None
    chi2_red: float
    pulses_s: tuple[float, ...]
    intensities: tuple[float, ...]
    intensity_se: tuple[float, ...]
    dataset: str
    warnings: tuple[str, ...] = ()


def fit_nutation(dataset: BrukerDataset, *, sites: Mapping[str, float] | None = None, name: str = "") -> PulseLength:
    """Return the 90 degree pulse of a nutation series (all sites together).

    Raises
    ------
    InputError
        No pulse list with the data, fewer than four pulses, or no data.
    """
    label = name or dataset.path.as_posix()
    if dataset.pulses_s is None:
        raise InputError(f"{label}: no pulse list is stored with the data", expected="vplist or lists/vp/<VPLIST>")
    rows = read_rows(dataset, sites=sites, name=label)
    count = min(rows.values.shape[0], len(dataset.pulses_s))
    pulses_s = np.array(dataset.pulses_s[:count])
    if np.unique(pulses_s).size < _LEAST_PULSES:
        raise InputError(f"{label}: {count} pulses are too few for amplitude and p90", expected="at least four")
    values = rows.values[:count].sum(axis=1)
    se = np.full(count, float(np.sqrt(np.sum(rows.se**2))))
    p90_s, p90_se_s, decay_s, chi2_red = _fit(pulses_s, values, se)
    shortest = int(np.argmin(np.where(pulses_s > 0, pulses_s, np.inf)))
    sign = 1.0 if np.sin(np.pi * pulses_s[shortest] / (2 * p90_s)) * values[shortest] >= 0 else -1.0
    warnings = list(rows.warnings)
    if pulses_s.max() < p90_s:
        warnings.append(f"the longest pulse {pulses_s.max() * 1e6:.3g} us is shorter than p90: it is extrapolated")
    if p90_se_s > 0.1 * p90_s:
        warnings.append(f"p90 is not resolved: {p90_s * 1e6:.3g} +- {p90_se_s * 1e6:.2g} us")
    return PulseLength(
        p90_s=p90_s,
        p90_se_s=p90_se_s,
        decay_s=decay_s,
        chi2_red=chi2_red,
        pulses_s=tuple(float(pulse) for pulse in pulses_s),
        intensities=tuple(float(sign * value) for value in values),
        intensity_se=tuple(float(error) for error in se),
        dataset=label,
        warnings=tuple(warnings),
    )


def _fit(pulses_s: Real, values: Real, se: Real) -> tuple[float, float, float | None, float]:
    """Return p90, its standard error, the damping time if significant, and chi2_red."""
    longest = float(pulses_s.max())

    def predicted(x: Real) -> Real:
        return np.asarray(
            x[0] * np.sin(np.pi * pulses_s / (2 * np.exp(x[1]))) * np.exp(-x[2] * pulses_s / longest), dtype=np.float64
        )

    best, start = np.inf, np.zeros(3)
    for p90 in np.geomspace(pulses_s[pulses_s > 0].min() / 2, 3 * longest, _GRID):
        shape = np.sin(np.pi * pulses_s / (2 * p90))
        if not (power := float(shape @ shape)) > 1e-6:
            continue
        amplitude = float(shape @ values) / power
        chi2 = float(np.sum(((values - amplitude * shape) / se) ** 2))
        if chi2 < best:
            best, start = chi2, np.array([amplitude, np.log(p90), 0.0])

    def solve(free: int) -> tuple[Real, Real, float]:
        def residual(x: Real) -> Real:
            full = start.copy()
            full[:free] = x
            return (predicted(full) - values) / se

        scale = np.array([max(abs(start[0]), 1e-300), 0.1, 1.0])[:free]
        found = optimize.least_squares(residual, start[:free], x_scale=scale, method="lm", xtol=1e-12, ftol=1e-12)
        cov = covariance_of(found.jac)
        return found.x, cov, 2.0 * float(found.cost) / max(1, values.size - free)

    x, cov, chi2_red = solve(2)
    decay_s = None
    if int(np.sum(pulses_s > np.exp(x[1]))) >= 3 and values.size > 4:
        damped, damped_cov, damped_chi2 = solve(3)
        if damped[2] > _SIGNIFICANT * np.sqrt(damped_cov[2, 2] * max(1.0, damped_chi2)):
            x, cov, chi2_red, decay_s = damped, damped_cov, damped_chi2, longest / float(damped[2])
    p90_s = float(np.exp(x[1]))
    return p90_s, p90_s * float(np.sqrt(cov[1, 1] * max(1.0, chi2_red))), decay_s, chi2_red
