"""A verdict on one sweep the moment it is there."""

from __future__ import annotations

from pathlib import Path

from labctl.analysis.eis.gather import measured_spectra
from labctl.analysis.eis.spectrum import analyse_spectrum
from labctl.dataset.model import Dataset, Verdict


def judge_impedance(run_dir: Path, dataset: Dataset) -> Verdict:
    """Return resistance or limit, whether Kramers and Kronig agree, and every doubt; a sweep always passes.

    Raises
    ------
    InputError, ValueError
        No spectrum of it can be read, or too few points count.
    """
    one = measured_spectra(run_dir, dataset)[-1]
    analysis = analyse_spectrum(one.spectrum)
    G = analysis.choice.conductance
    numbers = {"kk_max_residual": analysis.kk.max_residual, "G_S": G.G_S, "G_se_S": G.G_se_S}
    if G.resolved:
        R_ohm = 1 / G.G_S
        numbers |= {"R_ohm": R_ohm, "R_se_ohm": G.G_se_S * R_ohm**2}
        said = f"R {R_ohm:.3g} +- {G.G_se_S * R_ohm**2:.2g} ohm"
    elif G.upper_S is not None:
        numbers["G_upper_S"] = G.upper_S
        said = f"resistance not resolved, above {1 / G.upper_S:.2g} ohm"
    else:
        said = "resistance not resolved"
    kk = "passed" if analysis.kk.passed else "FAILED"
    circuit = analysis.choice.best.fit.circuit.text
    return Verdict(measured=numbers, message=f"{said} ({circuit}); Kramers-Kronig {kk}", warnings=analysis.warnings)
