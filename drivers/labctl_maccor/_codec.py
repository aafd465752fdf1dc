"""MacNet's JSON as bytes, both ways. Pure.

Source: Maccor's description of MacNet (JSON-RPC 2.0 in shape). Requests carry no terminator and replies end in CR LF,
but nothing here leans on either: objects are cut out of the stream by their own braces. Channels count from 0 on the
wire and from 1 everywhere people look; `Channel` is the one place where the two meet.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from labctl.errors import LabctlError

MAX_REPLY_BYTES = 4_000_000
MAX_TEST_NAME = 25
SAME_SINGLE = 1e-3
"""Numbers come back as IEEE singles; two that differ by less than this share are the same."""

_TOKEN = re.compile(r"[0-9a-f]{8}-[1-9][0-9]?")
_OURS = re.compile(r"([A-Za-z0-9_]{1,14}-)?[0-9a-f]{8}-[1-9][0-9]?")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")


class Garbled(LabctlError):
    """What came is not what such a request is answered with."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel; `number` counts from 1, as on the tester's front and in the suffix of its files."""

    number: int

    @property
    def wire(self) -> int:
        """The same channel as MacNet counts: from 0."""
        return self.number - 1

    @property
    def suffix(self) -> str:
        """Of data files: ``.005`` for channel 5."""
        return f".{self.number:03d}"

    def __str__(self) -> str:
        return f"channel {self.number} ({self.wire} on the wire)"


class Stat(IntEnum):
    """State of a channel (an enumeration, not bits)."""

    AVAILABLE = 0
    SELECTED = 1
    ACTIVE = 2
    SUSPENDED = 3
    COMPLETED = 4
    PROBLEM = 5
    NOT_AVAILABLE = 6
    RESET = 7
    START = 8
    POWER_FAIL = 9
    NO_CONTROLLER = 10
    SHUT_DOWN = 11
    STARTING = 12
    BLOCKED = 13
    WAITING = 14
    FRA = 15
    REMOTE_MAINTENANCE = 16
    NOT_USED = 17
    NONE = 18


RUNS = frozenset({Stat.ACTIVE, Stat.STARTING, Stat.WAITING, Stat.START, Stat.FRA})
FREE = frozenset({Stat.AVAILABLE, Stat.SELECTED, Stat.RESET})

RF2_WORDS: Mapping[int, str] = {
    17: "pause step",
    129: "step time",
    133: "voltage",
    136: "capacity",
    189: "safety: capacity",
    190: "safety: voltage",
    191: "safety: overcharge",
    192: "suspended by an operator or a pause step",
    193: "normal end",
    194: "time-out fault",
    195: "time-out fault",
    196: "overcharge fault",
    197: "voltage fault",
    198: "slave error",
    199: "an operator forced the step",
    252: "slave current control error",
    253: "absolute voltage safety",
    254: "lost current control",
    255: "buffer full",
}
"""Why the last step ended, as far as people need to read it."""


def stat_of(number: int) -> Stat:
    """Return the state.

    Raises
    ------
    Garbled
        No such state.
    """
    try:
        return Stat(number)
    except ValueError:
        raise Garbled(f"Stat {number} is no state of a channel") from None


# ---------------------------------------------------------------------------------------------- names


def test_name(cell: str, token: str) -> str:
    """Return ``<cell>-<8 hex of the key>-<attempt>``, at most 25 characters; the cell's name gives way.

    Raises
    ------
    Garbled
        The token is not of that form.
    """
    if not _TOKEN.fullmatch(token):
        raise Garbled(f"{token!r} is not <8 hex digits>-<attempt>")
    room = MAX_TEST_NAME - len(token) - 1
    stem = _NOT_IN_NAMES.sub("_", cell)[:room].strip("_")
    return f"{stem}-{token}" if stem else token


def is_ours(name: str) -> bool:
    """Whether a test name was made by `test_name`."""
    return len(name) <= MAX_TEST_NAME and _OURS.fullmatch(name) is not None


