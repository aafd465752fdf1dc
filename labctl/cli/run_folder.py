"""The run folder: what a run was started with, frozen, so that a resume years later means the same.

::

    <dir>/protocol.yaml  lab.yaml  run.json      as run, with their hashes
          simulated-lab/                         dry runs only: the instruments' own state, sample and fault script
          journal.sqlite  datasets/  readings/  <station>/...     the engine's
          results.json  report.html  figures/                     made again at any time
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labctl import __version__
from labctl.errors import InputError

JOURNAL = "journal.sqlite"
SIMULATED_LAB = "simulated-lab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a campaign was started; `run.json`.

    `start_s` is the simulated start [s since 1970 UTC] of a dry run, 0 for a real one. `attended` says who was
    present at a stage that was commissioned.
    """

    simulated: bool
    seed: int
    start_s: float
    protocol_sha256: str
    lab_sha256: str
    protocol_from: str
    lab_from: str
    labctl: str = __version__
    attended: str = ""


def freeze(
    run_dir: Path,
    *,
    protocol: Path,
    lab: Path,
    simulated: bool,
    sample: Path | None,
    faults: Path | None,
    seed: int,
    start_s: float,
    samples: Mapping[str, Path] | None = None,
    attended: str = "",
) -> Start:
    """Make the run folder and copy into it what the run depends on.

    Raises
    ------
    InputError
        The folder holds something already, or cannot be made or written to; nothing in it was touched.
    """
    try:
        return _freeze(
            run_dir,
            protocol,
            lab,
            sample,
            faults,
            samples or {},
            simulated=simulated,
            seed=seed,
            start_s=start_s,
            attended=attended,
        )
    except OSError as problem:
        raise InputError(
            f"the run folder {run_dir} cannot be made ({problem.strerror or problem})",
            next_step="Name a folder that can be written to with --dir",
        ) from None


def _freeze(
    run_dir: Path,
    protocol: Path,
    lab: Path,
    sample: Path | None,
    faults: Path | None,
    samples: Mapping[str, Path],
    *,
    simulated: bool,
    seed: int,
    start_s: float,
    attended: str,
) -> Start:
    if (run_dir / JOURNAL).exists():
        raise InputError(
            f"{run_dir} already holds a campaign",
            next_step=f"Go on with it (labctl resume {run_dir}) or name another folder with --dir",
        )
    if run_dir.exists() and any(run_dir.iterdir()):
        raise InputError(f"{run_dir} is not empty", next_step="Name another folder with --dir")
    run_dir.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(protocol, run_dir / "protocol.yaml")
    shutil.copyfile(lab, run_dir / "lab.yaml")
    if simulated:
        (run_dir / SIMULATED_LAB).mkdir()
        if sample is not None:
            shutil.copyfile(sample, run_dir / SIMULATED_LAB / "sample.yaml")
        if faults is not None:
            shutil.copyfile(faults, run_dir / SIMULATED_LAB / "faults.yaml")
    for name, file in samples.items():
        folder = run_dir / SIMULATED_LAB / "samples"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(file, folder / f"{name}.yaml")
    start = Start(
        simulated=simulated,
        seed=seed,
        start_s=start_s,
        protocol_sha256=_sha256(run_dir / "protocol.yaml"),
        lab_sha256=_sha256(run_dir / "lab.yaml"),
        protocol_from=protocol.name,
        lab_from=lab.name,
        attended=attended,
    )
    unfinished = run_dir / "run.json.tmp"  # last, and whole or not at all: what it stands in can be taken up
    unfinished.write_text(json.dumps(asdict(start), indent=2) + "\n", encoding="utf-8")
    unfinished.replace(run_dir / "run.json")
    return start


def thaw(run_dir: Path) -> Start:
    """Return how the campaign in a folder was started.

    Raises
    ------
    InputError
        No run folder, or its protocol or lab file is no longer what was run.
    """
    path = run_dir / "run.json"
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        start = Start(**document)
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{run_dir} is not a run folder (no run.json in it)", next_step="Name one") from None
    except (OSError, json.JSONDecodeError, TypeError, UnicodeDecodeError) as problem:
        raise InputError(f"{path} cannot be read: {problem}", expected="run.json as labctl wrote it") from None
    for name, expected in (("protocol.yaml", start.protocol_sha256), ("lab.yaml", start.lab_sha256)):
        file = run_dir / name
        if not file.is_file():
            raise InputError(f"{file} is missing", next_step="Put the frozen file back")
        if _sha256(file) != expected:
            raise InputError(
                f"{file} was changed since the campaign began",
                next_step="Put the frozen file back; a run keeps its plan",
            )
    return start


def unfreeze(run_dir: Path) -> None:
    """Take back what `freeze` made, so that the same command can be given again once its mistake is mended.

    A folder in which a campaign has begun (it has a journal) stays as it is.
    """
    if (run_dir / JOURNAL).exists():
        return
    for name in ("protocol.yaml", "lab.yaml", "run.json"):
        (run_dir / name).unlink(missing_ok=True)
    shutil.rmtree(run_dir / SIMULATED_LAB, ignore_errors=True)
    if not any(run_dir.iterdir()):
        run_dir.rmdir()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
