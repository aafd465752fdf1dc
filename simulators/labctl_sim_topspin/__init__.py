"""Simulated Bruker spectrometer: a TopSpin console with its AU programs, VT unit, rotor and receiver.

Nothing heavy is loaded before one of its names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl_sim_topspin._wire import ConsoleLink, SimulatedTopspin, open_simulator

__all__ = ["ConsoleLink", "SimulatedTopspin", "open_simulator"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from labctl_sim_topspin import _wire

        return getattr(_wire, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
