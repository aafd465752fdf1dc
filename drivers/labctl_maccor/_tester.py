"""MacNet's functions as calls: one request, one checked reply.

A read that was lost is asked once more on a new connection; a write never is. After any loss the next write is
refused until the channel has been read again, because what was lost may have been carried out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from labctl.errors import InstrumentError, InstrumentSilent
from labctl_maccor import _codec as codec
from labctl_maccor._codec import Capability, Channel, ChannelStatus, Garbled, Refused
from labctl_maccor._link import Link
from labctl_maccor._settings import Settings

_T = TypeVar("_T")
SAFETY_KEYS = ("VSafeMax", "VSafeMin", "ISafeChg", "ISafeDis", "PBatSafeChg", "PBatSafeDis")
_LOGIN = 8
MANY = 128
"""Channels that one multi-channel read may ask for."""


class Tester:
    """One tester as far as one channel's driver needs it."""

    def __init__(self, link: Link, *, station: str, settings: Settings) -> None:
        self._link = link
        self._station = station
        self._settings = settings
        self._identities = itertools.count(1988)  # 1987 is what every example and many servers use
        self._logged_in = False
        self._unread = True

    # ------------------------------------------------------------------------------------------ reads

    def channels(self) -> int:
        """Return how many test channels there are (1,2)."""
        return self._read(1, 2, parse=lambda data: codec.whole(data, "TestChannels"))

    def status(self, channel: Channel) -> ChannelStatus:
        """Return everything about one channel (4,7)."""
        found = self._read(4, 7, channel=channel, parse=codec.channel_status)
        self._unread = False
        return found

    def test_name(self, channel: Channel) -> str:
        """Return the name of the test that is, or was last, on a channel (4,6); empty if none."""
        return self._read(4, 6, channel=channel, parse=lambda data: codec.text(data, "TestName"))

    def procedure_name(self, channel: Channel) -> str:
        """Return the name of the procedure that is, or was last, on a channel (4,6)."""
        return self._read(4, 6, channel=channel, parse=lambda data: codec.text(data, "ProcName"))

    def overview(self, first: Channel, count: int) -> tuple[tuple[codec.Stat, float, float], ...]:
        """Return (state, V, A) of up to 128 channels in three exchanges: (4,1), (4,2), (4,3)."""
        count = min(count, MANY)

        def many(key: str) -> Callable[[Mapping[str, Any]], list[Any]]:
            def read(data: Mapping[str, Any]) -> list[Any]:
                found = data.get(key)
                if not isinstance(found, list) or len(found) > count:
                    raise Garbled(f"{key} is {str(found)[:80]}, not a list of {count}")
                return found

            return read

        states = self._read(4, 1, channel=first, parse=many("Status"), Len=count)
        volts = self._read(4, 2, channel=first, parse=many("Voltage"), Len=count)
        amperes = self._read(4, 3, channel=first, parse=many("Current"), Len=count)
        return tuple(
            (codec.stat_of(codec.whole(state, "Stat")), float(volt), float(ampere))
            for state, volt, ampere in zip(states, volts, amperes, strict=False)
        )

    def end_reached(self, channel: Channel) -> tuple[int, int]:
        """Return (number of End steps, which of them was reached, from 1) of a completed test (4,10)."""
        return self._read(
            4, 10, channel=channel, parse=lambda data: (codec.whole(data, "NumOfEnds"), codec.whole(data, "EndNum"))
        )

    def capability(self, channel: Channel) -> Capability:
        """Return voltage span and current ranges of a channel (3,1)."""
        return self._read(3, 1, channel=channel, parse=codec.capability)

    def has_procedure(self, name: str) -> bool:
        """Whether the tester finds a procedure (1,3)."""
        # The vendor spells the key ProcedurExists; an e more does no harm.
        return self._read(
            1,
            3,
            parse=lambda data: codec.truth(data, "ProcedureExists" if "ProcedureExists" in data else "ProcedurExists"),
            ProcName=name,
        )

    def is_archived(self, test: str) -> bool:
        """Whether a test of that name lies in the Archive (1,4)."""
        return self._read(1, 4, parse=lambda data: codec.truth(data, "TestNameExists"), TestName=test)

    # ----------------------------------------------------------------------------------------- writes

    def set_safety(self, channel: Channel, wanted: Mapping[str, float]) -> None:
        """Write the tester's safety limits of a channel and compare the echo (6,10).

        Raises
        ------
        InstrumentError
            The tester took other values.
        """
        echo = self._write(6, 10, channel=channel, **wanted)
        for key, value in wanted.items():
            try:
                came = codec.number(echo, key)
            except Garbled as problem:
                raise self._nonsense("(6,10)", str(problem)) from None
            if not codec.same(value, came):
                raise InstrumentError(
                    f"{key} of {channel} reads back as {came:g} instead of {value:g}; nothing was started",
                    instrument=self._station,
                    command="MacNet (6,10)",
                    next_step="The channel cannot hold this limit: choose guards inside what it can",
                )

    def check_start(self, channel: Channel, keys: Mapping[str, Any]) -> str:
        """Return what speaks against a start, empty if nothing (6,11): nothing is started."""
        return self._said(self._write(6, 11, channel=channel, **keys))

    def start(self, channel: Channel, keys: Mapping[str, Any]) -> str:
        """Start a test (6,2); returns why the tester would not, empty when it did."""
        return self._said(self._write(6, 2, channel=channel, **keys))

    def suspend(self, channel: Channel) -> str:
        """Suspend a test (6,3): open circuit, resumable."""
        return self._said(self._write(6, 3, channel=channel))

    def resume(self, channel: Channel) -> str:
        """Resume a suspended test (6,4)."""
        return self._said(self._write(6, 4, channel=channel))

    def archive(self, channel: Channel) -> str:
        """Clear a completed channel, its data file going to Archive (6,6)."""
        return self._said(self._write(6, 6, channel=channel))

    @staticmethod
    def _said(data: Mapping[str, Any]) -> str:
        said = str(data.get("Result", "no Result")).strip()
        return "" if said.upper() in {"OK", "0"} else said

    # ---------------------------------------------------------------------------------------- the wire

    def _read(
        self,
        fclass: int,
        fnum: int,
        *,
        parse: Callable[[Mapping[str, Any]], _T],
        channel: Channel | None = None,
        **keys: Any,
    ) -> _T:
        try:
            data = self._call(fclass, fnum, channel=channel, **keys)
        except InstrumentSilent:
            data = self._call(fclass, fnum, channel=channel, **keys)  # a connection that idled may have been closed
        try:
            return parse(data)
        except Garbled as problem:
            raise self._nonsense(f"({fclass},{fnum})", str(problem)) from None

    def _write(self, fclass: int, fnum: int, *, channel: Channel, **keys: Any) -> Mapping[str, Any]:
        if self._unread:
            self.status(channel)
        return self._call(fclass, fnum, channel=channel, **keys)

    def _call(self, fclass: int, fnum: int, *, channel: Channel | None = None, **keys: Any) -> Mapping[str, Any]:
        if self._settings.user and not self._logged_in:
            self._log_in()
        return self._exchange(fclass, fnum, channel=channel, **keys)

    def _exchange(self, fclass: int, fnum: int, *, channel: Channel | None = None, **keys: Any) -> Mapping[str, Any]:
        asked = codec.request(fclass, fnum, identity=next(self._identities), channel=channel, **keys)
        command = codec.describe(asked)
        try:
            return codec.result_of(asked, self._link.exchange(asked))
        except InstrumentSilent:
            self._lost()
            raise
        except Garbled as problem:
            self._lost()
            what = "the login was answered with nonsense" if fclass == _LOGIN else problem.what
            raise InstrumentSilent(what, instrument=self._station, command=command) from None
        except Refused as problem:
            hint = "Is a login needed? Set user in the lab file" if not self._settings.user else ""
            what = "" if fclass == _LOGIN else f": {problem.what}"  # it might quote the request, password and all
            raise InstrumentError(
                f"the tester refuses{what}", instrument=self._station, command=command, next_step=hint
            ) from None

    def _lost(self) -> None:
        self._logged_in = False
        self._unread = True

    def _log_in(self) -> None:
        said = str(
            self._exchange(_LOGIN, 1, UserID=self._settings.user, Password=self._settings.password()).get("Result", "")
        )
        if said.strip().upper() != "PASSED":
            raise InstrumentError(
                f"the tester does not let {self._settings.user} in",
                instrument=self._station,
                command="MacNet (8,1)",
                reply=said[:80],
                next_step=f"Set {self._settings.password_variable} in the environment of labctl",
            )
        self._logged_in = True

    def _nonsense(self, command: str, what: str) -> InstrumentError:
        return InstrumentSilent(
            f"a reply makes no sense: {what}", instrument=self._station, command=f"MacNet {command}"
        )

    def close(self) -> None:
        """Let go of the connection."""
        self._logged_in = False
        self._link.close()
