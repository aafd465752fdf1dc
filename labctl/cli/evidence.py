"""What a finished run has to show for a commissioning stage, point by point: from journal, readings and raw data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.cli.run_folder import JOURNAL
from labctl.units import QuantityError, duration_text, parse

if TYPE_CHECKING:
    from labctl.analysis.results import Results
    from labctl.cli.planning import Checked
    from labctl.protocol.commissioning import Commissioning, Expectation, StageRule
    from labctl.run.history import Certificate
    from labctl.run.journal import Journal

_ABOVE_Hz = 10e3
"""From here on the current through an empty holder is that of its capacitance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One thing asked of a run: what, what was found, what was wanted, and whether they agree."""

    well: bool
    what: str
    found: str
    wanted: str = ""
    advice: str = ""

    def __str__(self) -> str:
        wanted = f"; wanted {self.wanted}" if self.wanted else ""
        advice = f". {self.advice}" if self.advice and not self.well else ""
        return f"{'ok    ' if self.well else 'FAILED'} {self.what}: {self.found}{wanted}{advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the journal and the readings of one run tell.

    Attributes
    ----------
    phase : str
        Where the journal leaves the campaign: ``done``, ``stopped``, ``paused``, ``aborted``, ``running``.
    safe : bool
        The safe state was read back, at the end of it.
    said : tuple of str
        Everything that people were told.
    disturbances : tuple of str
        Faults and alarms, in words.
    resumed_at_work : bool
        labctl was resumed while an order was open at an instrument.
    hottest_K, highest_setpoint_K : float
        Of the sensor's readings, and of the plan's set points [K]; NaN without any.
    """

    certificate: Certificate
    phase: str
    safe: bool
    began_s: float
    ended_s: float
    said: tuple[str, ...] = ()
    disturbances: tuple[str, ...] = ()
    resumed_at_work: bool = False
    hottest_K: float = math.nan
    highest_setpoint_K: float = math.nan
    settings: Mapping[str, Any] = field(default_factory=dict)


def evidence(run_dir: Path, done: Checked, settings: Mapping[str, Any]) -> Evidence:
    """Return what a run folder tells; `settings` are the station's in the lab file that is to be signed."""
    from labctl.clock import SystemClock
    from labctl.ports import SetTemperature
    from labctl.run.history import certificate, history
    from labctl.run.journal import Journal
    from labctl.run.lifecycle import StationPhase
    from labctl.run.replay import replayed
    from labctl.run.trace import read_trace

    station = done.plan.steps[0].station
    journal = Journal(run_dir / JOURNAL, clock=SystemClock(), read_only=True)
    try:
        told, certified, state = history(journal), certificate(journal), replayed(journal, done.plan)
        resumed, said, disturbances = _walked(journal)
    finally:
        journal.close()
    sensor = read_trace(run_dir, station).get("sensor_K", ([], []))[1]
    set_points = [step.task.setpoint_K for step in done.plan.steps if isinstance(step.task, SetTemperature)]
    ends = (told.last_s, *(one.ended_s for one in told.attempts if one.ended_s is not None))
    return Evidence(
        certificate=certified,
        phase=state.phase.value,
        safe=all(one.phase is StationPhase.SAFE for one in state.stations.values()),
        began_s=told.begun_s,
        ended_s=max(ends),
        said=said,
        disturbances=disturbances,
        resumed_at_work=resumed,
        hottest_K=max(sensor, default=math.nan),
        highest_setpoint_K=max(set_points, default=math.nan),
        settings=settings,
    )


def _walked(journal: Journal) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """Whether labctl was resumed while an instrument worked; all that was said; what disturbed."""
    from labctl.run.events import Alarmed, Failed, Finished, HandedOff, Opened, SafeAsked, Started, Tripped

    resumed = False
    at_work: set[tuple[str, int]] = set()
    said: list[str] = []
    disturbances: list[str] = []
    for row in journal.rows():
        event = row.event
        match event:
            case Opened():
                resumed = resumed or (event.resumed and bool(at_work))
            case Started():
                at_work.add((event.step_id, event.attempt))
            case Finished():
                at_work.discard((event.step_id, event.attempt))
                said.append(event.detail)
            case Failed():
                at_work.discard((event.step_id, event.attempt))
                disturbances.append(event.what)
            case Tripped():
                disturbances.append(event.words)
            case Alarmed():
                disturbances.append(event.what)
            case HandedOff():
                said += [event.verdict.message, *event.verdict.warnings]
            case SafeAsked():
                said.append(event.reason)
            case _:
                pass
    return resumed, (*said, *disturbances), tuple(disturbances)


