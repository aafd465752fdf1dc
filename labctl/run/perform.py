"""A command becomes a port call; what the port answers becomes an event. Nothing is decided here.

Every `InstrumentError` ends here: as a failed order, as an order that may or may not have been heard, or as one
look without an answer (which the interlock on silence judges, not a single garbled reply).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from labctl.clock import Clock
from labctl.dataset.model import Dataset, SampleTemperature, Verdict
from labctl.dataset.store import describe_file
from labctl.errors import ForeignDataError, InstrumentError, InstrumentSilent, LabctlError
from labctl.plan.steps import Step
from labctl.ports import (
    Acquire,
    Collected,
    DeliversParts,
    Instrument,
    Measurement,
    Observation,
    Order,
    Progress,
    Reading,
    Standing,
)
from labctl.run import hazards
from labctl.run.commands import CheckLoop
from labctl.run.events import Event, EvidenceSeen, Failed, Finished, LoopSeen, PartCollected, Result, Started
from labctl.run.interlock import Calibration


class Performer:
    """The one place that touches instruments on behalf of the engine.

    Parameters
    ----------
    instruments : mapping
        By station.
    steps : mapping
        By step id.
    calibrations : mapping
        Sample temperature of each station, as far as known.
    """

    def __init__(
        self,
        instruments: Mapping[str, Instrument],
        steps: Mapping[str, Step],
        *,
        clock: Clock,
        run_dir: Path,
        calibrations: Mapping[str, Calibration],
    ) -> None:
        self._instruments = instruments
        self._steps = steps
        self._clock = clock
        self._run_dir = run_dir
        self._calibrations = calibrations
        self._collect_since_s: dict[str, float] = {}
        self._part_trouble: dict[str, str] = {}
        self._unread_because: dict[str, str] = {}

    def replan(self, steps: Mapping[str, Step]) -> None:
        """Take the steps of an amended plan."""
        self._steps = steps

    def _instrument(self, order: Order) -> Instrument:
        return self._instruments[self._steps[order.step_id].station]

    def _station(self, order: Order) -> str:
        return self._steps[order.step_id].station

    # ------------------------------------------------------------------------------------ orders

    def begin(self, order: Order) -> tuple[Event, ...]:
        """Hand the order over. Nothing comes back when that went well: `watch` sees it start."""
        try:
            self._instrument(order).begin(order)
        except ForeignDataError as error:
            return (self._evidence(order, Standing.FOREIGN, error.what),)
        except InstrumentSilent as error:
            return (self._failed(order, "begin_unheard", str(error)),)
        except InstrumentError as error:
            return (self._failed(order, "begin", str(error)),)
        return ()

    def watch(
        self, order: Order, *, started: bool, collect_give_up_s: float, parts: int = 0, enough: str = ""
    ) -> tuple[Observation | None, tuple[Event, ...]]:
        """Look once; `parts` were brought in before. None instead of an observation: no usable answer.

        `enough` says why the order is ended early on purpose, for the dataset's remarks.
        """
        try:
            seen = self._instrument(order).look(order)
        except ForeignDataError as error:
            return None, (self._evidence(order, Standing.FOREIGN, error.what),)
        except InstrumentError:
            return None, ()
        if seen.progress in (Progress.WAITING, Progress.SILENT):
            return seen, ()
        events: tuple[Event, ...] = ()
        if not started and seen.progress is not Progress.FAILED:
            events = (
                Started(station=self._station(order), step_id=order.step_id, attempt=order.attempt, detail=seen.detail),
            )
        match seen.progress:
            case Progress.FAILED:
                return seen, (*events, self._failed(order, "run", seen.detail))
            case Progress.DONE:
                return seen, events + self.collect(order, "done", seen.detail, give_up_s=collect_give_up_s)
            case Progress.HALTED:
                found = self.collect(order, "halted", seen.detail, give_up_s=collect_give_up_s, enough=enough)
                return seen, events + found
            case _ if seen.parts > parts and not enough:
                return seen, events + self.collect_part(order, seen.parts, after=parts)
            case _:
                return seen, events

    def collect_part(self, order: Order, part: int, *, after: int) -> tuple[Event, ...]:
        """Bring in the parts of an order that goes on; nothing comes back where that fails, the whole comes later."""
        instrument, station = self._instrument(order), self._station(order)
        if not isinstance(order.task, Measurement) or not isinstance(instrument, DeliversParts):
            return ()
        try:
            collected = instrument.collect_part(order, part, after, self._run_dir / station)
            dataset = self._dataset(order, order.task, collected)
        except InstrumentSilent:
            return ()  # no answer now: the next look asks again
        except (LabctlError, OSError) as error:
            self._part_trouble[order.token] = str(error)
            return ()
        self._part_trouble.pop(order.token, None)
        if dataset is None:
            return ()
        dataset = replace(dataset, completeness="partial", part=part, part_from=collected.part_from or after + 1)
        event = PartCollected(station=station, step_id=order.step_id, attempt=order.attempt, part=part, dataset=dataset)
        return (event,)

    def part_trouble(self, order: Order) -> str:
        """Why parts of this order cannot be brought in at present, empty when they can."""
        return self._part_trouble.get(order.token, "")

    def ask_evidence(self, order: Order) -> tuple[Event, ...]:
        """Ask what the instrument itself knows; nothing comes back while it does not answer."""
        try:
            evidence = self._instrument(order).evidence(order)
        except ForeignDataError as error:
            return (self._evidence(order, Standing.FOREIGN, error.what),)
        except InstrumentError:
            return ()
        return (self._evidence(order, evidence.standing, evidence.detail),)

    def collect(
        self, order: Order, result: Result, detail: str, *, give_up_s: float, enough: str = ""
    ) -> tuple[Event, ...]:
        """Bring in and checksum what an order left; tried again (nothing comes back) until `give_up_s`."""
        station = self._station(order)
        dataset: Dataset | None = None
        if isinstance(order.task, Measurement):
            try:
                collected = self._instrument(order).collect(order, self._run_dir / station)
                dataset = self._dataset(order, order.task, collected)
            except ForeignDataError as error:
                return (self._evidence(order, Standing.FOREIGN, error.what),)
            except (LabctlError, OSError) as error:
                now_s = self._clock.monotonic_s()
                if now_s - self._collect_since_s.setdefault(order.token, now_s) < give_up_s:
                    return ()
                return (self._failed(order, "collect", str(error)),)
            result = _result(result, collected)
            if enough and dataset is not None and dataset.completeness == "partial" and result != "done":
                result, detail = "halted", f"{detail}; on purpose: {enough}"  # also where nobody watched it end
                dataset = replace(dataset, remarks=(*dataset.remarks, f"ended early on purpose: {enough}"))
        return (
            Finished(
                station=station,
                step_id=order.step_id,
                attempt=order.attempt,
                result=result,
                dataset=dataset,
                detail=detail,
            ),
        )

    def collecting_fails(self, order: Order) -> bool:
        """Whether bringing in this order's data has failed so far."""
        return order.token in self._collect_since_s

    def stop(self, order: Order, reason: str) -> str:
        """Ask for an early end; returns what went wrong, or nothing."""
        try:
            self._instrument(order).stop(order, reason)
        except InstrumentError as error:
            return str(error)
        return ""

    # ------------------------------------------------------------------------------------ stations

    def readings(self, station: str) -> tuple[Reading, ...]:
        """The latest readings; none when the instrument does not answer (`unread_because` says why)."""
        try:
            found = self._instruments[station].readings()
        except InstrumentError as error:
            self._unread_because[station] = _words(error, station)
            return ()
        self._unread_because.pop(station, None)
        return found

    def unread_because(self, station: str) -> str:
        """What the instrument said when it was last asked for readings and gave none; empty if it gave some."""
        return self._unread_because.get(station, "")

    def make_safe(self, station: str, reason: str) -> str:
        """Ask for the safe state; returns what went wrong, or nothing."""
        try:
            self._instruments[station].make_safe(reason)
        except InstrumentError as error:
            return _words(error, station)
        return ""

    def is_safe(self, station: str) -> tuple[bool, str]:
        """Whether the safe state is read back, and why it cannot be read; who does not answer is not safe."""
        try:
            return self._instruments[station].is_safe(), ""
        except InstrumentError as error:
            return False, _words(error, station)

    def check_loop(
        self,
        command: CheckLoop,
        readings: tuple[Reading, ...],
        *,
        limits: Mapping[str, float],
        fresh_s: float,
        watched: bool,
    ) -> LoopSeen:
        """Say whether heat may go on: fresh readings, gas, and the rotor at its rate.

        `watched`: no gap in the readings was longer than two polls, so a temperature inside its band has been
        there all the time.
        """
        values = {reading.quantity: reading.value for reading in readings}
        now_s = self._clock.now_s()
        missing: list[str] = []
        stale = [reading.quantity for reading in readings if now_s - reading.at_s > fresh_s]
        if stale:
            missing.append(f"not read for {fresh_s:g} s: {', '.join(map(hazards.named, stale))}")
        if not readings and (limits or command.spinning_Hz > 0.0):
            missing.append("no readings at all")
        if command.spinning_Hz > 0.0:
            tolerance_Hz = max(command.tolerance_Hz, limits.get("spinning_tolerance_Hz", 0.0))
            rate_Hz = values.get("spinning_Hz")
            if rate_Hz is None or not abs(rate_Hz - command.spinning_Hz) <= tolerance_Hz:
                seen = "was not read" if rate_Hz is None else f"is {hazards.shown('spinning_Hz', rate_Hz)}"
                wanted = f"{hazards.shown('spinning_Hz', command.spinning_Hz)} ± {tolerance_Hz:g} Hz"
                missing.append(f"the spinning rate {seen}, wanted {wanted}")
        gas_min = limits.get("gas_min_L_per_h", 0.0)
        gas = values.get("gas_L_per_h")
        if (gas is None and gas_min > 0.0) or (gas is not None and not gas > max(gas_min, 0.0) - 1e-9):
            seen = "was not read" if gas is None else f"is {hazards.shown('gas_L_per_h', gas)}"
            missing.append(f"the gas flow {seen}, wanted {gas_min:g} L/h or more")
        sensor_K = values.get("sensor_K")
        held = (
            watched
            and sensor_K is not None
            and command.setpoint_K is not None
            and command.within_K is not None
            and abs(sensor_K - command.setpoint_K) <= command.within_K
        )
        return LoopSeen(station=command.station, alive=not missing, held=held, detail="; ".join(missing))

    # ------------------------------------------------------------------------------------ events

    def _failed(self, order: Order, stage: str, what: str) -> Failed:
        failed = Failed(
            station=self._station(order), step_id=order.step_id, attempt=order.attempt, stage="run", what=what
        )
        return replace(failed, stage=stage)  # type: ignore[arg-type]  # one of the four literals, see callers

    def _evidence(self, order: Order, standing: Standing, detail: str) -> EvidenceSeen:
        return EvidenceSeen(
            station=self._station(order),
            step_id=order.step_id,
            attempt=order.attempt,
            standing=standing,
            detail=detail,
        )

    def _dataset(self, order: Order, task: Measurement, collected: Collected) -> Dataset | None:
        if not collected.files:
            return None
        step = self._steps[order.step_id]
        files = tuple(describe_file(self._run_dir, f"{step.station}/{path}") for path in sorted(collected.files))
        parents = [PurePosixPath(file.path).parent.parts for file in files]
        common = parents[0]
        for parts in parents[1:]:
            common = common[
                : next(
                    (i for i, pair in enumerate(zip(common, parts, strict=False)) if pair[0] != pair[1]),
                    min(len(common), len(parts)),
                )
            ]
        settings = {
            name: value
            for name, value in collected.settings.items()
            if not (isinstance(value, float) and not math.isfinite(value))
        }
        remarks = collected.remarks
        if dropped := sorted(collected.settings.keys() - settings.keys()):
            remarks += (f"read back as no number: {', '.join(dropped)}",)
        sensor_K = settings.get("sensor_K")
        calibration = self._calibrations.get(step.station)
        temperature = None
        if isinstance(sensor_K, int | float) and calibration is not None:
            wanted_Hz = task.spinning_Hz if isinstance(task, Acquire) else 0.0
            spinning_Hz = settings.get("spinning_Hz", wanted_Hz)
            spinning_Hz = spinning_Hz if isinstance(spinning_Hz, int | float) else wanted_Hz
            sample_K, sample_se_K, model = calibration(float(sensor_K), float(spinning_Hz))
            behind_K = settings.get("sample_behind_K", 0.0)  # a cell without a sensor, by its driver's reckoning
            sample_se_K = math.hypot(sample_se_K, behind_K if isinstance(behind_K, int | float) else 0.0)
            temperature = SampleTemperature(
                setpoint_K=task.setpoint_K,
                sensor_K=float(sensor_K),
                sample_K=sample_K,
                sample_se_K=sample_se_K,
                model=model,
            )
        elif calibration is None:
            remarks += ("the sample temperature is not known: the lab file has no calibration",)
        return Dataset(
            step_id=step.id,
            key=step.key,
            attempt=order.attempt,
            station=step.station,
            procedure=step.procedure,
            kind=task.kind,
            directory=str(PurePosixPath(*common)),
            files=files,
            completeness=collected.completeness,
            started_s=collected.started_s,
            ended_s=collected.ended_s,
            temperature=temperature,
            temperature_index=step.temperature_index,
            settings=settings,
            remarks=remarks,
        )


def _result(asked: Result, collected: Collected) -> Result:
    """What the instrument said, corrected by what its files say."""
    if collected.completeness == "failed" or not collected.files:
        return "partial"
    if asked == "done" and collected.completeness == "partial":
        return "halted"
    return asked


def _words(error: InstrumentError, station: str) -> str:
    """Return what an instrument said, for people who are told of which station it is."""
    return str(error).removeprefix(f"{station}: ")


def finite(verdict: Verdict) -> Verdict:
    """Return the verdict without numbers that are none; the journal and the next step want numbers."""
    measured = {name: float(value) for name, value in verdict.measured.items() if math.isfinite(value)}
    if len(measured) == len(verdict.measured):
        return verdict
    dropped = sorted(verdict.measured.keys() - measured.keys())
    return replace(verdict, measured=measured, warnings=(*verdict.warnings, f"no number: {', '.join(dropped)}"))
