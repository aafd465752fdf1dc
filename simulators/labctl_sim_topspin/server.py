"""The simulated console alone, in real or scaled time, for anybody who works with its folders."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from labctl.clock import ScaledClock
from labctl.errors import LabctlError
from labctl_sim_topspin._state import time_of_lab
from labctl_sim_topspin._wire import SimulatedTopspin, open_simulator

_TICK_s = 0.2  # real time between two looks at the keyboard folder
KEYBOARD = "keyboard"
"""Folder in which a client types: each file is one command line; the answer is left beside it as ``.done``."""


def kept_time_s(state_dir: Path) -> float | None:
    """Return the time a kept console has reached; None where there is none yet."""
    return time_of_lab(state_dir)


def serve(
    *,
    station: str,
    state_dir: Path,
    sample: Path,
    settings: Mapping[str, Any],
    seed: int,
    speed: float = 1.0,
    faults: Path | None = None,
    clock: ScaledClock | None = None,
    stopped: Callable[[], bool] = lambda: False,
    out: TextIO | None = None,
) -> None:
    """Run the console until `stopped` or interrupted from the keyboard.

    One JSON line on standard output says when it is ready, and where its folders are. Nobody can type on it but
    through the folder ``keyboard``: a file ``<name>.cmd`` with one command line is carried out and renamed to
    ``<name>.done`` (or ``<name>.refused``, with the reason in it).

    Parameters
    ----------
    speed : float
        Simulated seconds per real second.
    clock : ScaledClock or None
        That of a whole lab, of the same speed; None: one of its own.

    Raises
    ------
    InputError
        Settings, sample or fault script cannot be used.
    """
    state_dir = state_dir.absolute()
    keyboard = state_dir / KEYBOARD
    keyboard.mkdir(parents=True, exist_ok=True)
    if clock is None:
        own_s = kept_time_s(state_dir)  # a lab that is kept goes on in its own time
        clock = ScaledClock(start_s=time.time() if own_s is None else own_s, speed=speed)
    simulator = open_simulator(
        station=station, state_dir=state_dir, clock=clock, seed=seed, sample=sample, settings=settings, faults=faults
    )
    link = simulator.link()
    ready = {
        "instrument": "topspin",
        "station": station,
        "state_dir": str(state_dir),
        "au_dir": str(link.au_dir),
        "lists_dir": str(link.lists_dir),
        "data_dir": str(link.data_dir),
        "job_dir": str(link.job_dir),
        "keyboard": str(keyboard),
        "speed": speed,
        "now_s": simulator.now_s(),
    }
    print(json.dumps(ready), file=out, flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        while not stopped():
            simulator.console.advance(clock.now_s(), alone=True)
            _type(simulator, keyboard)
            next_s = simulator.next_event_s()
            tick_s = clock.now_s() + _TICK_s * speed
            clock.wait_until(tick_s if next_s is None else min(next_s, tick_s))
    simulator.close()


def _type(simulator: SimulatedTopspin, keyboard: Path) -> None:
    for path in sorted(keyboard.glob("*.cmd")):
        command = path.read_text(encoding="utf-8").strip()
        answer, text = path.with_suffix(".done"), "done"
        try:
            simulator.console.launch(command)
        except LabctlError as refusal:
            answer, text = path.with_suffix(".refused"), str(refusal)
        answer.write_text(f"{command}\n{text}\n", encoding="utf-8")
        path.unlink()
