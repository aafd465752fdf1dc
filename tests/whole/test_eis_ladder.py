"""Impedance ladders from protocol to conductivity: rehearsed, killed, resumed, and with things going wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from labctl.analysis.campaign import analyze_campaign
from labctl.analysis.context import AnalysisContext
from labctl.clock import VirtualClock
from labctl.dataset.store import read_manifests
from labctl.plan.expand import expand
from labctl.ports import SweepImpedance
from labctl.protocol.load import load_lab, load_protocol
from labctl.run.engine import CampaignOutcome, run_campaign
from labctl.run.events import Policy
from labctl.run.history import certificate
from labctl.run.journal import Journal
from labctl.run.lifecycle import StationPhase
from labctl.run.options import EngineOptions, StationOptions
from labctl.station.stations import open_instruments
from labctl_autolab._files import ResultFolder
from labctl_sim_sample import load_sample

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "protocols" / "samples"
START_S = 1_768_200_000.0

PROTOCOL = """\
version: 1
campaign: ladder
sample: {name: LiI}
procedures:
  - eis_ladder:
      station: autolab
      temperatures: [TEMPERATURES]
      ramp: 5 K/min
      hold: 5 min
      settle: {within: 1 K}
      sweep: {from: 100 kHz, to: 1 Hz, points_per_decade: POINTS}
      pellet: {thickness: 0.74 mm, mass: 200 mg}
      return_to_first_temperature: false
"""


@dataclass
class Rehearsal:
    """One ladder in a folder of its own; `go` runs it from wherever it stands."""

    folder: Path
    sample: str = "lii_pellet"
    temperatures: str = "30 degC, 45 degC"
    points: int = 2
    faults: str = ""
    seed: int = 1

    def go(self, *, attended: str = "") -> CampaignOutcome:
        """Run to the end, or on to it."""
        run_dir = self.folder / "run"
        run_dir.mkdir(parents=True, exist_ok=True)
        protocol = self.folder / "ladder.yaml"
        text = PROTOCOL.replace("TEMPERATURES", self.temperatures).replace("POINTS", str(self.points))
        protocol.write_text(text, encoding="utf-8")
        script = None
        if self.faults:
            script = self.folder / "faults.yaml"
            script.write_text("version: 1\nfaults:\n" + self.faults, encoding="utf-8")
        lab = load_lab(ROOT / "protocols" / "labs" / "simulated.yaml").model
        plan = expand(load_protocol(protocol).model, lab)
        clock = VirtualClock(START_S)
        stations = {"autolab": lab.station("autolab")}
        opened = open_instruments(
            stations,
            clock=clock,
            simulate=True,
            state_dir=self.folder / "lab",
            sample=SAMPLES / f"{self.sample}.yaml",
            seed=self.seed,
            faults=script,
        )
        options = EngineOptions(
            policy=Policy(on_fault={"autolab": "safe"}),
            stations={"autolab": StationOptions(limits=lab.station("autolab").limits.numbers())},
            state_dir=self.folder / "lab",
            attended=attended,
        )
        try:
            return run_campaign(plan, opened.instruments, clock=clock, run_dir=run_dir, options=options)
        finally:
            opened.close()

    @property
    def run_dir(self) -> Path:
        """Where it leaves what it measured."""
        return self.folder / "run"

    def state(self) -> dict[str, object]:
        """The potentiostat as its simulator left it."""
        [path] = (self.folder / "lab" / "autolab" / "simulator").glob("state.*.json")
        state: dict[str, object] = json.loads(path.read_text(encoding="utf-8").split("\n")[0])["front"]
        return state


def in_a_child(action: Callable[[], object]) -> int:
    """Run in a forked child and return its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
                sys.stdout = sys.stderr = nowhere
                action()
        finally:
            os._exit(70)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_ladder_finds_the_pellet_s_conductivity(tmp_path: Path) -> None:
    """Rehearsed from 25 to 100 degC, activation energy and conductivity of the sample file come back within errors."""
    rehearsal = Rehearsal(tmp_path, temperatures="25 degC, 50 degC, 75 degC, 100 degC", points=5)
    outcome = rehearsal.go()
    assert outcome.stations == {"autolab": StationPhase.FINISHED}
    assert not rehearsal.state()["cell_on"]
    results = analyze_campaign(rehearsal.run_dir, AnalysisContext(campaign="ladder"))
    truth = load_sample(SAMPLES / "lii_pellet.yaml").eis.truth.conductivity_S_per_cm
    line = next(one for one in results.eis.arrhenius if one.convention == "ln sigma")
    assert line.sample == "LiI"
    assert abs(line.Ea_eV - truth.Ea_eV) < 4 * line.Ea_se_eV + 0.002
    assert line.sigma_25C_S_per_cm == pytest.approx(truth.value, rel=0.02)


