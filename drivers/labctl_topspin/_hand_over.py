"""Handing orders over: limits once more, nothing twice, nobody else's data, and room on the disk."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.clock import Clock
from labctl.errors import ForeignDataError, InputError, InstrumentError
from labctl.ports import (
    Acquire,
    AwaitStable,
    CoolDown,
    Nutation,
    Observation,
    Order,
    Progress,
    SaturationRecovery,
    SetTemperature,
    Standing,
)
from labctl_topspin._codec import Value, delay_list, list_name, pulse_list, step_pairs
from labctl_topspin._datasets import Datasets
from labctl_topspin._job import JobFolder, Step
from labctl_topspin._link import Link
from labctl_topspin._safety import SafeState
from labctl_topspin._settings import Settings
from labctl_topspin._standing import OrderStanding

_ROOM_GIVE_UP_S = 7200.0  # as long as a pause may hold a sample warm


class HandOver:
    """Writes what the executor needs for an order, once and only if it is safe.

    `epoch` is that of the engine which opened the driver.
    """

    def __init__(
        self,
        *,
        station: str,
        link: Link,
        job: JobFolder,
        datasets: Datasets,
        standing: OrderStanding,
        safety: SafeState,
        settings: Settings,
        limits: Mapping[str, float],
        clock: Clock,
    ) -> None:
        self.epoch = 0
        self._station = station
        self._link = link
        self._job = job
        self._datasets = datasets
        self._standing = standing
        self._safety = safety
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._wanting_room: dict[str, float] = {}

    def begin(self, order: Order) -> None:
        """Hand an order over unless it was already; one that finds no room on the disk waits for it."""
        self._link.refresh()
        step = self._job.step_of(order.token)
        if step is not None and not self._may_be_sent_again(step):
            return
        try:
            pairs = step_pairs(order, seq=0, settings=self._settings)
        except InputError as error:
            raise InstrumentError(str(error), instrument=self._station, command=order.step_id) from None
        self.refuse_unsafe(order)
        if isinstance(order.task, Acquire):
            evidence = self._standing.evidence(order)
            if evidence.standing is Standing.FOREIGN:
                raise ForeignDataError(
                    evidence.detail,
                    instrument=self._station,
                    command=order.step_id,
                    next_step="Move those data or give labctl another dataset name; nothing was touched",
                )
            if evidence.standing not in {Standing.NOT_STARTED, Standing.PREPARED}:
                return  # there are data of this order already: looking will tell what they are worth
            self._wanting_room.setdefault(order.token, self._clock.monotonic_s())
            if self._datasets.room_missing(order.task):
                return  # looking asks a person, and hands it over once there is room
            self._write_lists(order)
        self._hand_over(order, pairs)

    def _hand_over(self, order: Order, pairs: Mapping[str, Value]) -> None:
        self._safety.leave(self.epoch)
        self._job.write_step({**pairs, "epoch": self.epoch})
        self._asked[order.token] = self._clock.monotonic_s()
        self._link.refresh()

    def _may_be_sent_again(self, step: Step) -> bool:
        records = self._job.records(step.seq)
        if not records:
            return step.epoch < self.epoch  # agents will refuse it
        return records[-1].phase in {"refused", "orphaned"}

    def refuse_unsafe(self, order: Order) -> None:
        """Compare with the hardware limits once more; plan and executor do so too."""
        refuse_unsafe(order, self._limits, self._station)

    def _write_lists(self, order: Order) -> None:
        assert isinstance(order.task, Acquire)
        match order.task.experiment:
            case SaturationRecovery(delays_s=delays_s):
                kind, text = "vd", delay_list(delays_s)
            case Nutation(pulses_s=pulses_s):
                kind, text = "vp", pulse_list(pulses_s)
            case _:
                return
        path = self._link.lists_dir / kind / list_name(order.token)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="ascii", newline="\n")
        except OSError as problem:
            raise InstrumentError(
                f"the list {path} cannot be written ({problem.strerror or problem})", instrument=self._station
            ) from None

    def once_there_is_room(self, order: Order) -> Observation | None:
        """Hand an order over that has waited for room on the disk; None where it waits for none any longer."""
        if not isinstance(order.task, Acquire) or order.token not in self._wanting_room:
            return None
        if missing := self._datasets.room_missing(order.task):
            if self._clock.monotonic_s() - self._wanting_room[order.token] < _ROOM_GIVE_UP_S:
                return Observation(progress=Progress.WAITING, detail=missing, needs_person=missing)
            return Observation(progress=Progress.FAILED, detail=missing)
        self._wanting_room.pop(order.token)
        self._write_lists(order)
        self._hand_over(order, step_pairs(order, seq=0, settings=self._settings))
        return None

    def waited_s(self, order: Order, *, anew: bool) -> float:
        """Return for how long the executor has let an order lie [s]; `anew`: it is not its fault, count from now."""
        now_s = self._clock.monotonic_s()
        waited_s = now_s - self._asked.setdefault(order.token, now_s)
        if anew:
            self._asked[order.token] = now_s
        return waited_s


def refuse_unsafe(order: Order, limits: Mapping[str, float], station: str) -> None:
    """Raise InstrumentError where an order asks for more than the hardware limits allow."""
    task = order.task
    checks: list[tuple[str, float, str, int]] = []
    if isinstance(task, SetTemperature | CoolDown | AwaitStable):
        checks += [
            ("set point [K]", task.setpoint_K, "sensor_max_K", +1),
            ("set point [K]", task.setpoint_K, "sensor_min_K", -1),
        ]
    if isinstance(task, SetTemperature | CoolDown):
        checks.append(("ramp [K/s]", task.ramp_K_per_s, "ramp_max_K_per_s", +1))
    if isinstance(task, Acquire):
        pulses = task.experiment.pulses_s if isinstance(task.experiment, Nutation) else (task.pulse_s,)
        checks += [
            ("pulse [s]", max(pulses), "pulse_max_s", +1),
            ("acquisition time [s]", task.points / (2.0 * task.spectral_width_Hz), "acquisition_max_s", +1),
            ("MAS rate [Hz]", task.spinning_Hz, "spinning_max_Hz", +1),
        ]
    for what, value, limit, sign in checks:
        if limit in limits and sign * (value - limits[limit]) > 1e-9 * abs(limits[limit]):
            raise InstrumentError(
                f"refused for safety: {what} {value:g} against the limit {limit} = {limits[limit]:g}",
                instrument=station,
                command=order.step_id,
            )
