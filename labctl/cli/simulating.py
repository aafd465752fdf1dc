"""``labctl simulate``: a simulated instrument alone, on a scaled clock, for any client."""

from __future__ import annotations

import importlib
from pathlib import Path

from labctl.cli.locating import lab_file, sample_file
from labctl.errors import InputError


def simulate_command(
    instrument: str,
    directory: Path,
    sample: str | None,
    lab: Path | None,
    speed: float,
    seed: int,
    faults: Path | None,
) -> None:
    """Serve one simulated instrument until interrupted; one JSON line says when it is ready, and where."""
    from labctl.protocol.load import load_lab

    if not speed > 0:
        raise InputError(f"--speed {speed} cannot be used", expected="more than 0")
    path = lab_file(lab)
    loaded = load_lab(path).model
    stations = {name: station for name, station in loaded.stations.items() if station.driver == instrument}
    if not stations:
        known = ", ".join(sorted({station.driver for station in loaded.stations.values()}))
        raise InputError(f"no station of lab {loaded.lab} is a {instrument!r}", expected=f"one of {known}")
    name, station = next(iter(stations.items()))
    try:
        server = importlib.import_module(f"labctl_sim_{instrument}.server")
    except ImportError:
        raise InputError(f"the simulator of {instrument} cannot run alone yet") from None
    chosen = sample or station.sample
    if chosen is None:
        raise InputError("no sample to simulate is named", expected="--sample NAME")
    server.serve(
        station=name,
        state_dir=directory,
        sample=sample_file(chosen, beside=path),
        settings=station.simulator_settings(),
        seed=seed,
        speed=speed,
        faults=faults,
    )
