"""Position, width and area of sites in a 1D, to tell whether the sample has settled and is still the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from labctl.analysis.nmr.joint_fit import Products
from labctl.analysis.nmr.lines import LineSet, refine_lines
from labctl.analysis.nmr.rows import prepare
from labctl.errors import InputError
from labctl.formats.bruker_dataset import BrukerDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLine:
    """One site in one 1D.

    Standard errors are marginal (widths, positions and areas fitted together), scaled by sqrt(chi2_red) where that
    exceeds 1. The area is the signal at t = 0, counts per scan.
    """

    site: str
    ppm: float
    ppm_se: float
    fwhm_Hz: float
    fwhm_se_Hz: float
    area: float
    area_se: float


def measure_lines(
    dataset: BrukerDataset, *, sites: Mapping[str, float] | None = None, lines: LineSet | None = None
) -> tuple[SiteLine, ...]:
    """Return position, width and area of each site of a 1D; lines are looked for when not named.

    `lines` are those of this very 1D, where the caller has fitted them already.

    Raises
    ------
    InputError
        Not a 1D, no data, or (unnamed) no line above the noise.
    """
    if dataset.dimension != "1D":
        raise InputError(f"{dataset.path}: lines are measured in a 1D, not in a {dataset.dimension}")
    lines = lines or refine_lines([dataset], sites=sites)
    products = Products.of(prepare(dataset, t2_end_s=lines.t2_end_s), lines.shape, slopes_only=True)
    count = len(lines.lines)
    normal = products.eliminate([products.direction(parameter) for parameter in lines.free])
    fixed = np.linalg.inv(products.g2[:count, :count].real) / products.weight
    cov = fixed + normal.amplitude_slope.T @ lines.cov @ normal.amplitude_slope
    scale = math.sqrt(max(1.0, lines.chi2_red))
    areas = products.amplitudes[0]
    sign = 1.0 if areas.sum() >= 0 else -1.0
    return tuple(
        SiteLine(
            site=line.name,
            ppm=line.ppm,
            ppm_se=line.offset_se_Hz / dataset.reference_MHz,
            fwhm_Hz=line.fwhm_Hz,
            fwhm_se_Hz=line.fwhm_se_Hz,
            area=sign * float(areas[j]),
            area_se=scale * math.sqrt(float(cov[j, j])),
        )
        for j, line in enumerate(lines.lines)
    )
