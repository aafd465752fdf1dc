"""Simulated Metrohm Autolab: the vendor's SDK over a potentiostat, a cell and an oven that do not exist.

Nothing heavy is loaded before one of its names is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labctl_sim_autolab._wire import FakeSdk, InstrumentLink, SimulatedAutolab, open_simulator

__all__ = ["FakeSdk", "InstrumentLink", "SimulatedAutolab", "open_simulator"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from labctl_sim_autolab import _wire

        return getattr(_wire, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
