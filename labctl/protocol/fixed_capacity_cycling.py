"""The `fixed_capacity_cycling` procedure as an author writes it: charge to so much a gram, discharge to a voltage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from labctl.protocol.eis_ladder import Millimetres
from labctl.protocol.published import PublishedCycling
from labctl.protocol.quantity import Quantity, Written, fault, key
from labctl.protocol.sample import OWN_SAMPLE, Sample
from labctl.protocol.vt_exsy import Kelvin, Seconds

Volts = Annotated[float, Quantity("V", "2.1 V", at_least="-5 V", at_most="10 V")]
Specific = Annotated[float, Quantity("mAh/g", "600 mAh/g", above="0 mAh/g", at_most="10000 mAh/g")]
CurrentDensity = Annotated[float, Quantity("mA/cm^2", "0.132 mA/cm^2", above="0 mA/cm^2", at_most="1000 mA/cm^2")]
Parts = Annotated[float, Field(strict=True, gt=0, le=1000)]
Substance = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,31}$")]


class Mixture(Written):
    """What was pressed on."""

    mass_mg: Annotated[float, Quantity("mg", "12 mg", above="0 mg", at_most="100000 mg")] = key(
        "mass", "of the whole electrode mixture in this cell"
    )
    mass_uncertainty_mg: Annotated[float, Quantity("mg", "0.1 mg", at_least="0 mg", at_most="100000 mg")] | None = key(
        "mass_uncertainty", "standard error of that mass; specific capacities are no better", default=None
    )
    by_mass: Annotated[Mapping[Substance, Parts], Field(min_length=1, max_length=12)] = key(
        "by_mass", "parts of what was mixed; the active material is the part named `composite`"
    )


class Composite(Written):
    """The active material."""

    by_mole: Annotated[Mapping[Substance, Parts], Field(min_length=1, max_length=12)] = key(
        "by_mole", "parts of the substances it was made from: Li2S, LiI, LiBr, LiCl, S"
    )


class Cell(Written):
    """One cell: whose gram a specific capacity is of, and what its voltages stand against."""

    electrode_diameter_mm: Millimetres = key("electrode_diameter", "of the electrode's face")
    mixture: Mixture = key("mixture", "what the electrode was pressed from")
    composite: Composite = key("composite", "what the active material was made from")
    mass_basis: Annotated[str, StringConstraints(min_length=1, max_length=32)] = key(
        "mass_basis", "whose gram specific capacities are of: a substance, `composite`, `mixture`, or `S`"
    )
    theoretical_capacity_mAh_per_g: Specific | None = key(
        "theoretical_capacity", "per gram of `mass_basis`; from its formula if left out", default=None
    )
    reference: Annotated[str, StringConstraints(min_length=1, max_length=32)] = key(
        "reference", "what voltages are measured against", default="In-Li"
    )
    reference_offset_V: Annotated[float, Quantity("V", "0.62 V", at_least="-5 V", at_most="5 V")] | None = key(
        "reference_offset", "of the reference against Li/Li+ (0.62 V for In-Li); for the report", default=None
    )
    equilibrium_V: Volts | None = key(
        "equilibrium", "against the reference; without it no overpotential is given", default=None
    )


class Repeats(Written):
    """Cycles all alike."""

    cycles: Annotated[int, Field(strict=True, ge=1, le=10000)] = key("cycles", "how many")
    charge_to_mAh_per_g: Specific = key("charge_to", "of each of them")


class Guards(Written):
    """Ends that are not meant to be reached; each of them leads to a pause at open circuit."""

    charge_above_V: Volts = key(
        "charge_above", "upper voltage while charging, below where the electrolyte oxidises (LPSC: 2.1 V against In-Li)"
    )
    charge_below_V: Volts = key(
        "charge_below", "a cell below this while charging is shorted, and takes any capacity happily"
    )
    charge_time_s: Seconds | None = key(
        "charge_time", "longest charge; a tenth more than planned if left out", default=None
    )
    discharge_time_s: Seconds | None = key(
        "discharge_time", "longest discharge; half as much again as planned if left out", default=None
    )
    unreturned_mAh_per_g: Specific | None = key(
        "unreturned",
        "largest sum over all cycles of what was charged and not discharged; if left out, what theory has left beyond"
        " the largest charge",
        default=None,
    )
    efficiency_percent: Annotated[float, Quantity("percent", "80 %", at_least="0 %", at_most="100 %")] = key(
        "efficiency", "two cycles in a row below this coulombic efficiency pause the cell", default="80 %"
    )


class Rests(Written):
    """At open circuit."""

    first_s: Seconds = key("first", "before the first charge", default="1 h")
    between_s: Seconds = key("between", "after each charge and each discharge", default="5 min")


class Records(Written):
    """When the cycler keeps a row; ends of steps are kept in any case."""

    every_s: Annotated[float, Quantity("s", "2 min", at_least="1 s", at_most="1 d")] = key(
        "every", "at least so often", default="2 min"
    )
    change_V: Annotated[float, Quantity("V", "5 mV", at_least="0.1 mV", at_most="1 V")] = key(
        "change", "and on each such change of voltage", default="5 mV"
    )


class FixedCapacityCycling(Written):
    """Galvanostatic cycles that charge to a fixed capacity and discharge to a voltage. It changes the cell."""

    station: str = key("station", "name of the cycler in the lab file; one channel, one cell")
    sample: Sample | None = key("sample", OWN_SAMPLE, default=None)
    cell: Cell = key("cell", "what is in the holder")
    charge_to_mAh_per_g: Annotated[tuple[Specific, ...], Field(max_length=200)] = key(
        "charge_to", "of the first cycles, one cycle each", default=()
    )
    then: Repeats | None = key("then", "further cycles, all alike", default=None)
    current_density_mA_per_cm2: CurrentDensity = key("current_density", "of charges, and of discharges too")
    discharge_current_density_mA_per_cm2: CurrentDensity | None = key(
        "discharge_current_density", "of discharges, where it is another", default=None
    )
    discharge_to_V: Volts = key("discharge_to", "end of each discharge, against the reference")
    guards: Guards = key("guards", "ends that lead to a pause")
    rests: Rests = key("rests", "at open circuit", default={})
    records: Records = key("records", "when a row is kept", default={})
    temperature_K: Kelvin = key(
        "temperature", "of the room or chamber, for the report; nothing is set", default="24 degC"
    )
    published: Annotated[tuple[PublishedCycling, ...], Field(max_length=100)] = key(
        "published", "numbers and figures of a publication; the report holds this campaign's against them", default=()
    )

    @model_validator(mode="after")
    def _cycles_at_all(self) -> Any:
        if not self.charge_to_mAh_per_g and self.then is None:
            raise fault("asks for no cycle", expected="`charge_to: [200 mAh/g, 300 mAh/g]`, or `then`, or both")
        return self

    @property
    def targets_mAh_per_g(self) -> tuple[float, ...]:
        """Capacity of every charge, cycle by cycle."""
        repeated = () if self.then is None else (self.then.charge_to_mAh_per_g,) * self.then.cycles
        return self.charge_to_mAh_per_g + repeated
