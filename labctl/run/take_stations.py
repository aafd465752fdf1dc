"""The stations that an engine has: owned and opened, and given back however its life ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from labctl.clock import Clock
from labctl.errors import InstrumentError, InstrumentSilent
from labctl.ports import Fenced, Instrument
from labctl.run.ownership import StationOwnership

_OPENINGS = 3
_APART_S = 2.0


class TakenStations:
    """Takes stations within a ``with`` block; closing an instrument leaves it going on as it is."""

    def __init__(self, instruments: Mapping[str, Instrument], state_dir: Path, *, clock: Clock) -> None:
        self._instruments = instruments
        self._clock = clock
        self._state_dir = state_dir
        self._owned: dict[str, StationOwnership] = {}
        self._opened: list[Instrument] = []
        self.epochs: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        for instrument in self._opened:
            instrument.close()
        for ownership in self._owned.values():
            ownership.release()

    def own(self, names: Iterable[str]) -> None:
        """Take the lock of each station and raise its epoch.

        Raises
        ------
        SafetyRefusal
            Another engine has one of them.
        """
        for name in names:
            ownership = StationOwnership(self._state_dir, name)
            self._owned[name] = ownership
            self.epochs[name] = ownership.epoch

    def open(self, *, resumed: bool) -> dict[str, InstrumentError]:
        """Open what is owned; return what cannot be reached and why.

        A new campaign does not begin without all of them, a resumed one goes on with the rest.

        Raises
        ------
        InstrumentError
            One cannot be reached at the start of a new campaign.
        """
        unreachable: dict[str, InstrumentError] = {}
        for name, epoch in self.epochs.items():
            instrument = self._instruments[name]
            if isinstance(instrument, Fenced):
                instrument.fence(self._owned[name].check)
            self._opened.append(instrument)  # to be closed either way: it may come within reach later
            try:
                self._open(instrument, epoch)
            except InstrumentError as error:
                if not resumed:
                    raise
                unreachable[name] = error
        return unreachable

    def _open(self, instrument: Instrument, epoch: int) -> None:
        """Open an instrument; one lost answer is no reason to take the heat off a station that may be well."""
        for _ in range(_OPENINGS - 1):
            try:
                return instrument.open(epoch)
            except InstrumentSilent:
                self._wait()
        return instrument.open(epoch)

    def _wait(self) -> None:
        until_s = self._clock.monotonic_s() + _APART_S
        for _ in range(100):  # a wait may end early, and a virtual one where something happens on the way
            if self._clock.monotonic_s() >= until_s:
                return
            self._clock.wait_until(until_s)

    @property
    def left_safe(self) -> tuple[str, ...]:
        """Stations that the engine before made safe without a word in the journal."""
        return tuple(name for name, ownership in self._owned.items() if ownership.left_safe)

    def leave_safe(self, name: str) -> None:
        """Tell the next engine that this one makes a station safe, where the journal may not."""
        if name in self._owned:
            self._owned[name].leave_safe()

    def forget_safe(self, name: str) -> None:
        """The journal knows it now, or a person has come."""
        if name in self._owned:
            self._owned[name].forget_safe()

    def check(self) -> None:
        """Make sure that no other engine has come.

        Raises
        ------
        Superseded
            One has; this one must touch nothing more.
        """
        for ownership in self._owned.values():
            ownership.check()
