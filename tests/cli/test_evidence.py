"""What a run shows for a stage: each thing asked for is well where it is there, and has failed where it is not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from labctl.analysis.eis_results import Eis, EisSpectrum
from labctl.analysis.known_objects import Point
from labctl.analysis.results import T1, Results
from labctl.cli.evidence import Evidence, points
from labctl.protocol.commissioning import Commissioning, StageRule
from labctl.run.history import Certificate

GOOD = Evidence(
    certificate=Certificate(planned=2, acquired=2, repeated=0, lost=0),
    phase="done",
    safe=False,
    began_s=0.0,
    ended_s=43_200.0,
    said=("the heater is off", "guard: time"),
    hottest_K=313.5,
    highest_setpoint_K=313.15,
    resumed_at_work=True,
    settings={"open_holder": {"capacitance": "20 pF"}},
)


def asked(seen: Evidence, results: Results | None = None, rule: StageRule | None = None, **expect: Any) -> list[Point]:
    """Return the points of a stage that expects this, beside how it ended."""
    wanted = Commissioning.model_validate({"stage": "s", "part": "p" if rule else "", "expect": expect})
    return list(points(wanted, rule or StageRule(), seen, results or Results()))


@pytest.mark.parametrize(
    ("expect", "bad"),
    [
        ({}, {"phase": "paused"}),
        ({}, {"certificate": Certificate(planned=2, acquired=2, repeated=0, lost=0, partial=1)}),
        ({}, {"certificate": Certificate(planned=2, acquired=1, repeated=0, lost=1)}),
        ({"says": ["heater is off"]}, {"said": ("something else",)}),
        ({"lasted": "12 h"}, {"ended_s": 43_199.0}),
        ({"undisturbed": True}, {"disturbances": ("a lead fell off",)}),
        ({"undisturbed": True}, {"certificate": Certificate(planned=2, acquired=2, repeated=1, lost=0)}),
        ({"resumed": True}, {"resumed_at_work": False}),
        ({"resumed": True}, {"certificate": Certificate(planned=2, acquired=2, repeated=1, lost=0)}),
        ({"hottest": "314 K"}, {"hottest_K": 314.1}),
        ({"hottest": "314 K"}, {"hottest_K": math.nan}),
        ({"overshoot": "1 K"}, {"hottest_K": 314.2}),
    ],
)
def test_what_is_asked_is_looked_for(expect: dict[str, Any], bad: dict[str, Any]) -> None:
    """A run that has it fails in nothing; one that lacks it fails."""
    assert all(point.well for point in asked(GOOD, **expect))
    assert not all(point.well for point in asked(replace(GOOD, **bad), **expect))


def test_a_stage_that_has_to_stop_stands_safe() -> None:
    """`stopped` wants a fault and the safe state read back; `any` wants it to be over."""
    stopped = replace(GOOD, phase="stopped", safe=True)
    assert all(point.well for point in asked(stopped, ended="stopped"))
    for wrong in (GOOD, replace(stopped, safe=False), replace(stopped, phase="running")):
        assert not all(point.well for point in asked(wrong, ended="stopped"))
    assert all(point.well for point in asked(stopped, ended="any"))
    assert not all(point.well for point in asked(replace(GOOD, phase="running"), ended="any"))


def test_a_part_of_a_stage_has_its_words() -> None:
    """Whatever a protocol expects, the guard it is there for must have been told."""
    rule = StageRule(parts={"p": "guard: time"})
    assert all(point.well for point in asked(GOOD, rule=rule))
    assert not all(point.well for point in asked(replace(GOOD, said=("guard: safety",)), rule=rule))


R, C = 100e3, 1e-9


def spectrum(of: Any) -> Results:
    """Return the results of one spectrum, `of` the frequency [Hz]."""
    frequencies = [10.0**exponent for exponent in range(1, 6)]
    Z = [of(f_Hz) for f_Hz in frequencies]
    one = EisSpectrum(
        dataset="sweep", path="", frequency_Hz=frequencies, Z_re_ohm=[z.real for z in Z], Z_im_ohm=[z.imag for z in Z]
    )
    return Results(eis=Eis(spectra=[one]))


def dummy(f_Hz: float) -> complex:
    """Return the impedance of the dummy cell."""
    return R / (1.0 + 2j * math.pi * f_Hz * R * C)


@pytest.mark.parametrize(
    ("of", "well", "words"),
    [
        (dummy, True, ""),
        (lambda f_Hz: 1.04 * dummy(f_Hz), True, ""),
        (lambda f_Hz: dummy(f_Hz).conjugate(), False, "`imaginary`"),
        (lambda f_Hz: dummy(f_Hz) * 2.0**0.5, False, ""),
        (lambda f_Hz: dummy(2.0 * math.pi * f_Hz), False, ""),
    ],
)
def test_a_dummy_cell_settles_sign_size_and_frequency(of: Any, well: bool, words: str) -> None:
    """A turned sign, a factor of 1.41, and an angular frequency each fail; the sign is named."""
    (point,) = asked(GOOD, spectrum(of), dummy_cell={"R": "100 kohm", "C": "1 nF", "within": "5 %"})[2:]
    assert point.well is well
    assert words in str(point)
    assert ("The sign" in str(point)) is bool(words)


def test_no_spectrum_is_no_dummy_cell() -> None:
    """A run without the data that a stage is signed by fails."""
    wanted: tuple[dict[str, Any], ...] = (
        {"dummy_cell": {"R": "100 kohm", "C": "1 nF", "within": "5 %"}},
        {"open_holder": {"within": "20 %"}},
        {"resistor": {"R": "1 kohm", "cell": "1.3 V", "within": "5 %"}},
        {"thermometer": {"site": "KBr", "within": "3 K"}},
    )
    for expect in wanted:
        assert not all(point.well for point in asked(GOOD, **expect))


def test_an_empty_holder_is_what_the_lab_file_says() -> None:
    """Its capacitance is read off and compared; where the lab file says nothing, what to write is told."""
    holder = spectrum(lambda f_Hz: 1.0 / complex(1e-12, 2.0 * math.pi * f_Hz * 21e-12))
    (point,) = asked(GOOD, holder, open_holder={"within": "20 %"})[2:]
    assert point.well
    assert "21 pF" in str(point)
    (point,) = asked(replace(GOOD, settings={}), holder, open_holder={"within": "20 %"})[2:]
    assert not point.well
    assert "open_holder: {capacitance: 21 pF, leakage: 1e+12 ohm}" in str(point)


@pytest.mark.parametrize(
    ("T1_s", "se_s", "well"), [(0.0763, 0.0005, True), (0.0700, 0.0005, False), (0.0763, 0.01, False)]
)
def test_bromide_tells_the_temperature(T1_s: float, se_s: float, well: bool) -> None:
    """A T1 of 76.3 ms is 25 °C; one that is off, or known too badly, signs for no calibration."""
    entry = T1(
        site="KBr", T_K=298.15, T1_s=T1_s, T1_se_s=se_s, model="", alpha=1.0, alpha_se=0.0, M0=1.0, M0_se=0.0,
        chi2_red=1.0, delays_s=[], intensities=[], intensity_se=[], dataset="t1",
    )  # fmt: skip
    (point,) = asked(GOOD, Results(t1=[entry]), thermometer={"site": "KBr", "within": "3 K"})[2:]
    assert point.well is well
