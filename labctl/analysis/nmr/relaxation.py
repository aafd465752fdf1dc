"""T1 by saturation (or inversion) recovery, one value per site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.analysis.nmr.lines import LineSet
from labctl.formats.bruker_dataset import BrukerDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Recovery of one site, ``M0 (1 - alpha exp(-t/T1))``; errors are scaled by sqrt(chi2_red) where that exceeds 1."""

    site: str
    ppm: float | None
    T_K: float | None
    T1_s: float
    T1_se_s: float
    M0: float
    M0_se: float
    alpha: float
    alpha_se: float
    chi2_red: float
    delays_s: tuple[float, ...]
    intensities: tuple[float, ...]
    intensity_se: tuple[float, ...]
    model: str
    dataset: str
    warnings: tuple[str, ...] = ()


def fit_recovery(
    dataset: BrukerDataset,
    *,
    sites: Mapping[str, float] | None = None,
    lines: LineSet | None = None,
    T_K: float | None = None,
    name: str = "",
) -> tuple[Recovery, ...]:
    """Return one `Recovery` per site; with neither `sites` nor `lines` the data's own common line shape is used."""
    raise NotImplementedError
