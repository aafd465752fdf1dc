"""One engine per station: a lock of the operating system and an epoch that rises with every engine.

Both live in a state folder of this computer's user, not in the run folder: two campaigns in two folders still
share one spectrometer.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from labctl.errors import InputError, SafetyRefusal, Superseded


def default_state_dir() -> Path:
    """Return the folder below which stations keep lock, epoch and (simulated) state, for this user."""
    if told := os.environ.get("LABCTL_STATE_DIR"):
        return Path(told)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "labctl" / "stations"
    return Path(os.environ.get("XDG_STATE_HOME", Path.home() / ".local" / "state")) / "labctl" / "stations"


class StationOwnership:
    """Hold a station until `release`; the lock also ends with the process.

    Attributes
    ----------
    epoch : int
        Higher than that of any engine before; agents refuse lower ones.
    left_safe : bool
        The engine before made the station safe and could write that down nowhere else.

    Raises
    ------
    SafetyRefusal
        Another engine of this computer has the station.
    InputError
        The stored epoch cannot be read.
    """

    def __init__(self, state_dir: Path, station: str) -> None:
        self._folder = folder = state_dir / station
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / "owner.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise SafetyRefusal(
                f"another labctl holds station {station} ({folder})",
                next_step="Let it end, or pause and end it first; a station has one owner",
            ) from error
        try:
            self.epoch = self._next_epoch(folder)
            self._next = str(folder / f"epoch-{self.epoch + 1}.txt")
            self._safe = folder / "made-safe.txt"
            self.left_safe = self._safe.exists()
        except BaseException:
            self._lock.release()
            raise

    @staticmethod
    def _next_epoch(folder: Path) -> int:
        """Count up by leaving a new file for each epoch: nothing is rewritten that a crash could tear."""
        try:
            found = [int(path.stem.removeprefix("epoch-")) for path in folder.glob("epoch-*.txt")]
        except ValueError as error:
            raise InputError(
                f"{folder} holds an epoch file with a strange name", expected="epoch-<number>.txt"
            ) from error
        epoch = max(found, default=0) + 1
        (folder / f"epoch-{epoch}.txt").touch(exist_ok=False)
        for old in sorted(found)[:-64]:  # an engine may sleep through a few
            (folder / f"epoch-{old}.txt").unlink(missing_ok=True)
        return epoch

    def check(self) -> None:
        """Return if no later engine has taken the station.

        The lock keeps others off while it holds; it does not where two computers share an instrument, or somebody
        removed the lock of a process that was only stopped.

        Raises
        ------
        Superseded
            One has.
        """
        if os.path.exists(self._next):  # noqa: PTH110 - before each message, and a path takes four times as long
            raise Superseded(
                f"a later engine holds station {self._folder.name} (ours is epoch {self.epoch})",
                next_step="This one ends here and has touched nothing; look with `labctl status` who goes on",
            )

    def leave_safe(self) -> None:
        """Tell the next engine that this one makes the station safe; an empty file has room on a full disk too."""
        with contextlib.suppress(OSError):
            self._safe.touch()

    def forget_safe(self) -> None:
        """The journal knows it now, or a person has come."""
        with contextlib.suppress(OSError):
            self._safe.unlink(missing_ok=True)

    def release(self) -> None:
        """Let the next engine have it."""
        self._lock.release()
