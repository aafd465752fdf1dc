"""What of a simulated Autolab has a wire: the controller of the oven beside it. The SDK itself has none."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TextIO

from labctl.clock import ScaledClock
from labctl.errors import InputError
from labctl_sim_autolab._settings import read_settings

_OVEN = "oven"


def kept_time_s(state_dir: Path) -> float | None:
    """Return the time a kept oven has reached; None where there is none yet."""
    from labctl_sim_oven import kept_time_s  # noqa: PLC0415 - where there is an oven at all

    return kept_time_s(state_dir / _OVEN)


def serve(
    *,
    station: str,
    state_dir: Path,
    sample: Path | None = None,
    settings: Mapping[str, Any],
    seed: int,
    speed: float = 1.0,
    faults: Path | None = None,
    port: int | None = None,
    clock: ScaledClock | None = None,
    stopped: Callable[[], bool] = lambda: False,
    out: TextIO | None = None,
) -> None:
    """Serve the oven's controller as ``<station>.oven``, as the simulator of that controller does.

    Raises
    ------
    InputError
        There is no oven beside this potentiostat, or its simulator refuses.
    """
    checked = read_settings(settings, station=station, state_dir=state_dir)
    found = {entry.name: entry.module for entry in entry_points(group="labctl.simulators")}
    if checked.controller not in found:
        raise InputError(
            f"station {station} has no wire: its potentiostat is an SDK, and no oven stands beside it",
            expected="settings.oven.controller, or a campaign: labctl run P --simulate",
        )
    importlib.import_module(f"{found[checked.controller]}.server").serve(
        station=f"{station}.{_OVEN}",
        state_dir=state_dir / _OVEN,
        sample=sample,
        settings=checked.oven_settings,
        seed=seed,
        speed=speed,
        faults=faults,
        port=port,
        clock=clock,
        stopped=stopped,
        out=out,
    )
