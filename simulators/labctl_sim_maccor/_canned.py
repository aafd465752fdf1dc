"""Profile `pymacnet`: frozen readings, as a client's test-suite written against canned replies wants them.

Two statuses for any number of channels, the same id in every reply, an echo for a binary port; only `Stat` and the
safety limits change. Nothing runs behind it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labctl_sim_maccor._json_wire import JsonRequest

_ID = 1987


class Canned:
    """A tester that is none."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._stats = [0] * channels

    def answer(self, request: JsonRequest) -> bytes:
        """Return a reply."""
        data = request.data if isinstance(request.data, dict) else {}
        params = data.get("params")
        fclass, fnum = request.function
        if fclass == 0:
            return (json.dumps(data) + "\r\n").encode("utf-8")
        result = self._result(fclass, fnum, params if isinstance(params, dict) else {})
        body: dict[str, Any] = {"err": 1}
        if result is not None:
            head = {"FClass": fclass, "FNum": fnum}
            if isinstance(params, dict) and "Chan" in params:
                head["Chan"] = params["Chan"]
            body = {"jsonrpc": "2.0", "result": {**head, **result}, "id": _ID}
        return (json.dumps(body) + "\r\n").encode("utf-8")

    def _result(self, fclass: int, fnum: int, params: Mapping[str, Any]) -> dict[str, Any] | None:
        index = params.get("Chan", 0)
        index = index if type(index) is int and 0 <= index < self._channels else 0
        match (fclass, fnum):
            case (1, 1):
                return {"APIVersion": 2, "MacTest32EXEversionMajor": 2, "MacTest32DLLversionMajor": 2}
            case (1, 2):
                return {"SystemID": "", "SystemType": 0, "ControllerBoards": 16, "TestChannels": self._channels}
            case (4, 1):
                return {
                    "Status": [{"RF1": 0, "RF2": 192, "Stat": self._stats[place % self._channels]} for place in (0, 1)]
                }
            case (4, 4):
                return {"Len": 1, "AuxValues": [24.75]}
            case (4, 7):
                return {
                    "RF1": 0, "RF2": 192, "Stat": self._stats[index], "LastRecNum": 4225, "Cycle": 0, "Step": 5,
                    "TestTime": 2.0, "StepTime": 1.0, "Capacity": 0, "Energy": 0, "Current": 0, "Voltage": 3.85,
                    "TesterTime": "2022-10-13T12:32:56",
                }  # fmt: skip
            case (6, 2) | (6, 7):
                self._stats[index] = 2
                return {"Result": "OK"}
            case (6, 5):
                self._stats[index] = 0
                return {"Result": "OK"}
            case (6, 8) | (6, 9):
                return {"Result": "OK"}
            case (6, 10):
                return {key: params.get(key, 0.0) for key in ("VSafeMax", "VSafeMin", "ISafeChg", "ISafeDis",
                                                              "PBatSafeChg", "PBatSafeDis")}  # fmt: skip
        return None
