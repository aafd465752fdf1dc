"""What is true of any oven, whatever controls it: settling, the watch over its heater, limits, and the station.

No driver: drivers of temperature controllers build on it, and drivers whose cell stands in an oven may too.
"""

from __future__ import annotations

from labctl_oven._cell_lag import CellLag
from labctl_oven._heater_watch import HeaterWatch, WatchSettings
from labctl_oven._limits import SAFE_SETPOINT_K, OvenLimits, read_limits
from labctl_oven._pause import pause
from labctl_oven._preflight import Survey, Surveyed, oven_checks
from labctl_oven._reader import SettingsReader, read_watch
from labctl_oven._settling import Settling
from labctl_oven._station import OvenStation

__all__ = [
    "SAFE_SETPOINT_K",
    "CellLag",
    "HeaterWatch",
    "OvenLimits",
    "OvenStation",
    "SettingsReader",
    "Settling",
    "Survey",
    "Surveyed",
    "WatchSettings",
    "oven_checks",
    "pause",
    "read_limits",
    "read_watch",
]
