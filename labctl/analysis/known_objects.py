"""Measurements of things that are known, held against what they are: dummy cell, empty holder, resistor, KBr."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scipy import optimize

from labctl.analysis.results import Results
from labctl.protocol.commissioning import DummyCell, EmptyHolder, Expectation, KnownResistor, Thermometer
from labctl.units import QuantityError, parse

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


def known_objects(expect: Expectation, settings: Mapping[str, Any], results: Results) -> Iterator[Point]:
    """Yield a point for each known thing that a stage expects to have measured.

    Parameters
    ----------
    settings : mapping
        Of the station in the lab file that is to be signed; ``open_holder`` in it is what the holder is held against.
    """
    if expect.dummy_cell is not None:
        yield from _dummy_cell(expect.dummy_cell, results)
    if expect.open_holder is not None:
        yield from _open_holder(expect.open_holder, settings, results)
    if expect.resistor is not None:
        yield from _resistor(expect.resistor, results)
    if expect.thermometer is not None:
        yield from _thermometer(expect.thermometer, results)


def _dummy_cell(dummy: DummyCell, results: Results) -> Iterator[Point]:
    """Z = R / (1 + i omega R C): the sign of Im Z, the moduli, the frequencies, all at once."""
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


def _open_holder(asked: EmptyHolder, settings: Mapping[str, Any], results: Results) -> Iterator[Point]:
    """Y = 1/R_leak + i omega C: the capacitance from the high frequencies, the leakage from the lowest one."""
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


def _resistor(asked: KnownResistor, results: Results) -> Iterator[Point]:
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


def _thermometer(asked: Thermometer, results: Results) -> Iterator[Point]:
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
    return float(optimize.brentq(lambda T_K: _kbr_T1_s(T_K) - T1_s, low_K, high_K))


def _kbr_T1_s(T_K: float) -> float:
    return 0.0145 + 5330.0 / T_K**2 + 1.42e7 / T_K**4 + 2.48e9 / T_K**6
