"""When the ends of a step are reached."""

from __future__ import annotations

import math

from labctl_sim_maccor._procedure import End, TICK_s
from labctl_sim_maccor._progress import Moment, Test

AMBIENT_CELSIUS = 24.0
FAR_TICKS = 1 << 40


def reached(end: End, test: Test, moment: Moment) -> bool:
    """Whether an end is reached at a moment."""
    level = end.level.at(test.crate_Ah, test.variables)
    match end.quantity:
        case "step_time":
            return moment.ticks - test.step_began >= level
        case "test_time":
            return moment.ticks >= level
        case "voltage":
            value = moment.volts
        case "current":
            value = abs(moment.amps)
        case "amp_hour":  # the column reads 0 in a rest
            value = moment.capacity_Ah if moment.amps else 0.0
            level -= 1e-15
        case "watt_hour":
            value = moment.energy_Wh if moment.amps else 0.0
        case "cycle":
            value = float(test.cycle)
        case "celsius":
            value = AMBIENT_CELSIUS
        case "loop":
            return False
    return value <= level if end.oper == "<=" else value >= level


def due(end: End, test: Test) -> int:
    """Return the tick at which an end that only depends on time or charge is reached; `FAR_TICKS` for any other."""
    level = end.level.at(test.crate_Ah, test.variables)
    if end.quantity == "step_time":
        return test.step_began + int(level)
    if end.quantity == "test_time":
        return int(level)
    if end.quantity == "amp_hour" and test.current_A and end.oper == ">=":
        left_s = (level - test.capacity_Ah) * 3600.0 / abs(test.current_A)
        return test.anchor + max(0, math.ceil(left_s / TICK_s - 1e-9))
    return FAR_TICKS
