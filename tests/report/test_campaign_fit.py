"""The global fit on the page: every geometry, bounds as bounds, a figure with bands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labctl.analysis.global_entries import campaign_entry, global_arrhenius
from labctl.analysis.global_fit import fit_campaign
from labctl.analysis.results import Results
from labctl.analysis.structure import Structure
from labctl.report.campaign_figures import diffusivities
from labctl.report.campaign_tables import campaign_fit, campaign_tables
from labctl.report.page import Timeline, write_report
from tests.analysis.layered_campaign import Layers, Plan, measure


@pytest.fixture(scope="module")
def results() -> Results:
    """A campaign of a coated electrode whose electrolyte is only bounded, with a length stated."""
    truth = Layers()
    plan = replace(Plan(), T_K=(293.15, 333.15, 373.15), tmix_s=(0.1, 1.0, 8.0), recoveries=False, times_T1=20.0)
    structure = Structure(
        layers=truth.sites, density_per_nm3=dict(zip(truth.sites, truth.density, strict=True)), length_m=5e-6
    )
    fitted = fit_campaign(measure(truth, plan, 1), structure)
    assert fitted is not None
    results = Results(campaign="coated")
    results.exsy.fits = [campaign_entry(fitted)]
    results.exsy.arrhenius = global_arrhenius(fitted)
    return results


def test_tables_hold_every_geometry_and_call_a_bound_a_bound(results: Results) -> None:
    """Both geometries stand in the tables, the reported one first; the bounded phase has no Ea, and D has its unit."""
    tables = campaign_tables(results)
    assert tables is not None
    assert [one.reported for one in tables.geometries] == [True, False]
    rows = {row.phase: row for row in tables.geometries[0].rows}
    assert rows["LPSC"].kD.startswith("> ")
    assert rows["LPSC"].Ea == "none: only bounded"
    assert rows["Li2S"].D.endswith("m²/s")
    assert "±" in rows["Li2S"].Ea
    assert rows["Li2S"].interval.endswith(" eV")
    assert tables.models[0][1] == 0.0
    assert dict(tables.models)["exchange"] > 6.0


def test_the_page_shows_it_first(results: Results, tmp_path: Path) -> None:
    """Its energies lead, its table and figure are on the page, and it is not listed among single temperatures."""
    figure = diffusivities(results, tmp_path)
    assert figure is not None
    again = diffusivities(results, tmp_path / "again")
    assert again is not None
    assert figure.path.read_bytes() == again.path.read_bytes(), "equal results give equal files"
    page = write_report(tmp_path / "report.html", results, (figure,), timeline=Timeline(), protocol_text="")
    text = page.read_text(encoding="utf-8")
    assert "All temperatures together" in text
    assert "concentric spheres Li2S | LiI | LPSC" in text
    assert "stacked slabs" in text
    assert "(ln D, global)" in text
    assert text.count("kD of LPSC is only bounded") == 1
    assert 'id="kD_of_temperature"' in text


def test_without_a_campaign_there_is_nothing(tmp_path: Path) -> None:
    """Results without a global fit have neither its table nor its figure."""
    assert campaign_tables(Results()) is None
    assert diffusivities(Results(), tmp_path) is None


def test_a_geometry_that_resolves_nothing_says_so(results: Results, tmp_path: Path) -> None:
    """Where neither a curve nor a bound is known the panel is empty but for that; where none is anywhere, no figure."""
    bare = results.model_copy(deep=True)
    fit = campaign_fit(bare)
    assert fit is not None
    assert fit.campaign is not None
    for phase in fit.campaign.geometries[0].phases:
        phase.curve = phase.bound = None
    assert diffusivities(bare, tmp_path) is not None
    for phase in fit.phases:
        phase.curve = phase.bound = None
    assert diffusivities(bare, tmp_path) is None
