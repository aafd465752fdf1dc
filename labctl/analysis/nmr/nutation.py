"""The 90 degree pulse from a series of pulse lengths."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.formats.bruker_dataset import BrukerDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseLength:
    """The true 90 degree pulse [s] and how it was found."""

    p90_s: float
    p90_se_s: float
    decay_s: float | None
    chi2_red: float
    pulses_s: tuple[float, ...]
    intensities: tuple[float, ...]
    intensity_se: tuple[float, ...]
    dataset: str
    warnings: tuple[str, ...] = ()


def fit_nutation(dataset: BrukerDataset, *, name: str = "") -> PulseLength:
    """Return the 90 degree pulse of a nutation series."""
    raise NotImplementedError
