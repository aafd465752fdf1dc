"""The schema of ``results.json``: stable keys, the unit in each key, an uncertainty beside each number.

``labctl schema results`` prints it as JSON Schema. Temperatures are calibrated sample temperatures.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from labctl.analysis.cycling_results import Cycling
from labctl.analysis.eis_results import Eis
from labctl.analysis.layered_results import LayeredFit, ModelComparison
from labctl.analysis.paper_results import PaperMode
from labctl.analysis.published_results import Comparison, StationHours
from labctl.analysis.schema import ResultModel as _Model
from labctl.analysis.spending_results import Spending

SCHEMA_VERSION = 1


class ResultWarning(_Model):
    """A doubt a careful referee would raise: what, with its number, and what to do about it."""

    code: str = Field(description="stable short name, e.g. asymmetry, chi2, not_resolved")
    message: str
    advice: str = ""
    where: str = Field(default="", description="step id, dataset or temperature it concerns")
    value: float | None = None


class DatasetEntry(_Model):
    """One dataset that was read, and what it was taken for."""

    dataset: str = Field(description="step id, or the folder for data not acquired by labctl")
    path: str
    kind: Literal["one_pulse", "nutation", "saturation_recovery", "exsy", "impedance", "cycling", "unknown"]
    completeness: Literal["complete", "partial", "failed"]
    shape: list[int] = Field(description="rows x complex points as acquired")
    pulse_program: str = ""
    nucleus: str = ""
    T_K: float | None = None
    T_se_K: float | None = None
    setpoint_K: float | None = None
    started_s: float | None = None
    ended_s: float | None = None
    parameters: dict[str, float | int | str] = Field(default_factory=dict)
    remarks: list[str] = Field(default_factory=list)


class T1(_Model):
    """Longitudinal relaxation of one site at one temperature, by saturation recovery."""

    site: str
    ppm: float | None = None
    T_K: float | None
    T1_s: float
    T1_se_s: float
    model: str = Field(description="e.g. M0 (1 - alpha exp(-t/T1))")
    alpha: float
    alpha_se: float
    M0: float
    M0_se: float
    chi2_red: float
    delays_s: list[float]
    intensities: list[float]
    intensity_se: list[float]
    dataset: str
    warnings: list[str] = Field(default_factory=list)


class Site(_Model):
    """One spectral site; unnamed sites are ordered by falling population."""

    name: str
    ppm: float
    population: float | None = None
    population_se: float | None = None


class MatrixEntry(_Model):
    """The mixing-time amplitude matrix of one 2D (row = source in F1, column = detected in F2)."""

    T_K: float | None
    tmix_s: float
    A: list[list[float]]
    A_se: list[list[float]]
    normalisation: str = Field(description="'sum' = divided by the sum of all elements; 'raw' = as acquired")
    dataset: str
    recycle_delay_s: float | None = None
    rows: int | None = None
    chi2_red: float | None = None
    asymmetry_sigma: float | None = Field(default=None, description="largest |A_ij - A_ji| / its standard error")


class ExchangeFit(_Model):
    """K-site exchange at one temperature; `k_per_s[i][j]` is the rate from site i to site j.

    Where `k_upper_per_s[i][j]` is not null the rate is not resolved from zero: quote that bound, not the estimate.
    """

    model: Literal["exchange"] = "exchange"
    T_K: float | None
    sites: list[str]
    k_per_s: list[list[float]]
    k_se: list[list[float]]
    k_upper_per_s: list[list[float | None]] | None = Field(
        default=None, description="95 % limit, one-sided, of the rates that are not resolved; null for the others"
    )
    population: list[float]
    population_se: list[float]
    R1_per_s: list[float] | None = None
    relaxation: str = Field(description="what was assumed of T1: 'fitted', 'from T1 data', 'common, cancels'")
    chi2_red: float
    n_data: int
    n_parameters: int
    datasets: list[str]
    assumptions: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


class ProductFit(_Model):
    """Paper mode: pairwise product-form (cube) diffusion at one temperature."""

    model: Literal["product"] = "product"
    mode: Literal["paper"] = "paper"
    T_K: float | None
    pair: list[str]
    kD_per_s: float
    kD_se: float
    kD_upper_per_s: float | None = Field(default=None, description="95 % limit where kD is not resolved")
    geometry: str
    plateau: float
    plateau_se: float | None = None
    chi2_red: float
    datasets: list[str]
    assumptions: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)


Fit = Annotated[ExchangeFit | ProductFit | LayeredFit, Field(discriminator="model")]


class Arrhenius(_Model):
    """Activation energy of one quantity over temperature, its convention named."""

    quantity: str = Field(description="e.g. 'k Li2S->LPSC', 'kD Li2S-LPSC'")
    model: str = Field(description="the fits it rests on: exchange, product, layered")
    convention: str = Field(description="'ln k', 'ln D', 'ln D T'")
    Ea_eV: float
    Ea_se_eV: float = Field(description="from the noise of the data alone")
    Ea_ci95_eV: list[float]
    Ea_se_calibration_eV: float | None = Field(
        default=None,
        description="how much Ea moves if all temperatures are wrong by the calibration's uncertainty, together",
    )
    ln_value_at_ref: float
    ln_value_at_ref_se: float
    T_ref_K: float
    T_K: list[float]
    value: list[float]
    value_se: list[float]
    unit: str = "1/s"
    chi2_red: float | None = None
    warnings: list[str] = Field(default_factory=list)


class BuildUp(_Model):
    """One cross peak against the mixing time at one temperature, with what each fitted model makes of it.

    Amplitudes are the mean of the two symmetric cross peaks, as fractions of the sum of all peaks.
    `early_slope` is d ln A / d ln Tmix before the bend: 1/2 diffusion through perfect contact, 1 discrete
    exchange or a resisting interface, above 1 a lag through a third phase.
    """

    T_K: float | None
    pair: list[str]
    tmix_s: list[float]
    cross: list[float]
    cross_se: list[float]
    datasets: list[str]
    early_slope: float | None = None
    early_slope_se: float | None = None
    early_points: int = 0
    curve_tmix_s: list[float] = Field(default_factory=list)
    curves: dict[str, list[float]] = Field(
        default_factory=dict, description="fitted model (exchange, layered, product) to its curve on curve_tmix_s"
    )


class Exsy(_Model):
    """Everything EXSY."""

    sites: list[Site] = Field(default_factory=list)
    matrices: list[MatrixEntry] = Field(default_factory=list)
    fits: list[Fit] = Field(default_factory=list)
    buildup: list[BuildUp] = Field(default_factory=list)
    comparisons: list[ModelComparison] = Field(default_factory=list)
    arrhenius: list[Arrhenius] = Field(default_factory=list)
    paper: PaperMode | None = Field(default=None, description="the published analysis repeated, for comparison only")


class Certificate(_Model):
    """What was planned, and what became of it, by the journal; `head` is the hash of its last row.

    `partial` counts the acquired datasets that ended early; `chain_whole` says whether the journal's hash chain was
    unbroken when these results were made.
    """

    planned: int
    acquired: int
    partial: int = 0
    repeated: int
    lost: int
    head: str = ""
    chain_whole: bool | None = None
    details: list[str] = Field(default_factory=list)


class OtherSample(_Model):
    """What the spectrometer saw of a sample beside the campaign's first one; `procedure` is ``station/name``."""

    sample: str
    procedure: str
    t1: list[T1] = Field(default_factory=list)
    exsy: Exsy = Field(default_factory=Exsy)


class Results(_Model):
    """The whole of ``results.json``."""

    schema_version: int = SCHEMA_VERSION
    campaign: str = ""
    provenance: dict[str, Any] = Field(default_factory=dict)
    datasets: list[DatasetEntry] = Field(default_factory=list)
    t1: list[T1] = Field(default_factory=list)
    exsy: Exsy = Field(default_factory=Exsy)
    other_samples: list[OtherSample] = Field(default_factory=list)
    eis: Eis = Field(default_factory=Eis)
    cycling: Cycling = Field(default_factory=Cycling)
    published: list[Comparison] = Field(default_factory=list, description="the protocol's published numbers, judged")
    hours: list[StationHours] = Field(default_factory=list)
    spending: list[Spending] = Field(default_factory=list, description="of each vt_exsy: hours, and what they told")
    warnings: list[ResultWarning] = Field(default_factory=list)
    certificate: Certificate | None = None
