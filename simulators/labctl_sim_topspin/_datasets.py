"""Datasets of the console on disk: ``<disk>/<name>/<expno>/...`` with request and status parameters.

Parameters are read once and kept; a change reaches the disk with `flush`, which the console calls before anybody
(an AU program that opens a file, the driver) could look.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

from labctl_sim_topspin import _parameters as par
from labctl_sim_topspin._files import ConsoleFiles
from labctl_sim_topspin._jcamp import Parameter, Scalar, document, parameters_of, record
from labctl_sim_topspin._parameters import Parameters
from labctl_sim_topspin._settings import Layout, Settings

RAW = ("fid", "ser")
_PROCESSED = {"1r", "1i", "2rr", "2ri", "2ir", "2ii"}
_SERIAL = re.compile(r"^##NPOINTS= (\d+)", re.MULTILINE)
_KEEP = 64  # parameter files held in memory

TITLES: dict[Layout, str] = {
    "3.6": "TOPSPIN\t\tVersion 3.6.2",
    "4.0.8": "TopSpin 4.0.8",
    "4.2": "TopSpin 4.2.0",
}
"""How each version names itself in its files."""


@dataclass(frozen=True, slots=True)
class Place:
    """One dataset, as an AU program names it."""

    disk: str
    name: str
    expno: int
    procno: int

    @property
    def folder(self) -> Path:
        """The EXPNO folder."""
        return _expno(self.disk, self.name, self.expno)

    @property
    def processed(self) -> Path:
        """The PROCNO folder."""
        return _procno(self.folder, self.procno)


@functools.lru_cache(maxsize=256)  # named at every turn of an AU program, and paths are dear
def _expno(disk: str, name: str, expno: int) -> Path:
    return Path(disk) / name / str(expno)


@functools.lru_cache(maxsize=256)
def _procno(folder: Path, procno: int) -> Path:
    return folder / "pdata" / str(procno)


@functools.lru_cache(maxsize=1024)
def _file(folder: Path, name: str) -> Path:
    return folder / name


def stamp(at_s: float, offset_h: float) -> str:
    """Return a time as the console's files show it: ``2021-06-16 22:48:45.120 +0000``."""
    when = datetime.fromtimestamp(at_s, timezone(timedelta(hours=offset_h)))
    return f"{when:%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} {when:%z}"


@dataclass(slots=True)
class _Held:
    """One parameter file in memory; `_records` keeps each value's text, good while the value is the same object."""

    values: Parameters
    serial: int
    dirty: bool = False
    _records: dict[str, tuple[Parameter, str]] = field(default_factory=dict)

    def records(self) -> list[str]:
        """Return the lines of each parameter, sorted by key."""
        for key, value in self.values.items():
            known = self._records.get(key)
            if known is None or known[0] is not value:
                self._records[key] = (value, record(key, value))
        return [self._records[key][1] for key in sorted(self.values)]


