"""The simulated cycler in process: opened from a station's settings, reached by bytes as over TCP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.clock import Clock
from labctl.errors import InputError, InstrumentSilent
from labctl_sim_maccor._sessions import Session, Tables
from labctl_sim_maccor._settings import read_settings
from labctl_sim_maccor._tester import Tester
from labctl_sim_maccor.faults import load_faults
from labctl_sim_sample import load_sample

_TIMEOUT_s = 2.0


def open_simulator(
    *,
    station: str,
    state_dir: Path,
    clock: Clock,
    seed: int,
    sample: Path,
    settings: Mapping[str, Any],
    faults: Path | None = None,
    procedures_dir: Path | None = None,
) -> SimulatedMaccor:
    """Return the cycler kept in `state_dir` (made if empty, taken up again if not).

    Parameters
    ----------
    settings : mapping
        The driver's settings; the simulator's own stand under the key ``simulator``.
    procedures_dir : Path or None
        The tester's ``Procedur`` folder; None: one below `state_dir`.

    Raises
    ------
    InputError
        Sample, settings or fault script cannot be used.
    """
    chosen = read_settings(settings.get("simulator", {}))
    script = load_faults(faults, station=station) if faults is not None else ()
    for fault in script:
        if fault.where == "channel" and fault.channel >= chosen.channels:
            raise InputError(
                f"{fault.place}: channel {fault.channel + 1} of {fault.kind} does not exist",
                expected=f"1 to {chosen.channels}",
            )
    state_dir.mkdir(parents=True, exist_ok=True)
    tester = Tester(
        load_sample(sample).cell,
        chosen,
        script,
        state_dir=state_dir,
        seed=seed,
        start_s=clock.now_s(),
        procedures_dir=procedures_dir,
    )
    return SimulatedMaccor(station, tester, clock)


class SimulatedMaccor:
    """A cycler whose state and time live on disk."""

    def __init__(self, station: str, tester: Tester, clock: Clock) -> None:
        self.station = station
        self.tester = tester
        self._clock = clock
        self.tables = Tables(tester)

    def next_event_s(self) -> float | None:
        """Wall time of the next thing that happens by itself: ahead of the clock, whether anybody looks or not."""
        due_s = self.tester.next_event_s()
        if due_s is None or due_s > self._clock.now_s():
            return due_s
        self.tester.advance(self._clock.now_s())
        return self.tester.next_event_s()

    def now_s(self) -> float:
        return self.tester.now_s()

    def advance(self) -> None:
        """Live until the clock's now and save what came of it."""
        before = self.tester.now_s()
        self.tester.advance(self._clock.now_s())
        if self.tester.now_s() > before:
            self.tester.save()

    def link(self) -> InstrumentLink:
        return InstrumentLink(self, self._clock)

    def change_sample(self, sample: Path) -> None:
        """Put fresh cells into every holder whose cell is not under test; raises InputError for an unfit file."""
        self.advance()
        self.tester.change_cells(load_sample(sample).cell)

    def close(self) -> None:
        self.tester.save()


class InstrumentLink:
    """The driver's end of the JSON port: a request in, the object that answers it out."""

    simulated = True

    def __init__(self, simulator: SimulatedMaccor, clock: Clock) -> None:
        self._simulator = simulator
        self._clock = clock
        self._session = Session(simulator.tables, binary=False)
        self.procedures_dir = simulator.tester.procedures_dir
        self.export_dir = simulator.tester.export_dir

    def exchange(self, request: bytes) -> bytes:
        """Return the reply to one JSON request, after the tester's service time.

        Raises
        ------
        InstrumentSilent
            The link was lost or the reply came too late; whether the request was acted on is not known.
        """
        tester = self._simulator.tester
        tester.advance(self._clock.now_s())
        if tester.active("refuses"):
            raise self._silent("the tester closes connections as they are made")
        found = list(self._session.feed(request))
        if len(found) != 1:
            self._session = Session(self._simulator.tables, binary=False)
            raise self._silent(f"{len(found)} requests in one exchange")
        self._wait(tester.settings.service_s)
        delivery = self._session.answer(found[0], self._clock.now_s())
        if delivery.late_s > _TIMEOUT_s:
            self._wait(_TIMEOUT_s)
            raise self._silent(f"no reply within {_TIMEOUT_s:g} s")
        self._wait(delivery.late_s)
        if delivery.closes:
            self._session = Session(self._simulator.tables, binary=False)
            raise self._silent("the tester closed the connection")
        return b"".join(delivery.pieces).rpartition(b"\r\n")[0].rpartition(b"\r\n")[2]  # a stale reply is read past

    def refresh(self) -> None:
        """Live until the clock's now, though nobody asks for anything."""
        self._simulator.advance()

    def close(self) -> None:
        """Let go; tests go on running."""

    def _wait(self, for_s: float) -> None:
        until_s = self._clock.monotonic_s() + for_s
        while (before_s := self._clock.monotonic_s()) < until_s:
            self._clock.wait_until(until_s)
            self._simulator.tester.advance(self._clock.now_s())
            if self._clock.monotonic_s() == before_s:
                return  # something of another simulator is due, and only whoever looks at that one lets it happen

    def _silent(self, what: str) -> InstrumentSilent:
        return InstrumentSilent(what, instrument=self._simulator.station)
