"""The simulated Eurotherm alone, in real or scaled time, on a pty or a TCP socket for any Modbus RTU client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from labctl.clock import ScaledClock
from labctl_sim_eurotherm._wire import open_simulator
from labctl_sim_oven import Server, has_pty, kept_time_s, serve_alone

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
    """Serve the controller until `stopped` or interrupted from the keyboard.

    One JSON line says when it is ready; ``resource`` in it is what pySerial's ``serial_for_url`` opens.

    Parameters
    ----------
    speed : float
        Simulated seconds per real second.
    port : int or None
        TCP port on loopback (``socket://``), 0 for any free one; None: a pty where the system has them.
    clock : ScaledClock or None
        That of a whole lab, of the same speed; None: one of its own.

    Raises
    ------
    InputError
        Settings or fault script cannot be used, or the port is taken.
    """
    serve_alone(
        "eurotherm",
        lambda own: open_simulator(
            station=station,
            state_dir=state_dir,
            clock=own,
            seed=seed,
            sample=sample,
            settings=settings,
            faults=faults,
        ),
        describe=lambda server: {"resource": resource(server)},
        new_port=lambda simulator: simulator.new_port(),
        station=station,
        state_dir=state_dir,
        speed=speed,
        port=port if port is not None or has_pty() else 0,
        clock=clock,
        stopped=stopped,
        out=out,
    )


def resource(server: Server) -> str:
    """Return what pySerial opens to reach a server."""
    return server.pty_path if server.pty_path is not None else f"socket://127.0.0.1:{server.tcp_port}"
