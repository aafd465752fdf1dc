"""What can go wrong on the simulated instruments: one script format, one registry, one table.

A simulator declares its faults as `FaultKind` in a module ``faults`` of its own (a mapping ``FAULTS`` of name to
kind, and ``STATION``, what it is a simulator of). From that follow the reader of fault scripts (`read_script`), the
check of a script for a whole lab (`check_script`), and the table in ``simulators/README.md``
(``python -m labctl_sim_faults``).
"""

from __future__ import annotations

from labctl_sim_faults._check import check_script
from labctl_sim_faults._kinds import FaultKind, Parameter, Reaction, Trigger
from labctl_sim_faults._registry import Registry, registry
from labctl_sim_faults._script import Entry, read_script

__all__ = [
    "Entry",
    "FaultKind",
    "Parameter",
    "Reaction",
    "Registry",
    "Trigger",
    "check_script",
    "read_script",
    "registry",
]
