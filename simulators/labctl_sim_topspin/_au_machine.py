"""Run a compiled AU program, with a state that is JSON at every pause.

``Machine.run`` goes on until the program sleeps, waits for the console, or ends. Between two runs ``snapshot`` gives
the whole state; ``restore`` with the same program goes on from there as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from labctl.errors import Finding, InputError, InternalError
from labctl_sim_topspin._au_code import Call, FormatCall, Function, HostCall, Out, Program, Return, Sleep
from labctl_sim_topspin._au_macros import PROGRAM
from labctl_sim_topspin._au_memory import Known, address_book, cells_from, cells_to
from labctl_sim_topspin._au_stdio import Files
from labctl_sim_topspin._au_table import AU_INTS, AU_TEXTS
from labctl_sim_topspin._au_types import Answer, Host, MachineState, Value
from labctl_sim_topspin._au_undo import UndoLog
from labctl_sim_topspin._au_values import INT_MAX, INT_MIN, Cells, CType, Fault, put_text, single, text_at

_MAX_FRAMES = 256
_VERSION = 1


@dataclass(slots=True)
class _Frame:
    function: Function
    cells: Cells
    at: int = 0


class Machine:
    """One AU program at work on one console.

    Parameters
    ----------
    program : Program
        From ``compile_program``; may serve any number of machines.
    name : str
        What ``i_argv[0]`` holds.
    args : sequence of str
        The user's arguments, ``i_argv[2]`` onwards (``i_argv[1]`` is the word ``exec``).
    host : Host
        The console.
    undo_log : Path or None
        Where file operations since the last two snapshots are noted, so that ``restore`` can take back what a killed
        process had already done to files after the snapshot was taken.

    Attributes
    ----------
    state : {"ready", "sleeping", "blocked", "ended"}
    wake_s : float or None
        When sleeping: call ``run`` again once ``host.now_s()`` has reached it.
    waiting_for : str or None
        When blocked: what ``Answer.wait_for`` said.
    exit_code : int or None
        AUERR at QUIT, once ended.
    steps : int
        Steps taken since the program began.
    """

    def __init__(
        self, program: Program, *, name: str, args: Sequence[str], host: Host, undo_log: Path | None = None
    ) -> None:
        self.program = program
        self.name = name
        self.args = tuple(args)
        self.host = host
        self.state: MachineState = "ready"
        self.wake_s: float | None = None
        self.waiting_for: str | None = None
        self.exit_code: int | None = None
        self.steps = 0
        self._undo = UndoLog(undo_log)
        self._files = Files(host, self._undo)
        self._answer: Answer | None = None
        self._known: Known = {}
        self._numbers = {cell.name: number for number, cell in enumerate(program.globals)}
        self._g: Cells = program.initial()
        self._g[0] = self._files
        self._frames = [_new_frame(program.functions[PROGRAM], ())]
        self._set_arguments()

    def _set_arguments(self) -> None:
        words = [self.name, "exec", *self.args]
        self._g[self._numbers["i_argc"]] = len(words)
        self._g[self._numbers["i_argv"]] = [self._text(word) for word in words]
        self.globals["cmd"] = " ".join(self.args)

    def _text(self, text: str) -> tuple[bytes, int]:
        data = text.encode("latin-1")
        return self.program.literals.get(data, data + b"\0"), 0

    @property
    def line(self) -> int:
        """The source line the program is at."""
        if not self._frames:
            return 0
        frame = self._frames[-1]
        return frame.function.lines[frame.at]

    @property
    def globals(self) -> MutableMapping[str, Value]:
        """The AU variables every program has: ``disk user name expno procno`` (and 2, 3), ``AUERR``, ``loopcount1`` ...

        The console reads the program's dataset here, and GETCURDATA writes it here. Text is str. Raises KeyError for
        other names, InputError if a text does not fit the variable.
        """
        return _Globals(self._g, self._numbers, self.program.file)

    @property
    def in_command(self) -> bool:
        """Whether it sleeps because a command has not returned yet, not by a ``sleep()`` of its own."""
        if self.state != "sleeping" or not self._frames:
            return False
        frame = self._frames[-1]
        return isinstance(frame.function.operations.get(frame.at), HostCall)

    # running

    def run(self, budget: int = 2_000_000) -> None:
        """Go on until the program sleeps, blocks or ends; does nothing while it must still wait.

        Raises InputError naming file and line when the program does what C leaves undefined (overflow of a buffer,
        use of an unset variable ...) or takes more than ``budget`` steps without ever waiting. It has ended then.
        """
        if self.state == "sleeping" and (self.wake_s is None or self.host.now_s() >= self.wake_s):
            self.state, self.wake_s = "ready", None
            with self._faults():
                self._deliver()
        if self.state == "ready":
            with self._faults():
                self._go(budget)

    def resume(self, answer: Answer) -> None:
        """Give the answer a blocked program waits for (its ``wait_until_s`` is obeyed); ``run`` then goes on."""
        if self.state != "blocked":
            raise InternalError(f"{self.name} is {self.state}: it waits for no answer")
        self.state, self.waiting_for = "ready", None
        with self._faults():
            self._receive(answer)

    def kill(self) -> None:
        """End the program where it is, as `kill` does on a console: text it had not flushed is lost."""
        self._files.abandon()
        self.state, self.wake_s, self.waiting_for, self._answer = "ended", None, None, None

    def _go(self, budget: int) -> None:
        taken = 0
        while self.state == "ready":
            if taken >= budget:
                raise Fault(f"{budget} steps without a pause", expected="a sleep() in every loop that waits")
            frame = self._frames[-1]
            code, f, g, at, before, after = frame.function.code, frame.cells, self._g, frame.at, taken, 0
            try:
                for taken in range(before + 1, budget + 1):  # noqa: B007 - counted after the loop
                    after = code[at](f, g)
                    if after < 0:
                        break
                    at = after
            finally:
                frame.at = at
                self.steps += taken - before
            if after < 0:
                self._operate(frame)

    def _operate(self, frame: _Frame) -> None:
        operation = frame.function.operations[frame.at]
        f, g = frame.cells, self._g
        match operation:
            case Call():
                if len(self._frames) >= _MAX_FRAMES:
                    raise Fault("functions call each other without end", value=operation.function)
                arguments = [ev(f, g) for ev in operation.arguments]
                self._frames.append(_new_frame(self.program.functions[operation.function], arguments))
            case Return():
                self._return(None if operation.value is None else operation.value(f, g))
            case HostCall():
                arguments = [self._argument(ctype, ev(f, g)) for ctype, ev in operation.arguments]
                if not operation.checked:
                    self._check_parameter(operation, arguments)
                self._receive(self.host.call(self, operation.name, tuple(arguments)))
            case FormatCall():
                text = operation.text(f, g).decode("latin-1")
                self._receive(self.host.call(self, "Proc_err", (operation.option(f, g), text)))
            case Sleep():
                seconds = operation.seconds(f, g)
                if seconds < 0:
                    raise Fault("sleep of a negative time: in C a huge one", value=str(seconds))
                self._receive(Answer(wait_until_s=self.host.now_s() + seconds))

    def _return(self, value: Any) -> None:
        ended = self._frames.pop()
        if not self._frames:
            self._files.close_all()
            self.state, self.exit_code = "ended", int(value)
            return
        caller = self._frames[-1]
        call = caller.function.operations[caller.at]
        assert isinstance(call, Call)
        if call.into is not None:
            if value is None:
                raise Fault(f"{ended.function.name}() ended without a value, and the value is used")
            caller.cells[call.into] = value
        caller.at = call.after

    # the console's answers

    def _argument(self, ctype: CType, value: Any) -> Value:
        if ctype.kind == "pointer":
            return text_at(value).decode("latin-1")
        result: Value = value
        return result

    def _check_parameter(self, call: HostCall, arguments: list[Value]) -> None:
        """What the compiler could not see: a parameter whose name the program works out."""
        *_, name, given = arguments
        kind = self.host.parameter_kind(str(name))
        if call.name.startswith("FETCHPAR"):
            fits = given == kind
            shown = f"a {given} variable"
        else:
            fits = kind in {float: ("double", "float"), int: ("int",), str: ("text",)}[type(given)]
            shown = repr(given)
        if kind is None:
            raise Fault(f"{call.name}: TopSpin has no parameter {name!r}")
        if not fits:
            raise Fault(f"{call.name}: parameter {name!r} is {kind}", value=shown, expected=kind)

    def _receive(self, answer: Answer) -> None:
        if answer.wait_for is not None:
            self.state, self.waiting_for = "blocked", answer.wait_for
            return
        self._answer = answer
        if answer.wait_until_s is not None and answer.wait_until_s > self.host.now_s():
            self.state, self.wake_s = "sleeping", answer.wait_until_s
            return
        self._deliver()

    def _deliver(self) -> None:
        answer, self._answer = self._answer, None
        assert answer is not None
        frame = self._frames[-1]
        operation = frame.function.operations[frame.at]
        assert isinstance(operation, HostCall | FormatCall | Sleep)
        if isinstance(operation, HostCall):
            self._deliver_outs(operation, frame, answer)
        if operation.into is not None:
            value = answer.value
            frame.cells[operation.into] = self._text(value) if isinstance(value, str) else value
        frame.at = operation.after

    def _deliver_outs(self, call: HostCall, frame: _Frame, answer: Answer) -> None:
        failed = not isinstance(answer.value, str) and answer.value < 0
        if call.sets_auerr == "always" or (call.sets_auerr == "on failure" and failed):
            self._g[self._numbers["AUERR"]] = int(answer.value)
        if not failed and answer.outs and len(answer.outs) != len(call.outs):
            raise InternalError(f"{call.name}: the console answers {len(answer.outs)} values for {len(call.outs)}")
        values: tuple[Value | None, ...] = answer.outs if answer.outs and not failed else (None,) * len(call.outs)
        for out, value in zip(call.outs, values, strict=True):
            if out.ctype.kind == "pointer":
                out.store(frame.cells, self._g, 0 if value is None else self._text(str(value)))
            elif value is not None:
                out.store(frame.cells, self._g, _as_cell(call, out, value))
            elif not failed:
                raise InternalError(f"{call.name}: the console answers no value")

    # faults

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except Fault as fault:
            finding = Finding(
                file=self.program.file,
                line=self.line,
                column=1,
                what=fault.what,
                value=fault.value,
                expected=fault.expected,
            )
            self.kill()
            raise InputError(findings=(finding,)) from None
        finally:
            self._files.park()

    # state

    def snapshot(self) -> dict[str, Any]:
        """The whole state as JSON-able data; call between runs. Changes nothing but the undo log."""
        memory = [[None, *self._g[1:]], *(frame.cells for frame in self._frames)]
        book = address_book(memory)
        return {
            "version": _VERSION,
            "program": self.program.source_sha256,
            "name": self.name,
            "args": list(self.args),
            "state": self.state,
            "wake_s": self.wake_s,
            "waiting_for": self.waiting_for,
            "exit_code": self.exit_code,
            "steps": self.steps,
            "answer": None if self._answer is None else {"value": self._answer.value, "outs": list(self._answer.outs)},
            "globals": cells_to(memory[0], self.program.globals, book, self._known),
            "frames": [
                {
                    "function": frame.function.name,
                    "at": frame.at,
                    "cells": cells_to(frame.cells, frame.function.cells, book, self._known),
                }
                for frame in self._frames
            ],
            "files": self._files.snapshot(),
            "changes": self._undo.at_snapshot(),
        }

    @classmethod
    def restore(cls, program: Program, snapshot: dict[str, Any], host: Host, *, undo_log: Path | None = None) -> Self:
        """A machine that goes on where ``snapshot`` was taken; files open for writing are cut to their size of then.

        Raises InputError if the snapshot belongs to another program text or another version of the simulator.
        """
        if snapshot.get("version") != _VERSION or snapshot.get("program") != program.source_sha256:
            raise InputError(
                f"{program.file}: the saved state belongs to another text of this program",
                next_step="Put the old text back, or kill the program and start it again.",
            )
        machine = cls(program, name=snapshot["name"], args=snapshot["args"], host=host, undo_log=undo_log)
        memory = cells_from([snapshot["globals"], *(frame["cells"] for frame in snapshot["frames"])], program.literals)
        machine._g = memory[0]
        machine._g[0] = machine._files
        machine._frames = [
            _Frame(program.functions[frame["function"]], cells, frame["at"])
            for frame, cells in zip(snapshot["frames"], memory[1:], strict=True)
        ]
        machine.state, machine.wake_s = snapshot["state"], snapshot["wake_s"]
        machine.waiting_for, machine.exit_code = snapshot["waiting_for"], snapshot["exit_code"]
        machine.steps = snapshot["steps"]
        if snapshot["answer"] is not None:
            machine._answer = Answer(value=snapshot["answer"]["value"], outs=tuple(snapshot["answer"]["outs"]))
        machine._undo.back_to(snapshot["changes"], host.path)
        machine._files.restore(snapshot["files"])
        return machine


def _new_frame(function: Function, arguments: Sequence[Any]) -> _Frame:
    return _Frame(function, [*arguments, *[None] * (len(function.cells) - len(arguments))])


def _as_cell(call: HostCall, out: Out, value: Value) -> Any:
    """A value of the console as the C type of the variable that takes it."""
    match out.ctype.kind:
        case "int" if isinstance(value, int) and INT_MIN <= value <= INT_MAX:
            return int(value)
        case "double" if isinstance(value, int | float):
            return float(value)
        case "float" if isinstance(value, int | float):
            return single(float(value))
        case "array" if isinstance(value, str):
            return value.encode("latin-1")
    raise InternalError(f"{call.name}: the console answers {value!r} for a variable of type {out.ctype}")


class _Globals(MutableMapping[str, Value]):
    """The program's AU variables, seen from the console."""

    def __init__(self, cells: Cells, numbers: dict[str, int], file: str) -> None:
        self._cells = cells
        self._numbers = numbers
        self._file = file

    def __getitem__(self, name: str) -> Value:
        if name in AU_TEXTS:
            return text_at((self._cells[self._numbers[name]], 0)).decode("latin-1")
        if name in AU_INTS:
            value: int = self._cells[self._numbers[name]]
            return value
        raise KeyError(name)

    def __setitem__(self, name: str, value: Value) -> None:
        if name in AU_TEXTS and isinstance(value, str):
            try:
                put_text((self._cells[self._numbers[name]], 0), value.encode("latin-1"))
            except Fault as fault:
                raise InputError(
                    f"{self._file}: {name}: {fault.what}, got {value!r}", expected=fault.expected
                ) from None
        elif name in AU_INTS and isinstance(value, int):
            self._cells[self._numbers[name]] = int(value)
        else:
            raise KeyError(name)

    def __delitem__(self, name: str) -> NoReturn:
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((*AU_INTS, *AU_TEXTS))

    def __len__(self) -> int:
        return len(AU_INTS) + len(AU_TEXTS)
