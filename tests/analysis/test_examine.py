"""The referee's questions reach a campaign's results: each flaw put into whole data comes out as its warning."""

from __future__ import annotations

import pytest

from labctl.analysis.campaign import analyze_campaign, analyze_paths
from labctl.analysis.context import AnalysisContext
from labctl.analysis.results import Results
from tests.analysis.small_lab import Lab


def _analysed(lab: Lab) -> Results:
    return analyze_campaign(lab.run_dir, AnalysisContext(sites=lab.sample.ppm))


def test_what_changed_during_a_2d_is_told_of_that_2d(lab: Lab) -> None:
    """Of three 1Ds around two 2Ds the change lies between the last two: the second 2D is named, with the change."""
    lab.one_pulse(333.15, "ref00")
    lab.exsy(333.15, "tmix01", 0.1)
    lab.one_pulse(333.15, "ref01")
    second = lab.exsy(333.15, "tmix02", 0.4)
    lab.one_pulse(333.15, "ref02", shift_ppm=0.1, area=0.8)
    during = [one for one in _analysed(lab).warnings if one.code.startswith("drift_during")]
    assert {one.where for one in during} == {second.step_id}
    assert {one.code for one in during} >= {"drift_during_shift", "drift_during_area"}
    for one in during:
        assert one.value is not None
        assert one.advice


def test_no_exchange_that_nothing_could_show_is_no_null_result(lab: Lab) -> None:
    """A site that a short recycle delay left saturated cannot show exchange: told with what it had recovered."""
    lab.sample.k_AB_at_333K = 1e-6
    lab.sample.T1_s = (60.0, 2.0)
    lab.saturation_recovery(333.15, delays_s=[0.5, 2, 6, 15, 40, 80, 150, 300])
    for index, tmix_s in enumerate((0.1, 0.4, 1.2)):
        lab.exsy(333.15, f"tmix{index + 1:02d}", tmix_s, d1_s=6.0)
    (told,) = [one for one in _analysed(lab).warnings if one.code == "no_null_result"]
    assert told.value == pytest.approx(0.095, abs=0.02)  # 1 - exp(-6 s / 60 s)
    assert "A had recovered only" in told.message


def test_energies_of_foreign_data_carry_the_temperatures_doubt(lab: Lab) -> None:
    """Temperatures of the console alone are told with what ten kelvin of friction would do to the largest Ea."""
    for T_K in (313.15, 353.15):
        for index, tmix_s in enumerate((0.1, 0.5)):
            lab.exsy(T_K, f"tmix{index + 1:02d}", tmix_s)
    foreign = analyze_paths([lab.run_dir / "nmr500"], sites=lab.sample.ppm)
    (told,) = [one for one in foreign.warnings if one.code == "temperature_uncalibrated"]
    largest = max(one.Ea_eV for one in foreign.exsy.arrhenius if one.model == "exchange")
    assert told.value == pytest.approx(largest * ((343.15 / 333.15) ** 2 - 1), rel=0.01)


def test_mixing_times_below_the_bend_are_told(lab: Lab) -> None:
    """All cross peaks below a quarter of their plateau: rate and plateau hang together, told with how far it got."""
    lab.sample.k_AB_at_333K = 0.1
    for index, tmix_s in enumerate((0.2, 0.6)):
        lab.exsy(333.15, f"tmix{index + 1:02d}", tmix_s)
    (told,) = [one for one in _analysed(lab).warnings if one.code == "all_before_bend"]
    assert told.value is not None
    assert 0 < told.value < 0.25
