"""Faults of this simulated controller: those of any oven that it can have."""

from __future__ import annotations

from labctl_sim_oven.faults import STATION, faults_of

__all__ = ["FAULTS", "STATION"]

FAULTS = faults_of("eurotherm")
