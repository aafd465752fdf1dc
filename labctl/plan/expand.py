"""From a protocol and a lab file to the steps of a campaign, in bench order. Same input, same steps.

At each temperature: spinning, ramp, settling by the sensor, then by the sample's own line, tuning, pulse check, T1,
a reference 1D; then each 2D with a reference 1D behind it. At the end back to the first temperature, and cool down.

Names count from 1 as people do: ``nmr500/vt_exsy/T02/tmix03`` is the second temperature and the third of the
author's mixing times, whatever the order in which they are measured. EXPNO = 1000 x visit + 10 x slot + attempt,
where visits of a station are counted through the campaign and slots through the acquisitions of a visit.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from labctl.errors import InputError
from labctl.plan import calibration, cost
from labctl.plan.steps import Plan, RecycleRule, Step, step_key
from labctl.ports import (
    Acquire,
    AwaitStable,
    CheckSpinning,
    CoolDown,
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
from labctl.protocol.lab import Lab, Nucleus, Station
from labctl.protocol.model import Protocol, VtExsy
from labctl.protocol.vt_exsy import Delays

ROOM_K = 298.15
SAFE_RAMP_K_PER_S = 2.0 / 60.0
PHASE_CYCLE = 8
"""Scans of the shortest complete phase cycle of the 2D: splitting never cuts one."""

SLOTS = 100
"""EXPNO slots of one visit to a temperature."""

_SPINNING_GIVE_UP_S = 300.0
_RECOVERY_D1_S = 0.5
"""D1 where a comb makes the recycle delay irrelevant (saturation recovery, nutation)."""
_LAG_S = 600.0
"""What probe and rotor take behind the set point, for the estimate."""
_TUNING_S = {"operator": 600.0, "atma": 300.0}
_PER_ACQUISITION_S = 20.0
"""Between acquisitions: quiet period, copying, the console's start."""
_SPINNING_S = 30.0


def expand(protocol: Protocol, lab: Lab) -> Plan:
    """Return all steps of a campaign.

    Raises
    ------
    InputError
        The lab file lacks what the protocol asks for (station, nucleus, 90 degree pulse, calibration), or the
        acquisitions of one temperature do not fit its 100 EXPNO slots.
    """
    plan = unchecked(protocol, lab)
    if faults := expno_faults(plan.steps):
        raise InputError("; ".join(faults), expected=f"at most {SLOTS} acquisitions at one temperature")
    return plan


def unchecked(protocol: Protocol, lab: Lab) -> Plan:
    """Return the steps without looking whether the EXPNO map overflows; for the check, which says where it does."""
    steps: list[Step] = []
    settings: dict[str, Any] = {}
    names: Counter[tuple[str, str]] = Counter()
    visits: Counter[str] = Counter()
    last_setpoint_K: dict[str, float] = {}
    for procedure in protocol.procedures:
        wanted = procedure.vt_exsy
        station = lab.station(wanted.station)
        names[wanted.station, "vt_exsy"] += 1
        count = names[wanted.station, "vt_exsy"]
        name = "vt_exsy" if count == 1 else f"vt_exsy.{count}"
        writer = _Writer(
            campaign=protocol.campaign,
            name=name,
            wanted=wanted,
            station=station,
            nucleus=protocol.sample.nucleus,
            probe=_nucleus(station, wanted.station, protocol.sample.nucleus),
            carrier_ppm=carrier_ppm(wanted, list(protocol.sample.sites.values())),
            visit=visits[wanted.station],
            at_K=last_setpoint_K.get(wanted.station, ROOM_K),
        )
        steps += writer.steps()
        visits[wanted.station], last_setpoint_K[wanted.station] = writer.visit, writer.at_K
        settings[f"{wanted.station}/{name}"] = _settings(protocol, wanted, writer)
    for name, at_K in last_setpoint_K.items():
        ramp_K_per_s = min([SAFE_RAMP_K_PER_S, *(p.vt_exsy.ramp_K_per_s for p in protocol.procedures)])
        steps.append(_cool_down(protocol.campaign, name, at_K, ramp_K_per_s))
    return Plan(campaign=protocol.campaign, steps=tuple(steps), settings=settings)


