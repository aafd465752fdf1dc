"""Lists beside Bruker data: delays (``vdlist``) and pulse lengths (``vplist``), in seconds."""

from __future__ import annotations

from pathlib import Path


def read_delays(path: Path) -> tuple[float, ...]:
    """Return the delays [s] of a ``vd`` list; a bare number is in seconds, suffixes ``s m u n`` are understood."""
    raise NotImplementedError(path)


def read_pulses(path: Path) -> tuple[float, ...]:
    """Return the pulse lengths [s] of a ``vp`` list; a bare number is in microseconds."""
    raise NotImplementedError(path)
