"""Datasets go to analysis, verdicts come back: in a worker on a real clock, between two turns under a virtual one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from labctl.clock import Clock
from labctl.dataset.model import Dataset, Verdict
from labctl.dataset.store import write_manifest
from labctl.run.events import HandedOff, PartJudged
from labctl.run.journal import JournalUnwritable
from labctl.run.perform import finite

OnDataset = Callable[[Path, Dataset], Verdict]


class HandOffs:
    """The way to analysis.

    Parameters
    ----------
    on_dataset : callable or None
        Gets the manifest's path and the dataset; None: every verdict is ``pass``.
    inline : bool
        Answer at once, in this thread.
    """

    def __init__(self, on_dataset: OnDataset | None, *, clock: Clock, run_dir: Path, inline: bool) -> None:
        self._on_dataset = on_dataset
        self._clock = clock
        self._run_dir = run_dir
        self._inline = inline
        self._worker: ThreadPoolExecutor | None = None
        self._under_way: dict[Future[Verdict], Dataset] = {}

    @property
    def under_way(self) -> bool:
        """Whether a verdict is still to come."""
        return bool(self._under_way)

    def submit(self, dataset: Dataset) -> tuple[HandedOff | PartJudged, ...]:
        """Write the manifest and ask; the answer comes back now when inline, else from `answered`.

        Raises
        ------
        JournalUnwritable
            The manifest cannot be written: as with the journal, nothing goes on until there is space.
        """
        try:
            path = write_manifest(self._run_dir, dataset)
        except OSError as error:
            raise JournalUnwritable(
                f"the manifest of {dataset.step_id} cannot be written: {error}", expected="free space in the run folder"
            ) from error
        if self._on_dataset is None:
            return (_handed_off(dataset, Verdict()),)
        if self._inline:
            return (_handed_off(dataset, _ask(self._on_dataset, path, dataset)),)
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="labctl-analysis")
        future = self._worker.submit(_ask, self._on_dataset, path, dataset)
        self._under_way[future] = dataset
        future.add_done_callback(lambda _: self._clock.wake())
        return ()

    def answered(self) -> tuple[HandedOff | PartJudged, ...]:
        """Take the verdicts that have come."""
        done = [future for future in self._under_way if future.done()]
        return tuple(_handed_off(self._under_way.pop(future), future.result()) for future in done)

    def close(self) -> None:
        """Wait for the analysis under way; what it says is asked again by the next engine."""
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)


def _handed_off(dataset: Dataset, verdict: Verdict) -> HandedOff | PartJudged:
    station, step_id, attempt = dataset.station, dataset.step_id, dataset.attempt
    if dataset.part:
        return PartJudged(station=station, step_id=step_id, attempt=attempt, part=dataset.part, verdict=finite(verdict))
    return HandedOff(station=station, step_id=step_id, attempt=attempt, verdict=finite(verdict))


def _ask(on_dataset: OnDataset, path: Path, dataset: Dataset) -> Verdict:
    """Let analysis look; its own failure is a warning, never the loss of spectrometer time."""
    try:
        return on_dataset(path, dataset)
    except Exception as error:  # noqa: BLE001 - whatever analysis raises must not stop an acquisition
        return Verdict(message="analysis failed", warnings=(f"analysis failed: {type(error).__name__}: {error}",))
