"""Datasets go to analysis, verdicts come back: in a worker on a real clock, between two turns under a virtual one.

Under a virtual clock a verdict may also be *promised*: somebody works it out meanwhile. So that a rehearsal is the
same every time, it then comes in at a moment that does not depend on how fast they are: in its turn, when its station
hands off another dataset and `OWED` verdicts on it are open, when it waits, or when nothing else is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

from labctl.clock import Clock
from labctl.dataset.model import Dataset, Verdict
from labctl.dataset.store import write_manifest
from labctl.run.events import HandedOff, PartJudged
from labctl.run.journal import JournalUnwritable
from labctl.run.perform import finite

OWED = 32
"""So many verdicts may be open for a station: a short fit is then not waited for because a long one is before it."""

OnDataset = Callable[[Path, Dataset], Verdict]
Promise = Callable[[], Verdict]
"""Waits for a verdict and returns it."""
Promising = Callable[[Path, Dataset], Promise | None]
"""Has a dataset analysed elsewhere; None: its verdict decides what happens next, and is wanted at once."""


class HandOffs:
    """The way to analysis.

    Parameters
    ----------
    on_dataset : callable or None
        Gets the manifest's path and the dataset; None: every verdict is ``pass``.
    inline : bool
        Answer at once, in this thread.
    promising : callable or None
        Where not all is answered at once inline: gets the same, and may promise a verdict.
    durable : bool
        Whether a manifest is on the disk before anybody is asked.
    """

    def __init__(
        self,
        on_dataset: OnDataset | None,
        *,
        clock: Clock,
        run_dir: Path,
        inline: bool,
        promising: Promising | None = None,
        durable: bool = True,
    ) -> None:
        self._on_dataset = on_dataset
        self._clock = clock
        self._durable = durable
        self._run_dir = run_dir
        self._inline = inline
        self._worker: ThreadPoolExecutor | None = None
        self._under_way: dict[Future[Verdict], Dataset] = {}
        self._promising = promising if inline else None
        self._promised: list[tuple[Dataset, Promise]] = []

    @property
    def under_way(self) -> bool:
        """Whether a verdict is still to come."""
        return bool(self._under_way or self._promised)

    def submit(self, dataset: Dataset) -> tuple[HandedOff | PartJudged, ...]:
        """Write the manifest and ask; the answer comes back now when inline, else from `answered` or `owed`.

        Before it come the oldest verdicts owed to the station, where too many are.

        Raises
        ------
        JournalUnwritable
            The manifest cannot be written: as with the journal, nothing goes on until there is space.
        """
        try:
            path = write_manifest(self._run_dir, dataset, durable=self._durable)
        except OSError as error:
            raise JournalUnwritable(
                f"the manifest of {dataset.step_id} cannot be written: {error}", expected="free space in the run folder"
            ) from error
        if self._on_dataset is None:
            return (_handed_off(dataset, Verdict()),)
        if self._inline:
            promise = None if self._promising is None else self._promising(path, dataset)
            if promise is None:
                return (_handed_off(dataset, _ask(partial(self._on_dataset, path, dataset))),)
            earlier = self.owed((dataset.station,), but=OWED - 1)
            self._promised.append((dataset, promise))
            return earlier
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="labctl-analysis")
        future = self._worker.submit(_ask, partial(self._on_dataset, path, dataset))
        self._under_way[future] = dataset
        future.add_done_callback(lambda _: self._clock.wake())
        return ()

    def answered(self) -> tuple[HandedOff | PartJudged, ...]:
        """Take the verdicts that have come."""
        done = [future for future in self._under_way if future.done()]
        return tuple(_handed_off(self._under_way.pop(future), future.result()) for future in done)

    def owed(self, stations: Collection[str], *, but: int = 0) -> tuple[HandedOff | PartJudged, ...]:
        """Wait for the verdicts promised on datasets of these stations, `but` for so many of the newest."""
        theirs = [one for one in self._promised if one[0].station in stations]
        due, kept = theirs[: max(0, len(theirs) - but)], theirs[max(0, len(theirs) - but) :]
        self._promised = [one for one in self._promised if one[0].station not in stations] + kept
        return tuple(_handed_off(dataset, _ask(promise)) for dataset, promise in due)

    def close(self) -> None:
        """Wait for the analysis under way; what it says is asked again by the next engine."""
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)


def _handed_off(dataset: Dataset, verdict: Verdict) -> HandedOff | PartJudged:
    station, step_id, attempt = dataset.station, dataset.step_id, dataset.attempt
    if dataset.part:
        return PartJudged(station=station, step_id=step_id, attempt=attempt, part=dataset.part, verdict=finite(verdict))
    return HandedOff(station=station, step_id=step_id, attempt=attempt, verdict=finite(verdict))


def _ask(look: Promise) -> Verdict:
    """Let analysis look; its own failure is a warning, never the loss of spectrometer time."""
    try:
        return look()
    except Exception as error:  # noqa: BLE001 - whatever analysis raises must not stop an acquisition
        text = f"analysis failed: {type(error).__name__}: {error}"
        return Verdict(message=text, warnings=(text,))
