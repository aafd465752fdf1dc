"""What is known of the sample beside the spectra: which phase lies where, Li densities, a length from microscopy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Geometry = Literal["sphere", "slab"]
Diffusivity = Literal["each", "one"]
ContactFraction = Literal["full", "free", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """Knowledge about the phases; every part of it may be missing, and results say what was assumed instead.

    Attributes
    ----------
    layers : tuple of str
        Sites from the innermost phase outwards; empty: the order is chosen by the data.
    density_per_nm3 : mapping of site to float
        Li per volume; equal if empty.
    geometry : str or None
        ``sphere`` (concentric) or ``slab``; None: a sphere unless the data clearly favour a slab.
        Ea is reported for both.
    diffusivity : str
        ``each``: every phase has its own D and Ea; ``one``: all phases share one of each.
    length_m, length_se_m : float or None
        Size of the innermost phase (radius; slab: half its thickness). Without it no D is reported, only kD = D / d^2.
    contact_fraction : str
        Part of all Li that takes part in the exchange. ``full``: all of it; ``free``: fitted, one for all
        temperatures; ``test``: fitted only if the data ask for it.
    bootstrap : int
        Parametric resamples of the global fit.
    """

    layers: tuple[str, ...] = ()
    density_per_nm3: Mapping[str, float] = field(default_factory=dict)
    geometry: Geometry | None = None
    diffusivity: Diffusivity = "each"
    length_m: float | None = None
    length_se_m: float | None = None
    contact_fraction: ContactFraction = "test"
    bootstrap: int = 0
