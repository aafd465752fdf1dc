"""What one connection does: a stream of requests, each answered in its turn, and how a faulty link delivers it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from labctl_sim_maccor._binary_wire import BinaryFramer, BinaryRequest, answer_binary
from labctl_sim_maccor._canned import Canned
from labctl_sim_maccor._functions import Functions
from labctl_sim_maccor._json_wire import JsonFramer, JsonRequest, answer_json
from labctl_sim_maccor._tester import Tester
from labctl_sim_maccor.faults import Fault

Request = JsonRequest | BinaryRequest

_READING = frozenset(
    {(1, number) for number in range(1, 5)} | {(3, 1), (3, 2)} | {(4, number) for number in range(1, 12)}
)
"""Functions that change nothing at the tester."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Pieces of a reply, one segment each; how late they come; whether the link closes after them."""

    pieces: tuple[bytes, ...]
    late_s: float = 0.0
    closes: bool = False


class Tables:
    """What all connections share: the tester, or the canned one."""

    def __init__(self, tester: Tester) -> None:
        self.tester = tester
        self.functions = Functions(tester)
        self.canned = Canned(tester.settings.channels) if tester.settings.profile == "pymacnet" else None


class Session:
    """One connection to the JSON port or to the binary one."""

    def __init__(self, tables: Tables, *, binary: bool) -> None:
        self._tables = tables
        self._framer: JsonFramer | BinaryFramer = BinaryFramer() if binary else JsonFramer()
        self._binary = binary
        self._before = b""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that are whole now."""
        yield from self._framer.feed(data)

    def answer(self, request: Request, now_s: float) -> Delivery:
        """Act on a request at `now_s` and return what is sent.

        The tester is saved before anything leaves that it would not come to again by itself: what was only read, with
        no record made meanwhile, follows from the state before and the time.
        """
        tester = self._tables.tester
        tester.advance(now_s)
        hits = {fault.kind: fault for fault in tester.hits(request.function)}
        slow_s = sum(fault.by for fault in tester.active("slow"))
        if "request_lost" in hits:
            tester.save()
            return Delivery((), closes=True)
        reply = self._reply(request)
        if hits or tester.has_news or request.function not in _READING:
            tester.save()
        return self._spoilt(reply, hits, slow_s)

    def _reply(self, request: Request) -> bytes:
        if isinstance(request, BinaryRequest):
            if self._tables.canned is not None:
                return request.echo()
            return answer_binary(self._tables.functions, request)
        if self._tables.canned is not None:
            return self._tables.canned.answer(request)
        return answer_json(self._tables.functions, request)

    def _spoilt(self, reply: bytes, hits: dict[str, Fault], slow_s: float) -> Delivery:
        before, self._before = self._before, reply
        if "id_constant" in hits and not self._binary:
            reply = _with_constant_id(reply)
        late_s = slow_s + (hits["reply_late"].by if "reply_late" in hits else 0.0)
        if "reply_lost" in hits:
            return Delivery((), late_s, closes=True)
        if "reply_half" in hits:
            return Delivery((reply[: len(reply) // 2],), late_s, closes=True)
        if "reply_stale" in hits and before:
            return Delivery((before + reply,), late_s)
        if "reply_twice" in hits:
            return Delivery((reply, reply), late_s)
        if "reply_garbled" in hits:
            return Delivery((_garbled(reply),), late_s)
        if "reply_split" in hits:
            return Delivery((reply[:-1], reply[-1:]), late_s)
        if "reply_dribbles" in hits:
            return Delivery(tuple(reply[place : place + 1] for place in range(len(reply))), late_s)
        return Delivery((reply,), late_s)


def _garbled(reply: bytes) -> bytes:
    """Return a reply in which every ninth byte is another, its CR LF as it was."""
    body = bytearray(reply[:-2])
    for place in range(4, len(body), 9):
        body[place] ^= 0x15
    return bytes(body) + reply[-2:]


def _with_constant_id(reply: bytes) -> bytes:
    data = json.loads(reply)
    data["id"] = 1987
    return (json.dumps(data) + "\r\n").encode("utf-8")
