"""What became of an order, when nobody watched it: read from dataset, step file and status records."""

from __future__ import annotations

from labctl.ports import Acquire, Evidence, Order, Standing
from labctl_topspin._agents import TRANSFER_S, Agents
from labctl_topspin._codec import Record, rows
from labctl_topspin._datasets import Datasets
from labctl_topspin._evidence import DatasetView, acquisition_evidence
from labctl_topspin._job import JobFolder
from labctl_topspin._link import Link
from labctl_topspin._settings import Settings

_NO_RAW_DATA = "zg left no raw data (AUERR 0)"
_AT_ONCE_S = 15.0


class OrderStanding:
    """Asks job folder, agents and datasets alike; nothing is remembered."""

    def __init__(self, *, link: Link, job: JobFolder, agents: Agents, datasets: Datasets, settings: Settings) -> None:
        self._link = link
        self._job = job
        self._agents = agents
        self._datasets = datasets
        self._settings = settings

    def evidence(self, order: Order) -> Evidence:
        """Return what the instrument knows of an order."""
        self._link.refresh()
        step = self._job.step_of(order.token)
        records = self._job.records(step.seq) if step is not None else []
        refused = bool(records) and records[-1].phase == "refused"
        busy = step is not None and bool(records) and not records[-1].last and not self._agents.is_lost(step)
        if isinstance(order.task, Acquire):
            view = self._datasets.view(order)
            alive = busy or self.goes_on_without_executor(order, records, view) if records else False
            return acquisition_evidence(
                view,
                token=order.token,
                rows=rows(order.task),
                scans=order.task.scans,
                begun=bool(records) and not refused,
                busy=alive or self.is_coming_over(view),
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

    def goes_on_without_executor(self, order: Order, records: list[Record], view: DatasetView) -> bool:
        """TopSpin was restarted in the middle of an acquisition, or queued it: the spectrometer may go on by itself.

        It is waited for as long as the acquisition might still take, because a repeat costs more than the wait;
        unless somebody has asked for its end.
        """
        assert isinstance(order.task, Acquire)
        begun = next((record for record in records if record.phase == "acquiring"), None)
        if begun is None or view.ended or not (records[-1].phase == "orphaned" or self.is_queued(order, records)):
            return False
        if self._job.halt_was_asked(begun.seq):
            return False
        return self._has_time_left(order.task, begun)

    def is_queued(self, order: Order, records: list[Record]) -> bool:
        """Whether zg came back at once, without an error and without raw data: automatic spooling is on.

        The dataset alone tells then when the acquisition begins and ends. What lasts no longer than that itself is
        no evidence of it.
        """
        assert isinstance(order.task, Acquire)
        last = records[-1]
        begun = next((record for record in reversed(records) if record.phase == "acquiring"), None)
        if begun is None or last.ending != "failed" or _NO_RAW_DATA not in last.error:
            return False
        return last.time_s - begun.time_s <= _AT_ONCE_S < 0.5 * order.task.duration_s

    def goes_on(self, order: Order, records: list[Record], view: DatasetView | None) -> bool:
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

    def is_coming_over(self, view: DatasetView) -> bool:
        """The audit trail has its end and the raw data are still being brought from the acquisition computer."""
        ended_s = view.audit.ended_s if view.audit is not None else None
        if ended_s is None or view.whole:
            return False
        return self._agents.console_now_s() - ended_s <= TRANSFER_S + self._settings.quiet_period_s
