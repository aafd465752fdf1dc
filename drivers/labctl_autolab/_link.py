"""The one seam between the driver and an Autolab: the SDK, a folder for results, and the line to the oven."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from labctl.clock import Clock
from labctl.errors import InputError, InstrumentError
from labctl.ports import TemperatureController
from labctl_autolab._sdk import Sdk
from labctl_autolab._settings import Settings

CONTROLLERS = "labctl.controllers"


class Link(Protocol):
    """What the driver needs of the outside; a simulated instrument offers the same."""

    @property
    def simulated(self) -> bool:
        """No hardware behind it: raw data may be linked instead of copied."""
        ...

    @property
    def data_dir(self) -> Path:
        """Where checkpoints and results are kept."""
        ...

    @property
    def oven(self) -> Any | None:
        """The simulator's end of the line to the oven's controller; None: a real line."""
        ...

    def load(self) -> Sdk:
        """Return the names of the SDK; the first call loads it."""
        ...

    def path(self, name: str) -> str:
        """Return a path of the settings as the instrument's computer has it."""
        ...

    def announce(self, title: str) -> None:
        """A sweep of this title follows. Nothing on a real instrument; a simulated one keys its noise by it."""
        ...

    def free_at_s(self) -> float:
        """Monotonic time at which the last call is over; on a real clock that is now, for calls block."""
        ...

    def refresh(self) -> None:
        """Let a simulated instrument catch up with the clock; nothing to do on a real one."""
        ...

    def close(self) -> None:
        """Let go; the instrument stays as it is."""
        ...


class SdkLink:
    """The vendor's SDK on this computer, through pythonnet (Windows)."""

    simulated = False
    oven = None

    def __init__(self, *, station: str, settings: Settings, clock: Clock) -> None:
        self._station = station
        self._settings = settings
        self._clock = clock
        self.data_dir = Path(settings.data_dir).expanduser().absolute()
        self._loaded: Sdk | None = None

    def load(self) -> Sdk:
        """Load .NET and both assemblies.

        Raises
        ------
        InstrumentError
            pythonnet is not installed, or an assembly cannot be loaded.
        """
        if self._loaded is None:
            self._loaded = cast("Sdk", _Assemblies(*self._import()))
        return self._loaded

    def _import(self) -> tuple[Any, Any, Any]:
        settings = self._settings
        try:
            clr = import_module("clr")
        except ImportError as problem:
            raise InstrumentError(
                f"pythonnet is not installed here ({problem})",
                instrument=self._station,
                expected="Windows with the Autolab SDK: pip install 'labctl-acquisition[autolab]'",
                next_step="Run labctl on the computer the Autolab is attached to",
            ) from None
        assembly = settings.assembly
        try:
            for assembly in (settings.assembly, settings.extensions):
                folder = str(Path(assembly).parent)
                if folder not in sys.path:
                    sys.path.append(folder)  # assemblies find each other there
                clr.AddReference(assembly)
            sdk = import_module("EcoChemie.Autolab.Sdk")
            extensions = import_module("EcoChemie.Autolab.SDK.Extensions")
            return sdk.Instrument, sdk.EI, extensions.InstrumentExtensions
        except Exception as problem:  # noqa: BLE001 - .NET raises what it likes through pythonnet
            raise InstrumentError(
                f"the Autolab SDK cannot be loaded: {problem}",
                instrument=self._station,
                command=f"AddReference {assembly}",
                expected="settings.sdk.assembly and .extensions to be the SDK's two assemblies, without .dll",
                next_step="SDK 2.1 loads into 64-bit Python; try 32-bit Python with SDK 1.x",
            ) from None

    def path(self, name: str) -> str:
        return str(Path(name).expanduser().absolute())

    def announce(self, title: str) -> None:
        """Nothing: the instrument does not care."""

    def free_at_s(self) -> float:
        return self._clock.monotonic_s()

    def refresh(self) -> None:
        """Nothing: the instrument keeps its own time."""

    def close(self) -> None:
        """Nothing is held open but what the driver disconnects."""


class _Assemblies:
    """Names of both assemblies together."""

    def __init__(self, instrument: Any, enums: Any, extensions: Any) -> None:
        self.Instrument = instrument
        self.EI = enums
        self.InstrumentExtensions = extensions


def open_oven(
    settings: Settings, *, station: str, limits: Mapping[str, float], clock: Clock, link: Link
) -> TemperatureController:
    """Return the temperature controller the settings name, not yet opened.

    Raises
    ------
    InputError
        It is not installed, or refuses its settings.
    SafetyRefusal
        A real oven without limits.
    """
    found = {entry.name: entry for entry in entry_points(group=CONTROLLERS)}
    if settings.controller not in found:
        installed = ", ".join(sorted(found)) or "none"
        raise InputError(
            f"station {station}: no temperature controller {settings.controller!r} is installed",
            expected=f"stations.{station}.settings.oven.controller to be one of: {installed}",
        )
    open_controller = found[settings.controller].load()
    controller: TemperatureController = open_controller(
        settings=settings.oven, clock=clock, link=link.oven, station=station, limits=limits
    )
    return controller
