"""The lines that all mixing times of one temperature share: where they are, how wide, and in which phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labctl.analysis.nmr.basis import Real, Shape, f2_basis, voigt_fwhm_Hz
from labctl.analysis.nmr.doubt import Doubt
from labctl.analysis.nmr.drift import Drift, fit_drift, without_drift
from labctl.analysis.nmr.empirical import SHAPE
from labctl.analysis.nmr.joint_fit import SHIFT, SITES, JointFit, fit_jointly
from labctl.analysis.nmr.lasting import LASTING, Lasting
from labctl.analysis.nmr.peaks import coarse_shape, find_peaks
from labctl.analysis.nmr.rows import Rows, prepare
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset

SHIFT_PPM = 0.3
"""How far all lines together may have moved from where they were said to be (temperature, field, referencing)."""

DECAYED = 2.5
"""Data are fitted until ``DECAYED / FWHM`` of the narrowest line: exp(-pi 2.5) = 0.0004 of it is left then."""

_SIGNIFICANT = 4.0
"""A phase, an origin or a Gaussian part stays only when it exceeds so many standard errors."""
_HINT = 2.5
"""Standard errors from which a width that t1 and t2 share is worth a closer look; chi2 judges it then."""
_WORST_CHI2 = 1.5
SHAPE_ADVICE = "look at the residual map: a site may be missing, or the phase or the shape is another"
_WORST_CONDITION = 30.0
_SEEN = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One spectral site.

    Attributes
    ----------
    ppm, offset_Hz : float
        Position; offset from the carrier.
    lorentz_Hz, gauss_Hz : float
        FWHM of the two parts: it decays as ``exp(-pi L t - (pi G t)^2 / (4 ln 2))``.
    fwhm_Hz : float
        Of the whole (Voigt) line.
    inhomogeneous_Hz, inhomogeneous_se_Hz : float
        Hint: FWHM of the part of the width that t1 and t2 share, to first order; 0 where not significant. Where
        it is a large part of `fwhm_Hz`, separable line shapes read the diagonal wrong by several percent.
    """

    name: str
    ppm: float
    offset_Hz: float
    offset_se_Hz: float
    lorentz_Hz: float
    gauss_Hz: float
    fwhm_Hz: float
    fwhm_se_Hz: float
    inhomogeneous_Hz: float = 0.0
    inhomogeneous_se_Hz: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LineSet:
    """Lines of one temperature with the phases they share.

    Attributes
    ----------
    lines : tuple of Line
        In the order given; found lines by falling intensity (population).
    shape : Shape
        The same as arrays, with phases and time origins, for the bases.
    datasets : tuple of str
        Folders of the datasets they were fitted to, posix.
    shifts_Hz : tuple of float
        How far each of them lies from the first in frequency (a field without lock drifts); 0 where that is not
        significant.
    t2_end_s : float
        Where the narrowest line has decayed; later points hold noise.
    free : tuple of str
    cov : ndarray
        Free parameters of the joint fit (``offset_Hz/0``, ..., ``phase_rad``) and their covariance from the noise.
    chi2_red : float
        Residual of the joint fit over its noise.
    lasting : Lasting or None
        Parts of the widths that t1 and t2 share, where they were fitted; amplitudes then allow for them.
    drifts : tuple of (Drift or None)
        How the field moved while each of `datasets` was acquired, where that shows; `rows_of` has taken it off.
    warnings : tuple of str
        What a careful referee would raise (overlap, shape, a site that is not seen...).
    """

    lines: tuple[Line, ...]
    shape: Shape
    datasets: tuple[str, ...]
    shifts_Hz: tuple[float, ...]
    t2_end_s: float
    free: tuple[str, ...]
    cov: Real
    chi2_red: float
    lasting: Lasting | None = None
    warnings: tuple[str, ...] = ()
    drifts: tuple[Drift | None, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites."""
        return tuple(line.name for line in self.lines)

    def index_of(self, dataset: BrukerDataset) -> int | None:
        """Place of a dataset among those that were fitted; None for any other."""
        path = dataset.path.as_posix()
        return self.datasets.index(path) if path in self.datasets else None

    def shape_of(self, dataset: BrukerDataset) -> Shape:
        """Return the lines as they lie in one dataset; in one that was not fitted, as in the first."""
        index = self.index_of(dataset)
        return self.shape if index is None else self.shape.shifted(self.shifts_Hz[index])

    def rows_of(self, dataset: BrukerDataset, *, name: str = "") -> Rows:
        """Return the rows of a dataset as the fits see them, up to where lines have decayed, without field drift."""
        return without_drift(prepare(dataset, t2_end_s=self.t2_end_s, name=name), self.drift_of(dataset))

    def drift_of(self, dataset: BrukerDataset) -> Drift | None:
        """Return how the field moved while a dataset was acquired; None where that does not show, or is not known."""
        index = self.index_of(dataset)
        return self.drifts[index] if index is not None and self.drifts else None

    def reordered(self, order: Sequence[int], names: Sequence[str]) -> LineSet:
        """Return the same lines in another order under new names; matrices read before must be reordered alike."""
        rank = {int(old): new for new, old in enumerate(order)}
        free = tuple(_renumbered(name, rank) for name in self.free)
        at = np.array(order, dtype=np.intp)
        return replace(
            self,
            lines=tuple(replace(self.lines[old], name=name) for old, name in zip(order, names, strict=True)),
            shape=self.shape.ordered(at),
            free=free,
            lasting=None
            if self.lasting is None
            else Lasting(lorentz_Hz=self.lasting.lorentz_Hz[at], gauss2_Hz2=self.lasting.gauss2_Hz2[at]),
        )


def _renumbered(name: str, rank: Mapping[int, int]) -> str:
    """Return a parameter's name with its site under another number: ``offset_Hz/0``, ``shape_re/0/3``; or as it is."""
    key, *index = name.split("/")
    return "/".join([key, str(rank[int(index[0])]), *index[1:]]) if key in (*SITES, *LASTING, *SHAPE) else name


def find_lines(datasets: Sequence[BrukerDataset], *, most: int = 6) -> tuple[float, ...]:
    """Return chemical shifts [ppm] of the lines seen in the summed power spectra, strongest first; may be empty."""
    rows = [prepare(dataset) for dataset in datasets]
    return tuple(datasets[0].ppm(offset) for offset in find_peaks(rows, most=most))


def refine_lines(datasets: Sequence[BrukerDataset], *, sites: Mapping[str, float] | None = None) -> LineSet:
    """Return the lines shared by `datasets` (all of one temperature and one pulse program).

    Offsets, widths and the common phase are fitted to all datasets at once (variable projection; amplitudes are
    each dataset's own). A Gaussian part, a first-order phase of F2, phase and origin of F1, and a common shift of
    each dataset against the first (field drift) are tried, and kept where they exceed four standard errors.

    Parameters
    ----------
    datasets : sequence of BrukerDataset
        2Ds of all mixing times; or 1Ds; or list experiments.
    sites : mapping of name to ppm, optional
        Where to start; found from the data when not given.

    Raises
    ------
    InputError
        Nothing to fit, datasets that cannot share a phase, no line found, lines that coincide; and for 2Ds, named
        sites none of which is seen near where it was said to be.
    """
    rows = [prepare(dataset) for dataset in datasets]
    if len({one.group for one in rows}) != 1 or len({one.t1_s is None for one in rows}) != 1:
        programs = ", ".join(sorted({one.group for one in rows})) or "none"
        raise InputError(f"lines can only be shared by datasets of one pulse program, got: {programs}")
    first = datasets[0]
    if sites:
        names, offsets = tuple(sites), np.array([first.offset_Hz(ppm) for ppm in sites.values()])
        shift_Hz = SHIFT_PPM * first.reference_MHz
        if len(offsets) > 1:
            shift_Hz = min(shift_Hz, 0.4 * float(np.min(np.diff(np.sort(offsets)))))
    else:
        offsets = np.array(find_peaks(rows, most=6))
        names, shift_Hz = tuple(f"site {j + 1}" for j in range(offsets.size)), 0.0
        if offsets.size == 0:
            raise InputError(f"{rows[0].dataset}: no line stands out of the noise", next_step="Name the sites in ppm")
    start = coarse_shape(rows, offsets, shift_Hz=shift_Hz)
    warnings: list[str] = []
    reach_Hz = SHIFT_PPM * first.reference_MHz if sites else np.inf
    fit, t2_end_s, drifts = _fit(rows, start, names, warnings, reach_Hz)
    rows = [without_drift(one, drift) for one, drift in zip(rows, drifts, strict=True)]
    fit = _positive(fit)
    is_2d = rows[0].t1_s is not None
    if sites and (is_2d or fit.chi2_red > _WORST_CHI2):  # a weak line hardly shows in the chi2 of so many points
        warnings.extend(_unlisted(fit, rows, first))
    fit = _as_said(fit, offsets, is_2d=is_2d) if sites else _by_intensity(fit, is_2d=is_2d)
    lines = tuple(_line(fit, j, name, first) for j, name in enumerate(names))
    warnings.extend(_doubts(fit, lines, rows))
    return LineSet(
        lines=lines,
        shape=fit.shape,
        datasets=tuple(dataset.path.as_posix() for dataset in datasets),
        shifts_Hz=tuple(float(shift) for shift in fit.shifts_Hz),
        t2_end_s=t2_end_s,
        free=fit.names,
        cov=fit.cov,
        chi2_red=fit.chi2_red,
        warnings=tuple(warnings),
        drifts=drifts,
    )


def _fit(
    rows: Sequence[Rows], start: Shape, names: Sequence[str], warnings: list[str], reach_Hz: float
) -> tuple[JointFit, float, tuple[Drift | None, ...]]:
    """Return the fit, the end of t2 and the drifts; no line of a 2D may be off by over `reach_Hz` and half a width.

    Three passes: Lorentzian lines in one phase; everything that might be needed; what of it is significant.
    """
    seen = list(range(len(names)))
    first = fit_jointly(_cropped(rows, start)[0], start, _base(seen))
    is_2d = rows[0].t1_s is not None
    strength = _strength(first, is_2d=is_2d)
    absent = [j for j in seen if strength[j] < _SEEN or (is_2d and _astray(first.shape, start, j, reach_Hz))]
    if is_2d and len(absent) == len(names) and np.isfinite(reach_Hz):
        raise InputError(_none_is_there(rows, names, strength), next_step="Check the list of sites, or add scans")
    if absent and len(absent) < len(names):
        warnings.extend(
            Doubt(
                f"{names[j]} is not seen (strongest peak {strength[j]:.1f} standard errors); its line was held where "
                "it was said to be",
                float(strength[j]),
                "check its shift, or take it off the list",
            )
            for j in absent
        )
        seen = [j for j in seen if j not in absent]
        start = replace(start, lorentz_Hz=np.full(len(names), float(np.median(first.shape.lorentz_Hz[seen]))))
        first = fit_jointly(_cropped(rows, start)[0], start, _base(seen))
    if not is_2d:
        warnings.extend(
            Doubt(
                f"{names[j]} was said to be {abs(float(first.shape.offset_Hz[j] - start.offset_Hz[j])):.0f} Hz from "
                "the line that was read for it",
                float(first.shape.offset_Hz[j] - start.offset_Hz[j]),
                "check its shift",
            )
            for j in seen
            if _astray(first.shape, start, j, reach_Hz)
        )
    drifts = tuple(fit_drift(one, first.shape) for one in _cropped(rows, first.shape)[0])
    warnings.extend(_drifted(rows, drifts, first.shape))
    rows = [without_drift(one, drift) for one, drift in zip(rows, drifts, strict=True)]
    base = _base(seen)
    cropped, t2_end_s = _cropped(rows, first.shape)
    extra = [f"gauss2_Hz2/{j}" for j in seen]
    extra += ["t1_phase_rad"] * is_2d + (["t2_origin_s"] + ["t1_origin_s"] * is_2d) * (len(seen) > 1)
    shifts = [f"{SHIFT}/{d}" for d in range(1, len(rows))]
    full = fit_jointly(cropped, first.shape, base + extra + shifts)
    scale = math.sqrt(max(1.0, full.chi2_red))
    drifted = any(abs(full.shifts_Hz[d]) > _SIGNIFICANT * scale * full.se(f"{SHIFT}/{d}") for d in range(1, len(rows)))
    if not drifted:
        shifts = []
    kept = [name for name in extra if abs(_value(full.shape, name)) > _SIGNIFICANT * scale * full.se(name) > 0]
    dropped = [name for name in extra if name not in kept]
    held = full.shifts_Hz if drifted else np.zeros(len(rows))
    return fit_jointly(cropped, _without(full.shape, dropped), base + kept + shifts, shifts_Hz=held), t2_end_s, drifts


def _drifted(rows: Sequence[Rows], drifts: Sequence[Drift | None], shape: Shape) -> list[Doubt]:
    """What to say of a field that moved by more than a tenth of the narrowest line while a 2D was acquired."""
    spans_Hz = [
        0.0 if drift is None else drift.span_Hz(one.signal.shape[0]) for one, drift in zip(rows, drifts, strict=True)
    ]
    worst = int(np.argmax(spans_Hz))
    moved = sum(span_Hz > 0.1 * float(shape.lorentz_Hz.min()) for span_Hz in spans_Hz)
    if not moved:
        return []
    return [
        Doubt(
            f"the field moved during {moved} of {len(rows)} 2Ds, by {spans_Hz[worst]:.1f} Hz while "
            f"{rows[worst].dataset} was acquired: allowed for",
            spans_Hz[worst],
            "settle longer, or split long 2Ds; a program that takes no account of it reads broader lines",
        )
    ]


def _base(seen: Sequence[int]) -> list[str]:
    return [f"{key}/{j}" for key in ("offset_Hz", "lorentz_Hz") for j in seen] + ["phase_rad"]


def _strength(fit: JointFit, *, is_2d: bool) -> Real:
    """Largest amplitude of each site over its standard error, shape (K,).

    Below `_SEEN` it is no more than what a line that is free to settle on noise would find there.
    """
    strength = np.zeros(fit.shape.offset_Hz.size)
    for amplitudes, se in zip(fit.amplitudes, fit.amplitude_se, strict=True):
        z = np.abs(amplitudes) / se
        strength = np.maximum(strength, np.maximum(z.max(axis=0), z.max(axis=1)) if is_2d else z.max(axis=0))
    return strength


def _astray(found: Shape, said: Shape, site: int, reach_Hz: float) -> bool:
    """Whether a line went to another line, or into the noise, because there is none where it was said to be."""
    width_Hz = min(float(found.lorentz_Hz[site]), float(np.median(found.lorentz_Hz)))
    return abs(float(found.offset_Hz[site] - said.offset_Hz[site])) > reach_Hz + 0.5 * width_Hz


def _none_is_there(rows: Sequence[Rows], names: Sequence[str], strength: Real) -> str:
    seen = ", ".join(f"{offset:+.0f} Hz" for offset in find_peaks(rows, most=6))
    where = f"lines stand at {seen} from the carrier" if seen else "no line stands out of the noise anywhere"
    weak = f" (strongest {float(strength.max()):.1f} standard errors)" if strength.max() < _SEEN else ""
    return (
        f"{rows[0].dataset}: none of {', '.join(names)} is seen within {SHIFT_PPM:g} ppm of where it was said to be"
        f"{weak}; {where}"
    )


def _unlisted(fit: JointFit, rows: Sequence[Rows], dataset: BrukerDataset) -> list[Doubt]:
    """Lines that stand in the spectra and not in the list; spinning sidebands of listed ones are no lines."""
    orders = [0.0] if not dataset.spinning_Hz else [n * dataset.spinning_Hz for n in (-2, -1, 0, 1, 2)]
    told: list[Doubt] = []
    for offset in find_peaks(rows, most=6):
        near = [
            abs(offset - float(f) - order) < 2 * voigt_fwhm_Hz(float(lorentz), math.sqrt(float(gauss2)))
            for f, lorentz, gauss2 in zip(fit.shape.offset_Hz, fit.shape.lorentz_Hz, fit.shape.gauss2_Hz2, strict=True)
            for order in orders
        ]
        if not any(near):
            told.append(
                Doubt(
                    f"a line at {dataset.ppm(offset):.2f} ppm is not in the list of sites: its signal is left over",
                    dataset.ppm(offset),
                    "add it to the list",
                )
            )
    return told


def _cropped(rows: Sequence[Rows], shape: Shape) -> tuple[list[Rows], float]:
    widths = [voigt_fwhm_Hz(*pair) for pair in zip(shape.lorentz_Hz, np.sqrt(shape.gauss2_Hz2), strict=True)]
    t2_end_s = float(rows[0].t2_s[0] + DECAYED / max(min(widths), 1e-3))
    return [one.until(t2_end_s) for one in rows], t2_end_s


def _value(shape: Shape, name: str) -> float:
    key, _, index = name.partition("/")
    value = getattr(shape, key)
    return float(value[int(index)] if index else value)


def _without(shape: Shape, dropped: Sequence[str]) -> Shape:
    gauss2 = shape.gauss2_Hz2.copy()
    for name in dropped:
        if name.startswith("gauss2_Hz2/"):
            gauss2[int(name.partition("/")[2])] = 0.0
    return replace(
        shape,
        gauss2_Hz2=gauss2,
        t2_origin_s=0.0 if "t2_origin_s" in dropped else shape.t2_origin_s,
        t1_phase_rad=0.0 if "t1_phase_rad" in dropped else shape.t1_phase_rad,
        t1_origin_s=0.0 if "t1_origin_s" in dropped else shape.t1_origin_s,
    )


def _positive(fit: JointFit) -> JointFit:
    """Turn the phase by pi where the strongest intensities came out negative."""
    strongest = max(fit.amplitudes, key=lambda a: float(np.abs(a).max()))
    if strongest.flat[int(np.argmax(np.abs(strongest)))] > 0:
        return fit
    shape = replace(fit.shape, phase_rad=fit.shape.phase_rad + math.pi)
    return replace(fit, shape=shape, amplitudes=tuple(-a for a in fit.amplitudes))


def _by_intensity(fit: JointFit, *, is_2d: bool) -> JointFit:
    """Order sites by falling intensity: what left them (rows of A), or what was seen of them in free rows."""
    order = np.argsort(-np.sum([a.sum(axis=1 if is_2d else 0) for a in fit.amplitudes], axis=0))
    return _ordered(fit, [int(old) for old in order], is_2d=is_2d)


def _as_said(fit: JointFit, said_Hz: Real, *, is_2d: bool) -> JointFit:
    """Give each named site the line in its place: two close lines may have passed each other on their way."""
    seen = [j for j in range(said_Hz.size) if f"offset_Hz/{j}" in fit.names]
    order = list(range(said_Hz.size))
    by_name, by_line = (sorted(seen, key=lambda j: float(at[j])) for at in (said_Hz, fit.shape.offset_Hz))
    for name, line in zip(by_name, by_line, strict=True):
        order[name] = line
    return fit if by_name == by_line else _ordered(fit, order, is_2d=is_2d)


def _ordered(fit: JointFit, order: Sequence[int], *, is_2d: bool) -> JointFit:
    rank = {old: new for new, old in enumerate(order)}
    at = np.array(order, dtype=np.intp)
    return replace(
        fit,
        shape=fit.shape.ordered(at),
        names=tuple(_renumbered(name, rank) for name in fit.names),
        amplitudes=tuple(a[np.ix_(at, at)] if is_2d else a[:, at] for a in fit.amplitudes),
        inhomogeneous_Hz2=fit.inhomogeneous_Hz2[at],
        inhomogeneous_se_Hz2=fit.inhomogeneous_se_Hz2[at],
    )


def _line(fit: JointFit, j: int, name: str, dataset: BrukerDataset) -> Line:
    scale = math.sqrt(max(1.0, fit.chi2_red))
    offset, lorentz = float(fit.shape.offset_Hz[j]), float(fit.shape.lorentz_Hz[j])
    gauss = math.sqrt(float(fit.shape.gauss2_Hz2[j]))
    fwhm = voigt_fwhm_Hz(lorentz, gauss)
    slopes = {
        f"lorentz_Hz/{j}": voigt_fwhm_Hz(lorentz + 0.5, gauss) - voigt_fwhm_Hz(lorentz - 0.5, gauss),
        f"gauss2_Hz2/{j}": voigt_fwhm_Hz(lorentz, math.sqrt(gauss**2 + 1.0)) - fwhm,
    }
    gradient = np.array([slopes.get(free, 0.0) for free in fit.names])
    fwhm_se = math.sqrt(max(0.0, float(gradient @ fit.cov @ gradient)))
    variance, variance_se = float(fit.inhomogeneous_Hz2[j]), scale * float(fit.inhomogeneous_se_Hz2[j])
    shared = variance > _HINT * variance_se
    to_fwhm = 2.0 * math.sqrt(2.0 * math.log(2.0))
    return Line(
        name=name,
        ppm=dataset.ppm(offset),
        offset_Hz=offset,
        offset_se_Hz=scale * fit.se(f"offset_Hz/{j}"),
        lorentz_Hz=lorentz,
        gauss_Hz=gauss,
        fwhm_Hz=fwhm,
        fwhm_se_Hz=scale * fwhm_se,
        inhomogeneous_Hz=to_fwhm * math.sqrt(variance) if shared else 0.0,
        inhomogeneous_se_Hz=to_fwhm * variance_se / (2 * math.sqrt(variance)) if shared else 0.0,
    )


def _doubts(fit: JointFit, lines: Sequence[Line], rows: Sequence[Rows]) -> list[Doubt]:
    doubts = []
    if fit.chi2_red > _WORST_CHI2:
        doubts.append(
            Doubt(f"the line shapes do not describe the data: chi2_red {fit.chi2_red:.2f}", fit.chi2_red, SHAPE_ADVICE)
        )
    for line in lines:
        if line.inhomogeneous_Hz > max(0.5 * line.fwhm_Hz, 2 * _SIGNIFICANT * line.inhomogeneous_se_Hz):
            doubts.append(
                Doubt(
                    f"{line.name}: {line.inhomogeneous_Hz:.3g} of {line.fwhm_Hz:.3g} Hz are shared by t1 and t2 "
                    "(inhomogeneous); separable shapes then read the diagonal wrong by several percent",
                    line.inhomogeneous_Hz,
                    "trust cross peaks more than diagonals, and populations from 1Ds",
                )
            )
        if line.fwhm_Hz * float(rows[0].t2_s[-1]) < 0.5:
            doubts.append(
                Doubt(
                    f"{line.name}: the line ({line.fwhm_Hz:.3g} Hz) is narrower than the acquisition resolves",
                    line.fwhm_Hz,
                    "acquire longer; its width is not known, and its amplitude is uncertain",
                )
            )
    basis = f2_basis(rows[0].t2_s, fit.shape)
    condition = float(np.linalg.cond(basis / np.linalg.norm(basis, axis=0)))
    if condition > _WORST_CONDITION:
        doubts.append(
            Doubt(
                f"lines overlap so much that amplitudes can hardly be told apart (condition {condition:.0f})",
                condition,
                "merge sites; errors grow with the condition, and so does what a wrong shape does",
            )
        )
    dwell_s = float(rows[0].t2_s[1] - rows[0].t2_s[0])
    if abs(fit.shape.t2_origin_s) > 2 * dwell_s:
        doubts.append(
            Doubt(
                f"the phase says that t2 starts {fit.shape.t2_origin_s / dwell_s:.1f} points from where GRPDLY puts it",
                fit.shape.t2_origin_s / dwell_s,
                "were points cut off, or the filter taken off? Analyse the file as the console wrote it",
            )
        )
    return doubts
