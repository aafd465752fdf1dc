"""Whether something happens at a tick, for a stretch of constant current: one small function of the tick.

A runner looks for the tick at which a voltage is reached by halving, some sixteen looks for each record of a test. What
cannot change within a stretch is worked out once here, before them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from labctl_sim_maccor._procedure import End, Reports, TICK_s
from labctl_sim_maccor._progress import Limits, Test


def sudden_at(
    volts_after: Callable[[float], float],
    test: Test,
    ends: Sequence[End],
    limits: Limits,
    *,
    hold_V: float | None,
    reports: Reports,
) -> Callable[[int], bool] | None:
    """Return the function of the tick that says whether anything has happened; None where it takes a look at more.

    Parameters
    ----------
    volts_after : callable
        Voltage at the terminals so long [s] after the stretch began.
    hold_V : float or None
        The voltage that is held from then on, if the step has one.
    reports : Reports
        By how much the voltage has to change for a record.
    """
    amps = test.current_A
    over_A = amps > limits.ISafeChg or -amps > abs(limits.ISafeDis)
    changed = reports.amps is not None and abs(amps - test.reported_A) >= reports.amps
    if test.holding or test.direct or over_A or changed or (hold_V is not None and not amps):
        return None
    most_W = abs(limits.PBatSafeChg if amps > 0.0 else limits.PBatSafeDis) or math.inf
    below_V, above_V, until_ticks, until_Ah = -math.inf, math.inf, math.inf, math.inf
    for end in ends:
        level = end.level.at(test.crate_Ah, test.variables)
        if end.quantity == "step_time":
            until_ticks = min(until_ticks, test.step_began + level)
        elif end.quantity == "test_time":
            until_ticks = min(until_ticks, level)
        elif end.quantity == "voltage" and end.oper == "<=":
            below_V = max(below_V, level)
        elif end.quantity == "voltage":
            above_V = min(above_V, level)
        elif end.quantity == "amp_hour" and end.oper == ">=" and amps:
            until_Ah = min(until_Ah, level - 1e-15)
        elif end.quantity == "amp_hour" and end.oper == ">=" and level - 1e-15 > 0.0:
            continue  # the column reads 0 in a rest
        else:
            return None
    if hold_V is not None and amps > 0.0:
        above_V = min(above_V, hold_V)
    elif hold_V is not None and amps < 0.0:
        below_V = max(below_V, hold_V)
    step_V, reported_V = math.inf if reports.volts is None else reports.volts, test.reported_V
    least_V, most_V = limits.VSafeMin, limits.VSafeMax
    anchor, begun_Ah, flows_A = test.anchor, test.capacity_Ah, abs(amps)

    def sudden(ticks: int) -> bool:
        after_s = (ticks - anchor) * TICK_s
        volts = volts_after(after_s)
        return (
            volts <= below_V
            or volts >= above_V
            or abs(volts - reported_V) >= step_V
            or not least_V <= volts <= most_V
            or ticks >= until_ticks
            or begun_Ah + flows_A * after_s / 3600.0 >= until_Ah
            or most_W < abs(amps * volts)
        )

    return sudden
