"""Cycling protocols: milligrams to milliampere hours as the paper's cells have them, one step, its guards."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl import located_yaml
from labctl.cli.app import run_app
from labctl.plan.check import examine
from labctl.plan.cycling import specific_capacity_mAh_per_g
from labctl.plan.expand import expand
from labctl.plan.steps import Plan
from labctl.ports import CycleCell, Effect
from labctl.protocol.lab import Lab
from labctl.protocol.load import load_lab, load_protocol, read
from labctl.protocol.model import Protocol

SOUND = """\
version: 1
campaign: cells
sample: {name: mLi2S(LiI) no. 7}
procedures:
  - fixed_capacity_cycling:
      station: maccor
      cell:
        electrode_diameter: 10 mm
        mixture: {mass: 12 mg, mass_uncertainty: 0.6 mg, by_mass: {composite: 4, LPSC: 4, carbon: 2}}
        composite: {by_mole: {Li2S: 3, LiI: 1}}
        mass_basis: Li2S
        equilibrium: 1.59 V
      charge_to: [200 mAh/g, 600 mAh/g]
      then: {cycles: 3, charge_to: 400 mAh/g}
      current_density: 0.132 mA/cm^2
      discharge_to: 0.8 V
      guards: {charge_above: 2.1 V, charge_below: 0.3 V}
"""


def plan_of(text: str, lab: Lab) -> Plan:
    """Return the plan of a protocol text."""
    return expand(read(Protocol, located_yaml.loads(text, file="cells.yaml")), lab)


def task_of(text: str, lab: Lab) -> CycleCell:
    """Return the only step's task."""
    (step,) = plan_of(text, lab).steps
    assert isinstance(step.task, CycleCell)
    return step.task


def test_the_plan_prints_the_papers_worked_example(protocols: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0.132 mA/cm^2 on 10 mm, 12 mg of 4:4:2 with Li2S:LiI 3:1: current, capacities and hours as reckoned by hand."""
    assert run_app(["plan", str(protocols / "paper" / "cycling_capacity_series.yaml")]) == 0
    told = capsys.readouterr().out
    Li2S, LiI = 2 * 6.941 + 32.065, 6.941 + 126.90447
    mass_mg = 12.0 * 0.4 * 3 * Li2S / (3 * Li2S + LiI)
    current_mA = 0.132 * math.pi / 4.0
    charges_mAh = [target * mass_mg / 1000.0 for target in (200, 300, 400, 500, 600)]
    assert f"cycle to {', '.join(f'{one:.4f}' for one in charges_mAh)} mAh at {current_mA:.5f} mA" in told
    assert all(number in told for number in ("0.4871", "1.4612", "0.10367"))
    assert f"{mass_mg:.3f} mg of Li2S on {math.pi / 4.0:.4f} cm^2" in told
    hours = sum(charges_mAh) / current_mA
    assert f"charging  {hours:.1f} h in 5 cycles" in told
    assert hours == pytest.approx(47.0, abs=0.05)
    # rests of the plan: one of an hour, and five minutes after each charge and each discharge
    assert f"expected  {2 * hours + 1.0 + 10 * 300 / 3600:.1f} h" in told


@pytest.mark.parametrize("name", ["cycling_activation", "cycling_capacity_series", "cycling_rates", "cycling_life"])
def test_the_protocols_that_ship_are_clean(name: str, protocols: Path) -> None:
    """Neither error nor warning nor advice; every step is irreversible and the cell's alone."""
    loaded, lab = load_protocol(protocols / "paper" / f"{name}.yaml"), load_lab(protocols / "labs" / "simulated.yaml")
    done = examine(loaded.model, lab.model, places=loaded.located, lab_places=lab.located)
    assert not done.findings
    assert done.plan is not None
    assert len({step.station for step in done.plan.steps}) == len(done.plan.steps)
    assert {step.effect for step in done.plan.steps} == {Effect.IRREVERSIBLE}


def test_a_sound_protocol_becomes_one_task(lab: Lab) -> None:
    """Every cycle, both currents, all guards with their defaults, and what analysis is to be told."""
    task = task_of(SOUND, lab)
    per_gram = task.mass_mg * 1e-6
    assert task.charges_Ah == pytest.approx((200 * per_gram, 600 * per_gram))
    assert task.then_charge_Ah == pytest.approx(400 * per_gram)
    assert (task.then_cycles, task.cycles) == (3, 5)
    assert task.discharge_current_A == task.current_A == pytest.approx(0.132e-3 * math.pi / 4.0)
    assert task.unreturned_max_Ah == pytest.approx((specific_capacity_mAh_per_g("Li2S") - 600) * per_gram)
    longest_s = 3600.0 * max(task.charges_Ah) / task.current_A
    assert longest_s < task.charge_limit_s < 1.2 * longest_s
    assert task.discharge_limit_s > longest_s
    assert task.efficiency_min == 0.8
    assert task.mass_se_mg == pytest.approx(0.05 * task.mass_mg)
    assert (task.reference, task.equilibrium_V, task.cell) == ("In-Li", 1.59, "mLi2S_LiI_no_7")


def test_a_discharge_may_have_its_own_current(lab: Lab) -> None:
    """`discharge_current_density` changes discharges, their time limit and the hours, and nothing of the charges."""
    same = task_of(SOUND, lab)
    other = task_of(
        SOUND.replace("discharge_to:", "discharge_current_density: 0.264 mA/cm^2\n      discharge_to:"), lab
    )
    assert other.discharge_current_A == pytest.approx(2 * other.current_A)
    assert (other.current_A, other.charges_Ah, other.charge_limit_s) == (
        same.current_A,
        same.charges_Ah,
        same.charge_limit_s,
    )
    assert other.discharge_limit_s == pytest.approx(same.discharge_limit_s / 2)
    flowing_s = sum(same.charges_Ah + (same.then_charge_Ah,) * same.then_cycles) / same.current_A * 3600.0
    assert same.duration_s - other.duration_s == pytest.approx(flowing_s / 2)


def test_a_second_procedure_of_a_station_has_its_own_step(lab: Lab) -> None:
    """Names count on, and the same request twice is two keys: what was done to a cell is never taken for done."""
    twice = SOUND + SOUND[SOUND.index("  - fixed") :]
    first, second = plan_of(twice, lab).steps
    assert (first.id, second.id) == ("maccor/fixed_capacity_cycling/cell", "maccor/fixed_capacity_cycling.2/cell")
    assert first.key != second.key


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("mass_uncertainty: 0.6 mg", "mass_uncertainty: 0.1 mg", True),
        ("equilibrium: 1.59 V", "equilibrium: 1.60 V", True),
        ("mixture: {mass: 12 mg", "mixture: {mass: 13 mg", False),
        ("charge_above: 2.1 V", "charge_above: 2.2 V", False),
        ("cycles: 3", "cycles: 4", False),
    ],
)
def test_a_key_is_of_what_is_done_to_the_cell(old: str, new: str, same: bool, lab: Lab) -> None:
    """What is only said about a cell is no part of its step's identity; amperes, charges and guards are."""
    assert old in SOUND
    before, after = plan_of(SOUND, lab).steps[0].key, plan_of(SOUND.replace(old, new), lab).steps[0].key
    assert (before == after) is same