@pytest.mark.skipif(sys.platform == "win32", reason="kills a forked child with SIGKILL")
@pytest.mark.parametrize("at_point", [1, 6])
def test_killed_in_mid_sweep_the_next_attempt_measures_it_whole(tmp_path: Path, at_point: int) -> None:
    """The cell that stayed on goes off, the soak is repeated, and attempt 2 is complete; nothing is lost or doubled."""
    rehearsal = Rehearsal(tmp_path)

    def die_at_a_point() -> None:
        append, seen = ResultFolder.append, [0]

        def dying(self: ResultFolder, name: str, line: str) -> None:
            append(self, name, line)
            seen[0] += '{"point"' in line and "T02" in name
            if seen[0] == at_point:
                os.kill(os.getpid(), signal.SIGKILL)

        ResultFolder.append = dying  # type: ignore[method-assign]  # in a child that is about to die
        rehearsal.go()

    assert in_a_child(die_at_a_point) == -signal.SIGKILL
    assert rehearsal.state()["cell_on"], "nobody was there to switch it off"
    assert rehearsal.go().exit_code == 0
    assert not rehearsal.state()["cell_on"]
    found = {(one.step_id.split("/")[-2], one.attempt): one.completeness for one in read_manifests(rehearsal.run_dir)}
    assert found[("T01", 1)] == "complete"
    assert found[("T02", 2)] == "complete"
    assert found[("T02", 1)] == "partial"
    journal = Journal(rehearsal.run_dir / "journal.sqlite", clock=VirtualClock(START_S), read_only=True)
    try:
        certified = certificate(journal)
    finally:
        journal.close()
    assert (certified.planned, certified.acquired, certified.lost) == (2, 2, 0)


def test_a_pulled_cable_costs_an_attempt(tmp_path: Path) -> None:
    """With the cable out for a minute in mid-sweep the sweep fails, the cell goes off, and the next attempt is good."""
    faults = "  - {fault: usb_gone, during: {title: T02, after: 10 s}, for: 1 min}\n"
    rehearsal = Rehearsal(tmp_path, faults=faults)
    outcome = rehearsal.go()
    assert outcome.exit_code == 0, outcome
    attempts = {one.attempt for one in read_manifests(rehearsal.run_dir) if "/T02/" in one.step_id}
    assert 2 in attempts
    assert not rehearsal.state()["cell_on"]


def test_an_open_cell_is_measured_twice_and_then_made_safe(tmp_path: Path) -> None:
    """A lead that fell off is no spectrum: after the second attempt the station is safe, cell and heater off."""
    rehearsal = Rehearsal(tmp_path, faults="  - {fault: open_cell, during: {title: T02}}\n")
    outcome = rehearsal.go()
    assert outcome.exit_code == 1
    assert outcome.stations == {"autolab": StationPhase.SAFE}
    assert "T02" in outcome.reasons["autolab"]
    remarks = [remark for one in read_manifests(rehearsal.run_dir) if "/T02/" in one.step_id for remark in one.remarks]
    assert any("open cell" in remark for remark in remarks)
    assert not rehearsal.state()["cell_on"]


def test_a_welded_relay_trips_and_takes_the_current_away(tmp_path: Path) -> None:
    """The oven heats by itself: the interlock trips on what its driver says, and the cell is off too."""
    faults = "  - {fault: welded_relay, station: autolab.oven, at: 40 min, by: 100 %}\n"
    rehearsal = Rehearsal(tmp_path, faults=faults)
    outcome = rehearsal.go()
    assert outcome.exit_code == 1
    assert "autolab" in outcome.reasons
    assert not rehearsal.state()["cell_on"]


def test_a_person_lets_a_safe_station_go_on(tmp_path: Path) -> None:
    """After an open cell was mended, going on measures what was missing and nothing twice."""
    faults = "  - {fault: open_cell, during: {title: T02}, for: 6 h}\n"
    rehearsal = Rehearsal(tmp_path, faults=faults)
    assert rehearsal.go().exit_code == 1
    rehearsal.faults = ""
    assert rehearsal.go(attended="the lead is back").exit_code == 0
    complete = [one.step_id for one in read_manifests(rehearsal.run_dir) if one.completeness == "complete"]
    assert len(complete) == len(set(complete)) == 2


def test_every_planned_sweep_names_a_file_of_its_own(tmp_path: Path) -> None:
    """Names of the shipped ladders are files' names, and no two spectra of a campaign share one."""
    lab = load_lab(ROOT / "protocols" / "labs" / "simulated.yaml").model
    for path in sorted((ROOT / "protocols").glob("eis_*.yaml")):
        plan = expand(load_protocol(path).model, lab)
        names = [step.task.name for step in plan.steps if isinstance(step.task, SweepImpedance)]
        assert len(names) == len(set(names)) >= 7
