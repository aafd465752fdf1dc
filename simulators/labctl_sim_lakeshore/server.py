"""The simulated Model 335 alone, in real or scaled time, on a TCP socket for any VISA client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from labctl.clock import ScaledClock
from labctl_sim_lakeshore._wire import open_simulator
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
    """Serve the controller on loopback until `stopped` or interrupted from the keyboard.

    One JSON line says when it is ready; ``resource`` in it is what a VISA client opens.

    Parameters
    ----------
    speed : float
        Simulated seconds per real second.
    port : int or None
        TCP port; None: any free one.
    clock : ScaledClock or None
        That of a whole lab, of the same speed; None: one of its own.

    Raises
    ------
    InputError
        Settings or fault script cannot be used, or the port is taken.
    """
    serve_alone(
        "lakeshore",
        lambda own: open_simulator(
            station=station,
            state_dir=state_dir,
            clock=own,
            seed=seed,
            sample=sample,
            settings=settings,
            faults=faults,
        ),
        describe=lambda server: {"resource": f"TCPIP0::127.0.0.1::{server.tcp_port}::SOCKET"},
        new_port=lambda simulator: simulator.new_port(paced=True),
        station=station,
        state_dir=state_dir,
        speed=speed,
        port=port or 0,
        clock=clock,
        stopped=stopped,
        out=out,
    )