def is_file_name(name: str) -> bool:
    """Whether a name that came over the wire may become part of a path."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,80}", name) is not None


# ------------------------------------------------------------------------------------------- requests


def request(fclass: int, fnum: int, *, identity: int, channel: Channel | None = None, **keys: Any) -> bytes:
    """Return one request as the bytes that go on the wire: ASCII, no terminator."""
    params: dict[str, Any] = {"FClass": fclass, "FNum": fnum}
    if channel is not None:
        params["Chan"] = channel.wire
    params |= keys
    message = {"jsonrpc": "2.0", "method": "MacNet", "params": params, "id": identity}
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")


def describe(message: bytes) -> str:
    """Return a request for messages: its function and channel, never its other keys (a password may be among them)."""
    params = json.loads(message)["params"]
    channel = f", channel {params['Chan'] + 1}" if isinstance(params.get("Chan"), int) else ""
    return f"MacNet ({params['FClass']},{params['FNum']}){channel}"


# -------------------------------------------------------------------------------------------- replies


class Framer:
    """Cuts JSON objects out of a stream, however it was split; linear in the bytes it is fed."""

    def __init__(self, limit: int = MAX_REPLY_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._at = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def feed(self, chunk: bytes) -> None:
        """Take more bytes.

        Raises
        ------
        Garbled
            More than the limit without the end of an object.
        """
        self._buffer += chunk
        if len(self._buffer) > self._limit:
            raise Garbled(f"more than {self._limit} bytes without an end")

    def next(self) -> bytes | None:
        """Return the next whole object, None if it is not there yet.

        Raises
        ------
        Garbled
            Something other than blanks stands between objects.
        """
        buffer = self._buffer
        if not self._depth:
            while self._at < len(buffer) and buffer[self._at] in b" \t\r\n":
                self._at += 1
            del buffer[: self._at]
            self._at = 0
            if not buffer:
                return None
            if buffer[0] != ord("{"):
                raise Garbled(f"a reply begins with {bytes(buffer[:40])!r}, not with an object")
        while self._at < len(buffer):
            byte = buffer[self._at]
            self._at += 1
            if self._in_text:
                if self._escaped:
                    self._escaped = False
                elif byte == ord("\\"):
                    self._escaped = True
                elif byte == ord('"'):
                    self._in_text = False
            elif byte == ord('"'):
                self._in_text = True
            elif byte in b"{[":
                self._depth += 1
            elif byte in b"}]":
                self._depth -= 1
                if not self._depth:
                    found = bytes(buffer[: self._at])
                    del buffer[: self._at]
                    self._at = 0
                    return found
        return None


def _shown(text: bytes) -> str:
    return " ".join(text[:200].decode("utf-8", errors="replace").split())


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        raise Garbled(f"{text[:200]!r} is not JSON") from None
    if not isinstance(found, dict):
        raise Garbled(f"{text[:200]!r} is not an object")
    return found


def answers(asked: bytes, reply: bytes) -> bool:
    """Whether `reply` belongs to the request `asked`: the same id, and the same function and channel where it says so.

    A server that always answers with the same id (1987, as a well-known client sends) is taken by function and channel,
    and an error whose id is null is the answer to the one request that is open: its id could not be read.

    Raises
    ------
    Garbled
        The reply is no JSON object, or has no id at all: no server of MacNet's.
    """
    question, answer = _object(asked), _object(reply)
    if "id" not in answer:
        raise Garbled(f"{_shown(reply)} is no reply of MacNet: it has no id")
    if answer["id"] is None and "error" in answer:
        return True
    params, result = question["params"], answer.get("result")
    same_function = isinstance(result, dict) and all(
        result.get(name) == params.get(name) for name in ("FClass", "FNum", "Chan") if name in params and name in result
    )
    if answer.get("id") == question["id"]:
        return same_function or "error" in answer or "result" not in answer
    named = isinstance(result, dict) and {"FClass", "FNum"} <= result.keys()
    return answer.get("id") == 1987 and named and same_function


class Refused(LabctlError):
    """The tester answered with an error, whose text this carries."""


def result_of(asked: bytes, reply: bytes) -> Mapping[str, Any]:
    """Return what a reply holds.

    Raises
    ------
    Garbled
        It answers another request, or has neither result nor error.
    Refused
        It is an error; its text.
    """
    if not answers(asked, reply):
        raise Garbled(f"{reply[:200]!r} answers another request")
    answer = _object(reply)
    if "error" in answer:
        error = answer["error"]
        text = f"{error.get('message', error)} ({error.get('code', 'no code')})" if isinstance(error, dict) else error
        raise Refused(str(text))
    found = answer.get("result")
    if not isinstance(found, dict):
        raise Garbled(f"{reply[:200]!r} has no result")
    return found


# --------------------------------------------------------------------------------------------- values


def number(data: Mapping[str, Any], key: str) -> float:
    """Return a finite number.

    Raises
    ------
    Garbled
        It is missing or none.
    """
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Garbled(f"{key} is {value!r}, not a number")
    return float(value)


def whole(data: Mapping[str, Any], key: str) -> int:
    """Return a whole number.

    Raises
    ------
    Garbled
        It is missing or none.
    """
    value = number(data, key)
    if value != int(value):
        raise Garbled(f"{key} is {value!r}, not a whole number")
    return int(value)


def text(data: Mapping[str, Any], key: str) -> str:
    """Return a text without the blanks it is padded with.

    Raises
    ------
    Garbled
        It is missing or none.
    """
    value = data.get(key)
    if not isinstance(value, str):
        raise Garbled(f"{key} is {value!r}, not a text")
    return value.strip(" \x00")


def numbers(data: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """Return a list of finite numbers.

    Raises
    ------
    Garbled
        It is missing, no list, or holds something else.
    """
    found = data.get(key)
    if not isinstance(found, list):
        raise Garbled(f"{key} is {found!r}, not a list")
    return tuple(number({key: value}, key) for value in found)


def texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return a list of texts.

    Raises
    ------
    Garbled
        It is missing, no list, or holds something else.
    """
    found = data.get(key)
    if not isinstance(found, list):
        raise Garbled(f"{key} is {found!r}, not a list")
    return tuple(text({key: value}, key) for value in found)


