"""What is in the rotor, between the electrodes or in the holder, as an author writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from labctl.protocol.quantity import Quantity, Written, key

SiteName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,31}$")]


class Sample(Written):
    """What is in the rotor or between the electrodes, as far as the campaign has to know."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=80)] = key("name", "for titles and reports")
    nucleus: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}[A-Z][a-z]?$")] | None = key(
        "nucleus", "mass number and element: `6Li`, `7Li`; a spectrometer needs it", default=None
    )
    sites: Annotated[
        Mapping[SiteName, Annotated[float, Quantity("ppm", "2.31 ppm", at_least="-10000 ppm", at_most="10000 ppm")]],
        Field(max_length=16),
    ] = key("sites", "name and chemical shift of each line; a spectrometer needs them", default={})
    simulated_as: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+$")] | None = key(
        "simulated_as", "sample file that simulators pretend is inside; real runs ignore it", default=None
    )


OWN_SAMPLE = "what this procedure measures, where it is not the campaign's; a person puts it in before"
"""Meaning of the key `sample` of a procedure."""
