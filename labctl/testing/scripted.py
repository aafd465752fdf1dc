"""An instrument in memory that behaves truthfully: it goes on when the engine dies, and its records tell what it did.

It stands in for any driver. Durations come from a function of the task, time from the clock it is given; data are
text that depends on the order's title alone, so that an interrupted and an uninterrupted campaign leave the same
bytes. Faults are attributes and methods, switched whenever a test likes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from labctl.clock import Clock
from labctl.errors import ForeignDataError, InstrumentError, InstrumentSilent
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    Collected,
    CoolDown,
    CycleCell,
    Evidence,
    Measurement,
    Observation,
    Order,
    Progress,
    Reading,
    SetTemperature,
    Standing,
    SweepImpedance,
    Task,
)

End = Literal["done", "halted", "failed", "interrupted"]


def default_duration_s(task: Task) -> float:
    """Return how long a task takes [s]: what it says of itself, and a minute for a ramp."""
    match task:
        case Acquire(duration_s=duration_s) | SweepImpedance(duration_s=duration_s) | CycleCell(duration_s=duration_s):
            return duration_s
        case AwaitStable(hold_s=hold_s):
            return hold_s
        case SetTemperature() | CoolDown():
            return 60.0
        case _:
            return 5.0


def default_parts(task: Task) -> int:
    """Return in how many parts a task's data come, evenly over its time: a cell's cycles, else in one piece."""
    return task.cycles if isinstance(task, CycleCell) else 0


@dataclass(slots=True, kw_only=True)
class Entry:
    """What the instrument itself remembers of one order it was given; times are the clock's monotonic ones [s]."""

    order: Order
    begun_wall_s: float
    begun_s: float
    ends_s: float
    end: End = "done"
    what: str = ""


