"""The JSON port: requests out of a stream without terminators, replies that end in CR LF and hold none inside.

Framing as the vendor's clients need it: indented or not, split anywhere, several in one segment. A bad request is
answered with an error as JSON-RPC 2.0 has them, and the connection stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from labctl_sim_maccor._functions import Refusal, Reply

MOST_BYTES = 65536
_PARSE, _REQUEST, _METHOD, _PARAMS = -32700, -32600, -32601, -32602


class Callee(Protocol):
    """What answers calls."""

    def call(self, fclass: int, fnum: int, params: dict[str, Any]) -> Reply: ...


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """One request as it came; `data` is None where it is not JSON."""

    data: Any

    @property
    def function(self) -> tuple[int, int]:
        """Class and number, (-1, -1) where there are none."""
        params = self.data.get("params") if isinstance(self.data, dict) else None
        if isinstance(params, dict):
            fclass, fnum = params.get("FClass"), params.get("FNum")
            if type(fclass) is int and type(fnum) is int:
                return (fclass, fnum)
        return (-1, -1)


class JsonFramer:
    """Cuts a stream into requests."""

    def __init__(self) -> None:
        self._held = b""
        self._reset()

    def _reset(self) -> None:
        self._seen, self._depth, self._in_text, self._escaped = 0, 0, False, False

    def feed(self, data: bytes) -> Iterator[JsonRequest]:
        """Yield the requests that are whole now."""
        self._held += data
        while (length := self._whole()) is not None:
            piece, self._held = self._held[:length], self._held[length:]
            self._reset()
            if piece.strip():
                yield JsonRequest(_parsed(piece))
        if len(self._held) > MOST_BYTES:
            self._held = b""
            self._reset()
            yield JsonRequest(None)

    def _whole(self) -> int | None:
        """Return the length of the first object (or of the rubbish before one); None if more has to come."""
        if self._depth == 0 and self._seen == 0:
            start = self._held.find(b"{")
            rubbish = self._held if start < 0 else self._held[:start]
            if rubbish.strip():
                return len(rubbish)
        for place in range(self._seen, len(self._held)):
            byte = self._held[place]
            if self._in_text:
                if self._escaped:
                    self._escaped = False
                elif byte == 0x5C:
                    self._escaped = True
                elif byte == 0x22:
                    self._in_text = False
            elif byte == 0x22:
                self._in_text = True
            elif byte == 0x7B:
                self._depth += 1
            elif byte == 0x7D:
                self._depth -= 1
                if self._depth == 0:
                    return place + 1
        self._seen = len(self._held)
        return None


def _parsed(piece: bytes) -> Any:
    try:
        return json.loads(piece.decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def answer_json(functions: Callee, request: JsonRequest) -> bytes:
    """Act on a request and return its reply, CR LF at its end."""
    data = request.data
    identity = data.get("id") if isinstance(data, dict) else None
    try:
        reply = _reply(functions, data)
    except Refusal as refusal:
        reply = {"jsonrpc": "2.0", "error": {"code": refusal.code, "message": str(refusal)}, "id": identity}
    return (json.dumps(reply) + "\r\n").encode("utf-8")


def _reply(functions: Callee, data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Refusal(_PARSE, "Parse error")
    if data.get("jsonrpc") != "2.0":
        raise Refusal(_REQUEST, "Version not found")
    if data.get("method") != "MacNet":
        raise Refusal(_METHOD, "Method not found")
    if "id" not in data:
        raise Refusal(_REQUEST, "Id not found")
    params = data.get("params")
    if not isinstance(params, dict):
        raise Refusal(_PARAMS, "Invalid params")
    for key in ("FClass", "FNum"):
        if type(params.get(key)) is not int:
            raise Refusal(_PARAMS, f"{key} key missing or bad")
    if params["FClass"] == 0:
        return data  # an echo has no result
    found = functions.call(params["FClass"], params["FNum"], params)
    result = {"FClass": params["FClass"], "FNum": params["FNum"]}
    if "Chan" in params:
        result["Chan"] = params["Chan"]
    result |= {key: value for key, value in found.items() if not key.startswith("_")}
    return {"jsonrpc": "2.0", "result": result, "id": data["id"]}
