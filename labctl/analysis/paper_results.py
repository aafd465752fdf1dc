"""What the published kind of analysis makes of the same data, as it stands in ``results.json``: for comparison only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from labctl.analysis.schema import ResultModel as _Model


class PaperPair(_Model):
    """One pair of phases fitted alone by cubes in an infinite bath, all points counted alike, plateau fixed."""

    pair: list[str]
    intensities: Literal["boxes", "lines"] = Field(
        description="'boxes' = integrals over boxes, as published; 'lines' = the same fit on least-squares amplitudes"
    )
    T_K: list[float | None]
    kD_per_s: list[float]
    kD_se_per_s: list[float] = Field(description="of the scatter around the curve; the paper gives none")
    plateau: list[float] = Field(description="p_i p_j, fixed")
    Ea_eV: float | None = Field(default=None, description="ln D against 1/T, unweighted")
    Ea_se_eV: float | None = Field(default=None, description="of the scatter around the line; the paper gives none")
    reference_Ea_eV: str = Field(default="", description="what labctl finds for this pair, in words")
    rms: float = Field(description="residuals, as a part of all intensity")
    rms_of_plateau: float
    chi2_red: list[float | None] = Field(description="against the noise, per temperature")
    misfits: bool
    overstated: list[float] | None = Field(
        default=None,
        description="least and largest ratio of this pair's cross fraction in boxes to that of the lines, over all 2Ds",
    )
    baseline: bool = Field(
        default=False, description="what boxes show at the shortest Tmix, where lines show nothing, was taken off"
    )


class HeightRates(_Model):
    """Exchange rates from peak heights at one temperature; never without the sentences that say how far off."""

    T_K: float | None
    sites: list[str]
    k_per_s: list[list[float]] = Field(description="row from, column to")
    k_of_lines_per_s: list[list[float]] = Field(description="the same fit on least-squares amplitudes")
    bias: list[str] = Field(min_length=1)


class PaperMode(_Model):
    """The published analysis repeated beside labctl's own; `bias` says what is wrong with it on these data."""

    label: str = "as the paper did it"
    model: str = "pairs one by one, cubes in an infinite bath, plateau fixed at p_i p_j, unweighted"
    half_width_Hz: float = Field(description="half the edge of the boxes")
    pairs: list[PaperPair] = Field(default_factory=list)
    heights: list[HeightRates] = Field(default_factory=list)
    warnings: list[str] = Field(
        default_factory=list, description="where the model misfits, and where boxes overstate; of this mode only"
    )
    bias: list[str] = Field(min_length=1)
    assumptions: list[str] = Field(default_factory=list)
