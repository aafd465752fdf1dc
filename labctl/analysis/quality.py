"""What a careful referee asks of EXSY data: each doubt with its number and what to do, and silence where all is well.

Pure functions on numbers; `labctl.analysis.examine` brings them together for a campaign. Thresholds are those of
`Thresholds` or stand beside the function that uses them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.buildup import EARLY_PART, MixingPoint
from labctl.analysis.exchange import mixing_matrix, pairs
from labctl.analysis.results import ResultWarning

FloatArray = NDArray[np.float64]

SURE = 3.0
"""Standard errors beyond which a deviation is told."""
ROW_SUM = 0.02
"""Least change of a row sum worth telling, as a fraction of it."""
DRIFT = 0.03
"""Least change of sensitivity over a series worth telling."""
POLARISED, SEEN = 0.3, 10.0
"""A null result needs a source that had this part of its magnetisation, and a diagonal of so many standard errors."""
ABUNDANT = ("1H", "19F", "7Li", "23Na", "27Al", "31P")
"""Nuclei whose dipolar couplings can carry magnetisation without any atom moving."""
FRICTION_K = 10.0
"""How far a sample spun at 10 kHz in a 4 mm rotor is hotter than its bearing gas (bench practice: about 9 K)."""
DEFAULT_MASR_HZ = (4200.0, 5000.0)


def polarisation(
    populations: FloatArray, fluxes: FloatArray, R1_per_s: FloatArray, recycle_delay_s: float
) -> FloatArray:
    """Return the part of its equilibrium magnetisation that each site has after the recycle delay, shape (K,).

    ``1 - sum_j G_ij(d1) / p_i``: saturation by the read pulse, relaxation and exchange during the delay.
    """
    left = mixing_matrix(np.array([recycle_delay_s]), populations, fluxes, R1_per_s)[0]
    recovered: FloatArray = 1.0 - left @ np.ones(populations.size) / populations
    return recovered


def doubts_of_asymmetry(
    point: MixingPoint, sites: Sequence[str], *, polarised: FloatArray | None = None, limit_sigma: float = SURE
) -> Iterable[ResultWarning]:
    """Cross peaks that differ by more than the T1s and the recycle delay make them differ.

    Symmetric for any T1 when all sites start fully recovered; otherwise ``A_ij / A_ji`` is the ratio of what sites i
    and j had recovered (`polarised`, from `polarisation`).
    """
    count = len(sites)
    share = np.ones(count) if polarised is None else polarised
    for i, j in pairs(count):
        gradient = np.zeros(count * count)
        gradient[i * count + j], gradient[j * count + i] = 1.0 / share[i], -1.0 / share[j]
        error = float(np.sqrt(max(0.0, float(gradient @ point.covariance @ gradient))))
        sigma = float(gradient @ point.A.ravel()) / error if error > 0 else 0.0
        if abs(sigma) <= limit_sigma:
            continue
        ratio = float(point.A[i, j] / point.A[j, i]) if point.A[j, i] else np.inf
        where = f"at Tmix {point.tmix_s:g} s"
        if polarised is None:
            said = f"cross peaks {sites[i]}-{sites[j]} differ by {abs(sigma):.1f} standard errors (ratio {ratio:.3f})"
            advice = (
                "unequal T1 with a short recycle delay makes this, and so does a phase error; measure T1 of each site: "
                "cross peaks of fully recovered sites are symmetric for any T1"
            )
        else:
            said = (
                f"cross peaks {sites[i]}-{sites[j]} have a ratio of {ratio:.3f} where T1 and recycle delay explain "
                f"{share[i] / share[j]:.3f}; {abs(sigma):.1f} standard errors are left"
            )
            advice = "look at the phase and at pulses that miss a site; T1 does not explain it"
        yield ResultWarning(
            code="asymmetry", message=f"{said} {where}", advice=advice, where=point.dataset, value=sigma
        )


def doubts_of_row_sums(
    data: Sequence[MixingPoint], sites: Sequence[str], expected: FloatArray | None = None, *, misfit: float = 1.0
) -> Iterable[ResultWarning]:
    """Sources whose signal changes with Tmix otherwise than relaxation says: a peak is lost, or one is missing.

    Parameters
    ----------
    expected : ndarray, shape (M, K), optional
        Row sums of the normalised matrices by the fitted model; without, they should be the same at every Tmix.
    misfit : float
        What chi2 of that model scales errors by: a model that is wrong anyhow must not pass for a lost peak.
    """
    count = len(sites)
    summing = np.kron(np.eye(count), np.ones(count))
    found = [(summing @ a.ravel(), summing @ C @ summing.T) for a, C in (point.normalised() for point in data)]
    sums = np.array([one for one, _ in found])
    errors = misfit * np.sqrt(np.array([np.clip(np.diag(C), 1e-300, None) for _, C in found]))
    if expected is None:
        weight = 1.0 / errors**2
        expected = np.broadcast_to((sums * weight).sum(axis=0) / weight.sum(axis=0), sums.shape)
    for i, site in enumerate(sites):
        off = sums[:, i] - expected[:, i]
        at = int(np.argmax(np.abs(off) / errors[:, i]))
        sigma, part = float(off[at] / errors[at, i]), float(off[at] / expected[at, i])
        if abs(sigma) > SURE + 1 and abs(part) > ROW_SUM:
            yield ResultWarning(
                code="row_sum",
                message=f"all that left {site} is off by {100 * part:+.1f} % from what populations and T1 say, at Tmix "
                f"{data[at].tmix_s:g} s ({abs(sigma):.1f} standard errors)",
                advice="a site may be missing from the list, or T1 of the sites differ more than was assumed",
                where=data[at].dataset,
                value=part,
            )


def doubts_of_drift(
    tmix_s: FloatArray, started_s: FloatArray, total: FloatArray, total_se: FloatArray, *, where: str = ""
) -> Iterable[ResultWarning]:
    """Sensitivity that changed between the first and the last 2D of a temperature.

    ``ln total = a - Tmix/T1 + b (t - <t>)``, weighted; the scatter around it counts as noise where it is larger.
    Four 2Ds are the least, and an order of Tmix that is not a trend in time (palindrome) tells the two apart.
    """
    good = total > SURE * total_se
    if good.sum() < 4 or float(np.ptp(started_s[good])) <= 0:
        return
    elapsed = started_s[good] - started_s[good].min()
    span_s = float(elapsed.max())
    design = np.stack([np.ones(int(good.sum())), tmix_s[good], elapsed / span_s - float(np.mean(elapsed / span_s))]).T
    weight = total[good] / total_se[good]
    y = np.log(total[good])
    if np.linalg.matrix_rank(design) < 3:
        return
    cov = np.linalg.inv((design * weight[:, None] ** 2).T @ design)
    found = cov @ (design * weight[:, None] ** 2).T @ y
    chi2 = float(np.sum((weight * (y - design @ found)) ** 2))
    error = float(np.sqrt(cov[2, 2] * max(1.0, chi2 / max(1, int(good.sum()) - 3))))
    if abs(found[2]) > SURE * error and abs(found[2]) > DRIFT:
        yield ResultWarning(
            code="drift_sensitivity",
            message=f"all intensity together changed by {100 * float(np.expm1(found[2])):+.1f} +- {100 * error:.1f} % "
            f"from the first to the last 2D ({span_s / 3600:.1f} h), relaxation during Tmix allowed for",
            advice="matrices divided by their sums do not suffer unless lines drifted too; look at tuning and gain",
            where=where,
            value=float(found[2]),
        )


def doubts_of_field(shifts_Hz: Sequence[float], fwhm_Hz: float, *, where: str = "") -> Iterable[ResultWarning]:
    """2Ds whose lines moved together by more than half the narrowest line: the field drifted."""
    if not shifts_Hz:
        return
    span = float(np.ptp(np.append(np.asarray(shifts_Hz, dtype=np.float64), 0.0)))
    if span > 0.5 * fwhm_Hz:
        yield ResultWarning(
            code="drift_field",
            message=f"lines moved by {span:.1f} Hz over the 2Ds of one temperature, the narrowest being {fwhm_Hz:.1f} "
            "Hz wide; each 2D was fitted where its lines were",
            advice="within one 2D the same drift bends F1: settle longer, or split long 2Ds",
            where=where,
            value=span,
        )


def doubts_of_early_slope(
    pair: str, slope: float, slope_se: float, *, favoured: str = "", where: str = ""
) -> Iterable[ResultWarning]:
    """An early slope d ln A / d ln Tmix that no model has, or not the favoured one.

    1/2 is diffusion through perfect contact, 1 discrete exchange or a resisting interface, more a lag.
    """
    text, advice = "", ""
    if slope < 0.5 - SURE * slope_se:
        text = "below 1/2, which no exchange from a clean start can have"
        advice = "tails of strong lines leak into the cross peak, or part of it was there at Tmix = 0: check the shapes"
    elif slope > 1.0 + SURE * slope_se:
        text = "above 1: the peak starts late, as one does that is fed through a third phase"
        advice = "look for the site in between; a model of this pair alone has no meaning"
    elif favoured == "exchange" and slope < 1.0 - SURE * slope_se:
        text = "below the 1 of discrete exchange, which was favoured"
        advice = "diffusion makes 1/2: add mixing times below the bend before choosing"
    elif favoured == "layered" and slope > 0.5 + SURE * slope_se:
        text = "above the 1/2 of diffusion through perfect contact"
        advice = "an interface that resists makes 1: add mixing times below the bend before choosing"
    if text:
        yield ResultWarning(
            code="early_slope",
            message=f"{pair} grows as Tmix to the {slope:.2f} +- {slope_se:.2f}, {text}",
            advice=advice,
            where=where,
            value=slope,
        )


def doubts_of_lag(
    pair: str,
    tmix_s: FloatArray,
    cross: FloatArray,
    cross_se: FloatArray,
    plateau: float,
    *,
    between: Sequence[str] = (),
    where: str = "",
) -> Iterable[ResultWarning]:
    """A cross peak that starts late: straight line through its early points, ``A = b (Tmix - lag)``, three at least."""
    early = cross < EARLY_PART * plateau
    if len(set(tmix_s[early].tolist())) < 3:
        return
    x, y, weight = tmix_s[early], cross[early], 1.0 / cross_se[early] ** 2
    design = np.stack([np.ones_like(x), x]).T
    cov = np.linalg.inv((design * weight[:, None]).T @ design)
    level, slope = cov @ (design * weight[:, None]).T @ y
    if slope < SURE * np.sqrt(cov[1, 1]):
        return
    lag = -level / slope
    gradient = np.array([-1.0 / slope, level / slope**2])
    lag_se = float(np.sqrt(gradient @ cov @ gradient))
    if lag > SURE * lag_se:
        through = f" through {' or '.join(between)}" if between else ""
        yield ResultWarning(
            code="lag",
            message=f"{pair} starts {lag:.3g} +- {lag_se:.2g} s late: it is fed{through}, not directly",
            advice="fit all sites together; the rate of this pair alone is that of the path in between",
            where=where,
            value=float(lag),
        )


def doubts_of_folding(
    increment_s: float, spinning_Hz: float | None, fwhm_Hz: float, *, where: str = ""
) -> Iterable[ResultWarning]:
    """F1 sidebands that do not fold onto their lines because the increment is no whole number of rotor periods."""
    if not spinning_Hz or not increment_s or spinning_Hz in DEFAULT_MASR_HZ:
        return
    periods = increment_s * spinning_Hz
    off_Hz = abs(periods - round(periods)) / increment_s
    if off_Hz > 0.5 * fwhm_Hz:
        n = max(1, round(periods))
        yield ResultWarning(
            code="not_rotor_synchronous",
            message=f"the increment {1e6 * increment_s:g} us is {periods:.4g} rotor periods at {spinning_Hz:g} Hz: "
            f"sidebands of F1 fold {off_Hz:.0f} Hz beside their lines and can pass for cross peaks",
            advice=f"use {1e6 * n / spinning_Hz:.6g} us, or spin at {n / increment_s:.6g} Hz",
            where=where,
            value=off_Hz,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """An activation energy for comparison: `sites` are those it is about, `model` the fits it rests on."""

    quantity: str
    sites: frozenset[str]
    model: str
    convention: str
    Ea_eV: float
    Ea_se_eV: float


def doubts_of_differences(energies: Sequence[Energy]) -> Iterable[ResultWarning]:
    """Activation energies of different pairs that the errors cannot tell apart."""
    for one, other in combinations(energies, 2):
        if (one.model, one.convention) != (other.model, other.convention) or one.sites == other.sites:
            continue
        error = float(np.hypot(one.Ea_se_eV, other.Ea_se_eV))
        gap = abs(one.Ea_eV - other.Ea_eV)
        if error > 0 and gap < 2.0 * error:
            yield ResultWarning(
                code="Ea_not_distinct",
                message=f"Ea of {one.quantity} ({one.Ea_eV:.3f} +- {one.Ea_se_eV:.3f} eV) and of {other.quantity} "
                f"({other.Ea_eV:.3f} +- {other.Ea_se_eV:.3f} eV) differ by {gap / error:.1f} standard errors",
                advice=f"call them neither different nor equal: only a difference above {2 * error:.3f} eV would show",
                where=one.model,
                value=gap / error,
            )


def doubts_of_temperature(
    T_K: Sequence[float], calibrated: Sequence[bool], energies: Sequence[Energy], *, spinning_Hz: float | None = None
) -> Iterable[ResultWarning]:
    """Temperatures that are the sensor's and not the sample's, with what friction does to an activation energy."""
    bare = [T for T, known in zip(T_K, calibrated, strict=True) if not known]
    if not bare or len(set(T_K)) < 2:
        return
    mean = float(np.mean(T_K))
    warmer = FRICTION_K * (1.0 if not spinning_Hz else (spinning_Hz / 10_000.0) ** 2)
    trusted = [one for one in energies if one.model != "product" and one.Ea_eV > 2.0 * one.Ea_se_eV]
    part = ((mean + warmer) / mean) ** 2 - 1.0
    largest = max((one.Ea_eV for one in trusted), default=None)
    moved = part if largest is None else largest * part
    effect = (
        f"every Ea would be {100 * part:.0f} % larger"
        if largest is None
        else f"Ea = {largest:.3f} eV would be {largest + moved:.3f} eV"
    )
    yield ResultWarning(
        code="temperature_uncalibrated",
        message=f"{len(bare)} of {len(T_K)} temperatures are the console's sensor, not the sample: were the sample "
        f"{warmer:.0f} K warmer by friction, {effect}",
        advice="calibrate with a nucleus that tells its temperature (207Pb nitrate, KBr) at this spinning rate",
        value=moved,
    )


def doubts_of_spin_diffusion(
    nucleus: str, energies: Sequence[Energy], *, temperatures: int, spinning_Hz: float | None = None
) -> Iterable[ResultWarning]:
    """Cross peaks that spin diffusion could make as well: it needs no motion, so it hardly depends on temperature."""
    solid = bool(spinning_Hz) and spinning_Hz not in DEFAULT_MASR_HZ
    for one in energies:
        if one.model == "exchange" and one.Ea_eV < 2.0 * one.Ea_se_eV:
            yield ResultWarning(
                code="spin_diffusion",
                message=f"{one.quantity} hardly depends on temperature (Ea {one.Ea_eV:.3f} +- {one.Ea_se_eV:.3f} eV): "
                "spin diffusion would look the same",
                advice="repeat one point at another spinning rate, or on a mixture without contact",
                where=one.model,
                value=one.Ea_eV,
            )
    if temperatures < 2 and solid and nucleus in ABUNDANT:
        yield ResultWarning(
            code="spin_diffusion",
            message=f"{nucleus} at {temperatures} temperature only: exchange and spin diffusion cannot be told apart",
            advice="measure a second temperature, or another spinning rate",
            value=float(temperatures),
        )


def doubts_of_null(
    pair: tuple[str, str], diagonal_sigma: Mapping[str, float], polarised: Mapping[str, float], *, where: str = ""
) -> Iterable[ResultWarning]:
    """A cross peak that was not found although its source could not have shown one: that is no null result.

    Parameters
    ----------
    diagonal_sigma : mapping of site to float
        Diagonal peak over its standard error, at the longest Tmix.
    polarised : mapping of site to float
        Part of its equilibrium magnetisation that a site had when a scan began; missing where T1 is unknown.
    """
    name = "-".join(pair)
    for site in pair:
        if diagonal_sigma[site] < SEEN:
            yield ResultWarning(
                code="no_null_result",
                message=f"no exchange {name} was found, but {site} itself stood only "
                f"{max(0.0, diagonal_sigma[site]):.1f} standard errors above the noise at the longest Tmix",
                advice="this says nothing about exchange: more scans, or a Tmix shorter than T1",
                where=where,
                value=diagonal_sigma[site],
            )
        elif site not in polarised:
            yield ResultWarning(
                code="no_null_result",
                message=f"no exchange {name} was found, and T1 of {site} is not known: it may have been saturated",
                advice="measure T1 of this site",
                where=where,
                value=None,
            )
        elif polarised[site] < POLARISED:
            yield ResultWarning(
                code="no_null_result",
                message=f"no exchange {name} was found, but {site} had recovered only {100 * polarised[site]:.0f} % "
                "when a scan began",
                advice="lengthen the recycle delay to this site's T1",
                where=where,
                value=polarised[site],
            )
