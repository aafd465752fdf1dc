"""An Autolab in front of an oven as an `Instrument`.

Theory of operation
-------------------
Orders of temperature are the oven's (`labctl_oven.OvenStation`); sweeps are programs (`_sweep`) carried out by hands
(`_hands`) that may block. What outlasts labctl are the files of a sweep: a checkpoint grows by a line at each point, a
spectrum stands under its final name only when it is complete, and both carry the order's token. So evidence is read
from the folder: complete, begun, or nothing. A sweep does not go on when labctl dies; the cell may have stayed on, so
opening begins with switching it off.

The safe state is the cell off, read back, and the heater off with the set point at 25 °C. The oven then cools by
itself. Nothing watches it while labctl is gone but its controller's own limit and the independent cut-out.
"""

from __future__ import annotations

import math
import threading
from pathlib import Path

from labctl.clock import Clock, VirtualClock
from labctl.errors import ForeignDataError, InputError, InstrumentError, Superseded
from labctl.ports import (
    Check,
    Collected,
    Errand,
    Evidence,
    Observation,
    Order,
    Progress,
    Reading,
    Standing,
    StillOurs,
    SweepImpedance,
    TemperatureController,
)
from labctl_autolab._direct import DirectRoute
from labctl_autolab._files import ResultFolder, stem
from labctl_autolab._hands import Hands, InlineHands, WorkerHands
from labctl_autolab._judge import is_open, overloaded, why_unusable
from labctl_autolab._link import Link
from labctl_autolab._potentiostat import Potentiostat
from labctl_autolab._preflight import autolab_checks, why_not
from labctl_autolab._procedure import ProcedureRoute
from labctl_autolab._record import Rig, Sweep, Temperature, sidecar
from labctl_autolab._settings import Settings
from labctl_autolab._sweep import Route, Run, sweep_program
from labctl_oven import OvenStation