def truth(data: Mapping[str, Any], key: str) -> bool:
    """Return a truth, which MacNet writes as "TRUE" or "FALSE".

    Raises
    ------
    Garbled
        It is neither.
    """
    value = str(data.get(key)).strip().upper()
    if value not in {"TRUE", "FALSE"}:
        raise Garbled(f"{key} is {data.get(key)!r}, neither TRUE nor FALSE")
    return value == "TRUE"


def same(wanted: float, came: float) -> bool:
    """Whether a number is the one sent, to the accuracy of a single."""
    return abs(wanted - came) <= SAME_SINGLE * max(abs(wanted), 1e-6)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStatus:
    """Answer to (4,7): all there is to know of a channel while a test runs."""

    stat: Stat
    rf1: int
    rf2: int
    record: int
    cycle: int
    step: int
    test_s: float
    step_s: float
    capacity_Ah: float
    energy_Wh: float
    current_A: float
    voltage_V: float
    tester_time: datetime | None

    @property
    def words(self) -> str:
        """The state as people read it."""
        why = f" ({RF2_WORDS[self.rf2]})" if self.rf2 in RF2_WORDS else ""
        name = self.stat.name.lower().replace("_", " ")
        return f"{name}{why}, step {self.step}, cycle {self.cycle}"


def channel_status(data: Mapping[str, Any]) -> ChannelStatus:
    """Return a channel's status.

    Raises
    ------
    Garbled
        A value is missing or impossible.
    """
    try:
        at = datetime.fromisoformat(str(data.get("TesterTime")))
    except ValueError:
        at = None
    return ChannelStatus(
        stat=stat_of(whole(data, "Stat")),
        rf1=whole(data, "RF1"),
        rf2=whole(data, "RF2"),
        record=whole(data, "LastRecNum"),
        cycle=whole(data, "Cycle"),
        step=whole(data, "Step"),
        test_s=number(data, "TestTime"),
        step_s=number(data, "StepTime"),
        capacity_Ah=number(data, "Capacity"),
        energy_Wh=number(data, "Energy"),
        current_A=number(data, "Current"),
        voltage_V=number(data, "Voltage"),
        tester_time=at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TesterVersion:
    """Answer to (1,1): (major, minor, build) of the tester's program and of its library, which must agree."""

    program: tuple[int, int, int]
    library: tuple[int, int, int]


def tester_version(data: Mapping[str, Any]) -> TesterVersion:
    """Return both versions.

    Raises
    ------
    Garbled
        A value is missing or impossible.
    """

    def of(kind: str) -> tuple[int, int, int]:
        # The vendor writes MacTest32EXEversionMajor; a well-known server misspells one of the six as ...Msinor.
        minor = f"MacTest32{kind}versionMinor"
        key = minor if minor in data else f"MacTest32{kind}versionMsinor"
        stem = f"MacTest32{kind}version"
        return whole(data, f"{stem}Major"), whole(data, key), whole(data, f"{stem}Build")

    return TesterVersion(program=of("EXE"), library=of("DLL"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """Answer to (3,1), as far as a test needs it; ranges from 1 (finest) to 4, full scale, 0 where there is none."""

    voltage_max_V: float
    voltage_min_V: float
    ranges_A: tuple[float, ...]
    discharge_ranges_A: tuple[float, ...]


def capability(data: Mapping[str, Any]) -> Capability:
    """Return what a channel can do.

    Raises
    ------
    Garbled
        A value is missing or impossible.
    """
    return Capability(
        voltage_max_V=number(data, "Vmax"),
        voltage_min_V=number(data, "Vmin"),
        ranges_A=tuple(abs(number(data, f"IR{n}Chg")) for n in range(1, 5)),
        discharge_ranges_A=tuple(abs(number(data, f"IR{n}Dis")) for n in range(1, 5)),
    )
