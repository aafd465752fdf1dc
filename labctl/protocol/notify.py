"""The ``notify:`` block of a lab file: who is told, from which severity on, and when it is quiet.

Addresses of messengers are secrets, and a lab file is copied into every run folder. So an address never stands in it:
``env:NAME`` names an environment variable, ``file:PATH`` a file of the user who starts labctl.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from labctl.protocol.quantity import Quantity, Written, fault, key

SeverityName = Literal["info", "warning", "person", "alarm"]

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,79}|file:[^\s].{0,400}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Reference:
    """Annotation of a field that says where an address is kept; what is written instead is never shown."""

    example: str = "env:LABCTL_NOTIFY_URL"

    def read(self, text: object) -> str:
        """Return the reference; raises the validator's error, without the text, for anything else."""
        if isinstance(text, str) and _REFERENCE.fullmatch(text) and "://" not in text:
            return text
        literal = isinstance(text, str) and ":" in text
        what = "holds an address itself, and addresses are secrets" if literal else "does not say where the address is"
        raise fault(what, expected="env:NAME_OF_VARIABLE or file:~/path, with the address kept there")

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": "^(env:[A-Za-z_]|file:).*$", "examples": [self.example]}


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Annotation of a float field [s of the local day] that is written as ``"22:00"``."""

    example: str = "22:00"

    def read(self, text: object) -> float:
        """Return the second of the day."""
        found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise fault("is not a time of day", expected='hours and minutes in quotes, such as "22:00"')
        return 3600.0 * int(found[1]) + 60.0 * int(found[2])

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "examples": [self.example]}


Address = Annotated[str, Reference()]
DayTime = Annotated[float, TimeOfDay()]


class Target(Written):
    """Somebody, or some service, that is told."""

    url: Address = key("url", "where the address is kept: env:NAME or file:PATH; the address as Apprise writes them")
    least: SeverityName = key("from", "least severity that is sent here", default="info")
    after_reminders: Annotated[int, Field(strict=True, ge=0, le=20)] = key(
        "after_reminders", "only what nobody answered after so many reminders; 0: everything", default=0
    )


class Quiet(Written):
    """Hours in which only what is urgent comes through; the rest is said when they end."""

    from_s: DayTime = key("from", "local time, such as 22:00")
    to_s: DayTime = key("to", "local time, such as 07:00")
    let_through: Literal["person", "alarm"] = key("let_through", "least severity that comes through", default="alarm")


class Beat(Written):
    """A regular request to an address elsewhere, so that silence is noticed there (dead-man's switch)."""

    url: Address = key("url", "where the address (http or https) is kept: env:NAME or file:PATH")
    every_s: Annotated[float, Quantity("s", "5 min", at_least="30 s", at_most="1 d")] = key(
        "every", "between two signs of life", default="5 min"
    )


class Notify(Written):
    """Who is told what and when. Needs ``pip install 'labctl-acquisition[notify]'``; dry runs send nothing."""

    targets: Annotated[tuple[Target, ...], Field(max_length=20)] = key("targets", "who is told", default=())
    remind_s: Annotated[float, Quantity("s", "15 min", at_least="1 min", at_most="1 d")] = key(
        "remind", "between two reminders of what nobody has acknowledged", default="15 min"
    )
    quiet: Quiet | None = key("quiet_hours", "hours in which only what is urgent comes through", default=None)
    summary_s: DayTime | None = key("daily_summary", "local time of the daily summary", default=None)
    heartbeat: Beat | None = key("heartbeat", "sign of life for a dead-man's switch elsewhere", default=None)
