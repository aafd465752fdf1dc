"""Stations are opened by entry point; what is missing is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import labctl.station.stations as rooms
from labctl.clock import Clock, VirtualClock
from labctl.errors import InputError
from labctl.ports import Instrument
from labctl.station.shapes import OpenDriver, OpenSimulator, Simulator
from labctl.station.stations import StationOfLab, open_instruments
from labctl.testing import ScriptedInstrument

LATER_S = 1_700_100_000.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a lab file."""

    def numbers(self) -> Mapping[str, float]:
        return {"sensor_max_K": 400.0}


@dataclass(frozen=True, kw_only=True)
class Station:
    """A station of a lab file."""

    driver: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    def simulator_settings(self) -> Mapping[str, Any]:
        return {**self.settings, "simulator": {"operator": "present"}}


opened: dict[str, Any] = {}


class SavedSimulator:
    """A simulator that stopped at `LATER_S` and will do something 10 s later."""

    def __init__(self, **told: Any) -> None:
        opened["simulator"] = told
        opened["closed"] = False

    def next_event_s(self) -> float | None:
        return LATER_S + 10.0

    def now_s(self) -> float:
        return LATER_S

    def link(self) -> Any:
        return "the wire"

    def close(self) -> None:
        opened["closed"] = True


def open_simulator(
    *,
    station: str,
    state_dir: Path,
    clock: Clock,
    seed: int,
    sample: Path,
    settings: Mapping[str, Any],
    faults: Path | None = None,
) -> Simulator:
    """The entry point of a simulator."""
    return SavedSimulator(station=station, state_dir=state_dir, seed=seed, sample=sample, settings=settings)


def open_driver(
    *, station: str, settings: Mapping[str, Any], limits: Mapping[str, float], clock: Clock, link: Any | None = None
) -> Instrument:
    """The entry point of a driver."""
    opened["driver"] = {"link": link, "limits": limits, "settings": settings}
    if "wrong" in settings:
        raise InputError("settings.wrong is wrong")
    return ScriptedInstrument(station=station, clock=clock)


_shapes: tuple[OpenDriver, OpenSimulator] = (open_driver, open_simulator)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entry points of a driver and simulator of this file, and of one whose package is not there."""

    def offered(group: str) -> dict[str, EntryPoint]:
        name = {"labctl.drivers": "open_driver", "labctl.simulators": "open_simulator"}[group]
        values = {
            "fake": f"{__name__}:{name}",
            "broken": "package_that_is_not_there:open",
            "renamed": f"{__name__}:gone",
        }
        return {each: EntryPoint(each, value, group) for each, value in values.items()}

    monkeypatch.setattr(rooms, "installed", offered)


def stations(driver: str, **settings: Any) -> dict[str, StationOfLab]:
    """A lab of one station."""
    return {"nmr": Station(driver=driver, settings=settings)}


@pytest.mark.usefixtures("installed")
def test_real(tmp_path: Path) -> None:
    """A real station gets its settings and limits and no simulator's wire."""
    found = open_instruments(stations("fake", a=1), clock=VirtualClock(0.0), simulate=False, state_dir=tmp_path)
    assert set(found.instruments) == {"nmr"}
    assert opened["driver"] == {"link": None, "limits": {"sensor_max_K": 400.0}, "settings": {"a": 1}}
    assert found.simulated_now_s() is None


@pytest.mark.usefixtures("installed")
def test_simulated(tmp_path: Path) -> None:
    """A simulated station gets the simulator's wire; the clock goes on where the simulated lab stopped."""
    clock = VirtualClock(0.0)
    found = open_instruments(
        stations("fake"), clock=clock, simulate=True, state_dir=tmp_path, sample=tmp_path / "s.yaml", seed=7
    )
    assert opened["driver"]["link"] == "the wire"
    assert opened["simulator"]["state_dir"] == tmp_path / "nmr" / "simulator"
    assert opened["simulator"]["settings"] == {"simulator": {"operator": "present"}}
    assert clock.now_s() == LATER_S == found.simulated_now_s()
    clock.wait_until(LATER_S + 1000.0)
    assert clock.now_s() == LATER_S + 10.0
    found.close()
    assert opened["closed"]


@pytest.mark.usefixtures("installed")
def test_refused_settings_close_the_simulator(tmp_path: Path) -> None:
    """When a driver refuses its settings, the simulator behind it is let go."""
    with pytest.raises(InputError, match="wrong"):
        open_instruments(
            stations("fake", wrong=1),
            clock=VirtualClock(0.0),
            simulate=True,
            state_dir=tmp_path,
            sample=tmp_path / "s.yaml",
        )
    assert opened["closed"]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("driver", "what"),
    [
        ("nowhere", "no driver 'nowhere' is installed.*one of: broken, fake, renamed"),
        ("broken", r"package_that_is_not_there.*pip install 'labctl-acquisition\[broken\]'"),
        ("renamed", "does not exist"),
    ],
)
def test_missing_driver(tmp_path: Path, driver: str, what: str) -> None:
    """A driver that is not installed, or cannot be imported, is named with what to do."""
    with pytest.raises(InputError, match=what):
        open_instruments(stations(driver), clock=VirtualClock(0.0), simulate=False, state_dir=tmp_path)


def test_simulation_needs_a_sample(tmp_path: Path) -> None:
    """A simulated lab without a sample file is refused with the option to give."""
    with pytest.raises(InputError, match="--simulate SAMPLE"):
        open_instruments(stations("fake"), clock=VirtualClock(0.0), simulate=True, state_dir=tmp_path)
