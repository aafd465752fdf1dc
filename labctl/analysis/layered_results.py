"""Layered diffusion in ``results.json``: of one temperature, and of a whole campaign with its rival models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labctl.analysis.schema import ResultModel


class KDCurve(ResultModel):
    """kD over temperature by a fitted Arrhenius law, with its band of 95 % (shape of the law taken as true)."""

    T_K: list[float]
    kD_per_s: list[float]
    low_per_s: list[float]
    high_per_s: list[float]


class Phase(ResultModel):
    """One phase of a layered-diffusion fit; with `bound`, `kD_per_s` is that bound (95 %, one-sided)."""

    phase: str
    kD_per_s: float | None = Field(description="D / d^2; of a campaign at its T_ref_K")
    kD_se: float | None
    Ea_eV: float | None = None
    Ea_se_eV: float | None = None
    bound: Literal["lower", "upper"] | None = None
    Ea_ci95_eV: list[float | None] | None = Field(
        default=None, description="profile likelihood; null: open on that side"
    )
    Ea_bootstrap_ci95_eV: list[float] | None = Field(default=None, description="parametric bootstrap, percentiles")
    Ea_se_calibration_eV: float | None = Field(
        default=None, description="by how much Ea moves if all temperatures are wrong together"
    )
    Ea_assumed_eV: float | None = Field(default=None, description="what a bound was taken with")
    D_m2_per_s: float | None = Field(default=None, description="kD d^2, or its bound; only with a stated length d")
    D_se_m2_per_s: float | None = Field(default=None, description="error of the length included")
    curve: KDCurve | None = None


class Contact(ResultModel):
    """One interface of a layered-diffusion fit: j0 / (c d), its exchange flux over density and size of the core."""

    phases: list[str]
    rate_per_s: float | None
    rate_se: float | None
    Ea_eV: float | None = None
    Ea_se_eV: float | None = None
    bound: Literal["lower", "upper"] | None = None


class ModelComparison(ResultModel):
    """Which model of the same data is favoured at one temperature, by AICc (lower is better)."""

    T_K: float | None
    aicc: dict[str, float]
    favoured: str
    decisive: bool = Field(description="the others are worse by 6 or more")
    remark: str = ""


class Straightness(ResultModel):
    """How much better the data are fitted when every temperature has its own kD instead of an Arrhenius law."""

    chi2_drop: float
    parameters: int
    p_value: float


class GeometryFit(ResultModel):
    """The same campaign fitted in another geometry."""

    geometry: str
    phases: list[Phase]
    contacts: list[Contact] = Field(default_factory=list)
    contact_fraction: float
    contact_fraction_se: float | None
    chi2_red: float
    n_parameters: int
    aicc: float


class GlobalFit(ResultModel):
    """What belongs to a fit of all temperatures, mixing times, peaks and T1 recoveries of a campaign together."""

    T_ref_K: float
    T_K: list[float]
    sites: list[str]
    population: list[float]
    population_se: list[float]
    contact_fraction: float = Field(description="part of all Li that exchanges; one for all temperatures")
    contact_fraction_se: float | None = Field(description="null: assumed, not fitted")
    contacts: list[Contact] = Field(default_factory=list, description="interfaces that resist; empty: perfect contact")
    aicc: float
    geometries: list[GeometryFit] = Field(default_factory=list, description="Ea in other geometries")
    comparison: ModelComparison | None = None
    straightness: Straightness | None = None
    Ea_geometry_range_eV: dict[str, list[float]] = Field(
        default_factory=dict, description="phase to lowest and highest Ea over the geometries"
    )
    bootstrap: int = 0


class LayeredFit(ResultModel):
    """Reference mode: layered diffusion with finite contact and relaxation; of a campaign, or of one temperature."""

    model: Literal["layered"] = "layered"
    mode: Literal["reference"] = "reference"
    scope: Literal["campaign", "temperature"] = "temperature"
    T_K: float | None = Field(description="null for a campaign")
    geometry: str
    phases: list[Phase]
    convention: str = "ln D"
    chi2_red: float
    n_data: int
    n_parameters: int
    datasets: list[str]
    campaign: GlobalFit | None = None
    assumptions: list[str] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
