"""A campaign that decides after each 2D what to measure next: journaled, the same after a death, honest in the end.

In all of them persons have their say: they do not want the 2D that is chosen first, and once another is chosen they add
one of their own and ask for less.
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from labctl import located_yaml
from labctl.cli.amending import steering_lines
from labctl.cli.planning import checked, checked_text
from labctl.clock import SystemClock
from labctl.dataset.model import Dataset
from labctl.dataset.store import manifest_path, read_manifests, read_verdict
from labctl.design.belief import BOLTZMANN_EV_PER_K
from labctl.design.written import yaml_text
from labctl.run.amend import fingerprint
from labctl.run.events import PartJudged
from labctl.run.journal import Journal
from labctl.run.requests import Mailbox, Request, request
from tests.whole.campaigns import run_without_report
from tests.whole.test_killed import KILLED, die, die_at, in_a_child, raw_data

for _name in ("labctl.analysis.campaign", "labctl.analysis.judge", "labctl.analysis.matrices", "labctl.run.engine",
              "labctl.design.follow", "labctl_topspin", "labctl_sim_topspin"):  # fmt: skip
    importlib.import_module(_name)  # once here, not in each child

pytestmark = pytest.mark.xdist_group("adaptive")  # one process runs the campaign that most of them look at

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
        - {phase: B, outer: 1.259921, density: 20 1/nm^3, kD: 5 1/s, Ea: 0.12 eV}
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
      increments: 48
      increment: 0.8 ms
      scans: 8
      points: 1024
      return_to_first_temperature: false
      analysis: {layers: [A, B]}
      adapt:
        goal: {Ea: 25 meV, of: [A]}
        budget: 30 h
        stop_early: true
        temperatures: [25 degC, 50 degC, 75 degC]
        mixing_times: [100 ms, 300 ms, 1 s, 3 s]
        populations: {A: 1, B: 1}
        kD: {A: 0.03 /s, B: 3 /s}
        Ea: 140 meV
        widths: 25 Hz
        noise: {amplitude: 1 %, rows: 32, scans: 8}
on_fault: {nmr500: safe}
"""


PINNED_S = 0.5


def words(run_dir: Path) -> list[dict[str, Any]]:
    """What the journal holds of changed plans and of verbs, whoever they are from."""
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        return [json.loads(row.body) for row in journal.rows() if row.kind == "operator"]
    finally:
        journal.close()


def amendments(run_dir: Path) -> list[dict[str, Any]]:
    """What the journal holds of plans changed by a decision."""
    return [one for one in words(run_dir) if one.get("by") == "labctl"]


def persons_say(run_dir: Path) -> None:
    """Arrange that persons ask for what they want once the journal shows the occasion, after a death once more."""
    commit, posted = Journal.append, set[str]()

    def append(self: Journal, event: Any, **more: Any) -> Any:
        row = commit(self, event, **more)
        if event.kind not in {"opened", "operator"}:
            return row
        said = words(run_dir)
        decided = [one for one in said if one.get("by") == "labctl"]
        if len(decided) == 1 and not any(one.get("verb") == "skip" for one in said) and "skip" not in posted:
            posted.add("skip")
            post(run_dir, request("skip", "the probe arcs there", step_id=chosen(decided[0])))
        by_persons = [one for one in said if one["event"] == "Amended" and one.get("by") != "labctl"]
        if len(decided) == 2 and not by_persons and "amend" not in posted:
            posted.add("amend")
            path = run_dir / decided[-1]["protocol_file"]
            base = fingerprint(checked(path, run_dir / "lab.yaml").plan)
            post(run_dir, request("amend", "one more, and enough", protocol=pinned(path), base=base))
        return row

    Journal.append = append  # type: ignore[method-assign]  # in a child of its own


def chosen(amendment: dict[str, Any]) -> str:
    """The 2D that an amendment added last."""
    return str([step["id"] for step in amendment["steps"] if step["role"] == "exsy"][-1])


def pinned(path: Path) -> str:
    """The protocol with another 2D where it is, and an easier goal."""
    document = located_yaml.load(path).data
    block = document["procedures"][0]["vt_exsy"]
    block["visits"][-1]["mixing_times"].append(f"{1000 * PINNED_S:g} ms")
    block["visits"][-1]["scans"].append(8)
    block["adapt"]["goal"]["Ea"] = "40 meV"
    return yaml_text(document)


