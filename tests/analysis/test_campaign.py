"""Whole run folders and foreign data to results: right numbers, right warnings, and no exception ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labctl.analysis.campaign import analyze_campaign, analyze_paths
from labctl.analysis.context import AnalysisContext
from labctl.analysis.layered_results import LayeredFit
from labctl.analysis.results import ExchangeFit, ProductFit, Results
from labctl.errors import InputError
from tests.analysis.small_lab import Lab

TEMPERATURES_K = (293.15, 333.15, 373.15)
TMIX_S = (0.1, 0.4, 1.2)
SITES = {"A": 1.0, "B": -1.0}


def _acquire(lab: Lab) -> None:
    for T_K in TEMPERATURES_K:
        lab.saturation_recovery(T_K)
        lab.one_pulse(T_K, "ref00")
        for index, tmix_s in enumerate(TMIX_S):
            lab.exsy(T_K, f"tmix{index + 1:02d}", tmix_s)
            lab.one_pulse(T_K, f"ref{index + 1:02d}")


def test_a_campaign_comes_back(lab: Lab) -> None:
    """Rates, T1 of both sites (exchange included), populations and Ea of a run folder agree with the truth."""
    _acquire(lab)
    results = analyze_campaign(lab.run_dir, AnalysisContext(campaign="demo", sites=SITES))
    assert [one.name for one in results.exsy.sites] == ["A", "B"]
    assert len(results.exsy.matrices) == 9
    assert len(results.t1) == 6
    exchange = [one for one in results.exsy.fits if isinstance(one, ExchangeFit)]
    assert [one.T_K for one in exchange] == pytest.approx(TEMPERATURES_K)
    for fit in exchange:
        assert fit.relaxation == "from T1 data"
        assert fit.T_K is not None
        assert abs(fit.k_per_s[0][1] - lab.sample.k(fit.T_K)) < 4 * fit.k_se[0][1]
        assert fit.k_se[0][1] < 0.05 * fit.k_per_s[0][1]
        assert fit.R1_per_s is not None
        assert fit.R1_per_s == pytest.approx([1 / T1 for T1 in lab.sample.T1_s], rel=0.15)
        assert abs(fit.population[0] - lab.sample.p[0]) < 4 * fit.population_se[0]
    for line in results.exsy.arrhenius:
        if line.model == "exchange":
            assert line.convention == "ln k"
            assert abs(line.Ea_eV - lab.sample.Ea_eV) < 4 * line.Ea_se_eV
            assert line.Ea_ci95_eV[0] < line.Ea_eV < line.Ea_ci95_eV[1]
    assert {one.quantity for one in results.exsy.arrhenius if one.model == "exchange"} == {"k A->B", "k B->A"}
    assert sum(isinstance(one, LayeredFit) and one.scope == "temperature" for one in results.exsy.fits) == 3
    assert sum(isinstance(one, ProductFit) for one in results.exsy.fits) == 3
    assert {one.favoured for one in results.exsy.comparisons} == {"exchange"}
    assert len(results.exsy.buildup) == 3
    of_models = {"not_resolved", "no_arrhenius", "chi2", "degeneracy", "geometry"}  # layers do not describe two sites
    assert {one.code for one in results.warnings} <= of_models, "clean data, no doubts of them"
    assert Results.model_validate_json(results.model_dump_json(indent=2)) == results


def test_unnamed_sites_go_by_falling_population(lab: Lab) -> None:
    """Without names the most populated line is site 1, wherever it stands."""
    lab.sample.p = (0.3, 0.7)
    for index, tmix_s in enumerate(TMIX_S):
        lab.exsy(333.15, f"tmix{index + 1:02d}", tmix_s)
    results = analyze_paths([lab.run_dir])
    assert [one.name for one in results.exsy.sites] == ["site 1", "site 2"]
    assert results.exsy.sites[0].ppm == pytest.approx(-1.0, abs=0.02)
    assert results.exsy.sites[0].population == pytest.approx(0.7, abs=0.05)
    (warning,) = [one for one in results.warnings if one.code == "no_arrhenius"]
    assert "1 known temperature" in warning.message


def test_foreign_folders_need_no_manifest(lab: Lab) -> None:
    """The raw EXPNO folders alone give the same rates as the run folder, at the console's own temperature."""
    for index, tmix_s in enumerate(TMIX_S):
        lab.exsy(333.15, f"tmix{index + 1:02d}", tmix_s)
    ours, theirs = analyze_paths([lab.run_dir], sites=SITES), analyze_paths([lab.run_dir / "nmr500"], sites=SITES)
    fits = [next(one for one in results.exsy.fits if isinstance(one, ExchangeFit)) for results in (ours, theirs)]
    assert fits[0].k_per_s == fits[1].k_per_s
    stated = analyze_paths([lab.run_dir / "nmr500"], sites=SITES, temperature_K=300.0)
    assert stated.exsy.matrices[0].T_K == 300.0


def test_halted_data_are_used_and_said(lab: Lab) -> None:
    """A 2D cut short counts with its rows, with larger errors and a warning that has the number."""
    lab.exsy(333.15, "tmix01", 0.1)
    lab.exsy(333.15, "tmix02", 0.5, rows=20)
    lab.exsy(333.15, "tmix03", 0.5)
    results = analyze_paths([lab.run_dir], sites=SITES)
    (warning,) = [one for one in results.warnings if one.code == "partial"]
    assert "20 of 48 rows" in warning.message
    assert warning.where.endswith("tmix02")
    short, full = results.exsy.matrices[1], results.exsy.matrices[2]
    assert short.A_se[0][1] > full.A_se[0][1]


