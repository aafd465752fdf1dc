"""Impedance in ``results.json``: every spectrum with its fit and tests, every activation energy.

The unit stands in each key. A number that the data do not carry is null with a limit beside it, never a guess.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labctl.analysis.schema import ResultModel


class EisElement(ResultModel):
    """One element of the fitted circuit; what does not apply to its kind is null."""

    element: str = Field(description="'arc 1' (highest frequency), 'arc 2', 'R0', 'electrode', 'lead'")
    R_ohm: float | None = None
    R_se_ohm: float | None = None
    Q_S_s_n: float | None = Field(default=None, description="Z = 1/(Q (j omega)^n), Q in S s^n")
    Q_se_S_s_n: float | None = None
    n: float | None = None
    n_se: float | None = None
    tau_s: float | None = None
    tau_se_s: float | None = None
    f_peak_Hz: float | None = None
    C_eff_F: float | None = Field(default=None, description="(R^(1-n) Q)^(1/n), stray capacitance included")
    C_eff_F_per_cm: float | None = Field(default=None, description="C_eff times thickness over area")
    L_H: float | None = None
    L_se_H: float | None = None
    assignment: str = Field(default="", description="what C_eff per geometry suggests; never used in a number")
    resolved: bool = Field(description="R within 30 % and no parameter of it at a bound")
    at_bound: list[str] = Field(default_factory=list, description="parameters that ended on a bound")


class EisCandidate(ResultModel):
    """A circuit that was tried."""

    circuit: str
    aicc: float
    chi2_red: float
    n_parameters: int
    resolved: bool = Field(description="every resistance of it is resolved")
    weight: float = Field(default=0.0, description="with which it enters R; with and without electrode share, by AICc")


class EisFit(ResultModel):
    """The circuit taken for a spectrum."""

    circuit: str = Field(description="elements in series as drawn, (RQ) an arc")
    representation: Literal["impedance", "admittance"]
    noise: Literal["known", "estimated", "relative"] = Field(description="where the weights came from")
    admittance_noise_S: float = Field(description="part of the error of Y that does not grow with Y")
    gain_noise: float = Field(description="part of the error of Y that does, as a fraction")
    chi2_red: float
    aicc: float
    n_data: int
    n_parameters: int
    inflated: bool = Field(description="errors are scaled by sqrt(chi2_red)")
    starts: int
    starts_at_best: int
    elements: list[EisElement]
    candidates: list[EisCandidate] = Field(default_factory=list)
    continuity: bool = Field(default=False, description="exponents tied over temperature")
    frequency_Hz: list[float]
    Z_re_ohm: list[float]
    Z_im_ohm: list[float]
    residual_re: list[float] = Field(description="(data - fit)/|Z|, at the points that count")
    residual_im: list[float]


class KramersKronigTest(ResultModel):
    """Whether a causal, linear, stable system can have this spectrum."""

    representation: Literal["impedance", "admittance"]
    terms: int
    mu: float
    max_residual: float = Field(description="of |Z|, real and imaginary parts")
    rms_residual: float
    runs_p: float
    worst_sigma: float | None = None
    passed: bool
    residual_re: list[float]
    residual_im: list[float]


class EisSpectrum(ResultModel):
    """One impedance spectrum and what it says of the sample; Im Z < 0 for a capacitor."""

    dataset: str
    path: str
    sample: str = ""
    T_K: float | None = None
    T_se_K: float | None = Field(default=None, description="of the calibration, common to a campaign's spectra")
    T_moved_se_K: float | None = Field(default=None, description="because the temperature moved during this sweep")
    T_before_K: float | None = None
    T_after_K: float | None = None
    setpoint_K: float | None = None
    started_s: float | None = None
    ended_s: float | None = None
    amplitude_V: float | None = None
    amplitude_kind: Literal["rms", "peak", "unknown"] = "unknown"
    frequency_Hz: list[float]
    Z_re_ohm: list[float]
    Z_im_ohm: list[float]
    left_out: list[int] = Field(default_factory=list, description="indices of points that do not count")
    kramers_kronig: KramersKronigTest | None = None
    fit: EisFit | None = None
    independent_fit: EisFit | None = Field(default=None, description="without continuity, where `fit` has it")
    resolved: bool = Field(default=False, description="the direct-current resistance is known within 30 %")
    R_ohm: float | None = Field(
        default=None,
        description="sum of the sample's resistances, averaged over the circuits with a weight; null if not resolved",
    )
    R_se_ohm: float | None = None
    G_S: float | None = Field(default=None, description="conductance; an estimate also where it is not resolved")
    G_se_S: float | None = None
    G_upper_S: float | None = Field(default=None, description="one-sided 95 % limit where it is not resolved")
    G_lower_S: float | None = None
    thickness_mm: float | None = None
    diameter_mm: float | None = None
    sigma_S_per_cm: float | None = Field(default=None, description="null if not resolved or without dimensions")
    sigma_se_S_per_cm: float | None = Field(default=None, description="of the spectrum alone")
    sigma_geometry_se_S_per_cm: float | None = Field(default=None, description="of the dimensions, common to all T")
    sigma_upper_S_per_cm: float | None = None
    sigma_lower_S_per_cm: float | None = None
    warnings: list[str] = Field(default_factory=list)


class Prefactor(ResultModel):
    """Whether the prefactor is one that ionic hopping normally has; nothing is corrected by it."""

    A_S_K_per_cm: float = Field(description="of sigma T = A exp(-Ea/kT)")
    ln_A_se: float
    verdict: Literal["usual", "low", "high"]
    message: str


class NotResolved(ResultModel):
    """A temperature that is not in the line because its conductance was not resolved."""

    dataset: str
    T_K: float
    upper: float | None = Field(default=None, description="one-sided 95 % limit, in the line's unit")
    lower: float | None = None


class EisArrhenius(ResultModel):
    """Activation of one sample's conductivity in one convention, which is named."""

    sample: str
    quantity: Literal["conductivity", "conductance"] = Field(description="conductance where dimensions are unknown")
    convention: Literal["ln sigma", "ln sigma T"]
    Ea_eV: float
    Ea_se_eV: float = Field(description="from the noise of the spectra alone")
    Ea_ci95_eV: list[float]
    Ea_se_calibration_eV: float | None = Field(
        default=None,
        description="how much Ea moves if all temperatures are wrong by the calibration's uncertainty, together",
    )
    sigma_25C_S_per_cm: float | None = None
    sigma_25C_se_S_per_cm: float | None = Field(default=None, description="from the noise of the spectra alone")
    sigma_25C_se_calibration_S_per_cm: float | None = Field(default=None, description="as that of Ea")
    sigma_25C_geometry_se_S_per_cm: float | None = None
    G_25C_S: float | None = None
    G_25C_se_S: float | None = None
    G_25C_se_calibration_S: float | None = None
    ln_A: float = Field(description="A in S/cm (ln sigma) or S K/cm (ln sigma T); in S or S K for a conductance")
    ln_A_se: float
    ln_A_geometry_se: float | None = None
    Ea_ln_A_covariance: list[list[float]]
    ln_value_at_ref: float
    ln_value_at_ref_se: float
    T_ref_K: float
    T_K: list[float]
    value: list[float]
    value_se: list[float]
    unit: Literal["S/cm", "S"]
    datasets: list[str]
    not_resolved: list[NotResolved] = Field(default_factory=list)
    chi2_red: float | None = None
    prefactor: Prefactor | None = Field(default=None, description="judged in the convention ln sigma T")
    continuity: bool = False
    warnings: list[str] = Field(default_factory=list)


class Eis(ResultModel):
    """Everything impedance."""

    spectra: list[EisSpectrum] = Field(default_factory=list)
    arrhenius: list[EisArrhenius] = Field(default_factory=list)
