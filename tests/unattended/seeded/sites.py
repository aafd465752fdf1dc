"""A station of a seeded campaign: it outlives engines, and what really happens there is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from labctl.clock import VirtualClock
from labctl.plan.steps import Step
from labctl.ports import Instrument
from tests.unattended.seeded.host import HostClock

ROOM_K = 298.15
OVER_TEMPERATURE = "over temperature"
SAMPLES = Path(__file__).resolve().parents[3] / "protocols" / "samples"


@dataclass
class Truth:
    """What happened at one station, by the station itself.

    Attributes
    ----------
    begun : list
        Token and time of every measurement that was really started.
    broken : list of str
        What must never happen and did.
    """

    begun: list[tuple[str, float]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


class Site:
    """One station, on the lab's own time. Ours is what a station in a lab would do, whoever asks or forgets to.

    Attributes
    ----------
    heat_is_allowed : bool
        No heat was taken away for a reason since a person was there last; else it must stay off.
    engine_lives : bool
        An engine is there now.
    """

    limits: ClassVar[dict[str, float]] = {}

    def __init__(self, name: str, clock: VirtualClock, folder: Path, steps: list[Step]) -> None:
        self.name = name
        self.clock = clock
        self.folder = folder
        self.steps = steps
        self.truth = Truth()
        self.heat_is_allowed = True
        self.engine_lives = False
        self._why_off = ""

    def driver(self, host: HostClock) -> Instrument:
        """Return a driver as a fresh process makes it."""
        raise NotImplementedError

    def heats(self) -> bool:
        """Whether the heater may draw power now."""
        return False

    def hazard(self) -> str:
        """What is wrong now that heat and measuring must not go on with, as far as readings tell; empty if nothing."""
        return ""

    def unseen_s(self) -> float:
        """For how long nobody could have read what the temperature is [s]."""
        return 0.0

    def measures(self) -> bool:
        """Whether something is measured now."""
        return False

    def mend(self) -> None:
        """A person looks after the station and puts right what is wrong."""
        self.person_comes()

    def person_comes(self) -> None:
        """A person stands there: heat is theirs to allow."""
        self.heat_is_allowed, self._why_off = True, ""

    def heat_must_stay_off(self, why: str) -> None:
        """From here on only a person brings heat back."""
        self.heat_is_allowed, self._why_off = False, why

    def heat_comes(self) -> None:
        """The heater draws power from here on."""
        if not self.heat_is_allowed:
            self.truth.broken.append(f"{self.name}: heat came back without a person after {self._why_off}")
