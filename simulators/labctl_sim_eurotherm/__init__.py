"""Simulated Eurotherm 2400 or 3200 temperature controller with an oven behind it, on Modbus RTU.

Nothing is loaded before one of its names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl_sim_eurotherm._wire import InstrumentLink, SimulatedEurotherm, open_simulator

__all__ = ["InstrumentLink", "SimulatedEurotherm", "open_simulator"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from labctl_sim_eurotherm import _wire

        return getattr(_wire, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
