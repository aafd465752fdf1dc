"""Folders of anybody's EXSY data: everything is found by its parameters, wherever it lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labctl.analysis.campaign import analyze_campaign, analyze_paths
from labctl.analysis.context import AnalysisContext
from labctl.analysis.gather import gather
from labctl.analysis.results import ExchangeFit, Results
from tests.analysis.small_lab import Lab

SITES = {"A": 1.0, "B": -1.0}
TEMPERATURES_K = (293.15, 333.15)
TMIX_S = (0.05, 0.3, 1.0)


def _rates(results: Results) -> list[tuple[float, float, float]]:
    fits = [one for one in results.exsy.fits if isinstance(one, ExchangeFit)]
    return [(one.T_K or 0.0, one.k_per_s[0][1], one.k_se[0][1]) for one in fits]


@pytest.fixture(scope="module")
def scattered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Results]:
    """Return two temperatures of data moved about by their owner, and what the run folder itself gives."""
    lab = Lab(tmp_path_factory.mktemp("run"))
    for T_K in TEMPERATURES_K:
        lab.saturation_recovery(T_K)
        lab.one_pulse(T_K, "ref00")
        for index, tmix_s in enumerate(TMIX_S):
            lab.exsy(T_K, f"tmix{index + 1:02d}", tmix_s)
    ours = analyze_campaign(lab.run_dir, AnalysisContext(sites=SITES))
    folder = tmp_path_factory.mktemp("disk")
    for number, expno in enumerate(sorted((lab.run_dir / "nmr500").iterdir())):
        place = folder / ("Tuesday" if number % 2 else "Monday/backup/li sample") / str(10 + number)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(expno, place)
    # the console's thermometer wanders; by less than a kelvin it is the same temperature
    for number, acqus in enumerate(sorted(folder.rglob("acqus"))):
        text = acqus.read_text(encoding="utf-8")
        for T_K in TEMPERATURES_K:
            text = text.replace(f"##$TE= {T_K}", f"##$TE= {T_K + 0.3 * (-1) ** number:.2f}")
        acqus.write_text(text, encoding="utf-8")
    (folder / "notes").mkdir()
    (folder / "notes" / "acqus").write_text("shopping list", encoding="utf-8")
    return folder, ours


@pytest.fixture(scope="module")
def results(scattered: tuple[Path, Results]) -> Results:
    """Return what is made of the scattered folders, the sites being named."""
    return analyze_paths([scattered[0]], sites=SITES)


def test_kinds_and_temperatures_are_found_by_parameters(scattered: tuple[Path, Results], results: Results) -> None:
    """2Ds, recoveries and 1Ds of each temperature come together by TE, whatever folders they lie in."""
    _, ours = scattered
    kinds = [one.kind for one in results.datasets]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"exsy": 6, "saturation_recovery": 2, "one_pulse": 2}
    assert [site.name for site in results.exsy.sites] == list(SITES)
    assert len(results.t1) == 4
    for found, expected in zip(_rates(results), _rates(ours), strict=True):
        assert found[0] == pytest.approx(expected[0], abs=0.31)
        assert found[1:] == pytest.approx(expected[1:], rel=1e-6)


def test_what_cannot_be_read_is_told_and_spares_the_rest(results: Results) -> None:
    """A folder that only looks like an acquisition is a warning with its name."""
    told = [one.message for one in results.warnings if one.code == "unreadable"]
    assert len(told) == 1
    assert "notes" in told[0]


def test_sites_are_found_where_none_are_named(scattered: tuple[Path, Results]) -> None:
    """Without a list the lines are found, at every temperature under the same name, the more populated first."""
    folder, ours = scattered
    results = analyze_paths([folder])  # the same data again, nothing said of their sites
    assert [site.name for site in results.exsy.sites] == ["site 1", "site 2"]
    assert [site.ppm for site in results.exsy.sites] == pytest.approx(list(SITES.values()), abs=0.05)
    for found, expected in zip(_rates(results), _rates(ours), strict=True):
        assert abs(found[1] - expected[1]) < 0.5 * expected[2]


def test_rows_brought_in_before_the_end_are_no_acquisition(tmp_path: Path) -> None:
    """A station's folder holds each 2D once, whatever was looked at while it was acquired."""
    lab = Lab(tmp_path / "run")
    lab.exsy(293.15, "tmix01", 0.3)
    station = tmp_path / "run" / "nmr500"
    shutil.copytree(station / "10", station / "parts" / "10" / "01")
    found, _ = gather([station])
    assert [one.path.name for one in found] == ["10"]
    alone, _ = gather([station / "parts" / "10" / "01"])
    assert len(alone) == 1  # whoever asks for it gets it
