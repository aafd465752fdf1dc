"""One simulated controller with its oven: faults strike in their time, and all of it is kept on disk.

The state is one file, ``state.<serial>.json``, whose last line is ``end``; a new one is written before the old one
goes, so that a killed process leaves a whole one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from labctl.errors import InputError
from labctl_sim_oven._oven import Oven, SAMPLING_s
from labctl_sim_oven.faults import Fault

_VERSION = 1
_STRIDE_s = 30.0  # while temperatures move
_LASTING = ("mute", "line_held")
"""Faults of the wire that last for a time, not for a number of messages."""
_SOAK_STRIDE_s = 60.0  # while they stand and the loop is closed


class Device(Protocol):
    """What a vendor's controller adds to its oven: registers, and how it takes faults of its own."""

    oven: Oven

    def suffer(self, kind: str) -> None:
        """A fault of the controller begins."""
        ...

    def mend(self, kind: str) -> None:
        """A fault of the controller ends."""
        ...

    def settings_made(self) -> object:
        """Return what was written to it, without what every question writes."""
        ...

    def plain(self) -> dict[str, Any]:
        """Return plain data for the state on disk, without the oven's."""
        ...

    def take_up(self, data: dict[str, Any]) -> None:
        """Go on from plain data."""
        ...


@dataclass(slots=True)
class _Course:
    phase: Literal["armed", "active", "done"]
    at_s: float | None
    left: int = 0


@dataclass(frozen=True, slots=True)
class Hit:
    """What the wire does to one message and its answer."""

    deaf: bool = False
    lost: bool = False
    late_s: float = 0.0
    spoilt: Literal["", "garbled", "truncated", "crc"] = ""
    twice: bool = False


UNHARMED = Hit()


