"""The shapes by which a driver and a simulator meet without knowing of each other.

Entry points (groups ``labctl.drivers`` and ``labctl.simulators``, key = instrument name in both) name
callables of these shapes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from labctl.clock import Clock
from labctl.ports import Instrument, Order, TemperatureController


class OpenDriver(Protocol):
    """``labctl_topspin:open_driver``."""

    def __call__(
        self,
        *,
        station: str,
        settings: Mapping[str, Any],
        limits: Mapping[str, float],
        clock: Clock,
        link: Any | None = None,
    ) -> Instrument:
        """Return the driver of one station.

        Parameters
        ----------
        settings : mapping
            The `settings:` block of the station in the lab file, plain data; the driver checks it and
            raises `InputError` naming the key.
        limits : mapping
            Hardware limits of the lab file, SI units in the names.
        link : object or None
            The simulator's end of the wire; ``None`` makes the driver's real link.
        """
        ...


class OpenController(Protocol):
    """``labctl_lakeshore:open_controller`` (group ``labctl.controllers``): the oven of another instrument's station."""

    def __call__(
        self,
        *,
        settings: Mapping[str, Any],
        clock: Clock,
        link: Any | None = None,
        station: str = "oven",
        limits: Mapping[str, float] | None = None,
    ) -> TemperatureController:
        """Return a temperature controller, not yet opened.

        Parameters are as of `OpenDriver`; `settings` is the controller's own block, and of the `limits` those of
        temperature and ramp count. On a real line the limits must be there.
        """
        ...


class WritePrograms(Protocol):
    """``labctl_topspin:write_programs`` (group ``labctl.programs``, key = driver): a campaign that needs no labctl."""

    def __call__(
        self,
        *,
        station: str,
        campaign: str,
        parts: Sequence[tuple[str, Sequence[Order]]],
        settings: Mapping[str, Any],
        limits: Mapping[str, float],
        simulated: bool,
        notes: Sequence[str],
        into: Path,
    ) -> Sequence[str]:
        """Write programs for the instrument's own console into a folder, with a README; return what was written.

        Parameters
        ----------
        parts : sequence of (str, sequence of Order)
            What a person has to do first (empty: nothing), and first attempts in order.
        simulated : bool
            The station exists only in simulators: limits may be missing.
        notes : sequence of str
            What people have to know, for the README.
        """
        ...


class Simulator(Protocol):
    """A simulated instrument whose state and time live on disk and outlast labctl."""

    def next_event_s(self) -> float | None:
        """Wall time of the next thing that will happen by itself or that an agent will notice; None if nothing."""
        ...

    def now_s(self) -> float:
        """The simulated lab's own time, as last saved (where a resumed virtual clock starts)."""
        ...

    def link(self) -> Any:
        """The object that stands in for the driver's link."""
        ...

    def close(self) -> None:
        """Save and let go."""
        ...


@runtime_checkable
class ChangesSample(Protocol):
    """A simulated instrument that somebody can put another sample into."""

    def change_sample(self, sample: Path) -> None:
        """Hold what this sample file says from now on; raises `InputError` where it cannot be used."""
        ...


class OpenSimulator(Protocol):
    """``labctl_sim_topspin:open_simulator``."""

    def __call__(
        self,
        *,
        station: str,
        state_dir: Path,
        clock: Clock,
        seed: int,
        sample: Path,
        settings: Mapping[str, Any],
        faults: Path | None = None,
    ) -> Simulator:
        """Return the simulated instrument kept in `state_dir` (made if empty, taken up again if not).

        `settings` is the same `settings:` block the driver gets plus the station's `simulator:` block under
        the key ``simulator``. Noise is keyed by (seed, dataset title), never by the order of calls.
        """
        ...