def carrier_ppm(wanted: VtExsy, sites_ppm: Sequence[float]) -> float:
    """Return the offset of the 2D: the author's, or the middle of the outermost sites."""
    return wanted.carrier_ppm if wanted.carrier_ppm is not None else (min(sites_ppm) + max(sites_ppm)) / 2


def measuring_order(
    mixing_times_s: Sequence[float], order: Literal["palindrome", "ascending", "as_written"]
) -> tuple[int, ...]:
    """Return the indices of the mixing times in the order they are measured.

    ``palindrome`` goes up through every second one and comes back down through the rest (1 3 5 7 6 4 2 by
    length): each is measured once, yet neighbours in length lie on both sides of the middle of the series, so
    that a drift in time is not a trend in Tmix and cannot pass for exchange.
    """
    if order == "as_written":
        return tuple(range(len(mixing_times_s)))
    rising = sorted(range(len(mixing_times_s)), key=lambda index: (mixing_times_s[index], index))
    return tuple(rising) if order == "ascending" else tuple(rising[0::2] + rising[1::2][::-1])


def spaced(delays: Delays) -> tuple[float, ...]:
    """Return the recovery delays [s], rounded to six digits so that every computer agrees."""
    last = delays.points - 1
    if delays.spacing == "log":
        ratio = delays.to_s / delays.from_s
        values = (delays.from_s * ratio ** (index / last) for index in range(delays.points))
    else:
        values = (delays.from_s + (delays.to_s - delays.from_s) * index / last for index in range(delays.points))
    return tuple(float(f"{value:.6g}") for value in values)


