"""The whole way from a folder of raw data to an activation energy, without what a campaign does beside."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from labctl.analysis.arrhenius import fit_arrhenius
from labctl.analysis.gather import gather
from labctl.analysis.kinetics import fit_exchange
from labctl.analysis.measured_entries import buildup
from labctl.analysis.nmr.estimator import estimate_amplitudes
from labctl.analysis.nmr.inhomogeneous import with_lasting_offsets
from labctl.analysis.nmr.lines import refine_lines
from labctl.analysis.nmr.relaxation import fit_recovery


class Energy(NamedTuple):
    """Ea [eV], its standard error and its 95 % interval; rates [1/s] with errors at each temperature."""

    Ea_eV: float
    Ea_se_eV: float
    low_eV: float
    high_eV: float
    k_per_s: tuple[float, ...]
    k_se_per_s: tuple[float, ...]
    lasting: bool


def energy_of(folder: Path, sites: dict[str, float]) -> Energy:
    """Return Ea of the first site's rate to the second, as a campaign's analysis finds it."""
    found, unread = gather([folder])
    assert not unread
    T_K, rates, errors, lasting = [], [], [], False
    for T in sorted({round(one.T_K or 0.0, 1) for one in found}):
        here = [one for one in found if round(one.T_K or 0.0, 1) == T]
        exsy = [one for one in here if one.kind == "exsy"]
        lines = with_lasting_offsets([one.raw for one in exsy], refine_lines([one.raw for one in exsy], sites=sites))
        lasting = lasting or lines.lasting is not None
        matrices = [estimate_amplitudes(one.raw, lines, T_K=one.T_K, name=one.name) for one in exsy]
        recoveries = [
            curve
            for one in here
            if one.kind == "saturation_recovery"
            for curve in fit_recovery(one.raw, sites=sites, lines=lines, T_K=one.T_K, name=one.name)
        ]
        fit = fit_exchange(buildup(T, tuple(sites), lines, matrices, recoveries))
        k, k_se = fit.rates()
        T_K.append(exsy[0].T_K or 0.0)
        rates.append(float(k[0, 1]))
        errors.append(float(k_se[0, 1]))
    line = fit_arrhenius(T_K, rates, errors)
    assert line is not None
    return Energy(line.Ea_eV, line.Ea_se_eV, *line.Ea_ci95_eV, tuple(rates), tuple(errors), lasting)
