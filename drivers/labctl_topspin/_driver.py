"""The spectrometer as an `Instrument`: orders become step files, and files become answers.

Theory of operation
-------------------
Two AU programs run on the console (``au/``). The *executor* takes up one step file at a time and is deaf while it
acquires; the *guard* reads temperature, heater, gas and rotor every few seconds, writes heartbeats, and acts alone
when a limit breaks or when this driver's lease runs out. The driver only reads and writes files, so nothing here
ever waits, and killing labctl leaves an acquisition as it is.

What became of an acquisition is read from its dataset (`_evidence`): the executor's own record is needed too, but it
is never enough. An order is known by its token, which stands in the title of the dataset, in the step file and in
every status record; the executor carries a token out once.

Epochs fence engines off from each other: agents refuse what a lower epoch than the highest they have seen asks for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from labctl.clock import Clock
from labctl.errors import ForeignDataError, InputError, InstrumentError, Superseded
from labctl.ports import (
    FAULT,
    Acquire,
    AwaitStable,
    Check,
    Collected,
    CoolDown,
    Errand,
    Evidence,
    Nutation,
    Observation,
    Order,
    Progress,
    Reading,
    SaturationRecovery,
    SetTemperature,
    Standing,
)
from labctl_topspin._agents import LOG_S, SAFE_SETPOINT_K, TRANSFER_S, Agents, Seen
from labctl_topspin._codec import (
    Record,
    Value,
    delay_list,
    expno,
    list_name,
    number,
    pulse_list,
    rows,
    safe_text,
    step_pairs,
)
from labctl_topspin._collect import collected, copy_tree
from labctl_topspin._evidence import DatasetView, Signature, acquisition_evidence, look_at
from labctl_topspin._frozen import FrozenSensor
from labctl_topspin._job import JobFolder, Step
from labctl_topspin._link import Link
from labctl_topspin._preflight import preflight
from labctl_topspin._settings import Settings
from labctl_topspin._shadow import shadow_lines

_TRANSFER_LOOK_S = 5.0
_LOG_LINES = 360  # of the guard's log: an hour
_MARGIN_BYTES = 20_000_000
_ROOM_GIVE_UP_S = 7200.0  # as long as a pause may hold a sample warm
_HALT_S = 600.0  # `halt` waits for the end of a scan
_QUIET_EXECUTOR_S = 100.0  # how much longer than the alarm an executor may take to take a step up


class TopSpinDriver:
    """One TopSpin console.

    Parameters
    ----------
    limits : mapping
        Hardware limits, SI unit in each name; complete (`_settings.complete_limits`).
    link : Link
        The console's folders.
    """

    def __init__(
        self, *, station: str, settings: Settings, limits: Mapping[str, float], clock: Clock, link: Link
    ) -> None:
        self._station = station
        self._settings = settings
        self._limits = limits
        self._clock = clock
        self._link = link
        self._job = JobFolder(link.job_dir, station, durable=not link.simulated)
        self._agents = Agents(station=station, settings=settings, limits=limits, clock=clock, link=link, job=self._job)
        self._epoch = 0
        self._lease_s = -math.inf
        self._raw: dict[str, Seen] = {}
        self._asked: dict[str, float] = {}
        self._done_since: dict[str, float] = {}
        self._frozen = FrozenSensor()
        self._wanting_room: dict[str, float] = {}
        self._safe_since_s = math.inf

    @property
    def station(self) -> str:
        return self._station

    @property
    def attention_s(self) -> float:
        return float(self._settings.lease_s)

    # ------------------------------------------------------------------------------------------ opening

    def open(self, epoch: int) -> None:
        self._link.refresh()
        self._job.make()
        if (highest := self._job.highest_epoch()) > epoch:
            raise InstrumentError(
                f"another engine holds this console (epoch {highest}, ours is {epoch})",
                instrument=self._station,
                next_step="Stop the other engine, then resume here",
            )
        self._epoch = epoch
        self._agents.install()
        self._job.write_config(self._agents.configuration(epoch))
        self._renew_lease()
        self._job.write_control("run", epoch=epoch, reason="opened")
        self._link.refresh()
        self._agents.find()
        self._link.refresh()
        self._frozen = FrozenSensor()
        self._frozen.learn(self._job.logged_te_K(_LOG_LINES), looks=max(1, round(LOG_S / self._settings.guard_poll_s)))

    def close(self) -> None:
        self._link.close()

    # ------------------------------------------------------------------------------------------- orders

    def begin(self, order: Order) -> None:
        self._link.refresh()
        step = self._step_of(order.token)
        if step is not None and not self._may_be_sent_again(step):
            return
        try:
            pairs = step_pairs(order, seq=0, settings=self._settings)
        except InputError as error:
            raise InstrumentError(str(error), instrument=self._station, command=order.step_id) from None
        self._refuse_unsafe(order)
        if isinstance(order.task, Acquire):
            evidence = self.evidence(order)
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
            if self._room_missing(order.task):
                return  # looking asks a person, and hands it over once there is room
            self._write_lists(order)
        self._hand_over(order, pairs)

    def _hand_over(self, order: Order, pairs: Mapping[str, Value]) -> None:
        if self._job.last_control() == "safe":
            # The engine leaves its safe state only when a person lets it.
            self._safe_since_s = math.inf
            self._job.write_control("run", epoch=self._epoch, reason="begin")
        self._job.write_step({**pairs, "epoch": self._epoch})
        self._asked[order.token] = self._clock.monotonic_s()
        self._link.refresh()

    def _room_missing(self, task: Acquire) -> str:
        """Say what a person does about a disk that has no room for an acquisition; empty if it has."""
        free = self._link.free_bytes()
        wanted = _MARGIN_BYTES + max(1, rows(task)) * (task.points * 8 + 1024)
        if free >= wanted:
            return ""
        return (
            f"the disk that holds {self._link.data_dir} is full: {free / 1e6:.0f} MB left, {wanted / 1e6:.0f} MB"
            " wanted. Nothing is lost so far. Make room there"
        )

    def _may_be_sent_again(self, step: Step) -> bool:
        records = self._job.records(step.seq)
        if not records:
            return step.epoch < self._epoch  # agents will refuse it
        return records[-1].phase in {"refused", "orphaned"}

    def _refuse_unsafe(self, order: Order) -> None:
        """Compare with the hardware limits once more; plan and executor do so too."""
        task, limits = order.task, self._limits
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
                    instrument=self._station,
                    command=order.step_id,
                )

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

    def _step_of(self, token: str) -> Step | None:
        """Return the step that carries an order out: not one that was refused where another was begun."""
        steps = [step for step in self._job.steps() if step.token == token]
        for step in reversed(steps):
            records = self._job.records(step.seq)
            if not records or records[-1].phase != "refused":
                return step
        return steps[-1] if steps else None

    # ------------------------------------------------------------------------------------------- asking

    def look(self, order: Order) -> Observation:
        self._link.refresh()
        step = self._step_of(order.token)
        records = self._job.records(step.seq) if step is not None else []
        view = self._view(order) if isinstance(order.task, Acquire) else None
        growing = self._grew(order, view) or self._goes_on(order, records, view)
        if records and records[-1].last:
            return self._look_at_ended(order, records, view, growing=growing)
        silent_s = self._agents.silent_s()
        if silent_s > self._settings.alarm_s:
            return Observation(
                progress=Progress.SILENT,
                detail=f"no heartbeat of the guard for {silent_s:.0f} s",
                data_growing=growing,
                needs_person=f"look at the console; if the guard is gone: xau labctl_guard {self._agents.folder}",
            )
        if step is None and isinstance(order.task, Acquire) and order.token in self._wanting_room:
            if (missing := self._room_missing(order.task)) and self._waits_for_room(order):
                return Observation(progress=Progress.WAITING, detail=missing, needs_person=missing)
            if missing:
                return Observation(progress=Progress.FAILED, detail=missing)
            self._wanting_room.pop(order.token)
            self._write_lists(order)
            self._hand_over(order, step_pairs(order, seq=0, settings=self._settings))
        if step is None or not records:
            return self._look_at_waiting(order)
        if self._agents.is_lost(step):
            return Observation(
                progress=Progress.FAILED,
                detail=f"the executor was lost during step {step.seq}; "
                f"somebody types: xau labctl_executor {self._agents.folder}",
                data_growing=growing,
            )
        return self._look_at_running(order, records, growing=growing)

    def _waits_for_room(self, order: Order) -> bool:
        return self._clock.monotonic_s() - self._wanting_room[order.token] < _ROOM_GIVE_UP_S

    def _look_at_waiting(self, order: Order) -> Observation:
        now_s = self._clock.monotonic_s()
        waited_s = now_s - self._asked.setdefault(order.token, now_s)
        busy = self._agents.busy_step()
        if busy is not None:
            self._asked[order.token] = now_s
            return Observation(progress=Progress.WAITING, detail=f"the executor is at step {busy.seq}")
        if waited_s <= self._settings.alarm_s + _QUIET_EXECUTOR_S:
            return Observation(progress=Progress.WAITING, detail="handed over")
        what = f"the executor has not taken it up for {waited_s:.0f} s"
        todo = f"somebody types: xau labctl_executor {self._agents.folder}"
        if waited_s > self._settings.safe_after_s:
            return Observation(progress=Progress.FAILED, detail=f"{what}; {todo}")
        return Observation(progress=Progress.SILENT, detail=what, needs_person=todo)

    def _look_at_running(self, order: Order, records: list[Record], *, growing: bool) -> Observation:
        last = records[-1]
        fraction = number(last.pairs, "fraction")
        detail, person = last.phase, last.pairs.get("needs_person", "").replace("<job folder>", self._agents.folder)
        if isinstance(order.task, Acquire) and last.phase == "acquiring":
            spent_s = self._agents.age_s(last)
            expected_s = max(1.0, order.task.duration_s)
            fraction = min(0.999, max(0.0, spent_s / expected_s))
            detail = f"acquiring EXPNO {expno(order)}"
            if spent_s > 4.0 * expected_s + 7200.0:
                return Observation(
                    progress=Progress.FAILED,
                    detail=f"EXPNO {expno(order)} was expected to take {expected_s:.0f} s and runs for {spent_s:.0f} s",
                    data_growing=growing,
                )
            if spent_s > 1.5 * expected_s + 600.0:
                person = f"EXPNO {expno(order)} runs for {spent_s:.0f} s instead of {expected_s:.0f} s: look at it"
            elif missing := self._room_missing(order.task):
                person = f"{missing} before EXPNO {expno(order)} ends, or its data cannot be written"
        return Observation(
            progress=Progress.RUNNING, detail=detail, fraction=fraction, data_growing=growing, needs_person=person
        )

    def _look_at_ended(
        self, order: Order, records: list[Record], view: DatasetView | None, *, growing: bool
    ) -> Observation:
        """The executor says that the step is over; of an acquisition the data have the last word."""
        last = records[-1]
        if view is None:
            if last.ending == "failed":
                return Observation(progress=Progress.FAILED, detail=last.error)
            return Observation(progress=Progress.DONE, detail=last.phase, fraction=1.0)
        if last.ending == "failed":
            if self._goes_on_without_executor(order, records, view):
                return Observation(
                    progress=Progress.RUNNING,
                    detail=f"{last.error}; EXPNO {expno(order)} is waited for",
                    data_growing=growing,
                    needs_person=f"is EXPNO {expno(order)} still being acquired? If it is not, skip this step",
                )
            if self._is_coming_over(view):  # whoever looks for raw data too early finds none
                return Observation(
                    progress=Progress.RUNNING,
                    detail=f"{last.error}; the audit trail has its end, and raw data may still come",
                    data_growing=growing,
                    look_again_s=_TRANSFER_LOOK_S,
                )
            if not (view.ended and view.whole and order.token in view.title):
                return Observation(progress=Progress.FAILED, detail=last.error, data_growing=growing)
        return self._look_at_data(order, view, growing=growing)

    def _goes_on_without_executor(self, order: Order, records: list[Record], view: DatasetView) -> bool:
        """TopSpin was restarted in the middle of an acquisition: the spectrometer may go on by itself.

        It is waited for as long as the acquisition might still take, because a repeat costs more than the wait;
        unless somebody has asked for its end.
        """
        assert isinstance(order.task, Acquire)
        begun = next((record for record in records if record.phase == "acquiring"), None)
        if begun is None or records[-1].phase != "orphaned" or view.ended:
            return False
        if self._job.halt_was_asked(begun.seq):
            return False
        return self._has_time_left(order.task, begun)

    def _goes_on(self, order: Order, records: list[Record], view: DatasetView | None) -> bool:
        """Whether an acquisition was begun, has not ended by its audit trail, and may still take its time.

        Raw data say no more while it lasts: some consoles allocate the whole file at the start, others bring it over
        at the end, and one row may take minutes. Agents that fall silent meanwhile (a dialog, a restart of TopSpin)
        must not pass for an acquisition that is dead.
        """
        if not isinstance(order.task, Acquire) or view is None or view.ended or not records:
            return False
        last = records[-1]
        return last.phase == "acquiring" and self._has_time_left(order.task, last)

    def _has_time_left(self, task: Acquire, begun: Record) -> bool:
        return self._agents.age_s(begun) <= 1.2 * task.duration_s + 600.0

    def _is_coming_over(self, view: DatasetView) -> bool:
        """The audit trail has its end and the raw data are still being brought from the acquisition computer."""
        ended_s = view.audit.ended_s if view.audit is not None else None
        if ended_s is None or view.whole:
            return False
        return self._agents.console_now_s() - ended_s <= TRANSFER_S + self._settings.quiet_period_s

    def _look_at_data(self, order: Order, view: DatasetView, *, growing: bool) -> Observation:
        assert isinstance(order.task, Acquire)
        now_s = self._clock.monotonic_s()
        since_s = self._done_since.setdefault(order.token, now_s)
        missing = []
        if order.token not in view.title:
            missing.append(f"the title of {view.folder} does not carry {order.token}")
        if not view.ended:
            missing.append("the audit trail has no end entry")
        if not view.whole:
            size = view.signature[0] if view.signature else 0
            wanted = " or ".join(map(str, view.expected_bytes())) or "unknown"
            missing.append(f"the raw data have {size} bytes, expected {wanted}")
        if missing and now_s - since_s > TRANSFER_S + self._settings.quiet_period_s:
            return Observation(progress=Progress.FAILED, detail="; ".join(missing), data_growing=growing)
        again_s = _TRANSFER_LOOK_S
        if not missing and (quiet_in_s := self._quiet_in_s(order, view)) > 0.0:
            missing.append("waiting for the quiet period")
            again_s = quiet_in_s
        if missing:
            return Observation(
                progress=Progress.RUNNING,
                detail="; ".join(missing),
                fraction=0.999,
                data_growing=growing,
                look_again_s=again_s,
            )
        short = view.short_of(rows=rows(order.task), scans=order.task.scans)
        if short:
            return Observation(progress=Progress.HALTED, detail=f"ended early: {short}", fraction=1.0)
        return Observation(progress=Progress.DONE, detail=f"EXPNO {expno(order)} is complete", fraction=1.0)

    def evidence(self, order: Order) -> Evidence:
        self._link.refresh()
        step = self._step_of(order.token)
        records = self._job.records(step.seq) if step is not None else []
        refused = bool(records) and records[-1].phase == "refused"
        busy = step is not None and bool(records) and not records[-1].last and not self._agents.is_lost(step)
        if isinstance(order.task, Acquire):
            view = self._view(order)
            alive = busy or self._goes_on_without_executor(order, records, view) if records else False
            return acquisition_evidence(
                view,
                token=order.token,
                rows=rows(order.task),
                scans=order.task.scans,
                begun=bool(records) and not refused,
                busy=alive or self._is_coming_over(view),
                handed_over=step is not None and not refused,
            )
        if step is None or refused:
            return Evidence(
                standing=Standing.NOT_STARTED, detail=records[-1].error if refused else "no step with this token"
            )
        if not records:
            return Evidence(standing=Standing.PREPARED, detail=f"step {step.seq} has not been taken up")
        if busy:
            return Evidence(standing=Standing.RUNNING, detail=f"step {step.seq}: {records[-1].phase}")
        if records[-1].ending == "done":
            return Evidence(standing=Standing.FINISHED, detail=f"step {step.seq} was carried out")
        what = records[-1].error or "the executor was lost"
        return Evidence(standing=Standing.INTERRUPTED, detail=f"step {step.seq}: {what}")

    # -------------------------------------------------------------------------------------------- data

    def _folder(self, number_: int, dataset: str = "") -> Path:
        return self._link.data_dir / (dataset or self._settings.dataset) / str(number_)

    def _view(self, order: Order) -> DatasetView:
        return look_at(self._folder(expno(order)))

    def _grew(self, order: Order, view: DatasetView | None) -> bool:
        """Whether the raw data changed since the last look."""
        if view is None:
            return False
        now_s = self._clock.monotonic_s()
        signature: Signature | None = view.signature
        seen = self._raw.get(order.token)
        if seen is not None and seen.what == signature:
            return False
        self._raw[order.token] = Seen(signature, now_s)
        return seen is not None and signature is not None

    def _quiet_in_s(self, order: Order, view: DatasetView) -> float:
        """In how many seconds the raw data will have been the same for the quiet period; 0: they have been."""
        self._grew(order, view)
        unchanged_s = self._clock.monotonic_s() - self._raw[order.token].since_s
        return max(0.0, self._settings.quiet_period_s - unchanged_s)

    def collect(self, order: Order, into: Path) -> Collected:
        self._link.refresh()
        if not isinstance(order.task, Acquire):
            return Collected(files=(), completeness="complete", started_s=0.0, ended_s=self._clock.now_s())
        view = self._view(order)
        if view.exists and order.token not in view.title:
            raise ForeignDataError(f"{view.folder} does not carry {order.token} in its title", instrument=self._station)
        if view.raw is not None and self._quiet_in_s(order, view) > 0.0:
            raise InstrumentError(
                f"the raw data of EXPNO {expno(order)} may still change",
                instrument=self._station,
                next_step=f"It is tried again once they are unchanged for {self._settings.quiet_period_s:g} s",
            )
        step = self._step_of(order.token)
        records = self._job.records(step.seq) if step is not None else []
        name = str(expno(order))
        files: tuple[str, ...] = ()
        if view.raw is not None:
            paths = copy_tree(view.folder, into / name, link=self._link.simulated, station=self._station)
            files = tuple(f"{name}/{path.as_posix()}" for path in paths)
        last = records[-1] if records else None
        rates = [number(last.pairs, key) for key in ("spinning_before_Hz", "spinning_after_Hz")] if last else []
        read = [rate for rate in rates if rate is not None and rate >= 0.0]
        return collected(view, files, order.task, last, spinning_readback_Hz=sum(read) / len(read) if read else None)

    # ---------------------------------------------------------------------------------- watching, stopping

    def preflight(self, errand: Errand) -> tuple[Check, ...]:
        self._link.refresh()
        return preflight(
            errand,
            settings=self._settings,
            limits=self._limits,
            clock=self._clock,
            link=self._link,
            job=self._job,
            agents=self._agents,
        )

    def shadow(self, order: Order) -> tuple[str, ...]:
        """Compose the step file, hold it against limits, templates and data, and hand it to nobody."""
        self._link.refresh()
        try:
            pairs = step_pairs(order, seq=0, settings=self._settings)
        except InputError as error:
            raise InstrumentError(str(error), instrument=self._station, command=order.step_id) from None
        self._refuse_unsafe(order)
        return shadow_lines(order, pairs, evidence=self.evidence(order), station=self._station)

    def _renew_lease(self) -> None:
        """At most once per poll of the guard, which sees no more than one in between."""
        now_s = self._clock.monotonic_s()
        if self._epoch and now_s - self._lease_s >= self._settings.guard_poll_s:
            self._job.write_lease(epoch=self._epoch, at_s=self._clock.now_s())
            self._lease_s = now_s

    def readings(self) -> tuple[Reading, ...]:
        self._link.refresh()
        beat = self._agents.beat()
        if beat is not None and beat.epoch > self._epoch > 0:
            raise Superseded(
                f"{self._station}: the guard obeys a later engine (epoch {beat.epoch}, ours is {self._epoch})",
                next_step="This engine ends here and has touched nothing; the other one goes on",
            )
        self._renew_lease()
        if beat is None:
            return ()
        values = (
            ("sensor_K", beat.te_K),
            ("heater_percent", beat.heater_percent),
            ("gas_L_per_h", beat.gas_L_per_h),
            ("spinning_Hz", beat.spinning_Hz),
        )
        at_s = beat.time_s - self._agents.jumped_s  # a clock that was set makes no reading older
        self._frozen.look(beat.te_K, beat=beat.seq, at_s=at_s)
        readings = [
            Reading(quantity=quantity, value=value, at_s=at_s) for quantity, value in values if value is not None
        ]
        if self._frozen.stands_still:
            readings.append(Reading(quantity=f"{FAULT}sensor_frozen", value=1.0, at_s=at_s))
        return tuple(readings)

    def stop(self, order: Order, reason: str) -> None:
        self._link.refresh()
        step = self._step_of(order.token)
        if step is None:
            return
        records = self._job.records(step.seq)
        if records and records[-1].last and records[-1].phase != "orphaned":
            return
        self._job.write_control("halt", epoch=self._epoch, reason=_plain(reason), seq=step.seq)
        self._link.refresh()

    def _may_still_acquire(self) -> bool:
        """Whether the acquisition that the guard believes in may be alive: its executor may have been lost.

        Not when the dataset says that it ended, or when `halt` has had the time of several scans.
        """
        step = self._job.open_step()
        if step is None or self._agents.is_lost(step):
            return False
        scan_s = number(step.pairs, "recycle_delay_s") or 0.0
        asked_s = self._clock.monotonic_s() - self._safe_since_s
        return asked_s < max(_HALT_S, 5.0 * scan_s) and not self._agents.dataset_of(step).ended

    def make_safe(self, reason: str) -> None:
        self._safe_since_s = min(self._safe_since_s, self._clock.monotonic_s())
        self._link.refresh()
        if self._job.last_control() != "safe":
            self._job.write_control("safe", epoch=self._epoch, reason=_plain(reason))
            self._link.refresh()
        if self._agents.silent_s() > self._agents.fresh_s or self._agents.beat() is None:
            # Nobody is there to act: the one thing left is to have the guard started.
            self._agents.start_guard()
            self._link.refresh()

    def is_safe(self) -> bool:
        self._link.refresh()
        beat = self._agents.beat()
        if beat is None or self._agents.silent_s() > self._agents.fresh_s or beat.state != "safe":
            return False
        if beat.acquiring and self._may_still_acquire():
            return False
        if beat.te_K is None or beat.te_K > SAFE_SETPOINT_K + 5.0:
            return False
        return beat.heater_off or beat.safe_setpoint_K == SAFE_SETPOINT_K


def _plain(reason: str) -> str:
    """Return a reason as it may stand in a control file."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "_.+-:/ ") else "_" for char in reason)
    return safe_text(plain[:200].strip() or "none", "reason")