class AutolabDriver:
    """One Autolab and the oven its cell stands in.

    Parameters
    ----------
    controller : TemperatureController or None
        Of the oven; None: there is none, and no order of temperature can be carried out.
    """

    attention_s = math.inf

    def __init__(
        self, *, station: str, settings: Settings, clock: Clock, link: Link, controller: TemperatureController | None
    ) -> None:
        self._station = station
        self._settings = settings
        self._clock = clock
        self._link = link
        self._folder = ResultFolder(link.data_dir, station, durable=not link.simulated)
        self._potentiostat = Potentiostat(link, settings, station)
        self._oven = (
            None
            if controller is None
            else OvenStation(
                controller,
                clock=clock,
                sample_within_K=settings.sample_within_K,
                sample_offset_K=settings.sample_offset_K,
                cell_lag_s=settings.cell_lag_s,
            )
        )
        self._oven_line = threading.RLock()
        self._hands: Hands | None = None
        self._run: Run | None = None
        self._ends: dict[str, BaseException | None] = {}
        self._stopped: dict[str, str] = {}
        self._cell_is_off = False
        self._stays_on: InstrumentError | None = None
        self._points_seen = 0
        self._rig = Rig(
            instrument=settings.instrument,
            current_noise_A=settings.current_noise_A,
            gain_noise=settings.gain_noise,
            open_capacitance_F=settings.open_capacitance_F,
            open_leakage_ohm=settings.open_leakage_ohm,
            short_ohm=settings.short_below_ohm,
            bridged=settings.bridged,
        )

    @property
    def station(self) -> str:
        return self._station

    # ------------------------------------------------------------------------------------------ opening

    def fence(self, still_ours: StillOurs) -> None:
        self._potentiostat.still_ours = still_ours
        if self._oven is not None:
            self._oven.fence(still_ours)

    def open(self, epoch: int) -> None:
        """Take oven and potentiostat; a cell that was left on is switched off."""
        self._folder.make()
        self._folder.take(epoch)
        if self._oven is not None:
            with self._oven_line:
                self._oven.open(epoch)
        self._own_hands().call(self._take_over)

    def _take_over(self) -> None:
        self._potentiostat.connect()
        self._switch_off()

    def _switch_off(self) -> None:
        self._cell_is_off, self._stays_on = False, None
        try:
            self._potentiostat.cell_off()
        except InstrumentError as problem:
            self._stays_on = problem
            raise
        self._cell_is_off = True

    def _own_hands(self) -> Hands:
        if self._hands is None:
            inline = isinstance(self._clock, VirtualClock)
            self._hands = InlineHands(self._clock) if inline else WorkerHands(self._clock, self._station)
        return self._hands

    def close(self) -> None:
        """End a sweep (the cell goes off), let the instrument go. The oven goes on as it is."""
        hands, self._hands = self._hands, None
        if hands is not None:
            hands.abort()
            hands.post(self._potentiostat.disconnect)
            hands.close()
        if self._oven is not None:
            with self._oven_line:
                self._oven.close()
        self._link.close()

    # ------------------------------------------------------------------------------------------- orders

    def begin(self, order: Order) -> None:
        self._refresh()
        if not isinstance(order.task, SweepImpedance):
            with self._oven_line:
                self._oven_for(order).begin(order)
            return
        evidence = self.evidence(order)
        if evidence.standing is Standing.FOREIGN:
            raise ForeignDataError(
                evidence.detail,
                instrument=self._station,
                command=order.step_id,
                next_step="Move those data, or give the campaign another name; nothing was touched",
            )
        if evidence.standing not in {Standing.NOT_STARTED, Standing.PREPARED}:
            return  # it runs, or there are data of it: looking will tell what they are worth
        self._refuse(order, order.task)
        hands = self._own_hands()
        if not hands.idle():
            raise InstrumentError("another sweep is still being ended", instrument=self._station, command=order.step_id)
        route = self._route()
        run = Run(
            order,
            station=self._station,
            route=route.name,
            folder=self._folder,
            clock=self._clock,
            read=self._read_temperature,
        )
        run.begin()
        self._run = run
        self._ends.pop(order.token, None)
        self._cell_is_off = False
        program = sweep_program(
            run,
            route,
            potentiostat=self._potentiostat,
            link=self._link,
            settings=self._settings,
            folder=self._folder,
            rig=self._rig,
        )
        hands.start(program, lambda problem: self._ended(order.token, problem))

    def _ended(self, token: str, problem: BaseException | None) -> None:
        self._cell_is_off = not self._potentiostat.energised
        self._ends[token] = problem

    def _route(self) -> Route:
        hand, settings, free_at_s = self._potentiostat, self._settings, self._link.free_at_s
        if settings.route == "direct":
            return DirectRoute(hand, settings, clock=self._clock, free_at_s=free_at_s)
        return ProcedureRoute(
            hand,
            settings,
            station=self._station,
            link=self._link,
            folder=self._folder,
            clock=self._clock,
            free_at_s=free_at_s,
        )

    def _refuse(self, order: Order, task: SweepImpedance) -> None:
        """Return if the instrument can do it.

        Raises
        ------
        InstrumentError
            A frequency, the amplitude or a name is beyond it.
        """
        if what := why_not(task):
            raise InstrumentError(f"it cannot measure with {what}", instrument=self._station, command=order.step_id)

    def _oven_for(self, order: Order) -> OvenStation:
        if self._oven is None:
            raise InstrumentError(
                f"there is no oven for {type(order.task).__name__}",
                instrument=self._station,
                command=order.step_id,
                expected="settings.oven in the lab file: {controller: lakeshore, ...}",
            )
        return self._oven

    # ------------------------------------------------------------------------------------------- asking

    def _refresh(self) -> None:
        self._link.refresh()
        if self._hands is not None:
            self._hands.step()

    def look(self, order: Order) -> Observation:
        self._refresh()
        if not isinstance(order.task, SweepImpedance):
            with self._oven_line:
                return self._oven_for(order).look(order)
        if self._is_running(order):
            assert self._run is not None
            done, before = len(self._run.sweep.points), self._points_seen
            self._points_seen = done
            return Observation(
                progress=Progress.RUNNING,
                detail=self._run.phase,
                fraction=done / max(1, len(order.task.frequencies_Hz)),
                data_growing=done != before,
                look_again_s=None if self._hands is None else self._hands.due_in_s(),
            )
        if self._folder.is_complete(stem(order)):
            sweep = self._folder.checkpoint(stem(order))
            against = () if sweep is None else why_unusable(sweep.points, order.task, self._rig)
            detail = f"measured, and cannot be used: {'; '.join(against)}" if against else "the spectrum is complete"
            return Observation(progress=Progress.DONE, detail=detail, fraction=1.0)
        problem = self._ends.get(order.token)
        if isinstance(problem, Superseded):
            raise problem
        if order.token in self._stopped and (problem is None or isinstance(problem, GeneratorExit)):
            return Observation(progress=Progress.HALTED, detail=self._stopped[order.token])
        if problem is not None:
            return self._failed(problem)
        broken = self._folder.checkpoint(stem(order))
        if broken is not None and broken.points:
            detail = f"it broke off after {len(broken.points)} points, and nobody is measuring it"
            return Observation(progress=Progress.FAILED, detail=detail)
        return Observation(progress=Progress.WAITING, detail="not begun here")

    def _failed(self, problem: BaseException) -> Observation:
        detail = str(problem) or type(problem).__name__
        if isinstance(problem, GeneratorExit):
            detail = "ended before it was complete"
        person = ""
        if self._potentiostat.energised:
            person = "switch the cell off at the Autolab's front panel: it could not be switched off from here"
        return Observation(progress=Progress.FAILED, detail=detail, needs_person=person)

    def _is_running(self, order: Order) -> bool:
        return self._run is not None and self._run.order.token == order.token and order.token not in self._ends

    def evidence(self, order: Order) -> Evidence:
        self._refresh()
        if not isinstance(order.task, SweepImpedance):
            with self._oven_line:
                return self._oven_for(order).evidence(order)
        try:
            name = stem(order)
        except InputError as error:
            raise InstrumentError(str(error), instrument=self._station, command=order.step_id) from None
        if self._is_running(order):
            return Evidence(standing=Standing.RUNNING, detail="this labctl is measuring it")
        where = self._folder.folder / name
        if self._folder.is_complete(name):
            title = self._folder.title_of(name)
            if title != order.title:
                return Evidence(standing=Standing.FOREIGN, detail=f"{where}.txt belongs to {title or 'nobody known'!r}")
            return Evidence(standing=Standing.FINISHED, detail=f"{where}.txt is complete")
        sweep = self._folder.checkpoint(name)
        if sweep is None:
            return Evidence(standing=Standing.NOT_STARTED, detail=f"no {where}.*")
        if sweep.title != order.title:
            return Evidence(standing=Standing.FOREIGN, detail=f"{where} was begun by {sweep.title!r}")
        if not sweep.points:
            return Evidence(standing=Standing.PREPARED, detail=f"{where} was begun and has no point")
        return Evidence(standing=Standing.INTERRUPTED, detail=f"{where} broke off after {len(sweep.points)} points")

    # --------------------------------------------------------------------------------------- collecting

    def collect(self, order: Order, into: Path) -> Collected:
        """Bring a spectrum and its sidecar in; of one that was cut short, what the checkpoint holds."""
        self._refresh()
        if not isinstance(order.task, SweepImpedance):
            return self._oven_for(order).collect(order, into)
        if self._is_running(order):
            raise InstrumentError("the sweep is still running", instrument=self._station, command=order.step_id)
        name = stem(order)
        sweep = self._folder.checkpoint(name)
        if sweep is None or not sweep.points:
            return Collected(
                files=(),
                completeness="failed",
                started_s=sweep.started_s if sweep else 0.0,
                ended_s=self._clock.now_s(),
            )
        complete, shown = self._folder.is_complete(name), name
        open_cell = is_open(sweep.points, order.task, self._rig)
        if not complete:
            shown = f"{name}.partial-{len(sweep.points)}"
            self._folder.write(shown, sweep, sidecar(sweep, order.task, self._rig, open_cell=open_cell))
        for path in self._folder.result_files(shown):
            self._folder.copy(path, into / name, link=self._link.simulated)
        files = tuple(f"{name}/{path.as_posix()}" for path in self._folder.result_files(shown))
        unusable = why_unusable(sweep.points, order.task, self._rig)
        return Collected(
            files=files,
            completeness="failed" if unusable else "complete" if complete else "partial",
            started_s=sweep.started_s,
            ended_s=sweep.ended_s if sweep.ended_s is not None else sweep.points[-1].at_s,
            settings=_settings_of(sweep, order.task, self._settings),
            remarks=_remarks_of(sweep, unusable),
        )

    # ------------------------------------------------------------------------------------ looking ahead

    def preflight(self, errand: Errand) -> tuple[Check, ...]:
        """Connect for a moment and look; the instrument is let go again, unless it was taken before."""
        checks: list[Check] = []
        settings = self._settings
        procedure = self._link.path(settings.procedure.file) if settings.route == "procedure" else ""

        def look() -> None:
            checks.extend(
                autolab_checks(
                    errand,
                    settings=settings,
                    potentiostat=self._potentiostat,
                    data_dir=self._link.data_dir,
                    procedure=procedure,
                )
            )

        self._own_hands().call(look)
        if self._oven is not None:
            with self._oven_line:
                checks += self._oven.preflight(errand)
        return tuple(checks)

    def shadow(self, order: Order) -> tuple[str, ...]:
        """Hold an order against instrument, oven and data; the cell stays off, the set point where it is."""
        self._refresh()
        if not isinstance(order.task, SweepImpedance):
            with self._oven_line:
                return self._oven_for(order).shadow(order)
        evidence = self.evidence(order)
        if evidence.standing is Standing.FOREIGN:
            raise ForeignDataError(
                evidence.detail,
                instrument=self._station,
                command=order.step_id,
                next_step="Move those data, or give the campaign another name; nothing was touched",
            )
        if evidence.standing not in {Standing.NOT_STARTED, Standing.PREPARED}:
            raise InstrumentError(
                f"it has been begun already: {evidence.detail}", instrument=self._station, command=order.step_id
            )
        self._refuse(order, order.task)
        cell_on: list[bool] = []
        self._own_hands().call(lambda: cell_on.append(self._potentiostat.glance()))
        task = order.task
        span = f"{len(task.frequencies_Hz)} points from {max(task.frequencies_Hz):g} to {min(task.frequencies_Hz):g} Hz"
        bias = "the open-circuit potential" if task.bias_V is None else f"{task.bias_V:g} V"
        return (
            f"would measure {span} at {1e3 * task.amplitude_V_rms:g} mV rms around {bias} into {stem(order)},"
            f" by the {self._settings.route} route",
            f"the cell is {'ON: somebody left it on' if cell_on[0] else 'off'} and was not switched",
        )

    # ---------------------------------------------------------------------------------- watching, stopping

    def _read_temperature(self) -> Temperature | None:
        """Read the oven now; None where there is no oven, or it has no healthy sensor."""
        if self._oven is None:
            return None
        try:
            with self._oven_line:
                found = {reading.quantity: reading for reading in self._oven.readings()}
        except InstrumentError:
            return None  # one lost answer is no reason to lose a spectrum; the interlock on silence watches
        sensor = found.get("sensor_K")
        if sensor is None:
            return None
        cell = found.get("sample_K")
        if cell is not None:
            return Temperature(at_s=sensor.at_s, oven_K=sensor.value, cell_K=cell.value)
        return Temperature(at_s=sensor.at_s, oven_K=sensor.value, behind_K=self._oven.cell_behind_K)

    def readings(self) -> tuple[Reading, ...]:
        self._refresh()
        if self._oven is None:
            return ()
        with self._oven_line:
            return self._oven.readings()

    def stop(self, order: Order, reason: str) -> None:
        self._refresh()
        if not isinstance(order.task, SweepImpedance):
            with self._oven_line:
                self._oven_for(order).stop(order, reason)
        elif self._is_running(order) and self._hands is not None:
            self._stopped[order.token] = f"stopped: {reason}"
            self._hands.abort()

    def make_safe(self, reason: str) -> None:
        """Cell off, heater off. Neither waits for the other, and what fails does not keep the other from being done."""
        if self._run is not None and self._is_running(self._run.order):
            self._stopped[self._run.order.token] = f"made safe: {reason}"
        hands = self._own_hands()
        hands.abort()
        hands.post(self._switch_off)
        if self._oven is not None:
            with self._oven_line:
                self._oven.make_safe(reason)

    @staticmethod
    def _say_why(problem: InstrumentError | None) -> None:
        """Raise what kept the cell on, if that is known: people must know why, and what to press."""
        if problem is not None:
            raise problem

    def is_safe(self) -> bool:
        self._refresh()
        hands = self._own_hands()
        if not hands.idle():
            return False
        if not self._cell_is_off:
            last = self._stays_on
            hands.post(self._switch_off)
            if not self._cell_is_off:
                self._say_why(self._stays_on or last)
                return False
        if self._oven is None:
            return True
        with self._oven_line:
            return self._oven.is_safe()


