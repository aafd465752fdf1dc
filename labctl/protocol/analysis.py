"""What an author knows of the phases beside the spectra; the global fit of a campaign uses it, acquisitions do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from labctl.protocol.quantity import Quantity, Written, fault, key
from labctl.protocol.sample import SiteName

Density = Annotated[float, Quantity("1/nm^3", "43.5 1/nm^3", above="0.001 1/nm^3", at_most="500 1/nm^3")]
Length = Annotated[float, Quantity("m", "5 um", above="0.1 nm", at_most="10 mm")]


class Analysis(Written):
    """Layers, densities, geometry and lengths of the phases; whatever is left out, the results say what was assumed."""

    layers: Annotated[tuple[SiteName, ...], Field(max_length=8)] = key(
        "layers",
        "sites from the innermost phase outwards, each phase by its line; left out: the order that fits best",
        default=(),
    )
    densities_per_nm3: Mapping[SiteName, Density] = key(
        "densities", "Li per volume of every phase; equal if left out", default={}
    )
    geometry: Literal["sphere", "slab"] | None = key(
        "geometry",
        "the one whose numbers come first, Ea is given for both; left out: sphere unless slab fits clearly better",
        default=None,
    )
    diffusivity: Literal["each", "one"] = key(
        "diffusivity",
        "`each`: every phase has its own D and Ea; `one`: all share one, as in published pairwise analyses",
        default="each",
    )
    length_m: Length | None = key(
        "length",
        "radius (slab: half thickness) of the innermost phase, from microscopy; without it no D, only D / d^2",
        default=None,
    )
    length_error_m: Length | None = key("length_error", "standard error of that", default=None)
    contact_fraction: Literal["full", "free", "test"] = key(
        "contact_fraction",
        "part of the Li that exchanges: `full`: all; `free`: fitted; `test`: fitted if the data ask for it",
        default="test",
    )
    bootstrap: Annotated[int, Field(strict=True, ge=0, le=10_000)] = key(
        "bootstrap", "resamples of the global fit for intervals of Ea; a fraction of a second each", default=0
    )

    @model_validator(mode="after")
    def _agree(self) -> Analysis:
        if len(set(self.layers)) < len(self.layers):
            raise fault("names a layer twice", expected="each phase once, from the innermost outwards")
        if len(self.layers) == 1:
            raise fault("names one layer only", expected="two phases or more: one has nothing to exchange with")
        if self.densities_per_nm3 and (missing := [one for one in self.layers if one not in self.densities_per_nm3]):
            raise fault(f"densities lack {', '.join(missing)}", expected="a density for every layer, or none at all")
        if self.length_error_m is not None and self.length_m is None:
            raise fault("gives a length_error without a length", expected='length, such as "5 um"')
        if self.length_m is not None and not self.layers:
            raise fault("gives a length without layers", expected="layers, so that it is known whose length it is")
        return self

    def settings(self) -> dict[str, Any]:
        """Return it as plain data for a plan, units in the names."""
        return {
            "layers": list(self.layers),
            "density_per_nm3": dict(self.densities_per_nm3),
            "geometry": self.geometry,
            "diffusivity": self.diffusivity,
            "length_m": self.length_m,
            "length_se_m": self.length_error_m,
            "contact_fraction": self.contact_fraction,
            "bootstrap": self.bootstrap,
        }
