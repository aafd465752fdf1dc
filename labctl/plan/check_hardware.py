"""Hardware limits and signatures of a station against each other and against what is mounted. Pure.

Where a figure is the field's and not the lab file's (rates of rotors, materials of cells), it only warns: the manuals
of probe, rotor and cell win.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from labctl.errors import SafetyRefusal
from labctl.ports import Acquire, Check, CycleCell, SetTemperature, SweepImpedance, Task
from labctl.protocol.lab import Frictional, Lab, Limits, Station, refuse_unless_ready

ROTOR_MAX_Hz: Mapping[str, float] = {"4.0 mm": 15e3, "3.2 mm": 24e3, "2.5 mm": 35e3, "1.3 mm": 67e3}
"""Highest usual MAS rate by outer diameter of a zirconia rotor; the rotor's own manual wins."""

_PEEK_K = 273.15 + 143.0
_INDIUM_K = 273.15 + 156.6
_FRAME_K = 273.15 + 50.0
_MELT_MARGIN_K = 5.0


def check_hardware(lab: Lab, name: str, tasks: Sequence[Task], commissions: str = "") -> tuple[Check, ...]:
    """Return what the lab file says for and against a real run on a station.

    Parameters
    ----------
    tasks : sequence of Task
        What the campaign wants of it.
    commissions : str
        The commissioning stage the campaign is there for, if it is.

    Raises
    ------
    InputError
        No such station.
    """
    station = lab.station(name)
    limits = station.limits
    return (
        _readiness(lab, name, commissions),
        *_consistent(limits),
        *_cold_and_hot(limits, tasks),
        *_rotor(station, tasks),
        *_radio(station, tasks),
        *_cell(limits, tasks),
    )


def _readiness(lab: Lab, name: str, commissions: str) -> Check:
    station = lab.station(name)
    try:
        refuse_unless_ready(lab, name, commissions)
    except SafetyRefusal as problem:
        return Check(
            verdict="warning" if station.simulated else "refuse",
            what=problem.what,
            expected=problem.expected,
            next_step="" if station.simulated else problem.next_step,
        )
    signed = ", ".join(f"{one.stage} {one.date} {one.initials}" for one in station.commissioning)
    what = "hardware limits are set and commissioning stages are signed"
    if commissions:
        what += f" as far as the stage {commissions} needs them"
    return Check(verdict="ok", what=what, value=signed)


def _consistent(limits: Limits) -> Iterator[Check]:
    """Limits that contradict each other protect nobody."""
    pairs = (
        ("sensor_min", limits.sensor_min_K, "sensor_max", limits.sensor_max_K, "K"),
        ("coldest_gas", limits.coldest_gas_K, "sensor_max", limits.sensor_max_K, "K"),
        ("gas_min", limits.gas_min_L_per_h, "gas_max", limits.gas_max_L_per_h, "L/h"),
        ("voltage_min", limits.voltage_min_V, "voltage_max", limits.voltage_max_V, "V"),
    )
    for low_name, low, high_name, high, unit in pairs:
        if low is not None and high is not None and low >= high:
            yield Check(
                verdict="refuse",
                what=f"limits.{low_name} is not below limits.{high_name}",
                value=f"{low:g} {unit}, {high:g} {unit}",
                next_step="Correct the lab file",
            )
    hot_Hz, cold_Hz = limits.spinning_max_hot_Hz, limits.spinning_max_Hz
    if hot_Hz is not None and cold_Hz is not None and hot_Hz > cold_Hz:
        yield Check(
            verdict="refuse",
            what="limits.spinning_max_hot is above limits.spinning_max: a hot rotor bears less, not more",
            value=f"{hot_Hz:g} Hz, {cold_Hz:g} Hz",
        )
    if (hot_Hz is None) != (limits.hot_above_K is None):
        yield Check(
            verdict="refuse",
            what="limits.spinning_max_hot and limits.hot_above belong together",
            expected="both or none",
        )


