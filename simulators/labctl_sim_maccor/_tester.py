"""The tester: channels, folders, safety, faults, and all of it kept on disk with its own time.

Folders stand below the state folder as on the tester's PC: ``Procedur``, ``Active``, ``Archive``, and ``Export`` where
text exports appear. A file of the data belongs to the state only as far as the state says; what a killed process wrote
beyond it is written over.
"""

from __future__ import annotations

import math
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

from labctl_sim_maccor._channel import Channel
from labctl_sim_maccor._codes import Stat, Why
from labctl_sim_maccor._export import DIALECTS, Head, lines
from labctl_sim_maccor._procedure import CompileError, Procedure, Reports, Step, check_currents, read_procedure
from labctl_sim_maccor._progress import Test
from labctl_sim_maccor._records import Record, append, read
from labctl_sim_maccor._settings import Settings
from labctl_sim_maccor._state import last_state, write_state
from labctl_sim_maccor.faults import Fault
from labctl_sim_sample import CellSample

_SAFE_NAME = re.compile(r"[A-Za-z0-9 _.+\-#()]{1,250}")
_SHOWN_WHILE = {
    "no_controller": Stat.NO_CONTROLLER,
    "shut_down": Stat.SHUTDOWN,
    "blocked": Stat.BLOCKED,
    "remote_maintenance": Stat.REMOTE_MAINTENANCE,
}
_FOREIGN_TEST = "somebody-elses-test"


