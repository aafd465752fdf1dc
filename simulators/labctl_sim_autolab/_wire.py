"""What a driver has in place of the vendor's assemblies, and the simulator a station opens."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from labctl.clock import Clock
from labctl.errors import InputError
from labctl_sim_autolab._commands import impedance_procedure
from labctl_sim_autolab._device import Potentiostat
from labctl_sim_autolab._net import EI
from labctl_sim_autolab._nox import write_nox
from labctl_sim_autolab._sdk import Instrument, InstrumentExtensions
from labctl_sim_autolab._settings import read_settings
from labctl_sim_autolab.faults import load_faults
from labctl_sim_sample import load_sample

PROCEDURE = "procedures/FRA impedance potentiostatic.nox"
"""Below the state folder: the procedure somebody has made in NOVA, 100 kHz to 1 Hz, ten points per decade."""


class FakeSdk:
    """The names that importing the vendor's assemblies gives."""

    def __init__(self, device: Potentiostat) -> None:
        self.Instrument = partial(Instrument, device)
        self.EI = EI
        self.InstrumentExtensions = InstrumentExtensions


class InstrumentLink:
    """The instrument's computer as the driver sees it: a folder for results, the SDK, and the line to the oven."""

    simulated = True

    def __init__(self, device: Potentiostat, *, state_dir: Path, oven: Any | None) -> None:
        self._device = device
        self._state_dir = state_dir
        self.data_dir: Path = device.settings.data_dir
        self.oven = oven

    def load(self) -> FakeSdk:
        """Return the SDK's names."""
        return FakeSdk(self._device)

    def path(self, name: str) -> str:
        """Return a path of the settings as this computer has it: below the state folder."""
        return str(self._state_dir / name)

    def announce(self, title: str) -> None:
        """A sweep of this title follows."""
        self._device.announce(title)

    def free_at_s(self) -> float:
        """Monotonic time at which the last call is over: on a virtual clock, calls return before."""
        return self._device.free_at_s()

    def refresh(self) -> None:
        """Let the instrument live until the clock's time."""
        self._device.live()

    def close(self) -> None:
        """Let go; the instrument stays as it is."""


class SimulatedAutolab:
    """A simulated potentiostat and its oven whose state and time live in a folder and outlast the process."""

    def __init__(self, device: Potentiostat, *, state_dir: Path, oven: Any | None) -> None:
        self.device = device
        self.oven = oven
        self._state_dir = state_dir

    def next_event_s(self) -> float | None:
        """Wall time of the next thing somebody who watches would want to see; None if all rests."""
        self.device.live()
        due = [self.device.next_event_s(), None if self.oven is None else self.oven.next_event_s()]
        return min((at_s for at_s in due if at_s is not None), default=None)

    def now_s(self) -> float:
        """The simulated lab's own time."""
        return self.device.now_s()

    def link(self) -> InstrumentLink:
        """The object that stands in for the driver's link."""
        return InstrumentLink(
            self.device, state_dir=self._state_dir, oven=None if self.oven is None else self.oven.link()
        )

    def change_sample(self, sample: Path) -> None:
        """Hold another pellet from now on; raises InputError where the sample file cannot be used."""
        self.device.live()
        self.device.change_sample(load_sample(sample).eis)

    def close(self) -> None:
        """Save and let go."""
        self.device.live()
        self.device.save()
        if self.oven is not None:
            self.oven.close()


def open_simulator(
    *,
    station: str,
    state_dir: Path,
    clock: Clock,
    seed: int,
    sample: Path,
    settings: Mapping[str, Any],
    faults: Path | None = None,
) -> SimulatedAutolab:
    """Return the simulated station kept in `state_dir`: made if there is none, taken up again if there is.

    The oven is the simulator of the controller that the settings name (group ``labctl.simulators``); its faults stand
    in the same script under ``station: <station>.oven``.

    Raises
    ------
    InputError
        Settings, sample or fault script cannot be used; the finding says where.
    """
    state_dir = state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    checked = read_settings(settings, station=station, state_dir=state_dir)
    checked.data_dir.mkdir(parents=True, exist_ok=True)
    script = () if faults is None else load_faults(faults, station=station)
    pellet = load_sample(sample).eis
    oven = None
    if checked.controller:
        oven = _simulator_of(checked.controller, station)(
            station=f"{station}.oven",
            state_dir=state_dir / "oven",
            clock=clock,
            seed=seed,
            sample=sample,
            settings=checked.oven_settings,
            faults=faults,
        )
    device = Potentiostat(
        checked,
        sample=pellet,
        temperature_K=lambda: checked.temperature_K if oven is None else float(oven.sample_K()),
        faults=script,
        clock=clock,
        seed=seed,
        state_dir=state_dir,
    )
    _make_procedure(state_dir / PROCEDURE, device.born_s)
    return SimulatedAutolab(device, state_dir=state_dir, oven=oven)


def _simulator_of(controller: str, station: str) -> Any:
    found = {entry.name: entry for entry in entry_points(group="labctl.simulators")}
    if controller not in found:
        raise InputError(
            f"station {station}: no simulator of the temperature controller {controller!r} is installed",
            expected=f"one of: {', '.join(sorted(found))}",
        )
    return found[controller].load()


def _make_procedure(path: Path, at_s: float) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = impedance_procedure([float(f_Hz) for f_Hz in np.geomspace(1e5, 1.0, 51)])
    names: list[tuple[str, dict[str, Any]]] = [(command["id"], {}) for command in plain["commands"]]
    write_nox(path, name=plain["name"], serial="", at_s=at_s, note=plain, commands=names)
