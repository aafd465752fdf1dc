"""What one sweep has found so far, and how it is written: checkpoint lines, NOVA's text, and the sidecar. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labctl.errors import InputError
from labctl.ports import Order, SweepImpedance

HEADER = ("Index", "Frequency (Hz)", "Z' (Ω)", "-Z'' (Ω)", "Z (Ω)", "-Phase (°)", "Time (s)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a spectrum.

    Attributes
    ----------
    Z_real_ohm, Z_imag_ohm : float
        Im Z < 0 for a capacitor.
    at_s : float
        Wall time at which it was finished.
    range_A : float or None
        Full scale of the range; None where the vendor's own ranging chose it.
    overload : bool or None
        The converter was over its range even so; None: nobody looked.
    tries : int
        Measurements it took, one range further each.
    """

    frequency_Hz: float
    Z_real_ohm: float
    Z_imag_ohm: float
    at_s: float
    range_A: float | None = None
    overload: bool | None = None
    tries: int = 1
    remark: str = ""

    @property
    def modulus_ohm(self) -> float:
        """abs(Z)."""
        return math.hypot(self.Z_real_ohm, self.Z_imag_ohm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """One reading while the sweep ran: of the oven's sensor, and of the cell's own where there is one.

    `behind_K`: by how much a cell without a sensor is reckoned to be behind the oven's.
    """

    at_s: float
    oven_K: float
    cell_K: float | None = None
    behind_K: float | None = None

    @property
    def nearest_K(self) -> float:
        """What is closest to the sample."""
        return self.oven_K if self.cell_K is None else self.cell_K


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """One attempt at one spectrum.

    Attributes
    ----------
    bias_V : float or None
        As applied; None before it was.
    open_circuit_before_V, open_circuit_after_V : float or None
    ended_s : float or None
        None while it runs, or when it was cut short.
    """

    token: str
    title: str
    step_id: str
    attempt: int
    route: str
    started_s: float
    points: tuple[Point, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    bias_V: float | None = None
    open_circuit_before_V: float | None = None
    open_circuit_after_V: float | None = None
    ended_s: float | None = None
    notes: tuple[str, ...] = ()

    def mean_K(self) -> float | None:
        """Return the mean temperature nearest the sample."""
        values = [one.nearest_K for one in self.temperatures]
        return sum(values) / len(values) if values else None

    def moved_K(self) -> float | None:
        """Return by how much the temperature moved: highest minus lowest reading."""
        values = [one.nearest_K for one in self.temperatures]
        return max(values) - min(values) if values else None

    def behind_K(self) -> float | None:
        """Return by how much the cell may have been behind the oven's sensor at most; None where it has its own."""
        values = [abs(one.behind_K) for one in self.temperatures if one.behind_K is not None and one.cell_K is None]
        return max(values, default=None)

    def with_note(self, note: str) -> Sweep:
        """Return the sweep with one more note."""
        return replace(self, notes=(*self.notes, note))


def begun(order: Order, *, route: str, at_s: float) -> Sweep:
    """Return a sweep of which nothing has been measured."""
    return Sweep(
        token=order.token,
        title=order.title,
        step_id=order.step_id,
        attempt=order.attempt,
        route=route,
        started_s=at_s,
    )


# --------------------------------------------------------------------------------------------- checkpoint


def head_line(sweep: Sweep) -> str:
    """Return the line a checkpoint begins with."""
    keys = ("token", "title", "step_id", "attempt", "route", "started_s")
    return json.dumps({"sweep": {key: getattr(sweep, key) for key in keys}}, ensure_ascii=True)


def point_line(point: Point) -> str:
    """Return the line of one point."""
    return json.dumps({"point": asdict(point)}, ensure_ascii=True)


def temperature_line(temperature: Temperature) -> str:
    """Return the line of one temperature."""
    return json.dumps({"temperature": asdict(temperature)}, ensure_ascii=True)


def value_line(**values: float | str) -> str:
    """Return a line of fields of `Sweep` that became known."""
    return json.dumps({"known": values}, ensure_ascii=True)


def read_checkpoint(text: str) -> Sweep | None:
    """Return the last sweep of a checkpoint, None if it does not even begin.

    A last line that was cut off by a dying computer is passed over.
    """
    sweep: Sweep | None = None
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if not isinstance(data, dict):
            continue
        try:
            if "sweep" in data:
                sweep = Sweep(**data["sweep"])
            elif sweep is None:
                continue
            elif "point" in data:
                sweep = replace(sweep, points=(*sweep.points, Point(**data["point"])))
            elif "temperature" in data:
                found = Temperature(**data["temperature"])
                sweep = replace(sweep, temperatures=(*sweep.temperatures, found))
            elif "note" in data.get("known", {}):
                sweep = sweep.with_note(data["known"]["note"])
            elif "known" in data:
                sweep = replace(sweep, **data["known"])
        except TypeError as problem:
            raise InputError(f"a checkpoint of another version of labctl: {problem}") from None
    return sweep


# ------------------------------------------------------------------------------------------------ results


def nova_text(sweep: Sweep) -> str:
    """Return the spectrum as NOVA exports one: semicolons, decimal points, no date."""
    rows = [";".join(HEADER)]
    for index, point in enumerate(sweep.points, start=1):
        phase = math.degrees(math.atan2(point.Z_imag_ohm, point.Z_real_ohm))
        values = (
            point.frequency_Hz,
            point.Z_real_ohm,
            -point.Z_imag_ohm,
            point.modulus_ohm,
            -phase,
            point.at_s - sweep.started_s,
        )
        rows.append(";".join([str(index), *(f"{value:.9G}" for value in values)]))
    return "\r\n".join(rows) + "\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """What is written beside every spectrum of a station."""

    instrument: str
    current_noise_A: float | None = None
    gain_noise: float | None = None
    open_capacitance_F: float | None = None
    open_leakage_ohm: float | None = None
    short_ohm: float = 0.0
    bridged: str = "flag"
    readings: Mapping[str, float] = field(default_factory=dict)


def sidecar(sweep: Sweep, task: SweepImpedance, rig: Rig, *, open_cell: bool | None) -> dict[str, Any]:
    """Return what NOVA's text leaves out, as plain data, units in the keys."""
    points = sweep.points
    temperature_K, moved_K = sweep.mean_K(), sweep.moved_K()
    data: dict[str, Any] = {
        "instrument": rig.instrument,
        "sample": task.sample,
        "title": sweep.title,
        "token": sweep.token,
        "step_id": sweep.step_id,
        "attempt": sweep.attempt,
        "route": sweep.route,
        "started_s": sweep.started_s,
        "ended_s": sweep.ended_s if sweep.ended_s is not None else max((p.at_s for p in points), default=None),
        "complete": sweep.ended_s is not None,
        "setpoint_K": task.setpoint_K,
        "amplitude_V_rms": task.amplitude_V_rms,
        "dc_bias_V": sweep.bias_V,
        "bias": "open circuit" if task.bias_V is None else "fixed",
        "open_circuit_V": {"before": sweep.open_circuit_before_V, "after": sweep.open_circuit_after_V},
        "integration_s": task.integration_s,
        "cycles": task.cycles,
        "settle_s": task.settle_s,
        "current_noise_A": current_noise_A(task, rig),
        "gain_noise": rig.gain_noise,
        "open_cell": open_cell,
        "notes": list(sweep.notes),
    }
    if temperature_K is not None and moved_K is not None:
        values = [one.nearest_K for one in sweep.temperatures]
        data["temperature_K"] = {
            "mean": temperature_K,
            "before": values[0],
            "after": values[-1],
            "se": math.hypot(_standard_error(values), sweep.behind_K() or 0.0),
        }
        data["temperature_of"] = "oven" if sweep.temperatures[0].cell_K is None else "cell"
        data["temperature_trace"] = [asdict(one) for one in sweep.temperatures]
        if (behind_K := sweep.behind_K()) is not None:
            data["cell_behind_K"] = behind_K
        data["moved"] = moved_K > task.moved_K
        data["moved_K"] = moved_K
    if all(point.range_A is not None for point in points):
        data["current_range_A"] = [point.range_A for point in points]
    if all(point.overload is not None for point in points):
        data["overload"] = [point.overload for point in points]
    if any(point.remark for point in points):
        data["remarks"] = [point.remark for point in points]
    pellet = {
        "thickness_mm": task.thickness_mm,
        "diameter_mm": task.diameter_mm,
        "thickness_se_mm": task.thickness_se_mm,
        "diameter_se_mm": task.diameter_se_mm,
    }
    if task.thickness_mm is not None and task.diameter_mm is not None:
        data["pellet"] = pellet
    if rig.open_capacitance_F is not None:
        data["open_holder"] = {"capacitance_F": rig.open_capacitance_F, "leakage_ohm": rig.open_leakage_ohm}
    return data


def current_noise_A(task: SweepImpedance, rig: Rig) -> float | None:
    """Return the current noise of a point that is integrated for the least time."""
    if rig.current_noise_A is None:
        return None
    shortest_s = max(task.integration_s, task.cycles / max(task.frequencies_Hz))
    return rig.current_noise_A / math.sqrt(shortest_s)


def _standard_error(values: Sequence[float]) -> float:
    """Return that of the mean, or what an even drift leaves open if that is more."""
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / max(1, len(values) - 1)
    return max(math.sqrt(variance / len(values)), abs(values[-1] - values[0]) / math.sqrt(12.0))
