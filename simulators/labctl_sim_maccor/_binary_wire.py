"""The binary port: header of four little-endian words (class, number, channel, length), then data.

The length word is not always the data's: the multi-channel reads have the number of channels there and no data, so
how much follows stands in a table (vendor's MacNet reference). Replies carry the request's class and number.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from labctl_sim_maccor._functions import Functions, Refusal, Reply

HEADER = struct.Struct("<HHHH")
_NO_DATA = {(3, 1), (4, 1), (4, 2), (4, 3), (4, 9)}
_BITMAP_CHANNEL = 65535
_OTHER = 0xFFFF
_EVERYTHING = struct.Struct("<BBHIIHffffffQ")
_START = struct.Struct("<BB25s25s80sfB")
_START_LONG = struct.Struct("<BB25s25s80sfBHHfBBfffh25s")
_DIRECT = struct.Struct("<25sffffBBfff")
_OUTPUT = struct.Struct("<ffffBB")
_VARIABLE = struct.Struct("<Bf")
_SAFETY = struct.Struct("<6f")
_SAFETY_KEYS = ("VSafeMax", "VSafeMin", "ISafeChg", "ISafeDis", "PBatSafeChg", "PBatSafeDis")
_LIMIT_KEYS = (
    "TickSpeed", "Vmax", "Vmin", "VSafeMax", "VSafeMin", "IR4Chg", "IR3Chg", "IR2Chg", "IR1Chg", "IR4Dis", "IR3Dis",
    "IR2Dis", "IR1Dis", "ISafeChg", "ISafeDis", "PBatSafeChg", "PBatSafeDis", "PChanSafeChg", "PChanSafeDis", "PSVChg",
    "PSVDis",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BinaryRequest:
    """One request: header and data."""

    fclass: int
    fnum: int
    channel: int
    length: int
    data: bytes

    @property
    def function(self) -> tuple[int, int]:
        """Class and number."""
        return (self.fclass, self.fnum)

    def echo(self) -> bytes:
        """Return it as it came."""
        return HEADER.pack(self.fclass, self.fnum, self.channel, self.length) + self.data


class BinaryFramer:
    """Cuts a stream into requests."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[BinaryRequest]:
        """Yield the requests that are whole now."""
        self._held += data
        while len(self._held) >= HEADER.size:
            fclass, fnum, channel, length = HEADER.unpack_from(self._held)
            follows = 0 if (fclass, fnum) in _NO_DATA else length
            whole = HEADER.size + follows
            if len(self._held) < whole:
                return
            body, self._held = self._held[HEADER.size : whole], self._held[whole:]
            yield BinaryRequest(fclass, fnum, channel, length, body)


def answer_binary(functions: Functions, request: BinaryRequest) -> bytes:
    """Act on a request and return its reply; what cannot be done is answered with the word 0xFFFF."""
    if request.fclass == 0:
        return request.echo()
    pack = _PACKERS.get(request.function, _unknown)
    try:
        reply = functions.call(request.fclass, request.fnum, _params(request))
        if request.function == (4, 6):
            reply = functions.names_and_comments({"Chan": request.channel})
        length, data = pack(reply)
    except (Refusal, struct.error):
        length, data = 2, struct.pack("<H", _OTHER)
    return HEADER.pack(request.fclass, request.fnum, request.channel, length) + data


def _params(request: BinaryRequest) -> dict[str, Any]:
    params: dict[str, Any] = {"Chan": request.channel, "Len": request.length}
    data = request.data
    match request.function:
        case (1, 3):
            params["ProcName"] = _text(data)
        case (1, 4):
            params["TestName"] = _text(data)
        case (5, 1):
            params["GlobFlags"] = struct.unpack("<I", data)[0]
        case (6, 1):
            params["Chans"] = _bits(data) if request.channel == _BITMAP_CHANNEL else [request.channel]
        case (6, 2) | (6, 11):
            # with or without the 25 bytes of the regime's name, which the vendor's own length leaves out
            struct_ = _START if len(data) < _START_LONG.size else _START_LONG
            _, _, test, procedure, comment, crate, chamber, *more = struct_.unpack_from(data)
            params |= {
                "TestName": _text(test),
                "ProcName": _text(procedure),
                "Comment": _text(comment),
                "Crate": crate,
                "ChamberNum": chamber,
            }
            if more:
                params["Mass"] = more[2]
        case (6, 7):
            test, *amounts, chosen, mode, every, _, _ = _DIRECT.unpack(data)
            params |= dict(zip(("Current", "Voltage", "Power", "Resistance"), amounts, strict=True))
            params |= {"TestName": _text(test), "CurrentRange": chosen, "ChMode": chr(mode), "DataTime": every}
        case (6, 8):
            *amounts, chosen, mode = _OUTPUT.unpack(data)
            params |= dict(zip(("Current", "Voltage", "Power", "Resistance"), amounts, strict=True))
            params |= {"CurrentRange": chosen, "ChMode": chr(mode)}
        case (6, 9):
            params["VarNum"], params["Value"] = _VARIABLE.unpack(data)
        case (6, 10):
            params |= dict(zip(_SAFETY_KEYS, _SAFETY.unpack(data), strict=True))
    return params


