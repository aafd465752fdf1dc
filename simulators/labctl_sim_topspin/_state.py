"""The file that holds a lab between two processes: ``state.<serial>.json``, whole lines, the last of them ``end``.

Each save is a new file; only once it is whole does the one before go. (Replacing a file in place makes some file
systems write everything out at once, which costs more than all the rest of a save.)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labctl.errors import InputError

_VERSION = 1


def write_state(root: Path, serial: int, state: dict[str, Any], programs: list[str]) -> None:
    """Write state number `serial`; one line of JSON for the console, one for each of its AU programs."""
    lines = [json.dumps({"version": _VERSION, **state}, separators=(",", ":")), *programs, "end", ""]
    (root / f"state.{serial}.json").write_bytes("\n".join(lines).encode("utf-8"))
    (root / f"state.{serial - 1}.json").unlink(missing_ok=True)


def read_state(root: Path) -> tuple[dict[str, Any], list[str]] | None:
    """Return the last whole state and the lines of its programs; None where there is no lab yet.

    Raises
    ------
    InputError
        What stands there is no state of a console, or one of another version of the simulator.
    """
    whole: tuple[int, list[str]] = (0, [])
    found = sorted(root.glob("state.*.json"))
    for path in found:
        serial = path.name.split(".")[1]
        lines = path.read_text(encoding="utf-8").split("\n")
        if lines[-2:] == ["end", ""] and serial.isdigit() and int(serial) > whole[0]:
            whole = (int(serial), lines[:-2])
    if not found or (not whole[1] and [path.name for path in found] == ["state.1.json"] and _is_cut_short(found[0])):
        return None
    if not whole[1]:
        raise InputError(
            f"{found[-1]} is not the state of a simulated console", next_step="Choose another folder for the run"
        )
    state: dict[str, Any] = json.loads(whole[1][0])
    if state.get("version") != _VERSION:
        raise InputError(f"{root} was written by another version of the simulator")
    return state, whole[1][1:]


def _is_cut_short(path: Path) -> bool:
    """Whether this may be the beginning of a state: killed while its first one was written, a lab is not there yet."""
    head = '{"version":'
    return head.startswith(path.read_text(encoding="utf-8")[: len(head)])


def time_of_lab(root: Path) -> float | None:
    """Return the time at which a lab was saved last; None where there is none."""
    found = read_state(root)
    return None if found is None else float(found[0]["now_s"])
