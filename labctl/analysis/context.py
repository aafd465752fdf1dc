"""What the analysis is told beside the data: names of the campaign and its sites, and what counts as a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from labctl.analysis.structure import Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a change is reported; the defaults are bench practice and a protocol may move them.

    Attributes
    ----------
    settle_shift_ppm, settle_per_s : float
        The line of a sample at temperature moves slower than this.
    reference_shift_ppm, reference_area, reference_width : float
        Between the first 1D of a temperature and a later one; area and width as fractions.
    p90 : float
        Deviation of the 90 degree pulse from the expected one that stops the campaign, as a fraction.
    asymmetry_sigma : float
        |A_ij - A_ji| over its standard error.
    """

    settle_shift_ppm: float = 0.02
    settle_per_s: float = 900.0
    reference_shift_ppm: float = 0.03
    reference_area: float = 0.03
    reference_width: float = 0.10
    p90: float = 0.15
    asymmetry_sigma: float = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisContext:
    """What `analyze_campaign` and `judge` know beside the data.

    Attributes
    ----------
    sites : mapping of name to ppm
        Empty: lines are looked for, and named by falling population.
    provenance : mapping
        Goes into ``results.json`` as it is.
    structure : Structure
        What is known of the phases.
    """

    campaign: str = ""
    sites: Mapping[str, float] = field(default_factory=dict)
    nucleus: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Thresholds = field(default_factory=Thresholds)
    structure: Structure = field(default_factory=Structure)
