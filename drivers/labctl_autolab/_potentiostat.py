"""The instrument in hand: every call of the SDK goes through here, is named when it fails, and is undone in the end.

What experience with a real 302N asks for: enum members, never numbers; a range is read back, because one that is not
there is refused by an exception of no type; Current, Potential and the overload flags say nothing before the first
sample; an overloaded converter shows a plausible number, so the flag is the only witness.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from labctl.errors import InstrumentError
from labctl.ports import StillOurs
from labctl_autolab._link import Link
from labctl_autolab._ranges import MEMBERS
from labctl_autolab._sdk import Ei, Fra, Instrument, Procedure, Sdk, first
from labctl_autolab._settings import Settings

Answer = TypeVar("Answer")

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample of 25 ms."""

    potential_V: float
    current_A: float
    overload: bool


class Potentiostat:
    """One Autolab. All calls come from one thread: the SDK's objects are not said to bear more."""

    def __init__(self, link: Link, settings: Settings, station: str) -> None:
        self._link = link
        self._settings = settings
        self._station = station
        self._sdk: Sdk | None = None
        self._instrument: Instrument | None = None
        self._equal = 0
        self._last: tuple[float, float] | None = None
        self._equal_on: set[float] = set()
        self.range_A = 0.0
        self.still_ours: StillOurs = lambda: None
        self.energised = False
        """Whether the cell was switched on and has not been read back as off since."""

    # ------------------------------------------------------------------------------------------- line

    def connect(self) -> None:
        """Take the instrument, if it is not taken yet.

        Raises
        ------
        InstrumentError
            It is not there, or another program holds it.
        """
        if self._instrument is not None and self._is_connected():
            return
        self.still_ours()
        self._sdk = self._link.load()
        instrument = self._sdk.Instrument()
        self._do("EmbeddedExeFileToStart", lambda: self._address(instrument))
        try:
            instrument.Connect()
            connected = instrument.AutolabConnection.IsConnected
        except Exception as problem:  # noqa: BLE001 - .NET raises what it likes through pythonnet
            raise InstrumentError(
                f"no connection: {problem}",
                instrument=self._station,
                command="Connect",
                next_step="Close NOVA. If nothing else holds the instrument, a process died that did: power-cycle it",
            ) from None
        if not connected:
            raise InstrumentError(
                "no connection, and no error either",
                instrument=self._station,
                command="Connect",
                next_step="Look at USB and power, and whether the hardware setup file is this instrument's",
            )
        self._instrument = instrument

    def _address(self, instrument: Instrument) -> None:
        instrument.AutolabConnection.EmbeddedExeFileToStart = self._settings.embedded
        instrument.set_HardwareSetupFile(self._settings.hardware_setup)

    def _is_connected(self) -> bool:
        assert self._instrument is not None
        try:
            return bool(self._instrument.AutolabConnection.IsConnected)
        except Exception:  # noqa: BLE001 - as above
            return False

    def disconnect(self) -> None:
        """Let the instrument go; relays stay as they are."""
        instrument, self._instrument = self._instrument, None
        if instrument is not None:
            self._told("Disconnect", instrument.Disconnect)  # our own hold on it: also of an engine that was superseded

    def glance(self) -> bool:
        """Whether the cell is on; connects for it if need be, lets go again, and switches nothing.

        Raises
        ------
        InstrumentError
            As `connect`.
        """
        taken = self._instrument is not None
        self.connect()
        try:
            return self._do("Ei.Cell", lambda: bool(self._ei.Cell))
        finally:
            if not taken:
                self.disconnect()

    def _do(self, what: str, act: Callable[[], Answer]) -> Answer:
        """Return what a call of the SDK returns, if the instrument is still ours."""
        self.still_ours()
        return self._told(what, act)

    def _told(self, what: str, act: Callable[[], Answer]) -> Answer:
        """Return what a call of the SDK returns; its exceptions, which have no type of their own, get ours."""
        try:
            return act()
        except InstrumentError:
            raise
        except Exception as problem:  # noqa: BLE001 - .NET raises what it likes through pythonnet
            raise InstrumentError(
                f"the SDK failed: {problem}",
                instrument=self._station,
                command=what,
                next_step="Look at the USB cable; if it was out, labctl connects again by itself",
            ) from None

    @property
    def _ei(self) -> Ei:
        return self._taken.Ei

    @property
    def _fra(self) -> Fra:
        return self._taken.Fra

    @property
    def _taken(self) -> Instrument:
        if self._instrument is None:
            raise InstrumentError("it is not connected", instrument=self._station)
        return self._instrument

    @property
    def _names(self) -> Sdk:
        assert self._sdk is not None
        return self._sdk

    # ------------------------------------------------------------------------------------------- relays

    def cell_off(self) -> None:
        """Open the cell relay, switch analyser and generator off, and read the cell back. Idempotent.

        Everything is tried whatever fails before it, and tried again; a lost line is taken up once more.

        Raises
        ------
        InstrumentError
            The cell is not read back as off.
        """
        problems: list[str] = []
        for attempt in range(_TRIES):
            problems = []
            try:
                self.connect()
            except InstrumentError as problem:
                problems.append(problem.what)
                continue
            for act in (self._open_cell, self._fra_off, self._dsg_off):
                for _ in range(_TRIES):
                    try:
                        act()
                        break
                    except InstrumentError as problem:
                        problems.append(problem.what)
            try:
                if not self._do("Ei.Cell", lambda: self._ei.Cell):
                    self.energised = False
                    return
                problems.append("Ei.Cell reads on")
            except InstrumentError as problem:
                problems.append(problem.what)
            if attempt + 1 < _TRIES:
                self._instrument = None if not self._is_connected() else self._instrument
        raise InstrumentError(
            f"the cell could not be switched off: {'; '.join(dict.fromkeys(problems))}",
            instrument=self._station,
            command="Ei.CellOnOff = Off",
            next_step="Press the cell switch on the front panel, or pull the cell cable",
        )

    def _open_cell(self) -> None:
        off = self._names.EI.EICellOnOff.Off
        self._do("Ei.CellOnOff = Off", lambda: setattr(self._ei, "CellOnOff", off))

    def _fra_off(self) -> None:
        self._do("SwitchFraOff", lambda: self._names.InstrumentExtensions.SwitchFraOff(self._taken))

    def _dsg_off(self) -> None:
        self._do("Ei.EnableDsgInput = False", lambda: setattr(self._ei, "EnableDsgInput", False))

    @contextmanager
    def energising(self) -> Iterator[None]:
        """Whatever happens inside, the cell is off afterwards.

        Raises
        ------
        InstrumentError
            The cell could not be switched off; what happened before is its cause.
        """
        self.energised = True
        try:
            yield
        except BaseException as problem:
            try:
                self.cell_off()
            except InstrumentError as worse:
                raise worse from problem
            raise
        self.cell_off()

    def switch_on(self, *, bias_V: float, range_A: float) -> None:
        """Potentiostatic at a bias, on a range, generator and analyser on, cell on; read back."""
        enums, ei = self._names.EI, self._ei
        self._do("Ei.Mode", lambda: setattr(ei, "Mode", enums.EIMode.Potentiostatic))
        bandwidth = getattr(enums.EIBandwidth, self._settings.bandwidth)
        self._do("Ei.Bandwidth", lambda: setattr(ei, "Bandwidth", bandwidth))
        self.set_range(range_A)
        self._do("Ei.Setpoint", lambda: setattr(ei, "Setpoint", bias_V))
        self._do("Ei.EnableDsgInput = True", lambda: setattr(ei, "EnableDsgInput", True))
        self._do("Ei.CellOnOff = On", lambda: setattr(ei, "CellOnOff", enums.EICellOnOff.On))
        if not self._do("Ei.Cell", lambda: ei.Cell):
            raise InstrumentError(
                "the cell does not switch on",
                instrument=self._station,
                command="Ei.CellOnOff = On",
                next_step="Look at the cell switch on the front panel",
            )
        self._do("SwitchFraOn", lambda: self._names.InstrumentExtensions.SwitchFraOn(self._taken))

    def set_range(self, range_A: float) -> None:
        """Set the current range and read it back."""
        member = getattr(self._names.EI.EICurrentRange, MEMBERS[range_A])
        self._do(f"Ei.CurrentRange = {MEMBERS[range_A]}", lambda: setattr(self._ei, "CurrentRange", member))
        found = self._do("Ei.CurrentRange", lambda: self._ei.CurrentRange)
        if found != member:
            raise InstrumentError(
                f"the current range reads back as {found}",
                instrument=self._station,
                command=f"Ei.CurrentRange = {MEMBERS[range_A]}",
                expected=MEMBERS[range_A],
            )
        self.range_A = range_A

    # ------------------------------------------------------------------------------------------ measuring

    def sample(self) -> Sample:
        """Take one sample.

        Raises
        ------
        InstrumentError
            Samples no longer change: what is read is an old one, and so are its overload flags.
        """
        ei = self._ei
        self._do("Sampler.Sample", ei.Sampler.Sample)
        sample = Sample(
            potential_V=self._do("Ei.Potential", lambda: ei.Potential),
            current_A=self._do("Ei.Current", lambda: ei.Current),
            overload=self._do("overload flags", lambda: bool(ei.CurrentOverload) or bool(ei.PotentialOverload)),
        )
        seen = (sample.potential_V, sample.current_A)
        if seen != self._last:
            self._last, self._equal, self._equal_on = seen, 0, set()
        self._equal += 1
        if self.range_A:
            self._equal_on.add(self.range_A)
        # A quiet cell on a coarse range reads the same for long, but not on two ranges: each has an offset of its own.
        latched = self._equal > self._settings.latched_after and len(self._equal_on) > 1
        if self._settings.latched_after and latched:
            raise InstrumentError(
                f"{self._equal} samples in a row are the same to the last digit: the sampler no longer samples",
                instrument=self._station,
                command="Sampler.Sample",
                reply=f"{sample.potential_V!r} V, {sample.current_A!r} A",
                next_step="Restart labctl; power-cycle the Autolab if that does not help",
            )
        return sample

    def set_sine(self, *, amplitude_V_rms: float, integration_s: float, cycles: int) -> None:
        """Set the analyser's sine and how long it integrates."""
        fra = self._fra
        amplitude = amplitude_V_rms * (math.sqrt(2.0) if self._settings.amplitude_kind == "peak" else 1.0)
        self._do("Fra.WaveType", lambda: setattr(fra, "WaveType", fra.WaveType.Sine))
        self._do("Fra.Amplitude", lambda: setattr(fra, "Amplitude", amplitude))
        self._do("Fra.MinimumIntegrationTime", lambda: setattr(fra, "MinimumIntegrationTime", integration_s))
        self._do("Fra.MinimumIntegrationCycles", lambda: setattr(fra, "MinimumIntegrationCycles", cycles))

    def set_frequency(self, frequency_Hz: float) -> None:
        """Set the frequency of the next point."""
        self._do(f"Fra.Frequency = {frequency_Hz:g}", lambda: setattr(self._fra, "Frequency", frequency_Hz))

    def start(self) -> str:
        """Measure a point; returns what the SDK had to say against it.

        Whether it raises when the converter is over its range is not known of every SDK; the sample afterwards tells.
        """
        self.still_ours()
        try:
            self._fra.Start()
        except Exception as problem:  # noqa: BLE001 - .NET raises what it likes through pythonnet
            return str(problem) or type(problem).__name__
        return ""

    def impedance_ohm(self) -> complex:
        """Return the point just measured, Im < 0 for a capacitor.

        Raises
        ------
        InstrumentError
            Its parts contradict its modulus: these are not the properties this driver takes them for.
        """
        fra = self._fra
        real, imaginary, modulus = self._do(
            "Fra.Real, Imaginary, Modulus", lambda: (first(fra.Real), first(fra.Imaginary), first(fra.Modulus))
        )
        if not abs(math.hypot(real, imaginary) - modulus) <= 1e-3 * modulus:
            raise InstrumentError(
                "the parts of the impedance contradict its modulus",
                instrument=self._station,
                command="Fra.Real, Imaginary, Modulus",
                reply=f"{real:g}, {imaginary:g}, {modulus:g}",
            )
        return complex(real, -imaginary if self._settings.imaginary == "-Z''" else imaginary)

    def procedure(self, path: str) -> Procedure:
        """Return a procedure, freshly loaded: one that has run does nothing more."""
        return self._do(f"LoadProcedure {path}", lambda: self._taken.LoadProcedure(path))

    def call(self, what: str, act: Callable[[], Answer]) -> Answer:
        """Do something else with the SDK, with its exceptions given our type."""
        return self._do(what, act)

    def range_member(self, range_A: float) -> object:
        """Return the enum member of a range."""
        return getattr(self._names.EI.EICurrentRange, MEMBERS[range_A])
