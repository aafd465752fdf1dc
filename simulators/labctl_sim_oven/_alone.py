"""A simulated controller by itself: ready line, clock of its own, until somebody ends it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TextIO, TypeVar

from labctl.clock import ScaledClock
from labctl.errors import InputError
from labctl_sim_oven._lab import Lab, last_state
from labctl_sim_oven._port import Port
from labctl_sim_oven._serving import Server


class Alone(Protocol):
    """What a simulated controller must offer to be served."""

    lab: Lab

    def close(self) -> None: ...


Simulated = TypeVar("Simulated", bound=Alone)


def kept_time_s(state_dir: Path) -> float | None:
    """Return the time a kept oven has reached; None where there is none yet."""
    _, kept = last_state(state_dir)
    return None if kept is None else float(kept["now_s"])


def serve_alone(
    instrument: str,
    open_it: Callable[[ScaledClock], Simulated],
    *,
    describe: Callable[[Server], Mapping[str, str]],
    new_port: Callable[[Simulated], Port],
    station: str,
    state_dir: Path,
    speed: float,
    port: int | None,
    clock: ScaledClock | None = None,
    stopped: Callable[[], bool] = lambda: False,
    out: TextIO | None = None,
) -> None:
    """Serve a simulated controller until `stopped` or interrupted; one JSON line says when it is ready and where.

    Parameters
    ----------
    describe : callable
        What the ready line says of the line to it.
    port : int or None
        TCP port, 0 for any free one; None: a pty.
    clock : ScaledClock or None
        That of a whole lab, of the same speed; None: one of its own.

    Raises
    ------
    InputError
        The port is taken.
    """
    if clock is None:
        own_s = kept_time_s(state_dir)
        clock = ScaledClock(start_s=time.time() if own_s is None else own_s, speed=speed)
    simulator = open_it(clock)
    try:
        server = Server(simulator.lab, lambda: new_port(simulator), clock, speed=speed, port=port)
    except OSError as problem:
        raise InputError(
            f"port {port} cannot be had: {problem.strerror or problem}", expected="a free port, or none named"
        ) from None
    ready = {
        "instrument": instrument,
        "station": station,
        "state_dir": str(state_dir),
        "port": server.tcp_port,
        "pty": server.pty_path,
        **describe(server),
        "speed": speed,
        "now_s": simulator.lab.now_s(),
    }
    print(json.dumps(ready), file=out, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(stopped)
    simulator.close()
