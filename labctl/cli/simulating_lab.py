"""``labctl simulate all``: a whole simulated lab on loopback, for anybody's clients."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TextIO

from labctl.cli.locating import lab_file, sample_file
from labctl.errors import InputError

if TYPE_CHECKING:
    from labctl.protocol.lab import Station

_READY_s = 60.0
_END_s = 30.0
_TICK_s = 0.1


def simulate_all_command(
    directory: Path | None,
    sample: str | None,
    lab: Path | None,
    speed: float,
    seed: int,
    faults: Path | None,
    port: int | None,
) -> None:
    """Serve every station of a lab until interrupted; one JSON line each, and one of the lab when all are ready.

    Parameters
    ----------
    directory : Path, optional
        State of the lab, a folder for each station as in a rehearsal; default a temporary one, which stays.
    sample : str, optional
        ``NAME`` for all stations, or ``nmr500=NAME,maccor=NAME``; left out, what the lab file says.
    port : int, optional
        First of consecutive TCP ports, in the order of the lab file; default any free ones.
    """
    serve_all(
        lab=lab,
        directory=directory or Path(tempfile.mkdtemp(prefix="labctl-lab-")),
        sample=sample,
        speed=speed,
        seed=seed,
        faults=faults,
        port=port,
    )
    print("every station has saved its state and ended", file=sys.stderr)


def serve_all(
    *,
    lab: Path | None,
    directory: Path,
    sample: str | None = None,
    speed: float = 1.0,
    seed: int = 0,
    faults: Path | None = None,
    port: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
    out: TextIO | None = None,
) -> None:
    """Serve until `stopped`, or interrupted from the keyboard; parameters are as of `simulate_all_command`.

    All stations share one clock, so that their records agree; one that is kept in `directory` goes on from there.

    Raises
    ------
    InputError
        The lab, a sample, the fault script or a port cannot be used; nothing is left running.
    """
    from labctl.clock import ScaledClock
    from labctl.protocol.load import load_lab
    from labctl.station.stations import check_faults

    path = lab_file(lab)
    stations = load_lab(path).model.stations
    if faults is not None:
        if not faults.is_file():
            raise InputError(f"no fault script {str(faults)!r}", expected="a YAML file")
        check_faults(faults, stations)
    samples = _samples(sample, stations, beside=path)
    ending = threading.Event()
    servers = {name: server for name, station in stations.items() if (server := _server(name, station)) is not None}
    folders = {name: directory.absolute() / name / "simulator" for name in servers}
    kept_s = [own_s for name, server in servers.items() if (own_s := server.kept_time_s(folders[name])) is not None]
    clock = ScaledClock(start_s=max(kept_s, default=time.time()), speed=speed)
    served: list[_Served] = []
    ports = None if port is None else iter(range(port, 65536))
    try:
        with contextlib.suppress(KeyboardInterrupt):  # whenever it comes, those that are up save and end
            for name, server in servers.items():
                one = _Served(name=name, server=server, ending=ending)
                served.append(one)
                folders[name].mkdir(parents=True, exist_ok=True)
                ready = one.start(
                    station=name,
                    state_dir=folders[name],
                    sample=samples[name],
                    settings=stations[name].simulator_settings(),
                    seed=seed,
                    speed=speed,
                    faults=faults,
                    clock=clock,
                    **_options(server, ports),
                )
                print(ready, file=out, flush=True)
            folder = str(directory.absolute())
            whole = {"instrument": "all", "stations": list(servers), "state_dir": folder, "speed": speed}
            print(json.dumps(whole), file=out, flush=True)
            while not stopped() and all(one.thread.is_alive() for one in served):
                time.sleep(_TICK_s)
    finally:
        ending.set()
        for one in served:
            one.join()
    for one in served:
        one.complain()


@dataclass(slots=True, kw_only=True)
class _Served:
    """One station in a thread of its own."""

    name: str
    server: ModuleType
    ending: threading.Event
    lines: queue.Queue[str] = field(default_factory=queue.Queue)
    problem: BaseException | None = None
    thread: threading.Thread = field(init=False, default_factory=threading.Thread)

    def start(self, **options: Any) -> str:
        """Begin to serve; returns its ready line."""
        self.thread = threading.Thread(target=self._run, kwargs=options, name=f"simulated {self.name}", daemon=True)
        self.thread.start()
        deadline_s = time.monotonic() + _READY_s
        while time.monotonic() < deadline_s:
            with contextlib.suppress(queue.Empty):
                return self.lines.get(timeout=_TICK_s)
            if not self.thread.is_alive():
                self.complain()
                break
        raise InputError(f"the simulator of station {self.name} did not come up")

    def join(self) -> None:
        """Wait until it has saved and ended."""
        if self.thread.ident is not None:
            self.thread.join(_END_s)

    def complain(self) -> None:
        """Raise what the station ended with, if anything."""
        if self.problem is not None:
            raise self.problem

    def _run(self, **options: Any) -> None:
        try:
            self.server.serve(**options, stopped=self.ending.is_set, out=_Lines(self.lines))
        except BaseException as problem:  # noqa: BLE001 - handed to the thread that waits
            self.problem = problem


class _Lines(io.TextIOBase):
    """Whole lines of what is printed, into a queue."""

    def __init__(self, lines: queue.Queue[str]) -> None:
        self._lines, self._begun = lines, ""

    def write(self, text: str) -> int:
        """Take text; what ends in a line feed is passed on."""
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._lines.put(line)
        return len(text)


def _server(name: str, station: Station) -> ModuleType | None:
    """Return the module that serves a station; None, and a word to people, where there is none."""
    installed = {entry.name: entry.module for entry in entry_points(group="labctl.simulators")}
    if station.driver not in installed:
        raise InputError(
            f"station {name}: no simulator of {station.driver!r} is installed",
            expected=f"one of {', '.join(sorted(installed))}",
        )
    try:
        module = importlib.import_module(f"{installed[station.driver]}.server")
    except ModuleNotFoundError:
        print(f"station {name}: the simulator of {station.driver} has no wire; left out", file=sys.stderr)
        return None
    return module


def _options(server: ModuleType, ports: Iterator[int] | None) -> dict[str, Any]:
    """The ports a station gets: any free ones, or the next of those that somebody named."""
    takes = inspect.signature(server.serve).parameters
    wanted = [key for key in ("port", "json_port", "bin_port") if key in takes]
    return {key: 0 if ports is None else next(ports) for key in wanted}


def _samples(wanted: str | None, stations: Mapping[str, Station], *, beside: Path) -> dict[str, Path | None]:
    """The sample file of every station; None where neither lab file nor anybody names one."""
    named: dict[str, str] = {}
    for part in wanted.split(",") if wanted else ():
        station, equals, name = part.partition("=")
        if not equals:
            named |= dict.fromkeys(stations, part.strip())
        elif station.strip() not in stations:
            raise InputError(f"--sample {part}: no station {station.strip()!r}", expected=", ".join(stations))
        else:
            named[station.strip()] = name.strip()
    found: dict[str, Path | None] = {}
    for name, station_of in stations.items():
        chosen = named.get(name, station_of.sample)
        found[name] = sample_file(chosen, beside=beside) if chosen else None
    return found
