"""What an analysed spectrum and an Arrhenius line are in ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.eis.choose import Candidate, Choice
from labctl.analysis.eis.circuits import Element
from labctl.analysis.eis.conductivity import CellConstant, cell_constant
from labctl.analysis.eis.fitting import CircuitFit
from labctl.analysis.eis.gather import MeasuredSpectrum
from labctl.analysis.eis.kramers_kronig import KramersKronig
from labctl.analysis.eis.spectrum import SpectrumAnalysis
from labctl.analysis.eis_results import EisCandidate, EisElement, EisFit, EisSpectrum, KramersKronigTest
from labctl.analysis.results import DatasetEntry

FloatArray = NDArray[np.float64]

#: Effective capacitance per geometry [F/cm] up to which an arc is usually called so (Irvine, Sinclair, West 1990).
ASSIGNMENTS = ((1e-11, "bulk"), (1e-8, "grain boundary"), (1e-7, "between grain boundary and electrode"))


def dataset_entry(measured: MeasuredSpectrum) -> DatasetEntry:
    """Return what one sweep was."""
    spectrum = measured.spectrum
    parameters: dict[str, float | int | str] = {
        "dialect": spectrum.dialect,
        "frequency_high_Hz": float(spectrum.frequency_Hz.max()),
        "frequency_low_Hz": float(spectrum.frequency_Hz.min()),
    }
    if spectrum.amplitude_V is not None:
        key = {"rms": "amplitude_V_rms", "peak": "amplitude_V_peak", "unknown": "amplitude_V"}[spectrum.amplitude_kind]
        parameters[key] = spectrum.amplitude_V
    if spectrum.instrument:
        parameters["instrument"] = spectrum.instrument
    return DatasetEntry(
        dataset=measured.name,
        path=str(spectrum.path),
        kind="impedance",
        completeness=measured.completeness,
        shape=[1, spectrum.points],
        T_K=measured.T_K,
        T_se_K=measured.T_se_K,
        setpoint_K=measured.setpoint_K,
        started_s=spectrum.started_s,
        ended_s=spectrum.ended_s,
        parameters=parameters,
        remarks=list(measured.remarks),
    )


def bare_entry(measured: MeasuredSpectrum) -> EisSpectrum:
    """Return a spectrum of which nothing but the data is known."""
    spectrum = measured.spectrum
    return EisSpectrum(
        dataset=measured.name,
        path=str(spectrum.path),
        sample=measured.sample,
        T_K=measured.T_K,
        T_se_K=measured.T_se_K,
        T_moved_se_K=measured.T_moved_se_K,
        T_before_K=spectrum.temperature_before_K,
        T_after_K=spectrum.temperature_after_K,
        setpoint_K=measured.setpoint_K,
        started_s=spectrum.started_s,
        ended_s=spectrum.ended_s,
        amplitude_V=spectrum.amplitude_V,
        amplitude_kind=spectrum.amplitude_kind,
        frequency_Hz=spectrum.frequency_Hz.tolist(),
        Z_re_ohm=spectrum.Z_ohm.real.tolist(),
        Z_im_ohm=spectrum.Z_ohm.imag.tolist(),
        thickness_mm=spectrum.pellet.thickness_mm if spectrum.pellet else None,
        diameter_mm=spectrum.pellet.diameter_mm if spectrum.pellet else None,
    )


def spectrum_entry(
    measured: MeasuredSpectrum, analysis: SpectrumAnalysis, independent: SpectrumAnalysis | None = None
) -> EisSpectrum:
    """Return an analysed spectrum; `independent` is its fit without continuity where `analysis` has it."""
    entry = bare_entry(measured)
    G = analysis.choice.conductance
    constant = cell_constant(measured.spectrum.pellet) if measured.spectrum.pellet else None
    entry.left_out = list(analysis.left_out)
    entry.kramers_kronig = kramers_kronig_entry(analysis.kk)
    entry.fit = fit_entry(analysis.choice, constant, continuity=independent is not None)
    entry.independent_fit = fit_entry(independent.choice, constant) if independent is not None else None
    entry.resolved = G.resolved
    entry.G_S, entry.G_se_S = G.G_S, G.G_se_S
    entry.G_upper_S, entry.G_lower_S = G.upper_S, G.lower_S
    entry.warnings = list(analysis.warnings)
    if G.resolved:
        entry.R_ohm, entry.R_se_ohm = 1 / G.G_S, G.G_se_S / G.G_S**2
    else:
        said = f"below {G.upper_S:.2g} S (95 %)" if G.upper_S is not None else "without limit"
        entry.warnings.append(
            f"the resistance is not resolved: conductance {G.G_S:.2g} +- {G.G_se_S:.2g} S, {said}; a lower frequency, "
            "longer integration, a larger amplitude or a better shield would"
        )
    if constant is not None:
        k = constant.per_cm
        entry.sigma_upper_S_per_cm = None if G.upper_S is None else G.upper_S * k
        entry.sigma_lower_S_per_cm = None if G.lower_S is None else G.lower_S * k
        if G.resolved:
            entry.sigma_S_per_cm, entry.sigma_se_S_per_cm = G.G_S * k, G.G_se_S * k
            if constant.relative_se is not None:
                entry.sigma_geometry_se_S_per_cm = G.G_S * k * constant.relative_se
    return entry


def kramers_kronig_entry(kk: KramersKronig) -> KramersKronigTest:
    """Return the outcome of the test."""
    return KramersKronigTest(
        representation=kk.representation,
        terms=kk.terms,
        mu=max(kk.mu, -1e6),
        max_residual=kk.max_residual,
        rms_residual=kk.rms_residual,
        runs_p=kk.runs_p,
        worst_sigma=kk.worst_sigma,
        passed=kk.passed,
        residual_re=kk.residual.real.tolist(),
        residual_im=kk.residual.imag.tolist(),
    )


def fit_entry(choice: Choice, constant: CellConstant | None, *, continuity: bool = False) -> EisFit:
    """Return the circuit taken, its elements and the curve it draws."""
    best = choice.best
    fit = best.fit
    sweep = fit.sweep
    grid = np.geomspace(sweep.frequency_Hz.max(), sweep.frequency_Hz.min(), 121)
    curve = fit.impedance(grid)
    residual = (sweep.Z_ohm - fit.impedance()) / np.abs(sweep.Z_ohm)
    return EisFit(
        circuit=fit.circuit.text,
        representation=fit.representation,
        noise=sweep.errors.origin,
        admittance_noise_S=sweep.errors.current_noise_A / sweep.errors.amplitude_V_rms,
        gain_noise=sweep.errors.gain * (fit.chi2_red**0.5 if sweep.errors.origin == "relative" else 1.0),
        chi2_red=fit.chi2_red,
        aicc=fit.aicc,
        n_data=fit.n_data,
        n_parameters=fit.circuit.size,
        inflated=fit.inflated,
        starts=fit.starts,
        starts_at_best=fit.starts_at_best,
        elements=[element_entry(best, one, constant) for one in fit.circuit.elements],
        candidates=[
            _candidate_entry(one, choice.conductance.weights) for one in choice.candidates if np.isfinite(one.fit.aicc)
        ],
        continuity=continuity,
        frequency_Hz=grid.tolist(),
        Z_re_ohm=curve.real.tolist(),
        Z_im_ohm=curve.imag.tolist(),
        residual_re=residual.real.tolist(),
        residual_im=residual.imag.tolist(),
    )


def _candidate_entry(one: Candidate, weights: Mapping[str, float]) -> EisCandidate:
    return EisCandidate(
        circuit=one.fit.circuit.text,
        aicc=one.fit.aicc,
        chi2_red=one.fit.chi2_red,
        n_parameters=one.fit.circuit.size,
        resolved=one.identified,
        weight=weights.get(one.fit.circuit.text, 0.0),
    )


def element_entry(one: Candidate, element: Element, constant: CellConstant | None) -> EisElement:
    """Return one element in the units people use, errors carried over by the chain rule."""
    fit = one.fit
    at = element.at
    stuck = [name for name, index in _names(element) if index in fit.at_bound]
    entry = EisElement(
        element=element.name,
        resolved=not any(text.startswith(element.name) for text in one.unresolved),
        at_bound=stuck,
    )
    if element.kind in {"R", "RQ"}:
        entry.R_ohm, entry.R_se_ohm = _bounded(fit, at)
    if element.kind == "L":
        entry.L_H, entry.L_se_H = _bounded(fit, at)
    if element.kind == "Q":
        n = float(fit.theta[at + 1])
        entry.n, entry.n_se = n, _finite(fit.se[at + 1])
        log_0 = float(np.log(2 * np.pi * fit.sweep.frequency_Hz.min()))
        gradient = np.array([-1.0, -log_0])  # ln Q = -ln Z_0 - n ln omega_0
        entry.Q_S_s_n = float(np.exp(-fit.theta[at] - n * log_0))
        entry.Q_se_S_s_n = _finite(entry.Q_S_s_n * _error(fit, [at, at + 1], gradient))
    if element.kind == "RQ":
        log_R, log_tau, n = (float(value) for value in fit.theta[at : at + 3])
        entry.n, entry.n_se = n, _finite(fit.se[at + 2])
        entry.tau_s, entry.tau_se_s = _bounded(fit, at + 1)
        entry.f_peak_Hz = float(np.exp(-log_tau) / (2 * np.pi))
        gradient = np.array([-1.0, n, log_tau])  # ln Q = n ln tau - ln R
        entry.Q_S_s_n = float(np.exp(n * log_tau - log_R))
        entry.Q_se_S_s_n = _finite(entry.Q_S_s_n * _error(fit, [at, at + 1, at + 2], gradient))
        entry.C_eff_F = float(np.exp(log_tau - log_R))  # (R^(1-n) Q)^(1/n) = tau / R
        if constant is not None:
            entry.C_eff_F_per_cm = entry.C_eff_F * constant.per_cm
            entry.assignment = next((name for limit, name in ASSIGNMENTS if entry.C_eff_F_per_cm < limit), "electrode")
    return entry


def _names(element: Element) -> list[tuple[str, int]]:
    names = {"R": ["R"], "L": ["L"], "Q": ["Q", "n"], "RQ": ["R", "tau", "n"]}[element.kind]
    return [(name, element.at + offset) for offset, name in enumerate(names)]


def _bounded(fit: CircuitFit, at: int) -> tuple[float, float | None]:
    value = float(np.exp(fit.theta[at]))
    return value, _finite(value * fit.se[at])


def _error(fit: CircuitFit, columns: list[int], gradient: FloatArray) -> float:
    variance = float(gradient @ fit.covariance[np.ix_(columns, columns)] @ gradient)
    return float(np.sqrt(max(0.0, variance)))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