class Lab:
    """A controller, its oven and its faults, on one time.

    Parameters
    ----------
    state_dir : Path or None
        Where it is kept; None: nowhere.
    start_s : float
        When an oven that does not exist yet is made; an existing one has its own time.
    """

    def __init__(self, device: Device, faults: tuple[Fault, ...], *, state_dir: Path | None, start_s: float) -> None:
        self.device = device
        self.messages: list[str] = []
        self._faults = faults
        self._state_dir = state_dir
        self._saved = ""
        self._done: object = None
        self._now_s = start_s
        self._serial, saved = (0, None) if state_dir is None else last_state(state_dir)
        if saved is not None:
            self._now_s = float(saved["now_s"])
            device.oven.take_up(saved["oven"])
            device.take_up(saved["device"])
            self.messages = list(saved["messages"])
        born_s = device.oven.born_s
        self._courses = [_Course("armed", born_s + fault.at_s) for fault in faults]
        for course, kept in zip(self._courses, [] if saved is None else saved["courses"], strict=False):
            course.phase, course.at_s, course.left = kept
        if saved is None:
            self.save()

    # ----------------------------------------------------------------------------------------- time

    def now_s(self) -> float:
        """The simulated oven's own time."""
        return self._now_s

    def advance(self, to_s: float) -> None:
        """Live until `to_s`, through the faults on the way; never back."""
        if to_s <= self._now_s:
            return
        while True:
            at_s, index = min(self._due(), default=(math.inf, -1))
            if at_s > to_s:
                break
            self._live_until(at_s)
            if self._courses[index].phase == "armed":
                self._strike(index)
            else:
                self._mend(index)
        self._live_until(to_s)

    def _live_until(self, at_s: float) -> None:
        self._now_s = max(self._now_s, at_s)
        self.device.oven.advance(self._now_s)

    def _due(self) -> Iterator[tuple[float, int]]:
        for index, course in enumerate(self._courses):
            if course.at_s is not None:
                yield course.at_s, index

    def next_event_s(self) -> float | None:
        """Wall time of the next thing that somebody who watches would want to see; None if all rests."""
        oven, due = self.device.oven, [at_s for at_s, _ in self._due()]
        if oven.regulator.ramping:
            due.append(self._now_s + oven.regulator.ramp_ends_in_s() + SAMPLING_s)
        if oven.restless():
            due.append(self._now_s + _STRIDE_s)
        elif oven.regulator.mode != "off":
            due.append(self._now_s + _SOAK_STRIDE_s)
        return max(min(due), self._now_s + 1e-3) if due else None

    # --------------------------------------------------------------------------------------- faults

    def say(self, what: str) -> None:
        """Note what happened, for people."""
        self.messages = [*self.messages, f"{self._now_s:.1f} {what}"][-200:]

    def _strike(self, index: int) -> None:
        fault, course = self._faults[index], self._courses[index]
        self.say(f"fault script: {fault.kind} ({fault.place})")
        course.phase, course.at_s, course.left = "active", None, 0
        if fault.for_s is not None:
            course.at_s = self._now_s + fault.for_s
        if fault.where == "wire" and fault.kind not in _LASTING:
            course.left = fault.replies
        elif fault.where == "oven":
            self._ail(fault, begins=True)
        elif fault.where == "controller":
            self.device.suffer(fault.kind)
        self.save()

    def _mend(self, index: int) -> None:
        fault, course = self._faults[index], self._courses[index]
        self.say(f"fault script: {fault.kind} is mended")
        course.phase, course.at_s = "done", None
        if fault.where == "oven":
            self._ail(fault, begins=False)
        elif fault.where == "controller":
            self.device.mend(fault.kind)
        self.save()

    def _ail(self, fault: Fault, *, begins: bool) -> None:
        oven = self.device.oven
        ailments = oven.ailments
        match fault.kind:
            case "welded_relay":
                ailments.welded_percent = min(100.0, fault.by) if begins else None
            case "heater_open":
                ailments.heater_open = begins
            case "door_open":
                ailments.door_open = begins
                if begins:
                    floor_K = oven.thermal.ambient_K - oven.nodes.chamber_K
                    oven.nodes = oven.nodes.moved(max(-fault.by, min(0.0, floor_K)))
            case "noise":
                ailments.extra_noise_K = fault.by if begins else 0.0
            case "sensor_break":
                ailments.sensor_broken = begins
            case "stale_reading":
                ailments.sensor_stale_K = oven.sensor_K() if begins else None

    @property
    def line_held(self) -> bool:
        """Whether another program has the line, so that it cannot be opened."""
        pairs = zip(self._faults, self._courses, strict=True)
        return any(fault.kind == "line_held" and course.phase == "active" for fault, course in pairs)

    def hit(self) -> Hit:
        """Return what befalls the message that has just come, and use it up."""
        deaf = lost = twice = False
        late_s, spoilt = 0.0, ""
        for fault, course in zip(self._faults, self._courses, strict=True):
            if course.phase != "active" or fault.where != "wire":
                continue
            if fault.kind not in _LASTING:
                course.left -= 1
                if course.left <= 0:
                    course.phase = "done"
            match fault.kind:
                case "mute" | "line_held" | "command_lost":
                    deaf = True
                case "reply_lost":
                    lost = True
                case "reply_late":
                    late_s += fault.by
                case "reply_garbled" | "reply_truncated":
                    spoilt = fault.kind.removeprefix("reply_")
                case "bad_crc":
                    spoilt = "crc"
                case "reply_twice":
                    twice = True
        if not (deaf or lost or twice or late_s or spoilt):
            return UNHARMED
        return Hit(deaf, lost, late_s, spoilt, twice)  # type: ignore[arg-type]  # one of the literals

    # ---------------------------------------------------------------------------------------- state

    def save_what_was_done(self) -> None:
        """Save, unless the oven would come to this state by itself from the one on disk: where it was only asked."""
        oven, courses = self.device.oven, [(course.phase, course.left) for course in self._courses]
        loop = oven.regulator
        orders = (loop.mode, loop.target_K, loop.ramp_K_per_s, loop.manual_percent, oven.heater_range)
        done = (self.device.settings_made(), orders, courses, self.messages)
        if done != self._done:
            self.save()
            self._done = done

    def save(self) -> None:
        """Write the state to disk if it is another; from here a killed process is taken up."""
        if self._state_dir is None:
            return
        state = {
            "version": _VERSION,
            "now_s": self._now_s,
            "oven": self.device.oven.plain(),
            "device": self.device.plain(),
            "courses": [[course.phase, course.at_s, course.left] for course in self._courses],
            "messages": self.messages,
        }
        text = f"{json.dumps(state, separators=(',', ':'))}\nend\n"
        if text == self._saved:
            return
        serial = self._serial + 1
        (self._state_dir / f"state.{serial}.json").write_bytes(text.encode("utf-8"))
        (self._state_dir / f"state.{self._serial}.json").unlink(missing_ok=True)
        self._serial, self._saved = serial, text


def last_state(state_dir: Path) -> tuple[int, dict[str, Any] | None]:
    """Return the newest whole state in a folder and its number; 0 and None if there is none.

    Raises
    ------
    InputError
        It was written by a later labctl.
    """
    numbered = sorted(
        (int(path.name.split(".")[1]), path)
        for path in (state_dir.glob("state.*.json") if state_dir.is_dir() else ())
        if path.name.split(".")[1].isdigit()
    )
    for serial, path in reversed(numbered):
        lines = path.read_text(encoding="utf-8").split("\n")
        if lines[1:2] != ["end"]:
            continue  # cut short by a kill
        state: dict[str, Any] = json.loads(lines[0])
        if state["version"] != _VERSION:
            raise InputError(f"{path} was written by another version of the simulator", next_step="Choose a new folder")
        return serial, state
    return 0, None
