"""The 335's end of the wire: lines of commands in, lines of answers out; and the simulator a station opens.

A message is one line; `;` chains commands, the answers of its queries come back in one line, chained likewise. A
command has no answer, an unknown one neither: errors show only in `*ESR?`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from labctl.clock import Clock
from labctl_sim_lakeshore._device import (
    COMMAND_ERROR,
    EXECUTION_ERROR,
    ZERO_C_K,
    LakeShore335,
    Settings,
)
from labctl_sim_oven import Lab, Port, keyed_normal, load_faults, read_block

_WORD = re.compile(r"([A-Z*]+\??)\s*(.*)")
_IDENTITY = "LSCI,MODEL335,335SIM1/#######,1.4"


class _Wrong(Exception):
    """A command with parameters that cannot be: execution error, and nothing happens."""


class Grammar:
    """Reads and answers the 335's language."""

    def __init__(self, device: LakeShore335) -> None:
        self._device = device
        self.latency_s = device.settings.latency_s

    # --------------------------------------------------------------------------------------- framing

    def split(self, received: bytes) -> tuple[list[bytes], bytes]:
        *lines, rest = received.split(b"\n")
        return [line for line in lines if line.strip()], rest

    def spoil(self, answer: bytes, how: str) -> bytes:
        if how == "truncated":
            return answer[: max(1, len(answer) // 2)] + b"\r\n"  # the line ends, and too early
        spoilt = bytearray(answer)
        for index in range(0, len(spoilt) - 2, 3):
            spoilt[index] = 33 + int(abs(keyed_normal(index, answer)) * 40) % 90
        return bytes(spoilt)

    def answer(self, message: bytes, now_s: float) -> bytes:
        self._device.now_s = now_s
        answers = []
        for command in message.decode("ascii", errors="replace").strip().split(";"):
            word = _WORD.fullmatch(command.strip().upper())
            if word is None:
                self._device.registers.events |= COMMAND_ERROR
                continue
            said = self._one(word[1], [part.strip() for part in word[2].split(",")] if word[2] else [])
            if said is not None:
                answers.append(said)
        return (";".join(answers) + "\r\n").encode("ascii") if answers else b""

    def _one(self, name: str, parameters: list[str]) -> str | None:
        device = self._device
        try:
            if name in _QUERIES:
                return _QUERIES[name](device)
            if name in _CHANNEL_QUERIES:
                return _CHANNEL_QUERIES[name](device, _channel(parameters))
            if name in _OUTPUT_QUERIES:
                _output(parameters)
                return _OUTPUT_QUERIES[name](device)
            if name in _IDLE:
                device.registers.events = 0 if name == "*CLS" else device.registers.events
                return None
            if name in _COMMANDS:
                if name.startswith("*") or not device.registers.local:
                    _COMMANDS[name](device, parameters)
                return None
        except (_Wrong, ValueError, IndexError):
            device.registers.events |= EXECUTION_ERROR
            return None
        device.registers.events |= COMMAND_ERROR
        return None


# ------------------------------------------------------------------------------------------------ queries


def _signed(value: float, decimals: int = 3) -> str:
    return f"{value:+.{decimals}f}"


def _channel(parameters: list[str]) -> str:
    if parameters[0] not in {"A", "B"}:
        raise _Wrong
    return parameters[0]


def _output(parameters: list[str]) -> None:
    if parameters[0] != "1":
        raise _Wrong


def _temperature(device: LakeShore335, channel: str, zero_K: float) -> str:
    temperature_K = device.temperature_K(channel)
    return _signed(0.0 if temperature_K is None else temperature_K - zero_K)


def _resistance(device: LakeShore335, channel: str) -> str:
    temperature_K = device.temperature_K(channel)
    return _signed(0.0 if temperature_K is None else 100.0 * (1.0 + 0.00385 * (temperature_K - ZERO_C_K)), 2)


def _take_events(device: LakeShore335) -> str:
    events, device.registers.events = device.registers.events, 0
    return str(events)


def _ramp_asked(device: LakeShore335) -> str:
    return f"{int(device.registers.ramp_on)},{_signed(device.registers.ramp_K_per_min)}"


def _output_mode(device: LakeShore335) -> str:
    return f"{device.registers.mode},{device.registers.input},{device.registers.powerup}"


def _heater(device: LakeShore335) -> str:
    return _signed(device.oven.regulator.output_percent if device.registers.heater_range else 0.005)


def _pid(device: LakeShore335) -> str:
    gains = device.oven.gains
    parts = (gains.gain_percent_per_K, 1000.0 / gains.integral_s, gains.derivative_s)
    return ",".join(_signed(part, 1) for part in parts)


_QUERIES: dict[str, Callable[[LakeShore335], str]] = {
    "*IDN?": lambda _: _IDENTITY,
    "*ESR?": _take_events,
    "*ESE?": lambda device: str(device.registers.events_enabled),
    "*SRE?": lambda device: str(device.registers.service_enabled),
    "*STB?": lambda device: "32" if device.registers.events & device.registers.events_enabled else "0",
    "*OPC?": lambda _: "1",
    "*TST?": lambda _: "0",
}
_CHANNEL_QUERIES: dict[str, Callable[[LakeShore335, str], str]] = {
    "KRDG?": lambda device, channel: _temperature(device, channel, 0.0),
    "CRDG?": lambda device, channel: _temperature(device, channel, ZERO_C_K),
    "SRDG?": _resistance,
    "RDGST?": lambda device, channel: f"{device.reading_status(channel):03d}",
    "INTYPE?": lambda device, channel: f"2,1,1,1,{device.registers.units if channel == 'A' else 1}",
    "TLIMIT?": lambda device, channel: _signed(device.registers.limit_K if channel == "A" else 0.0),
}
_OUTPUT_QUERIES: dict[str, Callable[[LakeShore335], str]] = {
    "SETP?": lambda device: _signed(device.setpoint()),
    "RANGE?": lambda device: str(device.registers.heater_range),
    "RAMP?": _ramp_asked,
    "RAMPST?": lambda device: str(int(device.oven.regulator.ramping)),
    "HTR?": _heater,
    "HTRST?": lambda device: str(device.heater_error()),
    "OUTMODE?": _output_mode,
    "MOUT?": lambda device: _signed(device.registers.manual_percent),
    "PID?": _pid,
}


# ----------------------------------------------------------------------------------------------- commands


def _setp(device: LakeShore335, parameters: list[str]) -> None:
    _output(parameters)
    device.set_setpoint(float(parameters[1]))


def _ramp(device: LakeShore335, parameters: list[str]) -> None:
    _output(parameters)
    on, rate = int(parameters[1]), float(parameters[2])
    if on not in {0, 1} or not (rate == 0.0 or 0.1 <= rate <= 100.0):
        raise _Wrong
    device.set_ramp(bool(on), round(rate, 1))


def _range(device: LakeShore335, parameters: list[str]) -> None:
    _output(parameters)
    if parameters[1] not in {"0", "1", "2", "3"}:
        raise _Wrong
    device.set_range(int(parameters[1]))


def _outmode(device: LakeShore335, parameters: list[str]) -> None:
    _output(parameters)
    mode, sensor, powerup = (int(part) for part in parameters[1:4])
    if mode not in {0, 1, 2, 3} or sensor not in {0, 1, 2} or powerup not in {0, 1}:
        raise _Wrong
    device.set_mode(mode, sensor, powerup)


def _mout(device: LakeShore335, parameters: list[str]) -> None:
    _output(parameters)
    device.set_manual(min(100.0, max(0.0, float(parameters[1]))))


def _tlimit(device: LakeShore335, parameters: list[str]) -> None:
    if _channel(parameters) == "A":
        device.registers.limit_K = max(0.0, float(parameters[1]))


def _intype(device: LakeShore335, parameters: list[str]) -> None:
    if _channel(parameters) == "A":
        units = int(parameters[5])
        if units not in {1, 2, 3}:
            raise _Wrong
        device.registers.units = units


def _byte(parameters: list[str]) -> int:
    value = int(parameters[0])
    if not 0 <= value <= 255:
        raise _Wrong
    return value


def _enable_events(device: LakeShore335, parameters: list[str]) -> None:
    device.registers.events_enabled = _byte(parameters)


def _enable_service(device: LakeShore335, parameters: list[str]) -> None:
    device.registers.service_enabled = _byte(parameters)


_COMMANDS: dict[str, Callable[[LakeShore335, list[str]], None]] = {
    "SETP": _setp,
    "RAMP": _ramp,
    "RANGE": _range,
    "OUTMODE": _outmode,
    "MOUT": _mout,
    "TLIMIT": _tlimit,
    "INTYPE": _intype,
    "*ESE": _enable_events,
    "*SRE": _enable_service,
}
_IDLE = {"PID", "*CLS", "*OPC", "*WAI"}
"""Accepted, and of no consequence here; *CLS forgets the events."""


# ---------------------------------------------------------------------------------------------- simulator


class InstrumentLink:
    """What the driver of a rehearsal has in place of a VISA session: the same lines, without the wire."""

    simulated = True

    def __init__(self, port: Port, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._come = b""

    def send(self, message: str) -> None:
        """Send one line."""
        self._port.refuse(self._clock.now_s())
        self._port.feed(message.encode("ascii") + b"\r\n", self._clock.now_s())

    def receive(self, timeout_s: float) -> str | None:
        """Return the next line, None if it does not come in time."""
        self._come += self._port.take(self._clock.now_s() + timeout_s)
        line, end, rest = self._come.partition(b"\n")
        if not end:
            return None
        self._come = rest
        return line.decode("ascii", errors="replace").rstrip("\r")

    def clear(self) -> None:
        """Drop what has come."""
        self._port.take(self._clock.now_s())
        self._come = b""

    def close(self) -> None:
        """Let go; the controller goes on."""


class SimulatedLakeShore:
    """A simulated controller and its oven whose state and time live in a folder and outlast the process."""

    def __init__(self, lab: Lab, device: LakeShore335, clock: Clock) -> None:
        self.lab = lab
        self.device = device
        self._clock = clock

    def next_event_s(self) -> float | None:
        """Wall time of the next thing somebody who watches would want to see; None if all rests."""
        self.lab.advance(self._clock.now_s())
        return self.lab.next_event_s()

    def now_s(self) -> float:
        """The oven's own time."""
        return self.lab.now_s()

    def sample_K(self) -> float:
        """The temperature of what is in the oven, now: for simulators of what is measured on it."""
        self.lab.advance(self._clock.now_s())
        return self.device.oven.sample_K()

    def new_port(self, *, paced: bool) -> Port:
        """Return the instrument's end of one line; `paced`: messages that follow too closely are dropped."""
        return Port(self.lab, Grammar(self.device), gap_s=self.device.settings.message_gap_s if paced else 0.0)

    def link(self) -> InstrumentLink:
        """The object that stands in for the driver's link."""
        return InstrumentLink(self.new_port(paced=False), self._clock)

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
) -> SimulatedLakeShore:
    """Return the simulated controller kept in `state_dir`: made if there is none, taken up again if there is.

    `sample` is of no consequence: what is in an oven here is heat capacity.

    Raises
    ------
    InputError
        Settings or fault script cannot be used; the finding says where.
    """
    del sample
    checked = read_block(Settings, settings.get("simulator", {}), where=f"stations.{station}.simulator")
    script = () if faults is None else load_faults(faults, controller="lakeshore", station=station)
    state_dir.mkdir(parents=True, exist_ok=True)
    device = LakeShore335(checked, seed=seed, born_s=clock.now_s())
    lab = Lab(device, script, state_dir=state_dir, start_s=clock.now_s())
    lab.advance(clock.now_s())
    return SimulatedLakeShore(lab, device, clock)
