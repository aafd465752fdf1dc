"""Fields of files that people write: text with units to SI floats, moments to epoch seconds; the model below all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from labctl import units

NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"


class Written(BaseModel):
    """A block of a protocol or lab file: frozen, unknown keys refused, defaults written as an author would."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def as_block(name: str) -> Any:
    """Return a validator that lets a plain text stand for a block with only `name` in it."""

    def read(value: Any) -> Any:
        return {name: value} if isinstance(value, (str, int, float)) and not isinstance(value, bool) else value

    return read


class ShortForm(Written):
    """A block that may be written as one text: ``spinning: 10 kHz`` for ``spinning: {rate: 10 kHz}``."""

    short_form: ClassVar[bool] = True

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler(schema)]}


def key(name: str, about: str, *, default: Any = ..., **kw: Any) -> Any:
    """Return the field of the YAML key `name`; `default` is written as the author would write it.

    A field and its key differ because the field carries the unit and the key does not: ``ramp_K_per_s``, ``ramp``.
    """
    return Field(default, alias=name, description=about, **kw)


def fault(what: str, *, expected: str = "") -> PydanticCustomError:
    """Return an error a validator raises; the loader turns it into a finding with its place."""
    # The texts travel as data: PydanticCustomError would read braces in them as fields.
    return PydanticCustomError("labctl", "{what}", {"what": what, "expected": expected})


@dataclass(frozen=True, slots=True)
class Quantity:
    """Annotation of a float field that is written as text with a unit.

    Attributes
    ----------
    unit : str
        Unit of the float, as pint spells it (``s``, ``K``, ``K/s``, ``Hz``, ``ppm``, ``percent``).
    example : str
        A right value, for messages and editors.
    above, at_least, at_most : str
        Bounds, written with a unit; empty for none.
    difference : bool
        A temperature difference: ``0.5 degC`` means 0.5 K.
    """

    unit: str
    example: str
    above: str = ""
    at_least: str = ""
    at_most: str = ""
    difference: bool = False

    def read(self, text: object) -> float:
        """Return the float; raises the validator's error for anything that is no such quantity or out of bounds."""
        if text is None:
            raise fault("is empty", expected=f'text with a unit, such as "{self.example}"')
        try:
            value = units.parse(text, self.unit, example=self.example, difference=self.difference)
        except units.QuantityError as problem:
            raise fault(problem.what, expected=problem.expected) from None
        if self.above and not value > self._bound(self.above):
            raise fault("is too small", expected=f"{self.range}, such as {self.example}")
        if self.at_least and not value >= self._bound(self.at_least):
            raise fault("is too small", expected=f"{self.range}, such as {self.example}")
        if self.at_most and not value <= self._bound(self.at_most):
            raise fault("is too large", expected=f"{self.range}, such as {self.example}")
        return value

    def _bound(self, text: str) -> float:
        return units.parse(text, self.unit, difference=self.difference)

    @property
    def range(self) -> str:
        """The bounds in words, empty if there are none."""
        low = f"more than {self.above}" if self.above else f"at least {self.at_least}" if self.at_least else ""
        high = f"at most {self.at_most}" if self.at_most else ""
        return " and ".join(part for part in (low, high) if part)

    @property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the text: number and one of the common units of its kind."""
        spelled = [name.replace("percent", "%") for name in units.COMMON.get((self.unit, self.difference), [self.unit])]
        pattern = rf"^\s*{NUMBER}\s*({'|'.join(re.escape(name) for name in spelled)})\s*$"
        units_and_range = ", ".join(dict.fromkeys(spelled)) + (f"; {self.range}" if self.range else "")
        return {"type": "string", "pattern": pattern, "examples": [self.example], "$comment": units_and_range}

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return self.json_schema


@dataclass(frozen=True, slots=True)
class Moment:
    """Annotation of a float field [s since 1970 UTC] that is written as date, time and UTC offset."""

    example: str = "2026-03-02 08:00+01:00"

    def read(self, text: object) -> float:
        """Return seconds since 1970 UTC; raises the validator's error for anything else."""
        expected = f'date, time and UTC offset, such as "{self.example}"'
        if not isinstance(text, str):
            raise fault("is not a moment in time", expected=expected)
        try:
            moment = datetime.fromisoformat(text.strip().replace(" +", "+"))
        except ValueError:
            raise fault("is not a moment in time", expected=expected) from None
        if moment.tzinfo is None:
            raise fault("does not say which time zone it is in", expected=expected)
        try:
            return moment.timestamp()
        except (OverflowError, ValueError, OSError):
            raise fault("is not a moment this computer can reckon with", expected=expected) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}[ T].*", "examples": [self.example]}
