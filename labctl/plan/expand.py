"""From a protocol and a lab file to the steps of a campaign, in bench order. Same input, same steps.

A `vt_exsy` at each temperature: spinning, ramp, settling by the sensor, then by the sample's own line, tuning, pulse
check, T1, a reference 1D; then each 2D with a reference 1D behind it. At the end back to the first temperature, and
cool down. The steps of an `eis_ladder` are in `labctl.plan.ladder`, those of a `fixed_capacity_cycling` in
`labctl.plan.cycling_steps`.

Names count from 1 as people do: ``nmr500/vt_exsy/T02/tmix03`` is the second temperature and the third of the
author's mixing times, whatever the order in which they are measured. EXPNO = 1000 x visit + 10 x slot + attempt,
where visits of a station are counted through the campaign and slots through the acquisitions of a visit.

A procedure that measures another sample than the one before it on its station begins with a cool-down and waits for a
person, who has to change it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from labctl.errors import InputError
from labctl.plan.blackouts import Blackout
from labctl.plan.cycling_steps import cycling_step
from labctl.plan.ladder import LadderWriter
from labctl.plan.series import carrier_ppm
from labctl.plan.steps import Plan, Step, step_key
from labctl.plan.visit import LAG_S, Writer
from labctl.ports import Acquire, CoolDown, Effect
from labctl.protocol.blackout import Blackout as WrittenBlackout
from labctl.protocol.lab import Lab, Nucleus, Station
from labctl.protocol.model import EisLadder, FixedCapacityCycling, Protocol, Sample, VtExsy

ROOM_K = 298.15
SAFE_RAMP_K_PER_S = 2.0 / 60.0
SLOTS = 100
"""EXPNO slots of one visit to a temperature."""


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
    inside: dict[str, str] = {}
    adaptive: set[str] = set()
    for procedure in protocol.procedures:
        wanted, sample = procedure.wanted, protocol.sample_of(procedure)
        station = lab.station(wanted.station)
        names[wanted.station, procedure.name] += 1
        count = names[wanted.station, procedure.name]
        name = procedure.name if count == 1 else f"{procedure.name}.{count}"
        person = ""
        if inside.setdefault(wanted.station, sample.name) != sample.name:
            person = change_of_sample(wanted, sample.name, inside[wanted.station])
            inside[wanted.station] = sample.name
            if wanted.station in last_setpoint_K:  # nothing is taken out hot
                at_K = last_setpoint_K.pop(wanted.station)
                steps.append(_cool_down(protocol, wanted.station, at_K, f"{wanted.station}/{name}/cool"))
        first = len(steps)
        at_K = last_setpoint_K.get(wanted.station, ROOM_K)
        if isinstance(wanted, FixedCapacityCycling):
            steps.append(cycling_step(campaign=protocol.campaign, name=name, wanted=wanted, sample=sample.name))
            settings[f"{wanted.station}/{name}"] = {"sample": sample.name}
        elif isinstance(wanted, EisLadder):
            ladder = LadderWriter(
                campaign=protocol.campaign, name=name, wanted=wanted, station=station, sample=sample.name, at_K=at_K
            )
            steps += ladder.steps()
            last_setpoint_K[wanted.station] = ladder.at_K
            settings[f"{wanted.station}/{name}"] = {"sample": sample.name}
        else:
            nucleus = _required(sample.nucleus)
            writer = Writer(
                campaign=protocol.campaign,
                name=name,
                wanted=wanted,
                station=station,
                nucleus=nucleus,
                probe=_nucleus(station, wanted.station, nucleus),
                carrier_ppm=carrier_ppm(wanted, list(sample.sites.values())),
                visit=visits[wanted.station],
                at_K=at_K,
            )
            steps += writer.steps()
            visits[wanted.station], last_setpoint_K[wanted.station] = writer.visit, writer.at_K
            settings[f"{wanted.station}/{name}"] = _settings(sample, wanted, writer)
            if wanted.adapt is not None:
                adaptive.add(f"{wanted.station}/{name}")
        steps[first] = replace(steps[first], person=person)
    for name, at_K in last_setpoint_K.items():
        steps.append(_cool_down(protocol, name, at_K, f"{name}/cool"))
    gated = _gated(steps, adaptive)
    return Plan(campaign=protocol.campaign, steps=gated, settings=settings, blackouts=_blackouts(protocol, lab))


def _gated(steps: Sequence[Step], adaptive: Collection[str]) -> tuple[Step, ...]:
    """Let nothing that leaves a temperature begin before the verdict on the last 2D there, where that may add another.

    The 1D behind it is waited for too: where a person skips a 2D, what comes instead is decided with that. `adaptive`
    holds ``station/procedure`` of such procedures.
    """
    pending: dict[str, tuple[str, ...]] = {}
    gated: list[Step] = []
    for step in steps:
        last = pending.get(step.station)
        if last is not None and step.id.rpartition("/")[0] != last[0].rpartition("/")[0]:
            gated.append(replace(step, needs=(*step.needs, *last)))
            del pending[step.station]
        else:
            gated.append(step)
        if step.role == "exsy" and any(step.id.startswith(f"{one}/") for one in adaptive):
            pending[step.station] = (step.id,)
        elif step.role == "reference" and step.station in pending:
            pending[step.station] = (pending[step.station][0], step.id)
    return tuple(gated)


def change_of_sample(wanted: VtExsy | EisLadder | FixedCapacityCycling, sample: str, before: str) -> str:
    """Return what a person is asked to do before a procedure that measures another sample than the one before."""
    spin = f", and spin it up to {wanted.spinning.rate_Hz / 1000:g} kHz" if isinstance(wanted, VtExsy) else ""
    return f"take {before} out of {wanted.station} and put {sample} in{spin}"


def as_planned(station: str, written: WrittenBlackout) -> Blackout:
    """Return a blackout as the plan carries it."""
    return Blackout(
        station=station,
        from_s=written.from_epoch_s,
        to_s=written.to_epoch_s,
        why=written.why,
        during=written.during,
    )


def _blackouts(protocol: Protocol, lab: Lab) -> tuple[Blackout, ...]:
    """Those of the lab file and of the procedures; one of a station holds for everything on it."""
    found = []
    for procedure in protocol.procedures:
        name = procedure.wanted.station
        written = (*lab.station(name).blackouts, *getattr(procedure.wanted, "blackouts", ()))
        found += [as_planned(name, one) for one in written]
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (one.from_s, one.station)))


def expno_faults(steps: Sequence[Step]) -> list[str]:
    """Return what is wrong with the EXPNO map: more acquisitions in a visit than slots, or one slot used twice."""
    faults = []
    slots = Counter((step.station, step.task.expno_slot) for step in steps if isinstance(step.task, Acquire))
    twice: dict[str, list[int]] = {}
    for (station, slot), n in slots.items():
        if n > 1:
            twice.setdefault(station, []).append(slot)
    for station, shared in twice.items():
        others = f" and {len(shared) - 3} more" if len(shared) > 3 else ""
        faults.append(f"EXPNO {', '.join(map(str, shared[:3]))}{others} of {station} would be used twice")
    visits = Counter(step.id.rsplit("/", 1)[0] for step in steps if isinstance(step.task, Acquire))
    faults += [
        f"{n} acquisitions in {visit} need more than {SLOTS} EXPNO slots" for visit, n in visits.items() if n > SLOTS
    ]
    return faults


def _required(nucleus: str | None) -> str:
    if nucleus is None:
        raise InputError("a spectrometer needs to know the nucleus", expected="sample.nucleus, such as 6Li")
    return nucleus


def _nucleus(station: Station, name: str, nucleus: str) -> Nucleus:
    if nucleus not in station.nuclei:
        close = difflib.get_close_matches(nucleus, list(station.nuclei), n=1)
        known = f"did you mean {close[0]}?" if close else "known: " + (", ".join(station.nuclei) or "none")
        raise InputError(f"station {name} is not set up for {nucleus}; {known}")
    return station.nuclei[nucleus]


def _cool_down(protocol: Protocol, station: str, from_K: float, step_id: str) -> Step:
    heated = (p.wanted for p in protocol.procedures if not isinstance(p.wanted, FixedCapacityCycling))
    ramp_K_per_s = min([SAFE_RAMP_K_PER_S, *(wanted.ramp_K_per_s for wanted in heated)])
    span_s = abs(from_K - ROOM_K) / ramp_K_per_s
    task = CoolDown(setpoint_K=ROOM_K, ramp_K_per_s=ramp_K_per_s, give_up_s=2 * span_s + 3600.0)
    return Step(
        id=step_id,
        station=station,
        procedure="",
        role="cool",
        task=task,
        effect=Effect.ABSOLUTE_SET,
        key=step_key(campaign=protocol.campaign, step_id=step_id, task=task, recycle=None),
        estimate_s=span_s + LAG_S,
    )


def _settings(sample: Sample, wanted: VtExsy, writer: Writer) -> dict[str, Any]:
    """What analysis and engine must know beside the tasks; plain data, units in the names."""
    shift, reference = wanted.settle.shift, wanted.reference_1d
    return {
        "sample": sample.name,
        "nucleus": sample.nucleus,
        "frequency_Hz": writer.probe.frequency_Hz,
        "sites_ppm": dict(sample.sites),
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
        "analysis": wanted.analysis.settings() if wanted.analysis else None,
    }
