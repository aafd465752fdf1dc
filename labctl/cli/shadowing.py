"""``labctl run --shadow``: a real lab (or a simulated one) gone through with heat, pulses and current off."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.cli.doctoring import errands_of, line, of_made_up_stations
from labctl.cli.locating import lab_file
from labctl.cli.planning import checked
from labctl.errors import InputError, SafetyRefusal

if TYPE_CHECKING:
    from labctl.cli.planning import Checked
    from labctl.clock import Clock
    from labctl.station.shadow import ShadowStep

_START_S = 1_767_636_000.0  # 2026-01-05 18:00 UTC: simulated labs begin there


def shadow_command(protocol: Path, lab: Path | None, simulate: str | None, directory: Path | None, seed: int) -> int:
    """Go through every step, say what would be done, write shadow.json; return 0, or 3 if a step could not be."""
    from labctl.clock import SystemClock, VirtualClock
    from labctl.run.ownership import StationOwnership, default_state_dir
    from labctl.station.preflight import look_at_station
    from labctl.station.shadow import shadow
    from labctl.station.stations import open_instruments

    lab_path = lab_file(lab)
    done = checked(protocol, lab_path, start_s=time.time())
    stations = {name: done.lab.model.station(name) for name in errands_of(done)}
    simulated = simulate is not None
    unreal = [name for name, station in stations.items() if station.simulated]
    if unreal and not simulated:
        raise SafetyRefusal(
            f"station {', '.join(unreal)} of lab {done.lab.model.lab} exists only in simulators",
            next_step="Rehearse the shadow with --shadow --simulate, or name the lab file of real hardware with --lab",
        )
    run_dir = _folder(directory, done.plan.campaign)
    state_dir = run_dir / "simulated-lab" if simulated else default_state_dir()
    clock: Clock = VirtualClock(_START_S) if simulated else SystemClock()
    visited: list[ShadowStep] = []
    with contextlib.ExitStack() as closing:
        for name in stations:  # nobody else's engine may be at work there meanwhile
            closing.callback(StationOwnership(state_dir, name).release)
        opened = open_instruments(
            stations,
            clock=clock,
            simulate=simulated,
            state_dir=state_dir,
            sample=_sample(simulate, done, lab_path),
            seed=seed,
        )
        closing.callback(opened.close)
        for name, instrument in opened.instruments.items():
            closing.callback(instrument.close)
            for check in look_at_station(name, lambda one=instrument: one, errands_of(done)[name]).checks:  # type: ignore[misc]  # a bound default
                if check.verdict != "ok":
                    print(f"{name}: {check.verdict}: {line(check)}", file=sys.stderr)
        if simulated:
            print(of_made_up_stations(list(stations)), file=sys.stderr)
        for step in shadow(done.plan, opened.instruments):
            visited.append(step)
            print(f"{step.step_id}: {step.fault or '; '.join(step.would)}")
    faults = [step for step in visited if step.fault]
    document = {
        "campaign": done.plan.campaign,
        "lab": done.lab.model.lab,
        "simulated": simulated,
        "protocol_sha256": _kept(protocol, run_dir / "protocol.yaml"),
        "lab_sha256": _kept(lab_path, run_dir / "lab.yaml"),
        "steps": [asdict(step) for step in visited],
    }
    (run_dir / "shadow.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    of_all = f"{len(visited)} of {len(done.plan.steps)} steps"
    print(f"{of_all} visited with heat, pulses and current off; {len(faults)} faults")
    print(f"what would have been done: {run_dir / 'shadow.json'}")
    return 3 if faults else 0


def _kept(file: Path, copy: Path) -> str:
    """Copy a file into the folder, and return its hash: `labctl sign` has to know what was gone through."""
    copy.write_bytes(file.read_bytes())
    return hashlib.sha256(copy.read_bytes()).hexdigest()


def _folder(directory: Path | None, campaign: str) -> Path:
    from labctl.cli.running import new_folder

    run_dir = directory or new_folder(f"{campaign}-shadow")
    if run_dir.exists() and any(run_dir.iterdir()):
        raise InputError(f"{run_dir} is not empty", next_step="Name another folder with --dir")
    run_dir.mkdir(parents=True, exist_ok=True)
    return run_dir


def _sample(simulate: str | None, done: Checked, lab_path: Path) -> Path | None:
    if simulate is None:
        return None
    from labctl.cli.samples import samples_of

    return samples_of(simulate, done.protocol.model, done.lab.model, lab_path)[0]
