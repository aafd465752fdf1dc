"""Position, width and area of sites in a 1D, to tell whether the sample has settled and is still the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.formats.bruker_dataset import BrukerDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLine:
    """One site in one 1D; the area is the signal at t = 0, counts per scan."""

    site: str
    ppm: float
    ppm_se: float
    fwhm_Hz: float
    fwhm_se_Hz: float
    area: float
    area_se: float


def measure_lines(dataset: BrukerDataset, *, sites: Mapping[str, float] | None = None) -> tuple[SiteLine, ...]:
    """Return position, width and area of each site of a 1D."""
    raise NotImplementedError
