"""The steps of one `eis_ladder` procedure: at each temperature ramp, settle and soak, then the spectra."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from labctl.plan import calibration
from labctl.plan.steps import Step, step_key
from labctl.ports import AwaitStable, Effect, SetTemperature, SweepImpedance, Task
from labctl.protocol.eis_ladder import EisLadder, FrequencySweep
from labctl.protocol.lab import Station

OVEN_LAG_S = 3000.0
"""What an oven with a pressure cell in it takes behind its set point, for the estimate."""

_PER_POINT_S = 0.2
"""Of the instrument, beside integration and settling."""
_AROUND_S = 20.0
"""Of a sweep, beside its points: open circuit before and after, range changes, files."""
_BYTES_PER_POINT = 250
_HARMONICS = 4


def frequencies_Hz(sweep: FrequencySweep) -> tuple[float, ...]:
    """Return the grid of a sweep, from its first frequency to its last.

    Evenly spaced in the logarithm, both ends included. A point within 1.5/t of a harmonic of the mains (t the
    integration time) moves to 2/t beside it: there the mains make a whole number of turns less or more than the signal
    while a point is integrated, and add up to nothing. Where that would move a point by more than a tenth it stays.
    """
    span = math.log(sweep.from_Hz / sweep.to_Hz)
    steps = max(1, round(abs(span) / math.log(10.0) * sweep.points_per_decade))
    plain = [sweep.from_Hz * math.exp(-span * number / steps) for number in range(steps + 1)] if span else [sweep.to_Hz]
    if sweep.mains == "none":
        return tuple(plain)
    mains_Hz = 50.0 if sweep.mains == "50 Hz" else 60.0
    return tuple(_beside(one, mains_Hz, sweep.integration_s) for one in plain)


def _beside(frequency_Hz: float, mains_Hz: float, integration_s: float) -> float:
    order = round(frequency_Hz / mains_Hz)
    off_Hz = frequency_Hz - order * mains_Hz
    if not 1 <= order <= _HARMONICS or abs(off_Hz) >= 1.5 / integration_s:
        return frequency_Hz
    moved_Hz = order * mains_Hz + math.copysign(2.0 / integration_s, off_Hz)
    return moved_Hz if abs(moved_Hz - frequency_Hz) <= 0.1 * frequency_Hz else frequency_Hz


def sweep_s(sweep: FrequencySweep) -> float:
    """Return how long a sweep takes [s]."""
    points = frequencies_Hz(sweep)
    each_s = sweep.settle_s + _PER_POINT_S
    return _AROUND_S + sum(max(sweep.integration_s, sweep.cycles / one) + each_s for one in points)


@dataclass(kw_only=True)
class LadderWriter:
    """Writes the steps of one procedure; `at_K` says where the station's set point stands behind the last one."""

    campaign: str
    name: str
    wanted: EisLadder
    station: Station
    sample: str
    at_K: float

    def steps(self) -> Iterator[Step]:
        """Yield all steps, in bench order."""
        for index in range(len(self.wanted.temperatures_K)):
            yield from self._visit(index, f"T{index + 1:02d}")
        if self.wanted.return_to_first_temperature and len(self.wanted.temperatures_K) > 1:
            yield from self._visit(0, "T01.return")

    def _visit(self, index: int, label: str) -> Iterator[Step]:
        p, prefix = self.wanted, f"{self.wanted.station}/{self.name}/{label}"
        sample_K = setpoint_K = p.temperatures_K[index]
        if self.station.calibration is not None:
            setpoint_K, _ = calibration.setpoint(self.station.calibration, sample_K, 0.0)
        ramp_s = abs(setpoint_K - self.at_K) / p.ramp_K_per_s
        # A resumed campaign may start from any temperature: time enough for 100 K whatever the plan thinks.
        ramp = SetTemperature(
            setpoint_K=setpoint_K,
            sample_K=sample_K,
            ramp_K_per_s=p.ramp_K_per_s,
            give_up_s=1.5 * max(ramp_s, 100.0 / p.ramp_K_per_s) + 900.0,
        )
        soak = AwaitStable(
            setpoint_K=setpoint_K,
            sample_K=sample_K,
            within_K=p.settle.within_K,
            hold_s=p.hold_s,
            give_up_s=p.settle.give_up_s,
        )
        yield self._step(f"{prefix}/ramp", "ramp", ramp, Effect.ABSOLUTE_SET, ramp_s, index)
        yield self._step(f"{prefix}/settle", "settle", soak, Effect.ABSOLUTE_SET, p.hold_s + OVEN_LAG_S, index)
        self.at_K = setpoint_K
        for number in range(1, p.repeats + 1):
            task = self._sweep(f"{label}.{number:02d}", setpoint_K, sample_K)
            yield self._step(
                f"{prefix}/sweep{number:02d}",
                "sweep",
                task,
                Effect.REPEATABLE,
                task.duration_s,
                index,
                disk_bytes=_BYTES_PER_POINT * len(task.frequencies_Hz),
            )

    def _sweep(self, label: str, setpoint_K: float, sample_K: float) -> SweepImpedance:
        p, sweep = self.wanted, self.wanted.sweep
        plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", self.sample).strip("-.")[:40] or "sample"
        return SweepImpedance(
            name=f"{plain}_{label}",
            frequencies_Hz=frequencies_Hz(sweep),
            amplitude_V_rms=sweep.amplitude.V_rms,
            bias_V=sweep.bias.potential_V,
            integration_s=sweep.integration_s,
            cycles=sweep.cycles,
            settle_s=sweep.settle_s,
            moved_K=p.moved_K,
            setpoint_K=setpoint_K,
            sample_K=sample_K,
            duration_s=sweep_s(sweep),
            sample=self.sample,
            thickness_mm=p.pellet.thickness_mm,
            diameter_mm=p.pellet.diameter_mm,
            thickness_se_mm=p.pellet.thickness_uncertainty_mm,
            diameter_se_mm=p.pellet.diameter_uncertainty_mm,
        )

    def _step(
        self, step_id: str, role: str, task: Task, effect: Effect, estimate_s: float, index: int, *, disk_bytes: int = 0
    ) -> Step:
        return Step(
            id=step_id,
            station=self.wanted.station,
            procedure=self.name,
            role=role,
            task=task,
            effect=effect,
            key=step_key(campaign=self.campaign, step_id=step_id, task=task, recycle=None),
            estimate_s=estimate_s,
            temperature_index=index,
            disk_bytes=disk_bytes,
        )