@dataclass(kw_only=True)
class ScriptedInstrument:
    """An `Instrument` without hardware. It outlives engines: open it again after a crash.

    Attributes
    ----------
    durations : callable
        Task to duration [s]; ``lambda task: 0.0`` makes it instant.
    parts : callable
        Task to the number of parts that its data can be brought in by before the end; 0: none.
    remembers_tokens : bool
        Whether a token begun twice is done once. Off, only the engine's own care prevents a repeat.
    starts : dict
        Token to how many times it was really begun: what a test of repeats counts.
    values : dict
        Monitored values, by quantity. ``sensor_K`` follows the set point at once unless `sensor_follows` is off.
    silent : bool
        Every exchange raises `InstrumentSilent`.
    readings_silent : bool
        Readings are no longer renewed, while orders go on.
    look_silent : bool
        `look` answers SILENT although the order goes on.
    unheard : int
        That many coming `begin` do their work and then lose the reply.
    refuse_safe : bool
        The safe state is asked for and never reached.
    foreign : set of str
        Step ids where somebody else's data stand.
    endings : dict
        Step id to how its coming attempts end (a list, one for each attempt; then ``done``).
    """

    station: str
    clock: Clock
    durations: Callable[[Task], float] = default_duration_s
    parts: Callable[[Task], int] = default_parts
    remembers_tokens: bool = True
    cooling_s: float = 60.0
    attention_s: float = float("inf")
    sensor_follows: bool = True
    values: dict[str, float] = field(
        default_factory=lambda: {
            "sensor_K": 298.15,
            "heater_percent": 0.0,
            "gas_L_per_h": 1200.0,
            "spinning_Hz": 10_000.0,
        }
    )
    endings: dict[str, list[End]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    silent: bool = False
    readings_silent: bool = False
    look_silent: bool = False
    refuse_safe: bool = False
    unheard: int = 0
    collect_fails: int = 0
    starts: dict[str, int] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    epoch: int = 0
    safe_asked_s: float | None = None
    _read_s: float = 0.0

    # ------------------------------------------------------------------------------------ the port

    def open(self, epoch: int) -> None:
        self._answer("open")
        if epoch < self.epoch:
            raise InstrumentError(f"epoch {epoch} is older than {self.epoch}", instrument=self.station)
        self.epoch = epoch

    def begin(self, order: Order) -> None:
        self._answer("begin", order)
        if order.epoch < self.epoch:
            raise InstrumentError(f"epoch {order.epoch} is older than {self.epoch}", instrument=self.station)
        if order.step_id in self.foreign:
            raise ForeignDataError("data without our token", instrument=self.station)
        if self.remembers_tokens and order.token in self.entries:
            return
        now_s = self.clock.monotonic_s()
        self.starts[order.token] = self.starts.get(order.token, 0) + 1
        endings = self.endings.get(order.step_id, [])
        end = endings.pop(0) if endings else "done"
        ends_s = now_s + self.durations(order.task) * (1.0 if end == "done" else 0.5)
        self.entries[order.token] = Entry(
            order=order, begun_wall_s=self.clock.now_s(), begun_s=now_s, ends_s=ends_s, end=end, what=f"scripted {end}"
        )
        self._heat(order.task)
        if self.unheard > 0:
            self.unheard -= 1
            raise InstrumentSilent("the reply was lost", instrument=self.station, command=f"begin {order.token}")

    def look(self, order: Order) -> Observation:
        self._answer("look", order)
        entry = self.entries.get(order.token)
        if entry is None:
            return Observation(progress=Progress.WAITING, detail="not heard of it")
        now_s = self.clock.monotonic_s()
        if now_s < entry.ends_s:
            whole_s = entry.ends_s - entry.begun_s
            fraction = (now_s - entry.begun_s) / whole_s if whole_s > 0.0 else 1.0
            growing = isinstance(order.task, Measurement)
            if self.look_silent:
                return Observation(progress=Progress.SILENT, data_growing=growing, detail="agents are silent")
            done = int(fraction * self.parts(order.task) + 1e-9)
            return Observation(progress=Progress.RUNNING, fraction=fraction, data_growing=growing, parts=done)
        if self.look_silent:
            return Observation(progress=Progress.SILENT, detail="agents are silent")
        progress = {"done": Progress.DONE, "halted": Progress.HALTED}.get(entry.end, Progress.FAILED)
        return Observation(progress=progress, fraction=1.0, detail=entry.what)

    def evidence(self, order: Order) -> Evidence:
        self._answer("evidence", order)
        if order.step_id in self.foreign:
            return Evidence(standing=Standing.FOREIGN, detail="data without our token")
        entry = self.entries.get(order.token)
        if entry is None:
            return Evidence(standing=Standing.NOT_STARTED, detail="never heard of it")
        if self.clock.monotonic_s() < entry.ends_s:
            return Evidence(standing=Standing.RUNNING, detail="going on")
        standing = {"done": Standing.FINISHED, "failed": Standing.PREPARED}.get(entry.end, Standing.INTERRUPTED)
        return Evidence(standing=standing, detail=entry.what)

    def collect(self, order: Order, into: Path) -> Collected:
        self._answer("collect", order)
        if self.collect_fails > 0:
            self.collect_fails -= 1
            raise InstrumentError("the share does not answer", instrument=self.station)
        entry = self.entries[order.token]
        assert isinstance(order.task, Measurement)
        slot = order.task.expno_slot + order.attempt if isinstance(order.task, Acquire) else order.token
        name = f"{slot}/data.txt"
        whole = self.raw_data(order)
        data = whole if entry.end == "done" else whole[: len(whole) // 2]
        path = into / name
        if path.exists():
            if path.read_bytes() != data:
                raise ForeignDataError(f"{path} holds other data", instrument=self.station)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return Collected(
            files=(name,),
            completeness="complete" if entry.end == "done" else "partial",
            started_s=entry.begun_wall_s,
            ended_s=entry.begun_wall_s + entry.ends_s - entry.begun_s,
            settings={
                "sensor_K": order.task.setpoint_K,
                "spinning_Hz": order.task.spinning_Hz if isinstance(order.task, Acquire) else 0.0,
            },
        )

    def collect_part(self, order: Order, part: int, after: int, into: Path) -> Collected:
        self._answer(f"collect_part {after + 1}-{part} of", order)
        entry = self.entries[order.token]
        name = f"{order.token}/parts/{after + 1:04d}-{part:04d}.txt"
        path = into / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{order.title}: {after + 1} to {part}\n", encoding="utf-8")
        return Collected(
            files=(name,),
            completeness="partial",
            started_s=entry.begun_wall_s,
            ended_s=self.clock.now_s(),
            settings={"sensor_K": 297.0},
            part_from=after + 1,
        )

    def readings(self) -> tuple[Reading, ...]:
        self._answer("readings")
        if not self.readings_silent:
            self._read_s = self.clock.now_s()
        return tuple(
            Reading(quantity=quantity, value=value, at_s=self._read_s) for quantity, value in self.values.items()
        )

    def stop(self, order: Order, reason: str) -> None:
        self._answer("stop", order)
        if order.token in self.entries:  # else it was never taken up: there is nothing to end
            self._end(order.token, "halted", f"halted: {reason}")

    def make_safe(self, reason: str) -> None:
        self._answer("make_safe")
        if self.safe_asked_s is None:
            self.safe_asked_s = self.clock.monotonic_s()
        for token in list(self.entries):
            self._end(token, "halted", f"made safe: {reason}")

    def is_safe(self) -> bool:
        self._answer("is_safe")
        if self.refuse_safe or self.safe_asked_s is None:
            return False
        if self.clock.monotonic_s() < self.safe_asked_s + self.cooling_s:
            return False
        self.values.update(heater_percent=0.0)
        if self.sensor_follows:
            self.values["sensor_K"] = 298.15
        return True

    def close(self) -> None:
        self.log.append("close")

    # ------------------------------------------------------------------------------------ for tests

    def next_event_s(self) -> float | None:
        """Time of the next thing that happens by itself, for `VirtualClock.add_source`."""
        now_s = self.clock.monotonic_s()
        coming = [entry.ends_s for entry in self.entries.values() if entry.ends_s > now_s]
        if self.safe_asked_s is not None and self.safe_asked_s + self.cooling_s > now_s:
            coming.append(self.safe_asked_s + self.cooling_s)
        return min(coming, default=None)

    def raw_data(self, order: Order) -> bytes:
        """The bytes an order leaves when nothing disturbs it: they depend on its title alone."""
        return (hashlib.sha256(order.title.encode("utf-8")).hexdigest() + "\n").encode("ascii") * 4

    def power_cut(self) -> None:
        """Whatever runs ends here, with what it has."""
        for token in list(self.entries):
            self._end(token, "interrupted", "the power went")

    def acquisitions(self) -> Mapping[str, int]:
        """Return step id to how many times an acquisition of it was really begun."""
        counted: dict[str, int] = {}
        for token, times in self.starts.items():
            order = self.entries[token].order
            if isinstance(order.task, Measurement):
                counted[order.step_id] = counted.get(order.step_id, 0) + times
        return counted

    def _answer(self, what: str, order: Order | None = None) -> None:
        self.log.append(f"{what} {order.token}" if order else what)
        if self.silent:
            raise InstrumentSilent("no answer", instrument=self.station, command=what)

    def _end(self, token: str, end: End, what: str) -> None:
        entry = self.entries[token]
        now_s = self.clock.monotonic_s()
        if now_s < entry.ends_s:
            entry.ends_s, entry.end, entry.what = now_s, end, what

    def _heat(self, task: Task) -> None:
        match task:
            case SetTemperature(setpoint_K=setpoint_K):
                self.safe_asked_s = None
                self.values["heater_percent"] = 20.0
                if self.sensor_follows:
                    self.values["sensor_K"] = setpoint_K
            case CoolDown(setpoint_K=setpoint_K):
                self.values["heater_percent"] = 0.0
                if self.sensor_follows:
                    self.values["sensor_K"] = setpoint_K
            case CheckSpinning():
                pass
            case _:
                pass
