"""A second process beside the engine of a long rehearsal, for what is not the engine: analysis, figures, report.

Theory of operation
-------------------
In virtual time nobody waits for a spectrometer, so that half of a rehearsal is analysis. A thread would not help: both
halves are Python. So datasets whose verdicts decide nothing are judged by another interpreter, which works out ahead,
while it has nothing to judge, what the results will need of data that are complete, draws it, and at the end makes the
report with what it remembers.

The other process gets names of files and answers verdicts, one line of JSON each, over its standard input and output.
It writes nothing but what `labctl report` makes again at any time, holds nothing that is not on disk, and ends with
the engine's. Where it dies, or there is one core only, everything is done here instead, with the same results; verdicts
come in at the same moments of virtual time wherever they were worked out (`labctl.run.handoff`).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from labctl.dataset.model import Verdict

if TYPE_CHECKING:
    from labctl.analysis.results import Results

SWITCH = "LABCTL_SECOND_PROCESS"
"""Variable of the environment: ``never`` keeps everything in one process."""
_FAREWELL_S = 10.0
_VERDICT: TypeAdapter[Verdict] = TypeAdapter(Verdict)


class Lost(Exception):
    """The other process cannot be asked, or could not answer: do it here."""


class SecondProcess:
    """The engine's end of it. Nothing here raises but `Lost`."""

    def __init__(self, run_dir: Path) -> None:
        self._owed: deque[int] = deque()
        self._verdicts: dict[int, Mapping[str, Any]] = {}
        self._asked = 0
        self._process: subprocess.Popen[str] | None = None
        if os.environ.get(SWITCH) == "never" or (os.cpu_count() or 1) < 2:
            return
        # -P and a path told: the same labctl as here, and nothing from the folder somebody happens to stand in
        told = {"PYTHONPATH": os.pathsep.join(one for one in sys.path if one), "PYTHONIOENCODING": "utf-8"}
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter and our own words
                [sys.executable, "-P", "-c", "from labctl.cli.second_process import serve; serve()", str(run_dir)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **told},
                encoding="utf-8",
            )

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self._process is not None

    def judge(self, manifest: Path, protocol: Path) -> Callable[[], Verdict]:
        """Have a dataset judged by a protocol; what comes back waits for the verdict.

        Raises
        ------
        Lost
            It cannot be asked; or, from what comes back, there will be no answer.
        """
        self._asked += 1
        mine = self._asked
        self._tell({"do": "judge", "manifest": str(manifest), "protocol": str(protocol)})
        self._owed.append(mine)

        def answer() -> Verdict:
            while mine not in self._verdicts:
                self._hear()
            found = self._verdicts.pop(mine)
            if "verdict" not in found:
                raise Lost
            return _VERDICT.validate_python(found["verdict"])

        return answer

    def look_ahead(self, protocol: Path, done: Collection[str]) -> None:
        """Let it work out, while it has nothing else to do, what follows from data that are complete."""
        with suppress(Lost):
            self._tell({"do": "ahead", "protocol": str(protocol), "done": sorted(done)})

    def finish(self, run_dir: Path) -> Results:
        """Have results, figures and report made, and return the results.

        Raises
        ------
        Lost
            They were not.
        """
        from labctl.analysis.results import Results

        self._tell({"do": "finish"})
        self._owed.append(0)
        while 0 not in self._verdicts:
            self._hear()
        if "finished" not in self._verdicts.pop(0):
            raise Lost
        return Results.model_validate_json((run_dir / "results.json").read_text(encoding="utf-8"))

    def close(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _tell(self, what: Mapping[str, Any]) -> None:
        if self._process is None:
            raise Lost
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            self._lost()

    def _hear(self) -> None:
        """Wait for the next answer; they come in the order asked."""
        if self._process is None:
            raise Lost
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        try:
            found = json.loads(line)
        except ValueError:  # nothing, or the beginning of a line
            self._lost()
        self._verdicts[self._owed.popleft()] = found

    def _lost(self) -> None:
        process = self._process
        self.close()
        code = "" if process is None else f" (exit code {process.returncode})"
        print(
            f"the second process, which analyses beside the engine, has died{code}: its work is done in this one "
            "instead, which takes longer. Nothing is lost, and the results are the same",
            file=sys.stderr,
        )
        raise Lost


# ------------------------------------------------------------------------------------------------ the other process


def serve() -> None:
    """Be the other process: the run folder is the argument; ends with its standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to hear
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever else is printed is for people
    asked: queue.Queue[Mapping[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    desk = _Desk(Path(sys.argv[1]))
    while True:
        request = _next(asked, desk.ahead)
        if request["do"] == "ahead":
            desk.take_up(Path(request["protocol"]), request["done"])
            continue
        try:
            found = desk.finish() if request["do"] == "finish" else desk.judge(request)
        except Exception as problem:  # noqa: BLE001 - the engine's process does it again, and tells what is wrong
            found = {"failed": f"{type(problem).__name__}: {problem}"}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _listen(asked: queue.Queue[Mapping[str, Any]]) -> None:
    with suppress(OSError, ValueError):
        for line in sys.stdin:
            asked.put(json.loads(line))
    os._exit(0)  # the engine's process is gone, and nobody reads what this one would still work out


def _next(asked: queue.Queue[Mapping[str, Any]], ahead: Iterator[None]) -> Mapping[str, Any]:
    """Return the next request; while there is none, work ahead piece by piece."""
    while True:
        try:
            return asked.get_nowait()
        except queue.Empty:
            if next(ahead, 0) == 0:
                return asked.get()


class _Desk:
    """What the other process knows."""

    def __init__(self, run_dir: Path) -> None:
        from labctl.analysis.memory import Memory
        from labctl.cli.judging import Judging
        from labctl.cli.planning import checked

        self._run_dir = run_dir
        self._memory = Memory()
        first = run_dir / "protocol.yaml"
        self._judging = Judging(run_dir, checked(first, run_dir / "lab.yaml").plan, first, rehearsal=True)
        self.ahead: Iterator[None] = iter(())
        import labctl.analysis.judge  # now, while nobody waits for it
        import labctl.report.drawing  # noqa: F401

    def judge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        from labctl.dataset.store import read_manifest

        self._judging.follow_protocol(Path(request["protocol"]))
        manifest = Path(request["manifest"])
        verdict = self._judging(manifest, read_manifest(manifest))
        return {"verdict": _VERDICT.dump_python(verdict, mode="json")}

    def take_up(self, protocol: Path, done: Collection[str]) -> None:
        """Look ahead by this protocol from now on."""
        self._judging.follow_protocol(protocol)
        self.ahead = self._quietly(frozenset(done))

    def _quietly(self, done: frozenset[str]) -> Iterator[None]:
        from labctl.cli.finishing import look_ahead

        with suppress(Exception):  # whatever it is, whoever makes the report will meet it and tell
            yield from look_ahead(self._run_dir, self._judging.plan, done, self._memory)

    def finish(self) -> dict[str, Any]:
        from labctl.cli.finishing import finish

        self.ahead = iter(())
        finish(self._run_dir, self._memory)
        return {"finished": True}