def _settings_of(sweep: Sweep, task: SweepImpedance, settings: Settings) -> dict[str, float | int | str]:
    """Return what the manifest keeps of a spectrum, units in the keys."""
    found: dict[str, float | int | str | None] = {
        "sample": task.sample,
        "route": sweep.route,
        "points": len(sweep.points),
        "frequency_max_Hz": max(point.frequency_Hz for point in sweep.points),
        "frequency_min_Hz": min(point.frequency_Hz for point in sweep.points),
        "amplitude_V_rms": task.amplitude_V_rms,
        "amplitude_kind_of_instrument": settings.amplitude_kind,
        "bias_V": sweep.bias_V,
        "open_circuit_before_V": sweep.open_circuit_before_V,
        "open_circuit_after_V": sweep.open_circuit_after_V,
        "integration_s": task.integration_s,
        "cycles": task.cycles,
        "setpoint_K": task.setpoint_K,
        "sensor_K": sweep.mean_K(),
        "temperature_moved_K": sweep.moved_K(),
        "sample_behind_K": sweep.behind_K(),
        "overloads": overloaded(sweep.points),
        "thickness_mm": task.thickness_mm,
        "diameter_mm": task.diameter_mm,
        "thickness_se_mm": task.thickness_se_mm,
        "diameter_se_mm": task.diameter_se_mm,
    }
    if sweep.temperatures:
        values = [one.nearest_K for one in sweep.temperatures]
        found |= {"sensor_before_K": values[0], "sensor_after_K": values[-1]}
        found["oven_sensor_K"] = sum(one.oven_K for one in sweep.temperatures) / len(values)
    ranges_A = [point.range_A for point in sweep.points if point.range_A is not None]
    if ranges_A:
        found |= {"range_max_A": max(ranges_A), "range_min_A": min(ranges_A)}
    return {key: value for key, value in found.items() if value is not None and value != ""}


def _remarks_of(sweep: Sweep, unusable: tuple[str, ...]) -> tuple[str, ...]:
    remarks = [*sweep.notes, *unusable]
    if count := overloaded(sweep.points):
        remarks.append(f"{count} of {len(sweep.points)} points were over the highest range allowed")
    return tuple(dict.fromkeys(remarks))
