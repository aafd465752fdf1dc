"""The spectrometer as an `Instrument`: orders become step files, and files become answers.

Theory of operation
-------------------
Two AU programs run on the console (``au/``). The *executor* takes up one step file at a time and is deaf while it
acquires; the *guard* reads temperature, heater, gas and rotor every few seconds, writes heartbeats, and acts alone
when a limit breaks or when this driver's lease runs out. The driver only reads and writes files, so nothing here
ever waits, and killing labctl leaves an acquisition as it is.

Orders are handed over (`_hand_over`), looked at while they go (`_looking`), and asked about where nobody watched
(`_standing`). What became of an acquisition is read from its dataset (`_evidence`): the executor's own record is
needed too, but it is never enough. An order is known by its token, which stands in the title of the dataset, in the
step file and in every status record; the executor carries a token out once.

Epochs fence engines off from each other: agents refuse what a lower epoch than the highest they have seen asks for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from labctl.clock import Clock
from labctl.errors import ForeignDataError, InputError, InstrumentError, Superseded
from labctl.ports import (
    FAULT,
    Acquire,
    Check,
    Collected,
    Errand,
    Evidence,
    Observation,
    Order,
    Reading,
)
from labctl_topspin._agents import LOG_S, Agents
from labctl_topspin._codec import (
    expno,
    number,
    step_pairs,
)
from labctl_topspin._collect import collected, copy_tree
from labctl_topspin._datasets import Datasets
from labctl_topspin._evidence import look_at
from labctl_topspin._frozen import FrozenSensor
from labctl_topspin._hand_over import HandOver
from labctl_topspin._job import JobFolder
from labctl_topspin._link import Link
from labctl_topspin._live_rows import PARTS, snapshot
from labctl_topspin._looking import OrderWatch
from labctl_topspin._preflight import preflight
from labctl_topspin._safety import SafeState, plain
from labctl_topspin._settings import Settings
from labctl_topspin._shadow import shadow_lines
from labctl_topspin._standing import OrderStanding

_LOG_LINES = 360  # of the guard's log: an hour


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
        self._frozen = FrozenSensor()
        self._datasets = Datasets(link=link, settings=settings, clock=clock)
        self._standing = OrderStanding(
            link=link, job=self._job, agents=self._agents, datasets=self._datasets, settings=settings
        )
        self._safety = SafeState(link=link, job=self._job, agents=self._agents, clock=clock)
        self._hand_over = HandOver(
            station=station,
            link=link,
            job=self._job,
            datasets=self._datasets,
            standing=self._standing,
            safety=self._safety,
            settings=settings,
            limits=limits,
            clock=clock,
        )
        self._watch = OrderWatch(
            link=link,
            job=self._job,
            agents=self._agents,
            datasets=self._datasets,
            standing=self._standing,
            hand_over=self._hand_over,
            settings=settings,
            clock=clock,
        )

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
        self._epoch = self._hand_over.epoch = epoch
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
        self._hand_over.begin(order)

    # ------------------------------------------------------------------------------------------- asking

    def look(self, order: Order) -> Observation:
        return self._watch.look(order)

    def evidence(self, order: Order) -> Evidence:
        return self._standing.evidence(order)

    # -------------------------------------------------------------------------------------------- data

    def collect(self, order: Order, into: Path) -> Collected:
        self._link.refresh()
        if not isinstance(order.task, Acquire):
            return Collected(files=(), completeness="complete", started_s=0.0, ended_s=self._clock.now_s())
        view = self._datasets.view(order)
        if view.exists and order.token not in view.title:
            raise ForeignDataError(f"{view.folder} does not carry {order.token} in its title", instrument=self._station)
        if view.raw is not None and self._datasets.quiet_in_s(order, view) > 0.0:
            raise InstrumentError(
                f"the raw data of EXPNO {expno(order)} may still change",
                instrument=self._station,
                next_step=f"It is tried again once they are unchanged for {self._settings.quiet_period_s:g} s",
            )
        step = self._job.step_of(order.token)
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

    def collect_part(self, order: Order, part: int, after: int, into: Path) -> Collected:  # noqa: ARG002 - the port's
        """Bring in the rows of a running 2D that are complete, from its first on; see `snapshot`."""
        self._link.refresh()
        if not isinstance(order.task, Acquire):
            return Collected(files=(), completeness="partial", started_s=0.0, ended_s=self._clock.now_s())
        view = self._datasets.view(order)
        if order.token not in view.title:
            raise ForeignDataError(f"{view.folder} does not carry {order.token} in its title", instrument=self._station)
        step = self._job.step_of(order.token)
        records = self._job.records(step.seq) if step is not None else []
        name = f"{PARTS}/{expno(order)}/{part:02d}"
        paths, count = snapshot(view, order, part, into / name, station=self._station)
        last = records[-1] if records else None
        found = collected(look_at(into / name), paths, order.task, last, spinning_readback_Hz=None)
        return replace(
            found,
            files=tuple(f"{name}/{path}" for path in paths),
            completeness="partial",
            started_s=records[0].time_s if records else found.started_s,
            ended_s=self._clock.now_s(),
            settings={**found.settings, "rows_acquired": count},
            remarks=(),
            part_from=1,
        )

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
        self._hand_over.refuse_unsafe(order)
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
        step = self._job.step_of(order.token)
        if step is None:
            return
        records = self._job.records(step.seq)
        if records and records[-1].last and records[-1].phase != "orphaned":
            return
        self._job.write_control("halt", epoch=self._epoch, reason=plain(reason), seq=step.seq)
        self._link.refresh()

    def make_safe(self, reason: str) -> None:
        self._safety.make(reason, epoch=self._epoch)

    def is_safe(self) -> bool:
        return self._safety.is_reached()
