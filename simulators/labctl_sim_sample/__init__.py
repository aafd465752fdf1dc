"""The matter in the rotor or between electrodes: physics shared by the simulators, read from a sample file.

Nothing heavy is loaded before one of its names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl_sim_sample._cell import CellSample, CellState
    from labctl_sim_sample._load import Sample, load_sample
    from labctl_sim_sample._nmr import NmrSample, Receiver
    from labctl_sim_sample._pellet import EisSample

__all__ = ["CellSample", "CellState", "EisSample", "NmrSample", "Receiver", "Sample", "load_sample"]


def __getattr__(name: str) -> object:
    if name in {"Sample", "load_sample"}:
        from labctl_sim_sample import _load

        return getattr(_load, name)
    if name in {"NmrSample", "Receiver"}:
        from labctl_sim_sample import _nmr

        return getattr(_nmr, name)
    if name in {"CellSample", "CellState"}:
        from labctl_sim_sample import _cell

        return getattr(_cell, name)
    if name == "EisSample":
        from labctl_sim_sample import _pellet

        return _pellet.EisSample
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
