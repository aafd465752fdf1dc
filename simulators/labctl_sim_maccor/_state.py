"""The file that holds a tester between two processes: ``state.<serial>.json``, whose last line is ``end``.

A new one is written whole before the one before goes, so that a killed process leaves a state to take up.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labctl.errors import InputError

_VERSION = 1


def write_state(root: Path, serial: int, state: dict[str, Any]) -> None:
    """Write state number `serial` and drop the one before."""
    text = json.dumps({"version": _VERSION, **state}, separators=(",", ":"))
    (root / f"state.{serial}.json").write_bytes(f"{text}\nend\n".encode())
    (root / f"state.{serial - 1}.json").unlink(missing_ok=True)


def last_state(root: Path) -> tuple[int, dict[str, Any] | None]:
    """Return the newest whole state and its number; 0 and None where there is none.

    Raises
    ------
    InputError
        It was written by another version of the simulator.
    """
    numbered = [
        (int(path.name.split(".")[1]), path)
        for path in (root.glob("state.*.json") if root.is_dir() else ())
        if path.name.split(".")[1].isdigit()
    ]
    for serial, path in sorted(numbered, reverse=True):
        lines = path.read_text(encoding="utf-8").split("\n")
        if lines[1:2] != ["end"]:
            continue  # cut short by a kill
        state: dict[str, Any] = json.loads(lines[0])
        if state["version"] != _VERSION:
            raise InputError(f"{path} was written by another version of the simulator", next_step="Choose a new folder")
        return serial, state
    return 0, None
