"""One spectrum from file to conductance: which points count, how noisy they are, Kramers-Kronig, circuit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.eis.choose import CIRCUITS, Choice, choose_circuits
from labctl.analysis.eis.fitting import Sweep
from labctl.analysis.eis.kramers_kronig import KramersKronig, Representation, kramers_kronig, smooth_curve
from labctl.analysis.eis.noise import (
    USUAL_GAIN,
    ErrorModel,
    Fixture,
    estimate_error_model,
    stated_error_model,
    stated_fixture,
)
from labctl.formats.impedance import ImpedanceSpectrum

FloatArray = NDArray[np.float64]

FEWEST_POINTS = 6
NOISY = 0.01
"""Share of noise at any point from which Kramers and Kronig are asked in the admittance."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectrumAnalysis:
    """Everything one spectrum says by itself.

    Attributes
    ----------
    sweep : Sweep
        The points that count, with the error model used.
    left_out : tuple of int
        Points of the spectrum that do not count: an amplifier was over its range.
    kk : KramersKronig
    choice : Choice
    warnings : tuple of str
    """

    spectrum: ImpedanceSpectrum
    sweep: Sweep
    left_out: tuple[int, ...]
    kk: KramersKronig
    choice: Choice
    warnings: tuple[str, ...]


def analyse_spectrum(
    spectrum: ImpedanceSpectrum,
    *,
    errors: ErrorModel | None = None,
    fixture: Fixture | None = None,
    circuits: Sequence[str] = CIRCUITS,
    representation: Representation = "admittance",
    starts: int = 8,
) -> SpectrumAnalysis:
    """Analyse one spectrum.

    Parameters
    ----------
    errors : ErrorModel, optional
        What is known of the noise; otherwise what the sidecar states, otherwise what the spectrum's own scatter about
        a causal smooth curve shows.
    fixture : Fixture, optional
        What conducts beside the sample; otherwise what the sidecar states of the open holder.

    Raises
    ------
    ValueError
        Fewer than six points that count.
    """
    ready = prepared(spectrum, errors=errors, fixture=fixture)
    return analyse_prepared([ready], circuits=circuits, representation=representation, starts=starts)[0]


def analyse_prepared(
    ready: Sequence[Prepared],
    *,
    circuits: Sequence[str] = CIRCUITS,
    representation: Representation = "admittance",
    starts: int = 8,
) -> list[SpectrumAnalysis]:
    """Analyse several spectra, their fits side by side; each stands by itself."""
    choices = choose_circuits(
        [one.sweep for one in ready], circuits=circuits, representation=representation, starts=starts
    )
    return [
        SpectrumAnalysis(
            spectrum=one.spectrum,
            sweep=one.sweep,
            left_out=one.left_out,
            kk=one.kk,
            choice=choice,
            warnings=(*one.warnings, *choice.warnings),
        )
        for one, choice in zip(ready, choices, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A spectrum whose points were sorted, whose noise is known or estimated, and which was tested, but not fitted."""

    spectrum: ImpedanceSpectrum
    sweep: Sweep
    left_out: tuple[int, ...]
    kk: KramersKronig
    warnings: tuple[str, ...]


def prepared(
    spectrum: ImpedanceSpectrum, *, errors: ErrorModel | None = None, fixture: Fixture | None = None
) -> Prepared:
    """Return the points that count with their error model and their Kramers-Kronig test.

    Raises
    ------
    ValueError
        Fewer than six points that count.
    """
    warnings = []
    good = np.isfinite(spectrum.Z_ohm) & (np.abs(spectrum.Z_ohm) > 0)
    if spectrum.overload is not None and spectrum.overload.any():
        warnings.append(f"{int(spectrum.overload.sum())} of {spectrum.points} points were overloaded and left out")
        good &= ~spectrum.overload
    if int(good.sum()) < FEWEST_POINTS:
        raise ValueError(f"{int(good.sum())} points that count; {FEWEST_POINTS} are needed at least")
    if spectrum.moved:
        warnings.append("the temperature moved during the sweep")
    if spectrum.amplitude_V is not None and spectrum.amplitude_kind == "unknown":
        warnings.append("the file does not say whether the amplitude is rms or peak; peak was assumed for the noise")
    f, Z = spectrum.frequency_Hz[good], spectrum.Z_ohm[good]
    ranges = None if spectrum.current_range_A is None else spectrum.current_range_A[good]
    model = errors or stated_error_model(spectrum)
    if model is None:
        model = scatter_of(f, np.asarray(1.0 / Z))
        ranges = None  # whatever the ranges add is in the scatter already
    if spectrum.metadata.get("open_cell") is True:
        warnings.append("the instrument took the cell for open: is the sample between the electrodes?")
    beside = stated_fixture(spectrum) if fixture is None else fixture
    sweep = Sweep(frequency_Hz=f, Z_ohm=Z, errors=model, range_A=ranges, fixture=beside)
    kk = kramers_kronig_of(sweep)
    if not kk.passed:
        what = f"{kk.worst_sigma:.1f} standard deviations, " if kk.worst_sigma is not None else ""
        warnings.append(
            f"Kramers-Kronig: residuals up to {what}{100 * kk.max_residual:.2g} % of |Z| ({kk.terms} terms): the "
            "sample drifted, or answered nonlinearly, or a range change left a step"
        )
    left_out = tuple(int(at) for at in np.flatnonzero(~good))
    return Prepared(spectrum=spectrum, sweep=sweep, left_out=left_out, kk=kk, warnings=tuple(warnings))


def scatter_of(frequency_Hz: FloatArray, Y_S: NDArray[np.complex128], rounds: int = 3) -> ErrorModel:
    """Return the noise that a spectrum shows about a causal smooth curve, whatever circuit it is."""
    along = across = np.abs(Y_S)
    model = ErrorModel(amplitude_V_rms=1.0, gain=1.0, origin="estimated")
    for _ in range(rounds):
        smooth, coefficients = smooth_curve(frequency_Hz, Y_S, along, across)
        model = estimate_error_model(smooth, Y_S - smooth, coefficients)
        along, across = model.deviations(frequency_Hz, smooth)
        typical = np.hypot(along, across)  # a part that came out tiny must not rule the next curve
        along, across = np.maximum(along, 0.1 * typical), np.maximum(across, 0.1 * typical)
    return model


def kramers_kronig_of(sweep: Sweep) -> KramersKronig:
    """Return the Kramers-Kronig test in the representation that the noise allows.

    Noise that was estimated from the spectrum itself may excuse what a small current drowns in, but no more than the
    usual gain noise: a drift would excuse itself.
    """
    f, Z = sweep.frequency_Hz, sweep.Z_ohm
    errors = sweep.errors
    if errors.origin == "relative":
        return kramers_kronig(f, Z)
    deviation = np.maximum(*sweep.deviations("admittance"))
    honest = errors if errors.origin == "known" else _excused(errors)
    allowance = np.maximum(*honest.deviations(f, np.asarray(1.0 / Z), sweep.range_A))
    if np.any(deviation * np.abs(Z) > NOISY):
        return kramers_kronig(f, Z, representation="admittance", deviation=deviation, allowance=allowance)
    scale = np.abs(Z) ** 2
    return kramers_kronig(f, Z, deviation=deviation * scale, allowance=allowance * scale)


def _excused(errors: ErrorModel) -> ErrorModel:
    phase = errors.gain if errors.phase_rad is None else errors.phase_rad
    return replace(errors, gain=min(errors.gain, USUAL_GAIN), phase_rad=min(phase, USUAL_GAIN))