def points(wanted: Commissioning, rule: StageRule, seen: Evidence, results: Results) -> Iterator[Point]:
    """Yield everything the stage asks of the run, in the order people read it."""
    expect = wanted.expect
    yield from _ending(expect, seen)
    for words in (*expect.says, *filter(None, [rule.parts.get(wanted.part)])):
        heard = next((one for one in seen.said if words in one), "")
        yield Point(well=bool(heard), what="labctl said", found=heard or "nothing of the kind", wanted=f"“{words}”")
    if expect.lasted_s is not None:
        took_s = seen.ended_s - seen.began_s
        yield Point(
            well=took_s >= expect.lasted_s,
            what="instrument time",
            found=duration_text(took_s),
            wanted=f"at least {duration_text(expect.lasted_s)}",
        )
    if expect.undisturbed:
        found = [*seen.disturbances, *(["something was repeated"] if seen.certificate.repeated else [])]
        yield Point(well=not found, what="disturbances", found="; ".join(found) or "none", wanted="none")
    if expect.resumed:
        yield Point(
            well=seen.resumed_at_work and not seen.certificate.repeated,
            what="labctl killed and resumed while the instrument worked",
            found=f"{'yes' if seen.resumed_at_work else 'no'}, {seen.certificate.repeated} repeated",
            wanted="yes, 0 repeated",
        )
    yield from _temperatures(expect, seen)
    if expect.dummy_cell is not None:
        yield from _dummy_cell(expect, results)
    if expect.open_holder is not None:
        yield from _open_holder(expect, seen.settings, results)
    if expect.resistor is not None:
        yield from _resistor(expect, results)
    if expect.thermometer is not None:
        yield from _thermometer(expect, results)


def _ending(expect: Expectation, seen: Evidence) -> Iterator[Point]:
    counted = seen.certificate
    found = seen.phase + (", in its safe state" if seen.safe else "")
    if expect.ended == "done":
        whole = counted.acquired == counted.planned and not counted.partial
        yield Point(well=seen.phase == "done", what="the campaign is", found=found, wanted="done")
        yield Point(
            well=whole and not counted.lost,
            what="acquired",
            found=f"{counted.acquired} of {counted.planned}, {counted.partial} partial, {counted.lost} lost",
            wanted="all of it",
        )
    elif expect.ended == "stopped":
        stopped = seen.phase in {"stopped", "aborted"}
        yield Point(
            well=stopped and seen.safe, what="the campaign is", found=found, wanted="stopped, in its safe state"
        )
    else:
        over = seen.phase != "running"
        yield Point(well=over, what="the campaign is", found=found, wanted="no longer under way")


def _temperatures(expect: Expectation, seen: Evidence) -> Iterator[Point]:
    hottest = f"{seen.hottest_K - 273.15:.2f} °C" if math.isfinite(seen.hottest_K) else "no reading"
    for bound_K, what in (
        (expect.hottest_K, "hottest reading of the sensor"),
        (
            None if expect.overshoot_K is None else seen.highest_setpoint_K + expect.overshoot_K,
            "hottest reading of the sensor, with what it may overshoot",
        ),
    ):
        if bound_K is not None:
            well = seen.hottest_K <= bound_K  # false for NaN
            yield Point(well=well, what=what, found=hottest, wanted=f"at most {bound_K - 273.15:.2f} °C")


def _dummy_cell(expect: Expectation, results: Results) -> Iterator[Point]:
    """Z = R / (1 + i omega R C): the sign of Im Z, the moduli, the frequencies, all at once."""
    dummy = expect.dummy_cell
    assert dummy is not None
    R, C = dummy.R_ohm, dummy.C_F
    wanted = f"within {dummy.within_percent:g} % of {R:.4g} Ω parallel to {C:.4g} F"
    if not results.eis.spectra:
        yield Point(well=False, what="spectra", found="none", wanted=wanted)
    for spectrum in results.eis.spectra:
        worst = turned = 0.0
        at_Hz = math.nan
        for f_Hz, re, im in zip(spectrum.frequency_Hz, spectrum.Z_re_ohm, spectrum.Z_im_ohm, strict=True):
            Z = R / (1.0 + 2j * math.pi * f_Hz * R * C)
            away = abs(complex(re, im) - Z) / abs(Z)
            if not away <= worst:
                worst, at_Hz = away, f_Hz
            turned = max(turned, abs(complex(re, -im) - Z) / abs(Z))
        well = 100.0 * worst <= dummy.within_percent and bool(spectrum.frequency_Hz)
        sign = 100.0 * turned <= dummy.within_percent
        yield Point(
            well=well,
            what=f"impedance of the dummy cell, {spectrum.dataset}",
            found=f"at most {100.0 * worst:.2g} % away, at {at_Hz:.4g} Hz",
            wanted=wanted,
            advice="The sign of Im Z is turned: take the other of `Z''` and `-Z''` for `imaginary`" if sign else "",
        )


