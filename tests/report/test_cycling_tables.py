"""What people read of cycled cells: names that differ, a summary side by side, a row a cycle, in page and terminal."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from labctl.analysis import analyze_paths
from labctl.analysis.cycling_results import CyclingCell
from labctl.analysis.results import Results
from labctl.report.cycling_figures import comparison, plateaus
from labctl.report.cycling_tables import OPEN_TABLE_ROWS, cycle_table, names, summary_lines, summary_table
from labctl.report.page import Timeline, write_report
from tests.formats.maccor_variants import VARIANTS, SET_Ah, fixed_capacity

CELL = {
    "name": "Li2S <b>&c",
    "mass_mg": 2.435,
    "mass_se_mg": 0.02,
    "mass_basis": "Li2S",
    "charge_to_mAh_per_g": 1e6 * SET_Ah / 2.435,
    "electrode_area_cm2": 0.7854,
    "reference": "In-Li",
    "reference_offset_V": 0.62,
    "equilibrium_V": 1.59,
    "current_full_scale_A": 5e-3,
    "current_accuracy": 2e-4,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Two cells of one name at two current densities, the second with a charge ended by voltage; and a bare one."""
    folder = tmp_path_factory.mktemp("cells")
    text = VARIANTS[1].text(fixed_capacity(cycles=4))
    (folder / "a.txt").write_bytes(text)
    (folder / "b.txt").write_bytes(VARIANTS[1].text(fixed_capacity(cycles=OPEN_TABLE_ROWS + 1, ends=[136, 133])))
    (folder / "c.txt").write_bytes(text)
    for name, cell in (("a", CELL), ("b", CELL | {"electrode_area_cm2": 0.3927})):
        (folder / f"{name}.txt.cell.json").write_text(json.dumps(cell), encoding="utf-8")
    found = analyze_paths([folder])
    found.cycling.cells.sort(key=lambda one: one.dataset)
    return found


@pytest.fixture
def cells(results: Results) -> list[CyclingCell]:
    """The cells."""
    return results.cycling.cells


def test_cells_of_one_name_are_told_apart(cells: list[CyclingCell]) -> None:
    """By their current densities, and by their datasets where these are the same too."""
    told = names(cells)
    assert told[:2] == ["Li2S <b>&c, 0.264 mA/cm²", "Li2S <b>&c, 0.528 mA/cm²"]
    assert len(set(names([*cells, cells[0].model_copy(update={"dataset": "another"})]))) == 4


def test_every_gram_has_a_name(cells: list[CyclingCell]) -> None:
    """Charge is in mAh/g of the stated basis, or in mAh; never per gram of nothing."""
    rows = dict(summary_table(cells))
    assert all(len(told) == len(cells) for told in rows.values())
    for what in ("charged to", "discharged", "charged, not discharged"):
        assert [("mAh/g of Li2S" in text, "/g" in text) for text in rows[what][:2]] == [(True, True)] * 2
        assert "/g" not in rows[what][2]
    assert rows["mass"] == ["2.435 ± 0.020 mg of Li2S, 3.1 mg/cm²", "2.435 ± 0.020 mg of Li2S, 6.2 mg/cm²",
                            "not stated: charge in mAh"]  # fmt: skip
    assert "of the mass, in all cycles together" in rows["discharged"][0]
    assert rows["cycles"] == ["4 cycles, all count", "13 cycles, 12 count; left out: 2", "4 cycles, all count"]


def test_each_cycle_says_why_its_halves_ended(cells: list[CyclingCell]) -> None:
    """A row a cycle, as wide as the head; one left out says why; a long table is folded away."""
    for cell, name in zip(cells, names(cells), strict=True):
        table = cycle_table(cell, name)
        assert {len(row) for row in table.rows} == {len(table.head)}
        assert len(table.rows) == len(cell.cycles)
        assert table.folded is (len(cell.cycles) > OPEN_TABLE_ROWS)
    table = cycle_table(cells[1], "b")
    assert [number for number, out in enumerate(table.left_out, start=1) if out] == [2]
    assert "voltage (133), not by capacity (136)" in table.rows[1][-1]


def test_the_page_shows_the_cells(results: Results, tmp_path: Path) -> None:
    """The page has each cell's efficiency, tables and figures, with what users typed escaped."""
    named = list(zip(names(results.cycling.cells), results.cycling.cells, strict=True))
    figures = (comparison(named, tmp_path / "all.svg"), plateaus(named[:2], tmp_path / "plateaus.svg"))
    page = write_report(tmp_path / "report.html", results, figures, timeline=Timeline(), protocol_text="").read_text(
        encoding="utf-8"
    )
    assert "Li2S &lt;b&gt;&amp;c, 0.264 mA/cm²" in page
    assert "<b>&c" not in page
    assert page.count("<span>coulombic efficiency of ") == 3
    assert len(re.findall(r"<details( open)?><summary>Cycles of", page)) == 3
    assert page.count("<figure id=") == len(figures)
    assert "<h2>Cycling</h2>" not in write_report(
        tmp_path / "none.html", Results(), (), timeline=Timeline(), protocol_text=""
    ).read_text(encoding="utf-8")


def test_a_terminal_shows_them_in_two_lines(cells: list[CyclingCell]) -> None:
    """Efficiency with its error, capacity and gram, plateau and overpotential; of cells without cycles too."""
    lines = summary_lines(cells)
    assert lines[0].startswith("Li2S <b>&c, 0.264 mA/cm²: 4 cycles, all count; CE 98.00 %, mean of 4 (lowest 98.00")
    assert "activation plateau 1.696 V vs In-Li (2.316 V vs Li/Li⁺)" in lines[1]
    assert "overpotential 106 mV over 1.59 V, as stated" in lines[1]
    empty = cells[0].model_copy(update={"cycles": [], "summary": cells[0].summary.model_copy(
        update={"CE_mean": None, "Q_discharge_mean_mAh": None, "cycles": 0, "counted": 0})})  # fmt: skip
    assert "no cycle counts" in summary_lines([empty])[0]
