"""Macros of datasets: choosing, copying and deleting them, their parameters, their paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._au_types import Answer, Value
from labctl_sim_topspin._datasets import Place
from labctl_sim_topspin._macros import Macros, Refused

if TYPE_CHECKING:
    from labctl_sim_topspin._au_machine import Machine


class DatasetMacros(Macros):
    """Datasets and parameters."""

    def _do_SETCURDATA(self, machine: Machine) -> Answer:
        self._select(machine)
        return Answer()

    def _do_GETCURDATA(self, machine: Machine) -> Answer:
        self.put_foreground(machine)
        self._console.select(machine, self._console.foreground)
        return Answer()

    def put_foreground(self, machine: Machine) -> None:
        """Give a program the foreground dataset, as every program begins with it."""
        place = self._console.foreground
        machine.globals.update({"disk": place.disk, "name": place.name, "expno": place.expno, "procno": place.procno})
        machine.globals["user"] = self._console.settings.user

    # parameters

    def _parameter(self, machine: Machine, name: str, args: tuple[Value, ...]) -> Answer:
        datasets, place = self._console.datasets, self.place(machine)
        verb, rest = name[:8], name[8:]
        status = rest.endswith("S")
        dimension = 1
        if rest.startswith("N"):
            direction, *tail = args
            total = 2 if self._two_dimensional(place) else 1
            dimension = total + 1 - int(direction)
            args = tuple(tail)
        elif rest[:1] in {"1", "3"}:
            dimension = 2 if rest[0] == "1" else 3
        parameter = str(args[0])
        try:
            if verb == "FETCHPAR":
                value = datasets.fetch(place, parameter, dimension=dimension, status=status)
                if isinstance(value, bool):
                    value = "yes" if value else "no"
                return Answer(outs=(self._as(value, str(args[1])),))
            if self._console.acquirer.disk_full:
                raise Refused("disk full")
            datasets.store(place, parameter, args[1], dimension=dimension, status=status)
        except (KeyError, IndexError):
            raise Refused(f"{place.name} {place.expno} has no parameter {parameter}") from None
        except FileNotFoundError as problem:
            raise Refused(f"{problem.filename} is missing") from None
        except ValueError:
            raise Refused(f"{parameter} cannot be {args[1]!r}") from None
        return Answer()

    @staticmethod
    def _as(value: Value, kind: str) -> Value:
        if kind == "text":
            return str(value)
        return int(float(value)) if kind == "int" else float(value)

    def _two_dimensional(self, place: Place) -> bool:
        try:
            return par.number(self._console.datasets.values(place.folder / "acqu"), "PARMODE") == 1
        except (FileNotFoundError, KeyError):
            return False

    # datasets

    def _do_WRA(self, machine: Machine, expno: int) -> Answer:
        return self._copy(machine, expno, with_data=True)

    def _do_WRAPARAM(self, machine: Machine, expno: int) -> Answer:
        return self._copy(machine, expno, with_data=False)

    def _copy(self, machine: Machine, expno: int, *, with_data: bool) -> Answer:
        source = self.place(machine)
        if expno < 1:
            raise Refused(f"expno {expno}")
        target = Place(source.disk, source.name, expno, source.procno)
        self._console.datasets.copy(source, target, with_data=with_data)
        return Answer()

    def _do_WRPA(self, machine: Machine, name: str, expno: int, procno: int, disk: str, _user: str) -> Answer:
        target = Place(disk, name, expno, procno)
        self._console.inside(str(target.folder))
        self._console.datasets.copy(self.place(machine), target, with_data=True)
        return Answer()

    def _do_RPAR(self, machine: Machine, name: str, _kind: str) -> Answer:
        place, folder = self.place(machine), self._parameter_set(name)
        if not (folder / "acqu").exists():
            raise Refused(f"parameter set {name} not found")
        datasets = self._console.datasets
        datasets.flush()
        datasets.remove_data(place, status=True)  # the macro always asks for remove=yes
        for path in sorted(folder.iterdir()):
            target = place.processed if path.name.startswith("proc") else place.folder
            datasets.put(target / path.name, datasets.values(path))
        return Answer()

    def _do_WPAR(self, machine: Machine, name: str, _kind: str) -> Answer:
        datasets, place, folder = self._console.datasets, self.place(machine), self._parameter_set(name)
        for source in (
            place.folder / "acqu",
            place.folder / "acqu2",
            place.processed / "proc",
            place.processed / "proc2",
        ):
            if source.exists():
                datasets.put(folder / source.name, datasets.values(source))
        datasets.flush()
        return Answer()

    def _parameter_set(self, name: str) -> Path:
        if not name or any(sign in name for sign in "/\\") or name in {".", ".."}:
            raise Refused(f"{name!r} is not the name of a parameter set")
        return self._console.settings.tshome / "exp" / "stan" / "nmr" / "par" / "user" / name

    def _do_DELETERAWDATA(self, _machine: Machine, name: str, expno: int, disk: str, _user: str) -> Answer:
        place = Place(disk, name, expno, 1)
        self._console.inside(str(place.folder))
        self._console.datasets.remove_data(place)
        return Answer()

    def _do_DELETEEXPNO(self, _machine: Machine, name: str, expno: int, disk: str, _user: str) -> Answer:
        place = Place(disk, name, expno, 1)
        self._console.inside(str(place.folder))
        self._console.datasets.remove(place.folder)
        return Answer()

    # paths

    def _file(self, folder: Path, name: Value) -> Answer:
        return Answer(value=str(folder) if name == 0 else f"{folder.as_posix()}/{name}")

    def _do_ACQUPATH(self, machine: Machine, name: Value) -> Answer:
        return self._file(self.place(machine).folder, name)

    def _do_PROCPATH(self, machine: Machine, name: Value) -> Answer:
        return self._file(self.place(machine).processed, name)

    def _do_NEWACQUPATH(self, machine: Machine, expno: int, name: Value) -> Answer:
        place = self.place(machine)
        return self._file(Place(place.disk, place.name, expno, place.procno).folder, name)

    def _do_VARACQUPATH(self, machine: Machine, dataset: str, expno: int, name: Value) -> Answer:
        return self._file(Place(self.place(machine).disk, dataset, expno, 1).folder, name)

    def _do_VARPROCPATH(self, machine: Machine, dataset: str, expno: int, procno: int, name: Value) -> Answer:
        return self._file(Place(self.place(machine).disk, dataset, expno, procno).processed, name)
