"""Whose hands a sweep is in: the engine's own, step by step, or a thread that may block.

The SDK's calls block and its objects belong to one thread. On a clock that runs by itself everything that touches the
SDK is done by one worker thread that the driver owns; on a virtual clock it is done inline, a step at each look, so
that a rehearsal is the same every time.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from labctl.clock import Clock
from labctl.errors import InstrumentError, Superseded

Program = Iterator[float]
Ended = Callable[[BaseException | None], None]
_PATIENCE_S = 120.0


class Hands(Protocol):
    """Carries out jobs and one program at a time."""

    def call(self, job: Callable[[], None]) -> None:
        """Do a job now and return when it is done; its errors are the caller's."""
        ...

    def post(self, job: Callable[[], None]) -> None:
        """Do a job as soon as may be; errors are dropped, ask afterwards."""
        ...

    def start(self, program: Program, ended: Ended) -> None:
        """Run a program; `ended` is told of its error, None if there was none."""
        ...

    def abort(self) -> None:
        """Close the running program at its next step."""
        ...

    def step(self) -> None:
        """Let a program that is run inline come as far as the clock has."""
        ...

    def due_in_s(self) -> float | None:
        """In how many seconds a step is due that nobody else will make; None if none is."""
        ...

    def idle(self) -> bool:
        """Whether nothing is to be done."""
        ...

    def close(self) -> None:
        """Abort, and let go."""
        ...


class InlineHands:
    """Everything is done by whoever asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._program: Program | None = None
        self._ended: Ended | None = None
        self._due_s = 0.0

    def call(self, job: Callable[[], None]) -> None:
        job()

    def post(self, job: Callable[[], None]) -> None:
        try:
            job()
        except (InstrumentError, Superseded):
            return

    def start(self, program: Program, ended: Ended) -> None:
        self.abort()
        self._program, self._ended, self._due_s = program, ended, self._clock.monotonic_s()
        self.step()

    def abort(self) -> None:
        if self._program is not None:
            self._finish(_closed(self._program))

    def step(self) -> None:
        while self._program is not None and self._clock.monotonic_s() >= self._due_s:
            try:
                self._due_s = next(self._program)
            except StopIteration:
                self._finish(None)
            except Exception as problem:  # noqa: BLE001 - told to whoever watches
                self._finish(problem)

    def _finish(self, problem: BaseException | None) -> None:
        ended, self._program, self._ended = self._ended, None, None
        if ended is not None:
            ended(problem)

    def due_in_s(self) -> float | None:
        return None if self._program is None else max(0.0, self._due_s - self._clock.monotonic_s())

    def idle(self) -> bool:
        return self._program is None

    def close(self) -> None:
        self.abort()


def _closed(program: Program) -> BaseException | None:
    """Close a program and return what its closing raised, or that it was closed."""
    close = getattr(program, "close", None)
    try:
        if close is not None:
            close()
    except Exception as problem:  # noqa: BLE001 - told to whoever watches
        return problem
    return GeneratorExit()


class WorkerHands:
    """One thread does everything, in order; a program goes on between jobs."""

    def __init__(self, clock: Clock, name: str) -> None:
        self._clock = clock
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._program: Program | None = None
        self._ended: Ended | None = None
        self._due_s = 0.0
        self._abort = threading.Event()
        self._busy = threading.Lock()
        self._pending = 0
        self._thread = threading.Thread(target=self._work, name=f"autolab {name}", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------- from any thread

    def call(self, job: Callable[[], None]) -> None:
        done = threading.Event()
        caught: list[BaseException] = []

        def carried_out() -> None:
            try:
                job()
            except BaseException as problem:  # noqa: BLE001 - handed to the caller
                caught.append(problem)
            finally:
                done.set()

        self._submit(carried_out)
        if not done.wait(_PATIENCE_S):
            raise InstrumentError(f"a call of the SDK has not returned for {_PATIENCE_S:g} s", instrument="autolab")
        if caught:
            raise caught[0]

    def post(self, job: Callable[[], None]) -> None:
        def carried_out() -> None:
            try:
                job()
            except (InstrumentError, Superseded):
                return

        self._submit(carried_out)

    def start(self, program: Program, ended: Ended) -> None:
        self._abort.clear()

        def begin() -> None:
            self._drop_program()
            self._program, self._ended, self._due_s = program, ended, self._clock.monotonic_s()

        self._submit(begin)

    def abort(self) -> None:
        self._abort.set()
        self._clock.wake()

    def step(self) -> None:
        """Nothing: the thread goes on by itself."""

    def due_in_s(self) -> float | None:
        return None

    def idle(self) -> bool:
        with self._busy:
            return self._pending == 0 and self._program is None

    def close(self) -> None:
        self.abort()
        self._jobs.put(None)
        self._clock.wake()
        self._thread.join(_PATIENCE_S)

    def _submit(self, job: Callable[[], None]) -> None:
        with self._busy:
            self._pending += 1
        self._jobs.put(job)
        self._clock.wake()

    # ------------------------------------------------------------------------------- the worker's own

    def _work(self) -> None:
        while True:
            job = self._next_job()
            if job is None:
                self._drop_program()
                return
            try:
                job()
            finally:
                with self._busy:
                    self._pending -= 1

    def _next_job(self) -> Callable[[], None] | None:
        """Return the next job; meanwhile the program goes on."""
        while self._program is not None:
            if self._abort.is_set():
                self._drop_program()
                break
            try:
                return self._jobs.get_nowait()
            except queue.Empty:
                pass
            if self._clock.monotonic_s() < self._due_s:
                self._clock.wait_until(self._due_s)
                continue
            self._advance()
        return self._jobs.get()

    def _advance(self) -> None:
        assert self._program is not None
        try:
            self._due_s = next(self._program)
        except StopIteration:
            self._finish(None)
        except Exception as problem:  # noqa: BLE001 - told to whoever watches
            self._finish(problem)

    def _drop_program(self) -> None:
        if self._program is not None:
            self._finish(_closed(self._program))

    def _finish(self, problem: BaseException | None) -> None:
        ended = self._ended
        if ended is not None:
            ended(problem)
        self._program, self._ended = None, None