def test_drift_between_references_is_reported(lab: Lab) -> None:
    """A line that moved and lost area between two 2Ds is said so, with both numbers."""
    lab.one_pulse(333.15, "ref00")
    lab.exsy(333.15, "tmix01", 0.1)
    lab.one_pulse(333.15, "ref01", shift_ppm=0.1, area=0.8)
    results = analyze_paths([lab.run_dir], sites=SITES)
    drifts = {one.code: one.value for one in results.warnings if one.code.startswith("drift")}
    assert drifts["drift_shift"] == pytest.approx(0.1, abs=0.02)
    assert drifts["drift_area"] == pytest.approx(-0.2, abs=0.03)


def test_short_delays_are_reported(lab: Lab) -> None:
    """A T1 that the delays do not reach is doubted."""
    lab.saturation_recovery(333.15, delays_s=[0.1, 0.2, 0.4, 0.8, 1.6, 3.0])
    results = analyze_paths([lab.run_dir], sites=SITES)
    assert any(one.code == "T1_range" for one in results.warnings)


def test_asymmetric_matrices_are_reported(lab: Lab) -> None:
    """Short recycle delays with unequal T1 make cross peaks differ, which is said with the ratio."""
    lab.sample.T1_s = (60.0, 2.0)
    lab.sample.k_AB_at_333K = 0.02
    lab.noise = 0.001
    lab.exsy(333.15, "tmix01", 2.0, d1_s=10.0)
    results = analyze_paths([lab.run_dir], sites=SITES)
    (warning,) = [one for one in results.warnings if one.code == "asymmetry"]
    assert warning.value is not None
    assert abs(warning.value) > 3


def test_one_dataset_that_cannot_be_analysed_spares_the_rest(lab: Lab) -> None:
    """An empty file, a broken manifest and a missing list each leave a warning; the 2Ds are still fitted."""
    for index, tmix_s in enumerate(TMIX_S):
        lab.exsy(333.15, f"tmix{index + 1:02d}", tmix_s)
    broken = lab.one_pulse(333.15, "ref00")
    (lab.run_dir / broken.directory / "fid").write_bytes(b"")
    pulse = lab.nutation(333.15, p90_us=5.0)
    (lab.run_dir / pulse.directory / "vplist").unlink()
    (lab.run_dir / "datasets" / "nonsense.json").write_text("{", encoding="utf-8")
    results = analyze_paths([lab.run_dir], sites=SITES)
    assert any(isinstance(one, ExchangeFit) for one in results.exsy.fits)
    codes = [one.code for one in results.warnings]
    assert codes.count("unreadable") == 1
    assert codes.count("not_analysed") == 2


def test_paths_without_data_are_the_users_mistake(tmp_path: Path) -> None:
    """A missing path, and a folder with nothing to read, are input errors that name it."""
    with pytest.raises(InputError, match="missing"):
        analyze_paths([tmp_path / "missing"])
    with pytest.raises(InputError, match="nothing to analyse"):
        analyze_paths([tmp_path])


@pytest.mark.real_data
def test_a_real_exsy_series(shared_data: Path) -> None:
    """Eleven mixing times of a real two-site 19F sample give its known rates, site 1 being the more populated."""
    results = analyze_paths([shared_data / "bruker" / "exsy-19f"])
    (fit,) = [one for one in results.exsy.fits if isinstance(one, ExchangeFit)]
    assert fit.k_per_s[0][1] == pytest.approx(82, abs=4)
    assert fit.k_per_s[1][0] == pytest.approx(166, abs=8)
    assert fit.population[0] > fit.population[1]
    ratio = fit.k_per_s[0][1] / fit.k_per_s[1][0]
    assert ratio == pytest.approx(fit.population[1] / fit.population[0], rel=1e-6)
    assert results.exsy.comparisons[0].favoured == "exchange"
    json.loads(results.model_dump_json())


@pytest.mark.real_data
def test_a_real_saturation_recovery(shared_data: Path) -> None:
    """T1 of a real 29Si recovery is 2.32 s within its spread among estimators."""
    results = analyze_paths([shared_data / "bruker" / "satrec-29si"])
    (T1,) = results.t1
    assert T1.T1_s == pytest.approx(2.32, abs=0.15)
    assert T1.T1_se_s <= 0.1


def test_the_door_is_thin() -> None:
    """Importing the room loads no numerics; they come with the first call for them."""
    code = "import sys, labctl.analysis; assert 'numpy' not in sys.modules and 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_runaway_temperature_belongs_to_no_fit(lab: Lab) -> None:
    """A 2D over which the sensor moved by many kelvin is left out, and a warning says so."""
    for index, tmix_s in enumerate(TMIX_S):
        lab.exsy(333.15, f"tmix{index + 1:02d}", tmix_s)
    moved = max((lab.run_dir / "datasets").glob("*.json"))
    document = json.loads(moved.read_text(encoding="utf-8"))
    document["dataset"]["settings"] |= {"sensor_before_K": 333.0, "sensor_after_K": 313.0}
    moved.write_text(json.dumps(document), encoding="utf-8")
    results = analyze_campaign(lab.run_dir, AnalysisContext(sites=lab.sample.ppm))
    assert len(results.exsy.matrices) == 2
    (warning,) = [one for one in results.warnings if one.code == "temperature_moved"]
    assert warning.where == document["dataset"]["step_id"]


def test_a_file_is_not_its_folder(lab: Lab, tmp_path: Path) -> None:
    """A FID stands for its dataset; any other file beside it is refused, not taken for everything around it."""
    dataset = lab.one_pulse(333.15, "ref00")
    note = lab.run_dir / dataset.directory / "notes.txt"
    note.write_text("remember the milk", encoding="utf-8")
    with pytest.raises(InputError, match="nothing to analyse"):
        analyze_paths([note])
    assert len(analyze_paths([note.parent / "fid"]).datasets) == 1