class Datasets:
    """Every dataset of one console.

    Parameters
    ----------
    now_s : callable
        The console's time, for the comments in files.
    """

    def __init__(self, settings: Settings, files: ConsoleFiles, now_s: Callable[[], float]) -> None:
        self._settings = settings
        self._files = files
        self._now_s = now_s
        self._held: dict[Path, _Held] = {}

    def exists(self, place: Place) -> bool:
        """Whether the console knows this EXPNO."""
        path = _file(place.folder, "acqu")
        return path in self._held or path.exists()

    def raw(self, place: Place) -> Path | None:
        """Return the raw data of an EXPNO, None if there are none."""
        return next((place.folder / name for name in RAW if (place.folder / name).exists()), None)

    def values(self, path: Path) -> Parameters:
        """Return the parameters of one file.

        Raises
        ------
        FileNotFoundError
            There is no such file.
        """
        held = self._held.get(path)
        if held is None:
            text = path.read_text(encoding="utf-8")
            serial = _SERIAL.search(text)
            held = self._held[path] = _Held(parameters_of(text), int(serial[1]) if serial else 0)
        return held.values

    def has(self, path: Path) -> bool:
        """Whether there is such a parameter file."""
        return path in self._held or path.exists()

    def file_of(self, place: Place, name: str, *, dimension: int, status: bool) -> Path:
        """Return the file a parameter lives in; `dimension` counts as the files do (1 direct, 2 indirect)."""
        key, _ = par.split(name)
        folder, stem = (place.processed, "proc") if par.is_processing(key) else (place.folder, "acqu")
        return _file(folder, f"{stem}{'' if dimension == 1 else dimension}{'s' if status else ''}")

    def fetch(self, place: Place, name: str, *, dimension: int = 1, status: bool = False) -> Scalar:
        """Return a parameter; ``KeyError`` or ``FileNotFoundError`` if there is none."""
        return par.read(self.values(self.file_of(place, name, dimension=dimension, status=status)), name)

    def store(self, place: Place, name: str, value: Scalar, *, dimension: int = 1, status: bool = False) -> None:
        """Change a parameter and what follows from it."""
        path = self.file_of(place, name, dimension=dimension, status=status)
        key, index = par.split(name)
        if dimension == 1 and status and not path.exists() and path not in self._held:
            self.put(path, {})
        par.write(self.values(path), name, value)
        self._held[path].dirty = True
        if not status and key == "NUC1" and str(value) in par.RATIOS:
            self._tune(place, str(value))
        if not status and path.name.startswith("acqu"):
            self._couple(place, key, index, dimension)

    def put(self, path: Path, values: Parameters) -> None:
        """Replace all parameters of one file."""
        old = self._held.get(path)
        self._held[path] = _Held(dict(values), old.serial if old else 0, dirty=True)

    def flush(self) -> None:
        """Bring every change to the disk."""
        for path, held in self._held.items():
            if held.dirty:
                held.serial += 1
                held.dirty = False
                self._files.write_text(path, self._document(path, held))
        while len(self._held) > _KEEP:
            del self._held[next(iter(self._held))]

    def create(self, place: Place, source: Place | None) -> None:
        """Make an EXPNO with the parameters of another one (all but raw data and audit trail) or with defaults."""
        if source is not None and self.exists(source):
            self.copy(source, place, with_data=False)
            return
        for name, values in (("acqu", par.acqu()), ("acqus", par.acqu())):
            self.put(place.folder / name, values)
        for name in ("proc", "procs"):
            self.put(place.processed / name, par.proc())
        self._files.write_text(place.processed / "title", "\n")
        self._files.write_text(place.processed / "outd", "")

    def copy(self, source: Place, target: Place, *, with_data: bool) -> None:
        """Copy an EXPNO (its one PROCNO with it); what stands in the target is written over without a question."""
        if source.folder == target.folder and source.procno == target.procno:
            return
        self.flush()
        for path in sorted(source.folder.rglob("*")):
            inside = path.relative_to(source.folder)
            if path.is_dir() or not self._copied(inside, with_data=with_data):
                continue
            if inside.parts[0] == "pdata":
                if inside.parts[1] != str(source.procno):
                    continue
                inside = Path("pdata", str(target.procno), *inside.parts[2:])
            self._files.copy(path, target.folder / inside)
            self._held.pop(target.folder / inside, None)

    def remove_data(self, place: Place, *, status: bool = False) -> None:
        """Remove raw and processed data, and the status parameters if asked."""
        for name in RAW:
            self._files.remove(place.folder / name)
        for folder in (place.folder / "pdata").glob("*"):
            for name in _PROCESSED:
                self._files.remove(folder / name)
        if status:
            for path in (
                place.folder / "acqus",
                place.folder / "acqu2s",
                place.processed / "procs",
                place.processed / "proc2s",
            ):
                self._held.pop(path, None)
                self._files.remove(path)
            self._files.remove(place.folder / "audita.txt")

    def remove(self, folder: Path) -> None:
        """Remove everything below a folder."""
        for path in sorted(folder.rglob("*")):
            if not path.is_dir():
                self._held.pop(path, None)
                self._files.remove(path)
        for path in [path for path in self._held if path.is_relative_to(folder)]:
            del self._held[path]

    def title(self, place: Place) -> str:
        """Return the title of a dataset as people read it."""
        path = place.processed / "title"
        return path.read_text(encoding="utf-8", errors="replace").strip() if path.exists() else ""

    @staticmethod
    def _copied(inside: Path, *, with_data: bool) -> bool:
        return with_data or not (inside.name in {*RAW, "audita.txt"} or inside.name in _PROCESSED)

    def _tune(self, place: Place, nucleus: str) -> None:
        proton_MHz = self._settings.larmor_MHz / par.RATIOS["6Li"]
        for name in ("acqu", "acqu2"):
            path = place.folder / name
            if path in self._held or path.exists():
                par.tune_to(self.values(path), nucleus, round(proton_MHz * par.RATIOS[nucleus], 6))
                self._held[path].dirty = True

    def _couple(self, place: Place, key: str, index: int | None, dimension: int) -> None:
        """Keep the increment of F1 (INF 1 in acqu) and the width of F1 (SW_h in acqu2) in step, and both carriers."""
        second = _file(place.folder, "acqu2")
        if second not in self._held and not second.exists():
            return
        direct, indirect = self.values(place.folder / "acqu"), self.values(second)
        if dimension == 1 and key == "INF" and index == 1 and par.number(direct, "INF 1") > 0.0:
            par.write(indirect, "SW_h", 1e6 / par.number(direct, "INF 1"))
        elif dimension == 1 and key in {"O1", "SFO1", "BF1"}:
            for name in ("BF1", "O1"):
                par.write(indirect, name, par.number(direct, name))
        elif dimension == 2 and key in {"SW_h", "SW"}:
            par.write(direct, "INF 1", 1e6 / par.number(indirect, "SW_h"))
        else:
            return
        self._held[place.folder / "acqu"].dirty = self._held[second].dirty = True

    def _document(self, path: Path, held: _Held) -> str:
        settings = self._settings
        now_s = self._now_s()
        program = "go" if settings.layout == "3.6" else "acqdataserver"
        return document(
            held.records(),
            title=f"Parameter file, {TITLES[settings.layout]}",
            owner=settings.user,
            comments=(
                f"{stamp(now_s, settings.utc_offset_h)}  {settings.user}@{settings.host}",
                path.as_posix(),
                f"process {settings.tshome.as_posix()}/prog/mod/{program}",
            ),
            serial=held.serial,
        )
