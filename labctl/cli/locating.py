"""Where the files that come with labctl are: in the wheel or beside the source."""

from __future__ import annotations

from pathlib import Path

import labctl
from labctl.errors import InputError

DEFAULT_LAB = "labs/simulated.yaml"


def shipped_protocols() -> Path:
    """Return the folder of ready protocols, labs and samples."""
    package = Path(labctl.__file__).resolve().parent
    for folder in (package / "_protocols", package.parent / "protocols"):
        if folder.is_dir():
            return folder
    raise InputError("the protocols that come with labctl are missing", next_step="Install labctl again.")


def lab_file(path: Path | None) -> Path:
    """Return the lab file asked for, or the simulated lab."""
    return path if path is not None else shipped_protocols() / DEFAULT_LAB


def sample_file(name: str, *, beside: Path) -> Path:
    """Return a sample file by path or by the name of one that comes with labctl.

    `beside` is the lab or protocol file that names it: a relative path is first taken from there.
    """
    candidates = [Path(name), beside.parent / name]
    samples = shipped_protocols() / "samples"
    candidates += [samples / name, samples / f"{name}.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known = ", ".join(sorted(path.stem for path in samples.glob("*.yaml")))
    raise InputError(f"no sample file {name!r}", expected=f"a path, or one of {known}")
