"""The job folder: numbered files through which the driver and its two AU programs speak.

Nothing is renamed over or rewritten. A number is claimed by creating its file exclusively, so that two engines
can never write the same one; a file counts once its last line is ``end``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labctl.errors import InstrumentError
from labctl_topspin._codec import (
    ENDINGS,
    Heartbeat,
    Record,
    Value,
    Verb,
    decode,
    encode,
    heartbeat,
    integer,
    number,
    record,
)

FOLDERS = ("steps", "status", "guard", "control", "lease", "operator", "tokens", "executor")
KEPT_LEASES = 20

_STEP = re.compile(r"(\d{6})\.step")
_CONFIG = re.compile(r"guard(?:\.(\d{4,}))?\.cfg")
_CONTROL = re.compile(r"(\d{6})\.ctl")
_LEASE = re.compile(r"(\d{8})\.lease")
_BEAT = re.compile(r"(\d{8,})\.hb")
_START = re.compile(r"start\.(\d{4,})")


@dataclass(frozen=True, slots=True)
class Step:
    """A step file that this or an earlier engine wrote."""

    seq: int
    token: str
    epoch: int
    pairs: Mapping[str, str]


@dataclass(slots=True)
class JobFolder:
    """Reads and writes one job folder; remembers what can no longer change."""

    folder: Path
    station: str
    durable: bool
    _steps: dict[int, Step] = field(default_factory=dict)
    _records: dict[int, list[Record]] = field(default_factory=dict)
    _halts: dict[int, int] = field(default_factory=dict)
    _last_lease: int = 0

    def make(self) -> None:
        """Make the folders."""
        for name in FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    # writing

    def _claim(self, path: Path, pairs: Mapping[str, Value]) -> bool:
        """Write a new file; False if the name is taken."""
        text = encode(pairs)
        try:
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                if self.durable:
                    os.fsync(stream.fileno())
        except FileExistsError:
            return False
        except OSError as problem:
            raise InstrumentError(
                f"{path} cannot be written ({problem.strerror or problem})",
                instrument=self.station,
                next_step="Look at the disk and the rights of the job folder",
            ) from None
        return True

    def write_step(self, pairs: Mapping[str, Value]) -> int:
        """Write the next step file and return its number; ``seq`` is set here."""
        seq = max(self._numbers("steps", _STEP), default=0)
        while True:
            seq += 1
            if self._claim(self.folder / "steps" / f"{seq:06d}.step", {**pairs, "seq": seq}):
                return seq

    def write_config(self, pairs: Mapping[str, Value]) -> None:
        """Write the next ``guard.cfg``."""
        at = max((int(found[1] or 1) for found in self._names(self.folder, _CONFIG)), default=0)
        while True:
            at += 1
            name = "guard.cfg" if at == 1 else f"guard.{at:04d}.cfg"
            if self._claim(self.folder / name, pairs):
                return

    def write_control(self, verb: Verb, *, epoch: int, reason: str, seq: int = 0) -> None:
        """Write the next control file."""
        at = self.next_control()
        pairs: dict[str, Value] = {"verb": verb, "reason": reason, "epoch": epoch, "seq": seq}
        while not self._claim(self.folder / "control" / f"{at:06d}.ctl", pairs):
            at += 1

    def write_lease(self, *, epoch: int, at_s: float) -> None:
        """Renew the lease, and clear away renewals that no guard will ask for."""
        at = self.next_lease()
        while not self._claim(self.folder / "lease" / f"{at:08d}.lease", {"epoch": epoch, "time": round(at_s, 3)}):
            at += 1
        self._last_lease = at
        old = self.folder / "lease" / f"{at - KEPT_LEASES:08d}.lease"
        old.unlink(missing_ok=True)

    # reading

    def _names(self, folder: Path, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        try:
            with os.scandir(folder) as entries:
                names = [entry.name for entry in entries]
        except FileNotFoundError:
            return
        for name in names:
            if found := pattern.fullmatch(name):
                yield found

    def _numbers(self, folder: str, pattern: re.Pattern[str]) -> list[int]:
        return [int(found[1]) for found in self._names(self.folder / folder, pattern)]

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise InstrumentError(
                f"{path} cannot be read ({problem.strerror or problem})",
                instrument=self.station,
                next_step="Look at the share and at the rights of the job folder",
            ) from None

    def next_control(self) -> int:
        """Number of the control file that comes next."""
        return max(self._numbers("control", _CONTROL), default=0) + 1

    def next_lease(self) -> int:
        """Number of the renewal that comes next."""
        last = self._last_lease or max(self._numbers("lease", _LEASE), default=0)
        return last + 1

    def last_control(self) -> str:
        """Verb of the last finished control file, empty if there is none."""
        for at in sorted(self._numbers("control", _CONTROL), reverse=True):
            pairs = decode(self._text(self.folder / "control" / f"{at:06d}.ctl") or "")
            if pairs is not None:
                return pairs.get("verb", "")
        return ""

    def halt_was_asked(self, seq: int) -> bool:
        """Whether any engine has asked for the early end of a step."""
        for at in self._numbers("control", _CONTROL):
            if at not in self._halts:
                pairs = decode(self._text(self.folder / "control" / f"{at:06d}.ctl") or "")
                if pairs is None:
                    continue
                self._halts[at] = integer(pairs, "seq") if pairs.get("verb") == "halt" else 0
        return seq in self._halts.values()

    def highest_epoch(self) -> int:
        """Highest epoch any engine has configured here."""
        epochs = [0]
        for found in self._names(self.folder, _CONFIG):
            pairs = decode(self._text(self.folder / found.string) or "")
            epochs.append(integer(pairs, "epoch") if pairs else 0)
        return max(epochs)

    def steps(self) -> list[Step]:
        """Return all finished step files, by number."""
        for seq in self._numbers("steps", _STEP):
            if seq not in self._steps:
                pairs = decode(self._text(self.folder / "steps" / f"{seq:06d}.step") or "")
                if pairs is not None:
                    self._steps[seq] = Step(seq, pairs.get("token", ""), integer(pairs, "epoch"), pairs)
        return [self._steps[seq] for seq in sorted(self._steps)]

    def records(self, seq: int) -> list[Record]:
        """Return the status records of a step, in order."""
        known = self._records.setdefault(seq, [])
        while not (known and known[-1].last):
            found = self._record(seq, len(known) + 1)
            if found is None:
                break
            known.append(found)
        return known

    def step_of(self, token: str) -> Step | None:
        """Return the step that carries an order out: not one that was refused where another was begun."""
        steps = [step for step in self.steps() if step.token == token]
        for step in reversed(steps):
            records = self.records(step.seq)
            if not records or records[-1].phase != "refused":
                return step
        return steps[-1] if steps else None

    def _record(self, seq: int, at: int) -> Record | None:
        for ending in ENDINGS:
            text = self._text(self.folder / "status" / f"{seq:06d}.{at:04d}.{ending}")
            if text is not None and (found := record(ending, text)) is not None:
                return found
        return None

    def first_open_step(self) -> int:
        """Number of the first step that has no last record yet, or of the step that comes next."""
        numbers = sorted(self._numbers("steps", _STEP), reverse=True)
        first = (numbers[0] if numbers else 0) + 1
        for seq in numbers:
            records = self.records(seq)
            if records and records[-1].last:
                break
            first = seq
        return first

    def open_step(self) -> Step | None:
        """Return the step that has been begun and has no last record, None if there is none."""
        for step in reversed(self.steps()):
            records = self.records(step.seq)
            if records:
                return None if records[-1].last else step
        return None

    def heat_is_ours(self) -> bool:
        """Whether a set point was sent that no finished cool-down has taken back."""
        for step in reversed(self.steps()):
            action, records = step.pairs.get("action"), self.records(step.seq)
            if action == "set_temperature" and any(record.ending == "begun" for record in records):
                return True
            if action == "cool_down" and records and records[-1].ending == "done":
                return False
        return False

    def expected_spinning_Hz(self) -> float:
        """Return the rate that was checked or acquired at last; 0 if none was."""
        for step in reversed(self.steps()):
            action, records = step.pairs.get("action"), self.records(step.seq)
            checked = action == "check_spinning" and bool(records) and records[-1].ending == "done"
            if checked or (action == "acquire" and any(record.ending == "begun" for record in records)):
                return number(step.pairs, "spinning_Hz") or 0.0
        return 0.0

    def heartbeat(self) -> Heartbeat | None:
        """Return the newest finished heartbeat of the guard."""
        for at in sorted(self._numbers("guard", _BEAT), reverse=True)[:3]:
            text = self._text(self.folder / "guard" / f"{at:08d}.hb")
            if text is not None and (found := heartbeat(text)) is not None:
                return found
        return None

    def logged_te_K(self, lines: int) -> list[float]:
        """Return the last temperatures of the guard's log."""
        text = self._text(self.folder / "guard" / "log.txt") or ""
        found = re.findall(r" te_K=([0-9.]+) ", text[-250 * lines :])
        return [float(value) for value in found[-lines:]]

    def executor_beat_s(self) -> float | None:
        """Wall time at which an idle executor last said that it is there; None if it never did."""
        for at in sorted(self._numbers("executor", _BEAT), reverse=True)[:3]:
            text = self._text(self.folder / "executor" / f"{at:08d}.hb")
            if text is not None and (found := heartbeat(text)) is not None:
                return found.time_s
        return None

    def executor_instance(self) -> int:
        """How many executors have been started here."""
        return max(self._numbers("executor", _START), default=0)
