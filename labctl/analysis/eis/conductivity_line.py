"""Activation of a conductivity in both conventions, with the covariance of energy and prefactor.

ln sigma and ln(sigma T) against 1/T give energies that differ by kB T, some 0.03 eV: every result names its own.
Points enter with the error that the *line* predicts for them, not with their own: a conductance near its noise that
came out high also looks more precise, and would pull the line up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from labctl.analysis.arrhenius import KB_EV_PER_K, ArrheniusFit, fit_arrhenius

FloatArray = NDArray[np.float64]

SigmaConvention = Literal["ln sigma", "ln sigma T"]
T_ROOM_K = 298.15
USUAL_PREFACTOR_S_K_PER_CM = (1.0, 1e6)
"""Where prefactors of ionic hopping normally lie, sigma T = A exp(-Ea/kT); from experience, not from theory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConductivityLine:
    """An Arrhenius line of a conductivity (or a conductance, then everywhere S for S/cm).

    Attributes
    ----------
    fit : ArrheniusFit
    ln_A, ln_A_se : float
        Of A in sigma = A exp(-Ea/kT) [S/cm] or sigma T = A exp(-Ea/kT) [S K/cm]; without the geometry's error.
    Ea_ln_A_covariance : ndarray, shape (2, 2)
        Of (Ea [eV], ln A).
    sigma_room, sigma_room_se : float
        At 25 C, propagated along the line; without the errors of geometry and calibration.
    Ea_se_calibration, sigma_room_se_calibration : float or None
        By how much both move when all temperatures are wrong together by the calibration's uncertainty.
    """

    convention: SigmaConvention
    fit: ArrheniusFit
    ln_A: float
    ln_A_se: float
    Ea_ln_A_covariance: FloatArray
    sigma_room: float
    sigma_room_se: float
    Ea_se_calibration: float | None = None
    sigma_room_se_calibration: float | None = None

    def at(self, T_K: float) -> tuple[float, float]:
        """Return the line's conductivity at a temperature and its standard error."""
        lever = (1 / T_K - 1 / self.fit.T_ref_K) / KB_EV_PER_K
        times_T = np.log(self.fit.T_ref_K / T_K) if self.convention == "ln sigma T" else 0.0
        value = float(np.exp(self.fit.ln_value_at_ref - self.fit.Ea_eV * lever + times_T))
        return value, value * float(np.hypot(self.fit.ln_value_at_ref_se, self.fit.Ea_se_eV * lever))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefactorCheck:
    """Whether the prefactor is one that ionic hopping normally has; published values are never corrected by it.

    `A_S_K_per_cm` is of sigma T = A exp(-Ea/kT), `ln_A_se` its error.
    """

    A_S_K_per_cm: float
    ln_A_se: float
    verdict: Literal["usual", "low", "high"]
    message: str


def conductivity_line(
    T_K: Sequence[float],
    sigma: Sequence[float],
    sigma_se: Sequence[float],
    *,
    T_se_K: Sequence[float] | None = None,
    calibration_K: float | None = None,
    convention: SigmaConvention = "ln sigma",
) -> ConductivityLine | None:
    """Return the line, or None below two distinct temperatures.

    Parameters
    ----------
    T_K, sigma, sigma_se : sequence of float, length N
        `sigma_se` without the geometry's error.
    T_se_K : sequence of float, optional
        Errors of each temperature by itself (it moved during the sweep).
    calibration_K : float, optional
        By how much all temperatures may be wrong together. It is the same for every point, so it does not scatter
        them, and its effect stands apart from the error of the noise.
    convention : str
    """
    line = _through(T_K, sigma, sigma_se, T_se_K, convention)
    if line is None or not calibration_K:
        return line
    shifted = _through([T + calibration_K for T in T_K], sigma, sigma_se, T_se_K, convention)
    if shifted is None:
        return line
    return replace(
        line,
        Ea_se_calibration=abs(shifted.fit.Ea_eV - line.fit.Ea_eV),
        sigma_room_se_calibration=abs(shifted.sigma_room - line.sigma_room),
    )


def _through(
    T_K: Sequence[float],
    sigma: Sequence[float],
    sigma_se: Sequence[float],
    T_se_K: Sequence[float] | None,
    convention: SigmaConvention,
) -> ConductivityLine | None:
    measured, se = np.asarray(sigma, dtype=np.float64), np.asarray(sigma_se, dtype=np.float64)
    believed = se
    line: ConductivityLine | None = None
    for _ in range(4):
        fit = fit_arrhenius(T_K, sigma, believed.tolist(), T_se_K=T_se_K, convention=convention)
        if fit is None:
            return None
        line = _line(fit, convention)
        predicted = np.array([line.at(T)[0] for T in T_K])
        believed = se * measured / predicted
    return line


def _line(fit: ArrheniusFit, convention: SigmaConvention) -> ConductivityLine:
    beta = 1 / (KB_EV_PER_K * fit.T_ref_K)
    ln_T = float(np.log(fit.T_ref_K)) if convention == "ln sigma T" else 0.0
    variance_level, variance_Ea = float(fit.covariance[0, 0]), float(fit.covariance[1, 1])
    covariance = np.array(
        [[variance_Ea, variance_Ea * beta], [variance_Ea * beta, variance_level + variance_Ea * beta**2]]
    )
    line = ConductivityLine(
        convention=convention,
        fit=fit,
        ln_A=fit.ln_value_at_ref + ln_T + fit.Ea_eV * beta,
        ln_A_se=float(np.sqrt(covariance[1, 1])),
        Ea_ln_A_covariance=covariance,
        sigma_room=0.0,
        sigma_room_se=0.0,
    )
    room, room_se = line.at(T_ROOM_K)
    return ConductivityLine(
        convention=convention,
        fit=fit,
        ln_A=line.ln_A,
        ln_A_se=line.ln_A_se,
        Ea_ln_A_covariance=covariance,
        sigma_room=room,
        sigma_room_se=room_se,
    )


def prefactor_check(line_T: ConductivityLine) -> PrefactorCheck:
    """Judge the prefactor of a line in the convention ln(sigma T)."""
    low, high = USUAL_PREFACTOR_S_K_PER_CM
    A = float(np.exp(min(line_T.ln_A, 700.0)))
    verdict: Literal["usual", "low", "high"] = "usual"
    if line_T.ln_A + 2 * line_T.ln_A_se < np.log(low):
        verdict = "low"
    elif line_T.ln_A - 2 * line_T.ln_A_se > np.log(high):
        verdict = "high"
    se = line_T.ln_A_se
    wide = f"+- {100 * se:.2g} %" if se < 0.3 else f"within a factor of {np.exp(min(se, 700.0)):.2g}"
    spread = f"prefactor {A:.2g} S K/cm ({wide})"
    message = f"{spread} lies where ionic hopping has it"
    if verdict == "low":
        ten = line_T.fit.Ea_eV * np.log(10)
        message = (
            f"{spread} is below the usual {low:g} to {high:g}: noise at the cold end that flattens the line does this, "
            f"and so does an energy read off a decadic slope (times ln 10 it would be {ten:.3f} eV); "
            "nothing was corrected"
        )
    elif verdict == "high":
        message = (
            f"{spread} is above the usual {low:g} to {high:g}: a phase transition, drying, or a contact that improves "
            "with temperature steepens a line; nothing was corrected"
        )
    return PrefactorCheck(A_S_K_per_cm=A, ln_A_se=line_T.ln_A_se, verdict=verdict, message=message)
