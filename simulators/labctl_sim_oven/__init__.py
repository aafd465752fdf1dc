"""An oven on a bench: its heat, its loop, its faults, its state on disk, and the line to it.

Shared by the simulators of temperature controllers, which add their vendors' registers and grammar.
"""

from __future__ import annotations

from labctl_sim_oven._alone import kept_time_s, serve_alone
from labctl_sim_oven._lab import Hit, Lab, last_state
from labctl_sim_oven._oven import Ailments, Oven, SAMPLING_s, plain_of
from labctl_sim_oven._physics import Nodes, Thermal, after, keyed_normal, propagator
from labctl_sim_oven._port import Port
from labctl_sim_oven._regulator import Gains, Mode, Regulator, regulated, walked
from labctl_sim_oven._serving import Server, has_pty
from labctl_sim_oven._settings import read_block
from labctl_sim_oven.faults import FAULTS, Fault, load_faults

__all__ = [
    "FAULTS",
    "Ailments",
    "Fault",
    "Gains",
    "Hit",
    "Lab",
    "Mode",
    "Nodes",
    "Oven",
    "Port",
    "Regulator",
    "SAMPLING_s",
    "Server",
    "Thermal",
    "after",
    "has_pty",
    "kept_time_s",
    "keyed_normal",
    "last_state",
    "load_faults",
    "plain_of",
    "propagator",
    "read_block",
    "regulated",
    "serve_alone",
    "walked",
]
