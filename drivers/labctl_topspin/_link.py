"""The one seam between the driver and a console: folders that both see, and somebody who types a command."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

from labctl.errors import InstrumentError, InstrumentSilent
from labctl_topspin._settings import Settings, folder


class Link(Protocol):
    """What the driver needs of a console; a simulated console offers the same."""

    @property
    def au_dir(self) -> Path:
        """``<tshome>/exp/stan/nmr/au/src/user``: AU sources."""
        ...

    @property
    def lists_dir(self) -> Path:
        """``<tshome>/exp/stan/nmr/lists``: delay lists in ``vd``, pulse lists in ``vp``."""
        ...

    @property
    def data_dir(self) -> Path:
        """Holds ``<dataset>/<expno>``."""
        ...

    @property
    def job_dir(self) -> Path:
        """Step, status, control and heartbeat files."""
        ...

    @property
    def simulated(self) -> bool:
        """No hardware behind it: raw data may be linked instead of copied."""
        ...

    def refresh(self) -> None:
        """See that the console's folders can be reached, and let a simulated console catch up with the clock.

        Raises
        ------
        InstrumentSilent
            They cannot: a share is gone, or the console is off.
        """
        ...

    def free_bytes(self) -> int:
        """Room left on the disk that holds the datasets."""
        ...

    def launch(self, command: str) -> None:
        """Type a command on the console. On a real one a person does: raises and says exactly what to type."""
        ...

    def au_fault(self, program: str, source: str) -> str | None:
        """Why an AU source does not compile there, empty if it does, None where that cannot be known from here."""
        ...

    def close(self) -> None:
        """Let go; what runs on the console goes on running."""
        ...


class FolderLink:
    """A real console whose folders this computer sees (labctl on the console itself, or over a share)."""

    def __init__(self, *, station: str, settings: Settings) -> None:
        self._station = station
        stan = folder(settings.tshome) / "exp" / "stan" / "nmr"
        self.au_dir = stan / "au" / "src" / "user"
        self.lists_dir = stan / "lists"
        self.data_dir = folder(settings.data_dir)
        self.job_dir = folder(settings.job_dir)
        self.simulated = False
        self._job_was_there = False
        for name, path in (("tshome", stan), ("data_dir", self.data_dir)):
            if not path.is_dir():
                raise InstrumentError(
                    f"the folder {path} is not there",
                    instrument=station,
                    expected=f"settings.{name} to be a folder of the console that this computer sees",
                    next_step="Mount the share, or correct the lab file",
                )

    def refresh(self) -> None:
        for path in (self.data_dir, self.job_dir):
            if not path.is_dir() and (path == self.data_dir or self._job_was_there):
                raise InstrumentSilent(
                    f"the folder {path} cannot be reached",
                    instrument=self._station,
                    next_step="See whether the console is on and its share is mounted",
                )
        self._job_was_there = self._job_was_there or self.job_dir.is_dir()

    def free_bytes(self) -> int:
        try:
            return shutil.disk_usage(self.data_dir).free
        except OSError as problem:
            raise InstrumentSilent(
                f"{self.data_dir} does not say how much room is left ({problem.strerror or problem})",
                instrument=self._station,
            ) from None

    def launch(self, command: str) -> None:
        rearm = command.endswith(" rearm")
        raise InstrumentError(
            "the guard has tripped and only a person re-arms it"
            if rearm
            else f"{command.split()[1]} is not running on the console",
            instrument=self._station,
            next_step=(
                "Look at rotor, gas and heater, switch the heater on again if it may be, then type"
                if rearm
                else "Somebody at the console types"
            )
            + f" in TopSpin:  {command}  and after that labctl can go on",
        )

    def au_fault(self, program: str, source: str) -> str | None:
        """Nobody compiles on a real console but a person, or TopSpin when the program is started."""
        del program, source
        return None

    def close(self) -> None:
        """Nothing is held open."""
