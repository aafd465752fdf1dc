"""What is to be done about what happened. Commands are never stored: they follow from the events again."""

from __future__ import annotations

from dataclasses import dataclass

from labctl.dataset.model import Dataset
from labctl.ports import Order
from labctl.run.order_events import Intended, Reopened, Skipped
from labctl.run.station_events import Alarmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Intend:
    """Commit an intent."""

    event: Intended


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Commit that an intent is taken up again."""

    event: Reopened


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Commit that a step is left out."""

    event: Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """Hand the order to the instrument, once."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Ask how the order goes until it has ended."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class AskEvidence:
    """Ask the instrument what it knows of the order."""

    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """Bring in what the order left."""

    order: Order
    partial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLoop:
    """Look for fresh readings, gas and rate before any heat; and whether the band was held."""

    station: str
    spinning_Hz: float
    tolerance_Hz: float
    setpoint_K: float | None
    within_K: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOff:
    """Let analysis see a dataset."""

    dataset: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """End an order early, keeping its data."""

    order: Order
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeSafe:
    """Bring a station to its safe state and wait until it is read back."""

    station: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitPerson:
    """Wait for a person; cool down when none comes and the station is warm."""

    station: str
    warm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitBlackout:
    """Begin nothing until a blackout is over; hold the temperature."""

    station: str
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Let people know."""

    event: Alarmed


Duty = Watch | AskEvidence | Collect | CheckLoop | MakeSafe | AwaitPerson | AwaitBlackout
"""A command that is kept up, poll by poll, until an event answers it."""

Command = Intend | Reopen | Skip | Begin | HandOff | Stop | Tell | Duty
