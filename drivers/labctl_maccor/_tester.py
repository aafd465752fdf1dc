"""MacNet's functions as calls: one request, one checked reply.

A read that was lost is asked once more on a new connection; a write never is. Nothing is sent any more once a later
engine has the station. After any loss the next write is
refused until the channel has been read again, because what was lost may have been carried out.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import StillOurs
from labctl_maccor import _codec as codec
from labctl_maccor._codec import Capability, Channel, ChannelStatus, Garbled, Refused
from labctl_maccor._link import Link
from labctl_maccor._settings import Settings

_T = TypeVar("_T")
SAFETY_KEYS = ("VSafeMax", "VSafeMin", "ISafeChg", "ISafeDis", "PBatSafeChg", "PBatSafeDis")
_LOGIN = 8
MANY = 128
"""Channels that one multi-channel read may ask for."""
FILES_MAX = 10_000


class FileKind(Enum):
    """What (1,5) lists."""

    ACTIVE = 1
    ARCHIVE = 2
    PROCEDURE = 3


class Tester:
    """One tester as far as one channel's driver needs it."""

    def __init__(self, link: Link, *, station: str, settings: Settings) -> None:
        self._link = link
        self._station = station
        self._settings = settings
        self._identities = itertools.count(1988)  # 1987 is what every example and many servers use
        self._logged_in = False
        self._unread = True
        self.still_ours: StillOurs = lambda: None

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

    def echoes(self) -> bool:
        """Whether the tester sends a request of class 0 back as it was: the cheapest sign of life."""
        if self._settings.user and not self._logged_in:
            self._log_in()
        asked = codec.request(0, 1, identity=next(self._identities))
        try:
            return bool(json.loads(self._link.exchange(asked)) == json.loads(asked))
        except ValueError:
            return False

    def version(self) -> codec.TesterVersion:
        """Return the versions of the tester's program and of its library (1,1)."""
        return self._read(1, 1, parse=codec.tester_version)

    def files(self, kind: FileKind) -> tuple[str, ...]:
        """Return the names of the tester's files of one kind, as it lists them one by one (1,5).

        At most `FILES_MAX`: a listing that does not end is no listing.
        """
        count = self._read(1, 5, parse=lambda data: codec.whole(data, "NumberOfFiles"), FileType=kind.value, Command=0)
        listed = range(min(count, FILES_MAX))
        # The tester keeps its place in the list: one that was asked again after a loss would skip a name.
        try:
            return tuple(codec.text(self._call(1, 5, FileType=kind.value, Command=1), "FileName") for _ in listed)
        except Garbled as problem:
            raise self._nonsense("(1,5)", problem.what) from None

    def auxiliaries(self, channel: Channel) -> tuple[tuple[float, str], ...]:
        """Return (value, unit) of each auxiliary input: thermocouples, reference electrodes (4,4), (4,5)."""
        values = self._read(4, 4, channel=channel, parse=lambda data: codec.numbers(data, "AuxValues"))
        units = self._read(4, 5, channel=channel, parse=lambda data: codec.texts(data, "AuxUnit"))
        if len(values) != len(units):
            raise self._nonsense("(4,5)", f"{len(units)} units for {len(values)} values")
        return tuple(zip(values, units, strict=True))

    def variables(self, channel: Channel) -> tuple[float, ...]:
        """Return VAR1 to VAR15 of the test on a channel (4,8)."""
        return self._read(4, 8, channel=channel, parse=lambda data: codec.numbers(data, "VARs"))

    def test_times_s(self, first: Channel, count: int) -> tuple[float, ...]:
        """Return how long the tests of up to 128 channels have run (4,9)."""
        count = min(count, MANY)
        return self._read(4, 9, channel=first, parse=lambda data: codec.numbers(data, "TestTimes"), Len=count)

    # ----------------------------------------------------------------------------------------- writes

    def select(self, channel: Channel) -> str:
        """Select a channel for a start at the tester's screen (6,1); returns why not, empty when it did.

        Whether the list counts from 0 in JSON is not said by the vendor (its binary bitmap counts from 1), so nothing
        unattended rests on it: `start` names its channel.
        """
        return self._said(self._write(6, 1, channel=channel, Chans=[channel.wire]))

    def set_variable(self, channel: Channel, variable: int, value: float) -> None:
        """Write VAR`variable` (1 to 15) of the running test and read it back (6,9), (4,8).

        Raises
        ------
        InstrumentError
            The tester would not, or reads back something else.
        """
        said = self._said(self._write(6, 9, channel=channel, VarNum=variable, Value=value))
        came = self.variables(channel)
        if said or not 1 <= variable <= len(came) or not codec.same(value, came[variable - 1]):
            raise InstrumentError(
                f"VAR{variable} of {channel} is not {value:g}: {said or came[variable - 1 : variable]}",
                instrument=self._station,
                command="MacNet (6,9)",
                expected="a variable from 1 to 15 of a test that runs",
            )

    def reset(self, channel: Channel, test: str) -> str:
        """Clear a finished channel (6,5) without archiving it; refused unless `test` stands there and has ended.

        A reset ends a running test. `archive` is what campaigns use: it keeps the data file.

        Raises
        ------
        InstrumentError
            Another test is there, or it still runs.
        """
        status, name = self.status(channel), self.test_name(channel)
        if name != test or status.stat is not codec.Stat.COMPLETED:
            raise InstrumentError(
                f"{channel} is not reset: it holds {name or 'no test'}, {status.words}",
                instrument=self._station,
                command="MacNet (6,5)",
                expected=f"{test}, completed",
            )
        return self._said(self._write(6, 5, channel=channel))

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
        self.still_ours()
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