def post(run_dir: Path, asked: Request) -> None:
    """Ask as another process would."""
    mailbox = Mailbox(run_dir)
    mailbox.folder.mkdir(parents=True, exist_ok=True)
    mailbox._write(mailbox.folder / f"{asked.id}.json", asked.model_dump_json())


def with_persons(command: list[str], run_dir: Path, *, kill: str = "") -> int:
    """Run one command line with persons about, killed ``before`` or ``after`` a plan is changed, or once one ends."""
    if kill == "enough":
        die_once_a_2d_is_to_end()
    elif kill:
        die_at("operator", "", kill)
    persons_say(run_dir)
    return run_without_report(command)


def arguments(folder: Path, run_dir: Path) -> list[str]:
    """Write protocol and sample, and return the command line that rehearses them."""
    (folder / "adaptive.yaml").write_text(ADAPTIVE, encoding="utf-8")
    (folder / "sample.yaml").write_text(SAMPLE, encoding="utf-8")
    lab = (Path(__file__).parents[2] / "protocols" / "labs" / "simulated.yaml").read_text(encoding="utf-8")
    lab = lab.replace('      layout: "4.0.8"\n', '      layout: "4.0.8"\n      ser_during_acquisition: rows\n', 1)
    lab = lab.replace("      job_dir: job\n", "      job_dir: job\n      live_rows: ser\n", 1)
    (folder / "lab.yaml").write_text(lab, encoding="utf-8")
    files = ["--lab", str(folder / "lab.yaml"), "--simulate", str(folder / "sample.yaml")]
    return ["run", str(folder / "adaptive.yaml"), *files, "--dir", str(run_dir)]


