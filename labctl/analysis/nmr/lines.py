"""The lines that all mixing times of one temperature share: where they are, how wide, and in which phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.formats.bruker_dataset import BrukerDataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One spectral site; decays as ``exp(-pi L t - (pi G t)^2 / (4 ln 2))``, L and G being FWHM [Hz]."""

    name: str
    ppm: float
    offset_Hz: float
    offset_se_Hz: float
    lorentz_Hz: float
    gauss_Hz: float
    fwhm_Hz: float
    fwhm_se_Hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSet:
    """Lines of one temperature with the receiver phase they share.

    Attributes
    ----------
    lines : tuple of Line
        In the order given; found lines by falling intensity.
    phase_rad : float
        Common phase of F2 (``exp(i phase)`` in front of every row).
    chi2_red : float
        Residual of the joint fit over its noise.
    warnings : tuple of str
        What a careful referee would raise (overlap, shape, width at a bound...).
    """

    lines: tuple[Line, ...]
    phase_rad: float
    chi2_red: float
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites."""
        return tuple(line.name for line in self.lines)


def find_lines(datasets: Sequence[BrukerDataset], *, most: int = 6) -> tuple[float, ...]:
    """Return chemical shifts [ppm] of the lines seen in the summed power spectra, strongest first."""
    raise NotImplementedError


def refine_lines(datasets: Sequence[BrukerDataset], *, sites: Mapping[str, float] | None = None) -> LineSet:
    """Return the lines shared by `datasets` (all of one temperature): 1D, pseudo-2D and 2D may be mixed.

    Parameters
    ----------
    sites : mapping of name to ppm, optional
        Where to start; found when not given.
    """
    raise NotImplementedError
