"""Live instruments from the stations of a lab file: drivers, and in a rehearsal their simulators, by entry point."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from labctl.clock import Clock, VirtualClock
from labctl.errors import InputError
from labctl.ports import Instrument
from labctl.station.shapes import ChangesSample, OpenDriver, OpenSimulator, Simulator

DRIVERS = "labctl.drivers"
SIMULATORS = "labctl.simulators"
FAULTS = "labctl.faults"


class LimitsOfLab(Protocol):
    """The limits of one station, as the lab file has them."""

    def numbers(self) -> Mapping[str, float]:
        """Return those that are set, SI unit in each name."""
        ...


class StationOfLab(Protocol):
    """What is needed of one station of the lab file."""

    @property
    def driver(self) -> str: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def limits(self) -> LimitsOfLab: ...

    def simulator_settings(self) -> Mapping[str, Any]:
        """Return `settings` and, below ``simulator``, the simulator's own."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStations:
    """Instruments by station, not yet opened by an engine, and the simulators behind them."""

    instruments: dict[str, Instrument]
    simulators: dict[str, Simulator] = field(default_factory=dict)
    state_dir: Path | None = None

    def change_sample(self, station: str, sample: Path) -> None:
        """Put another sample into a simulated station; it is still there when the station is opened again.

        Raises
        ------
        InputError
            The simulator cannot use the file, or holds its sample for good.
        """
        simulator = self.simulators[station]
        if not isinstance(simulator, ChangesSample):
            raise InputError(f"the simulator of station {station} cannot change its sample")
        simulator.change_sample(sample)
        if self.state_dir is not None:
            shutil.copyfile(sample, _inside(self.state_dir, station))

    def simulated_now_s(self) -> float | None:
        """Return the time the simulated lab has reached, None where nothing is simulated."""
        return max((simulator.now_s() for simulator in self.simulators.values()), default=None)

    def close(self) -> None:
        """Let the simulators save and go; instruments are closed by the engine."""
        for simulator in self.simulators.values():
            simulator.close()


def open_instruments(
    stations: Mapping[str, StationOfLab],
    *,
    clock: Clock,
    simulate: bool,
    state_dir: Path,
    sample: Path | None = None,
    samples: Mapping[str, Path] | None = None,
    seed: int = 0,
    faults: Path | None = None,
) -> OpenStations:
    """Return the instruments of the named stations, real or simulated.

    Parameters
    ----------
    stations : mapping
        Those the plan needs, from the lab file.
    clock : Clock
        Shared by all. A virtual clock is moved on to the simulated lab's own time, and from then on woken by its
        events.
    state_dir : Path
        A simulated station keeps its state in ``<state_dir>/<station>/simulator``, and goes on from there.
    sample, seed, faults
        Of the simulators: sample file (needed), seed of the noise, fault script.
    samples : mapping, optional
        Sample files of stations that begin with another one; what was put in later counts before both.

    Raises
    ------
    InputError
        A driver or simulator is not installed (names what is), cannot be imported (names what is missing), or
        refuses its settings; or a line of the fault script is none that a simulator would carry out.
    """
    if simulate and sample is None:
        raise InputError("a simulated lab needs a sample file", next_step="Name one: --simulate SAMPLE.yaml")
    if simulate and faults is not None:
        check_faults(faults, stations)
    simulators: dict[str, Simulator] = {}
    try:
        for name, station in stations.items() if simulate else ():
            open_simulator = cast("OpenSimulator", _load(SIMULATORS, station.driver, name))
            folder = state_dir / name / "simulator"
            folder.mkdir(parents=True, exist_ok=True)
            assert sample is not None
            changed = _inside(state_dir, name)
            simulators[name] = open_simulator(
                station=name,
                state_dir=folder,
                clock=clock,
                seed=seed,
                sample=changed if changed.is_file() else (samples or {}).get(name, sample),
                settings=station.simulator_settings(),
                faults=faults,
            )
        opened = OpenStations(
            instruments={
                name: cast("OpenDriver", _load(DRIVERS, station.driver, name))(
                    station=name,
                    settings=station.settings,
                    limits=station.limits.numbers(),
                    clock=clock,
                    link=simulators[name].link() if simulate else None,
                )
                for name, station in stations.items()
            },
            simulators=simulators,
            state_dir=state_dir,
        )
    except BaseException:
        for simulator in simulators.values():
            simulator.close()
        raise
    if isinstance(clock, VirtualClock):
        reached_s = opened.simulated_now_s()
        if reached_s is not None:
            clock.wait_until(reached_s)  # before the sources are known, this is a plain jump
        for name, simulator in simulators.items():
            clock.add_source(simulator.next_event_s, of=name)
    return opened


def _inside(state_dir: Path, station: str) -> Path:
    """Where a simulated station keeps what was put in after its first sample."""
    return state_dir / station / "sample.yaml"


def check_faults(script: Path, stations: Mapping[str, StationOfLab]) -> None:
    """Hold a fault script against the whole lab: what no simulator would carry out is a mistake, not to be missed.

    Raises
    ------
    InputError
        One finding for each line that nobody would carry out.
    """
    for entry in installed(FAULTS).values():
        check = cast("Callable[[Path, Mapping[str, tuple[str, Mapping[str, Any]]]], object]", entry.load())
        check(script, {name: (station.driver, station.settings) for name, station in stations.items()})


@functools.cache  # every look goes through the metadata of all packages there are
def installed(group: str) -> Mapping[str, EntryPoint]:
    """Return by name what packages offer for an entry point group."""
    return {entry.name: entry for entry in entry_points(group=group)}


def _load(group: str, driver: str, station: str) -> object:
    """Return what the entry point of `driver` names."""
    what = group.removeprefix("labctl.").removesuffix("s")
    found = installed(group)
    if driver not in found:
        offered = ", ".join(sorted(found)) or "none"
        raise InputError(
            f"station {station}: no {what} {driver!r} is installed",
            expected=f"one of: {offered}",
            next_step=f"Install the package that offers it (entry point group {group})",
        )
    try:
        return found[driver].load()
    except ImportError as error:
        raise InputError(
            f"station {station}: the {what} {driver!r} ({found[driver].value}) cannot be imported: {error}",
            expected=f"the packages it needs: pip install 'labctl-acquisition[{driver}]'",
        ) from error
    except AttributeError as error:
        raise InputError(
            f"station {station}: {found[driver].value} does not exist ({error})", expected=f"a working {what}"
        ) from error