def _bits(data: bytes) -> list[int]:
    """Return the channels of a bitmap; its first bit is channel 1 of operators, 0 of the wire."""
    return [8 * place + bit for place, byte in enumerate(data) for bit in range(8) if byte >> bit & 1]


def _text(data: bytes) -> str:
    return data.decode("latin-1").strip(" \0")


def _name(text: object, size: int) -> bytes:
    return str(text).encode("latin-1", errors="replace")[:size].ljust(size)


def _unix_ms(text: object) -> int:
    return int(datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp() * 1000)


# ------------------------------------------------------------------------------------------------ replies

_Packed = tuple[int, bytes]


def _sized(data: bytes) -> _Packed:
    return len(data), data


def _unknown(_: Reply) -> _Packed:
    return 2, struct.pack("<H", _OTHER)


def _code(reply: Reply) -> _Packed:
    return _sized(struct.pack("<H", reply["_code"]))


def _singles(key: str) -> Callable[[Reply], _Packed]:
    """Return the packer of a list of singles; the length word is their number."""
    return lambda reply: (len(reply[key]), struct.pack(f"<{len(reply[key])}f", *reply[key]))


def _version(reply: Reply) -> _Packed:
    def part(kind: str) -> bytes:
        prefix = f"MacTest32{kind}version"
        return struct.pack("<HBB", reply[f"{prefix}Build"], reply[f"{prefix}Minor"], reply[f"{prefix}Major"])

    stamps = struct.pack("<QQ", _unix_ms(reply["MacTest32ExeDT"]), _unix_ms(reply["MacTest32DLLDT"]))
    return _sized(struct.pack("<H", reply["APIVersion"]) + part("EXE") + part("DLL") + stamps)


def _system(reply: Reply) -> _Packed:
    counts = ("ControllerBoards", "TestChannels", "AuxBoards", "AuxChannels", "SMB1Pos", "SMB3Pos")
    numbers = [reply[key] for key in counts]
    return _sized(struct.pack("<50sB6HI", _name(reply["SystemID"], 50), reply["SystemType"], *numbers, 0))


def _statuses(reply: Reply) -> _Packed:
    return _sized(b"".join(struct.pack("<BBH", one["RF1"], one["RF2"], one["Stat"]) for one in reply["Status"]))


def _names(reply: Reply) -> _Packed:
    sizes = (("TestName", 25), ("Comment", 80), ("ProcName", 25), ("Description", 80))
    return _sized(b"".join(_name(reply[key], size) for key, size in sizes))


def _everything(reply: Reply) -> _Packed:
    keys = (
        "RF1",
        "RF2",
        "Stat",
        "LastRecNum",
        "Cycle",
        "Step",
        "TestTime",
        "StepTime",
        "Capacity",
        "Energy",
        "Current",
    )
    return _sized(_EVERYTHING.pack(*(reply[key] for key in keys), reply["Voltage"], _unix_ms(reply["TesterTime"])))


_PACKERS: dict[tuple[int, int], Callable[[Reply], _Packed]] = {
    (1, 1): _version,
    (1, 2): _system,
    (1, 3): lambda reply: _sized(bytes([reply["ProcedurExists"] == "TRUE"])),
    (1, 4): lambda reply: _sized(bytes([reply["TestNameExists"] == "TRUE"])),
    (3, 1): lambda reply: _sized(struct.pack("<21f", *(reply[key] for key in _LIMIT_KEYS))),
    (3, 2): lambda reply: _sized(struct.pack("<10Q", *(_unix_ms(value) for value in reply.values()))),
    (4, 1): _statuses,
    (4, 2): _singles("Voltage"),
    (4, 3): _singles("Current"),
    (4, 4): _singles("AuxValues"),
    (4, 5): lambda reply: (len(reply["AuxUnit"]), b"".join(_name(unit, 4) for unit in reply["AuxUnit"])),
    (4, 6): _names,
    (4, 7): _everything,
    (4, 8): lambda reply: _sized(struct.pack("<I15f", int(reply["GlobFlags"], 16), *reply["VARs"])),
    (4, 9): _singles("TestTimes"),
    (4, 10): lambda reply: _sized(struct.pack("<HH", reply["NumOfEnds"], reply["EndNum"])),
    (5, 1): lambda reply: _sized(struct.pack("<I", int(reply["New GlobFlags"], 16))),
    **dict.fromkeys([(6, number) for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)], _code),
    (6, 10): lambda reply: _sized(_SAFETY.pack(*(reply[key] for key in _SAFETY_KEYS))),
}
