"""``labctl simulate``: a simulated instrument alone, on a scaled clock, for any client."""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from labctl.cli.locating import lab_file, sample_file
from labctl.cli.simulating_lab import simulate_all_command
from labctl.errors import InputError


def simulate_command(
    instrument: str,
    directory: Path | None,
    sample: str | None,
    lab: Path | None,
    speed: float,
    seed: int,
    faults: Path | None,
    port: int | None = None,
    own: Mapping[str, Any] | None = None,
) -> None:
    """Serve one simulated instrument, or ``all`` of a lab, until interrupted; a JSON line says when it is ready.

    The instrument's settings are those of its first station in the lab file; an instrument that needs no sample is
    served with its own defaults where the simulated lab has none. Without a folder its state stands in a temporary
    one, which stays.
    """
    if not speed > 0:
        raise InputError(f"--speed {speed} cannot be used", expected="more than 0")
    if port is not None and not 0 <= port <= 65535:
        raise InputError(f"--port {port} cannot be used", expected="0 (any free one) to 65535")
    if instrument == "all":
        if given := [key for key, value in (own or {}).items() if value is not None]:
            raise InputError(f"--{given[0].replace('_', '-')} is an option of one instrument, not of a lab")
        simulate_all_command(directory, sample, lab, speed, seed, faults, port or None)
        return
    server = _server(instrument)
    takes = inspect.signature(server.serve).parameters
    options: dict[str, Any] = {}
    if "port" in takes:
        options["port"] = port
    elif port is not None:
        raise InputError(f"the simulator of {instrument} has no port", expected="no --port: it works with folders")
    for key, value in (own or {}).items():  # what only some instruments have
        if key in takes:
            options[key] = value
        elif value is not None:
            raise InputError(f"the simulator of {instrument} takes no --{key.replace('_', '-')}")
    needs_sample = takes["sample"].default is inspect.Parameter.empty
    name, settings, named_sample, path = _station(instrument, lab, needed=needs_sample)
    chosen = sample or named_sample or getattr(server, "DEFAULT_SAMPLE", None)
    if chosen is None and needs_sample:
        raise InputError("no sample to simulate is named", expected="--sample NAME")
    if chosen is not None:
        options["sample"] = sample_file(chosen, beside=path)
    server.serve(
        station=name,
        state_dir=directory or Path(tempfile.mkdtemp(prefix=f"labctl-{instrument}-")),
        settings=settings,
        seed=seed,
        speed=speed,
        faults=faults,
        **options,
    )


def _server(instrument: str) -> Any:
    """Return the module that serves an instrument alone."""
    installed = {entry.name: entry.module for entry in entry_points(group="labctl.simulators")}
    if instrument not in installed:
        known = ", ".join([*sorted(installed), "all"])
        raise InputError(f"there is no simulator of {instrument!r}", expected=f"one of {known}")
    try:
        return importlib.import_module(f"{installed[instrument]}.server")
    except ImportError:
        raise InputError(f"the simulator of {instrument} cannot run alone yet") from None


def _station(instrument: str, lab: Path | None, *, needed: bool) -> tuple[str, Mapping[str, Any], str | None, Path]:
    """Return name, settings and sample of the first station of this kind, and the lab file."""
    from labctl.protocol.load import load_lab

    path = lab_file(lab)
    loaded = load_lab(path).model
    for name, station in loaded.stations.items():
        if station.driver == instrument:
            return name, station.simulator_settings(), station.sample, path
    if needed or lab is not None:
        known = ", ".join(sorted({station.driver for station in loaded.stations.values()}))
        raise InputError(f"no station of lab {loaded.lab} is a {instrument!r}", expected=f"one of {known}")
    return instrument, {}, None, path
