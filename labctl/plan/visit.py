"""The steps of one `vt_exsy` procedure, temperature by temperature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from labctl.errors import InputError
from labctl.plan import calibration, cost
from labctl.plan.series import measuring_order, spaced, split_scans
from labctl.plan.steps import RecycleRule, Step, step_key
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    Effect,
    Experiment,
    Exsy,
    Nutation,
    OnePulse,
    SaturationRecovery,
    SetTemperature,
    Task,
    Tune,
)
from labctl.protocol.lab import Nucleus, Station
from labctl.protocol.vt_exsy import VtExsy

LAG_S = 600.0
"""What probe and rotor take behind the set point, for the estimate."""

_SPINNING_GIVE_UP_S = 300.0
_RECOVERY_D1_S = 0.5
"""D1 where a comb makes the recycle delay irrelevant (saturation recovery, nutation)."""
_TUNING_S = {"operator": 600.0, "atma": 300.0}
_PER_ACQUISITION_S = 20.0
"""Between acquisitions: quiet period, copying, the console's start."""
_SPINNING_S = 30.0


@dataclass(kw_only=True)
class Writer:
    """Writes the steps of one procedure; `visit` and `at_K` say where the station stands behind the last one."""

    campaign: str
    name: str
    wanted: VtExsy
    station: Station
    nucleus: str
    probe: Nucleus
    carrier_ppm: float
    visit: int
    at_K: float
    pulse_s: float = field(init=False)

    def __post_init__(self) -> None:
        pulse_s = self.wanted.pulse_s if self.wanted.pulse_s is not None else self.probe.p90_s
        if pulse_s is None:
            raise InputError(
                f"neither the protocol (pulse) nor the lab file (nuclei.{self.nucleus}.p90) gives the 90° pulse"
            )
        self.pulse_s = pulse_s

    def steps(self) -> list[Step]:
        steps: list[Step] = []
        for index in range(len(self.wanted.temperatures_K)):
            steps += _Visit(self, index, f"T{index + 1:02d}").measured()
        if self.wanted.return_to_first_temperature and len(self.wanted.temperatures_K) > 1:
            steps += _Visit(self, 0, "T01.return").returned()
        return steps


