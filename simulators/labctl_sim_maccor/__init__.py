"""Simulated Maccor 4000 cycler: MacNet's JSON and binary ports, procedures run on a cell, text exports.

Nothing is loaded before one of its names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl_sim_maccor._simulator import InstrumentLink, SimulatedMaccor, open_simulator

__all__ = ["InstrumentLink", "SimulatedMaccor", "open_simulator"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from labctl_sim_maccor import _simulator

        return getattr(_simulator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