def split_scans(scans: int, longest_s: float, max_dataset_s: float) -> tuple[int, ...]:
    """Return the scans of each of the 2Ds that one is split into, whole phase cycles each.

    `longest_s` is the duration with the longest recycle delay the rule allows, not the expected one: a better
    guess of T1 must not change what is acquired.
    """
    cycles = scans // PHASE_CYCLE
    if scans % PHASE_CYCLE or longest_s <= max_dataset_s:
        return (scans,)
    parts = min(cycles, -int(-longest_s // max_dataset_s))
    return tuple(PHASE_CYCLE * (cycles // parts + (part < cycles % parts)) for part in range(parts))


def expno_faults(steps: Sequence[Step]) -> list[str]:
    """Return what is wrong with the EXPNO map: more acquisitions in a visit than slots, or one slot used twice."""
    faults = []
    slots = Counter((step.station, step.task.expno_slot) for step in steps if isinstance(step.task, Acquire))
    faults += [f"EXPNO {slot} of {station} would be used twice" for (station, slot), n in slots.items() if n > 1]
    visits = Counter(step.id.rsplit("/", 1)[0] for step in steps if isinstance(step.task, Acquire))
    faults += [
        f"{n} acquisitions in {visit} need more than {SLOTS} EXPNO slots" for visit, n in visits.items() if n > SLOTS
    ]
    return faults


def _nucleus(station: Station, name: str, nucleus: str) -> Nucleus:
    if nucleus not in station.nuclei:
        close = difflib.get_close_matches(nucleus, list(station.nuclei), n=1)
        known = f"did you mean {close[0]}?" if close else "known: " + (", ".join(station.nuclei) or "none")
        raise InputError(f"station {name} is not set up for {nucleus}; {known}")
    return station.nuclei[nucleus]


def _cool_down(campaign: str, station: str, from_K: float, ramp_K_per_s: float) -> Step:
    span_s = abs(from_K - ROOM_K) / ramp_K_per_s
    task = CoolDown(setpoint_K=ROOM_K, ramp_K_per_s=ramp_K_per_s, give_up_s=2 * span_s + 3600.0)
    step_id = f"{station}/cool"
    return Step(
        id=step_id,
        station=station,
        procedure="",
        role="cool",
        task=task,
        effect=Effect.ABSOLUTE_SET,
        key=step_key(campaign=campaign, step_id=step_id, task=task, recycle=None),
        estimate_s=span_s + _LAG_S,
    )


def _settings(protocol: Protocol, wanted: VtExsy, writer: _Writer) -> dict[str, Any]:
    """What analysis and engine must know beside the tasks; plain data, units in the names."""
    shift, reference = wanted.settle.shift, wanted.reference_1d
    return {
        "sample": protocol.sample.name,
        "nucleus": protocol.sample.nucleus,
        "frequency_Hz": writer.probe.frequency_Hz,
        "sites_ppm": dict(protocol.sample.sites),
        "p90_s": writer.pulse_s,
        "p90_abort_beyond_percent": wanted.p90.abort_beyond_percent,
        "settle_shift_ppm": shift.shift_ppm if shift else None,
        "settle_shift_per_s": shift.per_s if shift else None,
        "reference_shift_ppm": reference.shift_ppm,
        "reference_area_percent": reference.area_percent,
        "reference_width_percent": reference.width_percent,
        "check_sidebands": wanted.spinning.check_sidebands,
        "presaturation": wanted.presaturation,
        "thermometry": wanted.thermometry,
        "order": wanted.order,
        "blackouts": [{"from_s": b.from_epoch_s, "to_s": b.to_epoch_s, "why": b.why} for b in wanted.blackouts],
    }


@dataclass(kw_only=True)
class _Writer:
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
    _slot: int = field(init=False, default=0)

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

    def __init__(self, writer: _Writer, index: int, label: str) -> None:
        self._w, self._p, self._index = writer, writer.wanted, index
        self._prefix = f"{self._p.station}/{writer.name}/{label}"
        self._t1_id = f"{self._p.station}/{writer.name}/T{index + 1:02d}/t1"
        writer.visit += 1
        self._number, self._slot = writer.visit, 0
        self._sample_K = self._p.temperatures_K[index]
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
        order = measuring_order(p.mixing_times_s, p.order)
        for place, index in enumerate(order, start=1):
            last = place == len(order)
            yield from self._exchange(
                index, reference=p.reference_1d.around_each_2d, after=f"ref{place:02d}", last=last
            )

    def returned(self) -> Iterator[Step]:
        yield from self._approach()
        yield self._reference("ref00")
        if self._p.repeat_first_mixing_time:
            first = measuring_order(self._p.mixing_times_s, self._p.order)[0]
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
        yield self._step("settle", "settle", self._stable(p.settle.for_s), Effect.ABSOLUTE_SET, p.settle.for_s + _LAG_S)
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
        delay_s, rule = self._recycle()
        experiment = Exsy(mixing_time_s=p.mixing_times_s[index], rows=p.increments, increment_s=p.increment_s)
        whole = self._acquire(
            experiment, template="exsy", scans=p.scans, recycle_delay_s=rule.max_s if rule else delay_s, slot=False
        )
        parts = split_scans(p.scans, whole.duration_s, p.max_dataset_s)
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
        }
        self._slot += slot
        return Acquire(**values, duration_s=cost.duration_s(Acquire(**values, duration_s=0.0)))

    def _acquisition(
        self, name: str, role: str, task: Acquire, effect: Effect, *, recycle: RecycleRule | None = None, **kw: Any
    ) -> Step:
        comb = self._p.presaturation == "comb" and isinstance(task.experiment, Exsy)
        return self._step(
            name,
            role,
            task,
            effect,
            task.duration_s + _PER_ACQUISITION_S,
            recycle=recycle,
            needs=(self._t1_id,) if recycle is not None and self._p.t1 is not None else (),
            rf_on_s=cost.rf_on_s(task, comb=comb),
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
            procedure="vt_exsy",
            role=role,
            task=task,
            effect=effect,
            key=step_key(campaign=self._w.campaign, step_id=step_id, task=task, recycle=recycle),
            estimate_s=estimate_s,
            temperature_index=self._index + 1,
            recycle=recycle,
            **kw,
        )
