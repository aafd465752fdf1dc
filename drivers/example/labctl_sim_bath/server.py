"""The simulated bath alone on a TCP port of this computer: ``labctl simulate bath``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from labctl.clock import ScaledClock
from labctl_sim_bath._wire import open_simulator
from labctl_sim_oven import kept_time_s, serve_alone

__all__ = ["kept_time_s", "serve"]


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
    """Serve the bath on loopback until `stopped` or interrupted; one JSON line says when it is ready, and where."""
    serve_alone(
        "bath",
        lambda own: open_simulator(
            station=station,
            state_dir=state_dir,
            clock=own,
            seed=seed,
            sample=sample,
            settings=settings,
            faults=faults,
        ),
        describe=lambda server: {"address": f"127.0.0.1:{server.tcp_port}"},
        new_port=lambda simulator: simulator.new_port(),
        station=station,
        state_dir=state_dir,
        speed=speed,
        port=port or 0,
        clock=clock,
        stopped=stopped,
        out=out,
    )