@dataclass(slots=True)
class _Course:
    phase: Literal["armed", "active", "done"]
    at_s: float | None
    left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What (6,2) and (6,11) carry."""

    channel: int
    test_name: str
    proc_name: str
    comment: str = ""
    crate_Ah: float = 1.0
    chamber: int = 0
    mass_g: float = 1.0


class Tester:
    """A Maccor 4000 with one kind of cell in every channel."""

    def __init__(
        self, sample: CellSample, settings: Settings, faults: tuple[Fault, ...], *, state_dir: Path, seed: int,
        start_s: float, procedures_dir: Path | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self.state_dir = state_dir
        self.procedures_dir = procedures_dir or state_dir / "Procedur"
        self.export_dir = state_dir / "Export"
        self.active_dir = state_dir / "Active"
        self.archive_dir = state_dir / "Archive"
        for folder in (self.procedures_dir, self.export_dir, self.active_dir, self.archive_dir):
            folder.mkdir(parents=True, exist_ok=True)
        self.sample = sample
        self.flags = 0
        self.messages: list[str] = []
        self.selected: list[int] = []
        self._seed = seed
        self._faults = faults
        self._serial, saved = last_state(state_dir)
        self._now_s = start_s if saved is None else float(saved["now_s"])
        self._born_s = start_s if saved is None else float(saved["born_s"])
        self._made: dict[int, list[Record]] = defaultdict(list)
        self._names = 0
        self._discard: list[Path] = []
        self._data_files = {path.name for path in self.active_dir.iterdir()}
        self.channels = [
            Channel(index, sample, settings, seed, self._born_s, self._keep) for index in range(settings.channels)
        ]
        self._courses = [_Course("armed", self._born_s + fault.at_s) for fault in faults]
        if saved is None:
            self.save()
        else:
            self._take_up(saved)

    def change_cells(self, sample: CellSample) -> None:
        """Hold fresh cells of another kind from now on, except where a test runs."""
        self.sample = sample
        for channel in self.channels:
            channel.change_cell(sample, self._now_s)
        self.save()

    # ------------------------------------------------------------------------------------------- time

    def now_s(self) -> float:
        """The tester's own time (true, not what its clock shows)."""
        return self._now_s

    def shown_time(self) -> datetime:
        """Return what the PC's clock shows: local, naive in spirit, perhaps wrong."""
        skew_s = sum(fault.by for fault in self.active("clock_skew"))
        return datetime.fromtimestamp(self._now_s + skew_s, timezone(timedelta(hours=self.settings.utc_offset_h)))

    def advance(self, to_s: float) -> None:
        """Live until `to_s`, through the faults on the way; never back."""
        while to_s > self._now_s:
            at_s, index = min(self._due(), default=(math.inf, -1))
            if at_s > to_s:
                self._live_until(to_s)
                return
            self._live_until(max(at_s, self._now_s))
            if self._courses[index].phase == "armed":
                self._strike(index)
            else:
                self._courses[index].phase, self._courses[index].at_s = "done", None
                self.say(f"fault script: {self._faults[index].kind} is over")
            self.save()

    def _live_until(self, at_s: float) -> None:
        self._now_s = at_s
        for channel in self.channels:
            if channel.test is not None:
                channel.advance(at_s)

    def next_event_s(self) -> float | None:
        """Return when something happens by itself; None if nothing will."""
        tested = [channel for channel in self.channels if channel.test is not None]  # asked at each wait of anybody
        due = [at_s for channel in tested if (at_s := channel.next_event_s()) is not None]
        due += [at_s for at_s, _ in self._due()]
        return max(min(due), self._now_s + 1e-3) if due else None

    def _due(self) -> Iterator[tuple[float, int]]:
        for index, course in enumerate(self._courses):
            if course.at_s is not None:
                yield course.at_s, index

    # ------------------------------------------------------------------------------------------ tests

    def check(self, start: Start) -> tuple[int, str]:
        """Return the code of (6,11) and its text: what speaks against this start."""
        channel = self.channels[start.channel]
        if channel.stat not in {Stat.AVAILABLE, Stat.SELECTED} or self.shown_stat(channel) != channel.stat:
            return 1, ""
        if not self._named(start.test_name):
            return 5, ""
        path = self.procedure_file(start.proc_name)
        if path is None:
            return 2, ""
        if self.test_file(self.archive_dir, start.test_name, start.channel).exists():
            return 4, ""
        if start.chamber and self.active("chamber_busy"):
            return 6, ""
        try:
            procedure = read_procedure(path)
            check_currents(procedure, start.crate_Ah, [0.0] * 15, self.settings.most_A)
        except CompileError as problem:
            return 7, f"Compile error: {problem}"
        return 0, ""

    def start(self, start: Start) -> tuple[int, str]:
        """Start a test (6,2); return its code and text."""
        refused = next((int(fault.by) for fault in self.active("start_refused", start.channel)), 0)
        if refused:
            return refused, ""
        if start.chamber and self.active("chamber_busy"):
            return 21, ""
        name = self._random_name() if start.test_name == "Random" else start.test_name
        code, text = self.check(Start(**{**_fields(start), "test_name": name}))
        if code:
            return {1: 23, 2: 14, 4: 20, 5: 22}.get(code, 22), text
        if self.test_file(self.active_dir, name, start.channel).exists():
            return 19, ""
        source = self.procedure_file(start.proc_name)
        assert source is not None
        kept = self._procedure_copy(name, start.channel)
        shutil.copyfile(source, kept)
        procedure = read_procedure(kept)
        self.selected = [index for index in self.selected if index != start.channel]
        test = Test(
            test_name=name,
            proc_name=start.proc_name,
            comment=start.comment,
            crate_Ah=start.crate_Ah,
            mass_g=start.mass_g,
            started_s=self._now_s,
            description=procedure.description,
        )
        self._open(test, procedure, start.channel)
        return 0, ""

    def start_direct(self, index: int, name: str, every_s: float) -> int:
        """Start direct mode (6,7); return its code."""
        channel = self.channels[index]
        if self.settings.system_type != 0:
            return 1
        if channel.stat not in {Stat.AVAILABLE, Stat.SELECTED}:
            return 2
        chosen = self._random_name() if name == "Random" else name
        if not self._named(chosen) or self.test_file(self.active_dir, chosen, index).exists():
            return 3
        test = Test(
            test_name=chosen, proc_name="", comment="", crate_Ah=1.0, mass_g=1.0, started_s=self._now_s, direct=True
        )
        self._open(test, _direct(every_s), index)
        return 0

    def _open(self, test: Test, procedure: Procedure, index: int) -> None:
        path = self.test_file(self.active_dir, test.test_name, index)
        path.touch()
        self._data_files.add(path.name)
        self.channels[index].start(test, procedure, self._now_s)

    def reset(self, index: int) -> None:
        """Make a channel available again (6,5); its data are not archived."""
        channel = self.channels[index]
        test = channel.test
        channel.clear(self._now_s)
        self._write(channel, test)
        if test is not None and self.settings.after_reset == "discarded":
            self._discard.append(self.test_file(self.active_dir, test.test_name, index))

    def archive(self, index: int) -> bool:
        """Move a test's data to Archive and make its channel available (6,6); False if it is not over."""
        channel = self.channels[index]
        test = channel.test
        if test is None or channel.stat not in {Stat.COMPLETED, Stat.SUSPENDED, Stat.PROBLEM, Stat.POWER_FAIL}:
            return False
        self._write(channel, test)
        source = self.test_file(self.active_dir, test.test_name, index)
        target = self.test_file(self.archive_dir, test.test_name, index)
        if source.exists():
            shutil.copyfile(source, target)
            self._discard.append(source)
        channel.clear(self._now_s)
        return True

    def shown_stat(self, channel: Channel) -> Stat:
        """Return the state of a channel as replies tell it."""
        for kind, stat in _SHOWN_WHILE.items():
            if self.active(kind):
                return stat
        if channel.stat == Stat.AVAILABLE and channel.index in self.selected:
            return Stat.SELECTED
        return channel.stat

    # ------------------------------------------------------------------------------------------ files

    def procedure_file(self, name: str) -> Path | None:
        """Return the procedure of this name, without extension; None if there is none."""
        if not self._named(name):
            return None
        return next((p for end in (".000", ".999") if (p := self.procedures_dir / f"{name}{end}").is_file()), None)

    @staticmethod
    def test_file(folder: Path, name: str, index: int) -> Path:
        """Return the data file of a test on a channel (index from 0; the extension counts from 1)."""
        return folder / f"{name}.{index + 1:03d}"

    def export_file(self, name: str, index: int, dialect: str | None = None) -> Path:
        """Return where the text export of a test stands."""
        suffix = DIALECTS[dialect or self.settings.export].suffix
        return self.export_dir / f"{name}.{index + 1:03d}{suffix}"

    def export(self, index: int, dialect: str) -> bytes:
        """Return all of a running or finished test's records in any dialect, as an operator would export them."""
        channel = self.channels[index]
        assert channel.test is not None
        self._write(channel, channel.test)
        records = read(self.test_file(self.active_dir, channel.test.test_name, index), channel.test.written_bytes)
        return lines(dialect, self._head(channel.test, index), list(records), with_head=True)

    def _head(self, test: Test, index: int) -> Head:
        return Head(
            test_name=test.test_name,
            channel=index + 1,
            tester=self.settings.system_id,
            proc_name=test.proc_name,
            description=test.description,
            comment=test.comment,
            started_s=test.started_s,
            printed_s=test.started_s,
            mass_g=test.mass_g,
            crate_Ah=test.crate_Ah,
            most_V=self.settings.most_V,
            most_A=self.settings.most_A,
            utc_offset_h=self.settings.utc_offset_h,
            decimal=self.settings.mims_decimal,
        )

    def _procedure_copy(self, name: str, index: int) -> Path:
        return self.state_dir / f"{name}.{index + 1:03d}.procedure"

    def _keep(self, index: int, record: Record) -> None:
        self._made[index].append(record)

    def _write(self, channel: Channel, test: Test | None) -> None:
        """Add what was recorded since to the data file and the export."""
        made = self._made.pop(channel.index, [])
        if not made or test is None:
            return
        path = self.test_file(self.active_dir, test.test_name, channel.index)
        test.written_bytes = append(path, made, test.written_bytes)
        text = lines(self.settings.export, self._head(test, channel.index), made, with_head=test.exported == 0)
        export = self.export_file(test.test_name, channel.index)
        with export.open("r+b" if export.exists() else "wb") as file:
            file.truncate(test.exported_bytes)
            file.seek(test.exported_bytes)
            file.write(text)
        test.exported += len(made)
        test.exported_bytes += len(text)

    def _named(self, name: str) -> bool:
        return bool(_SAFE_NAME.fullmatch(name)) and name.strip(". ") == name

    def _random_name(self) -> str:
        self._names += 1
        return f"R{self._seed % 10000:04d}{self._names:05d}"

    # ----------------------------------------------------------------------------------------- faults

    def say(self, what: str) -> None:
        """Note what happened, for people."""
        self.messages = [*self.messages, f"{self._now_s:.1f} {what}"][-200:]

    def active(self, kind: str, channel: int | None = None) -> list[Fault]:
        """Return the faults of a kind that last now."""
        return [
            fault
            for fault, course in zip(self._faults, self._courses, strict=True)
            if fault.kind == kind and course.phase == "active" and channel in {None, fault.channel}
        ]

    def hits(self, function: tuple[int, int]) -> list[Fault]:
        """Return the faults of the link that befall this request, and use them up."""
        found = []
        for fault, course in zip(self._faults, self._courses, strict=True):
            if fault.where != "link" or course.phase != "active" or fault.kind in {"refuses", "slow"}:
                continue
            if fault.function is None or fault.function == function:
                found.append(fault)
                course.left -= 1
                if course.left <= 0:
                    course.phase, course.at_s = "done", None
        return found

    def _strike(self, index: int) -> None:
        fault, course = self._faults[index], self._courses[index]
        self.say(f"fault script: {fault.kind} ({fault.place})")
        course.phase, course.at_s, course.left = "active", None, fault.requests
        if fault.for_s is not None:
            course.at_s = self._now_s + fault.for_s
        now_s = self._now_s
        if fault.where == "channel":
            self._ail(fault, self.channels[min(fault.channel, len(self.channels) - 1)], now_s)
        elif fault.kind == "power_failure":
            for channel in self.channels:
                channel.trip(now_s, Why.NONE, Stat.POWER_FAIL)

    def _ail(self, fault: Fault, channel: Channel, now_s: float) -> None:
        match fault.kind:
            case "occupied":
                self._take(channel, now_s)
            case "channel_stolen":
                self.reset(channel.index)
                self._take(channel, now_s)
            case "suspended":
                if channel.test is not None:
                    channel.suspend(now_s)
            case "forced_step":
                if channel.test is not None:
                    channel.force(now_s)
            case "reset_by_operator":
                self.reset(channel.index)
            case "safety_trip" | "hardware_fault":
                if channel.test is not None:
                    channel.trip(now_s, int(fault.by))
            case "short":
                channel.alter_cell(now_s, short_ohm=fault.by, charge_Ah=0.0)
            case "resistance":
                channel.alter_cell(now_s, worsened=fault.by)

    def _take(self, channel: Channel, now_s: float) -> None:
        """Somebody starts a test of their own, if the channel is free."""
        if channel.stat == Stat.AVAILABLE:
            test = Test(
                test_name=_FOREIGN_TEST, proc_name="FORMATION", comment="", crate_Ah=1.0, mass_g=1.0,
                started_s=now_s, direct=True,
            )  # fmt: skip
            self._open(test, _direct(60.0), channel.index)

    # ------------------------------------------------------------------------------------------ state

    @property
    def has_news(self) -> bool:
        """Whether records were made that no file holds yet."""
        return any(self._made.values())

    def save(self) -> None:
        """Write records and state to disk; from here a killed process is taken up."""
        for index in sorted(self._made):
            self._write(self.channels[index], self.channels[index].test)
        self._serial += 1
        self._data_files -= {path.name for path in self._discard}
        write_state(
            self.state_dir,
            self._serial,
            {
                "now_s": self._now_s,
                "born_s": self._born_s,
                "names": self._names,
                "flags": self.flags,
                "selected": self.selected,
                "channels": [channel.plain() for channel in self.channels],
                "courses": [[course.phase, course.at_s, course.left] for course in self._courses],
                "messages": self.messages,
                "data_files": sorted(self._data_files),
            },
        )
        for path in self._discard:
            path.unlink(missing_ok=True)
        self._discard = []

    def _take_up(self, saved: dict[str, Any]) -> None:
        self._take_back(set(saved.get("data_files", self._data_files)))
        self._names, self.flags = saved["names"], saved["flags"]
        self.selected, self.messages = list(saved["selected"]), list(saved["messages"])
        for course, kept in zip(self._courses, saved["courses"], strict=False):
            course.phase, course.at_s, course.left = kept
        for channel, data in zip(self.channels, saved["channels"], strict=False):
            test = data["test"]
            procedure = None
            if test is not None:
                direct = test["direct"]
                procedure = (
                    _direct(60.0) if direct else read_procedure(self._procedure_copy(test["test_name"], channel.index))
                )
            channel.take_up(data, procedure)

    def _take_back(self, saved: set[str]) -> None:
        """Remove the data of tests that this tester had started when its process died, and knows nothing of now."""
        for name in self._data_files - saved:
            if (self.state_dir / f"{name}.procedure").exists():  # else somebody else put it there
                (self.active_dir / name).unlink()
                self._data_files.remove(name)


def _direct(every_s: float) -> Procedure:
    """Return the pseudo procedure of direct mode."""
    reports = Reports(every_ticks=max(1, round(every_s * 100)) if every_s > 0.0 else None)
    return Procedure("", "", (Step(number=1, kind="rest", reports=reports),), ())


def _fields(start: Start) -> dict[str, Any]:
    return {name: getattr(start, name) for name in Start.__dataclass_fields__}