@pytest.fixture(scope="module")
def undisturbed_adaptive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The campaign from begin to end."""
    folder = tmp_path_factory.mktemp("adaptive")
    assert in_a_child(partial(with_persons, arguments(folder, folder / "run"), folder / "run")) == 0
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


def test_a_2d_that_a_person_skips_is_not_chosen_again(undisturbed_adaptive: Path) -> None:
    """The campaign goes on with another one, says so in the journal, and misses nothing it was to acquire."""
    first, second = amendments(undisturbed_adaptive)[:2]
    vetoed = next(step for step in first["steps"] if step["id"] == chosen(first))
    instead = next(step for step in second["steps"] if step["id"] == chosen(second))
    at = [(one["task"]["sample_K"], one["task"]["experiment"]["mixing_time_s"]) for one in (vetoed, instead)]
    assert at[0] != at[1]
    acquired = {one.step_id for one in read_manifests(undisturbed_adaptive)}
    assert vetoed["id"] not in acquired
    assert instead["id"] in acquired
    (skip,) = [one for one in words(undisturbed_adaptive) if one.get("verb") == "skip"]
    assert skip["reason"] == "the probe arcs there"


def test_a_2d_that_a_person_adds_is_measured_and_a_goal_that_a_person_moves_is_followed(
    undisturbed_adaptive: Path,
) -> None:
    """An amendment may add 2Ds and move goal or budget; from then on decisions are taken by it."""
    measured = [one for one in read_manifests(undisturbed_adaptive) if one.kind == "exsy"]
    assert any(one.settings["mixing_time_s"] == PINNED_S for one in measured)
    last = max(measured, key=lambda one: one.ended_s)
    verdict = read_verdict(manifest_path(undisturbed_adaptive, last.step_id, last.attempt))
    assert verdict is not None
    assert "nothing more is measured: every wanted error is reached" in verdict.message
    se_eV = float(verdict.message.rpartition("Ea_eV A ± ")[2])
    assert 0.025 < se_eV <= 0.040  # would have gone on by the goal it began with


def test_a_2d_that_has_told_its_share_is_ended_and_used(undisturbed_adaptive: Path) -> None:
    """By a journaled decision; its rows count as acquired, on purpose, and the first 2D of a temperature is whole."""
    told = ended_early(undisturbed_adaptive)
    assert told
    results = json.loads((undisturbed_adaptive / "results.json").read_text(encoding="utf-8"))
    manifests = {one.step_id: one for one in read_manifests(undisturbed_adaptive)}
    for step_id, words_said in told.items():
        ended = manifests[step_id]
        assert ended.completeness == "partial"
        assert f"ended early on purpose: {words_said}" in ended.remarks
        assert int(ended.settings["rows_acquired"]) < int(ended.settings["rows"])
        assert any(entry["dataset"] == step_id for entry in results["exsy"]["matrices"])
        assert any(line.startswith(step_id) and words_said in line for line in results["certificate"]["details"])
    assert results["certificate"]["partial"] == len(told)
    first = {one.temperature_index: one for one in reversed(by_time(manifests.values())) if one.kind == "exsy"}
    assert all(one.completeness == "complete" for one in first.values())


def test_the_results_say_where_the_hours_went_and_what_each_2d_added(undisturbed_adaptive: Path) -> None:
    """Kinds of work add up to the whole, blocks are the 2Ds, and a fixed grid is reckoned with its assumptions."""
    results = json.loads((undisturbed_adaptive / "results.json").read_text(encoding="utf-8"))
    (spending,) = results["spending"]
    assert sum(one["hours"] for one in spending["spent"]) == pytest.approx(spending["hours"])
    assert [one["dataset"] for one in spending["blocks"]] == [
        one.step_id for one in by_time(read_manifests(undisturbed_adaptive)) if one.kind == "exsy"
    ]
    assert spending["blocks"][-1]["se"]["Ea_eV A"] <= 0.040
    assert spending["grid"]["hours"] > spending["hours"]
    assert "computed, not run: a model estimate" in spending["grid"]["assumptions"]
    assert not [one for one in results["warnings"] if one["code"] == "not_accounted"]


def by_time(datasets: Iterable[Dataset]) -> list[Dataset]:
    """In the order they were acquired."""
    return sorted(datasets, key=lambda one: one.started_s)


def ended_early(run_dir: Path) -> dict[str, str]:
    """Each 2D that a decision ended, and why."""
    journal = Journal(run_dir / "journal.sqlite", clock=SystemClock(), read_only=True)
    try:
        judged = [row.event for row in journal.rows() if isinstance(row.event, PartJudged)]
    finally:
        journal.close()
    return {event.step_id: event.verdict.message for event in judged if event.verdict.gate == "enough"}


def die_once_a_2d_is_to_end() -> None:
    """Arrange to be killed when it was written down that a 2D has told its share, and nothing was halted yet."""
    commit = Journal.append

    def append(self: Journal, event: Any, **more: Any) -> Any:
        row = commit(self, event, **more)
        if isinstance(event, PartJudged) and event.verdict.gate == "enough":
            die()
        return row

    Journal.append = append  # type: ignore[method-assign]  # in a child that is about to die


def test_a_goal_alone_can_be_amended(undisturbed_adaptive: Path) -> None:
    """What changes no step but how decisions are taken is shown as such, and is no empty amendment."""
    lab = undisturbed_adaptive / "lab.yaml"
    now = checked(undisturbed_adaptive / "protocol.yaml", lab)
    text = now.protocol.located.text.replace("goal: {Ea: 25 meV", "goal: {Ea: 50 meV").replace("30 h", "40 h")
    lines = steering_lines(now, checked_text(text, "amended", lab))
    assert [line.split(":")[0] for line in lines] == ["~ procedures[0] adapt.goal", "~ procedures[0] adapt.budget"]
    assert steering_lines(now, now) == []


@pytest.mark.skipif(sys.platform == "win32", reason="kills a forked child with SIGKILL")
def test_killed_around_a_decision_it_decides_the_same(undisturbed_adaptive: Path, tmp_path: Path) -> None:
    """Killed around a decision, after a veto, and before a 2D that has told its share was halted: the same bytes."""
    run_dir = tmp_path / "run"
    begin, again = arguments(tmp_path, run_dir), ["resume", str(run_dir)]
    assert in_a_child(partial(with_persons, begin, run_dir, kill="before")) == KILLED
    assert not amendments(run_dir)
    assert in_a_child(partial(with_persons, again, run_dir, kill="after")) == KILLED
    assert len(amendments(run_dir)) == 1
    assert in_a_child(partial(with_persons, again, run_dir, kill="enough")) == KILLED
    assert [one.get("verb") for one in words(run_dir)][:2] == [None, "skip"]
    assert in_a_child(partial(with_persons, again, run_dir)) == 0
    assert ended_early(run_dir) == ended_early(undisturbed_adaptive)
    assert raw_data(run_dir) == raw_data(undisturbed_adaptive)
    assert [one["steps"] for one in amendments(run_dir)] == [one["steps"] for one in amendments(undisturbed_adaptive)]
