"""A simulated bath thermostat: its liquid, its loop, its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl_sim_bath._wire import InstrumentLink, SimulatedBath, open_simulator

__all__ = ["InstrumentLink", "SimulatedBath", "open_simulator"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from labctl_sim_bath import _wire

        return getattr(_wire, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
