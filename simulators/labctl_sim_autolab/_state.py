"""State on disk: one file, ``state.<serial>.json``, whose last line is ``end``; a killed process leaves a whole one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labctl.errors import InputError

_VERSION = 1


class StateFile:
    """The newest whole state of a folder, and the place for the next."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._serial = 0

    def load(self) -> dict[str, Any] | None:
        """Return the newest whole state, None if there is none.

        Raises
        ------
        InputError
            It was written by another version.
        """
        numbers = (path.name.split(".")[1] for path in self._folder.glob("state.*.json"))
        for serial in sorted((int(number) for number in numbers if number.isdigit()), reverse=True):
            path = self._path(serial)
            lines = path.read_text(encoding="utf-8").split("\n")
            if lines[1:2] != ["end"]:
                continue  # cut short by a kill
            state: dict[str, Any] = json.loads(lines[0])
            if state.pop("version", None) != _VERSION:
                raise InputError(
                    f"{path} was written by another version of the simulator", next_step="Choose a new folder"
                )
            self._serial = serial
            return state
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Write a state; the one before goes when the new one is whole."""
        text = json.dumps({"version": _VERSION, **state}, separators=(",", ":"))
        self._path(self._serial + 1).write_bytes(f"{text}\nend\n".encode())
        self._path(self._serial).unlink(missing_ok=True)
        self._serial += 1

    def _path(self, serial: int) -> Path:
        return self._folder / f"state.{serial}.json"
