"""The verdict on a dataset as it comes: numbers for later steps, gates, and never an exception."""

from __future__ import annotations

import pytest

from labctl.analysis.context import AnalysisContext
from labctl.analysis.judge import judge
from labctl.dataset.model import Dataset, Verdict
from tests.analysis.small_lab import Lab

CONTEXT = AnalysisContext(sites={"A": 1.0, "B": -1.0})


def _judged(lab: Lab, *datasets: Dataset) -> list[Verdict]:
    earlier: list[tuple[Dataset, Verdict]] = []
    for dataset in datasets:
        earlier.append((dataset, judge(lab.run_dir, dataset, CONTEXT, tuple(earlier))))
    return [verdict for _, verdict in earlier]


def test_recovery_measures_T1_of_each_site(lab: Lab) -> None:
    """A later recycle delay finds T1 and its error by site."""
    lab.sample.k_AB_at_333K = 1e-6
    (verdict,) = _judged(lab, lab.saturation_recovery(333.15))
    for site, T1_s in zip("AB", lab.sample.T1_s, strict=True):
        assert abs(verdict.measured[f"T1_s/{site}"] - T1_s) < 4 * verdict.measured[f"T1_se_s/{site}"]
    assert verdict.gate == "pass"
    assert "T1: A" in verdict.message


def test_a_T1_lost_in_noise_decides_nothing(lab: Lab) -> None:
    """A recovery that the noise hides gives no T1 for a recycle delay, and says so."""
    lab.noise = 5.0
    (verdict,) = _judged(lab, lab.saturation_recovery(333.15))
    unresolved = {name for name in verdict.measured if name.startswith("T1_unresolved/")}
    assert unresolved
    for name in unresolved:
        assert name.replace("T1_unresolved/", "T1_s/") not in verdict.measured
    assert "not resolved" in verdict.message


def test_line_checks_settle_when_the_line_stands_still(lab: Lab) -> None:
    """A line that moves 0.1 ppm in 15 min is not settled, one that stands is; the first check never is."""
    verdicts = _judged(
        lab,
        lab.one_pulse(333.15, "line01", shift_ppm=0.2),
        lab.one_pulse(333.15, "line02", shift_ppm=0.1),
        lab.one_pulse(333.15, "line03", shift_ppm=0.1),
    )
    assert [one.gate for one in verdicts] == ["pass", "pass", "settled"]
    assert "not settled" in verdicts[1].message
    assert verdicts[2].measured["line_ppm/A"] == pytest.approx(1.1, abs=0.02)


def test_line_checks_of_another_temperature_do_not_count(lab: Lab) -> None:
    """Each temperature settles by itself."""
    verdicts = _judged(lab, lab.one_pulse(313.15, "line01"), lab.one_pulse(333.15, "line01"))
    assert [one.gate for one in verdicts] == ["pass", "pass"]


def test_references_are_held_against_the_first(lab: Lab) -> None:
    """Shift, area and line checks: a change beyond the limit is warned of, a steady sample is not."""
    verdicts = _judged(
        lab,
        lab.one_pulse(333.15, "ref00"),
        lab.one_pulse(333.15, "ref01"),
        lab.one_pulse(333.15, "ref02", shift_ppm=0.08, area=0.9),
    )
    assert verdicts[1].warnings == ()
    assert any("moved by +0.0" in text for text in verdicts[2].warnings)
    assert any("area by -" in text for text in verdicts[2].warnings)
    assert {"line_ppm/A", "area/B", "fwhm_Hz/B"} <= set(verdicts[0].measured)


def test_a_pulse_far_off_stops_the_campaign(lab: Lab) -> None:
    """Within 15 % of the expected 90 degree pulse all goes on; beyond, a person is asked."""
    good, bad = _judged(lab, lab.nutation(333.15, p90_us=5.2), lab.nutation(333.15, "pulse2", p90_us=6.5))
    assert good.gate == "pass"
    assert good.measured["p90_us"] == pytest.approx(5.2, abs=4 * good.measured["p90_se_us"] + 0.05)
    assert bad.gate == "stop"
    assert "+30" in bad.message


def test_a_2d_is_judged_by_its_noise_and_symmetry(lab: Lab) -> None:
    """SNR and asymmetry are measured; an asymmetric one is warned of."""
    lab.noise = 0.002
    steady = lab.exsy(333.15, "tmix01", 0.5, d1_s=60.0)
    lab.sample.T1_s = (60.0, 2.0)
    lab.sample.k_AB_at_333K = 0.02
    skewed = lab.exsy(333.15, "tmix02", 2.0, d1_s=8.0)
    fine, odd = _judged(lab, steady, skewed)
    assert fine.measured["snr"] > 50
    assert fine.measured["asymmetry_sigma"] < 4
    assert odd.measured["asymmetry_sigma"] > 3
    assert any("differ by" in text for text in odd.warnings)


def test_what_cannot_be_analysed_passes_with_a_warning(lab: Lab) -> None:
    """Missing raw data end in a verdict that says so: the campaign goes on."""
    dataset = lab.one_pulse(333.15, "ref00")
    (lab.run_dir / dataset.directory / "fid").unlink()
    (verdict,) = _judged(lab, dataset)
    assert verdict.gate == "pass"
    assert verdict.measured == {}
    assert "could not be analysed" in verdict.warnings[0]
