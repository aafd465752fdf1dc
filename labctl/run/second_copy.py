"""A second copy of the raw data on another disk: made while the campaign runs, checked, never in its way.

Each dataset is copied from the run folder once it has been collected, in a thread of its own, to the same paths below
``<second copy>/<name of the run folder>``. A file counts as copied when what was read back from the other disk has the
checksum of the journal. A copy that fails is an alarm and is tried again; it never stops a campaign. A different file
in our place is never overwritten. After a time without the other disk everything is looked at once more: what came back
may be another disk. Behind the data the journal itself is copied, whole, so that there is one to resume from.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from labctl.dataset.model import Dataset
from labctl.dataset.store import describe_file, manifest_path
from labctl.run.events import Alarmed, Event, Finished, HandedOff
from labctl.run.journal import Row
from labctl.run.journal_copy import copy_journal
from labctl.run.state import State

AGAIN_S = 60.0
_FROZEN = ("protocol.yaml", "lab.yaml", "run.json")


class SecondCopy:
    """Bystander that copies raw data; see the module.

    Parameters
    ----------
    folder : Path
        The folder on the other disk; it must exist, so that an unmounted disk is not mistaken for an empty one.
    before : iterable of Dataset
        What the campaign holds already, when it is taken up again.
    """

    def __init__(
        self,
        run_dir: Path,
        folder: Path,
        *,
        before: Iterable[Dataset] = (),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_dir = run_dir.resolve()
        self._root = folder
        self._folder = folder / self._run_dir.name
        self._monotonic_s = monotonic_s
        self._todo: deque[Dataset] = deque(before)
        self._in: queue.SimpleQueue[Dataset | None] = queue.SimpleQueue()
        self._news: queue.SimpleQueue[Alarmed] = queue.SimpleQueue()
        self._next_s = float("-inf")
        self._failing = self._journal_failing = ""
        self._there: list[Dataset] = []
        self._journal_is_behind = False
        self._collected: dict[tuple[str, int], Dataset] = {}
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None

    # -------------------------------------------------------------------------------- the engine's side

    def start(self) -> None:
        """Begin to copy."""
        self._worker = threading.Thread(target=self._live, name="labctl-second-copy", daemon=True)
        self._worker.start()

    def seen(self, row: Row, event: Event, state: State) -> None:
        """Remember what was collected; it is copied once analysis has answered, when its manifest is whole."""
        del row, state
        if isinstance(event, Finished) and event.dataset is not None:
            self._collected[event.step_id, event.attempt] = event.dataset
        elif isinstance(event, HandedOff) and (event.step_id, event.attempt) in self._collected:
            self._in.put(self._collected.pop((event.step_id, event.attempt)))

    def said(self) -> Sequence[Alarmed]:
        """Return what went wrong, once for each trouble, and that it is over."""
        found = []
        while True:
            try:
                found.append(self._news.get_nowait())
            except queue.Empty:
                return found

    def close(self, *, within_s: float = 120.0) -> int:
        """Copy what is left within some time, and return how many datasets have no second copy."""
        self._stop.set()
        self._in.put(None)
        if self._worker is not None:
            self._worker.join(within_s)
            if self._worker.is_alive():
                return len(self._todo) + 1
        self._next_s = float("-inf")
        self._journal_is_behind = True  # the last rows tell how the campaign ended
        self.work()
        return len(self._todo)

    # -------------------------------------------------------------------------------- the worker's side

    def _live(self) -> None:
        while not self._stop.is_set():
            try:
                dataset = self._in.get(timeout=AGAIN_S if self._todo else None)
            except queue.Empty:
                dataset = None
            if dataset is not None:
                self._todo.append(dataset)
            try:
                self.work()
            except Exception as problem:  # noqa: BLE001 - a bug here must not end the campaign, nor go unheard
                self._news.put(Alarmed(station="", what=f"second copy: {type(problem).__name__}: {problem}"))

    def work(self) -> None:
        """Copy whatever waits, until something does not go."""
        while True:
            try:
                dataset = self._in.get_nowait()
            except queue.Empty:
                break
            if dataset is not None:
                self._todo.append(dataset)
        while self._todo and self._monotonic_s() >= self._next_s:
            dataset = self._todo[0]
            problem = self._copy(dataset)
            if problem:
                self._next_s = self._monotonic_s() + AGAIN_S
                self._tell(dataset, problem)
                self._todo.rotate(-1)  # one file that stands in the way does not keep the others from being copied
                return
            self._there.append(self._todo.popleft())
            self._journal_is_behind = True
            if self._failing and not self._todo:
                self._failing = ""
                self._news.put(Alarmed(station="", what=f"second copy in {self._folder}: complete again"))
        if self._journal_is_behind and not self._todo:
            self._copy_journal()

    def _tell(self, dataset: Dataset, problem: str) -> None:
        if problem != self._failing:
            self._failing = problem
            what = f"no second copy of {dataset.step_id}, attempt {dataset.attempt}: {problem}; it is tried again"
            self._news.put(Alarmed(station=dataset.station, what=what, step_id=dataset.step_id))

    def _copy_journal(self) -> None:
        """Bring the copy of the journal up to date, once there is something new to tell."""
        source = self._run_dir / "journal.sqlite"
        if not source.is_file() or not self._root.is_dir():
            return
        self._journal_is_behind = False
        problem = copy_journal(source, self._folder / source.name)
        if problem and problem != self._journal_failing:
            self._news.put(Alarmed(station="", what=f"no second copy of the journal: {problem}"))
        self._journal_failing = problem

    def _copy(self, dataset: Dataset) -> str:
        """Copy one dataset; return what went wrong."""
        if not self._root.is_dir():
            self._todo.extend(self._there)
            self._there.clear()
            return f"the folder {self._root} is not there (is the disk mounted?)"
        try:
            for name in (*_FROZEN, self._manifest(dataset)):
                self._copy_text(name)
            for file in dataset.files:
                target = self._folder / file.path
                if target.exists():
                    if describe_file(self._folder, file.path) != file:
                        return f"{target} is there and is another file; it was not overwritten"
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                aside = target.with_name(target.name + ".tmp")
                shutil.copyfile(self._run_dir / file.path, aside)
                _flush(aside)
                there = describe_file(aside.parent, aside.name)
                if (there.size, there.sha256) != (file.size, file.sha256):
                    aside.unlink()
                    return f"{target} did not arrive as it was acquired"
                aside.replace(target)
        except OSError as problem:
            return f"{problem.filename or self._folder}: {problem.strerror or problem}"
        return ""

    def _manifest(self, dataset: Dataset) -> str:
        return manifest_path(self._run_dir, dataset.step_id, dataset.attempt).relative_to(self._run_dir).as_posix()

    def _copy_text(self, name: str) -> None:
        """Copy a small file that goes with the data, when it is new or has changed."""
        source, target = self._run_dir / name, self._folder / name
        if not source.is_file() or (target.is_file() and target.read_bytes() == source.read_bytes()):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(target.name + ".tmp")
        shutil.copyfile(source, aside)
        aside.replace(target)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
