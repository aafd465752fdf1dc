"""Run a compiled AU program, with a state that is JSON at every pause.

``Machine.run`` goes on until the program sleeps, waits for the console, or ends. Between two runs ``snapshot`` gives
the whole state; ``restore`` with the same program goes on from there as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any, Self

from labctl_sim_topspin._au_compile import Program
from labctl_sim_topspin._au_types import Answer, Host, MachineState, Value


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
    """

    state: MachineState
    wake_s: float | None  # when sleeping: call run() again once host.now_s() has reached it
    waiting_for: str | None  # when blocked: what Answer.wait_for said
    exit_code: int | None  # AUERR at QUIT, once ended

    def __init__(
        self, program: Program, *, name: str, args: Sequence[str], host: Host, undo_log: Path | None = None
    ) -> None:
        raise NotImplementedError

    @property
    def line(self) -> int:
        """The source line the program is at."""
        raise NotImplementedError

    @property
    def globals(self) -> MutableMapping[str, Value]:
        """The AU variables every program has: ``disk user name expno procno`` (and 2, 3), ``AUERR``, ``loopcount1`` ...

        The console reads the program's dataset here, and GETCURDATA writes it here. Text is str. Raises KeyError for
        other names, InputError if a text does not fit the variable.
        """
        raise NotImplementedError

    def run(self, budget: int = 2_000_000) -> None:
        """Go on until the program sleeps, blocks or ends; does nothing while it must still wait.

        Raises InputError naming file and line when the program does what C leaves undefined (overflow of a buffer,
        use of an unset variable ...) or takes more than ``budget`` instructions without ever waiting.
        """
        raise NotImplementedError

    def resume(self, answer: Answer) -> None:
        """Give the answer a blocked program waits for (its ``wait_until_s`` is obeyed); ``run`` then goes on."""
        raise NotImplementedError

    def snapshot(self) -> dict[str, Any]:
        """The whole state as JSON-able data; call between runs. Flushes open files."""
        raise NotImplementedError

    @classmethod
    def restore(cls, program: Program, snapshot: dict[str, Any], host: Host, *, undo_log: Path | None = None) -> Self:
        """A machine that goes on where ``snapshot`` was taken; files open for writing are cut to their size of then.

        Raises InputError if the snapshot belongs to another program text.
        """
        raise NotImplementedError
