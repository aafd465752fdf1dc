"""Tables: one observation a row, complete, and equal to the results they were made from."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from labctl.analysis.results import (
    T1,
    Arrhenius,
    BuildUp,
    DatasetEntry,
    MatrixEntry,
    Results,
    ResultWarning,
    Site,
)
from labctl.report.tidy import write_csv, write_tables


@pytest.fixture
def results() -> Results:
    """Return results with a little of everything NMR; a warning holds a comma, a quote and a line break."""
    filled = Results(campaign="c")
    filled.datasets.append(
        DatasetEntry(
            dataset="T01/exsy",
            path="nmr500/1",
            kind="exsy",
            completeness="complete",
            shape=[48, 1024],
            T_K=293.0,
            parameters={"mixing_time_s": 0.1},
            remarks=["a", "b"],
        )
    )
    filled.t1.append(
        T1(
            site="A",
            T_K=293.0,
            T1_s=2.0,
            T1_se_s=0.1,
            model="m",
            alpha=1.0,
            alpha_se=0.01,
            M0=1.0,
            M0_se=0.01,
            chi2_red=1.0,
            delays_s=[0.1, 1.0, 10.0],
            intensities=[0.05, 0.4, 1.0],
            intensity_se=[0.01, 0.02, 0.03],
            dataset="T01/t1",
        )
    )
    filled.exsy.sites = [Site(name="A", ppm=2.0), Site(name="B", ppm=-2.0)]
    filled.exsy.matrices.append(
        MatrixEntry(
            T_K=293.0,
            tmix_s=0.1,
            A=[[0.5, 0.1], [0.2, 0.3]],
            A_se=[[0.01, 0.02], [0.03, 0.04]],
            normalisation="sum",
            dataset="T01/exsy",
        )
    )
    common = {"T_K": 293.0, "chi2_red": 1.0, "datasets": ["T01/exsy"]}
    exchange = {
        "model": "exchange",
        "sites": ["A", "B"],
        "k_per_s": [[0.0, 1.5], [2.5, 0.0]],
        "k_se": [[0.0, 0.1], [0.2, 0.0]],
        "population": [0.6, 0.4],
        "population_se": [0.01, 0.01],
        "relaxation": "common, cancels",
        "n_data": 12,
        "n_parameters": 3,
    }
    bound = {"phase": "A", "kD_per_s": 0.3, "kD_se": None, "bound": "lower"}
    layered = {"model": "layered", "geometry": "sphere", "phases": [bound], "n_data": 12, "n_parameters": 3}
    product = {"model": "product", "pair": ["A", "B"], "kD_per_s": 0.1, "kD_se": 0.01, "geometry": "cube"}
    fits = [exchange | common, layered | common, product | common | {"plateau": 0.24}]
    filled.exsy.fits += Results.model_validate({"exsy": {"fits": fits}}).exsy.fits
    filled.exsy.buildup.append(
        BuildUp(
            T_K=293.0, pair=["A", "B"], tmix_s=[0.1, 1.0], cross=[0.1, 0.2], cross_se=[0.01, 0.02], datasets=["a", "b"]
        )
    )
    filled.exsy.arrhenius.append(
        Arrhenius(
            quantity="k A->B",
            model="exchange",
            convention="ln k",
            Ea_eV=0.15,
            Ea_se_eV=0.02,
            Ea_ci95_eV=[0.11, 0.19],
            ln_value_at_ref=0.3,
            ln_value_at_ref_se=0.05,
            T_ref_K=303.0,
            T_K=[293.0, 313.0],
            value=[1.0, 2.0],
            value_se=[0.1, 0.1],
        )
    )
    filled.warnings.append(ResultWarning(code="chi2", message='said "no",\nand again', advice="look"))
    return filled


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_number_has_its_row(results: Results, tmp_path: Path) -> None:
    """Each element of a matrix, each rate and each delay stands in one row, by site names, with its error."""
    write_tables(results, tmp_path)
    matrix = {
        (row["source"], row["detected"]): (row["A"], row["A_se"]) for row in _read(tmp_path / "exsy_matrices.csv")
    }
    assert matrix == {
        ("A", "A"): ("0.5", "0.01"),
        ("A", "B"): ("0.1", "0.02"),
        ("B", "A"): ("0.2", "0.03"),
        ("B", "B"): ("0.3", "0.04"),
    }
    rates = {(row["source"], row["target"]): row["k_per_s"] for row in _read(tmp_path / "exsy_rates.csv")}
    assert rates == {("A", "B"): "1.5", ("B", "A"): "2.5"}
    assert [row["delay_s"] for row in _read(tmp_path / "recoveries.csv")] == ["0.1", "1.0", "10.0"]
    diffusion = _read(tmp_path / "exsy_diffusion.csv")
    assert [(row["of"], row["bound"], row["kD_se_per_s"]) for row in diffusion] == [
        ("A", "lower", ""),
        ("A-B", "", "0.01"),
    ]
    assert _read(tmp_path / "arrhenius.csv")[0]["Ea_ci95_high_eV"] == "0.19"
    assert _read(tmp_path / "datasets.csv")[0]["mixing_time_s"] == "0.1"
    assert [row["cross"] for row in _read(tmp_path / "exsy_buildup.csv")] == ["0.1", "0.2"]


def test_text_survives_and_json_is_whole(results: Results, tmp_path: Path) -> None:
    """Quotes, commas and line breaks of a warning come back, and results.json holds all that was analysed."""
    write_tables(results, tmp_path)
    assert _read(tmp_path / "warnings.csv")[0]["message"] == 'said "no",\nand again'
    assert Results.model_validate_json((tmp_path / "results.json").read_text(encoding="utf-8")) == results


def test_a_table_that_has_no_rows_any_more_goes(results: Results, tmp_path: Path) -> None:
    """Tables made again hold what is known now: no rows, no file; files of others stay."""
    (tmp_path / "mine.csv").write_text("a,b", encoding="utf-8")
    write_csv(results, tmp_path)
    results.warnings.clear()
    write_csv(results, tmp_path)
    assert not (tmp_path / "warnings.csv").exists()
    assert (tmp_path / "exsy_rates.csv").exists()
    assert (tmp_path / "mine.csv").exists()


def test_empty_tables_are_not_written(tmp_path: Path) -> None:
    """A campaign without data leaves results.json alone."""
    assert [one.name for one in write_tables(Results(), tmp_path / "new")] == ["results.json"]
