"""A process that has run nothing: tests that fork and kill are run in children of it.

Threads do not survive a fork, their locks do. A child of a test process that has once used polars or matplotlib may
therefore wait for ever; what is forked must come from a process that has used neither.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import multiprocessing
import os
import tempfile
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def run(module: str, name: str, arguments: dict[str, Any]) -> str:
    """Run a test function in a child of the pristine process; return its traceback, empty if it passed."""
    line = _line()
    line.send((module, name, arguments))
    said: str = line.recv()
    return said


@functools.cache
def _line() -> Connection:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(there,))
    process.start()
    there.close()

    def end() -> None:
        here.send(None)
        process.join()

    atexit.register(end)
    return here


def _serve(line: Connection) -> None:
    """Answer until told to end. `undisturbed` is made once, here, because the children fork from here."""
    undisturbed = None
    with tempfile.TemporaryDirectory() as folder:
        while (asked := _asked(line)) is not None:
            module, name, arguments = asked
            if "undisturbed" in arguments:
                if undisturbed is None:
                    from tests.whole.three_stations import unkilled

                    undisturbed = unkilled(Path(folder) / "campaign")
                arguments["undisturbed"] = undisturbed
            line.send(_in_a_child(module, name, arguments, Path(folder) / "traceback.txt"))


def _asked(line: Connection) -> Any:
    try:
        return line.recv()
    except EOFError:  # whoever asked is gone
        return None


def _in_a_child(module: str, name: str, arguments: dict[str, Any], said: Path) -> str:
    said.write_text("", encoding="utf-8")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            getattr(importlib.import_module(module), name)(**arguments)
            code = 0
        except BaseException:  # noqa: BLE001 - told to whoever asked
            said.write_text(traceback.format_exc(), encoding="utf-8")
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said.read_text(encoding="utf-8") or (f"it ended with {code}" if code else "")
