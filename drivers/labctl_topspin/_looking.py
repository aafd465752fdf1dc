"""How an order goes: what executor, guard and dataset say together."""

from __future__ import annotations

from labctl.clock import Clock
from labctl.ports import Acquire, Observation, Order, Progress
from labctl_topspin._agents import TRANSFER_S, Agents
from labctl_topspin._codec import Record, expno, number, rows
from labctl_topspin._datasets import Datasets
from labctl_topspin._evidence import DatasetView
from labctl_topspin._hand_over import HandOver
from labctl_topspin._job import JobFolder
from labctl_topspin._link import Link
from labctl_topspin._live_rows import LiveRows
from labctl_topspin._settings import Settings
from labctl_topspin._standing import OrderStanding

_TRANSFER_LOOK_S = 5.0
_QUIET_EXECUTOR_S = 100.0  # how much longer than the alarm an executor may take to take a step up


class OrderWatch:
    """Looks at an order without ever waiting."""

    def __init__(
        self,
        *,
        link: Link,
        job: JobFolder,
        agents: Agents,
        datasets: Datasets,
        standing: OrderStanding,
        hand_over: HandOver,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._link = link
        self._job = job
        self._agents = agents
        self._datasets = datasets
        self._standing = standing
        self._hand_over = hand_over
        self._settings = settings
        self._clock = clock
        self._live = LiveRows()
        self._done_since: dict[str, float] = {}

    def look(self, order: Order) -> Observation:
        """Return how an order goes."""
        self._link.refresh()
        step = self._job.step_of(order.token)
        records = self._job.records(step.seq) if step is not None else []
        view = self._datasets.view(order) if isinstance(order.task, Acquire) else None
        growing = self._datasets.grew(order, view) or self._standing.goes_on(order, records, view)
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
        if step is None and (seen := self._hand_over.once_there_is_room(order)) is not None:
            return seen
        if step is None or not records:
            return self._look_at_waiting(order)
        if self._agents.is_lost(step):
            return Observation(
                progress=Progress.FAILED,
                detail=f"the executor was lost during step {step.seq}; "
                f"somebody types: xau labctl_executor {self._agents.folder}",
                data_growing=growing,
            )
        return self._look_at_running(order, records, view, growing=growing)

    def _look_at_waiting(self, order: Order) -> Observation:
        busy = self._agents.busy_step()
        waited_s = self._hand_over.waited_s(order, anew=busy is not None)
        if busy is not None:
            return Observation(progress=Progress.WAITING, detail=f"the executor is at step {busy.seq}")
        if waited_s <= self._settings.alarm_s + _QUIET_EXECUTOR_S:
            return Observation(progress=Progress.WAITING, detail="handed over")
        what = f"the executor has not taken it up for {waited_s:.0f} s"
        todo = f"somebody types: xau labctl_executor {self._agents.folder}"
        if waited_s > self._settings.safe_after_s:
            return Observation(progress=Progress.FAILED, detail=f"{what}; {todo}")
        return Observation(progress=Progress.SILENT, detail=what, needs_person=todo)

    def _look_at_running(
        self, order: Order, records: list[Record], view: DatasetView | None, *, growing: bool
    ) -> Observation:
        last = records[-1]
        fraction = number(last.pairs, "fraction")
        detail, person = last.phase, last.pairs.get("needs_person", "").replace("<job folder>", self._agents.folder)
        parts, again_s = 0, None
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
            elif missing := self._datasets.room_missing(order.task):
                person = f"{missing} before EXPNO {expno(order)} ends, or its data cannot be written"
            if self._settings.live_rows == "ser" and view is not None:
                parts, again_s = self._live.look(order, view, spent_s=spent_s)
        return Observation(
            progress=Progress.RUNNING,
            detail=detail,
            fraction=fraction,
            data_growing=growing,
            needs_person=person,
            look_again_s=again_s,
            parts=parts,
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
            if self._standing.goes_on_without_executor(order, records, view):
                person = f"is EXPNO {expno(order)} still being acquired? If it is not, skip this step"
                if self._standing.is_queued(order, records):
                    person = (
                        f"zg came back at once and EXPNO {expno(order)} has no data yet: is automatic spooling on?"
                        " It is waited for. Switch spooling off in TopSpin; if nothing is acquired, skip this step"
                    )
                return Observation(
                    progress=Progress.RUNNING,
                    detail=f"{last.error}; EXPNO {expno(order)} is waited for",
                    data_growing=growing,
                    needs_person=person,
                )
            if self._standing.is_coming_over(view):  # whoever looks for raw data too early finds none
                return Observation(
                    progress=Progress.RUNNING,
                    detail=f"{last.error}; the audit trail has its end, and raw data may still come",
                    data_growing=growing,
                    look_again_s=_TRANSFER_LOOK_S,
                )
            if not (view.ended and view.whole and order.token in view.title):
                return Observation(progress=Progress.FAILED, detail=last.error, data_growing=growing)
        return self._look_at_data(order, view, growing=growing)

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
        if not missing and (quiet_in_s := self._datasets.quiet_in_s(order, view)) > 0.0:
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