def _open_holder(expect: Expectation, settings: Mapping[str, Any], results: Results) -> Iterator[Point]:
    """Y = 1/R_leak + i omega C: the capacitance from the high frequencies, the leakage from the lowest one."""
    asked = expect.open_holder
    assert asked is not None
    found: list[tuple[float, float]] = []
    for spectrum in results.eis.spectra:
        rows = sorted(zip(spectrum.frequency_Hz, spectrum.Z_re_ohm, spectrum.Z_im_ohm, strict=True))
        C = [(1.0 / complex(re, im)).imag / (2.0 * math.pi * f_Hz) for f_Hz, re, im in rows if f_Hz >= _ABOVE_Hz]
        if C and rows:
            G = (1.0 / complex(*rows[0][1:])).real
            found.append((sorted(C)[len(C) // 2], abs(G)))
    if not found:
        yield Point(well=False, what="the empty holder", found=f"no point above {_ABOVE_Hz:g} Hz", wanted="a spectrum")
        return
    C_F, G_S = found[-1]
    stated = settings.get("open_holder")
    wanted_F = _quantity(stated.get("capacitance") if isinstance(stated, dict) else None, "F")
    measured = f"{1e12 * C_F:.3g} pF, leakage {1.0 / max(G_S, 1e-18):.2g} Ω or more"
    yield Point(
        well=C_F > 0.0 and abs(C_F / wanted_F - 1.0) <= asked.within_percent / 100.0,
        what="the empty holder",
        found=measured,
        wanted=f"{1e12 * wanted_F:.3g} pF ± {asked.within_percent:g} %, as settings.open_holder of the lab file says"
        if math.isfinite(wanted_F)
        else "what settings.open_holder of the lab file says, and it says nothing",
        advice=f"Write `open_holder: {{capacitance: {1e12 * C_F:.3g} pF, leakage: {1.0 / max(G_S, 1e-18):.1g} ohm}}`"
        " into the lab file and sign again",
    )


def _quantity(text: object, unit: str) -> float:
    try:
        return parse(text, unit)
    except QuantityError:
        return math.nan


def _resistor(expect: Expectation, results: Results) -> Iterator[Point]:
    asked = expect.resistor
    assert asked is not None
    halves = [
        (f"cycle {cycle.cycle}, {name}", sign, half)
        for cell in results.cycling.cells
        for cycle in cell.cycles
        for name, sign, half in (("charge", 1.0, cycle.charge), ("discharge", -1.0, cycle.discharge))
        if half is not None and half.current_mA and half.mean_V is not None
    ]
    wanted = f"{asked.R_ohm:.4g} Ω ± {asked.within_percent:g} %"
    if not any(sign > 0.0 for _, sign, _ in halves):
        yield Point(well=False, what="charging the resistor", found="no charge", wanted=wanted)
    for name, sign, half in halves:
        R = sign * ((half.mean_V or 0.0) - asked.cell_V) / abs(half.current_mA) * 1e3
        yield Point(
            well=abs(R / asked.R_ohm - 1.0) <= asked.within_percent / 100.0,
            what=f"resistance, {name} at {half.current_mA:.4g} mA",
            found=f"{R:.4g} Ω",
            wanted=wanted,
        )


def _thermometer(expect: Expectation, results: Results) -> Iterator[Point]:
    asked = expect.thermometer
    assert asked is not None
    mine = [entry for entry in results.t1 if entry.site == asked.site]
    if not mine:
        yield Point(well=False, what=f"T1 of {asked.site}", found="none", wanted="one at each temperature")
    for entry in mine:
        found_K = kbr_temperature_K(entry.T1_s)
        se_K = abs(kbr_temperature_K(entry.T1_s + entry.T1_se_s) - found_K)
        away_K = math.nan if entry.T_K is None else found_K - entry.T_K
        yield Point(
            well=abs(away_K) <= asked.within_K and se_K <= asked.within_K,
            what=f"temperature by T1 of {asked.site}, {entry.dataset}",
            found=f"{found_K - 273.15:.1f} ± {se_K:.1f} °C, {away_K:+.1f} K from the calibration's",
            wanted=f"within {asked.within_K:g} K",
            advice="Put measured pairs of set point and sample into the lab file: `calibration: {model: table, ...}`",
        )


def kbr_temperature_K(T1_s: float) -> float:
    """Return the temperature [K] at which 79Br in KBr has this T1 [s]; NaN outside 20 to 600 K.

    T1 = 0.0145 + 5330 T^-2 + 1.42e7 T^-4 + 2.48e9 T^-6, Thurber and Tycko, J. Magn. Reson. 196 (2009) 84.
    """
    low_K, high_K = 20.0, 600.0
    if not _kbr_T1_s(high_K) <= T1_s <= _kbr_T1_s(low_K):
        return math.nan
    for _ in range(60):
        middle_K = 0.5 * (low_K + high_K)
        low_K, high_K = (middle_K, high_K) if _kbr_T1_s(middle_K) > T1_s else (low_K, middle_K)
    return 0.5 * (low_K + high_K)


def _kbr_T1_s(T_K: float) -> float:
    return 0.0145 + 5330.0 / T_K**2 + 1.42e7 / T_K**4 + 2.48e9 / T_K**6
