"""One sweep from checkpoint to result, as a program that yields the times at which it wants to go on.

Theory of operation
-------------------
Calls of the SDK block while the instrument works, up to minutes at low frequencies. So a sweep runs in the driver's own
thread on a real clock, and step by step between two looks of the engine on a virtual one; the same generator serves
both. It yields monotonic times: a settling time on any clock, and on a virtual one the end of the call it has just
made.

In order: cell off and open circuit measured; a bias refused that would drive a real cell; cell on inside a bracket that
switches it off whatever happens; points by one of two routes; open circuit again; files. Closing the generator is how a
sweep is aborted, and leaves the bracket like any other way out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from labctl.clock import Clock
from labctl.errors import InstrumentError
from labctl.ports import Order, SweepImpedance
from labctl_autolab._files import ResultFolder, stem
from labctl_autolab._judge import bridged, is_open, why_unusable
from labctl_autolab._link import Link
from labctl_autolab._potentiostat import Potentiostat
from labctl_autolab._record import (
    Point,
    Rig,
    Sweep,
    Temperature,
    begun,
    point_line,
    sidecar,
    temperature_line,
    value_line,
)
from labctl_autolab._settings import Settings

_RETRY_S = 10.0

ReadTemperature = Callable[[], Temperature | None]


class Run:
    """What is known of a running sweep; written by the program, read by whoever asks. Every change is checkpointed."""

    def __init__(
        self, order: Order, *, station: str, route: str, folder: ResultFolder, clock: Clock, read: ReadTemperature
    ) -> None:
        assert isinstance(order.task, SweepImpedance)
        self.station = station
        self.order = order
        self.task: SweepImpedance = order.task
        self.name = stem(order)
        self.sweep: Sweep = begun(order, route=route, at_s=clock.now_s())
        self.phase = "waiting"
        self._folder = folder
        self._clock = clock
        self._read = read

    def begin(self) -> None:
        """Write the head of the checkpoint: from here there is a record of this attempt."""
        self._folder.begin(self.name, self.sweep)

    def now_s(self) -> float:
        """Wall time."""
        return self._clock.now_s()

    def take_temperature(self) -> None:
        """Read the oven now, where there is one."""
        found = self._read()
        if found is not None and (not self.sweep.temperatures or found.at_s > self.sweep.temperatures[-1].at_s):
            self._folder.append(self.name, temperature_line(found))
            self.sweep = replace(self.sweep, temperatures=(*self.sweep.temperatures, found))

    def add(self, point: Point) -> None:
        """A point is finished."""
        self._folder.append(self.name, point_line(point))
        self.sweep = replace(self.sweep, points=(*self.sweep.points, point))
        self.phase = f"{len(self.sweep.points)} of {len(self.task.frequencies_Hz)} points, {point.frequency_Hz:.3g} Hz"

    def know(self, **values: float) -> None:
        """Fields of `Sweep` became known."""
        self._folder.append(self.name, value_line(**values))
        self.sweep = replace(self.sweep, **values)  # type: ignore[arg-type]  # field names are ours

    def note(self, what: str) -> None:
        """Something people should know of this spectrum."""
        self._folder.append(self.name, value_line(note=what))
        self.sweep = self.sweep.with_note(what)


class Route(Protocol):
    """One of the ways to a spectrum."""

    name: str

    def points(self, run: Run, bias_V: float) -> Iterator[float]:
        """Measure every point of ``run.task`` with the cell on at a bias; the caller switches it off."""
        ...


def sweep_program(
    run: Run,
    route: Route,
    *,
    potentiostat: Potentiostat,
    link: Link,
    settings: Settings,
    folder: ResultFolder,
    rig: Rig,
) -> Iterator[float]:
    """Measure one spectrum and write its files.

    Raises
    ------
    InstrumentError
        Anything went wrong; the cell is off, or the message says that it could not be switched off.
    """
    task = run.task
    yield from _connecting(run, potentiostat, link, settings)
    link.announce(run.order.title)
    yield link.free_at_s()
    run.take_temperature()
    run.phase = "open circuit"
    before_V = _open_circuit_V(run, potentiostat, settings)
    yield link.free_at_s()
    run.know(open_circuit_before_V=before_V)
    bias_V = _bias_V(run, before_V, settings, folder)
    run.know(bias_V=bias_V)
    with potentiostat.energising():
        yield from route.points(run, bias_V)
    run.take_temperature()
    run.phase = "open circuit"
    after_V = _open_circuit_V(run, potentiostat, settings)
    yield link.free_at_s()
    run.know(open_circuit_after_V=after_V)
    run.take_temperature()
    _remark(run, settings, rig)
    run.know(ended_s=run.now_s())
    open_cell = is_open(run.sweep.points, task, rig)
    folder.write(run.name, run.sweep, sidecar(run.sweep, task, rig, open_cell=open_cell))
    run.phase = "finished"


def _connecting(run: Run, potentiostat: Potentiostat, link: Link, settings: Settings) -> Iterator[float]:
    """Take the instrument and switch its cell off; a line that is lost is waited for, because the cell may be on."""
    run.phase = "connecting"
    deadline_s = link.free_at_s() + settings.reconnect_s  # not by the wall clock, which somebody may set
    while True:
        try:
            potentiostat.connect()
            potentiostat.cell_off()
        except InstrumentError as problem:
            if link.free_at_s() >= deadline_s:
                raise
            run.phase = f"waiting for the instrument: {problem.what}"
            yield link.free_at_s() + _RETRY_S
        else:
            return


def _open_circuit_V(run: Run, potentiostat: Potentiostat, settings: Settings) -> float:
    """Return the mean potential of the cell with its relay open [V]."""
    samples = [potentiostat.sample().potential_V for _ in range(settings.open_circuit_samples)]
    mean_V = sum(samples) / len(samples)
    if not math.isfinite(mean_V):
        raise InstrumentError(
            f"the open-circuit potential reads as {mean_V}", instrument=run.station, command="Ei.Potential"
        )
    return mean_V


def _bias_V(run: Run, open_circuit_V: float, settings: Settings, folder: ResultFolder) -> float:
    """Return the DC potential to apply.

    Raises
    ------
    InstrumentError
        It would charge or discharge a cell; or the cell has changed since the attempt before.
    """
    order, task = run.order, run.task
    for earlier in folder.earlier(order):
        was_V = earlier.open_circuit_before_V
        if was_V is not None and abs(open_circuit_V - was_V) > settings.open_circuit_drift_V:
            raise InstrumentError(
                f"the open-circuit potential is {1000 * open_circuit_V:.1f} mV; at attempt {earlier.attempt} it was"
                f" {1000 * was_V:.1f} mV",
                instrument=run.station,
                command=order.step_id,
                expected=f"a cell that is what it was, to {1000 * settings.open_circuit_drift_V:g} mV",
                next_step="Look at the cell; then continue or skip this spectrum",
            )
    if task.bias_V is None:
        return open_circuit_V
    if abs(task.bias_V - open_circuit_V) > settings.bias_away_max_V:
        raise InstrumentError(
            f"refused: a bias of {task.bias_V:g} V would drive a cell whose open-circuit potential is"
            f" {1000 * open_circuit_V:.1f} mV",
            instrument=run.station,
            command=order.step_id,
            expected=f"no more than {1000 * settings.bias_away_max_V:g} mV between them",
            next_step="Measure at open circuit (bias: open circuit), or short the electrodes first",
        )
    return task.bias_V


def _remark(run: Run, settings: Settings, rig: Rig) -> None:
    """Note what the whole spectrum has against it."""
    for why in why_unusable(run.sweep.points, run.task, rig):
        run.note(why)
    if rig.bridged == "flag" and (what := bridged(run.sweep.points)):
        run.note(what)
    moved_K = run.sweep.moved_K()
    if moved_K is not None and moved_K > run.task.moved_K:
        run.note(f"the temperature moved by {moved_K:.2f} K during the sweep (allowed {run.task.moved_K:g} K)")
    behind_K = run.sweep.behind_K()
    if behind_K is not None and behind_K > run.task.moved_K:
        run.note(
            f"the cell has no sensor of its own, and is reckoned to have been up to {behind_K:.1f} K behind the oven's"
            f" (time constant {settings.cell_lag_s / 60.0:.0f} min); its temperature is that uncertain"
        )
    before_V, after_V = run.sweep.open_circuit_before_V, run.sweep.open_circuit_after_V
    if before_V is not None and after_V is not None and abs(after_V - before_V) > settings.open_circuit_drift_V:
        run.note(f"the open-circuit potential moved from {before_V:.4f} V to {after_V:.4f} V during the sweep")
