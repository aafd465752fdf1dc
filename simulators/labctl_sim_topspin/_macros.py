"""What every group of macros stands on: the console, the dataset a program has chosen, and how to decline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labctl_sim_topspin._datasets import Place

if TYPE_CHECKING:
    from labctl_sim_topspin._au_machine import Machine
    from labctl_sim_topspin._console import Console


class Refused(Exception):
    """The console declines; the text is its message."""


class Macros:
    """Macros of one console: the method ``_do_NAME`` carries out the macro NAME."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def place(self, machine: Machine) -> Place:
        """Return the dataset a program has chosen."""
        chosen = machine.globals
        return Place(str(chosen["disk"]), str(chosen["name"]), int(chosen["expno"]), int(chosen["procno"]))

    def _select(self, machine: Machine) -> Place:
        """Do what SETCURDATA does: make a missing dataset from the parameters of the previous one."""
        console, place = self._console, self.place(machine)
        if not place.name or place.expno < 1 or place.procno < 1:
            raise Refused(f"no such dataset: {place.name!r} {place.expno} {place.procno}")
        console.inside(str(place.folder))
        if not console.datasets.exists(place):
            if console.acquirer.disk_full:
                raise Refused("disk full")
            console.datasets.create(place, console.current_of(machine))
        console.select(machine, place)
        return place
