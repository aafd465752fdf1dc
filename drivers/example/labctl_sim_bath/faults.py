"""Faults of the simulated bath: those of any oven, for fault scripts and their table."""

from __future__ import annotations

from labctl_sim_oven.faults import STATION, faults_of

__all__ = ["FAULTS", "STATION"]

FAULTS = faults_of("bath")
