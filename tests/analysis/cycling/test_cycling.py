"""Cycling from composed fixed-capacity tests: efficiencies, end codes, plateaus, specific capacities, figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labctl.analysis import analyze_paths
from labctl.analysis.cycling.cell import CellDescription, description
from labctl.analysis.cycling.gather import MeasuredCell
from labctl.analysis.cycling.series import analyse_cell
from labctl.analysis.cycling_results import CyclingCell
from labctl.analysis.results import Results
from labctl.errors import InputError
from labctl.formats.maccor_export import read_maccor_file
from labctl.report.cycling_figures import cycling_figures
from tests.formats.maccor_variants import CURRENT_A, VARIANTS, SET_Ah, Variant, fixed_capacity

MASS_MG = 2.435
"""Li2S in 12 mg of mixture, 4:4:2 by mass, Li2S:LiI 3:1 by mole."""
CELL = {
    "mass_mg": MASS_MG,
    "mass_se_mg": 0.02,
    "mass_basis": "Li2S",
    "charge_to_mAh_per_g": 1e6 * SET_Ah / MASS_MG,
    "electrode_area_cm2": 0.7854,
    "reference": "In-Li",
    "reference_offset_V": 0.62,
    "equilibrium_V": 1.59,
    "current_full_scale_A": 5e-3,
    "current_accuracy": 2e-4,
}


def analysed(folder: Path, cell: dict[str, object] | None = None, **test: object) -> Results:
    """Analyse a composed test, described by `cell`."""
    path = folder / "cell.txt"
    path.write_bytes(VARIANTS[1].text(fixed_capacity(**test)))  # type: ignore[arg-type]
    beside = folder / "cell.txt.cell.json"
    beside.unlink(missing_ok=True)
    if cell is not None:
        beside.write_text(json.dumps(cell), encoding="utf-8")
    return analyze_paths([path])


def only(results: Results) -> CyclingCell:
    """The one cell of the results."""
    (cell,) = results.cycling.cells
    return cell


def test_a_fixed_capacity_test_gives_its_numbers(tmp_path: Path) -> None:
    """Efficiency, plateau, overpotential, rates and specific capacities are those the test was composed with."""
    cell = only(analysed(tmp_path, CELL, cycles=5, kept=0.98))
    assert [one.cycle for one in cell.cycles] == [1, 2, 3, 4, 5]
    assert all(one.counts and not one.flags for one in cell.cycles)
    first = cell.cycles[0]
    assert first.charge is not None
    assert first.discharge is not None
    assert (first.charge.end, first.discharge.end) == ("capacity", "voltage")
    assert first.charge.Q_mAh == pytest.approx(1000 * SET_Ah, rel=1e-5)
    assert first.charge.Q_mAh_per_g == pytest.approx(1e6 * SET_Ah / MASS_MG, rel=1e-5)
    assert first.charge.current_density_mA_per_cm2 == pytest.approx(1000 * CURRENT_A / 0.7854, rel=1e-3)
    assert first.charge.rate_of_theory_per_h == pytest.approx(1000 * CURRENT_A / (1166.5 * MASS_MG / 1000), rel=1e-3)
    assert cell.summary.CE_mean == pytest.approx(0.98, rel=1e-5)
    assert first.CE_nominal == pytest.approx(0.98, rel=1e-5)
    ramp_V = 1.66 + 0.08 * (0.1 + 0.8) / 2  # mean of a straight rise over 10 to 80 % of it
    assert cell.summary.activation_plateau_V == pytest.approx(ramp_V, abs=1e-5)
    assert cell.summary.overpotential_V == pytest.approx(ramp_V - 1.59, abs=1e-5)
    assert cell.summary.plateau_V_vs_Li == pytest.approx(ramp_V + 0.62, abs=1e-5)
    both = 0.98
    up, down = 1.66 + 0.08 * both / 2, (1.48 + 0.80) / 2
    assert first.polarisation_V == pytest.approx(up - down, abs=1e-4)
    assert cell.summary.retention_last == pytest.approx(1.0)
    assert cell.summary.retention_cycle == 1


def test_errors_are_those_of_the_stated_range(tmp_path: Path) -> None:
    """An offset of the range acts on charge and discharge alike; without a statement there is no error."""
    cell = only(analysed(tmp_path, CELL, kept=0.98))
    first = cell.cycles[0]
    assert first.charge is not None
    offset_A = 5e-3 * 2e-4 / 3**0.5
    assert first.charge.Q_se_mAh == pytest.approx(first.charge.Q_mAh * offset_A / CURRENT_A, rel=1e-3)
    assert first.CE_se == pytest.approx(2 * 0.98 * offset_A / CURRENT_A, rel=1e-3)
    assert cell.summary.CE_mean_se_current == pytest.approx(first.CE_se, rel=1e-6), "no smaller for more cycles"
    bare = only(analysed(tmp_path))
    assert bare.cycles[0].CE_se is None
    assert any("no error of capacity or CE is known" in one for one in bare.warnings)


def test_a_charge_that_did_not_end_by_capacity_is_left_out(tmp_path: Path) -> None:
    """Charges ended by voltage, time or a person are flagged, have no nominal efficiency and enter no average."""
    results = analysed(tmp_path, CELL, cycles=5, ends=[136, 133, 129, 192, 136])
    cell = only(results)
    assert [one.counts for one in cell.cycles] == [True, False, False, False, True]
    assert cell.summary.left_out == [2, 3, 4]
    assert "voltage (133), not by capacity (136)" in cell.cycles[1].flags[0]
    assert [one.CE_nominal is None for one in cell.cycles] == [False, True, True, True, False]
    assert cell.summary.Q_charge_mean_mAh == pytest.approx(1000 * SET_Ah, rel=1e-5)
    assert any("cycle 2 is left out" in one.message for one in results.warnings if one.code == "cycling")


def test_cycling_between_limits_is_not_taken_for_fixed_capacity(tmp_path: Path) -> None:
    """Where no charge ended by capacity and none was meant to, all of them count and it is said; stated, none does."""
    ends = [133, 133, 133]
    free = only(analysed(tmp_path, cycles=3, ends=ends))
    assert (free.summary.charge_ends, free.summary.counted) == ("limits", 3)
    assert any("no charge ended by capacity" in one for one in free.warnings)
    meant = only(analysed(tmp_path, CELL, cycles=3, ends=ends))
    assert (meant.summary.charge_ends, meant.summary.counted) == ("capacity", 0)
    assert meant.summary.CE_mean is None
    assert meant.summary.activation_plateau_V is None  # 60 % of the charge never got to the end of the window


def test_there_is_no_capacity_per_gram_without_mass_and_basis(tmp_path: Path) -> None:
    """Neither alone is enough, and figures then say mAh."""
    results = analysed(tmp_path)
    cell = only(results)
    assert all(half is not None and half.Q_mAh_per_g is None for one in cell.cycles for half in (one.charge,))
    assert cell.summary.Q_discharge_mean_mAh_per_g is None
    assert any("capacities in mAh only" in one for one in cell.warnings)
    told = [one.caption for one in cycling_figures(results, tmp_path / "figures")]
    assert not any("/g" in one for one in told)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mass_mg": 4.8}, "belong together"),
        ({"mass_basis": "Li2S"}, "belong together"),
        ({"mass_mg": -1, "mass_basis": "Li2S"}, "not above zero"),
        ({"mass": 4.8}, "unknown key"),
        ({"mass_mg": "4.8 mg", "mass_basis": "Li2S"}, "not a number"),
        ({"mass_mg": 1.0, "mass_basis": "Li2S", "charge_to_mAh_per_g": 1200}, "at most 1166.5 mAh/g"),
        ({"plateau_from": 0.9}, "no window"),
        ({"retention_cycle": 1.5}, "no cycle"),
        ({"fixed_capacity": 1}, "neither true nor false"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(values: dict[str, object], told: str) -> None:
    """What a person wrote of the cell is checked with file, key and value."""
    with pytest.raises(InputError, match=r"x\.cell\.json") as caught:
        description(values, file="x.cell.json")
    assert told in str(caught.value)


def test_a_composite_mass_is_a_factor_two(tmp_path: Path) -> None:
    """The same test per gram of composite and of Li2S differs by the mass fraction, and each names its basis."""
    per_Li2S = only(analysed(tmp_path, CELL))
    per_composite = only(analysed(tmp_path, {"mass_mg": 4.8, "mass_basis": "composite"}))
    one, other = per_Li2S.summary.Q_discharge_mean_mAh_per_g, per_composite.summary.Q_discharge_mean_mAh_per_g
    assert one is not None
    assert other is not None
    assert one / other == pytest.approx(4.8 / MASS_MG)
    assert (per_Li2S.mass_basis, per_composite.mass_basis) == ("Li2S", "composite")


def test_partial_data_show_what_is_there(tmp_path: Path) -> None:
    """A test that still runs gives its whole cycles, and says that the last half has not ended."""
    rows = fixed_capacity(cycles=3)
    path = tmp_path / "cell.txt"
    path.write_bytes(VARIANTS[1].text(rows[:-10]))
    cell = only(analyze_paths([path]))
    assert [one.counts for one in cell.cycles] == [True, True, False]
    assert "the discharge has not ended" in cell.cycles[2].flags


def test_the_error_of_the_mass_stands_apart(tmp_path: Path) -> None:
    """It moves every specific capacity by the same share, and neither efficiency nor retention nor their errors."""
    cell = only(analysed(tmp_path, CELL, cycles=3))
    share = 0.02 / MASS_MG
    for one in cell.cycles:
        for half in (one.charge, one.discharge):
            assert half is not None
            assert half.Q_mAh_per_g is not None
            assert half.Q_se_mass_mAh_per_g == pytest.approx(half.Q_mAh_per_g * share)
            assert half.Q_se_mAh_per_g == pytest.approx((half.Q_se_mAh or 0.0) / MASS_MG * 1000)
    told = cell.summary
    assert told.Q_discharge_mean_mAh_per_g is not None
    assert told.Q_discharge_mean_se_mass_mAh_per_g == pytest.approx(told.Q_discharge_mean_mAh_per_g * share)
    unknown = only(analysed(tmp_path, {key: value for key, value in CELL.items() if key != "mass_se_mg"}, cycles=3))
    assert unknown.summary.Q_discharge_mean_se_mass_mAh_per_g is None
    assert any("mass_se_mg" in one for one in unknown.warnings)
    assert [one.CE_se for one in unknown.cycles] == [one.CE_se for one in cell.cycles]
    assert unknown.summary.CE_mean_se == cell.summary.CE_mean_se


def test_cycles_are_compared_with_those_charged_as_far(tmp_path: Path) -> None:
    """In a series each cycle has its own set capacity; means and retention are of the cycles alike to the last."""
    series = {key: value for key, value in CELL.items() if key != "charge_to_mAh_per_g"}
    first_mAh = 0.6 * 1000 * SET_Ah  # a composed charge that does not end by capacity is 60 % of the others
    series["charges_to_mAh"] = [first_mAh, first_mAh, 1000 * SET_Ah]
    cell = only(analysed(tmp_path, series, cycles=5, ends=[129, 129]))
    assert [one.Q_set_mAh for one in cell.cycles] == pytest.approx([first_mAh] * 2 + [1000 * SET_Ah] * 3)
    assert [one.counts for one in cell.cycles] == [False, False, True, True, True]
    assert [one.retention for one in cell.cycles] == [None, None, 1.0, pytest.approx(1.0), pytest.approx(1.0)]
    assert (cell.summary.retention_cycle, cell.summary.alike) == (3, 3)
    assert cell.summary.Q_set_mAh == pytest.approx(1000 * SET_Ah)
    last = cell.cycles[-1]
    assert last.CE_nominal == pytest.approx(0.98, rel=1e-5)
    alone = only(
        analysed(tmp_path, series | {"charges_to_mAh": [1000 * SET_Ah, 1000 * SET_Ah, 999.0 * SET_Ah]}, cycles=3)
    )
    assert alone.summary.retention_cycle is None, "nothing was charged as far as the last one"


def test_a_discharge_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    """Where its voltage was stated, a discharge that ended by time gave back less than it might: no efficiency."""
    rows = fixed_capacity(cycles=3)
    cut = [
        replace(row, end_code=129) if row.state == "D" and row.cycle == 1 and row.end_code == 133 else row
        for row in rows
    ]
    path = tmp_path / "cell.txt"
    path.write_bytes(VARIANTS[1].text(cut))
    for cell, counts in ((CELL, [True, True, True]), (CELL | {"discharge_to_V": 0.8}, [True, False, True])):
        (tmp_path / "cell.txt.cell.json").write_text(json.dumps(cell), encoding="utf-8")
        found = only(analyze_paths([path]))
        assert [one.counts for one in found.cycles] == counts
    assert "the discharge ended by step time (129), not by voltage (133)" in found.cycles[1].flags


@pytest.mark.parametrize("charges", [[], [0.5, -1.0], ["0.5"], "0.5 mAh", 0.5, [True], [float("inf")]])
def test_capacities_of_a_series_are_numbers(charges: object) -> None:
    """A list of positive numbers, or the same as text, as a manifest holds it; anything else is refused by its key."""
    assert description({"charges_to_mAh": "0.5 1"}, file="x").charges_to_mAh == (0.5, 1.0)
    with pytest.raises(InputError, match="charges_to_mAh"):
        description({"charges_to_mAh": charges}, file="x")


@pytest.mark.parametrize(
    ("ends", "rows", "told"),
    [
        ([], 130, ["under way"]),  # in the second charge
        ([], 160, ["under way"]),  # it has reached its capacity
        ([], 170, ["under way"]),  # in its discharge
        ([], 200, []),
        ([136, 133], 130, ["under way"]),
        ([136, 133], 160, ["no discharge yet", "the charge ended by voltage (133), not by capacity (136)"]),
    ],
)
def test_a_cycle_under_way_is_not_left_out(tmp_path: Path, ends: list[int], rows: int, told: list[str]) -> None:
    """While a test goes on, what its last cycle lacks is still to come; but a guard that was met is told at once."""
    path = tmp_path / "cell.txt"
    path.write_bytes(VARIANTS[1].text(fixed_capacity(cycles=2, ends=ends)[:rows]))
    measured = MeasuredCell(
        name="a", export=read_maccor_file(path), cell=description(CELL, file="x"), completeness="partial"
    )
    cell = analyse_cell(measured)
    assert [one.flags for one in cell.cycles] == [[], told]
    assert any("cycle 2 is left out" in one for one in cell.warnings) is (len(told) > 1)


@pytest.mark.parametrize("variant", VARIANTS[::3], ids=lambda one: one.name)
def test_a_charge_that_was_suspended_counts_once(tmp_path: Path, variant: Variant) -> None:
    """A person pauses a charge and lets it go on: the tester counts on within the step, and so does the analysis."""
    rows = fixed_capacity(cycles=2, points=60)
    at = next(number for number, row in enumerate(rows) if row.state == "C") + 25
    pause = replace(
        rows[at], step_s=rows[at].step_s + 0.01, test_s=rows[at].test_s + 0.01, current_A=0.0, state="S", end_code=192
    )
    told = [
        replace(row, record=number) for number, row in enumerate([*rows[: at + 1], pause, *rows[at + 1 :]], start=1)
    ]
    found = []
    for name, written in (("whole", rows), ("paused", told)):
        path = tmp_path / f"{name}.txt"
        path.write_bytes(variant.text(written))
        found.append(only(analyze_paths([path])))
    whole, paused = found
    assert len(whole.cycles) == len(paused.cycles) == 2
    for before, after in zip(whole.cycles, paused.cycles, strict=True):
        assert before.charge is not None
        assert after.charge is not None
        assert after.charge.Q_mAh == pytest.approx(before.charge.Q_mAh, rel=1e-4)
        assert after.charge.Q_integrated_mAh == pytest.approx(after.charge.Q_mAh, rel=0.03)
        assert (after.counts, after.flags, after.charge.end_code) == (
            before.counts,
            before.flags,
            before.charge.end_code,
        )


def test_figures_are_drawn_and_name_the_basis(tmp_path: Path) -> None:
    """Voltage curves, cycle life and overpotential are whole SVG files, the same for the same results."""
    results = analysed(tmp_path, CELL, cycles=4, ends=[136, 133])
    figures = cycling_figures(results, tmp_path / "figures")
    assert [one.path.name.rsplit("_", 1)[-1] for one in figures] == ["curves.svg", "life.svg", "plateaus.svg"]
    assert all("g of Li2S" in one.caption for one in figures[:2])
    first = [one.path.read_bytes() for one in figures]
    assert all(ET.fromstring(one).tag.endswith("svg") for one in first)
    assert [one.path.read_bytes() for one in cycling_figures(results, tmp_path / "again")] == first
    assert cycling_figures(Results(), tmp_path / "none") == []


def test_an_export_that_is_refused_is_told_and_spares_the_rest(tmp_path: Path) -> None:
    """One bad export of a folder is a warning; alone it is an error that names it."""
    analysed(tmp_path, CELL)
    (tmp_path / "bad.txt").write_bytes(VARIANTS[0].text(fixed_capacity()).replace(b"\tC\t", b"\tQ\t"))
    results = analyze_paths([tmp_path])
    assert len(results.cycling.cells) == 1
    assert any(one.code == "unreadable" and "bad.txt" in one.message for one in results.warnings)
    with pytest.raises(InputError, match=r"bad\.txt"):
        analyze_paths([tmp_path / "bad.txt"])


@pytest.mark.real_data
def test_real_cycles_are_counted_by_direction(shared_data: Path) -> None:
    """Counters that never advanced do not matter: four cycles after a first discharge, all recorded as cycle 0."""
    cell = only(analyze_paths([shared_data / "maccor" / "maccor_001.txt"]))
    assert [one.cycle for one in cell.cycles] == [0, 1, 2, 3, 4]
    assert {half.counters["Maccor Cycle / 1"] for one in cell.cycles if (half := one.discharge)} == {0}
    first = cell.cycles[1]
    assert first.charge is not None
    assert first.charge.Q_mAh == pytest.approx(3368.71 + 1153.88)
    suspended = only(analyze_paths([shared_data / "maccor" / "xTESLADIAG_000038.078"]))
    assert suspended.summary.cycles == 24
    assert suspended.summary.left_out == [24]
    assert "suspended (192)" in suspended.cycles[-1].flags[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(kept=st.floats(0.5, 1.0), cycles=st.integers(1, 3), split=st.booleans(), points=st.integers(4, 50))
def test_efficiency_is_what_came_out_over_what_went_in(
    tmp_path: Path, kept: float, cycles: int, split: bool, points: int
) -> None:
    """For any efficiency, number of cycles, split of the charge and sampling."""
    cell = only(analysed(tmp_path, kept=kept, cycles=cycles, split=split, points=points, ends=[136] * cycles))
    assert [one.CE for one in cell.cycles] == pytest.approx([kept] * cycles, rel=1e-5)
    assert cell.summary.excess_charge_mAh == pytest.approx(1000 * cycles * SET_Ah * (1 - kept), abs=1e-5)


def test_a_description_without_statements_assumes_nothing() -> None:
    """No mass, no set capacity, no error, no theory."""
    cell = CellDescription()
    assert (cell.specific, cell.set_mAh(1), cell.current_se_A, cell.theory_mAh_per_g) == (False, None, None, None)
