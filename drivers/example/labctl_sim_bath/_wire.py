"""The bath's end of the line, and the simulator that a station opens.

The grammar is written from the description of the instrument, never imported from the driver: or both would be wrong
together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.clock import Clock
from labctl_sim_bath._device import Bath, Settings
from labctl_sim_oven import Lab, Port, load_faults, read_block


class Grammar:
    """One line in, one line out: ``0042 SP 60.000`` is answered by ``0042 OK``."""

    def __init__(self, bath: Bath) -> None:
        self._bath = bath
        self.latency_s = bath.settings.latency_s

    def split(self, received: bytes) -> tuple[list[bytes], bytes]:
        """Return the whole lines in what has come, and the rest."""
        *lines, rest = received.split(b"\r\n")
        return lines, rest

    def answer(self, message: bytes, now_s: float) -> bytes:
        """Act on one line; what is no line of this language gets no answer."""
        del now_s
        found = re.fullmatch(rb"(\d{4}) ([A-Z]+)(?: (-?\d+(?:\.\d+)?))?", message)
        if found is None:
            return b""
        tag, word, value = found.groups()
        return b"%b %b\r\n" % (tag, self._told(word.decode(), value).encode("ascii"))

    def _told(self, word: str, value: bytes | None) -> str:
        match word:
            case "ID" if value is None:
                return "BATH 1.0"
            case "STATUS" if value is None:
                return self._bath.status()
            case "SP" | "RATE" | "RUN" | "LIMIT" if value is not None:
                return self._bath.set(word, float(value))
        return "NO COMMAND"

    def spoil(self, answer: bytes, how: str) -> bytes:
        """Return an answer as a bad line brings it."""
        if how == "truncated":
            return answer[: len(answer) // 2]
        return bytes(byte ^ 0x15 if index % 3 == 1 else byte for index, byte in enumerate(answer))


class InstrumentLink:
    """What the driver of a rehearsal has in place of a socket: the same lines, without the wire."""

    simulated = True

    def __init__(self, port: Port, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._come = b""

    def send(self, data: bytes) -> None:
        """Send one message."""
        self._port.refuse(self._clock.now_s())
        self._port.feed(data, self._clock.now_s())

    def receive(self) -> bytes:
        """Return the next line; raises TimeoutError where none would come within a second."""
        self._come += self._port.take(self._clock.now_s() + 1.0)
        if b"\n" not in self._come:
            raise TimeoutError("no answer came")
        line, _, self._come = self._come.partition(b"\n")
        return line + b"\n"

    def close(self) -> None:
        """Let go; the bath goes on."""


class SimulatedBath:
    """A simulated bath whose state and time live in a folder and outlast the process."""

    def __init__(self, lab: Lab, bath: Bath, clock: Clock) -> None:
        self.lab = lab
        self.bath = bath
        self._clock = clock

    def next_event_s(self) -> float | None:
        """Wall time of the next thing somebody who watches would want to see; None if all rests."""
        self.lab.advance(self._clock.now_s())
        return self.lab.next_event_s()

    def now_s(self) -> float:
        """The bath's own time."""
        return self.lab.now_s()

    def sample_K(self) -> float:
        """The temperature of what stands in the bath, now: for simulators of what is measured on it."""
        self.lab.advance(self._clock.now_s())
        return self.bath.oven.sample_K()

    def new_port(self) -> Port:
        """Return the bath's end of one line."""
        return Port(self.lab, Grammar(self.bath))

    def link(self) -> InstrumentLink:
        """The object that stands in for the driver's link."""
        return InstrumentLink(self.new_port(), self._clock)

    def close(self) -> None:
        """Save and let go."""
        self.lab.save()


def open_simulator(
    *,
    station: str,
    state_dir: Path,
    clock: Clock,
    seed: int,
    sample: Path | None = None,
    settings: Mapping[str, Any],
    faults: Path | None = None,
) -> SimulatedBath:
    """Return the simulated bath kept in `state_dir`: made if there is none, taken up again if there is.

    Raises
    ------
    InputError
        Settings or fault script cannot be used; the finding says where.
    """
    del sample  # what stands in a bath is heat capacity here
    checked = read_block(Settings, settings.get("simulator", {}), where=f"stations.{station}.simulator")
    script = () if faults is None else load_faults(faults, controller="bath", station=station)
    state_dir.mkdir(parents=True, exist_ok=True)
    bath = Bath(checked, seed=seed, born_s=clock.now_s())
    lab = Lab(bath, script, state_dir=state_dir, start_s=clock.now_s())
    lab.advance(clock.now_s())
    return SimulatedBath(lab, bath, clock)
