"""A campaign that decides after each 2D what to measure next: journaled, the same after a death, honest in the end."""

from __future__ import annotations

import json
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labctl.cli.planning import checked
from labctl.clock import SystemClock
from labctl.design.belief import BOLTZMANN_EV_PER_K
from labctl.run.journal import Journal
from tests.whole.campaigns import run_without_report
from tests.whole.test_killed import KILLED, die_at, in_a_child, raw_data

SAMPLE = """\
version: 1
name: core in a shell of equal volume
nmr:
  nucleus: 6Li
  reference_temperature: 293.15 K
  sites: {A: {shift: 2.0 ppm, width: 20 Hz}, B: {shift: -2.0 ppm, width: 30 Hz}}
  relaxation: {A: {T1: 3.0 s, Ea: 0.05 eV}, B: {T1: 3.0 s, Ea: 0.05 eV}}
  exchange:
    layered:
      geometry: sphere
      layers:
        - {phase: A, outer: 1, density: 20 1/nm^3, kD: 0.02 1/s, Ea: 0.15 eV}
        - {phase: B, outer: 1.259921, density: 20 1/nm^3, kD: 0.05 1/s, Ea: 0.12 eV}
  probe: {p90: 4.9 us, rf_spread: 3 %, comb_leaves: 0.5 %}
  noise_per_scan: 0.3
"""

ADAPTIVE = """\
version: 1
campaign: adaptive
sample: {name: core in a shell, nucleus: 6Li, sites: {A: 2.0 ppm, B: -2.0 ppm}}
procedures:
  - vt_exsy:
      station: nmr500
      temperatures: [25 degC]
      ramp: 4 K/min
      settle: {within: 0.5 K, for: 10 min, give_up: 60 min, shift: none}
      spinning: 10 kHz
      tune: none
      p90: {each_temperature: false}
      t1: {expect: 3 s, delays: {from: 50 ms, to: 15 s, points: 8, spacing: log}}
      recycle_delay: {times_T1: 1.5, of: slowest, max: 10 s}
      mixing_times: [20 ms, 1 s]
      order: as_written
      increments: 32
      increment: 0.8 ms
      scans: 8
      points: 1024
      return_to_first_temperature: false
      analysis: {layers: [A, B]}
      adapt:
        goal: {Ea: 25 meV, of: [A]}
        budget: 30 h
        temperatures: [25 degC, 50 degC, 75 degC]
        mixing_times: [100 ms, 300 ms, 1 s, 3 s]
        populations: {A: 1, B: 1}
        kD: 0.03 /s
        Ea: 140 meV
        widths: 25 Hz
        noise: {amplitude: 1 %, rows: 32, scans: 8}
on_fault: {nmr500: safe}
"""


def amendments(run_dir: Path) -> list[dict[str, Any]]:
    """What the journal holds of changed plans."""
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        return [json.loads(row.body) for row in journal.rows() if row.kind == "operator" and "adapt: " in row.body]
    finally:
        journal.close()


def arguments(folder: Path, run_dir: Path) -> list[str]:
    """Write protocol and sample, and return the command line that rehearses them."""
    (folder / "adaptive.yaml").write_text(ADAPTIVE, encoding="utf-8")
    (folder / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    return ["run", str(folder / "adaptive.yaml"), "--simulate", str(folder / "sample.yaml"), "--dir", str(run_dir)]


@pytest.fixture(scope="module")
def undisturbed_adaptive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign from begin to end."""
    folder = tmp_path_factory.mktemp("adaptive")
    assert in_a_child(partial(run_without_report, arguments(folder, folder / "run"))) == 0
    return folder / "run"


def test_it_visits_what_the_data_ask_for_and_says_why(undisturbed_adaptive: Path) -> None:
    """Behind the pilot come 2Ds that were nowhere written; each has its reason, with numbers, in the journal."""
    run_dir = undisturbed_adaptive
    results = json.loads((run_dir / "results.json").read_text(encoding="utf-8"))
    certificate = results["certificate"]
    assert certificate["acquired"] == certificate["planned"]
    assert certificate["lost"] == certificate["repeated"] == 0
    changes = amendments(run_dir)
    assert changes
    measured = {entry["dataset"] for entry in results["exsy"]["matrices"]}
    assert len(measured) > 2  # the pilot has two
    assert len({dataset.split("/")[2] for dataset in measured}) > 1
    for change in changes:
        assert "Ea_eV A" in change["reason"]
        assert (run_dir / change["protocol_file"]).is_file()
        plan = checked(run_dir / change["protocol_file"], run_dir / "lab.yaml").plan
        assert [step["id"] for step in change["steps"]] == [step.id for step in plan.steps]
    last = next(
        row["message"]
        for path in sorted((run_dir / "datasets").glob("*.json"))
        if "nothing more is measured" in (row := json.loads(path.read_text(encoding="utf-8"))["verdict"])["message"]
    )
    assert "every wanted error is reached" in last or "no 2D fits" in last


def test_what_it_ends_with_is_true_within_its_error(undisturbed_adaptive: Path) -> None:
    """Of the core kD and Ea, by the analysis that knows nothing of the design, agree with the sample's."""
    results = json.loads((undisturbed_adaptive / "results.json").read_text(encoding="utf-8"))
    fit = next(one for one in results["exsy"]["fits"] if one["model"] == "layered" and one.get("T_K") is None)
    core = next(one for one in fit["phases"] if one["phase"] == "A")
    if core["bound"] is None:
        assert abs(core["Ea_eV"] - 0.15) < 4 * core["Ea_se_eV"]
    else:
        lever = -(1 / fit["campaign"]["T_ref_K"] - 1 / 293.15) / BOLTZMANN_EV_PER_K
        assert core["bound"] == "lower"
        assert core["kD_per_s"] < 0.02 * math.exp(0.15 * lever)


@pytest.mark.skipif(sys.platform == "win32", reason="kills a forked child with SIGKILL")
def test_killed_around_a_decision_it_decides_the_same(undisturbed_adaptive: Path, tmp_path: Path) -> None:
    """Killed before the plan was changed and again before the verdict was written, it measures the same bytes."""
    run_dir = tmp_path / "run"
    begin = arguments(tmp_path, run_dir)

    def killed_at(kind: str, step: str, when: str, command: list[str]) -> int:
        die_at(kind, step, when)
        return run_without_report(command)

    assert in_a_child(partial(killed_at, "operator", "", "before", begin)) == KILLED
    assert not amendments(run_dir)
    again = ["resume", str(run_dir)]
    assert in_a_child(partial(killed_at, "operator", "", "after", again)) == KILLED
    assert len(amendments(run_dir)) == 1
    assert in_a_child(partial(run_without_report, again)) == 0
    assert raw_data(run_dir) == raw_data(undisturbed_adaptive)
    assert [one["steps"] for one in amendments(run_dir)] == [one["steps"] for one in amendments(undisturbed_adaptive)]