class _Visit:
    """The steps at one temperature."""

    def __init__(self, writer: Writer, index: int, label: str) -> None:
        self._w, self._p, self._index = writer, writer.wanted, index
        self._prefix = f"{self._p.station}/{writer.name}/{label}"
        self._t1_id = f"{self._p.station}/{writer.name}/T{index + 1:02d}/t1"
        writer.visit += 1
        self._number, self._slot = writer.visit, 0
        self._sample_K = self._p.temperatures_K[index]
        self._series = self._p.series(index)
        self._setpoint_K = self._sample_K
        if writer.station.calibration is not None:
            self._setpoint_K, _ = calibration.setpoint(
                writer.station.calibration, self._sample_K, self._p.spinning.rate_Hz
            )

    # ------------------------------------------------------------------------------------- what is done

    def measured(self) -> Iterator[Step]:
        p = self._p
        yield from self._approach()
        if p.tune.by != "none":
            tune = Tune(mode=p.tune.by, give_up_s=p.tune.give_up_s)
            yield self._step("tune", "tune", tune, Effect.REPEATABLE, _TUNING_S[p.tune.by])
        if p.p90.each_temperature or self._index == 0:
            yield self._pulse_check()
        if p.t1 is not None:
            task = self._acquire(
                SaturationRecovery(delays_s=spaced(p.t1.delays)),
                template="saturation_recovery",
                scans=p.t1.scans,
                recycle_delay_s=_RECOVERY_D1_S,
            )
            yield self._acquisition("t1", "t1", task, Effect.EXPENSIVE)
        yield self._reference("ref00")
        order = measuring_order([tmix_s for tmix_s, _ in self._series], p.order)
        for place, index in enumerate(order, start=1):
            last = place == len(order)
            yield from self._exchange(
                index, reference=p.reference_1d.around_each_2d, after=f"ref{place:02d}", last=last
            )

    def returned(self) -> Iterator[Step]:
        yield from self._approach()
        yield self._reference("ref00")
        if self._p.repeat_first_mixing_time:
            first = measuring_order([tmix_s for tmix_s, _ in self._series], self._p.order)[0]
            yield from self._exchange(first, reference=self._p.reference_1d.around_each_2d, after="ref01", last=True)

    def _approach(self) -> Iterator[Step]:
        p, w = self._p, self._w
        spinning = CheckSpinning(
            rate_Hz=p.spinning.rate_Hz, tolerance_Hz=p.spinning.tolerance_Hz, give_up_s=_SPINNING_GIVE_UP_S
        )
        yield self._step("spinning", "spinning", spinning, Effect.ABSOLUTE_SET, _SPINNING_S)
        ramp_s = abs(self._setpoint_K - w.at_K) / p.ramp_K_per_s
        # A resumed campaign may start from any temperature: time enough for 100 K whatever the plan thinks.
        give_up_s = 1.5 * max(ramp_s, 100.0 / p.ramp_K_per_s) + 900.0
        ramp = SetTemperature(
            setpoint_K=self._setpoint_K, sample_K=self._sample_K, ramp_K_per_s=p.ramp_K_per_s, give_up_s=give_up_s
        )
        yield self._step("ramp", "ramp", ramp, Effect.ABSOLUTE_SET, ramp_s)
        w.at_K = self._setpoint_K
        yield self._step("settle", "settle", self._stable(p.settle.for_s), Effect.ABSOLUTE_SET, p.settle.for_s + LAG_S)
        yield from self._lines()

    def _lines(self) -> Iterator[Step]:
        """1Ds until the line stands still. Two are needed to tell; those behind are skipped once it does."""
        settle = self._p.settle
        if settle.shift is None:
            return
        waits = max(1, int(settle.give_up_s // settle.shift.per_s))
        series = f"{self._prefix}/line"
        for number in range(1, waits + 2):
            skip: Literal["", "settled"] = "settled" if number > 2 else ""
            if number > 1:
                wait = self._stable(settle.shift.per_s)
                yield self._step(
                    f"wait{number - 1:02d}",
                    "settle",
                    wait,
                    Effect.ABSOLUTE_SET,
                    settle.shift.per_s,
                    series=series,
                    skip_when=skip,
                )
            task = self._acquire(
                OnePulse(purpose="line"),
                template="one_pulse",
                scans=settle.scans,
                recycle_delay_s=settle.recycle_delay_s,
            )
            yield self._acquisition(f"line{number:02d}", "line", task, Effect.REPEATABLE, series=series, skip_when=skip)

    def _stable(self, hold_s: float) -> AwaitStable:
        settle = self._p.settle
        return AwaitStable(
            setpoint_K=self._setpoint_K,
            sample_K=self._sample_K,
            within_K=settle.within_K,
            hold_s=hold_s,
            give_up_s=max(settle.give_up_s, hold_s + settle.give_up_s - settle.for_s),
        )

    def _pulse_check(self) -> Step:
        p90 = self._p.p90
        longest_s = p90.longest_p90 * self._w.pulse_s
        pulses_s = tuple(float(f"{longest_s * row / p90.points:.6g}") for row in range(1, p90.points + 1))
        task = self._acquire(
            Nutation(pulses_s=pulses_s, recovery_s=p90.recovery_s),
            template="nutation",
            scans=p90.scans,
            recycle_delay_s=_RECOVERY_D1_S,
        )
        return self._acquisition("p90", "pulse", task, Effect.REPEATABLE)

    def _reference(self, name: str) -> Step:
        delay_s, rule = self._recycle()
        task = self._acquire(
            OnePulse(purpose="reference"),
            template="one_pulse",
            scans=self._p.reference_1d.scans,
            recycle_delay_s=delay_s,
        )
        return self._acquisition(name, "reference", task, Effect.REPEATABLE, recycle=rule)

    def _exchange(self, index: int, *, reference: bool, after: str, last: bool) -> Iterator[Step]:
        """One mixing time: as many 2Ds as it is split into, a 1D behind each."""
        p = self._p
        tmix_s, wanted_scans = self._series[index]
        delay_s, rule = self._recycle()
        experiment = Exsy(mixing_time_s=tmix_s, rows=p.increments, increment_s=p.increment_s)
        whole = self._acquire(
            experiment, template="exsy", scans=wanted_scans, recycle_delay_s=rule.max_s if rule else delay_s, slot=False
        )
        parts = split_scans(wanted_scans, whole.duration_s, p.max_dataset_s)
        for part, scans in enumerate(parts, start=1):
            mark = f".r{part}" if len(parts) > 1 else ""
            task = self._acquire(experiment, template="exsy", scans=scans, recycle_delay_s=delay_s)
            notes = () if p.presaturation == "none" else ("saturation comb before the recycle delay",)
            yield self._acquisition(
                f"tmix{index + 1:02d}{mark}", "exsy", task, Effect.EXPENSIVE, recycle=rule, notes=notes
            )
            if reference or (last and part == len(parts)):
                yield self._reference(f"{after}{mark}")

    # ------------------------------------------------------------------------------------- how it is written

    def _recycle(self) -> tuple[float, RecycleRule | None]:
        """The planned recycle delay, and the rule by which a measured T1 replaces it."""
        rule, t1 = self._p.recycle_delay, self._p.t1
        if rule.fixed_s is not None:
            return rule.fixed_s, None
        times = rule.times_T1 or 1.0
        expected_s = t1.expected_s(rule.of, self._index) if t1 is not None else None
        if expected_s is None:
            expected_s = rule.max_s / times  # nothing expected: reckon with the longest
        return min(times * expected_s, rule.max_s), RecycleRule(
            times_T1=times,
            of=rule.of,
            max_s=rule.max_s,
            expected_T1_s=expected_s,
            ask_beyond=rule.ask_beyond_percent / 100,
            fallback=rule.if_longer,
        )

    def _acquire(
        self, experiment: Experiment, *, template: str, scans: int, recycle_delay_s: float, slot: bool = True
    ) -> Acquire:
        p = self._p
        comb = p.presaturation == "comb" and isinstance(experiment, Exsy)
        values: dict[str, Any] = {
            "experiment": experiment,
            "expno_slot": 1000 * self._number + 10 * self._slot,
            "template": template,
            "nucleus": self._w.nucleus,
            "scans": scans,
            "dummy_scans": p.dummy_scans,
            "recycle_delay_s": recycle_delay_s,
            "points": p.points,
            "spectral_width_Hz": p.spectral_width_Hz,
            "carrier_ppm": self._w.carrier_ppm,
            "pulse_s": self._w.pulse_s,
            "receiver_gain": p.receiver_gain,
            "spinning_Hz": p.spinning.rate_Hz,
            "spinning_tolerance_Hz": p.spinning.tolerance_Hz,
            "setpoint_K": self._setpoint_K,
            "sample_K": self._sample_K,
            "presaturation_pulses": cost.COMB_PULSES if comb else 0,
        }
        self._slot += slot
        return Acquire(**values, duration_s=cost.duration_s(Acquire(**values, duration_s=0.0)))

    def _acquisition(
        self, name: str, role: str, task: Acquire, effect: Effect, *, recycle: RecycleRule | None = None, **kw: Any
    ) -> Step:
        return self._step(
            name,
            role,
            task,
            effect,
            task.duration_s + _PER_ACQUISITION_S,
            recycle=recycle,
            needs=(self._t1_id,) if recycle is not None and self._p.t1 is not None else (),
            rf_on_s=cost.rf_on_s(task),
            disk_bytes=cost.disk_bytes(task),
            **kw,
        )

    def _step(
        self,
        name: str,
        role: str,
        task: Task,
        effect: Effect,
        estimate_s: float,
        *,
        recycle: RecycleRule | None = None,
        **kw: Any,
    ) -> Step:
        step_id = f"{self._prefix}/{name}"
        return Step(
            id=step_id,
            station=self._p.station,
            procedure=self._w.name,
            role=role,
            task=task,
            effect=effect,
            key=step_key(campaign=self._w.campaign, step_id=step_id, task=task, recycle=recycle),
            estimate_s=estimate_s,
            temperature_index=self._index + 1,
            recycle=recycle,
            **kw,
        )