def test_what_theory_leaves_is_told_where_nobody_said(lab: Lab) -> None:
    """Fifty cycles to 600 mAh/g need 98.1 % for the default guard on lost charge; advice names the number."""
    many = SOUND.replace("{cycles: 3, charge_to: 400 mAh/g}", "{cycles: 50, charge_to: 600 mAh/g}")
    many = many.replace("      charge_to: [200 mAh/g, 600 mAh/g]\n", "")
    found = examine(read(Protocol, located_yaml.loads(many, file="cells.yaml")), lab).findings
    (advice,) = [finding for finding in found if finding.key_path.endswith("unreturned")]
    needed = 100.0 * (1.0 - (specific_capacity_mAh_per_g("Li2S") - 600.0) / (50 * 600.0))
    assert advice.severity == "advice"
    (told,) = re.findall(r"below ([\d.]+) %", advice.what)
    assert float(told) == pytest.approx(needed, abs=0.006)


def test_few_records_and_odd_loadings_are_doubted(lab: Lab) -> None:
    """Rows an hour apart leave no energy to integrate; 12 g on 10 mm is a slip of the unit."""
    sparse = SOUND.replace("      guards:", "      records: {every: 1 h}\n      guards:").replace(
        "mass: 12 mg", "mass: 12 mg"
    )
    heavy = SOUND.replace("mass: 12 mg", "mass: 50 g").replace("0.6 mg", "0.6 g")
    for text, key in ((sparse, "records.every"), (heavy, "cell.mixture.mass")):
        found = examine(read(Protocol, located_yaml.loads(text, file="cells.yaml")), lab).findings
        assert key in {f.key_path.partition("fixed_capacity_cycling.")[2] for f in found if f.severity == "warning"}


@settings(max_examples=25)
@given(
    target=st.floats(1.0, 1166.0),
    mass_mg=st.floats(0.5, 100.0),
    diameter_mm=st.floats(2.0, 30.0),
    density=st.floats(0.01, 1.0),
)
def test_capacity_and_current_scale_as_they_must(
    lab: Lab, target: float, mass_mg: float, diameter_mm: float, density: float
) -> None:
    """Charge is proportional to mass, current to the square of the diameter; per gram the target comes back."""
    text = SOUND.replace("then: {cycles: 3, charge_to: 400 mAh/g}", "").replace("600 mAh/g]", f"{target!r} mAh/g]")
    text = text.replace("mass: 12 mg", f"mass: {mass_mg!r} mg").replace("0.132 mA", f"{density!r} mA")
    task = task_of(text.replace("diameter: 10 mm", f"diameter: {diameter_mm!r} mm"), lab)
    assert 1e6 * task.charges_Ah[-1] / task.mass_mg == pytest.approx(target)
    assert task.mass_mg / mass_mg == pytest.approx(task_of(SOUND, lab).mass_mg / 12.0)
    assert 1000.0 * task.current_A / task.area_cm2 == pytest.approx(density)
    assert task.area_cm2 == pytest.approx(math.pi * diameter_mm**2 / 400.0)
