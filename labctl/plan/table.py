"""The plan as rows of plain text, for whoever prints it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from labctl.plan import cycling
from labctl.plan.cost import rows as rows_of
from labctl.plan.estimate import Estimate, Timing, duty
from labctl.plan.steps import Step
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
    CycleCell,
    Exsy,
    SetTemperature,
    SweepImpedance,
    Tune,
)
from labctl.units import duration_text

COLUMNS = (
    "step",
    "what",
    "set point",
    "sample",
    "D1",
    "Tmix",
    "scans",
    "EXPNO",
    "RF on",
    "duty",
    "time",
    "begins",
    "disk",
)
"""Headings of `plan_rows`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; `spare` marks a settling check that is skipped once the line stands still."""

    step_id: str
    cells: tuple[str, ...]
    spare: bool


def plan_rows(estimate: Estimate, *, start_s: float | None = None, utc_offset_s: float = 0.0) -> tuple[Row, ...]:
    """Return one row per step, cells as in `COLUMNS`; times of day in the zone `utc_offset_s` east of Greenwich.

    Without `start_s` [s since 1970 UTC] the beginning is given as time since the start.
    """
    zone = timezone(timedelta(seconds=utc_offset_s))
    rows = []
    for timing in estimate.timings:
        begins = _since(timing.begin_s) if start_s is None else _clock(start_s + timing.begin_s, zone)
        step = timing.step
        cells = (step.id, _what(step), *_temperatures(step), *_acquisition(step), _hours(step.estimate_s), begins)
        rows.append(Row(step_id=step.id, cells=(*cells, bytes_text(step.disk_bytes)), spare=bool(step.skip_when)))
    return tuple(rows)


def summary_rows(estimate: Estimate, *, utc_offset_s: float = 0.0) -> tuple[tuple[str, str], ...]:
    """Return (name, value) pairs of the totals."""
    zone = timezone(timedelta(seconds=utc_offset_s))
    rows = [
        ("steps", f"{len(estimate.timings)}, of which {_counted(estimate.acquisitions, 'acquisition')}"),
        ("temperature changes", str(estimate.temperature_changes)),
        ("expected", f"{_hours(estimate.expected_s)} ({duration_text(estimate.expected_s)})"),
    ]
    if estimate.at_most_s > estimate.expected_s:
        rows.append(("at most", f"{_hours(estimate.at_most_s)}, with every settling check"))
    if estimate.end_s is not None:
        rows.append(("ends", _clock(estimate.end_s, zone)))
    rows += [(f"of it {role}", _hours(seconds)) for role, seconds in estimate.role_s.items() if seconds]
    rows += [row for timing in estimate.timings for row in _cell_rows(timing.step)]
    rows += [_wait_row(timing, zone) for timing in estimate.timings if timing.waits_for is not None]
    if estimate.rf_on_s:
        rows.append(("RF on", f"{duration_text(estimate.rf_on_s)}, duty at most {100 * estimate.duty:.2g} %"))
    rows.append(("disk", bytes_text(estimate.disk_bytes)))
    return tuple(rows)


def _wait_row(timing: Timing, zone: timezone) -> tuple[str, str]:
    blackout = timing.waits_for
    assert blackout is not None
    span = f"{_clock(blackout.from_s, zone)} to {_clock(blackout.to_s, zone)[-5:]}"
    if blackout.to_s - blackout.from_s > 86_400.0:
        span = f"{_clock(blackout.from_s, zone)} to {_clock(blackout.to_s, zone)}"
    what = f"{timing.step.id} waits {_hours(timing.waits_s)} for {blackout.name} ({span})"
    return "blackout", what


def _cell_rows(step: Step) -> list[tuple[str, str]]:
    """Whose gram, how much of it, and what that makes: the numbers a person compares with the balance."""
    task = step.task
    if not isinstance(task, CycleCell):
        return []
    charges_Ah = task.charges_Ah + (task.then_charge_Ah,) * task.then_cycles
    smallest, largest = (1e6 * one(charges_Ah) / task.mass_mg for one in (min, max))
    target = f"{largest:g}" if smallest == largest else f"{smallest:g} to {largest:g}"
    theory = f" of {task.theoretical_mAh_per_g:.1f} by theory" if task.theoretical_mAh_per_g is not None else ""
    charging_s = cycling.charging_s(charges_Ah, task.current_A)
    return [
        (f"{step.station}: cell", f"{task.mass_mg:.3f} mg of {task.mass_basis} on {task.area_cm2:.4f} cm^2"),
        (f"{step.station}: charge to", f"{target} mAh/g of {task.mass_basis}{theory}"),
        (f"{step.station}: charging", f"{_hours(charging_s)} in {_counted(len(charges_Ah), 'cycle')}"),
    ]


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def bytes_text(size: int) -> str:
    """Return a size as people read it."""
    if not size:
        return ""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def _what(step: Step) -> str:
    match step.task:
        case SetTemperature(ramp_K_per_s=ramp):
            return f"ramp at {60 * ramp:.3g} K/min"
        case AwaitStable(within_K=within, hold_s=hold_s):
            return f"within {within:g} K for {duration_text(hold_s)}"
        case CheckSpinning(rate_Hz=rate, tolerance_Hz=tolerance):
            return f"spinning {rate / 1000:g} kHz ± {tolerance:g} Hz"
        case Tune(mode=mode):
            return f"tune ({mode})"
        case CoolDown(ramp_K_per_s=ramp):
            return f"cool down at {60 * ramp:.3g} K/min, heater off"
        case SweepImpedance(frequencies_Hz=frequencies, amplitude_V_rms=amplitude, bias_V=bias):
            at = "open circuit" if bias is None else f"{bias:g} V"
            span = f"{max(frequencies):.3g}-{min(frequencies):.3g} Hz"
            return f"impedance {span}, {len(frequencies)} points, {1000 * amplitude:g} mV rms at {at}"
        case CycleCell(charges_Ah=charges_Ah, then_cycles=then_cycles, then_charge_Ah=then_Ah, current_A=current_A):
            series = [f"{1000 * charge_Ah:.4f}" for charge_Ah in charges_Ah]
            series += [f"{then_cycles} x {1000 * then_Ah:.4f}"] if then_cycles else []
            return f"cycle to {', '.join(series)} mAh at {1000 * current_A:.5f} mA"
        case Acquire():
            kind = {"one_pulse": "1D", "nutation": "nutation", "saturation_recovery": "T1", "exsy": "2D-EXSY"}
            return f"{kind[step.task.kind]} ({step.role})" if step.task.kind == "one_pulse" else kind[step.task.kind]


def _temperatures(step: Step) -> tuple[str, str]:
    setpoint_K = None if isinstance(step.task, CycleCell) else getattr(step.task, "setpoint_K", None)  # none is set
    sample_K = getattr(step.task, "sample_K", None)
    return _celsius(setpoint_K), _celsius(sample_K)


def _acquisition(step: Step) -> tuple[str, ...]:
    task = step.task
    if not isinstance(task, Acquire):
        return ("",) * 6
    tmix = duration_text(task.experiment.mixing_time_s) if isinstance(task.experiment, Exsy) else ""
    about = "≤ " if step.recycle is not None and task.recycle_delay_s >= step.recycle.max_s else ""
    delay = f"{about}{duration_text(task.recycle_delay_s)}" + (" (T1)" if step.recycle else "")
    number = rows_of(task)
    scans = f"{number} x {task.scans}" if number > 1 else str(task.scans)
    return (delay, tmix, scans, f"{task.expno_slot + 1}", duration_text(step.rf_on_s), f"{100 * duty(step):.2g} %")


def _celsius(kelvin: float | None) -> str:
    return "" if kelvin is None else f"{kelvin - 273.15:.1f} °C"


def _hours(seconds: float) -> str:
    return (
        f"{seconds / 3600:.1f} h"
        if seconds >= 3600
        else f"{seconds / 60:.0f} min"
        if seconds >= 60
        else f"{seconds:.0f} s"
    )


def _since(seconds: float) -> str:
    days, rest = divmod(round(seconds / 60), 1440)
    return f"+{days} d {rest // 60:02d}:{rest % 60:02d}"


def _clock(epoch_s: float, zone: timezone) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M")
