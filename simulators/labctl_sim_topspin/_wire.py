"""The console's end of the wire: folders and a keyboard, as the driver of a real console has them."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.clock import Clock
from labctl.errors import InputError, InstrumentSilent
from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._console import Console
from labctl_sim_topspin._parameters import kind_of
from labctl_sim_topspin._settings import read_settings
from labctl_sim_topspin.faults import load_faults

if TYPE_CHECKING:
    from labctl_sim_sample import NmrSample


@functools.lru_cache(maxsize=8)
def _au_fault(program: str, source: str) -> str:
    try:
        compile_program(source, file=program, parameter_kind=kind_of)
    except InputError as problem:
        return str(problem)
    return ""


class ConsoleLink:
    """What a driver sees of the simulated console.

    `refresh` lets the console catch up with the clock; call it before every read and after every write.
    """

    def __init__(self, console: Console, clock: Clock, station: str) -> None:
        self._console = console
        self._clock = clock
        self._station = station
        settings = console.settings
        self.au_dir: Path = console.au_dir
        self.lists_dir: Path = console.lists_dir
        self.data_dir: Path = settings.data_dir
        self.job_dir: Path = settings.job_dir
        self.simulated: bool = True

    def refresh(self) -> None:
        """Let the console live until the clock's time.

        Raises
        ------
        InstrumentSilent
            Its folders cannot be reached: a share is gone, or the console is without power.
        """
        self._console.advance(self._clock.now_s())
        if not self._console.powered or self._console.share_gone:
            raise InstrumentSilent(
                f"the folder {self.job_dir} cannot be reached",
                instrument=self._station,
                next_step="See whether the console is on and its share is mounted",
            )

    def free_bytes(self) -> int:
        """Room left on the disk that holds the datasets."""
        self.refresh()
        return 0 if self._console.acquirer.disk_full else shutil.disk_usage(self.data_dir).free

    def launch(self, command: str) -> None:
        """Type a command on the console.

        Raises
        ------
        InputError
            The console refused it, or the AU program it names goes beyond what the console can run.
        """
        self.refresh()
        self._console.launch(command)

    def au_fault(self, program: str, source: str) -> str | None:
        """Return why this console cannot run an AU source, empty if it can."""
        return _au_fault(program, source)

    def close(self) -> None:
        """Let go; what runs on the console goes on running."""


class SimulatedTopspin:
    """A simulated spectrometer whose state and time live in a folder and outlast the process."""

    def __init__(self, console: Console, clock: Clock, station: str) -> None:
        self.console = console
        self._station = station
        self._clock = clock

    def next_event_s(self) -> float | None:
        """Wall time of the next thing that happens by itself or that an AU program will notice; None if nothing."""
        due_s, now_s = self.console.next_event_s(), self._clock.now_s()
        if due_s is not None and self.console.now_s() < now_s and due_s <= now_s:  # else nothing was missed
            self.console.advance(now_s)
            return self.console.next_event_s()
        return due_s

    def now_s(self) -> float:
        """The console's own time."""
        return self.console.now_s()

    def link(self) -> ConsoleLink:
        """The object that stands in for the driver's link."""
        return ConsoleLink(self.console, self._clock, self._station)

    def change_sample(self, sample: Path) -> None:
        """Hold another rotor from now on.

        Raises
        ------
        InputError
            The sample file cannot be used.
        """
        self.console.acquirer.change_sample(_nmr_of(sample))

    def close(self) -> None:
        """Save and let go."""
        self.console.save()


def open_simulator(
    *,
    station: str,
    state_dir: Path,
    clock: Clock,
    seed: int,
    sample: Path,
    settings: Mapping[str, Any],
    faults: Path | None = None,
) -> SimulatedTopspin:
    """Return the simulated console kept in `state_dir`: made if there is none, taken up again if there is.

    The time that passed on `clock` while nobody was there is lived through first, in short strides.

    Raises
    ------
    InputError
        Settings, sample or fault script cannot be used; the finding says where.
    """
    state_dir = state_dir.absolute()
    checked = read_settings(settings, station=station, state_dir=state_dir)
    script = () if faults is None else load_faults(faults, station=station)
    console = Console(checked, seed=seed, nmr=_nmr_of(sample), faults=script, start_s=clock.now_s())
    if clock.now_s() > console.now_s():
        console.advance(clock.now_s(), alone=True)
    return SimulatedTopspin(console, clock, station)


def _nmr_of(path: Path) -> Callable[[], NmrSample]:
    from labctl_sim_sample import load_sample  # noqa: PLC0415 - scipy

    nmr = load_sample(path).nmr
    return lambda: nmr
