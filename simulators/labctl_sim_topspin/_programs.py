"""AU programs at work on the console: compiled once, run in turns, kept across a killed process.

A program that only looks whether something has come for it is *idle*; one that has begun a step is *busy*. Which of
the two is read off the records a program leaves in ``status/`` of the job folder: ``.begun`` and ``.progress`` open a
step, ``.done`` and ``.failed`` close it.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl_sim_topspin._au_code import Program
from labctl_sim_topspin._au_compile import compile_program
from labctl_sim_topspin._au_machine import Machine
from labctl_sim_topspin._au_types import Host
from labctl_sim_topspin._au_undo import UndoLog
from labctl_sim_topspin._parameters import kind_of

STEPS_PER_TURN = 500_000
"""A program that takes more between two pauses is taken to run for ever."""

_RECORD = re.compile(r"(\d+)\.\d+\.(begun|progress|done|failed)")


@dataclass(slots=True, kw_only=True)
class Running:
    """One AU program.

    Attributes
    ----------
    parent : int
        The program that waits for this one's end; 0 if none.
    busy : bool
        A step has begun and not ended.
    begun : int
        Number of the step it began in its last turn, 0 if none.
    ran_s : float
        When its last turn was.
    acted : bool
        It changed temperature or rotor in its last turn: a ramp, whose pace counts.
    awaited : set of str
        Files it looked for in its last turn and did not find.
    mailbox : tuple of str
        Those of them whose coming is news: a renewed lease is none.
    saved : str or None
        Its last snapshot as a line of JSON; None when it has run since.
    """

    number: int
    machine: Machine
    parent: int
    busy: bool = False
    begun: int = 0
    acted: bool = False
    ran_s: float = 0.0
    awaited: set[str] = field(default_factory=set)
    mailbox: tuple[str, ...] = ()
    saved: str | None = None


@functools.lru_cache(maxsize=16)
def _compiled(text: str, file: str) -> Program:
    """Return a program, compiled once per process: a lab is opened many times in a rehearsal of kills."""
    return compile_program(text, file=file, parameter_kind=kind_of)


class Programs:
    """The AU programs of one console."""

    def __init__(self, host: Host, root: Path, job_dir: Path) -> None:
        self._host = host
        self._sources = root / "au"
        self._undo = root / "undo"
        self._status = str(job_dir / "status")
        self._lease = str(job_dir / "lease")
        self._compiled: dict[str, Program] = {}
        self._texts: dict[str, str] = {}
        self._ended: list[int] = []
        self.running: dict[int, Running] = {}
        self.next_number = 1
        self._undo.mkdir(parents=True, exist_ok=True)

    def start(self, source: Path, name: str, args: list[str], *, parent: int = 0) -> Running:
        """Compile a program and put it to work.

        Raises
        ------
        InputError
            It is not there or goes beyond the AU subset.
        """
        program = self._program(source.read_text(encoding="utf-8"), source.name)
        number = self.next_number
        self.next_number += 1
        machine = Machine(program, name=name, args=args, host=self._host, undo_log=self._log(number))
        running = self.running[number] = Running(
            number=number, machine=machine, parent=parent, ran_s=self._host.now_s()
        )
        return running

    def turn(self, running: Running, touched: dict[str, bool]) -> None:
        """Let a program run until it pauses; `touched` collects the paths it names and whether they were there."""
        running.saved = None
        running.machine.run(STEPS_PER_TURN)
        running.ran_s = self._host.now_s()
        self._look_at(running, touched)

    def end(self, number: int) -> None:
        """Forget a program that ended or was killed."""
        running = self.running.pop(number)
        if running.machine.state != "ended":
            running.machine.kill()
        self._ended.append(number)

    def number_of(self, machine: Machine) -> int:
        """Return the number of a program; 0 for a person."""
        return next((running.number for running in self.running.values() if running.machine is machine), 0)

    def _look_at(self, running: Running, touched: dict[str, bool]) -> None:
        """Tell idle from busy: by the records this program wrote itself, not by those it read."""
        new = [path for path, was_there in touched.items() if not was_there]
        written = {path for path in new if os.path.exists(path)}  # noqa: PTH110 - a hundred times per turn
        running.awaited = set(new) - written
        running.mailbox = self._news_in(running.awaited)
        running.begun = 0
        for path in sorted(written):
            folder, name = os.path.split(path)
            record = _RECORD.fullmatch(name)
            if record is not None and folder == self._status:
                running.busy = record[2] in {"begun", "progress"}
                if record[2] == "begun":
                    running.begun = int(record[1])

    def _news_in(self, awaited: Iterable[str]) -> tuple[str, ...]:
        return tuple(path for path in awaited if os.path.dirname(path) != self._lease)  # noqa: PTH120 - at every turn

    def _program(self, text: str, file: str) -> Program:
        known = self._compiled.get(text)
        if known is None:
            known = self._compiled[text] = _compiled(text, file)
            self._texts[known.source_sha256] = text
        return known

    def _log(self, number: int) -> Path:
        return self._undo / f"{number}.jsonl"

    # ---------------------------------------------------------------------------------------- state

    def lines(self) -> list[str]:
        """Return one line of JSON per program for the console's state; new ones only for those that ran."""
        found = []
        for running in self.running.values():
            if running.saved is None:
                running.saved = json.dumps(self._snapshot(running), separators=(",", ":"))
            found.append(running.saved)
        return found

    def _snapshot(self, running: Running) -> dict[str, Any]:
        program = running.machine.program
        copy = self._sources / f"{program.source_sha256}.c"
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            unfinished = copy.with_name(f"{copy.name}.part")  # a copy that a death cut short would be believed for ever
            unfinished.write_text(self._texts[program.source_sha256], encoding="utf-8")
            unfinished.replace(copy)
        return {
            "number": running.number,
            "parent": running.parent,
            "busy": running.busy,
            "acted": running.acted,
            "ran_s": running.ran_s,
            "awaited": sorted(running.awaited),
            "file": program.file,
            "source": copy.name,
            "machine": running.machine.snapshot(),
        }

    def saved(self) -> None:
        """Clean up after programs that ended: the state that no longer holds them is on disk."""
        for number in self._ended:
            self._log(number).unlink(missing_ok=True)
        self._ended.clear()

    def take_up(self, next_number: int, lines: list[str]) -> None:
        """Go on from what `lines` said; what programs did to files after it was saved is taken back."""
        self.next_number = next_number
        items = [json.loads(line) for line in lines]
        numbers = {item["number"] for item in items}
        for log in self._undo.glob("*.jsonl"):
            number = int(log.stem)
            if number not in numbers:
                if number >= self.next_number:  # started after the save
                    UndoLog(log).back_to(0, self._host.path)
                log.unlink()
        for item in items:
            text = (self._sources / item["source"]).read_text(encoding="utf-8")
            program = self._program(text, item["file"])
            machine = Machine.restore(program, item["machine"], self._host, undo_log=self._log(item["number"]))
            self.running[item["number"]] = Running(
                number=item["number"],
                machine=machine,
                parent=item["parent"],
                busy=item["busy"],
                acted=item["acted"],
                ran_s=item["ran_s"],
                awaited=set(item["awaited"]),
                mailbox=self._news_in(item["awaited"]),
            )
