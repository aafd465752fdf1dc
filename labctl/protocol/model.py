"""A protocol as an author writes it: frozen, in SI, every key described for editors and for the authoring guide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from labctl.errors import InternalError
from labctl.protocol.commissioning import Commissioning
from labctl.protocol.eis_ladder import EisLadder
from labctl.protocol.fixed_capacity_cycling import FixedCapacityCycling
from labctl.protocol.quantity import Written, fault, key
from labctl.protocol.sample import Sample
from labctl.protocol.vt_exsy import VtExsy

__all__ = ["EisLadder", "FaultReaction", "FixedCapacityCycling", "Procedure", "Protocol", "Sample", "VtExsy"]

FaultReaction = Literal["safe", "pause"]


class Procedure(Written):
    """One procedure on one station: a mapping with exactly one key, the procedure's name."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    exsy: VtExsy | None = key("vt_exsy", "variable-temperature 2D-EXSY", default=None)
    ladder: EisLadder | None = key("eis_ladder", "impedance at a series of temperatures", default=None)
    cycling: FixedCapacityCycling | None = key(
        "fixed_capacity_cycling", "charging a cell to fixed capacities, cycle after cycle", default=None
    )

    @property
    def wanted(self) -> VtExsy | EisLadder | FixedCapacityCycling:
        """The block below the procedure's name."""
        found = self.exsy or self.ladder or self.cycling
        if found is None:
            raise InternalError("a procedure without a block")
        return found

    @property
    def name(self) -> str:
        """The procedure's name."""
        if self.exsy is not None:
            return "vt_exsy"
        return "eis_ladder" if self.ladder is not None else "fixed_capacity_cycling"

    @property
    def vt_exsy(self) -> VtExsy:
        """The block of a `vt_exsy`, for whoever knows that it is one."""
        assert self.exsy is not None
        return self.exsy

    @model_validator(mode="before")
    @classmethod
    def _one_known_name(cls, value: Any) -> Any:
        known = ", ".join(sorted(str(field.alias) for field in cls.model_fields.values()))
        if not isinstance(value, dict) or len(value) != 1:
            raise fault(
                "must be a mapping with the procedure's name as its only key", expected=f"known procedures: {known}"
            )
        name = next(iter(value))
        if name not in {field.alias for field in cls.model_fields.values()}:
            raise fault(f"{name!r} is not a known procedure", expected=f"known procedures: {known}")
        if value[name] is None:
            raise fault(f"{name} is empty", expected="its keys, each on a line of its own")
        return value


class Protocol(Written):
    """A campaign: what to measure on which sample, and what to do when an instrument fails."""

    version: Literal[1] = key("version", "of this format")
    campaign: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")] = key(
        "campaign", "short name for folders and titles: letters, digits, `_ . -`"
    )
    sample: Sample = key("sample", "what is in the rotor or the cell")
    procedures: Annotated[tuple[Procedure, ...], Field(min_length=1, max_length=64)] = key(
        "procedures", "one after another on one station, side by side on different ones"
    )
    published_in: Annotated[str, StringConstraints(max_length=300)] = key(
        "published_in", "whose numbers stand under `published` of the procedures: authors, journal, year", default=""
    )
    commissioning: Commissioning | None = key(
        "commissioning", "the stage this campaign carries out, for `labctl sign`", default=None
    )
    on_fault: Mapping[str, FaultReaction] = key(
        "on_fault", f"per station: {' or '.join(get_args(FaultReaction))}; safe if left out", default={}
    )

    @property
    def commissions(self) -> str:
        """The commissioning stage this campaign carries out, empty if it is none."""
        return "" if self.commissioning is None else self.commissioning.stage

    def sample_of(self, procedure: Procedure) -> Sample:
        """Return what a procedure measures: its own sample, else the campaign's."""
        own = procedure.wanted.sample
        return self.sample if own is None else own