def _cold_and_hot(limits: Limits, tasks: Sequence[Task]) -> Iterator[Check]:
    set_points = [task for task in tasks if isinstance(task, SetTemperature)]
    if not set_points:
        return
    coldest_K, hottest_K = min(t.setpoint_K for t in set_points), max(t.setpoint_K for t in set_points)
    sample_K = max(t.sample_K for t in set_points)
    faults = []
    for what, value, bound, sign in (
        ("coldest set point", coldest_K, limits.sensor_min_K, -1),
        ("coldest set point", coldest_K, limits.coldest_gas_K, -1),
        ("hottest set point", hottest_K, limits.sensor_max_K, +1),
        ("hottest sample", sample_K, limits.sample_max_K, +1),
    ):
        if bound is not None and sign * (value - bound) > 1e-6:
            faults.append(f"{what} {value:.1f} K against {bound:.1f} K")
    yield Check(
        verdict="refuse" if faults else "ok",
        what="temperatures of the campaign against the limits",
        value="; ".join(faults) or f"set points {coldest_K:.1f} to {hottest_K:.1f} K, sample at most {sample_K:.1f} K",
    )
    if hottest_K > _FRAME_K and limits.frame_cooling_above_K is not None and limits.frame_cooling is not True:
        yield Check(
            verdict="refuse",
            what="the campaign goes where shim and frame cooling must run",
            value=f"{hottest_K:.1f} K",
            expected=f"frame_cooling: true above {limits.frame_cooling_above_K:.1f} K",
            next_step="Start it, and say so in the lab file",
        )


def _rotor(station: Station, tasks: Sequence[Task]) -> Iterator[Check]:
    calibration, limit_Hz = station.calibration, station.limits.spinning_max_Hz
    if isinstance(calibration, Frictional) and limit_Hz is not None:
        usual_Hz = ROTOR_MAX_Hz[calibration.rotor]
        if limit_Hz > usual_Hz:
            yield Check(
                verdict="warning",
                what=f"limits.spinning_max is above what a {calibration.rotor} rotor usually bears",
                value=f"{limit_Hz:g} Hz",
                expected=f"at most {usual_Hz:g} Hz, unless its manual says otherwise",
            )
    rates_Hz = {task.spinning_Hz for task in tasks if isinstance(task, Acquire)}
    hot = station.limits.hot_above_K
    for task in tasks:
        if not isinstance(task, Acquire) or hot is None or task.sample_K < hot:
            continue
        hot_Hz = station.limits.spinning_max_hot_Hz
        if hot_Hz is not None and task.spinning_Hz > hot_Hz:
            yield Check(
                verdict="refuse",
                what=f"the rotor is hot ({task.sample_K:.1f} K) and too fast",
                value=f"{task.spinning_Hz:g} Hz",
                expected=f"at most {hot_Hz:g} Hz above {hot:.1f} K",
            )
            break
    if rates_Hz and limit_Hz is not None:
        fast = max(rates_Hz) > limit_Hz
        yield Check(
            verdict="refuse" if fast else "ok",
            what="MAS rate of the campaign",
            value=f"{max(rates_Hz):g} Hz",
            expected=f"at most {limit_Hz:g} Hz" if fast else "",
        )


def _radio(station: Station, tasks: Sequence[Task]) -> Iterator[Check]:
    limits = station.limits
    nuclei = {task.nucleus for task in tasks if isinstance(task, Acquire)}
    for name in sorted(nuclei):
        probe = station.nuclei.get(name)
        if probe is None or probe.power_W is None or limits.power_max_W is None:
            continue
        strong = probe.power_W > limits.power_max_W
        yield Check(
            verdict="refuse" if strong else "ok",
            what=f"pulse power on {name}",
            value=f"{probe.power_W:g} W",
            expected=f"at most {limits.power_max_W:g} W" if strong else "",
        )


def _cell(limits: Limits, tasks: Sequence[Task]) -> Iterator[Check]:
    """Materials of pellet cells: PEEK softens, indium melts; set points do not protect against overshoot."""
    if not any(isinstance(task, SweepImpedance | CycleCell) for task in tasks):
        return
    hottest_K = limits.sample_max_K
    if hottest_K is None:
        return
    for what, bound_K in (("PEEK softens at about 143 °C", _PEEK_K), ("indium melts at 157 °C", _INDIUM_K)):
        if hottest_K > bound_K - _MELT_MARGIN_K:
            yield Check(
                verdict="warning",
                what=f"limits.sample_max lets the cell come to where {what}",
                value=f"{hottest_K - 273.15:.1f} °C",
                next_step="Lower it if the cell is made of that; overshoot counts",
            )
